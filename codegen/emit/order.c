/* order.c - orders (NEST_NTH): the indices of the first k elements of a
 * row, in the row's own place of the result and no other memory.
 *
 * Elements become integers, codes, that compare as they stand in the order, the
 * index included: no two are equal, so what is not stable by itself is stable
 * here. The k places are a heap whose root is the last of those kept. Every
 * further element is held against the root and replaces it when it stands
 * before it; then the root is taken out k times, to the last place first:
 * n + k log k + (replaced) log k comparisons, no recursion, and a frame that is
 * known. More than a few places are parted first, as quicksort does, until each
 * heap is small. Why so: docs/decisions/0007-one-heap.md. */
#include "codegen/emit/impl.h"

#include <assert.h>

/* More places than FEW are parted, into chunks of at most CHUNK: branches of a
 * heap depend on its elements, and small heaps have few. */
enum { FEW = 256, CHUNK = 8 };

struct order { /* a function being built */
  struct kernel_cg *k;
  const struct nest *n;
  const struct ir_type *type; /* of the elements */
  enum ir_dtype key;          /* what they are compared as */
  uint64_t splat;             /* their bits where they have no memory */
  bool is_splat;
  int64_t count, places;  /* elements; those wanted */
  int64_t xstep, ystep;   /* bytes from one to the next */
  LLVMTypeRef code, cell; /* an element's code; i32 */
  LLVMValueRef fn, sift, chunk, x, y;
};

static LLVMBasicBlockRef block(struct order *o, const char *name) {
  return LLVMAppendBasicBlockInContext(o->k->e->lc, o->fn, name);
}

static LLVMValueRef element(struct order *o, LLVMValueRef base, LLVMValueRef i,
                            int64_t step) {
  LLVMBuilderRef b = o->k->b;
  LLVMValueRef at = LLVMBuildNSWMul(b, i, emit_iptr(o->k->e, step), "");
  return LLVMBuildGEP2(b, o->k->e->i8, base, &at, 1, "");
}

static LLVMValueRef get(struct order *o, LLVMValueRef place) {
  LLVMValueRef v =
      LLVMBuildLoad2(o->k->b, o->cell, element(o, o->y, place, o->ystep), "");
  LLVMSetAlignment(v, 4);
  return LLVMBuildZExtOrBitCast(o->k->b, v, o->k->e->iptr, "");
}

static void set(struct order *o, LLVMValueRef place, LLVMValueRef i) {
  i = LLVMBuildTruncOrBitCast(o->k->b, i, o->cell, "");
  LLVMValueRef s =
      LLVMBuildStore(o->k->b, i, element(o, o->y, place, o->ystep));
  LLVMSetAlignment(s, 4);
}

/* A type of a whole number of bytes that has the same order: floats of a byte
 * have infinity and NaN where each format has them, f32 has all their numbers. */
static enum ir_dtype key_of(enum ir_dtype t) {
  if (ir_is_small_float(t) && t != IR_F16 && t != IR_BF16)
    return IR_F32;
  if (ir_dtypes[t].bits < 8)
    return ir_dtypes[t].kind == IR_SIGNED ? IR_I8 : IR_U8;
  return t;
}

static LLVMTypeRef bits_type(struct order *o, enum ir_dtype t, unsigned lanes) {
  return emit_vector_type(
      o->k, LLVMIntTypeInContext(o->k->e->lc, 8 * ir_dtypes[t].bytes), lanes);
}

static LLVMValueRef key_const(struct order *o, uint64_t v, unsigned lanes) {
  return emit_splat(o->k, LLVMConstInt(bits_type(o, o->key, 1), v, false),
                    lanes);
}

/* Bits of a float as an integer that compares like it: below 0 the magnitude
 * counts down, so that both zeros are 0; NaN is the greatest. */
