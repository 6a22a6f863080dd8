/* lex.h - tokens of the text form. A cursor over bytes that need not end in
 * NUL; a malformed token is a diagnostic and comes out as LEX_ERROR, so that
 * the parser never reports the same place twice. */
#ifndef IR_LEX_H
#define IR_LEX_H

#include "ir/diag.h"

enum lex_kind {
  LEX_EOF,
  LEX_ERROR,  /* already reported */
  LEX_WORD,   /* conv, f32, module, inf */
  LEX_VALUE,  /* %x or %"odd name"; text without sigil */
  LEX_SYMBOL, /* @x or @"odd name" */
  LEX_NUMBER, /* -12, 0x1f, 3.5e-7, -inf; text as written */
  LEX_STRING, /* "..." with escapes resolved */
  LEX_ARROW,  /* -> */
  LEX_PUNCT   /* one of (){}[],:;=+< */
};

struct lex_token {
  enum lex_kind kind;
  char punct; /* LEX_PUNCT */
  bool first; /* first token on its line */
  unsigned line, col;
  const char *text; /* interned; NUL-terminated */
  size_t len;
};

struct lex {
  struct dn_ctx *ctx;
  const char *file;
  const char *at, *end, *line_start;
  unsigned line;
  bool quiet;             /* malformed tokens are not reported */
  unsigned errors;        /* reported; after 100 the text counts as ended */
  bool fresh;             /* nothing but blanks on this line so far */
  struct dn_arena *arena; /* text of long strings */
  struct lex_token tok;   /* the token under the cursor */
};

void lex_init(struct lex *lx, struct dn_ctx *ctx, struct dn_arena *arena,
              const char *file, const char *text, size_t size);
void lex_next(struct lex *lx);

static inline bool lex_is(const struct lex *lx, char punct) {
  return lx->tok.kind == LEX_PUNCT && lx->tok.punct == punct;
}
bool lex_is_word(const struct lex *lx, const char *word);
/* Where the token under the cursor stands. */
struct dn_loc lex_loc(const struct lex *lx);
/* "',' " or "'conv'" or "the end of the file", for messages. */
const char *lex_describe(const struct lex *lx);

/* A name that needs no quotes. */
bool lex_is_plain(const char *name);
/* A name as the text form writes it: in quotes unless it is plain. */
void lex_put_name(struct dn_buf *out, const char *sigil, const char *name);

int lex_hex_digit(char c); /* -1: none */
/* Numbers as the text form writes them: false when out of range or of the
 * wrong kind. */
bool lex_int(const char *text, int64_t *out);
bool lex_uint(const char *text, uint64_t *out);
bool lex_float(const char *text, double *out);

#endif
