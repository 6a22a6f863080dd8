/* plan.c - gives every value its place in the arena. Which values share memory
 * is known (aliases.h), and the order of ops is as it stands. A kernel writes
 * over an operand that ends with it where that is safe, so the two become one
 * item; items get offsets (plan_pack.h); what the function returns is computed
 * in the caller's buffer. With reuse=0 every value has memory of its own for
 * the whole run, to be looked at afterwards. An arena of more than `first`
 * bytes is in two parts, of which the first, in faster memory, has what a run
 * accesses most. See docs/memory.md.
 *
 * before:  %a = kernel : f32[100] do { ... }
 *          %b = kernel : f32[100] do { ... matmul %a ... }
 *          %c = kernel : f32[10] do { ... matmul %b ... }
 *          return %c
 * after:   %a = kernel : f32[100] do { ... }
 *          %b = kernel {at=400} : f32[100] do { ... matmul %a ... }
 *          %c = kernel {space=out0} : f32[10] do { ... matmul %b ... }
 *          return %c */
#include "passes/pass.h"

#include "ir/loops.h"
#include "ir/nest.h"
#include "passes/overlap.h"
#include "passes/plan_pack.h"
#include "passes/schedule.h"

#include <assert.h>
#include <string.h>

struct over { /* a kernel whose result may lie over a part of an operand */
  struct ir_op *op;
  int item;
};

struct plan {
  struct pass_env *env;
  struct dn_arena *scratch;
  struct aliases *aliases;
  enum live_reuse reuse;
  int *item_of; /* buffer -> item, -1: in the caller's memory */
  struct pack_item *item;
  int nitems;
  int steps; /* so far: nodes, and ends of those with regions */
  int *room; /* by item, of values in a scan whose turns run at once: the item
                that holds one copy for each turn; `at` counts from the start of
                a copy. -1: none */
  int64_t *turn;               /* by such an item: bytes of one copy */
  DN_LIST(struct ir_op *) ops; /* that get places */
  DN_LIST(struct over) overs;
};

/* ---- Items ---- */

/* One item for each buffer, or for each chain of buffers that are written in
 * place one over the other. */
static void touch(struct plan *p, const struct live_buffer *b) {
  if (!b->in_arena)
    return;
  if (p->item_of[b->of] < 0) {
    p->item_of[b->of] = p->nitems;
    p->room[p->nitems] = -1;
    p->item[p->nitems++] = (struct pack_item){
        .size = b->size, .align = b->align, .first = p->steps, .over = -1};
  }
  p->item[p->item_of[b->of]].last = p->steps;
}

static void touch_all(struct plan *p, const struct live *l,
                      const struct live_node *n) {
  for (int k = 0; k < n->touches.n; k++)
    touch(p, &l->buffer[n->touches.v[k]]);
}

/* Inputs in the arena live from before the first node, outputs to the end. */
static void touch_io(struct plan *p, const struct live *l, bool in) {
  for (int i = 0; i < l->nbuffers; i++)
    if (in ? l->buffer[i].enters : l->buffer[i].leaves)
      touch(p, &l->buffer[i]);
}

static int item_of(const struct plan *p, const struct live *l, int buffer) {
  return p->item_of[l->buffer[buffer].of];
}

/* Notes that the node's result may overwrite a part of an operand. */
static void set_over(struct plan *p, const struct live *l,
                     const struct live_node *n, const struct live_take *take) {
  assert(take->buffer != n->made && "a result lies over what it is made of");
  struct pack_item *it = &p->item[item_of(p, l, n->made)];
  it->over = item_of(p, l, take->buffer);
  it->down = take->down;
  it->up = take->up;
  it->saved = take->saved;
  struct over o = {n->op, item_of(p, l, n->made)};
  DN_PUSH(p->scratch, p->overs, o);
}

/* Packs the items from `first` on into one item, which has a stretch of memory
 * for each turn. */
static void make_room(struct plan *p, const struct ir_op *op, int first,
                      int step) {
  int64_t align = p->env->target->align, turn;
  assert(first <= p->nitems && step <= p->steps &&
         "make_items() counted before the region");
  if (first == p->nitems)
    return;
  for (int i = first; i < p->nitems; i++) {
    p->room[i] = p->nitems;
    if (!p->reuse) /* memory of its own */
      p->item[i].first = 0, p->item[i].last = p->steps;
  }
  turn = pack_items(p->env->ctx, p->item + first, p->nitems - first,
                    (struct pack_rooms){0});
  turn = dn_align(turn, align);
  p->item[p->nitems] = (struct pack_item){.size = turn * ir_turns_at_once(op),
                                          .align = align,
                                          .first = step,
                                          .last = p->steps,
                                          .over = -1};
  p->turn[p->nitems] = turn;
  p->room[p->nitems++] = -1;
}

