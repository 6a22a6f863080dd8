/* eval.c - the reference interpreter: functions and regions. Ops run one by one
 * in order (a kernel's body too: fusion changes no meaning); the nests do the
 * work (eval_nest.c). A value's memory is taken again after its last use;
 * constants and inputs are borrowed, and a splat stays one element. */
#include "ir/eval.h"

#include "ir/eval_nest.h"
#include "ir/place.h"

#include <assert.h>
#include <string.h>

/* Iterations of one run of a loop, and elements from which on a result of
 * splats is kept as a splat. */
enum { MAX_TRIPS = 1 << 24, SPLAT_MIN = 4096 };

/* Memory of values, shared by reference. */
struct buffer {
  struct buffer *next; /* in the free list */
  int64_t size;
  int refs;
  char *data;
};

struct slot { /* one value */
  const void *data;
  struct buffer *buffer; /* NULL: borrowed */
  bool splat;
  size_t uses; /* still to come */
};

struct eval {
  struct dn_ctx *ctx;
  struct dn_arena *arena; /* buffers, and nests of loop bodies */
  const struct ir_eval_opts *opts;
  const struct ir_module *module;
  struct slot *slot;       /* by value id */
  struct eval_nest **nest; /* by op id, of ops in loop bodies */
  struct buffer *free;
  struct eval_operand *operands; /* of the current op */
  size_t max_operands;
  int loops; /* nested around the current op */
};

static bool run_block(struct eval *ev, const struct ir_block *block,
                      const struct slot *args, struct slot *results);

/* ---- Memory ---- */

/* The smallest free buffer that fits without waste, or a new one. */
static struct buffer *buffer_new(struct eval *ev, int64_t size) {
  assert(size >= 0 && "run_op() refuses symbolic dims");
  struct buffer **best = NULL;
  for (struct buffer **b = &ev->free; *b; b = &(*b)->next)
    if ((*b)->size >= size && (*b)->size / 2 <= size + 4096 &&
        (!best || (*b)->size < (*best)->size))
      best = b;
  struct buffer *b;
  if (best) {
    b = *best;
    *best = b->next;
  } else {
    b = DN_NEW(ev->arena, struct buffer);
    b->size = size;
    b->data = dn_alloc(ev->arena, (size_t)size);
  }
  b->refs = 1;
  return b;
}

static void slot_retain(struct slot *s) {
  if (s->buffer)
    s->buffer->refs++;
}

static void slot_release(struct eval *ev, struct slot *s) {
  struct buffer *b = s->buffer;
  assert((!b || b->refs > 0) && "each owner lets go once");
  if (b && --b->refs == 0) {
    b->next = ev->free;
    ev->free = b;
  }
  *s = (struct slot){0};
}

static struct slot slot_new(struct eval *ev, const struct ir_type *type) {
  struct buffer *b = buffer_new(ev, ir_type_bytes(type));
  return (struct slot){.data = b->data, .buffer = b};
}

/* Writes all elements of a value. */
static void slot_copy(void *to, const struct ir_type *type,
                      const struct slot *s) {
  if (s->splat)
    dn_fill(to, ir_type_count(type), s->data, ir_dtypes[type->dtype].bytes);
  else if (ir_type_bytes(type))
    memcpy(to, s->data, (size_t)ir_type_bytes(type));
}

/* ---- Values ---- */

static struct slot const_slot(const struct ir_value *v) {
  const struct ir_data *d = v->data;
  if (d->bytes)
    return (struct slot){.data = d->bytes};
  return (struct slot){.data = &d->splat, .splat = true};
}

/* The tensor that an operand refers to; borrowed. */
static struct slot value_slot(const struct eval *ev, const struct ir_value *v) {
  return v->data ? const_slot(v) : ev->slot[v->id];
}

