/* tile_matrix.h - whether a product goes by matrix registers, and its tile. */
#ifndef PASS_TILE_MATRIX_H
#define PASS_TILE_MATRIX_H

#include "passes/tile_lanes.h"

/* Sets k->matrix and k->tile, where that is faster than the dot that was found;
 * `merged`: the two last loops over rows are one. A convolution with padding
 * then reads a copy that has it. */
bool tile_matrix(struct tiling *k, int iter, bool merged);

#endif
