/* onnx_op_rnn.c - RNN, GRU and LSTM as scans over time. The products with the
 * input are made for all steps at once; a step multiplies the state only.
 * DynamicQuantizeLSTM of ONNX Runtime is LSTM with weights of 8 bits: [D, I,
 * gates*H], and scales and zero points behind LSTM's inputs. */
#include <string.h>

#include "frontend/onnx_ops.h"
#include "frontend/region.h"

struct rnn {
  struct onnx_call *c;
  int gates;
  int64_t steps, batch, hidden, directions;
  bool batch_first; /* layout = 1 */
  bool quantized;   /* the weights */
  bool before_reset, couples;
  const char *functions[2][3]; /* of a direction: f g h, as decompose.def has
                                  them */
};

/* One direction: its weights and its state. */
struct cell {
  int64_t direction;
  struct ir_value *in;    /* x W + biases that need no state: [T, B, gates*H] */
  struct ox_weights r;    /* [H, gates*H]; GRU: [H, 2H] */
  struct ir_value *rn;    /* GRU's last gate [H, H] */
  struct ir_value *rbias; /* GRU's, inside the reset: [H]; or NULL */
  struct ir_value *p[3];  /* LSTM's peepholes [H], or NULL */
  struct ir_value *h, *state;
};

/* ---- Activations ---- */

/* The next number of a list that only the functions with such a parameter
 * take from, in the order of the functions. */
static double take(const struct onnx_attr *list, size_t *next,
                   double otherwise) {
  return list && *next < list->floats.n ? list->floats.v[(*next)++] : otherwise;
}

/* The functions of all directions, f g h of the first before those of the
 * second. `clip` is for the operands of f and g, the gates. */
static bool read_functions(struct rnn *r) {
  struct onnx_call *c = r->c;
  size_t each = r->gates == LSTM_GATES ? 3 : r->gates == GRU_GATES ? 2 : 1;
  size_t n = each * (size_t)r->directions, next[2] = {0};
  const struct onnx_attr *names = ox_attr(c, "activations");
  const struct onnx_attr *lists[] = {ox_attr(c, "activation_alpha"),
                                     ox_attr(c, "activation_beta")};
  double clip = ox_float(c, "clip", 0), v[2] = {0};
  if (names && names->strings.n && names->strings.n != n)
    return ox_fail(c, ATTR, "%zu activations, not %zu", names->strings.n, n);
  for (size_t i = 0; i < n; i++) {
    const char *name = i % each || each == 1 ? "Tanh" : "Sigmoid";
    if (names && names->strings.n)
      name =
          dn_strndup(c->im->ctx->arena, (const char *)names->strings.v[i].data,
                     names->strings.v[i].size);
    const struct ox_activation *a = ox_activation_find(name, OX_RECURRENT);
    if (!a)
      return ox_fail(c, ATTR, "unknown activation '%s'", ox_text(c, name));
    for (int k = 0; k < 2 && a->param[k]; k++)
      v[k] = take(lists[k], &next[k], a->otherwise[k]);
    r->functions[i / each][i % each] =
        ox_activation_text(c->im->ctx, a, v, i % each < 2 ? clip : 0);
  }
  return true;
}

/* ---- Parts of the inputs ---- */

/* Entry d of dim 0, without that dim. */
static struct ir_value *entry(struct onnx_call *c, struct ir_value *v,
                              int64_t d) {
  bool first[IR_MAX_RANK] = {true};
  return fe_squeeze(c->b, fe_slice1(c->b, v, 0, d, 1, 1), first);
}

/* Columns [k*h, k*h + n*h) of the last dim. */
static struct ir_value *columns(const struct rnn *r, struct ir_value *v,
                                int64_t k, int64_t n) {
  return v ? fe_slice1(r->c->b, v, fe_rank(v) - 1, k * r->hidden, n * r->hidden,
                       1)
           : NULL;
}

/* [d0, d1, d2], up to the first that is -1. */
static bool shaped(struct onnx_call *c, size_t k, int64_t d0, int64_t d1,
                   int64_t d2) {
  const struct ir_value *v = k < c->nin ? c->in[k] : NULL;
  const int64_t want[] = {d0, d1, d2};
  int rank = d1 < 0 ? 1 : d2 < 0 ? 2 : 3;
  if (!v)
    return true;
  bool ok = fe_rank(v) == rank;
  for (int i = 0; i < rank && ok; i++)
    ok = fe_dims(v)[i] == want[i];
  return ok || ox_fail(c, TYPE, "input %zu is %s", k,
                       ir_type_text(c->im->ctx, NULL, v->type));
}

