/* rules_match.c - matches a rule against an op, and builds what replaces it. */
#include "passes/rules.h"

#include "passes/edit.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- Matching ---- */

static bool bind_value(struct rule_match *m, char name, struct ir_value *v) {
  for (int i = 0; i < m->nvalues; i++)
    if (m->value[i].name == name)
      return m->value[i].value == v;
  assert(m->nvalues < RULE_BINDINGS && "rules.def: test/passes/rules.test");
  m->value[m->nvalues].name = name;
  m->value[m->nvalues++].value = v;
  return true;
}

static bool same_value(const struct rule_value *a, const struct rule_value *b) {
  if (a->n != b->n || !a->s != !b->s)
    return false;
  return a->s ? !strcmp(a->s, b->s)
              : !memcmp(a->v, b->v,
                        sizeof *a->v * (size_t)(a->n < 0 ? 1 : a->n));
}

static bool bind_attr(struct rule_match *m, char name,
                      const struct rule_value *v) {
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
                       struct rule_value *out) {
  const struct ir_attr *a = ir_find_attr(op, name);
  struct ir_attr_spec specs[IR_MAX_ATTRS];
  int n = ir_op_attr_specs(op->code, specs), k = 0;
  while (k < n && strcmp(specs[k].name, name))
    k++;
  assert(k < n && "rules.def: test/passes/rules.test");
  *out = (struct rule_value){.n = -1};
  switch (specs[k].kind) {
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
    out->v[0] = (double)specs[k].i;
    if (a) {
      out->n = (int)a->n;
      if (a->n > RULE_LIST)
        return false;
      for (int i = 0; i < out->n; i++)
        out->v[i] = (double)a->is[i];
    }
    return true;
  case IR_A_FLOATS:
    break;
  }
  return false;
}

static bool mentions(const struct rule_node *node, const char *name) {
  for (int i = 0; i < node->nattrs; i++)
    if (!strcmp(node->attr[i].name, name))
      return true;
  return false;
}

