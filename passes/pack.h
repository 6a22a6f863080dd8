/* pack.h - what can be packed: `tile` decides by it where the lanes go, and
 * `pack` then obeys the schedule. */
#ifndef PASS_PACK_H
#define PASS_PACK_H

#include "ir/nest.h"

/* The dimension of an access's operand that becomes the last one when lanes go
 * along iterator `iter`; -1: it is read where it lies. */
int pack_dim(const struct nest *n, int access, int iter);
/* Whether it is a constant that can be laid out with the elements along `inner`
 * side by side, for each index along `iter`. */
bool pack_has_runs(const struct nest *n, int access, int iter, int inner);
/* Whether columns in vectors of `width` are cut into panels. */
bool pack_cuts(int64_t columns, int64_t width, bool scalable);

#endif
