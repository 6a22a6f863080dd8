/* liveness.c - nodes, buffers and live bytes: see liveness.h. */
#include "passes/liveness.h"

#include "ir/size.h"
#include "passes/inplace.h"
#include "passes/overlap.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { LARGE = 4096 }; /* bytes from which a buffer gets the full alignment */

struct build {
  struct dn_arena *arena;
  struct live *l;
  const struct aliases *aliases;
  int *number; /* of the buffers that live in the block, by the aliases' */
  int *seen;   /* by buffer or node: the node that last listed it, plus 1 */
  DN_LIST(int) list;   /* being collected */
  DN_LIST(int) makers; /* nodes so far that set sizes */
};

/* Small buffers are aligned to what divides their size, so that none is lost
 * between them: two of 400 bytes need 800. */
static int64_t buffer_align(int64_t size, int64_t align) {
  assert(size >= 0 && "bytes of a static type: rule static");
  if (size >= LARGE || size == 0)
    return align;
  return dn_min(align, size & -size);
}

static void begin(struct build *b) { b->list.n = 0; }

static struct live_list finish(struct build *b) {
  assert(b->list.n <= (size_t)(b->l->nnodes + b->l->nbuffers) &&
         "nodes or buffers, each once: collect()");
  struct live_list out = {.n = (int)b->list.n};
  out.v = dn_copy(b->arena, b->list.v, b->list.n * sizeof *out.v);
  return out;
}

static void collect(struct build *b, int what, int node) {
  if (what < 0 || b->seen[what] == node + 1)
    return;
  assert(what < b->l->nnodes + b->l->nbuffers && "seen[] has room for either");
  b->seen[what] = node + 1;
  DN_PUSH(b->arena, b->list, what);
}

/* Calls `see` for every value from outside that an op reads, in its regions
 * too. */
static void each_read(struct build *b, const struct ir_op *op, int node,
                      void (*see)(struct build *, const struct ir_value *,
                                  int)) {
  for (const struct ir_op *o = op; o; o = ir_next_inside(op, o))
    for (unsigned i = 0; i < o->noperands; i++)
      if (alias_of(b->aliases, ir_arg(o, i)))
        see(b, ir_arg(o, i), node);
}

/* Number of a buffer in the block; -1: it lives elsewhere. */
static int number_of(const struct build *b, int buffer) {
  return buffer >= 0 && b->aliases->buffers.v[buffer].home == b->l->block
             ? b->number[buffer]
             : -1;
}

static void see_buffer(struct build *b, const struct ir_value *v, int node) {
  assert(alias_of(b->aliases, v) && "each_read() shows values outside kernels");
  collect(b, number_of(b, alias_of(b->aliases, v)->buffer), node);
}

static void see_maker(struct build *b, const struct ir_value *v, int node) {
  const struct ir_op *op = ir_view_source(v)->def;
  if (op && op->block == b->l->block)
    collect(b, b->aliases->node[op->id], node);
}

static bool makes_size(const struct build *b, int node,
                       const struct ir_term *term) {
  const struct ir_op *set = b->l->node[node].op->region[0]->first;
  return ir_makes_param(set, term->by) ||
         (term->and &&ir_makes_param(set, term->and));
}

/* Kernels that set a size of the type come before node `node`, which has it. */
static void see_type(struct build *b, const struct ir_type *t, int node) {
  for (int d = 0; b->makers.n && d < t->rank; d++)
    for (int i = 0; t->size[d] && i < t->size[d]->n; i++)
      for (size_t k = 0; k < b->makers.n; k++)
        if (makes_size(b, b->makers.v[k], &t->size[d]->term[i]))
          collect(b, b->makers.v[k], node);
}

static void see_sizes(struct build *b, const struct ir_op *op, int node) {
  for (const struct ir_op *o = op; o; o = ir_next_inside(op, o)) {
    for (unsigned i = 0; i < o->noperands; i++)
      see_type(b, ir_arg(o, i)->type, node);
    for (unsigned i = 0; i < o->nresults; i++)
      see_type(b, o->result[i]->type, node);
  }
}

