/* decompose.c - reads rows of decompose.def and builds graphs by them: see the
 * head of that file. Definitions are built when they are first read, so that
 * what no result needs is not. */
#include "frontend/decompose.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/region.h"
#include "ir/sexpr.h"

enum { MAX_DEFS = 24, MAX_REQUIRES = 12 };

/* Names of up to three results of one value, or `$name` of a number. */
struct definition {
  int n;
  const char *name[FE_MAX_RESULTS];
  bool is_number;
  const struct sexpr *value;
};

struct decomposition {
  int noperands, nattrs, ndefs, nrequires, nresults;
  struct fe_operand operand[FE_MAX_OPERANDS];
  struct row_attr {
    const char *name, *axis_of; /* an axis, or axes, of this operand; or NULL */
    bool optional;
    const struct sexpr *otherwise; /* NULL: none */
  } attr[FE_MAX_ATTRS];
  struct definition def[MAX_DEFS];
  struct {
    enum dn_code code;
    const struct sexpr *cond;
    const char *message;
  } require[MAX_REQUIRES];
  const struct sexpr *result[FE_MAX_RESULTS];
};

static const struct {
  const char *name, *operands, *attrs, *text;
} texts[] = {
#define DECOMPOSE(ID, name, operands, attrs, text)                             \
  {name, operands, attrs, text},
#include "frontend/decompose.def"
#undef DECOMPOSE
};

/* ---- Reading ---- */

bool fe_decomposition_find(const char *name, enum fe_decomposition *out) {
  int row = DN_FIND(texts, name);
  *out = (enum fe_decomposition)row;
  return row >= 0;
}

/* A call is of a row, once or as a scan, or of the function that an attribute
 * names. */
static const char scan_of[] = "scan:";
static bool is_scan(const struct sexpr *call) {
  return !strncmp(call->name, scan_of, sizeof scan_of - 1);
}

static bool find_call(struct sexpr *call) {
  const char *row = call->name + (is_scan(call) ? sizeof scan_of - 1 : 0);
  call->code = DN_FIND(texts, row);
  return call->name[0] == '$' || call->code >= 0;
}

/* The place of one more in an array. */
static int one_more(struct sexpr_reader *r, int *n, int most) {
  if (*n == most)
    sexpr_bad(r, "too many");
  return (*n)++;
}

/* The next word of a list, without the marks `?` and `!` at its end. */
static const char *next_word(struct sexpr_reader *r, bool *optional,
                             bool *constant) {
  const char *w = sexpr_word(r);
  size_t n = strcspn(w, "?!");
  *optional = strchr(w + n, '?');
  *constant = strchr(w + n, '!');
  return dn_intern_n(r->ctx, w, n);
}

/* `x scale bias?`, and `axis@x=-1 epsilon=1e-5f weight?`. */
static void read_lists(struct sexpr_reader *r, const char *operands,
                       const char *attrs, struct decomposition *d) {
  for (r->at = operands; !sexpr_at_end(r);) {
    int k = one_more(r, &d->noperands, FE_MAX_OPERANDS);
    struct fe_operand *o = &d->operand[k];
    o->name = next_word(r, &o->optional, &o->constant);
  }
  for (r->at = attrs; !sexpr_at_end(r);) {
    struct row_attr *a = &d->attr[one_more(r, &d->nattrs, FE_MAX_ATTRS)];
    bool constant;
    const char *w = next_word(r, &a->optional, &constant), *at = strchr(w, '@');
    a->name = at ? dn_intern_n(r->ctx, w, (size_t)(at - w)) : w;
    a->axis_of = at ? dn_intern(r->ctx, at + 1) : NULL;
    a->otherwise = sexpr_eat(r, '=') ? sexpr_read_expr(r) : NULL;
  }
}

