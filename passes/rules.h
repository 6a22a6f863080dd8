/* rules.h - the rules of rules.def, parsed, matched and applied. */
#ifndef PASS_RULES_H
#define PASS_RULES_H

#include "passes/pass.h"

enum { RULE_ARGS = 3, RULE_ATTRS = 4, RULE_BINDINGS = 8, RULE_CONDS = 4 };
enum { RULE_LIST = 2 * IR_MAX_RANK };

/* Functions of expressions: rules_expr.c. */
#define RULE_FUNCTIONS(X)                                                      \
  X(ADD, "+", 2)                                                               \
  X(MUL, "*", 2)                                                               \
  X(MIN, "min", 2)                                                             \
  X(MAX, "max", 2)                                                             \
  X(EQ, "eq", 2)                                                               \
  X(LT, "lt", 2)                                                               \
  X(LE, "le", 2)                                                               \
  X(IF, "if", 3)                                                               \
  X(AT, "at", 2)                   /* (at p q): p[q[i]] */                     \
  X(UNION, "union", 2)             /* elements of both lists, once each */     \
  X(SHAPE, "shape", 0)             /* dims of the matched value */             \
  X(DIMS, "dims", 1)               /* of a value */                            \
  X(INDEX, "index", 1)             /* 0 .. rank of a value - 1 */              \
  X(COUNT, "count", 1)             /* elements of a value */                   \
  X(VALUE, "value", 1)             /* the number that a constant holds */      \
  X(POW2, "pow2", 1)               /* a constant holds powers of two, and so   \
                                      do its reciprocals */                    \
  X(LOSSLESS, "lossless", 2)       /* (lossless x $t): element type t holds    \
                                      all of x's, both floats or none */       \
  X(MOVES_UNITS, "moves_units", 2) /* (moves_units x $p): a permutation that   \
                                      keeps the order of dims over 1 */

enum rule_fn {
#define X(ID, text, arity) RULE_FN_##ID,
  RULE_FUNCTIONS(X)
#undef X
      RULE_NUM_FNS
};

struct rule_expr {
  enum { RULE_E_NUMBER, RULE_E_ATTR, RULE_E_VALUE, RULE_E_CALL } kind;
  double number;
  char name; /* of an attribute $a or a value x */
  enum rule_fn fn;
  const struct rule_expr *arg[RULE_ARGS];
};

struct rule_node {
  enum { RULE_OP, RULE_ANY, RULE_CONST, RULE_NUMBER } kind;
  char name;     /* of a value */
  double number; /* RULE_NUMBER */
  enum ir_opcode code;
  int nargs, nattrs;
  const struct rule_node *arg[RULE_ARGS];
  struct {
    const char *name;
    const struct rule_expr *expr;
  } attr[RULE_ATTRS];
};

enum rule_mark { RULE_EXACT, RULE_ZERO, RULE_ROUND, RULE_FAST };
enum { RULE_INT = 1, RULE_FLOAT = 2, RULE_BOOL = 4 };

struct rule {
  const char *text[3];
  const struct rule_node *from, *to;
  const struct rule_expr *cond[RULE_CONDS];
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

/* A number, a list or a string. */
struct rule_value {
  int n; /* length of a list, -1: a number */
  double v[RULE_LIST];
  const char *s;
};

/* What a pattern's names stand for. */
struct rule_match {
  struct ir_op *root;
  int nvalues, nattrs, ninner;
  struct {
    char name;
    struct ir_value *value;
  } value[RULE_BINDINGS];
  struct {
    char name;
    struct rule_value value;
  } attr[RULE_BINDINGS];
  struct ir_op *inner[RULE_BINDINGS]; /* ops of the pattern but the root */
};

/* false when the expression has no value here: an index out of range, a
 * constant that is not uniform. */
bool rule_eval(const struct rule_match *m, const struct rule_expr *e,
               struct rule_value *out);
bool rule_is_true(const struct rule_value *v);
struct ir_value *rule_value_named(const struct rule_match *m, char name);

bool rule_matches(const struct rule *r, struct ir_op *op,
                  struct rule_match *out);
/* Emits the replacement before the root: NULL when its type is another one.
 * `*fresh` tells whether the value was made here. */
struct ir_value *rule_build(const struct rule *r, const struct rule_match *m,
                            bool *fresh);

#endif
