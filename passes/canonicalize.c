/* canonicalize.c - applies the rules of rules.def until none matches, and the
 * few rewrites that hold for a whole class of ops: a MAP broadcasts by itself,
 * so an expand before it goes, and a constant of one number is a scalar.
 *
 * before:  %1 = transpose %x {perm=[0,2,3,1]} : f32[1,8,8,3]
 *          %2 = transpose %1 {perm=[0,3,1,2]} : f32[1,3,8,8]
 *          %3 = relu %2 : f32[1,3,8,8]
 *          %4 = clamp %3 {hi=6} : f32[1,3,8,8]
 * after:   %4 = clamp %x {lo=0, hi=6} : f32[1,3,8,8] */
#include "passes/edit.h"
#include "passes/rules.h"

#include <assert.h>
#include <string.h>

/* Elements of a constant that are looked through for one number. */
enum { MAX_LOOK = 65536 };

struct canon {
  struct pass_env *env;
  struct ir_module *m;
  const struct rules *rules;
  bool fast;
  /* A queue of ops to look at; an op is in it once at most. */
  DN_LIST(struct ir_op *) queue;
  DN_LIST(bool) queued; /* by op id */
  size_t head;
};

static void push(struct canon *c, struct ir_op *op) {
  while (c->queued.n <= op->id)
    DN_PUSH(c->env->scratch, c->queued, false);
  assert(c->queued.n > op->id && "grown above");
  if (c->queued.v[op->id])
    return;
  c->queued.v[op->id] = true;
  DN_PUSH(c->env->scratch, c->queue, op);
}

static struct ir_op *pop(struct canon *c) {
  while (c->head < c->queue.n) {
    struct ir_op *op = c->queue.v[c->head++];
    c->queued.v[op->id] = false;
    if (op->block)
      return op;
  }
  return NULL;
}

static void push_users(struct canon *c, const struct ir_value *v) {
  for (const struct ir_use *u = v->uses; u; u = u->next)
    push(c, u->op);
}

/* Puts new ops on the worklist: that of `v` and those just before it. */
static void push_made(struct canon *c, struct ir_value *v, unsigned first_id) {
  for (struct ir_op *op = v->def; op && op->id >= first_id; op = op->prev)
    push(c, op);
}

/* Replaces the result of `op`; what only it read is dead then. */
static void replace(struct canon *c, struct ir_op *op, struct ir_value *with,
                    bool fresh) {
  DN_LIST(struct ir_value *) args = {0};
  for (unsigned i = 0; i < op->noperands; i++)
    DN_PUSH(c->env->scratch, args, ir_arg(op, i));
  push_users(c, ir_result(op));
  edit_replace(op, with, fresh);
  while (args.n) {
    struct ir_value *v = args.v[--args.n];
    struct ir_op *def = v->def;
    if (!def || !def->block || v->uses || def->nresults != 1 ||
        !(ir_ops[def->code].traits & IR_PURE)) {
      if (v->uses && !v->uses->next)
        push(c, v->uses->op); /* `once` may hold now */
      continue;
    }
    for (unsigned i = 0; i < def->noperands; i++)
      DN_PUSH(c->env->scratch, args, ir_arg(def, i));
    ir_op_remove(def);
  }
}

static bool apply_rules(struct canon *c, struct ir_op *op) {
  for (const struct rule *r = c->rules->first[op->code]; r; r = r->next) {
    struct rule_match match;
    if ((r->mark == RULE_FAST && !c->fast) || !rule_matches(r, op, &match))
      continue;
    unsigned first_id = c->m->nops;
    bool fresh;
    struct ir_value *v = rule_build(r, &match, &fresh);
    if (!v)
      continue;
    if (fresh)
      push_made(c, v, first_id);
    replace(c, op, v, fresh);
    return true;
  }
  return false;
}

/* Whether `op`, with a value of type `with` as operand k, has the same type. */
static bool broadcasts_with(const struct ir_op *op, unsigned k,
                            const struct ir_type *with) {
  const struct ir_type *y = ir_result(op)->type;
  assert(k < op->noperands && "narrow_operands() counts them");
  int rank = 0;
  for (int d = 1; d <= y->rank; d++) {
    int64_t dim = 1;
    for (unsigned i = 0; i < op->noperands; i++) {
      const struct ir_type *t = i == k ? with : ir_arg(op, i)->type;
      int64_t other = d <= t->rank ? t->dim[t->rank - d] : 1;
      dim = other != 1 ? other : dim;
      rank = t->rank > rank ? t->rank : rank;
    }
    if (dim != y->dim[y->rank - d])
      return false;
  }
  return rank == y->rank;
}

/* A constant that holds one number, as a scalar; NULL: it does not. */
static struct ir_value *scalar_of(struct canon *c, const struct ir_value *v,
                                  const struct ir_type *scalar) {
  assert(v->data && !scalar->rank && "narrow() has seen a constant");
  double number;
  if ((v->data->bytes && ir_type_count(v->type) > MAX_LOOK) ||
      !ir_const_uniform(v, &number))
    return NULL;
  struct ir_data data = {.splat = v->data->splat};
  if (v->data->bytes)
    memcpy(&data.splat, v->data->bytes, ir_dtypes[v->type->dtype].bytes);
  return ir_const_new(c->m, v->name, scalar, &data);
}

/* What may stand in for operand k, as maps broadcast by themselves: what an
 * expand expanded, or one number. NULL: nothing. */
static struct ir_value *narrow(struct canon *c, const struct ir_op *op,
                               unsigned k) {
  struct ir_value *v = ir_arg(op, k);
  if (v->def && v->def->code == IR_EXPAND)
    return broadcasts_with(op, k, ir_arg(v->def, 0)->type) ? ir_arg(v->def, 0)
                                                           : NULL;
  if (!v->data || v->type->rank == 0 || v->type->quant)
    return NULL;
  const struct ir_type *scalar = ir_type(c->m->ctx, v->type->dtype, 0, NULL);
  return broadcasts_with(op, k, scalar) ? scalar_of(c, v, scalar) : NULL;
}

static bool narrow_operands(struct canon *c, struct ir_op *op) {
  if (ir_ops[op->code].cls != IR_MAP || op->noperands < 2)
    return false;
  bool changed = false;
  for (unsigned k = 0; k < op->noperands; k++) {
    struct ir_value *v = narrow(c, op, k);
    if (!v)
      continue;
    ir_set_operand(op, k, v);
    changed = true;
  }
  if (changed)
    push(c, op);
  return changed;
}

int64_t pass_canonicalize(struct pass_env *env, struct ir_module *m) {
  struct canon c = {.env = env,
                    .m = m,
                    .rules = rules_parse(m->ctx, env->scratch),
                    .fast = pass_int(env, "fast") != 0};
  unsigned errors = dn_errors(m->ctx);
  for (struct ir_op *op = ir_first(m); op; op = ir_next(op))
    push(&c, op);
  /* Rules do not undo each other, so this ends by itself; the bound is for
   * two rules that do, by mistake. */
  int64_t changes = 0;
  int64_t most = pass_int(env, "max_rounds") * ((int64_t)c.queue.n + 64);
  for (struct ir_op *op; changes < most && (op = pop(&c)) != NULL;)
    changes += apply_rules(&c, op) || narrow_operands(&c, op);
  return dn_errors(m->ctx) > errors ? -1 : changes;
}
