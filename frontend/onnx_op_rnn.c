/* onnx_op_rnn.c - RNN, GRU and LSTM, unrolled over time. The products with the
 * input are made for all steps at once; a step multiplies the state only. */
#include <string.h>
#include <strings.h>

#include "frontend/onnx_ops.h"

#define MAX_STEPS 4096

enum { RNN_GATES = 1, GRU_GATES = 3, LSTM_GATES = 4 };

struct rnn {
  struct onnx_call *c;
  int gates;
  int64_t steps, batch, hidden, directions;
  bool batch_first; /* layout = 1 */
  bool before_reset, couples;
  double clip; /* 0: none */
  struct activation {
    const struct function *function;
    double alpha, beta;
  } functions[2][3]; /* of a direction: f g h */
};

/* One direction: its weights and its state. */
struct cell {
  int64_t direction;
  struct ir_value *in;    /* x W + biases that need no state: [T, B, gates*H] */
  struct ir_value *r;     /* [H, gates*H]; GRU: [H, 2H] */
  struct ir_value *rn;    /* GRU's last gate [H, H] */
  struct ir_value *rbias; /* GRU's, inside the reset: [H]; or NULL */
  struct ir_value *p[3];  /* LSTM's peepholes [H], or NULL */
  struct ir_value *h, *state;
};

/* ---- Activations ---- */

enum { TAKES_ALPHA = 1, TAKES_BETA = 2 };

/* The defaults are those of the operators of the same names, as the standard
 * says; Affine and ScaledTanh, operators no more, have ONNX Runtime's. They are
 * also those of more than one op. */
static const struct function {
  const char *name;
  enum ir_opcode code;
  unsigned takes;
  double alpha, beta;
} functions[] = {
    {"Sigmoid", IR_SIGMOID, 0, 0, 0},
    {"Tanh", IR_TANH, 0, 0, 0},
    {"Relu", IR_RELU, 0, 0, 0},
    {"Softsign", IR_SOFTSIGN, 0, 0, 0},
    {"Softplus", IR_SOFTPLUS, 0, 0, 0},
    {"LeakyRelu", IR_LEAKY_RELU, TAKES_ALPHA, 0.01, 0},
    {"Elu", IR_ELU, TAKES_ALPHA, 1, 0},
    {"ThresholdedRelu", IR_THRESHOLDED_RELU, TAKES_ALPHA, 1, 0},
    {"HardSigmoid", IR_HARD_SIGMOID, TAKES_ALPHA | TAKES_BETA, 0.2, 0.5},
    {"Affine", IR_ADD, TAKES_ALPHA | TAKES_BETA, 0, 0},
    {"ScaledTanh", IR_MUL, TAKES_ALPHA | TAKES_BETA, 0, 0},
};

static const struct function *find_function(const char *name) {
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
    if (!strcasecmp(name, functions[i].name))
      return &functions[i];
  return NULL;
}

/* The next number of a list that only the functions with such a parameter
 * take from, in the order of the functions. */
static double take(const struct onnx_attr *list, size_t *next,
                   double otherwise) {
  return list && *next < list->floats.n ? list->floats.v[(*next)++] : otherwise;
}

/* The functions of all directions, f g h of the first before those of the
 * second. */
static bool read_functions(struct rnn *r) {
  struct onnx_call *c = r->c;
  size_t each = r->gates == LSTM_GATES ? 3 : r->gates == GRU_GATES ? 2 : 1;
  size_t n = each * (size_t)r->directions, alpha = 0, beta = 0;
  const struct onnx_attr *names = ox_attr(c, "activations");
  const struct onnx_attr *alphas = ox_attr(c, "activation_alpha");
  const struct onnx_attr *betas = ox_attr(c, "activation_beta");
  if (names && names->strings.n && names->strings.n != n)
    return fe_fail(c->b, DN_ATTR, "%zu activations, not %zu", names->strings.n,
                   n);
  for (size_t i = 0; i < n; i++) {
    const char *name = i % each || each == 1 ? "Tanh" : "Sigmoid";
    struct activation *a = &r->functions[i / each][i % each];
    if (names && names->strings.n)
      name =
          dn_strndup(c->im->ctx->arena, (const char *)names->strings.v[i].data,
                     names->strings.v[i].size);
    a->function = find_function(name);
    if (!a->function)
      return fe_fail(c->b, DN_ATTR, "unknown activation '%s'",
                     fe_text(c->im->ctx, name));
    if (a->function->takes & TAKES_ALPHA)
      a->alpha = take(alphas, &alpha, a->function->alpha);
    if (a->function->takes & TAKES_BETA)
      a->beta = take(betas, &beta, a->function->beta);
  }
  return true;
}

