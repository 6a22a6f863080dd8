/* tile_matrix.c - products by matrix registers: the tile, by a model of the time.
 *
 * A register has up to 16 rows. A product of two of them (16 rows by 16 columns)
 * takes a cycle a row, LEAST at least; the registers that it multiplies are loaded at
 * two rows a cycle, or fewer from the second cache, and two by two of them share
 * loads. Vectors make 128 products of bytes a cycle. What follows the sums takes the
 * same time either way.
 *
 * before:  %1 = conv %x, @w {pads=[1,1,1,1], outside=7, to=i32} : i32[1,8,8,64]
 * after:   %2 = kernel do { pad %x {pads=[0,1,1,0,0,1,1,0], value=7} : u8[1,10,10,64] }
 *          %1 = conv %2, @w {to=i32} : i32[1,8,8,64]     (in kernel {matrix=64, ...}) */
#include "passes/tile_matrix.h"

#include "passes/edit.h"
#include "passes/tile.h"

#include <string.h>

enum {
  ROWS = 16,      /* of a register, and columns of its products */
  LEAST = 9,      /* cycles of a product */
  FAR = 52,       /* cycles to load 32 columns from the second cache */
  PASS = 40,      /* cycles to clear and store sums, beside other work */
  SETUP = 700,    /* cycles to set the registers up and give them back */
  MOST_ROWS = 64, /* of a tile */
  VECTOR = 128,   /* products of vectors in a cycle */
  VECTOR_BF16 = 32
};

struct shape {
  int64_t rows, outer; /* of the last loop over rows, and of those around */
  int64_t columns, steps;
  bool apart;  /* each of those around has columns of its own */
  bool far;    /* a panel of columns does not stay in the first cache */
  bool remote; /* the columns do not stay in the second */
};

/* Cycles of `rows` rows in blocks of `block`, against 32 columns. */
static double pass_cycles(const struct shape *s, int64_t rows, int64_t block) {
  double cycles = 0, product = (double)dn_max(block, LEAST);
  for (int64_t n = dn_div_ceil(rows, block); n > 0; n -= 2) {
    double load = (double)((s->far ? FAR : ROWS) + (n > 1 ? block : block / 2));
    double products = (n > 1 ? 4 : 2) * product;
    cycles += (double)s->steps * (products > load ? products : load) + PASS;
  }
  return cycles;
}

/* Cycles of all, where a tile has so many rows of the last loop, and of the one
 * around it. */
static double cycles(const struct shape *s, int64_t tile, int64_t outer) {
  int64_t block = dn_div_ceil(tile, dn_div_ceil(tile, ROWS));
  int64_t times = dn_div_ceil(s->outer, outer);
  double one = (double)(s->rows / tile) * pass_cycles(s, tile * outer, block);
  if (s->rows % tile)
    one += pass_cycles(s, s->rows % tile * outer, block);
  return one * (double)times * (double)dn_div_ceil(s->columns, 2 * ROWS);
}

/* Weights come from beyond the second cache, and are read by one tile of rows. */
static bool is_once(const struct shape *s, int64_t tile, int64_t outer) {
  return s->remote && tile == s->rows && (s->apart || outer == s->outer);
}

/* Rows of a tile; of two loops, the outer one is cut where a row of the inner one
 * is one block. */
static double choose_rows(const struct shape *s, int64_t *tile,
                          int64_t *outer) {
  double least = 1e300;
  *tile = *outer = 1;
  for (int64_t t = dn_min(s->rows, MOST_ROWS); t > 0; t--) {
    bool both = t <= ROWS && !s->apart;
    int64_t most = both ? dn_min(s->outer, MOST_ROWS / t) : 1;
    for (int64_t o = dn_min(most, 2); o <= most; o += dn_max(1, most - o)) {
      double tall = is_once(s, t, o)              ? 0.98
                    : t * o > 2 * ROWS && !s->far ? 1.02
                                                  : 1;
      double c = cycles(s, t, o) * tall;
      if (c < least * 0.995) {
        least = c;
        *tile = t;
        *outer = o;
      }
    }
  }
  return least;
}

/* Passes over a tile: each of two blocks of rows and two of columns. */
static int64_t count_passes(int64_t tile, int64_t outer, int64_t columns) {
  int64_t blocks = outer * dn_div_ceil(tile, ROWS);
  return dn_div_ceil(blocks, 2) * dn_div_ceil(columns, 2 * ROWS);
}

/* Columns of a tile: four vectors are packed at once where they divide. Weights
 * that are read once have panels of one pass, read from end to end. */
static int64_t choose_columns(int64_t columns, bool once) {
  static const int64_t of[] = {64, 48, 32};
  if (once && columns % (2 * ROWS) == 0)
    return 2 * ROWS;
  for (size_t i = 0; i < DN_COUNT(of); i++)
    if (columns % of[i] == 0)
      return of[i];
  return dn_align(dn_min(columns, of[0]), ROWS);
}

