/* verify_plan.c - what the planned form adds: every value has a place, places
 * are inside their space, and values that live at once share no bytes. It shares
 * no code with the planner.
 *
 * Positions number the ops outside kernels in order; a kernel is one position.
 * A value lives from the op that makes it to its last reader, through views and
 * through concats that it is a piece of, to the end of a loop that reads it
 * from outside, and to the end of the function when it is returned. */
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
  const struct ir_value *root; /* the concat it is a piece of, the value that it
                                  views, or itself */
  int64_t lo, hi;              /* bytes [lo, hi) of its space */
  struct ir_place place;
  bool owns; /* bytes of its own: not a view */
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

static bool has_place(const struct ir_op *op) {
  return ir_find_attr(op, "at") || ir_find_attr(op, "space");
}

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

/* Where a read by `user` counts: at the end of the outermost loop between the
 * reader and the value's block. */
static unsigned read_position(const struct plan *p, const struct ir_value *x,
                              const struct ir_op *user) {
  const struct ir_block *home = x->def ? x->def->block : x->block;
  unsigned at = p->start[user->id];
  for (const struct ir_block *b = user->block; b && b != home;
       b = b->owner ? b->owner->block : NULL)
    if (b->owner && b->owner->code != IR_KERNEL)
      at = p->stop[b->owner->id];
  return at;
}

/* A view or a concat outside kernels carries the bytes of its operand on. */
static bool carries_on(const struct ir_op *op) {
  if (op->block->owner && op->block->owner->code == IR_KERNEL)
    return false;
  return ir_is_concat(op) || (ir_is_view(op) && !has_place(op));
}

static void find_life(struct plan *p, const struct ir_value *x, unsigned def) {
  assert(x->id < p->v->m->nvalues && "ids are dense: value_new()");
  struct life *l = &p->life[x->id];
  l->def = l->end = def;
  l->root = x;
  for (const struct ir_use *u = x->uses; u; u = u->next) {
    unsigned at = read_position(p, x, u->op);
    if (u->op->code == IR_RETURN)
      at = UINT_MAX;
    if (carries_on(u->op)) {
      const struct ir_value *r = ir_result(u->op);
      if (p->life[r->id].end > at)
        at = p->life[r->id].end;
      if (ir_is_concat(u->op) || p->life[r->id].root != r)
        l->root = p->life[r->id].root;
    }
    if (at > l->end)
      l->end = at;
  }
}

/* In reverse, so that the lives of readers are known. */
static void find_lives(struct plan *p, const struct ir_block *b) {
  for (const struct ir_op *op = b->last; op; op = op->prev) {
    for (unsigned i = 0; i < op->nregions && op->code != IR_KERNEL; i++)
      find_lives(p, op->region[i]);
    for (unsigned i = 0; i < op->nresults; i++)
      find_life(p, op->result[i], p->stop[op->id]);
  }
}

/* ---- Places ---- */

/* false when the bytes are out of all range. */
static bool find_extent(const struct ir_type *type, struct life *l) {
  int64_t bytes = ir_dtypes[type->dtype].bytes;
  l->lo = l->hi = l->place.offset;
  if (!ir_type_count(type))
    return true;
  for (int d = 0; d < type->rank; d++) {
    int64_t reach, *end = l->place.stride[d] < 0 ? &l->lo : &l->hi;
    if (!dn_mul(type->dim[d] - 1, l->place.stride[d], &reach) ||
        !dn_mul(reach, bytes, &reach) || !dn_add(*end, reach, end))
      return false;
  }
  return dn_add(l->hi, bytes, &l->hi);
}

/* Attributes of an op as a place; the rest relies on them. Strides of 2^40 are
 * out of range before they overflow. */
