/* onnx_op_gqa.c - GroupQueryAttention of ONNX Runtime: attention with a cache
 * that new keys and values are put into, behind as many as each batch entry
 * has. */
#include <math.h>

#include "frontend/onnx_attention.h"

struct gqa {
  int64_t batch, s, total, heads, kv_heads, size;
  struct ir_value *before; /* keys that the cache holds, [B], i32 */
  struct ir_value *ids;    /* positions, [B,S] */
};

/* One of query, key and value, or of them packed in one input, [B,S,H,D]. */
static struct ir_value *heads_of(struct onnx_call *c, const struct gqa *g,
                                 int k) {
  int64_t heads = k ? g->kv_heads : g->heads;
  struct ir_value *x = ox_in(c, 1) ? ox_in(c, (size_t)k) : c->in[0];
  if (!x)
    return ox_null(c, ARITY, "input %d is missing", k);
  if (!ox_in(c, 1))
    x = fe_slice1(c->b, x, 2,
                  k ? (g->heads + (k - 1) * g->kv_heads) * g->size : 0,
                  heads * g->size, 1);
  return fe_reshape(c->b, x, 4, (int64_t[]){g->batch, g->s, heads, g->size});
}

static bool read_gqa(struct onnx_call *c, struct gqa *g) {
  const struct ir_value *q = c->in[0], *past = ox_in(c, 3);
  g->heads = ox_int(c, "num_heads", 0);
  g->kv_heads = ox_int(c, "kv_num_heads", 0);
  if (fe_rank(q) != 3 || g->heads < 1 || g->kv_heads < 1 ||
      g->heads % g->kv_heads || g->heads > 1 << 20)
    return ox_fail(c, TYPE, "heads do not fit the query");
  int64_t all = ox_in(c, 1) ? g->heads : g->heads + 2 * g->kv_heads;
  g->batch = fe_dims(q)[0];
  g->s = fe_dims(q)[1];
  g->size = fe_dims(q)[2] / all;
  if (!past != !ox_in(c, 4) || (past && fe_rank(past) != 4) ||
      fe_dims(q)[2] % all || !ox_in(c, 5) ||
      ir_type_count(c->in[5]->type) != g->batch)
    return ox_fail(c, TYPE, "the cache or the lengths do not fit the query");
  int64_t held = past ? fe_dims(past)[2] : 0;
  struct ir_value *known = ox_in(c, 6) ? ox_evaluate(c, c->in[6]) : NULL;
  g->total = ox_declared(c, 1, 4, 2);
  if (known && ir_type_count(known->type) == 1)
    g->total = dn_max(held, ir_const_int(known, 0));
  g->total = g->total < held ? held + g->s : g->total;
  if (g->total < g->s || g->total > INT32_MAX)
    return ox_fail(c, SHAPE, "%lld keys for %lld queries", (long long)g->total,
                   (long long)g->s);
  struct ir_value *n = fe_reshape(c->b, fe_cast(c->b, c->in[5], IR_I32), 1,
                                  (int64_t[]){g->batch});
  n = fe_offset(c->b, n, 1 - (double)g->s);
  g->before = held ? fe_op2(c->b, IR_MAX, n, n ? fe_number(c->b, n, 0) : NULL)
                   : fe_scale(c->b, n, 0);
  g->ids = fe_add(c->b, fe_unsqueeze(c->b, g->before, 0, 1),
                  fe_iota(c->b, 2, 1, g->s, IR_I32));
  return g->ids != NULL;
}

/* The cache with new rows [B,S,H,D] behind what it holds. */
static struct ir_value *extend(struct onnx_call *c, const struct gqa *g,
                               struct ir_value *past, struct ir_value *x) {
  return fe_call(c->b, FE_EXTEND_CACHE, IR_ARGS(x, g->ids, past),
                 IR_ATTRS(ir_int("total", g->total)));
}

/* Queries see keys up to their own position, within a window if there is one.
 */
static bool see(struct onnx_call *c, const struct gqa *g,
                struct ox_attention *a) {
  int64_t window = ox_int(c, "local_window_size", -1);
  bool near = window > 0 && window < INT32_MAX;
  return ox_order(
      c, a, fe_offset(c->b, g->before, (double)g->s),
      IR_ATTRS(ir_int("causal", 1), ir_int("left", near ? window - 1 : -1)));
}

bool onnx_gqa(struct onnx_call *c) {
  struct gqa g = {0};
  bool rotates, neighbours;
  if (!read_gqa(c, &g) || !ox_flag(c, "do_rotary", false, &rotates) ||
      !ox_flag(c, "rotary_interleaved", false, &neighbours))
    return false;
  if (ox_int(c, "smooth_softmax", 0) > 0 || ox_in(c, 9) || ox_in(c, 11))
    return ox_fail(c, UNSUPPORTED_ATTR, "smooth_softmax or position_ids");
  struct ir_value *x[3];
  for (int k = 0; k < 3; k++) {
    x[k] = heads_of(c, &g, k);
    if (!x[k])
      return false;
    if (rotates && k < 2) {
      if (!ox_in(c, 7) || !ox_in(c, 8))
        return ox_fail(c, ARITY, "the caches of positions are missing");
      x[k] = fe_call(
          c->b, FE_ROTARY, IR_ARGS(x[k], c->in[7], c->in[8], g.ids),
          IR_ATTRS(ir_int("size", 0), ir_int("neighbours", neighbours)));
    }
  }
  struct ir_value *key = extend(c, &g, ox_in(c, 3), x[1]);
  struct ir_value *value = extend(c, &g, ox_in(c, 4), x[2]);
  struct ir_value *q = fe_transpose(c->b, x[0], (int64_t[]){0, 2, 1, 3});
  struct ox_attention a = {.q = q,
                           .k = ox_repeat_heads(c, key, g.heads),
                           .v = ox_repeat_heads(c, value, g.heads),
                           .bias = ox_in(c, 10),
                           .softcap = ox_float(c, "softcap", 0),
                           .scale = ox_float(c, "scale", 0),
                           .masked = -HUGE_VAL,
                           .precision = IR_F32};
  if (!a.q || !a.k || !a.v || !see(c, &g, &a))
    return false;
  if (a.scale == 0)
    a.scale = 1 / sqrt((double)g.size);
  struct ir_value *outs[] = {ox_join_heads(c, ox_attend(c, &a)), key, value};
  for (size_t k = 0; k < c->nout && k < 3; k++)
    c->out[k] = outs[k];
  return c->out[0] != NULL;
}
