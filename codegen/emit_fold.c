/* emit_fold.c - CONTRACT and REDUCE: the reduction loops around a set of
 * points. All points of a tile have their accumulators in registers through all
 * loops; operands that points share are loaded once, since they are the same
 * request.
 *
 * Where every point is one element (the result's tile is one element wide) and
 * the schedule has lanes, the lanes go along the innermost reduced iterator, in
 * `unroll` independent chains, and are folded together at the end. */
#include "codegen/emit_impl.h"

#include "ir/diag.h"

#include <assert.h>

struct fold {
  struct kernel_cg *k;
  const struct nest *n;
  const struct tile_vector *pt;
  unsigned npt;
  const struct affine **iter; /* [npt][NEST_MAX_ITERS] */
  int red[NEST_MAX_ITERS]; /* reduced iterators with more than one value */
  int nred;
  unsigned vec;              /* lanes along the innermost one; 1: none */
  unsigned chains;           /* vector accumulators a point */
  unsigned nacc;             /* with the scalar ones, which come last */
  int64_t step;              /* of the innermost loop */
  const struct scope *outer; /* around the reduction */
  bool product; /* the body is one multiplication of two accesses */
  LLVMValueRef *acc;
};

static LLVMValueRef identity(struct kernel_cg *k, const struct nest *n) {
  double v = 0;
  switch (n->fold) {
  case NEST_NONE:
  case NEST_NTH:
  case NEST_SUM:
    break;
  case NEST_PROD:
    v = 1;
    break;
  case NEST_MAX:
    v = -__builtin_inf();
    break;
  case NEST_MIN:
    v = __builtin_inf();
    break;
  }
  return emit_number(k, n->acc_type, v);
}

LLVMValueRef emit_combine(struct kernel_cg *k, const struct nest *n,
                          LLVMValueRef a, LLVMValueRef x) {
  enum ir_dtype t = n->acc_type;
  LLVMValueRef arg[3] = {a, x, NULL};
  if (t == IR_F16 || t == IR_BF16)
    t = IR_F32;
  bool logic = t == IR_BOOL;
  switch (n->fold) {
  case NEST_SUM:
    return emit_scalar(k, logic ? IR_S_OR : IR_S_ADD, t, t, arg);
  case NEST_PROD:
    return emit_scalar(k, logic ? IR_S_AND : IR_S_MUL, t, t, arg);
  case NEST_MAX:
    return emit_scalar(k, logic ? IR_S_OR : IR_S_MAX, t, t, arg);
  case NEST_MIN:
    return emit_scalar(k, logic ? IR_S_AND : IR_S_MIN, t, t, arg);
  case NEST_NTH:
  case NEST_NONE:
    break;
  }
  return x;
}

/* acc = fold(acc, body) at the iterators of a point. */
static LLVMValueRef step(struct fold *f, LLVMValueRef acc, unsigned lanes,
                         const struct affine *const *iter) {
  struct kernel_cg *k = f->k;
  const struct nest *n = f->n;
  k->forms.lanes = lanes;
  if (!f->product) {
    LLVMValueRef x = emit_node(k, n, n->nnodes - 1, iter);
    return k->failed ? acc : emit_combine(k, n, acc, emit_splat(k, x, lanes));
  }
  LLVMValueRef a = emit_node(k, n, n->node[n->nnodes - 1].arg[0], iter);
  LLVMValueRef b = emit_node(k, n, n->node[n->nnodes - 1].arg[1], iter);
  if (k->failed)
    return acc;
  a = emit_splat(k, a, lanes);
  b = emit_splat(k, b, lanes);
  if (!ir_is_float(n->acc_type))
    return LLVMBuildAdd(k->b, acc, LLVMBuildMul(k->b, a, b, ""), "");
  const struct ir_facts *o = k->e->facts;
  if (!o->has_fma || (n->acc_type == IR_F64 && !o->has_f64))
    return LLVMBuildFAdd(k->b, acc, LLVMBuildFMul(k->b, a, b, ""), "");
  if (k->forms.scalable && lanes > 1)
    return scalable_fma(k, a, b, acc);
  LLVMTypeRef t = LLVMTypeOf(acc);
  LLVMValueRef arg[] = {a, b, acc};
  return emit_intrinsic(k, "llvm.fma", &t, 1, arg, 3);
}

