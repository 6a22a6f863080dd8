/* window.c - see window.h. */
#include "frontend/window.h"

#include <string.h>

int64_t fe_window_reach(const struct fe_window *w, int i) {
  return (w->kernel[i] - 1) * w->dilations[i] + 1;
}

void fe_window_pad_same(struct fe_window *w, int i, int64_t size, bool begin) {
  int64_t n = dn_div_ceil(size, w->strides[i]);
  int64_t total =
      dn_max(0, (n - 1) * w->strides[i] + fe_window_reach(w, i) - size);
  w->pads[i] = begin ? total - total / 2 : total / 2;
  w->pads[w->n + i] = total - w->pads[i];
}

int fe_window_fit(struct fe_window *w, const int64_t *size, bool ceil) {
  memcpy(w->model_pads, w->pads, sizeof w->model_pads);
  for (int i = 0; i < w->n; i++) {
    int64_t reach = fe_window_reach(w, i), stride = w->strides[i];
    int64_t span = size[i] + w->pads[i] + w->pads[w->n + i] - reach;
    if (span < 0)
      return i;
    w->out[i] = span / stride + 1;
    if (!ceil || span % stride == 0)
      continue;
    /* A last, partial window, if it starts inside the input or before it. */
    if (w->out[i] * stride < size[i] + w->pads[i]) {
      w->out[i]++;
      w->pads[w->n + i] =
          (w->out[i] - 1) * stride + reach - size[i] - w->pads[i];
    }
  }
  return -1;
}

struct ir_value *fe_pool(struct fe_build *b, enum ir_opcode code,
                         struct ir_value *x, const struct fe_window *w) {
  int64_t kernel[IR_MAX_RANK], strides[IR_MAX_RANK], dilations[IR_MAX_RANK],
      pads[2 * IR_MAX_RANK] = {0};
  int r = x ? fe_rank(x) : 0;
  for (int d = 0; d < r; d++)
    kernel[d] = strides[d] = dilations[d] = 1;
  for (int i = 0; x && i < w->n; i++) {
    int d = w->first + i;
    kernel[d] = w->kernel[i];
    strides[d] = w->strides[i];
    dilations[d] = w->dilations[i];
    pads[d] = w->pads[i];
    pads[r + d] = w->pads[w->n + i];
  }
  return fe_emit(b, code, IR_ARGS(x),
                 IR_ATTRS(ir_ints("kernel", kernel, r),
                          ir_ints("strides", strides, r),
                          ir_ints("pads", pads, 2 * (int64_t)r),
                          ir_ints("dilations", dilations, r)));
}

/* Elements that window `o` along dim i has inside [lo, hi). */
static int64_t window_count(const struct fe_window *w, int i, int64_t o,
                            int64_t lo, int64_t hi) {
  int64_t first = o * w->strides[i] - w->pads[i], d = w->dilations[i];
  int64_t last = first + (w->kernel[i] - 1) * d;
  int64_t skip = first < lo ? dn_div_ceil(lo - first, d) : 0;
  int64_t over = last >= hi ? dn_div_ceil(last - hi + 1, d) : 0;
  return dn_max(0, w->kernel[i] - skip - over);
}

/* What all windows along dim i have; -1: they differ. [*lo, *hi) is inside. */
static int64_t same_count(const struct ir_value *x, const struct fe_window *w,
                          int i, bool with_pads, int64_t *lo, int64_t *hi) {
  int64_t size = fe_dims(x)[w->first + i], n = w->out[i];
  *lo = with_pads ? -w->model_pads[i] : 0;
  *hi = with_pads ? size + w->model_pads[w->n + i] : size;
  int64_t first = window_count(w, i, 0, *lo, *hi);
  /* The first and the last window are full: so are all between them. */
  bool same = first == window_count(w, i, n - 1, *lo, *hi) &&
              (n == 1 || first == w->kernel[i]);
  return same ? first : -1;
}

struct ir_value *fe_window_count(struct fe_build *b, enum ir_dtype dtype,
                                 const struct ir_value *x,
                                 const struct fe_window *w, int i,
                                 bool with_pads) {
  int64_t lo, hi, n = w->out[i];
  int64_t same = same_count(x, w, i, with_pads, &lo, &hi);
  if (same >= 0)
    return fe_scalar(b, dtype, (double)same);
  if (n > 1 << 20)
    return fe_null(b, DN_LIMIT, "%lld windows along dimension %d", (long long)n,
                   i);
  double *count = DN_ARRAY(b->ctx->arena, double, n);
  for (int64_t o = 0; o < n; o++)
    count[o] = (double)window_count(w, i, o, lo, hi);
  const int64_t *dims = fe_along(b, fe_rank(x), w->first + i, n);
  return fe_floats(b, dtype, fe_rank(x), dims, count);
}

struct ir_value *fe_average_pool(struct fe_build *b, struct ir_value *x,
                                 const struct fe_window *w, bool with_pads) {
  struct ir_value *sum = fe_pool(b, IR_WINDOW_SUM, x, w);
  double all = 1;
  for (int i = 0; i < w->n && sum; i++) {
    int64_t lo, hi, same = same_count(x, w, i, with_pads, &lo, &hi);
    if (same >= 0)
      all *= (double)same;
    else
      sum =
          fe_div(b, sum, fe_window_count(b, fe_dtype(sum), x, w, i, with_pads));
  }
  return all == 1 || !sum ? sum : fe_div(b, sum, fe_number(b, sum, all));
}
