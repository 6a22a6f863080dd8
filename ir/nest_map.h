/* nest_map.h - private to nest*.c: scalar expressions of MAP rows and of folds,
 * and folds that run on. */
#ifndef IR_NEST_MAP_H
#define IR_NEST_MAP_H

#include "ir/nest.h"

/* The parser of s-expressions. `name` makes a node of a name. */
struct nest_expr {
  const char *s;
  int (*name)(struct nest_expr *p, const char *s, size_t len);
  enum ir_opcode code;
  const struct ir_op *op; /* NULL: only check the row */
  const struct nest_names *names; /* of a fold */
  struct nest_node *node; /* of NEST_MAX_NODES */
  int nnodes;
  const char *error;
  int depth;
};
int nest_put_node(struct nest_expr *p, struct nest_node node);
/* Number of the expression's node. */
int nest_parse_expr(struct nest_expr *p);
/* Types of calls and numbers; those of names are known. */
void nest_expr_types(struct nest_expr *p, enum ir_dtype result,
                     enum ir_dtype peer);

/* Fills iterators, accesses and nodes from the row's s-expression; NULL, or
 * what is wrong with the row. */
const char *nest_build_map(struct dn_arena *arena, const struct ir_op *op,
                           struct nest *n);
/* States and code of n's fold; NULL, or what is wrong with its row. */
const char *nest_build_fold(struct dn_arena *arena, struct nest *n);
/* Least and greatest value over the iteration space, `fit` left aside. */
void nest_index_range(const struct nest *n, struct nest_index *x, int64_t dim,
                      const struct ir_size *size);
/* Sets n->carried of a fold whose windows grow by one element from one index to
 * the next. */
void nest_find_carried(struct nest *n);
/* Checks the syntax and the names of a MAP row. */
const char *nest_check_map(struct dn_arena *arena, enum ir_opcode code);

#endif
