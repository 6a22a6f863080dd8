/* tflite_op_signal.c - the audio front end of TensorFlow Lite Micro, which are
 * custom operators of integers: to the bit as its reference kernels compute.
 * A spectrum is real and imaginary parts in turn (tflite_op_fft.c). */
#include "frontend/tflite.h"

#include <math.h>
#include <string.h>

/* Numbers of i32. */
static struct ir_value *list(struct tfl_call *c, int64_t n, const int64_t *v) {
  return fe_ints(c->b, IR_I32, 1, &n, v);
}

static bool is_type(struct tfl_call *c, size_t k, enum ir_dtype type) {
  return fe_dtype(c->in[k]) == type || tfl_unsupported(c, k);
}

/* An option within bounds. */
static bool option(struct tfl_call *c, const char *name, int64_t most,
                   int64_t *v) {
  *v = tfl_int(c, name);
  return (*v >= 0 && *v <= most) ||
         tfl_fail(c, ATTR, "%s is %lld", name, (long long)*v);
}

/* ---- Filter banks ---- */

/* Constants: weights, the rest of them, and for each channel where its
 * frequencies and weights begin and how many they are. */
enum { WEIGHTS = 1, RESTS, FREQUENCY, WEIGHT, WIDTH };

/* Sums of x times weights (input `k`) over each channel, by the differences of
 * running sums: channels [from, from + n). */
static struct ir_value *channel_sums(struct tfl_call *c, struct ir_value *x,
                                     const int64_t *ends, size_t k,
                                     const int64_t *weight, int64_t from,
                                     int64_t n) {
  static const int64_t pads[] = {1, 0};
  int64_t all = ends[fe_dims(c->in[WIDTH])[0]];
  int64_t *v = DN_ARRAY(c->im->ctx->arena, int64_t, all);
  for (int64_t i = 0; i < all; i++)
    v[i] = ir_const_int(c->in[k], weight[i]);
  x = fe_mul(c->b, x, fe_ints(c->b, IR_I64, 1, &all, v));
  x = fe_pad(c->b,
             fe_emit(c->b, IR_CUMSUM, IR_ARGS(x), IR_ATTRS(ir_int("axis", 0))),
             pads, NULL, 0);
  return fe_sub(c->b, fe_gather(c->b, x, list(c, n, ends + from + 1), 0),
                fe_gather(c->b, x, list(c, n, ends + from), 0));
}

/* Reads the constants: `ends` has 0 and the ends of the channels, `at` the
 * frequency and then the weight of each product. */
static bool read_channels(struct tfl_call *c, int64_t channels, int64_t *ends,
                          int64_t **at) {
  int64_t n[6], all = 0;
  const int64_t *v[6];
  for (size_t k = WEIGHTS; k <= WIDTH; k++)
    if (!tfl_const_ints(c, k, &n[k], &v[k]))
      return false;
  if (n[FREQUENCY] != channels + 1 || n[WEIGHT] != channels + 1 ||
      n[WIDTH] != channels + 1 || n[WEIGHTS] != n[RESTS])
    return tfl_fail(c, TYPE, "the operands do not fit %lld channels",
                    (long long)channels);
  int64_t most = ir_type_count(c->in[0]->type);
  for (int64_t i = 0; i <= channels; all = ends[++i]) {
    int64_t f = v[FREQUENCY][i], w = v[WEIGHT][i], width = v[WIDTH][i];
    if (f < 0 || w < 0 || width < 0 || f + width > most ||
        w + width > n[WEIGHTS])
      return tfl_fail(c, TYPE, "channel %lld is beyond the operands",
                      (long long)i);
    ends[i + 1] = all + width;
    if (ends[i + 1] > 1 << 20)
      return tfl_fail(c, LIMIT, "channels of more than %d products", 1 << 20);
  }
  *at = DN_ARRAY(c->im->ctx->arena, int64_t, 2 * all + 1);
  for (int64_t i = 0; i <= channels; i++)
    for (int64_t k = ends[i]; k < ends[i + 1]; k++) {
      (*at)[k] = v[FREQUENCY][i] + k - ends[i];
      (*at)[all + k] = v[WEIGHT][i] + k - ends[i];
    }
  return true;
}

