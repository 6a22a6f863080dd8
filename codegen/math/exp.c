/* exp.c - exp, log and what is made of them.
 *
 * exp: x = n ln 2 + r with ln 2 in two parts (Cody and Waite 1980, chapter 6),
 * a polynomial for exp(r), and a scaling by 2^n. log: x = 2^k (1 + f), a
 * polynomial in f for f32; for f64 the series of atanh in s = f / (2 + f), put
 * together as fdlibm's e_log.c explains. */
#include "codegen/math/poly.h"

#include <assert.h>

struct math_expred math_exp_reduce(const struct math_ctx *m, LLVMValueRef x,
                                   LLVMValueRef tail) {
  LLVMValueRef magic = math_magic(m), inv = math_const(m, 0x1.71547652b82fep0);
  LLVMValueRef lo =
      math_const2(m, -1.428606765330187e-6, -0x1.ef35793c7673p-45);
  struct math_expred e = {.l = NULL};

  /* n times the upper part of ln 2 is exact: the reduction needs no FMA */
  e.t = math_fma(m, x, inv, magic);
  e.n = math_sub(m, e.t, magic);
  e.r = math_fma(m, e.n, math_const2(m, -0x1.62e4p-1, -0x1.62e42fefa38p-1), x);
  if (tail)
    e.r = math_add(m, e.r, tail);
  if (m->fma) {
    e.r = math_fma(m, e.n, lo, e.r);
  } else {
    e.h = e.r;
    e.l = math_mul(m, e.n, lo);
    e.r = math_add(m, e.h, e.l);
  }
  return e;
}

/* exp(r) - 1 */
static LLVMValueRef math_expm1_poly(const struct math_ctx *m, LLVMValueRef r) {
  LLVMValueRef q = math_poly_eval(m, &math_poly_exp, r);
  return math_fma(m, math_mul(m, r, r), q, r);
}

LLVMValueRef math_exp_poly(const struct math_ctx *m, struct math_expred e) {
  LLVMValueRef q = math_poly_eval(m, &math_poly_exp, e.r), r = e.r;
  LLVMValueRef one = math_const(m, 1);

  if (m->fma)
    return math_fma(m, math_fma(m, q, r, one), r, one);
  q = math_mul(m, math_mul(m, r, r), q);
  if (e.l) { /* the parts of r: its own rounding would be half a ULP */
    q = math_add(m, q, e.l);
    r = e.h;
  }
  return math_add(m, one, math_add(m, r, q));
}

/* Bits of the vectors that AVX-512 multiplies by 2^n with any n, denormal results
 * included; 0: the type is none of them. */
static unsigned math_scalef_bits(const struct math_ctx *m) {
  unsigned bits;
  if (!m->o->has_scalef || LLVMGetTypeKind(m->ft) != LLVMVectorTypeKind)
    return 0;
  bits = LLVMGetVectorSize(m->ft) * m->bits;
  return bits == 128 || bits == 256 || bits == 512 ? bits : 0;
}

/* NULL: there is no such instruction for the type. */
static LLVMValueRef math_scalef(const struct math_ctx *m, LLVMValueRef p,
                                LLVMValueRef n) {
  static const char *const names[2][3] = {
      {"llvm.x86.avx512.mask.scalef.ps.128",
       "llvm.x86.avx512.mask.scalef.ps.256",
       "llvm.x86.avx512.mask.scalef.ps.512"},
      {"llvm.x86.avx512.mask.scalef.pd.128",
       "llvm.x86.avx512.mask.scalef.pd.256",
       "llvm.x86.avx512.mask.scalef.pd.512"}};
  LLVMContextRef c = LLVMGetTypeContext(m->ft);
  LLVMValueRef args[5] = {p, n, p}, f;
  unsigned size = math_scalef_bits(m), id;
  const char *name;

  if (!size)
    return NULL;
  assert(size / 256 < 3 && "128, 256 or 512");
  name = names[m->f64][size / 256];
  for (id = 0; name[id]; id++)
    ;
  id = LLVMLookupIntrinsicID(name, id);
  if (!id)
    return NULL;
  f = LLVMGetIntrinsicDeclaration(
      LLVMGetGlobalParent(LLVMGetBasicBlockParent(LLVMGetInsertBlock(m->b))),
      id, NULL, 0);
  args[3] = LLVMConstAllOnes(
      LLVMIntTypeInContext(c, LLVMGetVectorSize(m->ft) == 16 ? 16 : 8));
  args[4] = LLVMConstInt(LLVMInt32TypeInContext(c), 4, 0); /* MXCSR rounding */
  return LLVMBuildCall2(m->b, LLVMGlobalGetValueType(f), f, args,
                        size == 512 ? 5 : 4, "");
}

