/* build.c - modules, values and ops: making them and changing them.
 *
 * Names are unique per function (values) and per module (constants): tables of
 * the names in use give fresh ones. */
#include "ir/ir.h"

#include <assert.h>
#include <string.h>

/* ---- Names ---- */

/* The names of a function's values, or of the module's constants. */
static struct dn_map *names_of(struct ir_module *m, const struct ir_value *v) {
  if (v->data)
    return &m->names;
  const struct ir_block *b = ir_home(v);
  return b ? &b->func->names : NULL;
}

static bool take_name(struct ir_module *m, struct dn_map *names,
                      struct ir_value *v, const char *name) {
  if (!dn_map_put(m->arena, names, name, v))
    return false;
  v->name = name;
  return true;
}

static void drop_name(struct ir_module *m, const struct ir_value *v) {
  struct dn_map *names = names_of(m, v);
  if (v->name && names && dn_map_get(names, v->name) == v)
    dn_map_find(names, v->name)->value = NULL;
}

/* Gives `v` the name, or `name_2`, `name_3` ..., or a fresh number. */
static void name_value(struct ir_module *m, struct dn_map *names,
                       struct ir_value *v, const char *name) {
  if (name && *name && take_name(m, names, v, dn_intern(m->ctx, name)))
    return;
  if (name && *name) {
    for (unsigned k = 2; k < 100; k++) {
      const char *next = dn_printf(m->arena, "%s_%u", name, k);
      if (take_name(m, names, v, dn_intern(m->ctx, next)))
        return;
    }
  }
  const char *stem = name && *name ? name : "";
  const char *dash = *stem ? "_" : "";
  do
    name = dn_printf(m->arena, "%s%s%u", stem, dash, ++m->fresh);
  while (!take_name(m, names, v, dn_intern(m->ctx, name)));
}

void ir_value_rename(struct ir_module *m, struct ir_value *v,
                     const char *name) {
  assert(names_of(m, v) &&
         "a value that is renamed stands in a function or module");
  drop_name(m, v);
  name_value(m, names_of(m, v), v, name);
}

/* ---- Modules, functions, values ---- */

struct ir_module *ir_module_new(struct dn_ctx *ctx, const char *file) {
  struct dn_arena *arena = dn_arena_new(ctx);
  struct ir_module *m = DN_NEW(arena, struct ir_module);
  m->ctx = ctx;
  m->arena = arena;
  m->file = file;
  return m;
}

void ir_module_free(struct ir_module *m) {
  if (m)
    dn_arena_free(m->arena);
}

static struct ir_block *block_new(struct ir_func *f, struct ir_op *owner) {
  struct ir_block *b = DN_NEW(f->module->arena, struct ir_block);
  b->func = f;
  b->owner = owner;
  return b;
}

struct ir_func *ir_func_new(struct ir_module *m, const char *name) {
  struct ir_func *f = DN_NEW(m->arena, struct ir_func);
  f->module = m;
  f->name = dn_intern(m->ctx, name);
  f->body = block_new(f, NULL);
  struct ir_func **end = &m->funcs;
  while (*end)
    end = &(*end)->next;
  *end = f;
  return f;
}

bool ir_is_named(const struct ir_value *v) {
  return v->name[strspn(v->name, "0123456789")];
}

const char *ir_result_name(const struct ir_func *f, unsigned i) {
  if (f->result_name && f->result_name[i])
    return f->result_name[i];
  const struct ir_value *v = ir_arg(f->body->last, i);
  if (ir_is_named(v))
    return v->name;
  return f->nresults == 1 ? "output"
                          : dn_printf(f->module->ctx->arena, "output%u", i + 1);
}

struct ir_func *ir_main(const struct ir_module *m) {
  return m->funcs;
}

static struct ir_value *value_new(struct ir_module *m,
                                  const struct ir_type *type) {
  struct ir_value *v = DN_NEW(m->arena, struct ir_value);
  v->type = type;
  v->id = m->nvalues++;
  return v;
}

