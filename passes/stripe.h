/* stripe.h - kernels that are computed a block of rows at a time: which ops can
 * be, what rows of each a block of the last one's rows needs, and the change. A
 * stripe is a chain of ops of one block that only its last one, the root, is
 * read of. Rows are indices along a dimension of each value, which differs from
 * value to value; nests say which (ir/nest.h). */
#ifndef PASS_STRIPE_H
#define PASS_STRIPE_H

#include "ir/nest.h"
#include "passes/edit.h"

struct stripe_rows {
  int64_t lo, hi; /* [lo, hi); lo == hi: none */
};

/* Rows [lo, hi) of a value need rows [coef lo + base, coef (hi - 1) + base +
 * reach] of an operand along its dimension `axis`. */
struct stripe_read {
  int axis; /* -1: all of it */
  int64_t coef, base, reach;
};

/* What rows of an op's result along `axis` need of each operand; false: they
 * cannot be computed by themselves. */
bool stripe_reads(struct dn_arena *tmp, const struct ir_op *op, int axis,
                  struct stripe_read *out);
/* Rows of `x`, and the attributes of `op` for the rows of its result that
 * `type` has, of which it reads some outside its operand. */
struct ir_value *stripe_slice(struct ir_builder *b, struct ir_value *x,
                              int axis, struct stripe_rows r);
struct ir_attr *stripe_attrs(struct ir_module *m, const struct ir_op *op,
                             int axis, const struct ir_type *type,
                             struct stripe_rows outside);

struct stripe_link {
  struct ir_op *op;
  unsigned operand;
  int of, from; /* values of the stripe; from -1: made outside of it */
  struct stripe_read read;
};

struct stripe_value {
  struct ir_value *v;
  int axis;
  struct ir_op *at; /* op of the stripe that makes it; NULL: in a kernel */
  int key;          /* its dimension of keys, plus 1; 0: none */
};

/* Keys: a second dimension that some values have, over which the root sums, and
 * of which a mask hides some from each row (stripe_mask.c). */
struct stripe_keys {
  int64_t n;                         /* 0: nothing is hidden */
  struct stripe_rows *seen;          /* of each row */
  DN_LIST(struct stripe_link) links; /* from outside, what has keys */
  bool fixed;                        /* windows of them cannot move with rows */
  bool rise;          /* a row sees as many more than the one before
                                        as all rows do, from the first key on */
  int64_t rows, most; /* what a block of so many rows sees at most */
};

struct stripe {
  struct dn_arena *arena;              /* of what is here */
  DN_LIST(struct ir_op *) ops;         /* the root first, then backwards */
  DN_LIST(struct stripe_value) values; /* the root's first */
  DN_LIST(struct stripe_link) links;   /* from readers to what they read */
  struct stripe_keys *keys;            /* once stripe_find_keys() has looked */
};

/* What is known of the ops of a module. */
struct striper {
  struct dn_arena *arena;
  struct ir_module *m;
  struct stripe_op **of; /* by op id: its reads, once they have been found */
  int *number;           /* by value id: in the stripe at hand, plus 1 */
  int *state;            /* by value id: how it is read */
  struct dn_map masks;   /* constants: what is known of them (stripe_mask.c) */
  struct dn_map huge;    /* and whether they have numbers that hide keys */
};
struct striper striper_new(struct dn_arena *arena, struct ir_module *m);

/* The longest stripe of `root` that goes back to op `first` at most; false: its
 * rows depend on each other. */
bool stripe_find(struct striper *s, struct dn_arena *arena, struct ir_op *root,
                 const struct ir_op *first, struct stripe *out);
/* Rows of the root. */
int64_t stripe_height(const struct stripe *s);
/* Gives the stripe's values their numbers, plus 1, in s->number, the kernels'
 * roots too; or takes them back. */
void stripe_number(struct striper *s, const struct stripe *stripe, bool on);
/* What an access reads as iterator `it` goes on; false: not at even steps. */
bool stripe_read_by(const struct nest *n, const struct nest_access *a, int it,
                    struct stripe_read *out);

void stripe_find_keys(struct striper *s, struct stripe *stripe);
/* The keys that a block of rows [lo, hi) is computed for: windows that move
 * with rows, or else whole ones of so many parts. */
enum { STRIPE_PARTS = 8 };
struct stripe_rows stripe_keys_of(const struct stripe *s, int64_t lo,
                                  int64_t hi);

/* The rows of one block: of each value, and of each link what is read of the
 * operand, and rows of it that are outside. */
struct stripe_turn {
  struct stripe_rows *value, *link, *outside;
  struct stripe_rows keys; /* with a mask */
};
struct stripe_turn stripe_turn_new(struct dn_arena *arena,
                                   const struct stripe *s);
/* false: an op cannot be cut so. */
bool stripe_turn_at(const struct stripe *s, int64_t lo, int64_t hi,
                    struct stripe_turn *out);

/* Blocks that are computed by one code: in turns, `count` of them, or alone. */
struct stripe_run {
  int64_t first, count;        /* blocks */
  struct stripe_turn at, next; /* of the first and, of several, the second */
};
struct stripe_runs {
  int64_t rows; /* of a block; of the last one fewer */
  DN_LIST(struct stripe_run) runs;
};
/* false: it cannot be cut so, or into more than `most` runs. */
bool stripe_cut(struct dn_arena *arena, const struct stripe *s, int64_t rows,
                size_t most, struct stripe_runs *out);

/* Puts the stripe in place of its ops. */
void stripe_apply(struct striper *s, struct stripe *stripe,
                  const struct stripe_runs *cut);

/* ---- Which (stripe_choose.c) ---- */

/* Bytes of what is not stored whole, from which time may be saved. */
enum { STRIPE_LEAST = 131072 };

/* Stripes that save time, if `time`, and memory where the block would need more
 * than `limit` bytes: the cheapest that fit, or else those that need least.
 * With a limit of 0, those that need least of what takes few cycles more, where
 * that is a good part less. Returns how many were made. */
int64_t stripe_block(struct pass_env *env, struct ir_block *b, int64_t limit,
                     bool time);
/* Cuts the blocks of those stripes of `b` in which more than `limit` bytes are
 * in use, to fit what is left of it. */
typedef int64_t stripe_cutter(struct pass_env *env, struct ir_block *b,
                              int64_t limit);
int64_t stripe_within(struct pass_env *env, struct ir_block *b, int64_t limit,
                      stripe_cutter *cut);

/* ---- What is said of it (stripe.c) ---- */

/* With -v: the stripe as --stripe has it, and the work that blocks do twice. */
void stripe_say(const struct pass_env *env, const struct stripe *s,
                const struct stripe_runs *cut);

#endif
