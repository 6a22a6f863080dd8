/* index.c - code for affine forms and for the variables made of them:
 * quotients, clamps, reflections; bounds checks; indices read from tensors. A
 * variable is computed once, in the outermost scope that has its operands. */
#include "codegen/emit/impl.h"

#include <assert.h>

static void index_set(struct kernel_cg *k, unsigned var, LLVMValueRef v) {
  while (k->value.n <= var)
    DN_PUSH(k->arena, k->value, NULL);
  k->value.v[var] = v;
}

unsigned index_new_var(struct kernel_cg *k, LLVMValueRef v, int64_t lo,
                       int64_t hi, int depth, bool vector) {
  unsigned var = affine_new_var(&k->forms, lo, hi, depth, vector, 0);
  index_set(k, var, v);
  return var;
}

static LLVMTypeRef index_type(struct kernel_cg *k, bool varying) {
  return emit_vector_type(k, k->e->iptr, varying ? k->forms.lanes : 1);
}

static LLVMValueRef index_number(struct kernel_cg *k, bool varying, int64_t v) {
  LLVMValueRef c = LLVMConstInt(k->e->iptr, (uint64_t)v, true);
  return varying ? emit_splat(k, c, k->forms.lanes) : c;
}

static LLVMValueRef add_term(struct kernel_cg *k, LLVMValueRef sum,
                             LLVMValueRef v, int64_t coef, bool varying) {
  if (coef != 1)
    v = LLVMBuildNSWMul(k->b, v, index_number(k, varying, coef), "");
  return sum ? LLVMBuildNSWAdd(k->b, sum, v, "") : v;
}

static LLVMValueRef lane_numbers(struct kernel_cg *k, int64_t step) {
  if (k->forms.scalable)
    return scalable_numbers(k, step);
  LLVMValueRef *v = DN_ARRAY(k->arena, LLVMValueRef, k->forms.lanes);
  for (unsigned i = 0; i < k->forms.lanes; i++)
    v[i] = LLVMConstInt(k->e->iptr, (uint64_t)(step * (int64_t)i), true);
  return LLVMConstVector(v, k->forms.lanes);
}

static LLVMValueRef sum_up(struct kernel_cg *k, const struct affine *a) {
  const struct affine *outer = affine_plus(
      &k->forms,
      affine_part(&k->forms, a, 0, a->varying ? EMIT_ANY_DEPTH : a->depth - 1),
      a->c);
  LLVMValueRef sum = NULL;
  if (!affine_is_const(outer) || outer->c) {
    sum = index_value(k, outer);
    if (a->varying)
      sum = emit_splat(k, sum, k->forms.lanes);
  }
  for (int i = 0; i < a->n; i++) {
    const struct affine_var *v = &k->forms.vars.v[a->term[i].var];
    if (a->varying ? v->vector : v->depth == a->depth)
      sum = add_term(k, sum, index_get(k, a->term[i].var), a->term[i].coef,
                     a->varying);
  }
  if (a->lane)
    sum = add_term(k, sum, lane_numbers(k, a->lane), 1, true);
  return sum;
}

LLVMValueRef index_value(struct kernel_cg *k, const struct affine *a) {
  if (affine_is_const(a))
    return index_number(k, false, a->c);
  if (a->n == 1 && !a->lane && !a->c && a->term[0].coef == 1)
    return index_get(k, a->term[0].var);
  struct memo_key key;
  memo_begin(k, &key, MEMO_INDEX, a->varying, a);
  struct memo *found = memo_find(k, &key);
  if (found)
    return found->value;
  int64_t lo, hi;
  affine_range(&k->forms, a, &lo, &hi);
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

/* v in [0, 2*dim-2) to min(v, 2*dim-2 - v). */
static LLVMValueRef make_reflect(struct kernel_cg *k, LLVMValueRef v,
                                 bool varying, int64_t dim) {
  LLVMValueRef back =
      LLVMBuildSub(k->b, index_number(k, varying, 2 * dim - 2), v, "");
  return bounded(k, LLVMIntSLT, v, back);
}

LLVMValueRef index_get(struct kernel_cg *k, unsigned var) {
  const struct affine_var d = k->forms.vars.v[var];
  if (var < k->value.n && k->value.v[var])
    return k->value.v[var];
  assert(d.def != AFFINE_FREE && "index_new_var() gives those their values");
  struct hoist h;
  int64_t lo, hi;
  affine_range(&k->forms, d.of, &lo, &hi);
  hoist_begin(k, d.depth, &h);
  LLVMValueRef v = index_value(k, d.of);
  if (d.def == AFFINE_DIV)
    v = make_div(k, v, d.vector, d.number, lo);
  else if (d.def == AFFINE_CLAMP)
    v = make_clamp(k, v, d.vector, d.number, lo);
  else
    v = make_reflect(k, v, d.vector, d.number);
  index_set(k, var, v);
  hoist_end(k, &h);
  return v;
}

const struct affine *index_of_value(struct kernel_cg *k, LLVMValueRef v,
                                    enum ir_dtype type, int depth,
                                    int64_t dim) {
  bool vector = emit_is_vector(v);
  unsigned bits = ir_dtypes[type].bits;
  unsigned own = (unsigned)k->e->facts->pointer_bytes * 8;
  bool sign = ir_dtypes[type].kind == IR_SIGNED;
  LLVMTypeRef wide = emit_vector_type(k, bits > own ? k->e->i64 : k->e->iptr,
                                      vector ? k->forms.lanes : 1);
  v = LLVMBuildIntCast2(k->b, v, wide, sign, "");
  LLVMValueRef last =
      emit_like(k, v,
                LLVMConstInt(bits > own ? k->e->i64 : k->e->iptr,
                             (uint64_t)(dim - 1), true));
  if (sign)
    v = bounded(k, LLVMIntSGT, v, LLVMConstNull(wide));
  v = bounded(k, sign ? LLVMIntSLT : LLVMIntULT, v, last);
  v = LLVMBuildIntCast2(k->b, v, index_type(k, vector), true, "");
  unsigned var = index_new_var(k, v, 0, dn_max(dim - 1, 0), depth, vector);
  return affine_var(&k->forms, var, 1);
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
  affine_range(&k->forms, a, &lo, &hi);
  if (lo >= 0 && hi < dim)
    return NULL;
  if (hi < 0 || lo >= dim)
    return LLVMConstInt(k->e->i1, 0, false);
  return check(k, MEMO_INSIDE, a, dim);
}

LLVMValueRef index_is_zero(struct kernel_cg *k, const struct affine *a) {
  int64_t lo, hi;
  affine_range(&k->forms, a, &lo, &hi);
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
  unsigned lanes = emit_is_vector(a) || emit_is_vector(b) ? k->forms.lanes : 1;
  LLVMValueRef both =
      LLVMBuildAnd(k->b, emit_splat(k, a, lanes), emit_splat(k, b, lanes), "");
  memo_add(k, &key, both, 0);
  hoist_end(k, &h);
  return both;
}
