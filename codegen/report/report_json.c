/* report_json.c - the report for programs; docs/cli.md lists the keys. */
#include "codegen/report/report.h"

#include <cjson/cJSON.h>
#include <string.h>

/* cJSON writes bytes as they are; text of a model is made valid first. */
static void add_text(struct cJSON *to, struct dn_arena *arena, const char *key,
                     const char *s) {
  struct dn_buf text;
  dn_buf_init(&text, arena);
  dn_buf_put(&text, "", 0);
  dn_buf_escape(&text, s, strlen(s));
  cJSON_AddStringToObject(to, key, text.text);
}

static void add_number(struct cJSON *to, const char *key, int64_t v) {
  cJSON_AddNumberToObject(to, key, (double)v);
}

static void add_tensor(const struct cg_facts_sheet *r, struct cJSON *list,
                       const char *name, const struct ir_type *type) {
  struct cJSON *o = cJSON_CreateObject();
  struct cJSON *shape = cJSON_CreateArray();
  add_text(o, r->ctx->arena, "name", name);
  add_text(o, r->ctx->arena, "type", ir_dtypes[type->dtype].text);
  for (int d = 0; d < type->rank; d++)
    cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)type->dim[d]));
  cJSON_AddItemToObject(o, "shape", shape);
  add_number(o, "bytes", ir_type_bytes(type));
  cJSON_AddItemToArray(list, o);
}

static void add_layer(const struct cg_facts_sheet *r, struct cJSON *list,
                      const struct cg_layer *l) {
  struct cJSON *o = cJSON_CreateObject();
  add_text(o, r->ctx->arena, "name", l->name);
  add_text(o, r->ctx->arena, "ops", l->what);
  add_text(o, r->ctx->arena, "result",
           ir_type_text(r->ctx, NULL, ir_result(l->op)->type));
  add_number(o, "weights", l->weights);
  add_number(o, "weight_bytes", l->weight_bytes);
  add_number(o, "activations", l->activations);
  add_number(o, "bytes", l->bytes);
  add_number(o, "macs", l->macs);
  add_number(o, "live_bytes", l->live);
  cJSON_AddItemToArray(list, o);
}

static void add_signature(const struct cg_facts_sheet *r, struct cJSON *top) {
  const struct ir_func *f = ir_main(r->m);
  struct cJSON *in = cJSON_AddArrayToObject(top, "inputs");
  struct cJSON *out = cJSON_AddArrayToObject(top, "outputs");
  for (unsigned i = 0; i < f->body->nparams; i++)
    add_tensor(r, in, f->body->param[i]->name, f->body->param[i]->type);
  for (unsigned i = 0; i < f->nresults; i++) {
    const struct ir_value *v = ir_arg(f->body->last, i);
    add_tensor(r, out, ir_result_name(f, i), v->type);
  }
}

void cg_report_json(const struct cg_facts_sheet *r, struct dn_buf *out) {
  struct cJSON *top = cJSON_CreateObject();
  struct dn_arena *arena = r->ctx->arena;
  add_text(top, arena, "model", r->m->name ? r->m->name : r->opts->prefix);
  add_text(top, arena, "prefix", r->opts->prefix);
  struct cJSON *target = cJSON_AddObjectToObject(top, "target");
  add_text(target, arena, "triple", r->target->triple);
  add_text(target, arena, "cpu", r->target->cpu);
  add_text(target, arena, "features", r->target->features);
  add_number(top, "parameters", r->opts->weights + r->opts->biases);
  add_number(top, "weights", r->opts->weights);
  add_number(top, "biases", r->opts->biases);
  add_number(top, "parameter_bytes", r->opts->parameter_bytes);
  add_number(top, "macs", r->stats.macs);
  add_number(top, "weights_bytes", r->sizes.weights);
  add_number(top, "text_bytes", r->sizes.text);
  add_number(top, "flash_bytes", r->sizes.weights + r->sizes.text);
  add_number(top, "arena_bytes", r->sizes.arena);
  add_number(top, "arena_bound_bytes", r->sizes.arena_bound);
  add_number(top, "stack_bytes", r->sizes.stack);
  add_number(top, "input_bytes", r->sizes.inputs);
  add_number(top, "output_bytes", r->sizes.outputs);
  add_number(top, "ram_bytes", cg_ram(&r->sizes));
  add_signature(r, top);
  struct cJSON *layers = cJSON_AddArrayToObject(top, "layers");
  for (size_t i = 0; i < r->stats.layers.n; i++)
    add_layer(r, layers, &r->stats.layers.v[i]);
  char *text = cJSON_Print(top);
  dn_buf_printf(out, "%s\n", text ? text : "{}");
  cJSON_free(text);
  cJSON_Delete(top);
}
