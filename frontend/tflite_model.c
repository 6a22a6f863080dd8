/* tflite_model.c - what a TFLite file holds: operator codes, tensors, buffers,
 * by the tables of the schema (schema.fbs). */
#include "frontend/tflite.h"

#include <math.h>
#include <string.h>

/* Fields of the tables, in the schema's order. */
enum {
  MODEL_CODES = 1,
  CODE_SMALL = 0,
  CODE_CUSTOM,
  CODE_VERSION,
  CODE_BUILTIN,
  GRAPH_TENSORS = 0,
  GRAPH_INPUTS,
  GRAPH_OUTPUTS,
  GRAPH_OPS,
  GRAPH_NAME,
  TENSOR_SHAPE = 0,
  TENSOR_TYPE,
  TENSOR_BUFFER,
  TENSOR_NAME,
  TENSOR_QUANT,
  TENSOR_VARIABLE,
  TENSOR_SPARSITY,
  QUANT_SCALE = 2,
  QUANT_ZERO,
  QUANT_DETAILS,
  QUANT_AXIS = 6,
  BUFFER_DATA = 0,
  BUFFER_OFFSET,
  BUFFER_SIZE
};

/* TensorType; ours where it is one. */
static const struct {
  const char *name;
  enum ir_dtype dtype;
} types[] = {{"FLOAT32", IR_F32},  {"FLOAT16", IR_F16}, {"INT32", IR_I32},
             {"UINT8", IR_U8},     {"INT64", IR_I64},   {"STRING", 0},
             {"BOOL", IR_BOOL},    {"INT16", IR_I16},   {"COMPLEX64", 0},
             {"INT8", IR_I8},      {"FLOAT64", IR_F64}, {"COMPLEX128", 0},
             {"UINT64", IR_U64},   {"RESOURCE", 0},     {"VARIANT", 0},
             {"UINT32", IR_U32},   {"UINT16", IR_U16},  {"INT4", IR_I8},
             {"BFLOAT16", IR_BF16}};

const char *tfl_type_name(int64_t code) {
  return code >= 0 && code < (int64_t)DN_COUNT(types) ? types[code].name
                                                      : "unknown";
}

struct dn_loc tfl_loc(struct tfl_import *im, const char *what,
                      const char *name) {
  return (struct dn_loc){.file = im->file->path,
                         .where =
                             dn_printf(im->ctx->arena, "%s '%s'", what, name)};
}

bool tfl_read_codes(struct tfl_import *im) {
  struct fb_vector v = fb_list(&im->model, MODEL_CODES, 4);
  im->code = DN_ARRAY(im->ctx->arena, struct tfl_code, v.n);
  im->ncodes = v.n;
  for (size_t i = 0; i < v.n && im->file->ok; i++) {
    struct fb_table t = fb_at(&v, i);
    /* Codes up to 127 had a field of their own. */
    int64_t code = dn_max(fb_int(&t, CODE_BUILTIN, 4, true, 0),
                          fb_int(&t, CODE_SMALL, 1, true, 0));
    const char *custom = fb_name(&t, CODE_CUSTOM);
    struct tfl_code *c = &im->code[i];
    c->row = tfl_row_find(code, custom);
    c->name = c->row ? c->row->name
              : *custom
                  ? dn_escaped(im->ctx->arena, custom)
                  : dn_printf(im->ctx->arena, "builtin %lld", (long long)code);
  }
  return im->file->ok;
}

/* Scales are finite and positive, and one for all or one for each element along
 * an axis. */
static void read_quant(struct tfl_import *im, const struct fb_table *table,
                       struct tfl_tensor *t) {
  struct fb_table q = fb_child(table, TENSOR_QUANT);
  t->scales = fb_list(&q, QUANT_SCALE, 4);
  t->zeros = fb_list(&q, QUANT_ZERO, 8);
  t->axis = fb_int(&q, QUANT_AXIS, 4, true, 0);
  t->n = t->scales.n;
  struct dn_loc loc = tfl_loc(im, "tensor", t->name);
  if (!t->n)
    return;
  if (fb_int(&q, QUANT_DETAILS, 1, false, 0)) {
    dn_error(im->ctx, loc, DN_UNSUPPORTED_TYPE, "quantization by blocks");
    t->n = 0;
    return;
  }
  bool ok = t->zeros.n == t->n || !t->zeros.n;
  ok &= t->n == 1 ||
        (t->axis >= 0 && t->axis < t->rank && t->dim[t->axis] == (int64_t)t->n);
  for (size_t i = 0; i < t->n && ok; i++) {
    float s = fb_float_at(&t->scales, i);
    ok = s > 0 && s < HUGE_VALF;
  }
  for (size_t i = 0; i < t->zeros.n && ok && t->known; i++) {
    double least = -2147483648.0, most = 2147483647.0;
    int64_t zero = fb_int_at(&t->zeros, i, 8);
    if (ir_is_int(t->dtype) && ir_dtypes[t->dtype].bits <= 32)
      ir_dtype_range(t->dtype, &least, &most);
    ok = (double)zero >= least && (double)zero <= most;
  }
  if (!ok && t->dtype != IR_I32 && t->dtype != IR_I64) /* those of a bias */
    dn_error(im->ctx, loc, DN_ATTR,
             "its scales or zero points do not fit the tensor");
  if (!ok)
    t->n = 0;
}

