/* rules_random.c - random instances of patterns: see rules_test.h. A pattern
 * says which ops there are; shapes, attributes and constants are tried at
 * random, with a bias to what rules ask for (ones, zeros, powers of two, equal
 * shapes), and what does not fit is thrown away. */
#include "rules_test.h"

#include "passes/edit.h"

#include <math.h>
#include <string.h>

unsigned random_below(struct random *r, unsigned n) {
  r->state = r->state * UINT64_C(6364136223846793005) + 1442695040888963407u;
  return (unsigned)(r->state >> 33) % n;
}

struct maker {
  struct dn_ctx *ctx;
  struct random *r;
  struct ir_module *m;
  struct ir_builder at;
  enum ir_dtype type; /* of operands, unless the op wants another */
  bool equal_shapes;
  struct ir_value *value[128]; /* by letter */
};

double random_number(struct random *r, enum ir_dtype type, bool tame) {
  static const double special[] = {0.0,      -0.0, INFINITY, -INFINITY, NAN,
                                   0x1p-149, 1e30, -1e30,    1,         -1};
  unsigned k = random_below(r, 24);
  if (!ir_is_float(type))
    return (double)random_below(r, 7) - 3;
  if (k < 10 && (!tame || k < 2 || k > 7))
    return special[k];
  return ((double)random_below(r, 4001) - 2000) / 250;
}

static enum ir_dtype random_type(struct random *r, unsigned types) {
  static const enum ir_dtype list[] = {IR_F32, IR_F64, IR_I32, IR_U8,
                                       IR_I64, IR_I8,  IR_BOOL};
  static const unsigned bit[] = {RULE_FLOAT, RULE_FLOAT, RULE_INT, RULE_INT,
                                 RULE_INT,   RULE_INT,   RULE_BOOL};
  for (;;) {
    unsigned k = random_below(r, 7);
    if (!types || (types & bit[k]))
      return list[k];
  }
}

static const struct ir_type *random_shape(struct maker *k, enum ir_dtype type) {
  static const int64_t full[] = {2, 1, 3, 2};
  int64_t dims[4];
  int rank = k->equal_shapes ? 3 : (int)random_below(k->r, 5);
  for (int d = 0; d < rank; d++) {
    dims[d] = full[4 - rank + d];
    if (!k->equal_shapes && random_below(k->r, 4) == 0)
      dims[d] = 1;
  }
  return ir_type(k->ctx, type, rank, dims);
}

static struct ir_value *random_const(struct maker *k, enum ir_dtype type) {
  double v[64];
  const struct ir_type *t = random_shape(k, type);
  if (random_below(k->r, 3) == 0)
    t = ir_type(k->ctx, type, 0, NULL);
  bool powers = random_below(k->r, 2) == 0;
  bool uniform = random_below(k->r, 2) == 0;
  for (int64_t i = 0; i < ir_type_count(t); i++) {
    v[i] = powers ? ldexp(1, (int)random_below(k->r, 9) - 4)
                  : random_number(k->r, type, true);
    if (uniform && i)
      v[i] = v[0];
  }
  return ir_const_floats(k->m, NULL, type, t->rank, t->dim, v);
}

/* What the attributes of ops are called says what they may hold. */
static int64_t list_element(struct maker *k, const char *name, int64_t dim) {
  struct random *r = k->r;
  bool plain = random_below(r, 2) == 0; /* what identity rules want */
  if (!strcmp(name, "starts"))
    return plain || dim < 2 ? 0 : random_below(r, (unsigned)dim);
  if (!strcmp(name, "sizes"))
    return plain ? dim : 1 + random_below(r, (unsigned)dim);
  if (!strcmp(name, "pads"))
    return plain ? 0 : (int64_t)random_below(r, 3) - (random_below(r, 4) == 0);
  return plain ? 1 : 1 + random_below(r, 2); /* kernel, strides, steps ... */
}

/* A shape of the same number of elements, or one to broadcast to. */
static int64_t random_dims(struct maker *k, const struct ir_op_row *row,
                           const struct ir_type *x, int64_t *out) {
  int64_t n = 0, count = ir_type_count(x);
  if (row->cls == IR_MAP) { /* expand */
    for (int64_t d = random_below(k->r, 2) ? -1 : 0; d < x->rank; d++)
      out[n++] =
          d >= 0 && x->dim[d] != 1 ? x->dim[d] : 1 + random_below(k->r, 2);
    return n;
  }
  if (random_below(k->r, 2)) {
    memcpy(out, x->dim, sizeof *out * (size_t)x->rank);
    return x->rank;
  }
  while (count > 1 && n < 4) {
    int64_t d = 2 + random_below(k->r, 2);
    if (count % d == 0) {
      out[n++] = d;
      count /= d;
    }
  }
  out[n++] = count;
  return n;
}

