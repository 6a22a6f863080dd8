/* onnx_op_flow.c - control flow as ops with regions. A branch that is known is
 * inlined. A loop of few turns, known to be, is unrolled, as is one that regions
 * cannot say: when what it carries changes its type, or is a sequence. */
#include <string.h>

#include "frontend/onnx_ops.h"
#include "frontend/region.h"

/* Iterations of one loop, and nodes that unrolling may make in a model. */
#define MAX_TRIPS 4096
#define MAX_UNROLLED 100000
/* Turns from which on a loop is one in the code. */
#define MIN_TURNS 4

static bool spend(struct onnx_call *c, const struct onnx_graph *g) {
  c->im->unrolled += (int64_t)g->nodes.n + 1;
  return c->im->unrolled <= MAX_UNROLLED ||
         ox_fail(c, LIMIT, "loops unroll to more than %d nodes", MAX_UNROLLED);
}

static const struct onnx_graph *subgraph(const struct onnx_call *c,
                                         const char *name) {
  const struct onnx_attr *a = ox_attr(c, name);
  return a ? a->g : NULL;
}

/* One number that is known: 1, 0, or -1 when it is not. */
static int truth(struct onnx_call *c, struct ir_value *v) {
  v = v && !ox_sequence_of(c->im, v) ? ox_evaluate(c, v) : NULL;
  if (!v || ir_type_count(v->type) != 1)
    return -1;
  return ir_const_float(v, 0) != 0;
}

/* What a region is made of: a subgraph of the node. */
struct body {
  struct onnx_call *c;
  const struct onnx_graph *g;
  size_t params;
  int64_t most; /* turns that are known to be at most, or a number below 0 */
  int64_t rows; /* the turns that there is room for; -1: any number */
};

/* A branch that is taken for some inputs only, which are not known: that shapes
 * do not fit in it is then no fault of the model. */
static bool branch(void *data, struct ir_value *const *params,
                   struct ir_value **out) {
  static const enum dn_code codes[] = {DN_TYPE, DN_ATTR, DN_SHAPE};
  struct onnx_call *c = ((struct body *)data)->c;
  struct dn_ctx *ctx = c->im->ctx;
  size_t before = dn_diags_count(ctx);
  unsigned errors = dn_errors(ctx);
  bool was = dn_diags_capture(ctx, true);
  bool ok =
      ox_inline_graph(c, ((struct body *)data)->g, params, 0, out, c->nout);
  for (size_t i = 0; i < c->nout && ok; i++)
    if (ox_sequence_of(c->im, out[i]))
      ok = ox_fail(c, DYNAMIC,
                   "the condition that decides which sequence "
                   "is taken must be a constant");
  dn_diags_capture(ctx, was);
  for (size_t i = 0; i < DN_COUNT(codes); i++)
    dn_diags_recode(ctx, before, codes[i], DN_DYNAMIC);
  dn_diags_print(ctx, before);
  if (dn_errors(ctx) > errors)
    dn_note(ctx, "it is in a branch of '%s', whose condition is not known here",
            fe_text(ctx, ox_label(c->im, c->node)));
  return ok;
}

bool onnx_if(struct onnx_call *c) {
  const struct onnx_graph *yes = subgraph(c, "then_branch");
  const struct onnx_graph *no = subgraph(c, "else_branch");
  struct ir_value *cond = c->in[0];
  if (!yes || !no)
    return ox_fail(c, ATTR, "a branch is missing");
  if (fe_dtype(cond) != IR_BOOL || ir_type_count(cond->type) != 1)
    return ox_fail(c, TYPE, "the condition must be one bool");
  int known = truth(c, cond);
  if (known >= 0) {
    ox_skip_graph(c->im, known ? no : yes);
    return ox_inline_graph(c, known ? yes : no, NULL, 0, c->out, c->nout);
  }
  struct body body[] = {{.c = c, .g = yes}, {.c = c, .g = no}};
  struct ir_value **dims =
      DN_ARRAY(c->im->ctx->arena, struct ir_value *, c->nout);
  if (!fe_if(c->b, cond, branch, (void *[]){&body[0], &body[1]}, c->nout,
             c->out, dims))
    return false;
  for (size_t i = 0; i < c->nout; i++)
    if (dims[i])
      dn_map_put(c->im->ctx->arena, &c->im->dims, c->out[i], dims[i]);
  return true;
}

