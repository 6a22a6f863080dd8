/* onnx_op_tree.c - ensembles of decision trees (ai.onnx.ml), as levels: every
 * tree keeps the number of the slot it is at, [rows, trees], and a step looks up
 * that slot's column of x, its threshold and where its two children are, which
 * lie side by side. A leaf's slot leads to itself and holds its row of weights.
 */
#include "frontend/onnx_tree.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Levels that are built, each as a step of its own. */
#define MAX_LEVELS 256
/* No fewer are left out of a level. */
#define FEW_TREES 16
/* Columns of what a model holds, and numbers in all. */
#define MAX_TARGETS (1 << 20)
#define MAX_WEIGHTS (1 << 27)
/* ---- Levels ---- */

/* A child as a split, by its number there, or as a leaf, below 0. */
static int64_t resolve(const struct onnx_trees *e, int64_t to) {
  if (to >= 0 && to < SPLIT)
    to = e->entry[to];
  return to < 0 ? to : to - SPLIT;
}

/* A split by tree and level. Ids are given at the first visit, so that splits
 * read together are adjacent in memory. */
static void reach(struct onnx_trees *e, struct numbers *list, int64_t s,
                  int64_t level) {
  struct split *split = &e->splits.v[s];
  if (split->level >= level)
    return;
  if (split->level < 0) {
    split->id = (int64_t)e->order.n;
    DN_PUSH(e->arena, e->order, split);
  }
  split->level = level;
  DN_PUSH(e->arena, *list, s);
}

/* A cycle has no end of levels. */
static bool number_splits(struct onnx_trees *e) {
  struct numbers now = {0}, next = {0};
  for (size_t i = 0; i < e->roots.n; i++)
    if (resolve(e, e->roots.v[i]) >= 0)
      reach(e, &now, resolve(e, e->roots.v[i]), 0);
  for (; now.n; e->levels++) {
    if (e->levels == MAX_LEVELS)
      return ox_fail(e->c, LIMIT, "a tree of over %d levels", MAX_LEVELS);
    next.n = 0;
    for (size_t i = 0; i < now.n; i++)
      for (int k = 0; k < 2; k++) {
        int64_t to = resolve(e, e->splits.v[now.v[i]].to[k]);
        if (to >= 0)
          reach(e, &next, to, e->levels + 1);
      }
    struct numbers was = now;
    now = next;
    next = was;
  }
  return true;
}

/* ---- Leaves ---- */

/* Whether a leaf has weights for one target only, which is the tree's. */
static bool agrees(const struct leaf *l, int64_t *target) {
  for (size_t i = 0; i < l->weights.n; i++) {
    if (*target >= 0 && *target != l->weights.v[i].target)
      return false;
    *target = l->weights.v[i].target;
  }
  return true;
}

/* The one target that all leaves of each tree have weights of, as boosted
 * trees have; false: leaves have several, or trees share splits. */
static bool find_targets(struct onnx_trees *e) {
  size_t n = e->order.n;
  int64_t *owner = DN_ARRAY(e->arena, int64_t, n + 1);
  int64_t *target = DN_ARRAY(e->arena, int64_t, e->roots.n);
  memset(owner, -1, n * sizeof *owner);
  for (size_t t = 0; t < e->roots.n; t++) {
    int64_t s = resolve(e, e->roots.v[t]);
    target[t] = -1;
    if (s < 0) {
      if (!agrees(&e->leaves.v[~s], &target[t]))
        return false;
      continue;
    }
    if (owner[e->splits.v[s].id] >= 0)
      return false;
    owner[e->splits.v[s].id] = (int64_t)t;
  }
  for (size_t i = 0; i < n; i++) {
    int64_t t = owner[i];
    for (int k = 0; k < 2; k++) {
      int64_t to = resolve(e, e->order.v[i]->to[k]);
      int64_t *of = to < 0 ? &t : &owner[e->splits.v[to].id];
      if ((*of >= 0 && *of != t) ||
          (to < 0 && !agrees(&e->leaves.v[~to], &target[t])))
        return false;
      *of = t;
    }
  }
  e->target_of = target;
  return true;
}

static bool fill_row(struct onnx_trees *e, struct numbers *list, int64_t leaf) {
  struct leaf *l = &e->leaves.v[leaf];
  if (l->row >= 0)
    return true;
  if ((int64_t)list->n * e->width > MAX_WEIGHTS)
    return ox_fail(e->c, LIMIT, "over %d weights", MAX_WEIGHTS);
  double *v = DN_ARRAY(e->arena, double, e->width);
  for (int64_t i = 0; i < e->width; i++)
    v[i] = e->otherwise;
  for (size_t i = 0; i < l->weights.n; i++) {
    double *to = &v[e->target_of ? 0 : l->weights.v[i].target];
    *to = *to == e->otherwise ? l->weights.v[i].v : *to + l->weights.v[i].v;
  }
  l->v = v;
  l->row = 0;
  DN_PUSH(e->arena, *list, leaf);
  return true;
}

