/* parse.h - shared by the two files of the parser: parse.c (modules, functions,
 * ops) and parse_data.c (types, attributes' numbers, constants). */
#ifndef IR_PARSE_H
#define IR_PARSE_H

#include "ir/ir.h"
#include "ir/lex.h"

struct parser {
  struct lex lx;
  struct dn_ctx *ctx;
  struct dn_arena *scratch;
  struct ir_module *m;
  const char *dir;
  int braces; /* open '{' before the cursor */
  int errors;
  /* Values by name; NULL where the defining statement had an error. */
  struct dn_map consts, funcs, values, files, params;
  struct ir_value pending; /* stands for results of the op being read */
};

void parse_next(struct parser *p);
/* A DN_PARSE error at the cursor; always false. */
#define parse_fail(p, ...) parse_fail_at((p), lex_loc(&(p)->lx), __VA_ARGS__)
bool parse_fail_at(struct parser *p, struct dn_loc loc, const char *fmt, ...)
    DN_PRINTF(3, 4);
bool parse_expected(struct parser *p, const char *what);
/* Takes the name of something new: `what` of the map, such as "value". */
bool parse_new(struct parser *p, enum lex_kind kind, const char *expected,
               const struct dn_map *map, const char *what, const char **name);

/* parse_data.c */
/* Takes a token, or fails: `expected ',' or ']', here ...`. */
bool parse_take(struct parser *p, char punct, const char *what);
/* Takes the token, or word, when it is there. */
bool parse_try(struct parser *p, char punct);
bool parse_word(struct parser *p, const char *word);
const struct ir_type *parse_type(struct parser *p); /* NULL after an error */
bool parse_int(struct parser *p, int64_t *out);
bool parse_float(struct parser *p, double *out);
bool parse_const(struct parser *p); /* after the word `const` */

#endif
