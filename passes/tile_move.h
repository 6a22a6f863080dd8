/* tile_move.h - along which dimension a kernel that does not fold reads. */
#ifndef PASS_TILE_MOVE_H
#define PASS_TILE_MOVE_H

#include "passes/aliases.h"

/* The dimension of the result along which more of what the kernel reads is
 * contiguous than along `last`, and large enough for `lanes`; -1: none. */
int tile_read_dim(struct dn_arena *scratch, const struct aliases *aliases,
                  const struct ir_op *kernel, int last, int64_t lanes);

/* A kernel that takes elements from several runs in turn (the channel shuffle
 * of ShuffleNet): how many runs the last dimension has, 0 when it is none such.
 */
int64_t tile_runs(struct dn_arena *scratch, const struct aliases *aliases,
                  const struct ir_op *kernel);

#endif
