/* trig.c - sin, cos, tan and their inverses.
 *
 * Reduction by pi/2 in three parts where the products are exact (Cody and
 * Waite 1980, chapter 8), and by the bits of 2/pi that matter (Payne and Hanek
 * 1983) for f32 beyond 1e5, or everywhere when there is no FMA: integers are
 * then cheaper than exact products. */
#include "codegen/math/poly.h"

#include <assert.h>

struct math_angle {
  LLVMValueRef r, q; /* x = q pi/2 + r; q modulo 4 counts */
};

/* 32 bits of 2/pi from bit s on, and the 64 behind them */
static void math_window(const struct math_ctx *m, LLVMValueRef s,
                        LLVMValueRef w[3]) {
  static const uint32_t bits[] = {0,          0xa2f9836e, 0x4e441529,
                                  0xfc2757d1, 0xf534ddc0, 0xdb629599,
                                  0x3c439041, 0xfe5163ab};
  LLVMValueRef v[4], args[3], at[4], id = math_ashr(m, s, 5);
  int i, j;

  for (j = 1; j < 5; j++)
    at[j - 1] = math_icmp(m, LLVMIntSGE, id, math_int(m, j));
  for (i = 0; i < 4; i++) {
    v[i] = math_int(m, bits[i]);
    for (j = 1; j < 5; j++)
      v[i] = math_select(m, at[j - 1], math_int(m, bits[i + j]), v[i]);
  }
  args[2] = math_iand(m, s, math_int(m, 31));
  for (i = 0; i < 3; i++) {
    args[0] = v[i];
    args[1] = v[i + 1];
    w[i] = math_intrinsic(m, "llvm.fshl", args, 3);
  }
}

/* f32: x 2/pi modulo 4 in 64 bits, two of them before the point. */
static struct math_angle math_reduce_bits(const struct math_ctx *m,
                                          LLVMValueRef x) {
  assert(!m->f64 && "math_reduce() takes f64 apart by products");
  LLVMTypeRef t64 = math_type_int(m, 64);
  LLVMValueRef c32 = math_splat(
      m,
      LLVMConstInt(LLVMInt64TypeInContext(LLVMGetTypeContext(m->ft)), 32, 0));
  LLVMValueRef i = math_bits(m, math_abs(m, x)), e, sig, w[3], p, lo, hi, q;
  LLVMValueRef sign, r, wide, rest, top, low, neg;
  struct math_dw r2;

  e = math_isub(m, math_lshr(m, i, 23), math_int(m, 150));
  sig = math_iand(m, i, math_int(m, 0x7fffff));
  sig = math_iadd(m, sig, math_int(m, 0x800000));
  /* x = sig 2^e; the first e - 2 bits give multiples of 4, and 32 zeros stand
   * in front of the table */
  math_window(m, math_iadd(m, e, math_int(m, 30)), w);
  wide = LLVMBuildZExt(m->b, sig, t64, "");
  p = LLVMBuildMul(m->b, wide, LLVMBuildZExt(m->b, w[2], t64, ""), "");
  p = LLVMBuildLShr(m->b, p, c32, "");
  p = LLVMBuildAdd(
      m->b, p, LLVMBuildMul(m->b, wide, LLVMBuildZExt(m->b, w[1], t64, ""), ""),
      "");
  lo = LLVMBuildTrunc(m->b, p, m->it, "");
  hi = LLVMBuildTrunc(m->b, LLVMBuildLShr(m->b, p, c32, ""), m->it, "");
  hi = math_iadd(m, hi, LLVMBuildMul(m->b, sig, w[0], ""));
  q = math_lshr(m, math_iadd(m, hi, math_int(m, 1 << 29)), 30);
  hi = math_isub(m, hi, math_shl(m, q, 30));
  /* the magnitude, short of a unit of 2^-62 */
  neg = math_ashr(m, hi, 31);
  hi = math_ixor(m, hi, neg);
  lo = math_ixor(m, lo, neg);
  /* 24 bits of hi are exact as f32, the rest counts where those are few */
  rest = math_shl(m, math_iand(m, hi, math_int(m, 63)), 25);
  rest = math_iadd(m, rest, math_lshr(m, lo, 7));
  hi = math_iand(m, hi, math_int(m, -64));
  top = LLVMBuildSIToFP(m->b, hi, m->ft, "");
  low = math_mul(m, LLVMBuildSIToFP(m->b, rest, m->ft, ""),
                 math_const(m, 0x1.921fb6p-55));
  r2 = math_two_prod(m, top, math_const(m, 0x1.921fb6p-30));
  low =
      math_fma(m, top, math_const(m, -0x1.777a5cp-55), math_add(m, low, r2.l));
  r = math_add(m, r2.h, low);
  sign = math_ashr(m, math_bits(m, x), 31);
  q = math_isub(m, math_ixor(m, q, sign), sign);
  sign = math_shl(m, math_ixor(m, sign, neg), 31);
  r = math_float(m, math_ixor(m, math_bits(m, r), sign));
  return (struct math_angle){r, q};
}

