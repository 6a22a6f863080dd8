/* stripe_cut.c - blocks of a stripe: what rows each needs of every value, and
 * which of them one code can compute: see stripe.h. */
#include "passes/stripe.h"

#include "ir/place.h"
#include "ir/size.h"

#include <assert.h>
#include <string.h>

struct stripe_turn stripe_turn_new(struct dn_arena *arena,
                                   const struct stripe *s) {
  struct stripe_turn t;
  t.value = DN_ARRAY(arena, struct stripe_rows, s->values.n);
  t.link = DN_ARRAY(arena, struct stripe_rows, s->links.n);
  t.outside = DN_ARRAY(arena, struct stripe_rows, s->links.n);
  return t;
}

/* Rows that are outside are the op's to say. */
static bool read_rows(const struct stripe_link *l, struct stripe_rows y,
                      struct stripe_rows *x, struct stripe_rows *outside) {
  int64_t dim = ir_arg(l->op, l->operand)->type->dim[l->read.axis];
  x->lo = l->read.coef * y.lo + l->read.base;
  x->hi = l->read.coef * (y.hi - 1) + l->read.base + l->read.reach + 1;
  outside->lo = dn_max(-x->lo, 0);
  outside->hi = dn_max(x->hi - dim, 0);
  x->lo += outside->lo;
  x->hi -= outside->hi;
  return x->lo < x->hi &&
         ((!outside->lo && !outside->hi) || ir_find_attr(l->op, "pads"));
}

static bool has_keys(const struct stripe *s) { return s->keys && s->keys->n; }

bool stripe_turn_at(const struct stripe *s, int64_t lo, int64_t hi,
                    struct stripe_turn *t) {
  memset(t->value, 0, s->values.n * sizeof *t->value);
  t->value[0] = (struct stripe_rows){lo, hi};
  t->keys = (struct stripe_rows){0};
  if (has_keys(s))
    t->keys = stripe_keys_of(s, lo, hi);
  for (size_t i = 0; i < s->links.n; i++) {
    const struct stripe_link *l = &s->links.v[i];
    if (!read_rows(l, t->value[l->of], &t->link[i], &t->outside[i]))
      return false;
    if (l->from < 0)
      continue;
    struct stripe_rows *x = &t->value[l->from];
    bool first = x->lo == x->hi;
    bool same = x->lo == t->link[i].lo && x->hi == t->link[i].hi;
    if (!first && !same && !s->values.v[l->from].at)
      return false; /* a kernel does not cut its own values */
    x->lo = first ? t->link[i].lo : dn_min(x->lo, t->link[i].lo);
    x->hi = first ? t->link[i].hi : dn_max(x->hi, t->link[i].hi);
  }
  return true;
}

static int64_t size_of(struct stripe_rows r) { return r.hi - r.lo; }

/* `b` is `a` but that all rows lie further on. */
static bool same_code(const struct stripe *s, const struct stripe_turn *a,
                      const struct stripe_turn *b) {
  if (size_of(a->keys) != size_of(b->keys) && !s->keys->rise)
    return false;
  for (size_t i = 0; i < s->values.n; i++)
    if (size_of(a->value[i]) != size_of(b->value[i]))
      return false;
  for (size_t i = 0; i < s->links.n; i++) {
    int from = s->links.v[i].from;
    if (size_of(a->link[i]) != size_of(b->link[i]) ||
        memcmp(&a->outside[i], &b->outside[i], sizeof a->outside[i]) != 0 ||
        (from >= 0 && a->link[i].lo - a->value[from].lo !=
                          b->link[i].lo - b->value[from].lo))
      return false;
  }
  return true;
}

/* Block `t` lies as far behind the run's first as its turns go. */
static bool in_step(const struct stripe *s, const struct stripe_run *run,
                    const struct stripe_turn *t) {
  struct stripe_rows keys = run->at.keys;
  if (t->keys.lo < keys.lo ||
      (run->count > 1 &&
       (t->keys.lo - keys.lo != run->count * (run->next.keys.lo - keys.lo) ||
        t->keys.hi - keys.hi != run->count * (run->next.keys.hi - keys.hi))))
    return false;
  for (size_t i = 0; i < s->links.n && run->count > 1; i++) {
    int64_t first = run->at.link[i].lo;
    if (t->link[i].lo - first != run->count * (run->next.link[i].lo - first))
      return false;
  }
  return true;
}

