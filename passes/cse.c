/* cse.c - merges ops that compute the same from the same values, and constants
 * with the same contents. Ops are equal when code, operands (in either order
 * where the row says COMMUTES) and attributes are; an attribute that holds its
 * default counts as absent. An op may be read by what comes after it in its
 * block, and in regions there.
 *
 * before:  %1 = transpose %x {perm=[0,2,3,1]} : f32[1,8,8,3]
 *          %2 = transpose %x {perm=[0,2,3,1]} : f32[1,8,8,3]
 *          %3 = add %1, %2 : f32[1,8,8,3]
 * after:   %1 = transpose %x {perm=[0,2,3,1]} : f32[1,8,8,3]
 *          %3 = add %1, %1 : f32[1,8,8,3] */
#include "passes/edit.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* A chained table of ops. Entries of a region are taken out when it ends: they
 * are linked in the order of their making. */
struct entry {
  struct ir_op *op;
  uint64_t hash;
  struct entry *chain, *older;
};
struct table {
  struct dn_arena *arena;
  struct entry **slot;
  size_t mask;
  struct entry *newest;
};

static uint64_t mix(uint64_t h, uint64_t v) {
  return (h ^ v) * UINT64_C(0x9e3779b97f4a7c15) ^ (h >> 29);
}

static uint64_t hash_bytes(uint64_t h, const void *p, size_t n) {
  return mix(h, XXH3_64bits(p, n));
}

static uint64_t hash_attr(const struct ir_attr *a) {
  size_t n;
  const void *bytes = ir_attr_bytes(a, &n);
  return hash_bytes(hash_bytes((uint64_t)a->kind, a->name, strlen(a->name)),
                    bytes, n);
}

/* Every attribute of `a` that is not its default is the same in `b`. */
static bool covers(const struct ir_op *a, const struct ir_op *b) {
  for (unsigned i = 0; i < a->nattrs; i++) {
    const struct ir_attr *other = ir_find_attr(b, a->attr[i].name);
    if (other ? !ir_attr_same(&a->attr[i], other)
              : !edit_attr_is_default(a, &a->attr[i]))
      return false;
  }
  return true;
}

static bool commutes(const struct ir_op *op) {
  return (ir_ops[op->code].traits & IR_COMMUTES) && op->noperands == 2;
}

static uint64_t hash_op(const struct ir_op *op) {
  uint64_t h = (uint64_t)op->code;
  if (commutes(op)) {
    unsigned a = ir_arg(op, 0)->id, b = ir_arg(op, 1)->id;
    h = mix(mix(h, a < b ? a : b), a < b ? b : a);
  } else {
    for (unsigned i = 0; i < op->noperands; i++)
      h = mix(h, ir_arg(op, i)->id);
  }
  uint64_t sum = 0; /* attributes may be in any order */
  for (unsigned i = 0; i < op->nattrs; i++)
    if (!edit_attr_is_default(op, &op->attr[i]))
      sum += hash_attr(&op->attr[i]);
  return mix(h, sum);
}

static bool same_operands(const struct ir_op *a, const struct ir_op *b) {
  if (commutes(a) && ir_arg(a, 0) == ir_arg(b, 1) &&
      ir_arg(a, 1) == ir_arg(b, 0))
    return true;
  for (unsigned i = 0; i < a->noperands; i++)
    if (ir_arg(a, i) != ir_arg(b, i))
      return false;
  return true;
}

static bool same_op(const struct ir_op *a, const struct ir_op *b) {
  assert(a->nresults == 1 && b->nresults == 1 && "merge_block() leaves others");
  return a->code == b->code && a->noperands == b->noperands &&
         ir_result(a)->type == ir_result(b)->type && same_operands(a, b) &&
         covers(a, b) && covers(b, a);
}