static void read_require(struct sexpr_reader *r, struct decomposition *d) {
  static const struct {
    const char *word;
    enum dn_code code;
  } codes[] = {{"type", DN_TYPE},
               {"attr", DN_ATTR},
               {"shape", DN_SHAPE},
               {"limit", DN_LIMIT},
               {"dtype", DN_UNSUPPORTED_TYPE},
               {"unsupported", DN_UNSUPPORTED_ATTR}};
  const char *w = sexpr_word(r);
  int k = DN_FIND(codes, w);
  if (k < 0)
    sexpr_bad(r, "unknown diagnostic before");
  int at = one_more(r, &d->nrequires, MAX_REQUIRES);
  d->require[at].code = codes[k].code;
  d->require[at].cond = sexpr_read_expr(r);
  d->require[at].message = sexpr_quoted(r);
}

static void read_definition(struct sexpr_reader *r, const char *name,
                            struct decomposition *d) {
  struct definition *def = &d->def[one_more(r, &d->ndefs, MAX_DEFS)];
  def->is_number = name[0] == '$';
  def->name[def->n++] = def->is_number ? dn_intern(r->ctx, name + 1) : name;
  while (!sexpr_eat(r, '='))
    def->name[one_more(r, &def->n, FE_MAX_RESULTS)] = sexpr_word(r);
  def->value = def->is_number ? sexpr_read_expr(r) : sexpr_read_value(r);
}

static void read_results(struct sexpr_reader *r, struct decomposition *d) {
  while (!sexpr_at_end(r)) {
    int k = one_more(r, &d->nresults, FE_MAX_RESULTS);
    d->result[k] = sexpr_read_value(r);
  }
  if (!d->nresults)
    sexpr_bad(r, "no result");
}

static void read_row(struct fe_build *b, const char *name, const char *operands,
                     const char *attrs, const char *text,
                     struct decomposition *d) {
  struct sexpr_reader r = {.ctx = b->ctx,
                           .arena = b->ctx->arena,
                           .table = "decompose.def",
                           .row = name,
                           .find = find_call};
  read_lists(&r, operands, attrs, d);
  r.at = text;
  while (!sexpr_at_end(&r) && *r.at != '(') {
    const char *w = sexpr_word(&r);
    if (!strcmp(w, "return"))
      break;
    if (!strcmp(w, "require"))
      read_require(&r, d);
    else
      read_definition(&r, w, d);
  }
  read_results(&r, d);
}

static const struct decomposition *row_of(struct fe_build *b,
                                          enum fe_decomposition row) {
  if (!b->decompositions[row]) {
    struct decomposition *d = DN_NEW(b->ctx->arena, struct decomposition);
    read_row(b, texts[row].name, texts[row].operands, texts[row].attrs,
             texts[row].text, d);
    b->decompositions[row] = d;
  }
  return b->decompositions[row];
}

size_t fe_attr_names(struct fe_build *b, enum fe_decomposition row,
                     const char *names[FE_MAX_ATTRS]) {
  const struct decomposition *d = row_of(b, row);
  for (int i = 0; i < d->nattrs; i++)
    names[i] = d->attr[i].name;
  return (size_t)d->nattrs;
}

size_t fe_operands(struct fe_build *b, enum fe_decomposition row,
                   const struct fe_operand **operands) {
  *operands = row_of(b, row)->operand;
  return (size_t)row_of(b, row)->noperands;
}

/* ---- Building ---- */

struct call {
  struct fe_build *b;
  const struct decomposition *d;
  const char *name; /* of the row */
  struct ir_value *operand[FE_MAX_OPERANDS];
  struct sexpr_value attr[FE_MAX_ATTRS];
  bool has_attr[FE_MAX_ATTRS];
  bool done[MAX_DEFS];
  struct ir_value *made[MAX_DEFS][FE_MAX_RESULTS];
  struct sexpr_builder builder;
};

static bool run(struct fe_build *b, const struct decomposition *d,
                const char *name, struct ir_value *const *args, size_t nargs,
                const char *const *names, const struct sexpr_value *values,
                size_t nattrs, struct ir_value **out, size_t nout);
static void build_call(void *self, const struct sexpr *e, struct ir_value **out,
                       size_t nout);

