/* shared.h - --emit=shared: an object becomes a shared library. */
#ifndef TOOLS_SHARED_H
#define TOOLS_SHARED_H

#include "codegen/cg.h"

/* Links `object` to the file `path`: on the host by cc, for another target by
 * ld.lld, with nothing but, on the host, libdnn_parallel.a if it may call
 * for `threads`. It is an output of the run, as by dn_file_write(). false after
 * a diagnostic. */
bool shared_link(struct dn_ctx *ctx, const struct cg_blob *object,
                 const char *path, bool host, bool threads);

#endif
