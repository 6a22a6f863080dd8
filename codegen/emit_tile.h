/* emit_tile.h - the loops of a kernel, and the tile inside of them. */
#ifndef CG_EMIT_TILE_H
#define CG_EMIT_TILE_H

#include "codegen/emit_impl.h"

/* A loop of the kernel: result dimensions merged into one, or a part of one. */
struct kdim {
  int first;    /* of the result dimensions that are one here */
  int at;       /* the last of them, whose index carries the counter */
  int64_t coef; /* times this */
  int64_t extent, tile;
  DN_LIST(int64_t) cuts; /* rising; with 0 and the extent */
};

enum { MAX_LOOPS = 2 * IR_MAX_RANK };
struct shape {
  int n;
  struct kdim dim[MAX_LOOPS]; /* in row-major order: the last has the lanes */
  int level[MAX_LOOPS];       /* their numbers, outermost loop first */
  int turned;                 /* the one that is read along; -1: the last */
};

struct tiler {
  struct kernel_cg *k;
  const struct shape *shape;
  const struct ir_value *root; /* what is stored */
  struct ir_place out;
  const struct affine *base[MAX_LOOPS];
  int64_t size[MAX_LOOPS];
  int par;      /* level that threads share, -1: none */
  int64_t unit; /* next unit of it: a tile, of any segment */
};

/* Code for the elements of the tile that starts at t->base, of t->size. */
void emit_tile(struct tiler *t);

#endif
