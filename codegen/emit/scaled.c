/* scaled.c - sums of products with weights in blocks, (w - zero) * scale: what
 * has one zero point and one scale is summed up first,
 *     (sum(x * w) - zero * sum(x)) * scale,
 * which takes them once for all of it instead of for every weight. That pays
 * where one row is computed: more rows share the weight that has them. Weights
 * of more than 8 bits would lose in the large sums what w - zero has. */
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
  assert((!s->sum || (s->scale && s->factors)) && "emit_scaled_step()");
  LLVMValueRef sum = s->sum;
  if (!sum)
    return acc;
  if (s->zero)
    sum = emit_add_product(k, n->acc_type, sum, s->factors,
                           LLVMBuildFNeg(k->b, s->zero, ""));
  return emit_add_product(k, n->acc_type, acc, sum, s->scale);
}

LLVMValueRef emit_scaled_step(struct kernel_cg *k, const struct nest *n,
                              struct emit_scaled *s, LLVMValueRef acc,
                              unsigned lanes,
                              const struct affine *const *iter) {
  const struct affine *inner[NEST_MAX_ITERS], *least[NEST_MAX_ITERS];
  const struct nest_node *root = &n->node[n->nnodes - 1];
  const struct nest *m = emit_enter(k, n, root->arg[1], IR_S_MUL, iter, inner);
  assert(m && "runs_scaled()");
  const int *arg = m->node[m->nnodes - 1].arg;
  LLVMValueRef a = emit_splat(k, emit_node(k, n, root->arg[0], iter), lanes);
  LLVMValueRef scale = emit_node(k, m, arg[1], inner), zero = NULL, w;
  const struct nest *z = emit_enter(k, m, arg[0], IR_S_SUB, inner, least);
  if (z && z->node[z->nnodes - 1].type == IR_F32) {
    const int *of = z->node[z->nnodes - 1].arg;
    w = emit_node(k, z, of[0], least);
    zero = emit_splat(k, emit_node(k, z, of[1], least), lanes);
  } else {
    w = emit_node(k, m, arg[0], inner);
  }
  if (k->failed)
    return acc;
  w = emit_splat(k, w, lanes);
  scale = emit_splat(k, scale, lanes);
  if (s->sum && s->scale == scale && s->zero == zero) {
    s->sum = emit_add_product(k, n->acc_type, s->sum, a, w);
    s->factors = LLVMBuildFAdd(k->b, s->factors, a, "");
    return acc;
  }
  acc = emit_scaled_end(k, n, s, acc);
  *s = (struct emit_scaled){LLVMBuildFMul(k->b, a, w, ""), a, zero, scale};
  return acc;
}
