/* kernel.c - one function per kernel: its loops (ir/loops.h), one by one
 * from the outermost, each over whole tiles and what they leave, part by part
 * where it is cut. */
#include "codegen/emit/tile.h"

#include "codegen/target/target.h"

#include <assert.h>
#include <string.h>

enum { MAX_LANES = 64 };

static bool place_strides(const void *unused, const struct ir_value *v,
                          int64_t *stride) {
  (void)unused;
  struct ir_place p;
  if (!ir_place_of(v, &p) || p.dense)
    return false;
  memcpy(stride, p.stride, sizeof p.stride);
  return true;
}

static void kernel_cg_init(struct kernel_cg *k, struct emit *e,
                           const struct ir_op *op, const struct ir_value *out) {
  *k = (struct kernel_cg){.e = e, .op = op, .out = out};
  k->arena = dn_arena_new(e->ctx);
  k->sched.vec = 1, k->sched.unroll = 1;
  k->runs = (struct runs){.forms = &k->forms,
                          .arena = k->arena,
                          .body = op ? op->region[0] : NULL,
                          .strides = place_strides,
                          .dot = {.k = 1},
                          .far = runs_far(e->facts)};
  k->carry.dim = -1;
  k->native = (unsigned)dn_max(1, e->facts->vector_bytes / 4);
  affine_init(&k->forms, k->arena);
  k->memos = DN_ARRAY(k->arena, struct memo *, EMIT_BUCKETS);
  k->scope = DN_NEW(k->arena, struct scope);
  if (!op)
    return;
  k->body = op->region[0];
  k->onto = nest_onto(op);
  unsigned n = 0;
  for (const struct ir_op *o = k->body->first; o; o = o->next)
    e->slot[o->id] = n++;
  k->nops = n;
}

/* ---- The loops ---- */

/* Loops of a copy: dimensions that are contiguous in source and destination are
 * one loop. */
static void copy_loops(const struct ir_type *type, const struct ir_place *from,
                       const struct ir_place *to, int64_t tile,
                       struct ir_loops *out) {
  assert(type->rank <= IR_MAX_RANK && tile > 0 && "set_schedule()");
  for (int d = 0; d < type->rank; d++) {
    struct ir_loop *last = out->n ? &out->loop[out->n - 1] : NULL;
    int64_t dim = type->dim[d];
    if (dim == 1)
      continue;
    if (last && !ir_type_is_sized(type) &&
        from->stride[last->last] == from->stride[d] * dim &&
        to->stride[last->last] == to->stride[d] * dim) {
      last->extent *= dim;
      last->last = d;
      continue;
    }
    out->loop[out->n++] = (struct ir_loop){
        d, d, .block = 1, .extent = dim, .tile = 1, .size = type->size[d]};
  }
  if (out->n)
    out->loop[out->n - 1].tile = tile;
}

static void set_loops(struct shape *s, const struct ir_loops *loops) {
  s->n = loops->n;
  s->across = -1;
  for (int i = 0; i < s->n; i++) {
    int g = 0;
    for (int j = 0; j < s->n; j++)
      g += loops_comes_before(&loops->loop[j], &loops->loop[i]);
    s->loop[g] = loops->loop[i];
    s->level[i] = g;
    if (s->loop[g].lanes)
      s->across = g;
  }
}

static void emit_dim(struct tiler *t, int level);

/* Indices [from, from + n) of the last loop, in vectors of the machine's own
 * length, the last one shorter. */
static void emit_scalable(struct tiler *t, int level, int64_t from, int64_t n) {
  struct kernel_cg *k = t->k;
  if (k->failed)
    return;
  int g = t->shape->level[level];
  assert(g == t->shape->n - 1 && "emit_segment()");
  scalable_open(k, n);
  t->base[g] =
      affine_plus(&k->forms, affine_var(&k->forms, k->scope->var, 1), from);
  t->size[g] = n;
  emit_dim(t, level + 1);
  scope_close(k, 0, NULL, NULL);
}

/* Tiles of one size, from an index on. */
static void emit_tiles(struct tiler *t, int level, int64_t from, int64_t tile,
                       int64_t count) {
  struct kernel_cg *k = t->k;
  int g = t->shape->level[level];
  bool shared = level == t->par, loop = shared || count > 1;
  if (!count || k->failed)
    return;
  if (shared)
    scope_open_range(k, t->unit, count, NULL);
  else if (loop)
    scope_open(k, count, 0, NULL, NULL);
  bool back = t->shape->loop[g].back;
  int64_t first = back ? from + (count - 1) * tile : from;
  t->base[g] = affine_const(&k->forms, first);
  if (loop)
    t->base[g] = affine_add(&k->forms, t->base[g],
                            affine_var(&k->forms, k->scope->var, 1),
                            back ? -tile : tile);
  t->size[g] = tile;
  t->unit += shared ? count : 0;
  emit_dim(t, level + 1);
  if (loop)
    scope_close(k, 0, NULL, NULL);
}

