/* onnx_op_conv.c - matrix products and convolutions. ONNX convolutions have
 * channels first, ours last: transposes go around them, which the pass `layout`
 * cancels. */
#include <math.h>
#include <string.h>

#include "frontend/onnx_ops.h"
#include "frontend/onnx_window.h"

/* Attribute `activation` of y; parameters in `activation_params`, or one each
 * in `activation_alpha` and `activation_beta`. */
static struct ir_value *activated(struct onnx_call *c, struct ir_value *y) {
  static const char *const named[] = {"activation_alpha", "activation_beta"};
  const char *name = ox_str(c, "activation", "");
  const struct onnx_attr *list = ox_attr(c, "activation_params");
  const struct ox_activation *a = ox_activation_find(name, OX_FUSED);
  double v[2];
  if (!*name || !y)
    return y;
  if (!a)
    return ox_null(c, UNSUPPORTED_ATTR, "activation '%s'", ox_text(c, name));
  for (size_t i = 0; i < 2; i++)
    v[i] = list && list->floats.n > i ? list->floats.v[i]
                                      : ox_float(c, named[i], a->otherwise[i]);
  return fe_call(
      c->b, FE_APPLY, IR_ARGS(y),
      IR_ATTRS(ir_str("f", ox_activation_text(c->im->ctx, a, v, 0))));
}

bool onnx_fused_gemm(struct onnx_call *c) {
  return onnx_decompose(c) && ox_return(c, activated(c, c->out[0]));
}

/* y + bias, one number a channel, channels last. */
static struct ir_value *add_bias(struct onnx_call *c, struct ir_value *y) {
  struct ir_value *b = c->nin < 3 ? NULL : c->in[2];
  if (!b || !y)
    return y;
  if (fe_rank(b) != 1 || fe_dims(b)[0] != fe_dims(y)[fe_rank(y) - 1])
    return ox_null(c, TYPE, "the bias must have one number a channel");
  return fe_add(c->b, y, b);
}

static bool conv_shapes(struct onnx_call *c, const struct ir_value *x,
                        const struct ir_value *w, int64_t *groups,
                        bool transposed) {
  int r = fe_rank(x);
  *groups = ox_int(c, "group", 1);
  if (r < 3 || fe_rank(w) != r)
    return ox_fail(c, TYPE,
                   "x of rank %d and w of rank %d are no images "
                   "and windows",
                   r, fe_rank(w));
  int64_t g = *groups, channels = fe_dims(x)[1];
  int64_t *kernel = DN_ARRAY(c->im->ctx->arena, int64_t, r);
  memcpy(kernel, fe_dims(w) + 2, (size_t)(r - 2) * sizeof *kernel);
  struct ox_ints shape = ox_ints(c, "kernel_shape");
  if (shape.given &&
      (shape.n != r - 2 ||
       memcmp(shape.v, kernel, (size_t)(r - 2) * sizeof *kernel) != 0))
    return ox_fail(c, ATTR, "kernel_shape is not the shape of w");
  bool fits =
      g >= 1 && channels % g == 0 &&
      (transposed ? fe_dims(w)[0] == channels
                  : fe_dims(w)[0] % g == 0 && fe_dims(w)[1] == channels / g);
  return fits ||
         ox_fail(c, TYPE, "%lld channels in %lld groups do not fit w, %s",
                 (long long)channels, (long long)g,
                 ir_type_text(c->im->ctx, NULL, w->type));
}

static struct ir_value *emit_conv(struct onnx_call *c, struct ir_value *x,
                                  struct ir_value *w, const int64_t *strides,
                                  const int64_t *pads, const int64_t *dilations,
                                  int64_t groups) {
  if (!x || !w)
    return NULL;
  int s = fe_rank(x) - 2;
  struct ir_attr attrs[4];
  size_t n = 0;
  bool strided = false, padded = false, dilated = false;
  for (int i = 0; i < s; i++) {
    strided = strided || strides[i] != 1;
    padded = padded || pads[i] || pads[s + i];
    dilated = dilated || dilations[i] != 1;
  }
  if (strided)
    attrs[n++] = ir_ints("strides", strides, s);
  if (padded)
    attrs[n++] = ir_ints("pads", pads, 2 * s);
  if (dilated)
    attrs[n++] = ir_ints("dilations", dilations, s);
  if (groups != 1)
    attrs[n++] = ir_int("groups", groups);
  return fe_emit(c->b, IR_CONV, IR_ARGS(x, w), attrs, n);
}

struct ir_value *ox_conv(struct onnx_call *c, struct ir_value *x,
                         struct ir_value *w) {
  int64_t groups;
  struct fe_window win;
  if (!x || !w || !conv_shapes(c, x, w, &groups, false) ||
      !ox_window_read(c, fe_rank(x) - 2, fe_dims(x) + 2, fe_dims(w) + 2, &win))
    return NULL;
  /* [O,I,k..] to [O,k..,I] moves as [N,C,s..] to [N,s..,C] does. */
  return emit_conv(c, fe_channels_last(c->b, x), fe_channels_last(c->b, w),
                   win.strides, win.pads, win.dilations, groups);
}

