/* tile_lanes.c - see tile_lanes.h. */
#include "passes/tile_lanes.h"

#include "passes/pack.h"

#include <string.h>

enum {
  IRREGULAR = INT32_MAX,
  COPY_ROWS = 8 /* that pay for a copy of what they share: see lanes_fit() */
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
