/* onnx_op_pool.c - pooling: windows over the spatial dims, in the layout that
 * the model has. */
#include <math.h>
#include <string.h>

#include "frontend/onnx_ops.h"
#include "frontend/onnx_window.h"

/* The window of a pooling node, and its lists with entries for N and C. */
struct pool {
  int rank;
  struct ox_window win;
  int64_t kernel[IR_MAX_RANK], strides[IR_MAX_RANK], dilations[IR_MAX_RANK];
  int64_t pads[2 * IR_MAX_RANK];
};

static bool read_pool(struct onnx_call *c, struct pool *p) {
  const struct ir_value *x = c->in[0];
  struct ox_ints kernel = ox_ints(c, "kernel_shape");
  *p = (struct pool){.rank = fe_rank(x)};
  int r = p->rank, s = r - 2;
  if (s < 1 || kernel.n != s)
    return fe_fail(c->b, DN_ATTR,
                   "kernel_shape has %lld elements for an input of rank %d",
                   (long long)kernel.n, r);
  if (!ox_window_read(c, s, fe_dims(x) + 2, kernel.v, &p->win))
    return false;
  for (int i = 0; i < r; i++) {
    p->kernel[i] = i < 2 ? 1 : p->win.kernel[i - 2];
    p->strides[i] = i < 2 ? 1 : p->win.strides[i - 2];
    p->dilations[i] = i < 2 ? 1 : p->win.dilations[i - 2];
    p->pads[i] = i < 2 ? 0 : p->win.pads[i - 2];
    p->pads[r + i] = i < 2 ? 0 : p->win.pads[s + i - 2];
  }
  return true;
}

static struct ir_value *emit_window(struct onnx_call *c, enum ir_opcode code,
                                    struct ir_value *x, const struct pool *p) {
  int r = p->rank;
  struct ir_attr attrs[4] = {ir_ints("kernel", p->kernel, r)};
  size_t n = 1;
  bool strided = false, padded = false, dilated = false;
  for (int i = 0; i < r; i++) {
    strided = strided || p->strides[i] != 1;
    padded = padded || p->pads[i] || p->pads[r + i];
    dilated = dilated || p->dilations[i] != 1;
  }
  if (strided)
    attrs[n++] = ir_ints("strides", p->strides, r);
  if (padded)
    attrs[n++] = ir_ints("pads", p->pads, 2 * r);
  if (dilated)
    attrs[n++] = ir_ints("dilations", p->dilations, r);
  return fe_emit(c->b, code, IR_ARGS(x), attrs, n);
}

/* Elements that window `o` along spatial dim `i` has inside [lo, hi). */
static int64_t window_count(const struct ox_window *w, int i, int64_t o,
                            int64_t lo, int64_t hi) {
  int64_t first = o * w->strides[i] - w->pads[i], d = w->dilations[i];
  int64_t last = first + (w->kernel[i] - 1) * d;
  int64_t skip = first < lo ? dn_div_ceil(lo - first, d) : 0;
  int64_t over = last >= hi ? dn_div_ceil(last - hi + 1, d) : 0;
  return dn_max(0, w->kernel[i] - skip - over);
}

/* Sum over a window divided by its elements. The count is a product over the
 * dims, and differs at the edges only: a number where it does not, a vector
 * along its dim where it does. */
static struct ir_value *divide(struct onnx_call *c, struct ir_value *sum,
                               const struct pool *p, bool with_pads) {
  int r = p->rank, s = r - 2;
  double all = 1;
  for (int i = 0; i < s && sum; i++) {
    int64_t size = fe_dims(c->in[0])[2 + i], n = p->win.out[i];
    int64_t lo = with_pads ? -p->win.asked[i] : 0;
    int64_t hi = with_pads ? size + p->win.asked[s + i] : size;
    int64_t first = window_count(&p->win, i, 0, lo, hi);
    /* The first and the last window are full: so are all between them. */
    if (first == window_count(&p->win, i, n - 1, lo, hi) &&
        (n == 1 || first == p->win.kernel[i])) {
      all *= (double)first;
      continue;
    }
    if (n > 1 << 20) {
      fe_fail(c->b, DN_LIMIT, "%lld windows along dimension %d", (long long)n,
              i);
      return NULL;
    }
    double *count = DN_ARRAY(c->im->ctx->arena, double, n);
    for (int64_t o = 0; o < n; o++)
      count[o] = (double)window_count(&p->win, i, o, lo, hi);
    int64_t dims[IR_MAX_RANK];
    for (int k = 0; k < r; k++)
      dims[k] = k == 2 + i ? n : 1;
    sum = fe_div(c->b, sum, fe_floats(c->b, fe_dtype(sum), r, dims, count));
  }
  return all == 1 ? sum : fe_div(c->b, sum, fe_number(c->b, sum, all));
}

