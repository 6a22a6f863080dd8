/* fold.c - evaluates ops on constants with the reference interpreter. A
 * constant that holds one number throughout stays that small where the op lets
 * it: a transposed splat is a splat. Results over `max_bytes`, and results that
 * are `max_growth` bytes larger than all operands together (an expand), stay
 * ops. An `if` on a constant gives way to the region taken.
 *
 * before:  const @a : f32[2] = dense [1, 2]
 *          const @b : f32[] = splat 3
 *          %1 = mul @a, @b : f32[2]
 *          %2 = add %x, %1 : f32[2]
 * after:   const @1 : f32[2] = dense [3, 6]
 *          %2 = add %x, @1 : f32[2] */
#include "passes/edit.h"

#include "ir/eval.h"
#include "ir/nest.h"

#include <assert.h>
#include <string.h>

/* Bytes by which a run may make constants grow. */
#define MAX_GROWTH (INT64_C(1) << 26)

/* A constant made here; its data have an arena of their own while it may still
 * be an intermediate, so that a chain over large weights needs two buffers and
 * not one a step. */
struct made {
  struct ir_value *value;
  struct dn_arena *arena;
};
struct fold {
  struct pass_env *env;
  struct ir_module *m;
  DN_LIST(struct made) made;
  int64_t cost, growth; /* so far */
};

static bool all_const(const struct ir_op *op) {
  for (unsigned i = 0; i < op->noperands; i++)
    if (!ir_arg(op, i)->data)
      return false;
  return true;
}

static bool all_splat(const struct ir_op *op) {
  for (unsigned i = 0; i < op->noperands; i++)
    if (!ir_arg(op, i)->data || ir_arg(op, i)->data->bytes)
      return false;
  return op->noperands > 0;
}

/* Every element of the result is some element of an operand. */
static bool only_picks(const struct nest *n) {
  if (n->fold != NEST_NONE || n->to >= 0 || n->nnodes != 1 ||
      n->node[0].kind != NEST_ACCESS)
    return false;
  const struct nest_access *a = &n->access[n->node[0].arg[0]];
  for (int d = 0; d < a->rank && !a->flat; d++)
    if (a->idx[d].checked)
      return false;
  return true;
}

/* The number that a pick from the operands gives, when it is always the same.
 */
static bool same_splat(const struct ir_op *op, const struct nest *n,
                       uint64_t *out) {
  const struct nest_access *a = &n->access[n->node[0].arg[0]];
  assert(n->node[0].kind == NEST_ACCESS && "only_picks() found an access");
  for (int k = 0; k < a->npieces; k++) {
    const struct ir_data *d = ir_arg(op, (unsigned)(a->operand + k))->data;
    if (!d || d->bytes || (k && d->splat != *out))
      return false;
    *out = d->splat;
  }
  return true;
}

static struct ir_value *
splat_const(struct ir_module *m, const struct ir_type *type, uint64_t splat) {
  struct ir_data data = {.splat = splat};
  return ir_const_new(m, NULL, type, &data);
}

/* A MAP of splats is a splat: of the same op on scalars. */
static struct ir_value *map_of_splats(struct fold *f, struct ir_op *op) {
  assert(ir_ops[op->code].cls == IR_MAP && op->noperands > 0 &&
         "fold_op(), all_splat()");
  struct ir_builder b = edit_before(op);
  struct ir_value **args =
      DN_ARRAY(f->env->scratch, struct ir_value *, op->noperands);
  for (unsigned i = 0; i < op->noperands; i++)
    args[i] = splat_const(
        f->m, ir_type(f->m->ctx, ir_arg(op, i)->type->dtype, 0, NULL),
        ir_arg(op, i)->data->splat);
  struct ir_value *one =
      ir_emit(&b, op->code, args, op->noperands, op->attr, op->nattrs);
  if (!one)
    return NULL;
  struct ir_value *result = NULL;
  void *bytes = ir_eval_op(f->env->scratch, one->def);
  if (bytes) {
    uint64_t splat = 0;
    memcpy(&splat, bytes, ir_dtypes[one->type->dtype].bytes);
    result = splat_const(f->m, ir_result(op)->type, splat);
  }
  ir_op_remove(one->def);
  return result;
}

