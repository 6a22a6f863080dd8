/* sexpr_eval.c - evaluates expressions of s-expressions. Values are numbers or
 * lists of numbers; a number stands beside a list for a list of its length.
 * Doubles hold every attribute exactly: integers are below 2^40. */
#include "ir/sexpr.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static int length(const struct sexpr_value *v) { return v->n < 0 ? 1 : v->n; }

static bool number(struct sexpr_value *out, double v) {
  *out = sexpr_number(v);
  return true;
}

bool sexpr_is_true(const struct sexpr_value *v) {
  for (int i = 0; i < length(v); i++)
    if (v->v[i] == 0)
      return false;
  return true;
}

static double element(const struct sexpr_value *v, int i) {
  return v->v[v->n < 0 ? 0 : i];
}

/* The common length of numbers and lists, or false. */
static bool common_length(const struct sexpr_value *v, int n, int *out) {
  *out = -1;
  for (int i = 0; i < n; i++) {
    if (v[i].s || (v[i].n >= 0 && *out >= 0 && v[i].n != *out))
      return false;
    if (v[i].n >= 0)
      *out = v[i].n;
  }
  return true;
}

/* Element by element; false: the function is none of these. */
static bool scalar_fn(enum sexpr_fn fn, double a, double b, double c,
                      double *out) {
  const double v[] = {
      [SEXPR_FN_ADD] = a + b,         [SEXPR_FN_SUB] = a - b,
      [SEXPR_FN_MUL] = a * b,         [SEXPR_FN_DIV] = a / b,
      [SEXPR_FN_MOD] = fmod(a, b),    [SEXPR_FN_MIN] = a < b ? a : b,
      [SEXPR_FN_MAX] = a > b ? a : b, [SEXPR_FN_EQ] = a == b,
      [SEXPR_FN_LT] = a < b,          [SEXPR_FN_LE] = a <= b,
      [SEXPR_FN_IF] = a != 0 ? b : c, [SEXPR_FN_QUO] = floor(a / b)};
  if (fn >= DN_COUNT(v))
    return false;
  *out = v[fn];
  return true;
}

static bool elementwise(enum sexpr_fn fn, const struct sexpr_value *arg, int n,
                        struct sexpr_value *out) {
  if (fn == SEXPR_FN_EQ && arg[0].s && arg[1].s)
    return number(out, !strcmp(arg[0].s, arg[1].s));
  if (!common_length(arg, n, &out->n))
    return false;
  for (int i = 0; i < length(out); i++)
    if (!scalar_fn(fn, element(&arg[0], i), element(&arg[1], i),
                   n > 2 ? element(&arg[2], i) : 0, &out->v[i]))
      return false;
  return true;
}

/* ---- Lists ---- */

static bool push(struct sexpr_value *list, double v) {
  assert(list->n >= 0 && "lists alone grow");
  if (list->n == SEXPR_LIST)
    return false;
  list->v[list->n++] = v;
  return true;
}

static bool holds(const struct sexpr_value *list, double v) {
  for (int i = 0; i < length(list); i++)
    if (list->v[i] == v)
      return true;
  return false;
}

static bool pick(const struct sexpr_value *list, const struct sexpr_value *at,
                 struct sexpr_value *out) {
  out->n = at->n;
  for (int i = 0; i < length(at); i++) {
    if (!(at->v[i] >= 0 && at->v[i] < list->n))
      return false;
    out->v[i] = list->v[(int)at->v[i]];
  }
  return true;
}

