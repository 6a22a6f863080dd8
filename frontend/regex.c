/* regex.c - reads a regular expression in RE2's syntax, without flags, Unicode's
 * classes (\p) and what no automaton has (back references, looking around). Groups
 * only group: a full match needs no captures, and is the same if repetitions are
 * lazy. */
#include "frontend/regex.h"

#include <string.h>

enum { LAST = 0x10ffff, MOST_REPEATS = 1000, MOST_DEPTH = 64 };

struct reader {
  const struct fe_build *b;
  const char *start, *p, *end;
  int depth;
};

static struct regex_node *fail(struct reader *r, const char *what) {
  return fe_null(r->b, DN_ATTR, "the pattern, at byte %zu: %s",
                 (size_t)(r->p - r->start), what);
}

static struct regex_node *refuse(struct reader *r, const char *what) {
  return fe_null(r->b, DN_UNSUPPORTED_ATTR, "the pattern, at byte %zu: %s",
                 (size_t)(r->p - r->start), what);
}

static bool at(const struct reader *r, const char *text) {
  size_t n = strlen(text);
  return (size_t)(r->end - r->p) >= n && !memcmp(r->p, text, n);
}

static bool take(struct reader *r, const char *text) {
  bool is = at(r, text);
  r->p += is ? strlen(text) : 0;
  return is;
}

static struct regex_node *node(struct reader *r, enum regex_kind kind,
                               struct regex_node *a, struct regex_node *b) {
  struct regex_node *n = DN_NEW(r->b->ctx->arena, struct regex_node);
  *n = (struct regex_node){.kind = kind, .a = a, .b = b};
  return n;
}

static struct regex_node *assertion(struct reader *r, char what) {
  struct regex_node *n = node(r, REGEX_ASSERT, NULL, NULL);
  n->what = what;
  return n;
}

/* ---- Sets of code points ---- */

static void add(struct reader *r, struct regex_node *set, uint32_t lo,
                uint32_t hi) {
  struct regex_range one = {lo, hi};
  DN_PUSH(r->b->ctx->arena, set->set, one);
}

/* Sorts, and merges what meets. */
static void tidy(struct regex_node *set) {
  struct regex_range *v = set->set.v;
  size_t n = 0;
  for (size_t i = 1; i < set->set.n; i++)
    for (size_t k = i; k && v[k].lo < v[k - 1].lo; k--) {
      struct regex_range t = v[k];
      v[k] = v[k - 1];
      v[k - 1] = t;
    }
  for (size_t i = 0; i < set->set.n; i++) {
    if (n && v[i].lo <= v[n - 1].hi + 1)
      v[n - 1].hi = (uint32_t)dn_max(v[n - 1].hi, v[i].hi);
    else
      v[n++] = v[i];
  }
  set->set.n = n;
}

static struct regex_node *complement(struct reader *r, struct regex_node *set) {
  struct regex_node *out = node(r, REGEX_SET, NULL, NULL);
  uint32_t from = 0;
  tidy(set);
  for (size_t i = 0; i < set->set.n; i++) {
    if (set->set.v[i].lo > from)
      add(r, out, from, set->set.v[i].lo - 1);
    from = set->set.v[i].hi + 1;
  }
  if (from <= LAST)
    add(r, out, from, LAST);
  return out;
}

/* Classes by name: pairs of the first and the last of each range. */
static const struct {
  const char *name, *ranges;
} classes[] = {{"d", "09"},
               {"w", "09AZ__az"},
               {"s", "\t\n\f\r  "},
               {"[:alnum:]", "09AZaz"},
               {"[:alpha:]", "AZaz"},
               {"[:ascii:]", "\1\x7f"},
               {"[:blank:]", "\t\t  "},
               {"[:cntrl:]", "\1\x1f\x7f\x7f"},
               {"[:digit:]", "09"},
               {"[:graph:]", "!~"},
               {"[:lower:]", "az"},
               {"[:print:]", " ~"},
               {"[:punct:]", "!/:@[`{~"},
               {"[:space:]", "\t\r  "},
               {"[:upper:]", "AZ"},
               {"[:word:]", "09AZ__az"},
               {"[:xdigit:]", "09AFaf"}};