/* What the interpreter takes for a point, in additions of f32: as measured. */
static int64_t point_cost(const struct nest *n) {
  int64_t sum = n->fold == NEST_NTH ? 64 : 0;
  for (int i = 0; i < n->nnodes; i++) {
    const struct nest_node *node = &n->node[i];
    if (node->kind != NEST_CALL)
      continue;
    bool pow = node->fn == IR_S_POW;
    bool slow = !strcmp(ir_scalars[node->fn].types, "F") || pow ||
                node->fn == IR_S_MOD || node->fn == IR_S_FMOD ||
                node->fn == IR_S_DIV || node->fn == IR_S_CAST;
    bool slower =
        ir_is_small_float(node->type) || (pow && !ir_is_float(node->type));
    sum += slower ? 32 : slow ? 8 : node->type == IR_F32 ? 1 : 4;
  }
  return dn_max(sum, 1) + (n->fold && ir_is_small_float(n->acc_type) ? 32 : 0);
}

/* Weights of 4 and 2 bits, and scales of their blocks: a kernel computes what
 * it reads. */
static bool expands(const struct ir_op *op) {
  enum { FEW = 64 };
  if (!op->noperands)
    return false;
  const struct ir_value *x = ir_arg(op, 0), *y = ir_result(op);
  bool wider =
      ir_dtypes[x->type->dtype].bits < 8 && ir_dtypes[y->type->dtype].bits >= 8;
  bool blocks =
      op->code == IR_EXPAND && y->uses && y->uses->op->code == IR_RESHAPE;
  return ir_type_count(y->type) > FEW &&
         (blocks || (op->code == IR_CAST && wider));
}

/* Whether the result is small enough to keep and cheap enough to compute,
 * counted towards the limits of the run. */
static bool affordable(struct fold *f, const struct ir_op *op,
                       const struct nest *n) {
  int64_t bytes = ir_type_bytes(ir_result(op)->type), in = 0, most = 0;
  for (unsigned i = 0; i < op->noperands; i++) {
    in += ir_type_bytes(ir_arg(op, i)->type);
    most = dn_max(most, ir_type_count(ir_arg(op, i)->type));
  }
  /* [N,1] and [1,N] make more at most sizes, but not in bytes at all of them. */
  bool wider = f->env->opts->lane && ir_ops[op->code].cls == IR_MAP &&
               ir_type_count(ir_result(op)->type) > most;
  if (expands(op) || wider)
    return false;
  int64_t growth = dn_max(bytes - in, 0), cost;
  int64_t limit = f->m->ctx->limits.fold;
  if (bytes > pass_int(f->env, "max_bytes") ||
      growth > (f->env->opts->lane ? 0 : pass_int(f->env, "max_growth")) ||
      growth > MAX_GROWTH - f->growth ||
      !dn_mul(nest_points(n), point_cost(n), &cost) || cost > limit - f->cost)
    return false;
  f->growth += growth;
  f->cost += cost;
  assert(f->growth <= MAX_GROWTH && f->cost <= limit && "seen above");
  return true;
}

static struct ir_value *evaluate(struct fold *f, struct ir_op *op) {
  assert(ir_type_is_static(ir_result(op)->type) && "fold_op() has looked");
  struct dn_arena *arena = dn_arena_new(f->m->ctx);
  struct ir_data data = {.bytes = ir_eval_op(arena, op),
                         .size = ir_type_bytes(ir_result(op)->type)};
  if (!data.bytes) {
    dn_arena_free(arena);
    return NULL;
  }
  struct ir_value *c = ir_const_new(f->m, NULL, ir_result(op)->type, &data);
  struct made made = {c, arena};
  DN_PUSH(f->env->scratch, f->made, made);
  return c;
}

