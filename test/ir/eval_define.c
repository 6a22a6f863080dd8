/* eval_define.c - what every row of ops.def means, one element at a time: MAP
 * rows from their expression, the others by a function each that was written
 * from the row's summary, not from its formula. */
#include "eval_naive.h"
#include "eval_test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct naive {
  const struct ir_op *op;
  const void *const *data;
  const struct expr *body; /* of a MAP row */
};

static const struct ir_type *type_of(const struct naive *w, int k) {
  return ir_arg(w->op, (unsigned)k)->type;
}

/* Element of operand k; `i` lies inside. */
static struct num at(const struct naive *w, int k, const int64_t *i) {
  const struct ir_type *t = type_of(w, k);
  int64_t pos = 0;
  for (int d = 0; d < t->rank; d++) {
    if (i[d] < 0 || i[d] >= t->dim[d])
      test_fail("%s: the test leaves its operand", ir_ops[w->op->code].text);
    pos = pos * t->dim[d] + i[d];
  }
  return naive_load(t->dtype,
                    (const char *)w->data[k] + pos * ir_dtypes[t->dtype].bytes);
}

/* The element of operand k that broadcasts to the last `rank` indices of y. */
static struct num at_broadcast(const struct naive *w, int k, const int64_t *y,
                               int rank) {
  const struct ir_type *t = type_of(w, k);
  int64_t i[IR_MAX_RANK];
  for (int d = 0; d < t->rank; d++)
    i[d] = t->dim[d] == 1 ? 0 : y[rank - t->rank + d];
  return at(w, k, i);
}

/* The next of all indices below `size`, from 0 on; false after the last. */
static bool next(int64_t *i, const int64_t *size, int n) {
  while (n-- > 0) {
    if (++i[n] < size[n])
      return true;
    i[n] = 0;
  }
  return false;
}

static bool is_empty(const int64_t *size, int n) {
  while (n-- > 0)
    if (size[n] == 0)
      return true;
  return false;
}

/* ---- MAP ---- */

enum expr_kind { EXPR_OPERAND, EXPR_NUMBER, EXPR_CALL };
#define UNTYPED IR_NUM_DTYPES

struct expr {
  enum expr_kind kind;
  enum ir_dtype type;
  int operand;
  double number;
  enum ir_scalar fn;
  int first, nargs; /* arguments from `first` on have one type */
  struct expr *arg[3];
};

static void parse_leaf(const struct ir_op *op, const char *s, size_t len,
                       struct expr *e) {
  char *name = dn_copy(op->block->func->module->arena, s, len + 1);
  name[len] = 0;
  e->kind = EXPR_OPERAND;
  if (dn_word(ir_ops[op->code].operands, name, len, &e->operand)) {
    e->type = ir_arg(op, (unsigned)e->operand)->type->dtype;
    return;
  }
  e->kind = EXPR_NUMBER;
  struct ir_attr_spec specs[IR_MAX_ATTRS];
  for (int n = ir_op_attr_specs(op->code, specs); n-- > 0;) {
    if (strcmp(specs[n].name, name))
      continue;
    e->number = specs[n].kind == IR_A_INT ? (double)ir_get_int(op, name)
                                          : ir_get_float(op, name);
    return;
  }
  e->number = strtod(name, NULL); /* "inf" too */
}

static const char *parse(const struct ir_op *op, const char *s,
                         struct expr **out) {
  struct expr *e = DN_NEW(op->block->func->module->arena, struct expr);
  *out = e;
  e->type = UNTYPED;
  s += strspn(s, " ");
  bool call = *s == '(';
  s += call;
  size_t len = strcspn(s, " ()");
  if (!call) {
    parse_leaf(op, s, len, e);
    return s + len;
  }
  e->kind = EXPR_CALL;
  for (int fn = 0; fn < IR_NUM_SCALARS; fn++)
    if (strlen(ir_scalars[fn].text) == len &&
        !strncmp(ir_scalars[fn].text, s, len))
      e->fn = (enum ir_scalar)fn;
  e->first = e->fn == IR_S_SELECT;
  s += len;
  while (*s != ')')
    s = parse(op, s, &e->arg[e->nargs++]);
  return s + 1;
}

