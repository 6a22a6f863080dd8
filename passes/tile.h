/* tile.h - the schedule of one kernel, for passes that make kernels behind the
 * pass tile. */
#ifndef PASS_TILE_H
#define PASS_TILE_H

#include "passes/aliases.h"
#include "passes/pass.h"

/* Writes tile, vec and unroll of `kernel`, whose operands `aliases` knows. */
void tile_kernel(struct pass_env *env, const struct aliases *aliases,
                 struct ir_op *kernel, int64_t max_unroll);

#endif
