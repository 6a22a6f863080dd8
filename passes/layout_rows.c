/* layout_rows.c - what the body of a row says about permuting dimensions. A row
 * of one group, `y[i..] = x[i..*steps + starts]`, treats all dimensions alike,
 * each by its element of the lists; `y[a:axis.., j, b..]` treats all alike but
 * one. No op is known by name. */
#include "passes/layout.h"

#include "ir/formula.h"

#include <assert.h>
#include <string.h>

/* One index of one group, and every iterator in it is a group too. */
static bool is_group(const struct formula_access *a) {
  if (a->flat || a->variadic || a->n != 1)
    return false;
  const struct formula_index *x = &a->index[0];
  if (x->composite || x->broadcast || x->indirect >= 0 || x->perm[0])
    return false;
  for (int t = 0; t < x->nterms; t++)
    if (x->term[t].letter && !x->term[t].group)
      return false;
  return x->nterms > 0;
}

static bool plain_group(const struct formula_index *x, char letter) {
  return x->nterms == 1 && x->term[0].group && x->term[0].letter == letter &&
         !x->term[0].attr[0] && !x->broadcast && !x->perm[0] && !x->drop[0] &&
         !x->div[0] && x->fit == NEST_AS_IS && x->indirect < 0;
}

/* a.., something, b.. */
static bool is_around_axis(const struct formula_access *a, char before,
                           char after) {
  if (a->flat || a->n != 3 || !plain_group(&a->index[0], before) ||
      !plain_group(&a->index[2], after))
    return false;
  const struct formula_index *mid = &a->index[1];
  for (int t = 0; t < mid->nterms; t++)
    if (mid->term[t].group)
      return false;
  return true;
}

static struct layout_row classify(const struct formula *f) {
  struct layout_row row = {LAYOUT_FIXED, ""};
  const struct formula_access *y = &f->y, *x = &f->access[0];
  if (f->naccesses == 1 && f->nfactors == 1) {
    if (y->flat && x->flat) {
      row.kind = LAYOUT_RESHAPE;
    } else if (y->n == 1 && y->index[0].perm[0]) {
      row.kind = LAYOUT_TRANSPOSE;
    } else if (is_group(y) && is_group(x)) {
      row.kind = LAYOUT_GROUP;
      memcpy(row.axes, y->index[0].drop, sizeof row.axes);
    }
  }
  if (row.kind != LAYOUT_FIXED || y->n != 3 || f->naccesses == 0)
    return row;
  char before = y->index[0].term[0].letter, after = y->index[2].term[0].letter;
  if (!is_around_axis(y, before, after))
    return row;
  for (int k = 0; k < f->naccesses; k++)
    if (!is_around_axis(&f->access[k], before, after))
      return row;
  row.kind = LAYOUT_AXIS;
  memcpy(row.axes, y->index[0].term[0].decl, sizeof row.axes);
  return row;
}

struct layout_row layout_row_of(struct dn_arena *scratch, enum ir_opcode code) {
  const struct ir_op_row *row = &ir_ops[code];
  struct formula f;
  switch (row->cls) {
  case IR_MAP:
    return (struct layout_row){LAYOUT_MAP, ""};
  case IR_REDUCE:
  case IR_MOVE:
    if (row->body[0] != '@' && !formula_parse(scratch, row->body, &f))
      return classify(&f);
    break;
  case IR_CONTRACT:
  case IR_REGION:
    break;
  }
  return (struct layout_row){LAYOUT_FIXED, ""};
}

static void permute_list(struct ir_op *op, const struct ir_attr *a, int rank,
                         const int64_t *perm) {
  int64_t list[2 * IR_MAX_RANK];
  if (a->n != rank && a->n != 2 * (int64_t)rank)
    return; /* absent */
  assert(rank > 0 && a->n <= 2 * IR_MAX_RANK &&
         "lists go with the rank: infer.c");
  for (int64_t i = 0; i < a->n; i++)
    list[i] = a->is[i - i % rank + perm[i % rank]];
  ir_set_attr(op, ir_ints(a->name, list, a->n));
}

/* Numbers of dimensions, in ascending order. */
static void renumber(struct ir_op *op, const struct ir_attr *a, int rank,
                     const int64_t *perm) {
  int64_t list[IR_MAX_RANK], n = 0;
  for (int d = 0; d < rank; d++) {
    bool named = a->kind == IR_A_INT && a->i == perm[d];
    for (int64_t i = 0; a->kind == IR_A_INTS && i < a->n; i++)
      named |= a->is[i] == perm[d];
    if (named)
      list[n++] = d;
  }
  assert((a->kind != IR_A_INT || n == 1) &&
         "the axis is a dimension: axis_ok() of infer.c");
  ir_set_attr(op, a->kind == IR_A_INT ? ir_int(a->name, list[0])
                                      : ir_ints(a->name, list, n));
}

void layout_permute_attrs(struct ir_op *op, const struct layout_row *row,
                          const int64_t *perm) {
  int rank = ir_result(op)->type->rank;
  if (row->kind == LAYOUT_AXIS && !ir_find_attr(op, row->axes))
    ir_set_attr(op, ir_int(row->axes, ir_get_int(op, row->axes)));
  for (unsigned i = 0; i < op->nattrs; i++) {
    const struct ir_attr *a = &op->attr[i];
    if (row->axes[0] && !strcmp(a->name, row->axes))
      renumber(op, a, rank, perm);
    else if (a->kind == IR_A_INTS)
      permute_list(op, a, rank, perm);
  }
}
