/* value.c - pull-based evaluation of a row of any value: values from
 * outside the kernel are loaded, values of ops inside are computed from their
 * nests. MAP and MOVE differ in nothing but their index maps and bodies. */
#include "codegen/emit/impl.h"

#include <assert.h>

LLVMValueRef emit_splat(struct kernel_cg *k, LLVMValueRef v, unsigned lanes) {
  assert((lanes <= 1 || !emit_is_vector(v) ||
          LLVMGetVectorSize(LLVMTypeOf(v)) == lanes) &&
         "a vector has the lanes of its row");
  if (lanes <= 1 || emit_is_vector(v))
    return v;
  LLVMTypeRef type = emit_vector_type(k, LLVMTypeOf(v), lanes);
  if (LLVMIsConstant(v) && !k->forms.scalable) {
    LLVMValueRef *all = DN_ARRAY(k->arena, LLVMValueRef, lanes);
    for (unsigned i = 0; i < lanes; i++)
      all[i] = v;
    return LLVMConstVector(all, lanes);
  }
  LLVMValueRef one = emit_with_lane(k, LLVMGetPoison(type), 0, v);
  return LLVMBuildShuffleVector(
      k->b, one, LLVMGetPoison(type),
      LLVMConstNull(emit_vector_type(k, k->e->i32, lanes)), "");
}

unsigned emit_lanes(const struct kernel_cg *k, LLVMValueRef a, LLVMValueRef b) {
  return emit_is_vector(a) || emit_is_vector(b) ? k->forms.lanes : 1;
}

void emit_fail(struct kernel_cg *k, enum dn_code code, const char *msg) {
  if (!k->failed)
    dn_error(k->e->ctx, k->op ? ir_loc(k->op) : (struct dn_loc){0}, code, "%s",
             msg);
  k->failed = k->e->failed = true;
}

void emit_too_large(struct kernel_cg *k) {
  if (k->failed)
    return;
  emit_fail(k, DN_LIMIT, "the kernel's code would be too large");
  dn_note(k->e->ctx, "smaller tiles, fewer cuts or less unrolling make it "
                     "smaller; without `loops`, the pass 'loops' sees to it");
}

void emit_no_runs(struct kernel_cg *k, const char *attribute) {
  if (k->failed)
    return;
  dn_error(k->e->ctx, ir_loc(k->op), DN_ATTR,
           "what the kernel computes does not allow its attribute '%s'",
           attribute);
  dn_note(k->e->ctx, "without `loops`, the pass 'loops' keeps it where it "
                     "holds");
  k->failed = k->e->failed = true;
}

void emit_work(struct kernel_cg *k, enum ir_dtype type, unsigned lanes) {
  enum { CALL = 4 }; /* takes LLVM as long as so many instructions */
  assert(lanes && k->native && "kernel_cg_init()");
  bool calls = k->e->facts->soft_f32 && ir_is_float(type);
  k->work += dn_div_ceil(lanes, k->native) * (calls ? CALL : 1);
  if (k->work > EMIT_MAX_WORK)
    emit_too_large(k);
}

const struct nest *kernel_nest(struct kernel_cg *k, const struct ir_op *op) {
  assert(op->block == k->body && "ops outside are leaves: kernel_is_leaf()");
  return runs_nest(&k->runs, op);
}

/* ---- Accesses ---- */

/* An access being emitted: indices, and whether they are inside. */
struct access {
  const struct nest *n;
  const struct nest_access *a;
  const struct ir_value *v;
  const struct affine *raw[IR_MAX_RANK]; /* may be outside where checked */
  LLVMValueRef cond;                     /* NULL: inside */
  bool checked[IR_MAX_RANK];
  int depth, cond_depth;
  bool varying, never;
};

