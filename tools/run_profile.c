/* run_profile.c - the time of each kernel beside what the machine could do.
 *
 * The generated code counts the cycles of each kernel and of the whole run;
 * what is in no kernel (checks, copies of results) is `other`. Times are
 * medians over many runs. The bound is the roofline (Williams et al. 2009): the
 * time of the operations at the peak of run_peak(), or that of the bytes if it
 * is longer: constants come from the cache that holds all the constants of the
 * model, other values from the one that holds those of the kernel. */
#include "tools/run.h"

#include "codegen/report/stats.h"
#include "ir/place.h"

#include <string.h>

struct line {
  const struct cg_layer *layer;
  double us, fraction; /* median time, fraction of the peak */
  double bound;        /* us */
  bool memory;         /* bounds it, not arithmetic */
};

/* What is in no kernel. */
static const struct cg_layer other = {.name = "other", .what = ""};

struct profile {
  struct run *r;
  struct line *lines; /* of n kernels, then `other` */
  DN_LIST(struct line) list;
  size_t n, runs;
  int threads;
  double peak, constants; /* operations and bytes a second of a core */
};

/* ---- Bounds ---- */

static double larger(double a, double b) { return a > b ? a : b; }

static double flops(const struct cg_layer *l) { return 2.0 * (double)l->macs; }

static double bytes(const struct cg_layer *l) {
  return (double)(l->weight_bytes + l->read_bytes + l->bytes);
}

static void add_bounds(struct profile *p) {
  struct run_levels levels = {0};
  int64_t constants = 0;
  for (size_t i = 0; i < p->n; i++)
    constants += p->lines[i].layer->weight_bytes;
  p->constants = run_bandwidth(&levels, constants);
  for (size_t i = 0; i < p->n; i++) {
    struct line *line = &p->lines[i];
    const struct cg_layer *l = line->layer;
    int64_t values = l->read_bytes + l->bytes;
    double arithmetic = flops(l) / p->peak / p->threads;
    double memory = ((double)l->weight_bytes / p->constants +
                     (double)values / run_bandwidth(&levels, values)) /
                    p->threads;
    line->bound = larger(arithmetic, memory) * 1e6;
    line->memory = memory > arithmetic;
  }
}

/* ---- Runs ---- */

/* Of one line. */
struct sampled {
  DN_LIST(double) us, fraction;
};

static bool sample(struct profile *p, double peak, const struct ir_tensor *in,
                   struct ir_tensor *out, struct sampled *samples) {
  struct run *r = p->r;
  uint64_t *cycles = r->profile;
  double inside = 0;
  memset(cycles, 0, (p->n + 1) * sizeof *cycles);
  int64_t start = run_clock();
  if (!run_call(r, in, out))
    return false;
  double us = (double)(run_clock() - start) * 1e-3;
  us /= larger((double)cycles[p->n], 1);
  for (size_t i = 0; i <= p->n; i++) {
    double count = (double)cycles[i];
    double t = us * (i < p->n ? count : larger(count - inside, 0));
    inside += count;
    DN_PUSH(r->ctx->arena, samples[i].us, t);
    if (t > 0)
      DN_PUSH(r->ctx->arena, samples[i].fraction,
              flops(p->lines[i].layer) / (t * 1e-6) / peak / p->threads);
  }
  return true;
}

static bool measure(struct profile *p) {
  enum { LEAST = 5, MOST = 2000 };
  struct run *r = p->r;
  struct ir_tensor *in = run_inputs(r);
  struct ir_tensor *out = run_buffers(r, r->out, r->nout);
  struct sampled *samples = DN_ARRAY(r->ctx->arena, struct sampled, p->n + 1);
  if (!in || !run_call(r, in, out)) /* warm up */
    return false;
  int64_t start = run_clock();
  DN_LIST(double) peaks = {0};
  while (p->runs < LEAST ||
         (run_clock() - start < 500000000 && p->runs < MOST)) {
    DN_PUSH(r->ctx->arena, peaks, run_peak());
    if (!sample(p, peaks.v[p->runs++], in, out, samples))
      return false;
  }
  p->peak = run_quantile(peaks.v, peaks.n, 0.9);
  for (size_t i = 0; i <= p->n; i++) {
    struct sampled *s = &samples[i];
    p->lines[i].us = run_quantile(s->us.v, s->us.n, 0.5);
    if (s->fraction.n)
      p->lines[i].fraction = run_quantile(s->fraction.v, s->fraction.n, 0.9);
  }
  return true;
}

/* ---- Output ---- */

/* Text in a JSON string. */
static void put_json(struct dn_buf *out, const char *s) {
  struct dn_buf shown = dn_buf_new(out->arena);
  dn_buf_show(&shown, s, DN_SHOWN);
  for (const char *c = shown.text; *c; c++)
    dn_buf_printf(out, strchr("\"\\", *c) ? "\\%c" : "%c", *c);
}

