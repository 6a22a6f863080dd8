/* emit_index.c - what affine forms cannot say: quotients, clamps, reflections,
 * bounds checks and indices read from tensors. Ranges decide first whether any
 * code is needed; what is needed becomes a new counter-like variable, made once
 * in the outermost scope that has its operands. In a dry run variables are made
 * without code. */
#include "codegen/emit_impl.h"

static LLVMTypeRef index_type(struct kernel_cg *k, bool varying) {
  return emit_vector_type(k, k->e->iptr, varying ? k->lanes : 1);
}

static LLVMValueRef index_number(struct kernel_cg *k, bool varying, int64_t v) {
  LLVMValueRef c = LLVMConstInt(k->e->iptr, (uint64_t)v, true);
  return varying ? emit_splat(k, c, k->lanes) : c;
}

static LLVMValueRef add_term(struct kernel_cg *k, LLVMValueRef sum,
                             LLVMValueRef v, int64_t coef, bool varying) {
  if (coef != 1)
    v = LLVMBuildNSWMul(k->b, v, index_number(k, varying, coef), "");
  return sum ? LLVMBuildNSWAdd(k->b, sum, v, "") : v;
}

static LLVMValueRef lane_numbers(struct kernel_cg *k, int64_t step) {
  if (k->scalable)
    return scalable_numbers(k, step);
  LLVMValueRef *v = DN_ARRAY(k->arena, LLVMValueRef, k->lanes);
  for (unsigned i = 0; i < k->lanes; i++)
    v[i] = LLVMConstInt(k->e->iptr, (uint64_t)(step * (int64_t)i), true);
  return LLVMConstVector(v, k->lanes);
}

static LLVMValueRef sum_up(struct kernel_cg *k, const struct affine *a) {
  const struct affine *outer = affine_plus(
      k, affine_part(k, a, 0, a->varying ? EMIT_ANY_DEPTH : a->depth - 1),
      a->c);
  LLVMValueRef sum = NULL;
  if (!affine_is_const(outer) || outer->c) {
    sum = index_value(k, outer);
    if (a->varying)
      sum = emit_splat(k, sum, k->lanes);
  }
  for (int i = 0; i < a->n; i++) {
    const struct affine_var *v = &k->vars.v[a->term[i].var];
    if (a->varying ? v->vector : v->depth == a->depth)
      sum = add_term(k, sum, v->value, a->term[i].coef, a->varying);
  }
  if (a->lane)
    sum = add_term(k, sum, lane_numbers(k, a->lane), 1, true);
  return sum;
}

LLVMValueRef index_value(struct kernel_cg *k, const struct affine *a) {
  if (affine_is_const(a))
    return index_number(k, false, a->c);
  if (a->n == 1 && !a->lane && !a->c && a->term[0].coef == 1)
    return k->vars.v[a->term[0].var].value;
  struct memo_key key;
  memo_begin(k, &key, MEMO_INDEX, a->varying, a);
  struct memo *found = memo_find(k, &key);
  if (found)
    return found->value;
  int64_t lo, hi;
  affine_range(k, a, &lo, &hi);
  if (k->e->facts->pointer_bytes == 4 && (lo < INT32_MIN || hi > INT32_MAX))
    emit_fail(k, DN_TARGET, "an index does not fit in 32 bits");
  struct hoist h;
  hoist_begin(k, a->depth, &h);
  /* A constant sum can only be all zeros here: depth 0 without terms. */
  LLVMValueRef v = sum_up(k, a);
  memo_add(k, &key, v, 0);
  hoist_end(k, &h);
  return v;
}

/* A variable for what make() computes of `a`, once per form and number. */
typedef LLVMValueRef make_fn(struct kernel_cg *k, LLVMValueRef v, bool varying,
                             int64_t number, int64_t lo);
static const struct affine *opaque(struct kernel_cg *k, enum memo_kind kind,
                                   const struct affine *a, int64_t number,
                                   int64_t lo, int64_t hi, make_fn *make) {
  struct memo_key key;
  memo_begin(k, &key, kind, a->varying, a);
  memo_push(&key, (uint64_t)number);
  struct memo *found = memo_find(k, &key);
  if (found)
    return affine_var(k, (unsigned)found->extra, 1);
  struct hoist h;
  hoist_begin(k, a->depth, &h);
  LLVMValueRef v = NULL;
  if (!k->dry) {
    int64_t from, to;
    affine_range(k, a, &from, &to);
    v = make(k, index_value(k, a), a->varying, number, from);
  }
  unsigned var =
      affine_new_var(k, v, lo, hi, a->depth, a->varying, affine_dims(k, a));
  memo_add(k, &key, v, var);
  hoist_end(k, &h);
  return affine_var(k, var, 1);
}

