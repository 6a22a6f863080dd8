/* inplace.c - reads at the index of the element that is written: see inplace.h.
 *
 * From the yield back: an op is at the result's own index when all its users
 * are and read it there. Where rows are folded before they are stored (nest.h),
 * reductions and maps read within the row that they are for, which is as good.
 *
 * A slice may be written over where the scan is the only reader of the tensor
 * that it goes through, which a kernel beside the scan makes. The kernel reads the
 * slice, or one view of it; views that other ops read share no bytes with that. */
#include "passes/inplace.h"

#include "ir/loops.h"
#include "ir/nest.h"
#include "ir/size.h"

#include <assert.h>

struct inner {        /* an op in the kernel */
  uint64_t pointwise; /* operands read at the result's own index */
  bool own;           /* and its result is, up to the kernel's result */
};

struct inplace {
  struct dn_map inner; /* by op */
};

bool inplace_reads_own(const struct inplace *p, const struct ir_use *u) {
  unsigned i = ir_operand_number(u);
  if (u->op->code == IR_YIELD)
    return true;
  const struct inner *in = dn_map_get(&p->inner, u->op);
  return in && in->own && i < 64 && in->pointwise >> i & 1;
}

struct inplace *inplace_build(struct dn_arena *arena, const struct ir_op *k) {
  struct inplace *p = DN_NEW(arena, struct inplace);
  assert(k->code == IR_KERNEL && k->region[0]->last->code == IR_YIELD &&
         "the caller has a kernel; rule terminator");
  bool rows = loops_rows_first(k);
  for (const struct ir_op *op = k->region[0]->last->prev; op; op = op->prev) {
    struct inner *in = DN_NEW(arena, struct inner);
    struct dn_arena *tmp = dn_arena_new(k->block->func->module->ctx);
    bool map = ir_ops[op->code].cls == IR_MAP;
    const struct nest *n = map ? nest_build(tmp, op) : NULL;
    for (unsigned i = 0; n && i < op->noperands && i < 64; i++)
      if (rows || nest_is_pointwise(n, i))
        in->pointwise |= UINT64_C(1) << i;
    if ((rows && ir_ops[op->code].cls == IR_REDUCE) ||
        ir_ops[op->code].traits & IR_ONTO)
      in->pointwise = 1; /* ... as is what slices are put onto */
    if (loops_channels_first(k, op))
      in->pointwise |= 1;
    dn_arena_free(tmp);
    in->own = true;
    for (const struct ir_use *u = ir_result(op)->uses; u; u = u->next)
      in->own &= inplace_reads_own(p, u);
    dn_map_put(arena, &p->inner, op, in);
  }
  return p;
}

/* ---- Over a slice ---- */

/* What a scan goes through is a kernel's result that nothing else reads. */
static bool is_for_turns(const struct ir_op *scan, unsigned i) {
  const struct ir_value *v = ir_arg(scan, i);
  while (!v->uses->next && v->def && v->def->code == IR_RESHAPE)
    v = ir_arg(v->def, 0);
  return !v->uses->next && v->def && v->def->code == IR_KERNEL &&
         v->def->block == scan->block && !ir_type_is_sized(v->type);
}

struct shown { /* a slice, or what a view shows of it */
  const struct ir_value *v;
  struct alias at;
  int64_t end; /* bytes */
  bool here, own,
      elsewhere; /* read by the kernel, where it writes; by others */
};

static bool show(const struct ir_value *v, struct shown *s) {
  int64_t last = 0;
  for (int d = 0; d < v->type->rank; d++) {
    if (s->at.stride[d] < 0)
      return false;
    last += (v->type->dim[d] - 1) * s->at.stride[d];
  }
  s->v = v;
  s->end = s->at.offset + (last + 1) * ir_dtypes[v->type->dtype].bytes;
  s->here = s->elsewhere = false;
  s->own = true;
  return ir_type_count(v->type) > 0;
}

/* Kernel `k` may overwrite slice `p`: it reads it element by element, and no
 * other op reads the slice. */
static bool find_over(struct dn_arena *tmp, const struct aliases *a,
                      const struct ir_value *p, const struct ir_op *k,
                      struct alias *to) {
  DN_LIST(struct shown) all = {0};
  struct shown it = {.at = *alias_of(a, p)};
  const struct inplace *reads = inplace_build(tmp, k);
  const struct ir_type *y = ir_result(k)->type;
  assert(p->block == k->block && "a slice is a parameter of the region");
  if (it.at.buffer < 0 || !show(p, &it))
    return false;
  DN_PUSH(tmp, all, it);
  for (size_t i = 0; i < all.n; i++)
    for (const struct ir_use *u = all.v[i].v->uses; u; u = u->next) {
      int64_t bytes = 0;
      it = all.v[i];
      if (alias_op_in(k->block, u->op) == k) {
        all.v[i].here = true;
        all.v[i].own &= inplace_reads_own(reads, u);
      } else if (!ir_is_view(u->op) || u->op->block != k->block) {
        all.v[i].elsewhere = true;
      } else {
        if (!ir_view_of(u->op, all.v[i].at.stride, it.at.stride, &bytes))
          return false;
        it.at.offset += bytes;
        if (!show(ir_result(u->op), &it))
          return false;
        DN_PUSH(tmp, all, it);
      }
    }
  const struct shown *x = NULL;
  for (size_t i = 0; i < all.n && !x; i++)
    x = all.v[i].here ? &all.v[i] : NULL;
  bool ok = x && x->own && x->v->type == y && ir_type_is_dense(y, x->at.stride);
  for (size_t i = 0; ok && i < all.n; i++)
    if (&all.v[i] == x ? x->elsewhere : all.v[i].here || all.v[i].elsewhere)
      ok = all.v[i].end <= x->at.offset || x->end <= all.v[i].at.offset;
  if (ok)
    *to = x->at;
  return ok;
}

bool inplace_over_slice(const struct aliases *a, const struct ir_op *k,
                        struct alias *at) {
  const struct ir_op *scan = k->block->owner;
  if (!scan || scan->code != IR_SCAN)
    return false;
  bool found = false;
  struct dn_arena *tmp = dn_arena_new(a->func->module->ctx);
  for (unsigned i = ir_num_carried(scan); i < scan->noperands && !found; i++)
    found = is_for_turns(scan, i) &&
            find_over(tmp, a, scan->region[0]->param[i], k, at);
  dn_arena_free(tmp);
  return found;
}
