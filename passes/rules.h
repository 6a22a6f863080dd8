/* rules.h - the rules of rules.def, parsed, matched and applied. */
#ifndef PASS_RULES_H
#define PASS_RULES_H

#include "ir/sexpr.h"
#include "passes/pass.h"

enum { RULE_BINDINGS = 8, RULE_CONDS = 4 };

enum rule_mark { RULE_EXACT, RULE_ZERO, RULE_ROUND, RULE_FAST };
enum { RULE_INT = 1, RULE_FLOAT = 2, RULE_BOOL = 4 };

struct rule {
  const char *text[3];
  const struct sexpr *from, *to;
  const struct sexpr *cond[RULE_CONDS];
  int nconds;
  bool once;
  unsigned types; /* of RULE_INT, RULE_FLOAT, RULE_BOOL; 0: any */
  enum rule_mark mark;
  const struct rule *next; /* with the same root op */
};

struct rules {
  size_t n;
  struct rule *rule;
  const struct rule *first[IR_NUM_OPS];
};

/* A mistake in rules.def is an internal error. */
const struct rules *rules_parse(struct dn_ctx *ctx, struct dn_arena *arena);

/* What a pattern's names stand for, and what is built of it. */
struct rule_match {
  struct ir_op *root;
  int nvalues, nattrs, ninner;
  struct {
    const char *name;
    struct ir_value *value;
  } value[RULE_BINDINGS];
  struct {
    const char *name;
    struct sexpr_value value;
  } attr[RULE_BINDINGS];
  struct ir_op *inner[RULE_BINDINGS]; /* ops of the pattern but the root */
  struct ir_builder at;
  struct ir_op *made[RULE_BINDINGS];
  int nmade;
};

bool rule_matches(const struct rule *r, struct ir_op *op,
                  struct rule_match *out);
/* Emits the replacement before the root: NULL when its type is another one.
 * `*fresh`: the value was made here. */
struct ir_value *rule_build(const struct rule *r, struct rule_match *m,
                            bool *fresh);

#endif
