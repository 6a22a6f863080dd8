/* onnx_op_roi.c - pooling of regions, and convolutions of samples at offsets
 * that are computed: RoiAlign, MaxRoiPool, DeformConv. Samples are sums of four
 * elements, gathered from the input as rows of channels (`bilinear` of
 * decompose.def). */
#include <math.h>
#include <string.h>

#include "frontend/onnx_ops.h"

static struct ir_value *attrs_call(struct onnx_call *c,
                                   enum fe_decomposition row,
                                   struct ir_value *const *args, size_t n,
                                   int64_t h, int64_t w, bool max) {
  return fe_call(c->b, row, args, n,
                 IR_ATTRS(ir_int("h", h), ir_int("w", w), ir_int("max", max)));
}

/* [N,C,H,W] as rows of channels. */
static struct ir_value *as_rows(struct onnx_call *c, struct ir_value *x) {
  const int64_t *d = fe_dims(x);
  return fe_reshape(c->b, fe_channels_last(c->b, x), 2,
                    (int64_t[]){d[0] * d[2] * d[3], d[1]});
}

static bool roi_args(struct onnx_call *c, int64_t columns) {
  const struct ir_value *x = c->in[0], *rois = c->in[1];
  return (fe_rank(x) == 4 && fe_rank(rois) == 2 && fe_dims(x)[2] > 0 &&
          fe_dims(x)[3] > 0 && fe_dims(rois)[1] == columns &&
          ir_type_count(x->type) <= INT32_MAX && ir_is_float(fe_dtype(x))) ||
         ox_fail(c, TYPE, "the regions do not fit the input");
}

bool onnx_roi_align(struct onnx_call *c) {
  const int64_t *d = fe_dims(c->in[0]);
  const char *mode = ox_str(c, "mode", "avg");
  const char *where =
      ox_str(c, "coordinate_transformation_mode",
             c->version < 16 ? "output_half_pixel" : "half_pixel");
  int64_t ph = ox_int(c, "output_height", 1), pw = ox_int(c, "output_width", 1);
  int64_t ratio = ox_int(c, "sampling_ratio", 0);
  double scale = ox_float(c, "spatial_scale", 1);
  bool max = !strcmp(mode, "max"), half = !strcmp(where, "half_pixel");
  if (!roi_args(c, 4))
    return false;
  int64_t n = fe_dims(c->in[1])[0];
  if (ir_type_count(c->in[2]->type) != n ||
      (!max && strcmp(mode, "avg") != 0) ||
      (!half && strcmp(where, "output_half_pixel") != 0))
    return ox_fail(c, ATTR, "the batch indices or a mode do not fit");
  if (ratio < 1)
    return ox_fail(c, UNSUPPORTED_ATTR, "as many samples as a region is large");
  if (ph < 1 || pw < 1 || ratio > 1024 || ph > 4096 || pw > 4096)
    return ox_fail(c, LIMIT, "regions of %lldx%lld bins", (long long)ph,
                   (long long)pw);
  struct ir_value *rois = fe_cast(c->b, c->in[1], IR_F32), *at[2];
  for (int k = 0; k < 2; k++)
    at[k] = fe_call(c->b, FE_ROI_PLACES, &rois, 1,
                    IR_ATTRS(ir_int("at", k), ir_float("scale", scale),
                             ir_int("points", (k ? ph : pw) * ratio),
                             ir_int("half", half)));
  struct ir_value *first =
      fe_scale(c->b, fe_cast(c->b, c->in[2], IR_I32), (double)(d[2] * d[3]));
  struct ir_value *args[] = {as_rows(c, fe_cast(c->b, c->in[0], IR_F32)),
                             fe_reshape(c->b, first, 3, (int64_t[]){n, 1, 1}),
                             fe_unsqueeze(c->b, at[1], 0, 1),
                             fe_insert(c->b, at[0], 1)};
  struct ir_value *v = attrs_call(c, FE_ROI_SAMPLES, args, 4, d[2], d[3], max);
  v = fe_reshape(c->b, v, 6, (int64_t[]){n, ph, ratio, pw, ratio, d[1]});
  const bool axes[IR_MAX_RANK] = {[2] = true, [4] = true};
  v = max ? fe_reduce(c->b, IR_REDUCE_MAX, v, axes) : fe_mean(c->b, v, axes);
  v = fe_channels_first(c->b, fe_squeeze(c->b, v, axes));
  return ox_return(c, fe_cast(c->b, v, fe_dtype(c->in[0])));
}

