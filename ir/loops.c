/* loops.c - reads, checks and writes the attribute `loops` of kernels:
 *
 *   loops=[{dims=[3], tile=64}, {dims=[0,1,2], tile=6, cuts=[56]}]
 *
 * A record is a loop, the outermost first. `dims` are the dimensions that it
 * goes through as one; of a dimension in blocks, a loop with `block=N` goes
 * from block to block, and one without goes through a block. With `back=1` it
 * goes from the last tile to the first. */
#include "ir/loops.h"

#include "ir/nest.h"
#include "ir/size.h"

#include <assert.h>
#include <string.h>

const struct ir_type *loops_type(const struct ir_op *kernel) {
  const struct ir_op *onto = nest_onto(kernel);
  return onto ? ir_arg(onto, 2)->type : ir_result(kernel)->type;
}

/* What a kernel's body allows of its loops. */
struct body {
  struct dn_ctx *ctx;
  const struct ir_type *type;
  int carried;  /* dimension of a running fold: one index after another */
  bool ordered; /* it counts places of an order: no loop at all */
  bool folds;
  bool onto;
};

static struct body body_of(const struct ir_op *kernel) {
  struct body b = {.type = loops_type(kernel), .carried = -1};
  b.ctx = kernel->block->func->module->ctx;
  struct dn_arena *tmp = dn_arena_new(kernel->block->func->module->ctx);
  for (const struct ir_op *op = kernel->region[0]->first; op->next;
       op = op->next) {
    enum ir_class cls = ir_ops[op->code].cls;
    const struct nest *n = cls == IR_REDUCE ? nest_build(tmp, op) : NULL;
    b.folds |= ir_is_anchor(op);
    if (n && n->carried >= 0) {
      b.carried = n->carried;
      b.ordered = n->fold == NEST_NTH;
    }
  }
  b.onto = nest_onto(kernel);
  dn_arena_free(tmp);
  return b;
}

static bool has_loop(const struct body *b, int d) {
  return b->type->dim[d] > 1 && !(b->ordered && d == b->carried);
}

int loops_last(const struct ir_loops *loops) {
  int last = -1;
  for (int i = 0; i < loops->n; i++)
    if (loops->loop[i].block == 1 &&
        (last < 0 || loops->loop[i].last > loops->loop[last].last))
      last = i;
  return last;
}

bool loops_scale(const struct ir_op *kernel, const struct ir_loops *loops) {
  int last = loops_last(loops);
  int64_t vec = ir_get_int(kernel, "vec");
  bool lanes = false;
  for (int i = 0; i < loops->n; i++)
    lanes |= loops->loop[i].lanes;
  return last >= 0 && !loops->loop[last].size && !lanes && vec > 1 &&
         !(vec & (vec - 1)) && !nest_onto(kernel) &&
         loops->loop[last].last != body_of(kernel).carried;
}

/* ---- Without the attribute ---- */

static void add_plain(const struct ir_op *kernel, const struct body *b, int d,
                      struct ir_loops *out) {
  struct ir_loop *l = &out->loop[out->n];
  if (!has_loop(b, d))
    return;
  *l = (struct ir_loop){d, d, .block = 1, .extent = b->type->dim[d]};
  l->size = b->type->size[d];
  bool single = d == b->carried || (b->onto && d == 0);
  l->tile = single ? 1 : dn_max(ir_get_at(kernel, "tile", d), 1);
  l->lanes = ir_get_int(kernel, "lanes") == d;
  out->n++;
}

/* The loop over a running fold is innermost, so that what is carried from index
 * to index fits into registers. */
static void plain_loops(const struct ir_op *kernel, const struct body *b,
                        struct ir_loops *out) {
  bool ordered = ir_get_len(kernel, "order") > 0;
  out->n = 0;
  for (int i = 0; i < b->type->rank; i++) {
    int d = ordered ? (int)ir_get_at(kernel, "order", i) : i;
    if (d != b->carried)
      add_plain(kernel, b, d, out);
  }
  if (b->carried >= 0)
    add_plain(kernel, b, b->carried, out);
  int last = loops_last(out);
  if (last >= 0)
    out->loop[last].lanes = false; /* as they go anyway */
}

