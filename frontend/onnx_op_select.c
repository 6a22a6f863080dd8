/* onnx_op_select.c - operators whose result has as many entries as values say:
 * what NonZero, Compress, Unique and NonMaxSuppression select. How many is known
 * when the values are, or by the shape that the model declares for the output,
 * which the values must then keep. */
#include <math.h>
#include <string.h>

#include "frontend/onnx_string.h"

#define MAX_PAIRS (1 << 26) /* comparisons of entries with each other */
#define MAX_STEPS 512       /* boxes that are picked one after the other */

/* How many there are: of `total`, at most `most`. `size` is what the model
 * declares, or -1. */
bool ox_find_size(struct onnx_call *c, struct ir_value *total, int64_t most,
                  int64_t size, int64_t *n) {
  struct ir_value *known = NULL;
  if (!total)
    return false;
  if (total->data || size < 0)
    known = ox_evaluate(c, total);
  *n = known ? ir_const_int(known, 0) : size;
  if (*n < 0)
    return ox_fail(c, DYNAMIC,
                   "values decide how large its result is, whose shape must be "
                   "declared or whose inputs must be constants");
  return *n <= most || ox_fail(c, SHAPE, "%lld of %lld entries are declared",
                               (long long)*n, (long long)most);
}

static struct ir_value *flat(struct onnx_call *c, struct ir_value *x) {
  return x ? fe_reshape(c->b, x, 1, (int64_t[]){ir_type_count(x->type)}) : NULL;
}

static struct ir_value *zeros(struct onnx_call *c, int64_t n) {
  return fe_expand(c->b, fe_scalar(c->b, IR_I64, 0), 1, &n);
}

static struct ir_value *put(struct onnx_call *c, enum ir_opcode code,
                            int64_t size, struct ir_value *at,
                            struct ir_value *v) {
  return fe_emit(c->b, code, IR_ARGS(zeros(c, size), at, v), NULL, 0);
}

/* Of a mask [m]: how many are set. */
struct ir_value *ox_total(struct onnx_call *c, struct ir_value *mask) {
  const bool all[IR_MAX_RANK] = {true};
  struct ir_value *n =
      fe_reduce(c->b, IR_REDUCE_SUM, fe_cast(c->b, mask, IR_I64), all);
  return fe_squeeze(c->b, n, all);
}

/* Numbers of the first n entries that are set in a mask [m]: each goes to the
 * place that a running sum gives it, others behind the end. */
struct ir_value *ox_selected(struct onnx_call *c, struct ir_value *mask,
                             int64_t n) {
  if (!mask)
    return NULL;
  int64_t m = ir_type_count(mask->type);
  if (!n || !m)
    return zeros(c, n);
  struct ir_value *place =
      fe_emit(c->b, IR_CUMSUM, IR_ARGS(fe_cast(c->b, mask, IR_I64)),
              IR_ATTRS(ir_int("axis", 0), ir_int("lag", 1)));
  place = fe_select(c->b, mask, place, fe_number(c->b, place, (double)n));
  struct ir_value *at =
      put(c, IR_SCATTER, n + 1, place, fe_iota(c->b, 1, 0, m, IR_I64));
  return fe_slice1(c->b, at, 0, 0, n, 1);
}

/* Row-major numbers [n] as indices along one dim, [n]. */
static struct ir_value *coordinate(struct onnx_call *c, struct ir_value *at,
                                   int64_t stride, int64_t dim) {
  if (stride != 1)
    at = fe_div(c->b, at, fe_number(c->b, at, (double)stride));
  return fe_op2(c->b, IR_MOD, at, at ? fe_number(c->b, at, (double)dim) : NULL);
}

bool onnx_non_zero(struct onnx_call *c) {
  struct ir_value *mask = flat(c, fe_cast(c->b, c->in[0], IR_BOOL));
  const struct ir_type *t = c->in[0]->type;
  struct ir_value *rows[IR_MAX_RANK + 1];
  int64_t strides[IR_MAX_RANK], n;
  if (!ox_find_size(c, ox_total(c, mask), ir_type_count(t),
                    ox_declared(c, 0, 2, 1), &n))
    return false;
  if (!n || !t->rank)
    return ox_return(c, fe_expand(c->b, fe_scalar(c->b, IR_I64, 0), 2,
                                  (int64_t[]){t->rank, n}));
  ir_type_strides(t, strides);
  struct ir_value *at = ox_selected(c, mask, n);
  for (int i = 0; i < t->rank; i++)
    rows[i] =
        fe_unsqueeze(c->b, coordinate(c, at, strides[i], t->dim[i]), 1, 0);
  return ox_return(c, fe_concat(c->b, rows, (size_t)t->rank, 0));
}

