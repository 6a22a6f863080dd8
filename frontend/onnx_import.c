/* onnx_import.c - an ONNX file to a GRAPH module: the file as a whole, its
 * inputs, initializers and outputs. Nodes are onnx_graph.c, converters
 * onnx_op_*.c by way of onnx_ops.def. */
#include "frontend/onnx_import.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/eval.h"

/* Weak: an ONNX file has no magic number. Its first byte is the tag of a field
 * of ModelProto; none of them is a letter that starts text. */
bool fe_onnx_sniff(const struct dn_file *f) {
  static const uint8_t tags[] = {0x08, 0x12, 0x1a, 0x22, 0x28, 0x32,
                                 0x3a, 0x42, 0x72, 0xa2, 0xca};
  return f->size && memchr(tags, f->data[0], sizeof tags);
}

/* ---- Types of inputs ---- */

static struct dn_loc file_loc(struct onnx_import *im, const char *what,
                              const char *name) {
  return (struct dn_loc){.file = im->file->path,
                         .where =
                             dn_printf(im->ctx->arena, "%s '%s'", what, name)};
}

/* The size of dim `i` of an input, or -1 after a diagnostic. */
static int64_t input_dim(struct onnx_import *im, const struct onnx_value *v,
                         size_t i, int64_t given, struct dn_loc loc) {
  const struct onnx_dim *d = &v->dims.v[i];
  bool fixed = d->has_value && d->value != -1; /* -1: as if it were absent */
  if (fixed && d->value >= 0)
    return d->value;
  if (fixed) {
    dn_error(im->ctx, loc, DN_SHAPE, "dimension %zu has the size %lld", i,
             (long long)d->value);
    return -1;
  }
  /* A dim without a name goes by its place: "input.0"; so do those of tensors
   * in a sequence, which differ in size. */
  const char *name = d->param && !v->list
                         ? d->param
                         : dn_printf(im->ctx->arena, "%s.%zu", v->name, i);
  const char *what = dn_printf(im->ctx->arena, "dimension %zu, '%s',", i,
                               fe_text(im->ctx, name));
  return fe_bind_dim(im->ctx, im->opts, &im->symbols, loc, name, what, given,
                     i ? im->opts->free_size : im->opts->free_first);
}

/* The bytes of a string of an input: a dim that no model knows, or -1. */
static int64_t string_width(struct onnx_import *im, const struct onnx_value *v,
                            int64_t given, struct dn_loc loc) {
  const char *name = dn_printf(im->ctx->arena, "%s.bytes", v->name);
  const char *what = dn_printf(im->ctx->arena, "the length of strings, '%s',",
                               fe_text(im->ctx, name));
  int64_t n = fe_bind_dim(im->ctx, im->opts, &im->symbols, loc, name, what,
                          given, im->opts->free_size);
  if (!n)
    dn_error(im->ctx, loc, DN_SHAPE, "strings of 0 bytes");
  return n;
}

static const struct ir_type *input_type(struct onnx_import *im,
                                        const struct onnx_value *v,
                                        const struct ir_type *given) {
  struct dn_ctx *ctx = im->ctx;
  struct dn_loc loc = file_loc(im, "input", v->name);
  enum ir_dtype dtype;
  if (!v->kind || (strcmp(v->kind, "tensor") != 0 && !v->dtype)) {
    dn_error(ctx, loc, v->kind ? DN_UNSUPPORTED_TYPE : DN_TYPE,
             v->kind ? "it is a %s, not of tensors" : "it has no type",
             v->kind);
    return NULL;
  }
  if (!onnx_element_find(v->dtype, &dtype)) {
    dn_error(ctx, loc, v->dtype > 0 ? DN_UNSUPPORTED_TYPE : DN_TYPE,
             "element type %s (%lld)", onnx_dtype_name(v->dtype),
             (long long)v->dtype);
    return NULL;
  }
  if (!v->has_shape && given)
    return ir_type(ctx, dtype, given->rank, given->dim);
  if (!v->has_shape) {
    dn_error(ctx, loc, DN_DIM, "it has no shape");
    return NULL;
  }
  size_t rank = v->dims.n + (dtype == IR_CHAR);
  if (rank > IR_MAX_RANK) {
    dn_error(ctx, loc, DN_LIMIT, "rank %zu is over the limit of %d", v->dims.n,
             IR_MAX_RANK);
    return NULL;
  }
  int64_t dims[IR_MAX_RANK];
  bool ok = true, use = given && given->rank == (int)rank;
  for (size_t i = 0; i < v->dims.n; i++) {
    dims[i] = input_dim(im, v, i, use ? given->dim[i] : -1, loc);
    ok = ok && dims[i] >= 0;
  }
  if (dtype == IR_CHAR) {
    dims[v->dims.n] =
        string_width(im, v, use ? given->dim[v->dims.n] : -1, loc);
    ok = ok && dims[v->dims.n] >= 1;
  }
  return ok ? ir_type_checked(ctx, loc.where, dtype, (int64_t)rank, dims)
            : NULL;
}

