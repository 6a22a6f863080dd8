/* values.h - operations on values in registers: numbers and ranges, the
 * functions of scalars.def, types in registers and in memory, lanes of vectors,
 * vectors of the machine's own length. impl.h, which includes it, is about
 * kernels, loops and places. */
#ifndef CG_EMIT_VALUES_H
#define CG_EMIT_VALUES_H

#include "codegen/emit/emit.h"
#include "ir/nest.h"

struct emit;
struct kernel_cg;

/* ---- emit/range.c ---- */
struct emit_range {
  int64_t least, most;
};
enum { EMIT_RANGE_ELEMENTS = 4096 };
/* Of a small integer constant; of all else what 64 bits have. */
struct emit_range emit_range_of(const struct ir_value *v);
/* All integers are known to be indices of dimension d. */
bool emit_is_inside(const struct ir_value *index, const struct ir_type *type,
                    int d);

/* ---- emit/fixed.c ---- */
LLVMValueRef emit_hmul(struct kernel_cg *k, enum ir_dtype type, LLVMValueRef x,
                       LLVMValueRef y);
LLVMValueRef emit_rshr(struct kernel_cg *k, enum ir_dtype type, LLVMValueRef x,
                       LLVMValueRef y);

/* ---- emit/scalar.c, emit/max.c, emit/type.c ---- */
/* One function of scalars.def on values of type `type`, made for `result`. */
LLVMValueRef emit_scalar(struct kernel_cg *k, enum ir_scalar fn,
                         enum ir_dtype type, enum ir_dtype result,
                         LLVMValueRef *arg);
/* The narrowed number (scalars.def) of `type` as an f32, which never is an
 * integer: x and z are f32, on processors with vectors of them. */
LLVMValueRef emit_narrowed(struct kernel_cg *k, enum ir_dtype type,
                           LLVMValueRef x, LLVMValueRef z);
/* cg_math_hide() of what all lanes share. */
LLVMValueRef emit_hide_splat(struct kernel_cg *k, LLVMValueRef v);
/* The number that all lanes are; false when they are not one constant. */
bool emit_constant(struct kernel_cg *k, LLVMValueRef v, double *out);
/* The greater (`most`) or smaller of two floats; NaN when either is. */
LLVMValueRef emit_extreme(struct kernel_cg *k, enum ir_dtype type, bool most,
                          LLVMValueRef x, LLVMValueRef y);
LLVMValueRef emit_number(struct kernel_cg *k, enum ir_dtype type, double v);
LLVMValueRef emit_cast(struct kernel_cg *k, LLVMValueRef v, enum ir_dtype from,
                       enum ir_dtype to);
/* Type of a value in registers: f16 and bf16 are f32, bool is i1. */
LLVMTypeRef emit_reg_type(struct emit *e, enum ir_dtype t);
LLVMTypeRef emit_mem_type(struct emit *e, enum ir_dtype t);
LLVMTypeRef emit_vector_type(const struct kernel_cg *k, LLVMTypeRef elem,
                             unsigned lanes);
LLVMValueRef emit_bits(struct kernel_cg *k, LLVMValueRef v, enum ir_dtype from,
                       enum ir_dtype to);
LLVMValueRef emit_from_mem(struct kernel_cg *k, enum ir_dtype t,
                           LLVMValueRef v);
LLVMValueRef emit_to_mem(struct kernel_cg *k, enum ir_dtype t, LLVMValueRef v);
/* Rounds an f32 to the precision of a 16-bit type; others stay. */
LLVMValueRef emit_round(struct kernel_cg *k, enum ir_dtype t, LLVMValueRef v);
/* A vector of equal constants when `pattern` is one. */
LLVMValueRef emit_like(struct kernel_cg *k, LLVMValueRef pattern,
                       LLVMValueRef scalar);
/* An integer of the type of `pattern`, in all of its lanes. */
LLVMValueRef emit_int(struct kernel_cg *k, LLVMValueRef pattern, int64_t n);
/* Lane i of a vector; the vector with x there. */
LLVMValueRef emit_lane(struct kernel_cg *k, LLVMValueRef v, unsigned i);
LLVMValueRef emit_with_lane(struct kernel_cg *k, LLVMValueRef v, unsigned i,
                            LLVMValueRef x);
/* A vector of n lanes of a, then of b; NULL: there is no b. */
LLVMValueRef emit_shuffle(struct kernel_cg *k, LLVMValueRef a, LLVMValueRef b,
                          const unsigned *lane, unsigned n);
LLVMValueRef emit_intrinsic(struct kernel_cg *k, const char *name,
                            LLVMTypeRef *types, unsigned ntypes,
                            LLVMValueRef *args, unsigned n);

/* ---- emit/transpose.c ---- */
/* Transposes n rows of n lanes; n is a power of two. */
void emit_transpose(struct kernel_cg *k, LLVMValueRef *row, unsigned n);
/* `count` vectors of n lanes become one sequence: lane 0 of each, lane 1 of
 * each ...; both are powers of two. */
void emit_interleave(struct kernel_cg *k, LLVMValueRef *v, unsigned count,
                     unsigned n);

/* ---- emit/scalable.c: vectors of the machine's own length ---- */
/* Opens a loop over n elements; each turn has k->count of them. */
void scalable_open(struct kernel_cg *k, int64_t n);
/* A row whose lanes lie `step` bytes apart or, when there are any, `offsets`
 * from `base`. */
LLVMValueRef scalable_load(struct kernel_cg *k, LLVMTypeRef elem,
                           LLVMValueRef base, int64_t step,
                           LLVMValueRef offsets);
void scalable_store(struct kernel_cg *k, LLVMValueRef v, LLVMValueRef base,
                    int64_t step);
LLVMValueRef scalable_fma(struct kernel_cg *k, LLVMValueRef a, LLVMValueRef b,
                          LLVMValueRef c);
/* Lane numbers times `step`. */
LLVMValueRef scalable_numbers(struct kernel_cg *k, int64_t step);

#endif