/* The most elements of a sum, up to a register's row, that divide it in runs. */
static int64_t choose_step(const struct tiling *k, int64_t extent) {
  if (k->dot.shape != IR_DOT_SPREAD || k->lanes != ROWS)
    return 0;
  for (int64_t step = k->dot.matrix; step > 0; step -= k->dot.k)
    if (extent % step == 0)
      return step;
  return 0;
}

/* Everything that is read is inside. */
static bool is_plain(const struct nest *n) {
  for (int d = 0; d < n->access[0].rank; d++)
    if (!nest_index_is_plain(&n->access[0].idx[d]))
      return false;
  return !n->access[0].flat && n->access[0].npieces == 1;
}

/* The contraction, if the kernel folds nothing else. */
static struct ir_op *only_fold(const struct ir_op *kernel) {
  struct ir_op *found = NULL;
  for (struct ir_op *op = kernel->region[0]->first; op; op = op->next) {
    enum ir_class cls = ir_ops[op->code].cls;
    if (cls == IR_REDUCE || (cls == IR_CONTRACT && found))
      return NULL;
    found = cls == IR_CONTRACT ? op : found;
  }
  return found;
}

/* A kernel before this one copies the operand with its padding. */
static bool pad_operand(struct tiling *k, struct ir_op *conv) {
  struct ir_builder b = edit_before(k->op);
  struct ir_value *y = edit_padded(&b, conv);
  if (!y)
    return false;
  struct ir_op *move = y->def, *copy = edit_kernel(move, move);
  ir_op_move(move, copy->region[0], copy->region[0]->last);
  tile_kernel(k->env, k->aliases, copy, 1);
  ir_set_operand(conv, 0, ir_result(copy));
  ir_drop_attr(conv, "pads");
  ir_drop_attr(conv, "outside");
  k->n = nest_build(k->tmp, conv);
  return true;
}

static struct shape shape_of(const struct tiling *k, int iter, bool merged) {
  int rows = k->dim[k->ndims - 2],
      more = k->ndims > 2 ? k->dim[k->ndims - 3] : -1;
  struct shape s = {.rows = k->type->dim[rows],
                    .outer = 1,
                    .steps = 1,
                    .columns = k->n->iter[iter].extent};
  s.apart = more >= 0 && tile_step(k, 1, nest_dim_iter(k->n, more));
  for (int i = 0; i < k->ndims - 2; i++)
    *(merged && k->dim[i] == more ? &s.rows : &s.outer) *=
        k->type->dim[k->dim[i]];
  for (int i = 0; i < k->n->niters; i++)
    if (k->n->iter[i].reduced)
      s.steps *= k->n->iter[i].extent;
  return s;
}

/* A convolution: its row has the attribute. */
static bool has_outside(const struct ir_op *op) {
  struct ir_attr_spec spec;
  return ir_op_attr_spec(op->code, "outside", strlen("outside"), &spec);
}

bool tile_matrix(struct tiling *k, int iter, bool merged) {
  int inner = nest_inner_reduced(k->n);
  struct ir_op *op = only_fold(k->op);
  if (!op || k->dot.k < 2 || k->ndims < 2 || inner < 0 ||
      ir_type_is_sized(k->type) || k->n->iter[iter].extent < ROWS)
    return false;
  int64_t step = choose_step(k, k->n->iter[inner].extent), tile, outer;
  bool plain = is_plain(k->n);
  int row = nest_dim_iter(k->n, k->dim[k->ndims - 2]);
  if (!step || (!plain && !has_outside(op)) || tile_step(k, 1, row))
    return false;
  struct shape s = shape_of(k, iter, merged);
  double vectors = (double)s.rows * (double)s.outer * (double)s.columns *
                   (double)s.steps /
                   (k->dot.weights == IR_BF16 ? VECTOR_BF16 : VECTOR);
  int64_t bytes = ir_dtypes[k->dot.weights].bytes * s.steps;
  s.far = 4 * ROWS * bytes > k->env->target->l1 * 3 / 4;
  s.remote = s.columns * bytes > k->env->target->l2 / 4;
  s.steps /= step;
  double own = choose_rows(&s, &tile, &outer) + SETUP;
  if (!plain) /* two bytes a cycle and more, both ways */
    own += (double)ir_type_bytes(ir_arg(op, 0)->type) / 16 + SETUP;
  if (own * 1.2 > vectors || (!plain && !pad_operand(k, op)))
    return false;
  int rows = k->dim[k->ndims - 2];
  k->matrix = step;
  k->tile[rows] = tile;
  if (k->ndims > 2 && !merged)
    k->tile[k->dim[k->ndims - 3]] = outer;
  k->unroll = 1;
  k->vec = k->lanes;
  int64_t columns = choose_columns(s.columns, is_once(&s, tile, outer));
  k->tile[k->dim[k->ndims - 1]] = columns;
  k->passes = count_passes(tile, outer, columns);
  if (k->dim[k->ndims - 1] != k->type->rank - 1)
    k->tile[k->type->rank - 1] = k->vec;
  return true;
}
