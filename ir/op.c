/* op.c - the rows of ops.def, and attributes: their specs, values, defaults. */
#include "ir/ir.h"

#include <assert.h>
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PURE IR_PURE
#define COMMUTES IR_COMMUTES
#define ONTO IR_ONTO
const struct ir_op_row ir_ops[IR_NUM_OPS] = {
#define OP(ID, text, cls, operands, attrs, traits, infer, body, summary)       \
  {text, operands, attrs, #infer, body, summary, IR_##cls, traits},
#include "ir/ops.def"
#undef OP
};

const char *const ir_form_names[3] = {"graph", "kernels", "planned"};

bool ir_op_find(const char *text, enum ir_opcode *out) {
  int row = DN_FIND(ir_ops, text);
  if (row >= 0)
    *out = (enum ir_opcode)row;
  return row >= 0;
}

void ir_op_arity(enum ir_opcode code, int *min, int *max) {
  assert(code < IR_NUM_OPS && "opcodes are rows of ops.def");
  *min = *max = 0;
  for (const char *s = ir_ops[code].operands; *s;) {
    size_t n = strcspn(s, " ");
    if (s[n - 1] == '*') {
      *min += ir_ops[code].cls != IR_REGION; /* regions may have none */
      *max = -1;
    } else {
      *min += s[n - 1] != '?';
      *max += 1;
    }
    s += n + strspn(s + n, " ");
  }
}

/* One "name:kind[=default]"; returns what follows it. */
static const char *parse_spec(const char *s, struct ir_attr_spec *out) {
  *out = (struct ir_attr_spec){.required = true};
  size_t n = strcspn(s, ":");
  assert(n < sizeof out->name && "rows only: test/meta/rows.test");
  assert(s[n] == ':' && "rows only: test/meta/rows.test");
  memcpy(out->name, s, n);
  s += n + 1;
  bool list = s[1] == '*';
  switch (*s) {
  case 'i':
    out->kind = list ? IR_A_INTS : IR_A_INT;
    break;
  case 'f':
    assert(!list && "rows have lists of integers only: test/meta/rows.test");
    out->kind = IR_A_FLOAT;
    break;
  case 'r':
    out->kind = IR_A_RECORDS;
    break;
  default:
    out->kind = IR_A_STR;
    break;
  }
  s += 1 + list;
  if (*s == '=') {
    s++;
    out->required = false;
    if (out->kind != IR_A_STR && out->kind != IR_A_RECORDS) {
      out->f = strtod(s, NULL);
      out->i = isfinite(out->f) ? (int64_t)out->f : 0;
    }
    s += strcspn(s, " ");
  }
  return s + strspn(s, " ");
}

static int parse_specs(const char *s, struct ir_attr_spec *out, int n) {
  while (*s) {
    assert(n < IR_MAX_ATTRS && "rows only: test/meta/rows.test");
    s = parse_spec(s, &out[n++]);
  }
  return n;
}

int ir_op_attr_specs(enum ir_opcode code,
                     struct ir_attr_spec out[IR_MAX_ATTRS]) {
  int n = parse_specs(ir_ops[code].attrs, out, 0);
  return parse_specs(IR_PLAN_ATTRS, out, n);
}

static const char *find_spec(enum ir_opcode code, const char *name, size_t n) {
  const char *s = dn_word(ir_ops[code].attrs, name, n, NULL);
  return s ? s : dn_word(IR_PLAN_ATTRS, name, n, NULL);
}

bool ir_op_attr_spec(enum ir_opcode code, const char *name, size_t n,
                     struct ir_attr_spec *out) {
  const char *s = find_spec(code, name, n);
  if (s)
    parse_spec(s, out);
  return s != NULL;
}

bool ir_is_plan_attr(const char *name) {
  return dn_word(IR_PLAN_ATTRS, name, strlen(name), NULL) != NULL;
}

const struct ir_attr *ir_find_attr(const struct ir_op *op, const char *name) {
  for (unsigned i = 0; i < op->nattrs; i++)
    if (!strcmp(op->attr[i].name, name))
      return &op->attr[i];
  return NULL;
}

/* The default text of an attribute, after its '='; asking for an attribute that
 * the row does not have is a mistake of the caller. */
static const char *default_text(const struct ir_op *op, const char *name) {
  const char *s = find_spec(op->code, name, strlen(name));
  assert(s && "the caller passes the name of an attribute of the row");
  return dn_word_default(s);
}

bool ir_attr_is_default(const struct ir_attr *a,
                        const struct ir_attr_spec *spec) {
  if (spec->required || a->kind != spec->kind)
    return false;
  switch (a->kind) {
  case IR_A_INT:
    return a->i == spec->i;
  case IR_A_FLOAT:
    return !memcmp(&a->f, &spec->f, sizeof a->f);
  case IR_A_STR:
  case IR_A_RECORDS:
    return false;
  case IR_A_INTS:
    for (int64_t i = 0; i < a->n; i++)
      if (a->is[i] != spec->i)
        return false;
    return true;
  }
  return false;
}

const void *ir_attr_bytes(const struct ir_attr *a, size_t *n) {
  switch (a->kind) {
  case IR_A_INT:
  case IR_A_FLOAT:
    *n = sizeof a->i;
    return &a->i;
  case IR_A_STR:
    *n = strlen(a->s);
    return a->s;
  case IR_A_INTS:
    break;
  case IR_A_RECORDS: /* of kernels, which no one compares as bytes */
    *n = 0;
    return NULL;
  }
  *n = (size_t)a->n * sizeof *a->is;
  return a->is;
}

bool ir_attr_same(const struct ir_attr *a, const struct ir_attr *b) {
  size_t m, n;
  const void *x = ir_attr_bytes(a, &m), *y = ir_attr_bytes(b, &n);
  return a->kind == b->kind && m == n && (!n || !memcmp(x, y, n));
}

int64_t ir_get_int(const struct ir_op *op, const char *name) {
  const struct ir_attr *a = ir_find_attr(op, name);
  return a && a->kind == IR_A_INT ? a->i
                                  : strtoll(default_text(op, name), NULL, 10);
}

double ir_get_float(const struct ir_op *op, const char *name) {
  const struct ir_attr *a = ir_find_attr(op, name);
  return a && a->kind == IR_A_FLOAT ? a->f
                                    : strtod(default_text(op, name), NULL);
}

const char *ir_get_str(const struct ir_op *op, const char *name) {
  const struct ir_attr *a = ir_find_attr(op, name);
  if (a && a->kind == IR_A_STR)
    return a->s;
  const char *text = default_text(op, name);
  assert(op->block && "the op stands in a block: its context is the module's");
  struct dn_ctx *ctx = op->block->func->module->ctx;
  return dn_intern_n(ctx, text, strcspn(text, " "));
}

int64_t ir_get_at(const struct ir_op *op, const char *name, int64_t k) {
  assert(k >= 0 && "the caller counts from 0");
  const struct ir_attr *a = ir_find_attr(op, name);
  if (a && a->kind == IR_A_INTS && a->n > 0)
    return a->is[k < a->n ? k : a->n - 1];
  return strtoll(default_text(op, name), NULL, 10);
}

int64_t ir_get_len(const struct ir_op *op, const char *name) {
  const struct ir_attr *a = ir_find_attr(op, name);
  return a ? a->n : 0;
}

static const struct ir_record *
copy_records(struct ir_module *m, const struct ir_record *from, int64_t n) {
  struct ir_record *rs = DN_ARRAY(m->arena, struct ir_record, n);
  for (int64_t i = 0; i < n; i++) {
    rs[i].n = from[i].n;
    rs[i].field = ir_copy_attrs(m, from[i].field, from[i].n);
  }
  return rs;
}

static struct ir_attr copy_attr(struct ir_module *m, struct ir_attr a) {
  assert(a.n >= 0 && "a length: ir_ints(), the parser's lists");
  a.name = dn_intern(m->ctx, a.name);
  switch (a.kind) {
  case IR_A_INTS:
    a.is = dn_copy(m->arena, a.is, (size_t)a.n * sizeof *a.is);
    break;
  case IR_A_STR:
    a.s = dn_intern(m->ctx, a.s);
    break;
  case IR_A_RECORDS:
    a.rs = copy_records(m, a.rs, a.n);
    break;
  case IR_A_INT:
  case IR_A_FLOAT:
    break;
  }
  return a;
}

struct ir_attr *ir_copy_attrs(struct ir_module *m, const struct ir_attr *attrs,
                              size_t n) {
  struct ir_attr *copy = DN_ARRAY(m->arena, struct ir_attr, n);
  for (size_t i = 0; i < n; i++)
    copy[i] = copy_attr(m, attrs[i]);
  return copy;
}

void ir_set_attr(struct ir_op *op, struct ir_attr attr) {
  assert(op->block && "attributes of an op that stands in a block change");
  struct ir_module *m = op->block->func->module;
  attr = copy_attr(m, attr);
  for (unsigned i = 0; i < op->nattrs; i++) {
    if (op->attr[i].name == attr.name) {
      op->attr[i] = attr;
      return;
    }
  }
  op->attr = dn_more(m->arena, op->attr, op->nattrs, sizeof *op->attr);
  op->attr[op->nattrs++] = attr;
}

void ir_drop_attr(struct ir_op *op, const char *name) {
  for (unsigned i = 0; i < op->nattrs; i++) {
    if (strcmp(op->attr[i].name, name))
      continue;
    memmove(&op->attr[i], &op->attr[i + 1],
            (op->nattrs - i - 1) * sizeof *op->attr);
    op->nattrs--;
    return;
  }
}