const struct affine *emit_indirect(struct kernel_cg *k, const struct nest *n,
                                   int a, const struct ir_type *type, int at,
                                   const struct affine *const *iter) {
  assert(a >= 0 && a < n->naccesses && n->access[a].operand >= 0 &&
         at < type->rank && "nest.h: indices are accesses before");
  const struct nest_access *from = &n->access[a];
  const struct ir_value *v = ir_arg(n->op, (unsigned)from->operand);
  const struct affine *idx[IR_MAX_RANK];
  int depth = 0;
  bool varying = false;
  for (int d = 0; d < from->rank; d++) {
    idx[d] = reads_index_form(&k->forms, n, &from->idx[d], iter);
    depth = idx[d]->depth > depth ? idx[d]->depth : depth;
    varying |= idx[d]->varying;
  }
  struct memo_key key = memo_key(k, MEMO_GATHER, varying, from, type->size[at]);
  memo_push(&key, (uint64_t)type->dim[at]);
  for (int d = 0; d < from->rank; d++)
    memo_push(&key, (uint64_t)(uintptr_t)idx[d]);
  struct memo *found = memo_open(k, &key, depth);
  if (!found) {
    LLVMValueRef value = emit_access(k, n, a, iter);
    unsigned var = index_of_value(k, value, v, depth, type, at)->term[0].var;
    found = memo_close(k, &key, value, var);
  }
  return affine_var(&k->forms, (unsigned)found->extra, 1);
}

static void add_check(struct kernel_cg *k, struct access *c, int d,
                      LLVMValueRef ok, int depth) {
  if (!ok)
    return;
  c->checked[d] = true;
  c->cond_depth = depth > c->cond_depth ? depth : c->cond_depth;
  c->never |= LLVMIsNull(ok);
  c->cond = index_and(k, c->cond, ok, c->cond_depth);
}

/* What is computed here has no runs. */
static void no_run(const struct kernel_cg *k) {
  assert(!k->run && "runs_fit() has looked");
  (void)k;
}

static void find_index(struct kernel_cg *k, struct access *c, int d,
                       const struct affine *const *iter) {
  const struct nest_index *x = &c->a->idx[d];
  int64_t dim = c->v->type->dim[d];
  if (x->indirect >= 0) {
    c->raw[d] = emit_indirect(k, c->n, x->indirect, c->v->type, d, iter);
    return;
  }
  const struct affine *f;
  const struct affine *q =
      reads_index(&k->forms, NULL, c->n, c->a, d, iter, &f);
  c->raw[d] = q;
  if (!x->checked)
    return;
  if (x->exact && x->div > 1) {
    const struct affine *rem = affine_add(&k->forms, f, q, -x->div);
    add_check(k, c, d, index_is_zero(k, rem), rem->depth);
  }
  add_check(k, c, d, index_inside(k, q, dim, c->v->type->size[d]), q->depth);
}

/* A load from one of two places: what a check concerns goes into the pointer
 * that is selected, the rest stays an offset. */
static LLVMValueRef checked_load(struct kernel_cg *k, const struct access *c,
                                 const struct ir_place *p) {
  const struct affine *near, *far;
  runs_split(&k->forms, c->v->type, c->raw, c->checked, c->cond_depth,
             p->stride, k->runs.far, &near, &far);
  return emit_load_checked(k, c->v, p, near, far, c->cond, c->cond_depth,
                           c->n->outside);
}

static LLVMValueRef checked_value(struct kernel_cg *k, const struct access *c) {
  enum ir_dtype t = c->v->type->dtype;
  struct ir_place p;
  if (c->never) {
    LLVMValueRef v = emit_number(k, t, c->n->outside);
    return k->run ? emit_run_number(k, t, v) : v;
  }
  if (kernel_is_leaf(k, c->v) && !emit_is_vector(c->cond) &&
      ir_place_of(c->v, &p) && !p.dense) {
    LLVMValueRef v = checked_load(k, c, &p);
    if (v)
      return v;
  }
  no_run(k);
  const struct affine *idx[IR_MAX_RANK];
  for (int d = 0; d < c->a->rank; d++)
    idx[d] = c->checked[d] ? index_clamp(k, c->raw[d], c->v->type->dim[d],
                                         c->v->type->size[d])
                           : c->raw[d];
  LLVMValueRef v = emit_value(k, c->v, idx);
  v = emit_splat(k, v, emit_lanes(k, v, c->cond));
  return LLVMBuildSelect(k->b, c->cond, v,
                         emit_like(k, v, emit_number(k, t, c->n->outside)), "");
}

/* A dense value at a row-major position. */
static LLVMValueRef load_flat(struct kernel_cg *k, const struct ir_value *v,
                              const struct ir_place *p,
                              const struct affine *at) {
  struct memo_key key = memo_key(k, MEMO_FLAT, at->varying, v, at);
  struct memo *found = memo_open(k, &key, at->depth);
  return found ? found->value
               : memo_close(k, &key, emit_load(k, v, p, at), 0)->value;
}