static void add_class(struct reader *r, struct regex_node *set, size_t k) {
  for (const char *s = classes[k].ranges; *s; s += 2)
    add(r, set, (uint32_t)s[0], (uint32_t)s[1]);
}

/* The class that \d, \W .. or [:name:] is at p, added; false: it is none. */
static bool take_class(struct reader *r, struct regex_node *set) {
  for (size_t k = 0; k < DN_COUNT(classes); k++) {
    const char *name = classes[k].name;
    if (name[1] && take(r, name)) {
      add_class(r, set, k);
      return true;
    }
    if (name[1] || r->end - r->p < 2 || *r->p != '\\' ||
        (r->p[1] | 32) != *name)
      continue;
    struct regex_node *one = node(r, REGEX_SET, NULL, NULL);
    add_class(r, one, k);
    one = r->p[1] == *name ? one : complement(r, one);
    for (size_t i = 0; i < one->set.n; i++)
      add(r, set, one->set.v[i].lo, one->set.v[i].hi);
    r->p += 2;
    return true;
  }
  return false;
}

/* ---- Characters ---- */

static bool hex_digits(struct reader *r, uint32_t *out) {
  bool braces = take(r, "{");
  size_t n = 0, most = braces ? 8 : 2;
  for (*out = 0; r->p < r->end && n < most; n++, r->p++) {
    const char *digits = "0123456789abcdef";
    const char *d = memchr(digits, *r->p >= 'A' ? *r->p | 32 : *r->p, 16);
    if (!d)
      break;
    *out = *out * 16 + (uint32_t)(d - digits);
  }
  bool ok = braces ? n && take(r, "}") : n == 2;
  return (ok && *out <= LAST) || fe_false(fail(r, "a bad number behind \\x"));
}

/* Behind a backslash. */
static bool escape(struct reader *r, uint32_t *out) {
  static const char letters[] = "ntrfva", bytes[] = "\n\t\r\f\v\a";
  if (r->p == r->end)
    return fe_false(fail(r, "it ends in a backslash"));
  unsigned char c = (unsigned char)*r->p++;
  const char *l = memchr(letters, c, sizeof letters - 1);
  bool word = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
  *out = l ? (uint32_t)bytes[l - letters] : c;
  if (c == 'x')
    return hex_digits(r, out);
  return l || (c < 128 && !word) ||
         fe_false(refuse(r, "an escape that dnnc does not have"));
}

static bool character(struct reader *r, uint32_t *out) {
  size_t n = dn_utf8_length(r->p, (size_t)(r->end - r->p));
  if (take(r, "\\"))
    return escape(r, out);
  if (!n || !*r->p)
    return fe_false(fail(r, "no UTF-8, or a NUL"));
  uint32_t c = (unsigned char)*r->p & (n == 1 ? 127u : 127u >> n);
  for (size_t i = 1; i < n; i++)
    c = c << 6 | ((unsigned char)r->p[i] & 63u);
  r->p += n;
  *out = c;
  return true;
}

/* Behind the bracket. */
static struct regex_node *set(struct reader *r) {
  struct regex_node *out = node(r, REGEX_SET, NULL, NULL);
  bool negative = take(r, "^");
  for (bool first = true; first || !at(r, "]"); first = false) {
    uint32_t lo, hi;
    if (r->p == r->end)
      return fail(r, "a bracket is not closed");
    if (take_class(r, out))
      continue;
    if (at(r, "[:"))
      return refuse(r, "a class that dnnc does not have");
    if (!character(r, &lo))
      return NULL;
    hi = lo;
    if (at(r, "-") && r->end - r->p > 1 && r->p[1] != ']') {
      r->p++;
      if (!character(r, &hi))
        return NULL;
    }
    if (hi < lo)
      return fail(r, "a range that ends before it begins");
    add(r, out, lo, hi);
    if (out->set.n > 4096)
      return fail(r, "over 4096 ranges");
  }
  r->p++;
  tidy(out);
  return negative ? complement(r, out) : out;
}

/* ---- Expressions ---- */

static struct regex_node *alternatives(struct reader *r);

