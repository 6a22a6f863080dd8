/* load.c - memory: addresses by levels of the loop nest, so that what an
 * inner loop adds is one counter and one immediate; loads of rows; loads that
 * may fall outside of their tensor, and read a block of equal elements instead;
 * stores. */
#include "codegen/emit/impl.h"

#include <assert.h>
#include <string.h>

/* Bytes of a cache line, which part of the distance is the near one, and where
 * lines go. */
enum { LINE = 64, NEAR = 4, TO_L2 = 2, TO_L1 = 3 };

const struct affine *emit_address(struct kernel_cg *k, const struct ir_place *p,
                                  int rank, const struct affine *const *idx) {
  const struct affine *a = affine_const(&k->forms, 0);
  for (int d = 0; d < rank && p->dense; d++)
    a = index_product(k, idx[d], a,
                      index_size(k, p->dense->dim[d], p->dense->size[d]));
  for (int d = 0; d < rank && !p->dense; d++)
    a = affine_add(&k->forms, a, idx[d], p->stride[d]);
  return a;
}

/* ---- Pointers; forms count bytes from here on ---- */

LLVMValueRef emit_further(struct kernel_cg *k, LLVMValueRef p,
                          LLVMValueRef bytes) {
  return LLVMBuildGEP2(k->b, k->e->i8, p, &bytes, 1, "");
}

LLVMValueRef emit_further_by(struct kernel_cg *k, LLVMValueRef p,
                             int64_t bytes) {
  return bytes ? emit_further(k, p, emit_iptr(k->e, bytes)) : p;
}

/* base plus the terms of `a`, level by level; `what` names the base. */
static LLVMValueRef pointer(struct kernel_cg *k, const void *what,
                            LLVMValueRef base, const struct affine *a) {
  if (!a->n)
    return base;
  struct memo_key key = memo_key(k, MEMO_POINTER, false, a, what);
  struct memo *found = memo_open(k, &key, a->depth);
  if (found)
    return found->value;
  LLVMValueRef p =
      pointer(k, what, base, affine_part(&k->forms, a, 0, a->depth - 1));
  for (int i = 0; i < a->n; i++) {
    const struct affine_var *v = &k->forms.vars.v[a->term[i].var];
    if (v->depth != a->depth)
      continue;
    if (k->scope->walk && a->term[i].var == k->scope->var) {
      p = scope_pointer(k, p, a->term[i].coef);
      continue;
    }
    LLVMValueRef step = index_get(k, a->term[i].var);
    if (a->term[i].coef != 1)
      step = LLVMBuildNSWMul(k->b, step, emit_iptr(k->e, a->term[i].coef), "");
    p = emit_further(k, p, step);
  }
  return memo_close(k, &key, p, 0)->value;
}

/* Start of a place: its buffer and offset, found once per function. */
static LLVMValueRef place_start(struct kernel_cg *k, const struct ir_place *p,
                                const void **what) {
  struct emit_buffer *buffer = emit_buffer_of(k->places, p);
  assert(p->offset >= buffer->from && p->offset < buffer->to &&
         "emit_find_places() has found it");
  struct memo_key key = memo_key(k, MEMO_POINTER, false, buffer, NULL);
  memo_push(&key, (uint64_t)p->offset);
  struct memo *found = memo_open(k, &key, 0);
  if (!found)
    found = memo_close(
        k, &key, emit_further_by(k, buffer->ptr, p->offset - buffer->from), 0);
  *what = found;
  return found->value;
}

static const struct affine *terms_of(struct kernel_cg *k,
                                     const struct affine *a) {
  return affine_part(&k->forms, a, 0, EMIT_ANY_DEPTH);
}

/* base plus the form; bytes that an index register counts go last. */
static LLVMValueRef pointer_to(struct kernel_cg *k, const void *what,
                               LLVMValueRef base, const struct affine *a) {
  const struct scope *s = k->scope;
  if (s->walk != IR_WALK_INDEX || affine_coef(a, s->var) != s->elements)
    return emit_further_by(k, pointer(k, what, base, terms_of(k, a)), a->c);
  const struct affine *first = affine_plus(
      &k->forms, affine_part(&k->forms, a, 0, s->depth - 1), a->c - s->at);
  struct memo_key key = memo_key(k, MEMO_POINTER, false, first, what);
  struct memo *found = memo_open(k, &key, s->depth - 1);
  if (!found) {
    LLVMValueRef p = pointer(k, what, base, terms_of(k, first));
    found = memo_close(k, &key, emit_further_by(k, p, first->c), 0);
  }
  return emit_further(k, found->value, s->index);
}

