/* parse.c - text to module. LL(1), by recursive descent; recursion is bounded
 * by --limit-depth. After an error the parser goes on at the next line that can
 * start a statement of the same block, so that one run reports several; names
 * that a faulty statement would have made are known to be missing and are not
 * reported again. Grammar: docs/ir.md.
 *
 *   module := [header] { const | func }
 *   func   := 'func' @name '(' params ')' ['->' '(' results ')'] block
 *   block  := '{' { op } '}'
 *   op     := [%r {',' %r} '='] word [value {',' value}] [attrs]
 *             [':' type {',' type}] [loc] ['do' region {'else' region}]
 *   region := ['(' params ')'] block */
#include "ir/parse.h"

#include "ir/place.h"
#include "ir/size.h"

#include <assert.h>
#include <string.h>

enum { MAX_ERRORS = 100, MAX_REGIONS = 8 };

/* ---- Tokens ---- */

void parse_next(struct parser *p) {
  p->braces += lex_is(&p->lx, '{') - lex_is(&p->lx, '}');
  lex_next(&p->lx);
}

bool parse_fail_at(struct parser *p, struct dn_loc loc, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  const char *text = dn_vprintf(p->ctx->arena, fmt, ap);
  va_end(ap);
  /* A malformed token was reported by the lexer. */
  return p->lx.tok.kind != LEX_ERROR &&
         dn_error(p->ctx, loc, DN_PARSE, "%s", text);
}

bool parse_expected(struct parser *p, const char *what) {
  return parse_fail(p, "expected %s, here %s", what, lex_describe(&p->lx));
}

bool parse_new(struct parser *p, enum lex_kind kind, const char *expected,
               const struct dn_map *map, const char *what, const char **name) {
  if (p->lx.tok.kind != kind)
    return parse_expected(p, expected);
  *name = p->lx.tok.text;
  if (dn_map_find(map, *name))
    return parse_fail(p, "%s %s is defined twice", what, lex_describe(&p->lx));
  parse_next(p);
  return true;
}

/* Moves to where a statement may start with `braces` open. False at the end of
 * the text, or when there have been errors enough. */
static bool recover(struct parser *p, int braces) {
  if (++p->errors >= MAX_ERRORS)
    return p->errors == MAX_ERRORS &&
           parse_fail(p, "too many errors, the rest is not read");
  p->lx.quiet = true;
  while (p->lx.tok.kind != LEX_EOF) {
    enum lex_kind kind = p->lx.tok.kind;
    if (p->braces < braces)
      break;
    if (p->braces == braces &&
        (lex_is(&p->lx, '}') ||
         (p->lx.tok.first && (kind == LEX_VALUE || kind == LEX_WORD))))
      break;
    parse_next(p);
  }
  p->lx.quiet = false;
  return p->lx.tok.kind != LEX_EOF;
}

/* ---- Attributes ---- */

struct attr_list {
  struct ir_attr *v;
  size_t n, cap;
};

/* For one more element of an attribute. */
static bool has_room(struct parser *p, int64_t n) {
  return n < p->ctx->limits.attr ||
         parse_fail(p, "a list longer than --limit-attr=%lld",
                    (long long)p->ctx->limits.attr);
}

static bool attr_list_value(struct parser *p, struct ir_attr *a) {
  DN_LIST(int64_t) ints = {0};
  while (!lex_is(&p->lx, ']')) {
    if (a->n && !parse_take(p, ',', "',' or ']'"))
      return false;
    int64_t i = 0;
    if (!has_room(p, a->n++) || !parse_int(p, &i))
      return false;
    DN_PUSH(p->scratch, ints, i);
  }
  parse_next(p);
  a->is = ints.v;
  return true;
}

/* Of an op or, with IR_NUM_OPS, of a record. */
static bool attr_items(struct parser *p, enum ir_opcode code,
                       struct attr_list *list);

/* Records up to the ']'; the first '{' is at the cursor. */
static bool records(struct parser *p, struct ir_attr *a) {
  DN_LIST(struct ir_record) rs = {0};
  a->kind = IR_A_RECORDS;
  do {
    struct attr_list fields = {0};
    if (!has_room(p, a->n++) || !parse_take(p, '{', "'{'") ||
        !attr_items(p, IR_NUM_OPS, &fields))
      return false;
    struct ir_record r = {(unsigned)fields.n, fields.v};
    for (unsigned i = 0; i < r.n; i++)
      if (r.field[i].kind != IR_A_INT && r.field[i].kind != IR_A_INTS)
        return parse_fail(p, "'%s' in a record is no integer and no list",
                          r.field[i].name);
    DN_PUSH(p->scratch, rs, r);
  } while (parse_try(p, ','));
  a->rs = rs.v;
  return parse_take(p, ']', "',' or ']'");
}

