/* slots.c - which values share memory: see slots.h.
 *
 * Places are handed down in reverse order, from the return to the results, from
 * a concat to its operands, so that a concat is placed before what lies in it
 * (a chain of concats ends up in one buffer). What was handed nothing gets a
 * buffer of its own, and views follow, in order. */
#include "passes/slots.h"

#include "ir/nest.h"

#include <string.h>

const struct slot *slot_of(const struct slots *s, const struct ir_value *v) {
  return v->id < s->cap ? s->of[v->id] : NULL;
}

bool slot_is_view(const struct ir_op *op) {
  return ir_ops[op->code].cls != IR_REGION && op->code != IR_CONCAT &&
         op->noperands > 0;
}

bool slot_is_dense(const int64_t *stride, const struct ir_type *type) {
  int64_t want = 1;
  for (int d = type->rank; d-- > 0;) {
    if (type->dim[d] != 1 && stride[d] != want)
      return false;
    want *= type->dim[d];
  }
  return true;
}

bool slot_view(const struct ir_op *op, const int64_t *stride,
               int64_t *out_stride, int64_t *out_bytes) {
  struct dn_arena *tmp = dn_arena_new(op->block->func->module->ctx);
  int64_t offset = 0;
  const struct nest *n = nest_build(tmp, op);
  bool ok = n && nest_view(n, stride, out_stride, &offset);
  dn_arena_free(tmp);
  *out_bytes = offset * ir_dtypes[ir_result(op)->type->dtype].bytes;
  return ok;
}

struct ir_value *slot_copy(struct ir_value *v, struct ir_op *before) {
  struct ir_builder b = {.m = before->block->func->module,
                         .block = before->block,
                         .before = before,
                         .loc = v->def ? v->def->loc : NULL,
                         .line = v->def ? v->def->line : 0};
  struct ir_op *k = ir_op_new(&b, IR_KERNEL, NULL, 0, NULL, 0, &v->type, 1, 1);
  b.block = k->region[0];
  b.before = NULL;
  struct ir_value *inner =
      ir_emit(&b, IR_EXPAND, IR_ARGS(v),
              IR_ATTRS(ir_ints("shape", v->type->dim, v->type->rank)));
  if (!inner)
    return NULL;
  inner->type = v->type; /* quantization included */
  ir_op_new(&b, IR_YIELD, IR_ARGS(inner), NULL, 0, NULL, 0, 0);
  return ir_result(k);
}

/* ---- Handing places down ---- */

static void set_slot(struct slots *s, const struct ir_value *v,
                     const struct slot *at) {
  if (v->id >= s->cap) {
    size_t cap = (size_t)v->id * 2 + 16;
    struct slot **of = DN_ARRAY(s->arena, struct slot *, cap);
    if (s->cap)
      memcpy(of, s->of, s->cap * sizeof *of);
    s->of = of;
    s->cap = cap;
  }
  s->of[v->id] = dn_copy(s->arena, at, sizeof *at);
}

/* A buffer of its own, row-major. */
static struct slot own_buffer(struct slots *s, const struct ir_value *v,
                              int out) {
  struct slot at = {.buffer = (int)s->buffers.n};
  ir_type_strides(v->type, at.stride);
  struct slot_buffer b = {ir_type_bytes(v->type), out, v};
  DN_PUSH(s->arena, s->buffers, b);
  return at;
}

/* The operand's strides that make a reshape's result lie at `stride`: when both
 * are contiguous, or differ in dims of size 1 only. */
static bool invert_reshape(const struct ir_type *to, const int64_t *stride,
                           const struct ir_type *from, int64_t *out) {
  if (slot_is_dense(stride, to)) {
    ir_type_strides(from, out);
    return true;
  }
  int d = 0;
  for (int k = 0; k < from->rank; k++) {
    out[k] = 1;
    if (from->dim[k] == 1)
      continue;
    while (d < to->rank && to->dim[d] == 1)
      d++;
    if (d == to->rank || to->dim[d] != from->dim[k])
      return false;
    out[k] = stride[d++];
  }
  return true;
}