static bool match_attrs(struct rule_match *m, const struct rule_node *node,
                        const struct ir_op *op) {
  for (unsigned i = 0; i < op->nattrs; i++)
    if (!mentions(node, op->attr[i].name) &&
        !edit_attr_is_default(op, &op->attr[i]))
      return false;
  for (int i = 0; i < node->nattrs; i++) {
    const struct rule_expr *e = node->attr[i].expr;
    struct rule_value v;
    if (!attr_value(op, node->attr[i].name, &v))
      return false;
    if (e->kind == RULE_E_ATTR ? !bind_attr(m, e->name, &v)
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

static bool match_op(struct rule_match *m, const struct rule_node *node,
                     struct ir_op *op);

static bool match_value(struct rule_match *m, const struct rule_node *node,
                        struct ir_value *v) {
  switch (node->kind) {
  case RULE_ANY:
    return bind_value(m, node->name, v);
  case RULE_CONST:
    return v->data && bind_value(m, node->name, v);
  case RULE_NUMBER:
    return match_number(v, node->number);
  case RULE_OP:
    break;
  }
  if (!v->def || v->def->code != node->code || v->type->quant)
    return false;
  assert(m->ninner < RULE_BINDINGS && "rules.def: test/passes/rules.test");
  m->inner[m->ninner++] = v->def;
  return match_op(m, node, v->def);
}

/* Operands in order, or the two of a commutative op the other way round. */
static bool match_operands(struct rule_match *m, const struct rule_node *node,
                           const struct ir_op *op, bool swap) {
  for (int i = 0; i < node->nargs; i++)
    if (!match_value(m, node->arg[i], ir_arg(op, (unsigned)(swap ? 1 - i : i))))
      return false;
  return true;
}

static bool match_op(struct rule_match *m, const struct rule_node *node,
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
  for (int i = 0; r->once && i < m->ninner; i++)
    if (ir_result(m->inner[i])->uses->next)
      return false;
  for (int i = 0; i < r->nconds; i++) {
    struct rule_value v;
    if (!rule_eval(m, r->cond[i], &v) || !rule_is_true(&v))
      return false;
  }
  return true;
}

/* ---- Building ---- */

struct build {
  const struct rule_match *m;
  struct ir_builder at;
  struct ir_op *made[RULE_BINDINGS];
  int nmade;
};

/* false when the value does not fit the attribute; `*given` is left false for a
 * list that is its default throughout. */
static bool make_attr(const struct rule_match *m, enum ir_opcode code,
                      const char *name, const struct rule_expr *e,
                      int64_t *list, struct ir_attr *out, bool *given) {
  struct rule_value v;
  if (!rule_eval(m, e, &v))
    return false;
  struct ir_attr_spec specs[IR_MAX_ATTRS];
  int n = ir_op_attr_specs(code, specs), k = 0;
  while (k < n && strcmp(specs[k].name, name))
    k++;
  assert(k < n && "rules.def: test/passes/rules.test");
  *given = true;
  for (int i = 0;
       specs[k].kind != IR_A_FLOAT && !v.s && i < (v.n < 0 ? 1 : v.n); i++)
    if (!(fabs(v.v[i]) < 0x1p53))
      return false;
  switch (specs[k].kind) {
  case IR_A_INT:
    *out = ir_int(name, (int64_t)v.v[0]);
    return v.n < 0 && !v.s;
  case IR_A_FLOAT:
    *out = ir_float(name, v.v[0]);
    return v.n < 0 && !v.s;
  case IR_A_STR:
    *out = ir_str(name, v.s);
    return v.s != NULL;
  case IR_A_INTS:
    *given = v.n >= 0;
    for (int i = 0; i < v.n; i++)
      list[i] = (int64_t)v.v[i];
    *out = ir_ints(name, list, v.n);
    return v.n >= 0 || v.v[0] == (double)specs[k].i;
  case IR_A_FLOATS:
    break;
  }
  return false;
}

static struct ir_value *build_value(struct build *b,
                                    const struct rule_node *node,
                                    const struct ir_type *type);

static struct ir_value *build_op(struct build *b,
                                 const struct rule_node *node) {
  struct ir_value *arg[RULE_ARGS];
  struct ir_attr attr[RULE_ATTRS];
  int64_t list[RULE_ATTRS][RULE_LIST];
  size_t nattrs = 0;
  for (int i = 0; i < node->nattrs; i++) {
    bool given;
    if (!make_attr(b->m, node->code, node->attr[i].name, node->attr[i].expr,
                   list[i], &attr[nattrs], &given))
      return NULL;
    nattrs += given;
  }
  enum ir_dtype dtype = ir_arg(b->m->root, 0)->type->dtype;
  const struct ir_type *scalar = ir_type(b->at.m->ctx, dtype, 0, NULL);
  for (int i = 0; i < node->nargs; i++)
    if (!(arg[i] = build_value(b, node->arg[i], scalar)))
      return NULL;
  struct ir_value *v =
      ir_emit(&b->at, node->code, arg, (size_t)node->nargs, attr, nattrs);
  if (v) {
    assert(b->nmade < RULE_BINDINGS && "rules.def: test/passes/rules.test");
    b->made[b->nmade++] = v->def;
  }
  return v;
}

/* `type` is that of a number. */
static struct ir_value *build_value(struct build *b,
                                    const struct rule_node *node,
                                    const struct ir_type *type) {
  switch (node->kind) {
  case RULE_ANY:
  case RULE_CONST:
    return rule_value_named(b->m, node->name);
  case RULE_NUMBER:
    return ir_type_is_static(type)
               ? ir_const_splat(b->at.m, NULL, type, node->number)
               : NULL;
  case RULE_OP:
    break;
  }
  return build_op(b, node);
}

struct ir_value *rule_build(const struct rule *r, const struct rule_match *m,
                            bool *fresh) {
  struct build b = {.m = m, .at = edit_before(m->root)};
  const struct ir_type *type = ir_result(m->root)->type;
  *fresh = r->to->kind != RULE_ANY && r->to->kind != RULE_CONST;
  struct ir_value *v = build_value(&b, r->to, type);
  if (v && v->type == type)
    return v;
  while (b.nmade > 0)
    ir_op_remove(b.made[--b.nmade]);
  return NULL;
}