/* Types from the operands up: that of the first argument that has one. */
static void types_up(const struct ir_op *op, struct expr *e) {
  for (int k = 0; k < e->nargs; k++)
    types_up(op, e->arg[k]);
  if (e->kind != EXPR_CALL)
    return;
  if (ir_scalars[e->fn].result == IR_R_BOOL)
    e->type = IR_BOOL;
  else if (ir_scalars[e->fn].result == IR_R_TO)
    e->type = ir_result(op)->type->dtype;
  else
    for (int k = e->nargs; k-- > e->first;)
      if (e->arg[k]->type != UNTYPED)
        e->type = e->arg[k]->type;
}

/* Numbers take the type of what they stand beside, or else of the operands. */
static void types_down(const struct ir_op *op, struct expr *e,
                       enum ir_dtype want) {
  if (e->type == UNTYPED)
    e->type = want;
  enum ir_dtype beside = UNTYPED;
  for (int k = e->first; k < e->nargs; k++)
    if (e->arg[k]->type != UNTYPED)
      beside = e->arg[k]->type;
  if (beside == UNTYPED && e->kind == EXPR_CALL)
    beside = ir_scalars[e->fn].result == IR_R_SAME ? e->type
                                                   : ir_arg(op, 0)->type->dtype;
  for (int k = 0; k < e->nargs; k++)
    types_down(op, e->arg[k], beside);
}

static struct num value(const struct naive *w, const struct expr *e,
                        const int64_t *y) {
  struct num arg[3] = {{0, 0}};
  if (e->kind == EXPR_OPERAND)
    return at_broadcast(w, e->operand, y, ir_result(w->op)->type->rank);
  if (e->kind == EXPR_NUMBER)
    return naive_number(e->type, e->number);
  for (int k = 0; k < e->nargs; k++)
    arg[k] = value(w, e->arg[k], y);
  return naive_round(e->type,
                     naive_call(e->fn, e->arg[e->first]->type, e->type, arg));
}

static struct num define_map(const struct naive *w, const int64_t *y) {
  return value(w, w->body, y);
}

/* ---- Folds ---- */

/* A running fold of elements of y's type; floats are rounded at the end. */
struct fold {
  enum ir_dtype type;
  enum ir_scalar fn;
  struct num acc;
};

static struct fold fold_start(const struct naive *w, enum ir_scalar fn) {
  struct fold f = {ir_result(w->op)->type->dtype, fn, {0, 0}};
  f.acc = naive_number(f.type, fn == IR_S_ADD   ? 0
                               : fn == IR_S_MUL ? 1
                               : fn == IR_S_MAX ? -HUGE_VAL
                                                : HUGE_VAL);
  return f;
}

static void fold(struct fold *f, struct num v) {
  f->acc = naive_call(f->fn, f->type, f->type, (struct num[]){f->acc, v});
}

static void fold_product(struct fold *f, struct num a, struct num b) {
  fold(f, naive_call(IR_S_MUL, f->type, f->type, (struct num[]){a, b}));
}

/* ---- CONTRACT ---- */

static struct num define_matmul(const struct naive *w, const int64_t *y) {
  const struct ir_type *a = type_of(w, 0), *b = type_of(w, 1);
  int r = ir_result(w->op)->type->rank;
  struct fold f = fold_start(w, IR_S_ADD);
  int64_t i[IR_MAX_RANK], j[IR_MAX_RANK];
  for (int d = 0; d + 2 < a->rank; d++)
    i[d] = a->dim[d] == 1 ? 0 : y[r - a->rank + d];
  for (int d = 0; d + 2 < b->rank; d++)
    j[d] = b->dim[d] == 1 ? 0 : y[r - b->rank + d];
  i[a->rank - 2] = y[r - 2];
  j[b->rank - 1] = y[r - 1];
  for (int64_t k = 0; k < a->dim[a->rank - 1]; k++) {
    i[a->rank - 1] = j[b->rank - 2] = k;
    fold_product(&f, at(w, 0, i), at(w, 1, j));
  }
  return f.acc;
}

