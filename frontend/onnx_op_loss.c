/* onnx_op_loss.c - losses of classification, and the largest k elements. */
#include <string.h>

#include "frontend/onnx_ops.h"

static struct ir_value *all_of(struct onnx_call *c, enum ir_opcode code,
                               struct ir_value *x) {
  bool all[IR_MAX_RANK];
  for (int i = 0; i < IR_MAX_RANK; i++)
    all[i] = true;
  return fe_squeeze(c->b, fe_reduce(c->b, code, x, all), all);
}

/* -log_prob[target] * weight[target], reduced; entries with the ignored index
 * count nothing. */
static struct ir_value *nll(struct onnx_call *c, struct ir_value *log_prob,
                            struct ir_value *target, struct ir_value *weights) {
  const char *how = ox_str(c, "reduction", "mean");
  const struct onnx_attr *ignore = ox_attr(c, "ignore_index");
  bool mean = !strcmp(how, "mean"), none = !strcmp(how, "none");
  if (!log_prob || !target)
    return NULL;
  if (!mean && !none && strcmp(how, "sum") != 0) {
    fe_fail(c->b, DN_ATTR, "unknown reduction '%s'", fe_text(c->im->ctx, how));
    return NULL;
  }
  int r = fe_rank(target);
  if (r < 1 || r + 1 != fe_rank(log_prob) || r + 1 > IR_MAX_RANK) {
    fe_fail(c->b, DN_TYPE, "the targets do not fit the scores");
    return NULL;
  }
  int64_t dims[IR_MAX_RANK] = {fe_dims(target)[0], 1};
  bool one[IR_MAX_RANK] = {false, true};
  for (int i = 1; i < r; i++)
    dims[1 + i] = fe_dims(target)[i];
  struct ir_value *idx = fe_reshape(c->b, target, r + 1, dims);
  struct ir_value *loss =
      fe_emit(c->b, IR_GATHER_ELEMENTS, IR_ARGS(log_prob, idx),
              IR_ATTRS(ir_int("axis", 1)));
  loss = fe_op1(c->b, IR_NEG, fe_squeeze(c->b, loss, one));
  if (!loss)
    return NULL;
  struct ir_value *w = weights ? fe_gather(c->b, weights, target, 0) : NULL;
  if (ignore) {
    struct ir_value *off =
        fe_op2(c->b, IR_EQ, target, fe_number(c->b, target, (double)ignore->i));
    struct ir_value *zero = fe_number(c->b, loss, 0);
    loss = fe_select(c->b, off, zero, loss);
    w = fe_select(c->b, off, zero, w ? w : fe_number(c->b, loss, 1));
  }
  if (w)
    loss = fe_mul(c->b, loss, w);
  if (none || !loss)
    return loss;
  struct ir_value *sum = all_of(c, IR_REDUCE_SUM, loss);
  if (!mean)
    return sum;
  struct ir_value *n =
      w ? all_of(c, IR_REDUCE_SUM, w)
        : fe_number(c->b, loss, (double)ir_type_count(loss->type));
  return fe_div(c->b, sum, n);
}

bool onnx_nll_loss(struct onnx_call *c) {
  return ox_return(c, nll(c, c->in[0], c->in[1], c->nin > 2 ? c->in[2] : NULL));
}

bool onnx_cross_entropy(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  bool axis[IR_MAX_RANK] = {false, true};
  if (fe_rank(x) < 2)
    return fe_fail(c->b, DN_TYPE, "the scores have no classes");
  x = fe_sub(c->b, x, fe_reduce(c->b, IR_REDUCE_MAX, x, axis));
  struct ir_value *sum =
      fe_reduce(c->b, IR_REDUCE_SUM, fe_op1(c->b, IR_EXP, x), axis);
  x = fe_sub(c->b, x, fe_op1(c->b, IR_LOG, sum));
  if (c->nout > 1)
    c->out[1] = x;
  return ox_return(c, nll(c, x, c->in[1], c->nin > 2 ? c->in[2] : NULL));
}