static LLVMValueRef address(struct kernel_cg *k, const struct ir_place *p,
                            const struct affine *bytes) {
  const void *what;
  LLVMValueRef base = place_start(k, p, &what);
  return pointer_to(k, what, base, bytes);
}

static int alignment(struct kernel_cg *k, const struct ir_place *p,
                     const struct affine *bytes, int elem) {
  const struct emit_buffer *b = emit_buffer_of(k->places, p);
  int64_t a = b->align;
  uint64_t bits =
      (uint64_t)a | (uint64_t)(p->offset - b->from) | (uint64_t)bytes->c;
  for (int i = 0; i < bytes->n; i++)
    bits |= (uint64_t)bytes->term[i].coef;
  a = (int64_t)(bits & (~bits + 1));
  return (int)dn_max(a, elem);
}

/* ---- Loads ---- */

LLVMValueRef emit_load_at(struct kernel_cg *k, LLVMTypeRef type,
                          LLVMValueRef ptr, int align) {
  assert(align > 0 && !(align & (align - 1)) &&
         "alignment(), or an element's bytes");
  LLVMValueRef v = LLVMBuildLoad2(k->b, type, ptr, "");
  LLVMSetAlignment(v, (unsigned)align);
  return v;
}

static LLVMValueRef reversed(struct kernel_cg *k, LLVMValueRef v, unsigned n) {
  unsigned *lane = DN_ARRAY(k->arena, unsigned, n);
  for (unsigned i = 0; i < n; i++)
    lane[i] = n - 1 - i;
  return emit_shuffle(k, v, NULL, lane, n);
}

/* Byte offset of each lane from the uniform part, as scalars. */
static LLVMValueRef lane_offset(struct kernel_cg *k, const struct affine *bytes,
                                LLVMValueRef all, unsigned lane) {
  if (!all)
    return emit_iptr(k->e, bytes->lane * (int64_t)lane);
  return emit_lane(k, all, lane);
}

/* The part of a form that differs between lanes, as a vector; NULL when it is
 * the lane's coefficient alone. */
static LLVMValueRef lane_vector(struct kernel_cg *k,
                                const struct affine *bytes) {
  const struct affine *v = affine_plus(
      &k->forms, affine_add(&k->forms, bytes, terms_of(k, bytes), -1),
      -bytes->c);
  return v->n ? index_value(k, v) : NULL;
}

static LLVMValueRef gather(struct kernel_cg *k, LLVMTypeRef elem,
                           LLVMValueRef base, const struct affine *bytes,
                           int align) {
  assert(k->forms.lanes > 1 && !k->forms.scalable && "load_row()");
  LLVMValueRef all = lane_vector(k, bytes);
  LLVMValueRef r = LLVMGetPoison(LLVMVectorType(elem, k->forms.lanes));
  for (unsigned i = 0; i < k->forms.lanes; i++) {
    LLVMValueRef p = emit_further(k, base, lane_offset(k, bytes, all, i));
    r = emit_with_lane(k, r, i, emit_load_at(k, elem, p, align));
  }
  return r;
}

/* A lane of a load of runs. */
static LLVMTypeRef run_type(const struct kernel_cg *k) {
  unsigned n = (unsigned)k->runs.dot.k;
  if (n == 1) /* a word of four lanes */
    return k->e->i32;
  return n > 8 ? LLVMVectorType(emit_mem_type(k->e, k->runs.dot.weights), n)
               : LLVMIntTypeInContext(
                     k->e->lc, 8 * n * ir_dtypes[k->runs.dot.weights].bytes);
}

/* A constant of a type in registers, as its bits are in memory. */
static uint64_t bits_of(enum ir_dtype t, LLVMValueRef number) {
  uint64_t bits = 0;
  LLVMBool inexact;
  if (ir_is_float(t))
    ir_store_float(t, &bits, LLVMConstRealGetDouble(number, &inexact));
  else
    ir_store_int(t, &bits, LLVMConstIntGetSExtValue(number));
  return bits;
}

