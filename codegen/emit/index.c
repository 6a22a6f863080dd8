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
  assert(lo <= hi && "a variable has a value");
  unsigned var = affine_new_var(&k->forms, lo, hi, depth, vector, 0);
  index_set(k, var, v);
  return var;
}

static LLVMTypeRef index_type(struct kernel_cg *k, bool varying) {
  return emit_vector_type(k, k->e->iptr, varying ? k->forms.lanes : 1);
}

static LLVMValueRef index_number(struct kernel_cg *k, bool varying, int64_t v) {
  LLVMValueRef c = emit_iptr(k->e, v);
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
    v[i] = emit_iptr(k->e, step * (int64_t)i);
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
  struct memo_key key = memo_key(k, MEMO_INDEX, a->varying, a, NULL);
  struct memo *found = memo_open(k, &key, a->depth);
  if (found)
    return found->value;
  int64_t lo, hi;
  affine_range(&k->forms, a, &lo, &hi);
  if (k->e->facts->pointer_bytes == 4 && (lo < INT32_MIN || hi > INT32_MAX))
    emit_fail(k, DN_TARGET, "an index does not fit in 32 bits");
  /* A constant sum can only be all zeros here: depth 0 without terms. */
  return memo_close(k, &key, sum_up(k, a), 0)->value;
}

/* floor(v / div): moved to where it is not negative, so that the division is
 * an unsigned one by a constant. */
static LLVMValueRef make_div(struct kernel_cg *k, LLVMValueRef v, bool varying,
                             int64_t div, int64_t lo) {
  assert(div > 1 && "affine_div() leaves out quotients by 1");
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
  assert(dim > 0 && "a clamped index has an element");
  if (lo < 0)
    v = bounded(k, LLVMIntSGT, v, index_number(k, varying, 0));
  return bounded(k, LLVMIntSLT, v, index_number(k, varying, dim - 1));
}

