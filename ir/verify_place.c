/* verify_place.c - what an op states of places, without regard to other ops:
 * its attributes are those that say a place, and of the rank that has one, so
 * that verify_plan.c and ir_place_of() may rely on them; and strides, by which
 * elements lie apart. */
#include "ir/place.h"
#include "ir/verify.h"

#include <stdlib.h>
#include <string.h>

bool verify_has_place(const struct ir_op *op) {
  return ir_find_attr(op, "at") || ir_find_attr(op, "space");
}

/* A plan attribute, or field, of what has `rank` dimensions; the rest relies on
 * it. Strides and steps of 2^40 are out of range before they overflow. */
static void check_attr(struct verifier *v, const struct ir_op *op,
                       const struct ir_attr *a, int rank) {
  const int64_t big = INT64_C(1) << 40;
  bool at = !strcmp(a->name, "at"), out = !strcmp(a->name, "out");
  bool step = !strcmp(a->name, "turn");
  if (a->kind != (at || out ? IR_A_INT : IR_A_INTS) ||
      (!at && !out && !step && strcmp(a->name, "stride") != 0))
    verify_op(v, op, PLACED, "'%s' says nothing of a place", a->name);
  else if (out && (a->i < 0 || a->i >= op->block->func->nresults))
    verify_op(v, op, SPACE, "there is no result %lld", (long long)a->i);
  else if (at && (a->i < 0 || a->i > big))
    verify_op(v, op, RANGE, "at=%lld", (long long)a->i);
  else if (step && a->n > ir_loops_around(op->block))
    verify_op(v, op, STRIDE, "turn has %lld entries", (long long)a->n);
  else if (!at && !out && !step && a->n != rank)
    verify_op(v, op, STRIDE, "stride has %lld entries", (long long)a->n);
  for (int64_t i = 0; a->kind == IR_A_INTS && i < a->n; i++)
    if (a->is[i] > big || a->is[i] < -big)
      verify_op(v, op, RANGE, "%s %lld", a->name, (long long)a->is[i]);
}

/* The value whose place record i of `places` is. */
static const struct ir_value *record_value(const struct ir_op *op, unsigned i) {
  return i < op->nresults ? op->result[i]
                          : op->region[0]->param[i - op->nresults];
}

static void check_records(struct verifier *v, const struct ir_op *op) {
  const struct ir_attr *a = ir_find_attr(op, "places");
  unsigned n = op->nresults + (ir_is_loop(op) ? ir_loop_skips(op) : 0);
  if (a ? a->n != n : n)
    verify_op(v, op, PLACED, "%lld places, not %u", a ? (long long)a->n : 0LL,
              n);
  for (unsigned i = 0; a && a->n == n && i < n; i++)
    for (unsigned k = 0; k < a->rs[i].n; k++)
      check_attr(v, op, &a->rs[i].field[k], record_value(op, i)->type->rank);
}

void verify_place_attrs(struct verifier *v, const struct ir_op *op) {
  static const char *const names[] = {"at", "stride", "turn"};
  const char *space = ir_get_str(op, "space");
  char *end = NULL;
  bool blocks = ir_has_blocks(op);
  if (strcmp(space, "arena") != 0 &&
      (strncmp(space, "out", 3) != 0 || !space[3] ||
       strtoul(space + 3, &end, 10) >= op->block->func->nresults || *end))
    verify_op(v, op, SPACE, "there is no space '%s'", space);
  if (blocks)
    check_records(v, op);
  if (blocks ? verify_has_place(op) : ir_find_attr(op, "places") != NULL)
    verify_op(v, op, PLACED, "'%s' states places as other ops do",
              ir_ops[op->code].text);
  for (size_t i = 0; i < DN_COUNT(names) && op->nresults == 1; i++)
    if (ir_find_attr(op, names[i]))
      check_attr(v, op, ir_find_attr(op, names[i]), ir_result(op)->type->rank);
}

/* From the smallest stride on, each steps over all that the smaller ones reach.
 */
bool verify_steps_over(const struct ir_type *type, const struct ir_place *at) {
  int64_t reach = 0, below = -1;
  for (int n = 0; n < type->rank; n++) {
    int64_t next = INT64_MAX;
    int dims = 0, d = 0;
    for (int i = 0; i < type->rank; i++) {
      int64_t stride = llabs(at->stride[i]);
      if (type->dim[i] == 1 || stride <= below || stride > next)
        continue;
      dims = stride == next ? dims + 1 : 1;
      next = stride;
      d = i;
    }
    if (!dims)
      break;
    if (dims > 1 || next <= reach)
      return false;
    reach += (type->dim[d] - 1) * next; /* in range: the caller */
    below = next;
  }
  return true;
}
