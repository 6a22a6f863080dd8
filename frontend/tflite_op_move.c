/* tflite_op_move.c - operators that move elements. */
#include "frontend/tflite.h"

#include <string.h>

/* A row of decompose.def. Its attributes are options of the same names, and of the
 * output in the model `out`, the shape, `to`, the element type, and `zero`, the zero
 * point; `quantized`: it or the first input is. */
bool tflite_row(struct tfl_call *c) {
  enum fe_decomposition row = (enum fe_decomposition)c->arg;
  const struct tfl_tensor *y = c->tout[0];
  const struct fe_operand *operands;
  const char *names[FE_MAX_ATTRS];
  struct ir_attr attrs[FE_MAX_ATTRS];
  size_t n = fe_attr_names(c->b, row, names), nattrs = 0;
  for (size_t i = 0; i < n; i++) {
    if (!strcmp(names[i], "out"))
      attrs[nattrs++] = ir_ints("out", y->dim, y->rank);
    else if (!strcmp(names[i], "zero"))
      attrs[nattrs++] = ir_int("zero", tfl_zero(y));
    else if (!strcmp(names[i], "to"))
      attrs[nattrs++] = ir_str("to", ir_dtypes[y->dtype].text);
    else if (!strcmp(names[i], "quantized"))
      attrs[nattrs++] =
          ir_int("quantized", tfl_is_quantized(y) ||
                                  (c->nin && tfl_is_quantized(c->tin[0])));
    else if (dn_word(c->row->options, names[i], strlen(names[i]), NULL))
      attrs[nattrs++] = ir_int(names[i], tfl_int(c, names[i]));
  }
  n = fe_operands(c->b, row, &operands);
  for (size_t k = 0; k < n && k < c->nin; k++)
    if (operands[k].constant && c->in[k] && !c->in[k]->data)
      return tfl_fail(c, DYNAMIC, "input %zu ('%s') is not a constant", k,
                      fe_text(c->im->ctx, c->tin[k]->name));
  return fe_decompose(c->b, row, c->in, c->nin, attrs, nattrs, c->out, c->nout);
}

struct slice {
  int64_t starts[IR_MAX_RANK], sizes[IR_MAX_RANK], steps[IR_MAX_RANK];
};

static void whole(int64_t size, int d, struct slice *s) {
  s->starts[d] = 0;
  s->sizes[d] = size;
  s->steps[d] = 1;
}

/* Begin, end and step `v` of dimension `d` by index `i`, and the masks' bit. */
static bool slice_dim(struct tfl_call *c, int i, int d,
                      const int64_t *const v[3], struct slice *s) {
  int64_t bit = INT64_C(1) << i, size = fe_dims(c->in[0])[d];
  int64_t begin = v[0][i], end = v[1][i], step = v[2][i];
  bool up = step > 0, shrinks = tfl_int(c, "shrink_axis_mask") & bit;
  int64_t lo = up ? 0 : -1, hi = up ? size : size - 1;
  if (step == 0 || step != (int32_t)step || begin != (int32_t)begin ||
      end != (int32_t)end)
    return tfl_fail(c, ATTR, "a step of %lld from %lld to %lld",
                    (long long)step, (long long)begin, (long long)end);
  if (tfl_int(c, "offset"))
    end += begin;
  begin += begin < 0 ? size : 0;
  end += end < 0 ? size : 0;
  if (tfl_int(c, "begin_mask") & bit)
    begin = up ? 0 : size - 1;
  if (tfl_int(c, "end_mask") & bit)
    end = up ? size : -1;
  begin = dn_max(lo, dn_min(begin, hi));
  end = shrinks ? begin + (up ? 1 : -1) : dn_max(lo, dn_min(end, hi));
  int64_t span = up ? end - begin : begin - end;
  s->sizes[d] = dn_max(0, dn_div_ceil(span, up ? step : -step));
  s->starts[d] = s->sizes[d] ? begin : 0;
  s->steps[d] = step;
  return true;
}

/* Index `i` of the lists is of dimension `d`; an ellipsis is of all dimensions
 * that the others leave, as are those after the last index. */