/* Leaves of equal weights are one row. */
struct row_key {
  const double *v;
  size_t bytes;
  struct leaf *leaf;
};

static int compare_rows(const void *a, const void *b) {
  const struct row_key *x = a, *y = b;
  return memcmp(x->v, y->v, x->bytes);
}

static bool number_rows(struct onnx_trees *e) {
  struct numbers list = {0};
  for (size_t i = 0; i < e->order.n; i++)
    for (int k = 0; k < 2; k++) {
      int64_t to = resolve(e, e->order.v[i]->to[k]);
      if (to < 0 && !fill_row(e, &list, ~to))
        return false;
    }
  for (size_t i = 0; i < e->roots.n; i++) {
    int64_t to = resolve(e, e->roots.v[i]);
    if (to < 0 && !fill_row(e, &list, ~to))
      return false;
  }
  struct row_key *keys = DN_ARRAY(e->arena, struct row_key, list.n);
  for (size_t i = 0; i < list.n; i++) {
    struct leaf *l = &e->leaves.v[list.v[i]];
    keys[i] = (struct row_key){l->v, (size_t)e->width * sizeof *l->v, l};
  }
  qsort(keys, list.n, sizeof *keys, compare_rows);
  for (size_t i = 0; i < list.n; i++) {
    if (!i || compare_rows(&keys[i - 1], &keys[i]))
      DN_PUSH(e->arena, e->rows, keys[i].v);
    keys[i].leaf->row = (int64_t)e->rows.n - 1;
  }
  return true;
}

/* ---- Ops ---- */

/* Splits that a tree passes at most. */
static int64_t height(const struct onnx_trees *e, int64_t to) {
  to = resolve(e, to);
  if (to < 0)
    return 0;
  struct split *s = &e->splits.v[to];
  if (!s->height)
    s->height = 1 + dn_max(height(e, s->to[0]), height(e, s->to[1]));
  return s->height;
}

struct tree_key {
  int64_t height, tree;
};

/* The deepest first. */
static int compare_trees(const void *a, const void *b) {
  const struct tree_key *x = a, *y = b;
  if (x->height != y->height)
    return x->height > y->height ? -1 : 1;
  return (x->tree > y->tree) - (x->tree < y->tree);
}

/* Two leaves that are the children of a split. */
struct pair_key {
  int64_t row[2];
  struct split *split;
};

static int compare_pairs(const void *a, const void *b) {
  const struct pair_key *x = a, *y = b;
  if (x->row[0] != y->row[0])
    return x->row[0] < y->row[0] ? -1 : 1;
  return (x->row[1] > y->row[1]) - (x->row[1] < y->row[1]);
}

static int64_t row_of(const struct onnx_trees *e, int64_t to) {
  to = resolve(e, to);
  return to < 0 ? e->leaves.v[~to].row : -1;
}

/* Tables of slots: first the trees' roots, then the children of each split, two
 * slots, level by level; two leaves of equal weights are two slots once. */
struct slots {
  int64_t n, cap;
  int64_t column_bits;
  uint64_t payload; /* a NaN, to which a leaf adds its row */
  int64_t *link, *hi;
};

static void place_children(struct onnx_trees *e, struct slots *t) {
  size_t n = e->order.n, npairs = 0;
  struct pair_key *pair = DN_ARRAY(e->arena, struct pair_key, n + 1);
  t->n = (int64_t)e->roots.n;
  for (size_t i = 0; i < n; i++) {
    struct split *s = e->order.v[i];
    struct pair_key key = {{row_of(e, s->to[0]), row_of(e, s->to[1])}, s};
    if (key.row[0] >= 0 && key.row[1] >= 0) {
      pair[npairs++] = key;
    } else {
      s->children = t->n;
      t->n += 2;
    }
  }
  qsort(pair, npairs, sizeof *pair, compare_pairs);
  for (size_t i = 0; i < npairs; i++) {
    if (!i || compare_pairs(&pair[i - 1], &pair[i]))
      t->n += 2;
    pair[i].split->children = t->n - 2;
  }
}

/* On from a split: to the first child, or behind it. No number is at most a
 * leaf's, so that it is its own second child. */
