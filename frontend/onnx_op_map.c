/* onnx_op_map.c - elementwise operators. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "frontend/onnx_ops.h"

/* The row's one IR op; attributes of the node are handed on. Defaults are
 * numbers of f32, and those of an f64 operand show it. */
bool onnx_map(struct onnx_call *c) {
  struct ir_attr_spec specs[IR_MAX_ATTRS];
  struct ir_attr attrs[IR_MAX_ATTRS];
  size_t n = 0;
  int all = ir_op_attr_specs((enum ir_opcode)c->arg, specs);
  for (int i = 0; i < all; i++) {
    const struct onnx_attr *a = ox_attr(c, specs[i].name);
    if (a && !ox_ir_attr(c, a, specs[i].name, &attrs[n++]))
      return false;
    if (!a && specs[i].kind == IR_A_FLOAT && fe_dtype(c->in[0]) == IR_F64)
      attrs[n++] = ir_float(specs[i].name, (double)(float)specs[i].f);
  }
  return ox_return(
      c, fe_emit(c->b, (enum ir_opcode)c->arg, c->in, c->nin, attrs, n));
}

/* Before opset 7, the second operand was aligned by `axis`, not at the right.
 */
static struct ir_value *aligned(struct onnx_call *c, struct ir_value *a,
                                struct ir_value *b) {
  if (c->version >= 7 || !ox_attr(c, "axis"))
    return b;
  int64_t axis;
  if (!fe_axis(c->b, ox_int(c, "axis", 0), fe_rank(a), &axis))
    return NULL;
  int64_t behind = fe_rank(a) - axis - fe_rank(b);
  if (behind < 0)
    return ox_null(c, ATTR, "axis %lld leaves no room for the second operand",
                   (long long)axis);
  return fe_unsqueeze(c->b, b, 0, behind);
}

bool onnx_binary(struct onnx_call *c) {
  struct ir_value *b = aligned(c, c->in[0], c->in[1]);
  return ox_return(c, fe_op2(c->b, (enum ir_opcode)c->arg, c->in[0], b));
}

bool onnx_swapped(struct onnx_call *c) {
  struct ir_value *b = aligned(c, c->in[0], c->in[1]);
  return ox_return(c, fe_op2(c->b, (enum ir_opcode)c->arg, b, c->in[0]));
}

/* Before opset 7, a slope of rank 1 was one number a channel. */
bool onnx_prelu(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *s = c->in[1];
  if (c->version < 7 && fe_rank(s) == 1 && fe_dims(s)[0] > 1 && fe_rank(x) > 2)
    s = fe_unsqueeze(c->b, s, 0, fe_rank(x) - 2);
  return ox_return(c, fe_op2(c->b, IR_PRELU, x, s));
}

/* Squares and roots are cheaper, and exact, without pow(). */
bool onnx_pow(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *e = aligned(c, x, c->in[1]);
  if (!e)
    return false;
  enum ir_dtype type = fe_dtype(x);
  double k;
  if (e->data && ir_type_count(e->type) == 1 && fe_rank(e) <= fe_rank(x) &&
      ir_const_uniform(e, &k)) {
    if (k == 1)
      return ox_return(c, x);
    if (k == 2)
      return ox_return(c, fe_mul(c->b, x, x));
    if (k == 3)
      return ox_return(c, fe_mul(c->b, x, fe_mul(c->b, x, x)));
    if (k == 0.5 && ir_is_float(type))
      return ox_return(c, fe_op1(c->b, IR_SQRT, x));
  }
  /* An integer to a float power is computed in f64, which holds the integer. */
  if (!ir_is_float(type) && ir_is_float(fe_dtype(e)))
    x = fe_cast(c->b, x, IR_F64);
  e = fe_cast(c->b, e, x ? fe_dtype(x) : type);
  return ox_return(c, fe_cast(c->b, fe_op2(c->b, IR_POW, x, e), type));
}

bool onnx_variadic(struct onnx_call *c) {
  bool mean = c->arg < 0;
  struct ir_value *y = c->in[0];
  for (size_t i = 1; i < c->nin; i++)
    y = fe_op2(c->b, mean ? IR_ADD : (enum ir_opcode)c->arg, y, c->in[i]);
  if (mean && y)
    y = fe_div(c->b, y, fe_number(c->b, y, (double)c->nin));
  return ox_return(c, y);
}

/* A bound of Clip: absent, a known number, or a value. */
struct bound {
  struct ir_value *v;
  double number;
  bool known;
};

static struct bound clip_bound(struct onnx_call *c, size_t k, const char *attr,
                               double none) {
  if (c->version >= 6 && c->version < 11 && fe_dtype(c->in[0]) != IR_F16)
    none = copysign((double)FLT_MAX, none); /* the attribute's default */
  if (c->version < 11)
    return (struct bound){NULL, ox_float(c, attr, none), true};
  if (k >= c->nin || !c->in[k])
    return (struct bound){NULL, none, true};
  struct bound b = {.v = c->in[k]};
  b.known = b.v->data && ir_type_count(b.v->type) == 1;
  if (b.known)
    b.number = ir_const_float(b.v, 0);
  return b;
}

bool onnx_clip(struct onnx_call *c) {
  struct bound lo = clip_bound(c, 1, "min", -HUGE_VAL);
  struct bound hi = clip_bound(c, 2, "max", HUGE_VAL);
  struct ir_value *x = c->in[0];
  if (lo.known && hi.known && ir_is_float(fe_dtype(x))) {
    struct ir_attr attrs[2];
    size_t n = 0;
    if (lo.number == 0 && hi.number == HUGE_VAL)
      return ox_return(c, fe_op1(c->b, IR_RELU, x));
    if (lo.number > -HUGE_VAL)
      attrs[n++] = ir_float("lo", lo.number);
    if (hi.number < HUGE_VAL)
      attrs[n++] = ir_float("hi", hi.number);
    return ox_return(c, n ? fe_emit(c->b, IR_CLAMP, IR_ARGS(x), attrs, n) : x);
  }
  if (lo.v)
    x = fe_op2(c->b, IR_MAX, x, lo.v);
  if (hi.v)
    x = fe_op2(c->b, IR_MIN, x, hi.v);
  return ox_return(c, x);
}

bool onnx_identity(struct onnx_call *c) { return ox_return(c, c->in[0]); }
