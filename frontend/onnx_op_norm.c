/* onnx_op_norm.c - normalizations, as the arithmetic that they are. Fusion puts
 * the pieces together again. */
#include <string.h>

#include "frontend/onnx_ops.h"

/* x - mean(x) and 1/sqrt(mean((x - mean)^2) + epsilon), over the marked axes.
 */
static struct ir_value *centred(struct onnx_call *c, struct ir_value *x,
                                const bool *axes, struct ir_value **mean) {
  *mean = fe_mean(c->b, x, axes);
  return fe_sub(c->b, x, *mean);
}

static struct ir_value *inverse_std(struct onnx_call *c, struct ir_value *d,
                                    const bool *axes, double epsilon) {
  struct ir_value *var = fe_mean(c->b, fe_mul(c->b, d, d), axes);
  return fe_op1(c->b, IR_RSQRT, fe_offset(c->b, var, epsilon));
}

/* [C] as [C,1,1..], to broadcast over N,C,spatial. */
static struct ir_value *per_channel(struct onnx_call *c, struct ir_value *v,
                                    int rank) {
  return fe_unsqueeze(c->b, v, 0, rank - 2);
}

static bool vector_of(struct onnx_call *c, size_t k, int64_t n) {
  const struct ir_value *v = c->in[k];
  return (fe_rank(v) == 1 && fe_dims(v)[0] == n) ||
         fe_fail(c->b, DN_TYPE, "input %zu must be a vector of %lld numbers", k,
                 (long long)n);
}

/* Training mode: statistics of this batch, and the running ones moved. */
static bool batch_norm_train(struct onnx_call *c, double epsilon) {
  struct ir_value *x = c->in[0];
  enum ir_dtype t = fe_dtype(x), t_stat = fe_dtype(c->in[3]);
  int r = fe_rank(x);
  bool axes[IR_MAX_RANK] = {0};
  for (int i = 0; i < r; i++)
    axes[i] = i != 1;
  struct ir_value *mean, *d = centred(c, x, axes, &mean);
  struct ir_value *var = fe_mean(c->b, fe_mul(c->b, d, d), axes);
  struct ir_value *scale = per_channel(c, fe_cast(c->b, c->in[1], t), r);
  struct ir_value *bias = per_channel(c, fe_cast(c->b, c->in[2], t), r);
  struct ir_value *y =
      fe_mul(c->b, d, fe_op1(c->b, IR_RSQRT, fe_offset(c->b, var, epsilon)));
  c->out[0] = fe_add(c->b, fe_mul(c->b, y, scale), bias);
  double keep = ox_float(c, "momentum", (double)0.9f);
  struct ir_value *stats[] = {mean, var};
  for (size_t i = 1; i < c->nout && i < 3; i++) {
    struct ir_value *now =
        fe_squeeze(c->b, fe_cast(c->b, stats[i - 1], t_stat), axes);
    c->out[i] = fe_add(c->b, fe_scale(c->b, c->in[2 + i], keep),
                       fe_scale(c->b, now, 1 - keep));
  }
  return c->out[0] != NULL;
}

/* x * a + b, with a and b made of the four vectors: constants, as a rule. */
bool onnx_batch_norm(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  double epsilon = ox_float(c, "epsilon", (double)1e-5f);
  int r = fe_rank(x);
  bool training;
  if (r < 2)
    return fe_fail(c->b, DN_TYPE, "the input has no channels");
  for (size_t i = 1; i < 5; i++)
    if (!vector_of(c, i, fe_dims(x)[1]))
      return false;
  if (ox_int(c, "spatial", 1) != 1)
    return fe_fail(c->b, DN_UNSUPPORTED_ATTR, "spatial = 0");
  if (!ox_flag(c, "training_mode", false, &training))
    return false;
  if (training)
    return batch_norm_train(c, epsilon);
  enum ir_dtype t = fe_dtype(x);
  struct ir_value *v[5];
  for (size_t i = 1; i < 5; i++)
    v[i] = fe_cast(c->b, c->in[i], t);
  struct ir_value *a = fe_op1(c->b, IR_SQRT, fe_offset(c->b, v[4], epsilon));
  a = fe_div(c->b, v[1], a);
  struct ir_value *b = fe_sub(c->b, v[2], fe_mul(c->b, v[3], a));
  x = fe_mul(c->b, x, per_channel(c, a, r));
  return ox_return(c, fe_add(c->b, x, per_channel(c, b, r)));
}

