/* eval_nest.c - compiles a nest once and runs it on data, a chunk of lanes at a
 * time. Lanes run along the parallel iterators (a chunk of results, folded over
 * the reduced points together) or, where that reads memory better, along the
 * reduced ones (one result, folded over its lanes). Each leaf of the expression
 * sees the lane space as few loops as its strides allow (eval_source.c fills
 * them). */
#include "ir/eval_nest.h"

#include <assert.h>
#include <string.h>

/* ---- Compiling ---- */

void eval_space_add(const struct nest *n, struct eval_space *s, int iter) {
  assert(s->n < NEST_MAX_ITERS && "an iterator is in a space once");
  s->iter[s->n++] = iter;
  s->count *= n->iter[iter].extent;
}

/* Parallel iterators in the order of y's row-major positions. */
static void compile_spaces(struct eval_nest *e) {
  const struct nest *n = e->nest;
  int64_t stride[IR_MAX_RANK];
  ir_type_strides(n->type, stride);
  e->par.count = e->red.count = 1;
  for (int d = 0; d < n->type->rank; d++) {
    for (int k = 0; k < n->y[d].n; k++) {
      assert((k == 0 || n->y[d].stride[k] <= n->y[d].stride[k - 1] ||
              n->type->dim[d] == 0) &&
             "a group of iterators is a number in mixed radix: nest.h");
      e->ystride[n->y[d].iter[k]] = n->y[d].stride[k] * stride[d];
      eval_space_add(n, &e->par, n->y[d].iter[k]);
    }
  }
  for (int i = 0; i < n->niters; i++)
    if (n->iter[i].reduced)
      eval_space_add(n, &e->red, i);
  assert(e->par.n + e->red.n == n->niters &&
         "what no dimension of y has is reduced: nest.c");
}

static void compile_access(struct dn_arena *arena, struct eval_nest *e,
                           const struct nest_access *a, struct eval_source *s) {
  const struct nest *n = e->nest;
  s->operand = a->operand;
  const struct ir_type *type = ir_arg(n->op, (unsigned)a->operand)->type;
  s->from = s->to = type->dtype;
  if (a->flat) {
    memcpy(s->stride, e->ystride, sizeof s->stride);
    return;
  }
  int64_t stride[IR_MAX_RANK];
  ir_type_strides(type, stride);
  s->special = DN_ARRAY(arena, struct eval_special, a->rank);
  for (int d = 0; d < a->rank; d++) {
    const struct nest_index *x = &a->idx[d];
    if (!nest_index_is_plain(x)) {
      s->special[s->nspecial++] = (struct eval_special){
          x, type->dim[d], stride[d], nest_index_is_affine(x)};
      continue;
    }
    s->base += x->base * stride[d];
    for (int i = 0; i < n->niters; i++)
      s->stride[i] += x->coef[i] * stride[d];
  }
}

static bool special_uses(const struct eval_nest *e,
                         const struct eval_special *sp, int iter) {
  if (sp->idx->indirect >= 0)
    return eval_source_uses(e, &e->source[sp->idx->indirect], iter);
  return sp->idx->coef[iter] != 0;
}

static bool in_specials(const struct eval_nest *e, const struct eval_source *s,
                        int iter) {
  for (int k = 0; k < s->nspecial; k++)
    if (special_uses(e, &s->special[k], iter))
      return true;
  return false;
}

bool eval_source_uses(const struct eval_nest *e, const struct eval_source *s,
                      int iter) {
  return s->stride[iter] != 0 || in_specials(e, s, iter);
}

/* The lane space as this source sees it: iterators of one point left out,
 * neighbours that it crosses in one stride merged. */
static void compile_walk(struct dn_arena *arena, const struct eval_nest *e,
                         struct eval_source *s) {
  const struct eval_space *lanes = e->lanes_red ? &e->red : &e->par;
  s->walk = DN_ARRAY(arena, struct eval_walk, lanes->n + 1);
  for (int k = 0; k < lanes->n; k++) {
    int i = lanes->iter[k];
    int64_t extent = e->nest->iter[i].extent;
    if (extent == 1)
      continue;
    struct eval_walk *last = s->nwalk ? &s->walk[s->nwalk - 1] : NULL;
    if (last && last->stride == s->stride[i] * extent &&
        !in_specials(e, s, last->iter) && !in_specials(e, s, i))
      *last = (struct eval_walk){last->extent * extent, s->stride[i], i};
    else
      s->walk[s->nwalk++] = (struct eval_walk){extent, s->stride[i], i};
  }
  if (!s->nwalk)
    s->walk[s->nwalk++] = (struct eval_walk){1, 0, -1};
  int inner = s->walk[s->nwalk - 1].iter;
  for (int k = 0; k < s->nspecial && inner >= 0; k++)
    s->single |=
        !s->special[k].linear && special_uses(e, &s->special[k], inner);
}

