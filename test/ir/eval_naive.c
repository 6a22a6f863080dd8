/* eval_naive.c - numbers of the naive reading: one scalar function at a time,
 * on doubles or 64-bit integers, written a second time for the test. */
#include "eval_naive.h"
#include "eval_test.h"

#include <math.h>
#include <string.h>

struct num naive_round(enum ir_dtype t, struct num v) {
  char raw[8];
  struct num r = {0, 0};
  if (ir_is_float(t)) {
    ir_store_float(t, raw, v.f);
    r.f = ir_load_float(t, raw);
  } else {
    ir_store_int(t, raw, v.i);
    r.i = ir_load_int(t, raw);
  }
  return r;
}

struct num naive_load(enum ir_dtype t, const void *p) {
  struct num r = {0, 0};
  if (ir_is_float(t))
    r.f = ir_load_float(t, p);
  else
    r.i = ir_load_int(t, p);
  return r;
}

struct num naive_number(enum ir_dtype t, double v) {
  struct num r = {ir_written_float(t, v), 0};
  if (ir_is_float(t))
    return naive_round(t, r);
  r.f = 0;
  if (t == IR_BOOL)
    r.i = v != 0;
  else if (isnan(v))
    r.i = 0;
  else if (t == IR_U64)
    r.i = v <= 0 ? 0 : v >= 0x1p64 ? -1 : (int64_t)(uint64_t)v;
  else if (ir_dtypes[t].kind == IR_UNSIGNED)
    r.i = (int64_t)fmin(fmax(v, 0), ldexp(1, (int)ir_dtypes[t].bits) - 1);
  else if (t == IR_I64)
    r.i = v >= 0x1p63 ? INT64_MAX : v < -0x1p63 ? INT64_MIN : (int64_t)v;
  else
    r.i = (int64_t)fmin(fmax(v, -ldexp(1, (int)ir_dtypes[t].bits - 1)),
                        ldexp(1, (int)ir_dtypes[t].bits - 1) - 1);
  return r;
}

static double float_call(enum ir_scalar fn, double a, double b) {
  switch ((int)fn) {
  case IR_S_ADD:
    return a + b;
  case IR_S_SUB:
    return a - b;
  case IR_S_MUL:
    return a * b;
  case IR_S_DIV:
    return a / b;
  case IR_S_MOD:
    return b == 0 ? (double)NAN : a - floor(a / b) * b;
  case IR_S_FMOD:
    return fmod(a, b);
  case IR_S_POW:
    return pow(a, b);
  case IR_S_MIN:
    return isnan(a) || isnan(b) ? (double)NAN : a < b ? a : b;
  case IR_S_MAX:
    return isnan(a) || isnan(b) ? (double)NAN : a > b ? a : b;
  case IR_S_ABS:
    return fabs(a);
#define F(ID, fn)                                                              \
  case IR_S_##ID:                                                              \
    return fn(a);
    F(SQRT, sqrt)
    F(EXP, exp)
    F(LOG, log)
    F(TANH, tanh)
    F(ERF, erf)
    F(SIN, sin)
    F(COS, cos)
    F(TAN, tan)
    F(ASIN, asin)
    F(ACOS, acos)
    F(ATAN, atan)
    F(SINH, sinh)
    F(COSH, cosh)
    F(ASINH, asinh)
    F(ACOSH, acosh)
    F(ATANH, atanh)
    F(FLOOR, floor)
    F(CEIL, ceil)
    F(TRUNC, trunc)
    F(RINT, nearbyint)
  }
  test_fail("no float function %s", ir_scalars[fn].text);
  return 0;
}

static uint64_t magnitude(int64_t v, bool is_signed) {
  return is_signed && v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
}

/* Division by magnitudes and signs, so that no case overflows. */
static int64_t divide(enum ir_scalar fn, int64_t a, int64_t b, bool sg) {
  uint64_t x = magnitude(a, sg), y = magnitude(b, sg);
  bool na = sg && a < 0, nb = sg && b < 0;
  if (y == 0)
    return 0;
  uint64_t q = x / y, r = x % y;
  if (fn == IR_S_DIV)
    return (int64_t)(na != nb ? 0 - q : q);
  if (fn == IR_S_MOD && r && na != nb) {
    r = y - r;
    na = !na;
  }
  return (int64_t)(na ? 0 - r : r);
}

static uint64_t power(uint64_t x, uint64_t y) {
  if (y == 0)
    return 1;
  uint64_t half = power(x, y / 2);
  return half * half * (y % 2 ? x : 1);
}

/* By halves of the words, of magnitudes. */
static int64_t high_product(unsigned bits, uint64_t x, uint64_t y, bool sg) {
  bool minus = sg && (x ^ y) >> 63;
  uint64_t top = sg ? UINT64_MAX >> (65 - bits) : UINT64_MAX >> (64 - bits);
  x = magnitude((int64_t)x, sg);
  y = magnitude((int64_t)y, sg);
  uint64_t lo = (x & UINT32_MAX) * (y & UINT32_MAX), a = x >> 32, b = y >> 32;
  uint64_t mid = a * (y & UINT32_MAX) + (lo >> 32);
  uint64_t mid2 = (mid & UINT32_MAX) + b * (x & UINT32_MAX);
  uint64_t hi = a * b + (mid >> 32) + (mid2 >> 32);
  lo = (lo & UINT32_MAX) | mid2 << 32;
  /* Half a unit less, where ties go up and the product is negative. */
  uint64_t half = (UINT64_C(1) << (bits - 2)) - minus;
  hi += lo + half < lo;
  lo += half;
  bool over = hi >> (bits - 1) != 0;
  uint64_t r = bits == 64 ? hi << 1 | lo >> 63 : lo >> (bits - 1);
  if (minus)
    return (int64_t)(0 - r);
  return (int64_t)(over || r > top ? top : r);
}

