/* onnx_op_ml.c - ai.onnx.ml: what its classifiers share, and support vectors; other
 * operators are rows of decompose.def. */
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

static struct ir_value *labels(struct onnx_call *c) {
  struct ir_value *l = ox_attr_const(c, "classlabels_int64s");
  return l ? l : ox_attr_const(c, "classlabels_ints");
}

int64_t ml_classes(struct onnx_call *c) {
  const struct ir_value *v = ox_strings(c, "classlabels_strings");
  v = v ? v : labels(c);
  return v ? fe_dims(v)[0] : 0;
}

bool ml_classify(struct onnx_call *c, struct ir_value *y, bool positive,
                 bool complement) {
  return y && fe_decompose(
                  c->b, FE_CLASSIFY,
                  IR_ARGS(y, ox_strings(c, "classlabels_strings"), labels(c)),
                  IR_ATTRS(ir_str("post", ox_str(c, "post_transform", "NONE")),
                           ir_int("positive", positive),
                           ir_int("complement", complement)),
                  c->out, c->nout);
}

/* ---- Support vectors ---- */

/* A vote for each pair of classes i < j. Decisions [rows, pairs] are sums of
 * kernels times coefficients, which are stored as [classes - 1, vectors]; a
 * decision over 0 is a vote for i. Makes the matrices from kernels to decisions
 * and from decisions to votes. */
struct pairs {
  int64_t classes, vectors, n;
  double *decide, *vote; /* [vectors, n], [n, classes] */
};

static void fill_pairs(const struct pairs *p, const int64_t *size,
                       const struct ir_value *coefs) {
  int64_t pair = 0, start_i = 0;
  for (int64_t i = 0; i < p->classes; start_i += size[i++]) {
    int64_t start_j = start_i + size[i];
    for (int64_t j = i + 1; j < p->classes; start_j += size[j++], pair++) {
      for (int64_t v = start_i; v < start_i + size[i]; v++)
        p->decide[v * p->n + pair] =
            ir_const_float(coefs, (j - 1) * p->vectors + v);
      for (int64_t v = start_j; v < start_j + size[j]; v++)
        p->decide[v * p->n + pair] = ir_const_float(coefs, i * p->vectors + v);
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

bool onnx_svm_classifier(struct onnx_call *c) {
  struct pairs p = {.classes = ml_classes(c)};
  struct ir_value *coefs = ox_attr_const(c, "coefficients");
  struct ir_value *rho = ox_attr_const(c, "rho"), *x, *v[3] = {0};
  struct ir_value *proba = ox_attr_const(c, "prob_a");
  x = fe_cast(c->b, fe_call(c->b, FE_FEATURES, c->in, 1, NULL, 0), IR_F32);
  if (!x || !coefs)
    return x && ox_fail(c, ATTR, "no coefficients");
  if (!ox_ints(c, "vectors_per_class").n)
    return ml_classify(c,
                       fe_add(c->b,
                              fe_call(c->b, FE_LINEAR_ROWS, IR_ARGS(x, coefs),
                                      IR_ATTRS(ir_int("rows", p.classes))),
                              rho ? fe_slice1(c->b, rho, 0, 0, 1, 1)
                                  : fe_scalar(c->b, IR_F32, 0)),
                       false, false);
  if (proba && p.classes > MAX_COUPLED)
    return ox_fail(c, LIMIT, "probabilities of %lld classes, over %d",
                   (long long)p.classes, MAX_COUPLED);
  if (!size_pairs(c, &p, ir_type_count(coefs->type)))
    return false;
  fill_pairs(&p, ox_ints(c, "vectors_per_class").v, coefs);
  const int64_t decide[] = {p.vectors, p.n}, vote[] = {p.n, p.classes};
  if (!fe_decompose(
          c->b, FE_SVM_DECIDE,
          IR_ARGS(x, fe_floats(c->b, IR_F32, 2, decide, p.decide),
                  fe_floats(c->b, IR_F32, 2, vote, p.vote), rho,
                  ox_attr_const(c, "support_vectors"),
                  ox_attr_const(c, "kernel_params"), proba,
                  ox_attr_const(c, "prob_b"),
                  ox_strings(c, "classlabels_strings"), labels(c)),
          IR_ATTRS(ir_str("kernel", ox_str(c, "kernel_type", "LINEAR"))), v, 3))
    return false;
  c->out[0] = v[0];
  x = proba ? couple(c, v[2], p.classes) : v[1];
  if (c->nout > 1)
    c->out[1] =
        fe_call(c->b, FE_ML_POST, IR_ARGS(x),
                IR_ATTRS(ir_str("post", ox_str(c, "post_transform", "NONE"))));
  return x != NULL;
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
  struct ir_value *y = fe_call(c->b, FE_LOOK_UP_ANY,
                               IR_ARGS(of, keys, values, none), NULL, 0);
  return ox_return(c, fe_unsqueeze(c->b, y, 1, 0));
}
