/* sink.c - what a scan goes through slice by slice is computed in its turns,
 * where RAM counts: the products of a recurrent layer with all its inputs are
 * many times its state. A row of the result must need one row of an operand,
 * the same one, and of others what is the same for all rows. The weights are
 * then read in each turn, so that is done where it saves `min_bytes` and more;
 * with `on` -1, on bare metal. They are read once for several turns where the
 * scan becomes one of scans, of `block` turns each: the outer one makes what
 * those go through. With 0 there are as many as have room in twice the bytes of
 * the states and of what one turn goes through, and one at -Os. The last turns, where
 * they are no whole block, are a scan of their own, which what is computed for all of
 * them at once stands before.
 *
 * before:  %4 = matmul %x, @w : f32[400,256]                 (%x : f32[400,64])
 *          %h = scan %h0, %4 {states=1} : f32[1,256] do (%p: f32[1,256],
 *              %s: f32[256]) { ... }
 * after:   %h = scan %h0, %x {states=1} : f32[1,256] do (%p: f32[1,256],
 *              %s: f32[64]) {
 *            %5 = reshape %s {shape=[1,64]} : f32[1,64]
 *            %6 = matmul %5, @w : f32[1,256]
 *            %7 = reshape %6 {shape=[256]} : f32[256] ... } */
#include "ir/nest.h"
#include "ir/place.h"
#include "ir/size.h"
#include "passes/stripe.h"

#include <assert.h>
#include <string.h>

enum { MAX_CHAIN = 32 };

/* From what the scan reads to what it could read instead. */
struct chain {
  struct ir_op *op[MAX_CHAIN]; /* the nearest to the scan first */
  unsigned rows[MAX_CHAIN];    /* the operand that is read row by row */
  int n;
};

static int64_t rows_of(const struct ir_value *v) {
  return v->type->rank ? v->type->dim[0] : 0;
}

/* An access at the row of the result: 1; at the same place for all rows: 0;
 * else -1. */
static int reads_row(const struct nest *n, const struct nest_access *a) {
  int row = 0, it = n->y[0].iter[0];
  for (int d = 0; d < a->rank; d++) {
    const struct nest_index *x = &a->idx[d];
    bool other = x->base != 0;
    for (int i = 0; i < n->niters; i++)
      other |= i != it && x->coef[i] && n->iter[i].extent > 1;
    if (x->indirect >= 0 || (x->coef[it] && (d || x->coef[it] != 1 || other ||
                                             !nest_index_is_plain(x))))
      return -1;
    row |= x->coef[it] != 0;
  }
  return row;
}

/* The operand of which a row of the result needs that row; -1: there is none,
 * or more is needed. */
static int row_operand(struct dn_arena *tmp, const struct ir_op *op) {
  enum ir_class cls = ir_ops[op->code].cls;
  int found = -1;
  if ((cls != IR_MAP && cls != IR_CONTRACT) || ir_find_attr(op, "shape"))
    return -1;
  const struct nest *n = nest_build(tmp, op);
  if (!n || !n->type->rank || n->y[0].n != 1)
    return -1;
  for (int i = 0; i < n->nnodes; i++)
    if (n->node[i].kind == NEST_ITER && n->node[i].arg[0] == n->y[0].iter[0])
      return -1;
  for (int i = 0; i < n->naccesses; i++) {
    const struct nest_access *a = &n->access[i];
    int row = a->flat || a->npieces > 1 ? -1 : reads_row(n, a);
    if (row < 0 || (row && found >= 0 && found != a->operand))
      return -1;
    found = row ? a->operand : found;
  }
  return found >= 0 && rows_of(ir_arg(op, (unsigned)found)) == n->type->dim[0]
             ? found
             : -1;
}

/* Turns the order of the rows around, and does nothing else. */
static bool is_reverse(const struct ir_op *op, int64_t turns) {
  const struct ir_type *x = op->noperands ? ir_arg(op, 0)->type : NULL;
  if (op->code != IR_SLICE || !x->rank || x->dim[0] != turns ||
      ir_get_at(op, "steps", 0) != -1)
    return false;
  for (int d = 0; d < x->rank; d++)
    if (ir_get_at(op, "sizes", d) != x->dim[d] ||
        (d && ir_get_at(op, "steps", d) != 1))
      return false;
  return true;
}

static bool is_reshape(const struct ir_op *op) {
  return op->code == IR_RESHAPE;
}