/* ---- In place ---- */

/* Whether the kernel may write its result over the buffer: it reads the whole
 * of it, as elements of the result's size and order, each just where it writes
 * it. */
static bool can_take(struct build *b, const struct inplace *reads,
                     const struct ir_op *k, int buffer) {
  const struct ir_type *y = ir_result(k)->type;
  const struct alias_buffer *buf = &b->aliases->buffers.v[buffer];
  if (buf->out >= 0 || buf->size != ir_type_bytes(y))
    return false;
  for (const struct ir_op *op = k->region[0]->first; op; op = op->next) {
    for (unsigned i = 0; i < op->noperands; i++) {
      const struct ir_value *x = ir_arg(op, i);
      const struct alias *at = alias_of(b->aliases, x);
      if (!at || at->buffer != buffer)
        continue;
      if (!inplace_reads_own(reads, op->operand[i]) || at->offset ||
          ir_dtypes[x->type->dtype].bytes != ir_dtypes[y->dtype].bytes ||
          ir_type_bytes(x->type) != buf->size ||
          !ir_type_is_dense(x->type, at->stride))
        return false;
    }
  }
  return true;
}

static int compare_takes(const void *a, const void *b) {
  const struct live_take *x = a, *y = b;
  if (x->saved != y->saved)
    return x->saved > y->saved ? -1 : 1;
  return x->same != y->same ? y->same - x->same : x->buffer - y->buffer;
}

/* How much of the buffer `other` the node's own can overwrite; false: nothing.
 * */
static bool find_take(struct build *b, const struct live_node *n,
                      const struct inplace *reads, enum live_reuse reuse,
                      int other, struct live_take *out) {
  const struct live_buffer *x = &b->l->buffer[other];
  assert(n->made >= 0 && other != n->made &&
         "find_takes() asks for others than its own");
  int64_t made = b->l->buffer[n->made].size;
  *out = (struct live_take){.buffer = other};
  out->same = can_take(b, reads, n->op, x->of);
  out->saved = out->same ? x->size : 0;
  if (out->same || reuse < LIVE_OVERLAP || !x->in_arena ||
      !overlap_find(b->aliases, n->op, x->of, &out->down, &out->up))
    return out->same;
  out->down = dn_min(out->down, made);
  out->up = dn_min(out->up, x->size);
  int64_t low = dn_max(x->size + dn_max(out->down, 0), made);
  int64_t high = dn_max(made + dn_max(out->up, 0), x->size);
  out->saved = x->size + made - dn_min(low, high);
  return out->saved > 0;
}

static void find_takes(struct build *b, struct live_node *n,
                       enum live_reuse reuse) {
  if (n->made < 0 || n->op->code != IR_KERNEL)
    return;
  struct dn_arena *tmp = dn_arena_new(b->aliases->func->module->ctx);
  const struct inplace *reads = inplace_build(tmp, n->op);
  n->take = DN_ARRAY(b->arena, struct live_take, n->touches.n);
  for (int i = 0; i < n->touches.n; i++)
    if (n->touches.v[i] != n->made &&
        find_take(b, n, reads, reuse, n->touches.v[i], &n->take[n->ntakes]))
      n->ntakes++;
  if (n->ntakes)
    qsort(n->take, (size_t)n->ntakes, sizeof *n->take, compare_takes);
  dn_arena_free(tmp);
}

/* ---- The graph ---- */

/* The buffer that the op alone fills: its result's own. */
static int made_by(const struct build *b, const struct ir_op *op) {
  const struct aliases *s = b->aliases;
  if (op->nresults != 1 || ir_is_concat(op))
    return -1;
  int buffer = alias_of(s, ir_result(op))->buffer;
  assert(buffer >= 0 && "results have buffers: aliases_build()");
  const struct alias_buffer *is = &s->buffers.v[buffer];
  return is->owner == ir_result(op) && is->out < 0 ? number_of(b, buffer) : -1;
}

