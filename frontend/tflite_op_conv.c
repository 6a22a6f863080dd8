/* tflite_op_conv.c - convolutions, fully connected layers, products of matrices
 * and pooling. Quantized operands of products are counted from their zero
 * points. */
#include "frontend/tflite.h"
#include "frontend/window.h"

#include <math.h>
#include <string.h>

/* ---- Windows ---- */

/* Height and width, which are dims 1 and 2. */
static struct fe_window window_of(struct tfl_call *c, int64_t height,
                                  int64_t width) {
  return (struct fe_window){
      .n = 2,
      .first = 1,
      .kernel = {height, width},
      .strides = {tfl_int(c, "stride_h"), tfl_int(c, "stride_w")},
      .dilations = {1, 1}};
}

/* Padding SAME (0) or VALID (1) over an NHWC shape. */
static bool place_window(struct tfl_call *c, const int64_t *dims,
                         struct fe_window *w) {
  int64_t padding = tfl_int(c, "padding");
  for (int i = 0; i < 2; i++)
    if (w->strides[i] < 1 || w->dilations[i] < 1 || w->kernel[i] < 1 ||
        w->strides[i] > INT32_MAX || w->dilations[i] > INT32_MAX)
      return tfl_fail(c, ATTR, "a stride, dilation or window of 0 or less");
  if (padding != 0 && padding != 1)
    return tfl_fail(c, ATTR, "padding %lld", (long long)padding);
  for (int i = 0; i < 2 && !padding; i++)
    fe_window_pad_same(w, i, dims[1 + i], false);
  int bad = fe_window_fit(w, dims + 1, false);
  return bad < 0 ||
         tfl_fail(c, SHAPE, "a window of %lld over %lld elements",
                  (long long)fe_window_reach(w, bad), (long long)dims[1 + bad]);
}

/* How floats beside weights of 8 bits are quantized, each row by what it holds. */
enum hybrid { FLOATS, SYMMETRIC, ASYMMETRIC };

/* A contraction of x with weights of `columns` results each of `terms` terms;
 * weights are [columns, terms], or with `last`, [terms, columns]. */
struct product {
  int64_t columns, terms;
  bool last, wide; /* wide: a sum of 64 bits */
  enum hybrid hybrid;
  struct ir_value *scale; /* of the rows that are quantized so */
  int64_t activation;
};

/* Rows of floats as integers from their zero points. */
static struct ir_value *quantized_rows(struct tfl_call *c, struct product *p,
                                       struct ir_value *x) {
  int64_t axes[] = {1, 2, 3};
  struct ir_value *out[2] = {NULL, NULL};
  const struct ir_attr attrs[] = {
      ir_ints("axes", axes, fe_rank(x) - 1),
      ir_int("asymmetric", p->hybrid == ASYMMETRIC)};
  fe_decompose(c->b, FE_QUANTIZED_ROWS, &x, 1, attrs, 2, out, 2);
  p->scale = out[1];
  return out[0];
}

/* Operand k as what it is from its zero point, i32; the pass `quantize` makes
 * sums of 8-bit products of that. Floats, and operands of 16 bits, stay. */
static struct ir_value *operand(struct tfl_call *c, struct product *p, size_t k,
                                struct ir_value *x) {
  if (x && p->hybrid && !k)
    return quantized_rows(c, p, x);
  if (!x || p->wide || (!tfl_is_quantized(c->tout[0]) && !p->hybrid))
    return x;
  c->b->keeps = true;
  x = fe_cast(c->b, x, IR_I32);
  if (tfl_zero(c->tin[k]))
    x = fe_sub(c->b, x, fe_number(c->b, x, (double)tfl_zero(c->tin[k])));
  c->b->keeps = false;
  return x;
}

static struct ir_value *conv(struct tfl_call *c, struct product *p,
                             struct ir_value *x, struct ir_value *w,
                             const struct fe_window *at, int64_t groups) {
  const struct ir_attr attrs[] = {
      ir_ints("strides", at->strides, 2), ir_ints("pads", at->pads, 4),
      ir_ints("dilations", at->dilations, 2), ir_int("groups", groups),
      ir_str("to", "i64")};
  return fe_emit(c->b, IR_CONV,
                 IR_ARGS(operand(c, p, 0, x), operand(c, p, 1, w)), attrs,
                 4 + p->wide);
}

/* ---- Sums of products ---- */

/* The bias, and the bounds of each sum with it: no operand is more than 255, or
 * 2^15, from its zero point. */