/* Each frequency is shared by two channels. */
bool tflite_signal_filter_bank(struct tfl_call *c) {
  int64_t n, *at = NULL;
  if (!tfl_rank(c, 0, 1, 1) || !tfl_rank(c, WIDTH, 1, 1) ||
      !is_type(c, 0, IR_U32) || !option(c, "num_channels", 1 << 12, &n))
    return false;
  int64_t *ends = DN_ARRAY(c->im->ctx->arena, int64_t, n + 2);
  if (!read_channels(c, n, ends, &at))
    return false;
  int64_t all = ends[n + 1];
  struct ir_value *x = fe_gather(c->b, c->in[0], list(c, all, at), 0);
  x = fe_cast(c->b, x, IR_I64);
  if (!all)
    return tfl_fail(c, TYPE, "channels of no frequencies");
  x = fe_add(c->b, channel_sums(c, x, ends, WEIGHTS, at + all, 1, n),
             channel_sums(c, x, ends, RESTS, at + all, 0, n));
  return tfl_return(c, fe_cast(c->b, x, IR_U64));
}

/* ---- What is kept from one run to the next ---- */

/* State of that shape, of zeros at first, named like output 0 with `_what`. */
static struct tfl_tensor *keep(struct tfl_call *c, const char *what,
                               enum ir_dtype dtype, int64_t rank,
                               const int64_t *dims) {
  struct tfl_tensor like = *c->tout[0];
  like.dtype = dtype;
  like.rank = rank;
  like.n = dtype == c->tout[0]->dtype ? like.n : 0;
  for (int64_t i = 0; i < rank; i++)
    like.dim[i] = dims[i];
  return tfl_keep(c, &like,
                  dn_printf(c->im->ctx->arena, "%s_%s", like.name, what));
}

/* What the state and then x have along `axis`, of which the last `kept` are the
 * state of the next run; NULL after a diagnostic. */
static struct ir_value *prolonged(struct tfl_call *c, struct ir_value *x,
                                  int64_t axis, int64_t kept) {
  int64_t dims[IR_MAX_RANK], n = fe_dims(x)[axis];
  memcpy(dims, fe_dims(x), (size_t)fe_rank(x) * sizeof *dims);
  dims[axis] = kept;
  if (!kept)
    return x;
  struct tfl_tensor *t = keep(c, "state", fe_dtype(x), fe_rank(x), dims);
  if (!t)
    return NULL;
  struct ir_value *all =
      fe_concat(c->b, (struct ir_value *[]){t->value, x}, 2, axis);
  t->value = fe_slice1(c->b, all, axis, n, kept, 1);
  return all;
}

/* x as rows of its last dimension; NULL after a diagnostic. */
static struct ir_value *rows_of(struct tfl_call *c, enum ir_dtype dtype) {
  int64_t last = tfl_rank(c, 0, 1, IR_MAX_RANK)
                     ? fe_dims(c->in[0])[fe_rank(c->in[0]) - 1]
                     : 0;
  if (!is_type(c, 0, dtype))
    return NULL;
  if (!last || !ir_type_count(c->in[0]->type))
    return fe_null(c->b, DN_TYPE, "no samples");
  const int64_t dims[] = {ir_type_count(c->in[0]->type) / last, last};
  return fe_reshape(c->b, c->in[0], 2, dims);
}

static struct ir_value *as_output(struct tfl_call *c, size_t k,
                                  struct ir_value *y) {
  return fe_reshape(c->b, y, c->tout[k]->rank, c->tout[k]->dim);
}

/* A row more each time. One that is run every other time ends the others. */
bool tflite_circular_buffer(struct tfl_call *c) {
  const struct tfl_tensor *t = c->tout[0];
  int64_t cycles = tfl_int(c, "cycles_max"), n = t->rank == 4 ? t->dim[1] : 0;
  if (!tfl_rank(c, 0, 4, 4) || n < 1 || fe_dims(c->in[0])[0] != 1 ||
      fe_dims(c->in[0])[1] != 1)
    return tfl_fail(c, TYPE, "no row of rows");
  if (cycles != 1 && (cycles > 0 || (n != 5 && n != 13 && n != 25)))
    return tfl_fail(c, UNSUPPORTED_ATTR, "runs of which some end here");
  return tfl_return(c, prolonged(c, c->in[0], 1, n - 1));
}

