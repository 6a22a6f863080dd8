/* print.c - a module as text. Printing is canonical: attributes in the row's
 * order, defaults left out, numbers in their shortest form that reads back the
 * same. What it prints, parse.c reads back to the same text. */
#include "ir/ir.h"
#include "ir/lex.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { MAX_DENSE = 32 }; /* elements; more are printed as hex */

struct printer {
  struct dn_buf *out;
  struct dn_ctx *ctx;
  struct ir_print_opts opts;
  size_t counted; /* bytes of `out` whose lines have been counted */
  unsigned lines;
};

static const struct ir_print_opts all = {.locs = true, .const_limit = -1};

static void put(struct printer *p, const char *s) {
  dn_buf_put(p->out, s, strlen(s));
}

static void put_quoted(struct printer *p, const char *s) {
  put(p, "\"");
  dn_buf_escape(p->out, s, strlen(s));
  put(p, "\"");
}

static void put_value(struct printer *p, const struct ir_value *v) {
  if (!v)
    put(p, "%\"<none>\"");
  else
    lex_put_name(p->out, v->data ? "@" : "%", v->name);
}

static void put_type(struct printer *p, const struct ir_type *type) {
  put(p, type ? ir_type_text(p->ctx, p->out->arena, type) : "<no type>");
}

/* ---- Numbers ---- */

/* The shortest decimal that `same` accepts. */
static void shortest(char out[40], double v, bool (*same)(double, const void *),
                     const void *what) {
  for (int digits = 1; digits <= 17; digits++) {
    snprintf(out, 40, "%.*g", digits, v);
    if (same(strtod(out, NULL), what))
      return;
  }
}

static bool same_double(double v, const void *what) {
  return memcmp(&v, what, sizeof v) == 0;
}

static void put_float(struct printer *p, double v) {
  char text[40];
  if (isnan(v))
    snprintf(text, sizeof text, "nan");
  else if (isinf(v))
    snprintf(text, sizeof text, v < 0 ? "-inf" : "inf");
  else
    shortest(text, v, same_double, &v);
  put(p, text);
}

struct element {
  enum ir_dtype dtype;
  const void *p;
};

static bool same_element(double v, const void *what) {
  const struct element *e = what;
  char bytes[8] = {0};
  ir_store_float(e->dtype, bytes, v);
  return memcmp(bytes, e->p, ir_dtypes[e->dtype].bytes) == 0;
}

/* Text of one element; false when no text reads back to the same bits (a NaN
 * with a payload, a bool that is neither 0 nor 1). */
static bool element_text(char out[40], enum ir_dtype dtype, const void *bytes) {
  struct element e = {dtype, bytes};
  switch (ir_dtypes[dtype].kind) {
  case IR_FLOAT: {
    double v = ir_load_float(dtype, bytes);
    if (isnan(v) || isinf(v)) {
      snprintf(out, 40, isnan(v) ? "nan" : v < 0 ? "-inf" : "inf");
      return same_element(isnan(v) ? (double)NAN : v, &e);
    }
    shortest(out, v, same_element, &e);
    return true;
  }
  case IR_SIGNED:
    snprintf(out, 40, "%" PRId64, ir_load_int(dtype, bytes));
    return true;
  case IR_UNSIGNED:
    snprintf(out, 40, "%" PRIu64, (uint64_t)ir_load_int(dtype, bytes));
    return true;
  case IR_LOGIC: {
    uint8_t b = *(const uint8_t *)bytes;
    snprintf(out, 40, "%u", (unsigned)b);
    return b <= 1;
  }
  }
  return false;
}

/* ---- Constants ---- */

static bool put_dense(struct printer *p, const struct ir_value *c) {
  struct dn_buf *out = p->out;
  size_t before = out->len, size = ir_dtypes[c->type->dtype].bytes;
  put(p, "dense [");
  for (int64_t i = 0; i < ir_type_count(c->type); i++) {
    char text[40];
    const char *bytes = c->data->bytes;
    if (!element_text(text, c->type->dtype, bytes + (size_t)i * size)) {
      out->len = before;
      out->text[before] = 0;
      return false;
    }
    dn_buf_printf(out, "%s%s", i ? ", " : "", text);
  }
  put(p, "]");
  return true;
}

