/* loops.c - writes down the loops of each kernel, from the addresses that it
 * reads (ir/reads.h) and the register tile that it was given:
 *
 * - dimensions that every address sees as one are one loop;
 * - a dimension is cut where a piece of a concat starts or an index passes the
 *   edge of its tensor, so that no element checks for itself;
 * - a dimension whose index is divided (groups of a convolution) goes in blocks
 *   of the divisor, within which the quotient is one number.
 *
 * Copies of the kernel's body, times the registers of a tile, are the code:
 * tile, unrolling and cuts become smaller until that is within a budget. Loops
 * written by hand are kept. How sums are made (`dot`, `wide`, `plane`, `words`,
 * `join`) is written where what they read lies so in every tile, and where lanes
 * go along a reduction, in how many accumulators (`chains`).
 *
 * before:  %y = kernel {tile=[1,1,6,64], vec=16} : f32[1,56,56,64] do { ... }
 * after:   %y = kernel {vec=16, loops=[{dims=[1,2], tile=6}, {dims=[3],
 * tile=64}]} : f32[1,56,56,64] do { ... } */
#include "ir/loops.h"

#include "ir/nest.h"
#include "ir/reads.h"
#include "passes/aliases.h"
#include "passes/edit.h"

#include <string.h>

enum {
  MAX_WORK = 24000, /* registers' worth of values in the code of a kernel */
  MAX_CUTS = 24,    /* copies of the body that edges may make */
  MAX_PIECES = 256, /* and pieces of concats */
  MIN_BLOCK = 4     /* smaller ones leave no room for vectors */
};

struct planner {
  const struct pass_env *env;
  struct ir_op *kernel;
  const struct reads *r;
  const struct ir_type *type;
  struct ir_loops plain; /* one a dimension */
  int n;
  struct ir_loop loop[IR_MAX_LOOPS]; /* row-major; the last has the lanes */
  DN_LIST(int64_t) cuts[IR_MAX_LOOPS];
  bool pieces;           /* some are not cut apart */
  bool contracts, whole; /* whole: and has no groups */
  int64_t vec, unroll;
  bool integers; /* sums of them */
};

/* ---- Dimensions to loops ---- */

static const struct ir_loop *plain_loop(const struct planner *p, int d) {
  for (int i = 0; i < p->plain.n; i++)
    if (p->plain.loop[i].first == d)
      return &p->plain.loop[i];
  return NULL;
}

/* The size that an index along `d` is divided by, where it divides the
 * dimension; pieces of a concat cut better. In a product without groups whole
 * vectors of a tile have quotients of their own. */
static int64_t find_block(const struct planner *p, int d) {
  const struct reads *r = p->r;
  int64_t block = p->type->dim[d], tile = plain_loop(p, d)->tile;
  if (p->type->size[d])
    return block;
  for (size_t i = 0; i < r->edges.n; i++)
    if (r->edges.v[i].dim == d && r->edges.v[i].kind == READ_PIECE)
      return block;
  for (size_t i = 0; i < r->periods.n && r->pinned >> d & 1; i++) {
    int64_t at = r->periods.v[i].at;
    if (p->whole && tile % at == 0 && at % p->vec == 0)
      continue;
    if (r->periods.v[i].dim == d && at >= MIN_BLOCK && at < block &&
        p->type->dim[d] % at == 0)
      block = at;
  }
  return block;
}

static void add_loop(struct planner *p, const struct ir_loop *own) {
  struct ir_loop *last = p->n ? &p->loop[p->n - 1] : NULL, l = *own;
  int d = l.first;
  l.lanes = false;
  if (d == p->r->carried) {
    p->loop[p->n++] = l;
    return;
  }
  const struct ir_size *both =
      last ? ir_size_times(p->env->ctx, last->size, l.extent) : NULL;
  if (last && last->last != p->r->carried && !l.size && !last->size == !both &&
      reads_are_one(p->r, last->last, d)) {
    last->size = both;
    if (!dn_mul(last->tile, l.tile, &last->tile))
      last->tile = last->extent;
    last->extent *= l.extent;
    last->last = d;
    return;
  }
  int64_t block = find_block(p, d);
  if (block < l.extent)
    p->loop[p->n++] = (struct ir_loop){d, d, .block = block,
                                       .extent = l.extent / block, .tile = 1};
  l.extent = block;
  p->loop[p->n++] = l;
}

