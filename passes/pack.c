/* pack.c - lays operands out in the order in which their kernels read them. A
 * kernel loads `vec` elements at once; they should be neighbours. The dim that
 * the lanes go along becomes the last one; when the tile's width divides it, a
 * constant is cut into panels of that width, each of which a tile reads from
 * end to end: [O/32, K.., 32]. Inside the kernel a transpose and a reshape give
 * back the old shape; they are only arithmetic on indices and cost nothing. A
 * constant whose elements are all equal needs no order; one that maps in the
 * kernel make the operand of is laid out as the operand would be.
 *
 * What is not known before run time (the keys of an attention) is copied by a
 * kernel of its own, with its schedule, when its lanes lie apart, or the rows
 * of its panels do and enough rows of the contraction read them. `tile` lets
 * lanes go along what lies apart only where that pays.
 *
 * before:  %y = kernel {tile=[1,1,6,32], vec=16} : f32[1,8,8,64] do {
 *            %1 = conv %x, @w : f32[1,8,8,64]
 *            ...
 * after:   %y = kernel {tile=[1,1,6,32], vec=16} : f32[1,8,8,64] do {
 *            %2 = transpose @w.packed {perm=[0,4,1,2,3]} : f32[2,32,3,3,8]
 *            %3 = reshape %2 {shape=[64,3,3,8]} : f32[64,3,3,8]
 *            %1 = conv %x, %3 : f32[1,8,8,64]
 *            ... */
#include "passes/pack.h"

#include "ir/loops.h"
#include "ir/size.h"
#include "passes/edit.h"
#include "passes/pack_copy.h"
#include "passes/tile.h"

#include <assert.h>
#include <string.h>

/* Rows that pay for a copy into panels, where the rows of a panel are FAR bytes
 * apart: they meet in few sets of the caches, each on a page of its own or
 * nearly so. */
enum { COPY_PANEL_ROWS = 192, FAR = 2048 };

/* How an operand is laid out: dimension `dim` last, or in panels; and after it
 * the elements of `run` neighbours along dimension `inner`, which is filled up
 * with zeros to a multiple of that. */
struct layout {
  int dim, inner;     /* inner: -1 where run is 1 */
  int64_t panel, run; /* panel: 0: none */
};

struct packed { /* what has been made, for the next kernel that reads it */
  const struct ir_value *from;
  struct layout how;
  struct ir_value *to;
};

struct pack {
  struct pass_env *env;
  struct dn_arena *scratch;
  struct ir_module *m;
  const struct aliases *aliases;
  DN_LIST(struct packed) made;
};

/* Where `kernel` can read it. */
static struct ir_value *find_packed(const struct pack *p,
                                    const struct ir_value *w,
                                    const struct layout *how,
                                    struct ir_op *kernel) {
  for (size_t i = 0; i < p->made.n; i++) {
    struct ir_value *to = p->made.v[i].to;
    if (p->made.v[i].from == w &&
        !memcmp(&p->made.v[i].how, how, sizeof *how) &&
        (to->data || alias_op_in(to->def->block, kernel)))
      return to;
  }
  return NULL;
}

/* The kernel, or the loop around it before which `w` is known. */
static struct ir_op *before_loops(const struct ir_value *w,
                                  struct ir_op *kernel) {
  const struct ir_block *home = ir_home(w);
  struct ir_op *at = kernel;
  while (at->block != home && at->block->owner && ir_is_loop(at->block->owner))
    at = at->block->owner;
  return at;
}

/* ---- Constants ---- */

