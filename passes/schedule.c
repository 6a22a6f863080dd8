/* schedule.c - the search for an order of nodes with a small peak: see
 * schedule.h.
 *
 * A node that every other node either leads to or follows from has the same
 * place in every order. Such nodes cut the graph into segments, and the best
 * orders of the segments make the best order. A segment gets the best of some
 * heuristics, then the exact search if it is small; of a large one the windows
 * around the peak are searched. */
#include "passes/schedule.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
  MAX_SCAN = 64,       /* ready nodes that a greedy step looks at */
  MAX_STATES = 400000, /* of all exact searches together */
  WINDOW = 24,         /* nodes around the peak of a large segment */
  MAX_WINDOWS = 64
};

static int64_t run(struct live_run *s, const int *order, int n) {
  int64_t peak = 0;
  for (int i = 0; i < n; i++)
    peak = dn_max(peak, live_do(s, order[i], NULL));
  return peak;
}

static void rewind_run(struct live_run *s, const int *order, int n) {
  while (n-- > 0)
    live_undo(s, order[n]);
}

static int64_t peak_of(struct live_run *s, const int *order, int n) {
  int64_t peak = run(s, order, n);
  rewind_run(s, order, n);
  return peak;
}

/* ---- Heuristics for a segment ---- */

struct segment {
  struct live_run *s;
  int n;
  const int *was; /* the nodes, in program order */
  int *in;        /* by node: its place in `was`, plus 1; 0: elsewhere */
  int *wait;      /* by node: preds (or succs, backwards) that have to run */
  int *ready, *trial, *best;
  int64_t peak; /* of `best` */
};

static struct live_list before(const struct segment *g, int node, bool back) {
  assert(node >= 0 && node < g->s->l->nnodes && "segments are of nodes");
  const struct live_node *n = &g->s->l->node[node];
  return back ? n->succs : n->preds;
}

static int start_ready(struct segment *g, bool back) {
  int n = 0;
  for (int i = 0; i < g->n; i++) {
    int node = g->was[back ? g->n - 1 - i : i];
    struct live_list list = before(g, node, back);
    g->wait[node] = 0;
    for (int k = 0; k < list.n; k++)
      g->wait[node] += g->in[list.v[k]] != 0;
    if (!g->wait[node])
      g->ready[n++] = node;
  }
  return n;
}

/* Takes ready[at] and adds what became ready. */
static int take_ready(struct segment *g, int n, int at, bool back) {
  assert(at >= 0 && at < n && "nodes do not wait for each other in a circle");
  int node = g->ready[at];
  memmove(&g->ready[at], &g->ready[at + 1],
          (size_t)(n - at - 1) * sizeof *g->ready);
  n--;
  struct live_list list = before(g, node, !back);
  for (int k = 0; k < list.n; k++)
    if (g->in[list.v[k]] && --g->wait[list.v[k]] == 0)
      g->ready[n++] = list.v[k];
  return n;
}

/* The ready node after which the fewest bytes are live; ties go to the smaller
 * peak. The same function serves backwards: in either direction a buffer lives
 * between the first and the last node that touches it. */
static int pick(struct segment *g, struct live_run *s, int n) {
  int best = 0;
  int64_t least = INT64_MAX, low = INT64_MAX;
  assert(n > 0 && "nodes do not wait for each other in a circle");
  for (int i = 0; i < n && i < MAX_SCAN; i++) {
    int64_t peak = live_do(s, g->ready[i], NULL);
    if (s->live < least || (s->live == least && peak < low)) {
      least = s->live;
      low = peak;
      best = i;
    }
    live_undo(s, g->ready[i]);
  }
  return best;
}

static void keep_better(struct segment *g) {
  int64_t peak = peak_of(g->s, g->trial, g->n);
  if (peak >= g->peak)
    return;
  g->peak = peak;
  memcpy(g->best, g->trial, (size_t)g->n * sizeof *g->best);
}

static void try_greedy(struct segment *g) {
  int n = start_ready(g, false);
  for (int i = 0; i < g->n; i++) {
    int at = pick(g, g->s, n);
    g->trial[i] = g->ready[at];
    live_do(g->s, g->trial[i], NULL);
    n = take_ready(g, n, at, false);
  }
  rewind_run(g->s, g->trial, g->n);
  keep_better(g);
}

/* Greedy from the end. The state is that of the nodes after the segment having
 * run backwards. */
static void try_backwards(struct segment *g, struct live_run *back) {
  int n = start_ready(g, true);
  for (int i = g->n; i-- > 0;) {
    int at = pick(g, back, n);
    g->trial[i] = g->ready[at];
    live_do(back, g->trial[i], NULL);
    n = take_ready(g, n, at, true);
  }
  for (int i = 0; i < g->n; i++)
    live_undo(back, g->trial[i]);
  keep_better(g);
}

/* Depth-first order: each node as late as its first user allows, branch by
 * branch. `flip` starts with the last branch. */
static void try_depth(struct segment *g, bool flip) {
  int n = start_ready(g, false);
  for (int i = 0; i < g->n; i++) {
    int at = flip ? 0 : n - 1;
    g->trial[i] = g->ready[at];
    n = take_ready(g, n, at, false);
  }
  keep_better(g);
}

/* A lower bound on the segment's peak: the most expensive node's buffers, plus
 * all buffers that live across the segment. */
