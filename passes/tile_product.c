/* tile_product.c - see tile_product.h. */
#include "passes/tile_product.h"

#include "passes/pack.h"
#include "passes/tile_block.h"
#include "passes/tile_matrix.h"
#include "passes/tile_panels.h"

enum {
  MAX_GROUP = 4, /* registers that make one vector */
  FEW_ROWS = 2,  /* whose loads of weights are hardly shared */
  MAX_RUNS = 16  /* of a copied row, without a loop */
};

/* Whether the pass `loops` will make one loop of the two dimensions. */
static bool are_one(const struct tiling *k, int outer, int inner) {
  struct dn_arena *tmp = dn_arena_new(k->env->ctx);
  bool one = reads_are_one(aliases_reads(tmp, k->aliases, k->op), outer, inner);
  dn_arena_free(tmp);
  return one;
}

/* Bytes of the widest operand that go into one result. */
static int64_t reduced_bytes(const struct tiling *k) {
  int64_t n = 1, widest = 1;
  for (int i = 0; i < k->n->niters; i++)
    if (k->n->iter[i].reduced && !dn_mul(n, k->n->iter[i].extent, &n))
      return INT32_MAX;
  for (int a = 0; a < k->n->naccesses; a++) {
    const struct ir_value *x =
        ir_arg(k->n->op, (unsigned)k->n->access[a].operand);
    widest = dn_max(widest, (int64_t)ir_dtypes[x->type->dtype].bytes);
  }
  return dn_min(n, INT32_MAX) * widest;
}

struct ir_dot tile_dot(const struct tiling *k, int iter) {
  const struct nest *n = k->n;
  int inner = nest_inner_reduced(n);
  if (n->fold != NEST_SUM || n->naccesses != 2 || n->nnodes != 3 || inner < 0)
    return (struct ir_dot){.k = 1};
  const struct ir_value *x = ir_arg(n->op, (unsigned)n->access[0].operand);
  const struct ir_value *w = ir_arg(n->op, (unsigned)n->access[1].operand);
  struct ir_dot dot = ir_dot_of(k->env->target, w->type->dtype);
  bool leaf = w->data && (!x->def || x->def->block != n->op->block);
  bool rows = tile_step(k, 0, iter) == 1 && dot.k == 4 && !dot.registers &&
              dot.shape == IR_DOT_SPREAD;     /* of lanes, interleaved */
  for (int d = 0; d < n->access[0].rank; d++) /* edges are not within a run */
    leaf &= rows || !n->access[0].idx[d].checked ||
            !n->access[0].idx[d].coef[inner];
  bool fits =
      leaf && dot.k > 1 && x->type->dtype == dot.factor &&
      n->acc_type == dot.sum &&
      (rows || (tile_step(k, 0, inner) == 1 && tile_step(k, 0, iter) == 0)) &&
      pack_has_runs(n, 1, iter, inner) &&
      (dot.least <= INT8_MIN || ir_const_least(w) >= dot.least);
  return fits ? dot : (struct ir_dot){.k = 1};
}

/* Sums of integers without vectors and dot, whose addresses go on. */
static bool walks(const struct tiling *k) {
  return k->lanes == 1 && !tile_sums_along(k) && !ir_is_float(k->n->acc_type) &&
         k->env->target->walk != IR_WALK_COUNTER;
}

/* What the block is chosen for; its rows are those of the last dimension but one,
 * and of the one around it. */
static struct tile_space find_space(const struct tiling *k, int iter,
                                    int64_t group) {
  const struct ir_facts *t = k->env->target;
  struct tile_space s = {.rows = 1, .more_rows = 1};
  int rows = k->ndims > 1 ? k->dim[k->ndims - 2] : -1;
  int more = k->ndims > 2 ? k->dim[k->ndims - 3] : -1;
  if (rows >= 0)
    s.rows = k->type->dim[rows];
  if (more >= 0)
    s.more_rows = k->type->dim[more];
  s.merged = more >= 0 && are_one(k, more, rows);
  s.columns = k->n->iter[iter].extent;
  s.lanes = k->lanes * group;
  s.registers = tile_registers(k) / group;
  s.registers -= group > 1; /* for what follows the sums */
  s.along = tile_sums_along(k);
  if (k->dot.k > 1 && !s.along)
    s.registers -= k->dot.registers;
  if (k->parts >= 0) /* the others hold a part's weights, and its sums */
    s.registers = s.registers * 9 / 16;
  s.bcast_operand = t->bcast_operand;
  s.has_fma = t->has_fma || !ir_is_float(k->n->acc_type);
  s.exact = k->env->opts->opt_size;
  s.addressed = walks(k) && t->walk == IR_WALK_INDEX;
  bool one = t->scalable || (k->parts >= 0 && s.rows > 1);
  s.max_vectors = one ? 1 : s.rows == 1 ? 8 : 4;
  if (s.lanes == 1 && ir_is_float(k->n->acc_type) &&
      tile_count_ops(k) <= TILE_FEW_OPS && s.rows * s.more_rows <= FEW_ROWS &&
      !k->env->opts->opt_size)
    s.max_vectors *= 2; /* no rows share loads */
  s.column_bytes = reduced_bytes(k);
  s.cache = s.rows > 1 ? t->l2 * 3 / 4 : 0; /* or read once */
  s.step = k->dot.step;
  s.apart = k->dot.apart;
  if (s.along && !t->vector_bytes &&
      (k->max_unroll > 1 || k->env->opts->opt_size))
    tile_widen(&s, k->n->iter[nest_inner_reduced(k->n)].extent, k->dot.k);
  return s;
}