/* ---- Initializers, inputs, outputs ---- */

struct ir_value *ox_const_new(struct onnx_import *im,
                              const struct onnx_tensor *t,
                              const struct onnx_sparse *s, struct dn_loc loc,
                              const char *name) {
  const struct ir_type *type;
  struct ir_data data;
  bool ok = t ? onnx_tensor_data(im->file, t, loc, &type, &data)
              : onnx_sparse_data(im->file, s, loc, &type, &data);
  return ok ? ir_const_new(im->m, name, type, &data) : NULL;
}

/* Whether --state names the input. */
static bool is_state(const struct onnx_import *im, const char *name) {
  const char *end = dn_printf(im->ctx->arena, "=%s", name);
  for (size_t i = 0; i < im->opts->nstates; i++)
    if (dn_ends_in(im->opts->states[i], end))
      return true;
  return false;
}

bool ox_import_initializer(struct onnx_import *im, const struct onnx_tensor *t,
                           const struct onnx_sparse *s) {
  const char *name = t ? t->name : s->values.name;
  struct dn_loc loc =
      file_loc(im, t ? "initializer" : "sparse initializer", name);
  struct ir_value *v = ox_const_new(im, t, s, loc, name);
  struct ir_value *input = is_state(im, name) ? ox_lookup(im, name) : NULL;
  if (input && v && input->block && v->type == input->type) {
    input->initial = v;
    return true;
  }
  return ox_bind(im, loc, name, v ? v : &im->failed);
}

/* What the caller knows of the parameter at `position` of the model. */
static void note_value(struct onnx_import *im, size_t position,
                       const struct ir_value *param) {
  const struct ir_tensor *t = im->opts->input_values;
  struct ir_value *known = NULL;
  if (t && position < im->opts->ninputs && t[position].data &&
      t[position].type == param->type) {
    struct ir_data data = {.bytes = t[position].data,
                           .size = ir_type_bytes(param->type),
                           .shared = true}; /* the caller has them */
    known = ir_const_new(im->m, param->name, param->type, &data);
  }
  assert(im->known.n == param->index && "parameters come in order");
  DN_PUSH(im->ctx->arena, im->known, known);
}

/* Where the number of --value NAME=NUMBER begins, if it is of that name; or NULL. */
static const char *value_of(const char *text, const char *name) {
  size_t n = strlen(name);
  return !strncmp(text, name, n) && text[n] == '=' ? text + n + 1 : NULL;
}

/* What --value says that a parameter would be; NULL: nothing. */
static struct ir_value *given_value(struct onnx_import *im, const char *name,
                                    const struct ir_type *type) {
  const char *text = NULL;
  char *end;
  for (size_t i = 0; i < im->opts->nvalues && !text; i++)
    text = value_of(im->opts->values[i], name);
  if (!text)
    return NULL;
  double v = strtod(text, &end);
  bool fits = ir_is_float(type->dtype) || v == 0 || v == 1;
  if (ir_is_int(type->dtype)) { /* it is the number that comes out again */
    uint64_t bits = 0;
    fits = v == floor(v) && fabs(v) < 0x1p53;
    ir_store_int(type->dtype, &bits, fits ? (int64_t)v : 0);
    fits = fits && ir_load_int(type->dtype, &bits) == (int64_t)v;
  }
  if (type->dtype != IR_CHAR && end > text && !*end && fits)
    return ir_const_splat(im->m, name, type, v);
  dn_error(im->ctx, file_loc(im, "input", name), DN_USAGE,
           "--value: '%s' is no number of type %s", fe_text(im->ctx, text),
           ir_dtypes[type->dtype].text);
  return &im->failed;
}

