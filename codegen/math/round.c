/* round.c - to integers, square roots and remainders, exactly. */
#include "codegen/math/build.h"

#include <assert.h>

enum math_way { MATH_FLOOR, MATH_CEIL, MATH_TRUNC, MATH_RINT };

/* On the bits: of a significand with e integer bits the lower mant - e ones are
 * dropped, after adding what makes the sum carry. An integer add of bits
 * carries into the exponent as it should. */
static LLVMValueRef math_round_bits(const struct math_ctx *m, LLVMValueRef x,
                                    enum math_way way) {
  LLVMValueRef i = math_bits(m, x), zero = math_int(m, 0), e, mask, add, y;
  LLVMValueRef one = math_const(m, 1), a = math_abs(m, x), small, is, unit;
  assert(m->bias % 2 == 1 && "the exponent's last bit is the unit of [1, 2)");

  e = math_iand(m, math_lshr(m, i, m->mant), math_int(m, m->f64 ? 2047 : 255));
  e = math_isub(m, e, math_int(m, m->bias));
  /* lanes of e out of range are replaced below; keep their shift defined */
  mask = math_iand(m, e, math_int(m, m->bits - 1));
  mask =
      LLVMBuildLShr(m->b, math_int(m, ((int64_t)1 << m->mant) - 1), mask, "");
  unit = math_iadd(m, mask, math_int(m, 1));
  add = zero;
  small = zero;
  if (way == MATH_RINT) {
    is = math_icmp(m, LLVMIntNE, math_iand(m, i, unit), zero);
    /* the unit of 1 <= |x| < 2 is the exponent's last bit: bias is odd */
    add = math_select(m, is, math_lshr(m, unit, 1), math_lshr(m, mask, 1));
    is = math_lt(m, math_const(m, 0.5), a);
    small = math_select(m, is, math_bits(m, one), zero);
  } else if (way != MATH_TRUNC) {
    is = math_icmp(m, way == MATH_FLOOR ? LLVMIntSLT : LLVMIntSGE, i, zero);
    add = math_select(m, is, mask, zero);
    small = math_select(m, math_lt(m, math_const(m, 0), a), math_bits(m, one),
                        zero);
    small = math_select(m, is, small, zero);
  }
  y = math_iand(m, math_iadd(m, i, add), math_ixor(m, mask, math_int(m, -1)));
  y = math_select(m, math_icmp(m, LLVMIntSLT, e, zero), small, y);
  y = math_select(m, math_icmp(m, LLVMIntSGE, e, math_int(m, m->mant)), i, y);
  return math_copysign(m, math_float(m, y), x);
}

#define ROUND(name, WAY)                                                       \
  LLVMValueRef math_emit_##name(const struct math_ctx *m, LLVMValueRef x) {    \
    return m->round ? math_intrinsic(m, "llvm." #name, &x, 1)                  \
                    : math_round_bits(m, x, WAY);                              \
  }
ROUND(floor, MATH_FLOOR)
ROUND(ceil, MATH_CEIL)
ROUND(trunc, MATH_TRUNC)
ROUND(rint, MATH_RINT)

/* One bit of the root a step, from the top, as with pencil and paper (fdlibm's
 * e_sqrt.c): twice the root so far plus the bit is taken off the rest where it
 * fits. A step more than the significand gives the bit to round by. */
LLVMValueRef math_emit_sqrt(const struct math_ctx *m, LLVMValueRef x) {
  LLVMValueRef zero = math_const(m, 0), tiny, xs, i, e, sig, odd, y, bad;
  LLVMValueRef st[4], cur, fits, t, none = math_int(m, 0);
  struct math_loop l;

  if (m->sqrt)
    return math_intrinsic(m, "llvm.sqrt", &x, 1);
  tiny = math_lt(m, x, math_const2(m, 0x1p-126, 0x1p-1022));
  xs = math_select(m, tiny, math_mul(m, x, math_const(m, 0x1p54)), x);
  i = math_bits(m, xs);
  e = math_isub(m, math_lshr(m, i, m->mant), math_int(m, m->bias));
  sig = math_iand(m, i, math_int(m, ((int64_t)1 << m->mant) - 1));
  sig = math_iadd(m, sig, math_int(m, (int64_t)1 << m->mant));
  odd = math_icmp(m, LLVMIntNE, math_iand(m, e, math_int(m, 1)), none);
  sig = math_select(m, odd, math_shl(m, sig, 1), sig);
  st[0] = math_shl(m, sig, 1);                      /* rest */
  st[1] = none;                                     /* twice the root */
  st[2] = none;                                     /* the root */
  st[3] = math_int(m, (int64_t)1 << (m->mant + 2)); /* the bit */
  st[3] = math_lshr(m, st[3], 1);
  l = math_loop_begin(m, st, 4);
  cur = math_iadd(m, l.phi[1], l.phi[3]);
  fits = math_icmp(m, LLVMIntULE, cur, l.phi[0]);
  t = math_select(m, fits, cur, none);
  st[0] = math_shl(m, math_isub(m, l.phi[0], t), 1);
  t = math_select(m, fits, l.phi[3], none);
  st[2] = math_iadd(m, l.phi[2], t);
  st[1] = math_iadd(m, l.phi[1], math_shl(m, t, 1));
  st[3] = math_lshr(m, l.phi[3], 1);
  math_loop_end(m, &l, st, math_icmp(m, LLVMIntNE, st[3], none));

  /* never a tie: the root would need a bit more than its square has */
  y = math_iadd(m, st[2], math_iand(m, st[2], math_int(m, 1)));
  y = math_lshr(m, y, 1);
  e = math_shl(m, math_ashr(m, e, 1), m->mant);
  e = math_iadd(m, e, math_int(m, (m->bias - 1) << m->mant));
  y = math_float(m, math_iadd(m, y, e));
  y = math_mul(m, y,
               math_select(m, tiny, math_const(m, 0x1p-27), math_const(m, 1)));
  bad = math_select(m, math_lt(m, x, zero), math_nan(m), x); /* 0, inf, NaN */
  t = LLVMBuildAnd(m->b, math_lt(m, zero, x), math_lt(m, x, math_inf(m)), "");
  return math_select(m, t, y, bad);
}

