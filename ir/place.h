/* place.h - the address of a value of a PLANNED module. Results of kernels have
 * plan attributes; a view's place follows from its operand's. Planner, code
 * generator, report and tools all call this one function. */
#ifndef IR_PLACE_H
#define IR_PLACE_H

#include "ir/ir.h"

enum ir_space { IR_IN_ARENA, IR_IN_INPUT, IR_IN_OUTPUT, IR_IN_CONST };

struct ir_place {
  enum ir_space space;
  unsigned number;              /* of the input or output */
  const struct ir_value *base;  /* the constant */
  int64_t offset;               /* bytes from the start of the space or constant */
  int64_t stride[IR_MAX_RANK];  /* elements */
};

/* Ops outside kernels own no memory of their own: a view shows its operand's in
 * other strides, and the operands of a concat lie in its result as pieces. */
bool ir_is_view(const struct ir_op *op);
bool ir_is_concat(const struct ir_op *op);
/* Strides, in elements, and offset, in bytes, of the view that `op` makes of an
 * operand at `stride`; false when strides cannot express it. */
bool ir_view_of(const struct ir_op *op, const int64_t *stride,
                int64_t *out_stride, int64_t *out_bytes);

/* false when the value has no place: an op outside kernels that is no view and
 * has no plan attributes, or a value inside a kernel. */
bool ir_place_of(const struct ir_value *v, struct ir_place *out);

#endif
