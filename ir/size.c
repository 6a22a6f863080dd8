/* size.c - sizes that are known at run time only: see size.h. */
#include "ir/size.h"

#include "ir/ir.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Making ---- */

const struct ir_param *ir_param(struct dn_ctx *ctx, const char *name,
                                int64_t least, int64_t bound) {
  struct ir_param p;
  memset(&p, 0, sizeof p); /* records compare bytewise */
  p.name = dn_intern(ctx, name);
  p.bound = bound;
  p.least = least;
  return dn_intern_record(ctx, &p, sizeof p);
}

const struct ir_param *ir_param_of_turn(struct dn_ctx *ctx, int depth,
                                        int64_t turns) {
  char name[16];
  snprintf(name, sizeof name, "$%d", depth);
  return ir_param(ctx, name, 0, turns - 1);
}

int ir_param_depth(const struct ir_param *p) {
  return p->name[0] == '$' ? atoi(p->name + 1) : -1;
}

static int compare_terms(const void *a, const void *b) {
  const struct ir_term *x = a, *y = b;
  assert(x->by && y->by && "a term has a parameter");
  int by = strcmp(x->by->name, y->by->name);
  if (by)
    return by;
  if (!x->and || !y->and)
    return (x->and != NULL) - (y->and != NULL);
  return strcmp(x->and->name, y->and->name);
}

const struct ir_size *ir_size_make(struct dn_ctx *ctx,
                                   const struct ir_size *s) {
  struct ir_size r;
  memset(&r, 0, sizeof r);
  int64_t g = s->div;
  for (int i = 0; i < s->n; i++)
    if (s->term[i].coef) {
      r.term[r.n] = s->term[i];
      g = dn_gcd(g, s->term[i].coef);
      struct ir_term *t = &r.term[r.n++];
      if (t->and &&strcmp(t->by->name, t->and->name) > 0) {
        const struct ir_param *swap = t->by;
        t->by = t->and;
        t->and = swap;
      }
    }
  qsort(r.term, (size_t)r.n, sizeof *r.term, compare_terms);
  assert(s->div >= 1 && "a size is divided by a number above 0");
  for (int i = 0; i < r.n; i++)
    r.term[i].coef /= g;
  r.c = dn_div_floor(s->c, g);
  r.div = s->div / g;
  return dn_intern_record(ctx, &r, sizeof r);
}

const struct ir_size *ir_size_param(struct dn_ctx *ctx,
                                    const struct ir_param *p) {
  struct ir_size s = {.div = 1, .n = 1, .term = {{1, p, NULL}}};
  return ir_size_make(ctx, &s);
}

const struct ir_size *ir_size_times(struct dn_ctx *ctx, const struct ir_size *s,
                                    int64_t by) {
  if (!s || (s->div > 1 && by != 1))
    return NULL;
  struct ir_size r = *s;
  if (!dn_mul(r.c, by, &r.c))
    return NULL;
  for (int i = 0; i < r.n; i++)
    if (!dn_mul(r.term[i].coef, by, &r.term[i].coef))
      return NULL;
  return ir_size_make(ctx, &r);
}

/* s / by where that has no remainder; else NULL. */
static const struct ir_size *size_over(struct dn_ctx *ctx,
                                       const struct ir_size *s, int64_t by) {
  if (!s || by < 1)
    return NULL;
  struct ir_size r = *s;
  if (by == 1)
    return s;
  if (r.div > 1 || r.c % by)
    return NULL;
  r.c /= by;
  for (int i = 0; i < r.n; i++) {
    if (r.term[i].coef % by)
      return NULL;
    r.term[i].coef /= by;
  }
  return ir_size_make(ctx, &r);
}

/* ---- Choices ---- */

bool ir_choose(struct dn_ctx *ctx, struct ir_choices *c, const char *name,
               int code, bool now) {
  enum { NEAR = 64 };
  name = dn_intern(ctx, name ? name : "");
  for (size_t i = c ? c->k : 0; c && c->again && i < c->made.n; i++) {
    const struct ir_choice *m = &c->made.v[i];
    if (i == c->k + NEAR)
      return now;
    if (m->code != code || m->name != name)
      continue;
    c->k = i + 1;
    return m->chosen;
  }
  struct ir_choice made = {name, code, now};
  if (c && !c->again)
    DN_PUSH(ctx->arena, c->made, made);
  return now;
}

/* ---- Values ---- */

static bool value_of(const struct ir_point *at, const struct ir_param *p,
                     int64_t *out) {
  for (int i = 0; i < at->n; i++)
    if (at->param[i] == p) {
      *out = at->value[i];
      return true;
    }
  return false;
}

