/* emit_scalar.c - every row of scalars.def as LLVM IR, for scalars and vectors
 * of each type that it allows. Integer division never traps: a zero divisor is
 * replaced, and so is -1, whose quotient would overflow. */
#include "codegen/emit_impl.h"

#include "codegen/math.h"
#include "codegen/target.h"

struct scalar { /* a call being emitted */
  struct kern *k;
  LLVMBuilderRef b;
  enum ir_dtype type; /* of the operands */
  enum ir_kind kind;
  LLVMValueRef x, y, z;
};

static LLVMValueRef number(const struct scalar *s, int64_t v) {
  LLVMTypeRef t = emit_reg_type(s->k->e, s->type);
  return emit_like(s->x, LLVMConstInt(t, (uint64_t)v, true));
}

static LLVMValueRef pick(const struct scalar *s, LLVMValueRef c, LLVMValueRef a,
                         LLVMValueRef b) {
  return LLVMBuildSelect(s->b, c, a, b, "");
}

static LLVMValueRef compare(const struct scalar *s, LLVMRealPredicate f,
                            LLVMIntPredicate i, LLVMIntPredicate u,
                            LLVMValueRef x, LLVMValueRef y) {
  if (s->kind == IR_FLOAT)
    return LLVMBuildFCmp(s->b, f, x, y, "");
  return LLVMBuildICmp(s->b, s->kind == IR_SIGNED ? i : u, x, y, "");
}

static LLVMValueRef less(const struct scalar *s, LLVMValueRef x,
                         LLVMValueRef y) {
  return compare(s, LLVMRealOLT, LLVMIntSLT, LLVMIntULT, x, y);
}

static LLVMValueRef is(const struct scalar *s, LLVMValueRef x, int64_t v) {
  return LLVMBuildICmp(s->b, LLVMIntEQ, x, number(s, v), "");
}

static struct cg_math_opts math_opts(const struct emit *e) { return e->math; }

/* ---- Integers ---- */

/* The divisor with 1 in place of 0 and -1: *plain tells where it was changed
 * for 0, *minus for -1 (NULL for unsigned). */
