/* size.h - sizes that are known at run time only. A dimension of a type has a
 * bound, dim[d], and may have such a size, size[d], which is never larger:
 *
 *   floor((c + sum coef * parameter [* parameter]) / div)
 *
 * Parameters are what a caller passes: `--dim N<=512` makes one, of 1 to 512,
 * of more than 1 where the model is another below (passes/sizes.c), of 0 where
 * it counts rows of state (passes/state.c).
 * Memory is laid out for the bounds: strides and places are numbers. Sizes say
 * how far loops go. They are interned: equal sizes are equal pointers.
 *
 * In the region of a scan, the number of its turn is a parameter too: `$0` that
 * of the outermost loop, `$1` that of one within it. Elements beyond such a
 * size do not change a result, whether they are computed or not. */
#ifndef IR_SIZE_H
#define IR_SIZE_H

#include "ir/type.h"

enum { IR_MAX_SIZES = 8, IR_SIZE_TERMS = 6 };

struct ir_param { /* interned */
  const char *name;
  int64_t bound, least; /* least >= 0 */
};
struct ir_term {
  int64_t coef;
  const struct ir_param *by, *and; /* and: NULL: one factor */
};
struct ir_size {
  int64_t c, div; /* div >= 1 */
  int n;
  struct ir_term term[IR_SIZE_TERMS]; /* by name, no zero coefficients */
};

/* Decisions of importers and passes at the first size of a model, in order:
 * whether an op on constants is folded, whether a scan becomes one step. With
 * `again` they are taken over at the other sizes, where the model may have
 * fewer ops or more. */
struct ir_choice {
  const char *name;
  int code;
  bool chosen;
};
struct ir_choices {
  DN_LIST(struct ir_choice) made;
  bool again;
  size_t k;
};
/* The earlier choice, or `now` if there was none; c may be NULL. */
bool ir_choose(struct dn_ctx *ctx, struct ir_choices *c, const char *name,
               int code, bool now);

struct ir_func;
struct ir_module;
struct ir_op;
struct ir_value;

/* Values of parameters. */
struct ir_point {
  int n;
  const struct ir_param *param[IR_MAX_SIZES];
  int64_t value[IR_MAX_SIZES];
};

const struct ir_param *ir_param(struct dn_ctx *ctx, const char *name,
                                int64_t least, int64_t bound);
/* The number of the turn of a loop with `depth` loops around it. */
const struct ir_param *ir_param_of_turn(struct dn_ctx *ctx, int depth,
                                        int64_t turns);
/* How many loops are around the one whose turns it numbers; -1: none. */
int ir_param_depth(const struct ir_param *p);
const struct ir_size *ir_size_param(struct dn_ctx *ctx,
                                    const struct ir_param *p);
/* NULL: no such form has so many terms. A number is a size without terms. */
const struct ir_size *ir_size_make(struct dn_ctx *ctx, const struct ir_size *s);
/* s * by; NULL when that is no size, or s is none. */
const struct ir_size *ir_size_times(struct dn_ctx *ctx, const struct ir_size *s,
                                    int64_t by);
/* The size at a point that has all its parameters; -1: below 0, or too
 * large. */
int64_t ir_size_at(const struct ir_size *s, const struct ir_point *at);
/* Its mean over the turns that it names, at the bounds of other parameters,
 * where it is `most`. */
int64_t ir_size_mean(const struct ir_size *s, int64_t most);
/* What divides all its values. */
int64_t ir_size_step(const struct ir_size *s);
/* No coefficient is below 0: the size is largest at the bounds. */
bool ir_size_rises(const struct ir_size *s);
/* Its text, and back; `find` gives the parameters that it names, NULL: none. */
void ir_size_put(struct dn_buf *out, const struct ir_size *s);
const struct ir_size *
ir_size_read(struct dn_ctx *ctx, const char *text,
             const struct ir_param *(*find)(void *user, const char *name),
             void *user);

/* The type with these sizes, one a dimension, NULL where the bound is the
 * size. */
const struct ir_type *ir_type_sized(struct dn_ctx *ctx,
                                    const struct ir_type *type,
                                    const struct ir_size *const *sizes);
/* What it is at a point, without sizes; NULL where a size is below 0. */
const struct ir_type *ir_type_at(struct dn_ctx *ctx, const struct ir_type *type,
                                 const struct ir_point *at);
bool ir_type_is_sized(const struct ir_type *type);
/* A dimension outside of one with a size is larger than 1: the strides of a
 * dense tensor are known at run time only. */
bool ir_type_is_spread(const struct ir_type *type);
/* Adds a parameter, at its bound; false: there are more than IR_MAX_SIZES. */
bool ir_point_with(struct ir_point *p, const struct ir_param *param);
/* Adds the parameters of a type; false: there are more than IR_MAX_SIZES. */
bool ir_point_add(struct ir_point *p, const struct ir_type *type);

/* Sizes of a reshape's result, of which `to` has the bounds: the dimension with
 * a size is the outermost of those that become others. NULL: it is not. */
const struct ir_type *ir_size_reshape(struct dn_ctx *ctx,
                                      const struct ir_type *from,
                                      const struct ir_type *to);
/* The op makes the parameter: one that no caller passes (set_size). */
bool ir_makes_param(const struct ir_op *op, const struct ir_param *p);
/* The parameters of a function but the numbers of turns, in the order of its
 * own parameters' types and then of others, those that are made last, each with
 * the least value at which all types are sound. */
struct ir_sizes {
  struct ir_point most;
  int passed; /* by the caller: the first of them */
  int64_t least[IR_MAX_SIZES];
};
bool ir_sizes_of(const struct ir_func *f, struct ir_sizes *out);
/* Loops that are nested and whose turns' numbers are in sizes. */
int ir_turns_named(const struct ir_func *f);

#endif
