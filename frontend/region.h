/* region.h - ops with regions, built from the inside: the region's ops come
 * first, and what it yields says what the op makes. */
#ifndef FE_REGION_H
#define FE_REGION_H

#include "frontend/build.h"

struct fe_region {
  struct ir_op *op;
  struct ir_builder outer; /* where the op stands */
};

/* An op without results so far. */
void fe_region_begin(struct fe_build *b, enum ir_opcode code,
                     struct ir_value *const *args, size_t nargs,
                     const struct ir_attr *attrs, size_t nattrs,
                     struct fe_region *out);
/* What is emitted from here on goes into a new region, which has the parameters
 * that the op passes. */
struct ir_block *fe_region_enter(struct fe_build *b, struct fe_region *r);
/* Ends the region; false, without a diagnostic, when a value is NULL. */
bool fe_region_yield(struct fe_build *b, struct fe_region *r,
                     struct ir_value *const *values, size_t n);
/* Gives the op its results: the first `whole` as the first region yields them,
 * behind what comes before those, the others with `rows` in front. */
bool fe_region_end(struct fe_build *b, struct fe_region *r, size_t whole,
                   int64_t rows);

/* Emits a branch, or a loop body with these parameters, and sets the values it
 * yields; false after a diagnostic. */
typedef bool (*fe_region_fn)(void *data, struct ir_value *const *params,
                             struct ir_value **out);
/* An `if` with n results; data[0] is handed for the branch that is taken when
 * the condition, one bool, holds. A result whose sizes differ from branch to
 * branch is as large as the larger ones, with zeros behind, and dims[i] is then
 * how much of it counts, i64[rank]; it is an error when `dims` is NULL. */
bool fe_if(struct fe_build *b, struct ir_value *cond, fe_region_fn branch,
           void *const data[2], size_t n, struct ir_value **out,
           struct ir_value **dims);
/* N of --loop-max NODE=N for the node at hand; -1: it has none. */
int64_t fe_loop_max(const struct fe_build *b, const struct fe_opts *opts);
/* A `loop`, whose turn yields whether there is a next one before the others, or
 * a `scan`, of `*most` turns at most, which the first turn may set; -1: of any
 * number. Of the results, the first are what it carries, the others are
 * stacked, a row for each of these turns. Nothing is left of it on failure. */
bool fe_loop(struct fe_build *b, enum ir_opcode code,
             struct ir_value *const *in, size_t nin, size_t carried,
             fe_region_fn turn, void *data, size_t n, const int64_t *most,
             struct ir_value **out);

#endif
