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

/* The names of what is there so far. */
static const char *const *names_of(const struct json_model *m, size_t *n) {
  const char **list = DN_ARRAY(m->ctx->arena, const char *, m->n + 1);
  *n = 0;
  for (size_t i = 0; i < m->n; i++)
    if (m->names[i])
      list[(*n)++] = m->names[i];
  return list;
}

static bool unknown_input(const struct json_layer *l, const char *name) {
  size_t n = 0;
  const char *const *names = names_of(l->m, &n);
  return json_unknown(l, "inputs",
                      dn_printf(l->m->ctx->arena,
                                "'%s' is no layer or input before this one",
                                fe_text(l->m->ctx, name)),
                      name, names, n);
}

/* The named inputs, or the value before. false: skip this layer. */
static bool layer_inputs(struct json_layer *l) {
  struct json_model *m = l->m;
  const cJSON *names = json_get(l, "inputs");
  bool ok = true;
  if (names && !cJSON_IsArray(names))
    return json_fail(l, "inputs", "must be a list of names");
  l->ninputs = names ? (size_t)cJSON_GetArraySize(names) : 1;
  l->inputs = DN_ARRAY(m->ctx->arena, struct ir_value *, l->ninputs);
  if (!names)
    l->inputs[0] = m->values[m->n - 1];
  size_t i = 0;
  for (const cJSON *e = names ? names->child : NULL; e; e = e->next) {
    bool known = false;
    if (cJSON_IsString(e))
      l->inputs[i++] = find_value(m, e->valuestring, &known);
    if (!cJSON_IsString(e))
      ok = json_fail(l, "inputs", "must be a list of names");
    else if (!known)
      ok = unknown_input(l, e->valuestring);
  }
  for (i = 0; i < l->ninputs; i++)
    ok = ok && l->inputs[i];
  l->x = l->ninputs ? l->inputs[0] : NULL;
  return l->ninputs ? ok : json_fail(l, "inputs", "is empty");
}

static void add_layer(struct json_model *m, const cJSON *json, size_t number) {
  struct json_layer l = {.m = m, .json = json};
  l.path = dn_printf(m->ctx->arena, "layers[%zu]", number);
  struct ir_value *y = NULL;
  if (!cJSON_IsObject(json)) {
    json_fail(&l, NULL, "must be an object");
  } else {
    l.type = json_get_str(&l, "type", NULL);
    if (!json_get(&l, "type"))
      json_fail(&l, "type", "is missing");
    l.name = json_get_str(&l, "name", NULL);
    const char *loc = l.name ? l.name : l.path;
    m->b.loc = (struct dn_loc){
        .file = m->b.at.m->file, .node = l.name, .op = l.type, .where = l.path};
    m->b.at.loc = dn_intern(m->ctx, loc);
    m->b.at.model_op = l.type ? dn_intern(m->ctx, l.type) : NULL;
    bool ok = l.type && json_check(&l);
    if (layer_inputs(&l) && ok)
      y = json_activate(&l, json_build(&l));
  }
  if (y && y->def && l.name)
    ir_value_rename(m->b.at.m, y, l.name);
  m->names[m->n] = l.name;
  m->values[m->n++] = y;
}

/* The type of an input, whose file, if there is one, is `given`: it binds the
 * symbolic dims and nothing else. NULL after diagnostics. */
static const struct ir_type *input_type(struct json_model *m, struct dn_loc loc,
                                        enum ir_dtype t, const cJSON *shape,
                                        const struct fe_opts *opts,
                                        const struct ir_type *given) {
  int64_t rank = cJSON_GetArraySize(shape), dims[IR_MAX_RANK], i = 0;
  bool ok = true;
  if (!cJSON_IsArray(shape) || rank > IR_MAX_RANK) {
    dn_error(m->ctx, loc, DN_JSON,
             "'shape' must be a list of at most %d sizes or names",
             IR_MAX_RANK);
    return NULL;
  }
  if (given && given->rank != rank)
    given = NULL;
  for (const cJSON *d = shape->child; d; d = d->next, i++) {
    if (cJSON_IsString(d)) {
      const char *what = dn_printf(m->ctx->arena, "dimension '%s'",
                                   fe_text(m->ctx, d->valuestring));
      dims[i] = fe_bind_dim(m->ctx, opts, &m->dims, loc, d->valuestring, what,
                            given ? given->dim[i] : -1,
                            i ? opts->free_size : opts->free_first);
      ok = ok && dims[i] >= 0;
    } else if (!fe_json_whole(d, &dims[i]) || dims[i] < 0) {
      dn_error(m->ctx, loc, DN_JSON,
               "'shape' must hold sizes of 0 or more, or names");
      ok = false;
    }
  }
  return ok ? ir_type_checked(m->ctx, loc.where, t, rank, dims) : NULL;
}

