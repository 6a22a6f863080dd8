/* build.c - see math/build.h. */
#include "codegen/math/build.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static LLVMTypeRef math_type_shape(LLVMTypeRef like, LLVMTypeRef elem) {
  switch (LLVMGetTypeKind(like)) {
  case LLVMVectorTypeKind:
    return LLVMVectorType(elem, LLVMGetVectorSize(like));
  case LLVMScalableVectorTypeKind:
    return LLVMScalableVectorType(elem, LLVMGetVectorSize(like));
  default:
    return elem;
  }
}

struct math_ctx math_ctx_of(LLVMBuilderRef b, const struct ir_facts *o,
                            LLVMValueRef x) {
  LLVMTypeRef t = LLVMTypeOf(x), e = t;
  LLVMTypeKind k = LLVMGetTypeKind(t);
  struct math_ctx m = {.b = b, .o = o, .ft = t};

  if (k == LLVMVectorTypeKind || k == LLVMScalableVectorTypeKind)
    e = LLVMGetElementType(t);
  assert((LLVMGetTypeKind(e) == LLVMDoubleTypeKind ||
          LLVMGetTypeKind(e) == LLVMFloatTypeKind) &&
         "callers widen f16 and bf16: elementary.h");
  m.f64 = LLVMGetTypeKind(e) == LLVMDoubleTypeKind;
  m.bits = m.f64 ? 64 : 32;
  m.mant = m.f64 ? 52 : 23;
  m.bias = m.f64 ? 1023 : 127;
  m.it = math_type_int(&m, m.bits);
  m.fma = o->has_fma && (!m.f64 || o->has_f64);
  m.round = o->has_round && (!m.f64 || o->has_f64);
  m.sqrt = o->has_fsqrt && (!m.f64 || o->has_f64);
  return m;
}

LLVMTypeRef math_type_int(const struct math_ctx *m, unsigned bits) {
  LLVMContextRef c = LLVMGetTypeContext(m->ft);
  return math_type_shape(m->ft, LLVMIntTypeInContext(c, bits));
}

LLVMValueRef math_splat(const struct math_ctx *m, LLVMValueRef k) {
  LLVMTypeRef kt = LLVMTypeOf(k), v = math_type_shape(m->ft, kt);
  LLVMContextRef c = LLVMGetTypeContext(kt);
  LLVMTypeRef i32 = LLVMInt32TypeInContext(c);
  LLVMValueRef one;

  if (v == kt)
    return k;
  /* insert and shuffle are folded: a constant comes out */
  one = LLVMBuildInsertElement(m->b, LLVMGetPoison(v), k,
                               LLVMConstInt(i32, 0, 0), "");
  return LLVMBuildShuffleVector(m->b, one, LLVMGetPoison(v),
                                LLVMConstNull(math_type_shape(v, i32)), "");
}

LLVMValueRef math_const(const struct math_ctx *m, double v) {
  LLVMContextRef c = LLVMGetTypeContext(m->ft);
  LLVMTypeRef t =
      m->f64 ? LLVMDoubleTypeInContext(c) : LLVMFloatTypeInContext(c);
  return math_splat(m, LLVMConstReal(t, v));
}

LLVMValueRef math_const2(const struct math_ctx *m, double f32, double f64) {
  return math_const(m, m->f64 ? f64 : f32);
}

LLVMValueRef math_int(const struct math_ctx *m, int64_t v) {
  LLVMTypeRef t = LLVMIntTypeInContext(LLVMGetTypeContext(m->ft), m->bits);
  uint64_t u = (uint64_t)v;
  if (!m->f64)
    u &= UINT32_MAX;
  return math_splat(m, LLVMConstInt(t, u, 0));
}

LLVMValueRef math_inf(const struct math_ctx *m) {
  return math_const(m, (double)INFINITY);
}

LLVMValueRef math_nan(const struct math_ctx *m) {
  return math_const(m, (double)NAN);
}