/* Products by the instruction of the target, if it is worth it: one that takes as
 * many steps as it has products saves loads of rows that are widened. */
static struct tile_block choose_dot(struct tiling *k, int iter, int64_t group,
                                    struct tile_space *s) {
  *s = find_space(k, iter, group);
  struct tile_block b = tile_choose(s);
  if (k->dot.k < 2 || k->dot.step < k->dot.k)
    return b;
  struct tiling plain = *k;
  plain.dot = (struct ir_dot){.k = 1};
  struct tile_space other = find_space(&plain, iter, group);
  struct tile_block one = tile_choose(&other);
  double copies = (double)(k->dot.apart * s->rows * s->more_rows);
  if (s->most_rows && b.cost + copies < one.cost * (double)k->dot.k)
    return b;
  k->dot = plain.dot;
  *s = other;
  return one;
}

/* Steps of the innermost loop: as tile_unroll() says, but for loops that are
 * short, or whose steps take no registers. */
static void set_unroll(struct tiling *k, const struct tile_space *s,
                       const struct tile_block *b) {
  int64_t tall = b->rows * b->more_rows;
  k->unroll = tile_unroll(k, tall * b->vectors, s->registers);
  if (s->lanes == 1 && walks(k) && k->max_unroll > 1)
    k->unroll = 2 * k->max_unroll;
  const struct ir_value *w =
      ir_arg(k->n->op, (unsigned)k->n->access[1].operand);
  bool computed = w->def && w->def->block == k->n->op->block;
  if (computed && tall == 1 && s->lanes > 1 && k->max_unroll > 1 &&
      k->n->access[1].rank > 1)
    k->unroll = 4 * k->max_unroll; /* more share a scale: emit/scaled.c */
  int64_t window = nest_steps_from(k->n, 0, k->dot.k);
  if (k->wide) { /* the window is one run */
    k->unroll = k->max_unroll < 2    ? 1
                : window <= MAX_RUNS ? window
                                     : TILE_WINDOW;
    while (window % k->unroll)
      k->unroll--;
  }
  if (s->along && k->env->target->vector_bytes && k->max_unroll > 1 &&
      window <= 2 * k->dot.registers)
    k->unroll = window; /* half of the row's vectors stay in registers */
}

void tile_product(struct tiling *k, int iter) {
  k->dot = tile_dot(k, iter);
  if (k->dot.k > 1)
    k->lanes = dn_min(k->lanes, k->dot.lanes);
  int rows = k->ndims > 1 ? k->dim[k->ndims - 2] : -1;
  int more = k->ndims > 2 ? k->dim[k->ndims - 3] : -1;
  int64_t group = tile_group(k, MAX_GROUP);
  struct tile_space s = find_space(k, iter, group);
  if (tile_matrix(k, iter, s.merged)) {
    tile_panels(k, iter, &s);
    return;
  }
  struct tile_block b = choose_dot(k, iter, group, &s);
  k->wide = s.most_rows > 0;
  int64_t lanes = k->env->target->vector_bytes / 4;
  if (s.along && lanes > 1 && s.columns % lanes == 0) {
    b = (struct tile_block){1, 1, 1, 0};
    k->lanes = lanes; /* for what follows the sums */
  }
  if (rows >= 0)
    k->tile[rows] = b.rows;
  if (more >= 0)
    k->tile[more] = b.more_rows;
  tile_vectors(k, b.vectors * group);
  set_unroll(k, &s, &b);
  tile_panels(k, iter, &s);
  if (k->parts < 0)
    return;
  int64_t steps =
      dn_div_ceil(k->n->iter[nest_inner_reduced(k->n)].extent, k->dot.k);
  k->unroll = dn_min(steps, (k->dot.k > 1 ? 4 : 8) * dn_max(k->max_unroll, 2));
  k->prefetch = 0;
}
