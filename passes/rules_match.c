/* rules_match.c - matches a rule against an op, and builds what replaces it. */
#include "passes/rules.h"

#include "passes/edit.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- Matching ---- */

static bool bind_value(struct rule_match *m, const char *name,
                       struct ir_value *v) {
  for (int i = 0; i < m->nvalues; i++)
    if (m->value[i].name == name)
      return m->value[i].value == v;
  assert(m->nvalues < RULE_BINDINGS && "rules.def: test/passes/rules.test");
  m->value[m->nvalues].name = name;
  m->value[m->nvalues++].value = v;
  return true;
}

static bool same_value(const struct sexpr_value *a,
                       const struct sexpr_value *b) {
  if (a->n != b->n || !a->s != !b->s)
    return false;
  return a->s ? !strcmp(a->s, b->s)
              : !memcmp(a->v, b->v,
                        sizeof *a->v * (size_t)(a->n < 0 ? 1 : a->n));
}

static bool bind_attr(struct rule_match *m, const char *name,
                      const struct sexpr_value *v) {
  for (int i = 0; i < m->nattrs; i++)
    if (m->attr[i].name == name)
      return same_value(&m->attr[i].value, v);
  assert(m->nattrs < RULE_BINDINGS && "rules.def: test/passes/rules.test");
  m->attr[m->nattrs].name = name;
  m->attr[m->nattrs++].value = *v;
  return true;
}

/* An attribute of an op, or its default, as a value. */
static bool attr_value(const struct ir_op *op, const char *name,
                       struct sexpr_value *out) {
  const struct ir_attr *a = ir_find_attr(op, name);
  struct ir_attr_spec spec;
  bool known = ir_op_attr_spec(op->code, name, strlen(name), &spec);
  assert(known && "rules.def: test/passes/rules.test");
  *out = (struct sexpr_value){.n = -1};
  switch (spec.kind) {
  case IR_A_INT:
    out->v[0] = (double)ir_get_int(op, name);
    return true;
  case IR_A_FLOAT:
    out->v[0] = ir_get_float(op, name);
    return true;
  case IR_A_STR:
    out->s = ir_get_str(op, name);
    return true;
  case IR_A_INTS:
    out->v[0] = (double)spec.i;
    if (a) {
      out->n = (int)a->n;
      if (a->n > SEXPR_LIST)
        return false;
      for (int i = 0; i < out->n; i++)
        out->v[i] = (double)a->is[i];
    }
    return true;
  case IR_A_RECORDS:
    break;
  }
  return false;
}

static bool mentions(const struct sexpr *node, const char *name) {
  for (int i = 0; i < node->nattrs; i++)
    if (!strcmp(node->attr[i].name, name))
      return true;
  return false;
}

static bool match_attrs(struct rule_match *m, const struct sexpr *node,
                        const struct ir_op *op) {
  for (unsigned i = 0; i < op->nattrs; i++)
    if (!mentions(node, op->attr[i].name) &&
        !edit_attr_is_default(op, &op->attr[i]))
      return false;
  for (int i = 0; i < node->nattrs; i++) {
    const struct sexpr *e = node->attr[i].expr;
    struct sexpr_value v;
    if (!attr_value(op, node->attr[i].name, &v))
      return false;
    if (e->kind == SEXPR_ATTR ? !bind_attr(m, e->name, &v)
                              : v.s || v.n >= 0 || v.v[0] != e->number)
      return false;
  }
  return true;
}

static bool match_number(const struct ir_value *v, double number) {
  if (!v->data || ir_type_count(v->type) == 0)
    return false;
  double first = ir_const_float(v, 0), all;
  return first == number && signbit(first) == signbit(number) &&
         ir_const_uniform(v, &all);
}

static bool match_op(struct rule_match *m, const struct sexpr *node,
                     struct ir_op *op);

static bool match_value(struct rule_match *m, const struct sexpr *node,
                        struct ir_value *v) {
  if (node->kind == SEXPR_NAME)
    return bind_value(m, node->name, v);
  if (node->kind == SEXPR_CONST)
    return v->data && bind_value(m, node->name, v);
  if (node->kind == SEXPR_NUMBER)
    return match_number(v, node->number);
  assert(node->kind == SEXPR_OP && "rules.def: test/passes/rules.test");
  if (!v->def || (int)v->def->code != node->code || v->type->quant)
    return false;
  assert(m->ninner < RULE_BINDINGS && "rules.def: test/passes/rules.test");
  m->inner[m->ninner++] = v->def;
  return match_op(m, node, v->def);
}

