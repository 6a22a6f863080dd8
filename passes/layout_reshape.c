/* layout_reshape.c - reshapes under permuted dimensions. A reshape splits the
 * dimensions of both sides (those of 1 left aside) into groups with the same
 * number of elements, in order: [8,6,5] to [2,4,30] is {8}{6,5} to {2,4}{30}.
 * Whole groups may change places on both sides alike, and the reshape stays a
 * reshape. */
#include "passes/layout.h"

#include "ir/nest.h"

#include <assert.h>
#include <string.h>

const struct layout_perm layout_identity = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}};

bool layout_is_identity(struct layout_perm p) {
  return !memcmp(&p, &layout_identity, sizeof p);
}

/* Group of each dimension, -1 for those of 1. false for empty tensors. */
static bool find_groups(const struct ir_type *a, const struct ir_type *b,
                        int *ga, int *gb) {
  int i = 0, k = 0, group = 0;
  for (int d = 0; d < IR_MAX_RANK; d++)
    ga[d] = gb[d] = -1;
  if (ir_type_count(a) == 0)
    return false;
  int64_t pa = 1, pb = 1;
  while (i < a->rank || k < b->rank) {
    if (pa <= pb && i < a->rank) {
      ga[i] = a->dim[i] == 1 ? -1 : group;
      pa *= a->dim[i++];
    } else if (k < b->rank) {
      gb[k] = b->dim[k] == 1 ? -1 : group;
      pb *= b->dim[k++];
    } else {
      ga[i] = a->dim[i] == 1 ? -1 : group;
      pa *= a->dim[i++];
    }
    if (pa == pb && pa > 1) {
      group++;
      pa = pb = 1;
    }
  }
  assert(pa == 1 && pb == 1 && "a reshape keeps the elements: infer_reshape()");
  return true;
}

/* Groups in the order in which `order` visits them; -1 when it tears one apart
 * or turns it round. */
static int walk_groups(int rank, struct layout_perm order, const int *group,
                       int *out) {
  int n = 0, size[IR_MAX_RANK] = {0}, seen[IR_MAX_RANK] = {0};
  int64_t last = -1;
  for (int d = 0; d < rank; d++)
    if (group[d] >= 0)
      size[group[d]]++;
  for (int d = 0; d < rank; d++) {
    int64_t dim = order.at[d];
    int g = group[dim];
    if (g < 0)
      continue;
    bool more = n && out[n - 1] == g;
    if (more ? dim < last
             : seen[g] || (n && seen[out[n - 1]] != size[out[n - 1]]))
      return -1;
    if (!more)
      out[n++] = g;
    seen[g]++;
    last = dim;
  }
  return n;
}

bool layout_reshape_is_free(const struct ir_type *from, struct layout_perm a,
                            const struct ir_type *to, struct layout_perm b) {
  int ga[IR_MAX_RANK], gb[IR_MAX_RANK], wa[IR_MAX_RANK], wb[IR_MAX_RANK];
  if (!find_groups(from, to, ga, gb))
    return true;
  int na = walk_groups(from->rank, a, ga, wa);
  int nb = walk_groups(to->rank, b, gb, wb);
  return na >= 0 && na == nb && !memcmp(wa, wb, (size_t)na * sizeof *wa);
}

bool layout_reshape_order(const struct ir_type *from, struct layout_perm a,
                          const struct ir_type *to, struct layout_perm *b) {
  int ga[IR_MAX_RANK], gb[IR_MAX_RANK], walk[IR_MAX_RANK];
  *b = layout_identity;
  if (!find_groups(from, to, ga, gb))
    return true;
  int n = walk_groups(from->rank, a, ga, walk), at = 0, d = 0;
  if (n < 0)
    return false;
  for (; d < to->rank && gb[d] < 0; d++) /* leading ones stay in front */
    b->at[at++] = d;
  int lead = d;
  for (int k = 0; k < n; k++)
    for (d = 0; d < to->rank; d++)
      if (gb[d] == walk[k])
        b->at[at++] = d;
  for (d = lead; d < to->rank; d++)
    if (gb[d] < 0)
      b->at[at++] = d;
  assert(at == to->rank && "each dimension is in a group of both sides, or 1");
  return true;
}

bool layout_reshape_merges(const struct ir_type *from, struct layout_perm a,
                           const struct ir_type *to, int *group) {
  int ga[IR_MAX_RANK], gb[IR_MAX_RANK], into[IR_MAX_RANK];
  if (!find_groups(from, to, ga, gb))
    return false;
  for (int g = 0; g < IR_MAX_RANK; g++)
    into[g] = -1;
  for (int d = 0; d < to->rank; d++) {
    if (gb[d] < 0)
      continue;
    if (into[gb[d]] >= 0)
      return false; /* splits */
    into[gb[d]] = d;
  }
  int last = -1;
  int64_t dim = -1;
  for (int d = 0; d < from->rank; d++) {
    group[d] = ga[d] < 0 ? -1 : into[ga[d]];
    int g = ga[a.at[d]];
    if (g < 0)
      continue;
    if (g < last || (into[g] != to->rank - 1 && a.at[d] < dim))
      return false;
    last = g;
    dim = a.at[d];
  }
  return true;
}