static bool list_fn(enum sexpr_fn fn, const struct sexpr_value *arg,
                    struct sexpr_value *out) {
  const struct sexpr_value *a = &arg[0], *b = &arg[1];
  bool fits = true;
  out->n = 0;
  switch ((int)fn) {
  case SEXPR_FN_AT:
    return pick(a, b, out);
  case SEXPR_FN_UNION:
    *out = *a;
    for (int i = 0; i < length(b) && fits; i++)
      fits = holds(out, b->v[i]) || push(out, b->v[i]);
    return fits;
  case SEXPR_FN_DROP:
    for (int i = 0; i < a->n; i++)
      if (!holds(b, i))
        push(out, a->v[i]);
    return true;
  case SEXPR_FN_JOIN:
    for (int k = 0; k < 2; k++)
      for (int i = 0; i < length(&arg[k]) && fits; i++)
        fits = push(out, arg[k].v[i]);
    return fits;
  case SEXPR_FN_FILL:
    for (int i = 0; i < a->v[0] && fits; i++)
      fits = push(out, b->v[0]);
    return fits;
  case SEXPR_FN_FROM:
    for (double i = a->v[0]; i < b->v[0] && fits; i++)
      fits = push(out, i);
    return fits;
  case SEXPR_FN_ZIP:
    for (int i = 0; i < a->n && fits; i++)
      fits = i < b->n && push(out, a->v[i]) && push(out, b->v[i]);
    return fits;
  case SEXPR_FN_PUT:
    *out = *a;
    for (int i = 0; i < length(b) && fits; i++)
      if ((fits = b->v[i] >= 0 && b->v[i] < a->n))
        out->v[(int)b->v[i]] = element(&arg[2], i);
    return fits;
  case SEXPR_FN_INSERT:
    for (int k = 0; fits && (k < a->n || holds(b, out->n));)
      fits = push(out, holds(b, out->n) ? arg[2].v[0] : a->v[k++]);
    return fits && out->n == a->n + length(b);
  case SEXPR_FN_STRIDES:
    out->n = a->n;
    for (int i = a->n; i-- > 0;)
      out->v[i] = i + 1 < a->n ? out->v[i + 1] * a->v[i + 1] : 1;
    return true;
  case SEXPR_FN_PROD:
  case SEXPR_FN_SUM:
    *out = sexpr_number(fn == SEXPR_FN_PROD);
    for (int i = 0; i < length(a); i++)
      out->v[0] =
          fn == SEXPR_FN_PROD ? out->v[0] * a->v[i] : out->v[0] + a->v[i];
    return true;
  case SEXPR_FN_SQRT:
    return number(out, sqrt(a->v[0]));
  case SEXPR_FN_LEN:
    return number(out, length(a));
  }
  return elementwise(fn, arg, fn == SEXPR_FN_IF ? 3 : 2, out);
}

/* ---- Values of the graph ---- */

static bool dims_of(const struct ir_type *type, struct sexpr_value *out) {
  if (!ir_type_is_static(type))
    return false;
  out->n = type->rank;
  for (int d = 0; d < type->rank; d++)
    out->v[d] = (double)type->dim[d];
  return true;
}

static double is_pow2(const struct ir_value *c) {
  int64_t n = c->data && !c->data->bytes ? 1 : ir_type_count(c->type);
  if (!c->data || !ir_is_float(c->type->dtype))
    return 0;
  /* Exponents whose reciprocals are normal numbers of the type too. */
  const struct ir_float_format *format = ir_float_format(c->type->dtype);
  int limit = format ? (int)format->bias - 1 : 126;
  for (int64_t i = 0; i < n; i++) {
    int exp;
    double f = frexp(ir_const_float(c, i), &exp);
    if (fabs(f) != 0.5 || exp - 1 > limit || exp - 1 < -limit)
      return 0;
  }
  return 1;
}

/* Bits of an integer's magnitude. */
static unsigned digits(enum ir_dtype t) {
  return t == IR_BOOL ? 1
                      : ir_dtypes[t].bits - (ir_dtypes[t].kind == IR_SIGNED);
}

static bool is_lossless(enum ir_dtype from, enum ir_dtype to) {
  enum ir_kind a = ir_dtypes[from].kind, b = ir_dtypes[to].kind;
  if (from == to)
    return true;
  /* Not integer to float: what follows may be a cast back, which saturates,
   * where that of the integer wraps. */
  if (b == IR_LOGIC || (a == IR_SIGNED && b == IR_UNSIGNED) ||
      (a == IR_FLOAT) != (b == IR_FLOAT))
    return false;
  if (a == IR_FLOAT) /* small ones differ in range */
    return !ir_is_small_float(to) && ir_dtypes[to].bits > ir_dtypes[from].bits;
  return digits(to) >= digits(from);
}

static bool moves_units(const struct ir_type *type,
                        const struct sexpr_value *perm, double *out) {
  int64_t p[IR_MAX_RANK];
  if (!ir_type_is_static(type) || perm->n != type->rank)
    return false;
  for (int d = 0; d < perm->n; d++)
    p[d] = dn_int(perm->v[d]);
  *out = ir_perm_is_view(type, p);
  return true;
}

