/* target.h - a resolved target, within codegen. Rows: targets.def. */
#ifndef CG_TARGET_H
#define CG_TARGET_H

#include "codegen/cg.h"

#include <llvm-c/TargetMachine.h>

enum cg_backend { CG_X86, CG_AArch64, CG_ARM, CG_RISCV, CG_Xtensa };

struct cg_target_row {
  enum cg_backend backend;
  const char *arch, *triple;
  const char *const *cpus, *const *features; /* names LLVM knows, NULL ends */
  const char *cpu, *bare_features, *os_features;
  LLVMCodeModel model;
  int pointer_bytes;
  int l1, l2, l3; /* KiB */
  const char *summary;
};

struct cg_target {
  const struct cg_target_row *row;
  struct cg_facts facts;
  const char *abi; /* "" leaves it to LLVM, by the features */
  bool soft_float; /* float arithmetic calls functions */
  int opt_level;
  bool opt_size;
};

/* A target machine; NULL and a message, to be disposed of, when LLVM has none.
 * Initialises the back end. `large` asks for code that reaches more than 2 GB
 * of constants. */
LLVMTargetMachineRef cg_target_machine(const struct cg_target *t, bool large,
                                       char **message);
/* Fills the vector facts by compiling a probe; false after a diagnostic when
 * the CPU and features make no working combination (codegen/probe.c). */
bool cg_target_probe(struct dn_ctx *ctx, struct cg_target *t);

#endif