/* The lanes may go from block to block of the last dimension, whose tile is
 * then shared by both loops. */
static void set_lanes(struct planner *p) {
  int64_t lanes = ir_get_int(p->kernel, "lanes");
  int last = p->n - 1;
  for (int g = last - 1; g >= 0 && lanes >= 0; g--) {
    struct ir_loop *l = &p->loop[g];
    if (l->last != lanes)
      continue;
    l->lanes = true;
    if (l->last == p->loop[last].last)
      l->tile = dn_max(1, p->loop[last].tile / l->block);
    return;
  }
}

/* ---- Cuts ---- */

static void add_cut(struct planner *p, int g, int64_t at) {
  size_t i = p->cuts[g].n;
  if (at <= 0 || at >= p->loop[g].extent)
    return;
  for (size_t j = 0; j < i; j++)
    if (p->cuts[g].v[j] == at)
      return;
  DN_PUSH(p->env->scratch, p->cuts[g], at);
  for (; i && p->cuts[g].v[i - 1] > at; i--)
    p->cuts[g].v[i] = p->cuts[g].v[i - 1];
  p->cuts[g].v[i] = at;
}

/* Whether loop `g` can be cut at an edge. Those of windows pay along the lanes,
 * and for sums of integers without vectors along the loop around them: pointers
 * take the registers that selecting them would spill. */
static bool cuts_at(const struct planner *p, int g, const struct read_edge *e) {
  const struct ir_loop *l = &p->loop[g];
  const struct ir_facts *t = p->env->target;
  int around = p->n - 2; /* blocks of the last dimension are one loop with it */
  while (around > 0 && !t->vector_bytes &&
         p->loop[around].last == p->loop[p->n - 1].last)
    around--;
  bool copies = ir_get_int(p->kernel, "wide") || ir_get_int(p->kernel, "plane");
  bool inner =
      g == p->n - 1 || (g == around && p->integers && !p->env->opts->opt_size &&
                        (!t->vector_bytes || t->bare_metal));
  return l->first == e->dim && l->last == e->dim && l->block == 1 && !l->size &&
         l->extent == p->type->dim[e->dim] && e->dim != p->r->carried &&
         (e->kind != READ_WINDOW ||
          (inner && !copies)); /* which have the edges */
}

static void add_edge(struct planner *p, const struct read_edge *e) {
  bool piece = e->kind == READ_PIECE, cut = false;
  size_t copies = 1;
  for (int g = 0; g < p->n; g++)
    copies *= p->cuts[g].n + 1;
  for (int g = 0; g < p->n && copies < (piece ? MAX_PIECES : MAX_CUTS); g++) {
    if (!cuts_at(p, g, e))
      continue;
    add_cut(p, g, e->at);
    cut = true;
  }
  p->pieces |= piece && !cut;
}

/* Pieces of concats first; edges while the copies of the body stay few. */
static void find_cuts(struct planner *p) {
  for (size_t i = 0; i < 2 * p->r->edges.n; i++) {
    const struct read_edge *e = &p->r->edges.v[i % p->r->edges.n];
    if ((e->kind == READ_PIECE) == (i < p->r->edges.n))
      add_edge(p, e);
  }
  for (int g = 0; g < p->n; g++) {
    p->loop[g].cuts = p->cuts[g].v;
    p->loop[g].ncuts = (int64_t)p->cuts[g].n;
  }
}

/* ---- How much code it is ---- */

static int64_t times(int64_t a, int64_t b) {
  int64_t product;
  return dn_mul(a, b, &product) ? product : INT64_MAX;
}