static void find_chain(struct dn_arena *tmp, const struct ir_op *scan,
                       struct ir_value *v, int64_t turns, struct chain *c) {
  for (; c->n < MAX_CHAIN; c->n++) {
    struct ir_op *op = v->def;
    if (!op || op->block != scan->block || !v->uses || v->uses->next)
      return;
    int row =
        is_reshape(op) || is_reverse(op, turns) ? 0 : row_operand(tmp, op);
    if (row < 0)
      return;
    v = ir_arg(op, (unsigned)row);
    if (!rows_of(v) || rows_of(v) % turns)
      return;
    c->op[c->n] = op;
    c->rows[c->n] = (unsigned)row;
  }
}

/* Bytes of the arena that a value takes: inputs and constants take none, the
 * result of a move as many as its operand. */
static int64_t cost(const struct ir_value *v) {
  while (v->def && ir_ops[v->def->code].cls == IR_MOVE &&
         v->def->noperands == 1)
    v = ir_arg(v->def, 0);
  return v->def ? ir_type_bytes(v->type) : 0;
}

/* How much of the chain is best moved. */
static int choose(const struct chain *c, int64_t min_bytes) {
  int best = 0;
  int64_t now = c->n ? cost(ir_result(c->op[0])) : 0, least = now;
  for (int i = 0; i < c->n; i++) {
    int64_t bytes = cost(ir_arg(c->op[i], c->rows[i]));
    if (bytes < least) {
      least = bytes;
      best = i + 1;
    }
  }
  return now - least >= min_bytes ? best : 0;
}

struct sink {
  struct pass_env *env;
  int64_t min_bytes, block;
};

static int find(const struct sink *s, struct dn_arena *tmp, struct ir_op *scan,
                unsigned k, struct chain *c) {
  int64_t turns = rows_of(ir_arg(scan, k));
  c->n = 0;
  if (turns > 1 && scan->region[0]->param[k]->uses)
    find_chain(tmp, scan, ir_arg(scan, k), turns, c);
  return choose(c, s->min_bytes);
}

/* ---- Moving ---- */

/* Reads `v` as rows of turns: [turns, rows of one, ...]; in reverse. */
static struct ir_value *slices(struct ir_op *scan, struct ir_value *v,
                               int64_t turns, bool back) {
  assert(rows_of(v) % turns == 0 &&
         "find_chain() ends before what has other rows");
  struct ir_builder b = edit_before(scan);
  if (rows_of(v) != turns && v->type->rank < IR_MAX_RANK)
    v = edit_cut_rows(&b, v, rows_of(v) / turns);
  if (!back)
    return v;
  int64_t starts[IR_MAX_RANK] = {turns - 1}, steps[IR_MAX_RANK];
  for (int d = 0; d < IR_MAX_RANK; d++)
    steps[d] = d ? 1 : -1;
  return ir_emit(&b, IR_SLICE, IR_ARGS(v),
                 IR_ATTRS(ir_ints("starts", starts, v->type->rank),
                          ir_ints("sizes", v->type->dim, v->type->rank),
                          ir_ints("steps", steps, v->type->rank)));
}

/* Op i of the chain for the rows of some of all turns. */
static struct ir_value *move_op(struct ir_builder *b, const struct chain *c,
                                int i, int64_t turns, int64_t some,
                                struct ir_value *rows) {
  const struct ir_op *op = c->op[i];
  const struct ir_type *y = ir_result(op)->type;
  if (is_reshape(op)) {
    int64_t dims[IR_MAX_RANK];
    memcpy(dims, y->dim, sizeof dims);
    dims[0] = dims[0] / turns * some;
    return edit_reshape(b, rows, y->rank, dims);
  }
  if (is_reverse(op, turns))
    return rows;
  struct ir_value *args[8];
  assert(op->noperands <= DN_COUNT(args) && "MAP and CONTRACT have few");
  for (unsigned k = 0; k < op->noperands; k++)
    args[k] = k == c->rows[i] ? rows : ir_arg(op, k);
  b->loc = op->loc;
  b->model_op = op->model_op;
  return ir_emit(b, op->code, args, op->noperands, op->attr, op->nattrs);
}

/* Everything but what computes it from the slice reads `with`. */
static void replace_reads(struct ir_value *slice, const struct ir_op *but,
                          struct ir_value *with) {
  for (struct ir_use *u = slice->uses, *next; u; u = next) {
    next = u->next;
    if (u->op != but)
      ir_set_operand(u->op, ir_operand_number(u), with);
  }
}

