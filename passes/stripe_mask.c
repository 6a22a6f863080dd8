/* stripe_mask.c - what a mask hides from a block of rows. The root of a stripe sums
 * over a second dimension, keys, that values of it have: scores of queries by keys.
 * Where a mask of constants (compared positions, or as a whole) makes what comes of a
 * key nothing, a 0 in a sum or a very low number in a maximum, a block needs the
 * keys that one of its rows sees, and no others. So causal attention does half the
 * work, and that of a window does work for the window.
 *
 * For each value it is found outside of which keys, for each row, all elements are 0,
 * true, or very low; from constants through the scalar code of the ops. Where they
 * are very low, a row must see a key besides, or it is a mean of them; -inf adds
 * nothing to that. Masked scores and their values are taken to be finite. */
#include "passes/stripe.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum kind { ZERO, TRUE, LOW, NONE, NKINDS }; /* false is ZERO; NONE: -inf */
enum {
  MOST_DEEP = 24,
  WHOLE = 16, /* keys */
  SAVED = 8   /* of the work, a part that is worth it */
};
static const double VERY_LOW = -1e37; /* exp of it less any score is 0 */

/* Outside of keys is[k][row] all elements of a row are of kind k; NULL: that is
 * not known. */
struct known {
  const struct stripe_rows *is[NKINDS];
  bool half;                /* true of all keys from one on, or up to one; */
  bool holes;               /* or false of some keys inside, too */
  bool free;                /* what the caller says is in it, but by products */
  bool bare;                /* a row may be hidden by what is not known here */
  int row, key;             /* the dimensions for which that is known, */
  const struct known *next; /* and what is known for others */
};

struct masker {
  struct striper *s;
  const struct stripe *stripe;
  struct dn_arena *tmp;
  struct dn_map known; /* by value */
  int64_t height, n;   /* rows, keys */
  struct stripe_rows *none, *seen;
};

/* ---- Keys of rows ---- */

static struct stripe_rows *new_rows(const struct masker *m) {
  return DN_ARRAY(m->tmp, struct stripe_rows, m->height);
}

/* Keys in both, or from the first of any to the last. */
static const struct stripe_rows *join(const struct masker *m,
                                      const struct stripe_rows *a,
                                      const struct stripe_rows *b, bool both) {
  if (!a || !b)
    return both ? (a ? a : b) : NULL;
  struct stripe_rows *r = new_rows(m);
  for (int64_t i = 0; i < m->height; i++) {
    bool none = a[i].lo == a[i].hi, other = b[i].lo == b[i].hi;
    if (both) {
      r[i] = (struct stripe_rows){dn_max(a[i].lo, b[i].lo),
                                  dn_min(a[i].hi, b[i].hi)};
      r[i].hi = dn_max(r[i].hi, r[i].lo);
    } else if (none || other) {
      r[i] = none ? b[i] : a[i];
    } else {
      r[i] = (struct stripe_rows){dn_min(a[i].lo, b[i].lo),
                                  dn_max(a[i].hi, b[i].hi)};
    }
  }
  return r;
}

/* ---- Constants ---- */

static bool is_kind(enum kind k, enum ir_dtype t, double v) {
  return k == ZERO   ? v == 0
         : k == TRUE ? t == IR_BOOL && v != 0
         : k == LOW  ? v <= VERY_LOW
                     : v == -(double)INFINITY;
}

/* A number that hides keys, itself or subtracted. */
static bool is_huge(double v) { return fabs(v) >= -VERY_LOW; }

/* One number, wherever it is read. */
static struct known known_number(const struct masker *m, enum ir_dtype t,
                                 double v) {
  struct known r = {0};
  for (int k = 0; k < NKINDS; k++)
    if (is_kind(k, t, v))
      r.is[k] = m->none;
  r.bare = !r.is[LOW] && is_huge(v);
  return r;
}

/* From the first element of a row that is not of a kind to the last. */
static struct stripe_rows known_row(const struct ir_value *c, enum kind k,
                                    int64_t at, int64_t step, int64_t n) {
  enum ir_dtype t = c->type->dtype;
  struct stripe_rows r = {0, n};
  while (r.lo < n && is_kind(k, t, ir_const_float(c, at + r.lo * step)))
    r.lo++;
  while (r.hi > r.lo &&
         is_kind(k, t, ir_const_float(c, at + (r.hi - 1) * step)))
    r.hi--;
  return r;
}