bool tflite_strided_slice(struct tfl_call *c) {
  int64_t ellipsis = tfl_int(c, "ellipsis_mask"), n[3];
  int64_t fresh = tfl_int(c, "new_axis_mask") & ~ellipsis;
  const int64_t *v[3];
  struct ir_value *x = c->in[0];
  struct slice s;
  int r = fe_rank(x), d = 0, left = r;
  for (size_t k = 0; k < 3; k++)
    if (!tfl_const_ints(c, 1 + k, &n[k], &v[k]))
      return false;
  if (n[1] != n[0] || n[2] != n[0] || n[0] > 31)
    return tfl_fail(c, TYPE, "%lld, %lld and %lld indices", (long long)n[0],
                    (long long)n[1], (long long)n[2]);
  for (int i = 0; i < n[0]; i++)
    left -= !((ellipsis | fresh) >> i & 1);
  if (left < 0 || (ellipsis & (ellipsis - 1)))
    return tfl_fail(c, TYPE, "indices of more than %d dimensions", r);
  for (int i = 0; i < n[0]; i++)
    if (ellipsis >> i & 1)
      for (; left > 0; left--, d++)
        whole(fe_dims(x)[d], d, &s);
    else if (!(fresh >> i & 1) && !slice_dim(c, i, d++, v, &s))
      return false;
  for (; d < r; d++)
    whole(fe_dims(x)[d], d, &s);
  x = fe_slice(c->b, x, s.starts, s.sizes, s.steps);
  return tfl_return(c, fe_reshape(c->b, x, c->tout[0]->rank, c->tout[0]->dim));
}

bool tflite_concat(struct tfl_call *c) {
  int64_t axis;
  for (size_t i = 0; i < c->nin; i++)
    if (!c->in[i])
      return tfl_fail(c, ARITY, "input %zu is missing", i);
  for (size_t i = 0; i < c->nin; i++)
    if (!tfl_same_scale(c, i))
      return false;
  if (!fe_axis(c->b, tfl_int(c, "axis"), fe_rank(c->in[0]), &axis))
    return false;
  struct ir_value *y = fe_concat(c->b, c->in, c->nin, axis);
  if (tfl_is_quantized(c->tout[0]) && tfl_int(c, "activation"))
    return tfl_fail(c, UNSUPPORTED_ATTR, "an activation of integers");
  return tfl_return(c, tfl_activate(c, y, tfl_int(c, "activation")));
}

/* Inputs along a dimension of their own. */
bool tflite_pack(struct tfl_call *c) {
  int64_t axis;
  struct ir_value **v = DN_ARRAY(c->im->ctx->arena, struct ir_value *, c->nin);
  if (!fe_axis(c->b, tfl_int(c, "axis"), fe_rank(c->in[0]) + 1, &axis))
    return false;
  for (size_t i = 0; i < c->nin; i++)
    if (c->in[i])
      v[i] = fe_insert(c->b, c->in[i], axis);
  return tfl_return(c, fe_concat(c->b, v, c->nin, axis));
}

/* Parts of input `k` along an axis, of the sizes that the outputs have. */
static bool cut(struct tfl_call *c, size_t k, int64_t axis) {
  int64_t at = 0;
  struct ir_value *x = c->in[k];
  if (!fe_axis(c->b, axis, fe_rank(x), &axis))
    return false;
  bool drops = c->row->max_in == 1; /* UNPACK: parts without the axis */
  for (size_t i = 0; i < c->nout; i++) {
    const struct tfl_tensor *t = c->tout[i];
    int64_t size = drops || axis >= t->rank ? 1 : t->dim[axis];
    if (size < 0 || at + size > fe_dims(x)[axis])
      return tfl_fail(c, SHAPE, "outputs are more than the axis has");
    c->out[i] = fe_slice1(c->b, x, axis, at, size, 1);
    c->out[i] = fe_reshape(c->b, c->out[i], t->rank, t->dim);
    at += size;
  }
  return at == fe_dims(x)[axis] ||
         tfl_fail(c, SHAPE, "outputs are less than the axis has");
}

bool tflite_split(struct tfl_call *c) { /* arg: where the axis is */
  int64_t axis;
  return tfl_const_int(c, (size_t)c->arg, &axis) &&
         cut(c, c->arg ? 0 : 1, axis);
}

bool tflite_unpack(struct tfl_call *c) { return cut(c, 0, tfl_int(c, "axis")); }

