/* onnx_op_index.c - operators that pick or place elements by index. ONNX lets
 * an index count from the end; IR indices do not. */
#include <string.h>

#include "frontend/onnx_ops.h"

/* Indices into [0, size): constants are checked and wrapped here, others by a
 * select. */
static struct ir_value *wrap_index(struct onnx_call *c, struct ir_value *idx,
                                   int64_t size) {
  if (!idx)
    return NULL;
  if (!ir_is_int(ox_dtype(idx))) {
    ox_fail(c, DN_TYPE, "indices must be integers");
    return NULL;
  }
  bool negative = !idx->data;
  int64_t n = idx->data ? ir_type_count(idx->type) : 0;
  if (idx->data && !idx->data->bytes)
    n = dn_min(n, 1);
  for (int64_t i = 0; i < n; i++) {
    int64_t k = ir_const_int(idx, i);
    negative = negative || k < 0;
    if (k < -size || k >= size) {
      ox_fail(c, DN_ATTR, "index %lld is outside [%lld, %lld]", (long long)k,
              (long long)-size, (long long)size - 1);
      return NULL;
    }
  }
  if (!negative || ir_dtypes[ox_dtype(idx)].kind == IR_UNSIGNED)
    return idx;
  struct ir_value *below = ox_op2(c, IR_LT, idx, ox_number(c, idx, 0));
  return ox_select(c, below, ox_offset(c, idx, (double)size), idx);
}

/* One constant index, or a run of them, is a slice: a view later. */
static struct ir_value *gather_run(struct onnx_call *c, struct ir_value *x,
                                   const struct ir_value *idx, int64_t axis) {
  int64_t n = ir_type_count(idx->type);
  if (!idx->data || ox_rank(idx) > 1 || n < 1 || n > 65536)
    return NULL;
  int64_t first = ir_const_int(idx, 0);
  for (int64_t i = 1; i < n; i++)
    if (ir_const_int(idx, i) != first + i)
      return NULL;
  struct ir_value *y = ox_slice1(c, x, axis, first, n, 1);
  bool drop[IR_MAX_RANK] = {0};
  drop[axis] = ox_rank(idx) == 0;
  return ox_squeeze(c, y, drop);
}

bool onnx_gather(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *idx = c->in[1];
  int64_t axis;
  if (!ox_axis(c, ox_int(c, "axis", 0), ox_rank(x), &axis))
    return false;
  idx = wrap_index(c, idx, ox_dims(x)[axis]);
  if (!idx)
    return false;
  struct ir_value *y = gather_run(c, x, idx, axis);
  return ox_return(c, y ? y : ox_gather(c, x, idx, axis));
}

/* ai.onnx.ml: columns. */
bool onnx_array_feature_extractor(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *idx = c->in[1];
  int64_t n = ir_type_count(idx->type), last = ox_rank(x) - 1;
  if (last < 0)
    return ox_fail(c, DN_TYPE, "the input must not be a scalar");
  if (!last)
    x = ox_unsqueeze(c, x, 1, 0);
  last = dn_max(last, 1);
  idx = wrap_index(c, ox_reshape(c, idx, 1, &n), x ? ox_dims(x)[last] : 0);
  return ox_return(c, ox_gather(c, x, idx, last));
}

bool onnx_gather_elements(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *idx = c->in[1];
  int64_t axis;
  if (!ox_axis(c, ox_int(c, "axis", 0), ox_rank(x), &axis))
    return false;
  idx = wrap_index(c, idx, ox_dims(x)[axis]);
  return ox_return(c, ox_emit(c, IR_GATHER_ELEMENTS, IR_ARGS(x, idx),
                              IR_ATTRS(ir_int("axis", axis))));
}

/* Sum over the last dim of idx, each entry times its stride in x: positions in
 * x with dims [batch, batch+depth) taken as one. */
