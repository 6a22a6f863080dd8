/* run_bench.c - how long a model takes, for machines that other programs use
 * too: between timed runs a short loop of known work measures what the core can
 * do at that moment, and the fraction of it is what can be compared between
 * machines and days. */
#include "tools/run.h"

#include "codegen/report/stats.h"

#include <stdlib.h>

static int by_number(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double run_quantile(double *samples, size_t n, double q) {
  qsort(samples, n, sizeof *samples, by_number);
  return samples[(size_t)(q * (double)(n - 1) + 0.5)];
}

/* Multiplications of the model as it is run. */
static int64_t count_macs(struct run *r) {
  if (r->macs || !r->m)
    return r->macs;
  struct cg_stats stats;
  cg_stats(r->ctx->arena, r->m, &stats);
  return stats.macs;
}

/* Warm-up runs, counted only when there is no time for others. */
bool run_bench(struct run *r) {
  enum { MOST = 1000000, WARM = 2, LEAST = WARM + 3 };
  const double patience = 1e10;
  struct ir_tensor *in = run_inputs(r);
  struct ir_tensor *out = run_buffers(r, r->out, r->nout);
  if (!in)
    return false;
  double limit = r->o->bench.value * 1e9;
  DN_LIST(double) us = {0}, fractions = {0};
  double flops = 2.0 * (double)count_macs(r), spent;
  int64_t begin = run_clock();
  int threads = r->o->interp ? 1 : opt_threads(r->o);
  size_t runs = 0;
  do {
    double peak = threads * run_peak();
    int64_t start = run_clock();
    if (!run_call(r, in, out))
      return false;
    r->keeps = true;
    double t = (double)(run_clock() - start) * 1e-9;
    if (runs++ == WARM)
      us.n = fractions.n = 0;
    DN_PUSH(r->ctx->arena, us, t * 1e6);
    DN_PUSH(r->ctx->arena, fractions, flops / t / peak);
    spent = (double)(run_clock() - begin);
  } while (runs < MOST &&
           (spent < limit || (spent < patience && runs < LEAST)));
  double median = run_quantile(us.v, us.n, 0.5);
  printf("bench median_us=%.1f min_us=%.1f p99_us=%.1f runs=%zu threads=%d "
         "gflops=%.2f peak_fraction=%.3f\n",
         median, us.v[0], run_quantile(us.v, us.n, 0.99), us.n, threads,
         flops / median * 1e-3, run_quantile(fractions.v, fractions.n, 0.9));
  return true;
}
