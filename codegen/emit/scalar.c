/* scalar.c - every row of scalars.def as LLVM IR, for scalars and vectors
 * of each type that it allows. A row that lacks a definition for one of them
 * does not compile. Integer division never traps: a zero divisor is replaced,
 * and so is -1, whose quotient would overflow. */
#include "codegen/emit/impl.h"

#include "codegen/math/elementary.h"
#include "codegen/target/target.h"

#include <assert.h>
#include <math.h>

struct scalar { /* a call being emitted */
  struct kernel_cg *k;
  LLVMBuilderRef b;
  enum ir_dtype type; /* of the operands */
  enum ir_kind kind;
  enum ir_dtype result;
  LLVMValueRef x, y, z;
};
typedef LLVMValueRef scalar_fn(const struct scalar *s);

static LLVMValueRef number(const struct scalar *s, int64_t v) {
  return emit_int(s->k, s->x, v);
}

static LLVMValueRef pick(const struct scalar *s, LLVMValueRef c, LLVMValueRef a,
                         LLVMValueRef b) {
  assert(LLVMTypeOf(a) == LLVMTypeOf(b) && "a choice of one type");
  return LLVMBuildSelect(s->b, c, a, b, "");
}

static LLVMValueRef compare(const struct scalar *s, LLVMRealPredicate f,
                            LLVMIntPredicate i, LLVMIntPredicate u,
                            LLVMValueRef x, LLVMValueRef y) {
  if (s->kind == IR_FLOAT) { /* x against itself becomes one against 0 */
    y = x == y ? cg_math_hide(s->b, s->k->e->facts, y)
               : emit_hide_splat(s->k, y);
    return LLVMBuildFCmp(s->b, f, x, y, "");
  }
  return LLVMBuildICmp(s->b, s->kind == IR_SIGNED ? i : u, x, y, "");
}

static LLVMValueRef less(const struct scalar *s, LLVMValueRef x,
                         LLVMValueRef y) {
  return compare(s, LLVMRealOLT, LLVMIntSLT, LLVMIntULT, x, y);
}

static LLVMValueRef is(const struct scalar *s, LLVMValueRef x, int64_t v) {
  return LLVMBuildICmp(s->b, LLVMIntEQ, x, number(s, v), "");
}

/* ---- Integers ---- */

/* The divisor with 1 in place of 0 and -1. *zero: where it was 0; *minus: where
 * it was -1 (NULL for unsigned). */
static LLVMValueRef safe_divisor(const struct scalar *s, LLVMValueRef *zero,
                                 LLVMValueRef *minus) {
  assert(s->kind != IR_FLOAT && "i_DIV, i_MOD, i_FMOD");
  *zero = is(s, s->y, 0);
  *minus = NULL;
  LLVMValueRef bad = *zero;
  if (s->kind == IR_SIGNED) {
    *minus = is(s, s->y, -1);
    bad = LLVMBuildOr(s->b, bad, *minus, "");
  }
  return pick(s, bad, number(s, 1), s->y);
}

static LLVMValueRef int_div(const struct scalar *s) {
  LLVMValueRef zero, minus, y = safe_divisor(s, &zero, &minus), q;
  if (s->kind == IR_SIGNED) {
    q = LLVMBuildSDiv(s->b, s->x, y, "");
    q = pick(s, minus, LLVMBuildNeg(s->b, s->x, ""), q);
  } else {
    q = LLVMBuildUDiv(s->b, s->x, y, "");
  }
  return pick(s, zero, number(s, 0), q);
}

/* The sign of x; x rem 0 = 0, and x rem -1 is 0 as x rem 1 is. */
static LLVMValueRef int_rem(const struct scalar *s) {
  LLVMValueRef zero, minus, y = safe_divisor(s, &zero, &minus);
  return s->kind == IR_SIGNED ? LLVMBuildSRem(s->b, s->x, y, "")
                              : LLVMBuildURem(s->b, s->x, y, "");
}

static LLVMValueRef int_mod(const struct scalar *s) {
  LLVMValueRef r = int_rem(s);
  if (s->kind != IR_SIGNED)
    return r;
  LLVMValueRef nil = number(s, 0);
  LLVMValueRef differ =
      LLVMBuildXor(s->b, less(s, r, nil), less(s, s->y, nil), "");
  LLVMValueRef fix = LLVMBuildAnd(
      s->b, LLVMBuildICmp(s->b, LLVMIntNE, r, nil, ""), differ, "");
  return LLVMBuildAdd(s->b, r, pick(s, fix, s->y, nil), "");
}

