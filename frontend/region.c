/* region.c - ops with regions, built from the inside: see region.h. */
#include "frontend/region.h"

#include "ir/place.h"

#include <string.h>

void fe_region_begin(struct fe_build *b, enum ir_opcode code,
                     struct ir_value *const *args, size_t nargs,
                     const struct ir_attr *attrs, size_t nattrs,
                     struct fe_region *out) {
  out->outer = b->at;
  out->op = ir_op_new(&b->at, code, args, nargs, attrs, nattrs, NULL, 0, 0);
}

/* The type that the op passes for its operand i. */
static const struct ir_type *param_type(struct dn_ctx *ctx,
                                        const struct ir_op *op, unsigned i) {
  const struct ir_type *t = ir_arg(op, i)->type;
  if (op->code == IR_LOOP && i < 2)
    return ir_type(ctx, i ? IR_BOOL : IR_I64, 0, NULL);
  if (op->code == IR_SCAN && i >= ir_num_carried(op))
    return ir_type(ctx, t->dtype, t->rank - 1, t->dim + 1);
  return t;
}

struct ir_block *fe_region_enter(struct fe_build *b, struct fe_region *r) {
  struct ir_block *block = ir_region_new(r->op);
  for (unsigned i = 0; i < r->op->noperands && ir_is_loop(r->op); i++)
    ir_param_new(block, NULL, param_type(b->ctx, r->op, i));
  b->at.block = block;
  b->at.before = NULL;
  b->at.names = NULL;
  return block;
}

bool fe_region_yield(struct fe_build *b, struct fe_region *r,
                     struct ir_value *const *values, size_t n) {
  bool ok = true;
  for (size_t i = 0; i < n; i++)
    ok = ok && values[i];
  if (ok)
    ir_op_new(&b->at, IR_YIELD, values, n, NULL, 0, NULL, 0, 0);
  b->at = r->outer;
  return ok;
}

bool fe_region_end(struct fe_build *b, struct fe_region *r, size_t whole,
                   int64_t rows) {
  const struct ir_op *yield = r->op->region[0]->last;
  unsigned skips = ir_yield_skips(r->op), n = yield->noperands - skips;
  const struct ir_type **types =
      DN_ARRAY(b->ctx->arena, const struct ir_type *, n);
  for (unsigned i = 0; i < n; i++) {
    const struct ir_type *t = types[i] = ir_arg(yield, i + skips)->type;
    int64_t dims[IR_MAX_RANK + 1] = {rows};
    if (i < whole)
      continue;
    memcpy(dims + 1, t->dim, sizeof t->dim);
    types[i] = ir_type_checked(b->ctx, b->at.loc, t->dtype, t->rank + 1, dims);
    if (!types[i])
      return false;
  }
  ir_results_new(&b->at, r->op, types, n);
  return true;
}

void fe_region_drop(struct fe_build *b, struct fe_region *r) {
  b->at = r->outer;
  ir_op_remove(r->op);
}
