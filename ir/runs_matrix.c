/* runs_matrix.c - sums of a tile by matrix registers (see runs.h): where their
 * blocks of rows and of columns begin, and whether what they multiply lies at equal
 * distances, rows of the first factor and runs of the second, without edges, the
 * same for all columns and for all rows. */
#include "ir/runs.h"

#include <assert.h>
#include <string.h>

int64_t runs_matrix_rows(const struct ir_loops *loops) {
  const struct ir_loop *last = NULL, *rows = NULL;
  for (int i = 0; i < loops->n; i++) {
    const struct ir_loop *l = &loops->loop[i];
    if (!last || loops_comes_before(last, l)) {
      rows = last;
      last = l;
    } else if (!rows || loops_comes_before(rows, l)) {
      rows = l;
    }
  }
  if (!rows)
    return 0;
  int64_t tile = dn_min(rows->tile, rows->extent);
  return dn_div_ceil(tile, dn_div_ceil(tile, RUNS_MATRIX_ROWS));
}

struct finder {
  struct runs *r;
  const struct ir_type *type;
  const struct ir_loop *loop;
  int nloops;
  const struct affine *const *base;
  struct runs_matrix *m;
};

/* Iterators at an index of each loop from the tile's first on. */
static void set_iters(const struct finder *f, const int64_t *at, unsigned lanes,
                      const struct affine **iter) {
  struct affines *forms = f->r->forms;
  const struct affine *form[IR_MAX_LOOPS], *idx[IR_MAX_RANK];
  forms->lanes = lanes;
  for (int g = 0; g < f->nloops; g++) {
    form[g] = affine_plus(forms, f->base[g], at[g]);
    if (lanes > 1 && g + 1 == f->nloops)
      form[g] = affine_add(forms, form[g], affine_lanes(forms, 1), 1);
  }
  loops_index(forms, f->type, f->loop, f->nloops, form, idx);
  runs_iters(forms, f->m->n, idx, iter);
}

/* Where an access reads, without edges; NULL: not at one place. */
static const struct affine *address(const struct finder *f, int access,
                                    const struct affine *const *iter) {
  struct run_address at;
  bool plain =
      runs_address(f->r, f->m->n, access, iter, &at) && at.leaf && !at.nchecked;
  return plain ? at.at : NULL;
}

/* The access goes on by `step` elements where the iterator goes on by `by`, up to
 * `extent`. */
static bool goes_on(const struct finder *f, int access,
                    const struct affine *const *iter, int inner, int64_t by,
                    int64_t extent, int64_t step) {
  struct affines *forms = f->r->forms;
  const struct affine *moved[NEST_MAX_ITERS], *from = address(f, access, iter);
  memcpy(moved, iter, (size_t)f->m->n->niters * sizeof *moved);
  unsigned var = affine_new_var(forms, 0, extent / by - 1, 1 << 20, false, 0);
  moved[inner] = affine_var(forms, var, by);
  const struct affine *at = address(f, access, moved);
  return from && at &&
         at == affine_add(forms, from, affine_var(forms, var, 1), step);
}

/* Rows of a block at equal distances, and their elements side by side. */
static bool rows_fit(const struct finder *f, int64_t *at, int rows,
                     const struct affine *const *iter) {
  const struct nest *n = f->m->n;
  const struct affine *first = address(f, 0, iter), *next;
  const struct affine *moved[NEST_MAX_ITERS];
  int inner = nest_inner_reduced(n);
  if (!first || first->varying ||
      !goes_on(f, 0, iter, inner, 1, n->iter[inner].extent, 1))
    return false;
  for (int64_t i = 1; i < f->m->rows; i++) {
    at[rows]++;
    set_iters(f, at, 1, moved);
    for (int j = 0; j < n->niters; j++)
      if (n->iter[j].reduced)
        moved[j] = iter[j];
    next = address(f, 0, moved);
    if (next && i == 1 && !f->m->step)
      f->m->step = next->c - first->c;
    if (!next || next != affine_plus(f->r->forms, first, i * f->m->step))
      return false;
  }
  at[rows] -= f->m->rows - 1;
  return true;
}

/* Runs of a block of columns at equal distances, a run in each lane. */
static bool columns_fit(const struct finder *f,
                        const struct affine *const *iter) {
  const struct nest *n = f->m->n;
  struct affines *forms = f->r->forms;
  const struct affine *first = address(f, 1, iter), *moved[NEST_MAX_ITERS];
  int inner = nest_inner_reduced(n);
  int64_t k = f->r->dot.k, extent = n->iter[inner].extent;
  memcpy(moved, iter, (size_t)n->niters * sizeof *moved);
  for (int64_t i = 1; first && i <= k && i < extent; i++) {
    moved[inner] = affine_const(forms, i);
    const struct affine *next = address(f, 1, moved);
    if (next && i == k && !f->m->run)
      f->m->run = next->c - first->c;
    if (!next || next != affine_plus(forms, first, i < k ? i : f->m->run))
      return false;
  }
  return first && first->varying && first->lane == k && extent % k == 0 &&
         (extent == k || goes_on(f, 1, iter, inner, k, extent, f->m->run));
}

static const struct affine **new_iters(const struct finder *f,
                                       const int64_t *at, unsigned lanes) {
  const struct affine **iter =
      DN_ARRAY(f->r->arena, const struct affine *, NEST_MAX_ITERS);
  set_iters(f, at, lanes, iter);
  return iter;
}

