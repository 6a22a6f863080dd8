/* infer.c - result types. A row of ops.def names one of these functions; each
 * serves a family. Dims may be symbols where nothing is computed from them. All
 * numbers from a model are checked here, so that later layers may rely on them:
 * list attributes have the right length, and sizes stay within +-2^40. Ops that
 * move elements have their rules in infer_move.c. */
#include "ir/infer.h"

#include "ir/size_infer.h"

#include <assert.h>
#include <string.h>

const struct ir_type *infer_arg(const struct infer *in, unsigned i) {
  const struct ir_type *t = ir_arg(in->op, i)->type;
  return in->at ? ir_type_at(in->ctx, t, in->at) : t;
}

const struct ir_type *infer_fail(const struct infer *in, enum dn_code code,
                                 const char *message) {
  dn_error(in->ctx, ir_loc(in->op), code, "%s", message);
  for (unsigned i = 0; i < in->op->noperands && i < 4; i++)
    dn_note(in->ctx, "operand %u is %s", i,
            ir_type_text(in->ctx, NULL, infer_arg(in, i)));
  return NULL;
}

const struct ir_type *infer_made(const struct infer *in, enum ir_dtype dtype,
                                 int64_t rank, const int64_t *dims) {
  for (int64_t i = 0; i < rank && i < IR_MAX_RANK; i++)
    if (dims[i] > INFER_BIG)
      return infer_fail(in, DN_LIMIT, "a dimension of the result is over 2^40");
  if (rank > IR_MAX_RANK)
    return infer_fail(in, DN_LIMIT, "the result has more than 12 dimensions");
  if (!ir_type_fits(in->ctx, dtype, rank, dims))
    return infer_fail(in, DN_LIMIT, "the result is larger than --limit-tensor");
  assert(rank >= 0 && "a rank, or the length of a list");
  return ir_type(in->ctx, dtype, (int)rank, dims);
}

bool infer_list_ok(const struct infer *in, const char *name, int64_t len,
                   int64_t lo, int64_t hi) {
  const struct ir_attr *a = ir_find_attr(in->op, name);
  if (!a)
    return true;
  if (a->n != len)
    return dn_error(in->ctx, ir_loc(in->op), DN_ATTR,
                    "'%s' has %lld elements, not %lld", name, (long long)a->n,
                    (long long)len);
  for (int64_t i = 0; i < len; i++) {
    if (a->is[i] >= lo && a->is[i] <= hi)
      continue;
    return dn_error(in->ctx, ir_loc(in->op), DN_ATTR,
                    "'%s' holds %lld, outside [%lld, %lld]", name,
                    (long long)a->is[i], (long long)lo, (long long)hi);
  }
  return true;
}

bool infer_axis_ok(const struct infer *in, int64_t axis, int64_t rank) {
  if (axis >= 0 && axis < rank)
    return true;
  return dn_error(in->ctx, ir_loc(in->op), DN_ATTR,
                  "axis %lld is outside [0, %lld]", (long long)axis,
                  (long long)rank - 1);
}

bool infer_fixed(const struct infer *in, const struct ir_type *t, int from,
                 int to) {
  for (int i = from; i < to; i++)
    if (t->dim[i] < 0)
      return infer_fail(in, DN_DIM,
                        "a size must be known here: bind it with --dim");
  return true;
}

/* ---- MAP ---- */

const struct ir_type *infer_same(struct infer *in) {
  return ir_type_as(in->ctx, infer_arg(in, 0), infer_arg(in, 0)->dtype);
}

static const struct ir_type *infer_axis(struct infer *in) {
  return infer_axis_ok(in, ir_get_int(in->op, "axis"), infer_arg(in, 0)->rank)
             ? infer_same(in)
             : NULL;
}

const struct ir_type *infer_argsort(struct infer *in) {
  const struct ir_type *x = infer_arg(in, 0);
  int64_t axis = ir_get_int(in->op, "axis"), k = ir_get_int(in->op, "k");
  int64_t dims[IR_MAX_RANK];
  if (!infer_axis_ok(in, axis, x->rank))
    return NULL;
  memcpy(dims, x->dim, sizeof dims);
  if (!infer_fixed(in, x, (int)axis, (int)axis + 1))
    return NULL;
  if (k < 0 || k > dims[axis] || dims[axis] > INT32_MAX)
    return infer_fail(in, DN_ATTR, "k is not among the elements of the axis");
  dims[axis] = k;
  return ir_type(in->ctx, IR_I32, x->rank, dims);
}