/* Each --value names an input. */
static void check_values(struct onnx_import *im, const struct onnx_graph *g) {
  for (size_t i = 0; i < im->opts->nvalues; i++) {
    const char *text = im->opts->values[i];
    const char *name = NULL;
    for (size_t k = 0; k < g->inputs.n && !name; k++)
      name = value_of(text, g->inputs.v[k].name) ? g->inputs.v[k].name : NULL;
    for (size_t k = 0; name && k < i; k++)
      if (value_of(im->opts->values[k], name))
        dn_error(im->ctx, file_loc(im, "input", name), DN_USAGE,
                 "--value: it is given twice");
    if (name)
      continue;
    dn_error(im->ctx, (struct dn_loc){.where = "--value"}, DN_USAGE,
             "'%s' is not IN=NUMBER with an input of the model",
             fe_text(im->ctx, text));
    for (size_t k = 0; k < g->inputs.n; k++)
      dn_note(im->ctx, "input '%s'", fe_text(im->ctx, g->inputs.v[k].name));
  }
}

/* A parameter of the type of `v`, or of its tensors. */
static struct ir_value *import_tensor(struct onnx_import *im,
                                      const struct onnx_value *v,
                                      const char *name, size_t *position) {
  struct onnx_value one = *v;
  const struct ir_type *given =
      *position < im->opts->ninputs ? im->opts->input_types[*position] : NULL;
  one.name = name;
  const struct ir_type *type = input_type(im, &one, given);
  size_t at = (*position)++;
  if (!type)
    return &im->failed;
  struct ir_value *known = given_value(im, name, type);
  if (known)
    return known;
  struct ir_value *p = ir_param_new(ir_main(im->m)->body, name, type);
  note_value(im, at, p);
  return p;
}

/* A sequence has a parameter for each of its tensors, "x.0" and so on, and an
 * optional one or none. `given`: how many; -1: --dim says so. */
static struct ir_value *import_list(struct onnx_import *im,
                                    const struct onnx_value *v, int64_t given,
                                    size_t *position) {
  enum { MOST = 4096 };
  struct dn_loc loc = file_loc(im, "input", v->name);
  bool optional = !strcmp(v->kind, "optional");
  if (!v->list && given < 0)
    given = 1;
  int64_t n = given;
  if (v->list)
    n = fe_bind_dim(im->ctx, im->opts, &im->symbols, loc, v->name,
                    "the length of the sequence", given,
                    im->opts->free_size ? 1 : 0);
  if (n > MOST)
    dn_error(im->ctx, loc, DN_LIMIT,
             "a sequence of %lld is over the limit of %d", (long long)n, MOST);
  if (n < 0 || n > MOST)
    return &im->failed;
  struct ox_sequence *s = ox_sequence_new(im, (size_t)n, !v->list);
  bool ok = true;
  for (size_t i = 0; i < s->n; i++) {
    const char *name =
        v->list ? dn_printf(im->ctx->arena, "%s.%zu", v->name, i) : v->name;
    s->v[i] = import_tensor(im, v, name, position);
    ok = ok && s->v[i] != &im->failed;
  }
  if (!ok || !v->list || !optional)
    return ok ? &s->as : &im->failed;
  struct ox_sequence *maybe = ox_sequence_new(im, n > 0, true);
  maybe->v[0] = &s->as;
  return &maybe->as;
}

/* A map has two parameters of one size, "x.keys" and "x.values". */
static struct ir_value *import_map(struct onnx_import *im,
                                   const struct onnx_value *v,
                                   size_t *position) {
  struct ox_sequence *s = ox_sequence_new(im, 2, false);
  struct onnx_dim size = {.param = v->name};
  struct onnx_value part = *v;
  part.has_shape = true;
  part.dims.v = &size;
  part.dims.n = 1;
  s->map = true;
  for (size_t i = 0; i < s->n; i++) {
    const char *what = i ? "values" : "keys";
    part.dtype = i ? v->dtype : v->key;
    s->v[i] = import_tensor(
        im, &part, dn_printf(im->ctx->arena, "%s.%s", v->name, what), position);
    if (s->v[i] == &im->failed)
      return &im->failed;
  }
  return &s->as;
}