/* By squaring, all bits of the exponent: no loop, wraps. */
static LLVMValueRef int_pow(const struct scalar *s) {
  unsigned bits = ir_dtypes[s->type].bits;
  LLVMValueRef r = number(s, 1), base = s->x;
  for (unsigned i = 0; i < bits; i++) {
    LLVMValueRef bit =
        LLVMBuildAnd(s->b, s->y, number(s, (int64_t)(UINT64_C(1) << i)), "");
    LLVMValueRef more = LLVMBuildMul(s->b, r, base, "");
    r = pick(s, is(s, bit, 0), r, more);
    if (i + 1 < bits)
      base = LLVMBuildMul(s->b, base, base, "");
  }
  if (s->kind != IR_SIGNED)
    return r;
  LLVMValueRef whole = pick(s, is(s, s->x, 1), number(s, 1), number(s, 0));
  return pick(s, less(s, s->y, number(s, 0)), whole, r);
}

static LLVMValueRef shift(const struct scalar *s, bool left) {
  unsigned bits = ir_dtypes[s->type].bits;
  bool fits = s->k->range.least >= 0 && s->k->range.most < bits;
  if (fits && left)
    return LLVMBuildShl(s->b, s->x, s->y, "");
  if (fits)
    return s->kind == IR_SIGNED ? LLVMBuildAShr(s->b, s->x, s->y, "")
                                : LLVMBuildLShr(s->b, s->x, s->y, "");
  LLVMValueRef ok = LLVMBuildICmp(s->b, LLVMIntULT, s->y, number(s, bits), "");
  LLVMValueRef by = pick(s, ok, s->y, number(s, bits - 1));
  if (!left && s->kind == IR_SIGNED)
    return LLVMBuildAShr(s->b, s->x, by, "");
  LLVMValueRef r = left ? LLVMBuildShl(s->b, s->x, by, "")
                        : LLVMBuildLShr(s->b, s->x, by, "");
  return pick(s, ok, r, number(s, 0));
}

static LLVMValueRef int_abs(const struct scalar *s) {
  if (s->kind != IR_SIGNED)
    return s->x;
  return pick(s, less(s, s->x, number(s, 0)), LLVMBuildNeg(s->b, s->x, ""),
              s->x);
}

static LLVMValueRef half_of(const struct scalar *s, LLVMValueRef v, bool upper,
                            bool is_signed) {
  LLVMValueRef by = number(s, 16);
  v = upper ? v : LLVMBuildShl(s->b, v, by, "");
  return is_signed ? LLVMBuildAShr(s->b, v, by, "")
                   : LLVMBuildLShr(s->b, v, by, "");
}

/* Of 32 bits, by products of halves, each within 32 bits: two rows of a
 * multiplication by hand, and their carries. */
static LLVMValueRef requant_by_halves(const struct scalar *s) {
  assert(ir_dtypes[s->type].bits == 32 && "int_requant()");
  LLVMBuilderRef b = s->b;
  LLVMValueRef xh = half_of(s, s->x, true, true);
  LLVMValueRef xl = half_of(s, s->x, false, false);
  LLVMValueRef yh = half_of(s, s->y, true, true);
  LLVMValueRef yl = half_of(s, s->y, false, false);
  LLVMValueRef low = half_of(s, LLVMBuildMul(b, xl, yl, ""), true, false);
  LLVMValueRef first = LLVMBuildAdd(b, LLVMBuildMul(b, xh, yl, ""), low, "");
  LLVMValueRef second = LLVMBuildAdd(b, LLVMBuildMul(b, xl, yh, ""),
                                     half_of(s, first, false, false), "");
  LLVMValueRef rest = LLVMBuildAdd(b, half_of(s, second, false, false),
                                   half_of(s, s->z, false, false), "");
  LLVMValueRef r = LLVMBuildMul(b, xh, yh, "");
  r = LLVMBuildAdd(b, r, half_of(s, first, true, true), "");
  r = LLVMBuildAdd(b, r, half_of(s, second, true, true), "");
  r = LLVMBuildAdd(b, r, half_of(s, s->z, true, true), "");
  return LLVMBuildAdd(b, r, half_of(s, rest, true, false), "");
}