/* As many tiles of a loop to a size as `left` has room for, the first of which
 * starts at `from`; returns their number. */
static const struct affine *emit_tiles_to(struct tiler *t, int level,
                                          const struct affine *from,
                                          const struct affine *left,
                                          int64_t tile, int64_t most) {
  assert(tile > 0 && most > 0 && "loops_next_tile()");
  struct kernel_cg *k = t->k;
  int g = t->shape->level[level];
  bool shared = level == t->par;
  const struct affine *count = index_tiles(k, left, tile, most);
  if (shared)
    scope_open_range(k, t->unit, most, index_value(k, count));
  else
    scope_open_to(k, index_value(k, count), most, 0, NULL, NULL);
  t->base[g] = index_within(k, from, tile, t->shape->loop[g].extent);
  t->size[g] = tile;
  t->unit += shared ? most : 0;
  emit_dim(t, level + 1);
  scope_close(k, 0, NULL, NULL);
  return count;
}

/* All indices of a loop to a size: tiles, then smaller and smaller ones. */
static void emit_sized(struct tiler *t, int level, const struct ir_loop *l) {
  struct kernel_cg *k = t->k;
  const struct affine *from = affine_const(&k->forms, 0), *count;
  const struct affine *left = index_size(k, l->extent, l->size);
  int64_t tile = dn_min(l->tile, l->extent), most = l->extent / tile;
  if (level == t->par)
    t->unit = 0;
  for (; tile && !k->failed; tile = loops_next_tile(l, tile, &most)) {
    count = emit_tiles_to(t, level, from, left, tile, most);
    from = affine_add(&k->forms, from, count, tile);
    left = affine_add(&k->forms, left, count, -tile);
  }
}

/* All indices of a running fold's dimension, in its direction. */
static void emit_carried(struct tiler *t, int level, const struct ir_loop *l) {
  int64_t count = l->extent;
  struct kernel_cg *k = t->k;
  assert(l->tile == 1 && !k->carry.loop &&
         "rule loops: a running fold goes one by one");
  int g = t->shape->level[level];
  struct emit_carry *c = &k->carry;
  if (k->failed)
    return;
  scope_open_dim(k, count, l->size, 0, NULL, NULL);
  c->loop = k->scope;
  c->phi.n = c->next.n = 0;
  t->base[g] = affine_var(&k->forms, k->scope->var, c->back ? -1 : 1);
  t->base[g] = affine_plus(&k->forms, t->base[g], c->back ? count - 1 : 0);
  t->size[g] = 1;
  emit_dim(t, level + 1);
  scope_close(k, (unsigned)c->phi.n, c->phi.v, c->next.v);
  c->loop = NULL;
}

/* Indices [from, from + n) of a loop: whole tiles, then the rest. */
static void emit_segment(struct tiler *t, int level, int64_t from, int64_t n) {
  int g = t->shape->level[level];
  int64_t tile = dn_min(t->shape->loop[g].tile, n);
  assert(n > 0 && tile > 0 && "rule loops: cuts rise, tiles are 1 or more");
  if (t->k->forms.scalable && g == t->shape->n - 1) {
    emit_scalable(t, level, from, n);
    return;
  }
  bool back = t->shape->loop[g].back;
  for (int turn = 0; turn < 2; turn++) {
    if (turn == back)
      emit_tiles(t, level, from, tile, n / tile);
    else
      emit_tiles(t, level, from + n / tile * tile, n % tile, n % tile != 0);
  }
}

static void emit_dim(struct tiler *t, int level) {
  if (level == t->shape->n) {
    emit_tile(t);
    return;
  }
  const struct ir_loop *l = &t->shape->loop[t->shape->level[level]];
  if (l->last == t->k->carry.dim) {
    emit_carried(t, level, l);
    return;
  }
  if (l->size) {
    emit_sized(t, level, l);
    return;
  }
  if (level == t->par)
    t->unit = 0;
  for (int64_t i = 0; i <= l->ncuts; i++) {
    int64_t at = l->back ? l->ncuts - i : i;
    int64_t from = at ? l->cuts[at - 1] : 0;
    int64_t to = at < l->ncuts ? l->cuts[at] : l->extent;
    emit_segment(t, level, from, to - from);
  }
}

/* ---- The function ---- */

