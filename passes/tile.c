/* tile.c - chooses register tile, vector length and unrolling from the target's
 * facts. A contraction gets a block of rows and vectors (tile_block.h), and
 * when its weights do not stay in the cache, an order of loops that reads them
 * once, the next panel being fetched meanwhile. The lanes go along the last
 * dimension when the operands are contiguous or equal along it, or worth
 * packing so, which `pack` then does, else along the innermost reduced
 * iterator. Where both operands change along the lanes (depthwise), and in
 * pooling, several neighbours of a row share what they load; on cores without
 * vectors sums of bytes may take one channel after the other. What is read
 * along another dimension than it is written along is transposed, square by
 * square. Kernels that have a schedule keep it. max_unroll=0 is 4, and at -O1
 * and -Os 1, but for a row of a window of integers at -Os.
 *
 * before:  %y = kernel : f32[1,56,56,64] do { ... conv, bias, relu ... }
 * after:   %y = kernel {tile=[1,1,6,64], unroll=[2], vec=16} : ... */
#include "passes/tile.h"

#include "passes/edit.h"
#include "passes/pack.h"
#include "passes/tile_lanes.h"
#include "passes/tile_move.h"
#include "passes/tile_product.h"

#include <assert.h>
#include <string.h>

enum {
  MAX_NEIGHBOURS = 8, /* results of a row that share loads */
  MOST_APART = 32768  /* bytes of an operand and what cannot lie over it */
};

/* Lanes along the innermost reduced iterator, in several chains; rows share
 * what they load of the other operand. */
static void reduce_lanes(struct tiling *k, int inner) {
  int64_t extent = k->n->iter[inner].extent;
  k->vec = k->lanes;
  assert(k->n->nstates > 0 &&
         "tile_kernel() has orders and scatters elsewhere: nest_onto()");
  int64_t chains = (k->env->target->vector_regs - 4) / k->n->nstates;
  k->unroll = dn_max(1, dn_min(dn_min(4, chains), extent / k->lanes));
  if (k->n->naccesses < 2 || k->ndims < 2)
    return;
  int d = k->dim[k->ndims - 2];
  k->tile[d] = dn_min(4, k->type->dim[d]);
  k->unroll = 1;
}

/* One thing at a time, or a vector of 16 bytes. */
static bool is_small(const struct ir_facts *t) {
  return !t->vector_bytes || (t->bare_metal && !t->scalable);
}

/* Products of 8-bit numbers where a word of them is a step: the DSP
 * extension. */
static bool are_words(const struct tiling *k) {
  const struct ir_facts *t = k->env->target;
  bool bytes = k->n->naccesses == 2 && k->n->nnodes == 3 && t->dot_k == 4 &&
               t->dot_step < 4 && t->dot_shape == IR_DOT_ALONG && k->ndims &&
               k->type->dim[k->dim[k->ndims - 1]] % 4 == 0;
  for (unsigned i = 0; bytes && i < 2; i++)
    bytes = ir_arg(k->n->op, i)->type->dtype == IR_I8;
  return bytes;
}

/* Windows slide over copies of one channel after the other, whose results of a
 * row share what they load (codegen/emit/plane.c). */
static bool tile_plane(struct tiling *k) {
  struct nest_window w;
  const struct ir_facts *t = k->env->target;
  int n = k->ndims;
  bool halves =
      t->dot_k == 4 && t->dot_step < 4 && t->dot_shape == IR_DOT_ALONG;
  if (t->vector_bytes || (!halves && t->walk != IR_WALK_POINTERS) ||
      !nest_slides(k->n, &w) || n < 2 ||
      nest_dim_iter(k->n, k->dim[n - 2]) != w.out[1] ||
      (w.out[0] >= 0 &&
       (n < 3 || nest_dim_iter(k->n, k->dim[n - 3]) != w.out[0])))
    return false;
  const struct ir_type *x = ir_arg(k->n->op, 0)->type;
  if (k->env->target->bare_metal && !ir_same_dims(x, k->n->type) &&
      ir_type_bytes(x) + ir_type_count(k->type) > MOST_APART)
    return false;
  int64_t extent = k->type->dim[k->dim[n - 2]];
  const char *rows = k->env->opts->opt_size ? "\2\3\5\1" : "\4\6\5\3\2\4";
  while (extent % *rows && rows[1])
    rows++;
  k->tile[k->dim[n - 2]] = dn_min(*rows, extent);
  k->panels_first = k->plane = true;
  return true;
}

