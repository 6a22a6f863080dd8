/* onnx_emit.c - what converters build with: ops by their operands, attributes
 * worked out. Every op on small constants is evaluated here at once. */
#include "frontend/onnx_import.h"

#include <string.h>

#include "ir/eval.h"

/* Results up to this many bytes are evaluated at import: shape arithmetic,
 * parameters of a normalization. Weights are left to the pass `fold`. */
#define FOLD_BYTES (64 << 10)
/* And up to this many where an operator asks for a constant. */
#define EVALUATE_BYTES (64 << 20)
#define EVALUATE_DEPTH 1000

/* Data that were computed: one element when all are the same. */
static struct ir_data computed_data(struct dn_arena *arena,
                                    const struct ir_type *type,
                                    const void *bytes) {
  struct ir_data data = {.size = ir_type_bytes(type)};
  size_t size = (size_t)data.size, width = ir_dtypes[type->dtype].bytes;
  if (size >= width &&
      !memcmp(bytes, (const char *)bytes + width, size - width)) {
    data.size = 0;
    memcpy(&data.splat, bytes, width);
  } else {
    data.bytes = dn_copy(arena, bytes, size);
  }
  return data;
}

static struct ir_value *fold(struct onnx_call *c, struct ir_value *v,
                             int64_t limit) {
  struct ir_op *op = v->def;
  if (ir_type_bytes(v->type) > limit)
    return v;
  for (unsigned i = 0; i < op->noperands; i++)
    if (!ir_arg(op, i)->data || ir_type_bytes(ir_arg(op, i)->type) > 16 * limit)
      return v;
  struct ir_module *m = c->im->m;
  struct dn_arena *scratch = dn_arena_new(c->im->ctx);
  void *bytes = ir_eval_op(scratch, op);
  if (bytes) {
    const struct ir_type *type = v->type;
    struct ir_data data = computed_data(m->arena, type, bytes);
    const char *name =
        op->noperands == 1 ? ir_arg(op, 0)->name : c->node->outputs.v[0];
    ir_op_remove(op);
    v = ir_const_new(m, name, type, &data);
  }
  dn_arena_free(scratch);
  return v;
}

static struct ir_value *evaluate(struct onnx_call *c, struct ir_value *v,
                                 int depth);

/* An op whose operands can be evaluated, again on their constants. */
static struct ir_value *evaluate_op(struct onnx_call *c, struct ir_op *op,
                                    int depth) {
  if (depth == 0 || op->nregions)
    return NULL;
  struct ir_value **args =
      DN_ARRAY(c->im->ctx->arena, struct ir_value *, op->noperands);
  for (unsigned i = 0; i < op->noperands; i++) {
    args[i] = evaluate(c, ir_arg(op, i), depth - 1);
    if (!args[i])
      return NULL;
  }
  struct ir_value *v =
      ir_emit(&c->im->b, op->code, args, op->noperands, op->attr, op->nattrs);
  v = v ? fold(c, v, EVALUATE_BYTES) : NULL;
  if (v && v->def) { /* too large */
    ir_op_remove(v->def);
    return NULL;
  }
  return v;
}

/* What was found is remembered: a value may be reached in many ways. */
static struct ir_value *evaluate(struct onnx_call *c, struct ir_value *v,
                                 int depth) {
  if (v->data)
    return v;
  struct ir_op *op = v->def;
  if (!op) {
    struct ir_value *known = c->im->known[v->index];
    if (known && c->im->opts->values_used)
      *c->im->opts->values_used = true;
    return known;
  }
  const char *key = (const char *)v;
  struct ir_value *found = ox_map_get(&c->im->evaluated, key);
  if (!found) {
    found = evaluate_op(c, op, depth);
    ox_map_put(c->im->ctx->arena, &c->im->evaluated, key,
               found ? found : &c->im->failed);
  }
  return found == &c->im->failed ? NULL : found;
}

struct ir_value *ox_evaluate(struct onnx_call *c, struct ir_value *v) {
  return evaluate(c, v, EVALUATE_DEPTH);
}

