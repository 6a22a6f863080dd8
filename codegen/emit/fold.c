/* fold.c - CONTRACT and REDUCE: the reduction loops around a set of
 * points. All points of a tile have their accumulators in registers through all
 * loops; operands that points share are loaded once, since they are the same
 * request.
 *
 * Where every point is one element (the result's tile is one element wide) and
 * the schedule has lanes, the lanes go along the innermost reduced iterator, in
 * `unroll` independent chains, and are folded together at the end. */
#include "codegen/emit/fold.h"

#include "ir/diag.h"

#include <assert.h>
#include <string.h>

struct fold {
  struct kernel_cg *k;
  const struct nest *n;
  const struct tile_vector *pt;
  unsigned npt;
  const struct affine **iter; /* [npt][NEST_MAX_ITERS] */
  int red[NEST_MAX_ITERS];    /* reduced iterators with more than one value */
  int nred;
  unsigned vec;    /* lanes along the innermost one; 1: none */
  unsigned chains; /* vector accumulators a point */
  unsigned nacc;   /* with the scalar one, which comes last */
  unsigned total;  /* states of all accumulators of all points */
  int64_t extent;  /* of the innermost loop, and its step */
  int64_t step;
  int64_t run; /* elements that one step of emit/dot.c sums up; 0: another */
  const struct scope *outer;  /* around the reduction */
  struct emit_scaled *scaled; /* sums of points that have no scale yet */
  unsigned *lanes;            /* of the points */
  bool words;                 /* products of four lanes go by emit_words() */
  bool product;  /* the body is one multiplication of two accesses */
  bool numbered; /* the step uses the number of the point */
  LLVMValueRef
      numbers;   /* of a vector of them in the innermost loop, or NULL; */
  int64_t ahead; /* less this */
};

static LLVMValueRef add_number(struct fold *f, LLVMValueRef v, int64_t n) {
  LLVMValueRef c = LLVMConstInt(f->k->e->i32, (uint64_t)n, false);
  return n ? LLVMBuildAdd(f->k->b, v, emit_like(f->k, v, c), "") : v;
}

/* The number of a point among those reduced, row-major. */
static LLVMValueRef number_of(struct fold *f,
                              const struct affine *const *iter) {
  struct kernel_cg *k = f->k;
  if (f->numbers)
    return add_number(f, f->numbers, f->ahead);
  const struct affine *at = affine_const(&k->forms, 0);
  int64_t stride = 1;
  for (int i = f->nred; i-- > 0;) {
    at = affine_add(&k->forms, at, iter[f->red[i]], stride);
    stride *= f->n->iter[f->red[i]].extent;
  }
  enum ir_dtype own = k->e->facts->pointer_bytes == 4 ? IR_I32 : IR_I64;
  return emit_cast(k, index_value(k, at), own, IR_I32);
}

/* acc = fold(acc, body) at the iterators of point p. */
static void step(struct fold *f, unsigned p, LLVMValueRef *acc, unsigned lanes,
                 const struct affine *const *iter) {
  assert(lanes > 0 && p < f->npt && "all_points()");
  struct kernel_cg *k = f->k;
  const struct nest *n = f->n;
  k->forms.lanes = lanes;
  if (f->run) {
    *acc = emit_dot(k, n, *acc, lanes, iter, f->run);
    return;
  }
  if (!f->product) {
    LLVMValueRef x = emit_node(k, n, n->nnodes - 1, iter), number = NULL;
    if (k->failed)
      return;
    x = emit_splat(k, x, lanes);
    if (f->numbered)
      number = emit_splat(k, number_of(f, iter), lanes);
    emit_step(k, n, acc, x, number);
    return;
  }
  if (f->scaled) {
    *acc = emit_scaled_step(k, n, &f->scaled[p], *acc, lanes, iter);
    return;
  }
  if (f->words && lanes == RUNS_WORD) {
    *acc = emit_words(k, n, *acc, iter);
    return;
  }
  LLVMValueRef a = emit_node(k, n, n->node[n->nnodes - 1].arg[0], iter);
  LLVMValueRef b = emit_node(k, n, n->node[n->nnodes - 1].arg[1], iter);
  if (!k->failed)
    *acc = emit_add_product(k, n->acc_type, *acc, emit_splat(k, a, lanes),
                            emit_splat(k, b, lanes));
}

