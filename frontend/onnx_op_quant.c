/* onnx_op_quant.c - quantized operators as the arithmetic that the ONNX
 * specification gives for them: integers in i32, scales in floats, rounding to
 * even, saturation by the cast. */
#include <string.h>

#include "frontend/onnx_ops.h"
#include "frontend/onnx_window.h"

static struct ir_value *given(const struct onnx_call *c, size_t k) {
  return k < c->nin ? c->in[k] : NULL;
}

/* [n] as [1.., n, 1..] with n at `axis` of `rank`; one number as a scalar. */
static struct ir_value *along(struct onnx_call *c, struct ir_value *v,
                              int64_t axis, int64_t rank) {
  if (!v)
    return NULL;
  if (ir_type_count(v->type) == 1)
    return ox_reshape(c, v, 0, NULL);
  if (ox_rank(v) != 1)
    return v;
  return ox_unsqueeze(c, v, 0, rank - 1 - axis);
}

/* Repeats each entry along `axis` `block` times, up to the size `full`. */
static struct ir_value *unblock(struct onnx_call *c, struct ir_value *v,
                                int64_t axis, int64_t block, int64_t full) {
  if (!v)
    return NULL;
  int r = ox_rank(v);
  int64_t dims[IR_MAX_RANK + 1];
  if (r == IR_MAX_RANK || ox_dims(v)[axis] != dn_div_ceil(full, block)) {
    ox_fail(c, DN_TYPE, "%lld blocks of %lld for %lld elements",
            (long long)ox_dims(v)[axis], (long long)block, (long long)full);
    return NULL;
  }
  for (int i = 0; i <= r; i++)
    dims[i] = i <= axis ? ox_dims(v)[i] : i == axis + 1 ? 1 : ox_dims(v)[i - 1];
  struct ir_value *y = ox_reshape(c, v, r + 1, dims);
  dims[axis + 1] = block;
  y = ox_expand(c, y, r + 1, dims);
  for (int i = 0; i < r; i++)
    dims[i] = ox_dims(v)[i] * (i == axis ? block : 1);
  return ox_slice1(c, ox_reshape(c, y, r, dims), axis, 0, full, 1);
}

/* Scale or zero point in a shape that broadcasts with x. */
static struct ir_value *parameter(struct onnx_call *c, struct ir_value *v,
                                  const struct ir_value *x, int64_t axis) {
  int64_t block = ox_int(c, "block_size", 0);
  if (v && block > 0 && ox_rank(v) == ox_rank(x) && ox_rank(x) > 0)
    return unblock(c, v, axis, block, ox_dims(x)[axis]);
  return along(c, v, axis, ox_rank(x));
}

/* The axis of per-axis parameters: it matters only when there are some. */
static bool quant_axis(struct onnx_call *c, int64_t *axis) {
  *axis = 0;
  if (ox_rank(c->in[1]) == 0)
    return true;
  int64_t r = ox_rank(c->in[0]), given_axis = ox_int(c, "axis", 1);
  if (ir_type_count(c->in[1]->type) == 1 && given_axis >= r)
    return true;
  return ox_axis(c, given_axis, r, axis);
}

/* (x - zero) * scale, in the type of the scale. */
static struct ir_value *dequantize(struct onnx_call *c, struct ir_value *x,
                                   struct ir_value *scale,
                                   struct ir_value *zero) {
  if (!scale)
    return NULL;
  enum ir_dtype t = ox_dtype(scale);
  x = ox_cast(c, x, t);
  if (zero)
    x = ox_op2(c, IR_SUB, x, ox_cast(c, zero, t));
  return ox_op2(c, IR_MUL, x, scale);
}

/* saturate(round(x / scale) + zero) */
static struct ir_value *quantize(struct onnx_call *c, struct ir_value *x,
                                 struct ir_value *scale, struct ir_value *zero,
                                 enum ir_dtype to) {
  if (!x || !scale)
    return NULL;
  enum ir_dtype t = ox_dtype(scale);
  x = ox_op1(c, IR_ROUND, ox_op2(c, IR_DIV, ox_cast(c, x, t), scale));
  if (zero)
    x = ox_op2(c, IR_ADD, x, ox_cast(c, zero, t));
  return ox_cast(c, x, to);
}

