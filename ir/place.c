/* place.c - the address of a value of a PLANNED module.
 *
 * A value's place is that of the op that was given one (a kernel, a concat, a
 * parameter, a constant), seen through the views between: each view's strides
 * and offset are composed by its nest. */
#include "ir/place.h"

#include "ir/nest.h"
#include "ir/size.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool ir_is_concat(const struct ir_op *op) {
  return ir_ops[op->code].cls == IR_MOVE &&
         strchr(ir_ops[op->code].operands, '*');
}

bool ir_is_view(const struct ir_op *op) {
  return ir_ops[op->code].cls != IR_REGION && op->noperands > 0 &&
         !ir_is_concat(op);
}

const struct ir_value *ir_view_source(const struct ir_value *v) {
  while (v->def && ir_is_view(v->def))
    v = ir_arg(v->def, 0);
  return v;
}

bool ir_view_of(const struct ir_op *op, const int64_t *stride,
                int64_t *out_stride, int64_t *out_bytes) {
  struct dn_arena *tmp = dn_arena_new(op->block->func->module->ctx);
  int64_t offset = 0;
  const struct nest *n = nest_build(tmp, op);
  bool ok = n && nest_view(n, stride, out_stride, &offset);
  dn_arena_free(tmp);
  *out_bytes = offset * ir_dtypes[ir_result(op)->type->dtype].bytes;
  return ok;
}

/* The operand's strides that make a reshape's result lie at `stride`: when both
 * are contiguous, or differ in dims of size 1 only. */
static bool invert_reshape(const struct ir_type *to, const int64_t *stride,
                           const struct ir_type *from, int64_t *out) {
  if (ir_type_is_dense(to, stride)) {
    ir_type_strides(from, out);
    return true;
  }
  int d = 0;
  for (int k = 0; k < from->rank; k++) {
    out[k] = 1;
    if (from->dim[k] == 1)
      continue;
    while (d < to->rank && to->dim[d] == 1)
      d++;
    if (d == to->rank || to->dim[d] != from->dim[k])
      return false;
    out[k] = stride[d++];
  }
  return true;
}

/* As invert_reshape() for a view by indices: each dim of the operand must be
 * one of the result's, none left out. */
static bool invert_indices(const struct nest *n, const int64_t *stride,
                           const struct ir_type *from, int64_t *out) {
  const struct nest_access *a = &n->access[0];
  if (!nest_is_view(n) || ir_type_count(from) != ir_type_count(n->type))
    return false;
  for (int k = 0; k < from->rank; k++) {
    out[k] = 1;
    if (from->dim[k] == 1)
      continue;
    int found = -1;
    for (int d = 0; d < n->type->rank; d++)
      if (n->y[d].n == 1 && a->idx[k].coef[n->y[d].iter[0]] == 1 &&
          n->type->dim[d] == from->dim[k])
        found = d;
    if (found < 0 || a->idx[k].base)
      return false;
    out[k] = stride[found];
  }
  return true;
}

static bool invert_view(const struct ir_op *op, const int64_t *stride,
                        int64_t *out) {
  assert(ir_is_view(op) && "ir_view_back() goes through views");
  const struct ir_type *from = ir_arg(op, 0)->type;
  struct dn_arena *tmp = dn_arena_new(op->block->func->module->ctx);
  const struct nest *n = nest_build(tmp, op);
  bool ok = false;
  if (n && n->naccesses == 1 && n->access[0].flat)
    ok = invert_reshape(n->type, stride, from, out);
  else if (n)
    ok = invert_indices(n, stride, from, out);
  dn_arena_free(tmp);
  return ok;
}

const struct ir_value *ir_view_back(const struct ir_value *v, int64_t *stride) {
  while (v->def && ir_is_view(v->def)) {
    int64_t from[IR_MAX_RANK] = {0};
    if (!invert_view(v->def, stride, from))
      return NULL;
    memcpy(stride, from, sizeof from);
    v = ir_arg(v->def, 0);
  }
  return v;
}

