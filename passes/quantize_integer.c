/* quantize_integer.c - quantization of an i32 sum in integers, for targets
 * without vectors: one product by a number with a fraction (`requant`), and a
 * shift. It takes the place of
 *
 *   narrow(cast(sum) * ratio, zero)
 *
 * where it is equal for every i32. Both never fall as the sum rises, so they
 * are equal when they reach each result at the same sum: with M = ratio * 2^s,
 * the sums t and t - 1 on both sides of where the floats reach n say that
 *
 *   M t + C >= n 2^s   and   M (t - 1) + C < n 2^s
 *
 * which leaves an interval to C. Floats round halfway cases to even, so that an
 * even result (less the zero point) begins at a smaller sum than an odd one would:
 * the intervals of even and of odd n may be disjoint. Then a result is computed with
 * a C of each, and where the two differ, the even one is taken.
 *
 * The sum of two tensors of 8 bits has few values: all are tried, below.
 *
 * With --requant, every sum is quantized in integers, on any target, and results
 * may differ by a step. */
#include "passes/quantize.h"

#include <assert.h>
#include <math.h>

enum {
  FRACTION = 16,  /* bits of requant's third operand */
  MAX_SHIFT = 40, /* so that it has 32 bits for zero points of 8 */
  MAX_COLUMNS = 1 << 16
};

struct steps { /* of the floats, for one column */
  float ratio;
  double zero, least, most;
  int shift;
};

/* What the floats make of a sum. */
static double result_of(const struct steps *s, int64_t sum) {
  float y = (float)sum * s->ratio;
  return fmin(s->most, fmax(s->least, rint((double)y) + s->zero));
}

/* The least i32 with a result of n or more; one beyond them: there is none. */
static int64_t find_step(const struct steps *s, double n) {
  int64_t lo = INT32_MIN, hi = (int64_t)INT32_MAX + 1;
  double near = ceil((n - s->zero - 0.5) / (double)s->ratio);
  if (near > INT32_MIN + 2.0 && near < INT32_MAX - 2.0 &&
      result_of(s, (int64_t)near - 2) < n &&
      result_of(s, (int64_t)near + 2) >= n) {
    lo = (int64_t)near - 1;
    hi = (int64_t)near + 2;
  }
  while (lo < hi) {
    int64_t mid = lo + (hi - lo) / 2;
    if (result_of(s, mid) >= n)
      hi = mid;
    else
      lo = mid + 1;
  }
  return lo;
}

/* Numbers C, with their fraction. */
struct interval {
  int64_t least, most;
};

static struct interval both(struct interval a, struct interval b) {
  return (struct interval){dn_max(a.least, b.least), dn_min(a.most, b.most)};
}

static bool is_empty(struct interval a) { return a.least > a.most; }

/* The number with the most zeros at its end: half of a result, which is no
 * fraction, is one of them more often than not. */
static int64_t roundest(struct interval a) {
  assert(!is_empty(a) && "callers have looked");
  int64_t unit = 1;
  while (dn_div_ceil(a.least, 2 * unit) <= dn_div_floor(a.most, 2 * unit) &&
         unit < INT64_C(1) << 32)
    unit *= 2;
  return dn_div_ceil(a.least, unit) * unit;
}

/* The constants C for which sum * M + C, shifted, is what the floats give:
 * out[0] for results that are even without the zero point, out[1] for odd ones.
 * */
static void find_intervals(const struct steps *s, int64_t m,
                           struct interval out[2]) {
  assert(m > 0 && s->least < s->most && "find_numbers() takes positive ratios");
  int64_t unit = INT64_C(1) << FRACTION;
  out[0] = out[1] = (struct interval){INT32_MIN, INT32_MAX};
  for (int64_t n = (int64_t)s->least + 1; n <= (int64_t)s->most; n++) {
    struct interval *i = &out[(n - (int64_t)s->zero) & 1], own = *i;
    int64_t t = find_step(s, (double)n), at = n * (INT64_C(1) << s->shift);
    if (t <= INT32_MAX)
      own.least = dn_div_ceil(at - m * t, unit);
    if (t > INT32_MIN)
      own.most = dn_div_floor(at - 1 - m * (t - 1), unit);
    *i = both(*i, own);
  }
}