struct ir_value *ox_emit(struct onnx_call *c, enum ir_opcode code,
                         struct ir_value *const *args, size_t nargs,
                         const struct ir_attr *attrs, size_t nattrs) {
  struct ir_value *v = ir_emit(&c->im->b, code, args, nargs, attrs, nattrs);
  return v ? fold(c, v, FOLD_BYTES) : NULL;
}

struct ir_value *ox_op1(struct onnx_call *c, enum ir_opcode code,
                        struct ir_value *x) {
  return ox_emit(c, code, IR_ARGS(x), NULL, 0);
}

struct ir_value *ox_op2(struct onnx_call *c, enum ir_opcode code,
                        struct ir_value *a, struct ir_value *b) {
  return ox_emit(c, code, IR_ARGS(a, b), NULL, 0);
}

/* ---- Constants ---- */

struct ir_value *ox_scalar(struct onnx_call *c, enum ir_dtype dtype,
                           double number) {
  struct onnx_import *im = c->im;
  size_t cap = sizeof im->scalar / sizeof *im->scalar;
  for (size_t i = 0; i < cap && i < im->nscalars; i++)
    if (im->scalar[i].dtype == dtype &&
        !memcmp(&im->scalar[i].number, &number, sizeof number))
      return im->scalar[i].value;
  struct ir_value *v =
      ir_const_splat(im->m, NULL, ir_type(im->ctx, dtype, 0, NULL), number);
  size_t at = im->nscalars++ % cap;
  im->scalar[at].dtype = dtype;
  im->scalar[at].number = number;
  im->scalar[at].value = v;
  return v;
}

struct ir_value *ox_number(struct onnx_call *c, const struct ir_value *like,
                           double number) {
  return like ? ox_scalar(c, like->type->dtype, number) : NULL;
}

struct ir_value *ox_scale(struct onnx_call *c, struct ir_value *x, double by) {
  return by == 1 ? x : ox_op2(c, IR_MUL, x, ox_number(c, x, by));
}

struct ir_value *ox_offset(struct onnx_call *c, struct ir_value *x, double by) {
  return by == 0 ? x : ox_op2(c, IR_ADD, x, ox_number(c, x, by));
}

struct ir_value *ox_vector(struct onnx_call *c, enum ir_dtype dtype, int64_t n,
                           const int64_t *v) {
  return ir_const_ints(c->im->m, c->node->outputs.v[0], dtype, 1, &n, v);
}

struct ir_value *ox_floats(struct onnx_call *c, enum ir_dtype dtype, int rank,
                           const int64_t *dims, const double *v) {
  return ir_const_floats(c->im->m, c->node->outputs.v[0], dtype, rank, dims, v);
}

/* ---- Types and choice ---- */

struct ir_value *ox_cast(struct onnx_call *c, struct ir_value *x,
                         enum ir_dtype to) {
  if (!x || x->type->dtype == to)
    return x;
  return ox_emit(c, IR_CAST, IR_ARGS(x),
                 IR_ATTRS(ir_str("to", ir_dtypes[to].text)));
}

struct ir_value *ox_select(struct onnx_call *c, struct ir_value *cond,
                           struct ir_value *a, struct ir_value *b) {
  return ox_emit(c, IR_SELECT, IR_ARGS(cond, a, b), NULL, 0);
}

/* ---- Moves ---- */

static bool same_dims(const struct ir_value *x, int64_t rank,
                      const int64_t *dims) {
  return x->type->rank == rank &&
         (!rank || !memcmp(x->type->dim, dims, (size_t)rank * sizeof *dims));
}

struct ir_value *ox_reshape(struct onnx_call *c, struct ir_value *x,
                            int64_t rank, const int64_t *dims) {
  if (!x || same_dims(x, rank, dims))
    return x;
  if (x->data && rank <= IR_MAX_RANK) { /* the same bytes under a new type */
    int64_t count = 1;
    bool fits = true;
    for (int64_t i = 0; i < rank; i++)
      fits = fits && dims[i] >= 0 && dn_mul(count, dims[i], &count);
    if (fits && count == ir_type_count(x->type)) {
      const struct ir_type *type =
          ir_type_checked(c->im->ctx, x->name, x->type->dtype, rank, dims);
      return type ? ir_const_new(c->im->m, x->name, type, x->data) : NULL;
    }
  }
  return ox_emit(c, IR_RESHAPE, IR_ARGS(x),
                 IR_ATTRS(ir_ints("shape", dims, rank)));
}

