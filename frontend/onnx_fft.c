/* onnx_fft.c - see onnx_fft.h.
 *
 * Of a length M = F R the entries k = k1 + F k2 are (Cooley and Tukey 1965)
 *   X[k] = sum over n2 < R of w(n2 k2 / R) w(n2 k1 / M)
 *          sum over n1 < F of w(n1 k1 / F) x[R n1 + n2],  w(t) = e^(-2 pi i t)
 * The inner sums are a contraction with a matrix of F by F complex numbers, the
 * factor between is a rotation, the outer sums are transforms of length R. The
 * contraction puts k1 before the entries that earlier ones made, so that the
 * order comes out right without a permutation (Stockham).
 *
 * A length with a large prime factor is a convolution (Bluestein 1970): since
 * 2 n k = n^2 + k^2 - (k - n)^2, X[k] = u[k] sum of (x[n] u[n]) / u[k - n] with
 * u[n] = w(n^2 / 2 N), made by transforms of a power of two. */
#include "frontend/onnx_fft.h"

#include "frontend/onnx_ops.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

/* Factors up to which a dense transform is cheap; what a further one costs in
 * passes over memory, counted in their size. */
enum { MAX_FACTOR = 32, STAGE = 6, MAX_STAGES = 24 };

struct stages {
  int n;
  int64_t factor[MAX_STAGES]; /* falling: the first has the lanes */
};

/* The cheapest factors, none below `least`; INT64_MAX: there are none. */
static int64_t find_stages(int64_t length, int64_t least, struct stages *out) {
  int64_t best = length <= MAX_FACTOR ? length + STAGE : INT64_MAX;
  *out = (struct stages){1, {length}};
  for (int64_t f = least; f <= MAX_FACTOR && f * f <= length; f++) {
    struct stages rest;
    if (length % f)
      continue;
    int64_t cost = find_stages(length / f, f, &rest);
    if (cost == INT64_MAX || cost + f + STAGE >= best)
      continue;
    best = cost + f + STAGE;
    *out = rest;
    out->factor[out->n++] = f;
  }
  return best;
}

/* x [.., 2, ..] with parts at dimension 1 times numbers of shape dims, which
 * broadcast to what follows the parts; x of one part is real. */
static struct ir_value *times(struct onnx_call *c, struct ir_value *x, int rank,
                              const int64_t *dims, const double *re,
                              const double *im) {
  int64_t n = 1, shape[IR_MAX_RANK] = {1, 2};
  memcpy(shape + 2, dims, (size_t)rank * sizeof *dims);
  for (int i = 0; i < rank; i++)
    n *= dims[i];
  if (!x)
    return NULL;
  bool real = fe_dims(x)[1] == 1;
  double *own = DN_ARRAY(c->im->ctx->arena, double, 2 * n);
  double *other = DN_ARRAY(c->im->ctx->arena, double, 2 * n);
  for (int64_t i = 0; i < n; i++) {
    own[i] = re[i];
    own[n + i] = real ? im[i] : re[i];
    other[i] = -im[i];
    other[n + i] = im[i];
  }
  enum ir_dtype t = fe_dtype(x);
  shape[1] = real ? 2 : 1;
  struct ir_value *y =
      fe_mul(c->b, x, fe_floats(c->b, t, rank + 2, shape, own));
  if (real)
    return y;
  shape[1] = 2;
  struct ir_value *swapped = fe_slice1(c->b, x, 1, 1, 2, -1);
  swapped = fe_mul(c->b, swapped, fe_floats(c->b, t, rank + 2, shape, other));
  return fe_add(c->b, y, swapped);
}

/* What a transform of length F multiplies by: part y and element z of its input
 * give part x of entry w, [y, z, x, w]. */
static struct ir_value *matrix(struct onnx_call *c, const struct onnx_fft *f,
                               enum ir_dtype t, int64_t columns) {
  const int64_t dims[] = {f->parts, f->length, f->outs, columns};
  double *m = DN_ARRAY(c->im->ctx->arena, double,
                       f->parts * f->length * f->outs * columns);
  double *p = m;
  for (int64_t y = 0; y < f->parts; y++)
    for (int64_t z = 0; z < f->length; z++)
      for (int64_t x = 0; x < f->outs; x++)
        for (int64_t w = 0; w < columns; w++) {
          double turn = 2 * PI * (double)(z * w % f->length);
          double s = sin(turn / (double)f->length) * (f->inverse ? 1 : -1);
          double v = x == y ? cos(turn / (double)f->length) : x ? s : -s;
          *p++ = f->scale * v;
        }
  return fe_floats(c->b, t, 4, dims, m);
}

/* [before, 2, R, F, ..] turned by n2 k1 / M. */
static struct ir_value *rotate(struct onnx_call *c, struct ir_value *x,
                               int64_t r, int64_t factor, bool inverse) {
  const int64_t dims[] = {r, factor, 1};
  double *re = DN_ARRAY(c->im->ctx->arena, double, r *factor);
  double *im = DN_ARRAY(c->im->ctx->arena, double, r *factor);
  for (int64_t n = 0; n < r; n++)
    for (int64_t k = 0; k < factor; k++) {
      double turn = 2 * PI * (double)(n * k) / (double)(r * factor);
      re[n * factor + k] = cos(turn);
      im[n * factor + k] = inverse ? sin(turn) : -sin(turn);
    }
  return times(c, x, 3, dims, re, im);
}