static LLVMTypeRef function_type(struct kernel_cg *k, unsigned npointers) {
  LLVMTypeRef *params = DN_ARRAY(k->arena, LLVMTypeRef, npointers + 2);
  for (unsigned i = 0; i < npointers; i++)
    params[i] = k->e->ptr;
  if (k->threads.units) {
    params[npointers++] = k->e->iptr;
    params[npointers++] = k->e->iptr;
  }
  return LLVMFunctionType(k->e->void_, params, npointers, false);
}

/* The pointer to a buffer, and what is known of it. */
static void pass_buffer(struct kernel_cg *k, struct emit_buffer *b,
                        unsigned *nparams) {
  struct emit *e = k->e;
  if (!emit_is_passed(e, b)) {
    b->ptr = emit_const_global(e, b->base);
    return;
  }
  b->ptr = LLVMGetParam(k->fn, *nparams);
  int at = (int)++*nparams;
  if (!b->over)
    emit_attribute(e, k->fn, at, "noalias", 0);
  if (!b->written)
    emit_attribute(e, k->fn, at, "readonly", 0);
  if (b->align > 1)
    emit_attribute(e, k->fn, at, "align", (uint64_t)b->align);
}

static unsigned count_passed(const struct emit *e,
                             const struct emit_places *p) {
  unsigned n = 0;
  for (size_t i = 0; i < p->order.n; i++)
    n += emit_is_passed(e, p->order.v[i]);
  return n;
}

static void make_function(struct kernel_cg *k, const char *name) {
  struct emit *e = k->e;
  unsigned nparams = 0, npointers = count_passed(k->e, k->places);
  if (!emit_params_fit(e, k->op ? ir_loc(k->op) : (struct dn_loc){0},
                       npointers))
    k->failed = true;
  k->fn = LLVMAddFunction(e->mod, name, function_type(k, npointers));
  emit_function_attributes(e, k->fn, name);
  emit_attribute(e, k->fn, LLVMAttributeFunctionIndex, "noinline", 0);
  for (size_t i = 0; i < k->places->order.n; i++)
    pass_buffer(k, k->places->order.v[i], &nparams);
  if (!k->threads.units)
    return;
  k->threads.begin = LLVMGetParam(k->fn, nparams);
  k->threads.end = LLVMGetParam(k->fn, nparams + 1);
}

/* The schedule, with loops over `root`'s elements. */
static void set_schedule(struct kernel_cg *k, const struct ir_value *root,
                         const struct ir_place *out, struct shape *s) {
  const struct ir_facts *facts = k->e->facts;
  struct ir_loops loops = {0};
  k->sched.unroll = k->sched.vec = 1;
  if (!k->op) { /* a copy: whole registers */
    struct ir_place from = emit_place(root);
    int bytes = (int)ir_dtypes[root->type->dtype].bytes;
    k->sched.vec = (unsigned)dn_max(1, facts->vector_bytes / bytes);
    copy_loops(root->type, &from, out, k->sched.vec, &loops);
    set_loops(s, &loops);
    return;
  }
  const char *error = loops_read(k->op, &loops);
  assert(!error && "the verifier has read them: rule loops");
  (void)error;
  set_loops(s, &loops);
  k->sched.vec = (unsigned)dn_min(ir_get_int(k->op, "vec"), MAX_LANES);
  k->sched.unroll = ir_get_at(k->op, "unroll", 0);
  assert(k->sched.vec && k->sched.unroll > 0 && "rule schedule");
  k->sched.prefetch = ir_get_int(k->op, "prefetch");
  k->sched.ahead = ir_get_int(k->op, "ahead");
  k->runs.dot = runs_dot_of(k->op, facts);
  int dim;
  const struct nest *parts = nest_parts(k->arena, k->op, &dim);
  k->sched.parts = parts ? parts->op : NULL;
  k->sched.chains = ir_get_int(k->op, "chains");
  k->sched.joins = ir_get_int(k->op, "join");
  k->sched.bias = ir_get_int(k->op, "bias");
  k->sched.scaled = ir_get_int(k->op, "scaled");
  k->sched.factors = (unsigned)ir_get_int(k->op, "factors");
  if (k->runs.dot.id == CG_DOT_VPDPBUSD)
    k->sched.narrow = ir_get_int(k->op, "narrow");
  k->sched.by_wide = ir_get_int(k->op, "wide") && k->runs.dot.k > 1;
  k->sched.by_plane = ir_get_int(k->op, "plane");
  k->sched.by_words = ir_get_int(k->op, "words") && facts->dot == CG_DOT_SMLAD;
  k->matrix.step = ir_get_int(k->op, "matrix");
  k->matrix.rows = k->matrix.step ? runs_matrix_rows(&loops) : 0;
  k->forms.scalable = ir_get_int(k->op, "scalable") && facts->scalable;
}

