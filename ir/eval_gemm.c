/* eval_gemm.c - contractions as matrix products. A sum of products of two
 * accesses is one when some parallel iterators move only the first (rows), some
 * only the second (columns); iterators that move both are batches, the reduced
 * ones the depth. Both sides are filled into panels by the loops of
 * eval_nest.c, whatever their indices are, so that this file sees numbers only.
 * Each result is summed in the order of the reduced points, as the plain loops
 * do it. */
#include "ir/eval_nest.h"

#include <assert.h>
#include <string.h>

enum { ROWS = 64, COLUMNS = 128, DEPTH = EVAL_LANES, TILE = 4 };

/* Panels hold TILE rows each: element (row, k) at panel[row / TILE][k][row %
 * TILE]. Lanes are doubles or integers, as in union eval_lanes. */
struct panels {
  char *a, *b;
  double *c;
  int64_t column[COLUMNS]; /* offsets in y of the columns of a block */
};

void eval_gemm_plan(struct dn_arena *arena, struct eval_nest *e) {
  const struct nest *n = e->nest;
  if (n->fold != NEST_SUM || e->f32_sums || n->nnodes != 3 ||
      n->node[2].kind != NEST_CALL || n->node[2].fn != IR_S_MUL ||
      n->node[0].kind != NEST_ACCESS || n->node[1].kind != NEST_ACCESS ||
      n->node[0].arg[0] == n->node[1].arg[0] ||
      n->node[2].type != n->acc_type || n->acc_type == IR_BOOL)
    return;
  const struct eval_source *a = &e->source[n->node[0].arg[0]];
  const struct eval_source *b = &e->source[n->node[1].arg[0]];
  e->m.count = e->n.count = e->batch.count = 1;
  for (int k = 0; k < e->par.n; k++) {
    int i = e->par.iter[k];
    bool in_a = eval_source_uses(e, a, i), in_b = eval_source_uses(e, b, i);
    assert(!n->iter[i].reduced && "parallel iterators: compile_spaces()");
    eval_space_add(n, in_a && in_b ? &e->batch : in_b ? &e->n : &e->m, i);
  }
  if (e->m.count < 2 || e->n.count < 2 || e->red.count < 2 ||
      e->m.count * e->n.count < 16)
    return;
  e->gemm = e->lanes_red = true;
  struct panels *p = DN_NEW(arena, struct panels);
  int64_t depth = dn_min(e->red.count, DEPTH);
  int64_t rows = dn_align(dn_min(e->m.count, ROWS), TILE);
  int64_t columns = dn_align(dn_min(e->n.count, COLUMNS), TILE);
  p->a = dn_alloc_array(arena, (size_t)(rows * depth), sizeof(double));
  p->b = dn_alloc_array(arena, (size_t)(columns * depth), sizeof(double));
  p->c = DN_ARRAY(arena, double, rows *columns);
  e->panels = p;
}

/* The numbers of a source at rows [pos, pos + count) of a space, for the depth
 * [k, k + depth). */
static void fill_panels(struct eval_nest *e, struct eval_source *s,
                        const struct eval_space *rows, int64_t pos, int count,
                        int64_t k, int depth, char *panel) {
  assert(depth <= DEPTH && count <= COLUMNS && "run_block() cuts blocks");
  for (int row = 0; row < count; row++) {
    union eval_lanes lanes;
    eval_space_seek(e, rows, pos + row);
    eval_source_fill(e, s, k, depth, &lanes);
    eval_cast(s->from, s->to, &lanes, depth);
    char *to = panel + (row / TILE * TILE * depth + row % TILE) * 8;
    for (int i = 0; i < depth; i++)
      memcpy(to + i * TILE * 8, &lanes.i[i], 8);
  }
}

/* c[i][j] += sum over k of a[k][i] * b[k][j], TILE x TILE. */
#define MICRO(NAME, T)                                                         \
  static void NAME(int depth, const void *pa, const void *pb, void *pc,        \
                   int64_t ldc) {                                              \
    const T *restrict a = pa, *restrict b = pb;                                \
    T *restrict c = pc, acc[TILE][TILE];                                       \
    for (int i = 0; i < TILE; i++)                                             \
      for (int j = 0; j < TILE; j++)                                           \
        acc[i][j] = c[i * ldc + j];                                            \
    for (int k = 0; k < depth; k++, a += TILE, b += TILE)                      \
      for (int i = 0; i < TILE; i++)                                           \
        for (int j = 0; j < TILE; j++)                                         \
          acc[i][j] += a[i] * b[j];                                            \
    for (int i = 0; i < TILE; i++)                                             \
      for (int j = 0; j < TILE; j++)                                           \
        c[i * ldc + j] = acc[i][j];                                            \
  }