/* A key of the file that is none of `list`. */
static void unknown_key(struct json_model *m, struct dn_loc loc,
                        const char *what, const char *key,
                        const char *const *list, size_t n) {
  dn_error(m->ctx, loc, DN_JSON, "'%s' is no %s", fe_text(m->ctx, key), what);
  dn_suggest(m->ctx, key, list, n);
}

static bool check_words(struct json_model *m, struct dn_loc loc,
                        const char *what, const cJSON *json,
                        const char *const *list, size_t n) {
  bool all = true;
  for (const cJSON *k = json->child; k; k = k->next) {
    bool known = dn_find_row(list, n, sizeof *list, k->string) >= 0;
    if (!known)
      unknown_key(m, loc, what, k->string, list, n);
    all = all && known;
  }
  return all;
}

static bool find_dtype(struct json_model *m, struct dn_loc loc,
                       const char *text, enum ir_dtype *out) {
  const char *names[IR_NUM_DTYPES];
  if (ir_dtype_find(text, out))
    return true;
  for (int i = 0; i < IR_NUM_DTYPES; i++)
    names[i] = ir_dtypes[i].text;
  unknown_key(m, loc, "element type", text, names, IR_NUM_DTYPES);
  return false;
}

static void add_input(struct json_model *m, const cJSON *json, size_t number,
                      const struct fe_opts *opts) {
  static const char *const keys[] = {"name", "shape", "dtype", "state",
                                     "initial"};
  const char *path = dn_printf(m->ctx->arena, "inputs[%zu]", number);
  const cJSON *name = cJSON_GetObjectItemCaseSensitive(json, "name");
  const cJSON *shape = cJSON_GetObjectItemCaseSensitive(json, "shape");
  const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(json, "dtype");
  enum ir_dtype t = IR_F32;
  struct dn_loc loc = {.file = m->b.at.m->file, .where = path};
  const struct ir_type *type = NULL;
  bool ok = cJSON_IsObject(json) &&
            check_words(m, loc, "key of an input", json, keys, DN_COUNT(keys));
  if (!cJSON_IsObject(json) || !cJSON_IsString(name) || !shape ||
      (dtype && !cJSON_IsString(dtype))) {
    dn_error(m->ctx, loc, DN_JSON,
             "an input is {\"name\": text, \"shape\": [sizes or names], "
             "\"dtype\": \"f32\"}");
    ok = false;
  } else {
    ok = (!dtype || find_dtype(m, loc, dtype->valuestring, &t)) && ok;
    type =
        input_type(m, loc, t, shape, opts,
                   number < opts->ninputs ? opts->input_types[number] : NULL);
  }
  struct ir_func *f = m->b.at.block->func;
  m->names[m->n] = cJSON_IsString(name) ? name->valuestring : NULL;
  m->values[m->n++] =
      ok && type ? ir_param_new(f->body, name->valuestring, type) : NULL;
}

/* The layer of that name, as result i. */
static bool add_result(struct json_model *m, struct dn_loc loc,
                       const char *name, struct ir_value **results, size_t i) {
  bool known = false;
  size_t count = 0;
  results[i] = find_value(m, name, &known);
  m->b.at.block->func->result_name[i] = dn_intern(m->ctx, name);
  if (!known) {
    const char *const *names = names_of(m, &count);
    unknown_key(m, loc, "layer or input", name, names, count);
  }
  return known;
}

static const cJSON *state_of(const cJSON *input) {
  return cJSON_GetObjectItemCaseSensitive(input, "state");
}

/* Layers that are the next values of inputs, as results behind the first n. */
static bool add_states(struct json_model *m, const cJSON *inputs,
                       struct ir_value **results, size_t n) {
  bool ok = true;
  size_t number = 0;
  for (const cJSON *e = inputs->child; e; e = e->next, number++) {
    const cJSON *state = state_of(e);
    const cJSON *initial = cJSON_GetObjectItemCaseSensitive(e, "initial");
    const char *path = dn_printf(m->ctx->arena, "inputs[%zu]", number);
    struct dn_loc loc = {.file = m->b.at.m->file, .where = path};
    struct ir_value *in = m->values[number], *out = NULL;
    if (state && !cJSON_IsString(state))
      ok = dn_error(m->ctx, loc, DN_JSON, "state is the name of a layer");
    else if (!state && initial)
      ok = dn_error(m->ctx, loc, DN_JSON, "initial is of what is state");
    if (!state || !cJSON_IsString(state))
      continue;
    ok = add_result(m, loc, state->valuestring, results, n) && ok;
    out = results[n++];
    if (!in || !out)
      continue;
    if (initial)
      in->initial = json_weight(&m->weights, m->b.at.m, initial,
                                dn_printf(m->ctx->arena, "%s.initial", path),
                                in->name, in->type);
    if (in->type != out->type)
      ok = dn_error(m->ctx, loc, DN_JSON, "'%s' is %s and its state '%s' %s",
                    in->name, ir_type_text(m->ctx, NULL, in->type),
                    fe_text(m->ctx, state->valuestring),
                    ir_type_text(m->ctx, NULL, out->type));
  }
  return ok;
}

