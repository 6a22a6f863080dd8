/* tflite_op_rnn.c - recurrent operators: their state is variable tensors, read
 * as they are and made anew. Sums of quantized products are of all gates at
 * once, with a factor for each column. */
#include "frontend/region.h"
#include "frontend/tflite.h"

#include <math.h>
#include <string.h>

/* ---- SVDF ---- */

/* A sum less zero * (sum of the column's weights), [columns, terms]. */
static struct ir_value *less_zero(struct tfl_call *c, struct ir_value *y,
                                  const struct ir_value *w, int64_t zero,
                                  const struct ir_value *bias) {
  int64_t n = fe_dims(w)[0], terms = fe_dims(w)[1];
  int64_t *v = DN_ARRAY(c->im->ctx->arena, int64_t, n);
  for (int64_t i = 0; i < n; i++)
    v[i] = bias ? ir_const_int(bias, i) : 0;
  for (int64_t i = 0; zero && i < n * terms; i++)
    v[i / terms] -= zero * ir_const_int(w, i);
  return y ? fe_add(c->b, y, fe_ints(c->b, fe_dtype(y), 1, &n, v)) : NULL;
}

static struct ir_value *by_weights(struct tfl_call *c, struct ir_value *x,
                                   struct ir_value *w, const char *to) {
  static const int64_t flip[] = {1, 0};
  const struct ir_attr attr = ir_str("to", to);
  return fe_emit(c->b, IR_MATMUL, IR_ARGS(x, fe_transpose(c->b, w, flip)),
                 &attr, *to != 0);
}

/* Rows of floats by weights of 8 bits, [columns, terms], with a factor for each
 * column: each row is quantized by what it holds. */
static struct ir_value *hybrid_sums(struct tfl_call *c, struct ir_value *x,
                                    struct ir_value *w, const double *factor) {
  struct ir_value *row[2] = {0};
  const struct ir_attr attrs[] = {
      ir_ints("axes", (int64_t[]){1}, 1),
      ir_int("asymmetric", tfl_int(c, "asymmetric") != 0)};
  c->b->keeps = true;
  w = fe_cast(c->b, w, IR_I32);
  c->b->keeps = false;
  if (!w || !fe_decompose(c->b, FE_QUANTIZED_ROWS, &x, 1, attrs, 2, row, 2))
    return NULL;
  x = fe_cast(c->b, by_weights(c, row[0], w, ""), IR_F32);
  x = fe_mul(c->b, x, row[1]);
  return fe_mul(c->b, x, fe_floats(c->b, IR_F32, 1, fe_dims(w), factor));
}

/* Weights of 8 bits beside floats: constants of one scale, without a zero
 * point. */
static bool is_hybrid(const struct tfl_call *c, size_t k) {
  const struct tfl_tensor *w = c->tin[k];
  return !tfl_is_quantized(c->tout[0]) && w->dtype == IR_I8 && w->n == 1 &&
         !tfl_zero(w) && c->in[k]->data && fe_dtype(c->in[0]) == IR_F32;
}

static struct ir_value *clamped(struct tfl_call *c, struct ir_value *y,
                                enum ir_dtype to) {
  double least, most;
  ir_dtype_range(to, &least, &most);
  y = fe_emit(c->b, IR_CLAMP, IR_ARGS(y),
              IR_ATTRS(ir_float("lo", least), ir_float("hi", most)));
  return fe_cast(c->b, y, to);
}

