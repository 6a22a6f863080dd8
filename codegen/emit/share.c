/* share.c - kernels that are the same up to places are one function.
 *
 * A kernel's function sees memory as buffers: ranges of bytes of the arena, of
 * an argument or of a constant, each passed as a pointer. So a function is
 * settled by a list of words that says everything of the kernel but where its
 * buffers start: schedule, ops, types, strides, offsets within a buffer, what
 * is known of its alignment, which buffers are one. The list is made in one
 * walk over the kernel, before any code; an equal list made earlier is an equal
 * function.
 *
 * Places that overlap share a buffer, so that buffers never alias, but for a
 * result over a part of an operand. */
#include "codegen/emit/impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* A kernel that touches more places of the arena sees it whole: pointers are
 * registers. */
enum { MOST_RANGES = 6 };

/* ---- The buffers ---- */

static struct emit_buffer at_offset(const struct ir_place *p) {
  struct emit_buffer b = {.space = p->space,
                          .number = p->number,
                          .base = p->base,
                          .from = p->offset,
                          .to = p->offset,
                          .align = 1};
  if (p->space != IR_IN_CONST || p->base->data->bytes)
    memcpy(b.step, p->step, sizeof b.step);
  return b;
}

static bool moves(const struct emit_buffer *b) {
  static const int64_t still[IR_MAX_LOOPS_AROUND];
  return memcmp(b->step, still, sizeof still) != 0;
}

/* What code can make use of: without vectors, that of words. */
static int64_t arena_align(const struct ir_facts *t) {
  return t->vector_bytes ? t->align : dn_min(t->align, t->pointer_bytes);
}

static struct emit_buffer range_of(struct emit *e, const struct ir_value *v,
                                   const struct ir_place *p) {
  int64_t size = ir_dtypes[v->type->dtype].bytes;
  struct emit_buffer b = at_offset(p);
  for (int d = 0; d < v->type->rank; d++) {
    int64_t last = dn_max(v->type->dim[d] - 1, 0) * p->stride[d] * size;
    b.from += dn_min(last, 0);
    b.to += dn_max(last, 0);
  }
  b.to += size;
  b.align = (int)size;
  if (p->space == IR_IN_ARENA ||
      (p->space == IR_IN_OUTPUT && e->port[e->ninputs + p->number] < 0))
    b.align = (int)dn_max(arena_align(e->facts), size);
  if (p->space == IR_IN_CONST)
    b.align = emit_const_align(e);
  return b;
}

static int compare_ranges(const void *a, const void *b) {
  const struct emit_buffer *x = a, *y = b;
  unsigned m = x->base ? x->base->id : 0, n = y->base ? y->base->id : 0;
  if (x->space != y->space)
    return x->space < y->space ? -1 : 1;
  if (x->number != y->number)
    return x->number < y->number ? -1 : 1;
  if (m != n)
    return m < n ? -1 : 1;
  int steps = memcmp(x->step, y->step, sizeof x->step);
  if (steps)
    return steps;
  return (x->from > y->from) - (x->from < y->from);
}

static bool same_memory(const struct emit_buffer *a,
                        const struct emit_buffer *b) {
  return a->space == b->space && a->number == b->number && a->base == b->base &&
         !memcmp(a->step, b->step, sizeof a->step);
}

/* What is written, over a part of what is read; columns of one buffer, which
 * lie between each other, are not. */
static bool is_over(const struct emit_buffer *a, const struct emit_buffer *b) {
  return same_memory(a, b) && a->written != b->written &&
         (a->dense || b->dense) && a->from != b->from && a->from < b->to &&
         b->from < a->to;
}

static void mark_over(struct emit_places *p) {
  for (size_t i = 0; i < p->buffers.n; i++)
    for (size_t k = 0; k < p->buffers.n && p->buffers.v[i].written; k++)
      if (is_over(&p->buffers.v[i], &p->buffers.v[k]))
        p->buffers.v[i].over = p->buffers.v[k].over = true;
}

/* Joins those of the same memory that overlap or, with `all`, any. */
static void join_ranges(struct emit_places *p, bool all) {
  size_t n = 0;
  qsort(p->buffers.v, p->buffers.n, sizeof *p->buffers.v, compare_ranges);
  for (size_t i = 0; i < p->buffers.n; i++) {
    struct emit_buffer *b = &p->buffers.v[i];
    struct emit_buffer *last = n ? &p->buffers.v[n - 1] : NULL;
    if (last && same_memory(last, b) &&
        (all || (b->from < last->to && !is_over(last, b)))) {
      last->to = dn_max(last->to, b->to);
      last->align = (int)dn_min(last->align, b->align);
      last->written |= b->written;
      last->dense |= b->dense;
    } else {
      p->buffers.v[n++] = *b;
    }
  }
  p->buffers.n = n;
}

static size_t count_arena(const struct emit_places *p) {
  size_t n = 0;
  for (size_t i = 0; i < p->buffers.n; i++)
    n += p->buffers.v[i].space == IR_IN_ARENA;
  return n;
}

