/* eval_loops.c - contractions, windows, pads and gathers against loops that
 * were written by hand from their definitions. */
#include "eval_test.h"

#include <string.h>

static double at(const struct ir_value *v, int64_t i) {
  return ir_const_float(v, i);
}

static void check(struct ir_value *y, const double *want, const char *what) {
  if (!y) {
    test_fail("%s: not well-formed", what);
    return;
  }
  struct dn_ctx *ctx = y->def->block->func->module->ctx;
  struct dn_arena *arena = dn_arena_new(ctx);
  const struct ir_type *type = y->type;
  size_t size = ir_dtypes[type->dtype].bytes;
  const void *got = ir_eval_op(arena, y->def);
  char *rounded = dn_alloc(arena, (size_t)ir_type_bytes(type));
  for (int64_t i = 0; i < ir_type_count(type); i++)
    ir_store_float(type->dtype, rounded + (size_t)i * size, want[i]);
  if (!got || !same_data(type, got, rounded, what))
    test_fail("%s: wrong", what);
  dn_arena_free(arena);
}

struct conv {
  int s; /* spatial dims */
  int64_t n, c, o, g;
  int64_t in[3], k[3], stride[3], dil[3], pad[6], out[3];
};

/* Unused spatial dims have size 1, so three loops do for all. */
static void conv_loops(const struct conv *c, const struct ir_value *x,
                       const struct ir_value *w, double *y) {
  int64_t cg = c->c / c->g, og = c->o / c->g;
  for (int64_t n = 0; n < c->n; n++)
    for (int64_t p = 0; p < c->out[0] * c->out[1] * c->out[2]; p++)
      for (int64_t o = 0; o < c->o; o++) {
        int64_t pos[3] = {p / (c->out[1] * c->out[2]),
                          p / c->out[2] % c->out[1], p % c->out[2]};
        double sum = 0;
        for (int64_t q = 0; q < c->k[0] * c->k[1] * c->k[2]; q++) {
          int64_t win[3] = {q / (c->k[1] * c->k[2]), q / c->k[2] % c->k[1],
                            q % c->k[2]};
          int64_t off = n;
          bool inside = true;
          for (int d = 0; d < 3; d++) {
            int64_t i = pos[d] * c->stride[d] + win[d] * c->dil[d] - c->pad[d];
            inside &= i >= 0 && i < c->in[d];
            off = off * c->in[d] + i;
          }
          for (int64_t i = 0; i < cg && inside; i++)
            sum += at(x, off * c->c + o / og * cg + i) *
                   at(w, (o * c->k[0] * c->k[1] * c->k[2] + q) * cg + i);
        }
        *y++ = sum;
      }
}

static void test_conv(struct bench *t, int s) {
  struct conv c = {.s = s, .n = pick(t, 1, 2), .g = pick(t, 1, 3)};
  c.c = c.g * pick(t, 1, 5);
  c.o = c.g * pick(t, 1, 6);
  int64_t xd[5] = {c.n}, wd[5] = {c.o}, pads[6];
  int64_t count = c.n * c.o;
  for (int d = 0; d < 3; d++) {
    bool used = d < s;
    c.in[d] = used ? pick(t, 5, 9) : 1;
    c.k[d] = used ? pick(t, 1, 3) : 1;
    c.stride[d] = used ? pick(t, 1, 3) : 1;
    c.dil[d] = used ? pick(t, 1, 2) : 1;
    c.pad[d] = used ? pick(t, 0, 3) : 0;
    c.pad[3 + d] = used ? pick(t, 0, 3) : 0;
    c.out[d] =
        (c.in[d] + c.pad[d] + c.pad[3 + d] - (c.k[d] - 1) * c.dil[d] - 1) /
            c.stride[d] +
        1;
    count *= c.out[d];
    if (used) {
      xd[1 + d] = c.in[d];
      wd[1 + d] = c.k[d];
      pads[d] = c.pad[d];
      pads[s + d] = c.pad[3 + d];
    }
  }
  xd[s + 1] = c.c;
  wd[s + 1] = c.c / c.g;
  enum ir_dtype dtype = pick(t, 0, 1) ? IR_F32 : IR_I32;
  struct ir_value *x = random_const(t, dtype, s + 2, xd);
  struct ir_value *w = random_const(t, dtype, s + 2, wd);
  double *y = DN_ARRAY(t->m->arena, double, count);
  conv_loops(&c, x, w, y);
  check(
      ir_emit(&t->b, IR_CONV, IR_ARGS(x, w),
              IR_ATTRS(ir_ints("pads", pads, 2 * s),
                       ir_ints("strides", c.stride, s),
                       ir_ints("dilations", c.dil, s), ir_int("groups", c.g))),
      y, "conv");
}

/* Batch dims `own`, of rank `rank`, that broadcast to `batch` of rank 3: the
 * number of the matrix that belongs to matrix q of the result. */
static int64_t matrix_of(const int64_t *own, int rank, const int64_t *batch,
                         int64_t q) {
  int64_t index[3] = {q / (batch[1] * batch[2]), q / batch[2] % batch[1],
                      q % batch[2]};
  int64_t off = 0;
  for (int d = 0; d < rank; d++)
    off = off * own[d] + (own[d] == 1 ? 0 : index[3 - rank + d]);
  return off;
}

