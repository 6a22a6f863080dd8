/* sizes_const.c - numbers that differ between lanes as sizes, and the types and
 * constants that are made of them: see sizes.c. */
#include "passes/sizes_join.h"

#include "ir/size_infer.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- Numbers ---- */

static bool lane_number(void *user, const struct ir_point *at,
                        const int64_t *by, int64_t *out) {
  const struct join *j = user;
  for (int k = 0; k < j->n; k++)
    if (!memcmp(j->s->lane[k].by, by, (size_t)at->n * sizeof *by)) {
      *out = j->number[k];
      return true;
    }
  return false;
}

struct ir_point sizes_point(const struct join *j, int k) {
  assert(k >= 0 && k < j->s->n && "lanes are counted by sizes_choose()");
  struct ir_point p = j->s->at;
  for (int i = 0; i < p.n; i++)
    p.value[i] += j->s->lane[k].by[i];
  return p;
}

/* The size that j->number[] are; NULL: none. */
static const struct ir_size *fit(struct join *j) {
  assert(j->n > 0 && j->s->at.n <= IR_MAX_SIZES &&
         "the lane at the bounds stays; add_bound()");
  const struct ir_size *s =
      ir_size_sum(j->ctx, &j->s->at, j->s->step, lane_number, j);
  for (int k = 0; s && k < j->n; k++) {
    struct ir_point p = sizes_point(j, k);
    if (ir_size_at(s, &p) != j->number[k])
      return NULL;
  }
  return s;
}

/* A product that j->number[] are: a number, a size of a type and another or 1;
 * sizes that were noted last first, which are those of the op's operands. */
struct size_product {
  int64_t number;
  const struct ir_size *size[2];
};

static bool is_product(const struct join *j, struct size_product *p) {
  p->number = 1;
  for (int k = 0; k < j->n; k++) {
    struct ir_point at = sizes_point(j, k);
    int64_t v = p->size[1] ? ir_size_at(p->size[1], &at) : 1;
    if (!dn_mul(v, ir_size_at(p->size[0], &at), &v) || v < 1)
      return false;
    if (!k)
      p->number = j->number[0] / v;
    if (!dn_mul(v, p->number, &v) || v != j->number[k])
      return false;
  }
  return true;
}

static bool fit_product(const struct join *j, struct size_product *p) {
  for (size_t a = j->sizes.n; a-- > 0;)
    for (size_t b = 0; b <= a + 1; b++) {
      p->size[0] = j->sizes.v[a];
      p->size[1] = b ? j->sizes.v[a + 1 - b] : NULL;
      if (is_product(j, p))
        return true;
    }
  return false;
}

/* The size of a type that j->number[] are but for a number. */
static const struct ir_size *fit_near(const struct join *j, int64_t *apart) {
  for (size_t i = j->sizes.n; i-- > 0;) {
    bool same = true;
    for (int k = 0; k < j->n && same; k++) {
      struct ir_point p = sizes_point(j, k);
      int64_t more = j->number[k] - ir_size_at(j->sizes.v[i], &p);
      same = !k || more == *apart;
      *apart = more;
    }
    if (same)
      return j->sizes.v[i];
  }
  return NULL;
}

/* ---- Types ---- */

/* Whether `type` is each lane's type at its point. */
bool sizes_type_fits(const struct join *j, const struct ir_type *type,
                     const struct ir_type *const *lane) {
  for (int k = 0; k < j->n; k++) {
    struct ir_point p = sizes_point(j, k);
    const struct ir_type *t = type ? ir_type_at(j->ctx, type, &p) : NULL;
    if (!t || t->dtype != lane[k]->dtype || !ir_same_dims(t, lane[k]))
      return false;
  }
  return true;
}

