/* scalable.c - vectors whose length is the machine's: `vec` lanes times a
 * number that is known at run time (LLVM's vscale), so that one object is
 * faster where registers are longer. A row has k->count lanes, at most a whole
 * vector: the last turn of a loop takes what is left, without code of its own.
 * Arithmetic may run on lanes that are not there; loads and stores do not, and
 * products do not either, lest the length be switched between them. */
#include "codegen/emit/impl.h"

#include <assert.h>
#include <llvm-c/Target.h>

static LLVMValueRef every_lane(struct kernel_cg *k) {
  return emit_splat(k, LLVMConstInt(k->e->i1, 1, false), k->forms.lanes);
}

void scalable_open(struct kernel_cg *k, int64_t n) {
  struct emit *e = k->e;
  assert(n > 0 && k->sched.vec > 1 && "rule loops: scalable vectors");
  scope_open(k, n, 0, NULL, NULL);
  LLVMValueRef left =
      LLVMBuildNUWSub(k->b, emit_iptr(e, n), k->scope->counter, "");
  LLVMValueRef arg[] = {left, LLVMConstInt(e->i32, k->sched.vec, false),
                        LLVMConstInt(e->i1, 1, false)};
  k->count = emit_intrinsic(k, "llvm.experimental.get.vector.length", &e->iptr,
                            1, arg, 3);
  k->scope->step = LLVMBuildIntCast2(k->b, k->count, e->iptr, false, "");
  k->forms.start = k->scope->var;
  k->forms.longest = n;
}

static bool is_dense(struct kernel_cg *k, LLVMTypeRef elem, int64_t step) {
  LLVMTargetDataRef layout = LLVMGetModuleDataLayout(k->e->mod);
  return step == (int64_t)LLVMABISizeOfType(layout, elem);
}

LLVMValueRef scalable_load(struct kernel_cg *k, LLVMTypeRef elem,
                           LLVMValueRef base, int64_t step,
                           LLVMValueRef offsets) {
  struct emit *e = k->e;
  LLVMTypeRef row = emit_vector_type(k, elem, k->forms.lanes);
  LLVMTypeRef type[] = {row, e->ptr, e->iptr};
  LLVMValueRef all = every_lane(k);
  if (offsets) {
    LLVMValueRef at = LLVMBuildGEP2(k->b, e->i8, base, &offsets, 1, "");
    type[1] = LLVMTypeOf(at);
    return emit_intrinsic(k, "llvm.vp.gather", type, 2,
                          (LLVMValueRef[]){at, all, k->count}, 3);
  }
  if (is_dense(k, elem, step))
    return emit_intrinsic(k, "llvm.vp.load", type, 2,
                          (LLVMValueRef[]){base, all, k->count}, 3);
  LLVMValueRef by = emit_iptr(e, step);
  return emit_intrinsic(k, "llvm.experimental.vp.strided.load", type, 3,
                        (LLVMValueRef[]){base, by, all, k->count}, 4);
}

void scalable_store(struct kernel_cg *k, LLVMValueRef v, LLVMValueRef base,
                    int64_t step) {
  struct emit *e = k->e;
  LLVMTypeRef type[] = {LLVMTypeOf(v), e->ptr, e->iptr};
  LLVMValueRef all = every_lane(k);
  if (is_dense(k, LLVMGetElementType(type[0]), step)) {
    emit_intrinsic(k, "llvm.vp.store", type, 2,
                   (LLVMValueRef[]){v, base, all, k->count}, 4);
    return;
  }
  LLVMValueRef by = emit_iptr(e, step);
  emit_intrinsic(k, "llvm.experimental.vp.strided.store", type, 3,
                 (LLVMValueRef[]){v, base, by, all, k->count}, 5);
}

LLVMValueRef scalable_fma(struct kernel_cg *k, LLVMValueRef a, LLVMValueRef b,
                          LLVMValueRef c) {
  LLVMTypeRef type = LLVMTypeOf(c);
  LLVMValueRef arg[] = {a, b, c, every_lane(k), k->count};
  return emit_intrinsic(k, "llvm.vp.fma", &type, 1, arg, 5);
}

LLVMValueRef scalable_numbers(struct kernel_cg *k, int64_t step) {
#if LLVM_VERSION_MAJOR < 20
  const char *name = "llvm.experimental.stepvector";
#else
  const char *name = "llvm.stepvector";
#endif
  LLVMTypeRef type = emit_vector_type(k, k->e->iptr, k->forms.lanes);
  LLVMValueRef by = emit_iptr(k->e, step);
  LLVMValueRef n = emit_intrinsic(k, name, &type, 1, NULL, 0);
  return LLVMBuildNSWMul(k->b, n, emit_splat(k, by, k->forms.lanes), "");
}