bool tflite_signal_delay(struct tfl_call *c) {
  int64_t by;
  struct ir_value *x = rows_of(c, IR_I16);
  if (!x || !option(c, "delay_length", 1 << 20, &by))
    return false;
  struct ir_value *y = prolonged(c, x, 1, by);
  return y &&
         tfl_return(
             c, as_output(c, 0, fe_slice1(c->b, y, 1, 0, fe_dims(x)[1], 1)));
}

/* Output 1: whether `n` or more runs have been, with this; the count stays at
 * that. */
static bool is_filled(struct tfl_call *c, int64_t n) {
  struct tfl_tensor *t = keep(c, "count", IR_I32, 0, NULL);
  if (!t)
    return false;
  struct ir_value *most = fe_number(c->b, t->value, (double)n);
  t->value = fe_op2(c->b, IR_MIN, fe_offset(c->b, t->value, 1), most);
  c->out[1] = as_output(c, 1, fe_op2(c->b, IR_EQ, t->value, most));
  return c->out[1] != NULL;
}

/* Frames of so many samples, one every `step`. Without zeros before the first
 * sample, frames begin with it and at multiples of the step. */
bool tflite_signal_framer(struct tfl_call *c) {
  int64_t size, step;
  struct ir_value *x = rows_of(c, IR_I16), *frames[256];
  if (!x || !option(c, "frame_size", 1 << 20, &size) ||
      !option(c, "frame_step", size, &step))
    return false;
  bool prefill = tfl_int(c, "prefill") != 0;
  int64_t n = step ? fe_dims(x)[1] / step : 0, kept = size - step, ready = 1;
  if (!step || c->nout != 2 || n < 1 || n > 256 || fe_dims(x)[1] % step)
    return tfl_fail(c, ATTR, "frames every %lld samples", (long long)step);
  if (!prefill) {
    ready = dn_div_ceil(size, step);
    kept = (ready - 1) * step;
  }
  struct ir_value *all = prolonged(c, x, 1, kept);
  for (int64_t i = 0; all && i < n; i++)
    frames[i] = fe_slice1(c->b, all, 1, i * step, size, 1);
  return all && is_filled(c, ready > 1 ? dn_div_ceil(ready - 1, n) + 1 : 1) &&
         tfl_return(c, as_output(c, 0, fe_concat(c->b, frames, (size_t)n, 1)));
}

/* This frame and those around it, every `step`; before the first are copies. */
bool tflite_signal_stacker(struct tfl_call *c) {
  int64_t channels, left, right, step;
  if (!is_type(c, 0, IR_I16) || !tfl_rank(c, 0, 1, 1) || c->nout != 2 ||
      !option(c, "num_channels", 1 << 16, &channels) ||
      !option(c, "stacker_left_context", 1 << 10, &left) ||
      !option(c, "stacker_right_context", 1 << 10, &right) ||
      !option(c, "stacker_step", left + right + 1, &step))
    return false;
  int64_t kept = left + right, row[] = {1, channels}, rows[] = {kept, channels};
  if (!channels || !step || fe_dims(c->in[0])[0] != channels)
    return tfl_fail(c, ATTR, "frames of %lld channels", (long long)channels);
  if (!kept)
    return is_filled(c, 1) && tfl_return(c, as_output(c, 0, c->in[0]));
  struct tfl_tensor *old = keep(c, "state", IR_I16, 2, rows);
  struct tfl_tensor *count = keep(c, "count", IR_I32, 0, NULL);
  if (!old || !count)
    return false;
  struct ir_value *in[] = {fe_reshape(c->b, c->in[0], 2, row), old->value,
                           count->value};
  struct ir_value *out[4] = {0};
  if (!fe_decompose(c->b, FE_SIGNAL_STACK, in, 3,
                    IR_ATTRS(ir_int("left", left), ir_int("right", right),
                             ir_int("step", step)),
                    out, 4))
    return false;
  old->value = out[2];
  count->value = out[3];
  c->out[1] = as_output(c, 1, out[1]);
  return c->out[1] && tfl_return(c, as_output(c, 0, out[0]));
}

