/* rules.c - parses rules.def: S-expressions, see the head of that file. */
#include "passes/rules.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct reader {
  struct dn_ctx *ctx;
  struct dn_arena *arena;
  const struct rule *rule;
  const char *at;
  int depth;
};

static _Noreturn void bad(struct reader *r, const char *what) {
  dn_fatal(r->ctx, (struct dn_loc){.where = "rules.def"}, DN_INTERNAL,
           "rule %s: %s at '%.20s'", r->rule->text[0], what, r->at);
}

static void skip(struct reader *r) { r->at += strspn(r->at, " ,"); }

static bool eat(struct reader *r, char c) {
  skip(r);
  if (*r->at != c)
    return false;
  r->at++;
  return true;
}

static void expect(struct reader *r, char c) {
  if (!eat(r, c))
    bad(r, "unexpected character");
}

/* What a word is made of: op and function names, numbers, letters. */
static size_t word_length(const char *s) { return strcspn(s, " ,(){}="); }

static const char *word(struct reader *r) {
  skip(r);
  size_t n = word_length(r->at);
  if (!n)
    bad(r, "expected a word");
  const char *w = dn_intern_n(r->ctx, r->at, n);
  r->at += n;
  return w;
}

static bool is_number(const char *w, double *out) {
  if (!isdigit((unsigned char)w[w[0] == '-']) && !strstr(w, "inf"))
    return false;
  *out = strtod(w, NULL);
  return true;
}

static const struct rule_expr *read_expr(struct reader *r);

static void read_call(struct reader *r, struct rule_expr *e) {
  static const struct {
    const char *text;
    int arity;
  } fns[] = {
#define X(ID, text, arity) {text, arity},
      RULE_FUNCTIONS(X)
#undef X
  };
  const char *w = word(r);
  int fn = 0;
  while (fn < RULE_NUM_FNS && strcmp(fns[fn].text, w))
    fn++;
  if (fn == RULE_NUM_FNS)
    bad(r, "unknown function before");
  e->kind = RULE_E_CALL;
  e->fn = (enum rule_fn)fn;
  for (int i = 0; i < fns[fn].arity; i++)
    e->arg[i] = read_expr(r);
  expect(r, ')');
}

static const struct rule_expr *read_expr(struct reader *r) {
  if (++r->depth > 16)
    bad(r, "too deep");
  struct rule_expr *e = DN_NEW(r->arena, struct rule_expr);
  if (eat(r, '(')) {
    read_call(r, e);
  } else {
    const char *w = word(r);
    e->kind = RULE_E_NUMBER;
    if (w[0] == '$') {
      e->kind = RULE_E_ATTR;
      e->name = w[1];
    } else if (!is_number(w, &e->number)) {
      e->kind = RULE_E_VALUE;
      e->name = w[0];
    }
  }
  r->depth--;
  return e;
}

static void read_attrs(struct reader *r, struct rule_node *node) {
  while (!eat(r, '}')) {
    if (node->nattrs == RULE_ATTRS)
      bad(r, "too many attributes");
    node->attr[node->nattrs].name = word(r);
    expect(r, '=');
    node->attr[node->nattrs++].expr = read_expr(r);
  }
}

static const struct rule_node *read_node(struct reader *r) {
  if (++r->depth > 16)
    bad(r, "too deep");
  struct rule_node *node = DN_NEW(r->arena, struct rule_node);
  if (eat(r, '(')) {
    node->kind = RULE_OP;
    if (!ir_op_find(word(r), &node->code))
      bad(r, "unknown op before");
    while (!eat(r, ')')) {
      if (eat(r, '{')) {
        read_attrs(r, node);
      } else if (node->nargs == RULE_ARGS) {
        bad(r, "too many operands");
      } else {
        node->arg[node->nargs++] = read_node(r);
      }
    }
  } else {
    const char *w = word(r);
    if (is_number(w, &node->number)) {
      node->kind = RULE_NUMBER;
    } else {
      node->kind = w[0] == '#' ? RULE_CONST : RULE_ANY;
      node->name = w[w[0] == '#'];
    }
  }
  r->depth--;
  return node;
}

static void read_conditions(struct reader *r, struct rule *rule) {
  static const struct {
    const char *word;
    unsigned types;
    enum rule_mark mark;
  } words[] = {
      {"int", RULE_INT, RULE_EXACT},   {"float", RULE_FLOAT, RULE_EXACT},
      {"bool", RULE_BOOL, RULE_EXACT}, {"zero", 0, RULE_ZERO},
      {"round", 0, RULE_ROUND},        {"fast", 0, RULE_FAST},
      {"once", 0, RULE_EXACT}};
  for (skip(r); *r->at; skip(r)) {
    if (*r->at == '(') {
      if (rule->nconds == RULE_CONDS)
        bad(r, "too many conditions");
      rule->cond[rule->nconds++] = read_expr(r);
      continue;
    }
    const char *w = word(r);
    size_t k = 0, n = sizeof words / sizeof *words;
    while (k < n && strcmp(words[k].word, w))
      k++;
    if (k == n)
      bad(r, "unknown condition before");
    rule->types |= words[k].types;
    if (words[k].mark != RULE_EXACT)
      rule->mark = words[k].mark;
    rule->once |= !strcmp(w, "once");
  }
}

static void parse_rule(struct reader *r, struct rule *rule) {
  r->rule = rule;
  r->at = rule->text[0];
  rule->from = read_node(r);
  if (*r->at || rule->from->kind != RULE_OP)
    bad(r, "a pattern is one op");
  r->at = rule->text[1];
  rule->to = read_node(r);
  if (*r->at)
    bad(r, "a replacement is one value");
  r->at = rule->text[2];
  read_conditions(r, rule);
}

const struct rules *rules_parse(struct dn_ctx *ctx, struct dn_arena *arena) {
  static const char *const texts[][3] = {
#define RULE(from, to, conditions) {from, to, conditions},
#include "passes/rules.def"
#undef RULE
  };
  struct reader r = {.ctx = ctx, .arena = arena};
  struct rules *rules = DN_NEW(arena, struct rules);
  rules->n = sizeof texts / sizeof *texts;
  rules->rule = DN_ARRAY(arena, struct rule, rules->n);
  for (size_t i = rules->n; i-- > 0;) { /* lists in the order of the file */
    struct rule *rule = &rules->rule[i];
    memcpy(rule->text, texts[i], sizeof rule->text);
    parse_rule(&r, rule);
    rule->next = rules->first[rule->from->code];
    rules->first[rule->from->code] = rule;
  }
  return rules;
}
