/* type.c - element types in registers and in memory, and conversions.
 * Floats of up to 16 bits are computed in f32 and rounded after every function;
 * what is shorter than a byte, bool too, has a byte in memory. Conversions of
 * small floats are bit operations where the target has no instruction, so that
 * no library function is called. */
#include "codegen/emit/impl.h"

#include <assert.h>
#include <math.h>
#include <string.h>

LLVMTypeRef emit_vector_type(const struct kernel_cg *k, LLVMTypeRef elem,
                             unsigned lanes) {
  assert(lanes && LLVMGetTypeKind(elem) != LLVMVectorTypeKind &&
         "lanes are elements, not vectors");
  if (lanes <= 1)
    return elem;
  return k->forms.scalable ? LLVMScalableVectorType(elem, lanes)
                           : LLVMVectorType(elem, lanes);
}

bool emit_is_vector(LLVMValueRef v) {
  LLVMTypeKind kind = LLVMGetTypeKind(LLVMTypeOf(v));
  return kind == LLVMVectorTypeKind || kind == LLVMScalableVectorTypeKind;
}

static unsigned lanes_of(LLVMValueRef v) {
  return emit_is_vector(v) ? LLVMGetVectorSize(LLVMTypeOf(v)) : 1;
}

LLVMTypeRef emit_reg_type(struct emit *e, enum ir_dtype t) {
  if (ir_is_float(t))
    return t == IR_F64 ? e->f64 : e->f32;
  return LLVMIntTypeInContext(e->lc, t == IR_BOOL ? 1 : ir_dtypes[t].bits);
}

LLVMTypeRef emit_mem_type(struct emit *e, enum ir_dtype t) {
  if (t == IR_F32 || t == IR_F64)
    return emit_reg_type(e, t);
  return LLVMIntTypeInContext(e->lc, 8 * ir_dtypes[t].bytes);
}

LLVMValueRef emit_like(struct kernel_cg *k, LLVMValueRef pattern,
                       LLVMValueRef scalar) {
  return emit_splat(k, scalar, lanes_of(pattern));
}

LLVMValueRef emit_int(struct kernel_cg *k, LLVMValueRef pattern, int64_t n) {
  LLVMTypeRef t = LLVMTypeOf(pattern);
  if (emit_is_vector(pattern))
    t = LLVMGetElementType(t);
  assert(LLVMGetTypeKind(t) == LLVMIntegerTypeKind && "lanes of integers");
  return emit_like(k, pattern, LLVMConstInt(t, (uint64_t)n, n < 0));
}

static LLVMValueRef number_of_lane(struct kernel_cg *k, unsigned i) {
  return LLVMConstInt(k->e->i32, i, false);
}

LLVMValueRef emit_lane(struct kernel_cg *k, LLVMValueRef v, unsigned i) {
  assert(i < lanes_of(v) && "the vector has the lane");
  return LLVMBuildExtractElement(k->b, v, number_of_lane(k, i), "");
}

LLVMValueRef emit_with_lane(struct kernel_cg *k, LLVMValueRef v, unsigned i,
                            LLVMValueRef x) {
  assert(i < lanes_of(v) && "the vector has the lane");
  return LLVMBuildInsertElement(k->b, v, x, number_of_lane(k, i), "");
}

LLVMValueRef emit_shuffle(struct kernel_cg *k, LLVMValueRef a, LLVMValueRef b,
                          const unsigned *lane, unsigned n) {
  LLVMValueRef *order = DN_ARRAY(k->arena, LLVMValueRef, n);
  for (unsigned i = 0; i < n; i++) {
    assert(lane[i] < (b ? 2 : 1) * lanes_of(a) && "lanes of the operands");
    order[i] = number_of_lane(k, lane[i]);
  }
  b = b ? b : LLVMGetPoison(LLVMTypeOf(a));
  return LLVMBuildShuffleVector(k->b, a, b, LLVMConstVector(order, n), "");
}

LLVMValueRef emit_intrinsic(struct kernel_cg *k, const char *name,
                            LLVMTypeRef *types, unsigned ntypes,
                            LLVMValueRef *args, unsigned n) {
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  assert(id && "this LLVM has the intrinsic");
  LLVMValueRef fn = LLVMGetIntrinsicDeclaration(k->e->mod, id, types, ntypes);
  LLVMTypeRef type = LLVMIntrinsicGetType(k->e->lc, id, types, ntypes);
  return LLVMBuildCall2(k->b, type, fn, args, n, "");
}

