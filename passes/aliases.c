/* aliases.c - which values share a buffer: see aliases.h.
 *
 * Aliases are assigned in reverse order, from the return to the results, from a
 * concat to its operands, from an op with regions to what they yield, so that a
 * concat has its own before its operands get theirs (a chain of concats ends up
 * in one buffer). Results without one get a buffer of their own, and views and
 * slices follow, in order.
 *
 * A value that a loop carries is written over by a kernel that comes after all
 * that read the old one, or reads it where it writes. Else it is a misfit, and
 * a copy at the end of the turn will do that. */
#include "passes/aliases.h"

#include "ir/nest.h"
#include "passes/inplace.h"

#include <assert.h>
#include <string.h>

const struct alias *alias_of(const struct aliases *a,
                             const struct ir_value *v) {
  return v->id < a->cap ? a->of[v->id] : NULL;
}

/* ---- From results to operands ---- */

static void set_alias(struct aliases *a, const struct ir_value *v,
                      const struct alias *at) {
  if (v->id >= a->cap) {
    size_t cap = (size_t)v->id * 2 + 16;
    struct alias **of = DN_ARRAY(a->arena, struct alias *, cap);
    if (a->cap)
      memcpy(of, a->of, a->cap * sizeof *of);
    a->of = of;
    a->cap = cap;
  }
  assert(at->buffer < (int)a->buffers.n && "own_buffer() numbers them");
  a->of[v->id] = dn_copy(a->arena, at, sizeof *at);
}

/* A buffer of its own, row-major. */
static struct alias own_buffer(struct aliases *a, const struct ir_value *v,
                               int out, const struct ir_block *home) {
  struct alias at = {.buffer = (int)a->buffers.n};
  ir_type_strides(v->type, at.stride);
  struct alias_buffer b = {
      .size = ir_type_bytes(v->type), .out = out, .owner = v, .home = home};
  DN_PUSH(a->arena, a->buffers, b);
  return at;
}

/* A value that some views show, and its strides. */
struct viewed {
  const struct ir_value *v;
  int64_t stride[IR_MAX_RANK];
};

/* What reads `from` as a view or in slices, as it lies then; false: strides
 * cannot express it. With *next->v NULL, no such. */
static bool view_by(const struct ir_use *u, const struct viewed *from,
                    struct viewed *next) {
  int64_t bytes, step[IR_MAX_LOOPS_AROUND] = {0};
  next->v = NULL;
  if (ir_in_kernel(u->op))
    return true;
  if (u->op->code == IR_SCAN) {
    unsigned i = ir_operand_number(u);
    next->v = i < ir_num_carried(u->op) ? NULL : u->op->region[0]->param[i];
    memcpy(next->stride, from->stride, sizeof next->stride);
    return !next->v || ir_place_slice(u->op, from->v->type, next->stride, step);
  }
  if (!ir_is_view(u->op))
    return true;
  next->v = ir_result(u->op);
  return ir_view_of(u->op, from->stride, next->stride, &bytes);
}

/* Whether every view of `v`, and every view of those, can still be expressed
 * when `v` lies at `stride`. */
static bool views_fit(struct aliases *a, const struct ir_value *v,
                      const int64_t *stride) {
  if (ir_type_is_dense(v->type, stride))
    return true;
  DN_LIST(struct viewed) work = {0};
  struct viewed it = {.v = v};
  memcpy(it.stride, stride, sizeof it.stride);
  DN_PUSH(a->arena, work, it);
  for (size_t i = 0; i < work.n; i++) {
    struct viewed from = work.v[i];
    for (const struct ir_use *u = from.v->uses; u; u = u->next) {
      if (!view_by(u, &from, &it))
        return false;
      if (it.v)
        DN_PUSH(a->arena, work, it);
    }
  }
  return true;
}

/* Whether an op can make its results anywhere, or row-major at least: what a
 * loop stacks is made by a kernel of its region. */
static bool lets_place(const struct ir_op *op, const struct ir_value *v,
                       const int64_t *stride) {
  return op->code == IR_KERNEL || ir_is_concat(op) ||
         (ir_is_loop(op) && v->index >= ir_num_carried(op)) ||
         (ir_has_blocks(op) && ir_type_is_dense(v->type, stride));
}

