/* onnx_op_ngram.c - TfIdfVectorizer: how often each n-gram of a pool
 * occurs in a row, with gaps of up to max_skip_count between its elements. */
#include <string.h>

#include "frontend/onnx_string.h"

#define MAX_MATCHES (1 << 28) /* elements times n-grams of one size */

/* How often each of `count` n-grams, pool[count][n], occurs in x [B,L] with a
 * distance between elements: [B,count]. */
static struct ir_value *occurrences(struct onnx_call *c, struct ir_value *x,
                                    const int64_t *pool, int64_t count,
                                    int64_t n, int64_t distance) {
  int64_t last = fe_dims(x)[1] - (n - 1) * distance;
  struct ir_value *all = NULL;
  if (last < 1)
    return NULL;
  for (int64_t k = 0; k < n; k++) {
    int64_t *v = DN_ARRAY(c->im->ctx->arena, int64_t, count);
    for (int64_t g = 0; g < count; g++)
      v[g] = pool[g * n + k];
    struct ir_value *at = fe_slice1(c->b, x, 1, k * distance, last, 1);
    struct ir_value *same = fe_op2(c->b, IR_EQ, fe_unsqueeze(c->b, at, 0, 1),
                                   fe_ints(c->b, IR_I64, 1, &count, v));
    all = all ? fe_op2(c->b, IR_AND, all, same) : same;
  }
  const bool axes[IR_MAX_RANK] = {[1] = true};
  all = fe_cast(c->b, all, IR_F32);
  return fe_squeeze(c->b, fe_reduce(c->b, IR_REDUCE_SUM, all, axes), axes);
}

struct grams {
  struct ox_ints counts, indexes, pool;
  int64_t min, max, skips, columns;
};

/* A pool of strings as the numbers of their first ones in it. */
static void read_words(struct onnx_call *c, struct grams *g) {
  const struct onnx_attr *a = ox_attr(c, "pool_strings");
  size_t n = a ? a->strings.n : 0;
  int64_t *v = DN_ARRAY(c->im->ctx->arena, int64_t, n);
  struct dn_map met = {0};
  for (size_t i = 0; i < n; i++) {
    const struct wire_span *s = &a->strings.v[i];
    const char *word =
        dn_strndup(c->im->ctx->arena, (const char *)s->data, s->size);
    int64_t *first = dn_map_get(&met, dn_intern(c->im->ctx, word));
    if (!first)
      dn_map_put(c->im->ctx->arena, &met, dn_intern(c->im->ctx, word),
                 first = &v[i]);
    v[i] = first - v;
  }
  g->pool = (struct ox_ints){n > 0, (int64_t)n, v};
}

static bool read_grams(struct onnx_call *c, bool strings, struct grams *g) {
  *g = (struct grams){.counts = ox_ints(c, "ngram_counts"),
                      .indexes = ox_ints(c, "ngram_indexes"),
                      .pool = ox_ints(c, "pool_int64s"),
                      .min = ox_int(c, "min_gram_length", 1),
                      .max = ox_int(c, "max_gram_length", 1),
                      .skips = ox_int(c, "max_skip_count", 0)};
  if (strings)
    read_words(c, g);
  if (!g->pool.n)
    return ox_fail(c, ATTR, "there are no n-grams of the input's type");
  if (g->min < 1 || g->max < g->min || g->max > g->counts.n || g->skips < 0 ||
      g->skips > 4096)
    return ox_fail(c, ATTR, "n-grams of %lld to %lld elements",
                   (long long)g->min, (long long)g->max);
  for (int64_t i = 0; i < g->counts.n; i++) {
    int64_t end = i + 1 < g->counts.n ? g->counts.v[i + 1] : g->pool.n;
    if (g->counts.v[i] < 0 || end < g->counts.v[i] || end > g->pool.n)
      return ox_fail(c, ATTR, "ngram_counts do not fit the pool");
  }
  for (int64_t i = 0; i < g->indexes.n; i++) {
    if (g->indexes.v[i] < 0 || g->indexes.v[i] > 1 << 24)
      return ox_fail(c, ATTR, "a column %lld", (long long)g->indexes.v[i]);
    g->columns = dn_max(g->columns, g->indexes.v[i] + 1);
  }
  return true;
}

