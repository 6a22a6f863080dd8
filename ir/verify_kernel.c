/* verify_kernel.c - what the kernels form adds: compute ops sit in kernels, a
 * kernel is one loop nest (reductions of the same rows share its outer loops),
 * and what is left outside is a view, a concat or
 * control flow. */
#include "ir/loops.h"
#include "ir/nest.h"
#include "ir/place.h"
#include "ir/runs.h"
#include "ir/verify.h"

#include <assert.h>
#include <string.h>

/* What may follow an anchor: a map of its shape, or of its rows. */
static bool follows(const struct ir_type *type, const struct nest *anchor) {
  return ir_same_dims(type, anchor->type) ||
         (nest_folds_rows(anchor) &&
          ir_same_dims(type, ir_arg(anchor->op, 0)->type));
}

/* An op after the anchor reads it, directly or not: `after` by value id. */
static bool reads_anchor(const struct ir_op *op, const bool *after) {
  for (unsigned i = 0; i < op->noperands; i++)
    if (after[ir_arg(op, i)->id])
      return true;
  return false;
}

/* The result of slices put onto an operand is what the kernel stores. */
static void check_onto(struct verifier *v, const struct ir_op *kernel,
                       const struct ir_op *op) {
  const struct ir_op *start = ir_arg(op, 0)->def;
  if (nest_onto(kernel) != op || (start && start->block == kernel->region[0]))
    verify_op(v, op, ONTO, "'%s' is not all that its kernel stores",
              ir_ops[op->code].text);
}

/* Returns the last anchor, or NULL. */
static const struct nest *check_body(struct verifier *v,
                                     const struct ir_op *kernel, bool *after,
                                     struct dn_arena *arena) {
  assert(kernel->region[0]->last->code == IR_YIELD &&
         "rule terminator holds: ir_verify()");
  int dim;
  const struct nest *anchor = NULL, *parts = nest_parts(arena, kernel, &dim);
  const struct ir_op *sum =
      parts ? nest_sum_of_parts(arena, parts->op, &dim) : NULL;
  for (const struct ir_op *op = kernel->region[0]->first; op->next;
       op = op->next) {
    if (ir_ops[op->code].cls == IR_REGION) {
      verify_op(v, op, BODY, "'%s' in a kernel", ir_ops[op->code].text);
      return NULL;
    }
    const struct ir_value *r = ir_result(op);
    bool tail = reads_anchor(op, after);
    if (ir_ops[op->code].traits & IR_ONTO)
      check_onto(v, kernel, op);
    if (ir_is_anchor(op)) {
      const struct nest *n = nest_build(arena, op);
      if (n->fold == NEST_NTH && (op->prev || op->next->next))
        verify_op(v, op, BODY, "'%s' is not alone in a kernel",
                  ir_ops[op->code].text);
      else if (anchor && !nest_same_rows(anchor, n) &&
               (op != sum || anchor->op != parts->op))
        verify_op(v, op, ANCHOR, "'%s' after '%s' in one kernel",
                  ir_ops[op->code].text, ir_ops[anchor->op->code].text);
      anchor = n;
      after[r->id] = true;
    } else if (tail) {
      after[r->id] = true;
      if (ir_ops[op->code].cls != IR_MAP)
        verify_op(v, op, EPILOGUE, "'%s' moves elements of the anchor",
                  ir_ops[op->code].text);
      else if (!follows(r->type, anchor))
        verify_op(v, op, EPILOGUE, "result %s, the anchor is %s",
                  verify_type_text(v, r->type),
                  verify_type_text(v, anchor->type));
    }
  }
  return anchor;
}

/* Each dimension once, or absent. */
static bool is_order(const struct ir_op *kernel, int rank) {
  assert(rank <= IR_MAX_RANK && "a type has no more: intern_type()");
  int64_t n = ir_get_len(kernel, "order");
  uint64_t seen = 0;
  for (int64_t i = 0; i < n; i++) {
    int64_t d = ir_get_at(kernel, "order", i);
    if (d < 0 || d >= rank || seen >> d & 1)
      return false;
    seen |= UINT64_C(1) << d;
  }
  return !n || n == rank;
}

/* Lanes along a dimension of the result: of squares with a power of two for a
 * side, and there is no fold to go along. */
static bool lanes_turn(const struct ir_op *kernel, const struct ir_type *type,
                       int64_t vec) {
  int64_t lanes = ir_get_int(kernel, "lanes");
  if (lanes == -1)
    return true;
  for (const struct ir_op *op = kernel->region[0]->first; op->next;
       op = op->next)
    if (ir_is_anchor(op))
      return false;
  return lanes >= 0 && lanes < type->rank && vec >= 1 && !(vec & (vec - 1));
}

