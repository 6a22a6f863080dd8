/* runs.c - follows an access through moves in the kernel's body to the value
 * from outside that it reads. What is computed on the way, pieces of a concat
 * and indices that a tensor holds are no single load. */
#include "ir/runs.h"

#include "ir/place.h"

#include <assert.h>
#include <string.h>

enum { MAX_DEPTH = 500, ANY_DEPTH = 1 << 30 };

struct trace {
  struct runs *r;
  struct run_address *out;
  int depth;
};

/* Of one access: its indices before checks, and what the checks depend on. */
struct checks {
  const struct affine *raw[IR_MAX_RANK];
  bool checked[IR_MAX_RANK], any, never, varying;
  int depth;
};

void runs_iters(struct affines *f, const struct nest *n,
                const struct affine *const *idx, const struct affine **iter) {
  for (int i = 0; i < n->niters; i++)
    iter[i] = affine_const(f, 0);
  reads_iters(f, NULL, n, idx, iter);
}

/* ---- Following an access ---- */

static bool trace_value(struct trace *t, const struct ir_value *v,
                        const struct affine *const *idx);
static bool trace_access(struct trace *t, const struct nest *n, int access,
                         const struct affine *const *iter);

static bool has_vectors(const struct affines *f, const struct affine *a) {
  for (int i = 0; i < a->n; i++)
    if (f->vars.v[a->term[i].var].vector)
      return true;
  return false;
}

/* A check of a form, of index d; `never`: it fails. */
static void add_check(struct checks *c, int d, const struct affine *form,
                      bool never) {
  c->any = c->checked[d] = true;
  c->never |= never;
  c->varying |= !never && form->varying;
  if (form->depth > c->depth)
    c->depth = form->depth;
}

static bool find_index(struct trace *t, const struct nest *n,
                       const struct nest_access *a, int d,
                       const struct affine *const *iter, struct checks *c) {
  const struct nest_index *x = &a->idx[d];
  const struct ir_type *type = ir_arg(n->op, (unsigned)a->operand)->type;
  const struct affine *sum;
  int64_t lo, hi, dim = type->dim[d];
  if (x->indirect >= 0)
    return false;
  const struct affine *q = reads_index(t->r->forms, NULL, n, a, d, iter, &sum);
  c->raw[d] = q;
  if (!x->checked)
    return true;
  if (x->exact && x->div > 1) {
    const struct affine *rem = affine_add(t->r->forms, sum, q, -x->div);
    affine_range(t->r->forms, rem, &lo, &hi);
    if (lo || hi)
      add_check(c, d, rem, affine_is_const(rem));
  }
  affine_range(t->r->forms, q, &lo, &hi);
  if (lo < 0 || hi >= dim || type->size[d])
    add_check(c, d, q, hi < 0 || lo >= dim);
  if (!c->checked[d])
    return true;
  if (t->out->nchecked == IR_MAX_RANK)
    return false;
  t->out->checked[t->out->nchecked++] = q;
  return true;
}

static bool is_splat(const struct ir_value *v) {
  const struct ir_data *data = ir_view_source(v)->data;
  return data && !data->bytes;
}

void runs_split(struct affines *f, const struct ir_type *type,
                const struct affine *const *raw, const bool *checked, int depth,
                const int64_t *stride, int64_t far_bytes,
                const struct affine **near, const struct affine **far) {
  *near = *far = affine_const(f, 0);
  for (int d = 0; d < type->rank; d++) {
    const struct affine *stay = raw[d];
    if (!checked[d] && (stay->depth > depth || stay->varying))
      stay = affine_part(f, stay, 0, depth);
    int64_t bytes = (int64_t)ir_dtypes[type->dtype].bytes * stride[d];
    if (!checked[d] && stay->c > 0 && dn_mul(stay->c, bytes, &bytes) &&
        bytes < far_bytes)
      stay = affine_plus(f, stay, -stay->c);
    *near = affine_add(f, *near, stay, stride[d]);
    *far = affine_add(f, *far, affine_add(f, raw[d], stay, -1), stride[d]);
  }
}

