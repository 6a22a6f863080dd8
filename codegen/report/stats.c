/* stats.c - see stats.h. */
#include "codegen/report/stats.h"

#include "codegen/report/timeline.h"
#include "ir/nest.h"
#include "ir/place.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static enum ir_class class_of(const struct ir_op *op) {
  return ir_ops[op->code].cls;
}

static int compare_live(const void *a, const void *b) {
  const struct cg_live *x = a, *y = b;
  if (x->bytes != y->bytes)
    return x->bytes > y->bytes ? -1 : 1;
  return x->value->id < y->value->id ? -1 : x->value->id > y->value->id;
}

/* ---- Layers ---- */

static void add_constants(struct cg_layer *l, const struct ir_op *op) {
  for (unsigned i = 0; i < op->noperands; i++) {
    const struct ir_value *v = ir_arg(op, i);
    if (!v->data || ir_type_count(v->type) < 2)
      continue;
    l->weights += ir_type_count(v->type);
    l->weight_bytes += ir_type_bytes(v->type);
  }
}

/* Elements of a dimension of `extent` that an index takes: of a stride, every
 * so many. */
static int64_t index_count(const struct nest *n, const struct nest_index *x,
                           int64_t extent) {
  int64_t step = 0;
  if (x->indirect >= 0 || x->fit != NEST_AS_IS)
    return extent;
  for (int i = 0; i < n->niters; i++)
    if (n->iter[i].extent > 1)
      step = dn_gcd(step, x->coef[i]);
  assert(x->div >= 1 && "steps are 1 or more: nest.h");
  step = dn_max(step / x->div, 1);
  int64_t reach = dn_min(x->hi, extent - 1) - dn_max(x->lo, 0);
  return reach < 0 ? 0 : dn_min(reach / step + 1, extent);
}

/* Elements of operand `i` that the nest of its op reads, at most. */
static int64_t elements_read(const struct nest *n, const struct ir_op *op,
                             unsigned i) {
  const struct ir_type *t = ir_arg(op, i)->type;
  int64_t all = ir_type_count(t), sum = 0;
  if (!n || n->access[0].npieces > 1)
    return all;
  for (int k = 0; k < n->naccesses; k++) {
    const struct nest_access *a = &n->access[k];
    if (a->operand != (int)i)
      continue;
    int64_t count = 1;
    for (int d = 0; d < a->rank && !a->flat; d++)
      count *= index_count(n, &a->idx[d], t->dim[d]);
    sum += a->flat ? all : count;
  }
  return dn_min(sum, all);
}

struct readings {
  struct dn_arena *arena;
  const struct ir_block *outside;
  DN_LIST(struct cg_reading) list;
};

static void add_reading(struct readings *r, const struct ir_value *v,
                        int64_t bytes) {
  const struct ir_block *home = ir_home(v);
  size_t i = 0;
  if (!v->data && home != r->outside)
    return;
  while (i < r->list.n && r->list.v[i].value != v)
    i++;
  if (i == r->list.n)
    DN_PUSH(r->arena, r->list, ((struct cg_reading){v, 0}));
  assert(bytes >= 0 && "elements of a static type: count_nest()");
  int64_t all = ir_type_bytes(v->type), *sum = &r->list.v[i].bytes;
  *sum += dn_min(bytes, all - *sum);
}

int64_t cg_turns(int64_t around, const struct ir_op *op) {
  int64_t most = ir_is_loop(op) ? ir_max_turns(op) : 1, all;
  return most < INT64_MAX && dn_mul(around, most, &all) ? all : around;
}

static int64_t times(int64_t a, int64_t turns) {
  return dn_mul(a, turns, &a) ? a : INT64_MAX;
}

/* Counts points of a CONTRACT and bytes read, in so many turns. A nest is
 * large, and there may be many thousands: one at a time. */
static void count_nest(struct cg_layer *l, struct readings *r,
                       const struct ir_op *op, int64_t turns) {
  bool known = op->nresults == 1 && ir_type_is_static(ir_result(op)->type);
  for (unsigned i = 0; i < op->noperands; i++)
    known &= ir_type_is_static(ir_arg(op, i)->type);
  if (!known)
    return;
  struct dn_arena *scratch = dn_arena_new(op->block->func->module->ctx);
  const struct nest *n = nest_build(scratch, op);
  for (unsigned i = 0; i < op->noperands; i++) {
    const struct ir_type *t = ir_arg(op, i)->type;
    int64_t bytes = elements_read(n, op, i) * ir_dtypes[t->dtype].bytes;
    add_reading(r, ir_arg(op, i), times(bytes, turns));
  }
  if (n && class_of(op) == IR_CONTRACT) {
    int64_t points = dn_min(times(nest_points(n), turns), INT64_MAX - l->macs);
    l->macs += points;
    if (ir_dtypes[ir_arg(op, 0)->type->dtype].bytes == 1)
      l->macs8 += points;
  }
  dn_arena_free(scratch);
}

