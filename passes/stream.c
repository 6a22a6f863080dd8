/* stream.c - with --stream, makes of a network over a window a step: it takes
 * the rows that are new since the last call, and keeps what it needs of older
 * ones as state: a few rows move up by a step in each call, many are a ring, of
 * which a call writes its own. A value whose rows move on as the window does
 * (rows of it need rows near them alone, as nests say) is computed at its new
 * rows; of those before them it keeps as many as its readers reach back to.
 * What reads all rows (a sum, a dense layer over the window) finds them kept,
 * and is computed again. docs/firmware.md says what a step equals.
 *
 * before:  %y = conv %x, @w : f32[1,98,1,8]    (%x : f32[1,100,1,4], axis=1)
 *          %m = reduce_sum %y {axes=[1]}
 *          return %m
 * after:   func @main(%x: f32[1,1,1,4], %x_rows: f32[1,2,1,4],
 *                     %y_rows: f32[98,1,8], %at_98_rows: i32[1])
 *          %b = concat %x_rows, %x {axis=1}
 *          %y = conv %b, @w : f32[1,1,1,8]
 *          %r = scatter %y_rows, %at_98_rows, %y : f32[98,1,8]
 *          %c = reshape %r : f32[1,98,1,8]
 *          %m = reduce_sum %c {axes=[1]}
 *          %1 = slice %b {starts=[0,1,0,0], sizes=[1,2,1,4]}
 *          %2 = mod (add %at_98_rows, 1), 98
 *          return %m, %1, %r, %2 {state=[-1,1,2,3]} */
#include "ir/nest.h"
#include "ir/place.h"
#include "passes/stripe.h"

#include <assert.h>
#include <string.h>

/* A ring is for what is many times the step. */
enum { RING_LEAST = 4 };

/* A value whose rows move on with the window. */
struct flow {
  struct ir_value *v;
  int axis;          /* -1: they do not */
  int64_t stride;    /* rows of the input for each of its own */
  int64_t len, step; /* rows of the window, and new ones */
  int64_t keep;      /* rows before the new ones that are read */
  bool begins;       /* rows in front of the first ones are known: */
  double before;
  struct ir_value *now, *all; /* the new rows; with those kept, or the ring: */
  struct ir_value *at;        /* where in it the new ones are; NULL: in order */
};

/* Where the rows of a call are in all rings of one size. */
struct place {
  int64_t rows, step;
  struct ir_value *at;
};

struct kept {
  struct ir_value *param, *next, *initial;
};

struct streamer {
  struct pass_env *env;
  struct ir_module *m;
  struct ir_func *f;
  unsigned nops, nvalues;     /* of the model */
  int64_t step;               /* rows of the input; 0: not known yet, */
  int64_t unit;               /* and what it must be a multiple of */
  struct flow *flow;          /* by value id */
  struct stripe_read **reads; /* by op id: of one that is computed by rows */
  int *wide; /* by op id: 1 + axis of one that could be, had it less to read */
  DN_LIST(struct kept) kept;
  DN_LIST(struct place) places;
};

static const struct dn_loc here = {.where = "--stream"};

static struct flow *flow_of(const struct streamer *s,
                            const struct ir_value *v) {
  struct flow *f = v->id < s->nvalues ? &s->flow[v->id] : NULL;
  return f && f->axis >= 0 ? f : NULL;
}

static void start_flow(struct streamer *s, struct ir_value *v, int axis,
                       int64_t stride) {
  assert(axis < v->type->rank && stride && "stride_along() has found rows");
  s->flow[v->id] = (struct flow){.v = v,
                                 .axis = axis,
                                 .stride = stride,
                                 .len = v->type->dim[axis],
                                 .step = s->step / stride};
  if (!dn_mul(stride / dn_gcd(s->unit, stride), s->unit, &s->unit))
    s->unit = INT64_MAX; /* more rows than an input has */
}

/* ---- What is computed by rows ---- */

/* Rows that the new ones of `y` read; of the first row with `first`. */
static struct stripe_rows rows_read(const struct flow *y, struct stripe_read r,
                                    bool first) {
  assert(y->axis >= 0 && y->step > 0 &&
         "follow_op() has found rows, with a step");
  int64_t lo = first ? 0 : y->len - y->step;
  return (struct stripe_rows){r.coef * lo + r.base,
                              r.coef * (y->len - 1) + r.base + r.reach + 1};
}

