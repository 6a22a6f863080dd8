/* quantize_dot.c - products of coded tensors as sums of 8-bit products in i32,
 * zero points taken out of the sum:
 *
 *   sum (x - zx) (w - zw) = sum x w - zx sum w - zw (sum x - K zx)
 *
 * The second term is a constant for each column of constant weights; zw goes
 * into weights where the differences have 8 bits, so that the third is rare. A
 * convolution's padding consists of zx: what is known at run time only surrounds
 * a copy of x. */
#include "passes/quantize.h"

#include <assert.h>
#include <math.h>
#include <string.h>

struct dot {
  struct quantize *p;
  struct ir_op *op;
  struct coded a, b;
  bool window;         /* a convolution: weights [O, k.., C] */
  bool padded;         /* whose first operand has the padding */
  struct ir_value *zx; /* of a, one number or one of each row; NULL: 0 */
  struct ir_value *zw; /* what is left of that of b */
  struct ir_value *w;  /* i8 where it is constant */
  int64_t k;           /* products a sum has */
};

/* The zero point of a can be taken out of the sum. */
static bool is_free(const struct dot *d) {
  const struct ir_type *zero = d->a.zero ? d->a.zero->type : NULL;
  return coded_is_tensor(&d->a) &&
         (!zero || ir_type_count(zero) == 1 ||
          (!d->window && zero->rank == d->a.q->type->rank &&
           zero->dim[zero->rank - 1] == 1));
}

/* A number of type t, if perhaps in a wider one. */
static bool is_of_type(const struct ir_value *v, enum ir_dtype t) {
  while ((v->type->dtype == IR_F32 || v->type->dtype == IR_I32) && v->def &&
         (v->def->code == IR_CAST || v->def->code == IR_RESHAPE))
    v = ir_arg(v->def, 0);
  return v->type->dtype == t;
}

static bool find_dot(struct dot *d) {
  const struct ir_op *op = d->op;
  enum ir_dtype y = ir_result(op)->type->dtype;
  double one;
  if (op->code != IR_CONV && op->code != IR_MATMUL)
    return false;
  d->window = op->code == IR_CONV;
  d->a = coded_of(d->p, ir_arg(op, 0));
  d->b = coded_of(d->p, ir_arg(op, 1));
  const struct ir_type *w = ir_arg(op, 1)->type;
  if ((y != IR_F32 && y != IR_I32) || !is_free(d) || !coded_is_tensor(&d->b) ||
      edit_folds(d->a.q) || !quant_uniform(d->a.scale, 1, &one) ||
      ir_type_count(w) == 0 || ir_type_count(ir_result(op)->type) == 0 ||
      (y == IR_I32 && (d->a.scale || d->b.scale)))
    return false;
  enum ir_dtype t = d->a.q->type->dtype, sign = quant_sign(d->p, t);
  d->zx = d->a.zero;
  if (sign != t && edit_folds(d->b.q)) {
    struct ir_value *by = quant_number(d->p, IR_F32, quant_shift(t, sign));
    d->zx = d->zx ? quant_op2(d->p, IR_ADD, d->zx, by) : by;
    d->a.q = quant_flip(d->p, d->a.q);
  }
  d->k = d->window ? ir_type_count(w) / w->dim[0] : w->dim[w->rank - 2];
  bool pads = false;
  for (int64_t i = 0; d->window && i < 2 * (w->rank - 2); i++)
    pads |= ir_get_at(op, "pads", i) != 0;
  d->padded = pads && d->zx && !d->zx->data;
  return !d->padded || is_of_type(d->a.zero, t);
}

/* ---- Weights ---- */

/* A constant that single-operand ops make, now. */
static struct ir_value *made_constant(struct dot *d, struct ir_value *v) {
  if (v->data)
    return v;
  assert(v->def && v->def->noperands &&
         "edit_folds() has found a constant before it");
  struct ir_value *x = made_constant(d, ir_arg(v->def, 0));
  return x ? quant_constant(d->p, v->def->code, IR_ARGS(x), v->def->attr,
                            v->def->nattrs)
           : NULL;
}

/* Constant weights as i8, less their zero point where that fits, or 128. The
 * differences wrap in 8 bits. */