LLVMValueRef math_magic(const struct math_ctx *m) {
  return math_const2(m, 0x1.8p23, 0x1.8p52);
}

#define BINARY(name, OP)                                                       \
  LLVMValueRef math_##name(const struct math_ctx *m, LLVMValueRef a,           \
                           LLVMValueRef c) {                                   \
    return LLVMBuild##OP(m->b, a, c, "");                                      \
  }
#define SHIFT(name, OP)                                                        \
  LLVMValueRef math_##name(const struct math_ctx *m, LLVMValueRef a,           \
                           unsigned n) {                                       \
    assert(n < m->bits && "shifts stay within a lane");                        \
    return LLVMBuild##OP(m->b, a, math_int(m, n), "");                         \
  }
MATH_OPS(BINARY, SHIFT)
#undef BINARY
#undef SHIFT

LLVMValueRef math_neg(const struct math_ctx *m, LLVMValueRef a) {
  return LLVMBuildFNeg(m->b, a, "");
}

LLVMValueRef math_intrinsic(const struct math_ctx *m, const char *name,
                            LLVMValueRef *args, unsigned n) {
  LLVMBasicBlockRef bb = LLVMGetInsertBlock(m->b);
  LLVMModuleRef mod = LLVMGetGlobalParent(LLVMGetBasicBlockParent(bb));
  LLVMTypeRef t = LLVMTypeOf(args[0]);
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  assert(n > 0 && id &&
         "LLVM has the intrinsic, on the type of its first argument");
  LLVMValueRef f = LLVMGetIntrinsicDeclaration(mod, id, &t, 1);
  return LLVMBuildCall2(m->b, LLVMGlobalGetValueType(f), f, args, n, "");
}

LLVMValueRef math_fma(const struct math_ctx *m, LLVMValueRef a, LLVMValueRef c,
                      LLVMValueRef d) {
  LLVMValueRef args[] = {a, c, d};
  assert(LLVMTypeOf(a) == LLVMTypeOf(c) && LLVMTypeOf(a) == LLVMTypeOf(d) &&
         "the caller has values of one type");
  if (!m->fma)
    return math_add(m, math_mul(m, a, c), d);
  return math_intrinsic(m, "llvm.fma", args, 3);
}

/* Without the instruction in f64: the product is exact, and a sum that loses
 * bits is rounded to odd, so that rounding it to f32 is right (Boldo, Melquiond
 * 2008). Without f64 LLVM calls a function of runtime/soft.c. */
LLVMValueRef cg_math_fma(LLVMBuilderRef b, const struct ir_facts *o,
                         LLVMValueRef x, LLVMValueRef y, LLVMValueRef z) {
  struct math_ctx m = math_ctx_of(b, o, x);
  LLVMValueRef arg[] = {x, y, z};
  if (m.fma || m.f64 || o->soft_f64)
    return math_intrinsic(&m, "llvm.fma", arg, 3);
  LLVMTypeRef f64 = LLVMDoubleTypeInContext(LLVMGetTypeContext(m.ft));
  for (int i = 0; i < 3; i++)
    arg[i] = LLVMBuildFPExt(b, arg[i], math_type_shape(m.ft, f64), "");
  struct math_ctx d = math_ctx_of(b, o, arg[0]);
  struct math_dw s = math_two_sum(&d, math_mul(&d, arg[0], arg[1]), arg[2]);
  LLVMValueRef bits = math_bits(&d, s.h), one = math_int(&d, 1);
  LLVMValueRef lost = LLVMBuildFCmp(b, LLVMRealONE, s.l, math_const(&d, 0), "");
  LLVMValueRef even =
      math_icmp(&d, LLVMIntEQ, math_iand(&d, bits, one), math_int(&d, 0));
  LLVMValueRef by = math_ashr(&d, math_ixor(&d, bits, math_bits(&d, s.l)), 63);
  by = math_iadd(&d, bits, LLVMBuildOr(b, by, one, ""));
  bits = math_select(&d, LLVMBuildAnd(b, lost, even, ""), by, bits);
  return LLVMBuildFPTrunc(b, math_float(&d, bits), m.ft, "");
}

