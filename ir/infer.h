/* infer.h - private to infer*.c: what the rules of result types share. What
 * fails has reported why. */
#ifndef IR_INFER_H
#define IR_INFER_H

#include "ir/ir.h"

#define INFER_BIG (INT64_C(1) << 40)

struct infer {
  struct dn_ctx *ctx;
  const struct ir_op *op;
  const struct ir_point *at; /* operands are taken there; NULL: as they are */
  bool sized;                /* the rule gives sizes: do not ask at points */
};

/* The rules, one or more rows of ops.def each. */
typedef const struct ir_type *infer_fn(struct infer *in);
#define OP(ID, text, cls, operands, attrs, traits, infer, body, summary)       \
  infer_fn infer_##infer;
#include "ir/ops.def"
#undef OP

const struct ir_type *infer_arg(const struct infer *in, unsigned i);
/* Reports it, with the operands' types; returns NULL. */
const struct ir_type *infer_fail(const struct infer *in, enum dn_code code,
                                 const char *message);
/* The type, if it is within limits. */
const struct ir_type *infer_made(const struct infer *in, enum ir_dtype dtype,
                                 int64_t rank, const int64_t *dims);
/* A list attribute of `len` elements (or absent, when it has a default), each
 * in [lo, hi]. */
bool infer_list_ok(const struct infer *in, const char *name, int64_t len,
                   int64_t lo, int64_t hi);
bool infer_axis_ok(const struct infer *in, int64_t axis, int64_t rank);
/* Dimensions [from, to) of `t` are known. */
bool infer_fixed(const struct infer *in, const struct ir_type *t, int from,
                 int to);
/* The attribute `to`. */
bool infer_dtype(const struct infer *in, enum ir_dtype *out);
/* The attribute `shape`. */
const struct ir_type *infer_shape(struct infer *in, enum ir_dtype dtype);
/* Both of dimension i's, of `pads` of n dimensions. */
int64_t infer_pads(const struct infer *in, int n, int i);

#endif
