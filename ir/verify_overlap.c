/* verify_overlap.c - a kernel may write over what it reads when it has read it
 * by then. The outermost loop is looked at tile by tile, in its direction: what
 * a tile writes must be apart from all that it and the tiles behind it read.
 * Blocks of indices are followed from the result back through the nests of the
 * ops; what a value's readers need of it is one block. */
#include "ir/loops.h"
#include "ir/nest.h"
#include "ir/place.h"
#include "ir/verify.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Tiles; ops; and steps, of each op for each op in each tile. */
enum { MAX_TILES = 1 << 14, MAX_OPS = 1 << 10, MAX_STEPS = 1 << 26 };

struct span { /* from lo to hi, both included; lo > hi: nothing */
  int64_t lo, hi;
};
static const struct span nothing = {INT64_MAX, INT64_MIN};

struct need { /* of a value: a block of its indices */
  struct span d[IR_MAX_RANK];
  bool any;
};

struct walk {
  const struct ir_op *kernel;
  const struct ir_value *x; /* the operand */
  struct ir_place from, to; /* where it and the result lie */
  struct ir_loop loop;
  const struct ir_op *op[MAX_OPS];
  const struct nest *nest[MAX_OPS];
  struct need need[MAX_OPS];
  int nops;
  struct span read; /* bytes of x, by the tile at hand */
};

static struct span join(struct span a, struct span b) {
  return (struct span){dn_min(a.lo, b.lo), dn_max(a.hi, b.hi)};
}

static struct span scaled(struct span a, int64_t by) {
  return by < 0 ? (struct span){a.hi * by, a.lo * by}
                : (struct span){a.lo * by, a.hi * by};
}

static struct span sum(struct span a, struct span b) {
  return (struct span){a.lo + b.lo, a.hi + b.hi};
}

static struct span within(struct span a, int64_t dim) {
  int64_t top = dn_max(dim, 1) - 1;
  return (struct span){dn_max(0, dn_min(a.lo, top)),
                       dn_max(0, dn_min(a.hi, top))};
}

/* Bytes of elements in a block, of what lies at a place. */
static struct span bytes_of(const struct ir_type *type,
                            const struct ir_place *at, const struct need *n) {
  int64_t size = ir_dtypes[type->dtype].bytes;
  struct span s = {at->offset, at->offset + size - 1};
  for (int d = 0; d < type->rank; d++)
    s = sum(s, scaled(n->d[d], at->stride[d] * size));
  return s;
}

/* A block of `v` is read. */
static void add_need(struct walk *w, const struct ir_value *v,
                     const struct need *n) {
  if (v == w->x)
    w->read = join(w->read, bytes_of(v->type, &w->from, n));
  for (int i = 0; i < w->nops; i++) {
    if (ir_result(w->op[i]) != v)
      continue;
    for (int d = 0; d < v->type->rank; d++)
      w->need[i].d[d] =
          w->need[i].any ? join(w->need[i].d[d], n->d[d]) : n->d[d];
    w->need[i].any = true;
  }
}

/* ---- Through a nest ---- */

static void find_iters(const struct nest *n, const struct need *y,
                       struct span *iter) {
  for (int i = 0; i < n->niters; i++)
    iter[i] = (struct span){0, dn_max(n->iter[i].extent, 1) - 1};
  for (int d = 0; d < n->type->rank; d++)
    for (int i = 0; i < n->y[d].n; i++) {
      int64_t stride = n->y[d].stride[i];
      int64_t extent = n->iter[n->y[d].iter[i]].extent;
      assert(stride > 0 && "elements from one index of a dim to the next");
      struct span q = {dn_div_floor(y->d[d].lo, stride),
                       dn_div_floor(y->d[d].hi, stride)};
      bool wraps = n->y[d].n > 1 && stride * extent < n->type->dim[d];
      int64_t turn = wraps ? q.lo / extent * extent : 0;
      if (!wraps || q.hi < turn + extent)
        iter[n->y[d].iter[i]] = (struct span){q.lo - turn, q.hi - turn};
    }
}

