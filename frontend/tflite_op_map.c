/* tflite_op_map.c - operators of each element by itself. In integers, functions
 * of one tensor of 8 bits are tables. */
#include "frontend/tflite.h"

#include <math.h>
#include <string.h>

/* ---- Two operands ---- */

/* Operand i in steps of 2^-left of twice the largest scale, which is `unit`. */
static struct ir_value *in_steps(struct tfl_call *c, size_t i, double unit,
                                 int left) {
  struct ir_value *x = tfl_centred(c, i);
  double s = tfl_scale(c->tin[i]);
  bool half = left && s * 2 == unit; /* which is exact */
  x = fe_op2(c->b, IR_SHL, x, fe_number(c->b, x, left - half));
  return half ? x : tfl_rescale1(c, x, ir_factor(s / unit));
}

static double twice_largest(const struct tfl_call *c) {
  return 2 * fmax(tfl_scale(c->tin[0]), tfl_scale(c->tin[1]));
}

/* Sums and differences. */
static struct ir_value *scaled_sum(struct tfl_call *c, enum ir_opcode code,
                                   int64_t activation) {
  double unit = twice_largest(c), to = tfl_scale(c->tout[0]);
  int left = c->tout[0]->dtype == IR_I16 ? 15 : 20;
  struct ir_value *y = fe_op2(c->b, code, in_steps(c, 0, unit, left),
                              in_steps(c, 1, unit, left));
  /* Each is at most half of 2^left times 2^8 or 2^16. */
  double most = left == 20 ? 0x1p28 : 0x1p31;
  struct tfl_factor f = {unit / (ldexp(1, left) * to), -most, most};
  return tfl_result(c, y, 1, &f, activation);
}

/* The sum of all, or along a dimension (cumsum): numbers of 8 bits and one scale,
 * in steps of 2^-20 of twice that. The kernels begin with the integer 0, which
 * stands for a number below 0 where the zero point is above. */
static struct ir_value *total(struct tfl_call *c, size_t n,
                              const struct ir_attr *cumsum) {
  double unit = 2 * tfl_scale(c->tin[0]), to = tfl_scale(c->tout[0]);
  struct ir_value *y = in_steps(c, 0, unit, 20);
  for (size_t i = 1; i < n; i++)
    y = fe_add(c->b, y, in_steps(c, i, unit, 20));
  if (cumsum)
    y = fe_emit(c->b, IR_CUMSUM, IR_ARGS(y), cumsum, 3);
  y = fe_offset(c->b, y, -0x1p19 * (double)tfl_zero(c->tin[0]));
  struct tfl_factor f = {unit / (0x1p20 * to), -0x1p31, 0x1p31};
  return tfl_result(c, y, 1, &f, 0);
}

static struct ir_value *scaled_square(struct tfl_call *c) {
  double unit = twice_largest(c), to = tfl_scale(c->tout[0]);
  int left = c->tout[0]->dtype == IR_I16 ? 0 : 7;
  struct ir_value *y =
      fe_sub(c->b, in_steps(c, 0, unit, left), in_steps(c, 1, unit, left));
  struct tfl_factor f = {unit * unit / (ldexp(1, 2 * left) * to), 0, 0x1p31};
  return tfl_result(c, fe_mul(c->b, y, y), 1, &f, 0);
}

static struct ir_value *scaled_product(struct tfl_call *c, int64_t activation) {
  double f = tfl_scale(c->tin[0]) * tfl_scale(c->tin[1]);
  struct ir_value *y = fe_mul(c->b, tfl_centred(c, 0), tfl_centred(c, 1));
  double most = c->tout[0]->dtype == IR_I16 ? 0x1p30 : 0x1p16;
  return tfl_result(
      c, y, 1, &(struct tfl_factor){f / tfl_scale(c->tout[0]), -most, most},
      activation);
}

