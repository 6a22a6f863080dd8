/* cycles.h - how long an op of a kernel computes, roughly: for passes that
 * weigh work against bytes or threads. */
#ifndef PASS_CYCLES_H
#define PASS_CYCLES_H

#include "passes/pass.h"

/* Right within a factor of two or so. */
double cycles_of(const struct pass_env *env, const struct ir_op *op);

#endif
