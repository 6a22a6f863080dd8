/* report_json.c - the report for programs; docs/cli.md lists the keys. */
#include "codegen/report/report.h"

#include "ir/place.h"

#include <cjson/cJSON.h>
#include <string.h>

/* What cJSON made: nothing, where there is no memory. */
static void *made(struct dn_ctx *ctx, void *item) {
  if (!item)
    dn_fatal(ctx, (struct dn_loc){0}, DN_MEMORY, "no memory for the report");
  return item;
}

/* cJSON writes bytes as they are; text of a model is made valid first. */
static void add_text(struct cJSON *to, struct dn_ctx *ctx, const char *key,
                     const char *s) {
  struct dn_buf text = dn_buf_new(ctx->arena);
  dn_buf_escape(&text, s, strlen(s));
  made(ctx, cJSON_AddStringToObject(to, key, text.text));
}

static void add_number(struct cJSON *to, struct dn_ctx *ctx, const char *key,
                       int64_t v) {
  made(ctx, cJSON_AddNumberToObject(to, key, (double)v));
}

/* To a thousandth. */
static void add_real(struct cJSON *to, struct dn_ctx *ctx, const char *key,
                     double v) {
  double whole = (double)(int64_t)(v * 1000 + 0.5);
  made(ctx, cJSON_AddNumberToObject(to, key, whole / 1000));
}

static void add_tensor(const struct cg_facts_sheet *r, struct cJSON *list,
                       const char *name, const struct ir_type *type) {
  struct cJSON *o = made(r->ctx, cJSON_CreateObject());
  add_text(o, r->ctx, "name", name);
  add_text(o, r->ctx, "type", ir_dtypes[type->dtype].text);
  struct cJSON *shape = made(r->ctx, cJSON_AddArrayToObject(o, "shape"));
  for (int d = 0; d < type->rank; d++)
    cJSON_AddItemToArray(
        shape, made(r->ctx, cJSON_CreateNumber((double)type->dim[d])));
  add_number(o, r->ctx, "bytes", ir_type_bytes(type));
  cJSON_AddItemToArray(list, o);
}

static void add_regions(const struct cg_facts_sheet *r, struct cJSON *top) {
  const struct cg_regions *all = r->opts->regions;
  struct cJSON *list =
      all ? made(r->ctx, cJSON_AddArrayToObject(top, "regions")) : NULL;
  for (size_t i = 0; all && i < all->n; i++) {
    struct cJSON *o = made(r->ctx, cJSON_CreateObject());
    add_text(o, r->ctx, "name", all->v[i].name);
    add_number(o, r->ctx, "bytes", all->v[i].size);
    add_number(o, r->ctx, "used_bytes", all->v[i].used);
    cJSON_AddItemToArray(list, o);
  }
}

static void add_layer(const struct cg_facts_sheet *r, struct cJSON *list,
                      const struct cg_layer *l) {
  struct cJSON *o = made(r->ctx, cJSON_CreateObject());
  struct cg_cell cell[CG_CELLS];
  cg_layer_cells(r, l, cell);
  for (size_t i = 0; i < CG_CELLS; i++) {
    const struct cg_cell *c = &cell[i];
    if (c->text)
      add_text(o, r->ctx, c->key, c->text);
    else if (c->head || c->shown)
      add_real(o, r->ctx, c->key, c->number);
  }
  cJSON_AddItemToArray(list, o);
}

static void add_signature(const struct cg_facts_sheet *r, struct cJSON *top) {
  const struct ir_func *f = ir_main(r->m);
  struct cJSON *in = made(r->ctx, cJSON_AddArrayToObject(top, "inputs"));
  struct cJSON *out = made(r->ctx, cJSON_AddArrayToObject(top, "outputs"));
  for (unsigned i = 0; i < f->body->nparams; i++)
    add_tensor(r, in, f->body->param[i]->name, f->body->param[i]->type);
  for (unsigned i = 0; i < f->nresults; i++) {
    const struct ir_value *v = ir_arg(f->body->last, i);
    add_tensor(r, out, ir_result_name(f, i), v->type);
  }
}

void cg_report_json(const struct cg_facts_sheet *r, struct dn_buf *out) {
  struct dn_ctx *ctx = r->ctx;
  struct cJSON *top = made(ctx, cJSON_CreateObject());
  add_text(top, ctx, "model", r->m->name ? r->m->name : r->opts->prefix);
  add_text(top, ctx, "prefix", r->opts->prefix);
  struct cJSON *target = made(ctx, cJSON_AddObjectToObject(top, "target"));
  add_text(target, ctx, "triple", r->target->triple);
  add_text(target, ctx, "cpu", r->target->cpu);
  add_text(target, ctx, "features", r->target->features);
#define TOTAL(key, label, unit, value) add_number(top, ctx, #key, value);
#include "codegen/report/totals.def"
  if (r->opts->precision)
    add_text(top, ctx, "precision", r->opts->precision);
  if (r->opts->precision && r->opts->rounding >= 0)
    made(ctx, cJSON_AddNumberToObject(top, "rounding", r->opts->rounding));
  add_real(top, ctx, "milliseconds", cg_milliseconds(r->opts, &r->cost));
  add_real(top, ctx, "energy_nj", r->cost.energy / 1e3);
  add_regions(r, top);
  add_signature(r, top);
  struct cJSON *layers = made(ctx, cJSON_AddArrayToObject(top, "layers"));
  for (size_t i = 0; i < r->stats.layers.n; i++)
    add_layer(r, layers, &r->stats.layers.v[i]);
  char *text = made(ctx, cJSON_Print(top));
  dn_buf_printf(out, "%s\n", text);
  cJSON_free(text);
  cJSON_Delete(top);
}