/* Rows of the input for each row of `op` along `axis`, which move on with those
 * of all it reads; 0: they do not. */
static int64_t stride_along(const struct streamer *s, const struct ir_op *op,
                            int axis, struct stripe_read *read) {
  int64_t stride = 0;
  for (unsigned i = 0; i < op->noperands; i++)
    read[i].axis = -1;
  if (!stripe_reads(s->env->scratch, op, axis, read))
    return 0;
  for (unsigned i = 0; i < op->noperands; i++) {
    const struct ir_value *x = ir_arg(op, i);
    const struct flow *f = flow_of(s, x);
    int64_t mine = 0;
    if (!f && x->data && (read[i].axis < 0 || x->type->dim[read[i].axis] == 1))
      continue;
    if (!f || read[i].axis != f->axis ||
        !dn_mul(f->stride, read[i].coef, &mine) || (stride && mine != stride) ||
        (read[i].base < 0 && !ir_find_attr(op, "pads")))
      return 0;
    stride = mine;
  }
  return stride;
}

/* Rows in front of the window are its padding until there are others. */
static bool pad_front(struct streamer *s, const struct ir_op *op,
                      struct flow *x) {
  double before = nest_build(s->env->scratch, op)->outside, least, most;
  if (ir_is_int(x->v->type->dtype)) { /* of integers, -inf is the least */
    ir_dtype_range(x->v->type->dtype, &least, &most);
    before = before < least ? least : before > most ? most : before;
  }
  if (x->begins && memcmp(&x->before, &before, sizeof before) != 0)
    return dn_error(s->env->ctx, ir_loc(op), DN_STREAM,
                    "it is padded by other numbers than what else reads '%s'",
                    x->v->name);
  x->begins = true;
  x->before = before;
  return true;
}

static bool follow_pads(struct streamer *s, const struct ir_op *op,
                        const struct stripe_read *read) {
  struct flow *y = flow_of(s, ir_result(op));
  for (unsigned i = 0; i < op->noperands; i++) {
    struct flow *x = flow_of(s, ir_arg(op, i));
    if (!x)
      continue;
    int64_t ahead = rows_read(y, read[i], true).hi - x->len;
    if (ahead > 0) {
      dn_error(
          s->env->ctx, ir_loc(op), DN_STREAM,
          "it is padded by %lld rows behind the window, where a stream has "
          "none yet",
          (long long)ahead);
      dn_note(s->env->ctx,
              "train it without this padding, or with all of it in "
              "front (causal)");
      return false;
    }
    if (read[i].base < 0 && !pad_front(s, op, x))
      return false;
    if (ir_ops[op->code].cls == IR_MOVE && op->noperands == 1 && x->begins) {
      y->begins = true;
      y->before = x->before;
    }
  }
  return true;
}

/* false after a diagnostic. */
static bool follow_op(struct streamer *s, struct ir_op *op) {
  bool moves = false;
  for (unsigned i = 0; i < op->noperands; i++)
    moves |= flow_of(s, ir_arg(op, i)) != NULL;
  if (!moves || op->nresults != 1 || op->nregions)
    return true;
  struct stripe_read *read =
      DN_ARRAY(s->env->scratch, struct stripe_read, op->noperands);
  const struct ir_type *type = ir_result(op)->type;
  int64_t stride = 0;
  int axis = 0;
  while (axis < type->rank && !(stride = stride_along(s, op, axis, read)))
    axis++;
  if (!stride || s->step / stride >= type->dim[axis])
    return true;
  start_flow(s, ir_result(op), axis, stride);
  s->reads[op->id] = read;
  return !s->step || follow_pads(s, op, read);
}

