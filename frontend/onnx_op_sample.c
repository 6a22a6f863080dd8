/* onnx_op_sample.c - sampling at computed places: GridSample and the grids of
 * AffineGrid. Each sample is a weighted sum of a few elements, gathered by
 * index from the input as rows of channels. */
#include <math.h>
#include <string.h>

#include "frontend/onnx_ops.h"

enum sampling { NEAREST, LINEAR, CUBIC };
enum outside { ZEROS, BORDER, REFLECTION };

struct grid {
  struct onnx_call *c;
  enum sampling mode;
  enum outside outside;
  bool align;
  int spatial; /* dims behind N and C */
};

/* What one spatial dim gives: taps of index and weight, [N,P] each. */
struct taps {
  int n;
  struct ir_value *idx[4], *weight[4];
};

/* x mirrored at lo and hi until it lies between them. */
static struct ir_value *mirrored(struct onnx_call *c, struct ir_value *x,
                                 double lo, double hi) {
  if (!(hi > lo))
    return fe_scale(c->b, x, 0);
  struct ir_value *t = fe_op1(c->b, IR_ABS, fe_offset(c->b, x, -lo));
  struct ir_value *n = fe_op1(c->b, IR_FLOOR, fe_scale(c->b, t, 1 / (hi - lo)));
  struct ir_value *r = fe_sub(c->b, t, fe_scale(c->b, n, hi - lo));
  struct ir_value *half = fe_scale(c->b, n, 0.5);
  struct ir_value *even =
      fe_op2(c->b, IR_EQ, half, fe_op1(c->b, IR_FLOOR, half));
  return fe_select(c->b, even, fe_offset(c->b, r, lo),
                   fe_sub(c->b, fe_number(c->b, r, hi), r));
}

/* Adds the tap at place `at` (whole numbers, as floats). What lies outside is
 * decided for each tap: the place that is sampled is not moved, or a cubic's
 * weights would be those of another place. */
static void add_tap(const struct grid *g, struct taps *t, struct ir_value *at,
                    struct ir_value *weight, int64_t size) {
  struct onnx_call *c = g->c;
  if (g->outside == ZEROS && at) {
    struct ir_value *in =
        fe_op2(c->b, IR_AND, fe_op2(c->b, IR_LE, fe_number(c->b, at, 0), at),
               fe_op2(c->b, IR_LE, at, fe_number(c->b, at, (double)size - 1)));
    weight = fe_select(c->b, in, weight, fe_number(c->b, weight, 0));
  } else if (g->outside == REFLECTION) {
    double edge = g->align ? 0 : -0.5; /* of the first element's cell */
    at = mirrored(c, at, edge, (double)size - 1 - edge);
  }
  at = fe_emit(c->b, IR_CLAMP, IR_ARGS(at),
               IR_ATTRS(ir_float("lo", 0), ir_float("hi", (double)size - 1)));
  t->idx[t->n] = fe_cast(c->b, at, IR_I32);
  t->weight[t->n++] = weight;
}

/* Keys' cubic, a = -0.75, at distance d; `near`: d <= 1. */
static struct ir_value *cubic(struct onnx_call *c, struct ir_value *d,
                              bool near) {
  static const double coef[2][4] = {{-0.75, 3.75, -6, 3}, {1.25, -2.25, 0, 1}};
  struct ir_value *y = NULL;
  for (int i = 0; i < 4; i++) {
    y = y ? fe_mul(c->b, y, d) : fe_number(c->b, d, coef[near][0]);
    if (i)
      y = fe_offset(c->b, y, coef[near][i]);
  }
  return y;
}