bool onnx_average_pool(struct onnx_call *c) {
  struct pool p;
  bool with_pads;
  if (!read_pool(c, &p) || !ox_flag(c, "count_include_pad", false, &with_pads))
    return false;
  struct ir_value *sum = emit_window(c, IR_WINDOW_SUM, c->in[0], &p);
  return ox_return(c, divide(c, sum, &p, with_pads));
}

/* ---- Where the largest is ---- */

/* Largest elements so far, and where they are in the input, less what follows
 * from the index of the result alone. */
struct largest {
  struct ir_value *v, *at;
};

/* A constant along one dimension of the result. */
static struct ir_value *along_dim(struct onnx_call *c, enum ir_dtype t, int r,
                                  int dim, int64_t n, const int64_t *v) {
  int64_t dims[IR_MAX_RANK];
  for (int i = 0; i < r; i++)
    dims[i] = i == dim ? n : 1;
  return fe_ints(c->b, t, r, dims, v);
}

/* Windows along spatial dimension i: tap by tap, a later one counts when it is
 * larger, or the first that is inside. `far`: steps in memory of one index,
 * counted in type t. */
static bool largest_along(struct onnx_call *c, const struct pool *p, int i,
                          int64_t far, enum ir_dtype t, struct largest *m) {
  int r = p->rank, s = r - 2, dim = i + 2;
  const struct ox_window *w = &p->win;
  int64_t pads[2 * IR_MAX_RANK] = {0}, n = w->out[i];
  pads[dim] = w->pads[i];
  pads[r + dim] = w->pads[s + i];
  struct largest in = {fe_pad(c->b, m->v, pads, NULL, -HUGE_VAL),
                       m->at ? fe_pad(c->b, m->at, pads, NULL, 0) : NULL};
  int64_t *first = DN_ARRAY(c->im->ctx->arena, int64_t, n);
  if (w->kernel[i] > 4096)
    return fe_fail(c->b, DN_LIMIT, "indices of a window of %lld",
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
      take = fe_op2(c->b, IR_OR, take, along_dim(c, IR_BOOL, r, dim, n, first));
    m->v = fe_select(c->b, take, v, m->v);
    m->at = fe_select(c->b, take, at, m->at);
  }
  return m->at != NULL;
}

/* The second result: where in the input each largest element is, as a position
 * in row-major order, or with the spatial dimensions the other way round. */
static struct ir_value *largest_at(struct onnx_call *c, const struct pool *p) {
  struct ir_value *x = c->in[0], *y;
  struct largest m = {x, NULL};
  bool columns;
  int r = p->rank, s = r - 2;
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
    if (p->win.kernel[i] * p->win.dilations[i] >
        INT32_MAX / s / dn_max(far[i], 1))
      t = IR_I64;
  for (int i = s; i-- > 0;)
    if (!largest_along(c, p, i, far[i], t, &m))
      return NULL;
  y = fe_cast(c->b, m.at, IR_I64);
  for (int i = 0; i < s; i++) { /* where the window starts */
    struct ir_value *o = fe_iota(c->b, r, i + 2, p->win.out[i], IR_I64);
    o = fe_offset(c->b, fe_scale(c->b, o, (double)p->win.strides[i]),
                  (double)-p->win.pads[i]);
    y = fe_add(c->b, y, fe_scale(c->b, o, (double)far[i]));
  }
  for (int i = 0; i < 2; i++) { /* and the image */
    struct ir_value *o = fe_iota(c->b, r, i, fe_dims(x)[i], IR_I64);
    double step = (double)(all * (i ? 1 : fe_dims(x)[1]));
    y = fe_add(c->b, y, fe_scale(c->b, o, step));
  }
  for (int i = 0; i < r; i++)
    dims[i] = i < 2 ? fe_dims(x)[i] : p->win.out[i - 2];
  return y ? fe_expand(c->b, y, r, dims) : NULL;
}

/* arg 1: channels come last. */
bool onnx_max_pool(struct onnx_call *c) {
  struct pool p;
  if (c->arg)
    c->in[0] = fe_channels_first(c->b, c->in[0]);
  if (!c->in[0] || !read_pool(c, &p))
    return false;
  struct ir_value *y = emit_window(c, IR_WINDOW_MAX, c->in[0], &p);
  c->out[0] = c->arg ? fe_channels_last(c->b, y) : y;
  if (c->nout > 1)
    c->out[1] = largest_at(c, &p);
  return c->out[0] && (c->nout < 2 || c->out[1]);
}

