/* onnx_op_const.c - constants, shapes, ranges and masks. */
#include <math.h>
#include <string.h>

#include "frontend/onnx_string.h"

/* A tensor in an attribute, dense or sparse. */
static struct ir_value *tensor_const(struct onnx_call *c,
                                     const struct onnx_tensor *t,
                                     const struct onnx_sparse *s) {
  struct dn_loc loc = c->b->loc;
  loc.where = s ? "sparse_value" : "value";
  return ox_const_new(c->im, t, s, loc, c->b->name);
}

bool onnx_constant(struct onnx_call *c) {
  if (c->node->attrs.n != 1)
    return ox_fail(c, ATTR, "it needs exactly one value");
  const char *name = c->node->attrs.v[0].name;
  const struct onnx_attr *a = ox_attr(c, name);
  if (!a)
    return ox_fail(c, ATTR, "it has no value");
  switch (a->type) {
  case ONNX_TENSOR:
    return ox_return(c, tensor_const(c, a->t, NULL));
  case ONNX_SPARSE:
    return ox_return(c, tensor_const(c, NULL, a->sparse));
  case ONNX_FLOAT: {
    double f = (double)a->f;
    return ox_return(c, fe_floats(c->b, IR_F32, 0, NULL, &f));
  }
  case ONNX_FLOATS: {
    int64_t n = (int64_t)a->floats.n;
    return ox_return(c, fe_floats(c->b, IR_F32, 1, &n, a->floats.v));
  }
  case ONNX_INT:
    return ox_return(c, fe_ints(c->b, IR_I64, 0, NULL, &a->i));
  case ONNX_INTS:
    return ox_return(
        c, fe_ints(c->b, IR_I64, 1, &(int64_t){(int64_t)a->ints.n}, a->ints.v));
  }
  return ox_return(c, a->type == ONNX_STRING ? ox_string(c, name, "")
                                             : ox_strings(c, name));
}

/* A constant of one number, however large: nothing is stored. */
bool onnx_constant_of_shape(struct onnx_call *c) {
  struct ox_ints shape;
  int64_t declared[IR_MAX_RANK], rank = 0;
  bool known = ox_declared_dims(c, 0, declared, &rank);
  shape = (struct ox_ints){true, rank, declared};
  if (!known && !ox_const_ints(c, 0, &shape))
    return false;
  enum ir_dtype dtype = IR_F32;
  struct ir_data data = {0};
  const struct onnx_attr *a = ox_attr(c, "value");
  if (a) {
    struct ir_value *v = tensor_const(c, a->t, NULL);
    if (!v)
      return false;
    if (ir_type_count(v->type) != 1 || ox_is_string(v))
      return ox_fail(c, ATTR, "value must have one element, a number");
    dtype = fe_dtype(v);
    memcpy(&data.splat, ir_const_bytes(c->im->ctx->arena, v),
           ir_dtypes[dtype].bytes);
  }
  for (int64_t i = 0; i < shape.n; i++)
    if (shape.v[i] < 0)
      return ox_fail(c, SHAPE, "dimension %lld is %lld", (long long)i,
                     (long long)shape.v[i]);
  const struct ir_type *type =
      ir_type_checked(c->im->ctx, c->b->at.loc, dtype, shape.n, shape.v);
  if (!type)
    return false;
  return ox_return(c, ir_const_new(c->im->m, c->b->name, type, &data));
}

/* start + i * delta; the count must be known here. */
/* Elements from the first on. */
static struct ir_value *steps(struct onnx_call *c, int64_t count) {
  bool wraps[IR_MAX_RANK] = {0};
  for (int k = 0; k < IR_MAX_RANK; k++)
    wraps[k] = true; /* [1] to a scalar */
  struct ir_value *i = fe_iota(c->b, 1, 0, count, fe_dtype(c->in[0]));
  i = fe_mul(c->b, i, fe_squeeze(c->b, c->in[2], wraps));
  return fe_add(c->b, i, fe_squeeze(c->b, c->in[0], wraps));
}

