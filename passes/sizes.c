/* sizes.c - one module from several of one model, imported and simplified at
 * several sizes (lanes). All have the same ops; what differs between them is a
 * size, a sum of products of parameters through the lanes' numbers:
 *
 *   dimensions       become sizes of types
 *   constants        are the corner of the one at the bounds, and may have a
 *                    size added to all elements, or be one over a size
 *   anything else    that differs is an error at the node
 *
 * So whatever an exporter computes from shapes is computed by the importer,
 * with numbers. A size as a value is the number of elements of a vector:
 *
 *   %1 = expand @1 {shape=[512]} : i64[N<=512]
 *   %2 = reduce_sum %1 {axes=[0]} : i64[1] */
#include "passes/sizes_join.h"

#include "ir/place.h"

#include <assert.h>
#include <string.h>

/* ---- Ops ---- */

static bool fail(struct join *j, struct dn_loc loc, const char *what) {
  dn_error(j->ctx, loc, DN_DIM, "%s", what);
  dn_note(j->ctx, "give that size as a number: --dim NAME=VALUE");
  return false;
}

/* Dimensions of 1 simplify what others do not. */
static void note_thin(struct sizes_lane *l, const struct ir_type *bounds,
                      const struct ir_type *type) {
  for (int d = 0; d < type->rank && d < bounds->rank; d++)
    l->thin |= type->dim[d] <= 1 && bounds->dim[d] > 1;
}

static bool same_form(const struct ir_op *a, const struct ir_op *b) {
  return a->code == b->code && a->noperands == b->noperands &&
         a->nresults == b->nresults && a->nregions == b->nregions;
}

/* An attribute of one that the other has not, or not so; NULL: there is none.
 * Those that hold the result's dimensions may differ as these do. */
static const char *other_attr(const struct ir_op *a, const struct ir_op *b) {
  for (unsigned i = 0; i < a->nattrs && i < b->nattrs; i++) {
    const struct ir_attr *x = &a->attr[i], *y = &b->attr[i];
    bool sizes = !strcmp(x->name, "shape") || !strcmp(x->name, "sizes");
    if (x->name != y->name || !(sizes ? x->n == y->n : ir_attr_same(x, y)))
      return x->name;
  }
  const struct ir_op *more = a->nattrs > b->nattrs ? a : b;
  return a->nattrs == b->nattrs ? NULL
                                : more->attr[dn_min(a->nattrs, b->nattrs)].name;
}

static bool same_op(const struct ir_op *a, const struct ir_op *b) {
  return same_form(a, b) && !other_attr(a, b);
}

static bool join_operands(struct join *j, struct ir_op *const *op) {
  unsigned n = op[0]->noperands;
  struct ir_value **known = DN_ARRAY(j->scratch, struct ir_value *, n + 1);
  for (unsigned i = 0; i < n; i++) {
    struct ir_value *c[SIZES_MAX_LANES];
    known[i] = ir_arg(op[0], i);
    if (!known[i]->data)
      continue;
    for (int k = 0; k < j->n; k++)
      c[k] = ir_arg(op[k], i);
    known[i] = sizes_join_const(j, c);
    if (!known[i])
      return fail(j, ir_loc(op[0]),
                  "a constant depends on a size that is known at run time "
                  "only, in a way that is no sum of sizes");
  }
  for (unsigned i = 0; i < n; i++)
    if (known[i] != ir_arg(op[0], i))
      ir_set_operand(op[0], i, known[i]);
  return true;
}

/* The rule's own answer where it is right, or what the lanes say. */
static bool join_result(struct join *j, struct ir_op **op) {
  if (op[0]->code == IR_RESHAPE)
    sizes_reshape(j, op);
  if (op[0]->code == IR_SET_SIZE) /* ops that need the size come behind it */
    j->first = op[0]->next;
  struct ir_value *y = ir_result(op[0]);
  const struct ir_type *types[SIZES_MAX_LANES];
  for (int k = 0; k < j->n; k++) {
    types[k] = ir_result(op[k])->type;
    j->value[k][ir_result(op[k])->id] = y;
    note_thin(&j->s->lane[k], types[0], types[k]);
  }
  size_t from = dn_diags_count(j->ctx);
  bool was = dn_diags_capture(j->ctx, true);
  const struct ir_type *type = ir_infer(j->ctx, op[0]);
  if (sizes_type_fits(j, type, types)) {
    dn_diags_rewind(j->ctx, from);
  } else if (type) {
    dn_diags_rewind(j->ctx, from);
    type = sizes_fit_type(j, types);
  }
  dn_diags_capture(j->ctx, was);
  dn_diags_print(j->ctx, from);
  if (!type)
    return dn_diags_count(j->ctx) == from &&
           fail(j, ir_loc(op[0]),
                "a size of its result is no sum of products of those that are "
                "known at run time only");
  y->type = type;
  sizes_note(j, type);
  return true;
}

