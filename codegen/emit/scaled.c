/* scaled.c - sums of products with weights in blocks, (w - zero) * scale: what
 * has one scale is summed up first,
 *     sum(x * (w - zero)) * scale,
 * which takes it once for all of it instead of for every weight. That pays where
 * one row is computed: more rows share the weight that has it. An infinite x is
 * a NaN where w is the zero point, as it is where weights are scaled. */
#include "codegen/emit/impl.h"

#include <assert.h>

LLVMValueRef emit_fma(struct kernel_cg *k, enum ir_dtype type, LLVMValueRef a,
                      LLVMValueRef b, LLVMValueRef c) {
  const struct ir_facts *o = k->e->facts;
  bool fused = o->has_fma && (type != IR_F64 || o->has_f64);
  if (fused && k->forms.scalable && emit_is_vector(c))
    return scalable_fma(k, a, b, c);
  return cg_math_fma(k->b, o, a, b, c);
}

LLVMValueRef emit_add_product(struct kernel_cg *k, enum ir_dtype type,
                              LLVMValueRef acc, LLVMValueRef a,
                              LLVMValueRef b) {
  const struct ir_facts *o = k->e->facts;
  if (!ir_is_float(type))
    return LLVMBuildAdd(k->b, acc, LLVMBuildMul(k->b, a, b, ""), "");
  if (!o->has_fma || (type == IR_F64 && !o->has_f64))
    return LLVMBuildFAdd(k->b, acc, LLVMBuildFMul(k->b, a, b, ""), "");
  return emit_fma(k, type, a, b, acc);
}

bool emit_scaled_fits(struct kernel_cg *k, const struct nest *n,
                      const struct tile_vector *pt, unsigned npt) {
  for (unsigned p = 1; p < npt; p++)
    for (int d = 0; d + 1 < n->type->rank; d++)
      if (pt[p].idx[d] != pt[0].idx[d])
        return false;
  if (!runs_scaled(&k->runs, n))
    emit_no_runs(k, "scaled");
  return true;
}

LLVMValueRef emit_scaled_end(struct kernel_cg *k, const struct nest *n,
                             const struct emit_scaled *s, LLVMValueRef acc) {
  assert(!s->sum == !s->scale && "emit_scaled_step()");
  return s->sum ? emit_add_product(k, n->acc_type, acc, s->sum, s->scale) : acc;
}

LLVMValueRef emit_scaled_step(struct kernel_cg *k, const struct nest *n,
                              struct emit_scaled *s, LLVMValueRef acc,
                              unsigned lanes,
                              const struct affine *const *iter) {
  const struct affine *inner[NEST_MAX_ITERS];
  const struct nest_node *root = &n->node[n->nnodes - 1];
  const struct nest *m = emit_enter(k, n, root->arg[1], IR_S_MUL, iter, inner);
  assert(m && "runs_scaled()");
  const int *arg = m->node[m->nnodes - 1].arg;
  LLVMValueRef a = emit_splat(k, emit_node(k, n, root->arg[0], iter), lanes);
  LLVMValueRef w = emit_node(k, m, arg[0], inner);
  LLVMValueRef scale = emit_node(k, m, arg[1], inner);
  if (k->failed)
    return acc;
  w = emit_splat(k, w, lanes);
  scale = emit_splat(k, scale, lanes);
  if (s->sum && s->scale == scale) {
    s->sum = emit_add_product(k, n->acc_type, s->sum, a, w);
    return acc;
  }
  acc = emit_scaled_end(k, n, s, acc);
  *s = (struct emit_scaled){LLVMBuildFMul(k->b, a, w, ""), scale};
  return acc;
}