static struct ir_value *integer_bias(struct tfl_call *c,
                                     const struct product *p,
                                     struct tfl_factor *f) {
  const struct ir_value *w = c->in[1], *bias = tfl_in(c, 2);
  int64_t *v = DN_ARRAY(c->im->ctx->arena, int64_t, p->columns);
  for (int64_t i = 0; i < p->columns * p->terms; i++) {
    int64_t n = ir_const_int(w, i);
    int64_t at = p->last ? i % p->columns : i / p->terms;
    f[at].most +=
        (p->wide ? 0x1p15 : 255) * fabs((double)(n - tfl_zero(c->tin[1])));
  }
  for (int64_t i = 0; i < p->columns; i++) {
    v[i] = bias ? ir_const_int(bias, i) : 0;
    f[i].least = (double)v[i] - f[i].most;
    f[i].most += (double)v[i];
  }
  return bias ? fe_ints(c->b, p->wide ? IR_I64 : IR_I32, 1, &p->columns, v)
              : NULL;
}

/* Factors of the results, as many as scales: input times weights over output.
 */
static bool factors(struct tfl_call *c, const struct product *p,
                    struct tfl_factor *f) {
  const struct tfl_tensor *w = c->tin[1];
  if (w->n != 1 && (int64_t)w->n != p->columns)
    return tfl_fail(c, ATTR, "%zu scales for %lld columns", w->n,
                    (long long)p->columns);
  for (int64_t i = 1; w->n == 1 && i < p->columns; i++) {
    f->least = fmin(f->least, f[i].least);
    f->most = fmax(f->most, f[i].most);
  }
  for (size_t i = 0; i < w->n; i++) {
    float scale = fb_float_at(&w->scales, i);
    /* A fully connected layer has the product of scales in floats. */
    f[i].by = c->arg && w->n == 1
                  ? (double)((float)tfl_scale(c->tin[0]) * scale)
                  : tfl_scale(c->tin[0]) * (double)scale;
    f[i].by /= tfl_scale(c->tout[0]);
  }
  return true;
}

static bool check_bias(struct tfl_call *c, int64_t columns) {
  const struct ir_value *bias = tfl_in(c, 2);
  return !bias || (ir_type_count(bias->type) == columns) ||
         tfl_fail(c, TYPE, "the bias has not %lld elements",
                  (long long)columns);
}

/* A sum of integers of rows in floats. */
static struct ir_value *of_rows(struct tfl_call *c, const struct product *p,
                                struct ir_value *y) {
  const struct tfl_tensor *w = c->tin[1];
  double *v = DN_ARRAY(c->im->ctx->arena, double, w->n);
  for (size_t i = 0; i < w->n; i++)
    v[i] = (double)fb_float_at(&w->scales, i);
  struct ir_value *scale = fe_floats(c->b, IR_F32, w->n > 1, &p->columns, v);
  return fe_mul(c->b, fe_cast(c->b, y, IR_F32), fe_mul(c->b, p->scale, scale));
}

/* The output of a sum `y`, in floats or integers. */
static bool finish(struct tfl_call *c, struct ir_value *y,
                   const struct product *p) {
  struct ir_value *bias = tfl_in(c, 2);
  if (!y)
    return false;
  if (!tfl_is_quantized(c->tout[0])) {
    y = p->hybrid ? of_rows(c, p, y) : y;
    y = bias ? fe_add(c->b, y, fe_reshape(c->b, bias, 1, &p->columns)) : y;
    return tfl_return(c, tfl_activate(c, y, p->activation));
  }
  struct tfl_factor *f =
      DN_ARRAY(c->im->ctx->arena, struct tfl_factor, dn_max(p->columns, 1));
  bias = integer_bias(c, p, f);
  if (!factors(c, p, f))
    return false;
  y = bias ? fe_add(c->b, y, bias) : y;
  return tfl_return(c, tfl_result(c, y, c->tin[1]->n, f, p->activation));
}

/* Weights are of 8 bits. Only u8 ones, and those of fully connected layers (arg
 * 1), may have a zero point. The bias has the type of the sum. */
