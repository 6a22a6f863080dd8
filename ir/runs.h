/* runs.h - where an access of a nest reads at given iterators, and whether the
 * elements of a run, neighbours along the innermost reduced iterator, are
 * loaded at once. The pass `loops` has the strides that values will have, code
 * generation those that they have. */
#ifndef IR_RUNS_H
#define IR_RUNS_H

#include "ir/facts.h"
#include "ir/loops.h"
#include "ir/nest.h"
#include "ir/reads.h"

struct runs { /* of one kernel */
  struct affines *forms;
  struct dn_arena *arena;
  const struct ir_block *body; /* values made in it are computed, others read */
  reads_strides *strides;
  const void *places;
  struct ir_dot dot; /* the instruction; k=1: none */
  int64_t far;       /* bytes that can be added to an address after its check */
  struct dn_map nests; /* of ops in the body, built so far */
};

/* One load from memory, of one element in each lane, or what is outside. */
struct run_address {
  const struct ir_value *leaf; /* NULL: outside of it, a number */
  const struct affine *at;     /* elements from its first */
  int64_t room;                /* elements that may be added behind a check */
  int64_t shift; /* of bytes, whose lowest bits are elements; -1: of none */
  int nchecked;
  const struct affine *checked[IR_MAX_RANK]; /* indices that may be outside */
};

/* Bytes of the block that is read where an index is outside its tensor. */
static inline int64_t runs_far(const struct ir_facts *target) {
  return target->pointer_bytes > 4 ? 65536 : 2048;
}

/* Iterators by the indices of the result, the reduced ones 0. */
void runs_iters(struct affines *f, const struct nest *n,
                const struct affine *const *idx, const struct affine **iter);

/* Splits an address in two, *near + *far, in elements. *near has the checked
 * indices and all terms known at `depth`: the check selects between it and the
 * block that is read in place of what is outside. *far is added to either
 * pointer after that. Small constants of unchecked indices go to *far, so that
 * neighbours share a pointer. */
void runs_split(struct affines *f, const struct ir_type *type,
                const struct affine *const *raw, const bool *checked, int depth,
                const int64_t *stride, int64_t far_bytes,
                const struct affine **near, const struct affine **far);

/* false: not by one load. */
bool runs_address(struct runs *r, const struct nest *n, int access,
                  const struct affine *const *iter, struct run_address *out);
/* The same where the iterator `inner` is `at`; false, too, where its values
 * have no room behind a check. */
bool runs_address_at(struct runs *r, const struct nest *n, int access,
                     const struct affine **iter, int inner, int64_t at,
                     struct run_address *out);
/* At these iterators the lanes read neighbours of the first factor in memory,
 * or all of them read outside of it. */
bool runs_row(struct runs *r, const struct nest *n,
              const struct affine *const *iter, struct run_address *out);
/* The iterators, `by` further along the sum. */
const struct affine **runs_move(struct runs *r, const struct nest *n,
                                const struct affine *const *iter, int64_t by);
/* Depthwise: lanes are channels, and each has its own element of the first
 * factor. Step i of a run reads a row, neighbours in the lanes, of which one at
 * least is inside the tensor. */
bool runs_are_rows(struct runs *r, const struct nest *n,
                   const struct affine *const *iter, int64_t count);
/* The instruction takes both factors of a product, of which the second differs
 * between lanes, in runs of `count` elements from `at` on. */
bool runs_fit(struct runs *r, const struct nest *n, unsigned lanes,
              const struct affine **iter, int inner, int64_t at, int64_t count);

/* The nest of an op in the kernel, built once. */
const struct nest *runs_nest(struct runs *r, const struct ir_op *op);
/* The instruction for the products of a kernel whose schedule has it; k=1: the
 * schedule or the target has none. */
struct ir_dot runs_dot_of(const struct ir_op *kernel,
                          const struct ir_facts *facts);
/* The body is one multiplication, and its results are added up. */
bool runs_is_product(const struct nest *n);
/* The reduced iterators that have more than one value. */
int runs_reduced(const struct nest *n, int *red);
/* Steps of the innermost of them in straight code, which are runs of so many
 * elements; 1: it is no loop of them. */
int64_t runs_steps(const struct nest *n, int64_t unroll, int64_t run);
/* All of a sum along the iterator `inner` goes in runs, for points with so many
 * lanes and, in `iter`, NEST_MAX_ITERS forms each. */
bool runs_sum_fits(struct runs *r, const struct nest *n, const unsigned *lanes,
                   const struct affine **iter, unsigned npt, int inner,
                   int64_t extent);

/* Whether all operands let the loops over two reduced iterators be one
 * (`join`); at an edge, where checks depend on them, they are two. */
enum runs_join { RUNS_APART, RUNS_AT_EDGE, RUNS_ONE };
enum runs_join runs_join(struct runs *r, const struct nest *n,
                         const unsigned *lanes, const struct affine **iter,
                         unsigned npt, int outer, int inner);
