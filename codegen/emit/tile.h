/* tile.h - the loops of a kernel, and the tile inside of them. */
#ifndef CG_EMIT_TILE_H
#define CG_EMIT_TILE_H

#include "codegen/emit/impl.h"
#include "ir/loops.h"

/* The kernel's loops: in row-major order, so that the last one has the lanes,
 * and from the outermost to the innermost. */
struct shape {
  int n;
  struct ir_loop loop[IR_MAX_LOOPS];
  int level[IR_MAX_LOOPS]; /* their numbers, the outermost first */
  int across;              /* the one that is read along; -1: the last */
};

struct tiler {
  struct kernel_cg *k;
  const struct shape *shape;
  const struct ir_value *root; /* what is stored */
  struct ir_place out;
  const struct affine *base[IR_MAX_LOOPS];
  int64_t size[IR_MAX_LOOPS];
  int par;      /* level that threads share, -1: none */
  int64_t unit; /* next unit of it: a tile, of any segment */
};

/* Code for the elements of the tile that starts at t->base, of t->size. */
void emit_tile(struct tiler *t);
/* The same, of rows whose folds are known or in registers. */
void emit_points(struct tiler *t);
/* ---- emit/matrix.c: a tile of a kernel whose schedule says `matrix` ---- */
void emit_matrix_tile(struct tiler *t);

#endif
