/* cost.c - see cost.h. */
#include "codegen/report/cost.h"

#include "codegen/target/target.h"
#include "ir/place.h"

#include <assert.h>
#include <string.h>

struct cg_core {
  const char *cpu;
  double mac8, mac32, output, weight;
};
static const struct cg_core cores[] = {
#define CORE(cpu, mac8, mac32, output, weight)                                 \
  {cpu, mac8, mac32, output, weight},
#include "codegen/target/cores.def"
#undef CORE
};

/* Horowitz, "Computing's energy problem", ISSCC 2014: 45 nm, 0.9 V; pJ. A MAC
 * is a product and a sum, a word has 32 bits. */
static const double mac8_pj = 0.2 + 0.03, mac32_pj = 3.7 + 0.9;
static const double sram_word_pj = 5, dram_word_pj = 640;

struct cg_machine cg_machine_of(const struct cg_target *t,
                                const struct ir_module *m,
                                const struct cg_opts *opts,
                                const struct cg_sizes *sizes) {
  const struct ir_facts *f = cg_target_facts(t);
  int64_t cache = dn_max(f->l1, dn_max(f->l2, f->l3));
  struct cg_machine out = {.opts = opts,
                           .dram = !f->bare_metal &&
                                   m->arena_size + sizes->weights > cache};
  const char *cpu = cg_target_names(t)->cpu;
  for (size_t i = 0; i < DN_COUNT(cores) && !out.core; i++)
    if (!strncmp(cpu, cores[i].cpu, strlen(cores[i].cpu)))
      out.core = &cores[i];
  return out;
}

/* The region that has a value; -1: none. */
static int region_of(const struct cg_regions *r, const struct ir_value *v) {
  struct ir_place p;
  if (!r)
    return -1;
  if (v->data)
    return r->weights ? r->weights[v->id] : -1;
  return ir_place_of(v, &p) && p.space == IR_IN_ARENA ? r->arena[p.number] : -1;
}

/* Cycles of so many bytes of a value beyond those that the core's row has. */
static double wait(const struct cg_machine *m, const struct ir_value *v,
                   int64_t bytes) {
  assert(m->core && "cg_layer_cost(): the core has a row");
  const struct cg_opts *o = m->opts;
  int region = region_of(o->regions, v);
  const char *name = region >= 0 ? o->regions->v[region].name
                     : v->data   ? "flash"
                                 : "";
  for (size_t i = 0; i < o->nwaits; i++)
    if (!strcmp(o->waits[i].name, name))
      return (double)bytes *
             (o->waits[i].cycles - (v->data ? m->core->weight : 0));
  return 0;
}

static double waits(const struct cg_machine *m, const struct cg_layer *l) {
  double sum = 0;
  for (size_t i = 0; i < l->nreads; i++)
    sum += wait(m, l->reads[i].value, l->reads[i].bytes);
  for (unsigned i = 0; i < l->op->nresults; i++)
    if (ir_type_is_static(l->op->result[i]->type))
      sum += wait(m, l->op->result[i], ir_type_bytes(l->op->result[i]->type));
  return sum;
}

struct cg_cost cg_layer_cost(const struct cg_machine *m,
                             const struct cg_layer *l) {
  double macs8 = (double)l->macs8, macs = (double)(l->macs - l->macs8);
  double weights = (double)l->weight_bytes;
  struct cg_cost c = {.flops = 2 * (double)l->macs,
                      .bound = "-",
                      .bytes = weights + (double)(l->read_bytes + l->bytes)};
  c.intensity = c.bytes > 0 ? c.flops / c.bytes : 0;
  c.energy = macs8 * mac8_pj + macs * mac32_pj +
             c.bytes / 4 * (m->dram ? dram_word_pj : sram_word_pj);
  if (!m->core)
    return c;
  double arithmetic = macs8 * m->core->mac8 + macs * m->core->mac32;
  double more = m->opts->nwaits ? waits(m, l) : 0;
  double memory = c.bytes * m->core->weight + more;
  c.bound = memory > arithmetic ? "memory" : "compute";
  c.roofline = memory > arithmetic ? memory : arithmetic;
  c.cycles = arithmetic + weights * m->core->weight +
             (double)l->activations * m->core->output + more;
  return c;
}

struct cg_cost cg_run_cost(const struct cg_machine *m,
                           const struct cg_stats *stats) {
  struct cg_cost all = {0};
  for (size_t i = 0; i < stats->layers.n; i++) {
    struct cg_cost c = cg_layer_cost(m, &stats->layers.v[i]);
    all.flops += c.flops;
    all.bytes += c.bytes;
    all.cycles += c.cycles;
    all.roofline += c.roofline;
    all.energy += c.energy;
  }
  all.intensity = all.bytes > 0 ? all.flops / all.bytes : 0;
  return all;
}

double cg_milliseconds(const struct cg_opts *opts, const struct cg_cost *cost) {
  return opts->clock > 0 ? cost->cycles / (1e3 * (double)opts->clock) : 0;
}