static int64_t segment_bound(struct segment *g) {
  struct live_run *s = g->s;
  int64_t through = s->live, bound = s->live;
  /* Buffers live at the start and last used within the segment end there. */
  for (int i = 0; i < g->n; i++) {
    const struct live_node *n = &s->l->node[g->was[i]];
    for (int k = 0; k < n->touches.n; k++) {
      int b = n->touches.v[k];
      if (s->born[b] > 0) {
        through -= s->l->buffer[b].size;
        s->born[b] = -s->born[b];
      }
    }
  }
  for (int i = 0; i < g->n; i++) {
    const struct live_node *n = &s->l->node[g->was[i]];
    int64_t own = 0, reused = 0;
    for (int k = 0; k < n->touches.n; k++) {
      int b = n->touches.v[k];
      own += s->l->buffer[b].size;
      s->born[b] = s->born[b] < 0 ? -s->born[b] : s->born[b];
    }
    if (n->ntakes)
      reused = n->take[0].saved;
    bound = dn_max(bound, through + own - reused + n->inside);
  }
  return bound;
}

/* Searches windows around the step with the highest peak until none improves.
 */
static void polish(struct segment *g, int64_t floor, int64_t *budget) {
  assert(g->n > WINDOW && "search_segment() searches small ones whole");
  for (int turn = 0; turn<MAX_WINDOWS && * budget> 0; turn++) {
    int at = 0;
    int64_t peak = -1;
    for (int i = 0; i < g->n; i++) {
      int64_t p = live_do(g->s, g->best[i], NULL);
      at = p > peak ? i : at;
      peak = dn_max(peak, p);
    }
    rewind_run(g->s, g->best, g->n);
    int first = (int)dn_max(0, dn_min(at - WINDOW / 2, g->n - WINDOW));
    run(g->s, g->best, first);
    bool proven;
    int64_t limit = dn_min(*budget, MAX_STATES / 16), given = limit;
    int64_t better = sched_window(g->s, &g->best[first], WINDOW, peak, floor,
                                  &limit, &proven);
    *budget -= given - limit;
    rewind_run(g->s, g->best, first);
    g->peak = peak_of(g->s, g->best, g->n);
    if (better >= peak)
      return;
  }
}

/* Returns a bound on the peak of the segment. One that stays below `enough`,
 * which the peak elsewhere reaches in any case, is left as it is. */
static int64_t search_segment(struct segment *g, struct live_run *back,
                              int64_t enough, int64_t *budget) {
  memcpy(g->best, g->was, (size_t)g->n * sizeof *g->best);
  g->peak = peak_of(g->s, g->best, g->n);
  int64_t bound = segment_bound(g);
  assert(bound <= g->peak && "no order is below the bound: segment_bound()");
  if (g->peak <= bound || g->peak <= enough)
    return bound;
  for (int i = 0; i < g->n; i++)
    g->in[g->was[i]] = i + 1;
  try_greedy(g);
  try_depth(g, false);
  try_depth(g, true);
  try_backwards(g, back);
  for (int i = 0; i < g->n; i++)
    g->in[g->was[i]] = 0;
  bool proven = g->peak <= bound || g->peak <= enough;
  if (!proven && g->n <= SCHED_WINDOW)
    g->peak =
        sched_window(g->s, g->best, g->n, g->peak, bound, budget, &proven);
  else if (!proven)
    polish(g, bound, budget);
  return proven && g->peak > enough ? g->peak : bound;
}

/* ---- Segments ---- */

/* cut[i]: node i (in program order) comes after all before it and before all
 * behind it in every order. */
static bool *find_cuts(const struct live *l, struct dn_arena *scratch) {
  bool *cut = DN_ARRAY(scratch, bool, l->nnodes + 1);
  int reach = -1; /* the farthest first user of the nodes so far */
  for (int i = 0; i < l->nnodes; i++) {
    cut[i] = reach <= i;
    struct live_list succs = l->node[i].succs;
    int first = l->nnodes; /* users are listed in program order */
    if (succs.n)
      first = succs.v[0];
    reach = (int)dn_max(reach, first);
  }
  int back = l->nnodes; /* the least last operand of the nodes behind */
  for (int i = l->nnodes; i-- > 0;) {
    cut[i] &= back >= i;
    struct live_list preds = l->node[i].preds;
    int last = -1;
    for (int k = 0; k < preds.n; k++)
      last = (int)dn_max(last, preds.v[k]);
    back = (int)dn_min(back, last);
  }
  return cut;
}

int64_t sched_search(const struct live *l, struct dn_arena *scratch, int *order,
                     int64_t *bound) {
  struct live_run s = live_start(l, scratch), back = live_start(l, scratch);
  bool *cut = find_cuts(l, scratch);
  struct segment g = {.s = &s};
  size_t n = (size_t)l->nnodes;
  g.in = DN_ARRAY(scratch, int, n);
  g.wait = DN_ARRAY(scratch, int, n);
  g.ready = DN_ARRAY(scratch, int, n);
  g.trial = DN_ARRAY(scratch, int, n);
  g.best = DN_ARRAY(scratch, int, n);
  int *was = dn_copy(scratch, order, n * sizeof *was);
  for (int i = l->nnodes; i-- > 0;)
    live_do(&back, was[i], NULL);
  int64_t peak = 0, budget = MAX_STATES;
  *bound = 0;
  for (int i = 0, end; i < l->nnodes; i = end) {
    end = i + 1;
    while (end < l->nnodes && !cut[i] && !cut[end])
      end++;
    g.was = &was[i];
    g.n = end - i;
    assert(g.n > 0 && end <= l->nnodes && "segments have nodes");
    for (int k = i; k < end; k++)
      live_undo(&back, was[k]);
    *bound = dn_max(*bound, search_segment(&g, &back, *bound, &budget));
    peak = dn_max(peak, run(&s, g.best, g.n));
    memcpy(&order[i], g.best, (size_t)g.n * sizeof *order);
  }
  assert(s.live == s.kept && *bound <= peak &&
         "all nodes ran; no order is below the bound");
  return peak;
}
