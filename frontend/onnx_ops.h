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

#define ONNX(op, since, until, min, max, outs, name, arg, attrs)               \
  onnx_convert onnx_##name;
#include "frontend/onnx_ops.def"
#undef ONNX

#endif
