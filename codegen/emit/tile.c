/* tile.c - the elements of one tile: its points are evaluated row by row,
 * folds for all of them together, then stored; or it is evaluated along another
 * dimension and transposed, square by square (emit/transpose.c). */
#include "codegen/emit/tile.h"

#include "codegen/target/target.h"

#include <assert.h>
#include <string.h>

/* Lanes of the next of the columns that `left` elements make. */
static unsigned next_lanes(const struct kernel_cg *k, int64_t left) {
  assert(left > 0 && "columns end with the tile");
  return k->forms.scalable ? k->sched.vec
                           : (unsigned)loops_lanes(k->sched.vec, left);
}

static int64_t count_columns(const struct kernel_cg *k, int64_t size) {
  int64_t n = size / k->sched.vec;
  if (k->forms.scalable)
    return 1;
  for (int64_t left = size % k->sched.vec; left > 0; n++)
    left -= next_lanes(k, left);
  return n;
}

/* Indices of the row that starts `column` elements into row at[] of the tile;
 * its lanes go along loop `along`. */
static const struct affine *const *point_index(struct tiler *t,
                                               const int64_t *at,
                                               int64_t column, unsigned lanes,
                                               int along) {
  assert((along >= 0 || lanes == 1) && "lanes go along a loop");
  struct kernel_cg *k = t->k;
  const struct shape *s = t->shape;
  const struct affine **idx =
      DN_ARRAY(k->arena, const struct affine *, IR_MAX_RANK);
  const struct affine *f[IR_MAX_LOOPS];
  k->forms.lanes = lanes;
  for (int g = 0; g < s->n; g++) {
    f[g] = affine_plus(&k->forms, t->base[g], g + 1 < s->n ? at[g] : column);
    if (lanes > 1 && g == along)
      f[g] = affine_add(&k->forms, f[g], affine_lanes(&k->forms, 1), 1);
  }
  loops_index(&k->forms, t->root->type, s->loop, s->n, f, idx);
  return idx;
}

/* The tile's points, rows first. */
static struct tile_vector *make_vectors(struct tiler *t, unsigned *count) {
  struct kernel_cg *k = t->k;
  int groups = t->shape->n;
  int64_t rows = 1, at[IR_MAX_LOOPS] = {0};
  for (int g = 0; g + 1 < groups; g++)
    rows *= t->size[g];
  int64_t columns = groups ? count_columns(k, t->size[groups - 1]) : 1;
  struct tile_vector *pt =
      DN_ARRAY(k->arena, struct tile_vector, rows * columns);
  *count = 0;
  for (int64_t r = 0; r < rows; r++) {
    int64_t done = 0;
    for (int64_t c = 0; c < columns; c++) {
      struct tile_vector *p = &pt[(*count)++];
      p->lanes = groups ? next_lanes(k, t->size[groups - 1] - done) : 1;
      p->idx = point_index(t, at, done, p->lanes, groups - 1);
      done += p->lanes;
    }
    for (int g = groups - 2; g >= 0 && ++at[g] == t->size[g]; g--)
      at[g] = 0;
  }
  assert(*count == rows * columns && *count && "a tile has an element");
  return pt;
}

/* Whether the root reads `v` at its own indices, or at those of its rows: in
 * each dimension the sizes are the same, or v's is 1. */
static bool is_of_rows(const struct ir_type *root, const struct ir_value *v) {
  if (v->type->rank != root->rank)
    return false;
  for (int d = 0; d < root->rank; d++)
    if (v->type->dim[d] != root->dim[d] && v->type->dim[d] != 1)
      return false;
  return true;
}

/* The points of a fold of rows: those of the tile, each row once. */
static unsigned fold_points(struct kernel_cg *k, const struct ir_type *type,
                            const struct tile_vector *pt, unsigned n,
                            struct tile_vector *rows, int *depth) {
  unsigned count = 0;
  *depth = 0;
  for (unsigned i = 0; i < n; i++) {
    const struct affine **idx =
        DN_ARRAY(k->arena, const struct affine *, IR_MAX_RANK);
    struct tile_vector p = {1, idx};
    unsigned same = 0;
    for (int d = 0; d < type->rank; d++) {
      idx[d] = type->dim[d] == 1 ? affine_const(&k->forms, 0) : pt[i].idx[d];
      p.lanes = idx[d]->varying ? pt[i].lanes : p.lanes;
      *depth = idx[d]->depth > *depth ? idx[d]->depth : *depth;
    }
    for (; same < count; same++)
      if (rows[same].lanes == p.lanes &&
          !memcmp(rows[same].idx, idx, (size_t)type->rank * sizeof *idx))
        break;
    if (same == count)
      rows[count++] = p;
  }
  return count;
}

