/* onnx_op_ml.c - ai.onnx.ml: what its classifiers share, linear models, support
 * vectors, and the preparation of features. */
#include "frontend/onnx_ml.h"
#include "frontend/onnx_string.h"
#include "frontend/region.h"

#include <math.h>
#include <string.h>

#define MAX_COUPLINGS 100 /* libsvm's limit of iterations */
#define MAX_COUPLED 256   /* classes: each is a step of an iteration */

const char *ml_name(struct onnx_call *c, const char *a, const char *b) {
  return dn_printf(c->im->ctx->arena, "%s_%s", a, b);
}

bool ml_floats(struct onnx_call *c, const char *name, int64_t *n,
               const double **v) {
  const struct onnx_attr *a = ox_attr(c, name);
  *n = 0;
  *v = NULL;
  if (!a || a->type == ONNX_FLOATS)
    a = a && a->floats.n ? a : ox_attr(c, ml_name(c, name, "as_tensor"));
  if (!a || a->type == ONNX_FLOATS) {
    *n = a ? (int64_t)a->floats.n : 0;
    *v = a ? a->floats.v : NULL;
    return true;
  }
  struct ir_value *t = ox_const_new(c->im, a->t, NULL, c->b->loc, NULL);
  if (!t || ox_is_string(t))
    return t && ox_fail(c, TYPE, "'%s' is of strings", name);
  *n = ir_type_count(t->type);
  double *list = DN_ARRAY(c->im->ctx->arena, double, *n);
  for (int64_t i = 0; i < *n; i++)
    list[i] = ir_const_float(t, i);
  *v = list;
  return true;
}

struct ir_value *ml_rows(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  if (fe_rank(x) == 2)
    return x;
  if (fe_rank(x) != 1)
    return ox_null(c, TYPE, "the input is no matrix of features");
  return fe_unsqueeze(c->b, x, 1, 0);
}

/* A number of an attribute, exactly. */
static struct ir_value *whole_number(struct onnx_call *c, enum ir_dtype dtype,
                                     const char *name, int64_t otherwise) {
  return fe_ints(c->b, dtype, 0, NULL, &(int64_t){ox_int(c, name, otherwise)});
}

/* Numbers of an attribute as a vector beside x, or a scalar: there are 1 or n.
 * NULL, and no diagnostic, for none. */
static struct ir_value *vector(struct onnx_call *c, const struct ir_value *x,
                               const char *name, int64_t size) {
  int64_t n;
  const double *v;
  if (!x || !ml_floats(c, name, &n, &v) || !n)
    return NULL;
  if (n != 1 && n != size)
    return ox_null(c, ATTR, "'%s' has %lld numbers, not %lld", name,
                   (long long)n, (long long)size);
  return fe_floats(c->b, fe_dtype(x), n > 1, &n, v);
}

struct ir_value *ml_add_floats(struct onnx_call *c, struct ir_value *y,
                               const char *name) {
  struct ir_value *v = vector(c, y, name, y ? fe_dims(y)[fe_rank(y) - 1] : 0);
  return v ? fe_add(c->b, y, v) : y;
}

struct ir_value *ml_post(struct onnx_call *c, struct ir_value *y,
                         const char *post) {
  return fe_call(c->b, FE_ML_POST, IR_ARGS(y), IR_ATTRS(ir_str("post", post)));
}

/* ---- Classes ---- */

static struct ox_ints labels(struct onnx_call *c) {
  struct ox_ints l = ox_ints(c, "classlabels_int64s");
  return l.given ? l : ox_ints(c, "classlabels_ints");
}

int64_t ml_classes(struct onnx_call *c) {
  const struct onnx_attr *s = ox_attr(c, "classlabels_strings");
  int64_t n = labels(c).n;
  if (s && s->strings.n == 1)
    return ox_fail(c, UNSUPPORTED_TYPE, "one label, a string") - 1;
  n = s && s->strings.n ? (int64_t)s->strings.n : n;
  return n ? n : ox_fail(c, ATTR, "no class labels") - 1;
}