/* The packed form of `w`. */
static const struct ir_type *packed_type(struct pack *p,
                                         const struct ir_value *w,
                                         const struct layout *how) {
  int64_t dims[IR_MAX_RANK], size = w->type->dim[how->dim];
  int n = 0;
  assert((!how->panel || size % how->panel == 0) &&
         "pack_cuts(): panels are whole");
  if (how->panel)
    dims[n++] = size / how->panel;
  for (int d = 0; d < w->type->rank; d++)
    if (d != how->dim && d != how->inner)
      dims[n++] = w->type->dim[d];
  if (how->run > 1)
    dims[n++] = dn_div_ceil(w->type->dim[how->inner], how->run);
  dims[n++] = how->panel ? how->panel : size;
  if (how->run > 1)
    dims[n++] = how->run;
  assert(n <= IR_MAX_RANK && "is_movable() and pack_has_runs() leave room");
  return ir_type(p->m->ctx, w->type->dtype, n, dims);
}

static void copy_dim(struct pack_copy *c, int64_t dim, int64_t from,
                     int64_t to) {
  assert(c->rank < IR_MAX_RANK &&
         "no more dims than the packed form has, and a run");
  c->dim[c->rank] = dim;
  c->from[c->rank] = from;
  c->to[c->rank++] = to;
}

/* Bytes of the packed form. The copy goes over the dims of the old one, with
 * the packed ones split in two, and those that are contiguous on either side
 * innermost; runs that are not whole are copied by themselves. */
static const void *packed_bytes(struct pack *p, const struct ir_value *w,
                                const struct layout *how,
                                const struct ir_type *type) {
  int64_t old[IR_MAX_RANK], new[IR_MAX_RANK], run = how->run;
  ir_type_strides(w->type, old);
  ir_type_strides(type, new);
  struct pack_copy c = {.bytes = ir_dtypes[type->dtype].bytes};
  const char *from = ir_const_bytes(p->scratch, w);
  char *bytes = dn_alloc(p->m->arena, (size_t)ir_type_bytes(type)), *to = bytes;
  int k = 0;
  if (how->panel) /* over panels, outermost */
    copy_dim(&c, type->dim[0], old[how->dim] * how->panel, new[k++]);
  for (int d = 0; d < w->type->rank; d++) /* the others, in order */
    if (d != how->dim && d != how->inner)
      copy_dim(&c, w->type->dim[d], old[d], new[k++]);
  int64_t step = run > 1 ? old[how->inner] : 0;
  if (run > 1)
    copy_dim(&c, w->type->dim[how->inner] / run, step * run, new[k++]);
  copy_dim(&c, how->panel ? how->panel : w->type->dim[how->dim], old[how->dim],
           run);
  if (run > 1)
    copy_dim(&c, run, step, 1);
  int64_t whole = run > 1 ? c.dim[c.rank - 3] : 1;
  if (whole)
    pack_strided(&c, from, to);
  c.dim[c.rank - 1] -= run > 1 ? run - w->type->dim[how->inner] % run : 0;
  if (run == 1 || !c.dim[c.rank - 1])
    return bytes;
  c.dim[c.rank - 3] = 1;
  from += whole * c.from[c.rank - 3] * (int64_t)c.bytes;
  to += whole * c.to[c.rank - 3] * (int64_t)c.bytes;
  pack_strided(&c, from, to);
  return bytes;
}

static struct ir_value *packed_const(struct pack *p, const struct ir_value *w,
                                     const struct layout *how) {
  const struct ir_type *type = packed_type(p, w, how);
  struct ir_data data = {.bytes = packed_bytes(p, w, how, type),
                         .size = ir_type_bytes(type)};
  char *name = dn_printf(p->scratch, "%s.packed", w->name);
  return ir_const_new(p->m, name, type, &data);
}

