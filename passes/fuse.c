/* fuse.c - groups ops into kernels, one loop nest each.
 *
 * A kernel is a tree that ends in one value, its root: no other value is read
 * outside, and kernels cannot depend on each other in a circle. Ops are visited
 * once, from the last to the first. An op joins the kernel of its users when
 * they are all in one and a row of this table (fusions[] in fuse_legal.c)
 * allows it; the first one that does also says how the kernel reads it. Of two
 * convolutions whose results are added, the later is visited first and gets the
 * addition.
 *
 * op                   read at       condition
 * reduction of rows    in its row    reads a row that the kernel reads; 8 at most
 * one value a row      in its row    the reductions it is made of can join, too
 * map of whole rows    in its row    one stage reads it, or it is cheap
 * anchor               own index     by maps up to the root; the kernel has none
 * parts of sums        any           of integers, which maps and the anchor read
 * map, move            any           each element is computed once at most
 * cheap map            a window      each is computed 9 times at most
 * without operands     any           costs no memory to compute again
 * map of constants     any           of far fewer elements: a mask of positions
 *
 * Own index: the indices of the root's element. In its row: by reductions over
 * the same dims and by maps of whole rows, in whose kernel (softmax, layer
 * normalization) the loops over rows are shared and each reduction is a stage,
 * a loop of its own within a row. Cheap: at most two additions, products,
 * maxima, casts. Elsewhere recomputing costs more than storing, and a map that
 * could follow an anchor in registers stays with the anchor, unless it reads
 * what has fewer bytes to store.
 *
 * Views (ops that only say where elements are) stay outside: the planner gives
 * them no memory. So does concat, whose operands are computed inside it.
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
#include "passes/fuse.h"

#include "ir/nest.h"
#include "ir/place.h"
#include "passes/edit.h"

#include <assert.h>
#include <string.h>

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
        fn != IR_S_MAX && fn != IR_S_CAST)
      return false;
    calls++;
  }
  return calls <= 2;
}

/* The reduction of rows whose stage a map of the same shape joins, or NULL. */
static const struct ir_op *rows_of_operands(const struct fuse *f,
                                            const struct ir_op *op) {
  for (unsigned i = 0; i < op->noperands; i++) {
    const struct ir_op *def = ir_arg(op, i)->def;
    const struct ir_op *rows =
        def && def->block == op->block ? fuse_info(f, def)->rows : NULL;
    if (rows && ir_same_dims(ir_result(rows)->type, ir_result(op)->type))
      return rows;
  }
  return NULL;
}

static unsigned role_of(struct fuse *f, const struct ir_op *op,
                        const struct nest *n) {
  if (view_strides(f, op, n))
    return VIEW;
  bool onto = n->to >= 0, map = ir_ops[op->code].cls == IR_MAP;
  unsigned role = n->fold != NEST_NONE || onto ? ANCHOR : map ? MAP : MOVE;
  role |= (onto ? ONTO : 0u) | (n->fold == NEST_NTH ? ORDER : 0u);
  role |= op->noperands ? 0u : NULLARY;
  role |= op->code == IR_SET_SIZE ? ORDER : 0u; /* n comes before the kernel */
  return role | (role & MAP && is_cheap(n) ? CHEAP : 0u);
}

static unsigned fixed_role(const struct fuse *f, const struct ir_op *op) {
  unsigned role = op->noperands ? FIXED : 0u;
  for (unsigned i = 0; i < op->noperands; i++) {
    const struct ir_value *x = ir_arg(op, i);
    unsigned from = x->data ? FIXED : 0u;
    if (x->def && x->def->block == op->block)
      from = fuse_info(f, x->def)->role;
    if (x->data && ir_dtypes[x->type->dtype].bits < 8)
      from |= UNPACKS;
    if (!(from & FIXED))
      return 0;
    role |= from & UNPACKS;
  }
  return role;
}