struct ir_value *ox_transpose(struct onnx_call *c, struct ir_value *x,
                              const int64_t *perm) {
  if (!x)
    return NULL;
  bool moves = false;
  for (int i = 0; i < x->type->rank; i++)
    moves = moves || perm[i] != i;
  if (!moves)
    return x;
  return ox_emit(c, IR_TRANSPOSE, IR_ARGS(x),
                 IR_ATTRS(ir_ints("perm", perm, x->type->rank)));
}

struct ir_value *ox_expand(struct onnx_call *c, struct ir_value *x,
                           int64_t rank, const int64_t *dims) {
  if (!x || same_dims(x, rank, dims))
    return x;
  return ox_emit(c, IR_EXPAND, IR_ARGS(x),
                 IR_ATTRS(ir_ints("shape", dims, rank)));
}

struct ir_value *ox_concat(struct onnx_call *c, struct ir_value *const *v,
                           size_t n, int64_t axis) {
  return n == 1 ? v[0]
                : ox_emit(c, IR_CONCAT, v, n, IR_ATTRS(ir_int("axis", axis)));
}

struct ir_value *ox_slice(struct onnx_call *c, struct ir_value *x,
                          const int64_t *starts, const int64_t *sizes,
                          const int64_t *steps) {
  if (!x)
    return NULL;
  int r = x->type->rank;
  bool whole = true, ones = true;
  for (int i = 0; i < r; i++) {
    whole = whole && starts[i] == 0 && sizes[i] == x->type->dim[i];
    ones = ones && steps[i] == 1;
  }
  if (whole && ones)
    return x;
  const struct ir_attr attrs[] = {ir_ints("starts", starts, r),
                                  ir_ints("sizes", sizes, r),
                                  ir_ints("steps", steps, r)};
  return ox_emit(c, IR_SLICE, IR_ARGS(x), attrs, ones ? 2 : 3);
}

struct ir_value *ox_slice1(struct onnx_call *c, struct ir_value *x,
                           int64_t axis, int64_t start, int64_t size,
                           int64_t step) {
  if (!x)
    return NULL;
  int64_t starts[IR_MAX_RANK] = {0}, sizes[IR_MAX_RANK], steps[IR_MAX_RANK];
  for (int i = 0; i < x->type->rank; i++) {
    sizes[i] = x->type->dim[i];
    steps[i] = 1;
  }
  starts[axis] = start;
  sizes[axis] = size;
  steps[axis] = step;
  return ox_slice(c, x, starts, sizes, steps);
}

struct ir_value *ox_gather(struct onnx_call *c, struct ir_value *x,
                           struct ir_value *idx, int64_t axis) {
  return ox_emit(c, IR_GATHER, IR_ARGS(x, idx), IR_ATTRS(ir_int("axis", axis)));
}

struct ir_value *ox_pad(struct onnx_call *c, struct ir_value *x,
                        const int64_t *pads, const int64_t *steps,
                        double value) {
  if (!x)
    return NULL;
  int r = x->type->rank;
  bool moves = false, spread = false;
  for (int i = 0; i < r; i++) {
    moves = moves || pads[i] || pads[r + i];
    spread = spread || (steps && steps[i] != 1);
  }
  if (!moves && !spread)
    return x;
  struct ir_attr attrs[3] = {ir_ints("pads", pads, 2 * r)};
  size_t n = 1;
  if (spread)
    attrs[n++] = ir_ints("steps", steps, r);
  if (value != 0)
    attrs[n++] = ir_float("value", value);
  return ox_emit(c, IR_PAD, IR_ARGS(x), attrs, n);
}