static struct span index_span(const struct nest *n, const struct nest_index *x,
                              const struct span *iter, int64_t dim) {
  struct span s = {x->base, x->base};
  if (x->indirect >= 0)
    return (struct span){0, dn_max(dim, 1) - 1};
  for (int i = 0; i < n->niters; i++)
    s = sum(s, scaled(iter[i], x->coef[i]));
  s = (struct span){dn_div_floor(s.lo, x->div), dn_div_floor(s.hi, x->div)};
  bool folds = x->fit == NEST_REFLECT || x->fit == NEST_WRAP;
  if (folds && (s.lo < 0 || s.hi >= dim))
    return (struct span){0, dn_max(dim, 1) - 1};
  return s;
}

/* The row-major position that a reshape reads, as a block of its operand. */
static void add_flat(struct walk *w, const struct nest *n,
                     const struct need *y) {
  const struct ir_value *v = ir_arg(n->op, (unsigned)n->access[0].operand);
  int64_t stride[IR_MAX_RANK], size = ir_dtypes[v->type->dtype].bytes;
  struct span at = {0, 0};
  ir_type_strides(n->type, stride);
  for (int d = 0; d < n->type->rank; d++)
    at = sum(at, scaled(y->d[d], stride[d]));
  if (v == w->x && ir_type_is_dense(v->type, w->from.stride)) {
    struct span s = {w->from.offset + at.lo * size,
                     w->from.offset + at.hi * size + size - 1};
    w->read = join(w->read, s);
    return;
  }
  struct need need = {.any = true};
  ir_type_strides(v->type, stride);
  for (int d = 0; d < v->type->rank; d++) {
    need.d[d] = (struct span){at.lo / stride[d], at.hi / stride[d]};
    bool one = need.d[d].lo == need.d[d].hi;
    int64_t turn = need.d[d].lo * stride[d];
    at = one ? (struct span){at.lo - turn, at.hi - turn}
             : (struct span){0, stride[d] - 1};
  }
  add_need(w, v, &need);
}

static void add_access(struct walk *w, const struct nest *n,
                       const struct nest_access *a, const struct need *y,
                       const struct span *iter) {
  if (a->flat) {
    add_flat(w, n, y);
    return;
  }
  for (int p = 0; p < a->npieces; p++) {
    const struct ir_value *v = ir_arg(n->op, (unsigned)(a->operand + p));
    struct need need = {.any = true};
    for (int d = 0; d < a->rank; d++) {
      struct span s = index_span(n, &a->idx[d], iter, v->type->dim[d]);
      int64_t start = a->npieces > 1 && d == a->axis ? a->start[p] : 0;
      need.d[d] =
          within((struct span){s.lo - start, s.hi - start}, v->type->dim[d]);
    }
    add_need(w, v, &need);
  }
}

/* Elements of x that a block of the result reads, and elements that it writes.
 * */
static void add_block(struct walk *w, const struct need *block,
                      struct span *write) {
  struct span iter[NEST_MAX_ITERS];
  for (int i = 0; i < w->nops; i++)
    w->need[i].any = false;
  add_need(w, ir_arg(w->kernel->region[0]->last, 0), block);
  for (int i = w->nops; i-- > 0;) {
    if (!w->need[i].any)
      continue;
    find_iters(w->nest[i], &w->need[i], iter);
    for (int a = 0; a < w->nest[i]->naccesses; a++)
      add_access(w, w->nest[i], &w->nest[i]->access[a], &w->need[i], iter);
  }
  const struct ir_type *type = ir_result(w->kernel)->type;
  *write = join(*write, bytes_of(type, &w->to, block));
}

/* ---- The tiles ---- */

