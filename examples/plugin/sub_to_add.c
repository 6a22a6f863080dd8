/* sub_to_add.c - a pass built outside dnnc: a - b becomes a + (-b). One file, one
 * row; see README.md beside it for how it is built and run. */
#include "passes/pass.h"

/* The parameter `max` of the row below is given as sub_to_add{max=3}. */
static int64_t sub_to_add(struct pass_env *env, struct ir_module *m) {
  int64_t changes = 0, max = pass_int(env, "max");
  struct ir_block *body = ir_main(m)->body;
  for (struct ir_op *op = body->first, *next; op; op = next) {
    next = op->next;
    if (op->code != IR_SUB || changes == max)
      continue;
    struct ir_builder b = {.m = m, .block = body, .before = op, .loc = op->loc};
    struct ir_value *minus =
        ir_emit(&b, IR_NEG, IR_ARGS(ir_arg(op, 1)), NULL, 0);
    struct ir_value *sum =
        ir_emit(&b, IR_ADD, IR_ARGS(ir_arg(op, 0), minus), NULL, 0);
    if (!sum)
      return -1; /* ir_emit() has said why */
    ir_replace_uses(ir_result(op), sum);
    ir_op_remove(op);
    changes++;
  }
  return changes;
}

extern const struct pass_row dnnc_pass;
const struct pass_row dnnc_pass = {
    .name = "sub_to_add",
    .needs = IR_GRAPH,
    .makes = IR_GRAPH,
    .opts = "max:i=1000000",
    .summary = "Write differences as sums",
    .fn = sub_to_add,
};
