/* stripe_rows.c - what rows a block of rows needs: see stripe.h. */
#include "passes/stripe.h"

#include "ir/nest.h"
#include "ir/place.h"

#include <assert.h>

/* The reads of an op outside kernels, with those of a kernel's ops: values are
 * numbers, 0 its result. */
struct stripe_op {
  int axis; /* of the result */
  bool ok;  /* its rows can be computed by themselves */
  DN_LIST(struct stripe_value) values;
  DN_LIST(struct stripe_link) links;
};

enum { WHOLE = -1, UNREAD = 0 }; /* states; else the dimension, plus 1 */

struct striper striper_new(struct dn_arena *arena, struct ir_module *m) {
  struct striper s = {.arena = arena, .m = m};
  s.of = DN_ARRAY(arena, struct stripe_op *, m->nops);
  s.number = DN_ARRAY(arena, int, m->nvalues);
  s.state = DN_ARRAY(arena, int, m->nvalues);
  return s;
}

int64_t stripe_height(const struct stripe *s) {
  return s->values.v[0].v->type->dim[s->values.v[0].axis];
}

/* ---- One op ---- */

/* As an access by iterator `it`. */
bool stripe_read_by(const struct nest *n, const struct nest_access *a, int it,
                    struct stripe_read *out) {
  *out = (struct stripe_read){.axis = -1};
  for (int k = 0; k < a->rank; k++) {
    const struct nest_index *x = &a->idx[k];
    if (!x->coef[it])
      continue;
    if (out->axis >= 0 || x->div != 1 || x->fit != NEST_AS_IS ||
        x->indirect >= 0 || x->coef[it] < 0)
      return false;
    *out = (struct stripe_read){.axis = k, .coef = x->coef[it]};
    out->base = x->base;
    for (int i = 0; i < n->niters; i++) {
      int64_t most = x->coef[i] * (n->iter[i].extent - 1);
      if (i == it)
        continue;
      out->base += dn_min(most, 0);
      out->reach += most < 0 ? -most : most;
    }
  }
  return true;
}

/* Of a reshape: the dimension with as many elements before it. */
static bool read_flat(const struct ir_type *to, int axis,
                      const struct ir_type *from, struct stripe_read *out) {
  int64_t before = 1, count = 1;
  for (int d = 0; d < axis; d++)
    before *= to->dim[d];
  for (int d = 0; d < from->rank; count *= from->dim[d++])
    if (count == before && from->dim[d] == to->dim[axis]) {
      *out = (struct stripe_read){.axis = d, .coef = 1};
      return true;
    }
  return false;
}

/* Sizes along rows are said by these attributes alone (stripe_cut.c). */
static bool is_cut_by_attrs(const struct ir_op *op, int axis) {
  const struct ir_attr *pads = ir_find_attr(op, "pads");
  int64_t rank = ir_result(op)->type->rank;
  if (op->code == IR_FRAME && axis > ir_get_int(op, "axis"))
    return false;
  return !pads || pads->n == 2 * rank || pads->n == 2 * (rank - 2);
}

/* Several reads of one operand are one. */
static bool merge_read(struct stripe_read *into, struct stripe_read r) {
  if (into->axis != r.axis || (r.axis >= 0 && into->coef != r.coef))
    return false;
  int64_t end = dn_max(into->base + into->reach, r.base + r.reach);
  into->base = dn_min(into->base, r.base);
  into->reach = end - into->base;
  return true;
}

/* A size of it is known at run time only. */
static bool has_sizes(const struct ir_type *type) {
  for (int d = 0; d < type->rank; d++)
    if (type->size[d])
      return true;
  return false;
}

static bool may_be_cut(const struct nest *n, int axis) {
  const struct nest_dim *y = &n->y[axis];
  if (n->to >= 0 || n->carried == axis || !is_cut_by_attrs(n->op, axis))
    return false;
  for (int i = 0; i < n->nnodes; i++)
    if (n->node[i].kind == NEST_ITER)
      return false;
  return !has_sizes(n->type) && n->type->dim[axis] > 1 &&
         (n->access[0].flat || (y->n == 1 && y->stride[0] == 1));
}