static LLVMValueRef safe_divisor(const struct scalar *s, LLVMValueRef *zero,
                                 LLVMValueRef *minus) {
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

/* ---- Floats ---- */

static LLVMValueRef float_abs(const struct scalar *s) {
  LLVMTypeRef t = LLVMTypeOf(s->x);
  LLVMValueRef x = s->x;
  return emit_intrinsic(s->k, "llvm.fabs", &t, 1, &x, 1);
}

static LLVMValueRef float_mod(const struct scalar *s) {
  struct cg_math_opts o = math_opts(s->k->e);
  LLVMValueRef nil = LLVMConstNull(LLVMTypeOf(s->x));
  LLVMValueRef r = cg_math_fmod(s->b, &o, s->x, s->y);
  LLVMValueRef differ =
      LLVMBuildXor(s->b, less(s, r, nil), less(s, s->y, nil), "");
  LLVMValueRef fix = LLVMBuildAnd(
      s->b, LLVMBuildFCmp(s->b, LLVMRealUNE, r, nil, ""), differ, "");
  return pick(s, fix, LLVMBuildFAdd(s->b, r, s->y, ""), r);
}

static LLVMValueRef arithmetic(const struct scalar *s, enum ir_scalar fn) {
  bool f = s->kind == IR_FLOAT;
  struct cg_math_opts o = math_opts(s->k->e);
  LLVMValueRef x = s->x, y = s->y;
  switch (fn) {
  case IR_S_ADD:
    return f ? LLVMBuildFAdd(s->b, x, y, "") : LLVMBuildAdd(s->b, x, y, "");
  case IR_S_SUB:
    return f ? LLVMBuildFSub(s->b, x, y, "") : LLVMBuildSub(s->b, x, y, "");
  case IR_S_MUL:
    return f ? LLVMBuildFMul(s->b, x, y, "") : LLVMBuildMul(s->b, x, y, "");
  case IR_S_DIV:
    return f ? LLVMBuildFDiv(s->b, x, y, "") : int_div(s);
  case IR_S_MOD:
    return f ? float_mod(s) : int_mod(s);
  case IR_S_FMOD:
    return f ? cg_math_fmod(s->b, &o, x, y) : int_rem(s);
  case IR_S_POW:
    return f ? cg_math_pow(s->b, &o, x, y) : int_pow(s);
  case IR_S_MIN:
    return pick(s, less(s, x, y), x, y);
  case IR_S_MAX:
    return pick(s, less(s, y, x), x, y);
  default:
    return f ? float_abs(s) : int_abs(s);
  }
}

static LLVMValueRef function(const struct scalar *s, enum ir_scalar fn) {
  struct cg_math_opts o = math_opts(s->k->e);
  switch (fn) {
  case IR_S_SQRT:
    return cg_math_sqrt(s->b, &o, s->x);
  case IR_S_FLOOR:
    return cg_math_floor(s->b, &o, s->x);
  case IR_S_CEIL:
    return cg_math_ceil(s->b, &o, s->x);
  case IR_S_TRUNC:
    return cg_math_trunc(s->b, &o, s->x);
  case IR_S_RINT:
    return cg_math_rint(s->b, &o, s->x);
#define ELEMENTARY(ID)                                                         \
  case IR_S_##ID:                                                              \
    return cg_math_emit(s->b, &o, CG_##ID, s->x);
    ELEMENTARY(EXP)
    ELEMENTARY(LOG)
    ELEMENTARY(TANH)
    ELEMENTARY(ERF)
    ELEMENTARY(SIN)
    ELEMENTARY(COS)
    ELEMENTARY(TAN)
    ELEMENTARY(ASIN)
    ELEMENTARY(ACOS)
    ELEMENTARY(ATAN)
    ELEMENTARY(SINH)
    ELEMENTARY(COSH)
    ELEMENTARY(ASINH)
    ELEMENTARY(ACOSH)
    ELEMENTARY(ATANH)
#undef ELEMENTARY
  default:
    return NULL;
  }
}

static LLVMValueRef call(const struct scalar *s, enum ir_scalar fn,
                         enum ir_dtype result) {
  LLVMValueRef x = s->x, y = s->y;
  switch (fn) {
  case IR_S_ADD:
  case IR_S_SUB:
  case IR_S_MUL:
  case IR_S_DIV:
  case IR_S_MOD:
  case IR_S_FMOD:
  case IR_S_POW:
  case IR_S_MIN:
  case IR_S_MAX:
  case IR_S_ABS:
    return arithmetic(s, fn);
  case IR_S_EQ:
    return compare(s, LLVMRealOEQ, LLVMIntEQ, LLVMIntEQ, x, y);
  case IR_S_LT:
    return less(s, x, y);
  case IR_S_LE:
    return compare(s, LLVMRealOLE, LLVMIntSLE, LLVMIntULE, x, y);
  case IR_S_AND:
    return LLVMBuildAnd(s->b, x, y, "");
  case IR_S_OR:
    return LLVMBuildOr(s->b, x, y, "");
  case IR_S_XOR:
    return LLVMBuildXor(s->b, x, y, "");
  case IR_S_NOT:
    return LLVMBuildNot(s->b, x, "");
  case IR_S_SHL:
  case IR_S_SHR:
    return shift(s, fn == IR_S_SHL);
  case IR_S_SELECT:
    return pick(s, x, y, s->z);
  case IR_S_ISNAN:
    return LLVMBuildFCmp(s->b, LLVMRealUNO, x, x, "");
  case IR_S_CAST:
    return emit_cast(s->k, x, s->type, result);
  case IR_S_SQRT:
  case IR_S_EXP:
  case IR_S_LOG:
  case IR_S_TANH:
  case IR_S_ERF:
  case IR_S_SIN:
  case IR_S_COS:
  case IR_S_TAN:
  case IR_S_ASIN:
  case IR_S_ACOS:
  case IR_S_ATAN:
  case IR_S_SINH:
  case IR_S_COSH:
  case IR_S_ASINH:
  case IR_S_ACOSH:
  case IR_S_ATANH:
  case IR_S_FLOOR:
  case IR_S_CEIL:
  case IR_S_TRUNC:
  case IR_S_RINT:
    return function(s, fn);
  case IR_NUM_SCALARS:
    break;
  }
  return NULL;
}

LLVMValueRef emit_scalar(struct kern *k, enum ir_scalar fn, enum ir_dtype type,
                         enum ir_dtype result, LLVMValueRef *arg) {
  struct scalar s = {.k = k, .b = k->b, .type = type};
  s.kind = ir_dtypes[type].kind;
  s.x = arg[0];
  s.y = arg[1];
  s.z = arg[2];
  return emit_round(k, result, call(&s, fn, result));
}
