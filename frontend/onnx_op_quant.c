/* onnx_op_quant.c - quantized operators as the arithmetic that the ONNX
 * specification gives for them: integers in i32, scales in floats, rounding to
 * even, saturation by the cast. */
#include <string.h>

#include "frontend/onnx_ops.h"
#include "frontend/onnx_window.h"

/* [n] as [1.., n, 1..] with n at `axis` of `rank`; one number as a scalar. */
static struct ir_value *along(struct onnx_call *c, struct ir_value *v,
                              int64_t axis, int64_t rank) {
  if (!v)
    return NULL;
  if (ir_type_count(v->type) == 1)
    return fe_reshape(c->b, v, 0, NULL);
  if (fe_rank(v) != 1)
    return v;
  return fe_unsqueeze(c->b, v, 0, rank - 1 - axis);
}

/* Repeats each entry along `axis` `block` times, up to the size `full`. */
static struct ir_value *unblock(struct onnx_call *c, struct ir_value *v,
                                int64_t axis, int64_t block, int64_t full) {
  if (!v)
    return NULL;
  int r = fe_rank(v);
  int64_t dims[IR_MAX_RANK + 1];
  if (r == IR_MAX_RANK || fe_dims(v)[axis] != dn_div_ceil(full, block)) {
    fe_fail(c->b, DN_TYPE, "%lld blocks of %lld for %lld elements",
            (long long)fe_dims(v)[axis], (long long)block, (long long)full);
    return NULL;
  }
  for (int i = 0; i <= r; i++)
    dims[i] = i <= axis ? fe_dims(v)[i] : i == axis + 1 ? 1 : fe_dims(v)[i - 1];
  struct ir_value *y = fe_reshape(c->b, v, r + 1, dims);
  dims[axis + 1] = block;
  y = fe_expand(c->b, y, r + 1, dims);
  for (int i = 0; i < r; i++)
    dims[i] = fe_dims(v)[i] * (i == axis ? block : 1);
  return fe_slice1(c->b, fe_reshape(c->b, y, r, dims), axis, 0, full, 1);
}

/* Scale or zero point in a shape that broadcasts with x. */
static struct ir_value *parameter(struct onnx_call *c, struct ir_value *v,
                                  const struct ir_value *x, int64_t axis) {
  int64_t block = ox_int(c, "block_size", 0);
  if (v && block > 0 && fe_rank(v) == fe_rank(x) && fe_rank(x) > 0)
    return unblock(c, v, axis, block, fe_dims(x)[axis]);
  return along(c, v, axis, fe_rank(x));
}

/* The axis of per-axis parameters: it matters only when there are some. */
static bool quant_axis(struct onnx_call *c, int64_t *axis) {
  *axis = 0;
  if (fe_rank(c->in[1]) == 0)
    return true;
  int64_t r = fe_rank(c->in[0]), given_axis = ox_int(c, "axis", 1);
  if (ir_type_count(c->in[1]->type) == 1 && given_axis >= r)
    return true;
  return fe_axis(c->b, given_axis, r, axis);
}

/* What is made of a tensor that is constant stays written so, for the pass
 * `quantize`: up to `keeps = false`. Zero points are folded before. */
static void keep(struct onnx_call *c, const struct ir_value *x) {
  c->b->keeps = x->data && fe_rank(x) > 0;
}

static struct ir_value *dequantize(struct onnx_call *c, struct ir_value *x,
                                   struct ir_value *scale,
                                   struct ir_value *zero) {
  if (!scale)
    return NULL;
  zero = zero ? fe_cast(c->b, zero, fe_dtype(scale)) : NULL;
  keep(c, x);
  struct ir_value *y =
      fe_call(c->b, FE_DEQUANTIZE, IR_ARGS(x, scale, zero), NULL, 0);
  c->b->keeps = false;
  return y;
}

static struct ir_value *quantize(struct onnx_call *c, struct ir_value *x,
                                 struct ir_value *scale, struct ir_value *zero,
                                 enum ir_dtype to) {
  return scale ? fe_call(c->b, FE_QUANTIZE, IR_ARGS(x, scale, zero),
                         IR_ATTRS(ir_str("to", ir_dtypes[to].text)))
               : NULL;
}

