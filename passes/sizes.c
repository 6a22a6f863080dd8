/* sizes.c - one module from several of one model, imported and simplified at
 * several sizes (lanes). All have the same ops; what differs between them is a
 * size, a sum of products of parameters through the lanes' numbers:
 *
 *   dimensions       become sizes of types
 *   constants        are the corner of the one at the bounds, and may have a
 *                    size added to all elements, or be one over a size
 *   anything else    that differs is an error at the node
 *
 * So whatever an exporter computes from shapes is computed by the importer,
 * with numbers. A size as a value is the number of elements of a vector:
 *
 *   %1 = expand @1 {shape=[512]} : i64[N<=512]
 *   %2 = reduce_sum %1 {axes=[0]} : i64[1] */
#include "passes/sizes.h"

#include "ir/place.h"
#include "ir/size_infer.h"

#include <assert.h>
#include <math.h>
#include <string.h>

struct joined { /* constants of lanes */
  struct ir_value **c, *known;
  int n;
};
struct join {
  struct dn_ctx *ctx;
  struct sizes *s;
  struct dn_arena *scratch;
  struct ir_op *first; /* at the bounds: ops that are new come before it */
  DN_LIST(const struct ir_size *) sizes; /* of types */
  struct dn_map joined; /* constants at the bounds, to struct joined */
  struct ir_value **value[SIZES_MAX_LANES]; /* at the bounds, by a lane's id */
  int64_t number[SIZES_MAX_LANES];          /* one a lane, to fit */
  int n; /* lanes that have had the same ops so far: the others lie behind */
};

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

static struct ir_point point_of(const struct join *j, int k) {
  struct ir_point p = j->s->at;
  for (int i = 0; i < p.n; i++)
    p.value[i] += j->s->lane[k].by[i];
  return p;
}