/* A kernel before an op that copies `w`, dim `dim` last, in panels. */
static struct ir_value *packed_copy(struct pack *p, struct ir_value *w, int dim,
                                    int64_t panel, struct ir_op *before) {
  struct ir_builder b = edit_before(before);
  int64_t perm[IR_MAX_RANK], split[IR_MAX_RANK];
  struct ir_value *from = w, *y;
  int rank = 0, n = 0;
  if (!panel && dim == w->type->rank - 1) {
    y = edit_copy(w, before);
    tile_kernel(p->env, p->aliases, y->def, 1);
    return y;
  }
  if (panel)
    perm[n++] = dim;
  for (int d = 0; d < w->type->rank; d++) {
    if (d != dim)
      perm[n++] = rank;
    split[rank++] =
        d == dim && panel ? w->type->dim[d] / panel : w->type->dim[d];
    if (d == dim && panel)
      split[rank++] = panel;
  }
  perm[n++] = panel ? dim + 1 : dim;
  if (panel)
    from = ir_emit(&b, IR_RESHAPE, IR_ARGS(w),
                   IR_ATTRS(ir_ints("shape", split, rank)));
  y = ir_emit(&b, IR_TRANSPOSE, IR_ARGS(from),
              IR_ATTRS(ir_ints("perm", perm, rank)));
  if (!y)
    return NULL;
  struct ir_op *move = y->def, *copy = edit_kernel(move, move);
  ir_op_move(move, copy->region[0], copy->region[0]->last);
  if (panel)
    ir_op_move(from->def, copy->region[0], move);
  tile_kernel(p->env, p->aliases, copy, 1);
  return ir_result(copy);
}

/* ---- Kernels ---- */

/* The way back, in the kernel: the packed dims in the old order, then the
 * panels and the runs joined, and what fills the last run left out. */
static struct ir_value *unpack(struct ir_op *anchor, const struct ir_value *w,
                               const struct layout *how,
                               struct ir_value *packed) {
  struct ir_builder b = edit_before(anchor);
  int64_t perm[IR_MAX_RANK], shape[IR_MAX_RANK], zero[IR_MAX_RANK] = {0};
  bool runs = how->run > 1;
  int n = 0, k = how->panel ? 1 : 0, last = packed->type->rank - 1 - runs;
  for (int d = 0; d < w->type->rank; d++) {
    shape[d] = w->type->dim[d];
    if (d == how->inner) {
      perm[n++] = last - 1;
      perm[n++] = last + 1;
      shape[d] = dn_align(shape[d], how->run);
    } else if (d != how->dim) {
      perm[n++] = k++;
    } else {
      if (how->panel)
        perm[n++] = 0;
      perm[n++] = last;
    }
  }
  if (edit_perm_is_identity(n, perm) && !runs)
    return packed;
  struct ir_value *y = ir_emit(&b, IR_TRANSPOSE, IR_ARGS(packed),
                               IR_ATTRS(ir_ints("perm", perm, n)));
  if (how->panel || runs)
    y = ir_emit(&b, IR_RESHAPE, IR_ARGS(y),
                IR_ATTRS(ir_ints("shape", shape, w->type->rank)));
  if (runs && shape[how->inner] != w->type->dim[how->inner])
    y = ir_emit(&b, IR_SLICE, IR_ARGS(y),
                IR_ATTRS(ir_ints("starts", zero, w->type->rank),
                         ir_ints("sizes", w->type->dim, w->type->rank)));
  return y;
}

/* The last dimension larger than 1. */
static int last_dim(const struct ir_type *type) {
  int d = type->rank - 1;
  while (d > 0 && type->dim[d] == 1)
    d--;
  return d;
}

/* Columns of a tile. */
static int64_t tile_width(const struct ir_op *kernel) {
  return loops_tile(kernel, last_dim(ir_result(kernel)->type));
}

/* Floats without vectors have no lanes, but a tile's columns of a row: side by
 * side they are read from one address. */
static bool has_columns(const struct ir_op *kernel, const struct nest *n) {
  int last = last_dim(n->type);
  return last >= 0 && ir_is_float(n->type->dtype) &&
         ir_get_int(kernel, "vec") <= 1 && ir_get_int(kernel, "dot") <= 1 &&
         tile_width(kernel) > 1;
}

/* Sums of integers whose operands share one index register: each lies along
 * the sum. */
static bool has_index(const struct pack *p, const struct nest *n) {
  return p->env->target->walk == IR_WALK_INDEX && n->fold == NEST_SUM &&
         !ir_is_float(n->acc_type) && n->naccesses == 2;
}

