/* nest.h - an op's row, compiled for its shapes and attributes: the loop nest
 * that defines it. Interpreter, fusion, planner and code generator read nests,
 * never an op's name.
 *
 *   for every point of the parallel iterators            (an element of y)
 *     state = identity
 *     for every point of the reduced iterators
 *       state = step(state, body(access 0, access 1, ...))
 *     y[...] = finish(state)
 *
 * by the fold's row of folds.def. MAP and MOVE have no reduced iterators and no
 * fold. A fold over all elements before an element (`y[j] += x[j - k]`, every
 * k) is a running one (a scan): it continues its neighbour's accumulator, and
 * only k = 0 is left of k.
 *
 * A nest that goes `onto` an operand starts from a copy of it, and its points
 * are folded in, or put there, one after another:
 *
 *   y = operand
 *   for every point of the reduced iterators, in order
 *     for every point of the parallel iterators
 *       y[to, ...] = fold(y[to, ...], body(access 0, access 1, ...))
 *
 * An access is an operand
 * with one index a dimension. Indices are quasi-affine in the iterators:
 *   e = (base + sum coef[i]*iter[i]) / div    floor; `exact`: no element when
 *                                              there is a remainder
 *   then fit: as is, clamped, reflected, or wrapped into [0, dim)
 * or come from an integer operand (`indirect`). An access whose index falls
 * outside its operand yields nest.outside (0 in a sum, -inf in a max, the
 * padding value in a move). */
#ifndef IR_NEST_H
#define IR_NEST_H

#include "ir/ir.h"
#include "ir/size.h"

#define NEST_MAX_ITERS 24
#define NEST_MAX_ACCESSES 4

enum nest_fold {
#define FOLD(ID, text, state, step, merge, finish, meaning) NEST_##ID,
#include "ir/folds.def"
#undef FOLD
  NEST_NUM_FOLDS
};
struct nest_fold_row {
  const char *text, *state, *step, *merge, *finish;
};
extern const struct nest_fold_row nest_folds[NEST_NUM_FOLDS];
enum nest_fit { NEST_AS_IS, NEST_CLAMP, NEST_REFLECT, NEST_WRAP };

struct nest_iter {
  int64_t extent;
  const struct ir_size *size; /* known at run time only, at most extent; NULL:
                                 it is extent */
  bool reduced;
  char name[4]; /* as in the row, with a digit in groups: "h0" */
};

struct nest_index {
  int64_t base;
  int64_t coef[NEST_MAX_ITERS];
  int64_t div; /* >= 1 */
  bool exact;
  enum nest_fit fit;
  int indirect;   /* access whose value is the index (clamped), or -1 */
  int64_t lo, hi; /* least and greatest value over the nest, before fit */
  bool checked;   /* may fall outside [0, dim) or be inexact, at some size */
};

/* An affine form of the iterators, as it is; plain: and never outside. */
static inline bool nest_index_is_affine(const struct nest_index *x) {
  return x->div == 1 && x->fit == NEST_AS_IS && x->indirect < 0;
}
static inline bool nest_index_is_plain(const struct nest_index *x) {
  return nest_index_is_affine(x) && !x->checked;
}

/* A concat reads pieces: operand + k at the same indices, less start[k] along
 * `axis`, where the index there is in [start[k], start[k + 1]). The type of the
 * others is that of the first piece along the other dimensions. */
struct nest_access {
  int operand; /* of the op; the first piece */
  int npieces; /* 1 unless it is a concat */
  int axis;
  const int64_t *start; /* npieces + 1, NULL: no concat */
  bool flat; /* reshape: the row-major position of the result element is the
                  row-major position here; idx is unused */
  int rank;
  struct nest_index *idx; /* one a dimension of the operand */
};

/* One result dimension is the affine value sum stride[i]*iter[i] of parallel
 * iterators, usually one iterator with stride 1: iter = (index/stride)%extent.
 */
struct nest_dim {
  int n;
  int iter[3];
  int64_t stride[3];
};