/* v in [0, 2*dim-2) to min(v, 2*dim-2 - v). */
static LLVMValueRef make_reflect(struct kernel_cg *k, LLVMValueRef v,
                                 bool varying, int64_t dim) {
  assert(dim > 1 && "affine_reflect() leaves out dimensions of 1");
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

/* ---- Sizes that are known at run time only ---- */

static LLVMValueRef param_value(struct emit *e, LLVMBuilderRef b,
                                LLVMValueRef sizes, const struct ir_param *p) {
  int i = ir_param_depth(p) < 0 ? 0 : e->sizes.most.n + ir_param_depth(p);
  while (i < e->sizes.most.n && e->sizes.most.param[i] != p)
    i++;
  assert(i < e->sizes.most.n + e->turns &&
         "cg_emit_module() has seen them all");
  LLVMValueRef at = LLVMConstInt(e->iptr, (unsigned)i, false);
  at = LLVMBuildGEP2(b, e->i64, sizes, &at, 1, "");
  return LLVMBuildIntCast2(b, LLVMBuildLoad2(b, e->i64, at, ""), e->iptr, true,
                           "");
}

LLVMValueRef emit_size_value(struct emit *e, LLVMBuilderRef b,
                             LLVMValueRef sizes, const struct ir_size *s) {
  assert(s->div > 0 && s->n >= 0 && "ir_size: quotients by 1 or more");
  struct ir_size whole = *s;
  whole.div = 1;
  if (e->facts->pointer_bytes == 4 &&
      ir_size_at(&whole, &e->sizes.most) > INT32_MAX)
    e->failed = !dn_error(e->ctx, (struct dn_loc){.file = e->m->file},
                          DN_TARGET, "a size does not fit in 32 bits");
  LLVMValueRef sum = emit_iptr(e, s->c);
  for (int i = 0; i < s->n; i++) {
    const struct ir_term *t = &s->term[i];
    LLVMValueRef v = param_value(e, b, sizes, t->by);
    if (t->and)
      v = LLVMBuildMul(b, v, param_value(e, b, sizes, t->and), "");
    v = LLVMBuildMul(b, v, emit_iptr(e, t->coef), "");
    sum = LLVMBuildAdd(b, sum, v, "");
  }
  if (s->div == 1)
    return sum;
  return LLVMBuildUDiv(b, sum, emit_iptr(e, s->div), "");
}

static LLVMValueRef size_value(struct kernel_cg *k, const struct ir_size *s) {
  struct ir_place sizes = {.space = IR_IN_SIZES};
  return emit_size_value(k->e, k->b, emit_buffer_of(k->places, &sizes)->ptr, s);
}

const struct affine *index_size(struct kernel_cg *k, int64_t dim,
                                const struct ir_size *size) {
  if (!size)
    return affine_const(&k->forms, dim);
  for (size_t i = 0; i < k->sizes.n; i++)
    if (k->sizes.v[i].size == size)
      return k->sizes.v[i].form;
  struct hoist h;
  hoist_begin(k, 0, &h);
  unsigned var = index_new_var(k, size_value(k, size), 0, dim, 0, false);
  hoist_end(k, &h);
  struct emit_size s = {size, affine_var(&k->forms, var, 1)};
  DN_PUSH(k->arena, k->sizes, s);
  return s.form;
}

const struct affine *index_tiles(struct kernel_cg *k, const struct affine *n,
                                 int64_t tile, int64_t most) {
  assert(tile > 0 && most >= 0 && "rule loops: tiles are 1 or more");
  if (tile == 1)
    return n;
  struct hoist h;
  hoist_begin(k, n->depth, &h);
  LLVMValueRef v =
      LLVMBuildUDiv(k->b, index_value(k, n), index_number(k, false, tile), "");
  unsigned var = index_new_var(k, v, 0, most, n->depth, false);
  hoist_end(k, &h);
  return affine_var(&k->forms, var, 1);
}

const struct affine *index_within(struct kernel_cg *k,
                                  const struct affine *from, int64_t step,
                                  int64_t extent) {
  assert(step > 0 && step <= extent && "a tile is no longer than its loop");
  const struct affine *at = affine_var(&k->forms, k->scope->var, step);
  int64_t most = extent - step;
  if (affine_is_const(from))
    return affine_add(&k->forms, at, from, 1);
  const struct affine *rest;
  affine_split(&k->forms, from, step, &rest);
  if (!affine_is_const(rest) || rest->c)
    step = 1;
  LLVMValueRef v = index_value(k, affine_add(&k->forms, at, from, 1));
  v = LLVMBuildExactUDiv(k->b, v, index_number(k, false, step), "");
  unsigned var = index_new_var(k, v, 0, most / step, k->scope->depth, false);
  return affine_var(&k->forms, var, step);
}

const struct affine *index_product(struct kernel_cg *k, const struct affine *a,
                                   const struct affine *b,
                                   const struct affine *c) {
  if (affine_is_const(c))
    return affine_add(&k->forms, a, b, c->c);
  if (affine_is_const(b))
    return affine_add(&k->forms, a, c, b->c);
  int depth = b->depth > c->depth ? b->depth : c->depth;
  struct memo_key key = memo_key(k, MEMO_PRODUCT, b->varying, b, c);
  struct memo *found = memo_open(k, &key, depth);
  if (!found) {
    int64_t lo, hi, most;
    affine_range(&k->forms, b, &lo, &hi);
    affine_range(&k->forms, c, &most, &most);
    LLVMValueRef v = index_value(k, b), w = index_value(k, c);
    if (b->varying)
      w = emit_splat(k, w, k->forms.lanes);
    v = LLVMBuildNSWMul(k->b, v, w, "");
    unsigned var = index_new_var(k, v, dn_min(lo * most, 0),
                                 dn_max(hi * most, 0), depth, b->varying);
    found = memo_close(k, &key, v, var);
  }
  return affine_add(&k->forms, a,
                    affine_var(&k->forms, (unsigned)found->extra, 1), 1);
}

const struct affine *index_clamp(struct kernel_cg *k, const struct affine *a,
                                 int64_t dim, const struct ir_size *size) {
  if (!size)
    return affine_clamp(&k->forms, a, dim);
  struct memo_key key = memo_key(k, MEMO_CLAMP, a->varying, a, size);
  struct memo *found = memo_open(k, &key, a->depth);
  if (!found) {
    const struct affine *last =
        affine_plus(&k->forms, index_size(k, dim, size), -1);
    LLVMValueRef v = index_value(k, a), w = index_value(k, last);
    if (a->varying)
      w = emit_splat(k, w, k->forms.lanes);
    v = bounded(k, LLVMIntSLT, v, w);
    v = bounded(k, LLVMIntSGT, v, index_number(k, a->varying, 0));
    unsigned var = index_new_var(k, v, 0, dim - 1, a->depth, a->varying);
    found = memo_close(k, &key, v, var);
  }
  return affine_var(&k->forms, (unsigned)found->extra, 1);
}

const struct affine *index_of_value(struct kernel_cg *k, LLVMValueRef v,
                                    const struct ir_value *from, int depth,
                                    const struct ir_type *type, int d) {
  assert(d >= 0 && d < type->rank && !ir_is_float(from->type->dtype) &&
         "infer: indices are integers");
  bool vector = emit_is_vector(v), inside = emit_is_inside(from, type, d);
  enum ir_dtype dtype = from->type->dtype;
  int64_t dim = type->dim[d];
  unsigned bits = ir_dtypes[dtype].bits;
  unsigned own = (unsigned)k->e->facts->pointer_bytes * 8;
  bool sign = ir_dtypes[dtype].kind == IR_SIGNED;
  LLVMTypeRef wide = emit_vector_type(k, bits > own ? k->e->i64 : k->e->iptr,
                                      vector ? k->forms.lanes : 1);
  v = LLVMBuildIntCast2(k->b, v, wide, sign, "");
  LLVMValueRef last = LLVMConstInt(bits > own ? k->e->i64 : k->e->iptr,
                                   (uint64_t)(dim - 1), true);
  if (type->size[d])
    last = LLVMBuildIntCast2(
        k->b,
        index_value(
            k, affine_plus(&k->forms, index_size(k, dim, type->size[d]), -1)),
        LLVMTypeOf(last), true, "");
  last = vector ? emit_splat(k, last, k->forms.lanes) : last;
  if (sign && !inside)
    v = bounded(k, LLVMIntSGT, v, LLVMConstNull(wide));
  if (!inside)
    v = bounded(k, sign ? LLVMIntSLT : LLVMIntULT, v, last);
  v = LLVMBuildIntCast2(k->b, v, index_type(k, vector), true, "");
  unsigned var = index_new_var(k, v, 0, dn_max(dim - 1, 0), depth, vector);
  return affine_var(&k->forms, var, 1);
}

/* ---- Checks ---- */
static LLVMValueRef check(struct kernel_cg *k, enum memo_kind kind,
                          const struct affine *a, int64_t dim,
                          const struct ir_size *size) {
  struct memo_key key = memo_key(k, kind, a->varying, a, size);
  memo_push(&key, (uint64_t)dim);
  struct memo *found = memo_open(k, &key, a->depth);
  if (found)
    return found->value;
  LLVMValueRef v = index_value(k, a);
  LLVMValueRef to = index_value(k, index_size(k, dim, size));
  LLVMValueRef ok =
      LLVMBuildICmp(k->b, kind == MEMO_ZERO ? LLVMIntEQ : LLVMIntULT, v,
                    a->varying ? emit_splat(k, to, k->forms.lanes) : to, "");
  return memo_close(k, &key, ok, 0)->value;
}

LLVMValueRef index_inside(struct kernel_cg *k, const struct affine *a,
                          int64_t dim, const struct ir_size *size) {
  int64_t lo, hi;
  affine_range(&k->forms, a, &lo, &hi);
  if (lo >= 0 && hi < dim && !size)
    return NULL;
  if (hi < 0 || lo >= dim)
    return LLVMConstInt(k->e->i1, 0, false);
  return check(k, MEMO_INSIDE, a, dim, size);
}

LLVMValueRef index_is_zero(struct kernel_cg *k, const struct affine *a) {
  int64_t lo, hi;
  affine_range(&k->forms, a, &lo, &hi);
  if (!lo && !hi)
    return NULL;
  return check(k, MEMO_ZERO, a, 0, NULL);
}

LLVMValueRef index_and(struct kernel_cg *k, LLVMValueRef a, LLVMValueRef b,
                       int depth) {
  if (!a || !b)
    return a ? a : b;
  struct memo_key key = memo_key(k, MEMO_AND, false, a, b);
  struct memo *found = memo_open(k, &key, depth);
  if (found)
    return found->value;
  unsigned lanes = emit_lanes(k, a, b);
  LLVMValueRef both =
      LLVMBuildAnd(k->b, emit_splat(k, a, lanes), emit_splat(k, b, lanes), "");
  return memo_close(k, &key, both, 0)->value;
}
