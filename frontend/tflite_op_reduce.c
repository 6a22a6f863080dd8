/* tflite_op_reduce.c - reductions over axes, and indices of extremes. */
#include "frontend/tflite.h"

#include <string.h>

static bool read_axes(struct tfl_call *c, bool *axes) {
  int64_t n, axis;
  const int64_t *v;
  int r = fe_rank(c->in[0]);
  if (!tfl_const_ints(c, 1, &n, &v))
    return false;
  for (int64_t i = 0; i < n; i++) {
    if (!fe_axis(c->b, v[i], r, &axis))
      return false;
    axes[axis] = true;
  }
  return true;
}

/* Sums of integers, or means: the factor takes up what is left of 1 / count. */
static struct ir_value *quantized_sum(struct tfl_call *c, const bool *axes,
                                      bool mean) {
  struct ir_value *x = c->in[0];
  int64_t n = 1;
  for (int i = 0; i < fe_rank(x); i++)
    n *= axes[i] ? fe_dims(x)[i] : 1;
  struct ir_factor f = ir_factor(tfl_scale(c->tin[0]) / tfl_scale(c->tout[0]));
  int shift = n > 0 ? 63 - __builtin_clzll((uint64_t)n) : 0;
  shift = (int)dn_min(dn_min(shift, 32), 31 + f.shift);
  if (mean && n > 0 && shift >= 0) {
    f.m = (f.m << shift) / n;
    f.shift -= shift;
  }
  x = fe_reduce(c->b, IR_REDUCE_SUM, fe_cast(c->b, x, IR_I32), axes);
  x = x ? fe_offset(c->b, x, -(double)(tfl_zero(c->tin[0]) * n)) : NULL;
  return tfl_narrow(c, tfl_rescale1(c, x, f), 0);
}

bool tflite_reduce(struct tfl_call *c) {
  bool axes[IR_MAX_RANK] = {0};
  struct ir_value *x = c->in[0], *y;
  bool sums = c->arg == IR_REDUCE_SUM || c->arg == IR_DIV;
  if (!read_axes(c, axes))
    return false;
  bool small = ir_is_int(fe_dtype(x)) && ir_dtypes[fe_dtype(x)].bits < 32;
  if (sums && small) {
    if (!tfl_quantized(c, c->tin[0]) || !tfl_quantized(c, c->tout[0]))
      return false;
    y = quantized_sum(c, axes, c->arg == IR_DIV);
  } else if (!sums && !tfl_same_scale(c, 0)) {
    return false;
  } else if (tfl_is_quantized(c->tout[0]) && c->arg == IR_REDUCE_PROD) {
    return tfl_fail(c, UNSUPPORTED_TYPE, "products of quantized numbers");
  } else if (fe_dtype(x) == IR_BOOL) {
    y = fe_reduce(c->b, (enum ir_opcode)c->arg, fe_cast(c->b, x, IR_U8), axes);
    y = fe_cast(c->b, y, IR_BOOL);
  } else if (c->arg == IR_DIV) {
    y = fe_mean(c->b, x, axes);
  } else {
    y = fe_reduce(c->b, (enum ir_opcode)c->arg, x, axes);
  }
  return tfl_return(c, fe_reshape(c->b, y, c->tout[0]->rank, c->tout[0]->dim));
}

bool tflite_arg_extreme(struct tfl_call *c) {
  bool axes[IR_MAX_RANK] = {0};
  if (!read_axes(c, axes))
    return false;
  struct ir_value *y = fe_reduce(c->b, (enum ir_opcode)c->arg, c->in[0], axes);
  y = fe_cast(c->b, y, c->tout[0]->dtype);
  return tfl_return(c, fe_reshape(c->b, y, c->tout[0]->rank, c->tout[0]->dim));
}

bool tflite_cumsum(struct tfl_call *c) {
  int64_t axis, back = tfl_int(c, "reverse") ? -1 : 1;
  if (!tfl_const_int(c, 1, &axis) ||
      !fe_axis(c->b, axis, fe_rank(c->in[0]), &axis))
    return false;
  if (tfl_is_quantized(c->tout[0]))
    return tfl_fail(c, UNSUPPORTED_TYPE, "sums of quantized numbers");
  return tfl_return(
      c, fe_emit(c->b, IR_CUMSUM, IR_ARGS(c->in[0]),
                 IR_ATTRS(ir_int("axis", axis), ir_int("step", back),
                          ir_int("lag", tfl_int(c, "exclusive") ? back : 0))));
}