static void import_inputs(struct onnx_import *im, const struct onnx_graph *g) {
  size_t position = 0, number = 0;
  struct dn_map initialized = {0};
  for (size_t i = 0; i < g->initializers.n; i++)
    dn_map_put(im->ctx->arena, &initialized, g->initializers.v[i].name, im);
  for (size_t i = 0; i < g->sparse.n; i++)
    dn_map_put(im->ctx->arena, &initialized, g->sparse.v[i].values.name, im);
  for (size_t i = 0; i < g->inputs.n; i++) {
    const struct onnx_value *v = &g->inputs.v[i];
    /* Before IR version 4, initializers were listed as inputs too. */
    if (dn_map_get(&initialized, v->name) && !is_state(im, v->name))
      continue;
    int64_t given =
        number < im->opts->ncounts ? im->opts->input_counts[number] : -1;
    bool list = v->dtype && v->kind && strcmp(v->kind, "tensor") != 0;
    number += v->key ? 2 : 1;
    ox_bind(im, file_loc(im, "input", v->name), v->name,
            v->key ? import_map(im, v, &position)
            : list ? import_list(im, v, given, &position)
                   : import_tensor(im, v, v->name, &position));
  }
}

/* What the model says of an output must not contradict what was inferred. */
static void check_output(struct onnx_import *im, const struct onnx_value *o,
                         const struct ir_value *v, struct dn_loc loc) {
  enum ir_dtype dtype;
  if (!o->kind || !onnx_element_find(o->dtype, &dtype))
    return;
  const char *found = ir_type_text(im->ctx, im->ctx->arena, v->type);
  if (dtype != v->type->dtype) {
    dn_error(im->ctx, loc, DN_TYPE, "declared %s, but the nodes make %s",
             ir_dtypes[dtype].text, found);
    return;
  }
  int rank = v->type->rank - (dtype == IR_CHAR);
  bool same = !o->has_shape || (int)o->dims.n == rank;
  for (size_t i = 0; same && i < o->dims.n; i++)
    same = !o->dims.v[i].has_value || o->dims.v[i].value == -1 ||
           o->dims.v[i].value == v->type->dim[i];
  if (!same)
    dn_warning(im->ctx, loc,
               "declared with another shape than %s, which the "
               "nodes make",
               found);
}

struct results {
  DN_LIST(struct ir_value *) value;
  DN_LIST(const char *) name;
};

/* A value, or the tensors of a sequence as "y.0" and so on. */
static bool add_result(struct onnx_import *im, struct ir_value *v,
                       const char *name, struct results *out) {
  const struct ox_sequence *s = ox_sequence_of(im, v);
  if (v == &im->failed)
    return false;
  if (!s) {
    DN_PUSH(im->m->arena, out->value, v);
    DN_PUSH(im->m->arena, out->name, name);
    return true;
  }
  for (size_t i = 0; i < s->n; i++) {
    const char *one =
        s->optional ? name : dn_printf(im->ctx->arena, "%s.%zu", name, i);
    if (!add_result(im, s->v[i], dn_intern(im->ctx, one), out))
      return false;
  }
  return true;
}

/* Appends a result "y.dims" for each output y whose size is known at run time
 * only. Returns the number of that result by output, -1: none; NULL: for no
 * output. */
static const int64_t *add_dims(struct onnx_import *im, struct results *all) {
  size_t n = all->value.n;
  int64_t *at = DN_ARRAY(im->m->arena, int64_t, 2 * n);
  for (size_t i = 0; i < 2 * n; i++)
    at[i] = -1;
  for (size_t i = 0; i < n; i++) {
    struct ir_value *dims = dn_map_get(&im->dims, all->value.v[i]);
    if (!dims)
      continue;
    at[i] = (int64_t)all->value.n;
    const char *name = dn_printf(im->m->arena, "%s.dims", all->name.v[i]);
    DN_PUSH(im->m->arena, all->value, dims);
    DN_PUSH(im->m->arena, all->name, dn_intern(im->ctx, name));
  }
  return all->value.n > n ? at : NULL;
}

