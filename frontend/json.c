/* json.c - the JSON model description: a list of layers, channels last, written
 * by hand or by a script. docs/json-model.md is its manual; json_layers.c has
 * the layers. */
#include "frontend/fe.h"
#include "frontend/json_layer.h"

#include <string.h>

static struct ir_value *find_value(const struct json_model *m, const char *name,
                                   bool *known) {
  for (size_t i = m->n; i-- > 0;) {
    if (m->names[i] && !strcmp(m->names[i], name)) {
      *known = true;
      return m->values[i];
    }
  }
  *known = false;
  return NULL;
}

/* The named inputs, or the value before. false: skip this layer. */
static bool layer_inputs(struct json_layer *l) {
  struct json_model *m = l->m;
  const cJSON *names = json_get(l, "inputs");
  if (names && !cJSON_IsArray(names))
    return json_fail(l, "inputs", "must be a list of names") != NULL;
  l->ninputs = names ? (size_t)cJSON_GetArraySize(names) : 1;
  l->inputs = DN_ARRAY(m->ctx->arena, struct ir_value *, l->ninputs);
  if (!names)
    l->inputs[0] = m->values[m->n - 1];
  size_t i = 0;
  for (const cJSON *e = names ? names->child : NULL; e; e = e->next) {
    bool known = false;
    if (cJSON_IsString(e))
      l->inputs[i++] = find_value(m, e->valuestring, &known);
    if (!known)
      return json_fail(l, "inputs",
                       "names no layer or input before this one") != NULL;
  }
  for (i = 0; i < l->ninputs; i++)
    if (!l->inputs[i])
      return false;
  l->x = l->ninputs ? l->inputs[0] : NULL;
  return l->x || (json_fail(l, "inputs", "is empty") != NULL);
}

static void add_layer(struct json_model *m, const cJSON *json, size_t number) {
  struct json_layer l = {.m = m, .json = json};
  l.path = dn_printf(m->ctx->arena, "layers[%zu]", number);
  struct ir_value *y = NULL;
  if (!cJSON_IsObject(json)) {
    json_fail(&l, NULL, "must be an object");
  } else {
    l.type = json_get_str(&l, "type", "");
    l.name = json_get_str(&l, "name", NULL);
    const char *loc = l.name ? l.name : l.path;
    m->b.loc = dn_intern(m->ctx, loc);
    m->b.model_op = l.type ? dn_intern(m->ctx, l.type) : NULL;
    if (l.type && layer_inputs(&l))
      y = json_activate(&l, json_build(&l));
  }
  if (y && y->def && l.name)
    ir_value_rename(m->b.m, y, l.name);
  m->names[m->n] = l.name;
  m->values[m->n++] = y;
}

static bool read_shape(struct json_model *m, const cJSON *item,
                       const char *path, const struct fe_opts *opts,
                       int64_t *rank, int64_t *dims) {
  *rank = 0;
  if (!cJSON_IsArray(item) || cJSON_GetArraySize(item) > IR_MAX_RANK)
    return false;
  for (const cJSON *d = item->child; d; d = d->next, ++*rank) {
    if (json_whole(d, &dims[*rank]) && dims[*rank] >= 0)
      continue;
    if (!cJSON_IsString(d))
      return false;
    dims[*rank] = fe_dim_value(m->ctx, opts, d->valuestring);
    if (dims[*rank] >= 0)
      continue;
    dims[*rank] = 1;
    if (opts->unbound_is_one) {
      dn_note(m->ctx, "%s: dimension '%s' has no value; 1 is taken", path,
              d->valuestring);
      continue;
    }
    dn_error(m->ctx, (struct dn_loc){.file = m->b.m->file, .where = path},
             DN_DIM, "dimension '%s' has no value", d->valuestring);
    dn_note(m->ctx, "bind it with --dim %s=VALUE", d->valuestring);
  }
  return true;
}

static void add_input(struct json_model *m, const cJSON *json, size_t number,
                      const struct fe_opts *opts) {
  const char *path = dn_printf(m->ctx->arena, "inputs[%zu]", number);
  const cJSON *name = cJSON_GetObjectItemCaseSensitive(json, "name");
  const cJSON *shape = cJSON_GetObjectItemCaseSensitive(json, "shape");
  const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(json, "dtype");
  int64_t rank, dims[IR_MAX_RANK];
  enum ir_dtype t = IR_F32;
  struct dn_loc loc = {.file = m->b.m->file, .where = path};
  const struct ir_type *type = NULL;
  if (!cJSON_IsObject(json) || !cJSON_IsString(name) ||
      !read_shape(m, shape, path, opts, &rank, dims) ||
      (dtype &&
       (!cJSON_IsString(dtype) || !ir_dtype_find(dtype->valuestring, &t))))
    dn_error(m->ctx, loc, DN_JSON,
             "an input is {\"name\": text, \"shape\": [sizes or names], "
             "\"dtype\": \"f32\"}");
  else if (number < opts->ninputs && opts->input_types[number] &&
           opts->input_types[number]->rank == rank)
    type = opts->input_types[number];
  else
    type = ir_type_checked(m->ctx, path, t, rank, dims);
  struct ir_func *f = m->b.block->func;
  m->names[m->n] = cJSON_IsString(name) ? name->valuestring : NULL;
  m->values[m->n++] =
      type ? ir_param_new(f->body, name->valuestring, type) : NULL;
}