/* Entries along the axis (of all elements, without one) where a condition
 * holds. */
bool onnx_compress(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *keep = c->in[1];
  int64_t axis = 0, n;
  bool all = !ox_attr(c, "axis");
  if (all)
    x = flat(c, x);
  else if (!fe_axis(c->b, ox_int(c, "axis", 0), fe_rank(x), &axis))
    return false;
  if (!x || fe_rank(keep) != 1 || fe_dims(keep)[0] > fe_dims(x)[axis])
    return ox_fail(c, TYPE, "the condition is longer than the input");
  if (!ox_find_size(c, ox_total(c, keep), fe_dims(keep)[0],
                    ox_declared(c, 0, fe_rank(x), axis), &n))
    return false;
  return ox_return(c, fe_gather(c->b, x, ox_selected(c, keep, n), axis));
}

/* ---- Unique ---- */

/* Entries along the axis as numbers [n] that are equal, or less, where the
 * entries are so: how many entries are less. An entry is less than another where
 * the first of its elements that differs is. */
static struct ir_value *rank_entries(struct onnx_call *c, struct ir_value *x,
                                     int64_t axis) {
  int64_t n = fe_dims(x)[axis], perm[IR_MAX_RANK] = {axis};
  int64_t m = n ? ir_type_count(x->type) / n : 0;
  for (int i = 0, k = 1; i < fe_rank(x); i++)
    if (i != axis)
      perm[k++] = i;
  if (!n || !m)
    return zeros(c, n);
  if (n > MAX_PAIRS / n / m)
    return ox_null(c, LIMIT, "over %d comparisons", MAX_PAIRS);
  x = fe_transpose(c->b, x, perm);
  struct ir_value *a = fe_reshape(c->b, x, 3, (int64_t[]){n, 1, m});
  struct ir_value *b = fe_reshape(c->b, x, 3, (int64_t[]){1, n, m});
  struct ir_value *other = fe_op1(c->b, IR_NOT, fe_op2(c->b, IR_EQ, a, b));
  struct ir_value *first =
      fe_emit(c->b, IR_ARGMAX, IR_ARGS(fe_cast(c->b, other, IR_U8)),
              IR_ATTRS(ir_ints("axes", (int64_t[]){2}, 1)));
  struct ir_value *less = fe_emit(c->b, IR_GATHER_ELEMENTS,
                                  IR_ARGS(fe_op2(c->b, IR_LT, a, b), first),
                                  IR_ATTRS(ir_int("axis", 2)));
  const bool axes[IR_MAX_RANK] = {true, false, true};
  less = fe_reduce(c->b, IR_REDUCE_SUM, fe_cast(c->b, less, IR_I64), axes);
  return fe_squeeze(c->b, less, axes);
}

static struct ir_value *order_of(struct onnx_call *c, struct ir_value *v) {
  return fe_emit(
      c->b, IR_ARGSORT, IR_ARGS(v),
      IR_ATTRS(ir_int("axis", 0), ir_int("k", v ? fe_dims(v)[0] : 0)));
}

/* The entries of keys [m] that begin a group of equal ones, once sorted. */
static struct ir_value *begins(struct onnx_call *c, struct ir_value *sorted,
                               int64_t m) {
  struct ir_value *i = fe_iota(c->b, 1, 0, m, IR_I64);
  struct ir_value *zero = fe_number(c->b, i, 0);
  struct ir_value *before = fe_gather(
      c->b, sorted, fe_op2(c->b, IR_MAX, fe_offset(c->b, i, -1), zero), 0);
  struct ir_value *other =
      fe_op1(c->b, IR_NOT, fe_op2(c->b, IR_EQ, sorted, before));
  return fe_op2(c->b, IR_OR, other, fe_op2(c->b, IR_EQ, i, zero));
}

/* Groups by their first entries: `first` [n], `count` [n] and, of each entry,
 * its group, `of` [m]. */
