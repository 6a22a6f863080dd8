/* jit.c - see jit.h. */
#include "codegen/jit.h"

#include "codegen/elf.h"

#include <llvm-c/Core.h>
#include <llvm-c/Error.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>
#include <llvm-c/Target.h>
#include <string.h>

struct cg_jit {
  struct dn_ctx *ctx;
  struct cg_elf elf;
  LLVMOrcLLJITRef lljit;
};

/* Reports and disposes of an LLVM error; true when there was none. */
static bool jit_ok(struct dn_ctx *ctx, LLVMErrorRef error) {
  if (!error)
    return true;
  char *text = LLVMGetErrorMessage(error);
  dn_error(ctx, (struct dn_loc){0}, DN_LLVM, "cannot load the object: %s",
           text);
  LLVMDisposeErrorMessage(text);
  return false;
}

/* An object's undefined symbols: those given, else this process's own. */
static bool jit_define(struct cg_jit *jit, const char *const *names,
                       void *const *addresses, size_t n) {
  LLVMOrcJITDylibRef lib = LLVMOrcLLJITGetMainJITDylib(jit->lljit);
  LLVMOrcDefinitionGeneratorRef process = NULL;
  if (n) {
    LLVMOrcCSymbolMapPair *pairs =
        DN_ARRAY(jit->ctx->arena, LLVMOrcCSymbolMapPair, n);
    for (size_t i = 0; i < n; i++) {
      pairs[i].Name = LLVMOrcLLJITMangleAndIntern(jit->lljit, names[i]);
      pairs[i].Sym.Address = (LLVMOrcExecutorAddress)(uintptr_t)addresses[i];
      pairs[i].Sym.Flags.GenericFlags = LLVMJITSymbolGenericFlagsExported;
    }
    if (!jit_ok(jit->ctx,
                LLVMOrcJITDylibDefine(lib, LLVMOrcAbsoluteSymbols(pairs, n))))
      return false;
  }
  if (!jit_ok(jit->ctx, LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess(
                            &process, LLVMOrcLLJITGetGlobalPrefix(jit->lljit),
                            NULL, NULL)))
    return false;
  LLVMOrcJITDylibAddGenerator(lib, process);
  return true;
}

struct cg_jit *cg_jit_new(struct dn_ctx *ctx, const struct cg_blob *object,
                          const char *const *names, void *const *addresses,
                          size_t n) {
  struct cg_jit *jit = DN_NEW(ctx->arena, struct cg_jit);
  jit->ctx = ctx;
  if (!cg_elf_read(ctx->arena, object->data, object->size, &jit->elf)) {
    dn_error(ctx, (struct dn_loc){0}, DN_FORMAT, "not an ELF object");
    return NULL;
  }
  LLVMInitializeNativeTarget();
  LLVMInitializeNativeAsmPrinter();
  if (!jit_ok(ctx,
              LLVMOrcCreateLLJIT(&jit->lljit, LLVMOrcCreateLLJITBuilder())))
    return NULL;
  LLVMMemoryBufferRef buffer = LLVMCreateMemoryBufferWithMemoryRange(
      object->data, object->size, "object", false);
  if (jit_define(jit, names, addresses, n) &&
      jit_ok(ctx,
             LLVMOrcLLJITAddObjectFile(
                 jit->lljit, LLVMOrcLLJITGetMainJITDylib(jit->lljit), buffer)))
    return jit;
  cg_jit_free(jit);
  return NULL;
}

void *cg_jit_find(struct cg_jit *jit, const char *name) {
  LLVMOrcExecutorAddress address = 0;
  if (!cg_elf_symbol(&jit->elf, name) ||
      !jit_ok(jit->ctx, LLVMOrcLLJITLookup(jit->lljit, &address, name)))
    return NULL;
  return (void *)(uintptr_t)address;
}

void cg_jit_free(struct cg_jit *jit) {
  if (jit)
    LLVMConsumeError(LLVMOrcDisposeLLJIT(jit->lljit));
}

const char *cg_jit_prefix(struct dn_ctx *ctx, const struct cg_blob *object,
                          const char *path) {
  struct cg_elf elf;
  static const char suffix[] = "_model";
  struct dn_loc loc = {.file = path};
  if (!cg_elf_read(ctx->arena, object->data, object->size, &elf)) {
    dn_error(ctx, loc, DN_FORMAT, "not an ELF object");
    return NULL;
  }
  for (size_t i = 0; i < elf.symbols.n; i++) {
    const char *name = elf.symbols.v[i].name;
    size_t n = strlen(name), m = sizeof suffix - 1;
    if (elf.symbols.v[i].defined && elf.symbols.v[i].global && n > m &&
        !strcmp(name + n - m, suffix))
      return dn_intern_n(ctx, name, n - m);
  }
  dn_error(ctx, loc, DN_FORMAT,
           "no model in it: it defines no symbol NAME_model");
  return NULL;
}
