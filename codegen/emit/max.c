/* max.c - the greater and the smaller of two floats: NaN when either is
 * one (ir/scalars.def). What that takes is counted in instructions of a vector:
 *
 *   NEON       1  fmax
 *   a number with what may be NaN
 *              1  x86's maxps, which gives its second operand when it is unsure
 *   AVX-512    2  vcmpps, vmaxps under its mask
 *   AVX, SSE   3  maxps(a, b) | maxps(b, a): one of the two has the NaN, and
 *                 its bits go through the other's
 *   MVE, RVV   5  the same with a comparison and a selection each
 *   soft float    integers in the order of the floats
 */
#include "codegen/emit/impl.h"

#include <assert.h>
#include <math.h>

struct pair {
  struct kernel_cg *k;
  LLVMBuilderRef b;
  enum ir_dtype type;
  bool most; /* the greater one */
  LLVMValueRef x, y;
};

/* x when it is beyond y, else y: also when they are not ordered. */
static LLVMValueRef beyond(const struct pair *p, LLVMValueRef x,
                           LLVMValueRef y) {
  LLVMRealPredicate cmp = p->most ? LLVMRealOGT : LLVMRealOLT;
  x = emit_hide_splat(p->k, x);
  y = emit_hide_splat(p->k, y);
  return LLVMBuildSelect(p->b, LLVMBuildFCmp(p->b, cmp, x, y, ""), x, y, "");
}

/* With -ffinite-math-only: no operand is NaN. */
static LLVMValueRef unasked(const struct pair *p) {
  LLVMRealPredicate cmp = p->most ? LLVMRealOGT : LLVMRealOLT;
  LLVMFastMathFlags none = LLVMFastMathNoNaNs | LLVMFastMathNoSignedZeros;
  LLVMValueRef c = LLVMBuildFCmp(p->b, cmp, p->x, p->y, "");
  LLVMValueRef r = LLVMBuildSelect(p->b, c, p->x, p->y, "");
  if (LLVMIsAInstruction(c))
    LLVMSetFastMathFlags(c, none);
  if (LLVMIsAInstruction(r))
    LLVMSetFastMathFlags(r, none);
  return r;
}

/* The target's own instruction; which zero it gives does not matter. */
static LLVMValueRef instruction(const struct pair *p) {
  LLVMTypeRef t = LLVMTypeOf(p->x);
  LLVMValueRef arg[] = {p->x, p->y};
  LLVMValueRef r = emit_intrinsic(
      p->k, p->most ? "llvm.maximum" : "llvm.minimum", &t, 1, arg, 2);
  LLVMSetFastMathFlags(r, LLVMFastMathNoSignedZeros);
  return r;
}

/* A constant that is no NaN. */
static bool is_number(const struct pair *p, LLVMValueRef v, double *n) {
  return emit_constant(p->k, v, n) && !isnan(*n);
}

/* A number with what may be NaN; the infinity at the far end is never taken. */
static LLVMValueRef bound(const struct pair *p, double n, LLVMValueRef number,
                          LLVMValueRef v) {
  return isinf(n) && (n < 0) == p->most ? v : beyond(p, number, v);
}

static LLVMTypeRef int_shape(const struct pair *p) {
  unsigned bits = p->type == IR_F64 ? 64 : 32;
  LLVMTypeRef t = LLVMTypeOf(p->x), i = LLVMIntTypeInContext(p->k->e->lc, bits);
  return emit_is_vector(p->x) ? emit_vector_type(p->k, i, LLVMGetVectorSize(t))
                              : i;
}

static LLVMValueRef integer(const struct pair *p, uint64_t v) {
  unsigned bits = p->type == IR_F64 ? 64 : 32;
  LLVMTypeRef t = LLVMIntTypeInContext(p->k->e->lc, bits);
  return emit_like(p->k, p->x, LLVMConstInt(t, v, false));
}

/* An unsigned integer in the order of the numbers, with every NaN above them
 * (below, for the smaller of two): flips all bits of a negative number, the
 * sign of others, and turns the NaNs at one end over to the other. */
static LLVMValueRef key(const struct pair *p, LLVMValueRef v) {
  bool f64 = p->type == IR_F64;
  uint64_t sign = f64 ? UINT64_C(1) << 63 : UINT64_C(1) << 31;
  uint64_t nans = f64 ? (UINT64_C(1) << 52) - 1 : (1 << 23) - 1;
  LLVMValueRef i = LLVMBuildBitCast(p->b, v, int_shape(p), "");
  LLVMValueRef all = LLVMBuildAShr(p->b, i, integer(p, f64 ? 63 : 31), "");
  LLVMValueRef flip = LLVMBuildOr(p->b, all, integer(p, sign), "");
  i = LLVMBuildXor(p->b, i, flip, "");
  return p->most ? LLVMBuildSub(p->b, i, integer(p, nans), "")
                 : LLVMBuildAdd(p->b, i, integer(p, nans), "");
}

static LLVMValueRef soft(const struct pair *p) {
  LLVMIntPredicate cmp = p->most ? LLVMIntUGT : LLVMIntULT;
  LLVMValueRef c = LLVMBuildICmp(p->b, cmp, key(p, p->x), key(p, p->y), "");
  return LLVMBuildSelect(p->b, c, p->x, p->y, "");
}

/* A NaN in y is chosen last; one in x is what beyond() gives then. */
static LLVMValueRef chosen(const struct pair *p) {
  LLVMValueRef y_ok = LLVMBuildFCmp(p->b, LLVMRealOEQ, p->y, p->y, "");
  return LLVMBuildSelect(p->b, y_ok, beyond(p, p->y, p->x), p->y, "");
}

static LLVMValueRef either(const struct pair *p) {
  LLVMTypeRef t = int_shape(p);
  LLVMValueRef a = LLVMBuildBitCast(p->b, beyond(p, p->x, p->y), t, "");
  LLVMValueRef c = LLVMBuildBitCast(p->b, beyond(p, p->y, p->x), t, "");
  return LLVMBuildBitCast(p->b, LLVMBuildOr(p->b, a, c, ""), LLVMTypeOf(p->x),
                          "");
}

LLVMValueRef emit_extreme(struct kernel_cg *k, enum ir_dtype type, bool most,
                          LLVMValueRef x, LLVMValueRef y) {
  assert(ir_is_float(type) && LLVMTypeOf(x) == LLVMTypeOf(y) &&
         "floats of one type: same_shape()");
  struct pair p = {k, k->b, type, most, x, y};
  const struct emit *e = k->e;
  bool hard = type == IR_F64 ? !e->facts->soft_f64 : !e->facts->soft_f32;
  if (e->opts->no_nans && hard)
    return unasked(&p);
  if ((int)ir_dtypes[type].bytes <= e->facts->nan_max && hard)
    return instruction(&p);
  if (!hard)
    return soft(&p);
  double n;
  if (is_number(&p, x, &n))
    return bound(&p, n, x, y);
  if (is_number(&p, y, &n))
    return bound(&p, n, y, x);
  bool masks = e->facts->vector_bytes == 64;
  return emit_is_vector(x) && !masks ? either(&p) : chosen(&p);
}
