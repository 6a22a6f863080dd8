/* const.c - constants: elements as numbers, and constants made from numbers. */
#include "ir/ir.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Rounds a double once to a format of `frac` fraction bits and least normal
 * exponent `emin`, ties to even; the result is exact in a double. */
static double round_to(double v, int frac, int emin) {
  if (!isfinite(v) || v == 0)
    return v;
  int e;
  frexp(v, &e); /* v = f * 2^e, 0.5 <= |f| < 1 */
  int ulp = (e - 1 < emin ? emin : e - 1) - frac;
  return ldexp(nearbyint(ldexp(v, -ulp)), ulp);
}

static uint64_t float_to_bfloat(double v) {
  if (isnan(v))
    return 0x7fc0;
  float f = (float)round_to(v, 7, -126);
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  return bits >> 16;
}

/* A power of two, nothing else: ties go up. */
static uint64_t float_to_power(double v) {
  int e;
  if (!(v > 0) || isinf(v))
    return 0xff;
  double f = frexp(v, &e); /* v = f * 2^e, 0.5 <= f < 1 */
  e += 126 + (f >= 0.75);
  return e < 0 ? 0 : (uint64_t)dn_min(e, 0xff);
}

uint64_t ir_to_small_float(enum ir_dtype t, double v) {
  assert(ir_is_small_float(t) && "the caller has looked");
  const struct ir_float_format *f = ir_float_format(t);
  if (t == IR_BF16)
    return float_to_bfloat(v);
  if (!f)
    return float_to_power(v);
  uint64_t sign = UINT64_C(1) << (f->exponent + f->fraction), bits = f->over;
  int frac = (int)f->fraction, emin = 1 - (int)f->bias, e;
  bool minus = signbit(v);
  v = fabs(round_to(v, frac, emin));
  if (isnan(v)) {
    bits = f->nan;
  } else if (v < ldexp(1, emin)) {
    bits = (uint64_t)ldexp(v, frac - emin);
  } else if (v <= ir_small_float(t, f->largest)) {
    double m = frexp(v, &e); /* v = m * 2^e, 0.5 <= m < 1 */
    bits = ((uint64_t)(e - emin) << frac) +
           ((uint64_t)ldexp(m, frac + 1) & ((UINT64_C(1) << frac) - 1));
  }
  if (f->over == sign)
    minus &= bits > 0 && bits < sign; /* neither zero nor NaN has a sign */
  return minus ? bits ^ sign : bits;
}

double ir_small_float(enum ir_dtype t, uint64_t bits) {
  assert(ir_is_small_float(t) && "the caller has looked");
  const struct ir_float_format *f = ir_float_format(t);
  if (t == IR_F16)
    return ir_half((uint16_t)bits);
  if (t == IR_BF16)
    return ir_bfloat((uint16_t)bits);
  if (!f)
    return bits == 0xff ? (double)NAN : ldexp(1, (int)bits - 127);
  unsigned sign = 1u << (f->exponent + f->fraction), emask = sign - 1;
  unsigned em = (unsigned)bits & emask, unit = 1u << f->fraction;
  double v;
  if (bits == f->over && f->over == sign)
    return (double)NAN;
  if (em > f->largest)
    v = em == f->over && f->over != f->nan ? (double)INFINITY : (double)NAN;
  else if (em < unit)
    v = ldexp(em, 1 - (int)f->bias - (int)f->fraction);
  else
    v = ldexp(unit + em % unit,
              (int)(em / unit) - (int)(f->bias + f->fraction));
  return bits & sign ? -v : v;
}

double ir_written_float(enum ir_dtype t, double v) {
  const struct ir_float_format *f = ir_float_format(t);
  if (f && isinf(v) && f->over == f->nan)
    return copysign(ir_small_float(t, f->largest), v);
  return v;
}

/* The bits of an element; hosts are little-endian. */
static uint64_t read_bits(enum ir_dtype t, const void *p) {
  assert(t < IR_NUM_DTYPES && "element types are rows of dtypes.def");
  uint64_t bits = 0;
  memcpy(&bits, p, ir_dtypes[t].bytes);
  return bits & UINT64_MAX >> (64 - ir_dtypes[t].bits);
}

double ir_load_float(enum ir_dtype t, const void *p) {
  uint64_t bits = read_bits(t, p);
  float f;
  double d;
  switch ((int)t) {
  case IR_F32:
    memcpy(&f, p, sizeof f);
    return (double)f;
  case IR_F64:
    memcpy(&d, p, sizeof d);
    return d;
  case IR_U64:
    return (double)bits;
  }
  return ir_is_float(t) ? ir_small_float(t, bits) : (double)ir_load_int(t, p);
}

/* A float as an int64: towards zero, saturating, NaN to 0. */
static int64_t float_to_int(double v) {
  if (isnan(v))
    return 0;
  if (v >= 0x1p63)
    return INT64_MAX;
  return v < -0x1p63 ? INT64_MIN : (int64_t)v;
}

int64_t ir_load_int(enum ir_dtype t, const void *p) {
  if (ir_is_float(t))
    return float_to_int(ir_load_float(t, p));
  uint64_t bits = read_bits(t, p), sign = UINT64_C(1)
                                          << (ir_dtypes[t].bits - 1);
  if (t == IR_BOOL)
    return bits != 0;
  return (int64_t)(ir_dtypes[t].kind == IR_SIGNED ? (bits ^ sign) - sign
                                                  : bits);
}

