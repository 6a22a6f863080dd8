/* regex_automaton.c - the tree of a pattern as an automaton: edges over bytes, of
 * which any may be taken (Thompson's construction), then a state for each set of
 * edges that a string can be at, with the kind of the byte before it. */
#include "frontend/regex.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_EDGES = 1 << 14, MOST_STATES = 2048 };

struct edge {
  enum { BYTES, SPLIT, ASSERT, MATCH } kind;
  unsigned lo, hi; /* BYTES */
  char what;       /* ASSERT */
  int to, other;   /* other: of SPLIT */
};

/* Kinds of bytes, for assertions. */
enum { OUTSIDE, WORD, OTHER };

struct state {
  int *at; /* edges, ascending */
  size_t n;
  int before;
};

struct automaton {
  const struct fe_build *b;
  bool full;
  DN_LIST(struct edge) edges;
  DN_LIST(struct state) states;
  unsigned *met, round; /* by edge: the round it was met in */
  int *list, *todo;
};

/* ---- Edges ---- */

static int edge(struct automaton *a, struct edge e) {
  if (a->edges.n >= MOST_EDGES) {
    a->full = true;
    return 0;
  }
  DN_PUSH(a->b->ctx->arena, a->edges, e);
  return (int)a->edges.n - 1;
}

static int either(struct automaton *a, int x, int y) {
  return edge(a, (struct edge){.kind = SPLIT, .to = x, .other = y});
}

static unsigned utf8(uint32_t c, unsigned char *s) {
  unsigned n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (unsigned i = n; --i > 0; c >>= 6)
    s[i] = (unsigned char)(0x80 | (c & 63));
  s[0] = (unsigned char)(n == 1 ? c : (0xf00u >> n & 0xff) | c);
  return n;
}

/* Code points of a range: cut until each byte has a range of its own. */
static int range(struct automaton *a, uint32_t lo, uint32_t hi, int next) {
  static const uint32_t ends[] = {0x7f, 0x7ff, 0xffff};
  unsigned char from[4], to[4];
  for (size_t i = 0; i < DN_COUNT(ends); i++)
    if (lo <= ends[i] && hi > ends[i])
      return either(a, range(a, lo, ends[i], next),
                    range(a, ends[i] + 1, hi, next));
  unsigned n = utf8(lo, from);
  for (unsigned i = 1; i < n; i++) {
    uint32_t low = (1u << 6 * i) - 1, cut = lo | low;
    if ((lo & ~low) == (hi & ~low))
      continue;
    if (!(lo & low) && (hi & low) == low)
      continue;
    if (!(lo & low))
      cut = (hi & ~low) - 1;
    return either(a, range(a, lo, cut, next), range(a, cut + 1, hi, next));
  }
  utf8(hi, to);
  while (n-- > 0)
    next = edge(a, (struct edge){
                       .kind = BYTES, .lo = from[n], .hi = to[n], .to = next});
  return next;
}

static int emit_set(struct automaton *a, const struct regex_node *set,
                    int next) {
  int all = -1;
  for (size_t i = 0; i < set->set.n; i++) {
    struct regex_range v = set->set.v[i];
    if (!v.hi)
      continue; /* NUL is the end */
    int one = range(a, v.lo ? v.lo : 1, v.hi, next);
    all = all < 0 ? one : either(a, all, one);
  }
  return all >= 0 ? all : edge(a, (struct edge){.kind = BYTES, .lo = 1});
}

/* The edge at which `n` begins, and then what begins at `next`. */
static int emit(struct automaton *a, const struct regex_node *n, int next) {
  int at = next;
  if (a->full)
    return 0;
  switch (n->kind) {
  case REGEX_EMPTY:
    return next;
  case REGEX_SET:
    return emit_set(a, n, next);
  case REGEX_CAT:
    return emit(a, n->a, emit(a, n->b, next));
  case REGEX_ALT:
    return either(a, emit(a, n->a, next), emit(a, n->b, next));
  case REGEX_ASSERT:
    return edge(a, (struct edge){.kind = ASSERT, .what = n->what, .to = next});
  case REGEX_REPEAT:
    if (n->max < 0) {
      at = either(a, next, next);
      int body = emit(a, n->a, at);
      a->edges.v[at].to = body;
    }
    for (int k = n->min; k < n->max && !a->full; k++)
      at = either(a, emit(a, n->a, at), next);
    for (int k = 0, last = -1; k < n->min && !a->full && at != last; k++) {
      last = at; /* what is empty is so once */
      at = emit(a, n->a, at);
    }
    return at;
  }
  return next;
}

/* ---- States ---- */

static int kind_of(unsigned byte) {
  bool word = byte == '_' || (byte >= '0' && byte <= '9') ||
              ((byte | 32) >= 'a' && (byte | 32) <= 'z');
  return !byte ? OUTSIDE : word ? WORD : OTHER;
}

static bool holds(char what, int before, int next) {
  switch (what) {
  case '^':
    return before == OUTSIDE;
  case '$':
    return next == OUTSIDE;
  case 'b':
    return (before == WORD) != (next == WORD);
  default:
    return (before == WORD) == (next == WORD);
  }
}

