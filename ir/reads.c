/* reads.c - evaluates one element of a kernel's result symbolically: indices
 * are affine forms over the result's dimensions and the reduced iterators. Each
 * value is visited once for each index at which it is read. */
#include "ir/reads.h"

#include "ir/nest.h"

#include <assert.h>
#include <string.h>

enum { BUCKETS = 256, MAX_DEPTH = 500, MAX_VISITS = 24000 };

struct visit { /* of a value, or of an index that a tensor holds */
  struct visit *next;
  const void *what;
  const struct affine *idx[IR_MAX_RANK];
  unsigned var;
};

struct walk {
  struct reads *r;
  struct affines *f;
  struct dn_arena *arena;
  const struct ir_block *body;
  struct dn_map nests; /* by op */
  struct visit *visits[BUCKETS];
  int depth;
  reads_strides *strides;
  const void *places;
};

static void read_value(struct walk *w, const struct ir_value *v,
                       const struct affine *const *idx);
static void read_access(struct walk *w, const struct nest *n, int a,
                        const struct affine *const *iter);

static bool is_leaf(const struct walk *w, const struct ir_value *v) {
  return !v->def || v->def->block != w->body;
}

/* Notes, if `r` is not NULL, that what the index depends on is looked at. */
static void pin(struct affines *f, struct reads *r, const struct affine *a) {
  if (r)
    r->pinned |= affine_dims(f, a);
}

/* The visit of `what` at those indices; *seen: there was one. */
static struct visit *visit(struct walk *w, const void *what, int rank,
                           const struct affine *const *idx, bool *seen) {
  uint64_t h = (uint64_t)(uintptr_t)what;
  size_t bytes = (size_t)rank * sizeof(*idx);
  for (int d = 0; d < rank; d++)
    h = h * 31 + idx[d]->hash;
  struct visit **bucket = &w->visits[(h ^ h >> 17) % BUCKETS];
  for (struct visit *v = *bucket; v; v = v->next)
    if (v->what == what && !memcmp(v->idx, idx, bytes)) {
      *seen = true;
      return v;
    }
  struct visit *v = DN_NEW(w->arena, struct visit);
  v->what = what;
  memcpy(v->idx, idx, bytes);
  v->next = *bucket;
  *bucket = v;
  w->r->visits++;
  w->r->visits_of_piece++;
  *seen = false;
  return v;
}

/* ---- Indices ---- */

/* Quotients depend on the terms that the divisor does not divide, and change
 * where a plain dimension has gone one period further. */
static const struct affine *divide(struct affines *f, struct reads *r,
                                   const struct affine *a, int64_t div) {
  const struct affine *rest;
  assert(div > 0 && "divisors are steps and extents: nest.h");
  for (int i = 0; r && div > 1 && i < a->n; i++) {
    struct affine_term t = a->term[i];
    if (t.coef <= 0 || div % t.coef || t.var >= (unsigned)r->type->rank)
      continue;
    struct read_period p = {(int)t.var, div / t.coef};
    DN_PUSH(f->arena, r->periods, p);
  }
  if (r && div > 1) {
    affine_split(f, a, div, &rest);
    pin(f, r, rest);
  }
  return affine_div(f, a, div);
}

static const struct affine *wrap(struct affines *f, struct reads *r,
                                 const struct affine *a, int64_t dim) {
  return affine_add(f, a, divide(f, r, a, dim), -dim);
}

void reads_iters(struct affines *f, struct reads *r, const struct nest *n,
                 const struct affine *const *idx, const struct affine **iter) {
  for (int d = 0; d < n->type->rank; d++) {
    const struct nest_dim *y = &n->y[d];
    for (int i = 0; i < y->n; i++) {
      int64_t extent = n->iter[y->iter[i]].extent;
      const struct affine *q = divide(f, r, idx[d], y->stride[i]);
      if (y->n > 1 && y->stride[i] * extent < n->type->dim[d])
        q = wrap(f, r, q, extent);
      iter[y->iter[i]] = q;
    }
  }
}

