/* loops.h - the loops of a kernel over the elements that it stores: what its
 * attribute `loops` says or, without it, one loop a dimension by `tile`,
 * `order` and `lanes`. Code generation obeys them, one by one. */
#ifndef IR_LOOPS_H
#define IR_LOOPS_H

#include "ir/affine.h"
#include "ir/ir.h"

enum { IR_MAX_LOOPS = 2 * IR_MAX_RANK };

struct ir_loop {
  int first, last; /* dimensions that are one loop; those between have size 1
                      or belong to it */
  int64_t block;   /* indices that one step goes on */
  int64_t extent;  /* steps */
  const struct ir_size *size; /* as many at run time; NULL: extent. Such a loop
                                 has no blocks and no cuts */
  int64_t tile;        /* steps that are computed at once, in registers */
  int64_t ncuts;       /* steps at which the loop is cut into several: */
  const int64_t *cuts; /* rising, each within (0, extent) */
  bool par;            /* threads share its tiles */
  bool back;           /* from the last tile to the first */
  bool lanes;          /* operands are contiguous along it: squares of it and of
                          the last loop are transposed in registers */
};
struct ir_loops {
  int n;
  struct ir_loop loop[IR_MAX_LOOPS]; /* the outermost first */
};

/* What is stored: the kernel's result, or the slices that go onto an operand.
 */
const struct ir_type *loops_type(const struct ir_op *kernel);
/* The loops, in memory of the module; NULL, or what is wrong with them, of a
 * module that has not been verified. */
const char *loops_read(const struct ir_op *kernel, struct ir_loops *out);
/* Writes them, in place of `tile`, `order` and `lanes`. */
void loops_write(struct ir_op *kernel, const struct ir_loops *loops);
/* Elements of dimension `d` that are computed at once. */
int64_t loops_tile(const struct ir_op *kernel, int d);
/* The loop that has the lanes: over the last dimension, without blocks. */
int loops_last(const struct ir_loops *loops);
/* The last loop can be one of vectors whose length is known at run time. */
bool loops_scale(const struct ir_op *kernel, const struct ir_loops *loops);
/* Row-major order of loops: blocks before what is in them. */
bool loops_comes_before(const struct ir_loop *a, const struct ir_loop *b);
/* Lanes of the next vector of `left` elements along the last loop. */
int64_t loops_lanes(int64_t vec, int64_t left);
/* Indices of the dimensions of a type, at one of each loop. Those of dimensions
 * that are one loop are quotients and remainders, which cancel out where
 * addresses see the dimensions as one. */
void loops_index(struct affines *f, const struct ir_type *type,
                 const struct ir_loop *loop, int n,
                 const struct affine *const *at, const struct affine **idx);
/* Tiles that a loop goes through, the rest of each part included. */
int64_t loops_units(const struct ir_loop *l);
/* Of a loop with a size: what is left over by tiles of `tile` is computed by
 * smaller ones, of which there are at most *most: halves of the first, and what
 * is left over at the bound. 0: nothing is left. */
int64_t loops_next_tile(const struct ir_loop *l, int64_t tile, int64_t *most);
/* The kernel folds rows, and all of a row is folded before any of it is stored:
 * the loops within a row come last, and threads do not share a row. */
bool loops_rows_first(const struct ir_op *kernel);
/* `op` sums over windows of operand 0, of the same dimensions, one channel
 * after the other: a copy of a channel is read, so that all of it is before any
 * of its results is stored (codegen/emit/plane.c). */
bool loops_channels_first(const struct ir_op *kernel, const struct ir_op *op);

#endif