/* Makes `v`, an operand of `op`, lie at `at`: what is behind its views does. */
static bool lies_at(struct aliases *a, const struct ir_op *op,
                    const struct ir_value *v, const struct alias *at) {
  struct alias to = *at;
  v = ir_view_back(v, to.stride);
  if (!v || !v->def || alias_of(a, v) || v->def->block != op->block ||
      !lets_place(v->def, v, to.stride) || !views_fit(a, v, to.stride))
    return false;
  set_alias(a, v, &to);
  return true;
}

static void add_misfit(struct aliases *a, struct ir_op *op, int operand) {
  struct alias_misfit m = {op, operand};
  DN_PUSH(a->arena, a->misfits, m);
}

static void place_operand(struct aliases *a, struct ir_op *op, unsigned i,
                          const struct alias *at) {
  if (!lies_at(a, op, ir_arg(op, i), at))
    add_misfit(a, op, (int)i);
}

/* A result whose dense strides are known at run time only is made where it is
 * returned by a kernel that no view reads. */
static bool made_dense(const struct ir_value *v) {
  if (!ir_type_is_spread(v->type))
    return true;
  for (const struct ir_use *u = v->uses; u; u = u->next)
    if (ir_is_view(u->op))
      return false;
  return v->def && v->def->code == IR_KERNEL;
}

static void place_concat(struct aliases *a, struct ir_op *op) {
  const struct ir_value *y = ir_result(op);
  struct dn_arena *tmp = dn_arena_new(a->func->module->ctx);
  const struct nest_access *x = &nest_build(tmp, op)->access[0];
  assert(x->start && x->npieces == (int)op->noperands &&
         "the operands of a concat are pieces of one access: nest.h");
  if (!alias_of(a, y)) {
    struct alias own = own_buffer(a, y, -1, op->block);
    set_alias(a, y, &own);
  }
  const struct alias all = *alias_of(a, y);
  int64_t step = all.stride[x->axis] * ir_dtypes[y->type->dtype].bytes;
  for (unsigned i = 0; i < op->noperands; i++) {
    struct alias at = all;
    at.offset += x->start[i] * step;
    place_operand(a, op, i, &at);
  }
  dn_arena_free(tmp);
}

/* ---- Regions ---- */

struct ir_op *alias_op_in(const struct ir_block *b, struct ir_op *op) {
  while (op && op->block != b)
    op = op->block->owner;
  return op;
}

static bool is_reshaped(const struct ir_value *v, const struct ir_value *from) {
  while (v != from && v->def && v->def->code == IR_RESHAPE)
    v = ir_arg(v->def, 0);
  return v == from;
}

/* The value is a parameter in rows as the kernel's result has them: itself, or
 * reshaped; `k` then reads an element where it writes that, if it reads it at
 * the index of the result's. */
static bool has_rows_of(const struct ir_value *v, const struct ir_value *p,
                        const struct ir_op *k) {
  bool same = ir_same_dims(v->type, ir_result(k)->type);
  return v == p || (same && is_reshaped(v, p));
}

/* Whether kernel `k` may write `v`, what views show of its result, over
 * parameter `p` of its block: it comes after all that read it, or reads it
 * where it writes. */
static bool may_overwrite(const struct aliases *a, const struct ir_value *p,
                          const struct ir_value *v, const struct ir_op *k) {
  DN_LIST(const struct ir_value *) work = {0};
  struct dn_arena *tmp = dn_arena_new(a->func->module->ctx);
  const struct inplace *reads = NULL;
  bool ok = true;
  DN_PUSH(tmp, work, p);
  for (size_t i = 0; i < work.n && ok; i++)
    for (const struct ir_use *u = work.v[i]->uses; u && ok; u = u->next) {
      if (ir_is_view(u->op) && !ir_in_kernel(u->op)) {
        DN_PUSH(tmp, work, (const struct ir_value *)ir_result(u->op));
        continue;
      }
      const struct ir_op *op = alias_op_in(k->block, u->op);
      if (op != k) {
        ok = a->position[op->id] < a->position[k->id];
        continue;
      }
      reads = reads ? reads : inplace_build(tmp, k);
      ok = has_rows_of(work.v[i], p, k) && is_reshaped(v, ir_result(k)) &&
           inplace_reads_own(reads, u);
    }
  dn_arena_free(tmp);
  return ok;
}