struct ir_value *ml_label(struct onnx_call *c, struct ir_value *at) {
  struct ox_ints l = labels(c);
  struct ir_value *text = ox_strings(c, "classlabels_strings");
  if (text)
    return fe_gather(c->b, text, at, 0);
  bool one = l.n == 1; /* the class, or not: 1 or 0 */
  static const int64_t binary[] = {0, 1};
  struct ir_value *all =
      fe_ints(c->b, IR_I64, 1, &(int64_t){one ? 2 : l.n}, one ? binary : l.v);
  return fe_gather(c->b, all, at, 0);
}

/* The class with the largest of scores [n, classes], the first of them. */
static struct ir_value *largest(struct onnx_call *c, struct ir_value *scores) {
  struct ir_value *at = fe_emit(c->b, IR_ARGMAX, IR_ARGS(scores),
                                IR_ATTRS(ir_ints("axes", (int64_t[]){1}, 1)));
  return fe_squeeze(c->b, at, (const bool[IR_MAX_RANK]){[1] = true});
}

/* [n, 1] over the border: class 1, else 0. */
static struct ir_value *over(struct onnx_call *c, struct ir_value *s,
                             double border) {
  struct ir_value *yes = fe_op2(c->b, IR_LT, fe_number(c->b, s, border), s);
  return fe_cast(c->b,
                 fe_squeeze(c->b, yes, (const bool[IR_MAX_RANK]){[1] = true}),
                 IR_I32);
}

/* Scores of two classes from that of the second one, [n, 1]: 1 - s or -s is the
 * other's. */
static struct ir_value *both(struct onnx_call *c, struct ir_value *s,
                             bool complement) {
  struct ir_value *other = complement ? fe_sub(c->b, fe_number(c->b, s, 1), s)
                                      : fe_op1(c->b, IR_NEG, s);
  return fe_concat(c->b, IR_ARGS(other, s), 1);
}

bool ml_classify(struct onnx_call *c, struct ir_value *y, bool positive,
                 bool complement) {
  const char *post = ox_str(c, "post_transform", "NONE");
  int64_t classes = ml_classes(c);
  y = fe_cast(c->b, y, IR_F32);
  if (!y || classes < 0)
    return false;
  int64_t n = fe_dims(y)[1];
  if (n > 1 && n != classes)
    return ox_fail(c, ATTR, "%lld labels for %lld classes", (long long)classes,
                   (long long)n);
  bool plain = !strcmp(post, "NONE") || !strcmp(post, "PROBIT");
  double border = positive && classes == 2 ? 0.5 : 0;
  struct ir_value *at = n > 1 ? largest(c, y) : over(c, y, border);
  if (n == 1 && classes == 2)
    y = both(c, y, plain && (positive || complement));
  y = ml_post(c, y, post);
  c->out[0] = ml_label(c, at);
  if (c->nout > 1)
    c->out[1] = y;
  return c->out[0] && y;
}

/* ---- Linear models ---- */

/* x by the transposed rows of an attribute, [rows, features]. */
static struct ir_value *by_rows(struct onnx_call *c, struct ir_value *x,
                                const char *name, int64_t rows) {
  int64_t n;
  const double *v;
  if (!x || !ml_floats(c, name, &n, &v))
    return NULL;
  int64_t features = fe_dims(x)[1];
  if (rows < 1 || !n || n / rows != features || n % rows)
    return ox_null(c, ATTR, "'%s' has %lld numbers for %lld rows of %lld", name,
                   (long long)n, (long long)rows, (long long)features);
  struct ir_value *w =
      fe_floats(c->b, fe_dtype(x), 2, (int64_t[]){rows, features}, v);
  return fe_matmul(c->b, x, fe_transpose(c->b, w, (int64_t[]){1, 0}));
}

static struct ir_value *float_rows(struct onnx_call *c) {
  return fe_cast(c->b, ml_rows(c), IR_F32);
}

bool onnx_linear_regressor(struct onnx_call *c) {
  struct ir_value *y =
      by_rows(c, float_rows(c), "coefficients", ox_int(c, "targets", 1));
  y = ml_add_floats(c, y, "intercepts");
  return ox_return(c, ml_post(c, y, ox_str(c, "post_transform", "NONE")));
}