static bool trace_checked(struct trace *t, const struct ir_value *v,
                          const struct checks *c) {
  struct affines *f = t->r->forms;
  const struct affine *near, *far;
  int64_t stride[IR_MAX_RANK], size = ir_dtypes[v->type->dtype].bytes, lo, hi;
  if (c->varying || is_splat(v) || (v->def && v->def->block == t->r->body) ||
      !t->r->strides(t->r->places, v, stride))
    return false;
  runs_split(f, v->type, c->raw, c->checked, c->depth, stride, t->r->far, &near,
             &far);
  affine_range(f, affine_add(f, affine_const(f, 0), far, size), &lo, &hi);
  if (lo < 0 || hi + size > t->r->far || near->varying || has_vectors(f, far))
    return false;
  t->out->room = (t->r->far - hi) / size - 1;
  t->out->leaf = v;
  t->out->at = affine_add(f, near, far, 1);
  return true;
}

/* Reshape: by the row-major position. */
static bool trace_flat(struct trace *t, const struct nest *n,
                       const struct ir_value *v,
                       const struct affine *const *iter) {
  int64_t stride[IR_MAX_RANK];
  const struct affine *idx[IR_MAX_RANK];
  const struct affine *at = reads_position(t->r->forms, n, iter);
  if ((!v->def || v->def->block != t->r->body) &&
      t->r->strides(t->r->places, v, stride) &&
      ir_type_is_dense(v->type, stride)) {
    t->out->leaf = v;
    t->out->at = at;
    return true;
  }
  reads_unflatten(t->r->forms, NULL, v->type, at, idx);
  return trace_value(t, v, idx);
}

static bool trace_access(struct trace *t, const struct nest *n, int access,
                         const struct affine *const *iter) {
  const struct nest_access *a = &n->access[access];
  const struct ir_value *v = ir_arg(n->op, (unsigned)a->operand);
  struct checks c = {0};
  if (a->npieces > 1)
    return false;
  if (a->flat)
    return trace_flat(t, n, v, iter);
  for (int d = 0; d < a->rank; d++)
    if (!find_index(t, n, a, d, iter, &c))
      return false;
  if (c.never)
    return true;
  return c.any ? trace_checked(t, v, &c) : trace_value(t, v, c.raw);
}

const struct nest *runs_nest(struct runs *r, const struct ir_op *op) {
  struct dn_entry *kept = dn_map_at(r->arena, &r->nests, op);
  if (!kept->value)
    kept->value = nest_build(r->arena, op);
  return kept->value;
}

/* The element of a constant that an access reads, where that is known. */
static bool trace_number(struct trace *t, const struct nest *n, int access,
                         const struct affine *const *iter, int64_t *number) {
  struct run_address out = {.shift = -1};
  struct trace of = {t->r, &out, t->depth};
  const struct affine *at;
  if (!trace_access(&of, n, access, iter) || !out.leaf || !out.leaf->data ||
      out.nchecked || !affine_is_const(at = out.at))
    return false;
  *number = ir_const_int(out.leaf, at->c);
  return true;
}

/* Several elements in a byte: the lowest bits, of bytes that are shifted (the pass
 * nibbles). */
static bool trace_unpacked(struct trace *t, const struct nest *n,
                           const struct affine *const *iter) {
  const struct nest_node *root = &n->node[n->nnodes - 1];
  const struct nest_node *x = &n->node[root->arg[0]];
  if (x->kind != NEST_ACCESS || x->type != IR_U8)
    return false;
  if (root->fn == IR_S_SHR && n->node[root->arg[1]].kind == NEST_ACCESS)
    return t->out->shift < 0 &&
           trace_number(t, n, n->node[root->arg[1]].arg[0], iter,
                        &t->out->shift) &&
           t->out->shift >= 0 && t->out->shift < 8 &&
           trace_access(t, n, x->arg[0], iter);
  return root->fn == IR_S_CAST && ir_dtypes[root->type].bits < 8 &&
         trace_access(t, n, x->arg[0], iter);
}

