/* report.c - the report as text: totals, then a line a layer with a bar of the
 * arena bytes that are live while it runs. */
#include "codegen/report/report.h"

#include "ir/place.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROWS = 100, BAR_WIDTH = 20 };

const char *cg_count_text(struct dn_arena *arena, int64_t n) {
  char *digits = dn_printf(arena, "%lld", (long long)n);
  struct dn_buf out = dn_buf_new(arena);
  size_t len = strlen(digits);
  for (size_t i = 0; i < len; i++) {
    if (i && (len - i) % 3 == 0 && digits[i - 1] != '-')
      dn_buf_put(&out, ",", 1);
    dn_buf_put(&out, digits + i, 1);
  }
  return out.text;
}

static const char *count(const struct cg_facts_sheet *r, int64_t n) {
  return cg_count_text(r->ctx->arena, n);
}

/* ---- Totals ---- */

static void put_signature(const struct cg_facts_sheet *r, struct dn_buf *out) {
  const struct ir_func *f = ir_main(r->m);
  const char *name = r->m->name ? r->m->name : r->opts->prefix;
  dn_buf_escape(out, name, strlen(name));
  dn_buf_printf(out, "  (");
  for (unsigned i = 0; i < f->body->nparams; i++)
    dn_buf_printf(out, "%s%s", i ? ", " : "",
                  ir_type_text(r->ctx, NULL, f->body->param[i]->type));
  dn_buf_printf(out, ") -> (");
  for (unsigned i = 0; i < f->nresults; i++)
    dn_buf_printf(out, "%s%s", i ? ", " : "",
                  ir_type_text(r->ctx, NULL, ir_arg(f->body->last, i)->type));
  dn_buf_printf(out, ")\n");
}

const char *cg_target_text(const struct cg_facts_sheet *r) {
  const struct cg_names *t = r->target;
  return dn_printf(r->ctx->arena, "%s, %s%s", t->triple, t->cpu,
                   t->native ? " with this machine's features" : "");
}

static void put_target(const struct cg_facts_sheet *r, struct dn_buf *out) {
  dn_buf_printf(out, "  target      %s", cg_target_text(r));
  if (r->facts->vector_bytes)
    dn_buf_printf(out, ", %d-byte vectors", r->facts->vector_bytes);
  dn_buf_printf(out, "\n");
}

/* The time where a row of cores.def is the CPU's, and the energy. */
static void put_estimate(const struct cg_facts_sheet *r, struct dn_buf *out) {
  dn_buf_printf(out, "  estimate    ");
  if (r->cost.cycles > 0)
    dn_buf_printf(out, "%s cycles, ", count(r, (int64_t)r->cost.cycles));
  if (cg_milliseconds(r->opts, &r->cost) > 0)
    dn_buf_printf(out, "%.3g ms at %lld MHz, ",
                  cg_milliseconds(r->opts, &r->cost),
                  (long long)r->opts->clock);
  dn_buf_printf(out, "%.4g uJ of arithmetic and memory\n",
                r->cost.energy / 1e6);
}

static void put_regions(const struct cg_facts_sheet *r, struct dn_buf *out) {
  const struct cg_regions *all = r->opts->regions;
  for (size_t i = 0; all && i < all->n; i++)
    dn_buf_printf(out, "  region      %s: %s of %s B\n", all->v[i].name,
                  count(r, all->v[i].used), count(r, all->v[i].size));
}

static int64_t kernels_code(const struct cg_facts_sheet *r) {
  int64_t bytes = 0;
  for (size_t i = 0; i < r->stats.nkernels && r->sizes.kernel; i++)
    bytes += r->sizes.kernel[i];
  return bytes;
}

/* What the code is of, and what lies in the object beside it and the weights. */
static void put_code(const struct cg_facts_sheet *r, struct dn_buf *out) {
  const struct cg_sizes *s = &r->sizes;
  int64_t kernels = kernels_code(r);
  dn_buf_printf(out, "  code        %s B layers, %s B calls", count(r, kernels),
                count(r, s->text - kernels - s->soft));
  if (s->soft)
    dn_buf_printf(out, ", %s B arithmetic in software", count(r, s->soft));
  dn_buf_printf(out, "; %s B tables beside it\n", count(r, s->tables));
}