/* ---- The attribute ---- */

static const char *read_dims(const struct body *b, const struct ir_attr *a,
                             struct ir_loop *l) {
  if (a->kind != IR_A_INTS || !a->n)
    return "dims is not a list of dimensions";
  for (int64_t i = 0; i < a->n; i++) {
    int64_t d = a->is[i];
    if (d < 0 || d >= b->type->rank || (i && d <= l->last))
      return "dims are not rising dimensions of the result";
    for (int k = l->last + 1; i && k < d; k++)
      if (b->type->dim[k] != 1)
        return "dims leaves out a dimension in between";
    l->first = i ? l->first : (int)d;
    l->last = (int)d;
  }
  return NULL;
}

static const char *read_number(const struct ir_attr *a, int64_t most,
                               int64_t *out) {
  *out = a->kind == IR_A_INT ? a->i : 0;
  return *out < 1 || *out > most ? "tile, block, par, lanes or back is out of "
                                   "range"
                                 : NULL;
}

static const char *read_field(const struct body *b, const struct ir_attr *a,
                              struct ir_loop *l) {
  int64_t flag = 0;
  const char *error;
  if (!strcmp(a->name, "dims"))
    return read_dims(b, a, l);
  if (!strcmp(a->name, "tile"))
    return read_number(a, INT64_MAX, &l->tile);
  if (!strcmp(a->name, "block"))
    return read_number(a, INT64_MAX, &l->block);
  if (!strcmp(a->name, "cuts")) {
    l->cuts = a->is;
    l->ncuts = a->n;
    return a->kind == IR_A_INTS ? NULL : "cuts is not a list";
  }
  bool *out = !strcmp(a->name, "par")     ? &l->par
              : !strcmp(a->name, "lanes") ? &l->lanes
              : !strcmp(a->name, "back")  ? &l->back
                                          : NULL;
  if (!out)
    return "a field is not one of dims, block, tile, cuts, par, lanes, back";
  error = read_number(a, 1, &flag);
  *out = flag == 1;
  return error;
}

static const char *read_loop(const struct body *b, const struct ir_record *r,
                             struct ir_loop *l) {
  *l = (struct ir_loop){.first = -1, .last = -1, .block = 1, .tile = 1};
  const char *error = NULL;
  for (unsigned i = 0; i < r->n && !error; i++)
    error = read_field(b, &r->field[i], l);
  if (error)
    return error;
  if (l->first < 0)
    return "a loop has no dims";
  l->extent = 1;
  for (int d = l->first; d <= l->last; d++) {
    l->extent *= b->type->dim[d];
    if (d > l->first && b->type->size[d])
      return "a size that is known at run time only is not the first of dims";
  }
  l->size = ir_size_times(b->ctx, b->type->size[l->first],
                          l->extent / dn_max(b->type->dim[l->first], 1));
  if (b->type->size[l->first] && (!l->size || l->block > 1 || l->ncuts))
    return "a loop over a size that is known at run time only is cut, in "
           "blocks "
           "or of several dimensions";
  return l->block > 1 && l->first != l->last
             ? "blocks of more than one dimension"
             : NULL;
}

/* The loop over dimension d alone with the largest blocks below `most`. */
static struct ir_loop *next_block(struct ir_loops *out, int d, int64_t most) {
  struct ir_loop *next = NULL;
  for (int i = 0; i < out->n; i++) {
    struct ir_loop *l = &out->loop[i];
    if (l->first == d && l->last == d && l->block < most &&
        (!next || l->block > next->block))
      next = l;
  }
  return next;
}

/* Every index of dimension d is met once: in one loop, or in one from block to
 * block and one through a block. Their extents follow. */
