/* onnx_op_signal.c - Fourier transforms (onnx_fft.h). */
#include <math.h>
#include <string.h>

#include "frontend/onnx_fft.h"
#include "frontend/onnx_ops.h"

struct dft {
  bool inverse, onesided;
  int64_t axis, length;
};

/* Sizes of the transform of x along d->axis; `length` 0: not given. */
static bool size_dft(struct onnx_call *c, const struct ir_value *x,
                     int64_t length, struct dft *d) {
  int64_t r = fe_rank(x);
  int64_t size = fe_dims(x)[d->axis], parts = fe_dims(x)[r - 1];
  if (d->axis == r - 1 || (parts != 1 && parts != 2))
    return ox_fail(c, TYPE, "the last dimension must be 1 or 2 parts");
  bool half = d->inverse && d->onesided;
  d->length = length ? length : half ? 2 * (size - 1) : size;
  if (d->length < 1)
    return ox_fail(c, ATTR, "a length of %lld", (long long)d->length);
  if (d->length > 1 << 20)
    return ox_fail(c, LIMIT, "a transform of length %lld, over 2^20",
                   (long long)d->length);
  return true;
}

/* The entries that a half spectrum leaves out mirror the others. */
static struct ir_value *mirror(struct onnx_call *c, struct ir_value *x,
                               int64_t axis, int64_t length) {
  static const double signs[] = {1, -1};
  int64_t missing = (length - 1) / 2;
  if (!missing || !x)
    return x;
  struct ir_value *rest = fe_slice1(c->b, x, axis, missing, missing, -1);
  if (fe_dims(x)[fe_rank(x) - 1] == 2) {
    const int64_t two = 2;
    rest = fe_mul(c->b, rest, fe_floats(c->b, fe_dtype(x), 1, &two, signs));
  }
  return fe_concat(c->b, IR_ARGS(x, rest), axis);
}

/* As many entries as the transform reads: cut off, or filled up with 0. */
static struct ir_value *fit(struct onnx_call *c, struct ir_value *x,
                            const struct dft *d) {
  bool half = d->inverse && d->onesided;
  int64_t rows = half ? d->length / 2 + 1 : d->length;
  int64_t have = dn_min(fe_dims(x)[d->axis], rows);
  int64_t pads[2 * IR_MAX_RANK] = {0};
  pads[fe_rank(x) + d->axis] = rows - have;
  x = fe_slice1(c->b, x, d->axis, 0, have, 1);
  if (rows > have)
    x = fe_pad(c->b, x, pads, NULL, 0);
  return half ? mirror(c, x, d->axis, d->length) : x;
}

static struct ir_value *transform(struct onnx_call *c, struct ir_value *x,
                                  struct dft d) {
  enum ir_dtype t = fe_dtype(x);
  int64_t dims[IR_MAX_RANK];
  int r = fe_rank(x);
  x = fit(c, ir_dtypes[t].bits == 16 ? fe_cast(c->b, x, IR_F32) : x, &d);
  if (!x)
    return NULL;
  memcpy(dims, fe_dims(x), sizeof dims);
  struct onnx_fft f = {.inverse = d.inverse, .scale = 1, .length = d.length};
  f.before = f.behind = 1;
  f.parts = dims[r - 1];
  f.outs = d.inverse && d.onesided ? 1 : 2;
  f.columns = d.onesided && !d.inverse ? d.length / 2 + 1 : d.length;
  if (d.inverse)
    f.scale = 1 / (double)d.length;
  for (int i = 0; i < r - 1; i++)
    *(i < d.axis ? &f.before : &f.behind) *= i == d.axis ? 1 : dims[i];
  const int64_t wide[] = {f.before, d.length, f.behind, f.parts};
  x = fe_transpose(c->b, fe_reshape(c->b, x, 4, wide), (int64_t[]){0, 3, 1, 2});
  x = fe_transpose(c->b, onnx_fft(c, x, &f), (int64_t[]){0, 2, 3, 1});
  dims[d.axis] = f.columns;
  dims[r - 1] = f.outs;
  return fe_cast(c->b, fe_reshape(c->b, x, r, dims), t);
}

bool onnx_dft(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  struct dft d;
  struct ox_ints length, axis;
  int64_t r = fe_rank(x), at = ox_int(c, "axis", 1);
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
    return ox_fail(c, TYPE, "the input is no signal");
  return fe_axis(c->b, at, r, &d.axis) &&
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
  if (fe_rank(x) != 3 || step.n != 1 || (window && fe_rank(window) != 1))
    return ox_fail(c, TYPE, "the signal must be [B,L,1] or [B,L,2]");
  int64_t size = fe_dims(x)[1], by = step.v[0];
  int64_t n = length.n ? length.v[0] : window ? fe_dims(window)[0] : size;
  if (by < 1 || n < 1 || n > size || (window && fe_dims(window)[0] != n))
    return ox_fail(c, ATTR, "frames of %lld every %lld of %lld", (long long)n,
                   (long long)by, (long long)size);
  x = fe_emit(
      c->b, IR_FRAME, IR_ARGS(x),
      IR_ATTRS(ir_int("axis", 1), ir_int("size", n), ir_int("step", by)));
  if (window)
    x = fe_mul(
        c->b, x,
        fe_cast(c->b, fe_unsqueeze(c->b, window, 0, 1), fe_dtype(c->in[0])));
  return x && size_dft(c, x, 0, &d) && ox_return(c, transform(c, x, d));
}
