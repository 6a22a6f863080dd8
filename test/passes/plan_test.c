/* plan_test.c - order and offsets against the truth: small random graphs and
 * lifetimes, for which all orders and all placements can be tried. */
#include "passes/plan_pack.h"
#include "passes/schedule.h"

#include <string.h>

enum { GRAPHS = 300, NODES = 9, PACKS = 400, ITEMS = 7, NESTS = 20, MOST = 10 };

static uint64_t state = 1;

static int below(int n) {
  state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
  return (int)((state >> 33) % (uint64_t)n);
}

/* ---- Orders ---- */

static void push(struct dn_arena *a, struct live_list *l, int x) {
  for (int i = 0; i < l->n; i++)
    if (l->v[i] == x)
      return;
  int *v = DN_ARRAY(a, int, l->n + 1);
  if (l->n)
    memcpy(v, l->v, (size_t)l->n * sizeof *v);
  v[l->n++] = x;
  l->v = v;
}

/* All of it where they are of one size, else some bytes of the two. */
static void add_take(struct dn_arena *a, struct live *l, int i, int from) {
  struct live_node *n = &l->node[i];
  int64_t x = l->buffer[from].size, y = l->buffer[i].size;
  struct live_take one = {.buffer = from, .same = x == y};
  one.saved = one.same ? x : below((int)dn_min(x, y) + 1);
  int at = n->ntakes++;
  struct live_take *v = DN_ARRAY(a, struct live_take, n->ntakes);
  for (int k = 0; k < at; k++)
    v[k] = n->take[k];
  for (; at > 0 && v[at - 1].saved < one.saved; at--)
    v[at] = v[at - 1];
  v[at] = one;
  n->take = v;
}

/* Node i fills buffer i and reads some of those before; now and then it may
 * write over what it reads, or a part of it, is kept as an output, reads the input, or has regions, which need some bytes themselves: what
 * the best order of their blocks does, which is another such graph. */
static struct live *random_graph(struct dn_arena *a, struct aliases *aliases,
                                 int n) {
  struct live *l = DN_NEW(a, struct live);
  l->aliases = aliases;
  l->nnodes = n;
  l->nbuffers = n + 1; /* and an input's */
  l->node = DN_ARRAY(a, struct live_node, n);
  l->buffer = DN_ARRAY(a, struct live_buffer, n + 1);
  l->buffer[n] =
      (struct live_buffer){.size = below(9), .in_arena = true, .enters = true};
  for (int i = 0; i < n; i++) {
    l->buffer[i] = (struct live_buffer){.size = 1 + below(3) * below(9),
                                        .align = 1,
                                        .in_arena = true,
                                        .leaves = below(8) == 0};
    if (below(4) == 0)
      push(a, &l->node[i].touches, n);
    l->node[i].made = i;
    l->node[i].inside = below(4) ? 0 : below(16);
    push(a, &l->node[i].touches, i);
    for (int k = below(3); i && k-- > 0;) {
      int from = i - 1 - below(i < 4 ? i : 4);
      push(a, &l->node[i].preds, from);
      push(a, &l->node[i].touches, from);
      if (below(3) == 0 && !l->node[i].inside)
        add_take(a, l, i, from);
    }
  }
  for (int i = 0; i < n; i++) {
    for (int k = 0; k < l->node[i].preds.n; k++)
      push(a, &l->node[l->node[i].preds.v[k]].succs, i);
    for (int k = 0; k < l->node[i].touches.n; k++)
      push(a, &l->buffer[l->node[i].touches.v[k]].nodes, i);
  }
  return l;
}

/* The least peak of all orders that begin with the `n` nodes of `order`. */
static int64_t least_peak(const struct live *l, struct dn_arena *a, int *order,
                          int n, unsigned done) {
  int64_t least = INT64_MAX;
  if (n == l->nnodes)
    return live_peak(l, a, order, NULL);
  for (int i = 0; i < l->nnodes; i++) {
    bool ready = !(done >> i & 1);
    for (int k = 0; k < l->node[i].preds.n; k++)
      ready &= done >> l->node[i].preds.v[k] & 1;
    if (!ready)
      continue;
    order[n] = i;
    least = dn_min(least, least_peak(l, a, order, n + 1, done | 1u << i));
  }
  return least;
}