/* All points at one value of the innermost iterator; `chain` < chains takes
 * vectors, chain == chains one element. */
static void all_points(struct fold *f, const struct affine *inner,
                       unsigned chain, LLVMValueRef *acc) {
  for (unsigned p = 0; p < f->npt; p++) {
    const struct affine **iter = f->iter + (size_t)p * NEST_MAX_ITERS;
    if (inner)
      iter[f->red[f->nred - 1]] = inner;
    LLVMValueRef *a = &acc[(p * f->nacc + chain) * (unsigned)f->n->nstates];
    unsigned lanes = f->pt[p].lanes;
    if (f->vec > 1)
      lanes = chain < f->chains ? f->vec : 1;
    emit_work(f->k, f->n->acc_type, lanes);
    step(f, p, a, lanes, iter);
  }
}

/* What is summed up are sums of the kernel's, which its schedule is of. */
static bool sums_parts(const struct fold *f) {
  return f->k->sched.parts && f->k->sched.parts != f->n->op;
}

/* Elements of a run of the innermost iterator, which the schedule says; or 0. */
static int64_t choose_run(struct fold *f) {
  struct kernel_cg *k = f->k;
  if (k->runs.dot.k == 1 || ir_ops[f->n->op->code].cls != IR_CONTRACT ||
      sums_parts(f))
    return 0;
  if (f->product && f->n->acc_type == k->runs.dot.sum &&
      runs_sum_fits(&k->runs, f->n, f->lanes, f->iter, f->npt,
                    f->red[f->nred - 1], f->extent))
    return k->runs.dot.k;
  emit_no_runs(k, "dot");
  return 0;
}

/* Products of four lanes go in words, if the schedule says so. */
static void set_words(struct fold *f) {
  struct kernel_cg *k = f->k;
  int inner = f->nred ? f->red[f->nred - 1] : -1;
  f->words = k->sched.by_words && f->product;
  if (f->words &&
      !runs_words_fit(&k->runs, f->n, f->lanes, f->iter, f->npt, inner))
    emit_no_runs(k, "words");
}

/* The remainder of the innermost loop from i on: vectors, then elements or
 * runs. */
static void leftover(struct fold *f, int64_t i, LLVMValueRef *acc) {
  struct kernel_cg *k = f->k;
  int64_t extent = f->extent;
  int64_t run = dn_max(f->run, 1);
  unsigned chain = 0;
  assert(i <= extent && "whole steps stay within the loop: innermost()");
  for (; f->vec > 1 && i + f->vec <= extent && !k->failed; i += f->vec) {
    const struct affine *at =
        affine_plus(&k->forms, affine_lanes(&k->forms, 1), i);
    all_points(f, at, chain++ % f->chains, acc);
  }
  if (k->runs.dot.shape == IR_DOT_ALONG && !k->e->facts->vector_bytes)
    f->run = 0, run = 1; /* bytes of a word cost more than their products */
  for (; i < extent && !k->failed; i += run) {
    f->run = f->run ? dn_min(run, extent - i) : 0;
    all_points(f, affine_const(&k->forms, i), f->vec > 1 ? f->chains : 0, acc);
  }
}

