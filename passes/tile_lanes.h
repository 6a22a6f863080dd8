/* tile_lanes.h - the kernel that the pass tile looks at, how its operands lie
 * along what lanes could go along, and what its registers hold. */
#ifndef PASS_TILE_LANES_H
#define PASS_TILE_LANES_H

#include "ir/nest.h"
#include "passes/aliases.h"
#include "passes/pass.h"

struct tiling {
  struct pass_env *env;
  const struct aliases *aliases;
  struct ir_op *op;
  struct dn_arena *tmp;
  const struct ir_type *type;
  const struct nest *n; /* of the anchor, or NULL */
  int64_t lanes;
  int dim[IR_MAX_RANK], ndims; /* result dimensions larger than 1 */
  int64_t tile[IR_MAX_RANK];
  int64_t vec, unroll, max_unroll;
  struct ir_dot dot; /* the instruction for its sums of products, if any */
  int read_along;    /* a dimension, or -1: the last, as it is written */
  bool scalable; /* as many lanes as the machine's registers have, times vec */
  bool panels_first; /* the loop over the last dimension is the outermost */
  bool wide;         /* rows are widened to 16 bits once for all columns */
  bool plane;        /* windows slide over a copy of one channel */
  bool words;        /* products of four lanes go by words */
  int64_t matrix;    /* elements of a step of matrix registers; 0: none */
  int64_t passes;    /* of matrix registers over a tile's columns */
  int parts;         /* the dimension of parts of sums that results lack; -1 */
  int64_t prefetch;  /* blocks of rows that fetch the next panel; 0: none */
  int64_t ahead;     /* bytes by which weights are prefetched; 0: none */
};

int64_t tile_lane_bytes(enum ir_dtype t);
/* Lanes of the widest element in the kernel, up to the op `last` or of all. One
 * where most of the work is to pick elements: a lane that is picked costs three
 * times what it would alone, to take the index out and put the element in. */
int64_t tile_count_lanes(const struct tiling *k, const struct ir_op *last);
/* How far an access moves, in elements, when an iterator goes one up; a large
 * number where that differs. */
int64_t tile_step(const struct tiling *k, int access, int iter);
/* All accesses are contiguous or equal along it, or worth packing so. */
bool tile_all_fit(const struct tiling *k, int iter);
/* How many accesses change along an iterator. */
int tile_moving(const struct tiling *k, int iter);

/* ---- Registers ---- */
enum {
  TILE_FEW_OPS = 4, /* whose values are no burden on the registers */
  TILE_WINDOW = 9   /* steps of integers without vectors and a loop */
};
/* The lanes of its dot product go along the sum. */
bool tile_sums_along(const struct tiling *k);
/* Those that hold sums, or what maps compute. */
int64_t tile_registers(const struct tiling *k);
/* Registers that one instruction takes as a vector: up to `most`, not more than
 * the columns fill. */
int64_t tile_group(const struct tiling *k, int64_t most);
/* Sets so many vectors along the last dimension. Where their length is the
 * machine's, they are one group of registers. */
void tile_vectors(struct tiling *k, int64_t vectors);
/* Steps of the innermost loop at once: four where loads may run ahead without
 * taking the registers of the block. */
int64_t tile_unroll(const struct tiling *k, int64_t block, int64_t registers);
int tile_count_ops(const struct tiling *k);

#endif