/* The newest feature of each filter, as the state has them. */
static struct ir_value *features(struct tfl_call *c) {
  const struct tfl_tensor *x = c->tin[0], *w = c->tin[1], *s = c->tin[4];
  if (is_hybrid(c, 1)) {
    int64_t n = fe_dims(c->in[1])[0];
    double *f = DN_ARRAY(c->im->ctx->arena, double, n);
    for (int64_t i = 0; i < n; i++)
      f[i] = tfl_scale(w);
    return hybrid_sums(c, c->in[0], c->in[1], f);
  }
  if (!tfl_is_quantized(c->tout[0]))
    return by_weights(c, c->in[0], c->in[1], "");
  struct ir_value *y = by_weights(c, c->in[0], c->in[1], "i32");
  float scale = (float)tfl_scale(x) * (float)tfl_scale(w) / (float)tfl_scale(s);
  y = less_zero(c, y, c->in[1], tfl_zero(x), NULL);
  y = tfl_rescale1(c, y, ir_factor((double)scale));
  return clamped(c, y ? fe_offset(c->b, y, (double)tfl_zero(s)) : y, s->dtype);
}

static bool check_svdf(struct tfl_call *c, int64_t rank) {
  if (!tfl_in(c, 4))
    return tfl_fail(c, ARITY, "input 4 is missing");
  for (size_t k = 0; k < 5; k++)
    if (k != 3 && !tfl_rank(c, k, 2, 2))
      return false;
  const int64_t *x = fe_dims(c->in[0]), *w = fe_dims(c->in[1]);
  const int64_t *t = fe_dims(c->in[2]), *s = fe_dims(c->in[4]);
  if (rank < 1 || w[0] % rank || x[1] != w[1] || t[0] != w[0] || t[1] < 1 ||
      s[0] != x[0] || s[1] != t[0] * t[1] ||
      (c->in[3] && ir_type_count(c->in[3]->type) != w[0] / rank))
    return tfl_fail(c, TYPE, "the operands do not fit");
  if (!c->tin[4]->variable)
    return tfl_fail(c, GRAPH, "its state is no variable");
  if (!tfl_is_quantized(c->tout[0]))
    return ir_is_float(fe_dtype(c->in[0])) &&
                   (ir_is_float(fe_dtype(c->in[1])) || is_hybrid(c, 1)) &&
                   (ir_is_float(fe_dtype(c->in[2])) || is_hybrid(c, 2))
               ? true
               : tfl_fail(c, UNSUPPORTED_TYPE, "floats by integers");
  for (size_t k = 0; k < 5; k++)
    if (k != 3 && !tfl_quantized(c, c->tin[k]))
      return false;
  return (c->in[1]->data && fe_dtype(c->in[2]) == fe_dtype(c->in[4])) ||
         tfl_fail(c, DYNAMIC, "the weights are no constants of one type");
}

bool tflite_svdf(struct tfl_call *c) {
  int64_t rank = tfl_int(c, "rank");
  if (!check_svdf(c, rank))
    return false;
  int64_t batch = fe_dims(c->in[0])[0], filters = fe_dims(c->in[2])[0];
  int64_t memory = fe_dims(c->in[2])[1];
  int64_t all[] = {batch, filters, memory}, one[] = {batch, filters, 1};
  int64_t units[] = {batch, filters / rank, rank};
  bool quantized = tfl_is_quantized(c->tout[0]);
  struct ir_value *old = fe_reshape(c->b, c->in[4], 3, all);
  struct ir_value *parts[] = {fe_slice1(c->b, old, 2, 1, memory - 1, 1),
                              fe_reshape(c->b, features(c), 3, one)};
  struct ir_value *state = fe_concat(c->b, parts, 2, 2), *y = state;
  c->tin[4]->value = fe_reshape(c->b, state, 2, fe_dims(c->in[4]));
  struct ir_value *time = c->in[2];
  if (is_hybrid(c, 2))
    time = tfl_dequantized(c, time, c->tin[2], IR_F32);
  if (quantized) {
    time = fe_cast(c->b, time, IR_I32);
    y = fe_cast(c->b, y, IR_I32);
    y = y ? fe_offset(c->b, y, -(double)tfl_zero(c->tin[4])) : NULL;
  }
  y = fe_mul(c->b, y, time);
  bool axes[IR_MAX_RANK] = {false, false, true};
  y = fe_squeeze(c->b, fe_reduce(c->b, IR_REDUCE_SUM, y, axes), axes);
  y = fe_reduce(c->b, IR_REDUCE_SUM, fe_reshape(c->b, y, 3, units), axes);
  y = fe_squeeze(c->b, y, axes);
  if (c->in[3])
    y = fe_add(c->b, y, c->in[3]);
  if (!quantized)
    return tfl_return(c, tfl_activate(c, y, tfl_int(c, "activation")));
  float scale = (float)tfl_scale(c->tin[4]) * (float)tfl_scale(c->tin[2]) /
                (float)tfl_scale(c->tout[0]);
  y = tfl_rescale1(c, y, ir_factor((double)scale));
  return tfl_return(c, tfl_narrow(c, y, 0));
}