/* The innermost loop: whole steps, then what is left, straight. */
static void innermost(struct fold *f, LLVMValueRef *acc) {
  struct kernel_cg *k = f->k;
  set_words(f);
  if (!f->nred) {
    all_points(f, NULL, 0, acc);
    return;
  }
  int64_t extent = f->extent;
  int64_t run = choose_run(f);
  f->run = run;
  run = dn_max(run, 1);
  f->step = dn_max(1, dn_min(f->step, extent / run)) * run;
  int64_t count = extent / f->step, i = count * f->step;
  bool numbers = count > 1 && f->numbered && f->vec > 1;
  unsigned total = f->total + numbers;
  const struct affine *base = affine_const(&k->forms, 0);
  LLVMValueRef *phi = DN_ARRAY(k->arena, LLVMValueRef, total);
  if (numbers) {
    k->forms.lanes = f->vec;
    f->iter[f->red[f->nred - 1]] = affine_lanes(&k->forms, 1);
    acc[f->total] = number_of(f, f->iter);
  }
  if (count > 1) {
    scope_open(k, count, total, acc, phi);
    if (f->product && f->vec == 1 && !ir_is_float(f->n->acc_type))
      scope_walk(k, f->step);
    for (unsigned a = 0; a < total; a++)
      acc[a] = phi[a];
    base = affine_var(&k->forms, k->scope->var, f->step);
    f->numbers = numbers ? phi[f->total] : NULL;
  }
  struct emit_stream stream = {0};
  k->stream = count > 1 && k->sched.prefetch > 0 ? &stream : NULL;
  if ((count > 1 || f->run) && f->vec == 1 && k->sched.factors &&
      f->step / run % k->sched.factors == 0)
    k->group = (struct emit_group){k->sched.factors, 0,
                                   count > 1 ? k->scope->var : 0, f->step};
  bool scaled = k->sched.scaled && count && f->product && f->vec == 1 &&
                f->step > 1 && emit_scaled_fits(k, f->n, f->pt, f->npt);
  f->scaled = scaled ? DN_ARRAY(k->arena, struct emit_scaled, f->npt) : NULL;
  for (int64_t j = 0; count && j < f->step && !k->failed; j += f->vec * run) {
    const struct affine *at = affine_plus(&k->forms, base, j);
    k->group.lane = k->group.lanes ? (unsigned)(j / run) % k->group.lanes : 0;
    if (f->vec > 1)
      at = affine_add(&k->forms, at, affine_lanes(&k->forms, 1), 1);
    f->ahead = j;
    all_points(f, at, (unsigned)(j / f->vec) % f->chains, acc);
    if (count > 1)
      scope_next(k);
  }
  for (unsigned p = 0; scaled && p < f->npt && !k->failed; p++)
    acc[p] = emit_scaled_end(k, f->n, &f->scaled[p], acc[p]);
  f->scaled = NULL;
  k->stream = NULL;
  k->group.lanes = 0;
  if (stream.bytes)
    emit_prefetch(k, f->outer, &stream);
  if (numbers)
    acc[f->total] = add_number(f, f->numbers, f->step);
  f->numbers = NULL;
  if (count > 1)
    scope_close(k, total, phi, acc);
  leftover(f, i, acc);
}

/* The innermost loop to a size: whole steps, vectors, then elements. */
static void innermost_to(struct fold *f, LLVMValueRef *acc) {
  struct kernel_cg *k = f->k;
  const struct nest_iter *it = &f->n->iter[f->red[f->nred - 1]];
  const struct affine *from = affine_const(&k->forms, 0), *count;
  const struct affine *left = index_size(k, it->extent, it->size);
  LLVMValueRef *phi = DN_ARRAY(k->arena, LLVMValueRef, f->total);
  int64_t step = f->step, most = it->extent / step;
  if (k->runs.dot.k > 1) /* how long the last run is, is not known */
    emit_no_runs(k, "dot");
  while (!k->failed) {
    int64_t lanes = step < f->vec ? 1 : f->vec;
    count = index_tiles(k, left, step, most);
    scope_open_to(k, index_value(k, count), most, f->total, acc, phi);
    memcpy(acc, phi, f->total * sizeof *acc);
    const struct affine *base = index_within(k, from, step, it->extent);
    for (int64_t j = 0; j < step && !k->failed; j += lanes) {
      const struct affine *at = affine_plus(&k->forms, base, j);
      unsigned chain = (unsigned)(j / lanes) % f->chains;
      if (lanes > 1)
        at = affine_add(&k->forms, at, affine_lanes(&k->forms, 1), 1);
      all_points(f, at, lanes < f->vec ? f->chains : chain, acc);
    }
    scope_close(k, f->total, phi, acc);
    if (step == 1)
      return;
    from = affine_add(&k->forms, from, count, step);
    left = affine_add(&k->forms, left, count, -step);
    most = step;
    step = step > f->vec ? f->vec : 1;
    most = (most - 1) / step;
  }
}