static const char *another_op(struct dn_arena *arena, const struct ir_op *a,
                              const struct ir_op *b) {
  if (b && same_form(a, b))
    return dn_printf(arena, "'%s' has another '%s' at other sizes",
                     ir_ops[a->code].text, other_attr(a, b));
  return dn_printf(arena, "'%s' is '%s' at other sizes", ir_ops[a->code].text,
                   b ? ir_ops[b->code].text : "nothing");
}

/* Names the op that lane k has instead of the one at the bounds; NULL: it has
 * the same. */
static const char *differs(const struct join *j, struct ir_op *const *op,
                           int k) {
  if (!op[k] || !same_op(op[0], op[k]))
    return another_op(j->scratch, op[0], op[k]);
  for (unsigned i = 0; i < op[0]->noperands; i++) {
    const struct ir_value *v = ir_arg(op[0], i), *c = ir_arg(op[k], i);
    if (v->data ? !c->data : c->data || j->value[k][c->id] != v)
      return dn_printf(j->scratch, "operand %u is another value at other sizes",
                       i);
  }
  return NULL;
}

/* A constant, or what is made of constants: the first operand of a few ops. */
static bool from_consts(const struct ir_value *v) {
  enum { DEEP = 4 };
  for (int depth = 0; depth < DEEP && !v->data && v->def; depth++) {
    const struct ir_op *op = v->def;
    for (unsigned i = 1; i < op->noperands; i++)
      if (!ir_arg(op, i)->data)
        return false;
    if (!op->noperands)
      return false;
    v = ir_arg(op, 0);
  }
  return v->data != NULL;
}

/* The next op that is there at dimensions of 1 too: no move, no reduction, no
 * op on constants, which those simplify away. */
static const struct ir_op *next_main(const struct ir_op *op) {
  for (; op; op = op->next) {
    enum ir_class class = ir_ops[op->code].cls;
    bool minor =
        class == IR_MOVE || class == IR_REDUCE || op->code == IR_EXPAND;
    for (unsigned i = 0; i < op->noperands && class == IR_MAP; i++)
      minor |= from_consts(ir_arg(op, i));
    if (!minor)
      break;
  }
  return op;
}

/* The lane has dimensions of 1, or will have, and from its op b on, and behind the
 * regions that it is in, the same main ops as the bounds from a on: ops before such
 * dimensions may have another layout, so they are not compared. */
static bool is_thin(struct sizes_lane *lane, const struct ir_op *a,
                    const struct ir_op *b) {
  const struct ir_op *around = a->block->owner;
  const struct ir_op *other = b ? b->block->owner : NULL;
  a = next_main(a);
  b = next_main(b);
  while (a && b && a->code == b->code) {
    for (unsigned i = 0; i < a->nresults && i < b->nresults; i++)
      note_thin(lane, a->result[i]->type, b->result[i]->type);
    a = next_main(a->next);
    b = next_main(b->next);
  }
  if (around && other && !a && !b)
    return is_thin(lane, around, other);
  return !a && !b && lane->thin;
}

/* Drops lane k if it is thin from here on. */
static bool drop_lane(struct join *j, struct ir_op *const *op, int k) {
  assert(k > 0 && k < j->n && "the lane at the bounds stays");
  struct sizes_lane lane = j->s->lane[k];
  if (k < j->s->nfit || !is_thin(&lane, op[0], op[k]))
    return false;
  int last = --j->n;
  j->s->lane[k] = j->s->lane[last];
  j->s->lane[last] = lane;
  for (struct join_ops *at = j->ops; at; at = at->around)
    at->op[k] = at->op[last];
  j->value[k] = j->value[last];
  return true;
}

/* The lanes that can be, after errors from `from` on; false: there are none. */
static bool drop_lanes(struct join *j, struct ir_op **op, size_t from) {
  bool fewer = false;
  for (int k = j->n; --k > 0;)
    fewer |= drop_lane(j, op, k);
  if (fewer)
    dn_diags_rewind(j->ctx, from);
  return fewer;
}

static bool join_op(struct join *j, struct ir_op **op);

/* The ops of a block, from op[] on. */
static bool join_ops(struct join *j, struct ir_op **op) {
  struct join_ops here = {.op = op, .around = j->ops};
  bool ok = true;
  j->ops = &here;
  while (ok && op[0]) {
    ok = join_op(j, op);
    for (int k = 0; k < j->n; k++)
      op[k] = op[k] ? op[k]->next : NULL;
  }
  j->ops = here.around;
  return ok;
}