static bool narrow_weights(struct dot *d) {
  double lo, hi, zero_lo = 0, zero_hi = 0;
  struct ir_value *q = d->b.q, *zero = d->b.zero;
  d->w = q;
  d->zw = zero;
  if (!edit_folds(q) || (zero && !zero->data))
    return true;
  if (zero)
    ir_const_range(zero, &zero_lo, &zero_hi);
  if (q->type->dtype == IR_I8 && zero_lo == 0 && zero_hi == 0) {
    d->zw = NULL;
    return true;
  }
  q = made_constant(d, q);
  if (!q)
    return false;
  ir_const_range(q, &lo, &hi);
  if (lo - zero_hi >= -128 && hi - zero_lo <= 127) {
    d->zw = NULL;
  } else if (q->type->dtype == IR_U8) {
    zero = quant_number(d->p, IR_F32, 128);
    d->zw = quant_op2(d->p, IR_SUB, quant_or(d->p, d->zw, 0), zero);
  } else {
    return true;
  }
  if (zero)
    q = quant_constant(d->p, IR_SUB,
                       IR_ARGS(q, quant_cast(d->p, zero, q->type->dtype)), NULL,
                       0);
  if (q && q->type->dtype != IR_I8)
    q = quant_constant(d->p, IR_BITS, IR_ARGS(q), IR_ATTRS(ir_str("to", "i8")));
  d->w = q;
  return q != NULL;
}

/* ---- Sums ---- */

/* The op on other operands, of which `plain` has windows that do not move. */
static struct ir_value *dot(struct dot *d, struct ir_value *a,
                            struct ir_value *b, bool plain) {
  struct ir_attr attrs[8] = {ir_str("to", "i32")};
  static const char *const names[] = {"groups", "strides", "pads", "dilations"};
  double outside;
  size_t n = 1;
  for (size_t i = 0; d->window && i < (plain ? 1 : DN_COUNT(names)); i++) {
    const struct ir_attr *attr = ir_find_attr(d->op, names[i]);
    if (attr && !(d->padded && !strcmp(names[i], "pads")))
      attrs[n++] = *attr;
  }
  if (d->window && !plain && quant_uniform(d->zx, 0, &outside) && outside != 0)
    attrs[n++] = ir_float("outside", outside);
  return quant_emit(d->p, d->op->code, IR_ARGS(a, b), attrs, n);
}

static struct ir_value *ones(struct dot *d, enum ir_dtype t, int rank,
                             const int64_t *dims) {
  assert(rank >= 2 && rank <= IR_MAX_RANK && "weights are matrices or windows");
  return ir_const_splat(d->p->m, NULL, ir_type(d->p->m->ctx, t, rank, dims), 1);
}

/* [n] of what has n elements. */
static struct ir_value *as_row(struct dot *d, struct ir_value *v) {
  int64_t n = v ? ir_type_count(v->type) : 0;
  if (!v || !v->type->rank || n != v->type->dim[v->type->rank - 1])
    return v;
  return quant_emit(d->p, IR_RESHAPE, IR_ARGS(v),
                    IR_ATTRS(ir_ints("shape", &n, 1)));
}

/* -zx sum w */
static struct ir_value *column_term(struct dot *d) {
  assert(d->zx && d->k > 0 && "a sum of products less a zero point");
  const struct ir_type *x = d->a.q->type, *w = d->w->type;
  int64_t dims[IR_MAX_RANK] = {1, d->k};
  for (int i = 1; d->window && i < w->rank; i++)
    dims[i] = i + 1 < w->rank ? w->dim[i] : x->dim[i];
  struct ir_value *one = ones(d, x->dtype, d->window ? w->rank : 2, dims);
  struct ir_value *sum = as_row(d, dot(d, one, d->w, true));
  struct ir_value *by = quant_emit(
      d->p, IR_NEG, IR_ARGS(quant_cast(d->p, d->zx, IR_I32)), NULL, 0);
  return quant_op2(d->p, IR_MUL, by, sum);
}

/* -zw (sum x - K zx) */
static struct ir_value *row_term(struct dot *d) {
  assert(d->zw && d->k > 0 && "a sum of products less a zero point");
  const struct ir_type *w = d->w->type;
  int64_t dims[IR_MAX_RANK] = {d->window ? 1 : d->k, 1};
  for (int i = 1; d->window && i < w->rank; i++)
    dims[i] = w->dim[i];
  struct ir_value *one = ones(d, IR_I8, d->window ? w->rank : 2, dims);
  struct ir_value *sum = dot(d, d->a.q, one, false);
  if (d->zx) {
    struct ir_value *k = quant_number(d->p, IR_I32, (double)d->k);
    k = quant_op2(d->p, IR_MUL, quant_cast(d->p, d->zx, IR_I32), k);
    sum = quant_op2(d->p, IR_SUB, sum, k);
  }
  struct ir_value *by = as_row(d, quant_cast(d->p, d->zw, IR_I32));
  return quant_op2(d->p, IR_MUL, sum,
                   quant_emit(d->p, IR_NEG, IR_ARGS(by), NULL, 0));
}