/* Lists of values, one a step, that become one tensor. */
struct stack {
  struct ir_value **v; /* [n] */
  size_t n;
};

/* What turns made, in a dimension in front. */
static struct ir_value *join(struct onnx_call *c, const struct stack *s) {
  struct ir_value **parts =
      DN_ARRAY(c->im->ctx->arena, struct ir_value *, s->n);
  if (!s->n)
    return ox_null(c, UNSUPPORTED_ATTR, "a loop without iterations");
  for (size_t i = 0; i < s->n; i++) {
    struct ir_value *v = s->v[i];
    if (v && ox_sequence_of(c->im, v))
      return ox_null(c, TYPE, "a sequence is made in each iteration");
    parts[i] = fe_insert(c->b, v, 0);
  }
  return fe_concat(c->b, parts, s->n, 0);
}

/* Trips of a Loop: as many as `n` says, -1: until the condition ends it, -2: as
 * many as is known at run time. */
static bool loop_trips(struct onnx_call *c, int64_t *n) {
  struct ir_value *v = c->nin ? c->in[0] : NULL;
  *n = -1;
  if (!v)
    return true;
  if (ox_sequence_of(c->im, v) || !ir_is_int(fe_dtype(v)) ||
      (ir_type_is_static(v->type) && ir_type_count(v->type) != 1))
    return ox_fail(c, TYPE, "the trip count must be one number");
  v = ox_evaluate(c, v);
  *n = v ? dn_max(ir_const_int(v, 0), 0) : -2;
  return true;
}

/* ---- Regions ---- */

/* Turns that stacked output k has room for, by --loop-max or its declared type;
 * -1: neither sets a bound. */
static int64_t rows_of(const struct onnx_call *c, size_t k, int rank) {
  int64_t most = fe_loop_max(c->b, c->im->opts);
  return most >= 0 ? most : ox_declared(c, k, rank + 1, 0);
}

/* Imports a loop body: yields the condition, carried values, then stacked
 * values. */
static bool loop_turn(void *data, struct ir_value *const *params,
                      struct ir_value **out) {
  struct body *body = data;
  struct onnx_call *c = body->c;
  size_t carried = body->params - 2;
  if (!ox_inline_graph(c, body->g, params, body->params, out, 1 + c->nout))
    return false;
  for (size_t i = 0; i <= c->nout; i++)
    if (!out[i] || ox_sequence_of(c->im, out[i]))
      return ox_fail(c, TYPE, "a sequence in a loop of unknown length");
  bool goes_on = out[0] == params[1] || truth(c, out[0]) > 0;
  body->rows = body->most;
  if (body->most < 0 || !goes_on)
    body->rows = c->nout > carried
                     ? rows_of(c, carried, fe_rank(out[1 + carried]))
                     : fe_loop_max(c->b, c->im->opts);
  return c->nout == carried || body->rows >= 0 ||
         ox_fail(c, DYNAMIC,
                 "how many turns it stacks is not known: --loop-max '%s=N' "
                 "bounds them",
                 fe_text(c->im->ctx, ox_label(c->im, c->node)));
}

/* Tries `make`, whose errors count when nothing else can be tried. */
struct trial {
  size_t before;
  bool was;
};
static struct trial trial_begin(struct onnx_call *c) {
  struct dn_ctx *ctx = c->im->ctx;
  struct trial t = {.before = dn_diags_count(ctx)};
  t.was = dn_diags_capture(ctx, true);
  return t;
}
static bool trial_end(struct onnx_call *c, struct trial t, bool ok, bool last) {
  dn_diags_capture(c->im->ctx, t.was);
  if (ok || last)
    dn_diags_print(c->im->ctx, t.before);
  else
    dn_diags_rewind(c->im->ctx, t.before);
  return ok;
}

/* Or nothing. */
static bool carries_sequence(const struct onnx_call *c) {
  for (size_t i = 2; i < c->nin; i++)
    if (!c->in[i] || ox_sequence_of(c->im, c->in[i]))
      return true;
  return false;
}

/* A loop as a region: false, without a diagnostic unless there is no other way
 * (`only`), when it cannot be one. */