/* A running fold, or an order, in the kernel. */
static void find_carry(struct kernel_cg *k) {
  for (const struct ir_op *o = k->body->first; o->next; o = o->next) {
    const struct nest *n =
        ir_ops[o->code].cls == IR_REDUCE ? kernel_nest(k, o) : NULL;
    if (!n || n->carried < 0)
      continue;
    k->carry.dim = n->carried;
    k->carry.back = n->back;
    k->ordered = n->fold == NEST_NTH;
  }
}

/* The level that threads share. */
static int shared_level(struct kernel_cg *k, const struct shape *s) {
  k->threads.units = 0;
  for (int level = 0; level < s->n && k->e->opts->threads > 1; level++) {
    const struct ir_loop *l = &s->loop[s->level[level]];
    if (!l->par || loops_units(l) < 2)
      continue;
    k->threads.units = loops_units(l);
    return level;
  }
  return -1;
}

static void build_function(struct kernel_cg *k, const struct ir_value *root,
                           const struct ir_place *out, const char *name) {
  struct shape shape;
  if (k->op)
    find_carry(k);
  set_schedule(k, root, out, &shape);
  int par = shared_level(k, &shape);
  make_function(k, name);
  k->b = LLVMCreateBuilderInContext(k->e->lc);
  LLVMPositionBuilderAtEnd(k->b, scope_block(k, "entry"));
  struct tiler t = {
      .k = k, .shape = &shape, .root = root, .out = *out, .par = par};
  emit_dim(&t, 0);
  assert(!k->scope->depth && "each loop that is opened is closed");
  if (k->sched.narrow && !k->narrowed)
    emit_no_runs(k, "narrow");
  emit_matrix_end(k);
  LLVMBuildRetVoid(k->b);
  LLVMDisposeBuilder(k->b);
  if (k->forms.overflow)
    emit_fail(k, DN_SHAPE, "index arithmetic overflows");
}

static void call_function(struct emit *e, const struct emit_places *p,
                          const struct emit_function *f) {
  LLVMValueRef *args = DN_ARRAY(p->arena, LLVMValueRef, p->order.n);
  unsigned n = 0;
  for (size_t i = 0; i < p->order.n; i++)
    if (emit_is_passed(e, p->order.v[i]))
      args[n++] = emit_argument(e, p->order.v[i]);
  assert(LLVMCountParams(f->fn) == n + (f->units ? 2 : 0) &&
         "functions of equal words have equal parameters");
  if (f->units)
    emit_parallel(e, f, args, n);
  else
    LLVMBuildCall2(e->b, LLVMGlobalGetValueType(f->fn), f->fn, args, n, "");
}

/* The function, for kernels to come as well unless something was said that
 * holds for this one alone. */
static struct emit_function *keep_function(const struct kernel_cg *k,
                                           bool told) {
  struct emit *e = k->e;
  struct emit_function *f = DN_NEW(e->scratch, struct emit_function);
  f->fn = k->fn;
  f->units = k->threads.units;
  if (f->units)
    emit_chunk(e, f, count_passed(e, k->places));
  if (!k->own && !told)
    emit_share_add(e, k->places, f);
  return f;
}

static struct emit_function *
make_loops(struct emit *e, const struct ir_op *op, const struct ir_value *root,
           const struct ir_value *out, const struct ir_place *place,
           const struct emit_places *places, const char *name) {
  struct emit_function *f = NULL;
  size_t before = dn_diags_count(e->ctx);
  struct kernel_cg k;
  kernel_cg_init(&k, e, op, out);
  k.places = places;
  build_function(&k, root, place, name);
  if (!k.failed)
    f = keep_function(&k, dn_diags_count(e->ctx) > before);
  dn_arena_free(k.arena);
  return f;
}

void emit_loops(struct emit *e, const struct ir_op *op,
                const struct ir_value *root, const struct ir_value *out,
                const struct ir_place *place, const char *name) {
  if (!ir_type_count(out->type))
    return;
  struct emit_places places = {.arena = dn_arena_new(e->ctx)};
  emit_find_places(e, op, root, out, place, &places);
  struct emit_function *f = emit_share_find(e, &places);
  if (!f)
    f = make_loops(e, op, root, out, place, &places, name);
  if (f)
    call_function(e, &places, f);
  dn_arena_free(places.arena);
}

void emit_kernel(struct emit *e, const struct ir_op *op, const char *name) {
  struct ir_place out = emit_place(ir_result(op));
  const struct ir_op *onto = nest_onto(op);
  if (onto)
    emit_onto(e, op, onto, &out, name);
  else
    emit_loops(e, op, ir_arg(op->region[0]->last, 0), ir_result(op), &out,
               name);
}

void emit_copy(struct emit *e, const struct ir_value *from,
               const struct ir_place *to, const char *name) {
  emit_loops(e, NULL, from, from, to, name);
}
