/* lex.c - tokens of the text form; see lex.h and docs/ir.md. */
#include "ir/lex.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
  MAX_NUMBER = 400, /* characters; the longest f64 needs 24 */
  MAX_ERRORS = 100
};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name(char c) {
  return is_letter(c) || is_digit(c) || c == '.' || c == '$';
}

int lex_hex_digit(char c) {
  static const char digits[] = "0123456789abcdefABCDEF";
  const char *at = c ? strchr(digits, c) : NULL;
  return !at                ? -1
         : at - digits < 16 ? (int)(at - digits)
                            : (int)(at - digits) - 6;
}

bool lex_is_plain(const char *name) {
  if (!*name)
    return false;
  for (; *name; name++)
    if (!is_name(*name))
      return false;
  return true;
}

void lex_put_name(struct dn_buf *out, const char *sigil, const char *name) {
  bool plain = lex_is_plain(name) && (*sigil || is_letter(*name));
  dn_buf_printf(out, "%s%s", sigil, plain ? "" : "\"");
  dn_buf_escape(out, name, strlen(name));
  dn_buf_printf(out, "%s", plain ? "" : "\"");
}

void lex_init(struct lex *lx, struct dn_ctx *ctx, struct dn_arena *arena,
              const char *file, const char *text, size_t size) {
  *lx = (struct lex){.ctx = ctx,
                     .file = file,
                     .at = text,
                     .end = text + size,
                     .line_start = text,
                     .line = 1,
                     .fresh = true,
                     .arena = arena};
  lex_next(lx);
}

struct dn_loc lex_loc(const struct lex *lx) {
  return (struct dn_loc){
      .file = lx->file, .line = lx->tok.line, .col = lx->tok.col};
}

static void fail(struct lex *lx, const char *message) {
  lx->tok.kind = LEX_ERROR;
  if (lx->quiet)
    return;
  dn_error(lx->ctx, lex_loc(lx), DN_PARSE, "%s", message);
  if (++lx->errors == MAX_ERRORS)
    lx->at = lx->end;
}

static void skip_blanks(struct lex *lx) {
  while (lx->at < lx->end) {
    char c = *lx->at;
    if (c == '\n') {
      lx->line++;
      lx->line_start = lx->at + 1;
      lx->fresh = true;
    } else if (c == '/' && lx->end - lx->at > 1 && lx->at[1] == '/') {
      while (lx->at < lx->end && *lx->at != '\n')
        lx->at++;
      continue;
    } else if (c != ' ' && c != '\t' && c != '\r') {
      return;
    }
    lx->at++;
  }
}

static void set_text(struct lex *lx, enum lex_kind kind, const char *s,
                     size_t n) {
  lx->tok.kind = kind;
  lx->tok.len = n;
  if ((kind == LEX_VALUE || kind == LEX_SYMBOL || kind == LEX_WORD) &&
      (int64_t)n > lx->ctx->limits.name) {
    fail(lx, "name longer than --limit-name");
    return;
  }
  /* Long strings are hex data: interning them would only fill the table. */
  lx->tok.text = kind == LEX_STRING && n > 256 ? dn_strndup(lx->arena, s, n)
                                               : dn_intern_n(lx->ctx, s, n);
}

/* Resolves the escape after a backslash; the cursor moves past it. */
static bool escape(struct lex *lx, char *out) {
  const char *p = lx->at;
  if (lx->end - p < 1)
    return false;
  switch (*p) {
  case '"':
  case '\\':
  case 'n':
  case 't':
    *out = *p == 'n' ? '\n' : *p == 't' ? '\t' : *p;
    lx->at++;
    return true;
  case 'x':
    if (lx->end - p < 3 || lex_hex_digit(p[1]) < 0 || lex_hex_digit(p[2]) < 0)
      return false;
    *out = (char)(lex_hex_digit(p[1]) * 16 + lex_hex_digit(p[2]));
    lx->at += 3;
    return true;
  }
  return false;
}

