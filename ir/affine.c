/* affine.c - affine forms: interning, sums, ranges, quotients. Variables that
 * are made of a form (affine_div() and the like) are found again by the form,
 * so that equal indices stay equal forms. */
#include "ir/affine.h"

#include <assert.h>
#include <string.h>

struct builder { /* a form being made */
  int64_t c, lane;
  int n;
  struct affine_term *term;
};

enum {
  FORMS = 64,  /* buckets at first: most kernels have few forms */
  DERIVED = 64 /* buckets of variables that are made of a form */
};

struct affine_derived { /* a variable by what it is made of */
  struct affine_derived *next;
  unsigned var, lanes;
};

void affine_init(struct affines *s, struct dn_arena *arena) {
  *s = (struct affines){.arena = arena, .lanes = 1};
  s->nbuckets = FORMS;
  s->form = DN_ARRAY(arena, struct affine *, FORMS);
  s->derived = DN_ARRAY(arena, struct affine_derived *, DERIVED);
}

/* Four times as many buckets. */
static void grow(struct affines *s) {
  size_t n = s->nbuckets * 4;
  struct affine **form = DN_ARRAY(s->arena, struct affine *, n), *next;
  for (size_t i = 0; i < s->nbuckets; i++)
    for (struct affine *l = s->form[i]; l; l = next) {
      next = l->next;
      l->next = form[l->hash % n];
      form[l->hash % n] = l;
    }
  s->form = form;
  s->nbuckets = n;
}

static bool same_terms(const struct affine_term *a, const struct affine_term *b,
                       int n) {
  while (n && a[n - 1].var == b[n - 1].var && a[n - 1].coef == b[n - 1].coef)
    n--;
  return !n;
}

static const struct affine *intern(struct affines *s, const struct builder *b) {
  uint64_t h = (uint64_t)b->c * 0x9e3779b97f4a7c15u ^ (uint64_t)b->lane;
  for (int i = 0; i < b->n; i++)
    h = (h ^ b->term[i].var ^ (uint64_t)b->term[i].coef * 31u) *
        0xff51afd7ed558ccdu;
  h ^= h >> 29;
  struct affine **bucket = &s->form[h % s->nbuckets];
  size_t bytes = (size_t)b->n * sizeof *b->term;
  for (struct affine *l = *bucket; l; l = l->next)
    if (l->hash == h && l->c == b->c && l->lane == b->lane && l->n == b->n &&
        same_terms(l->term, b->term, b->n))
      return l;
  struct affine *l = dn_alloc(s->arena, sizeof *l + bytes);
  l->hash = h;
  l->c = b->c;
  l->lane = b->lane;
  l->n = b->n;
  l->varying = b->lane != 0;
  for (int i = 0; i < b->n; i++) {
    const struct affine_var *v = &s->vars.v[b->term[i].var];
    assert(b->term[i].coef && b->term[i].var < s->vars.n &&
           "affine_add() drops zeros; variables are made first");
    assert((!i || b->term[i - 1].var < b->term[i].var) &&
           "by rising variable: affine_add() merges");
    l->term[i] = b->term[i];
    l->varying |= v->vector;
    if (v->depth > l->depth)
      l->depth = v->depth;
  }
  l->next = *bucket;
  *bucket = l;
  if (++s->nforms > s->nbuckets)
    grow(s);
  return l;
}

const struct affine *affine_const(struct affines *s, int64_t c) {
  return intern(s, &(struct builder){.c = c});
}

const struct affine *affine_var(struct affines *s, unsigned var, int64_t coef) {
  assert(var < s->vars.n && "affine_new_var() gave the number");
  struct affine_term t = {var, coef};
  return intern(s, &(struct builder){.n = coef != 0, .term = &t});
}

const struct affine *affine_lanes(struct affines *s, int64_t coef) {
  return intern(s, &(struct builder){.lane = coef});
}

/* acc + a*b, or 0 after an overflow. */
static int64_t muladd(struct affines *s, int64_t acc, int64_t a, int64_t b) {
  int64_t p = 0, sum = 0;
  if (!dn_mul(a, b, &p) || !dn_add(acc, p, &sum))
    s->overflow = true;
  return sum;
}

