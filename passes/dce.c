/* dce.c - drops ops whose results have no users, and constants that are left
 * without a reader. Nothing in the IR has side effects, so an unread `if` or
 * `loop` goes too. One walk from the end, so that a dead chain falls at once.
 *
 * before:  %1 = exp %x : f32[8]
 *          %2 = neg %1 : f32[8]
 *          %3 = relu %x : f32[8]
 *          return %3
 * after:   %3 = relu %x : f32[8]
 *          return %3 */
#include "passes/pass.h"

static bool is_dead(const struct ir_op *op) {
  if (!(ir_ops[op->code].traits & IR_PURE) && !op->nregions)
    return false; /* a terminator */
  for (unsigned i = 0; i < op->nresults; i++)
    if (op->result[i]->uses)
      return false;
  return true;
}

/* Regions nest no deeper than --limit-depth. */
static int64_t sweep_block(struct ir_block *b) {
  int64_t dropped = 0;
  for (struct ir_op *op = b->last, *prev; op; op = prev) {
    prev = op->prev;
    if (is_dead(op)) {
      ir_op_remove(op);
      dropped++;
      continue;
    }
    for (unsigned r = op->nregions; r-- > 0;)
      dropped += sweep_block(op->region[r]);
  }
  return dropped;
}

int64_t pass_dce(struct pass_env *env, struct ir_module *m) {
  (void)env;
  int64_t dropped = 0;
  for (struct ir_func *f = m->funcs; f; f = f->next)
    dropped += sweep_block(f->body);
  size_t consts = m->consts.n;
  ir_sweep_consts(m);
  return dropped + (int64_t)(consts - m->consts.n);
}
