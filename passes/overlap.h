/* overlap.h - results that are written over a part of an operand: how far from
 * it they must start so that what is written has been read. */
#ifndef PASS_OVERLAP_H
#define PASS_OVERLAP_H

#include "passes/liveness.h"
#include "passes/pass.h"

/* What the passes `order` and `plan` may do: overlap by their option or, when
 * it is negative, where RAM is what there is least of: without a system. */
enum live_reuse overlap_reuse(struct pass_env *env);

/* Bytes that the result of kernel `k` must start below the buffer or, with the
 * outermost loop going back, above it. false: nothing is known. */
bool overlap_find(const struct aliases *a, const struct ir_op *k, int buffer,
                  int64_t *down, int64_t *up);

#endif
