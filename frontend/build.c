/* build.c - see build.h. */
#include "frontend/build.h"

#include <string.h>

#include "ir/eval.h"

/* Results up to this many bytes are evaluated at import: shape arithmetic,
 * parameters of a normalization. Weights are left to the pass `fold`. */
#define FOLD_BYTES (64 << 10)

void *fe_null(const struct fe_build *b, enum dn_code code, const char *fmt,
              ...) {
  va_list ap;
  va_start(ap, fmt);
  dn_error(b->ctx, b->loc, code, "%s", dn_vprintf(b->ctx->arena, fmt, ap));
  va_end(ap);
  return NULL;
}

const char *fe_text(struct dn_ctx *ctx, const char *text) {
  return dn_escaped(ctx->arena, text);
}

bool fe_axis(const struct fe_build *b, int64_t axis, int64_t rank,
             int64_t *out) {
  if (axis < -rank || axis >= rank)
    return fe_fail(b, DN_ATTR, "axis %lld is outside [%lld, %lld]",
                   (long long)axis, (long long)-rank, (long long)rank - 1);
  *out = axis < 0 ? axis + rank : axis;
  return true;
}

/* ---- Ops ---- */

/* Data that were computed: one element when all are the same. */
static struct ir_data computed_data(struct dn_arena *arena,
                                    const struct ir_type *type,
                                    const void *bytes) {
  struct ir_data data = {.size = ir_type_bytes(type)};
  size_t size = (size_t)data.size, width = ir_dtypes[type->dtype].bytes;
  if (size >= width &&
      !memcmp(bytes, (const char *)bytes + width, size - width)) {
    data.size = 0;
    memcpy(&data.splat, bytes, width);
  } else {
    data.bytes = dn_copy(arena, bytes, size);
  }
  return data;
}

bool fe_choose(struct fe_build *b, int code, bool now) {
  return ir_choose(b->ctx, b->choices, b->name, code, now);
}

struct ir_value *fe_fold(struct fe_build *b, struct ir_value *v,
                         int64_t limit) {
  struct ir_op *op = v->def;
  bool fits = ir_type_bytes(v->type) <= limit;
  for (unsigned i = 0; i < op->noperands; i++) {
    if (!ir_arg(op, i)->data)
      return v;
    fits &= ir_type_bytes(ir_arg(op, i)->type) <= 16 * limit;
  }
  if (!fe_choose(b, (int)op->code, fits))
    return v;
  struct ir_module *m = b->at.m;
  struct dn_arena *scratch = dn_arena_new(b->ctx);
  void *bytes = ir_eval_op(scratch, op);
  if (bytes) {
    const struct ir_type *type = v->type;
    struct ir_data data = computed_data(m->arena, type, bytes);
    const char *name = op->noperands == 1 ? ir_arg(op, 0)->name : b->name;
    ir_op_remove(op);
    v = ir_const_new(m, name, type, &data);
  }
  dn_arena_free(scratch);
  return v;
}

/* Whether the list `name`, absent or not, is v, v + step, .. */
static bool is_run(const struct ir_attr *attrs, size_t n, const char *name,
                   int64_t v, int64_t step) {
  for (size_t k = 0; k < n; k++)
    for (int64_t i = 0; !strcmp(attrs[k].name, name) && i < attrs[k].n; i++)
      if (attrs[k].is[i] != v + i * step)
        return false;
  return true;
}

/* Whether the list `name` is the dims of x. */
static bool is_shape(const struct ir_attr *attrs, size_t n, const char *name,
                     const struct ir_value *x) {
  size_t k = 0;
  while (k < n && strcmp(attrs[k].name, name))
    k++;
  return k < n && attrs[k].n == fe_rank(x) &&
         (!fe_rank(x) || !memcmp(attrs[k].is, fe_dims(x),
                                 (size_t)attrs[k].n * sizeof *attrs[k].is));
}

/* An op that gives its operand x. */
static bool is_identity(enum ir_opcode code, const struct ir_value *x,
                        const struct ir_attr *attrs, size_t n) {
  switch ((int)code) {
  case IR_CAST:
    return !strcmp(attrs[0].s, ir_dtypes[fe_dtype(x)].text);
  case IR_RESHAPE:
  case IR_EXPAND:
    return is_shape(attrs, n, "shape", x);
  case IR_TRANSPOSE:
    return attrs[0].n == fe_rank(x) && is_run(attrs, n, "perm", 0, 1);
  case IR_SLICE:
    return is_run(attrs, n, "starts", 0, 0) &&
           is_run(attrs, n, "steps", 1, 0) && is_shape(attrs, n, "sizes", x);
  case IR_PAD:
    return is_run(attrs, n, "pads", 0, 0) && is_run(attrs, n, "steps", 1, 0);
  case IR_REDUCE_SUM:
  case IR_REDUCE_PROD:
  case IR_REDUCE_MAX:
  case IR_REDUCE_MIN:
    return attrs[0].n == 0;
  }
  return false;
}

