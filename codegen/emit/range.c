/* range.c - which integers a value may hold, as far as constants and a few ops
 * tell: multipliers and shifts that leave cases of fixed-point arithmetic out,
 * and indices that nothing needs to clamp. */
#include "codegen/emit/impl.h"

#include <assert.h>

/* Values looked at for one index. */
enum { MOST_LOOKS = 64 };

static const struct emit_range anything = {INT64_MIN, INT64_MAX};

/* Of the elements of a constant, less the bits that `mask` lacks. */
static struct emit_range elements(const struct ir_value *v, int64_t mask) {
  assert(v->data && ir_type_count(v->type) > 0 &&
         "the caller looks at a constant");
  struct emit_range r = {INT64_MAX, INT64_MIN};
  for (int64_t i = 0; i < ir_type_count(v->type); i++) {
    int64_t n = ir_const_int(v, i) & mask;
    r.least = dn_min(r.least, n);
    r.most = dn_max(r.most, n);
    if (v->data->splat)
      break;
  }
  return r;
}

/* As far as code depends on it (emit_hmul(), emit_rshr(), shifts): kernels that
 * differ in the numbers alone are one function. */
static struct emit_range round_range(enum ir_dtype type, struct emit_range r) {
  unsigned bits = ir_dtypes[type].bits;
  int64_t lowest = -(INT64_MAX >> (64 - bits)) - 1;
  r.least = r.least >= INT64_C(1) << 30 ? INT64_C(1) << 30
            : r.least >= 0              ? 0
            : r.least > lowest          ? lowest + 1
                                        : INT64_MIN;
  r.most = r.most < bits ? bits - 1 : INT64_MAX;
  return r;
}

struct emit_range emit_range_of(const struct ir_value *v) {
  if (!v->data || ir_is_float(v->type->dtype) ||
      ir_type_count(v->type) > EMIT_RANGE_ELEMENTS || !ir_type_count(v->type))
    return anything;
  return round_range(v->type->dtype, elements(v, -1));
}

/* What elements of an operand are picked or moved by the op that makes v. */
static const struct ir_value *moved(const struct ir_value *v, int *looks) {
  while (v->def && !v->data && --*looks > 0) {
    const struct ir_op *op = v->def;
    if (op->code == IR_KERNEL)
      v = ir_arg(op->region[0]->last, 0);
    else if (op->code == IR_GATHER || op->code == IR_GATHER_ELEMENTS ||
             op->code == IR_SLICE || op->code == IR_EXPAND ||
             op->code == IR_RESHAPE)
      v = ir_arg(op, 0);
    else
      break;
  }
  return v;
}

static struct emit_range look(const struct ir_value *v, int *looks);

static struct emit_range join(const struct ir_op *op, int *looks) {
  struct emit_range r = look(ir_arg(op, 0), looks);
  for (unsigned i = 1; i < op->noperands; i++) {
    struct emit_range s = look(ir_arg(op, i), looks);
    r.least = dn_min(r.least, s.least);
    r.most = dn_max(r.most, s.most);
  }
  return r;
}

static bool is_known(struct emit_range r) {
  return r.least >= 0 && r.most <= UINT32_MAX;
}

/* Constants, and what is computed with unsigned integers of at most 32 bits. */
static struct emit_range look(const struct ir_value *v, int *looks) {
  v = moved(v, looks);
  enum ir_dtype t = v->type->dtype;
  if (*looks <= 0 || ir_is_float(t))
    return anything;
  if (v->data)
    return ir_type_count(v->type) ? elements(v, -1) : anything;
  if (ir_dtypes[t].bits > 32 || ir_dtypes[t].kind == IR_SIGNED)
    return anything;
  const struct ir_op *op = v->def;
  struct emit_range all = {
      0, t == IR_BOOL ? 1 : UINT32_MAX >> (32 - ir_dtypes[t].bits)};
  if (!op || (op->code != IR_CONCAT && op->code != IR_CAST &&
              op->code != IR_ADD && op->code != IR_SHR && op->code != IR_AND))
    return all;
  const struct ir_value *a = ir_arg(op, 0);
  struct emit_range r = join(op, looks), s = r;
  if (op->noperands == 2 && op->code != IR_CONCAT) {
    r = look(a, looks);
    s = look(ir_arg(op, 1), looks);
  }
  if (!is_known(r) || !is_known(s))
    return all;
  if (op->code == IR_ADD)
    r = (struct emit_range){r.least + s.least, r.most + s.most};
  if (op->code == IR_SHR)
    r = (struct emit_range){s.most > 31 ? 0 : r.least >> s.most,
                            r.most >> dn_min(s.least, 31)};
  if (op->code == IR_AND)
    r = (struct emit_range){0, s.most};
  a = moved(a, looks);
  if (op->code == IR_AND && s.least == s.most && a->data)
    r = elements(a, s.most);
  return r.most <= all.most ? r : all;
}

bool emit_is_inside(const struct ir_value *index, const struct ir_type *type,
                    int d) {
  int looks = MOST_LOOKS;
  struct emit_range r = look(index, &looks);
  return !type->size[d] && r.least >= 0 && r.most < type->dim[d];
}
