/* scope.c - loops, where hoisted code goes, and the memo.
 *
 * A loop is built in this shape:
 *
 *   pre:   code of the parent scope, then br gate
 *   gate:  br head
 *   head:  counter and accumulators as phis ... body ... conditional br head
 *   exit:  the parent scope goes on
 *
 * What the body needs and the parent can compute is added at the end of `pre`
 * while the body is being built, loops included: `gate` stays the block that
 * the phis know. The loop that threads share, from `begin` to `end` of its
 * units, and one to a size that is known at run time only may never run: the
 * gate goes to the head or past the exit. What is hoisted out of them is safe
 * all the same: it reads what the counters around point to, and these do
 * run. */
#include "codegen/emit/impl.h"

#include <assert.h>

#include <string.h>

LLVMBasicBlockRef scope_block(struct kernel_cg *k, const char *name) {
  if (k->before)
    return LLVMInsertBasicBlockInContext(k->e->lc, k->before, name);
  return LLVMAppendBasicBlockInContext(k->e->lc, k->fn, name);
}

static void add_incoming(LLVMValueRef phi, LLVMValueRef v,
                         LLVMBasicBlockRef from) {
  LLVMAddIncoming(phi, &v, &from, 1);
}

/* Stands in the gate. */
static struct scope *new_scope(struct kernel_cg *k, int64_t count) {
  assert(count > 0 && "callers leave out loops without steps");
  struct scope *s = DN_NEW(k->arena, struct scope);
  s->parent = k->scope;
  s->depth = k->scope->depth + 1;
  s->count = count;
  s->step = emit_iptr(k->e, 1);
  s->pre = LLVMGetInsertBlock(k->b);
  s->gate = scope_block(k, "gate");
  s->head = scope_block(k, "loop");
  LLVMBuildBr(k->b, s->gate);
  LLVMPositionBuilderAtEnd(k->b, s->gate);
  return s;
}

void scope_open(struct kernel_cg *k, int64_t count, unsigned nphi,
                const LLVMValueRef *init, LLVMValueRef *phi) {
  struct emit *e = k->e;
  struct scope *s = new_scope(k, count);
  LLVMBuildBr(k->b, s->head);
  LLVMPositionBuilderAtEnd(k->b, s->head);
  s->counter = LLVMBuildPhi(k->b, e->iptr, "i");
  add_incoming(s->counter, LLVMConstNull(e->iptr), s->gate);
  for (unsigned i = 0; i < nphi; i++) {
    phi[i] = LLVMBuildPhi(k->b, LLVMTypeOf(init[i]), "acc");
    add_incoming(phi[i], init[i], s->gate);
  }
  s->var = index_new_var(k, s->counter, 0, count - 1, s->depth, false);
  k->scope = s;
}

/* The unsigned a, or b when that is greater (LLVMIntUGT) or less. */
static LLVMValueRef pick(struct kernel_cg *k, LLVMIntPredicate which,
                         LLVMValueRef a, LLVMValueRef b) {
  return LLVMBuildSelect(k->b, LLVMBuildICmp(k->b, which, b, a, ""), b, a, "");
}

/* Goes on in the head of a loop from `from` to `to`, perhaps never. */
static void open_between(struct kernel_cg *k, struct scope *s,
                         LLVMValueRef from, LLVMValueRef to) {
  LLVMTypeRef type = k->e->iptr;
  s->any = LLVMBuildICmp(k->b, LLVMIntULT, from, to, "");
  s->to = to;
  LLVMPositionBuilderAtEnd(k->b, s->head);
  s->counter = LLVMConstNull(type);
  if (s->count > 1) {
    s->counter = LLVMBuildPhi(k->b, type, "i");
    add_incoming(s->counter, from, s->gate);
  }
  s->var = index_new_var(k, s->counter, 0, s->count - 1, s->depth, false);
  k->scope = s;
}