static bool check_weights(struct tfl_call *c, const struct product *p) {
  const struct tfl_tensor *w = c->tin[1];
  bool shifts = w->n == 1 && (w->dtype == IR_U8 || c->arg) && !p->wide;
  if (ir_dtypes[w->dtype].bits != 8)
    return tfl_fail(c, UNSUPPORTED_TYPE, "weights of %s",
                    tfl_type_name(w->code));
  for (size_t i = 0; i < w->zeros.n; i++)
    if (fb_int_at(&w->zeros, i, 8) && !shifts)
      return tfl_fail(c, UNSUPPORTED_ATTR, "weights with a zero point");
  if (w->n > 1 && w->axis != (p->last ? 3 : 0))
    return tfl_fail(c, UNSUPPORTED_ATTR, "scales along dimension %lld",
                    (long long)w->axis);
  enum ir_dtype sum = p->wide ? IR_I64 : IR_I32;
  return !tfl_in(c, 2) || fe_dtype(c->in[2]) == sum ||
         (c->arg && fe_dtype(c->in[2]) == IR_I32) ||
         tfl_fail(c, UNSUPPORTED_TYPE, "a bias of %s",
                  tfl_type_name(c->tin[2]->code));
}

/* Weights beside floats; without integers of both, they become floats. */
static bool is_hybrid(struct tfl_call *c, const struct product *p) {
  const struct tfl_tensor *w = c->tin[1];
  bool ok = w->dtype == IR_I8 && fe_dtype(c->in[0]) == IR_F32 &&
            c->in[1]->data && (w->n == 1 || (int64_t)w->n == p->columns);
  for (size_t i = 0; i < w->zeros.n; i++)
    ok = ok && !fb_int_at(&w->zeros, i, 8);
  return ok && (w->n == 1 || w->axis == (p->last ? 3 : 0));
}

static bool check_quantized(struct tfl_call *c, struct product *p) {
  bool hybrid = !tfl_is_quantized(c->tout[0]) && tfl_is_quantized(c->tin[1]);
  if (!hybrid || !is_hybrid(c, p))
    p->hybrid = FLOATS;
  if (p->hybrid)
    return true;
  if (hybrid)
    c->in[1] = tfl_dequantized(c, c->in[1], c->tin[1], c->tout[0]->dtype);
  if (!tfl_is_quantized(c->tout[0]))
    return (ir_is_float(fe_dtype(c->in[0])) && c->in[1] &&
            fe_dtype(c->in[0]) == fe_dtype(c->in[1])) ||
           tfl_fail(c, UNSUPPORTED_TYPE, "%s by %s to %s",
                    tfl_type_name(c->tin[0]->code),
                    tfl_type_name(c->tin[1]->code),
                    tfl_type_name(c->tout[0]->code));
  struct ir_value *w = c->in[1], *bias = tfl_in(c, 2);
  if (!tfl_quantized(c, c->tin[0]) || !tfl_quantized(c, c->tout[0]))
    return false;
  if (!c->tin[1]->n)
    return tfl_fail(c, TYPE, "the weights are not quantized");
  if (!w->data || (bias && !bias->data))
    return tfl_fail(c, DYNAMIC, "the weights and the bias are no constants");
  p->wide = c->tin[0]->dtype == IR_I16;
  if (!check_weights(c, p))
    return false;
  return !p->wide || !tfl_zero(c->tin[0]) ||
         tfl_fail(c, UNSUPPORTED_ATTR, "a zero point of 16 bits");
}

/* Weights [columns, h, w, channels of a group]; of a depthwise convolution
 * [1, h, w, columns]. */
static struct ir_value *weights_of(struct tfl_call *c,
                                   const struct product *p) {
  static const int64_t perm[] = {3, 1, 2, 0};
  return p->last ? fe_transpose(c->b, c->in[1], perm) : c->in[1];
}

static bool convolution(struct tfl_call *c, struct product *p, int64_t groups) {
  const int64_t *w = fe_dims(c->in[1]);
  struct fe_window at = window_of(c, w[1], w[2]);
  at.dilations[0] = tfl_int(c, "dilation_h");
  at.dilations[1] = tfl_int(c, "dilation_w");
  p->activation = tfl_int(c, "activation");
  return check_bias(c, p->columns) && check_quantized(c, p) &&
         place_window(c, fe_dims(c->in[0]), &at) &&
         finish(c, conv(c, p, c->in[0], weights_of(c, p), &at, groups), p);
}

bool tflite_conv(struct tfl_call *c) {
  if (!tfl_rank(c, 0, 4, 4) || !tfl_rank(c, 1, 4, 4))
    return false;
  const int64_t *x = fe_dims(c->in[0]), *w = fe_dims(c->in[1]);
  struct product p = {.columns = w[0],
                      .terms = w[1] * w[2] * w[3],
                      .hybrid = c->tin[1]->n == 1 ? SYMMETRIC : ASYMMETRIC};
  if (!w[3] || !x[3] || x[3] % w[3] || w[0] % (x[3] / w[3]))
    return tfl_fail(c, TYPE, "%lld channels by weights of %lld",
                    (long long)x[3], (long long)w[3]);
  return convolution(c, &p, x[3] / w[3]);
}

