/* sizes_join.h - what the parts of a join share: sizes.c goes through the ops,
 * sizes_const.c fits numbers, types and constants, sizes_reshape.c has reshapes
 * that are no views. */
#ifndef PASSES_SIZES_JOIN_H
#define PASSES_SIZES_JOIN_H

#include "passes/sizes.h"

struct joined { /* constants of lanes */
  struct ir_value **c, *known;
  int n;
};
/* The ops at hand, by lane, and those whose regions they are in. */
struct join_ops {
  struct ir_op **op;
  struct join_ops *around;
};
struct join {
  struct dn_ctx *ctx;
  struct sizes *s;
  struct dn_arena *scratch;
  struct join_ops *ops;
  struct ir_op *first; /* at the bounds: ops that are new come before it */
  DN_LIST(const struct ir_size *) sizes; /* of types */
  struct dn_map joined; /* constants at the bounds, to struct joined */
  struct ir_value **value[SIZES_MAX_LANES]; /* at the bounds, by a lane's id */
  int64_t number[SIZES_MAX_LANES];          /* one a lane, to fit */
  int n; /* lanes that have had the same ops so far: the others lie behind */
};

/* The values of the parameters in lane k. */
struct ir_point sizes_point(const struct join *j, int k);
/* Whether `type` is each lane's type at its point. */
bool sizes_type_fits(const struct join *j, const struct ir_type *type,
                     const struct ir_type *const *lane);
/* The type of the lanes' types, each dimension by its own numbers; NULL. */
const struct ir_type *sizes_fit_type(struct join *j,
                                     const struct ir_type *const *lane);
/* Sizes of a type, that others may be: products, and sums with a number. */
void sizes_note(struct join *j, const struct ir_type *type);
/* What stands for constants c[] of the lanes; NULL: nothing can. Ops that it
 * needs come first in the module. */
struct ir_value *sizes_join_const(struct join *j, struct ir_value *const *c);

/* Where the reshape at the bounds is no view for sizes, picks by position come
 * in its place, and op[0] is the last of them. */
void sizes_reshape(struct join *j, struct ir_op **op);

/* Results of a size that values decide become as large as the bound. */
void sizes_widen_results(struct ir_module *m);

#endif