/* The bytes of a constant under another type; NULL: they do not fill it. */
static struct ir_value *retype(struct fe_build *b, const struct ir_value *x,
                               int64_t rank, const int64_t *dims) {
  int64_t count = 1;
  for (int64_t i = 0; i < rank; i++)
    if (dims[i] < 0 || !dn_mul(count, dims[i], &count))
      return NULL;
  if (count != ir_type_count(x->type) ||
      !ir_type_fits(b->ctx, x->type->dtype, rank, dims))
    return NULL;
  return ir_const_new(b->at.m, x->name,
                      ir_type(b->ctx, x->type->dtype, (int)rank, dims),
                      x->data);
}

struct ir_value *fe_emit(struct fe_build *b, enum ir_opcode code,
                         struct ir_value *const *args, size_t nargs,
                         const struct ir_attr *attrs, size_t nattrs) {
  if (nargs && args[0] && nattrs && is_identity(code, args[0], attrs, nattrs))
    return args[0];
  if (code == IR_RESHAPE && args[0] && args[0]->data) {
    struct ir_value *v = retype(b, args[0], attrs[0].n, attrs[0].is);
    if (v)
      return v;
  }
  struct ir_value *v = ir_emit(&b->at, code, args, nargs, attrs, nattrs);
  return v && !b->keeps ? fe_fold(b, v, FOLD_BYTES) : v;
}

/* ---- Constants ---- */

struct ir_value *fe_scalar(struct fe_build *b, enum ir_dtype dtype,
                           double number) {
  size_t cap = DN_COUNT(b->scalar);
  for (size_t i = 0; i < cap && i < b->nscalars; i++)
    if (b->scalar[i].dtype == dtype &&
        !memcmp(&b->scalar[i].number, &number, sizeof number))
      return b->scalar[i].value;
  struct ir_value *v =
      ir_const_splat(b->at.m, NULL, ir_type(b->ctx, dtype, 0, NULL), number);
  size_t at = b->nscalars++ % cap;
  b->scalar[at].dtype = dtype;
  b->scalar[at].number = number;
  b->scalar[at].value = v;
  return v;
}

struct ir_value *fe_number(struct fe_build *b, const struct ir_value *like,
                           double number) {
  return like ? fe_scalar(b, like->type->dtype, number) : NULL;
}

struct ir_value *fe_ints(struct fe_build *b, enum ir_dtype dtype, int rank,
                         const int64_t *dims, const int64_t *v) {
  return ir_const_ints(b->at.m, b->name, dtype, rank, dims, v);
}

struct ir_value *fe_floats(struct fe_build *b, enum ir_dtype dtype, int rank,
                           const int64_t *dims, const double *v) {
  return ir_const_floats(b->at.m, b->name, dtype, rank, dims, v);
}

struct ir_value *fe_scale(struct fe_build *b, struct ir_value *x, double by) {
  return by == 1 ? x : fe_mul(b, x, fe_number(b, x, by));
}

struct ir_value *fe_offset(struct fe_build *b, struct ir_value *x, double by) {
  return by == 0 ? x : fe_add(b, x, fe_number(b, x, by));
}

/* ---- Ops with attributes ---- */

struct ir_value *fe_cast(struct fe_build *b, struct ir_value *x,
                         enum ir_dtype to) {
  return fe_emit(b, IR_CAST, IR_ARGS(x),
                 IR_ATTRS(ir_str("to", ir_dtypes[to].text)));
}

struct ir_value *fe_select(struct fe_build *b, struct ir_value *cond,
                           struct ir_value *x, struct ir_value *y) {
  return fe_emit(b, IR_SELECT, IR_ARGS(cond, x, y), NULL, 0);
}

struct ir_value *fe_reshape(struct fe_build *b, struct ir_value *x,
                            int64_t rank, const int64_t *dims) {
  return fe_emit(b, IR_RESHAPE, IR_ARGS(x),
                 IR_ATTRS(ir_ints("shape", dims, rank)));
}

struct ir_value *fe_transpose(struct fe_build *b, struct ir_value *x,
                              const int64_t *perm) {
  return x ? fe_emit(b, IR_TRANSPOSE, IR_ARGS(x),
                     IR_ATTRS(ir_ints("perm", perm, fe_rank(x))))
           : NULL;
}

struct ir_value *fe_expand(struct fe_build *b, struct ir_value *x, int64_t rank,
                           const int64_t *dims) {
  return fe_emit(b, IR_EXPAND, IR_ARGS(x),
                 IR_ATTRS(ir_ints("shape", dims, rank)));
}

