/* tflite_op_resize.c - resizing of height and width: rows and columns are
 * picked by constant indices, and of integers weighed in steps of 2^-10. */
#include "frontend/tflite.h"

#include <math.h>

struct axis { /* of the result: where its elements come from */
  int64_t in, out;
  int64_t *low, *high, *weight; /* of `high`, in steps of 2^-10 */
  double *part;                 /* of `high` */
};

static void nearest(struct axis *a, bool corners, bool centers) {
  float scale = corners && a->out > 1 ? (float)(a->in - 1) / (float)(a->out - 1)
                                      : (float)a->in / (float)a->out;
  for (int64_t i = 0; i < a->out; i++) {
    float at = ((float)i + (centers ? 0.5f : 0.0f)) * scale;
    at = corners ? roundf(at) : floorf(at);
    a->low[i] = dn_max(0, dn_min((int64_t)at, a->in - 1));
  }
}

static void between(struct axis *a, bool corners, bool centers) {
  float scale = corners && a->out > 1 ? (float)(a->in - 1) / (float)(a->out - 1)
                                      : (float)a->in / (float)a->out;
  for (int64_t i = 0; i < a->out; i++) {
    float at = centers ? ((float)i + 0.5f) * scale - 0.5f : (float)i * scale;
    a->low[i] = dn_max((int64_t)floorf(at), 0);
    a->high[i] = dn_min((int64_t)ceilf(at), a->in - 1);
    a->part[i] = (double)(at - (float)a->low[i]);
  }
}

static void between_steps(struct axis *a, bool corners, bool centers) {
  bool ends = corners && a->out > 1;
  int64_t in = a->in - ends, out = a->out - ends;
  int64_t scale = (1024 * in + out / 2) / out;
  for (int64_t i = 0; i < a->out; i++) {
    int64_t at = i * scale + (centers ? scale / 2 - 512 : 0);
    a->low[i] = dn_max(at / 1024, 0);
    a->high[i] = dn_min((at + 1023) / 1024, a->in - 1);
    a->weight[i] = at - 1024 * a->low[i];
  }
}

static struct ir_value *picked(struct tfl_call *c, struct ir_value *x, int axis,
                               int64_t n, const int64_t *at) {
  return fe_gather(c->b, x, fe_ints(c->b, IR_I32, 1, &n, at), axis);
}

/* x between two picks along an axis. */
static struct ir_value *mixed(struct tfl_call *c, struct ir_value *x, int axis,
                              const struct axis *a) {
  const int64_t *dims = fe_along(c->b, 4, axis, a->out);
  bool whole = !ir_is_float(fe_dtype(x));
  struct ir_value *w = whole ? fe_ints(c->b, fe_dtype(x), 4, dims, a->weight)
                             : fe_floats(c->b, fe_dtype(x), 4, dims, a->part);
  struct ir_value *low = picked(c, x, axis, a->out, a->low);
  struct ir_value *high = picked(c, x, axis, a->out, a->high);
  struct ir_value *rest = fe_sub(c->b, fe_number(c->b, w, whole ? 1024 : 1), w);
  return fe_add(c->b, fe_mul(c->b, low, rest), fe_mul(c->b, high, w));
}

bool tflite_resize(struct tfl_call *c) {
  struct ir_value *x = c->in[0];
  bool corners = tfl_int(c, "align_corners") != 0;
  bool centers = tfl_int(c, "half_pixel_centers") != 0;
  bool whole = !ir_is_float(fe_dtype(x));
  if (!tfl_rank(c, 0, 4, 4) || c->tout[0]->rank != 4)
    return tfl_fail(c, TYPE, "the output has not 4 dimensions");
  if (c->arg && whole)
    x = fe_cast(c->b, x, ir_dtypes[fe_dtype(x)].bits == 8 ? IR_I32 : IR_I64);
  for (int i = 1; i < 3; i++) {
    struct axis a = {.in = fe_dims(x)[i], .out = c->tout[0]->dim[i]};
    if (a.in < 1 || a.out < 1 || a.in > 1 << 20 || a.out > 1 << 20)
      return tfl_fail(c, SHAPE, "%lld elements to %lld", (long long)a.in,
                      (long long)a.out);
    a.low = DN_ARRAY(c->im->ctx->arena, int64_t, 3 * a.out);
    a.high = a.low + a.out;
    a.weight = a.high + a.out;
    a.part = DN_ARRAY(c->im->ctx->arena, double, a.out);
    if (!c->arg)
      nearest(&a, corners, centers);
    else if (whole)
      between_steps(&a, corners, centers);
    else
      between(&a, corners, centers);
    x = c->arg ? mixed(c, x, i, &a) : picked(c, x, i, a.out, a.low);
    if (!x)
      return false;
  }
  if (!c->arg || !whole)
    return tfl_return(c, x);
  x = fe_call(c->b, FE_ROUNDED_QUOTIENT,
              IR_ARGS(x, fe_number(c->b, x, 1 << 20)), NULL, 0);
  return tfl_return(c, fe_cast(c->b, x, c->tout[0]->dtype));
}
