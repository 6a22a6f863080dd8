/* bnfold.c - folds a scale and a shift by constants into the weights before
 * them: what batch norm leaves behind. A contraction with a constant operand w
 * is followed by maps that multiply by, divide by, add or subtract constants;
 * where those vary only along dimensions of the result that are dimensions of w
 * too, the scales are multiplied into w, and one sum with a constant is left.
 * All of it follows from the nests: no op is recognised by name.
 *
 * before:  %1 = conv %x, @w : f32[1,8,8,16]
 *          %2 = add %1, @b : f32[1,8,8,16]                  (@b : f32[16])
 *          %3 = mul %2, @s : f32[1,8,8,16]
 *          %4 = add %3, @t : f32[1,8,8,16]
 * after:   %5 = mul @b, @s : f32[16]
 *          %6 = add %5, @t : f32[16]
 *          %7 = reshape @s {shape=[16,1,1,1]} : f32[16,1,1,1]
 *          %8 = mul @w, %7 : f32[16,3,3,8]               (left to fold)
 *          %1 = conv %x, %8 : f32[1,8,8,16]
 *          %4 = add %1, %6 : f32[1,8,8,16] */
#include "passes/edit.h"

#include "ir/nest.h"

#include <assert.h>
#include <string.h>

/* y = x * scale + shift, gathered from the contraction on. */
struct chain {
  struct ir_op *root;             /* the contraction */
  unsigned weights;               /* number of its constant operand */
  struct ir_op *last;             /* of the maps; the root at first */
  struct ir_value *scale, *shift; /* NULL: 1 and 0 */
  int nmaps;
  unsigned first_id;    /* ops made for the chain have this id or a later one */
  int dim[IR_MAX_RANK]; /* result dimension -> that of the weights, or -1 */
};

/* ---- Which result dimensions are dimensions of the weights ---- */

static bool same_index(const struct nest *n, const struct nest_index *x,
                       const struct nest_dim *y) {
  if (x->base || !nest_index_is_plain(x))
    return false;
  int64_t coef[NEST_MAX_ITERS] = {0};
  for (int k = 0; k < y->n; k++)
    coef[y->iter[k]] += y->stride[k];
  return !memcmp(coef, x->coef, (size_t)n->niters * sizeof *coef);
}

static const struct nest_access *access_of(const struct nest *n,
                                           unsigned operand) {
  for (int k = 0; k < n->naccesses; k++)
    if (n->access[k].operand == (int)operand)
      return &n->access[k];
  assert(!"the rows of products read each operand");
  return NULL;
}

static void find_dims(struct chain *c, const struct nest *n) {
  const struct nest_access *w = access_of(n, c->weights);
  for (int d = 0; d < n->type->rank; d++) {
    c->dim[d] = -1;
    for (int k = 0; k < w->rank; k++)
      if (n->y[d].n && same_index(n, &w->idx[k], &n->y[d]))
        c->dim[d] = k;
  }
}

/* A sum of products of two operands, one of which is a constant. */
static bool find_root(struct ir_op *op, struct chain *c) {
  if (ir_ops[op->code].cls != IR_CONTRACT || op->noperands != 2 ||
      !ir_is_float(ir_result(op)->type->dtype) ||
      !ir_type_is_static(ir_result(op)->type))
    return false;
  bool a = edit_folds(ir_arg(op, 0)), b = edit_folds(ir_arg(op, 1));
  if (a == b)
    return false;
  *c = (struct chain){.root = op,
                      .weights = b,
                      .last = op,
                      .first_id = op->block->func->module->nops};
  return true;
}

/* ---- The maps after it ---- */

/* A constant whose elements depend on dimensions of the weights only, which
 * come in the same order there. */
static bool fits(const struct chain *c, const struct ir_value *v) {
  const struct ir_type *t = v->type;
  int last = -1, lead = ir_result(c->root)->type->rank - t->rank;
  assert(lead >= 0 && "the sum has the root's type: extend()");
  for (int d = 0; d < t->rank; d++) {
    if (t->dim[d] == 1)
      continue;
    if (c->dim[lead + d] <= last)
      return false;
    last = c->dim[lead + d];
  }
  return true;
}

/* The scalar function of a map of two operands, and which one is the constant;
 * false when it is something else. */
static bool find_affine(const struct ir_op *op, enum ir_scalar *fn,
                        unsigned *constant) {
  if (ir_ops[op->code].cls != IR_MAP || op->noperands != 2)
    return false;
  struct dn_arena *arena = dn_arena_new(op->block->func->module->ctx);
  const struct nest *n = nest_build(arena, op);
  const struct nest_node *root = &n->node[n->nnodes - 1];
  bool ok = n->nnodes == 3 && root->kind == NEST_CALL &&
            n->node[0].kind == NEST_ACCESS && n->node[1].kind == NEST_ACCESS &&
            root->arg[0] == 0 && root->arg[1] == 1 && n->node[0].arg[0] == 0 &&
            n->node[1].arg[0] == 1;
  *fn = root->fn;
  dn_arena_free(arena);
  *constant = edit_folds(ir_arg(op, 1));
  return ok && edit_folds(ir_arg(op, *constant));
}

static struct ir_value *product(struct ir_builder *b, enum ir_opcode code,
                                struct ir_value *a, struct ir_value *by) {
  return a ? ir_emit(b, code, IR_ARGS(a, by), NULL, 0) : NULL;
}

static struct ir_value *sum(struct ir_builder *b, struct ir_value *a,
                            struct ir_value *k) {
  return a ? ir_emit(b, IR_ADD, IR_ARGS(a, k), NULL, 0) : k;
}

