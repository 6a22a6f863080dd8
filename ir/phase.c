/* phase.c - see phase.h. */
#include "ir/phase.h"

#include <math.h>
#include <string.h>
#include <time.h>

static int64_t clock_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The first row is the time before main(), as far as a process can know it:
 * what it has spent on the processor, for its libraries to be loaded. */
static struct dn_phases *phases_of(struct dn_ctx *ctx) {
  if (ctx->phases)
    return ctx->phases;
  struct dn_phases *p = ctx->phases = DN_NEW(ctx->arena, struct dn_phases);
  int64_t spent = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  p->since = clock_ns(CLOCK_MONOTONIC);
  p->begin = p->since - spent;
  DN_PUSH(ctx->arena, p->rows, ((struct dn_phase){"start", spent, -1}));
  return p;
}

/* Charges the running phase with the time up to now. */
static void charge(struct dn_ctx *ctx) {
  struct dn_phases *p = phases_of(ctx);
  int64_t now = clock_ns(CLOCK_MONOTONIC);
  p->rows.v[p->running].ns += now - p->since;
  p->since = now;
}

void dn_phase(struct dn_ctx *ctx, const char *name) {
  struct dn_phases *p = phases_of(ctx);
  charge(ctx);
  for (size_t i = 0; i < p->rows.n; i++)
    if (p->rows.v[i].changes < 0 && !strcmp(p->rows.v[i].name, name)) {
      p->running = i;
      return;
    }
  p->running = p->rows.n;
  DN_PUSH(ctx->arena, p->rows, ((struct dn_phase){name, 0, -1}));
}

void dn_phase_changed(struct dn_ctx *ctx, int64_t changes) {
  struct dn_phases *p = phases_of(ctx);
  p->rows.v[p->running].changes = changes;
}

/* ---- The table ---- */

/* Shares in tenths of a percent, rounded so that they sum to 1000 (largest
 * remainders get what is left). */
static void shares(const struct dn_phase *rows, size_t n, int *out) {
  int left = 1000;
  double total = 0;
  for (size_t i = 0; i < n; i++)
    total += (double)rows[i].ns;
  for (size_t i = 0; i < n; i++) {
    out[i] = total > 0 ? (int)floor((double)rows[i].ns / total * 1000) : 0;
    left -= out[i];
  }
  for (; n && left > 0; left--) {
    size_t best = 0;
    double most = -1;
    for (size_t i = 0; i < n; i++) {
      double share = total > 0 ? (double)rows[i].ns / total * 1000 : 1000;
      if (share - (double)out[i] > most) {
        most = share - (double)out[i];
        best = i;
      }
    }
    out[best]++;
  }
}

void dn_phases_print(struct dn_ctx *ctx, FILE *out) {
  charge(ctx);
  const struct dn_phases *p = ctx->phases;
  int *share = DN_ARRAY(ctx->arena, int, p->rows.n);
  shares(p->rows.v, p->rows.n, share);
  fprintf(out, "%10s %7s %9s  phase\n", "ms", "%", "changes");
  for (size_t i = 0; i < p->rows.n; i++) {
    const struct dn_phase *r = &p->rows.v[i];
    fprintf(out, "%10.3f %5d.%d ", (double)r->ns * 1e-6, share[i] / 10,
            share[i] % 10);
    if (r->changes < 0)
      fprintf(out, "%9s  %s\n", "", r->name);
    else
      fprintf(out, "%9lld  %s\n", (long long)r->changes, r->name);
  }
  fprintf(out, "%10.3f %7s %9s  total\n", (double)(p->since - p->begin) * 1e-6,
          "100.0", "");
}
