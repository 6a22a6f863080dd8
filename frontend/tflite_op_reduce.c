/* tflite_op_reduce.c - reductions over axes, and indices of extremes. */
#include "frontend/tflite.h"

#include <string.h>

static bool read_axes(struct tfl_call *c, bool *axes) {
  int64_t n, axis;
  const int64_t *v;
  int r = fe_rank(c->in[0]);
  if (!tfl_const_ints(c, 1, &n, &v))
    return false;
  for (int64_t i = 0; i < n; i++) {
    if (!fe_axis(c->b, v[i], r, &axis))
      return false;
    axes[axis] = true;
  }
  return true;
}

/* Sums of integers, or means: the factor takes up what is left of 1 / count. */
static struct ir_value *quantized_sum(struct tfl_call *c, const bool *axes,
                                      bool mean) {
  struct ir_value *x = c->in[0];
  int64_t n = 1;
  for (int i = 0; i < fe_rank(x); i++)
    n *= axes[i] ? fe_dims(x)[i] : 1;
  struct ir_factor f = ir_factor(tfl_scale(c->tin[0]) / tfl_scale(c->tout[0]));
  int shift = n > 0 ? 63 - __builtin_clzll((uint64_t)n) : 0;
  shift = (int)dn_min(dn_min(shift, 32), 31 + f.shift);
  if (mean && n > 0 && shift >= 0) {
    f.m = (f.m << shift) / n;
    f.shift -= shift;
  }
  x = fe_reduce(c->b, IR_REDUCE_SUM, fe_cast(c->b, x, IR_I32), axes);
  x = x ? fe_offset(c->b, x, -(double)(tfl_zero(c->tin[0]) * n)) : NULL;
  return tfl_narrow(c, tfl_rescale1(c, x, f), 0);
}

bool tflite_reduce(struct tfl_call *c) {
  bool axes[IR_MAX_RANK] = {0};
  struct ir_value *x = c->in[0], *y;
  bool sums = c->arg == IR_REDUCE_SUM || c->arg == IR_DIV;
  if (!read_axes(c, axes))
    return false;
  bool small = ir_is_int(fe_dtype(x)) && ir_dtypes[fe_dtype(x)].bits < 32;
  if (sums && small) {
    if (!tfl_quantized(c, c->tin[0]) || !tfl_quantized(c, c->tout[0]))
      return false;
    y = quantized_sum(c, axes, c->arg == IR_DIV);
  } else if (!sums && !tfl_same_scale(c, 0)) {
    return false;
  } else if (tfl_is_quantized(c->tout[0]) && c->arg == IR_REDUCE_PROD) {
    return tfl_fail(c, UNSUPPORTED_TYPE, "products of quantized numbers");
  } else if (fe_dtype(x) == IR_BOOL) {
    y = fe_reduce(c->b, (enum ir_opcode)c->arg, fe_cast(c->b, x, IR_U8), axes);
    y = fe_cast(c->b, y, IR_BOOL);
  } else if (c->arg == IR_DIV) {
    y = fe_mean(c->b, x, axes);
  } else {
    y = fe_reduce(c->b, (enum ir_opcode)c->arg, x, axes);
  }
  return tfl_return(c, fe_reshape(c->b, y, c->tout[0]->rank, c->tout[0]->dim));
}

bool tflite_arg_extreme(struct tfl_call *c) {
  bool axes[IR_MAX_RANK] = {0};
  if (!read_axes(c, axes))
    return false;
  struct ir_value *y = fe_reduce(c->b, (enum ir_opcode)c->arg, c->in[0], axes);
  y = fe_cast(c->b, y, c->tout[0]->dtype);
  return tfl_return(c, fe_reshape(c->b, y, c->tout[0]->rank, c->tout[0]->dim));
}

/* ---- Boxes that are detected ---- */

/* Boxes [1,n,4..], scores [1,n,classes..] and anchors [n,4]; false after a
 * diagnostic. */
static bool check_detection(struct tfl_call *c, int64_t classes) {
  for (size_t k = 0; k < 3; k++) {
    if (!tfl_rank(c, k, 3 - (k == 2), 3 - (k == 2)))
      return false;
    if (tfl_is_quantized(c->tin[k]))
      c->in[k] = tfl_dequantized(c, c->in[k], c->tin[k], IR_F32);
    if (!c->in[k] || fe_dtype(c->in[k]) != IR_F32)
      return tfl_fail(c, UNSUPPORTED_TYPE, "input %zu is no float", k);
  }
  const int64_t *box = fe_dims(c->in[0]), *score = fe_dims(c->in[1]);
  const int64_t *anchor = fe_dims(c->in[2]);
  bool fits = box[0] == 1 && score[0] == 1 && box[1] > 0 && box[2] >= 4 &&
              score[1] == box[1] && anchor[0] == box[1] && anchor[1] == 4 &&
              classes > 0 && (score[2] == classes || score[2] == classes + 1);
  return (fits && c->nout == 4) || tfl_fail(c, TYPE, "the operands do not fit");
}

bool tflite_detection(struct tfl_call *c) {
  static const char *const names[] = {"y_scale", "x_scale", "h_scale",
                                      "w_scale"};
  int64_t classes = tfl_int(c, "num_classes");
  int64_t most = tfl_int(c, "max_detections"), four = 4, each, picks, steps;
  int64_t room = tfl_int(c, "max_classes_per_detection");
  double low = tfl_float(c, "nms_score_threshold"), scale[4];
  double limit = tfl_float(c, "nms_iou_threshold");
  bool regular = tfl_int(c, "use_regular_nms") != 0;
  if (!check_detection(c, classes))
    return false;
  each = tfl_has(c, "detections_per_class") ? tfl_int(c, "detections_per_class")
                                            : 100;
  picks = dn_min(room, classes);
  steps = dn_min(regular ? each : most, fe_dims(c->in[0])[1]);
  for (int i = 0; i < 4; i++)
    scale[i] = tfl_float(c, names[i]);
  if (most < 1 || most > 1 << 16 || room > 1 << 12 || steps < 1 || picks < 1 ||
      !(limit > 0) || limit > 1 ||
      !(scale[0] * scale[1] * scale[2] * scale[3] > 0))
    return tfl_fail(c, ATTR, "options out of their range");
  struct ir_value *in[] = {c->in[0],
                           c->in[1],
                           c->in[2],
                           fe_floats(c->b, IR_F32, 1, &four, scale),
                           fe_floats(c->b, IR_F32, 0, NULL, &limit),
                           NULL};
  if (!fe_decompose(c->b, FE_DETECTION, in, 6,
                    IR_ATTRS(ir_int("classes", classes), ir_int("most", most),
                             ir_int("room", room * most),
                             ir_int("picks", regular ? 1 : picks),
                             ir_int("steps", steps), ir_float("low", low),
                             ir_int("regular", regular)),
                    c->out, 4))
    return false;
  for (size_t k = 0; k < 4; k++)
    if (!c->tout[k]->rank) { /* a size that depends on options is left out */
      c->tout[k]->rank = fe_rank(c->out[k]);
      memcpy(c->tout[k]->dim, fe_dims(c->out[k]),
             (size_t)fe_rank(c->out[k]) * sizeof *c->tout[k]->dim);
    }
  return true;
}
