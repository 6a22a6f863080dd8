/* budget.c - see budget.h. */
#include "tools/budget.h"

#include "codegen/report/stats.h"

/* The values that make the peak, for a model that does not fit. */
static void note_culprits(const struct compile *c) {
  struct cg_stats stats;
  struct cg_live live[8];
  cg_stats(c->ctx->arena, c->m, &stats);
  if (!stats.layers.n)
    return;
  const struct cg_layer *peak = &stats.layers.v[stats.peak];
  dn_note(c->ctx, "most of the arena is in use at '%s' (%s): %lld bytes",
          peak->name, peak->what, (long long)peak->live);
  size_t n = cg_live_at(c->ctx->arena, c->m, stats.peak, live, 8);
  for (size_t i = 0; i < n; i++) {
    const struct ir_value *v = live[i].value;
    const struct ir_op *op = v->def;
    dn_note(c->ctx, "  %lld bytes: %%%s %s%s%s", (long long)live[i].bytes,
            v->name, ir_type_text(c->ctx, NULL, v->type),
            op && op->loc ? " of " : "", op && op->loc ? op->loc : "");
  }
}

static void note_largest_layers(const struct compile *c) {
  struct cg_stats stats;
  int64_t limit = INT64_MAX;
  cg_stats(c->ctx->arena, c->m, &stats);
  for (int shown = 0; shown < 5; shown++) {
    const struct cg_layer *best = NULL;
    for (size_t i = 0; i < stats.layers.n; i++) {
      const struct cg_layer *l = &stats.layers.v[i];
      if (l->weight_bytes < limit &&
          (!best || l->weight_bytes > best->weight_bytes))
        best = l;
    }
    if (!best || !best->weight_bytes)
      return;
    dn_note(c->ctx, "  %lld bytes of constants: '%s' (%s)",
            (long long)best->weight_bytes, best->name, best->what);
    limit = best->weight_bytes;
  }
}

bool budget_check(const struct compile *c, const struct cg_sizes *s) {
  struct dn_loc loc = {.file = c->path};
  int64_t flash = s->text + s->weights;
  bool ok = true;
  if (c->options->max_ram >= 0 && cg_ram(s) > c->options->max_ram) {
    dn_error(c->ctx, loc, DN_RAM,
             "arena (%lld bytes), inputs (%lld), outputs (%lld)%s and stack "
             "(%lld) need %lld bytes, the budget is %lld",
             (long long)s->arena, (long long)s->inputs, (long long)s->outputs,
             s->state ? dn_printf(c->ctx->arena, ", state (%lld)",
                                  (long long)s->state)
                      : "",
             (long long)s->stack, (long long)cg_ram(s),
             (long long)c->options->max_ram);
    note_culprits(c);
    if (!c->options->stripes.n)
      dn_note(c->ctx,
              "the least that blocks of rows have reached is "
              "--max-ram=%lld",
              (long long)cg_ram(s));
    ok = false;
  }
  if (c->options->max_flash >= 0 && flash > c->options->max_flash) {
    dn_error(c->ctx, loc, DN_FLASH,
             "code (%lld bytes) and constants (%lld) need %lld bytes, the "
             "budget is %lld",
             (long long)s->text, (long long)s->weights, (long long)flash,
             (long long)c->options->max_flash);
    note_largest_layers(c);
    ok = false;
  }
  if (c->options->max_stack >= 0 && s->stack > c->options->max_stack) {
    dn_error(c->ctx, loc, DN_STACK,
             "%s_run needs %lld bytes of stack, the budget is %lld",
             c->cg.prefix, (long long)s->stack,
             (long long)c->options->max_stack);
    ok = false;
  }
  return ok;
}