/* Elements at positions that a MaxPool gave, zeros elsewhere: of the result of
 * the pool's own shape, put into the corner of a larger one. */
bool onnx_max_unpool(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *at = c->in[1];
  struct ox_ints kernel = ox_ints(c, "kernel_shape"), pads = ox_ints(c, "pads"),
                 strides = ox_ints(c, "strides"), shape;
  int r = fe_rank(x), s = r - 2;
  int64_t dims[IR_MAX_RANK], more[2 * IR_MAX_RANK] = {0}, total = 1;
  if (!ox_const_ints(c, 2, &shape))
    return false;
  if (s < 1 || kernel.n != s || (pads.given && pads.n != 2 * s) ||
      (strides.given && strides.n != s) || (shape.given && shape.n != r) ||
      ir_type_count(at->type) != ir_type_count(x->type))
    return fe_fail(c->b, DN_ATTR, "attributes do not fit an input of rank %d",
                   r);
  for (int i = 0; i < r; i++) {
    dims[i] = fe_dims(x)[i];
    if (i >= 2 && dims[i])
      dims[i] = (dims[i] - 1) * (strides.given ? strides.v[i - 2] : 1) +
                kernel.v[i - 2] -
                (pads.given ? pads.v[i - 2] + pads.v[s + i - 2] : 0);
    if (dims[i] < 0 || !dn_mul(total, dims[i], &total) || total > 1 << 30 ||
        (shape.given && shape.v[i] < dims[i]))
      return fe_fail(c->b, DN_SHAPE, "dimension %d of the result", i);
    more[r + i] = shape.given ? shape.v[i] - dims[i] : 0;
  }
  int64_t n = ir_type_count(x->type);
  struct ir_value *y = fe_expand(c->b, fe_number(c->b, x, 0), 1, &total);
  if (n && total)
    y = fe_emit(
        c->b, IR_SCATTER,
        IR_ARGS(y, fe_reshape(c->b, at, 1, &n), fe_reshape(c->b, x, 1, &n)),
        NULL, 0);
  return ox_return(c,
                   fe_pad(c->b, fe_reshape(c->b, y, r, dims), more, NULL, 0));
}

/* (sum |x|^k)^(1/k) */
static struct ir_value *power(struct onnx_call *c, struct ir_value *x,
                              double k) {
  if (k == 1)
    return fe_op1(c->b, IR_ABS, x);
  if (k == 2)
    return fe_mul(c->b, x, x);
  return fe_op2(c->b, IR_POW, fe_op1(c->b, IR_ABS, x), fe_number(c->b, x, k));
}

static struct ir_value *root(struct onnx_call *c, struct ir_value *x,
                             double k) {
  if (k == 1)
    return x;
  return k == 2 ? fe_op1(c->b, IR_SQRT, x)
                : fe_op2(c->b, IR_POW, x, fe_number(c->b, x, 1 / k));
}

bool onnx_lp_pool(struct onnx_call *c) {
  struct pool p;
  int64_t k = ox_int(c, "p", 2);
  if (k < 1)
    return fe_fail(c->b, DN_ATTR, "p is %lld", (long long)k);
  if (!read_pool(c, &p))
    return false;
  struct ir_value *x = power(c, c->in[0], (double)k);
  x = emit_window(c, IR_WINDOW_SUM, x, &p);
  return ox_return(c, root(c, x, (double)k));
}

bool onnx_global_pool(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  if (fe_rank(x) < 3)
    return fe_fail(c->b, DN_TYPE, "the input has no spatial dimensions");
  bool axes[IR_MAX_RANK] = {0};
  for (int i = 2; i < fe_rank(x); i++)
    axes[i] = true;
  if (c->arg == 0)
    return ox_return(c, fe_mean(c->b, x, axes));
  if (c->arg == 1)
    return ox_return(c, fe_reduce(c->b, IR_REDUCE_MAX, x, axes));
  int64_t k = ox_int(c, "p", 2);
  if (k < 1)
    return fe_fail(c->b, DN_ATTR, "p is %lld", (long long)k);
  x = fe_reduce(c->b, IR_REDUCE_SUM, power(c, x, (double)k), axes);
  return ox_return(c, root(c, x, (double)k));
}