static void put_totals(const struct cg_facts_sheet *r, struct dn_buf *out) {
  const struct cg_sizes *s = &r->sizes;
  dn_buf_printf(out, "  parameters  %s (%s weights + %s biases), %s bytes\n",
                count(r, r->opts->weights + r->opts->biases),
                count(r, r->opts->weights), count(r, r->opts->biases),
                count(r, r->opts->weight_bytes + r->opts->bias_bytes));
  dn_buf_printf(out, "  values      weights %.2f KB, biases %.2f KB\n",
                (double)r->opts->weight_bytes / 1e3,
                (double)r->opts->bias_bytes / 1e3);
  dn_buf_printf(out, "  MACs        %s; %s FLOPs\n", count(r, r->stats.macs),
                count(r, (int64_t)r->cost.flops));
  put_estimate(r, out);
  if (r->opts->precision && r->opts->rounding >= 0)
    dn_buf_printf(out,
                  "  precision   %s weights: an output differs by at most %.2g "
                  "of its largest (random inputs)\n",
                  r->opts->precision, r->opts->rounding);
  dn_buf_printf(out, "  flash       %s B: %s B weights, %s B code\n",
                count(r, s->weights + s->text), count(r, s->weights),
                count(r, s->text));
  put_code(r, out);
  dn_buf_printf(out, "  arena       %s B", count(r, s->arena));
  if (s->arena_bound || !s->arena)
    dn_buf_printf(out, ", lower bound %s B%s", count(r, s->arena_bound),
                  s->arena <= s->arena_bound ? " (optimal)" : "");
  if (ir_arena_part(r->m, 1))
    dn_buf_printf(out, "; in parts of %s and %s B",
                  count(r, ir_arena_part(r->m, 0)),
                  count(r, ir_arena_part(r->m, 1)));
  dn_buf_printf(out, "\n");
  dn_buf_printf(out, "  stack       %s B", count(r, s->stack));
  if (s->stack != s->stack_least)
    dn_buf_printf(out, " with vectors of %s bits, %s B of %d",
                  count(r, 8 * cg_vector_most(r->facts)),
                  count(r, s->stack_least), 8 * r->facts->vector_bytes);
  dn_buf_printf(out, "\n");
  dn_buf_printf(out, "  RAM         %s B: arena, %s B inputs, %s B outputs, ",
                count(r, cg_ram(s)), count(r, s->inputs), count(r, s->outputs));
  if (s->state)
    dn_buf_printf(out, "%s B state, ", count(r, s->state));
  dn_buf_printf(out, "stack\n");
  put_regions(r, out);
}

/* ---- Layers ---- */

/* Cut or filled up to a width in characters, not bytes. */
static void put_cell(struct dn_buf *out, struct dn_arena *arena, const char *s,
                     int width) {
  const char *text = dn_escaped(arena, s);
  int n = 0;
  size_t i = 0;
  for (; text[i] && n < width; n++)
    i += dn_utf8_length(text + i, strlen(text + i));
  dn_buf_put(out, text, i);
  dn_buf_printf(out, "%*s ", width - n, "");
}

/* A layer's name; of a long one the end, which differs from layer to layer. Of
 * the names that TensorFlow Lite joins by `;`, the first. */
static void put_name(struct dn_buf *out, struct dn_arena *arena, const char *s,
                     int width) {
  size_t first = strcspn(s, ";"), i = 0;
  if (first)
    s = dn_strndup(arena, s, first);
  const char *text = dn_escaped(arena, s);
  int n = 0;
  for (size_t k = 0; text[k]; n++)
    k += dn_utf8_length(text + k, strlen(text + k));
  bool cut = n > width;
  for (; cut && n > width - 2; n--)
    i += dn_utf8_length(text + i, strlen(text + i));
  text = cut ? dn_printf(arena, "..%s", text + i) : text;
  put_cell(out, arena, text, width);
}

/* Eighths of a block: U+2588 is full, U+258F an eighth. */
static void put_bar(struct dn_buf *out, int64_t part, int64_t whole) {
  int64_t eighths =
      whole ? (int64_t)((double)part / (double)whole * (8 * BAR_WIDTH) + 0.5)
            : 0;
  for (; eighths >= 8; eighths -= 8)
    dn_buf_put(out, "\xe2\x96\x88", 3);
  assert(eighths >= 0 && eighths < 8 && "whole blocks are drawn above");
  if (eighths) {
    char block[3] = {(char)0xe2, (char)0x96, (char)(0x90 - eighths)};
    dn_buf_put(out, block, 3);
  }
}

/* Bytes of its kernels' functions, each counted for the first that it is of. */
static int64_t layer_code(const struct cg_facts_sheet *r,
                          const struct cg_layer *l) {
  int64_t bytes = 0;
  for (size_t i = l->first; r->sizes.kernel && i < l->first + l->kernels; i++)
    bytes += r->sizes.kernel[i];
  return bytes;
}

