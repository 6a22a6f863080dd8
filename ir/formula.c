/* formula.c - parser of indexed bodies: see formula.h. */
#include "ir/formula.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

struct cursor {
  const char *start, *s;
  const char *error; /* first mistake */
  struct formula *f;
};

static void fail(struct cursor *c, const char *what) {
  if (!c->error)
    c->error = what;
}

static void skip(struct cursor *c) { c->s += strspn(c->s, " "); }

static bool accept(struct cursor *c, const char *token) {
  skip(c);
  size_t n = strlen(token);
  if (strncmp(c->s, token, n))
    return false;
  c->s += n;
  return true;
}

static void expect(struct cursor *c, const char *token) {
  if (!accept(c, token))
    fail(c, token);
}

static size_t word_length(struct cursor *c) {
  skip(c);
  size_t n = 0;
  while (isalnum((unsigned char)c->s[n]) || c->s[n] == '_')
    n++;
  return n;
}

static void word(struct cursor *c, char out[16]) {
  size_t n = word_length(c);
  if (n == 0 || n > 15) {
    fail(c, "a name");
    return;
  }
  memcpy(out, c->s, n);
  out[n] = 0;
  c->s += n;
}

/* h..  k:kernel..  g:groups  strides */
static void parse_atom(struct cursor *c, struct formula_term *t) {
  size_t n = word_length(c);
  if (n != 1) {
    word(c, t->attr);
    return;
  }
  t->letter = *c->s++;
  if (accept(c, ":"))
    word(c, t->decl);
  t->group = accept(c, "..");
  if (accept(c, "*"))
    word(c, t->attr);
}

static void parse_sum(struct cursor *c, struct formula_index *x) {
  bool minus = false;
  do {
    if (x->nterms == FORMULA_TERMS) {
      fail(c, "fewer terms");
      return;
    }
    struct formula_term *t = &x->term[x->nterms++];
    t->minus = minus;
    parse_atom(c, t);
    minus = false;
  } while (!c->error && (accept(c, "+") || (minus = accept(c, "-"))));
}

static int parse_access(struct cursor *c);

static void parse_index(struct cursor *c, struct formula_index *x) {
  static const struct {
    const char *text;
    enum nest_fit fit;
  } fits[] = {
      {"clamp(", NEST_CLAMP}, {"reflect(", NEST_REFLECT}, {"wrap(", NEST_WRAP}};
  x->indirect = -1;
  size_t n = word_length(c);
  if (n > 1 && c->s[n] == '[') {
    x->indirect = parse_access(c);
    return;
  }
  x->broadcast = accept(c, "~");
  x->piece = accept(c, "+");
  for (size_t i = 0; i < DN_COUNT(fits); i++) {
    if (accept(c, fits[i].text)) {
      x->fit = fits[i].fit;
      parse_sum(c, x);
      expect(c, ")");
      return;
    }
  }
  if (accept(c, "(")) {
    parse_sum(c, x);
    expect(c, ")");
    expect(c, "/");
    word(c, x->div);
    return;
  }
  parse_sum(c, x);
  if (accept(c, "#")) {
    x->composite = true;
    parse_atom(c, &x->term[x->nterms++]);
  }
  if (accept(c, "%"))
    word(c, x->perm);
  if (accept(c, "!"))
    word(c, x->drop);
}

static void parse_indices(struct cursor *c, struct formula_access *a) {
  word(c, a->operand);
  a->variadic = accept(c, "*");
  expect(c, "[");
  if (accept(c, "]")) /* a scalar */
    return;
  a->flat = accept(c, "#");
  if (!a->flat) {
    do {
      if (a->n == FORMULA_INDICES) {
        fail(c, "fewer indices");
        return;
      }
      parse_index(c, &a->index[a->n++]);
    } while (!c->error && accept(c, ","));
  }
  expect(c, "]");
}

/* Parses an access into the formula's list and returns its number. */
static int parse_access(struct cursor *c) {
  struct formula *f = c->f;
  if (f->naccesses == FORMULA_ACCESSES) {
    fail(c, "fewer accesses");
    return 0;
  }
  int k = f->naccesses++;
  struct formula_access a = {0};
  parse_indices(c, &a);
  f->access[k] = a;
  return k;
}

/* An operator that ends in a colon goes on with a name and "=". */
static enum nest_fold parse_fold(struct cursor *c) {
  for (enum nest_fold f = 0; f < NEST_NUM_FOLDS; f++) {
    const char *text = nest_folds[f].text;
    if (!accept(c, text))
      continue;
    assert(*text && "each row of folds.def has a text");
    if (text[strlen(text) - 1] == ':') {
      word(c, c->f->largest);
      expect(c, "=");
    }
    return f;
  }
  fail(c, "an operator of folds.def");
  return NEST_NONE;
}

const char *formula_parse(struct dn_arena *arena, const char *text,
                          struct formula *out) {
  memset(out, 0, sizeof *out);
  struct cursor c = {text, text, NULL, out};
  assert(text && "ops.def has a body for each row that is no region");
  parse_indices(&c, &out->y);
  out->fold = parse_fold(&c);
  if (accept(&c, "@")) {
    word(&c, out->iter_of);
  } else {
    /* The order of the list: accesses that index the result, then factors of
     * the body, then accesses that are only read as indices. */
    int factors = 0;
    out->first = out->naccesses;
    do {
      if (parse_access(&c) != out->first + factors++)
        fail(&c, "indirect accesses after all factors");
    } while (!c.error && accept(&c, "*"));
    out->nfactors = factors;
  }
  if (accept(&c, "else"))
    word(&c, out->outside);
  skip(&c);
  if (!c.error && *c.s)
    c.error = "the end";
  if (!c.error)
    return NULL;
  return dn_printf(arena, "expected %s at \"%s\"", c.error, c.s);
}

const char *formula_from_equation(struct dn_arena *arena, const char *equation,
                                  struct formula *out) {
  char text[256];
  size_t n = 0;
  const char *arrow = strstr(equation, "->"), *comma = strchr(equation, ',');
  if (!arrow || !comma || comma > arrow || strlen(equation) > 60)
    return "not of the form ab,bc->ac";
  const struct {
    const char *open, *from, *to, *close;
  } parts[] = {{"y[", arrow + 2, arrow + strlen(arrow), "] += "},
               {"a[", equation, comma, "] * "},
               {"b[", comma + 1, arrow, "]"}};
  for (int p = 0; p < 3; p++) {
    n += (size_t)snprintf(text + n, sizeof text - n, "%s", parts[p].open);
    for (const char *s = parts[p].from; s < parts[p].to; s++)
      n += (size_t)snprintf(text + n, sizeof text - n, "%s%c",
                            s > parts[p].from ? "," : "", *s);
    n += (size_t)snprintf(text + n, sizeof text - n, "%s", parts[p].close);
  }
  return formula_parse(arena, text, out);
}