static bool follow_input(struct streamer *s, struct ir_value *p, int64_t axis) {
  if (ir_state_of(p) >= 0)
    return dn_error(
        s->env->ctx, here, DN_USAGE,
        "the model keeps '%.200s' from call to call: it is a stream", p->name);
  if (axis >= p->type->rank || p->type->dim[axis] <= dn_max(s->step, 1))
    return dn_error(
        s->env->ctx, here, DN_USAGE,
        "input '%.200s' is %s: a step of %lld along axis %lld is no "
        "part of it",
        p->name, ir_type_text(s->env->ctx, NULL, p->type),
        (long long)dn_max(s->step, 1), (long long)axis);
  start_flow(s, p, (int)axis, 1);
  return true;
}

/* With `step` 0: finds what it must be a multiple of. */
static bool follow(struct streamer *s, int64_t step) {
  bool ok = true;
  s->step = step;
  s->unit = 1;
  for (unsigned i = 0; i < s->nvalues; i++)
    s->flow[i] = (struct flow){.axis = -1};
  memset(s->reads, 0, s->nops * sizeof *s->reads);
  for (unsigned i = 0; i < s->f->body->nparams; i++)
    ok &= follow_input(s, s->f->body->param[i], s->env->opts->stream - 1);
  if (!ok)
    return false;
  for (struct ir_op *op = s->f->body->first; op; op = op->next)
    ok &= follow_op(s, op);
  return ok;
}

/* ---- What is kept ---- */

/* A map whose readers all need the whole window is computed by them, from its
 * operand, where the operand is smaller: then the operand's rows are kept. */
static void narrow(struct streamer *s, struct ir_op *op) {
  struct flow *y = s->reads[op->id] ? flow_of(s, ir_result(op)) : NULL;
  const struct flow *x = NULL;
  if (!y || ir_ops[op->code].cls != IR_MAP)
    return;
  for (const struct ir_use *u = y->v->uses; u; u = u->next)
    if (s->reads[u->op->id] || u->op == s->f->body->last)
      return;
  for (unsigned i = 0; i < op->noperands; i++) {
    const struct flow *f = flow_of(s, ir_arg(op, i));
    if (f && x && f != x)
      return;
    x = f ? f : x;
  }
  assert(x && "rows move on with those of an operand: follow_op()");
  if (ir_type_bytes(x->v->type) >= ir_type_bytes(y->v->type))
    return;
  s->wide[op->id] = y->axis + 1;
  s->reads[op->id] = NULL;
  y->axis = -1;
}

/* Rows along `axis` of what `op` reads by `u` may come in any order. */
static bool is_unordered(const struct streamer *s, const struct ir_use *u,
                         int axis) {
  const struct ir_op *op = u->op;
  if (op->block != s->f->body || op->nresults != 1 || op->nregions)
    return false;
  if (s->wide[op->id]) {
    bool all = true;
    for (const struct ir_use *y = ir_result(op)->uses; y; y = y->next)
      all &= is_unordered(s, y, s->wide[op->id] - 1);
    return all;
  }
  const struct nest *n = nest_build(s->env->scratch, op);
  if (n->naccesses != 1 || !n->nstates || n->access[0].flat || n->to >= 0 ||
      n->carried >= 0 || nest_code_uses(&n->step, NEST_VAR_K))
    return false;
  const struct nest_index *x = &n->access[0].idx[axis];
  for (int i = 0; i < n->niters; i++)
    if (n->iter[i].reduced && x->coef[i] == 1)
      return nest_index_is_plain(x) && !x->base &&
             n->iter[i].extent == u->value->type->dim[axis];
  return false;
}

static void find_kept(const struct streamer *s, struct flow *x) {
  for (const struct ir_use *u = x->v->uses; u; u = u->next) {
    const struct stripe_read *read = s->reads[u->op->id];
    int64_t first = x->len - x->step, lo = 0;
    if (u->op == s->f->body->last)
      continue;
    if (read)
      lo = rows_read(flow_of(s, ir_result(u->op)), read[ir_operand_number(u)],
                     false)
               .lo;
    x->keep = dn_max(x->keep, first - lo);
    if (!read && s->env->log)
      fprintf(s->env->log, "stream: %s reads all %lld rows of %s\n",
              u->op->loc ? u->op->loc : ir_ops[u->op->code].text,
              (long long)x->len, x->v->name);
  }
}

