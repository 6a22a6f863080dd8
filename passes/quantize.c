/* quantize.c - makes integer arithmetic of what is written in floats around
 * quantized tensors. Values of the form (q - zero) * scale are followed through
 * moves, maxima, bounds and sums; a contraction of two of them is a contraction
 * of 8-bit operands with an i32 sum (quantize_dot.c), and where a value is
 * quantized again, the steps of the sum are those of the result, or the
 * integers are there already (quantize_narrow.c).
 *
 * before:  %1 = cast %x {to=f32} : f32[1,8]                  (%x : u8[1,8])
 *          %2 = sub %1, @zero : f32[1,8]
 *          %3 = mul %2, @scale : f32[1,8]
 *          %4 = cast @w {to=f32} : f32[8,4]                  (@w : i8[8,4])
 *          %5 = mul %4, @steps : f32[8,4]
 *          %6 = matmul %3, %5 : f32[1,4]
 *          %7 = div %6, @to : f32[1,4]
 *          %8 = narrow %7, @z {to=u8} : u8[1,4]
 * after:   %9 = matmul %x, @w {to=i32} : i32[1,4]
 *          %10 = add %9, @b : i32[1,4]        (@b: -zero * sums of w's columns)
 *          %11 = cast %10 {to=f32} : f32[1,4]
 *          %12 = mul %11, @ratio : f32[1,4]   (@ratio: scale * steps / to)
 *          %8 = narrow %12, @z {to=u8} : u8[1,4] */
#include "passes/quantize.h"

#include "ir/eval.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Bytes of a constant that is made here; `fold` makes the others. */
enum { MAX_BYTES = 65536 };

struct coded coded_of(const struct quantize *p, const struct ir_value *v) {
  return v && v->id < p->coded.n ? p->coded.v[v->id] : (struct coded){0};
}

static void set_coded(struct quantize *p, const struct ir_value *v,
                      struct coded c) {
  assert(c.lo <= c.hi && "of_clamp() keeps bounds in order");
  while (p->coded.n <= v->id)
    DN_PUSH(p->env->scratch, p->coded, (struct coded){0});
  p->coded.v[v->id] = c;
}

bool coded_is_tensor(const struct coded *c) {
  return c->q && ir_dtypes[c->q->type->dtype].bits == 8 && !c->bias &&
         !c->count && c->lo == -HUGE_VAL && c->hi == HUGE_VAL;
}

/* ---- Building ---- */

static struct ir_value *evaluated(struct quantize *p, struct ir_value *v) {
  assert(v->def && !v->uses &&
         "an op that ir_emit() has made and nothing reads");
  struct ir_data data = {.bytes = ir_eval_op(p->m->arena, v->def),
                         .size = ir_type_bytes(v->type)};
  const struct ir_type *type = v->type;
  if (!data.bytes)
    return v;
  ir_op_remove(v->def);
  return ir_const_new(p->m, NULL, type, &data);
}

struct ir_value *quant_constant(struct quantize *p, enum ir_opcode code,
                                struct ir_value *const *args, size_t nargs,
                                const struct ir_attr *attrs, size_t nattrs) {
  struct ir_value *v = ir_emit(&p->b, code, args, nargs, attrs, nattrs);
  return v ? evaluated(p, v) : NULL;
}

struct ir_value *quant_emit(struct quantize *p, enum ir_opcode code,
                            struct ir_value *const *args, size_t nargs,
                            const struct ir_attr *attrs, size_t nattrs) {
  struct ir_value *v = ir_emit(&p->b, code, args, nargs, attrs, nattrs);
  if (!v || !ir_type_is_static(v->type) || ir_type_bytes(v->type) > MAX_BYTES ||
      !ir_type_count(v->type))
    return v;
  for (size_t i = 0; i < nargs; i++)
    if (!args[i]->data)
      return v;
  return evaluated(p, v);
}

struct ir_value *quant_op2(struct quantize *p, enum ir_opcode code,
                           struct ir_value *x, struct ir_value *y) {
  return quant_emit(p, code, IR_ARGS(x, y), NULL, 0);
}