/* floor(v / div): moved to where it is not negative, so that the division is
 * an unsigned one by a constant. */
static LLVMValueRef make_div(struct kernel_cg *k, LLVMValueRef v, bool varying,
                             int64_t div, int64_t lo) {
  int64_t up = lo < 0 ? dn_div_ceil(-lo, div) : 0;
  if (up)
    v = LLVMBuildAdd(k->b, v, index_number(k, varying, up * div), "");
  v = LLVMBuildUDiv(k->b, v, index_number(k, varying, div), "");
  if (up)
    v = LLVMBuildSub(k->b, v, index_number(k, varying, up), "");
  return v;
}

static int64_t gcd(int64_t a, int64_t b) {
  while (b) {
    int64_t t = a % b;
    a = b, b = t;
  }
  return a < 0 ? -a : a;
}

/* Terms that are multiples of g, a divisor of div, where the others stay within
 * [0, g): floor(a / div) = floor((multiples / g) / (div / g)). */
static const struct affine *reduced(struct kernel_cg *k, const struct affine *a,
                                    int64_t div, int64_t *left) {
  int64_t tried = 0;
  for (int i = -1; i < a->n; i++) {
    int64_t g = gcd(div, i < 0 ? a->lane : a->term[i].coef);
    if (g <= 1 || g >= div || g == tried)
      continue;
    tried = g;
    const struct affine *rest;
    const struct affine *q = affine_split(k, a, g, &rest);
    int64_t lo, hi;
    affine_range(k, rest, &lo, &hi);
    if (lo >= 0 && hi < g) {
      *left = div / g;
      return q;
    }
  }
  return NULL;
}

/* Dry run: where the quotient changes, for dimensions to be split there. */
static void note_periods(struct kernel_cg *k, const struct affine *a,
                         int64_t div) {
  for (int i = 0; i < a->n; i++) {
    uint64_t dims = k->vars.v[a->term[i].var].dims;
    int64_t coef = a->term[i].coef;
    if (coef <= 0 || div % coef || dims != UINT64_C(1) << a->term[i].var)
      continue;
    struct emit_period p = {(int)a->term[i].var, div / coef};
    DN_PUSH(k->arena, k->periods, p);
  }
}

const struct affine *index_div(struct kernel_cg *k, const struct affine *a,
                               int64_t div) {
  if (div == 1)
    return a;
  if (k->dry)
    note_periods(k, a, div);
  const struct affine *rest;
  const struct affine *whole = affine_split(k, a, div, &rest);
  int64_t lo, hi;
  affine_range(k, rest, &lo, &hi);
  lo = dn_div_floor(lo, div);
  hi = dn_div_floor(hi, div);
  if (lo == hi)
    return affine_plus(k, whole, lo);
  int64_t left;
  const struct affine *small = reduced(k, rest, div, &left);
  if (small)
    return affine_add(k, whole, index_div(k, small, left), 1);
  return affine_add(k, whole, opaque(k, MEMO_DIV, rest, div, lo, hi, make_div),
                    1);
}

static LLVMValueRef bounded(struct kernel_cg *k, LLVMIntPredicate keep,
                            LLVMValueRef v, LLVMValueRef bound) {
  LLVMValueRef ok = LLVMBuildICmp(k->b, keep, v, bound, "");
  return LLVMBuildSelect(k->b, ok, v, bound, "");
}

static LLVMValueRef make_clamp(struct kernel_cg *k, LLVMValueRef v,
                               bool varying, int64_t dim, int64_t lo) {
  if (lo < 0)
    v = bounded(k, LLVMIntSGT, v, index_number(k, varying, 0));
  return bounded(k, LLVMIntSLT, v, index_number(k, varying, dim - 1));
}

const struct affine *index_clamp(struct kernel_cg *k, const struct affine *a,
                                 int64_t dim) {
  int64_t lo, hi;
  affine_range(k, a, &lo, &hi);
  if (lo >= 0 && hi < dim)
    return a;
  if (hi < 0 || dim <= 1)
    return affine_const(k, 0);
  if (lo >= dim)
    return affine_const(k, dim - 1);
  return opaque(k, MEMO_CLAMP, a, dim, dn_max(lo, 0), dn_min(hi, dim - 1),
                make_clamp);
}

