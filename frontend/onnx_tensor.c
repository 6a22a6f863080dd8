/* onnx_tensor.c - TensorProto to constant data. Elements lie in raw_data
 * (little endian), in the typed field that the schema gives their type, or in a
 * file beside the model. What is there must be exactly what the shape needs. */
#include "frontend/onnx_model.h"

#include <assert.h>
#include <string.h>

#include "frontend/fe.h"

/* Names of TensorProto.DataType, for messages. */
static const char *const dtype_names[] = {
    "undefined",      "float32",  "uint8",      "int8",           "uint16",
    "int16",          "int32",    "int64",      "string",         "bool",
    "float16",        "float64",  "uint32",     "uint64",         "complex64",
    "complex128",     "bfloat16", "float8e4m3", "float8e4m3fnuz", "float8e5m2",
    "float8e5m2fnuz", "uint4",    "int4",       "float4e2m1",     "float8e8m0",
    "uint2",          "int2"};

const char *onnx_dtype_name(int64_t dtype) {
  int64_t n = (int64_t)(DN_COUNT(dtype_names));
  return dtype >= 0 && dtype < n ? dtype_names[dtype] : "unknown";
}

bool onnx_element_find(int64_t dtype, enum ir_dtype *out) {
  for (int t = 0; t < IR_NUM_DTYPES; t++) {
    if (ir_dtypes[t].onnx == dtype) {
      *out = (enum ir_dtype)t;
      return true;
    }
  }
  return false;
}

bool onnx_dtype_find(int64_t dtype, enum ir_dtype *out) {
  return onnx_element_find(dtype, out) && *out != IR_CHAR;
}

/* How the typed fields store the elements of a type. */
struct store {
  unsigned field;
  enum wire_type wire;
  int64_t lo, hi; /* range of an integer */
};

static const struct store stores[IR_NUM_DTYPES] = {
    [IR_F32] = {4, WIRE_I32, 0, 0},
    [IR_F64] = {10, WIRE_I64, 0, 0},
    [IR_F16] = {5, WIRE_VARINT, 0, UINT16_MAX},
    [IR_BF16] = {5, WIRE_VARINT, 0, UINT16_MAX},
    [IR_U16] = {5, WIRE_VARINT, 0, UINT16_MAX},
    [IR_I8] = {5, WIRE_VARINT, INT8_MIN, INT8_MAX},
    [IR_I16] = {5, WIRE_VARINT, INT16_MIN, INT16_MAX},
    [IR_I32] = {5, WIRE_VARINT, INT32_MIN, INT32_MAX},
    [IR_U8] = {5, WIRE_VARINT, 0, UINT8_MAX},
    [IR_BOOL] = {5, WIRE_VARINT, 0, 1},
    [IR_U32] = {11, WIRE_VARINT, 0, UINT32_MAX},
    [IR_I64] = {7, WIRE_VARINT, INT64_MIN, INT64_MAX},
    [IR_U64] = {11, WIRE_VARINT, INT64_MIN, INT64_MAX},
    [IR_CHAR] = {6, WIRE_LEN, 0, 0},
    [IR_F8E4M3FN] = {5, WIRE_VARINT, 0, UINT8_MAX},
    [IR_F8E4M3FNUZ] = {5, WIRE_VARINT, 0, UINT8_MAX},
    [IR_F8E5M2] = {5, WIRE_VARINT, 0, UINT8_MAX},
    [IR_F8E5M2FNUZ] = {5, WIRE_VARINT, 0, UINT8_MAX},
    [IR_F8E8M0] = {5, WIRE_VARINT, 0, UINT8_MAX},
    /* Several in a byte, the first in its low bits: */
    [IR_F4E2M1] = {5, WIRE_VARINT, 0, UINT8_MAX},
    [IR_I4] = {5, WIRE_VARINT, 0, UINT8_MAX},
    [IR_U4] = {5, WIRE_VARINT, 0, UINT8_MAX},
    [IR_I2] = {5, WIRE_VARINT, 0, UINT8_MAX},
    [IR_U2] = {5, WIRE_VARINT, 0, UINT8_MAX}};

/* Elements that share a byte of the file; bytes of all. */
static int64_t in_byte(enum ir_dtype t) {
  return ir_dtypes[t].bits < 8 ? 8 / (int64_t)ir_dtypes[t].bits : 1;
}