/* Inputs k and k + 1, scales and zero points: [D] or [D, gates*H]. */
static bool scaled(struct onnx_call *c, size_t k, int64_t d, int64_t n) {
  if (!ox_in(c, k) || !ox_in(c, k + 1))
    return ox_fail(c, ARITY, "inputs %zu and %zu are needed", k, k + 1);
  return shaped(c, k, d, fe_rank(c->in[k]) == 1 ? -1 : n, -1) &&
         shaped(c, k + 1, d, fe_rank(c->in[k + 1]) == 1 ? -1 : n, -1);
}

/* The initial state of a direction, [B, H]; zeros when it is not given. */
static struct ir_value *initial(const struct rnn *r, size_t k, int64_t d) {
  struct onnx_call *c = r->c;
  struct ir_value *v = ox_in(c, k);
  if (!v) {
    const int64_t dims[] = {r->batch, r->hidden};
    const struct ir_type *t = ir_type(c->im->ctx, fe_dtype(c->in[0]), 2, dims);
    return ir_const_splat(c->im->m, c->b->name, t, 0);
  }
  if (r->batch_first) {
    static const int64_t swap[] = {1, 0, 2};
    v = fe_transpose(c->b, v, swap);
  }
  return entry(c, v, d);
}

/* Weights of a direction, [k, gates*H]: input 1 or 2. */
static struct ox_weights weights(const struct rnn *r, int input, int64_t d) {
  struct onnx_call *c = r->c;
  static const int64_t flip[] = {1, 0};
  struct ir_value *v = entry(c, c->in[input], d);
  if (!r->quantized)
    return (struct ox_weights){fe_transpose(c->b, v, flip), NULL, NULL};
  size_t scale = input == 1 ? 8 : 10;
  return (struct ox_weights){v, entry(c, c->in[scale], d),
                             entry(c, c->in[scale + 1], d)};
}

static struct ir_value *product(struct onnx_call *c, struct ir_value *x,
                                const struct ox_weights *w) {
  return w->scale ? ox_dynamic_product(c, x, w)
                  : fe_op2(c->b, IR_MATMUL, x, w->v);
}

static void open_cell(const struct rnn *r, struct ir_value *x, int64_t d,
                      struct cell *k) {
  struct onnx_call *c = r->c;
  int64_t n = r->gates * r->hidden;
  *k = (struct cell){.direction = d};
  struct ox_weights w = weights(r, 1, d);
  k->r = weights(r, 2, d);
  const int64_t rows[] = {r->steps * r->batch, fe_dims(x)[2]};
  const int64_t dims[] = {r->steps, r->batch, n};
  k->in = product(c, fe_reshape(c->b, x, 2, rows), &w);
  if (ox_in(c, 3)) {
    struct ir_value *b = entry(c, c->in[3], d);
    struct ir_value *wb = columns(r, b, 0, r->gates);
    struct ir_value *rb = columns(r, b, r->gates, r->gates);
    if (r->before_reset) { /* the last gate's state bias is reset with it */
      k->rbias = columns(r, rb, 2, 1);
      struct ir_value *parts[] = {
          fe_add(c->b, columns(r, wb, 0, 2), columns(r, rb, 0, 2)),
          columns(r, wb, 2, 1)};
      wb = fe_concat(c->b, parts, 2, 0);
    } else {
      wb = fe_add(c->b, wb, rb);
    }
    k->in = fe_add(c->b, k->in, wb);
  }
  k->in = fe_reshape(c->b, k->in, 3, dims);
  if (r->gates == GRU_GATES) { /* parts of weights are made once */
    k->rn = columns(r, k->r.v, 2, 1);
    k->r.v = columns(r, k->r.v, 0, 2);
  }
  if (ox_in(c, 7))
    for (int64_t i = 0; i < 3; i++)
      k->p[i] = columns(r, entry(c, c->in[7], d), i, 1);
  k->h = initial(r, 5, d);
  k->state = r->gates == LSTM_GATES ? initial(r, 6, d) : NULL;
}

/* A step: the new h and state, by the formulas of the operators. */
static bool step(const struct rnn *r, const struct cell *k, struct ir_value *x,
                 struct ir_value *out[2]) {
  const char *const *f = r->functions[k->direction];
  struct ir_attr attrs[] = {
      ir_str("f", f[0]), ir_int("hidden", r->hidden), ir_str("g", f[1]),
      ir_int("before_reset", r->before_reset), ir_str("out", f[2])};
  if (r->gates == RNN_GATES)
    return fe_decompose(r->c->b, FE_RNN_STEP, IR_ARGS(x, k->h, k->r.v), attrs,
                        1, out, 1);
  if (r->gates == GRU_GATES)
    return fe_decompose(r->c->b, FE_GRU_STEP,
                        IR_ARGS(x, k->h, k->r.v, k->rn, k->rbias), attrs, 4,
                        out, 1);
  attrs[3] = ir_int("couples", r->couples);
  struct ir_value *v = fe_add(r->c->b, x, product(r->c, k->h, &k->r));
  return fe_decompose(r->c->b, FE_LSTM_STEP,
                      IR_ARGS(v, k->state, k->p[0], k->p[1], k->p[2]), attrs, 5,
                      out, 2);
}