/* The value of an attribute. Its kind is the row's; of an attribute that the
 * row does not have (the verifier's business), what it looks like. */
static bool attr_value(struct parser *p, const struct ir_attr_spec *spec,
                       struct ir_attr *a) {
  enum lex_kind kind = p->lx.tok.kind;
  if (lex_is(&p->lx, '[')) {
    a->kind = IR_A_INTS;
    parse_next(p);
    bool empty = spec && spec->kind == IR_A_RECORDS && parse_try(p, ']');
    if (empty)
      a->kind = IR_A_RECORDS;
    return empty ||
           (lex_is(&p->lx, '{') ? records(p, a) : attr_list_value(p, a));
  }
  int64_t i;
  if (spec)
    a->kind = spec->kind;
  else if (kind == LEX_NUMBER)
    a->kind = lex_int(p->lx.tok.text, &i) ? IR_A_INT : IR_A_FLOAT;
  else
    a->kind = IR_A_STR;
  switch (a->kind) {
  case IR_A_INT:
    return parse_int(p, &a->i);
  case IR_A_FLOAT:
    return parse_float(p, &a->f);
  case IR_A_STR:
    if (kind != LEX_WORD && kind != LEX_STRING)
      return parse_expected(p, "a value");
    a->s = p->lx.tok.text;
    parse_next(p);
    return true;
  case IR_A_INTS:
  case IR_A_RECORDS:
    break;
  }
  return parse_fail(p, "attribute '%s' is a list, here %s", a->name,
                    lex_describe(&p->lx));
}

static bool attr_items(struct parser *p, enum ir_opcode code,
                       struct attr_list *list) {
  do {
    if (list->n == IR_MAX_ATTRS)
      return parse_fail(p, "more than %d attributes", IR_MAX_ATTRS);
    if (p->lx.tok.kind != LEX_WORD)
      return parse_expected(p, "the name of an attribute");
    struct ir_attr a = {.name = p->lx.tok.text};
    for (size_t k = 0; k < list->n; k++)
      if (list->v[k].name == a.name)
        return parse_fail(p, "attribute '%s' is given twice", a.name);
    parse_next(p);
    struct ir_attr_spec spec;
    bool known = code < IR_NUM_OPS &&
                 ir_op_attr_spec(code, a.name, strlen(a.name), &spec);
    if (!parse_take(p, '=', "'='") || !attr_value(p, known ? &spec : NULL, &a))
      return false;
    DN_PUSH(p->scratch, *list, a);
  } while (parse_try(p, ','));
  return parse_take(p, '}', "',' or '}'");
}

/* After an error the closing brace is looked for on the same line, so that the
 * count of braces stays right. */
static bool attrs(struct parser *p, enum ir_opcode code,
                  struct attr_list *list) {
  if (!parse_try(p, '{') || attr_items(p, code, list))
    return true;
  p->lx.quiet = true;
  while (p->lx.tok.kind != LEX_EOF && !p->lx.tok.first && !lex_is(&p->lx, '}'))
    parse_next(p);
  p->lx.quiet = false;
  if (!parse_try(p, '}'))
    p->braces--;
  return false;
}

/* ---- Ops ---- */

struct statement { /* an op as it is read, before it is made */
  DN_LIST(const char *) results;
  DN_LIST(struct ir_value *) args;
  DN_LIST(const struct ir_type *) types;
  struct attr_list attrs;
  enum ir_opcode code;
  const char *node, *model_op;
  struct dn_loc loc; /* of the op's word */
  bool broken;       /* reads what a faulty statement should have made */
};

static bool block(struct parser *p, struct ir_block *b, int depth);

static bool result_names(struct parser *p, struct statement *s) {
  if (p->lx.tok.kind != LEX_VALUE)
    return true;
  do {
    const char *name;
    if (!parse_new(p, LEX_VALUE, "the name of a result", &p->values, "value",
                   &name))
      return false;
    DN_PUSH(p->scratch, s->results, name);
    dn_map_at(p->scratch, &p->values, name)->value = &p->pending;
  } while (parse_try(p, ','));
  return parse_take(p, '=', "'=' after the results");
}