static const struct ir_type *type_of(const struct streamer *s,
                                     const struct flow *x, int64_t rows) {
  int64_t dim[IR_MAX_RANK];
  const struct ir_type *type = x->v->type;
  memcpy(dim, type->dim, sizeof dim);
  dim[x->axis] = rows;
  return ir_type_checked(s->env->ctx, s->m->file, type->dtype, type->rank, dim);
}

/* That of the new rows, which are quantized as all are. */
static const struct ir_type *new_type(const struct streamer *s,
                                      const struct flow *x) {
  const struct ir_quant *q = x->v->type->quant;
  const struct ir_type *type = type_of(s, x, x->step);
  return q && !q->scales ? ir_type_quant(s->env->ctx, type, q) : type;
}

static struct ir_value *ints(struct streamer *s, const char *name, int64_t n,
                             int64_t first, int64_t step) {
  int64_t *v = DN_ARRAY(s->env->scratch, int64_t, n);
  for (int64_t i = 0; i < n; i++)
    v[i] = first + i * step;
  return ir_const_ints(s->m, name, IR_I32, 1, &n, v);
}

/* (at + first + i * step) mod rows, for n of i. */
static struct ir_value *turned(struct streamer *s, struct ir_builder *b,
                               struct ir_value *at, int64_t rows, int64_t n,
                               int64_t first, int64_t step) {
  struct ir_value *sum =
      ir_emit(b, IR_ADD, IR_ARGS(at, ints(s, "rows", n, first, step)), NULL, 0);
  return ir_emit(b, IR_MOD, IR_ARGS(sum, ints(s, "ring", 1, rows, 0)), NULL, 0);
}

/* Rows [lo, hi) of the window, every `each`th. */
static struct ir_value *rows_of(struct streamer *s, struct ir_builder *b,
                                const struct flow *x, int64_t lo, int64_t hi,
                                int64_t each) {
  int64_t first = x->len - x->step;
  assert(lo < hi && each > 0 && "a row is read at least");
  bool is_new = lo >= first;
  if (!is_new && x->at) {
    int64_t dim[IR_MAX_RANK], n = (hi - 1 - lo) / each + 1;
    int64_t ring = x->all->type->dim[0];
    struct ir_value *idx =
        turned(s, b, x->at, ring, n, ring - (first - lo), each);
    memcpy(dim, x->v->type->dim, sizeof dim);
    dim[x->axis] = n;
    return edit_reshape(b, ir_emit(b, IR_GATHER, IR_ARGS(x->all, idx), NULL, 0),
                        x->v->type->rank, dim);
  }
  int64_t at = is_new ? first : first - x->keep;
  return stripe_slice(b, is_new ? x->now : x->all, x->axis,
                      (struct stripe_rows){lo - at, hi - at});
}

/* Rows of a ring for what is kept, which a step divides; 0: it moves up. A ring
 * has its rows as its first dimension. */
static int64_t ring_rows(const struct flow *x) {
  assert(x->step > 0 && "pass_stream(): the step is a multiple of the unit");
  bool first = x->keep >= RING_LEAST * x->step && x->keep < INT32_MAX / 4;
  for (int d = 0; d < x->axis; d++)
    first &= x->v->type->dim[d] == 1;
  return first ? (x->keep - 1 + 2 * x->step) / x->step * x->step : 0;
}

/* The place in rings of so many rows. */
static struct ir_value *place_in(struct streamer *s, int64_t rows,
                                 int64_t step) {
  for (size_t i = 0; i < s->places.n; i++)
    if (s->places.v[i].rows == rows && s->places.v[i].step == step)
      return s->places.v[i].at;
  const char *name = dn_printf(s->m->arena, "at_%lld_rows", (long long)rows);
  const struct ir_type *type =
      ir_type(s->env->ctx, IR_I32, 1, (const int64_t[]){1});
  struct place p = {rows, step, ir_param_new(s->f->body, name, type)};
  struct ir_builder b = edit_before(s->f->body->last);
  struct kept k = {.param = p.at,
                   .next = turned(s, &b, p.at, rows, 1, step, 0)};
  DN_PUSH(s->env->scratch, s->places, p);
  DN_PUSH(s->env->scratch, s->kept, k);
  return p.at;
}

/* The rows that are kept, with the new ones among or behind them: what the next
 * call finds. */