static int64_t stored_bytes(const struct ir_type *type) {
  return dn_div_ceil(ir_type_bytes(type), in_byte(type->dtype));
}

static bool misfit(struct wire_file *file, struct dn_loc loc, int64_t have,
                   const char *unit, const struct ir_type *type) {
  return dn_error(
      file->ctx, loc, DN_TENSOR_DATA,
      "%lld %s of data do not fill %s, which needs %lld", (long long)have, unit,
      ir_type_text(file->ctx, file->ctx->arena, type),
      (long long)(*unit == 'b' ? stored_bytes(type)
                               : dn_div_ceil(ir_type_count(type),
                                             in_byte(type->dtype))));
}

/* Bytes of several elements as elements of a byte each. */
static bool unpack(struct wire_file *file, const struct ir_type *type,
                   struct wire_span from, struct ir_data *data) {
  int64_t n = ir_type_count(type), each = in_byte(type->dtype);
  unsigned bits = ir_dtypes[type->dtype].bits;
  uint8_t *to = DN_ARRAY(file->ctx->arena, uint8_t, (size_t)n + 1);
  assert((int64_t)from.size == stored_bytes(type) && "misfit()");
  for (int64_t i = 0; i < n; i++) {
    unsigned byte = from.data[i / each];
    unsigned v = byte >> (i % each) * bits & ((1u << bits) - 1);
    if (ir_is_int(type->dtype))
      ir_store_int(type->dtype, to + i, v);
    else
      to[i] = (uint8_t)v;
  }
  *data = (struct ir_data){.bytes = to, .size = n};
  return true;
}

/* Little-endian bytes as constant data: borrowed when they can be. */
static bool from_bytes(struct wire_file *file, const struct ir_type *type,
                       struct wire_span bytes, struct ir_data *data) {
  size_t width = ir_dtypes[type->dtype].bytes;
  if (in_byte(type->dtype) > 1)
    return unpack(file, type, bytes, data);
  *data = (struct ir_data){.bytes = bytes.data, .size = (int64_t)bytes.size};
  bool plain = (uintptr_t)bytes.data % width == 0;
  if (type->dtype == IR_BOOL)
    for (size_t i = 0; i < bytes.size && plain; i++)
      plain = bytes.data[i] <= 1;
  if (plain || !bytes.size)
    return true;
  uint8_t *copy = dn_copy(file->ctx->arena, bytes.data, bytes.size);
  data->bytes = copy;
  if (bytes.size > (1 << 20))
    dn_files_idle(file->ctx); /* or both would be in memory */
  if (type->dtype == IR_BOOL)
    for (size_t i = 0; i < bytes.size; i++)
      copy[i] = copy[i] != 0;
  return true;
}

/* One packed float or double run is as good as raw bytes. */
static bool single_run(struct wire_file *file, const struct onnx_tensor *t,
                       unsigned field, struct wire_span *run) {
  struct wire w = wire_open(file, t->message, 0);
  size_t n = 0;
  for (struct wire_field f; wire_next(&w, &f);) {
    if (f.number != field)
      continue;
    if (f.type != WIRE_LEN || n++)
      return false;
    *run = f.span;
  }
  return n == 1;
}

static bool from_typed(struct wire_file *file, const struct onnx_tensor *t,
                       struct dn_loc loc, const struct ir_type *type,
                       struct ir_data *data) {
  struct store s = stores[type->dtype];
  int64_t n = 0, count = dn_div_ceil(ir_type_count(type), in_byte(type->dtype));
  size_t width = ir_dtypes[type->dtype].bytes;
  struct wire_span run;
  if (s.wire != WIRE_VARINT && single_run(file, t, s.field, &run)) {
    if ((int64_t)run.size != ir_type_bytes(type))
      return misfit(file, loc, (int64_t)run.size, "bytes", type);
    return from_bytes(file, type, run, data);
  }
  if (count > (int64_t)t->message.size) /* an element takes a byte at least */
    return misfit(file, loc, (int64_t)t->message.size, "bytes", type);
  uint8_t *out = DN_ARRAY(file->ctx->arena, uint8_t, (size_t)count * width);
  struct wire w = wire_open(file, t->message, 0);
  for (struct wire_field f; wire_next(&w, &f);) {
    if (f.number != s.field)
      continue;
    struct wire_packed cursor = {0};
    for (uint64_t v; wire_repeated(&w, &f, s.wire, &cursor, &v); n++) {
      if (n >= count)
        continue;
      int64_t i = (int64_t)v;
      if (s.wire == WIRE_VARINT && (i < s.lo || i > s.hi))
        return dn_error(file->ctx, loc, DN_TENSOR_DATA,
                        "element %lld is %lld, which is no %s", (long long)n,
                        (long long)i, ir_dtypes[type->dtype].text);
      memcpy(out + (size_t)n * width, &v, width); /* hosts are little-endian */
    }
  }
  if (!file->ok)
    return false;
  if (n != count)
    return misfit(file, loc, n, "elements", type);
  *data = (struct ir_data){.bytes = out, .size = count * (int64_t)width};
  struct wire_span all = {out, (size_t)count};
  return in_byte(type->dtype) == 1 || unpack(file, type, all, data);
}

