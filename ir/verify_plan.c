/* verify_plan.c - what the planned form adds: every value has a place, places
 * are inside their space, and values that live at once share no bytes. It
 * shares no code with the planner.
 *
 * Positions number the ops outside kernels in order; a kernel is one position.
 * A value lives from the op that makes it to its last reader, through views and
 * through concats that it is a piece of, to the end of an op whose regions read
 * it from outside, and to the end of the function when it is returned. What an
 * op with regions makes lives from its start. The value that enters a loop, the
 * parameter that stands for it, what is yielded for the next turn and the
 * result lie at one place: in a turn, the new one comes after all reads of the
 * old. Inputs in the arena, and those that are state and lie in the buffer of
 * their result, live from before the first op. */
#include "ir/loops.h"
#include "ir/nest.h"
#include "ir/place.h"
#include "ir/verify.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct life { /* of a value outside kernels */
  unsigned def, end;
  const struct ir_value *root; /* it is a piece of that, views it, or is it */
  int64_t lo, hi;              /* bytes [lo, hi) of its space */
  struct ir_place place;
  const struct ir_op *shared; /* the scan around whose turns run at once, or
                                 NULL, */
  int64_t sweep; /* of lo to hi what its turns go on (verify_shared.c) */
  bool owns;     /* bytes of its own: not a view */
  const struct ir_op *loop; /* it enters it, or is its parameter; or NULL */
  const struct ir_value *value;
  uint64_t space;     /* and number of the place */
  size_t leaf, group; /* see struct sweep */
};

struct plan {
  bool rows;  /* of the kernel that is looked at */
  bool views; /* the ops whose places are: views, or others */
  struct verifier *v;
  const struct ir_func *f;
  struct life *life;      /* by value id */
  unsigned *start, *stop; /* positions by op id */
  unsigned positions;
  bool *same; /* by value id: see mark_elementwise() */
};

/* ---- Positions and lives ---- */

static void number_block(struct plan *p, const struct ir_block *b,
                         bool in_kernel) {
  for (const struct ir_op *op = b->first; op; op = op->next) {
    p->positions += !in_kernel;
    p->start[op->id] = p->positions;
    for (unsigned i = 0; i < op->nregions; i++)
      number_block(p, op->region[i], in_kernel || op->code == IR_KERNEL);
    p->positions += op->nregions && op->code != IR_KERNEL;
    p->stop[op->id] = p->positions;
  }
}

/* Position of a read by `user`: the end of the outermost loop between the
 * reader and the block of the value. */
static unsigned read_position(const struct plan *p, const struct ir_value *x,
                              const struct ir_op *user) {
  const struct ir_block *home = ir_home(x);
  unsigned at = p->start[user->id];
  for (const struct ir_block *b = user->block; b && b != home;
       b = b->owner ? b->owner->block : NULL)
    if (b->owner && b->owner->code != IR_KERNEL)
      at = p->stop[b->owner->id];
  return at;
}

/* The value that has the bytes of an operand from here on: of a view or a
 * concat outside kernels its result, of a yield its op's, of a loop what it
 * carries; or NULL. */
static const struct ir_value *carries_on(const struct ir_use *u) {
  const struct ir_op *op = u->op;
  unsigned i = ir_operand_number(u);
  if (ir_in_kernel(op))
    return NULL;
  if (ir_is_concat(op) || (ir_is_view(op) && !verify_has_place(op)))
    return ir_result(op);
  unsigned skips = ir_is_loop(op) ? ir_loop_skips(op) : 0;
  if (ir_is_loop(op) && i >= skips && i - skips < ir_num_carried(op))
    return op->result[i - skips];
  if (op->code == IR_YIELD && i >= ir_yield_skips(op->block->owner))
    return op->block->owner->result[i - ir_yield_skips(op->block->owner)];
  return NULL;
}