/* Several results of a row at once: windows overlap, weights are shared. */
static void tile_neighbours(struct tiling *k, int iter) {
  if (tile_plane(k))
    return;
  k->dot = tile_dot(k, iter);
  if (k->dot.k > 1)
    k->lanes = dn_min(k->lanes, k->dot.lanes);
  int64_t group = tile_group(k, tile_count_ops(k) <= TILE_FEW_OPS ? 2 : 1);
  int64_t most = dn_min(MAX_NEIGHBOURS, tile_registers(k) / group / 4);
  bool straight = is_small(k->env->target) && !ir_is_float(k->n->acc_type);
  if (straight && are_words(k)) { /* four lanes are a word */
    k->lanes = 4;
    most = 1;
  }
  if (straight && k->env->target->vector_bytes)
    most = (tile_registers(k) / group - 2) / 2;
  int64_t vectors = group, rows = 1;
  if (k->ndims > 1) {
    int d = k->dim[k->ndims - 2];
    int64_t extent = k->type->dim[d];
    rows = dn_div_ceil(extent, dn_div_ceil(extent, dn_max(most, 1)));
    while (k->env->opts->opt_size && extent % rows)
      rows--;
    k->tile[d] = rows;
  }
  k->words = straight && are_words(k) && k->dot.k == 1;
  if (rows == 1 && !(straight && are_words(k)) &&
      !k->env->target->scalable) /* chains to hide latency */
    vectors =
        dn_max(group, dn_min(4, k->type->dim[k->dim[k->ndims - 1]] / k->lanes));
  tile_vectors(k, vectors);
  k->unroll = tile_unroll(k, rows * vectors / group, tile_registers(k) / group);
  int inner = k->env->opts->opt_size ? nest_inner_reduced(k->n) : 0;
  int64_t window = nest_steps_from(k->n, inner < 0 ? 0 : inner, k->dot.k);
  if ((straight || k->dot.k > 1) &&
      (k->max_unroll > 1 || k->env->opts->opt_size) && window <= TILE_WINDOW)
    k->unroll = window; /* its rows are found outside of the lanes' loop */
}

/* A running fold: one index of its dimension after another, several vectors
 * along the last one. */
static void tile_carried(struct tiling *k) {
  int last = k->ndims ? k->dim[k->ndims - 1] : -1;
  int iter = last < 0 ? -1 : nest_dim_iter(k->n, last);
  if (iter < 0 || last == k->n->carried || k->lanes == 1 ||
      !tile_all_fit(k, iter))
    return;
  int64_t vectors = dn_max(1, dn_min(4, k->type->dim[last] / k->lanes));
  tile_vectors(k, k->env->target->scalable ? 1 : vectors);
}

/* Slices put onto an operand, one after another: a few vectors of each. */
static void tile_onto(struct tiling *k) {
  int last = k->type->rank - 1;
  k->lanes = k->env->target->vector_bytes / tile_lane_bytes(k->type->dtype);
  int64_t vectors = k->lanes ? k->type->dim[last] / k->lanes : 0;
  if (last == 0 || k->lanes < 2 || !vectors)
    return;
  k->vec = k->lanes;
  k->tile[last] = dn_min(4, vectors) * k->vec;
}

/* Vectors of a reduction from which on they pay: lanes of several states are
 * merged at the cost of a few vectors. */
static int64_t least_vectors(const struct nest *n) {
  return n->nstates > 1 ? 2 : 1;
}

static void tile_anchor(struct tiling *k) {
  const struct nest *n = k->n;
  int iter = k->ndims ? nest_dim_iter(n, k->dim[k->ndims - 1]) : -1;
  int inner = nest_inner_reduced(n);
  bool columns = iter >= 0 && tile_all_fit(k, iter);
  if (!columns) /* what follows the fold is computed once a result */
    k->lanes = tile_count_lanes(k, n->op);
  bool along = inner >= 0 && tile_all_fit(k, inner) &&
               n->iter[inner].extent >= k->lanes * least_vectors(n) &&
               k->lanes > 1;
  if (!columns && along)
    reduce_lanes(k, inner);
  else if (columns && n->naccesses > 1 && tile_moving(k, iter) == 1)
    tile_product(k, iter);
  else if (columns)
    tile_neighbours(k, iter);
  else
    k->unroll = tile_unroll(k, 1, tile_registers(k));
}