/* The iterator that the lanes of a kernel go along, or -1. */
static int lane_iter(const struct pack *p, const struct ir_op *kernel,
                     const struct nest *n) {
  int64_t vec = ir_get_int(kernel, "vec");
  int last = last_dim(n->type), inner = nest_inner_reduced(n);
  int64_t dot = ir_get_int(kernel, "dot");
  if (vec <= 1 && ir_get_int(kernel, "wide") && last >= 0 && inner >= 0 &&
      n->iter[inner].extent % dot) /* runs that are filled up */
    return nest_dim_iter(n, last);
  if (vec <= 1 && (dot > 1 || has_index(p, n))) /* along the sum */
    return inner;
  if (vec <= 1)
    return has_columns(kernel, n) ? nest_dim_iter(n, last) : -1;
  bool columns = last >= 0 && tile_width(kernel) >= vec;
  return columns ? nest_dim_iter(n, last) : nest_inner_reduced(n);
}

/* The one dim that the lanes move in, or -1. */
static int lane_dim(const struct nest_access *a, int iter) {
  int dim = -1;
  for (int d = 0; d < a->rank && !a->flat; d++) {
    const struct nest_index *x = &a->idx[d];
    if (!x->coef[iter])
      continue;
    if (dim >= 0 || x->coef[iter] != 1 || !nest_index_is_affine(x))
      return -1;
    dim = d;
  }
  return dim;
}

/* From outside the kernel, of a type that moves as it is. */
static bool is_movable(const struct ir_value *w, const struct ir_op *anchor) {
  return (!w->def || w->def->block != anchor->block) && !w->type->quant &&
         w->type->rank < IR_MAX_RANK && w->type->rank >= 2 &&
         ir_type_count(w->type);
}

/* What maps in the anchor's kernel make `w` of, where it has the same shape;
 * *reader is the op that reads it then, as operand 0. */
static struct ir_value *behind_maps(struct ir_value *w,
                                    const struct ir_block *block,
                                    struct ir_op **reader) {
  while (w->def && w->def->block == block &&
         ir_ops[w->def->code].cls == IR_MAP && w->def->noperands) {
    struct ir_value *x = ir_arg(w->def, 0);
    if (x->type->rank != w->type->rank ||
        memcmp(x->type->dim, w->type->dim, sizeof x->type->dim))
      break;
    *reader = w->def;
    w = x;
  }
  return w;
}

int pack_dim(const struct nest *n, int access, int iter) {
  assert(access < n->naccesses && iter >= 0 && iter < n->niters &&
         "an access and an iterator of the nest");
  const struct nest_access *a = &n->access[access];
  struct ir_op *reader = NULL;
  const struct ir_value *w =
      behind_maps(ir_arg(n->op, (unsigned)a->operand), n->op->block, &reader);
  bool movable = is_movable(w, n->op) && (!reader || w->data);
  return movable ? lane_dim(a, iter) : -1;
}

bool pack_has_runs(const struct nest *n, int access, int iter, int inner) {
  const struct ir_value *w = ir_arg(n->op, (unsigned)n->access[access].operand);
  int dim = pack_dim(n, access, iter), along = pack_dim(n, access, inner);
  return w->data && dim >= 0 && along >= 0 && dim != along &&
         w->type->rank + 2 <= IR_MAX_RANK;
}

bool pack_cuts(int64_t columns, int64_t width, bool scalable) {
  return !scalable && width > 0 && columns > width && columns % width == 0;
}

/* Elements from one index of dim d to the next. */
static int64_t stride_of(const struct pack *p, const struct ir_value *w,
                         int d) {
  const struct alias *at = alias_of(p->aliases, w);
  int64_t dense[IR_MAX_RANK];
  ir_type_strides(w->type, dense);
  return at ? at->stride[d] : dense[d];
}

