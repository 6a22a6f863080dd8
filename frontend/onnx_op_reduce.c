/* onnx_op_reduce.c - reductions: their axes, and where the extreme is. */
#include "frontend/onnx_ops.h"

/* The axes to reduce: an attribute, or input 1 in newer opsets; none means
 * all, unless the model says that it means none. */
static bool reduce_axes(struct onnx_call *c, bool *mark) {
  struct ox_ints axes;
  bool none;
  int r = fe_rank(c->in[0]);
  if (!ox_ints_or_input(c, "axes", 1, &axes) || !ox_axes(c, axes, r, mark) ||
      !ox_flag(c, "noop_with_empty_axes", false, &none))
    return false;
  if (!axes.n && !none)
    for (int i = 0; i < r; i++)
      mark[i] = true;
  return true;
}

bool onnx_reduce(struct onnx_call *c) {
  bool axes[IR_MAX_RANK] = {0}, keep;
  int64_t list[IR_MAX_RANK], n = 0;
  if (!reduce_axes(c, axes) || !ox_flag(c, "keepdims", true, &keep))
    return false;
  for (int i = 0; i < fe_rank(c->in[0]); i++)
    if (axes[i])
      list[n++] = i;
  struct ir_value *y =
      fe_call(c->b, (enum fe_decomposition)c->arg, IR_ARGS(c->in[0]),
              IR_ATTRS(ir_ints("axes", list, n)));
  return ox_return(c, keep ? y : fe_squeeze(c->b, y, axes));
}

bool onnx_cum_sum(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  struct ox_ints axes;
  int64_t axis;
  bool exclusive, reverse;
  int r = fe_rank(x);
  if (!ox_const_ints(c, 1, &axes) ||
      !ox_flag(c, "exclusive", false, &exclusive) ||
      !ox_flag(c, "reverse", false, &reverse))
    return false;
  if (axes.n != 1)
    return ox_fail(c, TYPE, "axis must be one number");
  if (!fe_axis(c->b, axes.v[0], r, &axis))
    return false;
  int64_t step = reverse ? -1 : 1;
  x = fe_emit(c->b, c->arg ? IR_CUMPROD : IR_CUMSUM, IR_ARGS(x),
              IR_ATTRS(ir_int("axis", axis), ir_int("step", step),
                       ir_int("lag", exclusive ? step : 0)));
  return ox_return(c, x);
}
