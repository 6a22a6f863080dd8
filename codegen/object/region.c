/* region.c - see region.h. Weights that are read most often for each of their
 * bytes go first, into the first region with room; what fits in none stays
 * where constants are without regions. */
#include "codegen/object/region.h"

#include "ir/nest.h"
#include "ir/place.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- Placing ---- */

/* The first region that holds such a thing, with room for `bytes`, which it
 * then has; -1: none. */
static int take(struct cg_regions *r, enum cg_holds what, int64_t bytes,
                int64_t align) {
  assert(bytes >= 0 && align > 0 && "sizes of a plan, or of an object");
  for (size_t i = 0; i < r->n; i++) {
    struct cg_region *one = &r->v[i];
    int64_t at = (one->used + align - 1) / align * align;
    if (!(one->holds & what) || at > one->size || bytes > one->size - at)
      continue;
    one->used = at + bytes;
    return (int)i;
  }
  return -1;
}

static bool holds(const struct cg_regions *r, enum cg_holds what) {
  bool any = false;
  for (size_t i = 0; i < r->n; i++)
    any |= (r->v[i].holds & (unsigned)what) != 0;
  return any;
}

/* How often a run reads an element of a constant, all uses taken together. */
static double reads_per_element(struct dn_ctx *ctx, const struct ir_value *c) {
  assert(ir_type_count(c->type) > 0 && "place_weights()");
  double reads = 0;
  for (const struct ir_use *u = c->uses; u; u = u->next)
    reads += nest_reads(ctx, u);
  return reads / (double)ir_type_count(c->type);
}

struct weight {
  const struct ir_value *c;
  double reads;
};

static int compare_weights(const void *a, const void *b) {
  const struct weight *x = a, *y = b;
  if (x->reads > y->reads || x->reads < y->reads)
    return x->reads > y->reads ? -1 : 1;
  return x->c->id < y->c->id ? -1 : x->c->id > y->c->id;
}

static void place_weights(struct dn_ctx *ctx, const struct ir_module *m,
                          struct cg_regions *r) {
  enum { ALIGN = 64 };
  struct weight *w = DN_ARRAY(ctx->arena, struct weight, m->consts.n + 1);
  size_t n = 0;
  r->weights = DN_ARRAY(ctx->arena, int, m->nvalues + 1);
  for (size_t i = 0; i < m->nvalues; i++)
    r->weights[i] = -1;
  for (size_t i = 0; i < m->consts.n; i++) {
    const struct ir_value *c = m->consts.v[i];
    if (c->uses && c->data->bytes && ir_type_count(c->type))
      w[n++] = (struct weight){c, reads_per_element(ctx, c)};
  }
  if (n)
    qsort(w, n, sizeof *w, compare_weights);
  for (size_t i = 0; i < n; i++)
    r->weights[w[i].c->id] =
        take(r, CG_HOLDS_WEIGHTS, ir_type_bytes(w[i].c->type), ALIGN);
}

/* Memory of the caller's, if any region holds such. */
static bool place_memory(struct dn_ctx *ctx, struct cg_regions *r,
                         enum cg_holds what, const char *name, int64_t bytes,
                         int *out) {
  *out = bytes ? take(r, what, bytes, 64) : -1;
  return *out >= 0 || !bytes || !holds(r, what) ||
         dn_error(ctx, (struct dn_loc){.where = "--region"}, DN_RAM,
                  "%s of %lld bytes fits no region that holds it", name,
                  (long long)bytes);
}

/* The budget with which the arena would be no larger than the largest region. */
static bool suggest_budget(struct dn_ctx *ctx, const struct ir_module *m,
                           const struct cg_regions *r) {
  const struct ir_block *body = ir_main(m)->body;
  int64_t most = 0;
  for (size_t i = 0; i < r->n; i++)
    if (r->v[i].holds & CG_HOLDS_ARENA)
      most = dn_max(most, r->v[i].size);
  for (unsigned i = 0; !ir_io_places(ir_main(m)) && i < body->nparams; i++)
    most += ir_type_bytes(body->param[i]->type);
  for (unsigned i = 0; !ir_io_places(ir_main(m)) && i < body->last->noperands;
       i++)
    most += ir_type_bytes(ir_arg(body->last, i)->type);
  dn_note(ctx,
          "--max-ram=%lld computes chains of kernels by blocks of rows, "
          "in an arena for the largest region",
          (long long)most);
  return false;
}

bool cg_place(struct dn_ctx *ctx, const struct ir_module *m, int64_t align,
              struct cg_regions *r) {
  const struct ir_func *f = ir_main(m);
  for (unsigned part = 0; part < 2; part++)
    if (!place_memory(ctx, r, CG_HOLDS_ARENA,
                      part ? "the rest of the arena" : "the arena",
                      ir_arena_part(m, part), &r->arena[part]))
      return suggest_budget(ctx, m, r);
  if (!place_memory(ctx, r, CG_HOLDS_STATE, "the state",
                    ir_state_at(f, f->nresults, align), &r->state))
    return false;
  r->code = -1;
  for (size_t i = 0; i < r->n && r->code < 0; i++)
    if (r->v[i].holds & CG_HOLDS_CODE)
      r->code = (int)i;
  if (holds(r, CG_HOLDS_WEIGHTS))
    place_weights(ctx, m, r);
  return true;
}