void cg_layer_cells(const struct cg_facts_sheet *r, const struct cg_layer *l,
                    struct cg_cell out[static CG_CELLS]) {
  const struct cg_cost c = cg_layer_cost(&r->machine, l);
#define TEXT(key, head, width, shown, value)                                   \
  out[CG_CELL_##key] = (struct cg_cell){#key, head, width, 0, value, 0, shown};
#define NUMBER(key, head, width, digits, shown, value)                         \
  out[CG_CELL_##key] = (struct cg_cell){                                       \
      #key, head, width, digits, NULL, (double)(value), shown};
#include "codegen/report/layers.def"
}

const char *cg_cell_text(const struct cg_facts_sheet *r,
                         const struct cg_cell *c) {
  return c->text     ? c->text
         : c->digits ? dn_printf(r->ctx->arena, "%.*f", c->digits, c->number)
                     : count(r, (int64_t)c->number);
}

static void put_layer(const struct cg_facts_sheet *r, struct dn_buf *out,
                      const struct cg_layer *l) {
  struct dn_arena *arena = r->ctx->arena;
  struct cg_cell cell[CG_CELLS];
  cg_layer_cells(r, l, cell);
  for (size_t i = 0; i < CG_CELLS; i++) {
    const char *text = cg_cell_text(r, &cell[i]);
    if (!cell[i].head || !cell[i].shown)
      continue;
    if (i == CG_CELL_name)
      put_name(out, arena, text, cell[i].width);
    else if (cell[i].text)
      put_cell(out, arena, text, cell[i].width);
    else
      dn_buf_printf(out, "%*s ", cell[i].width, text);
  }
  put_bar(out, l->live, r->stats.live);
  dn_buf_printf(out, "\n");
  if (l->op->code == IR_IF)
    dn_buf_printf(out, "  MACs of its branches: %s, else %s\n",
                  count(r, l->branch[0]), count(r, l->branch[1]));
}

static void put_heads(const struct cg_facts_sheet *r, struct dn_buf *out,
                      const struct cg_layer *l) {
  struct cg_cell cell[CG_CELLS];
  cg_layer_cells(r, l, cell);
  dn_buf_printf(out, "\n");
  for (size_t i = 0; i < CG_CELLS; i++)
    if (cell[i].head && cell[i].shown)
      dn_buf_printf(out, "%*s%s", cell[i].text ? -cell[i].width : cell[i].width,
                    cell[i].head, i + 1 < CG_CELLS ? " " : "\n");
}

static int compare_macs(const void *a, const void *b) {
  int64_t x = (*(const struct cg_layer *const *)a)->macs;
  int64_t y = (*(const struct cg_layer *const *)b)->macs;
  return x < y ? 1 : x > y ? -1 : 0;
}

/* The least MACs of a layer that is shown: all, when there are few. */
static int64_t threshold(const struct cg_facts_sheet *r) {
  size_t n = r->stats.layers.n;
  if (n <= MAX_ROWS)
    return 0;
  const struct cg_layer **all =
      DN_ARRAY(r->ctx->arena, const struct cg_layer *, n);
  for (size_t i = 0; i < n; i++)
    all[i] = &r->stats.layers.v[i];
  qsort(all, n, sizeof *all, compare_macs);
  return all[MAX_ROWS - 1]->macs;
}

static void put_layers(const struct cg_facts_sheet *r, struct dn_buf *out) {
  int64_t least = threshold(r);
  size_t shown = 0;
  if (r->stats.layers.n)
    put_heads(r, out, &r->stats.layers.v[0]);
  for (size_t i = 0; i < r->stats.layers.n && shown < MAX_ROWS; i++) {
    const struct cg_layer *l = &r->stats.layers.v[i];
    if (l->macs < least)
      continue;
    put_layer(r, out, l);
    shown++;
  }
  if (shown < r->stats.layers.n)
    dn_buf_printf(out,
                  "... and %s smaller layers; --report=FILE.json has all\n",
                  count(r, (int64_t)(r->stats.layers.n - shown)));
}

static void report_text(const struct cg_facts_sheet *r, bool layers,
                        struct dn_buf *out) {
  put_signature(r, out);
  put_target(r, out);
  put_totals(r, out);
  if (layers)
    put_layers(r, out);
}

bool cg_report(struct dn_ctx *ctx, const struct cg_target *t,
               const struct ir_module *m, const struct cg_opts *opts,
               const struct cg_sizes *sizes, enum cg_report_kind kind,
               struct cg_blob *out) {
  struct cg_facts_sheet r = {.ctx = ctx,
                             .target = cg_target_names(t),
                             .facts = cg_target_facts(t),
                             .m = m,
                             .opts = opts,
                             .sizes = *sizes};
  assert(sizes && "the caller has compiled the module");
  struct dn_buf text = dn_buf_new(ctx->arena);
  cg_stats(ctx->arena, m, &r.stats);
  r.machine = cg_machine_of(t, m, opts, sizes);
  r.cost = cg_run_cost(&r.machine, &r.stats);
  switch (kind) {
  case CG_REPORT_BRIEF:
  case CG_REPORT_TEXT:
    report_text(&r, kind == CG_REPORT_TEXT, &text);
    break;
  case CG_REPORT_JSON:
    cg_report_json(&r, &text);
    break;
  case CG_REPORT_HTML:
    cg_report_html(&r, &text);
    break;
  }
  *out = (struct cg_blob){text.text, text.len};
  return true;
}