static void add_nodes(struct build *b) {
  struct live *l = b->l;
  const struct ir_block *body = l->block;
  for (struct ir_op *op = body->first; op != body->last; op = op->next) {
    if (ir_is_view(op))
      continue;
    b->aliases->node[op->id] = l->nnodes;
    struct live_node *n = &l->node[l->nnodes++];
    n->op = op;
    n->made = made_by(b, op);
  }
}

static void link_node(struct build *b, int node, enum live_reuse reuse) {
  assert(node < b->l->nnodes && "add_nodes() numbers them");
  struct live_node *n = &b->l->node[node];
  begin(b);
  for (unsigned i = 0; i < n->op->nresults; i++)
    see_buffer(b, n->op->result[i], node);
  each_read(b, n->op, node, see_buffer);
  n->touches = finish(b);
  if (reuse)
    find_takes(b, n, reuse);
}

/* The buffers that live in the block. */
static void add_buffers(struct build *b, int64_t align) {
  struct live *l = b->l;
  const struct aliases *a = b->aliases;
  b->number = DN_ARRAY(b->arena, int, a->buffers.n);
  for (size_t i = 0; i < a->buffers.n; i++)
    if (a->buffers.v[i].home == l->block)
      b->number[i] = l->nbuffers++;
  l->buffer = DN_ARRAY(b->arena, struct live_buffer, l->nbuffers);
  for (size_t i = 0, n = 0; i < a->buffers.n; i++) {
    const struct alias_buffer *from = &a->buffers.v[i];
    if (from->home != l->block)
      continue;
    struct live_buffer *to = &l->buffer[n++];
    assert(b->number[i] + 1 == (int)n && "numbered in the same order above");
    to->of = (int)i;
    to->in_arena = from->out < 0;
    to->enters = from->enters;
    to->leaves = from->leaves;
    to->align = buffer_align(from->size, align);
    if (to->in_arena)
      to->size = dn_align(from->size, to->align);
  }
}

/* What a loop or the caller carries is written over when all have read it. */
static void see_readers(struct build *b, int node) {
  const struct ir_block *block = b->l->block;
  struct ir_op *op = b->l->node[node].op;
  DN_LIST(const struct ir_value *) work = {0};
  for (unsigned i = 0; i < block->last->noperands; i++) {
    const struct ir_value *param = ir_carried_param(block->last, i);
    if (param && alias_carrier(b->aliases, block, i) == op)
      DN_PUSH(b->arena, work, param);
  }
  for (size_t i = 0; i < work.n; i++)
    for (const struct ir_use *u = work.v[i]->uses; u; u = u->next) {
      struct ir_op *reader = alias_op_in(block, u->op);
      if (ir_is_view(u->op) && u->op->block == block)
        DN_PUSH(b->arena, work, (const struct ir_value *)ir_result(u->op));
      else if (reader != op && reader != block->last)
        collect(b, b->aliases->node[reader->id], node);
    }
}

/* From the buffers of each node to the nodes of each buffer. */
static void invert(struct build *b, bool preds) {
  struct live *l = b->l;
  for (int pass = 0; pass < 2; pass++) {
    for (int i = 0; i < l->nnodes; i++) {
      struct live_list has = preds ? l->node[i].preds : l->node[i].touches;
      for (int k = 0; k < has.n; k++) {
        struct live_list *to =
            preds ? &l->node[has.v[k]].succs : &l->buffer[has.v[k]].nodes;
        if (pass)
          to->v[to->n] = i;
        to->n++;
      }
    }
    int n = preds ? l->nnodes : l->nbuffers;
    for (int i = 0; i < n && !pass; i++) {
      struct live_list *to = preds ? &l->node[i].succs : &l->buffer[i].nodes;
      to->v = DN_ARRAY(b->arena, int, to->n);
      to->n = 0;
    }
  }
}