/* ---- Strings ---- */

/* One long string makes all long: a small file may not take all memory. */
enum { MAX_STRINGS = 1 << 28 };

static bool is_text(struct wire_span s) {
  for (size_t i = 0; i < s.size;) {
    size_t n = dn_utf8_length((const char *)s.data + i, s.size - i);
    if (!n || !s.data[i])
      return false;
    i += n;
  }
  return true;
}

bool onnx_strings(struct dn_ctx *ctx, struct dn_loc loc,
                  const struct wire_span *spans, int64_t rank,
                  const int64_t *dims, const struct ir_type **type,
                  struct ir_data *data) {
  int64_t all[IR_MAX_RANK], n = 1, width = 1;
  if (rank >= IR_MAX_RANK)
    return dn_error(ctx, loc, DN_LIMIT, "strings of rank %lld, over %d",
                    (long long)rank, IR_MAX_RANK - 1);
  for (int64_t i = 0; i < rank; i++)
    n *= all[i] = dims[i];
  for (int64_t i = 0; i < n; i++) {
    if (!is_text(spans[i]))
      return dn_error(ctx, loc, DN_TENSOR_DATA,
                      "string %lld is no UTF-8, or holds a NUL", (long long)i);
    width = dn_max(width, (int64_t)spans[i].size);
  }
  all[rank] = width;
  *type = ir_type_checked(ctx, loc.where, IR_CHAR, rank + 1, all);
  if (!*type)
    return false;
  int64_t size = ir_type_bytes(*type);
  if (size > MAX_STRINGS)
    return dn_error(ctx, loc, DN_LIMIT, "%s: strings are over %d bytes",
                    ir_type_text(ctx, NULL, *type), MAX_STRINGS);
  char *to = dn_alloc(ctx->arena, (size_t)size + 1); /* zeros */
  for (int64_t i = 0; i < n; i++)
    if (spans[i].size)
      memcpy(to + i * width, spans[i].data, spans[i].size);
  *data = (struct ir_data){.bytes = to, .size = size};
  return true;
}

/* string_data: as many as the dims say. */
static bool from_string_data(struct wire_file *file,
                             const struct onnx_tensor *t, struct dn_loc loc,
                             const struct ir_type **type,
                             struct ir_data *data) {
  int64_t count = ir_type_count(*type);
  DN_LIST(struct wire_span) list = {0};
  struct wire w = wire_open(file, t->message, 0);
  for (struct wire_field f; wire_next(&w, &f);)
    if (f.number == stores[IR_CHAR].field && f.type == WIRE_LEN)
      DN_PUSH(file->ctx->arena, list, f.span);
  if (!file->ok)
    return false;
  if ((int64_t)list.n != count)
    return dn_error(file->ctx, loc, DN_TENSOR_DATA,
                    "%zu strings, the shape needs %lld", list.n,
                    (long long)count);
  return onnx_strings(file->ctx, loc, list.v, (int64_t)t->dims.n, t->dims.v,
                      type, data);
}

/* ---- External data ---- */

static bool external_error(struct dn_ctx *ctx, struct dn_loc loc,
                           const char *what) {
  return dn_error(ctx, loc, DN_EXTERNAL, "external data: %s", what);
}

/* Digits only, as the ONNX schema writes offsets and lengths. */
static bool parse_count(struct wire_span s, int64_t *out) {
  int64_t v = 0;
  for (size_t i = 0; i < s.size; i++) {
    if (s.data[i] < '0' || s.data[i] > '9' || !dn_mul(v, 10, &v) ||
        !dn_add(v, s.data[i] - '0', &v))
      return false;
  }
  *out = v;
  return s.size > 0;
}