/* Scales, or zero points, of the columns of a result: along dimension `at` of
 * the second operand. */
static bool columns(struct dot *d, struct ir_value **v) {
  int rank = ir_arg(d->op, 1)->type->rank, at = d->window ? 0 : rank - 1;
  if (!*v || ir_type_count((*v)->type) == 1)
    return true;
  const struct ir_type *t = (*v)->type;
  int64_t n = ir_type_count(t);
  int dim = at - (rank - t->rank);
  if (dim < 0 || t->dim[dim] != n)
    return false;
  *v = quant_emit(d->p, IR_RESHAPE, IR_ARGS(*v),
                  IR_ATTRS(ir_ints("shape", &n, 1)));
  return *v != NULL;
}

static struct ir_value *one_number(struct dot *d, struct ir_value *v) {
  return v && v->type->rank && ir_type_count(v->type) == 1
             ? quant_emit(d->p, IR_RESHAPE, IR_ARGS(v),
                          IR_ATTRS(ir_ints("shape", NULL, 0)))
             : v;
}

/* x surrounded with zx: differences, which wrap, with zeros. */
static struct ir_value *surround(struct dot *d) {
  assert(d->window && d->zx && "find_dot(): padding is of convolutions");
  struct ir_value *x = d->a.q;
  struct ir_value *z = quant_cast(d->p, d->zx, x->type->dtype);
  int64_t pads[2 * IR_MAX_RANK] = {0};
  int rank = x->type->rank, n = rank - 2;
  for (int i = 0; i < n; i++) {
    pads[1 + i] = ir_get_at(d->op, "pads", i);
    pads[rank + 1 + i] = ir_get_at(d->op, "pads", n + i);
  }
  x = quant_emit(d->p, IR_PAD, IR_ARGS(quant_op2(d->p, IR_SUB, x, z)),
                 IR_ATTRS(ir_ints("pads", pads, 2 * rank)));
  return quant_op2(d->p, IR_ADD, x, z);
}

/* To find the range of an activation, divide and round it takes as long as some
 * 12 products of vectors, of which those of bytes save three quarters of the time. */
static void say_slow(const struct dot *d) {
  enum { FEW = 16, LEAST = 1024 /* elements, or it is no time */ };
  const struct ir_facts *t = d->p->env->target;
  const struct ir_value *zero = d->a.zero;
  int64_t sums = ir_type_count(ir_result(d->op)->type);
  int64_t count = ir_type_count(d->a.q->type), uses = sums * d->k / count;
  if (!zero || edit_folds(zero) || !t->vector_bytes || uses >= FEW ||
      count < LEAST)
    return;
  dn_warning(d->p->m->ctx, ir_loc(d->op),
             "probably slower than in floats: activations are quantized at run "
             "time for %lld products of each",
             (long long)uses);
}

struct ir_value *quant_dot(struct quantize *p, struct ir_op *op,
                           struct coded *out) {
  struct dot d = {.p = p, .op = op};
  struct ir_value *scale;
  double zero;
  if (!find_dot(&d) || !narrow_weights(&d) || !columns(&d, &d.b.scale) ||
      !columns(&d, &d.zw))
    return NULL;
  say_slow(&d);
  d.zx = quant_uniform(d.zx, 0, &zero) && !zero ? NULL : one_number(&d, d.zx);
  d.zw = quant_uniform(d.zw, 0, &zero) && !zero ? NULL : one_number(&d, d.zw);
  if (d.zw && d.window && ir_get_int(op, "groups") != 1)
    return NULL;
  if (d.padded && !(d.a.q = surround(&d)))
    return NULL;
  *out = (struct coded){.q = dot(&d, d.a.q, d.w, false),
                        .bias = d.zx ? column_term(&d) : NULL,
                        .lo = -HUGE_VAL,
                        .hi = HUGE_VAL};
  if (d.zw)
    out->q = quant_op2(p, IR_ADD, out->q, row_term(&d));
  if (!out->q || out->q->type->rank != ir_result(op)->type->rank)
    return NULL;
  struct ir_value *y = quant_sum(p, out);
  if (ir_result(op)->type->dtype == IR_I32)
    return y;
  scale = one_number(&d, d.a.scale);
  if (scale && d.b.scale)
    scale = quant_op2(p, IR_MUL, scale, one_number(&d, d.b.scale));
  out->scale = scale ? scale : one_number(&d, d.b.scale);
  y = quant_cast(p, y, IR_F32);
  return out->scale ? quant_op2(p, IR_MUL, y, out->scale) : y;
}