bool onnx_range(struct onnx_call *c) {
  const struct ir_value *args[3];
  int64_t declared[IR_MAX_RANK], rank = 0;
  for (size_t i = 0; i < 3; i++)
    if (ir_type_count(c->in[i]->type) == 1 &&
        ox_declared_dims(c, i, declared, &rank) && rank == 1)
      return ox_return(c, steps(c, declared[0]));
  for (size_t i = 0; i < 3; i++) {
    args[i] = ox_const(c, i);
    if (!args[i])
      return false;
    if (ir_type_count(args[i]->type) != 1)
      return ox_fail(c, TYPE, "input %zu must be one number", i);
  }
  enum ir_dtype dtype = fe_dtype(args[0]);
  double n;
  if (ir_is_float(dtype)) {
    double from = ir_const_float(args[0], 0), to = ir_const_float(args[1], 0);
    n = ceil((to - from) / ir_const_float(args[2], 0));
  } else {
    int64_t from = ir_const_int(args[0], 0), to = ir_const_int(args[1], 0);
    int64_t by = ir_const_int(args[2], 0), span;
    if (by == 0)
      return ox_fail(c, ATTR, "a range of steps of 0");
    if (__builtin_sub_overflow(to, from, &span) || span == INT64_MIN)
      return ox_fail(c, LIMIT, "a range over more than 2^63");
    bool away = (by > 0) != (span > 0);
    n = away ? 0 : (double)(span / by + (span % by != 0));
  }
  if (!(n < 0x1p40))
    return n != n ? ox_fail(c, ATTR, "the range has no end")
                  : ox_fail(c, LIMIT, "a range of over 2^40 elements");
  int64_t count = n > 0 ? (int64_t)n : 0;
  return ox_return(c, steps(c, count));
}

bool onnx_shape(struct onnx_call *c) {
  int64_t r = fe_rank(c->in[0]);
  int64_t start = ox_int(c, "start", 0), end = ox_int(c, "end", r);
  start = start < 0 ? start + r : start;
  end = end < 0 ? end + r : end;
  start = dn_max(0, dn_min(start, r));
  end = dn_max(start, dn_min(end, r));
  return ox_return(c, fe_ints(c->b, IR_I64, 1, &(int64_t){end - start},
                              fe_dims(c->in[0]) + start));
}

bool onnx_size(struct onnx_call *c) {
  int64_t n = ir_type_count(c->in[0]->type);
  return ox_return(c, fe_ints(c->b, IR_I64, 0, NULL, &n));
}

bool onnx_one_hot(struct onnx_call *c) {
  struct ir_value *idx = c->in[0], *values = c->in[2];
  int64_t declared[IR_MAX_RANK], rank = 0, axis, r = fe_rank(idx) + 1;
  if (!fe_axis(c->b, ox_int(c, "axis", -1), r, &axis))
    return false;
  bool known = ox_declared_dims(c, 1, declared, &rank) && rank == r;
  const struct ir_value *size = known ? c->in[1] : ox_const(c, 1);
  if (!size)
    return false;
  if (ir_type_count(size->type) != 1 || ir_type_count(values->type) != 2)
    return ox_fail(c, TYPE, "depth must be one number, values two");
  double d = known ? (double)declared[axis] : ir_const_float(size, 0);
  if (!(d >= 0))
    return ox_fail(c, ATTR, "depth is %g", d);
  if (d >= 0x1p31)
    return ox_fail(c, LIMIT, "depth is %g, over 2^31", d);
  int64_t depth = (int64_t)d;
  if (r > IR_MAX_RANK)
    return ox_fail(c, LIMIT, "rank %lld is over the limit of %d", (long long)r,
                   IR_MAX_RANK);
  idx = fe_cast(c->b, idx, IR_I64);
  if (!idx)
    return false;
  struct ir_value *negative = fe_op2(c->b, IR_LT, idx, fe_number(c->b, idx, 0));
  idx = fe_select(c->b, negative, fe_offset(c->b, idx, (double)depth), idx);
  idx = fe_insert(c->b, idx, axis);
  if (!idx)
    return false;
  struct ir_value *on =
      fe_op2(c->b, IR_EQ, idx, fe_iota(c->b, r, axis, depth, IR_I64));
  values = fe_reshape(c->b, values, 1, (const int64_t[]){2});
  struct ir_value *off_v =
      fe_reshape(c->b, fe_slice1(c->b, values, 0, 0, 1, 1), 0, NULL);
  struct ir_value *on_v =
      fe_reshape(c->b, fe_slice1(c->b, values, 0, 1, 1, 1), 0, NULL);
  return ox_return(c, fe_select(c->b, on, on_v, off_v));
}
