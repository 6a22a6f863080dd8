/* quantize_narrow.c - where a value that is known in integers is quantized. The
 * arithmetic is that of ONNX Runtime's integer kernels. */
#include "passes/quantize.h"

#include "ir/nest.h"

#include <assert.h>
#include <math.h>

struct narrowing {
  struct quantize *p;
  struct ir_op *op; /* narrow(value / scale, zero) */
  struct ir_value *value, *scale, *zero;
  struct ir_value *given; /* zero point, before that of `type` */
  enum ir_dtype type;     /* of what is made, and of `zero` */
  double least, most;     /* of that type */
  double z, s;      /* zero and scale, where they are one number; else NaN */
  bool is_function; /* of one 8-bit tensor, element by element */
};

static struct ir_value *narrow_to(const struct narrowing *n, struct ir_value *v,
                                  struct ir_value *zero) {
  struct ir_value *y = v && zero ? quant_integer(n->p, v, zero, n->type) : NULL;
  return y ? y
           : quant_emit(n->p, IR_NARROW, IR_ARGS(v, zero),
                        IR_ATTRS(ir_str("to", ir_dtypes[n->type].text)));
}

/* Of what has the zero point of the model. */
static struct ir_value *narrow_steps(const struct narrowing *n,
                                     struct ir_value *v) {
  double shift = quant_shift(ir_result(n->op)->type->dtype, n->type);
  return narrow_to(n, v, quant_number(n->p, IR_F32, shift));
}

/* A bound of the value, as the integer that it is quantized to. */
static double step_of(const struct narrowing *n, double bound) {
  assert(n->s > 0 && "of_floats() takes positive scales");
  double v = rint(bound / n->s) + n->z;
  return fmin(n->most, fmax(n->least, v));
}

/* Bounds that saturation does not keep already. */
static struct ir_value *bounded(const struct narrowing *n, struct ir_value *y,
                                const struct coded *c) {
  assert(c->lo <= c->hi && "set_coded() keeps bounds in order");
  double lo = c->lo == -HUGE_VAL ? n->least : step_of(n, c->lo);
  double hi = c->hi == HUGE_VAL ? n->most : step_of(n, c->hi);
  if (lo <= n->least && hi >= n->most)
    return y;
  return quant_emit(n->p, IR_CLAMP, IR_ARGS(y),
                    IR_ATTRS(ir_float("lo", lo), ir_float("hi", hi)));
}

/* The integers that it had before. */
static struct ir_value *same_integers(const struct narrowing *n,
                                      const struct coded *c) {
  double zero, scale;
  enum ir_dtype t = c->q->type->dtype;
  if (c->bias || c->count || ir_dtypes[t].bits != ir_dtypes[n->type].bits ||
      (t != n->type && ir_dtypes[t].bits != 8) ||
      !quant_uniform(c->zero, 0, &zero) || !quant_uniform(c->scale, 1, &scale))
    return NULL;
  if (zero + quant_shift(t, n->type) != n->z || scale != n->s)
    return NULL;
  return bounded(n, t == n->type ? c->q : quant_flip(n->p, c->q), c);
}

/* A sum in i32: one product by the ratio of the scales. */
static struct ir_value *of_sum(const struct narrowing *n,
                               const struct coded *c) {
  struct ir_value *to = n->scale;
  if (c->q->type->dtype != IR_I32 || c->zero || !c->scale)
    return NULL;
  if (c->count)
    to = quant_op2(n->p, IR_MUL, to, c->count);
  struct ir_value *ratio = quant_op2(n->p, IR_DIV, c->scale, to);
  struct ir_value *y = quant_cast(n->p, quant_sum(n->p, c), IR_F32);
  y = narrow_to(n, quant_op2(n->p, IR_MUL, y, ratio), n->zero);
  return y ? bounded(n, y, c) : NULL;
}

/* The value without a relu that saturation does. */
static const struct ir_op *before_relu(const struct narrowing *n) {
  const struct ir_op *op = n->value->def;
  bool relu = op && (op->code == IR_RELU ||
                     (op->code == IR_CLAMP && ir_get_float(op, "lo") == 0 &&
                      ir_get_float(op, "hi") == HUGE_VAL));
  return relu && n->z == n->least ? ir_arg(op, 0)->def : op;
}

