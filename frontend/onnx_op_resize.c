/* onnx_op_resize.c - Resize and Upsample: axis by axis, each element of the
 * result is a weighted sum of a few elements of the input ("taps"), whose
 * places and weights are known here. Coordinates and coefficients follow the
 * ONNX reference implementation (onnx/reference/ops/op_resize.py). */
#include <math.h>
#include <string.h>

#include "frontend/onnx_ops.h"

enum coordinates {
  ASYMMETRIC,
  HALF_PIXEL,
  HALF_PIXEL_SYMMETRIC,
  PYTORCH_HALF_PIXEL,
  ALIGN_CORNERS,
  TF_CROP,
  TF_HALF_PIXEL_NN
};
enum interpolation { NEAREST, LINEAR, CUBIC };
/* UNSAID: of opset 10, where its tests round up as soon as an axis shrinks. */
enum rounding { PREFER_FLOOR, PREFER_CEIL, FLOOR, CEIL, UNSAID };

struct resize {
  enum coordinates coordinates;
  enum interpolation mode;
  enum rounding rounding;
  bool antialias, exclude_outside;
  double cubic_a, extrapolation;
};

struct axis {
  int64_t in, out;
  double scale, roi[2];
};

/* Position in a list of words, or an error. */
static bool word(struct onnx_call *c, const char *attr, const char *otherwise,
                 const char *const *words, int n, int *out) {
  const char *text = ox_str(c, attr, otherwise);
  *out = dn_find_row(words, (size_t)n, sizeof *words, text);
  return *out >= 0 ||
         ox_fail(c, ATTR, "unknown %s '%s'", attr, ox_text(c, text));
}

/* x / scale: exact where it is whole, when the scale is that of two lengths. */
static double over(const struct axis *a, double x) {
  double in = (double)a->in, out = (double)a->out;
  return a->scale == out / in ? x * in / out : x / a->scale;
}

static double source(const struct resize *r, const struct axis *a, int64_t o) {
  double x = (double)o, in = (double)a->in, out = a->scale * in;
  switch (r->coordinates) {
  case ASYMMETRIC:
    return over(a, x);
  case HALF_PIXEL:
    return over(a, x + 0.5) - 0.5;
  case HALF_PIXEL_SYMMETRIC:
    return in / 2 * (1 - (double)a->out / out) + over(a, x + 0.5) - 0.5;
  case PYTORCH_HALF_PIXEL: /* the length itself decides, not scale * in */
    return a->out == 1 ? 0 : over(a, x + 0.5) - 0.5;
  case ALIGN_CORNERS:
    return out == 1 ? 0 : x * (in - 1) / (out - 1);
  case TF_CROP: {
    double width = (a->roi[1] - a->roi[0]) * (in - 1);
    return (out == 1 ? width / 2 : x * width / (out - 1)) +
           a->roi[0] * (in - 1);
  }
  case TF_HALF_PIXEL_NN:
    return over(a, x + 0.5);
  }
  return 0;
}

