/* build.h - the small language that the files of math/ are written in:
 * operations on values whose type, scalar or vector, f32 or f64, is the
 * context's. Private to these files. */
#ifndef CG_MATH_BUILD_H
#define CG_MATH_BUILD_H

#include "codegen/math/elementary.h"

#include <stddef.h>
#include <stdint.h>

struct math_ctx {
  LLVMBuilderRef b;
  const struct ir_facts *o;
  LLVMTypeRef ft, it; /* the value's type and the integers of its shape */
  bool f64, fma, round, sqrt;
  unsigned bits, mant; /* of a lane, of the stored significand */
  int64_t bias;        /* of the exponent */
};

/* Two values whose unevaluated sum is a number of twice the precision. */
struct math_dw {
  LLVMValueRef h, l;
};

/* A polynomial, low order first; coefficients in math/poly.h. */
struct math_poly {
  int n32, n64;
  double c32[9], c64[17];
};

struct math_ctx math_ctx_of(LLVMBuilderRef b, const struct ir_facts *o,
                            LLVMValueRef x);
/* Integers of another width and the same shape. */
LLVMTypeRef math_type_int(const struct math_ctx *m, unsigned bits);
LLVMValueRef math_splat(const struct math_ctx *m, LLVMValueRef k);
LLVMValueRef math_const(const struct math_ctx *m, double v);
LLVMValueRef math_const2(const struct math_ctx *m, double f32, double f64);
LLVMValueRef math_int(const struct math_ctx *m, int64_t v);
LLVMValueRef math_inf(const struct math_ctx *m);
LLVMValueRef math_nan(const struct math_ctx *m);
/* The constant of 1.5 * 2^mant: adding it rounds to an integer, which then
 * stands in the low bits of the sum. */
LLVMValueRef math_magic(const struct math_ctx *m);

/* math_NAME() of two values, and of one and a number of bits, and what LLVM
 * calls it. */
#define MATH_OPS(BINARY, SHIFT)                                                \
  BINARY(add, FAdd)                                                            \
  BINARY(sub, FSub)                                                            \
  BINARY(mul, FMul)                                                            \
  BINARY(div, FDiv)                                                            \
  BINARY(iadd, Add)                                                            \
  BINARY(isub, Sub)                                                            \
  BINARY(iand, And)                                                            \
  BINARY(ixor, Xor)                                                            \
  SHIFT(shl, Shl)                                                              \
  SHIFT(lshr, LShr)                                                            \
  SHIFT(ashr, AShr)
#define BINARY(name, OP)                                                       \
  LLVMValueRef math_##name(const struct math_ctx *m, LLVMValueRef a,           \
                           LLVMValueRef c);
#define SHIFT(name, OP)                                                        \
  LLVMValueRef math_##name(const struct math_ctx *m, LLVMValueRef a,           \
                           unsigned n);
MATH_OPS(BINARY, SHIFT)
#undef BINARY
#undef SHIFT
LLVMValueRef math_neg(const struct math_ctx *m, LLVMValueRef a);
/* a * c + d, rounded once where the target can, else twice. */
LLVMValueRef math_fma(const struct math_ctx *m, LLVMValueRef a, LLVMValueRef c,
                      LLVMValueRef d);
LLVMValueRef math_abs(const struct math_ctx *m, LLVMValueRef a);
LLVMValueRef math_copysign(const struct math_ctx *m, LLVMValueRef mag,
                           LLVMValueRef sign);
LLVMValueRef math_bits(const struct math_ctx *m, LLVMValueRef a);
LLVMValueRef math_float(const struct math_ctx *m, LLVMValueRef i);
/* A call of an intrinsic overloaded on the value's type alone. */
LLVMValueRef math_intrinsic(const struct math_ctx *m, const char *name,
                            LLVMValueRef *args, unsigned n);

/* Ordered comparisons: false when an operand is NaN. */
LLVMValueRef math_lt(const struct math_ctx *m, LLVMValueRef a, LLVMValueRef c);
LLVMValueRef math_eq(const struct math_ctx *m, LLVMValueRef a, LLVMValueRef c);
LLVMValueRef math_select(const struct math_ctx *m, LLVMValueRef c,
                         LLVMValueRef t, LLVMValueRef e);
/* Bounds by a constant; NaN stays. */
LLVMValueRef math_atmost(const struct math_ctx *m, LLVMValueRef a,
                         LLVMValueRef k);
LLVMValueRef math_atleast(const struct math_ctx *m, LLVMValueRef a,
                          LLVMValueRef k);

LLVMValueRef math_icmp(const struct math_ctx *m, LLVMIntPredicate p,
                       LLVMValueRef a, LLVMValueRef c);
/* A small signed integer as a float. */
LLVMValueRef math_tofloat(const struct math_ctx *m, LLVMValueRef i);

LLVMValueRef math_poly_eval(const struct math_ctx *m, const struct math_poly *p,
                            LLVMValueRef x);

/* Error-free sums and products: Dekker 1971; Ogita, Rump, Oishi 2005. */
struct math_dw math_two_sum(const struct math_ctx *m, LLVMValueRef a,
                            LLVMValueRef c);
struct math_dw math_fast_two_sum(const struct math_ctx *m, LLVMValueRef a,
                                 LLVMValueRef c);
struct math_dw math_two_prod(const struct math_ctx *m, LLVMValueRef a,
                             LLVMValueRef c);

/* A loop that goes on while a lane's bit of `more` is set. `state` holds the
 * values carried round; the builder is in the body after _begin and in the
 * block behind it after _end. */
struct math_loop {
  LLVMBasicBlockRef body;
  LLVMValueRef phi[4];
  int n;
};
struct math_loop math_loop_begin(const struct math_ctx *m, LLVMValueRef *state,
                                 int n);
void math_loop_end(const struct math_ctx *m, struct math_loop *l,
                   LLVMValueRef *state, LLVMValueRef more);

/* One per row of elementary.def. */
#define MATH(ID, name, ulp32, ulp64, note)                                     \
  LLVMValueRef math_emit_##name(const struct math_ctx *m, LLVMValueRef x);
#include "codegen/math/elementary.def"
#undef MATH

/* The pieces of exp and log that pow puts together. n and r with
 * x = n ln 2 + r - tail, and n in the low bits of t. */
struct math_expred {
  LLVMValueRef n, t, r;
  LLVMValueRef h, l; /* r = h + l; l is NULL where there is FMA */
};
struct math_expred math_exp_reduce(const struct math_ctx *m, LLVMValueRef x,
                                   LLVMValueRef tail);
LLVMValueRef math_exp_poly(const struct math_ctx *m, struct math_expred e);
/* p * 2^(n + add), right also where that is denormal or overflows. */
LLVMValueRef math_exp_scale(const struct math_ctx *m, LLVMValueRef p,
                            struct math_expred e, int add);
/* x = 2^k (1 + f), x positive; 1 + f from `cut` to twice that. */
struct math_logred {
  LLVMValueRef k, f; /* k as an integer without adj, which is a float */
  LLVMValueRef adj;  /* NULL: zero */
};
struct math_logred math_log_reduce(const struct math_ctx *m, LLVMValueRef x,
                                   double cut, bool denormals);

#endif
