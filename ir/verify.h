/* verify.h - shared by the files of the verifier: verify.c (blocks, types,
 * regions), verify_kernel.c (kernels and what is outside them), verify_plan.c
 * (places), verify_place.c (what one op says of them), verify_overlap.c
 * (results over operands), verify_shared.c (turns at once), verify_sizes.c
 * (sizes that ops make). */
#ifndef IR_VERIFY_H
#define IR_VERIFY_H

#include "ir/ir.h"

struct ir_place;

enum verify_rule {
#define RULE(ID, name, text) VERIFY_##ID,
#include "ir/verify.def"
#undef RULE
};

struct verifier {
  struct dn_ctx *ctx;
  struct ir_module *m;
  struct dn_arena *scratch;
  struct ir_value **consts;       /* sorted: see find_const() */
  DN_LIST(uint64_t) combinations; /* see check_scalars() */
  bool *defined;                  /* by value id: visible where the walk is */
  unsigned errors;
};

void verify_fail(struct verifier *v, struct dn_loc loc, enum verify_rule rule,
                 const char *fmt, ...) DN_PRINTF(4, 5);
#define verify_op(v, op, rule, ...)                                            \
  verify_fail(v, ir_loc(op), VERIFY_##rule, __VA_ARGS__)
const char *verify_type_text(struct verifier *v, const struct ir_type *type);
/* Of a module without errors so far: sizes that ops make. */
void verify_sizes(struct verifier *v, const struct ir_func *f);
/* Numbers of turns in the type of `x`. */
void verify_turns(struct verifier *v, const struct ir_value *x);
/* Of a module without errors so far; from the kernels form on. */
void verify_kernels(struct verifier *v, const struct ir_func *f);
/* True if the kernel reads each element of `x` before it overwrites it. */
bool verify_overlap(struct verifier *v, const struct ir_op *kernel,
                    const struct ir_value *x);
/* `y` overwrites a slice of `x`: only the scan around `y` reads `x`, and ops
 * other than the kernel of `y` read other bytes of the slice. */
bool verify_over_slice(const struct ir_value *x, const struct ir_value *y);
/* Both lie in one slice of the scan around them, which share no bytes. */
bool verify_apart_in_slice(const struct ir_value *x, const struct ir_value *y);
/* Whether the op itself says where its result lies. */
bool verify_has_place(const struct ir_op *op);
/* An op's attributes that say places; the rest relies on them. */
void verify_place_attrs(struct verifier *v, const struct ir_op *op);
/* No two elements of what is written share an address. */
bool verify_steps_over(const struct ir_type *type, const struct ir_place *at);
/* Of a planned module without errors so far. */
void verify_plan(struct verifier *v, const struct ir_func *f);
/* And one whose values have places that hold for turns one after another. */
void verify_shared(struct verifier *v, const struct ir_func *f);

#endif
