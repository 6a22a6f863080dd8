/* onnx_op_signal.c - windows and the discrete Fourier transform, as a product
 * with a matrix of sines and cosines. */
#include <math.h>
#include <string.h>

#include "frontend/onnx_ops.h"

#define PI 3.14159265358979323846

/* c0 - c1 cos(2 pi i/n) + c2 cos(4 pi i/n); arg picks the coefficients. */
bool onnx_window(struct onnx_call *c) {
  static const double coef[3][3] = {
      {0.5, 0.5, 0}, {25.0 / 46, 21.0 / 46, 0}, {0.42, 0.5, 0.08}};
  struct ox_ints size;
  bool periodic;
  enum ir_dtype to = IR_F32;
  int64_t type = ox_int(c, "output_datatype", 1);
  if (!ox_const_ints(c, 0, &size) || !ox_flag(c, "periodic", true, &periodic))
    return false;
  if (!onnx_dtype_find(type, &to) || !ir_is_float(to))
    return ox_fail(c, DN_UNSUPPORTED_TYPE, "element type %s",
                   onnx_dtype_name(type));
  int64_t n = size.n == 1 ? size.v[0] : -1;
  if (n < 0 || n > 1 << 24)
    return ox_fail(c, DN_SHAPE, "a window of this size");
  double *v = DN_ARRAY(c->im->ctx->arena, double, n);
  double step = 2 * PI / (double)(periodic ? n : n - 1);
  for (int64_t i = 0; i < n; i++)
    v[i] = coef[c->arg][0] - coef[c->arg][1] * cos((double)i * step) +
           coef[c->arg][2] * cos(2 * (double)i * step);
  return ox_return(c, ox_floats(c, to, 1, &n, v));
}

/* x [..., rows at axis, ...] times a matrix [rows, columns]. */
static struct ir_value *along_axis(struct onnx_call *c, struct ir_value *x,
                                   int64_t axis, struct ir_value *matrix) {
  int64_t perm[IR_MAX_RANK];
  if (!x || !matrix)
    return NULL;
  int r = ox_rank(x);
  if (r == 1)
    return ox_matmul(c, x, matrix);
  for (int i = 0; i < r; i++)
    perm[i] = i;
  perm[axis] = r - 1;
  perm[r - 1] = axis;
  x = ox_op2(c, IR_MATMUL, ox_transpose(c, x, perm), matrix);
  return ox_transpose(c, x, perm);
}

struct dft {
  bool inverse, onesided;
  int64_t axis, length, rows, columns;
};

/* cos or sin of 2 pi n k / length, scaled; a half spectrum counts twice where
 * its mirror image is missing. */
static struct ir_value *wave(struct onnx_call *c, const struct dft *d,
                             enum ir_dtype dtype, bool sine) {
  const int64_t dims[] = {d->rows, d->columns};
  double *m = DN_ARRAY(c->im->ctx->arena, double, d->rows * d->columns);
  for (int64_t n = 0; n < d->rows; n++) {
    double scale = d->inverse ? 1 / (double)d->length : 1;
    if (d->inverse && d->onesided && n && 2 * n != d->length)
      scale *= 2;
    for (int64_t k = 0; k < d->columns; k++) {
      double angle = 2 * PI * (double)(n * k % d->length) / (double)d->length;
      m[n * d->columns + k] = scale * (sine ? sin(angle) : cos(angle));
    }
  }
  return ox_floats(c, dtype, 2, dims, m);
}

/* Sizes of the transform of x along d->axis; `length` 0: not given. */
static bool size_dft(struct onnx_call *c, const struct ir_value *x,
                     int64_t length, struct dft *d) {
  int64_t r = ox_rank(x);
  int64_t size = ox_dims(x)[d->axis], parts = ox_dims(x)[r - 1];
  if (d->axis == r - 1 || (parts != 1 && parts != 2))
    return ox_fail(c, DN_TYPE, "the last dimension must be 1 or 2 parts");
  bool half = d->inverse && d->onesided;
  d->length = length ? length : half ? 2 * (size - 1) : size;
  if (d->length < 1 || d->length > 1 << 20)
    return ox_fail(c, DN_ATTR, "a length of %lld", (long long)d->length);
  d->rows = dn_min(size, half ? d->length / 2 + 1 : d->length);
  d->columns = d->onesided && !d->inverse ? d->length / 2 + 1 : d->length;
  if (d->rows * d->columns > 1 << 24)
    return ox_fail(c, DN_LIMIT, "a transform of length %lld",
                   (long long)d->length);
  return true;
}