bool stripe_cut(struct dn_arena *arena, const struct stripe *s, int64_t rows,
                size_t most, struct stripe_runs *out) {
  int64_t height = stripe_height(s);
  *out = (struct stripe_runs){.rows = rows};
  most += has_keys(s) ? STRIPE_PARTS : 0;
  struct stripe_turn t = stripe_turn_new(arena, s);
  for (int64_t i = 0; i * rows < height; i++) {
    struct stripe_run *run = out->runs.n ? &out->runs.v[out->runs.n - 1] : NULL;
    if (!stripe_turn_at(s, i * rows, dn_min((i + 1) * rows, height), &t))
      return false;
    bool on = run && same_code(s, &run->at, &t) && in_step(s, run, &t);
    if (on && run->count++ > 1)
      continue;
    if (on) {
      run->next = t;
    } else if (out->runs.n == most) {
      return false;
    } else {
      struct stripe_run fresh = {.first = i, .count = 1, .at = t};
      DN_PUSH(arena, out->runs, fresh);
    }
    t = stripe_turn_new(arena, s);
  }
  return true;
}

/* ---- The change ---- */

struct cutter {
  struct striper *s;
  const struct stripe *stripe;
  const struct stripe_run *run;
  struct ir_builder b;             /* before the root */
  struct ir_value **view;          /* of each link to what is made outside, */
  struct ir_value **key;           /* and of each that has keys */
  struct ir_value **now;           /* by value id: the block's */
  DN_LIST(struct ir_value *) args; /* of the run's scan, if it is one */
};

struct ir_value *stripe_slice(struct ir_builder *b, struct ir_value *x,
                              int axis, struct stripe_rows r) {
  int64_t start[IR_MAX_RANK] = {0}, size[IR_MAX_RANK];
  if (!r.lo && r.hi == x->type->dim[axis])
    return x;
  memcpy(size, x->type->dim, sizeof size);
  start[axis] = r.lo;
  size[axis] = r.hi - r.lo;
  return ir_emit(b, IR_SLICE, IR_ARGS(x),
                 IR_ATTRS(ir_ints("starts", start, x->type->rank),
                          ir_ints("sizes", size, x->type->rank)));
}

/* The rows of all turns, those of a turn along dimension 0. */
static struct ir_value *windows_of(struct ir_builder *b, struct ir_value *x,
                                   int axis, struct stripe_rows r, int64_t step,
                                   int64_t count) {
  int64_t perm[IR_MAX_RANK] = {axis};
  struct stripe_rows all = {r.lo, r.hi + step * (count - 1)};
  x = stripe_slice(b, x, axis, all);
  x = ir_emit(b, IR_FRAME, IR_ARGS(x),
              IR_ATTRS(ir_int("axis", axis), ir_int("size", r.hi - r.lo),
                       ir_int("step", step)));
  for (int d = 0, k = 1; d < x->type->rank; d++)
    if (d != axis)
      perm[k++] = d;
  return edit_transpose(b, x, perm);
}

/* How far keys go on from turn to turn. */
static int64_t key_step(const struct stripe_run *run) {
  return run->count > 1 ? run->next.keys.lo - run->at.keys.lo : 0;
}

/* How many more there are from turn to turn. */
static int64_t key_growth(const struct stripe_run *run) {
  return run->count > 1 ? size_of(run->next.keys) - size_of(run->at.keys) : 0;
}

/* The link by which an operand from outside has keys; -1: it has none. */
static int key_link(const struct stripe *s, const struct ir_op *op,
                    unsigned operand) {
  for (size_t i = 0; has_keys(s) && i < s->keys->links.n; i++)
    if (s->keys->links.v[i].op == op && s->keys->links.v[i].operand == operand)
      return (int)i;
  return -1;
}

