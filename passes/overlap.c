/* overlap.c - a kernel that goes through memory in one direction has read what
 * is behind it, and its result may lie there: a depthwise convolution keeps
 * two rows apart, a 1x1 one a tile. (Blacker et al., "Diagonal Memory
 * Optimisation", 2020, has this for loops over single elements.)
 *
 * The outermost loop is looked at in units, its tiles: each reads and writes
 * some bytes, in any order within. Going up, a unit must not write what it or
 * a later one reads: the result starts so far below the operand that the end
 * of what each unit writes is at or below the start of all that is still read.
 * Going back it is the other way round. verify_overlap.c finds that on its
 * own. */
#include "passes/overlap.h"

#include "ir/loops.h"
#include "ir/nest.h"

#include <assert.h>
#include <string.h>

/* Units, ops, steps of the verifier, of each op for each op in each unit, and
 * reads of all units: more is not tried. */
enum {
  MAX_UNITS = 1 << 14,
  MAX_OPS = 1 << 10,
  MAX_STEPS = 1 << 26,
  MAX_READS = 1 << 22
};

/* A block of indices of the result, and bytes that it reads or writes. */
struct box {
  int64_t lo[IR_MAX_RANK], hi[IR_MAX_RANK];
};
struct bytes {
  int64_t lo, hi; /* both included; lo > hi: none */
};

struct overlap {
  struct dn_arena *arena;
  const struct aliases *aliases;
  const struct reads *r;
  struct ir_loop loop; /* the outermost */
  int buffer;
  bool ok;
};

/* ---- Ranges of forms ---- */

static void range_in(struct overlap *o, const struct box *b,
                     const struct affine *a, int64_t *lo, int64_t *hi);

static void var_range(struct overlap *o, const struct box *b, unsigned var,
                      int64_t *lo, int64_t *hi) {
  const struct affine_var *v = &o->r->forms.vars.v[var];
  *lo = v->lo;
  *hi = v->hi;
  if (var < (unsigned)o->r->type->rank) {
    *lo = b->lo[var];
    *hi = b->hi[var];
  } else if (v->def == AFFINE_CLAMP || v->def == AFFINE_DIV) {
    range_in(o, b, v->of, lo, hi);
    bool clamp = v->def == AFFINE_CLAMP;
    *lo = clamp ? *lo : dn_div_floor(*lo, v->number);
    *hi = clamp ? *hi : dn_div_floor(*hi, v->number);
    *lo = dn_max(dn_min(*lo, v->hi), v->lo);
    *hi = dn_max(dn_min(*hi, v->hi), v->lo);
  }
}

static void range_in(struct overlap *o, const struct box *b,
                     const struct affine *a, int64_t *lo, int64_t *hi) {
  *lo = *hi = a->c;
  for (int i = 0; i < a->n; i++) {
    int64_t from, to, c = a->term[i].coef, x, y;
    var_range(o, b, a->term[i].var, &from, &to);
    o->ok &= dn_mul(c, c > 0 ? from : to, &x) &&
             dn_mul(c, c > 0 ? to : from, &y) && dn_add(*lo, x, lo) &&
             dn_add(*hi, y, hi);
    if (!o->ok)
      return;
  }
}

static void extend(struct bytes *b, int64_t lo, int64_t hi) {
  b->lo = dn_min(b->lo, lo);
  b->hi = dn_max(b->hi, hi);
}

/* ---- What a unit reads and writes ---- */

static void add_leaf(struct overlap *o, const struct box *b,
                     const struct read_leaf *leaf, struct bytes *out) {
  const struct alias *at = alias_of(o->aliases, leaf->value);
  int64_t size = ir_dtypes[leaf->value->type->dtype].bytes;
  int64_t lo = 0, hi = 0, from, to;
  assert(at && "overlap_find() refuses leaves without a place");
  if (at->buffer != o->buffer)
    return;
  if (leaf->flat)
    range_in(o, b, leaf->flat, &lo, &hi);
  for (int d = 0; !leaf->flat && d < leaf->value->type->rank; d++) {
    range_in(o, b, leaf->idx[d], &from, &to);
    int64_t s = at->stride[d];
    lo += s * (s > 0 ? from : to);
    hi += s * (s > 0 ? to : from);
  }
  extend(out, at->offset + lo * size, at->offset + hi * size + size - 1);
}

static void add_box(struct overlap *o, const struct box *b, struct bytes *reads,
                    struct bytes *writes) {
  int64_t size = ir_dtypes[o->r->type->dtype].bytes, lo, hi;
  range_in(o, b, o->r->at.v[0], &lo, &hi);
  extend(writes, lo * size, hi * size + size - 1);
  for (size_t i = 0; i < o->r->leaves.n; i++)
    add_leaf(o, b, &o->r->leaves.v[i], reads);
}

/* Indices [from, to) of the loop, counted within dimension d and those behind
 * it: a block at most from each change of an outer index to the next. */