/* x - n pi/2: the first difference is exact, as x and n pi/2 agree in all but
 * what fits a significand. All parts are positive, lest -0 turn into 0. */
static struct math_angle math_reduce_parts(const struct math_ctx *m,
                                           LLVMValueRef x) {
  LLVMValueRef magic = math_magic(m);
  LLVMValueRef t = math_fma(m, x, math_const(m, 0x1.45f306dc9c883p-1), magic);
  LLVMValueRef n = math_sub(m, t, magic), r = x;
  LLVMValueRef c[3] = {math_const2(m, 0x1.921fb4p0, 0x1.921fb54442d18p0),
                       math_const2(m, 0x1.4442dp-24, 0x1.1a62633145c06p-54),
                       math_const2(m, 0x1.846988p-48, 0x1.c1cd129024e08p-107)};

  for (int i = 0; i < 3; i++) {
    if (m->fma) {
      r = math_fma(m, n, math_neg(m, c[i]), r);
    } else {
      struct math_dw p = math_two_prod(m, n, c[i]);
      r = math_sub(m, math_sub(m, r, p.h), p.l);
    }
  }
  return (struct math_angle){r, math_bits(m, t)};
}

static struct math_angle math_reduce(const struct math_ctx *m, LLVMValueRef x) {
  LLVMValueRef a = math_abs(m, x), lim = math_const2(m, 1e5, 0x1p45), ok;
  struct math_angle p, l;

  if (m->f64) {
    p = math_reduce_parts(m, x);
    p.r = math_select(m, math_lt(m, lim, a), math_nan(m), p.r);
    return p;
  }
  if (m->fma) {
    p = math_reduce_parts(m, x);
  } else {
    p = (struct math_angle){x, math_int(m, 0)};
    lim = math_const(m, 0.7853981);
  }
  l = math_reduce_bits(m, x);
  ok = math_lt(m, lim, a);
  p.r = math_select(m, ok, l.r, p.r);
  p.q = math_select(m, ok, l.q, p.q);
  p.r = math_select(m, math_lt(m, a, math_inf(m)), p.r, math_nan(m));
  return p;
}

static void math_sincos_poly(const struct math_ctx *m, LLVMValueRef r,
                             LLVMValueRef *s, LLVMValueRef *c) {
  LLVMValueRef z = math_mul(m, r, r), p, h, w, e, one = math_const(m, 1);

  p = math_poly_eval(m, &math_poly_sin, z);
  p = math_fma(m, math_mul(m, r, z), p, r);
  *s = math_copysign(m, p, r); /* -0 */
  p = math_poly_eval(m, &math_poly_cos, z);
  h = math_mul(m, z, math_const(m, 0.5));
  w = math_sub(m, one, h);
  e = math_sub(m, math_sub(m, one, w), h);
  *c = math_add(m, w, math_fma(m, math_mul(m, z, z), p, e));
}

static LLVMValueRef math_angle_odd(const struct math_ctx *m, LLVMValueRef q) {
  LLVMValueRef bit = math_iand(m, q, math_int(m, 1));
  return math_icmp(m, LLVMIntNE, bit, math_int(m, 0));
}

/* sin(x + turn pi/2) */
static LLVMValueRef math_sin_turned(const struct math_ctx *m, LLVMValueRef x,
                                    int turn) {
  struct math_angle a = math_reduce(m, x);
  LLVMValueRef s, c, y, sign;

  if (turn)
    a.q = math_iadd(m, a.q, math_int(m, turn));
  math_sincos_poly(m, a.r, &s, &c);
  y = math_select(m, math_angle_odd(m, a.q), c, s);
  sign = math_shl(m, math_lshr(m, a.q, 1), m->bits - 1);
  return math_float(m, math_ixor(m, math_bits(m, y), sign));
}

LLVMValueRef math_emit_sin(const struct math_ctx *m, LLVMValueRef x) {
  return math_sin_turned(m, x, 0);
}

LLVMValueRef math_emit_cos(const struct math_ctx *m, LLVMValueRef x) {
  return math_sin_turned(m, x, 1);
}

