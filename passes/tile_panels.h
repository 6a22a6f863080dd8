/* tile_panels.h - the order of the loops of a product whose weights leave the
 * cache, and how they are fetched. */
#ifndef PASS_TILE_PANELS_H
#define PASS_TILE_PANELS_H

#include "passes/tile_block.h"
#include "passes/tile_lanes.h"

/* Sets panels_first, prefetch and ahead: all rows go with one panel (block of
 * columns) before the next where the operand that columns read, the weights,
 * would leave the cache once for each block of rows. The blocks then share the
 * fetching of the panel that comes next. */
void tile_panels(struct tiling *k, int iter, const struct tile_space *s);

#endif
