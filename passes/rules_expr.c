/* rules_expr.c - expressions of rules over attributes and shapes. Values are
 * numbers or lists of numbers; a number stands beside a list for a list of its
 * length. Doubles hold every attribute exactly: integers are below 2^40. */
#include "passes/rules.h"

#include "passes/edit.h"

#include <assert.h>
#include <math.h>
#include <string.h>

struct ir_value *rule_value_named(const struct rule_match *m, char name) {
  for (int i = 0; i < m->nvalues; i++)
    if (m->value[i].name == name)
      return m->value[i].value;
  assert(!"rules.def binds what it uses: test/passes/rules.test");
  return NULL;
}

static bool attr_named(const struct rule_match *m, char name,
                       struct rule_value *out) {
  for (int i = 0; i < m->nattrs; i++) {
    if (m->attr[i].name == name) {
      *out = m->attr[i].value;
      return true;
    }
  }
  assert(!"rules.def binds what it uses: test/passes/rules.test");
  return false;
}

bool rule_is_true(const struct rule_value *v) {
  int n = v->n < 0 ? 1 : v->n;
  for (int i = 0; i < n; i++)
    if (v->v[i] == 0)
      return false;
  return true;
}

static double element(const struct rule_value *v, int i) {
  return v->v[v->n < 0 ? 0 : i];
}

/* The common length of numbers and lists, or false. */
static bool common_length(const struct rule_value *v, int n, int *out) {
  *out = -1;
  for (int i = 0; i < n; i++) {
    if (v[i].s || (v[i].n >= 0 && *out >= 0 && v[i].n != *out))
      return false;
    if (v[i].n >= 0)
      *out = v[i].n;
  }
  return true;
}

static double scalar_fn(enum rule_fn fn, double a, double b, double c) {
  switch (fn) {
  case RULE_FN_ADD:
    return a + b;
  case RULE_FN_MUL:
    return a * b;
  case RULE_FN_MIN:
    return a < b ? a : b;
  case RULE_FN_MAX:
    return a > b ? a : b;
  case RULE_FN_EQ:
    return a == b;
  case RULE_FN_LT:
    return a < b;
  case RULE_FN_LE:
    return a <= b;
  case RULE_FN_IF:
    return a != 0 ? b : c;
  case RULE_FN_AT:
  case RULE_FN_UNION:
  case RULE_FN_SHAPE:
  case RULE_FN_DIMS:
  case RULE_FN_INDEX:
  case RULE_FN_COUNT:
  case RULE_FN_VALUE:
  case RULE_FN_POW2:
  case RULE_FN_LOSSLESS:
  case RULE_FN_MOVES_UNITS:
  case RULE_NUM_FNS:
    break;
  }
  assert(!"the caller has taken the other functions");
  return 0;
}

static bool elementwise(enum rule_fn fn, const struct rule_value *arg, int n,
                        struct rule_value *out) {
  if (!common_length(arg, n, &out->n))
    return false;
  for (int i = 0; i < (out->n < 0 ? 1 : out->n); i++)
    out->v[i] = scalar_fn(fn, element(&arg[0], i), element(&arg[1], i),
                          n > 2 ? element(&arg[2], i) : 0);
  return true;
}

static bool pick(const struct rule_value *list, const struct rule_value *at,
                 struct rule_value *out) {
  out->n = at->n;
  for (int i = 0; i < (at->n < 0 ? 1 : at->n); i++) {
    if (!(at->v[i] >= 0 && at->v[i] < list->n))
      return false;
    out->v[i] = list->v[(int)at->v[i]];
  }
  return true;
}

static bool unite(const struct rule_value *a, const struct rule_value *b,
                  struct rule_value *out) {
  *out = *a;
  for (int i = 0; i < b->n; i++) {
    int k = 0;
    while (k < out->n && out->v[k] != b->v[i])
      k++;
    if (k == RULE_LIST)
      return false;
    out->v[k] = b->v[i];
    if (k == out->n)
      out->n++;
  }
  return true;
}