LLVMValueRef emit_number(struct kernel_cg *k, enum ir_dtype type, double v) {
  struct emit *e = k->e;
  const struct ir_dtype_row *row = &ir_dtypes[type];
  LLVMTypeRef t = emit_reg_type(e, type);
  switch (row->kind) {
  case IR_FLOAT: {
    uint64_t bits = 0;
    ir_store_float(type, &bits, ir_written_float(type, v));
    return LLVMConstReal(t, ir_load_float(type, &bits));
  }
  case IR_LOGIC:
    return LLVMConstInt(t, v != 0, false);
  case IR_UNSIGNED:
    if (isnan(v) || v <= 0)
      return LLVMConstNull(t);
    if (v >= ldexp(1, (int)row->bits))
      return LLVMConstAllOnes(t);
    return LLVMConstInt(t, (uint64_t)v, false);
  case IR_SIGNED:
    if (isnan(v))
      return LLVMConstNull(t);
    if (v >= ldexp(1, (int)row->bits - 1))
      return LLVMConstInt(t, UINT64_MAX >> (65 - row->bits), false);
    if (v < -ldexp(1, (int)row->bits - 1))
      v = -ldexp(1, (int)row->bits - 1);
    return LLVMConstInt(t, (uint64_t)(int64_t)v, true);
  }
  return NULL;
}

/* ---- Small floats ---- */

static LLVMTypeRef int_type(struct kernel_cg *k, LLVMValueRef v,
                            unsigned bits) {
  return emit_vector_type(k, LLVMIntTypeInContext(k->e->lc, bits), lanes_of(v));
}

static LLVMTypeRef f32_type(struct kernel_cg *k, LLVMValueRef v) {
  return emit_vector_type(k, k->e->f32, lanes_of(v));
}

static LLVMValueRef is_int(struct kernel_cg *k, LLVMIntPredicate p,
                           LLVMValueRef x, int64_t n) {
  return LLVMBuildICmp(k->b, p, x, emit_int(k, x, n), "");
}

/* Bits, in lanes of i32, to f32. The exponent is moved by an integer addition;
 * denormals are made normal by one subtraction, exact and of normal numbers. */
static LLVMValueRef format_to_f32(struct kernel_cg *k,
                                  const struct ir_float_format *f,
                                  LLVMValueRef x) {
  assert(f->fraction < 23 && f->exponent + f->fraction < 16 &&
         "formats of up to 16 bits: ir_float_format()");
  LLVMBuilderRef b = k->b;
  LLVMTypeRef ft = f32_type(k, x);
  unsigned up_by = 23 - f->fraction, top = f->exponent + f->fraction;
  uint32_t mask = (1u << top) - 1, one = (128 - f->bias) << 23;
  LLVMValueRef em = LLVMBuildAnd(b, x, emit_int(k, x, mask), "");
  LLVMValueRef sign = LLVMBuildAnd(b, x, emit_int(k, x, 1u << top), "");
  sign = LLVMBuildShl(b, sign, emit_int(k, x, 31 - top), "");
  LLVMValueRef up = LLVMBuildShl(b, em, emit_int(k, x, up_by), "");
  LLVMValueRef r = LLVMBuildAdd(b, up, emit_int(k, x, one - (1u << 23)), "");
  if (f->over == f->largest + 1 && f->over != f->nan) {
    LLVMValueRef special = /* an infinity, and NaN by its fraction */
        LLVMBuildOr(b, up, emit_int(k, x, 255u << 23), "");
    r = LLVMBuildSelect(b, is_int(k, LLVMIntUGT, em, f->largest), special, r,
                        "");
  }
  LLVMValueRef tiny = LLVMBuildAdd(b, up, emit_int(k, x, one), "");
  tiny = LLVMBuildFSub(b, LLVMBuildBitCast(b, tiny, ft, ""),
                       LLVMBuildBitCast(b, emit_int(k, x, one), ft, ""), "");
  tiny = LLVMBuildBitCast(b, tiny, LLVMTypeOf(x), "");
  r = LLVMBuildSelect(b, is_int(k, LLVMIntULT, em, 1u << f->fraction), tiny, r,
                      "");
  if (f->over == f->nan) {
    LLVMValueRef nan = is_int(k, LLVMIntEQ, f->nan > mask ? x : em, f->nan);
    r = LLVMBuildSelect(b, nan, emit_int(k, x, 0x7fc00000), r, "");
  }
  return LLVMBuildBitCast(b, LLVMBuildOr(b, r, sign, ""), ft, "");
}