/* Reductions of rows and maps of them. Lanes go along the last dimension,
 * within a row or across rows; within, a few rows at once hide the latency of
 * folding the lanes together, as many as the registers hold of what a map
 * computes with. */
static void tile_rows(struct tiling *k, uint64_t within) {
  int last = k->dim[k->ndims - 1], d = k->ndims > 1 ? k->dim[k->ndims - 2] : -1;
  int64_t extent = k->type->dim[last];
  k->unroll = tile_unroll(k, 1, tile_registers(k));
  if (k->lanes == 1)
    return;
  tile_vectors(k, dn_max(1, dn_min(4, extent / k->lanes)));
  if (!(within >> last & 1))
    return;
  k->scalable = false; /* folded together lane by lane */
  k->vec = k->tile[last] = k->tile[k->type->rank - 1] = k->lanes;
  if (d < 0 || within >> d & 1)
    return;
  k->tile[d] = dn_min(dn_max(tile_registers(k) / 8, 1), k->type->dim[d]);
  if (k->tile[d] > 1)
    k->unroll = dn_min(k->unroll, 2);
}

/* Squares that are read along one dimension, transposed in half the registers,
 * in steps of powers of two, and written along the last, lines of the cache
 * whole on both sides. */
static bool tile_transposed(struct tiling *k, struct dn_arena *tmp) {
  enum { LINE = 64 };
  int last = k->dim[k->ndims - 1];
  int64_t most = dn_min(k->lanes, k->env->target->vector_regs / 2), side = 1;
  while (side * 2 <= most)
    side *= 2;
  if (side < 2 || k->env->target->scalable) /* those load with strides */
    return false;
  int64_t runs = tile_runs(tmp, k->aliases, k->op);
  if (runs && runs <= side) {
    k->read_along = last;
    k->lanes = side;
    tile_vectors(k, runs);
    return true;
  }
  k->read_along = tile_read_dim(tmp, k->aliases, k->op, last, side);
  if (k->read_along < 0)
    return false;
  int64_t line = LINE / ir_dtypes[k->type->dtype].bytes;
  k->lanes = side;
  tile_vectors(k, dn_max(1, dn_min(line, k->type->dim[last]) / side));
  k->tile[k->read_along] = side;
  return true;
}

/* Whole vectors; a few at once where that is little code. Without them a row of a
 * few integers, whose loop would be more than its elements, at once. */
static void tile_map(struct tiling *k, struct dn_arena *tmp) {
  const struct ir_facts *t = k->env->target;
  bool few = tile_count_ops(k) <= TILE_FEW_OPS && !t->scalable &&
             !k->env->opts->opt_size;
  if (k->ndims && k->lanes > 1 && !tile_transposed(k, tmp))
    tile_vectors(k, few ? 4 : 2);
  int last = k->ndims ? k->dim[k->ndims - 1] : 0;
  if (k->ndims && few && !t->vector_bytes && !t->soft_f32 &&
      !ir_is_float(k->type->dtype) && k->type->dim[last] <= k->max_unroll)
    k->tile[last] = k->type->dim[last];
}

static const struct ir_op *find_anchor(const struct ir_op *kernel) {
  for (const struct ir_op *op = kernel->region[0]->first; op->next;
       op = op->next)
    if (ir_is_anchor(op))
      return op;
  return NULL;
}

