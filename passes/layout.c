/* layout.c - moves transposes through ops until they cancel. Values that ops
 * treat alike whatever the order of their dimensions share an order, chosen so
 * that the fewest bytes are transposed where it meets a fixed one
 * (layout_graph.c). Then every op is rewritten for the order of its group: list
 * attributes are permuted, axes renumbered, constants transposed (for the fold
 * pass), and what must be moved is transposed once, after it is made. A flatten
 * before a product with constant weights permutes the rows of the weights.
 *
 * before:  %1 = transpose %x {perm=[0,2,3,1]} : f32[1,8,8,3]
 *          %2 = conv %1, @w {pads=[1,1,1,1]} : f32[1,8,8,16]
 *          %3 = transpose %2 {perm=[0,3,1,2]} : f32[1,16,8,8]
 *          %4 = relu %3 : f32[1,16,8,8]
 *          %5 = window_max %4 {kernel=[1,1,2,2], strides=[1,1,2,2]} : ...
 *          %6 = transpose %5 {perm=[0,2,3,1]} : f32[1,4,4,16]
 *          %7 = conv %6, @v : f32[1,4,4,16]
 * after:   %1 = transpose %x {perm=[0,2,3,1]} : f32[1,8,8,3]
 *          %2 = conv %1, @w {pads=[1,1,1,1]} : f32[1,8,8,16]
 *          %4_t = relu %2 : f32[1,8,8,16]
 *          %5_t = window_max %4_t {kernel=[1,2,2,1], strides=[1,2,2,1]} : ...
 *          %7 = conv %5_t, @v : f32[1,4,4,16] */
#include "passes/layout.h"

#include <assert.h>
#include <string.h>

/* A transposed copy of a base, for all its readers. */
struct copy {
  struct layout_perm perm;
  struct ir_value *value;
  struct copy *next;
};

struct rewrite {
  struct layout *l;
  struct ir_value **stored;    /* by id of a base: its present layout */
  struct copy **copies;        /* by id */
  const struct ir_type **type; /* by id: before the pass */
  int64_t changes;
};

static bool is_old(const struct rewrite *r, const struct ir_value *v) {
  return v->id < r->l->nvalues;
}

/* The dimensions of a type in another order. */
static void order_dims(const struct ir_type *type, struct layout_perm order,
                       int64_t *dims) {
  for (int d = 0; d < type->rank; d++) {
    assert(order.at[d] < type->rank && "an order of the type's dimensions");
    dims[d] = type->dim[order.at[d]];
  }
}

/* A base whose layout is unchanged. */
static bool is_plain(const struct rewrite *r, const struct ir_value *base) {
  return layout_is_identity(
      *layout_group_order(r->l, r->l->value[base->id].group));
}

/* The value with dimension d in memory being its dimension want[d]. */
static struct ir_value *get(struct rewrite *r, struct ir_value *v,
                            struct layout_perm want) {
  assert(is_old(r, v) && "values that the pass made are asked for as they are");
  const struct layout_value *at = &r->l->value[v->id];
  struct layout_perm have = layout_order_of(r->l, v);
  struct layout_perm move = layout_identity;
  int rank = v->type->rank;
  for (int d = 0; d < rank; d++)
    for (int k = 0; k < rank; k++)
      if (have.at[k] == want.at[d])
        move.at[d] = k;
  struct ir_value *base = r->stored[at->base->id];
  if (!base)
    base = at->base;
  if (layout_is_identity(move))
    return base;
  if (is_plain(r, at->base) && layout_is_identity(want))
    return v; /* nothing has changed: the old transpose does */
  struct copy **list = &r->copies[at->base->id];
  for (struct copy *c = *list; c; c = c->next)
    if (!memcmp(&c->perm, &move, sizeof move))
      return c->value;
  struct ir_builder b = edit_after(base);
  struct copy *c = DN_NEW(r->l->arena, struct copy);
  *c = (struct copy){move, edit_transpose(&b, base, move.at), *list};
  *list = c;
  return c->value;
}

/* An operand of a map, of any rank, for the order of the result. */
static struct ir_value *map_operand(struct rewrite *r, struct ir_op *op,
                                    struct ir_value *v,
                                    struct layout_perm order) {
  const struct ir_type *y = ir_result(op)->type;
  bool constant = edit_folds(v);
  int lead = y->rank - v->type->rank;
  assert(lead >= 0 && "operands broadcast to the result: infer.c");
  int64_t dims[IR_MAX_RANK];
  if (lead == 0 && !constant)
    return get(r, v, order);
  struct ir_value *as_is = constant ? v : get(r, v, layout_identity);
  if (layout_is_identity(order) || ir_type_count(v->type) == 1)
    return as_is;
  for (int d = 0; d < y->rank; d++)
    dims[d] = d < lead ? 1 : as_is->type->dim[d - lead];
  struct ir_builder b = edit_before(op);
  struct ir_value *wide = edit_reshape(&b, as_is, y->rank, dims);
  return wide ? edit_transpose(&b, wide, order.at) : NULL;
}

/* Sets the type and a name of its own: comparing by name must not take the
 * value for what it was before. */
static void retype(struct rewrite *r, struct ir_value *v,
                   struct layout_perm order) {
  int64_t dims[IR_MAX_RANK];
  const struct ir_type *old = v->type;
  if (layout_is_identity(order))
    return;
  order_dims(old, order, dims);
  struct dn_ctx *ctx = r->l->m->ctx;
  v->type =
      ir_type_quant(ctx, ir_type(ctx, old->dtype, old->rank, dims), old->quant);
  ir_value_rename(r->l->m, v, dn_printf(r->l->arena, "%s_t", v->name));
  r->changes++;
}