/* Texts of the ops: those that compute, or of a mere copy those that move. */
struct what {
  struct dn_buf computes, moves;
};

static void add_text(struct what *what, enum ir_class cls, const char *text) {
  struct dn_buf *out = cls == IR_MOVE ? &what->moves : &what->computes;
  dn_buf_printf(out, "%s%s", out->len ? "+" : "", text);
}

/* Counts what `op` and the ops in it do in so many turns; the op that gives the
 * layer its name is the contraction, else the reduction, else the last one with
 * a name. */
static void add_op(struct cg_layer *l, int *rank, struct what *what,
                   struct readings *reads, const struct ir_op *op,
                   int64_t turns) {
  enum ir_class cls = class_of(op);
  int this_rank = cls == IR_CONTRACT ? 3 : cls == IR_REDUCE ? 2 : 1;
  if (cls != IR_REGION) {
    add_constants(l, op);
    add_text(what, cls, ir_ops[op->code].text);
    count_nest(l, reads, op, turns);
    if (op->loc && this_rank >= *rank) {
      l->name = op->loc;
      *rank = this_rank;
    }
  }
  l->kernels += op->code == IR_KERNEL;
  int64_t macs = l->macs, macs8 = l->macs8, most = macs, most8 = macs8;
  for (unsigned r = 0; r < op->nregions; r++) { /* one of them runs */
    l->macs = macs;
    l->macs8 = macs8;
    for (const struct ir_op *o = op->region[r]->first; o; o = o->next)
      add_op(l, rank, what, reads, o, cg_turns(turns, op));
    if (op == l->op && op->code == IR_IF)
      l->branch[r] = l->macs;
    most8 = l->macs >= most ? l->macs8 : most8;
    most = dn_max(most, l->macs);
  }
  if (op->nregions) {
    l->macs = most;
    l->macs8 = most8;
  }
}

static bool is_layer(const struct ir_op *op) {
  return op->nresults && (op->nregions || class_of(op) == IR_CONTRACT ||
                          class_of(op) == IR_REDUCE || class_of(op) == IR_MAP);
}

struct cg_layer cg_layer_of(struct dn_arena *arena, const struct ir_op *op) {
  struct cg_layer l = {.op = op};
  struct what what;
  struct readings reads = {.arena = arena, .outside = op->block};
  int rank = 0;
  what.computes = dn_buf_new(arena);
  what.moves = dn_buf_new(arena);
  add_op(&l, &rank, &what, &reads, op, 1);
  for (size_t i = 0; i < reads.list.n; i++)
    if (!reads.list.v[i].value->data)
      l.read_bytes += reads.list.v[i].bytes;
  l.reads = reads.list.v;
  l.nreads = reads.list.n;
  l.what = what.computes.len ? what.computes.text
           : what.moves.len  ? what.moves.text
                             : ir_ops[op->code].text;
  if (!l.name)
    l.name = ir_result(op)->name;
  for (unsigned i = 0; i < op->nresults; i++) {
    if (!ir_type_is_static(op->result[i]->type))
      continue;
    l.activations += ir_type_count(op->result[i]->type);
    l.bytes += ir_type_bytes(op->result[i]->type);
  }
  return l;
}

void cg_stats(struct dn_arena *arena, const struct ir_module *m,
              struct cg_stats *out) {
  struct cg_timeline t = {0};
  bool planned = m->form == IR_PLANNED;
  *out = (struct cg_stats){0};
  if (planned)
    cg_timeline_build(&t, arena, m);
  for (const struct ir_op *op = ir_main(m)->body->first; op; op = op->next) {
    if (!is_layer(op))
      continue;
    struct cg_layer l = cg_layer_of(arena, op);
    for (size_t i = planned ? t.start[op->id] : 0;
         planned && i <= t.stop[op->id]; i++)
      l.live = dn_max(l.live, t.live[i]);
    l.first = out->nkernels;
    out->nkernels += l.kernels;
    out->macs += dn_min(l.macs, INT64_MAX - out->macs);
    if (l.live > out->live) {
      out->live = l.live;
      out->peak = out->layers.n;
    }
    DN_PUSH(arena, out->layers, l);
  }
}

