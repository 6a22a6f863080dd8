/* elementary.h - elementary functions as LLVM IR, so that objects need no libm.
 *
 * Every emitter takes a scalar, a fixed or a scalable vector of f32 or f64 and
 * gives a value of the same type. f16 and bf16 callers convert to f32 first.
 * The code is branch free, but for cg_math_fmod() and for a cg_math_sqrt()
 * without hardware: these two build a loop and leave the builder at the end of
 * a new block. No fast-math flag is set, none may be added: the error bounds of
 * elementary.def need the order of operations. */
#ifndef CG_MATH_H
#define CG_MATH_H

#include "ir/facts.h"

#include <llvm-c/Core.h>
#include <stdbool.h>

enum cg_math {
#define MATH(ID, name, ulp32, ulp64, note) CG_##ID,
#include "codegen/math/elementary.def"
#undef MATH
  CG_MATH_COUNT
};

/* The emitters ask the facts has_*: with none set the code needs no more than
 * add, subtract, multiply, divide, compare and convert, with what soft-float
 * helpers these are. */

/* The same value. Where the target hides splats, a vector goes through an empty
 * asm, so that LLVM cannot see that it is a splat. */
LLVMValueRef cg_math_hide(LLVMBuilderRef b, const struct ir_facts *o,
                          LLVMValueRef v);
/* Whether x is NaN, for each lane. */
LLVMValueRef cg_math_isnan(LLVMBuilderRef b, const struct ir_facts *o,
                           LLVMValueRef x);

LLVMValueRef cg_math_emit(LLVMBuilderRef b, const struct ir_facts *o,
                          enum cg_math fn, LLVMValueRef x);

/* C pow() with all its special cases: 1.2 ULP. */
LLVMValueRef cg_math_pow(LLVMBuilderRef b, const struct ir_facts *o,
                         LLVMValueRef x, LLVMValueRef y);
/* x * y + z, rounded once, on every target. */
LLVMValueRef cg_math_fma(LLVMBuilderRef b, const struct ir_facts *o,
                         LLVMValueRef x, LLVMValueRef y, LLVMValueRef z);
/* C fmod(): exact, the sign of x. */
LLVMValueRef cg_math_fmod(LLVMBuilderRef b, const struct ir_facts *o,
                          LLVMValueRef x, LLVMValueRef y);

#endif