/* The other operand of the addition, at each point. */
static LLVMValueRef *start_with(struct kernel_cg *k, const struct ir_op *add,
                                const struct ir_op *sum,
                                const struct tile_vector *pt, unsigned n) {
  LLVMValueRef *v = DN_ARRAY(k->arena, LLVMValueRef, n);
  const struct nest *m = kernel_nest(k, add);
  const struct affine *iter[NEST_MAX_ITERS];
  for (unsigned i = 0; i < n; i++) {
    k->forms.lanes = pt[i].lanes;
    runs_iters(&k->forms, m, pt[i].idx, iter);
    v[i] = emit_access(k, m, ir_arg(add, 0) == ir_result(sum), iter);
    v[i] = emit_splat(k, v[i], pt[i].lanes);
  }
  return v;
}

static void emit_anchor(struct kernel_cg *k, const struct ir_op *op,
                        const struct tile_vector *pt, unsigned n) {
  assert(n > 0 && "make_vectors()");
  struct tile_vector *rows = DN_ARRAY(k->arena, struct tile_vector, n);
  LLVMValueRef *v = DN_ARRAY(k->arena, LLVMValueRef, n);
  /* A sum that begins with what is added to it takes a copy of a register. */
  const struct ir_op *add =
      k->sched.bias ? nest_addition(kernel_nest(k, op)) : NULL;
  int depth;
  n = fold_points(k, ir_result(op)->type, pt, n, rows, &depth);
  k->forms.lanes = rows[0].lanes;
  if (emit_is_cached(k, ir_result(add ? add : op), rows[0].idx))
    return;
  struct hoist h;
  hoist_begin(k, depth, &h);
  LLVMMetadataRef line = emit_debug_at(k->e, k->b, op);
  k->start = add ? start_with(k, add, op, rows, n) : NULL;
  emit_fold(k, kernel_nest(k, op), rows, n, v);
  emit_debug_back(k->e, k->b, line);
  for (unsigned i = 0; i < n; i++) {
    k->forms.lanes = rows[i].lanes;
    emit_cache_value(k, ir_result(add ? add : op), rows[i].idx, v[i]);
  }
  hoist_end(k, &h);
}

/* Folds that the root reads at its own points or rows, all at once. */
static void emit_anchors(struct tiler *t, struct tile_vector *pt, unsigned n) {
  struct kernel_cg *k = t->k;
  const struct ir_type *type = t->root->type;
  if (!k->body || kernel_is_leaf(k, t->root))
    return;
  bool *reached = DN_ARRAY(k->arena, bool, k->nops);
  reached[k->e->slot[t->root->def->id]] = true;
  for (const struct ir_op *o = k->body->last->prev; o; o = o->prev) {
    bool fold = ir_ops[o->code].cls == IR_REDUCE;
    if (!reached[k->e->slot[o->id]] || (!fold && ir_ops[o->code].cls != IR_MAP))
      continue;
    for (unsigned i = 0; i < o->noperands; i++)
      if (!kernel_is_leaf(k, ir_arg(o, i)) && is_of_rows(type, ir_arg(o, i)))
        reached[k->e->slot[ir_arg(o, i)->def->id]] = true;
  }
  for (const struct ir_op *o = k->body->first; o; o = o->next)
    if (reached[k->e->slot[o->id]] && kernel_nest(k, o)->fold != NEST_NONE)
      emit_anchor(k, o, pt, n);
}

/* Vectors along the loop that is read along, one for each of `wide` columns. */
static LLVMValueRef *read_across(struct tiler *t, const int64_t *at,
                                 int64_t column, unsigned wide,
                                 unsigned lanes) {
  struct kernel_cg *k = t->k;
  LLVMValueRef *v = DN_ARRAY(k->arena, LLVMValueRef, wide);
  k->forms.lanes = lanes;
  for (unsigned i = 0; i < wide; i++) {
    const struct affine *const *idx =
        point_index(t, at, column + i, lanes, t->shape->across);
    v[i] = emit_splat(k, emit_value(k, t->root, idx), lanes);
  }
  return v;
}

static void store_transposed(struct tiler *t, const int64_t *at, int64_t column,
                             unsigned lanes, LLVMValueRef v) {
  struct kernel_cg *k = t->k;
  const struct affine *const *idx =
      point_index(t, at, column, lanes, t->shape->n - 1);
  emit_store(k, k->out->type, &t->out,
             emit_address(k, &t->out, k->out->type->rank, idx), v);
}