/* An op of the body that moves elements. */
static bool trace_move(struct trace *t, const struct ir_op *op,
                       const struct affine *const *idx) {
  const struct nest *n = runs_nest(t->r, op);
  const struct affine *iter[NEST_MAX_ITERS];
  const struct nest_node *root = &n->node[n->nnodes - 1];
  if (n->fold == NEST_NONE && root->kind == NEST_CALL &&
      ir_dtypes[t->r->dot.weights].bits < 8) {
    runs_iters(t->r->forms, n, idx, iter);
    return trace_unpacked(t, n, iter);
  }
  if (n->fold != NEST_NONE || root->kind != NEST_ACCESS ||
      ir_arg(op, (unsigned)n->access[root->arg[0]].operand)->type->dtype !=
          root->type)
    return false;
  runs_iters(t->r->forms, n, idx, iter);
  return trace_access(t, n, root->arg[0], iter);
}

static bool trace_value(struct trace *t, const struct ir_value *v,
                        const struct affine *const *idx) {
  struct affines *f = t->r->forms;
  const struct affine *own[IR_MAX_RANK];
  int64_t stride[IR_MAX_RANK];
  if (!ir_type_count(v->type) || ++t->depth > MAX_DEPTH)
    return false;
  for (int d = 0; d < v->type->rank; d++)
    own[d] = v->type->dim[d] == 1 ? affine_const(f, 0) : idx[d];
  if (v->def && v->def->block == t->r->body)
    return trace_move(t, v->def, own);
  if (!t->r->strides(t->r->places, v, stride))
    return false;
  t->out->leaf = v;
  t->out->at = affine_const(f, 0);
  for (int d = 0; d < v->type->rank; d++)
    t->out->at = affine_add(f, t->out->at, own[d], stride[d]);
  return true;
}

bool runs_address(struct runs *r, const struct nest *n, int access,
                  const struct affine *const *iter, struct run_address *out) {
  struct trace t = {.r = r, .out = out};
  *out = (struct run_address){.room = INT64_MAX, .shift = -1};
  return trace_access(&t, n, access, iter);
}

/* ---- Runs ---- */

bool runs_address_at(struct runs *r, const struct nest *n, int access,
                     const struct affine **iter, int inner, int64_t at,
                     struct run_address *out) {
  assert(n->iter[inner].reduced && at >= 0 && "runs go along a sum");
  iter[inner] = affine_const(r->forms, at);
  return runs_address(r, n, access, iter, out) &&
         out->room >= n->iter[inner].extent;
}

static bool same_checks(const struct run_address *a,
                        const struct run_address *b) {
  return a->nchecked == b->nchecked &&
         !memcmp(a->checked, b->checked, sizeof a->checked);
}

/* An access goes on, at the next value of the outer iterator, where the inner
 * one ends. */
static enum runs_join joins(struct runs *r, const struct nest *n, int access,
                            const struct affine **iter, int outer, int inner) {
  int64_t many = n->iter[outer].extent, count = n->iter[inner].extent;
  int64_t at[][2] = {{0, 0}, {many - 1, 0}, {1, 0}, {0, count}};
  assert(outer != inner && "two of the reduced iterators");
  struct run_address found[4];
  bool one = true, checked = false;
  for (int i = 0; i < 4; i++) {
    iter[outer] = affine_const(r->forms, at[i][0]);
    one &= runs_address_at(r, n, access, iter, inner, at[i][1], &found[i]) &&
           found[i].leaf && same_checks(&found[i], &found[0]);
    checked |= found[i].nchecked > 0;
  }
  one = one && found[0].room >= many * count && found[2].at == found[3].at;
  return one ? RUNS_ONE : checked ? RUNS_AT_EDGE : RUNS_APART;
}

