/* json.c - the JSON model description: a list of layers, channels last, written
 * by hand or by a script. docs/json-model.md is its manual.
 *
 * A layer type is a row of `layers` below, for the layers that have weights or
 * derived sizes, or else the name of any op of ops.def, whose attributes are
 * then keys of the layer. */
#include "frontend/fe.h"

#include "frontend/json_read.h"
#include "frontend/json_weights.h"

#include <assert.h>
#include <math.h>
#include <string.h>

struct model {
  struct dn_ctx *ctx;
  struct ir_builder b;
  struct json_weights weights;
  struct ir_value **values; /* results by layer, NULL after an error */
  const char **names;
  size_t n;
};

/* One layer while it is built. */
struct layer {
  struct model *m;
  const cJSON *json;
  const char *path; /* "layers[3]" */
  const char *name, *type;
  struct ir_value *x; /* first input */
  struct ir_value **inputs;
  size_t ninputs;
};

static struct ir_value *fail(const struct layer *l, const char *key,
                             const char *what) {
  const char *where = dn_printf(l->m->ctx->arena, "%s%s%s", l->path,
                                key ? "." : "", key ? key : "");
  dn_error(l->m->ctx,
           (struct dn_loc){.file = l->m->b.m->file,
                           .node = l->name,
                           .op = l->type,
                           .where = where},
           DN_JSON, "%s", what);
  return NULL;
}

static const cJSON *get(const struct layer *l, const char *key) {
  return cJSON_GetObjectItemCaseSensitive(l->json, key);
}

static bool whole(const cJSON *item, int64_t *out) {
  if (!cJSON_IsNumber(item) || fabs(item->valuedouble) > 0x1p53 ||
      floor(item->valuedouble) != item->valuedouble)
    return false;
  *out = (int64_t)item->valuedouble;
  return true;
}

/* A whole number in [lo, 2^31), or the default when the key is absent. */
static bool get_int(const struct layer *l, const char *key, int64_t def,
                    int64_t lo, int64_t *out) {
  const cJSON *item = get(l, key);
  *out = def;
  if (!item && def >= lo)
    return true;
  if (item && whole(item, out) && *out >= lo && *out < INT64_C(1) << 31)
    return true;
  fail(l, key, item ? "must be a whole number in range" : "is missing");
  return false;
}

/* A list of `n` whole numbers, or one number for all of them. */
static bool get_ints(const struct layer *l, const char *key, int64_t n,
                     int64_t def, int64_t lo, int64_t *out) {
  const cJSON *item = get(l, key);
  if (!cJSON_IsArray(item)) {
    int64_t v;
    if (!get_int(l, key, def, lo, &v))
      return false;
    for (int64_t i = 0; i < n; i++)
      out[i] = v;
    return true;
  }
  int64_t k = 0;
  for (const cJSON *e = item->child; e; e = e->next, k++)
    if (k == n || !whole(e, &out[k]) || out[k] < lo ||
        out[k] >= INT64_C(1) << 31)
      k = n + 1;
  if (k != n)
    fail(l, key, "has the wrong number of elements, or one out of range");
  return k == n;
}

static const char *get_str(const struct layer *l, const char *key,
                           const char *def) {
  const cJSON *item = get(l, key);
  if (!item)
    return def;
  if (cJSON_IsString(item))
    return item->valuestring;
  fail(l, key, "must be a string");
  return NULL;
}

static struct ir_value *weight(const struct layer *l, const char *key, int rank,
                               const int64_t *dims) {
  const cJSON *item = get(l, key);
  const char *path = dn_printf(l->m->ctx->arena, "%s.%s", l->path, key);
  const char *name =
      dn_printf(l->m->ctx->arena, "%s.%s", l->name ? l->name : l->type, key);
  if (!item)
    return fail(l, key, "is missing");
  const struct ir_type *type =
      ir_type_checked(l->m->ctx, path, l->x->type->dtype, rank, dims);
  return type ? json_weight(&l->m->weights, l->m->b.m, item, path, name, type)
              : NULL;
}