/* Frames laid over each other, each `step` behind the one before. */
bool tflite_signal_overlap(struct tfl_call *c) {
  int64_t step, rank = fe_rank(c->in[0]);
  enum ir_dtype dtype = fe_dtype(c->in[0]);
  if (!tfl_rank(c, 0, 2, IR_MAX_RANK) ||
      (dtype != IR_F32 && !is_type(c, 0, IR_I16)))
    return false;
  int64_t size = fe_dims(c->in[0])[rank - 1], n = fe_dims(c->in[0])[rank - 2];
  if (!option(c, "frame_step", size, &step))
    return false;
  if (!step || n < 1 || n > 256)
    return tfl_fail(c, ATTR, "%lld frames", (long long)n);
  int64_t rows = ir_type_count(c->in[0]->type) / (n * size);
  const int64_t dims[] = {rows, n, size}, kept[] = {rows, size};
  struct ir_value *x = fe_reshape(c->b, c->in[0], 3, dims), *y[256];
  struct tfl_tensor *t = keep(c, "state", dtype, 2, kept);
  for (int64_t i = 0; t && i < n; i++) {
    struct ir_value *out[2] = {0}, *in[2] = {t->value};
    in[1] = fe_reshape(c->b, fe_slice1(c->b, x, 1, i, 1, 1), 2, kept);
    if (!fe_decompose(c->b, FE_SIGNAL_OVERLAP, in, 2,
                      IR_ATTRS(ir_int("step", step)), out, 2))
      return false;
    y[i] = out[0];
    t->value = out[1];
  }
  return t && tfl_return(c, as_output(c, 0, fe_concat(c->b, y, (size_t)n, 1)));
}

/* ---- Noise, gain, logarithm ---- */

/* Numbers of u64 for even and for odd channels. */
static struct ir_value *in_turn(struct tfl_call *c, int64_t n, int64_t even,
                                int64_t odd) {
  int64_t *v = DN_ARRAY(c->im->ctx->arena, int64_t, n);
  for (int64_t i = 0; i < n; i++)
    v[i] = i % 2 ? odd : even;
  return fe_ints(c->b, IR_U64, 1, &n, v);
}

/* The estimate of the noise is kept from one run to the next. */
bool tflite_signal_noise(struct tfl_call *c) {
  static const char *const names[] = {"smoothing",
                                      "alternate_smoothing",
                                      "one_minus_smoothing",
                                      "alternate_one_minus_smoothing",
                                      "min_signal_remaining",
                                      "smoothing_bits",
                                      "spectral_subtraction_bits",
                                      "clamping"};
  int64_t v[8];
  for (size_t i = 0; i < 8; i++)
    if (!option(c, names[i], i < 5 ? UINT16_MAX : 31, &v[i]))
      return false;
  if (!tfl_rank(c, 0, 1, 1) || !is_type(c, 0, IR_U32) || c->nout != 2)
    return tfl_fail(c, TYPE, "no vector to two vectors");
  int64_t n = fe_dims(c->in[0])[0];
  struct tfl_tensor *kept =
      tfl_keep(c, c->tout[1],
               dn_printf(c->im->ctx->arena, "%s_state", c->tout[1]->name));
  if (!kept || kept->dtype != IR_U32 || kept->rank != 1 || kept->dim[0] != n)
    return tfl_fail(c, TYPE, "the estimate does not fit");
  bool ok =
      fe_decompose(c->b, FE_SIGNAL_NOISE,
                   IR_ARGS(c->in[0], kept->value, in_turn(c, n, v[0], v[1]),
                           in_turn(c, n, v[2], v[3])),
                   IR_ATTRS(ir_int("least", v[4]), ir_int("up", v[5]),
                            ir_int("bits", v[6]), ir_int("clamps", v[7] != 0)),
                   c->out, 2);
  kept->value = ok ? c->out[1] : &c->im->failed;
  return ok;
}

/* log2 by linear interpolation, corrected by a table of 128 errors. */
bool tflite_signal_log(struct tfl_call *c) {
  int64_t v[130] = {0}, up, scale;
  for (int i = 0; i <= 128; i++)
    v[i] = (int64_t)floor(65536 * log2(1 + i / 128.0) - 512 * i + 0.5);
  return is_type(c, 0, IR_U32) && option(c, "input_correction_bits", 31, &up) &&
         option(c, "output_scale", INT32_MAX, &scale) &&
         tfl_return(
             c, fe_call(c->b, FE_SIGNAL_LOG, IR_ARGS(c->in[0], list(c, 130, v)),
                        IR_ATTRS(ir_int("up", up), ir_int("scale", scale))));
}