struct ir_op *alias_carrier(const struct aliases *a, const struct ir_block *b,
                            unsigned i) {
  const struct ir_value *v = ir_view_source(ir_arg(b->last, i));
  const struct alias *at = alias_of(a, v);
  const struct alias *to = alias_of(a, ir_carried_param(b->last, i));
  return v->def && v->def->block == b && v->def->code == IR_KERNEL && at &&
                 at->buffer == to->buffer && at->offset == to->offset
             ? v->def
             : NULL;
}

/* The loop that makes `v` begins with `param`, which a loop around it or the
 * function (state) carries, and is the only reader of it: both carry the value
 * in one buffer. */
static bool carries_on(const struct ir_op *loop, const struct ir_value *v,
                       const struct ir_value *param) {
  return ir_is_loop(loop) && v->def == loop &&
         v->index < ir_num_carried(loop) &&
         ir_arg(loop, v->index + ir_loop_skips(loop)) == param &&
         !param->uses->next;
}

/* Places what the block passes to the next turn or call, operand i of its last
 * op, at `at`: the memory of the parameter that it becomes there. */
static void place_carried(struct aliases *a, struct ir_block *b, unsigned i,
                          const struct alias *at) {
  struct ir_value *param = ir_carried_param(b->last, i);
  struct ir_value *v = ir_arg(b->last, i);
  assert(param && "the caller counts what is carried");
  const struct ir_op *maker = ir_view_source(v)->def;
  set_alias(a, param, at);
  if (v == param)
    return;
  if (maker && maker->block == b &&
      (carries_on(maker, v, param) ||
       (maker->code == IR_KERNEL && may_overwrite(a, param, v, maker))))
    place_operand(a, b->last, i, at);
  else
    add_misfit(a, b->last, (int)i);
}

/* Places the initial value of carried value k in the buffer that the loop writes
 * over, if the loop is its only reader; else it is copied there. */
static void place_entry(struct aliases *a, struct ir_op *loop, unsigned k) {
  unsigned i = k + ir_loop_skips(loop);
  const struct ir_value *v = ir_arg(loop, i);
  const struct alias *at = alias_of(a, v), *to = alias_of(a, loop->result[k]);
  assert(i < loop->noperands && to &&
         "rule yield; results have theirs: place_regions()");
  bool once = !v->uses->next;
  if (!v->def && at && at->buffer == to->buffer) /* see carries_on() */
    return;
  while (once && v->def && ir_is_view(v->def)) {
    v = ir_arg(v->def, 0);
    once = !v->uses->next;
  }
  if (once && v->def && !ir_is_concat(v->def)) /* whose pieces may be read */
    place_operand(a, loop, i, to);
  else
    add_misfit(a, loop, (int)i);
}

/* The loop reads its condition after the turn, so it has a buffer: a value of
 * which it were a view may be dead by then, or written over as carried. */
static void place_condition(struct aliases *a, struct ir_op *loop) {
  struct ir_op *yield = loop->region[0]->last;
  const struct ir_value *v = ir_arg(yield, 0), *from = ir_view_source(v);
  struct alias own = own_buffer(a, v, -1, loop->block);
  for (unsigned i = 0; i < 2; i++)
    if (loop->region[0]->param[i]->uses) {
      struct alias at =
          own_buffer(a, loop->region[0]->param[i], -1, loop->block);
      set_alias(a, loop->region[0]->param[i], &at);
    }
  const struct ir_block *home = ir_home(from);
  if (home == loop->region[0] && (from->def ? !lies_at(a, yield, v, &own)
                                            : from->index > 1 && !from->data))
    add_misfit(a, yield, 0);
}