static const struct ir_type *stacked(struct join *j, const struct ir_type *t,
                                     const struct ir_type *through) {
  const struct ir_size *size[IR_MAX_RANK];
  int64_t dim[IR_MAX_RANK];
  dim[0] = through->dim[0];
  size[0] = through->size[0];
  memcpy(dim + 1, t->dim, (size_t)t->rank * sizeof *dim);
  memcpy(size + 1, t->size, (size_t)t->rank * sizeof *size);
  return ir_type_sized(j->ctx, ir_type(j->ctx, t->dtype, t->rank + 1, dim),
                       size);
}

/* `type` for the values v[] of the lanes. */
static bool join_value(struct join *j, struct ir_value *const *v,
                       const struct ir_type *type) {
  const struct ir_type *types[SIZES_MAX_LANES];
  for (int k = 0; k < j->n; k++) {
    types[k] = v[k]->type;
    j->value[k][v[k]->id] = v[0];
  }
  if (!sizes_type_fits(j, type, types))
    return false;
  v[0]->type = type;
  return true;
}

static bool join_inside(struct join *j, struct ir_op *const *op, unsigned r) {
  struct ir_op *first[SIZES_MAX_LANES];
  for (int k = 0; k < j->n; k++)
    first[k] = op[k]->region[r]->first;
  return join_ops(j, first);
}

/* What region r gets: carried values, and slices of what a scan goes through. */
static bool join_region(struct join *j, struct ir_op *const *op, unsigned r) {
  struct ir_value *v[SIZES_MAX_LANES];
  const struct ir_block *body = op[0]->region[r];
  bool loop = ir_is_loop(op[0]);
  unsigned skips = loop ? ir_loop_skips(op[0]) : 0;
  unsigned carried = loop ? ir_num_carried(op[0]) : 0;
  bool ok = true;
  for (unsigned i = 0; i < body->nparams && ok; i++) {
    const struct ir_type *t = ir_arg(op[0], i)->type;
    for (int k = 0; k < j->n; k++)
      v[k] = op[k]->region[r]->param[i];
    ok = join_value(j, v,
                    i < skips ? v[0]->type
                    : i < skips + carried
                        ? t
                        : ir_type_part(j->ctx, t, 1, t->rank - 1));
  }
  return ok && join_inside(j, op, r);
}

/* A type with as many rows as stacked result i. */
static const struct ir_type *rows_of(const struct ir_op *op, unsigned i) {
  return op->code == IR_SCAN ? ir_arg(op, ir_num_carried(op))->type
                             : op->result[i]->type;
}

/* Results are what regions yield, which is of one type in both branches, or the
 * rows of it. */
static bool join_yields(struct join *j, struct ir_op *const *op) {
  struct ir_value *v[SIZES_MAX_LANES];
  unsigned skips = ir_yield_skips(op[0]);
  unsigned whole = ir_is_loop(op[0]) ? ir_num_carried(op[0]) : op[0]->nresults;
  bool ok = true;
  for (unsigned i = 0; i < op[0]->nresults && ok; i++) {
    const struct ir_type *t = ir_arg(op[0]->region[0]->last, skips + i)->type;
    for (unsigned r = 1; r < op[0]->nregions; r++)
      ok &= ir_arg(op[0]->region[r]->last, skips + i)->type == t;
    for (int k = 0; k < j->n; k++)
      v[k] = op[k]->result[i];
    ok = ok &&
         join_value(j, v, i < whole ? t : stacked(j, t, rows_of(op[0], i)));
  }
  return ok;
}

/* A size that a region makes is known in it only, and so are constants that are
 * made of it. */
static bool join_regions(struct join *j, struct ir_op *const *op) {
  bool ok = true;
  size_t from = dn_diags_count(j->ctx);
  struct ir_op *first = j->first;
  for (unsigned r = 0; r < op[0]->nregions && ok; r++) {
    ok = join_region(j, op, r);
    if (j->first != first)
      j->joined = (struct dn_map){0};
    j->first = first;
  }
  ok = ok && join_yields(j, op);
  return ok || dn_diags_count(j->ctx) > from ||
         fail(j, ir_loc(op[0]),
              "a size in its regions is known at run time only");
}