/* Reshape: by the row-major position. */
static LLVMValueRef flat_access(struct kernel_cg *k, const struct nest *n,
                                const struct ir_value *v,
                                const struct affine *const *iter) {
  assert(v->type->rank <= IR_MAX_RANK &&
         ir_type_count(v->type) == ir_type_count(n->type) &&
         "infer: a reshape keeps the elements");
  const struct affine *at = reads_position(&k->forms, n, iter);
  const struct affine *idx[IR_MAX_RANK];
  struct ir_place p;
  if (kernel_is_leaf(k, v) && ir_place_of(v, &p) && !p.dense &&
      ir_type_is_dense(v->type, p.stride))
    return load_flat(k, v, &p, at);
  reads_unflatten(&k->forms, NULL, v->type, at, idx);
  return emit_value(k, v, idx);
}

/* The pieces of a concat that the index can be in. */
static LLVMValueRef pieces_access(struct kernel_cg *k, const struct nest *n,
                                  const struct nest_access *a,
                                  const struct affine *const *iter) {
  assert(a->axis >= 0 && a->axis < a->rank && "a concat's nest has its axis");
  const struct affine *idx[IR_MAX_RANK] = {NULL}, *at = NULL;
  int64_t lo = 0, hi = 0;
  for (int d = 0; d < a->rank; d++)
    idx[d] = reads_index_form(&k->forms, n, &a->idx[d], iter);
  at = idx[a->axis];
  LLVMValueRef r = NULL;
  for (int i = 0; i < a->npieces; i++) {
    const struct ir_value *piece = ir_arg(n->op, (unsigned)(a->operand + i));
    int64_t size = a->start[i + 1] - a->start[i];
    const struct ir_size *run = piece->type->size[a->axis];
    const struct affine *in = at; /* less the pieces before */
    at = affine_add(&k->forms, at, index_size(k, size, run), -1);
    affine_range(&k->forms, in, &lo, &hi);
    if (!size || hi < 0 || lo >= size)
      continue;
    idx[a->axis] = index_clamp(k, in, size, run);
    LLVMValueRef v = emit_value(k, piece, idx);
    LLVMValueRef here = r ? index_inside(k, in, size, run) : NULL;
    if (here) {
      unsigned lanes = emit_lanes(k, here, emit_is_vector(v) ? v : r);
      v = LLVMBuildSelect(k->b, here, emit_splat(k, v, lanes),
                          emit_splat(k, r, lanes), "");
    }
    r = v;
  }
  return r;
}

LLVMValueRef emit_access(struct kernel_cg *k, const struct nest *n, int a,
                         const struct affine *const *iter) {
  assert(a >= 0 && a < n->naccesses && "NEST_ACCESS: its argument");
  struct access c = {.n = n, .a = &n->access[a]};
  if (c.a->npieces > 1) {
    no_run(k);
    return pieces_access(k, n, c.a, iter);
  }
  c.v = ir_arg(n->op, (unsigned)c.a->operand);
  if (c.a->flat)
    return flat_access(k, n, c.v, iter);
  for (int d = 0; d < c.a->rank; d++) {
    find_index(k, &c, d, iter);
    if (c.raw[d]->depth > c.depth)
      c.depth = c.raw[d]->depth;
    c.varying |= c.raw[d]->varying;
  }
  if (!c.cond)
    return emit_value(k, c.v, c.raw);
  struct memo_key key = memo_key(k, MEMO_CHECKED, c.varying, c.a, c.cond);
  for (int d = 0; d < c.a->rank; d++)
    memo_push(&key, (uint64_t)(uintptr_t)c.raw[d]);
  int depth = c.cond_depth > c.depth ? c.cond_depth : c.depth;
  struct memo *found = memo_open(k, &key, depth);
  return found ? found->value
               : memo_close(k, &key, checked_value(k, &c), 0)->value;
}

/* ---- Bodies ---- */

/* Brings what must have one shape to one: all vectors when one is. A scalar
 * condition of a select may stay. */
static void same_shape(struct kernel_cg *k, LLVMValueRef *arg, int from,
                       int n) {
  bool vector = false;
  for (int i = from; i < n; i++)
    vector |= emit_is_vector(arg[i]);
  vector |= emit_is_vector(arg[0]);
  for (int i = from; vector && i < n; i++)
    arg[i] = emit_splat(k, arg[i], k->forms.lanes);
}