static void place_regions(struct aliases *a, struct ir_op *op) {
  bool loop = ir_is_loop(op);
  unsigned carried = loop ? ir_num_carried(op) : 0;
  for (unsigned i = 0; i < op->nresults; i++)
    if (!alias_of(a, op->result[i])) {
      struct alias own = own_buffer(a, op->result[i], -1, op->block);
      if (loop && i >= carried)
        ir_stack_strides(op->result[i], own.stride);
      set_alias(a, op->result[i], &own);
    }
  if (op->code == IR_LOOP)
    place_condition(a, op);
  for (unsigned k = 0; k < carried; k++) {
    place_carried(a, op->region[0], k + ir_yield_skips(op),
                  alias_of(a, op->result[k]));
    place_entry(a, op, k);
  }
  for (unsigned r = 0; r < op->nregions; r++)
    for (unsigned i = carried; i < op->nresults; i++) {
      struct alias at = *alias_of(a, op->result[i]);
      if (loop)
        ir_place_slice(op, op->result[i]->type, at.stride, at.step);
      place_operand(a, op->region[r]->last, i + ir_yield_skips(op), &at);
    }
}

/* ---- In reverse, then in order ---- */

static void number_block(const struct aliases *a, const struct ir_block *b) {
  unsigned n = 0;
  for (const struct ir_op *op = b->first; op; op = op->next)
    a->position[op->id] = n++;
}

static void place_block(struct aliases *a, struct ir_block *b) {
  for (struct ir_op *op = b->last; op; op = op->prev) {
    if (ir_is_concat(op))
      place_concat(a, op);
    if (!ir_has_blocks(op))
      continue;
    for (unsigned r = 0; r < op->nregions; r++)
      number_block(a, op->region[r]);
    place_regions(a, op);
    for (unsigned r = 0; r < op->nregions; r++)
      place_block(a, op->region[r]);
  }
}

static void follow_view(struct aliases *a, struct ir_op *op) {
  const struct alias *from = alias_of(a, ir_arg(op, 0));
  assert(from && "operands come before their views: rule dominance");
  struct alias to = *from;
  int64_t bytes = 0;
  bool ok = ir_view_of(op, from->stride, to.stride, &bytes);
  assert(ok &&
         "verify_kernel.c checks views of what is dense, views_fit() others");
  to.offset = from->offset + bytes;
  set_alias(a, ir_result(op), &to);
  if (!ir_result(op)->uses)
    add_misfit(a, op, -1);
  else if (!ir_arg(op, 0)->def && !ir_arg(op, 0)->data &&
           ir_type_is_spread(ir_arg(op, 0)->type))
    add_misfit(a, op, 0);
}

static void follow_slices(struct aliases *a, const struct ir_op *scan) {
  for (unsigned i = ir_num_carried(scan); i < scan->noperands; i++) {
    struct alias at = *alias_of(a, ir_arg(scan, i));
    ir_place_slice(scan, ir_arg(scan, i)->type, at.stride, at.step);
    set_alias(a, scan->region[0]->param[i], &at);
  }
}

static void follow_block(struct aliases *a, struct ir_block *b) {
  for (struct ir_op *op = b->first; op; op = op->next) {
    if (ir_is_view(op)) {
      follow_view(a, op);
      continue;
    }
    struct alias at;
    if (a->over_slices && op->code == IR_KERNEL &&
        !alias_of(a, ir_result(op)) && inplace_over_slice(a, op, &at))
      set_alias(a, ir_result(op), &at);
    for (unsigned i = 0; i < op->nresults; i++) {
      if (alias_of(a, op->result[i]))
        continue;
      struct alias own = own_buffer(a, op->result[i], -1, b);
      set_alias(a, op->result[i], &own);
    }
    if (op->code == IR_SCAN)
      follow_slices(a, op);
    for (unsigned r = 0; ir_has_blocks(op) && r < op->nregions; r++)
      follow_block(a, op->region[r]);
  }
}

/* An input or output of the function that lies in the arena. */
static struct alias io_buffer(struct aliases *a, const struct ir_value *v,
                              bool in) {
  struct alias at = own_buffer(a, v, -1, a->func->body);
  a->buffers.v[at.buffer].enters = in;
  a->buffers.v[at.buffer].leaves = !in;
  return at;
}