/* The size that j->number[] are; NULL: none. */
static const struct ir_size *fit(struct join *j) {
  const struct ir_size *s =
      ir_size_sum(j->ctx, &j->s->at, j->s->step, lane_number, j);
  for (int k = 0; s && k < j->n; k++) {
    struct ir_point p = point_of(j, k);
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
    struct ir_point at = point_of(j, k);
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

static bool fail(struct join *j, struct dn_loc loc, const char *what) {
  dn_error(j->ctx, loc, DN_DIM, "%s", what);
  dn_note(j->ctx, "give that size as a number: --dim NAME=VALUE");
  return false;
}

/* The size of a type that j->number[] are but for a number. */
static const struct ir_size *fit_near(const struct join *j, int64_t *apart) {
  for (size_t i = j->sizes.n; i-- > 0;) {
    bool same = true;
    for (int k = 0; k < j->n && same; k++) {
      struct ir_point p = point_of(j, k);
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

/* Dimensions of 1 simplify what others do not. */
static void note_thin(struct sizes_lane *l, const struct ir_type *bounds,
                      const struct ir_type *type) {
  for (int d = 0; d < type->rank && d < bounds->rank; d++)
    l->thin |= type->dim[d] <= 1 && bounds->dim[d] > 1;
}

/* Whether `type` is each lane's type at its point. */
static bool type_fits(const struct join *j, const struct ir_type *type,
                      const struct ir_type *const *lane) {
  for (int k = 0; k < j->n; k++) {
    struct ir_point p = point_of(j, k);
    const struct ir_type *t = type ? ir_type_at(j->ctx, type, &p) : NULL;
    if (!t || t->rank != lane[k]->rank || t->dtype != lane[k]->dtype ||
        memcmp(t->dim, lane[k]->dim, sizeof t->dim))
      return false;
  }
  return true;
}

/* The type of the lanes' types, each dimension by its own numbers; NULL. */
static const struct ir_type *fit_type(struct join *j,
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
  return type_fits(j, t, lane) ? t : NULL;
}

/* ---- Constants ---- */

/* Whether elements at the same indices differ by *add, the same for all: bytes
 * that are no integer by nothing. */
static bool differ_by(const struct join *j, const struct ir_value *a,
                      const struct ir_value *b, int64_t *add) {
  enum ir_dtype t = a->type->dtype;
  int64_t step[2][IR_MAX_RANK], at[IR_MAX_RANK] = {0}, n = 1;
  size_t bytes = ir_dtypes[t].bytes;
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

static void note_sizes(struct join *j, const struct ir_type *type) {
  for (int d = 0; d < type->rank; d++) {
    bool known = !type->size[d];
    for (size_t i = 0; i < j->sizes.n && !known; i++)
      known = j->sizes.v[i] == type->size[d];
    if (!known)
      DN_PUSH(j->scratch, j->sizes, type->size[d]);
  }
}

static struct ir_builder at_start(struct join *j) {
  struct ir_module *m = j->s->lane[0].m;
  struct ir_block *b = ir_main(m)->body;
  return (struct ir_builder){.m = m, .block = b, .before = j->first};
}

struct ir_value *sizes_value(struct ir_builder *b, const struct ir_size *size,
                             int64_t bound) {
  int64_t one = 1, zero = 0;
  struct ir_value *y = ir_emit(
      b, IR_EXPAND, IR_ARGS(ir_const_ints(b->m, "one", IR_I64, 0, NULL, &one)),
      IR_ATTRS(ir_ints("shape", &bound, 1)));
  if (y)
    y->type = ir_type_sized(b->m->ctx, y->type, &size);
  return ir_emit(b, IR_REDUCE_SUM, IR_ARGS(y),
                 IR_ATTRS(ir_ints("axes", &zero, 1)));
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
  const struct ir_type *type = fit_type(j, types);
  if (!type)
    return NULL;
  bool corner = true;
  for (int k = 0; k < j->n && corner; k++) {
    j->number[k] = 0;
    corner = differ_by(j, c[0], c[k], &j->number[k]);
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
static struct ir_value *join_once(struct join *j, struct ir_value *const *c) {
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

/* ---- Ops ---- */

static bool same_attr(const struct ir_attr *a, const struct ir_attr *b,
                      bool sizes) {
  size_t n, m;
  if (a->name != b->name || a->kind != b->kind)
    return false;
  const void *x = ir_attr_bytes(a, &n), *y = ir_attr_bytes(b, &m);
  return n == m && (sizes || !memcmp(x, y, n));
}

/* Attributes that hold the result's dimensions may differ as those do. */
static bool same_op(const struct ir_op *a, const struct ir_op *b) {
  if (a->code != b->code || a->noperands != b->noperands ||
      a->nresults != b->nresults || a->nattrs != b->nattrs ||
      a->nregions != b->nregions)
    return false;
  for (unsigned i = 0; i < a->nattrs; i++) {
    const char *name = a->attr[i].name;
    bool sizes = !strcmp(name, "shape") || !strcmp(name, "sizes");
    if (!same_attr(&a->attr[i], &b->attr[i], sizes))
      return false;
  }
  return true;
}

static bool join_operands(struct join *j, struct ir_op *const *op) {
  for (unsigned i = 0; i < op[0]->noperands; i++) {
    struct ir_value *c[SIZES_MAX_LANES], *v = ir_arg(op[0], i);
    if (!v->data)
      continue;
    for (int k = 0; k < j->n; k++)
      c[k] = ir_arg(op[k], i);
    struct ir_value *known = join_once(j, c);
    if (!known)
      return fail(j, ir_loc(op[0]),
                  "a constant depends on a size that is known at run time "
                  "only, in a way that is no sum of sizes");
    if (known != v)
      ir_set_operand(op[0], i, known);
  }
  return true;
}

/* The rule's own answer where it is right, or what the lanes say. */
static bool join_result(struct join *j, struct ir_op *const *op) {
  struct ir_value *y = ir_result(op[0]);
  const struct ir_type *types[SIZES_MAX_LANES];
  for (int k = 0; k < j->n; k++) {
    types[k] = ir_result(op[k])->type;
    j->value[k][ir_result(op[k])->id] = y;
    note_thin(&j->s->lane[k], types[0], types[k]);
  }
  size_t from = dn_diags_count(j->ctx);
  bool was = dn_diags_capture(j->ctx, true);
  const struct ir_type *type = ir_infer(j->ctx, op[0]);
  if (type_fits(j, type, types)) {
    dn_diags_rewind(j->ctx, from);
  } else if (type) {
    dn_diags_rewind(j->ctx, from);
    type = fit_type(j, types);
  }
  dn_diags_capture(j->ctx, was);
  dn_diags_print(j->ctx, from);
  if (!type)
    return dn_diags_count(j->ctx) == from &&
           fail(j, ir_loc(op[0]),
                "a size of its result is no sum of products of those that are "
                "known at run time only");
  y->type = type;
  note_sizes(j, type);
  return true;
}

/* What lane k has instead of the op at the bounds; NULL: the same. */
static const char *differs(const struct join *j, struct ir_op *const *op,
                           int k) {
  if (!op[k] || !same_op(op[0], op[k]))
    return dn_printf(
        j->scratch, "'%s' is '%s' at other sizes, or has other attributes",
        ir_ops[op[0]->code].text, op[k] ? ir_ops[op[k]->code].text : "nothing");
  for (unsigned i = 0; i < op[0]->noperands; i++) {
    const struct ir_value *v = ir_arg(op[0], i), *c = ir_arg(op[k], i);
    if (v->data ? !c->data : c->data || j->value[k][c->id] != v)
      return dn_printf(j->scratch, "operand %u is another value at other sizes",
                       i);
  }
  return NULL;
}

/* What dimensions of 1 cannot do without: no moves, folds and constants. */
static const struct ir_op *next_main(const struct ir_op *op) {
  for (; op; op = op->next) {
    enum ir_class class = ir_ops[op->code].cls;
    bool minor =
        class == IR_MOVE || class == IR_REDUCE || op->code == IR_EXPAND;
    for (unsigned i = 0; i < op->noperands && class == IR_MAP; i++)
      minor |= ir_arg(op, i)->data != NULL;
    if (!minor)
      break;
  }
  return op;
}

/* Lane k has come to dimensions of 1: from here on it has the same ops but for
 * those, and they are not compared. Within a region it goes on. */
static bool drop_lane(struct join *j, struct ir_op **op, int k) {
  struct sizes_lane lane = j->s->lane[k];
  if (k < j->s->nfit || !lane.thin || op[0]->block->owner)
    return false;
  const struct ir_op *a = next_main(op[0]), *b = next_main(op[k]);
  while (a && b && a->code == b->code) {
    a = next_main(a->next);
    b = next_main(b->next);
  }
  if (a || b)
    return false;
  int last = --j->n;
  j->s->lane[k] = j->s->lane[last];
  j->s->lane[last] = lane;
  op[k] = op[last];
  j->value[k] = j->value[last];
  return true;
}

static bool join_op(struct join *j, struct ir_op **op);

/* A slice of what a scan goes through, or what slices make. */
static const struct ir_type *sliced(struct join *j, const struct ir_type *t) {
  const struct ir_type *one =
      ir_type(j->ctx, t->dtype, t->rank - 1, t->dim + 1);
  return ir_type_sized(j->ctx, one, t->size + 1);
}

static const struct ir_type *stacked(struct join *j, const struct ir_type *t,
                                     const struct ir_type *through) {
  const struct ir_size *size[IR_MAX_RANK];
  int64_t dim[IR_MAX_RANK];
  dim[0] = through->dim[0];
  size[0] = through->size[0];
  memcpy(dim + 1, t->dim, (size_t)t->rank * sizeof *dim);
  memcpy(size + 1, t->size, (size_t)t->rank * sizeof *size);
  return ir_type_sized(j->ctx, ir_type(j->ctx, t->dtype, t->rank + 1, dim),
                       size);
}

/* `type` for the values v[] of the lanes. */
static bool join_value(struct join *j, struct ir_value *const *v,
                       const struct ir_type *type) {
  const struct ir_type *types[SIZES_MAX_LANES];
  for (int k = 0; k < j->n; k++) {
    types[k] = v[k]->type;
    j->value[k][v[k]->id] = v[0];
  }
  if (!type_fits(j, type, types))
    return false;
  v[0]->type = type;
  return true;
}

static bool join_block(struct join *j, struct ir_op *const *op) {
  struct ir_op *in[SIZES_MAX_LANES] = {NULL};
  for (int k = 0; k < j->n; k++)
    in[k] = op[k]->region[0]->first;
  bool ok = true;
  while (ok && in[0]) {
    ok = join_op(j, in);
    for (int k = 0; k < j->n; k++)
      in[k] = in[k] ? in[k]->next : NULL;
  }
  return ok;
}

static bool join_scan(struct join *j, struct ir_op *const *op) {
  struct ir_value *v[SIZES_MAX_LANES];
  unsigned states = ir_num_carried(op[0]);
  bool ok = true;
  for (unsigned i = 0; i < op[0]->noperands && ok; i++) {
    const struct ir_type *t = ir_arg(op[0], i)->type;
    for (int k = 0; k < j->n; k++)
      v[k] = op[k]->region[0]->param[i];
    ok = join_value(j, v, i < states ? t : sliced(j, t));
  }
  if (ok && !join_block(j, op))
    return false;
  for (unsigned i = 0; i < op[0]->nresults && ok; i++) {
    const struct ir_type *t = ir_arg(op[0]->region[0]->last, i)->type;
    for (int k = 0; k < j->n; k++)
      v[k] = op[k]->result[i];
    ok = join_value(
        j, v, i < states ? t : stacked(j, t, ir_arg(op[0], states)->type));
  }
  return ok || fail(j, ir_loc(op[0]),
                    "a size in its turns is known at run time only");
}

static bool join_op(struct join *j, struct ir_op **op) {
  for (int k = j->n; --k > 0;) {
    const char *what = differs(j, op, k);
    if (what && !drop_lane(j, op, k))
      return fail(j, ir_loc(op[0]), what);
  }
  if (!join_operands(j, op))
    return false;
  if (op[0]->code == IR_SCAN)
    return join_scan(j, op);
  if (op[0]->nregions)
    return fail(j, ir_loc(op[0]),
                "branches, loops and sizes that are known at run time only");
  if (!op[0]->nresults)
    return true;
  size_t from = dn_diags_count(j->ctx);
  if (join_result(j, op))
    return true;
  bool fewer = false;
  for (int k = j->n; --k > 0;)
    fewer |= drop_lane(j, op, k);
  if (fewer)
    dn_diags_rewind(j->ctx, from);
  return fewer && join_result(j, op);
}

/* Results have the joined types at each point, whatever ops made them. */
static bool join_returns(struct join *j) {
  const struct ir_op *y = ir_main(j->s->lane[0].m)->body->last;
  for (int k = j->n; k < j->s->n; k++) {
    struct ir_point p = point_of(j, k);
    const struct ir_op *z = ir_main(j->s->lane[k].m)->body->last;
    for (unsigned i = 0; i < y->noperands; i++) {
      const struct ir_type *a = ir_arg(y, i)->type, *b = ir_arg(z, i)->type;
      if (ir_type_at(j->ctx, a, &p) != b)
        return fail(j, (struct dn_loc){.where = ir_arg(y, i)->name},
                    "a result's size is no sum of products of those that are "
                    "known at run time only");
    }
  }
  return true;
}

static bool join_params(struct join *j) {
  const struct ir_block *body = ir_main(j->s->lane[0].m)->body;
  for (unsigned i = 0; i < body->nparams; i++) {
    const struct ir_type *types[SIZES_MAX_LANES];
    for (int k = 0; k < j->n; k++) {
      struct ir_value *p = ir_main(j->s->lane[k].m)->body->param[i];
      types[k] = p->type;
      j->value[k][p->id] = body->param[i];
      note_thin(&j->s->lane[k], types[0], p->type);
    }
    const struct ir_type *type = fit_type(j, types);
    if (!type)
      return fail(j, (struct dn_loc){.where = body->param[i]->name},
                  "an input's size is no sum of those that are given");
    body->param[i]->type = type;
    note_sizes(j, type);
  }
  return true;
}

bool sizes_join(struct dn_ctx *ctx, struct sizes *s) {
  struct join j = {.ctx = ctx, .s = s, .scratch = dn_arena_new(ctx), .n = s->n};
  struct ir_op *op[SIZES_MAX_LANES] = {NULL};
  sizes_match(s);
  for (int k = 0; k < s->n; k++) {
    j.value[k] =
        DN_ARRAY(j.scratch, struct ir_value *, s->lane[k].m->nvalues + 1);
    op[k] = ir_main(s->lane[k].m)->body->first;
  }
  j.first = op[0];
  bool ok = join_params(&j);
  while (ok && op[0]) {
    ok = join_op(&j, op);
    for (int k = 0; k < s->n; k++)
      op[k] = op[k] ? op[k]->next : NULL;
  }
  ok = ok && join_returns(&j);
  dn_arena_free(j.scratch);
  ir_sweep_consts(s->lane[0].m);
  return ok && ir_verify(s->lane[0].m);
}