struct ir_value *fe_concat(struct fe_build *b, struct ir_value *const *v,
                           size_t n, int64_t axis) {
  return n == 1 ? v[0]
                : fe_emit(b, IR_CONCAT, v, n, IR_ATTRS(ir_int("axis", axis)));
}

struct ir_value *fe_slice(struct fe_build *b, struct ir_value *x,
                          const int64_t *starts, const int64_t *sizes,
                          const int64_t *steps) {
  int r = x ? fe_rank(x) : 0;
  return fe_emit(b, IR_SLICE, IR_ARGS(x),
                 IR_ATTRS(ir_ints("starts", starts, r),
                          ir_ints("sizes", sizes, r),
                          ir_ints("steps", steps, r)));
}

struct ir_value *fe_slice1(struct fe_build *b, struct ir_value *x, int64_t axis,
                           int64_t start, int64_t size, int64_t step) {
  if (!x)
    return NULL;
  int64_t starts[IR_MAX_RANK] = {0}, sizes[IR_MAX_RANK], steps[IR_MAX_RANK];
  for (int i = 0; i < fe_rank(x); i++) {
    sizes[i] = fe_dims(x)[i];
    steps[i] = 1;
  }
  starts[axis] = start;
  sizes[axis] = size;
  steps[axis] = step;
  return fe_slice(b, x, starts, sizes, steps);
}

struct ir_value *fe_gather(struct fe_build *b, struct ir_value *x,
                           struct ir_value *idx, int64_t axis) {
  return fe_emit(b, IR_GATHER, IR_ARGS(x, idx), IR_ATTRS(ir_int("axis", axis)));
}

struct ir_value *fe_scatter_rows(struct fe_build *b, enum ir_opcode code,
                                 struct ir_value *x, struct ir_value *at,
                                 struct ir_value *u, int64_t row) {
  if (!x || !at || !u)
    return NULL;
  int64_t n = ir_type_count(at->type);
  if (!n || !ir_type_count(x->type))
    return x;
  const int64_t matrix[] = {ir_type_count(x->type) / row, row};
  const int64_t slices[] = {n, row};
  struct ir_value *y =
      fe_emit(b, code,
              IR_ARGS(fe_reshape(b, x, 2, matrix), fe_reshape(b, at, 1, &n),
                      fe_reshape(b, u, 2, slices)),
              NULL, 0);
  return fe_reshape(b, y, fe_rank(x), fe_dims(x));
}

struct ir_value *fe_pad(struct fe_build *b, struct ir_value *x,
                        const int64_t *pads, const int64_t *steps,
                        double value) {
  int r = x ? fe_rank(x) : 0;
  const struct ir_attr attrs[] = {ir_ints("pads", pads, 2 * r),
                                  steps ? ir_ints("steps", steps, r)
                                        : ir_float("value", value),
                                  ir_float("value", value)};
  return fe_emit(b, IR_PAD, IR_ARGS(x), attrs, steps ? 3 : 2);
}

const int64_t *fe_along(struct fe_build *b, int64_t rank, int64_t axis,
                        int64_t n) {
  int64_t *dims = DN_ARRAY(b->ctx->arena, int64_t, rank);
  for (int64_t i = 0; i < rank; i++)
    dims[i] = i == axis ? n : 1;
  return dims;
}

struct ir_value *fe_insert(struct fe_build *b, struct ir_value *x,
                           int64_t axis) {
  int64_t dims[IR_MAX_RANK + 1], n = 0;
  for (int i = 0; x && i <= fe_rank(x); i++)
    dims[i] = i == axis ? 1 : fe_dims(x)[n++];
  return fe_reshape(b, x, n + 1, dims);
}

struct ir_value *fe_iota(struct fe_build *b, int64_t rank, int64_t axis,
                         int64_t size, enum ir_dtype dtype) {
  const int64_t *dims = fe_along(b, rank, axis, size);
  return fe_emit(b, IR_IOTA, NULL, 0,
                 IR_ATTRS(ir_ints("shape", dims, rank), ir_int("axis", axis),
                          ir_str("to", ir_dtypes[dtype].text)));
}

struct ir_value *fe_squeeze(struct fe_build *b, struct ir_value *x,
                            const bool *axes) {
  int64_t dims[IR_MAX_RANK];
  int n = 0;
  for (int i = 0; x && i < fe_rank(x); i++)
    if (!axes[i])
      dims[n++] = fe_dims(x)[i];
  return fe_reshape(b, x, n, dims);
}