static size_t count_states(const cJSON *inputs) {
  size_t n = 0;
  for (const cJSON *e = inputs->child; e; e = e->next)
    n += cJSON_IsString(state_of(e)) ? 1 : 0;
  return n;
}

static void add_outputs(struct json_model *m, const cJSON *json,
                        const cJSON *inputs) {
  struct ir_func *f = m->b.at.block->func;
  size_t n = json ? (size_t)cJSON_GetArraySize(json) : 1, i = 0;
  size_t all = n + count_states(inputs);
  struct ir_value **results = DN_ARRAY(m->ctx->arena, struct ir_value *, all);
  f->result_name = DN_ARRAY(m->b.at.m->arena, const char *, all);
  f->nresults = (unsigned)all;
  bool ok = n > 0;
  if (!json) {
    results[0] = m->values[m->n - 1];
    f->result_name[0] = results[0] ? results[0]->name : NULL;
  }
  struct dn_loc loc = {.file = m->b.at.m->file, .where = "outputs"};
  if (!n)
    dn_error(m->ctx, loc, DN_JSON, "is empty");
  for (const cJSON *e = json ? json->child : NULL; e; e = e->next, i++) {
    bool text = cJSON_IsString(e);
    if (!text)
      dn_error(m->ctx, loc, DN_JSON, "must be a list of layer names");
    ok = text && add_result(m, loc, e->valuestring, results, i) && ok;
  }
  ok = add_states(m, inputs, results, n) && ok;
  for (i = 0; i < all; i++)
    ok = ok && results[i];
  m->b.at.loc = m->b.at.model_op = NULL;
  if (!ok)
    return;
  ir_op_new(&m->b.at, IR_RETURN, results, all, NULL, 0, NULL, 0, 0);
  i = 0;
  for (const cJSON *e = inputs->child; e; e = e->next, i++)
    if (state_of(e))
      ir_state_set(f, (unsigned)n++, m->values[i], NULL);
}

static bool check_top(struct json_model *m, const cJSON *root) {
  static const char *const keys[] = {"dnnc",   "name",    "inputs",
                                     "layers", "outputs", "weights"};
  struct dn_loc loc = {.file = m->b.at.m->file};
  if (cJSON_IsObject(root))
    check_words(m, loc, "key of a model", root, keys, DN_COUNT(keys));
  const cJSON *version = cJSON_GetObjectItemCaseSensitive(root, "dnnc");
  const cJSON *in = cJSON_GetObjectItemCaseSensitive(root, "inputs");
  const cJSON *lay = cJSON_GetObjectItemCaseSensitive(root, "layers");
  const cJSON *out = cJSON_GetObjectItemCaseSensitive(root, "outputs");
  if (cJSON_IsObject(root) && cJSON_IsNumber(version) &&
      version->valuedouble == 1 && cJSON_IsArray(in) && in->child &&
      cJSON_IsArray(lay) && (!out || cJSON_IsArray(out)))
    return true;
  return dn_error(
      m->ctx, loc, DN_JSON,
      "a model is {\"dnnc\": 1, \"inputs\": [...], \"layers\": [...]}");
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
    m->b.at.m->name = dn_intern(m->ctx, name->valuestring);
  size_t i = 0;
  for (const cJSON *e = in->child; e; e = e->next)
    add_input(m, e, i++, opts);
  i = 0;
  for (const cJSON *e = lay->child; e; e = e->next)
    add_layer(m, e, i++);
  add_outputs(m, cJSON_GetObjectItemCaseSensitive(root, "outputs"), in);
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
  struct json_model m = {.ctx = ctx, .b.ctx = ctx};
  m.b.at.m = ir_module_new(ctx, f->path);
  m.b.at.block = ir_func_new(m.b.at.m, "main")->body;
  m.weights = (struct json_weights){.ctx = ctx, .file = f->path};
  m.weights.tensors = cJSON_GetObjectItemCaseSensitive(root, "weights");
  if (check_top(&m, root))
    build_model(&m, root, opts);
  cJSON_Delete(root);
  if (dn_errors(ctx) == before)
    return m.b.at.m;
  ir_module_free(m.b.at.m);
  return NULL;
}
