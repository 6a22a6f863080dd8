/* sched_window.c - the best order of up to 64 nodes, exactly.
 *
 * What lives depends on which nodes have run, not on their order. So a table of
 * sets of nodes, each with the least peak on a way to it, finds the best order
 * (dynamic programming over the down-sets of the graph; Ahn et al., "Ordering
 * Chaos", MLSys 2020, section 3). Two things keep the table small: sets whose
 * peak is no better than a known order's are dropped, and a node that raises
 * neither the peak nor the live bytes runs at once (at the front of any order it
 * raises the bytes of no step). */
#include "passes/schedule.h"

#include <assert.h>
#include <string.h>

struct wbuffer { /* a buffer that a node of the window touches */
  int64_t size;
  uint64_t nodes;     /* of the window that touch it */
  bool before, after; /* touched outside of the window */
};

struct wnode {
  uint64_t preds;           /* in the window */
  struct live_list touches; /* window buffers */
  struct live_take *take;   /* of these */
  int ntakes;
  int64_t inside; /* as of the node */
};

struct state {
  uint64_t done;
  int64_t peak, live;
  int parent; /* in the list of states */
  int node;   /* that ran last */
};

struct window {
  struct dn_arena *arena;
  int n;
  struct wnode node[SCHED_WINDOW];
  DN_LIST(struct wbuffer) buffers;
  DN_LIST(struct state) states;
  int *table; /* hash table of the layer being made: state + 1 */
  size_t cap;
};

/* ---- Setting up ---- */

static int find_buffer(struct window *w, struct live_run *s, int *local,
                       int b) {
  if (local[b])
    return local[b] - 1;
  struct wbuffer one = {.size = s->l->buffer[b].size,
                        .before = s->born[b] != 0};
  DN_PUSH(w->arena, w->buffers, one);
  local[b] = (int)w->buffers.n;
  return local[b] - 1;
}

static struct live_list map_buffers(struct window *w, struct live_run *s,
                                    int *local, struct live_list from) {
  struct live_list to = {.v = DN_ARRAY(w->arena, int, from.n)};
  for (int i = 0; i < from.n; i++)
    if (s->l->buffer[from.v[i]].size)
      to.v[to.n++] = find_buffer(w, s, local, from.v[i]);
  return to;
}

static void map_takes(struct window *w, struct live_run *s, int *local,
                      const struct live_node *from, struct wnode *to) {
  to->take = DN_ARRAY(w->arena, struct live_take, from->ntakes);
  for (int i = 0; i < from->ntakes; i++) {
    if (!s->l->buffer[from->take[i].buffer].size)
      continue;
    to->take[to->ntakes] = from->take[i];
    to->take[to->ntakes++].buffer =
        find_buffer(w, s, local, from->take[i].buffer);
  }
}

static void set_up(struct window *w, struct live_run *s, const int *order,
                   int n) {
  const struct live *l = s->l;
  int *local = DN_ARRAY(w->arena, int, l->nbuffers);
  int *place = DN_ARRAY(w->arena, int, l->nnodes);
  w->n = n;
  for (int i = 0; i < n; i++)
    place[order[i]] = i + 1;
  for (int i = 0; i < n; i++) {
    const struct live_node *node = &l->node[order[i]];
    struct wnode *to = &w->node[i];
    to->inside = node->inside;
    for (int k = 0; k < node->preds.n; k++)
      if (place[node->preds.v[k]])
        to->preds |= UINT64_C(1) << (place[node->preds.v[k]] - 1);
    to->touches = map_buffers(w, s, local, node->touches);
    map_takes(w, s, local, node, to);
    for (int k = 0; k < to->touches.n; k++)
      w->buffers.v[to->touches.v[k]].nodes |= UINT64_C(1) << i;
  }
  for (int b = 0; b < l->nbuffers; b++)
    if (local[b]) {
      struct wbuffer *to = &w->buffers.v[local[b] - 1];
      to->after = s->left[b] > __builtin_popcountll(to->nodes);
    }
}

/* ---- Steps ---- */

static bool is_born(const struct wbuffer *b, uint64_t done) {
  return b->before || (b->nodes & done);
}

static bool is_dead(const struct wbuffer *b, uint64_t done) {
  return !b->after && !(b->nodes & ~done);
}

