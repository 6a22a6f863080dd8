/* emit_order.c - orders (NEST_NTH): the indices of the first k elements of a
 * row, in the row's own place of the result and no other memory.
 *
 * Elements become integers, codes, that compare as they stand in the order, the
 * index included: no two are equal, so what is not stable by itself is stable
 * here. The k places are a heap whose root is the last of those kept. Every
 * further element is held against the root and replaces it when it stands
 * before it; then the root is taken out k times, to the last place first:
 * n + k log k + (replaced) log k comparisons, no recursion, and a frame that is
 * known. Why so: docs/decisions/0007-one-heap.md. */
#include "codegen/emit_impl.h"

struct order { /* a function being built */
  struct kern *k;
  const struct nest *n;
  const struct ir_type *type; /* of the elements */
  uint64_t splat;             /* their bits where they have no memory */
  bool is_splat;
  int64_t count, places;      /* elements; those wanted */
  int64_t xstep, ystep;       /* bytes from one to the next */
  LLVMTypeRef code, cell;     /* an element's code; i32 */
  LLVMValueRef fn, sift, x, y;
  LLVMTypeRef sift_type;
};

static LLVMValueRef index_const(struct order *o, int64_t v) {
  return LLVMConstInt(o->k->e->iptr, (uint64_t)v, true);
}

static LLVMBasicBlockRef block(struct order *o, const char *name) {
  return LLVMAppendBasicBlockInContext(o->k->e->lc, o->fn, name);
}

static LLVMValueRef element(struct order *o, LLVMValueRef base, LLVMValueRef i,
                            int64_t step) {
  LLVMBuilderRef b = o->k->b;
  LLVMValueRef at = LLVMBuildNSWMul(b, i, index_const(o, step), "");
  return LLVMBuildGEP2(b, o->k->e->i8, base, &at, 1, "");
}

static LLVMValueRef get(struct order *o, LLVMValueRef place) {
  LLVMValueRef v = LLVMBuildLoad2(o->k->b, o->cell,
                                  element(o, o->y, place, o->ystep), "");
  LLVMSetAlignment(v, 4);
  return LLVMBuildZExtOrBitCast(o->k->b, v, o->k->e->iptr, "");
}

static void set(struct order *o, LLVMValueRef place, LLVMValueRef i) {
  i = LLVMBuildTruncOrBitCast(o->k->b, i, o->cell, "");
  LLVMValueRef s =
      LLVMBuildStore(o->k->b, i, element(o, o->y, place, o->ystep));
  LLVMSetAlignment(s, 4);
}

/* Bits of a float as an integer that compares like it: below 0 the magnitude
 * counts down, so that both zeros are 0; NaN is the greatest. */
static LLVMValueRef float_key(struct order *o, LLVMValueRef bits) {
  LLVMBuilderRef b = o->k->b;
  LLVMTypeRef t = LLVMTypeOf(bits);
  unsigned width = ir_dtypes[o->type->dtype].bits;
  uint64_t sign = UINT64_C(1) << (width - 1), inf = 0;
  ir_store_float(o->type->dtype, &inf, __builtin_inf());
  LLVMValueRef zero = LLVMConstNull(t), least = LLVMConstInt(t, sign, false);
  LLVMValueRef down = LLVMBuildSub(b, least, bits, "");
  LLVMValueRef below = LLVMBuildICmp(b, LLVMIntSLT, bits, zero, "");
  LLVMValueRef size =
      LLVMBuildAnd(b, bits, LLVMConstInt(t, sign - 1, false), "");
  LLVMValueRef nan = LLVMBuildICmp(b, LLVMIntUGT, size,
                                   LLVMConstInt(t, inf, false), "");
  return LLVMBuildSelect(b, nan, LLVMConstInt(t, sign - 1, false),
                         LLVMBuildSelect(b, below, down, bits, ""), "");
}

/* An integer that is the greater the earlier element i stands. */
static LLVMValueRef code_of(struct order *o, LLVMValueRef i) {
  LLVMBuilderRef b = o->k->b;
  enum ir_dtype d = o->type->dtype;
  LLVMTypeRef t = LLVMIntTypeInContext(o->k->e->lc, ir_dtypes[d].bits);
  LLVMValueRef key = LLVMConstInt(t, o->splat, false);
  if (!o->is_splat) {
    key = LLVMBuildLoad2(b, t, element(o, o->x, i, o->xstep), "");
    LLVMSetAlignment(key, ir_dtypes[d].bytes);
  }
  if (ir_is_float(d))
    key = float_key(o, key);
  else if (ir_dtypes[d].kind != IR_SIGNED)
    key = LLVMBuildXor(
        b, key,
        LLVMConstInt(t, UINT64_C(1) << (ir_dtypes[d].bits - 1), false), "");
  if (o->n->back)
    key = LLVMBuildNot(b, key, "");
  key = LLVMBuildSExtOrBitCast(b, key, o->code, "");
  key = LLVMBuildShl(b, key, LLVMConstInt(o->code, 32, false), "");
  i = LLVMBuildTruncOrBitCast(b, i, o->cell, "");
  i = LLVMBuildZExt(b, LLVMBuildNot(b, i, ""), o->code, "");
  return LLVMBuildOr(b, key, i, "");
}

