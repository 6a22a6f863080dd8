/* cost.h - what a layer costs by simple models: cycles by a row of cores.def,
 * energy by the prices of arithmetic and memory, and the roofline: the more of
 * its operations by the core's peak rate and its bytes by the memory's. */
#ifndef CG_COST_H
#define CG_COST_H

#include "codegen/cg.h"
#include "codegen/report/stats.h"

struct cg_core; /* a row */
struct cg_machine {
  const struct cg_core *core; /* NULL: no row is the CPU's */
  const struct cg_opts *opts; /* its regions, and what waiting for them costs */
  bool dram; /* the network's values and weights are in no cache or SRAM */
};
struct cg_machine cg_machine_of(const struct cg_target *t,
                                const struct ir_module *m,
                                const struct cg_opts *opts,
                                const struct cg_sizes *sizes);

struct cg_cost {
  double flops, bytes;     /* two a MAC; constants, operands, result */
  double intensity;        /* FLOPs a byte */
  double cycles, roofline; /* 0: not known */
  double energy;           /* pJ */
  const char *bound; /* of the roofline: memory, compute; "-": not known */
};
struct cg_cost cg_layer_cost(const struct cg_machine *m,
                             const struct cg_layer *l);
struct cg_cost cg_run_cost(const struct cg_machine *m,
                           const struct cg_stats *stats);
/* 0: the clock or the core is not known. */
double cg_milliseconds(const struct cg_opts *opts, const struct cg_cost *cost);

#endif
