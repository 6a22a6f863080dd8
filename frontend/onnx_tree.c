/* onnx_tree.c - reads ensembles of trees. All conditions become one kind, x <= hi
 * or on to the other side: x < v is x <= the number before v, x > v swaps the
 * children, x == v and membership are several splits. A NaN goes left where a
 * copy of x has -inf for it. */
#include "frontend/onnx_tree.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum mode { LEQ, LT, GTE, GT, EQ, NEQ, MEMBER, LEAF };
static const struct {
  const char *name;
} modes[] = {{"BRANCH_LEQ"}, {"BRANCH_LT"},  {"BRANCH_GTE"},    {"BRANCH_GT"},
             {"BRANCH_EQ"},  {"BRANCH_NEQ"}, {"BRANCH_MEMBER"}, {"LEAF"}};

/* ---- Splits ---- */

static int64_t put(struct onnx_trees *e, int64_t feature, double hi,
                   bool missing, int64_t yes, int64_t no) {
  e->has_missing = e->has_missing || missing;
  const struct split s = {.column = feature + (missing ? e->columns : 0),
                          .hi = hi,
                          .to = {yes, no},
                          .level = -1};
  DN_PUSH(e->arena, e->splits, s);
  return SPLIT + (int64_t)e->splits.n - 1;
}

/* The number before v, or NaN: nothing is below -inf. */
static double before(const struct onnx_trees *e, double v) {
  if (v == -HUGE_VAL)
    return (double)NAN;
  return e->type == IR_F64 ? nextafter(v, -HUGE_VAL)
                           : (double)nextafterf((float)v, -HUGE_VALF);
}

/* x < v: below -inf is nothing but a NaN that goes there. */
static int64_t put_below(struct onnx_trees *e, int64_t feature, double v,
                         bool missing, int64_t yes, int64_t no) {
  return v == -HUGE_VAL
             ? put(e, feature, HUGE_VAL, false, no, missing ? yes : no)
             : put(e, feature, before(e, v), missing, yes, no);
}

static int64_t put_equal(struct onnx_trees *e, int64_t feature, double v,
                         bool missing, int64_t yes, int64_t no) {
  int64_t below = put(e, feature, before(e, v), false, no, yes);
  return put(e, feature, v, missing, below, no);
}

/* v[0] < v[1] < ..: x is one of them. */
static int64_t put_member(struct onnx_trees *e, int64_t feature,
                          const double *v, int64_t n, bool missing, int64_t yes,
                          int64_t no) {
  if (n == 1)
    return put_equal(e, feature, v[0], missing, yes, no);
  int64_t half = n / 2;
  int64_t left = put_member(e, feature, v, half, missing, yes, no);
  int64_t right = put_member(e, feature, v + half, n - half, false, yes, no);
  return put(e, feature, v[half - 1], missing, left, right);
}

static int64_t put_node(struct onnx_trees *e, int64_t mode, int64_t feature,
                        double v, bool missing, int64_t yes, int64_t no) {
  v = e->type == IR_F64 ? v : (double)(float)v;
  switch (mode) {
  case LEQ:
    return put(e, feature, v, missing, yes, no);
  case LT:
    return put_below(e, feature, v, missing, yes, no);
  case GTE:
    return put_below(e, feature, v, !missing, no, yes);
  case GT:
    return put(e, feature, v, !missing, no, yes);
  case EQ:
    return put_equal(e, feature, v, missing, yes, no);
  }
  return put_equal(e, feature, v, false, no, yes); /* NEQ: NaN is not v */
}

static int64_t new_leaf(struct onnx_trees *e) {
  DN_PUSH(e->arena, e->leaves, (struct leaf){.row = -1});
  return ~((int64_t)e->leaves.n - 1);
}

static bool add_weight(struct onnx_trees *e, int64_t leaf, int64_t target,
                       double v) {
  if (target < 0 || target >= e->targets)
    return ox_fail(e->c, ATTR, "target %lld of %lld", (long long)target,
                   (long long)e->targets);
  struct leaf *l = &e->leaves.v[~leaf];
  DN_PUSH(e->arena, l->weights, ((struct weight){target, v}));
  return true;
}

/* ---- Attributes ---- */

/* TreeEnsembleRegressor and -Classifier: nodes by tree and number in it. */
struct node_key {
  int64_t tree, id, at;
};

static int compare_keys(const void *a, const void *b) {
  const struct node_key *x = a, *y = b;
  if (x->tree != y->tree)
    return x->tree < y->tree ? -1 : 1;
  return (x->id > y->id) - (x->id < y->id);
}

static const struct node_key *find_node(const struct node_key *keys, int64_t n,
                                        int64_t tree, int64_t id) {
  struct node_key k = {tree, id, 0};
  return n ? bsearch(&k, keys, (size_t)n, sizeof k, compare_keys) : NULL;
}