void scope_open_to(struct kernel_cg *k, LLVMValueRef count, int64_t most,
                   unsigned nphi, const LLVMValueRef *init, LLVMValueRef *phi) {
  struct scope *s = new_scope(k, most);
  open_between(k, s, LLVMConstNull(k->e->iptr), count);
  for (unsigned i = 0; i < nphi; i++) {
    phi[i] = LLVMBuildPhi(k->b, LLVMTypeOf(init[i]), "acc");
    add_incoming(phi[i], init[i], s->gate);
  }
}

void scope_open_dim(struct kernel_cg *k, int64_t dim,
                    const struct ir_size *size, unsigned nphi,
                    const LLVMValueRef *init, LLVMValueRef *phi) {
  if (size)
    scope_open_to(k, index_value(k, index_size(k, dim, size)), dim, nphi, init,
                  phi);
  else
    scope_open(k, dim, nphi, init, phi);
}

void scope_open_range(struct kernel_cg *k, int64_t first, int64_t most,
                      LLVMValueRef count) {
  assert(most > 0 && k->threads.begin && k->threads.end &&
         "make_function(): threads share it");
  LLVMTypeRef type = k->e->iptr;
  struct scope *s = new_scope(k, most);
  LLVMValueRef base = LLVMConstInt(type, (uint64_t)first, false);
  LLVMValueRef last = LLVMConstInt(type, (uint64_t)(first + most), false);
  if (count)
    last = LLVMBuildAdd(k->b, base, count, "");
  LLVMValueRef from = pick(k, LLVMIntUGT, base, k->threads.begin);
  LLVMValueRef to = pick(k, LLVMIntULT, last, k->threads.end);
  LLVMValueRef any = LLVMBuildICmp(k->b, LLVMIntULT, from, to, "");
  from = LLVMBuildSub(k->b, from, base, "");
  open_between(k, s, from, LLVMBuildSub(k->b, to, base, ""));
  s->any = any;
}

/* ---- Addresses that go on by themselves ----
 *
 * LLVM would take one counter for all pointers and add it to each. It does not
 * see what the next value is made of. */

static LLVMValueRef hidden(struct kernel_cg *k, LLVMValueRef v, int64_t n) {
  LLVMTypeRef type = LLVMTypeOf(v);
  LLVMTypeRef fn = LLVMFunctionType(type, &type, 1, false);
  LLVMValueRef by = emit_iptr(k->e, n);
  LLVMValueRef same = LLVMGetInlineAsm(fn, "", 0, "=r,0", 4, false, false,
                                       LLVMInlineAsmDialectATT, false);
  v = type == k->e->ptr ? LLVMBuildGEP2(k->b, k->e->i8, v, &by, 1, "")
                        : LLVMBuildAdd(k->b, v, by, "");
  return LLVMBuildCall2(k->b, fn, same, &v, 1, "");
}

LLVMValueRef scope_hide(struct kernel_cg *k, LLVMValueRef v) {
  return hidden(k, v, 0);
}

LLVMValueRef scope_pointer(struct kernel_cg *k, LLVMValueRef p, int64_t step) {
  assert(k->scope->walk != IR_WALK_COUNTER && "pointer()");
  struct scope *s = k->scope;
  struct walker *w = DN_NEW(k->arena, struct walker);
  LLVMBasicBlockRef at = LLVMGetInsertBlock(k->b);
  LLVMPositionBuilderBefore(k->b, LLVMGetFirstInstruction(s->head));
  *w = (struct walker){s->walkers, LLVMBuildPhi(k->b, LLVMTypeOf(p), "at"),
                       step};
  add_incoming(w->phi, p, s->gate);
  LLVMPositionBuilderAtEnd(k->b, at);
  s->walkers = w;
  return w->phi;
}

void scope_walk(struct kernel_cg *k, int64_t step) {
  assert(step > 0 && k->scope->depth && "innermost() is in a loop");
  struct scope *s = k->scope;
  s->walk = (enum ir_walk)k->e->facts->walk;
  s->elements = step;
  s->index = s->counter;
  if (s->walk == IR_WALK_INDEX && step > 1) /* it counts elements from now on */
    k->value.v[s->var] =
        LLVMBuildExactUDiv(k->b, s->counter, emit_iptr(k->e, step), "");
}