/* x + bias along the last dimension, when the layer has a bias. */
static struct ir_value *add_bias(const struct layer *l, struct ir_value *y) {
  if (!y || !get(l, "bias"))
    return y;
  int64_t n = y->type->dim[y->type->rank - 1];
  struct ir_value *bias = weight(l, "bias", 1, &n);
  return bias ? ir_emit(&l->m->b, IR_ADD, IR_ARGS(y, bias), NULL, 0) : NULL;
}

static struct ir_value *transpose(const struct layer *l, struct ir_value *x,
                                  const int64_t *perm, int64_t n) {
  return ir_emit(&l->m->b, IR_TRANSPOSE, IR_ARGS(x),
                 IR_ATTRS(ir_ints("perm", perm, n)));
}

/* ---- Layers ---- */

/* "form": "xW" multiplies by a weight [in, units], "Wx" by one [units, in]. */
static struct ir_value *dense(const struct layer *l) {
  int64_t units;
  if (!get_int(l, "units", 0, 1, &units))
    return NULL;
  const char *form = get_str(l, "form", "xW");
  if (!form || (strcmp(form, "xW") && strcmp(form, "Wx")))
    return fail(l, "form", "must be \"xW\" or \"Wx\"");
  if (l->x->type->rank < 2)
    return fail(l, "inputs", "needs an input of rank 2 or more");
  int64_t in = l->x->type->dim[l->x->type->rank - 1];
  bool xw = form[0] == 'x';
  int64_t dims[2] = {xw ? in : units, xw ? units : in};
  struct ir_value *w = weight(l, "weight", 2, dims);
  if (w && !xw)
    w = transpose(l, w, (int64_t[]){1, 0}, 2);
  return add_bias(l, ir_emit(&l->m->b, IR_MATMUL, IR_ARGS(l->x, w), NULL, 0));
}

/* "padding": "valid", "same" (as TensorFlow: the odd one at the end), or a list
 * of all begins, then all ends. */
static bool padding(const struct layer *l, int64_t n, const int64_t *size,
                    const int64_t *window, const int64_t *stride,
                    const int64_t *dilation, int64_t *pads) {
  const cJSON *item = get(l, "padding");
  if (cJSON_IsArray(item))
    return get_ints(l, "padding", 2 * n, 0, 0, pads);
  const char *text = get_str(l, "padding", "valid");
  bool same = text && !strcmp(text, "same");
  if (!text || (!same && strcmp(text, "valid"))) {
    fail(l, "padding", "must be \"same\", \"valid\" or a list");
    return false;
  }
  for (int64_t i = 0; i < n; i++) {
    int64_t out = dn_div_ceil(size[i], stride[i]);
    int64_t need =
        (out - 1) * stride[i] + (window[i] - 1) * dilation[i] + 1 - size[i];
    need = same ? dn_max(need, 0) : 0;
    pads[i] = need / 2;
    pads[n + i] = need - need / 2;
  }
  return true;
}

/* Permutation from a weight layout such as "HWIO" to OHWI; false if it is not
 * one. H stands for all spatial letters, in order. */
static bool weight_perm(const char *layout, int s, int64_t *perm) {
  static const char *const known[] = {"OHWI", "OIHW", "HWIO"};
  int k = 0;
  while (k < 3 && strcmp(layout, known[k]))
    k++;
  int at[3][3] = {{0, 1, s + 1}, {0, 2, 1}, {s + 1, 0, s}}; /* O, H, I */
  if (k == 3)
    return false;
  perm[0] = at[k][0];
  for (int i = 0; i < s; i++)
    perm[1 + i] = at[k][1] + i;
  perm[s + 1] = at[k][2];
  return true;
}