static struct ir_value *keep_in(struct streamer *s, struct ir_builder *b,
                                struct flow *x, struct ir_value *kept) {
  if (!x->at) {
    x->all = ir_emit(b, IR_CONCAT, IR_ARGS(kept, x->now),
                     IR_ATTRS(ir_int("axis", x->axis)));
    return stripe_slice(b, x->all, x->axis,
                        (struct stripe_rows){x->step, x->step + x->keep});
  }
  int64_t dim[IR_MAX_RANK];
  memcpy(dim, kept->type->dim, sizeof dim);
  dim[0] = x->step;
  struct ir_value *rows = edit_reshape(b, x->now, kept->type->rank, dim);
  struct ir_value *to = ir_emit(
      b, IR_ADD, IR_ARGS(x->at, ints(s, "rows", x->step, 0, 1)), NULL, 0);
  return x->all = ir_emit(b, IR_SCATTER, IR_ARGS(kept, to, rows), NULL, 0);
}

/* The state of a value, behind where it is made. */
static bool keep(struct streamer *s, struct ir_builder *b, struct flow *x) {
  x->all = x->now;
  if (!x->keep)
    return true;
  int64_t ring = ring_rows(x);
  const struct ir_type *type = type_of(s, x, ring ? ring : x->keep);
  if (!type)
    return false;
  if (ring) {
    type = ir_type(s->env->ctx, type->dtype, type->rank - x->axis,
                   type->dim + x->axis);
    x->at = place_in(s, ring, x->step);
  }
  const char *name = dn_printf(s->m->arena, "%s_rows", x->v->name);
  struct kept k = {.param = ir_param_new(s->f->body, name, type)};
  if (x->begins && x->before != 0)
    k.initial = ir_const_splat(s->m, name, type, x->before);
  k.next = keep_in(s, b, x, k.param);
  DN_PUSH(s->env->scratch, s->kept, k);
  return k.next != NULL;
}

/* Readers that are not computed by rows find those of the window: all of the
 * ring, where their order does not matter. */
static void give_all(struct streamer *s, struct ir_builder *b, struct flow *x) {
  struct ir_value *window = NULL, *ring = NULL;
  if (x->at && x->all->type->dim[0] == x->len)
    ring =
        edit_reshape(b, x->all, x->v->type->rank, type_of(s, x, x->len)->dim);
  for (struct ir_use *u = x->v->uses, *next; u; u = next) {
    next = u->next;
    bool returns = u->op == s->f->body->last;
    if (u->op->id >= s->nops || s->reads[u->op->id])
      continue;
    bool any = !returns && ring && is_unordered(s, u, x->axis);
    if (!returns && !any && !window)
      window = rows_of(s, b, x, 0, x->len, 1);
    ir_set_operand(u->op, ir_operand_number(u),
                   returns ? x->now
                   : any   ? ring
                           : window);
  }
}

/* ---- The change ---- */

/* Of the one new row of `op`, which reads every so many rows along its axis:
 * its attributes are then those of one that reads rows side by side. */
static int64_t spread(struct streamer *s, const struct ir_op *op,
                      const struct flow *y, struct ir_attr *attrs) {
  for (unsigned i = 0; i < op->nattrs && y->step == 1; i++) {
    int64_t d = y->axis - (y->v->type->rank - attrs[i].n) / 2;
    if (strcmp(attrs[i].name, "dilations") != 0 || d < 0 || d >= attrs[i].n)
      continue;
    int64_t each = attrs[i].is[d];
    int64_t *v =
        dn_copy(s->m->arena, attrs[i].is, (size_t)attrs[i].n * sizeof *v);
    v[d] = 1;
    attrs[i].is = v;
    return each;
  }
  return 1;
}

