/* onnx_op_linear_attention.c - attention by a state that each position updates,
 * and attention whose scores go through subgraphs. */
#include <math.h>
#include <string.h>

#include "frontend/onnx_attention.h"
#include "frontend/region.h"

struct linear {
  struct onnx_call *c;
  int64_t heads, kv_heads;
  bool gated, delta;
  struct ir_value *q, *k, *v, *decay, *beta; /* [B,H,T,D] */
};

/* Input k, there or not as the rule says, in heads of its last dim. */
static bool gate(struct onnx_call *c, size_t k, bool wanted, int64_t heads,
                 struct ir_value **out) {
  struct ir_value *x = ox_in(c, k);
  *out = NULL;
  if (!x != !wanted)
    return ox_fail(c, ARITY, "update_rule and input %zu do not fit", k);
  if (!x)
    return true;
  if (fe_rank(x) != 3)
    return ox_fail(c, TYPE, "input %zu must have 3 dimensions", k);
  x = ox_split_heads(c, fe_cast(c->b, x, IR_F32), dn_min(heads, fe_dims(x)[2]));
  *out = x;
  return x != NULL;
}

static bool read_linear(struct onnx_call *c, struct linear *l) {
  static const struct {
    const char *name;
    bool gated, delta;
  } rules[] = {{"linear", false, false},
               {"gated", true, false},
               {"delta", false, true},
               {"gated_delta", true, true}};
  const char *rule = ox_str(c, "update_rule", "gated_delta");
  int k = DN_FIND(rules, rule);
  *l = (struct linear){.c = c,
                       .heads = ox_int(c, "q_num_heads", 0),
                       .kv_heads = ox_int(c, "kv_num_heads", 0)};
  if (k < 0)
    return ox_fail(c, ATTR, "unknown update_rule '%s'", ox_text(c, rule));
  l->gated = rules[k].gated;
  l->delta = rules[k].delta;
  for (size_t i = 0; i < 3; i++)
    if (fe_rank(c->in[i]) != 3 || fe_dims(c->in[i])[1] != fe_dims(c->in[0])[1])
      return ox_fail(c, TYPE, "input %zu does not fit the query", i);
  l->q = ox_split_heads(c, fe_cast(c->b, c->in[0], IR_F32), l->heads);
  l->k = ox_split_heads(c, fe_cast(c->b, c->in[1], IR_F32), l->kv_heads);
  l->v = ox_split_heads(c, fe_cast(c->b, c->in[2], IR_F32), l->kv_heads);
  return l->q && l->k && l->v && gate(c, 4, l->gated, l->kv_heads, &l->decay) &&
         gate(c, 5, l->delta, l->kv_heads, &l->beta);
}

/* Of [B,H,T,D] a position [B,H,1,D] for each step. */
static struct ir_value *by_step(struct onnx_call *c, struct ir_value *x) {
  return fe_insert(c->b, fe_transpose(c->b, x, (int64_t[]){2, 0, 1, 3}), 3);
}

/* The state, and what the query of one position gets of it. */
static bool linear_turn(void *data, struct ir_value *const *p,
                        struct ir_value **out) {
  const struct linear *l = data;
  struct fe_build *b = l->c->b;
  struct ir_value *decay = l->gated ? p[4] : NULL;
  struct ir_value *beta = l->delta ? p[4 + l->gated] : NULL;
  out[0] = fe_call(b, FE_LINEAR_STEP, IR_ARGS(p[0], p[1], p[2], decay, beta),
                   NULL, 0);
  out[1] = fe_matmul(b, p[3], ox_repeat_heads(l->c, out[0], l->heads));
  return out[1] != NULL;
}

bool onnx_linear_attention(struct onnx_call *c) {
  struct linear l;
  struct ir_value *state = ox_in(c, 3), *like = state ? state : c->in[0];
  if (!read_linear(c, &l))
    return false;
  int64_t n = fe_dims(l.q)[2], d = fe_dims(l.q)[3];
  const int64_t dims[] = {fe_dims(l.q)[0], l.kv_heads, d, fe_dims(l.v)[3]};
  double scale = ox_float(c, "scale", 0);
  if (!n)
    return ox_fail(c, TYPE, "no positions");
  state = state ? fe_cast(c->b, state, IR_F32)
                : fe_expand(c->b, fe_scalar(c->b, IR_F32, 0), 4, dims);
  struct ir_value *in[6] = {state, by_step(c, l.k), by_step(c, l.v),
                            by_step(c, l.q)};
  struct ir_value *y[2];
  size_t nin = 4;
  if (l.decay)
    in[nin++] = by_step(c, l.decay);
  if (l.beta)
    in[nin++] = by_step(c, l.beta);
  for (size_t i = 0; i < nin; i++)
    if (!in[i])
      return false;
  if (!fe_loop(c->b, IR_SCAN, in, nin, 1, linear_turn, &l, 2, &n, y))
    return false;
  const bool one[IR_MAX_RANK] = {[3] = true};
  struct ir_value *all =
      fe_transpose(c->b, fe_squeeze(c->b, y[1], one), (int64_t[]){1, 2, 0, 3});
  all = fe_scale(c->b, all, scale != 0 ? scale : 1 / sqrt((double)d));
  c->out[0] = fe_cast(c->b, ox_join_heads(c, all), fe_dtype(c->in[0]));
  if (c->nout > 1)
    c->out[1] = fe_cast(c->b, y[0], fe_dtype(like));
  return c->out[0] != NULL;
}

/* ---- FlexAttention ---- */

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
  struct ir_value *keys = ox_repeat_heads(c, c->in[1], heads);
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
  struct ir_value *v = fe_cast(c->b, ox_repeat_heads(c, c->in[2], heads), to);
  return ox_return(c, fe_cast(c->b, fe_matmul(c->b, s, v), fe_dtype(c->in[2])));
}
