/* compare.c - what a module computes, before and after a pass, by the reference
 * interpreter: --verify-each. Inputs are random but the same every time. */
#include "passes/pipeline.h"

#include "ir/eval.h"

#include <assert.h>
#include <math.h>
#include <string.h>

struct pass_results {
  struct dn_arena *arena;
  size_t n;
  struct {
    const char *func;
    unsigned n;
    struct ir_tensor *tensor;
  } * func;
};

/* Floats in [-2, 2) with some zeros; integers small, so that they make sense as
 * indices too. */
static void *random_data(struct dn_arena *arena, const struct ir_type *type,
                         uint64_t seed) {
  assert(ir_type_is_static(type) && "all_static()");
  char *data = dn_alloc(arena, (size_t)ir_type_bytes(type));
  int64_t n = ir_type_count(type);
  for (int64_t i = 0; i < n; i++) {
    void *p = data + i * ir_dtypes[type->dtype].bytes;
    uint64_t r = dn_random(&seed);
    double unit = (double)(r >> 11) * 0x1p-53;
    if (ir_is_float(type->dtype))
      ir_store_float(type->dtype, p, r % 16 ? unit * 4 - 2 : 0);
    else
      ir_store_int(type->dtype, p, (int64_t)(r >> 32) % 8);
  }
  return data;
}

static bool all_static(const struct ir_module *m) {
  for (const struct ir_func *f = m->funcs; f; f = f->next)
    for (unsigned i = 0; i < f->body->nparams; i++)
      if (!ir_type_is_static(f->body->param[i]->type))
        return false;
  return true;
}

struct pass_results *pass_results_of(struct dn_arena *arena,
                                     const struct ir_module *m) {
  if (!all_static(m))
    return NULL;
  struct pass_results *r = DN_NEW(arena, struct pass_results);
  for (const struct ir_func *f = m->funcs; f; f = f->next)
    r->n++;
  r->func = dn_alloc_array(arena, r->n, sizeof *r->func);
  size_t k = 0;
  for (const struct ir_func *f = m->funcs; f; f = f->next, k++) {
    unsigned n = f->body->nparams;
    struct ir_tensor *in = DN_ARRAY(arena, struct ir_tensor, n);
    for (unsigned i = 0; i < n; i++) {
      in[i].type = f->body->param[i]->type;
      in[i].data = random_data(arena, in[i].type, i + 1);
    }
    r->func[k].func = f->name;
    r->func[k].n = f->nresults;
    r->func[k].tensor = DN_ARRAY(arena, struct ir_tensor, f->nresults);
    if (!ir_eval(arena, f, in, r->func[k].tensor, &(struct ir_eval_opts){0}))
      return NULL;
  }
  assert(k == r->n && "each function has run");
  return r;
}

static double largest_of(const struct ir_tensor *t, double largest) {
  int64_t size = ir_dtypes[t->type->dtype].bytes, n = ir_type_count(t->type);
  for (int64_t i = 0; i < n; i++) {
    double v =
        fabs(ir_load_float(t->type->dtype, (const char *)t->data + i * size));
    if (isfinite(v) && v > largest)
      largest = v;
  }
  return largest;
}

/* Relative to the largest element: passes may reorder sums. */
static double tolerance(const struct ir_tensor *t) {
  if (!ir_is_float(t->type->dtype))
    return 0;
  return largest_of(t, 1) *
         (ir_dtypes[t->type->dtype].bytes == 2 ? 2e-2 : 1e-4);
}

static bool same_number(double a, double b, double tol) {
  return a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= tol;
}

/* Index of the first element that differs, or -1. */
static int64_t first_difference(const struct ir_tensor *a,
                                const struct ir_tensor *b) {
  assert(a->type == b->type && "same_result() has compared them");
  enum ir_dtype t = a->type->dtype;
  int64_t size = ir_dtypes[t].bytes, n = ir_type_count(a->type);
  if (!memcmp(a->data, b->data, (size_t)(n * size)))
    return -1;
  double tol = tolerance(a);
  for (int64_t i = 0; i < n; i++) {
    const char *pa = (const char *)a->data + i * size;
    const char *pb = (const char *)b->data + i * size;
    if (ir_is_float(t)
            ? !same_number(ir_load_float(t, pa), ir_load_float(t, pb), tol)
            : ir_load_int(t, pa) != ir_load_int(t, pb))
      return i;
  }
  return -1;
}

static bool same_result(struct dn_ctx *ctx, const char *pass, const char *func,
                        unsigned k, const struct ir_tensor *a,
                        const struct ir_tensor *b) {
  struct dn_loc loc = {.where = func};
  if (a->type != b->type) {
    dn_error(ctx, loc, DN_PASS_MISMATCH,
             "pass '%s' changed the type of result %u from %s to %s", pass, k,
             ir_type_text(ctx, NULL, a->type),
             ir_type_text(ctx, NULL, b->type));
    return false;
  }
  int64_t i = first_difference(a, b);
  if (i < 0)
    return true;
  enum ir_dtype t = a->type->dtype;
  int64_t at = i * ir_dtypes[t].bytes;
  dn_error(ctx, loc, DN_PASS_MISMATCH,
           "pass '%s' changed result %u: element %lld was %.9g, is %.9g", pass,
           k, (long long)i, ir_load_float(t, (const char *)a->data + at),
           ir_load_float(t, (const char *)b->data + at));
  return false;
}

bool pass_results_same(struct dn_ctx *ctx, const char *pass,
                       const struct pass_results *before,
                       const struct pass_results *after) {
  if (!before || !after)
    return true;
  bool same = before->n == after->n;
  for (size_t f = 0; same && f < before->n; f++)
    same = before->func[f].n == after->func[f].n;
  if (!same) {
    dn_error(ctx, (struct dn_loc){0}, DN_PASS_MISMATCH,
             "pass '%s' changed the number of functions or results", pass);
    return false;
  }
  for (size_t f = 0; f < before->n; f++)
    for (unsigned k = 0; k < before->func[f].n; k++)
      same &=
          same_result(ctx, pass, before->func[f].func, k,
                      &before->func[f].tensor[k], &after->func[f].tensor[k]);
  return same;
}

static double tensor_distance(const struct ir_tensor *a,
                              const struct ir_tensor *b) {
  enum ir_dtype t = a->type->dtype;
  int64_t size = ir_dtypes[t].bytes, n = ir_type_count(a->type);
  double largest = largest_of(a, 0), most = 0;
  for (int64_t i = 0; i < n; i++) {
    double x = ir_load_float(t, (const char *)a->data + i * size);
    double y = ir_load_float(t, (const char *)b->data + i * size);
    if (isnan(x) != isnan(y))
      return (double)INFINITY;
    most = fabs(x - y) > most ? fabs(x - y) : most;
  }
  return largest > 0 ? most / largest : most;
}

double pass_results_distance(const struct pass_results *a,
                             const struct pass_results *b) {
  double most = 0;
  assert(a->n == b->n && "a pass that rounds keeps the functions");
  for (size_t f = 0; f < a->n; f++)
    for (unsigned k = 0; k < a->func[f].n; k++)
      most = fmax(
          most, tensor_distance(&a->func[f].tensor[k], &b->func[f].tensor[k]));
  return most;
}
