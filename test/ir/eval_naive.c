/* eval_naive.c - the slowest possible reading of a nest, one element and one
 * node at a time, to check the interpreter against. Shares no code with it. */
#include "eval_test.h"

#include <math.h>
#include <string.h>

struct num {
  double f;
  int64_t i;
};

struct walker {
  const struct nest *n;
  const void *const *data;
  int64_t it[NEST_MAX_ITERS];
};

static struct num rounded(enum ir_dtype t, struct num v) {
  char raw[8];
  struct num r = {0, 0};
  if (ir_is_float(t)) {
    ir_store_float(t, raw, v.f);
    r.f = ir_load_float(t, raw);
  } else {
    ir_store_int(t, raw, v.i);
    r.i = ir_load_int(t, raw);
  }
  return r;
}

static struct num load(enum ir_dtype t, const void *p) {
  struct num r = {0, 0};
  if (ir_is_float(t))
    r.f = ir_load_float(t, p);
  else
    r.i = ir_load_int(t, p);
  return r;
}

/* A double as a number of any type, saturating. */
static struct num number(enum ir_dtype t, double v) {
  struct num r = {v, 0};
  if (ir_is_float(t))
    return rounded(t, r);
  r.f = 0;
  if (t == IR_BOOL)
    r.i = v != 0;
  else if (isnan(v))
    r.i = 0;
  else if (t == IR_U64)
    r.i = v <= 0 ? 0 : v >= 0x1p64 ? -1 : (int64_t)(uint64_t)v;
  else if (ir_dtypes[t].kind == IR_UNSIGNED)
    r.i = (int64_t)fmin(fmax(v, 0), ldexp(1, (int)ir_dtypes[t].bits) - 1);
  else if (t == IR_I64)
    r.i = v >= 0x1p63 ? INT64_MAX : v < -0x1p63 ? INT64_MIN : (int64_t)v;
  else
    r.i = (int64_t)fmin(fmax(v, -ldexp(1, (int)ir_dtypes[t].bits - 1)),
                        ldexp(1, (int)ir_dtypes[t].bits - 1) - 1);
  return r;
}

static double float_call(enum ir_scalar fn, double a, double b) {
  switch ((int)fn) {
  case IR_S_ADD:
    return a + b;
  case IR_S_SUB:
    return a - b;
  case IR_S_MUL:
    return a * b;
  case IR_S_DIV:
    return a / b;
  case IR_S_MOD:
    return b == 0 ? (double)NAN : a - floor(a / b) * b;
  case IR_S_FMOD:
    return fmod(a, b);
  case IR_S_POW:
    return pow(a, b);
  case IR_S_MIN:
    return isnan(a) || isnan(b) ? (double)NAN : a < b ? a : b;
  case IR_S_MAX:
    return isnan(a) || isnan(b) ? (double)NAN : a > b ? a : b;
  case IR_S_ABS:
    return fabs(a);
#define F(ID, fn)                                                              \
  case IR_S_##ID:                                                              \
    return fn(a);
    F(SQRT, sqrt)
    F(EXP, exp)
    F(LOG, log)
    F(TANH, tanh)
    F(ERF, erf)
    F(SIN, sin)
    F(COS, cos)
    F(TAN, tan)
    F(ASIN, asin)
    F(ACOS, acos)
    F(ATAN, atan)
    F(SINH, sinh)
    F(COSH, cosh)
    F(ASINH, asinh)
    F(ACOSH, acosh)
    F(ATANH, atanh)
    F(FLOOR, floor)
    F(CEIL, ceil)
    F(TRUNC, trunc)
    F(RINT, nearbyint)
  }
  test_fail("no float function %s", ir_scalars[fn].text);
  return 0;
}

static uint64_t magnitude(int64_t v, bool is_signed) {
  return is_signed && v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
}

/* Division by magnitudes and signs, so that no case overflows. */
static int64_t divide(enum ir_scalar fn, int64_t a, int64_t b, bool sg) {
  uint64_t x = magnitude(a, sg), y = magnitude(b, sg);
  bool na = sg && a < 0, nb = sg && b < 0;
  if (y == 0)
    return 0;
  uint64_t q = x / y, r = x % y;
  if (fn == IR_S_DIV)
    return (int64_t)(na != nb ? 0 - q : q);
  if (fn == IR_S_MOD && r && na != nb) {
    r = y - r;
    na = !na;
  }
  return (int64_t)(na ? 0 - r : r);
}

static uint64_t power(uint64_t x, uint64_t y) {
  if (y == 0)
    return 1;
  uint64_t half = power(x, y / 2);
  return half * half * (y % 2 ? x : 1);
}

