/* json_layers.c - layer types of the JSON description: the rows of `layers`,
 * for layers that have weights or derived sizes, and else any op of ops.def by
 * its name, whose attributes are then keys of the layer. */
#include "frontend/decompose.h"
#include "frontend/json_layer.h"
#include "frontend/window.h"

#include <string.h>

static struct ir_value *fail(const struct json_layer *l, const char *key,
                             const char *what) {
  json_fail(l, key, what);
  return NULL;
}

static struct ir_value *weight(const struct json_layer *l, const char *key,
                               int rank, const int64_t *dims) {
  const cJSON *item = json_get(l, key);
  const char *path = dn_printf(l->m->ctx->arena, "%s.%s", l->path, key);
  const char *name =
      dn_printf(l->m->ctx->arena, "%s.%s", l->name ? l->name : l->type, key);
  if (!item)
    return fail(l, key, "is missing");
  const struct ir_type *type =
      ir_type_checked(l->m->ctx, path, l->x->type->dtype, rank, dims);
  return type
             ? json_weight(&l->m->weights, l->m->b.at.m, item, path, name, type)
             : NULL;
}

/* A weight as a value that any layer reads. */
static struct ir_value *constant(const struct json_layer *l) {
  const cJSON *shape = json_get(l, "shape");
  const char *dtype = json_get_str(l, "dtype", "f32");
  int64_t dims[IR_MAX_RANK] = {0};
  enum ir_dtype t = IR_F32;
  int rank = cJSON_GetArraySize(shape);
  if (!dtype || !ir_dtype_find(dtype, &t))
    return fail(l, "dtype", "is no element type");
  if (!cJSON_IsArray(shape) || rank > IR_MAX_RANK)
    return fail(l, "shape", "must be a list of sizes");
  if (!json_get_ints(l, "shape", rank, 0, 0, dims))
    return NULL;
  const struct ir_type *type =
      ir_type_checked(l->m->ctx, l->path, t, rank, dims);
  return type ? json_weight(&l->m->weights, l->m->b.at.m, json_get(l, "weight"),
                            dn_printf(l->m->ctx->arena, "%s.weight", l->path),
                            l->name ? l->name : l->type, type)
              : NULL;
}

/* x + bias along the last dimension, when the layer has a bias. */
static struct ir_value *add_bias(const struct json_layer *l,
                                 struct ir_value *y) {
  if (!y || !json_get(l, "bias"))
    return y;
  int64_t n = y->type->dim[y->type->rank - 1];
  struct ir_value *bias = weight(l, "bias", 1, &n);
  return bias ? fe_emit(&l->m->b, IR_ADD, IR_ARGS(y, bias), NULL, 0) : NULL;
}

/* ---- Layers ---- */

/* "form": "xW" multiplies by a weight [in, units], "Wx" by one [units, in]. */
static struct ir_value *dense(const struct json_layer *l) {
  int64_t units;
  bool ok = json_get_int(l, "units", 0, 1, &units);
  const char *form = json_get_str(l, "form", "xW");
  if (!form || (strcmp(form, "xW") && strcmp(form, "Wx")))
    ok = json_fail(l, "form", "must be \"xW\" or \"Wx\"");
  if (!ok)
    return NULL;
  int64_t in = l->x->type->dim[l->x->type->rank - 1];
  bool xw = form[0] == 'x';
  int64_t dims[2] = {xw ? in : units, xw ? units : in};
  struct ir_value *w = weight(l, "weight", 2, dims);
  if (w && !xw)
    w = fe_transpose(&l->m->b, w, (const int64_t[]){1, 0});
  return add_bias(l, fe_emit(&l->m->b, IR_MATMUL, IR_ARGS(l->x, w), NULL, 0));
}

/* "padding": "valid", "same" (as TensorFlow: the odd one at the end), or a list
 * of all begins, then all ends. */
