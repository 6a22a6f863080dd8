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

/* Of the last two dims, by elimination: each step has a factor, the pivot. */
bool onnx_det(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *y = NULL;
  int r = fe_rank(x);
  int64_t n = r < 2 ? 0 : fe_dims(x)[r - 1];
  if (r < 2 || fe_dims(x)[r - 2] != n)
    return ox_fail(c, TYPE, "the input is no square matrix");
  if (n > 256)
    return ox_fail(c, LIMIT, "a matrix of %lld rows", (long long)n);
  int64_t dims[] = {n ? ir_type_count(x->type) / n / n : 0, n, n};
  struct ir_value *a = fe_reshape(c->b, x, 3, dims);
  if (!n || !dims[0])
    return ox_return(c,
                     fe_expand(c->b, fe_number(c->b, x, 1), r - 2, fe_dims(x)));
  while (n-- > 1) {
    struct ir_value *out[2] = {0};
    if (!fe_decompose(c->b, FE_DET_STEP, IR_ARGS(a), NULL, 0, out, 2))
      return false;
    y = y ? fe_mul(c->b, y, out[0]) : out[0];
    a = out[1];
  }
  y = y ? fe_mul(c->b, y, a) : a;
  return ox_return(c, fe_reshape(c->b, y, r - 2, fe_dims(x)));
}