static bool operands(struct parser *p, struct statement *s) {
  if (p->lx.tok.kind != LEX_VALUE && p->lx.tok.kind != LEX_SYMBOL)
    return true;
  do {
    bool symbol = p->lx.tok.kind == LEX_SYMBOL;
    if (!symbol && p->lx.tok.kind != LEX_VALUE)
      return parse_expected(p, "an operand");
    struct dn_entry *known =
        dn_map_find(symbol ? &p->consts : &p->values, p->lx.tok.text);
    if (!known || known->value == &p->pending)
      return parse_fail(p, "%s is not defined before this line",
                        lex_describe(&p->lx));
    s->broken |= !known->value;
    DN_PUSH(p->scratch, s->args, (struct ir_value *)known->value);
    parse_next(p);
  } while (parse_try(p, ','));
  return true;
}

static bool type_list(struct parser *p, struct statement *s) {
  if (!parse_try(p, ':'))
    return true;
  do {
    const struct ir_type *type = parse_type(p);
    if (!type)
      return false;
    DN_PUSH(p->scratch, s->types, type);
  } while (parse_try(p, ','));
  return s->types.n == s->results.n ||
         parse_fail_at(p, s->loc, "%zu types for %zu results", s->types.n,
                       s->results.n);
}

/* loc("node") or loc("node", "Operator") */
static bool loc(struct parser *p, struct statement *s) {
  if (!parse_word(p, "loc"))
    return true;
  const char *text[2] = {NULL, NULL};
  if (!parse_take(p, '(', "'(' and a name in quotes"))
    return false;
  for (int i = 0; i < 2; i++) {
    if (p->lx.tok.kind != LEX_STRING)
      return parse_expected(p, "a name in quotes");
    text[i] = p->lx.tok.len ? dn_intern(p->ctx, p->lx.tok.text) : NULL;
    parse_next(p);
    if (!parse_try(p, ','))
      break;
  }
  s->node = text[0];
  s->model_op = text[1];
  return parse_take(p, ')', "')'");
}

static bool head(struct parser *p, struct statement *s) {
  if (!result_names(p, s))
    return false;
  s->loc = lex_loc(&p->lx);
  if (p->lx.tok.kind != LEX_WORD || !ir_op_find(p->lx.tok.text, &s->code))
    return parse_expected(p, "an op");
  parse_next(p);
  return operands(p, s) && attrs(p, s->code, &s->attrs) && type_list(p, s) &&
         loc(p, s);
}

static struct ir_op *make_op(struct parser *p, const struct statement *s,
                             struct ir_block *b) {
  struct ir_builder at = {.m = p->m,
                          .block = b,
                          .loc = s->node,
                          .model_op = s->model_op,
                          .line = s->loc.line,
                          .names = s->results.v};
  /* Types that the text leaves out are found below. */
  const struct ir_type **types =
      DN_ARRAY(p->scratch, const struct ir_type *, s->results.n);
  for (size_t i = 0; i < s->results.n; i++)
    types[i] = s->types.n ? s->types.v[i] : ir_type(p->ctx, IR_F32, 0, NULL);
  return ir_op_new(&at, s->code, s->args.v, s->args.n, s->attrs.v, s->attrs.n,
                   types, s->results.n, 0);
}

/* Types of results without annotation: by inference, and of an op with regions
 * from what its first region yields. */
static bool find_types(struct parser *p, const struct statement *s,
                       struct ir_op *op) {
  if (s->types.n || !s->results.n)
    return true;
  if (ir_ops[s->code].cls != IR_REGION) {
    if (s->results.n > 1)
      return parse_fail_at(p, s->loc, "'%s' has one result",
                           ir_ops[s->code].text);
    const struct ir_type *type =
        ir_op_check(p->ctx, op) ? ir_infer(p->ctx, op) : NULL;
    if (type)
      op->result[0]->type = type;
    return type;
  }
  const struct ir_op *last = op->nregions ? op->region[0]->last : NULL;
  if (!last || last->code != IR_YIELD || last->noperands != s->results.n)
    return parse_fail_at(p, s->loc,
                         "the types of the results of this '%s' cannot be left "
                         "out",
                         ir_ops[s->code].text);
  for (unsigned i = 0; i < op->nresults; i++)
    op->result[i]->type = ir_arg(last, i)->type;
  return true;
}

/* `= @h0` behind a parameter of a function: what state is at first. */
static bool initial(struct parser *p, struct ir_value *param) {
  if (!parse_try(p, '='))
    return true;
  const struct dn_entry *known = p->lx.tok.kind == LEX_SYMBOL
                                     ? dn_map_find(&p->consts, p->lx.tok.text)
                                     : NULL;
  if (!known)
    return parse_fail(p, "no constant is defined before this line here");
  param->initial = known->value;
  parse_next(p);
  return true;
}