/* f32 to bits in lanes of i32, to nearest even. */
static LLVMValueRef f32_to_format(struct kernel_cg *k,
                                  const struct ir_float_format *f,
                                  LLVMValueRef v) {
  assert(f->fraction < 23 && f->exponent + f->fraction < 16 &&
         "formats of up to 16 bits: ir_float_format()");
  LLVMBuilderRef b = k->b;
  LLVMTypeRef it = int_type(k, v, 32);
  unsigned down = 23 - f->fraction, top = f->exponent + f->fraction;
  LLVMValueRef bits = LLVMBuildBitCast(b, v, it, "");
  LLVMValueRef sign = LLVMBuildAnd(b, bits, emit_int(k, bits, 1u << 31), "");
  LLVMValueRef x = LLVMBuildXor(b, bits, sign, "");
  /* Denormal: the float adder aligns and rounds. */
  uint32_t magic = (127 - f->bias + 24 - f->fraction) << 23;
  LLVMValueRef sum = LLVMBuildFAdd(
      b, LLVMBuildBitCast(b, x, LLVMTypeOf(v), ""),
      LLVMBuildBitCast(b, emit_int(k, x, magic), LLVMTypeOf(v), ""), "");
  LLVMValueRef small = LLVMBuildSub(b, LLVMBuildBitCast(b, sum, it, ""),
                                    emit_int(k, x, magic), "");
  LLVMValueRef odd = LLVMBuildAnd(
      b, LLVMBuildLShr(b, x, emit_int(k, x, down), ""), emit_int(k, x, 1), "");
  uint32_t half = (1u << (down - 1)) - 1;
  LLVMValueRef mid =
      LLVMBuildAdd(b, x, emit_int(k, x, half - ((127 - f->bias) << 23)), "");
  mid =
      LLVMBuildLShr(b, LLVMBuildAdd(b, mid, odd, ""), emit_int(k, x, down), "");
  LLVMValueRef is_small = is_int(k, LLVMIntULT, x, (128 - f->bias) << 23);
  LLVMValueRef r = LLVMBuildSelect(b, is_small, small, mid, "");
  LLVMValueRef beyond = is_int(k, LLVMIntUGT, r, f->largest);
  r = LLVMBuildSelect(b, beyond, emit_int(k, x, f->over), r, "");
  LLVMValueRef nan = is_int(k, LLVMIntUGT, x, 0x7f800000u);
  r = LLVMBuildSelect(b, nan, emit_int(k, x, f->nan), r, "");
  sign = LLVMBuildLShr(b, sign, emit_int(k, x, 31 - top), "");
  if (f->over == 1u << top) { /* neither zero nor NaN has a sign */
    LLVMValueRef none = LLVMBuildSub(b, r, emit_int(k, r, 1), "");
    none = is_int(k, LLVMIntUGE, none, f->largest);
    sign = LLVMBuildSelect(b, none, emit_int(k, r, 0), sign, "");
  }
  return LLVMBuildXor(b, r, sign, "");
}

static LLVMTypeRef half_type(struct kernel_cg *k, LLVMValueRef v) {
  return emit_vector_type(k, LLVMHalfTypeInContext(k->e->lc), lanes_of(v));
}

static LLVMValueRef bfloat_to_f32(struct kernel_cg *k, LLVMValueRef h) {
  LLVMValueRef x = LLVMBuildZExt(k->b, h, int_type(k, h, 32), "");
  x = LLVMBuildShl(k->b, x, emit_int(k, x, 16), "");
  return LLVMBuildBitCast(k->b, x, f32_type(k, h), "");
}

static LLVMValueRef f32_to_bfloat(struct kernel_cg *k, LLVMValueRef f) {
  LLVMBuilderRef b = k->b;
  LLVMValueRef x = LLVMBuildBitCast(b, f, int_type(k, f, 32), "");
  LLVMValueRef top = LLVMBuildLShr(b, x, emit_int(k, x, 16), "");
  LLVMValueRef odd = LLVMBuildAnd(b, top, emit_int(k, x, 1), "");
  LLVMValueRef r = LLVMBuildAdd(b, x, emit_int(k, x, 0x7fff), "");
  r = LLVMBuildLShr(b, LLVMBuildAdd(b, r, odd, ""), emit_int(k, x, 16), "");
  LLVMValueRef quiet = LLVMBuildOr(b, top, emit_int(k, x, 0x40), "");
  LLVMValueRef nan = cg_math_isnan(b, k->e->facts, f);
  r = LLVMBuildSelect(b, nan, quiet, r, "");
  return LLVMBuildTrunc(b, r, int_type(k, f, 16), "");
}