/* Indices [from, to) of the loop's dimensions from d on, in blocks. */
static void add_indices(struct walk *w, struct need *block, int d, int64_t from,
                        int64_t to, struct span *write) {
  const struct ir_type *type = ir_result(w->kernel)->type;
  int64_t inner = 1;
  for (int k = d + 1; k <= w->loop.last; k++)
    inner *= type->dim[k];
  while (from < to) {
    int64_t row = from / inner, end = dn_min(to, (row + 1) * inner);
    bool whole = from == row * inner && end == from + inner;
    block->d[d] = (struct span){row, row};
    if (whole) { /* and all whole rows behind it */
      end = to / inner * inner;
      block->d[d].hi = end / inner - 1;
      for (int k = d + 1; k <= w->loop.last; k++)
        block->d[k] = (struct span){0, type->dim[k] - 1};
      add_block(w, block, write);
    } else {
      add_indices(w, block, d + 1, from - row * inner, end - row * inner,
                  write);
    }
    from = end;
  }
}

/* Steps at which tiles begin, and the end. */
static int64_t find_tiles(const struct ir_loop *l, int64_t *step) {
  int64_t n = 0;
  for (int64_t i = 0; i <= l->ncuts; i++) {
    int64_t to = i < l->ncuts ? l->cuts[i] : l->extent;
    int64_t at = i ? l->cuts[i - 1] : 0, tile = dn_min(l->tile, to - at);
    for (; at < to; at += tile)
      step[n++] = at;
  }
  step[n] = l->extent;
  return n;
}

static bool tiles_follow(struct walk *w, struct dn_arena *arena) {
  const struct ir_type *type = ir_result(w->kernel)->type;
  int64_t *step = DN_ARRAY(arena, int64_t, w->loop.extent + 1);
  int64_t n = find_tiles(&w->loop, step);
  bool ok = true;
  w->read = nothing;
  for (int64_t turn = n; turn-- > 0 && ok;) { /* the last one first */
    int64_t i = w->loop.back ? n - 1 - turn : turn;
    struct need block = {.any = true};
    struct span write = nothing;
    for (int d = 0; d < type->rank; d++)
      block.d[d] = (struct span){0, dn_max(type->dim[d], 1) - 1};
    add_indices(w, &block, w->loop.first, step[i] * w->loop.block,
                step[i + 1] * w->loop.block, &write);
    ok = write.hi < w->read.lo || w->read.hi < write.lo;
  }
  return ok;
}

static bool begin_walk(struct walk *w, struct dn_arena *arena) {
  struct ir_loops loops;
  const struct ir_op *k = w->kernel;
  if (nest_onto(k) || loops_read(k, &loops) || !loops.n ||
      ir_get_int(k, "scalable"))
    return false;
  w->loop = loops.loop[0];
  if (w->loop.extent > MAX_TILES || w->loop.lanes ||
      (w->loop.block > 1 && w->loop.first != w->loop.last))
    return false;
  for (int i = 0; i < loops.n; i++)
    if (loops.loop[i].par || loops.loop[i].size)
      return false;
  for (const struct ir_op *op = k->region[0]->first; op->next; op = op->next) {
    if (w->nops == MAX_OPS)
      return false;
    w->nest[w->nops] = nest_build(arena, op);
    if (!w->nest[w->nops] || w->nest[w->nops]->carried >= 0)
      return false;
    w->op[w->nops++] = op;
  }
  return w->loop.extent * w->nops * w->nops <= MAX_STEPS;
}

bool verify_overlap(struct verifier *v, const struct ir_op *kernel,
                    const struct ir_value *x) {
  struct dn_arena *arena = dn_arena_new(v->ctx);
  struct walk *w = DN_NEW(arena, struct walk);
  w->kernel = kernel;
  w->x = x;
  bool ok = ir_place_of(x, &w->from) &&
            ir_place_of(ir_result(kernel), &w->to) &&
            !ir_place_moves(&w->from) && !ir_place_moves(&w->to) &&
            begin_walk(w, arena) && tiles_follow(w, arena);
  dn_arena_free(arena);
  return ok;
}