LLVMValueRef emit_run_number(struct kernel_cg *k, enum ir_dtype t,
                             LLVMValueRef number) {
  LLVMTypeRef type = emit_mem_type(k->e, t);
  LLVMValueRef each[16], none = LLVMConstNull(type);
  number = LLVMConstInt(type, bits_of(t, number), false);
  int64_t count = dn_max(k->runs.dot.k, k->run);
  assert(count <= (int64_t)DN_COUNT(each) && "DOT rows: runs of 16 at most");
  for (int64_t i = 0; i < count; i++)
    each[i] = i < k->run ? number : none;
  return LLVMBuildBitCast(k->b, LLVMConstVector(each, (unsigned)count),
                          run_type(k), "");
}

/* The first k->run elements, and zeros: under a mask, as MVE has it. */
static LLVMValueRef load_masked(struct kernel_cg *k, LLVMTypeRef type,
                                LLVMValueRef base) {
  struct emit *e = k->e;
  LLVMValueRef bit[16], arg[4];
  assert(k->runs.dot.k <= (int64_t)DN_COUNT(bit) && k->run <= k->runs.dot.k &&
         "DOT rows: runs of 16 at most");
  LLVMTypeRef types[] = {type, e->ptr};
  static const char name[] = "llvm.masked.load";
  unsigned n = 0, id = LLVMLookupIntrinsicID(name, sizeof name - 1);
  LLVMTypeRef fn = LLVMIntrinsicGetType(e->lc, id, types, 2);
  for (int64_t i = 0; i < k->runs.dot.k; i++)
    bit[i] = LLVMConstInt(e->i1, i < k->run, false);
  arg[n++] = base;
  if (LLVMCountParamTypes(fn) == 4) /* before LLVM 22: the alignment */
    arg[n++] = LLVMConstInt(e->i32, 1, false);
  arg[n++] = LLVMConstVector(bit, (unsigned)k->runs.dot.k);
  arg[n++] = LLVMConstNull(type);
  return emit_intrinsic(k, name, types, 2, arg, n);
}

/* A vector of MVE as words, whose offsets reach four times as far as those of
 * bytes. Volatile: or LLVM makes bytes of them again, and loads ahead into more
 * registers than there are. */
static LLVMValueRef load_words(struct kernel_cg *k, LLVMTypeRef type,
                               LLVMValueRef base, int align) {
  LLVMValueRef words =
      emit_load_at(k, LLVMVectorType(k->e->i32, 4), base, align);
  LLVMSetVolatile(words, true);
  return LLVMBuildBitCast(k->b, words, type, "");
}

/* Runs of neighbours: a whole one in each lane, or the k->run elements that are
 * left and zeros. */
static LLVMValueRef load_run(struct kernel_cg *k, LLVMValueRef base,
                             const struct affine *bytes, int align) {
  assert(k->run > 0 && (k->runs.dot.k == 1 || k->run <= k->runs.dot.k) &&
         "runs_fit() has looked");
  struct emit *e = k->e;
  LLVMTypeRef type = run_type(k), one = emit_mem_type(e, k->runs.dot.weights);
  if (k->runs.dot.k == 1)
    return emit_load_at(k, type, base, align);
  int64_t size = ir_dtypes[k->runs.dot.weights].bytes;
  bool mve = e->facts->has_vcvtn && k->runs.dot.k == 16 && !bytes->varying;
  if (bytes->varying)
    type = LLVMVectorType(type, k->forms.lanes);
  if (mve && k->run == 16 && align >= 4)
    return load_words(k, type, base, align);
  if (bytes->varying || k->run == k->runs.dot.k)
    return emit_load_at(k, type, base, align);
  if (mve)
    return load_masked(k, type, base);
  LLVMValueRef r = LLVMConstNull(LLVMVectorType(one, (unsigned)k->runs.dot.k));
  for (int64_t i = 0; i < k->run; i++)
    r = emit_with_lane(
        k, r, (unsigned)i,
        emit_load_at(k, one, emit_further_by(k, base, i * size), (int)size));
  return LLVMBuildBitCast(k->b, r, type, "");
}