const struct ir_type *infer_running(struct infer *in) {
  int64_t step = ir_get_int(in->op, "step"), lag = ir_get_int(in->op, "lag");
  if ((step != 1 && step != -1) || lag > INT32_MAX || lag < -INT32_MAX ||
      lag * step < 0)
    return infer_fail(
        in, DN_ATTR, "step is 1, with a lag of 0 or more, or -1, of 0 or less");
  return infer_axis(in);
}

const struct ir_type *infer_float(struct infer *in) {
  if (!ir_is_float(infer_arg(in, 0)->dtype))
    return infer_fail(in, DN_TYPE, "the operand must be of a float type");
  return infer_same(in);
}

static bool merge_dims(int64_t *dim, int64_t other) {
  if (*dim == 1)
    *dim = other;
  return other == 1 || *dim == other;
}

/* Right-aligned broadcast of the first `rank_a - skip` dims of two shapes. */
static int broadcast_dims(const int64_t *a, int ra, const int64_t *b, int rb,
                          int64_t *out) {
  int r = ra > rb ? ra : rb;
  assert(r <= IR_MAX_RANK && "both are ranks of types");
  for (int i = 0; i < r; i++) {
    int ia = i - (r - ra), ib = i - (r - rb);
    out[i] = ia >= 0 ? a[ia] : 1;
    if (ib >= 0 && !merge_dims(&out[i], b[ib]))
      return -1;
  }
  return r;
}

static const struct ir_type *broadcast_from(struct infer *in, unsigned first,
                                            enum ir_dtype result) {
  int64_t dims[IR_MAX_RANK] = {0};
  int rank = 0;
  for (unsigned i = 0; i < in->op->noperands; i++) {
    const struct ir_type *t = infer_arg(in, i);
    if (i > first && t->dtype != infer_arg(in, first)->dtype)
      return infer_fail(in, DN_TYPE, "operands differ in element type");
    int64_t merged[IR_MAX_RANK];
    rank = broadcast_dims(dims, i ? rank : 0, t->dim, t->rank, merged);
    if (rank < 0)
      return infer_fail(in, DN_TYPE, "operand shapes do not broadcast");
    memcpy(dims, merged, sizeof merged);
  }
  return infer_made(in, result, rank, dims);
}

const struct ir_type *infer_broadcast(struct infer *in) {
  return broadcast_from(in, 0, infer_arg(in, 0)->dtype);
}

const struct ir_type *infer_compare(struct infer *in) {
  return broadcast_from(in, 0, IR_BOOL);
}

const struct ir_type *infer_select(struct infer *in) {
  if (infer_arg(in, 0)->dtype != IR_BOOL)
    return infer_fail(in, DN_TYPE, "the condition must be bool");
  return broadcast_from(in, 1, infer_arg(in, 1)->dtype);
}

const struct ir_type *infer_test(struct infer *in) {
  if (!infer_float(in))
    return NULL;
  return ir_type_as(in->ctx, infer_arg(in, 0), IR_BOOL);
}

bool infer_dtype(const struct infer *in, enum ir_dtype *out) {
  const char *text = ir_get_str(in->op, "to");
  if (ir_dtype_find(text, out))
    return true;
  return dn_error(in->ctx, ir_loc(in->op), DN_ATTR, "'%s' is no element type",
                  text);
}

const struct ir_type *infer_cast(struct infer *in) {
  enum ir_dtype to;
  return infer_dtype(in, &to) ? ir_type_as(in->ctx, infer_arg(in, 0), to)
                              : NULL;
}

const struct ir_type *infer_narrow(struct infer *in) {
  enum ir_dtype to;
  if (!infer_dtype(in, &to) || !infer_float(in))
    return NULL;
  if (ir_is_float(to) || to == IR_BOOL || ir_dtypes[to].bits > 16)
    return infer_fail(in, DN_TYPE,
                      "'to' must be an integer type of up to 16 bits");
  return broadcast_from(in, 0, to);
}