static const struct node_key *
index_nodes(struct onnx_trees *e, struct ox_ints trees, struct ox_ints ids) {
  int64_t n = e->nnodes;
  struct node_key *keys = DN_ARRAY(e->arena, struct node_key, n + 1);
  for (int64_t i = 0; i < n; i++)
    keys[i] = (struct node_key){trees.v[i], ids.v[i], i};
  qsort(keys, (size_t)n, sizeof *keys, compare_keys);
  for (int64_t i = 1; i < n; i++)
    if (!compare_keys(&keys[i - 1], &keys[i]))
      return ox_null(e->c, ATTR, "tree %lld has node %lld twice",
                     (long long)keys[i].tree, (long long)keys[i].id);
  return keys;
}

static bool check_feature(struct onnx_trees *e, int64_t feature) {
  return (feature >= 0 && feature < e->columns) ||
         ox_fail(e->c, ATTR, "feature %lld of %lld", (long long)feature,
                 (long long)e->columns);
}

/* Weights of leaves; `prefix` is "target" or "class". */
static bool read_weights(struct onnx_trees *e, const char *prefix,
                         const struct node_key *keys) {
  struct onnx_call *c = e->c;
  const char *name[] = {"treeids", "nodeids", "ids"};
  struct ox_ints at[3];
  int64_t n;
  const double *v;
  for (int i = 0; i < 3; i++)
    at[i] = ox_ints(c, ml_name(c, prefix, name[i]));
  if (!ml_floats(c, ml_name(c, prefix, "weights"), &n, &v))
    return false;
  if (at[0].n != n || at[1].n != n || at[2].n != n)
    return ox_fail(c, ATTR, "the weights differ in number");
  for (int64_t i = 0; i < n; i++) {
    const struct node_key *k =
        find_node(keys, e->nnodes, at[0].v[i], at[1].v[i]);
    if (!k || e->entry[k->at] >= 0)
      return ox_fail(c, ATTR, "a weight of node %lld in tree %lld: no leaf",
                     (long long)at[1].v[i], (long long)at[0].v[i]);
    if (!add_weight(e, e->entry[k->at], at[2].v[i], v[i]))
      return false;
  }
  return true;
}

static bool read_nodes(struct onnx_trees *e, const char *prefix) {
  static const char *const names[] = {"nodes_treeids",      "nodes_nodeids",
                                      "nodes_featureids",   "nodes_truenodeids",
                                      "nodes_falsenodeids", NULL};
  struct onnx_call *c = e->c;
  struct ox_ints at[5], missing = ox_ints(c, "nodes_missing_value_tracks_true");
  const struct onnx_attr *mode = ox_attr(c, "nodes_modes");
  int64_t n, nvalues;
  const double *value;
  for (int i = 0; names[i]; i++)
    at[i] = ox_ints(c, names[i]);
  if (!ml_floats(c, "nodes_values", &nvalues, &value))
    return false;
  n = e->nnodes = at[0].n;
  for (int i = 1; i < 5; i++)
    if (at[i].n != n)
      return ox_fail(c, ATTR, "'%s' has %lld numbers, not %lld", names[i],
                     (long long)at[i].n, (long long)n);
  if (!n || !mode || (int64_t)mode->strings.n != n || nvalues != n ||
      (missing.n && missing.n != n))
    return ox_fail(c, ATTR, "the nodes' attributes differ in number");
  const struct node_key *keys = index_nodes(e, at[0], at[1]);
  if (!keys)
    return false;
  e->entry = DN_ARRAY(e->arena, int64_t, n);
  for (int64_t i = 0; i < n; i++) {
    const struct wire_span *s = &mode->strings.v[i];
    const char *text = dn_strndup(e->arena, (const char *)s->data,
                                  s->size < 16 ? s->size : 16);
    int m = DN_FIND(modes, text);
    if (m < 0 || m == MEMBER)
      return ox_fail(c, ATTR, "unknown mode '%s'", ox_text(c, text));
    if (!i || at[0].v[i] != at[0].v[i - 1])
      DN_PUSH(e->arena, e->roots, i);
    if (m == LEAF) {
      e->entry[i] = new_leaf(e);
      continue;
    }
    const struct node_key *yes = find_node(keys, n, at[0].v[i], at[3].v[i]);
    const struct node_key *no = find_node(keys, n, at[0].v[i], at[4].v[i]);
    if (!yes || !no)
      return ox_fail(c, ATTR, "node %lld of tree %lld has no child %lld",
                     (long long)at[1].v[i], (long long)at[0].v[i],
                     (long long)(yes ? at[4] : at[3]).v[i]);
    if (!check_feature(e, at[2].v[i]))
      return false;
    e->entry[i] = put_node(e, m, at[2].v[i], value[i],
                           missing.n && missing.v[i], yes->at, no->at);
  }
  return read_weights(e, prefix, keys);
}

