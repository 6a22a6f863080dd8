/* tflite_op_move.c - operators that move elements. */
#include "frontend/tflite.h"

#include <string.h>

/* The shape that the model gives the output. */
bool tflite_reshape(struct tfl_call *c) {
  return tfl_return(
      c, fe_reshape(c->b, c->in[0], c->tout[0]->rank, c->tout[0]->dim));
}

/* Pairs of elements before and behind; `mode` of PADV2 has the value in a third
 * input. */
bool tflite_pad(struct tfl_call *c) {
  struct ir_value *x = c->in[0], *value = tfl_in(c, 2);
  int64_t n, pads[2 * IR_MAX_RANK];
  const int64_t *v;
  int r = fe_rank(x);
  if (!tfl_const_ints(c, 1, &n, &v))
    return false;
  if (n != 2 * r)
    return tfl_fail(c, TYPE, "%lld pads for %d dimensions", (long long)n, r);
  for (int i = 0; i < r; i++) {
    pads[i] = v[2 * i];
    pads[r + i] = v[2 * i + 1];
  }
  if (value && (!value->data || ir_type_count(value->type) != 1))
    return tfl_fail(c, DYNAMIC, "the value is no constant");
  double with = value                         ? ir_const_float(value, 0)
                : tfl_is_quantized(c->tin[0]) ? (double)tfl_zero(c->tin[0])
                                              : 0;
  return tfl_return(c, fe_pad(c->b, x, pads, NULL, with));
}

struct slice {
  int64_t starts[IR_MAX_RANK], sizes[IR_MAX_RANK], steps[IR_MAX_RANK];
};

/* Begin, end and step of a dimension, by the masks' bit `i`. */
static bool slice_dim(struct tfl_call *c, int i, int64_t size, int64_t begin,
                      int64_t end, int64_t step, struct slice *s) {
  int64_t bit = INT64_C(1) << i;
  bool up = step > 0, shrinks = tfl_int(c, "shrink_axis_mask") & bit;
  int64_t lo = up ? 0 : -1, hi = up ? size : size - 1;
  if (step == 0)
    return tfl_fail(c, ATTR, "a step of 0");
  if (tfl_int(c, "offset"))
    end += begin;
  begin += begin < 0 ? size : 0;
  end += end < 0 ? size : 0;
  if (tfl_int(c, "begin_mask") & bit)
    begin = up ? 0 : size - 1;
  if (tfl_int(c, "end_mask") & bit)
    end = up ? size : -1;
  begin = dn_max(lo, dn_min(begin, hi));
  end = shrinks ? begin + (up ? 1 : -1) : dn_max(lo, dn_min(end, hi));
  int64_t span = up ? end - begin : begin - end;
  s->starts[i] = begin;
  s->steps[i] = step;
  s->sizes[i] = dn_max(0, dn_div_ceil(span, up ? step : -step));
  return true;
}

bool tflite_strided_slice(struct tfl_call *c) {
  const int64_t *v[3];
  struct ir_value *x = c->in[0];
  struct slice s;
  int r = fe_rank(x);
  for (size_t k = 0; k < 3; k++) {
    int64_t n;
    if (!tfl_const_ints(c, 1 + k, &n, &v[k]))
      return false;
    if (n != r)
      return tfl_fail(c, UNSUPPORTED_ATTR, "%lld indices for %d dimensions",
                      (long long)n, r);
  }
  if (tfl_int(c, "ellipsis_mask") || tfl_int(c, "new_axis_mask"))
    return tfl_fail(c, UNSUPPORTED_ATTR, "an ellipsis or a new axis");
  for (int i = 0; i < r; i++)
    if (!slice_dim(c, i, fe_dims(x)[i], v[0][i], v[1][i], v[2][i], &s))
      return false;
  x = fe_slice(c->b, x, s.starts, s.sizes, s.steps);
  return tfl_return(c, fe_reshape(c->b, x, c->tout[0]->rank, c->tout[0]->dim));
}