bool onnx_linear_classifier(struct onnx_call *c) {
  struct ir_value *x = float_rows(c);
  int64_t n, rows;
  const double *v;
  if (!x || !ml_floats(c, "coefficients", &n, &v))
    return false;
  rows = fe_dims(x)[1] ? n / fe_dims(x)[1] : 0;
  struct ir_value *y =
      ml_add_floats(c, by_rows(c, x, "coefficients", rows), "intercepts");
  return ml_classify(c, y, false, true);
}

/* ---- Support vectors ---- */

/* The kernel of rows of x with `n` support vectors, [rows, n]. */
static struct ir_value *svm_kernel(struct onnx_call *c, struct ir_value *x,
                                   int64_t n) {
  int64_t np, nv;
  const double *p, *v;
  if (!x || !ml_floats(c, "kernel_params", &np, &p) ||
      !ml_floats(c, "support_vectors", &nv, &v))
    return NULL;
  int64_t features = fe_dims(x)[1];
  if (n < 1 || nv / n != features || nv % n || (np && np < 3))
    return ox_null(c, ATTR, "%lld numbers for %lld vectors of %lld",
                   (long long)nv, (long long)n, (long long)features);
  struct ir_value *sv = fe_floats(c->b, IR_F32, 2, (int64_t[]){n, features}, v);
  return fe_call(c->b, FE_SVM_KERNEL, IR_ARGS(x, sv),
                 IR_ATTRS(ir_str("kernel", ox_str(c, "kernel_type", "LINEAR")),
                          ir_float("gamma", np ? p[0] : 0),
                          ir_float("coef0", np ? p[1] : 0),
                          ir_float("degree", np ? p[2] : 0)));
}

bool onnx_svm_regressor(struct onnx_call *c) {
  int64_t n = ox_int(c, "n_supports", 0), nc, nr;
  const double *coefs, *rho;
  bool one_class;
  struct ir_value *x = float_rows(c);
  if (!ml_floats(c, "coefficients", &nc, &coefs) ||
      !ml_floats(c, "rho", &nr, &rho) ||
      !ox_flag(c, "one_class", false, &one_class))
    return false;
  if (nr != 1)
    return ox_fail(c, ATTR, "'rho' has %lld numbers, not 1", (long long)nr);
  struct ir_value *y =
      by_rows(c, n > 0 ? svm_kernel(c, x, n) : x, "coefficients", 1);
  y = fe_offset(c->b, y, rho[0]);
  if (one_class && y)
    y = fe_select(c->b, fe_op2(c->b, IR_LT, fe_number(c->b, y, 0), y),
                  fe_number(c->b, y, 1), fe_number(c->b, y, -1));
  return ox_return(c, ml_post(c, y, ox_str(c, "post_transform", "NONE")));
}

/* A vote between each two classes i < j: decisions [rows, pairs] are sums of
 * kernels by coefficients, which lie as [classes - 1, vectors]; over 0 votes
 * for i. Matrices from kernels to decisions and from decisions to votes. */
struct pairs {
  int64_t classes, vectors, n;
  double *decide, *vote; /* [vectors, n], [n, classes] */
};

static void fill_pairs(const struct pairs *p, const int64_t *size,
                       const double *coefs) {
  int64_t pair = 0, start_i = 0;
  for (int64_t i = 0; i < p->classes; start_i += size[i++]) {
    int64_t start_j = start_i + size[i];
    for (int64_t j = i + 1; j < p->classes; start_j += size[j++], pair++) {
      for (int64_t v = start_i; v < start_i + size[i]; v++)
        p->decide[v * p->n + pair] = coefs[(j - 1) * p->vectors + v];
      for (int64_t v = start_j; v < start_j + size[j]; v++)
        p->decide[v * p->n + pair] = coefs[i * p->vectors + v];
      p->vote[pair * p->classes + i] = 1;
      p->vote[pair * p->classes + j] = -1;
    }
  }
}

