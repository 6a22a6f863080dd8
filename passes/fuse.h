/* fuse.h - private to fuse*.c: what is known of ops and of the kernels that
 * they become, and the question whether an op may join one. */
#ifndef PASS_FUSE_H
#define PASS_FUSE_H

#include "passes/pass.h"

enum { MAX_STAGES = 8 }; /* reductions of rows in a kernel */

/* What an op is. VIEW and nothing: not computed by a kernel. */
enum role {
  VIEW = 1,
  MOVE = 2,
  MAP = 4,
  ANCHOR = 8, /* a contraction, a reduction, an order, or onto an operand */
  ROWS = 16,  /* ANCHOR: a reduction of rows; MAP: of the shape of one, read by
                 it */
  ONTO = 32,  /* onto its first operand, which is memory: the kernel's root */
  ORDER =
      64, /* a kernel alone: it reads its elements many times, or sets a size */
  CHEAP = 128,
  FOLLOWS = 256, /* a map that could be in the epilogue of an anchor */
  NULLARY = 512,
  FIXED = 1024,   /* of constants only */
  UNPACKS = 2048, /* and some of these are of less than a byte */
  COMPUTED = MOVE | MAP | ANCHOR
};

/* How a kernel reads one of its ops. */
struct reading {
  bool own; /* at the root's own index, by maps only: the anchor's epilogue */
  bool in_row;     /* within the root's row */
  bool again;      /* at other indices than the root's, too */
  bool window;     /* once by maps, or by windows of reductions */
  unsigned stages; /* loops over a row that read it; bit 0: the result's */
  double evals;    /* elements computed, all in all */
};

struct group {
  struct ir_op *root, *anchor;
  const struct ir_op *rows; /* reduction that says what a row is; or NULL */
  int nops, nreads, nstages;
  DN_LIST(struct ir_op *) ops;
};

struct info {               /* of an op */
  unsigned role;            /* of enum role */
  const struct ir_op *rows; /* with ROWS: the reduction */
  uint64_t pointwise;       /* operands read at the result's own index */
  double points, count;     /* of its loop nest; elements of its result */
  struct reading reading;   /* once it is in a group */
  ptrdiff_t group;          /* -1: none */
  int position;             /* in its block */
};

struct fuse {
  struct dn_arena *scratch;
  struct ir_module *m;
  struct info *info; /* by op id */
  int64_t **stride;  /* of views, by value id; NULL: row-major */
  unsigned nvalues;  /* before the pass: results of kernels made since are
                        row-major */
  DN_LIST(struct group) groups;
  int64_t max_ops;
};

static inline struct info *fuse_info(const struct fuse *f,
                                     const struct ir_op *op) {
  return &f->info[op->id];
}

/* May `op`, read as in `r`, join the group? */
struct candidate {
  const struct fuse *f;
  const struct ir_op *op;
  const struct info *in;
  const struct group *g;
  struct reading r;
};

/* And how the kernel reads it then; APART: it may not. */
enum way { APART, IN_ROW, OWN_INDEX, ANY_INDEX };
enum way fuse_way(const struct candidate *c);

/* The contraction that sums up parts, results of a contraction of integers,
 * `op`: nest_sum_of_parts(). NULL: there is none. */
const struct ir_op *fuse_sum_of(const struct fuse *f, const struct ir_op *op);
/* A map to elements of fewer bytes than it reads. */
bool fuse_narrows(const struct ir_op *op);

#endif
