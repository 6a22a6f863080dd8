/* run_bench.c - how long a model takes, for machines that other programs use
 * too: between timed runs a short loop of known work measures what the core can
 * do at that moment, and the fraction of it is what can be compared between
 * machines and days. Also the time of each kernel. */
#include "tools/run.h"

#include "codegen/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct sample {
  double us, fraction;
};

static int by_number(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* The value below which a share `q` of the samples lies. */
static double quantile(const double *sorted, size_t n, double q) {
  size_t k = (size_t)(q * (double)(n - 1) + 0.5);
  return sorted[k];
}

/* Multiplications of the model as it is run. */
static int64_t count_macs(struct run *r) {
  if (r->macs || !r->m)
    return r->macs;
  struct cg_stats stats;
  cg_stats(r->ctx->arena, r->m, &stats);
  return stats.macs;
}

bool run_bench(struct run *r) {
  enum { MOST = 1000000, LEAST = 3 };
  struct ir_tensor *in = run_inputs(r);
  struct ir_tensor *out = run_buffers(r, r->out, r->nout);
  if (!in || !run_call(r, in, out) || !run_call(r, in, out)) /* warm up */
    return false;
  double limit = r->o->bench.value * 1e9;
  DN_LIST(double) us = {0}, fractions = {0};
  int64_t begin = run_clock();
  double flops = 2.0 * (double)count_macs(r);
  do {
    double peak = run_peak();
    int64_t start = run_clock();
    if (!run_call(r, in, out))
      return false;
    double t = (double)(run_clock() - start) * 1e-9;
    DN_PUSH(r->ctx->arena, us, t * 1e6);
    DN_PUSH(r->ctx->arena, fractions, flops / t / peak);
  } while ((us.n < LEAST || (double)(run_clock() - begin) < limit) &&
           us.n < MOST);
  qsort(us.v, us.n, sizeof *us.v, by_number);
  qsort(fractions.v, fractions.n, sizeof *fractions.v, by_number);
  double median = quantile(us.v, us.n, 0.5);
  printf("bench median_us=%.1f min_us=%.1f p99_us=%.1f runs=%zu threads=1 "
         "gflops=%.2f peak_fraction=%.3f\n",
         median, us.v[0], quantile(us.v, us.n, 0.99), us.n,
         flops / median * 1e-3, quantile(fractions.v, fractions.n, 0.9));
  return true;
}

/* ---- Per kernel ---- */

struct line { /* of the profile */
  const struct cg_layer *layer;
  double us;
};

/* Runs often enough to average; fills us[] of each kernel, returns how many. */
static size_t measure(struct run *r, const struct cg_stats *stats,
                      struct line *lines, double *total) {
  enum { LEAST = 3 };
  struct ir_tensor *in = run_inputs(r);
  struct ir_tensor *out = run_buffers(r, r->out, r->nout);
  if (!in || !run_call(r, in, out))
    return 0;
  size_t n = 0;
  for (size_t i = 0; i < stats->layers.n; i++)
    if (stats->layers.v[i].op->code == IR_KERNEL)
      lines[n++].layer = &stats->layers.v[i];
  memset(r->profile, 0, n * sizeof *r->profile);
  int64_t start = run_clock(), runs = 0;
  do {
    if (!run_call(r, in, out))
      return 0;
    runs++;
  } while (runs < LEAST || (double)(run_clock() - start) < 3e8);
  *total = (double)(run_clock() - start) * 1e-3 / (double)runs;
  double cycles = 0;
  for (size_t i = 0; i < n; i++)
    cycles += (double)r->profile[i];
  for (size_t i = 0; i < n && cycles > 0; i++)
    lines[i].us = *total * (double)r->profile[i] / cycles;
  return n;
}

static bool write_trace(struct run *r, const struct line *lines, size_t n) {
  struct dn_buf out;
  dn_buf_init(&out, r->ctx->arena);
  dn_buf_printf(&out, "{\"traceEvents\":[\n");
  double at = 0;
  for (size_t i = 0; i < n; i++) {
    struct dn_buf name;
    dn_buf_init(&name, r->ctx->arena);
    for (const char *s = lines[i].layer->name; *s; s++)
      dn_buf_printf(&name, strchr("\"\\", *s) ? "\\%c" : "%c", *s);
    dn_buf_printf(&out,
                  "%s{\"name\":\"%s\",\"cat\":\"%s\",\"ph\":\"X\",\"pid\":1,"
                  "\"tid\":1,\"ts\":%.3f,\"dur\":%.3f}",
                  i ? ",\n" : "", name.text, lines[i].layer->what, at,
                  lines[i].us);
    at += lines[i].us;
  }
  dn_buf_printf(&out, "\n]}\n");
  return dn_file_write(r->ctx, r->o->trace, out.text, out.len);
}

bool run_profile(struct run *r) {
  if (!r->m || !r->profile) {
    dn_error(r->ctx, (struct dn_loc){.file = r->path}, DN_USAGE,
             "--profile and --trace need a model that is compiled here");
    return false;
  }
  struct cg_stats stats;
  cg_stats(r->ctx->arena, r->m, &stats);
  struct line *lines = DN_ARRAY(r->ctx->arena, struct line, stats.layers.n + 1);
  double total = 0;
  size_t n = measure(r, &stats, lines, &total);
  if (!n)
    return dn_errors(r->ctx) == 0;
  if (r->o->trace && !write_trace(r, lines, n))
    return false;
  if (!r->o->profile)
    return true;
  printf("%10s %6s %8s  %s\n", "us", "%", "gflops", "kernel");
  for (size_t i = 0; i < n; i++) {
    const struct cg_layer *l = lines[i].layer;
    double us = lines[i].us;
    printf("%10.2f %6.2f %8.2f  %s (%s)\n", us, 100 * us / total,
           us > 0 ? 2e-3 * (double)l->macs / us : 0, l->name, l->what);
  }
  printf("%10.2f %6s %8.2f  total of %zu kernels\n", total, "",
         2e-3 * (double)stats.macs / total, n);
  return true;
}
