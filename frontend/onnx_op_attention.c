/* onnx_op_attention.c - attention and what goes with it: rotary positions, and
 * the fused operators that ONNX Runtime writes for transformers. All of them
 * are products, softmax and layer normalization. */
#include <math.h>
#include <string.h>

#include "frontend/onnx_attention.h"

static struct ir_value *with_heads(struct onnx_call *c, struct ir_value *x,
                                   enum fe_decomposition row, int64_t heads) {
  return fe_call(c->b, row, IR_ARGS(x), IR_ATTRS(ir_int("heads", heads)));
}

struct ir_value *ox_split_heads(struct onnx_call *c, struct ir_value *x,
                                int64_t heads) {
  return with_heads(c, x, FE_SPLIT_HEADS, heads);
}

struct ir_value *ox_join_heads(struct onnx_call *c, struct ir_value *x) {
  return fe_call(c->b, FE_JOIN_HEADS, IR_ARGS(x), NULL, 0);
}

struct ir_value *ox_repeat_heads(struct onnx_call *c, struct ir_value *x,
                                 int64_t heads) {
  return with_heads(c, x, FE_REPEAT_HEADS, heads);
}

struct ir_value *ox_attend(struct onnx_call *c, struct ox_attention *a) {
  struct ir_value *y[5] = {0};
  if (!fe_decompose(
          c->b, FE_ATTEND, IR_ARGS(a->q, a->k, a->v, a->allowed, a->bias),
          IR_ATTRS(ir_float("scale", a->scale), ir_float("softcap", a->softcap),
                   ir_float("masked", a->masked),
                   ir_str("precision", ir_dtypes[a->precision].text),
                   ir_int("guard", a->guard)),
          y, 5))
    return NULL;
  memcpy(a->modes, y + 1, sizeof a->modes);
  return y[0];
}

bool ox_order(struct onnx_call *c, struct ox_attention *a,
              struct ir_value *valid, const struct ir_attr *attrs, size_t n) {
  return fe_decompose(c->b, FE_ORDER, IR_ARGS(a->q, a->k, a->allowed, valid),
                      attrs, n, &a->allowed, 1);
}

/* The mask input: bool or added; one that is too short masks the rest. */
static bool read_mask(struct onnx_call *c, struct ox_attention *a,
                      int64_t total) {
  struct ir_value *m = ox_in(c, 3);
  if (!m)
    return true;
  int r = fe_rank(m);
  if (r < 1)
    return ox_fail(c, TYPE, "the mask must not be a scalar");
  int64_t rest = total - fe_dims(m)[r - 1], pads[2 * IR_MAX_RANK] = {0};
  pads[2 * r - 1] = fe_dims(m)[r - 1] == 1 ? 0 : rest;
  bool is_bool = fe_dtype(m) == IR_BOOL;
  m = fe_pad(c->b, m, pads, NULL, is_bool ? 0 : -HUGE_VAL);
  a->guard = true;
  if (is_bool)
    a->allowed = m;
  else
    a->bias = m;
  return m != NULL;
}

/* Causal order and windows: key j against query i behind the past. */
static bool read_order(struct onnx_call *c, struct ox_attention *a,
                       struct ir_value *valid) {
  enum { FAR = 1 << 30 }; /* further than any sequence */
  const struct ir_value *past = ox_in(c, 4);
  int64_t left = dn_min(ox_int(c, "left_window_size", -1), FAR);
  int64_t right = dn_min(ox_int(c, "right_window_size", -1), FAR);
  a->guard = a->guard || valid || left >= 0 || right >= 0;
  return ox_order(c, a, valid,
                  IR_ATTRS(ir_int("past", past ? fe_dims(past)[2] : 0),
                           ir_int("causal", ox_int(c, "is_causal", 0) != 0),
                           ir_int("left", left), ir_int("right", right)));
}