static void in_order_met(struct onnx_call *c, struct ir_value **first,
                         struct ir_value **count, struct ir_value **of,
                         int64_t n) {
  struct ir_value *order = order_of(c, *first);
  struct ir_value *place =
      put(c, IR_SCATTER, n, order, fe_iota(c->b, 1, 0, n, IR_I64));
  *first = fe_gather(c->b, *first, order, 0);
  *count = fe_gather(c->b, *count, order, 0);
  *of = fe_gather(c->b, place, *of, 0);
}

bool onnx_unique(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  bool sorted, all = !ox_attr(c, "axis");
  int64_t axis = 0, n;
  if (!ox_flag(c, "sorted", true, &sorted))
    return false;
  if (all)
    x = flat(c, x);
  else if (!fe_axis(c->b, ox_int(c, "axis", 0), fe_rank(x), &axis))
    return false;
  if (x && fe_dtype(x) == IR_BOOL)
    x = fe_cast(c->b, x, IR_U8);
  struct ir_value *key = !x || fe_rank(x) == 1 ? x : rank_entries(c, x, axis);
  if (!key)
    return false;
  int64_t m = fe_dims(key)[0], size = ox_declared(c, 0, fe_rank(x), axis);
  for (size_t k = 1; k < 4 && size < 0; k += 2)
    size = ox_declared(c, k, 1, 0);
  struct ir_value *order = order_of(c, key);
  struct ir_value *begin = begins(c, fe_gather(c->b, key, order, 0), m);
  if (!ox_find_size(c, ox_total(c, begin), m, size, &n))
    return false;
  struct ir_value *group =
      fe_emit(c->b, IR_CUMSUM, IR_ARGS(fe_cast(c->b, begin, IR_I64)),
              IR_ATTRS(ir_int("axis", 0)));
  group = fe_offset(c->b, group, -1);
  struct ir_value *ones = fe_expand(c->b, fe_scalar(c->b, IR_I64, 1), 1, &m);
  struct ir_value *first = fe_gather(c->b, order, ox_selected(c, begin, n), 0);
  struct ir_value *count =
      n ? put(c, IR_SCATTER_SUM, n, group, ones) : zeros(c, 0);
  struct ir_value *of = put(c, IR_SCATTER, m, order, group);
  if (!sorted && n)
    in_order_met(c, &first, &count, &of, n);
  struct ir_value *results[] = {
      fe_cast(c->b, fe_gather(c->b, x, first, axis), fe_dtype(c->in[0])),
      fe_cast(c->b, first, IR_I64), of, count};
  for (size_t k = 0; k < c->nout && k < DN_COUNT(results); k++)
    c->out[k] = results[k];
  return c->out[0] != NULL;
}

/* ---- NonMaxSuppression ---- */

/* Of boxes [B,n,4], the lower and upper ends along y or x, [B,1,n]. */
static void box_ends(struct onnx_call *c, struct ir_value *boxes, int64_t at,
                     bool center, struct ir_value *ends[2]) {
  const bool last[IR_MAX_RANK] = {[2] = true};
  struct ir_value *a = fe_slice1(c->b, boxes, 2, at, 1, 1);
  struct ir_value *b = fe_slice1(c->b, boxes, 2, at + 2, 1, 1);
  a = fe_insert(c->b, fe_squeeze(c->b, a, last), 1);
  b = fe_insert(c->b, fe_squeeze(c->b, b, last), 1);
  if (center) {
    struct ir_value *half = fe_scale(c->b, b, 0.5);
    ends[0] = fe_sub(c->b, a, half);
    ends[1] = fe_add(c->b, a, half);
    return;
  }
  ends[0] = fe_op2(c->b, IR_MIN, a, b);
  ends[1] = fe_op2(c->b, IR_MAX, a, b);
}

/* Rows (batch entry, class, box) of the boxes that were picked, [n,3]. */
static struct ir_value *picked_rows(struct onnx_call *c, struct ir_value *best,
                                    struct ir_value *any) {
  int64_t n, classes = fe_dims(best)[1], steps = fe_dims(best)[2];
  any = flat(c, any);
  best = flat(c, best);
  if (!ox_find_size(c, ox_total(c, any), ir_type_count(best->type),
                    ox_declared(c, 0, 2, 0), &n))
    return NULL;
  struct ir_value *at = ox_selected(c, any, n);
  struct ir_value *row[] = {
      coordinate(c, at, classes * steps, INT32_MAX),
      coordinate(c, at, steps, classes),
      fe_cast(c->b, fe_gather(c->b, best, at, 0), IR_I64)};
  for (int i = 0; i < 3; i++)
    row[i] = fe_unsqueeze(c->b, row[i], 0, 1);
  return fe_concat(c->b, row, 3, 1);
}

