/* onto.c - kernels that put slices onto a copy of an operand, where an
 * integer operand says (nest.h). The loops are those over the slices, in their
 * order: the first dimension one slice at a time, lanes within a slice alone,
 * by one thread. A row is loaded from where it goes, folded and stored, so that
 * slices that meet are folded one after another. */
#include "codegen/emit/fold.h"

#include <assert.h>
#include <string.h>

/* The address of the result's row for row idx of the slices. */
static const struct affine *row_address(struct kernel_cg *k,
                                        const struct ir_place *p,
                                        const struct affine *const *idx) {
  const struct nest *n = kernel_nest(k, k->onto);
  assert(n->to >= 0 && n->to < n->naccesses && "nest_onto()");
  const struct affine *iter[NEST_MAX_ITERS], *at[IR_MAX_RANK];
  runs_iters(&k->forms, n, idx, iter);
  for (int i = 0; i < n->niters; i++)
    if (n->iter[i].reduced)
      iter[i] = idx[0];
  for (int d = 1; d < n->type->rank; d++)
    at[d] = idx[d];
  at[0] = emit_indirect(k, n, n->to, n->type, 0, iter);
  return emit_address(k, p, n->type->rank, at);
}

void onto_store(struct kernel_cg *k, const struct ir_place *p,
                const struct affine *const *idx, LLVMValueRef v) {
  const struct nest *n = kernel_nest(k, k->onto);
  const struct ir_value *y = ir_result(k->onto);
  const struct affine *address = row_address(k, p, idx);
  if (n->fold != NEST_NONE && !k->failed) {
    assert(n->nstates == 1 && "nest_check_row(): rows that go onto an operand");
    unsigned lanes = address->varying ? k->forms.lanes : 1;
    LLVMValueRef acc = emit_splat(k, emit_load(k, y, p, address), lanes);
    emit_step(k, n, &acc, emit_splat(k, v, lanes), NULL);
    v = acc;
  }
  if (!k->failed)
    emit_store(k, y->type, p, address, v);
}

void emit_onto(struct emit *e, const struct ir_op *op, const struct ir_op *onto,
               const struct ir_place *out, const char *name) {
  const struct ir_value *x = ir_arg(onto, 0);
  struct ir_place from = emit_place(x);
  bool there = !x->data && from.space == out->space &&
               from.number == out->number && from.offset == out->offset &&
               !memcmp(from.step, out->step, sizeof from.step);
  if (!there)
    emit_copy(e, x, out, dn_printf(e->scratch, "%s.start", name));
  emit_loops(e, op, ir_arg(onto, 2), ir_arg(onto, 2), out, name);
}
