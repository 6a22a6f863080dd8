/* index.h - index arithmetic as code: variables, sizes of run time, bounds
 * checks. */
#ifndef CG_EMIT_INDEX_H
#define CG_EMIT_INDEX_H

#include "codegen/emit/module.h"
#include "ir/affine.h"

struct kernel_cg;

struct emit_size { /* a size that is known at run time only */
  const struct ir_size *size;
  const struct affine *form;
};

/* ---- emit/index.c: index arithmetic as code ---- */
/* A variable whose value is `v`; the value of a variable. */
unsigned index_new_var(struct kernel_cg *k, LLVMValueRef v, int64_t lo,
                       int64_t hi, int depth, bool vector);
LLVMValueRef index_get(struct kernel_cg *k, unsigned var);
/* The form's value: iptr, or a vector of it when the form is varying. */
LLVMValueRef index_value(struct kernel_cg *k, const struct affine *a);
/* A dimension as a form: a number, or a variable of at most dim. */
const struct affine *index_size(struct kernel_cg *k, int64_t dim,
                                const struct ir_size *size);
/* How many whole tiles n comes to, `most` at most. */
const struct affine *index_tiles(struct kernel_cg *k, const struct affine *n,
                                 int64_t tile, int64_t most);
/* from + the loop's counter * step, of which it is known that as much again is
 * within `extent`. */
const struct affine *index_within(struct kernel_cg *k,
                                  const struct affine *from, int64_t step,
                                  int64_t extent);
/* A variable for a + b * c: of two forms no form has the product. */
const struct affine *index_product(struct kernel_cg *k, const struct affine *a,
                                   const struct affine *b,
                                   const struct affine *c);
/* What is read of an integer value as an index, clamped into dimension d of a
 * type. */
const struct affine *index_of_value(struct kernel_cg *k, LLVMValueRef v,
                                    const struct ir_value *from, int depth,
                                    const struct ir_type *type, int d);
/* a, clamped into a dimension. */
const struct affine *index_clamp(struct kernel_cg *k, const struct affine *a,
                                 int64_t dim, const struct ir_size *size);
/* i1 (or a vector): 0 <= a < dim, or the size; a == 0. */
LLVMValueRef index_inside(struct kernel_cg *k, const struct affine *a,
                          int64_t dim, const struct ir_size *size);
LLVMValueRef index_is_zero(struct kernel_cg *k, const struct affine *a);
/* NULL stands for true. */
LLVMValueRef index_and(struct kernel_cg *k, LLVMValueRef a, LLVMValueRef b,
                       int depth);

#endif
