/* safetensors.c - a length, a JSON header, data (huggingface/safetensors,
 * README "Format"). The header is at most 100 MB, as the format's own reader
 * has it. */
#include "frontend/fe.h"
#include "frontend/json_read.h"
#include "ir/eval.h"

#include <string.h>

static bool fail(struct dn_ctx *ctx, const struct dn_file *f, const char *name,
                 const char *what) {
  return dn_error(ctx, (struct dn_loc){.file = f->path, .where = name}, DN_NPY,
                  "%s", what);
}

static bool find_dtype(const char *text, enum ir_dtype *out) {
  static const struct {
    const char *text;
    enum ir_dtype dtype;
  } names[] = {{"F32", IR_F32},   {"F64", IR_F64}, {"F16", IR_F16},
               {"BF16", IR_BF16}, {"I8", IR_I8},   {"I16", IR_I16},
               {"I32", IR_I32},   {"I64", IR_I64}, {"U8", IR_U8},
               {"U16", IR_U16},   {"U32", IR_U32}, {"U64", IR_U64},
               {"BOOL", IR_BOOL}};
  int row = DN_FIND(names, text);
  if (row >= 0)
    *out = names[row].dtype;
  return row >= 0;
}

static bool read_entry(struct dn_ctx *ctx, const struct dn_file *f,
                       const char *name, const cJSON *entry, size_t data,
                       struct ir_tensor *out) {
  const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(entry, "dtype");
  const cJSON *shape = cJSON_GetObjectItemCaseSensitive(entry, "shape");
  const cJSON *span = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets");
  enum ir_dtype t;
  if (!cJSON_IsString(dtype) || !find_dtype(dtype->valuestring, &t))
    return fail(ctx, f, name, "an element type that dnnc does not have");
  int64_t dims[IR_MAX_RANK], rank = 0, from, to;
  if (!cJSON_IsArray(shape))
    return fail(ctx, f, name, "no 'shape'");
  for (const cJSON *d = shape->child; d; d = d->next)
    if (rank == IR_MAX_RANK || !fe_json_size(d, &dims[rank++]))
      return fail(ctx, f, name, "a malformed 'shape'");
  if (!cJSON_IsArray(span) || cJSON_GetArraySize(span) != 2 ||
      !fe_json_size(span->child, &from) ||
      !fe_json_size(span->child->next, &to) || to < from ||
      to > (int64_t)(f->size - data))
    return fail(ctx, f, name, "'data_offsets' leave the file");
  out->type = ir_type_checked(ctx, name, t, rank, dims);
  if (!out->type)
    return false;
  if (to - from != ir_type_bytes(out->type))
    return fail(ctx, f, name, "more or fewer bytes than the shape needs");
  out->data = (void *)(uintptr_t)(f->data + data + (size_t)from);
  return true;
}

bool fe_safetensors_read(struct dn_ctx *ctx, const struct dn_file *f,
                         const char *name, struct ir_tensor *out) {
  uint64_t n;
  if (f->size < sizeof n)
    return fail(ctx, f, NULL, "not a .safetensors file");
  memcpy(&n, f->data, sizeof n);
  if (n > 100000000 || n > f->size - sizeof n)
    return fail(ctx, f, NULL, "the header is cut short or over 100 MB");
  cJSON *root =
      fe_json_read(ctx, f->path, (const char *)f->data + sizeof n, (size_t)n);
  if (!root)
    return false;
  const cJSON *entry = cJSON_GetObjectItemCaseSensitive(root, name);
  bool ok = cJSON_IsObject(entry)
                ? read_entry(ctx, f, name, entry, sizeof n + (size_t)n, out)
                : fail(ctx, f, name, "the file has no such tensor");
  cJSON_Delete(root);
  return ok;
}