static bool change_op(struct streamer *s, struct ir_op *op) {
  struct flow *y = flow_of(s, ir_result(op));
  struct ir_builder b = edit_before(op);
  struct ir_value **x =
      DN_ARRAY(s->env->scratch, struct ir_value *, op->noperands);
  const struct ir_type *type = new_type(s, y);
  struct ir_attr *attrs =
      stripe_attrs(s->m, op, y->axis, type, (struct stripe_rows){0});
  const struct flow *ring = flow_of(s, ir_arg(op, 0));
  bool turns =
      ring && ring->at &&
      rows_read(y, s->reads[op->id][0], false).lo < ring->len - ring->step;
  int64_t each = turns ? spread(s, op, y, attrs) : 1;
  for (unsigned i = 0; i < op->noperands; i++) {
    const struct flow *from = flow_of(s, ir_arg(op, i));
    struct stripe_rows r = rows_read(y, s->reads[op->id][i], false);
    x[i] = from ? rows_of(s, &b, from, r.lo, r.hi, each) : ir_arg(op, i);
  }
  y->now = ir_result(ir_op_new(&b, op->code, x, op->noperands, attrs,
                               op->nattrs, &type, 1, 0));
  if (!keep(s, &b, y))
    return false;
  give_all(s, &b, y);
  return true;
}

static bool change_inputs(struct streamer *s) {
  struct ir_builder b = edit_before(s->f->body->first);
  unsigned n = s->f->body->nparams;
  for (unsigned i = 0; i < n; i++) {
    struct flow *x = flow_of(s, s->f->body->param[i]);
    x->now = x->v;
    x->v->type = new_type(s, x);
    if (!keep(s, &b, x))
      return false;
    give_all(s, &b, x);
  }
  return true;
}

static void return_kept(struct streamer *s) {
  struct ir_op *ret = s->f->body->last;
  struct ir_builder b = edit_before(ret);
  unsigned had = ret->noperands, n = had + (unsigned)s->kept.n;
  struct ir_value **all = DN_ARRAY(s->env->scratch, struct ir_value *, n);
  const char **names = DN_ARRAY(s->m->arena, const char *, n);
  for (unsigned i = 0; i < n; i++) {
    all[i] = i < had ? ir_arg(ret, i) : s->kept.v[i - had].next;
    names[i] = i < had ? s->f->result_name[i] : s->kept.v[i - had].param->name;
  }
  ir_op_new(&b, IR_RETURN, all, n, NULL, 0, NULL, 0, 0);
  ir_op_remove(ret);
  s->f->nresults = n;
  s->f->result_name = names;
  for (unsigned i = had; i < n; i++)
    ir_state_set(s->f, i, s->kept.v[i - had].param, s->kept.v[i - had].initial);
}

static int64_t change(struct streamer *s) {
  DN_LIST(struct ir_op *) old = {0};
  for (struct ir_op *op = s->f->body->last; op; op = op->prev)
    narrow(s, op);
  for (unsigned i = 0; i < s->nvalues; i++)
    if (s->flow[i].axis >= 0)
      find_kept(s, &s->flow[i]);
  if (!change_inputs(s))
    return -1;
  for (struct ir_op *op = s->f->body->first; op; op = op->next) {
    if (op->id >= s->nops || !s->reads[op->id])
      continue;
    if (!change_op(s, op))
      return -1;
    DN_PUSH(s->env->scratch, old, op);
  }
  return_kept(s);
  for (size_t i = old.n; i-- > 0;) {
    const struct flow *y = flow_of(s, ir_result(old.v[i]));
    edit_replace(old.v[i], y->now, true);
  }
  return (int64_t)old.n;
}

int64_t pass_stream(struct pass_env *env, struct ir_module *m) {
  struct streamer s = {.env = env, .m = m, .f = m->funcs};
  if (!env->opts->stream || !m->funcs)
    return 0;
  s.nops = m->nops;
  s.nvalues = m->nvalues;
  s.flow = DN_ARRAY(env->scratch, struct flow, s.nvalues);
  s.reads = DN_ARRAY(env->scratch, struct stripe_read *, s.nops);
  s.wide = DN_ARRAY(env->scratch, int, s.nops);
  env->remakes = true;
  if (!follow(&s, 0))
    return -1;
  int64_t unit = s.unit,
          step = env->opts->stream_step ? env->opts->stream_step : unit;
  if (step % unit) {
    dn_error(
        env->ctx, here, DN_USAGE,
        "layers make a row of every %lld: a step is a multiple of that, not "
        "%lld",
        (long long)unit, (long long)step);
    return -1;
  }
  return follow(&s, step) ? change(&s) : -1;
}
