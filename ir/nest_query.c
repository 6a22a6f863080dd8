/* nest_query.c - questions to a nest: views, pointwise accesses, sizes, text.
 */
#include "ir/nest.h"

#include "ir/formula.h"
#include "ir/nest_map.h"
#include "ir/place.h"
#include "ir/size.h"

#include <assert.h>
#include <math.h>
#include <string.h>

int64_t nest_points(const struct nest *n) {
  assert((n->fold != NEST_NTH || n->carried >= 0) &&
         "an order has a dimension of places: find_places()");
  int64_t points = 1;
  int places = n->fold == NEST_NTH ? n->y[n->carried].iter[0] : -1;
  for (int i = 0; i < n->niters; i++) {
    const struct nest_iter *it = &n->iter[i];
    int64_t extent = ir_size_mean(it->size, it->extent);
    if (i != places && !dn_mul(points, extent, &points))
      return INT64_MAX;
  }
  return points;
}

double nest_reads(struct dn_ctx *ctx, const struct ir_use *u) {
  struct dn_arena *scratch = dn_arena_new(ctx);
  const struct nest *n =
      u->op->nresults == 1 ? nest_build(scratch, u->op) : NULL;
  double reads =
      n ? (double)nest_points(n) : (double)ir_type_count(u->value->type);
  dn_arena_free(scratch);
  return reads;
}

static bool calls_ok(const struct nest_node *node, int count) {
  for (int k = 0; k < count; k++) {
    if (node[k].kind != NEST_CALL)
      continue;
    const struct ir_scalar_row *row = &ir_scalars[node[k].fn];
    enum ir_kind kind = ir_dtypes[node[node[k].arg[row->arity - 1]].type].kind;
    if (!strchr(row->types, kind == IR_UNSIGNED ? IR_SIGNED : (int)kind))
      return false;
  }
  return true;
}

bool nest_types_ok(const struct nest *n) {
  return calls_ok(n->node, n->nnodes) &&
         calls_ok(n->step.node, n->step.nnodes) &&
         calls_ok(n->merge.node, n->merge.nnodes) &&
         calls_ok(n->finish.node, n->finish.nnodes);
}

/* The result is operand 0's element, moved. */
static bool is_move(const struct nest *n) {
  return n->to < 0 && n->fold == NEST_NONE && n->naccesses == 1 &&
         n->nnodes == 1 && n->node[0].kind == NEST_ACCESS &&
         n->op->noperands == 1;
}

static bool is_affine(const struct nest_access *a) {
  for (int d = 0; d < a->rank; d++)
    if (!nest_index_is_plain(&a->idx[d]))
      return false;
  return true;
}

bool nest_is_view(const struct nest *n) {
  return is_move(n) && !n->access[0].flat && is_affine(&n->access[0]);
}

/* Strides of a reshaped view: dims of both shapes are matched in groups of
 * equal element count; within a group of several old dims the old ones must be
 * contiguous with each other. Unit dims are free. */
static bool reshape_strides(const struct ir_type *from, const int64_t *stride,
                            const struct ir_type *to, int64_t *out) {
  int old = 0, dst = 0;
  if (ir_type_count(to) == 0 || ir_type_count(from) == 0) {
    ir_type_strides(to, out);
    return true;
  }
  while (dst < to->rank) {
    int64_t have = 1, want = to->dim[dst];
    int first = dst++, last = old;
    while (dst < to->rank && to->dim[dst] == 1)
      dst++;
    while (have != want) {
      if (have < want) {
        while (from->dim[old] == 1)
          old++;
        assert(old < from->rank &&
               "both shapes have as many elements: infer_reshape()");
        have *= from->dim[old];
        last = old++;
      } else {
        assert(dst < to->rank &&
               "both shapes have as many elements: infer_reshape()");
        want *= to->dim[dst++];
      }
    }
    for (int d = old - 1, inner = -1; d >= 0 && have > 1; d--) {
      if (from->dim[d] == 1)
        continue;
      if (inner >= 0 && stride[d] != stride[inner] * from->dim[inner])
        return false;
      have /= from->dim[d];
      inner = d;
    }
    int64_t s = want > 1 ? stride[last] : 1;
    for (int d = dst; d-- > first;) {
      out[d] = s;
      s *= to->dim[d];
    }
  }
  return true;
}

/* The stride of a dimension of size 1 may be anything; its product then may be
 * too large, and means as little. */
static int64_t wrap_mul(int64_t a, int64_t b) {
  return (int64_t)((uint64_t)a * (uint64_t)b);
}