int64_t ir_size_at(const struct ir_size *s, const struct ir_point *at) {
  int64_t sum = s->c;
  assert(s->div >= 1 && "ir_size_make()");
  for (int i = 0; i < s->n; i++) {
    int64_t v, w = 1;
    if (!value_of(at, s->term[i].by, &v) ||
        (s->term[i].and &&!value_of(at, s->term[i].and, &w)) ||
        !dn_mul(v, w, &v) || !dn_mul(v, s->term[i].coef, &v) ||
        !dn_add(sum, v, &sum))
      return -1;
  }
  return dn_div_floor(sum, s->div);
}

static bool has_turn(const struct ir_size *s) {
  for (int i = 0; s && i < s->n; i++)
    if (ir_param_depth(s->term[i].by) >= 0 ||
        (s->term[i].and &&ir_param_depth(s->term[i].and) >= 0))
      return true;
  return false;
}

int64_t ir_size_mean(const struct ir_size *s, int64_t most) {
  struct ir_point first = {0};
  if (!has_turn(s))
    return most;
  for (int i = 0; i < s->n; i++) {
    ir_point_with(&first, s->term[i].by);
    ir_point_with(&first, s->term[i].and);
  }
  for (int i = 0; i < first.n; i++)
    first.value[i] *= ir_param_depth(first.param[i]) < 0;
  return (ir_size_at(s, &first) + most) / 2; /* a sum of turns */
}

int64_t ir_size_step(const struct ir_size *s) {
  assert(s && s->div >= 1 && "the caller has a size: ir_size_make()");
  int64_t step = s->div > 1 ? 1 : s->c;
  for (int i = 0; i < s->n && s->div == 1; i++)
    step = dn_gcd(step, s->term[i].coef);
  return step;
}

bool ir_size_rises(const struct ir_size *s) {
  for (int i = 0; i < s->n; i++)
    if (s->term[i].coef < 0)
      return false;
  return true;
}

/* ---- Text ---- */

void ir_size_put(struct dn_buf *out, const struct ir_size *s) {
  dn_buf_printf(out, s->div > 1 ? "(" : "");
  for (int i = 0; i < s->n; i++) {
    const struct ir_term *t = &s->term[i];
    int64_t coef = t->coef;
    dn_buf_printf(out, i && coef > 0 ? "+" : "");
    if (coef == -1)
      dn_buf_printf(out, "-");
    else if (coef != 1)
      dn_buf_printf(out, "%lld*", (long long)coef);
    dn_buf_printf(out, "%s", t->by->name);
    if (t->and)
      dn_buf_printf(out, "*%s", t->and->name);
  }
  if (s->c || !s->n)
    dn_buf_printf(out, s->n ? "%+lld" : "%lld", (long long)s->c);
  if (s->div > 1)
    dn_buf_printf(out, ")/%lld", (long long)s->div);
}

struct reader {
  const char *s;
  const struct ir_param *(*find)(void *user, const char *name);
  void *user;
  struct dn_ctx *ctx;
};

static bool read_number(struct reader *r, int64_t *out) {
  *out = 0;
  if (!isdigit((unsigned char)*r->s))
    return false;
  for (; isdigit((unsigned char)*r->s); r->s++)
    if (!dn_mul(*out, 10, out) || !dn_add(*out, *r->s - '0', out))
      return false;
  return true;
}

static const struct ir_param *read_param(struct reader *r) {
  size_t n = strcspn(r->s, "*+-()/");
  const char *name = n ? dn_intern_n(r->ctx, r->s, n) : "";
  r->s += n;
  return n ? r->find(r->user, name) : NULL;
}

/* [-] [number *] name [* name], or a number. */
static bool read_term(struct reader *r, bool minus, struct ir_size *s) {
  int64_t coef = 1;
  struct ir_term t = {0};
  bool number = isdigit((unsigned char)*r->s);
  if (number && !read_number(r, &coef))
    return false;
  if (minus)
    coef = -coef;
  if (number && *r->s != '*')
    return dn_add(s->c, coef, &s->c);
  r->s += number;
  t.coef = coef;
  t.by = read_param(r);
  if (t.by && *r->s == '*') {
    r->s++;
    t.and = read_param(r);
    if (!t.and)
      return false;
  }
  if (!t.by || s->n == IR_SIZE_TERMS)
    return false;
  s->term[s->n++] = t;
  return true;
}

