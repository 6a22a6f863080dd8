/* emit.h - a PLANNED module to LLVM IR: constants, one internal function per
 * kernel, and the entry function
 *
 *   int PREFIX_run(const T *input..., T *output..., int64_t size..., void *arena)
 *
 * with --weights `const void *weights` before the arena, and PREFIX_load().
 *
 * Code generation decides nothing: loops, tiles, vector lengths and places are
 * read from the module (nests, schedule and plan attributes). */
#ifndef CG_EMIT_H
#define CG_EMIT_H

#include "codegen/cg.h"

#include <llvm-c/Core.h>

/* Constants can be most of an object, and LLVM would hold several copies of
 * them: those that are large are zeroes in the module, and their bytes belong
 * at the start of their section in the object file. */
enum { CG_FILL_MIN = 4096 };
struct cg_fill {
  const char *section; /* in the context's arena */
  struct cg_blob bytes;
};
struct cg_fills {
  DN_LIST(struct cg_fill) list;
};

/* Whether the constants exceed the reach of the small code model. On x86-64
 * they then go into .lrodata, after all other sections, and are addressed by
 * 64-bit offsets; other targets reach them or refuse the module. */
bool cg_is_large(const struct ir_module *m);

/* Fills `out`, whose triple and data layout are set, from a verified PLANNED
 * module. Every kernel function is noinline and in a section of its own
 * (.text.PREFIX.NAME), every constant too (.rodata.PREFIX.NAME, large ones
 * .lrodata); only PREFIX_run (and PREFIX_profile with opts->profile) has
 * external linkage. Large constants go to `later`; NULL: into the module, too.
 * false after diagnostics that name the nodes. */
bool cg_emit_module(struct dn_ctx *ctx, const struct cg_target *t,
                    const struct ir_module *m, const struct cg_opts *opts,
                    LLVMContextRef lc, LLVMModuleRef out,
                    struct cg_fills *later);

#endif