static struct ir_value *conv(const struct layer *l) {
  const struct ir_type *x = l->x->type;
  int s = x->rank - 2;
  int64_t filters, groups, kernel[IR_MAX_RANK], strides[IR_MAX_RANK],
      dilations[IR_MAX_RANK], pads[2 * IR_MAX_RANK], perm[IR_MAX_RANK],
      ohwi[IR_MAX_RANK], dims[IR_MAX_RANK];
  if (s < 1)
    return fail(l, "inputs", "needs an input [N,spatial..,C]");
  if (!get_int(l, "filters", 0, 1, &filters) ||
      !get_int(l, "groups", 1, 1, &groups) ||
      !get_ints(l, "kernel", s, 0, 1, kernel) ||
      !get_ints(l, "strides", s, 1, 1, strides) ||
      !get_ints(l, "dilations", s, 1, 1, dilations) ||
      !padding(l, s, x->dim + 1, kernel, strides, dilations, pads))
    return NULL;
  const char *layout = get_str(l, "weight_layout", "OHWI");
  if (!layout || !weight_perm(layout, s, perm))
    return fail(l, "weight_layout", "must be \"OHWI\", \"OIHW\" or \"HWIO\"");
  if (x->dim[s + 1] % groups)
    return fail(l, "groups", "does not divide the channels");
  ohwi[0] = filters;
  memcpy(ohwi + 1, kernel, (size_t)s * sizeof *ohwi);
  ohwi[s + 1] = x->dim[s + 1] / groups;
  bool given = true;
  for (int i = 0; i < s + 2; i++) {
    dims[perm[i]] = ohwi[i];
    given = given && perm[i] == i;
  }
  struct ir_value *w = weight(l, "weight", s + 2, dims);
  if (w && !given)
    w = transpose(l, w, perm, s + 2);
  return add_bias(l, ir_emit(&l->m->b, IR_CONV, IR_ARGS(l->x, w),
                             IR_ATTRS(ir_ints("strides", strides, s),
                                      ir_ints("pads", pads, 2 * (int64_t)s),
                                      ir_ints("dilations", dilations, s),
                                      ir_int("groups", groups))));
}

/* Window attributes over all dimensions of x; the spatial ones from keys. */
struct window {
  int64_t kernel[IR_MAX_RANK], strides[IR_MAX_RANK], pads[2 * IR_MAX_RANK];
};

static bool get_window(const struct layer *l, struct window *w) {
  int r = l->x->type->rank, s = r - 2;
  int64_t ones[IR_MAX_RANK], pads[2 * IR_MAX_RANK];
  if (s < 1)
    return fail(l, "inputs", "needs an input [N,spatial..,C]") != NULL;
  for (int i = 0; i < r; i++)
    ones[i] = w->kernel[i] = w->strides[i] = 1;
  if (!get_ints(l, "kernel", s, 0, 1, w->kernel + 1))
    return false;
  memcpy(w->strides, w->kernel, sizeof w->strides);
  if (get(l, "strides") && !get_ints(l, "strides", s, 1, 1, w->strides + 1))
    return false;
  if (!padding(l, s, l->x->type->dim + 1, w->kernel + 1, w->strides + 1, ones,
               pads))
    return false;
  memset(w->pads, 0, sizeof w->pads);
  for (int i = 0; i < s; i++) {
    w->pads[1 + i] = pads[i];
    w->pads[r + 1 + i] = pads[s + i];
  }
  return true;
}

static struct ir_value *emit_window(const struct layer *l, enum ir_opcode code,
                                    struct ir_value *x,
                                    const struct window *w) {
  int64_t r = x->type->rank;
  return ir_emit(&l->m->b, code, IR_ARGS(x),
                 IR_ATTRS(ir_ints("kernel", w->kernel, r),
                          ir_ints("strides", w->strides, r),
                          ir_ints("pads", w->pads, 2 * r)));
}

static struct ir_value *max_pool(const struct layer *l) {
  struct window w;
  return get_window(l, &w) ? emit_window(l, IR_WINDOW_MAX, l->x, &w) : NULL;
}

/* Sum over the window, divided by how many of its elements exist: the sum of
 * ones, which folds to a constant. */