static void find_life(struct plan *p, const struct ir_value *x, unsigned def) {
  assert(x->id < p->v->m->nvalues && "ids are dense: value_new()");
  struct life *l = &p->life[x->id];
  l->def = l->end = def;
  l->root = x;
  for (const struct ir_use *u = x->uses; u; u = u->next) {
    unsigned at = read_position(p, x, u->op);
    const struct ir_value *r = carries_on(u);
    bool view = r && r->def == u->op && ir_is_view(u->op);
    if (u->op->code == IR_RETURN)
      at = UINT_MAX;
    if (u->op->code == IR_SCAN && !r && p->stop[u->op->id] > at)
      at = p->stop[u->op->id]; /* slice by slice */
    if (view || (r && ir_is_concat(u->op)))
      at = p->life[r->id].end > at ? p->life[r->id].end : at;
    if (r && (!view || p->life[r->id].root != r))
      l->root = p->life[r->id].root;
    if ((view || (r && ir_is_concat(u->op))) && p->life[r->id].loop)
      l->loop = p->life[r->id].loop;
    if (r && ir_is_loop(u->op))
      l->loop = u->op;
    if (at > l->end)
      l->end = at;
  }
}

/* Parameters of a loop's region: operands live to the end of the loop, carried
 * values to their last reader. */
static void find_params(struct plan *p, const struct ir_op *op) {
  const struct ir_block *b = op->region[0];
  for (unsigned i = 0; i < b->nparams; i++) {
    struct life *l = &p->life[b->param[i]->id];
    unsigned skips = ir_loop_skips(op);
    find_life(p, b->param[i], p->start[op->id]);
    if (i < skips) {
      l->end = p->stop[op->id];
    } else if (i - skips < ir_num_carried(op)) {
      l->root = p->life[op->result[i - skips]->id].root;
      l->loop = op;
    }
  }
}

/* In reverse, so that the lives of readers are known. */
static void find_lives(struct plan *p, const struct ir_block *b) {
  for (const struct ir_op *op = b->last; op; op = op->prev) {
    for (unsigned i = 0; i < op->nresults; i++) {
      struct life *l = &p->life[op->result[i]->id];
      find_life(p, op->result[i], p->start[op->id]);
      if (l->end < p->stop[op->id])
        l->end = p->stop[op->id];
    }
    for (unsigned i = 0; ir_has_blocks(op) && i < op->nregions; i++)
      find_lives(p, op->region[i]);
    if (ir_is_loop(op))
      find_params(p, op);
  }
}

/* ---- Places ---- */

/* Of `v`, in all turns of the loops around; false when the bytes are out of all
 * range. */
static bool find_extent(const struct ir_value *v, struct life *l) {
  int64_t bytes = ir_dtypes[v->type->dtype].bytes;
  int depth = ir_loops_around(ir_home(v));
  bool ok = ir_place_span(v, &l->place, &l->lo, &l->hi);
  for (const struct ir_op *o = ir_home(v)->owner; ok && o;
       o = o->block->owner) {
    if (l->lo == l->hi || !ir_is_loop(o) || !l->place.step[--depth])
      continue;
    ok = l->place.step[depth] % bytes == 0;
    if (ir_turns_at_once(o) > 1) { /* the outermost */
      l->shared = o;
      l->sweep = llabs(l->place.step[0]) * (ir_max_turns(o) - 1);
    }
  }
  return ok;
}

