/* infer_move.c - result types of MOVE ops: elements at other indices, none
 * computed. See infer.c. */
#include "ir/infer.h"

#include "ir/size_infer.h"

#include <assert.h>
#include <string.h>

const struct ir_type *infer_reshape(struct infer *in) {
  const struct ir_type *x = infer_arg(in, 0);
  const struct ir_type *y = infer_shape(in, x->dtype);
  if (y && (!infer_fixed(in, x, 0, x->rank)))
    return NULL;
  if (y && ir_type_count(x) != ir_type_count(y))
    return infer_fail(in, DN_TYPE, "'shape' has another number of elements");
  in->sized = true;
  if (!y || !ir_type_is_sized(x))
    return y;
  y = ir_size_reshape(in->ctx, x, y);
  return y ? y
           : infer_fail(
                 in, DN_DIM,
                 "a size that is known at run time only is not the outermost "
                 "of dimensions that become others");
}

const struct ir_type *infer_transpose(struct infer *in) {
  const struct ir_type *x = infer_arg(in, 0);
  if (!infer_list_ok(in, "perm", x->rank, 0, x->rank - 1))
    return NULL;
  int64_t dims[IR_MAX_RANK];
  bool seen[IR_MAX_RANK] = {0};
  for (int i = 0; i < x->rank; i++) {
    int64_t p = ir_get_at(in->op, "perm", i);
    if (seen[p])
      return infer_fail(in, DN_ATTR, "'perm' is no permutation");
    seen[p] = true;
    dims[i] = x->dim[p];
  }
  return infer_made(in, x->dtype, x->rank, dims);
}

const struct ir_type *infer_slice(struct infer *in) {
  const struct ir_type *x = infer_arg(in, 0);
  int r = x->rank;
  if (!infer_list_ok(in, "starts", r, 0, INFER_BIG) ||
      !infer_list_ok(in, "sizes", r, 0, INFER_BIG) ||
      !infer_list_ok(in, "steps", r, -INFER_BIG, INFER_BIG) ||
      !infer_fixed(in, x, 0, r))
    return NULL;
  for (int i = 0; i < r; i++) {
    int64_t start = ir_get_at(in->op, "starts", i), last;
    int64_t size = ir_get_at(in->op, "sizes", i);
    if (size == 0)
      continue;
    if (!dn_mul(size - 1, ir_get_at(in->op, "steps", i), &last) ||
        !dn_add(last, start, &last) || start >= x->dim[i] || last < 0 ||
        last >= x->dim[i])
      return infer_fail(in, DN_ATTR, "the slice leaves its operand");
  }
  const struct ir_attr *sizes = ir_find_attr(in->op, "sizes");
  assert(sizes && "ir_op_check() has seen required attributes");
  const struct ir_size *whole[IR_MAX_RANK] = {NULL};
  for (int i = 0; i < r; i++)
    if (sizes->is[i] == x->dim[i])
      whole[i] = x->size[i];
  in->sized = true;
  const struct ir_type *y = infer_made(in, x->dtype, r, sizes->is);
  return y ? ir_type_sized(in->ctx, y, whole) : NULL;
}

const struct ir_type *infer_frame(struct infer *in) {
  const struct ir_type *x = infer_arg(in, 0);
  int64_t axis = ir_get_int(in->op, "axis"), size = ir_get_int(in->op, "size");
  int64_t step = ir_get_int(in->op, "step"), dims[IR_MAX_RANK] = {0};
  if (!infer_axis_ok(in, axis, x->rank) ||
      !infer_fixed(in, x, (int)axis, (int)axis + 1))
    return NULL;
  if (x->rank == IR_MAX_RANK)
    return infer_fail(in, DN_LIMIT, "too many dimensions");
  if (size < 1 || size > x->dim[axis] || step < 1)
    return infer_fail(in, DN_ATTR, "a window is larger than the axis, or none");
  for (int i = 0, d = 0; i < x->rank; i++) {
    dims[d++] = i == axis ? (x->dim[i] - size) / step + 1 : x->dim[i];
    if (i == axis)
      dims[d++] = size;
  }
  return infer_made(in, x->dtype, x->rank + 1, dims);
}

const struct ir_type *infer_pad(struct infer *in) {
  const struct ir_type *x = infer_arg(in, 0);
  int r = x->rank;
  bool steps = in->op->code == IR_PAD; /* the one row with `steps` */
  if (!infer_list_ok(in, "pads", 2 * r, -INFER_BIG, INFER_BIG) ||
      (steps && !infer_list_ok(in, "steps", r, 1, INFER_BIG)) ||
      !infer_fixed(in, x, 0, r))
    return NULL;
  int64_t dims[IR_MAX_RANK];
  for (int i = 0; i < r; i++) {
    int64_t s = steps ? ir_get_at(in->op, "steps", i) : 1, d = x->dim[i];
    if (d > 0 && (!dn_mul(d - 1, s, &d) || !dn_add(d, 1, &d)))
      return infer_fail(in, DN_SHAPE, "the padded size overflows");
    d += infer_pads(in, r, i);
    if (d < 0)
      return infer_fail(in, DN_ATTR, "'pads' crop more than there is");
    if (x->dim[i] == 0 && d > 0 && !steps)
      return infer_fail(in, DN_ATTR,
                        "an empty dimension has nothing to repeat");
    dims[i] = d;
  }
  return infer_made(in, x->dtype, r, dims);
}