struct ir_value *ox_iota(struct onnx_call *c, int64_t rank, int64_t axis,
                         int64_t size, enum ir_dtype dtype) {
  int64_t dims[IR_MAX_RANK];
  for (int64_t i = 0; i < rank; i++)
    dims[i] = i == axis ? size : 1;
  return ox_emit(c, IR_IOTA, NULL, 0,
                 IR_ATTRS(ir_ints("shape", dims, rank), ir_int("axis", axis),
                          ir_str("to", ir_dtypes[dtype].text)));
}

struct ir_value *ox_squeeze(struct onnx_call *c, struct ir_value *x,
                            const bool *axes) {
  if (!x)
    return NULL;
  int64_t dims[IR_MAX_RANK];
  int n = 0;
  for (int i = 0; i < x->type->rank; i++)
    if (!axes[i])
      dims[n++] = x->type->dim[i];
  return ox_reshape(c, x, n, dims);
}

struct ir_value *ox_unsqueeze(struct onnx_call *c, struct ir_value *x,
                              int64_t front, int64_t behind) {
  if (!x)
    return NULL;
  int64_t dims[IR_MAX_RANK * 3];
  int n = 0;
  for (int64_t i = 0; i < front && i < IR_MAX_RANK; i++)
    dims[n++] = 1;
  for (int i = 0; i < x->type->rank; i++)
    dims[n++] = x->type->dim[i];
  for (int64_t i = 0; i < behind && i < IR_MAX_RANK; i++)
    dims[n++] = 1;
  return ox_reshape(c, x, n, dims);
}

/* ---- Reductions and products ---- */

struct ir_value *ox_reduce(struct onnx_call *c, enum ir_opcode code,
                           struct ir_value *x, const bool *axes) {
  if (!x)
    return NULL;
  int64_t list[IR_MAX_RANK];
  int n = 0;
  for (int i = 0; i < x->type->rank; i++)
    if (axes[i])
      list[n++] = i;
  if (!n)
    return x;
  return ox_emit(c, code, IR_ARGS(x), IR_ATTRS(ir_ints("axes", list, n)));
}

struct ir_value *ox_mean(struct onnx_call *c, struct ir_value *x,
                         const bool *axes) {
  if (!x)
    return NULL;
  double n = 1;
  for (int i = 0; i < x->type->rank; i++)
    if (axes[i])
      n *= (double)x->type->dim[i];
  struct ir_value *sum = ox_reduce(c, IR_REDUCE_SUM, x, axes);
  return n == 1 ? sum : ox_op2(c, IR_DIV, sum, ox_number(c, sum, n));
}

/* MatMul with numpy's rules for vectors. */
struct ir_value *ox_matmul(struct onnx_call *c, struct ir_value *a,
                           struct ir_value *b) {
  if (!a || !b)
    return NULL;
  bool row = ox_rank(a) == 1, column = ox_rank(b) == 1;
  struct ir_value *y = ox_op2(c, IR_MATMUL, row ? ox_unsqueeze(c, a, 1, 0) : a,
                              column ? ox_unsqueeze(c, b, 0, 1) : b);
  if (!y || (!row && !column))
    return y;
  bool drop[IR_MAX_RANK] = {0};
  drop[ox_rank(y) - 2] = row;
  drop[ox_rank(y) - 1] = column;
  return ox_squeeze(c, y, drop);
}

struct ir_value *ox_channels_last(struct onnx_call *c, struct ir_value *x) {
  if (!x)
    return NULL;
  int64_t perm[IR_MAX_RANK] = {0};
  int r = x->type->rank;
  for (int i = 1; i < r - 1; i++)
    perm[i] = i + 1;
  perm[r - 1] = 1;
  return ox_transpose(c, x, perm);
}

struct ir_value *ox_channels_first(struct onnx_call *c, struct ir_value *x) {
  if (!x)
    return NULL;
  int64_t perm[IR_MAX_RANK] = {0};
  int r = x->type->rank;
  perm[1] = r - 1;
  for (int i = 2; i < r; i++)
    perm[i] = i - 1;
  return ox_transpose(c, x, perm);
}