static void visit(struct automaton *a, int e, size_t *n) {
  if (a->met[e] == a->round)
    return;
  a->met[e] = a->round;
  a->todo[(*n)++] = e;
}

/* Edges over bytes that a state can take, in list[], where a byte of the kind
 * `next` follows; whether it matches. */
static bool reach(struct automaton *a, const struct state *s, int next,
                  size_t *n) {
  size_t todo = 0;
  bool matches = false;
  a->round++;
  *n = 0;
  for (size_t i = 0; i < s->n; i++)
    visit(a, s->at[i], &todo);
  while (todo) {
    int k = a->todo[--todo];
    struct edge e = a->edges.v[k];
    if (e.kind == BYTES)
      a->list[(*n)++] = k;
    matches |= e.kind == MATCH;
    if (e.kind == SPLIT || (e.kind == ASSERT && holds(e.what, s->before, next)))
      visit(a, e.to, &todo);
    if (e.kind == SPLIT)
      visit(a, e.other, &todo);
  }
  return matches;
}

static int ascending(const void *x, const void *y) {
  return *(const int *)x - *(const int *)y;
}

/* The state of edges at[n], which is found or new; -1: there are too many. */
static int64_t state_of(struct automaton *a, int *at, size_t n, int before) {
  qsort(at, n, sizeof *at, ascending);
  for (size_t i = FE_REGEX_FIRST; i < a->states.n; i++) {
    const struct state *s = &a->states.v[i];
    if (s->n == n && s->before == before && !memcmp(s->at, at, n * sizeof *at))
      return (int64_t)i;
  }
  if (a->states.n >= MOST_STATES)
    return -1;
  struct state s = {dn_copy(a->b->ctx->arena, at, n * sizeof *at), n, before};
  DN_PUSH(a->b->ctx->arena, a->states, s);
  return (int64_t)a->states.n - 1;
}

/* Where the edges list[n] lead by a byte. */
static int64_t step(struct automaton *a, size_t n, unsigned byte) {
  size_t to = 0;
  a->round++;
  for (size_t i = 0; i < n; i++) {
    struct edge e = a->edges.v[a->list[i]];
    if (byte >= e.lo && byte <= e.hi)
      visit(a, e.to, &to);
  }
  return to ? state_of(a, a->todo, to, kind_of(byte)) : FE_REGEX_NONE;
}

/* A run of bytes to which edges and assertions are the same is a class; first[]:
 * a byte of each. */
static void classify(const struct automaton *a, struct fe_automaton *out,
                     unsigned *first) {
  static const unsigned words[] = {1,   '0', '9' + 1, 'A',    'Z' + 1,
                                   '_', '`', 'a',     'z' + 1};
  bool cut[257] = {true};
  for (size_t i = 0; i < DN_COUNT(words); i++)
    cut[words[i]] = true;
  for (size_t i = 0; i < a->edges.n; i++)
    if (a->edges.v[i].kind == BYTES)
      cut[a->edges.v[i].lo] = cut[a->edges.v[i].hi + 1] = true;
  out->classes = 0;
  for (unsigned c = 0; c < 256; c++) {
    if (cut[c])
      first[out->classes++] = c;
    out->class_of[c] = out->classes - 1;
  }
}

static bool full(const struct fe_build *b) {
  return fe_fail(b, DN_LIMIT,
                 "the pattern makes an automaton of over %d edges or %d "
                 "states",
                 MOST_EDGES, MOST_STATES);
}

bool fe_regex_compile(const struct fe_build *b, const struct regex_node *root,
                      struct fe_automaton *out) {
  struct dn_arena *arena = b->ctx->arena;
  struct automaton a = {.b = b};
  unsigned first[256];
  int start = emit(&a, root, edge(&a, (struct edge){.kind = MATCH}));
  if (a.full)
    return full(b);
  classify(&a, out, first);
  a.met = DN_ARRAY(arena, unsigned, a.edges.n);
  a.list = DN_ARRAY(arena, int, a.edges.n);
  a.todo = DN_ARRAY(arena, int, a.edges.n);
  for (int i = 0; i < FE_REGEX_FIRST; i++)
    DN_PUSH(arena, a.states, (struct state){0});
  state_of(&a, &start, 1, OUTSIDE);
  DN_LIST(int64_t) next = {0};
  for (int64_t k = 0; k < 2 * out->classes; k++) /* matched by the end only */
    DN_PUSH(arena, next, k == out->classes ? FE_REGEX_MATCHED : FE_REGEX_NONE);
  for (size_t s = FE_REGEX_FIRST; s < a.states.n; s++) {
    struct state at = a.states.v[s];
    for (int64_t c = 0; c < out->classes; c++) {
      size_t n;
      bool matches = reach(&a, &at, kind_of(first[c]), &n);
      int64_t to = c ? step(&a, n, first[c]) : matches ? 1 : 0;
      if (to < 0)
        return full(b);
      DN_PUSH(arena, next, to);
    }
  }
  out->states = (int64_t)a.states.n;
  out->next = next.v;
  return true;
}
