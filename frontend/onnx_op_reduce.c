/* onnx_op_reduce.c - reductions, and what is made of them: softmax, argmax. */
#include <math.h>
#include <string.h>

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

static struct ir_value *square(struct onnx_call *c, struct ir_value *x) {
  return fe_mul(c->b, x, x);
}

/* log(sum(e^x)), shifted by the maximum so that nothing overflows. The shift is
 * kept finite: a row of -inf has the sum 0, not NaN. */
static struct ir_value *log_sum_exp(struct onnx_call *c, struct ir_value *x,
                                    const bool *axes) {
  double big = fe_dtype(x) == IR_F16 ? 65504 : 3.4e38;
  struct ir_value *max = fe_reduce(c->b, IR_REDUCE_MAX, x, axes);
  max = fe_emit(c->b, IR_CLAMP, IR_ARGS(max),
                IR_ATTRS(ir_float("lo", -big), ir_float("hi", big)));
  struct ir_value *e = fe_op1(c->b, IR_EXP, fe_sub(c->b, x, max));
  e = fe_op1(c->b, IR_LOG, fe_reduce(c->b, IR_REDUCE_SUM, e, axes));
  return fe_add(c->b, e, max);
}

static struct ir_value *reduction(struct onnx_call *c, struct ir_value *x,
                                  const bool *axes) {
  enum ir_dtype dtype = fe_dtype(x);
  switch ((enum onnx_reduction)c->arg) {
  case REDUCE_SUM:
    return fe_reduce(c->b, IR_REDUCE_SUM, x, axes);
  case REDUCE_MEAN:
    return fe_mean(c->b, x, axes);
  case REDUCE_MAX:
  case REDUCE_MIN: {
    enum ir_opcode code = c->arg == REDUCE_MAX ? IR_REDUCE_MAX : IR_REDUCE_MIN;
    if (dtype == IR_BOOL)
      x = fe_cast(c->b, x, IR_U8);
    return fe_cast(c->b, fe_reduce(c->b, code, x, axes), dtype);
  }
  case REDUCE_PROD:
    return fe_reduce(c->b, IR_REDUCE_PROD, x, axes);
  case REDUCE_L1:
    return fe_reduce(c->b, IR_REDUCE_SUM, fe_op1(c->b, IR_ABS, x), axes);
  case REDUCE_L2:
    return fe_op1(c->b, IR_SQRT,
                  fe_reduce(c->b, IR_REDUCE_SUM, square(c, x), axes));
  case REDUCE_LOG_SUM:
    return fe_op1(c->b, IR_LOG, fe_reduce(c->b, IR_REDUCE_SUM, x, axes));
  case REDUCE_LOG_SUM_EXP:
    return log_sum_exp(c, x, axes);
  case REDUCE_SUM_SQUARE:
    return fe_reduce(c->b, IR_REDUCE_SUM, square(c, x), axes);
  }
  return NULL;
}

bool onnx_reduce(struct onnx_call *c) {
  bool axes[IR_MAX_RANK] = {0}, keep;
  if (!reduce_axes(c, axes) || !ox_flag(c, "keepdims", true, &keep))
    return false;
  struct ir_value *x = c->in[0], *y;
  bool root = c->arg == REDUCE_L2 || c->arg == REDUCE_LOG_SUM ||
              c->arg == REDUCE_LOG_SUM_EXP;
  if (root && !ir_is_float(fe_dtype(x))) /* of integers, truncated */
    y = fe_cast(c->b, reduction(c, fe_cast(c->b, x, IR_F64), axes),
                fe_dtype(x));
  else
    y = reduction(c, x, axes);
  return ox_return(c, keep ? y : fe_squeeze(c->b, y, axes));
}

/* Index of the first (or last) element along the axis that equals the extreme,
 * or is NaN as that is then, too: the least index where it does, `size`
 * elsewhere. */
static struct ir_value *arg_of(struct onnx_call *c, struct ir_value *x,
                               struct ir_value *best, int64_t axis, bool last) {
  bool axes[IR_MAX_RANK] = {0};
  axes[axis] = true;
  int64_t size = fe_dims(x)[axis];
  struct ir_value *i = fe_iota(c->b, fe_rank(x), axis, size, IR_I32);
  struct ir_value *is = fe_op2(c->b, IR_EQ, x, best);
  if (ir_is_float(fe_dtype(x)))
    is = fe_op2(c->b, IR_OR, is, fe_op1(c->b, IR_ISNAN, x));
  struct ir_value *none = fe_number(c->b, i, last ? -1 : (double)size);
  i = fe_select(c->b, is, i, none);
  return fe_reduce(c->b, last ? IR_REDUCE_MAX : IR_REDUCE_MIN, i, axes);
}