static void sink(struct ir_op *scan, unsigned k, const struct chain *c, int n,
                 int64_t turns) {
  assert(n > 0 && n <= c->n && "choose() has found operations");
  struct ir_block *body = scan->region[0];
  struct ir_value *slice = body->param[k];
  const struct ir_type *was = slice->type;
  struct ir_value *v = ir_arg(c->op[n - 1], c->rows[n - 1]);
  bool back = false;
  for (int i = 0; i < n; i++)
    back ^= is_reverse(c->op[i], turns);
  int64_t rows = rows_of(v) / turns;
  ir_set_operand(scan, k, v = slices(scan, v, turns, back));
  slice->type = ir_type_part(scan->block->func->module->ctx, v->type, 1,
                             v->type->rank - 1);
  struct ir_builder b = edit_before(body->first);
  struct ir_op *next = body->first;
  struct ir_value *at = slice;
  if (rows == 1) {
    int64_t dims[IR_MAX_RANK];
    memcpy(dims, v->type->dim, sizeof dims);
    dims[0] = 1;
    at = edit_reshape(&b, slice, v->type->rank, dims);
  }
  for (int i = n; i-- > 0;)
    at = move_op(&b, c, i, turns, 1, at);
  at = edit_reshape(&b, at, was->rank, was->dim);
  const struct ir_op *first = next->prev ? body->first : NULL;
  replace_reads(slice, first, at);
}

/* ---- The last turns ---- */

/* What the scan goes through as operand k, in turns [from, to) of all: what a chain
 * makes of the rows of these. */
static struct ir_value *part_of(struct ir_op *scan, unsigned k,
                                const struct chain *c, int n, int64_t from,
                                int64_t to) {
  struct ir_builder b = edit_before(scan);
  struct ir_value *v = ir_arg(scan, k);
  int64_t turns = rows_of(v);
  if (n)
    v = ir_arg(c->op[n - 1], c->rows[n - 1]);
  int64_t rows = rows_of(v) / turns;
  v = stripe_slice(&b, v, 0, (struct stripe_rows){from * rows, to * rows});
  for (int i = n; i-- > 0;)
    v = move_op(&b, c, i, turns, to - from, v);
  return v;
}

/* The same op, with other operands, before `where`. */
static struct ir_op *copy_op(struct dn_arena *tmp, struct dn_map *now,
                             struct ir_builder *where, const struct ir_op *op) {
  struct ir_builder b = *where;
  b.loc = op->loc;
  b.model_op = op->model_op;
  struct ir_value **x = DN_ARRAY(tmp, struct ir_value *, op->noperands);
  const struct ir_type **types =
      DN_ARRAY(tmp, const struct ir_type *, op->nresults);
  for (unsigned i = 0; i < op->noperands; i++) {
    struct ir_value *copy = dn_map_get(now, ir_arg(op, i));
    x[i] = copy ? copy : ir_arg(op, i);
  }
  for (unsigned i = 0; i < op->nresults; i++)
    types[i] = op->result[i]->type;
  struct ir_op *copy = ir_op_new(&b, op->code, x, op->noperands, op->attr,
                                 op->nattrs, types, op->nresults, op->nregions);
  for (unsigned i = 0; i < op->nresults; i++)
    dn_map_put(tmp, now, op->result[i], copy->result[i]);
  for (unsigned r = 0; r < op->nregions; r++) {
    struct ir_builder in = b;
    in.block = copy->region[r];
    in.before = NULL;
    for (unsigned i = 0; i < op->region[r]->nparams; i++) {
      const struct ir_value *p = op->region[r]->param[i];
      dn_map_put(tmp, now, p, ir_param_new(in.block, NULL, p->type));
    }
    for (const struct ir_op *o = op->region[r]->first; o; o = o->next)
      copy_op(tmp, now, &in, o);
  }
  return copy;
}

static const struct ir_type *with_rows(struct dn_ctx *ctx,
                                       const struct ir_type *t, int64_t rows) {
  int64_t dims[IR_MAX_RANK];
  memcpy(dims, t->dim, sizeof dims);
  dims[0] = rows;
  return ir_type(ctx, t->dtype, t->rank, dims);
}

/* Leaves the first `first` turns of the scan to it, and the others to the one that it
 * returns, behind it. */
