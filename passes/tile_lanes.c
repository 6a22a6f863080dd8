/* tile_lanes.c - see tile_lanes.h. */
#include "passes/tile_lanes.h"

#include "passes/pack.h"

#include <string.h>

enum {
  IRREGULAR = INT32_MAX,
  COPY_ROWS = 8, /* that pay for a copy of what they share: see lanes_fit() */
  SOFT_REGISTERS = 8 /* for floats that are calls */
};

int64_t tile_lane_bytes(enum ir_dtype t) {
  return ir_is_small_float(t) ? 4 : ir_dtypes[t].bytes;
}

/* Elements of an operand that lanes pick by indices, each its own. Signed ones
 * are clamped on both sides, of which lanes do several at once. */
static bool picks(const struct ir_op *op) {
  if (op->code != IR_GATHER && op->code != IR_GATHER_ELEMENTS)
    return false;
  const struct ir_type *x = ir_arg(op, 0)->type, *at = ir_arg(op, 1)->type;
  return ir_dtypes[at->dtype].kind != IR_SIGNED && ir_type_count(at) > 1 &&
         (op->code == IR_GATHER_ELEMENTS ||
          ir_get_int(op, "axis") == x->rank - 1);
}

int64_t tile_count_lanes(const struct tiling *k, const struct ir_op *last) {
  int64_t widest = 1, picked = 0, others = 0;
  const struct ir_op *end = last ? last->next : k->op->region[0]->last;
  for (const struct ir_op *op = k->op->region[0]->first; op != end;
       op = op->next) {
    *(picks(op) ? &picked : &others) += 1;
    widest = dn_max(widest, tile_lane_bytes(ir_result(op)->type->dtype));
    for (unsigned i = 0; i < op->noperands; i++)
      widest = dn_max(widest, tile_lane_bytes(ir_arg(op, i)->type->dtype));
  }
  if (3 * picked > others && !k->env->target->scalable)
    return 1;
  return dn_max(1, k->env->target->vector_bytes / widest);
}

int64_t tile_step(const struct tiling *k, int access, int iter) {
  const struct nest_access *a = &k->n->access[access];
  const struct ir_value *x = ir_arg(k->n->op, (unsigned)a->operand);
  const struct alias *at = alias_of(k->aliases, x);
  int64_t stride[IR_MAX_RANK], step = 0;
  ir_type_strides(x->type, stride);
  if (at)
    memcpy(stride, at->stride, sizeof stride);
  for (int d = 0; d < a->rank && !a->flat; d++) {
    const struct nest_index *x_d = &a->idx[d];
    if (!x_d->coef[iter])
      continue;
    if (!nest_index_is_affine(x_d))
      return IRREGULAR;
    step += x_d->coef[iter] * stride[d];
  }
  return a->flat ? IRREGULAR : step;
}

/* Lanes along `iter` are neighbours or one element, or the operand is worth
 * packing: a constant, or enough rows of a contraction read each element. */
static bool lanes_fit(const struct tiling *k, int access, int iter) {
  int64_t step = tile_step(k, access, iter);
  const struct ir_value *x =
      ir_arg(k->n->op, (unsigned)k->n->access[access].operand);
  if (step == 0 || step == 1 || x->data)
    return true;
  return ir_ops[k->n->op->code].cls == IR_CONTRACT &&
         pack_dim(k->n, access, iter) >= 0 &&
         nest_points(k->n) / ir_type_count(x->type) >= COPY_ROWS;
}

bool tile_all_fit(const struct tiling *k, int iter) {
  for (int a = 0; a < k->n->naccesses; a++)
    if (!lanes_fit(k, a, iter))
      return false;
  return true;
}

int tile_moving(const struct tiling *k, int iter) {
  int n = 0;
  for (int a = 0; a < k->n->naccesses; a++)
    n += tile_step(k, a, iter) != 0;
  return n;
}

/* ---- Registers ---- */

bool tile_sums_along(const struct tiling *k) {
  return k->dot.k > 1 && k->dot.shape == IR_DOT_ALONG;
}

int64_t tile_registers(const struct tiling *k) {
  const struct ir_facts *t = k->env->target;
  if (tile_sums_along(k))
    return k->dot.registers;
  bool own = t->vector_bytes ? k->lanes > 1 : ir_is_float(k->type->dtype);
  bool floats = ir_is_float(k->n ? k->n->acc_type : k->type->dtype);
  if (own && t->vector_regs)
    return t->vector_regs;
  return floats ? SOFT_REGISTERS : t->core_regs;
}

void tile_vectors(struct tiling *k, int64_t vectors) {
  const struct ir_facts *t = k->env->target;
  int last = k->dim[k->ndims - 1];
  k->vec = k->lanes;
  if (t->scalable) {
    k->scalable = true;
    k->vec = vectors * dn_max(1, k->lanes * t->scalable / t->vector_bytes);
    vectors = 1;
  }
  k->tile[last] = vectors * k->vec;
  /* The rule is that the last entry is a multiple of vec; of a dimension of
   * size 1 the entry says nothing. */
  if (last != k->type->rank - 1)
    k->tile[k->type->rank - 1] = k->vec;
}

int tile_count_ops(const struct tiling *k) {
  int n = 0;
  for (const struct ir_op *op = k->op->region[0]->first; op->next;
       op = op->next)
    n++;
  return n;
}

int64_t tile_group(const struct tiling *k, int64_t most) {
  int64_t columns = k->type->dim[k->dim[k->ndims - 1]], n = 1;
  while (k->env->target->scalable && n < most && n * k->lanes < columns)
    n *= 2;
  return n;
}

int64_t tile_unroll(const struct tiling *k, int64_t block, int64_t registers) {
  int inner = nest_inner_reduced(k->n);
  bool few = (block <= 8 || k->lanes == 1) && 2 * block <= registers;
  int64_t want = few ? 4 : 2;
  if (inner < 0 || k->max_unroll < 2)
    return 1;
  int64_t extent = dn_div_ceil(k->n->iter[inner].extent, k->dot.k);
  want = dn_min(dn_max(want, k->env->target->bcast_operand), k->max_unroll);
  /* One lane of a register a step, or registers of the core. */
  bool full = k->dot.k > 1 &&
              (k->dot.shape == IR_DOT_LANE || !k->env->target->vector_bytes);
  if (full)
    want = dn_min(4, k->max_unroll);
  while (!full && want > 1 && extent < 2 * want && 2 * block > registers)
    want /= 2; /* a loop, or all of it is one long block */
  bool all = extent <= 4 && (extent % 2 || 2 * block <= registers);
  return all && extent <= k->max_unroll ? extent : want;
}