struct ir_value *quant_cast(struct quantize *p, struct ir_value *x,
                            enum ir_dtype to) {
  if (!x || x->type->dtype == to)
    return x;
  return quant_emit(p, IR_CAST, IR_ARGS(x),
                    IR_ATTRS(ir_str("to", ir_dtypes[to].text)));
}

struct ir_value *quant_number(struct quantize *p, enum ir_dtype t, double v) {
  return ir_const_splat(p->m, NULL, ir_type(p->m->ctx, t, 0, NULL), v);
}

struct ir_value *quant_or(struct quantize *p, struct ir_value *x, double v) {
  return x ? x : quant_number(p, IR_F32, v);
}

bool quant_uniform(const struct ir_value *v, double none, double *out) {
  *out = none;
  return !v || (v->data && ir_const_uniform(v, out));
}

struct ir_value *quant_sum(struct quantize *p, const struct coded *c) {
  assert(c->q && "the caller has a coded value");
  return c->bias ? quant_op2(p, IR_ADD, c->q, c->bias) : c->q;
}

enum ir_dtype quant_sign(const struct quantize *p, enum ir_dtype t) {
  struct ir_dot dot = ir_dot_of(p->env->target, IR_I8);
  if ((t != IR_I8 && t != IR_U8) || dot.k < 2 || !p->env->opts->opt_level)
    return t;
  return dot.factor;
}

double quant_shift(enum ir_dtype from, enum ir_dtype to) {
  return from == to ? 0 : to == IR_I8 ? -128 : 128;
}

struct ir_value *quant_flip(struct quantize *p, struct ir_value *q) {
  bool is_signed = q->type->dtype == IR_I8;
  assert((is_signed || q->type->dtype == IR_U8) &&
         "quant_sign() changes those alone");
  struct ir_value *top =
      quant_number(p, q->type->dtype, is_signed ? -128 : 128);
  return quant_emit(p, IR_BITS, IR_ARGS(quant_op2(p, IR_XOR, q, top)),
                    IR_ATTRS(ir_str("to", is_signed ? "u8" : "i8")));
}

/* ---- Arithmetic that makes coded values, or keeps them ---- */

static struct coded of_cast(struct quantize *p, const struct ir_op *op) {
  struct ir_value *x = ir_arg(op, 0), *y = ir_result(op);
  struct coded c = coded_of(p, x);
  const struct ir_dtype_row *row = &ir_dtypes[x->type->dtype];
  bool to = y->type->dtype == IR_F32 || y->type->dtype == IR_I32;
  bool from =
      row->kind == IR_SIGNED || (row->kind == IR_UNSIGNED && row->bits < 32);
  if (!to || !from || row->bits > 32)
    return (struct coded){0};
  if (coded_is_tensor(&c) && ir_dtypes[x->type->dtype].bits == 8)
    return c;
  return (struct coded){.q = x, .lo = -HUGE_VAL, .hi = HUGE_VAL};
}

/* Zero points are of the tensor's type; one number, or one of each row, may be
 * known at run time only. */
static bool is_zero_point(const struct ir_value *v, enum ir_dtype t) {
  double least, most;
  ir_dtype_range(t, &least, &most);
  for (int64_t i = 0; v->data && i < ir_type_count(v->type); i++) {
    double z = ir_const_float(v, i);
    if (!(z >= least && z <= most && z == rint(z)))
      return false;
  }
  return v->data || ir_type_count(v->type) == 1 ||
         v->type->dim[v->type->rank - 1] == 1;
}

static struct coded of_sub(struct quantize *p, const struct ir_op *op) {
  struct coded c = coded_of(p, ir_arg(op, 0)), none = {0};
  struct ir_value *zero = ir_arg(op, 1);
  double number;
  if (!c.q || c.scale || ir_result(op)->type != ir_arg(op, 0)->type)
    return none;
  if (c.q->type->dtype == IR_I32)
    return quant_uniform(zero, 0, &number) && number == 0 ? c : none;
  if (!coded_is_tensor(&c))
    return none;
  zero = quant_cast(p, zero, IR_F32);
  c.zero = c.zero ? quant_op2(p, IR_ADD, c.zero, zero) : zero;
  return c.zero && is_zero_point(c.zero, c.q->type->dtype) ? c : none;
}