/* The cursor is past the opening quote. */
static void string(struct lex *lx, enum lex_kind kind) {
  const char *start = lx->at;
  while (lx->at < lx->end && *lx->at != '"' && *lx->at != '\\' &&
         *lx->at != '\n')
    lx->at++;
  if (lx->at < lx->end && *lx->at == '"') { /* no escapes: take it as it is */
    size_t n = (size_t)(lx->at++ - start);
    if (memchr(start, 0, n)) {
      fail(lx, "NUL character in a string");
      return;
    }
    set_text(lx, kind, start, n);
    return;
  }
  struct dn_buf buf = dn_buf_new(lx->arena);
  lx->at = start;
  while (lx->at < lx->end && *lx->at != '"' && *lx->at != '\n') {
    char c = *lx->at++;
    if (c == '\\' && !escape(lx, &c)) {
      fail(lx, "bad escape in a string: \\\" \\\\ \\n \\t \\xHH are known");
      while (lx->at < lx->end && *lx->at != '"' && *lx->at != '\n')
        lx->at++;
      if (lx->at < lx->end && *lx->at == '"')
        lx->at++;
      return;
    }
    if (!c) {
      fail(lx, "NUL character in a string");
      return;
    }
    dn_buf_put(&buf, &c, 1);
  }
  if (lx->at == lx->end || *lx->at != '"') {
    fail(lx, "string without a closing quote");
    return;
  }
  lx->at++;
  set_text(lx, kind, buf.text, buf.len);
}

/* Characters of a name; false: there are none. */
static bool word(struct lex *lx, enum lex_kind kind) {
  const char *start = lx->at;
  while (lx->at < lx->end && is_name(*lx->at))
    lx->at++;
  if (lx->at > start)
    set_text(lx, kind, start, (size_t)(lx->at - start));
  return lx->at > start;
}

static void name(struct lex *lx, enum lex_kind kind) {
  lx->at++;
  if (lx->at < lx->end && *lx->at == '"') {
    lx->at++;
    string(lx, kind);
    if (lx->tok.kind == kind && !lx->tok.len)
      fail(lx, "empty name");
    return;
  }
  if (!word(lx, kind))
    fail(lx, kind == LEX_VALUE ? "name expected after '%'"
                               : "name expected after '@'");
}

static void number(struct lex *lx) {
  const char *start = lx->at++;
  while (lx->at < lx->end &&
         (is_name(*lx->at) || ((*lx->at == '-' || *lx->at == '+') &&
                               (lx->at[-1] == 'e' || lx->at[-1] == 'E') &&
                               !(lx->at - start > 2 && start[1] == 'x'))))
    lx->at++;
  size_t n = (size_t)(lx->at - start);
  if (n > MAX_NUMBER)
    fail(lx, "number too long");
  else
    set_text(lx, LEX_NUMBER, start, n);
}

/* One report for a run of bytes that no token starts with. */
static void stray(struct lex *lx) {
  unsigned char c = (unsigned char)*lx->at++;
  while (lx->at < lx->end && !is_name(*lx->at) && *lx->at != '\n' &&
         *lx->at != ' ' && !(*lx->at && strchr("(){}[],:;=+%@\"-<", *lx->at)))
    lx->at++;
  char text[24] = "";
  if (!lx->quiet)
    snprintf(text, sizeof text,
             c > ' ' && c < 127 ? "stray '%c'" : "stray byte 0x%02x",
             (unsigned)c);
  fail(lx, text);
}

