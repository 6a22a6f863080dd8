/* onnx_op_train.c - one step of the optimizers of training. */
#include "frontend/onnx_ops.h"

/* Inputs are the rate, the step's number and, of each kind, n tensors; the row
 * of decompose.def has one of each kind. So do outputs, gradients aside. */
bool onnx_optimizer(struct onnx_call *c) {
  enum fe_decomposition row = (enum fe_decomposition)c->arg;
  size_t kinds = row == FE_ADAM ? 4 : 3, n = (c->nin - 2) / kinds, nattrs;
  struct ir_attr attrs[FE_MAX_ATTRS];
  if (c->nin != 2 + n * kinds || c->nout != n * (kinds - 1))
    return ox_fail(c, ARITY, "%zu inputs and %zu outputs do not fit", c->nin,
                   c->nout);
  if (!ox_row_attrs(c, row, attrs, &nattrs))
    return false;
  for (size_t i = 0; i < n; i++) {
    struct ir_value *args[6] = {c->in[0], c->in[1]}, *out[3] = {0};
    for (size_t k = 0; k < kinds; k++)
      args[2 + k] = c->in[2 + k * n + i];
    if (!fe_decompose(c->b, row, args, 2 + kinds, attrs, nattrs, out,
                      kinds - 1))
      return false;
    for (size_t k = 0; k + 1 < kinds; k++)
      c->out[k * n + i] = out[k];
  }
  return true;
}