static struct ir_attr random_list(struct maker *k, const char *name,
                                  const struct ir_op_row *row,
                                  const struct ir_type *x, int64_t *list) {
  int rank = x->rank, n = 0;
  if (!strcmp(name, "perm")) {
    for (; n < rank; n++) {
      int at = (int)random_below(k->r, (unsigned)n + 1);
      list[n] = list[at];
      list[at] = n;
    }
  } else if (!strcmp(name, "axes")) {
    for (int d = 0; d < rank; d++)
      if (random_below(k->r, x->dim[d] == 1 ? 2 : 6) == 0)
        list[n++] = d;
  } else if (!strcmp(name, "shape")) {
    n = (int)random_dims(k, row, x, list);
  } else {
    int times = strcmp(name, "pads") ? 1 : 2;
    for (; n < times * rank; n++)
      list[n] = list_element(k, name, x->dim[n % rank]);
  }
  return ir_ints(name, list, n);
}

static struct ir_attr random_attr(struct maker *k,
                                  const struct ir_attr_spec *spec,
                                  const struct ir_op_row *row,
                                  const struct ir_type *x, int64_t *list) {
  static const char *const types[] = {"f32", "f64", "i32", "u8",
                                      "i8",  "i64", "bool"};
  static const double bounds[] = {-INFINITY, INFINITY, 0, 1, -2, 2.5};
  switch (spec->kind) {
  case IR_A_INT:
    return ir_int(spec->name,
                  random_below(k->r, x->rank > 0 ? (unsigned)x->rank : 1));
  case IR_A_FLOAT:
    return ir_float(spec->name, bounds[random_below(k->r, 6)]);
  case IR_A_STR:
    return ir_str(spec->name, types[random_below(k->r, 7)]);
  case IR_A_INTS:
  case IR_A_RECORDS:
    break;
  }
  return random_list(k, spec->name, row, x, list);
}

static struct ir_value *make(struct maker *k, const struct sexpr *node,
                             enum ir_dtype type);

/* Operand i of an op: a condition is bool, indices are integers. */
static enum ir_dtype operand_type(enum ir_opcode code, int i,
                                  enum ir_dtype type) {
  if (!strcmp(ir_ops[code].infer, "select") && i == 0)
    return IR_BOOL;
  return !strcmp(ir_ops[code].infer, "gather") && i == 1 ? IR_I64 : type;
}

static struct ir_value *make_op(struct maker *k, const struct sexpr *node,
                                enum ir_dtype type) {
  struct ir_value *arg[SEXPR_ARGS];
  enum ir_opcode code = (enum ir_opcode)node->code;
  for (int i = 0; i < node->nargs; i++) {
    arg[i] = make(k, node->arg[i], operand_type(code, i, type));
    if (!arg[i])
      return NULL;
  }
  struct ir_attr_spec specs[IR_MAX_ATTRS];
  int n = ir_op_attr_specs(code, specs);
  struct ir_attr attr[SEXPR_ARGS];
  int64_t list[SEXPR_ARGS][SEXPR_LIST];
  size_t nattrs = 0;
  for (int i = 0; i < node->nattrs; i++) {
    int s = 0;
    while (s < n && strcmp(specs[s].name, node->attr[i].name))
      s++;
    if (s == n || (!specs[s].required && random_below(k->r, 4) == 0))
      continue;
    const struct sexpr *e = node->attr[i].expr;
    attr[nattrs] =
        random_attr(k, &specs[s], &ir_ops[code], arg[0]->type, list[i]);
    if (e->kind == SEXPR_NUMBER)
      attr[nattrs].f = e->number;
    nattrs++;
  }
  return ir_emit(&k->at, code, arg, (size_t)node->nargs, attr, nattrs);
}

static struct ir_value *make(struct maker *k, const struct sexpr *node,
                             enum ir_dtype type) {
  if (node->kind == SEXPR_OP)
    return make_op(k, node, type);
  if (node->kind == SEXPR_NUMBER)
    return ir_const_splat(k->m, NULL,
                          random_below(k->r, 2)
                              ? random_shape(k, type)
                              : ir_type(k->ctx, type, 0, NULL),
                          node->number);
  struct ir_value **named = &k->value[(unsigned char)node->name[0]];
  if (!*named)
    *named = node->kind == SEXPR_CONST
                 ? random_const(k, type)
                 : ir_param_new(k->at.block, NULL, random_shape(k, type));
  return *named;
}

struct ir_module *random_instance(struct dn_ctx *ctx, struct random *r,
                                  const struct rule *rule) {
  struct maker k = {.ctx = ctx, .r = r, .m = ir_module_new(ctx, "random")};
  struct ir_func *f = ir_func_new(k.m, "main");
  k.at = (struct ir_builder){.m = k.m, .block = f->body};
  k.equal_shapes = random_below(r, 2);
  k.type = random_type(r, rule->types);
  struct ir_value *y = make(&k, rule->from, k.type);
  if (!y) {
    ir_module_free(k.m);
    return NULL;
  }
  f->nresults = 1;
  f->result_name = DN_ARRAY(k.m->arena, const char *, 1);
  ir_op_new(&k.at, IR_RETURN, IR_ARGS(y), NULL, 0, NULL, 0, 0);
  return k.m;
}