/* The state after `node` runs in state `from`. */
static struct state step(const struct window *w, const struct state *from,
                         int node) {
  assert(!(from->done >> node & 1) &&
         "expand() takes nodes that have yet to run");
  const struct wnode *n = &w->node[node];
  struct state to = {.done = from->done | UINT64_C(1) << node, .node = node};
  int64_t live = from->live, freed = 0, reused = 0;
  for (int k = 0; k < n->touches.n; k++) {
    const struct wbuffer *b = &w->buffers.v[n->touches.v[k]];
    if (!is_born(b, from->done))
      live += b->size;
    if (is_dead(b, to.done))
      freed += b->size;
  }
  for (int k = 0; k < n->ntakes && !reused; k++)
    if (is_dead(&w->buffers.v[n->take[k].buffer], to.done))
      reused = n->take[k].saved;
  to.peak = dn_max(from->peak, live - reused + n->inside);
  to.live = live - freed;
  return to;
}

/* ---- The table ---- */

static size_t hash(uint64_t done, size_t cap) {
  uint64_t h = done * UINT64_C(0x9e3779b97f4a7c15);
  return (size_t)(h ^ h >> 29) & (cap - 1);
}

static void grow_table(struct window *w, size_t first) {
  w->cap = w->cap ? w->cap * 4 : 256;
  w->table = DN_ARRAY(w->arena, int, w->cap);
  for (size_t i = first; i < w->states.n; i++) {
    size_t at = hash(w->states.v[i].done, w->cap);
    while (w->table[at])
      at = (at + 1) & (w->cap - 1);
    w->table[at] = (int)i + 1;
  }
}

/* Adds a state to the layer that begins at `first`, or lowers the peak of the
 * equal one. */
static void add_state(struct window *w, size_t first, const struct state *s) {
  if ((w->states.n - first) * 2 >= w->cap)
    grow_table(w, first);
  assert((w->states.n - first) * 2 < w->cap &&
         "grow_table() leaves half free: the search ends");
  size_t at = hash(s->done, w->cap);
  while (w->table[at]) {
    struct state *old = &w->states.v[w->table[at] - 1];
    if (old->done == s->done) {
      if (s->peak < old->peak)
        *old = *s;
      return;
    }
    at = (at + 1) & (w->cap - 1);
  }
  DN_PUSH(w->arena, w->states, *s);
  w->table[at] = (int)w->states.n;
}

/* Adds what follows state number `from`; sets that reach `limit` are dropped.
 */
static void expand(struct window *w, int from, size_t first, int64_t limit) {
  struct state now = w->states.v[from], next[SCHED_WINDOW];
  int n = 0;
  for (int i = 0; i < w->n; i++) {
    if (now.done >> i & 1 || (w->node[i].preds & ~now.done))
      continue;
    next[n] = step(w, &now, i);
    next[n].parent = from;
    if (next[n].peak <= now.peak && next[n].live <= now.live) {
      next[0] = next[n];
      n = 1;
      break;
    }
    n += next[n].peak < limit;
  }
  for (int i = 0; i < n; i++)
    add_state(w, first, &next[i]);
}

int64_t sched_window(struct live_run *s, int *order, int n, int64_t peak,
                     int64_t floor, int64_t *budget, bool *proven) {
  assert(n > 0 && n <= SCHED_WINDOW &&
         "callers bound the window: sets are words");
  struct dn_arena *arena = dn_arena_new(s->l->aliases->func->module->ctx);
  struct window *w = DN_NEW(arena, struct window);
  w->arena = arena;
  set_up(w, s, order, n);
  struct state start = {
      .peak = floor, .live = s->live, .parent = -1, .node = -1};
  DN_PUSH(arena, w->states, start);
  size_t begin = 0, end = 1;
  *proven = true;
  for (int layer = 0; layer < n && begin < end; layer++) {
    if (w->cap)
      memset(w->table, 0, w->cap * sizeof *w->table);
    for (size_t i = begin; i < end && *proven; i++) {
      expand(w, (int)i, end, peak);
      *proven = --*budget > 0;
    }
    begin = end;
    end = w->states.n;
    if (!*proven)
      begin = end;
  }
  if (begin < end) { /* the last layer has one state, that of all nodes */
    assert(end == begin + 1 && "all orders end in the set of all nodes");
    int was[SCHED_WINDOW];
    memcpy(was, order, (size_t)n * sizeof *was);
    peak = w->states.v[begin].peak;
    for (int at = (int)begin, i = n; i-- > 0; at = w->states.v[at].parent)
      order[i] = was[w->states.v[at].node];
  }
  dn_arena_free(arena);
  return peak;
}
