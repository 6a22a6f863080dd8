/* state.c - state that grows: a result that is a parameter with rows behind it, as
 * an attention's keys are. Where the number of rows is a size that the caller
 * passes, both become one value of the most rows that there can be, in which a
 * call writes its own rows. They may be the first: the size may be 0 then.
 *
 * before:  func @main(%past: f32[1,P<=64,8], %x: f32[1,1,8]) ...
 *            %now = concat %past, %x {axis=1} : f32[1,"P+1"<=65,8]
 *            ... return %now
 * after:   func @main(%past: f32[1,65,8], %x: f32[1,1,8]) ...
 *            %rows = reshape %past : f32[65,8]
 *            %next = scatter %rows, P, %x : f32[65,8]
 *            %all = reshape %next : f32[1,65,8]
 *            %now = slice %all : f32[1,"P+1"<=65,8]
 *            ... return %all */
#include "passes/state.h"

#include "passes/edit.h"
#include "passes/sizes.h"

#include <assert.h>

/* ---- The least size ---- */

/* `s` with parameter swap[0] as swap[1]. */
static const struct ir_size *
swapped(struct dn_ctx *ctx, const struct ir_size *s, const void *user) {
  const struct ir_param *const *swap = user;
  struct ir_size r = *s;
  for (int i = 0; i < r.n; i++) {
    if (r.term[i].by == swap[0])
      r.term[i].by = swap[1];
    if (r.term[i].and == swap[0])
      r.term[i].and = swap[1];
  }
  return ir_size_make(ctx, &r);
}

/* No rows are there before the first call. */
static void begin_at_0(struct ir_func *f, const struct ir_size *s) {
  assert(s->n && "find_growth(): a size with a parameter");
  struct dn_ctx *ctx = f->module->ctx;
  const struct ir_param *p = s->term[0].by;
  const struct ir_param *swap[] = {p, ir_param(ctx, p->name, 0, p->bound)};
  if (s == ir_size_param(ctx, p) && p->least == 1)
    edit_sizes(f->body, swapped, swap);
}

/* ---- The change ---- */

/* The concat that puts rows behind a parameter's; NULL: there is none. *axis is
 * theirs, the only one with a size. */
static struct ir_op *find_growth(const struct ir_func *f, unsigned out,
                                 const struct ir_value *in, int *axis) {
  struct ir_op *cat = ir_arg(f->body->last, out)->def;
  if (f->module->form != IR_GRAPH || !cat || cat->block != f->body ||
      cat->code != IR_CONCAT || cat->noperands != 2 || ir_arg(cat, 0) != in ||
      in->type->quant)
    return NULL;
  assert(ir_result(cat)->type->rank == in->type->rank &&
         "infer_concat() keeps the rank");
  *axis = (int)ir_get_int(cat, "axis");
  for (int d = 0; d < in->type->rank; d++)
    if ((d == *axis) != (in->type->size[d] != NULL))
      return NULL;
  return ir_type_is_sized(ir_arg(cat, 1)->type) ? NULL : cat;
}

/* The first rows of `all` as what had a size before. */
static struct ir_value *first_rows(struct ir_builder *b, struct ir_value *all,
                                   const struct ir_type *type) {
  int64_t starts[IR_MAX_RANK] = {0};
  struct ir_value *v =
      ir_emit(b, IR_SLICE, IR_ARGS(all),
              IR_ATTRS(ir_ints("starts", starts, type->rank),
                       ir_ints("sizes", type->dim, type->rank)));
  assert(v && "the sizes are at most those of `all`");
  v->type = type;
  return v;
}

/* Numbers of rows: `new` of each `all`, the first of which are at `first`. */
static struct ir_value *row_numbers(struct ir_builder *b, int64_t outer,
                                    int64_t all, int64_t new,
                                    struct ir_value *first) {
  int64_t n = outer * new;
  assert(new <= all && "rows are added behind those that are there");
  struct dn_arena *tmp = dn_arena_new(b->m->ctx);
  int64_t *at = DN_ARRAY(tmp, int64_t, n);
  for (int64_t i = 0; i < n; i++)
    at[i] = i / new *all + i % new;
  struct ir_value *c = ir_const_ints(b->m, "rows", IR_I64, 1, &n, at);
  dn_arena_free(tmp);
  return ir_emit(b, IR_ADD, IR_ARGS(c, first), NULL, 0);
}

bool state_grow(struct ir_func *f, unsigned out, struct ir_value *in) {
  int axis;
  struct ir_op *cat = find_growth(f, out, in, &axis);
  if (!cat)
    return false;
  static const struct ir_size *const none[IR_MAX_RANK];
  const struct ir_type *was = in->type, *type = ir_result(cat)->type;
  const struct ir_type *all = ir_type_sized(f->module->ctx, type, none);
  int64_t outer = 1, inner = 1, new = ir_arg(cat, 1)->type->dim[axis];
  for (int d = 0; d < type->rank; d++)
    *(d < axis ? &outer : &inner) *= d == axis ? 1 : type->dim[d];
  struct ir_builder start = edit_before(f->body->first), b = edit_before(cat);
  struct ir_value *x, *rows, *old,
      *past = sizes_value(&start, was->size[axis], was->dim[axis]);
  in->type = all;
  old = first_rows(&start, in, was);
  ir_replace_uses(in, old);
  ir_set_operand(old->def, 0, in);
  x = edit_reshape(&b, ir_arg(cat, 1), 2, (int64_t[]){outer * new, inner});
  rows = edit_reshape(&b, in, 2, (int64_t[]){outer * all->dim[axis], inner});
  rows = ir_emit(
      &b, IR_SCATTER,
      IR_ARGS(rows, row_numbers(&b, outer, all->dim[axis], new, past), x), NULL,
      0);
  rows = edit_reshape(&b, rows, all->rank, all->dim);
  edit_replace(cat, first_rows(&b, rows, type), true);
  if (!old->uses)
    ir_op_remove(old->def);
  ir_set_operand(f->body->last, out, rows);
  begin_at_0(f, was->size[axis]);
  return true;
}