static void check_value(struct plan *p, const struct ir_op *op,
                        const struct ir_value *r, bool owns) {
  struct life *l = &p->life[r->id];
  if (!ir_place_of(r, &l->place)) {
    verify_op(p->v, op, PLACED, "%%%s has no place", r->name);
    return;
  }
  l->owns = owns;
  bool fits = find_extent(r, l);
  int64_t room = INT64_MAX;
  if (l->place.space == IR_IN_ARENA)
    room = ir_arena_part(p->v->m, l->place.number);
  else if (l->place.space == IR_IN_OUTPUT)
    room = ir_type_bytes(ir_arg(p->f->body->last, l->place.number)->type);
  bool empty = !ir_type_count(r->type); /* wherever it lies */
  if (!fits || l->lo < 0 || (!empty && l->hi > room) ||
      l->place.offset % ir_dtypes[r->type->dtype].bytes)
    verify_op(p->v, op, RANGE, "%%%s lies at bytes %lld to %lld of %lld",
              r->name, (long long)l->lo, (long long)l->hi, (long long)room);
  else if (l->owns && !empty && !verify_steps_over(r->type, &l->place))
    verify_op(p->v, op, STRIDE, "elements of %%%s lie at one place", r->name);
}

/* What a loop passes to its region and carries; slices follow from operands,
 * which may be views. */
static void check_param_places(struct plan *p, const struct ir_op *loop) {
  unsigned stated = ir_loop_skips(loop) + ir_num_carried(loop);
  const struct ir_block *b = loop->region[0];
  for (unsigned i = 0; i < b->nparams; i++)
    if (b->param[i]->uses && p->views == (i >= stated))
      check_value(p, loop, b->param[i], i < stated);
}

static void check_place(struct plan *p, const struct ir_op *op) {
  bool view = ir_is_view(op);
  for (unsigned i = 0; view == p->views && i < op->nresults; i++)
    check_value(p, op, op->result[i], !view || verify_has_place(op));
  if (ir_is_loop(op))
    check_param_places(p, op);
}

/* Operand k of `op` lies at place `want`. */
static void check_lies(struct plan *p, const struct ir_op *op, unsigned k,
                       const struct ir_place *want) {
  const struct ir_value *x = ir_arg(op, k);
  struct ir_place at;
  bool ok = ir_place_of(x, &at) && at.space == want->space &&
            at.number == want->number && at.offset == want->offset &&
            !memcmp(at.step, want->step, sizeof at.step);
  for (int d = 0; ok && d < x->type->rank; d++)
    ok = x->type->dim[d] == 1 || at.stride[d] == want->stride[d];
  if (!ok && ir_type_count(x->type))
    verify_op(p->v, op, PIECE, "operand %u (%s) does not lie at byte %lld", k,
              x->name, (long long)want->offset);
}

/* State is in the caller's memory before and after the call. */
static void check_state_places(struct plan *p) {
  const struct ir_op *ret = p->f->body->last;
  for (unsigned i = 0; i < ret->noperands; i++) {
    const struct ir_value *param = ir_carried_param(ret, i);
    if (!param)
      continue;
    check_value(p, ret, param, true);
    check_lies(p, ret, i, &p->life[param->id].place);
  }
}

/* What an op with regions makes is what they yield, and what enters a loop. */
static void check_yields(struct plan *p, const struct ir_op *op) {
  unsigned carried = ir_is_loop(op) ? ir_num_carried(op) : op->nresults;
  for (unsigned i = 0; i < op->nresults; i++) {
    struct ir_place want = p->life[op->result[i]->id].place;
    if (ir_is_loop(op) && i < carried)
      check_lies(p, op, i + ir_loop_skips(op), &want);
    if (i >= carried)
      ir_place_slice(op, op->result[i]->type, want.stride, want.step);
    for (unsigned r = 0; r < op->nregions; r++)
      check_lies(p, op->region[r]->last, i + ir_yield_skips(op), &want);
  }
}

/* Inputs and outputs in the arena lie where the return says. */
static void check_io(struct plan *p) {
  const struct ir_op *ret = p->f->body->last;
  const int64_t *io = ir_io_places(p->f);
  for (unsigned i = 0; io && !p->v->errors && i < ret->noperands; i++) {
    struct ir_place want = {.space = IR_IN_ARENA};
    want.offset = io[p->f->body->nparams + i];
    want.number = ir_arena_find(p->v->m, &want.offset);
    ir_type_strides(ir_arg(ret, i)->type, want.stride);
    check_lies(p, ret, i, &want);
  }
}