bool nest_view(const struct nest *n, const int64_t *stride, int64_t *out_stride,
               int64_t *out_offset) {
  *out_offset = 0;
  if (is_move(n) && n->access[0].flat)
    return reshape_strides(ir_arg(n->op, 0)->type, stride, n->type, out_stride);
  if (!nest_is_view(n))
    return false;
  const struct nest_access *a = &n->access[0];
  for (int d = 0; d < n->type->rank; d++) {
    assert(n->y[d].n == 1 && n->y[d].stride[0] == 1 &&
           "nest_is_view() has looked at it");
    out_stride[d] = 0;
    for (int k = 0; k < a->rank; k++)
      out_stride[d] += wrap_mul(a->idx[k].coef[n->y[d].iter[0]], stride[k]);
  }
  for (int k = 0; k < a->rank; k++)
    *out_offset += a->idx[k].base * stride[k];
  return true;
}

/* Whether index d of an access is the result's index d. */
static bool own_index(const struct nest *n, const struct nest_index *x, int d) {
  if (x->base || !nest_index_is_plain(x) || n->y[d].n != 1)
    return false;
  assert(d < n->type->rank && n->y[d].stride[0] == 1 &&
         "pointwise_access() compares ranks; one iterator is the index");
  int own = n->y[d].iter[0];
  for (int i = 0; i < n->niters; i++)
    if (x->coef[i] != (i == own) && n->iter[i].extent > 1)
      return false;
  return true;
}

static bool pointwise_access(const struct nest *n, const struct nest_access *a,
                             unsigned operand) {
  const struct ir_type *type = ir_arg(n->op, operand)->type;
  if (type->rank != n->type->rank)
    return false;
  for (int d = 0; d < type->rank; d++) {
    if (type->dim[d] != n->type->dim[d])
      return false;
    if (!a->flat && type->dim[d] != 1 && !own_index(n, &a->idx[d], d))
      return false;
  }
  return true;
}

int nest_dim_iter(const struct nest *n, int d) {
  assert(d >= 0 && d < n->type->rank && "a dimension of the result");
  int iter = -1;
  for (int i = 0; i < n->y[d].n; i++)
    if (n->iter[n->y[d].iter[i]].extent > 1)
      iter = n->y[d].iter[i];
  return iter;
}

int nest_inner_reduced(const struct nest *n) {
  int iter = -1;
  for (int i = 0; i < n->niters; i++)
    if (n->iter[i].reduced && n->iter[i].extent > 1)
      iter = i;
  return iter;
}

/* Of dimension [i], whose reduced iterator is known. */
static bool window_dim(const struct nest *n, struct nest_window *w, int i) {
  assert(w->red[i] >= 0 && "nest_window() has found it");
  const struct nest_access *a = &n->access[0];
  for (int d = 0; d < a->rank; d++) {
    if (!a->idx[d].coef[w->red[i]])
      continue;
    if (w->dim[i] >= 0 || a->idx[d].coef[w->red[i]] != 1 ||
        !nest_index_is_affine(&a->idx[d]))
      return false;
    w->dim[i] = d;
    w->first[i] = a->idx[d].base;
  }
  w->span[i] = n->iter[w->red[i]].extent;
  for (int j = 0; j < n->niters && w->dim[i] >= 0; j++) {
    int64_t coef = a->idx[w->dim[i]].coef[j];
    if (!coef || j == w->red[i] || n->iter[j].extent == 1)
      continue;
    if (w->out[i] >= 0 || coef < 0 || n->iter[j].reduced)
      return false;
    w->out[i] = j;
    w->stride[i] = coef;
    if (!dn_mul(coef, n->iter[j].extent - 1, &coef) ||
        !dn_add(w->span[i], coef, &w->span[i]))
      return false;
  }
  return w->dim[i] >= 0;
}

bool nest_window(const struct nest *n, struct nest_window *w) {
  *w = (struct nest_window){{-1, -1}, {-1, -1}, {-1, -1}, {0}, {0}, {1, 1}};
  if (!n->naccesses || n->access[0].flat || n->access[0].npieces > 1)
    return false;
  for (int i = 0, at = 0; i < n->niters; i++) {
    if (n->iter[i].size)
      return false;
    if (!n->iter[i].reduced || n->iter[i].extent == 1)
      continue;
    if (at == 2)
      return false;
    w->red[at++] = i;
  }
  if (w->red[1] < 0) { /* one dimension: the inner one */
    w->red[1] = w->red[0];
    w->red[0] = -1;
  }
  return w->red[1] >= 0 && window_dim(n, w, 1) &&
         (w->red[0] < 0 || window_dim(n, w, 0)) && w->dim[0] != w->dim[1];
}

