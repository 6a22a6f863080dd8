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
  if (!ir_is_int(fe_dtype(idx)))
    return ox_null(c, TYPE, "indices must be integers");
  bool negative = !idx->data;
  int64_t n = idx->data ? ir_type_count(idx->type) : 0;
  if (idx->data && !idx->data->bytes)
    n = dn_min(n, 1);
  for (int64_t i = 0; i < n; i++) {
    int64_t k = ir_const_int(idx, i);
    negative = negative || k < 0;
    if (k < -size || k >= size)
      return ox_null(c, ATTR, "index %lld is outside [%lld, %lld]",
                     (long long)k, (long long)-size, (long long)size - 1);
  }
  if (!negative || ir_dtypes[fe_dtype(idx)].kind == IR_UNSIGNED)
    return idx;
  struct ir_value *below = fe_op2(c->b, IR_LT, idx, fe_number(c->b, idx, 0));
  return fe_select(c->b, below, fe_offset(c->b, idx, (double)size), idx);
}

/* One constant index, or a run of them, is a slice: a view later. */
static struct ir_value *gather_run(struct onnx_call *c, struct ir_value *x,
                                   const struct ir_value *idx, int64_t axis) {
  int64_t n = ir_type_count(idx->type);
  if (!idx->data || fe_rank(idx) > 1 || n < 1 || n > 65536)
    return NULL;
  int64_t first = ir_const_int(idx, 0);
  for (int64_t i = 1; i < n; i++)
    if (ir_const_int(idx, i) != first + i)
      return NULL;
  struct ir_value *y = fe_slice1(c->b, x, axis, first, n, 1);
  bool drop[IR_MAX_RANK] = {0};
  drop[axis] = fe_rank(idx) == 0;
  return fe_squeeze(c->b, y, drop);
}

bool onnx_gather(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *idx = c->in[1];
  int64_t axis;
  if (!fe_axis(c->b, ox_int(c, "axis", 0), fe_rank(x), &axis))
    return false;
  idx = wrap_index(c, idx, fe_dims(x)[axis]);
  if (!idx)
    return false;
  struct ir_value *y = gather_run(c, x, idx, axis);
  return ox_return(c, y ? y : fe_gather(c->b, x, idx, axis));
}

/* ai.onnx.ml: columns. */
bool onnx_array_feature_extractor(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *idx = c->in[1];
  int64_t n = ir_type_count(idx->type), last = fe_rank(x) - 1;
  if (last < 0)
    return ox_fail(c, TYPE, "the input must not be a scalar");
  if (!last)
    x = fe_unsqueeze(c->b, x, 1, 0);
  last = dn_max(last, 1);
  idx = wrap_index(c, fe_reshape(c->b, idx, 1, &n), x ? fe_dims(x)[last] : 0);
  return ox_return(c, fe_gather(c->b, x, idx, last));
}

bool onnx_gather_elements(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *idx = c->in[1];
  int64_t axis;
  if (!fe_axis(c->b, ox_int(c, "axis", 0), fe_rank(x), &axis))
    return false;
  idx = wrap_index(c, idx, fe_dims(x)[axis]);
  return ox_return(c, fe_emit(c->b, IR_GATHER_ELEMENTS, IR_ARGS(x, idx),
                              IR_ATTRS(ir_int("axis", axis))));
}

/* Sum over the last dim of idx, each entry times its stride in x: positions in
 * x with dims [batch, batch+depth) taken as one. */
static struct ir_value *flat_index(struct onnx_call *c,
                                   const struct ir_value *x,
                                   struct ir_value *idx, int64_t batch) {
  int r = fe_rank(idx);
  int64_t depth = fe_dims(idx)[r - 1], stride = 1;
  bool last[IR_MAX_RANK] = {0};
  last[r - 1] = true;
  struct ir_value *flat = NULL;
  for (int64_t k = depth; k-- > 0;) {
    int64_t size = fe_dims(x)[batch + k];
    struct ir_value *part = fe_slice1(c->b, idx, r - 1, k, 1, 1);
    part = fe_squeeze(c->b, wrap_index(c, part, size), last);
    part = fe_scale(c->b, fe_cast(c->b, part, IR_I64), (double)stride);
    flat = k == depth - 1 ? part : fe_add(c->b, flat, part);
    stride *= size;
  }
  return flat;
}

