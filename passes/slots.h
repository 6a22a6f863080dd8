/* slots.h - which values share memory, whatever the order and the offsets: a
 * view lies where its operand lies, the operands of a concat lie inside it, and
 * what a function returns lies in the caller's buffer. Every other value gets a
 * buffer of its own. A slot is a place relative to its buffer. */
#ifndef PASS_SLOTS_H
#define PASS_SLOTS_H

#include "ir/ir.h"

struct slot {
  int buffer;                  /* -1: a parameter or a constant */
  int64_t offset;              /* bytes from the start of the buffer */
  int64_t stride[IR_MAX_RANK]; /* elements */
};

struct slot_buffer {
  int64_t size; /* bytes */
  int out;      /* number of the function's result, or -1: in the arena */
  const struct ir_value *owner; /* the value that fills it */
};

struct slots {
  struct dn_arena *arena;
  struct ir_func *func;
  struct slot **of; /* by value id; NULL: none */
  size_t cap;
  DN_LIST(struct slot_buffer) buffers;
};

/* Slots of all values at function level of a KERNELS module. Where an operand
 * of a concat or of the return cannot lie in its place (it is a parameter, or
 * lies elsewhere already), or a view cannot be expressed by strides, a kernel
 * that copies is inserted; *copies counts them. Views without users go. */
struct slots *slots_build(struct dn_arena *arena, struct ir_func *f,
                          int64_t *copies);
const struct slot *slot_of(const struct slots *s, const struct ir_value *v);
/* An op at function level that neither computes nor owns memory. */
bool slot_is_view(const struct ir_op *op);
/* Strides and byte offset of the view that `op` makes of its operand; false
 * when strides cannot express it. */
bool slot_view(const struct ir_op *op, const int64_t *stride,
               int64_t *out_stride, int64_t *out_bytes);
bool slot_is_dense(const int64_t *stride, const struct ir_type *type);
/* A kernel before `root` that yields root's value under its name, to all its
 * users; loc of `named`. The ops have yet to be moved, to before the yield. */
struct ir_op *slot_kernel(struct ir_op *root, const struct ir_op *named);
/* A kernel that copies `v`, inserted before `before`. */
struct ir_value *slot_copy(struct ir_value *v, struct ir_op *before);

#endif
