/* materialize.c - copies what cannot lie where it is needed, so that every
 * operand of a concat lies in the result and every operand of the return in the
 * caller's buffer, and what a loop carries in one buffer (aliases.h): a
 * parameter that is concatenated or returned, a value in two concats, two
 * values that a loop swaps. Views without users go, or what they view would
 * stay alive. The passes behind this one insert no copies.
 *
 * before:  %1 = kernel ... : f32[2,3]
 *          %2 = concat %1, %x {axis=1} : f32[2,6]
 * after:   %1 = kernel ... : f32[2,3]
 *          %3 = kernel : f32[2,3] do { expand %x ... }
 *          %2 = concat %1, %3 {axis=1} : f32[2,6] */
#include "passes/aliases.h"
#include "passes/edit.h"

#include <assert.h>

static int64_t drop_dead_views(struct ir_block *body) {
  int64_t dropped = 0;
  for (struct ir_op *op = body->last, *prev; op; op = prev) {
    prev = op->prev;
    for (unsigned r = 0; ir_has_blocks(op) && r < op->nregions; r++)
      dropped += drop_dead_views(op->region[r]);
    if (!ir_is_view(op) || !op->nresults || ir_result(op)->uses)
      continue;
    ir_op_remove(op);
    dropped++;
  }
  return dropped;
}

/* A parameter of the block that yields it, or returns it beside a state. */
static bool yields_param(const struct alias_misfit *m) {
  const struct ir_value *v =
      ir_view_source(ir_arg(m->op, (unsigned)m->operand));
  return (m->op->code == IR_YIELD || ir_find_attr(m->op, "state")) &&
         !v->data && !v->def && v->block == m->op->block;
}

/* Copies what does not fit before the op that needs it. Parameters first, if
 * any are yielded: a turn reads all that it was given before it writes that
 * over. */
static int64_t copy_operands(const struct aliases *a) {
  int64_t copied = 0;
  for (int params = 1; params >= 0 && !copied; params--)
    for (size_t i = 0; i < a->misfits.n; i++) {
      struct ir_op *op = a->misfits.v[i].op;
      assert(a->misfits.v[i].operand >= 0 &&
             "drop_dead_views() leaves no other");
      unsigned k = (unsigned)a->misfits.v[i].operand;
      if (params && !yields_param(&a->misfits.v[i]))
        continue;
      ir_set_operand(op, k, edit_copy(ir_arg(op, k), op));
      copied++;
    }
  return copied;
}

int64_t pass_materialize(struct pass_env *env, struct ir_module *m) {
  int64_t changed = 0, copied;
  for (struct ir_func *f = m->funcs; f; f = f->next) {
    changed += drop_dead_views(f->body);
    /* Parameters, what else is yielded, and copies of parameters that come
     * before others have read them. */
    int rounds = 8;
    do {
      copied = copy_operands(aliases_build(env->scratch, f));
      changed += copied;
    } while (copied && --rounds);
    assert(!copied && "aliases.c: a copy lies where its original cannot");
  }
  return changed;
}