static struct ir_value *ints_like(struct quantize *p, const struct ir_value *v,
                                  bool splat, const int64_t *n) {
  return splat ? quant_number(p, IR_I32, (double)*n)
               : ir_const_ints(p->m, NULL, IR_I32, v->type->rank, v->type->dim,
                               n);
}

/* Numbers of all columns: M; C of all n, or empty; of even and of odd ones. */
struct numbers {
  int64_t count, *m;
  struct interval *all, *of[2];
};

static bool find_numbers(struct quantize *p, const struct ir_value *ratio,
                         struct steps s, struct numbers *out) {
  int64_t n = out->count;
  out->m = DN_ARRAY(p->env->scratch, int64_t, n);
  out->all = DN_ARRAY(p->env->scratch, struct interval, 3 * n);
  out->of[0] = out->all + n;
  out->of[1] = out->all + 2 * n;
  for (int64_t i = 0; i < n; i++) {
    struct interval own[2] = {0};
    float r = (float)ir_const_float(ratio, i);
    double scaled = rint(ldexp((double)r, s.shift));
    if (!(scaled >= 1 && scaled <= INT32_MAX))
      return false;
    out->m[i] = (int64_t)scaled;
    if (i && r == s.ratio) {
      own[0] = out->of[0][i - 1];
      own[1] = out->of[1][i - 1];
    } else {
      s.ratio = r;
      find_intervals(&s, out->m[i], own);
    }
    struct interval all = out->all[i] = both(own[0], own[1]);
    for (int k = 0; k < 2; k++)
      out->of[k][i] = is_empty(all) ? own[k] : all;
    if (is_empty(own[0]) || is_empty(own[1]) ||
        (is_empty(all) && own[0].most < own[1].most))
      return false;
  }
  return true;
}

static bool has_empty(const struct interval *v, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    if (is_empty(v[i]))
      return true;
  return false;
}

/* sum * M + C, shifted: one C for all columns where they have one in common. */
static struct ir_value *rescaled(struct quantize *p, struct ir_value *sum,
                                 const struct ir_value *ratio,
                                 const struct numbers *by,
                                 const struct interval *plus, int shift) {
  assert(shift >= 32 && "requant gives the upper half of 64 bits");
  int64_t *c = DN_ARRAY(p->env->scratch, int64_t, by->count);
  struct interval shared = plus[0];
  for (int64_t i = 0; i < by->count; i++) {
    shared = both(shared, plus[i]);
    c[i] = roundest(plus[i]);
  }
  bool one = by->count == 1 || !is_empty(shared);
  if (one)
    c[0] = roundest(shared);
  struct ir_value *y =
      quant_emit(p, IR_REQUANT,
                 IR_ARGS(sum, ints_like(p, ratio, by->count == 1, by->m),
                         ints_like(p, ratio, one, c)),
                 NULL, 0);
  return shift > 32
             ? quant_op2(p, IR_SHR, y, quant_number(p, IR_I32, shift - 32))
             : y;
}

/* v = cast(sum) * ratio */
static struct ir_value *find_sum(const struct ir_value *v,
                                 const struct ir_value **ratio) {
  for (unsigned i = 0; v->def && v->def->code == IR_MUL && i < 2; i++) {
    const struct ir_op *cast = ir_arg(v->def, i)->def;
    *ratio = ir_arg(v->def, 1 - i);
    if (cast && cast->code == IR_CAST && (*ratio)->data &&
        (*ratio)->type->dtype == IR_F32 &&
        ir_arg(cast, 0)->type->dtype == IR_I32)
      return ir_arg(cast, 0);
  }
  return NULL;
}

/* Of two results that are equal or one apart: the one that is even without its
 * zero point. */
static struct ir_value *even_one(struct quantize *p, struct ir_value *early,
                                 struct ir_value *late, double zero) {
  struct ir_value *step = quant_op2(p, IR_SUB, early, late);
  return fmod(zero, 2) != 0
             ? quant_op2(p, IR_OR, late, step)
             : quant_op2(p, IR_ADD, late, quant_op2(p, IR_AND, late, step));
}