static bool join_op(struct join *j, struct ir_op **op) {
  for (int k = j->n; --k > 0;) {
    const char *what = differs(j, op, k);
    if (what && !drop_lane(j, op, k))
      return fail(j, ir_loc(op[0]), what);
  }
  size_t from = dn_diags_count(j->ctx);
  if (!join_operands(j, op) &&
      (!drop_lanes(j, op, from) || !join_operands(j, op)))
    return false;
  if (op[0]->nregions)
    return join_regions(j, op);
  return !op[0]->nresults || join_result(j, op) ||
         (drop_lanes(j, op, from) && join_result(j, op));
}

/* Checks that the results of dropped lanes have the joined types at their
 * points. */
static bool join_returns(struct join *j) {
  const struct ir_op *y = ir_main(j->s->lane[0].m)->body->last;
  for (int k = j->n; k < j->s->n; k++) {
    struct ir_point p = sizes_point(j, k);
    const struct ir_op *z = ir_main(j->s->lane[k].m)->body->last;
    for (unsigned i = 0; i < y->noperands; i++) {
      const struct ir_type *a = ir_arg(y, i)->type, *b = ir_arg(z, i)->type;
      if (ir_type_at(j->ctx, a, &p) != b)
        return fail(j, (struct dn_loc){.where = ir_arg(y, i)->name},
                    "a result's size is no sum of products of those that are "
                    "known at run time only");
    }
  }
  return true;
}

static bool join_params(struct join *j) {
  const struct ir_block *body = ir_main(j->s->lane[0].m)->body;
  for (unsigned i = 0; i < body->nparams; i++) {
    const struct ir_type *types[SIZES_MAX_LANES];
    for (int k = 0; k < j->n; k++) {
      struct ir_value *p = ir_main(j->s->lane[k].m)->body->param[i];
      types[k] = p->type;
      j->value[k][p->id] = body->param[i];
      note_thin(&j->s->lane[k], types[0], p->type);
    }
    const struct ir_type *type = sizes_fit_type(j, types);
    if (!type)
      return fail(j, (struct dn_loc){.where = body->param[i]->name},
                  "an input's size is no sum of those that are given");
    body->param[i]->type = type;
    sizes_note(j, type);
  }
  return true;
}

/* Values may be few. */
static bool are_made(struct join *j) {
  struct ir_sizes all;
  bool ok = true;
  ir_sizes_of(ir_main(j->s->lane[0].m), &all);
  for (int i = all.passed; i < all.most.n; i++)
    if (all.least[i])
      ok = fail(j, (struct dn_loc){.where = all.most.param[i]->name},
                "values decide this size, and of few entries the model is "
                "another");
  return ok;
}

/* Products are quotients behind sizes_match(). */
static bool same_code(const struct ir_op *a, const struct ir_op *b) {
  return a->code == b->code || (a->code == IR_MUL && b->code == IR_DIV) ||
         (a->code == IR_DIV && b->code == IR_MUL);
}

bool sizes_alike(struct dn_ctx *ctx, struct sizes *s, int k) {
  const struct ir_block *x = ir_main(s->lane[0].m)->body;
  const struct ir_block *y = ir_main(s->lane[k].m)->body;
  const struct ir_op *a = x->first, *b = y->first;
  struct join j = {.ctx = ctx};
  struct sizes_lane lane = s->lane[k];
  for (unsigned i = 0; i < x->nparams; i++)
    note_thin(&lane, x->param[i]->type, y->param[i]->type);
  for (; a && b && same_code(a, b); a = a->next, b = b->next)
    for (unsigned i = 0; i < a->nresults && i < b->nresults; i++)
      note_thin(&lane, a->result[i]->type, b->result[i]->type);
  if (!a || (k >= s->nfit && is_thin(&lane, a, b)))
    return true;
  s->failed = k < s->nstep;
  return fail(&j, ir_loc(a), another_op(ctx->arena, a, b));
}

bool sizes_join(struct dn_ctx *ctx, struct sizes *s) {
  struct join j = {.ctx = ctx, .s = s, .scratch = dn_arena_new(ctx), .n = s->n};
  struct ir_op *op[SIZES_MAX_LANES] = {NULL};
  assert(s->n > 0 && s->n <= SIZES_MAX_LANES && "sizes_choose()");
  sizes_match(s);
  for (int k = 0; k < s->n; k++) {
    j.value[k] =
        DN_ARRAY(j.scratch, struct ir_value *, s->lane[k].m->nvalues + 1);
    op[k] = ir_main(s->lane[k].m)->body->first;
  }
  j.first = op[0];
  bool ok =
      join_params(&j) && join_ops(&j, op) && join_returns(&j) && are_made(&j);
  if (ok)
    sizes_widen_results(s->lane[0].m);
  dn_arena_free(j.scratch);
  ir_sweep_consts(s->lane[0].m);
  return ok && ir_verify(s->lane[0].m);
}
