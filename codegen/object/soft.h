/* soft.h - arithmetic for processors without it: the functions that LLVM calls
 * for floats on a core without an FPU, for 64-bit integers on a 32-bit core and
 * the like (runtime/soft.c, built into dnnc as LLVM IR). They go into a model's
 * object under local names, so that it links without a compiler's library. */
#ifndef CG_SOFT_H
#define CG_SOFT_H

#include "codegen/object/elf.h"
#include "codegen/target/target.h"

/* Whether a function of this name is one of them. */
bool cg_soft_is(const char *name);
/* Adds those among the undefined symbols of an object made from `module` to
 * `module`; returns how many, or -1. With `freestanding` memcpy and memset too.
 * They may need others: emit and call again until it returns 0. */
int cg_soft_add(LLVMContextRef lc, LLVMModuleRef module, int pointer_bytes,
                const struct cg_elf *elf, bool freestanding);

#endif