bool onnx_arg_reduce(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  int64_t axis;
  bool axes[IR_MAX_RANK] = {0}, keep, last;
  if (!fe_axis(c->b, ox_int(c, "axis", 0), fe_rank(x), &axis) ||
      !ox_flag(c, "keepdims", true, &keep) ||
      !ox_flag(c, "select_last_index", false, &last))
    return false;
  axes[axis] = true;
  if (fe_dims(x)[axis] > INT32_MAX)
    return fe_fail(c->b, DN_LIMIT, "a dimension of %lld, over 2^31",
                   (long long)fe_dims(x)[axis]);
  if (fe_dims(x)[axis] == 0)
    return fe_fail(c->b, DN_SHAPE, "no index along a dimension of %lld",
                   (long long)fe_dims(x)[axis]);
  struct ir_value *best = fe_reduce(c->b, (enum ir_opcode)c->arg, x, axes);
  if (!best)
    return false;
  struct ir_value *i = fe_cast(c->b, arg_of(c, x, best, axis, last), IR_I64);
  return ox_return(c, keep ? i : fe_squeeze(c->b, i, axes));
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
    return fe_fail(c->b, DN_TYPE, "axis must be one number");
  if (!fe_axis(c->b, axes.v[0], r, &axis))
    return false;
  int64_t step = reverse ? -1 : 1;
  x = fe_emit(c->b, c->arg ? IR_CUMPROD : IR_CUMSUM, IR_ARGS(x),
              IR_ATTRS(ir_int("axis", axis), ir_int("step", step),
                       ir_int("lag", exclusive ? step : 0)));
  return ox_return(c, x);
}

/* Before opset 13 the axis began a run of axes, taken as one. */
static bool softmax_axes(struct onnx_call *c, bool *axes, int64_t *axis) {
  bool flattens = c->version < 13;
  int r = fe_rank(c->in[0]);
  if (!fe_axis(c->b, ox_int(c, "axis", flattens ? 1 : -1), r, axis))
    return false;
  for (int64_t i = *axis; i < (flattens ? r : *axis + 1); i++)
    axes[i] = true;
  return true;
}

bool onnx_softmax(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  bool axes[IR_MAX_RANK] = {0};
  int64_t axis;
  if (!softmax_axes(c, axes, &axis))
    return false;
  x = fe_sub(c->b, x, fe_reduce(c->b, IR_REDUCE_MAX, x, axes));
  struct ir_value *e = fe_op1(c->b, IR_EXP, x);
  struct ir_value *sum = fe_reduce(c->b, IR_REDUCE_SUM, e, axes);
  if (c->arg) /* the logarithm */
    return ox_return(c, fe_sub(c->b, x, fe_op1(c->b, IR_LOG, sum)));
  return ox_return(c, fe_div(c->b, e, sum));
}

bool onnx_hardmax(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  bool axes[IR_MAX_RANK] = {0};
  int64_t axis, last = 1, rank = fe_rank(x), dims[IR_MAX_RANK];
  if (!softmax_axes(c, axes, &axis))
    return false;
  memcpy(dims, fe_dims(x), sizeof dims);
  if (c->version < 13) { /* the run of axes as one */
    for (int64_t i = axis; i < rank; i++)
      last *= dims[i];
    dims[axis] = last;
    x = fe_reshape(c->b, x, axis + 1, dims);
  }
  bool one[IR_MAX_RANK] = {0};
  one[axis] = true;
  struct ir_value *best = fe_reduce(c->b, IR_REDUCE_MAX, x, one);
  if (!best)
    return false;
  struct ir_value *i = arg_of(c, x, best, axis, false);
  struct ir_value *at =
      fe_iota(c->b, fe_rank(x), axis, fe_dims(x)[axis], IR_I32);
  struct ir_value *y = fe_cast(c->b, fe_op2(c->b, IR_EQ, at, i), fe_dtype(x));
  return ox_return(c, fe_reshape(c->b, y, rank, fe_dims(c->in[0])));
}