struct place {
  const char *path;
  int64_t offset, length; /* length -1: not given */
};

static bool read_place(struct dn_ctx *ctx, struct dn_loc loc,
                       const struct onnx_tensor *t, struct place *out) {
  *out = (struct place){.path = "", .length = -1};
  for (size_t i = 0; i < t->entries.n; i++) {
    const struct onnx_entry *e = &t->entries.v[i];
    if (!strcmp(e->key, "location")) {
      if (e->value.size && memchr(e->value.data, 0, e->value.size))
        return external_error(ctx, loc, "the location holds a NUL");
      out->path =
          dn_strndup(ctx->arena, (const char *)e->value.data, e->value.size);
    } else if (!strcmp(e->key, "offset")) {
      if (!parse_count(e->value, &out->offset))
        return external_error(ctx, loc, "bad offset");
    } else if (!strcmp(e->key, "length")) {
      if (!parse_count(e->value, &out->length))
        return external_error(ctx, loc, "bad length");
    } else if (strcmp(e->key, "checksum") != 0) {
      return external_error(ctx, loc, "unknown key");
    }
  }
  return true;
}

static bool from_external(struct wire_file *file, const struct onnx_tensor *t,
                          struct dn_loc loc, const struct ir_type *type,
                          struct ir_data *data) {
  struct dn_ctx *ctx = file->ctx;
  struct place at;
  struct dn_file f;
  if (!file->externals)
    return external_error(ctx, loc, "not allowed here");
  if (!read_place(ctx, loc, t, &at) ||
      !fe_sandbox_map(ctx, loc, file->path, at.path, &f))
    return false;
  int64_t want = stored_bytes(type), size = (int64_t)f.size;
  if (at.length >= 0 && at.length != want)
    return misfit(file, loc, at.length, "bytes", type);
  if (at.offset > size || want > size - at.offset)
    return external_error(ctx, loc, "offset and length lie outside the file");
  struct wire_span bytes = {f.data + at.offset, (size_t)want};
  from_bytes(file, type, bytes, data);
  if (in_byte(type->dtype) == 1)
    data->file = f.path;
  data->offset = at.offset;
  return true;
}

static bool check_fields(struct wire_file *file, const struct onnx_tensor *t,
                         struct dn_loc loc, enum ir_dtype dtype) {
  unsigned field = stores[dtype].field;
  int kinds = (t->has_raw && t->raw.size > 0) + (t->typed != 0) + t->external;
  if (t->segment)
    return dn_error(file->ctx, loc, DN_UNSUPPORTED_TYPE,
                    "a segment of a tensor");
  if (kinds > 1)
    return dn_error(file->ctx, loc, DN_TENSOR_DATA,
                    "data are stored in more than one place");
  if (t->typed && t->typed != 1u << field)
    return dn_error(file->ctx, loc, DN_TENSOR_DATA,
                    "data of type %s are stored in a field of another type",
                    onnx_dtype_name(t->dtype));
  return true;
}

bool onnx_tensor_data(struct wire_file *file, const struct onnx_tensor *t,
                      struct dn_loc loc, const struct ir_type **type,
                      struct ir_data *data) {
  struct dn_ctx *ctx = file->ctx;
  enum ir_dtype dtype;
  if (!loc.where)
    loc.where = dn_printf(ctx->arena, "tensor '%s'", t->name);
  if (!onnx_element_find(t->dtype, &dtype))
    return dn_error(ctx, loc,
                    t->dtype > 0 ? DN_UNSUPPORTED_TYPE : DN_TENSOR_DATA,
                    "element type %s (%lld)", onnx_dtype_name(t->dtype),
                    (long long)t->dtype);
  for (size_t i = 0; i < t->dims.n; i++) {
    if (t->dims.v[i] < 0)
      return dn_error(ctx, loc, DN_SHAPE, "dimension %zu is %lld", i,
                      (long long)t->dims.v[i]);
  }
  *type = ir_type_checked(ctx, loc.where, dtype, (int64_t)t->dims.n, t->dims.v);
  if (!*type || !check_fields(file, t, loc, dtype))
    return false;
  if (dtype == IR_CHAR && t->external)
    return external_error(ctx, loc, "strings do not lie there");
  if (dtype == IR_CHAR)
    return from_string_data(file, t, loc, type, data);
  int64_t bytes = stored_bytes(*type);
  if (t->external)
    return from_external(file, t, loc, *type, data);
  if (t->typed)
    return from_typed(file, t, loc, *type, data);
  if ((int64_t)t->raw.size != bytes)
    return misfit(file, loc, (int64_t)t->raw.size, "bytes", *type);
  if (!t->raw.size) {
    *data = (struct ir_data){.bytes = dn_alloc(ctx->arena, 1), .size = 0};
    return true;
  }
  from_bytes(file, *type, t->raw, data);
  if (in_byte((*type)->dtype) == 1)
    data->file = file->path;
  data->offset = t->raw.data - file->base;
  return true;
}

