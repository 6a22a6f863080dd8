/* nest_map.h - private to nest*.c: MAP rows. */
#ifndef IR_NEST_MAP_H
#define IR_NEST_MAP_H

#include "ir/nest.h"

/* Fills iterators, accesses and nodes from the row's s-expression; NULL, or
 * what is wrong with the row. */
const char *nest_build_map(struct dn_arena *arena, const struct ir_op *op,
                           struct nest *n);
/* Checks the syntax and the names of a MAP row. */
const char *nest_check_map(struct dn_arena *arena, enum ir_opcode code);

#endif