static void level(struct fold *f, int depth, LLVMValueRef *acc);

/* All points go on from one value of a reduced iterator. */
static void level_at(struct fold *f, int depth, const struct affine *at,
                     LLVMValueRef *acc) {
  for (unsigned p = 0; p < f->npt; p++)
    f->iter[(size_t)p * NEST_MAX_ITERS + (size_t)f->red[depth]] = at;
  level(f, depth + 1, acc);
}

/* The two innermost loops are one, if the schedule says so, but at edges. */
static bool are_one(struct fold *f) {
  struct kernel_cg *k = f->k;
  if (!k->sched.joins || !f->product)
    return false;
  assert(f->nred > 1 && "level() counts the loops that are left");
  enum runs_join join = runs_join(&k->runs, f->n, f->lanes, f->iter, f->npt,
                                  f->red[f->nred - 2], f->red[f->nred - 1]);
  if (join == RUNS_APART)
    emit_no_runs(k, "join");
  return join == RUNS_ONE;
}

/* Loops that are no more steps than the schedule unrolls are straight code. */
static void level(struct fold *f, int depth, LLVMValueRef *acc) {
  assert((!f->nred || depth < f->nred) && "level() goes on below it");
  struct kernel_cg *k = f->k;
  if (depth + 1 >= f->nred) {
    if (f->nred && f->n->iter[f->red[depth]].size)
      innermost_to(f, acc);
    else
      innermost(f, acc);
    return;
  }
  const struct nest_iter *it = &f->n->iter[f->red[depth]];
  if (f->vec == 1 && !it->size &&
      nest_steps_from(f->n, f->red[depth], k->runs.dot.k) <=
          dn_min(k->sched.unroll, EMIT_MAX_STEPS)) {
    for (int64_t i = 0; i < it->extent && !k->failed; i++)
      level_at(f, depth, affine_const(&k->forms, i), acc);
    return;
  }
  if (depth + 2 == f->nred && are_one(f)) {
    f->extent = it->extent * f->n->iter[f->red[depth + 1]].extent;
    level_at(f, depth, affine_const(&k->forms, 0), acc);
    return;
  }
  unsigned total = f->total;
  LLVMValueRef *phi = DN_ARRAY(k->arena, LLVMValueRef, total);
  scope_open_dim(k, it->extent, it->size, total, acc, phi);
  for (unsigned a = 0; a < total; a++)
    acc[a] = phi[a];
  level_at(f, depth, affine_var(&k->forms, k->scope->var, 1), acc);
  scope_close(k, total, phi, acc);
}

/* One value a point from its accumulators. */
static LLVMValueRef finish(struct fold *f, const LLVMValueRef *acc) {
  struct kernel_cg *k = f->k;
  const struct nest *n = f->n;
  LLVMValueRef state[NEST_MAX_STATES] = {NULL};
  assert((f->vec == 1 || f->nacc == f->chains + 1) && "set_lanes()");
  memcpy(state, acc, (size_t)n->nstates * sizeof *acc);
  if (f->vec > 1) {
    for (unsigned c = 1; c < f->chains; c++)
      emit_merge(k, n, state, acc + c * (unsigned)n->nstates);
    emit_across(k, n, f->vec, state);
    emit_merge(k, n, state, acc + f->chains * (unsigned)n->nstates);
  }
  return emit_finish(k, n, state);
}

/* Lanes go along the reduction, in the schedule's chains, where no point has
 * any. */