/* Exponents alone: f8e8m0. */
static LLVMValueRef power_to_f32(struct kernel_cg *k, LLVMValueRef x) {
  LLVMValueRef r = LLVMBuildShl(k->b, x, emit_int(k, x, 23), "");
  r = LLVMBuildSelect(k->b, is_int(k, LLVMIntEQ, x, 0),
                      emit_int(k, x, 1u << 22), r, "");
  r = LLVMBuildSelect(k->b, is_int(k, LLVMIntEQ, x, 255),
                      emit_int(k, x, 0x7fc00000), r, "");
  return LLVMBuildBitCast(k->b, r, f32_type(k, x), "");
}

static LLVMValueRef f32_to_power(struct kernel_cg *k, LLVMValueRef v) {
  LLVMValueRef x = LLVMBuildBitCast(k->b, v, int_type(k, v, 32), "");
  LLVMValueRef half =
      LLVMBuildSelect(k->b, is_int(k, LLVMIntULT, x, 1u << 23),
                      emit_int(k, x, 1u << 21), emit_int(k, x, 1u << 22), "");
  LLVMValueRef r = LLVMBuildAdd(k->b, x, half, "");
  r = LLVMBuildLShr(k->b, r, emit_int(k, x, 23), "");
  LLVMValueRef bad = LLVMBuildSub(k->b, x, emit_int(k, x, 1), "");
  bad = is_int(k, LLVMIntUGE, bad, 0x7f800000u - 1); /* <= 0, infinite, NaN */
  return LLVMBuildSelect(k->b, bad, emit_int(k, x, 255), r, "");
}

LLVMValueRef emit_from_mem(struct kernel_cg *k, enum ir_dtype t,
                           LLVMValueRef v) {
  assert(LLVMTypeOf(v) ==
             emit_vector_type(k, emit_mem_type(k->e, t), lanes_of(v)) &&
         "a value in memory");
  const struct ir_float_format *f = ir_float_format(t);
  if (t == IR_BF16)
    return bfloat_to_f32(k, v);
  if (t == IR_F16 && k->e->facts->has_half)
    return LLVMBuildFPExt(k->b, LLVMBuildBitCast(k->b, v, half_type(k, v), ""),
                          f32_type(k, v), "");
  if (ir_is_small_float(t)) {
    LLVMValueRef x = LLVMBuildZExt(k->b, v, int_type(k, v, 32), "");
    return f ? format_to_f32(k, f, x) : power_to_f32(k, x);
  }
  if (t == IR_BOOL)
    return LLVMBuildICmp(k->b, LLVMIntNE, v, LLVMConstNull(LLVMTypeOf(v)), "");
  if (ir_dtypes[t].bits < 8)
    return LLVMBuildTrunc(k->b, v, int_type(k, v, ir_dtypes[t].bits), "");
  return v;
}

LLVMValueRef emit_to_mem(struct kernel_cg *k, enum ir_dtype t, LLVMValueRef v) {
  assert(LLVMTypeOf(v) ==
             emit_vector_type(k, emit_reg_type(k->e, t), lanes_of(v)) &&
         "a value in registers");
  const struct ir_float_format *f = ir_float_format(t);
  LLVMTypeRef type = int_type(k, v, 8 * ir_dtypes[t].bytes);
  if (t == IR_BF16)
    return f32_to_bfloat(k, v);
  if (t == IR_F16 && k->e->facts->has_half)
    return LLVMBuildBitCast(
        k->b, LLVMBuildFPTrunc(k->b, v, half_type(k, v), ""), type, "");
  if (ir_is_small_float(t))
    return LLVMBuildTrunc(k->b, f ? f32_to_format(k, f, v) : f32_to_power(k, v),
                          type, "");
  if (ir_is_float(t) || (t != IR_BOOL && ir_dtypes[t].bits >= 8))
    return v;
  return LLVMBuildIntCast2(k->b, v, type, ir_dtypes[t].kind == IR_SIGNED, "");
}

LLVMValueRef emit_round(struct kernel_cg *k, enum ir_dtype t, LLVMValueRef v) {
  if (!ir_is_small_float(t))
    return v;
  return emit_from_mem(k, t, emit_to_mem(k, t, v));
}

