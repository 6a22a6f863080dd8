/* onnx_op_conv.c - matrix products and convolutions. ONNX convolutions have
 * channels first, ours last: transposes go around them, which the pass `layout`
 * cancels. */
#include <math.h>
#include <string.h>

#include "frontend/onnx_ops.h"
#include "frontend/onnx_window.h"

bool onnx_matmul(struct onnx_call *c) {
  if (!fe_rank(c->in[0]) || !fe_rank(c->in[1]))
    return ox_fail(c, TYPE, "operands must not be scalars");
  return ox_return(c, fe_matmul(c->b, c->in[0], c->in[1]));
}

/* The last two dimensions exchanged when the flag `name` is set. */
static struct ir_value *flipped(struct onnx_call *c, struct ir_value *x,
                                const char *name) {
  bool flip;
  int64_t perm[IR_MAX_RANK];
  int r = fe_rank(x);
  if (!ox_flag(c, name, false, &flip))
    return NULL;
  for (int i = 0; i < r; i++)
    perm[i] = !flip || i < r - 2 ? i : 2 * r - 3 - i;
  return flip && r > 1 ? fe_transpose(c->b, x, perm) : x;
}

/* alpha * (a b), each flipped or not. */
static struct ir_value *product(struct onnx_call *c) {
  struct ir_value *a = flipped(c, c->in[0], "transA");
  struct ir_value *b = flipped(c, c->in[1], "transB");
  return a && b ? fe_scale(c->b, fe_matmul(c->b, a, b), ox_float(c, "alpha", 1))
                : NULL;
}

bool onnx_fused_matmul(struct onnx_call *c) {
  if (!fe_rank(c->in[0]) || !fe_rank(c->in[1]))
    return ox_fail(c, TYPE, "operands must not be scalars");
  if (ox_int(c, "transBatchA", 0) || ox_int(c, "transBatchB", 0))
    return ox_fail(c, UNSUPPORTED_ATTR, "transBatchA or transBatchB");
  return ox_return(c, product(c));
}

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

