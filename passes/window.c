/* window.c - makes one dimension of a window's row and its channels, where they
 * lie side by side and the channels alone do not fill the target's sums of
 * 8-bit products (ir/facts.def: dot_k): first layers, of one or three channels.
 * A padded operand is copied, when that saves a third of the sums and padding
 * is not most of the copy; on bare metal it is not larger than the result.
 *
 * before:  %1 = conv %x, @w {pads=[1,1,1,1], outside=7, to=i32} : i32[1,8,8,16]
 *          (%x : u8[1,8,8,3], @w : i8[16,3,3,3])
 * after:   %2 = pad %x {pads=[0,1,1,0,0,1,1,0], value=7} : u8[1,10,10,3]
 *          %3 = reshape %2 {shape=[1,10,30,1]} : u8[1,10,30,1]
 *          %1 = conv %3, @w_2 {strides=[1,3], to=i32} : i32[1,8,8,16]
 *          (@w_2 : i8[16,3,9,1])
 *
 * So do the last dimensions of the largest, or smallest, of a tensor in memory:
 * the range that it is quantized to at run time. */
#include "passes/edit.h"
#include <assert.h>
#include <string.h>

/* What the sum of n products costs: one a run, and two for a rest, whose bytes
 * are loaded one by one. */
static int64_t count_sums(int64_t n, int64_t run) {
  return n / run + 2 * (n % run != 0);
}

static bool has_pads(const struct ir_op *op, int spatial) {
  for (int i = 0; i < 2 * spatial; i++)
    if (ir_get_at(op, "pads", i))
      return true;
  return false;
}

/* Elements of the operand with its padding; INT64_MAX: too many. */
static int64_t count_padded(const struct ir_op *op) {
  const struct ir_type *x = ir_arg(op, 0)->type;
  assert(x->rank >= 2 && "an image has batch and channels: infer_conv()");
  int64_t n = x->dim[0] * x->dim[x->rank - 1];
  int spatial = x->rank - 2;
  for (int i = 0; i < spatial; i++) {
    int64_t dim = x->dim[1 + i] + ir_get_at(op, "pads", i) +
                  ir_get_at(op, "pads", spatial + i);
    if (!dn_mul(n, dim, &n))
      return INT64_MAX;
  }
  return n;
}

/* Maps of an input, or of a view of it: `fuse` lets them write the copy, and
 * nothing else. */
static bool is_of_input(const struct ir_value *x) {
  if (!x->def || ir_ops[x->def->code].cls != IR_MAP)
    return false;
  for (; x->def && ir_ops[x->def->code].cls == IR_MAP; x = ir_arg(x->def, 0)) {
    if (!x->uses || x->uses->next)
      return false;
    for (unsigned i = 1; i < x->def->noperands; i++)
      if (!ir_arg(x->def, i)->data)
        return false;
  }
  if (x->def && x->def->code == IR_TRANSPOSE)
    x = ir_arg(x->def, 0);
  return !x->def && !x->data;
}

/* The padded copy is alive together with the operand: it must be small beside
 * it and, on bare metal, no larger than the result, unless it replaces the
 * operand. */
static bool copy_pays(const struct pass_env *env, const struct ir_op *op) {
  int64_t copy = count_padded(op);
  return copy / 4 <= ir_type_count(ir_arg(op, 0)->type) &&
         !(env->target->bare_metal &&
           copy > ir_type_count(ir_result(op)->type) &&
           !is_of_input(ir_arg(op, 0)));
}

static bool pays(const struct pass_env *env, const struct ir_op *op) {
  const struct ir_type *x = ir_arg(op, 0)->type, *w = ir_arg(op, 1)->type;
  int last = w->rank - 1;
  struct ir_dot dot = ir_dot_of(env->target, w->dtype);
  int64_t run = dot.k, row = w->dim[last - 1], c = w->dim[last];
  if (run < 2 || last < 2 || row < 2 || c < 1 || x->dtype != dot.factor ||
      !ir_arg(op, 1)->data || ir_result(op)->type->dtype != dot.sum ||
      ir_get_int(op, "groups") != 1 ||
      ir_get_at(op, "dilations", last - 2) != 1 ||
      ir_get_at(op, "strides", last - 2) > INT32_MAX / c)
    return false;
  int64_t merged = count_sums(row * c, run), apart = row * count_sums(c, run);
  if (!has_pads(op, last - 1))
    return merged < apart;
  return 3 * merged <= 2 * apart && copy_pays(env, op);
}

/* The last two dimensions as one, before one of size 1. */
static void join(const struct ir_type *type, int64_t *dims) {
  assert(type->rank >= 2 && "an image, or windows: pays()");
  int last = type->rank - 1;
  memcpy(dims, type->dim, sizeof type->dim);
  dims[last - 1] *= dims[last];
  dims[last] = 1;
}

/* The row of a window, filled up with zeros to whole runs where that stays in the
 * row of the operand: matrix registers take no others. Zeros do not hide floats
 * that are infinite or NaN. */