/* ---- Conversion ---- */

static LLVMValueRef float_to_int(struct kernel_cg *k, LLVMValueRef v,
                                 enum ir_dtype to);

/* Small integers by way of i32, which vectors of RISC-V convert to in one
 * instruction of the width of what comes; the narrowing one is longer, and
 * makes emulators abort (QEMU 7.2, at 16 bits). */
static LLVMValueRef float_to_small(struct kernel_cg *k, LLVMValueRef v,
                                   enum ir_dtype to) {
  assert(ir_dtypes[to].bits < 32 && "float_to_int()");
  bool is_signed = ir_dtypes[to].kind == IR_SIGNED;
  uint64_t most = UINT64_MAX >> (64 - ir_dtypes[to].bits + is_signed);
  LLVMValueRef i = float_to_int(k, v, IR_I32), c;
  LLVMValueRef hi = emit_like(k, i, LLVMConstInt(k->e->i32, most, false));
  LLVMValueRef lo =
      emit_like(k, i, LLVMConstInt(k->e->i32, is_signed ? ~most : 0, true));
  c = LLVMBuildICmp(k->b, LLVMIntSLT, i, hi, "");
  i = LLVMBuildSelect(k->b, c, i, hi, "");
  c = LLVMBuildICmp(k->b, LLVMIntSGT, i, lo, "");
  i = LLVMBuildSelect(k->b, c, i, lo, "");
  LLVMTypeRef type = emit_reg_type(k->e, to);
  return LLVMBuildTrunc(k->b, i, emit_vector_type(k, type, lanes_of(v)), "");
}

static LLVMValueRef float_to_int(struct kernel_cg *k, LLVMValueRef v,
                                 enum ir_dtype to) {
  if (ir_dtypes[to].bits < 32 && k->e->facts->scalable && emit_is_vector(v))
    return float_to_small(k, v, to);
  LLVMTypeRef types[] = {
      emit_vector_type(k, emit_reg_type(k->e, to), lanes_of(v)), LLVMTypeOf(v)};
  const char *name =
      ir_dtypes[to].kind == IR_SIGNED ? "llvm.fptosi.sat" : "llvm.fptoui.sat";
  return emit_intrinsic(k, name, types, 2, &v, 1);
}

static LLVMValueRef to_bool(struct kernel_cg *k, LLVMValueRef v,
                            bool is_float) {
  LLVMValueRef zero = LLVMConstNull(LLVMTypeOf(v));
  if (is_float)
    return LLVMBuildFCmp(k->b, LLVMRealUNE, v, zero, "");
  return LLVMBuildICmp(k->b, LLVMIntNE, v, zero, "");
}

LLVMValueRef emit_cast(struct kernel_cg *k, LLVMValueRef v, enum ir_dtype from,
                       enum ir_dtype to) {
  if (from == to || !v)
    return v;
  assert(LLVMTypeOf(v) ==
             emit_vector_type(k, emit_reg_type(k->e, from), lanes_of(v)) &&
         "a value in registers");
  LLVMTypeRef type = emit_vector_type(k, emit_reg_type(k->e, to), lanes_of(v));
  bool is_signed = ir_dtypes[from].kind == IR_SIGNED;
  if (to == IR_BOOL)
    return to_bool(k, v, ir_is_float(from));
  if (ir_is_float(from) && ir_is_float(to)) {
    if (LLVMTypeOf(v) != type)
      v = LLVMBuildFPCast(k->b, v, type, "");
    return emit_round(k, to, v);
  }
  if (ir_is_float(from))
    return float_to_int(k, v, to);
  if (!ir_is_float(to))
    return LLVMBuildIntCast2(k->b, v, type, is_signed, "");
  v = is_signed ? LLVMBuildSIToFP(k->b, v, type, "")
                : LLVMBuildUIToFP(k->b, v, type, "");
  return emit_round(k, to, v);
}

LLVMValueRef emit_bits(struct kernel_cg *k, LLVMValueRef v, enum ir_dtype from,
                       enum ir_dtype to) {
  assert(ir_dtypes[from].bytes == ir_dtypes[to].bytes &&
         "infer: bits of types of one width");
  v = emit_to_mem(k, from, v);
  LLVMTypeRef type = emit_vector_type(k, emit_mem_type(k->e, to), lanes_of(v));
  return emit_from_mem(k, to, LLVMBuildBitCast(k->b, v, type, ""));
}