static const char *check_dim(const struct body *b, struct ir_loops *out,
                             int d) {
  int64_t whole = b->type->dim[d], most = INT64_MAX;
  int found = 0, merged = 0;
  for (int i = 0; i < out->n; i++) {
    const struct ir_loop *l = &out->loop[i];
    if (l->first <= d && l->last >= d)
      ++*(l->first != l->last ? &merged : &found);
  }
  if (merged)
    return merged + found > 1 ? "a dimension is in two loops" : NULL;
  if (!found)
    return has_loop(b, d) ? "a dimension has no loop" : NULL;
  for (struct ir_loop *l; (l = next_block(out, d, most)); found--) {
    if (whole % l->block)
      return "a block does not divide what is around it";
    l->extent = whole / l->block;
    whole = most = l->block;
  }
  if (found)
    return "two loops go through the same blocks";
  return whole > 1 ? "blocks have no loop through them" : NULL;
}

static const char *check_cuts(const struct ir_loop *l) {
  for (int64_t i = 0; i < l->ncuts; i++)
    if (l->cuts[i] <= (i ? l->cuts[i - 1] : 0) || l->cuts[i] >= l->extent)
      return "cuts are not rising within the loop";
  return NULL;
}

/* What the body allows. */
static const char *check_loop(const struct ir_op *kernel, const struct body *b,
                              const struct ir_loops *out, int i) {
  const struct ir_loop *l = &out->loop[i];
  bool carried = b->carried >= l->first && b->carried <= l->last &&
                 b->type->dim[b->carried] > 1;
  if (carried && b->ordered)
    return "an order has no loop over its places";
  if (carried && (i + 1 < out->n || l->first != l->last || l->block > 1 ||
                  l->tile > 1 || l->ncuts || l->par))
    return "a running fold goes innermost, one index after another";
  if (b->onto && !l->first && (l->last || l->tile > 1))
    return "slices go onto an operand one after another";
  if (b->onto && l->par)
    return "threads cannot share slices that go onto an operand";
  if (l->par && i == loops_last(out) && ir_get_int(kernel, "scalable"))
    return "threads cannot share the loop of a scalable vector";
  if (l->back && (carried || b->onto || l->par || l->size || l->lanes ||
                  ir_get_int(kernel, "scalable")))
    return "a loop goes back that a fold, slices, threads, a size, lanes or "
           "scalable vectors order";
  int64_t vec = ir_get_int(kernel, "vec");
  if (l->lanes &&
      (b->folds || vec < 1 || vec & (vec - 1) || i == loops_last(out)))
    return "lanes need a loop but the last, a power of two and no fold";
  return check_cuts(l);
}

const char *loops_read(const struct ir_op *kernel, struct ir_loops *out) {
  const struct ir_attr *a = ir_find_attr(kernel, "loops");
  struct body b = body_of(kernel);
  const char *error = NULL;
  int npar = 0, nlanes = 0;
  out->n = 0;
  if (!a) {
    plain_loops(kernel, &b, out);
    return NULL;
  }
  if (a->n > IR_MAX_LOOPS)
    return "there are too many loops";
  for (int64_t i = 0; i < a->n && !error; i++)
    error = read_loop(&b, &a->rs[i], &out->loop[out->n++]);
  for (int d = 0; d < b.type->rank && !error; d++)
    error = check_dim(&b, out, d);
  for (int i = 0; i < out->n && !error; i++) {
    error = check_loop(kernel, &b, out, i);
    npar += out->loop[i].par;
    nlanes += out->loop[i].lanes;
  }
  if (!error && (npar > 1 || nlanes > 1))
    error = "two loops have par, or lanes";
  if (!error && ir_get_int(kernel, "scalable") && !loops_scale(kernel, out))
    error = "scalable vectors go along a last loop without size, lanes, slices "
            "or a running fold, in powers of two";
  return error;
}

static void put(struct ir_record *r, struct ir_attr a) { r->field[r->n++] = a; }

