/* onnx_tree.h - an ensemble of trees as splits and leaves: read from the
 * attributes of an operator (onnx_tree.c), made ops of by onnx_op_tree.c. */
#ifndef FE_ONNX_TREE_H
#define FE_ONNX_TREE_H

#include "frontend/onnx_ml.h"

/* In children and roots: a leaf's number is ~leaf, an ONNX node's is its own,
 * and this is added to a split's. */
#define SPLIT (INT64_C(1) << 40)

struct numbers {
  int64_t *v;
  size_t n, cap;
};
struct split {
  int64_t column;
  double hi;
  int64_t to[2]; /* where x <= hi, and where not */
  int64_t level, id;
  int64_t height, children; /* of the splits below; the first child's slot */
};
struct weight {
  int64_t target;
  double v;
};
struct leaf {
  DN_LIST(struct weight) weights;
  const double *v; /* [width] */
  int64_t row;     /* -1: not reached yet */
};

struct onnx_trees {
  struct onnx_call *c;
  struct dn_arena *arena;
  enum ir_dtype type; /* of x and the thresholds */
  int64_t columns, targets;
  bool has_missing;
  int64_t nnodes;
  int64_t *entry; /* of ONNX nodes: a split or a leaf */
  DN_LIST(struct split) splits;
  DN_LIST(struct leaf) leaves;
  struct numbers roots;
  bool extreme;       /* MIN or MAX */
  double otherwise;   /* weight of a target that a leaf has none for */
  int64_t *target_of; /* by root; NULL: leaves have weights for all targets */
  int64_t levels, width;
  DN_LIST(struct split *) order; /* those reached, by id */
  DN_LIST(const double *) rows;
};

/* Reads nodes and leaves; `prefix` is "target" or "class", NULL: those of a
 * TreeEnsemble. e->c, columns, targets and type are set. false after a
 * diagnostic. */
bool onnx_tree_read(struct onnx_trees *e, const char *prefix);

#endif