static bool dims_of(const struct ir_type *type, struct rule_value *out) {
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
  int limit = c->type->dtype == IR_F16 ? 14 : 126;
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
  switch (t) {
  case IR_BOOL:
    return 1;
  case IR_I8:
  case IR_I16:
  case IR_I32:
  case IR_I64:
    return ir_dtypes[t].bits - 1;
  case IR_U8:
  case IR_U16:
  case IR_U32:
  case IR_U64:
    return ir_dtypes[t].bits;
  case IR_F64:
  case IR_F32:
  case IR_F16:
  case IR_BF16:
  case IR_NUM_DTYPES:
    break;
  }
  return 0;
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
  if (a == IR_FLOAT) /* f16 and bf16 differ in range */
    return ir_dtypes[to].bits > ir_dtypes[from].bits;
  return digits(to) >= digits(from);
}

static bool tensor_fn(enum rule_fn fn, const struct ir_value *x,
                      struct rule_value *out) {
  out->n = -1;
  switch (fn) {
  case RULE_FN_DIMS:
    return dims_of(x->type, out);
  case RULE_FN_INDEX:
    out->n = x->type->rank;
    for (int d = 0; d < out->n; d++)
      out->v[d] = d;
    return true;
  case RULE_FN_COUNT:
    out->v[0] =
        ir_type_is_static(x->type) ? (double)ir_type_count(x->type) : -1;
    return true;
  case RULE_FN_VALUE:
    return x->data && ir_const_uniform(x, &out->v[0]);
  case RULE_FN_POW2:
    out->v[0] = is_pow2(x);
    return true;
  case RULE_FN_ADD:
  case RULE_FN_MUL:
  case RULE_FN_MIN:
  case RULE_FN_MAX:
  case RULE_FN_EQ:
  case RULE_FN_LT:
  case RULE_FN_LE:
  case RULE_FN_IF:
  case RULE_FN_AT:
  case RULE_FN_UNION:
  case RULE_FN_SHAPE:
  case RULE_FN_LOSSLESS:
  case RULE_FN_MOVES_UNITS:
  case RULE_NUM_FNS:
    break;
  }
  assert(!"the caller has taken the other functions");
  return false;
}

static bool moves_units(const struct ir_type *type,
                        const struct rule_value *perm, struct rule_value *out) {
  int64_t p[IR_MAX_RANK];
  if (!ir_type_is_static(type) || perm->n != type->rank)
    return false;
  for (int d = 0; d < perm->n; d++)
    p[d] = (int64_t)perm->v[d];
  out->n = -1;
  out->v[0] = edit_perm_is_view(type, p);
  return true;
}

/* Functions whose first argument is a value of the graph. */
static bool eval_tensor(const struct rule_match *m, const struct rule_expr *e,
                        struct rule_value *out) {
  assert(e->arg[0]->kind == RULE_E_VALUE && "rules.c reads a value here");
  const struct ir_value *x = rule_value_named(m, e->arg[0]->name);
  if (!e->arg[1])
    return tensor_fn(e->fn, x, out);
  struct rule_value arg;
  if (!rule_eval(m, e->arg[1], &arg))
    return false;
  if (e->fn == RULE_FN_MOVES_UNITS)
    return moves_units(x->type, &arg, out);
  enum ir_dtype to;
  if (!arg.s || !ir_dtype_find(arg.s, &to))
    return false;
  out->n = -1;
  out->v[0] = is_lossless(x->type->dtype, to);
  return true;
}

bool rule_eval(const struct rule_match *m, const struct rule_expr *e,
               struct rule_value *out) {
  out->s = NULL;
  if (e->kind == RULE_E_ATTR)
    return attr_named(m, e->name, out);
  if (e->kind == RULE_E_NUMBER) {
    out->n = -1;
    out->v[0] = e->number;
    return true;
  }
  assert(e->kind == RULE_E_CALL && "the other kinds are above");
  if (e->fn == RULE_FN_SHAPE)
    return dims_of(ir_result(m->root)->type, out);
  if (e->arg[0]->kind == RULE_E_VALUE)
    return eval_tensor(m, e, out);
  struct rule_value arg[RULE_ARGS];
  int n = 0;
  for (; n < RULE_ARGS && e->arg[n]; n++)
    if (!rule_eval(m, e->arg[n], &arg[n]))
      return false;
  if (e->fn == RULE_FN_AT)
    return pick(&arg[0], &arg[1], out);
  if (e->fn == RULE_FN_UNION)
    return unite(&arg[0], &arg[1], out);
  return elementwise(e->fn, arg, n, out);
}