static struct emit_range range_of_node(const struct nest *n, int node) {
  const struct nest_node *x = &n->node[node];
  if (x->kind != NEST_ACCESS)
    return (struct emit_range){INT64_MIN, INT64_MAX};
  return emit_range_of(ir_arg(n->op, (unsigned)n->access[x->arg[0]].operand));
}

/* A call that casts to a float what is narrowed from one, for it alone; NULL: it
 * does something else. */
static LLVMValueRef narrowed(struct kernel_cg *k, const struct nest *n,
                             int node, const struct affine *const *iter) {
  const struct ir_facts *f = k->e->facts;
  const struct affine *inner[NEST_MAX_ITERS];
  LLVMValueRef arg[2];
  const struct nest_node *cast = &n->node[node];
  if (cast->fn != IR_S_CAST || cast->type != IR_F32 || !f->vector_bytes ||
      f->soft_f32 || f->has_vcvtr || f->has_vcvtn)
    return NULL;
  const struct nest *m =
      emit_enter(k, n, cast->arg[0], IR_S_NARROW, iter, inner);
  const struct nest_node *root = m ? &m->node[m->nnodes - 1] : NULL;
  if (!m || ir_result(m->op)->uses->next ||
      m->node[root->arg[0]].type != IR_F32 ||
      m->node[root->arg[1]].type != IR_F32)
    return NULL;
  for (int i = 0; i < 2; i++)
    arg[i] = emit_node(k, m, root->arg[i], inner);
  if (k->failed)
    return NULL;
  same_shape(k, arg, 0, 2);
  return emit_narrowed(k, root->type, arg[0], arg[1]);
}

/* Runs of bytes as one number: shifted, or its bytes' lowest bits. */
static LLVMValueRef unpacked_run(struct kernel_cg *k, const struct nest *n,
                                 const struct nest_node *call,
                                 const struct affine *const *iter) {
  int64_t run = k->run;
  LLVMValueRef v = emit_node(k, n, call->arg[0], iter), by;
  LLVMTypeRef type = LLVMTypeOf(v);
  if (emit_is_vector(v))
    type = LLVMGetElementType(type);
  if (call->fn == IR_S_SHR) {
    k->run = 0;
    by = emit_node(k, n, call->arg[1], iter);
    k->run = run;
    return LLVMBuildLShr(
        k->b, v, emit_like(k, v, LLVMBuildZExt(k->b, by, type, "")), "");
  }
  assert(call->fn == IR_S_CAST && "runs_fit() has looked: trace_unpacked()");
  uint64_t mask = (1u << ir_dtypes[call->type].bits) - 1;
  by = LLVMConstInt(type, mask * UINT64_C(0x0101010101010101), false);
  return LLVMBuildAnd(k->b, v, emit_like(k, v, by), "");
}

LLVMValueRef emit_node(struct kernel_cg *k, const struct nest *n, int node,
                       const struct affine *const *iter) {
  assert(node >= 0 && node < n->nnodes && "a node of the nest");
  const struct nest_node *x = &n->node[node];
  LLVMValueRef arg[3] = {0};
  switch (x->kind) {
  case NEST_NUMBER:
    return emit_number(k, x->type, x->number);
  case NEST_ITER: {
    enum ir_dtype own = k->e->facts->pointer_bytes == 4 ? IR_I32 : IR_I64;
    return emit_cast(k, index_value(k, iter[x->arg[0]]), own, x->type);
  }
  case NEST_ACCESS: {
    LLVMValueRef v = emit_access(k, n, x->arg[0], iter);
    const struct nest_access *a = &n->access[x->arg[0]];
    const struct ir_value *from = ir_arg(n->op, (unsigned)a->operand);
    if (from->type->dtype != x->type)
      no_run(k);
    return emit_cast(k, v, from->type->dtype, x->type);
  }
  case NEST_CALL:
    if (k->run)
      return unpacked_run(k, n, x, iter);
    break;
  }
  int arity = ir_scalars[x->fn].arity;
  LLVMValueRef v = narrowed(k, n, node, iter);
  for (int i = 0; i < arity && !v; i++)
    arg[i] = emit_node(k, n, x->arg[i], iter);
  if (v || k->failed)
    return v;
  int typed = x->fn == IR_S_SELECT;
  k->range = range_of_node(n, x->arg[arity - 1]);
  same_shape(k, arg, typed, arity);
  return emit_scalar(k, x->fn, n->node[x->arg[typed]].type, x->type, arg);
}

