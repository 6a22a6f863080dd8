/* size_infer.c - sizes of an op's result from those of its operands, by what
 * the rule of its row says at points, for other values of the parameters: a
 * size that an operand has too, a sum of products or, for windows, the quotient
 * of one. Points lie above the bounds, where no dimension is 1 and none
 * broadcasts by chance. */
#include "ir/size_infer.h"

#include <assert.h>
#include <string.h>

enum { LINE = 130, MOST_QUOTIENT = 64 };

struct fit {
  struct dn_ctx *ctx;
  struct ir_point at; /* the bounds */
  size_types *types;
  void *user;
  int d;
};

/* The dimension at the bounds plus `by`; false: there is none. */
static bool dim_at(const struct fit *f, const int64_t *by, int64_t *out) {
  struct ir_point p = f->at;
  for (int i = 0; i < p.n; i++)
    p.value[i] += by[i];
  const struct ir_type *t = f->types(f->user, &p);
  if (!t)
    return false;
  *out = t->dim[f->d];
  return true;
}

/* The bounds, far along each parameter alone, then along all: near and far. */
static void point_of(const struct fit *f, int k, int64_t *by) {
  int n = f->at.n;
  for (int i = 0; i < n; i++)
    by[i] = k > n + 1 ? 57 * (i + 1) : k > n ? 3 + 2 * i : 101 * (k == i + 1);
}

/* Whether the dimension is `s` at all points; NULL: the one that it is now. */
static bool holds(const struct fit *f, const struct ir_size *s, int64_t now) {
  for (int k = 0; k < f->at.n + 3; k++) {
    int64_t by[IR_MAX_SIZES], v;
    struct ir_point p = f->at;
    point_of(f, k, by);
    for (int i = 0; i < p.n; i++)
      p.value[i] += by[i];
    if (!dim_at(f, by, &v) || v != (s ? ir_size_at(s, &p) : now))
      return false;
  }
  return true;
}

static bool add_term(struct ir_size *s, int64_t coef, const struct ir_param *by,
                     const struct ir_param *and) {
  if (!coef)
    return true;
  if (s->n == IR_SIZE_TERMS)
    return false;
  s->term[s->n++] = (struct ir_term){coef, by, and};
  return true;
}

/* The difference that steps along parameters i and j make, of those along
 * either alone; i == j: the one along i. */
static bool difference(const struct ir_point *at, const int64_t *step,
                       ir_size_values *values, void *user, int i, int j,
                       int64_t *out) {
  int64_t by[IR_MAX_SIZES] = {0}, v[4] = {0};
  for (int k = 0; k < (i == j ? 2 : 4); k++) {
    by[j] = k & 2 ? step[j] : 0;
    by[i] = k & 1 ? step[i] : 0;
    if (!values(user, at, by, &v[k]))
      return false;
  }
  *out = i == j ? (v[1] - v[0]) / step[i]
                : (v[3] - v[2] - v[1] + v[0]) / (step[i] * step[j]);
  return true;
}

const struct ir_size *ir_size_sum(struct dn_ctx *ctx, const struct ir_point *at,
                                  const int64_t *step, ir_size_values *values,
                                  void *user) {
  int64_t zero, none[IR_MAX_SIZES] = {0}, coef[IR_MAX_SIZES] = {0};
  struct ir_size s = {.div = 1};
  if (!values(user, at, none, &zero))
    return NULL;
  for (int i = 0; i < at->n; i++)
    for (int j = 0; j <= i; j++) {
      int64_t a;
      if (!difference(at, step, values, user, i, j, &a))
        return NULL;
      coef[i] += i == j ? a : -a * at->value[j];
      coef[j] -= i == j ? 0 : a * at->value[i];
      if (i != j && !add_term(&s, a, at->param[i], at->param[j]))
        return NULL;
    }
  for (int i = 0; i < at->n; i++)
    if (!add_term(&s, coef[i], at->param[i], NULL))
      return NULL;
  s.c = zero - ir_size_at(&s, at);
  return ir_size_make(ctx, &s);
}

static bool value_at(void *user, const struct ir_point *at, const int64_t *by,
                     int64_t *out) {
  (void)at;
  return dim_at(user, by, out);
}

static const struct ir_size *fit_sum(struct fit *f) {
  int64_t step[IR_MAX_SIZES];
  for (int i = 0; i < IR_MAX_SIZES; i++)
    step[i] = 1;
  const struct ir_size *s = ir_size_sum(f->ctx, &f->at, step, value_at, f);
  return s && ir_size_rises(s) && holds(f, s, 0) ? s : NULL;
}

/* floor((a p_i + c) / q): from q on along a line the values repeat, plus a. */
static const struct ir_size *fit_quotient(const struct fit *f, int i) {
  assert(i < f->at.n && "fit_dim() counts the parameters");
  int64_t by[IR_MAX_SIZES] = {0}, v[LINE];
  for (int t = 0; t < LINE; t++) {
    by[i] = t;
    if (!dim_at(f, by, &v[t]))
      return NULL;
  }
  for (int64_t q = 2; q <= MOST_QUOTIENT; q++) {
    int64_t a = v[q] - v[0], lo = INT64_MIN, hi = INT64_MAX;
    for (int64_t t = 0; t < LINE; t++) {
      int64_t least = q * v[t] - a * (f->at.value[i] + t);
      lo = dn_max(lo, least);
      hi = dn_min(hi, least + q - 1);
    }
    if (lo > hi || a < 1)
      continue;
    struct ir_size s = {
        .c = lo, .div = q, .n = 1, .term = {{a, f->at.param[i], NULL}}};
    const struct ir_size *r = ir_size_make(f->ctx, &s);
    if (holds(f, r, 0))
      return r;
  }
  return NULL;
}

/* *size is NULL where the dimension is the same everywhere. */
static bool fit_dim(struct fit *f, const struct ir_type *const *known,
                    unsigned n, int64_t now, const struct ir_size **size) {
  *size = NULL;
  if (holds(f, NULL, now))
    return true;
  for (unsigned k = 0; k < n; k++)
    for (int d = 0; d < known[k]->rank; d++) {
      *size = known[k]->size[d];
      if (*size && holds(f, *size, 0))
        return true;
    }
  *size = fit_sum(f);
  for (int i = 0; i < f->at.n && !*size; i++)
    *size = fit_quotient(f, i);
  return *size != NULL;
}

const struct ir_type *ir_size_fit(struct dn_ctx *ctx,
                                  const struct ir_type *bounds,
                                  const struct ir_type *const *known,
                                  unsigned n, size_types *types, void *user) {
  struct fit f = {.ctx = ctx, .types = types, .user = user};
  const struct ir_size *sizes[IR_MAX_RANK] = {NULL};
  for (unsigned k = 0; k < n; k++)
    if (!ir_point_add(&f.at, known[k]))
      return NULL;
  for (f.d = 0; f.at.n && f.d < bounds->rank; f.d++)
    if (!fit_dim(&f, known, n, bounds->dim[f.d], &sizes[f.d]))
      return NULL;
  return ir_type_sized(ctx, bounds, sizes);
}