static struct ir_value *float_of(const struct narrowing *n,
                                 const struct coded *c) {
  return quant_cast(n->p, c->q, IR_F32);
}

/* The same all along a row of the result. */
static bool repeats(const struct ir_type *x, const struct ir_type *y) {
  for (int d = 1; d <= y->rank; d++)
    if (y->dim[y->rank - d] > 1)
      return d > x->rank || x->dim[x->rank - d] == 1;
  return true;
}

static struct ir_value *fused(struct quantize *p, struct ir_value *x,
                              struct ir_value *y, struct ir_value *plus) {
  return quant_emit(p, IR_FMA, IR_ARGS(x, y, plus), NULL, 0);
}

/* a sa + b sb - za sa - zb sb, all in steps of the result, from the integers
 * that the model has; a and b change places where a is the same all along a
 * row. */
static struct ir_value *of_addition(const struct narrowing *n,
                                    const struct coded c[2]) {
  struct quantize *p = n->p;
  const struct ir_type *type = ir_result(n->op)->type;
  struct ir_value *x[2], *ratio[2], *zero[2], *y;
  bool swap = repeats(c[0].q->type, type);
  assert(c[0].scale && c[1].scale && "of_pair() takes tensors with scales");
  for (int k = 0; k < 2; k++) {
    const struct coded *from = &c[k ^ (int)swap];
    enum ir_dtype t = from->q->type->dtype;
    bool whole = ir_dtypes[type->dtype].bits == 8;
    struct ir_value *shift =
        quant_number(p, IR_F32, whole ? quant_shift(t, type->dtype) : 0);
    x[k] = float_of(n, from);
    if (whole && t != type->dtype)
      x[k] = quant_op2(p, IR_ADD, x[k], shift);
    zero[k] = quant_op2(p, IR_ADD, quant_or(p, from->zero, 0), shift);
    ratio[k] = quant_op2(p, IR_DIV, from->scale, n->scale);
  }
  y = fused(p, ratio[0], zero[0], quant_op2(p, IR_MUL, ratio[1], zero[1]));
  y = quant_op2(p, IR_SUB, n->given, y);
  y = fused(p, x[0], ratio[0], fused(p, x[1], ratio[1], y));
  return narrow_steps(n, y);
}

static struct ir_value *of_product(const struct narrowing *n,
                                   const struct coded c[2]) {
  struct quantize *p = n->p;
  struct ir_value *f[2], *y;
  assert(c[0].scale && c[1].scale && "of_pair() takes tensors with scales");
  for (int i = 0; i < 2; i++) {
    f[i] = float_of(n, &c[i]);
    if (c[i].zero)
      f[i] = quant_op2(p, IR_SUB, f[i], c[i].zero);
  }
  y = quant_op2(p, IR_MUL, c[0].scale, c[1].scale);
  y = quant_op2(p, IR_DIV, y, n->scale);
  y = quant_op2(p, IR_MUL, quant_op2(p, IR_MUL, f[0], f[1]), y);
  return narrow_steps(n, quant_op2(p, IR_ADD, y, n->given));
}

static struct ir_value *of_pair(const struct narrowing *n) {
  const struct ir_op *op = before_relu(n);
  struct coded c[2];
  if (!op || (op->code != IR_ADD && op->code != IR_MUL))
    return NULL;
  for (unsigned i = 0; i < 2; i++) {
    double s, z;
    c[i] = coded_of(n->p, ir_arg(op, i));
    if (!coded_is_tensor(&c[i]) || !c[i].scale ||
        !quant_uniform(c[i].scale, 1, &s) || !quant_uniform(c[i].zero, 0, &z))
      return NULL;
  }
  return op->code == IR_ADD ? of_addition(n, c) : of_product(n, c);
}