/* Results of a step: h and state for the next one, and the output. `t`: number
 * of the step if sequences have lengths. */
static bool run_step(const struct rnn *r, const struct cell *k,
                     struct ir_value *x, struct ir_value *t,
                     struct ir_value *made[3]) {
  struct onnx_call *c = r->c;
  struct ir_value *new[2] = {NULL};
  if (!step(r, k, x, new))
    return false;
  made[0] = new[0];
  made[1] = new[1];
  made[2] = new[0];
  if (!t || !new[0])
    return new[0] != NULL;
  /* Sequences that ended: 0 out, the state stays. */
  struct ir_value *lens =
      fe_cast(c->b, fe_unsqueeze(c->b, ox_in(c, 4), 0, 1), IR_I32);
  struct ir_value *on = fe_op2(c->b, IR_LT, t, lens);
  made[2] = fe_select(c->b, on, new[0], fe_number(c->b, new[0], 0));
  made[0] = fe_select(c->b, on, new[0], k->h);
  if (new[1])
    made[1] = fe_select(c->b, on, new[1], k->state);
  return made[0] != NULL;
}

/* Steps 0, 1 ..., as they are taken. */
static struct ir_value *step_numbers(const struct rnn *r, bool backwards) {
  int64_t *v = DN_ARRAY(r->c->im->ctx->arena, int64_t, r->steps);
  for (int64_t s = 0; s < r->steps; s++)
    v[s] = backwards ? r->steps - 1 - s : s;
  return fe_ints(r->c->b, IR_I32, 1, &r->steps, v);
}

static struct ir_value *reverse(const struct rnn *r, struct ir_value *x) {
  return fe_slice1(r->c->b, x, 0, r->steps - 1, r->steps, -1);
}

/* A single step needs no scan. */
static bool run_once(const struct rnn *r, struct cell *k,
                     struct ir_value **out) {
  struct onnx_call *c = r->c;
  struct ir_value *made[3];
  struct ir_value *t = ox_in(c, 4) ? fe_scalar(c->b, IR_I32, 0) : NULL;
  if (!run_step(r, k, entry(c, k->in, 0), t, made))
    return false;
  k->h = made[0];
  k->state = made[1];
  *out = fe_insert(c->b, made[2], 0);
  return true;
}

/* Runs a direction; *out becomes its outputs [T, B, H], when they are read. */
static bool run_cell(const struct rnn *r, struct cell *k, bool backwards,
                     bool reads_all, struct ir_value **out) {
  struct onnx_call *c = r->c;
  bool lens = ox_in(c, 4) != NULL;
  unsigned n = k->state ? 2 : 1;
  struct ir_value *args[] = {k->h, k->state, NULL, NULL}, *made[3];
  struct fe_region scan;
  if (fe_choose(c->b, IR_SCAN, r->steps == 1))
    return k->h && k->in && run_once(r, k, out);
  args[n] = backwards ? reverse(r, k->in) : k->in;
  args[n + 1] = lens ? step_numbers(r, backwards) : NULL;
  if (!k->h || !args[n])
    return false;
  fe_region_begin(c->b, IR_SCAN, args, n + (lens ? 2 : 1),
                  IR_ATTRS(ir_int("states", n)), &scan);
  struct ir_value *const *p = fe_region_enter(c->b, &scan)->param;
  k->h = p[0];
  k->state = n > 1 ? p[1] : NULL;
  bool ok = run_step(r, k, p[n], lens ? p[n + 1] : NULL, made);
  made[n] = made[2];
  ok = fe_region_yield(c->b, &scan, made, ok ? n + reads_all : 0) && ok;
  if (!ok || !fe_region_end(c->b, &scan, n, r->steps))
    return false;
  k->h = scan.op->result[0];
  k->state = n > 1 ? scan.op->result[1] : NULL;
  if (reads_all)
    *out = backwards ? reverse(r, scan.op->result[n]) : scan.op->result[n];
  return true;
}

/* ---- The operators ---- */

