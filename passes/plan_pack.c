/* plan_pack.c - offsets for buffers whose lifetimes are known: dynamic storage
 * allocation, which is NP-hard in general and mostly easy here.
 *
 * Items are placed one after the other, each as low as those allow that are
 * placed already and live at the same time. What is left to choose is the order
 * of placing: by size, by time and the like, then orders in which the items at
 * the top come earlier, and for few items all orders (branch and bound). The
 * search ends when the bound is met. */
#include "passes/plan_pack.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
  MAX_PAIRS = 1 << 22, /* of items that live together, for the full search */
  MAX_BUMPS = 256,     /* orders tried with the top item placed earlier */
  MAX_EXACT = 20,      /* items for branch and bound */
  MAX_STEPS = 200000,  /* placements in it */
  HEAT = 5             /* a rule of sort_order(); those before go by size and
                          time */
};

struct pack_gap {
  int64_t below, above;
};

struct packer {
  struct dn_arena *arena;
  struct pack_item *item;
  int n;
  int *start, *pair;       /* item i lives together with pair[start[i]..) */
  int *order;              /* scratch: the order being tried, */
  struct pack_gap *sorted; /* and what placed neighbours forbid */
  bool *placed;
  int64_t *best; /* offsets */
  int64_t top, bound;
  int64_t steps;
  struct pack_rooms rooms;
};

static int64_t pack_bound(struct dn_arena *scratch,
                          const struct pack_item *items, int n) {
  int steps = 0;
  for (int i = 0; i < n; i++)
    steps = items[i].last >= steps ? items[i].last + 1 : steps;
  int64_t *change = DN_ARRAY(scratch, int64_t, steps + 2);
  for (int i = 0; i < n; i++) {
    assert(items[i].first >= 0 && items[i].first <= items[i].last &&
           "make_items() counts steps upwards");
    assert(items[i].size >= 0 && items[i].align > 0 &&
           "sizes and alignments of buffers: count_sizes()");
    change[items[i].first] += items[i].size;
    if (items[i].over >= 0) {
      change[items[i].first] -= items[i].saved;
      change[items[i].first + 1] += items[i].saved;
    }
    change[items[i].last + 1] -= items[i].size;
  }
  int64_t live = 0, most = 0;
  for (int t = 0; t < steps; t++) {
    live += change[t];
    most = dn_max(most, live);
  }
  return most;
}

/* ---- Which items live together ---- */

static int by_first(const void *a, const void *b) {
  const struct pack_item *x = *(const struct pack_item *const *)a;
  const struct pack_item *y = *(const struct pack_item *const *)b;
  if (x->first != y->first)
    return x->first < y->first ? -1 : 1;
  return x < y ? -1 : x > y;
}

/* Visits all pairs in a sweep over time; fills `pair` the second time. false
 * when there are too many. */
static bool sweep(struct packer *p, struct pack_item **sorted, bool fill) {
  int *live = DN_ARRAY(p->arena, int, p->n);
  int nlive = 0;
  int64_t pairs = 0;
  for (int i = 0; i < p->n; i++) {
    int me = (int)(sorted[i] - p->item), kept = 0;
    for (int k = 0; k < nlive; k++)
      if (p->item[live[k]].last >= sorted[i]->first)
        live[kept++] = live[k];
    nlive = kept;
    for (int k = 0; k < nlive; k++) {
      int a = p->start[me]++, b = p->start[live[k]]++;
      if (fill) {
        p->pair[a] = live[k];
        p->pair[b] = me;
      }
    }
    pairs += nlive;
    if (pairs > MAX_PAIRS)
      return false;
    live[nlive++] = me;
  }
  return true;
}