void ir_store_float(enum ir_dtype t, void *p, double v) {
  float f = (float)v;
  uint64_t bits;
  switch ((int)t) {
  case IR_F32:
    memcpy(p, &f, sizeof f);
    return;
  case IR_F64:
    memcpy(p, &v, sizeof v);
    return;
  case IR_BOOL:
    bits = v != 0;
    break;
  default:
    if (ir_is_float(t)) {
      bits = ir_to_small_float(t, v);
      break;
    }
    bits = t != IR_U64 || v < 0x1p63 || isnan(v) ? (uint64_t)float_to_int(v)
           : v >= 0x1p64                         ? UINT64_MAX
                                                 : (uint64_t)v;
  }
  memcpy(p, &bits, ir_dtypes[t].bytes);
}

void ir_store_int(enum ir_dtype t, void *p, int64_t v) {
  if (ir_is_float(t)) {
    ir_store_float(t, p, (double)v);
    return;
  }
  if (t == IR_BOOL)
    v = v != 0;
  if (ir_dtypes[t].bits < 8)
    v = ir_load_int(t, &v); /* wrapped */
  memcpy(p, &v, ir_dtypes[t].bytes);
}

static const void *element(const struct ir_value *c, int64_t i) {
  const struct ir_data *d = c->data;
  assert(d && i >= 0 && "the caller asks a constant for one of its elements");
  if (!d->bytes)
    return &d->splat;
  return (const char *)d->bytes + i * ir_dtypes[c->type->dtype].bytes;
}

double ir_const_float(const struct ir_value *c, int64_t i) {
  return ir_load_float(c->type->dtype, element(c, i));
}

int64_t ir_const_int(const struct ir_value *c, int64_t i) {
  return ir_load_int(c->type->dtype, element(c, i));
}

bool ir_const_uniform(const struct ir_value *c, double *out) {
  int64_t n = ir_type_count(c->type);
  if (n == 0)
    return false;
  *out = ir_const_float(c, 0);
  size_t size = ir_dtypes[c->type->dtype].bytes;
  for (int64_t i = 1; c->data->bytes && i < n; i++)
    if (memcmp(element(c, i), element(c, 0), size))
      return false;
  return true;
}

bool ir_const_range(const struct ir_value *c, double *lo, double *hi) {
  int64_t n = c->data->bytes ? ir_type_count(c->type) : 1;
  bool ordered = true;
  *lo = HUGE_VAL, *hi = -HUGE_VAL;
  for (int64_t i = 0; i < n; i++) {
    double v = ir_const_float(c, i);
    *lo = fmin(*lo, v);
    *hi = fmax(*hi, v);
    ordered &= !isnan(v);
  }
  return ordered;
}

int64_t ir_const_least(const struct ir_value *c) {
  int64_t n = c->data->bytes ? ir_type_count(c->type) : 1, least = INT64_MAX;
  for (int64_t i = 0; i < n; i++)
    least = dn_min(least, ir_const_int(c, i));
  return least;
}

const void *ir_const_bytes(struct dn_arena *arena, const struct ir_value *c) {
  assert(c->data && ir_type_is_static(c->type) &&
         "constants have data and a size: parse_data.c, onnx_tensor.c");
  if (c->data->bytes)
    return c->data->bytes;
  char *p = dn_alloc(arena, (size_t)ir_type_bytes(c->type));
  if (c->data->splat)
    dn_fill(p, ir_type_count(c->type), &c->data->splat,
            ir_dtypes[c->type->dtype].bytes);
  return p;
}

/* A constant whose elements come from one of two lists; the other is NULL. */
static struct ir_value *from_list(struct ir_module *m, const char *name,
                                  const struct ir_type *type,
                                  const int64_t *ints, const double *floats) {
  assert((!ints || !floats) && "ir_const_ints() or ir_const_floats()");
  size_t size = ir_dtypes[type->dtype].bytes;
  char *p = dn_alloc(m->arena, (size_t)ir_type_bytes(type));
  for (int64_t i = 0; i < ir_type_count(type); i++) {
    if (ints)
      ir_store_int(type->dtype, p + (size_t)i * size, ints[i]);
    else
      ir_store_float(type->dtype, p + (size_t)i * size, floats[i]);
  }
  struct ir_data data = {.bytes = p, .size = ir_type_bytes(type)};
  return ir_const_new(m, name, type, &data);
}

struct ir_value *ir_const_ints(struct ir_module *m, const char *name,
                               enum ir_dtype dtype, int rank,
                               const int64_t *dims, const int64_t *values) {
  return from_list(m, name, ir_type(m->ctx, dtype, rank, dims), values, NULL);
}

struct ir_value *ir_const_floats(struct ir_module *m, const char *name,
                                 enum ir_dtype dtype, int rank,
                                 const int64_t *dims, const double *values) {
  return from_list(m, name, ir_type(m->ctx, dtype, rank, dims), NULL, values);
}

struct ir_value *ir_const_splat(struct ir_module *m, const char *name,
                                const struct ir_type *type, double value) {
  struct ir_data data = {0};
  ir_store_float(type->dtype, &data.splat, value);
  return ir_const_new(m, name, type, &data);
}

bool ir_const_same(const struct ir_value *a, const struct ir_value *b) {
  const struct ir_data *x = a->data, *y = b->data;
  if (a->type != b->type || !x->bytes != !y->bytes)
    return false;
  if (!x->bytes)
    return x->splat == y->splat;
  return x->bytes == y->bytes || !memcmp(x->bytes, y->bytes, (size_t)x->size);
}