static bool padding(const struct json_layer *l, struct fe_window *w) {
  const cJSON *item = json_get(l, "padding");
  if (cJSON_IsArray(item))
    return json_get_ints(l, "padding", 2 * w->n, 0, 0, w->pads);
  const char *text = json_get_str(l, "padding", "valid");
  bool same = text && !strcmp(text, "same");
  if (!text || (!same && strcmp(text, "valid")))
    return json_fail(l, "padding", "must be \"same\", \"valid\" or a list");
  for (int i = 0; same && i < w->n; i++)
    fe_window_pad_same(w, i, l->x->type->dim[1 + i], false);
  return true;
}

/* Permutation from a weight layout such as "HWIO" to OHWI; false if it is not
 * one. H stands for all spatial letters, in order. */
static bool weight_perm(const char *layout, int s, int64_t *perm) {
  static const char *const known[] = {"OHWI", "OIHW", "HWIO"};
  int k = DN_FIND(known, layout);
  int at[3][3] = {{0, 1, s + 1}, {0, 2, 1}, {s + 1, 0, s}}; /* O, H, I */
  if (k < 0)
    return false;
  perm[0] = at[k][0];
  for (int i = 0; i < s; i++)
    perm[1 + i] = at[k][1] + i;
  perm[s + 1] = at[k][2];
  return true;
}

static struct ir_value *conv(const struct json_layer *l) {
  const struct ir_type *x = l->x->type;
  int s = x->rank - 2;
  struct fe_window win = {.first = 1, .n = s};
  int64_t filters, groups, perm[IR_MAX_RANK], ohwi[IR_MAX_RANK],
      dims[IR_MAX_RANK];
  bool ok = json_get_int(l, "filters", 0, 1, &filters);
  ok = json_get_ints(l, "kernel", s, 0, 1, win.kernel) && ok;
  ok = json_get_ints(l, "strides", s, 1, 1, win.strides) && ok;
  ok = json_get_ints(l, "dilations", s, 1, 1, win.dilations) && ok;
  ok = ok && padding(l, &win);
  const char *layout = json_get_str(l, "weight_layout", "OHWI");
  if (!layout || !weight_perm(layout, s, perm))
    ok =
        json_fail(l, "weight_layout", "must be \"OHWI\", \"OIHW\" or \"HWIO\"");
  if (!json_get_int(l, "groups", 1, 1, &groups))
    ok = false;
  else if (x->dim[s + 1] % groups)
    ok = json_fail(l, "groups", "does not divide the channels");
  if (!ok)
    return NULL;
  ohwi[0] = filters;
  memcpy(ohwi + 1, win.kernel, (size_t)s * sizeof *ohwi);
  ohwi[s + 1] = x->dim[s + 1] / groups;
  for (int i = 0; i < s + 2; i++)
    dims[perm[i]] = ohwi[i];
  struct ir_value *w = weight(l, "weight", s + 2, dims);
  w = fe_transpose(&l->m->b, w, perm);
  return add_bias(l, fe_emit(&l->m->b, IR_CONV, IR_ARGS(l->x, w),
                             IR_ATTRS(ir_ints("strides", win.strides, s),
                                      ir_ints("pads", win.pads, 2 * (int64_t)s),
                                      ir_ints("dilations", win.dilations, s),
                                      ir_int("groups", groups))));
}

static struct ir_value *pool(const struct json_layer *l, bool average) {
  int s = l->x->type->rank - 2;
  struct fe_window w = {.first = 1, .n = s};
  bool ok = json_get_ints(l, "kernel", s, 0, 1, w.kernel);
  memcpy(w.strides, w.kernel, sizeof w.strides);
  if (json_get(l, "strides"))
    ok = json_get_ints(l, "strides", s, 1, 1, w.strides) && ok;
  for (int i = 0; i < s; i++)
    w.dilations[i] = 1;
  if (!ok || !padding(l, &w))
    return NULL;
  /* What does not fit is found as the op is made. */
  bool fits = fe_window_fit(&w, l->x->type->dim + 1, false) < 0;
  return average && fits
             ? fe_average_pool(&l->m->b, l->x, &w, false)
             : fe_pool(&l->m->b, average ? IR_WINDOW_SUM : IR_WINDOW_MAX, l->x,
                       &w);
}