static bool set_operand(struct ir_op *op, unsigned i, struct ir_value *v) {
  if (v && v != ir_arg(op, i))
    ir_set_operand(op, i, v);
  return v != NULL;
}

static bool rewrite_alike(struct rewrite *r, struct ir_op *op) {
  const struct layout_row *row = &r->l->row[op->code];
  struct ir_value *y = ir_result(op);
  struct layout_perm order =
      *layout_group_order(r->l, r->l->value[y->id].group);
  for (unsigned i = 0; i < op->noperands; i++)
    if (!set_operand(op, i, map_operand(r, op, ir_arg(op, i), order)))
      return false;
  if (!layout_is_identity(order))
    layout_permute_attrs(op, row, order.at);
  retype(r, y, order);
  return true;
}

/* The operand of a reshape in an order that makes it free, if there is one. */
static bool rewrite_reshape(struct rewrite *r, struct ir_op *op) {
  struct layout *l = r->l;
  struct ir_value *x = ir_arg(op, 0), *y = ir_result(op);
  const struct ir_type *from = r->type[x->id], *to = y->type;
  struct layout_perm have = layout_order_of(l, x), want = have;
  struct layout_perm order = *layout_group_order(l, l->value[y->id].group);
  int group[IR_MAX_RANK];
  bool as_is = layout_reshape_is_free(from, have, to, order);
  if (!as_is && layout_is_identity(order) &&
      layout_reshape_merges(from, have, to, group) && layout_can_absorb(y)) {
    if (!layout_absorb(y, from, have, group))
      return false;
  } else if (!as_is && !layout_reshape_order(to, order, from, &want)) {
    want = layout_identity;
  }
  if (!set_operand(op, 0, get(r, x, want)))
    return false;
  int64_t dims[IR_MAX_RANK];
  if (!layout_is_identity(want) || as_is || layout_is_identity(order)) {
    order_dims(to, order, dims);
    ir_set_attr(op, ir_ints("shape", dims, to->rank));
    retype(r, y, order);
    return true;
  }
  struct ir_builder b = edit_after(y);
  r->stored[y->id] = edit_transpose(&b, y, order.at);
  return r->stored[y->id] != NULL;
}

static bool rewrite_fixed(struct rewrite *r, struct ir_op *op) {
  for (unsigned i = 0; i < op->noperands; i++) {
    struct ir_value *v = ir_arg(op, i);
    if (is_old(r, v) && !edit_folds(v) &&
        !set_operand(op, i, get(r, v, layout_identity)))
      return false;
  }
  return true;
}

static bool rewrite_op(struct rewrite *r, struct ir_op *op) {
  switch (layout_kind_of(r->l, op)) {
  case LAYOUT_MAP:
  case LAYOUT_GROUP:
  case LAYOUT_AXIS:
    return rewrite_alike(r, op);
  case LAYOUT_RESHAPE:
    return rewrite_reshape(r, op);
  case LAYOUT_TRANSPOSE: /* its readers look through it */
    return true;
  case LAYOUT_FIXED:
    break;
  }
  return rewrite_fixed(r, op);
}

static bool rewrite_all(struct rewrite *r) {
  DN_LIST(struct ir_op *) transposes = {0};
  for (struct ir_op *op = ir_first(r->l->m), *next; op; op = next) {
    next = ir_next(op);
    if (op->id >= r->l->nops)
      continue; /* made by this pass */
    if (layout_kind_of(r->l, op) == LAYOUT_TRANSPOSE)
      DN_PUSH(r->l->arena, transposes, op);
    if (!rewrite_op(r, op))
      return false;
  }
  for (size_t i = transposes.n; i-- > 0;) {
    if (ir_result(transposes.v[i])->uses)
      continue;
    ir_op_remove(transposes.v[i]);
    r->changes++;
  }
  return true;
}

/* Every value is its own base, pinned, until layout_choose() knows better. */
static void add_value(struct rewrite *r, struct ir_value *v) {
  r->l->value[v->id] = (struct layout_value){v, layout_identity, -1};
  r->type[v->id] = v->type;
}

static void add_params(struct rewrite *r, const struct ir_block *b) {
  for (unsigned i = 0; i < b->nparams; i++)
    add_value(r, b->param[i]);
}

static void add_values(struct rewrite *r) {
  struct ir_module *m = r->l->m;
  for (size_t i = 0; i < m->consts.n; i++)
    add_value(r, m->consts.v[i]);
  for (struct ir_func *f = m->funcs; f; f = f->next)
    add_params(r, f->body);
  for (struct ir_op *op = ir_first(m); op; op = ir_next(op)) {
    for (unsigned i = 0; i < op->nresults; i++)
      add_value(r, op->result[i]);
    for (unsigned k = 0; k < op->nregions; k++)
      add_params(r, op->region[k]);
  }
}

int64_t pass_layout(struct pass_env *env, struct ir_module *m) {
  struct layout l = {.env = env,
                     .m = m,
                     .arena = env->scratch,
                     .nvalues = m->nvalues,
                     .nops = m->nops};
  for (int code = 0; code < IR_NUM_OPS; code++)
    l.row[code] = layout_row_of(l.arena, (enum ir_opcode)code);
  l.value = DN_ARRAY(l.arena, struct layout_value, l.nvalues);
  struct rewrite r = {.l = &l};
  r.stored = DN_ARRAY(l.arena, struct ir_value *, l.nvalues);
  r.copies = DN_ARRAY(l.arena, struct copy *, l.nvalues);
  r.type = DN_ARRAY(l.arena, const struct ir_type *, l.nvalues);
  add_values(&r);
  layout_choose(&l);
  return rewrite_all(&r) ? r.changes : -1;
}
