/* tensor_file.c - tensors in files of their own, as test data and as inputs of
 * dnnc-run: ONNX TensorProto (.pb) and NumPy's .npy; and files of several:
 * SequenceProto and OptionalProto. */
#include "frontend/fe.h"
#include "frontend/onnx_model.h"
#include "ir/eval.h"

static bool take(struct wire_file *file, const struct onnx_tensor *t,
                 struct fe_tensors *out) {
  struct ir_data data;
  struct ir_tensor one;
  if (!onnx_tensor_data(file, t, (struct dn_loc){.file = file->path}, &one.type,
                        &data))
    return false;
  /* Borrowed; callers only read. */
  one.data = (void *)(uintptr_t)data.bytes;
  DN_PUSH(file->ctx->arena, out->list, one);
  return true;
}

static bool read_pb(struct dn_ctx *ctx, const struct dn_file *f,
                    struct fe_tensors *out) {
  struct wire_file file = {ctx, f->path, f->data, f->size, true, false};
  struct wire_span all = {f->data, f->size};
  struct onnx_tensor t;
  struct onnx_list list;
  if (!onnx_is_list(wire_open(&file, all, 0)))
    return file.ok && onnx_tensor_read(wire_open(&file, all, 0), &t) &&
           take(&file, &t, out);
  if (!onnx_list_read(wire_open(&file, all, 0), &list))
    return false;
  for (size_t i = 0; i < list.tensors.n; i++)
    if (!take(&file, &list.tensors.v[i], out))
      return false;
  return true;
}

bool fe_read_tensors(struct dn_ctx *ctx, const char *path,
                     struct fe_tensors *out) {
  struct dn_file f;
  struct ir_tensor one;
  if (!dn_file_map(ctx, path, &f))
    return false;
  if (!fe_is_npy(&f) && read_pb(ctx, &f, out))
    return true;
  if (fe_is_npy(&f) && fe_npy_read(ctx, &f, &one)) {
    DN_PUSH(ctx->arena, out->list, one);
    return true;
  }
  dn_note(ctx, "a tensor is .npy or an ONNX TensorProto (.pb)");
  return false;
}

bool fe_read_tensor(struct dn_ctx *ctx, const char *path,
                    struct ir_tensor *out) {
  struct fe_tensors all = {0};
  if (!fe_read_tensors(ctx, path, &all))
    return false;
  if (all.list.n != 1)
    return dn_error(ctx, (struct dn_loc){.file = path}, DN_TENSOR_DATA,
                    "%zu tensors, not one", all.list.n);
  *out = all.list.v[0];
  return true;
}