/* The type of the lanes' types, each dimension by its own numbers; NULL. */
const struct ir_type *sizes_fit_type(struct join *j,
                                     const struct ir_type *const *lane) {
  const struct ir_size *sizes[IR_MAX_RANK] = {NULL};
  for (int k = 1; k < j->n; k++)
    if (lane[k]->rank != lane[0]->rank)
      return NULL;
  for (int d = 0; d < lane[0]->rank; d++) {
    for (int k = 0; k < j->n; k++)
      j->number[k] = lane[k]->dim[d];
    int64_t apart = 0;
    sizes[d] = fit(j);
    if (!sizes[d] || !ir_size_rises(sizes[d]))
      sizes[d] = fit_near(j, &apart);
    if (!sizes[d] || apart)
      return NULL;
    sizes[d] = sizes[d]->n ? sizes[d] : NULL;
  }
  const struct ir_type *t = ir_type_sized(j->ctx, lane[0], sizes);
  return sizes_type_fits(j, t, lane) ? t : NULL;
}

/* ---- Constants ---- */

/* Whether elements at the same indices differ by *add, the same for all: bytes
 * that are no integer by nothing. */
static bool differ_by(const struct join *j, const struct ir_value *a,
                      const struct ir_value *b, int64_t *add) {
  enum ir_dtype t = a->type->dtype;
  int64_t step[2][IR_MAX_RANK], at[IR_MAX_RANK] = {0}, n = 1;
  size_t bytes = ir_dtypes[t].bytes;
  assert(a->type->rank == b->type->rank && b->type->dtype == t &&
         "sizes_fit_type() has compared them");
  const char *x = ir_const_bytes(j->scratch, a),
             *y = ir_const_bytes(j->scratch, b);
  ir_type_strides(a->type, step[0]);
  ir_type_strides(b->type, step[1]);
  for (int d = 0; d < a->type->rank; d++)
    n *= dn_min(a->type->dim[d], b->type->dim[d]);
  for (int64_t i = 0; i < n; i++) {
    int64_t p = 0, q = 0, left = i, more = 0;
    for (int d = a->type->rank; d-- > 0;) {
      int64_t dim = dn_min(a->type->dim[d], b->type->dim[d]);
      at[d] = left % dim;
      left /= dim;
      p += at[d] * step[0][d];
      q += at[d] * step[1][d];
    }
    const char *u = x + p * (int64_t)bytes, *v = y + q * (int64_t)bytes;
    if (ir_is_int(t))
      more = ir_load_int(t, v) - ir_load_int(t, u);
    else if (memcmp(u, v, bytes) != 0)
      return false;
    if (i && more != *add)
      return false;
    *add = more;
  }
  return true;
}

void sizes_note(struct join *j, const struct ir_type *type) {
  for (int d = 0; d < type->rank; d++) {
    bool known = !type->size[d];
    for (size_t i = 0; i < j->sizes.n && !known; i++)
      known = j->sizes.v[i] == type->size[d];
    if (!known)
      DN_PUSH(j->scratch, j->sizes, type->size[d]);
  }
}

static struct ir_builder at_start(struct join *j) {
  return (struct ir_builder){
      .m = j->s->lane[0].m, .block = j->first->block, .before = j->first};
}

struct ir_value *sizes_value(struct ir_builder *b, const struct ir_size *size,
                             int64_t bound) {
  int64_t one = 1, zero = 0;
  assert(size && bound >= 0 && "a size and its bound: ir_size_at()");
  struct ir_value *y = ir_emit(
      b, IR_EXPAND, IR_ARGS(ir_const_ints(b->m, "one", IR_I64, 0, NULL, &one)),
      IR_ATTRS(ir_ints("shape", &bound, 1)));
  if (y)
    y->type = ir_type_sized(b->m->ctx, y->type, &size);
  return ir_emit(b, IR_REDUCE_SUM, IR_ARGS(y),
                 IR_ATTRS(ir_ints("axes", &zero, 1)));
}

struct ir_value *sizes_dim(struct ir_builder *b, const struct ir_type *t,
                           int d) {
  int64_t one = 1;
  return t->size[d] ? sizes_value(b, t->size[d], t->dim[d])
                    : ir_const_ints(b->m, "dim", IR_I64, 1, &one, &t->dim[d]);
}

