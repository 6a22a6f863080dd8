/* onnx_op_map.c - elementwise operators. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "frontend/onnx_ops.h"

/* Defaults are numbers of f32, and those of an f64 operand show it. */
static double default_of(enum ir_opcode code, const char *name) {
  struct ir_attr_spec specs[IR_MAX_ATTRS];
  int n = ir_op_attr_specs(code, specs);
  for (int i = 0; i < n; i++)
    if (!strcmp(specs[i].name, name))
      return (double)(float)specs[i].f;
  return 0;
}

/* The row's one IR op; attributes of the node are handed on. */
bool onnx_map(struct onnx_call *c) {
  struct ir_attr attrs[4];
  size_t n = 0;
  for (const char *p = c->row->attrs; *p && n < 4; p += strspn(p, " ")) {
    size_t len = strcspn(p, " "), name = strcspn(p, ":");
    const char *to = memchr(p, '=', len);
    const char *spec = dn_strndup(c->im->ctx->arena, p, name);
    const struct onnx_attr *a = ox_attr(c, spec);
    if (to)
      spec =
          dn_strndup(c->im->ctx->arena, to + 1, (size_t)(p + len - (to + 1)));
    if (a && a->type == ONNX_FLOAT)
      attrs[n++] = ir_float(spec, (double)a->f);
    else if (a && a->type == ONNX_INT)
      attrs[n++] = ir_int(spec, a->i);
    else if (!a && !strncmp(p + name, ":f", 2) && fe_dtype(c->in[0]) == IR_F64)
      attrs[n++] = ir_float(spec, default_of((enum ir_opcode)c->arg, spec));
    p += len;
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
  if (behind < 0) {
    fe_fail(c->b, DN_ATTR, "axis %lld leaves no room for the second operand",
            (long long)axis);
    return NULL;
  }
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
  /* An integer to a float power is computed in floats. */
  if (!ir_is_float(type) && ir_is_float(fe_dtype(e)))
    x = fe_cast(c->b, x, fe_dtype(e));
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

/* Attribute `to`. */
static bool target_type(struct onnx_call *c, enum ir_dtype *to) {
  int64_t type = ox_int(c, "to", 0);
  return onnx_dtype_find(type, to) ||
         fe_fail(c->b, type > 0 ? DN_UNSUPPORTED_TYPE : DN_ATTR,
                 "element type %s (%lld)", onnx_dtype_name(type),
                 (long long)type);
}

bool onnx_bit_cast(struct onnx_call *c) {
  enum ir_dtype to;
  struct ir_value *x = c->in[0];
  if (!target_type(c, &to))
    return false;
  if (to == fe_dtype(x))
    return ox_return(c, x);
  if (to == IR_BOOL)
    return fe_fail(c->b, DN_UNSUPPORTED_TYPE, "bits that become a bool");
  return ox_return(c, fe_emit(c->b, IR_BITS, IR_ARGS(x),
                              IR_ATTRS(ir_str("to", ir_dtypes[to].text))));
}

bool onnx_cast(struct onnx_call *c) {
  enum ir_dtype to;
  if (!target_type(c, &to))
    return false;
  return ox_return(c, fe_cast(c->b, c->in[0], to));
}

bool onnx_cast_like(struct onnx_call *c) {
  return ox_return(c, fe_cast(c->b, c->in[0], fe_dtype(c->in[1])));
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

/* Inference: the identity, and a mask that keeps everything. */
bool onnx_dropout(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  struct ox_ints training;
  if (!ox_const_ints(c, 2, &training))
    return false;
  if (training.n == 1 && training.v[0]) {
    int64_t n;
    const double *ratio;
    if (!ox_const_floats(c, 1, &n, &ratio))
      return false;
    if (n != 1 || ratio[0] != 0)
      return fe_fail(c->b, DN_UNSUPPORTED_ATTR, "training_mode");
  }
  c->out[0] = x;
  if (c->nout > 1) {
    enum ir_dtype mask = c->version < 10 ? fe_dtype(x) : IR_BOOL;
    c->out[1] =
        fe_expand(c->b, fe_scalar(c->b, mask, 1), fe_rank(x), fe_dims(x));
  }
  return true;
}

bool onnx_identity(struct onnx_call *c) { return ox_return(c, c->in[0]); }

/* ai.onnx.ml: 1 above the threshold, else 0. */
bool onnx_binarizer(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  double threshold = ox_float(c, "threshold", 0);
  if (ir_is_int(fe_dtype(x)))
    threshold = floor(threshold);
  struct ir_value *t = fe_number(c->b, x, threshold);
  return ox_return(c, fe_cast(c->b, fe_op2(c->b, IR_LT, t, x), fe_dtype(x)));
}
