/* target.h - a resolved target, within codegen. Rows: targets.def. */
#ifndef CG_TARGET_H
#define CG_TARGET_H

#include "codegen/cg.h"

#include <llvm-c/TargetMachine.h>

enum cg_backend { CG_X86, CG_AArch64, CG_ARM, CG_RISCV, CG_Xtensa };

enum cg_dot {
  CG_DOT_NONE,
#define DOT(ID, LLVM, text, k, factor, least, shape, lanes, registers, step,   \
            apart)                                                             \
  CG_DOT_##ID,
#include "codegen/target/targets.def"
};

struct cg_target_row {
  enum cg_backend backend;
  const char *arch, *triple;
  const char *const *cpus, *const *features; /* names LLVM knows, NULL ends */
  const char *cpu, *bare_features, *os_features;
  const char *abis; /* names between spaces */
  LLVMCodeModel model;
  int pointer_bytes;
  int l1, l2, l3; /* KiB */
  const char *summary;
};

struct cg_target {
  const struct cg_target_row *row;
  struct ir_facts facts;
  struct cg_names names;
  const char *triple; /* normalised: every part in its place */
  const char *abi; /* "" leaves it to LLVM, by the features */
  int opt_level;
  bool opt_size;
};

/* The command line by clang's rules: what is given, and defaults. */
struct cg_choice {
  const struct cg_target_row *row;
  const char *triple, *cpu, *features;
  bool hard, soft; /* ARM: floats pass in registers; there are none */
};
/* 32-bit ARM; else after the row is found. False after a diagnostic. */
bool cg_arm_choose(struct dn_ctx *ctx, const struct cg_target_opts *o,
                   struct cg_choice *c);
bool cg_march_choose(struct dn_ctx *ctx, const struct cg_target_opts *o,
                     struct cg_choice *c);
bool cg_is_arm(const char *triple);
/* "thumbv7em" of "cortex-m4"; NULL when it is no CPU of 32-bit ARM. */
const char *cg_arm_arch(struct dn_ctx *ctx, const char *cpu);
/* The row of a triple, or NULL. */
const struct cg_target_row *cg_find_row(const char *triple);
bool cg_name_known(const char *const *names, const char *name);
bool cg_has_system(const char *triple);

/* A target machine; NULL and a message, to be disposed of, when LLVM has none.
 * Initialises the back end. `large`: code that reaches more than 2 GB of
 * constants. */
LLVMTargetMachineRef cg_target_machine(const struct cg_target *t, bool large,
                                       char **message);
/* Fills the facts in by compiling a probe; false after a diagnostic when
 * the CPU and features make no working combination (codegen/target/probe.c). */
bool cg_target_probe(struct dn_ctx *ctx, struct cg_target *t);

#endif
