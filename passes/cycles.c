/* cycles.c - see cycles.h. */
#include "passes/cycles.h"

#include "ir/nest.h"

#include <assert.h>

/* Operations of one point: the scalar functions of the body, and its fold. */
static double point_ops(const struct nest *n) {
  double ops = n->fold != NEST_NONE;
  for (int i = 0; i < n->nnodes; i++)
    ops += n->node[i].kind == NEST_CALL;
  return ops > 1 ? ops : 1;
}

double cycles_of(const struct pass_env *env, const struct ir_op *op) {
  double lanes = (double)dn_max(env->target->vector_bytes / 4, 1);
  assert(op->nresults == 1 && ir_ops[op->code].cls != IR_REGION &&
         "callers ask of ops with nests");
  struct dn_arena *tmp = dn_arena_new(env->ctx);
  const struct nest *n = nest_build(tmp, op);
  double cycles = 0;
  /* Two multiply-adds a cycle, or two of other operations. */
  if (n && n->fold == NEST_NTH)
    cycles = (double)nest_points(n) * 8;
  else if (n)
    cycles = (double)nest_points(n) * (n->fold ? 1 : point_ops(n)) / lanes / 2;
  dn_arena_free(tmp);
  return cycles;
}
