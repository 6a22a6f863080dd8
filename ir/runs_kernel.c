/* runs_kernel.c - whether a way to make sums (an attribute of their kernel) holds
 * in every tile of its loops: what the pass `loops` writes, and code generation
 * relies on. */
#include "ir/runs.h"

#include <assert.h>
#include <string.h>

struct way;

struct tiles {
  struct runs *r;
  const struct nest *n;
  const struct ir_op *kernel;
  struct ir_loops loops;
  int row_major[IR_MAX_LOOPS];             /* levels of them */
  const struct affine *base[IR_MAX_LOOPS]; /* by level */
  int64_t size[IR_MAX_LOOPS];
  int depth;
  int red[NEST_MAX_ITERS], nred;
  const struct affine **iter;   /* of the points of a tile */
  const struct affine **at;     /* elements from the result's first, of each */
  unsigned *lanes, npt, across; /* across: points of a row of the tile */
  int64_t stride[IR_MAX_RANK];  /* of the result */
  const struct way *way;
  bool used;     /* the way is, by one tile at least */
  int parts;     /* the dimension that `n` has and the result has not, or -1 */
  unsigned part; /* the variable along it */
};

struct way { /* an attribute of the kernel */
  const char *name;
  int inner; /* so many of the innermost loops are looked at together; 0: all,
                -1: of no point by itself */
  bool some; /* tiles may go without, but not all */
  bool (*fits)(struct tiles *t, int level);
};

static bool is_straight(const struct tiles *t, int level) {
  const struct nest_iter *it = &t->n->iter[t->red[level]];
  return !it->size && nest_steps_from(t->n, t->red[level], t->r->dot.k) <=
                          ir_get_at(t->kernel, "unroll", 0);
}

/* The sum from reduced iterator `level` on: those that are straight code by
 * each value, of others any. */
static bool sum_fits(struct tiles *t, int level) {
  if (!t->way->inner || level + t->way->inner >= t->nred)
    return t->way->fits(t, level);
  struct affines *f = t->r->forms;
  bool straight = is_straight(t, level);
  int64_t extent = t->n->iter[t->red[level]].extent;
  for (int64_t i = 0; i < (straight ? extent : 1); i++) {
    const struct affine *at = affine_const(f, i);
    if (!straight)
      at = affine_var(
          f, affine_new_var(f, 0, extent - 1, t->loops.n + 1 + level, false, 0),
          1);
    for (unsigned p = 0; p < t->npt; p++)
      t->iter[p * NEST_MAX_ITERS + (unsigned)t->red[level]] = at;
    if (!sum_fits(t, level + 1))
      return false;
  }
  return true;
}

/* The point of a tile at `at`, by loop in row-major order. */
static void add_point(struct tiles *t, const int64_t *at, unsigned lanes) {
  struct affines *f = t->r->forms;
  const struct affine *form[IR_MAX_LOOPS], *idx[IR_MAX_RANK];
  struct ir_loop loop[IR_MAX_LOOPS];
  f->lanes = lanes;
  for (int g = 0; g < t->loops.n; g++) {
    loop[g] = t->loops.loop[t->row_major[g]];
    form[g] = affine_plus(f, t->base[t->row_major[g]], at[g]);
    if (lanes > 1 && g + 1 == t->loops.n)
      form[g] = affine_add(f, form[g], affine_lanes(f, 1), 1);
  }
  loops_index(f, loops_type(t->kernel), loop, t->loops.n, form, idx);
  assert(lanes && f->lanes == lanes && "tile_fits() cuts columns into vectors");
  t->lanes[t->npt] = lanes;
  t->at[t->npt] = affine_const(f, 0);
  for (int d = 0; d < loops_type(t->kernel)->rank; d++)
    t->at[t->npt] = affine_add(f, t->at[t->npt], idx[d], t->stride[d]);
  if (t->parts >= 0) {
    int rank = loops_type(t->kernel)->rank;
    memmove(idx + t->parts + 1, idx + t->parts,
            (size_t)(rank - t->parts) * sizeof *idx);
    idx[t->parts] = affine_var(f, t->part, 1);
  }
  runs_iters(f, t->n, idx, t->iter + (size_t)t->npt++ * NEST_MAX_ITERS);
}

