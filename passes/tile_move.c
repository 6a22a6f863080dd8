/* tile_move.c - how far the addresses that a kernel reads move when the
 * result's index goes one up along a dimension (ir/reads.h). A kernel that
 * reads along another dimension than it writes along (a transpose, channels
 * first to channels last) is best read in that direction and transposed in
 * registers. */
#include "passes/tile_move.h"

#include "ir/nest.h"
#include "ir/reads.h"

/* Addresses that move by one element along `dim`, and those that move by
 * several or by an unknown step. */
static void count_moves(const struct reads *r, int dim, int *contiguous,
                        int *apart) {
  *contiguous = *apart = 0;
  for (size_t i = 1; i < r->at.n; i++) { /* the first is the result's own */
    const struct affine *a = r->at.v[i];
    int64_t step = affine_coef(a, (unsigned)dim);
    bool derived = false;
    for (int t = 0; t < a->n; t++)
      derived |= a->term[t].var != (unsigned)dim &&
                 r->forms.vars.v[a->term[t].var].dims >> dim & 1;
    *contiguous += !derived && step == 1;
    *apart += derived || (step != 0 && step != 1);
  }
}

int tile_read_dim(struct dn_arena *scratch, const struct aliases *aliases,
                  const struct ir_op *kernel, int last, int64_t lanes) {
  const struct ir_type *type = ir_result(kernel)->type;
  int contiguous, apart, most, best = -1;
  if (type->dim[last] < lanes)
    return -1;
  const struct reads *r = aliases_reads(scratch, aliases, kernel);
  count_moves(r, last, &most, &apart);
  if (!apart)
    return -1;
  for (int d = 0; d < type->rank; d++) {
    if (d == last || type->dim[d] < lanes)
      continue;
    count_moves(r, d, &contiguous, &apart);
    if (contiguous > most && !apart) {
      most = contiguous;
      best = d;
    }
  }
  return best;
}

int64_t tile_runs(struct dn_arena *scratch, const struct aliases *aliases,
                  const struct ir_op *kernel) {
  const struct ir_op *op = kernel->region[0]->first;
  const struct ir_type *y = ir_result(kernel)->type;
  if (op->next != kernel->region[0]->last)
    return 0;
  const struct nest *n = nest_build(scratch, op);
  if (n->naccesses != 1 || !n->access[0].flat || !y->rank)
    return 0;
  const struct ir_value *x = ir_arg(op, 0);
  const struct alias *at = alias_of(aliases, x);
  int r = x->type->rank;
  int64_t runs = r ? x->type->dim[r - 1] : 0;
  if (r < 2 || !at || at->stride[r - 2] != 1 || runs < 4 || runs & (runs - 1) ||
      x->type->dim[r - 2] * runs != y->dim[y->rank - 1])
    return 0;
  return runs;
}