const struct affine *affine_add(struct affines *s, const struct affine *a,
                                const struct affine *b, int64_t scale) {
  if (!scale)
    return a;
  struct builder r = {.c = muladd(s, a->c, b->c, scale),
                      .lane = muladd(s, a->lane, b->lane, scale)};
  r.term = DN_ARRAY(s->arena, struct affine_term, a->n + b->n);
  int i = 0, j = 0;
  while (i < a->n || j < b->n) {
    struct affine_term t = {0};
    if (j == b->n || (i < a->n && a->term[i].var < b->term[j].var)) {
      t = a->term[i++];
    } else {
      t.var = b->term[j].var;
      int64_t base = 0;
      if (i < a->n && a->term[i].var == t.var)
        base = a->term[i++].coef;
      t.coef = muladd(s, base, b->term[j++].coef, scale);
    }
    if (t.coef)
      r.term[r.n++] = t;
  }
  return intern(s, &r);
}

const struct affine *affine_plus(struct affines *s, const struct affine *a,
                                 int64_t c) {
  return c ? affine_add(s, a, affine_const(s, c), 1) : a;
}

const struct affine *affine_part(struct affines *s, const struct affine *a,
                                 int min_depth, int max_depth) {
  struct builder r = {.term = DN_ARRAY(s->arena, struct affine_term, a->n)};
  for (int i = 0; i < a->n; i++) {
    const struct affine_var *v = &s->vars.v[a->term[i].var];
    if (v->depth >= min_depth && v->depth <= max_depth && !v->vector)
      r.term[r.n++] = a->term[i];
  }
  return intern(s, &r);
}

const struct affine *affine_split(struct affines *s, const struct affine *a,
                                  int64_t div, const struct affine **rest) {
  assert(div > 0 && "divisors are steps and extents: nest.h");
  struct builder q = {.term = DN_ARRAY(s->arena, struct affine_term, a->n)};
  struct builder r = {.term = DN_ARRAY(s->arena, struct affine_term, a->n)};
  q.c = dn_div_floor(a->c, div);
  r.c = a->c - q.c * div;
  if (a->lane % div == 0)
    q.lane = a->lane / div;
  else
    r.lane = a->lane;
  for (int i = 0; i < a->n; i++) {
    struct affine_term t = a->term[i];
    if (t.coef % div) {
      r.term[r.n++] = t;
    } else {
      t.coef /= div;
      q.term[q.n++] = t;
    }
  }
  assert(r.c >= 0 && r.c < div && q.n + r.n == a->n &&
         "each term goes to one side");
  *rest = intern(s, &r);
  return intern(s, &q);
}

void affine_range(struct affines *s, const struct affine *a, int64_t *lo,
                  int64_t *hi) {
  *lo = *hi = a->c;
  int64_t last = (s->scalable ? s->longest : (int64_t)s->lanes) - 1;
  assert(last >= 0 && "a vector has a lane: affine_init()");
  int64_t span = muladd(s, 0, a->lane, last);
  *(span < 0 ? lo : hi) += span;
  for (int i = 0; i < a->n; i++) {
    const struct affine_var *v = &s->vars.v[a->term[i].var];
    int64_t c = a->term[i].coef;
    if (s->scalable && a->lane && a->term[i].var == s->start)
      continue; /* the lanes begin there and end within the same bound */
    *lo = muladd(s, *lo, c, c > 0 ? v->lo : v->hi);
    *hi = muladd(s, *hi, c, c > 0 ? v->hi : v->lo);
  }
}

bool affine_is_const(const struct affine *a) { return !a->n && !a->lane; }

static unsigned add_var(struct affines *s, struct affine_var v) {
  assert(v.lo <= v.hi && "a variable without values: its loop runs never");
  DN_PUSH(s->arena, s->vars, v);
  return (unsigned)s->vars.n - 1;
}

unsigned affine_new_var(struct affines *s, int64_t lo, int64_t hi, int depth,
                        bool vector, uint64_t dims) {
  return add_var(
      s,
      (struct affine_var){
          .lo = lo, .hi = hi, .depth = depth, .vector = vector, .dims = dims});
}

int64_t affine_coef(const struct affine *a, unsigned var) {
  for (int i = 0; i < a->n; i++)
    if (a->term[i].var == var)
      return a->term[i].coef;
  return 0;
}