static void describe(struct fuse *f, struct ir_op *op) {
  struct info *in = fuse_info(f, op);
  in->group = -1;
  in->position = op->prev ? fuse_info(f, op->prev)->position + 1 : 0;
  if (ir_ops[op->code].cls == IR_REGION ||
      (ir_is_concat(op) && !edit_pieces_move(op)))
    return;
  struct dn_arena *tmp = dn_arena_new(f->m->ctx);
  assert(op->nresults == 1 && "rule results: only regions have more");
  const struct nest *n = nest_build(tmp, op);
  in->role = role_of(f, op, n);
  in->rows = nest_folds_rows(n) ? op
             : in->role & MAP   ? rows_of_operands(f, op)
                                : NULL;
  in->role |= in->rows ? ROWS : 0u;
  in->role |= fixed_role(f, op);
  in->points = (double)nest_points(n);
  in->count = (double)ir_type_count(ir_result(op)->type);
  for (unsigned i = 0; i < op->noperands && i < 64; i++)
    if (nest_is_pointwise(n, i))
      in->pointwise |= UINT64_C(1) << i;
  dn_arena_free(tmp);
}

static bool reads_own_index(const struct fuse *f, const struct ir_use *u) {
  unsigned i = ir_operand_number(u);
  return i < 64 && fuse_info(f, u->op)->pointwise >> i & 1;
}

/* Whether all users of `op` are maps that read it at their own index. */
static bool maps_follow(const struct fuse *f, const struct ir_op *op) {
  for (const struct ir_use *u = ir_result(op)->uses; u; u = u->next)
    if (u->op->block != op->block || !(fuse_info(f, u->op)->role & MAP) ||
        !reads_own_index(f, u))
      return false;
  return true;
}

/* Maps after an anchor belong into its kernel rather than into a later one that
 * would compute them for each access. Of several, all but the last must be
 * followed by maps again (as in x * sigmoid(x)), or no kernel can hold them. */
static void mark_followers(struct fuse *f, const struct ir_op *op) {
  const struct info *in = fuse_info(f, op);
  if (!(in->role & (ANCHOR | FOLLOWS)) || in->role & ORDER ||
      fuse_narrows(op) || !maps_follow(f, op) || fuse_sum_of(f, op))
    return;
  const struct ir_op *last = op;
  for (const struct ir_use *u = ir_result(op)->uses; u; u = u->next)
    if (fuse_info(f, u->op)->position > fuse_info(f, last)->position)
      last = u->op;
  for (const struct ir_use *u = ir_result(op)->uses; u; u = u->next)
    if (u->op != last && !maps_follow(f, u->op))
      return;
  for (const struct ir_use *u = ir_result(op)->uses; u; u = u->next)
    fuse_info(f, u->op)->role |= FOLLOWS;
}

/* ---- Readings ---- */

/* The one group of all users, or NULL. */
static struct group *group_of_users(const struct fuse *f,
                                    const struct ir_op *op) {
  ptrdiff_t group = -1;
  for (const struct ir_use *u = ir_result(op)->uses; u; u = u->next) {
    const struct info *user = fuse_info(f, u->op);
    if (u->op->block != op->block || !(user->role & COMPUTED) ||
        (group >= 0 && user->group != group))
      return NULL;
    group = user->group;
  }
  assert(group < (ptrdiff_t)f->groups.n && "assign_group() numbers groups");
  return group < 0 ? NULL : &f->groups.v[group];
}

/* How the users of `op`, which are in one group, read it. Those that read it at
 * their own index share each element that is computed. */
static struct reading read_by_users(const struct fuse *f,
                                    const struct ir_op *op) {
  struct reading r = {.own = true, .window = true};
  double shared = 0;
  for (const struct ir_use *u = ir_result(op)->uses; u; u = u->next) {
    const struct info *user = fuse_info(f, u->op);
    const struct reading *by = &user->reading;
    bool own = user->role & MAP && reads_own_index(f, u);
    r.own &= own && by->own;
    r.again |= !own || by->again;
    r.window &=
        own ? by->evals <= user->count : ir_ops[u->op->code].cls == IR_REDUCE;
    r.stages |= by->stages;
    if (own)
      shared = shared > by->evals ? shared : by->evals;
    else
      r.evals += user->role & ANCHOR ? user->points : by->evals;
  }
  r.evals += shared;
  return r;
}

