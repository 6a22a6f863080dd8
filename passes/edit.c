/* edit.c - changing graphs: see edit.h. */
#include "passes/edit.h"

#include "ir/place.h"
#include "ir/size.h"

#include <assert.h>
#include <string.h>

struct ir_builder edit_before(struct ir_op *op) {
  return (struct ir_builder){.m = op->block->func->module,
                             .block = op->block,
                             .before = op,
                             .loc = op->loc,
                             .model_op = op->model_op,
                             .line = op->line};
}

struct ir_builder edit_after(struct ir_value *v) {
  struct ir_builder b = {0};
  if (v->def) {
    b = edit_before(v->def);
    b.before = v->def->next;
    return b;
  }
  assert(v->block && "callers pass no constants, which stand nowhere");
  b.m = v->block->func->module;
  b.block = v->block;
  b.before = v->block->first;
  return b;
}

static void swap_names(struct ir_module *m, struct ir_value *a,
                       struct ir_value *b) {
  const char *name = a->name, *other = b->name;
  ir_value_rename(m, a, "swapped");
  ir_value_rename(m, b, name);
  ir_value_rename(m, a, other);
}

void edit_replace(struct ir_op *op, struct ir_value *with, bool fresh) {
  struct ir_module *m = op->block->func->module;
  assert(op->nresults == 1 && with &&
         "the caller replaces one value by another");
  if (fresh)
    swap_names(m, ir_result(op), with);
  ir_replace_uses(ir_result(op), with);
  ir_op_remove(op);
}

struct ir_op *edit_kernel(struct ir_op *root, const struct ir_op *named) {
  struct ir_value *y = ir_result(root);
  assert(root->nresults == 1 && "a kernel yields one value: rule one");
  struct ir_module *m = root->block->func->module;
  struct ir_builder b = edit_before(root);
  b.loc = named->loc;
  b.model_op = named->model_op;
  b.line = named->line;
  struct ir_op *k = ir_op_new(&b, IR_KERNEL, NULL, 0, NULL, 0, &y->type, 1, 1);
  swap_names(m, y, ir_result(k));
  ir_replace_uses(y, ir_result(k));
  b.block = k->region[0];
  b.before = NULL;
  ir_op_new(&b, IR_YIELD, IR_ARGS(y), NULL, 0, NULL, 0, 0);
  return k;
}

struct ir_value *edit_copy(struct ir_value *v, struct ir_op *before) {
  struct ir_builder b = edit_before(before);
  b.loc = v->def ? v->def->loc : NULL;
  assert(ir_type_is_static(v->type) && "from the kernels form on: rule static");
  b.model_op = NULL;
  b.line = v->def ? v->def->line : 0;
  struct ir_op *k = ir_op_new(&b, IR_KERNEL, NULL, 0, NULL, 0, &v->type, 1, 1);
  b.block = k->region[0];
  b.before = NULL;
  struct ir_value *inner =
      ir_emit(&b, IR_EXPAND, IR_ARGS(v),
              IR_ATTRS(ir_ints("shape", v->type->dim, v->type->rank)));
  if (!inner)
    return NULL;
  inner->type = v->type; /* quantization included */
  ir_op_new(&b, IR_YIELD, IR_ARGS(inner), NULL, 0, NULL, 0, 0);
  return ir_result(k);
}

bool edit_pieces_move(const struct ir_op *concat) {
  int64_t axis = ir_get_int(concat, "axis");
  for (unsigned i = 0; i + 1 < concat->noperands; i++)
    if (ir_arg(concat, i)->type->size[axis])
      return true;
  return false;
}

bool edit_folds(const struct ir_value *v) {
  /* Chains of weights are short; without the bound this were quadratic. */
  for (int n = 0; n < 16 && v->def && v->def->noperands == 1 &&
                  (ir_ops[v->def->code].traits & IR_PURE);
       n++)
    v = ir_arg(v->def, 0);
  return v->data != NULL;
}

bool edit_perm_is_identity(int rank, const int64_t *perm) {
  for (int d = 0; d < rank; d++)
    if (perm[d] != d)
      return false;
  return true;
}

struct ir_value *edit_reshape(struct ir_builder *b, struct ir_value *v,
                              int rank, const int64_t *dims) {
  assert(rank >= 0 && rank <= IR_MAX_RANK && "the caller's dims fit a type");
  if (v && v->type->rank == rank &&
      (rank == 0 || !memcmp(v->type->dim, dims, (size_t)rank * sizeof *dims)))
    return v;
  return ir_emit(b, IR_RESHAPE, IR_ARGS(v),
                 IR_ATTRS(ir_ints("shape", dims, rank)));
}

struct ir_value *edit_transpose(struct ir_builder *b, struct ir_value *v,
                                const int64_t *perm) {
  int rank = v->type->rank;
  if (edit_perm_is_identity(rank, perm))
    return v;
  if (ir_perm_is_view(v->type, perm) && ir_type_is_static(v->type)) {
    int64_t dims[IR_MAX_RANK];
    for (int d = 0; d < rank; d++)
      dims[d] = v->type->dim[perm[d]];
    return edit_reshape(b, v, rank, dims);
  }
  return ir_emit(b, IR_TRANSPOSE, IR_ARGS(v),
                 IR_ATTRS(ir_ints("perm", perm, rank)));
}