/* Moves what makes a constant, so that it can be read before the contraction.
 */
static void hoist(const struct chain *c, struct ir_value *k) {
  struct ir_op *before = c->root->block->first;
  for (; k->def && k->def->block == before->block; k = ir_arg(k->def, 0)) {
    assert(k->def->noperands == 1 && "made from one constant: edit_folds()");
    ir_op_move(k->def, before->block, before);
    before = k->def;
  }
}

/* Takes one more map into scale and shift: false when it does not fit. */
static bool extend(struct chain *c, struct ir_op *op) {
  enum ir_scalar fn;
  unsigned at;
  if (!find_affine(op, &fn, &at) ||
      ir_result(op)->type != ir_result(c->root)->type ||
      !fits(c, ir_arg(op, at)))
    return false;
  struct ir_value *k = ir_arg(op, at);
  hoist(c, k);
  struct ir_builder b = edit_before(c->root);
  switch ((int)fn) {
  case IR_S_ADD:
    c->shift = sum(&b, c->shift, k);
    break;
  case IR_S_SUB:
    if (at == 0) /* k - x */
      return false;
    k = ir_emit(&b, IR_NEG, IR_ARGS(k), NULL, 0);
    c->shift = sum(&b, c->shift, k);
    break;
  case IR_S_MUL:
    c->scale = c->scale ? product(&b, IR_MUL, c->scale, k) : k;
    c->shift = product(&b, IR_MUL, c->shift, k);
    break;
  case IR_S_DIV:
    if (at == 0)
      return false;
    c->scale = c->scale ? product(&b, IR_DIV, c->scale, k)
                        : ir_emit(&b, IR_RECIP, IR_ARGS(k), NULL, 0);
    c->shift = product(&b, IR_DIV, c->shift, k);
    break;
  default:
    return false;
  }
  c->last = op;
  c->nmaps++;
  return true;
}

/* ---- Rewriting ---- */

/* A scale in the dimensions of the weights. */
static struct ir_value *scale_for_weights(const struct chain *c,
                                          struct ir_builder *b) {
  const struct ir_type *t = c->scale->type;
  const struct ir_type *w = ir_arg(c->root, c->weights)->type;
  int64_t dims[IR_MAX_RANK];
  for (int k = 0; k < w->rank; k++)
    dims[k] = 1;
  int lead = ir_result(c->root)->type->rank - t->rank;
  for (int d = 0; d < t->rank; d++)
    if (t->dim[d] != 1) {
      assert(c->dim[lead + d] >= 0 && "each factor varies along them: fits()");
      dims[c->dim[lead + d]] = t->dim[d];
    }
  return ir_type_count(t) == 1 ? edit_reshape(b, c->scale, 0, NULL)
                               : edit_reshape(b, c->scale, w->rank, dims);
}

/* The maps before the last, which now have no users. */
static void drop_maps(const struct chain *c, struct ir_op *op) {
  while (op != c->root) {
    assert(op->noperands == 2 && "maps of two operands: find_affine()");
    struct ir_op *before = ir_arg(op, edit_folds(ir_arg(op, 0)))->def;
    ir_op_remove(op);
    op = before;
  }
}

static int64_t rewrite(struct chain *c) {
  assert(c->last != c->root && c->nmaps > 0 &&
         "fold_after() leaves other chains alone");
  struct ir_builder b = edit_before(c->root);
  struct ir_value *y = ir_result(c->root), *w = ir_arg(c->root, c->weights);
  if (c->scale) {
    struct ir_value *s = scale_for_weights(c, &b);
    w = s ? ir_emit(&b, IR_MUL, IR_ARGS(w, s), NULL, 0) : NULL;
    if (!w)
      return -1;
    ir_set_operand(c->root, c->weights, w);
  }
  b = edit_before(c->last);
  if (c->shift)
    y = ir_emit(&b, IR_ADD, IR_ARGS(y, c->shift), NULL, 0);
  if (!y)
    return -1;
  struct ir_op *before = ir_arg(c->last, edit_folds(ir_arg(c->last, 0)))->def;
  edit_replace(c->last, y, c->shift != NULL);
  drop_maps(c, before);
  return c->nmaps;
}

static struct ir_op *sole_reader(const struct ir_op *op) {
  const struct ir_use *u = ir_result(op)->uses;
  return u && !u->next && u->op->nresults == 1 ? u->op : NULL;
}

/* Constants without users. */
static void drop_made(const struct chain *c) {
  for (struct ir_op *op = c->root->prev, *prev; op; op = prev) {
    prev = op->prev;
    if (op->id < c->first_id)
      break;
    if (!ir_result(op)->uses)
      ir_op_remove(op);
  }
}

static int64_t fold_after(struct ir_op *op) {
  struct chain c;
  if (!find_root(op, &c))
    return 0;
  struct dn_arena *arena = dn_arena_new(op->block->func->module->ctx);
  find_dims(&c, nest_build(arena, op));
  dn_arena_free(arena);
  for (struct ir_op *next; (next = sole_reader(c.last)) != NULL;)
    if (next->block != op->block || !extend(&c, next))
      break;
  if (c.nmaps > 1 || c.scale) /* a sum alone is as good as it can be */
    return rewrite(&c);
  drop_made(&c);
  return 0;
}

int64_t pass_bnfold(struct pass_env *env, struct ir_module *m) {
  (void)env;
  int64_t folded = 0;
  for (struct ir_op *op = ir_first(m); op; op = ir_next(op)) {
    int64_t n = fold_after(op);
    if (n < 0)
      return -1;
    folded += n;
  }
  return folded;
}
