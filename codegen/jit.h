/* jit.h - loads an object that cg_compile() made for the host into this
 * process, by LLVM's ORC, and finds its functions. */
#ifndef CG_JIT_H
#define CG_JIT_H

#include "codegen/cg.h"

struct cg_jit;

/* Links `object` with this process's memcpy and memset and the symbols given:
 * names[i] is at addresses[i]. NULL after a diagnostic. `object` is copied. */
struct cg_jit *cg_jit_new(struct dn_ctx *ctx, const struct cg_blob *object,
                          const char *const *names, void *const *addresses,
                          size_t n);
/* Address of a global symbol ("kws_run", "kws_model"), or NULL: without a
 * diagnostic when the object has none, with one when it cannot be loaded. */
void *cg_jit_find(struct cg_jit *jit, const char *name);
void cg_jit_free(struct cg_jit *jit);

/* Name of the one model in an object: the PREFIX of its PREFIX_model symbol.
 * NULL after a diagnostic that names `path`. */
const char *cg_jit_prefix(struct dn_ctx *ctx, const struct cg_blob *object,
                          const char *path);

#endif
