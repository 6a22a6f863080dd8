/* emit.h - a PLANNED module to LLVM IR: constants, one internal function per
 * kernel, and the entry function
 *
 *   int PREFIX_run(const T *input..., T *output..., void *arena)
 *
 * Code generation decides nothing: loops, tiles, vector lengths and places are
 * read from the module (nests, schedule and plan attributes). */
#ifndef CG_EMIT_H
#define CG_EMIT_H

#include "codegen/cg.h"

#include <llvm-c/Core.h>

/* Fills `out`, whose triple and data layout are set, from a verified PLANNED
 * module. Every kernel function is noinline and in a section of its own
 * (.text.PREFIX.NAME), every constant too (.rodata.PREFIX.NAME); only
 * PREFIX_run (and PREFIX_profile with opts->profile) has external linkage.
 * false after diagnostics that name the nodes. */
bool cg_emit_module(struct dn_ctx *ctx, const struct cg_target *t,
                    const struct ir_module *m, const struct cg_opts *opts,
                    LLVMContextRef lc, LLVMModuleRef out);

#endif