static struct ir_value *value_named(void *self, const char *name) {
  struct call *c = self;
  const struct decomposition *d = c->d;
  for (int i = 0; i < d->noperands; i++)
    if (d->operand[i].name == name)
      return c->operand[i];
  for (int i = 0; i < d->ndefs; i++) {
    for (int k = 0; k < d->def[i].n; k++) {
      if (d->def[i].is_number || d->def[i].name[k] != name)
        continue;
      if (!c->done[i]) {
        c->done[i] = true;
        if (d->def[i].n > 1)
          build_call(c, d->def[i].value, c->made[i], (size_t)d->def[i].n);
        else
          c->made[i][0] = sexpr_build(&c->builder, d->def[i].value);
      }
      return c->made[i][k];
    }
  }
  assert(!"decompose.def defines what it reads: test/frontend/decompose.test");
  return NULL;
}

static bool attr_named(void *self, const char *name, struct sexpr_value *out) {
  struct call *c = self;
  const struct decomposition *d = c->d;
  for (int i = 0; i < d->nattrs; i++) {
    if (d->attr[i].name == name) {
      *out = c->attr[i];
      return c->has_attr[i];
    }
  }
  for (int i = 0; i < d->ndefs; i++)
    if (d->def[i].is_number && d->def[i].name[0] == name)
      return sexpr_eval(&c->builder.env, d->def[i].value, out);
  return false;
}

static struct ir_value *emit(void *self, enum ir_opcode code,
                             struct ir_value *const *args, size_t nargs,
                             const struct ir_attr *attrs, size_t nattrs) {
  struct call *c = self;
  return code == IR_MATMUL && !nattrs
             ? fe_matmul(c->b, args[0], args[1]) /* vectors, too */
             : fe_emit(c->b, code, args, nargs, attrs, nattrs);
}

static struct ir_value *number(void *self, const struct ir_value *like,
                               const char *to, const struct sexpr_value *v) {
  struct call *c = self;
  const int64_t n = v->n;
  enum ir_dtype t = IR_F32;
  like = like ? like : c->operand[0];
  if (to ? !ir_dtype_find(to, &t) : !like)
    return NULL;
  t = to ? t : fe_dtype(like);
  return n < 0 ? fe_scalar(c->b, t, v->v[0]) : fe_floats(c->b, t, 1, &n, v->v);
}

static void misfit(void *self, const char *what) {
  struct call *c = self;
  fe_fail(c->b, DN_TYPE, "operands and attributes do not fit: %s of '%s'", what,
          c->name);
}

/* A function, given as text, as a row with the one operand x. */
static const struct decomposition *function_of(struct fe_build *b,
                                               const char *text) {
  size_t n = DN_COUNT(b->functions);
  for (size_t i = 0; i < n && i < b->nfunctions; i++)
    if (b->functions[i].text == text)
      return b->functions[i].row;
  struct decomposition *d = DN_NEW(b->ctx->arena, struct decomposition);
  read_row(b, text, "x", "", text, d);
  b->functions[b->nfunctions % n].text = text;
  b->functions[b->nfunctions++ % n].row = d;
  return d;
}

/* ---- Scans ---- */

/* A scan by a row: of its operands the first `states` are carried, the next
 * `rows` are read step by step, the others stay. */
struct scan {
  struct call *c;
  const struct sexpr *e;
  struct ir_value *const *arg;
  const char *const *names;
  const struct sexpr_value *values;
  size_t nattrs, changes, nout;
};

static bool scan_step(void *data, struct ir_value *const *params,
                      struct ir_value **out) {
  const struct scan *s = data;
  struct ir_value *arg[SEXPR_ARGS];
  for (size_t i = 0; i < (size_t)s->e->nargs; i++)
    arg[i] = i < s->changes && s->arg[i] ? *params++ : s->arg[i];
  return run(s->c->b, row_of(s->c->b, (enum fe_decomposition)s->e->code),
             s->e->name, arg, (size_t)s->e->nargs, s->names, s->values,
             s->nattrs, out, s->nout);
}

