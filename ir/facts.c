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
