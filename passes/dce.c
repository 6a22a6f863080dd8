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

/* A loop ends when result i has a row for each turn, and may not without it. */
static bool ends_loop(const struct ir_op *op, unsigned i) {
  int64_t rows = op->result[i]->type->dim[0];
  const struct ir_value *n = ir_arg(op, 0);
  assert(op->result[i]->type->rank && "a loop stacks rows");
  unsigned carried = ir_num_carried(op);
  if (op->code == IR_LOOP && n->data && ir_const_int(n, 0) <= rows)
    return false;
  for (unsigned k = carried; k < op->nresults; k++)
    if (k != i && op->result[k]->type->dim[0] <= rows)
      return false;
  for (unsigned k = carried; op->code == IR_SCAN && k < op->noperands; k++)
    if (ir_arg(op, k)->type->dim[0] <= rows)
      return false;
  return true;
}

/* Results that are not read and that no turn carries on; one at least stays. */
static int64_t drop_results(struct ir_op *op) {
  unsigned first = ir_is_loop(op) ? ir_num_carried(op) : 0;
  int64_t dropped = 0;
  for (unsigned i = op->nresults; i-- > first && op->nresults > 1;) {
    if (op->result[i]->uses || (ir_is_loop(op) && ends_loop(op, i)))
      continue;
    for (unsigned r = 0; r < op->nregions; r++)
      ir_drop_operand(op->region[r]->last, i + ir_yield_skips(op));
    ir_drop_result(op, i);
    dropped++;
  }
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