static bool try_loop(struct onnx_call *c, const struct onnx_graph *body,
                     struct ir_value **in, size_t carried, int64_t trips,
                     bool only) {
  struct ir_value **all;
  if (carries_sequence(c))
    return false;
  struct trial t = trial_begin(c);
  all = dn_copy(c->im->ctx->arena, in, (2 + carried) * sizeof *in);
  all[0] = trips == -2
               ? fe_cast(c->b, fe_reshape(c->b, c->in[0], 0, NULL), IR_I64)
           : trips == -1 ? fe_ints(c->b, IR_I64, 0, NULL, &(int64_t){INT64_MAX})
                         : fe_ints(c->b, IR_I64, 0, NULL, &trips);
  all[1] = fe_reshape(c->b, in[1], 0, NULL);
  struct body b = {.c = c, .g = body, .params = 2 + carried, .most = trips};
  bool ok = all[0] && all[1] &&
            fe_loop(c->b, IR_LOOP, all, 2 + carried, carried, loop_turn, &b,
                    c->nout, &b.rows, c->out);
  return trial_end(c, t, ok, only);
}

/* ---- Unrolled ---- */

/* Stacked outputs of a loop that never runs: empty, of the type that an
 * iteration would give. The body is imported once to find that type, and
 * dropped. */
static bool join_none(struct onnx_call *c, const struct onnx_graph *body,
                      struct ir_value **in, size_t carried,
                      struct ir_value **out) {
  struct ir_data none = {0};
  in[0] = fe_scalar(c->b, IR_I64, 0);
  if (!spend(c, body) ||
      !ox_inline_graph(c, body, in, 2 + carried, out, 1 + c->nout))
    return false;
  for (size_t i = carried; i < c->nout; i++) {
    if (ox_sequence_of(c->im, out[1 + i]))
      return ox_fail(c, TYPE, "a sequence cannot be stacked");
    const struct ir_type *t = out[1 + i]->type;
    int64_t dims[IR_MAX_RANK + 1] = {0};
    memcpy(dims + 1, t->dim, sizeof t->dim);
    t = ir_type_checked(c->im->ctx, c->b->at.loc, t->dtype, t->rank + 1, dims);
    if (!t)
      return false;
    c->out[i] = ir_const_new(c->im->m, c->node->outputs.v[i], t, &none);
  }
  return true;
}

bool onnx_loop(struct onnx_call *c) {
  const struct onnx_graph *body = subgraph(c, "body");
  struct dn_arena *arena = c->im->ctx->arena;
  size_t carried = c->nin > 2 ? c->nin - 2 : 0;
  int64_t trips;
  if (!loop_trips(c, &trips))
    return false;
  if (c->nout < carried || body->outputs.n != 1 + c->nout)
    return ox_fail(c, ARITY,
                   "%zu carried values, %zu outputs, %zu of the "
                   "body",
                   carried, c->nout, body->outputs.n);
  struct ir_value **in = DN_ARRAY(arena, struct ir_value *, 2 + carried);
  struct ir_value **out = DN_ARRAY(arena, struct ir_value *, 1 + c->nout);
  struct stack *stacks = DN_ARRAY(arena, struct stack, c->nout);
  in[1] = c->nin > 1 && c->in[1] ? c->in[1] : fe_scalar(c->b, IR_BOOL, 1);
  for (size_t i = 0; i < carried; i++)
    in[2 + i] = c->in[2 + i];
  struct ir_value **first = dn_copy(arena, in, (2 + carried) * sizeof *first);
  bool known = trips != -2 && truth(c, in[1]) >= 0;
  if ((trips < 0 || trips >= MIN_TURNS) && truth(c, in[1]) != 0 &&
      (trips != 0) && try_loop(c, body, in, carried, trips, !known))
    return true;
  if (!known)
    return !dn_errors(c->im->ctx) &&
           ox_fail(c, DYNAMIC, "a sequence in a loop of unknown length");
  for (size_t i = carried; i < c->nout; i++)
    stacks[i].v = DN_ARRAY(arena, struct ir_value *, MAX_TRIPS);
  for (int64_t t = 0; t != trips; t++) {
    int go = truth(c, in[1]);
    if (go < 0) /* says why */
      return try_loop(c, body, first, carried, trips, true) ||
             ox_fail(c, DYNAMIC, "its condition is not known here");
    if (!go)
      break;
    if (t == MAX_TRIPS || !spend(c, body))
      return t < MAX_TRIPS
                 ? false
                 : ox_fail(c, LIMIT, "more than %d iterations", MAX_TRIPS);
    in[0] = fe_scalar(c->b, IR_I64, (double)t);
    if (!ox_inline_graph(c, body, in, 2 + carried, out, 1 + c->nout))
      return false;
    in[1] = out[0];
    for (size_t i = 0; i < carried; i++)
      in[2 + i] = out[1 + i];
    for (size_t i = carried; i < c->nout; i++)
      stacks[i].v[stacks[i].n++] = out[1 + i];
  }
  for (size_t i = 0; i < carried; i++)
    c->out[i] = in[2 + i];
  if (c->nout > carried && !stacks[carried].n)
    return join_none(c, body, in, carried, out);
  for (size_t i = carried; i < c->nout; i++)
    c->out[i] = join(c, &stacks[i]);
  return true;
}