LLVMValueRef math_emit_tan(const struct math_ctx *m, LLVMValueRef x) {
  struct math_angle a = math_reduce(m, x);
  LLVMValueRef odd = math_angle_odd(m, a.q), s, c, n;

  math_sincos_poly(m, a.r, &s, &c);
  n = math_select(m, odd, math_neg(m, c), s);
  return math_div(m, n, math_select(m, odd, s, c));
}

/* The polynomial's argument s in [0, 1/2] is |x|, or sqrt((1 - |x|) / 2), half
 * the complement's angle; its arc sine is h + l. NaN beyond 1. */
static struct math_dw math_asin_half(const struct math_ctx *m, LLVMValueRef x,
                                     LLVMValueRef *big) {
  LLVMValueRef a = math_abs(m, x), half = math_const(m, 0.5), z, s, p;

  *big = math_lt(m, half, a);
  z = math_mul(m, math_sub(m, math_const(m, 1), a), half);
  s = math_emit_sqrt(m, z);
  z = math_select(m, *big, z, math_mul(m, a, a));
  s = math_select(m, *big, s, a);
  p = math_poly_eval(m, &math_poly_asin, z);
  return (struct math_dw){s, math_mul(m, math_mul(m, s, z), p)};
}

static LLVMValueRef math_pi_hi(const struct math_ctx *m, int shift) {
  assert(shift >= 0 && shift <= 2 && "pi, pi/2 or pi/4");
  double k = 1.0 / (1 << shift);
  return math_const2(m, 0x1.921fb6p1 * k, 0x1.921fb54442d18p1 * k);
}

static LLVMValueRef math_pi_lo(const struct math_ctx *m, int shift) {
  assert(shift >= 0 && shift <= 2 && "pi, pi/2 or pi/4");
  double k = 1.0 / (1 << shift);
  return math_const2(m, -0x1.777a5cp-24 * k, 0x1.1a62633145c07p-53 * k);
}

LLVMValueRef math_emit_asin(const struct math_ctx *m, LLVMValueRef x) {
  LLVMValueRef big, y, l;
  struct math_dw p = math_asin_half(m, x, &big);

  /* pi/2 - 2 p: the first difference has the error of one rounding */
  y = math_sub(m, math_pi_hi(m, 1), math_add(m, p.h, p.h));
  l = math_sub(m, math_pi_lo(m, 1), math_add(m, p.l, p.l));
  y = math_select(m, big, y, p.h);
  l = math_select(m, big, l, p.l);
  return math_copysign(m, math_add(m, y, l), x);
}

LLVMValueRef math_emit_acos(const struct math_ctx *m, LLVMValueRef x) {
  LLVMValueRef big, p, hi, lo, y, zero = math_const(m, 0);
  LLVMValueRef neg = math_lt(m, x, zero);
  struct math_dw d = math_asin_half(m, x, &big);

  /* big: 2p or pi - 2p; small: pi/2 -+ p */
  p = math_add(m, d.h, d.l);
  hi = math_select(m, neg, math_pi_hi(m, 0), zero);
  lo = math_select(m, neg, math_pi_lo(m, 0), zero);
  hi = math_select(m, big, hi, math_pi_hi(m, 1));
  lo = math_select(m, big, lo, math_pi_lo(m, 1));
  y = math_select(m, big, math_add(m, p, p), math_neg(m, p));
  y = math_select(m, neg, math_neg(m, y), y);
  return math_add(m, hi, math_add(m, y, lo));
}

LLVMValueRef math_emit_atan(const struct math_ctx *m, LLVMValueRef x) {
  LLVMValueRef a = math_abs(m, x), one = math_const(m, 1), n, d, t, z;
  LLVMValueRef zero = math_const(m, 0), mid, big, hi, lo;

  /* atan(a) = pi/4 + atan((a - 1) / (a + 1)) = pi/2 + atan(-1 / a) */
  mid = math_lt(m, math_const(m, 0x1.a8279ap-2), a);
  big = math_lt(m, math_const(m, 0x1.3504f4p1), a);
  n = math_select(m, mid, math_sub(m, a, one), a);
  n = math_select(m, big, math_const(m, -1), n);
  d = math_select(m, mid, math_add(m, a, one), one);
  d = math_select(m, big, a, d);
  hi = math_select(m, mid, math_pi_hi(m, 2), zero);
  hi = math_select(m, big, math_pi_hi(m, 1), hi);
  lo = math_select(m, mid, math_pi_lo(m, 2), zero);
  lo = math_select(m, big, math_pi_lo(m, 1), lo);
  t = math_div(m, n, d);
  z = math_mul(m, t, t);
  lo =
      math_fma(m, math_mul(m, t, z), math_poly_eval(m, &math_poly_atan, z), lo);
  return math_copysign(m, math_add(m, hi, math_add(m, t, lo)), x);
}