int64_t nest_window_bytes(const struct nest_window *w) {
  int64_t n;
  bool fits = dn_mul(w->span[0], w->span[1], &n) && dn_add(n, 4, &n);
  return fits ? n : INT64_MAX;
}

bool nest_slides(const struct nest *n, struct nest_window *w) {
  bool bytes = n->fold == NEST_SUM && n->acc_type == IR_I32 &&
               n->naccesses == 2 && n->nnodes == 3;
  for (int a = 0; a < 2 && bytes; a++) {
    enum ir_dtype t =
        ir_arg(n->op, (unsigned)n->access[a].operand)->type->dtype;
    bytes = t == IR_I8 || (t == IR_U8 && !a);
  }
  bytes = bytes && !n->access[1].flat && nest_window(n, w) && w->out[1] >= 0 &&
          nest_window_bytes(w) <= NEST_MAX_PLANE &&
          nest_steps_from(n, 0, 1) <= NEST_MAX_WINDOW;
  for (int d = 0; bytes && d < n->access[1].rank; d++)
    for (int i = 0; i < 2; i++)
      bytes &= w->out[i] < 0 || !n->access[1].idx[d].coef[w->out[i]];
  return bytes;
}

bool nest_narrows(const struct nest *n, double *zero) {
  const struct nest_node *root = &n->node[n->nnodes - 1];
  if (n->fold != NEST_NONE || root->kind != NEST_CALL ||
      root->fn != IR_S_NARROW || ir_dtypes[n->type->dtype].bits != 8 ||
      n->node[root->arg[0]].type != IR_F32 ||
      n->node[root->arg[1]].kind != NEST_ACCESS)
    return false;
  const struct nest_access *a = &n->access[n->node[root->arg[1]].arg[0]];
  const struct ir_value *z =
      ir_view_source(ir_arg(n->op, (unsigned)a->operand));
  return z->data && ir_const_uniform(z, zero) && *zero == rint(*zero) &&
         fabs(*zero) <= INT16_MAX;
}

bool nest_narrows_products(const struct ir_op *narrow) {
  const struct ir_op *mul = ir_arg(narrow, 0)->def;
  assert(narrow->code == IR_NARROW && "nest_narrows()");
  if (!mul || mul->block != narrow->block || mul->code != IR_MUL)
    return false;
  for (unsigned i = 0; i < 2; i++) {
    const struct ir_op *cast = ir_arg(mul, i)->def;
    const struct ir_value *by = ir_arg(mul, 1 - i);
    if (!cast || cast->block != narrow->block || cast->code != IR_CAST ||
        !by->data || ir_arg(cast, 0)->type->dtype != IR_I32)
      continue;
    double lo, hi;
    return ir_const_range(by, &lo, &hi) && lo > -1 && hi < 1;
  }
  return false;
}

const struct ir_op *nest_addition(const struct nest *n) {
  const struct ir_value *y = ir_result(n->op);
  const struct ir_op *add = y->uses ? y->uses->op : NULL;
  if (!add || y->uses->next || add->code != IR_ADD ||
      add->block != n->op->block || n->fold != NEST_SUM || n->nstates != 1 ||
      n->carried >= 0 || n->acc_type != IR_I32 || y->type->dtype != IR_I32 ||
      y->type != ir_result(add)->type)
    return NULL;
  const struct ir_op *other = ir_arg(add, ir_arg(add, 0) == y)->def;
  return other && other->block == add->block ? NULL : add;
}

/* The dimension of operand 0 along which the nest folds, where that is the only
 * one and the others, the last among them, are the result's. -1: there is none. */
static int dim_folded(const struct nest *n) {
  const struct nest_access *a = &n->access[0];
  int red = -1, nred = 0, dim = 0;
  for (int i = 0; i < n->niters; i++)
    if (n->iter[i].reduced) {
      red = i;
      nred++;
    }
  if (nred != 1 || a->operand || a->npieces != 1 || a->flat ||
      a->rank != n->type->rank + 1)
    return -1;
  while (dim < a->rank && !a->idx[dim].coef[red])
    dim++;
  for (int d = 0; d < a->rank; d++)
    if (d != dim && !own_index(n, &a->idx[d], d - (d > dim)))
      return -1;
  return dim + 1 < a->rank ? dim : -1;
}