static void add_range(struct overlap *o, struct box *b, int d, int64_t from,
                      int64_t to, struct bytes *reads, struct bytes *writes) {
  assert(from < to && d <= o->loop.last && "a range of indices of the loop");
  int64_t inner = 1;
  for (int k = d + 1; k <= o->loop.last; k++)
    inner *= o->r->type->dim[k];
  int64_t first = from / inner, last = (to - 1) / inner;
  if (d == o->loop.last || (from % inner == 0 && to % inner == 0)) {
    b->lo[d] = first;
    b->hi[d] = last;
    for (int k = d + 1; k <= o->loop.last; k++) {
      b->lo[k] = 0;
      b->hi[k] = o->r->type->dim[k] - 1;
    }
    add_box(o, b, reads, writes);
    return;
  }
  int64_t cut = first == last ? to : (first + 1) * inner;
  b->lo[d] = b->hi[d] = first;
  add_range(o, b, d + 1, from - first * inner, cut - first * inner, reads,
            writes);
  if (first == last)
    return;
  int64_t end = to / inner * inner;
  if (end > cut)
    add_range(o, b, d, cut, end, reads, writes);
  b->lo[d] = b->hi[d] = last;
  if (to > end)
    add_range(o, b, d + 1, 0, to - end, reads, writes);
}

/* The end of the tile that starts at `from`: code generation goes through whole
 * tiles, then the rest, from cut to cut. */
static int64_t tile_end(const struct ir_loop *l, int64_t from) {
  int64_t end = l->extent, start = 0;
  assert(from >= 0 && from < end && "find_distances() stops at the end");
  for (int64_t i = l->ncuts; i-- > 0 && l->cuts[i] > from;)
    end = l->cuts[i];
  for (int64_t i = 0; i < l->ncuts && l->cuts[i] <= from; i++)
    start = l->cuts[i];
  return dn_min(from + dn_min(l->tile, end - start), end);
}

/* ---- Distances ---- */

static void find_distances(struct overlap *o, int64_t *down, int64_t *up) {
  struct bytes *reads = DN_ARRAY(o->arena, struct bytes, o->loop.extent);
  struct bytes *writes = DN_ARRAY(o->arena, struct bytes, o->loop.extent);
  int64_t n = 0;
  for (int64_t from = 0, to; from < o->loop.extent; from = to, n++) {
    struct box b;
    to = tile_end(&o->loop, from);
    assert(to > from && to <= o->loop.extent &&
           "tiles have indices: loops_read()");
    for (int d = 0; d < o->r->type->rank; d++) {
      b.lo[d] = 0;
      b.hi[d] = dn_max(o->r->type->dim[d], 1) - 1;
    }
    reads[n] = writes[n] = (struct bytes){INT64_MAX, INT64_MIN};
    add_range(o, &b, o->loop.first, from * o->loop.block, to * o->loop.block,
              &reads[n], &writes[n]);
  }
  struct bytes rest = {INT64_MAX, INT64_MIN};
  *down = *up = INT64_MIN;
  for (int64_t i = n; i-- > 0;) {
    rest.lo = dn_min(rest.lo, reads[i].lo);
    if (rest.lo != INT64_MAX)
      *down = dn_max(*down, writes[i].hi + 1 - rest.lo);
  }
  for (int64_t i = 0; i < n; i++) {
    rest.hi = dn_max(rest.hi, reads[i].hi);
    if (rest.hi != INT64_MIN)
      *up = dn_max(*up, rest.hi + 1 - writes[i].lo);
  }
}

/* The outermost loop of a kernel whose units come one after another. */
static bool outermost(const struct ir_op *k, struct ir_loop *out) {
  struct ir_loops loops;
  if (nest_onto(k) || loops_read(k, &loops) || !loops.n ||
      ir_get_int(k, "scalable"))
    return false;
  for (int i = 0; i < loops.n; i++)
    if (loops.loop[i].par || loops.loop[i].size)
      return false;
  int64_t nops = 0;
  for (const struct ir_op *op = k->region[0]->first; op->next; op = op->next)
    nops++;
  *out = loops.loop[0];
  return nops <= MAX_OPS && out->extent <= MAX_STEPS / (nops * nops) &&
         !out->lanes && out->extent > 0 && out->extent <= MAX_UNITS &&
         (out->block == 1 || out->first == out->last);
}

bool overlap_find(const struct aliases *a, const struct ir_op *k, int buffer,
                  int64_t *down, int64_t *up) {
  struct overlap o = {.aliases = a, .buffer = buffer, .ok = true};
  if (!outermost(k, &o.loop))
    return false;
  o.arena = dn_arena_new(a->func->module->ctx);
  o.r = aliases_reads(o.arena, a, k);
  o.ok = o.r->carried < 0 && o.r->pinned != UINT64_MAX &&
         !o.r->forms.overflow &&
         (int64_t)o.r->leaves.n <= MAX_READS / o.loop.extent;
  for (size_t i = 0; i < o.r->leaves.n && o.ok; i++) {
    const struct alias *at = alias_of(a, o.r->leaves.v[i].value);
    static const int64_t still[IR_MAX_LOOPS_AROUND];
    o.ok =
        at && (at->buffer != buffer || !memcmp(at->step, still, sizeof still));
  }
  if (o.ok)
    find_distances(&o, down, up);
  o.ok &= *down != INT64_MIN && *up != INT64_MIN;
  dn_arena_free(o.arena);
  return o.ok;
}

enum live_reuse overlap_reuse(struct pass_env *env) {
  int64_t overlap = pass_int(env, "overlap");
  return overlap > 0 || (overlap < 0 && env->target->bare_metal)
             ? LIVE_OVERLAP
             : LIVE_IN_PLACE;
}