MICRO(micro_float, double)
MICRO(micro_int, uint64_t)

static void multiply(const struct panels *p, bool is_float, int rows,
                     int columns, int depth, int64_t ldc) {
  assert(depth > 0 && ldc % TILE == 0 &&
         "panels are whole tiles: eval_gemm_plan()");
  for (int j = 0; j < columns; j += TILE) {
    for (int i = 0; i < rows; i += TILE) {
      const char *a = p->a + (int64_t)i * depth * 8;
      const char *b = p->b + (int64_t)j * depth * 8;
      double *c = p->c + i * ldc + j;
      if (is_float)
        micro_float(depth, a, b, c, ldc);
      else
        micro_int(depth, a, b, c, ldc);
    }
  }
}

/* Position in y of the current point of a space, other iterators left aside. */
static int64_t position(const struct eval_nest *e, const struct eval_space *s) {
  int64_t at = 0;
  for (int k = 0; k < s->n; k++)
    at += e->ystride[s->iter[k]] * e->it[s->iter[k]];
  return at;
}

/* Rounds and writes one row of results; `at` is its position in y. */
static void store_row(struct eval_nest *e, const double *row, int columns,
                      int64_t at, char *out) {
  union eval_lanes lanes;
  assert(columns <= COLUMNS && COLUMNS <= EVAL_LANES &&
         "a row of a block fits the lanes");
  enum ir_dtype t = e->nest->acc_type;
  size_t size = ir_dtypes[e->type].bytes;
  memcpy(&lanes, row, (size_t)columns * sizeof *row);
  eval_round(t, &lanes, columns);
  eval_cast(t, e->type, &lanes, columns);
  const int64_t *column = e->panels->column;
  out += (size_t)at * size;
  bool dense = true;
  for (int j = 1; j < columns; j++)
    dense &= column[j] == column[0] + j;
  if (dense) {
    eval_store(e->type, out + (size_t)column[0] * size, &lanes, columns);
    return;
  }
  char bytes[COLUMNS * sizeof(double)];
  eval_store(e->type, bytes, &lanes, columns);
  for (int j = 0; j < columns; j++)
    memcpy(out + (size_t)column[j] * size, bytes + (size_t)j * size, size);
}

/* Results at rows [m, m + rows) and columns [n, n + columns) of a batch. */
static void run_block(struct eval_nest *e, int64_t m, int rows, int64_t n,
                      int columns, char *out) {
  assert(rows <= ROWS && columns <= COLUMNS && "eval_gemm_run() cuts blocks");
  struct panels *p = e->panels;
  const struct nest *nest = e->nest;
  struct eval_source *a = &e->source[nest->node[0].arg[0]];
  struct eval_source *b = &e->source[nest->node[1].arg[0]];
  int64_t ldc = dn_align(columns, TILE);
  memset(p->c, 0, (size_t)(dn_align(rows, TILE) * ldc) * sizeof *p->c);
  for (int64_t k = 0; k < e->red.count; k += DEPTH) {
    int depth = (int)dn_min(DEPTH, e->red.count - k);
    fill_panels(e, a, &e->m, m, rows, k, depth, p->a);
    fill_panels(e, b, &e->n, n, columns, k, depth, p->b);
    multiply(p, ir_is_float(nest->acc_type), rows, columns, depth, ldc);
  }
  for (int j = 0; j < columns; j++) {
    eval_space_seek(e, &e->n, n + j);
    p->column[j] = position(e, &e->n);
  }
  for (int i = 0; i < rows; i++) {
    eval_space_seek(e, &e->m, m + i);
    store_row(e, p->c + i * ldc, columns,
              position(e, &e->m) + position(e, &e->batch), out);
  }
}

void eval_gemm_run(struct eval_nest *e, void *out) {
  assert(e->gemm && e->panels && "eval_gemm_plan() found a matrix product");
  if (e->red.count == 0 || e->m.count * e->n.count == 0)
    return;
  for (int64_t batch = 0; batch < e->batch.count; batch++) {
    eval_space_seek(e, &e->batch, batch);
    for (int64_t m = 0; m < e->m.count; m += ROWS) {
      int rows = (int)dn_min(ROWS, e->m.count - m);
      for (int64_t n = 0; n < e->n.count; n += COLUMNS)
        run_block(e, m, rows, n, (int)dn_min(COLUMNS, e->n.count - n), out);
    }
  }
}