static LLVMValueRef int_requant(const struct scalar *s) {
  enum ir_dtype wide = s->kind == IR_SIGNED ? IR_I64 : IR_U64;
  LLVMBuilderRef b = s->b;
  if (s->type == IR_I32 && !s->k->e->facts->has_mulh)
    return requant_by_halves(s);
  LLVMValueRef x = emit_cast(s->k, s->x, s->type, wide);
  LLVMValueRef z = emit_cast(s->k, s->z, s->type, wide);
  LLVMValueRef n16 = emit_like(s->k, x, LLVMConstInt(s->k->e->i64, 16, false));
  LLVMValueRef n32 = emit_like(s->k, x, LLVMConstInt(s->k->e->i64, 32, false));
  x = LLVMBuildMul(b, x, emit_cast(s->k, s->y, s->type, wide), "");
  x = LLVMBuildAdd(b, x, LLVMBuildShl(b, z, n16, ""), "");
  x = wide == IR_I64 ? LLVMBuildAShr(b, x, n32, "")
                     : LLVMBuildLShr(b, x, n32, "");
  return emit_cast(s->k, x, wide, s->type);
}

/* ---- Floats ---- */

static LLVMValueRef float_abs(const struct scalar *s) {
  LLVMTypeRef t = LLVMTypeOf(s->x);
  LLVMValueRef x = s->x;
  return emit_intrinsic(s->k, "llvm.fabs", &t, 1, &x, 1);
}

static LLVMValueRef float_mod(const struct scalar *s) {
  LLVMValueRef nil = LLVMConstNull(LLVMTypeOf(s->x));
  LLVMValueRef r = cg_math_fmod(s->b, s->k->e->facts, s->x, s->y);
  LLVMValueRef differ =
      LLVMBuildXor(s->b, less(s, r, nil), less(s, s->y, nil), "");
  LLVMValueRef fix = LLVMBuildAnd(
      s->b, LLVMBuildFCmp(s->b, LLVMRealUNE, r, nil, ""), differ, "");
  return pick(s, fix, LLVMBuildFAdd(s->b, r, s->y, ""), r);
}

LLVMValueRef emit_hide_splat(struct kernel_cg *k, LLVMValueRef v) {
  bool splat = LLVMIsConstant(v) || LLVMIsAShuffleVectorInst(v);
  return splat ? cg_math_hide(k->b, k->e->facts, v) : v;
}

bool emit_constant(struct kernel_cg *k, LLVMValueRef v, double *out) {
  LLVMBool loses;
  if (emit_is_vector(v)) {
    if (!LLVMIsConstant(v))
      return false;
    LLVMTypeRef type = LLVMTypeOf(v);
    LLVMValueRef first = emit_lane(k, v, 0);                  /* it is folded */
    bool fixed = LLVMGetTypeKind(type) == LLVMVectorTypeKind; /* else a splat */
    for (unsigned i = 1; fixed && i < LLVMGetVectorSize(type); i++)
      if (LLVMGetAggregateElement(v, i) != first)
        return false;
    v = first;
  }
  if (!v || !LLVMIsAConstantFP(v))
    return false;
  *out = LLVMConstRealGetDouble(v, &loses);
  return true;
}

/* Quarters of powers by square roots, as in local response normalisation; an
 * infinity with a sign has none. */
static LLVMValueRef float_pow(const struct scalar *s) {
  const struct ir_facts *o = s->k->e->facts;
  double y;
  if (!o->has_fsqrt || (s->type == IR_F64 && !o->has_f64) ||
      !emit_constant(s->k, s->y, &y) || (y != 0.25 && y != 0.5 && y != 0.75))
    return cg_math_pow(s->b, o, s->x, s->y);
  LLVMValueRef inf = emit_like(
      s->k, s->x, emit_number(s->k, s->type, (double)__builtin_inff()));
  LLVMValueRef none =
      LLVMBuildFCmp(s->b, LLVMRealOEQ, s->x, LLVMBuildFNeg(s->b, inf, ""), "");
  LLVMValueRef x = pick(s, none, inf, s->x);
  x = LLVMBuildFAdd(s->b, x, LLVMConstNull(LLVMTypeOf(x)), ""); /* no -0 */
  LLVMValueRef half = cg_math_emit(s->b, o, CG_SQRT, x);
  if (y == 0.5)
    return half;
  LLVMValueRef quarter = cg_math_emit(s->b, o, CG_SQRT, half);
  return y == 0.25 ? quarter : LLVMBuildFMul(s->b, half, quarter, "");
}