static struct ir_value *fold_op(struct fold *f, struct ir_op *op) {
  const struct ir_type *type = ir_result(op)->type;
  if (!ir_type_is_static(type) || ir_type_count(type) == 0)
    return NULL;
  for (unsigned i = 0; i < op->noperands; i++)
    if (!ir_type_is_static(ir_arg(op, i)->type))
      return NULL;
  struct dn_arena *scratch = dn_arena_new(f->m->ctx);
  const struct nest *n = nest_build(scratch, op);
  bool picks = only_picks(n);
  uint64_t splat = 0;
  struct ir_value *result = NULL;
  bool same = picks && same_splat(op, n, &splat);
  bool map = !picks && ir_ops[op->code].cls == IR_MAP && all_splat(op);
  /* A range of one row is a splat, and small: lanes choose as the first does. */
  if (ir_choose(f->m->ctx, f->env->opts->lane, op->loc, (int)op->code,
                same || map || affordable(f, op, n)))
    result = same  ? splat_const(f->m, type, splat)
             : map ? map_of_splats(f, op)
                   : evaluate(f, op);
  dn_arena_free(scratch);
  return result;
}

/* Frees the data of operands that `op` was the last to read: of intermediates,
 * and of a model's own large weights. */
static void free_operands(struct fold *f, struct ir_value *const *args,
                          unsigned n) {
  for (unsigned i = 0; i < n; i++)
    if (!args[i]->uses && ir_type_bytes(args[i]->type) > 1 << 24)
      ir_sweep_consts(f->m);
  for (unsigned i = 0; i < n; i++) {
    /* Recent ones: an intermediate is read soon after it is made. */
    for (size_t k = f->made.n; k-- > 0 && k + 8 > f->made.n;) {
      struct made *made = &f->made.v[k];
      if (made->value != args[i] || args[i]->uses || !made->arena)
        continue;
      dn_arena_free(made->arena);
      made->arena = NULL;
      args[i]->data->bytes = NULL; /* no users; swept at the end */
    }
  }
}

/* The region that a constant condition takes replaces the `if`. */
static void inline_if(struct ir_op *op) {
  struct ir_block *taken = op->region[ir_const_int(ir_arg(op, 0), 0) ? 0 : 1];
  assert(taken->last && taken->last->noperands == op->nresults &&
         "rules terminator and yield");
  while (taken->first != taken->last)
    ir_op_move(taken->first, op->block, op);
  for (unsigned i = 0; i < op->nresults; i++)
    ir_replace_uses(op->result[i], ir_arg(taken->last, i));
  ir_op_remove(op);
}

static int64_t fold_all(struct fold *f) {
  int64_t folded = 0;
  for (struct ir_op *op = ir_first(f->m), *next; op; op = next) {
    if (op->code == IR_IF && ir_arg(op, 0)->data) {
      struct ir_op *prev = op->prev;
      struct ir_block *b = op->block;
      inline_if(op);
      next = prev ? prev->next : b->first; /* what came out of the region */
      folded++;
      continue;
    }
    next = ir_next(op);
    if (!(ir_ops[op->code].traits & IR_PURE) || op->nresults != 1 ||
        !all_const(op))
      continue;
    struct ir_value *c = fold_op(f, op);
    if (!c)
      continue;
    unsigned n = op->noperands;
    struct ir_value **args = DN_ARRAY(f->env->scratch, struct ir_value *, n);
    for (unsigned i = 0; i < n; i++)
      args[i] = ir_arg(op, i);
    edit_replace(op, c, true);
    free_operands(f, args, n);
    folded++;
  }
  return folded;
}

int64_t pass_fold(struct pass_env *env, struct ir_module *m) {
  struct fold f = {.env = env, .m = m};
  unsigned errors = dn_errors(m->ctx);
  int64_t folded = fold_all(&f);
  for (size_t i = 0; i < f.made.n; i++)
    if (f.made.v[i].arena)
      dn_arena_adopt(m->arena, f.made.v[i].arena);
  ir_sweep_consts(m);
  return dn_errors(m->ctx) > errors ? -1 : folded;
}