static LLVMValueRef float_key(struct order *o, LLVMValueRef bits,
                              unsigned lanes) {
  LLVMBuilderRef b = o->k->b;
  uint64_t sign = UINT64_C(1) << (ir_dtypes[o->key].bits - 1), inf = 0;
  ir_store_float(o->key, &inf, __builtin_inf());
  LLVMValueRef least = key_const(o, sign, lanes);
  LLVMValueRef most = key_const(o, sign - 1, lanes);
  LLVMValueRef down = LLVMBuildSub(b, least, bits, "");
  LLVMValueRef below =
      LLVMBuildICmp(b, LLVMIntSLT, bits, key_const(o, 0, lanes), "");
  LLVMValueRef size = LLVMBuildAnd(b, bits, most, "");
  LLVMValueRef nan =
      LLVMBuildICmp(b, LLVMIntUGT, size, key_const(o, inf, lanes), "");
  return LLVMBuildSelect(b, nan, most,
                         LLVMBuildSelect(b, below, down, bits, ""), "");
}

/* The bits in memory of `lanes` elements from the i-th on. */
static LLVMValueRef load_bits(struct order *o, LLVMValueRef i, unsigned lanes) {
  LLVMBuilderRef b = o->k->b;
  enum ir_dtype d = o->type->dtype;
  LLVMTypeRef all = bits_type(o, d, lanes);
  if (o->is_splat)
    return emit_splat(o->k, LLVMConstInt(bits_type(o, d, 1), o->splat, false),
                      lanes);
  if (lanes == 1 || o->xstep == ir_dtypes[d].bytes) {
    LLVMValueRef v = LLVMBuildLoad2(b, all, element(o, o->x, i, o->xstep), "");
    LLVMSetAlignment(v, ir_dtypes[d].bytes);
    return v;
  }
  LLVMValueRef v = LLVMGetPoison(all);
  for (unsigned lane = 0; lane < lanes; lane++) {
    LLVMValueRef at = LLVMBuildAdd(b, i, emit_iptr(o->k->e, lane), "");
    v = emit_with_lane(o->k, v, lane, load_bits(o, at, 1));
  }
  return v;
}

/* Integers that are the greater the earlier the elements from the i-th on stand,
 * but for the index. */
static LLVMValueRef keys_of(struct order *o, LLVMValueRef i, unsigned lanes) {
  LLVMBuilderRef b = o->k->b;
  LLVMValueRef key = load_bits(o, i, lanes);
  if (o->key == IR_F32 && o->type->dtype != IR_F32)
    key = LLVMBuildBitCast(b, emit_from_mem(o->k, o->type->dtype, key),
                           bits_type(o, o->key, lanes), "");
  if (ir_is_float(o->key))
    key = float_key(o, key, lanes);
  else if (ir_dtypes[o->key].kind != IR_SIGNED)
    key = LLVMBuildXor(
        b, key,
        key_const(o, UINT64_C(1) << (ir_dtypes[o->key].bits - 1), lanes), "");
  return o->n->back ? LLVMBuildNot(b, key, "") : key;
}