bool onnx_attention(struct onnx_call *c) {
  struct ox_attention a = {.q = c->in[0], .k = c->in[1], .v = c->in[2]};
  bool flat = fe_rank(a.q) == 3;
  if ((!flat && fe_rank(a.q) != 4) || fe_rank(a.k) != fe_rank(a.q) ||
      fe_rank(a.v) != fe_rank(a.q))
    return ox_fail(c, TYPE, "Q, K and V must have 3 or 4 dimensions");
  if (flat) {
    a.q = ox_split_heads(c, a.q, ox_int(c, "q_num_heads", 0));
    a.k = ox_split_heads(c, a.k, ox_int(c, "kv_num_heads", 0));
    a.v = ox_split_heads(c, a.v, ox_int(c, "kv_num_heads", 0));
  }
  if (ox_in(c, 4) && ox_in(c, 5)) {
    a.k = fe_concat(c->b, IR_ARGS(c->in[4], a.k), 2);
    a.v = fe_concat(c->b, IR_ARGS(c->in[5], a.v), 2);
  }
  if (!a.q || !a.k || !a.v)
    return false;
  struct ir_value *k = a.k, *v = a.v;
  a.k = ox_repeat_heads(c, a.k, fe_dims(a.q)[1]);
  a.v = ox_repeat_heads(c, a.v, fe_dims(a.q)[1]);
  a.scale = ox_float(c, "scale", 1 / sqrt((double)fe_dims(a.q)[3]));
  a.softcap = ox_float(c, "softcap", 0);
  a.masked = -HUGE_VAL;
  a.precision = fe_dtype(a.q);
  int64_t precision = ox_int(c, "softmax_precision", 0);
  if (precision && !onnx_dtype_find(precision, &a.precision))
    return ox_fail(c, UNSUPPORTED_TYPE, "softmax_precision %lld",
                   (long long)precision);
  if (!a.k || !a.v || !read_mask(c, &a, fe_dims(a.k)[2]) ||
      !read_order(c, &a, ox_in(c, 6)))
    return false;
  struct ir_value *y = ox_attend(c, &a);
  int64_t mode = ox_int(c, "qk_matmul_output_mode", 0);
  if (mode < 0 || mode > 3)
    return ox_fail(c, ATTR, "qk_matmul_output_mode is %lld", (long long)mode);
  struct ir_value *outs[] = {flat ? ox_join_heads(c, y) : y, k, v,
                             a.modes[mode]};
  memcpy(c->out, outs, c->nout * sizeof *outs);
  return y != NULL;
}

/* ---- Rotary positions ---- */

/* Positions in the operator of ONNX Runtime: [B,S], or where the first is. */
static struct ir_value *position_ids(struct onnx_call *c, int64_t s) {
  struct ir_value *ids = c->in[1];
  if (ir_type_count(ids->type) != 1 || fe_rank(ids) > 1)
    return ids;
  ids = fe_add(c->b, fe_reshape(c->b, ids, 0, NULL),
               fe_iota(c->b, 1, 0, s, fe_dtype(ids)));
  return fe_expand(c->b, ids, 2, (int64_t[]){fe_dims(c->in[0])[0], s});
}

/* arg 1: of ONNX Runtime, which has the positions before the caches. */
bool onnx_rotary(struct onnx_call *c) {
  static const int64_t swap[] = {0, 2, 1, 3};
  struct ir_value *x = c->in[0], *cos = c->in[1 + c->arg];
  struct ir_value *sin = c->in[2 + c->arg], *ids = ox_in(c, 3);
  const int64_t *d = fe_dims(x);
  bool neighbours;
  if (!ox_flag(c, "interleaved", false, &neighbours))
    return false;
  if (fe_rank(x) != 3 && fe_rank(x) != 4)
    return ox_fail(c, TYPE, "the input must have 3 or 4 dimensions");
  int64_t n = ox_int(c, "rotary_embedding_dim", 0);
  if (c->arg)
    ids = position_ids(c, d[fe_rank(x) - 2]);
  if (fe_rank(x) == 3) {
    int64_t heads = ox_int(c, "num_heads", 0), half;
    half = fe_rank(cos) ? fe_dims(cos)[fe_rank(cos) - 1] : 0;
    if (c->arg && !heads && half > 0)
      heads = d[2] / (2 * half);
    if (heads < 1 || d[2] % heads)
      return ox_fail(c, ATTR, "num_heads is %lld", (long long)heads);
    x = fe_reshape(c->b, x, 4,
                   (const int64_t[]){d[0], d[1], heads, d[2] / heads});
  } else {
    x = fe_transpose(c->b, x, swap);
  }
  n = n || c->arg || !x ? n : fe_dims(x)[3];
  struct ir_value *y =
      fe_call(c->b, FE_ROTARY, IR_ARGS(x, cos, sin, ids),
              IR_ATTRS(ir_int("size", n), ir_int("neighbours", neighbours)));
  if (fe_rank(c->in[0]) == 4)
    y = fe_transpose(c->b, y, swap);
  return ox_return(c,
                   fe_reshape(c->b, y, fe_rank(c->in[0]), fe_dims(c->in[0])));
}