bool onnx_dequantize(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  int64_t axis;
  if (!quant_axis(c, &axis))
    return false;
  /* What is of few bits is not expanded; nor are the scales of its blocks. */
  if (ir_dtypes[fe_dtype(x)].bits < 8)
    keep(c, x);
  struct ir_value *scale = parameter(c, c->in[1], x, axis);
  struct ir_value *zero = parameter(c, ox_in(c, 2), x, axis);
  c->b->keeps = false;
  struct ir_value *y = dequantize(c, x, scale, zero);
  enum ir_dtype to;
  const struct onnx_attr *a = ox_attr(c, "output_dtype");
  if (a && a->i && onnx_dtype_find(a->i, &to))
    y = fe_cast(c->b, y, to);
  return ox_return(c, y);
}

bool onnx_quantize(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *zero = ox_in(c, 2);
  enum ir_dtype to = zero ? fe_dtype(zero) : IR_U8;
  int64_t axis, type = ox_int(c, "output_dtype", 0);
  if (!zero && type && !onnx_dtype_find(type, &to))
    return fe_fail(c->b, DN_UNSUPPORTED_TYPE, "element type %s (%lld)",
                   onnx_dtype_name(type), (long long)type);
  if (!quant_axis(c, &axis))
    return false;
  struct ir_value *scale = parameter(c, c->in[1], x, axis);
  /* The division is made in the type of x, or of `precision`. */
  if (scale && ir_is_float(fe_dtype(x)))
    scale = fe_cast(c->b, scale, fe_dtype(x));
  zero = parameter(c, zero, x, axis);
  if (!scale || !ir_is_float(to))
    return ox_return(c, quantize(c, x, scale, zero, to));
  return ox_return(
      c, fe_call(c->b, FE_QUANTIZE_FLOAT, IR_ARGS(x, scale, zero),
                 IR_ATTRS(ir_str("to", ir_dtypes[to].text),
                          ir_int("saturate", ox_int(c, "saturate", 1)))));
}

/* x - zero as i32; a zero point per row or column is put at `axis`. */
static struct ir_value *centred(struct onnx_call *c, struct ir_value *x,
                                struct ir_value *zero, int64_t axis) {
  zero = fe_cast(c->b, along(c, zero, axis, fe_rank(x)), IR_I32);
  keep(c, x);
  struct ir_value *y = fe_cast(c->b, x, IR_I32);
  y = zero ? fe_sub(c->b, y, zero) : y;
  c->b->keeps = false;
  return y;
}

/* An i32 product times the scales of its factors: floats, or with a scale `to`
 * of its own and a zero point, quantized again. `axis`: of the second factor's
 * scales, if it has one per column or channel. */
struct product {
  struct ir_value *a, *b, *to, *zero;
  double alpha;
  int64_t axis;
};

static struct ir_value *rescale(struct onnx_call *c, struct ir_value *acc,
                                const struct product *p) {
  if (!acc)
    return NULL;
  int64_t r = fe_rank(acc);
  return fe_call(c->b, FE_RESCALE,
                 IR_ARGS(acc, along(c, p->a, dn_max(r - 2, 0), r),
                         along(c, p->b, p->axis, r),
                         along(c, p->to, p->axis, r),
                         along(c, p->zero, p->axis, r)),
                 IR_ATTRS(ir_float("alpha", p->alpha)));
}

/* (a - za) (b - zb), as matrices of i32. */
static struct ir_value *integer_matmul(struct onnx_call *c, struct ir_value *a,
                                       struct ir_value *za, struct ir_value *b,
                                       struct ir_value *zb) {
  if (!a || !b)
    return NULL;
  if (!fe_rank(a) || !fe_rank(b)) {
    fe_fail(c->b, DN_TYPE, "operands must not be scalars");
    return NULL;
  }
  a = centred(c, a, za, dn_max(fe_rank(a) - 2, 0));
  b = centred(c, b, zb, fe_rank(b) - 1);
  return fe_matmul(c->b, a, b);
}

bool onnx_matmul_integer(struct onnx_call *c) {
  return ox_return(
      c, integer_matmul(c, c->in[0], ox_in(c, 2), c->in[1], ox_in(c, 3)));
}

