/* bytes_fuzz.c - what libFuzzer calls: bytes of one format, by KIND, through its
 * reader, the verifier and the passes of -O2. See utils/fuzz/bytes. */
#include "frontend/fe.h"
#include "ir/eval.h"
#include "passes/pass.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ir_module *read_npy(struct dn_ctx *ctx, const struct dn_file *f) {
  struct ir_tensor t;
  if (fe_is_npy(f))
    fe_npy_read(ctx, f, &t);
  return NULL;
}

static struct ir_module *read_safetensors(struct dn_ctx *ctx,
                                          const struct dn_file *f) {
  struct ir_tensor t;
  fe_safetensors_read(ctx, f, "w", &t);
  return NULL;
}

#define FORMAT(NAME, text)                                                     \
  static struct ir_module *read_##NAME(struct dn_ctx *ctx,                     \
                                       const struct dn_file *f) {              \
    static const struct fe_opts none = {0};                                    \
    return fe_##NAME##_sniff(f) ? fe_##NAME##_import(ctx, f, &none) : NULL;    \
  }
#include "frontend/formats.def"
#undef FORMAT

static struct ir_module *(*const readers[])(struct dn_ctx *,
                                            const struct dn_file *) = {
    read_onnx, read_json, read_dnn, read_npy, read_safetensors, read_tflite};

static void compile(struct dn_ctx *ctx, struct ir_module *m) {
  struct pass_opts opts = {.pipeline = "O2",
                           .bisect_limit = -1,
                           .opt_level = 2,
                           .threads = 1,
                           .target = &ir_facts_preset,
                           .log = stderr};
  if (ir_verify(m) && m->form == IR_GRAPH)
    pass_pipeline(ctx, m, &opts);
  ir_module_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct dn_ctx *ctx = dn_ctx_new(NULL);
  jmp_buf fatal;
  ctx->fatal = &fatal;
  ctx->limits.memory = 1 << 28;
  ctx->limits.tensor = 1 << 18;
  ctx->limits.nodes = 1000;
  ctx->limits.random = ctx->limits.fold = 1 << 18;
  if (!setjmp(fatal)) {
    struct dn_file f = {"fuzz", data, size};
    struct ir_module *m = size ? readers[KIND](ctx, &f) : NULL;
    if (m)
      compile(ctx, m);
  }
  if (dn_exit_code(ctx) == DN_EXIT_INTERNAL &&
      ctx->allocated < ctx->limits.memory / 2)
    __builtin_trap(); /* a fault, not a lack of memory */
  dn_ctx_free(ctx);
  return 0;
}