static struct ir_value *by_stages(struct onnx_call *c, struct ir_value *x,
                                  const struct onnx_fft *f,
                                  const struct stages *s) {
  int64_t left = f->length, parts = f->parts, made = 1;
  for (int i = 0; i < s->n && x; i++) {
    int64_t factor = s->factor[i], r = left / factor;
    bool last = i + 1 == s->n;
    int64_t columns = last ? (f->columns - 1) / made + 1 : factor;
    struct onnx_fft small = {
        f->inverse, last ? f->scale : 1, 1,      parts, factor,
        1,          last ? f->outs : 2,  columns};
    const int64_t dims[] = {f->before, parts, factor, r, made * f->behind};
    struct ir_value *m = matrix(c, &small, fe_dtype(x), columns);
    x = fe_reshape(c->b, x, 5, dims);
    x = fe_emit(c->b, IR_EINSUM, IR_ARGS(m, x),
                IR_ATTRS(ir_str("equation", "yzxw,ayznq->axnwq")));
    if (!last)
      x = rotate(c, x, r, factor, f->inverse);
    parts = 2;
    left = r;
    made *= last ? columns : factor;
  }
  const int64_t dims[] = {f->before, f->outs, made, f->behind};
  x = fe_reshape(c->b, x, 4, dims);
  return fe_slice1(c->b, x, 2, 0, f->columns, 1);
}

/* Radix 2, in place, of a power of two. */
static void transform(double *re, double *im, int64_t n) {
  for (int64_t i = 1, j = 0; i < n; i++) {
    int64_t bit = n >> 1;
    for (; j & bit; bit >>= 1)
      j ^= bit;
    j ^= bit;
    if (i >= j)
      continue;
    double a = re[i], b = im[i];
    re[i] = re[j];
    im[i] = im[j];
    re[j] = a;
    im[j] = b;
  }
  for (int64_t half = 1; half < n; half *= 2)
    for (int64_t k = 0; k < half; k++) {
      double turn = -PI * (double)k / (double)half;
      double wr = cos(turn), wi = sin(turn);
      for (int64_t i = k; i < n; i += 2 * half) {
        double a = re[i + half] * wr - im[i + half] * wi;
        double b = re[i + half] * wi + im[i + half] * wr;
        re[i + half] = re[i] - a;
        im[i + half] = im[i] - b;
        re[i] += a;
        im[i] += b;
      }
    }
}

/* The chirp exp(-i pi n^2 / length) times `scale`, n in [0, length); its
 * conjugate when `inverse`. */
static void chirp(int64_t length, bool inverse, double scale, double *re,
                  double *im) {
  for (int64_t n = 0; n < length; n++) {
    double turn = PI * (double)(n * n % (2 * length)) / (double)length;
    re[n] = scale * cos(turn);
    im[n] = scale * (inverse ? sin(turn) : -sin(turn));
  }
}

static struct ir_value *by_convolution(struct onnx_call *c, struct ir_value *x,
                                       const struct onnx_fft *f) {
  struct dn_arena *arena = c->im->ctx->arena;
  int64_t n = f->length, m = 1, pads[8] = {0};
  while (m < 2 * n - 1)
    m *= 2;
  double *re = DN_ARRAY(arena, double, m), *im = DN_ARRAY(arena, double, m);
  const int64_t dims[] = {n, 1}, all[] = {m, 1}, few[] = {f->columns, 1};
  chirp(n, f->inverse, 1, re, im);
  x = times(c, x, 2, dims, re, im);
  pads[6] = m - n;
  x = fe_pad(c->b, x, pads, NULL, 0);
  struct onnx_fft big = {false, 1, f->before, 2, m, f->behind, 2, m};
  x = onnx_fft(c, x, &big);
  for (int64_t i = 0; i < n; i++) { /* 1 / u, both ways round */
    im[i] = -im[i];
    re[(m - i) % m] = re[i];
    im[(m - i) % m] = im[i];
  }
  transform(re, im, m);
  x = times(c, x, 2, all, re, im);
  big.inverse = true;
  big.scale = 1 / (double)m;
  big.columns = f->columns;
  x = onnx_fft(c, x, &big);
  chirp(n, f->inverse, f->scale, re, im);
  x = times(c, x, 2, few, re, im);
  return f->outs == 1 ? fe_slice1(c->b, x, 1, 0, 1, 1) : x;
}

struct ir_value *onnx_fft(struct onnx_call *c, struct ir_value *x,
                          const struct onnx_fft *f) {
  struct stages s;
  if (find_stages(f->length, 2, &s) == INT64_MAX)
    return by_convolution(c, x, f);
  return by_stages(c, x, f, &s);
}