/* An element of a list attribute that may be absent. */
static int64_t item(struct onnx_call *c, const char *name, size_t i) {
  struct ox_ints list = ox_ints(c, name);
  return (int64_t)i < list.n ? list.v[i] : 0;
}

/* Row i of x. */
static struct ir_value *row_of(struct onnx_call *c, struct ir_value *x,
                               int64_t i) {
  return fe_squeeze(c->b, fe_slice1(c->b, x, 0, i, 1, 1),
                    (const bool[IR_MAX_RANK]){true});
}

/* Dimension `from` of x at `to`. */
static struct ir_value *move_dim(struct onnx_call *c, struct ir_value *x,
                                 int64_t from, int64_t to) {
  int64_t perm[IR_MAX_RANK];
  for (int64_t d = 0, next = 0; x && d < fe_rank(x); d++) {
    next += next == from;
    perm[d] = d == to ? from : next++;
  }
  return fe_transpose(c->b, x, perm);
}

static struct ir_value *reverse(struct onnx_call *c, struct ir_value *x) {
  return x ? fe_slice1(c->b, x, 0, fe_dims(x)[0] - 1, fe_dims(x)[0], -1) : NULL;
}

/* Scan input k with its steps in dimension 0, in their order. */
static struct ir_value *scan_rows(struct onnx_call *c, size_t k,
                                  struct ir_value *x, int64_t steps) {
  int64_t axis;
  if (!fe_axis(c->b, item(c, "scan_input_axes", k), fe_rank(x), &axis))
    return NULL;
  if (fe_dims(x)[axis] != steps)
    return ox_null(c, TYPE, "scan inputs differ in length");
  x = move_dim(c, x, axis, 0);
  return item(c, c->version < 9 ? "directions" : "scan_input_directions", k)
             ? reverse(c, x)
             : x;
}

/* What is stacked, as output k has it. */
static struct ir_value *scan_result(struct onnx_call *c, size_t k,
                                    struct ir_value *y) {
  int64_t axis;
  if (item(c, "scan_output_directions", k))
    y = reverse(c, y);
  if (!y || !fe_axis(c->b, item(c, "scan_output_axes", k), fe_rank(y), &axis))
    return NULL;
  return move_dim(c, y, 0, axis);
}

static bool scan_turn(void *data, struct ir_value *const *params,
                      struct ir_value **out) {
  struct onnx_call *c = ((struct body *)data)->c;
  bool ok = ox_inline_graph(c, ((struct body *)data)->g, params, c->nin, out,
                            c->nout);
  for (size_t i = 0; i < c->nout && ok; i++)
    ok = out[i] && !ox_sequence_of(c->im, out[i]);
  return ok;
}

/* Both forms of it take states and rows, and leave what is stacked as rows. */
static bool scan_region(struct onnx_call *c, const struct onnx_graph *body,
                        struct ir_value **in, size_t states, int64_t steps) {
  struct body b = {.c = c, .g = body};
  bool ok = true;
  for (size_t i = 0; i < c->nin && ok; i++)
    ok = in[i] && !ox_sequence_of(c->im, in[i]);
  return ok && fe_loop(c->b, IR_SCAN, in, c->nin, states, scan_turn, &b,
                       c->nout, &steps, c->out);
}