static void fill_slot(const struct onnx_trees *e, struct slots *t, int64_t at,
                      int64_t to) {
  to = resolve(e, to);
  if (to < 0) {
    t->link[at] = dn_max(at - 1, 0) << t->column_bits;
    t->hi[at] = (int64_t)(t->payload + (uint64_t)e->leaves.v[~to].row);
    return;
  }
  const struct split *s = &e->splits.v[to];
  uint64_t bits = 0;
  ir_store_float(e->type, &bits, s->hi);
  t->link[at] = s->children << t->column_bits | s->column;
  t->hi[at] = (int64_t)bits;
}

static void fill_slots(struct onnx_trees *e, struct slots *t,
                       const struct tree_key *tree) {
  place_children(e, t);
  t->link = DN_ARRAY(e->arena, int64_t, t->n);
  t->hi = DN_ARRAY(e->arena, int64_t, t->n);
  for (size_t i = 0; i < e->roots.n; i++)
    fill_slot(e, t, (int64_t)i, e->roots.v[tree[i].tree]);
  for (size_t i = 0; i < e->order.n; i++)
    for (int k = 0; k < 2; k++)
      fill_slot(e, t, e->order.v[i]->children + k, e->order.v[i]->to[k]);
}

/* Slots [n, trees] that trees, the deepest first, end at. A quarter of those
 * that are left or more has ended: they are left out of the levels to come. */
static struct ir_value *walk(struct onnx_trees *e, struct ir_value *x,
                             const struct slots *t, struct ir_value *link,
                             struct ir_value *hi, const struct tree_key *tree) {
  struct fe_build *b = e->c->b;
  int64_t width = (int64_t)e->roots.n, live = width;
  int64_t *root = DN_ARRAY(e->arena, int64_t, width);
  struct ir_value *done[MAX_LEVELS + 1];
  size_t n = 0;
  for (int64_t i = 0; i < width; i++)
    root[i] = i;
  struct ir_value *at =
      fe_expand(b, fe_ints(b, IR_U32, 2, (int64_t[]){1, width}, root), 2,
                (int64_t[]){fe_dims(x)[0], width});
  for (int64_t i = 0; i < e->levels; i++) {
    while (live && tree[live - 1].height <= i)
      live--;
    if (live * 4 <= width * 3 && width > FEW_TREES) {
      done[n++] = fe_slice1(b, at, 1, live, width - live, 1);
      at = fe_slice1(b, at, 1, 0, live, 1);
      width = live;
    }
    at = fe_call(b, FE_TREE_STEP, IR_ARGS(x, link, hi, at),
                 IR_ATTRS(ir_int("bits", t->column_bits),
                          ir_int("mask", (INT64_C(1) << t->column_bits) - 1)));
  }
  done[n++] = at;
  for (size_t i = 0; i < n / 2; i++) {
    struct ir_value *v = done[i];
    done[i] = done[n - 1 - i];
    done[n - 1 - i] = v;
  }
  return n > 1 ? fe_concat(b, done, n, 1) : at;
}

/* Weights of the leaves that the trees end at, in their order: [n, trees], or
 * [n, trees, targets]. */
static struct ir_value *look_up(struct onnx_trees *e, struct ir_value *x,
                                const struct tree_key *tree,
                                struct ir_value *order) {
  struct fe_build *b = e->c->b;
  bool wide = e->type == IR_F64;
  enum ir_dtype word = wide ? IR_U64 : IR_U32;
  struct slots t = {.column_bits = 8};
  t.payload = wide ? UINT64_C(0x7ff8) << 48 : 0x7fc00000;
  while (e->columns << e->has_missing > INT64_C(1) << t.column_bits)
    t.column_bits++;
  fill_slots(e, &t, tree);
  int64_t n = (int64_t)e->rows.n, mask = wide ? UINT32_MAX : 0x3fffff;
  double *v = DN_ARRAY(e->arena, double, n * e->width);
  for (int64_t i = 0; i < n; i++)
    memcpy(v + i * e->width, e->rows.v[i], (size_t)e->width * sizeof *v);
  if (n > mask)
    return ox_null(e->c, LIMIT, "over %lld leaves of different weights",
                   (long long)mask);
  bool far = t.n > INT64_C(1) << (32 - t.column_bits);
  struct ir_value *link = fe_ints(b, far ? IR_U64 : IR_U32, 1, &t.n, t.link);
  struct ir_value *hi =
      fe_emit(b, IR_BITS, IR_ARGS(fe_ints(b, word, 1, &t.n, t.hi)),
              IR_ATTRS(ir_str("to", wide ? "f64" : "f32")));
  struct ir_value *w =
      fe_floats(b, e->type, e->target_of ? 1 : 2, (int64_t[]){n, e->width}, v);
  struct ir_value *at = fe_gather(b, walk(e, x, &t, link, hi, tree), order, 1);
  return fe_call(
      b, FE_TREE_LEAF, IR_ARGS(hi, w, at),
      IR_ATTRS(ir_str("word", wide ? "u64" : "u32"), ir_int("mask", mask)));
}