/* Scalar expression: nodes in postfix order, the last is the root. */
enum nest_node_kind { NEST_ACCESS, NEST_NUMBER, NEST_ITER, NEST_CALL };
enum ir_scalar {
#define SCALAR(ID, text, arity, result, types, meaning) IR_S_##ID,
#include "ir/scalars.def"
#undef SCALAR
  IR_NUM_SCALARS
};
struct ir_scalar_row {
  const char *text;
  int arity;
  enum { IR_R_SAME, IR_R_BOOL, IR_R_TO } result;
  const char *types, *meaning;
};
extern const struct ir_scalar_row ir_scalars[IR_NUM_SCALARS];

struct nest_node {
  enum nest_node_kind kind;
  enum ir_dtype type; /* of the value */
  int arg[3];         /* NEST_CALL: nodes; NEST_ACCESS, NEST_ITER: arg[0] */
  enum ir_scalar fn;
  double number; /* NEST_NUMBER; exact for integers up to 2^53 */
};

/* Scalar code of a fold: nodes in an order in which they can be computed, of
 * which `root` are the results. NEST_ACCESS is one of the variables below. */
enum {
  NEST_MAX_STATES = 3,
  NEST_VAR_OTHER = NEST_MAX_STATES, /* the states, those of the second, */
  NEST_VAR_X = 2 * NEST_MAX_STATES, /* the element, and */
  NEST_VAR_K,                       /* its number among the reduced points */
  NEST_NUM_VARS
};
struct nest_code {
  int nnodes;
  struct nest_node *node;
  int root[NEST_MAX_STATES];
};

struct nest_state {
  enum ir_dtype type;
  double identity;
};

#define NEST_MAX_NODES 40
struct nest {
  const struct ir_op *op;
  const struct ir_type *type; /* of y */
  int niters;
  struct nest_iter iter[NEST_MAX_ITERS];
  struct nest_dim y[IR_MAX_RANK]; /* one a result dimension */
  enum nest_fold fold;
  enum ir_dtype acc_type; /* of the body, and of states without a type */
  int nstates;            /* 0: nothing is folded, or put in order */
  struct nest_state state[NEST_MAX_STATES];
  struct nest_code step, merge, finish;
  double outside; /* value of an access outside its operand; saturates to
                     the operand's type */
  int naccesses;
  struct nest_access access[NEST_MAX_ACCESSES];
  int nnodes;
  struct nest_node node[NEST_MAX_NODES];
  /* Onto operand 0: the access whose value is the index into y's dimension 0,
   * which then has no iterator; -1: an ordinary nest. */
  int to;
  /* A running fold: the result dimension along which an element's accumulator
   * starts from that of the one before it (`back`: after it), and the iterator
   * whose other values that stands for. -1: none. Of NEST_NTH `carried` is the
   * dimension that counts places; `back`: the least element first, not the
   * greatest. NaN is the greatest; equal ones stand by their index. */
  int carried, behind;
  bool back;
};

/* Compiles the row of a single-result op whose types are static. The nest and
 * what it points to live in `arena`. An error in the row itself is an internal
 * error. */
struct nest *nest_build(struct dn_arena *arena, const struct ir_op *op);

/* Every scalar function of the body and of the fold is defined for its types
 * (scalars.def). */
bool nest_types_ok(const struct nest *n);
/* A variable is used by the code. */
bool nest_code_uses(const struct nest_code *c, int var);

/* Points of the iteration space: of a CONTRACT its multiplications; of an order
 * (top-k) the elements that are sorted; of a size that names a turn the mean
 * over all turns. */
int64_t nest_points(const struct nest *n);
/* How often a use reads an element, all elements taken together. */
double nest_reads(struct dn_ctx *ctx, const struct ir_use *u);
/* The iterator that changes fastest along a result dimension, and the innermost
 * reduced one, of more than one point; -1: none. */
