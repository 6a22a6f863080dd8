/* aliases.h - which values share a buffer, whatever the order of the ops and
 * the offsets of the buffers: a view aliases its operand, the operands of a
 * concat lie inside its result, and what a function returns lies in the
 * caller's buffer. What a loop carries has one buffer: the value that enters,
 * the parameter, what is yielded, the result. What a region yields lies in the
 * result of its op; a slice, in a turn's part of it. Every other value has a
 * buffer of its own, as have inputs and outputs in the arena. A query: it
 * changes nothing, and lists what the pass materialize has to copy. */
#ifndef PASS_ALIASES_H
#define PASS_ALIASES_H

#include "ir/place.h"
#include "ir/runs.h"

struct alias {                       /* where a value lies in its buffer */
  int buffer;                        /* -1: a parameter or a constant */
  int64_t offset;                    /* bytes from the start of the buffer */
  int64_t stride[IR_MAX_RANK];       /* elements */
  int64_t step[IR_MAX_LOOPS_AROUND]; /* as a place's */
};

struct alias_buffer {
  int64_t size; /* bytes */
  int out;      /* number of the function's result, or -1: in the arena */
  const struct ir_value *owner; /* the value that fills it */
  const struct ir_block *home;  /* it lives there, through whole ops */
  bool enters, leaves;          /* an input or an output in the arena */
};

/* An operand that does not lie where a concat, the return or a yield needs it;
 * with operand -1, a view without users. */
struct alias_misfit {
  struct ir_op *op;
  int operand;
};

struct aliases {
  struct dn_arena *arena;
  struct ir_func *func;
  bool over_slices;
  struct alias **of; /* by value id; NULL: a value inside a kernel */
  size_t cap;
  unsigned *position; /* of ops in their blocks, by id */
  int *node;          /* of liveness.c: an op's, by id, in the block at hand */
  DN_LIST(struct alias_buffer) buffers;
  DN_LIST(struct alias_misfit) misfits; /* none behind materialize */
};

/* Aliases of all values outside kernels of a KERNELS module. A misfit counts
 * as a value with a buffer of its own. */
struct aliases *aliases_build(struct dn_arena *arena, struct ir_func *f);
/* And what a plan may do that uses memory again: with `over_slices`, results
 * lie over slices where they can (inplace.h). */
struct aliases *aliases_reusing(struct dn_arena *arena, struct ir_func *f,
                                bool over_slices);
const struct alias *alias_of(const struct aliases *a, const struct ir_value *v);
/* The op of block `b` that is `op`, or has it in its regions. */
struct ir_op *alias_op_in(const struct ir_block *b, struct ir_op *op);
/* Operand i of the last op of block `b`, which a parameter of the block stands
 * for next time (ir_carried_param), is made in the memory of that by this
 * kernel; NULL: in no kernel of the block. */
struct ir_op *alias_carrier(const struct aliases *a, const struct ir_block *b,
                            unsigned i);

/* What a kernel reads, by the strides of aliases; a kernel made since then has
 * a row-major result. */
struct reads *aliases_reads(struct dn_arena *arena, const struct aliases *s,
                            const struct ir_op *kernel);
/* What it can load at once. */
struct runs *aliases_runs(struct dn_arena *arena, const struct aliases *s,
                          const struct ir_op *kernel,
                          const struct ir_facts *target);

#endif
