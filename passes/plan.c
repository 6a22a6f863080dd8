/* plan.c - gives every value its place in the arena. Which values share memory
 * is known (aliases.h), and the order of ops is as it stands. A kernel writes
 * over an operand that ends with it where that is safe, so the two become one
 * item; items get offsets (plan_pack.h); what the function returns is computed
 * in the caller's buffer. With reuse=0 every value has memory of its own for
 * the whole run, to be looked at afterwards. See docs/memory.md.
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

#include "passes/plan_pack.h"
#include "passes/schedule.h"

#include <assert.h>

struct plan {
  struct dn_arena *scratch;
  const struct live *l;
  int *item_of; /* buffer -> item, -1: in the caller's memory */
  struct pack_item *item;
  int nitems;
};

/* One item for each buffer, or for each chain of buffers that are written in
 * place one over the other. */
static void make_items(struct plan *p, const int *taken, bool reuse) {
  const struct live *l = p->l;
  p->item_of = DN_ARRAY(p->scratch, int, l->nbuffers);
  p->item = DN_ARRAY(p->scratch, struct pack_item, l->nbuffers);
  for (int b = 0; b < l->nbuffers; b++)
    p->item_of[b] = -1;
  for (int i = 0; i < l->nnodes; i++) {
    const struct live_node *n = &l->node[i];
    if (n->made >= 0 && taken[i] >= 0) {
      assert(p->item_of[taken[i]] >= 0 &&
             "an earlier node made it: can_take()");
      p->item_of[n->made] = p->item_of[taken[i]];
    }
    for (int k = 0; k < n->touches.n; k++) {
      int b = n->touches.v[k];
      if (!l->buffer[b].in_arena)
        continue;
      if (p->item_of[b] < 0) {
        assert(p->nitems < l->nbuffers &&
               "an item has a buffer of its own at least");
        p->item_of[b] = p->nitems;
        p->item[p->nitems++] = (struct pack_item){.size = l->buffer[b].size,
                                                  .align = l->buffer[b].align,
                                                  .first = reuse ? i : 0};
      }
      p->item[p->item_of[b]].last = reuse ? i : l->nnodes - 1;
    }
  }
}

static void set_place(const struct plan *p, struct ir_op *op) {
  struct ir_value *v = ir_result(op);
  const struct aliases *aliases = p->l->aliases;
  const struct alias *at = alias_of(aliases, v);
  assert(at && at->buffer >= 0 &&
         "results of kernels and concats have a buffer: aliases.c");
  const struct alias_buffer *buffer = &aliases->buffers.v[at->buffer];
  int64_t offset = at->offset;
  ir_drop_attr(op, "at");
  ir_drop_attr(op, "space");
  ir_drop_attr(op, "stride");
  if (buffer->out >= 0)
    ir_set_attr(op,
                ir_str("space", dn_printf(p->scratch, "out%d", buffer->out)));
  else if (p->item_of[at->buffer] >= 0)
    offset += p->item[p->item_of[at->buffer]].at;
  if (offset)
    ir_set_attr(op, ir_int("at", offset));
  if (!ir_type_is_dense(v->type, at->stride))
    ir_set_attr(op, ir_ints("stride", at->stride, v->type->rank));
}

/* After `materialize`, no value needs a copy. */
static bool is_materialized(struct dn_ctx *ctx, const struct aliases *a) {
  for (size_t i = 0; i < a->misfits.n; i++)
    dn_error(ctx, ir_loc(a->misfits.v[i].op), DN_PIPELINE,
             "'%s' is not materialized: run 'materialize' before 'plan'",
             ir_ops[a->misfits.v[i].op->code].text);
  return !a->misfits.n;
}

/* Values of loops and branches have no places yet. */
static bool is_straight(struct dn_ctx *ctx, const struct ir_func *f) {
  bool ok = true;
  for (const struct ir_op *op = f->body->first; op; op = op->next) {
    if (!op->nregions || op->code == IR_KERNEL)
      continue;
    dn_error(ctx, ir_loc(op), DN_UNSUPPORTED_OP,
             "no memory plan for control flow ('%s')", ir_ops[op->code].text);
    ok = false;
  }
  return ok;
}

static bool plan_func(struct pass_env *env, struct ir_func *f, bool reuse) {
  struct ir_module *m = f->module;
  int64_t bound = 0;
  struct aliases *aliases = aliases_build(env->scratch, f);
  if (!is_materialized(env->ctx, aliases))
    return false;
  struct plan p = {.scratch = env->scratch};
  p.l = live_build(env->scratch, aliases, env->target->align, reuse);
  int *order = DN_ARRAY(env->scratch, int, p.l->nnodes);
  int *taken = DN_ARRAY(env->scratch, int, p.l->nnodes);
  for (int i = 0; i < p.l->nnodes; i++)
    order[i] = i;
  assert(!aliases->misfits.n && "is_materialized()");
  live_peak(p.l, env->scratch, order, taken);
  make_items(&p, taken, reuse);
  m->arena_size = dn_max(m->arena_size, pack_items(m->ctx, p.item, p.nitems));
  if (reuse) /* else other plans need less */
    sched_search(p.l, env->scratch, order, &bound);
  m->arena_bound = dn_max(m->arena_bound, bound);
  assert(m->arena_bound <= m->arena_size &&
         "no plan needs less: sched_search()");
  for (int i = 0; i < p.l->nnodes; i++)
    set_place(&p, p.l->node[i].op);
  return true;
}

int64_t pass_plan(struct pass_env *env, struct ir_module *m) {
  bool ok = true;
  for (struct ir_func *f = m->funcs; f; f = f->next)
    ok &= is_straight(m->ctx, f);
  if (!ok)
    return -1;
  bool reuse = pass_int(env, "reuse") != 0;
  m->arena_size = m->arena_bound = 0;
  for (struct ir_func *f = m->funcs; f; f = f->next)
    ok &= plan_func(env, f, reuse);
  if (!ok)
    return -1;
  m->form = IR_PLANNED;
  return (int64_t)m->nvalues;
}