/* Batch ranks ra and rb; a dim is at times 1 in an operand. */
static void test_matmul(struct bench *t, int ra, int rb) {
  int64_t m = pick(t, 1, pick(t, 0, 3) ? 9 : 140), n = pick(t, 1, 30),
          k = pick(t, 0, 70), batch[3], ad[5], bd[5];
  for (int d = 0; d < 3; d++) {
    int64_t size = pick(t, 0, 3);
    bool in_a = d >= 3 - ra, in_b = d >= 3 - rb;
    int64_t da = in_a && (!in_b || pick(t, 0, 3)) ? size : 1;
    int64_t db = in_b && (da == 1 || pick(t, 0, 3)) ? size : 1;
    batch[d] = da == 1 ? db : da;
    if (in_a)
      ad[d - 3 + ra] = da;
    if (in_b)
      bd[d - 3 + rb] = db;
  }
  ad[ra] = m;
  ad[ra + 1] = bd[rb] = k;
  bd[rb + 1] = n;
  struct ir_value *a = random_const(t, IR_F32, ra + 2, ad);
  struct ir_value *b = random_const(t, IR_F32, rb + 2, bd);
  int64_t count = batch[0] * batch[1] * batch[2] * m * n;
  double *y = DN_ARRAY(t->m->arena, double, count + 1);
  for (int64_t p = 0; p < count; p++) {
    int64_t j = p % n, i = p / n % m, q = p / n / m;
    double sum = 0;
    for (int64_t l = 0; l < k; l++)
      sum += at(a, (matrix_of(ad, ra, batch, q) * m + i) * k + l) *
             at(b, (matrix_of(bd, rb, batch, q) * k + l) * n + j);
    y[p] = sum;
  }
  check(ir_emit(&t->b, IR_MATMUL, IR_ARGS(a, b), NULL, 0), y, "matmul");
}

static void test_pool(struct bench *t, bool max) {
  int64_t h = pick(t, 3, 12), w = pick(t, 3, 12), c = pick(t, 1, 9);
  int64_t k = pick(t, 1, 3), s = pick(t, 1, 3), p = pick(t, 0, k - 1);
  int64_t xd[4] = {1, h, w, c}, kernel[4] = {1, k, k, 1};
  int64_t strides[4] = {1, s, s, 1}, pads[8] = {0, p, p, 0, 0, p, p, 0};
  int64_t oh = (h + 2 * p - k) / s + 1, ow = (w + 2 * p - k) / s + 1;
  struct ir_value *x = random_const(t, IR_F32, 4, xd);
  double *y = DN_ARRAY(t->m->arena, double, oh *ow *c);
  for (int64_t q = 0; q < oh * ow * c; q++) {
    double acc = max ? -1e30 : 0;
    for (int64_t r = 0; r < k * k; r++) {
      int64_t i = q / c / ow * s + r / k - p, j = q / c % ow * s + r % k - p;
      if (i < 0 || j < 0 || i >= h || j >= w)
        continue;
      double v = at(x, (i * w + j) * c + q % c);
      acc = max ? (v > acc ? v : acc) : acc + v;
    }
    y[q] = acc;
  }
  check(ir_emit(&t->b, max ? IR_WINDOW_MAX : IR_WINDOW_SUM, IR_ARGS(x),
                IR_ATTRS(ir_ints("kernel", kernel, 4),
                         ir_ints("strides", strides, 4),
                         ir_ints("pads", pads, 8))),
        y, max ? "window_max" : "window_sum");
}

static void test_pad(struct bench *t) {
  int64_t n = pick(t, 1, 9), m = pick(t, 1, 300), step = pick(t, 1, 3);
  int64_t top = pick(t, 0, 4), left = pick(t, 0, 4);
  int64_t xd[2] = {n, m}, pads[4] = {top, left, 1, 2}, steps[2] = {1, step};
  int64_t w = left + (m - 1) * step + 1 + 2, h = top + n + 1;
  struct ir_value *x = random_const(t, IR_I16, 2, xd);
  double *y = DN_ARRAY(t->m->arena, double, w *h);
  for (int64_t i = 0; i < h * w; i++)
    y[i] = 7;
  for (int64_t i = 0; i < n * m; i++)
    y[(top + i / m) * w + left + i % m * step] = at(x, i);
  check(ir_emit(&t->b, IR_PAD, IR_ARGS(x),
                IR_ATTRS(ir_ints("pads", pads, 4), ir_ints("steps", steps, 2),
                         ir_float("value", 7))),
        y, "pad");
}

static void test_gather(struct bench *t) {
  int64_t a = pick(t, 1, 5), n = pick(t, 1, 8), b = pick(t, 1, 300),
          j = pick(t, 1, 6);
  int64_t xd[3] = {a, n, b};
  struct ir_value *x = random_const(t, IR_F16, 3, xd);
  struct ir_value *idx = random_const(t, IR_I32, 1, &j);
  double *y = DN_ARRAY(t->m->arena, double, a *j *b);
  for (int64_t q = 0; q < a * j * b; q++) {
    int64_t i = (int64_t)at(idx, q / b % j);
    i = i < 0 ? 0 : i >= n ? n - 1 : i;
    y[q] = at(x, (q / b / j * n + i) * b + q % b);
  }
  check(ir_emit(&t->b, IR_GATHER, IR_ARGS(x, idx), IR_ATTRS(ir_int("axis", 1))),
        y, "gather");
}

void test_loops(uint64_t seed) {
  for (uint64_t round = 0; round < 40; round++) {
    struct bench t;
    bench_open(&t, seed + round);
    for (int s = 1; s <= 3; s++)
      test_conv(&t, s);
    for (int r = 0; r < 16; r++)
      test_matmul(&t, r / 4, r % 4);
    test_pool(&t, false);
    test_pool(&t, true);
    test_pad(&t);
    test_gather(&t);
    bench_close(&t);
  }
}
