/* layout_graph.c - which values share a layout, and which layout that is. The
 * results of ops that can be permuted form groups with their operands (union
 * and find); what else reads or makes them is an edge with a price in bytes: a
 * transpose is needed there when the orders on both sides differ. Groups choose
 * in program order among the orders that make some edge free, and then again,
 * with all neighbours known, as long as the total price falls. Linear in the
 * number of edges: a group looks at 8 orders at most, in 4 rounds at most. */
#include "passes/layout.h"

#include <assert.h>
#include <string.h>

enum { MAX_CANDIDATES = 8, MAX_ROUNDS = 4 };

/* ---- Permutations ---- */

static struct layout_perm inverse(struct layout_perm p) {
  struct layout_perm out;
  for (int d = 0; d < IR_MAX_RANK; d++) {
    assert(p.at[d] >= 0 && p.at[d] < IR_MAX_RANK &&
           "a permutation of all dimensions: layout_identity");
    out.at[p.at[d]] = d;
  }
  return out;
}

/* (p after q): d -> q[p[d]]. */
static struct layout_perm compose(struct layout_perm q, struct layout_perm p) {
  struct layout_perm out;
  for (int d = 0; d < IR_MAX_RANK; d++)
    out.at[d] = q.at[p.at[d]];
  return out;
}

/* The same sequence of dimensions, those of 1 left aside. */
static bool same_order(const struct ir_type *type, struct layout_perm a,
                       struct layout_perm b) {
  int i = 0, k = 0;
  for (;;) {
    while (i < type->rank && type->dim[a.at[i]] == 1)
      i++;
    while (k < type->rank && type->dim[b.at[k]] == 1)
      k++;
    if (i == type->rank || k == type->rank)
      return i == k;
    if (a.at[i++] != b.at[k++])
      return false;
  }
}

const struct layout_perm *layout_group_order(const struct layout *l,
                                             int group) {
  assert(group < (int)l->group.n && "number_groups() has numbered them");
  return group < 0 ? &layout_identity : &l->group.v[group].order;
}

struct layout_perm layout_order_of(const struct layout *l,
                                   const struct ir_value *v) {
  assert(v->id < l->nvalues && "values that the pass made have no group");
  const struct layout_value *at = &l->value[v->id];
  int group = l->value[at->base->id].group;
  return compose(inverse(at->perm), *layout_group_order(l, group));
}

/* ---- Groups ---- */

static bool has_axis_quant(const struct ir_type *t) {
  return t->quant && t->quant->scales;
}

enum layout_kind layout_kind_of(const struct layout *l,
                                const struct ir_op *op) {
  if (op->nresults != 1 || !(ir_ops[op->code].traits & IR_PURE))
    return LAYOUT_FIXED;
  const struct ir_type *y = ir_result(op)->type;
  if (!ir_type_is_static(y) || has_axis_quant(y) || y->rank < 2 ||
      op->noperands == 0)
    return LAYOUT_FIXED;
  bool constant = true;
  for (unsigned i = 0; i < op->noperands; i++) {
    const struct ir_type *t = ir_arg(op, i)->type;
    if (!ir_type_is_static(t) || has_axis_quant(t))
      return LAYOUT_FIXED;
    constant = constant && edit_folds(ir_arg(op, i));
  }
  return constant ? LAYOUT_FIXED : l->row[op->code].kind;
}

static int find_root(int *parent, int id) {
  while (parent[id] != id) {
    parent[id] = parent[parent[id]];
    id = parent[id];
  }
  return id;
}

static void resolve_transpose(struct layout *l, const struct ir_op *op) {
  const struct layout_value *x = &l->value[ir_arg(op, 0)->id];
  struct layout_perm p = layout_identity;
  for (int d = 0; d < ir_result(op)->type->rank; d++) {
    p.at[d] = ir_get_at(op, "perm", d);
    assert(p.at[d] >= 0 && p.at[d] < ir_result(op)->type->rank &&
           "perm is a permutation: infer_transpose()");
  }
  l->value[ir_result(op)->id] =
      (struct layout_value){x->base, compose(x->perm, p), -1};
}

/* Operand and result are to have the same layout. */
static bool shares_order(const struct layout *l, const struct ir_value *v,
                         const struct ir_value *y) {
  const struct layout_value *at = &l->value[v->id];
  return v->type->rank == y->type->rank && !edit_folds(v) &&
         l->value[at->base->id].group >= 0 && layout_is_identity(at->perm);
}

/* Fills l->value; a grouped base has as its group, for now, its own id, with
 * `parent` telling which are one. */