static LLVMValueRef less(struct order *o, LLVMValueRef a, LLVMValueRef b) {
  return LLVMBuildICmp(o->k->b, LLVMIntSLT, a, b, "");
}

static LLVMValueRef phi(struct order *o, LLVMValueRef first,
                        LLVMBasicBlockRef from) {
  LLVMValueRef p = LLVMBuildPhi(o->k->b, LLVMTypeOf(first), "");
  LLVMAddIncoming(p, &first, &from, 1);
  return p;
}

/* A function of the pointers and `n` numbers, being built until end(). */
static LLVMBuilderRef begin(struct order *o, const char *name, unsigned n) {
  struct emit *e = o->k->e;
  LLVMTypeRef params[] = {e->ptr, e->ptr, e->iptr, e->iptr, e->iptr};
  LLVMTypeRef type = LLVMFunctionType(e->void_, params, 2 + n, false);
  LLVMBuilderRef outer = o->k->b;
  o->fn = LLVMAddFunction(e->mod, name, type);
  emit_function_attributes(e, o->fn, name);
  emit_attribute(e, o->fn, LLVMAttributeFunctionIndex, "noinline", 0);
  o->x = LLVMGetParam(o->fn, 0);
  o->y = LLVMGetParam(o->fn, 1);
  o->k->b = LLVMCreateBuilderInContext(e->lc);
  LLVMPositionBuilderAtEnd(o->k->b, block(o, "entry"));
  return outer;
}

static void end(struct order *o, LLVMBuilderRef outer) {
  LLVMBuildRetVoid(o->k->b);
  LLVMDisposeBuilder(o->k->b);
  o->k->b = outer;
}

/* sift(x, y, place, size, item): `item` goes into the heap y[0, size) from
 * `place` down, where there is a hole; what stands later comes up. */
static void make_sift(struct order *o, const char *name) {
  LLVMBuilderRef outer = begin(o, name, 3), b = o->k->b;
  LLVMValueRef size = LLVMGetParam(o->fn, 3), item = LLVMGetParam(o->fn, 4);
  LLVMValueRef one = index_const(o, 1), own = code_of(o, item);
  LLVMBasicBlockRef entry = LLVMGetInsertBlock(b), head = block(o, "hole"),
                    two = block(o, "children"), up = block(o, "up"),
                    done = block(o, "done");
  LLVMBuildBr(b, head);
  LLVMPositionBuilderAtEnd(b, head);
  LLVMValueRef place = phi(o, LLVMGetParam(o->fn, 2), entry);
  LLVMValueRef left = LLVMBuildAdd(b, LLVMBuildShl(b, place, one, ""), one, "");
  LLVMBuildCondBr(b, LLVMBuildICmp(b, LLVMIntULT, left, size, ""), two, done);
  LLVMPositionBuilderAtEnd(b, two);
  LLVMValueRef right = LLVMBuildAdd(b, left, one, "");
  LLVMValueRef none = LLVMBuildICmp(b, LLVMIntUGE, right, size, "");
  right = LLVMBuildSelect(b, none, left, right, "");
  LLVMValueRef l = get(o, left), r = get(o, right);
  LLVMValueRef lc = code_of(o, l), rc = code_of(o, r), later = less(o, rc, lc);
  LLVMValueRef child = LLVMBuildSelect(b, later, right, left, "");
  LLVMValueRef last = LLVMBuildSelect(b, later, r, l, "");
  LLVMValueRef code = LLVMBuildSelect(b, later, rc, lc, "");
  LLVMBuildCondBr(b, less(o, code, own), up, done);
  LLVMPositionBuilderAtEnd(b, up);
  set(o, place, last);
  LLVMBuildBr(b, head);
  LLVMAddIncoming(place, &child, &up, 1);
  LLVMPositionBuilderAtEnd(b, done);
  set(o, place, item);
  end(o, outer);
  o->sift = o->fn;
}

static void sift(struct order *o, LLVMValueRef place, LLVMValueRef size,
                 LLVMValueRef item) {
  LLVMValueRef args[] = {o->x, o->y, place, size, item};
  LLVMBuildCall2(o->k->b, LLVMGlobalGetValueType(o->sift), o->sift, args, 5,
                 "");
}

/* A loop of i from `from` to before `to`, by 1 or -1; not empty. */
struct counted {
  LLVMBasicBlockRef head;
  LLVMValueRef i;
};