void ir_stack_strides(const struct ir_value *v, int64_t *stride) {
  int64_t at[IR_MAX_RANK], next[IR_MAX_RANK], bytes;
  ir_type_strides(v->type, stride);
  memcpy(at, stride, sizeof at);
  for (const struct ir_use *u = v->uses;
       u && !u->next && ir_is_view(u->op) && !ir_in_kernel(u->op);
       u = v->uses) {
    v = ir_result(u->op);
    if (ir_view_of(u->op, at, next, &bytes)) {
      memcpy(at, next, sizeof at);
      continue;
    }
    ir_type_strides(v->type, at);
    if (ir_view_back(v, at))
      memcpy(stride, at, sizeof at);
    return;
  }
}

/* ---- Loops ---- */

bool ir_is_loop(const struct ir_op *op) {
  return op->code == IR_LOOP || op->code == IR_SCAN;
}

bool ir_has_blocks(const struct ir_op *op) {
  return op->nregions && op->code != IR_KERNEL;
}

int ir_loops_around(const struct ir_block *b) {
  int n = 0;
  for (; b->owner; b = b->owner->block)
    n += ir_is_loop(b->owner);
  return n;
}

unsigned ir_loop_skips(const struct ir_op *loop) {
  return loop->code == IR_LOOP ? 2 : 0;
}

unsigned ir_yield_skips(const struct ir_op *op) { return op->code == IR_LOOP; }

unsigned ir_num_carried(const struct ir_op *loop) {
  return loop->code == IR_LOOP ? loop->noperands - 2
                               : (unsigned)ir_get_int(loop, "states");
}

int64_t ir_max_turns(const struct ir_op *loop) {
  int64_t most = loop->code == IR_LOOP ? ir_get_int(loop, "most") : -1;
  unsigned carried = ir_num_carried(loop);
  most = most < 0 ? INT64_MAX : most;
  for (unsigned i = carried; i < loop->nresults; i++)
    most = dn_min(most, loop->result[i]->type->dim[0]);
  for (unsigned i = carried; loop->code == IR_SCAN && i < loop->noperands; i++)
    most = dn_min(most, ir_arg(loop, i)->type->dim[0]);
  return most;
}

bool ir_may_exceed(const struct ir_op *loop, int64_t most) {
  const struct ir_value *n = loop->code == IR_LOOP ? ir_arg(loop, 0) : NULL;
  return n && most < INT64_MAX && (!n->data || ir_const_int(n, 0) > most);
}

int64_t ir_turns_at_once(const struct ir_op *op) {
  return op->code == IR_SCAN && ir_get_int(op, "par")
             ? dn_max(ir_max_turns(op), 1)
             : 1;
}

bool ir_holds_loop(const struct ir_op *scan) {
  const struct ir_op *op = ir_next_inside(scan, scan);
  while (op && op->code != IR_LOOP)
    op = ir_next_inside(scan, op);
  return op != NULL;
}

bool ir_may_nest(const struct ir_op *loop) {
  int64_t most = ir_loops_around(loop->block);
  for (const struct ir_op *op = ir_next_inside(loop, loop); op;
       op = ir_next_inside(loop, op))
    if (ir_is_loop(op))
      most = dn_max(most, ir_loops_around(op->block));
  return most + 1 < IR_MAX_LOOPS_AROUND;
}

bool ir_place_slice(const struct ir_op *loop, const struct ir_type *type,
                    int64_t *stride, int64_t *step) {
  int around = ir_loops_around(loop->block);
  assert(type->rank > 0 && "slices are of dimension 0: rules params, yield");
  if (around >= IR_MAX_LOOPS_AROUND)
    return false;
  if (ir_max_turns(loop) != 1)
    step[around] += stride[0] * ir_dtypes[type->dtype].bytes;
  memmove(stride, stride + 1, (size_t)(type->rank - 1) * sizeof *stride);
  return true;
}

bool ir_place_moves(const struct ir_place *p) {
  static const int64_t still[IR_MAX_LOOPS_AROUND];
  return memcmp(p->step, still, sizeof still) != 0;
}

/* Extends bytes [*lo, *hi) by n - 1 steps. */
static bool reach(int64_t *lo, int64_t *hi, int64_t n, int64_t step) {
  int64_t by;
  return dn_mul(n - 1, step, &by) &&
         dn_add(step < 0 ? *lo : *hi, by, step < 0 ? lo : hi);
}

