/* type.c - element types in registers and in memory, and conversions.
 * f16 and bf16 are computed in f32 and rounded after every function; bool is i1
 * in registers, a byte in memory. Conversions of f16 are bit operations where
 * the target has no instruction, so that no library function is called. */
#include "codegen/emit/impl.h"

#include <math.h>
#include <string.h>

LLVMTypeRef emit_vector_type(const struct kernel_cg *k, LLVMTypeRef elem,
                             unsigned lanes) {
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
  switch (t) {
  case IR_F32:
  case IR_F16:
  case IR_BF16:
    return e->f32;
  case IR_F64:
    return e->f64;
  case IR_BOOL:
    return e->i1;
  case IR_I8:
  case IR_U8:
  case IR_I16:
  case IR_U16:
  case IR_I32:
  case IR_U32:
  case IR_I64:
  case IR_U64:
  case IR_NUM_DTYPES:
    break;
  }
  return LLVMIntTypeInContext(e->lc, ir_dtypes[t].bits);
}

LLVMTypeRef emit_mem_type(struct emit *e, enum ir_dtype t) {
  if (t == IR_F32 || t == IR_F64)
    return emit_reg_type(e, t);
  return LLVMIntTypeInContext(e->lc, ir_dtypes[t].bits);
}

LLVMValueRef emit_like(struct kernel_cg *k, LLVMValueRef pattern,
                       LLVMValueRef scalar) {
  return emit_splat(k, scalar, lanes_of(pattern));
}

