/* fixed.c - arithmetic of fixed-point numbers: the rounded high half of a
 * product, and shifts that round. What is known of multipliers and shifts, which
 * are constants as a rule, leaves cases out (range.c). */
#include "codegen/emit/impl.h"

#include <assert.h>

/* 2^31 + x y of 64 bits, the high half, for y = 2 m - 2^32: x m / 2^31 is x more.
 * Some processors of 32 bits have one instruction for all of it. */
static LLVMValueRef by_high_half(struct kernel_cg *k, LLVMValueRef x,
                                 LLVMValueRef m) {
  LLVMBuilderRef b = k->b;
  LLVMTypeRef wide = k->e->i64, t = LLVMTypeOf(x);
  if (emit_is_vector(x))
    wide = emit_vector_type(k, wide, LLVMGetVectorSize(t));
  LLVMValueRef y = LLVMBuildShl(b, m, emit_int(k, m, 1), "");
  LLVMValueRef p = LLVMBuildMul(b, LLVMBuildSExt(b, x, wide, ""),
                                LLVMBuildSExt(b, y, wide, ""), "");
  p = LLVMBuildAdd(b, p, emit_int(k, p, INT64_C(1) << 31), "");
  p = LLVMBuildTrunc(b, LLVMBuildLShr(b, p, emit_int(k, p, 32), ""), t, "");
  return LLVMBuildAdd(b, p, x, "");
}

/* (x m + 2^30) / 2^31 for m from 0 on, by products of 16 bits: what is carried from
 * one sum to the next is within 32 bits for all x. */
static LLVMValueRef by_quarters(struct kernel_cg *k, LLVMValueRef x,
                                LLVMValueRef m) {
  LLVMBuilderRef b = k->b;
  LLVMValueRef low = emit_int(k, x, UINT16_MAX), half = emit_int(k, x, 16);
  LLVMValueRef x0 = LLVMBuildAnd(b, x, low, ""),
               m0 = LLVMBuildAnd(b, m, low, "");
  LLVMValueRef x1 = LLVMBuildAShr(b, x, half, ""),
               m1 = LLVMBuildLShr(b, m, half, "");
  LLVMValueRef u = LLVMBuildLShr(b, LLVMBuildMul(b, x0, m0, ""), half, "");
  u = LLVMBuildAdd(b, LLVMBuildMul(b, x1, m0, ""), u, "");
  LLVMValueRef v = LLVMBuildAnd(b, u, low, "");
  v = LLVMBuildAdd(b, LLVMBuildMul(b, x0, m1, ""), v, "");
  v = LLVMBuildLShr(b, v, emit_int(k, x, 14), "");
  v = LLVMBuildAdd(b, v, emit_int(k, x, 1), "");
  LLVMValueRef high = LLVMBuildMul(b, x1, m1, "");
  high = LLVMBuildAdd(b, high, LLVMBuildAShr(b, u, half, ""), "");
  high = LLVMBuildShl(b, high, emit_int(k, x, 1), "");
  return LLVMBuildAdd(b, high, LLVMBuildLShr(b, v, emit_int(k, x, 1), ""), "");
}

/* Elements from `from` on of two vectors that are one after the other. */
static LLVMValueRef elements(struct kernel_cg *k, LLVMValueRef a,
                             LLVMValueRef b, unsigned from, unsigned n) {
  unsigned *lane = DN_ARRAY(k->arena, unsigned, n);
  for (unsigned i = 0; i < n; i++)
    lane[i] = from + i;
  return emit_shuffle(k, a, b, lane, n);
}

/* Four numbers of 32 bits at a time are one instruction. */
static LLVMValueRef by_instruction(struct kernel_cg *k, LLVMValueRef x,
                                   LLVMValueRef y) {
  static const char *const names[] = {NULL, "llvm.aarch64.neon.sqrdmulh",
                                      "llvm.arm.neon.vqrdmulh",
                                      "llvm.arm.mve.vqrdmulh"};
  assert(k->e->facts->hmul > 0 && k->e->facts->hmul < (int)DN_COUNT(names) &&
         "facts.def: hmul");
  unsigned n = LLVMGetVectorSize(LLVMTypeOf(x));
  LLVMTypeRef t = LLVMVectorType(k->e->i32, 4);
  LLVMValueRef r = NULL;
  if (n % 4)
    return NULL;
  for (unsigned i = 0; i < n; i += 4) {
    LLVMValueRef arg[] = {n > 4 ? elements(k, x, x, i, 4) : x,
                          n > 4 ? elements(k, y, y, i, 4) : y};
    arg[0] = emit_intrinsic(k, names[k->e->facts->hmul], &t, 1, arg, 2);
    if (i) { /* to as many as there are so far, and joined */
      LLVMValueRef wide = elements(k, arg[0], arg[0], 0, i);
      arg[0] = elements(k, r, wide, 0, i + 4);
    }
    r = arg[0];
  }
  return r;
}

