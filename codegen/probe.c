/* probe.c - what a CPU with its features can do, asked of LLVM itself: the C
 * API cannot list the features that a CPU's name implies, so small functions are
 * compiled, and the assembly is searched for what tells: how vectors are added
 * (VECTOR rows of targets.def), what became calls to a library, masks. In a
 * child process: impossible combinations make LLVM abort. */
#include "codegen/child.h"
#include "codegen/target.h"

#include "ir/diag.h"

#include <ctype.h>
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

static void build_call(LLVMContextRef lc, LLVMModuleRef mod, LLVMBuilderRef b,
                       const char *intrinsic, LLVMTypeRef type, unsigned n) {
  LLVMTypeRef params[] = {type, type, type};
  LLVMTypeRef fn_type = LLVMFunctionType(type, params, n, false);
  LLVMValueRef fn = LLVMAddFunction(mod, "probe_call", fn_type), args[3];
  unsigned id = LLVMLookupIntrinsicID(intrinsic, strlen(intrinsic));
  LLVMValueRef callee = LLVMGetIntrinsicDeclaration(mod, id, &type, 1);
  LLVMPositionBuilderAtEnd(b, LLVMAppendBasicBlockInContext(lc, fn, ""));
  LLVMGetParams(fn, args);
  LLVMBuildRet(b, LLVMBuildCall2(b, fn_type, callee, args, n, ""));
}

/* What becomes a call to a library where the processor cannot do it: fused
 * multiplication, rounding to integers, sums in f64. */
static void build_calls(LLVMContextRef lc, LLVMModuleRef mod,
                        LLVMBuilderRef b) {
  LLVMTypeRef f32 = LLVMFloatTypeInContext(lc);
  LLVMTypeRef f64 = LLVMDoubleTypeInContext(lc);
  LLVMTypeRef types[] = {f32, f64, LLVMVectorType(f32, 4)};
  static const char *const one[] = {"llvm.rint", "llvm.floor", "llvm.ceil",
                                    "llvm.trunc"};
  for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
    build_call(lc, mod, b, "llvm.fma", types[t], 3);
    for (size_t i = 0; i < sizeof one / sizeof *one; i++)
      build_call(lc, mod, b, one[i], types[t], 1);
  }
  LLVMTypeRef type = LLVMFunctionType(f64, (LLVMTypeRef[]){f64, f64}, 2, false);
  LLVMValueRef fn = LLVMAddFunction(mod, "probe_add64", type);
  LLVMPositionBuilderAtEnd(b, LLVMAppendBasicBlockInContext(lc, fn, ""));
  LLVMBuildRet(
      b, LLVMBuildFAdd(b, LLVMGetParam(fn, 0), LLVMGetParam(fn, 1), ""));
}

/* void probe_half(HALF *a, FLOAT *b) { *b = *a + *b; *a = *b; } */
static void build_half(LLVMContextRef lc, LLVMModuleRef mod, LLVMBuilderRef b,
                       unsigned lanes) {
  LLVMTypeRef half = LLVMHalfTypeInContext(lc), f32 = LLVMFloatTypeInContext(lc);
  if (lanes > 1) {
    half = LLVMVectorType(half, lanes);
    f32 = LLVMVectorType(f32, lanes);
  }
  LLVMTypeRef ptr = LLVMPointerTypeInContext(lc, 0);
  LLVMTypeRef params[] = {ptr, ptr};
  LLVMValueRef fn = LLVMAddFunction(
      mod, "probe_half",
      LLVMFunctionType(LLVMVoidTypeInContext(lc), params, 2, false));
  LLVMPositionBuilderAtEnd(b, LLVMAppendBasicBlockInContext(lc, fn, ""));
  LLVMValueRef x = LLVMBuildLoad2(b, half, LLVMGetParam(fn, 0), "");
  LLVMValueRef y = LLVMBuildLoad2(b, f32, LLVMGetParam(fn, 1), "");
  y = LLVMBuildFAdd(b, LLVMBuildFPExt(b, x, f32, ""), y, "");
  LLVMBuildStore(b, y, LLVMGetParam(fn, 1));
  LLVMBuildStore(b, LLVMBuildFPTrunc(b, y, half, ""), LLVMGetParam(fn, 0));
  LLVMBuildRetVoid(b);
}