/* v in [0, 2*dim-2) to min(v, 2*dim-2 - v). */
static LLVMValueRef make_reflect(struct kernel_cg *k, LLVMValueRef v,
                                 bool varying, int64_t dim, int64_t lo) {
  (void)lo;
  LLVMValueRef back =
      LLVMBuildSub(k->b, index_number(k, varying, 2 * dim - 2), v, "");
  return bounded(k, LLVMIntSLT, v, back);
}

const struct affine *index_reflect(struct kernel_cg *k, const struct affine *a,
                                   int64_t dim) {
  int64_t lo, hi;
  affine_range(k, a, &lo, &hi);
  if (lo >= 0 && hi < dim)
    return a;
  if (dim <= 1)
    return affine_const(k, 0);
  const struct affine *m = index_wrap(k, a, 2 * dim - 2);
  return opaque(k, MEMO_REFLECT, m, dim, 0, dim - 1, make_reflect);
}

const struct affine *index_wrap(struct kernel_cg *k, const struct affine *a,
                                int64_t dim) {
  return affine_add(k, a, index_div(k, a, dim), -dim);
}

const struct affine *index_of_value(struct kernel_cg *k, LLVMValueRef v,
                                    enum ir_dtype type, int depth, int64_t dim,
                                    uint64_t dims) {
  bool vector = v && emit_is_vector(v);
  if (v) {
    unsigned bits = ir_dtypes[type].bits;
    unsigned own = (unsigned)k->e->facts->pointer_bytes * 8;
    bool sign = ir_dtypes[type].kind == IR_SIGNED;
    LLVMTypeRef wide = emit_vector_type(k, bits > own ? k->e->i64 : k->e->iptr,
                                        vector ? k->lanes : 1);
    v = LLVMBuildIntCast2(k->b, v, wide, sign, "");
    LLVMValueRef last =
        emit_like(k, v,
                  LLVMConstInt(bits > own ? k->e->i64 : k->e->iptr,
                               (uint64_t)(dim - 1), true));
    if (sign)
      v = bounded(k, LLVMIntSGT, v, LLVMConstNull(wide));
    v = bounded(k, sign ? LLVMIntSLT : LLVMIntULT, v, last);
    v = LLVMBuildIntCast2(k->b, v, index_type(k, vector), true, "");
  }
  unsigned var =
      affine_new_var(k, v, 0, dn_max(dim - 1, 0), depth, vector, dims);
  return affine_var(k, var, 1);
}

/* ---- Checks ---- */
static LLVMValueRef check(struct kernel_cg *k, enum memo_kind kind,
                          const struct affine *a, int64_t dim) {
  struct memo_key key;
  memo_begin(k, &key, kind, a->varying, a);
  memo_push(&key, (uint64_t)dim);
  struct memo *found = memo_find(k, &key);
  if (found)
    return found->value;
  struct hoist h;
  hoist_begin(k, a->depth, &h);
  LLVMValueRef v = index_value(k, a);
  LLVMValueRef ok =
      LLVMBuildICmp(k->b, kind == MEMO_ZERO ? LLVMIntEQ : LLVMIntULT, v,
                    index_number(k, a->varying, dim), "");
  memo_add(k, &key, ok, 0);
  hoist_end(k, &h);
  return ok;
}

LLVMValueRef index_inside(struct kernel_cg *k, const struct affine *a,
                          int64_t dim) {
  int64_t lo, hi;
  affine_range(k, a, &lo, &hi);
  if (lo >= 0 && hi < dim)
    return NULL;
  if (hi < 0 || lo >= dim)
    return LLVMConstInt(k->e->i1, 0, false);
  return check(k, MEMO_INSIDE, a, dim);
}

LLVMValueRef index_is_zero(struct kernel_cg *k, const struct affine *a) {
  int64_t lo, hi;
  affine_range(k, a, &lo, &hi);
  if (!lo && !hi)
    return NULL;
  return check(k, MEMO_ZERO, a, 0);
}

LLVMValueRef index_and(struct kernel_cg *k, LLVMValueRef a, LLVMValueRef b,
                       int depth) {
  if (!a || !b)
    return a ? a : b;
  struct memo_key key;
  memo_begin(k, &key, MEMO_AND, false, a);
  memo_push(&key, (uint64_t)(uintptr_t)b);
  struct memo *found = memo_find(k, &key);
  if (found)
    return found->value;
  struct hoist h;
  hoist_begin(k, depth, &h);
  unsigned lanes = emit_is_vector(a) || emit_is_vector(b) ? k->lanes : 1;
  LLVMValueRef both =
      LLVMBuildAnd(k->b, emit_splat(k, a, lanes), emit_splat(k, b, lanes), "");
  memo_add(k, &key, both, 0);
  hoist_end(k, &h);
  return both;
}