/* Takes ownership of `s`. */
static void define(struct eval *ev, const struct ir_value *v, struct slot s) {
  if (ev->opts->watch && v->def) {
    if (s.splat) {
      struct slot full = slot_new(ev, v->type);
      slot_copy(full.buffer->data, v->type, &s);
      slot_release(ev, &s);
      s = full;
    }
    ev->opts->watch(ev->opts->user, v, (void *)(uintptr_t)s.data);
  }
  assert(!ev->slot[v->id].buffer &&
         "its last memory went with its last use: drop_uses()");
  s.uses = ir_num_uses(v);
  ev->slot[v->id] = s;
  if (!s.uses)
    slot_release(ev, &ev->slot[v->id]);
}

/* Counts off the uses that `op` and the ops in its regions make of values of
 * `block`. */
static void drop_uses(struct eval *ev, const struct ir_op *op,
                      const struct ir_block *block) {
  for (const struct ir_op *o = op; o; o = ir_next_inside(op, o))
    for (unsigned i = 0; i < o->noperands; i++) {
      const struct ir_value *v = ir_arg(o, i);
      if (v->data || ir_home(v) != block)
        continue;
      struct slot *s = &ev->slot[v->id];
      assert(s->uses > 0 && "each use is counted once: define()");
      if (--s->uses == 0)
        slot_release(ev, s);
    }
}

static bool fail(const struct eval *ev, const struct ir_op *op,
                 enum dn_code code, const char *message) {
  return dn_error(ev->ctx, ir_loc(op), code, "%s", message);
}

/* ---- Ops with nests ---- */

static struct eval_nest *op_nest(struct eval *ev, const struct ir_op *op,
                                 struct dn_arena **scratch) {
  *scratch = NULL;
  if (!ev->loops) {
    *scratch = dn_arena_new(ev->ctx);
    return eval_nest_new(*scratch, op, ev->opts->f32_sums);
  }
  struct eval_nest **n = &ev->nest[op->id];
  if (!*n)
    *n = eval_nest_new(ev->arena, op, ev->opts->f32_sums);
  return *n;
}

static bool run_nest(struct eval *ev, const struct ir_op *op) {
  const struct ir_type *type = ir_result(op)->type;
  struct dn_arena *own = NULL;
  struct eval_nest *e = op_nest(ev, op, &own);
  if (!e) {
    dn_arena_free(own);
    return false;
  }
  if (op->noperands > ev->max_operands) {
    ev->max_operands = op->noperands * 2;
    ev->operands = DN_ARRAY(ev->arena, struct eval_operand, ev->max_operands);
  }
  struct eval_operand *operands = ev->operands;
  bool splat = op->noperands > 0;
  for (unsigned i = 0; i < op->noperands; i++) {
    struct slot s = value_slot(ev, ir_arg(op, i));
    operands[i] = (struct eval_operand){s.data, s.splat};
    splat &= s.splat;
  }
  assert(ir_ops[op->code].cls != IR_REGION && op->nresults == 1 &&
         "run_op() sends regions elsewhere");
  struct slot out;
  if (eval_nest_is_alias(e)) {
    out = value_slot(ev, ir_arg(op, 0));
    slot_retain(&out);
  } else if (splat && ir_type_count(type) >= SPLAT_MIN &&
             eval_nest_keeps_splat(e)) {
    out = slot_new(ev, ir_type(ev->ctx, type->dtype, 0, NULL));
    out.splat = true;
    eval_nest_run(e, operands, out.buffer->data, 1);
  } else {
    out = slot_new(ev, type);
    eval_nest_run(e, operands, out.buffer->data, -1);
  }
  define(ev, ir_result(op), out);
  dn_arena_free(own);
  return true;
}

/* ---- Regions ---- */

static bool run_simple(struct eval *ev, const struct ir_op *op,
                       const struct ir_block *region) {
  struct slot few[4], *results = few;
  if (op->nresults > 4)
    results = DN_ARRAY(ev->arena, struct slot, op->nresults);
  if (!run_block(ev, region, NULL, results))
    return false;
  for (unsigned i = 0; i < op->nresults; i++)
    define(ev, op->result[i], results[i]);
  return true;
}