/* Scales that make sense are positive. */
static bool is_scale(const struct ir_value *v) {
  double least, most;
  return v->data && v->type->dtype == IR_F32 &&
         ir_const_range(v, &least, &most) && least > 0 && most < HUGE_VAL;
}

static struct coded of_mul(struct quantize *p, const struct ir_op *op) {
  struct coded c = coded_of(p, ir_arg(op, 0));
  struct ir_value *scale = ir_arg(op, 1);
  if (!c.q || c.scale || c.lo != -HUGE_VAL || c.hi != HUGE_VAL ||
      ir_result(op)->type != ir_arg(op, 0)->type || !is_scale(scale))
    return (struct coded){0};
  c.scale = scale;
  return c;
}

/* By how many elements a mean has. */
static struct coded of_div(struct quantize *p, const struct ir_op *op) {
  struct coded c = coded_of(p, ir_arg(op, 0));
  double count;
  if (!c.q || !c.scale || c.count || c.q->type->dtype != IR_I32 ||
      !quant_uniform(ir_arg(op, 1), 0, &count) || count < 1 ||
      count != floor(count))
    return (struct coded){0};
  c.count = ir_arg(op, 1);
  return c;
}

/* Whether two scales are the same but for rounding. */
static bool same_scale(struct quantize *p, struct ir_value *a,
                       struct ir_value *b) {
  struct ir_value *ratio = quant_op2(p, IR_DIV, a, b);
  if (!ratio || !ratio->data)
    return false;
  for (int64_t i = 0; i < ir_type_count(ratio->type); i++)
    if (!(fabs(ir_const_float(ratio, i) - 1) < 1e-5))
      return false;
  return true;
}

/* The integers of a bias: as they are beside an i32 sum, else in its steps, in
 * which zeros are whatever their own; NULL: it is none. */
static struct ir_value *bias_of(struct quantize *p, struct ir_value *v,
                                const struct coded *sum) {
  struct coded k = coded_of(p, v);
  double zero, number;
  if (v->type->dtype == IR_I32)
    return !sum->scale && edit_folds(v) ? v : NULL;
  bool fits = k.q && k.q->type->dtype == IR_I32 && !k.bias && edit_folds(k.q) &&
              quant_uniform(k.zero, 0, &zero) && zero == 0 && k.scale &&
              sum->scale &&
              ((k.q->data && ir_const_uniform(k.q, &number) && number == 0) ||
               same_scale(p, k.scale, sum->scale));
  return fits ? k.q : NULL;
}

static struct coded of_add(struct quantize *p, const struct ir_op *op) {
  for (unsigned i = 0; i < 2; i++) {
    struct coded c = coded_of(p, ir_arg(op, i));
    if (!c.q || c.q->type->dtype != IR_I32 || c.count || c.lo != -HUGE_VAL ||
        c.hi != HUGE_VAL || ir_result(op)->type != ir_arg(op, i)->type)
      continue;
    struct ir_value *bias = bias_of(p, ir_arg(op, 1 - i), &c);
    if (!bias)
      continue;
    c.bias = c.bias ? quant_op2(p, IR_ADD, c.bias, bias) : bias;
    return c.bias ? c : (struct coded){0};
  }
  return (struct coded){0};
}

static struct coded of_clamp(struct quantize *p, const struct ir_op *op) {
  struct coded c = coded_of(p, ir_arg(op, 0));
  bool relu = op->code == IR_RELU;
  double lo = relu ? 0 : ir_get_float(op, "lo");
  double hi = relu ? HUGE_VAL : ir_get_float(op, "hi");
  if (!(lo <= hi))
    return (struct coded){0};
  c.lo = fmin(hi, fmax(lo, c.lo));
  c.hi = fmin(hi, fmax(lo, c.hi));
  return c;
}

/* ---- Moves and maxima of coded values are those of their integers ---- */