/* Rows r of all turns, and keys that go on with them: elements of the last two
 * dimensions lie one behind the other, and are windows of one. */
static struct ir_value *square_windows(struct ir_builder *b, struct ir_value *x,
                                       const struct stripe_run *run,
                                       struct stripe_rows r, int64_t step) {
  int rank = x->type->rank;
  int64_t n = x->type->dim[rank - 1], rows = r.hi - r.lo, dim[IR_MAX_RANK + 1];
  int64_t width = size_of(run->at.keys), on = step * n + key_step(run);
  struct stripe_rows all = {r.lo * n + run->at.keys.lo, 0};
  all.hi = all.lo + on * (run->count - 1) + (rows - 1) * n + width;
  x = edit_reshape(b, x, 1, (int64_t[]){ir_type_count(x->type)});
  x = stripe_slice(b, x, 0, all);
  x = ir_emit(b, IR_FRAME, IR_ARGS(x),
              IR_ATTRS(ir_int("axis", 0),
                       ir_int("size", (rows - 1) * n + width),
                       ir_int("step", on)));
  x = ir_emit(
      b, IR_FRAME, IR_ARGS(x),
      IR_ATTRS(ir_int("axis", 1), ir_int("size", width), ir_int("step", n)));
  for (int d = 0; d <= rank; d++)
    dim[d] = 1;
  dim[0] = run->count;
  dim[rank - 1] = rows;
  dim[rank] = width;
  return edit_reshape(b, x, rank + 1, dim);
}

/* What a link to a value from outside shows: rows of it, if `rows`, and keys along
 * dimension `key`, if that is not below 0. A view, or operand of the run's scan. */
static struct ir_value *view_of(struct cutter *c, const struct stripe_link *l,
                                const struct stripe_rows *rows, int64_t step,
                                int key) {
  struct ir_value *x = ir_arg(l->op, l->operand);
  const struct stripe_run *run = c->run;
  int64_t on = key < 0 ? 0 : key_step(run);
  if (rows && step && on) {
    x = square_windows(&c->b, x, run, *rows, step);
  } else {
    if (key >= 0 && !key_growth(run)) /* else in each turn: key_corners() */
      x = on ? windows_of(&c->b, x, key, run->at.keys, on, run->count)
             : stripe_slice(&c->b, x, key, run->at.keys);
    if (rows)
      x = step ? windows_of(&c->b, x, l->read.axis, *rows, step, run->count)
               : stripe_slice(&c->b, x, l->read.axis + (on != 0), *rows);
  }
  if (step || on)
    DN_PUSH(c->s->arena, c->args, x);
  return x;
}

/* What the run reads of values from outside by rows. */
static void make_views(struct cutter *c) {
  const struct stripe_run *run = c->run;
  for (size_t i = 0; i < c->stripe->links.n; i++) {
    const struct stripe_link *l = &c->stripe->links.v[i];
    struct stripe_rows r = run->at.link[i];
    int64_t step = run->count > 1 ? run->next.link[i].lo - r.lo : 0;
    int key = key_link(c->stripe, l->op, l->operand);
    if (l->from >= 0)
      continue;
    c->view[i] = NULL;
    for (size_t k = 0; k < i && !c->view[i]; k++) {
      const struct stripe_link *o = &c->stripe->links.v[k];
      if (o->from < 0 &&
          ir_arg(o->op, o->operand) == ir_arg(l->op, l->operand) &&
          o->read.axis == l->read.axis &&
          (key_link(c->stripe, o->op, o->operand) < 0) == (key < 0) &&
          !memcmp(&run->at.link[k], &r, sizeof r))
        c->view[i] = c->view[k];
    }
    if (!c->view[i])
      c->view[i] =
          view_of(c, l, &r, step,
                  key < 0 ? -1 : c->stripe->keys->links.v[key].read.axis);
  }
}