enum runs_join runs_join(struct runs *r, const struct nest *n,
                         const unsigned *lanes, const struct affine **iter,
                         unsigned npt, int outer, int inner) {
  enum runs_join all = RUNS_ONE;
  if (n->iter[outer].size || n->iter[inner].size)
    return RUNS_APART;
  for (unsigned p = 0; p < npt && all != RUNS_APART; p++) {
    r->forms->lanes = lanes[p];
    for (int a = 0; a < n->naccesses; a++) {
      enum runs_join one =
          joins(r, n, a, iter + (size_t)p * NEST_MAX_ITERS, outer, inner);
      all = one < all ? one : all;
    }
  }
  return all;
}

/* `count` neighbours from `at` on lie side by side, all inside their tensor or
 * none, and where lanes differ each has `dot` elements for its own. */
static const struct affine *find_run(struct runs *r, const struct nest *n,
                                     int access, const struct affine **iter,
                                     int inner, int64_t at, int64_t count) {
  assert(count > 0 && "a run has an element");
  struct run_address first, next;
  if (!runs_address_at(r, n, access, iter, inner, at, &first))
    return NULL;
  for (int64_t i = 1; i < count; i++)
    if (!runs_address_at(r, n, access, iter, inner, at + i, &next) ||
        !next.leaf != !first.leaf || next.shift != first.shift ||
        (first.leaf && next.at != affine_plus(r->forms, first.at, i)) ||
        !same_checks(&next, &first))
      return NULL;
  if (!first.leaf)
    return affine_const(r->forms, 0);
  int64_t lo, hi, least = r->dot.least;
  if (access == 1 && least > INT8_MIN &&
      (!first.leaf->data || ir_const_least(first.leaf) < least))
    return NULL;
  if (!first.at->varying)
    return first.at;
  affine_range(r->forms, first.at, &lo, &hi);
  bool inside = hi + r->dot.k <= ir_type_count(first.leaf->type);
  return inside && first.at->lane == r->dot.k &&
                 !has_vectors(r->forms, first.at)
             ? first.at
             : NULL;
}

bool runs_row(struct runs *r, const struct nest *n,
              const struct affine *const *iter, struct run_address *out) {
  return runs_address(r, n, 0, iter, out) &&
         (!out->leaf ||
          (out->at->lane == 1 && !has_vectors(r->forms, out->at)));
}

const struct affine **runs_move(struct runs *r, const struct nest *n,
                                const struct affine *const *iter, int64_t by) {
  const struct affine **to =
      DN_ARRAY(r->arena, const struct affine *, NEST_MAX_ITERS);
  int inner = nest_inner_reduced(n);
  memcpy(to, iter, (size_t)n->niters * sizeof *to);
  to[inner] = affine_plus(r->forms, to[inner], by);
  return to;
}

bool runs_are_rows(struct runs *r, const struct nest *n,
                   const struct affine *const *iter, int64_t count) {
  struct run_address at;
  bool any = false;
  if (r->dot.k != 4 || r->dot.shape != IR_DOT_SPREAD || r->forms->lanes < 2)
    return false;
  for (int64_t i = 0; i < count; i++) {
    if (!runs_row(r, n, runs_move(r, n, iter, i), &at))
      return false;
    any |= at.leaf != NULL;
  }
  return any;
}

bool runs_fit(struct runs *r, const struct nest *n, unsigned lanes,
              const struct affine **iter, int inner, int64_t at,
              int64_t count) {
  bool fits = r->dot.k > 1;
  r->forms->lanes = lanes;
  for (int a = 0; a < 2 && fits; a++) {
    const struct affine *run = find_run(r, n, a, iter, inner, at, count);
    enum ir_dtype t =
        ir_arg(n->op, (unsigned)n->access[a].operand)->type->dtype;
    bool weights = lanes > 1 ? run && run->varying : a == 1;
    fits = run && weights == (a == 1);
    if (!fits && !a) {
      iter[inner] = affine_const(r->forms, at);
      fits = runs_are_rows(r, n, iter, count);
    }
    fits &= t == (a ? r->dot.weights : r->dot.factor);
  }
  return fits;
}

