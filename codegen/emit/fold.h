/* fold.h - the code of a fold's row: one step, and how accumulators, which are
 * n->nstates values each, become one. */
#ifndef CG_EMIT_FOLD_H
#define CG_EMIT_FOLD_H

#include "codegen/emit/impl.h"

/* acc = fold(acc, x), of which k is the number among the reduced points, or
 * NULL where the code does not use it. */
void emit_step(struct kernel_cg *kernel, const struct nest *n,
               LLVMValueRef *acc, LLVMValueRef x, LLVMValueRef k);
/* acc = the fold of what acc and other have folded. */
void emit_merge(struct kernel_cg *k, const struct nest *n, LLVMValueRef *acc,
                const LLVMValueRef *other);
/* Folds the lanes of vectors into acc. */
void emit_across(struct kernel_cg *k, const struct nest *n, unsigned lanes,
                 LLVMValueRef *acc);
/* The op's value. */
LLVMValueRef emit_finish(struct kernel_cg *k, const struct nest *n,
                         const LLVMValueRef *acc);

#endif
