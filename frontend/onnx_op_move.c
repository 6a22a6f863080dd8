/* onnx_op_move.c - operators that move elements without looking at them. */
#include <string.h>

#include "frontend/decompose.h"
#include "frontend/onnx_ops.h"

bool onnx_concat(struct onnx_call *c) {
  int64_t axis;
  if (!fe_axis(c->b, ox_int(c, "axis", c->arg), fe_rank(c->in[0]), &axis))
    return false;
  return ox_return(c, fe_concat(c->b, c->in, c->nin, axis));
}

bool onnx_tile(struct onnx_call *c) {
  const struct ir_value *x = c->in[0];
  struct ox_ints reps;
  int r = fe_rank(x);
  int64_t declared[IR_MAX_RANK], rank = 0;
  if (ox_declared_dims(c, 1, declared, &rank) && rank == r) {
    for (int i = 0; i < r; i++)
      declared[i] = fe_dims(x)[i] ? declared[i] / fe_dims(x)[i] : 0;
    reps = (struct ox_ints){true, r, declared};
  } else if (!ox_const_ints(c, 1, &reps)) {
    return false;
  }
  if (reps.n != r)
    return ox_fail(c, ATTR, "%lld repeats for rank %d", (long long)reps.n, r);
  return ox_return(c, fe_tile(c->b, c->in[0], reps.v));
}

/* ---- Parts ---- */

/* Element i of a list input k, for dim `dim` of those that `axes` names (NULL: all
 * in turn), known at run time; `otherwise` where dim is not among them. */
static struct ir_value *entry(struct onnx_call *c, size_t k, int64_t dim,
                              int64_t from, struct ir_value *axes,
                              double otherwise) {
  struct ir_value *list = ox_in(c, k), *v = fe_scalar(c->b, IR_I64, otherwise);
  int64_t r = fe_rank(c->in[0]);
  int64_t n = !list ? 0 : axes ? ir_type_count(axes->type) : r;
  for (int64_t i = 0; i < n && list; i++) {
    if (!axes && i != dim)
      continue;
    if (from + i >= ir_type_count(list->type))
      break;
    struct ir_value *e = fe_cast(
        c->b,
        fe_reshape(c->b, fe_slice1(c->b, list, 0, from + i, 1, 1), 0, NULL),
        IR_I64);
    if (axes) {
      struct ir_value *a = fe_cast(
          c->b, fe_reshape(c->b, fe_slice1(c->b, axes, 0, i, 1, 1), 0, NULL),
          IR_I64);
      a = fe_op2(c->b, IR_MOD, a, fe_scalar(c->b, IR_I64, (double)r));
      e = fe_select(
          c->b, fe_op2(c->b, IR_EQ, a, fe_scalar(c->b, IR_I64, (double)dim)), e,
          v);
    }
    v = e;
  }
  return v;
}

/* Slice by operands known at run time, of which the declared shape says how many
 * elements they take: each dim is gathered from where they start. */
static struct ir_value *slice_any(struct onnx_call *c, const int64_t *dims) {
  struct ir_value *x = c->in[0], *axes = ox_in(c, 3);
  for (int i = 0; i < fe_rank(c->in[0]) && x; i++) {
    double dim = (double)fe_dims(x)[i];
    struct ir_value *at = entry(c, 1, i, 0, axes, 0);
    struct ir_value *by = entry(c, 4, i, 0, axes, 1);
    struct ir_value *zero = fe_scalar(c->b, IR_I64, 0);
    at = fe_select(c->b, fe_op2(c->b, IR_LT, at, zero),
                   fe_offset(c->b, at, dim), at);
    at = fe_op2(c->b, IR_MIN, fe_op2(c->b, IR_MAX, at, zero),
                fe_scalar(c->b, IR_I64, dim - 1));
    at = fe_add(c->b, at,
                fe_mul(c->b, fe_iota(c->b, 1, 0, dims[i], IR_I64), by));
    bool all =
        at && at->data && dims[i] == fe_dims(x)[i] && ir_const_int(at, 0) == 0;
    if (!all)
      x = fe_gather(c->b, x, at, i);
  }
  return x;
}

bool onnx_slice(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  int64_t declared[IR_MAX_RANK], rank = 0;
  if ((ox_declared_dims(c, 1, declared, &rank) ||
       ox_declared_dims(c, 2, declared, &rank) ||
       ox_declared_dims(c, 3, declared, &rank) ||
       ox_declared_dims(c, 4, declared, &rank)) &&
      rank == fe_rank(x) && ir_type_count(x->type))
    return ox_return(c, slice_any(c, declared));
  return onnx_decompose(c);
}