static struct ir_value *max_bins(struct onnx_call *c, struct ir_value *x,
                                 struct ir_value *rois, int64_t bins,
                                 int64_t dim) {
  return fe_call(c->b, FE_MAX_BINS, IR_ARGS(x, rois),
                 IR_ATTRS(ir_int("at", 4 - dim), ir_int("dim", dim),
                          ir_float("scale", ox_float(c, "spatial_scale", 1)),
                          ir_int("bins", bins)));
}

bool onnx_max_roi_pool(struct onnx_call *c) {
  struct ox_ints size = ox_ints(c, "pooled_shape");
  if (!roi_args(c, 5))
    return false;
  if (size.n != 2 || size.v[0] < 1 || size.v[1] < 1 || size.v[0] > 4096 ||
      size.v[1] > 4096)
    return ox_fail(c, ATTR, "pooled_shape must be two numbers");
  const bool last[IR_MAX_RANK] = {[1] = true};
  struct ir_value *x = fe_cast(c->b, c->in[0], IR_F32);
  struct ir_value *rois = fe_cast(c->b, c->in[1], IR_F32);
  struct ir_value *batch =
      fe_cast(c->b, fe_slice1(c->b, rois, 1, 0, 1, 1), IR_I32);
  x = fe_gather(c->b, x, fe_squeeze(c->b, batch, last), 0);
  x = max_bins(c, x, rois, size.v[0], 2);
  x = max_bins(c, x, rois, size.v[1], 3);
  if (!x)
    return false;
  struct ir_value *none = fe_op2(c->b, IR_EQ, x, fe_number(c->b, x, -HUGE_VAL));
  x = fe_select(c->b, none, fe_number(c->b, x, 0), x);
  return ox_return(c, fe_cast(c->b, x, fe_dtype(c->in[0])));
}

/* ---- DeformConv ---- */

struct deform {
  int64_t n, channels, h, w, oh, ow, kh, kw, groups, offsets;
};

static bool read_deform(struct onnx_call *c, struct deform *d) {
  const struct ir_value *x = c->in[0], *w = c->in[1], *at = c->in[2];
  if (fe_rank(x) != 4 || fe_rank(w) != 4 || fe_rank(at) != 4)
    return ox_fail(c, UNSUPPORTED_ATTR, "other than two spatial dimensions");
  *d = (struct deform){.n = fe_dims(x)[0],
                       .channels = fe_dims(x)[1],
                       .h = fe_dims(x)[2],
                       .w = fe_dims(x)[3],
                       .oh = fe_dims(at)[2],
                       .ow = fe_dims(at)[3],
                       .kh = fe_dims(w)[2],
                       .kw = fe_dims(w)[3],
                       .groups = ox_int(c, "group", 1),
                       .offsets = ox_int(c, "offset_group", 1)};
  bool fits = d->groups > 0 && d->offsets > 0 && d->h > 0 && d->w > 0 &&
              d->channels % d->groups == 0 && d->channels % d->offsets == 0 &&
              fe_dims(w)[1] * d->groups == d->channels &&
              fe_dims(w)[0] % d->groups == 0 && fe_dims(at)[0] == d->n &&
              d->kh * d->kw <= fe_dims(at)[1] &&
              fe_dims(at)[1] == 2 * d->offsets * d->kh * d->kw &&
              ir_type_count(x->type) <= INT32_MAX;
  return fits || ox_fail(c, TYPE, "offsets or weights do not fit the input");
}

