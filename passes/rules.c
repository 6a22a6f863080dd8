/* rules.c - reads rules.def: see the head of that file. */
#include "passes/rules.h"

#include <assert.h>
#include <string.h>

static void read_conditions(struct sexpr_reader *r, struct rule *rule) {
  static const struct {
    const char *word;
    unsigned types;
    enum rule_mark mark;
  } words[] = {
      {"int", RULE_INT, RULE_EXACT},   {"float", RULE_FLOAT, RULE_EXACT},
      {"bool", RULE_BOOL, RULE_EXACT}, {"zero", 0, RULE_ZERO},
      {"round", 0, RULE_ROUND},        {"fast", 0, RULE_FAST},
      {"once", 0, RULE_EXACT}};
  while (!sexpr_at_end(r)) {
    if (*r->at == '(') {
      if (rule->nconds == RULE_CONDS)
        sexpr_bad(r, "too many conditions");
      rule->cond[rule->nconds++] = sexpr_read_expr(r);
      continue;
    }
    const char *w = sexpr_word(r);
    int k = DN_FIND(words, w);
    if (k < 0)
      sexpr_bad(r, "unknown condition before");
    rule->types |= words[k].types;
    if (words[k].mark != RULE_EXACT)
      rule->mark = words[k].mark;
    rule->once |= !strcmp(w, "once");
  }
}

static void parse_rule(struct sexpr_reader *r, struct rule *rule) {
  r->row = r->at = rule->text[0];
  rule->from = sexpr_read_value(r);
  if (!sexpr_at_end(r) || rule->from->kind != SEXPR_OP)
    sexpr_bad(r, "a pattern is one op");
  r->at = rule->text[1];
  rule->to = sexpr_read_value(r);
  if (!sexpr_at_end(r))
    sexpr_bad(r, "a replacement is one value");
  r->at = rule->text[2];
  read_conditions(r, rule);
}

const struct rules *rules_parse(struct dn_ctx *ctx, struct dn_arena *arena) {
  static const char *const texts[][3] = {
#define RULE(from, to, conditions) {from, to, conditions},
#include "passes/rules.def"
#undef RULE
  };
  struct sexpr_reader r = {.ctx = ctx, .arena = arena, .table = "rules.def"};
  struct rules *rules = DN_NEW(arena, struct rules);
  rules->n = DN_COUNT(texts);
  rules->rule = DN_ARRAY(arena, struct rule, rules->n);
  for (size_t i = rules->n; i-- > 0;) { /* lists in the order of the file */
    struct rule *rule = &rules->rule[i];
    memcpy(rule->text, texts[i], sizeof rule->text);
    parse_rule(&r, rule);
    assert(rule->from->kind == SEXPR_OP && rule->from->code < IR_NUM_OPS &&
           "parse_rule() takes one op");
    rule->next = rules->first[rule->from->code];
    rules->first[rule->from->code] = rule;
  }
  return rules;
}