static struct ir_value *max_pool(const struct json_layer *l) {
  return pool(l, false);
}

static struct ir_value *avg_pool(const struct json_layer *l) {
  return pool(l, true);
}

static struct ir_value *global_avg_pool(const struct json_layer *l) {
  bool axes[IR_MAX_RANK] = {0};
  for (int i = 1; i < l->x->type->rank - 1; i++)
    axes[i] = true;
  return fe_mean(&l->m->b, l->x, axes);
}

static struct ir_value *flatten(const struct json_layer *l) {
  const struct ir_type *x = l->x->type;
  int64_t rest = 1;
  for (int i = 1; i < x->rank; i++)
    rest *= x->dim[i];
  return fe_reshape(&l->m->b, l->x, 2, (const int64_t[]){x->dim[0], rest});
}

static struct ir_value *softmax(const struct json_layer *l) {
  int64_t axis, rank = l->x->type->rank;
  if (!json_get_int(l, "axis", rank - 1, 0, &axis))
    return NULL;
  return fe_call(&l->m->b, FE_SOFTMAX, IR_ARGS(l->x),
                 IR_ATTRS(ir_int("axis", axis)));
}

static struct ir_value *batch_norm(const struct json_layer *l) {
  int64_t n = l->x->type->dim[l->x->type->rank - 1];
  struct ir_value *mean = weight(l, "mean", 1, &n);
  struct ir_value *var = weight(l, "variance", 1, &n);
  struct ir_value *scale =
      json_get(l, "scale") ? weight(l, "scale", 1, &n) : NULL;
  struct ir_value *shift =
      json_get(l, "shift") ? weight(l, "shift", 1, &n) : NULL;
  const cJSON *eps = json_get(l, "epsilon");
  if (eps && !(cJSON_IsNumber(eps) && eps->valuedouble >= 0))
    return fail(l, "epsilon", "must be a number, 0 or more");
  if (!mean || !var || (json_get(l, "scale") && !scale) ||
      (json_get(l, "shift") && !shift))
    return NULL;
  return fe_call(&l->m->b, FE_NORM_LAST, IR_ARGS(l->x, mean, var, scale, shift),
                 IR_ATTRS(ir_float("epsilon", eps ? eps->valuedouble : 1e-3)));
}

/* `keys`: name:kind besides type, name, inputs and activation; kinds are i i* a
 * whole number, or a list of them too; n a number; s a text; p a text or a
 * list; w a weight; `!` is required. */
static const struct row {
  const char *name;
  struct ir_value *(*build)(const struct json_layer *l);
  int rank; /* of the input, at least */
  const char *keys;
} layers[] = {
    {"dense", dense, 2, "units:i! form:s weight:w! bias:w"},
    {"conv", conv, 3,
     "filters:i! kernel:i*! strides:i* dilations:i* groups:i padding:p "
     "weight_layout:s weight:w! bias:w"},
    {"max_pool", max_pool, 3, "kernel:i*! strides:i* padding:p"},
    {"avg_pool", avg_pool, 3, "kernel:i*! strides:i* padding:p"},
    {"global_avg_pool", global_avg_pool, 0, ""},
    {"constant", constant, 0, "shape:i*! dtype:s weight:w!"},
    {"flatten", flatten, 1, ""},
    {"softmax", softmax, 1, "axis:i"},
    {"batch_norm", batch_norm, 1,
     "mean:w! variance:w! scale:w shift:w epsilon:n"},
};
enum { NLAYERS = DN_COUNT(layers) };