/* TreeEnsemble: leaves have numbers of their own. */
static int64_t child(struct onnx_trees *e, int64_t k, int64_t is_leaf,
                     int64_t leaves) {
  int64_t n = is_leaf ? leaves : e->nnodes;
  if (k < 0 || k >= n || (is_leaf != 0 && is_leaf != 1)) {
    ox_fail(e->c, ATTR, "a child %lld of %lld", (long long)k, (long long)n);
    return INT64_MIN;
  }
  return is_leaf ? ~k : k;
}

static int compare_numbers(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Reads the members of one node, up to a NaN, into *out, sorted and without
 * doubles; *at becomes the index behind the NaN. Returns their number. */
static int64_t next_set(struct onnx_trees *e, const double *v, int64_t n,
                        int64_t *at, double **out) {
  int64_t from = *at, k = 0, m = 0;
  while (*at < n && !isnan(v[*at]))
    ++*at;
  k = *at - from;
  *at += *at < n;
  double *set = *out = DN_ARRAY(e->arena, double, k + 1);
  for (int64_t i = 0; i < k; i++)
    set[i] = e->type == IR_F64 ? v[from + i] : (double)(float)v[from + i];
  qsort(set, (size_t)k, sizeof *set, compare_numbers);
  for (int64_t i = 0; i < k; i++)
    if (!m || set[i] != set[m - 1])
      set[m++] = set[i];
  return m;
}

static bool read_leaves(struct onnx_trees *e) {
  struct onnx_call *c = e->c;
  struct ox_ints target = ox_ints(c, "leaf_targetids");
  int64_t n;
  const double *v;
  if (!ml_floats(c, "leaf_weights", &n, &v))
    return false;
  if (target.n != n || !n)
    return ox_fail(c, ATTR, "the leaves' attributes differ in number");
  for (int64_t i = 0; i < n; i++)
    if (!add_weight(e, new_leaf(e), target.v[i], v[i]))
      return false;
  return true;
}

static bool read_ensemble(struct onnx_trees *e) {
  static const char *const names[] = {"nodes_featureids", "nodes_truenodeids",
                                      "nodes_falsenodeids", "nodes_trueleafs",
                                      "nodes_falseleafs"};
  struct onnx_call *c = e->c;
  struct ox_ints at[5], roots = ox_ints(c, "tree_roots");
  struct ox_ints missing = ox_ints(c, "nodes_missing_value_tracks_true");
  int64_t n, nmodes, nsets, set = 0;
  const double *value, *mode, *member;
  double *of;
  if (!read_leaves(e) || !ml_floats(c, "nodes_splits", &n, &value) ||
      !ml_floats(c, "nodes_modes", &nmodes, &mode) ||
      !ml_floats(c, "membership_values", &nsets, &member))
    return false;
  e->nnodes = n;
  for (int i = 0; i < 5; i++) {
    at[i] = ox_ints(c, names[i]);
    if (at[i].n != n || nmodes != n || (missing.n && missing.n != n))
      return ox_fail(c, ATTR, "the nodes' attributes differ in number");
  }
  e->entry = DN_ARRAY(e->arena, int64_t, n + 1);
  for (int64_t i = 0; i < n; i++) {
    int64_t leaves = (int64_t)e->leaves.n;
    int64_t yes = child(e, at[1].v[i], at[3].v[i], leaves);
    int64_t no = child(e, at[2].v[i], at[4].v[i], leaves);
    bool miss = missing.n && missing.v[i];
    if (yes == INT64_MIN || no == INT64_MIN || !check_feature(e, at[0].v[i]))
      return false;
    if (!(mode[i] >= 0 && mode[i] < LEAF))
      return ox_fail(c, ATTR, "unknown mode %g", mode[i]);
    if (mode[i] != MEMBER) {
      e->entry[i] =
          put_node(e, (int64_t)mode[i], at[0].v[i], value[i], miss, yes, no);
      continue;
    }
    int64_t k = next_set(e, member, nsets, &set, &of);
    e->entry[i] = k ? put_member(e, at[0].v[i], of, k, miss, yes, no)
                    : put_equal(e, at[0].v[i], (double)NAN, miss, yes, no);
  }
  for (int64_t i = 0; i < roots.n; i++) {
    if (roots.v[i] < 0 || roots.v[i] >= n)
      return ox_fail(c, ATTR, "a root %lld of %lld nodes",
                     (long long)roots.v[i], (long long)n);
    DN_PUSH(e->arena, e->roots, roots.v[i]);
  }
  return true;
}

bool onnx_tree_read(struct onnx_trees *e, const char *prefix) {
  if (!(prefix ? read_nodes(e, prefix) : read_ensemble(e)))
    return false;
  return e->roots.n || ox_fail(e->c, ATTR, "no trees");
}