/* Results of the row: the states, then what all steps make. */
static bool scan(struct call *c, const struct sexpr *e,
                 struct ir_value *const *arg, const char *const *names,
                 const struct sexpr_value *values, size_t n,
                 struct ir_value **out, size_t nout) {
  struct scan s = {c, e, arg, names, values, n, 0, nout};
  int states = dn_find_row(names, n, sizeof *names, "states");
  int rows = dn_find_row(names, n, sizeof *names, "rows");
  struct ir_value *in[SEXPR_ARGS];
  size_t nin = 0, carried = (size_t)dn_int(values[states].v[0]);
  assert(states >= 0 && rows >= 0 && "test/frontend/decompose.test");
  s.changes = carried + (size_t)dn_int(values[rows].v[0]);
  for (size_t i = 0; i < s.changes; i++)
    if (arg[i])
      in[nin++] = arg[i];
  assert(nin > carried && "some operand is read in steps");
  const int64_t steps = fe_dims(in[carried])[0];
  return fe_loop(c->b, IR_SCAN, in, nin, carried, scan_step, &s, nout, &steps,
                 out);
}

static void build_call(void *self, const struct sexpr *e, struct ir_value **out,
                       size_t nout) {
  struct call *c = self;
  struct ir_value *arg[SEXPR_ARGS];
  const char *names[FE_MAX_ATTRS];
  struct sexpr_value values[FE_MAX_ATTRS];
  size_t n = 0;
  bool fits = e->nattrs <= FE_MAX_ATTRS;
  sexpr_build_args(&c->builder, e, arg);
  if (c->builder.failed)
    return;
  for (int i = 0; i < e->nattrs && fits; i++) { /* absent ones are handed on */
    names[n] = e->attr[i].name;
    if (sexpr_eval(&c->builder.env, e->attr[i].expr, &values[n]))
      n++;
    else
      fits = e->attr[i].expr->kind == SEXPR_ATTR;
  }
  const struct decomposition *d = NULL;
  struct sexpr_value f;
  if (fits && is_scan(e)) {
    c->builder.failed = !scan(c, e, arg, names, values, n, out, nout);
    return;
  }
  if (e->code >= 0)
    d = row_of(c->b, (enum fe_decomposition)e->code);
  else if (attr_named(c, dn_intern(c->b->ctx, e->name + 1), &f) && f.s)
    d = function_of(c->b, dn_intern(c->b->ctx, f.s));
  if (!fits || !d)
    misfit(c, e->name);
  c->builder.failed = !fits || !d ||
                      !run(c->b, d, e->name, arg, (size_t)e->nargs, names,
                           values, n, out, nout);
}

/* ---- Calls ---- */

/* An axis, or a list of them without doubles, in [0, rank). */
static bool normalize_axes(struct call *c, const char *of,
                           struct sexpr_value *v) {
  const struct ir_value *x = value_named(c, of);
  bool mark[IR_MAX_RANK] = {0};
  for (int i = 0; x && i < (v->n < 0 ? 1 : v->n); i++) {
    int64_t axis = 0;
    if (!fe_axis(c->b, dn_int(v->v[i]), fe_rank(x), &axis))
      return false;
    if (mark[axis])
      return fe_fail(c->b, DN_ATTR, "axis %lld is given twice",
                     (long long)axis);
    mark[axis] = true;
    v->v[i] = (double)axis;
  }
  return true;
}

static bool bind_attrs(struct call *c, const char *const *names,
                       const struct sexpr_value *values, size_t n) {
  for (int i = 0; i < c->d->nattrs; i++) {
    int k = dn_find_row(names, n, sizeof *names, c->d->attr[i].name);
    const struct sexpr *e = c->d->attr[i].otherwise;
    c->has_attr[i] =
        k >= 0 || (e && sexpr_eval(&c->builder.env, e, &c->attr[i]));
    if (k >= 0)
      c->attr[i] = values[k];
    if (!c->has_attr[i] && !c->d->attr[i].optional)
      return fe_fail(c->b, DN_ATTR, "attribute '%s' is missing",
                     c->d->attr[i].name);
    if (c->has_attr[i] && c->d->attr[i].axis_of &&
        !normalize_axes(c, c->d->attr[i].axis_of, &c->attr[i]))
      return false;
  }
  return true;
}