struct live *live_build(struct dn_arena *arena, struct aliases *aliases,
                        struct ir_block *block, int64_t align,
                        enum live_reuse reuse) {
  struct live *l = DN_NEW(arena, struct live);
  struct build b = {.arena = arena, .l = l, .aliases = aliases};
  size_t nops = 0;
  for (struct ir_op *op = block->first; op; op = op->next)
    nops++;
  l->aliases = aliases;
  l->block = block;
  l->node = DN_ARRAY(arena, struct live_node, nops);
  add_buffers(&b, align);
  b.seen = DN_ARRAY(arena, int, nops + (size_t)l->nbuffers);
  add_nodes(&b);
  for (int i = 0; i < l->nnodes; i++)
    link_node(&b, i, reuse);
  memset(b.seen, 0, (nops + (size_t)l->nbuffers) * sizeof *b.seen);
  for (int i = 0; i < l->nnodes; i++) {
    begin(&b);
    each_read(&b, l->node[i].op, i, see_maker);
    see_sizes(&b, l->node[i].op, i);
    see_readers(&b, i);
    l->node[i].preds = finish(&b);
    const struct ir_op *op = l->node[i].op;
    if (op->code == IR_KERNEL && op->region[0]->first->code == IR_SET_SIZE)
      DN_PUSH(arena, b.makers, i);
  }
  invert(&b, true);
  invert(&b, false);
  return l;
}

/* ---- The cost of an order ---- */

struct live_run live_start(const struct live *l, struct dn_arena *arena) {
  struct live_run r = {.l = l};
  r.left = DN_ARRAY(arena, int, l->nbuffers);
  r.born = DN_ARRAY(arena, int, l->nbuffers);
  for (int i = 0; i < l->nbuffers; i++) {
    const struct live_buffer *b = &l->buffer[i];
    r.left[i] = b->nodes.n + b->leaves;
    r.kept += b->leaves && b->nodes.n ? b->size : 0;
    if (!b->enters || !b->nodes.n)
      continue;
    r.born[i] = l->nnodes + 1; /* no node */
    r.live += b->size;
  }
  return r;
}

int64_t live_do(struct live_run *r, int node, int *taken) {
  assert(node >= 0 && node < r->l->nnodes && "orders are of nodes");
  const struct live_node *n = &r->l->node[node];
  int64_t freed = 0, reused = 0;
  for (int k = 0; k < n->touches.n; k++) {
    int b = n->touches.v[k];
    if (!r->born[b]) {
      r->live += r->l->buffer[b].size;
      r->born[b] = node + 1;
    }
    assert(r->left[b] > 0 && "an order has each node once");
    if (--r->left[b] == 0)
      freed += r->l->buffer[b].size;
  }
  int take = -1;
  for (int k = 0; k < n->ntakes && take < 0; k++)
    if (r->left[n->take[k].buffer] == 0)
      take = k;
  if (take >= 0)
    reused = n->take[take].saved;
  if (taken)
    *taken = take;
  int64_t peak = r->live - reused + n->inside;
  r->live -= freed;
  assert(r->live >= 0 && "what is freed has been born");
  return peak;
}

void live_undo(struct live_run *r, int node) {
  const struct live_node *n = &r->l->node[node];
  for (int k = 0; k < n->touches.n; k++) {
    int b = n->touches.v[k];
    assert(r->left[b] < r->l->buffer[b].nodes.n + r->l->buffer[b].leaves &&
           "steps are undone once");
    if (r->left[b]++ == 0)
      r->live += r->l->buffer[b].size;
    if (r->born[b] == node + 1) {
      r->born[b] = 0;
      r->live -= r->l->buffer[b].size;
    }
  }
}

int64_t live_peak(const struct live *l, struct dn_arena *scratch,
                  const int *order, int *taken) {
  struct live_run r = live_start(l, scratch);
  int64_t peak = 0;
  for (int i = 0; i < l->nnodes; i++)
    peak = dn_max(peak, live_do(&r, order[i], taken ? &taken[order[i]] : NULL));
  assert(r.live == r.kept && "others end with the last node that touches them");
  return peak;
}