/* ---- Contractions that take the permutation into their constants ---- */

/* Dimension of an access that is indexed by iterator `it` alone, when no other
 * is; -1 otherwise. */
static int sole_dim(const struct nest *n, const struct nest_access *a, int it) {
  int dim = -1;
  for (int d = 0; d < a->rank; d++) {
    const struct nest_index *x = &a->idx[d];
    if (!x->coef[it])
      continue;
    for (int i = 0; i < n->niters; i++)
      if (x->coef[i] != (i == it))
        return -1;
    if (dim >= 0 || x->base || !nest_index_is_plain(x))
      return -1;
    dim = d;
  }
  return dim;
}

/* Iterator that alone indexes dimension `d`, or -1. */
static int sole_iter(const struct nest *n, const struct nest_access *a, int d) {
  for (int i = 0; i < n->niters; i++)
    if (a->idx[d].coef[i] == 1)
      return sole_dim(n, a, i) == d ? i : -1;
  return -1;
}

/* Dimension of the constant operand that is summed together with dimension `d`
 * of operand `k`; -1: none, or more is read by it. */
static int weight_dim(const struct nest *n, int k, int d) {
  assert(n->naccesses == 2 && (k == 0 || k == 1) &&
         "is_weighted(): a product of two operands");
  const struct nest_access *a = &n->access[k], *w = &n->access[1 - k];
  int it = sole_iter(n, a, d);
  return it >= 0 && n->iter[it].reduced ? sole_dim(n, w, it) : -1;
}

static bool is_weighted(const struct ir_op *op) {
  return ir_ops[op->code].cls == IR_CONTRACT && op->noperands == 2 &&
         ir_arg(op, 0) != ir_arg(op, 1);
}

/* Number of the operand that `v` is, when the other is a constant. */
static int operand_of(const struct ir_op *op, const struct ir_value *v) {
  int k = ir_arg(op, 1) == v;
  return edit_folds(ir_arg(op, (unsigned)(1 - k))) ? k : -1;
}

bool layout_can_absorb(const struct ir_value *v) {
  bool ok = v->uses != NULL;
  for (const struct ir_use *u = v->uses; u && ok; u = u->next) {
    ok = is_weighted(u->op) && operand_of(u->op, v) >= 0;
    if (!ok)
      break;
    struct dn_arena *arena = dn_arena_new(u->op->block->func->module->ctx);
    const struct nest *n = nest_build(arena, u->op);
    int k = operand_of(u->op, v), last = v->type->rank - 1;
    ok = weight_dim(n, k, last) >= 0;
    dn_arena_free(arena);
  }
  return ok;
}

/* `w` with dimension `at` split into `dims`, permuted, and merged again. */
static struct ir_value *permute_inside(struct ir_builder *b, struct ir_value *w,
                                       int at, int n, const int64_t *dims,
                                       const int *perm) {
  const struct ir_type *type = w->type;
  int64_t split[2 * IR_MAX_RANK], order[2 * IR_MAX_RANK];
  int rank = type->rank + n - 1;
  if (rank > IR_MAX_RANK)
    return NULL;
  for (int d = 0; d < rank; d++) {
    bool inside = d >= at && d < at + n;
    split[d] = inside ? dims[d - at] : type->dim[d < at ? d : d - n + 1];
    order[d] = inside ? at + perm[d - at] : d;
  }
  struct ir_value *v = edit_reshape(b, w, rank, split);
  v = v ? edit_transpose(b, v, order) : NULL;
  return v ? edit_reshape(b, v, type->rank, type->dim) : NULL;
}

bool layout_absorb(struct ir_value *v, const struct ir_type *from,
                   struct layout_perm order, const int *group) {
  int last = v->type->rank - 1, n = 0, place[IR_MAX_RANK], perm[IR_MAX_RANK];
  int64_t dims[IR_MAX_RANK];
  for (int d = 0; d < from->rank; d++) {
    if (group[d] != last)
      continue;
    place[d] = n;
    dims[n++] = from->dim[d];
  }
  n = 0;
  for (int d = 0; d < from->rank; d++)
    if (group[order.at[d]] == last)
      perm[n++] = place[order.at[d]];
  for (struct ir_use *u = v->uses; u; u = u->next) {
    struct dn_arena *arena = dn_arena_new(u->op->block->func->module->ctx);
    int k = operand_of(u->op, v);
    int at = weight_dim(nest_build(arena, u->op), k, last);
    dn_arena_free(arena);
    assert(k >= 0 && at >= 0 && "layout_can_absorb() has seen each reader");
    struct ir_builder b = edit_before(u->op);
    struct ir_value *w =
        permute_inside(&b, ir_arg(u->op, (unsigned)(1 - k)), at, n, dims, perm);
    if (!w)
      return false;
    ir_set_operand(u->op, (unsigned)(1 - k), w);
  }
  return true;
}
