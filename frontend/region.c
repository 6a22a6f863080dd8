/* region.c - ops with regions, built from the inside: see region.h. */
#include "frontend/region.h"

#include "ir/place.h"

#include <string.h>

void fe_region_begin(struct fe_build *b, enum ir_opcode code,
                     struct ir_value *const *args, size_t nargs,
                     const struct ir_attr *attrs, size_t nattrs,
                     struct fe_region *out) {
  out->outer = b->at;
  out->op = ir_op_new(&b->at, code, args, nargs, attrs, nattrs, NULL, 0, 0);
}

/* The type that the op passes for its operand i. */
static const struct ir_type *param_type(struct dn_ctx *ctx,
                                        const struct ir_op *op, unsigned i) {
  const struct ir_type *t = ir_arg(op, i)->type;
  if (op->code == IR_LOOP && i < 2)
    return ir_type(ctx, i ? IR_BOOL : IR_I64, 0, NULL);
  if (op->code == IR_SCAN && i >= ir_num_carried(op))
    return ir_type_part(ctx, t, 1, t->rank - 1);
  return t;
}

struct ir_block *fe_region_enter(struct fe_build *b, struct fe_region *r) {
  struct ir_block *block = ir_region_new(r->op);
  for (unsigned i = 0; i < r->op->noperands && ir_is_loop(r->op); i++)
    ir_param_new(block, NULL, param_type(b->ctx, r->op, i));
  b->at.block = block;
  b->at.before = NULL;
  b->at.names = NULL;
  return block;
}

bool fe_region_yield(struct fe_build *b, struct fe_region *r,
                     struct ir_value *const *values, size_t n) {
  bool ok = true;
  for (size_t i = 0; i < n; i++)
    ok = ok && values[i];
  if (ok)
    ir_op_new(&b->at, IR_YIELD, values, n, NULL, 0, NULL, 0, 0);
  b->at = r->outer;
  return ok;
}

bool fe_region_end(struct fe_build *b, struct fe_region *r, size_t whole,
                   int64_t rows) {
  const struct ir_op *yield = r->op->region[0]->last;
  unsigned skips = ir_yield_skips(r->op), n = yield->noperands - skips;
  const struct ir_type **types =
      DN_ARRAY(b->ctx->arena, const struct ir_type *, n);
  for (unsigned i = 0; i < n; i++) {
    const struct ir_type *t = types[i] = ir_arg(yield, i + skips)->type;
    int64_t dims[IR_MAX_RANK + 1] = {rows};
    if (i < whole)
      continue;
    memcpy(dims + 1, t->dim, sizeof t->dim);
    types[i] = ir_type_checked(b->ctx, b->at.loc, t->dtype, t->rank + 1, dims);
    if (!types[i])
      return false;
  }
  ir_results_new(&b->at, r->op, types, n);
  return true;
}

/* Quantization is not looked at. */
static bool is_alike(struct fe_build *b, const struct ir_type *x,
                     const struct ir_type *y) {
  return ir_type_as(b->ctx, x, x->dtype) == ir_type_as(b->ctx, y, y->dtype);
}

/* Result i, whose sizes differ, is as large as the larger ones: gives how much
 * of it counts. */
static struct ir_value *pad_branches(struct fe_build *b, struct fe_region *r,
                                     unsigned i) {
  struct ir_value *sizes[2] = {NULL};
  const struct ir_type *t[2];
  int64_t rank, pads[2 * IR_MAX_RANK];
  for (int k = 0; k < 2; k++)
    t[k] = ir_arg(r->op->region[k]->last, i)->type;
  rank = t[0]->rank;
  for (int k = 0; k < 2; k++) {
    struct ir_op *yield = r->op->region[k]->last;
    for (int64_t d = 0; d < rank; d++) {
      pads[d] = 0;
      pads[rank + d] = dn_max(t[!k]->dim[d] - t[k]->dim[d], 0);
    }
    b->at.block = yield->block;
    b->at.before = yield;
    struct ir_value *y = fe_pad(b, ir_arg(yield, i), pads, NULL, 0);
    b->at = r->outer;
    if (!y)
      return NULL;
    ir_set_operand(yield, i, y);
    sizes[k] = fe_ints(b, IR_I64, 1, &rank, t[k]->dim);
  }
  struct ir_value *cond = fe_expand(b, ir_arg(r->op, 0), 1, &rank);
  return fe_select(b, cond, sizes[0], sizes[1]);
}