/* The nearest integer to a small number, ties to even, is in the last bits of
 * its sum with a number whose unit in the last place is 1. */
static LLVMValueRef nearest(const struct scalar *s, LLVMValueRef x) {
  bool wide = s->type == IR_F64;
  enum ir_dtype as = wide ? IR_I64 : IR_I32, own = wide ? IR_F64 : IR_F32;
  LLVMValueRef unit =
      emit_like(s->k, x, emit_number(s->k, own, wide ? 0x1.8p52 : 0x1.8p23));
  LLVMValueRef sum = LLVMBuildFAdd(s->b, x, unit, "");
  return LLVMBuildSub(s->b, emit_bits(s->k, sum, own, as),
                      emit_bits(s->k, unit, own, as), "");
}

static LLVMValueRef word(const struct scalar *s, int64_t n) {
  return emit_like(s->k, s->x, LLVMConstInt(s->k->e->i32, (uint64_t)n, true));
}

/* The nearest integer to an f32, ties to even, from its bits: 2^22 for what is
 * as large, and -2^22 for NaN. For processors where comparisons and sums of
 * floats are calls. */
static LLVMValueRef nearest_of_bits(const struct scalar *s, LLVMValueRef x) {
  assert(s->type != IR_F64 && "narrow()");
  LLVMBuilderRef b = s->b;
  LLVMValueRef bits = emit_bits(s->k, x, IR_F32, IR_I32);
  LLVMValueRef mag = LLVMBuildAnd(b, bits, word(s, INT32_MAX), "");
  LLVMValueRef exp = LLVMBuildLShr(b, mag, word(s, 23), "");
  LLVMValueRef m = LLVMBuildAnd(b, bits, word(s, (1 << 23) - 1), "");
  m = LLVMBuildOr(b, m, word(s, 1 << 23), "");
  LLVMValueRef by = LLVMBuildSub(b, word(s, 150), exp, ""), zero = word(s, 0);
  LLVMValueRef large = LLVMBuildICmp(b, LLVMIntSLT, by, word(s, 2), "");
  LLVMValueRef tiny = LLVMBuildICmp(b, LLVMIntSGT, by, word(s, 31), "");
  by = pick(s, large, word(s, 2), pick(s, tiny, word(s, 31), by));
  LLVMValueRef r = LLVMBuildLShr(b, m, by, "");
  LLVMValueRef rest =
      LLVMBuildShl(b, m, LLVMBuildSub(b, word(s, 32), by, ""), "");
  LLVMValueRef odd = LLVMBuildAnd(b, r, word(s, 1), "");
  rest = LLVMBuildAdd(b, rest, odd, "");
  LLVMValueRef up = LLVMBuildICmp(b, LLVMIntUGT, rest, word(s, INT32_MIN), "");
  r = LLVMBuildAdd(b, r, pick(s, up, word(s, 1), zero), "");
  r = pick(s, large, word(s, 1 << 22), r);
  LLVMValueRef minus = LLVMBuildICmp(b, LLVMIntSLT, bits, zero, "");
  LLVMValueRef nan = LLVMBuildICmp(b, LLVMIntSGT, mag, word(s, 0x7f800000), "");
  minus = LLVMBuildOr(b, minus, nan, "");
  return pick(s, minus, LLVMBuildNeg(b, r, ""), r);
}

static LLVMValueRef within(const struct scalar *s, LLVMValueRef x,
                           LLVMValueRef lo, LLVMValueRef hi) {
  assert(LLVMTypeOf(x) == LLVMTypeOf(lo) && LLVMTypeOf(x) == LLVMTypeOf(hi) &&
         "integers of one type");
  x = pick(s, LLVMBuildICmp(s->b, LLVMIntSGT, x, lo, ""), x, lo);
  return pick(s, LLVMBuildICmp(s->b, LLVMIntSLT, x, hi, ""), x, hi);
}

