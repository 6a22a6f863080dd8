/* probe.c - what a CPU with its features can do, asked of LLVM itself: the C
 * API cannot list the features that a CPU's name implies, so a function that
 * adds vectors and one that multiplies and adds are compiled, and the assembly
 * is searched for what tells (VECTOR rows of targets.def). In a child process:
 * impossible combinations make LLVM abort. */
#include "codegen/child.h"
#include "codegen/target.h"

#include "ir/diag.h"

#include <llvm-c/Core.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct vector_row {
  enum cg_backend backend;
  const char *text;
  int bytes, registers, scalable, factors, nan_max;
} vectors[] = {
#define VECTOR(LLVM, text, bytes, registers, scalable, factors, nan_max)       \
  {CG_##LLVM, text, bytes, registers, scalable, factors, nan_max},
#include "codegen/targets.def"
};

static void string_attribute(LLVMContextRef lc, LLVMValueRef fn,
                             const char *name, const char *value) {
  LLVMAddAttributeAtIndex(
      fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
      LLVMCreateStringAttribute(lc, name, (unsigned)strlen(name), value,
                                (unsigned)strlen(value)));
}

/* void probe_add(<16 x float> *a, <16 x float> *b) { *a = *a + *b; } */
static void build_add(LLVMContextRef lc, LLVMModuleRef mod, LLVMBuilderRef b) {
  LLVMTypeRef ptr = LLVMPointerTypeInContext(lc, 0);
  LLVMTypeRef vector = LLVMVectorType(LLVMFloatTypeInContext(lc), 16);
  LLVMValueRef fn =
      LLVMAddFunction(mod, "probe_add",
                      LLVMFunctionType(LLVMVoidTypeInContext(lc),
                                       (LLVMTypeRef[]){ptr, ptr}, 2, false));
  string_attribute(lc, fn, "prefer-vector-width", "512");
  string_attribute(lc, fn, "min-legal-vector-width", "512");
  LLVMPositionBuilderAtEnd(b, LLVMAppendBasicBlockInContext(lc, fn, ""));
  LLVMValueRef x = LLVMBuildLoad2(b, vector, LLVMGetParam(fn, 0), "");
  LLVMValueRef y = LLVMBuildLoad2(b, vector, LLVMGetParam(fn, 1), "");
  LLVMBuildStore(b, LLVMBuildFAdd(b, x, y, ""), LLVMGetParam(fn, 0));
  LLVMBuildRetVoid(b);
}

/* float probe_fma(float a, float b, float c) { return fma(a, b, c); } */
static void build_fma(LLVMContextRef lc, LLVMModuleRef mod, LLVMBuilderRef b) {
  LLVMTypeRef f32 = LLVMFloatTypeInContext(lc);
  LLVMTypeRef type =
      LLVMFunctionType(f32, (LLVMTypeRef[]){f32, f32, f32}, 3, false);
  LLVMValueRef fn = LLVMAddFunction(mod, "probe_fma", type);
  LLVMValueRef fma = LLVMAddFunction(mod, "llvm.fma.f32", type);
  LLVMPositionBuilderAtEnd(b, LLVMAppendBasicBlockInContext(lc, fn, ""));
  LLVMValueRef args[] = {LLVMGetParam(fn, 0), LLVMGetParam(fn, 1),
                         LLVMGetParam(fn, 2)};
  LLVMBuildRet(b, LLVMBuildCall2(b, type, fma, args, 3, ""));
}

/* In the child: writes the assembly of both functions. */
static bool probe_compile(void *user, int fd) {
  const struct cg_target *t = user;
  char *message = NULL;
  LLVMMemoryBufferRef text = NULL;
  LLVMContextRef lc = LLVMContextCreate();
  LLVMModuleRef mod = LLVMModuleCreateWithNameInContext("probe", lc);
  LLVMTargetMachineRef machine = cg_target_machine(t, false, &message);
  if (!machine) {
    fputs(message, stderr);
    return false;
  }
  LLVMBuilderRef b = LLVMCreateBuilderInContext(lc);
  build_add(lc, mod, b);
  build_fma(lc, mod, b);
  LLVMSetTarget(mod, t->triple);
  LLVMSetModuleDataLayout(mod, LLVMCreateTargetDataLayout(machine));
  if (LLVMTargetMachineEmitToMemoryBuffer(machine, mod, LLVMAssemblyFile,
                                          &message, &text)) {
    fputs(message, stderr);
    return false;
  }
  const char *p = LLVMGetBufferStart(text);
  for (size_t left = LLVMGetBufferSize(text); left;) {
    ssize_t n = write(fd, p, left);
    if (n <= 0)
      return false;
    p += n;
    left -= (size_t)n;
  }
  return true;
}

/* RISC-V: the largest N of "zvlNb" in the architecture's name. */
static int vector_bits(const char *text) {
  int bits = 0;
  while ((text = strstr(text, "zvl"))) {
    text += 3;
    bits = (int)dn_max(bits, strtol(text, NULL, 10));
  }
  return bits;
}

bool cg_target_probe(struct dn_ctx *ctx, struct cg_target *t) {
  struct cg_child child;
  struct cg_facts *f = &t->facts;
  cg_child_run(ctx, probe_compile, t, 60, &child);
  if (!child.ok) {
    dn_error(ctx, (struct dn_loc){0}, DN_CPU,
             "target '%s' with CPU '%s' and features '%s' does not work: %s",
             f->triple, f->cpu, f->features,
             child.message ? child.message : "no back end");
    return false;
  }
  const char *text = dn_strndup(ctx->arena, child.out, child.size);
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
    const struct vector_row *v = &vectors[i];
    if (v->backend != t->row->backend || !strstr(text, v->text))
      continue;
    f->vector_bytes = v->bytes;
    f->vector_regs = v->registers;
    f->scalable = v->scalable;
    f->factors = v->factors;
    f->nan_max = v->nan_max;
    if (v->scalable && vector_bits(text) / 8 > v->bytes)
      f->vector_bytes = vector_bits(text) / 8;
    break;
  }
  /* Without the instruction it becomes a call to the C library. */
  f->has_fma = !strstr(text, "fmaf");
  t->soft_float = strstr(text, "__addsf3") || strstr(text, "__aeabi_fadd");
  t->has_double = strstr(text, "_d2p"); /* in RISC-V's .attribute arch */
  return true;
}