/* The high half of 2 x y, rounded; *top, the highest bit of all: of a type
 * without sign, the half has one bit more then. In twice the bits. */
static LLVMValueRef by_twice_bits(struct kernel_cg *k, bool is_signed,
                                  unsigned bits, LLVMValueRef x, LLVMValueRef y,
                                  LLVMValueRef *top) {
  LLVMBuilderRef b = k->b;
  LLVMTypeRef t = LLVMTypeOf(x), wide;
  LLVMOpcode widen = is_signed ? LLVMSExt : LLVMZExt;
  wide = LLVMIntTypeInContext(k->e->lc, 2 * bits);
  if (emit_is_vector(x))
    wide = emit_vector_type(k, wide, LLVMGetVectorSize(t));
  LLVMValueRef p = LLVMBuildMul(b, LLVMBuildCast(b, widen, x, wide, ""),
                                LLVMBuildCast(b, widen, y, wide, ""), "");
  p = LLVMBuildAdd(b, p, emit_int(k, p, INT64_C(1) << (bits - 2)), "");
  *top = LLVMBuildLShr(b, p, emit_int(k, p, 2 * bits - 1), "");
  *top = LLVMBuildTrunc(b, *top, t, "");
  return LLVMBuildTrunc(b, LLVMBuildLShr(b, p, emit_int(k, p, bits - 1), ""), t,
                        "");
}

/* The same by products of 32 bits, for vectors: LLVM has none of 128 bits.
 * Knuth, The Art of Computer Programming 2, 4.3.1, algorithm M. */
static LLVMValueRef by_halves(struct kernel_cg *k, bool is_signed,
                              LLVMValueRef x, LLVMValueRef y,
                              LLVMValueRef *top) {
  assert(LLVMTypeOf(x) == LLVMTypeOf(y) && "same_shape()");
  LLVMBuilderRef b = k->b;
  LLVMValueRef low = emit_int(k, x, UINT32_MAX), half = emit_int(k, x, 32);
  LLVMValueRef last = emit_int(k, x, 63);
  LLVMValueRef x0 = LLVMBuildAnd(b, x, low, ""),
               y0 = LLVMBuildAnd(b, y, low, "");
  LLVMValueRef x1 = LLVMBuildLShr(b, x, half, "");
  LLVMValueRef y1 = LLVMBuildLShr(b, y, half, "");
  LLVMValueRef u = LLVMBuildLShr(b, LLVMBuildMul(b, x0, y0, ""), half, "");
  u = LLVMBuildAdd(b, LLVMBuildMul(b, x1, y0, ""), u, "");
  LLVMValueRef v = LLVMBuildAnd(b, u, low, "");
  v = LLVMBuildAdd(b, LLVMBuildMul(b, x0, y1, ""), v, "");
  LLVMValueRef high = LLVMBuildMul(b, x1, y1, "");
  high = LLVMBuildAdd(b, high, LLVMBuildLShr(b, u, half, ""), "");
  high = LLVMBuildAdd(b, high, LLVMBuildLShr(b, v, half, ""), "");
  for (int i = 0; i < 2 && is_signed; i++) {
    LLVMValueRef sign = LLVMBuildAShr(b, i ? y : x, last, "");
    high = LLVMBuildSub(b, high, LLVMBuildAnd(b, sign, i ? x : y, ""), "");
  }
  LLVMValueRef product = LLVMBuildMul(b, x, y, "");
  LLVMValueRef sum =
      LLVMBuildAdd(b, product, emit_int(k, x, INT64_C(1) << 62), "");
  LLVMValueRef carry = LLVMBuildICmp(b, LLVMIntULT, sum, product, "");
  carry = LLVMBuildZExt(b, carry, LLVMTypeOf(x), "");
  high = LLVMBuildAdd(b, high, carry, "");
  *top = LLVMBuildLShr(b, high, last, "");
  return LLVMBuildOr(b, LLVMBuildShl(b, high, emit_int(k, x, 1), ""),
                     LLVMBuildLShr(b, sum, last, ""), "");
}

