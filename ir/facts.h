/* facts.h - facts of the target that passes and code generation decide by, as
 * plain data: rows of facts.def. Code generation fills them in before the first
 * pass runs. */
#ifndef IR_FACTS_H
#define IR_FACTS_H

#include "ir/type.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum ir_dot_factor { IR_DOT_U8, IR_DOT_I8, IR_DOT_BF16 };
enum ir_dot_shape { IR_DOT_SPREAD, IR_DOT_LANE, IR_DOT_ALONG };
enum ir_walk { IR_WALK_COUNTER, IR_WALK_POINTERS, IR_WALK_INDEX };

struct ir_facts {
#define FACT(type, name, preset, probe, summary) type name;
#include "ir/facts.def"
#undef FACT
};

/* An instruction for sums of k products in each lane (DOT rows of
 * codegen/target/targets.def). */
struct ir_dot {
  int id;    /* 0: there is none */
  int64_t k; /* 1: there is none */
  enum ir_dtype factor, weights, sum;
  int64_t least; /* of the weights that it multiplies right */
  enum ir_dot_shape shape;
  int lanes, registers;
  int64_t step, apart; /* instructions: facts.def */
  int64_t matrix; /* elements of a row of a matrix register; 0: there is none */
};
/* The one for weights of a type. */
struct ir_dot ir_dot_of(const struct ir_facts *f, enum ir_dtype weights);

/* For tests: the same on every machine. */
extern const struct ir_facts ir_facts_preset;

/* Changes facts by "NAME=N,..."; NULL, or where the text is wrong. */
const char *ir_facts_set(struct ir_facts *f, const char *text);
/* A line a fact: name, value, summary. */
void ir_facts_print(FILE *out, const struct ir_facts *f);

#endif