void scope_next(struct kernel_cg *k) {
  if (k->scope->walk == IR_WALK_INDEX)
    k->scope->index = hidden(k, k->scope->index, 1);
  k->scope->at++;
}

static void forget(struct kernel_cg *k, struct scope *s) {
  for (struct memo *m = s->made; m; m = m->made) {
    struct memo **p = &k->memos[m->hash % EMIT_BUCKETS];
    for (; *p != m; p = &(*p)->chain)
      assert(*p && "memo_add() has put it there");
    *p = m->chain;
  }
  s->made = NULL;
}

/* The back edge of a loop; of one unit that may be left out, none. */
static void build_latch(struct kernel_cg *k, struct scope *s,
                        LLVMBasicBlockRef after) {
  struct emit *e = k->e;
  if (s->any && s->count == 1) {
    LLVMBuildBr(k->b, after);
    return;
  }
  LLVMBasicBlockRef latch = LLVMGetInsertBlock(k->b);
  bool index = s->walk == IR_WALK_INDEX;
  LLVMValueRef up =
      index ? s->index : LLVMBuildNSWAdd(k->b, s->counter, s->step, "");
  if (!index)
    LLVMSetNUW(up, true);
  int64_t count = s->count * (index ? s->elements : 1);
  LLVMValueRef end = emit_iptr(e, count);
  LLVMValueRef more =
      LLVMBuildICmp(k->b, LLVMIntNE, up, s->any ? s->to : end, "");
  LLVMBuildCondBr(k->b, more, s->head, after);
  add_incoming(s->counter, up, latch);
}

/* Behind a loop that may never run its values are those from before, or its
 * last. */
static void leave(struct kernel_cg *k, const struct scope *s,
                  LLVMBasicBlockRef latch, LLVMValueRef phi,
                  LLVMValueRef *next) {
  assert(LLVMTypeOf(phi) == LLVMTypeOf(*next) && "a sum keeps its type");
  LLVMValueRef out = LLVMBuildPhi(k->b, LLVMTypeOf(phi), "out");
  add_incoming(out, LLVMGetIncomingValue(phi, 0), s->gate);
  add_incoming(out, *next, latch);
  *next = out;
}

void scope_close(struct kernel_cg *k, unsigned nphi, const LLVMValueRef *phi,
                 LLVMValueRef *next) {
  struct scope *s = k->scope;
  assert(s->parent && "scope_open() comes before");
  LLVMBasicBlockRef latch = LLVMGetInsertBlock(k->b);
  LLVMBasicBlockRef after = scope_block(k, "done");
  for (struct walker *w = s->walkers; w; w = w->next)
    add_incoming(w->phi, hidden(k, w->phi, w->step), latch);
  build_latch(k, s, after);
  for (unsigned i = 0; i < nphi && (!s->any || s->count > 1); i++)
    add_incoming(phi[i], next[i], latch);
  if (s->any) {
    LLVMPositionBuilderAtEnd(k->b, s->gate);
    LLVMBuildCondBr(k->b, s->any, s->head, after);
  }
  forget(k, s);
  k->scope = s->parent;
  LLVMPositionBuilderAtEnd(k->b, after);
  for (unsigned i = 0; i < nphi && s->any; i++)
    leave(k, s, latch, phi[i], &next[i]);
}

const struct affine *scope_open_some(struct kernel_cg *k, int64_t count,
                                     int64_t step) {
  if (count <= 1)
    return affine_const(&k->forms, 0);
  scope_open(k, count, 0, NULL, NULL);
  return affine_var(&k->forms, k->scope->var, step);
}

void scope_close_some(struct kernel_cg *k, int64_t count) {
  if (count > 1)
    scope_close(k, 0, NULL, NULL);
}