static bool make_taps(const struct grid *g, struct ir_value *x, int64_t size,
                      struct taps *t) {
  struct onnx_call *c = g->c;
  t->n = 0;
  if (!x)
    return false;
  if (g->mode == NEAREST) {
    add_tap(g, t, fe_op1(c->b, IR_ROUND, x), fe_number(c->b, x, 1), size);
    return t->idx[0] != NULL;
  }
  struct ir_value *left = fe_op1(c->b, IR_FLOOR, x);
  struct ir_value *part = fe_sub(c->b, x, left);
  if (!part)
    return false;
  int first = g->mode == CUBIC ? -1 : 0, last = g->mode == CUBIC ? 2 : 1;
  for (int k = first; k <= last; k++) {
    /* The distance from x to left + k. */
    struct ir_value *d = k <= 0 ? fe_offset(c->b, part, -k)
                                : fe_sub(c->b, fe_number(c->b, part, k), part);
    struct ir_value *w = g->mode == CUBIC
                             ? cubic(c, d, k == 0 || k == 1)
                             : fe_sub(c->b, fe_number(c->b, d, 1), d);
    add_tap(g, t, fe_offset(c->b, left, k), w, size);
  }
  return t->idx[t->n - 1] != NULL;
}

/* Coordinates in the input along spatial dim d, [N,P]. */
static struct ir_value *coordinate(const struct grid *g, int d,
                                   int64_t points) {
  struct onnx_call *c = g->c;
  struct ir_value *grid = c->in[1];
  int r = fe_rank(grid);
  double size = (double)fe_dims(c->in[0])[2 + d];
  const int64_t dims[] = {fe_dims(grid)[0], points};
  struct ir_value *x = fe_slice1(c->b, grid, r - 1, g->spatial - 1 - d, 1, 1);
  x = fe_reshape(c->b, x, 2, dims);
  x = fe_cast(c->b, x, IR_F32);
  if (g->align)
    return fe_scale(c->b, fe_offset(c->b, x, 1), (size - 1) / 2);
  return fe_scale(
      c->b, fe_offset(c->b, fe_scale(c->b, fe_offset(c->b, x, 1), size), -1),
      0.5);
}

/* Sum over all combinations of taps. */
static struct ir_value *sum_taps(const struct grid *g, struct ir_value *rows,
                                 const struct taps *t) {
  struct onnx_call *c = g->c;
  const int64_t *dims = fe_dims(c->in[0]);
  int choice[3] = {0};
  struct ir_value *sum = NULL;
  int64_t area = 1;
  for (int d = 0; d < g->spatial; d++)
    area *= dims[2 + d];
  for (;;) {
    struct ir_value *idx = fe_iota(c->b, 2, 0, dims[0], IR_I32), *w = NULL;
    idx = fe_scale(c->b, idx, (double)area);
    int64_t stride = area;
    for (int d = 0; d < g->spatial; d++) {
      stride /= dims[2 + d];
      idx = fe_add(c->b, idx,
                   fe_scale(c->b, t[d].idx[choice[d]], (double)stride));
      w = d ? fe_mul(c->b, w, t[d].weight[choice[d]]) : t[d].weight[choice[d]];
    }
    struct ir_value *v = fe_gather(c->b, rows, idx, 0);
    w = w && v && fe_rank(w) ? fe_unsqueeze(c->b, w, 0, 1) : w;
    v = v ? fe_mul(c->b, v, fe_cast(c->b, w, fe_dtype(v))) : NULL;
    sum = sum ? fe_add(c->b, sum, v) : v;
    if (!sum)
      return NULL;
    int d = 0;
    while (d < g->spatial && ++choice[d] == t[d].n)
      choice[d++] = 0;
    if (d == g->spatial)
      return sum;
  }
}

static bool read_grid(struct onnx_call *c, struct grid *g) {
  const char *mode = ox_str(c, "mode", "linear");
  const char *outside = ox_str(c, "padding_mode", "zeros");
  *g = (struct grid){.c = c};
  if (!strcmp(mode, "linear") || !strcmp(mode, "bilinear"))
    g->mode = LINEAR;
  else if (!strcmp(mode, "cubic") || !strcmp(mode, "bicubic"))
    g->mode = CUBIC;
  else if (strcmp(mode, "nearest") != 0)
    return ox_fail(c, ATTR, "unknown mode '%s'", ox_text(c, mode));
  if (!strcmp(outside, "border"))
    g->outside = BORDER;
  else if (!strcmp(outside, "reflection"))
    g->outside = REFLECTION;
  else if (strcmp(outside, "zeros") != 0)
    return ox_fail(c, ATTR, "unknown padding_mode '%s'", ox_text(c, outside));
  return ox_flag(c, "align_corners", false, &g->align);
}

