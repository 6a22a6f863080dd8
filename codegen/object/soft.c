/* soft.c - see soft.h. */
#include "codegen/object/soft.h"

#include <assert.h>
#include <llvm-c/BitReader.h>
#include <llvm-c/Core.h>
#include <llvm-c/Linker.h>
#include <stdlib.h>
#include <string.h>

/* runtime/soft.c as bitcode, for targets with pointers of 4 and of 8 bytes and
 * for Thumb-1. */
static const unsigned char soft32[] = {
#include "soft32.inc"
};
static const unsigned char soft64[] = {
#include "soft64.inc"
};
static const unsigned char thumb1[] = {
#include "softthumb1.inc"
};

static LLVMMemoryBufferRef bitcode(LLVMModuleRef module, int pointer_bytes) {
  const char *triple = LLVMGetTarget(module);
  assert((pointer_bytes == 4 || pointer_bytes == 8) &&
         "rows of targets.def have no other pointers");
  const unsigned char *bytes = soft32;
  size_t size = sizeof soft32;
  if (pointer_bytes > 4) {
    bytes = soft64;
    size = sizeof soft64;
  } else if (!strncmp(triple, "thumbv6m", 8) ||
             !strncmp(triple, "thumbv8m.base", 13)) {
    bytes = thumb1;
    size = sizeof thumb1;
  }
  return LLVMCreateMemoryBufferWithMemoryRange((const char *)bytes, size,
                                               "soft", false);
}

static bool is_memory(const char *name) {
  return !strcmp(name, "memcpy") || !strcmp(name, "memmove") ||
         !strcmp(name, "memset");
}

/* Names of the run-time library. Generated functions have the model's prefix,
 * so they do not match. */
bool cg_soft_is(const char *name) {
  static const char *const plain[] = {"floor",     "ceil",      "trunc", "rint",
                                      "nearbyint", "roundeven", "round", "sqrt",
                                      "fmod",      "fmin",      "fmax",  "fma"};
  if (!strncmp(name, "__", 2) || is_memory(name))
    return true;
  for (size_t i = 0; i < DN_COUNT(plain); i++) {
    size_t n = strlen(plain[i]);
    if (!strncmp(name, plain[i], n) &&
        (!name[n] || (name[n] == 'f' && !name[n + 1])))
      return true;
  }
  return false;
}

/* Bodies that are wanted but declared only, or undefined in the object. */
static bool is_wanted(const struct cg_elf *elf, const char *name,
                      bool freestanding) {
  if (is_memory(name) && !freestanding)
    return false;
  for (size_t i = 0; i < elf->symbols.n; i++)
    if (!elf->symbols.v[i].defined && !strcmp(elf->symbols.v[i].name, name))
      return true;
  return false;
}

/* The bitcode was made for one processor; it must not say so. Vectors stand for
 * several core registers (ARM's __aeabi_ldivmod), wherever the target's own
 * functions would return them. */
static void make_generic(LLVMValueRef f) {
  static const char *const names[] = {"target-cpu",
                                      "target-features",
                                      "tune-cpu",
                                      "use-soft-float",
                                      "frame-pointer",
                                      "no-trapping-math",
                                      "stack-protector-buffer-size"};
  for (size_t i = 0; i < DN_COUNT(names); i++)
    LLVMRemoveStringAttributeAtIndex(
        f, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, names[i],
        (unsigned)strlen(names[i]));
  LLVMTypeRef result = LLVMGetReturnType(LLVMGlobalGetValueType(f));
  if (LLVMGetTypeKind(result) == LLVMVectorTypeKind)
    LLVMSetFunctionCallConv(f, LLVMARMAAPCSCallConv);
}

/* Deletes function bodies that are not needed. Calls to them stay as
 * declarations, which the next object lists as undefined symbols. */
static int keep_wanted(LLVMModuleRef soft, LLVMModuleRef module,
                       const struct cg_elf *elf, bool freestanding) {
  int kept = 0;
  LLVMValueRef next;
  for (LLVMValueRef f = LLVMGetFirstFunction(soft); f; f = next) {
    size_t n;
    const char *name = LLVMGetValueName2(f, &n);
    next = LLVMGetNextFunction(f);
    if (LLVMIsDeclaration(f))
      continue;
    LLVMValueRef there = LLVMGetNamedFunction(module, name);
    if (is_wanted(elf, name, freestanding) &&
        (!there || LLVMIsDeclaration(there))) {
      make_generic(f);
      LLVMSetLinkage(f, LLVMExternalLinkage); /* until it is linked */
      kept++;
      continue;
    }
    LLVMValueRef declared =
        LLVMAddFunction(soft, "", LLVMGlobalGetValueType(f));
    LLVMReplaceAllUsesWith(f, declared);
    char *copy = strdup(name);
    LLVMDeleteFunction(f);
    LLVMSetValueName2(declared, copy, n);
    free(copy);
  }
  return kept;
}

/* New declarations without a use would stay undefined in the object's eyes. */
static void drop_unused(LLVMModuleRef soft) {
  LLVMValueRef next;
  for (LLVMValueRef f = LLVMGetFirstFunction(soft); f; f = next) {
    next = LLVMGetNextFunction(f);
    if (LLVMIsDeclaration(f) && !LLVMGetFirstUse(f))
      LLVMDeleteFunction(f);
  }
}

/* Local names, so that two models and a compiler's library do not clash. */
static void make_local(LLVMModuleRef module, const struct cg_elf *elf) {
  for (size_t i = 0; i < elf->symbols.n; i++) {
    const struct cg_symbol *s = &elf->symbols.v[i];
    LLVMValueRef f = s->defined ? NULL : LLVMGetNamedFunction(module, s->name);
    if (f && !LLVMIsDeclaration(f))
      LLVMSetLinkage(f, LLVMInternalLinkage);
  }
}

int cg_soft_add(LLVMContextRef lc, LLVMModuleRef module, int pointer_bytes,
                const struct cg_elf *elf, bool freestanding) {
  LLVMModuleRef soft = NULL;
  LLVMMemoryBufferRef buffer = bitcode(module, pointer_bytes);
  if (LLVMParseBitcodeInContext2(lc, buffer, &soft))
    return -1;
  LLVMSetTarget(soft, LLVMGetTarget(module));
  LLVMSetDataLayout(soft, LLVMGetDataLayoutStr(module));
  int kept = keep_wanted(soft, module, elf, freestanding);
  drop_unused(soft);
  if (!kept)
    LLVMDisposeModule(soft);
  else if (LLVMLinkModules2(module, soft))
    return -1;
  make_local(module, elf);
  return kept;
}
