/* inplace.h - which reads of a kernel are of the very element that it is about
 * to write: what is read so may be written over. */
#ifndef PASS_INPLACE_H
#define PASS_INPLACE_H

#include "passes/aliases.h"

struct inplace;

/* Analyses the kernel's body, which must stay unchanged while the result is
 * used. */
struct inplace *inplace_build(struct dn_arena *arena, const struct ir_op *k);
/* `u`, of an op in the body, reads each element where the kernel writes it. */
bool inplace_reads_own(const struct inplace *p, const struct ir_use *u);

/* In the turns of a scan, the kernel's result may overwrite what it reads of a
 * slice, at *at: the scan's operand has no other reader. Views of slices need
 * no aliases yet. */
bool inplace_over_slice(const struct aliases *a, const struct ir_op *k,
                        struct alias *at);

#endif