struct ir_value *edit_padded(struct ir_builder *b, const struct ir_op *conv) {
  struct ir_value *x = ir_arg(conv, 0);
  int64_t pads[2 * IR_MAX_RANK] = {0};
  int rank = x->type->rank, spatial = rank - 2;
  assert(spatial >= 0 && "an image has batch and channels: infer_conv()");
  for (int i = 0; i < spatial; i++) {
    pads[1 + i] = ir_get_at(conv, "pads", i);
    pads[rank + 1 + i] = ir_get_at(conv, "pads", spatial + i);
  }
  return ir_emit(b, IR_PAD, IR_ARGS(x),
                 IR_ATTRS(ir_ints("pads", pads, 2 * rank),
                          ir_float("value", ir_get_float(conv, "outside"))));
}

/* A type with dimension 0 in blocks of n. */
static const struct ir_type *in_blocks(struct dn_ctx *ctx,
                                       const struct ir_type *t, int64_t n) {
  assert(t->dim[0] % n == 0 && t->rank < IR_MAX_RANK &&
         "the caller has looked");
  int64_t dims[IR_MAX_RANK] = {t->dim[0] / n, n};
  memcpy(dims + 2, t->dim + 1, (size_t)(t->rank - 1) * sizeof *dims);
  return ir_type(ctx, t->dtype, t->rank + 1, dims);
}

struct ir_value *edit_cut_rows(struct ir_builder *b, struct ir_value *v,
                               int64_t n) {
  assert(v->type->rank && n > 0 && "rows are dimension 0");
  const struct ir_type *t = in_blocks(b->m->ctx, v->type, n);
  return edit_reshape(b, v, t->rank, t->dim);
}

/* Emits [a, b, ...] as [b, a, ...]. */
static struct ir_value *swap_blocks(struct ir_builder *b, struct ir_value *v) {
  int64_t perm[IR_MAX_RANK] = {1, 0};
  for (int d = 2; d < IR_MAX_RANK; d++)
    perm[d] = d;
  return edit_transpose(b, v, perm);
}

struct ir_op *edit_cut_turns(struct ir_op *scan, int64_t n, bool dealt) {
  struct ir_builder b = edit_before(scan);
  struct dn_ctx *ctx = b.m->ctx;
  struct dn_arena *tmp = dn_arena_new(ctx);
  unsigned states = ir_num_carried(scan), nargs = scan->noperands;
  struct ir_value **v = DN_ARRAY(tmp, struct ir_value *, nargs);
  const struct ir_type **types =
      DN_ARRAY(tmp, const struct ir_type *, scan->nresults);
  assert((!dealt || !states) && "turns in another order carry nothing on");
  for (unsigned i = 0; i < nargs; i++) {
    v[i] = ir_arg(scan, i);
    if (dealt)
      v[i] = swap_blocks(&b, edit_cut_rows(&b, v[i], v[i]->type->dim[0] / n));
    else if (i >= states)
      v[i] = edit_cut_rows(&b, v[i], n);
  }
  for (unsigned i = 0; i < scan->nresults; i++) {
    types[i] = scan->result[i]->type;
    types[i] = i < states ? types[i] : in_blocks(ctx, types[i], n);
  }
  struct ir_op *outer = ir_op_new(&b, IR_SCAN, v, nargs, scan->attr,
                                  scan->nattrs, types, scan->nresults, 1);
  for (unsigned i = 0; i < scan->nresults; i++) {
    struct ir_value *y = outer->result[i], *was = scan->result[i];
    if (i >= states) {
      y = edit_reshape(&b, dealt ? swap_blocks(&b, y) : y, was->type->rank,
                       was->type->dim);
      was->type = ir_type_part(ctx, types[i], 1, was->type->rank);
    }
    ir_replace_uses(was, y);
  }
  struct ir_block *body = outer->region[0];
  for (unsigned i = 0; i < nargs; i++) {
    const struct ir_type *t = v[i]->type;
    t = i < states ? t : ir_type_part(ctx, t, 1, t->rank - 1);
    ir_set_operand(scan, i, ir_param_new(body, NULL, t));
  }
  ir_op_move(scan, body, NULL);
  b.block = body;
  b.before = NULL;
  ir_op_new(&b, IR_YIELD, scan->result, scan->nresults, NULL, 0, NULL, 0, 0);
  dn_arena_free(tmp);
  return outer;
}

bool edit_attr_is_default(const struct ir_op *op, const struct ir_attr *a) {
  struct ir_attr_spec spec;
  return ir_op_attr_spec(op->code, a->name, strlen(a->name), &spec) &&
         ir_attr_is_default(a, &spec);
}

static void size_type(struct ir_value *v, struct dn_ctx *ctx, edit_size *to,
                      const void *user) {
  const struct ir_size *size[IR_MAX_RANK] = {NULL};
  for (int d = 0; d < v->type->rank; d++)
    size[d] = v->type->size[d] ? to(ctx, v->type->size[d], user) : NULL;
  if (ir_type_is_sized(v->type))
    v->type = ir_type_sized(ctx, v->type, size);
}

void edit_sizes(struct ir_block *b, edit_size *to, const void *user) {
  struct dn_ctx *ctx = b->func->module->ctx;
  for (unsigned i = 0; i < b->nparams; i++)
    size_type(b->param[i], ctx, to, user);
  for (struct ir_op *op = b->first; op; op = op->next) {
    for (unsigned i = 0; i < op->noperands; i++)
      if (ir_arg(op, i)->data)
        size_type(ir_arg(op, i), ctx, to, user);
    for (unsigned i = 0; i < op->nresults; i++)
      size_type(op->result[i], ctx, to, user);
    for (unsigned r = 0; r < op->nregions; r++)
      edit_sizes(op->region[r], to, user);
  }
}
