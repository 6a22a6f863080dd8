/* runs_tile.c - whether the sums of a kernel go in runs (`dot`), and in rows
 * that were widened (`wide`), in every tile of its loops: what the pass `loops`
 * writes, and code generation relies on. */
#include "ir/runs.h"

#include <assert.h>
#include <string.h>

enum { RUN = 4, MOST_OUTER = 64, MOST_RUNS = 1024 };

/* The instruction for the products of a kernel whose schedule has it. */
struct ir_dot runs_dot_of(const struct ir_op *kernel,
                          const struct ir_facts *facts) {
  for (const struct ir_op *op = kernel->region[0]->first; op; op = op->next)
    for (unsigned i = 0; ir_ops[op->code].cls == IR_CONTRACT && i < 2; i++) {
      struct ir_dot dot = ir_dot_of(facts, ir_arg(op, i)->type->dtype);
      if (dot.k > 1 && dot.k == ir_get_int(kernel, "dot"))
        return dot;
    }
  return (struct ir_dot){.k = 1};
}

bool runs_is_product(const struct nest *n) {
  const struct nest_node *root = &n->node[n->nnodes - 1];
  return n->fold == NEST_SUM && root->kind == NEST_CALL &&
         root->fn == IR_S_MUL && n->acc_type != IR_BOOL;
}

int runs_reduced(const struct nest *n, int *red) {
  int nred = 0;
  for (int i = 0; i < n->niters; i++)
    if (n->iter[i].reduced && n->iter[i].extent > 1)
      red[nred++] = i;
  return nred;
}

bool runs_sum_fits(struct runs *r, const struct nest *n, const unsigned *lanes,
                   const struct affine **iter, unsigned npt, int inner,
                   int64_t extent) {
  int64_t run = r->dot.k, rest = extent % run;
  for (unsigned p = 0; p < npt; p++) {
    const struct affine **at = iter + (size_t)p * NEST_MAX_ITERS;
    if (p && lanes[p] == lanes[p - 1])
      continue;
    if (extent >= run &&
        (!runs_fit(r, n, lanes[p], at, inner, 0, run) ||
         !runs_fit(r, n, lanes[p], at, inner, extent - rest - run, run)))
      return false;
    if (rest && !runs_fit(r, n, lanes[p], at, inner, extent - rest, rest))
      return false;
  }
  return true;
}

/* ---- Rows that are widened ---- */

static bool uses(const struct nest *n, int access, int iter) {
  for (int d = 0; d < n->access[access].rank; d++)
    if (n->access[access].idx[d].coef[iter])
      return true;
  return false;
}

/* Numbers the points by what an access sees of them. */
static unsigned number_points(struct runs_wide *w, int access, unsigned *number,
                              unsigned *point) {
  unsigned count = 0;
  for (unsigned p = 0; p < w->npt; p++) {
    unsigned q = 0;
    for (bool same = false; q < count; q++) {
      same = true;
      for (int i = 0; i < w->n->niters; i++)
        same &= w->n->iter[i].reduced || !uses(w->n, access, i) ||
                w->iter[p * NEST_MAX_ITERS + (unsigned)i] ==
                    w->iter[point[q] * NEST_MAX_ITERS + (unsigned)i];
      if (same)
        break;
    }
    number[p] = q;
    if (q == count)
      point[count++] = p;
  }
  return count;
}

/* Sets the reduced iterators but the innermost one of all points. */
static void set_outer(struct runs *r, struct runs_wide *w, int64_t number) {
  for (int i = w->nred - 1; i-- > 0;) {
    int64_t extent = w->n->iter[w->red[i]].extent;
    for (unsigned p = 0; p < w->npt; p++)
      w->iter[p * NEST_MAX_ITERS + (unsigned)w->red[i]] =
          affine_const(r->forms, number % extent);
    number /= extent;
  }
}

/* The weights of a column lie at equal distances, runs filled up. */
static bool find_weights(struct runs *r, struct runs_wide *w, unsigned column,
                         int64_t number) {
  int64_t runs = w->whole + (w->rest > 0), lo, hi;
  const struct affine **iter =
      w->iter + (size_t)w->of_column[column] * NEST_MAX_ITERS;
  struct run_address at;
  for (int64_t i = 0; i < runs; i++) {
    if (!runs_address_at(r, w->n, 1, iter, w->red[w->nred - 1], i * RUN, &at) ||
        !at.leaf || at.nchecked || !at.leaf->data ||
        (w->weights && w->weights != at.leaf))
      return false;
    w->weights = at.leaf;
    affine_range(r->forms, at.at, &lo, &hi);
    if (number + i == 0)
      w->first[column] = at.at;
    if (number + i == 1)
      w->step = at.at->c - w->first[column]->c;
    if (at.at !=
            affine_plus(r->forms, w->first[column], (number + i) * w->step) ||
        hi + RUN > ir_type_count(at.leaf->type))
      return false;
  }
  return true;
}

static bool rows_and_weights_fit(struct runs *r, struct runs_wide *w) {
  int inner = w->red[w->nred - 1];
  for (int64_t o = 0; o < w->outer; o++) {
    set_outer(r, w, o);
    for (unsigned row = 0; row < w->nrows; row++) {
      const unsigned one = 1;
      if (!runs_sum_fits(r, w->n, &one,
                         w->iter + (size_t)w->of_row[row] * NEST_MAX_ITERS, 1,
                         inner, w->n->iter[inner].extent))
        return false;
    }
    for (unsigned c = 0; c < w->ncolumns; c++)
      if (!find_weights(r, w, c, o * (w->whole + (w->rest > 0))))
        return false;
  }
  return true;
}