/* c + the size, as a scalar of a type. */
static struct ir_value *emit_size(struct join *j, const struct ir_size *size,
                                  enum ir_dtype to) {
  struct ir_builder b = at_start(j);
  struct ir_module *m = b.m;
  int64_t one = 1, c = size->div > 1 ? 0 : size->c;
  struct ir_size terms = *size;
  terms.c -= c;
  const struct ir_size *s = ir_size_make(j->ctx, &terms);
  struct ir_value *y = sizes_value(&b, s, ir_size_at(s, &j->s->at));
  if (c)
    y = ir_emit(&b, IR_ADD,
                IR_ARGS(y, ir_const_ints(m, "c", IR_I64, 1, &one, &c)), NULL,
                0);
  y = ir_emit(&b, IR_RESHAPE, IR_ARGS(y), IR_ATTRS(ir_ints("shape", NULL, 0)));
  return to == IR_I64 ? y
                      : ir_emit(&b, IR_CAST, IR_ARGS(y),
                                IR_ATTRS(ir_str("to", ir_dtypes[to].text)));
}

/* A float that is a size in every lane, or one over it. */
static struct ir_value *float_of_sizes(struct join *j,
                                       struct ir_value *const *c) {
  for (int inverse = 0; inverse < 2; inverse++) {
    bool whole = true;
    for (int k = 0; k < j->n; k++) {
      double v = 0;
      whole &= ir_const_uniform(c[k], &v);
      v = inverse ? 1 / v : v;
      double n = nearbyint(v), back = inverse ? 1 / n : n;
      whole &= fabs(n) < 0x1p53;
      j->number[k] = whole ? (int64_t)n : 0;
      uint64_t bits[2] = {0, 0};
      if (whole) {
        ir_store_float(c[k]->type->dtype, &bits[0], back);
        ir_store_float(c[k]->type->dtype, &bits[1], ir_const_float(c[k], 0));
      }
      whole &= bits[0] == bits[1];
    }
    struct size_product p = {1, {whole ? fit(j) : NULL}};
    if (!whole ||
        ((!p.size[0] || !ir_size_rises(p.size[0])) && !fit_product(j, &p)))
      continue;
    struct ir_builder b = at_start(j);
    enum ir_dtype t = c[0]->type->dtype;
    struct ir_value *y = emit_size(j, p.size[0], t);
    if (p.size[1])
      y = ir_emit(&b, IR_MUL, IR_ARGS(y, emit_size(j, p.size[1], t)), NULL, 0);
    if (p.number != 1) {
      const struct ir_type *scalar = ir_type(j->ctx, t, 0, NULL);
      struct ir_value *n = ir_const_splat(b.m, "n", scalar, (double)p.number);
      y = ir_emit(&b, IR_MUL, IR_ARGS(y, n), NULL, 0);
    }
    return inverse ? ir_emit(&b, IR_RECIP, IR_ARGS(y), NULL, 0) : y;
  }
  return NULL;
}

/* `v`, which has no dimensions, in all elements of a type. */
static struct ir_value *spread(struct join *j, struct ir_value *v,
                               const struct ir_type *type) {
  struct ir_builder b = at_start(j);
  if (!v || !type->rank)
    return v;
  v = ir_emit(&b, IR_EXPAND, IR_ARGS(v),
              IR_ATTRS(ir_ints("shape", type->dim, type->rank)));
  if (v)
    v->type = type;
  return v;
}

/* Dimensions, say: each is a size or a number. */
static struct ir_value *vector_of_sizes(struct join *j,
                                        struct ir_value *const *c,
                                        const struct ir_type *type) {
  struct ir_value *part[IR_MAX_RANK];
  struct ir_builder b = at_start(j);
  int64_t one = 1;
  if (type->size[0] || type->dim[0] > IR_MAX_RANK)
    return NULL;
  for (int64_t i = 0; i < type->dim[0]; i++) {
    for (int k = 0; k < j->n; k++)
      j->number[k] = ir_const_int(c[k], i);
    const struct ir_size *s = fit(j);
    if (!s || !ir_size_rises(s))
      return NULL;
    part[i] = s->n ? emit_size(j, s, type->dtype)
                   : ir_const_ints(b.m, "dim", type->dtype, 1, &one, &s->c);
    if (s->n)
      part[i] = ir_emit(&b, IR_RESHAPE, IR_ARGS(part[i]),
                        IR_ATTRS(ir_ints("shape", &one, 1)));
  }
  return ir_emit(&b, IR_CONCAT, part, (size_t)type->dim[0],
                 IR_ATTRS(ir_int("axis", 0)));
}