bool fe_if(struct fe_build *b, struct ir_value *cond, fe_region_fn branch,
           void *const data[2], size_t n, struct ir_value **out,
           struct ir_value **dims) {
  struct fe_region r;
  struct ir_value **v[2];
  bool ok = true;
  cond = fe_reshape(b, cond, 0, NULL);
  fe_region_begin(b, IR_IF, &cond, 1, NULL, 0, &r);
  for (int i = 0; i < 2; i++) {
    v[i] = DN_ARRAY(b->ctx->arena, struct ir_value *, n);
    struct ir_block *block = fe_region_enter(b, &r);
    bool done = branch(data[i], block->param, v[i]);
    ok = fe_region_yield(b, &r, v[i], done ? n : 0) && done && ok;
  }
  for (size_t i = 0; i < n && ok; i++) {
    const struct ir_type *x = v[0][i]->type, *y = v[1][i]->type;
    if (dims)
      dims[i] = NULL;
    if (is_alike(b, x, y))
      continue;
    if (dims && x->dtype == y->dtype && x->rank == y->rank)
      ok = (dims[i] = pad_branches(b, &r, (unsigned)i)) != NULL;
    else
      ok =
          fe_fail(b, DN_DYNAMIC,
                  "the branches differ in type, %s and %s: the condition "
                  "must be a constant",
                  ir_type_text(b->ctx, NULL, x), ir_type_text(b->ctx, NULL, y));
  }
  if (!ok || !fe_region_end(b, &r, n, 0))
    return false;
  memcpy(out, r.op->result, n * sizeof *out);
  return true;
}

/* One turn in the region of r; what it carries keeps its type. */
static bool loop_turn(struct fe_build *b, struct fe_region *r, size_t carried,
                      fe_region_fn turn, void *data, size_t n) {
  unsigned first = ir_yield_skips(r->op);
  struct ir_value **out = DN_ARRAY(b->ctx->arena, struct ir_value *, first + n);
  struct ir_block *block = fe_region_enter(b, r);
  bool ok = turn(data, block->param, out);
  for (unsigned i = 0; i < carried && ok; i++) {
    const struct ir_type *from = ir_arg(r->op, ir_loop_skips(r->op) + i)->type;
    const struct ir_type *to = out[first + i]->type;
    if (!is_alike(b, from, to))
      ok = fe_fail(b, DN_DYNAMIC, "a carried value is %s and then %s",
                   ir_type_text(b->ctx, NULL, from),
                   ir_type_text(b->ctx, NULL, to));
  }
  if (ok && first)
    out[0] = fe_reshape(b, out[0], 0, NULL);
  return fe_region_yield(b, r, out, ok ? first + n : 0) && ok;
}

int64_t fe_loop_max(const struct fe_build *b, const struct fe_opts *opts) {
  const struct fe_dim *loop = opts->loops;
  const char *node = b->loc.node;
  struct fe_names *all = opts->unbound;
  if (all && node &&
      dn_find_row(all->list.v, all->list.n, sizeof node, node) < 0)
    DN_PUSH(b->ctx->arena, all->list, node);
  for (size_t i = 0; i < opts->nloops; i++)
    if (!strcmp(loop[i].name, node))
      return loop[i].value;
  return -1;
}

bool fe_loop(struct fe_build *b, enum ir_opcode code,
             struct ir_value *const *in, size_t nin, size_t carried,
             fe_region_fn turn, void *data, size_t n, const int64_t *most,
             struct ir_value **out) {
  struct fe_region r;
  struct ir_attr states = ir_int("states", (int64_t)carried);
  fe_region_begin(b, code, in, nin, &states, code == IR_SCAN, &r);
  bool ok = loop_turn(b, &r, carried, turn, data, n) &&
            fe_region_end(b, &r, carried, *most);
  if (ok && code == IR_LOOP && n == carried && *most >= 0 &&
      ir_may_exceed(r.op, *most))
    ir_set_attr(r.op, ir_int("most", *most));
  if (ok)
    memcpy(out, r.op->result, n * sizeof *out);
  else
    ir_op_remove(r.op);
  return ok;
}