bool runs_rows_outside(const struct runs_wide *w, int depth) {
  for (unsigned p = 0; p < w->npt; p++)
    for (int i = 0; i < w->n->niters; i++)
      if (!w->n->iter[i].reduced && uses(w->n, 0, i) &&
          w->iter[p * NEST_MAX_ITERS + (unsigned)i]->depth >= depth)
        return false;
  return true;
}

bool runs_widen(struct runs *r, struct runs_wide *w) {
  const struct nest *n = w->n;
  if (!w->nred || n->naccesses != 2 || n->access[0].flat || n->access[1].flat)
    return false;
  unsigned *number = DN_ARRAY(r->arena, unsigned, 4 * w->npt);
  w->row = number, w->column = number + w->npt;
  w->of_row = number + 2 * w->npt, w->of_column = number + 3 * w->npt;
  w->nrows = number_points(w, 0, w->row, w->of_row);
  w->ncolumns = number_points(w, 1, w->column, w->of_column);
  w->first = DN_ARRAY(r->arena, const struct affine *, w->ncolumns);
  w->whole = n->iter[w->red[w->nred - 1]].extent / RUN;
  w->rest = n->iter[w->red[w->nred - 1]].extent % RUN;
  w->outer = 1;
  for (int i = 0; i + 1 < w->nred; i++)
    if (!dn_mul(w->outer, n->iter[w->red[i]].extent, &w->outer) ||
        w->outer > MOST_OUTER)
      return false;
  w->runs = w->outer * (w->whole + (w->rest > 0));
  return w->runs <= MOST_RUNS / (int64_t)w->nrows && rows_and_weights_fit(r, w);
}

/* ---- All tiles ---- */

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
  const struct affine **iter; /* of the points of a tile */
  unsigned *lanes, npt;
  bool wide; /* else dot */
};

/* The sum from reduced iterator `level` on: those that are straight code by
 * each value, of others any. */
static bool sum_fits(struct tiles *t, int level) {
  const struct nest_iter *it = &t->n->iter[t->red[level]];
  struct affines *f = t->r->forms;
  int64_t unroll = ir_get_at(t->kernel, "unroll", 0);
  if (it->size && level + 1 == t->nred)
    return false;
  if (level + 1 == t->nred)
    return runs_sum_fits(t->r, t->n, t->lanes, t->iter, t->npt, t->red[level],
                         it->extent);
  bool straight =
      !it->size && nest_steps_from(t->n, t->red[level], t->r->dot.k) <= unroll;
  for (int64_t i = 0; i < (straight ? it->extent : 1); i++) {
    const struct affine *at = affine_const(f, i);
    if (!straight)
      at = affine_var(f,
                      affine_new_var(f, 0, it->extent - 1,
                                     t->loops.n + 1 + level, false, 0),
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
  runs_iters(f, t->n, idx, t->iter + (size_t)t->npt++ * NEST_MAX_ITERS);
}

static bool tile_fits(struct tiles *t) {
  int64_t vec = ir_get_int(t->kernel, "vec"), rows = 1, at[IR_MAX_LOOPS] = {0};
  int last = t->loops.n - 1;
  int64_t columns = last < 0 ? 1 : t->size[t->row_major[last]];
  bool along = t->r->dot.shape == IR_DOT_ALONG && columns % vec == 0;
  for (int g = 0; g < last; g++)
    rows *= t->size[t->row_major[g]];
  t->npt = 0;
  t->lanes = DN_ARRAY(t->r->arena, unsigned, rows *columns);
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
  }
  if (!t->wide)
    return !t->nred || sum_fits(t, 0);
  struct runs_wide w = {.n = t->n,
                        .iter = t->iter,
                        .npt = t->npt,
                        .red = t->red,
                        .nred = t->nred};
  return !runs_rows_outside(&w, t->depth) || runs_widen(t->r, &w);
}

static bool tiles_fit(struct tiles *t, int level);

/* At most `count` tiles of one size, the first of which starts at `from`. */
static bool same_tiles_fit(struct tiles *t, int level, int64_t from,
                           int64_t tile, int64_t count, int64_t most) {
  struct affines *f = t->r->forms;
  int depth = t->depth;
  if (!count)
    return true;
  t->size[level] = tile;
  t->base[level] = affine_const(f, from);
  if (count > 1) {
    t->depth = level + 1;
    unsigned var = affine_new_var(f, 0, count - 1, level + 1, false, 0);
    t->base[level] = affine_add(f, t->base[level], affine_var(f, var, 1), tile);
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

bool runs_kernel_fits(struct runs *r, const struct ir_op *kernel,
                      const struct ir_loops *loops, bool wide) {
  struct tiles t = {.r = r, .kernel = kernel, .loops = *loops, .wide = wide};
  for (int i = 0; i < t.loops.n; i++) {
    int g = 0;
    for (int j = 0; j < t.loops.n; j++)
      g += loops_comes_before(&t.loops.loop[j], &t.loops.loop[i]);
    t.row_major[g] = i;
  }
  for (const struct ir_op *op = kernel->region[0]->first; op; op = op->next) {
    if (ir_ops[op->code].cls != IR_CONTRACT)
      continue;
    t.n = runs_nest(r, op);
    t.nred = runs_reduced(t.n, t.red);
    if (!runs_is_product(t.n) || t.n->acc_type != r->dot.sum ||
        !tiles_fit(&t, 0))
      return false;
  }
  return !r->forms->overflow;
}
