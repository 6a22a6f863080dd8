/* precision.c - with --precision=bf16 or f16, weights of that type: a constant
 * that contractions multiply by, or that gather takes slices of. Sums stay
 * f32; an element of a weight is converted where it is read, in the kernel.
 * Half the bytes in flash, and half of what a product by a vector reads from
 * memory. Where the target sums up products of the type (ir/facts.h: struct
 * ir_dot), the other operand is of that type as well, and all that reads it
 * reads that.
 *
 * before:  %1 = matmul %x, @w : f32[1,512]               (@w : f32[512,512])
 * after:   %1 = matmul %x, @w_2 {to=f32} : f32[1,512]    (@w_2 : bf16[512,512])
 *
 * A constant of which a finite element would be infinite stays as it is, and is
 * named. */
#include "passes/edit.h"

#include "ir/diag.h"

#include <assert.h>
#include <math.h>

/* The operand of `op` that may be narrower than its result; -1: none. */
static int weight_of(const struct ir_op *op) {
  bool sums = ir_ops[op->code].cls == IR_CONTRACT && op->noperands == 2 &&
              ir_result(op)->type->dtype == IR_F32;
  for (unsigned i = 0; sums && i < 2; i++)
    if (ir_arg(op, i)->data && ir_arg(op, i)->type->dtype == IR_F32 &&
        !ir_arg(op, 1 - i)->data)
      return (int)i;
  bool slices = op->code == IR_GATHER && ir_arg(op, 0)->data &&
                ir_arg(op, 0)->type->dtype == IR_F32;
  return slices ? 0 : -1;
}

/* The constant in another type; NULL after a warning: its range is too
 * small. */
static struct ir_value *convert(struct ir_module *m, const struct ir_op *op,
                                const struct ir_value *w, enum ir_dtype to) {
  struct dn_ctx *ctx = m->ctx;
  const struct ir_type *type = ir_type(ctx, to, w->type->rank, w->type->dim);
  int64_t n = ir_type_count(type), bytes = ir_dtypes[to].bytes;
  bool fits = true;
  assert(w->data && w->type->dtype == IR_F32 &&
         "weight_of() takes f32 constants");
  if (!w->data->bytes) {
    double v = ir_const_float(w, 0);
    return ir_const_splat(m, w->name, type, v);
  }
  struct ir_data *data = DN_NEW(m->arena, struct ir_data);
  char *out = dn_alloc(m->arena, (size_t)ir_type_bytes(type));
  *data = (struct ir_data){.bytes = out, .size = ir_type_bytes(type)};
  for (int64_t i = 0; i < n; i++) {
    double v = ir_const_float(w, i);
    ir_store_float(to, out + i * bytes, v);
    fits &= !isfinite(v) || isfinite(ir_load_float(to, out + i * bytes));
  }
  if (fits)
    return ir_const_new(m, w->name, type, data);
  dn_warning(ctx, ir_loc(op),
             "the weights '%s' are beyond the range of %s and stay f32",
             dn_escaped(ctx->arena, w->name), ir_dtypes[to].text);
  return NULL;
}

static struct ir_value *cast(struct ir_builder *b, struct ir_value *x,
                             enum ir_dtype to) {
  return ir_emit(b, IR_CAST, IR_ARGS(x),
                 IR_ATTRS(ir_str("to", ir_dtypes[to].text)));
}

/* The operand in type `to`, which all other operations read, too. */
static struct ir_value *narrow_activation(struct ir_value *x,
                                          enum ir_dtype to) {
  assert(!x->data && "weight_of(): one operand of two is a constant");
  if (x->def && x->def->code == IR_CAST && ir_arg(x->def, 0)->type->dtype == to)
    return ir_arg(x->def, 0);
  struct ir_builder b = edit_after(x);
  struct ir_value *half = cast(&b, x, to);
  struct ir_value *back = half ? cast(&b, half, IR_F32) : NULL;
  if (!back)
    return NULL;
  ir_replace_uses(x, back);
  ir_set_operand(half->def, 0, x);
  struct ir_op *results = half->def->block->func->body->last;
  for (unsigned i = 0; i < results->noperands; i++)
    if (ir_arg(results, i) == back)
      ir_set_operand(results, i, x); /* the caller gets all of it */
  return half;
}

/* Operand i of `op` is a constant, which becomes `w`. */
static bool narrow(const struct pass_env *env, struct ir_op *op, unsigned i,
                   struct ir_value *w) {
  assert(ir_arg(op, i)->data && w->data && "weight_of() has found a constant");
  enum ir_dtype to = w->type->dtype;
  ir_set_operand(op, i, w);
  if (op->code != IR_GATHER) {
    ir_set_attr(op, ir_str("to", "f32"));
    struct ir_value *x = ir_arg(op, 1 - i);
    if (ir_dot_of(env->target, to).k < 2 || x->type->dtype != IR_F32)
      return true;
    x = narrow_activation(x, to);
    if (x)
      ir_set_operand(op, 1 - i, x);
    return x != NULL;
  }
  struct ir_builder b = edit_before(op);
  struct ir_value *y =
      ir_emit(&b, IR_GATHER, IR_ARGS(w, ir_arg(op, 1)),
              IR_ATTRS(ir_int("axis", ir_get_int(op, "axis"))));
  y = y ? cast(&b, y, IR_F32) : y;
  if (y)
    edit_replace(op, y, true);
  return y != NULL;
}

int64_t pass_precision(struct pass_env *env, struct ir_module *m) {
  int64_t converted = 0;
  size_t n = m->consts.n; /* those made here come after */
  for (size_t k = 0; env->opts->weights != IR_F32 && k < n; k++) {
    struct ir_value *w = m->consts.v[k], *with = NULL;
    for (struct ir_use *u = w->uses, *next; u; u = next) {
      next = u->next;
      int i = weight_of(u->op);
      if (i < 0 || ir_arg(u->op, (unsigned)i) != w)
        continue;
      with = with ? with : convert(m, u->op, w, env->opts->weights);
      if (!with)
        break;
      if (!narrow(env, u->op, (unsigned)i, with))
        return -1;
      converted++;
    }
  }
  env->rounds = converted > 0;
  return converted;
}