bool onnx_split(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  struct ox_ints parts;
  int64_t axis, at = 0, n = (int64_t)c->nout;
  int64_t *declared = DN_ARRAY(c->im->ctx->arena, int64_t, n), known = 0;
  if (!fe_axis(c->b, ox_int(c, "axis", 0), fe_rank(x), &axis))
    return false;
  for (int64_t i = 0; i < n; i++) {
    declared[i] = ox_declared(c, (size_t)i, fe_rank(x), axis);
    known += declared[i] >= 0;
  }
  parts = (struct ox_ints){true, n, declared};
  if ((!ox_in(c, 1) || c->in[1]->data || known < n) &&
      !ox_ints_or_input(c, "split", 1, &parts))
    return false;
  int64_t dim = fe_dims(x)[axis], each = dn_div_ceil(dim, n);
  if (ox_int(c, "num_outputs", n) != n)
    return ox_fail(c, ARITY, "num_outputs is not the number of outputs");
  if (parts.given && parts.n != n)
    return ox_fail(c, ATTR, "%lld sizes for %lld outputs", (long long)parts.n,
                   (long long)n);
  if (!parts.given && c->version < 18 && dim % n)
    return ox_fail(c, ATTR, "%lld parts do not divide %lld", (long long)n,
                   (long long)dim);
  for (int64_t i = 0; i < n; i++) {
    int64_t size = parts.given ? parts.v[i] : dn_min(each, dim - at);
    if (size < 0 || size > dim - at)
      return ox_fail(c, ATTR, "the sizes do not sum to %lld", (long long)dim);
    c->out[i] = fe_slice1(c->b, x, axis, at, size, 1);
    at += size;
  }
  return at == dim ||
         ox_fail(c, ATTR, "the sizes do not sum to %lld", (long long)dim);
}

/* ---- Pad ---- */

/* Pad by operands known at run time: the declared shape says how much in all. */
static struct ir_value *pad_any(struct onnx_call *c, const int64_t *dims,
                                const char *mode) {
  struct ir_value *x = c->in[0], *axes = ox_in(c, 3), *inside = NULL;
  int r = fe_rank(x);
  for (int i = 0; i < r && x; i++) {
    double dim = (double)fe_dims(x)[i];
    struct ir_value *begin = entry(c, 1, i, 0, axes, 0);
    struct ir_value *at =
        fe_sub(c->b, fe_iota(c->b, 1, 0, dims[i], IR_I64), begin);
    struct ir_value *end = at ? fe_number(c->b, at, dim) : NULL;
    if (strcmp(mode, "constant") != 0) {
      struct ir_value *out[1] = {0};
      fe_decompose(c->b, FE_PAD_AT, IR_ARGS(at, begin),
                   IR_ATTRS(ir_str("mode", mode), ir_int("dim", fe_dims(x)[i]),
                            ir_int("size", dims[i])),
                   out, 1);
      at = out[0];
    } else {
      struct ir_value *in =
          fe_op2(c->b, IR_AND, fe_op2(c->b, IR_LE, fe_number(c->b, at, 0), at),
                 fe_op2(c->b, IR_LT, at, end));
      in = fe_unsqueeze(c->b, in, 0, r - 1 - i);
      inside = inside ? fe_op2(c->b, IR_AND, inside, in) : in;
    }
    x = fe_gather(c->b, x, at, i);
  }
  if (!inside || !x)
    return x;
  struct ir_value *value =
      ox_in(c, 2) ? fe_reshape(c->b, c->in[2], 0, NULL) : fe_number(c->b, x, 0);
  return fe_select(c->b, inside, x, value);
}

bool onnx_pad(struct onnx_call *c) {
  static const char *const modes[] = {"constant", "edge", "reflect", "wrap"};
  struct ir_value *x = c->in[0], *value = ox_in(c, 2);
  int64_t declared[IR_MAX_RANK], rank = 0;
  const char *mode = ox_str(c, "mode", "constant");
  if ((ox_declared_dims(c, 1, declared, &rank) ||
       ox_declared_dims(c, 3, declared, &rank)) &&
      rank == fe_rank(x) && ir_type_count(x->type) &&
      dn_find_row(modes, DN_COUNT(modes), sizeof *modes, mode) >= 0)
    return ox_return(c, pad_any(c, declared, mode));
  struct ir_value *known = value ? ox_evaluate(c, value) : NULL;
  if (known)
    c->in[2] = known;
  return onnx_decompose(c);
}