void lex_next(struct lex *lx) {
  skip_blanks(lx);
  lx->tok = (struct lex_token){.kind = LEX_EOF,
                               .first = lx->fresh,
                               .line = lx->line,
                               .col = (unsigned)(lx->at - lx->line_start) + 1,
                               .text = ""};
  lx->fresh = false;
  if (lx->at == lx->end)
    return;
  char c = *lx->at;
  if (is_letter(c)) {
    word(lx, LEX_WORD);
  } else if (c == '%') {
    name(lx, LEX_VALUE);
  } else if (c == '@') {
    name(lx, LEX_SYMBOL);
  } else if (c == '"') {
    lx->at++;
    string(lx, LEX_STRING);
  } else if (c == '-' && lx->end - lx->at > 1 && lx->at[1] == '>') {
    lx->at += 2;
    lx->tok.kind = LEX_ARROW;
    lx->tok.text = "->";
  } else if (is_digit(c) || c == '-') {
    number(lx);
  } else if (c && strchr("(){}[],:;=+<", c)) {
    lx->at++;
    lx->tok.kind = LEX_PUNCT;
    lx->tok.punct = c;
  } else {
    stray(lx);
  }
}

bool lex_is_word(const struct lex *lx, const char *word) {
  return lx->tok.kind == LEX_WORD && strcmp(lx->tok.text, word) == 0;
}

const char *lex_describe(const struct lex *lx) {
  struct dn_buf buf = dn_buf_new(lx->arena);
  size_t shown = lx->tok.len < 40 ? lx->tok.len : 40;
  const char *more = lx->tok.len > 40 ? "..." : "";
  switch (lx->tok.kind) {
  case LEX_EOF:
    return "the end of the file";
  case LEX_ERROR:
    return "a malformed token";
  case LEX_ARROW:
    return "'->'";
  case LEX_PUNCT:
    dn_buf_printf(&buf, "'%c'", lx->tok.punct);
    return buf.text;
  case LEX_STRING:
    return "a string";
  case LEX_VALUE:
  case LEX_SYMBOL:
  case LEX_WORD:
  case LEX_NUMBER:
    break;
  }
  dn_buf_printf(&buf, "'%s",
                lx->tok.kind == LEX_VALUE    ? "%"
                : lx->tok.kind == LEX_SYMBOL ? "@"
                                             : "");
  dn_buf_escape(&buf, lx->tok.text, shown);
  dn_buf_printf(&buf, "%s'", more);
  return buf.text;
}

/* ---- Numbers ---- */

/* Sign and magnitude; false unless all of `text` is an integer below 2^64. */
static bool magnitude(const char *text, bool *negative, uint64_t *out) {
  *negative = *text == '-';
  if (*negative)
    text++;
  unsigned base = 10;
  if (text[0] == '0' && text[1] == 'x') {
    base = 16;
    text += 2;
  }
  if (!*text)
    return false;
  uint64_t v = 0;
  for (; *text; text++) {
    int d = lex_hex_digit(*text);
    if (d < 0 || (unsigned)d >= base ||
        __builtin_mul_overflow(v, (uint64_t)base, &v) ||
        __builtin_add_overflow(v, (uint64_t)d, &v))
      return false;
  }
  *out = v;
  return true;
}

bool lex_int(const char *text, int64_t *out) {
  bool negative;
  uint64_t v;
  if (!magnitude(text, &negative, &v) ||
      v > (uint64_t)INT64_MAX + (negative ? 1 : 0))
    return false;
  *out = negative ? (int64_t)(0 - v) : (int64_t)v;
  return true;
}

bool lex_uint(const char *text, uint64_t *out) {
  bool negative;
  return magnitude(text, &negative, out) && !(negative && *out);
}

/* strtod() depends on the locale; the tools never set one, so it reads a point.
 * It also reads hexadecimal floats and "infinity", which the form has not. */
bool lex_float(const char *text, double *out) {
  const char *p = text + (*text == '-');
  if (strcmp(p, "inf") == 0 || strcmp(p, "nan") == 0) {
    double v = *p == 'i' ? HUGE_VAL : (double)NAN;
    *out = *text == '-' ? -v : v;
    return true;
  }
  if (!is_digit(*p) || (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')))
    return false;
  char *end;
  *out = strtod(text, &end);
  return *end == 0 && isfinite(*out);
}