/* 2^k y for y > 0 and 2^k y < inf, k >= 0: in two factors, as k goes to 2097 */
static LLVMValueRef math_times_2k(const struct math_ctx *m, LLVMValueRef y,
                                  LLVMValueRef k) {
  LLVMValueRef one = math_int(m, m->bias << m->mant);
  LLVMValueRef third = math_int(m, m->bias - 1), more;

  for (int i = 0; i < 3; i++) {
    more = math_icmp(m, LLVMIntSLT, third, k);
    more = math_select(m, more, third, k);
    k = math_isub(m, k, more);
    more = math_iadd(m, math_shl(m, more, m->mant), one);
    y = math_mul(m, y, math_float(m, more));
  }
  return y;
}

/* The exponent of a positive number, denormals as well. */
static LLVMValueRef math_exponent(const struct math_ctx *m, LLVMValueRef a) {
  LLVMValueRef tiny = math_lt(m, a, math_const2(m, 0x1p-126, 0x1p-1022));
  LLVMValueRef up = math_mul(m, a, math_const(m, 0x1p54));
  LLVMValueRef e = math_bits(m, math_select(m, tiny, up, a));
  LLVMValueRef off = math_select(m, tiny, math_int(m, 54), math_int(m, 0));
  return math_isub(m, math_lshr(m, e, m->mant), off);
}

/* r - q y with q an integer of few bits: exact, for the result has no more
 * bits than y. Without FMA q is short enough for exact products with the halves
 * of y; q y may be past the largest number where r is near it, hence the
 * scaling. */
static LLVMValueRef math_rest(const struct math_ctx *m, LLVMValueRef r,
                              LLVMValueRef q, LLVMValueRef y) {
  LLVMValueRef h, mask, huge, down, one = math_const(m, 1);

  if (m->fma)
    return math_fma(m, math_neg(m, q), y, r);
  huge = math_lt(m, math_const2(m, 0x1p100, 0x1p1000), r);
  down = math_select(m, huge, math_const(m, 0.25), one);
  y = math_mul(m, y, down);
  r = math_mul(m, r, down);
  mask = math_int(m, m->f64 ? -((int64_t)1 << 27) : -((int64_t)1 << 12));
  h = math_float(m, math_iand(m, math_bits(m, y), mask));
  r = math_sub(m, r, math_mul(m, q, h));
  r = math_sub(m, r, math_mul(m, q, math_sub(m, y, h)));
  return math_mul(m, r, math_select(m, huge, math_const(m, 4), one));
}

/* Long division: y' = 2^k y is chosen so that r / y' is a small integer and a
 * fraction, and the nearest integer of it is taken off. Most calls go round
 * once. */
LLVMValueRef cg_math_fmod(LLVMBuilderRef b, const struct ir_facts *o,
                          LLVMValueRef x, LLVMValueRef y) {
  assert(LLVMTypeOf(x) == LLVMTypeOf(y) && "same_shape(): one type");
  struct math_ctx c = math_ctx_of(b, o, x), *m = &c;
  int step = m->fma ? (m->f64 ? 50 : 21) : (m->f64 ? 24 : 10);
  LLVMValueRef ax = math_abs(m, x), ay = math_abs(m, y), zero, magic, ok, inf;
  LLVMValueRef r, k, ys, q, ey, none = math_int(m, 0), st[1], done;
  struct math_loop l;

  zero = math_const(m, 0);
  magic = math_magic(m);
  inf = math_inf(m);
  ok = LLVMBuildAnd(b, math_lt(m, zero, ay), math_lt(m, ax, inf), "");
  ey = math_iadd(m, math_exponent(m, ay), math_int(m, step));
  /* lanes that are done, or have no answer, go round with 0 */
  st[0] = math_select(m, ok, ax, zero);
  l = math_loop_begin(m, st, 1);
  r = l.phi[0];
  done = math_lt(m, r, ay);
  k = math_isub(m, math_exponent(m, r), ey);
  k = math_select(m, math_icmp(m, LLVMIntSLT, k, none), none, k);
  ys = math_times_2k(m, ay, k);
  q = math_div(m, r, ys);
  q = math_sub(m, math_add(m, q, magic), magic);
  q = math_rest(m, r, q, ys);
  q = math_select(m, math_lt(m, q, zero), math_add(m, q, ys), q);
  r = math_select(m, done, r, q);
  r = math_select(m, ok, r, zero);
  st[0] = r;
  math_loop_end(
      m, &l, st,
      LLVMBuildAnd(b, ok, LLVMBuildFCmp(b, LLVMRealOGE, r, ay, ""), ""));
  r = math_copysign(m, r, x);
  ok = LLVMBuildAnd(b, ok, math_eq(m, ay, ay), "");
  return math_select(m, ok, r, math_nan(m));
}