/* Matches operands in order; of a commutative op also swapped. */
static bool match_operands(struct rule_match *m, const struct sexpr *node,
                           const struct ir_op *op, bool swap) {
  assert((!swap || node->nargs == 2) && "match_op() swaps two");
  for (int i = 0; i < node->nargs; i++)
    if (!match_value(m, node->arg[i], ir_arg(op, (unsigned)(swap ? 1 - i : i))))
      return false;
  return true;
}

static bool match_op(struct rule_match *m, const struct sexpr *node,
                     struct ir_op *op) {
  if (op->noperands != (unsigned)node->nargs || op->nresults != 1 ||
      !match_attrs(m, node, op))
    return false;
  struct rule_match saved = *m;
  if (match_operands(m, node, op, false))
    return true;
  if (!(ir_ops[op->code].traits & IR_COMMUTES) || node->nargs != 2)
    return false;
  *m = saved;
  return match_operands(m, node, op, true);
}

/* ---- What names stand for ---- */

/* `result` is the matched value. */
static struct ir_value *value_named(void *self, const char *name) {
  const struct rule_match *m = self;
  for (int i = 0; i < m->nvalues; i++)
    if (m->value[i].name == name)
      return m->value[i].value;
  assert(!strcmp(name, "result") &&
         "rules.def binds what it uses: test/passes/rules.test");
  return ir_result(m->root);
}

static bool attr_named(void *self, const char *name, struct sexpr_value *out) {
  const struct rule_match *m = self;
  for (int i = 0; i < m->nattrs; i++) {
    if (m->attr[i].name == name) {
      *out = m->attr[i].value;
      return true;
    }
  }
  assert(!"rules.def binds what it uses: test/passes/rules.test");
  return false;
}

static struct sexpr_env env_of(struct rule_match *m) {
  return (struct sexpr_env){m, value_named, attr_named};
}

static unsigned type_bit(enum ir_dtype t) {
  switch (ir_dtypes[t].kind) {
  case IR_FLOAT:
    return RULE_FLOAT;
  case IR_SIGNED:
  case IR_UNSIGNED:
    return RULE_INT;
  case IR_LOGIC:
    break;
  }
  return RULE_BOOL;
}

bool rule_matches(const struct rule *r, struct ir_op *op,
                  struct rule_match *m) {
  m->root = op;
  m->nvalues = m->nattrs = m->ninner = 0;
  if (op->nresults != 1 || ir_result(op)->type->quant)
    return false;
  if (r->types &&
      (!op->noperands || !(r->types & type_bit(ir_arg(op, 0)->type->dtype))))
    return false;
  if (!match_op(m, r->from, op))
    return false;
  for (int i = 0; r->once && i < m->ninner; i++) {
    assert(ir_result(m->inner[i])->uses && "the pattern reads its inner ops");
    if (ir_result(m->inner[i])->uses->next)
      return false;
  }
  for (int i = 0; i < r->nconds; i++) {
    struct sexpr_value v;
    struct sexpr_env env = env_of(m);
    if (!sexpr_eval(&env, r->cond[i], &v) || !sexpr_is_true(&v))
      return false;
  }
  return true;
}

/* ---- Building ---- */

static struct ir_value *emit(void *self, enum ir_opcode code,
                             struct ir_value *const *args, size_t nargs,
                             const struct ir_attr *attrs, size_t nattrs) {
  struct rule_match *m = self;
  struct ir_value *v = ir_emit(&m->at, code, args, nargs, attrs, nattrs);
  if (v) {
    assert(m->nmade < RULE_BINDINGS && "rules.def: test/passes/rules.test");
    m->made[m->nmade++] = v->def;
  }
  return v;
}

/* A number that is the replacement has its type. */
static struct ir_value *number(void *self, const struct ir_value *like,
                               const char *to, const struct sexpr_value *v) {
  const struct rule_match *m = self;
  const struct ir_type *t = like
                                ? ir_type(m->at.m->ctx, like->type->dtype, 0, 0)
                                : ir_result(m->root)->type;
  return ir_type_is_static(t) && v->n < 0 && !to
             ? ir_const_splat(m->at.m, NULL, t, v->v[0])
             : NULL;
}

struct ir_value *rule_build(const struct rule *r, struct rule_match *m,
                            bool *fresh) {
  assert(m->root && m->root->block && "rule_matches() has set it");
  struct sexpr_builder builder = {
      .env = env_of(m), .emit = emit, .number = number};
  m->at = edit_before(m->root);
  m->nmade = 0;
  const struct ir_type *type = ir_result(m->root)->type;
  *fresh = r->to->kind != SEXPR_NAME && r->to->kind != SEXPR_CONST;
  struct ir_value *v = sexpr_build(&builder, r->to);
  if (v && v->type == type)
    return v;
  while (m->nmade > 0)
    ir_op_remove(m->made[--m->nmade]);
  return NULL;
}