/* A row whose uniform part starts at `base`. */
static LLVMValueRef load_row(struct kernel_cg *k, enum ir_dtype t,
                             LLVMValueRef base, const struct affine *bytes,
                             int align) {
  LLVMTypeRef elem = emit_mem_type(k->e, t);
  int size = (int)ir_dtypes[t].bytes;
  if (k->run)
    return load_run(k, base, bytes, align);
  bool plain = !lane_vector(k, bytes);
  LLVMValueRef v;
  if (!bytes->varying) {
    v = emit_load_at(k, elem, base, align);
    /* LLVM's scheduler would load ahead in more registers than there are. */
    LLVMSetVolatile(v, k->scope->walk != IR_WALK_COUNTER);
  } else if (k->forms.scalable) {
    v = scalable_load(k, elem, base, bytes->lane, lane_vector(k, bytes));
  } else if (plain && bytes->lane == size) {
    v = emit_load_at(k, LLVMVectorType(elem, k->forms.lanes), base, align);
  } else if (plain && bytes->lane == -size) {
    base = emit_further_by(k, base, -(int64_t)(k->forms.lanes - 1) * size);
    v = emit_load_at(k, LLVMVectorType(elem, k->forms.lanes), base, size);
    v = reversed(k, v, k->forms.lanes);
  } else {
    v = gather(k, elem, base, bytes, size);
  }
  return emit_from_mem(k, t, v);
}

/* One element at `base`, with its neighbours when it is one of a group;
 * `origin` names what the form counts from. */
static LLVMValueRef load_one(struct kernel_cg *k, enum ir_dtype t,
                             const void *origin, LLVMValueRef base,
                             const struct affine *bytes, int align) {
  const struct emit_group *g = &k->group;
  int64_t size = (int64_t)ir_dtypes[t].bytes;
  bool run = k->run > 0, grouped = run && !bytes->varying; /* the factor */
  for (int i = 0; i < bytes->n && !bytes->varying; i++)
    grouped |=
        bytes->term[i].var == g->var && bytes->term[i].coef == g->step * size;
  grouped &= !run || k->run == k->runs.dot.k;
  size *= dn_max(k->run, 1);
  if (!grouped || !g->lanes || size * g->lanes != k->e->facts->vector_bytes)
    return load_row(k, t, base, bytes, align);
  int64_t before = (int64_t)g->lane * size;
  struct memo_key key = memo_key(
      k, MEMO_GROUP, false, affine_plus(&k->forms, bytes, -before), origin);
  struct memo *found = memo_find(k, &key);
  if (!found) {
    LLVMTypeRef one = run ? run_type(k) : emit_mem_type(k->e, t);
    base = emit_further_by(k, base, -before);
    found = memo_add(k, &key,
                     emit_load_at(k, LLVMVectorType(one, g->lanes), base,
                                  (int)ir_dtypes[t].bytes),
                     0);
  }
  LLVMValueRef v = emit_lane(k, found->value, g->lane);
  return run ? v : emit_from_mem(k, t, v);
}

static LLVMValueRef const_element(struct kernel_cg *k, const struct ir_value *c,
                                  enum ir_dtype t, int64_t i) {
  if (ir_is_float(t))
    return emit_number(k, t, ir_const_float(c, i));
  return LLVMConstInt(emit_reg_type(k->e, t), (uint64_t)ir_const_int(c, i),
                      true);
}

/* A cache line, which need not exist. */
static void prefetch(struct kernel_cg *k, LLVMValueRef at, int where) {
  enum { READ = 0, DATA = 1 };
  LLVMTypeRef type = k->e->ptr;
  LLVMValueRef arg[] = {at, LLVMConstInt(k->e->i32, READ, false),
                        LLVMConstInt(k->e->i32, (unsigned)where, false),
                        LLVMConstInt(k->e->i32, DATA, false)};
  emit_intrinsic(k, "llvm.prefetch", &type, 1, arg, 4);
}

void emit_prefetch_ahead(struct kernel_cg *k, LLVMValueRef at) {
  if (!k->sched.ahead)
    return;
  prefetch(k, emit_further_by(k, at, k->sched.ahead), TO_L2);
  prefetch(k, emit_further_by(k, at, k->sched.ahead / NEAR), TO_L1);
}