/* What saturates is the square of the least number, and of unsigned numbers what
 * has one bit more. */
LLVMValueRef emit_hmul(struct kernel_cg *k, enum ir_dtype type, LLVMValueRef x,
                       LLVMValueRef y) {
  assert(LLVMTypeOf(x) == LLVMTypeOf(y) && k->range.least <= k->range.most &&
         "same_shape(), emit_range_of()");
  LLVMBuilderRef b = k->b;
  bool is_signed = ir_dtypes[type].kind == IR_SIGNED;
  unsigned bits = ir_dtypes[type].bits;
  int64_t least = INT64_MIN >> (64 - bits);
  bool alone = !emit_is_vector(x) || !k->e->facts->vector_bytes;
  if (type == IR_I32 && alone && !k->e->facts->has_mulh &&
      k->e->facts->pointer_bytes == 4 && k->range.least >= 0)
    return by_quarters(k, x, y);
  if (type == IR_I32 && alone && k->e->facts->pointer_bytes == 4 &&
      k->range.least >= INT64_C(1) << 30)
    return by_high_half(k, x, y);
  if (type == IR_I32 && emit_is_vector(x) && k->e->facts->hmul) {
    LLVMValueRef made = by_instruction(k, x, y);
    if (made)
      return made;
  }
  LLVMValueRef over, r = bits == 64 && emit_is_vector(x)
                             ? by_halves(k, is_signed, x, y, &over)
                             : by_twice_bits(k, is_signed, bits, x, y, &over);
  if (!is_signed)
    return LLVMBuildOr(b, r, LLVMBuildNeg(b, over, ""), "");
  if (k->range.least > least)
    return r;
  over = LLVMBuildICmp(b, LLVMIntEQ, LLVMBuildAnd(b, x, y, ""),
                       emit_int(k, x, least), "");
  over = LLVMBuildAnd(b, over, LLVMBuildICmp(b, LLVMIntEQ, x, y, ""), "");
  return LLVMBuildSelect(b, over, emit_int(k, x, ~least), r, "");
}

/* Of magnitudes: |x| + 2^y / 2 does not overflow where it has no sign. */
LLVMValueRef emit_rshr(struct kernel_cg *k, enum ir_dtype type, LLVMValueRef x,
                       LLVMValueRef y) {
  assert(LLVMTypeOf(x) == LLVMTypeOf(y) && k->range.least <= k->range.most &&
         "same_shape(), emit_range_of()");
  LLVMBuilderRef b = k->b;
  bool is_signed = ir_dtypes[type].kind == IR_SIGNED;
  unsigned bits = ir_dtypes[type].bits;
  bool far = k->range.least < 0 || k->range.most >= bits;
  LLVMValueRef nil = emit_int(k, y, 0), one = emit_int(k, y, 1), is_far = NULL;
  LLVMValueRef sign = LLVMBuildAShr(b, x, emit_int(k, x, bits - 1), "");
  if (far) {
    is_far = LLVMBuildICmp(b, LLVMIntUGE, y, emit_int(k, y, bits), "");
    y = LLVMBuildSelect(b, is_far, nil, y, "");
  }
  if (is_signed)
    x = LLVMBuildSub(b, LLVMBuildXor(b, x, sign, ""), sign, "");
  LLVMValueRef half = LLVMBuildLShr(b, LLVMBuildShl(b, one, y, ""), one, "");
  LLVMValueRef r, up = LLVMBuildAnd(b, x, half, "");
  if (is_signed) {
    r = LLVMBuildLShr(b, LLVMBuildAdd(b, x, half, ""), y, "");
    r = LLVMBuildSub(b, LLVMBuildXor(b, r, sign, ""), sign, "");
  } else { /* the bit below the last, without a sum that is too long */
    up = LLVMBuildICmp(b, LLVMIntNE, up, nil, "");
    r = LLVMBuildLShr(b, x, y, "");
    r = LLVMBuildAdd(b, r, LLVMBuildZExt(b, up, LLVMTypeOf(x), ""), "");
  }
  return far ? LLVMBuildSelect(b, is_far, nil, r, "") : r;
}