/* Parameters that are not one number can be transposed. */
static bool move_parameter(struct quantize *p, const struct ir_op *op,
                           struct ir_value **v) {
  int rank = ir_arg(op, 0)->type->rank;
  int64_t dims[IR_MAX_RANK];
  if (!*v || ir_type_count((*v)->type) == 1)
    return true;
  if (op->code != IR_TRANSPOSE)
    return false;
  assert((*v)->type->rank <= rank && "parameters broadcast with the integers");
  for (int d = 0; d < rank; d++) {
    int from = d - (rank - (*v)->type->rank);
    dims[d] = from < 0 ? 1 : (*v)->type->dim[from];
  }
  *v = quant_emit(p, IR_RESHAPE, IR_ARGS(*v),
                  IR_ATTRS(ir_ints("shape", dims, rank)));
  *v = quant_emit(p, op->code, IR_ARGS(*v), op->attr, op->nattrs);
  return *v != NULL;
}

static bool same_parameter(const struct ir_value *a, const struct ir_value *b,
                           double none) {
  double x, y;
  return a == b ||
         (quant_uniform(a, none, &x) && quant_uniform(b, none, &y) && x == y);
}

/* Operands, as integers, of one scale and zero point: all but the indices of a
 * gather. */
static bool same_operands(struct quantize *p, const struct ir_op *op,
                          struct ir_value **args) {
  struct coded first = coded_of(p, ir_arg(op, 0));
  bool all = op->code == IR_CONCAT;
  for (unsigned i = 0; i < op->noperands; i++) {
    struct coded c = coded_of(p, ir_arg(op, i));
    args[i] = all || !i ? c.q : ir_arg(op, i);
    if (all && op->noperands > 1 &&
        (!coded_is_tensor(&c) || c.q->type->dtype != first.q->type->dtype ||
         !same_parameter(c.zero, first.zero, 0) ||
         !same_parameter(c.scale, first.scale, 1)))
      return false;
  }
  return true;
}

/* A pad's value is one of the integers. */
static bool pad_value(const struct ir_op *op, const struct coded *c,
                      struct ir_attr *attrs) {
  double zero, scale;
  if (op->code != IR_PAD)
    return true;
  double value = ir_get_float(op, "value");
  if (!quant_uniform(c->zero, 0, &zero) ||
      !quant_uniform(c->scale, 1, &scale) || c->bias ||
      (value != 0 && scale != 1) || !(value >= c->lo && value <= c->hi))
    return false;
  zero += value;
  double least, most;
  ir_dtype_range(c->q->type->dtype, &least, &most);
  if (zero != rint(zero) || zero < least || zero > most)
    return false;
  for (unsigned i = 0; i < op->nattrs; i++)
    if (!strcmp(attrs[i].name, "value"))
      attrs[i].f = zero;
  attrs[op->nattrs] = ir_float("value", zero);
  return true;
}

static struct coded of_move(struct quantize *p, const struct ir_op *op) {
  struct coded c = coded_of(p, ir_arg(op, 0)), none = {0};
  struct ir_attr attrs[IR_MAX_ATTRS + 1];
  if (!c.q || !op->noperands)
    return none;
  struct ir_value **args =
      DN_ARRAY(p->env->scratch, struct ir_value *, op->noperands);
  memcpy(attrs, op->attr, op->nattrs * sizeof *attrs);
  if (!same_operands(p, op, args) || !pad_value(op, &c, attrs) ||
      !move_parameter(p, op, &c.zero) || !move_parameter(p, op, &c.bias) ||
      !move_parameter(p, op, &c.scale) || !move_parameter(p, op, &c.count))
    return none;
  bool adds = op->code == IR_PAD && !ir_find_attr(op, "value");
  c.q = quant_emit(p, op->code, args, op->noperands, attrs, op->nattrs + adds);
  return c.q ? c : none;
}

/* Scales are positive, so the largest integer is that of the largest value. */
static struct coded of_max(struct quantize *p, const struct ir_op *op) {
  struct coded c = coded_of(p, ir_arg(op, 0));
  double zero, scale;
  if (!c.q || c.bias || !quant_uniform(c.zero, 0, &zero) ||
      !quant_uniform(c.scale, 1, &scale))
    return (struct coded){0};
  c.q = quant_emit(p, op->code, IR_ARGS(c.q), op->attr, op->nattrs);
  return c;
}

