/* emit_kernel.c - one function per kernel: loops over the result in tiles of
 * the schedule, exact in every dimension, with what is left over peeled.
 *
 * What the kernel reads (ir/reads.h) says which dimensions can be one loop and
 * where a dimension is best cut (pieces of a concat, edges of a pad), so that
 * ranges prove the checks away.
 */
#include "codegen/emit_tile.h"

#include "ir/reads.h"

#include <string.h>

/* How far the schedule is obeyed: a second and a third attempt are for tiles
 * whose code would be too large. */
enum { ATTEMPTS = 3, WORK_LIMIT = 24000, MAX_CUTS = 24, MAX_LANES = 64 };

static void kernel_cg_init(struct kernel_cg *k, struct emit *e,
                           const struct ir_op *op, const struct ir_value *out) {
  *k = (struct kernel_cg){.e = e, .op = op, .out = out, .vec = 1};
  k->arena = dn_arena_new(e->ctx);
  k->unroll = 1;
  k->carry.dim = -1;
  k->budget = WORK_LIMIT;
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
  k->nests = DN_ARRAY(k->arena, struct nest *, n);
}

/* ---- The shape of the loop nest ---- */

static void add_cut(struct kernel_cg *k, struct kdim *d, int64_t at) {
  size_t i = d->cuts.n;
  if (at <= 0 || at >= d->extent)
    return;
  for (size_t j = 0; j < d->cuts.n; j++)
    if (d->cuts.v[j] == at)
      return;
  DN_PUSH(k->arena, d->cuts, at);
  for (; i && d->cuts.v[i - 1] > at; i--)
    d->cuts.v[i] = d->cuts.v[i - 1];
  d->cuts.v[i] = at;
}

/* Pieces of concats always cut, unless there are very many; edges of pads while
 * the copies of the loop body stay few. */
static void find_cuts(struct kernel_cg *k, const struct reads *r,
                      struct shape *s) {
  for (size_t i = 0; i < 2 * r->edges.n; i++) {
    const struct read_edge *b = &r->edges.v[i % r->edges.n];
    bool piece = b->kind == READ_PIECE;
    size_t copies = 1;
    if (piece != (i < r->edges.n))
      continue;
    for (int g = 0; g < s->n; g++)
      copies *= s->dim[g].cuts.n + 1;
    for (int g = 0; g < s->n; g++)
      if (s->dim[g].at == b->dim && s->dim[g].coef == 1 &&
          b->dim != k->carry.dim &&
          s->dim[g].extent == k->out->type->dim[b->dim] &&
          (b->kind != READ_WINDOW || g == s->n - 1) &&
          copies < (piece ? 256 : MAX_CUTS))
        add_cut(k, &s->dim[g], b->at);
  }
  for (int g = 0; g < s->n; g++)
    DN_PUSH(k->arena, s->dim[g].cuts, s->dim[g].extent);
}

/* A result dimension, as blocks of the size that its index is divided by:
 * within one, the quotient (a group of a convolution) is the same in all lanes.
 * Blocks too small for vectors are not worth it. */
static void add_dim(struct shape *s, const struct reads *r, int d,
                    int64_t extent, int64_t tile) {
  int64_t period = extent;
  for (size_t i = 0; i < r->periods.n; i++) {
    const struct read_period *p = &r->periods.v[i];
    if (p->dim == d && p->at >= 4 && p->at < period && extent % p->at == 0 &&
        r->pinned >> d & 1)
      period = p->at;
  }
  for (size_t i = 0; i < r->edges.n; i++)
    if (r->edges.v[i].dim == d && r->edges.v[i].kind == READ_PIECE)
      period = extent;
  if (period < extent)
    s->dim[s->n++] = (struct kdim){d, d, .coef = period,
                                   .extent = extent / period, .tile = 1};
  s->dim[s->n++] =
      (struct kdim){d, d, .coef = 1, .extent = period, .tile = tile};
}

/* A dimension's level in the schedule's order of loops; without one, row-major.
 * That of a running fold is innermost, so that what it carries fits into
 * registers. */
static int64_t rank_of(const struct kernel_cg *k, int dim) {
  if (dim == k->carry.dim)
    return IR_MAX_RANK;
  int64_t n = k->op ? ir_get_len(k->op, "order") : 0;
  for (int64_t i = 0; i < n; i++)
    if (ir_get_at(k->op, "order", i) == dim)
      return i;
  return dim;
}

static void find_order(const struct kernel_cg *k, struct shape *s) {
  for (int g = 0; g < s->n; g++) {
    int64_t rank = rank_of(k, s->dim[g].at);
    int i = g;
    for (; i && rank_of(k, s->dim[s->level[i - 1]].at) > rank; i--)
      s->level[i] = s->level[i - 1];
    s->level[i] = g;
  }
}