/* ---- LSTM ---- */

enum { GATES = 4, LSTM_INPUTS = 24 };
enum {
  W = 1,
  R = 5,
  PEEPHOLE = 9,
  BIAS = 12,
  PROJECTION = 16,
  STATE = 18,
  CELL
};

struct lstm {
  struct tfl_call *c;
  bool quantized, hybrid;
  int64_t steps, batch, units;
  double cell; /* scale of the cell state */
};

/* Weights of all gates, one below the other. */
static struct ir_value *all_gates(struct lstm *l, size_t first) {
  return fe_concat(l->c->b, l->c->in + first, GATES, 0);
}

/* Products by weights from input `first` on in steps of 2^-12, i16. */
static struct ir_value *gate_sums(struct lstm *l, struct ir_value *x,
                                  const struct tfl_tensor *of, size_t first,
                                  size_t bias) {
  struct tfl_call *c = l->c;
  struct ir_value *w = all_gates(l, first), *parts[GATES];
  bool wide = l->quantized && of->dtype == IR_I16;
  double *f = DN_ARRAY(c->im->ctx->arena, double, GATES * l->units);
  for (int64_t i = 0; l->hybrid && i < GATES * l->units; i++)
    f[i] = tfl_scale(c->tin[first + (size_t)(i / l->units)]);
  struct ir_value *y = l->hybrid ? hybrid_sums(c, x, w, f)
                                 : by_weights(c, x, w,
                                              !l->quantized ? ""
                                              : wide        ? "i64"
                                                            : "i32");
  if (!l->quantized)
    return bias ? fe_add(c->b, y, fe_concat(c->b, c->in + bias, GATES, 0)) : y;
  for (size_t g = 0; g < GATES; g++) {
    const struct tfl_tensor *t = c->tin[first + g];
    float product = (float)tfl_scale(of) * (float)tfl_scale(t);
    for (int64_t i = 0; i < l->units; i++)
      f[(int64_t)g * l->units + i] = (double)product / 0x1p-12;
    struct ir_value *part =
        fe_slice1(c->b, y, 1, (int64_t)g * l->units, l->units, 1);
    parts[g] = less_zero(c, part, c->in[first + g], tfl_zero(of),
                         bias ? c->in[bias + g] : NULL);
  }
  y = tfl_rescale(c, fe_concat(c->b, parts, GATES, 1),
                  (size_t)(GATES * l->units), f);
  return clamped(c, y, IR_I16);
}

static struct ir_value *i32(struct lstm *l, struct ir_value *x) {
  return fe_cast(l->c->b, x, IR_I32);
}

/* The logistic function or tanh of i16, 2^-15 steps from those of 2^power. */
static struct ir_value *squashed(struct lstm *l, struct ir_value *x, bool tanh,
                                 int power) {
  struct fe_build *b = l->c->b;
  if (!l->quantized)
    return fe_op1(b, tanh ? IR_TANH : IR_SIGMOID, x);
  int up = 12 + power;
  return fe_cast(
      b,
      tfl_squash(l->c, i32(l, x), tanh, up < 0 ? 3 : 3 << up, up < 0 ? -up : 0),
      IR_I16);
}