static int64_t scalar(const struct eval *ev, const struct ir_value *v) {
  return ir_load_int(v->type->dtype, value_slot(ev, v).data);
}

static struct slot scalar_slot(struct eval *ev, const struct ir_value *v,
                               int64_t value) {
  struct slot s = slot_new(ev, v->type);
  ir_store_int(v->type->dtype, s.buffer->data, value);
  return s;
}

/* What loop and scan share: carried values and stacked outputs. */
struct iteration {
  const struct ir_op *op;
  const struct ir_block *body;
  unsigned ncarried, nscanned;
  struct slot *args;    /* of the body, the carried ones at `first` */
  struct slot *results; /* of the body, the carried ones at `first` */
  unsigned first_arg, first_result;
  struct slot *stacks;
  int64_t done;
};

/* One run of the body: carries on and stacks. The body's first result before
 * the carried ones (a loop's condition) is left in results[0]. */
static bool iterate(struct eval *ev, struct iteration *it) {
  if (!run_block(ev, it->body, it->args, it->results))
    return false;
  struct slot *r = it->results + it->first_result;
  for (unsigned i = 0; i < it->ncarried; i++)
    it->args[it->first_arg + i] = r[i];
  r += it->ncarried;
  for (unsigned i = 0; i < it->nscanned; i++) {
    const struct ir_type *type = it->op->result[it->ncarried + i]->type;
    assert(it->done < type->dim[0] && "turns are bounded: ir_max_turns()");
    int64_t bytes = ir_type_bytes(type) / type->dim[0];
    const struct ir_op *yield = it->body->last;
    slot_copy(it->stacks[i].buffer->data + bytes * it->done,
              ir_arg(yield, it->first_result + it->ncarried + i)->type, &r[i]);
    slot_release(ev, &r[i]);
  }
  it->done++;
  return true;
}

/* Rows of turns that were not are zeros. */
static bool finish_iteration(struct eval *ev, struct iteration *it) {
  for (unsigned i = 0; i < it->nscanned; i++) {
    const struct ir_type *type = it->op->result[it->ncarried + i]->type;
    int64_t all = ir_type_bytes(type);
    int64_t made = type->dim[0] ? all / type->dim[0] * it->done : 0;
    if (made < all)
      memset(it->stacks[i].buffer->data + made, 0, (size_t)(all - made));
  }
  for (unsigned i = 0; i < it->ncarried; i++)
    define(ev, it->op->result[i], it->args[it->first_arg + i]);
  for (unsigned i = 0; i < it->nscanned; i++)
    define(ev, it->op->result[it->ncarried + i], it->stacks[i]);
  return true;
}

static struct iteration iteration_new(struct eval *ev, const struct ir_op *op,
                                      unsigned ncarried) {
  assert(ncarried <= op->nresults && "rule yield of verify.def");
  struct iteration it = {.op = op, .body = op->region[0]};
  it.ncarried = ncarried;
  it.nscanned = op->nresults - ncarried;
  it.args = DN_ARRAY(ev->arena, struct slot, it.body->nparams + 1);
  it.results = DN_ARRAY(ev->arena, struct slot, it.body->last->noperands + 1);
  it.stacks = DN_ARRAY(ev->arena, struct slot, it.nscanned + 1);
  for (unsigned i = 0; i < it.nscanned; i++)
    it.stacks[i] = slot_new(ev, op->result[ncarried + i]->type);
  return it;
}

/* Operand i, owned by the caller. */
static struct slot take_operand(struct eval *ev, const struct ir_op *op,
                                unsigned i) {
  struct slot s = value_slot(ev, ir_arg(op, i));
  slot_retain(&s);
  return s;
}