static struct ir_value *flat_index(struct onnx_call *c,
                                   const struct ir_value *x,
                                   struct ir_value *idx, int64_t batch) {
  int r = ox_rank(idx);
  int64_t depth = ox_dims(idx)[r - 1], stride = 1;
  bool last[IR_MAX_RANK] = {0};
  last[r - 1] = true;
  struct ir_value *flat = NULL;
  for (int64_t k = depth; k-- > 0;) {
    int64_t size = ox_dims(x)[batch + k];
    struct ir_value *part = ox_slice1(c, idx, r - 1, k, 1, 1);
    part = ox_squeeze(c, wrap_index(c, part, size), last);
    part = ox_scale(c, ox_cast(c, part, IR_I64), (double)stride);
    flat = k == depth - 1 ? part : ox_op2(c, IR_ADD, flat, part);
    stride *= size;
  }
  return flat;
}

static bool nd_args(struct onnx_call *c, int64_t batch) {
  const struct ir_value *x = c->in[0], *idx = c->in[1];
  int r = ox_rank(idx);
  if (batch < 0 || r < 1 || batch >= r || batch >= ox_rank(x))
    return ox_fail(c, DN_ATTR, "batch_dims is %lld", (long long)batch);
  int64_t depth = ox_dims(idx)[r - 1];
  if (depth < 1 || depth > ox_rank(x) - batch)
    return ox_fail(c, DN_TYPE, "indices of %lld numbers for rank %d",
                   (long long)depth, ox_rank(x));
  for (int64_t i = 0; i < batch; i++)
    if (ox_dims(x)[i] != ox_dims(idx)[i])
      return ox_fail(c, DN_TYPE, "batch dimensions differ");
  return true;
}

bool onnx_gather_nd(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *idx = c->in[1];
  int64_t batch = ox_int(c, "batch_dims", 0);
  if (!nd_args(c, batch))
    return false;
  int r = ox_rank(idx), n = 0, m = 0;
  int64_t depth = ox_dims(idx)[r - 1], lead = 1, inner = 1;
  for (int64_t i = 0; i < batch; i++)
    lead *= ox_dims(x)[i];
  for (int64_t i = batch; i < batch + depth; i++)
    inner *= ox_dims(x)[i];
  struct ir_value *flat = flat_index(c, x, idx, batch);
  if (!flat)
    return false;
  /* Each batch entry picks from its own part of x. */
  int64_t stride = inner;
  for (int64_t i = batch; i-- > 0; stride *= ox_dims(x)[i]) {
    struct ir_value *b = ox_iota(c, ox_rank(flat), i, ox_dims(x)[i], IR_I64);
    flat = ox_op2(c, IR_ADD, flat, ox_scale(c, b, (double)stride));
  }
  int64_t dims[IR_MAX_RANK + 1], out[2 * IR_MAX_RANK];
  dims[n++] = lead * inner;
  for (int i = 0; i < r - 1; i++)
    out[m++] = ox_dims(idx)[i];
  for (int64_t i = batch + depth; i < ox_rank(x); i++)
    out[m++] = dims[n++] = ox_dims(x)[i];
  x = ox_reshape(c, x, n, dims);
  return ox_return(c, ox_reshape(c, ox_gather(c, x, flat, 0), m, out));
}

/* Entries along the axis (of all elements, without one) where a known condition
 * holds. */
bool onnx_compress(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  struct ox_ints keep;
  int64_t axis = 0, n = 0, count = ir_type_count(x->type);
  if (!ox_const_ints(c, 1, &keep))
    return false;
  if (!ox_attr(c, "axis"))
    x = ox_reshape(c, x, 1, &count);
  else if (!ox_axis(c, ox_int(c, "axis", 0), ox_rank(x), &axis))
    return false;
  if (!x || keep.n > ox_dims(x)[axis])
    return ox_fail(c, DN_TYPE, "the condition is longer than the input");
  int64_t *at = DN_ARRAY(c->im->ctx->arena, int64_t, keep.n);
  for (int64_t i = 0; i < keep.n; i++)
    if (keep.v[i])
      at[n++] = i;
  return ox_return(c, ox_gather(c, x, ox_vector(c, IR_I64, n, at), axis));
}

/* ---- Scatter ---- */

/* x with updates put, or folded by `reduction`, at rows at[i] of its matrix
 * [rows, row]. */
