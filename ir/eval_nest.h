/* eval_nest.h - inside of the interpreter: scalar functions on lanes
 * (eval_scalar.c), nests compiled to loops (eval_nest.c, eval_fold.c), what
 * their leaves read (eval_source.c), and contractions as matrix products
 * (eval_gemm.c). Private to ir/eval*.c. */
#ifndef IR_EVAL_NEST_H
#define IR_EVAL_NEST_H

#include "ir/nest.h"

/* Values are computed a chunk of lanes at a time. Every float type is held as a
 * double that was rounded to the type; every integer type and bool as an int64,
 * sign- or zero-extended (u64 as its bits). f64 holds the exact product of two
 * f32 and rounding twice is harmless for + - * / sqrt from f64 to f32 or less
 * (53 >= 2*24 + 2), so this gives exactly what each type's own arithmetic
 * gives. */
#define EVAL_LANES 256
union eval_lanes {
  double f[EVAL_LANES];
  int64_t i[EVAL_LANES];
};

/* r = fn(a, b, c) for n lanes; operands of type `from`, result of type `to`,
 * not yet rounded or wrapped. r is none of a, b, c. */
typedef void eval_fn(enum ir_dtype from, enum ir_dtype to,
                     union eval_lanes *restrict r, const union eval_lanes *a,
                     const union eval_lanes *b, const union eval_lanes *c,
                     int n);
/* NULL: the row does not allow the type. */
eval_fn *eval_scalar(enum ir_scalar fn, enum ir_dtype type);
/* Rounds floats to the type, wraps integers. */
void eval_round(enum ir_dtype type, union eval_lanes *r, int n);
/* Lanes of one type as those of another. */
void eval_cast(enum ir_dtype from, enum ir_dtype to, union eval_lanes *r,
               int n);
bool eval_needs_round(enum ir_dtype type);
/* A number as a lane of the type: rounded, or saturated (NaN to 0). */
void eval_number(enum ir_dtype type, double v, union eval_lanes *r, int n);

/* Elements `stride` apart, starting at `p`, to lanes [at, at + n); and lanes
 * [0, n) to contiguous elements. `p` need not be aligned. */
void eval_load(enum ir_dtype type, const void *p, int64_t stride,
               union eval_lanes *r, int at, int n);
void eval_store(enum ir_dtype type, void *p, const union eval_lanes *a, int n);

/* ---- A nest as loops ---- */
struct eval_operand {
  const void *data;
  bool splat; /* a splat: `data` is one element */
};

/* One index of an access that is not simply affine and in bounds. */
struct eval_special {
  const struct nest_index *idx;
  int64_t dim, stride; /* of the operand */
  bool linear;         /* affine, but may fall outside */
};

struct eval_walk { /* one loop over lanes, innermost last */
  int64_t extent, stride;
  int iter;
};

/* What a leaf of the expression reads: an access, or an iterator's value. */
struct eval_source {
  int operand; /* -1: the value is the offset itself */
  enum ir_dtype from, to;
  bool leaf; /* read by the expression, not only as an index */
  int64_t base, stride[NEST_MAX_ITERS];
  int nspecial;
  struct eval_special *special;
  int nwalk;
  struct eval_walk *walk;
  bool single;     /* an index is not affine along the innermost walk */
  int64_t outside; /* a lane */
  union eval_lanes *lanes;
  const char *data; /* of the run */
  bool splat;
};

struct eval_step {
  eval_fn *fn;
  enum ir_dtype from, to;
  bool round;
  union eval_lanes *r;
  const union eval_lanes *a, *b, *c;
};

/* Iterators in a fixed order, as one space of `count` points. */
struct eval_space {
  int n;
  int iter[NEST_MAX_ITERS];
  int64_t count;
};

struct panels;
struct eval_key;

struct eval_nest {
  const struct nest *nest;
  bool f32_sums;
  enum ir_dtype type; /* of y, or of its bits when elements are only moved */
  int64_t ystride[NEST_MAX_ITERS]; /* of the row-major position in y */
  struct eval_space par, red;
  bool lanes_red; /* lanes run along the reduced iterators */
  bool gemm;      /* run by eval_gemm_run() */
  struct panels *panels;
  struct eval_space m, n, batch;
  int nsources;
  struct eval_source *source;
  int nsteps;
  struct eval_step *step;
  const union eval_lanes *root;
  enum ir_dtype root_type;
  struct eval_key *keys;      /* of an order: one a place */
  union eval_lanes *code;     /* of a fold: values of its nodes */
  union eval_lanes *state;    /* of a running fold: one lane for each element
                              behind its dimension */
  int64_t it[NEST_MAX_ITERS]; /* where the loops are */
};

/* Compiles the nest of an op; lives in `arena`. NULL after a diagnostic: a
 * function of the row is not defined for the element type. */
struct eval_nest *eval_nest_new(struct dn_arena *arena, const struct ir_op *op,
                                bool f32_sums);
/* The result is operand 0's bytes under another shape. */
bool eval_nest_is_alias(const struct eval_nest *e);
/* All elements of the result are equal when all operands are splats. */
bool eval_nest_keeps_splat(const struct eval_nest *e);
/* Computes the first `count` elements of the result (all: -1). */
void eval_nest_run(struct eval_nest *e, const struct eval_operand *operands,
                   void *out, int64_t count);

/* ---- Between eval_nest.c, eval_source.c and eval_gemm.c ---- */
void eval_space_add(const struct nest *n, struct eval_space *s, int iter);
/* Sets the iterators of a space to its point number `pos`. */
void eval_space_seek(struct eval_nest *e, const struct eval_space *s,
                     int64_t pos);
/* Lanes [0, n) of a source from point `pos` of the lane space on. */
void eval_source_fill(struct eval_nest *e, struct eval_source *s, int64_t pos,
                      int n, union eval_lanes *out);
/* The element that an access used as an index reads at the current point. */
int64_t eval_source_index(struct eval_nest *e, int access);
bool eval_source_uses(const struct eval_nest *e, const struct eval_source *s,
                      int iter);
/* Decides whether the nest is a matrix product, and which iterators are its
 * rows, columns and batches. */
void eval_gemm_plan(struct dn_arena *arena, struct eval_nest *e);
void eval_gemm_run(struct eval_nest *e, void *out);
/* The expression at lanes [pos, pos + n), left in `root`. */
void eval_nest_body(struct eval_nest *e, int64_t pos, int n);
/* Elements of the result behind one index of its dimension `carried`. */
int64_t eval_nest_inner(const struct eval_nest *e);
/* Folds, and what is put or folded onto a copy of operand 0. */
void eval_fold_run(struct eval_nest *e, char *out);
void eval_fold_onto(struct eval_nest *e, const struct eval_operand *x,
                    char *out);
/* Orders: the keys of a run, and the run. */
void eval_order_plan(struct dn_arena *arena, struct eval_nest *e);
void eval_order_run(struct eval_nest *e, void *out);

#endif