uint64_t affine_dims(const struct affines *s, const struct affine *a) {
  uint64_t dims = 0;
  for (int i = 0; i < a->n; i++)
    dims |= s->vars.v[a->term[i].var].dims;
  return dims;
}

/* ---- What affine forms cannot say ---- */

static const struct affine *derive(struct affines *s, enum affine_def def,
                                   const struct affine *a, int64_t number,
                                   int64_t lo, int64_t hi) {
  assert(number > 1 && lo <= hi &&
         "simpler cases end before: affine_div() and the like");
  unsigned lanes = a->varying ? s->lanes : 0;
  struct affine_derived **bucket =
      &s->derived[(a->hash + (uint64_t)def * 7 + (uint64_t)number) % DERIVED];
  for (struct affine_derived *d = *bucket; d; d = d->next) {
    const struct affine_var *v = &s->vars.v[d->var];
    if (v->of == a && v->def == def && v->number == number && d->lanes == lanes)
      return affine_var(s, d->var, 1);
  }
  struct affine_derived *d = DN_NEW(s->arena, struct affine_derived);
  d->lanes = lanes;
  d->var = add_var(s, (struct affine_var){.def = def,
                                          .of = a,
                                          .number = number,
                                          .lo = lo,
                                          .hi = hi,
                                          .depth = a->depth,
                                          .vector = a->varying,
                                          .dims = affine_dims(s, a)});
  d->next = *bucket;
  *bucket = d;
  return affine_var(s, d->var, 1);
}

/* Terms that are multiples of g, a divisor of div, where the others stay within
 * [0, g): floor(a / div) = floor((multiples / g) / (div / g)). */
static const struct affine *reduced(struct affines *s, const struct affine *a,
                                    int64_t div, int64_t *left) {
  int64_t tried = 0;
  for (int i = -1; i < a->n; i++) {
    int64_t g = dn_gcd(div, i < 0 ? a->lane : a->term[i].coef);
    if (g <= 1 || g >= div || g == tried)
      continue;
    tried = g;
    const struct affine *rest;
    const struct affine *q = affine_split(s, a, g, &rest);
    int64_t lo, hi;
    affine_range(s, rest, &lo, &hi);
    if (lo >= 0 && hi < g) {
      *left = div / g;
      return q;
    }
  }
  return NULL;
}

const struct affine *affine_div(struct affines *s, const struct affine *a,
                                int64_t div) {
  assert(div > 0 && "divisors are steps and extents: nest.h");
  if (div == 1)
    return a;
  const struct affine *rest;
  const struct affine *whole = affine_split(s, a, div, &rest);
  int64_t lo, hi;
  affine_range(s, rest, &lo, &hi);
  lo = dn_div_floor(lo, div);
  hi = dn_div_floor(hi, div);
  if (lo == hi)
    return affine_plus(s, whole, lo);
  int64_t left;
  const struct affine *small = reduced(s, rest, div, &left);
  if (small)
    return affine_add(s, whole, affine_div(s, small, left), 1);
  return affine_add(s, whole, derive(s, AFFINE_DIV, rest, div, lo, hi), 1);
}

const struct affine *affine_clamp(struct affines *s, const struct affine *a,
                                  int64_t dim) {
  assert(dim >= 0 && "the dimension of a type");
  int64_t lo, hi;
  affine_range(s, a, &lo, &hi);
  if (lo >= 0 && hi < dim)
    return a;
  if (hi < 0 || dim <= 1)
    return affine_const(s, 0);
  if (lo >= dim)
    return affine_const(s, dim - 1);
  return derive(s, AFFINE_CLAMP, a, dim, dn_max(lo, 0), dn_min(hi, dim - 1));
}

const struct affine *affine_reflect(struct affines *s, const struct affine *a,
                                    int64_t dim) {
  int64_t lo, hi;
  affine_range(s, a, &lo, &hi);
  if (lo >= 0 && hi < dim)
    return a;
  if (dim <= 1)
    return affine_const(s, 0);
  const struct affine *m = affine_wrap(s, a, 2 * dim - 2);
  return derive(s, AFFINE_REFLECT, m, dim, 0, dim - 1);
}

const struct affine *affine_wrap(struct affines *s, const struct affine *a,
                                 int64_t dim) {
  return affine_add(s, a, affine_div(s, a, dim), -dim);
}