const struct ir_type *infer_concat(struct infer *in) {
  const struct ir_type *x = infer_arg(in, 0);
  int64_t axis = ir_get_int(in->op, "axis"), dims[IR_MAX_RANK];
  if (!infer_axis_ok(in, axis, x->rank))
    return NULL;
  memcpy(dims, x->dim, sizeof dims);
  dims[axis] = 0;
  for (unsigned i = 0; i < in->op->noperands; i++) {
    const struct ir_type *t = infer_arg(in, i);
    if (t->dtype != x->dtype || t->rank != x->rank)
      return infer_fail(in, DN_TYPE, "operands differ in element type or rank");
    for (int d = 0; d < x->rank; d++)
      if (d != axis && t->dim[d] != x->dim[d])
        return infer_fail(in, DN_TYPE, "operands differ beside the axis");
    if (!infer_fixed(in, t, (int)axis, (int)axis + 1))
      return NULL;
    dims[axis] += t->dim[axis];
  }
  return infer_made(in, x->dtype, x->rank, dims);
}

static bool index_ok(const struct infer *in, const struct ir_type *idx) {
  return ir_is_int(idx->dtype) ||
         infer_fail(in, DN_TYPE, "indices must be integers");
}

static bool has_zero(const int64_t *dims, int n) {
  while (n-- > 0)
    if (dims[n] == 0)
      return true;
  return false;
}

const struct ir_type *infer_gather(struct infer *in) {
  const struct ir_type *x = infer_arg(in, 0), *idx = infer_arg(in, 1);
  int64_t axis = ir_get_int(in->op, "axis"), dims[2 * IR_MAX_RANK];
  if (!index_ok(in, idx) || !infer_axis_ok(in, axis, x->rank))
    return NULL;
  int n = 0;
  for (int i = 0; i < axis; i++)
    dims[n++] = x->dim[i];
  for (int i = 0; i < idx->rank; i++)
    dims[n++] = idx->dim[i];
  for (int i = (int)axis + 1; i < x->rank; i++)
    dims[n++] = x->dim[i];
  assert(n == x->rank - 1 + idx->rank && "the axis gives way to the indices");
  if (x->dim[axis] == 0 && !has_zero(dims, n))
    return infer_fail(in, DN_TYPE, "nothing to pick from along the axis");
  return infer_made(in, x->dtype, n, dims);
}

const struct ir_type *infer_gather_elements(struct infer *in) {
  const struct ir_type *x = infer_arg(in, 0), *idx = infer_arg(in, 1);
  int64_t axis = ir_get_int(in->op, "axis");
  if (!index_ok(in, idx) || !infer_axis_ok(in, axis, x->rank))
    return NULL;
  if (idx->rank != x->rank)
    return infer_fail(in, DN_TYPE, "operands differ in rank");
  for (int i = 0; i < x->rank; i++)
    if (i == axis ? x->dim[i] == 0 && !has_zero(idx->dim, idx->rank)
                  : idx->dim[i] > x->dim[i])
      return infer_fail(in, DN_TYPE, "the indices are larger than x");
  return infer_made(in, x->dtype, idx->rank, idx->dim);
}

const struct ir_type *infer_scatter(struct infer *in) {
  const struct ir_type *x = infer_arg(in, 0), *idx = infer_arg(in, 1),
                       *u = infer_arg(in, 2);
  if (!index_ok(in, idx))
    return NULL;
  if (idx->rank != 1 || !x->rank || u->rank != x->rank || u->dtype != x->dtype)
    return infer_fail(in, DN_TYPE,
                      "one index a slice, of the type of x, is needed");
  for (int i = 0; i < x->rank; i++)
    if (u->dim[i] != (i ? x->dim[i] : idx->dim[0]))
      return infer_fail(in, DN_TYPE, "slices differ from those of x in shape");
  if (!x->dim[0] && idx->dim[0])
    return infer_fail(in, DN_TYPE, "there is nowhere to put slices");
  return x;
}

const struct ir_type *infer_set_size(struct infer *in) {
  const struct ir_type *x = infer_arg(in, 0), *n = infer_arg(in, 1);
  const struct ir_type *y = infer_shape(in, x->dtype);
  bool ok = n->dtype == IR_I64 && !n->rank && x->rank && y &&
            y->rank == x->rank && y->dim[0] <= x->dim[0];
  const struct ir_size *sizes[IR_MAX_RANK] = {NULL};
  for (int d = 1; ok && d < x->rank; d++) {
    ok = y->dim[d] == x->dim[d];
    sizes[d] = x->size[d];
  }
  in->sized = true;
  if (!ok)
    return y ? infer_fail(in, DN_TYPE,
                          "'shape' is no first entries of x, or n is "
                          "no i64")
             : NULL;
  return ir_type_sized(in->ctx, y, sizes);
}

const struct ir_type *infer_iota(struct infer *in) {
  enum ir_dtype to;
  if (!infer_dtype(in, &to))
    return NULL;
  const struct ir_type *y = infer_shape(in, to);
  in->sized = true;
  if (y && !infer_axis_ok(in, ir_get_int(in->op, "axis"), y->rank))
    return NULL;
  return y;
}