const struct affine *reads_index_form(struct affines *f, const struct nest *n,
                                      const struct nest_index *x,
                                      const struct affine *const *iter) {
  const struct affine *a = affine_const(f, x->base);
  for (int i = 0; i < n->niters; i++)
    if (x->coef[i])
      a = affine_add(f, a, iter[i], x->coef[i]);
  return a;
}

const struct affine *reads_index(struct affines *f, struct reads *r,
                                 const struct nest *n,
                                 const struct nest_access *a, int d,
                                 const struct affine *const *iter,
                                 const struct affine **sum) {
  const struct nest_index *x = &a->idx[d];
  int64_t dim = ir_arg(n->op, (unsigned)a->operand)->type->dim[d];
  assert(x->indirect < 0 && "an element of a tensor is no affine form");
  *sum = reads_index_form(f, n, x, iter);
  const struct affine *q = divide(f, r, *sum, x->div);
  if (x->fit != NEST_AS_IS)
    pin(f, r, q);
  switch (x->fit) {
  case NEST_CLAMP:
    return affine_clamp(f, q, dim);
  case NEST_REFLECT:
    return affine_reflect(f, q, dim);
  case NEST_WRAP:
    return wrap(f, r, q, dim);
  case NEST_AS_IS:
    break;
  }
  return q;
}

const struct affine *reads_position(struct affines *f, const struct nest *n,
                                    const struct affine *const *iter) {
  int64_t stride[IR_MAX_RANK];
  const struct affine *at = affine_const(f, 0);
  ir_type_strides(n->type, stride);
  for (int d = 0; d < n->type->rank; d++)
    at = affine_add(f, at, iter[n->y[d].iter[0]], stride[d]);
  return at;
}

void reads_unflatten(struct affines *f, struct reads *r,
                     const struct ir_type *type, const struct affine *at,
                     const struct affine **idx) {
  for (int d = type->rank; d-- > 0;) {
    const struct affine *q =
        d ? divide(f, r, at, type->dim[d]) : affine_const(f, 0);
    idx[d] = affine_add(f, at, q, -type->dim[d]);
    at = q;
  }
}

/* Adds the index of a result dimension at which the form passes `at`, with all
 * other variables at their least value, or at their greatest if `last`. */
static void add_edge(struct walk *w, const struct affine *a, int64_t at,
                     bool last, enum read_edge_kind kind) {
  uint64_t dims = affine_dims(w->f, a);
  int64_t lo, hi;
  for (int i = 0; i < a->n; i++) {
    unsigned var = a->term[i].var;
    if (var >= (unsigned)w->r->type->rank || a->term[i].coef != 1 ||
        dims != UINT64_C(1) << var)
      continue;
    const struct affine *rest =
        affine_add(w->f, a, affine_var(w->f, var, 1), -1);
    affine_range(w->f, rest, &lo, &hi);
    struct read_edge e = {(int)var, at - (last ? hi : lo), kind};
    DN_PUSH(w->arena, w->r->edges, e);
  }
}

/* An index that access `a` reads: a new variable for each place. */
static const struct affine *indirect(struct walk *w, const struct nest *n,
                                     int a, int64_t dim,
                                     const struct affine *const *iter) {
  const struct nest_access *from = &n->access[a];
  const struct affine *idx[IR_MAX_RANK];
  uint64_t dims = 0;
  bool seen;
  for (int d = 0; d < from->rank; d++) {
    idx[d] = reads_index_form(w->f, n, &from->idx[d], iter);
    dims |= affine_dims(w->f, idx[d]);
  }
  struct visit *v = visit(w, from, from->rank, idx, &seen);
  if (!seen) {
    read_access(w, n, a, iter);
    v->var = affine_new_var(w->f, 0, dn_max(dim - 1, 0), 0, false, dims);
  }
  return affine_var(w->f, v->var, 1);
}