LLVMValueRef math_abs(const struct math_ctx *m, LLVMValueRef a) {
  return math_intrinsic(m, "llvm.fabs", &a, 1);
}

LLVMValueRef math_copysign(const struct math_ctx *m, LLVMValueRef mag,
                           LLVMValueRef sign) {
  LLVMValueRef args[] = {mag, sign};
  return math_intrinsic(m, "llvm.copysign", args, 2);
}

LLVMValueRef math_bits(const struct math_ctx *m, LLVMValueRef a) {
  assert(LLVMTypeOf(a) == m->ft && "a value of the context's type");
  return LLVMBuildBitCast(m->b, a, m->it, "");
}

LLVMValueRef math_float(const struct math_ctx *m, LLVMValueRef i) {
  assert(LLVMTypeOf(i) == m->it && "the bits of a value of the context's type");
  return LLVMBuildBitCast(m->b, i, m->ft, "");
}

LLVMValueRef math_lt(const struct math_ctx *m, LLVMValueRef a, LLVMValueRef c) {
  if (LLVMIsConstant(c))
    c = cg_math_hide(m->b, m->o, c);
  return LLVMBuildFCmp(m->b, LLVMRealOLT, a, c, "");
}

LLVMValueRef math_eq(const struct math_ctx *m, LLVMValueRef a, LLVMValueRef c) {
  return LLVMBuildFCmp(m->b, LLVMRealOEQ, a, c, "");
}

LLVMValueRef math_select(const struct math_ctx *m, LLVMValueRef c,
                         LLVMValueRef t, LLVMValueRef e) {
  assert(LLVMTypeOf(t) == LLVMTypeOf(e) && "the caller has values of one type");
  return LLVMBuildSelect(m->b, c, t, e, "");
}

LLVMValueRef math_atmost(const struct math_ctx *m, LLVMValueRef a,
                         LLVMValueRef k) {
  return math_select(m, math_lt(m, k, a), k, a);
}

LLVMValueRef math_atleast(const struct math_ctx *m, LLVMValueRef a,
                          LLVMValueRef k) {
  return math_select(m, math_lt(m, a, k), k, a);
}

LLVMValueRef math_icmp(const struct math_ctx *m, LLVMIntPredicate p,
                       LLVMValueRef a, LLVMValueRef c) {
  return LLVMBuildICmp(m->b, p, a, c, "");
}

LLVMValueRef math_tofloat(const struct math_ctx *m, LLVMValueRef i) {
  LLVMValueRef magic = math_magic(m);
  if (!m->f64)
    return LLVMBuildSIToFP(m->b, i, m->ft, "");
  /* i64 to f64 is a call on 32-bit machines and slow before AVX-512 */
  return math_sub(m, math_float(m, math_iadd(m, i, math_bits(m, magic))),
                  magic);
}

LLVMValueRef math_poly_eval(const struct math_ctx *m, const struct math_poly *p,
                            LLVMValueRef x) {
  const double *c = m->f64 ? p->c64 : p->c32;
  int i = (m->f64 ? p->n64 : p->n32) - 1;
  assert(i >= 0 && i < (m->f64 ? 17 : 9) &&
         "math/poly.h has coefficients for the types that use them");
  LLVMValueRef y = math_const(m, c[i]);
  while (i-- > 0)
    y = math_fma(m, y, x, math_const(m, c[i]));
  return y;
}

struct math_dw math_two_sum(const struct math_ctx *m, LLVMValueRef a,
                            LLVMValueRef c) {
  LLVMValueRef s = math_add(m, a, c), t = math_sub(m, s, a);
  LLVMValueRef ea = math_sub(m, a, math_sub(m, s, t));
  return (struct math_dw){s, math_add(m, ea, math_sub(m, c, t))};
}