/* Packs what is in no other item; returns the bytes of all. */
static int64_t pack_outer(struct plan *p, struct pack_rooms rooms) {
  struct pack_item *outer = DN_ARRAY(p->scratch, struct pack_item, p->nitems);
  int *of = DN_ARRAY(p->scratch, int, p->nitems), n = 0;
  for (int i = 0; i < p->nitems; i++) {
    of[i] = n;
    if (p->room[i] < 0)
      outer[n++] = p->item[i];
  }
  for (int i = 0; i < n; i++)
    outer[i].over = outer[i].over < 0 ? -1 : of[outer[i].over];
  int64_t bytes = pack_items(p->env->ctx, outer, n, rooms);
  for (int i = 0; i < p->nitems; i++) {
    const struct pack_item *it = &outer[of[i]];
    if (p->room[i] >= 0)
      continue;
    assert(it->at >= 0 && it->at + it->size <= bytes &&
           "pack_items() has counted the bytes of all");
    p->item[i].at = it->at;
  }
  return bytes;
}

/* The nodes of a block in order: what a node with regions touches lives from
 * before those to behind them. */
static void make_items(struct plan *p, struct ir_block *b,
                       enum live_reuse reuse) {
  const struct live *l =
      live_build(p->scratch, p->aliases, b, p->env->target->align, reuse);
  int *order = DN_ARRAY(p->scratch, int, l->nnodes);
  int *taken = DN_ARRAY(p->scratch, int, l->nnodes);
  for (int i = 0; i < l->nnodes; i++)
    order[i] = i;
  live_peak(l, p->scratch, order, taken);
  touch_io(p, l, true);
  for (int i = 0; i < l->nnodes; i++) {
    const struct live_node *n = &l->node[i];
    const struct live_take *take = taken[i] < 0 ? NULL : &n->take[taken[i]];
    if (take && take->same)
      p->item_of[l->buffer[n->made].of] = item_of(p, l, take->buffer);
    touch_all(p, l, n);
    if (take && !take->same)
      set_over(p, l, n, take);
    for (unsigned r = 0; ir_has_blocks(n->op) && r < n->op->nregions; r++) {
      int first = p->nitems, step = ++p->steps;
      bool shared = ir_turns_at_once(n->op) > 1;
      make_items(p, n->op->region[r],
                 shared ? dn_min(reuse, LIVE_IN_PLACE) : reuse);
      touch_all(p, l, n);
      if (shared)
        make_room(p, n->op, first, step);
    }
    p->steps++;
    DN_PUSH(p->scratch, p->ops, n->op);
  }
  touch_io(p, l, false);
}

/* What no order of the block's ops and no places in it can do without. */
static int64_t find_bound(struct plan *p, struct ir_block *b) {
  struct live *l =
      live_build(p->scratch, p->aliases, b, p->env->target->align, p->reuse);
  int *order = DN_ARRAY(p->scratch, int, l->nnodes);
  int64_t bound;
  for (int i = 0; i < l->nnodes; i++) {
    struct live_node *n = &l->node[i];
    order[i] = i;
    for (unsigned r = 0; ir_has_blocks(n->op) && r < n->op->nregions; r++)
      n->inside = dn_max(n->inside, find_bound(p, n->op->region[r]) *
                                        ir_turns_at_once(n->op));
  }
  sched_search(l, p->scratch, order, &bound);
  return bound;
}

/* ---- Places ---- */

/* A value's place as attributes; returns how many. `record`: as fields of
 * one. */
static int place_attrs(const struct plan *p, const struct ir_value *v,
                       bool record, struct ir_attr out[4]) {
  const struct alias *at = alias_of(p->aliases, v);
  int n = 0, steps = IR_MAX_LOOPS_AROUND;
  assert(at && at->buffer >= 0 &&
         "results of kernels and concats have a buffer: aliases.c");
  int result = p->aliases->buffers.v[at->buffer].out;
  int64_t offset = at->offset, step[IR_MAX_LOOPS_AROUND];
  memcpy(step, at->step, sizeof step);
  int item = result < 0 ? p->item_of[at->buffer] : -1;
  int room = item < 0 ? -1 : p->room[item];
  offset += item < 0 ? 0 : p->item[item].at;
  if (room >= 0) {
    offset += p->item[room].at;
    step[0] += p->turn[room];
  }
  if (record || offset)
    out[n++] = ir_int("at", offset);
  if (record && result >= 0)
    out[n++] = ir_int("out", result);
  else if (result >= 0)
    out[n++] = ir_str("space", dn_printf(p->scratch, "out%d", result));
  if (!ir_type_is_dense(v->type, at->stride))
    out[n++] = ir_ints("stride", at->stride, v->type->rank);
  while (steps && !step[steps - 1])
    steps--;
  if (steps)
    out[n++] = ir_ints("turn", dn_copy(p->scratch, step, sizeof step), steps);
  return n;
}