static int64_t int_call(enum ir_scalar fn, enum ir_dtype t, int64_t a,
                        int64_t b) {
  bool sg = ir_dtypes[t].kind == IR_SIGNED;
  uint64_t x = (uint64_t)a, y = (uint64_t)b;
  unsigned bits = ir_dtypes[t].bits;
  bool less = sg ? a < b : x < y;
  switch ((int)fn) {
  case IR_S_ADD:
    return (int64_t)(x + y);
  case IR_S_SUB:
    return (int64_t)(x - y);
  case IR_S_MUL:
    return (int64_t)(x * y);
  case IR_S_DIV:
  case IR_S_MOD:
  case IR_S_FMOD:
    return divide(fn, a, b, sg);
  case IR_S_POW:
    if (sg && b < 0)
      return a == 1;
    return (int64_t)power(x, y);
  case IR_S_MIN:
    return less ? a : b;
  case IR_S_MAX:
    return less ? b : a;
  case IR_S_ABS:
    return (int64_t)magnitude(a, sg);
  case IR_S_EQ:
    return a == b;
  case IR_S_LT:
    return less;
  case IR_S_LE:
    return less || a == b;
  case IR_S_AND:
    return a & b;
  case IR_S_OR:
    return a | b;
  case IR_S_XOR:
    return a ^ b;
  case IR_S_NOT:
    return t == IR_BOOL ? 1 - a : ~a;
  case IR_S_SHL:
    return y >= bits ? 0 : (int64_t)(x << y);
  case IR_S_SHR:
    if (y >= bits)
      return sg && a < 0 ? -1 : 0;
    return sg ? a >> y : (int64_t)(x >> y);
  }
  test_fail("no integer function %s", ir_scalars[fn].text);
  return 0;
}

static struct num cast(enum ir_dtype from, enum ir_dtype to, struct num v) {
  if (ir_is_float(from))
    return number(to, v.f);
  if (to == IR_BOOL)
    return (struct num){0, v.i != 0};
  if (!ir_is_float(to))
    return rounded(to, v);
  struct num r = {0, 0};
  if (to == IR_F32) /* straight to f32: no rounding twice */
    r.f = from == IR_U64 ? (double)(float)(uint64_t)v.i : (double)(float)v.i;
  else
    r.f = from == IR_U64 ? (double)(uint64_t)v.i : (double)v.i;
  return rounded(to, r);
}

/* ---- Accesses ---- */

static bool read_access(struct walker *w, int k, struct num *out);

static bool index_of(struct walker *w, const struct nest_index *x, int64_t dim,
                     int64_t *out) {
  struct num at;
  int64_t e = x->base;
  if (x->indirect >= 0) {
    if (!read_access(w, x->indirect, &at))
      return false;
    const struct ir_type *t =
        ir_arg(w->n->op, (unsigned)w->n->access[x->indirect].operand)->type;
    e = t->dtype == IR_U64 && at.i < 0 ? INT64_MAX : at.i;
    *out = e < 0 ? 0 : e >= dim ? dim - 1 : e;
    return true;
  }
  for (int i = 0; i < w->n->niters; i++)
    e += x->coef[i] * w->it[i];
  if (x->exact && e % x->div)
    return false;
  while (e % x->div)
    e--;
  e /= x->div;
  switch (x->fit) {
  case NEST_AS_IS:
    break;
  case NEST_CLAMP:
    e = e < 0 ? 0 : e >= dim ? dim - 1 : e;
    break;
  case NEST_REFLECT:
    while ((e < 0 || e >= dim) && dim > 1)
      e = e < 0 ? -e : 2 * (dim - 1) - e;
    e = dim == 1 ? 0 : e;
    break;
  case NEST_WRAP:
    while (e < 0)
      e += dim;
    e %= dim;
    break;
  }
  *out = e;
  return e >= 0 && e < dim;
}

static int64_t flat_position(const struct walker *w) {
  int64_t at = 0;
  for (int d = 0; d < w->n->type->rank; d++) {
    int64_t i = 0;
    for (int k = 0; k < w->n->y[d].n; k++)
      i += w->n->y[d].stride[k] * w->it[w->n->y[d].iter[k]];
    at = at * w->n->type->dim[d] + i;
  }
  return at;
}

