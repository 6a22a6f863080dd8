/* verify_shared.c - threads share the turns of a scan that says so: they run at
 * once. So what a turn writes moves on with the turns, by the same step for all
 * that lies together, and is no longer than the step. It may be pieces at equal
 * distances (rows of columns that threads share): then each piece is no longer than
 * the step, and the distance no shorter than the steps of all turns. */
#include "ir/place.h"
#include "ir/verify.h"

#include <stdlib.h>

struct written { /* by a value in the region */
  const struct ir_value *v;
  uint64_t space;       /* and number of the place */
  int64_t lo, hi, step; /* bytes [lo, hi) in the first turn, */
  int64_t period;       /* and again so many on; 0: once */
  int64_t from, to;     /* of all turns */
};

/* n elements or turns, from the first to the last; places are in range. `all`:
 * what the steps of the scan's turns come to. */
static void reach(struct written *w, int64_t n, int64_t step, int64_t all) {
  int64_t way = (n - 1) * step, period = dn_gcd(w->period, llabs(step));
  *(step < 0 ? &w->from : &w->to) += way;
  if (all && way && period >= all)
    w->period = period;
  else
    *(step < 0 ? &w->lo : &w->hi) += way;
}

static bool find_written(const struct ir_op *scan, const struct ir_value *v,
                         struct written *w) {
  struct ir_place at;
  int64_t bytes = ir_dtypes[v->type->dtype].bytes;
  if (!ir_type_count(v->type) || !ir_place_of(v, &at))
    return false;
  int64_t turns = ir_max_turns(scan), all = llabs(at.step[0]) * turns;
  *w = (struct written){.v = v, .lo = at.offset, .hi = at.offset + bytes};
  w->space = (uint64_t)at.space << 32 | at.number;
  w->step = at.step[0];
  w->from = w->lo + dn_min(0, w->step * (turns - 1));
  w->to = w->hi + dn_max(0, w->step * (turns - 1));
  for (int d = 0; d < v->type->rank; d++)
    reach(w, v->type->dim[d], at.stride[d] * bytes, all);
  int depth = ir_loops_around(ir_home(v));
  for (const struct ir_block *b = ir_home(v); b->owner != scan;
       b = b->owner->block)
    if (ir_is_loop(b->owner) && at.step[--depth])
      reach(w, dn_max(1, ir_max_turns(b->owner)), at.step[depth], all);
  int64_t first = w->period ? w->lo - (w->lo % w->period) : 0;
  w->lo -= first;
  w->hi -= first;
  return true;
}

static int compare(const void *x, const void *y) {
  const struct written *a = x, *b = y;
  return a->space != b->space ? (a->space > b->space) - (a->space < b->space)
                              : (a->from > b->from) - (a->from < b->from);
}

static void check_scan(struct verifier *v, const struct ir_op *scan) {
  DN_LIST(struct written) all = {0};
  struct written w;
  for (const struct ir_op *op = ir_next_inside(scan, scan); op;
       op = ir_next_inside(scan, op)) {
    bool inner = op->block->owner->code == IR_KERNEL || ir_is_view(op);
    for (unsigned i = 0; i < op->nresults && !inner; i++)
      if (find_written(scan, op->result[i], &w))
        DN_PUSH(v->scratch, all, w);
  }
  if (all.n)
    qsort(all.v, all.n, sizeof *all.v, compare);
  int64_t lo = 0, hi = 0, end = 0;
  for (size_t i = 0; i < all.n; i++) {
    const struct written *x = &all.v[i], *last = i ? &all.v[i - 1] : x;
    bool on = i && x->space == last->space && x->from < end;
    lo = on ? dn_min(lo, x->lo) : x->lo;
    hi = on ? dn_max(hi, x->hi) : x->hi;
    end = on ? dn_max(end, x->to) : x->to;
    if (hi - lo > llabs(x->step) ||
        (on && (x->step != last->step || x->period != last->period))) {
      verify_op(
          v, x->v->def, SHARED,
          "%%%s at bytes %lld to %lld in one turn is in the way of another "
          "turn's",
          x->v->name, (long long)lo, (long long)hi);
      return;
    }
  }
}

void verify_shared(struct verifier *v, const struct ir_func *f) {
  for (const struct ir_op *op = f->body->first; op; op = op->next)
    if (op->code == IR_SCAN && ir_turns_at_once(op) > 1)
      check_scan(v, op);
}
