/* onnx_op_sample.c - sampling at computed places: GridSample. Each sample is a weighted sum of a few elements, gathered by
 * index from the input as rows of channels. */
#include <math.h>
#include <string.h>

#include "frontend/onnx_ops.h"

struct grid {
  struct onnx_call *c;
  const char *mode, *outside;
  int first, last; /* taps, counted from the element left of a place */
  bool align;
  int spatial; /* dims behind N and C */
};

/* What one spatial dim gives: taps of index and weight, [N,P] each. */
struct taps {
  int n;
  struct ir_value *idx[4], *weight[4];
};

/* Along spatial dim d. */
static bool make_taps(const struct grid *g, int d, struct taps *t) {
  struct onnx_call *c = g->c;
  int64_t size = fe_dims(c->in[0])[2 + d];
  struct ir_value *x =
      fe_call(c->b, FE_GRID_AT, &c->in[1], 1,
              IR_ATTRS(ir_int("at", g->spatial - 1 - d), ir_int("size", size),
                       ir_int("align", g->align)));
  t->n = 0;
  for (int k = g->first; k <= g->last; k++) {
    struct ir_value *out[2] = {0};
    if (!fe_decompose(c->b, FE_GRID_TAP, &x, 1,
                      IR_ATTRS(ir_int("k", k), ir_str("mode", g->mode),
                               ir_str("outside", g->outside),
                               ir_int("size", size), ir_int("align", g->align)),
                      out, 2))
      return false;
    t->idx[t->n] = out[0];
    t->weight[t->n++] = out[1];
  }
  return true;
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
  *g = (struct grid){.c = c,
                     .mode = ox_str(c, "mode", "linear"),
                     .outside = ox_str(c, "padding_mode", "zeros"),
                     .spatial = fe_rank(c->in[0]) - 2};
  bool cubic = strstr(g->mode, "cubic") != NULL;
  g->first = cubic ? -1 : 0;
  g->last = cubic ? 2 : strcmp(g->mode, "nearest") != 0;
  return ox_flag(c, "align_corners", false, &g->align);
}

bool onnx_grid_sample(struct onnx_call *c) {
  const struct ir_value *x = c->in[0], *grid = c->in[1];
  struct grid g;
  struct taps t[3];
  if (!read_grid(c, &g))
    return false;
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
    if (!make_taps(&g, d, &t[d]))
      return false;
  const int64_t nca[] = {out[0], out[1], area};
  const int64_t flat[] = {out[0] * area, out[1]};
  struct ir_value *rows =
      fe_channels_last(c->b, fe_reshape(c->b, c->in[0], 3, nca));
  rows = fe_reshape(c->b, rows, 2, flat);
  struct ir_value *y = fe_channels_first(c->b, sum_taps(&g, rows, t));
  return ox_return(c, fe_reshape(c->b, y, s + 2, out));
}
