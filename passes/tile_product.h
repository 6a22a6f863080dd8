/* tile_product.h - products whose columns lie along the lanes: the instruction
 * for them, and a block of rows and vectors. */
#ifndef PASS_TILE_PRODUCT_H
#define PASS_TILE_PRODUCT_H

#include "passes/tile_lanes.h"

/* The instruction for products of numbers in memory, which follow each other
 * along the innermost reduced iterator; those of constants do so when `pack`
 * has laid them out. `iter` is that of the lanes. */
struct ir_dot tile_dot(const struct tiling *k, int iter);
void tile_product(struct tiling *k, int iter);

#endif
