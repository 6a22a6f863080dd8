/* order.c - orders ops for the smallest peak of live bytes (schedule.h). Views
 * follow the op that they look at, at once: they cost nothing. The order stays
 * as it is unless another one has a lower peak.
 *
 * before:  %a = kernel ... : f32[1000]    reads %x
 *          %b = kernel ... : f32[10]      reads %x
 * after:   %b = kernel ... : f32[10]
 *          %a = kernel ... : f32[1000]    may write over %x */
#include "passes/pass.h"

#include "passes/overlap.h"
#include "passes/schedule.h"

#include <assert.h>

struct order {
  struct pass_env *env;
  struct aliases *aliases;
  enum live_reuse reuse;
  int64_t moved;
};

/* Puts the ops of a block into the order of nodes, views after their operands.
 */
static int64_t apply_order(struct dn_arena *scratch, const struct live *l,
                           const int *order) {
  struct ir_block *body = l->block;
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
    bool here = def && def->block == body;
    ir_op_move(views.v[i], body, here ? def->next : body->first);
  }
  return moved;
}

/* Regions first; returns the bytes that the block needs. */
static int64_t order_block(struct order *o, struct ir_block *b) {
  struct dn_arena *scratch = o->env->scratch;
  struct live *l =
      live_build(scratch, o->aliases, b, o->env->target->align, o->reuse);
  int *order = DN_ARRAY(scratch, int, l->nnodes);
  for (int i = 0; i < l->nnodes; i++) {
    struct live_node *n = &l->node[i];
    order[i] = i;
    for (unsigned r = 0; ir_has_blocks(n->op) && r < n->op->nregions; r++)
      n->inside = dn_max(n->inside, order_block(o, n->op->region[r]) *
                                        ir_turns_at_once(n->op));
  }
  int64_t before = live_peak(l, scratch, order, NULL), bound;
  int64_t after = sched_search(l, scratch, order, &bound);
  if (after < before)
    o->moved += apply_order(scratch, l, order);
  return dn_min(before, after);
}

int64_t pass_order(struct pass_env *env, struct ir_module *m) {
  struct order o = {.env = env, .reuse = overlap_reuse(env)};
  for (struct ir_func *f = m->funcs; f; f = f->next) {
    o.aliases = aliases_reusing(env->scratch, f, o.reuse);
    order_block(&o, f->body);
  }
  return o.moved;
}
