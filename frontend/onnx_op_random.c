/* onnx_op_random.c - numbers drawn at random: element i of a draw is a hash of i
 * and of a seed (`random_bits` of decompose.def), the attribute's or, without
 * one, one that the output's name gives. A model draws the same numbers in each
 * run, on each machine. */
#include <string.h>

#include "frontend/onnx_ops.h"

static int64_t seed_of(const struct onnx_call *c) {
  const struct onnx_attr *a = ox_attr(c, "seed");
  uint32_t h = 2166136261u;
  if (a && a->type == ONNX_FLOAT)
    memcpy(&h, &a->f, sizeof h);
  else if (a)
    h = (uint32_t)a->i;
  for (const char *p = c->node->outputs.v[0]; !a && *p; p++)
    h = (h ^ (uint8_t)*p) * 16777619u;
  return h;
}

/* The row arg of decompose.def, with where its numbers start. */
bool onnx_random(struct onnx_call *c) {
  enum fe_decomposition row = (enum fe_decomposition)c->arg;
  struct ir_attr attrs[FE_MAX_ATTRS];
  size_t n;
  if (!ox_row_attrs(c, row, attrs, &n))
    return false;
  attrs[n++] = ir_int("start", seed_of(c));
  return fe_decompose(c->b, row, c->in, c->nin, attrs, n, c->out, c->nout);
}

/* Inference: the identity, and a mask that keeps everything. Training: elements
 * are dropped with a probability, the others grow. */
bool onnx_dropout(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *ratio = ox_in(c, 1), *train = ox_in(c, 2);
  struct ir_value *known = train ? ox_evaluate(c, train) : NULL;
  bool runs = train && !(known && ir_type_count(known->type) == 1 &&
                         !ir_const_int(known, 0));
  enum ir_dtype mask = c->version < 10 ? fe_dtype(x) : IR_BOOL;
  struct ir_value *keep =
      fe_expand(c->b, fe_scalar(c->b, mask, 1), fe_rank(x), fe_dims(x));
  c->out[0] = x;
  if (runs) {
    struct ir_value *out[2] = {0};
    struct ir_value *args[] = {
        x, ratio ? fe_cast(c->b, ratio, IR_F32) : fe_scalar(c->b, IR_F32, 0.5),
        train,
        fe_call(c->b, FE_DRAWN, &x, 1, IR_ATTRS(ir_int("start", seed_of(c))))};
    if (!args[3] || !fe_decompose(c->b, FE_DROP, args, 4, NULL, 0, out, 2))
      return false;
    c->out[0] = out[0];
    keep = out[1];
  }
  if (c->nout > 1)
    c->out[1] = keep;
  return c->out[0] != NULL;
}