/* Counts of all n-grams, in their columns: [B,columns]. */
static struct ir_value *count_grams(struct onnx_call *c, const struct grams *g,
                                    struct ir_value *x) {
  struct ir_value **part =
      DN_ARRAY(c->im->ctx->arena, struct ir_value *, g->max + 1);
  int64_t *from = DN_ARRAY(c->im->ctx->arena, int64_t, g->columns);
  int64_t b = fe_dims(x)[0], id = 0, at = 1;
  size_t parts = 1;
  part[0] = fe_expand(c->b, fe_scalar(c->b, IR_F32, 0), 2, (int64_t[]){b, 1});
  for (int64_t n = 1; n <= g->max; n++) {
    int64_t start = g->counts.v[n - 1], skips = n == 1 ? 0 : g->skips;
    int64_t end = n < g->counts.n ? g->counts.v[n] : g->pool.n;
    int64_t count = (end - start) / n;
    struct ir_value *sum = NULL;
    if (id + count > g->indexes.n)
      return ox_null(c, ATTR, "fewer columns than n-grams");
    if (count > MAX_MATCHES / (fe_dims(x)[1] * b + 1))
      return ox_null(c, LIMIT, "over %d comparisons", MAX_MATCHES);
    for (int64_t s = 0; s <= skips && n >= g->min && count; s++) {
      struct ir_value *v =
          occurrences(c, x, g->pool.v + start, count, n, s + 1);
      sum = sum && v ? fe_add(c->b, sum, v) : sum ? sum : v;
    }
    for (int64_t i = 0; i < count && sum; i++) {
      int64_t *column = &from[g->indexes.v[id + i]];
      if (*column)
        return ox_null(c, UNSUPPORTED_ATTR, "two n-grams of one column");
      *column = at + i;
    }
    if (sum) {
      part[parts++] = sum;
      at += count;
    }
    id += count;
  }
  struct ir_value *all = fe_concat(c->b, part, parts, 1);
  return fe_gather(c->b, all, fe_ints(c->b, IR_I64, 1, &g->columns, from), 1);
}

bool onnx_tfidf(struct onnx_call *c) {
  bool strings = ox_is_string(c->in[0]);
  struct ir_value *pool = strings ? ox_strings(c, "pool_strings") : NULL;
  struct ir_value *x = pool ? ox_find(c, c->in[0], pool) : c->in[0];
  const char *mode = ox_str(c, "mode", "TF");
  const struct onnx_attr *w = ox_attr(c, "weights");
  bool one = x && fe_rank(x) == 1, idf = !strcmp(mode, "IDF");
  struct grams g;
  if (!x || (strings && !pool))
    return x && ox_fail(c, ATTR, "there are no n-grams of the input's type");
  if (fe_rank(x) > 2 || !fe_rank(x) || !ir_is_int(fe_dtype(x)))
    return ox_fail(c, TYPE, "the input must be rows of integers");
  if (!idf && strcmp(mode, "TF") != 0 && strcmp(mode, "TFIDF") != 0)
    return ox_fail(c, ATTR, "unknown mode '%s'", ox_text(c, mode));
  if (!read_grams(c, strings, &g))
    return false;
  x = fe_cast(c->b, one ? fe_unsqueeze(c->b, x, 1, 0) : x, IR_I64);
  if (strings) /* of as few as may be: -1 is no word of the pool */
    x = fe_pad(c->b, x, (int64_t[]){0, 0, 0, (g.max - 1) * (g.skips + 1)}, NULL,
               -1);
  struct ir_value *y = x ? count_grams(c, &g, x) : NULL;
  if (idf && y)
    y = fe_op2(c->b, IR_MIN, y, fe_number(c->b, y, 1));
  if (w && strcmp(mode, "TF") != 0) {
    if ((int64_t)w->floats.n != g.columns)
      return ox_fail(c, ATTR, "%zu weights of %lld columns", w->floats.n,
                     (long long)g.columns);
    y = fe_mul(c->b, y, fe_floats(c->b, IR_F32, 1, &g.columns, w->floats.v));
  }
  return ox_return(c, one ? fe_reshape(c->b, y, 1, &g.columns) : y);
}