static bool find_pairs(struct packer *p) {
  struct pack_item **sorted = DN_ARRAY(p->arena, struct pack_item *, p->n);
  for (int i = 0; i < p->n; i++)
    sorted[i] = &p->item[i];
  qsort(sorted, (size_t)p->n, sizeof *sorted, by_first);
  p->start = DN_ARRAY(p->arena, int, p->n + 1);
  if (!sweep(p, sorted, false))
    return false;
  int sum = 0;
  for (int i = 0; i <= p->n; i++) { /* counts to first numbers */
    int count = p->start[i];
    p->start[i] = sum;
    sum += count;
  }
  p->pair = DN_ARRAY(p->arena, int, sum);
  sweep(p, sorted, true);
  for (int i = p->n; i > 0; i--) /* filling moved them to the ends */
    p->start[i] = p->start[i - 1];
  assert(p->start[p->n] == sum && "both sweeps see the same pairs");
  p->start[0] = 0;
  return true;
}

/* ---- Placing ---- */

/* Offsets at which item `i` cannot start for a placed one: above `below`, and
 * less than `above`. */
static struct pack_gap gap_of(const struct packer *p, int i, int other) {
  const struct pack_item *me = &p->item[i], *o = &p->item[other];
  struct pack_gap g = {o->at - me->size, o->at + o->size};
  if (me->over == other)
    g = (struct pack_gap){o->at - me->down, o->at + me->up};
  else if (o->over == i)
    g = (struct pack_gap){o->at - o->up, o->at + o->down};
  return g;
}

static void forbid(struct packer *p, int n, struct pack_gap g) {
  for (; n > 0 && p->sorted[n - 1].below > g.below; n--)
    p->sorted[n] = p->sorted[n - 1];
  p->sorted[n] = g;
}

/* The lowest offset for item `i` among its placed neighbours. */
static int64_t lowest(struct packer *p, int i) {
  int n = 0;
  int64_t split = p->rooms.split;
  assert(!p->placed[i] && "an item is placed once");
  for (int k = p->start[i]; k < p->start[i + 1]; k++) {
    int other = p->pair[k];
    if (p->placed[other] && p->item[other].size)
      forbid(p, n++, gap_of(p, i, other));
  }
  if (split)
    forbid(p, n++, (struct pack_gap){split - p->item[i].size, split});
  int64_t at = 0, align = p->item[i].align;
  for (int k = 0; k < n && at > p->sorted[k].below; k++)
    at = dn_max(at, dn_align(p->sorted[k].above, align));
  return at;
}

static void keep(struct packer *p, int64_t top) {
  if (top >= p->top)
    return;
  p->top = top;
  for (int i = 0; i < p->n; i++)
    p->best[i] = p->item[i].at;
}

static int64_t try_order(struct packer *p) {
  memset(p->placed, 0, (size_t)p->n * sizeof *p->placed);
  int64_t top = 0;
  for (int k = 0; k < p->n; k++) {
    struct pack_item *it = &p->item[p->order[k]];
    it->at = lowest(p, p->order[k]);
    p->placed[p->order[k]] = true;
    top = dn_max(top, it->at + it->size);
  }
  assert(top >= p->bound && "no placement is below the bound: pack_bound()");
  keep(p, top);
  return top;
}

/* ---- Orders ---- */

struct key {
  double major, minor;
  int item;
};

static int by_key(const void *a, const void *b) {
  const struct key *x = a, *y = b;
  if (x->major != y->major)
    return x->major > y->major ? -1 : 1;
  if (x->minor != y->minor)
    return x->minor > y->minor ? -1 : 1;
  return x->item - y->item;
}

static void sort_order(struct packer *p, int rule) {
  assert(rule >= 0 && rule <= HEAT && "search() counts the rules");
  struct key *keys = DN_ARRAY(p->arena, struct key, p->n);
  for (int i = 0; i < p->n; i++) {
    const struct pack_item *it = &p->item[i];
    double size = (double)it->size, first = it->first;
    double life = it->last - it->first + 1;
    const double major[] = {size, -first,           size * life,
                            life, first - life + 1, it->heat};
    const double minor[] = {life, size, life, size, size, size};
    keys[i] = (struct key){major[rule], minor[rule], i};
  }
  qsort(keys, (size_t)p->n, sizeof *keys, by_key);
  for (int i = 0; i < p->n; i++)
    p->order[i] = keys[i].item;
}