/* ---- ONNX Runtime's fused operators ---- */

/* Keys that a query may see: by a length for each batch [B], by key [B,T], or
 * by query and key [B,S,T]. */
static bool fused_mask(struct onnx_call *c, struct ox_attention *a,
                       struct ir_value *mask) {
  int64_t batch = fe_dims(a->q)[0], s = fe_dims(a->q)[2], t = fe_dims(a->k)[2];
  if (!mask)
    return true;
  const int64_t *d = fe_dims(mask);
  int r = fe_rank(mask);
  if (r < 1 || r > 3 || d[0] != batch || (r > 1 && d[r - 1] != t) ||
      (r == 3 && d[1] != s))
    return ox_fail(c, UNSUPPORTED_ATTR,
                   "a mask that is not [B], [B,T] or [B,S,T]");
  const int64_t dims[] = {batch, 1, r == 3 ? s : 1, r == 1 ? 1 : t};
  if (r == 1)
    mask = fe_op2(c->b, IR_LT, fe_iota(c->b, 4, 3, t, fe_dtype(mask)),
                  fe_reshape(c->b, mask, 4, dims));
  else
    mask = fe_reshape(c->b, fe_cast(c->b, mask, IR_BOOL), 4, dims);
  a->allowed = a->allowed ? fe_op2(c->b, IR_AND, a->allowed, mask) : mask;
  return mask != NULL;
}

/* The attention of ONNX Runtime's operators, heads split and bias set; `past`
 * keys come before those of this call. [B,S,H*D] */
static struct ir_value *fused_attend(struct onnx_call *c,
                                     struct ox_attention *a,
                                     struct ir_value *mask, int64_t past) {
  if (!a->q || !a->k || !a->v)
    return NULL;
  a->scale = ox_float(c, "scale", 0);
  if (a->scale == 0)
    a->scale = 1 / sqrt((double)fe_dims(a->q)[3]);
  a->masked = ox_float(c, "mask_filter_value", -10000);
  a->precision = fe_dtype(a->q);
  bool causal = ox_int(c, "unidirectional", 0) != 0;
  if (!ox_order(c, a, NULL,
                IR_ATTRS(ir_int("past", past), ir_int("causal", causal))))
    return NULL;
  return fused_mask(c, a, mask) ? ox_join_heads(c, ox_attend(c, a)) : NULL;
}

/* Attention with its input projection: [B,S,H] by [H,3H]. */
bool onnx_fused_attention(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *w = c->in[1], *past = ox_in(c, 4);
  int64_t heads = ox_int(c, "num_heads", 0), before = 0;
  if (fe_rank(x) != 3 || fe_rank(w) != 2 || fe_dims(w)[1] % 3)
    return ox_fail(c, TYPE, "the input must be [B,S,H], the weights [H,3H]");
  if (ox_attr(c, "qkv_hidden_sizes") || ox_in(c, 6))
    return ox_fail(c, UNSUPPORTED_ATTR,
                   "qkv_hidden_sizes or past_sequence_length");
  struct ir_value *y = fe_matmul(c->b, x, w);
  if (ox_in(c, 2))
    y = fe_add(c->b, y, c->in[2]);
  if (!y)
    return false;
  int64_t n = fe_dims(w)[1] / 3;
  struct ox_attention a = {.bias = ox_in(c, 5)};
  a.q = ox_split_heads(c, fe_slice1(c->b, y, 2, 0, n, 1), heads);
  a.k = ox_split_heads(c, fe_slice1(c->b, y, 2, n, n, 1), heads);
  a.v = ox_split_heads(c, fe_slice1(c->b, y, 2, 2 * n, n, 1), heads);
  if (past) {
    bool drop[IR_MAX_RANK] = {true};
    struct ir_value *pk =
        fe_squeeze(c->b, fe_slice1(c->b, past, 0, 0, 1, 1), drop);
    struct ir_value *pv =
        fe_squeeze(c->b, fe_slice1(c->b, past, 0, 1, 1, 1), drop);
    if (!pk || !pv || fe_rank(pk) != 4)
      return ox_fail(c, TYPE, "past must be [2,B,N,P,H]");
    before = fe_dims(pk)[2];
    a.k = fe_concat(c->b, IR_ARGS(pk, a.k), 2);
    a.v = fe_concat(c->b, IR_ARGS(pv, a.v), 2);
  }
  c->out[0] = fused_attend(c, &a, ox_in(c, 3), before);
  if (c->nout > 1 && c->out[0])
    c->out[1] = fe_concat(
        c->b,
        IR_ARGS(fe_unsqueeze(c->b, a.k, 1, 0), fe_unsqueeze(c->b, a.v, 1, 0)),
        0);
  return c->out[0] != NULL;
}