static bool is_order(const struct live *l, const int *order) {
  unsigned done = 0;
  for (int i = 0; i < l->nnodes; i++) {
    const struct live_node *n = &l->node[order[i]];
    for (int k = 0; k < n->preds.n; k++)
      if (!(done >> n->preds.v[k] & 1))
        return false;
    done |= 1u << order[i];
  }
  return done == (1u << l->nnodes) - 1;
}

static int check_orders(struct dn_ctx *ctx, struct aliases *aliases) {
  int wrong = 0;
  for (int turn = 0; turn < GRAPHS; turn++) {
    struct dn_arena *a = dn_arena_new(ctx);
    struct live *l = random_graph(a, aliases, 2 + below(NODES - 2));
    int order[NODES], all[NODES];
    int64_t bound;
    for (int i = 0; i < l->nnodes; i++)
      order[i] = i;
    int64_t peak = sched_search(l, a, order, &bound);
    int64_t least = least_peak(l, a, all, 0, 0);
    if (!is_order(l, order) || peak != least || bound != least ||
        live_peak(l, a, order, NULL) != peak) {
      printf("graph %d: peak %lld, bound %lld, least %lld\n", turn,
             (long long)peak, (long long)bound, (long long)least);
      wrong++;
    }
    dn_arena_free(a);
  }
  return wrong;
}

/* ---- Offsets ---- */

static bool together(const struct pack_item *a, const struct pack_item *b) {
  return a->first <= b->last && b->first <= a->last;
}

/* `b` may begin over `a`: how far apart they are then. */
static bool over(const struct pack_item *it, const struct pack_item *a,
                 const struct pack_item *b) {
  return b->over >= 0 && a == &it[b->over];
}

static bool overlap(const struct pack_item *it, const struct pack_item *a,
                    const struct pack_item *b) {
  if (over(it, a, b))
    return b->at > a->at - b->down && b->at < a->at + b->up;
  if (over(it, b, a))
    return overlap(it, b, a);
  return together(a, b) && a->at < b->at + b->size && b->at < a->at + a->size;
}

/* Where `a` goes that `b` is in the way of. */
static int64_t behind(const struct pack_item *it, const struct pack_item *a,
                      const struct pack_item *b) {
  return b->at + (over(it, b, a) ? a->up : over(it, a, b) ? b->down : b->size);
}

/* The least top of all placements, as some order of placing low gives it. */
static int64_t least_top(struct pack_item *it, int n, unsigned placed,
                         int64_t top, int64_t best) {
  if (placed == (1u << n) - 1 || top >= best)
    return dn_min(top, best);
  for (int i = 0; i < n; i++) {
    if (placed >> i & 1)
      continue;
    it[i].at = 0;
    for (int k = 0; k < n; k++) {
      if (placed >> k & 1 && overlap(it, &it[i], &it[k])) {
        it[i].at = behind(it, &it[i], &it[k]);
        k = -1; /* from the start, higher up */
      }
    }
    best = least_top(it, n, placed | 1u << i,
                     dn_max(top, it[i].at + it[i].size), best);
  }
  return best;
}

/* Item i may lie over one that ends where it begins. */
static void lay_over(struct pack_item *it, int n, int i) {
  struct pack_item *y = &it[i];
  for (int k = 0; k < n && y->over < 0; k++) {
    const struct pack_item *x = &it[k];
    if (k == i || x->last != y->first || x->over == i || below(2))
      continue;
    y->over = k;
    y->down = below((int)y->size + 1);
    y->up = below((int)x->size + 1);
    int64_t low = dn_max(x->size + y->down, y->size);
    int64_t high = dn_max(y->size + y->up, x->size);
    y->saved = x->size + y->size - dn_min(low, high);
  }
}