static void drop_places(struct ir_op *op) {
  static const char *const names[] = {"at", "space", "stride", "turn",
                                      "places"};
  for (size_t i = 0; i < DN_COUNT(names); i++)
    ir_drop_attr(op, names[i]);
}

/* A record for each result, and for what a loop passes to its region. */
static void set_records(const struct plan *p, struct ir_op *op) {
  unsigned more = ir_is_loop(op) ? ir_loop_skips(op) : 0;
  unsigned n = op->nresults + more;
  struct ir_record *rs = DN_ARRAY(p->scratch, struct ir_record, n);
  for (unsigned i = 0; i < n; i++) {
    const struct ir_value *v = i < op->nresults
                                   ? op->result[i]
                                   : op->region[0]->param[i - op->nresults];
    rs[i].field = DN_ARRAY(p->scratch, struct ir_attr, 4);
    if (i < op->nresults || v->uses)
      rs[i].n = (unsigned)place_attrs(p, v, true, rs[i].field);
    else
      rs[i].field[rs[i].n++] = ir_int("at", 0);
  }
  if (n)
    ir_set_attr(op,
                (struct ir_attr){
                    .name = "places", .kind = IR_A_RECORDS, .n = n, .rs = rs});
}

static void set_place(const struct plan *p, struct ir_op *op) {
  struct ir_attr attrs[4];
  drop_places(op);
  if (ir_has_blocks(op)) {
    set_records(p, op);
    return;
  }
  int n = place_attrs(p, ir_result(op), false, attrs);
  for (int i = 0; i < n; i++)
    ir_set_attr(op, attrs[i]);
}

/* The outermost loop goes back where a result lies over its operand from above.
 */
static void set_back(struct ir_op *op, bool back) {
  struct ir_loops loops;
  bool none = loops_read(op, &loops) || !loops.n;
  if (none || loops.loop[0].back == back)
    return;
  loops.loop[0].back = back;
  loops_write(op, &loops);
}

static void set_directions(const struct plan *p) {
  for (size_t i = 0; i < p->overs.n; i++) {
    const struct pack_item *y = &p->item[p->overs.v[i].item];
    assert(y->over >= 0 && "set_over() has named the operand");
    const struct pack_item *x = &p->item[y->over];
    set_back(p->overs.v[i].op,
             y->at > x->at - y->down && y->at < x->at + x->size);
  }
}

/* Reads and writes of a value by kernels, in all turns of loops. */
static double count_accesses(struct dn_ctx *ctx, const struct ir_value *v) {
  double n =
      v->def && v->def->code == IR_KERNEL ? (double)ir_type_count(v->type) : 0;
  for (const struct ir_use *u = v->uses; u; u = u->next) {
    const struct ir_op *kernel = u->op->block->owner;
    if (!kernel || kernel->code != IR_KERNEL)
      continue;
    double reads = nest_reads(ctx, u);
    for (const struct ir_op *o = kernel; o; o = o->block->owner)
      if (ir_is_loop(o) && ir_max_turns(o) < INT64_MAX)
        reads *= (double)ir_max_turns(o);
    n += reads;
  }
  return n;
}

static void add_heat(struct plan *p, const struct ir_value *v) {
  const struct alias *a = alias_of(p->aliases, v);
  int item = a && a->buffer >= 0 ? p->item_of[a->buffer] : -1;
  if (item >= 0 && p->room[item] >= 0)
    item = p->room[item];
  if (item >= 0)
    p->item[item].heat +=
        count_accesses(p->env->ctx, v) / (double)dn_max(p->item[item].size, 1);
}

static void find_heat(struct plan *p, const struct ir_func *f) {
  for (unsigned i = 0; ir_io_places(f) && i < f->body->nparams; i++)
    add_heat(p, f->body->param[i]);
  for (struct ir_op *op = f->body->first; op; op = ir_next_outside(op)) {
    for (unsigned i = 0; i < op->nresults; i++)
      add_heat(p, op->result[i]);
    for (unsigned i = 0; ir_is_loop(op) && i < op->region[0]->nparams; i++)
      add_heat(p, op->region[0]->param[i]);
  }
}