static bool write_trace(struct profile *p) {
  struct run *r = p->r;
  struct dn_buf out = dn_buf_new(r->ctx->arena);
  dn_buf_printf(&out, "{\"traceEvents\":[\n");
  double at = 0;
  for (size_t i = 0; i < p->n; i++) {
    struct dn_buf name = dn_buf_new(r->ctx->arena);
    put_json(&name, p->lines[i].layer->name);
    dn_buf_printf(&out,
                  "%s{\"name\":\"%s\",\"cat\":\"%s\",\"ph\":\"X\",\"pid\":1,"
                  "\"tid\":1,\"ts\":%.3f,\"dur\":%.3f}",
                  i ? ",\n" : "", name.text, p->lines[i].layer->what, at,
                  p->lines[i].us);
    at += p->lines[i].us;
  }
  dn_buf_printf(&out, "\n]}\n");
  return dn_file_write(r->ctx, r->o->trace, out.text, out.len);
}

static void print_line(const struct profile *p, const struct line *l,
                       double total, const char *by) {
  printf("%10.2f %6.2f %8.2f %6.1f %11.0f %10.2f %-6s  %s", l->us,
         total > 0 ? 100 * l->us / total : 0,
         l->us > 0 ? flops(l->layer) / l->us * 1e-3 : 0, 100 * l->fraction,
         bytes(l->layer), l->bound, by,
         dn_shown(p->r->ctx->arena, l->layer->name));
}

static void print(const struct profile *p) {
  struct cg_layer all = {.name = "total"};
  struct line sum = {.layer = &all};
  for (size_t i = 0; i <= p->n; i++) {
    const struct line *l = &p->lines[i];
    sum.us += l->us;
    all.macs += l->layer->macs;
    all.bytes += l->layer->bytes + l->layer->read_bytes;
    all.weight_bytes += l->layer->weight_bytes;
    sum.bound += l->bound;
    sum.fraction += l->fraction * l->us; /* a mean over time */
  }
  sum.fraction /= larger(sum.us, 1e-9);
  printf("%10s %6s %8s %6s %11s %10s %-6s  %s\n", "us", "%", "gflops", "peak%",
         "bytes", "bound", "by", "kernel");
  for (size_t i = 0; i <= p->n; i++) {
    const struct line *l = &p->lines[i];
    print_line(p, l, sum.us, i == p->n ? "" : l->memory ? "memory" : "flops");
    if (i < p->n)
      printf(" (%s)", l->layer->what);
    printf("\n");
  }
  print_line(p, &sum, sum.us, "");
  printf(" of %zu kernels\n", p->n);
  printf("medians of %zu runs; one core: %.2f gflops, %.2f GB/s of constants\n",
         p->runs, p->peak * 1e-9, p->constants * 1e-9);
}

/* The kernels of a block, in the order of their counters. Those in a loop are
 * taken as if it made all its turns. */
static void add_lines(struct profile *p, const struct ir_block *b,
                      int64_t turns) {
  struct dn_arena *arena = p->r->ctx->arena;
  for (const struct ir_op *op = b->first; op; op = op->next) {
    for (unsigned i = 0; ir_has_blocks(op) && i < op->nregions; i++)
      add_lines(p, op->region[i], cg_turns(turns, op));
    if (op->code != IR_KERNEL)
      continue;
    struct cg_layer l = cg_layer_of(arena, op);
    int64_t *const counts[] = {&l.macs, &l.macs8, &l.bytes, &l.read_bytes};
    for (size_t i = 0; i < DN_COUNT(counts); i++)
      if (!dn_mul(*counts[i], turns, counts[i]))
        *counts[i] = INT64_MAX;
    struct line line = {.layer = dn_copy(arena, &l, sizeof l)};
    DN_PUSH(arena, p->list, line);
  }
}

bool run_profile(struct run *r) {
  if (!r->m || !r->profile)
    return dn_error(r->ctx, (struct dn_loc){.file = r->path}, DN_USAGE,
                    "--profile and --trace need a model that is compiled here");
  struct profile p = {.r = r, .threads = opt_threads(r->o)};
  add_lines(&p, ir_main(r->m)->body, 1);
  p.n = p.list.n;
  DN_PUSH(r->ctx->arena, p.list, (struct line){.layer = &other});
  p.lines = p.list.v;
  if (!measure(&p))
    return dn_errors(r->ctx) == 0;
  add_bounds(&p);
  if (r->o->trace && !write_trace(&p))
    return false;
  if (r->o->profile)
    print(&p);
  return true;
}