/* |a| >= |c|, or a = 0 */
struct math_dw math_fast_two_sum(const struct math_ctx *m, LLVMValueRef a,
                                 LLVMValueRef c) {
  LLVMValueRef s = math_add(m, a, c);
  return (struct math_dw){s, math_sub(m, c, math_sub(m, s, a))};
}

/* The upper half of the significand by a mask: unlike Dekker's product it
 * cannot overflow. Exact for f32; within 2^-106 for f64. */
static struct math_dw math_dw_split(const struct math_ctx *m, LLVMValueRef a) {
  int64_t mask = m->f64 ? -((int64_t)1 << 27) : -((int64_t)1 << 12);
  LLVMValueRef i = math_iand(m, math_bits(m, a), math_int(m, mask));
  LLVMValueRef h = math_float(m, i);
  return (struct math_dw){h, math_sub(m, a, h)};
}

struct math_dw math_two_prod(const struct math_ctx *m, LLVMValueRef a,
                             LLVMValueRef c) {
  LLVMValueRef p = math_mul(m, a, c), e;
  struct math_dw x, y;

  if (m->fma)
    return (struct math_dw){p, math_fma(m, a, c, math_neg(m, p))};
  x = math_dw_split(m, a);
  y = math_dw_split(m, c);
  e = math_sub(m, math_mul(m, x.h, y.h), p);
  e = math_add(m, e, math_mul(m, x.h, y.l));
  e = math_add(m, e, math_mul(m, x.l, y.h));
  e = math_add(m, e, math_mul(m, x.l, y.l));
  return (struct math_dw){p, e};
}

static LLVMBasicBlockRef math_block_new(const struct math_ctx *m,
                                        const char *name) {
  LLVMBasicBlockRef at = LLVMGetInsertBlock(m->b);
  LLVMBasicBlockRef next = LLVMGetNextBasicBlock(at);
  LLVMContextRef c = LLVMGetTypeContext(m->ft);

  if (next)
    return LLVMInsertBasicBlockInContext(c, next, name);
  return LLVMAppendBasicBlockInContext(c, LLVMGetBasicBlockParent(at), name);
}

struct math_loop math_loop_begin(const struct math_ctx *m, LLVMValueRef *state,
                                 int n) {
  assert(n > 0 && n <= 4 &&
         "a loop carries as many values as struct math_loop holds");
  LLVMBasicBlockRef from = LLVMGetInsertBlock(m->b);
  struct math_loop l = {.body = math_block_new(m, "math.loop"), .n = n};

  LLVMBuildBr(m->b, l.body);
  LLVMPositionBuilderAtEnd(m->b, l.body);
  for (int i = 0; i < n; i++) {
    l.phi[i] = LLVMBuildPhi(m->b, LLVMTypeOf(state[i]), "");
    LLVMAddIncoming(l.phi[i], &state[i], &from, 1);
  }
  return l;
}

void math_loop_end(const struct math_ctx *m, struct math_loop *l,
                   LLVMValueRef *state, LLVMValueRef more) {
  assert(l->n > 0 && l->n <= 4 && "math_loop_begin()");
  LLVMBasicBlockRef from = LLVMGetInsertBlock(m->b);
  LLVMBasicBlockRef done = math_block_new(m, "math.done");

  if (LLVMGetTypeKind(LLVMTypeOf(more)) != LLVMIntegerTypeKind)
    more = math_intrinsic(m, "llvm.vector.reduce.or", &more, 1);
  for (int i = 0; i < l->n; i++)
    LLVMAddIncoming(l->phi[i], &state[i], &from, 1);
  LLVMBuildCondBr(m->b, more, l->body, done);
  LLVMPositionBuilderAtEnd(m->b, done);
}
