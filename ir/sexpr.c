/* sexpr.c - reads s-expressions of tables: see sexpr.h. */
#include "ir/sexpr.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 16 };

void sexpr_bad(struct sexpr_reader *r, const char *what) {
  dn_fatal(r->ctx, (struct dn_loc){.where = r->table}, DN_INTERNAL,
           "%s: %s at '%.20s'", r->row, what, r->at);
}

bool sexpr_at_end(struct sexpr_reader *r) {
  r->at += strspn(r->at, " ,");
  return !*r->at;
}

bool sexpr_eat(struct sexpr_reader *r, char c) {
  if (sexpr_at_end(r) || *r->at != c)
    return false;
  r->at++;
  return true;
}

static void expect(struct sexpr_reader *r, char c) {
  if (!sexpr_eat(r, c))
    sexpr_bad(r, "unexpected character");
}

/* Names of ops, functions and values, and numbers. */
const char *sexpr_word(struct sexpr_reader *r) {
  r->at += strspn(r->at, " ,");
  size_t n = strcspn(r->at, " ,(){}[]=");
  if (!n)
    sexpr_bad(r, "expected a word");
  const char *w = dn_intern_n(r->ctx, r->at, n);
  r->at += n;
  return w;
}

const char *sexpr_quoted(struct sexpr_reader *r) {
  struct dn_buf buf = dn_buf_new(r->arena);
  expect(r, '\'');
  do { /* '' within is one quote */
    size_t n = strcspn(r->at, "'");
    dn_buf_put(&buf, r->at, n + (r->at[n] && r->at[n + 1] == '\''));
    r->at += n;
    if (*r->at++ != '\'')
      sexpr_bad(r, "a text that does not end");
  } while (*r->at == '\'' && r->at++);
  return dn_intern(r->ctx, buf.text);
}

static bool is_number(const char *w, double *out) {
  const char *digits = w + (w[0] == '-');
  if (!isdigit((unsigned char)*digits) && strcmp(digits, "inf"))
    return false;
  char *end;
  *out = strtod(w, &end);
  if (*end == 'f')
    *out = (double)(float)*out;
  return true;
}

/* A number, or a name by its first letter. */
static void read_word(struct sexpr_reader *r, struct sexpr *e) {
  const char *w = sexpr_word(r);
  if (is_number(w, &e->number)) {
    e->kind = SEXPR_NUMBER;
    return;
  }
  e->kind = w[0] == '$' ? SEXPR_ATTR : w[0] == '#' ? SEXPR_CONST : SEXPR_NAME;
  e->name = e->kind == SEXPR_NAME ? w : dn_intern(r->ctx, w + 1);
}

static void add_arg(struct sexpr_reader *r, struct sexpr *e,
                    const struct sexpr *arg) {
  e->arg = dn_more(r->arena, e->arg, (size_t)e->nargs, sizeof *e->arg);
  e->arg[e->nargs++] = arg;
}

/* The rest of a call of a function. */
static void read_function(struct sexpr_reader *r, struct sexpr *e) {
  static const struct {
    const char *text;
    int arity;
  } fns[] = {
#define X(ID, text, arity) {text, arity},
      SEXPR_FUNCTIONS(X)
#undef X
  };
  int fn = DN_FIND(fns, e->name);
  if (fn < 0)
    sexpr_bad(r, "unknown name before");
  assert(!e->nargs && "the name alone has been read");
  e->kind = SEXPR_FN;
  e->fn = (enum sexpr_fn)fn;
  for (int i = 0; i < fns[fn].arity; i++)
    add_arg(r, e, sexpr_read_expr(r));
  expect(r, ')');
}

static struct sexpr *open_expr(struct sexpr_reader *r) {
  if (++r->depth > MAX_DEPTH)
    sexpr_bad(r, "too deep");
  return DN_NEW(r->arena, struct sexpr);
}

static struct sexpr *call_of(struct sexpr_reader *r, enum sexpr_fn fn,
                             const struct sexpr *a, const struct sexpr *b) {
  struct sexpr *e = DN_NEW(r->arena, struct sexpr);
  e->kind = SEXPR_FN;
  e->fn = fn;
  add_arg(r, e, a);
  add_arg(r, e, b);
  return e;
}

/* The rest of [a b ..]: all joined to an empty list. */
static struct sexpr *read_list(struct sexpr_reader *r) {
  const struct sexpr *zero = DN_NEW(r->arena, struct sexpr);
  struct sexpr *e = call_of(r, SEXPR_FN_FROM, zero, zero);
  while (!sexpr_eat(r, ']'))
    e = call_of(r, SEXPR_FN_JOIN, e, sexpr_read_expr(r));
  return e;
}

const struct sexpr *sexpr_read_expr(struct sexpr_reader *r) {
  struct sexpr *e = open_expr(r);
  if (sexpr_eat(r, '[')) {
    e = read_list(r);
  } else if (sexpr_eat(r, '(')) {
    e->name = sexpr_word(r);
    read_function(r, e);
  } else if (*r->at == '\'') {
    e->kind = SEXPR_TEXT;
    e->name = sexpr_quoted(r);
  } else {
    read_word(r, e);
  }
  r->depth--;
  return e;
}

static void read_attrs(struct sexpr_reader *r, struct sexpr *e) {
  while (!sexpr_eat(r, '}')) {
    e->attr = dn_more(r->arena, e->attr, (size_t)e->nattrs, sizeof *e->attr);
    struct sexpr_attr *attr = &e->attr[e->nattrs++];
    attr->name = sexpr_word(r);
    expect(r, '=');
    attr->expr = sexpr_read_expr(r);
  }
}

/* The kinds of the attributes of an op. */
static void find_specs(struct sexpr_reader *r, struct sexpr *e) {
  for (int i = 0; i < e->nattrs; i++)
    if (!ir_op_attr_spec((enum ir_opcode)e->code, e->attr[i].name,
                         strlen(e->attr[i].name), &e->attr[i].spec))
      sexpr_bad(r, "the op has no such attribute, before");
}

static void read_call(struct sexpr_reader *r, struct sexpr *e) {
  enum ir_opcode code;
  e->name = sexpr_word(r);
  if (!strcmp(e->name, "if")) {
    e->kind = SEXPR_IF;
    add_arg(r, e, sexpr_read_expr(r));
  } else if (ir_op_find(e->name, &code)) {
    e->kind = SEXPR_OP;
    e->code = (int)code;
  } else if (r->find && r->find(e)) {
    e->kind = SEXPR_OTHER;
  } else {
    read_function(r, e);
    return;
  }
  while (!sexpr_eat(r, ')')) {
    if (sexpr_eat(r, '{'))
      read_attrs(r, e);
    else
      add_arg(r, e, sexpr_read_value(r));
  }
  if (e->nargs > SEXPR_ARGS || (e->kind == SEXPR_OP && e->nattrs > SEXPR_ARGS))
    sexpr_bad(r, "too many operands or attributes before");
  if (e->kind == SEXPR_OP)
    find_specs(r, e);
  if (e->kind == SEXPR_IF && (e->nargs != 3 || e->nattrs))
    sexpr_bad(r, "'if' has a condition and two values, before");
}

const struct sexpr *sexpr_read_value(struct sexpr_reader *r) {
  struct sexpr *e = open_expr(r);
  if (sexpr_eat(r, '('))
    read_call(r, e);
  else
    read_word(r, e);
  r->depth--;
  return e;
}