static bool size_pairs(struct onnx_call *c, struct pairs *p, int64_t ncoefs) {
  struct ox_ints size = ox_ints(c, "vectors_per_class");
  p->n = p->classes * (p->classes - 1) / 2;
  for (int64_t i = 0; i < size.n; i++)
    if (size.v[i] < 0 || (p->vectors += size.v[i]) > ncoefs)
      return ox_fail(c, ATTR, "more vectors than coefficients");
  if (size.n != p->classes || p->classes < 2 ||
      ncoefs != (p->classes - 1) * p->vectors)
    return ox_fail(c, ATTR, "%lld coefficients for %lld classes",
                   (long long)ncoefs, (long long)p->classes);
  p->decide = DN_ARRAY(c->im->ctx->arena, double, p->vectors * p->n);
  p->vote = DN_ARRAY(c->im->ctx->arena, double, p->classes * p->n);
  return true;
}

struct coupling {
  struct onnx_call *c;
  struct ir_value *q;
  int64_t classes;
};

/* One iteration; rows that have converged stay. */
static bool couple_turn(void *data, struct ir_value *const *p,
                        struct ir_value **out) {
  const struct coupling *t = data;
  struct ir_value *v[4] = {0};
  if (!fe_decompose(t->c->b, FE_COUPLE, IR_ARGS(t->q, p[0]), NULL, 0, v, 3))
    return false;
  struct ir_value *step[] = {t->q, p[0], v[0], v[1]};
  for (int64_t k = 0; k < t->classes; k++) {
    struct ir_value *next[3] = {0};
    fe_decompose(t->c->b, FE_COUPLE_ONE, step, 4, IR_ATTRS(ir_int("t", k)),
                 next, 3);
    memcpy(step + 1, next, sizeof next);
  }
  *out = fe_select(t->c->b, v[2], step[1], p[0]);
  return *out != NULL;
}

/* Probabilities of classes [rows, classes] from those of pairs: the iteration
 * of Wu, Lin and Weng 2004 as libsvm has it, in which rows stop by themselves.
 */
static struct ir_value *couple(struct onnx_call *c, struct ir_value *pairs,
                               int64_t k) {
  struct fe_build *b = c->b;
  int64_t n = k * (k - 1) / 2, rows = pairs ? fe_dims(pairs)[0] : 0, at = 0;
  double *sign = DN_ARRAY(c->im->ctx->arena, double, n *k *k);
  double *base = DN_ARRAY(c->im->ctx->arena, double, k *k);
  for (int64_t i = 0; i < k; i++)
    for (int64_t j = i + 1; j < k; j++, at++) {
      sign[at * k * k + i * k + j] = 1;
      sign[at * k * k + j * k + i] = -1;
      base[j * k + i] = 1;
    }
  struct ir_value *r =
      fe_matmul(b, pairs, fe_floats(b, IR_F32, 2, (int64_t[]){n, k * k}, sign));
  r = fe_add(b, r, fe_floats(b, IR_F32, 1, (int64_t[]){k * k}, base));
  struct ir_value *q =
      fe_call(b, FE_COUPLING,
              IR_ARGS(fe_reshape(b, r, 3, (int64_t[]){rows, k, k})), NULL, 0);
  struct ir_value *p = fe_expand(b, fe_scalar(b, IR_F32, 1 / (double)k), 2,
                                 (int64_t[]){rows, k});
  struct coupling turn = {c, q, k};
  const int64_t turns = MAX_COUPLINGS;
  struct ir_value *out = NULL;
  if (!q || !p ||
      !fe_loop(b, IR_SCAN, IR_ARGS(p, fe_iota(b, 1, 0, turns, IR_I32)), 1,
               couple_turn, &turn, 1, &turns, &out))
    return NULL;
  return out;
}

/* Decisions [rows, pairs] as probabilities of the first of each pair. */
static struct ir_value *pair_probabilities(struct onnx_call *c,
                                           struct ir_value *d) {
  int64_t na, nb, pairs = d ? fe_dims(d)[1] : 0;
  const double *a, *b;
  if (!d || !ml_floats(c, "prob_a", &na, &a) ||
      !ml_floats(c, "prob_b", &nb, &b))
    return NULL;
  if (na != pairs || nb != pairs)
    return ox_null(c, ATTR, "%lld and %lld numbers for %lld pairs",
                   (long long)na, (long long)nb, (long long)pairs);
  d = fe_mul(c->b, d, fe_floats(c->b, IR_F32, 1, &pairs, a));
  d = fe_add(c->b, d, fe_floats(c->b, IR_F32, 1, &pairs, b));
  d = fe_op1(c->b, IR_SIGMOID, fe_op1(c->b, IR_NEG, d));
  return fe_emit(c->b, IR_CLAMP, IR_ARGS(d),
                 IR_ATTRS(ir_float("lo", 1e-7), ir_float("hi", 1 - 1e-7)));
}