/* Places the item at the top ahead of half of those before it, again and
 * again. */
static void bump(struct packer *p) {
  for (int turn = 0; turn < MAX_BUMPS && p->top > p->bound; turn++) {
    int64_t top = try_order(p);
    int at = p->n - 1;
    while (at > 0 &&
           p->item[p->order[at]].at + p->item[p->order[at]].size < top)
      at--;
    if (at == 0)
      return;
    int item = p->order[at], to = at / 2;
    assert(to < at && "at is above 0: seen above");
    memmove(&p->order[to + 1], &p->order[to],
            (size_t)(at - to) * sizeof *p->order);
    p->order[to] = item;
  }
}

/* All orders, but those that a placed item shows to be no better. Recursion is
 * as deep as MAX_EXACT. */
static void branch(struct packer *p, int depth, int64_t top) {
  assert(p->n <= MAX_EXACT && top <= p->top &&
         "search() asks for few items; worse ones end before");
  if (depth == p->n) {
    keep(p, top);
    return;
  }
  for (int k = depth; k < p->n && p->top > p->bound; k++) {
    if (++p->steps > MAX_STEPS)
      return;
    int item = p->order[k];
    int64_t at = lowest(p, item), end = at + p->item[item].size;
    if (end >= p->top)
      continue;
    p->order[k] = p->order[depth];
    p->order[depth] = item;
    p->item[item].at = at;
    p->placed[item] = true;
    branch(p, depth + 1, dn_max(top, end));
    p->placed[item] = false;
    p->order[depth] = p->order[k];
    p->order[k] = item;
  }
}

static void search(struct packer *p) {
  sort_order(p, HEAT);
  if (p->rooms.split && try_order(p) <= p->rooms.most)
    return;
  for (int rule = 0; rule < HEAT && p->top > p->bound; rule++) {
    sort_order(p, rule);
    try_order(p);
    if (p->top > p->bound)
      bump(p);
  }
  if (p->top <= p->bound || p->n > MAX_EXACT)
    return;
  sort_order(p, 0);
  memset(p->placed, 0, (size_t)p->n * sizeof *p->placed);
  branch(p, 0, 0);
}

/* For very many items: side by side. */
static int64_t stack_up(struct pack_item *items, int n, int64_t split) {
  int64_t top = 0;
  for (int i = 0; i < n; i++) {
    items[i].at = dn_align(top, items[i].align);
    if (items[i].at < split && items[i].at + items[i].size > split)
      items[i].at = split;
    top = items[i].at + items[i].size;
  }
  return top;
}

int64_t pack_items(struct dn_ctx *ctx, struct pack_item *items, int n,
                   struct pack_rooms rooms) {
  struct dn_arena *arena = dn_arena_new(ctx);
  struct packer p = {
      .arena = arena, .item = items, .n = n, .top = INT64_MAX, .rooms = rooms};
  p.bound = pack_bound(arena, items, n);
  int64_t top;
  if (find_pairs(&p)) {
    p.order = DN_ARRAY(arena, int, n);
    p.sorted = DN_ARRAY(arena, struct pack_gap, n + 1);
    p.placed = DN_ARRAY(arena, bool, n);
    p.best = DN_ARRAY(arena, int64_t, n);
    search(&p);
    for (int i = 0; i < n; i++)
      items[i].at = p.best[i];
    assert((!n || p.top < INT64_MAX) && "search() tries an order at least");
    top = n ? p.top : 0;
  } else {
    top = stack_up(items, n, rooms.split);
  }
  assert(top >= p.bound && "no placement is below the bound: pack_bound()");
  dn_arena_free(arena);
  return top;
}
