/* fold_code.c - a row of folds.def (ir/nest.h) as code: the step, the merge of
 * two accumulators or of the lanes of one, and what is made of it at the end.
 * fold.c has the loops around. */
#include "codegen/emit/fold.h"

#include <assert.h>
#include <string.h>

static enum ir_dtype folded_type(enum ir_dtype t) {
  return ir_is_small_float(t) ? IR_F32 : t;
}

/* Code of a fold at its variables: `count` results to out. All are vectors of
 * one length, or scalars. Floats of 16 bits are folded in f32 and rounded at
 * the end. */
static void emit_code(struct kernel_cg *k, const struct nest_code *c,
                      const LLVMValueRef *var, int count, LLVMValueRef *out) {
  assert(count > 0 && c->nnodes <= NEST_MAX_NODES && "folds.def");
  LLVMValueRef value[NEST_MAX_NODES];
  for (int i = 0; i < c->nnodes; i++) {
    const struct nest_node *node = &c->node[i];
    if (node->kind == NEST_ACCESS) {
      value[i] = var[node->arg[0]];
      assert(value[i] && "callers set what nest_code_uses()");
    } else if (node->kind == NEST_NUMBER) {
      LLVMValueRef v = emit_number(k, node->type, node->number);
      value[i] = emit_like(k, var[0], v);
    } else {
      int arity = ir_scalars[node->fn].arity;
      LLVMValueRef arg[3] = {NULL};
      for (int j = 0; j < arity; j++)
        arg[j] = value[node->arg[j]];
      k->range = (struct emit_range){INT64_MIN, INT64_MAX};
      value[i] = emit_scalar(k, node->fn,
                             folded_type(c->node[node->arg[arity - 1]].type),
                             folded_type(node->type), arg);
    }
  }
  for (int i = 0; i < count; i++)
    out[i] = value[c->root[i]];
}

void emit_step(struct kernel_cg *kernel, const struct nest *n,
               LLVMValueRef *acc, LLVMValueRef x, LLVMValueRef k) {
  LLVMValueRef var[NEST_NUM_VARS] = {[NEST_VAR_X] = x, [NEST_VAR_K] = k};
  memcpy(var, acc, (size_t)n->nstates * sizeof *acc);
  emit_code(kernel, &n->step, var, n->nstates, acc);
}

void emit_merge(struct kernel_cg *k, const struct nest *n, LLVMValueRef *acc,
                const LLVMValueRef *other) {
  LLVMValueRef var[NEST_NUM_VARS] = {NULL};
  memcpy(var, acc, (size_t)n->nstates * sizeof *acc);
  memcpy(var + NEST_VAR_OTHER, other, (size_t)n->nstates * sizeof *other);
  emit_code(k, &n->merge, var, n->nstates, acc);
}

LLVMValueRef emit_finish(struct kernel_cg *k, const struct nest *n,
                         const LLVMValueRef *acc) {
  LLVMValueRef var[NEST_NUM_VARS] = {NULL}, out;
  memcpy(var, acc, (size_t)n->nstates * sizeof *acc);
  emit_code(k, &n->finish, var, 1, &out);
  enum ir_dtype t = n->finish.node[n->finish.root[0]].type;
  return emit_cast(k, emit_round(k, t, out), t, n->type->dtype);
}

/* Lane i of each state, or `half` its lanes from there on. */
static void part(struct kernel_cg *k, const struct nest *n,
                 const LLVMValueRef *v, unsigned i, unsigned half,
                 LLVMValueRef *out) {
  unsigned *lane = DN_ARRAY(k->arena, unsigned, half + 1);
  for (unsigned l = 0; l < half; l++)
    lane[l] = i + l;
  for (int s = 0; s < n->nstates; s++)
    out[s] =
        half ? emit_shuffle(k, v[s], NULL, lane, half) : emit_lane(k, v[s], i);
}

/* Halves while they are even. Sums of integers have an intrinsic; of their
 * halves LLVM makes x86's vpdpbusd, whose four sums it then takes for one. */
void emit_across(struct kernel_cg *k, const struct nest *n, unsigned lanes,
                 LLVMValueRef *acc) {
  assert(lanes > 1 && emit_is_vector(*acc) &&
         "finish(): lanes along the reduction");
  LLVMValueRef all[NEST_MAX_STATES], other[NEST_MAX_STATES];
  LLVMTypeRef t = LLVMTypeOf(*acc);
  if (n->fold == NEST_SUM && !ir_is_float(n->acc_type) && lanes > 1) {
    *acc = emit_intrinsic(k, "llvm.vector.reduce.add", &t, 1, acc, 1);
    return;
  }
  while (lanes > 1 && lanes % 2 == 0) {
    lanes /= 2;
    memcpy(all, acc, sizeof all);
    part(k, n, all, 0, lanes, acc);
    part(k, n, all, lanes, lanes, other);
    emit_merge(k, n, acc, other);
  }
  memcpy(all, acc, sizeof all);
  part(k, n, all, 0, 0, acc);
  for (unsigned i = 1; i < lanes; i++) {
    part(k, n, all, i, 0, other);
    emit_merge(k, n, acc, other);
  }
}
