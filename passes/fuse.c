/* fuse.c - groups ops into kernels, one loop nest each.
 *
 * A kernel is a tree that ends in one value: an op joins the kernel of its
 * users when they are all in one, so that no value but the last is seen outside
 * and kernels cannot depend on each other in a circle. Ops are visited once,
 * from the last to the first; the later of two convolutions gets the residual
 * addition that reads both. One op of a kernel folds (the anchor); it is
 * computed once an element and only ops that read it at their own index follow
 * it. Everything else is evaluated where it is needed, so an op joins only if
 * that evaluates it no oftener than once an element, or is a few additions
 * before a window of a few elements.
 *
 * Reductions of the same rows can be in one kernel, with the maps between and
 * after them: softmax, layer normalization. They share the loops over the rows
 * (`order` puts those first); each is a loop of its own within a row, so a map
 * that several of them read is evaluated for each, which only cheap ones are.
 *
 * Ops that only say where elements lie (views) stay outside: the planner gives
 * them no memory. So does concat, whose operands are computed inside it; an
 * operand that cannot be gets a kernel that copies it.
 *
 * before:  %1 = conv %x, @w : f32[1,8,8,4]
 *          %2 = add %1, @b : f32[1,8,8,4]
 *          %3 = relu %2 : f32[1,8,8,4]
 * after:   %3 = kernel : f32[1,8,8,4] do {
 *            %1 = conv %x, @w
 *            %2 = add %1, @b
 *            %4 = relu %2
 *            yield %4
 *          } */
#include "passes/edit.h"

#include "ir/nest.h"

#include <string.h>

enum {
  MAX_READS = 56, /* buffers that a kernel reads: what code generation takes */
  MAX_STAGES = 8, /* reductions of rows in a kernel */
  RECOMPUTE = 9 /* times a cheap op may be done rather than stored: a window */
};

enum kind { OUTSIDE, VIEW, COMPUTE }; /* OUTSIDE: concat, control flow */

struct group {
  struct ir_op *root, *anchor;
  const struct ir_op *rows; /* reduction that says what a row is; or NULL */
  int nops, nreads, nstages;
  DN_LIST(struct ir_op *) ops;
};

struct info { /* of an op */
  enum kind kind;
  bool anchor, map;
  bool onto; /* it goes onto its first operand, which is memory: its own kernel */
  bool alone;      /* an order: its elements are looked at many times */
  bool cheap;      /* a map of one or two additions, maxima and the like */
  bool epilogue;   /* its result is read at its own index up to the root */
  bool follows;    /* a map that could be in the epilogue of an anchor */
  bool pulled;     /* it is read at other indices than the root's */
  bool in_row;     /* it is read within the root's row only */
  unsigned stages; /* loops over a row that evaluate it; bit 0: the result's */
  const struct ir_op
      *rows;            /* it is, or has the shape of, a reduction of rows */
  uint64_t pointwise;   /* operands read at the result's own index */
  double points, count; /* of its loop nest; elements of its result */
  double evals;         /* how often an element is asked for, all in all */
  int group;            /* -1: none */
  int position;         /* in its block */
};

struct fuse {
  struct dn_arena *scratch;
  struct ir_module *m;
  struct info *info; /* by op id */
  int64_t **stride;  /* of views, by value id; NULL: row-major */
  unsigned nvalues;  /* before the pass: results of kernels made since are
                        row-major */
  DN_LIST(struct group) groups;
  int64_t max_ops;
};

static struct info *info_of(const struct fuse *f, const struct ir_op *op) {
  return &f->info[op->id];
}

/* ---- What the ops are ---- */

/* Strides of a value if every kernel result is row-major. */
static void strides_of(const struct fuse *f, const struct ir_value *v,
                       int64_t *out) {
  if (v->id < f->nvalues && f->stride[v->id])
    memcpy(out, f->stride[v->id], IR_MAX_RANK * sizeof *out);
  else
    ir_type_strides(v->type, out);
}

