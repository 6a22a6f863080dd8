/* quantize.h - what the files of the pass share: values that are known in
 * integers. */
#ifndef PASS_QUANTIZE_H
#define PASS_QUANTIZE_H

#include "passes/edit.h"

/* value = clamp((q + bias - zero) * scale / count, lo, hi). What is NULL is
 * left out. `scale`, `zero` and `count` are floats; they, and the i32 `bias` of
 * an i32 q, are one number or broadcast with q. */
struct coded {
  struct ir_value *q; /* NULL: not known */
  struct ir_value *zero, *bias, *scale, *count;
  double lo, hi;
};

struct quantize {
  struct pass_env *env;
  struct ir_module *m;
  struct ir_builder b;         /* before the op at hand */
  DN_LIST(struct coded) coded; /* by value id */
  int16_t *pairs;              /* results of the pairs of two 8-bit numbers */
};

/* q is NULL where nothing is known. */
struct coded coded_of(const struct quantize *p, const struct ir_value *v);
/* Of 8 bits, and without a sum's parts or bounds: what a tensor of the model
 * is.
 */
bool coded_is_tensor(const struct coded *c);

/* Ops on small constants are constants; NULL operands give NULL. */
struct ir_value *quant_emit(struct quantize *p, enum ir_opcode code,
                            struct ir_value *const *args, size_t nargs,
                            const struct ir_attr *attrs, size_t nattrs);
/* The constant that an op on constants gives. */
struct ir_value *quant_constant(struct quantize *p, enum ir_opcode code,
                                struct ir_value *const *args, size_t nargs,
                                const struct ir_attr *attrs, size_t nattrs);
struct ir_value *quant_op2(struct quantize *p, enum ir_opcode code,
                           struct ir_value *x, struct ir_value *y);
struct ir_value *quant_cast(struct quantize *p, struct ir_value *x,
                            enum ir_dtype to);
struct ir_value *quant_number(struct quantize *p, enum ir_dtype t, double v);
/* x, or a number in its place. */
struct ir_value *quant_or(struct quantize *p, struct ir_value *x, double v);
/* The number that a constant, or NULL for `none`, holds throughout. */
bool quant_uniform(const struct ir_value *v, double none, double *out);
/* The 8-bit type that the target's sums of products take for activations in
 * place of `t`; `t` itself for other types, and where it does not matter. */
enum ir_dtype quant_sign(const struct quantize *p, enum ir_dtype t);
/* u8 as i8, less 128, or i8 as u8, with 128 more; the change of the zero point.
 */
struct ir_value *quant_flip(struct quantize *p, struct ir_value *q);
double quant_shift(enum ir_dtype from, enum ir_dtype to);
/* q + bias */
struct ir_value *quant_sum(struct quantize *p, const struct coded *c);

/* quantize_dot.c: what takes the place of a contraction of coded operands, and
 * how it is known; NULL: stays as it is. */
struct ir_value *quant_dot(struct quantize *p, struct ir_op *op,
                           struct coded *out);
/* quantize_integer.c: narrow(v, zero) to `type` in integers; NULL: v is no i32
 * sum times a constant, nor a sum of two 8-bit tensors, or, unless --requant
 * says how, not on this target or not for all sums. */
struct ir_value *quant_integer(struct quantize *p, const struct ir_value *v,
                               const struct ir_value *zero, enum ir_dtype type);
/* quantize_narrow.c: what takes the place of a `narrow`. */
struct ir_value *quant_narrow(struct quantize *p, struct ir_op *op);

#endif