static int64_t filled_row(const struct pass_env *env, const struct ir_op *op,
                          const struct ir_value *x) {
  const struct ir_type *w = ir_arg(op, 1)->type;
  int last = w->rank - 1;
  int64_t c = w->dim[last], row = w->dim[last - 1] * c;
  struct ir_dot dot = ir_dot_of(env->target, w->dtype);
  int64_t more = dn_align(row, dot.k);
  int64_t out = ir_result(op)->type->dim[last - 1];
  int64_t first = (out - 1) * ir_get_at(op, "strides", last - 2) * c;
  bool fits = first + more <= x->type->dim[last - 1] * c;
  return dot.matrix && !ir_is_float(w->dtype) && fits ? more : row;
}

/* Weights of rows of `row` elements, the last ones zeros. */
static struct ir_value *fill_weights(struct ir_module *m, struct ir_value *w,
                                     const int64_t *dims, int64_t own) {
  int rank = w->type->rank;
  int64_t row = dims[rank - 2], rows = ir_type_count(w->type) / own;
  const struct ir_type *type = ir_type(m->ctx, w->type->dtype, rank, dims);
  struct dn_arena *tmp = dn_arena_new(m->ctx);
  if (row == own || !w->data->bytes) {
    dn_arena_free(tmp);
    return ir_const_new(m, w->name, type, w->data);
  }
  const char *from = ir_const_bytes(tmp, w);
  char *to = dn_alloc(m->arena, (size_t)ir_type_bytes(type));
  int64_t bytes = ir_dtypes[type->dtype].bytes;
  for (int64_t i = 0; i < rows; i++)
    memcpy(to + i * row * bytes, from + i * own * bytes, (size_t)(own * bytes));
  dn_arena_free(tmp);
  struct ir_data data = {.bytes = to, .size = ir_type_bytes(type)};
  return ir_const_new(m, w->name, type, &data);
}

static bool merge(const struct pass_env *env, struct ir_module *m,
                  struct ir_op *op) {
  struct ir_builder b = edit_before(op);
  struct ir_value *w = ir_arg(op, 1), *x = ir_arg(op, 0);
  int64_t dims[IR_MAX_RANK], strides[IR_MAX_RANK], dilations[IR_MAX_RANK];
  int spatial = w->type->rank - 2;
  assert(w->data && spatial >= 1 && "pays() takes constant weights");
  if (has_pads(op, spatial))
    x = edit_padded(&b, op);
  if (!x)
    return false;
  for (int i = 0; i < spatial; i++) {
    strides[i] = ir_get_at(op, "strides", i);
    dilations[i] = ir_get_at(op, "dilations", i);
  }
  strides[spatial - 1] *= w->type->dim[spatial + 1];
  int64_t own = w->type->dim[spatial] * w->type->dim[spatial + 1];
  int64_t row = w->data->bytes ? filled_row(env, op, x) : own;
  join(x->type, dims);
  x = edit_reshape(&b, x, x->type->rank, dims);
  join(w->type, dims);
  dims[spatial] = row;
  w = fill_weights(m, w, dims, own);
  struct ir_value *y =
      ir_emit(&b, IR_CONV, IR_ARGS(x, w),
              IR_ATTRS(ir_ints("strides", strides, spatial),
                       ir_ints("dilations", dilations, spatial),
                       ir_str("to", ir_get_str(op, "to"))));
  if (!y)
    return false;
  edit_replace(op, y, true);
  return true;
}

/* Dimensions that the op reduces, if these are the last ones of its operand. */
static int reduced_last(const struct ir_op *op) {
  int rank = ir_arg(op, 0)->type->rank, n = (int)ir_find_attr(op, "axes")->n;
  for (int i = 0; i < n; i++)
    if (ir_get_at(op, "axes", i) < rank - n)
      return 0;
  return n;
}

/* Rows that do not fill the vectors of a few chains. What only this op reads may
 * be fused into it, as it is. */
static bool rows_are_short(const struct pass_env *env, const struct ir_op *op) {
  const struct ir_value *x = ir_arg(op, 0);
  bool stored = !x->def || (x->uses && x->uses->next);
  return stored && ir_type_is_static(x->type) && reduced_last(op) > 1 &&
         x->type->dim[x->type->rank - 1] <
             32 * env->target->vector_bytes /
                 (int)ir_dtypes[x->type->dtype].bits;
}

static bool merge_rows(struct ir_op *op) {
  struct ir_builder b = edit_before(op);
  struct ir_value *x = ir_arg(op, 0);
  int n = reduced_last(op);
  int64_t dims[IR_MAX_RANK], first = x->type->rank - n;
  memcpy(dims, x->type->dim, sizeof dims);
  for (int i = 1; i < n; i++)
    dims[first] *= dims[first + i];
  x = edit_reshape(&b, x, (int)first + 1, dims);
  x = ir_emit(&b, op->code, IR_ARGS(x), IR_ATTRS(ir_ints("axes", &first, 1)));
  x = edit_reshape(&b, x, ir_result(op)->type->rank, ir_result(op)->type->dim);
  edit_replace(op, x, true);
  return true;
}

int64_t pass_window(struct pass_env *env, struct ir_module *m) {
  int64_t merged = 0;
  for (struct ir_op *op = ir_first(m), *next; op; op = next) {
    next = ir_next(op);
    if (op->code == IR_CONV && pays(env, op))
      merged += merge(env, m, op);
    else if ((op->code == IR_REDUCE_MAX || op->code == IR_REDUCE_MIN) &&
             rows_are_short(env, op))
      merged += merge_rows(op);
  }
  return merged;
}