static struct regex_node *group(struct reader *r) {
  if (take(r, "?P<") || take(r, "?<")) {
    if (at(r, "=") || at(r, "!"))
      return refuse(r, "it looks behind");
    while (r->p < r->end && *r->p != '>')
      r->p++;
    if (!take(r, ">"))
      return fail(r, "a name is not closed");
  } else if (!take(r, "?:") && at(r, "?")) {
    return refuse(r, "flags, or looking around");
  }
  if (++r->depth > MOST_DEPTH)
    return fail(r, "over 64 nested groups");
  struct regex_node *n = alternatives(r);
  r->depth--;
  return !n || take(r, ")") ? n : fail(r, "a group is not closed");
}

static struct regex_node *atom(struct reader *r) {
  static const char assertions[][4] = {"\\bb", "\\BB", "\\A^", "\\z$"};
  struct regex_node *one = node(r, REGEX_SET, NULL, NULL);
  uint32_t c;
  if (take(r, "("))
    return group(r);
  if (take(r, "^"))
    return assertion(r, '^');
  if (take(r, "$"))
    return assertion(r, '$');
  for (size_t i = 0; i < DN_COUNT(assertions); i++)
    if (r->end - r->p > 1 && !memcmp(r->p, assertions[i], 2)) {
      r->p += 2;
      return assertion(r, assertions[i][2]);
    }
  if (at(r, "*") || at(r, "+") || at(r, "?"))
    return fail(r, "nothing is repeated");
  if (take(r, "["))
    return set(r);
  if (take(r, ".")) {
    add(r, one, '\n', '\n');
    return complement(r, one);
  }
  if (at(r, "\\") && take_class(r, one)) {
    tidy(one);
    return one;
  }
  if (!character(r, &c))
    return NULL;
  add(r, one, c, c);
  return one;
}

static int number(struct reader *r) {
  int v = -1;
  for (; r->p < r->end && *r->p >= '0' && *r->p <= '9'; r->p++)
    v = (int)dn_min((v < 0 ? 0 : v) * 10 + (*r->p - '0'), 10000);
  return v;
}

/* {n}, {n,} or {n,m}; anything else is text. */
static bool counts(struct reader *r, int *min, int *max) {
  const char *from = r->p;
  if (take(r, "{") && (*min = number(r)) >= 0) {
    *max = *min;
    if (take(r, ","))
      *max = number(r);
    if (take(r, "}"))
      return true;
  }
  r->p = from;
  return false;
}

static struct regex_node *repeated(struct reader *r) {
  struct regex_node *n = atom(r);
  int min = 0, max = -1;
  if (!n)
    return NULL;
  if (take(r, "+"))
    min = 1;
  else if (take(r, "?"))
    max = 1;
  else if (!take(r, "*") && !counts(r, &min, &max))
    return n;
  if (min > MOST_REPEATS || max > MOST_REPEATS || (max >= 0 && max < min))
    return fail(r, "a bad number of repetitions");
  take(r, "?"); /* lazy */
  if (at(r, "*") || at(r, "+") || at(r, "?"))
    return fail(r, "what is repeated is repeated");
  n = node(r, REGEX_REPEAT, n, NULL);
  n->min = min;
  n->max = max;
  return n;
}

static struct regex_node *alternatives(struct reader *r) {
  struct regex_node *all = NULL;
  do {
    struct regex_node *one = node(r, REGEX_EMPTY, NULL, NULL);
    while (r->p < r->end && *r->p != '|' && *r->p != ')') {
      struct regex_node *next = repeated(r);
      if (!next)
        return NULL;
      one = one->kind == REGEX_EMPTY ? next : node(r, REGEX_CAT, one, next);
    }
    all = all ? node(r, REGEX_ALT, all, one) : one;
  } while (take(r, "|"));
  return all;
}

bool fe_regex(const struct fe_build *b, const char *pattern, size_t n,
              struct fe_automaton *out) {
  enum { MOST = 1 << 12 }; /* also bounds how deep chains are */
  if (n > MOST)
    return fe_fail(b, DN_LIMIT, "a pattern of %zu bytes, over %d", n, MOST);
  struct reader r = {
      .b = b, .start = pattern, .p = pattern, .end = pattern + n};
  struct regex_node *root = alternatives(&r);
  if (root && r.p < r.end)
    return fe_false(fail(&r, "a parenthesis closes nothing"));
  return root && fe_regex_compile(b, root, out);
}