static struct ir_op *find_or_add(struct table *t, struct ir_op *op) {
  assert(op->nresults == 1 && !(t->mask & (t->mask + 1)) &&
         "merge_block(); slots are a power of two");
  uint64_t hash = hash_op(op);
  struct entry **slot = &t->slot[hash & t->mask];
  for (struct entry *e = *slot; e; e = e->chain)
    if (e->hash == hash && same_op(e->op, op))
      return e->op;
  struct entry *e = DN_NEW(t->arena, struct entry);
  *e = (struct entry){op, hash, *slot, t->newest};
  *slot = t->newest = e;
  return op;
}

static void forget_after(struct table *t, const struct entry *mark) {
  for (; t->newest != mark; t->newest = t->newest->older) {
    assert(t->slot[t->newest->hash & t->mask] == t->newest &&
           "the newest is the first of its chain");
    t->slot[t->newest->hash & t->mask] = t->newest->chain;
  }
}

/* Regions nest no deeper than --limit-depth. */
static int64_t merge_block(struct table *t, struct ir_block *b) {
  int64_t merged = 0;
  struct entry *mark = t->newest;
  for (struct ir_op *op = b->first, *next; op; op = next) {
    next = op->next;
    for (unsigned r = 0; r < op->nregions; r++)
      merged += merge_block(t, op->region[r]);
    if (!(ir_ops[op->code].traits & IR_PURE) || op->nresults != 1)
      continue;
    struct ir_op *first = find_or_add(t, op);
    if (first == op)
      continue;
    edit_replace(op, ir_result(first), false);
    merged++;
  }
  forget_after(t, mark);
  return merged;
}

/* ---- Constants ---- */

/* Hashes only some pages of large data: reading all weights would cost more
 * than it saves, and constants of equal hash are compared in full. */
static uint64_t hash_const(const struct ir_value *c) {
  enum { PAGE = 4096 };
  uint64_t h = (uint64_t)(uintptr_t)c->type;
  const struct ir_data *d = c->data;
  assert(d && "m->consts has constants alone");
  if (!d->bytes)
    return mix(h, d->splat);
  size_t size = (size_t)d->size;
  if (size <= 4 * PAGE)
    return hash_bytes(h, d->bytes, size);
  const char *p = d->bytes;
  h = hash_bytes(h, p, PAGE);
  h = hash_bytes(h, p + size / 2, PAGE);
  return hash_bytes(h, p + size - PAGE, PAGE);
}

struct hashed_const {
  uint64_t hash;
  size_t index;
  struct ir_value *value;
};

static int by_hash(const void *pa, const void *pb) {
  const struct hashed_const *a = pa, *b = pb;
  if (a->hash != b->hash)
    return a->hash < b->hash ? -1 : 1;
  return a->index < b->index ? -1 : 1;
}

static int64_t merge_consts(struct dn_arena *scratch, struct ir_module *m) {
  size_t n = m->consts.n;
  struct hashed_const *list = DN_ARRAY(scratch, struct hashed_const, n + 1);
  for (size_t i = 0; i < n; i++)
    list[i] =
        (struct hashed_const){hash_const(m->consts.v[i]), i, m->consts.v[i]};
  qsort(list, n, sizeof *list, by_hash);
  int64_t merged = 0;
  for (size_t i = 1, first = 0; i < n; i++) {
    if (list[i].hash != list[first].hash ||
        !ir_const_same(list[first].value, list[i].value)) {
      first = i;
    } else if (list[i].value->uses) {
      ir_replace_uses(list[i].value, list[first].value);
      merged++;
    }
  }
  ir_sweep_consts(m);
  return merged;
}

int64_t pass_cse(struct pass_env *env, struct ir_module *m) {
  int64_t merged = merge_consts(env->scratch, m);
  struct table t = {.arena = env->scratch, .mask = 1023};
  while (t.mask < m->nops)
    t.mask = t.mask * 2 + 1;
  t.slot = DN_ARRAY(env->scratch, struct entry *, t.mask + 1);
  for (struct ir_func *f = m->funcs; f; f = f->next)
    merged += merge_block(&t, f->body);
  return merged;
}
