/* onnx_op_random.c - numbers drawn at random: element i of a draw is a hash of i
 * and of a seed (`random_bits` of decompose.def), the attribute's or, without
 * one, one that the output's name gives. A model draws the same numbers in each
 * run, on each machine. */
#include <string.h>

#include "frontend/onnx_ops.h"

enum { UNIFORM, NORMAL };

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

/* Numbers of f32 in a shape. */
static struct ir_value *draw(struct onnx_call *c, enum fe_decomposition row,
                             int64_t rank, const int64_t *dims) {
  struct ir_value *out = NULL;
  const struct ir_type *t =
      ir_type_checked(c->im->ctx, c->b->at.loc, IR_F32, rank, dims);
  if (!t)
    return NULL;
  if (ir_type_count(t) > INT32_MAX)
    return ox_null(c, LIMIT, "over 2^31 numbers");
  fe_decompose(
      c->b, row, NULL, 0,
      IR_ATTRS(ir_int("count", ir_type_count(t)), ir_int("seed", seed_of(c))),
      &out, 1);
  return fe_reshape(c->b, out, rank, dims);
}

/* Element type: an attribute, else that of input 0, else f32. */
static bool drawn_type(struct onnx_call *c, enum ir_dtype *to) {
  const struct onnx_attr *a = ox_attr(c, "dtype");
  *to = c->nin && !a ? fe_dtype(c->in[0]) : IR_F32;
  return !a || onnx_dtype_find(a->i, to) ||
         ox_fail(c, UNSUPPORTED_TYPE, "element type %s", onnx_dtype_name(a->i));
}

/* RandomUniform and RandomNormal, of a shape or of that of input 0. */
bool onnx_random(struct onnx_call *c) {
  bool normal = c->arg == NORMAL;
  struct ox_ints shape = ox_ints(c, "shape");
  enum ir_dtype to;
  if (!drawn_type(c, &to))
    return false;
  struct ir_value *v = draw(c, normal ? FE_RANDOM_NORMAL : FE_RANDOM_UNIFORM,
                            c->nin ? fe_rank(c->in[0]) : shape.n,
                            c->nin ? fe_dims(c->in[0]) : shape.v);
  double low = ox_float(c, normal ? "mean" : "low", 0);
  double scale =
      normal ? ox_float(c, "scale", 1) : ox_float(c, "high", 1) - low;
  v = fe_offset(c->b, fe_scale(c->b, v, scale), low);
  return ox_return(c, fe_cast(c->b, v, to));
}

bool onnx_bernoulli(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  enum ir_dtype to;
  if (!drawn_type(c, &to))
    return false;
  struct ir_value *u = draw(c, FE_RANDOM_UNIFORM, fe_rank(x), fe_dims(x));
  u = fe_op2(c->b, IR_LT, u, fe_cast(c->b, x, IR_F32));
  return ox_return(c, fe_cast(c->b, u, to));
}

/* Classes drawn by unnormalized logarithms of their probabilities: the largest
 * of them, each with Gumbel's noise. */
bool onnx_multinomial(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  int64_t n = ox_int(c, "sample_size", 1);
  enum ir_dtype to = IR_I32;
  if (ox_attr(c, "dtype") && !drawn_type(c, &to))
    return false;
  if (fe_rank(x) != 2 || n < 1)
    return ox_fail(c, TYPE, "the input must be [batch, classes]");
  const int64_t dims[] = {fe_dims(x)[0], n, fe_dims(x)[1]};
  struct ir_value *u = draw(c, FE_RANDOM_UNIFORM, 3, dims);
  struct ir_value *at =
      fe_call(c->b, FE_GUMBEL_MAX, IR_ARGS(fe_insert(c->b, x, 1), u), NULL, 0);
  return ox_return(c, fe_cast(c->b, at, to));
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
        train, draw(c, FE_RANDOM_UNIFORM, fe_rank(x), fe_dims(x))};
    if (!args[3] || !fe_decompose(c->b, FE_DROP, args, 4, NULL, 0, out, 2))
      return false;
    c->out[0] = out[0];
    keep = out[1];
  }
  if (c->nout > 1)
    c->out[1] = keep;
  return c->out[0] != NULL;
}