static bool scan_unrolled(struct onnx_call *c, const struct onnx_graph *body,
                          struct ir_value **rows, size_t states,
                          int64_t steps) {
  struct dn_arena *arena = c->im->ctx->arena;
  struct ir_value **in = DN_ARRAY(arena, struct ir_value *, c->nin);
  struct ir_value **out = DN_ARRAY(arena, struct ir_value *, c->nout);
  struct stack *stacks = DN_ARRAY(arena, struct stack, c->nout);
  if (steps > MAX_TRIPS)
    return ox_fail(c, LIMIT, "%lld steps, over %d", (long long)steps,
                   MAX_TRIPS);
  memcpy(in, rows, states * sizeof *in);
  for (size_t i = states; i < c->nout; i++)
    stacks[i].v = DN_ARRAY(arena, struct ir_value *, steps);
  for (int64_t t = 0; t < steps; t++) {
    for (size_t k = states; k < c->nin; k++)
      in[k] = row_of(c, rows[k], t);
    if (!spend(c, body) || !ox_inline_graph(c, body, in, c->nin, out, c->nout))
      return false;
    memcpy(in, out, states * sizeof *in);
    for (size_t i = states; i < c->nout; i++)
      stacks[i].v[stacks[i].n++] = out[i];
  }
  for (size_t i = 0; i < c->nout; i++)
    c->out[i] = i < states ? in[i] : join(c, &stacks[i]);
  return true;
}

bool onnx_scan(struct onnx_call *c) {
  const struct onnx_graph *body = subgraph(c, "body");
  struct ir_value **in = DN_ARRAY(c->im->ctx->arena, struct ir_value *, c->nin);
  int64_t scans = ox_int(c, "num_scan_inputs", 0), axis;
  if (scans < 1 || scans > (int64_t)c->nin)
    return ox_fail(c, ATTR, "%lld scan inputs of %zu", (long long)scans,
                   c->nin);
  size_t states = c->nin - (size_t)scans;
  if (c->nout < states)
    return ox_fail(c, ARITY, "%zu states, but %zu outputs", states, c->nout);
  if (!fe_axis(c->b, item(c, "scan_input_axes", 0), fe_rank(c->in[states]),
               &axis))
    return false;
  int64_t steps = fe_dims(c->in[states])[axis];
  for (size_t i = 0; i < c->nin; i++) {
    in[i] = i < states ? c->in[i] : scan_rows(c, i - states, c->in[i], steps);
    if (i >= states && !in[i])
      return false;
  }
  struct trial trial = trial_begin(c);
  if (!trial_end(c, trial,
                 steps >= MIN_TURNS && scan_region(c, body, in, states, steps),
                 false) &&
      !scan_unrolled(c, body, in, states, steps))
    return false;
  for (size_t i = states; i < c->nout; i++)
    c->out[i] = scan_result(c, i - states, c->out[i]);
  return true;
}

/* As it was in opset 8: lengths come first, and all has a batch in front, whose
 * entries are scanned one by one. */
bool onnx_scan_batch(struct onnx_call *c) {
  struct dn_arena *arena = c->im->ctx->arena;
  if (c->nin < 2 || ox_in(c, 0))
    return ox_fail(c, UNSUPPORTED_ATTR, "sequence_lens");
  int64_t batch = c->in[1] && fe_rank(c->in[1]) ? fe_dims(c->in[1])[0] : 0;
  if (batch < 1 || batch > MAX_TRIPS)
    return ox_fail(c, LIMIT, "a batch of %lld, which is not 1 to %d",
                   (long long)batch, MAX_TRIPS);
  struct stack *stacks = DN_ARRAY(arena, struct stack, c->nout);
  for (size_t i = 0; i < c->nout; i++)
    stacks[i].v = DN_ARRAY(arena, struct ir_value *, batch);
  for (int64_t b = 0; b < batch; b++) {
    struct onnx_call one = *c;
    one.nin = c->nin - 1;
    one.in = DN_ARRAY(arena, struct ir_value *, one.nin);
    one.out = DN_ARRAY(arena, struct ir_value *, c->nout);
    for (size_t i = 0; i < one.nin; i++) {
      const struct ir_value *x = c->in[i + 1];
      if (!x || !fe_rank(x) || fe_dims(x)[0] != batch)
        return ox_fail(c, TYPE, "input %zu has another batch", i + 1);
      one.in[i] = row_of(c, c->in[i + 1], b);
    }
    if (!spend(c, subgraph(c, "body")) || !onnx_scan(&one))
      return false;
    for (size_t i = 0; i < c->nout; i++)
      stacks[i].v[stacks[i].n++] = one.out[i];
  }
  for (size_t i = 0; i < c->nout; i++)
    c->out[i] = join(c, &stacks[i]);
  return true;
}
