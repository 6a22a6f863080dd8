/* verify_sizes.c - sizes that ops make: types have them behind the op only, and the
 * caller passes no such size and gets none; and those by the numbers of turns, which
 * types have in the region of the scan alone. */
#include "ir/place.h"
#include "ir/size.h"
#include "ir/verify.h"

#include <string.h>

struct made {
  struct verifier *v;
  struct ir_sizes all;
  /* Where each is made; NULL: further on. */
  const struct ir_block *by[IR_MAX_SIZES];
};

/* `b` is that block, or in a region of it. */
static bool is_inside(const struct ir_block *b, const struct ir_block *of) {
  while (of && b && b != of)
    b = b->owner ? b->owner->block : NULL;
  return of && b == of;
}

static void check_made(struct made *m, const struct ir_op *op,
                       const struct ir_type *type) {
  struct ir_point p = {0};
  ir_point_add(&p, type);
  for (int i = 0; i < p.n; i++)
    for (int k = m->all.passed; k < m->all.most.n; k++)
      if (p.param[i] == m->all.most.param[k] && !is_inside(op->block, m->by[k]))
        verify_op(m->v, op, MADE, "'%s' is not known here", p.param[i]->name);
}

static void check_values(struct made *m, const struct ir_op *op,
                         struct ir_value *const *v, unsigned n) {
  for (unsigned i = 0; i < n; i++)
    check_made(m, op, v[i]->type);
}

static void make_size(struct made *m, const struct ir_op *op) {
  const struct ir_block *b = op->block;
  if (b->owner && b->owner->code == IR_KERNEL) {
    if (b->first != op || op->next != b->last)
      verify_op(m->v, op, MADE, "it is beside others in its kernel");
    b = b->owner->block;
  }
  for (int k = m->all.passed; k < m->all.most.n; k++)
    if (ir_makes_param(op, m->all.most.param[k]))
      m->by[k] = b;
  while (b->owner && b->owner->code != IR_SCAN)
    b = b->owner->block;
  if (b->owner)
    verify_op(m->v, op, MADE, "it is in a scan");
}

void verify_sizes(struct verifier *v, const struct ir_func *f) {
  struct made m = {.v = v};
  const struct ir_op *ret = f->body->last;
  if (!ir_sizes_of(f, &m.all) || m.all.passed == m.all.most.n)
    return;
  for (int k = m.all.passed; k < m.all.most.n; k++)
    if (m.all.least[k] > m.all.most.param[k]->least)
      verify_op(v, ret, MADE, "of '%s' at its least a size is below 0",
                m.all.most.param[k]->name);
  check_values(&m, ret, f->body->param, f->body->nparams);
  for (const struct ir_op *op = f->body->first; op != ret; op = ir_next(op)) {
    if (v->m->form != IR_GRAPH && op->block == f->body && ir_is_view(op))
      continue; /* it computes nothing */
    for (unsigned i = 0; i < op->noperands; i++)
      check_made(&m, op, ir_arg(op, i)->type);
    if (op->code == IR_SET_SIZE)
      make_size(&m, op);
    if (op->code != IR_KERNEL) /* what it yields is made inside */
      check_values(&m, op, op->result, op->nresults);
  }
  memset(m.by, 0, sizeof m.by);
  for (unsigned i = 0; i < ret->noperands; i++)
    check_made(&m, ret, ir_arg(ret, i)->type);
}

/* `p` numbers the turns of a scan around `b`. */
static bool is_around(const struct ir_block *b, const struct ir_param *p) {
  for (const struct ir_op *op = b->owner; op; op = op->block->owner)
    if (op->code == IR_SCAN &&
        ir_loops_around(op->block) == ir_param_depth(p) &&
        ir_get_int(op, "states") < op->noperands)
      return ir_max_turns(op) == p->bound + 1;
  return false;
}

void verify_turns(struct verifier *v, const struct ir_value *x) {
  struct ir_point all = {0};
  if (!ir_home(x) || !ir_point_add(&all, x->type))
    return;
  for (int i = 0; i < all.n; i++)
    if (ir_param_depth(all.param[i]) >= 0 &&
        !is_around(ir_home(x), all.param[i]))
      verify_fail(v, ir_value_loc(v->m, x), VERIFY_TURN, "%s of %s",
                  all.param[i]->name, verify_type_text(v, x->type));
}