/* A square whose corner is `column` elements into row at[] of the tile. */
static void emit_square(struct tiler *t, int64_t *at, int64_t column,
                        unsigned side) {
  LLVMValueRef *v = read_across(t, at, column, side, side);
  emit_transpose(t->k, v, side);
  for (unsigned i = 0; i < side; i++) {
    store_transposed(t, at, column, side, v[i]);
    at[t->shape->across]++;
  }
}

/* Both loops are of one dimension: `rows` rows of all columns are a sequence.
 */
static void emit_strip(struct tiler *t, int64_t *at, unsigned rows,
                       unsigned wide) {
  assert(wide && rows % wide == 0 && "is_strip(): powers of two");
  LLVMValueRef *v = read_across(t, at, 0, wide, rows);
  emit_interleave(t->k, v, wide, rows);
  for (unsigned i = 0; i < wide; i++) {
    store_transposed(t, at, 0, rows, v[i]);
    at[t->shape->across] += rows / wide;
  }
}

static bool is_strip(const struct tiler *t, unsigned rows, unsigned wide) {
  const struct ir_loop *outer = &t->shape->loop[t->shape->across];
  const struct ir_loop *inner = &t->shape->loop[t->shape->n - 1];
  return outer->last == inner->last && outer->block == wide &&
         inner->extent == wide && t->size[t->shape->n - 1] == wide &&
         rows >= wide;
}

/* The tile in squares, transposed in registers: as large as what is left over
 * of both dimensions allows. */
static void emit_transposed(struct tiler *t) {
  struct kernel_cg *k = t->k;
  int last = t->shape->n - 1, across = t->shape->across, g;
  assert(across != last && "rule loops: lanes need a loop but the last");
  int64_t at[IR_MAX_LOOPS] = {0};
  do {
    for (int64_t c = 0; c < t->size[last];) {
      unsigned wide = next_lanes(k, t->size[last] - c), side;
      for (int64_t r = 0; r < t->size[across]; r += side) {
        side = next_lanes(k, t->size[across] - r);
        if (is_strip(t, side, wide)) {
          at[across] = r;
          emit_strip(t, at, side, wide);
          continue;
        }
        side = side < wide ? side : wide;
        for (unsigned i = 0; i < wide; i += side) {
          at[across] = r;
          emit_square(t, at, c + i, side);
        }
      }
      c += wide;
    }
    at[across] = 0;
    for (g = last - 1; g >= 0; g--) {
      if (g != across && ++at[g] < t->size[g])
        break;
      at[g] = 0;
    }
  } while (g >= 0);
  k->forms.lanes = 1;
}

/* ---- Four vectors of bytes at once ---- */

/* The points are narrowed to bytes at once, by the schedule's narrow=1. */
static bool narrow_at_once(struct tiler *t, const struct tile_vector *pt) {
  struct kernel_cg *k = t->k;
  const struct affine *at[RUNS_NARROW];
  unsigned lanes[RUNS_NARROW];
  for (int i = 0; i < RUNS_NARROW; i++) {
    k->forms.lanes = lanes[i] = pt[i].lanes;
    at[i] = emit_address(k, &t->out, k->out->type->rank, pt[i].idx);
  }
  return runs_narrow_at_once(&k->forms, lanes, at);
}

static LLVMValueRef pack(struct kernel_cg *k, const char *name, LLVMValueRef a,
                         LLVMValueRef b) {
  LLVMValueRef arg[] = {a, b};
  return emit_intrinsic(k, name, NULL, 0, arg, 2);
}

/* The nearest integer of each lane, where it is not above `most`, which narrow=2
 * says of it; below what 32 bits have, and of NaN, the least of them. */
static LLVMValueRef nearest_lanes(struct kernel_cg *k, LLVMValueRef x,
                                  double most) {
  LLVMValueRef hi = emit_like(k, x, emit_number(k, IR_F32, most));
  hi = emit_hide_splat(k, hi);
  if (k->sched.narrow == 1)
    x = LLVMBuildSelect(k->b, LLVMBuildFCmp(k->b, LLVMRealOLT, hi, x, ""), hi,
                        x, "");
  LLVMValueRef arg[] = {
      x, LLVMConstNull(LLVMVectorType(k->e->i32, 16)),
      LLVMConstAllOnes(LLVMInt16TypeInContext(k->e->lc)),
      LLVMConstInt(k->e->i32, 4, false) /* the rounding that is set */};
  return emit_intrinsic(k, "llvm.x86.avx512.mask.cvtps2dq.512", NULL, 0, arg,
                        4);
}