/* x by the inverse of y and by the factor, all of 31 bits and shifts. */
static struct ir_value *scaled_quotient(struct tfl_call *c,
                                        int64_t activation) {
  float below = (float)tfl_scale(c->tin[1]) * (float)tfl_scale(c->tout[0]);
  struct ir_factor f = ir_factor((double)((float)tfl_scale(c->tin[0]) / below));
  struct ir_value *y = fe_call(
      c->b, FE_FIXED_QUOTIENT, IR_ARGS(tfl_centred(c, 0), tfl_centred(c, 1)),
      IR_ATTRS(ir_int("m", f.m), ir_int("shift", f.shift)));
  return tfl_narrow(c, y, activation);
}

static bool same_types(struct tfl_call *c) {
  for (size_t i = 1; i < c->nin; i++)
    if (!c->in[i] || fe_dtype(c->in[i]) != fe_dtype(c->in[0]))
      return tfl_fail(c, TYPE, "operands of different types");
  return true;
}

bool tflite_binary(struct tfl_call *c) {
  int64_t activation = tfl_int(c, "activation");
  enum ir_opcode code = (enum ir_opcode)c->arg;
  if (!same_types(c))
    return false;
  if (!tfl_is_quantized(c->tout[0]) || c->tout[0]->dtype == IR_I32) {
    struct ir_value *y = fe_op2(c->b, code, c->in[0], c->in[1]);
    return tfl_return(c, tfl_activate(c, y, activation));
  }
  for (size_t i = 0; i < 2; i++)
    if (!tfl_quantized(c, c->tin[i]))
      return false;
  if (!tfl_quantized(c, c->tout[0]))
    return false;
  if (fe_dtype(c->in[0]) != c->tout[0]->dtype)
    return tfl_fail(c, UNSUPPORTED_TYPE, "%s to %s",
                    tfl_type_name(c->tin[0]->code),
                    tfl_type_name(c->tout[0]->code));
  return tfl_return(c, code == IR_MUL   ? scaled_product(c, activation)
                       : code == IR_DIV ? scaled_quotient(c, activation)
                                        : scaled_sum(c, code, activation));
}

/* The sum of all. Quantized ones have one scale. */
bool tflite_add_n(struct tfl_call *c) {
  struct ir_value *y = c->in[0];
  if (!same_types(c))
    return false;
  if (tfl_is_quantized(c->tout[0])) {
    bool fits = c->nin > 1 && c->tout[0]->dtype == IR_I8 &&
                fe_dtype(y) == IR_I8 && tfl_quantized(c, c->tin[0]) &&
                tfl_quantized(c, c->tout[0]);
    for (size_t i = 1; i < c->nin && fits; i++)
      fits = tfl_scale(c->tin[i]) == tfl_scale(c->tin[0]) &&
             tfl_zero(c->tin[i]) == tfl_zero(c->tin[0]);
    return fits ? tfl_return(c, total(c, c->nin, NULL))
                : tfl_fail(c, UNSUPPORTED_TYPE, "a sum of other scales");
  }
  for (size_t i = 1; i < c->nin; i++)
    y = fe_add(c->b, y, c->in[i]);
  return tfl_return(c, y);
}

bool tflite_cumsum(struct tfl_call *c) {
  int64_t axis, back = tfl_int(c, "reverse") ? -1 : 1;
  if (!tfl_const_int(c, 1, &axis) ||
      !fe_axis(c->b, axis, fe_rank(c->in[0]), &axis))
    return false;
  struct ir_attr attrs[] = {ir_int("axis", axis), ir_int("step", back),
                            ir_int("lag", tfl_int(c, "exclusive") ? back : 0)};
  if (!tfl_is_quantized(c->tout[0]))
    return tfl_return(
        c, fe_emit(c->b, IR_CUMSUM, IR_ARGS(c->in[0]), attrs, DN_COUNT(attrs)));
  if (c->tout[0]->dtype != IR_I8 || fe_dtype(c->in[0]) != IR_I8)
    return tfl_fail(c, UNSUPPORTED_TYPE, "sums of %s to %s",
                    tfl_type_name(c->tin[0]->code),
                    tfl_type_name(c->tout[0]->code));
  return tfl_quantized(c, c->tin[0]) && tfl_quantized(c, c->tout[0]) &&
         tfl_return(c, total(c, 1, attrs));
}