/* All points at one value of the innermost iterator; `chain` < chains takes
 * vectors, chain == chains one element. */
static void all_points(struct fold *f, const struct affine *inner,
                       unsigned chain, LLVMValueRef *acc) {
  for (unsigned p = 0; p < f->npt; p++) {
    const struct affine **iter = f->iter + (size_t)p * NEST_MAX_ITERS;
    if (inner)
      iter[f->red[f->nred - 1]] = inner;
    LLVMValueRef *a = &acc[p * f->nacc + chain];
    unsigned lanes = f->pt[p].lanes;
    if (f->vec > 1)
      lanes = chain < f->chains ? f->vec : 1;
    *a = step(f, *a, lanes, iter);
  }
}

/* While a block of rows is computed with one panel of constants, a part of the
 * next panel is prefetched: `prefetch` blocks divide a panel's bytes among them,
 * a few cache lines each step. What follows the last panel in memory are the
 * constants of the next kernel. */
static void prefetch(struct fold *f, const struct emit_stream *s) {
  struct kernel_cg *k = f->k;
  const struct scope *panels = f->outer, *rows = f->outer;
  while (panels->depth && !affine_coef(s->bytes, panels->var))
    panels = panels->parent;
  int64_t panel = panels->depth ? affine_coef(s->bytes, panels->var) : 0;
  int64_t part = panel / k->prefetch, blocks = 1;
  if (part <= 0)
    return;
  const struct affine *at =
      affine_const(&k->forms, panel + s->bytes->c / k->prefetch);
  for (int i = 0; i < s->bytes->n; i++) {
    struct affine_term t = s->bytes->term[i];
    bool inside = k->forms.vars.v[t.var].depth > f->outer->depth;
    at = affine_add(&k->forms, at, affine_var(&k->forms, t.var, 1),
                    inside ? t.coef / k->prefetch : t.coef);
  }
  for (; rows != panels; rows = rows->parent) {
    at = affine_add(&k->forms, at, affine_var(&k->forms, rows->var, 1),
                    blocks * part);
    blocks *= rows->count;
  }
  int64_t step = affine_coef(s->bytes, k->scope->var) / k->prefetch;
  emit_prefetch(k, &s->place, at, dn_max(1, dn_min(step / 64, 8)));
}

/* The innermost loop: whole steps, then what is left, straight. */
static void innermost(struct fold *f, LLVMValueRef *acc) {
  struct kernel_cg *k = f->k;
  if (!f->nred) {
    all_points(f, NULL, 0, acc);
    return;
  }
  int64_t extent = f->n->iter[f->red[f->nred - 1]].extent;
  int64_t count = extent / f->step, i = count * f->step;
  unsigned total = f->npt * f->nacc;
  const struct affine *base = affine_const(&k->forms, 0);
  LLVMValueRef *phi = DN_ARRAY(k->arena, LLVMValueRef, total);
  if (count > 1) {
    scope_open(k, count, total, acc, phi);
    for (unsigned a = 0; a < total; a++)
      acc[a] = phi[a];
    base = affine_var(&k->forms, k->scope->var, f->step);
  }
  struct emit_stream stream = {0};
  k->stream = count > 1 && k->prefetch > 0 ? &stream : NULL;
  unsigned factors = (unsigned)k->e->facts->bcast_operand;
  if (count > 1 && factors > 1 && f->vec == 1 && f->step % factors == 0)
    k->group = (struct emit_group){factors, 0, k->scope->var, f->step};
  for (int64_t j = 0; count && j < f->step; j += f->vec) {
    const struct affine *at = affine_plus(&k->forms, base, j);
    k->group.lane = k->group.lanes ? (unsigned)j % k->group.lanes : 0;
    if (f->vec > 1)
      at = affine_add(&k->forms, at, affine_lanes(&k->forms, 1), 1);
    all_points(f, at, (unsigned)(j / f->vec) % f->chains, acc);
  }
  k->stream = NULL;
  k->group.lanes = 0;
  if (stream.bytes)
    prefetch(f, &stream);
  if (count > 1)
    scope_close(k, total, phi, acc);
  unsigned chain = 0;
  for (; f->vec > 1 && i + f->vec <= extent; i += f->vec) {
    const struct affine *at =
        affine_plus(&k->forms, affine_lanes(&k->forms, 1), i);
    all_points(f, at, chain++ % f->chains, acc);
  }
  for (; i < extent; i++)
    all_points(f, affine_const(&k->forms, i), f->vec > 1 ? f->chains : 0, acc);
}

