/* onnx_op_const.c - constants, shapes, ranges and masks. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/onnx_string.h"

/* A scalar of the kind that a row's list says, from its text. */
static struct ir_value *default_const(struct onnx_call *c, const char *name) {
  const char *spec = ox_attr_spec(c->row, name);
  const char *text = spec && spec[1] == '=' ? spec + 2 : NULL;
  if (!text)
    return NULL;
  text = dn_strndup(c->im->ctx->arena, text, strcspn(text, " "));
  if (*spec == 's')
    return ox_string(c, name, text);
  return fe_scalar(c->b, *spec == 'f' ? IR_F32 : IR_I64, strtod(text, NULL));
}

struct ir_value *ox_attr_const(struct onnx_call *c, const char *name) {
  const struct onnx_attr *a = ox_attr(c, name);
  struct dn_loc loc = c->b->loc;
  loc.where = name;
  int64_t n = a ? (int64_t)(a->type == ONNX_INTS ? a->ints.n : a->floats.n) : 0;
  switch (a ? a->type : ONNX_UNDEFINED) {
  case ONNX_TENSOR:
  case ONNX_SPARSE:
    return ox_const_new(c->im, a->t, a->sparse, loc, c->b->name);
  case ONNX_FLOAT:
    return fe_floats(c->b, IR_F32, 0, NULL, &(double){(double)a->f});
  case ONNX_FLOATS:
    return fe_floats(c->b, IR_F32, 1, &n, a->floats.v);
  case ONNX_INT:
    return fe_ints(c->b, IR_I64, 0, NULL, &a->i);
  case ONNX_INTS:
    return fe_ints(c->b, IR_I64, 1, &n, a->ints.v);
  case ONNX_STRING:
    return ox_string(c, name, "");
  case ONNX_STRINGS:
    return ox_strings(c, name);
  }
  return default_const(c, name);
}

bool onnx_constant(struct onnx_call *c) {
  if (c->node->attrs.n != 1)
    return ox_fail(c, ATTR, "it needs exactly one value");
  const char *name = c->node->attrs.v[0].name;
  if (!ox_attr(c, name))
    return ox_fail(c, ATTR, "it has no value");
  return ox_return(c, ox_attr_const(c, name));
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
    struct ir_value *v = ox_attr_const(c, "value");
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

/* start + i * delta for i in [0, count). */
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