LLVMValueRef emit_load(struct kernel_cg *k, const struct ir_value *v,
                       const struct ir_place *p, const struct affine *addr) {
  enum ir_dtype t = v->type->dtype;
  int64_t size = (int64_t)ir_dtypes[t].bytes;
  if (p->space == IR_IN_CONST && k->run && !p->base->data->bytes)
    return emit_run_number(k, t, const_element(k, p->base, t, 0));
  if (p->space == IR_IN_CONST && !k->run &&
      (!p->base->data->bytes ||
       (affine_is_const(addr) && !k->e->apart && !ir_place_moves(p)))) {
    k->own |= emit_is_passed(k->e, emit_buffer_of(k->places, p));
    return const_element(k, p->base, t,
                         p->base->data->bytes ? p->offset / size + addr->c : 0);
  }
  const struct affine *bytes =
      affine_add(&k->forms, affine_const(&k->forms, 0), addr, size);
  if (k->stream && !k->stream->bytes && p->space == IR_IN_CONST &&
      bytes->varying)
    *k->stream = (struct emit_stream){*p, bytes, 0, 1};
  const void *origin;
  place_start(k, p, &origin);
  LLVMValueRef at = address(k, p, bytes);
  if (p->space == IR_IN_CONST && bytes->varying && bytes->c % LINE == 0)
    emit_prefetch_ahead(k, at);
  return load_one(k, t, origin, at, bytes, alignment(k, p, bytes, (int)size));
}

LLVMValueRef emit_pointer(struct kernel_cg *k, const struct ir_type *type,
                          const struct ir_place *p, const struct affine *addr) {
  const struct affine *zero = affine_const(&k->forms, 0);
  return address(
      k, p, affine_add(&k->forms, zero, addr, ir_dtypes[type->dtype].bytes));
}

/* Into the second-level cache: cache lines from there on, which need not
 * exist. */
static void prefetch_lines(struct kernel_cg *k, const struct ir_place *p,
                           const struct affine *bytes, int64_t lines) {
  for (int64_t i = 0; i < lines; i++)
    prefetch(k, address(k, p, affine_plus(&k->forms, bytes, i * LINE)), TO_L2);
}

/* While a block of rows is computed with one panel of constants, a part of the
 * next panel is prefetched: `prefetch` blocks divide a panel's bytes among
 * them, a few cache lines each step. What follows the last panel in memory are
 * the constants of the next kernel. */
void emit_prefetch(struct kernel_cg *k, const struct scope *outer,
                   const struct emit_stream *s) {
  assert(k->sched.prefetch > 0 && s->bytes &&
         "innermost(): a schedule with prefetch");
  enum { MOST = 16 };
  const struct scope *panels = outer, *rows = outer;
  while (panels->depth && !affine_coef(s->bytes, panels->var))
    panels = panels->parent;
  int64_t panel = panels->depth ? affine_coef(s->bytes, panels->var) : 0;
  int64_t part = panel / k->sched.prefetch, blocks = s->blocks;
  if (part <= 0)
    return;
  const struct affine *at = affine_const(
      &k->forms, panel + s->block * part + s->bytes->c / k->sched.prefetch);
  for (int i = 0; i < s->bytes->n; i++) {
    struct affine_term t = s->bytes->term[i];
    bool inside = k->forms.vars.v[t.var].depth > outer->depth;
    at = affine_add(&k->forms, at, affine_var(&k->forms, t.var, 1),
                    inside ? t.coef / k->sched.prefetch : t.coef);
  }
  for (; rows != panels; rows = rows->parent) {
    at = affine_add(&k->forms, at, affine_var(&k->forms, rows->var, 1),
                    blocks * part);
    blocks *= rows->count;
  }
  int64_t step = affine_coef(s->bytes, k->scope->var) / k->sched.prefetch;
  prefetch_lines(k, &s->place, at, dn_max(1, dn_min(step / LINE, MOST)));
}

/* ---- Loads that may be outside ---- */

