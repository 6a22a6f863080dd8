/* onnx_op_loss.c - losses of classification, and the largest k elements. */
#include <string.h>

#include "frontend/onnx_ops.h"

static struct ir_value *all_of(struct onnx_call *c, enum ir_opcode code,
                               struct ir_value *x) {
  bool all[IR_MAX_RANK];
  for (int i = 0; i < IR_MAX_RANK; i++)
    all[i] = true;
  return ox_squeeze(c, ox_reduce(c, code, x, all), all);
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
    ox_fail(c, DN_ATTR, "unknown reduction '%s'", ox_text(c->im->ctx, how));
    return NULL;
  }
  int r = ox_rank(target);
  if (r < 1 || r + 1 != ox_rank(log_prob) || r + 1 > IR_MAX_RANK) {
    ox_fail(c, DN_TYPE, "the targets do not fit the scores");
    return NULL;
  }
  int64_t dims[IR_MAX_RANK] = {ox_dims(target)[0], 1};
  bool one[IR_MAX_RANK] = {false, true};
  for (int i = 1; i < r; i++)
    dims[1 + i] = ox_dims(target)[i];
  struct ir_value *idx = ox_reshape(c, target, r + 1, dims);
  struct ir_value *loss = ox_emit(c, IR_GATHER_ELEMENTS, IR_ARGS(log_prob, idx),
                                  IR_ATTRS(ir_int("axis", 1)));
  loss = ox_op1(c, IR_NEG, ox_squeeze(c, loss, one));
  if (!loss)
    return NULL;
  struct ir_value *w = weights ? ox_gather(c, weights, target, 0) : NULL;
  if (ignore) {
    struct ir_value *off =
        ox_op2(c, IR_EQ, target, ox_number(c, target, (double)ignore->i));
    struct ir_value *zero = ox_number(c, loss, 0);
    loss = ox_select(c, off, zero, loss);
    w = ox_select(c, off, zero, w ? w : ox_number(c, loss, 1));
  }
  if (w)
    loss = ox_op2(c, IR_MUL, loss, w);
  if (none || !loss)
    return loss;
  struct ir_value *sum = all_of(c, IR_REDUCE_SUM, loss);
  if (!mean)
    return sum;
  struct ir_value *n =
      w ? all_of(c, IR_REDUCE_SUM, w)
        : ox_number(c, loss, (double)ir_type_count(loss->type));
  return ox_op2(c, IR_DIV, sum, n);
}

bool onnx_nll_loss(struct onnx_call *c) {
  return ox_return(c, nll(c, c->in[0], c->in[1], c->nin > 2 ? c->in[2] : NULL));
}

bool onnx_cross_entropy(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  bool axis[IR_MAX_RANK] = {false, true};
  if (ox_rank(x) < 2)
    return ox_fail(c, DN_TYPE, "the scores have no classes");
  x = ox_op2(c, IR_SUB, x, ox_reduce(c, IR_REDUCE_MAX, x, axis));
  struct ir_value *sum =
      ox_reduce(c, IR_REDUCE_SUM, ox_op1(c, IR_EXP, x), axis);
  x = ox_op2(c, IR_SUB, x, ox_op1(c, IR_LOG, sum));
  if (c->nout > 1)
    c->out[1] = x;
  return ox_return(c, nll(c, x, c->in[1], c->nin > 2 ? c->in[2] : NULL));
}