bool onnx_dequantize(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  int64_t axis;
  if (!quant_axis(c, &axis))
    return false;
  struct ir_value *y = dequantize(c, x, parameter(c, c->in[1], x, axis),
                                  parameter(c, given(c, 2), x, axis));
  enum ir_dtype to;
  const struct onnx_attr *a = ox_attr(c, "output_dtype");
  if (a && a->i && onnx_dtype_find(a->i, &to))
    y = ox_cast(c, y, to);
  return ox_return(c, y);
}

bool onnx_quantize(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *zero = given(c, 2);
  enum ir_dtype to = zero ? ox_dtype(zero) : IR_U8;
  int64_t axis, type = ox_int(c, "output_dtype", 0);
  if (!zero && type && !onnx_dtype_find(type, &to))
    return ox_fail(c, DN_UNSUPPORTED_TYPE, "element type %s (%lld)",
                   onnx_dtype_name(type), (long long)type);
  if (!quant_axis(c, &axis))
    return false;
  struct ir_value *scale = parameter(c, c->in[1], x, axis);
  /* The division is made in the type of x, or of `precision`. */
  if (scale && ir_is_float(ox_dtype(x)))
    scale = ox_cast(c, scale, ox_dtype(x));
  return ox_return(c, quantize(c, x, scale, parameter(c, zero, x, axis), to));
}

bool onnx_dynamic_quantize(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  bool all[IR_MAX_RANK];
  for (int i = 0; i < IR_MAX_RANK; i++)
    all[i] = true;
  struct ir_value *none = ox_number(c, x, 0);
  struct ir_value *lo = ox_squeeze(c, ox_reduce(c, IR_REDUCE_MIN, x, all), all);
  struct ir_value *hi = ox_squeeze(c, ox_reduce(c, IR_REDUCE_MAX, x, all), all);
  lo = ox_op2(c, IR_MIN, lo, none);
  hi = ox_op2(c, IR_MAX, hi, none);
  struct ir_value *scale =
      ox_op2(c, IR_DIV, ox_op2(c, IR_SUB, hi, lo), ox_number(c, x, 255));
  struct ir_value *zero = ox_op2(c, IR_DIV, ox_op1(c, IR_NEG, lo), scale);
  zero = ox_cast(c, ox_op1(c, IR_ROUND, zero), IR_U8);
  struct ir_value *outs[] = {quantize(c, x, scale, zero, IR_U8), scale, zero};
  for (size_t i = 0; i < c->nout; i++)
    c->out[i] = outs[i];
  return outs[0] != NULL;
}

/* x - zero as i32; a zero point per row or column is put at `axis`. */
static struct ir_value *centred(struct onnx_call *c, struct ir_value *x,
                                struct ir_value *zero, int64_t axis) {
  struct ir_value *y = ox_cast(c, x, IR_I32);
  if (!zero)
    return y;
  zero = ox_cast(c, along(c, zero, axis, ox_rank(x)), IR_I32);
  return ox_op2(c, IR_SUB, y, zero);
}

bool onnx_matmul_integer(struct onnx_call *c) {
  struct ir_value *a = c->in[0], *b = c->in[1];
  if (!ox_rank(a) || !ox_rank(b))
    return ox_fail(c, DN_TYPE, "operands must not be scalars");
  a = centred(c, a, given(c, 2), dn_max(ox_rank(a) - 2, 0));
  b = centred(c, b, given(c, 3), ox_rank(b) - 1);
  return ox_return(c, ox_matmul(c, a, b));
}

bool onnx_conv_integer(struct onnx_call *c) {
  struct ir_value *x = centred(c, c->in[0], given(c, 2), 0);
  struct ir_value *w = centred(c, c->in[1], given(c, 3), 0);
  return ox_return(c, ox_channels_first(c, ox_conv(c, x, w)));
}

/* An i32 product as a quantized result: scales of both factors at 1 and 4,
 * those of the result at 6 and 7. `axis`: of per-axis scales of the second. */
