/* pow.c - x^y = exp(y log x), the logarithm in twice the precision.
 *
 * log(1 + f) = 2 atanh(s), s = f / (2 + f): s, s^2 and the first coefficient
 * are pairs, so that the error is that of the second term's rounding (compare
 * Muller, Elementary Functions, 3rd ed., 11.5; pairs as of Dekker 1971). */
#include "codegen/math/poly.h"

#include <assert.h>

static struct math_dw math_dw_mul(const struct math_ctx *m, struct math_dw a,
                                  struct math_dw c) {
  struct math_dw p = math_two_prod(m, a.h, c.h);
  LLVMValueRef x = math_fma(m, a.h, c.l, math_mul(m, a.l, c.h));
  return math_fast_two_sum(m, p.h, math_add(m, p.l, x));
}

static struct math_dw math_dw_const(const struct math_ctx *m, double h32,
                                    double l32, double h64, double l64) {
  return (struct math_dw){math_const2(m, h32, h64), math_const2(m, l32, l64)};
}

/* f / (2 + f) */
static struct math_dw math_pow_s(const struct math_ctx *m, LLVMValueRef f) {
  struct math_dw d = math_two_sum(m, math_const(m, 2), f), p;
  LLVMValueRef h = math_div(m, f, d.h), r;

  p = math_two_prod(m, h, d.h);
  r = math_sub(m, math_sub(m, f, p.h), p.l);
  r = math_sub(m, r, math_mul(m, h, d.l));
  return math_fast_two_sum(m, h, math_div(m, r, d.h));
}

/* log a for a > 0 and finite */
static struct math_dw math_pow_log(const struct math_ctx *m, LLVMValueRef a) {
  struct math_logred l = math_log_reduce(m, a, 0x1.6a09e667f3bcdp-1, true);
  LLVMValueRef k = math_add(m, math_tofloat(m, l.k), l.adj), q;
  struct math_dw s = math_pow_s(m, l.f), z = math_dw_mul(m, s, s), p, third;
  struct math_dw ln2 = math_dw_const(m, 0x1.62e4p-1, 0x1.7f7d1cp-20,
                                     0x1.62e42fefa38p-1, 0x1.ef35793c7673p-45);

  /* s (2 + 2 z (1/3 + z q)) */
  third = math_dw_const(m, 0x1.555556p-2, -0x1.555556p-27, 0x1.5555555555555p-2,
                        0x1.5555555555555p-56);
  q = math_mul(m, z.h, math_poly_eval(m, &math_poly_atanh, z.h));
  p = math_fast_two_sum(m, third.h, math_add(m, q, third.l));
  /* the sum of q and the low part rounds far below what counts */
  p = math_dw_mul(m, z, p);
  p = math_dw_mul(m, s, p);
  p = (struct math_dw){math_add(m, p.h, p.h), math_add(m, p.l, p.l)};
  s = (struct math_dw){math_add(m, s.h, s.h), math_add(m, s.l, s.l)};
  q = math_add(m, s.l, p.l);
  p = math_fast_two_sum(m, s.h, p.h);
  q = math_add(m, q, p.l);
  q = math_fma(m, k, ln2.l, q);
  s = math_fast_two_sum(m, math_mul(m, k, ln2.h), p.h);
  return math_fast_two_sum(m, s.h, math_add(m, s.l, q));
}

/* exp(y l), l the logarithm */
static LLVMValueRef math_pow_exp(const struct math_ctx *m, LLVMValueRef y,
                                 struct math_dw l) {
  LLVMValueRef end = math_const2(m, 120, 800), low, in;
  struct math_dw p = math_two_prod(m, y, l.h);
  struct math_expred e;

  low = math_fma(m, y, l.l, p.l);
  in = math_lt(m, math_abs(m, p.h), end);
  low = math_select(m, in, low, math_const(m, 0));
  p.h = math_atmost(m, p.h, end);
  p.h = math_atleast(m, p.h, math_neg(m, end));
  e = math_exp_reduce(m, p.h, low);
  return math_exp_scale(m, math_exp_poly(m, e), e, 0);
}

LLVMValueRef cg_math_pow(LLVMBuilderRef b, const struct ir_facts *o,
                         LLVMValueRef x, LLVMValueRef y) {
  assert(LLVMTypeOf(x) == LLVMTypeOf(y) && "same_shape(): one type");
  struct math_ctx c = math_ctx_of(b, o, x), *m = &c;
  LLVMValueRef ax = math_abs(m, x), one = math_const(m, 1), half, r, inf;
  LLVMValueRef zero = math_const(m, 0), is_int, odd, is1, sign, neg, unord;
  struct math_dw l = math_pow_log(m, ax);

  /* with log 0 = -inf and log inf = inf the exponential gives the rest */
  inf = math_inf(m);
  l.h = math_select(m, math_lt(m, ax, inf), l.h, inf);
  l.h = math_select(m, math_eq(m, ax, zero), math_neg(m, inf), l.h);
  r = math_pow_exp(m, y, l);
  is1 = LLVMBuildOr(b, math_eq(m, ax, one), math_eq(m, y, zero), "");
  r = math_select(m, is1, one, r);

  half = math_mul(m, y, math_const(m, 0.5));
  is_int = math_eq(m, math_emit_trunc(m, y), y);
  odd = LLVMBuildFCmp(b, LLVMRealUNE, math_emit_trunc(m, half), half, "");
  odd = LLVMBuildAnd(b, odd, is_int, "");
  sign = math_select(m, odd, x, one);
  r = math_copysign(m, r, sign);
  neg = LLVMBuildAnd(b, math_lt(m, x, zero), LLVMBuildNot(b, is_int, ""), "");
  neg = LLVMBuildAnd(b, neg, math_lt(m, ax, inf), "");
  r = math_select(m, neg, math_nan(m), r);
  unord =
      LLVMBuildOr(b, cg_math_isnan(b, m->o, x), cg_math_isnan(b, m->o, y), "");
  r = math_select(m, unord, math_nan(m), r);
  is1 = LLVMBuildOr(b, math_eq(m, x, one), math_eq(m, y, zero), "");
  return math_select(m, is1, one, r);
}