/* The places of a concat's operands are inside its result. */
static void check_pieces(struct plan *p, const struct ir_op *op) {
  if (ir_has_blocks(op))
    check_yields(p, op);
  if (!ir_is_concat(op))
    return;
  struct dn_arena *arena = dn_arena_new(p->v->ctx);
  const struct nest_access *a = &nest_build(arena, op)->access[0];
  assert(a->npieces == (int)op->noperands &&
         "the operands of a concat are pieces of one access: nest.h");
  const struct ir_place *all = &p->life[ir_result(op)->id].place;
  int64_t bytes = ir_dtypes[ir_result(op)->type->dtype].bytes;
  for (unsigned k = 0; k < op->noperands; k++) {
    struct ir_place want = *all;
    want.offset += a->start[k] * all->stride[a->axis] * bytes;
    check_lies(p, op, k, &want);
  }
  dn_arena_free(arena);
}

static void check_attrs(struct plan *p, const struct ir_op *op) {
  verify_place_attrs(p->v, op);
}

/* Places that ops state are looked at before those that follow from them. */
static void check_places(struct plan *p) {
  void (*const steps[])(struct plan *, const struct ir_op *) = {
      check_attrs, check_place, check_place, check_pieces};
  const struct ir_block *body = p->f->body;
  for (unsigned i = 0; ir_io_places(p->f) && i < body->nparams; i++)
    check_value(p, body->last, body->param[i], true);
  for (int i = 0; i < 4 && !p->v->errors; i++) {
    p->views = i == 2;
    for (const struct ir_op *op = body->first; op; op = ir_next_outside(op))
      steps[i](p, op);
  }
  check_io(p);
  if (!p->v->errors)
    check_state_places(p);
}

/* ---- Overlaps ---- */

/* `op` uses element i of its operand `x` for element i of its result alone, or
 * of what its kernel yields. In a kernel that folds rows first (nest.h) it is
 * rows that count: reductions and maps stay within them. */
static bool is_elementwise(const struct plan *p, const struct ir_op *op,
                           const struct ir_value *x) {
  enum ir_class cls = ir_ops[op->code].cls;
  return op->code == IR_YIELD || (p->rows && cls == IR_REDUCE) ||
         (cls == IR_MAP &&
          (p->rows || ir_same_dims(x->type, ir_result(op)->type)));
}

/* Marks the values of a kernel whose element i is used for element i of the
 * kernel's result alone. */
static void mark_elementwise(struct plan *p, const struct ir_block *body) {
  for (const struct ir_op *op = body->last; op; op = op->prev) {
    if (op->code == IR_YIELD)
      continue;
    const struct ir_value *r = ir_result(op);
    assert(op->nresults == 1 && "rule body: no region ops in a kernel");
    bool ok = true;
    for (const struct ir_use *u = r->uses; u && ok; u = u->next)
      ok = is_elementwise(p, u->op, r) &&
           (u->op->code == IR_YIELD || p->same[ir_result(u->op)->id]);
    p->same[r->id] = ok;
  }
}

static bool same_place(const struct ir_value *x, const struct ir_place *a,
                       const struct ir_value *y, const struct ir_place *b) {
  if (a->offset != b->offset || memcmp(a->step, b->step, sizeof a->step) != 0 ||
      !ir_same_dims(x->type, y->type) ||
      ir_dtypes[x->type->dtype].bytes != ir_dtypes[y->type->dtype].bytes)
    return false;
  for (int d = 0; d < x->type->rank; d++)
    if (x->type->dim[d] != 1 && a->stride[d] != b->stride[d])
      return false;
  return true;
}

