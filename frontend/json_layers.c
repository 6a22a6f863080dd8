/* json_layers.c - layer types of the JSON description: the rows of `layers`,
 * for layers that have weights or derived sizes, and else any op of ops.def by
 * its name, whose attributes are then keys of the layer. */
#include "frontend/json_layer.h"

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

/* x + bias along the last dimension, when the layer has a bias. */
static struct ir_value *add_bias(const struct json_layer *l,
                                 struct ir_value *y) {
  if (!y || !json_get(l, "bias"))
    return y;
  int64_t n = y->type->dim[y->type->rank - 1];
  struct ir_value *bias = weight(l, "bias", 1, &n);
  return bias ? fe_emit(&l->m->b, IR_ADD, IR_ARGS(y, bias), NULL, 0) : NULL;
}

static struct ir_value *transpose(const struct json_layer *l,
                                  struct ir_value *x, const int64_t *perm,
                                  int64_t n) {
  return fe_emit(&l->m->b, IR_TRANSPOSE, IR_ARGS(x),
                 IR_ATTRS(ir_ints("perm", perm, n)));
}

/* ---- Layers ---- */

/* "form": "xW" multiplies by a weight [in, units], "Wx" by one [units, in]. */
static struct ir_value *dense(const struct json_layer *l) {
  int64_t units;
  bool ok = json_get_int(l, "units", 0, 1, &units);
  const char *form = json_get_str(l, "form", "xW");
  if (!form || (strcmp(form, "xW") && strcmp(form, "Wx")))
    ok = json_fail(l, "form", "must be \"xW\" or \"Wx\"");
  if (l->x->type->rank < 2)
    ok = json_fail(l, "inputs", "needs an input of rank 2 or more");
  if (!ok)
    return NULL;
  int64_t in = l->x->type->dim[l->x->type->rank - 1];
  bool xw = form[0] == 'x';
  int64_t dims[2] = {xw ? in : units, xw ? units : in};
  struct ir_value *w = weight(l, "weight", 2, dims);
  if (w && !xw)
    w = transpose(l, w, (int64_t[]){1, 0}, 2);
  return add_bias(l, fe_emit(&l->m->b, IR_MATMUL, IR_ARGS(l->x, w), NULL, 0));
}

/* "padding": "valid", "same" (as TensorFlow: the odd one at the end), or a list
 * of all begins, then all ends. */