static bool tile_fits(struct tiles *t) {
  int64_t vec = ir_get_int(t->kernel, "vec"), rows = 1, at[IR_MAX_LOOPS] = {0};
  int last = t->loops.n - 1;
  int64_t columns = last < 0 ? 1 : t->size[t->row_major[last]];
  if (t->way->inner < 0)
    return t->way->fits(t, 0);
  bool along = t->r->dot.shape == IR_DOT_ALONG && columns % vec == 0;
  for (int g = 0; g < last; g++)
    rows *= t->size[t->row_major[g]];
  t->npt = 0;
  t->lanes = DN_ARRAY(t->r->arena, unsigned, rows *columns);
  t->at = DN_ARRAY(t->r->arena, const struct affine *, rows *columns);
  t->iter = DN_ARRAY(t->r->arena, const struct affine *,
                     rows *columns *NEST_MAX_ITERS);
  for (int64_t row = 0; row < rows; row++) {
    int64_t lanes;
    for (int64_t c = 0; c < columns; c += lanes) {
      lanes = along || last < 0 ? 1 : loops_lanes(vec, columns - c);
      if (last >= 0)
        at[last] = c;
      add_point(t, at, (unsigned)lanes);
    }
    for (int g = last - 1; g >= 0 && ++at[g] == t->size[t->row_major[g]]; g--)
      at[g] = 0;
    t->across = row ? t->across : t->npt;
  }
  return sum_fits(t, 0);
}

static bool tiles_fit(struct tiles *t, int level);

/* At most `count` tiles of one size, the first of which starts at `from`. */
static bool same_tiles_fit(struct tiles *t, int level, int64_t from,
                           int64_t tile, int64_t count, int64_t most) {
  struct affines *f = t->r->forms;
  int depth = t->depth;
  if (!count)
    return true;
  bool back = t->loops.loop[level].back;
  t->size[level] = tile;
  t->base[level] = affine_const(f, back ? from + (count - 1) * tile : from);
  if (count > 1) {
    t->depth = level + 1;
    unsigned var = affine_new_var(f, 0, count - 1, level + 1, false, 0);
    t->base[level] = affine_add(f, t->base[level], affine_var(f, var, 1),
                                back ? -tile : tile);
  } else if (most) {
    t->depth = level + 1;
    unsigned var = affine_new_var(f, 0, most - tile, level + 1, false, 0);
    t->base[level] = affine_var(f, var, 1);
  }
  assert(tile > 0 && from >= 0 && "cuts rise within the loop: check_cuts()");
  bool fits = tiles_fit(t, level + 1);
  t->depth = depth;
  return fits;
}

static bool tiles_fit(struct tiles *t, int level) {
  if (level == t->loops.n)
    return tile_fits(t);
  const struct ir_loop *l = &t->loops.loop[level];
  int64_t most, from = 0;
  for (int64_t tile = dn_min(l->tile, l->extent); l->size && tile;
       tile = loops_next_tile(l, tile, &most))
    if (!same_tiles_fit(t, level, 0, tile, 1, l->extent))
      return false;
  for (int64_t i = 0; i <= l->ncuts && !l->size; i++) {
    int64_t to = i < l->ncuts ? l->cuts[i] : l->extent, n = to - from;
    int64_t tile = dn_min(l->tile, n), whole = n / tile * tile;
    if (!same_tiles_fit(t, level, from, tile, n / tile, 0) ||
        !same_tiles_fit(t, level, from + whole, n % tile, n > whole, 0))
      return false;
    from = to;
  }
  return true;
}

/* ---- The ways ---- */

static bool dot_fits(struct tiles *t, int level) {
  const struct nest_iter *it = t->nred ? &t->n->iter[t->red[level]] : NULL;
  return !it || (!it->size && runs_sum_fits(t->r, t->n, t->lanes, t->iter,
                                            t->npt, t->red[level], it->extent));
}

static bool wide_fits(struct tiles *t, int level) {
  struct runs_wide w = {.n = t->n,
                        .iter = t->iter,
                        .npt = t->npt,
                        .red = t->red,
                        .nred = t->nred};
  assert(!level && "the way looks at all loops of a sum");
  (void)level;
  return !runs_rows_outside(&w, t->depth) || runs_widen(t->r, &w);
}