void loops_write(struct ir_op *kernel, const struct ir_loops *loops) {
  enum { FIELDS = 7 };
  struct dn_arena *tmp = dn_arena_new(kernel->block->func->module->ctx);
  const struct ir_type *type = loops_type(kernel);
  struct ir_record *rs = DN_ARRAY(tmp, struct ir_record, loops->n);
  for (int i = 0; i < loops->n; i++) {
    const struct ir_loop *l = &loops->loop[i];
    int64_t *dims = DN_ARRAY(tmp, int64_t, IR_MAX_RANK), n = 0;
    rs[i].field = DN_ARRAY(tmp, struct ir_attr, FIELDS);
    for (int d = l->first; d <= l->last; d++)
      if (type->dim[d] > 1)
        dims[n++] = d;
    put(&rs[i], ir_ints("dims", dims, n));
    if (l->block > 1)
      put(&rs[i], ir_int("block", l->block));
    if (l->tile > 1)
      put(&rs[i], ir_int("tile", l->tile));
    if (l->ncuts)
      put(&rs[i], ir_ints("cuts", l->cuts, l->ncuts));
    if (l->par)
      put(&rs[i], ir_int("par", 1));
    if (l->lanes)
      put(&rs[i], ir_int("lanes", 1));
    if (l->back)
      put(&rs[i], ir_int("back", 1));
  }
  ir_drop_attr(kernel, "tile");
  ir_drop_attr(kernel, "order");
  ir_drop_attr(kernel, "lanes");
  ir_set_attr(kernel, (struct ir_attr){.name = "loops",
                                       .kind = IR_A_RECORDS,
                                       .n = loops->n,
                                       .rs = rs});
  dn_arena_free(tmp);
}

/* ---- Asking ---- */

int64_t loops_tile(const struct ir_op *kernel, int d) {
  struct ir_loops loops;
  const char *error = loops_read(kernel, &loops);
  assert(!error && "the verifier has read them: rule loops");
  for (int i = 0; i < loops.n; i++)
    if (loops.loop[i].last == d && loops.loop[i].block == 1)
      return loops.loop[i].tile;
  return error ? 0 : 1;
}

static int64_t smaller_tile(const struct ir_loop *l, int64_t tile) {
  assert(l->tile > 0 && l->extent > 0 &&
         "read_number(); sizes have bounds above 0");
  int64_t next = dn_min(l->tile, l->extent), rest = l->extent % next;
  while (next >= tile)
    next /= 2;
  return rest < tile ? dn_max(next, rest) : next;
}

int64_t loops_next_tile(const struct ir_loop *l, int64_t tile, int64_t *most) {
  int64_t next = smaller_tile(l, tile), divides = ir_size_step(l->size);
  for (int64_t t = dn_min(l->tile, l->extent); t > tile; t = smaller_tile(l, t))
    divides = dn_gcd(divides, t); /* what is left by tiles so far */
  if (dn_gcd(divides, tile) == tile)
    next = 0;
  *most = next ? (tile - 1) / next : 0;
  return next;
}

int64_t loops_units(const struct ir_loop *l) {
  int64_t units = 0, from = 0;
  if (l->size) {
    int64_t tile = dn_min(l->tile, l->extent), most = l->extent / tile;
    for (; tile; tile = loops_next_tile(l, tile, &most))
      units += most;
    return units;
  }
  for (int64_t i = 0; i <= l->ncuts; i++) {
    int64_t n = (i < l->ncuts ? l->cuts[i] : l->extent) - from;
    units += dn_div_ceil(n, dn_min(l->tile, n));
    from += n;
  }
  return units;
}

bool loops_comes_before(const struct ir_loop *a, const struct ir_loop *b) {
  return a->last != b->last ? a->last < b->last : a->block > b->block;
}

int64_t loops_lanes(int64_t vec, int64_t left) {
  assert(vec > 0 && left > 0 && "rule schedule; callers stop at the end");
  int64_t lanes = 1;
  if (left >= vec)
    return vec;
  while (lanes * 2 <= left)
    lanes *= 2;
  return lanes;
}