/* And of those that have keys but no rows. */
static void make_key_views(struct cutter *c) {
  const struct stripe *s = c->stripe;
  for (size_t i = 0; has_keys(s) && i < s->keys->links.n; i++) {
    const struct stripe_link *l = &s->keys->links.v[i];
    c->key[i] = NULL;
    for (size_t k = 0; k < s->links.n && !c->key[i]; k++)
      if (s->links.v[k].op == l->op && s->links.v[k].operand == l->operand)
        c->key[i] = c->view[k];
    for (size_t k = 0; k < i && !c->key[i]; k++) {
      const struct stripe_link *o = &s->keys->links.v[k];
      if (ir_arg(o->op, o->operand) == ir_arg(l->op, l->operand) &&
          o->read.axis == l->read.axis)
        c->key[i] = c->key[k];
    }
    if (!c->key[i])
      c->key[i] = view_of(c, l, NULL, 0, l->read.axis);
  }
}

/* `type` with the keys of a block along dimension `d`. */
static const struct ir_type *key_type(const struct cutter *c,
                                      const struct ir_type *type, int d) {
  const struct stripe_run *run = c->run;
  struct dn_ctx *ctx = c->s->m->ctx;
  const struct ir_size *sizes[IR_MAX_RANK] = {NULL};
  struct ir_size size = {.c = size_of(run->at.keys), .div = 1, .n = 1};
  int64_t dim[IR_MAX_RANK], growth = key_growth(run);
  memcpy(dim, type->dim, sizeof dim);
  dim[d] = size.c + growth * (run->count - 1);
  type = ir_type(ctx, type->dtype, type->rank, dim);
  if (!growth)
    return type;
  size.term[0].coef = growth;
  size.term[0].by =
      ir_param_of_turn(ctx, ir_loops_around(c->b.block), run->count);
  sizes[d] = ir_size_make(ctx, &size);
  return ir_type_sized(ctx, type, sizes);
}

/* The type of value `i` in a block. */
static const struct ir_type *cut_type(const struct cutter *c, int i) {
  const struct stripe_value *v = &c->stripe->values.v[i];
  const struct ir_type *type = v->v->type;
  int64_t dim[IR_MAX_RANK];
  memcpy(dim, type->dim, sizeof dim);
  dim[v->axis] = size_of(c->run->at.value[i]);
  type = ir_type(c->s->m->ctx, type->dtype, type->rank, dim);
  return v->key ? key_type(c, type, v->key - 1) : type;
}

struct ir_attr *stripe_attrs(struct ir_module *m, const struct ir_op *op,
                             int axis, const struct ir_type *type,
                             struct stripe_rows outside) {
  struct ir_attr *as = ir_copy_attrs(m, op->attr, op->nattrs);
  for (unsigned i = 0; i < op->nattrs; i++) {
    if (as[i].kind != IR_A_INTS)
      continue;
    int64_t *v =
        dn_copy(m->arena, as[i].is, (size_t)as[i].n * sizeof *as[i].is);
    as[i].is = v;
    if (!strcmp(as[i].name, "pads")) {
      int64_t n = as[i].n / 2, d = axis - (type->rank - n) / 2;
      if (d >= 0 && d < n) { /* else batches or channels of a convolution */
        v[d] = outside.lo;
        v[d + n] = outside.hi;
      }
    } else if (!strcmp(as[i].name, "shape") || !strcmp(as[i].name, "sizes")) {
      memcpy(v, type->dim, (size_t)as[i].n * sizeof *v);
    } else if (!strcmp(as[i].name, "starts")) {
      v[axis] = 0;
    }
  }
  return as;
}

/* The operands of an op in the block; what views make of them goes to `views`.
 * *outside: rows of what it reads that are. */