/* The product of two i16, times a factor, from the zero point, as `to`. */
static struct ir_value *scaled(struct lstm *l, struct ir_value *x,
                               struct ir_value *y, double factor, double zero,
                               enum ir_dtype to) {
  struct tfl_call *c = l->c;
  if (!l->quantized)
    return fe_mul(c->b, x, y);
  x = tfl_rescale1(c, fe_mul(c->b, i32(l, x), i32(l, y)), ir_factor(factor));
  return clamped(c, x ? fe_offset(c->b, x, zero) : NULL, to);
}

static struct ir_value *saturated_sum(struct lstm *l, struct ir_value *x,
                                      struct ir_value *y) {
  if (!l->quantized)
    return fe_add(l->c->b, x, y);
  return clamped(l->c, fe_add(l->c->b, i32(l, x), i32(l, y)), IR_I16);
}

static struct ir_value *clipped(struct lstm *l, struct ir_value *cell) {
  double clip = tfl_float(l->c, "cell_clip");
  if (!(clip > 0))
    return cell;
  if (l->quantized)
    clip = fmin(floor(clip / l->cell), 32767);
  return fe_emit(l->c->b, IR_CLAMP, IR_ARGS(cell),
                 IR_ATTRS(ir_float("lo", -clip), ir_float("hi", clip)));
}

/* A step: h, cell and gates i f g o by the input; the new h and cell, and h. */
static bool lstm_step(void *data, struct ir_value *const *p,
                      struct ir_value **out) {
  struct lstm *l = data;
  struct tfl_call *c = l->c;
  const struct tfl_tensor *state = c->tin[STATE];
  struct ir_value *v[GATES];
  int power = (int)lround(log2(l->cell));
  struct ir_value *sum = gate_sums(l, p[0], state, R, 0);
  sum = saturated_sum(l, p[2], sum);
  for (int64_t g = 0; g < GATES; g++)
    v[g] = squashed(l, fe_slice1(c->b, sum, 1, g * l->units, l->units, 1),
                    g == 2, -12);
  struct ir_value *kept = scaled(l, v[1], p[1], 0x1p-15, 0, IR_I16);
  struct ir_value *added = scaled(l, v[0], v[2], 0x1p-30 / l->cell, 0, IR_I16);
  out[1] = clipped(l, saturated_sum(l, kept, added));
  out[0] = out[2] =
      scaled(l, squashed(l, out[1], true, power), v[3],
             0x1p-30 / tfl_scale(state), (double)tfl_zero(state), state->dtype);
  return out[0] != NULL;
}

/* All steps; x has a row for each of a step's batch. A single step needs no scan. */
static bool lstm_steps(struct lstm *l, struct ir_value *x,
                       struct ir_value **out) {
  struct fe_build *b = l->c->b;
  int64_t flat[] = {l->batch, l->units}, one[] = {1, l->batch, l->units};
  int64_t gates[] = {l->steps, l->batch, GATES * l->units};
  struct ir_value *in[] = {fe_reshape(b, l->c->in[STATE], 2, flat),
                           fe_reshape(b, l->c->in[CELL], 2, flat), x};
  if (l->steps > 1) {
    in[2] = fe_reshape(b, x, 3, gates);
    return in[2] &&
           fe_loop(b, IR_SCAN, in, 3, 2, lstm_step, l, 3, &l->steps, out);
  }
  if (!x || !lstm_step(l, in, out))
    return false;
  out[2] = fe_reshape(b, out[2], 3, one);
  return true;
}