static void check_attrs(struct plan *p, const struct ir_op *op) {
  const char *space = ir_get_str(op, "space");
  char *end = NULL;
  if (strcmp(space, "arena") != 0 &&
      (strncmp(space, "out", 3) != 0 || !space[3] ||
       strtoul(space + 3, &end, 10) >= p->f->nresults || *end))
    verify_op(p->v, op, SPACE, "there is no space '%s'", space);
  const struct ir_attr *stride = ir_find_attr(op, "stride");
  if (stride && op->nresults && stride->n != ir_result(op)->type->rank)
    verify_op(p->v, op, STRIDE, "stride has %lld entries",
              (long long)stride->n);
  int64_t big = INT64_C(1) << 40;
  if (ir_get_int(op, "at") < 0 || ir_get_int(op, "at") > big)
    verify_op(p->v, op, RANGE, "at=%lld", (long long)ir_get_int(op, "at"));
  for (int64_t i = 0; stride && i < stride->n; i++)
    if (stride->is[i] > big || stride->is[i] < -big)
      verify_op(p->v, op, RANGE, "stride %lld", (long long)stride->is[i]);
}

/* No two elements of what is written share an address: from the smallest stride
 * on, each steps over all that the smaller ones reach. */
static bool steps_over(const struct ir_type *type, const struct ir_place *at) {
  int64_t reach = 0, below = -1;
  for (int n = 0; n < type->rank; n++) {
    int64_t next = INT64_MAX;
    int dims = 0, d = 0;
    for (int i = 0; i < type->rank; i++) {
      int64_t stride = llabs(at->stride[i]);
      if (type->dim[i] == 1 || stride <= below || stride > next)
        continue;
      dims = stride == next ? dims + 1 : 1;
      next = stride;
      d = i;
    }
    if (!dims)
      break;
    if (dims > 1 || next <= reach)
      return false;
    reach += (type->dim[d] - 1) * next; /* in range: see find_extent() */
    below = next;
  }
  return true;
}

static void check_place(struct plan *p, const struct ir_op *op) {
  if (op->nresults != 1 || ir_is_view(op) != p->views)
    return;
  const struct ir_value *r = ir_result(op);
  struct life *l = &p->life[r->id];
  if (!ir_place_of(r, &l->place)) {
    verify_op(p->v, op, PLACED, "%%%s has no place", r->name);
    return;
  }
  l->owns = !ir_is_view(op) || has_place(op);
  bool fits = find_extent(r->type, l);
  int64_t room = INT64_MAX;
  if (l->place.space == IR_IN_ARENA)
    room = p->v->m->arena_size;
  else if (l->place.space == IR_IN_OUTPUT)
    room = ir_type_bytes(ir_arg(p->f->body->last, l->place.number)->type);
  if (!fits || l->lo < 0 || l->hi > room ||
      l->place.offset % ir_dtypes[r->type->dtype].bytes)
    verify_op(p->v, op, RANGE, "%%%s lies at bytes %lld to %lld of %lld",
              r->name, (long long)l->lo, (long long)l->hi, (long long)room);
  else if (l->owns && ir_type_count(r->type) && !steps_over(r->type, &l->place))
    verify_op(p->v, op, STRIDE, "elements of %%%s lie at one place", r->name);
}

/* The place of operand k of a concat inside its result. */
static void check_pieces(struct plan *p, const struct ir_op *op) {
  if (!ir_is_concat(op))
    return;
  struct dn_arena *arena = dn_arena_new(p->v->ctx);
  const struct nest_access *a = &nest_build(arena, op)->access[0];
  assert(a->npieces == (int)op->noperands &&
         "the operands of a concat are pieces of one access: nest.h");
  const struct life *all = &p->life[ir_result(op)->id];
  int64_t bytes = ir_dtypes[ir_result(op)->type->dtype].bytes;
  for (unsigned k = 0; k < op->noperands; k++) {
    const struct ir_value *x = ir_arg(op, k);
    struct ir_place at;
    int64_t want =
        all->place.offset + a->start[k] * all->place.stride[a->axis] * bytes;
    bool ok = ir_place_of(x, &at) && at.space == all->place.space &&
              at.number == all->place.number && at.offset == want;
    for (int d = 0; ok && d < x->type->rank; d++)
      ok = x->type->dim[d] == 1 || at.stride[d] == all->place.stride[d];
    if (!ok && ir_type_count(x->type))
      verify_op(p->v, op, PIECE, "operand %u (%s) does not lie at byte %lld", k,
                x->name, (long long)want);
  }
  dn_arena_free(arena);
}