static struct ir_value *scatter(struct onnx_call *c, struct ir_value *x,
                                struct ir_value *updates, struct ir_value *at,
                                int64_t row) {
  static const struct {
    const char *name;
    enum ir_opcode code;
  } ways[] = {{"none", IR_SCATTER},
              {"add", IR_SCATTER_SUM},
              {"mul", IR_SCATTER_PROD},
              {"max", IR_SCATTER_MAX},
              {"min", IR_SCATTER_MIN}};
  const char *how = ox_str(c, "reduction", "none");
  size_t way = 0;
  if (!at)
    return NULL;
  while (way < 5 && strcmp(how, ways[way].name) != 0)
    way++;
  if (way == 5) {
    ox_fail(c, DN_ATTR, "unknown reduction '%s'", ox_text(c->im->ctx, how));
    return NULL;
  }
  int64_t n = ir_type_count(at->type);
  if (!n || !ir_type_count(x->type))
    return x;
  const int64_t matrix[] = {ir_type_count(x->type) / row, row};
  const int64_t slices[] = {n, row};
  struct ir_value *y =
      ox_emit(c, ways[way].code,
              IR_ARGS(ox_reshape(c, x, 2, matrix), ox_reshape(c, at, 1, &n),
                      ox_reshape(c, updates, 2, slices)),
              NULL, 0);
  return ox_reshape(c, y, ox_rank(x), ox_dims(x));
}

bool onnx_scatter_nd(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *idx = c->in[1], *u = c->in[2];
  if (!nd_args(c, 0))
    return false;
  if (ox_dtype(x) != ox_dtype(u))
    return ox_fail(c, DN_TYPE, "updates are of another type");
  int64_t depth = ox_dims(idx)[ox_rank(idx) - 1], row = 1;
  for (int64_t i = depth; i < ox_rank(x); i++)
    row *= ox_dims(x)[i];
  if (ir_type_count(idx->type) / depth * row != ir_type_count(u->type))
    return ox_fail(c, DN_TYPE, "updates do not fit the indices");
  return ox_return(c, scatter(c, x, u, flat_index(c, x, idx, 0), row));
}

/* Row-major positions in x, of rank r, of elements whose index along the axis
 * is given, and whose others are those of the given one itself. */
static struct ir_value *along_axis(struct onnx_call *c, const struct ir_type *x,
                                   struct ir_value *idx, int64_t axis) {
  int64_t strides[IR_MAX_RANK];
  if (!idx)
    return NULL;
  ir_type_strides(x, strides);
  struct ir_value *at =
      ox_scale(c, ox_cast(c, idx, IR_I64), (double)strides[axis]);
  for (int i = 0; i < x->rank && at; i++) {
    int64_t size = ox_dims(idx)[i];
    if (i == axis || size == 1)
      continue;
    if (size > x->dim[i]) {
      ox_fail(c, DN_TYPE, "indices are larger than the data");
      return NULL;
    }
    struct ir_value *k = ox_iota(c, x->rank, i, size, IR_I64);
    at = ox_op2(c, IR_ADD, at, ox_scale(c, k, (double)strides[i]));
  }
  return at;
}

bool onnx_scatter_elements(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *idx = c->in[1];
  int64_t axis;
  int r = ox_rank(x);
  if (!ox_axis(c, ox_int(c, "axis", 0), r, &axis))
    return false;
  if (ox_dtype(x) != ox_dtype(c->in[2]))
    return ox_fail(c, DN_TYPE, "updates are of another type");
  if (ox_rank(idx) != r || idx->type->rank != ox_rank(c->in[2]) ||
      memcmp(ox_dims(idx), ox_dims(c->in[2]), sizeof idx->type->dim) != 0)
    return ox_fail(c, DN_TYPE, "indices and updates differ in shape");
  struct ir_value *at = along_axis(
      c, x->type, wrap_index(c, idx, ox_dims(x)[axis]), axis);
  return ox_return(c, scatter(c, x, c->in[2], at, 1));
}