static struct ir_value **cut_operands(struct cutter *c, const struct ir_op *op,
                                      struct ir_builder *views,
                                      struct stripe_rows *outside) {
  struct ir_value **x = DN_ARRAY(c->s->arena, struct ir_value *, op->noperands);
  *outside = (struct stripe_rows){0};
  for (unsigned i = 0; i < op->noperands; i++) {
    struct ir_value *v = ir_arg(op, i);
    int key = key_link(c->stripe, op, i);
    x[i] = key >= 0 ? c->key[key] : c->now[v->id] ? c->now[v->id] : v;
  }
  for (size_t i = 0; i < c->stripe->links.n; i++) {
    const struct stripe_link *l = &c->stripe->links.v[i];
    if (l->op != op)
      continue;
    struct stripe_rows r = c->run->at.link[i];
    if (l->operand == 0)
      *outside = c->run->at.outside[i];
    if (l->from < 0) {
      x[l->operand] = c->view[i];
      continue;
    }
    int64_t lo = c->run->at.value[l->from].lo;
    r = (struct stripe_rows){r.lo - lo, r.hi - lo};
    x[l->operand] = stripe_slice(views, x[l->operand], l->read.axis, r);
  }
  return x;
}

static struct ir_builder builder_at(const struct ir_builder *where,
                                    const struct ir_op *like) {
  struct ir_builder b = *where;
  b.loc = like->loc;
  b.model_op = like->model_op;
  b.line = like->line;
  return b;
}

/* An op of the stripe, or of a kernel of it, for the block. */
static void cut_op(struct cutter *c, struct ir_builder *where,
                   struct ir_builder *views, const struct ir_op *op) {
  struct ir_builder b = builder_at(where, op);
  const struct ir_value *y = ir_result(op);
  const struct ir_type *type = y->type;
  struct stripe_rows outside;
  struct ir_value **x = cut_operands(c, op, views, &outside);
  const struct ir_attr *attrs = op->attr;
  int i = c->s->number[y->id] - 1;
  if (i >= 0) {
    type = cut_type(c, i);
    attrs =
        stripe_attrs(c->s->m, op, c->stripe->values.v[i].axis, type, outside);
  }
  c->now[y->id] = ir_result(ir_op_new(&b, op->code, x, op->noperands, attrs,
                                      op->nattrs, &type, 1, 0));
}

static void cut_kernel(struct cutter *c, struct ir_builder *where,
                       const struct ir_op *op) {
  struct ir_builder b = builder_at(where, op), in = b, views = b;
  const struct ir_value *y = ir_result(op);
  const struct ir_type *type = cut_type(c, c->s->number[y->id] - 1);
  struct ir_op *k =
      ir_op_new(&b, IR_KERNEL, NULL, 0, op->attr, op->nattrs, &type, 1, 1);
  in.block = k->region[0];
  in.before = NULL;
  views.before = k;
  for (const struct ir_op *o = op->region[0]->first; o->next; o = o->next)
    cut_op(c, &in, &views, o);
  struct ir_value *root = ir_arg(op->region[0]->last, 0);
  ir_op_new(&in, IR_YIELD, IR_ARGS(c->now[root->id]), NULL, 0, NULL, 0, 0);
  c->now[y->id] = ir_result(k);
}

/* The ops for a block; returns its rows of the result. */
static struct ir_value *cut_ops(struct cutter *c, struct ir_builder *where) {
  for (size_t i = c->stripe->ops.n; i-- > 0;) {
    const struct ir_op *op = c->stripe->ops.v[i];
    if (op->code == IR_KERNEL)
      cut_kernel(c, where, op);
    else
      cut_op(c, where, where, op);
  }
  return c->now[ir_result(c->stripe->ops.v[0])->id];
}

/* In a turn, of what has keys those that its block sees. */
static void key_corners(struct cutter *c, struct ir_builder *in) {
  const struct stripe *s = c->stripe;
  struct ir_value **whole =
      dn_copy(c->s->arena, c->key, s->keys->links.n * sizeof *c->key);
  for (size_t i = 0; i < s->keys->links.n; i++) {
    const struct stripe_link *l = &s->keys->links.v[i];
    const struct ir_type *type = key_type(c, whole[i]->type, l->read.axis);
    int64_t starts[IR_MAX_RANK] = {0};
    size_t k = 0;
    while (whole[k] != whole[i] ||
           s->keys->links.v[k].read.axis != l->read.axis)
      k++;
    if (k == i) {
      c->key[i] = ir_emit(in, IR_SLICE, IR_ARGS(whole[i]),
                          IR_ATTRS(ir_ints("starts", starts, type->rank),
                                   ir_ints("sizes", type->dim, type->rank)));
      c->key[i]->type = type;
    }
    c->key[i] = c->key[k];
    for (k = 0; k < s->links.n; k++)
      if (s->links.v[k].op == l->op && s->links.v[k].operand == l->operand)
        c->view[k] = c->key[i];
  }
}