/* Operands and result of one scale. */
bool tflite_extreme(struct tfl_call *c) {
  return same_types(c) && tfl_return(c, fe_op2(c->b, (enum ir_opcode)c->arg,
                                               c->in[0], c->in[1]));
}

/* ---- Quantization ---- */

/* Numbers of 32 bits may be requantized. */
static bool has_scale(struct tfl_call *c, const struct tfl_tensor *t) {
  return (t->dtype == IR_I32 && t->n == 1) || tfl_quantized(c, t);
}

bool tflite_quantize(struct tfl_call *c) {
  struct ir_value *x = c->in[0];
  if (!has_scale(c, c->tout[0]))
    return false;
  double to = tfl_scale(c->tout[0]);
  if (ir_is_float(fe_dtype(x))) {
    x = fe_div(c->b, x, fe_number(c->b, x, to));
    x = fe_call(c->b, FE_ROUND_AWAY, IR_ARGS(x), NULL, 0);
    return tfl_return(c, tfl_narrow(c, x, 0));
  }
  if (!has_scale(c, c->tin[0]))
    return false;
  x = tfl_rescale1(c, tfl_centred(c, 0), ir_factor(tfl_scale(c->tin[0]) / to));
  return tfl_return(c, tfl_narrow(c, x, 0));
}

/* (q - zero) scale, of one scale or of one for each index of an axis. */
struct ir_value *tfl_dequantized(struct tfl_call *c, struct ir_value *x,
                                 const struct tfl_tensor *t, enum ir_dtype to) {
  double *v = DN_ARRAY(c->im->ctx->arena, double, 2 * t->n);
  for (size_t i = 0; i < t->n; i++) {
    v[i] = (double)fb_float_at(&t->scales, i);
    v[t->n + i] = t->zeros.n ? (double)fb_int_at(&t->zeros, i, 8) : 0;
  }
  const int64_t *dims = fe_along(c->b, t->rank, t->axis, (int64_t)t->n);
  int rank = t->n == 1 ? 0 : (int)t->rank;
  struct ir_value *scale = fe_floats(c->b, to, rank, dims, v);
  struct ir_value *zero = fe_floats(c->b, to, rank, dims, v + t->n);
  return fe_call(c->b, FE_DEQUANTIZE, IR_ARGS(x, scale, zero), NULL, 0);
}

bool tflite_dequantize(struct tfl_call *c) {
  struct ir_value *x = c->in[0];
  enum ir_dtype to = c->tout[0]->dtype;
  if (ir_is_float(fe_dtype(x)))
    return tfl_return(c, fe_cast(c->b, x, to));
  if (!tfl_is_quantized(c->tin[0]) || !ir_is_float(to))
    return tfl_quantized(c, c->tin[0]) &&
           tfl_fail(c, UNSUPPORTED_TYPE, "to %s",
                    tfl_type_name(c->tout[0]->code));
  return tfl_return(c, tfl_dequantized(c, x, c->tin[0], to));
}

/* ---- Functions of one tensor ---- */

/* As fixed-point numbers with `bits` bits before the point, and from which
 * distance to the zero point on they are out of range. */
static struct ir_value *to_fixed(struct tfl_call *c, struct ir_value *x,
                                 double scale, int bits, double *radius) {
  struct ir_factor f = ir_factor(scale);
  *radius = floor(((1 << bits) - 1) * ldexp(1, 31 - bits) / ldexp(1, f.shift));
  *radius = fmin(*radius, 0x1p30);
  x = fe_offset(c->b, x, -(double)tfl_zero(c->tin[0]));
  x = fe_emit(c->b, IR_CLAMP, IR_ARGS(x),
              IR_ATTRS(ir_float("lo", -*radius), ir_float("hi", *radius)));
  return tfl_rescale1(c, x, f);
}

/* Logistic function and tanh: 4 bits before the point, in steps of 2^-8 or
 * 2^-7; far from 0 they are the least or greatest number. */
