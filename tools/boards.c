/* boards.c - see boards.h. */
#include "tools/boards.h"

#include "codegen/report/cost.h"
#include "tools/budget.h"
#include "tools/compile.h"
#include "tools/device.h"

#include <string.h>

bool boards_asked(const struct options *o) {
  return o->device && strchr(o->device, ',');
}

static bool compile_for(struct dn_ctx *ctx, const char *board,
                        struct options *o, struct compile *c,
                        struct cg_sizes *sizes) {
  struct cg_blob object;
  return device_apply(ctx, board, o) &&
         compile_begin(ctx, o, o->files.v[0], c) && compile_import(c, NULL) &&
         compile_passes(c, IR_PLANNED) && compile_is_planned(c) &&
         compile_object(c, CG_OBJ, &object, sizes) && budget_check(c, sizes);
}

static void put_size(FILE *out, struct dn_arena *arena, int64_t n) {
  fprintf(out, " %10s", n < 0 ? "-" : dn_printf(arena, "%lld", (long long)n));
}

/* Milliseconds and microjoules of a run, by estimate. */
static void put_cost(FILE *out, const struct compile *c,
                     const struct cg_sizes *sizes) {
  struct cg_stats stats;
  cg_stats(c->ctx->arena, c->m, &stats);
  struct cg_machine machine = cg_machine_of(c->target, c->m, &c->cg, sizes);
  struct cg_cost cost = cg_run_cost(&machine, &stats);
  double ms = cg_milliseconds(&c->cg, &cost);
  if (ms > 0)
    fprintf(out, " %10.3g", ms);
  else
    fprintf(out, " %10s", "-");
  fprintf(out, " %10.3g", cost.energy / 1e6);
}

/* Why a model does not fit: the first error since `from`. */
static const char *reason(struct dn_ctx *ctx, size_t from) {
  for (size_t i = from; i < dn_diags_count(ctx); i++)
    if (dn_diags_get(ctx, i)->number)
      return dn_diags_get(ctx, i)->message;
  return "";
}

static bool put_row(struct dn_ctx *ctx, const struct options *all,
                    const char *board, FILE *out) {
  struct options o = *all;
  struct compile c = {0};
  struct cg_sizes s = {.arena = -1};
  size_t from = dn_diags_count(ctx);
  bool ok = compile_for(ctx, board, &o, &c, &s), known = s.arena >= 0;
  fprintf(out, "%-20s", dn_escaped(ctx->arena, board));
  put_size(out, ctx->arena, known ? cg_ram(&s) : -1);
  put_size(out, ctx->arena, known ? s.text + s.weights : -1);
  put_size(out, ctx->arena, known ? s.stack : -1);
  if (known)
    put_cost(out, &c, &s);
  else
    fprintf(out, " %10s %10s", "-", "-");
  fprintf(out, "  %s\n", ok ? "fits" : reason(ctx, from));
  if (c.m)
    ir_module_free(c.m);
  return ok;
}

/* Every name of the list is a board's: a misspelt one is no board that the
 * model does not fit. */
static bool check_names(struct dn_ctx *ctx, const char *list) {
  bool ok = true;
  for (const char *p = list; *p;) {
    size_t n = strcspn(p, ",");
    struct options o = {.max_ram = -1, .max_flash = -1, .clock = -1};
    ok &= device_apply(ctx, dn_strndup(ctx->arena, p, n), &o);
    p += n + (p[n] == ',');
  }
  return ok;
}

bool boards_table(struct dn_ctx *ctx, const struct options *o, FILE *out) {
  bool any = false;
  if (!check_names(ctx, o->device))
    return false;
  fprintf(out, "%-20s %10s %10s %10s %10s %10s\n", "DEVICE", "RAM", "FLASH",
          "STACK", "MS", "UJ");
  for (const char *p = o->device; p;) {
    size_t n = strcspn(p, ","), from = dn_diags_count(ctx);
    bool was = dn_diags_capture(ctx, true), last = !p[n];
    any |= put_row(ctx, o, dn_strndup(ctx->arena, p, n), out);
    dn_diags_capture(ctx, was);
    if (any || !last)
      dn_diags_rewind(ctx, from);
    else
      dn_diags_print(ctx, from);
    p = last ? NULL : p + n + 1;
  }
  return any;
}