/* The code of element i. */
static LLVMValueRef code_of(struct order *o, LLVMValueRef i) {
  LLVMBuilderRef b = o->k->b;
  LLVMValueRef key = LLVMBuildSExtOrBitCast(b, keys_of(o, i, 1), o->code, "");
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
  LLVMValueRef one = emit_iptr(o->k->e, 1), own = code_of(o, item);
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

static struct counted loop(struct order *o, LLVMValueRef from) {
  LLVMBuilderRef b = o->k->b;
  struct counted c = {.head = block(o, "loop")};
  LLVMBasicBlockRef before = LLVMGetInsertBlock(b);
  LLVMBuildBr(b, c.head);
  LLVMPositionBuilderAtEnd(b, c.head);
  c.i = phi(o, from, before);
  return c;
}

static void loop_end(struct order *o, struct counted c, int64_t by,
                     LLVMValueRef to) {
  LLVMBuilderRef b = o->k->b;
  LLVMBasicBlockRef latch = LLVMGetInsertBlock(b), after = block(o, "after");
  LLVMValueRef next = LLVMBuildAdd(b, c.i, emit_iptr(o->k->e, by), "");
  LLVMValueRef more = LLVMBuildICmp(b, LLVMIntNE, next, to, "");
  LLVMBuildCondBr(b, more, c.head, after);
  LLVMAddIncoming(c.i, &next, &latch, 1);
  LLVMPositionBuilderAtEnd(b, after);
}

/* Elements [from, to) behind the first `places`, each against the root, whose
 * code is given; returns the root's code then. */
static LLVMValueRef take(struct order *o, LLVMValueRef from, LLVMValueRef to,
                         LLVMValueRef root) {
  LLVMBuilderRef b = o->k->b;
  LLVMValueRef zero = emit_iptr(o->k->e, 0);
  LLVMBasicBlockRef before = LLVMGetInsertBlock(b);
  struct counted c = loop(o, from);
  LLVMValueRef last = phi(o, root, before);
  LLVMBasicBlockRef kept = block(o, "kept"), on = block(o, "on");
  LLVMBuildCondBr(b, less(o, last, code_of(o, c.i)), kept, on);
  LLVMPositionBuilderAtEnd(b, kept);
  sift(o, zero, emit_iptr(o->k->e, o->places), c.i);
  root = code_of(o, get(o, zero));
  LLVMBuildBr(b, on);
  LLVMPositionBuilderAtEnd(b, on);
  LLVMValueRef now = phi(o, last, c.head);
  LLVMAddIncoming(now, &root, &kept, 1);
  LLVMAddIncoming(last, &now, &on, 1);
  loop_end(o, c, 1, to);
  return now;
}

/* take() of all, `vec` at once: where none of a vector has a greater key than
 * the root, none is kept, since of equal keys the first stands first. */
static void take_others(struct order *o) {
  LLVMBuilderRef b = o->k->b;
  int64_t vec = o->k->sched.vec, from = o->places;
  if (vec > 1)
    from = o->count - (o->count - o->places) % vec;
  LLVMValueRef root = code_of(o, get(o, emit_iptr(o->k->e, 0)));
  if (from > o->places) {
    LLVMBasicBlockRef before = LLVMGetInsertBlock(b);
    struct counted c = loop(o, emit_iptr(o->k->e, o->places));
    LLVMValueRef last = phi(o, root, before);
    LLVMBasicBlockRef some = block(o, "some"), none = block(o, "none");
    LLVMValueRef key = LLVMBuildTrunc(
        b, LLVMBuildAShr(b, last, LLVMConstInt(o->code, 32, false), ""),
        bits_type(o, o->key, 1), "");
    LLVMValueRef kept =
        LLVMBuildICmp(b, LLVMIntSGT, keys_of(o, c.i, (unsigned)vec),
                      emit_splat(o->k, key, (unsigned)vec), "");
    LLVMTypeRef t = LLVMTypeOf(kept);
    kept = emit_intrinsic(o->k, "llvm.vector.reduce.or", &t, 1, &kept, 1);
    LLVMBuildCondBr(b, kept, some, none);
    LLVMPositionBuilderAtEnd(b, some);
    LLVMValueRef to = LLVMBuildAdd(b, c.i, emit_iptr(o->k->e, vec), "");
    LLVMValueRef now = take(o, c.i, to, last);
    LLVMBasicBlockRef taken = LLVMGetInsertBlock(b);
    LLVMBuildBr(b, none);
    LLVMPositionBuilderAtEnd(b, none);
    root = phi(o, last, c.head);
    LLVMAddIncoming(root, &now, &taken, 1);
    LLVMAddIncoming(last, &root, &none, 1);
    loop_end(o, c, vec, emit_iptr(o->k->e, from));
  }
  if (from < o->count)
    take(o, emit_iptr(o->k->e, from), emit_iptr(o->k->e, o->count), root);
}

/* Makes y[0, size) a heap; and takes its root out, size - 1 times: what stands
 * first comes to y[0]. There are two elements or more. */
static void build_heap(struct order *o, LLVMValueRef size) {
  LLVMBuilderRef b = o->k->b;
  LLVMValueRef one = emit_iptr(o->k->e, 1);
  LLVMValueRef half = LLVMBuildLShr(b, size, one, "");
  struct counted c = loop(o, LLVMBuildSub(b, half, one, ""));
  sift(o, c.i, size, get(o, c.i));
  loop_end(o, c, -1, emit_iptr(o->k->e, -1));
}

static void take_out(struct order *o, LLVMValueRef size) {
  LLVMBuilderRef b = o->k->b;
  LLVMValueRef zero = emit_iptr(o->k->e, 0);
  struct counted c = loop(o, LLVMBuildSub(b, size, emit_iptr(o->k->e, 1), ""));
  LLVMValueRef item = get(o, c.i);
  set(o, c.i, get(o, zero));
  sift(o, zero, c.i, item);
  loop_end(o, c, -1, zero);
}

/* ---- Long orders ---- */

/* The greater of two codes; with `least` the smaller. */
static LLVMValueRef greater_of(struct order *o, LLVMValueRef a, LLVMValueRef b,
                               bool least) {
  LLVMValueRef c = less(o, a, b);
  return LLVMBuildSelect(o->k->b, c, least ? a : b, least ? b : a, "");
}

/* Puts the median of the first, the middle and the last place of y[lo, hi) at
 * `lo`, and the other two at the places that are left. Returns the median's
 * code; an index is what a code ends in, inverted. */
static LLVMValueRef take_median(struct order *o, LLVMValueRef lo,
                                LLVMValueRef hi) {
  LLVMBuilderRef b = o->k->b;
  LLVMValueRef one = emit_iptr(o->k->e, 1);
  LLVMValueRef mid = LLVMBuildLShr(b, LLVMBuildAdd(b, lo, hi, ""), one, "");
  LLVMValueRef at[] = {lo, mid, LLVMBuildSub(b, hi, one, "")}, code[3];
  for (int i = 0; i < 3; i++)
    code[i] = code_of(o, get(o, at[i]));
  LLVMValueRef top = greater_of(o, code[0], code[1], false);
  LLVMValueRef low = greater_of(o, code[0], code[1], true);
  LLVMValueRef under = greater_of(o, top, code[2], true);
  code[1] = greater_of(o, top, code[2], false);
  code[0] = greater_of(o, low, under, false);
  code[2] = greater_of(o, low, under, true);
  for (int i = 0; i < 3; i++) {
    LLVMValueRef end = LLVMBuildTruncOrBitCast(b, code[i], o->cell, "");
    set(o, at[i], LLVMBuildNot(b, end, ""));
  }
  return code[0];
}

/* Parts y[lo, hi) around its median of three, whose place it returns: below it
 * is what stands before the median. The median waits at `lo`, and each element
 * changes places with the first of those that stand behind it, of which there
 * then is one less where the element stands before it: no branch depends on an
 * element (N. Lomuto's partition). */
static LLVMValueRef part(struct order *o, LLVMValueRef lo, LLVMValueRef hi) {
  LLVMBuilderRef b = o->k->b;
  LLVMValueRef one = emit_iptr(o->k->e, 1), median = take_median(o, lo, hi);
  LLVMBasicBlockRef before = LLVMGetInsertBlock(b);
  struct counted c = loop(o, LLVMBuildAdd(b, lo, one, ""));
  LLVMValueRef last = phi(o, lo, before), item = get(o, c.i);
  LLVMValueRef next = LLVMBuildAdd(b, last, one, "");
  LLVMValueRef is_before = less(o, median, code_of(o, item));
  set(o, c.i, get(o, next));
  set(o, next, item);
  next = LLVMBuildSelect(b, is_before, next, last, "");
  LLVMBasicBlockRef latch = LLVMGetInsertBlock(b);
  LLVMAddIncoming(last, &next, &latch, 1);
  loop_end(o, c, 1, hi);
  item = get(o, lo);
  set(o, lo, get(o, next));
  set(o, next, item);
  return next;
}

/* chunk(x, y, size): orders y[0, size). */
static void make_chunk(struct order *o, const char *name) {
  LLVMBuilderRef outer = begin(o, name, 1), b = o->k->b;
  LLVMValueRef size = LLVMGetParam(o->fn, 2);
  LLVMBasicBlockRef some = block(o, "some"), done = block(o, "done");
  LLVMValueRef few =
      LLVMBuildICmp(b, LLVMIntULT, size, emit_iptr(o->k->e, 2), "");
  LLVMBuildCondBr(b, few, done, some);
  LLVMPositionBuilderAtEnd(b, some);
  build_heap(o, size);
  take_out(o, size);
  LLVMBuildBr(b, done);
  LLVMPositionBuilderAtEnd(b, done);
  end(o, outer);
  o->chunk = o->fn;
}

static LLVMValueRef cell_of(struct order *o, LLVMValueRef stack,
                            LLVMValueRef at, int64_t k) {
  LLVMBuilderRef b = o->k->b;
  at = LLVMBuildMul(b, at, emit_iptr(o->k->e, 3), "");
  at = LLVMBuildAdd(b, at, emit_iptr(o->k->e, k), "");
  return LLVMBuildGEP2(b, o->k->e->iptr, stack, &at, 1, "");
}

/* Parts the places until each part is a chunk, or `depth` times:
 * then the heap is as good. The parts to come are on a stack, `depth` at most,
 * since each has been parted less often than the one above it. */
static void order_parts(struct order *o, LLVMValueRef stack, int64_t depth) {
  LLVMBuilderRef b = o->k->b;
  LLVMTypeRef t = o->k->e->iptr;
  LLVMValueRef zero = emit_iptr(o->k->e, 0), one = emit_iptr(o->k->e, 1), v[4],
               w[4];
  LLVMValueRef first[] = {zero, emit_iptr(o->k->e, o->places),
                          emit_iptr(o->k->e, depth), zero};
  LLVMBasicBlockRef before = LLVMGetInsertBlock(b), head = block(o, "range"),
                    cut = block(o, "cut"), whole = block(o, "whole"),
                    next = block(o, "next"), done = block(o, "ordered");
  LLVMBuildBr(b, head);
  LLVMPositionBuilderAtEnd(b, head);
  for (int k = 0; k < 4; k++) /* from, to, depth, number on the stack */
    v[k] = phi(o, first[k], before);
  LLVMValueRef size = LLVMBuildSub(b, v[1], v[0], "");
  LLVMValueRef large =
      LLVMBuildICmp(b, LLVMIntUGT, size, emit_iptr(o->k->e, CHUNK), "");
  LLVMValueRef may = LLVMBuildICmp(b, LLVMIntNE, v[2], zero, "");
  LLVMBuildCondBr(b, LLVMBuildAnd(b, large, may, ""), cut, whole);
  LLVMPositionBuilderAtEnd(b, cut);
  LLVMValueRef median = part(o, v[0], v[1]);
  w[0] = LLVMBuildAdd(b, median, one, "");
  w[1] = v[1];
  w[2] = LLVMBuildSub(b, v[2], one, "");
  w[3] = LLVMBuildAdd(b, v[3], one, "");
  for (int k = 0; k < 3; k++)
    LLVMBuildStore(b, w[k], cell_of(o, stack, v[3], k));
  LLVMBasicBlockRef from = LLVMGetInsertBlock(b);
  LLVMValueRef left[] = {v[0], median, w[2], w[3]};
  LLVMBuildBr(b, head);
  for (int k = 0; k < 4; k++)
    LLVMAddIncoming(v[k], &left[k], &from, 1);
  LLVMPositionBuilderAtEnd(b, whole);
  LLVMValueRef args[] = {o->x, element(o, o->y, v[0], o->ystep), size};
  LLVMBuildCall2(b, LLVMGlobalGetValueType(o->chunk), o->chunk, args, 3, "");
  LLVMBuildCondBr(b, LLVMBuildICmp(b, LLVMIntEQ, v[3], zero, ""), done, next);
  LLVMPositionBuilderAtEnd(b, next);
  w[3] = LLVMBuildSub(b, v[3], one, "");
  for (int k = 0; k < 3; k++)
    w[k] = LLVMBuildLoad2(b, t, cell_of(o, stack, w[3], k), "");
  LLVMBuildBr(b, head);
  for (int k = 0; k < 4; k++)
    LLVMAddIncoming(v[k], &w[k], &next, 1);
  LLVMPositionBuilderAtEnd(b, done);
}

/* order(x, y): one row. */
static void make_order(struct order *o, const char *name) {
  LLVMBuilderRef outer = begin(o, name, 0);
  LLVMValueRef all = emit_iptr(o->k->e, o->places), stack = NULL;
  int64_t depth = 2;
  for (int64_t n = o->places; n > CHUNK; n /= 2)
    depth += 2;
  if (o->chunk)
    stack = LLVMBuildArrayAlloca(
        o->k->b, o->k->e->iptr,
        LLVMConstInt(o->k->e->i32, (uint64_t)(3 * depth), false), "parts");
  struct counted c = loop(o, emit_iptr(o->k->e, 0));
  set(o, c.i, c.i);
  loop_end(o, c, 1, all);
  if (o->places > 1 && (o->places < o->count || !o->chunk))
    build_heap(o, all);
  if (o->places < o->count)
    take_others(o);
  if (o->chunk)
    order_parts(o, stack, depth);
  else if (o->places > 1)
    take_out(o, all);
  end(o, outer);
}

static LLVMValueRef function_of(struct order *o) {
  struct kernel_cg *k = o->k;
  size_t n;
  const char *kernel = LLVMGetValueName2(k->fn, &n);
  make_sift(o, dn_printf(k->e->scratch, "%.*s.sift", (int)n, kernel));
  if (o->places > FEW)
    make_chunk(o, dn_printf(k->e->scratch, "%.*s.chunk", (int)n, kernel));
  make_order(o, dn_printf(k->e->scratch, "%.*s.order", (int)n, kernel));
  return o->fn;
}

void emit_order(struct kernel_cg *k, const struct ir_value *v,
                const struct ir_place *out, const struct affine *const *idx) {
  const struct nest *n = kernel_nest(k, v->def);
  const struct ir_value *x = ir_arg(v->def, 0);
  int d = n->carried;
  assert(d >= 0 && v->type->dim[d] <= x->type->dim[d] &&
         "infer: no more places than elements");
  struct ir_place from = emit_place(x);
  if ((from.dense && from.stride[d] > 1) ||
      (out->dense && out->stride[d] > 1)) {
    emit_fail(k, DN_DIM,
              "what is sorted lies apart by a size that is known at "
              "run time only");
    return;
  }
  struct order o = {.k = k, .n = n, .type = x->type};
  o.key = key_of(x->type->dtype);
  o.is_splat = x->data && !x->data->bytes;
  o.splat = o.is_splat ? x->data->splat : 0;
  o.count = x->type->dim[d];
  o.places = v->type->dim[d];
  o.xstep = from.stride[d] * ir_dtypes[x->type->dtype].bytes;
  o.ystep = out->stride[d] * ir_dtypes[v->type->dtype].bytes;
  o.code =
      LLVMIntTypeInContext(k->e->lc, ir_dtypes[o.key].bits > 32 ? 128 : 64);
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
