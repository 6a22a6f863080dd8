/* onnx_op_norm.c - batch normalization, of inference or of training; the other
 * normalizations are rows of decompose.def alone. */
#include "frontend/onnx_ops.h"

bool onnx_batch_norm(struct onnx_call *c) {
  bool training;
  if (!ox_flag(c, "training_mode", false, &training))
    return false;
  c->arg = training ? FE_BATCH_NORM_TRAIN : FE_BATCH_NORM;
  return onnx_decompose(c);
}