/* Registers of `n` elements along the lanes. */
static int64_t count_registers(const struct planner *p, int64_t n) {
  int64_t native = dn_max(1, p->env->target->vector_bytes / 4), sum = 0;
  if (ir_get_int(p->kernel, "scalable"))
    return dn_div_ceil(p->vec, native);
  sum = times(n / p->vec, dn_div_ceil(p->vec, native));
  for (int64_t left = n % p->vec, lanes = p->vec; left; left %= lanes) {
    while (lanes > left)
      lanes = lanes / 2 + lanes % 2;
    sum += dn_div_ceil(lanes, native);
  }
  return sum;
}

/* Rows, or registers of the last loop, that all copies of the tile have. */
static int64_t count_tile(const struct planner *p, int g) {
  const struct ir_loop *l = &p->loop[g];
  int64_t sum = 0, from = 0, most;
  bool rows = g + 1 < p->n;
  bool loop = rows && ir_get_int(p->kernel, "matrix"); /* over rows of sums */
  for (int64_t t = l->tile; l->size && t; t = loops_next_tile(l, t, &most))
    sum += rows ? t : count_registers(p, t);
  for (int64_t i = 0; i <= l->ncuts && !l->size; i++) {
    int64_t n = (i < l->ncuts ? l->cuts[i] : l->extent) - from;
    int64_t tile = dn_min(l->tile, n);
    from += n;
    sum += loop   ? 1 + (n % tile > 0)
           : rows ? tile + n % tile
                  : count_registers(p, tile) +
                        (n % tile ? count_registers(p, n % tile) : 0);
  }
  return sum;
}

/* Registers of the sums of one tile, where loops are cut and in whole loops. */
static int64_t count_sums(const struct planner *p, bool cut) {
  int64_t most = 0, from = 0, rows = 1;
  const struct ir_loop *last = p->n ? &p->loop[p->n - 1] : NULL;
  for (int g = 0; g + 1 < p->n; g++)
    rows = times(rows, dn_min(p->loop[g].tile, p->loop[g].extent));
  for (int64_t i = 0; last && i <= (cut ? last->ncuts : 0); i++) {
    bool inner = cut && i < last->ncuts;
    int64_t n = (inner ? last->cuts[i] : last->extent) - from;
    from += n;
    most = dn_max(most, count_registers(p, dn_min(n, last->tile)));
    most = dn_max(most, count_registers(p, n % last->tile));
  }
  return times(rows, most);
}

/* The tile that fits the registers may have more of them in a piece: 4 lanes
 * are one, 3 are two. */
static void fit_registers(struct planner *p) {
  int64_t have = p->env->target->vector_regs;
  if (!have || !p->contracts || ir_get_int(p->kernel, "matrix") ||
      count_sums(p, false) > have)
    return;
  while (count_sums(p, true) > have) {
    struct ir_loop *most = NULL;
    for (int g = 0; g + 1 < p->n; g++)
      if (p->loop[g].tile > 1 && (!most || p->loop[g].tile > most->tile))
        most = &p->loop[g];
    if (!most)
      return;
    most->tile = dn_min(most->tile, most->extent) - 1;
  }
}

/* Copies of a fold's body: steps of the innermost loop, and what they leave. */
static int64_t count_steps(const struct planner *p) {
  int64_t most = 1, dot = ir_get_int(p->kernel, "dot");
  struct dn_arena *tmp = dn_arena_new(p->env->ctx);
  bool across = !p->n || p->loop[p->n - 1].tile == 1;
  int dim;
  const struct nest *parts = nest_parts(tmp, p->kernel, &dim);
  for (const struct ir_op *op = p->kernel->region[0]->first; op->next;
       op = op->next) {
    bool folds = ir_is_anchor(op) && (!parts || parts->op == op);
    const struct nest *n = folds ? nest_build(tmp, op) : NULL;
    int64_t extent = 1;
    for (int i = 0; n && i < n->niters; i++)
      if (n->iter[i].reduced && n->iter[i].extent > 1)
        extent = n->iter[i].extent;
    if (n && nest_steps_from(n, 0, dot) <= p->unroll)
      extent = dn_max(nest_steps_from(n, 0, dot), 1);
    int64_t lanes = across && extent >= p->vec ? p->vec : 1;
    int64_t step = dn_min(times(p->unroll, lanes), extent / lanes * lanes);
    step = dn_max(step, 1); /* of no elements */
    int64_t rest = extent % step;
    most = dn_max(most, step / lanes + rest / lanes + rest % lanes);
  }
  dn_arena_free(tmp);
  return most;
}

