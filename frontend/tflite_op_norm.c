/* tflite_op_norm.c - operators that make the last dimension sum to one, or give
 * it the length one. */
#include "frontend/tflite.h"

#include <math.h>

/* ---- Softmax ---- */

/* The exponential of each distance 0 .. 255 from the largest element. */
static struct ir_value *exponentials(struct tfl_call *c) {
  int64_t d[256], n = 256;
  double scale = tfl_float(c, "beta") * tfl_scale(c->tin[0]) * 0x1p26;
  struct ir_factor f = ir_factor(fmin(scale, 0x1p31 - 1));
  double least = -floor(31 * 0x1p26 / ldexp(1, f.shift));
  for (int i = 0; i < 256; i++)
    d[i] = -i;
  struct ir_value *x = fe_ints(c->b, IR_I32, 1, &n, d);
  struct ir_value *near = fe_number(c->b, x, least),
                  *nil = fe_number(c->b, x, 0);
  struct ir_value *is_far = fe_op2(c->b, IR_LT, x, near);
  x = tfl_rescale1(c, fe_select(c->b, is_far, nil, x), f);
  x = fe_call(c->b, FE_FIXED_EXP, IR_ARGS(x), IR_ATTRS(ir_int("bits", 5)));
  return fe_select(c->b, is_far, nil, x);
}

/* 2^15 f(x) for x from `lo` on, 512 steps in a length of `span`: each number so
 * that between two of them, at the middle of the line, the error is half of
 * what it is with f. */
static struct ir_value *table_16(struct tfl_call *c, float lo, float span,
                                 float (*f)(float)) {
  int64_t v[513], n = 513;
  float unit = span / 65535.0f, least = unit * (lo * 65535.0f / span);
  float step = (unit * ((lo + span) * 65535.0f / span) - least) / 512;
  float to = 65536.0f / (2.0f / 65535.0f * 32767 + 2.0f / 65535.0f * 32768);
  for (int i = 0; i < 513; i++) {
    float at = least + (float)i * step, y = roundf(f(at) * to);
    float next = f(least + (float)(i + 1) * step) * to;
    float middle = roundf((next + y) / 2) - roundf(f(at + step / 2) * to);
    y -= i < 512 ? roundf(middle / 2) : 0;
    v[i] = (int64_t)fminf(fmaxf(y, INT16_MIN), INT16_MAX);
  }
  return fe_ints(c->b, IR_I32, 1, &n, v);
}

static float power(float x) { return (float)exp((double)x); }
static float inverse(float x) { return 1 / (1 + x); }

static struct ir_value *softmax_16(struct tfl_call *c) {
  double scale = tfl_scale(c->tin[0]) * tfl_float(c, "beta") / (10.0 / 65535);
  struct ir_value *x = fe_cast(c->b, c->in[0], IR_I32);
  bool axes[IR_MAX_RANK] = {0};
  axes[fe_rank(x) - 1] = true;
  x = fe_sub(c->b, x, fe_reduce(c->b, IR_REDUCE_MAX, x, axes));
  x = tfl_rescale1(c, x, ir_factor(scale));
  return fe_call(
      c->b, FE_SOFTMAX_16,
      IR_ARGS(x, table_16(c, -10, 10, power), table_16(c, 0, 1, inverse)), NULL,
      0);
}

bool tflite_softmax(struct tfl_call *c) {
  struct ir_value *x = c->in[0];
  int r = fe_rank(x);
  if (!tfl_rank(c, 0, 1, IR_MAX_RANK))
    return false;
  if (ir_is_float(fe_dtype(x))) {
    x = fe_scale(c->b, x, tfl_float(c, "beta"));
    return tfl_return(c, fe_call(c->b, FE_SOFTMAX, IR_ARGS(x), NULL, 0));
  }
  if (!tfl_quantized(c, c->tin[0]) || !tfl_quantized(c, c->tout[0]))
    return false;
  if (fe_dtype(x) == IR_I16 && c->tout[0]->dtype == IR_I16)
    return tfl_output_is(c, 0x1p-15, 0) &&
           tfl_return(c, fe_cast(c->b, softmax_16(c), IR_I16));
  unsigned size = ir_dtypes[c->tout[0]->dtype].bits;
  double least, greatest;
  ir_dtype_range(c->tout[0]->dtype, &least, &greatest);
  if (ir_dtypes[fe_dtype(x)].bits != 8 || size > 16)
    return tfl_unsupported(c, 0);
  if (!tfl_output_is(c, ldexp(1, -(int)size), (int64_t)least))
    return false;
  bool axes[IR_MAX_RANK] = {0};
  axes[r - 1] = true;
  x = fe_cast(c->b, x, IR_I32);
  struct ir_value *most = fe_reduce(c->b, IR_REDUCE_MAX, x, axes);
  struct ir_value *at = fe_cast(c->b, fe_sub(c->b, most, x), IR_U8);
  struct ir_value *e = fe_gather(c->b, exponentials(c), at, 0);
  struct ir_value *y = fe_call(c->b, FE_FIXED_SOFTMAX, IR_ARGS(e),
                               IR_ATTRS(ir_int("size", size)));
  return tfl_return(c, tfl_bounded(c, fe_offset(c->b, y, least), 0));
}

/* By the square root of the sum of squares; integers in steps of 2^-7. */
bool tflite_l2_norm(struct tfl_call *c) {
  struct ir_value *x = c->in[0];
  if (!tfl_rank(c, 0, 1, IR_MAX_RANK))
    return false;
  if (ir_is_float(fe_dtype(x))) {
    x = fe_call(c->b, FE_L2_NORM, IR_ARGS(x), NULL, 0);
    return tfl_return(c, tfl_activate(c, x, tfl_int(c, "activation")));
  }
  if (!tfl_quantized(c, c->tin[0]) || !tfl_quantized(c, c->tout[0]))
    return false;
  if (fe_dtype(x) != IR_I8 || tfl_int(c, "activation"))
    return tfl_unsupported(c, 0);
  if (!tfl_output_is(c, 0x1p-7, 0))
    return false;
  x = fe_call(c->b, FE_FIXED_L2_NORM, IR_ARGS(tfl_centred(c, 0)), NULL, 0);
  return tfl_return(c, tfl_narrow(c, x, 0));
}