const struct ir_type *infer_bits(struct infer *in) {
  enum ir_dtype to;
  if (!infer_dtype(in, &to))
    return NULL;
  if (to == IR_BOOL ||
      ir_dtypes[to].bits != ir_dtypes[infer_arg(in, 0)->dtype].bits)
    return infer_fail(in, DN_TYPE, "the types differ in width");
  return ir_type_as(in->ctx, infer_arg(in, 0), to);
}

const struct ir_type *infer_shape(struct infer *in, enum ir_dtype dtype) {
  const struct ir_attr *a = ir_find_attr(in->op, "shape");
  assert(a && "ir_op_check() has seen required attributes");
  if (!infer_list_ok(in, "shape", a->n, 0, INFER_BIG))
    return NULL;
  return infer_made(in, dtype, a->n, a->is);
}

const struct ir_type *infer_expand(struct infer *in) {
  const struct ir_type *x = infer_arg(in, 0);
  const struct ir_type *y = infer_shape(in, x->dtype);
  if (!y)
    return NULL;
  for (int i = 1; i <= x->rank; i++)
    if (i > y->rank || (x->dim[x->rank - i] != 1 &&
                        x->dim[x->rank - i] != y->dim[y->rank - i]))
      return infer_fail(in, DN_TYPE,
                        "the operand does not broadcast to 'shape'");
  const struct ir_size *sizes[IR_MAX_RANK] = {NULL};
  for (int i = 1; i <= x->rank; i++)
    sizes[y->rank - i] = x->size[x->rank - i];
  in->sized = true;
  return ir_type_sized(in->ctx, y, sizes);
}

/* ---- CONTRACT ---- */

/* Attributes of windows over `n` dims. */
static bool window_ok(const struct infer *in, int n) {
  return infer_list_ok(in, "strides", n, 1, INFER_BIG) &&
         infer_list_ok(in, "dilations", n, 1, INFER_BIG) &&
         infer_list_ok(in, "pads", 2 * n, -INFER_BIG, INFER_BIG);
}

int64_t infer_pads(const struct infer *in, int n, int i) {
  return ir_get_at(in->op, "pads", i) + ir_get_at(in->op, "pads", n + i);
}

/* Positions of a window along one dim; -1 when it fits nowhere. */
static int64_t window_count(int64_t size, int64_t window, int64_t stride,
                            int64_t dilation, int64_t pads) {
  assert(window >= 1 && stride >= 1 && dilation >= 1 &&
         "infer_list_ok() and the callers refuse others");
  int64_t span = size + pads - ((window - 1) * dilation + 1);
  return span < 0 ? -1 : span / stride + 1;
}

/* The type of a sum of products: that of the operands, or what `to` says, which
 * is as wide at least. */
static bool sum_type(const struct infer *in, enum ir_dtype *out) {
  enum ir_dtype a = infer_arg(in, 0)->dtype, b = infer_arg(in, 1)->dtype;
  *out = a;
  if (*ir_get_str(in->op, "to") && !infer_dtype(in, out))
    return false;
  const struct ir_dtype_row *sum = &ir_dtypes[*out];
  if (a != b || a != *out)
    for (unsigned i = 0; i < 2; i++) {
      const struct ir_dtype_row *row = &ir_dtypes[infer_arg(in, i)->dtype];
      if (row->kind == IR_LOGIC || sum->kind == IR_LOGIC ||
          (row->kind == IR_FLOAT) != (sum->kind == IR_FLOAT) ||
          row->bits > sum->bits || !*ir_get_str(in->op, "to"))
        return infer_fail(in, DN_TYPE,
                          "operands differ in element type, or from their sum");
    }
  return true;
}