/* Functions whose first argument is a value of the graph. */
static bool tensor_fn(enum sexpr_fn fn, const struct ir_value *x,
                      const struct sexpr_value *arg, struct sexpr_value *out) {
  const struct ir_type *t = x->type;
  enum ir_dtype to;
  *out = sexpr_number(0);
  switch ((int)fn) {
  case SEXPR_FN_DIMS:
    return dims_of(t, out);
  case SEXPR_FN_RANK:
    return number(out, t->rank);
  case SEXPR_FN_TYPE:
    out->s = ir_dtypes[t->dtype].text;
    return true;
  case SEXPR_FN_IS_FLOAT:
    return number(out, ir_is_float(t->dtype));
  case SEXPR_FN_INDEX:
    out->n = t->rank;
    for (int d = 0; d < out->n; d++)
      out->v[d] = d;
    return true;
  case SEXPR_FN_COUNT:
    return number(out, ir_type_is_static(t) ? (double)ir_type_count(t) : -1);
  case SEXPR_FN_VALUES:
    out->n =
        x->data && ir_type_count(t) <= SEXPR_LIST ? (int)ir_type_count(t) : -1;
    for (int i = 0; i < out->n; i++)
      out->v[i] = ir_is_float(t->dtype) ? ir_const_float(x, i)
                                        : (double)ir_const_int(x, i);
    return out->n >= 0;
  case SEXPR_FN_VALUE:
    return x->data && ir_const_uniform(x, &out->v[0]);
  case SEXPR_FN_POW2:
    return number(out, is_pow2(x));
  case SEXPR_FN_MOVES_UNITS:
    return moves_units(t, arg, &out->v[0]);
  case SEXPR_FN_LOSSLESS:
    if (!arg->s || !ir_dtype_find(arg->s, &to))
      return false;
    return number(out, is_lossless(t->dtype, to));
  }
  return false;
}

static bool is_given(const struct sexpr_env *env, const struct sexpr *e) {
  struct sexpr_value v;
  return e->kind == SEXPR_NAME ? env->value(env->self, e->name) != NULL
                               : sexpr_eval(env, e, &v);
}

static bool eval_fn(const struct sexpr_env *env, const struct sexpr *e,
                    struct sexpr_value *out) {
  assert(e->nargs >= 1 && e->nargs <= 3 &&
         "functions take one to three arguments: sexpr.h");
  struct sexpr_value arg[3];
  bool tensor = e->arg[0]->kind == SEXPR_NAME;
  if (e->fn == SEXPR_FN_GIVEN)
    return number(out, is_given(env, e->arg[0]));
  for (int i = tensor; i < e->nargs; i++) {
    if (!sexpr_eval(env, e->arg[i], &arg[i]))
      return false;
    if (e->fn == SEXPR_FN_IF && i == 0 && arg[0].n < 0) /* one is enough */
      return sexpr_eval(env, e->arg[arg[0].v[0] != 0 ? 1 : 2], out);
  }
  if (!tensor)
    return list_fn(e->fn, arg, out);
  const struct ir_value *x = env->value(env->self, e->arg[0]->name);
  return x && tensor_fn(e->fn, x, &arg[1], out);
}

bool sexpr_eval(const struct sexpr_env *env, const struct sexpr *e,
                struct sexpr_value *out) {
  out->s = NULL;
  switch (e->kind) {
  case SEXPR_NUMBER:
    return number(out, e->number);
  case SEXPR_TEXT:
    *out = (struct sexpr_value){.n = -1, .s = e->name};
    return true;
  case SEXPR_ATTR:
    return env->attr(env->self, e->name, out);
  case SEXPR_FN:
    return eval_fn(env, e, out);
  case SEXPR_IF: /* of two numbers */
    return sexpr_eval(env, e->arg[0], out) &&
           sexpr_eval(env, e->arg[sexpr_is_true(out) ? 1 : 2], out);
  case SEXPR_NAME:
  case SEXPR_CONST:
  case SEXPR_OP:
  case SEXPR_OTHER:
    break;
  }
  return false;
}

/* ---- Attributes ---- */

bool sexpr_to_attr(const struct sexpr_attr *attr, const struct sexpr_value *v,
                   int64_t *list, struct ir_attr *out, bool *given) {
  const char *name = attr->name;
  enum ir_attr_kind kind = attr->spec.kind;
  *given = true;
  for (int i = 0; kind != IR_A_FLOAT && !v->s && i < length(v); i++)
    if (!(fabs(v->v[i]) < 0x1p53))
      return false;
  switch (kind) {
  case IR_A_INT:
    *out = ir_int(name, dn_int(v->v[0]));
    return v->n < 0 && !v->s;
  case IR_A_FLOAT:
    *out = ir_float(name, v->v[0]);
    return v->n < 0 && !v->s;
  case IR_A_STR:
    *out = ir_str(name, v->s);
    return v->s != NULL;
  case IR_A_INTS:
    *given = v->n >= 0;
    for (int i = 0; i < v->n; i++)
      list[i] = dn_int(v->v[i]);
    *out = ir_ints(name, list, v->n);
    return v->n >= 0 || v->v[0] == (double)attr->spec.i;
  case IR_A_RECORDS:
    break;
  }
  return false;
}
