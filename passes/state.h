/* state.h - state that grows from call to call. */
#ifndef PASSES_STATE_H
#define PASSES_STATE_H

#include "ir/ir.h"

/* Result `out` is parameter `in` with more rows behind its own, whose number is
 * a size: makes both the memory of the most rows that there can be, into which
 * the function puts the new ones. false: it is not. */
bool state_grow(struct ir_func *f, unsigned out, struct ir_value *in);

#endif