/* Both factors of points of RUNS_WORD lanes are words of so many bytes, or what
 * is outside, at all values of the iterator `inner` (-1: there is none), which
 * are few (`words`). */
enum { RUNS_WORD = 4, RUNS_MAX_WORDS = 256 };
bool runs_words_fit(struct runs *r, const struct nest *n, const unsigned *lanes,
                    const struct affine **iter, unsigned npt, int inner);

/* The nest of what the kernel computes by `fn`, whose values `node` has; NULL:
 * it has others. */
const struct nest *runs_enter(struct runs *r, const struct nest *n, int node,
                              enum ir_scalar fn);
/* A sum of products with (w - zero) * scale or w * scale, w of 8 bits
 * (`scaled`). */
bool runs_scaled(struct runs *r, const struct nest *n);

/* The greatest `narrow` that the kernel can have: 0 unless its result narrows
 * floats to bytes; 2: products of integers with constants below 1, whose
 * nearest integers need no bound. */
int64_t runs_narrow(struct dn_arena *arena, const struct ir_op *kernel);
/* Vectors of a tile whose results lie side by side in memory, at so many
 * elements, become bytes at once. */
enum { RUNS_NARROW = 4, RUNS_NARROW_LANES = 16 };
bool runs_narrow_at_once(struct affines *f, const unsigned *lanes,
                         const struct affine *const *at);

/* The sums of a tile over rows that are widened once for all columns. */
struct runs_wide {
  const struct nest *n;
  const struct affine **iter; /* [npt][NEST_MAX_ITERS] */
  unsigned npt;
  const int *red; /* reduced iterators of more than one value */
  int nred;
  /* What follows is found. */
  unsigned nrows, ncolumns;
  unsigned *row, *column;       /* of each point */
  unsigned *of_row, *of_column; /* a point of each */
  int64_t whole, rest; /* runs of the innermost one, elements that are left */
  int64_t outer;       /* values of the others */
  int64_t runs;        /* of a row */
  const struct ir_value *weights;
  const struct affine **first; /* where each column starts in them */
  int64_t step;                /* from run to run */
};
/* The rows depend on loops above `depth` alone: there is one over columns. */
bool runs_rows_outside(const struct runs_wide *w, int depth);
/* false: the rows are too long, or what is read is not in runs. */
bool runs_widen(struct runs *r, struct runs_wide *w);

/* Windows that slide over a copy of one channel (`plane`). */
struct runs_plane {
  const struct nest *n;
  const struct affine **iter; /* [npt][NEST_MAX_ITERS] */
  unsigned npt;
  /* What follows is found. */
  struct nest_window win;
  int64_t *at;         /* of each point, elements after the first */
  int64_t rows, words; /* of a window; words of one row */
  int depth;           /* of the scope in which the channel is known */
};
enum { RUNS_MAX_PLANE = 64 }; /* elements of a row that a tile reads */
/* The points are neighbours of one row, each after the one before it. */
bool runs_slide(struct runs *r, struct runs_plane *p);

/* The sums of a tile by matrix registers: blocks of RUNS_MATRIX_ROWS columns
 * against blocks of `rows` rows, neighbours along the last loop over rows.
 * Blocks of columns, and those of rows, are of one size, so that the last one
 * may lie over the one before it, and begin before a tile that is smaller. */
enum { RUNS_MATRIX_ROWS = 16 };
struct runs_block {
  int64_t at; /* of the tile's sums: the row or column that it begins with */
  const struct affine **iter; /* NEST_MAX_ITERS */
};
struct runs_matrix {
  const struct nest *n;
  int64_t rows;               /* of a block */
  int64_t part;               /* elements of a sum that a step adds */
  int64_t nrows, ncolumns;    /* of sums: those of the tile, */
  int64_t skip, skip_columns; /* behind so many in each row of the last loop */
  unsigned nacross, ndown;    /* blocks of columns, of rows */
  struct runs_block *across, *down;
  int64_t step; /* elements of the first factor from row to row, */
  int64_t run;  /* of the second from run (r->dot.k elements) to run */
};
/* Rows of a block; 0: the loops have none. */
int64_t runs_matrix_rows(const struct ir_loops *loops);
/* Of the tile at `base` of `size`, for loops in row-major order, of a kernel
 * with result `type`; false: what is multiplied does not lie so. Reduced
 * iterators are 0. */
bool runs_matrix_find(struct runs *r, const struct ir_type *type,
                      const struct ir_loop *loop, int nloops,
                      const struct affine *const *base, const int64_t *size,
                      struct runs_matrix *m);

/* The sums of the kernel's contraction are made as its attribute `dot`, `wide`,
 * `plane`, `words`, `matrix`, `join` or `narrow` says, in all tiles of the
 * loops; two loops are one, or vectors are narrowed at once, in one tile at
 * least. */
bool runs_kernel_fits(struct runs *r, const struct ir_op *kernel,
                      const struct ir_loops *loops, const char *attribute);

#endif