static void set_lanes(struct fold *f) {
  struct kernel_cg *k = f->k;
  f->vec = f->chains = f->nacc = 1;
  f->step = 1;
  if (!f->nred)
    return;
  int64_t extent = f->n->iter[f->red[f->nred - 1]].extent;
  f->extent = extent;
  f->step = sums_parts(f) ? 1 : dn_max(1, dn_min(k->sched.unroll, extent));
  if (f->step > EMIT_MAX_STEPS)
    emit_too_large(k);
  bool single = k->sched.chains > 0;
  for (unsigned p = 0; p < f->npt; p++)
    single &= f->lanes[p] == 1;
  if (!single)
    return;
  assert(extent >= k->sched.vec * k->sched.chains &&
         "rule schedule: check_chains()");
  f->vec = k->sched.vec;
  f->chains = (unsigned)k->sched.chains;
  f->step = (int64_t)f->vec * f->chains;
  f->nacc = f->chains + 1;
}

static void prepare(struct fold *f) {
  struct kernel_cg *k = f->k;
  const struct nest *n = f->n;
  f->product = runs_is_product(n);
  f->nred = runs_reduced(n, f->red);
  f->iter = DN_ARRAY(k->arena, const struct affine *,
                     (int64_t)f->npt *NEST_MAX_ITERS);
  f->lanes = DN_ARRAY(k->arena, unsigned, f->npt);
  for (unsigned p = 0; p < f->npt; p++) {
    k->forms.lanes = f->lanes[p] = f->pt[p].lanes;
    runs_iters(&k->forms, n, f->pt[p].idx,
               f->iter + (size_t)p * NEST_MAX_ITERS);
  }
  set_lanes(f);
  assert(n->nstates > 0 && "emit_op(), emit_tile(): a nest that folds; orders "
                           "have their own engine");
  f->total = f->npt * f->nacc * (unsigned)n->nstates;
  f->numbered = nest_code_uses(&n->step, NEST_VAR_K);
  f->outer = k->scope;
}

