/* tflite_fixed.c - TFLite's arithmetic of quantized tensors: a factor is an
 * integer of 31 bits and a shift, and products are rounded twice, as in
 * MultiplyByQuantizedMultiplier() of its reference kernels; those of 64-bit
 * sums once, with 15 bits of the factor. */
#include "frontend/tflite.h"

#include <math.h>

double tfl_scale(const struct tfl_tensor *t) {
  return tfl_is_quantized(t) ? (double)fb_float_at(&t->scales, 0) : 1;
}

int64_t tfl_zero(const struct tfl_tensor *t) {
  return tfl_is_quantized(t) && t->zeros.n ? fb_int_at(&t->zeros, 0, 8) : 0;
}

bool tfl_quantized(struct tfl_call *c, const struct tfl_tensor *t) {
  bool ok = t->dtype == IR_I8 || t->dtype == IR_U8 || t->dtype == IR_I16;
  if (!ok || !t->n)
    return tfl_fail(c, TYPE,
                    "'%s', of type %s, is not quantized in 8 or 16 bits",
                    fe_text(c->im->ctx, t->name), tfl_type_name(t->code));
  if (t->n != 1)
    return tfl_fail(c, UNSUPPORTED_ATTR, "'%s' has a scale for each index",
                    fe_text(c->im->ctx, t->name));
  return true;
}

bool tfl_same_scale(struct tfl_call *c, size_t k) {
  const struct tfl_tensor *x = c->tin[k], *y = c->tout[0];
  return (tfl_scale(x) == tfl_scale(y) && tfl_zero(x) == tfl_zero(y)) ||
         tfl_fail(c, UNSUPPORTED_ATTR,
                  "input %zu has another scale than the output", k);
}

bool tfl_output_is(struct tfl_call *c, double scale, int64_t zero) {
  const struct tfl_tensor *t = c->tout[0];
  return (fabs(tfl_scale(t) - scale) < scale * 1e-3 && tfl_zero(t) == zero) ||
         tfl_fail(c, UNSUPPORTED_ATTR, "the output has the scale %g:%lld",
                  tfl_scale(t), (long long)tfl_zero(t));
}

/* n numbers, or one that all are. */
static struct ir_value *numbers(struct tfl_call *c, enum ir_dtype type,
                                size_t n, const int64_t *v) {
  int64_t dims = (int64_t)n;
  bool same = true;
  for (size_t i = 1; i < n; i++)
    same = same && v[i] == v[0];
  return fe_ints(c->b, type, same ? 0 : 1, &dims, v);
}

/* (x m' + 2^(s-1)) / 2^s, rounded down, of 15 bits of the factor. */
static struct ir_value *rescale_wide(struct tfl_call *c, struct ir_value *x,
                                     size_t n, const struct ir_factor *f) {
  int64_t *v = DN_ARRAY(c->im->ctx->arena, int64_t, 3 * n);
  for (size_t i = 0; i < n; i++) {
    v[i] = f[i].m < 0x7fff0000 ? (f[i].m + (1 << 15)) >> 16 : 0x7fff;
    v[2 * n + i] = dn_max(15 - f[i].shift, 1);
    v[n + i] = INT64_C(1) << (v[2 * n + i] - 1);
  }
  x = fe_mul(c->b, x, numbers(c, IR_I64, n, v));
  x = fe_add(c->b, x, numbers(c, IR_I64, n, v + n));
  x = fe_op2(c->b, IR_SHR, x, numbers(c, IR_I64, n, v + 2 * n));
  return fe_cast(c->b, x, IR_I32);
}

static struct ir_value *rescale(struct tfl_call *c, struct ir_value *x,
                                size_t n, const struct ir_factor *f) {
  int64_t *v = DN_ARRAY(c->im->ctx->arena, int64_t, 3 * n);
  bool left = false, right = false;
  if (!x || fe_dtype(x) == IR_I64)
    return x ? rescale_wide(c, x, n, f) : NULL;
  for (size_t i = 0; i < n; i++) {
    v[i] = f[i].m;
    v[n + i] = dn_max(f[i].shift, 0);
    v[2 * n + i] = dn_max(-f[i].shift, 0);
    left |= v[n + i] > 0;
    right |= v[2 * n + i] > 0;
  }
  if (left)
    x = fe_op2(c->b, IR_SHL, x, numbers(c, IR_I32, n, v + n));
  x = fe_op2(c->b, IR_HMUL, x, numbers(c, IR_I32, n, v));
  if (right)
    x = fe_op2(c->b, IR_RSHR, x, numbers(c, IR_I32, n, v + 2 * n));
  return x;
}