struct ir_value *ir_param_new(struct ir_block *b, const char *name,
                              const struct ir_type *type) {
  struct ir_module *m = b->func->module;
  struct ir_value *v = value_new(m, type);
  v->block = b;
  v->index = b->nparams;
  if (!(b->nparams & (b->nparams - 1))) { /* room for a power of two */
    struct ir_value **list =
        DN_ARRAY(m->arena, struct ir_value *, b->nparams ? b->nparams * 2 : 1);
    if (b->nparams)
      memcpy(list, b->param, b->nparams * sizeof *list);
    b->param = list;
  }
  b->param[b->nparams++] = v;
  name_value(m, &b->func->names, v, name);
  return v;
}

struct ir_value *ir_const_new(struct ir_module *m, const char *name,
                              const struct ir_type *type,
                              const struct ir_data *data) {
  assert(data && type && "a constant has data: the caller");
  struct ir_value *v = value_new(m, type);
  v->data = dn_copy(m->arena, data, sizeof *data);
  v->index = (unsigned)m->consts.n;
  DN_PUSH(m->arena, m->consts, v);
  name_value(m, &m->names, v, name && *name ? name : "c");
  return v;
}

/* ---- Uses ---- */

static void link_use(struct ir_use *u, struct ir_value *v) {
  assert(v && "operands are values: ir_emit() stops at NULL");
  assert((!v->uses || v->uses->prev == &v->uses) &&
         "the first use knows the head of its list");
  u->value = v;
  u->next = v->uses;
  u->prev = &v->uses;
  if (v->uses)
    v->uses->prev = &u->next;
  v->uses = u;
}

static void unlink_use(struct ir_use *u) {
  assert(*u->prev == u && "a use is in the list of its value: link_use()");
  *u->prev = u->next;
  if (u->next)
    u->next->prev = u->prev;
}

/* A result keeps the name of the value that the function returned first, also
 * when another value takes its place. */
static void keep_result_name(const struct ir_use *u) {
  const struct ir_op *op = u->op;
  const struct ir_func *f = op->block ? op->block->func : NULL;
  if (op->code != IR_RETURN || !f || !f->result_name || !ir_is_named(u->value))
    return;
  for (unsigned i = 0; i < f->nresults && i < op->noperands; i++)
    if (op->operand[i] == u && !f->result_name[i])
      f->result_name[i] = u->value->name;
}

static void redirect(struct ir_use *u, struct ir_value *v) {
  keep_result_name(u);
  unlink_use(u);
  link_use(u, v);
}

void ir_set_operand(struct ir_op *op, unsigned i, struct ir_value *v) {
  assert(i < op->noperands && op->operand[i]->op == op &&
         "the caller counts the op's operands");
  redirect(op->operand[i], v);
}

void ir_replace_uses(struct ir_value *old, struct ir_value *with) {
  assert(old != with && "the caller has made another value");
  while (old->uses)
    redirect(old->uses, with);
}

unsigned ir_operand_number(const struct ir_use *u) {
  unsigned i = 0;
  while (u->op->operand[i] != u)
    i++;
  assert(i < u->op->noperands && "a use is one of its op's operands");
  return i;
}

size_t ir_num_uses(const struct ir_value *v) {
  size_t n = 0;
  for (const struct ir_use *u = v->uses; u; u = u->next)
    n++;
  return n;
}

/* ---- Ops ---- */

static void insert_op(struct ir_op *op, struct ir_block *b,
                      struct ir_op *before) {
  assert((!before || before->block == b) &&
         "a builder's `before` stands in its block");
  assert((!b->last || !b->last->next) &&
         "the last op of a block has none behind it");
  op->block = b;
  op->next = before;
  op->prev = before ? before->prev : b->last;
  *(op->prev ? &op->prev->next : &b->first) = op;
  *(before ? &before->prev : &b->last) = op;
}