static void find_groups(struct layout *l, int *parent) {
  for (struct ir_op *op = ir_first(l->m); op; op = ir_next(op)) {
    enum layout_kind kind = layout_kind_of(l, op);
    if (kind == LAYOUT_TRANSPOSE)
      resolve_transpose(l, op);
    if (kind == LAYOUT_TRANSPOSE || kind == LAYOUT_FIXED)
      continue;
    struct ir_value *y = ir_result(op);
    l->value[y->id].group = (int)y->id;
    if (kind == LAYOUT_RESHAPE)
      continue;
    for (unsigned i = 0; i < op->noperands; i++) {
      struct ir_value *v = ir_arg(op, i);
      if (!shares_order(l, v, y))
        continue;
      int a = find_root(parent, (int)l->value[v->id].base->id);
      parent[find_root(parent, (int)y->id)] = a;
    }
  }
}

static void number_groups(struct layout *l, int *parent) {
  int *number = DN_ARRAY(l->arena, int, l->nvalues);
  for (struct ir_op *op = ir_first(l->m); op; op = ir_next(op)) {
    for (unsigned i = 0; i < op->nresults; i++) {
      const struct ir_value *v = op->result[i];
      if (l->value[v->id].group < 0)
        continue;
      int root = find_root(parent, (int)v->id);
      if (!number[root]) {
        struct layout_group g = {.rank = v->type->rank,
                                 .order = layout_identity};
        DN_PUSH(l->arena, l->group, g);
        number[root] = (int)l->group.n;
      }
      l->value[v->id].group = number[root] - 1;
    }
  }
}

/* ---- Edges ---- */

static int group_of(const struct layout *l, const struct ir_value *v) {
  return l->value[l->value[v->id].base->id].group;
}

static void add_edge(struct layout *l, struct layout_edge e) {
  unsigned number = (unsigned)l->edge.n;
  int from = group_of(l, e.value);
  if (edit_folds(e.value) || (from < 0 && e.to < 0))
    return;
  assert(from < (int)l->group.n && e.to < (int)l->group.n &&
         "number_groups() has numbered them");
  DN_PUSH(l->arena, l->edge, e);
  if (from >= 0)
    DN_PUSH(l->arena, l->group.v[from].edges, number);
  if (e.to >= 0 && e.to != from)
    DN_PUSH(l->arena, l->group.v[e.to].edges, number);
}

/* `last[id]`: the last group, plus 2, that an edge from the value leads to, so
 * that many readers of a kind count once: they share the transpose. */
static void find_edges(struct layout *l) {
  int *last = DN_ARRAY(l->arena, int, l->nvalues);
  for (struct ir_op *op = ir_first(l->m); op; op = ir_next(op)) {
    enum layout_kind kind = layout_kind_of(l, op);
    if (kind == LAYOUT_TRANSPOSE)
      continue;
    const struct ir_value *y = op->nresults ? op->result[0] : NULL;
    int to = kind == LAYOUT_FIXED ? -1 : group_of(l, y);
    for (unsigned i = 0; i < op->noperands; i++) {
      const struct ir_value *v = ir_arg(op, i);
      struct layout_edge e = {.kind = LAYOUT_USE, .value = v, .to = to};
      if (kind == LAYOUT_RESHAPE) {
        e.kind = LAYOUT_RESHAPES;
        e.result = y->type;
        e.absorbs = layout_can_absorb(y);
      } else if (to >= 0 && v->type->rank != y->type->rank) {
        e.kind = LAYOUT_LOW;
        e.result = y->type;
      } else if (last[v->id] == to + 2 || (to >= 0 && shares_order(l, v, y))) {
        continue;
      } else {
        last[v->id] = to + 2;
      }
      add_edge(l, e);
    }
  }
}

/* ---- Prices ---- */

/* An order of the value to which nothing need be moved, for a low operand: as
 * it is, and the map's order must not move its dimensions. */
static bool low_is_free(const struct layout_edge *e, struct layout_perm have,
                        struct layout_perm want) {
  struct ir_type wide = *e->result;
  int lead = wide.rank - e->value->type->rank;
  assert(lead >= 0 && "operands broadcast to the result: infer.c");
  for (int d = 0; d < wide.rank; d++)
    wide.dim[d] = d < lead ? 1 : e->value->type->dim[d - lead];
  return same_order(e->value->type, have, layout_identity) &&
         same_order(&wide, want, layout_identity);
}