/* ---- Groups ---- */

/* How the kernel reads a member that joined it. */
static struct reading read_as(const struct candidate *c, enum way way) {
  assert(way != APART && "assign_group() makes a kernel of its own then");
  struct reading r = c->r;
  switch (way) {
  case IN_ROW:
    r = (struct reading){.in_row = true,
                         .again = r.stages != 1,
                         .stages = r.stages,
                         .evals = c->in->count};
    if (!(c->in->role & ROWS))
      r.evals *= __builtin_popcount(r.stages);
    return r;
  case OWN_INDEX:
    return (struct reading){.evals = c->in->count};
  case ANY_INDEX:
  case APART:
    break;
  }
  r.own = r.in_row = r.own && c->in->role & MAP;
  r.stages = 1;
  return r;
}

static struct group *new_group(struct fuse *f, struct ir_op *root) {
  struct info *in = fuse_info(f, root);
  assert(in->group < 0 && in->role & COMPUTED &&
         "assign_group() sees each op once");
  struct group g = {.root = root, .nreads = 1};
  in->reading = (struct reading){
      .own = in->role & MAP, .in_row = true, .stages = 1, .evals = in->count};
  DN_PUSH(f->scratch, f->groups, g);
  return &f->groups.v[f->groups.n - 1];
}

static void assign_group(struct fuse *f, struct ir_op *op) {
  struct info *in = fuse_info(f, op);
  if (!(in->role & COMPUTED))
    return;
  struct group *g = group_of_users(f, op);
  struct candidate c = {f, op, in, g, .r = read_by_users(f, op)};
  enum way way = g ? fuse_way(&c) : APART;
  if (way == APART) {
    g = new_group(f, op);
  } else {
    in->reading = read_as(&c, way);
    if (way == IN_ROW)
      g->rows = in->rows ? in->rows : g->rows;
  }
  in->group = g - f->groups.v;
  g->nops++;
  g->nreads += (int)op->noperands - 1;
  if (!(in->role & ANCHOR) || (way == ANY_INDEX && g->anchor))
    return;
  g->anchor = op;
  if (in->role & ROWS && in->reading.in_row) {
    assert(g->nstages < MAX_STAGES && "rows_fit() refuses more");
    g->rows = op;
    in->reading.stages = 1u << ++g->nstages;
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
  assert(all->rank == one->rank && "a reduction keeps dims, of size 1");
  if (!ir_same_dims(ir_result(kernel)->type, all))
    return;
  for (int within = 0; within < 2; within++)
    for (int d = 0; d < all->rank; d++)
      if ((all->dim[d] != one->dim[d]) == within) {
        sorted &= all->dim[d] == 1 || !n || order[n - 1] < d;
        order[n++] = d;
      }
  assert(n == all->rank && "each dimension is within a row or not");
  if (!sorted)
    ir_set_attr(kernel, ir_ints("order", order, n));
}

static void make_kernel(const struct group *g) {
  assert(g->ops.n == (size_t)g->nops && g->ops.v[g->ops.n - 1] == g->root &&
         "members come before the root that reads them");
  struct ir_op *k = edit_kernel(g->root, g->anchor ? g->anchor : g->root);
  if (g->rows)
    set_order(k, g->rows);
  for (size_t i = 0; i < g->ops.n; i++)
    ir_op_move(g->ops.v[i], k->region[0], k->region[0]->last);
}

/* A slice of a scan's operand has the operand's strides, without the first. */
static void slice_strides(struct fuse *f, const struct ir_op *scan) {
  int64_t stride[IR_MAX_RANK + 1] = {0};
  for (unsigned i = ir_num_carried(scan); i < scan->noperands; i++) {
    const struct ir_value *part = scan->region[0]->param[i];
    strides_of(f, ir_arg(scan, i), stride);
    if (!ir_type_is_dense(part->type, stride + 1))
      f->stride[part->id] =
          dn_copy(f->scratch, stride + 1, IR_MAX_RANK * sizeof *stride);
  }
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
    ptrdiff_t group = fuse_info(f, op)->group;
    assert(group < (ptrdiff_t)f->groups.n && "assign_group() numbers groups");
    if (group >= 0)
      DN_PUSH(f->scratch, f->groups.v[group].ops, op);
  }
  for (size_t i = 0; i < f->groups.n; i++)
    make_kernel(&f->groups.v[i]);
  int64_t kernels = (int64_t)f->groups.n;
  for (struct ir_op *op = block->first; op; op = op->next) {
    if (op->code == IR_SCAN)
      slice_strides(f, op);
    for (unsigned r = 0; ir_has_blocks(op) && r < op->nregions; r++)
      kernels += fuse_block(f, op->region[r]);
  }
  return kernels;
}