const struct ir_size *
ir_size_read(struct dn_ctx *ctx, const char *text,
             const struct ir_param *(*find)(void *user, const char *name),
             void *user) {
  struct reader r = {text, find, user, ctx};
  struct ir_size s = {.div = 1};
  bool group = *r.s == '(';
  r.s += group;
  do {
    bool minus = *r.s == '-';
    if (*r.s == '-' || *r.s == '+')
      r.s++;
    if (!read_term(&r, minus, &s))
      return NULL;
  } while (*r.s == '+' || *r.s == '-');
  if (group) {
    if (strncmp(r.s, ")/", 2))
      return NULL;
    r.s += 2;
    if (!read_number(&r, &s.div) || s.div < 1)
      return NULL;
  }
  return *r.s ? NULL : ir_size_make(ctx, &s);
}

/* ---- Types ---- */

bool ir_type_is_sized(const struct ir_type *type) {
  for (int d = 0; d < type->rank; d++)
    if (type->size[d])
      return true;
  return false;
}

bool ir_type_is_spread(const struct ir_type *type) {
  bool outer = false;
  for (int d = 0; d < type->rank; d++) {
    if (type->size[d] && outer)
      return true;
    outer |= type->dim[d] > 1;
  }
  return false;
}

const struct ir_type *ir_type_at(struct dn_ctx *ctx, const struct ir_type *type,
                                 const struct ir_point *at) {
  int64_t dims[IR_MAX_RANK];
  for (int d = 0; d < type->rank; d++) {
    dims[d] = type->size[d] ? ir_size_at(type->size[d], at) : type->dim[d];
    if (dims[d] < 0)
      return NULL;
  }
  return ir_type(ctx, type->dtype, type->rank, dims);
}

bool ir_point_with(struct ir_point *p, const struct ir_param *param) {
  int64_t known;
  if (!param || value_of(p, param, &known))
    return true;
  if (p->n == IR_MAX_SIZES)
    return false;
  p->param[p->n] = param;
  p->value[p->n++] = param->bound;
  return true;
}

bool ir_point_add(struct ir_point *p, const struct ir_type *type) {
  bool ok = true;
  for (int d = 0; d < type->rank; d++)
    for (int i = 0; type->size[d] && i < type->size[d]->n; i++)
      ok &= ir_point_with(p, type->size[d]->term[i].by) &&
            ir_point_with(p, type->size[d]->term[i].and);
  return ok;
}

/* ---- Reshape ---- */

/* Of dims [from, to): the outermost larger than 1 has the only size, which
 * comes to *size with the product of the others in *rest. */
static bool outermost(const struct ir_type *t, int from, int to,
                      const struct ir_size **size, int64_t *rest, int *at) {
  *rest = 1;
  *size = NULL;
  *at = -1;
  for (int d = from; d < to; d++) {
    if (t->dim[d] == 1)
      continue;
    if (*at < 0) {
      *at = d;
      *size = t->size[d];
      continue;
    }
    if (t->size[d])
      return false;
    *rest *= t->dim[d];
  }
  return true;
}

const struct ir_type *ir_size_reshape(struct dn_ctx *ctx,
                                      const struct ir_type *from,
                                      const struct ir_type *to) {
  const struct ir_size *sizes[IR_MAX_RANK] = {NULL};
  int old = 0, dst = 0;
  while (old < from->rank || dst < to->rank) {
    int first = old, begin = dst;
    int64_t have = 1, want = 1;
    while (old < from->rank && from->dim[old] == 1)
      old++;
    while (dst < to->rank && to->dim[dst] == 1)
      dst++;
    if (old < from->rank)
      have = from->dim[old++];
    if (dst < to->rank)
      want = to->dim[dst++];
    while (have != want) {
      if (have < want && old < from->rank)
        have *= from->dim[old++];
      else if (have > want && dst < to->rank)
        want *= to->dim[dst++];
      else
        return NULL; /* of an empty tensor, or of another number of elements */
    }
    const struct ir_size *size, *none;
    int64_t others, rest;
    int at, to_at;
    if (!outermost(from, first, old, &size, &others, &at))
      return NULL;
    if (!size)
      continue;
    if (!outermost(to, begin, dst, &none, &rest, &to_at) || to_at < 0)
      return NULL;
    sizes[to_at] = others == rest
                       ? size
                       : size_over(ctx, ir_size_times(ctx, size, others), rest);
    if (!sizes[to_at])
      return NULL;
  }
  return ir_type_sized(ctx, to, sizes);
}

/* ---- Of a function ---- */

typedef bool visit_fn(struct ir_point *, const struct ir_type *);