static double cubic(double a, double x) {
  x = fabs(x);
  if (x <= 1)
    return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* Taps of one result element reach from floor + first to floor + first + n - 1;
 * the number is the same for all elements of an axis. */
static int64_t tap_count(const struct resize *r, const struct axis *a) {
  int64_t half = r->mode == CUBIC ? 2 : 1;
  double scale = fmin(a->scale, 1);
  if (r->mode == NEAREST)
    return 2;
  if (!r->antialias)
    return 2 * half;
  double first = floor(-(double)half / scale) + 1;
  return first < -1e6 ? -1 : 2 - 2 * (int64_t)first;
}

static double weight(const struct resize *r, const struct axis *a,
                     double distance) {
  double scale = r->antialias ? fmin(a->scale, 1) : 1;
  distance *= scale;
  if (r->mode == CUBIC)
    return cubic(r->cubic_a, distance);
  return fmax(0, 1 - fabs(distance));
}

/* Which of two neighbours is the nearest: weights 0 and 1. */
static void nearest_taps(const struct resize *r, const struct axis *a,
                         double ratio, double *w) {
  bool right = ratio == 1 || r->rounding == CEIL ||
               (r->rounding == UNSAID && a->scale < 1) ||
               (r->rounding == PREFER_FLOOR && ratio > 0.5) ||
               (r->rounding == PREFER_CEIL && ratio >= 0.5);
  w[0] = !right;
  w[1] = right;
}

/* Fills idx and w, [out][n]. */
static void taps(const struct resize *r, const struct axis *a, int64_t n,
                 int64_t *idx, double *w) {
  for (int64_t o = 0; o < a->out; o++) {
    double x = source(r, a, o), sum = 0;
    x = fmax(-1e9, fmin(1e9, x)); /* far outside is as good as outside */
    double left = ceil(x) - 1, ratio = x - left; /* in (0, 1] */
    int64_t *at = idx + o * n;
    double *v = w + o * n;
    if (r->mode == NEAREST)
      nearest_taps(r, a, ratio, v);
    for (int64_t k = 0; k < n; k++) {
      int64_t shift = k + 1 - n / 2;
      at[k] = (int64_t)left + shift;
      if (r->mode != NEAREST)
        v[k] = weight(r, a, (double)shift - ratio);
      if (r->exclude_outside && (at[k] < 0 || at[k] >= a->in))
        v[k] = 0;
      at[k] = dn_max(0, dn_min(at[k], a->in - 1));
      sum += v[k];
    }
    if (r->antialias || r->exclude_outside)
      for (int64_t k = 0; k < n; k++)
        v[k] = sum != 0 ? v[k] / sum : v[k];
  }
}

/* x picked along an axis by known indices: repeated or sliced when the pattern
 * allows, so that it stays an affine view. */
static struct ir_value *pick(struct onnx_call *c, struct ir_value *x, int axis,
                             int64_t n, const int64_t *idx) {
  int r = fe_rank(x);
  int64_t size = fe_dims(x)[axis], dims[IR_MAX_RANK + 1];
  int64_t step = n > 1 ? idx[1] - idx[0] : 1;
  bool even = true, repeats = n > 0 && size > 0 && n % size == 0;
  for (int64_t i = 0; i < n; i++) {
    even = even && idx[i] == idx[0] + i * step;
    repeats = repeats && idx[i] == i / (n / size);
  }
  if (even && step > 0)
    return fe_slice1(c->b, x, axis, idx[0], n, step);
  if (!repeats || r == IR_MAX_RANK)
    return fe_gather(c->b, x, fe_ints(c->b, IR_I32, 1, &n, idx), axis);
  int64_t by = n / size;
  for (int i = 0; i < r; i++)
    dims[i + (i > axis)] = fe_dims(x)[i];
  dims[axis + 1] = by;
  struct ir_value *y = fe_insert(c->b, x, axis + 1);
  y = fe_expand(c->b, y, r + 1, dims);
  for (int i = 0; i < r; i++)
    dims[i] = i == axis ? n : fe_dims(x)[i];
  return fe_reshape(c->b, y, r, dims);
}

/* Many taps: a product with the matrix of all weights. */
static struct ir_value *by_matrix(struct onnx_call *c, struct ir_value *x,
                                  int axis, const struct axis *a, int64_t n,
                                  const int64_t *idx, const double *w) {
  int64_t dims[] = {a->in, a->out}, perm[IR_MAX_RANK];
  double *m = DN_ARRAY(c->im->ctx->arena, double, (size_t)(a->in * a->out));
  for (int64_t o = 0; o < a->out; o++)
    for (int64_t k = 0; k < n; k++)
      m[idx[o * n + k] * a->out + o] += w[o * n + k];
  int r = fe_rank(x);
  for (int i = 0; i < r; i++)
    perm[i] = i;
  perm[axis] = r - 1;
  perm[r - 1] = axis;
  struct ir_value *matrix = fe_floats(c->b, fe_dtype(x), 2, dims, m);
  if (r == 1)
    return fe_matmul(c->b, x, matrix);
  x = fe_op2(c->b, IR_MATMUL, fe_transpose(c->b, x, perm), matrix);
  return fe_transpose(c->b, x, perm);
}

static struct ir_value *weighted(struct onnx_call *c, struct ir_value *x,
                                 int axis, const struct axis *a, int64_t n,
                                 const int64_t *idx, const double *w) {
  int r = fe_rank(x);
  const int64_t *dims = fe_along(c->b, r, axis, a->out);
  int64_t *at = DN_ARRAY(c->im->ctx->arena, int64_t, a->out);
  double *v = DN_ARRAY(c->im->ctx->arena, double, a->out);
  struct ir_value *sum = NULL;
  for (int64_t k = 0; k < n; k++) {
    for (int64_t o = 0; o < a->out; o++) {
      at[o] = idx[o * n + k];
      v[o] = w[o * n + k];
    }
    struct ir_value *part = fe_mul(c->b, pick(c, x, axis, a->out, at),
                                   fe_floats(c->b, fe_dtype(x), r, dims, v));
    sum = k ? fe_add(c->b, sum, part) : part;
  }
  return sum;
}

static struct ir_value *resize_axis(struct onnx_call *c, const struct resize *r,
                                    struct ir_value *x, int axis,
                                    const struct axis *a) {
  int64_t n = tap_count(r, a), size;
  if (!x)
    return NULL;
  if (n < 0 || !dn_mul(n, a->out, &size) || size > 1 << 24 ||
      (n > 4 && !(dn_mul(a->in, a->out, &size) && size <= 1 << 24)))
    return ox_null(c, LIMIT, "axis %d: %lld to %lld elements is too much", axis,
                   (long long)a->in, (long long)a->out);
  int64_t *idx = DN_ARRAY(c->im->ctx->arena, int64_t, a->out * n);
  double *w = DN_ARRAY(c->im->ctx->arena, double, a->out *n);
  taps(r, a, n, idx, w);
  if (r->mode == NEAREST) {
    for (int64_t o = 0; o < a->out; o++)
      idx[o] = idx[2 * o + (w[2 * o] == 0)];
    return pick(c, x, axis, a->out, idx);
  }
  return n > 4 ? by_matrix(c, x, axis, a, n, idx, w)
               : weighted(c, x, axis, a, n, idx, w);
}

/* tf_crop_and_resize: what lies outside the input is one value. */
static struct ir_value *extrapolate(struct onnx_call *c, const struct resize *r,
                                    struct ir_value *x, int axis,
                                    const struct axis *a) {
  if (!x)
    return NULL;
  int64_t *inside = DN_ARRAY(c->im->ctx->arena, int64_t, a->out);
  bool all = true;
  for (int64_t o = 0; o < a->out; o++) {
    double at = source(r, a, o);
    inside[o] = at >= 0 && at <= (double)(a->in - 1);
    all = all && inside[o];
  }
  if (all)
    return x;
  const int64_t *dims = fe_along(c->b, fe_rank(x), axis, a->out);
  struct ir_value *mask = fe_ints(c->b, IR_BOOL, fe_rank(x), dims, inside);
  return fe_select(c->b, mask, x, fe_number(c->b, x, r->extrapolation));
}

static bool resize_all(struct onnx_call *c, const struct resize *r,
                       const struct axis *axes) {
  struct ir_value *x = c->in[0];
  enum ir_dtype t = fe_dtype(x);
  int rank = fe_rank(x);
  if (r->mode != NEAREST && !ir_is_float(t))
    x = fe_cast(c->b, x, IR_F32);
  for (int i = 0; i < rank; i++) {
    if (axes[i].in == 0 && axes[i].out > 0)
      return ox_fail(c, SHAPE, "axis %d has no elements", i);
    if (axes[i].in != axes[i].out || axes[i].scale != 1 ||
        r->coordinates == TF_CROP)
      x = resize_axis(c, r, x, i, &axes[i]);
  }
  for (int i = 0; i < rank && r->coordinates == TF_CROP; i++)
    x = extrapolate(c, r, x, i, &axes[i]);
  return ox_return(c, fe_cast(c->b, x, t));
}

/* ---- Sizes ---- */

static bool axis_scale(struct onnx_call *c, int i, double scale,
                       struct axis *a) {
  double out = floor((double)a->in * scale);
  if (!(scale > 0) || !(out < 0x1p31))
    return ox_fail(c, ATTR, "scale %g of axis %d", scale, i);
  a->scale = scale;
  a->out = (int64_t)out;
  return true;
}

/* Sizes for the axes in `of`; with a policy, one scale for all of them. */
static bool axis_sizes(struct onnx_call *c, struct ox_ints sizes,
                       const int64_t *of, struct axis *axes) {
  static const char *const policies[] = {"stretch", "not_larger",
                                         "not_smaller"};
  int policy;
  double common = 0;
  if (!word(c, "keep_aspect_ratio_policy", "stretch", policies, 3, &policy))
    return false;
  for (int64_t k = 0; k < sizes.n; k++) {
    struct axis *a = &axes[of[k]];
    if (sizes.v[k] < 1 || sizes.v[k] >= INT64_C(1) << 31 || a->in < 1)
      return ox_fail(c, ATTR, "axis %lld: size %lld of %lld", (long long)of[k],
                     (long long)sizes.v[k], (long long)a->in);
    a->out = sizes.v[k];
    a->scale = (double)a->out / (double)a->in;
    if (!k || (policy == 1 ? a->scale < common : a->scale > common))
      common = a->scale;
  }
  for (int64_t k = 0; k < sizes.n && policy; k++) {
    axes[of[k]].scale = common;
    axes[of[k]].out = (int64_t)floor(common * (double)axes[of[k]].in + 0.5);
  }
  return true;
}

static bool read_resize(struct onnx_call *c, struct resize *r) {
  static const char *const coordinates[] = {
      "asymmetric",          "half_pixel",    "half_pixel_symmetric",
      "pytorch_half_pixel",  "align_corners", "tf_crop_and_resize",
      "tf_half_pixel_for_nn"};
  static const char *const modes[] = {"nearest", "linear", "cubic"};
  static const char *const roundings[] = {"round_prefer_floor",
                                          "round_prefer_ceil", "floor", "ceil"};
  int coord, mode, round;
  *r = (struct resize){0};
  if (!word(c, "coordinate_transformation_mode", "half_pixel", coordinates, 7,
            &coord) ||
      !word(c, "mode", "nearest", modes, 3, &mode) ||
      !word(c, "nearest_mode", "round_prefer_floor", roundings, 4, &round) ||
      !ox_flag(c, "antialias", false, &r->antialias) ||
      !ox_flag(c, "exclude_outside", false, &r->exclude_outside))
    return false;
  r->coordinates = (enum coordinates)coord;
  r->mode = (enum interpolation)mode;
  r->rounding = (enum rounding)round;
  r->cubic_a = ox_float(c, "cubic_coeff_a", -0.75);
  r->extrapolation = ox_float(c, "extrapolation_value", 0);
  return true;
}

bool onnx_resize(struct onnx_call *c) {
  struct resize r;
  struct ox_ints list = ox_ints(c, "axes"), sizes;
  int64_t nscales, nroi, of[IR_MAX_RANK], n;
  const double *scales, *roi;
  int rank = fe_rank(c->in[0]);
  struct axis axes[IR_MAX_RANK];
  int64_t declared[IR_MAX_RANK], drank = 0;
  bool known = ox_declared_dims(c, 3, declared, &drank) && drank == rank &&
               !ox_attr(c, "keep_aspect_ratio_policy");
  if (!read_resize(c, &r) || !ox_axis_list(c, list, rank, of, &n) ||
      !ox_const_floats(c, 1, &nroi, &roi) ||
      !ox_const_floats(c, 2, &nscales, &scales) ||
      (!known && !ox_const_ints(c, 3, &sizes)))
    return false;
  if (known) {
    int64_t *v = DN_ARRAY(c->im->ctx->arena, int64_t, n);
    for (int64_t k = 0; k < n; k++)
      v[k] = declared[of[k]];
    sizes = (struct ox_ints){true, n, v};
  }
  for (int64_t i = 0; i < rank; i++)
    axes[i] =
        (struct axis){fe_dims(c->in[0])[i], fe_dims(c->in[0])[i], 1, {0, 1}};
  if ((nscales && sizes.n) || (!nscales && !sizes.n) ||
      (nscales && nscales != n) || (sizes.n && sizes.n != n))
    return ox_fail(c, ATTR, "either scales or sizes, %lld of them",
                   (long long)n);
  if (r.coordinates == TF_CROP && nroi != 2 * n)
    return ox_fail(c, ATTR, "roi has %lld numbers", (long long)nroi);
  for (int64_t k = 0; k < n; k++) {
    if (nscales && !axis_scale(c, (int)of[k], scales[k], &axes[of[k]]))
      return false;
    if (r.coordinates == TF_CROP) {
      axes[of[k]].roi[0] = roi[k];
      axes[of[k]].roi[1] = roi[n + k];
    }
  }
  if (sizes.n && !axis_sizes(c, sizes, of, axes))
    return false;
  return resize_all(c, &r, axes);
}

/* Upsample, and Resize as it was in opset 10. */
bool onnx_upsample(struct onnx_call *c) {
  static const char *const modes[] = {"nearest", "linear", "cubic"};
  struct resize r = {.coordinates = ASYMMETRIC, .rounding = UNSAID};
  int rank = fe_rank(c->in[0]), mode;
  struct axis axes[IR_MAX_RANK];
  const struct onnx_attr *attr = ox_attr(c, "scales");
  int64_t n;
  const double *scales;
  if (!strcmp(ox_str(c, "mode", "nearest"), "bilinear"))
    mode = LINEAR;
  else if (!word(c, "mode", "nearest", modes, 2, &mode))
    return false;
  r.mode = (enum interpolation)mode;
  if (!ox_const_floats(c, 1, &n, &scales))
    return false;
  if (attr) {
    n = (int64_t)attr->floats.n;
    scales = attr->floats.v;
  }
  if (n != rank)
    return ox_fail(c, ATTR, "%lld scales for rank %d", (long long)n, rank);
  for (int i = 0; i < rank; i++) {
    axes[i] = (struct axis){.in = fe_dims(c->in[0])[i]};
    if (!axis_scale(c, i, scales[i], &axes[i]))
      return false;
  }
  return resize_all(c, &r, axes);
}