static struct ir_value *transform(struct onnx_call *c, struct ir_value *x,
                                  struct dft d) {
  int last = ox_rank(x) - 1;
  enum ir_dtype t = ox_dtype(x);
  x = ox_slice1(c, x, d.axis, 0, d.rows, 1);
  if (!x)
    return NULL;
  struct ir_value *re = ox_slice1(c, x, last, 0, 1, 1), *im = NULL;
  if (ox_dims(x)[last] == 2)
    im = ox_slice1(c, x, last, 1, 1, 1);
  struct ir_value *cosine = wave(c, &d, t, false);
  struct ir_value *sine = wave(c, &d, t, true);
  /* (re + i im) (cos -+ i sin) */
  struct ir_value *y_re = along_axis(c, re, d.axis, cosine);
  struct ir_value *y_im = along_axis(c, re, d.axis, sine);
  if (!d.inverse && y_im)
    y_im = ox_op1(c, IR_NEG, y_im);
  if (im) {
    struct ir_value *a = along_axis(c, im, d.axis, sine);
    y_re = ox_op2(c, d.inverse ? IR_SUB : IR_ADD, y_re, a);
    y_im = ox_op2(c, IR_ADD, y_im, along_axis(c, im, d.axis, cosine));
  }
  if (d.inverse && d.onesided)
    return y_re;
  return ox_concat(c, (struct ir_value *[]){y_re, y_im}, 2, last);
}

bool onnx_dft(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  struct dft d;
  struct ox_ints length, axis;
  int64_t r = ox_rank(x), at = ox_int(c, "axis", 1);
  if (!ox_const_ints(c, 1, &length) ||
      !ox_flag(c, "inverse", false, &d.inverse) ||
      !ox_flag(c, "onesided", false, &d.onesided))
    return false;
  if (c->version >= 20) {
    if (!ox_const_ints(c, 2, &axis))
      return false;
    at = axis.n ? axis.v[0] : -2;
  }
  if (r < 2)
    return ox_fail(c, DN_TYPE, "the input is no signal");
  return ox_axis(c, at, r, &d.axis) &&
         size_dft(c, x, length.n ? length.v[0] : 0, &d) &&
         ox_return(c, transform(c, x, d));
}

/* Frames of a signal [B, L, 1 or 2], by a window, transformed. */
bool onnx_stft(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *window = c->nin > 2 ? c->in[2] : NULL;
  struct ox_ints step, length;
  struct dft d = {.axis = 2};
  if (!ox_const_ints(c, 1, &step) || !ox_const_ints(c, 3, &length) ||
      !ox_flag(c, "onesided", true, &d.onesided))
    return false;
  if (ox_rank(x) != 3 || step.n != 1 || (window && ox_rank(window) != 1))
    return ox_fail(c, DN_TYPE, "the signal must be [B,L,1] or [B,L,2]");
  int64_t size = ox_dims(x)[1], by = step.v[0];
  int64_t n = length.n ? length.v[0] : window ? ox_dims(window)[0] : size;
  if (by < 1 || n < 1 || n > size || (window && ox_dims(window)[0] != n))
    return ox_fail(c, DN_ATTR, "frames of %lld every %lld of %lld",
                   (long long)n, (long long)by, (long long)size);
  int64_t frames = (size - n) / by + 1;
  if (frames * n > 1 << 24 || frames > 1 << 24)
    return ox_fail(c, DN_LIMIT, "%lld frames", (long long)frames);
  int64_t *idx = DN_ARRAY(c->im->ctx->arena, int64_t, frames * n);
  for (int64_t f = 0; f < frames; f++)
    for (int64_t i = 0; i < n; i++)
      idx[f * n + i] = f * by + i;
  const int64_t dims[] = {frames, n};
  struct ir_value *at =
      ir_const_ints(c->im->m, c->node->outputs.v[0], IR_I32, 2, dims, idx);
  x = ox_gather(c, x, at, 1);
  if (window)
    x = ox_op2(c, IR_MUL, x,
               ox_cast(c, ox_unsqueeze(c, window, 0, 1), ox_dtype(c->in[0])));
  return x && size_dft(c, x, 0, &d) && ox_return(c, transform(c, x, d));
}