static int64_t int_call(enum ir_scalar fn, enum ir_dtype t, int64_t a,
                        int64_t b) {
  bool sg = ir_dtypes[t].kind == IR_SIGNED;
  uint64_t x = (uint64_t)a, y = (uint64_t)b;
  unsigned bits = ir_dtypes[t].bits;
  bool less = sg ? a < b : x < y;
  switch ((int)fn) {
  case IR_S_ADD:
    return (int64_t)(x + y);
  case IR_S_SUB:
    return (int64_t)(x - y);
  case IR_S_MUL:
    return (int64_t)(x * y);
  case IR_S_DIV:
  case IR_S_MOD:
  case IR_S_FMOD:
    return divide(fn, a, b, sg);
  case IR_S_POW:
    if (sg && b < 0)
      return a == 1;
    return (int64_t)power(x, y);
  case IR_S_MIN:
    return less ? a : b;
  case IR_S_MAX:
    return less ? b : a;
  case IR_S_ABS:
    return (int64_t)magnitude(a, sg);
  case IR_S_EQ:
    return a == b;
  case IR_S_LT:
    return less;
  case IR_S_LE:
    return less || a == b;
  case IR_S_AND:
    return a & b;
  case IR_S_OR:
    return a | b;
  case IR_S_XOR:
    return a ^ b;
  case IR_S_NOT:
    return t == IR_BOOL ? 1 - a : ~a;
  case IR_S_SHL:
    return y >= bits ? 0 : (int64_t)(x << y);
  case IR_S_SHR:
    if (y >= bits)
      return sg && a < 0 ? -1 : 0;
    return sg ? a >> y : (int64_t)(x >> y);
  case IR_S_HMUL:
    return high_product(bits, x, y, sg);
  case IR_S_RSHR:
    if (!y || y >= bits)
      return y ? 0 : a;
    x = magnitude(a, sg);
    x = (x >> y) + ((x >> (y - 1)) & 1);
    return (int64_t)(sg && a < 0 ? 0 - x : x);
  }
  test_fail("no integer function %s", ir_scalars[fn].text);
  return 0;
}

struct num naive_cast(enum ir_dtype from, enum ir_dtype to, struct num v) {
  if (ir_is_float(from))
    return naive_number(to, v.f);
  if (to == IR_BOOL)
    return (struct num){0, v.i != 0};
  if (!ir_is_float(to))
    return naive_round(to, v);
  struct num r = {0, 0};
  if (to == IR_F32) /* straight to f32: no rounding twice */
    r.f = from == IR_U64 ? (double)(float)(uint64_t)v.i : (double)(float)v.i;
  else
    r.f = from == IR_U64 ? (double)(uint64_t)v.i : (double)v.i;
  return naive_round(to, r);
}

struct num naive_call(enum ir_scalar fn, enum ir_dtype t, enum ir_dtype to,
                      const struct num *arg) {
  struct num r = {0, 0};
  if (fn == IR_S_SELECT)
    return arg[0].i ? arg[1] : arg[2];
  if (fn == IR_S_BITS) {
    char raw[8];
    if (ir_is_float(t))
      ir_store_float(t, raw, arg[0].f);
    else
      ir_store_int(t, raw, arg[0].i);
    return naive_load(to, raw);
  }
  if (fn == IR_S_CAST)
    return naive_cast(t, to, arg[0]);
  if (fn == IR_S_NARROW) {
    double v = nearbyint(arg[0].f) + nearbyint(arg[1].f);
    return isnan(v) ? naive_cast(t, to, (struct num){-HUGE_VAL, 0})
                    : naive_cast(t, to, (struct num){v, 0});
  }
  if (fn == IR_S_REQUANT) {
    uint64_t v =
        (uint64_t)arg[0].i * (uint64_t)arg[1].i + ((uint64_t)arg[2].i << 16);
    r.i =
        ir_dtypes[t].kind == IR_SIGNED ? (int64_t)v >> 32 : (int64_t)(v >> 32);
    return r;
  }
  if (fn == IR_S_FMA) { /* a long double has the product of floats */
    r.f = t == IR_F64 ? fma(arg[0].f, arg[1].f, arg[2].f)
                      : (double)(float)((long double)arg[0].f * arg[1].f +
                                        (long double)arg[2].f);
    return r;
  }
  if (!ir_is_float(t))
    r.i = int_call(fn, t, arg[0].i, arg[1].i);
  else if (fn == IR_S_ISNAN)
    r.i = isnan(arg[0].f);
  else if (fn == IR_S_EQ)
    r.i = arg[0].f == arg[1].f;
  else if (fn == IR_S_LT)
    r.i = arg[0].f < arg[1].f;
  else if (fn == IR_S_LE)
    r.i = arg[0].f <= arg[1].f;
  else
    r.f = float_call(fn, arg[0].f, arg[1].f);
  return r;
}
