/* onnx_window.c - attributes of sliding windows. See onnx_window.h. */
#include "frontend/onnx_window.h"

#include <string.h>

#define BIG (INT64_C(1) << 30) /* products of two stay far from overflow */

/* A list attribute of n numbers in [lo, BIG), or `otherwise`. */
static bool window_list(struct onnx_call *c, const char *name, int n,
                        int64_t lo, int64_t otherwise, int64_t *out) {
  struct ox_ints list = ox_ints(c, name);
  if (list.given && list.n != n)
    return ox_fail(c, ATTR, "%s has %lld elements, not %d", name,
                   (long long)list.n, n);
  for (int i = 0; i < n; i++) {
    out[i] = list.given ? list.v[i] : otherwise;
    if (out[i] < lo || out[i] >= BIG)
      return ox_fail(c, ATTR, "%s holds %lld", name, (long long)out[i]);
  }
  return true;
}

enum auto_pad { PAD_GIVEN, PAD_SAME_UPPER, PAD_SAME_LOWER, PAD_VALID };

static bool read_auto_pad(struct onnx_call *c, enum auto_pad *out) {
  static const char *const names[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER",
                                      "VALID"};
  const char *text = ox_str(c, "auto_pad", "NOTSET");
  int row = DN_FIND(names, text);
  *out = (enum auto_pad)row;
  return row >= 0 ||
         ox_fail(c, ATTR, "unknown auto_pad '%s'", ox_text(c, text));
}

static bool read_common(struct onnx_call *c, int s, const int64_t *size,
                        const int64_t *kernel, struct fe_window *w,
                        enum auto_pad *how) {
  *w = (struct fe_window){.n = s, .first = 2};
  for (int i = 0; i < s; i++) {
    if (size[i] >= BIG)
      return ox_fail(c, LIMIT, "a spatial dimension of %lld, over 2^31",
                     (long long)size[i]);
    w->kernel[i] = kernel[i];
    if (kernel[i] < 1 || kernel[i] >= BIG)
      return ox_fail(c, ATTR, "a window of size %lld", (long long)kernel[i]);
  }
  if (!read_auto_pad(c, how) ||
      !window_list(c, "strides", s, 1, 1, w->strides) ||
      !window_list(c, "dilations", s, 1, 1, w->dilations) ||
      !window_list(c, "pads", 2 * s, -BIG, 0, w->pads))
    return false;
  if (*how == PAD_VALID)
    memset(w->pads, 0, sizeof w->pads);
  return true;
}

bool ox_window_read(struct onnx_call *c, int s, const int64_t *size,
                    const int64_t *kernel, struct fe_window *w) {
  enum auto_pad how;
  bool ceil;
  if (!read_common(c, s, size, kernel, w, &how) ||
      !ox_flag(c, "ceil_mode", false, &ceil))
    return false;
  for (int i = 0; i < s; i++)
    if (how == PAD_SAME_UPPER || how == PAD_SAME_LOWER)
      fe_window_pad_same(w, i, size[i], how == PAD_SAME_LOWER);
  int bad = fe_window_fit(w, size, ceil);
  /* With ceil_mode the pads that the last window needs depend on the size: as many
   * as any size needs, where it has a bound. */
  for (int i = 0; i < s && ceil && c->b->choices && bad < 0; i++) {
    int64_t end = w->model_pads[s + i] + w->strides[i] - 1;
    int64_t span = size[i] + w->pads[i] + end - fe_window_reach(w, i);
    if (span / w->strides[i] + 1 == w->out[i])
      w->pads[s + i] = end;
  }
  return bad < 0 ||
         ox_fail(c, TYPE, "the window, %lld, is larger than the padded input",
                 (long long)fe_window_reach(w, bad));
}

bool ox_window_read_transposed(struct onnx_call *c, int s, const int64_t *size,
                               const int64_t *kernel, struct fe_window *w) {
  enum auto_pad how;
  int64_t shape[IR_MAX_RANK];
  if (!read_common(c, s, size, kernel, w, &how) ||
      !window_list(c, "output_padding", s, 0, 0, w->extra) ||
      !window_list(c, "output_shape", s, 1, 1, shape))
    return false;
  bool shaped = ox_attr(c, "output_shape") != NULL;
  bool same = how == PAD_SAME_UPPER || how == PAD_SAME_LOWER;
  for (int i = 0; i < s; i++) {
    int64_t reach = fe_window_reach(w, i);
    int64_t full = (size[i] - 1) * w->strides[i] + reach + w->extra[i];
    if (shaped || same) {
      int64_t want = shaped ? shape[i] : size[i] * w->strides[i];
      int64_t total = full - want;
      if (total < 0) { /* more than there is: zeros at the end */
        w->extra[i] -= total;
        total = 0;
      }
      int64_t less = total / 2;
      bool upper = how == PAD_SAME_UPPER;
      w->pads[i] = upper ? less : total - less;
      w->pads[s + i] = upper ? total - less : less;
    }
    if (full - w->pads[i] - w->pads[s + i] < 1 && !shaped)
      return ox_fail(c, TYPE, "nothing is left of dimension %d", i);
  }
  return true;
}