static void check_loops(struct verifier *v, const struct ir_op *kernel) {
  static const char *const replaced[] = {"tile", "order", "lanes"};
  struct ir_loops loops;
  const char *error = loops_read(kernel, &loops);
  for (int i = 0; i < 3 && ir_find_attr(kernel, "loops"); i++)
    if (ir_find_attr(kernel, replaced[i]))
      verify_op(v, kernel, LOOPS, "loops beside %s", replaced[i]);
  if (error)
    verify_op(v, kernel, LOOPS, "%s", error);
}

static void check_numbers(struct verifier *v, const struct ir_op *kernel) {
  static const struct {
    const char *name;
    int64_t least, most;
  } number[] = {{"vec", 1, INT64_MAX},  {"dot", 1, INT64_MAX},
                {"wide", 0, 1},         {"plane", 0, 1},
                {"words", 0, 1},        {"join", 0, 1},
                {"chains", 0, 8},       {"bias", 0, 1},
                {"scaled", 0, 1},       {"narrow", 0, 2},
                {"factors", 0, 64},     {"scalable", 0, 1},
                {"matrix", 0, 64},      {"prefetch", 0, INT64_MAX},
                {"ahead", 0, INT32_MAX}};
  for (size_t i = 0; i < sizeof number / sizeof *number; i++) {
    int64_t n = ir_get_int(kernel, number[i].name);
    if (n < number[i].least || n > number[i].most)
      verify_fail(v, ir_loc(kernel), VERIFY_SCHEDULE, "%s=%lld", number[i].name,
                  (long long)n);
  }
}

/* How sums are made: what its anchor and the other attributes allow. */
static void check_sums(struct verifier *v, const struct ir_op *kernel,
                       const struct nest *n, struct dn_arena *arena) {
  int64_t vec = ir_get_int(kernel, "vec"), dot = ir_get_int(kernel, "dot");
  int64_t factors = dn_max(1, ir_get_int(kernel, "factors"));
  int red[NEST_MAX_ITERS], nred = n ? runs_reduced(n, red) : 0;
  int64_t inner = nred ? n->iter[red[nred - 1]].extent : 1;
  bool sums = n && ir_ops[n->op->code].cls == IR_CONTRACT && runs_is_product(n);
  bool runs = sums && dot > 1, plain = sums && dot <= 1;
  bool plane = ir_get_int(kernel, "plane"), words = ir_get_int(kernel, "words");
  bool along = vec > 1 && dot <= 1 && !ir_get_int(kernel, "scalable");
  bool narrows = vec == RUNS_NARROW_LANES &&
                 ir_get_int(kernel, "narrow") <= runs_narrow(arena, kernel);
  const struct {
    const char *name;
    bool allowed;
  } way[] = {
      {"wide", runs},
      {"plane", plain && vec == 1},
      {"words", plain && vec == RUNS_WORD},
      {"join", plain && !plane && !words && nred > 1},
      {"chains", nred && along && n->carried < 0 &&
                     inner / vec >= ir_get_int(kernel, "chains")},
      {"bias", n && nest_addition(n)},
      {"scaled", plain},
      {"narrow", runs && narrows},
      {"matrix", runs && ir_get_int(kernel, "matrix") % dot == 0},
      {"factors",
       nred &&
           runs_steps(n, ir_get_at(kernel, "unroll", 0), dot) % factors == 0},
  };
  for (size_t i = 0; i < DN_COUNT(way); i++)
    if (ir_get_int(kernel, way[i].name) > 0 && !way[i].allowed)
      verify_fail(v, ir_loc(kernel), VERIFY_SUMS, "%s=%lld", way[i].name,
                  (long long)ir_get_int(kernel, way[i].name));
}

