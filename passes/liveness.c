/* liveness.c - nodes, buffers and live bytes: see liveness.h. */
#include "passes/liveness.h"

#include "ir/loops.h"
#include "ir/nest.h"

#include <assert.h>
#include <string.h>

enum { LARGE = 4096 }; /* bytes from which a buffer gets the full alignment */

struct inner {        /* an op in a kernel */
  uint64_t pointwise; /* operands read at the result's own index */
  bool own;           /* and its result is, up to the kernel's result */
};

struct build {
  struct dn_arena *arena;
  struct live *l;
  const struct aliases *aliases;
  int *node_of; /* op id -> node, -1: none */
  int *seen;    /* by buffer or node: the node that last listed it, plus 1 */
  DN_LIST(int) list;   /* being collected */
  struct inner *inner; /* by op id */
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
  b->seen[what] = node + 1;
  DN_PUSH(b->arena, b->list, what);
}

/* The op whose memory `v` shows, NULL for parameters and constants. */
static const struct ir_op *maker(const struct ir_value *v) {
  while (v->def && ir_is_view(v->def))
    v = ir_arg(v->def, 0);
  return v->def;
}

/* Calls `see` for every value from outside that an op reads, in its regions
 * too. */
static void each_read(struct build *b, const struct ir_op *op, int node,
                      void (*see)(struct build *, const struct ir_value *,
                                  int)) {
  for (unsigned i = 0; i < op->noperands; i++)
    if (alias_of(b->aliases, ir_arg(op, i)))
      see(b, ir_arg(op, i), node);
  for (unsigned r = 0; r < op->nregions; r++)
    for (const struct ir_op *o = op->region[r]->first; o; o = o->next)
      each_read(b, o, node, see);
}

static void see_buffer(struct build *b, const struct ir_value *v, int node) {
  assert(alias_of(b->aliases, v) &&
         "each_read() shows values at function level");
  collect(b, alias_of(b->aliases, v)->buffer, node);
}

static void see_maker(struct build *b, const struct ir_value *v, int node) {
  const struct ir_op *op = maker(v);
  if (op)
    collect(b, b->node_of[op->id], node);
}

/* ---- In place ---- */

static bool reads_own(const struct build *b, const struct ir_use *u) {
  unsigned i = 0;
  while (u->op->operand[i] != u)
    i++;
  assert(i < u->op->noperands && "a use is one of its op's operands");
  if (u->op->code == IR_YIELD)
    return true;
  const struct inner *in = &b->inner[u->op->id];
  return in->own && i < 64 && in->pointwise >> i & 1;
}

/* Where rows are folded before they are stored (nest.h), reductions and maps
 * read within the row that they are for, which is as good. */
static void describe_kernel(struct build *b, const struct ir_op *k) {
  assert(k->code == IR_KERNEL && k->region[0]->last->code == IR_YIELD &&
         "find_takes(); rule terminator");
  bool rows = loops_rows_first(k);
  for (const struct ir_op *op = k->region[0]->last->prev; op; op = op->prev) {
    struct inner *in = &b->inner[op->id];
    struct dn_arena *tmp = dn_arena_new(b->aliases->func->module->ctx);
    bool map = ir_ops[op->code].cls == IR_MAP;
    const struct nest *n = map ? nest_build(tmp, op) : NULL;
    for (unsigned i = 0; n && i < op->noperands && i < 64; i++)
      if (rows || nest_is_pointwise(n, i))
        in->pointwise |= UINT64_C(1) << i;
    if ((rows && ir_ops[op->code].cls == IR_REDUCE) ||
        ir_ops[op->code].traits & IR_ONTO)
      in->pointwise = 1; /* ... as is what slices are put onto */
    dn_arena_free(tmp);
    in->own = true;
    for (const struct ir_use *u = ir_result(op)->uses; u; u = u->next)
      in->own &= reads_own(b, u);
  }
}

/* Whether the kernel may write its result over the buffer: it reads the whole
 * of it, as elements of the result's size and order, each just where it writes
 * it. */
static bool can_take(struct build *b, const struct ir_op *k, int buffer) {
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
      if (!reads_own(b, op->operand[i]) || at->offset ||
          ir_dtypes[x->type->dtype].bytes != ir_dtypes[y->dtype].bytes ||
          ir_type_bytes(x->type) != buf->size ||
          !ir_type_is_dense(x->type, at->stride))
        return false;
    }
  }
  return true;
}