/* Buffers of a block: each is made by one of its nodes and read by a later one.
 * A node may have a block of its own, through which lives what it reads or makes:
 * steps go on in there. */
static int nested_items(struct pack_item *it, int n, int *step, int depth) {
  int nodes = 2 + below(3), begin[4], end[4];
  int first = n;
  for (int i = 0; i < nodes; i++) {
    begin[i] = (*step)++;
    if (depth < 3 && n < MOST && below(2))
      n = nested_items(it, n, step, depth + 1);
    end[i] = (*step)++;
  }
  for (int made = below(2); n < MOST && n - first < 6 && made < nodes; made++)
    it[n++] = (struct pack_item){.size = 1 + below(9),
                                 .align = 1,
                                 .first = begin[made],
                                 .last = end[made + below(nodes - made)],
                                 .over = -1};
  return n;
}

static int check_nests(struct dn_ctx *ctx) {
  int wrong = 0;
  for (int turn = 0; turn < NESTS; turn++) {
    struct pack_item it[MOST], copy[MOST];
    int step = 0, n = nested_items(it, 0, &step, 0);
    int64_t top = pack_items(ctx, it, n, (struct pack_rooms){0});
    memcpy(copy, it, sizeof copy);
    bool ok = least_top(copy, n, 0, 0, top) == top;
    for (int i = 0; i < n; i++)
      for (int k = 0; k < i; k++)
        ok &= !overlap(it, &it[i], &it[k]);
    if (!ok)
      printf("blocks %d: top %lld\n", turn, (long long)top);
    wrong += !ok;
  }
  return wrong;
}

/* Two memories: nothing lies across their border, and what is accessed most, if
 * it fits the first, lies there. */
static bool check_split(struct dn_ctx *ctx, struct pack_item *it, int n) {
  struct pack_rooms rooms = {1 + below(20), INT64_MAX};
  int hottest = 0;
  for (int i = 0; i < n; i++) {
    it[i].heat = below(100);
    hottest = it[i].heat > it[hottest].heat ? i : hottest;
  }
  pack_items(ctx, it, n, rooms);
  bool ok = it[hottest].size > rooms.split || it[hottest].at < rooms.split;
  for (int i = 0; i < n; i++) {
    ok &= it[i].at >= rooms.split || it[i].at + it[i].size <= rooms.split;
    for (int k = 0; k < i; k++)
      ok &= !overlap(it, &it[i], &it[k]);
  }
  return ok;
}

static int check_packs(struct dn_ctx *ctx) {
  int wrong = 0;
  for (int turn = 0; turn < PACKS; turn++) {
    struct pack_item it[ITEMS], copy[ITEMS];
    int n = 1 + below(ITEMS);
    for (int i = 0; i < n; i++) {
      it[i] = (struct pack_item){.size = 1 + below(9), .align = 1};
      it[i].first = below(8);
      it[i].last = it[i].first + below(5);
      it[i].over = -1;
    }
    for (int i = 0; i < n; i++)
      lay_over(it, n, i);
    int64_t top = pack_items(ctx, it, n, (struct pack_rooms){0});
    memcpy(copy, it, sizeof copy);
    bool ok = top == least_top(copy, n, 0, 0, INT64_MAX);
    for (int i = 0; i < n; i++)
      for (int k = 0; k < i; k++)
        ok &= !overlap(it, &it[i], &it[k]);
    ok &= check_split(ctx, it, n);
    if (!ok)
      printf("items %d: top %lld\n", turn, (long long)top);
    wrong += !ok;
  }
  return wrong;
}

int main(void) {
  struct dn_ctx *ctx = dn_ctx_new(stderr);
  struct ir_module *m = ir_module_new(ctx, "test");
  struct aliases aliases = {.func = ir_func_new(m, "main")};
  int wrong = check_orders(ctx, &aliases) + check_packs(ctx) + check_nests(ctx);
  printf("%d graphs, %d sets of items, %d of nested blocks, %d failures\n",
         GRAPHS, PACKS, NESTS, wrong);
  dn_ctx_free(ctx);
  return wrong != 0;
}
