/* onnx_op_flow.c - control flow. A branch that is known is inlined; one that is
 * not is computed on both sides and selected, which needs equal types. Loops of
 * known length are unrolled. */
#include <string.h>

#include "frontend/onnx_ops.h"

/* Iterations of one loop, and nodes that unrolling may make in a model. */
#define MAX_TRIPS 4096
#define MAX_UNROLLED 100000

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

/* A branch that is taken for some inputs only, which are not known: that shapes
 * do not fit in it is then no fault of the model. */
static bool branch(struct onnx_call *c, const struct onnx_graph *g,
                   struct ir_value **out) {
  static const enum dn_code codes[] = {DN_TYPE, DN_ATTR, DN_SHAPE};
  struct dn_ctx *ctx = c->im->ctx;
  size_t before = dn_diags_count(ctx);
  unsigned errors = dn_errors(ctx);
  bool was = dn_diags_capture(ctx, true);
  bool ok = ox_inline_graph(c, g, NULL, 0, out, c->nout);
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
  struct dn_arena *arena = c->im->ctx->arena;
  if (!yes || !no)
    return ox_fail(c, ATTR, "a branch is missing");
  if (fe_dtype(cond) != IR_BOOL || ir_type_count(cond->type) != 1)
    return ox_fail(c, TYPE, "the condition must be one bool");
  int known = truth(c, cond);
  if (known >= 0) {
    ox_skip_graph(c->im, known ? no : yes);
    return ox_inline_graph(c, known ? yes : no, NULL, 0, c->out, c->nout);
  }
  struct ir_value **a = DN_ARRAY(arena, struct ir_value *, c->nout);
  struct ir_value **b = DN_ARRAY(arena, struct ir_value *, c->nout);
  bool ok = branch(c, yes, a);
  ok = branch(c, no, b) && ok;
  cond = fe_reshape(c->b, cond, 0, NULL);
  for (size_t i = 0; i < c->nout && ok; i++) {
    if (a[i] != b[i] &&
        (ox_sequence_of(c->im, a[i]) || ox_sequence_of(c->im, b[i])))
      return ox_fail(c, DYNAMIC,
                     "the condition that decides which sequence "
                     "is taken must be a constant");
    if (a[i]->type != b[i]->type)
      return ox_fail(c, DYNAMIC,
                     "the branches differ in type, %s and %s: the condition "
                     "must be a constant",
                     ir_type_text(c->im->ctx, NULL, a[i]->type),
                     ir_type_text(c->im->ctx, NULL, b[i]->type));
    c->out[i] = a[i] == b[i] ? a[i] : fe_select(c->b, cond, a[i], b[i]);
  }
  return ok;
}

/* Lists of values, one a step, that become one tensor. */
struct stack {
  struct ir_value **v; /* [n] */
  size_t n;
};

static struct ir_value *join(struct onnx_call *c, const struct stack *s,
                             int64_t axis, bool backwards) {
  struct ir_value **parts =
      DN_ARRAY(c->im->ctx->arena, struct ir_value *, s->n);
  if (!s->n)
    return ox_null(c, UNSUPPORTED_ATTR, "a loop without iterations");
  for (size_t i = 0; i < s->n; i++) {
    struct ir_value *v = s->v[i];
    int64_t at = axis;
    if (v && ox_sequence_of(c->im, v))
      return ox_null(c, TYPE, "a sequence is made in each iteration");
    if (v && !fe_axis(c->b, axis, fe_rank(v) + 1, &at))
      return NULL;
    parts[backwards ? s->n - 1 - i : i] = fe_insert(c->b, v, at);
    axis = at;
  }
  return fe_concat(c->b, parts, s->n, axis);
}

/* Trips of a Loop: as many as `n` says, -1: until the condition ends it. */
static bool loop_trips(struct onnx_call *c, int64_t *n) {
  struct ox_ints trips;
  if (c->nin && c->in[0] && ox_sequence_of(c->im, c->in[0]))
    return ox_fail(c, TYPE, "the trip count must be one number");
  if (!ox_const_ints(c, 0, &trips))
    return false;
  *n = -1;
  if (trips.given && trips.n != 1)
    return ox_fail(c, TYPE, "the trip count must be one number");
  if (trips.given)
    *n = dn_max(trips.v[0], 0);
  return true;
}

/* What a loop that never runs stacks up: nothing, of the type that one step
 * would give, for which its body is imported once and left. */
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
  for (size_t i = carried; i < c->nout; i++)
    stacks[i].v = DN_ARRAY(arena, struct ir_value *, MAX_TRIPS);
  for (int64_t t = 0; t != trips; t++) {
    int go = truth(c, in[1]);
    if (go < 0)
      return ox_fail(c, DYNAMIC, "its condition is not known here");
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
    c->out[i] = join(c, &stacks[i], 0, false);
  return true;
}

/* An element of a list attribute that may be absent. */
static int64_t item(struct onnx_call *c, const char *name, size_t i) {
  struct ox_ints list = ox_ints(c, name);
  return (int64_t)i < list.n ? list.v[i] : 0;
}

/* The slice of step t of scan input k. */
static struct ir_value *scan_slice(struct onnx_call *c, size_t k,
                                   struct ir_value *x, int64_t steps,
                                   int64_t t) {
  int64_t axis;
  bool drop[IR_MAX_RANK] = {0};
  if (!fe_axis(c->b, item(c, "scan_input_axes", k), fe_rank(x), &axis))
    return NULL;
  if (fe_dims(x)[axis] != steps)
    return ox_null(c, TYPE, "scan inputs differ in length");
  if (item(c, "scan_input_directions", k))
    t = steps - 1 - t;
  drop[axis] = true;
  return fe_squeeze(c->b, fe_slice1(c->b, x, axis, t, 1, 1), drop);
}

bool onnx_scan(struct onnx_call *c) {
  const struct onnx_graph *body = subgraph(c, "body");
  struct dn_arena *arena = c->im->ctx->arena;
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
  if (steps > MAX_TRIPS)
    return ox_fail(c, LIMIT, "%lld steps, over %d", (long long)steps,
                   MAX_TRIPS);
  struct ir_value **in = DN_ARRAY(arena, struct ir_value *, c->nin);
  struct ir_value **out = DN_ARRAY(arena, struct ir_value *, c->nout);
  struct stack *stacks = DN_ARRAY(arena, struct stack, c->nout);
  memcpy(in, c->in, states * sizeof *in);
  for (size_t i = states; i < c->nout; i++)
    stacks[i].v = DN_ARRAY(arena, struct ir_value *, steps);
  for (int64_t t = 0; t < steps; t++) {
    for (size_t k = 0; k < (size_t)scans; k++) {
      in[states + k] = scan_slice(c, k, c->in[states + k], steps, t);
      if (!in[states + k])
        return false;
    }
    if (!spend(c, body) || !ox_inline_graph(c, body, in, c->nin, out, c->nout))
      return false;
    memcpy(in, out, states * sizeof *in);
    for (size_t i = states; i < c->nout; i++)
      stacks[i].v[stacks[i].n++] = out[i];
  }
  for (size_t i = 0; i < c->nout; i++)
    c->out[i] =
        i < states
            ? in[i]
            : join(c, &stacks[i], item(c, "scan_output_axes", i - states),
                   item(c, "scan_output_directions", i - states));
  return true;
}