/* All parameters of a type but those that number turns. */
static bool add_passed(struct ir_point *p, const struct ir_type *type) {
  struct ir_point all = {0};
  bool ok = ir_point_add(&all, type);
  for (int i = 0; i < all.n; i++)
    ok &= ir_param_depth(all.param[i]) >= 0 || ir_point_with(p, all.param[i]);
  return ok;
}

static bool each_param(struct ir_point *p, const struct ir_block *b,
                       visit_fn *visit) {
  bool ok = true;
  for (unsigned i = 0; i < b->nparams; i++)
    ok &= visit(p, b->param[i]->type);
  return ok;
}

static bool each_type(struct ir_point *p, const struct ir_func *f,
                      visit_fn *visit) {
  bool ok = each_param(p, f->body, visit);
  for (struct ir_op *op = f->body->first; op && op->block->func == f;
       op = ir_next(op)) {
    for (unsigned i = 0; i < op->nresults; i++)
      ok &= visit(p, op->result[i]->type);
    for (unsigned i = 0; i < op->nregions; i++)
      ok &= each_param(p, op->region[i], visit);
  }
  return ok;
}

/* The point with the parameters of `s` raised by t, to their bounds at most. */
static struct ir_point raised(const struct ir_point *p, const struct ir_size *s,
                              int64_t t) {
  struct ir_point r = *p;
  for (int i = 0; i < r.n; i++)
    for (int k = 0; k < s->n; k++)
      if (s->term[k].by == r.param[i] || s->term[k].and == r.param[i]) {
        r.value[i] = dn_min(p->value[i] + t, dn_max(r.param[i]->bound, 1));
        break;
      }
  return r;
}

/* Raises the parameters of sizes that are below 0 until they are not; sizes
 * rise with their parameters. */
static bool raise_to(struct ir_point *p, const struct ir_type *type) {
  for (int d = 0; d < type->rank; d++) {
    const struct ir_size *s = type->size[d];
    int64_t lo = 0, hi = INT64_C(1) << 41;
    if (!s || has_turn(s) || ir_size_at(s, p) >= 0)
      continue;
    while (lo < hi) {
      int64_t mid = lo + (hi - lo) / 2;
      struct ir_point at = raised(p, s, mid);
      if (ir_size_at(s, &at) < 0)
        lo = mid + 1;
      else
        hi = mid;
    }
    *p = raised(p, s, lo);
    if (ir_size_at(s, p) < 0)
      return false;
  }
  return true;
}

bool ir_makes_param(const struct ir_op *op, const struct ir_param *p) {
  return op->code == IR_SET_SIZE && !strcmp(ir_get_str(op, "name"), p->name);
}

/* Those that are passed come first. */
static int sort_params(struct ir_point *p, const struct ir_func *f) {
  struct ir_point made = {0};
  int passed = 0;
  for (int i = 0; i < p->n; i++) {
    const struct ir_op *op = f->body->first;
    while (op && op->block->func == f && !ir_makes_param(op, p->param[i]))
      op = ir_next(op);
    bool is_made = op && op->block->func == f;
    struct ir_point *to = is_made ? &made : p;
    int at = is_made ? made.n++ : passed++;
    to->param[at] = p->param[i];
    to->value[at] = p->value[i];
  }
  for (int i = 0; i < made.n; i++) {
    p->param[passed + i] = made.param[i];
    p->value[passed + i] = made.value[i];
  }
  return passed;
}

bool ir_sizes_of(const struct ir_func *f, struct ir_sizes *out) {
  *out = (struct ir_sizes){0};
  bool ok = each_type(&out->most, f, add_passed);
  int n = out->most.n;
  out->passed = sort_params(&out->most, f);
  for (int i = 0; i < n; i++)
    for (int k = 0; k < i; k++)
      ok &= out->most.param[i]->name != out->most.param[k]->name;
  struct ir_point least = out->most;
  for (int i = 0; i < n; i++)
    least.value[i] = least.param[i]->least;
  ok = ok && each_type(&least, f, raise_to);
  memcpy(out->least, least.value, sizeof out->least);
  return ok;
}

/* p->value[0]: the most that was met. */
static bool count_turns(struct ir_point *p, const struct ir_type *type) {
  struct ir_point all = {0};
  bool ok = ir_point_add(&all, type);
  for (int i = 0; i < all.n; i++)
    p->value[0] = dn_max(p->value[0], ir_param_depth(all.param[i]) + 1);
  return ok;
}

int ir_turns_named(const struct ir_func *f) {
  struct ir_point p = {0};
  each_type(&p, f, count_turns);
  return (int)p.value[0];
}
