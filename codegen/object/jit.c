/* jit.c - see jit.h. */
#include "codegen/object/jit.h"

#include <assert.h>
#include <llvm-c/Core.h>
#include <llvm-c/Error.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>
#include <llvm-c/Target.h>

struct cg_jit {
  struct dn_ctx *ctx;
  const char *path; /* of a user's object, or NULL */
  LLVMOrcLLJITRef lljit;
};

/* Reports and disposes of an LLVM error; true when there was none. */
static bool jit_ok(const struct cg_jit *jit, LLVMErrorRef error) {
  if (!error)
    return true;
  char *text = LLVMGetErrorMessage(error);
  dn_error(jit->ctx, (struct dn_loc){.file = jit->path},
           jit->path ? DN_OBJECT : DN_LLVM, "cannot load the object: %s", text);
  LLVMDisposeErrorMessage(text);
  return false;
}

/* An object's undefined symbols are this process's own. */
static bool jit_define(struct cg_jit *jit) {
  LLVMOrcDefinitionGeneratorRef process = NULL;
  if (!jit_ok(jit, LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess(
                       &process, LLVMOrcLLJITGetGlobalPrefix(jit->lljit), NULL,
                       NULL)))
    return false;
  LLVMOrcJITDylibAddGenerator(LLVMOrcLLJITGetMainJITDylib(jit->lljit), process);
  return true;
}

struct cg_jit *cg_jit_new(struct dn_ctx *ctx, const struct cg_blob *object,
                          const char *path) {
  struct cg_jit *jit = DN_NEW(ctx->arena, struct cg_jit);
  jit->ctx = ctx;
  jit->path = path;
  LLVMInitializeNativeTarget();
  LLVMInitializeNativeAsmPrinter();
  if (!jit_ok(jit,
              LLVMOrcCreateLLJIT(&jit->lljit, LLVMOrcCreateLLJITBuilder())))
    return NULL;
  LLVMMemoryBufferRef buffer = LLVMCreateMemoryBufferWithMemoryRange(
      object->data, object->size, "object", false);
  if (jit_define(jit) &&
      jit_ok(jit,
             LLVMOrcLLJITAddObjectFile(
                 jit->lljit, LLVMOrcLLJITGetMainJITDylib(jit->lljit), buffer)))
    return jit;
  cg_jit_free(jit);
  return NULL;
}

void *cg_jit_find(struct cg_jit *jit, const char *name) {
  assert(jit->lljit && "cg_jit_new() made it");
  LLVMOrcExecutorAddress address = 0;
  if (!jit_ok(jit, LLVMOrcLLJITLookup(jit->lljit, &address, name)))
    return NULL;
  return (void *)(uintptr_t)address;
}

void cg_jit_free(struct cg_jit *jit) {
  if (jit)
    LLVMConsumeError(LLVMOrcDisposeLLJIT(jit->lljit));
}