/* The loop that the schedule's lanes go along, when that is not the last. It
 * may be one of two that the last dimension is cut into; they share its tile.
 */
static int find_turned(const struct kernel_cg *k, struct shape *s) {
  int64_t lanes = k->op ? ir_get_int(k->op, "lanes") : -1;
  for (int g = s->n - 2; lanes >= 0 && g >= 0; g--) {
    if (s->dim[g].at != lanes)
      continue;
    if (s->dim[g].at == s->dim[s->n - 1].at)
      s->dim[g].tile = dn_max(1, s->dim[s->n - 1].tile / s->dim[g].coef);
    return g;
  }
  return -1;
}

static void find_shape(struct kernel_cg *k, const struct reads *r,
                       struct shape *s) {
  const struct ir_type *type = k->out->type;
  s->n = 0;
  k->carry.dim = r->carried;
  k->carry.back = r->back;
  k->ordered = r->ordered;
  for (int d = 0; d < type->rank; d++) {
    int64_t tile = k->op ? dn_max(ir_get_at(k->op, "tile", d), 1) : 1;
    if (type->dim[d] == 1 || (k->ordered && d == k->carry.dim))
      continue;
    struct kdim *last = s->n ? &s->dim[s->n - 1] : NULL;
    if (d == k->carry.dim) /* one index after another */
      s->dim[s->n++] =
          (struct kdim){d, d, .coef = 1, .extent = type->dim[d], .tile = 1};
    else if (last && last->at != k->carry.dim &&
             reads_are_one(r, last->at, d)) {
      if (!dn_mul(last->tile, tile, &last->tile))
        last->tile = last->extent;
      last->extent *= type->dim[d];
      last->at = d;
    } else {
      add_dim(s, r, d, type->dim[d], tile);
    }
  }
  find_cuts(k, r, s);
  find_order(k, s);
  s->turned = find_turned(k, s);
}

/* ---- Loops ---- */

static void emit_dim(struct tiler *t, int level);

/* Indices [from, from + n) of the last loop, in vectors of the machine's own
 * length, the last one shorter. */
static void emit_scalable(struct tiler *t, int level, int64_t from, int64_t n) {
  struct kernel_cg *k = t->k;
  if (k->work > k->budget || k->failed)
    return;
  int g = t->shape->level[level];
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
  if (!count || k->work > k->budget || k->failed)
    return;
  if (shared)
    scope_open_range(k, t->unit, count);
  else if (loop)
    scope_open(k, count, 0, NULL, NULL);
  t->base[g] =
      loop ? affine_plus(&k->forms, affine_var(&k->forms, k->scope->var, tile),
                         from)
           : affine_const(&k->forms, from);
  t->size[g] = tile;
  t->unit += shared ? count : 0;
  emit_dim(t, level + 1);
  if (loop)
    scope_close(k, 0, NULL, NULL);
}

/* All indices of a running fold's dimension, in its direction. */
static void emit_carried(struct tiler *t, int level, int64_t count) {
  struct kernel_cg *k = t->k;
  int g = t->shape->level[level];
  struct emit_carry *c = &k->carry;
  if (k->work > k->budget || k->failed)
    return;
  scope_open(k, count, 0, NULL, NULL);
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
  int64_t tile = dn_min(t->shape->dim[g].tile, n);
  if (t->k->forms.scalable && g == t->shape->n - 1) {
    emit_scalable(t, level, from, n);
    return;
  }
  emit_tiles(t, level, from, tile, n / tile);
  emit_tiles(t, level, from + n / tile * tile, n % tile, n % tile != 0);
}

static void emit_dim(struct tiler *t, int level) {
  if (level == t->shape->n) {
    emit_tile(t);
    return;
  }
  const struct kdim *d = &t->shape->dim[t->shape->level[level]];
  int64_t from = 0;
  if (d->at == t->k->carry.dim) {
    emit_carried(t, level, d->extent);
    return;
  }
  if (level == t->par)
    t->unit = 0;
  for (size_t i = 0; i < d->cuts.n; i++) {
    emit_segment(t, level, from, d->cuts.v[i] - from);
    from = d->cuts.v[i];
  }
}

/* ---- The function ---- */

static LLVMTypeRef function_type(struct kernel_cg *k, unsigned npointers) {
  LLVMTypeRef *params = DN_ARRAY(k->arena, LLVMTypeRef, npointers + 2);
  for (unsigned i = 0; i < npointers; i++)
    params[i] = k->e->ptr;
  if (k->units) {
    params[npointers++] = k->e->iptr;
    params[npointers++] = k->e->iptr;
  }
  return LLVMFunctionType(k->e->void_, params, npointers, false);
}