static bool update_fits(struct tfl_call *c) {
  const struct ir_value *x = c->in[0], *u = c->in[1], *at = c->in[2];
  bool ok = fe_rank(u) == fe_rank(x) && fe_dtype(u) == fe_dtype(x) &&
            fe_rank(at) == 1 && fe_dims(at)[0] == fe_rank(x) &&
            ir_is_int(fe_dtype(at));
  for (int d = 0; ok && d < fe_rank(x); d++)
    ok = fe_dims(u)[d] <= fe_dims(x)[d];
  return ok || tfl_fail(c, TYPE, "the update is no part of the operand");
}

/* Input 1 put into input 0 at the place that input 2 says, moved inside.
 * Dimensions at the end that the update has whole are rows. */
bool tflite_update_slice(struct tfl_call *c) {
  if (!update_fits(c))
    return false;
  struct fe_build *b = c->b;
  struct ir_value *x = c->in[0], *u = c->in[1], *at = NULL;
  int64_t row = 1, stride = 1, count = ir_type_count(x->type);
  int k = fe_rank(x);
  while (k && fe_dims(u)[k - 1] == fe_dims(x)[k - 1])
    row *= fe_dims(x)[--k];
  enum ir_dtype type = count < INT32_MAX ? IR_I32 : IR_I64;
  for (int d = k; d-- > 0; stride *= fe_dims(x)[d]) {
    double most = (double)(fe_dims(x)[d] - fe_dims(u)[d]);
    struct ir_value *i =
        fe_emit(b, IR_CLAMP, IR_ARGS(fe_slice1(b, c->in[2], 0, d, 1, 1)),
                IR_ATTRS(ir_float("lo", 0), ir_float("hi", most)));
    i = fe_add(b, fe_cast(b, i, type), fe_iota(b, k, d, fe_dims(u)[d], type));
    i = fe_scale(b, i, (double)stride);
    at = at ? fe_add(b, at, i) : i;
  }
  return tfl_return(c, k ? fe_scatter_rows(b, IR_SCATTER, x, at, u, row) : u);
}

/* Mirrored; mode 1, SYMMETRIC, repeats the edge. */
bool tflite_mirror_pad(struct tfl_call *c) {
  int64_t n, pads[2 * IR_MAX_RANK];
  const int64_t *v;
  struct ir_value *y = c->in[0];
  int r = fe_rank(y);
  bool repeats = tfl_int(c, "mode") != 0;
  if (!tfl_const_ints(c, 1, &n, &v))
    return false;
  if (n != 2 * r)
    return tfl_fail(c, TYPE, "%lld pads for %d dimensions", (long long)n, r);
  for (int i = 0; i < r; i++) {
    pads[i] = v[2 * i];
    pads[r + i] = v[2 * i + 1];
    if (repeats && (dn_min(pads[i], pads[r + i]) < 0 ||
                    dn_max(pads[i], pads[r + i]) > fe_dims(y)[i]))
      return tfl_fail(c, ATTR, "more padding than dimension %d has", i);
  }
  if (!repeats)
    return tfl_return(c, fe_emit(c->b, IR_PAD_REFLECT, IR_ARGS(y),
                                 IR_ATTRS(ir_ints("pads", pads, 2 * r))));
  for (int i = 0; i < r && y; i++) {
    int64_t size = fe_dims(y)[i];
    struct ir_value *parts[3] = {0};
    size_t k = 0;
    if (pads[i])
      parts[k++] = fe_slice1(c->b, y, i, pads[i] - 1, pads[i], -1);
    parts[k++] = y;
    if (pads[r + i])
      parts[k++] = fe_slice1(c->b, y, i, size - 1, pads[r + i], -1);
    y = fe_concat(c->b, parts, k, i);
  }
  return tfl_return(c, y);
}

/* Each dimension repeated. */
bool tflite_tile(struct tfl_call *c) {
  int64_t n;
  const int64_t *v;
  if (!tfl_const_ints(c, 1, &n, &v))
    return false;
  if (n != fe_rank(c->in[0]))
    return tfl_fail(c, TYPE, "%lld repeats for %d dimensions", (long long)n,
                    fe_rank(c->in[0]));
  return tfl_return(c, fe_tile(c->b, c->in[0], v));
}