bool stripe_reads(struct dn_arena *tmp, const struct ir_op *op, int axis,
                  struct stripe_read *out) {
  const struct nest *n = op->nregions ? NULL : nest_build(tmp, op);
  bool *seen = DN_ARRAY(tmp, bool, op->noperands);
  if (!n || !n->naccesses || !may_be_cut(n, axis))
    return false;
  for (int i = 0; i < n->naccesses; i++) {
    const struct nest_access *a = &n->access[i];
    struct stripe_read r;
    if (a->start && a->axis == axis)
      return false;
    for (int k = a->operand; k < a->operand + a->npieces; k++) {
      const struct ir_value *x = ir_arg(op, (unsigned)k);
      bool ok = a->flat ? read_flat(n->type, axis, x->type, &r)
                        : stripe_read_by(n, a, n->y[axis].iter[0], &r);
      bool weights = x->data && ir_ops[op->code].cls == IR_CONTRACT;
      if (!ok || has_sizes(x->type) || (weights && r.axis >= 0) ||
          (seen[k] && !merge_read(&out[k], r)))
        return false;
      if (!seen[k])
        out[k] = r;
      seen[k] = true;
    }
  }
  return true;
}

/* ---- An op with what is in it ---- */

struct finder {
  struct striper *s;
  struct stripe_op *all;
  struct dn_arena *tmp;
  const struct ir_block *body; /* of a kernel; or NULL */
};

/* All who read a value of a kernel read the same dimension, or all of it. */
static bool ask(struct finder *f, struct ir_value *x, int axis, int *from) {
  int *state = &f->s->state[x->id], want = axis < 0 ? WHOLE : axis + 1;
  bool inner = f->body && x->def && x->def->block == f->body;
  *from = -1;
  if (!inner)
    return true;
  if (*state != UNREAD && *state != want)
    return false;
  if (*state == UNREAD && axis >= 0) {
    struct stripe_value v = {.v = x, .axis = axis};
    f->s->number[x->id] = (int)f->all->values.n + 1;
    DN_PUSH(f->s->arena, f->all->values, v);
  }
  *state = want;
  *from = f->s->number[x->id] - 1;
  return true;
}

static bool follow_op(struct finder *f, struct ir_op *op, int axis, int of) {
  struct stripe_read *read =
      DN_ARRAY(f->tmp, struct stripe_read, op->noperands);
  for (unsigned i = 0; i < op->noperands; i++)
    read[i].axis = -1;
  if (of >= 0 &&
      (ir_result(op)->type->quant || !stripe_reads(f->tmp, op, axis, read)))
    return false;
  for (unsigned i = 0; i < op->noperands; i++) {
    struct stripe_link l = {op, i, of, -1, read[i]};
    if (!ask(f, ir_arg(op, i), read[i].axis, &l.from))
      return false;
    if (read[i].axis >= 0 || !ir_arg(op, i)->data)
      DN_PUSH(f->s->arena, f->all->links, l);
  }
  return true;
}

static bool follow_kernel(struct finder *f, struct ir_op *kernel, int axis) {
  struct ir_op *yield = kernel->region[0]->last;
  struct ir_value *y = ir_arg(yield, 0);
  f->body = kernel->region[0];
  if (!y->def || y->def->block != f->body)
    return false;
  f->s->number[y->id] = 1;
  f->s->state[y->id] = axis + 1;
  for (struct ir_op *op = yield->prev; op; op = op->prev) {
    int state = f->s->state[ir_result(op)->id];
    bool rows = state > 0;
    if (!follow_op(f, op, rows ? state - 1 : 0,
                   rows ? f->s->number[ir_result(op)->id] - 1 : -1))
      return false;
  }
  return true;
}

static void forget(struct striper *s, const struct ir_op *kernel) {
  for (unsigned r = 0; r < kernel->nregions; r++)
    for (const struct ir_op *op = kernel->region[r]->first; op; op = op->next)
      if (op->nresults)
        s->number[ir_result(op)->id] = s->state[ir_result(op)->id] = UNREAD;
}