/* Chooses lanes along the results or along the reduction: whichever reads more
 * sources contiguously. */
static int scattered(const struct eval_nest *e, const struct eval_space *s) {
  int count = 0, inner = -1;
  for (int k = 0; k < s->n; k++)
    if (e->nest->iter[s->iter[k]].extent > 1)
      inner = s->iter[k];
  for (int k = 0; k < e->nsources; k++) {
    int64_t stride = inner < 0 ? 0 : e->source[k].stride[inner];
    for (int j = 0; j < e->source[k].nspecial && inner >= 0; j++)
      stride += e->source[k].special[j].stride *
                e->source[k].special[j].idx->coef[inner];
    count += stride != 0 && stride != 1;
  }
  return count;
}

static bool prefers_reduced_lanes(const struct eval_nest *e) {
  if (e->nest->fold == NEST_NTH)
    return true;
  if (e->nest->fold == NEST_NONE || e->red.count < 8 || e->nest->carried >= 0 ||
      e->nest->to >= 0)
    return false;
  int par = scattered(e, &e->par), red = scattered(e, &e->red);
  if (e->par.count < 8 || par == red)
    return e->par.count < 64 && e->red.count > e->par.count;
  return red < par && e->red.count >= 32;
}

static enum ir_dtype bits_type(enum ir_dtype t) {
  static const enum ir_dtype of[] = {
      [1] = IR_U8, [2] = IR_U16, [4] = IR_U32, [8] = IR_U64};
  return of[ir_dtypes[t].bytes];
}

static void set_outside(const struct eval_nest *e, struct eval_source *s,
                        enum ir_dtype type, bool bits) {
  union eval_lanes one;
  eval_number(type, e->nest->outside, &one, 1);
  if (bits) {
    char raw[8];
    eval_store(type, raw, &one, 1);
    eval_load(bits_type(type), raw, 0, &one, 0, 1);
  }
  s->outside = one.i[0];
}

/* Elements that are only moved keep their bits, NaN payloads included. */
static bool only_moves(const struct nest *n) {
  return n->fold == NEST_NONE && n->nnodes == 1 &&
         n->node[0].kind == NEST_ACCESS && n->node[0].type == n->type->dtype;
}

static int count_iters(const struct nest *n) {
  int count = 0;
  for (int k = 0; k < n->nnodes; k++)
    count += n->node[k].kind == NEST_ITER;
  return count;
}

static void compile_sources(struct dn_arena *arena, struct eval_nest *e) {
  const struct nest *n = e->nest;
  e->source =
      DN_ARRAY(arena, struct eval_source, n->naccesses + count_iters(n));
  e->nsources = n->naccesses;
  for (int k = 0; k < n->naccesses; k++) {
    struct eval_source *s = &e->source[k];
    compile_access(arena, e, &n->access[k], s);
    set_outside(e, s, s->from, false);
  }
  if (only_moves(n)) {
    struct eval_source *s = &e->source[n->node[0].arg[0]];
    assert(s->from == n->type->dtype && "a move keeps the type: infer.c");
    set_outside(e, s, s->from, true);
    e->type = s->from = s->to = bits_type(s->from);
  }
}

/* The source that a leaf node reads. */
static struct eval_source *leaf_source(struct eval_nest *e,
                                       const struct nest_node *node) {
  struct eval_source *s;
  if (node->kind == NEST_ACCESS) {
    s = &e->source[node->arg[0]];
  } else {
    s = &e->source[e->nsources++];
    s->operand = -1;
    s->from = IR_I64;
    s->stride[node->arg[0]] = 1;
  }
  s->leaf = true;
  return s;
}

