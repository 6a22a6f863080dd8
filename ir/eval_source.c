/* eval_source.c - what a leaf of a nest's expression reads, a chunk of lanes at
 * a time. Lanes are filled by runs along the innermost iterators; indices that
 * may fall outside are clamped once a run, and only indices that are not affine
 * along a run are computed element by element. */
#include "ir/eval_nest.h"

#include <assert.h>

/* The index that a special dimension has at the current point; false: none. */
static bool index_at(struct eval_nest *e, const struct eval_special *sp,
                     int64_t *out) {
  const struct nest_index *x = sp->idx;
  if (sp->dim <= 0)
    return false;
  if (x->indirect >= 0) {
    *out = dn_max(0, dn_min(eval_source_index(e, x->indirect), sp->dim - 1));
    return true;
  }
  assert(x->div >= 1 && sp->dim > 0 &&
         "nest.c, and empty operands were seen above");
  int64_t v = x->base, period;
  for (int i = 0; i < e->nest->niters; i++)
    v += x->coef[i] * e->it[i];
  if (x->exact && v % x->div)
    return false;
  v = dn_div_floor(v, x->div);
  switch (x->fit) {
  case NEST_AS_IS:
    break;
  case NEST_CLAMP:
    v = dn_max(0, dn_min(v, sp->dim - 1));
    break;
  case NEST_REFLECT:
    period = dn_max(2 * (sp->dim - 1), 1);
    v -= dn_div_floor(v, period) * period;
    v = v < sp->dim ? v : period - v;
    break;
  case NEST_WRAP:
    v -= dn_div_floor(v, sp->dim) * sp->dim;
    break;
  }
  *out = v;
  return v >= 0 && v < sp->dim;
}

int64_t eval_source_index(struct eval_nest *e, int access) {
  const struct eval_source *s = &e->source[access];
  assert(s->operand >= 0 && !ir_is_float(s->from) &&
         "indices come from integer operands: infer.c");
  int64_t at = s->base;
  for (int i = 0; i < e->nest->niters; i++)
    at += s->stride[i] * e->it[i];
  for (int k = 0; k < s->nspecial; k++) {
    int64_t index;
    if (!index_at(e, &s->special[k], &index))
      return 0;
    at += index * s->special[k].stride;
  }
  at = s->splat ? 0 : at;
  int64_t v = ir_load_int(s->from, s->data + at * ir_dtypes[s->from].bytes);
  return s->from == IR_U64 && v < 0 ? INT64_MAX : v;
}

static void load_run(const struct eval_source *s, int64_t at, int64_t stride,
                     union eval_lanes *out, int first, int n) {
  assert(first >= 0 && first + n <= EVAL_LANES &&
         "lanes come in chunks: eval_nest_body()");
  if (s->operand < 0) {
    for (int k = 0; k < n; k++)
      out->i[first + k] = at + k * stride;
    return;
  }
  if (s->splat)
    at = stride = 0;
  eval_load(s->from, s->data + at * ir_dtypes[s->from].bytes, stride, out,
            first, n);
}

/* Narrows [*lo, *hi) to the t with 0 <= v + step*t < dim. */
static void clip(int64_t v, int64_t step, int64_t dim, int64_t *lo,
                 int64_t *hi) {
  if (step < 0) { /* mirror the range */
    v = dim - 1 - v;
    step = -step;
  }
  if (step == 0) {
    *hi = v < 0 || v >= dim ? *lo : *hi;
    return;
  }
  *lo = dn_max(*lo, dn_div_ceil(-v, step));
  *hi = dn_min(*hi, dn_div_floor(dim - 1 - v, step) + 1);
}

/* A run of a source whose special indices are constant along it: they are
 * clamped or computed once. */
static void special_run(struct eval_nest *e, const struct eval_source *s,
                        int64_t at, const struct eval_walk *inner,
                        union eval_lanes *out, int first, int n) {
  int64_t lo = 0, hi = n, stride = inner->stride;
  for (int k = 0; k < s->nspecial && lo < hi; k++) {
    const struct eval_special *sp = &s->special[k];
    int64_t v = sp->idx->base;
    if (!sp->linear) {
      if (!index_at(e, sp, &v))
        hi = lo;
      at += v * sp->stride;
      continue;
    }
    for (int i = 0; i < e->nest->niters; i++)
      v += sp->idx->coef[i] * e->it[i];
    int64_t step = inner->iter < 0 ? 0 : sp->idx->coef[inner->iter];
    clip(v, step, sp->dim, &lo, &hi);
    at += v * sp->stride;
    stride += step * sp->stride;
  }
  if (lo >= hi)
    lo = hi = n;
  assert(lo >= 0 && hi <= n && "clip() narrows a range of lanes");
  for (int64_t k = 0; k < lo; k++)
    out->i[first + k] = s->outside;
  if (lo < hi)
    load_run(s, at + lo * stride, stride, out, first + (int)lo, (int)(hi - lo));
  for (int64_t k = hi; k < n; k++)
    out->i[first + k] = s->outside;
}

void eval_source_fill(struct eval_nest *e, struct eval_source *s, int64_t pos,
                      int n, union eval_lanes *out) {
  const struct eval_space *outer = e->lanes_red ? &e->par : &e->red;
  assert(s->nwalk > 0 && n <= EVAL_LANES &&
         "compile_walk() makes a loop; lanes come in chunks");
  int64_t at = s->base, cur[NEST_MAX_ITERS + 1];
  for (int k = 0; k < outer->n; k++)
    at += s->stride[outer->iter[k]] * e->it[outer->iter[k]];
  for (int d = s->nwalk; d-- > 0;) {
    const struct eval_walk *w = &s->walk[d];
    cur[d] = d ? pos % w->extent : pos;
    pos = d ? pos / w->extent : 0;
    at += cur[d] * w->stride;
    if (w->iter >= 0)
      e->it[w->iter] = cur[d];
  }
  const struct eval_walk *inner = &s->walk[s->nwalk - 1];
  for (int done = 0; done < n;) {
    int64_t left = inner->extent - cur[s->nwalk - 1];
    int len = s->single ? 1 : (int)dn_min(n - done, left);
    if (s->nspecial)
      special_run(e, s, at, inner, out, done, len);
    else
      load_run(s, at, inner->stride, out, done, len);
    done += len;
    if (done == n)
      break;
    int d = s->nwalk - 1;
    at += len * inner->stride;
    cur[d] += len;
    while (cur[d] == s->walk[d].extent && d > 0) { /* next line */
      at -= cur[d] * s->walk[d].stride;
      cur[d] = 0;
      e->it[s->walk[d].iter] = 0;
      cur[--d]++;
      at += s->walk[d].stride;
    }
    e->it[s->walk[d].iter] = cur[d];
  }
}