/* A block of elements equal to `outside`, at least `size` bytes of it. */
static LLVMValueRef pad_block(struct kernel_cg *k, enum ir_dtype t,
                              double outside, int64_t size) {
  struct emit *e = k->e;
  uint64_t bits = bits_of(t, emit_number(k, t, outside));
  assert(size > 0 && "a read of an element at least");
  unsigned bytes = bits ? ir_dtypes[t].bytes : 1;
  struct emit_pad *pad = NULL;
  for (size_t i = 0; i < e->pads.n && !pad; i++)
    if (e->pads.v[i]->bits == bits && e->pads.v[i]->bytes == bytes)
      pad = e->pads.v[i];
  if (!pad) {
    pad = DN_NEW(e->scratch, struct emit_pad);
    pad->bits = bits;
    pad->bytes = bytes;
    pad->global = LLVMAddGlobal(e->mod, e->i8, "");
    DN_PUSH(e->scratch, e->pads, pad);
  }
  pad->size = dn_max(pad->size, size);
  return pad->global;
}

LLVMValueRef emit_load_checked(struct kernel_cg *k, const struct ir_value *v,
                               const struct ir_place *p,
                               const struct affine *near,
                               const struct affine *far, LLVMValueRef cond,
                               int cond_depth, double outside) {
  assert(cond && !emit_is_vector(cond) && "checked_value()");
  enum ir_dtype t = v->type->dtype;
  int64_t size = (int64_t)ir_dtypes[t].bytes, lo, hi;
  near = affine_add(&k->forms, affine_const(&k->forms, 0), near, size);
  far = affine_add(&k->forms, affine_const(&k->forms, 0), far, size);
  affine_range(&k->forms, far, &lo, &hi);
  if (lo < 0 || hi + size > k->runs.far || near->varying ||
      lane_vector(k, far) || (p->space == IR_IN_CONST && !p->base->data->bytes))
    return NULL;
  LLVMValueRef block = pad_block(k, t, outside, hi + size * dn_max(k->run, 1));
  struct memo_key key = memo_key(k, MEMO_SELECT, false, near, cond);
  memo_push(&key, (uint64_t)(uintptr_t)block);
  memo_push(&key, (uint64_t)(uintptr_t)emit_buffer_of(k->places, p));
  memo_push(&key, (uint64_t)p->offset);
  int depth = cond_depth > near->depth ? cond_depth : near->depth;
  struct memo *found = memo_open(k, &key, depth);
  if (!found)
    found = memo_close(
        k, &key, LLVMBuildSelect(k->b, cond, address(k, p, near), block, ""),
        0);
  enum ir_walk walk = k->scope->walk;
  if (depth >= k->scope->depth) /* another block each time */
    k->scope->walk = IR_WALK_COUNTER;
  LLVMValueRef q = pointer_to(k, found, found->value, far);
  k->scope->walk = walk;
  int align = (int)dn_min(alignment(k, p, near, (int)size),
                          alignment(k, p, far, (int)size));
  return load_one(k, t, found, q, far, align);
}

/* ---- Stores ---- */

static void store_at(struct kernel_cg *k, LLVMValueRef v, LLVMValueRef ptr,
                     int align) {
  assert(align > 0 && !(align & (align - 1)) &&
         "alignment(), or an element's bytes");
  LLVMSetAlignment(LLVMBuildStore(k->b, v, ptr), (unsigned)align);
}

void emit_store(struct kernel_cg *k, const struct ir_type *type,
                const struct ir_place *p, const struct affine *addr,
                LLVMValueRef v) {
  enum ir_dtype t = type->dtype;
  int size = (int)ir_dtypes[t].bytes;
  const struct affine *bytes =
      affine_add(&k->forms, affine_const(&k->forms, 0), addr, size);
  LLVMValueRef base = address(k, p, bytes);
  int align = alignment(k, p, bytes, size);
  v = emit_to_mem(k, t, v);
  if (bytes->varying && k->forms.scalable) {
    scalable_store(k, emit_splat(k, v, k->forms.lanes), base, bytes->lane);
    return;
  }
  if (!bytes->varying || bytes->lane == size) {
    if (bytes->varying)
      v = emit_splat(k, v, k->forms.lanes);
    store_at(k, v, base, align);
    return;
  }
  v = emit_splat(k, v, k->forms.lanes);
  for (unsigned i = 0; i < k->forms.lanes; i++) {
    LLVMValueRef to = emit_further(k, base, lane_offset(k, bytes, NULL, i));
    store_at(k, emit_lane(k, v, i), to, size);
  }
}