/* A scan whose turns are the blocks of the run; its rows one after another. */
static struct ir_value *cut_turns(struct cutter *c) {
  const struct stripe_value *y = &c->stripe->values.v[0];
  const struct ir_type *block = cut_type(c, 0);
  int64_t dim[IR_MAX_RANK] = {c->run->count};
  memcpy(dim + 1, block->dim, (size_t)block->rank * sizeof *dim);
  const struct ir_type *type =
      ir_type(c->s->m->ctx, block->dtype, block->rank + 1, dim);
  struct ir_attr states = ir_int("states", 0);
  struct ir_op *scan =
      ir_op_new(&c->b, IR_SCAN, c->args.v, c->args.n, &states, 1, &type, 1, 1);
  for (size_t i = 0; i < c->args.n; i++) {
    const struct ir_type *all = c->args.v[i]->type;
    const struct ir_type *one =
        ir_type(c->s->m->ctx, all->dtype, all->rank - 1, all->dim + 1);
    struct ir_value *p = ir_param_new(scan->region[0], NULL, one);
    for (size_t k = 0; k < c->stripe->links.n; k++)
      if (c->view[k] == c->args.v[i])
        c->view[k] = p;
    for (size_t k = 0; has_keys(c->stripe) && k < c->stripe->keys->links.n; k++)
      if (c->key[k] == c->args.v[i])
        c->key[k] = p;
  }
  struct ir_builder in = c->b;
  in.block = scan->region[0];
  in.before = NULL;
  if (key_growth(c->run))
    key_corners(c, &in);
  struct ir_value *rows_made = cut_ops(c, &in);
  ir_op_new(&in, IR_YIELD, IR_ARGS(rows_made), NULL, 0, NULL, 0, 0);
  memcpy(dim, block->dim, sizeof dim);
  dim[y->axis] *= c->run->count;
  return edit_reshape(&c->b, ir_result(scan), block->rank, dim);
}

void stripe_apply(struct striper *s, struct stripe *stripe,
                  const struct stripe_runs *cut) {
  struct cutter c = {.s = s, .stripe = stripe};
  struct ir_op *root = stripe->ops.v[0];
  DN_LIST(struct ir_value *) pieces = {0};
  c.b = edit_before(root);
  c.view = DN_ARRAY(s->arena, struct ir_value *, stripe->links.n);
  if (has_keys(stripe))
    c.key = DN_ARRAY(s->arena, struct ir_value *, stripe->keys->links.n);
  c.now = DN_ARRAY(s->arena, struct ir_value *, s->m->nvalues);
  stripe_number(s, stripe, true);
  for (size_t i = 0; i < cut->runs.n; i++) {
    c.run = &cut->runs.v[i];
    c.args.n = 0;
    make_views(&c);
    make_key_views(&c);
    struct ir_value *rows =
        c.run->count > 1 ? cut_turns(&c) : cut_ops(&c, &c.b);
    DN_PUSH(s->arena, pieces, rows);
  }
  stripe_number(s, stripe, false);
  struct ir_value *all = pieces.v[0];
  struct ir_attr axis = ir_int("axis", stripe->values.v[0].axis);
  if (pieces.n > 1)
    all = ir_emit(&c.b, IR_CONCAT, pieces.v, pieces.n, &axis, 1);
  edit_replace(root, all, true);
  for (size_t i = 1; i < stripe->ops.n; i++)
    ir_op_remove(stripe->ops.v[i]);
}