static bool plane_fits(struct tiles *t, int level) {
  struct runs_plane p = {.n = t->n, .iter = t->iter, .npt = t->npt};
  assert(!level && "the way looks at all loops of a sum");
  (void)level;
  return runs_slide(t->r, &p);
}

static bool words_fit(struct tiles *t, int level) {
  const struct nest_iter *it = t->nred ? &t->n->iter[t->red[level]] : NULL;
  return (!it || !it->size) && runs_words_fit(t->r, t->n, t->lanes, t->iter,
                                              t->npt, it ? t->red[level] : -1);
}

static bool join_fits(struct tiles *t, int level) {
  if (t->nred < 2)
    return false;
  if (is_straight(t, level))
    return true;
  enum runs_join join = runs_join(t->r, t->n, t->lanes, t->iter, t->npt,
                                  t->red[level], t->red[level + 1]);
  t->used |= join == RUNS_ONE;
  return join != RUNS_APART;
}

static bool matrix_fits(struct tiles *t, int level) {
  struct runs_matrix m = {.n = t->n,
                          .rows = runs_matrix_rows(&t->loops),
                          .part = ir_get_int(t->kernel, "matrix")};
  struct ir_loop loop[IR_MAX_LOOPS];
  const struct affine *base[IR_MAX_LOOPS];
  int64_t size[IR_MAX_LOOPS];
  assert(!level && "the way looks at all loops of a sum");
  (void)level;
  for (int g = 0; g < t->loops.n; g++) {
    loop[g] = t->loops.loop[t->row_major[g]];
    base[g] = t->base[t->row_major[g]];
    size[g] = t->size[t->row_major[g]];
  }
  return runs_matrix_find(t->r, loops_type(t->kernel), loop, t->loops.n, base,
                          size, &m);
}

/* Results of matrix registers are stored row by row. */
static bool narrow_fits(struct tiles *t, int level) {
  unsigned n = ir_get_int(t->kernel, "matrix") ? t->across : t->npt;
  assert(!level && "the way looks at all loops of a sum");
  (void)level;
  for (unsigned i = 0; i + RUNS_NARROW <= n && !t->used; i++)
    t->used = runs_narrow_at_once(t->r->forms, t->lanes + i, t->at + i);
  return true;
}

static const struct way ways[] = {
    {"dot", 1, false, dot_fits},      {"wide", 0, false, wide_fits},
    {"plane", 0, false, plane_fits},  {"words", 1, false, words_fit},
    {"join", 2, true, join_fits},     {"matrix", -1, false, matrix_fits},
    {"narrow", 0, true, narrow_fits},
};

bool runs_kernel_fits(struct runs *r, const struct ir_op *kernel,
                      const struct ir_loops *loops, const char *attribute) {
  struct tiles t = {.r = r, .kernel = kernel, .loops = *loops};
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
    if (!strcmp(ways[i].name, attribute))
      t.way = &ways[i];
  if (!r->strides(r->places, ir_result(kernel), t.stride))
    ir_type_strides(ir_result(kernel)->type, t.stride);
  assert(t.way && "the attribute is a row of ways[]");
  for (int i = 0; i < t.loops.n; i++) {
    int g = 0;
    for (int j = 0; j < t.loops.n; j++)
      g += loops_comes_before(&t.loops.loop[j], &t.loops.loop[i]);
    t.row_major[g] = i;
  }
  const struct nest *parts = nest_parts(r->arena, kernel, &t.parts);
  if (parts)
    t.part = affine_new_var(r->forms, 0, parts->type->dim[t.parts] - 1,
                            t.loops.n + 1, false, 0);
  for (const struct ir_op *op = kernel->region[0]->first; op; op = op->next) {
    if (ir_ops[op->code].cls != IR_CONTRACT || (parts && parts->op != op))
      continue;
    t.n = runs_nest(r, op);
    t.nred = runs_reduced(t.n, t.red);
    bool sums = r->dot.k > 1 ? t.n->acc_type == r->dot.sum
                             : !ir_is_float(t.n->acc_type);
    if (!sums || !runs_is_product(t.n) || !tiles_fit(&t, 0))
      return false;
  }
  return !r->forms->overflow && (t.used || !t.way->some);
}
