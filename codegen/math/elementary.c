/* elementary.c - the entry points of elementary.h; the methods are in exp.c
 * (exp, log and what is made of them), trig.c, pow.c and round.c. */
#include "codegen/math/build.h"

#include <assert.h>

static bool is_vector(LLVMValueRef v) {
  LLVMTypeKind kind = LLVMGetTypeKind(LLVMTypeOf(v));
  return kind == LLVMVectorTypeKind || kind == LLVMScalableVectorTypeKind;
}

LLVMValueRef cg_math_hide(LLVMBuilderRef b, const struct ir_facts *o,
                          LLVMValueRef v) {
  if (!o->hides_splats || !is_vector(v))
    return v;
  struct math_ctx m = math_ctx_of(b, o, v);
  return math_intrinsic(&m, "llvm.arithmetic.fence", &v, 1);
}

LLVMValueRef cg_math_isnan(LLVMBuilderRef b, const struct ir_facts *o,
                           LLVMValueRef x) {
  if (!o->hides_splats || !is_vector(x))
    return LLVMBuildFCmp(b, LLVMRealUNO, x, x, "");
  return LLVMBuildFCmp(b, LLVMRealUNE, x, cg_math_hide(b, o, x), "");
}

LLVMValueRef cg_math_emit(LLVMBuilderRef b, const struct ir_facts *o,
                          enum cg_math fn, LLVMValueRef x) {
  struct math_ctx m = math_ctx_of(b, o, x);
  switch (fn) {
#define MATH(ID, name, ulp32, ulp64, note)                                     \
  case CG_##ID:                                                                \
    return math_emit_##name(&m, x);
#include "codegen/math/elementary.def"
#undef MATH
  case CG_MATH_COUNT:
    break;
  }
  assert(!"every row of elementary.def has a case above");
  return NULL;
}