/* One rounding: M is the ratio, C half a step from the zero point. */
static void find_exact(struct quantize *p, const struct ir_value *ratio,
                       const struct steps *s, struct numbers *out) {
  out->m = DN_ARRAY(p->env->scratch, int64_t, out->count);
  out->all = DN_ARRAY(p->env->scratch, struct interval, out->count);
  int64_t c = (int64_t)ldexp(s->zero + 0.5, s->shift - FRACTION);
  for (int64_t i = 0; i < out->count; i++) {
    out->m[i] = (int64_t)rint(ldexp(ir_const_float(ratio, i), s->shift));
    out->all[i] = (struct interval){c, c};
  }
}

/* Two roundings, as TFLite has them. */
static struct ir_value *rounded_twice(struct quantize *p, struct ir_value *x,
                                      const struct ir_value *ratio, int64_t n,
                                      double zero) {
  assert((n == 1 || n == ir_type_count(ratio->type)) &&
         "a factor for all or for each column");
  int64_t *m = DN_ARRAY(p->env->scratch, int64_t, 3 * n);
  bool left = false;
  for (int64_t i = 0; i < n; i++) {
    struct ir_factor f = ir_factor(ir_const_float(ratio, i));
    m[i] = f.m;
    m[n + i] = dn_max(f.shift, 0);
    m[2 * n + i] = dn_max(-f.shift, 0);
    left = left || f.shift > 0;
  }
  if (left)
    x = quant_op2(p, IR_SHL, x, ints_like(p, ratio, n == 1, m + n));
  x = quant_op2(p, IR_HMUL, x, ints_like(p, ratio, n == 1, m));
  x = quant_op2(p, IR_RSHR, x, ints_like(p, ratio, n == 1, m + 2 * n));
  return quant_op2(p, IR_ADD, x, quant_number(p, IR_I32, zero));
}

/* What the floats make, or NULL. */
static struct ir_value *as_floats(struct quantize *p, struct ir_value *sum,
                                  const struct ir_value *ratio,
                                  const struct steps *s, struct numbers *by) {
  if (p->env->target->vector_bytes || !find_numbers(p, ratio, *s, by))
    return NULL;
  if (!has_empty(by->all, by->count))
    return rescaled(p, sum, ratio, by, by->all, s->shift);
  if (!p->env->target->soft_f32)
    return NULL;
  struct ir_value *y = rescaled(p, sum, ratio, by, by->of[0], s->shift);
  return even_one(p, y, rescaled(p, sum, ratio, by, by->of[1], s->shift),
                  s->zero);
}

/* ---- Sums of two 8-bit tensors ----
 *
 * narrow(c + a * ra + b * rb, zero), in whatever order the floats are added, is
 * (ma * a + mb * b + C) >> s where that is so for all 65,536 pairs. */

enum { NUMBERS = 256, MOST_DEPTH = 8, PAIR_BITS = 30, ODD_STRIDE = 40503 };

struct pair {
  struct ir_value *leaf[2];
  double by[3];     /* ra, rb, c */
  int64_t least[2]; /* of the leaves' types */
  int64_t m[2], plus;
  int shift;
};