static bool has_huge(const struct masker *m, const struct ir_value *c) {
  const bool *was = dn_map_get(&m->s->huge, c);
  double lo, hi;
  if (was)
    return *was;
  ir_const_range(c, &lo, &hi);
  bool found = is_huge(lo) || is_huge(hi);
  dn_map_put(m->s->arena, &m->s->huge, c,
             dn_copy(m->s->arena, &found, sizeof found));
  return found;
}

static struct known known_const(const struct masker *m,
                                const struct ir_value *c, int row, int key) {
  double v;
  struct known r = {0}, *was = dn_map_get(&m->s->masks, c);
  int64_t stride[IR_MAX_RANK];
  if (ir_const_uniform(c, &v))
    return known_number(m, c->type->dtype, v);
  if (row < 0 || key < 0 || ir_type_count(c->type) != m->height * m->n ||
      c->type->dim[row] != m->height) {
    r.bare = has_huge(m, c);
    return r;
  }
  ir_type_strides(c->type, stride);
  if (was && was->row == row && was->key == key)
    return *was;
  struct stripe_rows *at[NKINDS];
  r.holes = true;
  r.row = row;
  r.key = key;
  for (int k = 0; k < NKINDS; k++) {
    r.is[k] = at[k] = DN_ARRAY(m->s->arena, struct stripe_rows, m->height);
    for (int64_t i = 0; i < m->height; i++)
      at[k][i] = known_row(c, (enum kind)k, i * stride[row], stride[key], m->n);
  }
  dn_map_put(m->s->arena, &m->s->masks, c, dn_copy(m->s->arena, &r, sizeof r));
  return r;
}