bool onnx_conv(struct onnx_call *c) {
  struct ir_value *y = ox_conv(c, c->in[0], c->in[1]);
  return ox_return(c, fe_channels_first(c->b, add_bias(c, y)));
}

/* act(conv(x, w) + b + z) */
bool onnx_fused_conv(struct onnx_call *c) {
  struct ir_value *y = ox_conv(c, c->in[0], c->in[1]);
  y = fe_channels_first(c->b, add_bias(c, y));
  if (c->nin > 3)
    y = fe_add(c->b, y, c->in[3]);
  return ox_return(c, activated(c, y));
}

bool onnx_conv_transpose(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *w = c->in[1];
  int64_t groups;
  struct fe_window win;
  if (!conv_shapes(c, x, w, &groups, true))
    return false;
  int s = fe_rank(x) - 2;
  if (!ox_window_read_transposed(c, s, fe_dims(x) + 2, fe_dims(w) + 2, &win))
    return false;
  x = fe_call(c->b, FE_CONV_TRANSPOSE, IR_ARGS(fe_channels_last(c->b, x), w),
              IR_ATTRS(ir_ints("strides", win.strides, s),
                       ir_ints("pads", win.pads, 2 * (int64_t)s),
                       ir_ints("dilations", win.dilations, s),
                       ir_ints("extra", win.extra, s),
                       ir_int("groups", groups)));
  return ox_return(c, fe_channels_first(c->b, add_bias(c, x)));
}

/* Adds blocks [N, C * taps, blocks] up to an image, each at its place: one tap
 * of all blocks at a time. */
bool onnx_col2im(struct onnx_call *c) {
  struct ox_ints image, block, strides = ox_ints(c, "strides");
  struct ox_ints dilations = ox_ints(c, "dilations"), pads = ox_ints(c, "pads");
  struct ir_value *x = c->in[0], *y = NULL;
  int64_t taps = 1, blocks = 1, dims[2 * IR_MAX_RANK], n[IR_MAX_RANK];
  int64_t at[IR_MAX_RANK] = {0}, steps[IR_MAX_RANK];
  if (!ox_const_ints(c, 1, &image) || !ox_const_ints(c, 2, &block))
    return false;
  int s = (int)image.n, r = s + 2;
  if (fe_rank(x) != 3 || s < 1 || r > IR_MAX_RANK || block.n != s ||
      (strides.given && strides.n != s) ||
      (dilations.given && dilations.n != s) || (pads.given && pads.n != 2 * s))
    return ox_fail(c, ATTR, "lists of %lld dimensions", (long long)image.n);
  steps[0] = steps[1] = 1;
  for (int i = 0; i < s; i++) {
    int64_t d = dilations.given ? dilations.v[i] : 1;
    int64_t around = pads.given ? pads.v[i] + pads.v[s + i] : 0;
    steps[2 + i] = strides.given ? strides.v[i] : 1;
    if (steps[2 + i] < 1 || d < 1 || block.v[i] < 1 || block.v[i] > 4096 ||
        image.v[i] < 1 || image.v[i] > 1 << 24)
      return ox_fail(c, ATTR, "dimension %d", i);
    n[i] = dn_div_floor(image.v[i] + around - d * (block.v[i] - 1) - 1,
                        steps[2 + i]) +
           1;
    taps *= block.v[i];
    blocks *= dn_max(n[i], 0);
    if (taps > 4096)
      return ox_fail(c, LIMIT, "blocks of %lld elements", (long long)taps);
  }
  if (fe_dims(x)[2] != blocks || fe_dims(x)[1] % taps)
    return ox_fail(c, TYPE, "%lld blocks of %lld elements do not fit",
                   (long long)blocks, (long long)taps);
  dims[0] = fe_dims(x)[0];
  dims[1] = fe_dims(x)[1] / taps;
  for (int64_t t = 0; t < taps; t++) {
    struct ir_value *v = fe_slice1(c->b, x, 1, t, dims[1], taps);
    int64_t put[2 * IR_MAX_RANK] = {0};
    for (int i = 0; i < s; i++) {
      int64_t d = dilations.given ? dilations.v[i] : 1;
      dims[2 + i] = n[i];
      put[2 + i] = at[i] * d - (pads.given ? pads.v[i] : 0);
      put[r + 2 + i] = image.v[i] - (n[i] - 1) * steps[2 + i] - 1 - put[2 + i];
    }
    v = fe_pad(c->b, fe_reshape(c->b, v, r, dims), put, steps, 0);
    y = y ? fe_add(c->b, y, v) : v;
    for (int i = s - 1; i >= 0 && ++at[i] == block.v[i]; i--)
      at[i] = 0;
  }
  return ox_return(c, y);
}