static void compile_call(struct eval_nest *e, const struct nest_node *node,
                         union eval_lanes *const *value,
                         union eval_lanes *out) {
  const struct nest *n = e->nest;
  int arity = ir_scalars[node->fn].arity;
  assert(e->nsteps < n->nnodes && "one step a call");
  enum ir_dtype from = n->node[node->arg[arity - 1]].type;
  struct eval_step *step = &e->step[e->nsteps++];
  *step = (struct eval_step){
      .fn = eval_scalar(node->fn, from),
      .from = from,
      .to = node->type,
      .round = eval_needs_round(node->type),
      .r = out,
      .a = value[node->arg[0]],
      .b = arity > 1 ? value[node->arg[1]] : NULL,
      .c = arity > 2 ? value[node->arg[2]] : NULL,
  };
  assert(step->fn && "types_ok() has checked each call");
  /* A sum keeps its products exact: see eval.h. */
  if (n->fold == NEST_SUM && !e->f32_sums && ir_is_float(node->type) &&
      node->fn == IR_S_MUL && node == &n->node[n->nnodes - 1])
    step->round = false;
}

static void compile_body(struct dn_arena *arena, struct eval_nest *e,
                         int chunk) {
  const struct nest *n = e->nest;
  assert(chunk >= 1 && chunk <= EVAL_LANES && "eval_nest_new() bounds it");
  size_t size = (size_t)chunk * sizeof(int64_t);
  union eval_lanes *value[NEST_MAX_NODES];
  e->step = DN_ARRAY(arena, struct eval_step, n->nnodes);
  for (int k = 0; k < n->nnodes; k++) {
    const struct nest_node *node = &n->node[k];
    struct eval_source *s;
    switch (node->kind) {
    case NEST_NUMBER:
      value[k] = dn_alloc(arena, size);
      eval_number(node->type, node->number, value[k], chunk);
      continue;
    case NEST_CALL:
      value[k] = dn_alloc(arena, size);
      compile_call(e, node, value, value[k]);
      continue;
    case NEST_ACCESS:
    case NEST_ITER:
      s = leaf_source(e, node);
      if (!s->lanes)
        s->lanes = dn_alloc(arena, size);
      if (e->type == n->type->dtype)
        s->to = node->type;
      value[k] = s->lanes;
      continue;
    }
  }
  e->root = value[n->nnodes - 1];
  e->root_type =
      e->type == n->type->dtype ? n->node[n->nnodes - 1].type : e->type;
}

static bool types_ok(const struct nest *n) {
  if (nest_types_ok(n))
    return true;
  return dn_error(n->op->block->func->module->ctx, ir_loc(n->op),
                  DN_UNSUPPORTED_TYPE, "'%s' is not defined for %s",
                  ir_ops[n->op->code].text, ir_dtypes[n->acc_type].text);
}

int64_t eval_nest_inner(const struct eval_nest *e) {
  const struct ir_type *y = e->nest->type;
  assert(e->nest->carried >= 0 && e->nest->carried < y->rank &&
         "asked of orders and running folds alone");
  int64_t count = 1;
  for (int d = e->nest->carried + 1; d < y->rank; d++)
    count *= y->dim[d];
  return count;
}

struct eval_nest *eval_nest_new(struct dn_arena *arena, const struct ir_op *op,
                                bool f32_sums) {
  assert(ir_type_is_static(ir_result(op)->type) &&
         "run_op() and ir_eval_op() refuse others");
  struct eval_nest *e = DN_NEW(arena, struct eval_nest);
  e->nest = nest_build(arena, op);
  if (!types_ok(e->nest))
    return NULL;
  e->type = e->nest->type->dtype;
  e->f32_sums = f32_sums && ir_is_float(e->nest->acc_type);
  compile_spaces(e);
  compile_sources(arena, e);
  e->lanes_red = prefers_reduced_lanes(e);
  eval_gemm_plan(arena, e);
  int64_t most = dn_min(e->lanes_red ? e->red.count : e->par.count, EVAL_LANES);
  compile_body(arena, e, (int)dn_max(most, 1));
  for (int k = 0; k < e->nsources; k++)
    compile_walk(arena, e, &e->source[k]);
  int64_t code = dn_max(e->nest->step.nnodes, e->nest->finish.nnodes);
  e->code = DN_ARRAY(arena, union eval_lanes, code);
  if (e->nest->fold == NEST_NTH)
    eval_order_plan(arena, e);
  else if (e->nest->carried >= 0)
    e->state = dn_alloc(arena, (size_t)eval_nest_inner(e) * sizeof(int64_t));
  return e;
}