/* `(%i: i64[], %x: f32[3])` */
static bool params(struct parser *p, struct ir_block *b) {
  if (!parse_take(p, '(', "'(' and parameters"))
    return false;
  while (!lex_is(&p->lx, ')')) {
    if (b->nparams && !parse_take(p, ',', "',' or ')'"))
      return false;
    const char *name;
    if (!parse_new(p, LEX_VALUE, "a parameter such as %x", &p->values, "value",
                   &name))
      return false;
    dn_map_at(p->scratch, &p->values, name)->value = NULL;
    const struct ir_type *type =
        parse_take(p, ':', "':' and a type") ? parse_type(p) : NULL;
    if (!type)
      return false;
    struct ir_value *v = ir_param_new(b, name, type);
    dn_map_at(p->scratch, &p->values, name)->value = v;
    if (!b->owner && !initial(p, v))
      return false;
  }
  parse_next(p);
  return true;
}

/* Sizes in the region of a scan may name the number of the turn. */
static void name_turn(struct parser *p, const struct ir_op *op) {
  int64_t states = op->code == IR_SCAN ? ir_get_int(op, "states") : -1;
  if (states < 0 || states >= op->noperands)
    return;
  const struct ir_type *x = ir_arg(op, (unsigned)states)->type;
  const struct ir_param *turn = ir_param_of_turn(
      p->ctx, ir_loops_around(op->block), x->rank ? x->dim[0] : 1);
  dn_map_put(p->scratch, &p->params, turn->name, (void *)(uintptr_t)turn);
}

static bool regions(struct parser *p, struct ir_op *op, int depth) {
  bool more = parse_word(p, "do");
  if (more)
    name_turn(p, op);
  while (more) {
    if (op->nregions == MAX_REGIONS || depth >= p->ctx->limits.depth)
      return parse_fail(p, "too many regions, or nested deeper than "
                           "--limit-depth");
    struct ir_block *b = ir_region_new(op);
    if (lex_is(&p->lx, '(') && !params(p, b))
      return false;
    if (!block(p, b, depth + 1))
      return false;
    more = parse_word(p, "else");
  }
  return true;
}

static bool statement(struct parser *p, struct ir_block *b, int depth) {
  struct statement s = {0};
  struct ir_op *op = NULL;
  bool ok = head(p, &s) && p->lx.tok.kind != LEX_ERROR;
  if (ok && !s.broken) {
    op = make_op(p, &s, b);
    ok = regions(p, op, depth) && find_types(p, &s, op);
  } else if (s.broken && lex_is_word(&p->lx, "do")) {
    ok = false; /* step over its regions */
  }
  for (size_t i = 0; i < s.results.n; i++)
    dn_map_at(p->scratch, &p->values, s.results.v[i])->value =
        ok && op ? op->result[i] : NULL;
  return ok;
}

static bool block(struct parser *p, struct ir_block *b, int depth) {
  if (!parse_take(p, '{', "'{'"))
    return false;
  int braces = p->braces;
  while (!lex_is(&p->lx, '}')) {
    if (p->lx.tok.kind == LEX_EOF)
      return parse_fail(p, "expected '}', here the end of the file");
    const char *start = p->lx.at;
    if (!statement(p, b, depth)) {
      if (p->lx.at == start)
        parse_next(p);
      if (!recover(p, braces))
        return false;
    }
    if (p->braces < braces)
      return true; /* an error ate the closing brace */
  }
  parse_next(p);
  return true;
}

/* ---- Functions and modules ---- */

struct header { /* what a function's first line says of its results */
  bool given;
  DN_LIST(const char *) names;
  DN_LIST(const struct ir_type *) types;
};

/* `-> ("prob": f32[1,10], i64[])` */
static bool func_results(struct parser *p, struct header *h) {
  if (p->lx.tok.kind != LEX_ARROW)
    return true;
  h->given = true;
  parse_next(p);
  if (!parse_take(p, '(', "'(' and the types of the results"))
    return false;
  while (!lex_is(&p->lx, ')')) {
    if (h->types.n && !parse_take(p, ',', "',' or ')'"))
      return false;
    const char *name = NULL;
    if (p->lx.tok.kind == LEX_STRING) {
      name = dn_intern(p->ctx, p->lx.tok.text);
      parse_next(p);
      if (!parse_take(p, ':', "':' and a type"))
        return false;
    }
    const struct ir_type *type = parse_type(p);
    if (!type)
      return false;
    DN_PUSH(p->scratch, h->names, name);
    DN_PUSH(p->scratch, h->types, type);
  }
  parse_next(p);
  return true;
}