/* arg 1: with an activation. */
bool onnx_gemm(struct onnx_call *c) {
  if (fe_rank(c->in[0]) != 2 || fe_rank(c->in[1]) != 2)
    return ox_fail(c, TYPE, "operands must be matrices");
  struct ir_value *y = product(c);
  double beta = ox_float(c, "beta", 1);
  if (c->nin > 2 && beta != 0) {
    struct ir_value *bias = fe_scale(c->b, c->in[2], beta), *all = y;
    y = fe_add(c->b, y, bias);
    if (y && y->type != all->type)
      return ox_fail(c, TYPE, "C does not broadcast to the product");
  }
  return ox_return(c, c->arg ? activated(c, y) : y);
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

/* [C, M/g, k..] to [M, k.., C/g], each window turned around: the weights of the
 * convolution that a transposed convolution is. */
static struct ir_value *turned_weights(struct onnx_call *c, struct ir_value *w,
                                       int64_t g) {
  int r = fe_rank(w), s = r - 2;
  if (r + 1 > IR_MAX_RANK)
    return ox_null(c, LIMIT, "rank %d, with one more for groups, is over %d", r,
                   IR_MAX_RANK);
  int64_t starts[IR_MAX_RANK] = {0}, sizes[IR_MAX_RANK], steps[IR_MAX_RANK];
  for (int i = 0; i < r; i++) {
    sizes[i] = fe_dims(w)[i];
    steps[i] = i < 2 || sizes[i] < 2 ? 1 : -1;
    starts[i] = i < 2 || sizes[i] < 2 ? 0 : sizes[i] - 1;
  }
  w = fe_slice(c->b, w, starts, sizes, steps);
  int64_t split[IR_MAX_RANK] = {g, sizes[0] / g, sizes[1]};
  int64_t perm[IR_MAX_RANK] = {0, 2}, dims[IR_MAX_RANK] = {sizes[1] * g};
  for (int i = 0; i < s; i++) {
    split[3 + i] = sizes[2 + i];
    perm[2 + i] = 3 + i;
    dims[1 + i] = sizes[2 + i];
  }
  perm[2 + s] = 1;
  dims[1 + s] = sizes[0] / g;
  w = fe_transpose(c->b, fe_reshape(c->b, w, r + 1, split), perm);
  return fe_reshape(c->b, w, r, dims);
}

/* With a stride s, zeros between the elements would be multiplied, too. The
 * results whose index has one remainder by s are a convolution of their own:
 * y[q*s + p] sums x[q - t] * w[t*s + p]. All s of them read the same elements,
 * so they are one convolution with stride 1 and s times the channels (Shi et
 * al., "Is the deconvolution layer the same as a convolutional layer?", 2016).
 */
struct phases {
  int64_t groups;
  int s; /* spatial dimensions */
  struct {
    int64_t stride, kernel, taps;
    int64_t before, after; /* padding of x */
    int64_t start, size;   /* of what comes out */
  } dim[IR_MAX_RANK];
};

/* false: dilated, of unknown size, or of too many dimensions. */
static bool find_phases(struct phases *f, const int64_t *size,
                        const struct fe_window *win, int s, int64_t groups) {
  bool strided = false;
  f->s = s;
  f->groups = groups;
  for (int i = 0; i < s; i++) {
    int64_t stride = win->strides[i], kernel = win->kernel[i];
    int64_t first = win->pads[i], taps = dn_div_ceil(kernel, stride);
    f->dim[i].stride = stride;
    f->dim[i].kernel = kernel;
    f->dim[i].taps = taps;
    f->dim[i].size = (size[i] - 1) * stride + kernel - first -
                     win->pads[s + i] + win->extra[i];
    int64_t skip = dn_min(first / stride, taps - 1);
    f->dim[i].before = taps - 1 - skip;
    f->dim[i].after =
        dn_max(0, dn_div_ceil(first + f->dim[i].size, stride) - size[i]);
    f->dim[i].start = first - skip * stride;
    strided |= stride > 1;
    if (win->dilations[i] != 1 || size[i] < 1 || first < 0 ||
        f->dim[i].size < 1)
      return false;
  }
  return strided && 2 * s + 3 <= IR_MAX_RANK;
}

/* [C, M/g, k..] to [g * s.. * M/g, t.., C/g]. */
static struct ir_value *phase_weights(struct onnx_call *c, struct ir_value *w,
                                      const struct phases *f) {
  int r = f->s + 2, n = 2 * f->s + 3;
  const int64_t *was = fe_dims(w);
  int64_t pads[2 * IR_MAX_RANK] = {0}, ones[IR_MAX_RANK];
  int64_t split[IR_MAX_RANK] = {f->groups, was[0] / f->groups, was[1]};
  int64_t starts[IR_MAX_RANK] = {0}, steps[IR_MAX_RANK], perm[IR_MAX_RANK];
  int64_t dims[IR_MAX_RANK] = {f->groups * was[1]};
  bool fills = false;
  for (int i = 0; i < n; i++)
    ones[i] = steps[i] = 1;
  for (int i = 0; i < f->s; i++) {
    int64_t taps = f->dim[i].taps, stride = f->dim[i].stride;
    pads[r + 2 + i] = taps * stride - f->dim[i].kernel;
    fills |= pads[r + 2 + i] > 0;
    split[3 + 2 * i] = taps;
    split[4 + 2 * i] = stride;
    starts[3 + 2 * i] = taps - 1;
    steps[3 + 2 * i] = taps > 1 ? -1 : 1;
    perm[1 + i] = 4 + 2 * i;
    perm[2 + f->s + i] = 3 + 2 * i;
    dims[0] *= stride;
    dims[1 + i] = taps;
  }
  perm[0] = 0;
  perm[1 + f->s] = 2;
  perm[n - 1] = 1;
  dims[r - 1] = split[1];
  if (fills)
    w = fe_pad(c->b, w, pads, ones, 0);
  w = fe_slice(c->b, fe_reshape(c->b, w, n, split), starts, split, steps);
  return fe_reshape(c->b, fe_transpose(c->b, w, perm), r, dims);
}

/* [N, q.., g * s.. * M/g] to [N, size.., M]. */
static struct ir_value *join_phases(struct onnx_call *c, struct ir_value *y,
                                    const struct phases *f) {
  int r = f->s + 2, n = 0;
  const int64_t *was = y ? fe_dims(y) : NULL;
  int64_t split[IR_MAX_RANK], perm[IR_MAX_RANK], dims[IR_MAX_RANK];
  int64_t starts[IR_MAX_RANK] = {0}, sizes[IR_MAX_RANK], ones[IR_MAX_RANK];
  if (!y)
    return NULL;
  int64_t channels = was[r - 1];
  dims[0] = sizes[0] = was[0];
  for (int i = 0; i <= f->s; i++)
    split[n++] = was[i];
  split[n++] = f->groups;
  for (int i = 0; i < f->s; i++) {
    split[n++] = f->dim[i].stride;
    channels /= f->dim[i].stride;
    perm[1 + 2 * i] = 1 + i;
    perm[2 + 2 * i] = f->s + 2 + i;
    dims[1 + i] = was[1 + i] * f->dim[i].stride;
    starts[1 + i] = f->dim[i].start;
    sizes[1 + i] = f->dim[i].size;
  }
  split[n] = channels / f->groups;
  perm[0] = 0;
  perm[n - 1] = 1 + f->s;
  perm[n] = n;
  dims[r - 1] = sizes[r - 1] = channels;
  for (int i = 0; i < r; i++)
    ones[i] = 1;
  y = fe_transpose(c->b, fe_reshape(c->b, y, n + 1, split), perm);
  return fe_slice(c->b, fe_reshape(c->b, y, r, dims), starts, sizes, ones);
}

static struct ir_value *conv_phases(struct onnx_call *c, struct ir_value *x,
                                    struct ir_value *w,
                                    const struct phases *f) {
  int64_t ones[IR_MAX_RANK], pads[2 * IR_MAX_RANK];
  for (int i = 0; i < f->s; i++) {
    ones[i] = 1;
    pads[i] = f->dim[i].before;
    pads[f->s + i] = f->dim[i].after;
  }
  w = phase_weights(c, w, f);
  return join_phases(c, emit_conv(c, x, w, ones, pads, ones, f->groups), f);
}

/* Zeros go between the elements (stride - 1 of them) and around; then it is a
 * convolution with stride 1. */
static struct ir_value *conv_spread(struct onnx_call *c, struct ir_value *x,
                                    struct ir_value *w,
                                    const struct fe_window *win,
                                    int64_t groups) {
  int r = fe_rank(x), s = r - 2;
  int64_t pads[2 * IR_MAX_RANK] = {0}, steps[IR_MAX_RANK];
  int64_t ones[IR_MAX_RANK], zeros[2 * IR_MAX_RANK] = {0};
  for (int i = 0; i < r; i++)
    steps[i] = ones[i] = 1;
  for (int i = 0; i < s; i++) {
    int64_t reach = win->dilations[i] * (win->kernel[i] - 1);
    pads[1 + i] = reach - win->pads[i];
    pads[r + 1 + i] = reach - win->pads[s + i] + win->extra[i];
    steps[1 + i] = win->strides[i];
  }
  w = turned_weights(c, w, groups);
  x = fe_pad(c->b, x, pads, steps, 0);
  return emit_conv(c, x, w, ones, zeros, win->dilations, groups);
}

bool onnx_conv_transpose(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *w = c->in[1];
  int64_t groups;
  struct fe_window win;
  struct phases f;
  if (!conv_shapes(c, x, w, &groups, true))
    return false;
  int s = fe_rank(x) - 2;
  if (!ox_window_read_transposed(c, s, fe_dims(x) + 2, fe_dims(w) + 2, &win))
    return false;
  bool split = find_phases(&f, fe_dims(x) + 2, &win, s, groups);
  x = fe_channels_last(c->b, x);
  x = split ? conv_phases(c, x, w, &f) : conv_spread(c, x, w, &win, groups);
  return ox_return(c, fe_channels_first(c->b, add_bias(c, x)));
}

/* A depthwise convolution along the last dimension that looks back only, at
 * what came before this call too. */
bool onnx_causal_conv(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *w = c->in[1], *y;
  const char *how = ox_str(c, "activation", "none");
  bool swish = !strcmp(how, "silu") || !strcmp(how, "swish");
  if (fe_rank(x) != 3 || fe_rank(w) != 3 || fe_dims(w)[1] != 1 ||
      fe_dims(w)[0] != fe_dims(x)[1] || fe_dims(w)[2] < 1)
    return ox_fail(c, TYPE, "one row of weights a channel is needed");
  if (!swish && *how && strcmp(how, "none") != 0)
    return ox_fail(c, UNSUPPORTED_ATTR, "activation '%s'", ox_text(c, how));
  int64_t k = fe_dims(w)[2], n = fe_dims(x)[2];
  int64_t groups = fe_dims(x)[1], pads[6] = {0, 0, k - 1};
  if (c->nin > 3 && c->in[3])
    x = fe_concat(c->b, IR_ARGS(c->in[3], x), 2);
  else
    x = fe_pad(c->b, x, pads, NULL, 0);
  if (!x || fe_dims(x)[2] != n + k - 1)
    return ox_fail(c, TYPE, "the past must be of %lld steps", (long long)k - 1);
  y = fe_emit(c->b, IR_CONV,
              IR_ARGS(fe_channels_last(c->b, x), fe_channels_last(c->b, w)),
              IR_ATTRS(ir_int("groups", groups)));
  y = add_bias(c, y);
  if (swish)
    y = fe_mul(c->b, y, fe_op1(c->b, IR_SIGMOID, y));
  c->out[0] = fe_channels_first(c->b, y);
  if (c->nout > 1)
    c->out[1] = fe_slice1(c->b, x, 2, n, k - 1, 1);
  return c->out[0] != NULL;
}

/* Blocks of an image put back where they are from, and added: one tap of all
 * blocks after another. */
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