struct ir_value *tfl_rescale(struct tfl_call *c, struct ir_value *x, size_t n,
                             const double *factor) {
  struct ir_factor *f = DN_ARRAY(c->im->ctx->arena, struct ir_factor, n);
  for (size_t i = 0; i < n; i++)
    f[i] = ir_factor(factor[i]);
  return rescale(c, x, n, f);
}

struct ir_value *tfl_rescale1(struct tfl_call *c, struct ir_value *x,
                              struct ir_factor f) {
  return rescale(c, x, 1, &f);
}

struct ir_value *tfl_centred(struct tfl_call *c, size_t k) {
  struct ir_value *x = fe_cast(c->b, c->in[k], IR_I32);
  return fe_offset(c->b, x, -(double)tfl_zero(c->tin[k]));
}

/* ---- Activations ---- */

struct bounds {
  double lo, hi;
};

/* Of an ActivationFunctionType; false: it has others than bounds. */
static bool find_bounds(struct tfl_call *c, int64_t activation,
                        struct bounds *out) {
  static const struct bounds of[] = {
      {-HUGE_VAL, HUGE_VAL}, {0, HUGE_VAL}, {-1, 1}, {0, 6}};
  bool known = activation >= 0 && activation < (int64_t)DN_COUNT(of);
  *out = of[known ? activation : 0];
  return known || tfl_fail(c, UNSUPPORTED_ATTR, "fused activation %lld",
                           (long long)activation);
}

struct ir_value *tfl_activate(struct tfl_call *c, struct ir_value *y,
                              int64_t activation) {
  struct bounds in;
  if (!find_bounds(c, activation, &in) || !y || in.lo == -HUGE_VAL)
    return y;
  return fe_emit(c->b, IR_CLAMP, IR_ARGS(y),
                 IR_ATTRS(ir_float("lo", in.lo), ir_float("hi", in.hi)));
}

struct ir_value *tfl_bounded(struct tfl_call *c, struct ir_value *y,
                             int64_t activation) {
  const struct tfl_tensor *t = c->tout[0];
  struct bounds in;
  double least, most, zero = (double)tfl_zero(t);
  float scale = (float)tfl_scale(t);
  if (!find_bounds(c, activation, &in) || !y)
    return NULL;
  ir_dtype_range(t->dtype, &least, &most);
  if (in.lo != -HUGE_VAL)
    least = fmax(least, zero + (double)roundf((float)in.lo / scale));
  if (in.hi != HUGE_VAL)
    most = fmin(most, zero + (double)roundf((float)in.hi / scale));
  if (fe_dtype(y) != t->dtype || activation)
    y = fe_emit(c->b, IR_CLAMP, IR_ARGS(y),
                IR_ATTRS(ir_float("lo", least), ir_float("hi", most)));
  return fe_cast(c->b, y, t->dtype);
}

struct ir_value *tfl_narrow(struct tfl_call *c, struct ir_value *y,
                            int64_t activation) {
  y = y ? fe_offset(c->b, y, (double)tfl_zero(c->tout[0])) : NULL;
  return tfl_bounded(c, y, activation);
}

/* x m / 2^31, rounded; and h / 2^e. */
static int64_t product_of(double x, int64_t m) {
  return ((int64_t)x * m + (1 << 30)) >> 31;
}

static int64_t rounded(int64_t h, int e) {
  return (h + (INT64_C(1) << (e - 1)) - (h < 0)) >> e;
}

struct column { /* floor((h + plus - (h < 0)) / 2^e), h = x m / 2^31, rounded */
  int64_t m, plus;
  int e;
};

/* Where all sums give one result, others do that are not too large for it. */
static struct column constant_column(struct tfl_call *c, int64_t y,
                                     const struct tfl_factor *of) {
  struct column col = {.m = 1 << 30, .e = 1};
  double lo, hi;
  int64_t first = product_of(of->least, col.m);
  ir_dtype_range(c->tout[0]->dtype, &lo, &hi);
  y = dn_min(dn_max(y, (int64_t)lo), (int64_t)hi);
  while (product_of(of->most, col.m) - first + 1 >= INT64_C(1) << col.e)
    col.e++;
  col.plus = y * (INT64_C(1) << col.e) - first + 1;
  return col;
}