static bool view_strides(struct fuse *f, const struct ir_op *op,
                         const struct nest *n) {
  int64_t stride[IR_MAX_RANK] = {0}, out[IR_MAX_RANK] = {0}, offset;
  if (op->noperands != 1)
    return false;
  strides_of(f, ir_arg(op, 0), stride);
  if (!nest_view(n, stride, out, &offset))
    return false;
  if (!ir_type_is_dense(ir_result(op)->type, out))
    f->stride[ir_result(op)->id] = dn_copy(f->scratch, out, sizeof out);
  return true;
}

static bool is_cheap(const struct nest *n) {
  int calls = 0;
  for (int i = 0; i < n->nnodes; i++) {
    if (n->node[i].kind != NEST_CALL)
      continue;
    enum ir_scalar fn = n->node[i].fn;
    if (fn != IR_S_ADD && fn != IR_S_SUB && fn != IR_S_MUL && fn != IR_S_MIN &&
        fn != IR_S_MAX)
      return false;
    calls++;
  }
  return calls <= 2;
}

static bool same_dims(const struct ir_type *a, const struct ir_type *b) {
  return a->rank == b->rank &&
         !memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim);
}

/* The reduction of rows that a map of its shape goes on with, or NULL. */
static const struct ir_op *rows_of_operands(const struct fuse *f,
                                            const struct ir_op *op) {
  for (unsigned i = 0; i < op->noperands; i++) {
    const struct ir_op *def = ir_arg(op, i)->def;
    const struct ir_op *rows =
        def && def->block == op->block ? info_of(f, def)->rows : NULL;
    if (rows && same_dims(ir_result(rows)->type, ir_result(op)->type))
      return rows;
  }
  return NULL;
}

static void describe(struct fuse *f, struct ir_op *op) {
  struct info *in = info_of(f, op);
  in->group = -1;
  in->position = op->prev ? info_of(f, op->prev)->position + 1 : 0;
  if (ir_ops[op->code].cls == IR_REGION || op->code == IR_CONCAT)
    return;
  struct dn_arena *tmp = dn_arena_new(f->m->ctx);
  const struct nest *n = nest_build(tmp, op);
  in->kind = view_strides(f, op, n) ? VIEW : COMPUTE;
  in->onto = n->to >= 0;
  in->alone = n->fold == NEST_NTH;
  in->anchor = n->fold != NEST_NONE || in->onto;
  in->map = ir_ops[op->code].cls == IR_MAP;
  in->cheap = in->map && is_cheap(n);
  in->rows = nest_folds_rows(n) ? op : in->map ? rows_of_operands(f, op) : NULL;
  in->points = (double)nest_points(n);
  in->count = (double)ir_type_count(ir_result(op)->type);
  for (unsigned i = 0; i < op->noperands && i < 64; i++)
    if (nest_is_pointwise(n, i))
      in->pointwise |= UINT64_C(1) << i;
  dn_arena_free(tmp);
}

static unsigned operand_number(const struct ir_use *u) {
  unsigned i = 0;
  while (u->op->operand[i] != u)
    i++;
  return i;
}

static bool reads_own_index(const struct fuse *f, const struct ir_use *u) {
  unsigned i = operand_number(u);
  return i < 64 && info_of(f, u->op)->pointwise >> i & 1;
}

/* Whether maps that read it at their own index are all that read `op`. */
static bool maps_follow(const struct fuse *f, const struct ir_op *op) {
  for (const struct ir_use *u = ir_result(op)->uses; u; u = u->next) {
    const struct info *user = info_of(f, u->op);
    if (u->op->block != op->block || user->kind != COMPUTE || !user->map ||
        !reads_own_index(f, u))
      return false;
  }
  return true;
}

/* Maps below an anchor are better off in its kernel than in a later one that
 * would evaluate them for each access. Of several, all but the last must lead
 * to maps again (as in x * sigmoid(x)), or they have no kernel in common. */
