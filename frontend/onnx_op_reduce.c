/* onnx_op_reduce.c - reductions, and what is made of them: softmax, argmax. */
#include <math.h>
#include <string.h>

#include "frontend/onnx_ops.h"

/* The axes to reduce: an attribute, or input 1 in newer opsets; none means
 * all, unless the model says that it means none. */
static bool reduce_axes(struct onnx_call *c, bool *mark) {
  struct ox_ints axes;
  bool none;
  int r = ox_rank(c->in[0]);
  if (!ox_ints_or_input(c, "axes", 1, &axes) || !ox_axes(c, axes, r, mark) ||
      !ox_flag(c, "noop_with_empty_axes", false, &none))
    return false;
  if (!axes.n && !none)
    for (int i = 0; i < r; i++)
      mark[i] = true;
  return true;
}

static struct ir_value *square(struct onnx_call *c, struct ir_value *x) {
  return ox_op2(c, IR_MUL, x, x);
}

/* log(sum(e^x)), shifted by the maximum so that nothing overflows. The shift is
 * kept finite: a row of -inf has the sum 0, not NaN. */
static struct ir_value *log_sum_exp(struct onnx_call *c, struct ir_value *x,
                                    const bool *axes) {
  double big = ox_dtype(x) == IR_F16 ? 65504 : 3.4e38;
  struct ir_value *max = ox_reduce(c, IR_REDUCE_MAX, x, axes);
  max = ox_emit(c, IR_CLAMP, IR_ARGS(max),
                IR_ATTRS(ir_float("lo", -big), ir_float("hi", big)));
  struct ir_value *e = ox_op1(c, IR_EXP, ox_op2(c, IR_SUB, x, max));
  e = ox_op1(c, IR_LOG, ox_reduce(c, IR_REDUCE_SUM, e, axes));
  return ox_op2(c, IR_ADD, e, max);
}

