/* text.c - the string builder, escapes, words of rows and parts of paths: see
 * base.h. The locale is C, that of a program which sets none. */
#include "ir/base.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

struct dn_buf dn_buf_new(struct dn_arena *arena) {
  enum { CAP = 256 };
  return (struct dn_buf){arena, .text = dn_alloc(arena, CAP), .cap = CAP};
}

static void buf_reserve(struct dn_buf *buf, size_t more) {
  assert(buf->text && buf->len < buf->cap &&
         "dn_buf_new() makes it, each put keeps it");
  if (buf->len + more + 1 <= buf->cap)
    return;
  size_t cap = buf->cap * 2;
  if (cap < buf->len + more + 1)
    cap = buf->len + more + 1;
  char *text = dn_alloc(buf->arena, cap);
  memcpy(text, buf->text, buf->len + 1);
  buf->text = text;
  buf->cap = cap;
}

void dn_buf_put(struct dn_buf *buf, const char *s, size_t n) {
  buf_reserve(buf, n);
  memcpy(buf->text + buf->len, s, n);
  buf->len += n;
  buf->text[buf->len] = 0;
}

void dn_buf_printf(struct dn_buf *buf, const char *fmt, ...) {
  va_list ap, again;
  va_start(ap, fmt);
  va_copy(again, ap);
  int n = vsnprintf(NULL, 0, fmt, ap);
  assert(n >= 0 && "formats are those of this program");
  buf_reserve(buf, (size_t)n);
  vsnprintf(buf->text + buf->len, (size_t)n + 1, fmt, again);
  buf->len += (size_t)n;
  va_end(again);
  va_end(ap);
}

const char *dn_word(const char *list, const char *name, size_t n, int *k) {
  int number = 0;
  for (const char *s = list; *s; number++) {
    if (strcspn(s, " :?*") == n && !memcmp(s, name, n)) {
      if (k)
        *k = number;
      return s;
    }
    s += strcspn(s, " ");
    s += strspn(s, " ");
  }
  return NULL;
}

const char *dn_word_default(const char *word) {
  const char *eq = strpbrk(word, "= ");
  return eq && *eq == '=' ? eq + 1 : "";
}

size_t dn_utf8_length(const char *text, size_t n) {
  const unsigned char *s = (const unsigned char *)text;
  if (n == 0)
    return 0;
  if (s[0] < 0x80)
    return 1;
  size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
  if (s[0] < 0xc2 || s[0] > 0xf4 || len > n)
    return 0;
  for (size_t i = 1; i < len; i++)
    if ((s[i] & 0xc0) != 0x80)
      return 0;
  bool bad = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
             (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f);
  return bad ? 0 : len;
}

/* Whether a terminal would obey the character, or not show it where it stands:
 * controls (C1 are 0xc2 0x80..0x9f), line separators U+2028 and U+2029, marks
 * of direction U+061C, U+200E, U+200F, U+202A..U+202E, U+2066..U+2069. */
static bool is_control(const unsigned char *u, size_t len) {
  if (len == 1)
    return u[0] < 0x20 || u[0] == 0x7f;
  if (len == 2)
    return (u[0] == 0xc2 && u[1] < 0xa0) || (u[0] == 0xd8 && u[1] == 0x9c);
  if (len != 3 || u[0] != 0xe2)
    return len == 0;
  return (u[1] == 0x80 &&
          (u[2] == 0x8e || u[2] == 0x8f || (u[2] >= 0xa8 && u[2] <= 0xae))) ||
         (u[1] == 0x81 && u[2] >= 0xa6 && u[2] <= 0xa9);
}

/* Escapes controls, invalid UTF-8 and the characters of `more`. */
static void escape(struct dn_buf *buf, const char *s, size_t n,
                   const char *more) {
  const unsigned char *u = (const unsigned char *)s;
  for (size_t i = 0; i < n;) {
    size_t len = dn_utf8_length(s + i, n - i);
    if (is_control(u + i, len) || strchr(more, s[i])) {
      for (size_t k = 0; k < (len ? len : 1); k++)
        dn_buf_printf(buf, "\\x%02X", u[i + k]);
    } else {
      dn_buf_put(buf, s + i, len);
    }
    i += len ? len : 1;
  }
}

void dn_buf_escape(struct dn_buf *buf, const char *s, size_t n) {
  escape(buf, s, n, "\"\\");
}

/* Where a text of `n` bytes may be cut at `at`: not within a character. */
static size_t cut(const char *s, size_t n, size_t at) {
  assert(at <= n && "a place in the text");
  while (at < n && at && ((unsigned char)s[at] & 0xc0) == 0x80)
    at--;
  return at;
}

void dn_buf_show(struct dn_buf *buf, const char *s, size_t most) {
  size_t n = strlen(s), tail = cut(s, n, n > most / 4 ? n - most / 4 : 0);
  if (n <= most) {
    escape(buf, s, n, "");
    return;
  }
  escape(buf, s, cut(s, n, most - most / 4), "");
  dn_buf_printf(buf, "...");
  escape(buf, s + tail, n - tail, "");
}

const char *dn_shown(struct dn_arena *arena, const char *s) {
  struct dn_buf out = dn_buf_new(arena);
  dn_buf_show(&out, s, DN_SHOWN);
  return out.text;
}

const char *dn_escaped(struct dn_arena *arena, const char *s) {
  struct dn_buf out = dn_buf_new(arena);
  dn_buf_escape(&out, s, (size_t)dn_min((int64_t)strlen(s), DN_SHOWN));
  return out.text;
}

const char *dn_base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

const char *dn_folder(struct dn_ctx *ctx, const char *path) {
  const char *slash = strrchr(path, '/');
  return !slash          ? "."
         : slash == path ? "/"
                         : dn_strndup(ctx->arena, path, (size_t)(slash - path));
}

bool dn_ends_in(const char *s, const char *end) {
  size_t n = strlen(s), m = strlen(end);
  return n >= m && !strcmp(s + n - m, end);
}

bool dn_is_identifier(const char *s, size_t most) {
  size_t n = 0;
  while (s[n] == '_' || isalnum((unsigned char)s[n]))
    n++;
  return n && n <= most && !s[n] && !isdigit((unsigned char)*s);
}

const char *dn_upper(struct dn_arena *arena, const char *s) {
  char *out = dn_strndup(arena, s, strlen(s));
  for (char *p = out; *p; p++)
    *p = (char)toupper((unsigned char)*p);
  return out;
}