/* Elements from one row of a panel to the next. */
static int64_t row_step(const struct pack *p, const struct ir_value *w,
                        int dim) {
  int64_t step = INT64_MAX;
  for (int d = 0; d < w->type->rank; d++)
    if (d != dim && w->type->dim[d] > 1)
      step = dn_min(step, stride_of(p, w, d));
  return step == INT64_MAX ? 0 : step;
}

/* Whether what is not known before run time is copied into panels. A copy that
 * has to be made anyway has rows as long as the dimension. */
static bool panels_pay(const struct pack *p, const struct nest *n,
                       const struct ir_value *w, int dim,
                       struct ir_op *kernel) {
  int64_t rows =
      dn_min(nest_points(n) / ir_type_count(w->type), COPY_PANEL_ROWS);
  int64_t step =
      stride_of(p, w, dim) == 1 ? row_step(p, w, dim) : w->type->dim[dim];
  const struct ir_op *before = before_loops(w, kernel);
  for (const struct ir_op *op = kernel; op != before;) {
    op = op->block->owner;
    rows *= dn_min(ir_max_turns(op), COPY_PANEL_ROWS);
  }
  return rows >= COPY_PANEL_ROWS &&
         step >= FAR / (int64_t)ir_dtypes[w->type->dtype].bytes;
}

/* Runs of a dot product in each lane, if the kernel has lanes along columns. */
static void find_runs(const struct pack *p, const struct ir_op *kernel,
                      const struct nest *n, int access, int iter,
                      struct layout *how) {
  int64_t dot = ir_get_int(kernel, "dot");
  int inner = nest_inner_reduced(n);
  enum ir_dtype t =
      ir_arg(n->op, (unsigned)n->access[access].operand)->type->dtype;
  if (dot < 2 || inner < 0 || iter == inner || access != 1 ||
      ir_dot_of(p->env->target, t).k != dot ||
      !pack_has_runs(n, access, iter, inner))
    return;
  how->inner = pack_dim(n, access, inner);
  how->run = dot;
}

/* Stores a constant that is packed for products once, if its other readers
 * gather a few rows: they read those from the packed form. */
static void share_packed(struct ir_value *w, const struct layout *how,
                         struct ir_value *packed) {
  enum { FEW = 16 };
  for (const struct ir_use *u = w->uses; u; u = u->next)
    if (ir_ops[u->op->code].cls != IR_MOVE || u->op->noperands != 2 ||
        u != u->op->operand[0] ||
        ir_type_count(ir_result(u->op)->type) > ir_type_count(w->type) / FEW)
      return;
  while (w->uses) {
    struct ir_op *op = w->uses->op;
    struct ir_value *y = unpack(op, w, how, packed);
    if (!y)
      return;
    ir_set_operand(op, 0, y);
  }
}

/* What turns of a loop read more of from one to the next is laid out once. */
static struct ir_value *whole_of(struct ir_value *w) {
  const struct ir_op *op = w->def;
  bool first = op && op->code == IR_SLICE && ir_type_is_sized(w->type) &&
               !ir_type_is_sized(ir_arg(op, 0)->type);
  for (int d = 0; first && d < w->type->rank; d++)
    first = ir_get_at(op, "starts", d) == 0 && ir_get_at(op, "steps", d) == 1;
  return first ? ir_arg(op, 0) : w;
}

/* As much of `whole` as there is of `part`, for the op `reader`. */
static struct ir_value *part_of(struct ir_value *whole,
                                const struct ir_value *part,
                                struct ir_op *reader) {
  struct ir_builder b = edit_before(reader);
  const struct ir_op *op = part->def;
  struct ir_value *y =
      ir_emit(&b, IR_SLICE, IR_ARGS(whole),
              ir_copy_attrs(b.m, op->attr, op->nattrs), op->nattrs);
  y->type = part->type;
  return y;
}