/* Operands: trip count, condition, carried. Body: iteration number, condition,
 * carried -> condition, carried, stacked. */
static bool run_loop(struct eval *ev, const struct ir_op *op) {
  assert(op->noperands >= 2 && "ir_op_check() counts operands");
  struct iteration it = iteration_new(ev, op, op->noperands - 2);
  it.first_arg = 2;
  it.first_result = 1;
  int64_t trips = scalar(ev, ir_arg(op, 0)), most = ir_max_turns(op);
  bool more = scalar(ev, ir_arg(op, 1)) != 0;
  for (unsigned i = 0; i < it.ncarried; i++)
    it.args[2 + i] = take_operand(ev, op, 2 + i);
  while (more && it.done < trips) {
    if (it.done >= most)
      return dn_error(ev->ctx, ir_loc(op), DN_LOOP,
                      "it goes on beyond its bound, %lld", (long long)most);
    if (it.done >= MAX_TRIPS)
      return fail(ev, op, DN_LIMIT, "the loop runs more than 2^24 times");
    it.args[0] = scalar_slot(ev, it.body->param[0], it.done);
    it.args[1] = scalar_slot(ev, it.body->param[1], 1);
    if (!iterate(ev, &it))
      return false;
    const struct ir_value *c = ir_arg(it.body->last, 0);
    more = ir_load_int(c->type->dtype, it.results[0].data) != 0;
    slot_release(ev, &it.results[0]);
  }
  return finish_iteration(ev, &it);
}

/* Operands: states, then what is scanned along axis 0. */
static bool run_scan(struct eval *ev, const struct ir_op *op) {
  unsigned nstates = (unsigned)ir_get_int(op, "states");
  assert(nstates < op->noperands && "rule params of verify.def");
  struct iteration it = iteration_new(ev, op, nstates);
  int64_t trips = ir_max_turns(op);
  for (unsigned i = 0; i < nstates; i++)
    it.args[i] = take_operand(ev, op, i);
  while (it.done < trips) {
    for (unsigned i = nstates; i < op->noperands; i++) {
      const struct ir_type *type = ir_arg(op, i)->type;
      struct slot s = take_operand(ev, op, i);
      if (!s.splat)
        s.data = (const char *)s.data + ir_type_bytes(type) / trips * it.done;
      it.args[i] = s;
    }
    if (!iterate(ev, &it))
      return false;
  }
  return finish_iteration(ev, &it);
}

static bool run_region_op(struct eval *ev, const struct ir_op *op) {
  if (op->code == IR_KERNEL)
    return run_simple(ev, op, op->region[0]);
  if (op->code == IR_IF)
    return run_simple(ev, op, op->region[scalar(ev, ir_arg(op, 0)) ? 0 : 1]);
  assert((op->code == IR_LOOP || op->code == IR_SCAN) &&
         "terminators are met by run_block()");
  ev->loops++;
  bool ok = op->code == IR_LOOP ? run_loop(ev, op) : run_scan(ev, op);
  ev->loops--;
  return ok;
}

static bool run_op(struct eval *ev, const struct ir_op *op) {
  for (unsigned i = 0; i < op->nresults; i++)
    if (!ir_type_is_static(op->result[i]->type))
      return fail(ev, op, DN_DIM, "a symbolic dimension cannot be evaluated");
  if (ir_ops[op->code].cls == IR_REGION)
    return run_region_op(ev, op);
  return run_nest(ev, op);
}

/* Runs a block; args (owned by it) become its parameters, results are owned by
 * the caller. */
