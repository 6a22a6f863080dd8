/* rules_test.h - random graphs that rules of rules.def match: rules_random.c
 * makes them, rules_test.c evaluates both sides. */
#ifndef RULES_TEST_H
#define RULES_TEST_H

#include "passes/rules.h"

struct random {
  uint64_t state;
};
/* A number below n. */
unsigned random_below(struct random *r, unsigned n);

/* Makes a module with a function that returns an instance of the rule's
 * pattern: operands of random small shapes, one element type out of the rule's,
 * attributes at random. NULL when the random choices do not fit each other. */
struct ir_module *random_instance(struct dn_ctx *ctx, struct random *r,
                                  const struct rule *rule);

/* A special or an ordinary number; `tame`: neither infinite nor huge. */
double random_number(struct random *r, enum ir_dtype type, bool tame);

#endif