struct ir_value *fe_unsqueeze(struct fe_build *b, struct ir_value *x,
                              int64_t front, int64_t behind) {
  int64_t dims[IR_MAX_RANK * 3];
  int n = 0;
  for (int64_t i = 0; i < front && i < IR_MAX_RANK; i++)
    dims[n++] = 1;
  for (int i = 0; x && i < fe_rank(x); i++)
    dims[n++] = fe_dims(x)[i];
  for (int64_t i = 0; i < behind && i < IR_MAX_RANK; i++)
    dims[n++] = 1;
  return fe_reshape(b, x, n, dims);
}

struct ir_value *fe_reduce(struct fe_build *b, enum ir_opcode code,
                           struct ir_value *x, const bool *axes) {
  int64_t list[IR_MAX_RANK];
  int n = 0;
  for (int i = 0; x && i < fe_rank(x); i++)
    if (axes[i])
      list[n++] = i;
  return fe_emit(b, code, IR_ARGS(x), IR_ATTRS(ir_ints("axes", list, n)));
}

struct ir_value *fe_mean(struct fe_build *b, struct ir_value *x,
                         const bool *axes) {
  double n = 1;
  for (int i = 0; x && i < fe_rank(x); i++)
    if (axes[i])
      n *= (double)fe_dims(x)[i];
  struct ir_value *sum = fe_reduce(b, IR_REDUCE_SUM, x, axes);
  return n == 1 ? sum : fe_div(b, sum, fe_number(b, sum, n));
}

struct ir_value *fe_matmul(struct fe_build *b, struct ir_value *x,
                           struct ir_value *y) {
  if (!x || !y)
    return NULL;
  bool row = fe_rank(x) == 1, column = fe_rank(y) == 1;
  struct ir_value *z = fe_op2(b, IR_MATMUL, row ? fe_unsqueeze(b, x, 1, 0) : x,
                              column ? fe_unsqueeze(b, y, 0, 1) : y);
  if (!z || (!row && !column))
    return z;
  bool drop[IR_MAX_RANK] = {0};
  drop[fe_rank(z) - 2] = row;
  drop[fe_rank(z) - 1] = column;
  return fe_squeeze(b, z, drop);
}

/* [a, b] times [p, q]: a 1 before each repeated dim is expanded and merged, for
 * the axes [lo, hi); the dims around those are one each. */
static struct ir_value *tile_axes(struct fe_build *b, struct ir_value *x,
                                  const int64_t *reps, int lo, int hi) {
  int64_t split[2 * IR_MAX_RANK], full[2 * IR_MAX_RANK], dims[IR_MAX_RANK];
  int r = fe_rank(x), n = 0;
  bool around = false; /* the last dim of `full` is of axes not repeated here */
  for (int i = 0; i < r; i++) {
    int64_t d = fe_dims(x)[i], by = i < lo || i >= hi ? 1 : reps[i];
    dims[i] = d * by;
    if (by == 1 && around) {
      split[n - 1] *= d;
      full[n - 1] *= d;
      continue;
    }
    if (by != 1 && d != 1) {
      split[n] = 1;
      full[n++] = by;
    }
    split[n] = d;
    full[n++] = d == 1 ? by : d;
    around = by == 1;
  }
  x = fe_expand(b, fe_reshape(b, x, n, split), n, full);
  return fe_reshape(b, x, r, dims);
}

struct ir_value *fe_tile(struct fe_build *b, struct ir_value *x,
                         const int64_t *reps) {
  enum { AXES = IR_MAX_RANK / 2 - 1 }; /* and two dims around them */
  int r = x ? fe_rank(x) : 0, most = r <= AXES + 1 ? r : AXES;
  for (int i = 0; i < r; i++) {
    int64_t size;
    if (reps[i] < 0 || !dn_mul(fe_dims(x)[i], reps[i], &size))
      return fe_null(b, DN_SHAPE, "dimension %d is repeated %lld times", i,
                     (long long)reps[i]);
  }
  for (int hi = r; hi > 0 && x; hi -= most)
    x = tile_axes(b, x, reps, hi - most < 0 ? 0 : hi - most, hi);
  return x;
}

/* Dimension 1 at the end, or the last one at 1. */
static struct ir_value *move_channels(struct fe_build *b, struct ir_value *x,
                                      bool last) {
  int64_t perm[IR_MAX_RANK] = {0};
  int r = x ? fe_rank(x) : 0;
  for (int i = 1; i < r; i++)
    perm[i] = last ? (i < r - 1 ? i + 1 : 1) : (i > 1 ? i - 1 : r - 1);
  return fe_transpose(b, x, perm);
}

struct ir_value *fe_channels_last(struct fe_build *b, struct ir_value *x) {
  return move_channels(b, x, true);
}

struct ir_value *fe_channels_first(struct fe_build *b, struct ir_value *x) {
  return move_channels(b, x, false);
}
