/* sums.h - how sums are made: the ways that a schedule has (ir/runs.h), and
 * what each keeps from tile to tile. */
#ifndef CG_EMIT_SUMS_H
#define CG_EMIT_SUMS_H

#include "codegen/emit/module.h"
#include "ir/runs.h"

struct kernel_cg;
struct scope;
struct tile_vector;

/* The attributes of a kernel, as docs/ir.md has them. */
struct emit_schedule {
  unsigned vec;
  int64_t unroll, prefetch, ahead, chains;
  bool by_wide, by_plane, by_words, joins, bias, scaled;
  int64_t narrow;
  unsigned factors;
  /* The contraction that all this is of, where there are two: nest_parts(). */
  const struct ir_op *parts;
};

/* Accumulators that go from one index of a result dimension to the next, of the
 * kernel's running fold: phis of the loop over it, which is innermost. */
struct emit_carry {
  int dim;            /* -1: none */
  bool back;          /* from its end */
  struct scope *loop; /* NULL: there is one index only */
  DN_LIST(LLVMValueRef) phi, next;
};

struct emit_wide {            /* rows widened to 16 bits: emit/wide.c */
  const struct scope *before; /* for the loop that they were made for last */
  LLVMValueRef rows;          /* memory of the function, */
  int64_t words;              /* that much; 0: none so far */
  LLVMValueRef half;          /* of the upper half's one, in a register */
};

struct emit_plane {           /* a channel that was copied: emit/plane.c */
  const struct nest *n;       /* the last one, */
  const struct scope *inside; /* for the loop around all that reads it */
  LLVMValueRef bytes, *weights;
};

struct emit_matrix {  /* sums by matrix registers: emit/matrix.c */
  int64_t step, rows; /* schedule: elements of a step, 0: none; of a block */
  bool loaded;        /* the shape of the registers */
  LLVMValueRef sums;  /* memory of the function, */
  int64_t words;      /* that much; 0: none so far */
  const struct ir_op *op;        /* whose sums they are, or NULL; */
  const struct affine *row;      /* their row at hand, */
  int64_t columns, skip_columns; /* of so many, the first of which are others */
};

struct emit_stream { /* constants that a contraction reads in vectors */
  struct ir_place place;
  const struct affine *bytes; /* NULL: none so far */
  int64_t block, blocks;      /* which of the blocks of a tile reads them */
};

/* Factors that all lanes share are loaded several at a time, by the schedule's
 * `factors`: those of consecutive steps of the innermost loop. */
struct emit_group {
  unsigned lanes; /* 0: no group */
  unsigned lane;  /* of the step being emitted */
  unsigned var;   /* the loop's counter, */
  int64_t step;   /* which stands for that many steps */
};

/* ---- emit/dot.c ---- */
/* acc plus the products of a run. */
LLVMValueRef emit_dot(struct kernel_cg *k, const struct nest *n,
                      LLVMValueRef acc, unsigned lanes,
                      const struct affine *const *iter, int64_t count);

/* Bytes 0 and 2 of a register, or 1 and 3, widened to 16 bits. */
LLVMValueRef emit_two_bytes(struct kernel_cg *k, LLVMValueRef v, bool odd);
/* A word of four bytes as the two factors, of one side of products, that
 * emit_add_halves() takes: those of rows are turned around where the other side
 * is not. */
void emit_halves(struct kernel_cg *k, LLVMValueRef word, bool row,
                 LLVMValueRef *halves);
/* acc plus two products; `half` is emit_half(), or the same in a register. */
LLVMValueRef emit_add_halves(struct kernel_cg *k, LLVMValueRef acc,
                             LLVMValueRef row, LLVMValueRef w,
                             LLVMValueRef half);
LLVMValueRef emit_half(const struct kernel_cg *k);

/* ---- emit/wide.c ---- */
/* Adds a sum of products of each point to acc, by the schedule's wide=1; false:
 * there is no loop over columns here. */
bool emit_wide_sums(struct kernel_cg *k, struct runs_wide *w,
                    LLVMValueRef *acc);

/* ---- emit/plane.c ---- */
/* The same for windows of one channel, by the schedule's plane=1. */
void emit_plane_sums(struct kernel_cg *k, const struct nest *n,
                     const struct affine **iter, unsigned npt,
                     LLVMValueRef *acc);

/* ---- emit/matrix.c ---- */
/* The sums of a row of the tile that matrix registers have made. */
void emit_matrix_read(struct kernel_cg *k, const struct tile_vector *pt,
                      unsigned npt, LLVMValueRef *out);
/* At the end of the function. */
void emit_matrix_end(struct kernel_cg *k);
/* Calls the system to allow the registers: not 0 where it refuses. NULL: no
 * kernel has them. */
LLVMValueRef emit_matrix_permission(struct emit *e,
                                    const struct ir_block *body);

/* acc plus the products of four lanes, which lie in words. */
LLVMValueRef emit_words(struct kernel_cg *k, const struct nest *n,
                        LLVMValueRef acc, const struct affine *const *iter);

/* ---- emit/order.c: NEST_NTH ---- */
/* The places of one row: those of `v`, whose first one has the index idx. */
void emit_order(struct kernel_cg *k, const struct ir_value *v,
                const struct ir_place *out, const struct affine *const *idx);

/* ---- emit/scaled.c ---- */
struct emit_scaled { /* of a point: a sum that waits for its scale */
  LLVMValueRef sum, scale;
};
/* a * b + c, rounded once on every target */
LLVMValueRef emit_fma(struct kernel_cg *k, enum ir_dtype type, LLVMValueRef a,
                      LLVMValueRef b, LLVMValueRef c);
/* acc + a * b */
LLVMValueRef emit_add_product(struct kernel_cg *k, enum ir_dtype type,
                              LLVMValueRef acc, LLVMValueRef a, LLVMValueRef b);
/* The points are of one row, whose products the schedule's scaled=1 sums up by
 * scale. */
bool emit_scaled_fits(struct kernel_cg *k, const struct nest *n,
                      const struct tile_vector *pt, unsigned npt);
LLVMValueRef emit_scaled_step(struct kernel_cg *k, const struct nest *n,
                              struct emit_scaled *s, LLVMValueRef acc,
                              unsigned lanes, const struct affine *const *iter);
LLVMValueRef emit_scaled_end(struct kernel_cg *k, const struct nest *n,
                             const struct emit_scaled *s, LLVMValueRef acc);

/* ---- emit/fold.c: CONTRACT and REDUCE ---- */
/* The op's value at each of n points, all at once. */
void emit_fold(struct kernel_cg *k, const struct nest *n,
               const struct tile_vector *pt, unsigned npt, LLVMValueRef *out);

#endif