static void put_hex(struct printer *p, const uint8_t *bytes, size_t n) {
  static const char digits[] = "0123456789abcdef";
  char chunk[256];
  size_t at = 0;
  put(p, "hex \"");
  for (size_t i = 0; i < n; i++) {
    chunk[at++] = digits[bytes[i] >> 4];
    chunk[at++] = digits[bytes[i] & 15];
    if (at == sizeof chunk || i + 1 == n) {
      dn_buf_put(p->out, chunk, at);
      at = 0;
    }
  }
  put(p, "\"");
}

static void put_splat(struct printer *p, const struct ir_value *c) {
  char text[40];
  if (element_text(text, c->type->dtype, &c->data->splat))
    dn_buf_printf(p->out, "splat %s", text);
  else
    dn_buf_printf(p->out, "splat 0x%" PRIx64, c->data->splat);
}

static void put_const(struct printer *p, const struct ir_value *c) {
  const struct ir_data *d = c->data;
  put(p, "const ");
  put_value(p, c);
  put(p, " : ");
  put_type(p, c->type);
  put(p, " = ");
  if (!d->bytes) {
    put_splat(p, c);
  } else if (p->opts.const_limit >= 0 && d->size > p->opts.const_limit) {
    if (d->file) {
      put(p, "file ");
      put_quoted(p, d->file);
      dn_buf_printf(p->out, " +%" PRId64, d->offset);
    } else {
      dn_buf_printf(p->out, "elided 0x%016" PRIx64,
                    (uint64_t)XXH3_64bits(d->bytes, (size_t)d->size));
    }
  } else if (!ir_type_is_static(c->type) || d->size != ir_type_bytes(c->type) ||
             ir_type_count(c->type) > MAX_DENSE || !put_dense(p, c)) {
    put_hex(p, d->bytes, (size_t)d->size);
  }
  put(p, "\n");
}

/* ---- Ops ---- */

static void put_records(struct printer *p, const struct ir_attr *a);

static void put_attr(struct printer *p, const struct ir_attr *a) {
  dn_buf_printf(p->out, "%s=", a->name);
  switch (a->kind) {
  case IR_A_INT:
    dn_buf_printf(p->out, "%" PRId64, a->i);
    return;
  case IR_A_FLOAT:
    put_float(p, a->f);
    return;
  case IR_A_STR:
    if (lex_is_plain(a->s) && !(a->s[0] >= '0' && a->s[0] <= '9') &&
        a->s[0] != '.' && a->s[0] != '$')
      put(p, a->s);
    else
      put_quoted(p, a->s);
    return;
  case IR_A_RECORDS:
    put_records(p, a);
    return;
  case IR_A_INTS:
    break;
  }
  put(p, "[");
  for (int64_t i = 0; i < a->n; i++)
    dn_buf_printf(p->out, "%s%" PRId64, i ? "," : "", a->is[i]);
  put(p, "]");
}

static void put_records(struct printer *p, const struct ir_attr *a) {
  put(p, "[");
  for (int64_t i = 0; i < a->n; i++) {
    put(p, i ? ", {" : "{");
    for (unsigned k = 0; k < a->rs[i].n; k++) {
      put(p, k ? ", " : "");
      put_attr(p, &a->rs[i].field[k]);
    }
    put(p, "}");
  }
  put(p, "]");
}

static void put_attrs(struct printer *p, const struct ir_op *op) {
  struct ir_attr_spec spec[IR_MAX_ATTRS];
  int n = ir_op_attr_specs(op->code, spec);
  const char *sep = " {";
  for (int i = 0; i < n; i++) {
    const struct ir_attr *a = ir_find_attr(op, spec[i].name);
    /* The presence of a plan attribute has a meaning of its own: see ir.h. */
    if (!a || (ir_attr_is_default(a, &spec[i]) && !ir_is_plan_attr(a->name)))
      continue;
    put(p, sep);
    put_attr(p, a);
    sep = ", ";
  }
  for (unsigned k = 0; k < op->nattrs; k++) { /* not in the op's row */
    if (ir_op_attr_spec(op->code, op->attr[k].name, strlen(op->attr[k].name),
                        &spec[0]))
      continue;
    put(p, sep);
    put_attr(p, &op->attr[k]);
    sep = ", ";
  }
  if (sep[0] == ',')
    put(p, "}");
}