int nest_dim_iter(const struct nest *n, int d);
int nest_inner_reduced(const struct nest *n);
/* A window of one or two dimensions that slides over access 0, without gaps: of
 * the outer, [0], and the inner dimension the operand's, its iterators and the
 * stride, and how many elements all windows span, from index `first` on. */
struct nest_window {
  int dim[2], out[2], red[2]; /* -1: none; of out: one point */
  int64_t stride[2], first[2], span[2];
};
bool nest_window(const struct nest *n, struct nest_window *w);
/* Bytes of a copy of what all windows span, and of a word behind it. */
int64_t nest_window_bytes(const struct nest_window *w);
/* Each element is an f32 narrowed to a byte, with one constant zero point of 16
 * bits. */
bool nest_narrows(const struct nest *n, double *zero);
/* `narrow` is of i32 times constants below 1, in its block: the nearest
 * integers are of i32, too. */
bool nest_narrows_products(const struct ir_op *narrow);
/* The addition of a bias: the only reader of a sum of 32-bit integers, whose
 * other operand is made outside the kernel. NULL: there is none. */
const struct ir_op *nest_addition(const struct nest *n);
/* The contraction in the block of `op`, a contraction too, that alone reads its
 * results, through maps of their shape, and sums them up along dimension *dim
 * of them, which is not the last, with a factor each: they are parts of sums.
 * Its own dimensions are the others, in their order. NULL: there is none. */
const struct ir_op *nest_sum_of_parts(struct dn_arena *arena,
                                      const struct ir_op *op, int *dim);
/* The first contraction in a kernel, if its results are such parts; or NULL,
 * and *dim is -1. */
const struct nest *nest_parts(struct dn_arena *arena,
                              const struct ir_op *kernel, int *dim);
/* A sum of products of bytes over such a window of few elements, in more than
 * one place of the inner dimension, whose copy is small. */
enum { NEST_MAX_PLANE = 2560, NEST_MAX_WINDOW = 64 };
bool nest_slides(const struct nest *n, struct nest_window *w);
/* Steps of the reduced iterators together, from number `iter` on; the innermost
 * one goes `run` at a time. */
int64_t nest_steps_from(const struct nest *n, int iter, int64_t run);
/* A pure index map: MOVE (or expand), one operand, all indices affine and in
 * bounds, no flat access. */
bool nest_is_view(const struct nest *n);
/* Strides and offset, in elements, of the view that the nest makes of operand 0
 * lying at `stride`: true if it can be expressed; reshape works when the
 * operand is contiguous or only unit and splittable dimensions change. */
bool nest_view(const struct nest *n, const int64_t *stride, int64_t *out_stride,
               int64_t *out_offset);
/* Every access to `operand` reads just the element of the result's own index,
 * and its shape is the result's: in place is safe, an epilogue can use it. */
bool nest_is_pointwise(const struct nest *n, unsigned operand);
/* A reduction of whole rows: the result has one element, or each of the
 * operand's own, in every dimension. Reductions of the same rows can be stages
 * of one kernel. */
bool nest_folds_rows(const struct nest *n);
bool nest_same_rows(const struct nest *a, const struct nest *b);
/* Dimensions of a kernel's result that reductions of its rows fold, as bits. */
uint64_t nest_row_dims(const struct ir_op *kernel);
/* Dimensions of a kernel's result that one thread goes through: those of rows,
 * and that of a running fold. */
uint64_t nest_whole_dims(const struct ir_op *kernel);
/* The op whose slices the kernel stores onto an operand (scatter), or NULL. */
const struct ir_op *nest_onto(const struct ir_op *kernel);
/* What of its sizes that are known at run time only code cannot follow; NULL:
 * nothing. */
const char *nest_sizes_error(const struct nest *n);
/* Checks one row's body without an op, or a fold's row, for the suite: a
 * message or NULL. */
const char *nest_check_row(struct dn_arena *arena, enum ir_opcode code);
const char *nest_check_fold(struct dn_arena *arena, enum nest_fold fold);

#endif