/* ---- Sparse tensors ---- */

/* The place of value k in the dense tensor; -1: outside of it. */
static int64_t sparse_place(const struct ir_type *type, const int64_t *idx,
                            bool linear, int64_t k) {
  int64_t strides[IR_MAX_RANK], at = 0;
  if (linear)
    return idx[k] < ir_type_count(type) ? idx[k] : -1;
  ir_type_strides(type, strides);
  for (int d = 0; d < type->rank; d++) {
    int64_t i = idx[k * type->rank + d];
    if (i < 0 || i >= type->dim[d])
      return -1;
    at += i * strides[d];
  }
  return at;
}

static bool sparse_error(struct wire_file *file, struct dn_loc loc,
                         const char *what) {
  return dn_error(file->ctx, loc, DN_TENSOR_DATA, "sparse tensor: %s", what);
}

/* Indices are [n], into the flat tensor, or [n, rank]. */
static bool sparse_indices(struct wire_file *file, const struct onnx_sparse *s,
                           struct dn_loc loc, int64_t n, bool *linear,
                           const int64_t **out) {
  const struct ir_type *type;
  struct ir_data data;
  loc.where = "indices";
  *linear = s->indices.dims.n == 1;
  if (!onnx_tensor_data(file, &s->indices, loc, &type, &data))
    return false;
  if (type->dtype != IR_I64 || type->rank < 1 || type->dim[0] != n ||
      (!*linear && (type->rank != 2 || type->dim[1] != (int64_t)s->dims.n)))
    return sparse_error(file, loc, "an index for each value is needed");
  *out = data.bytes;
  return true;
}

bool onnx_sparse_data(struct wire_file *file, const struct onnx_sparse *s,
                      struct dn_loc loc, const struct ir_type **type,
                      struct ir_data *data) {
  struct dn_ctx *ctx = file->ctx;
  const struct ir_type *list;
  struct ir_data values;
  const int64_t *idx = NULL;
  bool linear;
  if (!onnx_tensor_data(file, &s->values, loc, &list, &values))
    return false;
  for (size_t i = 0; i < s->dims.n; i++)
    if (s->dims.v[i] < 0)
      return sparse_error(file, loc, "a dimension is negative");
  *type = ir_type_checked(ctx, loc.where, list->dtype, (int64_t)s->dims.n,
                          s->dims.v);
  if (!*type)
    return false;
  if (list->rank != 1 || list->dtype == IR_CHAR)
    return sparse_error(file, loc, "its values are not a list of numbers");
  int64_t n = list->dim[0], last = -1;
  size_t width = ir_dtypes[list->dtype].bytes;
  *data = (struct ir_data){0};
  if (!n) /* all zeros: nothing is stored */
    return true;
  data->size = ir_type_bytes(*type);
  if (data->size > ctx->limits.file)
    return dn_error(ctx, loc, DN_LIMIT, "%s is over %lld bytes (--limit-file)",
                    ir_type_text(ctx, NULL, *type),
                    (long long)ctx->limits.file);
  if (!sparse_indices(file, s, loc, n, &linear, &idx))
    return false;
  uint8_t *dense = dn_alloc(ctx->arena, (size_t)data->size + 1);
  for (int64_t k = 0; k < n; k++) {
    int64_t at = sparse_place(*type, idx, linear, k);
    if (at < 0)
      return sparse_error(file, loc, "an index is outside of the shape");
    if (at <= last)
      return sparse_error(file, loc, "its indices do not ascend");
    last = at;
    memcpy(dense + (size_t)at * width,
           (const uint8_t *)values.bytes + (size_t)k * width, width);
  }
  data->bytes = dense;
  return true;
}