/* ---- Over a slice ---- */

/* The slice that a scan goes through `x` by, where all that reads `x` is that;
 * or NULL. */
static const struct ir_value *only_slice(const struct ir_value *x,
                                         const struct ir_op *scan) {
  const struct ir_use *u = x->uses;
  while (u && !u->next && u->op->code == IR_RESHAPE &&
         u->op->block == scan->block)
    u = ir_result(u->op)->uses;
  if (!u || u->next || u->op != scan)
    return NULL;
  unsigned i = ir_operand_number(u);
  return i < ir_num_carried(scan) ? NULL : scan->region[0]->param[i];
}

/* Bytes of a turn; false: not forwards. */
static bool turn_bytes(const struct ir_value *v, struct ir_place *at,
                       struct span *bytes) {
  int64_t size = ir_dtypes[v->type->dtype].bytes;
  if (!ir_place_of(v, at))
    return false;
  *bytes = (struct span){at->offset, at->offset + size - 1};
  for (int d = 0; d < v->type->rank; d++) {
    if (at->stride[d] < 0)
      return false;
    bytes->hi += (v->type->dim[d] - 1) * at->stride[d] * size;
  }
  return true;
}

/* The bytes of `v` within those of slice `p` in the same turn; false: it is not
 * within. Those of other turns are elsewhere. */
static bool in_slice(const struct ir_value *p, const struct ir_value *v,
                     struct span *bytes) {
  struct ir_place at, own;
  struct span all;
  if (!turn_bytes(p, &at, &all) || !turn_bytes(v, &own, bytes))
    return false;
  int64_t step = at.step[ir_loops_around(p->block) - 1];
  return at.space == own.space && at.number == own.number &&
         ir_type_is_dense(p->type, at.stride) &&
         (llabs(step) > all.hi - all.lo ||
          ir_max_turns(p->block->owner) == 1) &&
         !memcmp(at.step, own.step, sizeof at.step) && bytes->lo >= all.lo &&
         bytes->hi <= all.hi;
}

bool verify_apart_in_slice(const struct ir_value *x, const struct ir_value *y) {
  const struct ir_block *b = ir_home(y);
  const struct ir_op *scan = b->owner;
  struct ir_place at;
  struct span s[2];
  if (!scan || scan->code != IR_SCAN || ir_home(x) != b ||
      !turn_bytes(x, &at, &s[0]) || !turn_bytes(y, &at, &s[1]) ||
      (s[0].lo <= s[1].hi && s[1].lo <= s[0].hi))
    return false; /* nearly always: there may be many slices */
  for (unsigned i = ir_num_carried(scan); i < scan->noperands; i++)
    if (in_slice(b->param[i], x, &s[0]) && in_slice(b->param[i], y, &s[1]))
      return true;
  return false;
}

bool verify_over_slice(const struct ir_value *x, const struct ir_value *y) {
  const struct ir_block *b = ir_home(y);
  const struct ir_op *scan = b->owner;
  bool in_scan = scan && scan->code == IR_SCAN && y->def && x->def &&
                 x->def->block == scan->block;
  const struct ir_value *p = in_scan ? only_slice(x, scan) : NULL;
  struct span bytes;
  if (!p || !in_slice(p, y, &bytes))
    return false;
  for (const struct ir_op *op = b->first; op; op = ir_next_inside(scan, op)) {
    if (op->block->owner == y->def || (ir_is_view(op) && !ir_in_kernel(op)))
      continue;
    for (unsigned i = 0; i < op->noperands; i++) {
      const struct ir_value *v = ir_arg(op, i), *from = v;
      while (from->def && !ir_in_kernel(from->def) && ir_is_view(from->def))
        from = ir_arg(from->def, 0);
      if (from == p && !verify_apart_in_slice(v, y))
        return false;
    }
  }
  return true;
}
