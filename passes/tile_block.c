/* tile_block.c - the register block of a contraction.
 *
 * A block of R rows by V vectors keeps R*V accumulators, V vectors of one
 * operand and one element of the other in registers, so R*V + V + 1 must fit
 * (Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication",
 * section 4; Low et al., "Analytical Modeling Is Enough for High-Performance
 * BLIS", section 4.2). A step costs what is dearest of its multiply-adds and
 * its loads, two of each a cycle, of the stream of weights from the
 * second-level cache, and of the latency of a chain of additions. Blocks that
 * do not divide the loops leave rests, which are counted: that makes the blocks
 * about equal. */
#include "passes/tile_block.h"

#include "ir/base.h"

enum {
  WIDE = 2,        /* bytes of a widened element, */
  MAX_WIDE = 576,  /* and of memory for them, for each sum of a tile */
  WIDE_COLUMNS = 8 /* that pay for it */
};
enum { LATENCY = 8 }; /* multiply-adds under way: 4 cycles, 2 a cycle */
/* Half cycles in which a vector of weights comes from the second-level cache, a
 * register at about 50 bytes a cycle, or from beyond it. */
static const double STREAM = 2.5, FAR_STREAM = 5, UNEVEN = 1.03;

/* Half cycles of one step of the reduction over a block. A core without vectors
 * is taken to do one thing at a time. */
static double step_cost(const struct tile_space *s, int64_t rows,
                        int64_t vectors) {
  if (s->most_rows)
    return (double)(s->step * rows * vectors + rows + s->apart * vectors);
  if (s->lanes == 1)
    return (double)(rows * vectors + rows + vectors);
  int64_t cost = dn_max(rows * vectors, rows + vectors);
  bool far = s->cache && s->column_bytes * s->lanes * vectors > s->cache;
  double stream = (far ? FAR_STREAM : STREAM) * (double)vectors;
  cost = dn_max(cost, LATENCY);
  return (double)cost > stream ? (double)cost : stream;
}

/* Vectors that `n` elements take; a rest is cut into powers of two. */
static int64_t count_vectors(int64_t n, int64_t lanes) {
  return n / lanes + __builtin_popcountll((uint64_t)(n % lanes));
}

/* Of all blocks of rows against `vectors`. */
static double rows_cost(const struct tile_space *s, int64_t rows,
                        int64_t more_rows, int64_t vectors) {
  double cost = 0;
  if (s->merged) {
    int64_t all = s->rows * s->more_rows, tall = rows * more_rows;
    cost = (double)(all / tall) * step_cost(s, tall, vectors);
    return all % tall ? cost + step_cost(s, all % tall, vectors) : cost;
  }
  for (int i = 0; i < 4; i++) { /* whole and rest, of both loops */
    int64_t n = i & 1 ? s->rows % rows : s->rows / rows;
    int64_t m = i & 2 ? s->more_rows % more_rows : s->more_rows / more_rows;
    int64_t tall = i & 1 ? s->rows % rows : rows;
    int64_t deep = i & 2 ? s->more_rows % more_rows : more_rows;
    double times = (double)(i & 1 ? n > 0 : n) * (double)(i & 2 ? m > 0 : m);
    if (times > 0)
      cost += times * step_cost(s, tall * deep, vectors);
  }
  return cost;
}

static double block_cost(const struct tile_space *s,
                         const struct tile_block *b) {
  int64_t wide = b->vectors * s->lanes;
  double cost = 0;
  if (s->columns / wide)
    cost = (double)(s->columns / wide) *
           rows_cost(s, b->rows, b->more_rows, b->vectors);
  if (s->columns % wide)
    cost += rows_cost(s, b->rows, b->more_rows,
                      count_vectors(s->columns % wide, s->lanes));
  /* Columns without a rest can be packed into panels. */
  return s->columns % wide ? cost * UNEVEN : cost;
}

/* Accumulators, a row of columns, the shared factors of one step, and without
 * fused multiply-adds the products that are under way. */
static int64_t count_registers(const struct tile_space *s,
                               const struct tile_block *b) {
  int64_t rows = b->rows * b->more_rows, wide = b->vectors * s->lanes;
  int64_t rest = count_vectors(s->columns % wide, s->lanes); /* may be more */
  int64_t vectors = dn_max(s->columns < wide ? 0 : b->vectors, rest);
  int64_t n = rows * vectors + vectors + (s->has_fma ? 0 : 2);
  if (s->along)
    return rows * vectors;
  if (s->addressed) /* sums, a factor of each side, addresses, an index */
    return rows * vectors + 2 + rows + vectors + 1;
  if (s->lanes == 1)
    return n + 1;
  return n + (s->bcast_operand > 1 ? rows : s->bcast_operand);
}

static void consider(const struct tile_space *s, struct tile_block b,
                     struct tile_block *best, double *least) {
  /* With vectors of two widths LLVM's scheduler spills well before the last
   * register: half the speed. */
  bool mixed = s->lanes > 1 && s->columns % s->lanes;
  int64_t most = mixed ? s->registers * 3 / 4 : s->registers;
  if (s->most_rows && b.rows * b.more_rows > s->most_rows)
    return;
  if (s->exact &&
      (s->rows % b.rows || s->more_rows % b.more_rows ||
       (s->columns > s->lanes && s->columns % (b.vectors * s->lanes))))
    return;
  if ((s->addressed || b.rows * b.more_rows > 1) &&
      count_registers(s, &b) > most)
    return;
  double cost = block_cost(s, &b);
  /* A smaller block must be worth it: code and loads shared are better. */
  if (cost < *least * 0.995) {
    *least = cost;
    *best = b;
    best->cost = cost;
  }
}

void tile_widen(struct tile_space *s, int64_t run, int64_t dot) {
  int64_t filled = dn_div_ceil(run, dot) * dot;
  int64_t bytes = WIDE * s->column_bytes / dn_max(run, 1) * filled;
  if (bytes && s->columns >= WIDE_COLUMNS && 3 * filled <= 4 * run)
    s->most_rows = MAX_WIDE * s->registers / bytes;
}

struct tile_block tile_choose(const struct tile_space *s) {
  struct tile_block best = {.rows = 1, .more_rows = 1, .vectors = 1};
  double least = 1e300;
  int64_t most = dn_div_ceil(s->columns, s->lanes);
  for (int64_t v = dn_min(most, s->max_vectors); v >= 1; v--) {
    if (v + !s->along >= s->registers + s->along && v > 1)
      continue;
    for (int64_t r = dn_min(s->rows, s->registers); r >= 1; r--) {
      int64_t deep = r == s->rows ? dn_min(s->more_rows, 8) : 1;
      for (int64_t m = deep; m >= 1; m--)
        consider(s, (struct tile_block){r, m, v, 0}, &best, &least);
    }
  }
  return best;
}