static void mark_followers(struct fuse *f, const struct ir_op *op) {
  const struct info *in = info_of(f, op);
  if (in->kind != COMPUTE || (!in->anchor && !in->follows) || in->alone ||
      !maps_follow(f, op))
    return;
  const struct ir_op *last = op;
  for (const struct ir_use *u = ir_result(op)->uses; u; u = u->next)
    if (info_of(f, u->op)->position > info_of(f, last)->position)
      last = u->op;
  for (const struct ir_use *u = ir_result(op)->uses; u; u = u->next)
    if (u->op != last && !maps_follow(f, u->op))
      return;
  for (const struct ir_use *u = ir_result(op)->uses; u; u = u->next)
    info_of(f, u->op)->follows = true;
}

/* ---- Which ops go together ---- */

/* The one group of all users, or -1. */
static int group_of_users(const struct fuse *f, const struct ir_op *op) {
  int group = -1;
  for (const struct ir_use *u = ir_result(op)->uses; u; u = u->next) {
    const struct info *user = info_of(f, u->op);
    if (u->op->block != op->block || user->kind != COMPUTE ||
        (group >= 0 && user->group != group))
      return -1;
    group = user->group;
  }
  return group;
}

static bool anchor_joins(const struct fuse *f, const struct ir_op *op,
                         const struct group *g) {
  if (g->anchor)
    return false;
  for (const struct ir_use *u = ir_result(op)->uses; u; u = u->next)
    if (!info_of(f, u->op)->epilogue || !reads_own_index(f, u))
      return false;
  return true;
}

/* Elements of `op` that its users ask for; those that read it at their own
 * index share what they get. */
static double count_evals(const struct fuse *f, const struct ir_op *op,
                          bool *pulled, bool *epilogue, bool *window) {
  double same = 0, others = 0;
  for (const struct ir_use *u = ir_result(op)->uses; u; u = u->next) {
    const struct info *user = info_of(f, u->op);
    bool own = user->map && reads_own_index(f, u);
    *epilogue &= own && user->epilogue;
    *pulled |= !own || user->pulled;
    *window &=
        own ? user->evals <= user->count : ir_ops[u->op->code].cls == IR_REDUCE;
    if (own && user->evals > same)
      same = user->evals;
    if (!own)
      others += user->anchor ? user->points : user->evals;
  }
  return same + others;
}

/* ---- Rows ---- */

/* A whole row, or one element of it. */
static bool is_of_rows(const struct ir_type *type, const struct ir_op *rows) {
  return same_dims(type, ir_arg(rows, 0)->type) ||
         same_dims(type, ir_result(rows)->type);
}

/* Whether `op`, and with it reductions of the rows of `rows`, fits into a group
 * of which some ops read it within their own row. */
static bool rows_fit(const struct fuse *f, const struct ir_op *op,
                     const struct group *g, const struct ir_op *rows) {
  if (!rows || !is_of_rows(ir_result(op)->type, rows))
    return false;
  if (g->rows && (!same_dims(ir_arg(g->rows, 0)->type, ir_arg(rows, 0)->type) ||
                  !same_dims(ir_result(g->rows)->type, ir_result(rows)->type)))
    return false;
  if (!g->rows && (g->anchor || !is_of_rows(ir_result(g->root)->type, rows)))
    return false;
  for (const struct ir_use *u = ir_result(op)->uses; u; u = u->next)
    if (!info_of(f, u->op)->in_row ||
        !(info_of(f, u->op)->map || info_of(f, u->op)->rows == u->op) ||
        !is_of_rows(ir_result(u->op)->type, rows))
      return false;
  return true;
}

/* The reductions that `op` goes on with can join, too: nobody else reads them.
 */
static bool comes_along(const struct fuse *f, const struct ir_op *op,
                        const struct group *g) {
  int group = (int)(g - f->groups.v);
  for (unsigned i = 0; i < op->noperands; i++) {
    const struct ir_value *x = ir_arg(op, i);
    if (!x->def || x->def->block != op->block || !info_of(f, x->def)->rows)
      continue;
    for (const struct ir_use *u = x->uses; u; u = u->next)
      if (u->op != op && info_of(f, u->op)->group != group)
        return false;
  }
  return true;
}

/* A reduction reads what others of the group read, at once or through maps: it
 * does not make more rows live. */