void loops_index(struct affines *f, const struct ir_type *type,
                 const struct ir_loop *loop, int n,
                 const struct affine *const *at, const struct affine **idx) {
  for (int d = 0; d < type->rank; d++)
    idx[d] = affine_const(f, 0);
  for (int g = 0; g < n; g++) {
    assert(loop[g].first >= 0 && loop[g].last < type->rank &&
           "read_dims() has checked them");
    const struct affine *a = at[g];
    for (int d = loop[g].last; d > loop[g].first; d--) {
      idx[d] = affine_wrap(f, a, type->dim[d]);
      a = affine_div(f, a, type->dim[d]);
    }
    int first = loop[g].first;
    idx[first] = affine_add(f, idx[first], a, loop[g].block);
  }
}

bool loops_rows_first(const struct ir_op *kernel) {
  uint64_t rows = nest_row_dims(kernel);
  struct ir_loops loops;
  bool within = false;
  if (!rows || loops_read(kernel, &loops))
    return false;
  for (int i = 0; i < loops.n; i++) {
    const struct ir_loop *l = &loops.loop[i];
    bool folded = false, whole = true;
    for (int d = l->first; d <= l->last; d++) {
      bool in = rows >> d & 1 || ir_result(kernel)->type->dim[d] == 1;
      folded |= rows >> d & 1;
      whole &= in;
    }
    if ((within && !folded) || (folded && (!whole || l->par)))
      return false;
    within |= folded;
  }
  return true;
}

/* Loops over channels, over rows, and over the columns of a row. */
static bool is_by_channels(const struct ir_op *kernel, int channel) {
  struct ir_loops loops;
  if (!ir_get_int(kernel, "plane") || loops_read(kernel, &loops) ||
      loops.n != 3)
    return false;
  for (int i = 0; i < 3; i++) {
    const struct ir_loop *l = &loops.loop[i];
    if (l->first != l->last || l->block != 1 || l->size || l->par ||
        (i < 2 && (l->tile != 1 || l->ncuts || l->extent < 2)))
      return false;
  }
  return loops.loop[0].last == channel;
}

/* Each result of channel c is of windows in channel c. */
static bool is_of_channel(const struct nest *n, int channel) {
  const struct nest_access *x = &n->access[0];
  int own = nest_dim_iter(n, channel);
  if (x->operand || x->flat || x->npieces != 1 || own < 0)
    return false;
  for (int d = 0; d < x->rank; d++) {
    const struct nest_index *at = &x->idx[d];
    if (at->coef[own] != (d == channel))
      return false;
    if (d == channel && (at->base || at->div != 1 || at->indirect >= 0))
      return false;
    for (int i = 0; i < n->niters && d == channel; i++)
      if (i != own && n->iter[i].extent > 1 && at->coef[i])
        return false;
  }
  return true;
}

bool loops_channels_first(const struct ir_op *kernel, const struct ir_op *op) {
  const struct ir_type *y = ir_result(op)->type;
  const struct ir_value *x = op->noperands ? ir_arg(op, 0) : NULL;
  struct nest_window w;
  if (ir_ops[op->code].cls != IR_CONTRACT || y->rank < 3 ||
      !ir_same_dims(x->type, y) || !ir_same_dims(y, ir_result(kernel)->type) ||
      !is_by_channels(kernel, y->rank - 1))
    return false;
  for (const struct ir_op *o = kernel->region[0]->first; o; o = o->next)
    if (o != op && ir_ops[o->code].cls == IR_CONTRACT)
      return false;
  for (int d = 0; d < y->rank - 3; d++)
    if (y->dim[d] != 1)
      return false;
  struct dn_arena *tmp = dn_arena_new(kernel->block->func->module->ctx);
  const struct nest *n = nest_build(tmp, op);
  bool ok =
      n && nest_slides(n, &w) && w.out[0] >= 0 && is_of_channel(n, y->rank - 1);
  dn_arena_free(tmp);
  return ok;
}