const struct nest *emit_enter(struct kernel_cg *k, const struct nest *n,
                              int node, enum ir_scalar fn,
                              const struct affine *const *iter,
                              const struct affine **inner) {
  const struct nest *m = runs_enter(&k->runs, n, node, fn);
  if (!m)
    return NULL;
  struct access c = {.n = n, .a = &n->access[n->node[node].arg[0]]};
  c.v = ir_arg(n->op, (unsigned)c.a->operand);
  for (int d = 0; d < c.a->rank; d++)
    find_index(k, &c, d, iter);
  runs_iters(&k->forms, m, c.raw, inner);
  return m;
}

static LLVMValueRef emit_op(struct kernel_cg *k, const struct ir_op *op,
                            const struct affine *const *idx, bool varying) {
  assert(op->nresults == 1 && "rule results");
  const struct nest *n = kernel_nest(k, op);
  LLVMValueRef v = NULL;
  if (n->fold != NEST_NONE) {
    no_run(k);
    struct tile_vector pt = {varying ? k->forms.lanes : 1, idx};
    emit_fold(k, n, &pt, 1, &v);
    return v;
  }
  const struct affine *iter[NEST_MAX_ITERS];
  runs_iters(&k->forms, n, idx, iter);
  v = emit_node(k, n, n->nnodes - 1, iter);
  return emit_cast(k, v, n->node[n->nnodes - 1].type, n->type->dtype);
}

static LLVMValueRef compute(struct kernel_cg *k, const struct ir_value *v,
                            const struct affine *const *idx, bool varying) {
  if (!kernel_is_leaf(k, v))
    return emit_op(k, v->def, idx, varying);
  struct ir_place p = emit_place(v);
  return emit_load(k, v, &p, emit_address(k, &p, v->type->rank, idx));
}

bool kernel_is_leaf(const struct kernel_cg *k, const struct ir_value *v) {
  return !v->def || v->def->block != k->body;
}

/* What the memo knows a value by; indices that make no difference are 0. */
struct request {
  struct memo_key key;
  const struct affine *idx[IR_MAX_RANK];
  int depth;
  bool varying;
};

static void make_request(struct kernel_cg *k, const struct ir_value *v,
                         const struct affine *const *idx, struct request *r) {
  struct ir_place p;
  bool view = v->def && v->def->code != IR_KERNEL && kernel_is_leaf(k, v) &&
              ir_place_of(v, &p) && !p.dense;
  r->depth = 0;
  r->varying = false;
  for (int d = 0; d < v->type->rank; d++) {
    bool same = v->type->dim[d] == 1 || (view && !p.stride[d]);
    r->idx[d] = same ? affine_const(&k->forms, 0) : idx[d];
    if (r->idx[d]->depth > r->depth)
      r->depth = r->idx[d]->depth;
    r->varying |= r->idx[d]->varying;
  }
  r->key = memo_key(k, MEMO_VALUE, r->varying, v, NULL);
  for (int d = 0; d < v->type->rank; d++)
    memo_push(&r->key, (uint64_t)(uintptr_t)r->idx[d]);
}

void emit_cache_value(struct kernel_cg *k, const struct ir_value *v,
                      const struct affine *const *idx, LLVMValueRef is) {
  struct request r;
  make_request(k, v, idx, &r);
  memo_add(k, &r.key, is, 0);
}

bool emit_is_cached(struct kernel_cg *k, const struct ir_value *v,
                    const struct affine *const *idx) {
  struct request r;
  make_request(k, v, idx, &r);
  return memo_find(k, &r.key) != NULL;
}

LLVMValueRef emit_value(struct kernel_cg *k, const struct ir_value *v,
                        const struct affine *const *idx) {
  struct request r;
  make_request(k, v, idx, &r);
  struct memo *found = memo_open(k, &r.key, r.depth);
  if (found)
    return found->value;
  if (++k->nesting > EMIT_MAX_NESTING)
    emit_fail(k, DN_LIMIT, "ops of the kernel nest too deep");
  LLVMValueRef value = NULL;
  LLVMMetadataRef line = emit_debug_at(k->e, k->b, v->def);
  emit_work(k, v->type->dtype, k->forms.lanes);
  if (!k->failed && ir_type_count(v->type))
    value = compute(k, v, r.idx, r.varying);
  if (!value)
    value = emit_number(k, v->type->dtype, 0);
  emit_debug_back(k->e, k->b, line);
  k->nesting--;
  return memo_close(k, &r.key, value, 0)->value;
}
