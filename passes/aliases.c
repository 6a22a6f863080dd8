/* aliases.c - which values share a buffer: see aliases.h.
 *
 * Aliases are assigned in reverse order, from the return to the results, from a
 * concat to its operands, so that a concat has its own before its operands get
 * theirs (a chain of concats ends up in one buffer). Results without one get a
 * buffer of their own, and views follow, in order. */
#include "passes/aliases.h"

#include "ir/nest.h"

#include <assert.h>
#include <string.h>

const struct alias *alias_of(const struct aliases *a,
                             const struct ir_value *v) {
  return v->id < a->cap ? a->of[v->id] : NULL;
}

/* ---- From results to operands ---- */

static void set_alias(struct aliases *a, const struct ir_value *v,
                      const struct alias *at) {
  if (v->id >= a->cap) {
    size_t cap = (size_t)v->id * 2 + 16;
    struct alias **of = DN_ARRAY(a->arena, struct alias *, cap);
    if (a->cap)
      memcpy(of, a->of, a->cap * sizeof *of);
    a->of = of;
    a->cap = cap;
  }
  a->of[v->id] = dn_copy(a->arena, at, sizeof *at);
}

/* A buffer of its own, row-major. */
static struct alias own_buffer(struct aliases *a, const struct ir_value *v,
                               int out) {
  struct alias at = {.buffer = (int)a->buffers.n};
  ir_type_strides(v->type, at.stride);
  struct alias_buffer b = {ir_type_bytes(v->type), out, v};
  DN_PUSH(a->arena, a->buffers, b);
  return at;
}

/* The operand's strides that make a reshape's result lie at `stride`: when both
 * are contiguous, or differ in dims of size 1 only. */