/* A number in an input of one element, or `otherwise`. */
static struct ir_value *scalar_input(struct onnx_call *c, size_t k,
                                     double otherwise) {
  struct ir_value *v = ox_in(c, k);
  return v ? fe_reshape(c->b, v, 0, NULL)
           : fe_scalar(c->b, fe_dtype(c->in[0]), otherwise);
}

/* How many boxes a class may have: input 2, whose bound is *steps. NULL: as many
 * as that. */
static struct ir_value *most_boxes(struct onnx_call *c, int64_t *steps) {
  struct ir_value *v = ox_in(c, 2), *known = v ? ox_evaluate(c, v) : NULL;
  if (v && !known)
    return scalar_input(c, 2, 0);
  int64_t most =
      known && ir_type_count(known->type) == 1 ? ir_const_int(known, 0) : 0;
  *steps = dn_max(dn_min(*steps, most), 0);
  return NULL;
}

/* Picks boxes one after the other; best and any are [B,C,steps]. */
static bool pick(struct onnx_call *c, struct ir_value *scores, int64_t steps,
                 struct ir_value *most, struct ir_value **best,
                 struct ir_value **any) {
  struct ir_value *y[2], *x[2], *limit = scalar_input(c, 3, 0);
  struct dn_arena *arena = c->im->ctx->arena;
  struct ir_value **at = DN_ARRAY(arena, struct ir_value *, steps);
  struct ir_value **is = DN_ARRAY(arena, struct ir_value *, steps);
  int64_t center = ox_int(c, "center_point_box", 0);
  box_ends(c, c->in[0], center ? 1 : 0, center, y);
  box_ends(c, c->in[0], center ? 0 : 1, center, x);
  for (int64_t i = 0; i < steps; i++) {
    struct ir_value *out[3] = {0};
    if (!fe_decompose(c->b, FE_NMS_STEP,
                      IR_ARGS(scores, y[0], x[0], y[1], x[1], limit), NULL, 0,
                      out, 3))
      return false;
    at[i] = out[0];
    is[i] = most ? fe_op2(c->b, IR_AND, out[1],
                          fe_op2(c->b, IR_LT, fe_number(c->b, most, (double)i),
                                 most))
                 : out[1];
    scores = out[2];
  }
  *best = fe_concat(c->b, at, (size_t)steps, 2);
  *any = fe_concat(c->b, is, (size_t)steps, 2);
  return *best && *any;
}

bool onnx_non_max_suppression(struct onnx_call *c) {
  struct ir_value *boxes = c->in[0], *scores = c->in[1], *best, *any;
  bool center;
  if (!ox_flag(c, "center_point_box", false, &center))
    return false;
  if (fe_rank(boxes) != 3 || fe_rank(scores) != 3 || fe_dims(boxes)[2] != 4 ||
      fe_dims(boxes)[0] != fe_dims(scores)[0] ||
      fe_dims(boxes)[1] != fe_dims(scores)[2])
    return ox_fail(c, TYPE, "the scores do not fit the boxes");
  int64_t steps = fe_dims(boxes)[1];
  struct ir_value *most = most_boxes(c, &steps);
  if (!steps || !ir_type_count(scores->type))
    return ox_return(
        c, fe_expand(c->b, fe_scalar(c->b, IR_I64, 0), 2, (int64_t[]){0, 3}));
  if (steps > MAX_STEPS)
    return ox_fail(c, LIMIT, "more than %d boxes a class", MAX_STEPS);
  struct ir_value *lowest = scalar_input(c, 4, -HUGE_VAL);
  scores = fe_select(c->b, fe_op2(c->b, IR_LT, lowest, scores), scores,
                     fe_number(c->b, scores, -HUGE_VAL));
  return pick(c, scores, steps, most, &best, &any) &&
         ox_return(c, picked_rows(c, best, any));
}