/* All that reads constant `w` is such an op in a kernel whose tiles are as wide. */
static bool is_read_alike(const struct ir_value *w, const struct ir_op *anchor,
                          unsigned operand, int64_t width) {
  for (const struct ir_use *u = w->uses; u; u = u->next) {
    const struct ir_op *kernel = u->op->block->owner;
    if (u->op->code != anchor->code || u != u->op->operand[operand] ||
        !kernel || kernel->code != IR_KERNEL ||
        loops_tile(kernel, last_dim(ir_result(u->op)->type)) != width)
      return false;
  }
  return true;
}

static bool pack_operand(struct pack *p, struct ir_op *anchor,
                         struct ir_op *kernel, const struct nest *n, int access,
                         int iter) {
  unsigned operand = (unsigned)n->access[access].operand;
  struct ir_op *reader = anchor;
  struct ir_value *w =
      behind_maps(ir_arg(anchor, operand), anchor->block, &reader);
  struct ir_value *part = w;
  w = whole_of(w);
  operand = reader == anchor ? operand : 0;
  struct layout how;
  memset(&how, 0, sizeof how); /* compared as bytes */
  how.dim = pack_dim(n, access, iter);
  how.inner = -1;
  how.run = 1;
  double same;
  if (how.dim < 0 || (w->data && ir_const_uniform(w, &same)))
    return false;
  /* Two layouts would take more than the time. */
  if ((has_columns(kernel, n) || has_index(p, n)) &&
      (!w->data || !is_read_alike(w, anchor, operand, tile_width(kernel))))
    return false;
  find_runs(p, kernel, n, access, iter, &how);
  int64_t width = n->iter[iter].reduced ? 0 : tile_width(kernel);
  bool panels =
      !w->type->size[how.dim] &&
      pack_cuts(w->type->dim[how.dim], width, ir_get_int(kernel, "scalable")) &&
      (w->data || panels_pay(p, n, w, how.dim, kernel));
  if (!panels && how.run == 1 && stride_of(p, w, how.dim) == 1)
    return false; /* it is as it should be */
  how.panel = panels ? width : 0;
  struct ir_value *packed = find_packed(p, w, &how, kernel);
  if (!packed) {
    packed = w->data ? packed_const(p, w, &how)
                     : packed_copy(p, w, how.dim, how.panel,
                                   before_loops(w, kernel));
    struct packed one = {w, how, packed};
    DN_PUSH(p->scratch, p->made, one);
  }
  struct ir_value *y = packed ? unpack(reader, w, &how, packed) : NULL;
  if (!y)
    return false;
  ir_set_operand(reader, operand, part == w ? y : part_of(y, part, reader));
  if (part != w && !part->uses)
    ir_op_remove(part->def);
  if (w->data)
    share_packed(w, &how, packed);
  if (w->data && ir_type_bytes(w->type) > 1 << 24 && !w->uses)
    ir_sweep_consts(p->m); /* or both stay in memory */
  return true;
}

static int64_t pack_kernel(struct pack *p, struct ir_op *kernel) {
  int64_t packed = 0;
  for (struct ir_op *op = kernel->region[0]->first; op->next; op = op->next) {
    if (ir_ops[op->code].cls != IR_CONTRACT)
      continue;
    struct dn_arena *tmp = dn_arena_new(p->m->ctx);
    const struct nest *n = nest_build(tmp, op);
    int iter = n ? lane_iter(p, kernel, n) : -1;
    for (int a = 0; iter >= 0 && a < n->naccesses; a++)
      packed += pack_operand(p, op, kernel, n, a, iter);
    dn_arena_free(tmp);
  }
  return packed;
}

int64_t pass_pack(struct pass_env *env, struct ir_module *m) {
  struct pack p = {.env = env, .scratch = env->scratch, .m = m};
  int64_t packed = 0;
  for (struct ir_func *f = m->funcs; f; f = f->next) {
    p.aliases = aliases_build(env->scratch, f);
    for (struct ir_op *op = f->body->first; op; op = ir_next_outside(op))
      if (op->code == IR_KERNEL)
        packed += pack_kernel(&p, op);
  }
  if (packed)
    ir_sweep_consts(m);
  return packed;
}