/* Elements of a vector of keys below `v`, or not above it; -1: they fall. */
static int64_t count_below(const struct ir_value *keys, double v, bool equal) {
  int64_t lo = 0, hi = ir_type_count(keys->type);
  while (lo < hi) {
    int64_t mid = lo + (hi - lo) / 2;
    double x = ir_const_float(keys, mid);
    if (x < v || (equal && x == v))
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo;
}

static bool rises(const struct ir_value *c) {
  int64_t i = 1, n = ir_type_count(c->type);
  while (i < n && ir_const_float(c, i - 1) <= ir_const_float(c, i))
    i++;
  return i >= n;
}

/* ---- One op ---- */

struct operand { /* as an op reads it */
  const struct ir_value *v;
  int row, key; /* dimensions; -1: none */
};

static bool is_vector(const struct operand *x, bool of_keys, int64_t n) {
  return x->v->data && ir_type_count(x->v->type) == n &&
         (of_keys ? x->row < 0 && x->key >= 0 : x->row >= 0 && x->key < 0);
}

/* keys < rows or, swapped, rows < keys; or equal. */
static struct known known_order(const struct masker *m,
                                const struct operand *keys,
                                const struct operand *rows, bool swapped,
                                bool equal) {
  struct known r = {0};
  if (!is_vector(keys, true, m->n) || !is_vector(rows, false, m->height) ||
      !rises(keys->v))
    return r;
  struct stripe_rows *below = new_rows(m), *above = new_rows(m);
  for (int64_t i = 0; i < m->height; i++) {
    double v = ir_const_float(rows->v, i);
    int64_t at = count_below(keys->v, v, equal != swapped);
    below[i] = (struct stripe_rows){0, at};
    above[i] = (struct stripe_rows){at, m->n};
  }
  r.is[ZERO] = swapped ? above : below;
  r.is[TRUE] = swapped ? below : above;
  r.half = true;
  return r;
}

/* What hides a key in a row. Where the caller or another mask may hide all others,
 * too, a row is a mean of those that are very low, but not of -inf. */
static enum kind hidden_kind(const struct known *x) {
  return x->free || x->bare ? NONE : LOW;
}

/* Where both are of a kind outside of some keys, or one of them is and of the other
 * that is not known, between them no key may be left. */
static bool leaves_none(const struct known *x, enum kind k) {
  return x[0].is[k] && x[1].is[k] ? x[0].holes || x[1].holes
                                  : x[0].is[k] || x[1].is[k];
}

/* A call of scalar code; `x`: what is known of its arguments. */
static struct known known_call(const struct masker *m, enum ir_scalar fn,
                               const struct known *x) {
  struct known r = {0};
  switch (fn) {
  case IR_S_SELECT:
    for (int k = 0; k < NKINDS; k++) {
      const struct stripe_rows *no = join(m, x[0].is[ZERO], x[2].is[k], false);
      const struct stripe_rows *yes = join(m, x[0].is[TRUE], x[1].is[k], false);
      const struct stripe_rows *any = join(m, x[1].is[k], x[2].is[k], false);
      r.is[k] = join(m, join(m, no, yes, true), any, true);
      r.bare |= any != NULL;
    }
    r.holes = true;
    break;
  case IR_S_AND:
  case IR_S_MUL:
  case IR_S_OR: { /* one argument of `alone` is enough */
    enum kind alone = fn == IR_S_OR ? TRUE : ZERO,
              both = alone == ZERO ? TRUE : ZERO;
    r.is[alone] = join(m, x[0].is[alone], x[1].is[alone], true);
    r.is[both] = join(m, x[0].is[both], x[1].is[both], false);
    r.bare = leaves_none(x, alone);
    r.holes = fn == IR_S_OR;
    break;
  }
  case IR_S_NOT:
    r.half = x[0].half;
    r.holes = !x[0].half;
    r.is[ZERO] = x[0].is[TRUE];
    r.is[TRUE] = x[0].is[ZERO];
    break;
  case IR_S_ADD:
    r.is[ZERO] = join(m, x[0].is[ZERO], x[1].is[ZERO], false);
    for (int k = LOW; k <= NONE; k++)
      r.is[k] = join(m, x[0].is[k], x[1].is[k], true);
    r.bare = x[0].is[LOW] && x[1].is[LOW];
    break;
  case IR_S_SUB:
    r.is[LOW] = x[0].is[LOW];
    r.is[NONE] = x[0].is[NONE];
    r.bare = x[1].is[LOW];
    break;
  case IR_S_EXP:
    r.is[ZERO] = x[0].is[hidden_kind(&x[0])];
    break;
  case IR_S_DIV:
  case IR_S_CAST:
    r.is[ZERO] = x[0].is[ZERO];
    break;
  default:
    break;
  }
  return r;
}

static struct known known_value(struct masker *m, const struct operand *x,
                                int deep);

/* Of the body of a nest whose accesses read x[]. */
static struct known known_body(struct masker *m, const struct nest *n,
                               const struct operand *x, int deep) {
  struct known at[NEST_MAX_NODES] = {0};
  for (int i = 0; i < n->nnodes; i++) {
    const struct nest_node *node = &n->node[i];
    struct known arg[3] = {0};
    const struct operand *read[3] = {NULL};
    if (node->kind == NEST_NUMBER)
      at[i] = known_number(m, node->type, node->number);
    if (node->kind == NEST_ACCESS)
      at[i] = known_value(m, &x[n->access[node->arg[0]].operand], deep);
    if (node->kind != NEST_CALL)
      continue;
    bool free = false, bare = false, low = false;
    for (int k = 0; k < ir_scalars[node->fn].arity; k++) {
      const struct nest_node *from = &n->node[node->arg[k]];
      arg[k] = at[node->arg[k]];
      free |= arg[k].free;
      bare |= arg[k].bare;
      low |= arg[k].is[LOW] != NULL;
      read[k] = from->kind == NEST_ACCESS ? &x[n->access[from->arg[0]].operand]
                                          : NULL;
    }
    bool order = node->fn == IR_S_LT || node->fn == IR_S_LE;
    if (!order)
      at[i] = known_call(m, node->fn, arg);
    else if (read[0] && read[1] && read[0]->key >= 0)
      at[i] = known_order(m, read[0], read[1], false, node->fn == IR_S_LE);
    else if (read[0] && read[1])
      at[i] = known_order(m, read[1], read[0], true, node->fn == IR_S_LE);
    at[i].free = free;
    at[i].bare |= bare || (low && !at[i].is[LOW]);
  }
  return at[n->nnodes - 1];
}

/* The operands of an op as they are read along two dimensions of its result. */
static struct operand *operands_of(struct masker *m, const struct ir_op *op,
                                   int row, int key) {
  struct operand *x = DN_ARRAY(m->tmp, struct operand, op->noperands);
  int axis[2] = {row, key};
  for (unsigned i = 0; i < op->noperands; i++)
    x[i] = (struct operand){ir_arg(op, i), -1, -1};
  for (int a = 0; a < 2; a++) {
    struct stripe_read *r = DN_ARRAY(m->tmp, struct stripe_read, op->noperands);
    for (unsigned i = 0; i < op->noperands; i++)
      r[i].axis = -1;
    if (axis[a] >= 0 && !stripe_reads(m->tmp, op, axis[a], r))
      return NULL;
    for (unsigned i = 0; i < op->noperands; i++) {
      if (r[i].axis >= 0 && (r[i].coef != 1 || r[i].base || r[i].reach))
        return NULL;
      *(a ? &x[i].key : &x[i].row) = r[i].axis;
    }
  }
  return x;
}

static struct known known_value(struct masker *m, const struct operand *x,
                                int deep) {
  struct known none = {.free = true}, *r;
  const struct known *first = dn_map_get(&m->known, x->v);
  const struct ir_op *op = x->v->def;
  for (const struct known *k = first; k; k = k->next)
    if (k->row == x->row && k->key == x->key)
      return *k;
  if (x->v->data)
    return known_const(m, x->v, x->row, x->key);
  if (op && op->code == IR_KERNEL)
    op = ir_arg(op->region[0]->last, 0)->def;
  if (!op || op->nregions || op->nresults != 1 || deep == MOST_DEEP)
    return none;
  const struct nest *n = nest_build(m->tmp, op);
  const struct operand *in = operands_of(m, op, x->row, x->key);
  r = DN_NEW(m->tmp, struct known);
  if (n && in && !n->nstates && n->to < 0 && n->naccesses)
    *r = n->access[0].flat ? known_value(m, &in[0], deep + 1)
                           : known_body(m, n, in, deep + 1);
  else if (ir_ops[op->code].cls != IR_CONTRACT)
    for (unsigned i = 0; i < op->noperands; i++)
      r->free |= !in || known_value(m, &in[i], deep + 1).free;
  r->row = x->row;
  r->key = x->key;
  r->next = first;
  dn_map_put(m->tmp, &m->known, x->v, r);
  return *r;
}

/* ---- Which dimension keys are ---- */

static int number_of(const struct masker *m, const struct ir_value *v) {
  return m->s->number[v->id] - 1;
}

/* The reduced iterator over keys: of what is known to have them, of the first
 * product that reads what the stripe makes, or of a sum over as many. */
static int find_reduced(const struct masker *m, const struct nest *n,
                        bool first) {
  for (int i = 0; i < n->naccesses; i++) {
    const struct nest_access *a = &n->access[i];
    int x = number_of(m, ir_arg(n->op, (unsigned)a->operand));
    for (int k = 0; x >= 0 && !a->flat && k < a->rank; k++)
      for (int it = 0; it < n->niters; it++)
        if (n->iter[it].reduced && n->iter[it].extent > 1 &&
            a->idx[k].coef[it] &&
            (first || m->stripe->values.v[x].key == k + 1 ||
             (ir_ops[n->op->code].cls == IR_REDUCE &&
              n->iter[it].extent == m->n)))
          return it;
  }
  return -1;
}

/* How an op reads keys, by operand, and whether it sums over them; NULL: it
 * does not. */
static struct operand *key_reads(struct masker *m, const struct ir_op *op,
                                 bool first, bool *sums) {
  int y = number_of(m, ir_result(op));
  const struct stripe_value *v = y < 0 ? NULL : &m->stripe->values.v[y];
  *sums = v && !v->key;
  if (!v)
    return NULL;
  if (v->key)
    return operands_of(m, op, v->axis, v->key - 1);
  const struct nest *n = nest_build(m->tmp, op);
  int it = n && n->nstates ? find_reduced(m, n, first) : -1;
  struct operand *x = it < 0 ? NULL : operands_of(m, op, v->axis, -1);
  for (int i = 0; x && i < n->naccesses; i++) {
    struct stripe_read r;
    if (n->access[i].flat || !stripe_read_by(n, &n->access[i], it, &r) ||
        (r.axis >= 0 && (r.coef != 1 || r.base || r.reach)))
      return NULL;
    x[n->access[i].operand].key = r.axis;
  }
  return x;
}

/* Ops of the stripe with those in its kernels, the last first. */
static void each_op(struct masker *m,
                    bool (*what)(struct masker *, struct ir_op *), bool *ok) {
  for (size_t i = 0; i < m->stripe->ops.n; i++) {
    struct ir_op *op = m->stripe->ops.v[i];
    if (op->code != IR_KERNEL) {
      *ok = *ok && what(m, op);
      continue;
    }
    for (struct ir_op *o = op->region[0]->last->prev; o; o = o->prev)
      *ok = *ok && what(m, o);
  }
}

/* Propagates from an op to its operands; false if keys are along two
 * dimensions. */
static bool follow_keys(struct masker *m, struct ir_op *op) {
  bool sums, first = !m->n && ir_ops[op->code].cls == IR_CONTRACT;
  struct operand *x = key_reads(m, op, first, &sums);
  for (unsigned i = 0; x && i < op->noperands; i++) {
    int from = number_of(m, x[i].v);
    if (x[i].key < 0)
      continue;
    m->n = x[i].v->type->dim[x[i].key];
    if (from < 0)
      continue;
    struct stripe_value *v = &m->stripe->values.v[from];
    if (v->key && v->key != x[i].key + 1)
      return false;
    v->key = x[i].key + 1;
  }
  return true;
}

/* All that reads what has keys reads them one by one, and nothing is missed where
 * they are summed. What comes from outside is noted. */
static bool check_keys(struct masker *m, struct ir_op *op) {
  bool sums;
  struct operand *x = key_reads(m, op, false, &sums);
  bool has = x && sums;
  for (unsigned i = 0; i < op->noperands; i++) {
    const struct ir_value *v = ir_arg(op, i);
    int from = number_of(m, v), key = x ? x[i].key : -1;
    if ((from >= 0 ? m->stripe->values.v[from].key - 1 : key) != key ||
        (key >= 0 && (v->type->dim[key] != m->n ||
                      (from < 0 && v->def && v->def->block == op->block &&
                       ir_in_kernel(op)))))
      return false;
    struct stripe_link l = {op, i, -1, -1, {.axis = key}};
    if (from < 0 && key >= 0)
      DN_PUSH(m->stripe->arena, m->stripe->keys->links, l);
  }
  if (!has)
    return true;
  const struct nest *n = nest_build(m->tmp, op);
  struct known body = known_body(m, n, x, 0);
  const struct stripe_rows *outside = n->fold == NEST_SUM ? body.is[ZERO]
                                      : n->fold == NEST_MAX
                                          ? body.is[hidden_kind(&body)]
                                          : NULL;
  for (int64_t i = 0; outside && i < m->height; i++) /* none: a mean of all */
    m->seen[i] = outside[i].lo == outside[i].hi ? (struct stripe_rows){0, m->n}
                                                : m->seen[i];
  outside = join(m, outside, m->seen, false);
  if (outside)
    memcpy(m->seen, outside, (size_t)m->height * sizeof *m->seen);
  return outside != NULL;
}

/* Rows of all values are those of the root. */
static bool rows_are_same(const struct stripe *s) {
  for (size_t i = 0; i < s->links.n; i++) {
    const struct stripe_read *r = &s->links.v[i].read;
    if (r->coef != 1 || r->base || r->reach)
      return false;
  }
  return true;
}

/* Keys and rows lie as windows of one dimension would: stripe_cut.c. */
static bool is_square(const struct stripe *s, const struct stripe_link *key) {
  for (size_t i = 0; i < s->links.n; i++) {
    const struct stripe_link *l = &s->links.v[i];
    const struct ir_type *t = ir_arg(key->op, key->operand)->type;
    if (l->op != key->op || l->operand != key->operand)
      continue;
    for (int d = 0; d < l->read.axis; d++)
      if (t->dim[d] != 1)
        return false;
    return l->read.axis == t->rank - 2 && key->read.axis == t->rank - 1;
  }
  return true;
}

static bool find_seen(struct masker *m) {
  bool ok = rows_are_same(m->stripe);
  int64_t seen = 0;
  each_op(m, follow_keys, &ok);
  if (ok && m->n) /* a sum may come before what says that it is over keys */
    each_op(m, follow_keys, &ok);
  if (!ok || !m->n)
    return false;
  m->none = new_rows(m);
  m->seen = new_rows(m);
  each_op(m, check_keys, &ok);
  for (int64_t i = 0; ok && i < m->height; i++)
    seen += m->seen[i].hi - m->seen[i].lo;
  return ok && seen && seen <= m->n * m->height / SAVED * (SAVED - 1);
}

static bool do_rise(const struct masker *m) {
  const struct stripe_rows *r = m->seen;
  int64_t step = m->height > 1 ? r[1].hi - r[0].hi : 0;
  for (int64_t i = 0; i < m->height; i++)
    if (r[i].lo || (i && r[i].hi - r[i - 1].hi != step))
      return false;
  return step > 0;
}

void stripe_find_keys(struct striper *s, struct stripe *stripe) {
  struct masker m = {.s = s, .stripe = stripe};
  struct stripe_keys *keys = DN_NEW(stripe->arena, struct stripe_keys);
  stripe->keys = keys;
  m.height = stripe_height(stripe);
  m.tmp = dn_arena_new(s->m->ctx);
  stripe_number(s, stripe, true);
  if (find_seen(&m)) {
    keys->n = m.n;
    keys->seen =
        dn_copy(stripe->arena, m.seen, (size_t)m.height * sizeof *m.seen);
    for (size_t i = 0; i < keys->links.n; i++)
      keys->fixed |= !is_square(stripe, &keys->links.v[i]);
    keys->rise = do_rise(&m);
  } else {
    for (size_t i = 0; i < stripe->values.n; i++)
      stripe->values.v[i].key = 0;
    keys->links.n = 0;
  }
  stripe_number(s, stripe, false);
  dn_arena_free(m.tmp);
}

/* ---- Of blocks ---- */

static struct stripe_rows seen_by(const struct stripe_keys *k, int64_t lo,
                                  int64_t hi) {
  struct stripe_rows r = k->seen[lo];
  for (int64_t i = lo; i < hi; i++) {
    r.lo = dn_min(r.lo, k->seen[i].lo);
    r.hi = dn_max(r.hi, k->seen[i].hi);
  }
  return r;
}

/* The most keys that blocks of so many rows see. */
static int64_t most_seen(struct stripe_keys *k, int64_t rows, int64_t height) {
  if (k->rows == rows)
    return k->most;
  k->rows = rows;
  k->most = 0;
  for (int64_t i = 0; i < height; i += rows) {
    struct stripe_rows r = seen_by(k, i, dn_min(i + rows, height));
    k->most = dn_max(k->most, r.hi - r.lo);
  }
  k->most = dn_min(dn_align(k->most, WHOLE), k->n); /* registers */
  return k->most;
}

struct stripe_rows stripe_keys_of(const struct stripe *s, int64_t lo,
                                  int64_t hi) {
  struct stripe_keys *k = s->keys;
  struct stripe_rows r = seen_by(k, lo, hi);
  int64_t most = dn_max(most_seen(k, hi - lo, stripe_height(s)), r.hi - r.lo);
  if (!k->fixed && most * 2 <= k->n) {
    int64_t at = dn_max(0, dn_min(r.hi, k->n) - most);
    return (struct stripe_rows){at, at + most};
  }
  if (k->rise)
    return r;
  int64_t part = dn_div_ceil(k->n, STRIPE_PARTS);
  r.lo = r.lo / part * part;
  r.hi = dn_min(dn_div_ceil(r.hi, part) * part, k->n);
  return r;
}
