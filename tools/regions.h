/* regions.h - reads --region=NAME:BYTES[:WHAT+WHAT],... */
#ifndef TOOLS_REGIONS_H
#define TOOLS_REGIONS_H

#include "codegen/cg.h"
#include "tools/options.h"

/* NULL after a diagnostic. */
struct cg_regions *regions_read(struct dn_ctx *ctx, const char *text);

#endif