LLVMValueRef math_exp_scale(const struct math_ctx *m, LLVMValueRef p,
                            struct math_expred e, int add) {
  LLVMValueRef n = add ? math_add(m, e.n, math_const(m, add)) : e.n;
  LLVMValueRef y = math_scalef(m, p, n), i = math_bits(m, e.t), h, l;
  int64_t one = m->bias << m->mant;
  assert((add == 0 || add == -1) && "callers scale by a half at most");

  if (y)
    return y;
  /* 2^n need not be a number where p 2^n is one (n = 128) or has a denormal
   * neighbour: two factors of half the exponent, of which the first is exact
   * and the second rounds once. The magic number's own bits are shifted out. */
  h = math_shl(m, math_ashr(m, i, 1), m->mant);
  l = math_isub(m, math_shl(m, i, m->mant), h);
  h = math_iadd(m, h, math_int(m, one));
  l = math_iadd(m, l, math_int(m, one + (int64_t)add * (1LL << m->mant)));
  return math_mul(m, math_mul(m, p, math_float(m, h)), math_float(m, l));
}

/* exp(x) 2^add, add = 0 or -1 */
static LLVMValueRef math_exp_times(const struct math_ctx *m, LLVMValueRef x,
                                   int add) {
  struct math_expred e;
  /* beyond these the result is 0 or inf; NaN goes through. Where 2^n is far below
   * all numbers scaling takes a cycle, a hundred times less than where a number may
   * come of it: what a softmax has masked is such. */
  x = math_atmost(m, x, math_const2(m, 90, 711));
  x = math_atleast(m, x,
                   math_scalef_bits(m) ? math_const2(m, -1000, -3000)
                                       : math_const2(m, -104, -746));
  e = math_exp_reduce(m, x, NULL);
  return math_exp_scale(m, math_exp_poly(m, e), e, add);
}

LLVMValueRef math_emit_exp(const struct math_ctx *m, LLVMValueRef x) {
  return math_exp_times(m, x, 0);
}

/* 2^(n + add), where that is a normal number */
static LLVMValueRef math_exp_pow2(const struct math_ctx *m,
                                  struct math_expred e, int add) {
  LLVMValueRef i = math_shl(m, math_bits(m, e.t), m->mant);
  return math_float(m,
                    math_iadd(m, i, math_int(m, (m->bias + add) << m->mant)));
}

struct math_logred math_log_reduce(const struct math_ctx *m, LLVMValueRef x,
                                   double cut, bool denormals) {
  LLVMValueRef i, ic, mask, c = math_bits(m, math_const(m, cut));
  struct math_logred l = {.adj = NULL};

  if (denormals) {
    LLVMValueRef min = math_const2(m, 0x1p-126, 0x1p-1022);
    LLVMValueRef tiny = math_lt(m, x, min);
    LLVMValueRef up = math_mul(m, x, math_const(m, 0x1p54));
    x = math_select(m, tiny, up, x);
    l.adj = math_select(m, tiny, math_const(m, -54), math_const(m, 0));
  }
  i = math_bits(m, x);
  ic = math_isub(m, i, c);
  l.k = math_ashr(m, ic, m->mant);
  mask = math_int(m, ((int64_t)1 << m->mant) - 1);
  i = math_iadd(m, math_iand(m, ic, mask), c);
  l.f = math_sub(m, math_float(m, i), math_const(m, 1));
  return l;
}

/* f32 centres 1 + f on 1 for the polynomial; the series in s needs the same |s|
 * at both ends. */
static double math_log_cut(const struct math_ctx *m) {
  return m->f64 ? 0x1.6a09e667f3bcdp-1 : 0x1.555556p-1;
}

