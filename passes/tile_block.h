/* tile_block.h - the register block of a contraction: how many rows and how
 * many vectors of columns are computed at once. */
#ifndef PASS_TILE_BLOCK_H
#define PASS_TILE_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct tile_space {
  int64_t rows;      /* of the loop that is cut into blocks of rows */
  int64_t more_rows; /* of the loop around it, used when a block takes it all */
  bool merged;       /* code generation makes one loop of the two */
  int64_t columns;   /* elements along the vector dimension */
  int64_t lanes;
  int64_t registers;
  int64_t bcast_operand; /* facts.def */
  bool has_fma;
  int64_t most_rows;    /* widened for all columns; 0: none are */
  int64_t step, apart;  /* instructions for a run of those: facts.def */
  int64_t max_vectors;  /* of columns */
  bool along;           /* the registers are counted for sums alone */
  bool addressed;       /* the registers hold an address of each, too */
  bool exact;           /* code is dear: blocks that leave no rest */
  int64_t column_bytes; /* that the reduction reads of one column */
  int64_t cache; /* bytes that a panel may take to be read again; 0: any */
};

struct tile_block {
  int64_t rows, more_rows, vectors;
  double cost; /* of a step, or a run, of all sums */
};

/* Rows of a sum along words that many columns read may be widened, in memory of
 * the kernel's own, where filling up runs of `run` bytes to whole words is
 * little more: sets most_rows. */
void tile_widen(struct tile_space *s, int64_t run, int64_t dot);

/* The cheapest block that fits into the registers. */
struct tile_block tile_choose(const struct tile_space *s);

#endif