static void set_schedule(struct tiling *k) {
  bool tiled = false;
  for (int d = 0; d < k->type->rank; d++)
    tiled |= k->tile[d] > 1;
  int64_t tile[IR_MAX_RANK], rank = 0;
  for (int d = 0; d < k->type->rank; d++)
    if (d != k->parts)
      tile[rank++] = k->tile[d];
  if (tiled)
    ir_set_attr(k->op, ir_ints("tile", tile, rank));
  if (k->unroll > 1)
    ir_set_attr(k->op, ir_ints("unroll", &k->unroll, 1));
  if (k->vec > 1)
    ir_set_attr(k->op, ir_int("vec", k->vec));
  if (k->dot.k > 1)
    ir_set_attr(k->op, ir_int("dot", k->dot.k));
  if (k->wide)
    ir_set_attr(k->op, ir_int("wide", 1));
  if (k->plane)
    ir_set_attr(k->op, ir_int("plane", 1));
  if (k->words)
    ir_set_attr(k->op, ir_int("words", 1));
  if (k->matrix)
    ir_set_attr(k->op, ir_int("matrix", k->matrix));
  if (k->read_along >= 0)
    ir_set_attr(k->op, ir_int("lanes", k->read_along));
  if (k->scalable)
    ir_set_attr(k->op, ir_int("scalable", 1));
  if (k->prefetch)
    ir_set_attr(k->op, ir_int("prefetch", k->prefetch));
  if (k->ahead)
    ir_set_attr(k->op, ir_int("ahead", k->ahead));
  if (!k->panels_first)
    return;
  int64_t order[IR_MAX_RANK];
  order[0] = k->dim[k->ndims - 1];
  order[0] -= k->parts >= 0 && order[0] > k->parts;
  for (int d = 0, n = 1; d < rank; d++)
    if (d != order[0])
      order[n++] = d;
  ir_set_attr(k->op, ir_ints("order", order, rank));
}

static bool has_schedule(const struct ir_op *op) {
  return ir_find_attr(op, "loops") || ir_find_attr(op, "tile") ||
         ir_find_attr(op, "vec") || ir_find_attr(op, "unroll");
}

/* An order: how many elements are held against the last of those kept at once,
 * where few are. */
static void tile_order(struct tiling *k) {
  int d = k->n->carried;
  int64_t others = ir_arg(k->n->op, 0)->type->dim[d] - k->type->dim[d];
  bool contiguous = d + 1 == k->type->rank;
  if (contiguous && !k->env->target->scalable && !k->env->opts->opt_size &&
      others >= 8 * k->lanes)
    k->vec = k->lanes;
}

void tile_kernel(struct pass_env *env, const struct aliases *aliases,
                 struct ir_op *op, int64_t max_unroll) {
  struct tiling k = {
      .env = env, .aliases = aliases, .op = op, .vec = 1, .read_along = -1};
  const struct nest *parts;
  struct dn_arena *tmp = dn_arena_new(env->ctx);
  k.tmp = tmp;
  k.unroll = k.dot.k = 1;
  k.max_unroll = max_unroll;
  parts = nest_parts(tmp, op, &k.parts);
  k.type = parts ? parts->type : ir_result(op)->type;
  for (int d = 0; d < k.type->rank; d++) {
    k.tile[d] = 1;
    if (k.type->dim[d] > 1 && d != k.parts)
      k.dim[k.ndims++] = d;
  }
  k.lanes = tile_count_lanes(&k, NULL);
  const struct ir_op *anchor = find_anchor(op);
  if (anchor)
    k.n = nest_build(tmp, anchor);
  uint64_t within = nest_row_dims(op);
  if (nest_onto(op))
    tile_onto(&k);
  else if (k.n && k.n->fold == NEST_NTH)
    tile_order(&k);
  else if (k.n && k.n->carried >= 0)
    tile_carried(&k);
  else if (within)
    tile_rows(&k, within);
  else if (k.n)
    tile_anchor(&k);
  else
    tile_map(&k, tmp);
  set_schedule(&k);
  dn_arena_free(tmp);
}

int64_t pass_tile(struct pass_env *env, struct ir_module *m) {
  int64_t tiled = 0, max_unroll = pass_int(env, "max_unroll");
  if (!max_unroll)
    max_unroll = env->opts->opt_level == 1 || env->opts->opt_size ? 1 : 4;
  for (struct ir_func *f = m->funcs; f; f = f->next) {
    struct aliases *aliases = aliases_build(env->scratch, f);
    for (struct ir_op *op = f->body->first; op; op = ir_next_outside(op)) {
      if (op->code != IR_KERNEL || has_schedule(op))
        continue;
      tile_kernel(env, aliases, op, max_unroll);
      tiled++;
    }
  }
  return tiled;
}