/* Offsets; with first= and second=, of two parts, as near as they may be. */
static int64_t pack(struct plan *p, const struct ir_func *f) {
  struct ir_module *m = f->module;
  int64_t align = p->env->target->align;
  int64_t room = pass_int(p->env, "first"), part = 0;
  int64_t split = room / align * align;
  struct pack_rooms rooms = {0};
  int64_t size = pack_outer(p, rooms);
  if (size <= room || !split || m->funcs->next)
    return size;
  find_heat(p, f);
  rooms.split = split;
  if (!dn_add(split, pass_int(p->env, "second"), &rooms.most))
    rooms.most = INT64_MAX;
  size = pack_outer(p, rooms);
  if (size > rooms.most) /* one may fit where two do not */
    return pack_outer(p, (struct pack_rooms){0});
  for (int i = 0; i < p->nitems; i++)
    if (p->room[i] < 0 && p->item[i].at < split)
      part = dn_max(part, dn_align(p->item[i].at + p->item[i].size, align));
  for (int i = 0; i < p->nitems; i++)
    if (p->room[i] < 0 && p->item[i].at >= split)
      p->item[i].at -= split - part;
  assert(part <= split && "pack_items() keeps what is below the split there");
  m->arena_split = part;
  return size - (split - part);
}

static void set_io(const struct plan *p, const struct ir_func *f) {
  unsigned nin = f->body->nparams, n = nin + f->nresults;
  int64_t *at = DN_ARRAY(p->scratch, int64_t, n);
  for (unsigned i = 0; i < n; i++) {
    const struct alias *a =
        alias_of(p->aliases,
                 i < nin ? f->body->param[i] : ir_arg(f->body->last, i - nin));
    at[i] = a->offset + p->item[p->item_of[a->buffer]].at;
  }
  ir_set_attr(f->body->last, ir_ints("io", at, n));
}

/* ---- The pass ---- */

/* After `materialize`, no value needs a copy. */
static bool is_materialized(struct dn_ctx *ctx, const struct aliases *a) {
  for (size_t i = 0; i < a->misfits.n; i++)
    dn_error(ctx, ir_loc(a->misfits.v[i].op), DN_PIPELINE,
             "'%s' is not materialized: run 'materialize' before 'plan'",
             ir_ops[a->misfits.v[i].op->code].text);
  return !a->misfits.n;
}

/* Places move with so many loops. */
static bool fits_loops(struct dn_ctx *ctx, const struct ir_func *f) {
  bool ok = true;
  for (struct ir_op *op = f->body->first; op; op = ir_next_outside(op))
    if (ir_is_loop(op) && ir_loops_around(op->block) >= IR_MAX_LOOPS_AROUND)
      ok = dn_error(
          ctx, ir_loc(op), DN_UNSUPPORTED_OP,
          "no memory plan for more than %d loops, one in the other ('%s')",
          IR_MAX_LOOPS_AROUND, ir_ops[op->code].text);
  return ok;
}

static size_t count_shared(const struct ir_func *f) {
  size_t n = 0;
  for (const struct ir_op *op = f->body->first; op; op = op->next)
    n += ir_turns_at_once(op) > 1;
  return n;
}

static bool plan_func(struct pass_env *env, struct ir_func *f,
                      enum live_reuse reuse) {
  struct ir_module *m = f->module;
  struct plan p = {.env = env, .scratch = env->scratch, .reuse = reuse};
  p.aliases = aliases_reusing(env->scratch, f, p.reuse);
  if (!is_materialized(env->ctx, p.aliases))
    return false;
  size_t n = p.aliases->buffers.n;
  p.item = DN_ARRAY(p.scratch, struct pack_item, n + count_shared(f));
  p.room = DN_ARRAY(p.scratch, int, n + count_shared(f));
  p.turn = DN_ARRAY(p.scratch, int64_t, n + count_shared(f));
  p.item_of = DN_ARRAY(p.scratch, int, n);
  for (size_t b = 0; b < n; b++)
    p.item_of[b] = -1;
  make_items(&p, f->body, reuse);
  for (int i = 0; i < p.nitems && !reuse; i++) {
    p.item[i].first = 0;
    p.item[i].last = p.steps;
  }
  m->arena_size = dn_max(m->arena_size, pack(&p, f));
  if (reuse) /* else other plans need less */
    m->arena_bound = dn_max(m->arena_bound, find_bound(&p, f->body));
  assert(m->arena_bound <= m->arena_size &&
         "no plan needs less: sched_search()");
  for (size_t i = 0; i < p.ops.n; i++)
    set_place(&p, p.ops.v[i]);
  set_directions(&p);
  if (ir_io_places(f))
    set_io(&p, f);
  return true;
}

int64_t pass_plan(struct pass_env *env, struct ir_module *m) {
  bool ok = true;
  for (struct ir_func *f = m->funcs; f; f = f->next)
    ok &= fits_loops(m->ctx, f);
  if (!ok)
    return -1;
  enum live_reuse reuse =
      pass_int(env, "reuse") ? overlap_reuse(env) : LIVE_APART;
  m->arena_size = m->arena_bound = m->arena_split = 0;
  for (struct ir_func *f = m->funcs; f; f = f->next)
    ok &= plan_func(env, f, reuse);
  if (!ok)
    return -1;
  m->form = IR_PLANNED;
  return (int64_t)m->nvalues;
}