static struct num define_conv(const struct naive *w, const int64_t *y) {
  const struct ir_type *x = type_of(w, 0), *weight = type_of(w, 1);
  int s = x->rank - 2;
  int64_t inputs = weight->dim[s + 1], i[IR_MAX_RANK], j[IR_MAX_RANK];
  int64_t tap[IR_MAX_RANK] = {0};
  int64_t block = weight->dim[0] / ir_get_int(w->op, "groups");
  struct fold f = fold_start(w, IR_S_ADD);
  struct num outside = naive_number(x->dtype, ir_get_float(w->op, "outside"));
  i[0] = y[0];
  j[0] = y[s + 1];
  do {
    bool inside = true;
    for (int d = 0; d < s; d++) {
      j[1 + d] = tap[d];
      i[1 + d] = y[1 + d] * ir_get_at(w->op, "strides", d) +
                 tap[d] * ir_get_at(w->op, "dilations", d) -
                 ir_get_at(w->op, "pads", d);
      inside &= i[1 + d] >= 0 && i[1 + d] < x->dim[1 + d];
    }
    for (int64_t c = 0; c < inputs; c++) {
      i[s + 1] = y[s + 1] / block * inputs + c;
      j[s + 1] = c;
      fold_product(&f, inside ? at(w, 0, i) : outside, at(w, 1, j));
    }
  } while (next(tap, weight->dim + 1, s));
  return f.acc;
}

/* Every letter is an index; those that y lacks are summed over. */
static struct num define_einsum(const struct naive *w, const int64_t *y) {
  const char *s = ir_get_str(w->op, "equation"), *part[3];
  part[0] = s;
  part[1] = strchr(s, ',') + 1;
  part[2] = strstr(s, "->") + 2;
  int64_t index[128] = {0}, size[128], sum[128] = {0}, of[128];
  int letters[128], n = 0;
  for (int k = 0; k < 2; k++)
    for (int d = 0; d < type_of(w, k)->rank; d++)
      size[(int)part[k][d]] = type_of(w, k)->dim[d];
  for (const char *c = s; c < part[2]; c++) {
    bool known =
        strchr(part[2], *c) != NULL || *c == ',' || *c == '-' || *c == '>';
    for (int k = 0; k < n; k++)
      known |= letters[k] == *c;
    if (!known) {
      of[n] = size[(int)*c];
      letters[n++] = *c;
    }
  }
  for (int d = 0; part[2][d]; d++)
    index[(int)part[2][d]] = y[d];
  struct fold f = fold_start(w, IR_S_ADD);
  if (is_empty(of, n))
    return f.acc;
  do {
    int64_t i[2][IR_MAX_RANK];
    for (int k = 0; k < n; k++)
      index[letters[k]] = sum[k];
    for (int k = 0; k < 2; k++)
      for (int d = 0; d < type_of(w, k)->rank; d++)
        i[k][d] = index[(int)part[k][d]];
    fold_product(&f, at(w, 0, i[0]), at(w, 1, i[1]));
  } while (next(sum, of, n));
  return f.acc;
}

/* ---- REDUCE ---- */

static enum ir_scalar fold_of(enum ir_opcode code) {
  switch ((int)code) {
  case IR_REDUCE_PROD:
  case IR_CUMPROD:
    return IR_S_MUL;
  case IR_REDUCE_MAX:
  case IR_WINDOW_MAX:
    return IR_S_MAX;
  case IR_REDUCE_MIN:
    return IR_S_MIN;
  }
  return IR_S_ADD;
}

static struct num define_reduce(const struct naive *w, const int64_t *y) {
  const struct ir_type *x = type_of(w, 0);
  const struct ir_attr *axes = ir_find_attr(w->op, "axes");
  int64_t size[IR_MAX_RANK], i[IR_MAX_RANK], sum[IR_MAX_RANK] = {0};
  for (int d = 0; d < x->rank; d++)
    size[d] = 1;
  for (int64_t k = 0; k < axes->n; k++)
    size[axes->is[k]] = x->dim[axes->is[k]];
  struct fold f = fold_start(w, fold_of(w->op->code));
  if (is_empty(size, x->rank))
    return f.acc;
  do {
    for (int d = 0; d < x->rank; d++)
      i[d] = y[d] + sum[d];
    fold(&f, at(w, 0, i));
  } while (next(sum, size, x->rank));
  return f.acc;
}

