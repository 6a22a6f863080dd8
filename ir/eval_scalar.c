/* eval_scalar.c - every row of scalars.def for each type that it allows, on
 * lanes (ir/eval_nest.h), and elements in memory to lanes and back. A row that
 * lacks a definition for one of its types does not compile. */
#include "ir/eval_nest.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define PARAMS                                                                 \
  enum ir_dtype from, enum ir_dtype to, union eval_lanes *restrict r,          \
      const union eval_lanes *a, const union eval_lanes *b,                    \
      const union eval_lanes *c, int n

/* A function of one or two operands x and y; M is the lane member, T its type
 * as the expression sees it, R the result's member. */
#define DEFINE(NAME, T, M, R, expr)                                            \
  static void NAME(PARAMS) {                                                   \
    (void)from, (void)to, (void)c;                                             \
    const union eval_lanes *b_or_a = b ? b : a;                                \
    for (int k = 0; k < n; k++) {                                              \
      T x = (T)a->M[k], y = (T)b_or_a->M[k];                                   \
      (void)y;                                                                 \
      r->R[k] = expr;                                                          \
    }                                                                          \
  }
#define FLOAT(ID, expr) DEFINE(f_##ID, double, f, f, expr)
#define FLOAT_TEST(ID, expr) DEFINE(f_##ID, double, f, i, expr)
#define SIGNED(ID, expr) DEFINE(i_##ID, int64_t, i, i, (int64_t)(expr))
#define UNSIGNED(ID, expr) DEFINE(u_##ID, uint64_t, i, i, (int64_t)(expr))
#define BOTH(ID, expr) SIGNED(ID, expr) UNSIGNED(ID, expr)
#define U(x) ((uint64_t)(x))

/* ---- Arithmetic ---- */
FLOAT(ADD, x + y)
BOTH(ADD, U(x) + U(y))
FLOAT(SUB, x - y)
BOTH(SUB, U(x) - U(y))
FLOAT(MUL, x *y)
BOTH(MUL, U(x) * U(y))
FLOAT(DIV, x / y)
SIGNED(DIV, y == 0 ? 0 : y == -1 ? (int64_t)(0 - U(x)) : x / y)
UNSIGNED(DIV, y == 0 ? 0 : x / y)

static double float_mod(double x, double y) {
  double m = fmod(x, y);
  return m != 0 && (m < 0) != (y < 0) ? m + y : m;
}

static int64_t int_mod(int64_t x, int64_t y) {
  if (y == 0 || y == -1)
    return 0;
  int64_t m = x % y;
  return m != 0 && (m < 0) != (y < 0) ? m + y : m;
}

FLOAT(MOD, float_mod(x, y))
SIGNED(MOD, int_mod(x, y))
UNSIGNED(MOD, y == 0 ? 0 : x % y)
FLOAT(FMOD, fmod(x, y))
SIGNED(FMOD, y == 0 || y == -1 ? 0 : x % y)
UNSIGNED(FMOD, y == 0 ? 0 : x % y)

static uint64_t int_pow(uint64_t x, uint64_t y) {
  uint64_t r = 1;
  for (; y; y >>= 1, x *= x)
    if (y & 1)
      r *= x;
  return r;
}

FLOAT(POW, pow(x, y))
SIGNED(POW, y < 0 ? U(x == 1) : int_pow(U(x), U(y)))
UNSIGNED(POW, int_pow(x, y))
FLOAT(MIN, x < y || x != x ? x : y)
BOTH(MIN, x < y ? x : y)
FLOAT(MAX, x > y || x != x ? x : y)
BOTH(MAX, x > y ? x : y)
FLOAT(ABS, fabs(x))
SIGNED(ABS, x < 0 ? 0 - U(x) : U(x))
UNSIGNED(ABS, x)

/* ---- Functions of floats ---- */
static void float_fma(PARAMS) {
  (void)from;
  for (int k = 0; k < n; k++)
    r->f[k] = to == IR_F64 ? fma(a->f[k], b->f[k], c->f[k])
                           : (double)fmaf((float)a->f[k], (float)b->f[k],
                                          (float)c->f[k]);
}
#define f_FMA float_fma
FLOAT(SQRT, sqrt(x))
FLOAT(EXP, exp(x))
FLOAT(LOG, log(x))
FLOAT(TANH, tanh(x))
FLOAT(ERF, erf(x))
FLOAT(SIN, sin(x))
FLOAT(COS, cos(x))
FLOAT(TAN, tan(x))
FLOAT(ASIN, asin(x))
FLOAT(ACOS, acos(x))
FLOAT(ATAN, atan(x))
FLOAT(SINH, sinh(x))
FLOAT(COSH, cosh(x))
FLOAT(ASINH, asinh(x))
FLOAT(ACOSH, acosh(x))
FLOAT(ATANH, atanh(x))
FLOAT(FLOOR, floor(x))
FLOAT(CEIL, ceil(x))
FLOAT(TRUNC, trunc(x))
FLOAT(RINT, rint(x))