bool ir_place_span(const struct ir_value *v, const struct ir_place *p,
                   int64_t *lo, int64_t *hi) {
  int64_t bytes = ir_dtypes[v->type->dtype].bytes;
  int depth = ir_loops_around(ir_home(v));
  *lo = *hi = p->offset;
  bool empty = !ir_type_count(v->type);
  for (const struct ir_op *o = ir_home(v)->owner; o; o = o->block->owner)
    empty |= ir_is_loop(o) && !ir_max_turns(o);
  if (empty)
    return true;
  bool ok = depth <= IR_MAX_LOOPS_AROUND && dn_add(*lo, bytes, hi);
  for (int d = 0; ok && d < v->type->rank; d++)
    ok = reach(lo, hi, v->type->dim[d], p->stride[d] * bytes);
  for (const struct ir_op *o = ir_home(v)->owner; ok && o; o = o->block->owner)
    if (ir_is_loop(o) && p->step[--depth])
      ok = reach(lo, hi, ir_max_turns(o), p->step[depth]);
  return ok;
}

/* ---- State ---- */

bool ir_state_fits(const struct ir_type *from, const struct ir_type *to) {
  bool empty = ir_type_is_static(to) && !ir_type_count(to);
  return from == to && !empty && !ir_type_is_sized(to); /* interned */
}

struct ir_value *ir_carried_param(const struct ir_op *end, unsigned i) {
  const struct ir_block *b = end->block;
  if (end->code == IR_RETURN) {
    const struct ir_attr *a = ir_find_attr(end, "state");
    return a && i < a->n && a->is[i] >= 0 ? b->param[a->is[i]] : NULL;
  }
  const struct ir_op *loop = b->owner;
  if (!ir_is_loop(loop) || i < ir_yield_skips(loop) ||
      i - ir_yield_skips(loop) >= ir_num_carried(loop))
    return NULL;
  return b->param[i - ir_yield_skips(loop) + ir_loop_skips(loop)];
}

int ir_state_of(const struct ir_value *param) {
  const struct ir_op *ret = param->block->last;
  for (unsigned i = 0; i < ret->noperands; i++)
    if (ir_carried_param(ret, i) == param)
      return (int)i;
  return -1;
}

int64_t ir_state_at(const struct ir_func *f, unsigned i, int64_t align) {
  const struct ir_op *ret = f->body->last;
  int64_t at = 0;
  for (unsigned k = 0; k < ret->noperands && k < i; k++)
    if (ir_carried_param(ret, k))
      at = dn_align(at + ir_type_bytes(ir_arg(ret, k)->type), align);
  return at;
}

int ir_dims_result(const struct ir_func *f, unsigned i) {
  const struct ir_attr *a = ir_find_attr(f->body->last, "dims");
  return a && i < a->n ? (int)a->is[i] : -1;
}

/* ---- Places ---- */

const int64_t *ir_io_places(const struct ir_func *f) {
  const struct ir_attr *io = ir_find_attr(f->body->last, "io");
  return io ? io->is : NULL;
}

int64_t ir_arena_part(const struct ir_module *m, unsigned part) {
  int64_t first =
      m->arena_split ? dn_min(m->arena_split, m->arena_size) : m->arena_size;
  return part ? m->arena_size - first : first;
}

unsigned ir_arena_find(const struct ir_module *m, int64_t *offset) {
  if (!ir_arena_part(m, 1) || *offset < m->arena_split)
    return 0;
  *offset -= m->arena_split;
  return 1;
}

/* An op outside kernels whose value was given a place of its own, as opposed to
 * following its operand's. Printing leaves default attributes out, so that a
 * kernel at the start of the arena has none. */
static bool has_own_place(const struct ir_op *op) {
  return ir_is_concat(op) || ir_ops[op->code].cls == IR_REGION ||
         ir_find_attr(op, "at") || ir_find_attr(op, "space");
}

static void read_list(const struct ir_attr *a, int64_t max, int64_t *out) {
  for (int64_t i = 0; a && i < a->n && i < max; i++)
    out[i] = a->is[i];
}

static void find_part(const struct ir_block *b, struct ir_place *out) {
  if (out->space == IR_IN_ARENA)
    out->number = ir_arena_find(b->func->module, &out->offset);
}