/* The access reads the same at all of the tile's indices of a loop. */
static bool stays(const struct finder *f, int access, int loop, int64_t size) {
  const struct affine *iter[NEST_MAX_ITERS], *first = NULL;
  int64_t at[IR_MAX_LOOPS] = {0};
  for (; at[loop] < size; at[loop]++) {
    set_iters(f, at, 1, iter);
    const struct affine *next = address(f, access, iter);
    first = first ? first : next;
    if (!next || next != first)
      return false;
  }
  return true;
}

/* The iterators with any values of the outer reduced ones. */
static void any_outer(const struct finder *f, const struct affine *const *iter,
                      const struct affine **out) {
  const struct nest *n = f->m->n;
  struct affines *forms = f->r->forms;
  int inner = nest_inner_reduced(n);
  memcpy(out, iter, (size_t)n->niters * sizeof *out);
  for (int i = 0; i < n->niters; i++)
    if (n->iter[i].reduced && i != inner && n->iter[i].extent > 1)
      out[i] = affine_var(
          forms,
          affine_new_var(forms, 0, n->iter[i].extent - 1, 1 << 20, false, 0),
          1);
}

/* Blocks that cover `size` rows or columns, from `first` on. */
static int64_t count_blocks(int64_t size, int64_t block) {
  return dn_max(1, dn_div_ceil(size, block));
}

/* Indices from `at` on, as many as a block has, are in the loop. */
static bool is_inside(const struct finder *f, int loop, int64_t at,
                      int64_t block) {
  int64_t lo, hi;
  affine_range(f->r->forms, f->base[loop], &lo, &hi);
  return lo + at >= 0 && hi + at + block <= f->loop[loop].extent;
}

static bool find_across(const struct finder *f, const int64_t *size) {
  struct runs_matrix *m = f->m;
  const struct affine *any[NEST_MAX_ITERS];
  int64_t at[IR_MAX_LOOPS] = {0}, wide = size[f->nloops - 1];
  m->nacross = (unsigned)count_blocks(wide, RUNS_MATRIX_ROWS);
  m->across = DN_ARRAY(f->r->arena, struct runs_block, m->nacross);
  m->skip_columns = dn_max(0, RUNS_MATRIX_ROWS - wide);
  m->ncolumns = wide + m->skip_columns;
  if (!stays(f, 0, f->nloops - 1, wide))
    return false;
  for (unsigned i = 0; i < m->nacross; i++) {
    int64_t from = dn_min(i * RUNS_MATRIX_ROWS, wide - RUNS_MATRIX_ROWS);
    at[f->nloops - 1] = from;
    m->across[i].at = from + m->skip_columns;
    m->across[i].iter = new_iters(f, at, RUNS_MATRIX_ROWS);
    any_outer(f, m->across[i].iter, any);
    if (!is_inside(f, f->nloops - 1, from, RUNS_MATRIX_ROWS) ||
        !columns_fit(f, any))
      return false;
  }
  return true;
}

static bool find_down(const struct finder *f, const int64_t *size) {
  struct runs_matrix *m = f->m;
  const struct affine *any[NEST_MAX_ITERS];
  int rows = f->nloops - 2;
  int64_t at[IR_MAX_LOOPS] = {0}, outer = 1, tall = size[rows];
  int64_t each = count_blocks(tall, m->rows);
  for (int g = 0; g <= rows; g++) {
    outer *= g < rows ? size[g] : 1;
    if (size[g] > 1 && !stays(f, 1, g, size[g]))
      return false;
  }
  m->ndown = (unsigned)(outer * each);
  m->down = DN_ARRAY(f->r->arena, struct runs_block, m->ndown);
  m->skip = dn_max(0, m->rows - tall);
  m->nrows = outer * (tall + m->skip);
  for (unsigned i = 0; i < m->ndown; i++) {
    at[rows] = dn_min(i % each * m->rows, tall - m->rows);
    m->down[i].at = i / each * (tall + m->skip) + at[rows] + m->skip;
    m->down[i].iter = new_iters(f, at, 1);
    any_outer(f, m->down[i].iter, any);
    if (!is_inside(f, rows, at[rows], m->rows) || !rows_fit(f, at, rows, any))
      return false;
    for (int g = rows; (i + 1) % each == 0 && g-- > 0;) {
      if (++at[g] < size[g])
        break;
      at[g] = 0;
    }
  }
  return true;
}

/* A step is of whole runs, as a register holds, and the sums of whole steps. */
static bool steps_fit(const struct runs *r, const struct runs_matrix *m) {
  int inner = nest_inner_reduced(m->n);
  return inner >= 0 && m->part > 0 && m->part <= r->dot.matrix &&
         m->part % r->dot.k == 0 && m->n->iter[inner].extent % m->part == 0;
}

bool runs_matrix_find(struct runs *r, const struct ir_type *type,
                      const struct ir_loop *loop, int nloops,
                      const struct affine *const *base, const int64_t *size,
                      struct runs_matrix *m) {
  struct finder f = {r, type, loop, nloops, base, m};
  unsigned lanes = r->forms->lanes;
  const struct nest *n = m->n;
  m->step = m->run = 0;
  bool fits = nloops >= 2 && m->rows > 0 && n->naccesses == 2 &&
              runs_is_product(n) && steps_fit(r, m) &&
              ir_arg(n->op, (unsigned)n->access[0].operand)->type->dtype ==
                  r->dot.factor &&
              ir_arg(n->op, (unsigned)n->access[1].operand)->type->dtype ==
                  r->dot.weights &&
              find_across(&f, size) && find_down(&f, size);
  r->forms->lanes = lanes;
  return fits;
}