static bool read_access(struct walker *w, int k, struct num *out) {
  const struct nest_access *a = &w->n->access[k];
  const struct nest *n = w->n;
  int operand = a->operand;
  int64_t at = 0, shift = 0, axis_iter = 0;
  if (n->axis >= 0) {
    axis_iter = n->y[n->axis].iter[0];
    while (w->it[axis_iter] >= n->start[operand + 1])
      operand++;
    shift = n->start[operand];
  }
  const struct ir_type *t = ir_arg(n->op, (unsigned)operand)->type;
  w->it[axis_iter] -= shift;
  bool inside = true;
  for (int d = 0; d < a->rank && !a->flat && inside; d++) {
    int64_t i = 0;
    inside = index_of(w, &a->idx[d], t->dim[d], &i);
    at = at * t->dim[d] + i;
  }
  w->it[axis_iter] += shift;
  if (a->flat)
    at = flat_position(w);
  if (inside)
    *out = load(t->dtype, (const char *)w->data[operand] +
                              at * ir_dtypes[t->dtype].bytes);
  else
    *out = number(t->dtype, n->outside);
  return true;
}

static struct num value(struct walker *w, int k, bool exact) {
  const struct nest_node *node = &w->n->node[k];
  struct num r = {0, 0}, arg[3];
  switch (node->kind) {
  case NEST_NUMBER:
    return number(node->type, node->number);
  case NEST_ITER:
    r.i = w->it[node->arg[0]];
    return cast(IR_I64, node->type, r);
  case NEST_ACCESS:
    read_access(w, node->arg[0], &r);
    return r;
  case NEST_CALL:
    break;
  }
  for (int i = 0; i < ir_scalars[node->fn].arity; i++)
    arg[i] = value(w, node->arg[i], false);
  enum ir_dtype t = w->n->node[node->arg[0]].type;
  if (node->fn == IR_S_SELECT)
    return arg[0].i ? arg[1] : arg[2];
  if (node->fn == IR_S_CAST)
    return cast(t, node->type, arg[0]);
  if (!ir_is_float(t))
    r.i = int_call(node->fn, t, arg[0].i, arg[1].i);
  else if (node->fn == IR_S_ISNAN)
    r.i = isnan(arg[0].f);
  else if (node->fn == IR_S_EQ)
    r.i = arg[0].f == arg[1].f;
  else if (node->fn == IR_S_LT)
    r.i = arg[0].f < arg[1].f;
  else if (node->fn == IR_S_LE)
    r.i = arg[0].f <= arg[1].f;
  else
    r.f = float_call(node->fn, arg[0].f, arg[1].f);
  return exact ? r : rounded(node->type, r);
}

static struct num fold(const struct nest *n, struct num acc, struct num v) {
  enum ir_dtype t = n->acc_type;
  static const enum ir_scalar fns[] = {IR_S_ADD, IR_S_ADD, IR_S_MUL, IR_S_MAX,
                                       IR_S_MIN};
  if (ir_is_float(t))
    acc.f = float_call(fns[n->fold], acc.f, v.f);
  else
    acc.i = int_call(fns[n->fold], t, acc.i, v.i);
  return acc;
}

/* All reduced points from iterator i on. */
static void reduce(struct walker *w, int i, struct num *acc) {
  while (i < w->n->niters && !w->n->iter[i].reduced)
    i++;
  if (i == w->n->niters) {
    struct num v = value(w, w->n->nnodes - 1, w->n->fold == NEST_SUM);
    *acc = w->n->fold == NEST_NONE ? v : fold(w->n, *acc, v);
    return;
  }
  if (i == w->n->behind) { /* a running fold: all of it, the farthest first */
    w->it[i] = w->n->type->dim[w->n->carried];
    while (w->it[i]-- > 0)
      reduce(w, i + 1, acc);
    return;
  }
  for (w->it[i] = 0; w->it[i] < w->n->iter[i].extent; w->it[i]++)
    reduce(w, i + 1, acc);
}

void naive_eval(const struct nest *n, const void *const *data, void *out) {
  struct walker w = {.n = n, .data = data};
  int64_t count = ir_type_count(n->type);
  static const double start[] = {0, 0, 1, -HUGE_VAL, HUGE_VAL};
  for (int64_t pos = 0; pos < count; pos++) {
    int64_t rest = pos;
    for (int d = n->type->rank; d-- > 0;) {
      int64_t i = rest % n->type->dim[d];
      rest /= n->type->dim[d];
      for (int k = 0; k < n->y[d].n; k++) {
        w.it[n->y[d].iter[k]] =
            i / n->y[d].stride[k] % n->iter[n->y[d].iter[k]].extent;
      }
    }
    struct num acc = number(n->acc_type, start[n->fold]);
    reduce(&w, 0, &acc);
    char *p = (char *)out + pos * ir_dtypes[n->type->dtype].bytes;
    if (ir_is_float(n->type->dtype))
      ir_store_float(n->type->dtype, p, acc.f);
    else
      ir_store_int(n->type->dtype, p, acc.i);
  }
}