/* Where the window reads along one dim, k of 0 and 1: [N,offsets,K,P]. */
static struct ir_value *places(struct onnx_call *c, const struct deform *d,
                               int64_t k) {
  struct ox_ints strides = ox_ints(c, "strides"), pads = ox_ints(c, "pads");
  struct ox_ints dilations = ox_ints(c, "dilations");
  int64_t taps = d->kh * d->kw, points = d->oh * d->ow;
  double *at = DN_ARRAY(c->im->ctx->arena, double, taps *points);
  for (int64_t t = 0; t < taps; t++)
    for (int64_t p = 0; p < points; p++) {
      int64_t tap = k ? t % d->kw : t / d->kw, out = k ? p % d->ow : p / d->ow;
      at[t * points + p] = (double)(out * (strides.n ? strides.v[k] : 1) -
                                    (pads.n ? pads.v[k] : 0) +
                                    tap * (dilations.n ? dilations.v[k] : 1));
    }
  struct ir_value *o =
      fe_reshape(c->b, fe_cast(c->b, c->in[2], IR_F32), 5,
                 (int64_t[]){d->n, d->offsets, taps, 2, points});
  const bool one[IR_MAX_RANK] = {[3] = true};
  o = fe_squeeze(c->b, fe_slice1(c->b, o, 3, k, 1, 1), one);
  return fe_add(c->b, o,
                fe_floats(c->b, IR_F32, 2, (int64_t[]){taps, points}, at));
}

/* What the windows read, [N,groups,P,C/groups*K]. */
static struct ir_value *windows(struct onnx_call *c, const struct deform *d) {
  int64_t part = d->channels / d->offsets, area = d->h * d->w;
  int64_t taps = d->kh * d->kw, points = d->oh * d->ow;
  struct ir_value *x =
      fe_reshape(c->b, fe_cast(c->b, c->in[0], IR_F32), 4,
                 (int64_t[]){d->n * d->offsets, part, d->h, d->w});
  struct ir_value *first = fe_scale(
      c->b, fe_iota(c->b, 1, 0, d->n * d->offsets, IR_I32), (double)area);
  struct ir_value *args[] = {
      x ? as_rows(c, x) : NULL,
      fe_reshape(c->b, first, 4, (int64_t[]){d->n, d->offsets, 1, 1}),
      places(c, d, 0), places(c, d, 1)};
  struct ir_value *v = attrs_call(c, FE_BILINEAR, args, 4, d->h, d->w, false);
  const int64_t masked[] = {d->n, d->offsets, taps, points, 1};
  if (ox_in(c, 4))
    v = fe_mul(c->b, v,
               fe_reshape(c->b, fe_cast(c->b, c->in[4], IR_F32), 5, masked));
  v = fe_transpose(c->b, v, (int64_t[]){0, 3, 1, 4, 2});
  v = fe_reshape(
      c->b, v, 4,
      (int64_t[]){d->n, points, d->groups, d->channels / d->groups * taps});
  return fe_transpose(c->b, v, (int64_t[]){0, 2, 1, 3});
}

bool onnx_deform_conv(struct onnx_call *c) {
  static const char *const lists[] = {"strides", "dilations", "kernel_shape",
                                      "pads"};
  struct deform d;
  if (!read_deform(c, &d))
    return false;
  for (int i = 0; i < 4; i++) {
    int64_t n = ox_ints(c, lists[i]).n;
    if (n && n != (i == 3 ? 4 : 2))
      return ox_fail(c, ATTR, "'%s' has %lld numbers", lists[i], (long long)n);
  }
  int64_t outs = fe_dims(c->in[1])[0], each = outs / d.groups;
  struct ir_value *w = fe_reshape(
      c->b, fe_cast(c->b, c->in[1], IR_F32), 3,
      (int64_t[]){d.groups, each, d.channels / d.groups * d.kh * d.kw});
  struct ir_value *y = fe_matmul(c->b, windows(c, &d),
                                 fe_transpose(c->b, w, (int64_t[]){0, 2, 1}));
  y = fe_transpose(c->b, y, (int64_t[]){0, 1, 3, 2});
  y = fe_reshape(c->b, y, 4, (int64_t[]){d.n, outs, d.oh, d.ow});
  if (ox_in(c, 3))
    y = fe_add(c->b, y,
               fe_unsqueeze(c->b, fe_cast(c->b, c->in[3], IR_F32), 0, 2));
  return ox_return(c, fe_cast(c->b, y, fe_dtype(c->in[0])));
}