static void check_schedule(struct verifier *v, const struct ir_op *kernel) {
  struct dn_loc loc = ir_loc(kernel);
  const struct ir_type *type = ir_result(kernel)->type;
  int64_t vec = ir_get_int(kernel, "vec");
  const struct ir_attr *tile = ir_find_attr(kernel, "tile");
  check_numbers(v, kernel);
  if (ir_get_int(kernel, "scalable") && !ir_find_attr(kernel, "loops") &&
      (!tile || tile->n != type->rank))
    verify_fail(v, loc, VERIFY_SCHEDULE, "scalable=1 without a tile");
  if (ir_get_at(kernel, "unroll", 0) < 1 || ir_get_len(kernel, "unroll") > 1)
    verify_fail(v, loc, VERIFY_SCHEDULE, "unroll is not one number above 0");
  if (!lanes_turn(kernel, type, vec))
    verify_fail(v, loc, VERIFY_SCHEDULE, "lanes=%lld",
                (long long)ir_get_int(kernel, "lanes"));
  if (!is_order(kernel, type->rank))
    verify_fail(v, loc, VERIFY_SCHEDULE,
                "order does not have each dimension of %s once",
                verify_type_text(v, type));
  else
    check_loops(v, kernel);
  if (!tile)
    return;
  if (tile->n != type->rank) {
    verify_fail(v, loc, VERIFY_SCHEDULE, "tile has %lld entries for %s",
                (long long)tile->n, verify_type_text(v, type));
    return;
  }
  for (int64_t i = 0; i < tile->n; i++)
    if (tile->is[i] < 1 ||
        (i + 1 == tile->n && vec > 0 && tile->is[i] > 1 && tile->is[i] % vec))
      verify_fail(v, loc, VERIFY_SCHEDULE, "tile entry %lld is %lld, vec=%lld",
                  (long long)i, (long long)tile->is[i], (long long)vec);
}

static void check_kernel(struct verifier *v, const struct ir_op *kernel,
                         bool *after) {
  assert(kernel->nregions == 1 && kernel->region[0]->last &&
         "rules regions and terminator hold: ir_verify()");
  const struct ir_op *yield = kernel->region[0]->last;
  if (v->m->form == IR_GRAPH)
    verify_op(v, kernel, FORM, "a kernel in the graph form");
  if (kernel->nresults != 1 || yield->noperands != 1 ||
      !ir_arg(yield, 0)->def ||
      ir_arg(yield, 0)->def->block != kernel->region[0]) {
    verify_op(v, kernel, ONE,
              "the kernel has %u results, or yields what it has not made",
              kernel->nresults);
    return;
  }
  struct dn_arena *arena = dn_arena_new(v->ctx);
  const struct nest *anchor = check_body(v, kernel, after, arena);
  check_schedule(v, kernel);
  check_sums(v, kernel, anchor, arena);
  dn_arena_free(arena);
}

/* A view needs the element strides of what it views: `stride` by value id, NULL
 * for what is row-major. */
static void check_outside(struct verifier *v, const struct ir_op *op,
                          int64_t **stride) {
  bool ok = ir_is_concat(op);
  if (ir_is_view(op)) {
    const struct ir_value *x = ir_arg(op, 0);
    assert(ir_type_is_static(x->type) && "rule static holds: ir_verify()");
    int64_t dense[IR_MAX_RANK], out[IR_MAX_RANK] = {0}, bytes;
    ir_type_strides(x->type, dense);
    ok = ir_view_of(op, stride[x->id] ? stride[x->id] : dense, out, &bytes);
    if (ok)
      stride[ir_result(op)->id] = dn_copy(v->scratch, out, sizeof out);
  }
  if (!ok)
    verify_op(v, op, OUTSIDE, "'%s' is not in a kernel", ir_ops[op->code].text);
}

/* A slice of a scan's operand has the operand's strides, without the first. */
static void slice_strides(struct verifier *v, const struct ir_op *scan,
                          int64_t **stride) {
  for (unsigned i = ir_num_carried(scan); i < scan->noperands; i++) {
    const struct ir_value *x = ir_arg(scan, i);
    if (stride[x->id])
      stride[scan->region[0]->param[i]->id] = dn_copy(
          v->scratch, stride[x->id] + 1, (IR_MAX_RANK - 1) * sizeof **stride);
  }
}

/* What a loop stacks is made where its views want it. */
static void stack_strides(struct verifier *v, const struct ir_op *loop,
                          int64_t **stride) {
  for (unsigned i = ir_num_carried(loop); i < loop->nresults; i++) {
    int64_t own[IR_MAX_RANK];
    ir_stack_strides(loop->result[i], own);
    stride[loop->result[i]->id] = dn_copy(v->scratch, own, sizeof own);
  }
}

void verify_kernels(struct verifier *v, const struct ir_func *f) {
  assert(!v->errors && "ir_verify() stops at errors");
  bool *after = DN_ARRAY(v->scratch, bool, v->m->nvalues);
  int64_t **stride = DN_ARRAY(v->scratch, int64_t *, v->m->nvalues);
  for (struct ir_op *op = f->body->first; op; op = ir_next_outside(op)) {
    if (op->code == IR_KERNEL)
      check_kernel(v, op, after);
    else if (ir_ops[op->code].cls != IR_REGION && v->m->form != IR_GRAPH)
      check_outside(v, op, stride);
    if (ir_is_loop(op))
      stack_strides(v, op, stride);
    if (op->code == IR_SCAN)
      slice_strides(v, op, stride);
  }
}