static struct counted loop(struct order *o, int64_t from) {
  LLVMBuilderRef b = o->k->b;
  struct counted c = {.head = block(o, "loop")};
  LLVMBasicBlockRef before = LLVMGetInsertBlock(b);
  LLVMBuildBr(b, c.head);
  LLVMPositionBuilderAtEnd(b, c.head);
  c.i = phi(o, index_const(o, from), before);
  return c;
}

static void loop_end(struct order *o, struct counted c, int64_t by,
                     int64_t to) {
  LLVMBuilderRef b = o->k->b;
  LLVMBasicBlockRef latch = LLVMGetInsertBlock(b), after = block(o, "after");
  LLVMValueRef next = LLVMBuildAdd(b, c.i, index_const(o, by), "");
  LLVMValueRef more =
      LLVMBuildICmp(b, LLVMIntNE, next, index_const(o, to), "");
  LLVMBuildCondBr(b, more, c.head, after);
  LLVMAddIncoming(c.i, &next, &latch, 1);
  LLVMPositionBuilderAtEnd(b, after);
}

/* Elements behind the first `places`, each against the root. */
static void take_others(struct order *o) {
  LLVMBuilderRef b = o->k->b;
  LLVMValueRef zero = index_const(o, 0);
  LLVMValueRef root = code_of(o, get(o, zero));
  LLVMBasicBlockRef before = LLVMGetInsertBlock(b);
  struct counted c = loop(o, o->places);
  LLVMValueRef last = phi(o, root, before);
  LLVMBasicBlockRef take = block(o, "take"), on = block(o, "on");
  LLVMBuildCondBr(b, less(o, last, code_of(o, c.i)), take, on);
  LLVMPositionBuilderAtEnd(b, take);
  sift(o, zero, index_const(o, o->places), c.i);
  root = code_of(o, get(o, zero));
  LLVMBuildBr(b, on);
  LLVMPositionBuilderAtEnd(b, on);
  LLVMValueRef now = phi(o, last, c.head);
  LLVMAddIncoming(now, &root, &take, 1);
  LLVMAddIncoming(last, &now, &on, 1);
  loop_end(o, c, 1, o->count);
}

/* order(x, y): one row. */
static void make_order(struct order *o, const char *name) {
  LLVMBuilderRef outer = begin(o, name, 0);
  LLVMValueRef zero = index_const(o, 0), all = index_const(o, o->places);
  struct counted c = loop(o, 0);
  set(o, c.i, c.i);
  loop_end(o, c, 1, o->places);
  if (o->places > 1) {
    c = loop(o, o->places / 2 - 1);
    sift(o, c.i, all, get(o, c.i));
    loop_end(o, c, -1, -1);
  }
  if (o->places < o->count)
    take_others(o);
  if (o->places > 1) {
    c = loop(o, o->places - 1);
    LLVMValueRef item = get(o, c.i);
    set(o, c.i, get(o, zero));
    sift(o, zero, c.i, item);
    loop_end(o, c, -1, 0);
  }
  end(o, outer);
}

static LLVMValueRef function_of(struct order *o) {
  struct kern *k = o->k;
  size_t n;
  const char *kernel = LLVMGetValueName2(k->fn, &n);
  make_sift(o, dn_printf(k->e->scratch, "%.*s.sift", (int)n, kernel));
  make_order(o, dn_printf(k->e->scratch, "%.*s.order", (int)n, kernel));
  return o->fn;
}

void emit_order(struct kern *k, const struct ir_value *v,
                const struct ir_place *out, const struct lin *const *idx) {
  const struct nest *n = kern_nest(k, v->def);
  const struct ir_value *x = ir_arg(v->def, 0);
  int d = n->carried;
  unsigned bits = ir_dtypes[x->type->dtype].bits;
  struct ir_place from;
  if (!ir_place_of(x, &from)) {
    emit_fail(k, DN_INTERNAL, "a value that a kernel reads has no place");
    return;
  }
  struct order o = {.k = k, .n = n, .type = x->type};
  o.is_splat = x->data && !x->data->bytes;
  o.splat = o.is_splat ? x->data->splat : 0;
  o.count = x->type->dim[d];
  o.places = v->type->dim[d];
  o.xstep = from.stride[d] * ir_dtypes[x->type->dtype].bytes;
  o.ystep = out->stride[d] * ir_dtypes[v->type->dtype].bytes;
  o.code = LLVMIntTypeInContext(k->e->lc, bits > 32 ? 128 : 64);
  o.cell = k->e->i32;
  int rank = x->type->rank;
  LLVMValueRef args[2] = {LLVMConstNull(k->e->ptr)};
  if (!o.is_splat)
    args[0] =
        emit_pointer(k, x->type, &from, emit_address(k, &from, rank, idx));
  args[1] = emit_pointer(k, v->type, out, emit_address(k, out, rank, idx));
  LLVMValueRef fn = function_of(&o);
  LLVMBuildCall2(k->b, LLVMGlobalGetValueType(fn), fn, args, 2, "");
}
