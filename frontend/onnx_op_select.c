/* onnx_op_select.c - operators whose result has as many entries as values say:
 * what NonZero, Compress, Unique and NonMaxSuppression select. How many is
 * known when the values are, or by the shape that the model declares for the
 * output, which the values must then keep. */
#include <ctype.h>
#include <string.h>

#include "frontend/onnx_string.h"

/* Entries that there is room for where values decide: sizes of fewer are taken
 * for numbers. */
#define LEAST_ROOM 4

/* The name of a size that the node makes: its own, in letters, digits, dots and
 * underscores, and a number where another size has that name. */
static const char *size_name(struct onnx_call *c) {
  struct dn_ctx *ctx = c->im->ctx;
  const char *label = ox_label(c->im, c->node);
  char *name = dn_strndup(ctx->arena, label, strlen(label));
  for (char *p = name; *p; p++)
    if (!isalnum((unsigned char)*p) && *p != '.')
      *p = '_';
  const char *own = dn_intern(ctx, name);
  for (int k = 2; dn_map_get(&c->im->symbols, own); k++)
    own = dn_intern(ctx, dn_printf(ctx->arena, "%s_%d", name, k));
  dn_map_put(ctx->arena, &c->im->symbols, own, name);
  return own;
}

/* Equal ops of the same values compute both, as exporters write a mask once for
 * each of its readers. `left`: how many values may still be looked at. */
static bool is_same(const struct ir_value *x, const struct ir_value *y,
                    int *left) {
  enum { FEW = 64 };
  if (x == y)
    return true;
  if (x->data && y->data)
    return ir_type_count(x->type) <= FEW && ir_const_same(x, y);
  const struct ir_op *a = x->def, *b = y->def;
  if (!a || !b || a->code != b->code || a->nattrs != b->nattrs || a->nregions ||
      a->noperands != b->noperands || a->nresults != 1 || !--*left)
    return false;
  bool same = true;
  for (unsigned i = 0; i < a->nattrs && same; i++)
    same = a->attr[i].name == b->attr[i].name &&
           ir_attr_same(&a->attr[i], &b->attr[i]);
  for (unsigned i = 0; i < a->noperands && same; i++)
    same = is_same(ir_arg(a, i), ir_arg(b, i), left);
  return same;
}

/* What was made here, or around, as many as `total` says, with that room. */
static const struct ox_count *made_before(const struct onnx_call *c,
                                          const struct ir_value *total,
                                          int64_t most) {
  enum { LOOK_AT = 100 };
  for (size_t i = 0; i < c->im->made.n; i++) {
    const struct ox_count *n = c->im->made.v[i];
    const struct ir_block *b = c->b->at.block;
    int left = LOOK_AT;
    while (b && b != n->total->def->block)
      b = b->owner ? b->owner->block : NULL;
    if (b && n->most == most && is_same(n->total, total, &left))
      return n;
  }
  return NULL;
}

/* No scan is around the node, whose turns may run at once. */
static bool makes_sizes(const struct onnx_call *c) {
  const struct ir_block *b = c->b->at.block;
  while (b->owner && b->owner->code != IR_SCAN)
    b = b->owner->block;
  return !b->owner;
}

bool ox_find_size(struct onnx_call *c, struct ir_value *total, int64_t most,
                  int64_t declared, struct ox_count *n) {
  struct ir_value *known = NULL;
  *n = (struct ox_count){.n = declared, .most = most, .total = total};
  if (!total)
    return false;
  if (total->data || declared < 0)
    known = ox_evaluate(c, total);
  if (known)
    n->n = ir_const_int(known, 0);
  const struct ox_count *same = made_before(c, total, most);
  if (n->n < 0 && same) {
    *n = *same;
  } else if (n->n < 0 && most && makes_sizes(c)) {
    const char *name = size_name(c);
    n->n = fe_made_dim(c->im->ctx, c->im->opts, c->b->loc, name,
                       dn_max(most, LEAST_ROOM), &n->room);
    n->size = n->room ? name : NULL;
    if (n->size && n->room < LEAST_ROOM) /* lanes step up: sizes_points.c */
      n->room = LEAST_ROOM + 1;
    if (n->size)
      DN_PUSH(c->im->ctx->arena, c->im->made,
              dn_copy(c->im->ctx->arena, n, sizeof *n));
  }
  if (n->size)
    return true;
  n->room = n->n;
  if (n->n < 0)
    return ox_fail(c, DYNAMIC,
                   "values decide how large its result is, whose shape must be "
                   "declared or whose inputs must be constants");
  return n->n <= most || ox_fail(c, SHAPE, "%lld of %lld entries are declared",
                                 (long long)n->n, (long long)most);
}

struct ir_value *ox_first(struct onnx_call *c, struct ir_value *v,
                          const struct ox_count *n) {
  int64_t dims[IR_MAX_RANK];
  if (!v || !n->size)
    return v;
  memcpy(dims, fe_dims(v), sizeof dims);
  dims[0] = n->n;
  return fe_emit(
      c->b, IR_SET_SIZE, IR_ARGS(v, fe_reshape(c->b, n->total, 0, NULL)),
      IR_ATTRS(ir_ints("shape", dims, fe_rank(v)), ir_str("name", n->size)));
}

static struct ir_value *flat(struct onnx_call *c, struct ir_value *x) {
  return x ? fe_reshape(c->b, x, 1, (int64_t[]){ir_type_count(x->type)}) : NULL;
}

/* Of a mask [m]: how many are set. */
struct ir_value *ox_total(struct onnx_call *c, struct ir_value *mask) {
  const bool all[IR_MAX_RANK] = {true};
  struct ir_value *n =
      fe_reduce(c->b, IR_REDUCE_SUM, fe_cast(c->b, mask, IR_I64), all);
  return fe_squeeze(c->b, n, all);
}

