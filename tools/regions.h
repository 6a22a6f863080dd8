/* regions.h - reads --region=NAME:BYTES[:WHAT+WHAT],... */
#ifndef TOOLS_REGIONS_H
#define TOOLS_REGIONS_H

#include "codegen/cg.h"
#include "tools/options.h"

/* NULL after a diagnostic. */
struct cg_regions *regions_read(struct dn_ctx *ctx, const char *text);
/* Reads --waits=NAME:CYCLES,... into the options; false after a diagnostic. */
bool waits_read(struct dn_ctx *ctx, const char *text, struct cg_opts *out);
/* A pipeline that ends with `plan`, with the room that regions, or none (NULL),
 * have for arenas: the first, and the largest of the rest. */
const char *regions_plan(struct dn_ctx *ctx, const struct cg_regions *r,
                         const char *text);

#endif
