/* tflite_op_fft.c - Fourier transforms of an even number of real numbers, half of
 * which has no factors but 2, 3 and 5, as TensorFlow Lite Micro's audio front end
 * has them: of integers of 16 or 32 bits to the bit, each sum scaled down before,
 * and of floats. Real numbers in pairs are half as many complex ones, which are
 * transformed in stages of 4, at most one of 2, and of 3 and 5. */
#include "frontend/tflite.h"

#include <math.h>

enum { MOST_STAGES = 10, MOST_RADIX = 5 }; /* 3^9 < 2^15 */

struct complex {
  struct ir_value *r, *i;
};

struct fft {
  struct tfl_call *c;
  enum ir_dtype type, wide; /* of the numbers, and of their products */
  int64_t bits;             /* behind the point; 0: floats */
  int64_t batch, n;         /* complex numbers */
  int sign;                 /* of the exponent */
  int stages;
  int64_t radix[MOST_STAGES];
};

static double most(const struct fft *f) {
  return f->bits ? ldexp(1, (int)f->bits) - 1 : 1;
}

/* x / k, of integers by the factor that stands for 1 / k. */
static struct ir_value *part(struct fft *f, struct ir_value *x, int64_t k) {
  if (!f->bits)
    return x;
  return fe_call(f->c->b, FE_FFT_PART, IR_ARGS(x),
                 IR_ATTRS(ir_int("by", (int64_t)most(f) / k),
                          ir_int("half", INT64_C(1) << (f->bits - 1)),
                          ir_int("bits", f->bits)));
}

/* x c for c from -1 to 1; x is wrapped. */
static struct ir_value *times(struct fft *f, struct ir_value *x, double c) {
  if (!f->bits)
    return fe_scale(f->c->b, x, c);
  return fe_call(f->c->b, FE_FFT_PART, IR_ARGS(x),
                 IR_ATTRS(ir_int("by", (int64_t)floor(.5 + most(f) * c)),
                          ir_int("half", INT64_C(1) << (f->bits - 1)),
                          ir_int("bits", f->bits)));
}

static struct complex parts(struct fft *f, struct complex x, int64_t k) {
  return (struct complex){part(f, x.r, k), part(f, x.i, k)};
}

/* As a number of the transform's type holds it. */
static struct ir_value *wrapped(struct fft *f, struct ir_value *x) {
  return fe_cast(f->c->b, fe_cast(f->c->b, x, f->type), f->wide);
}

static struct ir_value *halved(struct fft *f, struct ir_value *x) {
  return f->bits ? fe_op2(f->c->b, IR_SHR, wrapped(f, x),
                          fe_scalar(f->c->b, f->wide, 1))
                 : fe_scale(f->c->b, x, 0.5);
}

static struct ir_value *numbers(struct fft *f, int64_t n, const double *v) {
  int64_t *ints = DN_ARRAY(f->c->im->ctx->arena, int64_t, n);
  if (!f->bits)
    return fe_floats(f->c->b, f->type, 1, &n, v);
  for (int64_t k = 0; k < n; k++)
    ints[k] = (int64_t)floor(.5 + most(f) * v[k]);
  return fe_ints(f->c->b, f->wide, 1, &n, ints);
}

static const double pi = 3.14159265358979323846;

/* x times exp(sign i phase[k]), for each of n elements k. Phases are computed as
 * the kernels do: at a twelfth of a turn the last bit of one decides. */
static struct complex turned(struct fft *f, struct complex x, int64_t n,
                             const double *phase) {
  double *v = DN_ARRAY(f->c->im->ctx->arena, double, 2 * n);
  for (int64_t k = 0; k < n; k++) {
    v[k] = cos(f->sign * phase[k]);
    v[n + k] = sin(f->sign * phase[k]);
  }
  struct ir_value *out[2] = {0};
  if (x.r && x.i)
    fe_decompose(
        f->c->b, FE_FFT_TURN,
        IR_ARGS(x.r, x.i, numbers(f, n, v), numbers(f, n, v + n)),
        IR_ATTRS(ir_int("half", f->bits ? INT64_C(1) << (f->bits - 1) : 0),
                 ir_int("bits", f->bits)),
        out, 2);
  return (struct complex){out[0], out[1]};
}

static struct complex plus(struct fft *f, struct complex a, struct complex b) {
  return (struct complex){fe_add(f->c->b, a.r, b.r), fe_add(f->c->b, a.i, b.i)};
}

static struct complex minus(struct fft *f, struct complex a, struct complex b) {
  return (struct complex){fe_sub(f->c->b, a.r, b.r), fe_sub(f->c->b, a.i, b.i)};
}