/* h / 2^e, rounded, from the zero point, is floor((h + 2^(e-1) + zero 2^e -
 * (h < 0)) / 2^e), where no sum overflows and every e is at least 1. */
static bool find_column(struct tfl_call *c, const struct ir_factor *f,
                        const struct tfl_factor *of, struct column *col) {
  int64_t zero = tfl_zero(c->tout[0]), y[2];
  double most = fmax(-of->least, of->most);
  *col = (struct column){.m = f->m, .e = f->m ? -f->shift : 1};
  if (col->e < 1 || most >= 0x1p31)
    return false;
  col->plus = (zero * 2 + 1) * (INT64_C(1) << (col->e - 1));
  for (int i = 0; i < 2; i++)
    y[i] = rounded(product_of(i ? of->most : of->least, f->m), col->e);
  if (y[0] == y[1])
    *col = constant_column(c, zero + y[0], of);
  return most + fabs((double)col->plus) < 0x1p31;
}

static struct ir_value *short_result(struct tfl_call *c, struct ir_value *x,
                                     size_t n, const struct ir_factor *f,
                                     const struct tfl_factor *of) {
  int64_t *v = DN_ARRAY(c->im->ctx->arena, int64_t, 3 * n);
  for (size_t i = 0; i < n; i++) {
    struct column col;
    if (!find_column(c, &f[i], &of[i], &col))
      return NULL;
    v[i] = col.m;
    v[n + i] = col.plus;
    v[2 * n + i] = col.e;
  }
  struct ir_value *h = fe_op2(c->b, IR_HMUL, x, numbers(c, IR_I32, n, v));
  struct ir_value *y = fe_add(c->b, h, numbers(c, IR_I32, n, v + n));
  y = fe_add(c->b, y, h ? fe_op2(c->b, IR_SHR, h, fe_number(c->b, h, 31)) : h);
  return fe_op2(c->b, IR_SHR, y, numbers(c, IR_I32, n, v + 2 * n));
}

/* As ONNX quantizes a sum. */
static struct ir_value *float_result(struct tfl_call *c, struct ir_value *x,
                                     size_t n, const struct tfl_factor *f,
                                     int64_t activation) {
  double *factor = DN_ARRAY(c->im->ctx->arena, double, n);
  bool same = true;
  int64_t dims = (int64_t)n;
  for (size_t i = 0; i < n; i++) {
    factor[i] = f[i].by;
    same = same && f[i].by == f[0].by;
  }
  x = fe_cast(c->b, x, IR_F32);
  x = fe_mul(c->b, x, fe_floats(c->b, IR_F32, same ? 0 : 1, &dims, factor));
  x = fe_emit(c->b, IR_NARROW,
              IR_ARGS(x, fe_scalar(c->b, IR_F32, (double)tfl_zero(c->tout[0]))),
              IR_ATTRS(ir_str("to", ir_dtypes[c->tout[0]->dtype].text)));
  return tfl_bounded(c, x, activation);
}

struct ir_value *tfl_result(struct tfl_call *c, struct ir_value *x, size_t n,
                            const struct tfl_factor *factor,
                            int64_t activation) {
  if (c->im->opts->float_factors && x && fe_dtype(x) == IR_I32)
    return float_result(c, x, n, factor, activation);
  struct ir_factor *f = DN_ARRAY(c->im->ctx->arena, struct ir_factor, n);
  for (size_t i = 0; i < n; i++)
    f[i] = ir_factor(factor[i].by);
  struct ir_value *y =
      x && fe_dtype(x) == IR_I32 ? short_result(c, x, n, f, factor) : NULL;
  return y ? tfl_bounded(c, y, activation)
           : tfl_narrow(c, rescale(c, x, n, f), activation);
}

/* ---- Tables ---- */

struct ir_value *tfl_table(struct tfl_call *c,
                           struct ir_value *(*f)(struct tfl_call *c,
                                                 struct ir_value *x)) {
  int64_t all[256], n = 256;
  struct ir_value *x = c->in[0];
  bool is_signed = fe_dtype(x) == IR_I8;
  for (int i = 0; i < 256; i++)
    all[i] = is_signed ? (int8_t)i : i; /* by the bits of x */
  struct ir_value *table = f(c, fe_ints(c->b, IR_I32, 1, &n, all));
  struct ir_value *at = is_signed ? fe_emit(c->b, IR_BITS, IR_ARGS(x),
                                            IR_ATTRS(ir_str("to", "u8")))
                                  : x;
  return table ? fe_gather(c->b, table, at, 0) : NULL;
}