/* Parts of a concat are quantized each. */
static struct ir_value *of_concat(const struct narrowing *n) {
  const struct ir_op *op = n->value->def;
  if (!op || op->code != IR_CONCAT)
    return NULL;
  struct ir_value **args =
      DN_ARRAY(n->p->env->scratch, struct ir_value *, op->noperands);
  for (unsigned i = 0; i < op->noperands; i++) {
    struct coded c = coded_of(n->p, ir_arg(op, i));
    if (!coded_is_tensor(&c))
      return NULL;
    args[i] = same_integers(n, &c);
    if (!args[i])
      args[i] = narrow_to(n, quant_op2(n->p, IR_DIV, ir_arg(op, i), n->scale),
                          n->zero);
  }
  return quant_emit(n->p, IR_CONCAT, args, op->noperands, op->attr, op->nattrs);
}

/* The mean over windows: a sum, and one division by what are several counts
 * where windows have edges. */
static struct ir_value *of_pool(const struct narrowing *n) {
  struct ir_value *sum = n->value, *count = NULL, *y;
  for (; sum->def && sum->def->code == IR_DIV; sum = ir_arg(sum->def, 0)) {
    y = ir_arg(sum->def, 1);
    if (!y->data)
      return NULL;
    count = count ? quant_op2(n->p, IR_MUL, count, y) : y;
  }
  if (!count || !sum->def || sum->def->code != IR_WINDOW_SUM)
    return NULL;
  struct coded c = coded_of(n->p, ir_arg(sum->def, 0));
  if (!coded_is_tensor(&c) || !c.scale)
    return NULL;
  y = quant_op2(n->p, IR_DIV, sum, count);
  y = quant_op2(n->p, IR_DIV, y, n->scale);
  return narrow_steps(n, quant_op2(n->p, IR_ADD, y, n->given));
}

/* ---- Functions of one 8-bit tensor, as tables ---- */

enum { MAX_OPS = 24, VALUES = 256 };

struct table {
  const struct narrowing *n;
  struct ir_value *x; /* the tensor */
  bool costly;        /* calls a function that is no instruction */
  int nops;
  struct {
    struct ir_value *value, *entries; /* a value, and that of each integer */
  } op[MAX_OPS];
};

static bool is_costly(const struct table *t, const struct ir_op *op) {
  struct dn_arena *arena = dn_arena_new(t->n->p->m->ctx);
  const struct nest *n = nest_build(arena, op);
  bool costly = false;
  for (int i = 0; i < n->nnodes; i++)
    costly |= n->node[i].kind == NEST_CALL &&
              ((n->node[i].fn >= IR_S_EXP && n->node[i].fn <= IR_S_ATANH) ||
               n->node[i].fn == IR_S_POW);
  dn_arena_free(arena);
  return costly;
}

static struct ir_value *entries_of(struct table *t, struct ir_value *v);

static struct ir_value *entries_made(struct table *t, struct ir_value *v) {
  struct coded c = coded_of(t->n->p, v);
  struct ir_op *op = v->def;
  struct ir_value *args[4];
  if (!op || ir_ops[op->code].cls != IR_MAP || op->noperands > 4)
    return NULL;
  if (op->code == IR_CAST && c.q && ir_dtypes[c.q->type->dtype].bits == 8) {
    int64_t value[VALUES], size = VALUES;
    struct ir_value *x = ir_arg(op, 0);
    enum ir_dtype type = x->type->dtype;
    for (int i = 0; i < VALUES; i++)
      value[i] = i - (type == IR_I8 ? VALUES / 2 : 0);
    if (t->x && t->x != x)
      return NULL;
    t->x = x;
    args[0] = ir_const_ints(t->n->p->m, NULL, type, 1, &size, value);
  } else {
    for (unsigned i = 0; i < op->noperands; i++)
      if (!(args[i] = entries_of(t, ir_arg(op, i))))
        return NULL;
  }
  t->costly |= is_costly(t, op);
  return quant_emit(t->n->p, op->code, args, op->noperands, op->attr,
                    op->nattrs);
}

static struct ir_value *entries_of(struct table *t, struct ir_value *v) {
  double number;
  for (int i = 0; i < t->nops; i++)
    if (t->op[i].value == v)
      return t->op[i].entries;
  if (v->data)
    return !quant_uniform(v, 0, &number) ? NULL
           : v->type->rank == 0          ? v
                                : quant_number(t->n->p, v->type->dtype, number);
  if (t->nops == MAX_OPS)
    return NULL;
  int at = t->nops++;
  t->op[at].value = v;
  return t->op[at].entries = entries_made(t, v);
}