/* Adds `by` times v to what is known of the sum; false: it is no such. */
static bool find_terms(struct pair *s, const struct ir_value *v, double by,
                       int depth) {
  double c, lo, hi;
  const struct ir_op *op = v->def;
  if (v->type->dtype == IR_F32 && v->data && quant_uniform(v, 0, &c)) {
    s->by[2] += c * by;
    return true;
  }
  if (!op || v->type->dtype != IR_F32 || depth > MOST_DEPTH)
    return false;
  if (op->code == IR_CAST) {
    struct ir_value *x = ir_arg(op, 0);
    int i = s->leaf[0] && s->leaf[0] != x;
    if ((x->type->dtype != IR_U8 && x->type->dtype != IR_I8) || x->data ||
        (s->leaf[i] && s->leaf[i] != x))
      return false;
    ir_dtype_range(x->type->dtype, &lo, &hi);
    s->least[i] = (int64_t)lo;
    s->leaf[i] = x;
    s->by[i] += by;
    return true;
  }
  if (op->code == IR_FMA && ir_arg(op, 1)->data &&
      quant_uniform(ir_arg(op, 1), 0, &c))
    return find_terms(s, ir_arg(op, 0), by * c, depth + 1) &&
           find_terms(s, ir_arg(op, 2), by, depth + 1);
  if (op->code == IR_ADD || op->code == IR_SUB)
    return find_terms(s, ir_arg(op, 0), by, depth + 1) &&
           find_terms(s, ir_arg(op, 1), op->code == IR_SUB ? -by : by,
                      depth + 1);
  for (unsigned i = 0; i < 2 && op->code == IR_MUL; i++)
    if (ir_arg(op, i)->data && quant_uniform(ir_arg(op, i), 0, &c))
      return find_terms(s, ir_arg(op, 1 - i), by * c, depth + 1);
  return false;
}

/* What the floats make of one number of the first leaf and each of the other. */
static void sums_of(const struct pair *s, const struct ir_value *v, float first,
                    float y[NUMBERS]) {
  const struct ir_op *op = v->def;
  double c = 0;
  bool casts = op && op->code == IR_CAST, sums = op && !casts;
  assert((v->data || op) && s->leaf[1] &&
         "find_terms() has been through all of it");
  float other[NUMBERS], plus[NUMBERS];
  if (v->data)
    quant_uniform(v, 0, &c);
  for (int i = 0; i < NUMBERS && !sums; i++)
    y[i] = v->data                       ? (float)c
           : ir_arg(op, 0) == s->leaf[0] ? first
                                         : (float)(s->least[1] + i);
  if (!sums)
    return;
  sums_of(s, ir_arg(op, 0), first, y);
  sums_of(s, ir_arg(op, 1), first, other);
  if (op->code == IR_FMA)
    sums_of(s, ir_arg(op, 2), first, plus);
  for (int i = 0; i < NUMBERS; i++)
    y[i] = op->code == IR_FMA   ? fmaf(y[i], other[i], plus[i])
           : op->code == IR_MUL ? y[i] * other[i]
           : op->code == IR_SUB ? y[i] - other[i]
                                : y[i] + other[i];
}

/* The result of every pair; false: one is NaN. */
static bool find_results(const struct pair *s, const struct ir_value *v,
                         const struct steps *to, int16_t *result) {
  assert(to->least >= INT16_MIN && to->most <= INT16_MAX &&
         "results have 8 bits");
  float y[NUMBERS];
  for (int64_t i = 0; i < NUMBERS; i++) {
    sums_of(s, v, (float)(s->least[0] + i), y);
    for (int64_t j = 0; j < NUMBERS; j++) {
      double n = rint((double)y[j]) + to->zero;
      if (isnan(n))
        return false;
      result[i * NUMBERS + j] = (int16_t)fmin(to->most, fmax(to->least, n));
    }
  }
  return true;
}

/* C, for which the integers give `result` of all pairs. In an order that soon
 * finds two which want different ones. */
static bool find_plus(struct pair *s, const struct steps *to,
                      const int16_t *result) {
  struct interval own = {INT32_MIN, INT32_MAX};
  for (int64_t k = 0; k < NUMBERS * NUMBERS && !is_empty(own); k++) {
    int64_t i = k * ODD_STRIDE % (NUMBERS * NUMBERS);
    int64_t n = result[i], unit = INT64_C(1) << s->shift;
    int64_t sum = s->m[0] * (s->least[0] + i / NUMBERS) +
                  s->m[1] * (s->least[1] + i % NUMBERS);
    if ((double)n > to->least)
      own.least = dn_max(own.least, n * unit - sum);
    if ((double)n < to->most)
      own.most = dn_min(own.most, (n + 1) * unit - 1 - sum);
  }
  s->plus = is_empty(own) ? 0 : roundest(own);
  return !is_empty(own);
}