/* a + sign i b, where i is the imaginary unit. */
static struct complex plus_i(struct fft *f, int sign, struct complex a,
                             struct complex b) {
  struct fe_build *at = f->c->b;
  return sign < 0
             ? (struct complex){fe_add(at, a.r, b.i), fe_sub(at, a.i, b.r)}
             : (struct complex){fe_sub(at, a.r, b.i), fe_add(at, a.i, b.r)};
}

static struct complex conjugate(struct fft *f, struct complex a) {
  return (struct complex){a.r, wrapped(f, fe_op1(f->c->b, IR_NEG, a.i))};
}

/* Elements of dimension 1. */
static struct complex slice(struct fft *f, struct complex x, int64_t start,
                            int64_t size, int64_t step) {
  return (struct complex){fe_slice1(f->c->b, x.r, 1, start, size, step),
                          fe_slice1(f->c->b, x.i, 1, start, size, step)};
}

static void butterfly2(struct fft *f, const struct complex *v,
                       struct complex *y) {
  y[0] = plus(f, v[0], v[1]);
  y[1] = minus(f, v[0], v[1]);
}

static void butterfly4(struct fft *f, const struct complex *v,
                       struct complex *y) {
  struct complex even = plus(f, v[0], v[2]), odd = plus(f, v[1], v[3]);
  struct complex cross = minus(f, v[0], v[2]), other = minus(f, v[1], v[3]);
  y[0] = plus(f, even, odd);
  y[2] = minus(f, even, odd);
  y[1] = plus_i(f, f->sign, cross, other);
  y[3] = plus_i(f, -f->sign, cross, other);
}

/* The sine and the cosine of a turn's part. */
static double sine(int part, int of) { return sin(2 * pi * part / of); }
static double cosine(int part, int of) { return cos(2 * pi * part / of); }

static struct complex both(struct fft *f, struct complex x, double c) {
  return (struct complex){times(f, wrapped(f, x.r), c),
                          times(f, wrapped(f, x.i), c)};
}

static void butterfly3(struct fft *f, const struct complex *v,
                       struct complex *y) {
  struct complex sum = plus(f, v[1], v[2]);
  struct complex cross = both(f, minus(f, v[1], v[2]), f->sign * sine(1, 3));
  struct complex half = {halved(f, sum.r), halved(f, sum.i)};
  struct complex rest = minus(f, v[0], half);
  y[0] = plus(f, v[0], sum);
  y[1] = plus_i(f, 1, rest, cross);
  y[2] = plus_i(f, -1, rest, cross);
}

static void butterfly5(struct fft *f, const struct complex *v,
                       struct complex *y) {
  struct complex outer = plus(f, v[1], v[4]), inner = plus(f, v[2], v[3]);
  struct complex wide = minus(f, v[1], v[4]), near = minus(f, v[2], v[3]);
  y[0] = plus(f, v[0], plus(f, outer, inner));
  for (int k = 1; k <= 2; k++) {
    struct complex level = plus(f, plus(f, v[0], both(f, outer, cosine(k, 5))),
                                both(f, inner, cosine(2 * k, 5)));
    struct complex cross = plus(f, both(f, wide, f->sign * sine(k, 5)),
                                both(f, near, f->sign * sine(2 * k, 5)));
    y[k] = plus_i(f, 1, level, cross);
    y[5 - k] = plus_i(f, -1, level, cross);
  }
}

/* Transforms of p elements of every row [p, m]. */
static struct complex stage(struct fft *f, struct complex x, int64_t rows,
                            int64_t p, int64_t m) {
  struct fe_build *b = f->c->b;
  const int64_t dims[] = {rows, p, m};
  double *phase = DN_ARRAY(f->c->im->ctx->arena, double, m);
  static void (*const butterfly[])(struct fft *, const struct complex *,
                                   struct complex *) = {
      [2] = butterfly2, [3] = butterfly3, [4] = butterfly4, [5] = butterfly5};
  struct complex v[MOST_RADIX], y[MOST_RADIX] = {{0}};
  struct ir_value *r[MOST_RADIX], *i[MOST_RADIX];
  x.r = fe_reshape(b, x.r, 3, dims);
  x.i = fe_reshape(b, x.i, 3, dims);
  for (int64_t k = 0; k < p; k++) {
    v[k] = parts(f, slice(f, x, k, 1, 1), p);
    for (int64_t j = 0; j < m; j++)
      phase[j] = 2 * pi * (double)(j * k * (f->n / (p * m))) / (double)f->n;
    if (k)
      v[k] = turned(f, v[k], m, phase);
  }
  butterfly[p](f, v, y);
  for (int64_t k = 0; k < p; k++) {
    r[k] = y[k].r;
    i[k] = y[k].i;
  }
  return (struct complex){wrapped(f, fe_concat(b, r, (size_t)p, 1)),
                          wrapped(f, fe_concat(b, i, (size_t)p, 1))};
}