bool emit_is_passed(const struct emit *e, const struct emit_buffer *b) {
  return b->space != IR_IN_CONST ||
         (b->base->data->bytes &&
          (e->apart || ir_type_bytes(b->base->type) >= 16 || moves(b)));
}

struct emit_buffer *emit_buffer_of(const struct emit_places *places,
                                   const struct ir_place *p) {
  size_t lo = 0, hi = places->buffers.n;
  struct emit_buffer key = at_offset(p);
  while (hi - lo > 1) {
    size_t mid = lo + (hi - lo) / 2;
    if (compare_ranges(&places->buffers.v[mid], &key) <= 0)
      lo = mid;
    else
      hi = mid;
  }
  return &places->buffers.v[lo];
}

static void add_place(struct emit *e, struct emit_places *p,
                      const struct ir_value *v, const struct ir_place *at,
                      bool written) {
  struct emit_buffer b = range_of(e, v, at);
  b.written = written;
  b.dense = written && ir_type_is_dense(v->type, at->stride);
  DN_PUSH(p->arena, p->buffers, b);
}

/* ---- The words ---- */

static void put(struct emit_places *p, uint64_t word) {
  DN_PUSH(p->arena, p->words, word);
}

static void put_pointer(struct emit_places *p, const void *interned) {
  put(p, (uint64_t)(uintptr_t)interned);
}

static void put_bytes(struct emit_places *p, const void *bytes, size_t n) {
  const char *from = bytes;
  put(p, n);
  for (size_t i = 0; i < n; i += sizeof(uint64_t)) {
    uint64_t word = 0;
    memcpy(&word, from + i, n - i < sizeof word ? n - i : sizeof word);
    put(p, word);
  }
}

static void put_attr(struct emit_places *p, const struct ir_attr *a) {
  size_t n;
  const void *bytes = ir_attr_bytes(a, &n);
  put_pointer(p, a->name);
  put(p, (uint64_t)a->kind);
  if (a->kind != IR_A_RECORDS)
    put_bytes(p, bytes, n);
  for (int64_t i = 0; a->kind == IR_A_RECORDS && i < a->n; i++) {
    put(p, a->rs[i].n);
    for (unsigned k = 0; k < a->rs[i].n; k++)
      put_attr(p, &a->rs[i].field[k]);
  }
}

static void put_attrs(struct emit_places *p, const struct ir_op *op) {
  put(p, op->code);
  for (unsigned i = 0; i < op->nattrs; i++)
    if (!ir_is_plan_attr(op->attr[i].name))
      put_attr(p, &op->attr[i]);
}

/* Value ranges of operands that generated code depends on: indices,
 * multipliers, shifts. */
static void put_range(struct emit_places *p, const struct ir_op *op) {
  bool onto = (ir_ops[op->code].traits & IR_ONTO) != 0;
  if (onto || op->code == IR_GATHER || op->code == IR_GATHER_ELEMENTS) {
    int d = onto ? 0 : (int)ir_get_int(op, "axis");
    put(p, emit_is_inside(ir_arg(op, 1), ir_arg(op, 0)->type, d));
    return;
  }
  if (op->code != IR_HMUL && op->code != IR_RSHR && op->code != IR_SHR &&
      op->code != IR_SHL)
    return;
  struct emit_range r = emit_range_of(ir_arg(op, 1));
  put(p, (uint64_t)r.least);
  put(p, (uint64_t)r.most);
}

/* A buffer that is met for the first time gets the next number. */
static void put_buffer(struct emit_places *p, struct emit_buffer *b) {
  assert(b->align > 0 && b->from < b->to && "range_of(): an element at least");
  uint64_t bits = (uint64_t)b->align | (uint64_t)b->from;
  if (b->index) {
    put(p, b->index);
    return;
  }
  for (int d = 0; d < IR_MAX_LOOPS_AROUND; d++)
    bits |= (uint64_t)b->step[d];
  DN_PUSH(p->arena, p->order, b);
  b->index = (unsigned)p->order.n;
  b->align = (int)(bits & (~bits + 1));
  put(p, b->index);
  put(p, (uint64_t)b->align << 3 | (unsigned)b->over << 2 |
             (unsigned)b->written << 1 | (b->space == IR_IN_CONST));
  if (b->space != IR_IN_CONST || emit_is_passed(p->e, b))
    return;
  put_pointer(p, b->base->data->bytes ? b->base : NULL);
  put(p, b->base->data->splat);
}

static void put_place(struct emit_places *p, const struct ir_value *v,
                      const struct ir_place *at) {
  struct emit_buffer *b = emit_buffer_of(p, at);
  put_pointer(p, v->type);
  put_buffer(p, b);
  put(p, (uint64_t)(at->offset - b->from));
  put(p, at->dense != NULL);
  for (int d = 0; d < v->type->rank; d++) /* of one element none counts */
    put(p, v->type->dim[d] > 1 ? (uint64_t)at->stride[d] : 0);
}