/* The shortest integers, near the ratios. */
static bool find_pair(struct pair *s, const struct steps *to,
                      const int16_t *result) {
  double most = (fabs(s->by[0]) + fabs(s->by[1])) * NUMBERS +
                fabs(s->by[2] + to->zero) + NUMBERS;
  for (s->shift = 0; ldexp(most, s->shift) < ldexp(1, PAIR_BITS); s->shift++)
    for (int near = 0; near < 9; near++) {
      for (int i = 0; i < 2; i++)
        s->m[i] = (int64_t)rint(ldexp(s->by[i], s->shift)) +
                  (near / (i ? 3 : 1) + 1) % 3 - 1;
      if (find_plus(s, to, result))
        return true;
    }
  return false;
}

static struct ir_value *sum_in_integers(struct quantize *p,
                                        const struct ir_value *v,
                                        const struct steps *to) {
  struct pair s = {0};
  if (p->env->target->vector_bytes || !find_terms(&s, v, 1, 0) || !s.leaf[1])
    return NULL;
  if (!p->pairs)
    p->pairs = DN_ARRAY(p->env->scratch, int16_t, NUMBERS * NUMBERS);
  if (!find_results(&s, v, to, p->pairs) || !find_pair(&s, to, p->pairs))
    return NULL;
  struct ir_value *y = quant_number(p, IR_I32, (double)s.plus);
  for (int i = 0; i < 2; i++) {
    struct ir_value *x = quant_cast(p, s.leaf[i], IR_I32);
    x = quant_op2(p, IR_MUL, x, quant_number(p, IR_I32, (double)s.m[i]));
    y = quant_op2(p, IR_ADD, x, y);
  }
  y = quant_op2(p, IR_SHR, y, quant_number(p, IR_I32, s.shift));
  return y->type == ir_type_as(p->m->ctx, v->type, IR_I32) ? y : NULL;
}

static struct ir_value *clamped(struct quantize *p, const struct steps *s,
                                struct ir_value *y, enum ir_dtype type) {
  y = quant_emit(p, IR_CLAMP, IR_ARGS(y),
                 IR_ATTRS(ir_float("lo", s->least), ir_float("hi", s->most)));
  return quant_cast(p, y, type);
}

struct ir_value *quant_integer(struct quantize *p, const struct ir_value *v,
                               const struct ir_value *zero,
                               enum ir_dtype type) {
  struct steps s = {.shift = MAX_SHIFT};
  const struct ir_value *ratio = NULL;
  struct ir_value *sum = find_sum(v, &ratio), *y;
  struct numbers by = {.count = 1};
  double one;
  if (ir_dtypes[type].bits != 8 || !quant_uniform(zero, 0, &s.zero))
    return NULL;
  ir_dtype_range(type, &s.least, &s.most);
  if (!sum) {
    y = sum_in_integers(p, v, &s);
    return y ? clamped(p, &s, y, type) : NULL;
  }
  if (!quant_uniform(ratio, 1, &one))
    by.count = ir_type_count(ratio->type);
  s.shift -= fabs(s.zero) > 127;
  double least, most;
  bool positive = ir_const_range(ratio, &least, &most) && least > 0;
  while (s.shift > 32 && ldexp(most, s.shift) > INT32_MAX)
    s.shift--;
  bool fits = ldexp(most, s.shift) <= INT32_MAX;
  if (by.count > MAX_COLUMNS)
    return NULL;
  enum pass_requant how = p->env->opts->requant;
  if (how == PASS_REQUANT_TFLITE && positive && most < 0x1p30) {
    y = rounded_twice(p, sum, ratio, by.count, s.zero);
  } else if (how == PASS_REQUANT_EXACT && positive && fits) {
    find_exact(p, ratio, &s, &by);
    y = rescaled(p, sum, ratio, &by, by.all, s.shift);
  } else {
    how = PASS_REQUANT_OWN;
    y = as_floats(p, sum, ratio, &s, &by);
  }
  if (!y)
    return NULL;
  p->env->rounds |= how != PASS_REQUANT_OWN;
  return clamped(p, &s, y, type);
}
