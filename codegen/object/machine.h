/* machine.h - the half of cg_compile() that runs in the child process. */
#ifndef CG_MACHINE_H
#define CG_MACHINE_H

#include "codegen/cg.h"

struct cg_job {
  struct dn_ctx *ctx;
  const struct cg_target *target;
  const struct ir_module *module;
  const struct cg_opts *opts;
  enum cg_emit kind;
  int64_t macs;
  int file;         /* where the artefact goes: open, empty, seekable */
  const char *path; /* of `file` */
  size_t nkernels;
  /* Filled, for objects. */
  int64_t *kernel; /* bytes of code of each, */
  int64_t soft;    /* and of arithmetic that the processor lacks */
  int64_t tables;
  int64_t stack, stack_least, text, weights;
  uint64_t abi; /* of weights apart, */
  int64_t blob; /* and the size of their file */
};
/* false after diagnostics. */
bool cg_machine_run(struct cg_job *job);

#endif
