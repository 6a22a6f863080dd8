/* sizes.h - modules of one model at several sizes become one whose sizes are
 * known at run time only. */
#ifndef PASSES_SIZES_H
#define PASSES_SIZES_H

#include "ir/ir.h"
#include "ir/size.h"

enum {
  SIZES_LOWS = 4,
  SIZES_CHECKS = 64,
  SIZES_MAX_LANES = 4 + IR_MAX_SIZES * (IR_MAX_SIZES + 5) / 2 + SIZES_CHECKS
};

struct sizes_lane {
  int64_t by[IR_MAX_SIZES]; /* from the bounds */
  struct ir_module *m;
  int low;   /* 1 + the parameter that is at its least, the others at bounds */
  bool thin; /* has had a dimension of 1 that is more at the bounds */
};
struct sizes {
  struct ir_point at;          /* the bounds */
  int64_t least[IR_MAX_SIZES]; /* at which the model is one */
  int64_t step[IR_MAX_SIZES];
  bool made[IR_MAX_SIZES]; /* by values of the model: from 0 on */
  int checks;              /* lanes that check, of SIZES_CHECKS */
  int attempts;            /* so far: see sizes_choose() */
  int n;                   /* lanes: at the bounds first */
  int nstep;               /* the first of them, which each attempt has */
  int nfit;                /* sizes are fitted to these; the others check */
  bool failed; /* at a lane that all attempts share: there is no other */
  struct sizes_lane lane[SIZES_MAX_LANES];
};

/* Chooses the lanes for the parameters of s->at: the bounds, a step along each
 * and each two, and others to check by, near, far, between and at the least.
 * Each attempt has others: far is at twice the bounds, then at half, as a model
 * may not go so far; and the least are higher, as a model may be another below:
 * that is the least of the parameters then. false: there are no more. */
bool sizes_choose(struct dn_ctx *ctx, struct sizes *s);
/* Whether lane k has the ops of the bounds, or is one that sizes_join() drops:
 * false after a diagnostic, when there is no need to have the other lanes. */
bool sizes_alike(struct dn_ctx *ctx, struct sizes *s, int k);
/* Makes ops of the lanes alike that differ by how they were simplified. */
void sizes_match(const struct sizes *s);
/* Gives the module at the bounds the sizes that make it each of the others.
 * Where a lane that checks has come to dimensions of 1, which simplify, it may
 * have other ops from there on, and results of the same types. false after
 * diagnostics that name the first node at which that cannot be. */
bool sizes_join(struct dn_ctx *ctx, struct sizes *s);

/* Emits the size, which is `bound` at most, or dimension d of a type, as an
 * i64[1]. */
struct ir_value *sizes_value(struct ir_builder *b, const struct ir_size *size,
                             int64_t bound);
struct ir_value *sizes_dim(struct ir_builder *b, const struct ir_type *t,
                           int d);

#endif