/* `axis is $axis`, `${h}x$w`: numbers are whole. */
static const char *message(struct call *c, const char *text) {
  struct dn_buf buf = dn_buf_new(c->b->ctx->arena);
  while (*text) {
    size_t plain = strcspn(text, "$"), n;
    dn_buf_put(&buf, text, plain);
    text += plain;
    if (!*text)
      break;
    bool braces = *++text == '{';
    text += braces;
    n = 0;
    while (isalpha((unsigned char)text[n]) || text[n] == '_')
      n++;
    struct sexpr_value v;
    bool given = attr_named(c, dn_intern_n(c->b->ctx, text, n), &v);
    if (given && v.s)
      dn_buf_printf(&buf, "%s", fe_text(c->b->ctx, v.s));
    else if (given)
      dn_buf_printf(&buf, "%.0f", v.v[0]);
    text += n + braces;
  }
  return buf.text;
}

static bool meets(struct call *c) {
  for (int i = 0; i < c->d->nrequires; i++) {
    struct sexpr_value v;
    if (sexpr_eval(&c->builder.env, c->d->require[i].cond, &v) &&
        sexpr_is_true(&v))
      continue;
    return !c->builder.failed && fe_fail(c->b, c->d->require[i].code, "%s",
                                         message(c, c->d->require[i].message));
  }
  return true;
}

static bool run(struct fe_build *b, const struct decomposition *d,
                const char *name, struct ir_value *const *args, size_t nargs,
                const char *const *names, const struct sexpr_value *values,
                size_t nattrs, struct ir_value **out, size_t nout) {
  struct call c = {.b = b, .d = d, .name = name};
  c.builder = (struct sexpr_builder){.env = {&c, value_named, attr_named},
                                     .emit = emit,
                                     .number = number,
                                     .call = build_call,
                                     .misfit = misfit};
  for (int i = 0; i < c.d->noperands; i++) {
    c.operand[i] = (size_t)i < nargs ? args[i] : NULL;
    if (!c.operand[i] && !c.d->operand[i].optional)
      return fe_fail(b, DN_ARITY, "input %d is missing", i);
  }
  if (!bind_attrs(&c, names, values, nattrs) || !meets(&c))
    return false;
  for (size_t i = 0; i < nout && i < (size_t)c.d->nresults; i++)
    out[i] = sexpr_build(&c.builder, c.d->result[i]);
  return !c.builder.failed;
}

static bool to_value(const struct ir_attr *a, struct sexpr_value *out) {
  *out = (struct sexpr_value){.n = -1};
  switch (a->kind) {
  case IR_A_INT:
    out->v[0] = (double)a->i;
    return true;
  case IR_A_FLOAT:
    out->v[0] = a->f;
    return true;
  case IR_A_STR:
    out->s = a->s;
    return true;
  case IR_A_INTS:
    out->n = (int)a->n;
    for (int64_t i = 0; i < a->n && i < SEXPR_LIST; i++)
      out->v[i] = (double)a->is[i];
    return a->n <= SEXPR_LIST;
  case IR_A_RECORDS:
    break;
  }
  return false;
}

bool fe_decompose(struct fe_build *b, enum fe_decomposition row,
                  struct ir_value *const *args, size_t nargs,
                  const struct ir_attr *attrs, size_t nattrs,
                  struct ir_value **out, size_t nout) {
  const char *names[FE_MAX_ATTRS];
  struct sexpr_value values[FE_MAX_ATTRS];
  assert(nattrs <= FE_MAX_ATTRS && "the importers: test/frontend");
  for (size_t i = 0; i < nattrs; i++) {
    names[i] = attrs[i].name;
    if (!to_value(&attrs[i], &values[i]))
      return fe_fail(b, DN_ATTR, "'%s' is too long a list", names[i]);
  }
  return run(b, row_of(b, row), texts[row].name, args, nargs, names, values,
             nattrs, out, nout);
}

struct ir_value *fe_call(struct fe_build *b, enum fe_decomposition row,
                         struct ir_value *const *args, size_t nargs,
                         const struct ir_attr *attrs, size_t nattrs) {
  struct ir_value *out = NULL;
  if (args[0])
    fe_decompose(b, row, args, nargs, attrs, nattrs, &out, 1);
  return out;
}