/* From integers: ARM's conversion by the rounding mode saturates to 32 bits. */
static LLVMValueRef narrow_int(const struct scalar *s, double least,
                               double most) {
  LLVMValueRef z = nearest_of_bits(s, s->y), x = s->x;
  LLVMTypeRef t = LLVMTypeOf(x);
  if (s->k->e->facts->soft_f32) {
    x = nearest_of_bits(s, x);
  } else {
    x = emit_intrinsic(s->k, "llvm.arm.vcvtr", &t, 1, &x, 1);
    x = within(s, LLVMBuildBitCast(s->b, x, s->k->e->i32, ""),
               word(s, -(1 << 23)), word(s, (1 << 23) - 1));
  }
  x = within(s, LLVMBuildAdd(s->b, x, z, ""), word(s, (int64_t)least),
             word(s, (int64_t)most));
  return emit_cast(s->k, x, IR_I32, s->result);
}

/* MVE's conversion of a vector to the nearest integers, which saturates. */
static LLVMValueRef narrow_vector(const struct scalar *s, double least,
                                  double most) {
  LLVMBuilderRef b = s->b;
  LLVMValueRef z = nearest_of_bits(s, s->y);
  LLVMTypeRef types[] = {LLVMTypeOf(z), LLVMTypeOf(s->x)};
  LLVMValueRef arg[] = {LLVMConstNull(s->k->e->i32), s->x};
  LLVMValueRef x = emit_intrinsic(s->k, "llvm.arm.mve.vcvtn", types, 2, arg, 2);
  x = within(s, x, LLVMBuildSub(b, word(s, (int64_t)least), z, ""),
             LLVMBuildSub(b, word(s, (int64_t)most), z, ""));
  return emit_cast(s->k, LLVMBuildAdd(b, x, z, ""), IR_I32, s->result);
}

/* x, where the sum of it and the integer y is in the range: one instruction for
 * each bound where a comparison with NaN selects the bound. */
static LLVMValueRef saturated(const struct scalar *s, double least,
                              double most) {
  LLVMValueRef x = s->x;
  for (int i = 0; i < 2; i++) {
    LLVMValueRef bound = emit_number(s->k, s->type == IR_F64 ? IR_F64 : IR_F32,
                                     i ? most : least);
    bound = LLVMBuildFSub(s->b, emit_like(s->k, x, bound), s->y, "");
    bound = emit_hide_splat(s->k, bound);
    LLVMRealPredicate beyond = i ? LLVMRealOLT : LLVMRealOGT;
    x = pick(s, LLVMBuildFCmp(s->b, beyond, x, bound, ""), x, bound);
  }
  return x;
}

static LLVMValueRef narrow(const struct scalar *s) {
  assert(ir_dtypes[s->result].bits <= 16 &&
         "infer_narrow(): integers of up to 16 bits");
  double least, most;
  ir_dtype_range(s->result, &least, &most);
  LLVMValueRef x = s->x;
  bool core = s->k->e->facts->has_vcvtr && !emit_is_vector(x);
  if ((s->k->e->facts->soft_f32 || core) && s->type != IR_F64)
    return narrow_int(s, least, most);
  if (s->k->e->facts->has_vcvtn && s->type != IR_F64 && emit_is_vector(x) &&
      LLVMGetVectorSize(LLVMTypeOf(x)) == 4)
    return narrow_vector(s, least, most);
  x = saturated(s, least, most);
  x = LLVMBuildAdd(s->b, nearest(s, x), nearest(s, s->y), "");
  return emit_cast(s->k, x, s->type == IR_F64 ? IR_I64 : IR_I32, s->result);
}

LLVMValueRef emit_narrowed(struct kernel_cg *k, enum ir_dtype type,
                           LLVMValueRef x, LLVMValueRef z) {
  struct scalar s = {k, k->b, IR_F32, IR_FLOAT, type, x, z, NULL};
  double least, most;
  ir_dtype_range(type, &least, &most);
  LLVMValueRef unit = emit_like(k, x, emit_number(k, IR_F32, 0x1.8p23));
  LLVMValueRef sum = LLVMBuildFAdd(k->b, saturated(&s, least, most), unit, "");
  return LLVMBuildFSub(k->b, sum, LLVMBuildFSub(k->b, unit, z, ""), "");
}

/* ---- The rows: f_ for floats, i_ for integers and bool ---- */