static void find_takes(struct build *b, struct live_node *n) {
  if (n->made < 0 || n->op->code != IR_KERNEL)
    return;
  describe_kernel(b, n->op);
  begin(b);
  for (int i = 0; i < n->touches.n; i++) {
    int buffer = n->touches.v[i];
    if (buffer != n->made && can_take(b, n->op, buffer))
      DN_PUSH(b->arena, b->list, buffer);
  }
  n->take = finish(b);
}

/* ---- The graph ---- */

/* The buffer that the op alone fills: its result's own. */
static int made_by(const struct aliases *s, const struct ir_op *op) {
  if (op->nresults != 1 || ir_is_concat(op))
    return -1;
  int buffer = alias_of(s, ir_result(op))->buffer;
  assert(buffer >= 0 && "results have buffers: aliases_build()");
  const struct alias_buffer *b = &s->buffers.v[buffer];
  return b->owner == ir_result(op) && b->out < 0 ? buffer : -1;
}

static void add_nodes(struct build *b) {
  struct live *l = b->l;
  const struct ir_block *body = b->aliases->func->body;
  for (struct ir_op *op = body->first; op != body->last; op = op->next) {
    if (ir_is_view(op))
      continue;
    b->node_of[op->id] = l->nnodes;
    struct live_node *n = &l->node[l->nnodes++];
    n->op = op;
    n->made = made_by(b->aliases, op);
  }
}

static void link_node(struct build *b, int node, bool reuse) {
  struct live_node *n = &b->l->node[node];
  begin(b);
  for (unsigned i = 0; i < n->op->nresults; i++)
    see_buffer(b, n->op->result[i], node);
  each_read(b, n->op, node, see_buffer);
  n->touches = finish(b);
  if (reuse)
    find_takes(b, n);
}

static void count_sizes(struct build *b, int64_t align) {
  struct live *l = b->l;
  l->nbuffers = (int)b->aliases->buffers.n;
  l->buffer = DN_ARRAY(b->arena, struct live_buffer, l->nbuffers);
  for (int i = 0; i < l->nbuffers; i++) {
    const struct alias_buffer *from = &b->aliases->buffers.v[i];
    struct live_buffer *to = &l->buffer[i];
    to->in_arena = from->out < 0;
    to->align = buffer_align(from->size, align);
    if (to->in_arena)
      to->size = dn_align(from->size, to->align);
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
                        int64_t align, bool reuse) {
  const struct ir_module *m = aliases->func->module;
  struct live *l = DN_NEW(arena, struct live);
  struct build b = {.arena = arena, .l = l, .aliases = aliases};
  size_t nops = 0;
  for (struct ir_op *op = aliases->func->body->first; op; op = op->next)
    nops++;
  l->aliases = aliases;
  l->node = DN_ARRAY(arena, struct live_node, nops);
  b.node_of = DN_ARRAY(arena, int, m->nops);
  b.inner = DN_ARRAY(arena, struct inner, m->nops);
  b.seen = DN_ARRAY(arena, int, nops + aliases->buffers.n);
  add_nodes(&b);
  count_sizes(&b, align);
  for (int i = 0; i < l->nnodes; i++)
    link_node(&b, i, reuse);
  memset(b.seen, 0, (nops + aliases->buffers.n) * sizeof *b.seen);
  for (int i = 0; i < l->nnodes; i++) {
    begin(&b);
    each_read(&b, l->node[i].op, i, see_maker);
    l->node[i].preds = finish(&b);
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
  for (int i = 0; i < l->nbuffers; i++)
    r.left[i] = l->buffer[i].nodes.n;
  return r;
}

int64_t live_do(struct live_run *r, int node, int *taken) {
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
  for (int k = 0; k < n->take.n && take < 0; k++)
    if (r->left[n->take.v[k]] == 0)
      take = n->take.v[k];
  if (take >= 0)
    reused = r->l->buffer[take].size;
  if (taken)
    *taken = take;
  int64_t peak = r->live - reused;
  r->live -= freed;
  assert(r->live >= 0 && "what is freed has been born");
  return peak;
}

void live_undo(struct live_run *r, int node) {
  const struct live_node *n = &r->l->node[node];
  for (int k = 0; k < n->touches.n; k++) {
    int b = n->touches.v[k];
    assert(r->left[b] < r->l->buffer[b].nodes.n && "steps are undone once");
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
  assert(r.live == 0 && "each buffer ends with the last node that touches it");
  return peak;
}