static struct ir_value *reduction(struct onnx_call *c, struct ir_value *x,
                                  const bool *axes) {
  enum ir_dtype dtype = ox_dtype(x);
  switch ((enum onnx_reduction)c->arg) {
  case REDUCE_SUM:
    return ox_reduce(c, IR_REDUCE_SUM, x, axes);
  case REDUCE_MEAN:
    return ox_mean(c, x, axes);
  case REDUCE_MAX:
  case REDUCE_MIN: {
    enum ir_opcode code = c->arg == REDUCE_MAX ? IR_REDUCE_MAX : IR_REDUCE_MIN;
    if (dtype == IR_BOOL)
      x = ox_cast(c, x, IR_U8);
    return ox_cast(c, ox_reduce(c, code, x, axes), dtype);
  }
  case REDUCE_PROD:
    return ox_reduce(c, IR_REDUCE_PROD, x, axes);
  case REDUCE_L1:
    return ox_reduce(c, IR_REDUCE_SUM, ox_op1(c, IR_ABS, x), axes);
  case REDUCE_L2:
    return ox_op1(c, IR_SQRT, ox_reduce(c, IR_REDUCE_SUM, square(c, x), axes));
  case REDUCE_LOG_SUM:
    return ox_op1(c, IR_LOG, ox_reduce(c, IR_REDUCE_SUM, x, axes));
  case REDUCE_LOG_SUM_EXP:
    return log_sum_exp(c, x, axes);
  case REDUCE_SUM_SQUARE:
    return ox_reduce(c, IR_REDUCE_SUM, square(c, x), axes);
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
  if (root && !ir_is_float(ox_dtype(x))) /* of integers, truncated */
    y = ox_cast(c, reduction(c, ox_cast(c, x, IR_F64), axes), ox_dtype(x));
  else
    y = reduction(c, x, axes);
  return ox_return(c, keep ? y : ox_squeeze(c, y, axes));
}

/* Index of the first (or last) element along the axis that equals the extreme,
 * or is NaN as that is then, too: the least index where it does, `size`
 * elsewhere. */
static struct ir_value *arg_of(struct onnx_call *c, struct ir_value *x,
                               struct ir_value *best, int64_t axis, bool last) {
  bool axes[IR_MAX_RANK] = {0};
  axes[axis] = true;
  int64_t size = ox_dims(x)[axis];
  struct ir_value *i = ox_iota(c, ox_rank(x), axis, size, IR_I32);
  struct ir_value *is = ox_op2(c, IR_EQ, x, best);
  if (ir_is_float(ox_dtype(x)))
    is = ox_op2(c, IR_OR, is, ox_op1(c, IR_ISNAN, x));
  struct ir_value *none = ox_number(c, i, last ? -1 : (double)size);
  i = ox_select(c, is, i, none);
  return ox_reduce(c, last ? IR_REDUCE_MAX : IR_REDUCE_MIN, i, axes);
}

bool onnx_arg_reduce(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  int64_t axis;
  bool axes[IR_MAX_RANK] = {0}, keep, last;
  if (!ox_axis(c, ox_int(c, "axis", 0), ox_rank(x), &axis) ||
      !ox_flag(c, "keepdims", true, &keep) ||
      !ox_flag(c, "select_last_index", false, &last))
    return false;
  axes[axis] = true;
  if (ox_dims(x)[axis] > INT32_MAX)
    return ox_fail(c, DN_LIMIT, "a dimension of %lld, over 2^31",
                   (long long)ox_dims(x)[axis]);
  if (ox_dims(x)[axis] == 0)
    return ox_fail(c, DN_SHAPE, "no index along a dimension of %lld",
                   (long long)ox_dims(x)[axis]);
  struct ir_value *best = ox_reduce(c, (enum ir_opcode)c->arg, x, axes);
  if (!best)
    return false;
  struct ir_value *i = ox_cast(c, arg_of(c, x, best, axis, last), IR_I64);
  return ox_return(c, keep ? i : ox_squeeze(c, i, axes));
}

bool onnx_cum_sum(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  struct ox_ints axes;
  int64_t axis;
  bool exclusive, reverse;
  int r = ox_rank(x);
  if (!ox_const_ints(c, 1, &axes) ||
      !ox_flag(c, "exclusive", false, &exclusive) ||
      !ox_flag(c, "reverse", false, &reverse))
    return false;
  if (axes.n != 1)
    return ox_fail(c, DN_TYPE, "axis must be one number");
  if (!ox_axis(c, axes.v[0], r, &axis))
    return false;
  int64_t step = reverse ? -1 : 1;
  x = ox_emit(c, c->arg ? IR_CUMPROD : IR_CUMSUM, IR_ARGS(x),
              IR_ATTRS(ir_int("axis", axis), ir_int("step", step),
                       ir_int("lag", exclusive ? step : 0)));
  return ox_return(c, x);
}

/* Before opset 13 the axis began a run of axes, taken as one. */
static bool softmax_axes(struct onnx_call *c, bool *axes, int64_t *axis) {
  bool flattens = c->version < 13;
  int r = ox_rank(c->in[0]);
  if (!ox_axis(c, ox_int(c, "axis", flattens ? 1 : -1), r, axis))
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
  x = ox_op2(c, IR_SUB, x, ox_reduce(c, IR_REDUCE_MAX, x, axes));
  struct ir_value *e = ox_op1(c, IR_EXP, x);
  struct ir_value *sum = ox_reduce(c, IR_REDUCE_SUM, e, axes);
  if (c->arg) /* the logarithm */
    return ox_return(c, ox_op2(c, IR_SUB, x, ox_op1(c, IR_LOG, sum)));
  return ox_return(c, ox_op2(c, IR_DIV, e, sum));
}

bool onnx_hardmax(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  bool axes[IR_MAX_RANK] = {0};
  int64_t axis, last = 1, rank = ox_rank(x), dims[IR_MAX_RANK];
  if (!softmax_axes(c, axes, &axis))
    return false;
  memcpy(dims, ox_dims(x), sizeof dims);
  if (c->version < 13) { /* the run of axes as one */
    for (int64_t i = axis; i < rank; i++)
      last *= dims[i];
    dims[axis] = last;
    x = ox_reshape(c, x, axis + 1, dims);
  }
  bool one[IR_MAX_RANK] = {0};
  one[axis] = true;
  struct ir_value *best = ox_reduce(c, IR_REDUCE_MAX, x, one);
  if (!best)
    return false;
  struct ir_value *i = arg_of(c, x, best, axis, false);
  struct ir_value *at = ox_iota(c, ox_rank(x), axis, ox_dims(x)[axis], IR_I32);
  struct ir_value *y = ox_cast(c, ox_op2(c, IR_EQ, at, i), ox_dtype(x));
  return ox_return(c, ox_reshape(c, y, rank, ox_dims(c->in[0])));
}
