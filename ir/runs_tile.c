/* runs_tile.c - whether the sums of one tile go in runs (`dot`), over rows that
 * were widened (`wide`), over a copy of a channel (`plane`) or in words
 * (`words`), and whether two loops of them are one (`join`). */
#include "ir/runs.h"

#include <assert.h>
#include <string.h>

enum { RUN = 4, MOST_OUTER = 64, MOST_RUNS = 1024 };

/* The instruction for the products of a kernel whose schedule has it. */
struct ir_dot runs_dot_of(const struct ir_op *kernel,
                          const struct ir_facts *facts) {
  for (const struct ir_op *op = kernel->region[0]->first; op; op = op->next)
    if (ir_ops[op->code].cls == IR_CONTRACT) {
      struct ir_dot dot = ir_dot_of(facts, ir_arg(op, 1)->type->dtype);
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

int64_t runs_steps(const struct nest *n, int64_t unroll, int64_t run) {
  int inner = nest_inner_reduced(n);
  if (inner < 0 || n->iter[inner].size)
    return 1;
  return dn_max(1, dn_min(unroll, n->iter[inner].extent / run));
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

int64_t runs_narrow(struct dn_arena *arena, const struct ir_op *kernel) {
  const struct ir_op *op = ir_arg(kernel->region[0]->last, 0)->def;
  double zero;
  if (nest_onto(kernel) || !nest_narrows(nest_build(arena, op), &zero))
    return 0;
  return nest_narrows_products(op) ? 2 : 1;
}

bool runs_narrow_at_once(struct affines *f, const unsigned *lanes,
                         const struct affine *const *at) {
  for (int i = 0; i < RUNS_NARROW; i++)
    if (lanes[i] != RUNS_NARROW_LANES || !at[i]->varying || at[i]->lane != 1 ||
        at[i] != affine_plus(f, at[0], RUNS_NARROW_LANES * i))
      return false;
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
  if (!depth)
    return false;
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

/* ---- Windows that slide over a channel ---- */

bool runs_slide(struct runs *r, struct runs_plane *p) {
  const struct nest *n = p->n;
  if (!nest_slides(n, &p->win))
    return false;
  p->rows = p->win.red[0] < 0 ? 1 : n->iter[p->win.red[0]].extent;
  p->words = dn_div_ceil(n->iter[p->win.red[1]].extent, RUN);
  p->at = DN_ARRAY(r->arena, int64_t, p->npt);
  for (unsigned i = 0; i < p->npt; i++)
    for (int j = 0; j < n->niters; j++) {
      const struct affine *f = p->iter[i * NEST_MAX_ITERS + (unsigned)j];
      if (n->iter[j].reduced)
        continue;
      if (j != p->win.out[0] && j != p->win.out[1])
        p->depth = f->depth > p->depth ? f->depth : p->depth;
      const struct affine *by = affine_add(r->forms, f, p->iter[j], -1);
      if (!affine_is_const(by) || (by->c && j != p->win.out[1]))
        return false;
      if (j == p->win.out[1])
        p->at[i] = by->c * p->win.stride[1];
    }
  for (unsigned i = 1; i < p->npt; i++)
    if (p->at[i] <= p->at[i - 1])
      return false;
  return p->at[p->npt - 1] + RUN * p->words <= RUNS_MAX_PLANE;
}