bool onnx_instance_norm(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *mean;
  int r = fe_rank(x);
  if (r < 3)
    return fe_fail(c->b, DN_TYPE, "the input has no spatial dimensions");
  if (!vector_of(c, 1, fe_dims(x)[1]) || !vector_of(c, 2, fe_dims(x)[1]))
    return false;
  bool axes[IR_MAX_RANK] = {0};
  for (int i = 2; i < r; i++)
    axes[i] = true;
  struct ir_value *d = centred(c, x, axes, &mean);
  struct ir_value *inverse =
      inverse_std(c, d, axes, ox_float(c, "epsilon", (double)1e-5f));
  struct ir_value *y = fe_mul(c->b, d, inverse);
  y = fe_mul(c->b, y, per_channel(c, c->in[1], r));
  return ox_return(c, fe_add(c->b, y, per_channel(c, c->in[2], r)));
}

/* [N,C,s..] as [N,G,C/G,s..]: statistics over all but N and G. Scale and bias
 * are one a channel since opset 21, one a group before. */
bool onnx_group_norm(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *mean;
  int r = fe_rank(x);
  int64_t g = ox_int(c, "num_groups", 0), dims[IR_MAX_RANK];
  enum ir_dtype t = fe_dtype(x);
  if (r < 2 || r + 1 > IR_MAX_RANK)
    return fe_fail(c->b, DN_TYPE, "an input of rank %d", r);
  int64_t channels = fe_dims(x)[1];
  if (g < 1 || channels % g)
    return fe_fail(c->b, DN_ATTR, "%lld groups of %lld channels", (long long)g,
                   (long long)channels);
  int64_t each = c->arg ? channels : g;
  if (!vector_of(c, 1, each) || !vector_of(c, 2, each))
    return false;
  dims[0] = fe_dims(x)[0];
  dims[1] = g;
  dims[2] = channels / g;
  for (int i = 2; i < r; i++)
    dims[1 + i] = fe_dims(x)[i];
  bool axes[IR_MAX_RANK] = {0};
  for (int i = 2; i <= r; i++)
    axes[i] = true;
  bool wide = c->arg && ox_int(c, "stash_type", 1) == 1 && ir_is_float(t);
  struct ir_value *v =
      fe_cast(c->b, fe_reshape(c->b, x, r + 1, dims), wide ? IR_F32 : t);
  struct ir_value *d = centred(c, v, axes, &mean);
  struct ir_value *y = fe_mul(
      c->b, d, inverse_std(c, d, axes, ox_float(c, "epsilon", (double)1e-5f)));
  y = fe_cast(c->b, y, t);
  struct ir_value *scale = c->in[1], *bias = c->in[2];
  if (c->arg) { /* a channel */
    y = fe_reshape(c->b, y, r, fe_dims(x));
    scale = per_channel(c, scale, r);
    bias = per_channel(c, bias, r);
  } else {
    scale = per_channel(c, scale, r + 1);
    bias = per_channel(c, bias, r + 1);
  }
  y = fe_add(c->b, fe_mul(c->b, y, scale), bias);
  return ox_return(c, fe_reshape(c->b, y, r, fe_dims(x)));
}

static bool trailing_axes(struct onnx_call *c, bool *axes) {
  int64_t axis, r = fe_rank(c->in[0]);
  if (!fe_axis(c->b, ox_int(c, "axis", -1), r, &axis))
    return false;
  for (int64_t i = axis; i < r; i++)
    axes[i] = true;
  return true;
}

/* The type that statistics are computed in. */
static enum ir_dtype stash_type(const struct onnx_call *c) {
  enum ir_dtype t = fe_dtype(c->in[0]);
  return ox_int(c, "stash_type", 1) == 1 && t != IR_F64 ? IR_F32 : t;
}

bool onnx_layer_norm(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *mean;
  enum ir_dtype t = fe_dtype(x);
  bool axes[IR_MAX_RANK] = {0};
  if (!trailing_axes(c, axes))
    return false;
  struct ir_value *d = centred(c, fe_cast(c->b, x, stash_type(c)), axes, &mean);
  struct ir_value *inverse =
      inverse_std(c, d, axes, ox_float(c, "epsilon", (double)1e-5f));
  struct ir_value *y = fe_cast(c->b, fe_mul(c->b, d, inverse), t);
  y = fe_mul(c->b, y, c->in[1]);
  if (c->nin > 2)
    y = fe_add(c->b, y, c->in[2]);
  if (c->nout > 1)
    c->out[1] = mean;
  if (c->nout > 2)
    c->out[2] = inverse;
  if (y && y->type != x->type)
    return fe_fail(c->b, DN_TYPE,
                   "scale or bias do not broadcast to the input");
  return ox_return(c, y);
}

