/* jit.h - loads an object that cg_compile() made for the host into this
 * process, by LLVM's ORC, and finds its functions. */
#ifndef CG_JIT_H
#define CG_JIT_H

#include "codegen/cg.h"

struct cg_jit;

/* Links `object` with this process's memcpy and memset. NULL after a
 * diagnostic: an internal error, or where a user gave the object as the file
 * `path`, its fault. `object` is copied. */
struct cg_jit *cg_jit_new(struct dn_ctx *ctx, const struct cg_blob *object,
                          const char *path);
/* Address of a global symbol that the object defines; NULL after a
 * diagnostic. */
void *cg_jit_find(struct cg_jit *jit, const char *name);
void cg_jit_free(struct cg_jit *jit);

#endif
