/* onnx_op_pool.c - pooling: windows over the spatial dims, in the layout that
 * the model has. */
#include <math.h>
#include <string.h>

#include "frontend/onnx_ops.h"
#include "frontend/onnx_window.h"

static bool read_pool(struct onnx_call *c, struct fe_window *w) {
  const struct ir_value *x = c->in[0];
  struct ox_ints kernel = ox_ints(c, "kernel_shape");
  int s = fe_rank(x) - 2;
  if (s < 1 || kernel.n != s)
    return ox_fail(c, ATTR,
                   "kernel_shape has %lld elements for an input of rank %d",
                   (long long)kernel.n, fe_rank(x));
  return ox_window_read(c, s, fe_dims(x) + 2, kernel.v, w);
}

bool onnx_average_pool(struct onnx_call *c) {
  struct fe_window p;
  bool with_pads;
  if (!read_pool(c, &p) || !ox_flag(c, "count_include_pad", false, &with_pads))
    return false;
  return ox_return(c, fe_average_pool(c->b, c->in[0], &p, with_pads));
}

/* ---- Where the largest is ---- */

/* Largest elements so far, and where they are in the input, less what follows
 * from the index of the result alone. */
struct largest {
  struct ir_value *v, *at;
};

/* Windows along spatial dimension i: tap by tap, a later one counts when it is
 * larger, or the first that is inside. `far`: steps in memory of one index,
 * counted in type t. */
static bool largest_along(struct onnx_call *c, const struct fe_window *w, int i,
                          int64_t far, enum ir_dtype t, struct largest *m) {
  int r = fe_rank(c->in[0]), s = r - 2, dim = i + 2;
  int64_t pads[2 * IR_MAX_RANK] = {0}, n = w->out[i];
  pads[dim] = w->pads[i];
  pads[r + dim] = w->pads[s + i];
  struct largest in = {fe_pad(c->b, m->v, pads, NULL, -HUGE_VAL),
                       m->at ? fe_pad(c->b, m->at, pads, NULL, 0) : NULL};
  int64_t *first = DN_ARRAY(c->im->ctx->arena, int64_t, n);
  if (w->kernel[i] > 4096)
    return ox_fail(c, LIMIT, "indices of a window of %lld",
                   (long long)w->kernel[i]);
  for (int64_t k = 0; k < w->kernel[i]; k++) {
    int64_t from = k * w->dilations[i], starts = 0;
    struct ir_value *v = fe_slice1(c->b, in.v, dim, from, n, w->strides[i]);
    struct ir_value *at =
        in.at ? fe_slice1(c->b, in.at, dim, from, n, w->strides[i]) : NULL;
    struct ir_value *step = fe_scalar(c->b, t, (double)(from * far));
    at = at ? fe_add(c->b, at, step) : step;
    if (!v || !at)
      return false;
    if (k == 0) {
      *m = (struct largest){v, at};
      continue;
    }
    for (int64_t o = 0; o < n; o++) {
      int64_t before = w->pads[i] - o * w->strides[i] - from;
      first[o] = before <= 0 && before + w->dilations[i] > 0;
      starts += first[o];
    }
    struct ir_value *take = fe_op2(c->b, IR_LT, m->v, v);
    if (starts)
      take =
          fe_op2(c->b, IR_OR, take,
                 fe_ints(c->b, IR_BOOL, r, fe_along(c->b, r, dim, n), first));
    m->v = fe_select(c->b, take, v, m->v);
    m->at = fe_select(c->b, take, at, m->at);
  }
  return m->at != NULL;
}

/* The second result: the position of each largest element in the input, in row-
 * major order, or column-major over the spatial dimensions (storage_order 1).
 * */
static struct ir_value *largest_at(struct onnx_call *c,
                                   const struct fe_window *p) {
  struct ir_value *x = c->in[0], *y;
  struct largest m = {x, NULL};
  bool columns;
  int r = fe_rank(c->in[0]), s = r - 2;
  int64_t far[IR_MAX_RANK], all = 1, dims[IR_MAX_RANK];
  if (!ox_flag(c, "storage_order", false, &columns))
    return NULL;
  for (int k = 0; k < s; k++) {
    int i = columns ? k : s - 1 - k;
    far[i] = all;
    all *= fe_dims(x)[i + 2];
  }
  enum ir_dtype t = IR_I32; /* twice the lanes of i64 */
  for (int i = 0; i < s; i++)
    if (p->kernel[i] * p->dilations[i] > INT32_MAX / s / dn_max(far[i], 1))
      t = IR_I64;
  for (int i = s; i-- > 0;)
    if (!largest_along(c, p, i, far[i], t, &m))
      return NULL;
  y = fe_cast(c->b, m.at, IR_I64);
  for (int i = 0; i < s; i++) { /* where the window starts */
    struct ir_value *o = fe_iota(c->b, r, i + 2, p->out[i], IR_I64);
    o = fe_offset(c->b, fe_scale(c->b, o, (double)p->strides[i]),
                  (double)-p->pads[i]);
    y = fe_add(c->b, y, fe_scale(c->b, o, (double)far[i]));
  }
  for (int i = 0; i < 2; i++) { /* and the image */
    struct ir_value *o = fe_iota(c->b, r, i, fe_dims(x)[i], IR_I64);
    double step = (double)(all * (i ? 1 : fe_dims(x)[1]));
    y = fe_add(c->b, y, fe_scale(c->b, o, step));
  }
  for (int i = 0; i < r; i++)
    dims[i] = i < 2 ? fe_dims(x)[i] : p->out[i - 2];
  return y ? fe_expand(c->b, y, r, dims) : NULL;
}

/* arg 1: channels come last. */
bool onnx_max_pool(struct onnx_call *c) {
  struct fe_window p;
  if (c->arg)
    c->in[0] = fe_channels_first(c->b, c->in[0]);
  if (!c->in[0] || !read_pool(c, &p))
    return false;
  struct ir_value *y = fe_pool(c->b, IR_WINDOW_MAX, c->in[0], &p);
  c->out[0] = c->arg ? fe_channels_last(c->b, y) : y;
  if (c->nout > 1)
    c->out[1] = largest_at(c, &p);
  return c->out[0] && (c->nout < 2 || c->out[1]);
}

/* (sum |x|^k)^(1/k) */
bool onnx_lp_pool(struct onnx_call *c) {
  struct fe_window w;
  struct ir_attr k = ir_int("p", ox_int(c, "p", 2));
  if (k.i < 1)
    return ox_fail(c, ATTR, "p is %lld", (long long)k.i);
  if (!read_pool(c, &w))
    return false;
  struct ir_value *x = fe_call(c->b, FE_POWER, IR_ARGS(c->in[0]), &k, 1);
  x = fe_pool(c->b, IR_WINDOW_SUM, x, &w);
  return ox_return(c, fe_call(c->b, FE_ROOT, IR_ARGS(x), &k, 1));
}