/* k ln 2 + log(1 + f) */
static LLVMValueRef math_log_sum(const struct math_ctx *m, LLVMValueRef k,
                                 LLVMValueRef f) {
  LLVMValueRef hi = math_const2(m, 0x1.62e4p-1, 0x1.62e42fefa38p-1);
  LLVMValueRef lo = math_const2(m, 1.428606765330187e-6, 0x1.ef35793c7673p-45);
  LLVMValueRef f2 = math_mul(m, f, f), half = math_const(m, 0.5), s, z, r, h, q;

  if (!m->f64) {
    q = math_poly_eval(m, &math_poly_log, f);
    q = math_fma(m, q, f, math_const(m, -0.5));
    q = math_fma(m, f2, q, math_mul(m, k, lo));
    if (m->fma)
      return math_fma(m, k, hi, math_add(m, f, q));
    /* k hi is exact, so is nearly all of its sum with f */
    struct math_dw d = math_fast_two_sum(m, math_mul(m, k, hi), f);
    return math_add(m, d.h, math_add(m, d.l, q));
  }
  s = math_div(m, f, math_add(m, f, math_const(m, 2)));
  z = math_mul(m, s, s);
  r = math_fma(m, math_poly_eval(m, &math_poly_atanh, z), z,
               math_const(m, 1.0 / 3));
  r = math_mul(m, math_add(m, z, z), r);
  h = math_mul(m, half, f2);
  q = math_fma(m, s, math_add(m, h, r), math_mul(m, k, lo));
  q = math_sub(m, math_sub(m, h, q), f);
  return math_sub(m, math_mul(m, k, hi), q);
}

LLVMValueRef math_emit_log(const struct math_ctx *m, LLVMValueRef x) {
  struct math_logred l = math_log_reduce(m, x, math_log_cut(m), true);
  assert(l.adj && "reduced with denormals");
  LLVMValueRef k = math_add(m, math_tofloat(m, l.k), l.adj);
  LLVMValueRef zero = math_const(m, 0), inf = math_inf(m), y, at0;

  y = math_log_sum(m, k, l.f);
  y = math_select(m, math_lt(m, x, inf), y, x);
  at0 = math_select(m, math_eq(m, x, zero), math_neg(m, inf), math_nan(m));
  return math_select(m, math_lt(m, zero, x), y, at0);
}

LLVMValueRef math_emit_log1p(const struct math_ctx *m, LLVMValueRef x) {
  LLVMValueRef one = math_const(m, 1), inf = math_inf(m);
  LLVMValueRef u = math_add(m, one, x), s, f, y, at0;
  struct math_logred l = math_log_reduce(m, u, math_log_cut(m), false);

  /* 1 + x rounds, but 1 + f = 2^-k + 2^-k x does so once, and not for k = 0 */
  s = math_isub(m, math_int(m, m->bias << m->mant), math_shl(m, l.k, m->mant));
  s = math_float(m, s);
  f = math_fma(m, s, x, math_sub(m, s, one));
  f = math_select(m, math_lt(m, math_const2(m, 0x1p30, 0x1p60), x), l.f, f);
  y = math_log_sum(m, math_tofloat(m, l.k), f);
  y = math_copysign(m, y, x); /* -0 */
  y = math_select(m, math_lt(m, x, inf), y, x);
  at0 = math_select(m, math_eq(m, u, math_const(m, 0)), math_neg(m, inf),
                    math_nan(m));
  return math_select(m, math_lt(m, math_const(m, -1), x), y, at0);
}

/* With E = exp(-2|x|) - 1, tanh |x| = -E / (2 + E): no digit is lost in E near
 * 0, and what E loses far from it does not count. A rational function takes 12
 * operations to these 20, but its two polynomials err by 4 ULP together, and a
 * vector division takes as long as all of this. */
LLVMValueRef math_emit_tanh(const struct math_ctx *m, LLVMValueRef x) {
  LLVMValueRef a = math_atmost(m, math_abs(m, x), math_const2(m, 10, 20)), p, s;
  LLVMValueRef two = math_const(m, -2);
  struct math_expred e = math_exp_reduce(m, math_mul(m, a, two), NULL);

  p = math_expm1_poly(m, e.r);
  s = math_exp_pow2(m, e, 0);
  p = math_fma(m, s, p, math_sub(m, s, math_const(m, 1)));
  return math_copysign(m, math_div(m, p, math_sub(m, two, p)), x);
}

/* f32: 1 - exp(q(x)); the exponential is at most 0.22, so that its argument
 * needs no second part of ln 2, and it is never small enough for denormals. */
static LLVMValueRef math_erf_big32(const struct math_ctx *m, LLVMValueRef a) {
  LLVMValueRef magic = math_magic(m), one = math_const(m, 1), y;
  LLVMValueRef q = math_poly_eval(m, &math_poly_lnerfc, a);
  struct math_expred e = {.l = NULL};

  e.t = math_fma(m, q, math_const(m, 0x1.715476p0), magic);
  e.n = math_sub(m, e.t, magic);
  e.r = math_fma(m, e.n, math_const(m, -0x1.62e43p-1), q);
  q = math_exp_poly(m, e);
  y = math_scalef(m, q, e.n);
  if (!y && m->fma)
    return math_fma(m, q, math_neg(m, math_exp_pow2(m, e, 0)), one);
  if (!y)
    y = math_mul(m, q, math_exp_pow2(m, e, 0));
  return math_sub(m, one, y);
}