static const struct row *find_row(const char *type) {
  int row = DN_FIND(layers, type);
  return row < 0 ? NULL : &layers[row];
}

/* ---- Keys ---- */

static const char *const common_keys[] = {"type", "name", "inputs",
                                          "activation"};
enum { NCOMMON = DN_COUNT(common_keys) };

/* Reads all keys of a layer against `names`, the common ones first; `item[i]`
 * becomes the value of names[i]. */
static bool read_keys(const struct json_layer *l, const char *const *names,
                      size_t n, const cJSON **item) {
  bool ok = true;
  for (const cJSON *k = l->json->child; k; k = k->next) {
    int i = dn_find_row(names, n, sizeof *names, k->string);
    if (i >= 0)
      item[i] = k;
    else
      ok = json_unknown(l, k->string, "is no key of this layer", k->string,
                        names, n);
  }
  return ok;
}

static bool is_whole(const cJSON *item) {
  int64_t v;
  return fe_json_whole(item, &v);
}

static bool is_of_kind(const cJSON *item, const char *kind) {
  switch (*kind) {
  case 'i':
    return is_whole(item) || (kind[1] == '*' && cJSON_IsArray(item));
  case 'n':
    return cJSON_IsNumber(item);
  case 's':
    return cJSON_IsString(item);
  case 'p':
    return cJSON_IsString(item) || cJSON_IsArray(item);
  }
  return true;
}

static const char *kind_text(const char *kind) {
  switch (*kind) {
  case 'i':
    return kind[1] == '*' ? "must be a whole number, or a list of them"
                          : "must be a whole number in range";
  case 'n':
    return "must be a number";
  case 's':
    return "must be a string";
  }
  return "must be a string or a list";
}

static bool check_row(const struct json_layer *l, const struct row *row) {
  enum { MOST = NCOMMON + 12 };
  struct dn_arena *arena = l->m->ctx->arena;
  const char *names[MOST], *kinds[MOST];
  const cJSON *item[MOST] = {0};
  size_t n = NCOMMON;
  memcpy(names, common_keys, sizeof common_keys);
  for (const char *p = row->keys; *p; p += strspn(p, " "), n++) {
    size_t len = strcspn(p, ":");
    names[n] = dn_strndup(arena, p, len);
    kinds[n] = p + len + 1;
    p += strcspn(p, " ");
  }
  bool ok = read_keys(l, names, n, item);
  for (size_t i = NCOMMON; i < n; i++) {
    bool needed = memchr(kinds[i], '!', strcspn(kinds[i], " ")) != NULL;
    if (!item[i] && needed)
      ok = json_fail(l, names[i], "is missing");
    else if (item[i] && !is_of_kind(item[i], kinds[i]))
      ok = json_fail(l, names[i], kind_text(kinds[i]));
  }
  return ok;
}

/* An attribute of an op row from the key of its name. */
static bool op_attr(const struct json_layer *l, const cJSON *item,
                    const struct ir_attr_spec *spec, struct ir_attr *out) {
  struct dn_arena *arena = l->m->ctx->arena;
  *out = (struct ir_attr){.name = dn_intern(l->m->ctx, spec->name),
                          .kind = spec->kind};
  bool list = spec->kind == IR_A_INTS;
  int64_t *is = NULL;
  if (list != cJSON_IsArray(item))
    return false;
  switch (spec->kind) {
  case IR_A_STR:
    out->s = cJSON_IsString(item) ? item->valuestring : NULL;
    return out->s != NULL;
  case IR_A_INT:
    return fe_json_whole(item, &out->i);
  case IR_A_FLOAT:
    out->f = item->valuedouble;
    return cJSON_IsNumber(item);
  case IR_A_INTS:
    out->n = cJSON_GetArraySize(item);
    out->is = is = DN_ARRAY(arena, int64_t, out->n);
    for (const cJSON *e = item->child; e; e = e->next)
      if (!fe_json_whole(e, is++))
        return false;
    return true;
  case IR_A_RECORDS:
    break;
  }
  return false;
}