bool eval_nest_is_alias(const struct eval_nest *e) {
  const struct nest *n = e->nest;
  return only_moves(n) && n->access[n->node[0].arg[0]].flat;
}

bool eval_nest_keeps_splat(const struct eval_nest *e) {
  const struct nest *n = e->nest;
  if (n->fold != NEST_NONE || n->to >= 0 || e->nsources > n->naccesses)
    return false;
  for (int k = 0; k < e->nsources; k++) {
    if (n->access[k].npieces > 1)
      return false;
    for (int d = 0; d < n->access[k].rank && !n->access[k].flat; d++)
      if (n->access[k].idx[d].checked)
        return false;
  }
  return true;
}

/* ---- Running ---- */

void eval_space_seek(struct eval_nest *e, const struct eval_space *s,
                     int64_t pos) {
  assert(pos >= 0 && "points are counted from 0");
  for (int k = s->n; k-- > 0;) {
    int64_t extent = dn_max(e->nest->iter[s->iter[k]].extent, 1);
    e->it[s->iter[k]] = pos % extent;
    pos /= extent;
  }
}

void eval_nest_body(struct eval_nest *e, int64_t pos, int n) {
  assert(n >= 1 && n <= EVAL_LANES && "runs are cut into chunks");
  for (int k = 0; k < e->nsources; k++) {
    struct eval_source *s = &e->source[k];
    if (!s->leaf)
      continue;
    eval_source_fill(e, s, pos, n, s->lanes);
    eval_cast(s->from, s->to, s->lanes, n);
  }
  for (int k = 0; k < e->nsteps; k++) {
    const struct eval_step *s = &e->step[k];
    s->fn(s->from, s->to, s->r, s->a, s->b, s->c, n);
    if (s->round)
      eval_round(s->to, s->r, n);
  }
}

static void run_points(struct eval_nest *e, char *out, int64_t count) {
  assert(e->root_type == e->type && "a body has the type that infer.c gave");
  for (int64_t pos = 0; pos < count; pos += EVAL_LANES) {
    int n = (int)dn_min(EVAL_LANES, count - pos);
    eval_nest_body(e, pos, n);
    eval_store(e->type, out + pos * ir_dtypes[e->type].bytes, e->root, n);
  }
}

/* Rows of each piece of a concat, one after another. */
static void run_pieces(const struct eval_nest *e, const struct nest_access *a,
                       const struct eval_operand *operands, char *out) {
  const struct ir_type *y = e->nest->type;
  size_t size = ir_dtypes[y->dtype].bytes;
  int64_t outer = 1, inner = 1;
  for (int d = 0; d < y->rank; d++)
    *(d < a->axis ? &outer : &inner) *= d == a->axis ? 1 : y->dim[d];
  for (int64_t row = 0; row < outer; row++) {
    for (int k = 0; k < a->npieces; k++) {
      int64_t count = (a->start[k + 1] - a->start[k]) * inner;
      const char *from = operands[k].data;
      if (operands[k].splat)
        dn_fill(out, count, from, size);
      else if (count > 0)
        memcpy(out, from + (size_t)(row * count) * size, (size_t)count * size);
      out += (size_t)count * size;
    }
  }
}

void eval_nest_run(struct eval_nest *e, const struct eval_operand *operands,
                   void *out, int64_t count) {
  if (count < 0)
    count = e->par.count;
  assert((e->nest->to >= 0 || count <= e->par.count) &&
         "the result has no more elements");
  if (count == 0)
    return;
  if (e->nest->naccesses && e->nest->access[0].npieces > 1) {
    run_pieces(e, &e->nest->access[0], operands, out);
    return;
  }
  for (int k = 0; k < e->nsources; k++) {
    struct eval_source *s = &e->source[k];
    if (s->operand >= 0) {
      s->data = operands[s->operand].data;
      s->splat = operands[s->operand].splat;
    }
  }
  if (e->nest->to >= 0)
    eval_fold_onto(e, &operands[0], out);
  else if (e->nest->fold == NEST_NONE)
    run_points(e, out, count);
  else if (e->gemm)
    eval_gemm_run(e, out);
  else if (e->nest->fold == NEST_NTH)
    eval_order_run(e, out);
  else
    eval_fold_run(e, out);
}
