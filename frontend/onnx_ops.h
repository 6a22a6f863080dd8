/* onnx_ops.h - the converters that onnx_ops.def names. */
#ifndef FE_ONNX_OPS_H
#define FE_ONNX_OPS_H

#include "frontend/onnx_import.h"

/* What the rows of reductions hand to their converter. */
enum onnx_reduction {
  REDUCE_SUM,
  REDUCE_MEAN,
  REDUCE_MAX,
  REDUCE_MIN,
  REDUCE_PROD,
  REDUCE_L1,
  REDUCE_L2,
  REDUCE_LOG_SUM,
  REDUCE_LOG_SUM_EXP,
  REDUCE_SUM_SQUARE
};

/* Layouts of a quantized operator's operands. */
enum onnx_qlinear {
  QLINEAR_UNARY,   /* x, its scale and zero; the result's */
  QLINEAR_POOL,    /* so, and the zero is added before rounding */
  QLINEAR_SOFTMAX, /* so, and 1 / scale is whole */
  QLINEAR_WHERE,   /* a condition, two operands; the result's */
  QLINEAR_CONCAT   /* the result's, any number of operands */
};
enum onnx_qfused { QFUSED_EMBED, QFUSED_ATTENTION };

#define ONNX(op, since, until, min, max, outs, name, arg, attrs)               \
  onnx_convert onnx_##name;
#include "frontend/onnx_ops.def"
#undef ONNX

#endif
