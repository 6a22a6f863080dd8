/* place.h - the address of a value of a PLANNED module. Results of kernels have
 * plan attributes; a view's place follows from its operand's. Planner, code
 * generator, report and tools all call this one function. */
#ifndef IR_PLACE_H
#define IR_PLACE_H

#include "ir/ir.h"

enum ir_space {
  IR_IN_ARENA,
  IR_IN_INPUT,
  IR_IN_OUTPUT,
  IR_IN_CONST,
  IR_IN_SIZES /* of parameters: int64_t each, in the order of ir_sizes_of() */
};

/* Loops, one in the other, that places can move with. */
enum { IR_MAX_LOOPS_AROUND = 8 };

struct ir_place {
  enum ir_space space;
  unsigned number;             /* of the input, output or part of the arena */
  const struct ir_value *base; /* the constant */
  int64_t offset; /* bytes from the start of the space, part or constant */
  int64_t stride[IR_MAX_RANK];       /* elements */
  int64_t step[IR_MAX_LOOPS_AROUND]; /* bytes a turn of the loops around, the
                                        outermost first */
  /* Not NULL: an input or output of this type, dense at the sizes of a run;
   * `stride` then holds at the bounds of the sizes alone. */
  const struct ir_type *dense;
};

/* Ops outside kernels allocate no memory: a view is its operand's memory with
 * other strides, and the operands of a concat are pieces of its result. */
bool ir_is_view(const struct ir_op *op);
bool ir_is_concat(const struct ir_op *op);
/* The value behind the views of which `v` is the last; `stride`, of `v`,
 * becomes what that value must have for it. NULL: no strides do. */
const struct ir_value *ir_view_back(const struct ir_value *v, int64_t *stride);
/* The strides of what a loop stacks, where nothing else decides them:
 * row-major, or such that the first of the views behind it that needs so is
 * row-major. */
void ir_stack_strides(const struct ir_value *v, int64_t *stride);
/* The value behind views. */
const struct ir_value *ir_view_source(const struct ir_value *v);
/* Strides, in elements, and offset, in bytes, of the view that `op` makes of an
 * operand at `stride`; false when strides cannot express it. */
bool ir_view_of(const struct ir_op *op, const int64_t *stride,
                int64_t *out_stride, int64_t *out_bytes);

/* `loop` and `scan`: their regions run any number of times. */
bool ir_is_loop(const struct ir_op *op);
/* An op with regions but a kernel. */
bool ir_has_blocks(const struct ir_op *op);
/* Loops around an op of a block. */
int ir_loops_around(const struct ir_block *b);
/* Operands of a loop, and parameters of its region, before those that it
 * carries; values that a region yields before its op's results. */
unsigned ir_loop_skips(const struct ir_op *loop);
unsigned ir_yield_skips(const struct ir_op *op);
/* Values that a loop carries from turn to turn: its first results. */
unsigned ir_num_carried(const struct ir_op *loop);
/* The turns that a loop has at most, by its attribute and the rows of its
 * results and operands; INT64_MAX: any number. */
int64_t ir_max_turns(const struct ir_op *loop);
/* Its trip count, unlike that of a scan, may ask for more than `most` turns:
 * the run fails where it does so and the condition holds. */
bool ir_may_exceed(const struct ir_op *loop, int64_t most);
/* Turns that may run at once: 1, but for a scan that threads share; that has no
 * more than so many. */
enum { IR_MAX_THREADS = 1024 };
int64_t ir_turns_at_once(const struct ir_op *op);
/* There is a `loop` in it, which may fail. */
bool ir_holds_loop(const struct ir_op *scan);
/* One more loop around this one is not too many for those in it. */
bool ir_may_nest(const struct ir_op *loop);
/* Turns what a value of that type has into what its slice along dimension 0 has
 * in a turn of `loop`; false: there are too many loops around. */
bool ir_place_slice(const struct ir_op *loop, const struct ir_type *type,
                    int64_t *stride, int64_t *step);

/* Byte offsets of inputs, then outputs, that are placed in the arena: attribute
 * of the return op (0 before planning). NULL: they are buffers of the caller.
 * */
const int64_t *ir_io_places(const struct ir_func *f);

/* The result that holds how much of each dimension of result i counts, at run
 * time; -1: all of it does. */
int ir_dims_result(const struct ir_func *f, unsigned i);

/* ---- State: what a call leaves in memory of the caller's for the next ---- */

/* Whether a result of type `to` can be state in the memory of a parameter of
 * type `from`: the types are the same, not empty, and without sizes of run
 * time. */
bool ir_state_fits(const struct ir_type *from, const struct ir_type *to);
/* The parameter in whose memory operand i of a block's last op is left: for the
 * next turn of the loop around it or, of a return, for the next call. NULL: in
 * none. */
struct ir_value *ir_carried_param(const struct ir_op *end, unsigned i);
/* The result that is left in the memory of a parameter of the function; -1: in
 * none. */
int ir_state_of(const struct ir_value *param);
/* Byte offset of result i in the state, for large results a multiple of
 * `align`. With i = the number of results: the size of the state. */
int64_t ir_state_at(const struct ir_func *f, unsigned i, int64_t align);

/* Bytes of part 0 or 1 of the arena. */
int64_t ir_arena_part(const struct ir_module *m, unsigned part);
/* The part of the arena that an offset is in; the offset becomes the part's. */
unsigned ir_arena_find(const struct ir_module *m, int64_t *offset);

/* The bytes [*lo, *hi) of its space that `v` takes at a place, in all turns of
 * the loops around: none of what is empty or never made. false: they are out of
 * all range. */
bool ir_place_span(const struct ir_value *v, const struct ir_place *p,
                   int64_t *lo, int64_t *hi);
/* It is elsewhere in each turn of some loop. */
bool ir_place_moves(const struct ir_place *p);

/* false when the value has no place: an op outside kernels that is no view and
 * has no plan attributes, or a value inside a kernel. */
bool ir_place_of(const struct ir_value *v, struct ir_place *out);

#endif