/* The pointer to a buffer, and what is known of it. */
static void pass_buffer(struct kernel_cg *k, struct emit_buffer *b,
                        unsigned *nparams) {
  struct emit *e = k->e;
  if (!emit_is_passed(b)) {
    b->ptr = emit_const_global(e, b->base);
    return;
  }
  b->ptr = LLVMGetParam(k->fn, *nparams);
  int at = (int)++*nparams;
  emit_attribute(e, k->fn, at, "noalias", 0);
  if (!b->written)
    emit_attribute(e, k->fn, at, "readonly", 0);
  if (b->align > 1)
    emit_attribute(e, k->fn, at, "align", (uint64_t)b->align);
}

static unsigned count_passed(const struct emit_places *p) {
  unsigned n = 0;
  for (size_t i = 0; i < p->order.n; i++)
    n += emit_is_passed(p->order.v[i]);
  return n;
}

static void make_function(struct kernel_cg *k, const char *name) {
  struct emit *e = k->e;
  unsigned nparams = 0, npointers = count_passed(k->places);
  k->fn = LLVMAddFunction(e->mod, name, function_type(k, npointers));
  emit_function_attributes(e, k->fn, name);
  emit_attribute(e, k->fn, LLVMAttributeFunctionIndex, "noinline", 0);
  for (size_t i = 0; i < k->places->order.n; i++)
    pass_buffer(k, k->places->order.v[i], &nparams);
  if (!k->units)
    return;
  k->begin = LLVMGetParam(k->fn, nparams);
  k->end = LLVMGetParam(k->fn, nparams + 1);
}

static bool place_strides(const void *places, const struct ir_value *v,
                          int64_t *stride) {
  struct ir_place p;
  (void)places;
  if (!ir_place_of(v, &p))
    return false;
  memcpy(stride, p.stride, sizeof p.stride);
  return true;
}

/* The schedule, as far as attempt number `attempt` obeys it. */
static void set_schedule(struct kernel_cg *k, struct shape *s, int attempt) {
  struct emit *e = k->e;
  int64_t vec = k->op ? ir_get_int(k->op, "vec") : 1;
  k->vec = (unsigned)dn_max(1, dn_min(vec, MAX_LANES));
  k->vec = k->ordered ? 1 : k->vec;
  k->unroll = k->op ? dn_max(ir_get_at(k->op, "unroll", 0), 1) : 1;
  k->prefetch = k->op ? ir_get_int(k->op, "prefetch") : 0;
  if (!k->op) { /* a copy: whole registers */
    unsigned bytes = ir_dtypes[k->out->type->dtype].bytes;
    k->vec = (unsigned)dn_max(1, e->facts->vector_bytes / (int)bytes);
    if (s->n)
      s->dim[s->n - 1].tile = k->vec;
  }
  for (int g = 0; attempt && g < s->n; g++)
    s->dim[g].tile = attempt == 1 && g == s->n - 1 ? k->vec : 1;
  if (attempt)
    k->unroll = 1;
  if (attempt == 2 || (k->onto && (!s->n || s->dim[s->n - 1].at == 0)))
    k->vec = 1;
  for (int g = 0; k->onto && g < s->n; g++)
    if (s->dim[g].at == 0) /* one slice after another */
      s->dim[g].tile = 1;
  k->forms.scalable = k->op && ir_get_int(k->op, "scalable") &&
                      e->facts->scalable && s->n && s->turned < 0 && !k->onto &&
                      k->vec > 1 && !(k->vec & (k->vec - 1)) &&
                      s->dim[s->n - 1].at != k->carry.dim;
  /* What cannot fit into any budget is not even tried. */
  int64_t rows = dn_div_ceil(k->vec, k->native);
  for (int g = s->n; g-- > 0;) {
    int64_t most = dn_max(WORK_LIMIT / 16 / rows, 1);
    int64_t lanes = g == s->n - 1 ? k->vec : 1;
    if (s->dim[g].at == k->carry.dim || k->ordered)
      s->dim[g].tile = 1;
    s->dim[g].tile = dn_min(s->dim[g].tile, dn_min(most * lanes, 65536));
    s->dim[g].tile = dn_min(s->dim[g].tile, s->dim[g].extent);
    rows *= dn_div_ceil(s->dim[g].tile, lanes);
  }
  k->unroll = dn_min(k->unroll, dn_max(WORK_LIMIT / 4 / rows, 1));
}

/* Tiles that a loop goes through, the rest of each segment included. */
static int64_t count_units(const struct kdim *d) {
  int64_t units = 0, from = 0;
  for (size_t i = 0; i < d->cuts.n; i++) {
    int64_t n = d->cuts.v[i] - from;
    units += dn_div_ceil(n, dn_min(d->tile, n));
    from = d->cuts.v[i];
  }
  return units;
}