static void read_attrs(const struct ir_op *op, struct ir_place *out) {
  const char *space = ir_get_str(op, "space");
  if (!strncmp(space, "out", 3)) {
    out->space = IR_IN_OUTPUT;
    out->number = (unsigned)strtoul(space + 3, NULL, 10);
  }
  out->offset = ir_get_int(op, "at");
  find_part(op->block, out);
  read_list(ir_find_attr(op, "stride"), IR_MAX_RANK, out->stride);
  read_list(ir_find_attr(op, "turn"), IR_MAX_LOOPS_AROUND, out->step);
}

/* Entry i of `places`. */
static bool read_record(const struct ir_op *op, unsigned i,
                        struct ir_place *out) {
  const struct ir_attr *places = ir_find_attr(op, "places");
  if (!places || i >= places->n)
    return false;
  for (unsigned k = 0; k < places->rs[i].n; k++) {
    const struct ir_attr *f = &places->rs[i].field[k];
    if (f->kind == IR_A_INTS)
      read_list(f, strcmp(f->name, "turn") ? IR_MAX_RANK : IR_MAX_LOOPS_AROUND,
                strcmp(f->name, "turn") ? out->stride : out->step);
    else if (!strcmp(f->name, "at"))
      out->offset = f->i;
    else
      out->number = (unsigned)f->i;
    if (!strcmp(f->name, "out"))
      out->space = IR_IN_OUTPUT;
  }
  find_part(op->block, out);
  return true;
}

/* A parameter: an input of the function, what its loop carries, or a slice. */
static bool param_place(const struct ir_value *v, struct ir_place *out) {
  const struct ir_op *loop = v->block->owner;
  if (!loop && ir_io_places(v->block->func)) {
    out->offset = ir_io_places(v->block->func)[v->index];
    find_part(v->block, out);
    return true;
  }
  if (!loop) {
    int state = ir_state_of(v);
    out->space = state < 0 ? IR_IN_INPUT : IR_IN_OUTPUT;
    out->number = state < 0 ? v->index : (unsigned)state;
    out->dense = ir_type_is_spread(v->type) ? v->type : NULL;
    return true;
  }
  unsigned skips = ir_loop_skips(loop);
  if (v->index < skips)
    return read_record(loop, loop->nresults + v->index, out);
  if (v->index - skips < ir_num_carried(loop))
    return read_record(loop, v->index - skips, out);
  const struct ir_value *all = ir_arg(loop, v->index);
  return ir_place_of(all, out) &&
         ir_place_slice(loop, all->type, out->stride, out->step);
}

/* The place of a parameter, of a constant, or that op attributes state. */
static bool base_place(const struct ir_value *v, struct ir_place *out) {
  assert((v->data || v->def || v->block) &&
         "a value is a constant, a result or a parameter");
  *out = (struct ir_place){.space = IR_IN_ARENA};
  ir_type_strides(v->type, out->stride);
  if (v->data) {
    out->space = IR_IN_CONST;
    out->base = v;
    return true;
  }
  if (!v->def)
    return param_place(v, out);
  const struct ir_op *op = v->def;
  if (op->block->func->module->form != IR_PLANNED || !has_own_place(op))
    return false;
  if (ir_has_blocks(op))
    return read_record(op, v->index, out);
  read_attrs(op, out);
  if (out->space == IR_IN_OUTPUT && ir_type_is_spread(v->type))
    out->dense = v->type;
  return true;
}

bool ir_place_of(const struct ir_value *v, struct ir_place *out) {
  if (v->def && ir_in_kernel(v->def))
    return false;
  struct dn_arena *arena = NULL;
  DN_LIST(const struct ir_op *) views = {0};
  while (v->def && !has_own_place(v->def) && v->def->noperands) {
    if (!arena)
      arena = dn_arena_new(v->def->block->func->module->ctx);
    DN_PUSH(arena, views, v->def);
    v = ir_arg(v->def, 0);
  }
  bool ok = base_place(v, out);
  for (size_t i = views.n; ok && i-- > 0;) {
    int64_t stride[IR_MAX_RANK] = {0}, bytes;
    ok = ir_view_of(views.v[i], out->stride, stride, &bytes);
    out->offset += bytes;
    memcpy(out->stride, stride, sizeof stride);
  }
  if (arena)
    dn_arena_free(arena);
  return ok;
}