bool onnx_svm_classifier(struct onnx_call *c) {
  struct pairs p = {.classes = ml_classes(c)};
  int64_t ncoefs, nrho, nproba;
  const double *coefs, *rho, *proba;
  struct ir_value *x = float_rows(c);
  if (!x || p.classes < 0 || !ml_floats(c, "coefficients", &ncoefs, &coefs) ||
      !ml_floats(c, "rho", &nrho, &rho) ||
      !ml_floats(c, "prob_a", &nproba, &proba))
    return false;
  if (!ox_ints(c, "vectors_per_class").n) {
    struct ir_value *y = by_rows(c, x, "coefficients", p.classes);
    y = nrho ? fe_offset(c->b, y, rho[0]) : y;
    return ml_classify(c, y, false, false);
  }
  if (nproba && p.classes > MAX_COUPLED)
    return ox_fail(c, LIMIT, "probabilities of %lld classes, over %d",
                   (long long)p.classes, MAX_COUPLED);
  if (!size_pairs(c, &p, ncoefs))
    return false;
  fill_pairs(&p, ox_ints(c, "vectors_per_class").v, coefs);
  struct ir_value *d = fe_matmul(
      c->b, svm_kernel(c, x, p.vectors),
      fe_floats(c->b, IR_F32, 2, (int64_t[]){p.vectors, p.n}, p.decide));
  d = ml_add_floats(c, d, "rho");
  if (!d)
    return false;
  /* +1/2 for the first of a pair, -1/2 for the other: the order of votes. */
  struct ir_value *won =
      fe_cast(c->b, fe_op2(c->b, IR_LT, fe_number(c->b, d, 0), d), IR_F32);
  struct ir_value *votes = fe_matmul(
      c->b, fe_offset(c->b, won, -0.5),
      fe_floats(c->b, IR_F32, 2, (int64_t[]){p.n, p.classes}, p.vote));
  c->out[0] = ml_label(c, largest(c, votes));
  const char *post = ox_str(c, "post_transform", "NONE");
  struct ir_value *scores = nproba
                                ? couple(c, pair_probabilities(c, d), p.classes)
                            : p.n == 1 ? both(c, d, false)
                                       : d;
  if (c->nout > 1)
    c->out[1] = ml_post(c, scores, post);
  return c->out[0] != NULL;
}

/* ---- Preparation of features ---- */

/* (x - offset) * scale, by columns. */
bool onnx_scaler(struct onnx_call *c) {
  struct ir_value *x = fe_cast(c->b, c->in[0], IR_F32);
  int64_t n = x && fe_rank(x) ? fe_dims(x)[fe_rank(x) - 1] : 1;
  struct ir_value *offset = vector(c, x, "offset", n);
  struct ir_value *scale = vector(c, x, "scale", n);
  x = offset ? fe_sub(c->b, x, offset) : x;
  return ox_return(c, scale ? fe_mul(c->b, x, scale) : x);
}

/* Inputs as columns of one matrix, each cut or filled up with 0. */
bool onnx_feature_vectorizer(struct onnx_call *c) {
  struct ox_ints sizes = ox_ints(c, "inputdimensions");
  struct ir_value **v = DN_ARRAY(c->im->ctx->arena, struct ir_value *, c->nin);
  if (sizes.n != (int64_t)c->nin)
    return ox_fail(c, ATTR, "'inputdimensions' has %lld numbers",
                   (long long)sizes.n);
  for (size_t i = 0; i < c->nin; i++) {
    struct ir_value *x = c->in[i];
    if (!x || fe_rank(x) < 1 || fe_rank(x) > 2 || sizes.v[i] < 0)
      return ox_fail(c, TYPE, "an input is no matrix of features");
    x = fe_cast(c->b, fe_rank(x) == 1 ? fe_unsqueeze(c->b, x, 0, 1) : x,
                IR_F32);
    int64_t more = x ? sizes.v[i] - fe_dims(x)[1] : 0;
    const int64_t pads[] = {0, 0, 0, more};
    v[i] = more && x ? fe_pad(c->b, x, pads, NULL, 0) : x;
  }
  return ox_return(c, fe_concat(c->b, v, c->nin, 1));
}