/* The level that threads share: of the loops over the schedule's dimension the
 * one that goes through most tiles. */
static int shared_level(struct kernel_cg *k, const struct shape *s) {
  int64_t par = k->op ? ir_get_int(k->op, "par") : -1, most = 1;
  int level = -1;
  if (k->e->opts->threads < 2 || k->onto)
    return -1;
  for (int l = 0; l < s->n; l++) {
    const struct kdim *d = &s->dim[s->level[l]];
    if (par < d->first || par > d->at || count_units(d) <= most ||
        d->at == k->carry.dim || (k->forms.scalable && d == &s->dim[s->n - 1]))
      continue;
    most = count_units(d);
    level = l;
  }
  k->units = level < 0 ? 0 : most;
  return level;
}

/* Code for one attempt; false when it grew over the budget. */
static bool try_kernel(struct kernel_cg *k, const struct reads *r,
                       const struct ir_value *root, const struct ir_place *out,
                       const char *name, int attempt) {
  struct shape shape;
  find_shape(k, r, &shape);
  set_schedule(k, &shape, attempt);
  k->budget = attempt + 1 < ATTEMPTS ? WORK_LIMIT : 20 * WORK_LIMIT;
  int par = shared_level(k, &shape);
  make_function(k, name);
  k->b = LLVMCreateBuilderInContext(k->e->lc);
  LLVMPositionBuilderAtEnd(k->b, scope_block(k, "entry"));
  struct tiler t = {
      .k = k, .shape = &shape, .root = root, .out = *out, .par = par};
  emit_dim(&t, 0);
  LLVMBuildRetVoid(k->b);
  LLVMDisposeBuilder(k->b);
  if (k->forms.overflow)
    emit_fail(k, DN_SHAPE, "index arithmetic overflows");
  if (k->work <= k->budget)
    return true;
  if (attempt + 1 == ATTEMPTS)
    emit_fail(k, DN_LIMIT, "the kernel's code would be too large");
  LLVMDeleteFunction(k->fn);
  return false;
}

static void call_function(struct emit *e, const struct emit_places *p,
                          const struct emit_function *f) {
  LLVMValueRef *args = DN_ARRAY(p->arena, LLVMValueRef, p->order.n);
  unsigned n = 0;
  for (size_t i = 0; i < p->order.n; i++)
    if (emit_is_passed(p->order.v[i]))
      args[n++] = emit_argument(e, p->order.v[i]);
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
  f->units = k->units;
  if (f->units)
    emit_chunk(e, f, count_passed(k->places));
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
  struct dn_arena *tmp = dn_arena_new(e->ctx);
  const struct reads *r =
      reads_build(tmp, op, root, place->stride, place_strides, NULL);
  for (int attempt = 0; attempt < ATTEMPTS && !f; attempt++) {
    struct kernel_cg k;
    kernel_cg_init(&k, e, op, out);
    k.places = places;
    if (try_kernel(&k, r, root, place, name, attempt))
      f = keep_function(&k, dn_diags_count(e->ctx) > before);
    dn_arena_free(k.arena);
    if (k.failed)
      break;
  }
  dn_arena_free(tmp);
  return f;
}

bool emit_loops(struct emit *e, const struct ir_op *op,
                const struct ir_value *root, const struct ir_value *out,
                const struct ir_place *place, const char *name) {
  struct emit_function *f = NULL;
  if (!ir_type_count(out->type))
    return true;
  struct emit_places places = {.arena = dn_arena_new(e->ctx)};
  bool known = emit_find_places(e, op, root, out, place, &places);
  if (!known)
    dn_error(e->ctx, op ? ir_loc(op) : (struct dn_loc){0}, DN_INTERNAL,
             "a value that a kernel reads has no place");
  else if (!(f = emit_share_find(e, &places)))
    f = make_loops(e, op, root, out, place, &places, name);
  if (f)
    call_function(e, &places, f);
  dn_arena_free(places.arena);
  return f && !e->failed;
}

bool emit_kernel(struct emit *e, const struct ir_op *op, const char *name) {
  struct ir_place out;
  if (!ir_place_of(ir_result(op), &out)) {
    dn_error(e->ctx, ir_loc(op), DN_INTERNAL,
             "the result of a kernel has no place");
    return false;
  }
  const struct ir_op *onto = nest_onto(op);
  if (onto)
    return emit_onto(e, op, onto, &out, name);
  return emit_loops(e, op, ir_arg(op->region[0]->last, 0), ir_result(op), &out,
                    name);
}

bool emit_copy(struct emit *e, const struct ir_value *from,
               const struct ir_place *to, const char *name) {
  return emit_loops(e, NULL, from, from, to, name);
}