/* Goes through the points and keeps the best so far: NaN is better than all. */
static struct num define_argreduce(const struct naive *w, const int64_t *y) {
  const struct ir_type *x = type_of(w, 0);
  const struct ir_attr *axes = ir_find_attr(w->op, "axes");
  enum ir_opcode code = w->op->code;
  bool most = code == IR_ARGMAX || code == IR_ARGMAX_LAST;
  bool last = code == IR_ARGMAX_LAST || code == IR_ARGMIN_LAST;
  int64_t size[IR_MAX_RANK], i[IR_MAX_RANK], sum[IR_MAX_RANK] = {0}, k = 0;
  struct num best = {0}, here = {0};
  for (int d = 0; d < x->rank; d++)
    size[d] = 1;
  for (int64_t a = 0; a < axes->n; a++)
    size[axes->is[a]] = x->dim[axes->is[a]];
  if (is_empty(size, x->rank))
    return here;
  do {
    for (int d = 0; d < x->rank; d++)
      i[d] = y[d] + sum[d];
    struct num v = at(w, 0, i);
    int order; /* of v to the best */
    if (ir_is_float(x->dtype))
      order = isnan(v.f) || isnan(best.f)
                  ? isnan(v.f) - isnan(best.f)
                  : ((v.f > best.f) - (v.f < best.f)) * (most ? 1 : -1);
    else if (x->dtype == IR_U64)
      order = ((uint64_t)v.i > (uint64_t)best.i) -
              ((uint64_t)v.i < (uint64_t)best.i);
    else
      order = (v.i > best.i) - (v.i < best.i);
    if (!ir_is_float(x->dtype) && !most)
      order = -order;
    if (k == 0 || order > 0 || (order == 0 && last)) {
      best = v;
      here.i = k;
    }
    k++;
  } while (next(sum, size, x->rank));
  return here;
}

static struct num define_window(const struct naive *w, const int64_t *y) {
  const struct ir_type *x = type_of(w, 0);
  const struct ir_attr *kernel = ir_find_attr(w->op, "kernel");
  int64_t i[IR_MAX_RANK], tap[IR_MAX_RANK] = {0};
  struct fold f = fold_start(w, fold_of(w->op->code));
  do {
    bool inside = true;
    for (int d = 0; d < x->rank; d++) {
      i[d] = y[d] * ir_get_at(w->op, "strides", d) +
             tap[d] * ir_get_at(w->op, "dilations", d) -
             ir_get_at(w->op, "pads", d);
      inside &= i[d] >= 0 && i[d] < x->dim[d];
    }
    if (inside)
      fold(&f, at(w, 0, i));
  } while (next(tap, kernel->is, x->rank));
  return f.acc;
}

/* The elements before y's own (after it where step is -1), the farthest first;
 * lag leaves out the nearest. */
static struct num define_cumulative(const struct naive *w, const int64_t *y) {
  int64_t axis = ir_get_int(w->op, "axis"), i[IR_MAX_RANK];
  int64_t step = ir_get_int(w->op, "step"), lag = ir_get_int(w->op, "lag");
  int64_t dim = type_of(w, 0)->dim[axis];
  memcpy(i, y, sizeof i);
  struct fold f = fold_start(w, fold_of(w->op->code));
  for (int64_t n = 0; n < dim; n++) {
    i[axis] = step > 0 ? n : dim - 1 - n;
    if ((y[axis] - lag - i[axis]) * step >= 0)
      fold(&f, at(w, 0, i));
  }
  return f.acc;
}

/* -0 is 0; NaN is above all. */
static bool is_less(enum ir_dtype t, struct num a, struct num b) {
  if (ir_is_float(t))
    return a.f < b.f || (!isnan(a.f) && isnan(b.f));
  return ir_dtypes[t].kind == IR_SIGNED ? a.i < b.i
                                        : (uint64_t)a.i < (uint64_t)b.i;
}

/* The element that has as many before it as the index of the place says. */
static struct num define_argsort(const struct naive *w, const int64_t *y) {
  const struct ir_type *x = type_of(w, 0);
  int64_t axis = ir_get_int(w->op, "axis"), n = x->dim[axis];
  bool largest = ir_get_int(w->op, "largest") != 0;
  int64_t i[IR_MAX_RANK], j[IR_MAX_RANK];
  memcpy(i, y, sizeof i);
  memcpy(j, y, sizeof j);
  for (i[axis] = 0; i[axis] < n; i[axis]++) {
    struct num own = at(w, 0, i);
    int64_t before = 0;
    for (j[axis] = 0; j[axis] < n && before <= y[axis]; j[axis]++) {
      struct num v = at(w, 0, j);
      bool less = is_less(x->dtype, v, own), more = is_less(x->dtype, own, v);
      before +=
          (largest ? more : less) || (!less && !more && j[axis] < i[axis]);
    }
    if (before == y[axis])
      return (struct num){0, i[axis]};
  }
  test_fail("argsort: no element at place %lld", (long long)y[axis]);
  return (struct num){0, 0};
}

/* ---- MOVE ---- */

