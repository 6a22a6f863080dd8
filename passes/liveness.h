/* liveness.h - what an order of the ops of a block costs in memory: those that
 * do something (nodes), the buffers that they touch, and the bytes that live
 * while each runs. A buffer counts in the block that it lives in: what blocks
 * around this one hold stays, and what the regions of a node need while it runs
 * is a number. */
#ifndef PASS_LIVENESS_H
#define PASS_LIVENESS_H

#include "passes/aliases.h"

struct live_list {
  int n;
  int *v;
};

/* A buffer that a node's own can lie over when it ends there: at its very
 * place, or `down` bytes and more below it or, with the outermost loop going
 * back, `up` bytes and more above it. */
struct live_take {
  int buffer;
  bool same;
  int64_t down, up;
  int64_t saved; /* bytes that the two then take less */
};

struct live_node { /* a kernel, concat or control flow */
  struct ir_op *op;
  struct live_list touches;      /* buffers it reads or writes, each once */
  struct live_list preds, succs; /* nodes, each once */
  int made;                      /* the buffer that it alone fills, or -1 */
  struct live_take *take;        /* for `made`, those that save most first */
  int ntakes;
  int64_t inside; /* bytes that its regions need; the caller sets it */
};

struct live_buffer {
  int of;       /* its number among the aliases' buffers */
  int64_t size; /* aligned; 0 for those in the caller's memory */
  int64_t align;
  bool in_arena;
  bool enters, leaves;    /* it is full before the first node, or kept */
  struct live_list nodes; /* that touch it, in program order */
};

struct live {
  struct aliases *aliases;
  struct ir_block *block;
  int nnodes, nbuffers;
  struct live_node *node; /* in program order */
  struct live_buffer *buffer;
};

/* What a plan may do: nothing, write a result in the place of an operand, or
 * over a part of it, too. */
enum live_reuse { LIVE_APART, LIVE_IN_PLACE, LIVE_OVERLAP };
/* `align` is the target's for large buffers. */
struct live *live_build(struct dn_arena *arena, struct aliases *aliases,
                        struct ir_block *block, int64_t align,
                        enum live_reuse reuse);

/* A run of nodes, one after another: what lives after those so far. */
struct live_run {
  const struct live *l;
  int *left;    /* nodes that have yet to touch each buffer */
  int *born;    /* the node that touched it first, plus 1 */
  int64_t live; /* bytes */
  int64_t kept; /* of these, after the last node */
};
struct live_run live_start(const struct live *l, struct dn_arena *arena);
/* Takes a step and returns the bytes that live while it is taken; *taken,
 * when not NULL, gets which of `take` the node's `made` lies over, or -1. */
int64_t live_do(struct live_run *r, int node, int *taken);
void live_undo(struct live_run *r, int node);

/* Bytes that live while each node of `order` runs, in its place; returns the
 * peak. `taken`, when not NULL, gets what each node takes over. */
int64_t live_peak(const struct live *l, struct dn_arena *scratch,
                  const int *order, int *taken);

#endif
