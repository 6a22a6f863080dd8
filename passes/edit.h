/* edit.h - what graph passes share: replacing a value, taking the place of an
 * op, permutations. */
#ifndef PASS_EDIT_H
#define PASS_EDIT_H

#include "passes/pass.h"

/* A builder that puts ops before `op` and gives them its location. */
struct ir_builder edit_before(struct ir_op *op);
/* A builder for ops that read `v`, no constant, and may be read wherever `v`
 * may: after its definition, or at the start of its block. */
struct ir_builder edit_after(struct ir_value *v);

/* Replaces the uses of a single-result op by `with` and removes it. A value
 * that was made for this (`fresh`) takes over the name. */
void edit_replace(struct ir_op *op, struct ir_value *with, bool fresh);

/* A kernel before `root` that yields root's value under its name, to all its
 * users; loc of `named`. The ops have yet to be moved, to before the yield. */
struct ir_op *edit_kernel(struct ir_op *root, const struct ir_op *named);
/* A kernel that copies `v`, inserted before `before`. */
struct ir_value *edit_copy(struct ir_value *v, struct ir_op *before);

/* A piece of a concat but the last has a size that is known at run time only:
 * the next one's place is no number. */
bool edit_pieces_move(const struct ir_op *concat);

/* Emits a transpose of `v`; `v` itself for the identity, a reshape when only
 * dimensions of size 1 move. NULL after a diagnostic. */
struct ir_value *edit_transpose(struct ir_builder *b, struct ir_value *v,
                                const int64_t *perm);
struct ir_value *edit_reshape(struct ir_builder *b, struct ir_value *v,
                              int rank, const int64_t *dims);
bool edit_perm_is_identity(int rank, const int64_t *perm);
/* Emits a pad of the first operand of an op with attributes `pads` and
 * `outside`, which no window is then beside. NULL after a diagnostic. */
struct ir_value *edit_padded(struct ir_builder *b, const struct ir_op *conv);

/* Emits [rows, ...] as [rows / n, n, ...]. */
struct ir_value *edit_cut_rows(struct ir_builder *b, struct ir_value *v,
                               int64_t n);
/* A scan by n turns of this one, which becomes the only op of its region: those
 * side by side or, `dealt`, every so many-th. The caller has seen that n
 * divides the turns, that there may be one loop and dimension more, and that
 * turns which are dealt carry nothing. */
struct ir_op *edit_cut_turns(struct ir_op *scan, int64_t n, bool dealt);

/* A constant, or made from one constant by single-operand ops: the fold pass
 * will make it one. */
bool edit_folds(const struct ir_value *v);

/* An attribute that might as well be left out. */
bool edit_attr_is_default(const struct ir_op *op, const struct ir_attr *a);

/* Makes each size of run time in the types of a block, regions included, and of
 * the constants that it reads, what `to` says. */
typedef const struct ir_size *
edit_size(struct dn_ctx *ctx, const struct ir_size *s, const void *user);
void edit_sizes(struct ir_block *b, edit_size *to, const void *user);

#endif