bool onnx_conv_integer(struct onnx_call *c) {
  struct ir_value *x = centred(c, c->in[0], ox_in(c, 2), 0);
  struct ir_value *w = centred(c, c->in[1], ox_in(c, 3), 0);
  return ox_return(c, fe_channels_first(c->b, ox_conv(c, x, w)));
}

bool onnx_qlinear_matmul(struct onnx_call *c) {
  struct ir_value *acc =
      integer_matmul(c, c->in[0], c->in[2], c->in[3], c->in[5]);
  struct product p = {c->in[1], c->in[4], c->in[6], c->in[7], 1, 0};
  p.axis = acc ? fe_rank(acc) - 1 : 0;
  return ox_return(c, rescale(c, acc, &p));
}

bool onnx_qlinear_conv(struct onnx_call *c) {
  bool last;
  if (!ox_flag(c, "channels_last", false, &last))
    return false;
  struct ir_value *x = centred(c, c->in[0], c->in[2], 0);
  struct ir_value *w = centred(c, c->in[3], c->in[5], 0);
  struct ir_value *acc = ox_conv(c, last ? fe_channels_first(c->b, x) : x, w);
  if (acc && ox_in(c, 8))
    acc = fe_add(c->b, acc, c->in[8]);
  struct product p = {c->in[1], c->in[4], c->in[6], c->in[7], 1, 0};
  p.axis = acc ? fe_rank(acc) - 1 : 0;
  struct ir_value *y = rescale(c, acc, &p);
  return ox_return(c, last ? y : fe_channels_first(c->b, y));
}

/* ---- com.microsoft ---- */

/* Input k, a scale or zero point of a whole tensor; NULL: absent. */
static struct ir_value *one(struct onnx_call *c, size_t k) {
  struct ir_value *v = ox_in(c, k);
  if (!v)
    return NULL;
  if (v && ir_type_count(v->type) != 1) {
    fe_fail(c->b, DN_UNSUPPORTED_ATTR, "a scale or zero point per axis");
    return NULL;
  }
  return fe_reshape(c->b, v, 0, NULL);
}

bool onnx_qgemm(struct onnx_call *c) {
  struct ir_value *f[2] = {c->in[0], c->in[3]};
  for (int i = 0; i < 2; i++) {
    bool flip;
    if (fe_rank(f[i]) != 2)
      return fe_fail(c->b, DN_TYPE, "operands must be matrices");
    if (!ox_flag(c, i ? "transB" : "transA", false, &flip))
      return false;
    if (flip)
      f[i] = fe_transpose(c->b, f[i], (const int64_t[]){1, 0});
  }
  struct ir_value *acc = integer_matmul(c, f[0], c->in[2], f[1], c->in[5]);
  if (ox_in(c, 6))
    acc = fe_add(c->b, acc, c->in[6]);
  struct product p = {c->in[1], c->in[4], ox_in(c, 7), ox_in(c, 8), 1, 1};
  p.alpha = ox_float(c, "alpha", 1);
  return ox_return(c, rescale(c, acc, &p));
}

/* A product of quantized matrices, as floats. */
static struct ir_value *float_product(struct onnx_call *c, struct ir_value *a,
                                      struct ir_value *a_scale,
                                      struct ir_value *a_zero,
                                      const struct ox_weights *w) {
  struct ir_value *y = integer_matmul(c, a, a_zero, w->v, w->zero);
  struct product p = {a_scale, w->scale, NULL, NULL, 1, 0};
  p.axis = y ? fe_rank(y) - 1 : 0;
  return rescale(c, y, &p);
}

static bool return_sum(struct onnx_call *c, struct ir_value *y,
                       struct ir_value *bias) {
  return ox_return(c, y && bias ? fe_add(c->b, y, bias) : y);
}

bool onnx_matmul_integer_to_float(struct onnx_call *c) {
  const struct ox_weights w = {c->in[1], c->in[3], ox_in(c, 5)};
  return return_sum(c, float_product(c, c->in[0], c->in[2], ox_in(c, 4), &w),
                    ox_in(c, 6));
}

struct ir_value *ox_dynamic_product(struct onnx_call *c, struct ir_value *x,
                                    const struct ox_weights *w) {
  struct ir_value *a[3];
  if (!x || !fe_decompose(c->b, FE_DYNAMIC_QUANTIZE, &x, 1, NULL, 0, a, 3))
    return NULL;
  return float_product(c, a[0], a[1], a[2], w);
}

