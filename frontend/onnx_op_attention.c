/* onnx_op_attention.c - attention that a row of decompose.def alone does not say:
 * with a cache whose size the model declares, and with subgraphs. */
#include <math.h>

#include "frontend/onnx_ops.h"

/* GroupQueryAttention of ONNX Runtime. The cache has room for input 6, if it is
 * known, else for what the model declares for output 1. */
bool onnx_gqa(struct onnx_call *c) {
  const struct ir_value *q = c->in[0], *past = ox_in(c, 3);
  struct ir_value *known = ox_in(c, 6) ? ox_evaluate(c, c->in[6]) : NULL;
  struct ir_attr attrs[FE_MAX_ATTRS];
  size_t n;
  int64_t held = past && fe_rank(past) == 4 ? fe_dims(past)[2] : 0;
  int64_t total = ox_declared(c, 1, 4, 2);
  if (known && ir_type_count(known->type) == 1)
    total = dn_max(held, ir_const_int(known, 0));
  if (total < held)
    total = held + (fe_rank(q) == 3 ? fe_dims(q)[1] : 0);
  if (!ox_row_attrs(c, FE_GQA, attrs, &n))
    return false;
  attrs[n++] = ir_int("keys", total);
  return fe_decompose(c->b, FE_GQA, c->in, c->nin, attrs, n, c->out, c->nout);
}

/* x through a subgraph of one input and one output, if there is one. */
static bool modify(struct onnx_call *c, const char *name, struct ir_value **x) {
  const struct onnx_attr *a = ox_attr(c, name);
  const struct ir_type *type = *x ? (*x)->type : NULL;
  if (!a || !*x)
    return *x != NULL;
  if (!ox_inline_graph(c, a->g, x, 1, x, 1))
    return false;
  return (*x)->type == type ||
         ox_fail(c, TYPE, "'%s' gives a value of another type", name);
}

bool onnx_flex_attention(struct onnx_call *c) {
  const struct ir_value *q = c->in[0], *k = c->in[1];
  enum ir_dtype to = fe_dtype(q) == IR_F64 ? IR_F64 : IR_F32;
  const struct onnx_attr *precision = ox_attr(c, "softmax_precision");
  if (fe_rank(q) != 4 || fe_rank(k) != 4 || fe_rank(c->in[2]) != 4)
    return ox_fail(c, TYPE, "the inputs must have 4 dimensions");
  if (precision && !onnx_dtype_find(precision->i, &to))
    return ox_fail(c, UNSUPPORTED_TYPE, "element type %s",
                   onnx_dtype_name(precision->i));
  double scale = ox_float(c, "scale", 1 / sqrt((double)fe_dims(q)[3]));
  int64_t heads = fe_dims(q)[1];
  const struct ir_attr attrs[] = {ir_int("heads", heads)};
  struct ir_value *keys =
      fe_call(c->b, FE_REPEAT_HEADS, &c->in[1], 1, attrs, 1);
  keys = fe_scale(c->b, keys, sqrt(scale));
  struct ir_value *s =
      fe_matmul(c->b, fe_scale(c->b, c->in[0], sqrt(scale)),
                fe_transpose(c->b, keys, (int64_t[]){0, 1, 3, 2}));
  s = fe_cast(c->b, s, to);
  if (!modify(c, "score_mod", &s))
    return false;
  s = fe_call(c->b, FE_SOFTMAX, IR_ARGS(s), NULL, 0);
  if (!modify(c, "prob_mod", &s))
    return false;
  struct ir_value *v =
      fe_cast(c->b, fe_call(c->b, FE_REPEAT_HEADS, &c->in[2], 1, attrs, 1), to);
  return ox_return(c, fe_cast(c->b, fe_matmul(c->b, s, v), fe_dtype(c->in[2])));
}