/* Weights [1, h, w, c] are c groups of one channel each. */
bool tflite_depthwise(struct tfl_call *c) {
  if (!tfl_rank(c, 0, 4, 4) || !tfl_rank(c, 1, 4, 4))
    return false;
  const int64_t *x = fe_dims(c->in[0]), *w = fe_dims(c->in[1]);
  struct product p = {.columns = w[3],
                      .terms = w[1] * w[2],
                      .last = true,
                      .hybrid = ASYMMETRIC};
  if (w[0] != 1 || !x[3] || w[3] % x[3])
    return tfl_fail(c, TYPE, "%lld channels by weights of %lld",
                    (long long)x[3], (long long)w[3]);
  return convolution(c, &p, x[3]);
}

/* [.., terms] by [columns, terms], the rows as the output has them. */
bool tflite_fully_connected(struct tfl_call *c) {
  static const int64_t perm[] = {1, 0};
  if (!tfl_rank(c, 0, 1, IR_MAX_RANK) || !tfl_rank(c, 1, 2, 2))
    return false;
  if (tfl_int(c, "format"))
    return tfl_fail(c, UNSUPPORTED_ATTR, "shuffled weights");
  struct product p = {.columns = fe_dims(c->in[1])[0],
                      .terms = fe_dims(c->in[1])[1],
                      .hybrid =
                          tfl_int(c, "asymmetric") ? ASYMMETRIC : SYMMETRIC,
                      .activation = tfl_int(c, "activation")};
  int64_t all = ir_type_count(c->in[0]->type);
  if (p.terms < 1 || all % p.terms)
    return tfl_fail(c, TYPE, "%lld elements by weights of %lld", (long long)all,
                    (long long)p.terms);
  if (!check_bias(c, p.columns) || !check_quantized(c, &p))
    return false;
  int64_t rows[] = {all / p.terms, p.terms};
  struct ir_value *x = fe_reshape(c->b, c->in[0], 2, rows);
  struct ir_value *w = fe_transpose(c->b, c->in[1], perm);
  const struct ir_attr to = ir_str("to", "i64");
  struct ir_value *y =
      fe_emit(c->b, IR_MATMUL,
              IR_ARGS(operand(c, &p, 0, x), operand(c, &p, 1, w)), &to, p.wide);
  if (!finish(c, y, &p))
    return false;
  return tfl_return(
      c, fe_reshape(c->b, c->out[0], c->tout[0]->rank, c->tout[0]->dim));
}

/* A transposed convolution is a convolution of the operand, with zeros between
 * its elements, by the mirrored weights. */
bool tflite_transpose_conv(struct tfl_call *c) {
  struct tfl_call inner = *c;
  struct ir_value *in[] = {tfl_in(c, 2), c->in[1], tfl_in(c, 3)};
  struct tfl_tensor *tin[] = {c->tin[2], c->tin[1], c->nin > 3 ? c->tin[3] : 0};
  inner.in = in;
  inner.tin = tin;
  inner.nin = 3;
  if (!tfl_rank(&inner, 0, 4, 4) || !tfl_rank(&inner, 1, 4, 4) ||
      c->tout[0]->rank != 4)
    return tfl_fail(c, TYPE, "the output has not 4 dimensions");
  const int64_t *x = fe_dims(in[0]), *w = fe_dims(in[1]);
  struct product p = {.columns = w[0],
                      .terms = w[1] * w[2] * w[3],
                      .activation = tfl_int(c, "activation")};
  struct fe_window at = window_of(c, w[1], w[2]);
  int64_t pads[8] = {0}, steps[] = {1, at.strides[0], at.strides[1], 1};
  int64_t starts[] = {0, w[1] - 1, w[2] - 1, 0}, back[] = {1, -1, -1, 1};
  if (x[3] != w[3] || !check_bias(&inner, p.columns) ||
      !check_quantized(&inner, &p) || !place_window(c, c->tout[0]->dim, &at))
    return tfl_fail(c, TYPE, "the operands do not fit");
  for (int i = 0; i < 2; i++) {
    pads[1 + i] = w[1 + i] - 1 - at.pads[i];
    pads[5 + i] = c->tout[0]->dim[1 + i] + w[1 + i] - 1 - pads[1 + i] -
                  ((x[1 + i] - 1) * at.strides[i] + 1);
  }
  double zero = (double)tfl_zero(tin[0]);
  struct ir_value *spread = fe_pad(c->b, in[0], pads, steps, zero);
  struct ir_value *mirror = fe_slice(c->b, in[1], starts, w, back);
  static const struct fe_window plain = {.strides = {1, 1},
                                         .dilations = {1, 1}};
  struct ir_value *y = conv(&inner, &p, spread, mirror, &plain, 1);
  return finish(&inner, y, &p);
}