bool onnx_rms_norm(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  enum ir_dtype t = fe_dtype(x);
  bool axes[IR_MAX_RANK] = {0};
  if (!trailing_axes(c, axes))
    return false;
  struct ir_value *v = fe_cast(c->b, x, stash_type(c));
  struct ir_value *inverse =
      inverse_std(c, v, axes, ox_float(c, "epsilon", (double)1e-5f));
  struct ir_value *y = fe_cast(c->b, fe_mul(c->b, v, inverse), t);
  y = fe_mul(c->b, y, c->in[1]);
  if (y && y->type != x->type)
    return fe_fail(c->b, DN_TYPE, "scale does not broadcast to the input");
  return ox_return(c, y);
}

/* x / norm(x); where the norm is 0, so is the result. */
bool onnx_lp_norm(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *n;
  int64_t axis, p = ox_int(c, "p", 2);
  bool axes[IR_MAX_RANK] = {0};
  if (!fe_axis(c->b, ox_int(c, "axis", -1), fe_rank(x), &axis))
    return false;
  if (p != 1 && p != 2)
    return fe_fail(c->b, DN_ATTR, "p is %lld", (long long)p);
  axes[axis] = true;
  if (p == 1)
    n = fe_reduce(c->b, IR_REDUCE_SUM, fe_op1(c->b, IR_ABS, x), axes);
  else
    n = fe_op1(c->b, IR_SQRT,
               fe_reduce(c->b, IR_REDUCE_SUM, fe_mul(c->b, x, x), axes));
  struct ir_value *none = fe_op2(c->b, IR_EQ, n, fe_number(c->b, n, 0));
  n = fe_select(c->b, none, fe_number(c->b, n, 1), n);
  return ox_return(c, fe_div(c->b, x, n));
}

/* x / (bias + alpha/size * sum of squares of the channels around)^beta */
bool onnx_lrn(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  int r = fe_rank(x);
  int64_t size = ox_int(c, "size", 0);
  if (r < 2)
    return fe_fail(c->b, DN_TYPE, "the input has no channels");
  if (size < 1 || size > 1 << 20)
    return fe_fail(c->b, DN_ATTR, "size is %lld", (long long)size);
  int64_t kernel[IR_MAX_RANK], pads[2 * IR_MAX_RANK] = {0};
  for (int i = 0; i < r; i++)
    kernel[i] = i == 1 ? size : 1;
  pads[1] = (size - 1) / 2;
  pads[r + 1] = size / 2;
  struct ir_value *sum = fe_emit(
      c->b, IR_WINDOW_SUM, IR_ARGS(fe_mul(c->b, x, x)),
      IR_ATTRS(ir_ints("kernel", kernel, r), ir_ints("pads", pads, 2 * r)));
  sum = fe_scale(c->b, sum, ox_float(c, "alpha", (double)1e-4f) / (double)size);
  sum = fe_offset(c->b, sum, ox_float(c, "bias", 1));
  double beta = ox_float(c, "beta", 0.75);
  struct ir_value *d = fe_op2(c->b, IR_POW, sum, fe_number(c->b, sum, beta));
  return ox_return(c, fe_div(c->b, x, d));
}

bool onnx_mvn(struct onnx_call *c) {
  static const int64_t usual[] = {0, 2, 3};
  struct ir_value *x = c->in[0], *mean;
  struct ox_ints list = ox_ints(c, "axes");
  if (!list.given)
    list = (struct ox_ints){true, 3, usual};
  bool axes[IR_MAX_RANK];
  if (!ox_axes(c, list, fe_rank(x), axes))
    return false;
  /* (x - mean) / (std + 1e-9) */
  struct ir_value *d = centred(c, x, axes, &mean);
  struct ir_value *var = fe_mean(c->b, fe_mul(c->b, d, d), axes);
  struct ir_value *std = fe_offset(c->b, fe_op1(c->b, IR_SQRT, var), 1e-9);
  return ox_return(c, fe_div(c->b, d, std));
}