static const struct affine *index_of(struct walk *w, const struct nest *n,
                                     const struct nest_access *a, int d,
                                     const struct affine *const *iter) {
  const struct nest_index *x = &a->idx[d];
  int64_t dim = ir_arg(n->op, (unsigned)a->operand)->type->dim[d];
  if (x->indirect >= 0)
    return indirect(w, n, x->indirect, dim, iter);
  const struct affine *sum;
  const struct affine *q = reads_index(w->f, w->r, n, a, d, iter, &sum);
  enum read_edge_kind kind = n->fold == NEST_NONE ? READ_EDGE : READ_WINDOW;
  if (!x->checked)
    return q;
  if (x->div == 1) {
    add_edge(w, sum, 0, false, kind);
    add_edge(w, sum, dim, true, kind);
  }
  pin(w->f, w->r, sum);
  return affine_clamp(w->f, q, dim);
}

/* ---- Values ---- */

static void add_address(struct walk *w, int rank,
                        const struct affine *const *idx,
                        const int64_t *stride) {
  const struct affine *at = affine_const(w->f, 0);
  for (int d = 0; d < rank; d++)
    at = affine_add(w->f, at, idx[d], stride[d]);
  DN_PUSH(w->arena, w->r->at, at);
}

static void read_leaf(struct walk *w, const struct ir_value *v,
                      const struct affine *const *idx) {
  int64_t stride[IR_MAX_RANK];
  struct read_leaf leaf = {.value = v};
  leaf.idx = dn_copy(w->arena, idx, (size_t)v->type->rank * sizeof *idx);
  DN_PUSH(w->arena, w->r->leaves, leaf);
  if (w->strides(w->places, v, stride))
    add_address(w, v->type->rank, idx, stride);
  else
    w->r->pinned = UINT64_MAX;
}

static bool is_dense(const struct walk *w, const struct ir_value *v) {
  int64_t stride[IR_MAX_RANK];
  return is_leaf(w, v) && w->strides(w->places, v, stride) &&
         ir_type_is_dense(v->type, stride);
}

/* Reshape: by the row-major position. */
static void read_flat(struct walk *w, const struct nest *n,
                      const struct ir_value *v,
                      const struct affine *const *iter) {
  const struct affine *at = reads_position(w->f, n, iter), *idx[IR_MAX_RANK];
  if (is_dense(w, v)) {
    struct read_leaf leaf = {.value = v, .flat = at};
    DN_PUSH(w->arena, w->r->leaves, leaf);
    DN_PUSH(w->arena, w->r->at, at);
    return;
  }
  reads_unflatten(w->f, w->r, v->type, at, idx);
  read_value(w, v, idx);
}

static void read_pieces(struct walk *w, const struct nest *n,
                        const struct nest_access *a,
                        const struct affine *const *iter) {
  const struct affine *idx[IR_MAX_RANK];
  for (int d = 0; d < a->rank; d++)
    idx[d] = reads_index_form(w->f, n, &a->idx[d], iter);
  const struct affine *at = idx[a->axis];
  int64_t before = w->r->visits_of_piece, pieces = a->npieces;
  size_t edges = w->r->edges.n;
  pin(w->f, w->r, at);
  for (int i = 0; i < a->npieces; i++) {
    int64_t from = a->start[i], size = a->start[i + 1] - from;
    if (!size)
      continue;
    add_edge(w, at, from, false, READ_PIECE);
    idx[a->axis] = affine_clamp(w->f, affine_plus(w->f, at, -from), size);
    read_value(w, ir_arg(n->op, (unsigned)(a->operand + i)), idx);
  }
  if (w->r->edges.n > edges) /* they can be cut apart */
    w->r->visits_of_piece =
        before + dn_div_ceil(w->r->visits_of_piece - before, pieces);
}

static void read_access(struct walk *w, const struct nest *n, int a,
                        const struct affine *const *iter) {
  const struct nest_access *from = &n->access[a];
  const struct affine *idx[IR_MAX_RANK];
  if (from->npieces > 1) {
    read_pieces(w, n, from, iter);
    return;
  }
  const struct ir_value *v = ir_arg(n->op, (unsigned)from->operand);
  if (from->flat) {
    read_flat(w, n, v, iter);
    return;
  }
  for (int d = 0; d < from->rank; d++)
    idx[d] = index_of(w, n, from, d, iter);
  read_value(w, v, idx);
}