/* `what` for every op outside kernels, in order, until there are errors. */
static void each_op(struct plan *p, const struct ir_block *b,
                    void (*what)(struct plan *, const struct ir_op *)) {
  for (const struct ir_op *op = b->first; op; op = op->next) {
    for (unsigned i = 0; i < op->nregions && op->code != IR_KERNEL; i++)
      each_op(p, op->region[i], what);
    what(p, op);
  }
}

/* Places that ops state are looked at before those that follow from them. */
static void check_places(struct plan *p) {
  void (*const steps[])(struct plan *, const struct ir_op *) = {
      check_attrs, check_place, check_place, check_pieces};
  for (int i = 0; i < 4 && !p->v->errors; i++) {
    p->views = i == 2;
    each_op(p, p->f->body, steps[i]);
  }
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
          (p->rows || verify_same_shape(x->type, ir_result(op)->type)));
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
  if (a->offset != b->offset || !verify_same_shape(x->type, y->type) ||
      ir_dtypes[x->type->dtype].bytes != ir_dtypes[y->type->dtype].bytes)
    return false;
  for (int d = 0; d < x->type->rank; d++)
    if (x->type->dim[d] != 1 && a->stride[d] != b->stride[d])
      return false;
  return true;
}

static bool share_bytes(const struct life *a, const struct life *b) {
  assert(a->lo <= a->hi && b->lo <= b->hi &&
         "find_extent() counts up from lo to hi");
  return a->place.space == b->place.space &&
         a->place.number == b->place.number && a->lo < b->hi && b->lo < a->hi;
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
      if (x->data || !x->def || x->def->block == body ||
          !share_bytes(&p->life[x->id], ly))
        continue;
      bool start = i == 0 && ir_ops[op->code].traits & IR_ONTO;
      if (!(start || is_elementwise(p, op, x)) ||
          (op->code != IR_YIELD && !p->same[ir_result(op)->id]) ||
          !same_place(x, &p->life[x->id].place, y, &ly->place))
        return false;
    }
  }
  return true;
}

static void check_pair(struct plan *p, const struct ir_value *x,
                       const struct ir_value *y) {
  const struct life *a = &p->life[x->id], *b = &p->life[y->id];
  assert(a->def <= b->def && "collect() lists values in order of definition");
  if (a->root == b->root || !share_bytes(a, b))
    return;
  if (a->end == b->def && is_in_place(p, y))
    return;
  verify_op(p->v, y->def, OVERLAP,
            "%%%s at bytes %lld to %lld overlaps %%%s at %lld to %lld", y->name,
            (long long)b->lo, (long long)b->hi, x->name, (long long)a->lo,
            (long long)a->hi);
}

/* In order of definition, against those that still live. */
static void check_overlaps(struct plan *p, const struct ir_value **values,
                           size_t n) {
  size_t live = 0;
  for (size_t i = 0; i < n; i++) {
    const struct ir_value *y = values[i];
    size_t kept = 0;
    for (size_t k = 0; k < live; k++) {
      if (p->life[values[k]->id].end < p->life[y->id].def)
        continue;
      values[kept] = values[k];
      check_pair(p, values[kept++], y);
    }
    values[kept++] = y;
    live = kept;
  }
}

struct value_list {
  const struct ir_value **v;
  size_t n, cap;
};

static void collect(struct plan *p, const struct ir_block *b,
                    struct value_list *list) {
  for (const struct ir_op *op = b->first; op; op = op->next) {
    for (unsigned i = 0; i < op->nregions && op->code != IR_KERNEL; i++)
      collect(p, op->region[i], list);
    if (op->nresults == 1 && p->life[ir_result(op)->id].owns)
      DN_PUSH(p->v->scratch, *list, ir_result(op));
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
  unsigned errors = v->errors;
  check_places(&p);
  if (v->errors > errors)
    return;
  struct value_list list = {0};
  collect(&p, f->body, &list);
  check_overlaps(&p, list.v, list.n);
}