/* Bytes moved along an edge. Reshapes of groups not yet chosen cost nothing,
 * and next to nothing what ops that can be permuted read one element at a
 * time. */
static int64_t price(const struct layout *l, const struct layout_edge *e) {
  struct layout_perm have = layout_order_of(l, e->value);
  struct layout_perm want = *layout_group_order(l, e->to);
  const struct ir_type *type = e->value->type;
  int64_t bytes = dn_max(ir_type_bytes(type), 1);
  struct layout_perm between;
  int group[IR_MAX_RANK];
  switch (e->kind) {
  case LAYOUT_USE:
    if (e->to >= 0 && !l->env->target->vector_bytes)
      bytes = 1;
    return same_order(type, have, want) ? 0 : bytes;
  case LAYOUT_LOW:
    return low_is_free(e, have, want) ? 0 : bytes;
  case LAYOUT_RESHAPES:
    if (layout_reshape_is_free(type, have, e->result, want))
      return 0;
    if (e->absorbs && layout_reshape_merges(type, have, e->result, group) &&
        same_order(e->result, want, layout_identity))
      return 0;
    if (layout_reshape_order(e->result, want, type, &between))
      return bytes;
    return bytes + (same_order(type, have, layout_identity) ? 0 : bytes);
  }
  return 0;
}

static bool is_chosen(const struct layout *l, int group) {
  return group < 0 || l->group.v[group].chosen;
}

/* Neighbours that have not chosen yet are left out. */
static int64_t price_of(const struct layout *l, int group) {
  const struct layout_group *g = &l->group.v[group];
  int64_t sum = 0;
  for (size_t i = 0; i < g->edges.n; i++) {
    const struct layout_edge *e = &l->edge.v[g->edges.v[i]];
    int from = group_of(l, e->value);
    int other = from == group ? e->to : from;
    if (other == group || is_chosen(l, other))
      sum += price(l, e);
  }
  return sum;
}

/* The order of `group` that makes the edge free, given the other side's. */
static bool wish(const struct layout *l, int group, const struct layout_edge *e,
                 struct layout_perm *out) {
  int from = group_of(l, e->value);
  int other = from == group ? e->to : from;
  if (other == group || !is_chosen(l, other) || e->kind == LAYOUT_LOW)
    return false;
  struct layout_perm perm = l->value[e->value->id].perm;
  if (from != group) {
    struct layout_perm have = layout_order_of(l, e->value);
    *out = have;
    return e->kind == LAYOUT_USE ||
           layout_reshape_order(e->value->type, have, e->result, out);
  }
  struct layout_perm want = *layout_group_order(l, e->to);
  if (e->kind == LAYOUT_RESHAPES &&
      !layout_reshape_order(e->result, want, e->value->type, &want))
    return false;
  *out = compose(perm, want);
  return true;
}

static int candidates(const struct layout *l, int group,
                      struct layout_perm *out) {
  const struct layout_group *g = &l->group.v[group];
  int n = 0;
  for (size_t i = 0; i < g->edges.n && n < MAX_CANDIDATES - 1; i++) {
    struct layout_perm p;
    if (!wish(l, group, &l->edge.v[g->edges.v[i]], &p))
      continue;
    int k = 0;
    while (k < n && memcmp(&out[k], &p, sizeof p))
      k++;
    if (k == n)
      out[n++] = p;
  }
  out[n++] = layout_identity;
  assert(n <= MAX_CANDIDATES && "one is left for the identity");
  return n;
}

static bool choose(struct layout *l, int group) {
  struct layout_group *g = &l->group.v[group];
  struct layout_perm list[MAX_CANDIDATES], before = g->order, best = before;
  int64_t least = g->chosen ? price_of(l, group) : INT64_MAX;
  int n = candidates(l, group, list);
  g->chosen = true;
  for (int k = 0; k < n; k++) {
    g->order = list[k];
    int64_t p = price_of(l, group);
    if (p < least) {
      least = p;
      best = list[k];
    }
  }
  g->order = best;
  return memcmp(&best, &before, sizeof best) != 0;
}

void layout_choose(struct layout *l) {
  int *parent = DN_ARRAY(l->arena, int, l->nvalues);
  for (unsigned i = 0; i < l->nvalues; i++)
    parent[i] = (int)i;
  find_groups(l, parent);
  number_groups(l, parent);
  find_edges(l);
  bool changed = true;
  for (int round = 0; changed && round < MAX_ROUNDS; round++) {
    changed = false;
    for (size_t g = 0; g < l->group.n; g++)
      changed |= choose(l, (int)g);
  }
}