static struct ir_value *sigmoid(struct tfl_call *c, struct ir_value *x) {
  bool tanh = c->arg == FE_FIXED_TANH;
  double radius, scale = tfl_scale(c->tin[0]) * 0x1p27;
  struct ir_value *y = to_fixed(c, x, scale, 4, &radius);
  y = fe_call(c->b, (enum fe_decomposition)c->arg, IR_ARGS(y), NULL, 0);
  y = y ? fe_op2(c->b, IR_RSHR, y, fe_number(c->b, y, tanh ? 24 : 23)) : NULL;
  y = tfl_narrow(c, y, 0);
  if (!y)
    return NULL;
  x = fe_offset(c->b, x, -(double)tfl_zero(c->tin[0]));
  struct ir_value *far = fe_number(c->b, x, radius);
  struct ir_value *near = fe_number(c->b, x, -radius);
  double least, most;
  ir_dtype_range(fe_dtype(y), &least, &most);
  y = fe_select(c->b, fe_op2(c->b, IR_LE, far, x), fe_number(c->b, y, most), y);
  return fe_select(c->b, fe_op2(c->b, IR_LE, x, near),
                   fe_number(c->b, y, least), y);
}

/* 2^16 sigmoid(i / 24), as TFLite's table has it. */
static struct ir_value *sigmoid_table(struct tfl_call *c) {
  static const char above[] =
      "0110101011111111111111111111221112121111111211111111111111111111"
      "1011101011111111111110111100011001111101000110111011101100010011"
      "0101001100011010111110111100110010000001010001000110101001110000"
      "0111001101101010101001011011001100110001100001110000011111000001";
  int64_t v[256], n = 256;
  for (int i = 0; i < 256; i++)
    v[i] = (int64_t)(65536 / (1 + exp(-i / 24.0))) + (above[i] - '0');
  return fe_ints(c->b, IR_I32, 1, &n, v);
}

struct ir_value *tfl_squash(struct tfl_call *c, struct ir_value *x, bool tanh,
                            int64_t m, int64_t shift) {
  if (!x)
    return NULL;
  x = fe_scale(c->b, x, (double)m);
  if (shift)
    x = fe_op2(c->b, IR_SHR, fe_offset(c->b, x, ldexp(1, (int)shift - 1)),
               fe_number(c->b, x, (double)shift));
  return fe_call(c->b, tanh ? FE_TANH_16 : FE_LOGISTIC_16,
                 IR_ARGS(x, sigmoid_table(c)), NULL, 0);
}

/* i16 in steps of 1 / (3 * 4096): by 3 and a power of two, or a factor. */
static struct ir_value *sigmoid_16(struct tfl_call *c) {
  bool tanh = c->arg == FE_FIXED_TANH;
  struct ir_value *x = fe_cast(c->b, c->in[0], IR_I32);
  float scale = (float)tfl_scale(c->tin[0]);
  float power = logf(scale) * (1.0f / logf(2.0f));
  int64_t up = 12 + (int64_t)roundf(power), shift = 0;
  double m = (double)scale * 4096 * 3;
  if (fabsf(power - roundf(power)) < 1e-3f && up >= 0 && up <= tanh)
    return tfl_squash(c, x, tanh, 3 << up, 0);
  for (; m <= 32767.0 / 2 && shift <= 30; shift++)
    m *= 2;
  if (m >= 0x1p15)
    return fe_null(c->b, DN_UNSUPPORTED_ATTR, "a scale of %g", (double)scale);
  return tfl_squash(c, x, tanh, (int64_t)m, shift);
}

bool tflite_sigmoid(struct tfl_call *c) {
  struct ir_value *x = c->in[0];
  if (ir_is_float(fe_dtype(x)))
    return tfl_return(
        c, fe_op1(c->b, c->arg == FE_FIXED_TANH ? IR_TANH : IR_SIGMOID, x));
  if (!tfl_quantized(c, c->tin[0]) || !tfl_quantized(c, c->tout[0]))
    return false;
  bool tanh = c->arg == FE_FIXED_TANH, wide = fe_dtype(x) == IR_I16;
  if ((!wide && fe_dtype(x) != IR_I8) || c->tout[0]->dtype != fe_dtype(x))
    return tfl_unsupported(c, 0);
  if (!tfl_output_is(c,
                     wide   ? 0x1p-15
                     : tanh ? 0x1p-7
                            : 0x1p-8,
                     wide || tanh ? 0 : INT8_MIN))
    return false;
  if (wide)
    return tfl_return(c, fe_cast(c->b, sigmoid_16(c), IR_I16));
  return tfl_return(c, tfl_table(c, sigmoid));
}