/* Any op by its name in ops.def: its attributes are keys. */
static bool check_op(const struct json_layer *l, enum ir_opcode code,
                     struct ir_attr *attrs, size_t *used) {
  struct ir_attr_spec specs[IR_MAX_ATTRS];
  const char *names[NCOMMON + IR_MAX_ATTRS];
  const cJSON *item[NCOMMON + IR_MAX_ATTRS] = {0};
  int n = ir_op_attr_specs(code, specs);
  *used = 0;
  if (ir_ops[code].cls == IR_REGION)
    return json_fail(l, "type", "is no layer");
  memcpy(names, common_keys, sizeof common_keys);
  for (int i = 0; i < n; i++)
    names[NCOMMON + i] = specs[i].name;
  bool ok = read_keys(l, names, NCOMMON + (size_t)n, item);
  for (int i = 0; i < n; i++)
    if (item[NCOMMON + i] &&
        !op_attr(l, item[NCOMMON + i], &specs[i], &attrs[(*used)++]))
      ok = json_fail(l, specs[i].name, "is of the wrong kind");
  return ok;
}

static bool unknown_type(const struct json_layer *l) {
  const char *names[NLAYERS + IR_NUM_OPS];
  size_t n = 0;
  for (int i = 0; i < NLAYERS; i++)
    names[n++] = layers[i].name;
  for (int i = 0; i < IR_NUM_OPS; i++)
    if (ir_ops[i].cls != IR_REGION)
      names[n++] = ir_ops[i].text;
  dn_error(l->m->ctx,
           (struct dn_loc){
               .file = l->m->b.at.m->file, .node = l->name, .where = l->path},
           DN_UNSUPPORTED_OP, "no layer type '%s'",
           fe_text(l->m->ctx, l->type));
  if (!dn_suggest(l->m->ctx, l->type, names, n))
    dn_note(l->m->ctx, "layer types are in docs/json-model.md; any op of "
                       "`dnnc --list-ops` is one too");
  return false;
}

/* The activation is a layer without keys. */
static struct json_layer activation(const struct json_layer *l,
                                    const char *name, const cJSON *empty) {
  struct json_layer act = *l;
  act.json = empty;
  act.type = name;
  return act;
}

bool json_check(const struct json_layer *l) {
  struct ir_attr attrs[IR_MAX_ATTRS];
  const struct row *row = find_row(l->type);
  enum ir_opcode code;
  size_t used;
  bool ok = row                          ? check_row(l, row)
            : ir_op_find(l->type, &code) ? check_op(l, code, attrs, &used)
                                         : unknown_type(l);
  const char *name = json_get_str(l, "activation", "");
  if (!name || !*name)
    return name && ok;
  const cJSON empty = {0};
  struct json_layer act = activation(l, name, &empty);
  return json_check(&act) && ok;
}

struct ir_value *json_build(const struct json_layer *l) {
  struct ir_attr attrs[IR_MAX_ATTRS];
  const struct row *row = find_row(l->type);
  enum ir_opcode code;
  size_t n;
  if (row && l->x->type->rank < row->rank)
    return fail(l, "inputs",
                dn_printf(l->m->ctx->arena, "needs an input of rank %d or more",
                          row->rank));
  if (row)
    return row->build(l);
  if (!ir_op_find(l->type, &code) || !check_op(l, code, attrs, &n))
    return NULL;
  return ir_emit(&l->m->b.at, code, l->inputs, l->ninputs, attrs, n);
}

struct ir_value *json_activate(const struct json_layer *l, struct ir_value *y) {
  const char *name = json_get_str(l, "activation", "");
  if (!y || !name || !*name)
    return y;
  const cJSON empty = {0};
  struct json_layer act = activation(l, name, &empty);
  act.x = y;
  act.inputs = &y;
  act.ninputs = 1;
  return json_build(&act);
}