static struct ir_value *avg_pool(const struct layer *l) {
  struct window w;
  if (!get_window(l, &w))
    return NULL;
  const struct ir_type *x = l->x->type;
  int64_t dims[IR_MAX_RANK];
  memcpy(dims, x->dim, sizeof dims);
  dims[0] = dims[x->rank - 1] = 1;
  struct ir_value *ones = ir_const_splat(
      l->m->b.m, "ones", ir_type(l->m->ctx, x->dtype, x->rank, dims), 1);
  struct ir_value *sum = emit_window(l, IR_WINDOW_SUM, l->x, &w);
  struct ir_value *count = emit_window(l, IR_WINDOW_SUM, ones, &w);
  return ir_emit(&l->m->b, IR_DIV, IR_ARGS(sum, count), NULL, 0);
}

static struct ir_value *global_avg_pool(const struct layer *l) {
  const struct ir_type *x = l->x->type;
  int64_t axes[IR_MAX_RANK], n = 0, count = 1;
  for (int i = 1; i < x->rank - 1; i++) {
    axes[n++] = i;
    count *= x->dim[i];
  }
  struct ir_value *sum = ir_emit(&l->m->b, IR_REDUCE_SUM, IR_ARGS(l->x),
                                 IR_ATTRS(ir_ints("axes", axes, n)));
  struct ir_value *k = ir_const_splat(
      l->m->b.m, "count", ir_type(l->m->ctx, x->dtype, 0, NULL), (double)count);
  return ir_emit(&l->m->b, IR_DIV, IR_ARGS(sum, k), NULL, 0);
}

static struct ir_value *flatten(const struct layer *l) {
  const struct ir_type *x = l->x->type;
  if (x->rank < 1)
    return fail(l, "inputs", "needs an input of rank 1 or more");
  int64_t rest = 1;
  for (int i = 1; i < x->rank; i++)
    rest *= x->dim[i];
  return ir_emit(&l->m->b, IR_RESHAPE, IR_ARGS(l->x),
                 IR_ATTRS(ir_ints("shape", (int64_t[]){x->dim[0], rest}, 2)));
}

/* e^(x - max) / sum e^(x - max), over the last dimension or `axis`. */
static struct ir_value *softmax(const struct layer *l) {
  int64_t axis, rank = l->x->type->rank;
  if (rank < 1)
    return fail(l, "inputs", "needs an input of rank 1 or more");
  if (!get_int(l, "axis", rank - 1, 0, &axis))
    return NULL;
  struct ir_builder *b = &l->m->b;
  struct ir_attr axes = ir_ints("axes", &axis, 1);
  struct ir_value *max =
      ir_emit(b, IR_REDUCE_MAX, IR_ARGS(l->x), IR_ATTRS(axes));
  struct ir_value *d = ir_emit(b, IR_SUB, IR_ARGS(l->x, max), NULL, 0);
  struct ir_value *e = ir_emit(b, IR_EXP, IR_ARGS(d), NULL, 0);
  struct ir_value *sum = ir_emit(b, IR_REDUCE_SUM, IR_ARGS(e), IR_ATTRS(axes));
  return ir_emit(b, IR_DIV, IR_ARGS(e, sum), NULL, 0);
}

/* (x - mean) * scale / sqrt(variance + epsilon) + shift, per last dimension
 * (Ioffe and Szegedy 2015, algorithm 2). */
static struct ir_value *batch_norm(const struct layer *l) {
  struct ir_builder *b = &l->m->b;
  if (l->x->type->rank < 1)
    return fail(l, "inputs", "needs an input of rank 1 or more");
  int64_t n = l->x->type->dim[l->x->type->rank - 1];
  struct ir_value *mean = weight(l, "mean", 1, &n);
  struct ir_value *var = weight(l, "variance", 1, &n);
  struct ir_value *scale = get(l, "scale") ? weight(l, "scale", 1, &n) : NULL;
  struct ir_value *shift = get(l, "shift") ? weight(l, "shift", 1, &n) : NULL;
  const cJSON *eps = get(l, "epsilon");
  if (eps && !(cJSON_IsNumber(eps) && eps->valuedouble >= 0))
    return fail(l, "epsilon", "must be a number, 0 or more");
  struct ir_value *e = ir_const_splat(
      b->m, "epsilon", ir_type(l->m->ctx, l->x->type->dtype, 0, NULL),
      eps ? eps->valuedouble : 1e-3);
  struct ir_value *r =
      ir_emit(b, IR_RSQRT,
              IR_ARGS(ir_emit(b, IR_ADD, IR_ARGS(var, e), NULL, 0)), NULL, 0);
  if (get(l, "scale"))
    r = ir_emit(b, IR_MUL, IR_ARGS(r, scale), NULL, 0);
  struct ir_value *d = ir_emit(b, IR_SUB, IR_ARGS(l->x, mean), NULL, 0);
  struct ir_value *y = ir_emit(b, IR_MUL, IR_ARGS(d, r), NULL, 0);
  return get(l, "shift") ? ir_emit(b, IR_ADD, IR_ARGS(y, shift), NULL, 0) : y;
}

