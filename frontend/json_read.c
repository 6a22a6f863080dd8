/* json_read.c - a lexical check of the whole text, then cJSON, then a look for
 * duplicate keys. */
#include "frontend/json_read.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct scan {
  const unsigned char *s, *end;
  unsigned line;
  bool high; /* the first half of a surrogate pair was read */
  const char *error;
};

static int peek(const struct scan *c) { return c->s < c->end ? *c->s : -1; }

static bool fail(struct scan *c, const char *what) {
  if (!c->error)
    c->error = what;
  return false;
}

static void space(struct scan *c) {
  for (; c->s < c->end && *c->s && strchr(" \t\r\n", *c->s); c->s++)
    c->line += *c->s == '\n';
}

static bool escape(struct scan *c) {
  int e = peek(c);
  if (e > 0 && strchr("\"\\/bfnrt", e)) {
    c->s++;
    return true;
  }
  if (e != 'u' || c->end - c->s < 5)
    return fail(c, "a bad escape in a string");
  char hex[5] = {0};
  memcpy(hex, c->s + 1, 4);
  if (strspn(hex, "0123456789abcdefABCDEF") != 4)
    return fail(c, "a bad escape in a string");
  unsigned long code = strtoul(hex, NULL, 16);
  c->s += 5;
  /* The two halves of a pair; the second is none by itself. */
  bool low = code >> 10 == 0xdc00 >> 10, wants_low = c->high;
  c->high = code >> 10 == 0xd800 >> 10;
  if (low != wants_low ||
      (c->high && (c->end - c->s < 6 || c->s[0] != '\\' || c->s[1] != 'u')))
    return fail(c, "half a surrogate pair in a string");
  return code || fail(c, "a NUL character in a string");
}

static bool string(struct scan *c) {
  c->s++;
  for (;;) {
    int ch = peek(c);
    if (ch < 0x20)
      return fail(c, ch < 0 ? "an unterminated string"
                            : "a control character in a string");
    size_t n = dn_utf8_length((const char *)c->s, (size_t)(c->end - c->s));
    if (n == 0)
      return fail(c, "invalid UTF-8");
    c->s += n;
    if (ch == '"')
      return true;
    if (ch == '\\' && !escape(c))
      return false;
  }
}

static size_t digits(struct scan *c) {
  const unsigned char *from = c->s;
  while (peek(c) >= '0' && peek(c) <= '9')
    c->s++;
  return (size_t)(c->s - from);
}

static bool number(struct scan *c) {
  const unsigned char *from = c->s;
  c->s += peek(c) == '-';
  bool zero = peek(c) == '0';
  size_t n = digits(c);
  if (n == 0 || (zero && n > 1))
    return fail(c, "a malformed number");
  if (peek(c) == '.') {
    c->s++;
    if (!digits(c))
      return fail(c, "a malformed number");
  }
  if (peek(c) == 'e' || peek(c) == 'E') {
    c->s++;
    c->s += peek(c) == '-' || peek(c) == '+';
    if (!digits(c))
      return fail(c, "a malformed number");
  }
  return c->s - from <= 60 || fail(c, "a number of more than 60 characters");
}

static bool literal(struct scan *c) {
  static const char *const words[] = {"true", "false", "null"};
  for (int i = 0; i < 3; i++) {
    size_t n = strlen(words[i]);
    if ((size_t)(c->end - c->s) >= n && !memcmp(c->s, words[i], n)) {
      c->s += n;
      return true;
    }
  }
  return fail(c, "a value was expected");
}

static bool key(struct scan *c) {
  space(c);
  if (peek(c) != '"')
    return fail(c, "a key in quotes was expected");
  if (!string(c))
    return false;
  space(c);
  if (peek(c) != ':')
    return fail(c, "':' was expected");
  c->s++;
  return true;
}

/* One scalar, or the opening of an array or object, or its end when empty. */
static bool value(struct scan *c, char *stack, int64_t *depth, int64_t max) {
  space(c);
  int ch = peek(c);
  if (ch == '[' || ch == '{') {
    if (*depth == max)
      return fail(c, "values nest deeper than --limit-depth");
    char close = ch == '[' ? ']' : '}';
    c->s++;
    space(c);
    if (peek(c) == close) {
      c->s++;
      return true;
    }
    stack[(*depth)++] = close;
    return (ch == '[' || key(c)) && value(c, stack, depth, max);
  }
  if (ch == '"')
    return string(c);
  return ch == '-' || (ch >= '0' && ch <= '9') ? number(c) : literal(c);
}

static bool document(struct dn_ctx *ctx, struct scan *c) {
  int64_t max = ctx->limits.depth, depth = 0;
  char *stack = dn_alloc(ctx->arena, (size_t)max);
  do {
    if (!value(c, stack, &depth, max))
      return false;
    for (space(c); depth && peek(c) == stack[depth - 1]; space(c)) {
      c->s++;
      depth--;
    }
    if (depth && peek(c) != ',')
      return fail(c, "',' or the end of the value was expected");
    c->s += depth > 0;
    if (depth && stack[depth - 1] == '}' && !key(c))
      return false;
  } while (depth);
  return c->s == c->end || fail(c, "something follows the value");
}

static int by_text(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Keys of every object; depth is bounded by document(). */
static bool keys_unique(struct dn_ctx *ctx, const char *file,
                        const cJSON *node) {
  size_t n = 0;
  for (const cJSON *k = node->child; k; k = k->next) {
    n++;
    if (k->child && !keys_unique(ctx, file, k))
      return false;
  }
  if (!cJSON_IsObject(node))
    return true;
  const char **names = DN_ARRAY(ctx->arena, const char *, n);
  n = 0;
  for (const cJSON *k = node->child; k; k = k->next)
    names[n++] = k->string;
  qsort(names, n, sizeof *names, by_text);
  for (size_t i = 1; i < n; i++) {
    if (strcmp(names[i - 1], names[i]))
      continue;
    return dn_error(ctx, (struct dn_loc){.file = file, .where = names[i]},
                    DN_JSON, "the key stands twice in one object");
  }
  return true;
}

bool fe_json_whole(const cJSON *item, int64_t *out) {
  if (!cJSON_IsNumber(item) || fabs(item->valuedouble) > 0x1p53 ||
      floor(item->valuedouble) != item->valuedouble)
    return false;
  *out = (int64_t)item->valuedouble;
  return true;
}

cJSON *fe_json_read(struct dn_ctx *ctx, const char *file, const char *text,
                    size_t size) {
  const unsigned char *s = (const unsigned char *)text;
  struct scan c = {.s = s, .end = s + size, .line = 1};
  if (!document(ctx, &c)) {
    dn_error(ctx, (struct dn_loc){.file = file, .line = c.line}, DN_JSON, "%s",
             c.error);
    return NULL;
  }
  cJSON *root = cJSON_ParseWithLength(text, size);
  if (!root) /* the text is JSON */
    dn_fatal(ctx, (struct dn_loc){.file = file}, DN_MEMORY,
             "no memory for a JSON text of %zu bytes", size);
  if (!keys_unique(ctx, file, root)) {
    cJSON_Delete(root);
    return NULL;
  }
  return root;
}
