/* archive.h - an object as a static library: what package formats take. */
#ifndef TOOLS_ARCHIVE_H
#define TOOLS_ARCHIVE_H

#include "codegen/cg.h"

/* An `ar` archive with one member and its index of symbols, all dates zero. */
bool archive_make(struct dn_ctx *ctx, const char *member,
                  const struct cg_blob *object, struct cg_blob *out);

#endif
