/* nest_map.c - MAP rows: an s-expression over operands that broadcast from the
 * right, attributes and numbers. Numbers and attributes take the type of what
 * they stand beside. */
#include "ir/nest_map.h"

#include <assert.h>
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct ir_scalar_row ir_scalars[IR_NUM_SCALARS] = {
#define SCALAR(ID, text, arity, result, types, meaning)                        \
  {text, arity, IR_R_##result, #types, meaning},
#include "ir/scalars.def"
#undef SCALAR
};

int nest_put_node(struct nest_expr *p, struct nest_node node) {
  assert(p->nnodes <= NEST_MAX_NODES &&
         "the check below holds from the first node on");
  if (p->nnodes == NEST_MAX_NODES) {
    p->error = "the body is too long";
    return 0;
  }
  p->node[p->nnodes] = node;
  return p->nnodes++;
}

/* Types are found after parsing; IR_NUM_DTYPES is "not yet known". */
static int parse_name(struct nest_expr *p, const char *s, size_t len) {
  struct nest_node node = {.kind = NEST_NUMBER, .type = IR_NUM_DTYPES};
  if (dn_word(ir_ops[p->code].operands, s, len, &node.arg[0])) {
    node.kind = NEST_ACCESS;
    if (p->op)
      node.type = ir_arg(p->op, (unsigned)node.arg[0])->type->dtype;
    return nest_put_node(p, node);
  }
  struct ir_attr_spec spec;
  if (ir_op_attr_spec(p->code, s, len, &spec)) {
    if (p->op)
      node.number = spec.kind == IR_A_FLOAT
                        ? ir_get_float(p->op, spec.name)
                        : (double)ir_get_int(p->op, spec.name);
    return nest_put_node(p, node);
  }
  p->error = "a name is neither operand nor attribute";
  return 0;
}

static int parse_call(struct nest_expr *p) {
  size_t len = strcspn(p->s, " )");
  struct nest_node node = {.kind = NEST_CALL, .type = IR_NUM_DTYPES};
  int fn = 0;
  while (fn < IR_NUM_SCALARS && (strlen(ir_scalars[fn].text) != len ||
                                 strncmp(ir_scalars[fn].text, p->s, len)))
    fn++;
  if (fn == IR_NUM_SCALARS) {
    p->error = "an unknown function";
    return 0;
  }
  assert(ir_scalars[fn].arity <= 3 &&
         "functions of scalars.def take three arguments at most");
  node.fn = (enum ir_scalar)fn;
  p->s += len;
  for (int i = 0; i < ir_scalars[fn].arity && !p->error; i++)
    node.arg[i] = nest_parse_expr(p);
  p->s += strspn(p->s, " ");
  if (!p->error && *p->s++ != ')')
    p->error = "a function has too many arguments";
  return nest_put_node(p, node);
}

int nest_parse_expr(struct nest_expr *p) {
  if (++p->depth > 16)
    p->error = "the body nests too deep";
  p->s += strspn(p->s, " ");
  size_t len = strcspn(p->s, " ()");
  const char *s = p->s;
  int k = 0;
  if (p->error) {
    return 0;
  } else if (*s == '(') {
    p->s++;
    k = parse_call(p);
  } else if (len == 0) {
    p->error = "a function has too few arguments";
  } else {
    p->s += len;
    if (isdigit((unsigned char)s[*s == '-']) ||
        (len == 3 && !strncmp(s, "inf", 3)))
      k = nest_put_node(p, (struct nest_node){.kind = NEST_NUMBER,
                                              .type = IR_NUM_DTYPES,
                                              .number = strtod(s, NULL)});
    else
      k = p->name(p, s, len);
  }
  p->depth--;
  return k;
}

/* First argument whose type must equal the others': select's condition is not
 * one of them. */
static int first_typed(const struct nest_node *node) {
  return node->fn == IR_S_SELECT;
}

/* Upwards: a call has the type of its known arguments. Nodes are in postfix
 * order, so one walk is enough. */
static void types_up(struct nest_expr *n, enum ir_dtype result) {
  for (int i = 0; i < n->nnodes; i++) {
    struct nest_node *node = &n->node[i];
    if (node->kind != NEST_CALL)
      continue;
    const struct ir_scalar_row *row = &ir_scalars[node->fn];
    assert(node->arg[row->arity - 1] < i &&
           "nodes are in postfix order: nest_parse_expr()");
    if (row->result == IR_R_BOOL)
      node->type = IR_BOOL;
    else if (row->result == IR_R_TO)
      node->type = result;
    else
      for (int k = first_typed(node); k < row->arity; k++)
        if (n->node[node->arg[k]].type != IR_NUM_DTYPES)
          node->type = n->node[node->arg[k]].type;
  }
}

static void types_down(struct nest_expr *n, enum ir_dtype peer) {
  for (int i = n->nnodes; i-- > 0;) {
    struct nest_node *node = &n->node[i];
    if (node->kind != NEST_CALL)
      continue;
    const struct ir_scalar_row *row = &ir_scalars[node->fn];
    enum ir_dtype type = row->result == IR_R_SAME ? node->type : IR_NUM_DTYPES;
    for (int k = first_typed(node); k < row->arity; k++)
      if (n->node[node->arg[k]].type != IR_NUM_DTYPES)
        type = n->node[node->arg[k]].type;
    for (int k = first_typed(node); k < row->arity; k++)
      if (n->node[node->arg[k]].type == IR_NUM_DTYPES)
        n->node[node->arg[k]].type = type == IR_NUM_DTYPES ? peer : type;
  }
}

void nest_expr_types(struct nest_expr *p, enum ir_dtype result,
                     enum ir_dtype peer) {
  assert(p->nnodes > 0 && !p->error &&
         "an expression without a mistake has a root");
  types_up(p, result);
  struct nest_node *root = &p->node[p->nnodes - 1];
  if (root->type == IR_NUM_DTYPES)
    root->type = result;
  types_down(p, peer);
}

static void broadcast_access(struct dn_arena *arena, const struct ir_op *op,
                             int k, struct nest *n) {
  const struct ir_type *type = ir_arg(op, (unsigned)k)->type;
  assert(k < NEST_MAX_ACCESSES && "maps have no more operands: ops.def");
  struct nest_access *a = &n->access[k];
  a->npieces = 1;
  a->operand = k;
  a->rank = type->rank;
  a->idx = DN_ARRAY(arena, struct nest_index, type->rank);
  for (int d = 0; d < type->rank; d++) {
    struct nest_index *x = &a->idx[d];
    int iter = d + n->type->rank - type->rank;
    x->div = 1;
    x->indirect = -1;
    if (type->dim[d] == 1)
      continue;
    assert(iter >= 0 && "operands broadcast to the result: infer.c");
    x->coef[iter] = 1;
    x->hi = dn_max(type->dim[d], 1) - 1;
  }
}

const char *nest_build_map(struct dn_arena *arena, const struct ir_op *op,
                           struct nest *n) {
  for (int d = 0; d < n->type->rank; d++) {
    n->iter[d].extent = n->type->dim[d];
    n->iter[d].size = n->type->size[d];
    n->iter[d].name[0] = 'i';
    n->iter[d].name[1] = (char)('0' + d);
    n->y[d] = (struct nest_dim){1, {d}, {1}};
  }
  n->niters = n->type->rank;
  n->naccesses = (int)op->noperands;
  for (int k = 0; k < n->naccesses; k++)
    broadcast_access(arena, op, k, n);
  struct nest_expr p = {.s = ir_ops[op->code].body,
                        .name = parse_name,
                        .code = op->code,
                        .op = op,
                        .node = n->node};
  nest_parse_expr(&p);
  n->nnodes = p.nnodes;
  if (!p.error)
    nest_expr_types(&p, n->type->dtype, ir_arg(op, 0)->type->dtype);
  return p.error;
}

const char *nest_check_map(struct dn_arena *arena, enum ir_opcode code) {
  struct nest_expr p = {.s = ir_ops[code].body,
                        .name = parse_name,
                        .code = code,
                        .node =
                            DN_ARRAY(arena, struct nest_node, NEST_MAX_NODES)};
  nest_parse_expr(&p);
  if (!p.error && p.s[strspn(p.s, " ")])
    return "something follows the body";
  return p.error;
}