static void level(struct fold *f, int depth, LLVMValueRef *acc) {
  struct kernel_cg *k = f->k;
  if (depth + 1 >= f->nred) {
    innermost(f, acc);
    return;
  }
  unsigned total = f->npt * f->nacc;
  LLVMValueRef *phi = DN_ARRAY(k->arena, LLVMValueRef, total);
  scope_open(k, f->n->iter[f->red[depth]].extent, total, acc, phi);
  for (unsigned a = 0; a < total; a++)
    acc[a] = phi[a];
  const struct affine *at = affine_var(&k->forms, k->scope->var, 1);
  for (unsigned p = 0; p < f->npt; p++)
    f->iter[(size_t)p * NEST_MAX_ITERS + (size_t)f->red[depth]] = at;
  level(f, depth + 1, acc);
  scope_close(k, total, phi, acc);
}

/* Folds the lanes of a vector: halves while they are even. */
static LLVMValueRef across(struct kernel_cg *k, const struct nest *n,
                           LLVMValueRef v, unsigned lanes) {
  while (lanes > 1 && lanes % 2 == 0) {
    LLVMValueRef half[2];
    LLVMValueRef *order = DN_ARRAY(k->arena, LLVMValueRef, lanes);
    for (unsigned i = 0; i < lanes; i++)
      order[i] = LLVMConstInt(k->e->i32, i, false);
    for (unsigned h = 0; h < 2; h++)
      half[h] = LLVMBuildShuffleVector(
          k->b, v, LLVMGetPoison(LLVMTypeOf(v)),
          LLVMConstVector(order + h * lanes / 2, lanes / 2), "");
    v = emit_combine(k, n, half[0], half[1]);
    lanes /= 2;
  }
  LLVMValueRef r = NULL;
  for (unsigned i = 0; i < lanes; i++) {
    LLVMValueRef one =
        LLVMBuildExtractElement(k->b, v, LLVMConstInt(k->e->i32, i, false), "");
    r = r ? emit_combine(k, n, r, one) : one;
  }
  return r;
}

/* One value a point from its accumulators. */
static LLVMValueRef finish(struct fold *f, LLVMValueRef *acc) {
  struct kernel_cg *k = f->k;
  LLVMValueRef r = acc[0];
  if (f->vec > 1) {
    for (unsigned c = 1; c < f->chains; c++)
      r = emit_combine(k, f->n, r, acc[c]);
    r = emit_combine(k, f->n, across(k, f->n, r, f->vec), acc[f->chains]);
  }
  r = emit_round(k, f->n->acc_type, r);
  return emit_cast(k, r, f->n->acc_type, f->n->type->dtype);
}

/* Lanes along the reduction: when no point has any and enough is reduced. */
static void choose_lanes(struct fold *f) {
  struct kernel_cg *k = f->k;
  f->vec = f->chains = f->nacc = 1;
  f->step = 1;
  if (!f->nred)
    return;
  int64_t extent = f->n->iter[f->red[f->nred - 1]].extent;
  f->step = dn_max(1, dn_min(k->unroll, extent));
  for (unsigned p = 0; p < f->npt; p++)
    if (f->pt[p].lanes > 1)
      return;
  if (k->vec <= 1 || extent < k->vec || k->forms.scalable || f->n->carried >= 0)
    return;
  f->vec = k->vec;
  f->chains =
      (unsigned)dn_max(1, dn_min(dn_min(k->unroll, 8), extent / k->vec));
  f->step = (int64_t)f->vec * f->chains;
  f->nacc = f->chains + 1;
}

static void prepare(struct fold *f) {
  struct kernel_cg *k = f->k;
  const struct nest *n = f->n;
  const struct nest_node *root = &n->node[n->nnodes - 1];
  f->product = n->fold == NEST_SUM && root->kind == NEST_CALL &&
               root->fn == IR_S_MUL && n->acc_type != IR_BOOL;
  for (int i = 0; i < n->niters; i++)
    if (n->iter[i].reduced && n->iter[i].extent > 1)
      f->red[f->nred++] = i;
  f->iter = DN_ARRAY(k->arena, const struct affine *,
                     (int64_t)f->npt *NEST_MAX_ITERS);
  for (unsigned p = 0; p < f->npt; p++) {
    k->forms.lanes = f->pt[p].lanes;
    emit_iters(k, n, f->pt[p].idx, f->iter + (size_t)p * NEST_MAX_ITERS);
  }
  choose_lanes(f);
  f->outer = k->scope;
}

