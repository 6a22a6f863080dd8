/* sizes_reshape.c - reshapes of dimensions with sizes that are no view of memory
 * at the bounds, as (H,W) to (H*W) and back. Elements are picked by their
 * row-major position among those dimensions:
 *
 *   %i = iota {shape=[64], to=i64} : i64["H*W"<=64]
 *   %t = gather %x, %i / W {axis=1} : f32[3,"H*W"<=64,W<=8]
 *   %y = gather_elements %t, %i mod W {axis=2} : f32[3,"H*W"<=64,1]
 *
 * which are one kernel. */
#include "passes/sizes_join.h"

#include "passes/edit.h"

#include <assert.h>

/* Without dimensions of 1. */
static const struct ir_type *squeezed(struct join *j, const struct ir_type *t) {
  const struct ir_size *size[IR_MAX_RANK];
  int64_t dim[IR_MAX_RANK];
  int n = 0;
  for (int d = 0; d < t->rank; d++)
    if (t->dim[d] != 1) {
      dim[n] = t->dim[d];
      size[n++] = t->size[d];
    }
  return ir_type_sized(j->ctx, ir_type(j->ctx, t->dtype, n, dim), size);
}

static struct ir_value *shaped(struct ir_builder *b, enum ir_opcode code,
                               struct ir_value *v, const struct ir_type *type) {
  struct ir_value *y = ir_emit(
      b, code, IR_ARGS(v), IR_ATTRS(ir_ints("shape", type->dim, type->rank)));
  if (y && code == IR_EXPAND)
    y->type = type;
  return y;
}

static struct ir_value *with_dim(struct ir_builder *b, enum ir_opcode code,
                                 struct ir_value *v, const struct ir_type *t,
                                 int d) {
  return ir_emit(b, code, IR_ARGS(v, sizes_dim(b, t, d)), NULL, 0);
}

/* Of each element of a type: its row-major position. */
static struct ir_value *position(struct ir_builder *b,
                                 const struct ir_type *to) {
  struct ir_value *at = NULL;
  for (int d = 0; d < to->rank; d++) {
    struct ir_value *i =
        ir_emit(b, IR_IOTA, NULL, 0,
                IR_ATTRS(ir_ints("shape", to->dim, to->rank), ir_int("axis", d),
                         ir_str("to", ir_dtypes[IR_I64].text)));
    if (i)
      i->type = ir_type_sized(b->m->ctx, i->type, to->size);
    at = d ? ir_emit(b, IR_ADD, IR_ARGS(with_dim(b, IR_MUL, at, to, d), i),
                     NULL, 0)
           : i;
  }
  return at;
}

/* Dimensions of v from `at` on, those of `from`, give way to those of `to`. */
static struct ir_value *pick(struct join *j, struct ir_builder *b,
                             struct ir_value *v, int at,
                             const struct ir_type *from,
                             const struct ir_type *to) {
  struct ir_value *pos = position(b, to), *index[IR_MAX_RANK];
  assert(from->rank && to->rank &&
         "sizes_reshape() takes dims between two borders");
  if (v->type->rank + to->rank > IR_MAX_RANK)
    return NULL;
  for (int d = from->rank; d-- > 1; pos = with_dim(b, IR_DIV, pos, from, d))
    index[d] = with_dim(b, IR_MOD, pos, from, d);
  v = ir_emit(b, IR_GATHER, IR_ARGS(v, pos), IR_ATTRS(ir_int("axis", at)));
  for (int d = 1; d < from->rank && v; d++) {
    const struct ir_size *size[IR_MAX_RANK];
    int64_t dim[IR_MAX_RANK], ones[IR_MAX_RANK], axis = at + to->rank + d - 1;
    for (int k = 0; k < v->type->rank; k++) {
      bool own = k >= at && k < at + to->rank;
      dim[k] = k == axis ? 1 : v->type->dim[k];
      size[k] = k == axis ? NULL : v->type->size[k];
      ones[k] = own ? dim[k] : 1;
    }
    const struct ir_type *few = ir_type(j->ctx, IR_I64, v->type->rank, ones);
    const struct ir_type *all = ir_type_sized(
        j->ctx, ir_type(j->ctx, IR_I64, v->type->rank, dim), size);
    struct ir_value *i = shaped(b, IR_RESHAPE, index[d], few);
    v = ir_emit(b, IR_GATHER_ELEMENTS, IR_ARGS(v, shaped(b, IR_EXPAND, i, all)),
                IR_ATTRS(ir_int("axis", axis)));
  }
  return v ? shaped(b, IR_RESHAPE, v, squeezed(j, v->type)) : NULL;
}

/* How many elements dimensions [0, n) have in lane k, but for those of 1. */
static int64_t count_before(const struct ir_type *bounds,
                            const struct ir_type *t, int n) {
  int64_t count = 1;
  for (int d = 0; n; d++) {
    assert(d < bounds->rank && "n is at most those of squeezed()");
    if (bounds->dim[d] != 1) {
      count *= t->dim[d];
      n--;
    }
  }
  return count;
}

/* Whether the first p dimensions become the first q in all lanes. */
static bool is_border(const struct join *j, struct ir_op *const *op, int p,
                      int q) {
  for (int k = 0; k < j->n; k++)
    if (count_before(ir_arg(op[0], 0)->type, ir_arg(op[k], 0)->type, p) !=
        count_before(ir_result(op[0])->type, ir_result(op[k])->type, q))
      return false;
  return true;
}

void sizes_reshape(struct join *j, struct ir_op **op) {
  struct ir_builder b = edit_before(op[0]);
  struct ir_value *v = ir_arg(op[0], 0);
  const struct ir_type *types[SIZES_MAX_LANES];
  int p[IR_MAX_RANK + 1] = {0}, q[IR_MAX_RANK + 1] = {0}, n = 0;
  for (int k = 0; k < j->n; k++)
    types[k] = ir_result(op[k])->type;
  const struct ir_type *to = sizes_fit_type(j, types);
  if (!to || !ir_type_is_sized(v->type) ||
      ir_size_reshape(j->ctx, v->type, types[0]) == to)
    return;
  const struct ir_type *from = squeezed(j, v->type), *want = squeezed(j, to);
  for (int a = 1; a <= from->rank; a++)
    for (int c = q[n] + 1; c <= want->rank; c++)
      if (is_border(j, op, a, c)) {
        n++;
        p[n] = a;
        q[n] = c;
        break;
      }
  if (p[n] != from->rank || q[n] != want->rank)
    return;
  v = shaped(&b, IR_RESHAPE, v, from);
  for (; v && n; n--) {
    const struct ir_type *old =
        ir_type_part(j->ctx, from, p[n - 1], p[n] - p[n - 1]);
    const struct ir_type *new =
        ir_type_part(j->ctx, want, q[n - 1], q[n] - q[n - 1]);
    const struct ir_type *bounds =
        ir_type(j->ctx, new->dtype, new->rank, new->dim);
    if (ir_size_reshape(j->ctx, old, bounds) != new)
      v = pick(j, &b, v, p[n - 1], old, new);
  }
  v = v ? shaped(&b, IR_RESHAPE, v, to) : NULL;
  if (!v)
    return;
  edit_replace(op[0], v, true);
  op[0] = v->def;
}
