/* onnx_ops.h - the converters that onnx_ops.def names. */
#ifndef FE_ONNX_OPS_H
#define FE_ONNX_OPS_H

#include "frontend/decompose.h"
#include "frontend/onnx_import.h"

/* Layouts of a quantized operator's operands. */
enum onnx_qlinear {
  QLINEAR_UNARY,   /* x, its scale and zero; the result's */
  QLINEAR_POOL,    /* so, and the zero is added before rounding */
  QLINEAR_SOFTMAX, /* so, and 1 / scale is whole */
  QLINEAR_WHERE,   /* a condition, two operands; the result's */
  QLINEAR_CONCAT   /* the result's, any number of operands */
};
enum onnx_qfused { QFUSED_EMBED, QFUSED_ATTENTION };
enum { RNN_GATES = 1, GRU_GATES = 3, LSTM_GATES = 4, RNN_QUANTIZED = 8 };

/* An attribute of the node as one of ours; kind d, an element type by ONNX's
 * number, becomes its name. */
bool ox_ir_attr(struct onnx_call *c, const struct onnx_attr *a,
                const char *name, struct ir_attr *out);

/* The node's attributes that a row of decompose.def has: *n of them. */
bool ox_row_attrs(struct onnx_call *c, enum fe_decomposition row,
                  struct ir_attr *attrs, size_t *n);

/* Quantized weights: [k, n], a scale and a zero point (or NULL) of all or of
 * each column. */
struct ox_weights {
  struct ir_value *v, *scale, *zero;
};
/* x as DynamicQuantizeLinear makes it, times them, in floats; NULL after a
 * diagnostic. */
struct ir_value *ox_dynamic_product(struct onnx_call *c, struct ir_value *x,
                                    const struct ox_weights *w);

/* An activation that an attribute names (onnx_activation.c): for recurrent
 * operators, or for what ONNX Runtime fuses. */
enum { OX_RECURRENT = 1, OX_FUSED = 2 };
struct ox_activation {
  const char *name, *op; /* of ops.def or decompose.def */
  const char *param[2];
  double otherwise[2];
  unsigned used;
};
const struct ox_activation *ox_activation_find(const char *name, unsigned used);
/* The activation as a call for decompose.def, with its parameters; with `clip`
 * > 0 its operand is clamped to [-clip, clip]. */
const char *ox_activation_text(struct dn_ctx *ctx,
                               const struct ox_activation *a, const double v[2],
                               double clip);

#define ONNX(op, since, until, min, max, outs, name, arg, takes, attrs)        \
  onnx_convert onnx_##name;
#include "frontend/onnx_ops.def"
#undef ONNX

#endif