const struct ir_op *nest_sum_of_parts(struct dn_arena *arena,
                                      const struct ir_op *op, int *dim) {
  const struct ir_type *type = ir_result(op)->type;
  const struct ir_op *at = op;
  const struct ir_use *u;
  if (ir_ops[op->code].cls != IR_CONTRACT)
    return NULL;
  do {
    u = ir_result(at)->uses;
    if (!u || u->next || u->op->block != op->block)
      return NULL;
    at = u->op;
  } while (ir_ops[at->code].cls == IR_MAP &&
           ir_same_dims(ir_result(at)->type, type));
  if (ir_ops[at->code].cls != IR_CONTRACT || u != at->operand[0] ||
      ir_result(at)->type->rank + 1 != type->rank)
    return NULL;
  *dim = dim_folded(nest_build(arena, at));
  return *dim < 0 ? NULL : at;
}

const struct nest *nest_parts(struct dn_arena *arena,
                              const struct ir_op *kernel, int *dim) {
  *dim = -1;
  for (const struct ir_op *op = kernel->region[0]->first; op; op = op->next)
    if (ir_ops[op->code].cls == IR_CONTRACT)
      return nest_sum_of_parts(arena, op, dim) ? nest_build(arena, op) : NULL;
  return NULL;
}

int64_t nest_steps_from(const struct nest *n, int iter, int64_t run) {
  assert(iter >= 0 && run > 0 &&
         "the caller counts iterators; runs have elements");
  int inner = nest_inner_reduced(n);
  int64_t steps = 1;
  for (int i = iter; i < n->niters; i++) {
    int64_t extent = n->iter[i].extent;
    extent = i == inner ? dn_div_ceil(extent, run) : extent;
    if (n->iter[i].reduced && !dn_mul(steps, extent, &steps))
      return INT64_MAX;
  }
  return steps;
}

bool nest_is_pointwise(const struct nest *n, unsigned operand) {
  assert(operand < n->op->noperands && "the caller counts the op's operands");
  if (n->carried >= 0 || n->to >= 0)
    return false;
  for (int i = 0; i < n->niters; i++)
    if (n->iter[i].reduced && n->iter[i].extent != 1)
      return false;
  for (int k = 0; k < n->naccesses; k++) {
    const struct nest_access *a = &n->access[k];
    if (a->operand <= (int)operand && (int)operand < a->operand + a->npieces &&
        !pointwise_access(n, a, operand))
      return false;
  }
  return true;
}

bool nest_folds_rows(const struct nest *n) {
  const struct nest_access *a = &n->access[0];
  if (ir_ops[n->op->code].cls != IR_REDUCE || n->naccesses != 1 || n->to >= 0 ||
      a->flat || a->rank != n->type->rank)
    return false;
  bool folds = false;
  for (int d = 0; d < a->rank; d++) {
    const struct nest_index *x = &a->idx[d];
    for (int i = 0; i < n->niters; i++) {
      bool own = n->y[d].n == 1 && n->y[d].iter[0] == i;
      bool folded = n->y[d].n == 0 && n->iter[i].reduced;
      if (x->coef[i] && (x->coef[i] != 1 || (!own && !folded)))
        return false;
      folds |= x->coef[i] && folded;
    }
    if (x->base || x->div != 1 || x->indirect >= 0 || x->checked)
      return false;
  }
  return folds;
}

bool nest_same_rows(const struct nest *a, const struct nest *b) {
  return nest_folds_rows(a) && nest_folds_rows(b) &&
         ir_same_dims(a->type, b->type) &&
         ir_same_dims(ir_arg(a->op, 0)->type, ir_arg(b->op, 0)->type);
}

/* Dimensions that the kernel's folds of whole rows go along; with `whole`,
 * those that an order or a running fold goes along too. */
static uint64_t kernel_dims(const struct ir_op *kernel, bool whole) {
  assert(kernel->code == IR_KERNEL && "the caller has a kernel");
  const struct ir_type *y = ir_result(kernel)->type;
  struct dn_arena *tmp = dn_arena_new(kernel->block->func->module->ctx);
  uint64_t dims = 0;
  for (const struct ir_op *op = kernel->region[0]->first; op->next;
       op = op->next) {
    const struct nest *n =
        ir_ops[op->code].cls == IR_REDUCE ? nest_build(tmp, op) : NULL;
    bool rows = n && nest_folds_rows(n) && ir_same_dims(ir_arg(op, 0)->type, y);
    for (int d = 0; rows && d < y->rank; d++)
      if (n->type->dim[d] != y->dim[d])
        dims |= UINT64_C(1) << d;
    if (whole && n && n->carried >= 0)
      dims |= UINT64_C(1) << n->carried;
    if (whole && n && n->to >= 0)
      dims = UINT64_MAX;
  }
  dn_arena_free(tmp);
  return dims;
}