/* A function `f` of one tensor, quantized in 8 or 16 bits: of 8 bits a table. */
static bool of_integers(struct tfl_call *c,
                        struct ir_value *(*f)(struct tfl_call *c,
                                              struct ir_value *x)) {
  struct ir_value *x = c->in[0];
  if (!tfl_quantized(c, c->tin[0]) || !tfl_quantized(c, c->tout[0]))
    return false;
  return tfl_return(c, ir_dtypes[fe_dtype(x)].bits == 8
                           ? tfl_table(c, f)
                           : f(c, fe_cast(c->b, x, IR_I32)));
}

/* The op of what is not quantized. */
static bool of_numbers(struct tfl_call *c, enum ir_opcode code,
                       struct ir_value *(*f)(struct tfl_call *c,
                                             struct ir_value *x)) {
  return tfl_is_quantized(c->tin[0])
             ? of_integers(c, f)
             : tfl_return(c, fe_op1(c->b, code, c->in[0]));
}

static struct ir_value *fixed_abs(struct tfl_call *c, struct ir_value *x) {
  x = fe_offset(c->b, x, -(double)tfl_zero(c->tin[0]));
  double f = tfl_scale(c->tin[0]) / tfl_scale(c->tout[0]);
  return tfl_narrow(c, tfl_rescale1(c, fe_op1(c->b, IR_ABS, x), ir_factor(f)),
                    0);
}

bool tflite_abs(struct tfl_call *c) { return of_numbers(c, IR_ABS, fixed_abs); }

/* In steps of 2^-20; not above 0, the greatest number. */
static struct ir_value *fixed_rsqrt(struct tfl_call *c, struct ir_value *x) {
  double least, most, scale = sqrt(tfl_scale(c->tin[0]));
  struct ir_factor f = ir_factor(1 / (scale * tfl_scale(c->tout[0])));
  f.shift -= 20;
  x = fe_offset(c->b, x, -(double)tfl_zero(c->tin[0]));
  struct ir_value *y = fe_call(c->b, FE_FIXED_RSQRT, IR_ARGS(x), NULL, 0);
  y = tfl_narrow(c, tfl_rescale1(c, y, f), 0);
  if (!y)
    return NULL;
  ir_dtype_range(fe_dtype(y), &least, &most);
  return fe_select(c->b, fe_op2(c->b, IR_LE, x, fe_number(c->b, x, 0)),
                   fe_number(c->b, y, most), y);
}

bool tflite_rsqrt(struct tfl_call *c) {
  return of_numbers(c, IR_RSQRT, fixed_rsqrt);
}

static struct ir_value *function(struct tfl_call *c, struct ir_value *x) {
  if (c->arg == IR_GELU && tfl_int(c, "approximate"))
    return fe_call(c->b, FE_GELU_TANH, IR_ARGS(x), NULL, 0);
  return fe_op1(c->b, (enum ir_opcode)c->arg, x);
}

/* A table of floats, rounded; what has no result is the least number. */
static struct ir_value *by_floats(struct tfl_call *c, struct ir_value *x) {
  x = function(c, tfl_dequantized(c, x, c->tin[0], IR_F32));
  x = fe_select(c->b, fe_op2(c->b, IR_EQ, x, x), x,
                fe_number(c->b, x, -HUGE_VAL));
  x = fe_scale(c->b, x, (double)(1 / (float)tfl_scale(c->tout[0])));
  x = fe_call(c->b, FE_ROUND_AWAY, IR_ARGS(x), NULL, 0);
  return tfl_narrow(c, x, 0);
}