/* ---- Comparison and bits ---- */
FLOAT_TEST(EQ, x == y)
BOTH(EQ, x == y)
FLOAT_TEST(LT, x < y)
BOTH(LT, x < y)
FLOAT_TEST(LE, x <= y)
BOTH(LE, x <= y)
FLOAT_TEST(ISNAN, x != x)
BOTH(AND, x &y)
BOTH(OR, x | y)
BOTH(XOR, x ^ y)
BOTH(NOT, from == IR_BOOL ? !x : ~U(x))
BOTH(SHL, U(y) < ir_dtypes[to].bits ? U(x) << y : 0)
SIGNED(SHR, x >> (U(y) < ir_dtypes[to].bits ? y : 63))
UNSIGNED(SHR, y < ir_dtypes[to].bits ? x >> y : 0)

/* floor(2 x y / 2^bits + 1/2), saturated. */
#define HIGH_PRODUCT(NAME, T, value_bits)                                      \
  __extension__ typedef T wide_##NAME;                                         \
  static int64_t high_##NAME(unsigned bits, wide_##NAME x, wide_##NAME y) {    \
    wide_##NAME one = 1, most = (one << (value_bits)) - 1;                     \
    wide_##NAME r = (x * y + (one << (bits - 2))) >> (bits - 1);               \
    return (int64_t)(r > most ? most : r);                                     \
  }
HIGH_PRODUCT(signed, __int128, bits - 1)
HIGH_PRODUCT(unsigned, unsigned __int128, bits)

static int64_t rounded_shift(enum ir_dtype type, int64_t x, uint64_t y) {
  if (y >= ir_dtypes[type].bits)
    return 0;
  bool is_signed = ir_dtypes[type].kind == IR_SIGNED;
  uint64_t mask = (U(1) << y) - 1, half = mask >> 1;
  int64_t low = is_signed ? x >> y : (int64_t)(U(x) >> y);
  return (int64_t)(U(low) + ((U(x) & mask) > half + (is_signed && x < 0)));
}

SIGNED(HMUL, high_signed(ir_dtypes[to].bits, x, y))
UNSIGNED(HMUL, high_unsigned(ir_dtypes[to].bits, x, y))
BOTH(RSHR, rounded_shift(to, (int64_t)x, U(y)))

static void select_bits(PARAMS) {
  (void)from, (void)to;
  for (int k = 0; k < n; k++)
    r->i[k] = a->i[k] ? b->i[k] : c->i[k];
}
#define f_SELECT select_bits
#define i_SELECT select_bits
#define u_SELECT select_bits

static void requant_signed(PARAMS) {
  (void)from, (void)to;
  for (int k = 0; k < n; k++)
    r->i[k] = (int64_t)(U(a->i[k]) * U(b->i[k]) + (U(c->i[k]) << 16)) >> 32;
}

static void requant_unsigned(PARAMS) {
  (void)from, (void)to;
  for (int k = 0; k < n; k++)
    r->i[k] = (int64_t)((U(a->i[k]) * U(b->i[k]) + (U(c->i[k]) << 16)) >> 32);
}
#define i_REQUANT requant_signed
#define u_REQUANT requant_unsigned

/* ---- Conversion ---- */
static int64_t saturate(enum ir_dtype type, double v) {
  if (isnan(v))
    return 0;
  if (type == IR_BOOL)
    return v != 0;
  assert(!ir_is_float(type) &&
         "floats are rounded: eval_number(), cast_float()");
  unsigned bits = ir_dtypes[type].bits;
  if (ir_dtypes[type].kind == IR_UNSIGNED) {
    if (v >= ldexp(1, (int)bits))
      return (int64_t)(UINT64_MAX >> (64 - bits));
    return v <= 0 ? 0 : (int64_t)(uint64_t)v;
  }
  double limit = ldexp(1, (int)bits - 1);
  int64_t most = (int64_t)(UINT64_MAX >> (65 - bits));
  return v >= limit ? most : v < -limit ? -most - 1 : (int64_t)v;
}

/* An integer as a double that rounds to any narrower float as the integer
 * itself does: what does not fit into 53 bits is kept as a sticky bit. */
static double sticky_double(int64_t v, bool is_unsigned) {
  uint64_t m = v < 0 && !is_unsigned ? 0 - U(v) : U(v);
  if (m >> 53)
    m = (m & ~U(0x7ff)) | (m & 0x7ff ? 0x800 : 0);
  double d = (double)m;
  return v < 0 && !is_unsigned ? -d : d;
}