static const struct {
  const char *name;
  struct ir_value *(*build)(const struct layer *l);
  const char *keys; /* besides type, name, inputs, activation */
} layers[] = {
    {"dense", dense, " units form weight bias "},
    {"conv", conv,
     " filters kernel strides dilations groups padding weight_layout weight "
     "bias "},
    {"max_pool", max_pool, " kernel strides padding "},
    {"avg_pool", avg_pool, " kernel strides padding "},
    {"global_avg_pool", global_avg_pool, " "},
    {"flatten", flatten, " "},
    {"softmax", softmax, " axis "},
    {"batch_norm", batch_norm, " mean variance scale shift epsilon "},
};
static const char common_keys[] = " type name inputs activation ";

static bool has_word(const char *list, const char *word) {
  size_t n = strlen(word);
  for (const char *s = list; (s = strstr(s, word)); s++)
    if (s > list && s[-1] == ' ' && s[n] == ' ' && !memchr(word, ' ', n))
      return true;
  return false;
}

static bool check_keys(const struct layer *l, const char *keys) {
  bool ok = true;
  for (const cJSON *k = l->json->child; k; k = k->next)
    if (!has_word(common_keys, k->string) && !has_word(keys, k->string))
      ok = fail(l, k->string, "is no key of this layer");
  return ok;
}

/* An attribute of an op row from the key of its name. */
static bool op_attr(const struct layer *l, const cJSON *item,
                    const struct ir_attr_spec *spec, struct ir_attr *out) {
  struct dn_arena *arena = l->m->ctx->arena;
  *out = (struct ir_attr){.name = dn_intern(l->m->ctx, spec->name),
                          .kind = spec->kind};
  bool list = spec->kind == IR_A_INTS || spec->kind == IR_A_FLOATS;
  int64_t *is = NULL;
  if (list != cJSON_IsArray(item))
    return false;
  switch (spec->kind) {
  case IR_A_STR:
    out->s = cJSON_IsString(item) ? item->valuestring : NULL;
    return out->s != NULL;
  case IR_A_INT:
    return whole(item, &out->i);
  case IR_A_FLOAT:
    out->f = item->valuedouble;
    return cJSON_IsNumber(item);
  case IR_A_INTS:
    out->n = cJSON_GetArraySize(item);
    out->is = is = DN_ARRAY(arena, int64_t, out->n);
    for (const cJSON *e = item->child; e; e = e->next)
      if (!whole(e, is++))
        return false;
    return true;
  case IR_A_FLOATS:
    break;
  }
  return false;
}

/* Any op by its name in ops.def. */
static struct ir_value *plain_op(const struct layer *l, enum ir_opcode code) {
  struct ir_attr_spec specs[IR_MAX_ATTRS];
  struct ir_attr attrs[IR_MAX_ATTRS];
  int n = ir_op_attr_specs(code, specs), used = 0;
  if (ir_ops[code].cls == IR_REGION)
    return fail(l, "type", "is no layer");
  for (const cJSON *k = l->json->child; k; k = k->next) {
    if (has_word(common_keys, k->string))
      continue;
    int i = 0;
    while (i < n && strcmp(specs[i].name, k->string))
      i++;
    if (i == n)
      return fail(l, k->string, "is no key of this layer");
    if (!op_attr(l, k, &specs[i], &attrs[used++]))
      return fail(l, k->string, "is of the wrong kind");
  }
  return ir_emit(&l->m->b, code, l->inputs, l->ninputs, attrs, (size_t)used);
}