static struct ir_value *fold_axis(struct onnx_trees *e, struct ir_value *v,
                                  int64_t axis) {
  bool axes[IR_MAX_RANK] = {0};
  enum ir_opcode code = !e->extreme        ? IR_REDUCE_SUM
                        : e->otherwise < 0 ? IR_REDUCE_MAX
                                           : IR_REDUCE_MIN;
  axes[axis] = true;
  return fe_squeeze(e->c->b, fe_reduce(e->c->b, code, v, axes), axes);
}

/* Weights [n, trees] of trees sorted by target, count[k] of each. */
static struct ir_value *fold_targets(struct onnx_trees *e, struct ir_value *v,
                                     const int64_t *count) {
  struct fe_build *b = e->c->b;
  int64_t n = fe_dims(v)[0], from = 0;
  bool even = true;
  for (int64_t k = 1; k < e->targets; k++)
    even = even && count[k] == count[0];
  if (even)
    return fold_axis(
        e, fe_reshape(b, v, 3, (int64_t[]){n, e->targets, count[0]}), 2);
  struct ir_value **part = DN_ARRAY(e->arena, struct ir_value *, e->targets);
  for (int64_t k = 0; k < e->targets; from += count[k++]) {
    part[k] = count[k] ? fold_axis(e, fe_slice1(b, v, 1, from, count[k], 1), 1)
                       : fe_expand(b, fe_scalar(b, e->type, e->otherwise), 1,
                                   (int64_t[]){n});
    part[k] = fe_unsqueeze(b, part[k], 0, 1);
  }
  return fe_concat(b, part, (size_t)e->targets, 1);
}

/* Trees, the deepest first. */
static struct tree_key *sort_trees(const struct onnx_trees *e) {
  struct tree_key *tree = DN_ARRAY(e->arena, struct tree_key, e->roots.n);
  for (size_t i = 0; i < e->roots.n; i++)
    tree[i] = (struct tree_key){height(e, e->roots.v[i]), (int64_t)i};
  qsort(tree, e->roots.n, sizeof *tree, compare_trees);
  return tree;
}

/* By target, count[k] of each, and in the model's order, in which their weights
 * are added: where each tree is among the deepest first. */
static struct ir_value *order_trees(const struct onnx_trees *e,
                                    const struct tree_key *tree,
                                    int64_t *count) {
  int64_t n = (int64_t)e->roots.n, at = 0;
  int64_t *from = DN_ARRAY(e->arena, int64_t, e->targets);
  int64_t *place = DN_ARRAY(e->arena, int64_t, n);
  int64_t *order = DN_ARRAY(e->arena, int64_t, n);
  for (int64_t i = 0; i < n; i++) {
    count[e->target_of ? dn_max(e->target_of[i], 0) : 0]++;
    place[tree[i].tree] = i;
  }
  for (int64_t k = 0; k < e->targets; at += count[k++])
    from[k] = at;
  for (int64_t i = 0; i < n; i++)
    order[from[e->target_of ? dn_max(e->target_of[i], 0) : 0]++] = place[i];
  return fe_ints(e->c->b, IR_U32, 1, &n, order);
}

/* x as [n, columns], of the type of thresholds; behind them the same columns
 * with -inf for NaN, when there are splits that NaN passes. */
static struct ir_value *prepare(struct onnx_trees *e, struct ir_value *x) {
  struct fe_build *b = e->c->b;
  x = fe_cast(b, x, e->type);
  if (!x || !e->has_missing)
    return x;
  struct ir_value *low =
      fe_select(b, fe_op1(b, IR_ISNAN, x), fe_number(b, x, -HUGE_VAL), x);
  return fe_concat(b, IR_ARGS(x, low), 1);
}

/* Sums of all trees, [n, targets]. */
static struct ir_value *sums(struct onnx_trees *e, struct ir_value *x) {
  struct fe_build *b = e->c->b;
  if (!number_splits(e))
    return NULL;
  bool one = find_targets(e);
  e->width = one ? 1 : e->targets;
  if (!number_rows(e))
    return NULL;
  const struct tree_key *tree = sort_trees(e);
  int64_t *count = DN_ARRAY(e->arena, int64_t, e->targets);
  struct ir_value *w =
      look_up(e, prepare(e, x), tree, order_trees(e, tree, count));
  if (!w)
    return NULL;
  struct ir_value *y = one ? fold_targets(e, w, count) : fold_axis(e, w, 1);
  if (e->extreme && y) /* a target that no leaf has a weight for */
    y = fe_select(b, fe_op2(b, IR_EQ, y, fe_number(b, y, e->otherwise)),
                  fe_number(b, y, 0), y);
  return y;
}