static bool read_tensor(struct tfl_import *im, const struct fb_table *table,
                        struct tfl_tensor *t) {
  struct fb_vector shape = fb_list(table, TENSOR_SHAPE, 4);
  t->at = table->at;
  t->name = fb_name(table, TENSOR_NAME);
  t->code = fb_int(table, TENSOR_TYPE, 1, true, 0);
  t->buffer = (size_t)fb_int(table, TENSOR_BUFFER, 4, false, 0);
  t->variable = fb_int(table, TENSOR_VARIABLE, 1, false, 0) != 0;
  t->int4 = t->code >= 0 && !strcmp(tfl_type_name(t->code), "INT4");
  t->known = t->code >= 0 && t->code < (int64_t)DN_COUNT(types) &&
             (types[t->code].dtype || !t->code);
  t->dtype = t->known ? types[t->code].dtype : IR_U8;
  struct dn_loc loc = tfl_loc(im, "tensor", t->name);
  if (shape.n > IR_MAX_RANK)
    return dn_error(im->ctx, loc, DN_LIMIT, "rank %zu is over the limit of %d",
                    shape.n, IR_MAX_RANK);
  t->rank = (int64_t)shape.n;
  for (size_t i = 0; i < shape.n; i++)
    t->dim[i] = fb_int_at(&shape, i, 4);
  struct fb_table sparsity = fb_child(table, TENSOR_SPARSITY);
  if (sparsity.at)
    return dn_error(im->ctx, loc, DN_UNSUPPORTED_TYPE, "it is sparse");
  read_quant(im, table, t);
  return im->file->ok;
}

struct tfl_graph *tfl_read_graph(struct tfl_import *im, size_t number) {
  struct dn_loc loc = {.file = im->file->path};
  if (number >= im->graphs.n) {
    dn_error(im->ctx, loc, DN_GRAPH, "the file has no subgraph %zu", number);
    return NULL;
  }
  struct fb_table table = fb_at(&im->graphs, number);
  struct fb_vector tensors = fb_list(&table, GRAPH_TENSORS, 4);
  struct tfl_graph *g = DN_NEW(im->ctx->arena, struct tfl_graph);
  g->name = fb_name(&table, GRAPH_NAME);
  g->inputs = fb_list(&table, GRAPH_INPUTS, 4);
  g->outputs = fb_list(&table, GRAPH_OUTPUTS, 4);
  g->ops = fb_list(&table, GRAPH_OPS, 4);
  if ((int64_t)tensors.n > 4 * im->ctx->limits.nodes) {
    dn_error(im->ctx, loc, DN_LIMIT, "%zu tensors", tensors.n);
    return NULL;
  }
  g->ntensors = tensors.n;
  g->tensor = DN_ARRAY(im->ctx->arena, struct tfl_tensor, tensors.n);
  unsigned errors = dn_errors(im->ctx);
  for (size_t i = 0; i < tensors.n && im->file->ok; i++) {
    struct fb_table t = fb_at(&tensors, i);
    read_tensor(im, &t, &g->tensor[i]);
  }
  return dn_errors(im->ctx) == errors ? g : NULL;
}

struct fb_vector tfl_data(struct tfl_import *im, const struct tfl_tensor *t) {
  struct fb_vector none = {.file = im->file};
  if (!t->buffer || t->buffer >= im->buffers.n)
    return none;
  struct fb_table b = fb_at(&im->buffers, t->buffer);
  /* Of large files, data lie behind all tables. */
  uint64_t at = (uint64_t)fb_int(&b, BUFFER_OFFSET, 8, false, 0);
  uint64_t size = (uint64_t)fb_int(&b, BUFFER_SIZE, 8, false, 0);
  if (at <= 1)
    return fb_list(&b, BUFFER_DATA, 1);
  if (at <= im->file->size && size <= im->file->size - at)
    return (struct fb_vector){im->file, (size_t)at, (size_t)size};
  fb_error(im->file, b.at, DN_WIRE, "a buffer lies outside of the file");
  return none;
}
