/* place.c - the address of a value of a PLANNED module.
 *
 * A value's place is that of the op that was given one (a kernel, a concat, a
 * parameter, a constant), seen through the views between: each view's strides
 * and offset are composed by its nest. */
#include "ir/place.h"

#include "ir/nest.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool ir_is_concat(const struct ir_op *op) {
  return ir_ops[op->code].cls == IR_MOVE &&
         strchr(ir_ops[op->code].operands, '*');
}

bool ir_is_view(const struct ir_op *op) {
  return ir_ops[op->code].cls != IR_REGION && op->noperands > 0 &&
         !ir_is_concat(op);
}

bool ir_view_of(const struct ir_op *op, const int64_t *stride,
                int64_t *out_stride, int64_t *out_bytes) {
  struct dn_arena *tmp = dn_arena_new(op->block->func->module->ctx);
  int64_t offset = 0;
  const struct nest *n = nest_build(tmp, op);
  bool ok = n && nest_view(n, stride, out_stride, &offset);
  dn_arena_free(tmp);
  *out_bytes = offset * ir_dtypes[ir_result(op)->type->dtype].bytes;
  return ok;
}

/* An op outside kernels whose value was given a place of its own, as opposed to
 * following its operand's. Printing leaves default attributes out, so that a
 * kernel at the start of the arena has none. */
static bool has_own_place(const struct ir_op *op) {
  return ir_is_concat(op) || ir_ops[op->code].cls == IR_REGION ||
         ir_find_attr(op, "at") || ir_find_attr(op, "space");
}

/* The place of a parameter, of a constant, or that op attributes state. */
static bool base_place(const struct ir_value *v, struct ir_place *out) {
  assert((v->data || v->def || v->block) &&
         "a value is a constant, a result or a parameter");
  *out = (struct ir_place){.space = IR_IN_ARENA};
  ir_type_strides(v->type, out->stride);
  if (v->data) {
    out->space = IR_IN_CONST;
    out->base = v;
    return true;
  }
  if (!v->def) {
    out->space = IR_IN_INPUT;
    out->number = v->index;
    return !v->block->owner;
  }
  const struct ir_op *op = v->def;
  if (op->block->func->module->form != IR_PLANNED || !has_own_place(op))
    return false;
  const char *space = ir_get_str(op, "space");
  if (!strncmp(space, "out", 3)) {
    out->space = IR_IN_OUTPUT;
    out->number = (unsigned)strtoul(space + 3, NULL, 10);
  }
  out->offset = ir_get_int(op, "at");
  for (int d = 0; ir_get_len(op, "stride") && d < v->type->rank; d++)
    out->stride[d] = ir_get_at(op, "stride", d);
  return true;
}

static bool is_inside_kernel(const struct ir_value *v) {
  return v->def && v->def->block->owner &&
         v->def->block->owner->code == IR_KERNEL;
}

bool ir_place_of(const struct ir_value *v, struct ir_place *out) {
  if (is_inside_kernel(v))
    return false;
  struct dn_arena *arena = NULL;
  DN_LIST(const struct ir_op *) views = {0};
  while (v->def && !has_own_place(v->def) && v->def->noperands) {
    if (!arena)
      arena = dn_arena_new(v->def->block->func->module->ctx);
    DN_PUSH(arena, views, v->def);
    v = ir_arg(v->def, 0);
  }
  bool ok = base_place(v, out);
  for (size_t i = views.n; ok && i-- > 0;) {
    int64_t stride[IR_MAX_RANK] = {0}, bytes;
    ok = ir_view_of(views.v[i], out->stride, stride, &bytes);
    out->offset += bytes;
    memcpy(out->stride, stride, sizeof stride);
  }
  if (arena)
    dn_arena_free(arena);
  return ok;
}