/* As invert_reshape() for a view by indices: each dim of the operand must be
 * one of the result's, none left out. */
static bool invert_indices(const struct nest *n, const int64_t *stride,
                           const struct ir_type *from, int64_t *out) {
  const struct nest_access *a = &n->access[0];
  if (!nest_is_view(n) || ir_type_count(from) != ir_type_count(n->type))
    return false;
  for (int k = 0; k < from->rank; k++) {
    out[k] = 1;
    if (from->dim[k] == 1)
      continue;
    int found = -1;
    for (int d = 0; d < n->type->rank; d++)
      if (n->y[d].n == 1 && a->idx[k].coef[n->y[d].iter[0]] == 1 &&
          n->type->dim[d] == from->dim[k])
        found = d;
    if (found < 0 || a->idx[k].base)
      return false;
    out[k] = stride[found];
  }
  return true;
}

static bool invert_view(const struct ir_op *op, const int64_t *stride,
                        int64_t *out) {
  const struct ir_type *from = ir_arg(op, 0)->type;
  struct dn_arena *tmp = dn_arena_new(op->block->func->module->ctx);
  const struct nest *n = nest_build(tmp, op);
  bool ok = false;
  if (n && n->naccesses == 1 && n->access[0].flat)
    ok = invert_reshape(n->type, stride, from, out);
  else if (n)
    ok = invert_indices(n, stride, from, out);
  dn_arena_free(tmp);
  return ok;
}

/* Whether every view of `v`, and every view of those, can still be expressed
 * when `v` lies at `stride`. */
static bool views_fit(struct slots *s, const struct ir_value *v,
                      const int64_t *stride) {
  if (slot_is_dense(stride, v->type))
    return true;
  struct item {
    const struct ir_value *v;
    int64_t stride[IR_MAX_RANK];
  };
  DN_LIST(struct item) work = {0};
  struct item it = {.v = v};
  memcpy(it.stride, stride, sizeof it.stride);
  DN_PUSH(s->arena, work, it);
  for (size_t i = 0; i < work.n; i++) {
    struct item from = work.v[i];
    for (const struct ir_use *u = from.v->uses; u; u = u->next) {
      int64_t bytes;
      if (u->op->block != s->func->body || !slot_is_view(u->op))
        continue;
      it = (struct item){.v = ir_result(u->op)};
      if (!slot_view(u->op, from.stride, it.stride, &bytes))
        return false;
      DN_PUSH(s->arena, work, it);
    }
  }
  return true;
}

/* Places `v` at `at`, by placing the kernel or concat whose value it shows. */
static bool hand_down(struct slots *s, const struct ir_value *v,
                      const struct slot *at) {
  struct slot to = *at;
  while (v->def && slot_is_view(v->def)) {
    int64_t stride[IR_MAX_RANK] = {0};
    if (!invert_view(v->def, to.stride, stride))
      return false;
    memcpy(to.stride, stride, sizeof stride);
    v = ir_arg(v->def, 0);
  }
  if (!v->def || slot_of(s, v) ||
      (v->def->code != IR_KERNEL && v->def->code != IR_CONCAT) ||
      !views_fit(s, v, to.stride))
    return false;
  set_slot(s, v, &to);
  return true;
}

/* Operand i of `op` must lie at `at`: a copy does when nothing else can. */
static void place_operand(struct slots *s, struct ir_op *op, unsigned i,
                          const struct slot *at, int64_t *copies) {
  if (hand_down(s, ir_arg(op, i), at))
    return;
  struct ir_value *copy = slot_copy(ir_arg(op, i), op);
  ir_set_operand(op, i, copy);
  set_slot(s, copy, at);
  ++*copies;
}