static bool read_rnn(struct rnn *r) {
  struct onnx_call *c = r->c;
  const struct ir_value *x = c->in[0];
  const char *direction = ox_str(c, "direction", "forward");
  if (!ox_flag(c, "layout", false, &r->batch_first) ||
      !ox_flag(c, "input_forget", false, &r->couples))
    return false;
  r->before_reset =
      r->gates == GRU_GATES && ox_int(c, "linear_before_reset", 0) != 0;
  if (fe_rank(x) != 3 || fe_rank(c->in[1]) != 3)
    return ox_fail(c, TYPE, "the input must have 3 dimensions");
  r->directions = !strcmp(direction, "bidirectional") ? 2 : 1;
  if (r->directions == 1 && strcmp(direction, "forward") != 0 &&
      strcmp(direction, "reverse") != 0)
    return ox_fail(c, ATTR, "unknown direction '%s'", ox_text(c, direction));
  if (!read_functions(r))
    return false;
  r->steps = fe_dims(x)[r->batch_first];
  r->batch = fe_dims(x)[!r->batch_first];
  r->hidden = fe_dims(c->in[1])[r->quantized ? 2 : 1] / r->gates;
  int64_t d = r->directions, h = r->hidden, g = r->gates, in = fe_dims(x)[2];
  if (ox_int(c, "hidden_size", h) != h)
    return ox_fail(c, ATTR, "hidden_size is not that of the weights");
  if (r->steps < 1)
    return ox_fail(c, UNSUPPORTED_ATTR, "a sequence of %lld steps",
                   (long long)r->steps);
  int64_t b0 = r->batch_first ? r->batch : d,
          b1 = r->batch_first ? d : r->batch;
  struct ir_value *lens = ox_in(c, 4);
  if (lens && (fe_rank(lens) != 1 || fe_dims(lens)[0] != r->batch))
    return ox_fail(c, TYPE, "one length for each batch entry is needed");
  bool ok = r->quantized
                ? shaped(c, 1, d, in, g * h) && shaped(c, 2, d, h, g * h) &&
                      scaled(c, 8, d, g * h) && scaled(c, 10, d, g * h)
                : shaped(c, 1, d, g * h, in) && shaped(c, 2, d, g * h, h);
  return ok && shaped(c, 3, d, 2 * g * h, -1) && shaped(c, 5, b0, b1, h) &&
         shaped(c, 6, b0, b1, h) && shaped(c, 7, d, 3 * h, -1);
}

/* [D][B,H] as [D,B,H], or [B,D,H] in the other layout. */
static struct ir_value *join_states(const struct rnn *r,
                                    struct ir_value *const *v) {
  struct ir_value *parts[2];
  const int64_t dims[] = {r->batch_first ? r->batch : 1,
                          r->batch_first ? 1 : r->batch, r->hidden};
  for (int64_t d = 0; d < r->directions; d++)
    parts[d] = fe_reshape(r->c->b, v[d], 3, dims);
  return fe_concat(r->c->b, parts, (size_t)r->directions, r->batch_first);
}

/* Outputs of all steps: [T,D,B,H], or [B,T,D,H]. */
static struct ir_value *join_steps(const struct rnn *r,
                                   struct ir_value *const *outs) {
  struct ir_value *parts[2];
  const int64_t dims[] = {r->steps, 1, r->batch, r->hidden};
  static const int64_t batch_first[] = {2, 0, 1, 3};
  for (int64_t d = 0; d < r->directions; d++)
    parts[d] = fe_reshape(r->c->b, outs[d], 4, dims);
  struct ir_value *y = fe_concat(r->c->b, parts, (size_t)r->directions, 1);
  return r->batch_first ? fe_transpose(r->c->b, y, batch_first) : y;
}

bool onnx_rnn(struct onnx_call *c) {
  struct rnn r = {.c = c,
                  .gates = c->arg & ~RNN_QUANTIZED,
                  .quantized = c->arg & RNN_QUANTIZED};
  if (!read_rnn(&r))
    return false;
  struct ir_value *x = c->in[0], *h[2], *state[2], *outs[2] = {NULL};
  const char *const *names = c->node->outputs.v;
  if (r.batch_first) {
    static const int64_t swap[] = {1, 0, 2};
    x = fe_transpose(c->b, x, swap);
    if (!x)
      return false;
  }
  bool reverse = !strcmp(ox_str(c, "direction", "forward"), "reverse");
  for (int64_t d = 0; d < r.directions; d++) {
    struct cell k;
    open_cell(&r, x, d, &k);
    if (!run_cell(&r, &k, reverse || d == 1, names[0][0], &outs[d]))
      return false;
    h[d] = k.h;
    state[d] = k.state;
  }
  if (names[0][0])
    c->out[0] = join_steps(&r, outs);
  if (c->nout > 1 && names[1][0])
    c->out[1] = join_states(&r, h);
  if (c->nout > 2 && names[2][0])
    c->out[2] = join_states(&r, state);
  return true;
}