static void cast_float(PARAMS) {
  (void)b, (void)c, (void)from;
  if (ir_is_float(to)) {
    memcpy(r->f, a->f, (size_t)n * sizeof a->f[0]);
    return;
  }
  for (int k = 0; k < n; k++)
    r->i[k] = to == IR_BOOL ? a->f[k] != 0 : saturate(to, a->f[k]);
}

static void cast_int(PARAMS) {
  (void)b, (void)c;
  bool u64 = from == IR_U64;
  if (to == IR_F64)
    for (int k = 0; k < n; k++)
      r->f[k] = u64 ? (double)U(a->i[k]) : (double)a->i[k];
  else if (ir_is_float(to))
    for (int k = 0; k < n; k++)
      r->f[k] = sticky_double(a->i[k], u64);
  else if (to == IR_BOOL)
    for (int k = 0; k < n; k++)
      r->i[k] = a->i[k] != 0;
  else
    memcpy(r->i, a->i, (size_t)n * sizeof a->i[0]);
}
#define f_CAST cast_float
#define i_CAST cast_int
#define u_CAST cast_int

static void narrow(PARAMS) {
  (void)c, (void)from;
  double hi = (double)saturate(to, HUGE_VAL);
  double lo = (double)saturate(to, -HUGE_VAL);
  for (int k = 0; k < n; k++) {
    double z = rint(b->f[k]), x = rint(a->f[k]);
    r->i[k] = (int64_t)(x > lo - z ? fmin(x + z, hi) : lo);
  }
}
#define f_NARROW narrow

static void same_bits(PARAMS) {
  (void)b, (void)c;
  for (int k = 0; k < n; k++) {
    char raw[8];
    if (ir_is_float(from))
      ir_store_float(from, raw, a->f[k]);
    else
      ir_store_int(from, raw, a->i[k]);
    if (ir_is_float(to))
      r->f[k] = ir_load_float(to, raw);
    else
      r->i[k] = ir_load_int(to, raw);
  }
}
#define f_BITS same_bits
#define i_BITS same_bits
#define u_BITS same_bits