/* <8 x float> probe_mask(<8 x float> a, <8 x float> b): the smaller ones plus
 * b, else a. AVX-512 does that to registers of any length under a mask only
 * with its extension VL. */
static void build_mask(LLVMContextRef lc, LLVMModuleRef mod, LLVMBuilderRef b) {
  LLVMTypeRef v = LLVMVectorType(LLVMFloatTypeInContext(lc), 8);
  LLVMTypeRef type = LLVMFunctionType(v, (LLVMTypeRef[]){v, v}, 2, false);
  LLVMValueRef fn = LLVMAddFunction(mod, "probe_mask", type);
  LLVMPositionBuilderAtEnd(b, LLVMAppendBasicBlockInContext(lc, fn, ""));
  LLVMValueRef x = LLVMGetParam(fn, 0), y = LLVMGetParam(fn, 1);
  LLVMValueRef less = LLVMBuildFCmp(b, LLVMRealOLT, x, y, "");
  LLVMValueRef sum = LLVMBuildFAdd(b, x, y, "");
  LLVMBuildRet(b, LLVMBuildSelect(b, less, sum, x, ""));
}

/* In the child: writes the assembly of the functions. */
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
  build_calls(lc, mod, b);
  if (t->row->backend != CG_Xtensa) { /* it has no f16, and LLVM fails */
    build_half(lc, mod, b, 1);
    build_half(lc, mod, b, 8);
  }
  if (t->row->backend == CG_X86)
    build_mask(lc, mod, b);
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

/* Whether one of the functions, whose names stand between spaces, is called. */
static bool calls(const char *text, const char *names) {
  while (*names) {
    size_t n = strcspn(names, " ");
    for (const char *p = text; (p = strchr(p, *names)); p++) {
      if (strncmp(p, names, n) != 0 || (p[-1] != ' ' && p[-1] != '\t'))
        continue;
      if (p[n] != '_' && !isalnum((unsigned char)p[n]))
        return true;
    }
    names += n + (names[n] == ' ');
  }
  return false;
}

static void read_vectors(struct cg_target *t, const char *text) {
  struct cg_facts *f = &t->facts;
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
}

/* Everything from the assembly alone: a feature may have come with the CPU's
 * name, or have been taken away again. */
static void read_calls(struct cg_target *t, const char *text) {
  struct cg_facts *f = &t->facts;
  struct cg_math_opts *m = &t->math;
  t->soft_f32 = calls(text, "__addsf3 __aeabi_fadd");
  t->soft_f64 = calls(text, "__adddf3 __aeabi_dadd");
  m->has_fma = !calls(text, "fmaf");
  m->has_round = !calls(text, "rintf floorf ceilf truncf");
  m->has_fsqrt = !t->soft_f32;
  m->has_f64 = !t->soft_f64 && (!m->has_fma || !calls(text, "fma")) &&
               (!m->has_round || !calls(text, "rint floor ceil trunc"));
  m->has_scalef = t->row->backend == CG_X86 && strstr(text, "ymm0 {%k");
  m->hides_splats = t->row->backend == CG_ARM && f->vector_bytes && !f->nan_max;
  t->half_hw = !t->soft_f32 && t->row->backend != CG_Xtensa &&
               !calls(text, "__extendhfsf2 __truncsfhf2 __gnu_h2f_ieee "
                            "__gnu_f2h_ieee __aeabi_h2f __aeabi_f2h") &&
               (!f->scalable || strstr(text, "vfwcvt.f.f.v"));
  t->has_double = strstr(text, "_d2p"); /* in RISC-V's .attribute arch */
  f->has_fma = m->has_fma;
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
  const char *text = dn_printf(ctx->arena, "\n%.*s", (int)child.size, child.out);
  read_vectors(t, text);
  read_calls(t, text);
  /* RISC-V: LLVM has no vectors of less than 64 bits, and fails where it tries
   * to use them (a comparison of i64 on riscv32). */
  if (strstr(text, "_zve32x") && vector_bits(text) < 64)
    f->features = dn_printf(ctx->arena, "%s%s-zve32x,-zvl32b", f->features,
                            *f->features ? "," : "");
  return true;
}
