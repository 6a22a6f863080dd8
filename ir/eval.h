/* eval.h - the reference interpreter: the oracle inside. It evaluates GRAPH,
 * KERNELS and PLANNED modules (plan attributes do not change meaning) from the
 * nests of their ops, each compiled to loops once. Sums of floats are kept in
 * f64 and rounded once. */
#ifndef IR_EVAL_H
#define IR_EVAL_H

#include "ir/ir.h"

/* A tensor: row-major, host byte order. */
struct ir_tensor {
  const struct ir_type *type;
  void *data;
};

struct ir_eval_opts {
  bool f32_sums; /* accumulate in the element type instead of f64 */
  /* Called for each value as it is made, with its data; or NULL. It may
   * change the data, and what follows reads the changed, unless the value is a
   * view of an input or a constant. */
  void (*watch)(void *user, const struct ir_value *v, void *data);
  void *user;
};

/* Runs `func` on inputs that match its parameters; fills outputs[i] with type
 * and data in `arena`. false after a diagnostic (a Loop over its bound, a
 * symbolic dim). */
bool ir_eval(struct dn_arena *arena, const struct ir_func *func,
             const struct ir_tensor *inputs, struct ir_tensor *outputs,
             const struct ir_eval_opts *opts);

/* The value of one op whose operands are all constants, for folding and for
 * structural inputs of an importer. NULL when it is not computable. */
void *ir_eval_op(struct dn_arena *arena, const struct ir_op *op);

/* Floats in [-1, 1), small integers, so that they serve as indices too. */
void ir_random(struct ir_tensor *t, uint64_t seed);

#endif
