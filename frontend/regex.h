/* regex.h - a regular expression as an automaton over the bytes of UTF-8. */
#ifndef FE_REGEX_H
#define FE_REGEX_H

#include "frontend/build.h"

/* From a state and the class of a byte to the next state, next[state * classes
 * + class]. Strings end with the byte 0: then a match is in
 * FE_REGEX_MATCHED. */
enum { FE_REGEX_NONE, FE_REGEX_MATCHED, FE_REGEX_FIRST };
struct fe_automaton {
  int64_t states, classes;
  int64_t class_of[256];
  int64_t *next;
};

/* Of what matches all of a string, in RE2's syntax; false after a diagnostic,
 * at b's place. */
bool fe_regex(const struct fe_build *b, const char *pattern, size_t n,
              struct fe_automaton *out);

/* Inside: a tree of the pattern (regex.c), which regex_automaton.c compiles. */
struct regex_range {
  uint32_t lo, hi; /* code points */
};
struct regex_node {
  enum regex_kind {
    REGEX_EMPTY,
    REGEX_SET,
    REGEX_CAT,
    REGEX_ALT,
    REGEX_REPEAT,
    REGEX_ASSERT
  } kind;
  struct regex_node *a, *b;
  int min, max;                    /* REPEAT; max -1: any number */
  char what;                       /* ASSERT: ^ $ b B */
  DN_LIST(struct regex_range) set; /* sorted, apart */
};
bool fe_regex_compile(const struct fe_build *b, const struct regex_node *root,
                      struct fe_automaton *out);

#endif
