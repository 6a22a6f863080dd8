/* onnx_op_reduce.c - reductions: their axes, and where the extreme is. */
#include "frontend/onnx_ops.h"

/* The axes to reduce: an attribute, or input 1 in newer opsets; none means
 * all, unless the model says that it means none. */
static bool reduce_axes(struct onnx_call *c, bool *mark) {
  struct ox_ints axes;
  bool none;
  int r = fe_rank(c->in[0]);
  if (!ox_ints_or_input(c, "axes", 1, &axes) || !ox_axes(c, axes, r, mark) ||
      !ox_flag(c, "noop_with_empty_axes", false, &none))
    return false;
  if (!axes.n && !none)
    for (int i = 0; i < r; i++)
      mark[i] = true;
  return true;
}

static struct ir_value *reduce_some(struct onnx_call *c, const bool *axes,
                                    bool keep) {
  int64_t list[IR_MAX_RANK], n = 0;
  for (int i = 0; i < fe_rank(c->in[0]); i++)
    if (axes[i])
      list[n++] = i;
  struct ir_value *y =
      fe_call(c->b, (enum fe_decomposition)c->arg, IR_ARGS(c->in[0]),
              IR_ATTRS(ir_ints("axes", list, n)));
  return keep ? y : fe_squeeze(c->b, y, axes);
}

/* Whether axes that are known at run time are all in a set, by a table. */
static struct ir_value *all_in(struct onnx_call *c, struct ir_value *axes,
                               const bool *set) {
  int64_t r = fe_rank(c->in[0]), table[2 * IR_MAX_RANK];
  for (int64_t i = 0; i < 2 * r; i++)
    table[i] = set[i % r];
  r *= 2; /* -r .. r - 1 */
  axes = fe_offset(c->b, fe_cast(c->b, axes, IR_I64), (double)(r / 2));
  axes = fe_gather(c->b, fe_ints(c->b, IR_U8, 1, &r, table), axes, 0);
  const bool all[IR_MAX_RANK] = {true};
  if (axes && fe_rank(axes))
    axes = fe_squeeze(c->b, fe_reduce(c->b, IR_REDUCE_MIN, axes, all), all);
  return fe_cast(c->b, axes, IR_BOOL);
}

/* Axes known at run time, n of them: the sets that give the declared shape are
 * all reduced, and what the axes say is taken. NULL: no set, or too many. */
static struct ir_value *reduce_any(struct onnx_call *c, bool keep,
                                   const int64_t *dims, int64_t rank) {
  enum { MOST = 8 };
  int r = fe_rank(c->in[0]), found = 0;
  int64_t n = ir_type_count(c->in[1]->type);
  struct ir_value *y = NULL;
  for (unsigned set = 0; set < 1u << r && r <= 16; set++) {
    bool axes[IR_MAX_RANK] = {0}, fits = true;
    int64_t k = 0, count = 0;
    for (int i = 0; i < r; i++) {
      axes[i] = set >> i & 1;
      count += axes[i];
      if (axes[i] && !keep)
        continue;
      fits =
          fits && k < rank && dims[k] == (axes[i] ? 1 : fe_dims(c->in[0])[i]);
      k++;
    }
    if (!fits || k != rank || count != n)
      continue;
    if (++found > MOST)
      return NULL;
    struct ir_value *v = reduce_some(c, axes, keep);
    y = y ? fe_select(c->b, all_in(c, c->in[1], axes), v, y) : v;
  }
  return y;
}

bool onnx_reduce(struct onnx_call *c) {
  bool axes[IR_MAX_RANK] = {0}, keep;
  int64_t dims[IR_MAX_RANK], rank = 0;
  if (!ox_flag(c, "keepdims", true, &keep))
    return false;
  if (ox_in(c, 1) && ir_type_count(c->in[1]->type) &&
      ox_declared_dims(c, 1, dims, &rank)) {
    struct ir_value *y = reduce_any(c, keep, dims, rank);
    if (y)
      return ox_return(c, y);
  }
  return reduce_axes(c, axes) && ox_return(c, reduce_some(c, axes, keep));
}

static struct ir_value *running(struct onnx_call *c, int64_t axis) {
  struct ir_attr attrs[FE_MAX_ATTRS];
  size_t n;
  enum fe_decomposition row = (enum fe_decomposition)c->arg;
  if (!ox_row_attrs(c, row, attrs, &n))
    return NULL;
  attrs[n++] = ir_int("axis", axis);
  return fe_call(c->b, row, c->in, 1, attrs, n);
}

/* An axis known at run time picks among all. */
bool onnx_cum_sum(struct onnx_call *c) {
  struct ir_value *known = ox_evaluate(c, c->in[1]), *y = NULL;
  int r = fe_rank(c->in[0]);
  if (ir_type_count(c->in[1]->type) != 1 || !ir_is_int(fe_dtype(c->in[1])))
    return ox_fail(c, TYPE, "axis must be one number");
  if (known)
    return ox_return(c, running(c, ir_const_int(known, 0)));
  for (int i = 0; i < r; i++) {
    bool set[IR_MAX_RANK] = {0};
    set[i] = true;
    struct ir_value *v = running(c, i);
    y = y ? fe_select(c->b, all_in(c, c->in[1], set), v, y) : v;
  }
  return ox_return(c, y);
}

/* Of the last two dims, by elimination: each step has a factor, the pivot. */
bool onnx_det(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *y = NULL;
  int r = fe_rank(x);
  int64_t n = r < 2 ? 0 : fe_dims(x)[r - 1];
  if (r < 2 || fe_dims(x)[r - 2] != n)
    return ox_fail(c, TYPE, "the input is no square matrix");
  if (n > 256)
    return ox_fail(c, LIMIT, "a matrix of %lld rows", (long long)n);
  int64_t dims[] = {n ? ir_type_count(x->type) / n / n : 0, n, n};
  struct ir_value *a = fe_reshape(c->b, x, 3, dims);
  if (!n || !dims[0])
    return ox_return(c,
                     fe_expand(c->b, fe_number(c->b, x, 1), r - 2, fe_dims(x)));
  while (n-- > 1) {
    struct ir_value *out[2] = {0};
    if (!fe_decompose(c->b, FE_DET_STEP, IR_ARGS(a), NULL, 0, out, 2))
      return false;
    y = y ? fe_mul(c->b, y, out[0]) : out[0];
    a = out[1];
  }
  y = y ? fe_mul(c->b, y, a) : a;
  return ox_return(c, fe_reshape(c->b, y, r - 2, fe_dims(x)));
}