bool onnx_imputer(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  bool whole = !ir_is_float(fe_dtype(x));
  struct ox_ints ints = ox_ints(c, "imputed_value_int64s");
  int64_t n = fe_rank(x) ? fe_dims(x)[fe_rank(x) - 1] : 1;
  double from = ox_float(c, "replaced_value_float", 0);
  if (whole && ints.n && ints.n != 1 && ints.n != n)
    return ox_fail(c, ATTR, "'imputed_value_int64s' has %lld numbers",
                   (long long)ints.n);
  struct ir_value *to =
      !whole   ? vector(c, x, "imputed_value_floats", n)
      : ints.n ? fe_ints(c->b, fe_dtype(x), ints.n > 1, &ints.n, ints.v)
               : NULL;
  if (!to)
    return ox_fail(c, ATTR, "no values");
  struct ir_value *old =
      whole ? whole_number(c, fe_dtype(x), "replaced_value_int64", 0)
            : fe_number(c->b, x, from);
  struct ir_value *is = !whole && isnan(from) ? fe_op1(c->b, IR_ISNAN, x)
                                              : fe_op2(c->b, IR_EQ, x, old);
  return ox_return(c, fe_select(c->b, is, to, x));
}

/* An attribute of whole numbers, floats, strings or a tensor: `prefix`_int64s,
 * _floats, _strings or _tensor. NULL without a diagnostic: there is none of
 * them. */
static struct ir_value *table(struct onnx_call *c, const char *prefix) {
  struct ox_ints ints = ox_ints(c, ml_name(c, prefix, "int64s"));
  const struct onnx_attr *f = ox_attr(c, ml_name(c, prefix, "floats"));
  const struct onnx_attr *t = ox_attr(c, ml_name(c, prefix, "tensor"));
  if (t)
    return ox_const_new(c->im, t->t, NULL, c->b->loc, NULL);
  if (ints.n)
    return fe_ints(c->b, IR_I64, 1, &ints.n, ints.v);
  if (f && f->floats.n)
    return fe_floats(c->b, IR_F32, 1, &(int64_t){(int64_t)f->floats.n},
                     f->floats.v);
  return ox_strings(c, ml_name(c, prefix, "strings"));
}

/* 0 .. n - 1 */
static struct ir_value *numbers(struct onnx_call *c, int64_t n) {
  return fe_iota(c->b, 1, 0, n, IR_I64);
}

/* values[k] where keys[k] is x, or `other`; strings go by their numbers. */
static struct ir_value *look_up(struct onnx_call *c, struct ir_value *x,
                                struct ir_value *keys, struct ir_value *values,
                                struct ir_value *other) {
  struct ir_value *texts = NULL;
  int64_t n = fe_dims(keys)[0];
  if (ox_is_string(keys)) {
    x = ox_find(c, x, keys);
    keys = numbers(c, n);
  }
  if (ox_is_string(values)) {
    int64_t width = dn_max(ox_width(values), ox_width(other));
    other = fe_reshape(c->b, other, 2, (int64_t[]){1, ox_width(other)});
    texts = fe_concat(
        c->b, IR_ARGS(ox_widen(c, values, width), ox_widen(c, other, width)),
        0);
    values = numbers(c, n);
    other = fe_scalar(c->b, IR_I64, (double)n);
  }
  x = fe_call(c->b, FE_LOOK_UP, IR_ARGS(x, keys, values, other), NULL, 0);
  return texts ? fe_gather(c->b, texts, x, 0) : x;
}