static bool padding(const struct json_layer *l, int64_t n, const int64_t *size,
                    const int64_t *window, const int64_t *stride,
                    const int64_t *dilation, int64_t *pads) {
  const cJSON *item = json_get(l, "padding");
  if (cJSON_IsArray(item))
    return json_get_ints(l, "padding", 2 * n, 0, 0, pads);
  const char *text = json_get_str(l, "padding", "valid");
  bool same = text && !strcmp(text, "same");
  if (!text || (!same && strcmp(text, "valid"))) {
    json_fail(l, "padding", "must be \"same\", \"valid\" or a list");
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

static struct ir_value *conv(const struct json_layer *l) {
  const struct ir_type *x = l->x->type;
  int s = x->rank - 2;
  int64_t filters, groups, kernel[IR_MAX_RANK], strides[IR_MAX_RANK],
      dilations[IR_MAX_RANK], pads[2 * IR_MAX_RANK], perm[IR_MAX_RANK],
      ohwi[IR_MAX_RANK], dims[IR_MAX_RANK];
  if (s < 1)
    return fail(l, "inputs", "needs an input [N,spatial..,C]");
  bool ok = json_get_int(l, "filters", 0, 1, &filters);
  ok = json_get_ints(l, "kernel", s, 0, 1, kernel) && ok;
  ok = json_get_ints(l, "strides", s, 1, 1, strides) && ok;
  ok = json_get_ints(l, "dilations", s, 1, 1, dilations) && ok;
  ok = ok && padding(l, s, x->dim + 1, kernel, strides, dilations, pads);
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
  return add_bias(l, fe_emit(&l->m->b, IR_CONV, IR_ARGS(l->x, w),
                             IR_ATTRS(ir_ints("strides", strides, s),
                                      ir_ints("pads", pads, 2 * (int64_t)s),
                                      ir_ints("dilations", dilations, s),
                                      ir_int("groups", groups))));
}

/* Window attributes over all dimensions of x; the spatial ones from keys. */
struct window {
  int64_t kernel[IR_MAX_RANK], strides[IR_MAX_RANK], pads[2 * IR_MAX_RANK];
};

static bool get_window(const struct json_layer *l, struct window *w) {
  int r = l->x->type->rank, s = r - 2;
  int64_t ones[IR_MAX_RANK], pads[2 * IR_MAX_RANK];
  if (s < 1)
    return json_fail(l, "inputs", "needs an input [N,spatial..,C]");
  for (int i = 0; i < r; i++)
    ones[i] = w->kernel[i] = w->strides[i] = 1;
  bool ok = json_get_ints(l, "kernel", s, 0, 1, w->kernel + 1);
  memcpy(w->strides, w->kernel, sizeof w->strides);
  if (json_get(l, "strides"))
    ok = json_get_ints(l, "strides", s, 1, 1, w->strides + 1) && ok;
  if (!ok || !padding(l, s, l->x->type->dim + 1, w->kernel + 1, w->strides + 1,
                      ones, pads))
    return false;
  memset(w->pads, 0, sizeof w->pads);
  for (int i = 0; i < s; i++) {
    w->pads[1 + i] = pads[i];
    w->pads[r + 1 + i] = pads[s + i];
  }
  return true;
}

static struct ir_value *emit_window(const struct json_layer *l,
                                    enum ir_opcode code, struct ir_value *x,
                                    const struct window *w) {
  int64_t r = x->type->rank;
  return fe_emit(&l->m->b, code, IR_ARGS(x),
                 IR_ATTRS(ir_ints("kernel", w->kernel, r),
                          ir_ints("strides", w->strides, r),
                          ir_ints("pads", w->pads, 2 * r)));
}

static struct ir_value *max_pool(const struct json_layer *l) {
  struct window w;
  return get_window(l, &w) ? emit_window(l, IR_WINDOW_MAX, l->x, &w) : NULL;
}

/* Sum over the window, divided by how many of its elements exist: the sum of
 * ones, which folds to a constant. */
static struct ir_value *avg_pool(const struct json_layer *l) {
  struct window w;
  if (!get_window(l, &w))
    return NULL;
  const struct ir_type *x = l->x->type;
  int64_t dims[IR_MAX_RANK];
  memcpy(dims, x->dim, sizeof dims);
  dims[0] = dims[x->rank - 1] = 1;
  struct ir_value *ones = ir_const_splat(
      l->m->b.at.m, "ones", ir_type(l->m->ctx, x->dtype, x->rank, dims), 1);
  struct ir_value *sum = emit_window(l, IR_WINDOW_SUM, l->x, &w);
  struct ir_value *count = emit_window(l, IR_WINDOW_SUM, ones, &w);
  return fe_emit(&l->m->b, IR_DIV, IR_ARGS(sum, count), NULL, 0);
}

static struct ir_value *global_avg_pool(const struct json_layer *l) {
  const struct ir_type *x = l->x->type;
  int64_t axes[IR_MAX_RANK], n = 0, count = 1;
  for (int i = 1; i < x->rank - 1; i++) {
    axes[n++] = i;
    count *= x->dim[i];
  }
  struct ir_value *sum = fe_emit(&l->m->b, IR_REDUCE_SUM, IR_ARGS(l->x),
                                 IR_ATTRS(ir_ints("axes", axes, n)));
  struct ir_value *k =
      ir_const_splat(l->m->b.at.m, "count",
                     ir_type(l->m->ctx, x->dtype, 0, NULL), (double)count);
  return fe_emit(&l->m->b, IR_DIV, IR_ARGS(sum, k), NULL, 0);
}

static struct ir_value *flatten(const struct json_layer *l) {
  const struct ir_type *x = l->x->type;
  if (x->rank < 1)
    return fail(l, "inputs", "needs an input of rank 1 or more");
  int64_t rest = 1;
  for (int i = 1; i < x->rank; i++)
    rest *= x->dim[i];
  return fe_emit(&l->m->b, IR_RESHAPE, IR_ARGS(l->x),
                 IR_ATTRS(ir_ints("shape", (int64_t[]){x->dim[0], rest}, 2)));
}

/* e^(x - max) / sum e^(x - max), over the last dimension or `axis`. */
static struct ir_value *softmax(const struct json_layer *l) {
  int64_t axis, rank = l->x->type->rank;
  if (rank < 1)
    return fail(l, "inputs", "needs an input of rank 1 or more");
  if (!json_get_int(l, "axis", rank - 1, 0, &axis))
    return NULL;
  struct fe_build *b = &l->m->b;
  struct ir_attr axes = ir_ints("axes", &axis, 1);
  struct ir_value *max =
      fe_emit(b, IR_REDUCE_MAX, IR_ARGS(l->x), IR_ATTRS(axes));
  struct ir_value *d = fe_emit(b, IR_SUB, IR_ARGS(l->x, max), NULL, 0);
  struct ir_value *e = fe_emit(b, IR_EXP, IR_ARGS(d), NULL, 0);
  struct ir_value *sum = fe_emit(b, IR_REDUCE_SUM, IR_ARGS(e), IR_ATTRS(axes));
  return fe_emit(b, IR_DIV, IR_ARGS(e, sum), NULL, 0);
}

/* (x - mean) * scale / sqrt(variance + epsilon) + shift, per last dimension
 * (Ioffe and Szegedy 2015, algorithm 2). */
static struct ir_value *batch_norm(const struct json_layer *l) {
  struct fe_build *b = &l->m->b;
  if (l->x->type->rank < 1)
    return fail(l, "inputs", "needs an input of rank 1 or more");
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
  struct ir_value *e = ir_const_splat(
      b->at.m, "epsilon", ir_type(l->m->ctx, l->x->type->dtype, 0, NULL),
      eps ? eps->valuedouble : 1e-3);
  struct ir_value *r =
      fe_emit(b, IR_RSQRT,
              IR_ARGS(fe_emit(b, IR_ADD, IR_ARGS(var, e), NULL, 0)), NULL, 0);
  if (json_get(l, "scale"))
    r = fe_emit(b, IR_MUL, IR_ARGS(r, scale), NULL, 0);
  struct ir_value *d = fe_emit(b, IR_SUB, IR_ARGS(l->x, mean), NULL, 0);
  struct ir_value *y = fe_emit(b, IR_MUL, IR_ARGS(d, r), NULL, 0);
  return json_get(l, "shift") ? fe_emit(b, IR_ADD, IR_ARGS(y, shift), NULL, 0)
                              : y;
}

/* `keys`: name:kind besides type, name, inputs and activation; kinds are i i* a
 * whole number, or a list of them too; n a number; s a text; p a text or a
 * list; w a weight; `!` is required. */
static const struct row {
  const char *name;
  struct ir_value *(*build)(const struct json_layer *l);
  const char *keys;
} layers[] = {
    {"dense", dense, "units:i! form:s weight:w! bias:w"},
    {"conv", conv,
     "filters:i! kernel:i*! strides:i* dilations:i* groups:i padding:p "
     "weight_layout:s weight:w! bias:w"},
    {"max_pool", max_pool, "kernel:i*! strides:i* padding:p"},
    {"avg_pool", avg_pool, "kernel:i*! strides:i* padding:p"},
    {"global_avg_pool", global_avg_pool, ""},
    {"flatten", flatten, ""},
    {"softmax", softmax, "axis:i"},
    {"batch_norm", batch_norm, "mean:w! variance:w! scale:w shift:w epsilon:n"},
};
enum { NLAYERS = sizeof layers / sizeof *layers };

static const struct row *find_row(const char *type) {
  for (int i = 0; i < NLAYERS; i++)
    if (!strcmp(layers[i].name, type))
      return &layers[i];
  return NULL;
}

/* ---- Keys ---- */

static const char *const common_keys[] = {"type", "name", "inputs",
                                          "activation"};
enum { NCOMMON = sizeof common_keys / sizeof *common_keys };

/* Reads all keys of a layer against `names`, the common ones first; `item[i]`
 * becomes the value of names[i]. */
static bool read_keys(const struct json_layer *l, const char *const *names,
                      size_t n, const cJSON **item) {
  bool ok = true;
  for (const cJSON *k = l->json->child; k; k = k->next) {
    size_t i = 0;
    while (i < n && strcmp(names[i], k->string))
      i++;
    if (i < n)
      item[i] = k;
    else
      ok = json_unknown(l, k->string, "is no key of this layer", k->string,
                        names, n);
  }
  return ok;
}

static bool is_whole(const cJSON *item) {
  int64_t v;
  return json_whole(item, &v);
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
    return json_whole(item, &out->i);
  case IR_A_FLOAT:
    out->f = item->valuedouble;
    return cJSON_IsNumber(item);
  case IR_A_INTS:
    out->n = cJSON_GetArraySize(item);
    out->is = is = DN_ARRAY(arena, int64_t, out->n);
    for (const cJSON *e = item->child; e; e = e->next)
      if (!json_whole(e, is++))
        return false;
    return true;
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
  const char *near = dn_nearest(l->type, names, n);
  if (near)
    dn_note(l->m->ctx, "did you mean '%s'?", near);
  else
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
