/* inplace.c - reads at the index of the element that is written: see inplace.h.
 *
 * From the yield back: an op is at the result's own index when all its users
 * are and read it there. Where rows are folded before they are stored (nest.h),
 * reductions and maps read within the row that they are for, which is as good.
 */
#include "passes/inplace.h"

#include "ir/loops.h"
#include "ir/nest.h"

#include <assert.h>

struct inner {        /* an op in the kernel */
  uint64_t pointwise; /* operands read at the result's own index */
  bool own;           /* and its result is, up to the kernel's result */
};

struct inplace {
  struct dn_map inner; /* by op */
};

bool inplace_reads_own(const struct inplace *p, const struct ir_use *u) {
  unsigned i = 0;
  while (u->op->operand[i] != u)
    i++;
  assert(i < u->op->noperands && "a use is one of its op's operands");
  if (u->op->code == IR_YIELD)
    return true;
  const struct inner *in = dn_map_get(&p->inner, u->op);
  return in && in->own && i < 64 && in->pointwise >> i & 1;
}

struct inplace *inplace_build(struct dn_arena *arena, const struct ir_op *k) {
  struct inplace *p = DN_NEW(arena, struct inplace);
  assert(k->code == IR_KERNEL && k->region[0]->last->code == IR_YIELD &&
         "the caller has a kernel; rule terminator");
  bool rows = loops_rows_first(k);
  for (const struct ir_op *op = k->region[0]->last->prev; op; op = op->prev) {
    struct inner *in = DN_NEW(arena, struct inner);
    struct dn_arena *tmp = dn_arena_new(k->block->func->module->ctx);
    bool map = ir_ops[op->code].cls == IR_MAP;
    const struct nest *n = map ? nest_build(tmp, op) : NULL;
    for (unsigned i = 0; n && i < op->noperands && i < 64; i++)
      if (rows || nest_is_pointwise(n, i))
        in->pointwise |= UINT64_C(1) << i;
    if ((rows && ir_ops[op->code].cls == IR_REDUCE) ||
        ir_ops[op->code].traits & IR_ONTO)
      in->pointwise = 1; /* ... as is what slices are put onto */
    dn_arena_free(tmp);
    in->own = true;
    for (const struct ir_use *u = ir_result(op)->uses; u; u = u->next)
      in->own &= inplace_reads_own(p, u);
    dn_map_put(arena, &p->inner, op, in);
  }
  return p;
}