/* Of matrices that are no weights: both are counted from their zero points. */
bool tflite_batch_matmul(struct tfl_call *c) {
  struct ir_value *f[2];
  bool quantized = tfl_is_quantized(c->tout[0]);
  for (size_t i = 0; i < 2; i++) {
    int64_t perm[IR_MAX_RANK];
    int r = fe_rank(c->in[i]);
    if (!tfl_rank(c, i, 2, IR_MAX_RANK) ||
        (quantized && !tfl_quantized(c, c->tin[i])))
      return false;
    for (int k = 0; k < r; k++)
      perm[k] = k < r - 2 ? k : 2 * r - 3 - k;
    f[i] = quantized ? tfl_centred(c, i) : c->in[i];
    if (quantized && fe_dtype(c->in[i]) == IR_I16)
      f[i] = fe_cast(c->b, f[i], IR_I64);
    if (tfl_int(c, i ? "adj_y" : "adj_x"))
      f[i] = fe_transpose(c->b, f[i], perm);
  }
  if (fe_dtype(c->in[0]) != fe_dtype(c->in[1]) ||
      (quantized && fe_dtype(c->in[0]) != c->tout[0]->dtype))
    return tfl_fail(c, UNSUPPORTED_TYPE, "%s by %s",
                    tfl_type_name(c->tin[0]->code),
                    tfl_type_name(c->tin[1]->code));
  struct ir_value *y = fe_op2(c->b, IR_MATMUL, f[0], f[1]);
  if (!quantized)
    return tfl_return(c, y);
  float product = (float)tfl_scale(c->tin[0]) * (float)tfl_scale(c->tin[1]);
  y = tfl_rescale1(c, y, ir_factor((double)product / tfl_scale(c->tout[0])));
  return tfl_return(c, tfl_narrow(c, y, 0));
}

/* ---- Pooling ---- */

bool tflite_pool(struct tfl_call *c) {
  struct fe_window at =
      window_of(c, tfl_int(c, "filter_h"), tfl_int(c, "filter_w"));
  struct ir_value *x = c->in[0], *y, *n = fe_scalar(c->b, IR_I32, 1);
  bool quantized = tfl_is_quantized(c->tout[0]), sum = c->arg != IR_WINDOW_MAX;
  if (!tfl_rank(c, 0, 4, 4) || !place_window(c, fe_dims(x), &at))
    return false;
  if (fe_dtype(x) != c->tout[0]->dtype ||
      (!quantized && !ir_is_float(fe_dtype(x))))
    return tfl_fail(c, TYPE, "the output is of another type");
  if (quantized && (!tfl_quantized(c, c->tout[0]) || c->arg == IR_SQRT))
    return tfl_unsupported(c, 0);
  if (sum && quantized)
    x = fe_cast(c->b, x, IR_I32);
  if (c->arg == IR_SQRT)
    x = fe_mul(c->b, x, x);
  y = fe_pool(c->b, sum ? IR_WINDOW_SUM : IR_WINDOW_MAX, x, &at);
  /* The quotient of a product of counts: one rounding. */
  for (int i = 0; i < 2 && sum; i++)
    n = fe_mul(c->b, n, fe_window_count(c->b, IR_I32, x, &at, i, false));
  n = fe_cast(c->b, n, fe_dtype(x));
  if (sum && quantized)
    y = fe_call(c->b, FE_ROUNDED_QUOTIENT, IR_ARGS(y, n), NULL, 0);
  else if (sum)
    y = fe_div(c->b, y, n);
  if (c->arg == IR_SQRT)
    y = fe_op1(c->b, IR_SQRT, y);
  int64_t activation = tfl_int(c, "activation");
  if (!quantized)
    return tfl_return(c, tfl_activate(c, y, activation));
  return tfl_return(c, tfl_bounded(c, y, activation));
}