/* Numbers of the first n entries that are set in a mask [m]. */
struct ir_value *ox_selected(struct onnx_call *c, struct ir_value *mask,
                             const struct ox_count *n) {
  return ox_first(
      c,
      fe_call(c->b, FE_SELECTED, IR_ARGS(mask), IR_ATTRS(ir_int("n", n->room))),
      n);
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
  int64_t strides[IR_MAX_RANK];
  struct ox_count n;
  if (!ox_find_size(c, ox_total(c, mask), ir_type_count(t),
                    ox_declared(c, 0, 2, 1), &n))
    return false;
  if (!n.n || !t->rank)
    return ox_return(c, fe_expand(c->b, fe_scalar(c->b, IR_I64, 0), 2,
                                  (int64_t[]){t->rank, n.n}));
  ir_type_strides(t, strides);
  struct ir_value *at = ox_selected(c, mask, &n);
  for (int i = 0; i < t->rank; i++)
    rows[i] =
        fe_unsqueeze(c->b, coordinate(c, at, strides[i], t->dim[i]), 1, 0);
  return ox_return(c, fe_concat(c->b, rows, (size_t)t->rank, 0));
}

/* Entries along the axis (of all elements, without one) where a condition
 * holds. */
bool onnx_compress(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *keep = c->in[1];
  int64_t axis = 0;
  struct ox_count n;
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
  return ox_return(c, fe_gather(c->b, x, ox_selected(c, keep, &n), axis));
}

/* ---- Unique ---- */

bool onnx_unique(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  bool sorted, all = !ox_attr(c, "axis");
  int64_t axis = 0;
  struct ox_count n;
  if (!ox_flag(c, "sorted", true, &sorted))
    return false;
  if (all)
    x = flat(c, x);
  else if (!fe_axis(c->b, ox_int(c, "axis", 0), fe_rank(x), &axis))
    return false;
  if (x && fe_dtype(x) == IR_BOOL)
    x = fe_cast(c->b, x, IR_U8);
  struct ir_value *key = x && fe_rank(x) > 1
                             ? fe_call(c->b, FE_RANK_ENTRIES, IR_ARGS(x),
                                       IR_ATTRS(ir_int("axis", axis)))
                             : x;
  if (!key)
    return false;
  int64_t m = fe_dims(key)[0], size = ox_declared(c, 0, fe_rank(x), axis);
  for (size_t k = 1; k < 4 && size < 0; k += 2)
    size = ox_declared(c, k, 1, 0);
  struct ir_value *sort[3] = {0}, *v[3] = {0};
  if (!fe_decompose(c->b, FE_SORT_GROUPS, &key, 1, NULL, 0, sort, 2))
    return false;
  sort[2] = ox_total(c, sort[1]);
  if (!ox_find_size(c, sort[2], m, size, &n) ||
      !fe_decompose(c->b, FE_UNIQUE, sort, 3,
                    IR_ATTRS(ir_int("n", n.room), ir_int("sorted", sorted)), v,
                    3))
    return false;
  v[0] = ox_first(c, v[0], &n);
  v[2] = ox_first(c, v[2], &n);
  struct ir_value *results[] = {
      fe_cast(c->b, fe_gather(c->b, x, v[0], axis), fe_dtype(c->in[0])),
      fe_cast(c->b, v[0], IR_I64), v[1], v[2]};
  for (size_t k = 0; k < c->nout && k < DN_COUNT(results); k++)
    c->out[k] = results[k];
  return c->out[0] != NULL;
}

/* ---- NonMaxSuppression ---- */

/* Rows (batch entry, class, box) of the boxes that were picked, [n,3]. */
static struct ir_value *picked_rows(struct onnx_call *c, struct ir_value *best,
                                    struct ir_value *any) {
  int64_t classes = fe_dims(best)[1], steps = fe_dims(best)[2];
  struct ox_count n;
  any = flat(c, any);
  best = flat(c, best);
  if (!ox_find_size(c, ox_total(c, any), ir_type_count(best->type),
                    ox_declared(c, 0, 2, 0), &n))
    return NULL;
  struct ir_value *at = ox_selected(c, any, &n);
  struct ir_value *row[] = {
      coordinate(c, at, classes * steps, INT32_MAX),
      coordinate(c, at, steps, classes),
      fe_cast(c->b, fe_gather(c->b, best, at, 0), IR_I64)};
  for (int i = 0; i < 3; i++)
    row[i] = fe_unsqueeze(c->b, row[i], 0, 1);
  return fe_concat(c->b, row, 3, 1);
}

/* How many boxes a class may have: input 2, whose bound is *steps. NULL: as
 * many as that. */
static struct ir_value *most_boxes(struct onnx_call *c, int64_t *steps) {
  struct ir_value *v = ox_in(c, 2), *known = v ? ox_evaluate(c, v) : NULL;
  if (v && !known)
    return fe_reshape(c->b, v, 0, NULL);
  int64_t most =
      known && ir_type_count(known->type) == 1 ? ir_const_int(known, 0) : 0;
  *steps = dn_max(dn_min(*steps, most), 0);
  return NULL;
}

bool onnx_non_max_suppression(struct onnx_call *c) {
  struct ir_value *boxes = c->in[0], *scores = c->in[1];
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
  struct ir_value *args[] = {boxes, scores, most, ox_in(c, 3), ox_in(c, 4)};
  struct ir_value *out[2] = {0};
  return fe_decompose(
             c->b, FE_NMS, args, 5,
             IR_ATTRS(ir_int("center", center), ir_int("steps", steps)), out,
             2) &&
         ox_return(c, picked_rows(c, out[0], out[1]));
}
