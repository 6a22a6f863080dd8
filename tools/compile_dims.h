/* compile_dims.h - private to compile*.c: the sizes of dimensions and loops
 * that a command line gives. Each function is false after diagnostics. */
#ifndef TOOLS_COMPILE_DIMS_H
#define TOOLS_COMPILE_DIMS_H

#include "tools/compile.h"

/* Reads --dim into fe->dims, and bounds into c->sizes, --loop-max into
 * fe->loops. */
bool dims_read(struct compile *c, struct fe_opts *fe);
/* Makes a parameter of c->sizes of a size with a bound. */
bool dims_bound(struct compile *c, const struct fe_dim *d);
/* Checks that each --dim names a free dimension of the model, or one that
 * another --dim is made of; and each --loop-max a loop, where all were
 * imported. */
bool dims_check(struct compile *c, const struct fe_opts *fe);

#endif
