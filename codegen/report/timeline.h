/* timeline.h - the arena over time: which bytes each value of a planned module
 * takes, and while which ops run. Steps number the ops outside kernels that do
 * something; the end of an op with regions is a step, too. */
#ifndef CG_TIMELINE_H
#define CG_TIMELINE_H

#include "ir/ir.h"

/* Bytes [lo, hi) of the arena, in use in steps [first, last]: a value that is
 * no view of another. In a loop they are those of all turns. */
struct cg_span {
  const struct ir_value *value;
  int64_t lo, hi;
  size_t first, last;
};
struct cg_timeline {
  DN_LIST(struct cg_span) spans;    /* in the order of `first` */
  DN_LIST(const struct ir_op *) op; /* of each step */
  size_t *start, *stop;             /* by op id: its steps */
  int64_t *live;                    /* bytes in use in each step */
};

void cg_timeline_build(struct cg_timeline *t, struct dn_arena *arena,
                       const struct ir_module *m);

#endif