static bool invert_reshape(const struct ir_type *to, const int64_t *stride,
                           const struct ir_type *from, int64_t *out) {
  if (ir_type_is_dense(to, stride)) {
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
 * one of the result'a, none left out. */
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
  assert(ir_is_view(op) && "lies_at() goes through views");
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
static bool views_fit(struct aliases *a, const struct ir_value *v,
                      const int64_t *stride) {
  if (ir_type_is_dense(v->type, stride))
    return true;
  struct item {
    const struct ir_value *v;
    int64_t stride[IR_MAX_RANK];
  };
  DN_LIST(struct item) work = {0};
  struct item it = {.v = v};
  memcpy(it.stride, stride, sizeof it.stride);
  DN_PUSH(a->arena, work, it);
  for (size_t i = 0; i < work.n; i++) {
    struct item from = work.v[i];
    for (const struct ir_use *u = from.v->uses; u; u = u->next) {
      int64_t bytes;
      if (u->op->block != a->func->body || !ir_is_view(u->op))
        continue;
      it = (struct item){.v = ir_result(u->op)};
      if (!ir_view_of(u->op, from.stride, it.stride, &bytes))
        return false;
      DN_PUSH(a->arena, work, it);
    }
  }
  return true;
}

/* Makes `v` lie at `at`: the kernel or concat behind its views does. */
static bool lies_at(struct aliases *a, const struct ir_value *v,
                    const struct alias *at) {
  struct alias to = *at;
  while (v->def && ir_is_view(v->def)) {
    int64_t stride[IR_MAX_RANK] = {0};
    if (!invert_view(v->def, to.stride, stride))
      return false;
    memcpy(to.stride, stride, sizeof stride);
    v = ir_arg(v->def, 0);
  }
  if (!v->def || alias_of(a, v) ||
      (v->def->code != IR_KERNEL && !ir_is_concat(v->def)) ||
      !views_fit(a, v, to.stride))
    return false;
  set_alias(a, v, &to);
  return true;
}

static void add_misfit(struct aliases *a, struct ir_op *op, int operand) {
  struct alias_misfit m = {op, operand};
  DN_PUSH(a->arena, a->misfits, m);
}

static void place_operand(struct aliases *a, struct ir_op *op, unsigned i,
                          const struct alias *at) {
  if (!lies_at(a, ir_arg(op, i), at))
    add_misfit(a, op, (int)i);
}

static void place_concat(struct aliases *a, struct ir_op *op) {
  const struct ir_value *y = ir_result(op);
  struct dn_arena *tmp = dn_arena_new(a->func->module->ctx);
  const struct nest_access *x = &nest_build(tmp, op)->access[0];
  assert(x->start && x->npieces == (int)op->noperands &&
         "the operands of a concat are pieces of one access: nest.h");
  if (!alias_of(a, y)) {
    struct alias own = own_buffer(a, y, -1);
    set_alias(a, y, &own);
  }
  const struct alias all = *alias_of(a, y);
  int64_t step = all.stride[x->axis] * ir_dtypes[y->type->dtype].bytes;
  for (unsigned i = 0; i < op->noperands; i++) {
    struct alias at = all;
    at.offset += x->start[i] * step;
    place_operand(a, op, i, &at);
  }
  dn_arena_free(tmp);
}

/* ---- In order ---- */

static void follow_view(struct aliases *a, struct ir_op *op) {
  const struct alias *from = alias_of(a, ir_arg(op, 0));
  assert(from && "operands come before their views: rule dominance");
  struct alias to = {.buffer = from->buffer};
  int64_t bytes = 0;
  bool ok = ir_view_of(op, from->stride, to.stride, &bytes);
  assert(ok &&
         "verify_kernel.c checks views of what is dense, views_fit() others");
  to.offset = from->offset + bytes;
  set_alias(a, ir_result(op), &to);
  if (!ir_result(op)->uses)
    add_misfit(a, op, -1);
}

/* A parameter or a constant: memory that is not ours. */
static void place_foreign(struct aliases *a, const struct ir_value *v) {
  struct alias at = {.buffer = -1};
  ir_type_strides(v->type, at.stride);
  set_alias(a, v, &at);
}

struct aliases *aliases_build(struct dn_arena *arena, struct ir_func *f) {
  struct aliases *a = DN_NEW(arena, struct aliases);
  a->arena = arena;
  a->func = f;
  assert(f->module->form != IR_GRAPH && f->body->last->code == IR_RETURN &&
         "behind fuse; rule terminator");
  struct ir_block *body = f->body;
  for (size_t i = 0; i < f->module->consts.n; i++)
    place_foreign(a, f->module->consts.v[i]);
  for (unsigned i = 0; i < body->nparams; i++)
    place_foreign(a, body->param[i]);
  struct ir_op *ret = body->last;
  for (unsigned i = 0; i < ret->noperands; i++) {
    struct alias at = own_buffer(a, ir_arg(ret, i), (int)i);
    place_operand(a, ret, i, &at);
  }
  for (struct ir_op *op = ret->prev; op; op = op->prev)
    if (ir_is_concat(op))
      place_concat(a, op);
  for (struct ir_op *op = body->first; op; op = op->next) {
    if (ir_is_view(op)) {
      follow_view(a, op);
      continue;
    }
    for (unsigned i = 0; i < op->nresults; i++) {
      if (alias_of(a, op->result[i]))
        continue;
      struct alias own = own_buffer(a, op->result[i], -1);
      set_alias(a, op->result[i], &own);
    }
  }
  return a;
}

/* ---- Reads ---- */

static bool alias_strides(const void *aliases, const struct ir_value *v,
                         int64_t *stride) {
  const struct alias *at = alias_of(aliases, v);
  if (at)
    memcpy(stride, at->stride, sizeof at->stride);
  return at != NULL;
}

struct reads *aliases_reads(struct dn_arena *arena, const struct aliases *s,
                            const struct ir_op *kernel) {
  const struct ir_op *onto = nest_onto(kernel);
  const struct ir_value *root =
      ir_arg(onto ? onto : kernel->region[0]->last, onto ? 2 : 0);
  int64_t stride[IR_MAX_RANK];
  if (!alias_strides(s, ir_result(kernel), stride))
    ir_type_strides(ir_result(kernel)->type, stride);
  return reads_build(arena, kernel, root, stride, alias_strides, s);
}
