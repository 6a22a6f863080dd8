/* aliases.h - which values share a buffer, whatever the order of the ops and
 * the offsets of the buffers: a view aliases its operand, the operands of a
 * concat lie inside its result, and what a function returns lies in the
 * caller's buffer. Every other value has a buffer of its own. A query: it
 * changes nothing, and lists what the pass materialize has to copy. */
#ifndef PASS_ALIASES_H
#define PASS_ALIASES_H

#include "ir/place.h"
#include "ir/reads.h"

struct alias {                 /* where a value lies in its buffer */
  int buffer;                  /* -1: a parameter or a constant */
  int64_t offset;              /* bytes from the start of the buffer */
  int64_t stride[IR_MAX_RANK]; /* elements */
};

struct alias_buffer {
  int64_t size; /* bytes */
  int out;      /* number of the function's result, or -1: in the arena */
  const struct ir_value *owner; /* the value that fills it */
};

/* An operand that does not lie where a concat or the return needs it; with
 * operand -1, a view without users. */
struct alias_misfit {
  struct ir_op *op;
  int operand;
};

struct aliases {
  struct dn_arena *arena;
  struct ir_func *func;
  struct alias **of; /* by value id; NULL: a value inside a kernel */
  size_t cap;
  DN_LIST(struct alias_buffer) buffers;
  DN_LIST(struct alias_misfit) misfits; /* none behind materialize */
};

/* Aliases of all values at function level of a KERNELS module. A misfit counts
 * as a value with a buffer of its own. */
struct aliases *aliases_build(struct dn_arena *arena, struct ir_func *f);
const struct alias *alias_of(const struct aliases *a, const struct ir_value *v);

/* What a kernel reads, by the strides of aliases; a kernel made since then has a
 * row-major result. */
struct reads *aliases_reads(struct dn_arena *arena, const struct aliases *s,
                            const struct ir_op *kernel);

#endif