LLVMValueRef scope_memory(struct kernel_cg *k, int64_t words, unsigned align,
                          const char *name) {
  assert(words > 0 && align && "the caller has something to store");
  LLVMBasicBlockRef at = LLVMGetInsertBlock(k->b);
  LLVMBasicBlockRef entry = LLVMGetEntryBasicBlock(k->fn);
  LLVMTypeRef type = LLVMArrayType2(k->e->i32, (uint64_t)words);
  LLVMPositionBuilder(k->b, entry, LLVMGetFirstInstruction(entry));
  LLVMValueRef memory = LLVMBuildAlloca(k->b, type, name);
  LLVMSetAlignment(memory, align);
  LLVMPositionBuilderAtEnd(k->b, at);
  return memory;
}

void hoist_begin(struct kernel_cg *k, int depth, struct hoist *h) {
  h->scope = k->scope;
  assert(depth >= 0 && "the body of the function has depth 0");
  h->child = NULL;
  if (depth >= k->scope->depth)
    return;
  struct scope *child = k->scope;
  while (child->parent->depth > depth)
    child = child->parent;
  h->child = child;
  h->block = LLVMGetInsertBlock(k->b);
  h->before = k->before;
  LLVMInstructionEraseFromParent(LLVMGetBasicBlockTerminator(child->pre));
  LLVMPositionBuilderAtEnd(k->b, child->pre);
  k->before = child->gate;
  k->scope = child->parent;
}

void hoist_end(struct kernel_cg *k, struct hoist *h) {
  if (!h->child)
    return;
  h->child->pre = LLVMGetInsertBlock(k->b);
  assert(k->scope == h->child->parent && "hoisted loops are closed");
  LLVMBuildBr(k->b, h->child->gate);
  k->scope = h->scope;
  k->before = h->before;
  LLVMPositionBuilderAtEnd(k->b, h->block);
}

/* ---- The memo: what was already computed, by scope ---- */
struct memo_key memo_key(struct kernel_cg *k, enum memo_kind kind, bool varying,
                         const void *a, const void *b) {
  assert((!varying || k->forms.lanes > 0) && "rows have lanes");
  uint64_t how = (uint64_t)kind << 32 | (varying ? k->forms.lanes : 0) |
                 (uint64_t)k->run << 48;
  return (struct memo_key){
      3, {how, (uint64_t)(uintptr_t)a, (uint64_t)(uintptr_t)b}, {0}};
}

void memo_push(struct memo_key *key, uint64_t word) {
  assert(key->n < MEMO_MAX_KEY && "an index a dimension, and three more");
  key->word[key->n++] = word;
}

static uint64_t hash(const struct memo_key *key) {
  uint64_t h = key->n;
  for (unsigned i = 0; i < key->n; i++)
    h = (h ^ key->word[i]) * 0xff51afd7ed558ccdu, h ^= h >> 32;
  return h;
}

struct memo *memo_find(struct kernel_cg *k, const struct memo_key *key) {
  uint64_t h = hash(key);
  for (struct memo *m = k->memos[h % EMIT_BUCKETS]; m; m = m->chain)
    if (m->hash == h && m->nkey == key->n &&
        !memcmp(m->key, key->word, key->n * sizeof *m->key))
      return m;
  return NULL;
}

struct memo *memo_add(struct kernel_cg *k, const struct memo_key *key,
                      LLVMValueRef value, int64_t extra) {
  struct memo *m = dn_alloc(k->arena, sizeof *m + key->n * sizeof *key->word);
  m->hash = hash(key);
  m->nkey = key->n;
  m->value = value;
  m->extra = extra;
  memcpy(m->key, key->word, key->n * sizeof *key->word);
  m->chain = k->memos[m->hash % EMIT_BUCKETS];
  k->memos[m->hash % EMIT_BUCKETS] = m;
  m->made = k->scope->made;
  k->scope->made = m;
  return m;
}

struct memo *memo_open(struct kernel_cg *k, struct memo_key *key, int depth) {
  struct memo *found = memo_find(k, key);
  if (!found)
    hoist_begin(k, depth, &key->hoist);
  return found;
}

struct memo *memo_close(struct kernel_cg *k, struct memo_key *key,
                        LLVMValueRef value, int64_t extra) {
  struct memo *made = memo_add(k, key, value, extra);
  hoist_end(k, &key->hoist);
  return made;
}