static bool share_bytes(const struct plan *p, const struct ir_value *x,
                        const struct ir_value *y) {
  const struct life *a = &p->life[x->id], *b = &p->life[y->id];
  assert(a->lo <= a->hi && b->lo <= b->hi &&
         "find_extent() counts up from lo to hi");
  bool turn = a->shared && a->shared == b->shared &&
              a->place.step[0] == b->place.step[0]; /* are they in one? */
  int64_t sweep = turn ? a->sweep : 0;
  return a->place.space == b->place.space &&
         a->place.number == b->place.number && a->lo < b->hi - sweep &&
         b->lo < a->hi - sweep && !verify_apart_in_slice(x, y);
}

/* The kernel that makes `y` may write over what dies in it. */
static bool is_in_place(struct plan *p, const struct ir_value *y) {
  if (!y->def || y->def->code != IR_KERNEL)
    return false;
  const struct life *ly = &p->life[y->id];
  const struct ir_block *body = y->def->region[0];
  p->rows = loops_rows_first(y->def);
  mark_elementwise(p, body);
  for (const struct ir_op *op = body->first; op; op = op->next) {
    for (unsigned i = 0; i < op->noperands; i++) {
      const struct ir_value *x = ir_arg(op, i);
      if (x->data || (x->def && x->def->block == body) || !share_bytes(p, x, y))
        continue;
      bool start = i == 0 && ir_ops[op->code].traits & IR_ONTO;
      bool channel = i == 0 && loops_channels_first(y->def, op);
      bool same = (start || channel || is_elementwise(p, op, x)) &&
                  (op->code == IR_YIELD || p->same[ir_result(op)->id]) &&
                  same_place(x, &p->life[x->id].place, y, &ly->place);
      if (!same && !verify_overlap(p->v, y->def, x))
        return false;
    }
  }
  return true;
}

/* The loop that makes `y` carries on `x`, its entry, at the same place. */
static bool is_carried_on(const struct ir_value *x, const struct ir_value *y) {
  return y->def && ir_is_loop(y->def) && y->index < ir_num_carried(y->def) &&
         ir_arg(y->def, y->index + ir_loop_skips(y->def)) == x;
}

static bool is_inside(const struct ir_value *v, const struct ir_op *op) {
  const struct ir_block *b = ir_home(v);
  while (b->owner && b->owner != op)
    b = b->owner->block;
  return b->owner == op;
}

static void check_pair(struct plan *p, const struct ir_value *x,
                       const struct ir_value *y) {
  const struct life *a = &p->life[x->id], *b = &p->life[y->id];
  assert(a->def <= b->def && "collect() lists values in order of definition");
  if (!share_bytes(p, x, y) ||
      (a->root == b->root && !(a->loop && y->def && is_inside(y, a->loop))))
    return;
  if (a->end == b->def && (is_carried_on(x, y) || is_in_place(p, y)))
    return;
  if (verify_over_slice(x, y) && is_in_place(p, y))
    return;
  verify_op(p->v, y->def ? y->def : y->block->owner, OVERLAP,
            "%%%s at bytes %lld to %lld overlaps %%%s at %lld to %lld", y->name,
            (long long)b->lo, (long long)b->hi, x->name, (long long)a->lo,
            (long long)a->hi);
}

struct sweep { /* over values in order of definition */
  struct plan *p;
  DN_LIST(struct life *) lives; /* in order of definition, */
  struct life **leaf; /* of their bytes by space, groups of one space, */
  struct life **end;  /* and of their ends */
  size_t leaves;      /* a power of two */
  int64_t *most;      /* a tree: the largest hi of leaves below that live */
};

static int compare_bytes(const void *x, const void *y) {
  const struct life *const *a = x, *const *b = y;
  return (*a)->space != (*b)->space
             ? ((*a)->space > (*b)->space) - ((*a)->space < (*b)->space)
             : ((*a)->lo > (*b)->lo) - ((*a)->lo < (*b)->lo);
}

static int compare_ends(const void *x, const void *y) {
  const struct life *const *a = x, *const *b = y;
  return ((*a)->end > (*b)->end) - ((*a)->end < (*b)->end);
}