const struct ir_type *infer_conv(struct infer *in) {
  const struct ir_type *x = infer_arg(in, 0), *w = infer_arg(in, 1);
  int s = x->rank - 2;
  enum ir_dtype to;
  if (s < 0 || w->rank != x->rank)
    return infer_fail(in, DN_TYPE,
                      "x must be [N,spatial..,C], w [O,window..,C/groups]");
  if (!sum_type(in, &to))
    return NULL;
  if (!window_ok(in, s) || !infer_fixed(in, x, 1, x->rank) ||
      !infer_fixed(in, w, 0, w->rank))
    return NULL;
  int64_t g = ir_get_int(in->op, "groups"), dims[IR_MAX_RANK];
  if (g < 1 || w->dim[0] % g || x->dim[s + 1] != w->dim[s + 1] * g)
    return infer_fail(
        in, DN_TYPE,
        "channels do not fit: x has C, w has C/groups, groups divides O");
  dims[0] = x->dim[0];
  for (int i = 0; i < s; i++) {
    int64_t window = w->dim[1 + i], dil = ir_get_at(in->op, "dilations", i);
    if (window < 1 || window > INFER_BIG / dil)
      return infer_fail(in, DN_TYPE, "the window is empty or too large");
    dims[1 + i] =
        window_count(x->dim[1 + i], window, ir_get_at(in->op, "strides", i),
                     dil, infer_pads(in, s, i));
    if (dims[1 + i] < 0)
      return infer_fail(in, DN_TYPE,
                        "the window is larger than the padded input");
  }
  dims[s + 1] = w->dim[0];
  return infer_made(in, to, x->rank, dims);
}

const struct ir_type *infer_matmul(struct infer *in) {
  const struct ir_type *a = infer_arg(in, 0), *b = infer_arg(in, 1);
  enum ir_dtype to;
  if (a->rank < 2 || b->rank < 2)
    return infer_fail(in, DN_TYPE, "operands must be matrices");
  if (!sum_type(in, &to))
    return NULL;
  int64_t dims[IR_MAX_RANK];
  int batch = broadcast_dims(a->dim, a->rank - 2, b->dim, b->rank - 2, dims);
  if (batch < 0 || a->dim[a->rank - 1] != b->dim[b->rank - 2])
    return infer_fail(in, DN_TYPE, "inner or batch dimensions do not fit");
  dims[batch] = a->dim[a->rank - 2];
  dims[batch + 1] = b->dim[b->rank - 1];
  return infer_made(in, to, batch + 2, dims);
}

/* `equation` is "ab,bc->ac": letters only, two operands, every result letter in
 * an operand and once. */
const struct ir_type *infer_einsum(struct infer *in) {
  const char *s = ir_get_str(in->op, "equation");
  int64_t size[128] = {0}, dims[IR_MAX_RANK];
  bool made[128] = {false};
  enum ir_dtype to;
  if (!sum_type(in, &to))
    return NULL;
  for (int part = 0, n = 0;; s++) {
    bool last = part == 2;
    if (*s == ',' || *s == '-' || !*s) {
      const bool bad = *s == ','   ? part != 0
                       : *s == '-' ? part != 1 || s[1] != '>'
                                   : !last;
      if (bad || (!last && n != infer_arg(in, (unsigned)part)->rank))
        return infer_fail(in, DN_ATTR,
                          "the equation does not fit the operands");
      if (last)
        return infer_made(in, to, n, dims);
      s += *s == '-';
      part++;
      n = 0;
      continue;
    }
    bool letter = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z');
    if (!letter || (last && made[(unsigned char)*s]) || n >= IR_MAX_RANK ||
        (!last && n >= infer_arg(in, (unsigned)part)->rank))
      return infer_fail(in, DN_ATTR, "the equation does not fit the operands");
    int64_t *of = &size[(unsigned char)*s];
    int64_t d = last ? *of - 1 : infer_arg(in, (unsigned)part)->dim[n];
    if (d < 0 || (!last && *of && *of != d + 1))
      return infer_fail(
          in, DN_TYPE, "a letter of the equation stands for two sizes or none");
    *of = d + 1;
    made[(unsigned char)*s] = last;
    dims[n++] = d;
  }
}

/* ---- REDUCE ---- */

const struct ir_type *infer_reduce(struct infer *in) {
  const struct ir_type *x = infer_arg(in, 0);
  const struct ir_attr *axes = ir_find_attr(in->op, "axes");
  assert(axes && "ir_op_check() has seen required attributes");
  int64_t dims[IR_MAX_RANK];
  bool seen[IR_MAX_RANK] = {0};
  memcpy(dims, x->dim, sizeof dims);
  for (int64_t i = 0; i < axes->n; i++) {
    if (!infer_axis_ok(in, axes->is[i], x->rank))
      return NULL;
    if (seen[axes->is[i]])
      return infer_fail(in, DN_ATTR, "an axis is given twice");
    seen[axes->is[i]] = true;
    dims[axes->is[i]] = 1;
  }
  return infer_made(in, x->dtype, x->rank, dims);
}

