/* eval_naive.h - the slowest possible reading of an op, one element and one
 * scalar function at a time, to check the interpreter against. It shares no
 * code with nest.c and the interpreter: eval_define.c says what each row means
 * by loops over indices, eval_naive.c what each scalar function means. */
#ifndef EVAL_NAIVE_H
#define EVAL_NAIVE_H

#include "ir/nest.h"

/* One element: `f` of a float type, `i` of the others. */
struct num {
  double f;
  int64_t i;
};

struct num naive_load(enum ir_dtype t, const void *p);
struct num naive_round(enum ir_dtype t, struct num v);
/* A double as a number of any type, saturating. */
struct num naive_number(enum ir_dtype t, double v);
struct num naive_cast(enum ir_dtype from, enum ir_dtype to, struct num v);
/* A function of operands of type `t`, not rounded; `to`: of a cast. */
struct num naive_call(enum ir_scalar fn, enum ir_dtype t, enum ir_dtype to,
                      const struct num *arg);

/* Evaluates an op whose operands' elements are `data`. */
void naive_eval(const struct ir_op *op, const void *const *data, void *out);

#endif
