/* probe.c - the facts of a target. The C API cannot list the features that a
 * CPU's name implies, so the functions of probe.ll are compiled, and the probes
 * of ir/facts.def search the assembly: for the instruction that adds vectors
 * (VECTOR rows of targets.def), for calls to a library, for masks. In a child
 * process: impossible combinations make LLVM abort. */
#include "codegen/object/child.h"
#include "codegen/target/target.h"

#include "ir/diag.h"

#include <assert.h>
#include <ctype.h>
#include <llvm-c/Core.h>
#include <llvm-c/ErrorHandling.h>
#include <llvm-c/IRReader.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct vector_row {
  enum cg_backend backend;
  const char *text;
  int bytes, registers, scalable, bcast_operand, nan_max;
} vectors[] = {
#define VECTOR(LLVM, text, bytes, registers, scalable, bcast_operand, nan_max) \
  {CG_##LLVM, text, bytes, registers, scalable, bcast_operand, nan_max},
#include "codegen/target/targets.def"
};

static const struct dot_row {
  enum cg_backend backend;
  const char *text;
  int id, k, factor, least, shape, lanes, registers, step, apart;
} dots[] = {
#define DOT(ID, LLVM, text, k, factor, least, shape, lanes, registers, step,   \
            apart)                                                             \
  {CG_##LLVM,       text,  CG_DOT_##ID,    k,                                  \
   IR_DOT_##factor, least, IR_DOT_##shape, lanes,                              \
   registers,       step,  apart},
#include "codegen/target/targets.def"
};

/* LLVM IR: probe.ll, as bytes. */
static const unsigned char code[] = {
#include "probe.inc"
};

/* A string attribute of a function, or NULL. */
static const char *attribute(LLVMValueRef fn, const char *name) {
  unsigned n = 0;
  LLVMAttributeRef a = LLVMGetStringAttributeAtIndex(
      fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, name,
      (unsigned)strlen(name));
  return a ? LLVMGetStringAttributeValue(a, &n) : NULL;
}

/* Whether `text`, the assembly of functions before it, or NULL, and the target
 * let the function be compiled. */
static bool is_next(LLVMValueRef fn, const char *arch, const char *text) {
  const char *except = attribute(fn, "except"), *only = attribute(fn, "only");
  const char *after = attribute(fn, "after");
  if ((except && strstr(except, arch)) || (only && !strstr(only, arch)))
    return false;
  return after ? text && strstr(text, after) : !text;
}

/* Those functions of probe.ll; NULL without a message: there are none. */
static LLVMModuleRef probe_module(LLVMContextRef lc, const struct cg_target *t,
                                  const char *before, char **message) {
  LLVMModuleRef mod = NULL;
  LLVMMemoryBufferRef text = LLVMCreateMemoryBufferWithMemoryRangeCopy(
      (const char *)code, sizeof code, "probe.ll");
  if (LLVMParseIRInContext(lc, text, &mod, message))
    return NULL;
  bool any = false;
  for (LLVMValueRef fn = LLVMGetFirstFunction(mod), next; fn; fn = next) {
    next = LLVMGetNextFunction(fn);
    bool is_declared = !LLVMCountBasicBlocks(fn);
    bool keep = is_declared || is_next(fn, t->row->arch, before);
    any |= keep && !is_declared;
    if (!keep)
      LLVMDeleteFunction(fn);
  }
  return any ? mod : NULL;
}

/* An intrinsic that the processor lacks ends the child; what it wrote before that
 * stands. */
static void end_of_probe(const char *reason) {
  (void)reason;
  _exit(0);
}

/* In the child: writes the assembly of the functions, first of those that every
 * processor can do, then of those that may come after what was found. */