bool onnx_grid_sample(struct onnx_call *c) {
  const struct ir_value *x = c->in[0], *grid = c->in[1];
  struct grid g;
  struct taps t[3];
  if (!read_grid(c, &g))
    return false;
  g.spatial = fe_rank(x) - 2;
  int s = g.spatial;
  if (s < 1 || s > 3 || fe_rank(grid) != s + 2 || fe_dims(grid)[s + 1] != s ||
      fe_dims(grid)[0] != fe_dims(x)[0] || ir_type_count(x->type) > INT32_MAX ||
      !ir_is_float(fe_dtype(x)))
    return ox_fail(c, TYPE, "the grid does not fit the input");
  int64_t points = 1, area = 1,
          out[IR_MAX_RANK] = {fe_dims(x)[0], fe_dims(x)[1]};
  for (int d = 0; d < s; d++) {
    out[2 + d] = fe_dims(grid)[1 + d];
    points *= out[2 + d];
    area *= fe_dims(x)[2 + d];
  }
  for (int d = 0; d < s; d++)
    if (!make_taps(&g, coordinate(&g, d, points), fe_dims(x)[2 + d], &t[d]))
      return false;
  const int64_t nca[] = {out[0], out[1], area};
  const int64_t flat[] = {out[0] * area, out[1]};
  struct ir_value *rows =
      fe_channels_last(c->b, fe_reshape(c->b, c->in[0], 3, nca));
  rows = fe_reshape(c->b, rows, 2, flat);
  struct ir_value *y = fe_channels_first(c->b, sum_taps(&g, rows, t));
  return ox_return(c, fe_reshape(c->b, y, s + 2, out));
}

/* Centres of `n` cells over [-1, 1], or their corners. */
static double cell(int64_t i, int64_t n, bool align) {
  if (align)
    return n > 1 ? -1 + 2 * (double)i / (double)(n - 1) : -1;
  return (2 * (double)i + 1) / (double)n - 1;
}

bool onnx_affine_grid(struct onnx_call *c) {
  struct ir_value *theta = c->in[0];
  struct ox_ints size;
  bool align;
  if (!ox_const_ints(c, 1, &size) ||
      !ox_flag(c, "align_corners", false, &align))
    return false;
  int s = (int)size.n - 2;
  if ((s != 2 && s != 3) || fe_rank(theta) != 3 || fe_dims(theta)[1] != s ||
      fe_dims(theta)[2] != s + 1 || fe_dims(theta)[0] != size.v[0])
    return ox_fail(c, TYPE, "theta does not fit the size");
  int64_t points = 1, out[5] = {size.v[0]};
  for (int d = 0; d < s; d++) {
    out[1 + d] = size.v[2 + d];
    if (out[1 + d] < 1 || out[1 + d] > 1 << 20 ||
        (points *= out[1 + d]) > 1 << 24)
      return fe_fail(c->b, out[1 + d] < 0 ? DN_SHAPE : DN_LIMIT,
                     "a grid of this size: 1 to 2^24 points are made");
  }
  out[1 + s] = s;
  /* Homogeneous coordinates x, y, (z,) 1 of all points, [s + 1, points]. */
  double *at = DN_ARRAY(c->im->ctx->arena, double, (s + 1) * points);
  for (int64_t p = 0; p < points; p++) {
    int64_t rest = p;
    for (int d = s; d-- > 0; rest /= out[1 + d])
      at[(s - 1 - d) * points + p] = cell(rest % out[1 + d], out[1 + d], align);
    at[s * points + p] = 1;
  }
  const int64_t dims[] = {s + 1, points};
  static const int64_t flip[] = {0, 2, 1};
  struct ir_value *y = fe_op2(c->b, IR_MATMUL, theta,
                              fe_floats(c->b, fe_dtype(theta), 2, dims, at));
  return ox_return(c,
                   fe_reshape(c->b, fe_transpose(c->b, y, flip), s + 2, out));
}
