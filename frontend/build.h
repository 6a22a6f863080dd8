/* build.h - what importers build graphs with, whatever the format: ops by their
 * operands, with attributes worked out, and diagnostics at a place.
 *
 * NULL values pass through the functions silently, so that an importer may
 * check once, at the end of a chain. Ops on small constants are evaluated as
 * they are emitted: shapes and axes that a model computes from known shapes are
 * constants when an operator needs them. An op that changes nothing (a cast to
 * the same type, a transpose that moves nothing) is its operand. */
#ifndef FE_BUILD_H
#define FE_BUILD_H

#include "frontend/fe.h"

struct decomposition; /* decompose.h */
enum {
  FE_NUM_DECOMPOSITIONS = 0
#define DECOMPOSE(ID, name, operands, attrs, text) +1
#include "frontend/decompose.def"
#undef DECOMPOSE
};

struct fe_build {
  struct dn_ctx *ctx;
  struct ir_builder at;
  struct dn_loc loc; /* of diagnostics */
  const char *name;  /* of constants; NULL: a fresh one */
  bool keeps;        /* ops on constants stay ops */
  struct {           /* scalar constants made lately */
    enum ir_dtype dtype;
    double number;
    struct ir_value *value;
  } scalar[32];
  unsigned nscalars;
  /* Rows of decompose.def, each read when it is first needed. */
  const struct decomposition *decompositions[FE_NUM_DECOMPOSITIONS];
  struct {            /* functions that attributes gave lately */
    const char *text; /* interned */
    const struct decomposition *row;
  } functions[8];
  unsigned nfunctions;
  struct ir_choices *choices; /* see ir/size.h; or NULL */
};

/* An error at the place; false, or NULL, for `return`. */
void *fe_null(const struct fe_build *b, enum dn_code code, const char *fmt, ...)
    DN_PRINTF(3, 4);
static inline bool fe_false(const void *null) { return null; }
#define fe_fail(...) fe_false(fe_null(__VA_ARGS__))
/* A choice between forms that may depend on sizes: `now`, or what the import
 * before chose for an op `code` of this value. */
bool fe_choose(struct fe_build *b, int code, bool now);
/* A text from the model, made printable. */
const char *fe_text(struct dn_ctx *ctx, const char *text);

/* axis + rank when negative; out of [0, rank) is an error. */
bool fe_axis(const struct fe_build *b, int64_t axis, int64_t rank,
             int64_t *out);

struct ir_value *fe_emit(struct fe_build *b, enum ir_opcode code,
                         struct ir_value *const *args, size_t nargs,
                         const struct ir_attr *attrs, size_t nattrs);
/* The constant that a new op on constants gives, in its place, or `v` itself:
 * some operand is no constant, or there are more than `limit` bytes. */
struct ir_value *fe_fold(struct fe_build *b, struct ir_value *v, int64_t limit);