#define FLOAT(ID, expr)                                                        \
  static inline LLVMValueRef f_##ID(const struct scalar *s) { return expr; }
#define INT(ID, expr)                                                          \
  static LLVMValueRef i_##ID(const struct scalar *s) { return expr; }
#define BOTH(ID, expr) FLOAT(ID, expr) INT(ID, expr)
#define BUILD(OP) LLVMBuild##OP(s->b, s->x, s->y, "")

FLOAT(ADD, BUILD(FAdd))
INT(ADD, BUILD(Add))
FLOAT(SUB, BUILD(FSub))
INT(SUB, BUILD(Sub))
FLOAT(MUL, BUILD(FMul))
INT(MUL, BUILD(Mul))
FLOAT(DIV, BUILD(FDiv))
INT(DIV, int_div(s))
FLOAT(MOD, float_mod(s))
INT(MOD, int_mod(s))
FLOAT(FMOD, cg_math_fmod(s->b, s->k->e->facts, s->x, s->y))
INT(FMOD, int_rem(s))
FLOAT(POW, float_pow(s))
INT(POW, int_pow(s))
FLOAT(FMA, emit_fma(s->k, s->type, s->x, s->y, s->z))
FLOAT(MIN, emit_extreme(s->k, s->type, false, s->x, s->y))
INT(MIN, pick(s, less(s, s->x, s->y), s->x, s->y))
FLOAT(MAX, emit_extreme(s->k, s->type, true, s->x, s->y))
INT(MAX, pick(s, less(s, s->y, s->x), s->x, s->y))
FLOAT(ABS, float_abs(s))
INT(ABS, int_abs(s))
#define MATH(ID, name, ulp32, ulp64, note)                                     \
  FLOAT(ID, cg_math_emit(s->b, s->k->e->facts, CG_##ID, s->x))
#include "codegen/math/elementary.def"
#undef MATH
BOTH(EQ, compare(s, LLVMRealOEQ, LLVMIntEQ, LLVMIntEQ, s->x, s->y))
BOTH(LT, less(s, s->x, s->y))
BOTH(LE, compare(s, LLVMRealOLE, LLVMIntSLE, LLVMIntULE, s->x, s->y))
INT(AND, BUILD(And))
INT(OR, BUILD(Or))
INT(XOR, BUILD(Xor))
INT(NOT, LLVMBuildNot(s->b, s->x, ""))
INT(SHL, shift(s, true))
INT(SHR, shift(s, false))
INT(REQUANT, int_requant(s))
INT(HMUL, emit_hmul(s->k, s->type, s->x, s->y))
INT(RSHR, emit_rshr(s->k, s->type, s->x, s->y))
BOTH(SELECT, pick(s, s->x, s->y, s->z))
FLOAT(ISNAN, cg_math_isnan(s->b, s->k->e->facts, s->x))
BOTH(CAST, emit_cast(s->k, s->x, s->type, s->result))
FLOAT(NARROW, narrow(s))
BOTH(BITS, emit_bits(s->k, s->x, s->type, s->result))

#define ROW_F(ID)                                                              \
  { f_##ID, NULL }
#define ROW_I(ID)                                                              \
  { NULL, i_##ID }
#define ROW_IB(ID)                                                             \
  { NULL, i_##ID }
#define ROW_FI(ID)                                                             \
  { f_##ID, i_##ID }
#define ROW_FIB(ID)                                                            \
  { f_##ID, i_##ID }
static scalar_fn *const rows[IR_NUM_SCALARS][2] = {
#define SCALAR(ID, text, arity, result, types, meaning)                        \
  [IR_S_##ID] = ROW_##types(ID),
#include "ir/scalars.def"
#undef SCALAR
};

LLVMValueRef emit_scalar(struct kernel_cg *k, enum ir_scalar fn,
                         enum ir_dtype type, enum ir_dtype result,
                         LLVMValueRef *arg) {
  struct scalar s = {.k = k, .b = k->b, .type = type, .result = result};
  s.kind = ir_dtypes[type].kind;
  s.x = arg[0];
  s.y = arg[1];
  s.z = arg[2];
  assert(rows[fn][s.kind != IR_FLOAT] &&
         "scalars.def: the function has the type");
  return emit_round(k, result, rows[fn][s.kind != IR_FLOAT](&s));
}