static bool probe_compile(void *user, int fd) {
  const struct cg_target *t = user;
  char *message = NULL;
  const char *text = NULL;
  LLVMTargetMachineRef machine = cg_target_machine(t, false, &message);
  while (machine) {
    LLVMMemoryBufferRef out = NULL;
    LLVMModuleRef mod = probe_module(LLVMContextCreate(), t, text, &message);
    if (!mod && !message)
      return true;
    if (!mod)
      break;
    LLVMSetTarget(mod, t->triple);
    LLVMSetModuleDataLayout(mod, LLVMCreateTargetDataLayout(machine));
    if (LLVMTargetMachineEmitToMemoryBuffer(machine, mod, LLVMAssemblyFile,
                                            &message, &out))
      break;
    text = LLVMGetBufferStart(out);
    if (!dn_write_all(fd, text, LLVMGetBufferSize(out)))
      return false;
    LLVMResetFatalErrorHandler();
    LLVMInstallFatalErrorHandler(end_of_probe);
  }
  fputs(message, stderr);
  return false;
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
static bool calls_any(const char *text, const char *names) {
  assert(*text == '\n' && "cg_target_probe() puts a line end in front");
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

/* The row of the target's vectors; without any all of it is zero. */
static struct vector_row read_vectors(const struct cg_target_row *row,
                                      const char *text) {
  for (size_t i = 0; i < DN_COUNT(vectors); i++)
    if (vectors[i].backend == row->backend && strstr(text, vectors[i].text))
      return vectors[i];
  return (struct vector_row){0};
}

static struct dot_row read_dot(const struct cg_target_row *row,
                               const char *text, bool bf16) {
  for (size_t i = 0; i < sizeof dots / sizeof *dots; i++)
    if (dots[i].backend == row->backend &&
        (dots[i].factor == IR_DOT_BF16) == bf16 && strstr(text, dots[i].text))
      return dots[i];
  return (struct dot_row){.k = 1};
}

/* Everything from the assembly alone: a feature may have come with the CPU's
 * name, or have been taken away again. */
static void read_facts(struct cg_target *t, const char *text) {
  const struct cg_target_row *row = t->row;
  const struct vector_row vectors_of = read_vectors(row, text);
  const struct vector_row *vec = &vectors_of;
  const struct dot_row dot_of[] = {read_dot(row, text, false),
                                   read_dot(row, text, true)};
  const struct dot_row *dot = &dot_of[0], *bdot = &dot_of[1];
  struct ir_facts *f = &t->facts;
#define calls(names) calls_any(text, names)
#define has(part) (strstr(text, part) != NULL)
#define matrix(part) (has(part) && strstr(t->names.triple, "linux") ? 64 : 0)
#define FACT(type, name, preset, probe, summary) f->name = (type)(probe);
#include "ir/facts.def"
#undef FACT
#undef matrix
#undef has
#undef calls
}

bool cg_target_probe(struct dn_ctx *ctx, struct cg_target *t) {
  struct cg_child child;
  struct cg_names *n = &t->names;
  cg_child_run(ctx, probe_compile, t, 60, &child);
  if (!child.ok)
    return dn_error(
        ctx, (struct dn_loc){0}, DN_CPU,
        "target '%s' with CPU '%s' and features '%s' does not work: %s",
        n->triple, n->cpu, n->features,
        child.message ? child.message : "no back end");
  const char *text =
      dn_printf(ctx->arena, "\n%.*s", (int)child.size, child.out);
  read_facts(t, text);
  assert(!(t->facts.align & (t->facts.align - 1)) &&
         "facts.def: vectors have a power of two of bytes");
  /* LLVM fails where it tries to use vectors of a type that RISC-V has none of
   * (a comparison of i64, a sine), and it has all types with Zve64d only; and
   * f16 of ARM that is rounded without the instructions of ARMv8. */
  const char *off = "";
  if (strstr(text, "_zve32x") && !strstr(text, "_zve64d"))
    off = "-zve32x,-zvl32b";
  else if (t->row->backend == CG_ARM && strstr(n->features, "+fullfp16") &&
           !strstr(text, "fp-armv8") && !strstr(text, "fpv5"))
    off = "-fullfp16";
  if (strstr(n->features, off))
    return true;
  n->features = dn_printf(ctx->arena, "%s%s%s", n->features,
                          *n->features ? "," : "", off);
  return cg_target_probe(ctx, t);
}