static struct num define_reshape(const struct naive *w, const int64_t *y) {
  const struct ir_type *from = type_of(w, 0), *to = ir_result(w->op)->type;
  int64_t pos = 0, i[IR_MAX_RANK];
  for (int d = 0; d < to->rank; d++)
    pos = pos * to->dim[d] + y[d];
  for (int d = from->rank; d-- > 0; pos /= from->dim[d])
    i[d] = pos % from->dim[d];
  return at(w, 0, i);
}

static struct num define_transpose(const struct naive *w, const int64_t *y) {
  int64_t i[IR_MAX_RANK];
  for (int d = 0; d < type_of(w, 0)->rank; d++)
    i[ir_get_at(w->op, "perm", d)] = y[d];
  return at(w, 0, i);
}

static struct num define_slice(const struct naive *w, const int64_t *y) {
  int64_t i[IR_MAX_RANK];
  for (int d = 0; d < type_of(w, 0)->rank; d++)
    i[d] = ir_get_at(w->op, "starts", d) + y[d] * ir_get_at(w->op, "steps", d);
  return at(w, 0, i);
}

static struct num define_set_size(const struct naive *w, const int64_t *y) {
  return at(w, 0, y);
}

/* Where index e, outside or not, lies in a dim. */
static int64_t pad_index(enum ir_opcode code, int64_t e, int64_t dim) {
  if (code == IR_PAD_EDGE)
    return e < 0 ? 0 : e >= dim ? dim - 1 : e;
  if (code == IR_PAD_REFLECT)
    while ((e < 0 || e >= dim) && e)
      e = dim == 1 ? 0 : e < 0 ? -e : 2 * (dim - 1) - e;
  while (code == IR_PAD_WRAP && e < 0)
    e += dim;
  while (code == IR_PAD_WRAP && e >= dim)
    e -= dim;
  return e;
}

static struct num define_pad(const struct naive *w, const int64_t *y) {
  const struct ir_type *x = type_of(w, 0);
  int64_t i[IR_MAX_RANK];
  for (int d = 0; d < x->rank; d++) {
    int64_t step = w->op->code == IR_PAD ? ir_get_at(w->op, "steps", d) : 1;
    int64_t e = y[d] - ir_get_at(w->op, "pads", d);
    i[d] = pad_index(w->op->code, e / step, x->dim[d]);
    if (e % step || i[d] < 0 || i[d] >= x->dim[d])
      return naive_number(x->dtype, ir_get_float(w->op, "value"));
  }
  return at(w, 0, i);
}

static struct num define_concat(const struct naive *w, const int64_t *y) {
  int64_t axis = ir_get_int(w->op, "axis"), i[IR_MAX_RANK];
  int k = 0;
  memcpy(i, y, sizeof i);
  for (; i[axis] >= type_of(w, k)->dim[axis]; k++)
    i[axis] -= type_of(w, k)->dim[axis];
  return at(w, k, i);
}

/* An index that an operand gives; outside is clamped. */
static int64_t given(const struct naive *w, int k, const int64_t *i,
                     int64_t dim) {
  int64_t e = at(w, k, i).i;
  if (type_of(w, k)->dtype == IR_U64 && e < 0)
    return dim - 1;
  return e < 0 ? 0 : e >= dim ? dim - 1 : e;
}

static struct num define_gather(const struct naive *w, const int64_t *y) {
  const struct ir_type *x = type_of(w, 0);
  int axis = (int)ir_get_int(w->op, "axis"), more = type_of(w, 1)->rank;
  int64_t i[IR_MAX_RANK];
  for (int d = 0; d < x->rank; d++)
    i[d] = d < axis    ? y[d]
           : d == axis ? given(w, 1, y + axis, x->dim[d])
                       : y[d + more - 1];
  return at(w, 0, i);
}

static struct num define_gather_elements(const struct naive *w,
                                         const int64_t *y) {
  int64_t axis = ir_get_int(w->op, "axis"), i[IR_MAX_RANK];
  memcpy(i, y, sizeof i);
  i[axis] = given(w, 1, y, type_of(w, 0)->dim[axis]);
  return at(w, 0, i);
}