/* [batch, n] in the order that the first stage reads: the digits of the index
 * turned round. */
static struct ir_value *scattered(struct fft *f, struct ir_value *x) {
  int64_t dims[MOST_STAGES + 1] = {f->batch}, perm[MOST_STAGES + 1] = {0};
  for (int s = 1; s <= f->stages; s++) {
    dims[s] = f->radix[f->stages - s];
    perm[s] = f->stages + 1 - s;
  }
  return fe_transpose(f->c->b, fe_reshape(f->c->b, x, f->stages + 1, dims),
                      perm);
}

static struct complex transformed(struct fft *f, struct complex z) {
  int64_t m = 1, flat[] = {f->batch, f->n};
  z.r = scattered(f, z.r);
  z.i = scattered(f, z.i);
  for (int s = f->stages; s-- > 0; m *= f->radix[s])
    z = stage(f, z, f->batch * f->n / (m * f->radix[s]), f->radix[s], m);
  z.r = fe_reshape(f->c->b, z.r, 2, flat);
  z.i = fe_reshape(f->c->b, z.i, 2, flat);
  return z;
}

/* Pairs [batch, .., 2] as complex numbers, and back as the output. */
static struct complex paired(struct fft *f, struct ir_value *x, int64_t count) {
  struct fe_build *b = f->c->b;
  const int64_t pairs[] = {f->batch, count, 2}, flat[] = {f->batch, count};
  x = fe_cast(b, fe_reshape(b, x, 3, pairs), f->wide);
  return (struct complex){fe_reshape(b, fe_slice1(b, x, 2, 0, 1, 1), 2, flat),
                          fe_reshape(b, fe_slice1(b, x, 2, 1, 1, 1), 2, flat)};
}

static bool give(struct fft *f, struct complex z, int64_t count) {
  struct tfl_call *c = f->c;
  const int64_t column[] = {f->batch, count, 1};
  struct ir_value *v[] = {fe_reshape(c->b, z.r, 3, column),
                          fe_reshape(c->b, z.i, 3, column)};
  struct ir_value *y = fe_cast(c->b, fe_concat(c->b, v, 2, 2), f->type);
  return tfl_return(c, fe_reshape(c->b, y, c->tout[0]->rank, c->tout[0]->dim));
}

static struct complex joined(struct fft *f, const struct complex *v, size_t n) {
  struct ir_value *r[4], *i[4];
  for (size_t k = 0; k < n; k++) {
    r[k] = v[k].r;
    i[k] = v[k].i;
  }
  return (struct complex){fe_concat(f->c->b, r, n, 1),
                          fe_concat(f->c->b, i, n, 1)};
}

/* The difference of low and high frequencies, by the phases between n and 2 n. */
static struct complex unwound(struct fft *f, struct complex x) {
  int64_t half = f->n / 2;
  double *phase = DN_ARRAY(f->c->im->ctx->arena, double, half);
  for (int64_t k = 0; k < half; k++)
    phase[k] = pi * ((double)(k + 1) / (double)f->n + .5);
  return turned(f, x, half, phase);
}

/* The spectrum of the real numbers, of n + 1 frequencies, from that of the
 * complex ones, which have them as their two parts. */
static struct complex spectrum(struct fft *f, struct complex z) {
  struct fe_build *b = f->c->b;
  int64_t n = f->n, half = n / 2;
  struct complex zero = parts(f, slice(f, z, 0, 1, 1), 2);
  struct complex low = parts(f, slice(f, z, 1, half, 1), 2);
  struct complex high = parts(f, conjugate(f, slice(f, z, n - 1, half, -1)), 2);
  struct complex sum = plus(f, low, high);
  struct complex t = unwound(f, minus(f, low, high));
  t.r = wrapped(f, t.r);
  t.i = wrapped(f, t.i);
  struct complex first = plus(f, sum, t), last = minus(f, sum, t);
  last.i = fe_sub(b, t.i, sum.i);
  first = (struct complex){halved(f, first.r), halved(f, first.i)};
  last = (struct complex){halved(f, last.r), halved(f, last.i)};
  struct ir_value *nil = fe_sub(b, zero.r, zero.r);
  const struct complex all[] = {{fe_add(b, zero.r, zero.i), nil},
                                slice(f, first, 0, (n - 1) / 2, 1),
                                slice(f, last, half - 1, half, -1),
                                {fe_sub(b, zero.r, zero.i), nil}};
  return joined(f, all, 4);
}