static int64_t count_work(const struct planner *p) {
  int64_t work = p->pieces ? p->r->visits : p->r->visits_of_piece;
  for (int g = 0; g < p->n; g++)
    work = times(work, count_tile(p, g));
  return times(work, count_steps(p));
}

/* The next smaller schedule; false: there is none. */
static bool shrink(struct planner *p) {
  int last = p->n - 1, most = -1, cut = -1;
  if (p->unroll > 1) {
    p->unroll /= 2;
    return true;
  }
  for (int g = 0; g <= last; g++) {
    const struct ir_loop *l = &p->loop[g];
    int64_t least = g == last ? p->vec : 1;
    if (l->tile > least && (most < 0 || l->tile > p->loop[most].tile))
      most = g;
    if (l->ncuts && (cut < 0 || l->ncuts > p->loop[cut].ncuts))
      cut = g;
  }
  if (most >= 0) {
    struct ir_loop *l = &p->loop[most];
    int64_t by = most == last ? p->vec : 1;
    l->tile = dn_min(l->tile, dn_max(l->extent, by));
    l->tile = dn_max(l->tile / 2 / by, 1) * by;
  } else if (cut >= 0) {
    p->loop[cut].ncuts = 0;
  } else if (p->vec > 1) {
    p->vec /= 2;
    if (last >= 0)
      p->loop[last].tile = dn_min(p->loop[last].tile, p->vec);
  } else {
    return false;
  }
  return true;
}

/* ---- Writing ---- */

/* Where the order of the plain loops has the last dimension of a loop. */
static int rank_of(const struct planner *p, const struct ir_loop *l) {
  int rank = 0;
  while (rank < p->plain.n && p->plain.loop[rank].last != l->last)
    rank++;
  return rank;
}

static void write_loops(struct planner *p) {
  struct ir_loops out = {.n = p->n};
  for (int g = 0; g < p->n; g++) {
    int i = g;
    for (; i && rank_of(p, &out.loop[i - 1]) > rank_of(p, &p->loop[g]); i--)
      out.loop[i] = out.loop[i - 1];
    out.loop[i] = p->loop[g];
  }
  if (p->vec != ir_get_int(p->kernel, "vec"))
    ir_set_attr(p->kernel, ir_int("vec", p->vec));
  if (p->unroll != ir_get_at(p->kernel, "unroll", 0))
    ir_set_attr(p->kernel, ir_ints("unroll", &p->unroll, 1));
  if (!loops_scale(p->kernel, &out))
    ir_drop_attr(p->kernel, "scalable");
  loops_write(p->kernel, &out);
}

/* ---- How sums are made ---- */

/* Tiles for the registers of vectors, instead of those of matrices. */
static void leave_matrix(struct planner *p) {
  enum { ROWS = 4 };
  ir_drop_attr(p->kernel, "matrix");
  for (int g = 0; g + 1 < p->n; g++)
    p->loop[g].tile = g + 2 < p->n ? 1 : dn_min(p->loop[g].tile, ROWS);
  write_loops(p);
}

/* Loops over integers without vectors are one where all operands let them. */
static bool may_join(const struct planner *p) {
  return p->contracts && p->integers && !p->env->target->vector_bytes &&
         ir_get_int(p->kernel, "dot") < 2 && !ir_get_int(p->kernel, "plane") &&
         !ir_get_int(p->kernel, "words");
}

/* Keeps what the kernel says of its sums if it holds in all tiles. */
static void keep_way(struct planner *p, const struct aliases *aliases,
                     struct dn_arena *tmp, const struct ir_loops *loops,
                     const char *way) {
  if (!ir_find_attr(p->kernel, way))
    return;
  struct runs *r = aliases_runs(tmp, aliases, p->kernel, p->env->target);
  bool of_dot =
      !strcmp(way, "dot") || !strcmp(way, "wide") || !strcmp(way, "narrow");
  if (of_dot != (ir_get_int(p->kernel, "dot") > 1) ||
      !runs_kernel_fits(r, p->kernel, loops, way))
    ir_drop_attr(p->kernel, way);
}

