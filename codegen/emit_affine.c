/* emit_affine.c - affine forms over loop counters. They are interned, so that
 * equal forms are equal pointers, and immutable. Everything here is arithmetic
 * at compile time; emit_index.c makes code of it. */
#include "codegen/emit_impl.h"

#include <string.h>

struct builder { /* a form being made */
  int64_t c, lane;
  int n;
  struct affine_term *term;
};

static const struct affine *intern(struct kernel_cg *k,
                                   const struct builder *b) {
  uint64_t h = (uint64_t)b->c * 0x9e3779b97f4a7c15u ^ (uint64_t)b->lane;
  for (int i = 0; i < b->n; i++)
    h = (h ^ b->term[i].var ^ (uint64_t)b->term[i].coef * 31u) *
        0xff51afd7ed558ccdu;
  h ^= h >> 29;
  struct affine **bucket = &k->forms[h % EMIT_BUCKETS];
  size_t bytes = (size_t)b->n * sizeof *b->term;
  for (struct affine *l = *bucket; l; l = l->next)
    if (l->hash == h && l->c == b->c && l->lane == b->lane && l->n == b->n &&
        (!bytes || !memcmp(l->term, b->term, bytes)))
      return l;
  struct affine *l = dn_alloc(k->arena, sizeof *l + bytes);
  l->hash = h;
  l->c = b->c;
  l->lane = b->lane;
  l->n = b->n;
  l->varying = b->lane != 0;
  for (int i = 0; i < b->n; i++) {
    const struct affine_var *v = &k->vars.v[b->term[i].var];
    l->term[i] = b->term[i];
    l->varying |= v->vector;
    if (v->depth > l->depth)
      l->depth = v->depth;
  }
  l->next = *bucket;
  *bucket = l;
  return l;
}

const struct affine *affine_const(struct kernel_cg *k, int64_t c) {
  return intern(k, &(struct builder){.c = c});
}

const struct affine *affine_var(struct kernel_cg *k, unsigned var,
                                int64_t coef) {
  struct affine_term t = {var, coef};
  return intern(k, &(struct builder){.n = coef != 0, .term = &t});
}

const struct affine *affine_lanes(struct kernel_cg *k, int64_t coef) {
  return intern(k, &(struct builder){.lane = coef});
}

/* *acc + a*b; an overflow means that the module's sizes were not checked. */
static int64_t muladd(struct kernel_cg *k, int64_t acc, int64_t a, int64_t b) {
  int64_t p = 0, s = 0;
  if (!dn_mul(a, b, &p) || !dn_add(acc, p, &s))
    emit_fail(k, DN_SHAPE, "index arithmetic overflows");
  return s;
}

const struct affine *affine_add(struct kernel_cg *k, const struct affine *a,
                                const struct affine *b, int64_t scale) {
  if (!scale)
    return a;
  struct builder r = {.c = muladd(k, a->c, b->c, scale),
                      .lane = muladd(k, a->lane, b->lane, scale)};
  r.term = DN_ARRAY(k->arena, struct affine_term, a->n + b->n);
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
      t.coef = muladd(k, base, b->term[j++].coef, scale);
    }
    if (t.coef)
      r.term[r.n++] = t;
  }
  return intern(k, &r);
}

const struct affine *affine_plus(struct kernel_cg *k, const struct affine *a,
                                 int64_t c) {
  return c ? affine_add(k, a, affine_const(k, c), 1) : a;
}

const struct affine *affine_part(struct kernel_cg *k, const struct affine *a,
                                 int min_depth, int max_depth) {
  struct builder r = {.term = DN_ARRAY(k->arena, struct affine_term, a->n)};
  for (int i = 0; i < a->n; i++) {
    const struct affine_var *v = &k->vars.v[a->term[i].var];
    if (v->depth >= min_depth && v->depth <= max_depth && !v->vector)
      r.term[r.n++] = a->term[i];
  }
  return intern(k, &r);
}

const struct affine *affine_split(struct kernel_cg *k, const struct affine *a,
                                  int64_t div, const struct affine **rest) {
  struct builder q = {.term = DN_ARRAY(k->arena, struct affine_term, a->n)};
  struct builder r = {.term = DN_ARRAY(k->arena, struct affine_term, a->n)};
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
  *rest = intern(k, &r);
  return intern(k, &q);
}

void affine_range(struct kernel_cg *k, const struct affine *a, int64_t *lo,
                  int64_t *hi) {
  if (k->dry)
    k->pinned |= affine_dims(k, a);
  *lo = *hi = a->c;
  int64_t last = (k->scalable ? k->longest : (int64_t)k->lanes) - 1;
  int64_t span = muladd(k, 0, a->lane, last);
  *(span < 0 ? lo : hi) += span;
  for (int i = 0; i < a->n; i++) {
    const struct affine_var *v = &k->vars.v[a->term[i].var];
    int64_t c = a->term[i].coef;
    if (k->scalable && a->lane && a->term[i].var == k->start)
      continue; /* the lanes begin there and end within the same bound */
    *lo = muladd(k, *lo, c, c > 0 ? v->lo : v->hi);
    *hi = muladd(k, *hi, c, c > 0 ? v->hi : v->lo);
  }
}

bool affine_is_const(const struct affine *a) { return !a->n && !a->lane; }

unsigned affine_new_var(struct kernel_cg *k, LLVMValueRef value, int64_t lo,
                        int64_t hi, int depth, bool vector, uint64_t dims) {
  struct affine_var v = {.value = value,
                         .lo = lo,
                         .hi = hi,
                         .depth = depth,
                         .vector = vector,
                         .dims = dims};
  DN_PUSH(k->arena, k->vars, v);
  return (unsigned)k->vars.n - 1;
}

int64_t affine_coef(const struct affine *a, unsigned var) {
  for (int i = 0; i < a->n; i++)
    if (a->term[i].var == var)
      return a->term[i].coef;
  return 0;
}

uint64_t affine_dims(const struct kernel_cg *k, const struct affine *a) {
  uint64_t dims = 0;
  for (int i = 0; i < a->n; i++)
    dims |= k->vars.v[a->term[i].var].dims;
  return dims;
}