static void import_outputs(struct onnx_import *im, const struct onnx_graph *g) {
  struct ir_func *f = ir_main(im->m);
  struct results all = {0};
  bool ok = true;
  for (size_t i = 0; i < g->outputs.n; i++) {
    const struct onnx_value *o = &g->outputs.v[i];
    struct dn_loc loc = file_loc(im, "output", o->name);
    struct ir_value *v = ox_lookup(im, o->name);
    if (!v)
      dn_error(im->ctx, loc, DN_GRAPH, "nothing makes it");
    ok = v && add_result(im, v, o->name, &all) && ok;
    if (ok && !ox_sequence_of(im, v))
      check_output(im, o, v, loc);
  }
  struct dn_loc loc = {.file = im->file->path};
  if (!g->outputs.n)
    dn_error(im->ctx, loc, DN_GRAPH, "the graph has no outputs");
  else if (ok && !all.value.n)
    dn_error(im->ctx, loc, DN_UNSUPPORTED_TYPE,
             "its outputs are empty sequences");
  const int64_t *at = ok ? add_dims(im, &all) : NULL;
  struct ir_attr dims = ir_ints("dims", at, (int64_t)all.value.n);
  f->result_name = all.name.v;
  f->nresults = (unsigned)all.value.n;
  if (ok && all.value.n)
    ir_op_new(&im->b.at, IR_RETURN, all.value.v, all.value.n, &dims, at != NULL,
              NULL, 0, 0);
}

/* ---- The file ---- */

static bool check_opsets(struct onnx_import *im) {
  const struct onnx_model *m = im->model;
  struct dn_loc loc = {.file = im->file->path};
  unsigned errors = dn_errors(im->ctx);
  if (!m->opsets.n && m->ir_version > 2)
    dn_error(im->ctx, loc, DN_OPSET, "the model imports no opset");
  for (size_t i = 0; i < m->opsets.n; i++) {
    const struct onnx_opset *o = &m->opsets.v[i];
    const char *domain = o->domain[0] ? fe_text(im->ctx, o->domain) : "ai.onnx";
    if (o->version < 1 || (!o->domain[0] && o->version > NEWEST_OPSET))
      dn_error(im->ctx, loc, DN_OPSET,
               "opset %lld of '%s' is unknown; the newest is %d",
               (long long)o->version, domain, NEWEST_OPSET);
  }
  return dn_errors(im->ctx) == errors;
}

struct ir_module *fe_onnx_import(struct dn_ctx *ctx, const struct dn_file *f,
                                 const struct fe_opts *opts) {
  struct wire_file file = {ctx, f->path, f->data, f->size, true, true};
  const struct onnx_model *model = onnx_model_read(&file);
  if (!model)
    return NULL;
  struct onnx_import *im = DN_NEW(ctx->arena, struct onnx_import);
  im->ctx = ctx;
  im->file = &file;
  im->model = model;
  im->opts = opts;
  if (!check_opsets(im))
    return NULL;
  if (!model->graph) {
    dn_error(ctx, (struct dn_loc){.file = f->path}, DN_GRAPH,
             "the file holds no graph");
    return NULL;
  }
  struct ox_frame frame = {
      .opsets = model->opsets.v, .nopsets = model->opsets.n, .prefix = ""};
  struct ox_scope scope = {0};
  im->frame = &frame;
  im->scope = &scope;
  im->m = ir_module_new(ctx, f->path);
  im->m->name = model->graph->name;
  im->b.ctx = ctx;
  im->b.choices = opts->choices;
  im->b.at = (struct ir_builder){.m = im->m,
                                 .block = ir_func_new(im->m, "main")->body};
  unsigned errors = dn_errors(ctx);
  ox_index_functions(im);
  if (!ox_count_calls(im)) {
    ir_module_free(im->m);
    return NULL;
  }
  check_values(im, model->graph);
  import_inputs(im, model->graph);
  ox_import_body(im, model->graph);
  import_outputs(im, model->graph);
  if (dn_errors(ctx) != errors || !file.ok) {
    ir_module_free(im->m);
    return NULL;
  }
  ir_sweep_consts(im->m);
  return im->m;
}
