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

/* v with a dim of size 1 at `axis`. */
static struct ir_value *with_axis(struct onnx_call *c, struct ir_value *v,
                                  int64_t axis) {
  int64_t dims[IR_MAX_RANK + 1];
  int r = ox_rank(v);
  for (int i = 0, k = 0; i <= r; i++)
    dims[i] = i == axis ? 1 : ox_dims(v)[k++];
  return ox_reshape(c, v, r + 1, dims);
}

/* The place of an element among the others is the number of those before it:
 * greater, or equal with a smaller index. What has place p is summed out. That
 * is quadratic in the length of the axis, and a few plain loops. */
bool onnx_top_k(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  struct ox_ints count = {true, 1, (const int64_t[]){0}};
  int64_t axis, r = ox_rank(x), k = ox_int(c, "k", 0);
  bool largest;
  if (!ox_axis(c, ox_int(c, "axis", -1), r, &axis) ||
      !ox_flag(c, "largest", true, &largest) ||
      (c->nin > 1 && !ox_const_ints(c, 1, &count)))
    return false;
  k = c->nin > 1 && count.n == 1 ? count.v[0] : k;
  int64_t n = ox_dims(x)[axis];
  if (k < 1 || k > n)
    return ox_fail(c, DN_ATTR, "k is %lld of %lld", (long long)k, (long long)n);
  if (n > 8192 || r + 1 > IR_MAX_RANK)
    return ox_fail(c, DN_UNSUPPORTED_ATTR, "an axis of %lld elements",
                   (long long)n);
  bool last[IR_MAX_RANK] = {0};
  /* this: index along `axis`; other: along axis + 1. */
  struct ir_value *a = with_axis(c, x, axis + 1), *b = with_axis(c, x, axis);
  struct ir_value *i = ox_iota(c, r + 1, axis, n, IR_I32);
  struct ir_value *j = ox_iota(c, r + 1, axis + 1, n, IR_I32);
  struct ir_value *before =
      largest ? ox_op2(c, IR_LT, a, b) : ox_op2(c, IR_LT, b, a);
  struct ir_value *tie =
      ox_op2(c, IR_AND, ox_op2(c, IR_EQ, a, b), ox_op2(c, IR_LT, j, i));
  last[axis + 1] = true;
  struct ir_value *place = ox_cast(c, ox_op2(c, IR_OR, before, tie), IR_I32);
  place = ox_squeeze(c, ox_reduce(c, IR_REDUCE_SUM, place, last), last);
  if (!place)
    return false;
  /* [.., k, n]: element j stands at place i. */
  i = ox_iota(c, r + 1, axis, k, IR_I32);
  struct ir_value *is = ox_op2(c, IR_EQ, i, with_axis(c, place, axis));
  struct ir_value *outs[] = {ox_select(c, is, b, ox_number(c, b, 0)),
                             ox_select(c, is, j, ox_number(c, j, 0))};
  for (size_t o = 0; o < c->nout; o++) {
    struct ir_value *v = ox_reduce(c, IR_REDUCE_SUM, outs[o], last);
    v = ox_squeeze(c, v, last);
    c->out[o] = o ? ox_cast(c, v, IR_I64) : v;
  }
  return c->out[0] != NULL;
}