bool cg_place_code(struct dn_ctx *ctx, struct cg_regions *r,
                   const struct cg_sizes *sizes) {
  if (r->code < 0 || take(r, CG_HOLDS_CODE, sizes->text, 16) == r->code)
    return true;
  const struct cg_region *one = &r->v[r->code];
  return dn_error(ctx, (struct dn_loc){.where = "--region"}, DN_FLASH,
                  "code of %lld bytes does not fit '%s', which has %lld left",
                  (long long)sizes->text, one->name,
                  (long long)(one->size - one->used));
}

/* ---- Names of sections ---- */

static const char *section(struct dn_arena *arena, const char *kind,
                           const struct cg_regions *r, int region,
                           const char *symbol) {
  return region < 0 ? dn_printf(arena, "%s.%s", kind, symbol)
                    : dn_printf(arena, "%s.dnn.%s.%s", kind, r->v[region].name,
                                symbol);
}

const char *cg_const_section(const struct cg_opts *opts, struct dn_arena *arena,
                             const struct ir_value *c, const char *symbol) {
  const struct cg_regions *r = opts->regions;
  return section(arena, ".rodata", r, r && r->weights ? r->weights[c->id] : -1,
                 symbol);
}

const char *cg_code_section(const struct cg_opts *opts, struct dn_arena *arena,
                            const char *symbol) {
  const struct cg_regions *r = opts->regions;
  return section(arena, ".text", r, r ? r->code : -1, symbol);
}

static const char *bss_section(const struct cg_opts *opts,
                               struct dn_arena *arena, int region,
                               const char *what) {
  return region < 0 ? NULL
                    : section(arena, ".bss", opts->regions, region,
                              dn_printf(arena, "%s%s", opts->prefix, what));
}

const char *cg_arena_section(const struct cg_opts *opts, struct dn_arena *arena,
                             unsigned part) {
  const struct cg_regions *r = opts->regions;
  return bss_section(opts, arena, r ? r->arena[part] : -1, "");
}

const char *cg_state_section(const struct cg_opts *opts,
                             struct dn_arena *arena) {
  const struct cg_regions *r = opts->regions;
  return bss_section(opts, arena, r ? r->state : -1, ".state");
}

/* ---- The linker's part ---- */

/* What is loaded: weights and code. */
static bool has_contents(const struct cg_regions *r, int region) {
  return r->v[region].used > 0 &&
         (r->code == region || (r->v[region].holds & CG_HOLDS_WEIGHTS));
}

static void put_region(const struct cg_opts *opts, int i, struct dn_buf *out) {
  const struct cg_regions *r = opts->regions;
  const char *name = r->v[i].name, *p = opts->prefix;
  if (has_contents(r, i)) {
    dn_buf_printf(out, ".%s.%s : ALIGN(64)\n{\n  %s_%s_start = .;\n", p, name,
                  p, name);
    if (r->v[i].holds & CG_HOLDS_WEIGHTS)
      dn_buf_printf(out, "  *(.rodata.dnn.%s.%s.*)\n", name, p);
    if (r->code == i)
      dn_buf_printf(out, "  *(.text.dnn.%s.%s.* .text.dnn.%s.%s_run)\n", name,
                    p, name, p);
    dn_buf_printf(out,
                  "  . = ALIGN(8);\n  %s_%s_end = .;\n} > %s AT > %s_load\n"
                  "%s_%s_load = LOADADDR(.%s.%s);\n",
                  p, name, name, name, p, name, p, name);
  }
  if (r->arena[0] == i || r->arena[1] == i || r->state == i)
    dn_buf_printf(out,
                  ".%s.%s.arena (NOLOAD) : ALIGN(64)\n{\n"
                  "  *(.bss.dnn.%s.%s .bss.dnn.%s.%s.state)\n} > %s\n",
                  p, name, name, p, name, p, name);
}

void cg_linker(struct dn_ctx *ctx, const struct cg_opts *opts,
               struct cg_blob *out) {
  const struct cg_regions *r = opts->regions;
  struct dn_buf text = dn_buf_new(ctx->arena);
  dn_buf_printf(
      &text,
      "/* %s.ld - where the regions of a compiled model lie. In "
      "SECTIONS of the\n"
      " * linker script, behind the vectors, before .text, .rodata and .bss:\n"
      " *   INCLUDE %s.ld\n"
      " * MEMORY has the regions by their names.",
      opts->prefix, opts->prefix);
  for (size_t i = 0; i < r->n; i++)
    if (has_contents(r, (int)i))
      dn_buf_printf(
          &text,
          "\n * What '%s' holds is stored in '%s_load': itself for a flash,\n"
          " *   REGION_ALIAS(\"%s_load\", %s)\n"
          " * the flash for a RAM; the start-up code copies it there, from\n"
          " * %s_%s_load to %s_%s_start, up to %s_%s_end.",
          r->v[i].name, r->v[i].name, r->v[i].name, r->v[i].name, opts->prefix,
          r->v[i].name, opts->prefix, r->v[i].name, opts->prefix, r->v[i].name);
  dn_buf_printf(&text, " */\n");
  for (size_t i = 0; i < r->n; i++)
    put_region(opts, (int)i, &text);
  *out = (struct cg_blob){text.text, text.len};
}