/* A cache, updates from an index of each batch entry on, along an axis. */
bool onnx_tensor_scatter(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *u = c->in[1], *from = NULL;
  int64_t axis, dims[IR_MAX_RANK], row = 1;
  int r = ox_rank(x);
  bool circular = !strcmp(ox_str(c, "mode", "linear"), "circular");
  if (!ox_axis(c, ox_int(c, "axis", -2), r, &axis))
    return false;
  if (!axis || ox_dtype(x) != ox_dtype(u) || ox_rank(u) != r)
    return ox_fail(c, DN_TYPE, "the update does not fit the cache");
  for (int i = 0; i < r; i++)
    if (i != axis && ox_dims(u)[i] != ox_dims(x)[i])
      return ox_fail(c, DN_TYPE, "the update does not fit the cache");
  for (int64_t i = axis + 1; i < r; i++)
    row *= ox_dims(x)[i];
  struct ir_value *idx =
      ox_iota(c, axis + 1, axis, ox_dims(u)[axis], IR_I64);
  if (c->nin > 2 && c->in[2]) {
    for (int64_t i = 0; i <= axis; i++)
      dims[i] = i ? 1 : ox_dims(x)[0];
    if (ir_type_count(c->in[2]->type) != dims[0])
      return ox_fail(c, DN_TYPE, "one index for each batch entry is needed");
    from = ox_reshape(c, c->in[2], axis + 1, dims);
    idx = ox_op2(c, IR_ADD, idx, ox_cast(c, from, IR_I64));
  }
  if (circular)
    idx = ox_op2(c, IR_MOD, idx, ox_number(c, idx, (double)ox_dims(x)[axis]));
  const struct ir_type *outer =
      ir_type(c->im->ctx, ox_dtype(x), (int)axis + 1, ox_dims(x));
  idx = ox_expand(c, idx, axis + 1, ox_dims(u));
  return ox_return(c, scatter(c, x, u, along_axis(c, outer, idx, axis), row));
}

/* Along the time axis, entry t of batch b comes from len[b]-1-t while t is
 * below len[b]. */
bool onnx_reverse_sequence(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *len = c->in[1];
  int64_t batch, time;
  int r = ox_rank(x);
  if (!ox_axis(c, ox_int(c, "batch_axis", 1), r, &batch) ||
      !ox_axis(c, ox_int(c, "time_axis", 0), r, &time))
    return false;
  if (batch == time || ox_rank(len) != 1 ||
      ox_dims(len)[0] != ox_dims(x)[batch])
    return ox_fail(c, DN_TYPE, "one length for each batch entry is needed");
  int64_t dims[IR_MAX_RANK];
  for (int i = 0; i < r; i++)
    dims[i] = i == batch ? ox_dims(x)[i] : 1;
  len = ox_cast(c, ox_reshape(c, len, r, dims), IR_I64);
  struct ir_value *t = ox_iota(c, r, time, ox_dims(x)[time], IR_I64);
  struct ir_value *back = ox_offset(c, ox_op2(c, IR_SUB, len, t), -1);
  struct ir_value *idx = ox_select(c, ox_op2(c, IR_LT, t, len), back, t);
  idx = ox_expand(c, idx, r, ox_dims(x));
  return ox_return(c, ox_emit(c, IR_GATHER_ELEMENTS, IR_ARGS(x, idx),
                              IR_ATTRS(ir_int("axis", time))));
}

/* The first k along an axis, in order; `sorted` 0 asks for no order, and gets
 * the same. */
bool onnx_top_k(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  struct ox_ints count = {true, 1, (const int64_t[]){0}};
  int64_t axis, k = ox_int(c, "k", 0);
  bool largest;
  if (!ox_axis(c, ox_int(c, "axis", -1), ox_rank(x), &axis) ||
      !ox_flag(c, "largest", true, &largest) ||
      (c->nin > 1 && !ox_const_ints(c, 1, &count)))
    return false;
  k = c->nin > 1 && count.n == 1 ? count.v[0] : k;
  int64_t n = ox_dims(x)[axis];
  if (k < 0 || k > n)
    return ox_fail(c, DN_ATTR, "k is %lld of %lld", (long long)k, (long long)n);
  if (n > INT32_MAX)
    return ox_fail(c, DN_LIMIT, "an axis of %lld elements", (long long)n);
  struct ir_value *at = ox_emit(c, IR_ARGSORT, IR_ARGS(x),
                                IR_ATTRS(ir_int("axis", axis), ir_int("k", k),
                                         ir_int("largest", largest)));
  c->out[0] = ox_emit(c, IR_GATHER_ELEMENTS, IR_ARGS(x, at),
                      IR_ATTRS(ir_int("axis", axis)));
  if (c->nout > 1)
    c->out[1] = ox_cast(c, at, IR_I64);
  return c->out[0] != NULL;
}
