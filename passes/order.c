/* order.c - orders ops for the smallest peak of live bytes (schedule.h). Views
 * follow the op that they look at, at once: they cost nothing. The order stays
 * as it is unless another one has a lower peak.
 *
 * before:  %a = kernel ... : f32[1000]    reads %x
 *          %b = kernel ... : f32[10]      reads %x
 * after:   %b = kernel ... : f32[10]
 *          %a = kernel ... : f32[1000]    may write over %x */
#include "passes/pass.h"

#include "passes/schedule.h"

#include <assert.h>

/* Puts the ops of `f` into the order of nodes, views after their operands. */
static int64_t apply_order(struct dn_arena *scratch, struct ir_func *f,
                           const struct live *l, const int *order) {
  struct ir_block *body = f->body;
  int64_t moved = 0;
  DN_LIST(struct ir_op *) views = {0};
  for (struct ir_op *op = body->first; op != body->last; op = op->next)
    if (ir_is_view(op))
      DN_PUSH(scratch, views, op);
  for (int i = 0; i < l->nnodes; i++) {
    assert(order[i] >= 0 && order[i] < l->nnodes &&
           "sched_search() permutes the nodes");
    ir_op_move(l->node[order[i]].op, body, body->last);
    moved += order[i] != i;
  }
  for (size_t i = 0; i < views.n; i++) {
    struct ir_op *def = ir_arg(views.v[i], 0)->def;
    ir_op_move(views.v[i], body, def ? def->next : body->first);
  }
  return moved;
}

int64_t pass_order(struct pass_env *env, struct ir_module *m) {
  struct dn_arena *scratch = env->scratch;
  int64_t moved = 0;
  for (struct ir_func *f = m->funcs; f; f = f->next) {
    struct aliases *aliases = aliases_build(scratch, f);
    struct live *l = live_build(scratch, aliases, env->target->align, true);
    int *order = DN_ARRAY(scratch, int, l->nnodes);
    for (int i = 0; i < l->nnodes; i++)
      order[i] = i;
    int64_t before = live_peak(l, scratch, order, NULL), bound;
    if (sched_search(l, scratch, order, &bound) < before)
      moved += apply_order(scratch, f, l, order);
  }
  return moved;
}