size_t cg_live_at(struct dn_arena *arena, const struct ir_module *m,
                  size_t index, struct cg_live *out, size_t max) {
  struct cg_timeline t;
  size_t now = 0, n = 0;
  cg_timeline_build(&t, arena, m);
  for (const struct ir_op *op = ir_main(m)->body->first; op; op = op->next) {
    if (!is_layer(op) || index-- > 0)
      continue;
    now = t.start[op->id];
    for (size_t i = now; i <= t.stop[op->id]; i++)
      now = t.live[i] > t.live[now] ? i : now;
    break;
  }
  struct cg_live *all = DN_ARRAY(arena, struct cg_live, t.spans.n + 1);
  for (size_t i = 0; i < t.spans.n; i++) {
    const struct cg_span *s = &t.spans.v[i];
    if (s->first <= now && now <= s->last)
      all[n++] = (struct cg_live){s->value, s->hi - s->lo};
  }
  if (n)
    qsort(all, n, sizeof *all, compare_live);
  if (n > max)
    n = max;
  memcpy(out, all, n * sizeof *all);
  return n;
}

/* ---- Parameters ---- */

struct counting { /* by value id */
  bool *folds, *weight;
};

static bool folds(const struct counting *c, const struct ir_value *v) {
  return v->data || c->folds[v->id];
}

static void mark_folds(struct counting *c, const struct ir_module *m) {
  for (const struct ir_op *op = ir_first(m); op; op = ir_next(op)) {
    enum ir_class cls = class_of(op);
    bool all = op->noperands && (cls == IR_MAP || cls == IR_MOVE);
    for (unsigned i = 0; i < op->noperands && all; i++)
      all = folds(c, ir_arg(op, i));
    for (unsigned i = 0; i < op->nresults; i++)
      c->folds[op->result[i]->id] = all;
  }
}

/* Whether `v`, or what moves and dequantization of it make, is multiplied by a
 * contraction. */
static bool is_weight(const struct counting *c, const struct ir_value *v) {
  for (const struct ir_use *u = v->uses; u; u = u->next) {
    enum ir_class cls = class_of(u->op);
    if (cls == IR_CONTRACT)
      return true;
    bool goes_on = cls == IR_MOVE || (cls == IR_MAP && ir_arg(u->op, 0) == v &&
                                      folds(c, ir_result(u->op)));
    if (goes_on && u->op->nresults && c->weight[ir_result(u->op)->id])
      return true;
  }
  return false;
}

/* Walks from the last op to the first: users come before their operands. */
static void mark_weights(struct counting *c, const struct ir_block *b) {
  for (const struct ir_op *op = b->last; op; op = op->prev) {
    for (unsigned i = 0; i < op->nregions; i++)
      mark_weights(c, op->region[i]);
    for (unsigned i = 0; i < op->nresults; i++)
      c->weight[op->result[i]->id] = is_weight(c, op->result[i]);
  }
}

/* Floats, or integers that are added to sums; no scales of other constants or
 * of sums in integers. */
static bool is_bias(const struct counting *n, const struct ir_value *v) {
  bool counts = ir_is_float(v->type->dtype) || v->type->quant;
  for (const struct ir_use *u = v->uses; u; u = u->next) {
    bool map = class_of(u->op) == IR_MAP, first = ir_arg(u->op, 0) == v;
    counts |= map && v->type->dtype == IR_I32;
    const struct ir_op *other = ir_arg(u->op, 0)->def;
    if (map && !first &&
        (folds(n, ir_result(u->op)) ||
         (other && other->code == IR_CAST && u->op->code == IR_MUL)))
      return false;
  }
  return counts && ir_type_count(v->type) >= 2;
}

struct cg_params cg_count_params(const struct ir_module *m) {
  struct cg_params p = {0};
  struct dn_arena *scratch = dn_arena_new(m->ctx);
  struct counting n = {DN_ARRAY(scratch, bool, m->nvalues + 1),
                       DN_ARRAY(scratch, bool, m->nvalues + 1)};
  mark_folds(&n, m);
  for (const struct ir_func *f = m->funcs; f; f = f->next)
    mark_weights(&n, f->body);
  for (size_t i = 0; i < m->consts.n; i++) {
    const struct ir_value *c = m->consts.v[i];
    if (!c->uses || !ir_type_is_static(c->type))
      continue;
    bool weight = is_weight(&n, c);
    if (!weight && !is_bias(&n, c))
      continue;
    *(weight ? &p.weights : &p.biases) += ir_type_count(c->type);
    *(weight ? &p.weight_bytes : &p.bias_bytes) += ir_type_bytes(c->type);
  }
  dn_arena_free(scratch);
  return p;
}