/* Places that end at the last one of a size, as those of neighbours in a Resize do:
 * the corner, of which each element is at most that. */
static struct ir_value *clamped(struct join *j, struct ir_value *const *c,
                                const struct ir_type *type) {
  int64_t n = c[0]->type->dim[0], apart = 0;
  for (int k = 0; k < j->n; k++) {
    int64_t few = c[k]->type->dim[0], most = INT64_MIN;
    for (int64_t i = 0; i < few; i++)
      most = dn_max(most, ir_const_int(c[k], i));
    j->number[k] = most;
    for (int64_t i = 0; i < few; i++)
      if (i >= n ||
          ir_const_int(c[k], i) != dn_min(ir_const_int(c[0], i), most))
        return NULL;
  }
  const struct ir_size *last = fit(j);
  if (!last || !ir_size_rises(last))
    last = fit_near(j, &apart);
  if (!last || !last->n || apart)
    return NULL;
  struct ir_builder b = at_start(j);
  struct ir_value *all =
      ir_const_new(j->s->lane[0].m, c[0]->name, type, c[0]->data);
  return ir_emit(&b, IR_MIN, IR_ARGS(all, emit_size(j, last, type->dtype)),
                 NULL, 0);
}

/* What stands for constants c[] of the lanes; NULL: nothing can. */
static struct ir_value *join_const(struct join *j, struct ir_value *const *c) {
  const struct ir_type *types[SIZES_MAX_LANES];
  bool same = true;
  for (int k = 0; k < j->n; k++) {
    types[k] = c[k]->type;
    same &= ir_const_same(c[0], c[k]);
  }
  if (same)
    return c[0];
  const struct ir_type *type = sizes_fit_type(j, types);
  if (!type)
    return NULL;
  bool corner = true;
  for (int k = 0; k < j->n && corner; k++) {
    j->number[k] = 0;
    corner = differ_by(j, c[0], c[k], &j->number[k]);
  }
  if (!corner && type->rank == 1 && ir_is_int(type->dtype)) {
    struct ir_value *v =
        type->dtype == IR_I64 ? vector_of_sizes(j, c, type) : NULL;
    return v || !type->size[0] ? v : clamped(j, c, type);
  }
  if (!corner)
    return spread(j, ir_is_float(type->dtype) ? float_of_sizes(j, c) : NULL,
                  type);
  int64_t apart = 0;
  const struct ir_size *add = fit(j);
  if (!add || !ir_size_rises(add))
    add = fit_near(j, &apart);
  if (!add)
    return NULL;
  struct ir_value *all = c[0];
  if (all->uses->next) /* elsewhere it may be another in other lanes */
    all = ir_const_new(j->s->lane[0].m, all->name, type, all->data);
  all->type = type;
  struct ir_value *more = add->n ? emit_size(j, add, type->dtype) : NULL;
  struct ir_builder b = at_start(j);
  if (apart)
    more = ir_emit(
        &b, IR_ADD,
        IR_ARGS(more, ir_const_ints(b.m, "c", type->dtype, 0, NULL, &apart)),
        NULL, 0);
  return add->n ? ir_emit(&b, IR_ADD, IR_ARGS(all, more), NULL, 0) : all;
}

/* Constants that are one at the bounds may be several elsewhere. */
struct ir_value *sizes_join_const(struct join *j, struct ir_value *const *c) {
  struct joined *r = dn_map_get(&j->joined, c[0]);
  bool same = r && r->n == j->n;
  for (int k = 0; k < j->n && same; k++)
    same = c[k] == r->c[k] || ir_const_same(c[k], r->c[k]);
  if (same)
    return r->known;
  r = DN_NEW(j->scratch, struct joined);
  r->n = j->n;
  r->c = dn_copy(j->scratch, c, (size_t)j->n * sizeof *c);
  r->known = join_const(j, c);
  dn_map_put(j->scratch, &j->joined, c[0], r);
  return r->known;
}
