/* facts.c - see facts.h. */
#include "ir/facts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct ir_facts ir_facts_preset = {
#define FACT(type, name, preset, probe, summary) .name = preset,
#include "ir/facts.def"
#undef FACT
};

struct ir_dot ir_dot_of(const struct ir_facts *f, enum ir_dtype weights) {
  /* Of few bits: weights that are not negative, by factors that may be. */
  bool few = (weights == IR_U4 || weights == IR_U2) && f->dot_k == 4 &&
             f->dot_shape != IR_DOT_ALONG;
  bool is_u8 = f->dot_factor == IR_DOT_U8 && !few;
  if ((weights == IR_I8 || few) && f->dot_k > 1)
    return (struct ir_dot){.id = f->dot,
                           .k = f->dot_k,
                           .factor = is_u8 ? IR_U8 : IR_I8,
                           .weights = weights,
                           .sum = IR_I32,
                           .least = few ? INT8_MIN : f->dot_least,
                           .shape = (enum ir_dot_shape)f->dot_shape,
                           .lanes = f->dot_lanes,
                           .registers = f->dot_registers,
                           .step = f->dot_step,
                           .apart = f->dot_apart,
                           .matrix = few ? 0 : f->matrix};
  if (weights == IR_BF16 && f->bdot_k > 1)
    return (struct ir_dot){.id = f->bdot,
                           .k = f->bdot_k,
                           .factor = IR_BF16,
                           .weights = IR_BF16,
                           .sum = IR_F32,
                           .least = INT64_MIN,
                           .shape = (enum ir_dot_shape)f->bdot_shape,
                           .lanes = f->bdot_lanes,
                           .matrix = f->bmatrix};
  return (struct ir_dot){.k = 1};
}

/* Whether there is such a fact, and it can have the value. */
static bool set_one(struct ir_facts *f, const char *name, int64_t value) {
#define FACT(type, fact, preset, probe, summary)                               \
  if (!strcmp(name, #fact)) {                                                  \
    f->fact = (type)value;                                                     \
    return (preset < 0 || value >= 0) && (int64_t)f->fact == value;            \
  }
#include "ir/facts.def"
#undef FACT
  return false;
}

const char *ir_facts_set(struct ir_facts *f, const char *text) {
  while (*text) {
    char name[32] = "", *end;
    size_t n = strcspn(text, "=");
    if (!text[n] || n >= sizeof name)
      return text;
    memcpy(name, text, n);
    errno = 0;
    int64_t value = strtoll(text + n + 1, &end, 10);
    if (errno || end == text + n + 1 || (*end && *end != ',') ||
        !set_one(f, name, value))
      return text;
    text = end + (*end == ',');
  }
  return NULL;
}

void ir_facts_print(FILE *out, const struct ir_facts *f) {
#define FACT(type, name, preset, probe, summary)                               \
  fprintf(out, "%-14s %8lld  %s\n", #name, (long long)f->name, summary);
#include "ir/facts.def"
#undef FACT
}