bool onnx_dynamic_quantize_matmul(struct onnx_call *c) {
  const struct ox_weights w = {c->in[1], c->in[2], ox_in(c, 3)};
  return return_sum(c, ox_dynamic_product(c, c->in[0], &w), ox_in(c, 4));
}

/* Weights of few bits, in blocks of `size` along the sum of `depth`. */
struct nbits {
  int64_t depth, columns, size, blocks;
  unsigned bits;
};

/* The constant input k, rows of `n` numbers that share bytes (the first in the
 * low bits) and end with one, transposed: [n, columns] of an element each. */
static struct ir_value *nbits_const(struct onnx_call *c, size_t k,
                                    const struct nbits *w, int64_t n,
                                    int64_t used) {
  enum ir_dtype t = w->bits == 8 ? IR_U8 : w->bits == 4 ? IR_U4 : IR_U2;
  int64_t each = 8 / (int64_t)w->bits, row = dn_div_ceil(n, each), size;
  const struct ir_value *v = c->in[k];
  if (!v->data)
    return ox_null(c, UNSUPPORTED_ATTR, "input %d must be constant", (int)k);
  if (v->type->dtype != IR_U8 || !dn_mul(row, w->columns, &size) ||
      ir_type_count(v->type) != size)
    return ox_null(c, TYPE, "input %d must have %lld x %lld bytes", (int)k,
                   (long long)w->columns, (long long)row);
  struct dn_arena *arena = c->im->m->arena;
  const uint8_t *from = ir_const_bytes(arena, v);
  const int64_t dims[] = {used, w->columns};
  uint8_t *to = DN_ARRAY(arena, uint8_t, (size_t)(used * w->columns) + 1);
  for (int64_t j = 0; j < w->columns; j++)
    for (int64_t i = 0; i < used; i++)
      to[i * w->columns + j] =
          (uint8_t)(from[j * row + i / each] >> (i % each * (int64_t)w->bits)) &
          (uint8_t)((1u << w->bits) - 1);
  struct ir_data data = {.bytes = to, .size = used * w->columns};
  return ir_const_new(c->im->m, v->name, ir_type(c->im->ctx, t, 2, dims),
                      &data);
}

/* Input k, a float for each block of each column, as [blocks, columns]. */
static struct ir_value *block_floats(struct onnx_call *c, size_t k,
                                     const struct nbits *w) {
  const int64_t dims[] = {w->columns, w->blocks};
  if (ir_type_count(c->in[k]->type) != w->columns * w->blocks)
    return ox_null(c, TYPE, "input %d must have %lld x %lld numbers", (int)k,
                   (long long)w->columns, (long long)w->blocks);
  struct ir_value *v = fe_reshape(c->b, c->in[k], 2, dims);
  return fe_transpose(c->b, v, (const int64_t[]){1, 0});
}

/* The product with rows of x that are quantized in blocks: sums of a block in
 * integers, and a sum of these times both scales. */
static struct ir_value *block_product(struct onnx_call *c,
                                      const struct nbits *w, struct ir_value *q,
                                      struct ir_value *scale,
                                      struct ir_value *zero) {
  const struct ir_type *type = c->in[0]->type;
  const int64_t rows = ir_type_count(type) / w->depth;
  const int64_t split[] = {rows, w->blocks, w->size};
  const int64_t of_block[] = {w->blocks, w->size, w->columns};
  int64_t dims[IR_MAX_RANK];
  struct ir_value *x = fe_reshape(c->b, c->in[0], 3, split);
  keep(c, q);
  struct ir_value *blocks = fe_reshape(c->b, q, 3, of_block);
  c->b->keeps = false;
  struct ir_value *y =
      fe_call(c->b, FE_BLOCK_PRODUCT, IR_ARGS(x, blocks, scale, zero), NULL, 0);
  memcpy(dims, type->dim, sizeof dims);
  dims[type->rank - 1] = w->columns;
  return fe_reshape(c->b, y, type->rank, dims);
}