static inline struct ir_value *fe_op1(struct fe_build *b, enum ir_opcode code,
                                      struct ir_value *x) {
  return fe_emit(b, code, IR_ARGS(x), NULL, 0);
}
static inline struct ir_value *fe_op2(struct fe_build *b, enum ir_opcode code,
                                      struct ir_value *x, struct ir_value *y) {
  return fe_emit(b, code, IR_ARGS(x, y), NULL, 0);
}
#define FE_BINARY(name, ID)                                                    \
  static inline struct ir_value *fe_##name(                                    \
      struct fe_build *b, struct ir_value *x, struct ir_value *y) {            \
    return fe_op2(b, IR_##ID, x, y);                                           \
  }
FE_BINARY(add, ADD)
FE_BINARY(sub, SUB)
FE_BINARY(mul, MUL)
FE_BINARY(div, DIV)
#undef FE_BINARY

/* ---- Constants ---- */
struct ir_value *fe_scalar(struct fe_build *b, enum ir_dtype dtype,
                           double number);
/* A scalar of the type of `like`. */
struct ir_value *fe_number(struct fe_build *b, const struct ir_value *like,
                           double number);
struct ir_value *fe_ints(struct fe_build *b, enum ir_dtype dtype, int rank,
                         const int64_t *dims, const int64_t *v);
struct ir_value *fe_floats(struct fe_build *b, enum ir_dtype dtype, int rank,
                           const int64_t *dims, const double *v);
/* op(x, number), left out when it changes nothing. */
struct ir_value *fe_scale(struct fe_build *b, struct ir_value *x, double by);
struct ir_value *fe_offset(struct fe_build *b, struct ir_value *x, double by);

/* ---- Ops with attributes ---- */
struct ir_value *fe_cast(struct fe_build *b, struct ir_value *x,
                         enum ir_dtype to);
struct ir_value *fe_select(struct fe_build *b, struct ir_value *cond,
                           struct ir_value *x, struct ir_value *y);
struct ir_value *fe_reshape(struct fe_build *b, struct ir_value *x,
                            int64_t rank, const int64_t *dims);
struct ir_value *fe_transpose(struct fe_build *b, struct ir_value *x,
                              const int64_t *perm);
struct ir_value *fe_expand(struct fe_build *b, struct ir_value *x, int64_t rank,
                           const int64_t *dims);
struct ir_value *fe_concat(struct fe_build *b, struct ir_value *const *v,
                           size_t n, int64_t axis);
struct ir_value *fe_slice(struct fe_build *b, struct ir_value *x,
                          const int64_t *starts, const int64_t *sizes,
                          const int64_t *steps);
/* Elements start + i * step, i < size, along one axis. */
struct ir_value *fe_slice1(struct fe_build *b, struct ir_value *x, int64_t axis,
                           int64_t start, int64_t size, int64_t step);
struct ir_value *fe_gather(struct fe_build *b, struct ir_value *x,
                           struct ir_value *idx, int64_t axis);
/* x with the rows `u` put, or folded in by `code`, at rows at[i] of its matrix
 * [rows, row]. */
struct ir_value *fe_scatter_rows(struct fe_build *b, enum ir_opcode code,
                                 struct ir_value *x, struct ir_value *at,
                                 struct ir_value *u, int64_t row);
/* `steps` NULL: 1. */
struct ir_value *fe_pad(struct fe_build *b, struct ir_value *x,
                        const int64_t *pads, const int64_t *steps,
                        double value);
struct ir_value *fe_iota(struct fe_build *b, int64_t rank, int64_t axis,
                         int64_t size, enum ir_dtype dtype);
/* `rank` dims of 1, but `n` at `axis`. */
const int64_t *fe_along(struct fe_build *b, int64_t rank, int64_t axis,
                        int64_t n);
/* x with a dim of size 1 put in at `axis`. */
struct ir_value *fe_insert(struct fe_build *b, struct ir_value *x,
                           int64_t axis);
/* Reduction over the marked axes, which stay with size 1. */
struct ir_value *fe_reduce(struct fe_build *b, enum ir_opcode code,
                           struct ir_value *x, const bool *axes);
struct ir_value *fe_mean(struct fe_build *b, struct ir_value *x,
                         const bool *axes);
/* Drops the marked dims, each of size 1. */
struct ir_value *fe_squeeze(struct fe_build *b, struct ir_value *x,
                            const bool *axes);
/* Dims of size 1 added: `front` of them first, `behind` of them at the end. */
struct ir_value *fe_unsqueeze(struct fe_build *b, struct ir_value *x,
                              int64_t front, int64_t behind);
/* x repeated reps[d] times along each dimension d. */
struct ir_value *fe_tile(struct fe_build *b, struct ir_value *x,
                         const int64_t *reps);
/* With numpy's rules for vectors. */
struct ir_value *fe_matmul(struct fe_build *b, struct ir_value *x,
                           struct ir_value *y);
/* NCHW <-> NHWC, for any number of spatial dims. */
struct ir_value *fe_channels_last(struct fe_build *b, struct ir_value *x);
struct ir_value *fe_channels_first(struct fe_build *b, struct ir_value *x);

static inline const int64_t *fe_dims(const struct ir_value *v) {
  return v->type->dim;
}
static inline int fe_rank(const struct ir_value *v) { return v->type->rank; }
static inline enum ir_dtype fe_dtype(const struct ir_value *v) {
  return v->type->dtype;
}

#endif