static bool nd_args(struct onnx_call *c, int64_t batch) {
  const struct ir_value *x = c->in[0], *idx = c->in[1];
  int r = fe_rank(idx);
  if (batch < 0 || r < 1 || batch >= r || batch >= fe_rank(x))
    return ox_fail(c, ATTR, "batch_dims is %lld", (long long)batch);
  int64_t depth = fe_dims(idx)[r - 1];
  if (depth < 1 || depth > fe_rank(x) - batch)
    return ox_fail(c, TYPE, "indices of %lld numbers for rank %d",
                   (long long)depth, fe_rank(x));
  for (int64_t i = 0; i < batch; i++)
    if (fe_dims(x)[i] != fe_dims(idx)[i])
      return ox_fail(c, TYPE, "batch dimensions differ");
  return true;
}

bool onnx_gather_nd(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *idx = c->in[1];
  int64_t batch = ox_int(c, "batch_dims", 0);
  if (!nd_args(c, batch))
    return false;
  int r = fe_rank(idx), n = 0, m = 0;
  int64_t depth = fe_dims(idx)[r - 1], lead = 1, inner = 1;
  for (int64_t i = 0; i < batch; i++)
    lead *= fe_dims(x)[i];
  for (int64_t i = batch; i < batch + depth; i++)
    inner *= fe_dims(x)[i];
  struct ir_value *flat = flat_index(c, x, idx, batch);
  if (!flat)
    return false;
  /* Each batch entry picks from its own part of x. */
  int64_t stride = inner;
  for (int64_t i = batch; i-- > 0; stride *= fe_dims(x)[i]) {
    struct ir_value *b = fe_iota(c->b, fe_rank(flat), i, fe_dims(x)[i], IR_I64);
    flat = fe_add(c->b, flat, fe_scale(c->b, b, (double)stride));
  }
  int64_t dims[IR_MAX_RANK + 1], out[2 * IR_MAX_RANK];
  dims[n++] = lead * inner;
  for (int i = 0; i < r - 1; i++)
    out[m++] = fe_dims(idx)[i];
  for (int64_t i = batch + depth; i < fe_rank(x); i++)
    out[m++] = dims[n++] = fe_dims(x)[i];
  x = fe_reshape(c->b, x, n, dims);
  return ox_return(c, fe_reshape(c->b, fe_gather(c->b, x, flat, 0), m, out));
}

/* ---- Scatter ---- */

/* As fe_scatter_rows(), by `reduction`. */
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
  int way = DN_FIND(ways, how);
  if (at && way < 0)
    return ox_null(c, ATTR, "unknown reduction '%s'", ox_text(c, how));
  return at ? fe_scatter_rows(c->b, ways[way].code, x, at, updates, row) : NULL;
}

bool onnx_scatter_nd(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *idx = c->in[1], *u = c->in[2];
  if (!nd_args(c, 0))
    return false;
  if (fe_dtype(x) != fe_dtype(u))
    return ox_fail(c, TYPE, "updates are of another type");
  int64_t depth = fe_dims(idx)[fe_rank(idx) - 1], row = 1;
  for (int64_t i = depth; i < fe_rank(x); i++)
    row *= fe_dims(x)[i];
  if (ir_type_count(idx->type) / depth * row != ir_type_count(u->type))
    return ox_fail(c, TYPE, "updates do not fit the indices");
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
      fe_scale(c->b, fe_cast(c->b, idx, IR_I64), (double)strides[axis]);
  for (int i = 0; i < x->rank && at; i++) {
    int64_t size = fe_dims(idx)[i];
    if (i == axis || size == 1)
      continue;
    if (size > x->dim[i])
      return ox_null(c, TYPE, "indices are larger than the data");
    struct ir_value *k = fe_iota(c->b, x->rank, i, size, IR_I64);
    at = fe_add(c->b, at, fe_scale(c->b, k, (double)strides[i]));
  }
  return at;
}

bool onnx_scatter_elements(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *idx = c->in[1];
  int64_t axis;
  int r = fe_rank(x);
  if (!fe_axis(c->b, ox_int(c, "axis", 0), r, &axis))
    return false;
  if (fe_dtype(x) != fe_dtype(c->in[2]))
    return ox_fail(c, TYPE, "updates are of another type");
  if (fe_rank(idx) != r || idx->type->rank != fe_rank(c->in[2]) ||
      memcmp(fe_dims(idx), fe_dims(c->in[2]), sizeof idx->type->dim) != 0)
    return ox_fail(c, TYPE, "indices and updates differ in shape");
  struct ir_value *at =
      along_axis(c, x->type, wrap_index(c, idx, fe_dims(x)[axis]), axis);
  return ox_return(c, scatter(c, x, c->in[2], at, 1));
}
