/* device.h - boards by name: --device=NAME stands for a target and budgets.
 * The known ones are in devices.json, which is built in; a user's own file of
 * the same form is given as --device=FILE.json or --device=FILE.json:NAME. */
#ifndef TOOLS_DEVICE_H
#define TOOLS_DEVICE_H

#include "tools/options.h"

/* Fills what `o` leaves open. false after diagnostics. */
bool device_apply(struct dn_ctx *ctx, const char *name, struct options *o);
/* --list-devices */
bool device_list(struct dn_ctx *ctx, FILE *out);

#endif