static bool is_related(const struct fuse *f, const struct ir_op *op,
                       const struct group *g) {
  int group = (int)(g - f->groups.v);
  const struct ir_value *x = ir_arg(op, 0);
  for (;;) {
    const struct ir_op *def = x->def;
    for (const struct ir_use *u = x->uses; u; u = u->next)
      if (u->op != op && u->op->block == op->block &&
          info_of(f, u->op)->group == group)
        return true;
    if (!def || def->block != op->block || !info_of(f, def)->map)
      return false;
    const struct ir_value *next = NULL; /* the operand that is a row, too */
    for (unsigned i = 0; i < def->noperands && !next; i++)
      if (same_dims(ir_arg(def, i)->type, x->type))
        next = ir_arg(def, i);
    if (!next)
      return false;
    x = next;
  }
}

/* Loops over a row that ask for `op`. */
static unsigned stages_of(const struct fuse *f, const struct ir_op *op) {
  unsigned stages = 0;
  for (const struct ir_use *u = ir_result(op)->uses; u; u = u->next)
    stages |= info_of(f, u->op)->stages;
  return stages;
}

/* A reduction of rows, what is one element a row, or a map of whole rows. */
static bool row_joins(struct fuse *f, struct ir_op *op, struct group *g) {
  struct info *in = info_of(f, op);
  const struct ir_op *rows = in->rows ? in->rows : g->rows;
  if ((!in->anchor && !in->map) || (in->anchor && in->rows != op) ||
      g->nstages == MAX_STAGES || !rows_fit(f, op, g, rows) ||
      (in->rows && !in->anchor && !comes_along(f, op, g)) ||
      (in->anchor && !is_related(f, op, g) &&
       (g->nstages ||
        !same_dims(ir_result(g->root)->type, ir_result(op)->type))))
    return false;
  in->stages = stages_of(f, op);
  in->evals = in->count;
  if (!in->rows) {
    int times = __builtin_popcount(in->stages);
    if ((times > 1 && !in->cheap) || (in->stages != 1 && in->follows))
      return false;
    in->evals = in->count * times;
  }
  g->rows = rows;
  in->in_row = true;
  in->pulled = in->stages != 1;
  return true;
}

/* ---- Groups ---- */

/* Some op reads it as what it goes onto. */
static bool starts_one(const struct fuse *f, const struct ir_op *op) {
  for (const struct ir_use *u = ir_result(op)->uses; u; u = u->next)
    if (info_of(f, u->op)->onto && operand_number(u) == 0)
      return true;
  return false;
}

static bool joins(struct fuse *f, struct ir_op *op, struct group *g) {
  struct info *in = info_of(f, op);
  if (in->onto || in->alone || info_of(f, g->root)->alone || starts_one(f, op))
    return false;
  if (g->nops >= f->max_ops || g->nreads - 1 + (int)op->noperands > MAX_READS)
    return false;
  if (row_joins(f, op, g))
    return true;
  if (in->anchor) {
    in->evals = in->count;
    return anchor_joins(f, op, g);
  }
  bool pulled = false, epilogue = in->map, window = in->cheap;
  double evals = count_evals(f, op, &pulled, &epilogue, &window);
  double most = window && f->max_ops > 1 ? RECOMPUTE * in->count : in->count;
  if ((evals > most && op->noperands) || (pulled && in->follows))
    return false;
  in->evals = evals;
  in->epilogue = in->in_row = epilogue;
  in->stages = 1;
  in->pulled = pulled;
  return true;
}

static void assign_group(struct fuse *f, struct ir_op *op) {
  struct info *in = info_of(f, op);
  if (in->kind != COMPUTE)
    return;
  int group = group_of_users(f, op);
  if (group < 0 || !joins(f, op, &f->groups.v[group])) {
    group = (int)f->groups.n;
    struct group g = {.root = op, .nreads = 1};
    DN_PUSH(f->scratch, f->groups, g);
    in->epilogue = in->map;
    in->in_row = true;
    in->stages = 1;
    in->evals = in->count;
  }
  struct group *g = &f->groups.v[group];
  in->group = group;
  g->nops++;
  g->nreads += (int)op->noperands - 1;
  if (!in->anchor)
    return;
  g->anchor = op;
  if (in->rows == op && in->in_row) {
    g->rows = op;
    in->stages = 1u << ++g->nstages;
  }
}