/* Where a vector of floats is cheaper, or floats are few, it is no table. */
static struct ir_value *of_table(struct narrowing *n) {
  struct quantize *p = n->p;
  struct table t = {.n = n};
  struct ir_value *at, *table = entries_of(&t, ir_arg(n->op, 0));
  n->is_function = table && table->data && t.x;
  if (!n->is_function || ir_type_count(t.x->type) < VALUES ||
      (!t.costly && p->env->target->vector_bytes))
    return NULL;
  assert(ir_type_count(table->type) == VALUES && "an entry for each integer");
  at = t.x;
  if (at->type->dtype == IR_I8) {
    at = coded_of(p, at).q;
    at = at ? at : quant_flip(p, t.x);
  }
  return quant_op2(p, IR_GATHER, narrow_to(n, table, n->zero), at);
}

/* Whether a value is made from quantized tensors, as far as `looks` goes. */
static bool is_from_coded(const struct quantize *p, const struct ir_value *v,
                          int *looks) {
  if (coded_of(p, v).q)
    return true;
  for (unsigned i = 0; v->def && i < v->def->noperands && --*looks > 0; i++)
    if (is_from_coded(p, ir_arg(v->def, i), looks))
      return true;
  return false;
}

/* Says what stays in floats between quantized tensors: not where a scale is
 * made at run time, since it is made from floats. */
static void say_floats(const struct narrowing *n) {
  struct ir_value *v = n->value;
  int looks = 64;
  if (v && v->def && !n->is_function && !coded_of(n->p, v).q &&
      is_from_coded(n->p, v, &looks))
    dn_warning(n->p->m->ctx, ir_loc(v->def),
               "computed in floats, between quantized tensors");
}

/* What floats become; NULL: they stay. */
static struct ir_value *of_floats(struct narrowing *n) {
  const struct ir_op *div = ir_arg(n->op, 0)->def;
  if (!div || div->code != IR_DIV || !n->zero->data)
    return NULL;
  struct ir_value *value = ir_arg(div, 0);
  n->scale = ir_arg(div, 1);
  if (!n->scale->data || value->type->dtype != IR_F32 ||
      !quant_uniform(n->zero, 0, &n->z) || !quant_uniform(n->scale, 1, &n->s) ||
      !(n->s > 0))
    return NULL;
  n->value = value;
  struct coded c = coded_of(n->p, value);
  struct ir_value *y = c.q ? same_integers(n, &c) : NULL;
  if (!y && c.q)
    y = of_sum(n, &c);
  if (!y)
    y = of_pair(n);
  if (!y)
    y = of_concat(n);
  if (!y)
    y = of_pool(n);
  return y ? y : of_table(n);
}

/* Some op reads it. */
static bool is_read(const struct ir_value *v) {
  for (const struct ir_use *u = v->uses; u; u = u->next)
    if (ir_ops[u->op->code].cls != IR_REGION)
      return true;
  return false;
}

struct ir_value *quant_narrow(struct quantize *p, struct ir_op *op) {
  const struct ir_type *type = ir_result(op)->type;
  struct narrowing n = {
      .p = p, .op = op, .zero = ir_arg(op, 1), .type = type->dtype};
  n.given = n.zero;
  if (is_read(ir_result(op)) && n.zero->type->dtype == IR_F32)
    n.type = quant_sign(p, n.type);
  if (n.type != type->dtype) {
    double shift = quant_shift(type->dtype, n.type);
    n.zero = quant_op2(p, IR_ADD, n.zero, quant_number(p, IR_F32, shift));
  }
  ir_dtype_range(n.type, &n.least, &n.most);
  struct ir_value *y = of_floats(&n);
  const struct ir_type *made = ir_type_as(p->m->ctx, type, n.type);
  if (y && y->type == made)
    return y;
  say_floats(&n);
  return n.type == type->dtype ? quant_integer(p, ir_arg(op, 0), n.zero, n.type)
                               : narrow_to(&n, ir_arg(op, 0), n.zero);
}