LLVMValueRef emit_intrinsic(struct kernel_cg *k, const char *name,
                            LLVMTypeRef *types, unsigned ntypes,
                            LLVMValueRef *args, unsigned n) {
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
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
    ir_store_float(type, &bits, v);
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

/* ---- 16-bit floats ---- */

static LLVMValueRef int_like(struct kernel_cg *k, LLVMValueRef v, uint64_t n) {
  return emit_like(k, v, LLVMConstInt(k->e->i32, n, false));
}

static LLVMTypeRef int_type(struct kernel_cg *k, LLVMValueRef v,
                            unsigned bits) {
  return emit_vector_type(k, LLVMIntTypeInContext(k->e->lc, bits), lanes_of(v));
}

static LLVMTypeRef f32_type(struct kernel_cg *k, LLVMValueRef v) {
  return emit_vector_type(k, k->e->f32, lanes_of(v));
}

/* i16 bits to f32. The exponent is moved by an integer addition; denormals are
 * made normal by one subtraction, exact and of normal numbers. */
static LLVMValueRef half_to_f32(struct kernel_cg *k, LLVMValueRef h) {
  LLVMBuilderRef b = k->b;
  LLVMTypeRef ft = f32_type(k, h);
  if (k->e->facts->has_half) {
    LLVMTypeRef half =
        emit_vector_type(k, LLVMHalfTypeInContext(k->e->lc), lanes_of(h));
    return LLVMBuildFPExt(b, LLVMBuildBitCast(b, h, half, ""), ft, "");
  }
  LLVMValueRef x = LLVMBuildZExt(b, h, int_type(k, h, 32), "");
  LLVMValueRef em = LLVMBuildAnd(b, x, int_like(k, x, 0x7fff), "");
  LLVMValueRef exp = LLVMBuildAnd(b, x, int_like(k, x, 0x7c00), "");
  LLVMValueRef sign =
      LLVMBuildShl(b, LLVMBuildAnd(b, x, int_like(k, x, 0x8000), ""),
                   int_like(k, x, 16), "");
  LLVMValueRef up = LLVMBuildShl(b, em, int_like(k, x, 13), "");
  LLVMValueRef normal = LLVMBuildAdd(b, up, int_like(k, x, 112u << 23), "");
  LLVMValueRef special = LLVMBuildOr(b, up, int_like(k, x, 255u << 23), "");
  LLVMValueRef one_up = LLVMBuildAdd(b, up, int_like(k, x, 113u << 23), "");
  LLVMValueRef tiny = LLVMBuildFSub(
      b, LLVMBuildBitCast(b, one_up, ft, ""),
      LLVMBuildBitCast(b, int_like(k, x, 113u << 23), ft, ""), "");
  tiny = LLVMBuildBitCast(b, tiny, LLVMTypeOf(x), "");
  LLVMValueRef is_tiny =
      LLVMBuildICmp(b, LLVMIntEQ, exp, int_like(k, x, 0), "");
  LLVMValueRef is_special =
      LLVMBuildICmp(b, LLVMIntEQ, exp, int_like(k, x, 0x7c00), "");
  LLVMValueRef r = LLVMBuildSelect(b, is_special, special, normal, "");
  r = LLVMBuildSelect(b, is_tiny, tiny, r, "");
  return LLVMBuildBitCast(b, LLVMBuildOr(b, r, sign, ""), ft, "");
}

/* f32 to i16 bits, to nearest even. */
static LLVMValueRef f32_to_half(struct kernel_cg *k, LLVMValueRef f) {
  LLVMBuilderRef b = k->b;
  LLVMTypeRef it = int_type(k, f, 32), ht = int_type(k, f, 16);
  if (k->e->facts->has_half) {
    LLVMTypeRef half =
        emit_vector_type(k, LLVMHalfTypeInContext(k->e->lc), lanes_of(f));
    return LLVMBuildBitCast(b, LLVMBuildFPTrunc(b, f, half, ""), ht, "");
  }
  LLVMValueRef bits = LLVMBuildBitCast(b, f, it, "");
  LLVMValueRef sign = LLVMBuildAnd(b, bits, int_like(k, bits, 1u << 31), "");
  LLVMValueRef x = LLVMBuildXor(b, bits, sign, "");
  /* Too large, infinite or no number. */
  LLVMValueRef nan =
      LLVMBuildICmp(b, LLVMIntUGT, x, int_like(k, x, 0x7f800000u), "");
  LLVMValueRef big = LLVMBuildSelect(b, nan, int_like(k, x, 0x7e00),
                                     int_like(k, x, 0x7c00), "");
  /* Denormal: the float adder aligns and rounds. */
  uint32_t magic = (127 - 15 + 23 - 10 + 1) << 23;
  LLVMValueRef sum = LLVMBuildFAdd(
      b, LLVMBuildBitCast(b, x, LLVMTypeOf(f), ""),
      LLVMBuildBitCast(b, int_like(k, x, magic), LLVMTypeOf(f), ""), "");
  LLVMValueRef small = LLVMBuildSub(b, LLVMBuildBitCast(b, sum, it, ""),
                                    int_like(k, x, magic), "");
  LLVMValueRef odd = LLVMBuildAnd(
      b, LLVMBuildLShr(b, x, int_like(k, x, 13), ""), int_like(k, x, 1), "");
  LLVMValueRef mid = LLVMBuildAdd(
      b, x, int_like(k, x, (uint32_t)(15 - 127) << 23 | 0xfff), "");
  mid = LLVMBuildLShr(b, LLVMBuildAdd(b, mid, odd, ""), int_like(k, x, 13), "");
  LLVMValueRef is_big =
      LLVMBuildICmp(b, LLVMIntUGE, x, int_like(k, x, (127u + 16) << 23), "");
  LLVMValueRef is_small =
      LLVMBuildICmp(b, LLVMIntULT, x, int_like(k, x, 113u << 23), "");
  LLVMValueRef r = LLVMBuildSelect(b, is_small, small, mid, "");
  r = LLVMBuildSelect(b, is_big, big, r, "");
  sign = LLVMBuildLShr(b, sign, int_like(k, x, 16), "");
  return LLVMBuildTrunc(b, LLVMBuildOr(b, r, sign, ""), ht, "");
}

static LLVMValueRef bfloat_to_f32(struct kernel_cg *k, LLVMValueRef h) {
  LLVMValueRef x = LLVMBuildZExt(k->b, h, int_type(k, h, 32), "");
  x = LLVMBuildShl(k->b, x, int_like(k, x, 16), "");
  return LLVMBuildBitCast(k->b, x, f32_type(k, h), "");
}

static LLVMValueRef f32_to_bfloat(struct kernel_cg *k, LLVMValueRef f) {
  LLVMBuilderRef b = k->b;
  LLVMValueRef x = LLVMBuildBitCast(b, f, int_type(k, f, 32), "");
  LLVMValueRef top = LLVMBuildLShr(b, x, int_like(k, x, 16), "");
  LLVMValueRef odd = LLVMBuildAnd(b, top, int_like(k, x, 1), "");
  LLVMValueRef r = LLVMBuildAdd(b, x, int_like(k, x, 0x7fff), "");
  r = LLVMBuildLShr(b, LLVMBuildAdd(b, r, odd, ""), int_like(k, x, 16), "");
  LLVMValueRef quiet = LLVMBuildOr(b, top, int_like(k, x, 0x40), "");
  LLVMValueRef nan = cg_math_isnan(b, k->e->facts, f);
  r = LLVMBuildSelect(b, nan, quiet, r, "");
  return LLVMBuildTrunc(b, r, int_type(k, f, 16), "");
}

LLVMValueRef emit_from_mem(struct kernel_cg *k, enum ir_dtype t,
                           LLVMValueRef v) {
  if (t == IR_F16)
    return half_to_f32(k, v);
  if (t == IR_BF16)
    return bfloat_to_f32(k, v);
  if (t == IR_BOOL)
    return LLVMBuildICmp(k->b, LLVMIntNE, v, LLVMConstNull(LLVMTypeOf(v)), "");
  return v;
}

LLVMValueRef emit_to_mem(struct kernel_cg *k, enum ir_dtype t, LLVMValueRef v) {
  if (t == IR_F16)
    return f32_to_half(k, v);
  if (t == IR_BF16)
    return f32_to_bfloat(k, v);
  if (t == IR_BOOL)
    return LLVMBuildZExt(k->b, v, int_type(k, v, 8), "");
  return v;
}

LLVMValueRef emit_round(struct kernel_cg *k, enum ir_dtype t, LLVMValueRef v) {
  if (t != IR_F16 && t != IR_BF16)
    return v;
  return emit_from_mem(k, t, emit_to_mem(k, t, v));
}

/* ---- Conversion ---- */

static LLVMValueRef float_to_int(struct kernel_cg *k, LLVMValueRef v,
                                 enum ir_dtype to);

/* Small integers by way of i32, which vectors of RISC-V convert to in one
 * instruction of the width of what comes; the narrowing one is longer, and makes
 * emulators abort (QEMU 7.2, at 16 bits). */
static LLVMValueRef float_to_small(struct kernel_cg *k, LLVMValueRef v,
                                   enum ir_dtype to) {
  bool is_signed = ir_dtypes[to].kind == IR_SIGNED;
  uint64_t most = UINT64_MAX >> (64 - ir_dtypes[to].bits + is_signed);
  LLVMValueRef i = float_to_int(k, v, IR_I32), c;
  LLVMValueRef hi = emit_like(k, i, LLVMConstInt(k->e->i32, most, false));
  LLVMValueRef lo = emit_like(
      k, i, LLVMConstInt(k->e->i32, is_signed ? ~most : 0, true));
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
  v = emit_to_mem(k, from, v);
  LLVMTypeRef type = emit_vector_type(k, emit_mem_type(k->e, to), lanes_of(v));
  return emit_from_mem(k, to, LLVMBuildBitCast(k->b, v, type, ""));
}
