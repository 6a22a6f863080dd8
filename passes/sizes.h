/* sizes.h - modules of one model at several sizes become one whose sizes are
 * known at run time only. */
#ifndef PASSES_SIZES_H
#define PASSES_SIZES_H

#include "ir/ir.h"
#include "ir/size.h"

enum { SIZES_MAX_LANES = 3 + IR_MAX_SIZES * (IR_MAX_SIZES + 3) / 2 };

struct sizes_lane {
  int64_t by[IR_MAX_SIZES]; /* from the bounds */
  struct ir_module *m;
};
struct sizes {
  struct ir_point at; /* the bounds */
  int64_t step[IR_MAX_SIZES];
  bool
      up; /* lanes that are far are at twice the bounds, not at half: a model may
              not go so far, or have dimensions of 1 at half, and other ops */
  int n;  /* lanes: at the bounds first */
  struct sizes_lane lane[SIZES_MAX_LANES];
};

/* Chooses the lanes for the parameters of s->at: the bounds, a step along each
 * and each two, and others to check by, near and far. */
void sizes_choose(struct sizes *s);
/* Gives the module at the bounds the sizes that make it each of the others.
 * false after diagnostics that name the first node at which that cannot be. */
bool sizes_join(struct dn_ctx *ctx, struct sizes *s);

#endif