uint64_t nest_row_dims(const struct ir_op *kernel) {
  return kernel_dims(kernel, false);
}

uint64_t nest_whole_dims(const struct ir_op *kernel) {
  return kernel_dims(kernel, true);
}

const struct ir_op *nest_onto(const struct ir_op *kernel) {
  assert(kernel->code == IR_KERNEL && "the caller has a kernel");
  const struct ir_op *op = ir_arg(kernel->region[0]->last, 0)->def;
  bool own = op && op->block == kernel->region[0];
  return own && ir_ops[op->code].traits & IR_ONTO ? op : NULL;
}

/* ---- Sizes that are known at run time only ---- */

static const char *access_sizes_error(const struct nest *n,
                                      const struct nest_access *a) {
  const struct ir_type *type = ir_arg(n->op, (unsigned)a->operand)->type;
  for (int d = 0; d < a->rank && !a->flat; d++) {
    const struct nest_index *x = &a->idx[d];
    int sum = 0;
    for (int i = 0; i < n->niters; i++)
      sum += x->coef[i] && n->iter[i].size;
    if (type->size[d] && x->fit != NEST_AS_IS)
      return "it is what an index is clamped, reflected or wrapped to";
    if (sum && x->div > 1)
      return "an index along it is divided";
  }
  return NULL;
}

const char *nest_sizes_error(const struct nest *n) {
  const char *error = NULL;
  int reduced = 0;
  for (int d = 0; d < n->type->rank; d++)
    for (int i = 0; i < n->y[d].n && n->y[d].n > 1; i++)
      if (n->iter[n->y[d].iter[i]].size || n->type->size[d])
        return "a dimension of groups has it";
  for (int i = 0; i < n->niters; i++)
    reduced += n->iter[i].reduced && n->iter[i].extent > 1;
  for (int i = 0; i < n->niters; i++)
    if (n->iter[i].size && reduced > 1 && nest_code_uses(&n->step, NEST_VAR_K))
      return "elements are counted over it and other dimensions";
  if (n->carried >= 0 && (n->back || n->fold == NEST_NTH))
    for (int d = 0; d < n->type->rank; d++)
      if (n->type->size[n->carried] || ir_arg(n->op, 0)->type->size[n->carried])
        return n->fold == NEST_NTH ? "it is sorted"
                                   : "a sum runs along it from its end";
  if (n->to >= 0 && ir_type_is_sized(ir_arg(n->op, 0)->type))
    return "slices go onto an operand that has it";
  for (int k = 0; k < n->naccesses && !error; k++)
    error = access_sizes_error(n, &n->access[k]);
  return error;
}

/* ---- Self-check of rows ---- */

static bool row_has(const char *list, const char *name) {
  return dn_word(list, name, strlen(name), NULL) != NULL;
}

static const char *check_access(enum ir_opcode code,
                                const struct formula_access *a) {
  const struct ir_op_row *row = &ir_ops[code];
  if (strcmp(a->operand, "y") && !row_has(row->operands, a->operand))
    return "an access is to no operand";
  for (int i = 0; i < a->n; i++) {
    const struct formula_index *x = &a->index[i];
    const char *names[] = {x->perm, x->drop, x->div};
    for (int k = 0; k < 3; k++)
      if (names[k][0] && !row_has(row->attrs, names[k]))
        return "an index names no attribute";
    for (int t = 0; t < x->nterms; t++)
      if ((x->term[t].attr[0] && !row_has(row->attrs, x->term[t].attr)) ||
          (x->term[t].decl[0] && x->term[t].decl[1] &&
           !row_has(row->attrs, x->term[t].decl)))
        return "an index names no attribute";
  }
  return NULL;
}

const char *nest_check_row(struct dn_arena *arena, enum ir_opcode code) {
  const struct ir_op_row *row = &ir_ops[code];
  if (row->cls == IR_REGION)
    return row->body[0] ? "an op with regions has no body" : NULL;
  if (row->cls == IR_MAP)
    return nest_check_map(arena, code);
  if (row->body[0] == '@')
    return row_has(row->attrs, row->body + 1) ? NULL : "no such attribute";
  struct formula f;
  const char *error = formula_parse(arena, row->body, &f);
  if (!error)
    error = check_access(code, &f.y);
  if (!error && f.first > 0 && *nest_folds[f.fold].merge)
    error = "what goes onto an operand is folded by one state";
  if (!error && f.largest[0] && !row_has(row->attrs, f.largest))
    error = "an order names no attribute";
  for (int k = 0; k < f.naccesses && !error; k++)
    error = check_access(code, &f.access[k]);
  return error;
}