/* Slices whose index is y's, in their order, onto x. */
static struct num define_scatter(const struct naive *w, const int64_t *y) {
  enum ir_scalar fn = w->op->code == IR_SCATTER_SUM    ? IR_S_ADD
                      : w->op->code == IR_SCATTER_PROD ? IR_S_MUL
                      : w->op->code == IR_SCATTER_MAX  ? IR_S_MAX
                                                       : IR_S_MIN;
  struct fold f = {type_of(w, 0)->dtype, fn, at(w, 0, y)};
  int64_t i[IR_MAX_RANK];
  memcpy(i, y, sizeof i);
  for (int64_t k = 0; k < type_of(w, 1)->dim[0]; k++) {
    i[0] = k;
    if (given(w, 1, &k, type_of(w, 0)->dim[0]) != y[0])
      continue;
    if (w->op->code == IR_SCATTER)
      f.acc = at(w, 2, i);
    else
      fold(&f, at(w, 2, i));
    f.acc = naive_round(f.type, f.acc);
  }
  return f.acc;
}

static struct num define_frame(const struct naive *w, const int64_t *y) {
  int64_t axis = ir_get_int(w->op, "axis"), i[IR_MAX_RANK] = {0};
  for (int d = 0; d < type_of(w, 0)->rank; d++)
    i[d] = y[d > axis ? d + 1 : d];
  i[axis] = y[axis] * ir_get_int(w->op, "step") + y[axis + 1];
  return at(w, 0, i);
}

static struct num define_iota(const struct naive *w, const int64_t *y) {
  struct num n = {0, y[ir_get_int(w->op, "axis")]};
  return naive_cast(IR_I64, ir_result(w->op)->type->dtype, n);
}

/* ---- The rows ---- */

typedef struct num define_fn(const struct naive *w, const int64_t *y);

static define_fn *const define[IR_NUM_OPS] = {
    [IR_MATMUL] = define_matmul,
    [IR_CONV] = define_conv,
    [IR_EINSUM] = define_einsum,
    [IR_REDUCE_SUM] = define_reduce,
    [IR_REDUCE_PROD] = define_reduce,
    [IR_REDUCE_MAX] = define_reduce,
    [IR_REDUCE_MIN] = define_reduce,
    [IR_ARGMAX] = define_argreduce,
    [IR_ARGMAX_LAST] = define_argreduce,
    [IR_ARGMIN] = define_argreduce,
    [IR_ARGMIN_LAST] = define_argreduce,
    [IR_WINDOW_SUM] = define_window,
    [IR_WINDOW_MAX] = define_window,
    [IR_CUMSUM] = define_cumulative,
    [IR_CUMPROD] = define_cumulative,
    [IR_ARGSORT] = define_argsort,
    [IR_RESHAPE] = define_reshape,
    [IR_TRANSPOSE] = define_transpose,
    [IR_SLICE] = define_slice,
    [IR_FRAME] = define_frame,
    [IR_PAD] = define_pad,
    [IR_PAD_EDGE] = define_pad,
    [IR_PAD_REFLECT] = define_pad,
    [IR_PAD_WRAP] = define_pad,
    [IR_CONCAT] = define_concat,
    [IR_GATHER] = define_gather,
    [IR_GATHER_ELEMENTS] = define_gather_elements,
    [IR_SCATTER] = define_scatter,
    [IR_SCATTER_SUM] = define_scatter,
    [IR_SCATTER_PROD] = define_scatter,
    [IR_SCATTER_MAX] = define_scatter,
    [IR_SCATTER_MIN] = define_scatter,
    [IR_IOTA] = define_iota,
    [IR_SET_SIZE] = define_set_size,
};

void naive_eval(const struct ir_op *op, const void *const *data, void *out) {
  const struct ir_type *type = ir_result(op)->type;
  struct naive w = {.op = op, .data = data};
  define_fn *fn = define[op->code];
  if (ir_ops[op->code].cls == IR_MAP) {
    struct expr *body;
    parse(op, ir_ops[op->code].body, &body);
    types_up(op, body);
    types_down(op, body, type->dtype);
    w.body = body;
    fn = define_map;
  }
  if (!fn) {
    test_fail("%s: eval_define.c does not say what it means",
              ir_ops[op->code].text);
    return;
  }
  int64_t y[IR_MAX_RANK] = {0};
  char *p = out;
  for (int64_t n = ir_type_count(type); n > 0; n--) {
    struct num v = fn(&w, y);
    if (ir_is_float(type->dtype))
      ir_store_float(type->dtype, p, v.f);
    else
      ir_store_int(type->dtype, p, v.i);
    p += ir_dtypes[type->dtype].bytes;
    next(y, type->dim, type->rank);
  }
}
