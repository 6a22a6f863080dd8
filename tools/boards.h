/* boards.h - --device=A,B,C: the model compiled for each board, and one table
 * of what it needs there. */
#ifndef TOOLS_BOARDS_H
#define TOOLS_BOARDS_H

#include "tools/options.h"

/* Whether --device names more than one. */
bool boards_asked(const struct options *o);
/* Prints the table. false when the model fits none, after the diagnostics of
 * the last. */
bool boards_table(struct dn_ctx *ctx, const struct options *o, FILE *out);

#endif