bool onnx_matmul_nbits(struct onnx_call *c) {
  struct nbits w = {.depth = ox_int(c, "K", 0),
                    .columns = ox_int(c, "N", 0),
                    .size = ox_int(c, "block_size", 0)};
  int64_t bits = ox_int(c, "bits", 4);
  int r = fe_rank(c->in[0]);
  if (bits != 2 && bits != 4 && bits != 8)
    return ox_fail(c, UNSUPPORTED_ATTR, "weights of %lld bits",
                   (long long)bits);
  if (ox_in(c, 4) || ox_int(c, "weight_prepacked", 0))
    return ox_fail(c, UNSUPPORTED_ATTR, "weights in another order");
  if (w.size < 8 || w.size > 1 << 20 || w.columns < 1 || w.depth < 1 || r < 1 ||
      fe_dims(c->in[0])[r - 1] != w.depth)
    return ox_fail(c, ATTR, "K, N or block_size do not fit");
  w.bits = (unsigned)bits;
  w.blocks = dn_div_ceil(w.depth, w.size);
  struct ir_value *zero = ox_in(c, 3);
  struct ir_value *q = nbits_const(c, 1, &w, w.blocks * w.size, w.depth);
  struct ir_value *scale = q ? block_floats(c, 2, &w) : NULL;
  if (!scale)
    return false;
  if (!zero)
    zero = fe_scalar(c->b, fe_dtype(scale), (double)(1u << (w.bits - 1)));
  else if (ir_is_float(fe_dtype(zero)))
    zero = block_floats(c, 3, &w);
  else
    zero = nbits_const(c, 3, &w, w.blocks, w.blocks);
  if (!zero)
    return false;
  const struct ir_type *type = c->in[0]->type;
  /* For other blocks of 2 bits ONNX Runtime has no kernel of integers. */
  bool kernel = bits == 4 || (bits == 2 && w.size > 16 && w.size < 256);
  bool whole = ir_type_is_static(type) && ir_type_count(type) &&
               w.depth % w.size == 0 && type->dtype == IR_F32;
  struct ir_value *y;
  if (ox_int(c, "accuracy_level", 0) == 4 && kernel && whole) {
    y = block_product(c, &w, q, scale, zero);
  } else {
    keep(c, q);
    scale = unblock(c, scale, 0, w.size, w.depth);
    if (fe_rank(zero))
      zero = unblock(c, zero, 0, w.size, w.depth);
    c->b->keeps = false;
    y = fe_matmul(c->b, c->in[0], dequantize(c, q, scale, zero));
  }
  struct ir_value *bias = ox_in(c, 5);
  return ox_return(c, bias && y ? fe_add(c->b, y, bias) : y);
}

/* Input k: an operand or a scale. */
static bool needs(struct onnx_call *c, size_t k) {
  return ox_in(c, k) || fe_fail(c->b, DN_ARITY, "input %d is missing", (int)k);
}

/* The same all along a row of what it is added to. */
static bool repeats(const struct ir_value *x, const struct ir_value *to) {
  int64_t r = dn_max(fe_rank(x), fe_rank(to));
  for (int d = 1; d <= r; d++) {
    int64_t own = d > fe_rank(x) ? 1 : fe_dims(x)[fe_rank(x) - d];
    if (own != 1 || (d <= fe_rank(to) && fe_dims(to)[fe_rank(to) - d] != 1))
      return own == 1;
  }
  return true;
}

/* A row of decompose.def; inputs but the first, and the second operand's of a
 * sum or product, are scales and zero points. */
bool onnx_qlinear_row(struct onnx_call *c) {
  bool pool = c->arg == FE_QLINEAR_GLOBAL_AVERAGE;
  for (size_t k = 1; k < c->nin; k++)
    if (c->in[k] && (pool || k != 3) && !(c->in[k] = one(c, k)))
      return false;
  if (c->arg != FE_QLINEAR_ADD || c->nin < 6 || !repeats(c->in[0], c->in[3]))
    return onnx_decompose(c);
  struct onnx_call swapped = *c;
  struct ir_value *in[8];
  for (size_t k = 0; k < c->nin; k++)
    in[k] = c->in[k < 6 ? (k + 3) % 6 : k];
  swapped.in = in;
  return onnx_decompose(&swapped);
}