static void detach_op(struct ir_op *op) {
  struct ir_block *b = op->block;
  assert((op->prev ? op->prev->next : b->first) == op &&
         "ops are linked both ways: insert_op()");
  assert((op->next ? op->next->prev : b->last) == op &&
         "ops are linked both ways: insert_op()");
  *(op->prev ? &op->prev->next : &b->first) = op->next;
  *(op->next ? &op->next->prev : &b->last) = op->prev;
  op->prev = op->next = NULL;
}

void ir_results_new(struct ir_builder *b, struct ir_op *op,
                    const struct ir_type *const *types, size_t n) {
  struct ir_module *m = b->m;
  assert(!op->nresults && "an op gets its results once");
  op->nresults = (unsigned)n;
  op->result = DN_ARRAY(m->arena, struct ir_value *, n);
  for (size_t i = 0; i < n; i++) {
    struct ir_value *v = op->result[i] = value_new(m, types[i]);
    v->def = op;
    v->index = (unsigned)i;
    name_value(m, &b->block->func->names, v, b->names ? b->names[i] : NULL);
  }
}

struct ir_op *ir_op_new(struct ir_builder *b, enum ir_opcode code,
                        struct ir_value *const *args, size_t nargs,
                        const struct ir_attr *attrs, size_t nattrs,
                        const struct ir_type *const *types, size_t ntypes,
                        size_t nregions) {
  struct ir_module *m = b->m;
  assert(b->block && b->block->func->module == m &&
         "a builder stands in a block of its module");
  struct ir_op *op = DN_NEW(m->arena, struct ir_op);
  if (++m->nops > (unsigned)dn_min(m->ctx->limits.nodes * 4, UINT32_MAX))
    dn_fatal(m->ctx, (struct dn_loc){.file = m->file}, DN_LIMIT,
             "more ops than --limit-nodes=%lld allows",
             (long long)m->ctx->limits.nodes);
  assert(code < IR_NUM_OPS && "opcodes are rows of ops.def");
  op->id = m->nops - 1;
  op->code = code;
  op->loc = b->loc;
  op->model_op = b->model_op;
  op->line = b->line;
  op->noperands = (unsigned)nargs;
  op->operand = DN_ARRAY(m->arena, struct ir_use *, nargs);
  struct ir_use *uses = DN_ARRAY(m->arena, struct ir_use, nargs);
  for (size_t i = 0; i < nargs; i++) {
    op->operand[i] = &uses[i];
    uses[i].op = op;
    link_use(&uses[i], args[i]);
  }
  op->nattrs = (unsigned)nattrs;
  op->attr = ir_copy_attrs(m, attrs, nattrs);
  insert_op(op, b->block, b->before);
  ir_results_new(b, op, types, ntypes);
  op->nregions = (unsigned)nregions;
  op->region = DN_ARRAY(m->arena, struct ir_block *, nregions);
  for (size_t i = 0; i < nregions; i++)
    op->region[i] = block_new(b->block->func, op);
  return op;
}

struct ir_block *ir_region_new(struct ir_op *op) {
  assert(op->block && "regions belong to an op that stands in a block");
  struct ir_func *f = op->block->func;
  op->region =
      dn_more(f->module->arena, op->region, op->nregions, sizeof *op->region);
  return op->region[op->nregions++] = block_new(f, op);
}

void ir_op_move(struct ir_op *op, struct ir_block *block,
                struct ir_op *before) {
  if (op == before)
    return;
  assert(op->block && block->func->module == op->block->func->module &&
         "an op moves within its module");
  detach_op(op);
  insert_op(op, block, before);
}

static void forget_op(struct ir_module *m, struct ir_op *op) {
  for (unsigned r = 0; r < op->nregions; r++) {
    for (struct ir_op *o = op->region[r]->first; o; o = o->next)
      forget_op(m, o);
    for (unsigned i = 0; i < op->region[r]->nparams; i++)
      drop_name(m, op->region[r]->param[i]);
  }
  for (unsigned i = 0; i < op->noperands; i++)
    unlink_use(op->operand[i]);
  for (unsigned i = 0; i < op->nresults; i++)
    drop_name(m, op->result[i]);
}