/* The parallel iterators by the result's index, the reduced ones any. */
static bool set_iters(struct walk *w, const struct nest *n,
                      const struct affine *const *idx,
                      const struct affine **iter) {
  for (int i = 0; i < n->niters; i++) {
    const struct nest_iter *it = &n->iter[i];
    iter[i] = affine_const(w->f, 0);
    if (it->reduced && !it->extent)
      return false;
    if (it->reduced && it->extent > 1)
      iter[i] = affine_var(
          w->f, affine_new_var(w->f, 0, it->extent - 1, 0, false, 0), 1);
  }
  reads_iters(w->f, w->r, n, idx, iter);
  return true;
}

static void read_op(struct walk *w, const struct ir_op *op,
                    const struct affine *const *idx) {
  const struct affine *iter[NEST_MAX_ITERS];
  struct dn_entry *kept = dn_map_at(w->arena, &w->nests, op);
  if (!kept->value)
    kept->value = nest_build(w->arena, op);
  const struct nest *n = kept->value;
  if (n->carried >= 0) {
    w->r->carried = n->carried;
    w->r->back = n->back;
    w->r->ordered = n->fold == NEST_NTH;
  }
  if (!set_iters(w, n, idx, iter))
    return;
  for (int i = 0; i < n->nnodes; i++) {
    if (n->node[i].kind == NEST_ACCESS)
      read_access(w, n, n->node[i].arg[0], iter);
    else if (n->node[i].kind == NEST_ITER)
      pin(w->f, w->r, iter[n->node[i].arg[0]]);
  }
}

static void read_value(struct walk *w, const struct ir_value *v,
                       const struct affine *const *idx) {
  const struct affine *own[IR_MAX_RANK];
  bool seen;
  for (int d = 0; d < v->type->rank; d++)
    own[d] = v->type->dim[d] == 1 ? affine_const(w->f, 0) : idx[d];
  visit(w, v, v->type->rank, own, &seen);
  if (seen || !ir_type_count(v->type))
    return;
  if (w->r->visits > MAX_VISITS || ++w->depth > MAX_DEPTH) {
    w->r->pinned = UINT64_MAX;
    return;
  }
  if (is_leaf(w, v))
    read_leaf(w, v, own);
  else
    read_op(w, v->def, own);
  w->depth--;
}

struct reads *reads_build(struct dn_arena *arena, const struct ir_op *kernel,
                          const struct ir_value *root, const int64_t *stride,
                          reads_strides *strides, const void *places) {
  struct reads *r = DN_NEW(arena, struct reads);
  struct walk w = {.r = r,
                   .f = &r->forms,
                   .arena = arena,
                   .body = kernel ? kernel->region[0] : NULL,
                   .strides = strides,
                   .places = places};
  const struct affine *idx[IR_MAX_RANK];
  affine_init(&r->forms, arena);
  r->type = root->type;
  r->carried = -1;
  for (int d = 0; d < r->type->rank; d++) {
    unsigned var = affine_new_var(&r->forms, 0, dn_max(r->type->dim[d] - 1, 0),
                                  0, false, UINT64_C(1) << d);
    assert(var == (unsigned)d && "variable d is dimension d");
    idx[d] = r->type->dim[d] == 1 ? affine_const(&r->forms, 0)
                                  : affine_var(&r->forms, var, 1);
  }
  add_address(&w, r->type->rank, idx, stride);
  read_value(&w, root, idx);
  if ((kernel && nest_onto(kernel)) || r->forms.overflow)
    r->pinned = UINT64_MAX;
  return r;
}

bool reads_are_one(const struct reads *r, int outer, int inner) {
  assert(outer < r->type->rank && inner < r->type->rank &&
         "dimensions of the result");
  if (r->pinned >> outer & 1 || r->pinned >> inner & 1)
    return false;
  for (size_t i = 0; i < r->at.n; i++) {
    int64_t o = affine_coef(r->at.v[i], (unsigned)outer);
    int64_t n = affine_coef(r->at.v[i], (unsigned)inner), want;
    if (!dn_mul(n, r->type->dim[inner], &want) || o != want)
      return false;
  }
  return true;
}
