/* sizes_match.c - ops that are simplified at some sizes only, made alike again
 * before the lanes are joined: quotients that are products where the divisor is a
 * power of two, and slices that start at a size. */
#include "passes/sizes.h"

#include "passes/edit.h"

#include <assert.h>

/* ---- Quotients ---- */

/* (div x #a) of (mul x #1/a). */
static void make_quotient(struct ir_op *op) {
  const struct ir_value *c = ir_arg(op, 1);
  double v;
  if (op->code != IR_MUL || !c->data || !ir_const_uniform(c, &v))
    return;
  op->code = IR_DIV;
  ir_set_operand(op, 1,
                 ir_const_splat(op->block->func->module, NULL, c->type, 1 / v));
}

static void match_quotients(struct ir_op *const *op, int n) {
  bool quotient = false;
  for (int k = 0; k < n; k++)
    quotient |= op[k] && op[k]->code == IR_DIV;
  for (int k = 0; k < n && quotient; k++)
    if (op[k])
      make_quotient(op[k]);
}

/* ---- Slices ---- */

enum { MOST_ROWS = 1 << 20 }; /* whose numbers are constants of all lanes */

/* The axis along which a slice is not all of its operand; -1: there is none, or
 * more, or it has too many rows. */
static int sliced_axis(const struct ir_op *op) {
  const struct ir_type *from = ir_arg(op, 0)->type;
  int axis = -1, n = 0;
  for (int d = 0; d < from->rank; d++)
    if (ir_get_at(op, "starts", d) || ir_get_at(op, "steps", d) != 1 ||
        ir_get_at(op, "sizes", d) != from->dim[d]) {
      axis = d;
      n++;
    }
  return n == 1 && ir_get_at(op, "sizes", axis) <= MOST_ROWS ? axis : -1;
}

static struct ir_op *gather_slice(struct ir_op *op, int axis) {
  struct ir_builder b = edit_before(op);
  int64_t n = ir_get_at(op, "sizes", axis), *at;
  assert(axis >= 0 && n >= 0 && "sliced_axis() has found it; infer_slice()");
  at = DN_ARRAY(b.m->arena, int64_t, (size_t)n + 1);
  for (int64_t i = 0; i < n; i++)
    at[i] = ir_get_at(op, "starts", axis) + i * ir_get_at(op, "steps", axis);
  struct ir_value *rows = ir_const_ints(b.m, "rows", IR_I64, 1, &n, at);
  struct ir_value *y = ir_emit(&b, IR_GATHER, IR_ARGS(ir_arg(op, 0), rows),
                               IR_ATTRS(ir_int("axis", axis)));
  edit_replace(op, y, true);
  return y->def;
}

/* A slice that starts at a size, the last row or all from that back, picks rows:
 * their numbers are constants, which depend on sizes as others do. */
static void match_slices(struct ir_op **op, int n) {
  int axis = op[0]->code == IR_SLICE ? sliced_axis(op[0]) : -1;
  bool moves = false;
  for (int k = 1; k < n && axis >= 0; k++) {
    if (!op[k])
      continue;
    axis = sliced_axis(op[k]) == axis ? axis : -1;
    moves |= axis >= 0 && ir_get_at(op[k], "starts", axis) !=
                              ir_get_at(op[0], "starts", axis);
  }
  for (int k = 0; k < n && axis >= 0 && moves; k++)
    op[k] = op[k] ? gather_slice(op[k], axis) : NULL;
}

void sizes_match(const struct sizes *s) {
  struct ir_op *op[SIZES_MAX_LANES] = {NULL};
  for (int k = 0; k < s->n; k++)
    op[k] = ir_first(s->lane[k].m);
  while (op[0]) {
    match_quotients(op, s->n);
    for (int k = 1; k < s->n; k++)
      if (op[k] && op[k]->code != op[0]->code)
        op[k] = NULL; /* it is another model from here on */
    match_slices(op, s->n);
    for (int k = 0; k < s->n; k++)
      op[k] = op[k] ? ir_next(op[k]) : NULL;
  }
}
