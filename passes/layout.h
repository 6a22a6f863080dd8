/* layout.h - the parts of the layout pass: what a row lets one permute
 * (layout_rows.c), which values share a layout and what a choice costs
 * (layout_graph.c), and the rewriting (layout.c). */
#ifndef PASS_LAYOUT_H
#define PASS_LAYOUT_H

#include "passes/edit.h"

/* What permuting the dimensions of all operands and the result of an op takes,
 * given by the op's row. */
enum layout_kind {
  LAYOUT_FIXED,     /* it cannot be done */
  LAYOUT_MAP,       /* permute lists; operands broadcast from the right */
  LAYOUT_GROUP,     /* permute lists, renumber `axes` */
  LAYOUT_AXIS,      /* renumber `axes`, one number */
  LAYOUT_TRANSPOSE, /* a permutation itself */
  LAYOUT_RESHAPE    /* as far as whole groups of dimensions move */
};
struct layout_row {
  enum layout_kind kind;
  char axes[16]; /* attribute that numbers dimensions; "" none */
};
struct layout_row layout_row_of(struct dn_arena *scratch, enum ir_opcode code);
/* Permutes the attributes of an op: dimension d of the new layout is dimension
 * perm[d] of the old. */
void layout_permute_attrs(struct ir_op *op, const struct layout_row *row,
                          const int64_t *perm);

/* A permutation of up to IR_MAX_RANK dimensions. */
struct layout_perm {
  int64_t at[IR_MAX_RANK];
};

/* Value = base transposed by perm; base is not made by a transpose. */
struct layout_value {
  struct ir_value *base;
  struct layout_perm perm;
  int group; /* of a base: number of its group, or -1: pinned */
};

/* Values that share a layout: dimension d in memory is dimension order[d] of
 * the value. Pinned values are as they are. */
struct layout_group {
  int rank;
  bool chosen;
  struct layout_perm order;
  DN_LIST(unsigned) edges;
};

/* A read of a value, which costs a transpose where the orders of its group and
 * of the reader's differ. */
struct layout_edge {
  enum { LAYOUT_USE, LAYOUT_LOW, LAYOUT_RESHAPES } kind;
  const struct ir_value *value;
  int to;                       /* group of the reader, -1: as it is */
  const struct ir_type *result; /* of a reshape; LOW: of the map */
  bool absorbs; /* a reshape whose readers can permute their weights instead */
};

struct layout {
  struct pass_env *env;
  struct ir_module *m;
  struct dn_arena *arena;
  unsigned nvalues, nops; /* older ones than the pass made */
  struct layout_row row[IR_NUM_OPS];
  struct layout_value *value; /* by id */
  DN_LIST(struct layout_group) group;
  DN_LIST(struct layout_edge) edge;
};

/* FIXED when the types of this op stand against it. */
enum layout_kind layout_kind_of(const struct layout *l, const struct ir_op *op);
/* Finds groups and edges and chooses an order for each group. */
void layout_choose(struct layout *l);
/* Order in memory of the dimensions of `v`: of its base, seen through perm. */
struct layout_perm layout_order_of(const struct layout *l,
                                   const struct ir_value *v);
const struct layout_perm *layout_group_order(const struct layout *l, int group);

/* Reshapes: `from` lies in memory in order `a`. */
/* Whether `to` in order `b` is the same row-major sequence. */
bool layout_reshape_is_free(const struct ir_type *from, struct layout_perm a,
                            const struct ir_type *to, struct layout_perm b);
/* An order of `to` that makes it free, for a given order of `from`; called the
 * other way round it gives the order that a reader needs. */
bool layout_reshape_order(const struct ir_type *from, struct layout_perm a,
                          const struct ir_type *to, struct layout_perm *b);
/* Whether `a` differs from the identity only inside the group of dimensions
 * that the reshape merges into its last one. `group[d]`: dimension of `to` that
 * takes up dimension d of `from`, -1 for dims of 1. */
bool layout_reshape_merges(const struct ir_type *from, struct layout_perm a,
                           const struct ir_type *to, int *group);
/* Whether all readers of `v` are contractions with constants that can absorb
 * any order inside the last dimension of `v`. */
bool layout_can_absorb(const struct ir_value *v);
/* Permutes the constants accordingly; `from` is the operand of the reshape. */
bool layout_absorb(struct ir_value *v, const struct ir_type *from,
                   struct layout_perm order, const int *group);

extern const struct layout_perm layout_identity;
bool layout_is_identity(struct layout_perm p);

#endif
