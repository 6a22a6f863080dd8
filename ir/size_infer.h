/* size_infer.h - types with sizes, from types at points. */
#ifndef IR_SIZE_INFER_H
#define IR_SIZE_INFER_H

#include "ir/size.h"

/* The type at a point; NULL: there is none. */
typedef const struct ir_type *size_types(void *user, const struct ir_point *at);
/* `bounds` with sizes that are those of `types` at every point, in the
 * parameters of `known`; NULL: they have no form that size.h has. */
const struct ir_type *ir_size_fit(struct dn_ctx *ctx,
                                  const struct ir_type *bounds,
                                  const struct ir_type *const *known,
                                  unsigned n, size_types *types, void *user);
/* A number at `at` plus by[]. false: it is not known there. */
typedef bool ir_size_values(void *user, const struct ir_point *at,
                            const int64_t *by, int64_t *out);
/* c + sum a_i p_i + sum a_ij p_i p_j through the values at steps from `at`,
 * along each parameter and each two; NULL: there are too many terms. */
const struct ir_size *ir_size_sum(struct dn_ctx *ctx, const struct ir_point *at,
                                  const int64_t *step, ir_size_values *values,
                                  void *user);

#endif