/* The complex numbers' spectrum from that of n + 1 frequencies. */
static struct complex unravelled(struct fft *f, struct complex x) {
  struct fe_build *b = f->c->b;
  int64_t n = f->n, half = n / 2;
  struct ir_value *first = fe_slice1(b, x.r, 1, 0, 1, 1);
  struct ir_value *end = fe_slice1(b, x.r, 1, n, 1, 1);
  struct complex zero = {wrapped(f, fe_add(b, first, end)),
                         wrapped(f, fe_sub(b, first, end))};
  struct complex low = parts(f, slice(f, x, 1, half, 1), 2);
  struct complex high = parts(f, conjugate(f, slice(f, x, n - 1, half, -1)), 2);
  struct complex sum = plus(f, low, high);
  struct complex t = unwound(f, minus(f, low, high));
  struct complex all[] = {
      parts(f, zero, 2), slice(f, plus(f, sum, t), 0, (n - 1) / 2, 1),
      conjugate(f, slice(f, minus(f, sum, t), half - 1, half, -1))};
  struct complex z = joined(f, all, 3);
  return (struct complex){wrapped(f, z.r), wrapped(f, z.i)};
}

/* What the operator says; false after a diagnostic. */
static bool begin(struct fft *f, struct tfl_call *c, int sign) {
  enum ir_dtype type = fe_dtype(c->in[0]);
  int64_t length = tfl_int(c, "fft_length");
  *f = (struct fft){.c = c, .type = type, .sign = sign, .n = length / 2};
  f->wide = type == IR_I16 ? IR_I32 : type == IR_I32 ? IR_I64 : type;
  f->bits = type == IR_F32 ? 0 : ir_dtypes[type].bits - 1;
  if (type != IR_I16 && type != IR_I32 && type != IR_F32)
    return tfl_fail(c, UNSUPPORTED_TYPE, "input 0 is %s",
                    tfl_type_name(c->tin[0]->code));
  if (!tfl_rank(c, 0, 1, IR_MAX_RANK))
    return false;
  bool ok = length >= 6 && length <= 1 << 16 && length % 2 == 0;
  for (int64_t left = f->n; ok && left > 1; left /= f->radix[f->stages++]) {
    int64_t p = left % 4 == 0 ? 4 : left % 2 == 0 ? 2 : left % 3 == 0 ? 3 : 5;
    f->radix[f->stages] = p;
    ok = left % p == 0;
  }
  return ok || tfl_fail(c, UNSUPPORTED_ATTR,
                        "fft_length is %lld, not twice a product of 2, 3 and 5",
                        (long long)length);
}

/* Rows of `have` numbers, which must be from `least` to `count`. */
static bool read_rows(struct fft *f, int64_t least, int64_t have,
                      int64_t count) {
  if (have < least || have > count)
    return tfl_fail(f->c, UNSUPPORTED_ATTR, "%lld elements in %lld",
                    (long long)have, (long long)count);
  f->batch = ir_type_count(f->c->in[0]->type) / have;
  return true;
}

bool tflite_signal_rfft(struct tfl_call *c) {
  struct fft f;
  if (!begin(&f, c, -1))
    return false;
  int64_t have = fe_dims(c->in[0])[fe_rank(c->in[0]) - 1];
  if (!read_rows(&f, 1, have, 2 * f.n))
    return false;
  const int64_t rows[] = {f.batch, have}, pads[] = {0, 0, 0, 2 * f.n - have};
  struct ir_value *x = fe_reshape(c->b, c->in[0], 2, rows);
  struct complex z = paired(&f, fe_pad(c->b, x, pads, NULL, 0), f.n);
  return give(&f, spectrum(&f, transformed(&f, z)), f.n + 1);
}

/* The kernels divide floats by the length, and integers on the way. */
bool tflite_signal_irfft(struct tfl_call *c) {
  struct fft f;
  if (!begin(&f, c, 1))
    return false;
  int64_t have = fe_dims(c->in[0])[fe_rank(c->in[0]) - 1];
  if (!read_rows(&f, 2 * f.n + 2, have, 2 * f.n + 2))
    return false;
  struct complex z = unravelled(&f, paired(&f, c->in[0], f.n + 1));
  z = transformed(&f, z);
  if (!f.bits) {
    z.r = fe_scale(c->b, z.r, 0.5 / (double)f.n);
    z.i = fe_scale(c->b, z.i, 0.5 / (double)f.n);
  }
  return give(&f, z, f.n);
}