static void set_ways(struct planner *p, const struct aliases *aliases,
                     struct dn_arena *tmp) {
  static const char *const way[] = {"dot", "wide", "plane", "words"};
  struct ir_op *kernel = p->kernel;
  struct ir_loops loops;
  if (loops_read(kernel, &loops))
    return;
  if (ir_get_int(kernel, "matrix")) {
    struct runs *r = aliases_runs(tmp, aliases, kernel, p->env->target);
    if (runs_kernel_fits(r, kernel, &loops, "matrix"))
      return;
    leave_matrix(p);
    loops_read(kernel, &loops);
  }
  bool wide = ir_get_int(kernel, "wide");
  for (size_t i = 0; i < DN_COUNT(way); i++)
    keep_way(p, aliases, tmp, &loops, way[i]);
  /* What takes as many steps as it has products is for rows that are widened. */
  if (wide && !ir_get_int(kernel, "wide") &&
      p->env->target->dot_step >= p->env->target->dot_k)
    ir_drop_attr(kernel, "dot");
  if (may_join(p))
    ir_set_attr(kernel, ir_int("join", 1));
  keep_way(p, aliases, tmp, &loops, "join");
}

/* Sums of integers begin with what is added to them, by a copy of a register;
 * four vectors of them are narrowed at once, by registers of 64 bytes. */
static void set_ends(struct planner *p, const struct nest *anchor,
                     struct dn_arena *arena) {
  const struct ir_facts *t = p->env->target;
  bool dot = ir_get_int(p->kernel, "dot") > 1;
  if (nest_addition(anchor) &&
      (p->vec == 1 || (dot && t->dot_shape == IR_DOT_SPREAD)))
    ir_set_attr(p->kernel, ir_int("bias", 1));
  int64_t narrow = runs_narrow(arena, p->kernel);
  if (dot && t->dot_shape == IR_DOT_SPREAD &&
      t->dot_lanes == RUNS_NARROW_LANES && p->vec == RUNS_NARROW_LANES &&
      narrow)
    ir_set_attr(p->kernel, ir_int("narrow", narrow));
}

/* Tiles of one row, whose registers hold two sums a point, sum up by scale. */
static void set_scaled(struct planner *p, struct runs *r,
                       const struct nest *anchor) {
  int64_t points = 0, last = p->n ? p->loop[p->n - 1].tile : 1;
  for (int g = 0; g + 1 < p->n; g++) {
    int64_t extent = p->loop[g].extent, tile = dn_min(p->loop[g].tile, extent);
    if (tile > 1 && extent % tile != 1 && !p->loop[g].ncuts && !p->loop[g].size)
      return;
  }
  if (ir_get_int(p->kernel, "scalable"))
    last = 1;
  for (; last > 0; points++)
    last -= loops_lanes(p->vec, last);
  if (p->unroll > 1 && 2 * points < p->env->target->vector_regs &&
      runs_scaled(r, anchor))
    ir_set_attr(p->kernel, ir_int("scaled", 1));
}

/* Whether a tile has one column: its lanes go along the reduction. */
static bool has_single(const struct planner *p, uint64_t rows) {
  const struct ir_loop *l = p->n ? &p->loop[p->n - 1] : NULL;
  bool single = !l || l->tile == 1 || l->size || rows >> l->last & 1;
  int64_t from = 0;
  for (int64_t i = 0; !single && i <= l->ncuts; i++) {
    int64_t n = (i < l->ncuts ? l->cuts[i] : l->extent) - from;
    single = n == 1 || (n > l->tile && n % l->tile == 1);
    from += n;
  }
  return single;
}

/* Accumulators of a result whose lanes go along the innermost reduced iterator:
 * as many as are unrolled, and as there are registers. */