const struct ir_type *infer_argreduce(struct infer *in) {
  const struct ir_type *x = infer_arg(in, 0), *y = infer_reduce(in);
  int64_t count = 1;
  for (int d = 0; y && d < x->rank; d++) {
    if (y->dim[d] == x->dim[d])
      continue;
    if (!infer_fixed(in, x, d, d + 1))
      return NULL;
    if (!dn_mul(count, x->dim[d], &count))
      count = INT64_MAX;
  }
  if (count > INT32_MAX)
    return infer_fail(in, DN_LIMIT, "over 2^31 elements are reduced to one");
  return y ? infer_made(in, IR_I32, y->rank, y->dim) : NULL;
}

const struct ir_type *infer_window(struct infer *in) {
  const struct ir_type *x = infer_arg(in, 0);
  int r = x->rank;
  if (!infer_list_ok(in, "kernel", r, 1, INFER_BIG) || !window_ok(in, r))
    return NULL;
  int64_t dims[IR_MAX_RANK];
  for (int i = 0; i < r; i++) {
    int64_t k = ir_get_at(in->op, "kernel", i);
    int64_t s = ir_get_at(in->op, "strides", i);
    int64_t d = ir_get_at(in->op, "dilations", i);
    int64_t p = infer_pads(in, r, i);
    dims[i] = x->dim[i];
    if (k == 1 && s == 1 && p == 0)
      continue; /* may be symbolic */
    if (!infer_fixed(in, x, i, i + 1))
      return NULL;
    if (k > INFER_BIG / d ||
        (dims[i] = window_count(x->dim[i], k, s, d, p)) < 0)
      return infer_fail(in, DN_TYPE,
                        "the window is larger than the padded input");
  }
  return infer_made(in, x->dtype, r, dims);
}

/* Ops with regions and terminators: the verifier checks them. */
const struct ir_type *infer_region(struct infer *in) {
  return infer_fail(in, DN_TYPE,
                    "the result types of this op are not inferred");
}

const struct ir_type *infer_none(struct infer *in) {
  return infer_fail(in, DN_TYPE, "this op has no result");
}

static infer_fn *const rules[IR_NUM_OPS] = {
#define OP(ID, text, cls, operands, attrs, traits, infer, body, summary)       \
  infer_##infer,
#include "ir/ops.def"
#undef OP
};

/* At a point a rule may find no type, and its message is dropped. */
static const struct ir_type *infer_at(void *user, const struct ir_point *at) {
  struct infer in = *(struct infer *)user;
  size_t from = dn_diags_count(in.ctx);
  bool was = dn_diags_capture(in.ctx, true);
  in.at = at;
  const struct ir_type *y = NULL;
  bool ok = true;
  for (unsigned i = 0; i < in.op->noperands; i++)
    ok &= infer_arg(&in, i) != NULL;
  if (ok)
    y = rules[in.op->code](&in);
  dn_diags_rewind(in.ctx, from);
  dn_diags_capture(in.ctx, was);
  return y;
}

const struct ir_type *ir_infer(struct dn_ctx *ctx, const struct ir_op *op) {
  assert(op->code < IR_NUM_OPS && "opcodes are rows of ops.def");
  struct infer in = {.ctx = ctx, .op = op};
  const struct ir_type *y = rules[op->code](&in);
  bool sized = false;
  for (unsigned i = 0; i < op->noperands; i++)
    sized |= ir_type_is_sized(ir_arg(op, i)->type);
  if (!y || !sized || in.sized)
    return y;
  struct dn_arena *tmp = dn_arena_new(ctx);
  const struct ir_type **known =
      DN_ARRAY(tmp, const struct ir_type *, op->noperands);
  for (unsigned i = 0; i < op->noperands; i++)
    known[i] = ir_arg(op, i)->type;
  y = ir_size_fit(ctx, y, known, op->noperands, infer_at, &in);
  dn_arena_free(tmp);
  return y ? y
           : infer_fail(
                 &in, DN_DIM,
                 "sizes that are known at run time only do not fit, or come "
                 "to none that can be told");
}