static void set_leaf(struct sweep *s, size_t leaf, int64_t hi) {
  size_t i = s->leaves + leaf;
  s->most[i] = hi;
  while (i >>= 1)
    s->most[i] = dn_max(s->most[2 * i], s->most[2 * i + 1]);
}

/* Checks `b` against the leaves [first, first + n) of a node. */
static void check_leaves(struct sweep *s, size_t node, size_t first, size_t n,
                         const struct life *b) {
  if (first >= s->lives.n || first + n <= b->group || s->most[node] <= b->lo ||
      (first >= b->group &&
       (s->leaf[first]->group != b->group || s->leaf[first]->lo >= b->hi)))
    return;
  if (n == 1) {
    check_pair(s->p, s->leaf[first]->value, b->value);
    return;
  }
  check_leaves(s, 2 * node, first, n / 2, b);
  check_leaves(s, 2 * node + 1, first + n / 2, n / 2, b);
}

static void check_overlaps(struct sweep *s) {
  struct dn_arena *scratch = s->p->v->scratch;
  size_t n = s->lives.n, ended = 0;
  s->leaf = dn_copy(scratch, s->lives.v, n * sizeof *s->leaf);
  s->end = dn_copy(scratch, s->lives.v, n * sizeof *s->end);
  qsort(s->leaf, n, sizeof *s->leaf, compare_bytes);
  qsort(s->end, n, sizeof *s->end, compare_ends);
  for (s->leaves = 1; s->leaves < n;)
    s->leaves *= 2;
  s->most = DN_ARRAY(scratch, int64_t, 2 * s->leaves);
  for (size_t i = 0; i < n; i++) {
    struct life *l = s->leaf[i], *last = s->leaf[i ? i - 1 : 0];
    l->leaf = i;
    l->group = l->space == last->space ? last->group : i;
  }
  for (size_t i = 0; i < n; i++) {
    struct life *b = s->lives.v[i];
    for (; s->end[ended]->end < b->def; ended++)
      set_leaf(s, s->end[ended]->leaf, 0);
    check_leaves(s, 1, 0, s->leaves, b);
    set_leaf(s, b->leaf, b->hi);
  }
}

static void collect_value(struct sweep *s, const struct ir_value *v) {
  struct life *l = &s->p->life[v->id];
  l->value = v;
  l->space = (uint64_t)l->place.space << 32 | (uint32_t)l->place.number;
  if (l->owns)
    DN_PUSH(s->p->v->scratch, s->lives, l);
}

static void collect_params(struct sweep *s, const struct ir_block *b) {
  for (unsigned i = 0; i < b->nparams; i++)
    collect_value(s, b->param[i]);
}

static void collect(struct sweep *s, const struct ir_block *body) {
  collect_params(s, body);
  for (const struct ir_op *op = body->first; op; op = ir_next_outside(op)) {
    for (unsigned i = 0; i < op->nresults; i++)
      collect_value(s, op->result[i]);
    if (ir_is_loop(op))
      collect_params(s, op->region[0]);
  }
}

void verify_plan(struct verifier *v, const struct ir_func *f) {
  assert(!v->errors && v->m->form == IR_PLANNED &&
         "ir_verify() asks behind the other rules");
  struct plan p = {.v = v, .f = f};
  p.life = DN_ARRAY(v->scratch, struct life, v->m->nvalues);
  p.start = DN_ARRAY(v->scratch, unsigned, v->m->nops);
  p.stop = DN_ARRAY(v->scratch, unsigned, v->m->nops);
  p.same = DN_ARRAY(v->scratch, bool, v->m->nvalues);
  number_block(&p, f->body, false);
  find_lives(&p, f->body);
  for (unsigned i = 0; i < f->body->nparams; i++)
    find_life(&p, f->body->param[i], 0);
  check_places(&p);
  if (v->errors)
    return;
  struct sweep s = {.p = &p};
  collect(&s, f->body);
  check_overlaps(&s);
  if (!v->errors)
    verify_shared(v, f);
}
