/* profile.c - cycles of each kernel (dnnc-run --profile), in counters that the
 * caller reads as PREFIX_profile. */
#include "codegen/emit/impl.h"

#include <string.h>

void emit_profile_begin(struct emit *e, unsigned kernels) {
  LLVMTypeRef type = LLVMArrayType2(e->i64, kernels + 1);
  if (!e->opts->profile)
    return;
  e->profile = LLVMAddGlobal(
      e->mod, type, dn_printf(e->scratch, "%s_profile", e->opts->prefix));
  LLVMSetInitializer(e->profile, LLVMConstNull(type));
}

LLVMValueRef emit_profile_from(struct emit *e) {
  const char *name = "llvm.readcyclecounter";
  if (!e->profile)
    return NULL;
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  LLVMValueRef fn = LLVMGetIntrinsicDeclaration(e->mod, id, NULL, 0);
  return LLVMBuildCall2(e->b, LLVMIntrinsicGetType(e->lc, id, NULL, 0), fn,
                        NULL, 0, "");
}

void emit_profile_add(struct emit *e, unsigned i, LLVMValueRef from) {
  if (!from)
    return;
  LLVMValueRef spent = LLVMBuildSub(e->b, emit_profile_from(e), from, "");
  LLVMValueRef at = LLVMConstInt(e->iptr, i, false);
  LLVMValueRef p = LLVMBuildGEP2(e->b, e->i64, e->profile, &at, 1, "");
  LLVMValueRef sum =
      LLVMBuildAdd(e->b, LLVMBuildLoad2(e->b, e->i64, p, ""), spent, "");
  LLVMBuildStore(e->b, sum, p);
}
