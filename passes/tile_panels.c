/* tile_panels.c - see tile_panels.h. */
#include "passes/tile_panels.h"

#include "passes/pack.h"

/* Bytes by which weights that are read once are prefetched. */
enum { AHEAD = 4096 };

/* Blocks of rows: all result dimensions but the last. */
static int64_t count_blocks(const struct tiling *k,
                            const struct tile_space *s) {
  int64_t blocks = 1;
  int first = k->ndims - 2;
  if (s->merged) {
    int64_t tall = k->tile[k->dim[first]] * k->tile[k->dim[first - 1]];
    blocks = dn_div_ceil(s->rows * s->more_rows, tall);
    first -= 2;
  }
  for (int i = first; i >= 0; i--)
    blocks *= dn_div_ceil(k->type->dim[k->dim[i]], k->tile[k->dim[i]]);
  return blocks;
}

void tile_panels(struct tiling *k, int iter, const struct tile_space *s) {
  int64_t bytes[2] = {0, 0}, l2 = k->env->target->l2;
  const struct ir_value *weights = NULL;
  if (k->n->naccesses != 2 || !l2)
    return;
  for (int a = 0; a < 2; a++) {
    const struct ir_value *x =
        ir_arg(k->n->op, (unsigned)k->n->access[a].operand);
    bool moves = tile_step(k, a, iter) != 0;
    bytes[moves] = ir_type_bytes(x->type);
    if (moves)
      weights = x;
    for (int i = 0; moves && i + 1 < k->ndims; i++) {
      int own = nest_dim_iter(k->n, k->dim[i]);
      if (own < 0 || tile_step(k, a, own) != 0)
        return;
    }
  }
  int last = k->dim[k->ndims - 1];
  int64_t panels = dn_div_ceil(k->type->dim[last], k->tile[last]);
  int64_t blocks = count_blocks(k, s);
  /* Weights that are read once come from memory; lanes fill half a line. */
  if (weights && weights->data && blocks == 1 && !k->matrix &&
      bytes[1] > l2 / 2 && k->lanes > 1 && !k->scalable &&
      k->env->target->vector_bytes >= 32)
    k->ahead = AHEAD;
  /* Products of matrix registers wait for what is not in the second cache. */
  if (!weights || (!k->matrix && (panels < 2 || bytes[1] <= l2 / 2)))
    return;
  k->panels_first = panels > 1 && (bytes[0] <= l2 / 2 ||
                                   bytes[0] / blocks < bytes[1] / panels);
  /* Without panels there is no next one in one piece. */
  bool cut = weights->data && pack_cuts(s->columns, k->tile[last], k->scalable);
  if (k->panels_first && cut && k->matrix)
    k->prefetch = blocks * k->passes;
  else if (k->panels_first && cut && blocks > 1)
    k->prefetch = INT64_C(1) << (63 - __builtin_clzll((uint64_t)blocks));
}