/* ---- The table: floats, signed and bool, unsigned ---- */
#define ROW_F(ID)                                                              \
  { f_##ID, NULL, NULL, NULL }
#define ROW_I(ID)                                                              \
  { NULL, i_##ID, u_##ID, NULL }
#define ROW_IB(ID)                                                             \
  { NULL, i_##ID, u_##ID, i_##ID }
#define ROW_FI(ID)                                                             \
  { f_##ID, i_##ID, u_##ID, NULL }
#define ROW_FIB(ID)                                                            \
  { f_##ID, i_##ID, u_##ID, i_##ID }
static eval_fn *const functions[IR_NUM_SCALARS][4] = {
#define SCALAR(ID, text, arity, result, types, meaning)                        \
  [IR_S_##ID] = ROW_##types(ID),
#include "ir/scalars.def"
#undef SCALAR
};

eval_fn *eval_scalar(enum ir_scalar fn, enum ir_dtype type) {
  static const char kinds[] = {IR_FLOAT, IR_SIGNED, IR_UNSIGNED, IR_LOGIC, 0};
  assert(fn < IR_NUM_SCALARS && type < IR_NUM_DTYPES &&
         "rows of scalars.def and dtypes.def");
  return functions[fn][strchr(kinds, (int)ir_dtypes[type].kind) - kinds];
}

/* ---- Rounding ---- */
bool eval_needs_round(enum ir_dtype type) {
  return type != IR_F64 && type != IR_I64 && type != IR_U64 && type != IR_BOOL;
}

static double round_small(enum ir_dtype type, double v) {
  return ir_small_float(type, ir_to_small_float(type, v));
}

void eval_round(enum ir_dtype type, union eval_lanes *r, int n) {
  unsigned lost = 64 - ir_dtypes[type].bits;
  bool is_signed = ir_dtypes[type].kind == IR_SIGNED;
  if (!eval_needs_round(type))
    return;
  if (type == IR_F32)
    for (int k = 0; k < n; k++)
      r->f[k] = (double)(float)r->f[k];
  else if (ir_is_float(type))
    for (int k = 0; k < n; k++)
      r->f[k] = round_small(type, r->f[k]);
  else /* integers wrap */
    for (int k = 0; k < n; k++) {
      uint64_t kept = U(r->i[k]) << lost;
      r->i[k] = is_signed ? (int64_t)kept >> lost : (int64_t)(kept >> lost);
    }
}

void eval_cast(enum ir_dtype from, enum ir_dtype to, union eval_lanes *r,
               int n) {
  union eval_lanes raw;
  if (from == to)
    return;
  memcpy(&raw, r, (size_t)n * sizeof raw.i[0]);
  eval_scalar(IR_S_CAST, from)(from, to, r, &raw, NULL, NULL, n);
  eval_round(to, r, n);
}

void eval_number(enum ir_dtype type, double v, union eval_lanes *r, int n) {
  if (ir_is_float(type)) {
    r->f[0] = ir_written_float(type, v);
    eval_round(type, r, 1);
  } else {
    r->i[0] = saturate(type, v);
  }
  for (int k = 1; k < n; k++)
    r->i[k] = r->i[0];
}

/* ---- Memory ---- */

/* The element type of a row, as something that a loop can read. */
#define LOAD(ID, T, M, expr)                                                   \
  static void load_##ID(const char *p, int64_t stride,                         \
                        union eval_lanes *restrict r, int at, int n) {         \
    T v;                                                                       \
    if (stride == 1) {                                                         \
      for (int k = 0; k < n; k++) {                                            \
        memcpy(&v, p + (size_t)k * sizeof v, sizeof v);                        \
        r->M[at + k] = expr;                                                   \
      }                                                                        \
      return;                                                                  \
    }                                                                          \
    for (int k = 0; k < n; k++) {                                              \
      memcpy(&v, p, sizeof v);                                                 \
      r->M[at + k] = expr;                                                     \
      if (k + 1 < n)                                                           \
        p += stride * (int64_t)sizeof v;                                       \
    }                                                                          \
  }
LOAD(F32, float, f, (double)v)
LOAD(F64, double, f, v)
LOAD(F16, uint16_t, f, ir_half(v))
LOAD(BF16, uint16_t, f, ir_bfloat(v))
LOAD(I8, int8_t, i, v)
LOAD(I16, int16_t, i, v)
LOAD(I32, int32_t, i, v)
LOAD(I64, int64_t, i, v)
LOAD(U8, uint8_t, i, v)
LOAD(CHAR, uint8_t, i, v)
LOAD(U16, uint16_t, i, v)
LOAD(U32, uint32_t, i, v)
LOAD(U64, uint64_t, i, (int64_t)v)
LOAD(BOOL, uint8_t, i, v != 0)
LOAD(I4, uint8_t, i, ((v & 15) ^ 8) - 8)
LOAD(U4, uint8_t, i, v & 15)
LOAD(I2, uint8_t, i, ((v & 3) ^ 2) - 2)
LOAD(U2, uint8_t, i, v & 3)
LOAD(F8E4M3FN, uint8_t, f, ir_small_float(IR_F8E4M3FN, v))
LOAD(F8E4M3FNUZ, uint8_t, f, ir_small_float(IR_F8E4M3FNUZ, v))
LOAD(F8E5M2, uint8_t, f, ir_small_float(IR_F8E5M2, v))
LOAD(F8E5M2FNUZ, uint8_t, f, ir_small_float(IR_F8E5M2FNUZ, v))
LOAD(F8E8M0, uint8_t, f, ir_small_float(IR_F8E8M0, v))
LOAD(F4E2M1, uint8_t, f, ir_small_float(IR_F4E2M1, v & 15))

void eval_load(enum ir_dtype type, const void *p, int64_t stride,
               union eval_lanes *r, int at, int n) {
  switch (type) {
#define DTYPE(ID, text, bits, kind, ctype, onnx, npy)                          \
  case IR_##ID:                                                                \
    load_##ID(p, stride, r, at, n);                                            \
    return;
#include "ir/dtypes.def"
#undef DTYPE
  case IR_NUM_DTYPES:
    break;
  }
  assert(!"every element type has a case above");
}

void eval_store(enum ir_dtype type, void *p, const union eval_lanes *a, int n) {
#define STORE(T, M)                                                            \
  for (int k = 0; k < n; k++) {                                                \
    T v = (T)a->M[k];                                                          \
    memcpy((char *)p + (size_t)k * sizeof v, &v, sizeof v);                    \
  }
  size_t bytes = ir_dtypes[type].bytes;
  if (type == IR_F32)
    STORE(float, f)
  else if (type == IR_F64)
    STORE(double, f)
  else if (ir_is_float(type))
    for (int k = 0; k < n; k++)
      ir_store_float(type, (char *)p + bytes * (size_t)k, a->f[k]);
  else if (bytes == 1)
    STORE(uint8_t, i)
  else if (bytes == 2)
    STORE(uint16_t, i)
  else if (bytes == 4)
    STORE(uint32_t, i)
  else
    STORE(int64_t, i)
#undef STORE
}