static void put_loc(struct printer *p, const struct ir_op *op) {
  if (!p->opts.locs || (!op->loc && !op->model_op))
    return;
  put(p, " loc(");
  put_quoted(p, op->loc ? op->loc : "");
  if (op->model_op) {
    put(p, ", ");
    put_quoted(p, op->model_op);
  }
  put(p, ")");
}

/* Everything of an op but its regions. */
static void put_head(struct printer *p, const struct ir_op *op) {
  for (unsigned i = 0; i < op->nresults; i++) {
    put(p, i ? ", " : "");
    put_value(p, op->result[i]);
  }
  put(p, op->nresults ? " = " : "");
  put(p, ir_ops[op->code].text);
  for (unsigned i = 0; i < op->noperands; i++) {
    put(p, i ? ", " : " ");
    put_value(p, op->operand[i]->value);
  }
  put_attrs(p, op);
  for (unsigned i = 0; i < op->nresults; i++) {
    put(p, i ? ", " : " : ");
    put_type(p, op->result[i]->type);
  }
  put_loc(p, op);
}

static void put_params(struct printer *p, const struct ir_block *b) {
  put(p, "(");
  for (unsigned i = 0; i < b->nparams; i++) {
    put(p, i ? ", " : "");
    put_value(p, b->param[i]);
    put(p, ": ");
    put_type(p, b->param[i]->type);
    if (b->param[i]->initial) {
      put(p, " = ");
      put_value(p, b->param[i]->initial);
    }
  }
  put(p, ")");
}

static void note_line(struct printer *p, const struct ir_op *op) {
  for (; p->opts.line && p->counted < p->out->len; p->counted++)
    p->lines += p->out->text[p->counted] == '\n';
  if (p->opts.line)
    p->opts.line[op->id] = p->lines + 1;
}

static void put_block(struct printer *p, const struct ir_block *b, int depth) {
  put(p, "{\n");
  for (const struct ir_op *op = b->first; op; op = op->next) {
    note_line(p, op);
    dn_buf_printf(p->out, "%*s", depth * 2 + 2, "");
    put_head(p, op);
    for (unsigned i = 0; i < op->nregions; i++) {
      const struct ir_block *r = op->region[i];
      put(p, i ? " else " : " do ");
      if (r->nparams) {
        put_params(p, r);
        put(p, " ");
      }
      put_block(p, r, depth + 1);
    }
    put(p, "\n");
  }
  dn_buf_printf(p->out, "%*s}", depth * 2, "");
}

static void put_func(struct printer *p, const struct ir_func *f) {
  lex_put_name(p->out, "func @", f->name);
  put_params(p, f->body);
  put(p, " -> (");
  const struct ir_op *last = f->body->last;
  for (unsigned i = 0; last && i < last->noperands; i++) {
    put(p, i ? ", " : "");
    if (f->result_name && i < f->nresults && f->result_name[i]) {
      put_quoted(p, f->result_name[i]);
      put(p, ": ");
    }
    put_type(p, last->operand[i]->value->type);
  }
  put(p, ") ");
  put_block(p, f->body, 0);
  put(p, "\n");
}

static void put_header(struct printer *p, const struct ir_module *m) {
  if (!m->name && m->form == IR_GRAPH)
    return;
  put(p, "module");
  if (m->name)
    lex_put_name(p->out, " @", m->name);
  if (m->form != IR_GRAPH)
    dn_buf_printf(p->out, " form %s", ir_form_names[m->form]);
  if (m->form == IR_PLANNED) {
    dn_buf_printf(p->out, " {arena=%" PRId64, m->arena_size);
    if (m->arena_split)
      dn_buf_printf(p->out, ", split=%" PRId64, m->arena_split);
    if (m->arena_bound)
      dn_buf_printf(p->out, ", bound=%" PRId64, m->arena_bound);
    put(p, "}");
  }
  put(p, "\n");
}

void ir_print(struct dn_buf *out, const struct ir_module *m,
              const struct ir_print_opts *opts) {
  struct printer p = {.out = out, .ctx = m->ctx, .opts = opts ? *opts : all};
  p.counted = out->len;
  put_header(&p, m);
  for (size_t i = 0; i < m->consts.n; i++)
    put_const(&p, m->consts.v[i]);
  for (const struct ir_func *f = m->funcs; f; f = f->next)
    put_func(&p, f);
}