/* A parameter or a constant: memory that is not ours. */
static void place_foreign(struct aliases *a, const struct ir_value *v) {
  struct alias at = {.buffer = -1};
  ir_type_strides(v->type, at.stride);
  set_alias(a, v, &at);
}

/* Places returned values in the buffers of the caller. State comes first: of a
 * value that is returned twice, the state keeps the place. */
static void place_results(struct aliases *a, struct ir_block *body, bool io) {
  struct ir_op *ret = body->last;
  for (int state = 1; state >= 0; state--)
    for (unsigned i = 0; i < ret->noperands; i++) {
      if ((ir_carried_param(ret, i) != NULL) != state)
        continue;
      const struct ir_value *y = ir_arg(ret, i);
      struct alias at =
          io ? io_buffer(a, y, false) : own_buffer(a, y, (int)i, body);
      if (state)
        place_carried(a, body, i, &at);
      else if (made_dense(ir_arg(ret, i)))
        place_operand(a, ret, i, &at);
      else
        add_misfit(a, ret, (int)i);
    }
}

struct aliases *aliases_reusing(struct dn_arena *arena, struct ir_func *f,
                                bool over_slices) {
  struct aliases *a = DN_NEW(arena, struct aliases);
  a->arena = arena;
  a->func = f;
  a->over_slices = over_slices;
  a->position = DN_ARRAY(arena, unsigned, f->module->nops);
  a->node = DN_ARRAY(arena, int, f->module->nops);
  assert(f->module->form != IR_GRAPH && f->body->last->code == IR_RETURN &&
         "behind fuse; rule terminator");
  struct ir_block *body = f->body;
  for (size_t i = 0; i < f->module->consts.n; i++)
    place_foreign(a, f->module->consts.v[i]);
  bool io = ir_io_places(f) != NULL;
  for (unsigned i = 0; i < body->nparams; i++) {
    place_foreign(a, body->param[i]);
    if (io) {
      struct alias at = io_buffer(a, body->param[i], true);
      set_alias(a, body->param[i], &at);
    }
  }
  number_block(a, body);
  place_results(a, body, io);
  place_block(a, body);
  follow_block(a, body);
  return a;
}

struct aliases *aliases_build(struct dn_arena *arena, struct ir_func *f) {
  return aliases_reusing(arena, f, false);
}

/* ---- Reads ---- */

static bool alias_strides(const void *aliases, const struct ir_value *v,
                          int64_t *stride) {
  const struct alias *at = alias_of(aliases, v);
  if (at)
    memcpy(stride, at->stride, sizeof at->stride);
  return at != NULL;
}

struct reads *aliases_reads(struct dn_arena *arena, const struct aliases *s,
                            const struct ir_op *kernel) {
  const struct ir_op *onto = nest_onto(kernel);
  const struct ir_value *root =
      ir_arg(onto ? onto : kernel->region[0]->last, onto ? 2 : 0);
  int64_t stride[IR_MAX_RANK];
  if (!alias_strides(s, ir_result(kernel), stride))
    ir_type_strides(ir_result(kernel)->type, stride);
  return reads_build(arena, kernel, root, stride, alias_strides, s);
}

/* Those of an input or output with sizes of run time are known then alone. */
static bool run_strides(const void *aliases, const struct ir_value *v,
                        int64_t *stride) {
  const struct aliases *a = aliases;
  const struct alias *at = alias_of(a, v);
  bool passed = at && (at->buffer < 0 || a->buffers.v[at->buffer].out >= 0);
  return !(passed && ir_type_is_spread(v->type)) && alias_strides(a, v, stride);
}

struct runs *aliases_runs(struct dn_arena *arena, const struct aliases *s,
                          const struct ir_op *kernel,
                          const struct ir_facts *target) {
  struct runs *r = DN_NEW(arena, struct runs);
  struct affines *forms = DN_NEW(arena, struct affines);
  affine_init(forms, arena);
  *r = (struct runs){.forms = forms,
                     .arena = arena,
                     .body = kernel->region[0],
                     .strides = run_strides,
                     .places = s,
                     .dot = runs_dot_of(kernel, target),
                     .far = runs_far(target)};
  return r;
}