static struct ir_value *requantize(struct onnx_call *c, struct ir_value *acc,
                                   int64_t axis) {
  if (!acc)
    return NULL;
  int64_t r = ox_rank(acc);
  struct ir_value *scale =
      ox_op2(c, IR_MUL, along(c, c->in[1], r - 2 < 0 ? 0 : r - 2, r),
             along(c, c->in[4], axis, r));
  scale = ox_op2(c, IR_DIV, scale, along(c, c->in[6], axis, r));
  if (!scale)
    return NULL;
  struct ir_value *y =
      ox_op2(c, IR_MUL, ox_cast(c, acc, IR_F32), ox_cast(c, scale, IR_F32));
  y = ox_op1(c, IR_ROUND, y);
  struct ir_value *zero = along(c, c->in[7], axis, r);
  y = ox_op2(c, IR_ADD, y, ox_cast(c, zero, IR_F32));
  return ox_cast(c, y, ox_dtype(c->in[7]));
}

bool onnx_qlinear_matmul(struct onnx_call *c) {
  struct ir_value *a = c->in[0], *b = c->in[3];
  if (!ox_rank(a) || !ox_rank(b))
    return ox_fail(c, DN_TYPE, "operands must not be scalars");
  a = centred(c, a, c->in[2], dn_max(ox_rank(a) - 2, 0));
  b = centred(c, b, c->in[5], ox_rank(b) - 1);
  struct ir_value *acc = ox_matmul(c, a, b);
  return ox_return(c, requantize(c, acc, acc ? ox_rank(acc) - 1 : 0));
}

bool onnx_qlinear_conv(struct onnx_call *c) {
  struct ir_value *x = centred(c, c->in[0], c->in[2], 0);
  struct ir_value *w = centred(c, c->in[3], c->in[5], 0);
  struct ir_value *acc = ox_conv(c, x, w);
  if (acc && given(c, 8))
    acc = ox_op2(c, IR_ADD, acc, c->in[8]);
  acc = requantize(c, acc, acc ? ox_rank(acc) - 1 : 0);
  return ox_return(c, ox_channels_first(c, acc));
}

/* com.microsoft: two operands with scale and zero each, then the result's. */
bool onnx_qlinear_binary(struct onnx_call *c) {
  struct ir_value *a = dequantize(c, c->in[0], c->in[1], given(c, 2));
  struct ir_value *b = dequantize(c, c->in[3], c->in[4], given(c, 5));
  struct ir_value *y = ox_op2(c, (enum ir_opcode)c->arg, a, b);
  return ox_return(c,
                   quantize(c, y, c->in[6], given(c, 7), ox_dtype(c->in[0])));
}

/* com.microsoft: X, its scale and zero, the result's; between them another
 * operator of this table does the work. */
static bool qlinear_unary(struct onnx_call *c, onnx_convert *convert,
                          const char *attrs) {
  struct ir_value *in[1] = {dequantize(c, c->in[0], c->in[1], given(c, 2))};
  if (!in[0])
    return false;
  struct onnx_row row = *c->row;
  row.attrs = attrs;
  struct onnx_call inner = *c;
  inner.row = &row;
  inner.arg = 0;
  inner.version = 13;
  inner.in = in;
  inner.nin = 1;
  if (!convert(&inner))
    return false;
  return ox_return(
      c, quantize(c, c->out[0], c->in[3], given(c, 4), ox_dtype(c->in[0])));
}

bool onnx_qlinear_average_pool(struct onnx_call *c) {
  if (ox_int(c, "channels_last", 0))
    return ox_fail(c, DN_UNSUPPORTED_ATTR, "channels_last");
  return qlinear_unary(c, onnx_average_pool, c->row->attrs);
}

bool onnx_qlinear_global_average_pool(struct onnx_call *c) {
  if (ox_int(c, "channels_last", 0))
    return ox_fail(c, DN_UNSUPPORTED_ATTR, "channels_last");
  return qlinear_unary(c, onnx_global_pool, "");
}

bool onnx_qlinear_softmax(struct onnx_call *c) {
  if (ox_int(c, "opset", 13) < 13)
    return ox_fail(c, DN_UNSUPPORTED_ATTR, "opset");
  return qlinear_unary(c, onnx_softmax, c->row->attrs);
}