/* f64: 1 - exp(-x^2) times a polynomial in (x - 3) / (x + 3) */
static LLVMValueRef math_erf_big64(const struct math_ctx *m, LLVMValueRef a,
                                   LLVMValueRef z) {
  LLVMValueRef k = math_const(m, 3), t;

  t = math_div(m, math_sub(m, a, k), math_add(m, a, k));
  t = math_mul(m, math_emit_exp(m, math_neg(m, z)),
               math_poly_eval(m, &math_poly_erfcx, t));
  return math_sub(m, math_const(m, 1), t);
}

LLVMValueRef math_emit_erf(const struct math_ctx *m, LLVMValueRef x) {
  LLVMValueRef a = math_atmost(m, math_abs(m, x), math_const2(m, 4, 6));
  LLVMValueRef z = math_mul(m, a, a), small, big, near0;

  small = math_fma(m, math_poly_eval(m, &math_poly_erf, z), a, a);
  big = m->f64 ? math_erf_big64(m, a, z) : math_erf_big32(m, a);
  near0 = math_lt(m, a, math_const2(m, 0.875, 1));
  return math_copysign(m, math_select(m, near0, small, big), x);
}

LLVMValueRef math_emit_sinh(const struct math_ctx *m, LLVMValueRef x) {
  LLVMValueRef a = math_abs(m, x), z = math_mul(m, a, a);
  LLVMValueRef e = math_exp_times(m, a, -1), small, big;

  big = math_sub(m, e, math_div(m, math_const(m, 0.25), e));
  small = math_poly_eval(m, &math_poly_sinh, z);
  small = math_fma(m, math_mul(m, a, z), small, a);
  small = math_select(m, math_lt(m, a, math_const(m, 1)), small, big);
  return math_copysign(m, small, x);
}

LLVMValueRef math_emit_cosh(const struct math_ctx *m, LLVMValueRef x) {
  LLVMValueRef e = math_exp_times(m, math_abs(m, x), -1);
  return math_add(m, e, math_div(m, math_const(m, 0.25), e));
}

/* From here on 1 + x is x, and x^2 may overflow soon. */
static LLVMValueRef math_is_huge(const struct math_ctx *m, LLVMValueRef a) {
  return math_lt(m, math_const2(m, 0x1p30, 0x1p60), a);
}

static LLVMValueRef math_log1p_twice(const struct math_ctx *m, LLVMValueRef arg,
                                     LLVMValueRef twice) {
  LLVMValueRef ln2 = math_const(m, 0x1.62e42fefa39efp-1);
  LLVMValueRef add = math_select(m, twice, ln2, math_const(m, 0));
  return math_add(m, math_emit_log1p(m, arg), add);
}

LLVMValueRef math_emit_asinh(const struct math_ctx *m, LLVMValueRef x) {
  LLVMValueRef a = math_abs(m, x), z = math_mul(m, a, a), s;
  LLVMValueRef one = math_const(m, 1), huge = math_is_huge(m, a);

  s = math_emit_sqrt(m, math_add(m, z, one));
  s = math_add(m, a, math_div(m, z, math_add(m, one, s)));
  s = math_select(m, huge, a, s);
  return math_copysign(m, math_log1p_twice(m, s, huge), x);
}

LLVMValueRef math_emit_acosh(const struct math_ctx *m, LLVMValueRef x) {
  LLVMValueRef one = math_const(m, 1), t = math_sub(m, x, one), s;
  LLVMValueRef huge = math_is_huge(m, x);

  s = math_fma(m, t, t, math_add(m, t, t));
  s = math_add(m, t, math_emit_sqrt(m, s));
  s = math_log1p_twice(m, math_select(m, huge, x, s), huge);
  return math_select(m, math_lt(m, x, one), math_nan(m), s);
}

LLVMValueRef math_emit_atanh(const struct math_ctx *m, LLVMValueRef x) {
  LLVMValueRef a = math_abs(m, x), y;
  y = math_div(m, math_add(m, a, a), math_sub(m, math_const(m, 1), a));
  y = math_mul(m, math_const(m, 0.5), math_emit_log1p(m, y));
  return math_copysign(m, y, x);
}