/* ---- One walk ---- */

struct ir_place emit_place(const struct ir_value *v) {
  struct ir_place p;
  bool placed = ir_place_of(v, &p);
  assert(placed && "rule placed");
  (void)placed;
  return p;
}

/* A value from outside, once. */
static void add_leaf(struct emit *e, struct emit_places *p,
                     const struct ir_value *v) {
  if (e->leaf[v->id])
    return;
  struct emit_leaf leaf = {v, emit_place(v)};
  DN_PUSH(p->arena, p->leaves, leaf);
  e->leaf[v->id] = (unsigned)p->leaves.n;
  add_place(e, p, v, &leaf.place, false);
}

static void add_leaves(struct emit *e, struct emit_places *p,
                       const struct ir_op *op, const struct ir_value *root) {
  if (!op)
    add_leaf(e, p, root);
  for (const struct ir_op *o = op ? op->region[0]->first : NULL; o; o = o->next)
    for (unsigned i = 0; i < o->noperands; i++)
      if (ir_home(ir_arg(o, i)) != op->region[0])
        add_leaf(e, p, ir_arg(o, i));
}

/* Ops of the body: operands are results of ops before, or leaves. */
static void put_body(struct emit *e, struct emit_places *p,
                     const struct ir_op *op) {
  unsigned n = 0;
  put_attrs(p, op);
  for (const struct ir_op *o = op->region[0]->first; o; o = o->next) {
    e->slot[o->id] = n++;
    put_attrs(p, o);
    put_range(p, o);
    for (unsigned i = 0; i < o->noperands; i++) {
      const struct ir_value *v = ir_arg(o, i);
      put(p, e->leaf[v->id] ? (uint64_t)e->leaf[v->id] << 32
                            : (uint64_t)e->slot[v->def->id] << 8 | v->index);
    }
    for (unsigned i = 0; i < o->nresults; i++)
      put_pointer(p, o->result[i]->type);
  }
}

/* Sizes that are known at run time only are read from memory. */
static struct ir_place add_sizes(struct emit_places *p, const struct ir_op *op,
                                 const struct ir_value *out) {
  struct ir_place at = {.space = IR_IN_SIZES};
  bool any = ir_type_is_sized(out->type);
  for (size_t i = 0; i < p->leaves.n; i++)
    any |= ir_type_is_sized(p->leaves.v[i].value->type);
  for (const struct ir_op *o = op ? op->region[0]->first : NULL; o; o = o->next)
    for (unsigned i = 0; i < o->nresults; i++)
      any |= ir_type_is_sized(o->result[i]->type);
  struct emit_buffer b = at_offset(&at);
  b.to = 1;
  b.align = (int)sizeof(int64_t);
  if (any)
    DN_PUSH(p->arena, p->buffers, b);
  at.offset = any ? 0 : -1;
  return at;
}

void emit_find_places(struct emit *e, const struct ir_op *op,
                      const struct ir_value *root, const struct ir_value *out,
                      const struct ir_place *place, struct emit_places *p) {
  const struct ir_value *made = op ? ir_result(op) : out;
  p->e = e;
  add_leaves(e, p, op, root);
  add_place(e, p, made, place, true);
  struct ir_place sizes = add_sizes(p, op, out);
  join_ranges(p, false);
  if (count_arena(p) > MOST_RANGES)
    join_ranges(p, true);
  mark_over(p);
  if (op)
    put_body(e, p, op);
  put_pointer(p, out->type);
  put_place(p, made, place);
  for (size_t i = 0; i < p->leaves.n; i++)
    put_place(p, p->leaves.v[i].value, &p->leaves.v[i].place);
  if (!sizes.offset)
    put_buffer(p, emit_buffer_of(p, &sizes));
  p->hash = XXH3_64bits(p->words.v, p->words.n * sizeof *p->words.v);
  for (size_t i = 0; i < p->leaves.n; i++)
    e->leaf[p->leaves.v[i].value->id] = 0;
}

/* ---- The functions made so far ---- */

struct emit_function *emit_share_find(const struct emit *e,
                                      const struct emit_places *p) {
  struct emit_function *f = e->shared[p->hash & e->shared_mask];
  while (f && (f->hash != p->hash || f->nwords != p->words.n ||
               memcmp(f->word, p->words.v, f->nwords * sizeof *f->word) != 0))
    f = f->chain;
  return f;
}

void emit_share_add(struct emit *e, const struct emit_places *p,
                    struct emit_function *f) {
  assert(f->fn && !f->word && "a function is kept once");
  f->hash = p->hash;
  f->nwords = p->words.n;
  f->word = dn_copy(e->scratch, p->words.v, f->nwords * sizeof *f->word);
  f->chain = e->shared[p->hash & e->shared_mask];
  e->shared[p->hash & e->shared_mask] = f;
}