/* Compares the return with the header, and keeps the results' names. */
static bool finish_func(struct parser *p, struct ir_func *f,
                        const struct header *h) {
  const struct ir_op *last = f->body->last;
  bool returns = last && last->code == IR_RETURN;
  f->nresults = h->given ? (unsigned)h->types.n : returns ? last->noperands : 0;
  f->result_name = DN_ARRAY(p->m->arena, const char *, f->nresults);
  for (size_t i = 0; i < h->names.n; i++)
    f->result_name[i] = h->names.v[i];
  if (!h->given || !returns || last->noperands != f->nresults)
    return true; /* the verifier reports it */
  for (unsigned i = 0; i < f->nresults; i++) {
    const struct ir_type *is = ir_arg(last, i)->type, *said = h->types.v[i];
    if (is != said)
      return dn_error(p->ctx, ir_loc(last), DN_TYPE,
                      "result %u is %s, the function's header says %s", i,
                      ir_type_text(p->ctx, p->scratch, is),
                      ir_type_text(p->ctx, p->scratch, said));
  }
  return true;
}

static bool func(struct parser *p) {
  const char *name;
  if (!parse_new(p, LEX_SYMBOL, "a name such as @main", &p->funcs, "function",
                 &name))
    return false;
  struct ir_func *f = ir_func_new(p->m, name);
  dn_map_at(p->scratch, &p->funcs, name)->value = f;
  p->values = (struct dn_map){0};
  struct header h = {0};
  unsigned errors = dn_errors(p->ctx);
  if (!params(p, f->body) || !func_results(p, &h) || !block(p, f->body, 0))
    return false;
  return dn_errors(p->ctx) > errors || finish_func(p, f, &h);
}

/* `arena=N`, `split=N` or `bound=N` of the header. */
static bool plan_number(struct parser *p) {
  int64_t *out = lex_is_word(&p->lx, "arena")   ? &p->m->arena_size
                 : lex_is_word(&p->lx, "split") ? &p->m->arena_split
                 : lex_is_word(&p->lx, "bound") ? &p->m->arena_bound
                                                : NULL;
  if (!out)
    return parse_expected(p, "arena, split or bound");
  parse_next(p);
  if (!parse_take(p, '=', "'='") || !parse_int(p, out))
    return false;
  return *out >= 0 || parse_fail(p, "a negative number of bytes");
}

static bool module_form(struct parser *p) {
  for (int i = 0; i < 3; i++) {
    if (parse_word(p, ir_form_names[i])) {
      p->m->form = (enum ir_form)i;
      return true;
    }
  }
  return parse_expected(p, "graph, kernels or planned");
}

static bool module_header(struct parser *p) {
  if (p->lx.tok.kind == LEX_SYMBOL) {
    p->m->name = dn_intern(p->ctx, p->lx.tok.text);
    parse_next(p);
  }
  if (parse_word(p, "form") && !module_form(p))
    return false;
  if (!parse_try(p, '{'))
    return true;
  do {
    if (!plan_number(p))
      return false;
  } while (parse_try(p, ','));
  return parse_take(p, '}', "',' or '}'");
}

static void module(struct parser *p) {
  bool ok = !parse_word(p, "module") || module_header(p);
  while (p->lx.tok.kind != LEX_EOF) {
    if (!ok && !recover(p, 0))
      return;
    p->braces = 0;
    if (parse_word(p, "const")) {
      ok = parse_const(p);
    } else if (parse_word(p, "func")) {
      ok = func(p);
    } else {
      ok = parse_expected(p, "const or func");
      parse_next(p);
    }
  }
}

struct ir_module *ir_parse(struct dn_ctx *ctx, const char *file,
                           const char *text, size_t size, const char *dir) {
  unsigned errors = dn_errors(ctx);
  struct parser p = {.ctx = ctx,
                     .scratch = dn_arena_new(ctx),
                     .m = ir_module_new(ctx, file),
                     .dir = dir};
  lex_init(&p.lx, ctx, p.scratch, file, text, size);
  module(&p);
  if (dn_errors(ctx) == errors && !p.m->funcs)
    parse_fail(&p, "a module without a function");
  dn_arena_free(p.scratch);
  if (dn_errors(ctx) == errors)
    return p.m;
  ir_module_free(p.m);
  return NULL;
}