static void add_outputs(struct json_model *m, const cJSON *json) {
  struct ir_func *f = m->b.block->func;
  size_t n = json ? (size_t)cJSON_GetArraySize(json) : 1, i = 0;
  struct ir_value **results = DN_ARRAY(m->ctx->arena, struct ir_value *, n);
  f->result_name = DN_ARRAY(m->b.m->arena, const char *, n);
  f->nresults = (unsigned)n;
  bool ok = n > 0;
  if (!json) {
    results[0] = m->values[m->n - 1];
    f->result_name[0] = results[0] ? results[0]->name : NULL;
  }
  for (const cJSON *e = json ? json->child : NULL; e; e = e->next, i++) {
    bool known = false;
    if (cJSON_IsString(e)) {
      results[i] = find_value(m, e->valuestring, &known);
      f->result_name[i] = dn_intern(m->ctx, e->valuestring);
    }
    ok = ok && known;
  }
  if (!ok)
    dn_error(m->ctx, (struct dn_loc){.file = m->b.m->file, .where = "outputs"},
             DN_JSON, "must be a list of layer names");
  for (i = 0; i < n; i++)
    ok = ok && results[i];
  m->b.loc = m->b.model_op = NULL;
  if (ok)
    ir_op_new(&m->b, IR_RETURN, results, n, NULL, 0, NULL, 0, 0);
}

static bool check_top(struct json_model *m, const cJSON *root) {
  static const char keys[] = " dnnc name inputs layers outputs weights ";
  bool ok = cJSON_IsObject(root);
  for (const cJSON *k = ok ? root->child : NULL; k; k = k->next) {
    if (json_has_word(keys, k->string))
      continue;
    dn_error(m->ctx, (struct dn_loc){.file = m->b.m->file, .where = k->string},
             DN_JSON, "is no key of a model");
    ok = false;
  }
  const cJSON *version = cJSON_GetObjectItemCaseSensitive(root, "dnnc");
  const cJSON *in = cJSON_GetObjectItemCaseSensitive(root, "inputs");
  const cJSON *lay = cJSON_GetObjectItemCaseSensitive(root, "layers");
  const cJSON *out = cJSON_GetObjectItemCaseSensitive(root, "outputs");
  if (ok && cJSON_IsNumber(version) && version->valuedouble == 1 &&
      cJSON_IsArray(in) && in->child && cJSON_IsArray(lay) &&
      (!out || cJSON_IsArray(out)))
    return true;
  dn_error(m->ctx, (struct dn_loc){.file = m->b.m->file}, DN_JSON,
           "a model is {\"dnnc\": 1, \"inputs\": [...], \"layers\": [...]}");
  return false;
}

static void build_model(struct json_model *m, const cJSON *root,
                        const struct fe_opts *opts) {
  const cJSON *in = cJSON_GetObjectItemCaseSensitive(root, "inputs");
  const cJSON *lay = cJSON_GetObjectItemCaseSensitive(root, "layers");
  const cJSON *name = cJSON_GetObjectItemCaseSensitive(root, "name");
  size_t n = (size_t)cJSON_GetArraySize(in) + (size_t)cJSON_GetArraySize(lay);
  m->values = DN_ARRAY(m->ctx->arena, struct ir_value *, n);
  m->names = DN_ARRAY(m->ctx->arena, const char *, n);
  if (cJSON_IsString(name))
    m->b.m->name = dn_intern(m->ctx, name->valuestring);
  size_t i = 0;
  for (const cJSON *e = in->child; e; e = e->next)
    add_input(m, e, i++, opts);
  i = 0;
  for (const cJSON *e = lay->child; e; e = e->next)
    add_layer(m, e, i++);
  add_outputs(m, cJSON_GetObjectItemCaseSensitive(root, "outputs"));
}

bool fe_json_sniff(const struct dn_file *f) {
  size_t i = 0;
  while (i < f->size && f->data[i] && strchr(" \t\r\n", f->data[i]))
    i++;
  /* An ONNX file never begins so: '{' would be a field of group type. */
  return i < f->size && f->data[i] == '{';
}

struct ir_module *fe_json_import(struct dn_ctx *ctx, const struct dn_file *f,
                                 const struct fe_opts *opts) {
  unsigned before = dn_errors(ctx);
  cJSON *root = fe_json_read(ctx, f->path, (const char *)f->data, f->size);
  if (!root)
    return NULL;
  struct json_model m = {.ctx = ctx};
  m.b.m = ir_module_new(ctx, f->path);
  m.b.block = ir_func_new(m.b.m, "main")->body;
  m.weights = (struct json_weights){.ctx = ctx, .file = f->path};
  m.weights.tensors = cJSON_GetObjectItemCaseSensitive(root, "weights");
  if (check_top(&m, root))
    build_model(&m, root, opts);
  cJSON_Delete(root);
  if (dn_errors(ctx) == before)
    return m.b.m;
  ir_module_free(m.b.m);
  return NULL;
}
