/* process.h - what each tool does first, so that files and streams which are
 * closed, full or cut short are diagnostics. */
#ifndef TOOLS_PROCESS_H
#define TOOLS_PROCESS_H

#include "ir/base.h"

void process_start(void);
/* The end of a tool whose work went well or not: puts the outputs in place, or
 * removes them, and flushes the standard output; a failure is a diagnostic. */
void process_finish(struct dn_ctx *ctx, bool ok);

#endif