static bool begin(struct onnx_call *c, struct onnx_trees *e, int64_t targets,
                  const char *aggregate) {
  static const struct {
    const char *name;
    double otherwise;
  } ways[] = {
      {"SUM", 0}, {"AVERAGE", 0}, {"MIN", HUGE_VAL}, {"MAX", -HUGE_VAL}};
  struct ir_value *x = fe_call(c->b, FE_FEATURES, c->in, 1, NULL, 0);
  int way = DN_FIND(ways, aggregate);
  if (!x)
    return false;
  if (way < 0)
    return ox_fail(c, ATTR, "unknown aggregate function '%s'",
                   ox_text(c, aggregate));
  if (targets < 1 || fe_dims(x)[1] < 1)
    return ox_fail(c, TYPE, "%lld targets of %lld features", (long long)targets,
                   (long long)fe_dims(x)[1]);
  if (targets > MAX_TARGETS || fe_dims(x)[1] > MAX_TARGETS)
    return ox_fail(c, LIMIT, "over %d targets or features", MAX_TARGETS);
  *e = (struct onnx_trees){.c = c,
                           .arena = c->im->ctx->arena,
                           .type = fe_dtype(x) == IR_F64 ? IR_F64 : IR_F32,
                           .columns = fe_dims(x)[1],
                           .targets = targets,
                           .extreme = way >= 2,
                           .otherwise = ways[way].otherwise};
  return true;
}

/* Of TreeEnsembleRegressor, arg 0, and TreeEnsemble, arg 1. */
bool onnx_tree_regressor(struct onnx_call *c) {
  static const char *const posts[] = {"NONE", "SOFTMAX", "LOGISTIC",
                                      "SOFTMAX_ZERO", "PROBIT"};
  static const char *const ways[] = {"AVERAGE", "SUM", "MIN", "MAX"};
  bool numbered = c->arg == 1;
  int64_t way = ox_int(c, "aggregate_function", 1);
  int64_t after = ox_int(c, "post_transform", 0);
  struct onnx_trees e;
  if (numbered && (way < 0 || way > 3 || after < 0 || after > 4))
    return ox_fail(c, ATTR, "unknown aggregate_function or post_transform");
  const char *how =
      numbered ? ways[way] : ox_str(c, "aggregate_function", "SUM");
  const char *post =
      numbered ? posts[after] : ox_str(c, "post_transform", "NONE");
  if (!begin(c, &e, ox_int(c, "n_targets", 1), how) ||
      !onnx_tree_read(&e, numbered ? NULL : "target"))
    return false;
  struct ir_value *y = sums(&e, fe_call(c->b, FE_FEATURES, c->in, 1, NULL, 0));
  if (y && !strcmp(how, "AVERAGE"))
    y = fe_div(c->b, y, fe_number(c->b, y, (double)e.roots.n));
  y = ml_post(c, ml_add_floats(c, y, "base_values"), post);
  return ox_return(c, fe_cast(c->b, y, numbered ? fe_dtype(c->in[0]) : IR_F32));
}

/* Weights of one class of two are its score. */
bool onnx_tree_classifier(struct onnx_call *c) {
  int64_t classes = ml_classes(c), nbase;
  struct ox_ints ids = ox_ints(c, "class_ids");
  const double *base, *w;
  int64_t n;
  struct onnx_trees e;
  bool one = classes <= 2, positive = true;
  for (int64_t i = 1; i < ids.n; i++)
    one = one && ids.v[i] == ids.v[0];
  if (!ml_floats(c, "base_values", &nbase, &base) ||
      !ml_floats(c, "class_weights", &n, &w) || !begin(c, &e, classes, "SUM") ||
      !onnx_tree_read(&e, "class"))
    return false;
  for (int64_t i = 0; i < n; i++)
    positive = positive && w[i] >= 0;
  struct ir_value *y = sums(&e, fe_call(c->b, FE_FEATURES, c->in, 1, NULL, 0));
  if (!one || !ids.n)
    return ml_classify(c, ml_add_floats(c, y, "base_values"), false, false);
  y = fe_slice1(c->b, y, 1, ids.v[0], 1, 1);
  if (nbase)
    y = fe_offset(c->b, y, base[nbase > 1]);
  return ml_classify(c, y, positive && nbase < 2, false);
}