/* One of those packed in [B,S,N,k,D], as [B,S,N*D]. */
static struct ir_value *unpack(struct onnx_call *c, struct ir_value *x,
                               int64_t which) {
  const int64_t *d = fe_dims(x);
  return fe_reshape(c->b, fe_slice1(c->b, x, 3, which, 1, 1), 3,
                    (const int64_t[]){d[0], d[1], d[2] * d[4]});
}

/* [B,S,H] plus its part of the bias, in heads; what has 4 dimensions is in
 * heads and has its bias. */
static struct ir_value *biased_heads(struct onnx_call *c, struct ir_value *x,
                                     int64_t *at) {
  if (!x || fe_rank(x) == 4)
    return x;
  struct ir_value *bias = ox_in(c, 3);
  if (fe_rank(x) != 3)
    return ox_null(c, TYPE, "query, key and value must have 3 dimensions");
  int64_t n = fe_dims(x)[2];
  if (bias && (fe_rank(bias) != 1 || *at + n > fe_dims(bias)[0]))
    return ox_null(c, TYPE, "the bias is too short");
  if (bias)
    x = fe_add(c->b, x, fe_slice1(c->b, bias, 0, *at, n, 1));
  *at += n;
  return ox_split_heads(c, x, ox_int(c, "num_heads", 0));
}

/* Attention of projected q, k and v, or of them packed. */
bool onnx_multi_head(struct onnx_call *c) {
  struct ir_value *x[] = {c->in[0], ox_in(c, 1), ox_in(c, 2)};
  struct ox_attention a = {.bias = ox_in(c, 5)};
  int64_t at = 0, past = 0;
  bool qkv = fe_rank(x[0]) == 5, kv = x[1] && fe_rank(x[1]) == 5;
  if ((qkv && fe_dims(x[0])[3] != 3) || (kv && fe_dims(x[1])[3] != 2) ||
      (!qkv && (!x[1] || (!kv && !x[2]))))
    return ox_fail(c, TYPE, "query, key and value do not fit");
  if (ox_in(c, 8) || ox_in(c, 9))
    return ox_fail(c, UNSUPPORTED_ATTR, "shared caches");
  for (int i = 2; qkv && i >= 0; i--)
    x[i] = unpack(c, x[0], i);
  for (int i = 1; kv && i >= 0; i--)
    x[1 + i] = unpack(c, x[1], i);
  a.q = biased_heads(c, x[0], &at);
  a.k = biased_heads(c, x[1], &at);
  a.v = biased_heads(c, x[2], &at);
  if (ox_in(c, 6) && ox_in(c, 7)) {
    past = fe_rank(c->in[6]) == 4 ? fe_dims(c->in[6])[2] : 0;
    a.k = fe_concat(c->b, IR_ARGS(c->in[6], a.k), 2);
    a.v = fe_concat(c->b, IR_ARGS(c->in[7], a.v), 2);
  }
  struct ir_value *y = fused_attend(c, &a, ox_in(c, 4), past);
  struct ir_value *outs[] = {y, a.k, a.v, a.modes[0]};
  memcpy(c->out, outs, c->nout * sizeof *outs);
  return y != NULL;
}