/* What has no arithmetic of integers of its own: a function of floats. */
bool tflite_unary(struct tfl_call *c) {
  struct ir_value *x = c->in[0];
  if (tfl_is_quantized(c->tin[0]) && ir_dtypes[fe_dtype(x)].bits == 8)
    return of_integers(c, by_floats);
  if (!ir_is_float(fe_dtype(x)) && c->arg != IR_NOT &&
      (tfl_is_quantized(c->tin[0]) || c->arg > IR_SIGN))
    return tfl_unsupported(c, 0);
  return tfl_return(c, function(c, x));
}

bool tflite_squared_difference(struct tfl_call *c) {
  if (!same_types(c))
    return false;
  if (!tfl_is_quantized(c->tin[0])) {
    struct ir_value *x = fe_sub(c->b, c->in[0], c->in[1]);
    return tfl_return(c, fe_mul(c->b, x, x));
  }
  if (c->tout[0]->dtype != fe_dtype(c->in[0]))
    return tfl_unsupported(c, 0);
  return tfl_quantized(c, c->tin[0]) && tfl_quantized(c, c->tin[1]) &&
         tfl_quantized(c, c->tout[0]) && tfl_return(c, scaled_square(c));
}

/* ---- Bounds ---- */

static struct ir_value *rectified(struct tfl_call *c, struct ir_value *x) {
  x = fe_offset(c->b, x, -(double)tfl_zero(c->tin[0]));
  double f =
      (double)((float)tfl_scale(c->tin[0]) / (float)tfl_scale(c->tout[0]));
  return tfl_narrow(c, tfl_rescale1(c, x, ir_factor(f)), c->arg);
}

/* arg: an ActivationFunctionType. */
bool tflite_bounds(struct tfl_call *c) {
  return tfl_is_quantized(c->tin[0])
             ? of_integers(c, rectified)
             : tfl_return(c, tfl_activate(c, c->in[0], c->arg));
}

/* ---- Comparisons ---- */

/* Quantized operands of 8 bits in the steps of 2^-8, others as they are. */
static struct ir_value *compared(struct tfl_call *c, size_t k) {
  if (!tfl_is_quantized(c->tin[k]) || ir_dtypes[c->tin[k]->dtype].bits != 8)
    return c->in[k];
  struct ir_value *x = tfl_centred(c, k);
  x = fe_op2(c->b, IR_SHL, x, fe_number(c->b, x, 8));
  return tfl_rescale1(c, x, ir_factor(tfl_scale(c->tin[k])));
}

/* arg: the op, negative with the operands exchanged, or of its negation. */
bool tflite_compare(struct tfl_call *c) {
  if (!same_types(c))
    return false;
  bool swap = c->arg < 0;
  struct ir_value *x = compared(c, swap), *y = compared(c, !swap);
  int code = swap ? -c->arg : c->arg;
  if (code != IR_NOT)
    return tfl_return(c, fe_op2(c->b, (enum ir_opcode)code, x, y));
  y = fe_op2(c->b, IR_EQ, x, y);
  return tfl_return(c, fe_op1(c->b, IR_NOT, y));
}

/* x by one factor, or by another below 0. */
static struct ir_value *leaky(struct tfl_call *c, struct ir_value *x) {
  float in = (float)tfl_scale(c->tin[0]), to = (float)tfl_scale(c->tout[0]);
  float alpha = (float)tfl_float(c, "alpha");
  x = fe_offset(c->b, x, -(double)tfl_zero(c->tin[0]));
  struct ir_value *y = tfl_rescale1(c, x, ir_factor((double)(in / to)));
  struct ir_value *below =
      tfl_rescale1(c, x, ir_factor((double)(in * alpha / to)));
  struct ir_value *is_below = fe_op2(c->b, IR_LT, x, fe_number(c->b, x, 0));
  return tfl_narrow(c, fe_select(c->b, is_below, below, y), 0);
}

bool tflite_leaky_relu(struct tfl_call *c) {
  if (!ir_is_float(fe_dtype(c->in[0])))
    return of_integers(c, leaky);
  return tfl_return(
      c, fe_emit(c->b, IR_LEAKY_RELU, IR_ARGS(c->in[0]),
                 IR_ATTRS(ir_float("alpha", tfl_float(c, "alpha")))));
}