/* The bytes of four points. */
static LLVMValueRef narrow_points(struct kernel_cg *k, const struct nest *n,
                                  const struct tile_vector *pt) {
  const struct nest_node *root = &n->node[n->nnodes - 1];
  const struct affine *iter[NEST_MAX_ITERS];
  LLVMValueRef x[4];
  unsigned order[16];
  double least, most, z = 0;
  bool narrows = nest_narrows(n, &z);
  assert(narrows && "rule sums: runs_narrow()");
  (void)narrows;
  ir_dtype_range(n->type->dtype, &least, &most);
  for (int i = 0; i < 4; i++) {
    k->forms.lanes = 16;
    runs_iters(&k->forms, n, pt[i].idx, iter);
    x[i] = emit_splat(k, emit_node(k, n, root->arg[0], iter), 16);
    if (k->failed)
      return NULL;
    x[i] = nearest_lanes(k, x[i], most - z);
  }
  LLVMTypeRef type = LLVMVectorType(LLVMInt16TypeInContext(k->e->lc), 32);
  for (int i = 0; i < 2; i++) {
    x[i] = pack(k, "llvm.x86.avx512.packssdw.512", x[2 * i], x[2 * i + 1]);
    LLVMValueRef zero =
        LLVMConstInt(LLVMGetElementType(type), (uint64_t)(int64_t)z, true);
    LLVMValueRef arg[] = {x[i], emit_splat(k, zero, 32)};
    if (z != 0)
      x[i] = emit_intrinsic(k, "llvm.sadd.sat", &type, 1, arg, 2);
  }
  x[0] = pack(k,
              least < 0 ? "llvm.x86.avx512.packsswb.512"
                        : "llvm.x86.avx512.packuswb.512",
              x[0], x[1]);
  for (unsigned i = 0; i < 16; i++)
    order[i] = i % 4 * 4 + i / 4;
  x[0] = LLVMBuildBitCast(k->b, x[0], LLVMVectorType(k->e->i32, 16), "");
  x[0] = emit_shuffle(k, x[0], NULL, order, 16);
  return LLVMBuildBitCast(k->b, x[0], LLVMVectorType(k->e->i8, 64), "");
}

static void store_vector(struct tiler *t, const struct tile_vector *p,
                         LLVMValueRef v) {
  assert(p->lanes > 0 && "make_vectors()");
  struct kernel_cg *k = t->k;
  k->forms.lanes = p->lanes;
  if (k->onto)
    onto_store(k, &t->out, p->idx, v);
  else
    emit_store(k, k->out->type, &t->out,
               emit_address(k, &t->out, k->out->type->rank, p->idx), v);
}

void emit_points(struct tiler *t) {
  struct kernel_cg *k = t->k;
  unsigned n;
  struct tile_vector *pt = make_vectors(t, &n);
  emit_anchors(t, pt, n);
  LLVMValueRef *v = DN_ARRAY(k->arena, LLVMValueRef, n);
  unsigned *taken = DN_ARRAY(k->arena, unsigned, n); /* points of v[i] */
  for (unsigned i = 0; i < n; i += taken[i]) {
    bool four =
        k->sched.narrow && i + RUNS_NARROW <= n && narrow_at_once(t, &pt[i]);
    v[i] = four ? narrow_points(k, kernel_nest(k, t->root->def), &pt[i]) : NULL;
    taken[i] = v[i] ? RUNS_NARROW : 1;
    k->narrowed |= four;
    k->forms.lanes = pt[i].lanes;
    pt[i].lanes *= taken[i];
    if (!v[i])
      v[i] = emit_value(k, t->root, pt[i].idx);
  }
  for (unsigned i = 0; i < n; i += taken[i])
    store_vector(t, &pt[i], v[i]);
  k->forms.lanes = 1;
}

void emit_tile(struct tiler *t) {
  struct kernel_cg *k = t->k;
  int across = t->shape->across;
  int64_t elements = 1;
  for (int g = 0; g < t->shape->n; g++) {
    bool own = k->forms.scalable && g + 1 == t->shape->n; /* one vector */
    if (!dn_mul(elements, own ? k->sched.vec : t->size[g], &elements) ||
        elements > EMIT_MAX_WORK)
      elements = EMIT_MAX_WORK;
  }
  if (elements == EMIT_MAX_WORK)
    emit_too_large(k);
  if (k->failed)
    return;
  if (k->ordered) {
    const int64_t at[IR_MAX_LOOPS] = {0};
    emit_order(k, t->root, &t->out, point_index(t, at, 0, 1, 0));
    return;
  }
  if (across >= 0 && t->size[across] > 1) {
    emit_transposed(t);
    return;
  }
  if (k->matrix.step)
    emit_matrix_tile(t);
  else
    emit_points(t);
}