/* A sum, exact in i32, of fewer than 2^23 elements. */
static struct coded of_sum(struct quantize *p, const struct ir_op *op) {
  struct coded c = coded_of(p, ir_arg(op, 0)), none = {0};
  double zero, scale;
  if (!coded_is_tensor(&c) || !c.scale || !quant_uniform(c.zero, 0, &zero) ||
      !quant_uniform(c.scale, 1, &scale) ||
      !ir_type_is_static(ir_arg(op, 0)->type) ||
      ir_type_count(ir_arg(op, 0)->type) > 1 << 23 ||
      !ir_type_count(ir_result(op)->type))
    return none;
  double n = (double)(ir_type_count(ir_arg(op, 0)->type) /
                      ir_type_count(ir_result(op)->type));
  c.q = quant_emit(p, op->code, IR_ARGS(quant_cast(p, c.q, IR_I32)), op->attr,
                   op->nattrs);
  c.bias = zero ? quant_number(p, IR_I32, -zero * n) : NULL;
  c.zero = NULL;
  return c;
}

static struct coded follow(struct quantize *p, const struct ir_op *op) {
  switch ((int)op->code) {
  case IR_CAST:
    return of_cast(p, op);
  case IR_SUB:
    return of_sub(p, op);
  case IR_MUL:
    return of_mul(p, op);
  case IR_DIV:
    return of_div(p, op);
  case IR_ADD:
    return of_add(p, op);
  case IR_RELU:
  case IR_CLAMP:
    return of_clamp(p, op);
  case IR_REDUCE_SUM:
    return of_sum(p, op);
  case IR_REDUCE_MAX:
  case IR_WINDOW_MAX:
    return of_max(p, op);
  }
  bool moves = ir_ops[op->code].cls == IR_MOVE || op->code == IR_EXPAND;
  return moves ? of_move(p, op) : (struct coded){0};
}

/* A value that was quantized in the sign that sums of products take, in that of
 * the model; what reads it as coded reads the former. */
static struct ir_value *in_sign(struct quantize *p, const struct ir_op *op,
                                struct ir_value *y, struct coded *out) {
  enum ir_dtype t = ir_result(op)->type->dtype;
  if (!y || y->type->dtype == t)
    return y;
  if (y->def)
    ir_value_rename(p->m, y, ir_result(op)->name);
  *out = (struct coded){
      .q = y,
      .zero = quant_number(p, IR_F32, quant_shift(t, y->type->dtype)),
      .lo = -HUGE_VAL,
      .hi = HUGE_VAL};
  return quant_flip(p, y);
}

static int64_t visit(struct quantize *p, struct ir_op *op) {
  if (op->nresults != 1 || op->nregions ||
      (ir_result(op)->type->quant && op->code != IR_NARROW) ||
      !ir_type_is_static(ir_result(op)->type))
    return 0;
  p->b = edit_before(op);
  struct coded c = {0};
  struct ir_value *with = NULL;
  if (ir_ops[op->code].cls == IR_CONTRACT)
    with = quant_dot(p, op, &c);
  else if (op->code == IR_NARROW)
    with = quant_narrow(p, op);
  else
    c = follow(p, op);
  if (op->code == IR_ADD && c.q && ir_result(op)->type->dtype == IR_I32)
    with = quant_sum(p, &c);
  if (op->code == IR_NARROW)
    with = in_sign(p, op, with, &c);
  if (c.q)
    set_coded(p, with ? with : ir_result(op), c);
  if (with && with->def && ir_result(op)->type->quant)
    with->type = ir_result(op)->type;
  if (with)
    edit_replace(op, with, with->def && with->def->id >= op->id);
  return with != NULL;
}

int64_t pass_quantize(struct pass_env *env, struct ir_module *m) {
  struct quantize p = {.env = env, .m = m};
  unsigned errors = dn_errors(m->ctx);
  int64_t changes = 0;
  for (struct ir_op *op = ir_first(m), *next; op; op = next) {
    next = ir_next(op);
    changes += visit(&p, op);
  }
  return dn_errors(m->ctx) > errors ? -1 : changes;
}