/* Registers of one accumulator. */
static int64_t count_registers(const struct kernel_cg *k, const struct nest *n,
                               unsigned lanes) {
  assert(lanes > 0 && n->nstates > 0 && "prepare()");
  const struct ir_facts *facts = k->e->facts;
  int64_t unit = k->forms.scalable ? facts->scalable : facts->vector_bytes,
          count = 0;
  for (int s = 0; s < n->nstates; s++) {
    int64_t bytes = (int64_t)lanes * ir_dtypes[n->state[s].type].bytes;
    count += unit && lanes > 1 ? dn_div_ceil(bytes, unit) : lanes;
  }
  return count;
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
  assert(f->vec == 1 && "rule sums: a running fold has no chains");
  LLVMBasicBlockRef at = LLVMGetInsertBlock(k->b);
  for (unsigned p = 0; p < f->total; p++) {
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
  for (unsigned p = 0; p < f->total; p++)
    DN_PUSH(f->k->arena, f->k->carry.next, acc[p]);
}

/* If the lanes of the dot instruction run along the sum (IR_DOT_ALONG), each
 * lane of a point is a sum of its own. */
static void fold_by_lane(struct kernel_cg *k, const struct nest *n,
                         const struct tile_vector *pt, unsigned npt,
                         LLVMValueRef *out) {
  unsigned lanes = pt[0].lanes, count = npt * lanes;
  assert(lanes > 1 && n->nstates == 1 && "sums_along(): sums of products");
  struct tile_vector *one = DN_ARRAY(k->arena, struct tile_vector, count);
  LLVMValueRef *sum = DN_ARRAY(k->arena, LLVMValueRef, count);
  for (unsigned i = 0; i < count; i++) {
    const struct affine **idx =
        DN_ARRAY(k->arena, const struct affine *, IR_MAX_RANK);
    for (int d = 0; d < n->type->rank; d++) {
      const struct affine *f = pt[i / lanes].idx[d], *lane;
      lane = affine_lanes(&k->forms, 1);
      idx[d] = affine_plus(&k->forms, affine_add(&k->forms, f, lane, -f->lane),
                           f->lane * (int64_t)(i % lanes));
    }
    one[i] = (struct tile_vector){1, idx};
  }
  emit_fold(k, n, one, count, sum);
  for (unsigned p = 0; p < npt && !k->failed; p++) {
    LLVMTypeRef type = LLVMVectorType(LLVMTypeOf(sum[0]), lanes);
    out[p] = LLVMGetPoison(type);
    for (unsigned l = 0; l < lanes; l++)
      out[p] = emit_with_lane(k, out[p], l, sum[p * lanes + l]);
  }
}

static bool sums_along(const struct kernel_cg *k, const struct tile_vector *pt,
                       unsigned npt) {
  bool same = k->runs.dot.k > 1 && k->runs.dot.shape == IR_DOT_ALONG;
  for (unsigned p = 0; p < npt; p++)
    same &= pt[p].lanes > 1 && pt[p].lanes == pt[0].lanes;
  return same;
}

/* Sums that matrix registers have made: what they begin with is added. */
static void read_matrix(struct kernel_cg *k, const struct nest *n,
                        const struct tile_vector *pt, unsigned npt,
                        LLVMValueRef *out) {
  LLVMValueRef *start = k->start;
  k->start = NULL;
  emit_matrix_read(k, pt, npt, out);
  for (unsigned p = 0; p < npt; p++) {
    k->forms.lanes = pt[p].lanes;
    if (start)
      out[p] = LLVMBuildAdd(k->b, out[p], start[p], "");
    out[p] = emit_finish(k, n, &out[p]);
  }
}

void emit_fold(struct kernel_cg *k, const struct nest *n,
               const struct tile_vector *pt, unsigned npt, LLVMValueRef *out) {
  assert(npt > 0 && n->fold != NEST_NONE && "a fold has a point");
  if (sums_along(k, pt, npt)) {
    fold_by_lane(k, n, pt, npt, out);
    return;
  }
  if (k->matrix.op == n->op && n->op) {
    read_matrix(k, n, pt, npt, out);
    return;
  }
  struct fold f = {.k = k, .n = n, .pt = pt, .npt = npt};
  unsigned lanes = k->forms.lanes;
  LLVMValueRef *start = k->start;
  k->start = NULL; /* folds within are others */
  bool empty = false;
  for (int i = 0; i < n->niters; i++)
    empty |= n->iter[i].reduced && n->iter[i].extent == 0;
  prepare(&f);
  check_registers(&f);
  LLVMValueRef *acc = DN_ARRAY(k->arena, LLVMValueRef, f.total + 1),
               *next = acc;
  for (unsigned p = 0; p < npt; p++) {
    for (unsigned a = 0; a < f.nacc; a++) {
      unsigned wide = f.vec > 1 ? (a < f.chains ? f.vec : 1) : pt[p].lanes;
      for (int s = 0; s < n->nstates; s++)
        *next++ =
            start && a + 1 == f.nacc
                ? start[p]
                : emit_splat(
                      k, emit_number(k, n->state[s].type, n->state[s].identity),
                      wide);
    }
  }
  carry_in(&f, acc);
  struct runs_wide w = {
      .n = n, .iter = f.iter, .npt = npt, .red = f.red, .nred = f.nred};
  if (!empty && k->sched.by_plane && f.product)
    emit_plane_sums(k, n, f.iter, npt, acc);
  else if (!empty && !(k->sched.by_wide && f.product && f.nred &&
                       emit_wide_sums(k, &w, acc)))
    level(&f, 0, acc);
  carry_out(&f, acc);
  for (unsigned p = 0; p < npt; p++) {
    k->forms.lanes = pt[p].lanes;
    out[p] = finish(&f, acc + (size_t)p * (f.total / npt));
  }
  k->forms.lanes = lanes;
}
