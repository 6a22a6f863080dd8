/* hoist.c - what is the same in all turns of a loop is computed before it, where
 * that is much: sums over several elements, products, functions of several steps.
 * What is cheap stays, as a part of the kernels that read it. Nothing leaves a
 * branch, which may not be taken; and with --max-ram nothing that is large, which
 * would live as long as the loop.
 *
 * before:  %h = scan %h0, %x {states=1} : f32[16] do (%p: f32[16], %s: f32[16]) {
 *            %1 = matmul %a, %b : f32[1,16]
 *            %2 = relu %1 : f32[1,16]
 *            %3 = add %2, %s : ...
 * after:   %1 = matmul %a, %b : f32[1,16]
 *          %2 = relu %1 : f32[1,16]
 *          %h = scan %h0, %x {states=1} : f32[16] do (%p: f32[16], %s: f32[16]) {
 *            %3 = add %2, %s : ... */
#include "ir/place.h"
#include "passes/cycles.h"
#include "passes/edit.h"

#include <assert.h>

struct hoist {
  struct pass_env *env;
  bool *same, *moves; /* by op id: in all turns; and it leaves the loop */
};

/* The op of the block that makes v. */
static const struct ir_op *maker(const struct ir_block *b,
                                 const struct ir_value *v) {
  return v->def && v->def->block == b ? v->def : NULL;
}

static bool is_same(const struct hoist *h, const struct ir_op *op) {
  if (!(ir_ops[op->code].traits & IR_PURE) || op->nregions)
    return false;
  for (unsigned i = 0; i < op->noperands; i++) {
    const struct ir_value *v = ir_arg(op, i);
    const struct ir_op *def = maker(op->block, v);
    if (def ? !h->same[def->id] : v->block == op->block)
      return false;
  }
  return true;
}

/* More than to store the result once and load it in each turn; or it goes with
 * what it reads, and is no larger. */
static bool pays(const struct hoist *h, const struct ir_op *op) {
  enum { FEW_OPS = 3, SMALL_PART = 64 };
  const struct ir_type *t = ir_result(op)->type;
  int64_t bytes = ir_type_bytes(t), most = h->env->opts->max_ram;
  double lanes = (double)dn_max(h->env->target->vector_bytes / 4, 1);
  if (!ir_type_is_static(t) || (most && bytes > most / SMALL_PART))
    return false;
  bool map = ir_ops[op->code].cls == IR_MAP;
  for (unsigned i = 0; i < op->noperands; i++) {
    const struct ir_op *def = maker(op->block, ir_arg(op, i));
    if ((map || op->code == IR_RESHAPE) && def && h->moves[def->id] &&
        bytes <= ir_type_bytes(ir_arg(op, i)->type))
      return true;
  }
  return ir_ops[op->code].cls != IR_MOVE &&
         cycles_of(h->env, op) * lanes * 2 >=
             FEW_OPS * (double)ir_type_count(t);
}

static int64_t hoist_from(struct hoist *h, struct ir_op *loop) {
  struct ir_block *body = loop->region[0];
  assert(ir_is_loop(loop) && body->last && "hoist_block(); rule terminator");
  int64_t moved = 0;
  for (const struct ir_op *op = body->first; op; op = op->next) {
    h->same[op->id] = is_same(h, op);
    h->moves[op->id] = h->same[op->id] && pays(h, op);
  }
  for (const struct ir_op *op = body->last; op; op = op->prev)
    for (unsigned i = 0; h->moves[op->id] && i < op->noperands; i++) {
      const struct ir_op *def = maker(body, ir_arg(op, i));
      if (def)
        h->moves[def->id] = true;
    }
  for (struct ir_op *op = body->first, *next; op; op = next) {
    next = op->next;
    if (!h->moves[op->id])
      continue;
    ir_op_move(op, loop->block, loop);
    moved++;
  }
  return moved;
}

/* From the innermost loops out. Regions nest no deeper than --limit-depth. */
static int64_t hoist_block(struct hoist *h, struct ir_block *b) {
  int64_t moved = 0;
  for (struct ir_op *op = b->first; op; op = op->next) {
    for (unsigned r = 0; r < op->nregions; r++)
      moved += hoist_block(h, op->region[r]);
    if (ir_is_loop(op) && ir_max_turns(op) > 1)
      moved += hoist_from(h, op);
  }
  return moved;
}

int64_t pass_hoist(struct pass_env *env, struct ir_module *m) {
  struct hoist h = {.env = env};
  int64_t moved = 0;
  h.same = DN_ARRAY(env->scratch, bool, m->nops);
  h.moves = DN_ARRAY(env->scratch, bool, m->nops);
  for (struct ir_func *f = m->funcs; f; f = f->next)
    moved += hoist_block(&h, f->body);
  return moved;
}