static const struct stripe_op *reads_of(struct striper *s, struct ir_op *op,
                                        int axis) {
  struct stripe_op *all = s->of[op->id];
  if (all && all->axis == axis)
    return all;
  all = s->of[op->id] = DN_NEW(s->arena, struct stripe_op);
  all->axis = axis;
  struct finder f = {s, all, dn_arena_new(s->m->ctx), NULL};
  struct stripe_value v = {ir_result(op), axis, op, 0};
  DN_PUSH(s->arena, all->values, v);
  if (op->code == IR_KERNEL) {
    all->ok = follow_kernel(&f, op, axis);
    forget(s, op);
  } else {
    all->ok =
        (ir_is_view(op) || ir_is_concat(op)) && follow_op(&f, op, axis, 0);
  }
  dn_arena_free(f.tmp);
  return all;
}

/* ---- A stripe ---- */

/* All that reads it is of the stripe, which reads its rows. */
static bool is_in(const struct striper *s, const struct ir_op *op,
                  const struct stripe *in) {
  if (op->nresults != 1 || s->state[ir_result(op)->id] <= 0 ||
      (op->nregions && op->code != IR_KERNEL))
    return false;
  for (const struct ir_use *u = ir_result(op)->uses; u; u = u->next) {
    const struct ir_op *reader = u->op;
    while (reader && reader->block != op->block)
      reader = reader->block->owner;
    size_t i = in->ops.n;
    while (i && in->ops.v[i - 1] != reader)
      i--;
    if (!i)
      return false;
  }
  return true;
}

static void add_op(struct striper *s, const struct stripe_op *all,
                   struct ir_op *op, struct stripe *out) {
  int base = (int)out->values.n;
  DN_PUSH(out->arena, out->ops, op);
  s->number[ir_result(op)->id] = base + 1;
  for (size_t i = 0; i < all->values.n; i++)
    DN_PUSH(out->arena, out->values, all->values.v[i]);
  for (size_t i = 0; i < all->links.n; i++) {
    struct stripe_link l = all->links.v[i];
    struct ir_value *x = ir_arg(l.op, l.operand);
    l.of += l.of >= 0 ? base : 0;
    int want = l.read.axis < 0 ? WHOLE : l.read.axis + 1;
    int *state = &s->state[x->id];
    if (l.from >= 0)
      l.from += base;
    else
      *state = *state == UNREAD || *state == want ? want : WHOLE;
    if (l.read.axis >= 0)
      DN_PUSH(out->arena, out->links, l);
  }
}

/* Readers were met before what they read. */
static void resolve(struct striper *s, struct stripe *out) {
  for (size_t i = 0; i < out->links.n; i++) {
    struct stripe_link *l = &out->links.v[i];
    if (l->from < 0)
      l->from = s->number[ir_arg(l->op, l->operand)->id] - 1;
  }
  for (size_t i = 0; i < out->ops.n; i++) {
    struct ir_op *op = out->ops.v[i];
    const struct stripe_op *all = s->of[op->id];
    s->number[ir_result(op)->id] = 0;
    s->state[ir_result(op)->id] = UNREAD;
    for (size_t k = 0; k < all->links.n; k++)
      s->state[ir_arg(all->links.v[k].op, all->links.v[k].operand)->id] =
          UNREAD;
  }
}

void stripe_number(struct striper *s, const struct stripe *stripe, bool on) {
  for (size_t i = 0; i < stripe->values.n; i++) {
    const struct stripe_value *v = &stripe->values.v[i];
    s->number[v->v->id] = on ? (int)i + 1 : 0;
    if (v->at && v->at->code == IR_KERNEL)
      s->number[ir_arg(v->at->region[0]->last, 0)->id] = on ? (int)i + 1 : 0;
  }
}

bool stripe_find(struct striper *s, struct dn_arena *arena, struct ir_op *root,
                 const struct ir_op *first, struct stripe *out) {
  const struct ir_type *type = ir_result(root)->type;
  int axis = 0;
  *out = (struct stripe){.arena = arena};
  while (axis < type->rank && type->dim[axis] == 1)
    axis++;
  if (axis == type->rank || root->code != IR_KERNEL)
    return false;
  s->state[ir_result(root)->id] = axis + 1;
  for (struct ir_op *op = root; op; op = op == first ? NULL : op->prev) {
    if (op != root && !is_in(s, op, out))
      continue;
    const struct stripe_op *all =
        reads_of(s, op, s->state[ir_result(op)->id] - 1);
    if (all->ok)
      add_op(s, all, op, out);
  }
  resolve(s, out);
  return out->ops.n > 0;
}