static void set_chains(struct planner *p, struct dn_arena *tmp) {
  uint64_t within = nest_row_dims(p->kernel);
  int64_t chains = dn_min(p->unroll, 8), have = p->env->target->vector_regs;
  bool any = false;
  for (int g = 0; g + 1 < p->n; g++)
    if (!(within >> p->loop[g].last & 1))
      have /= dn_min(p->loop[g].tile, p->loop[g].extent);
  for (const struct ir_op *op = p->kernel->region[0]->first; op->next;
       op = op->next) {
    enum ir_class cls = ir_ops[op->code].cls;
    if (cls != IR_REDUCE && cls != IR_CONTRACT)
      continue;
    const struct nest *n = nest_build(tmp, op);
    int inner = nest_inner_reduced(n);
    if (inner < 0 || n->carried >= 0 || !n->nstates)
      return;
    any = true;
    chains = dn_min(chains, dn_max(1, have / n->nstates));
    chains = dn_min(chains, n->iter[inner].extent / p->vec);
  }
  if (any && chains > 0 && p->vec > 1 && ir_get_int(p->kernel, "dot") == 1 &&
      !ir_get_int(p->kernel, "scalable") && has_single(p, within))
    ir_set_attr(p->kernel, ir_int("chains", chains));
}

static void set_rest(struct planner *p, const struct aliases *aliases,
                     struct dn_arena *tmp) {
  const struct nest *anchor = NULL;
  struct ir_loops loops;
  for (const struct ir_op *op = p->kernel->region[0]->first; op->next;
       op = op->next)
    if (ir_is_anchor(op))
      anchor = nest_build(tmp, op);
  if (!anchor || loops_read(p->kernel, &loops))
    return;
  int64_t dot = ir_get_int(p->kernel, "dot"),
          factors = p->env->target->bcast_operand;
  if (factors > 1 && runs_steps(anchor, p->unroll, dot) % factors == 0)
    ir_set_attr(p->kernel, ir_int("factors", factors));
  set_ends(p, anchor, tmp);
  keep_way(p, aliases, tmp, &loops, "narrow");
  set_scaled(p, aliases_runs(tmp, aliases, p->kernel, p->env->target), anchor);
}

static void find_contraction(struct planner *p, const struct ir_op *op) {
  const struct ir_attr *groups = ir_find_attr(op, "groups");
  p->contracts = true;
  p->whole = p->vec > 1 && (!groups || groups->i == 1);
  p->integers = !ir_is_float(ir_result(op)->type->dtype);
}

static void plan_kernel(struct pass_env *env, const struct aliases *aliases,
                        struct ir_op *kernel) {
  struct dn_arena *tmp = dn_arena_new(env->ctx);
  struct planner p = {.env = env, .kernel = kernel};
  p.type = loops_type(kernel);
  p.r = aliases_reads(tmp, aliases, kernel);
  p.vec = ir_get_int(kernel, "vec");
  p.unroll = ir_get_at(kernel, "unroll", 0);
  loops_read(kernel, &p.plain);
  for (const struct ir_op *op = kernel->region[0]->first; op; op = op->next)
    if (ir_ops[op->code].cls == IR_CONTRACT)
      find_contraction(&p, op);
  for (int d = 0; d < p.type->rank; d++) {
    const struct ir_loop *l = plain_loop(&p, d);
    if (l)
      add_loop(&p, l);
  }
  find_cuts(&p);
  set_lanes(&p);
  fit_registers(&p);
  while (count_work(&p) > MAX_WORK && shrink(&p))
    ;
  write_loops(&p);
  set_ways(&p, aliases, tmp);
  set_chains(&p, tmp);
  set_rest(&p, aliases, tmp);
  dn_arena_free(tmp);
}

int64_t pass_loops(struct pass_env *env, struct ir_module *m) {
  int64_t planned = 0;
  for (struct ir_func *f = m->funcs; f; f = f->next) {
    const struct aliases *aliases = aliases_build(env->scratch, f);
    for (struct ir_op *op = f->body->first; op; op = ir_next_outside(op)) {
      if (op->code != IR_KERNEL || ir_find_attr(op, "loops") ||
          !ir_type_count(loops_type(op))) /* nothing is stored */
        continue;
      plan_kernel(env, aliases, op);
      planned++;
    }
  }
  return planned;
}