static bool check_lstm(struct lstm *l, bool time_major) {
  struct tfl_call *c = l->c;
  for (size_t k = PEEPHOLE; k < LSTM_INPUTS; k++)
    if (tfl_in(c, k) &&
        (k < BIAS || (k >= PROJECTION && k != STATE && k != CELL)))
      return tfl_fail(c, UNSUPPORTED_ATTR,
                      "peepholes, projection or normalization");
  for (size_t k = 0; k <= CELL; k++)
    if (!tfl_in(c, k) &&
        (k < PEEPHOLE || (k >= BIAS && k < PROJECTION) || k >= STATE))
      return tfl_fail(c, ARITY, "input %zu is missing", k);
  if (!tfl_rank(c, 0, 3, 3) || tfl_int(c, "activation") != 4)
    return tfl_fail(c, UNSUPPORTED_ATTR, "another activation than TANH");
  const int64_t *x = fe_dims(c->in[0]);
  l->steps = x[!time_major];
  l->batch = x[time_major];
  l->units = fe_rank(c->in[R]) == 2 ? fe_dims(c->in[R])[1] : 0;
  if (l->steps < 1)
    return tfl_fail(c, UNSUPPORTED_ATTR, "a sequence of 0 steps");
  bool ok = true;
  for (size_t g = 0; g < GATES; g++) {
    const struct ir_value *w = c->in[W + g], *r = c->in[R + g];
    ok = ok && fe_rank(w) == 2 && fe_rank(r) == 2 &&
         fe_dims(w)[0] == l->units && fe_dims(w)[1] == x[2] &&
         fe_dims(r)[0] == l->units && fe_dims(r)[1] == l->units &&
         ir_type_count(c->in[BIAS + g]->type) == l->units;
    if (l->quantized && (tfl_zero(c->tin[W + g]) || tfl_zero(c->tin[R + g])))
      return tfl_fail(c, UNSUPPORTED_ATTR, "weights with a zero point");
    if (l->quantized &&
        (!w->data || !r->data || !c->in[BIAS + g]->data ||
         !tfl_quantized(c, c->tin[W + g]) || !tfl_quantized(c, c->tin[R + g])))
      return tfl_fail(c, DYNAMIC, "the weights are no constants");
    ok = ok && (l->hybrid ? is_hybrid(c, W + g) && is_hybrid(c, R + g)
                          : ir_is_float(fe_dtype(w)) == !l->quantized &&
                                ir_is_float(fe_dtype(r)) == !l->quantized);
  }
  if (l->quantized && (fe_dtype(c->in[CELL]) != IR_I16 ||
                       fe_dtype(c->in[STATE]) != c->tout[0]->dtype))
    return tfl_fail(c, UNSUPPORTED_TYPE, "the state");
  for (size_t k = STATE; k <= CELL; k++)
    ok = ok && c->tin[k]->variable &&
         ir_type_count(c->in[k]->type) == l->batch * l->units;
  return ok || tfl_fail(c, TYPE, "the operands do not fit");
}

bool tflite_lstm(struct tfl_call *c) {
  static const int64_t swap[] = {1, 0, 2};
  struct lstm l = {.c = c, .quantized = tfl_is_quantized(c->tout[0])};
  l.hybrid = is_hybrid(c, W);
  bool time_major = tfl_int(c, "time_major") != 0;
  if (!check_lstm(&l, time_major) ||
      (l.quantized &&
       (!tfl_quantized(c, c->tin[0]) || !tfl_quantized(c, c->tin[STATE]) ||
        !tfl_quantized(c, c->tin[CELL]))))
    return false;
  l.cell = l.quantized ? tfl_scale(c->tin[CELL]) : 1;
  if (l.cell > 1 || l.cell < 0x1p-24 || frexp(l.cell, &(int){0}) != 0.5)
    return tfl_fail(c, UNSUPPORTED_ATTR, "a cell state of the scale %g",
                    l.cell);
  int64_t rows[] = {l.steps * l.batch, fe_dims(c->in[0])[2]};
  struct ir_value *x =
      time_major ? c->in[0] : fe_transpose(c->b, c->in[0], swap);
  struct ir_value *out[3];
  x = gate_sums(&l, fe_reshape(c->b, x, 2, rows), c->tin[0], W, BIAS);
  if (!lstm_steps(&l, x, out))
    return false;
  for (size_t k = STATE; k <= CELL; k++)
    c->tin[k]->value =
        fe_reshape(c->b, out[k - STATE], fe_rank(c->in[k]), fe_dims(c->in[k]));
  struct ir_value *y = out[2];
  return tfl_return(c, time_major ? y : fe_transpose(c->b, y, swap));
}
