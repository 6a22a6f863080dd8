/* pack.h - what `pack` will do, for `tile`, which chooses the lanes. */
#ifndef PASS_PACK_H
#define PASS_PACK_H

#include "ir/nest.h"

/* Whether the operand of an access will be laid out so that lanes along
 * iterator `iter` read neighbours: constants, and what enough rows of a
 * contraction read to pay for a copy. */
bool pack_pays(const struct nest *n, int access, int iter);

#endif