static void place_concat(struct slots *s, struct ir_op *op, int64_t *copies) {
  const struct ir_value *y = ir_result(op);
  int64_t axis = ir_get_int(op, "axis");
  if (!slot_of(s, y)) {
    struct slot own = own_buffer(s, y, -1);
    set_slot(s, y, &own);
  }
  struct slot at = *slot_of(s, y);
  int64_t step = at.stride[axis] * ir_dtypes[y->type->dtype].bytes;
  for (unsigned i = 0; i < op->noperands; i++) {
    place_operand(s, op, i, &at, copies);
    at.offset += ir_arg(op, i)->type->dim[axis] * step;
  }
}

struct ir_op *slot_kernel(struct ir_op *root, const struct ir_op *named) {
  struct ir_value *y = ir_result(root);
  struct ir_module *m = root->block->func->module;
  struct ir_builder b = {.m = m,
                         .block = root->block,
                         .before = root,
                         .loc = named->loc,
                         .model_op = named->model_op,
                         .line = named->line};
  struct ir_op *k = ir_op_new(&b, IR_KERNEL, NULL, 0, NULL, 0, &y->type, 1, 1);
  ir_replace_uses(y, ir_result(k));
  const char *name = y->name, *fresh = ir_result(k)->name;
  ir_value_rename(m, ir_result(k), "kernel");
  ir_value_rename(m, y, fresh);
  ir_value_rename(m, ir_result(k), name);
  b.block = k->region[0];
  b.before = NULL;
  ir_op_new(&b, IR_YIELD, IR_ARGS(y), NULL, 0, NULL, 0, 0);
  return k;
}

/* A view that strides cannot express becomes a kernel of its own. */
static void wrap_in_kernel(struct ir_op *op) {
  struct ir_op *k = slot_kernel(op, op);
  ir_op_move(op, k->region[0], k->region[0]->last);
}

static void follow_view(struct slots *s, struct ir_op *op, int64_t *copies) {
  const struct slot *from = slot_of(s, ir_arg(op, 0));
  struct slot to = {.buffer = from->buffer};
  int64_t bytes = 0;
  if (slot_view(op, from->stride, to.stride, &bytes)) {
    to.offset = from->offset + bytes;
    set_slot(s, ir_result(op), &to);
    return;
  }
  wrap_in_kernel(op);
  ++*copies;
}

/* A parameter or a constant: memory that is not ours. */
static void place_foreign(struct slots *s, const struct ir_value *v) {
  struct slot at = {.buffer = -1};
  ir_type_strides(v->type, at.stride);
  set_slot(s, v, &at);
}

/* Views that nobody looks at: what they show would seem to live on. */
static void drop_dead_views(struct ir_block *body) {
  for (struct ir_op *op = body->last, *prev; op; op = prev) {
    prev = op->prev;
    if (slot_is_view(op) && op->nresults && !ir_result(op)->uses)
      ir_op_remove(op);
  }
}

struct slots *slots_build(struct dn_arena *arena, struct ir_func *f,
                          int64_t *copies) {
  struct slots *s = DN_NEW(arena, struct slots);
  s->arena = arena;
  s->func = f;
  struct ir_block *body = f->body;
  drop_dead_views(body);
  for (size_t i = 0; i < f->module->consts.n; i++)
    place_foreign(s, f->module->consts.v[i]);
  for (unsigned i = 0; i < body->nparams; i++)
    place_foreign(s, body->param[i]);
  struct ir_op *ret = body->last;
  for (unsigned i = 0; i < ret->noperands; i++) {
    struct slot at = own_buffer(s, ir_arg(ret, i), (int)i);
    place_operand(s, ret, i, &at, copies);
  }
  for (struct ir_op *op = ret->prev; op; op = op->prev)
    if (op->code == IR_CONCAT)
      place_concat(s, op, copies);
  for (struct ir_op *op = body->first, *next; op; op = next) {
    next = op->next;
    if (slot_is_view(op)) {
      follow_view(s, op, copies);
      if (op->block == body)
        continue;
      op = op->block->owner;
    }
    for (unsigned i = 0; i < op->nresults; i++) {
      if (slot_of(s, op->result[i]))
        continue;
      struct slot own = own_buffer(s, op->result[i], -1);
      set_slot(s, op->result[i], &own);
    }
  }
  return s;
}