/* Registers of one accumulator. */
static int64_t count_registers(const struct kernel_cg *k, const struct nest *n,
                               unsigned lanes) {
  const struct ir_facts *facts = k->e->facts;
  int64_t unit = k->forms.scalable ? facts->scalable : facts->vector_bytes;
  int64_t bytes = (int64_t)lanes * ir_dtypes[n->acc_type].bytes;
  return unit && lanes > 1 ? dn_div_ceil(bytes, unit) : lanes;
}

/* Warns when a schedule's accumulators alone are more than there are
 * registers. Those of integers are not known where there are no vectors. */
static void check_registers(struct fold *f) {
  struct kernel_cg *k = f->k;
  int64_t have = k->e->facts->vector_regs, want = 0;
  bool known = k->e->facts->vector_bytes || ir_is_float(f->n->acc_type);
  for (unsigned p = 0; p < f->npt; p++) {
    unsigned lanes = f->vec > 1 ? f->vec : f->pt[p].lanes;
    want += f->chains * count_registers(k, f->n, lanes);
  }
  if (want <= have || !have || !known || !k->op || k->told)
    return;
  k->told = true;
  dn_warning(k->e->ctx, ir_loc(k->op),
             "the tile keeps %lld sums in registers, of which there are %lld: "
             "the others go through memory in the innermost loop",
             (long long)want, (long long)have);
  dn_note(k->e->ctx, "a smaller tile is faster; without a schedule, the pass "
                     "'tile' takes one that fits");
}

/* A running fold goes on from the index before: what that left is a phi of the
 * loop over them, made here. */
static void carry_in(struct fold *f, LLVMValueRef *acc) {
  struct kernel_cg *k = f->k;
  struct scope *loop = k->carry.loop;
  if (f->n->carried < 0 || !loop)
    return;
  LLVMBasicBlockRef at = LLVMGetInsertBlock(k->b);
  for (unsigned p = 0; p < f->npt; p++) {
    LLVMPositionBuilderBefore(k->b, LLVMGetFirstInstruction(loop->head));
    LLVMValueRef phi = LLVMBuildPhi(k->b, LLVMTypeOf(acc[p]), "on");
    LLVMAddIncoming(phi, &acc[p], &loop->gate, 1);
    DN_PUSH(k->arena, k->carry.phi, phi);
    acc[p] = phi;
  }
  LLVMPositionBuilderAtEnd(k->b, at);
}

static void carry_out(struct fold *f, const LLVMValueRef *acc) {
  if (f->n->carried < 0 || !f->k->carry.loop)
    return;
  for (unsigned p = 0; p < f->npt; p++)
    DN_PUSH(f->k->arena, f->k->carry.next, acc[p]);
}

void emit_fold(struct kernel_cg *k, const struct nest *n,
               const struct tile_vector *pt, unsigned npt, LLVMValueRef *out) {
  struct fold f = {.k = k, .n = n, .pt = pt, .npt = npt};
  unsigned lanes = k->forms.lanes;
  bool empty = false;
  for (int i = 0; i < n->niters; i++)
    empty |= n->iter[i].reduced && n->iter[i].extent == 0;
  prepare(&f);
  check_registers(&f);
  LLVMValueRef *acc = DN_ARRAY(k->arena, LLVMValueRef, (int64_t)npt * f.nacc);
  for (unsigned p = 0; p < npt; p++) {
    for (unsigned a = 0; a < f.nacc; a++) {
      unsigned wide = f.vec > 1 ? (a < f.chains ? f.vec : 1) : pt[p].lanes;
      acc[p * f.nacc + a] = emit_splat(k, identity(k, n), wide);
    }
  }
  carry_in(&f, acc);
  if (!empty)
    level(&f, 0, acc);
  carry_out(&f, acc);
  for (unsigned p = 0; p < npt; p++) {
    k->forms.lanes = pt[p].lanes;
    out[p] = finish(&f, acc + (size_t)p * f.nacc);
  }
  k->forms.lanes = lanes;
}