/* Another operator of the table does the work, on inputs of its own. */
static struct ir_value *plainly(struct onnx_call *c, const char *domain,
                                const char *op, int version,
                                struct ir_value **in, size_t n) {
  bool known;
  struct onnx_call inner = *c;
  inner.version = version;
  inner.row = onnx_row_find(domain, op, version, &known);
  if (!inner.row) {
    fe_fail(c->b, DN_UNSUPPORTED_ATTR, "%s of opset %d", op, version);
    return NULL;
  }
  inner.arg = inner.row->arg;
  inner.in = in;
  inner.nin = n;
  return inner.row->convert(&inner) ? c->out[0] : NULL;
}

/* Operands with their scales and zero points are dequantized, the operator of
 * the standard does its work, the result is quantized. */
bool onnx_qlinear(struct onnx_call *c) {
  bool concat = c->arg == QLINEAR_CONCAT, last;
  size_t plain = c->arg == QLINEAR_WHERE, at = concat ? 2 : plain;
  size_t n = concat ? c->nin / 3 : c->arg == QLINEAR_WHERE ? 2 : 1;
  size_t to = concat ? 0 : at + 3 * n;
  if (!needs(c, at) || !needs(c, to) ||
      !ox_flag(c, "channels_last", false, &last))
    return false;
  enum ir_dtype t = fe_dtype(c->in[at]);
  struct ir_value **in =
      DN_ARRAY(c->im->ctx->arena, struct ir_value *, plain + n);
  if (plain)
    in[0] = c->in[0];
  for (size_t i = 0; i < n; i++, at += 3) {
    if (!needs(c, at) || !needs(c, at + 1))
      return false;
    struct ir_value *x =
        dequantize(c, c->in[at], one(c, at + 1), one(c, at + 2));
    in[plain + i] = last ? fe_channels_first(c->b, x) : x;
    if (!in[plain + i])
      return false;
  }
  int version = (int)ox_int(c, "opset", 13);
  const char *op = c->node->op + strlen("QLinear");
  struct ir_value *y = plainly(c, "", op, version, in, plain + n);
  if (!y)
    return false;
  struct ir_value *scale = one(c, to), *zero = one(c, to + 1);
  if (last)
    y = fe_channels_last(c->b, y);
  if (c->arg == QLINEAR_SOFTMAX) /* ONNX Runtime has whole steps in 1 */
    scale = fe_op1(c->b, IR_RECIP,
                   fe_op1(c->b, IR_FLOOR, fe_op1(c->b, IR_RECIP, scale)));
  if (c->arg != QLINEAR_POOL || !zero)
    return ox_return(c, quantize(c, y, scale, zero, t));
  /* Rounded after the zero point is added. */
  y = fe_add(c->b, fe_div(c->b, y, scale), fe_cast(c->b, zero, IR_F32));
  return ox_return(c, fe_cast(c->b, fe_op1(c->b, IR_ROUND, y), t));
}

/* Fused operators on dequantized inputs: where each input of the plain operator
 * is, where its scale and its zero point; 0: nowhere. */
bool onnx_qfused(struct onnx_call *c) {
  static const struct {
    const char *op;
    unsigned char from[8], scale[8], zero[8];
  } fused[] = {
      [QFUSED_EMBED] = {"EmbedLayerNormalization",
                        {0, 1, 2, 3, 4, 5, 6, 7},
                        {0, 0, 8, 9, 10, 11, 12},
                        {0, 0, 13, 14, 15, 16, 17}},
      [QFUSED_ATTENTION] = {"Attention", {0, 1, 2, 5, 8}, {3, 4}, {6, 7}},
  };
  struct ir_value *in[8] = {0};
  size_t n = 0;
  for (size_t i = 0; i < 8; i++) {
    size_t scale = fused[c->arg].scale[i], from = fused[c->arg].from[i];
    if ((i && !from) || !ox_in(c, from))
      continue;
    n = i + 1;
    in[i] = c->in[from];
    if (!scale)
      continue;
    if (!needs(c, scale))
      return false;
    int64_t axis = fe_rank(in[i]) - 1;
    in[i] =
        dequantize(c, in[i], along(c, c->in[scale], axis, axis + 1),
                   along(c, ox_in(c, fused[c->arg].zero[i]), axis, axis + 1));
    if (!in[i])
      return false;
  }
  return plainly(c, "com.microsoft", fused[c->arg].op, 1, in, n) != NULL;
}