/* x, or below 0 x times a factor of its channel. */
bool tflite_prelu(struct tfl_call *c) {
  if (!same_types(c))
    return false;
  if (!tfl_is_quantized(c->tout[0]))
    return tfl_return(c, fe_op2(c->b, IR_PRELU, c->in[0], c->in[1]));
  for (size_t i = 0; i < 2; i++)
    if (!tfl_quantized(c, c->tin[i]))
      return false;
  double f = tfl_scale(c->tin[0]) / tfl_scale(c->tout[0]);
  struct ir_value *x = tfl_centred(c, 0), *alpha = tfl_centred(c, 1);
  struct ir_value *y = tfl_rescale1(c, x, ir_factor(f));
  struct ir_value *below =
      tfl_rescale1(c, fe_mul(c->b, x, alpha),
                   ir_factor(tfl_scale(c->tin[0]) * tfl_scale(c->tin[1]) /
                             tfl_scale(c->tout[0])));
  struct ir_value *is_below = fe_op2(c->b, IR_LT, x, fe_number(c->b, x, 0));
  return tfl_return(c, tfl_narrow(c, fe_select(c->b, is_below, below, y), 0));
}

/* ---- Hard swish, in 16 bits ---- */

static int64_t within_16(int64_t v) {
  return dn_max(INT16_MIN, dn_min(INT16_MAX, v));
}

/* Of 31 bits to 15. */
static int64_t half_factor(struct ir_factor f) {
  return dn_min((f.m + (1 << 15)) >> 16, INT16_MAX);
}

static int64_t product_16(int64_t x, int64_t y) {
  return within_16((x * y + (1 << 14)) >> 15);
}

static int64_t shifted_16(int64_t x, int64_t by) {
  int64_t mask = (INT64_C(1) << by) - 1;
  return (x >> by) + ((x & mask) > (mask >> 1) + (x < 0));
}

static struct ir_value *hard_swish(struct tfl_call *c, struct ir_value *x) {
  int64_t v[256], n = 256;
  float fine = (1.0f / 128.0f) * (float)tfl_scale(c->tin[0]);
  float three = 3.0f / 32768.0f;
  struct ir_factor of =
      ir_factor((double)(fine / (float)tfl_scale(c->tout[0])));
  struct ir_factor rf = ir_factor((double)(fine / three));
  double least, most;
  if (of.shift > 0)
    return fe_null(c->b, DN_UNSUPPORTED_ATTR, "the output has the scale %g",
                   tfl_scale(c->tout[0]));
  ir_dtype_range(c->tout[0]->dtype, &least, &most);
  for (int i = 0; i < 256; i++) {
    int64_t in = (ir_const_int(x, i) - tfl_zero(c->tin[0])) * 128, r = in;
    int64_t out = product_16(in, half_factor(of));
    if (rf.shift > 0)
      r = within_16(r * (INT64_C(1) << dn_min(rf.shift - 1, 30)));
    r = product_16(r, half_factor(rf));
    if (rf.shift > 0)
      r = within_16(r * 2);
    if (rf.shift < 0)
      r = shifted_16(r, -rf.shift);
    r = (r + (1 << 15)) >> 1;
    v[i] = shifted_16(r * out / (1 << 15), -of.shift) + tfl_zero(c->tout[0]);
    v[i] = dn_max((int64_t)least, dn_min((int64_t)most, v[i]));
  }
  return fe_ints(c->b, c->tout[0]->dtype, 1, &n, v);
}

bool tflite_hard_swish(struct tfl_call *c) {
  struct ir_value *x = c->in[0];
  if (ir_is_float(fe_dtype(x)))
    return tfl_return(c, fe_call(c->b, FE_HARD_SWISH, IR_ARGS(x), NULL, 0));
  return ir_dtypes[fe_dtype(x)].bits == 8 ? of_integers(c, hard_swish)
                                          : tfl_unsupported(c, 0);
}