static struct ir_value *build_typed(const struct layer *l) {
  enum ir_opcode code;
  for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
    if (!strcmp(layers[i].name, l->type))
      return check_keys(l, layers[i].keys) ? layers[i].build(l) : NULL;
  if (ir_op_find(l->type, &code))
    return plain_op(l, code);
  dn_error(l->m->ctx,
           (struct dn_loc){
               .file = l->m->b.m->file, .node = l->name, .where = l->path},
           DN_UNSUPPORTED_OP, "no layer type '%s'", l->type);
  dn_note(l->m->ctx, "layer types are in docs/json-model.md; any op of "
                     "`dnnc --list-ops` is one too");
  return NULL;
}

static struct ir_value *activate(const struct layer *l, struct ir_value *y) {
  const char *name = get_str(l, "activation", "");
  if (!y || !name || !*name)
    return name ? y : NULL;
  struct layer act = *l;
  cJSON empty = {0};
  act.json = &empty;
  act.type = name;
  act.x = y;
  act.inputs = &y;
  act.ninputs = 1;
  return build_typed(&act);
}

/* ---- The document ---- */

static struct ir_value *find_value(const struct model *m, const char *name,
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
static bool layer_inputs(struct layer *l) {
  struct model *m = l->m;
  const cJSON *names = get(l, "inputs");
  if (names && !cJSON_IsArray(names))
    return fail(l, "inputs", "must be a list of names") != NULL;
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
      return fail(l, "inputs", "names no layer or input before this one") !=
             NULL;
  }
  for (i = 0; i < l->ninputs; i++)
    if (!l->inputs[i])
      return false;
  l->x = l->ninputs ? l->inputs[0] : NULL;
  return l->x || (fail(l, "inputs", "is empty") != NULL);
}

static void add_layer(struct model *m, const cJSON *json, size_t number) {
  struct layer l = {.m = m, .json = json};
  l.path = dn_printf(m->ctx->arena, "layers[%zu]", number);
  struct ir_value *y = NULL;
  if (!cJSON_IsObject(json)) {
    fail(&l, NULL, "must be an object");
  } else {
    l.type = get_str(&l, "type", "");
    l.name = get_str(&l, "name", NULL);
    const char *loc = l.name ? l.name : l.path;
    m->b.loc = dn_intern(m->ctx, loc);
    m->b.model_op = l.type ? dn_intern(m->ctx, l.type) : NULL;
    if (l.type && layer_inputs(&l))
      y = activate(&l, build_typed(&l));
  }
  if (y && y->def && l.name)
    ir_value_rename(m->b.m, y, l.name);
  m->names[m->n] = l.name;
  m->values[m->n++] = y;
}

static bool read_shape(struct model *m, const cJSON *item, const char *path,
                       const struct fe_opts *opts, int64_t *rank,
                       int64_t *dims) {
  *rank = 0;
  if (!cJSON_IsArray(item) || cJSON_GetArraySize(item) > IR_MAX_RANK)
    return false;
  for (const cJSON *d = item->child; d; d = d->next, ++*rank) {
    if (whole(d, &dims[*rank]) && dims[*rank] >= 0)
      continue;
    if (!cJSON_IsString(d))
      return false;
    dims[*rank] = -1;
    for (size_t i = 0; i < opts->ndims; i++)
      if (!strcmp(opts->dims[i].name, d->valuestring))
        dims[*rank] = opts->dims[i].value;
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

static void add_input(struct model *m, const cJSON *json, size_t number,
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

static void add_outputs(struct model *m, const cJSON *json) {
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

static bool check_top(struct model *m, const cJSON *root) {
  static const char keys[] = " dnnc name inputs layers outputs weights ";
  bool ok = cJSON_IsObject(root);
  for (const cJSON *k = ok ? root->child : NULL; k; k = k->next) {
    if (has_word(keys, k->string))
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

static void build_model(struct model *m, const cJSON *root,
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
  struct model m = {.ctx = ctx};
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
