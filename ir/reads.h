/* reads.h - what a kernel reads, as affine forms over the dimensions of its
 * result: the address of every value from outside that one element of the
 * result depends on, followed through the index maps of the ops in between.
 * What can be one loop, where a loop is best cut and along which dimension
 * memory is contiguous follow from it. */
#ifndef IR_READS_H
#define IR_READS_H

#include "ir/affine.h"
#include "ir/ir.h"
#include "ir/nest.h"

/* Why a loop is best cut: a piece of a concat starts there; an index goes past
 * an edge of its tensor; the same, but of a window, where the loops over the
 * window check the edge at less cost unless it lies along the lanes. */
enum read_edge_kind { READ_PIECE, READ_EDGE, READ_WINDOW };
struct read_edge {
  int dim;
  int64_t at;
  enum read_edge_kind kind;
};
struct read_period { /* an index along `dim` is divided by `at` */
  int dim;
  int64_t at;
};

/* A value from outside that is read: at those indices or, `flat`, at that
 * row-major position. */
struct read_leaf {
  const struct ir_value *value;
  const struct affine *const *idx;
  const struct affine *flat;
};

struct reads {
  struct affines forms; /* variable d: the index of the result's dimension d */
  const struct ir_type *type;
  /* Addresses, in elements; the first is the result's own. */
  DN_LIST(const struct affine *) at;
  DN_LIST(struct read_leaf) leaves;
  DN_LIST(struct read_edge) edges;
  DN_LIST(struct read_period) periods;
  uint64_t pinned; /* dimensions whose index is divided, compared, or a value */
  /* Values that one element of the result depends on: over all pieces of a
   * concat, and over one piece. */
  int64_t visits, visits_of_piece;
  int carried;  /* dimension of a running fold or of an order; -1: none */
  bool back;    /* it runs from the end */
  bool ordered; /* an order: along it there is no loop */
};

/* Strides, in elements, at which a value from outside or the kernel's result
 * lies; false: not known. */
typedef bool reads_strides(const void *places, const struct ir_value *v,
                           int64_t *stride);
/* One element of `root`, an op's value in `kernel`, stored at `stride`; a NULL
 * kernel copies `root`. */
struct reads *reads_build(struct dn_arena *arena, const struct ir_op *kernel,
                          const struct ir_value *root, const int64_t *stride,
                          reads_strides *strides, const void *places);

/* ---- Indices of a nest, as forms ---- */
/* `r` notes what they are divided by, or is NULL. */

/* The parallel iterators by the indices of the result. */
void reads_iters(struct affines *f, struct reads *r, const struct nest *n,
                 const struct affine *const *idx, const struct affine **iter);
/* The sum that an index is before it is divided. */
const struct affine *reads_index_form(struct affines *f, const struct nest *n,
                                      const struct nest_index *x,
                                      const struct affine *const *iter);
/* An index that is no element of a tensor, before any check; *sum: what is
 * divided. */
const struct affine *reads_index(struct affines *f, struct reads *r,
                                 const struct nest *n,
                                 const struct nest_access *a, int d,
                                 const struct affine *const *iter,
                                 const struct affine **sum);
/* The row-major position of a result's element, and the indices in a type that
 * such a position has: a reshape reads that element. */
const struct affine *reads_position(struct affines *f, const struct nest *n,
                                    const struct affine *const *iter);
void reads_unflatten(struct affines *f, struct reads *r,
                     const struct ir_type *type, const struct affine *at,
                     const struct affine **idx);

/* All addresses see the two dimensions as one, and nothing else looks at them.
 */
bool reads_are_one(const struct reads *r, int outer, int inner);

#endif