/* The access reads four bytes of four lanes, as a word, or what is outside. */
static bool is_word(struct runs *r, const struct nest *n, int access,
                    const struct affine *const *iter) {
  struct run_address at;
  const struct ir_value *v = ir_arg(n->op, (unsigned)n->access[access].operand);
  return v->type->dtype == IR_I8 && runs_address(r, n, access, iter, &at) &&
         (!at.leaf || (at.at->lane == 1 && !has_vectors(r->forms, at.at)));
}

bool runs_words_fit(struct runs *r, const struct nest *n, const unsigned *lanes,
                    const struct affine **iter, unsigned npt, int inner) {
  int64_t extent = inner < 0 ? 1 : n->iter[inner].extent;
  bool fits = n->acc_type == IR_I32 && extent <= RUNS_MAX_WORDS;
  for (unsigned p = 0; p < npt; p++)
    for (int64_t i = 0; i < extent && fits && lanes[p] == RUNS_WORD; i++) {
      const struct affine **at = iter + (size_t)p * NEST_MAX_ITERS;
      r->forms->lanes = lanes[p];
      if (inner >= 0)
        at[inner] = affine_const(r->forms, i);
      fits = is_word(r, n, 0, at) && is_word(r, n, 1, at);
    }
  return fits;
}

/* ---- Weights with a scale ---- */

const struct nest *runs_enter(struct runs *r, const struct nest *n, int node,
                              enum ir_scalar fn) {
  if (n->node[node].kind != NEST_ACCESS)
    return NULL;
  const struct nest_access *a = &n->access[n->node[node].arg[0]];
  const struct ir_value *v = ir_arg(n->op, (unsigned)a->operand);
  if (a->npieces > 1 || a->flat || !v->def || v->def->block != r->body)
    return NULL;
  for (int d = 0; d < a->rank; d++)
    if (a->idx[d].indirect >= 0 || a->idx[d].checked)
      return NULL;
  const struct nest *m = runs_nest(r, v->def);
  const struct nest_node *root = &m->node[m->nnodes - 1];
  return m->fold == NEST_NONE && root->kind == NEST_CALL && root->fn == fn &&
                 root->type == v->type->dtype
             ? m
             : NULL;
}

static bool is_of_8_bits(const struct nest *n, int node) {
  if (n->node[node].kind != NEST_ACCESS)
    return false;
  const struct nest_access *a = &n->access[n->node[node].arg[0]];
  if (a->npieces > 1)
    return false;
  const struct ir_value *v = ir_arg(n->op, (unsigned)a->operand);
  while (ir_dtypes[v->type->dtype].bits > 8 && v->def &&
         (v->def->code == IR_CAST || v->def->code == IR_RESHAPE ||
          v->def->code == IR_EXPAND))
    v = ir_arg(v->def, 0);
  return ir_dtypes[v->type->dtype].bits <= 8;
}

bool runs_scaled(struct runs *r, const struct nest *n) {
  const struct nest *m =
      runs_is_product(n) && n->acc_type == IR_F32
          ? runs_enter(r, n, n->node[n->nnodes - 1].arg[1], IR_S_MUL)
          : NULL;
  if (!m || m->node[m->nnodes - 1].type != IR_F32)
    return false;
  int w = m->node[m->nnodes - 1].arg[0];
  const struct nest *z = runs_enter(r, m, w, IR_S_SUB);
  return z ? is_of_8_bits(z, z->node[z->nnodes - 1].arg[0])
           : is_of_8_bits(m, w);
}