static struct ir_op *cut_last(const struct sink *s, struct ir_op *scan,
                              int64_t first) {
  struct ir_builder b = edit_before(scan);
  struct dn_ctx *ctx = b.m->ctx;
  struct dn_arena *tmp = dn_arena_new(ctx);
  unsigned states = ir_num_carried(scan);
  int64_t turns = rows_of(ir_arg(scan, states));
  assert(first > 0 && first < turns && "pass_sink() cuts what is left off");
  struct dn_map now = {0};
  struct ir_value **last = DN_ARRAY(tmp, struct ir_value *, scan->noperands);
  for (unsigned k = states; k < scan->noperands; k++) {
    struct chain c;
    int n = find(s, tmp, scan, k, &c);
    last[k] = part_of(scan, k, &c, n, first, turns);
    struct ir_value *v = part_of(scan, k, &c, n, 0, first);
    ir_set_operand(scan, k, v);
  }
  b.before = scan->next;
  struct ir_op *rest = copy_op(tmp, &now, &b, scan);
  for (unsigned i = 0; i < scan->nresults; i++) {
    struct ir_value *y = scan->result[i], *z = rest->result[i];
    if (i < states) {
      ir_replace_uses(y, z);
      continue;
    }
    struct ir_attr axis = ir_int("axis", 0);
    z->type = with_rows(ctx, y->type, turns - first);
    y->type = with_rows(ctx, y->type, first);
    struct ir_value *all = ir_emit(&b, IR_CONCAT, IR_ARGS(y, z), &axis, 1);
    replace_reads(y, all->def, all);
  }
  for (unsigned k = 0; k < scan->noperands; k++)
    ir_set_operand(rest, k, k < states ? scan->result[k] : last[k]);
  dn_arena_free(tmp);
  return rest;
}

/* ---- The pass ---- */

/* The bytes a turn of what operand k goes through and would be sunk; -1: blocks
 * of turns are no rows of it. */
static int64_t sunk_bytes(const struct sink *s, struct ir_op *scan,
                          unsigned k) {
  const struct ir_type *t = ir_arg(scan, k)->type;
  struct dn_arena *tmp = dn_arena_new(s->env->ctx);
  struct chain c;
  int n = find(s, tmp, scan, k, &c);
  bool fits = true;
  for (int i = 0; i < n; i++)
    fits &= !is_reverse(c.op[i], t->dim[0]);
  dn_arena_free(tmp);
  return !fits ? -1 : n ? ir_type_bytes(t) / t->dim[0] : 0;
}

static bool is_cuttable(const struct ir_value *v, int64_t turns) {
  return !ir_type_is_sized(v->type) && !v->type->quant &&
         v->type->rank < IR_MAX_RANK && rows_of(v) == turns;
}

/* How many turns a block has. */
static int64_t find_block(const struct sink *s, struct ir_op *scan) {
  enum { MOST = 8, LIMIT = 65536 };
  unsigned states = ir_num_carried(scan);
  int64_t state = 0, turn = 0, turns = rows_of(ir_arg(scan, states));
  for (unsigned k = 0; k < states; k++)
    state += ir_type_bytes(ir_arg(scan, k)->type);
  for (unsigned k = states; k < scan->noperands; k++) {
    int64_t bytes = sunk_bytes(s, scan, k);
    if (bytes < 0 || !is_cuttable(ir_arg(scan, k), turns))
      return 1;
    turn += bytes;
  }
  for (unsigned i = states; i < scan->nresults; i++)
    if (!is_cuttable(scan->result[i], turns))
      return 1;
  if (!turn || (!s->block && s->env->opts->opt_size) || !ir_may_nest(scan))
    return 1;
  int64_t n = s->block ? s->block : dn_min((state + 2 * turn) / turn, MOST);
  int64_t most = dn_min(n, dn_min(turns, LIMIT));
  for (n = most; n > 1 && turns % n;)
    n--;
  if (n * 2 <= most) /* whole blocks would be half as long */
    n = most;
  return n < turns ? n : 1;
}

static int64_t sink_into(const struct sink *s, struct ir_op *scan) {
  int64_t sunk = 0;
  for (unsigned k = ir_num_carried(scan); k < scan->noperands; k++) {
    struct dn_arena *tmp = dn_arena_new(s->env->ctx);
    struct chain c;
    int n = find(s, tmp, scan, k, &c);
    if (n)
      sink(scan, k, &c, n, rows_of(ir_arg(scan, k)));
    sunk += n;
    dn_arena_free(tmp);
  }
  return sunk;
}

int64_t pass_sink(struct pass_env *env, struct ir_module *m) {
  int64_t on = pass_int(env, "on"), sunk = 0;
  const struct sink s = {env, pass_int(env, "min_bytes"),
                         pass_int(env, "block")};
  if (!on || (on < 0 && !env->target->bare_metal))
    return 0;
  const struct ir_op *last = NULL; /* of those that were cut, what is left */
  for (struct ir_op *op = ir_first(m); op; op = ir_next(op)) {
    if (op->code != IR_SCAN || op == last)
      continue;
    int64_t n = find_block(&s, op);
    int64_t turns = rows_of(ir_arg(op, ir_num_carried(op)));
    if (n > 1 && turns % n)
      last = cut_last(&s, op, turns / n * n);
    sunk += sink_into(&s, n > 1 ? edit_cut_turns(op, n, false) : op);
  }
  return sunk;
}
