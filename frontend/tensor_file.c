/* tensor_file.c - tensors in files of their own, as test data and as inputs of
 * dnnc-run: ONNX TensorProto (.pb) and NumPy's .npy. */
#include "frontend/fe.h"
#include "frontend/onnx_model.h"
#include "ir/eval.h"

static bool read_pb(struct dn_ctx *ctx, const struct dn_file *f,
                    struct ir_tensor *out) {
  struct wire_file file = {ctx, f->path, f->data, f->size, true, false};
  struct wire_span all = {f->data, f->size};
  struct onnx_tensor t;
  struct ir_data data;
  if (!onnx_tensor_read(wire_open(&file, all, 0), &t) ||
      !onnx_tensor_data(&file, &t, (struct dn_loc){.file = f->path}, &out->type,
                        &data))
    return false;
  /* Borrowed; callers only read. */
  out->data = (void *)(uintptr_t)data.bytes;
  return true;
}

bool fe_read_tensor(struct dn_ctx *ctx, const char *path,
                    struct ir_tensor *out) {
  struct dn_file f;
  if (!dn_file_map(ctx, path, &f))
    return false;
  if (fe_is_npy(&f) ? fe_npy_read(ctx, &f, out) : read_pb(ctx, &f, out))
    return true;
  dn_note(ctx, "a tensor is .npy or an ONNX TensorProto (.pb)");
  return false;
}
