/* wrong.c - passes with mistakes that --verify-each must find: `wrong` replaces
 * exp by neg, with kind=1 it breaks the order of ops instead, with kind=2 it
 * reports an error of its own, with kind=3 it fails without one. */
#include "passes/pass.h"

#include <string.h>

static int64_t wrong(struct pass_env *env, struct ir_module *m) {
  struct ir_op *op = ir_main(m)->body->first;
  int64_t kind = pass_int(env, "kind");
  if (kind == 1) {
    ir_op_move(op, op->block, op->block->last);
    return 1;
  }
  if (kind == 2) {
    dn_error(m->ctx, ir_loc(op), DN_UNSUPPORTED_OP, "not today");
    return -1;
  }
  if (kind == 3)
    return -1;
  struct ir_builder b = {.m = m, .block = op->block, .before = op};
  struct ir_value *v =
      ir_emit(&b, IR_NEG, IR_ARGS(ir_arg(op, 0)), NULL, 0);
  ir_replace_uses(ir_result(op), v);
  ir_op_remove(op);
  return 1;
}

extern const struct pass_row dnnc_pass;
const struct pass_row dnnc_pass = {"wrong", IR_GRAPH, IR_GRAPH, "kind:i=0",
                                   "A pass with a mistake", wrong};
