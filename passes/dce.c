/* dce.c - drops ops whose results have no users, and constants that are left
 * without a reader. Nothing in the IR has side effects, so an unread `if` or
 * `loop` goes too, and what one makes that is not read. One walk from the end,
 * so that a dead chain falls at once.
 *
 * before:  %1 = exp %x : f32[8]
 *          %2 = neg %1 : f32[8]
 *          %3 = relu %x : f32[8]
 *          return %3
 * after:   %3 = relu %x : f32[8]
 *          return %3 */
#include "ir/place.h"
#include "passes/pass.h"

#include <assert.h>

/* Types may have the size that it sets. */
static bool sets_size(const struct ir_op *op) {
  return op->code == IR_SET_SIZE ||
         (op->code == IR_KERNEL && op->region[0]->first->code == IR_SET_SIZE);
}

static bool is_dead(const struct ir_op *op) {
  if ((!(ir_ops[op->code].traits & IR_PURE) && !op->nregions) || sets_size(op))
    return false; /* a terminator */
  for (unsigned i = 0; i < op->nresults; i++)
    if (op->result[i]->uses)
      return false;
  return true;
}

/* Drops results that are not read and that no turn carries on; one at least stays.
 * Where the rows of one bounded the turns, `most` does so from here on. */
static int64_t drop_results(struct ir_op *op) {
  unsigned first = ir_is_loop(op) ? ir_num_carried(op) : 0;
  int64_t dropped = 0, most = ir_is_loop(op) ? ir_max_turns(op) : 0;
  for (unsigned i = op->nresults; i-- > first && op->nresults > 1;) {
    if (op->result[i]->uses)
      continue;
    for (unsigned r = 0; r < op->nregions; r++)
      ir_drop_operand(op->region[r]->last, i + ir_yield_skips(op));
    ir_drop_result(op, i);
    dropped++;
  }
  if (dropped && op->code == IR_LOOP && ir_max_turns(op) > most &&
      ir_may_exceed(op, most))
    ir_set_attr(op, ir_int("most", most));
  return dropped;
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
    if (ir_has_blocks(op))
      dropped += drop_results(op);
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