/* Code can follow its sizes that are known at run time only. */
static bool sizes_are_known(struct dn_ctx *ctx, const struct ir_op *op) {
  if (ir_ops[op->code].cls == IR_REGION)
    return true;
  bool sized = ir_type_is_sized(ir_result(op)->type);
  for (unsigned i = 0; i < op->noperands; i++)
    sized |= ir_type_is_sized(ir_arg(op, i)->type);
  if (!sized)
    return true;
  struct dn_arena *tmp = dn_arena_new(ctx);
  const char *error = nest_sizes_error(nest_build(tmp, op));
  dn_arena_free(tmp);
  return !error || dn_error(ctx, ir_loc(op), DN_DIM,
                            "'%s' of a size that is known at run time only: %s",
                            ir_ops[op->code].text, error);
}

/* Loop nests have numbers for bounds. */
static bool params_are_static(struct dn_ctx *ctx, const struct ir_block *b) {
  bool ok = true;
  for (unsigned i = 0; i < b->nparams; i++)
    if (!ir_type_is_static(b->param[i]->type))
      ok = dn_error(ctx, ir_value_loc(b->func->module, b->param[i]), DN_DIM,
                    "a dimension has no value; bind it with --dim");
  return ok;
}

static bool is_static(const struct ir_module *m) {
  struct dn_ctx *ctx = m->ctx;
  bool ok = true;
  for (const struct ir_func *f = m->funcs; f; f = f->next)
    ok &= params_are_static(ctx, f->body);
  for (const struct ir_op *op = ir_first(m); op; op = ir_next(op)) {
    for (unsigned i = 0; i < op->nresults; i++)
      if (!ir_type_is_static(op->result[i]->type))
        ok = dn_error(ctx, ir_loc(op), DN_DIM,
                      "a dimension of '%s' has no value; bind it with --dim",
                      op->result[i]->name);
    ok = ok && sizes_are_known(ctx, op);
    for (unsigned r = 0; r < op->nregions; r++)
      ok &= params_are_static(ctx, op->region[r]);
  }
  return ok;
}

int64_t pass_fuse(struct pass_env *env, struct ir_module *m) {
  struct fuse f = {.scratch = env->scratch, .m = m};
  f.max_ops = pass_int(env, "max_ops");
  int64_t kernels = 0;
  if (!is_static(m))
    return -1;
  for (struct ir_func *fn = m->funcs; fn; fn = fn->next) {
    f.info = DN_ARRAY(env->scratch, struct info, m->nops);
    f.stride = DN_ARRAY(env->scratch, int64_t *, m->nvalues);
    f.nvalues = m->nvalues;
    kernels += fuse_block(&f, fn->body);
  }
  m->form = IR_KERNELS;
  return kernels;
}