void ir_op_remove(struct ir_op *op) {
  assert(op->block && "an op is removed once: removal clears it");
  for (unsigned i = 0; i < op->nresults; i++)
    assert(!op->result[i]->uses && "removing an op that is read");
  forget_op(op->block->func->module, op);
  detach_op(op);
  op->block = NULL;
}

void ir_drop_operand(struct ir_op *op, unsigned i) {
  assert(i < op->noperands && "the caller counts the op's operands");
  unlink_use(op->operand[i]);
  memmove(&op->operand[i], &op->operand[i + 1],
          (--op->noperands - i) * sizeof *op->operand);
}

void ir_drop_result(struct ir_op *op, unsigned i) {
  assert(!op->result[i]->uses && "dropping a result that is read");
  drop_name(op->block->func->module, op->result[i]);
  memmove(&op->result[i], &op->result[i + 1],
          (--op->nresults - i) * sizeof *op->result);
  for (; i < op->nresults; i++)
    op->result[i]->index = i;
}

/* Frees the bytes of a deleted constant that no other constant shares. */
static void release_bytes(struct ir_module *m, const struct ir_data *dead) {
  const char *lo = dead->bytes;
  if (!lo || dead->size < DN_LARGE || dead->shared)
    return;
  const char *hi = lo + dead->size;
  for (size_t i = 0; i < m->consts.n; i++) {
    const struct ir_data *d = m->consts.v[i]->data;
    const char *p = d->bytes;
    if (d != dead && p && p < hi && p + d->size > lo)
      return;
  }
  dn_release(m->arena, lo);
  dn_release(m->ctx->arena, lo); /* importers copy there */
}

void ir_sweep_consts(struct ir_module *m) {
  size_t n = 0;
  DN_LIST(struct ir_data *) dead = {0};
  struct dn_arena *scratch = dn_arena_new(m->ctx);
  bool *initial = DN_ARRAY(scratch, bool, m->nvalues);
  for (const struct ir_func *f = m->funcs; f; f = f->next)
    for (unsigned i = 0; i < f->body->nparams; i++)
      if (f->body->param[i]->initial)
        initial[f->body->param[i]->initial->id] = true;
  for (size_t i = 0; i < m->consts.n; i++) {
    struct ir_value *c = m->consts.v[i];
    if (!c->uses && !initial[c->id]) {
      drop_name(m, c);
      DN_PUSH(scratch, dead, c->data);
      continue;
    }
    c->index = (unsigned)n;
    m->consts.v[n++] = c;
  }
  assert(n + dead.n == m->consts.n && "each constant is kept or dead");
  m->consts.n = n;
  for (size_t i = 0; i < dead.n; i++)
    release_bytes(m, dead.v[i]);
  dn_arena_free(scratch);
}

struct dn_loc ir_loc(const struct ir_op *op) {
  struct dn_loc loc = {.line = op->line, .node = op->loc};
  loc.op = op->model_op ? op->model_op : ir_ops[op->code].text;
  if (op->block)
    loc.file = op->block->func->module->file;
  return loc;
}

struct dn_loc ir_value_loc(const struct ir_module *m,
                           const struct ir_value *v) {
  struct dn_loc own = {.file = m->file, .where = v->name};
  return v->def ? ir_loc(v->def) : own;
}

void ir_state_set(struct ir_func *f, unsigned i, struct ir_value *v,
                  struct ir_value *initial) {
  struct ir_op *ret = f->body->last;
  const struct ir_attr *old = ir_find_attr(ret, "state");
  int64_t *state = DN_ARRAY(f->module->arena, int64_t, ret->noperands);
  assert(i < ret->noperands && v->block == f->body && "of this function");
  for (unsigned k = 0; k < ret->noperands; k++)
    state[k] = old ? old->is[k] : -1;
  state[i] = v->index;
  v->initial = initial ? initial : v->initial;
  ir_set_attr(ret, ir_ints("state", state, ret->noperands));
}

/* ---- Walking ---- */