static struct ir_value *apply(struct onnx_call *c, const struct activation *a,
                              struct ir_value *x) {
  struct ir_attr attrs[2];
  size_t n = 0;
  if (a->function->code == IR_ADD) /* Affine */
    return fe_offset(c->b, fe_scale(c->b, x, a->alpha), a->beta);
  if (a->function->code == IR_MUL) /* ScaledTanh */
    return fe_scale(c->b, fe_op1(c->b, IR_TANH, fe_scale(c->b, x, a->beta)),
                    a->alpha);
  if (a->function->takes & TAKES_ALPHA)
    attrs[n++] = ir_float("alpha", a->alpha);
  if (a->function->takes & TAKES_BETA)
    attrs[n++] = ir_float("beta", a->beta);
  return fe_emit(c->b, a->function->code, IR_ARGS(x), attrs, n);
}

/* Function k of a direction, f, g or h of the formulas, of a gate, which
 * `clip` is for. */
static struct ir_value *activate(const struct rnn *r, int64_t direction,
                                 size_t k, struct ir_value *x) {
  if (r->clip > 0)
    x = fe_emit(r->c->b, IR_CLAMP, IR_ARGS(x),
                IR_ATTRS(ir_float("lo", -r->clip), ir_float("hi", r->clip)));
  return apply(r->c, &r->functions[direction][k], x);
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

static bool shaped(struct onnx_call *c, size_t k, int64_t d0, int64_t d1,
                   int64_t d2) {
  const struct ir_value *v = k < c->nin ? c->in[k] : NULL;
  const int64_t want[] = {d0, d1, d2};
  int rank = d2 < 0 ? 2 : 3;
  if (!v)
    return true;
  bool ok = fe_rank(v) == rank;
  for (int i = 0; i < rank && ok; i++)
    ok = fe_dims(v)[i] == want[i];
  return ok || fe_fail(c->b, DN_TYPE, "input %zu is %s", k,
                       ir_type_text(c->im->ctx, NULL, v->type));
}

static struct ir_value *given(const struct onnx_call *c, size_t k) {
  return k < c->nin ? c->in[k] : NULL;
}

/* The initial state of a direction, [B, H]; zeros when it is not given. */
static struct ir_value *initial(const struct rnn *r, size_t k, int64_t d) {
  struct onnx_call *c = r->c;
  struct ir_value *v = given(c, k);
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

static void open_cell(const struct rnn *r, struct ir_value *x, int64_t d,
                      struct cell *k) {
  struct onnx_call *c = r->c;
  static const int64_t flip[] = {1, 0};
  int64_t n = r->gates * r->hidden;
  *k = (struct cell){.direction = d};
  struct ir_value *w = fe_transpose(c->b, entry(c, c->in[1], d), flip);
  k->r = fe_transpose(c->b, entry(c, c->in[2], d), flip);
  const int64_t rows[] = {r->steps * r->batch, fe_dims(x)[2]};
  const int64_t dims[] = {r->steps, r->batch, n};
  k->in = fe_op2(c->b, IR_MATMUL, fe_reshape(c->b, x, 2, rows), w);
  k->in = fe_reshape(c->b, k->in, 3, dims);
  if (given(c, 3)) {
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
  if (r->gates == GRU_GATES) { /* parts of weights are made once */
    k->rn = columns(r, k->r, 2, 1);
    k->r = columns(r, k->r, 0, 2);
  }
  if (given(c, 7))
    for (int64_t i = 0; i < 3; i++)
      k->p[i] = columns(r, entry(c, c->in[7], d), i, 1);
  k->h = initial(r, 5, d);
  k->state = r->gates == LSTM_GATES ? initial(r, 6, d) : NULL;
}

/* ---- Steps: the formulas of the ONNX operators ---- */

static struct ir_value *rnn_step(const struct rnn *r, struct cell *k,
                                 struct ir_value *x) {
  struct onnx_call *c = r->c;
  x = fe_add(c->b, x, fe_op2(c->b, IR_MATMUL, k->h, k->r));
  return activate(r, k->direction, 0, x);
}

static struct ir_value *gru_step(const struct rnn *r, struct cell *k,
                                 struct ir_value *x) {
  struct onnx_call *c = r->c;
  struct ir_value *zr = fe_op2(c->b, IR_MATMUL, k->h, k->r);
  zr = fe_add(c->b, columns(r, x, 0, 2), zr);
  zr = activate(r, k->direction, 0, zr);
  struct ir_value *z = columns(r, zr, 0, 1), *reset = columns(r, zr, 1, 1);
  struct ir_value *n;
  if (r->before_reset) {
    n = fe_op2(c->b, IR_MATMUL, k->h, k->rn);
    if (k->rbias)
      n = fe_add(c->b, n, k->rbias);
    n = fe_mul(c->b, reset, n);
  } else {
    n = fe_op2(c->b, IR_MATMUL, fe_mul(c->b, reset, k->h), k->rn);
  }
  n = fe_add(c->b, columns(r, x, 2, 1), n);
  n = activate(r, k->direction, 1, n);
  /* (1 - z) n + z h */
  struct ir_value *keep = fe_sub(c->b, fe_number(c->b, z, 1), z);
  return fe_add(c->b, fe_mul(c->b, keep, n), fe_mul(c->b, z, k->h));
}

/* gate + peephole i * state */
static struct ir_value *peep(const struct rnn *r, const struct cell *k,
                             struct ir_value *gate, int64_t i,
                             struct ir_value *state) {
  if (!k->p[i])
    return gate;
  return fe_add(r->c->b, gate, fe_mul(r->c->b, k->p[i], state));
}

/* Gates lie in the order i o f c; peepholes i o f. */
static struct ir_value *lstm_step(const struct rnn *r, struct cell *k,
                                  struct ir_value *x, struct ir_value **state) {
  struct onnx_call *c = r->c;
  int64_t d = k->direction;
  x = fe_add(c->b, x, fe_op2(c->b, IR_MATMUL, k->h, k->r));
  struct ir_value *i = peep(r, k, columns(r, x, 0, 1), 0, k->state);
  i = activate(r, d, 0, i);
  struct ir_value *f;
  if (r->couples) {
    f = fe_sub(c->b, fe_number(c->b, i, 1), i);
  } else {
    f = peep(r, k, columns(r, x, 2, 1), 2, k->state);
    f = activate(r, d, 0, f);
  }
  struct ir_value *n = activate(r, d, 1, columns(r, x, 3, 1));
  *state = fe_add(c->b, fe_mul(c->b, f, k->state), fe_mul(c->b, i, n));
  struct ir_value *o = peep(r, k, columns(r, x, 1, 1), 1, *state);
  o = activate(r, d, 0, o);
  return fe_mul(c->b, o, apply(c, &r->functions[d][2], *state));
}

/* Runs a direction; outs[t] becomes the output [B, H] of step t. */
static bool run_cell(const struct rnn *r, struct cell *k, bool backwards,
                     struct ir_value **outs) {
  struct onnx_call *c = r->c;
  struct ir_value *lens = given(c, 4);
  if (lens)
    lens = fe_cast(c->b, fe_unsqueeze(c->b, lens, 0, 1), IR_I32);
  for (int64_t s = 0; s < r->steps && k->h; s++) {
    int64_t t = backwards ? r->steps - 1 - s : s;
    struct ir_value *x = entry(c, k->in, t), *h, *state = NULL;
    if (r->gates == LSTM_GATES)
      h = lstm_step(r, k, x, &state);
    else
      h = r->gates == GRU_GATES ? gru_step(r, k, x) : rnn_step(r, k, x);
    outs[t] = h;
    if (lens && h) { /* sequences that ended: 0 out, the state stays */
      struct ir_value *on =
          fe_op2(c->b, IR_LT, fe_scalar(c->b, IR_I32, (double)t), lens);
      outs[t] = fe_select(c->b, on, h, fe_number(c->b, h, 0));
      h = fe_select(c->b, on, h, k->h);
      if (state)
        state = fe_select(c->b, on, state, k->state);
    }
    k->h = h;
    k->state = state;
  }
  return k->h != NULL;
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
  r->clip = ox_float(c, "clip", 0);
  if (fe_rank(x) != 3 || fe_rank(c->in[1]) != 3)
    return fe_fail(c->b, DN_TYPE, "the input must have 3 dimensions");
  r->directions = !strcmp(direction, "bidirectional") ? 2 : 1;
  if (r->directions == 1 && strcmp(direction, "forward") != 0 &&
      strcmp(direction, "reverse") != 0)
    return fe_fail(c->b, DN_ATTR, "unknown direction '%s'",
                   fe_text(c->im->ctx, direction));
  if (!read_functions(r))
    return false;
  r->steps = fe_dims(x)[r->batch_first];
  r->batch = fe_dims(x)[!r->batch_first];
  r->hidden = fe_dims(c->in[1])[1] / r->gates;
  int64_t d = r->directions, h = r->hidden, g = r->gates;
  if (ox_int(c, "hidden_size", h) != h)
    return fe_fail(c->b, DN_ATTR, "hidden_size is not that of the weights");
  if (r->steps < 1 || r->steps > MAX_STEPS)
    return fe_fail(c->b, DN_UNSUPPORTED_ATTR,
                   "%lld steps: 1 to %d are unrolled", (long long)r->steps,
                   MAX_STEPS);
  int64_t b0 = r->batch_first ? r->batch : d,
          b1 = r->batch_first ? d : r->batch;
  struct ir_value *lens = given(c, 4);
  if (lens && (fe_rank(lens) != 1 || fe_dims(lens)[0] != r->batch))
    return fe_fail(c->b, DN_TYPE, "one length for each batch entry is needed");
  return shaped(c, 1, d, g * h, fe_dims(x)[2]) && shaped(c, 2, d, g * h, h) &&
         shaped(c, 3, d, 2 * g * h, -1) && shaped(c, 5, b0, b1, h) &&
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
  size_t n = (size_t)(r->steps * r->directions);
  struct ir_value **parts =
      DN_ARRAY(r->c->im->ctx->arena, struct ir_value *, n);
  const int64_t dims[] = {1, r->batch, r->hidden};
  const int64_t full[] = {r->steps, r->directions, r->batch, r->hidden};
  static const int64_t batch_first[] = {2, 0, 1, 3};
  for (int64_t t = 0; t < r->steps; t++)
    for (int64_t d = 0; d < r->directions; d++)
      parts[t * r->directions + d] =
          fe_reshape(r->c->b, outs[d * r->steps + t], 3, dims);
  struct ir_value *y = fe_concat(r->c->b, parts, n, 0);
  y = fe_reshape(r->c->b, y, 4, full);
  return r->batch_first ? fe_transpose(r->c->b, y, batch_first) : y;
}

bool onnx_rnn(struct onnx_call *c) {
  struct rnn r = {.c = c, .gates = c->arg};
  if (!read_rnn(&r))
    return false;
  struct ir_value *x = c->in[0], *h[2], *state[2];
  if (r.batch_first) {
    static const int64_t swap[] = {1, 0, 2};
    x = fe_transpose(c->b, x, swap);
    if (!x)
      return false;
  }
  struct ir_value **outs =
      DN_ARRAY(c->im->ctx->arena, struct ir_value *, r.directions * r.steps);
  bool reverse = !strcmp(ox_str(c, "direction", "forward"), "reverse");
  for (int64_t d = 0; d < r.directions; d++) {
    struct cell k;
    open_cell(&r, x, d, &k);
    if (!run_cell(&r, &k, reverse || d == 1, outs + d * r.steps))
      return false;
    h[d] = k.h;
    state[d] = k.state;
  }
  const char *const *names = c->node->outputs.v;
  if (names[0][0])
    c->out[0] = join_steps(&r, outs);
  if (c->nout > 1 && names[1][0])
    c->out[1] = join_states(&r, h);
  if (c->nout > 2 && names[2][0])
    c->out[2] = join_states(&r, state);
  return true;
}