/* The value of the key that x is, or a default. */
bool onnx_label_encoder(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *keys = table(c, "keys");
  struct ir_value *values = table(c, "values");
  const struct onnx_attr *t = ox_attr(c, "default_tensor");
  if (!keys || !values)
    return ox_fail(c, ATTR, "it has no keys or no values");
  bool text = ox_is_string(values);
  int rank = 1 + ox_is_string(keys);
  if (fe_dtype(keys) != fe_dtype(x) || fe_rank(keys) != rank ||
      fe_rank(values) != 1 + text || fe_dims(keys)[0] != fe_dims(values)[0])
    return ox_fail(c, TYPE, "keys and values do not fit");
  enum ir_dtype to = fe_dtype(values);
  struct ir_value *other =
      t      ? ox_const_new(c->im, t->t, NULL, c->b->loc, NULL)
      : text ? ox_string(c, "default_string", "_Unused")
      : ir_is_float(to)
          ? fe_number(c->b, values, ox_float(c, "default_float", -0.0))
          : whole_number(c, to, "default_int64", -1);
  if (!other || fe_dtype(other) != fe_dtype(values) ||
      ir_type_count(other->type) != (text ? ox_width(other) : 1))
    return ox_fail(c, TYPE, "the default does not fit");
  other = text ? other : fe_reshape(c->b, other, 0, NULL);
  return ox_return(c, look_up(c, x, keys, values, other));
}

/* From strings to numbers, or from numbers to strings. */
bool onnx_category_mapper(struct onnx_call *c) {
  struct ir_value *texts = ox_strings(c, "cats_strings");
  struct ox_ints ints = ox_ints(c, "cats_int64s");
  bool text = ox_is_string(c->in[0]);
  if (!texts || fe_dims(texts)[0] != ints.n)
    return ox_fail(c, ATTR, "as many strings as numbers are needed");
  if (!text && fe_dtype(c->in[0]) != IR_I64)
    return ox_fail(c, TYPE, "the input must be strings or int64");
  struct ir_value *of = fe_ints(c->b, IR_I64, 1, &ints.n, ints.v);
  struct ir_value *other = text ? whole_number(c, IR_I64, "default_int64", -1)
                                : ox_string(c, "default_string", "_Unused");
  return other && ox_return(c, look_up(c, c->in[0], text ? texts : of,
                                       text ? of : texts, other));
}

/* A map's values for the keys of a vocabulary, 0 or "" for those it lacks. */
bool onnx_dict_vectorizer(struct onnx_call *c) {
  const struct ox_sequence *map = ox_sequence_of(c->im, c->in[0]);
  struct ox_ints ints = ox_ints(c, "int64_vocabulary");
  struct ir_value *of = ox_strings(c, "string_vocabulary");
  if (!map || !map->map || !of == !ints.n)
    return ox_fail(c, TYPE, "a map and one vocabulary are needed");
  struct ir_value *keys = map->v[0], *values = map->v[1];
  of = of ? of : fe_ints(c->b, IR_I64, 1, &ints.n, ints.v);
  if (fe_dtype(of) != fe_dtype(keys) || !ir_type_count(keys->type))
    return ox_fail(c, TYPE, "the vocabulary does not fit the map's keys");
  struct ir_value *none = ox_is_string(values)
                              ? ox_string(c, "", "")
                              : fe_scalar(c->b, fe_dtype(values), 0);
  return ox_return(
      c, fe_unsqueeze(c->b, look_up(c, of, keys, values, none), 1, 0));
}

bool onnx_one_hot_encoder(struct onnx_call *c) {
  struct ox_ints cats = ox_ints(c, "cats_int64s");
  struct ir_value *texts = ox_strings(c, "cats_strings"), *x = c->in[0], *of;
  if (ox_is_string(x) != (texts != NULL) || (!texts && !cats.n))
    return ox_fail(c, TYPE, "the categories do not fit the input");
  if (texts) {
    x = ox_find(c, x, texts);
    of = numbers(c, fe_dims(texts)[0]);
  } else {
    of = fe_ints(c->b, IR_I64, 1, &cats.n, cats.v);
  }
  x = fe_unsqueeze(c->b, fe_cast(c->b, x, IR_I64), 0, 1);
  return ox_return(c, fe_cast(c->b, fe_op2(c->b, IR_EQ, x, of), IR_F32));
}
