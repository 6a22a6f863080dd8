/* eval_order.c - orders (NEST_NTH) in the interpreter: the elements of a row
 * become integers that compare as they do, which the C library sorts. */
#include "ir/eval_nest.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct eval_key {
  int64_t key, index;
};

/* Floats: NaN above all, both zeros alike. */
static int64_t float_key(double v) {
  int64_t bits;
  if (v != v)
    return INT64_MAX;
  memcpy(&bits, &v, sizeof bits);
  return bits < 0 ? (int64_t)(UINT64_C(1) << 63) - bits : bits;
}

static int64_t key_of(const struct eval_nest *e, int lane) {
  enum ir_dtype t = e->nest->acc_type;
  int64_t key = e->root->i[lane];
  if (ir_is_float(t))
    key = float_key(e->root->f[lane]);
  else if (t == IR_U64)
    key = (int64_t)((uint64_t)key ^ UINT64_C(1) << 63);
  return e->nest->back ? key : ~key;
}

static int compare(const void *a, const void *b) {
  const struct eval_key *x = a, *y = b;
  if (x->key != y->key)
    return x->key < y->key ? -1 : 1;
  return (x->index > y->index) - (x->index < y->index);
}

void eval_order_plan(struct dn_arena *arena, struct eval_nest *e) {
  e->keys = DN_ARRAY(arena, struct eval_key, e->red.count);
}

void eval_order_run(struct eval_nest *e, void *out) {
  int64_t inner = eval_nest_inner(e);
  int64_t places = e->nest->type->dim[e->nest->carried];
  assert(places > 0 && places <= e->red.count &&
         "infer_argsort() bounds k; eval_nest_run() leaves empty results");
  int64_t rows = e->par.count / places;
  for (int64_t row = 0; row < rows; row++) {
    int64_t at = row / inner * places * inner + row % inner;
    eval_space_seek(e, &e->par, at);
    for (int64_t pos = 0; pos < e->red.count; pos += EVAL_LANES) {
      int n = (int)dn_min(EVAL_LANES, e->red.count - pos);
      eval_nest_body(e, pos, n);
      for (int k = 0; k < n; k++)
        e->keys[pos + k] = (struct eval_key){key_of(e, k), pos + k};
    }
    qsort(e->keys, (size_t)e->red.count, sizeof *e->keys, compare);
    for (int64_t j = 0; j < places; j++)
      ((int32_t *)out)[at + j * inner] = (int32_t)e->keys[j].index;
  }
}
