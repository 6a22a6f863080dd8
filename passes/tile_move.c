/* tile_move.c - how far the addresses that a kernel reads move when the result
 * index goes one up along a dimension: the steps of the result's index are
 * handed from each op to its operands, through the index maps of their rows. A
 * kernel that reads along another dimension than it writes along (a transpose,
 * channels first to channels last) is best read in that direction and turned in
 * registers. */
#include "passes/tile_move.h"

#include "ir/nest.h"

#include <string.h>

enum { UNKNOWN = INT32_MAX }; /* a step that is no constant */

struct steps { /* of the index of a value, by its dimensions */
  bool set;
  int64_t by[IR_MAX_RANK];
};

struct walk {
  const struct aliases *aliases;
  const struct ir_op *kernel;
  struct steps *of; /* by number of the op in the kernel */
  int contiguous;   /* accesses that move by one element */
  int apart;        /* that move by several, or by an unknown step */
};

static int64_t scaled(int64_t step, int64_t by) {
  return !by || !step ? 0 : step == UNKNOWN ? UNKNOWN : step * by;
}

static int64_t plus(int64_t a, int64_t b) {
  return a == UNKNOWN || b == UNKNOWN ? UNKNOWN : a + b;
}

static int64_t dot(const int64_t *step, const int64_t *stride, int rank) {
  int64_t sum = 0;
  for (int d = 0; d < rank; d++)
    sum = plus(sum, scaled(step[d], stride[d]));
  return sum;
}

/* Steps of the index of an access, from those of the iterators. */
static struct steps access_steps(const struct nest *n,
                                 const struct nest_access *a,
                                 const int64_t *iter) {
  struct steps s = {.set = true};
  for (int d = 0; d < a->rank; d++) {
    const struct nest_index *x = &a->idx[d];
    for (int i = 0; i < n->niters; i++)
      s.by[d] = plus(s.by[d], scaled(iter[i], x->coef[i]));
    bool plain = x->div == 1 && x->fit == NEST_AS_IS && x->indirect < 0;
    if ((!plain && s.by[d]) || x->indirect >= 0)
      s.by[d] = UNKNOWN;
  }
  return s;
}

/* What is read from memory: `s` steps of its index, or of its row-major
 * position when the access is flat. */
static void note_leaf(struct walk *w, const struct ir_value *v,
                      const struct steps *s, int64_t position, bool flat) {
  const struct alias *at = alias_of(w->aliases, v);
  int64_t dense[IR_MAX_RANK];
  ir_type_strides(v->type, dense);
  if (flat && at && !ir_type_is_dense(v->type, at->stride))
    position = position ? UNKNOWN : 0;
  else if (!flat)
    position = dot(s->by, at ? at->stride : dense, v->type->rank);
  w->contiguous += position == 1;
  w->apart += position != 0 && position != 1;
}

static int number_of(const struct ir_op *kernel, const struct ir_op *op) {
  int n = 0;
  for (const struct ir_op *o = kernel->region[0]->first; o != op; o = o->next)
    n++;
  return n;
}

static void note_operand(struct walk *w, const struct nest *n,
                         const struct nest_access *a, const struct ir_value *v,
                         const struct steps *own) {
  int64_t iter[NEST_MAX_ITERS] = {0}, dense[IR_MAX_RANK];
  for (int d = 0; d < n->type->rank; d++)
    for (int i = 0; i < n->y[d].n; i++)
      iter[n->y[d].iter[i]] =
          n->y[d].n == 1 || !own->by[d] ? own->by[d] : UNKNOWN;
  struct steps s = {0};
  int64_t position = 0;
  ir_type_strides(n->type, dense);
  if (a->flat)
    position = dot(own->by, dense, n->type->rank);
  else
    s = access_steps(n, a, iter);
  if (!v->def || v->def->block != w->kernel->region[0]) {
    note_leaf(w, v, &s, position, a->flat);
    return;
  }
  struct steps *to = &w->of[number_of(w->kernel, v->def)];
  for (int d = 0; a->flat && d < v->type->rank; d++)
    s.by[d] = position ? UNKNOWN : 0;
  for (int d = 0; to->set && d < v->type->rank; d++)
    if (to->by[d] != s.by[d])
      s.by[d] = UNKNOWN;
  *to = s;
  to->set = true;
}

/* Accesses when the result's index steps along `dim`. */
static void walk_along(struct walk *w, int dim, struct nest *const *nests,
                       int nops) {
  memset(w->of, 0, (size_t)nops * sizeof *w->of);
  w->contiguous = w->apart = 0;
  const struct ir_op *op = w->kernel->region[0]->last->prev;
  w->of[nops - 1].set = true;
  w->of[nops - 1].by[dim] = 1;
  for (int at = nops - 1; at >= 0; at--, op = op->prev) {
    const struct nest *n = nests[at];
    const struct steps own = w->of[at];
    for (int i = 0; own.set && i < n->naccesses; i++) {
      const struct nest_access *a = &n->access[i];
      for (int k = 0; k < a->npieces; k++)
        note_operand(w, n, a, ir_arg(op, (unsigned)(a->operand + k)), &own);
    }
  }
}

int tile_read_dim(struct dn_arena *scratch, const struct aliases *aliases,
                  const struct ir_op *kernel, int last, int64_t lanes) {
  const struct ir_type *type = ir_result(kernel)->type;
  const struct ir_op *yield = kernel->region[0]->last;
  int nops = number_of(kernel, yield), best = -1;
  struct walk w = {.aliases = aliases, .kernel = kernel};
  if (yield->prev != ir_arg(yield, 0)->def || type->dim[last] < lanes)
    return -1;
  struct nest **nests = DN_ARRAY(scratch, struct nest *, nops);
  w.of = DN_ARRAY(scratch, struct steps, nops);
  const struct ir_op *op = kernel->region[0]->first;
  for (int i = 0; i < nops; i++, op = op->next)
    nests[i] = nest_build(scratch, op);
  walk_along(&w, last, nests, nops);
  if (!w.apart)
    return -1;
  int most = w.contiguous;
  for (int d = 0; d < type->rank; d++) {
    if (d == last || type->dim[d] < lanes)
      continue;
    walk_along(&w, d, nests, nops);
    if (w.contiguous > most && !w.apart) {
      most = w.contiguous;
      best = d;
    }
  }
  return best;
}

int64_t tile_runs(struct dn_arena *scratch, const struct aliases *aliases,
                  const struct ir_op *kernel) {
  const struct ir_op *op = kernel->region[0]->first;
  const struct ir_type *y = ir_result(kernel)->type;
  if (op->next != kernel->region[0]->last)
    return 0;
  const struct nest *n = nest_build(scratch, op);
  if (n->naccesses != 1 || !n->access[0].flat || !y->rank)
    return 0;
  const struct ir_value *x = ir_arg(op, 0);
  const struct alias *at = alias_of(aliases, x);
  int r = x->type->rank;
  int64_t runs = r ? x->type->dim[r - 1] : 0;
  if (r < 2 || !at || at->stride[r - 2] != 1 || runs < 4 || runs & (runs - 1) ||
      x->type->dim[r - 2] * runs != y->dim[y->rank - 1])
    return 0;
  return runs;
}