/* ---- Kernels ---- */

/* The loops over the rows outside of those within a row. */
static void set_order(struct ir_op *kernel, const struct ir_op *rows) {
  const struct ir_type *all = ir_arg(rows, 0)->type,
                       *one = ir_result(rows)->type;
  int64_t order[IR_MAX_RANK];
  int n = 0;
  bool sorted = true;
  if (!same_dims(ir_result(kernel)->type, all))
    return;
  for (int within = 0; within < 2; within++)
    for (int d = 0; d < all->rank; d++)
      if ((all->dim[d] != one->dim[d]) == within) {
        sorted &= all->dim[d] == 1 || !n || order[n - 1] < d;
        order[n++] = d;
      }
  if (!sorted)
    ir_set_attr(kernel, ir_ints("order", order, n));
}

static void make_kernel(const struct group *g) {
  struct ir_op *k = edit_kernel(g->root, g->anchor ? g->anchor : g->root);
  if (g->rows)
    set_order(k, g->rows);
  for (size_t i = 0; i < g->ops.n; i++)
    ir_op_move(g->ops.v[i], k->region[0], k->region[0]->last);
}

static int64_t fuse_block(struct fuse *f, struct ir_block *block) {
  for (struct ir_op *op = block->first; op; op = op->next)
    describe(f, op);
  for (struct ir_op *op = block->first; op; op = op->next)
    mark_followers(f, op);
  f->groups.n = 0;
  for (struct ir_op *op = block->last; op; op = op->prev)
    assign_group(f, op);
  for (struct ir_op *op = block->first; op; op = op->next) {
    int group = info_of(f, op)->group;
    if (group >= 0)
      DN_PUSH(f->scratch, f->groups.v[group].ops, op);
  }
  for (size_t i = 0; i < f->groups.n; i++)
    make_kernel(&f->groups.v[i]);
  int64_t kernels = (int64_t)f->groups.n;
  for (struct ir_op *op = block->first; op; op = op->next)
    for (unsigned r = 0; r < op->nregions && op->code != IR_KERNEL; r++)
      kernels += fuse_block(f, op->region[r]);
  return kernels;
}

/* Loop nests have numbers for bounds. */
static bool is_static(struct dn_ctx *ctx, const struct ir_block *block) {
  bool ok = true;
  for (unsigned i = 0; i < block->nparams; i++) {
    const struct ir_value *v = block->param[i];
    if (ir_type_is_static(v->type))
      continue;
    dn_error(
        ctx,
        (struct dn_loc){.file = block->func->module->file, .where = v->name},
        DN_DIM, "a dimension has no value; bind it with --dim");
    ok = false;
  }
  for (const struct ir_op *op = block->first; op; op = op->next) {
    for (unsigned i = 0; i < op->nresults; i++) {
      if (ir_type_is_static(op->result[i]->type))
        continue;
      dn_error(ctx, ir_loc(op), DN_DIM,
               "a dimension of '%s' has no value; bind it with --dim",
               op->result[i]->name);
      ok = false;
    }
    for (unsigned r = 0; r < op->nregions; r++)
      ok &= is_static(ctx, op->region[r]);
  }
  return ok;
}

int64_t pass_fuse(struct pass_env *env, struct ir_module *m) {
  struct fuse f = {.scratch = env->scratch, .m = m};
  f.max_ops = pass_int(env, "max_ops");
  int64_t kernels = 0;
  for (struct ir_func *fn = m->funcs; fn; fn = fn->next) {
    if (!is_static(m->ctx, fn->body))
      return -1;
    f.info = DN_ARRAY(env->scratch, struct info, m->nops);
    f.stride = DN_ARRAY(env->scratch, int64_t *, m->nvalues);
    f.nvalues = m->nvalues;
    kernels += fuse_block(&f, fn->body);
  }
  m->form = IR_KERNELS;
  return kernels;
}