/* First op of the regions of `op` from number `from` on. */
static struct ir_op *first_inside(const struct ir_op *op, unsigned from) {
  for (unsigned i = from; i < op->nregions; i++)
    if (op->region[i]->first)
      return op->region[i]->first;
  return NULL;
}

/* The next op that is not in regions of `op`; in `root`, unless that is
 * NULL. */
static struct ir_op *next_over(const struct ir_op *root,
                               const struct ir_op *op) {
  while (op != root && !op->next) {
    const struct ir_op *owner = op->block->owner;
    const struct ir_func *next = op->block->func->next;
    if (!owner)
      return next ? next->body->first : NULL;
    unsigned r = 0;
    while (owner->region[r] != op->block)
      r++;
    assert(r < owner->nregions && "a block is one of its owner's regions");
    struct ir_op *inside = first_inside(owner, r + 1);
    if (inside)
      return inside;
    op = owner;
  }
  return op == root ? NULL : op->next;
}

struct ir_op *ir_next_inside(const struct ir_op *root, const struct ir_op *op) {
  struct ir_op *inside = first_inside(op, 0);
  return inside ? inside : next_over(root, op);
}

struct ir_op *ir_next(const struct ir_op *op) {
  return ir_next_inside(NULL, op);
}

struct ir_op *ir_next_outside(const struct ir_op *op) {
  struct ir_op *next =
      op->code == IR_KERNEL ? next_over(NULL, op) : ir_next(op);
  return next && next->block->func == op->block->func ? next : NULL;
}

/* ---- Checked building ---- */

static bool check_arity(struct dn_ctx *ctx, const struct ir_op *op) {
  int min, max;
  ir_op_arity(op->code, &min, &max);
  int n = (int)op->noperands;
  if (n >= min && (max < 0 || n <= max))
    return true;
  char most[24] = "";
  if (max > min)
    snprintf(most, sizeof most, " to %d", max);
  return dn_error(ctx, ir_loc(op), DN_ARITY,
                  "'%s' takes %s%d%s operands, here %d", ir_ops[op->code].text,
                  max < 0 ? "at least " : "", min, most, n);
}

static bool check_attrs(struct dn_ctx *ctx, const struct ir_op *op) {
  struct ir_attr_spec specs[IR_MAX_ATTRS];
  int n = ir_op_attr_specs(op->code, specs);
  for (unsigned i = 0; i < op->nattrs; i++) {
    int k = 0;
    while (k < n && strcmp(specs[k].name, op->attr[i].name))
      k++;
    if (k < n && specs[k].kind == op->attr[i].kind)
      continue;
    return dn_error(ctx, ir_loc(op), DN_ATTR, "'%s' has no attribute '%s'%s",
                    ir_ops[op->code].text, op->attr[i].name,
                    k < n ? " of this kind" : "");
  }
  for (int k = 0; k < n; k++) {
    if (!specs[k].required || ir_find_attr(op, specs[k].name))
      continue;
    return dn_error(ctx, ir_loc(op), DN_ATTR, "'%s' needs attribute '%s'",
                    ir_ops[op->code].text, specs[k].name);
  }
  return true;
}

bool ir_op_check(struct dn_ctx *ctx, const struct ir_op *op) {
  return check_arity(ctx, op) && check_attrs(ctx, op);
}

struct ir_value *ir_emit(struct ir_builder *b, enum ir_opcode code,
                         struct ir_value *const *args, size_t nargs,
                         const struct ir_attr *attrs, size_t nattrs) {
  for (size_t i = 0; i < nargs; i++)
    if (!args[i])
      return NULL;
  /* A dummy type until inference has seen the op. */
  const struct ir_type *none = ir_type(b->m->ctx, IR_F32, 0, NULL);
  struct ir_op *op =
      ir_op_new(b, code, args, nargs, attrs, nattrs, &none, 1, 0);
  const struct ir_type *type = NULL;
  if (ir_op_check(b->m->ctx, op))
    type = ir_infer(b->m->ctx, op);
  if (!type) {
    ir_op_remove(op);
    return NULL;
  }
  op->result[0]->type = type;
  return op->result[0];
}