static bool run_block(struct eval *ev, const struct ir_block *block,
                      const struct slot *args, struct slot *results) {
  assert((!block->nparams || args) &&
         "the caller has a value for each parameter");
  for (unsigned i = 0; i < block->nparams; i++)
    define(ev, block->param[i], args[i]);
  for (const struct ir_op *op = block->first; op; op = op->next) {
    if (op->code == IR_YIELD || op->code == IR_RETURN) {
      for (unsigned i = 0; i < op->noperands; i++)
        results[i] = take_operand(ev, op, i);
      drop_uses(ev, op, block);
      return true;
    }
    if (!run_op(ev, op))
      return false;
    drop_uses(ev, op, block);
  }
  assert(!"blocks end in yield or return: rule terminator of verify.def");
  return false;
}

/* ---- The interface ---- */

bool ir_eval(struct dn_arena *arena, const struct ir_func *func,
             const struct ir_tensor *inputs, struct ir_tensor *outputs,
             const struct ir_eval_opts *opts) {
  static const struct ir_eval_opts none = {0};
  const struct ir_module *m = func->module;
  assert((inputs || !func->body->nparams) &&
         "the caller has an input for each parameter");
  struct dn_arena *own = dn_arena_new(m->ctx);
  struct eval ev = {
      .ctx = m->ctx, .arena = own, .opts = opts ? opts : &none, .module = m};
  ev.slot = DN_ARRAY(own, struct slot, m->nvalues + 1);
  ev.nest = DN_ARRAY(own, struct eval_nest *, m->nops + 1);
  const struct ir_block *body = func->body;
  struct slot *args = DN_ARRAY(own, struct slot, body->nparams + 1);
  for (unsigned i = 0; i < body->nparams; i++)
    args[i].data = inputs[i].data;
  struct slot *results = DN_ARRAY(own, struct slot, func->nresults + 1);
  bool ok = run_block(&ev, body, args, results);
  for (unsigned i = 0; ok && i < body->last->noperands; i++) {
    const struct ir_type *type = ir_arg(body->last, i)->type;
    outputs[i].type = type;
    outputs[i].data = dn_alloc(arena, (size_t)ir_type_bytes(type));
    slot_copy(outputs[i].data, type, &results[i]);
  }
  dn_arena_free(own);
  return ok;
}

void *ir_eval_op(struct dn_arena *arena, const struct ir_op *op) {
  if (ir_ops[op->code].cls == IR_REGION || op->nresults != 1 ||
      !ir_type_is_static(ir_result(op)->type))
    return NULL;
  for (unsigned i = 0; i < op->noperands; i++)
    if (!ir_arg(op, i)->data)
      return NULL;
  struct dn_ctx *ctx = op->block->func->module->ctx;
  const struct ir_type *type = ir_result(op)->type;
  struct dn_arena *scratch = dn_arena_new(ctx);
  struct eval_operand *operands =
      DN_ARRAY(scratch, struct eval_operand, op->noperands + 1);
  for (unsigned i = 0; i < op->noperands; i++) {
    struct slot s = const_slot(ir_arg(op, i));
    operands[i] = (struct eval_operand){s.data, s.splat};
  }
  struct eval_nest *e = eval_nest_new(scratch, op, false);
  if (!e) {
    dn_arena_free(scratch);
    return NULL;
  }
  void *out = dn_alloc(arena, (size_t)ir_type_bytes(type));
  if (eval_nest_is_alias(e)) {
    struct slot s = const_slot(ir_arg(op, 0));
    slot_copy(out, type, &s);
  } else {
    eval_nest_run(e, operands, out, -1);
  }
  dn_arena_free(scratch);
  return out;
}

void ir_random(struct ir_tensor *t, uint64_t seed) {
  enum ir_dtype type = t->type->dtype;
  int64_t n = ir_type_count(t->type);
  for (int64_t i = 0; i < n; i++) {
    void *p = (char *)t->data + i * ir_dtypes[type].bytes;
    uint64_t r = dn_random(&seed);
    if (ir_is_float(type))
      ir_store_float(type, p, (double)(r >> 11) * 0x1p-52 - 1);
    else
      ir_store_int(type, p, (int64_t)(r >> 33) % 8);
  }
}
