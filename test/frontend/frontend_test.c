/* frontend_test.c - the frontend without the rest, for its tests.
 *
 *   frontend_test print FILE [NAME=VALUE]..  the module, or diagnostics
 *   frontend_test check FILE..               `FILE: exit N` and what was said
 *   frontend_test compile FILE..             the same, after the passes of -O2
 *   frontend_test tensors FILE..             the same for tensors
 *   frontend_test sweep FILE..               imports every prefix of each file,
 *                                            and each with one byte changed
 *   frontend_test tensor FILE [OUT.npy]      type and first elements */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/fe.h"
#include "ir/eval.h"
#include "passes/pass.h"

/* A module that is no graph has come further already. */
static bool run_passes(struct dn_ctx *ctx, struct ir_module *m) {
  struct pass_opts opts = {.pipeline = "O2",
                           .bisect_limit = -1,
                           .opt_level = 2,
                           .threads = 1,
                           .target = &ir_facts_preset,
                           .log = stderr};
  ctx->limits.fold = 1 << 24;
  return m->form != IR_GRAPH || pass_pipeline(ctx, m, &opts);
}

/* Imports one file; the exit code that dnnc would give. */
static int import_file(const char *path, const struct fe_opts *opts, FILE *err,
                       bool print, bool compile) {
  struct dn_ctx *ctx = dn_ctx_new(err);
  jmp_buf fatal;
  ctx->fatal = &fatal;
  if (setjmp(fatal) == 0) {
    struct ir_module *m = fe_import(ctx, path, opts);
    if (m && print) {
      struct dn_buf out;
      struct ir_print_opts how = {.locs = true, .const_limit = 256};
      out = dn_buf_new(ctx->arena);
      ir_print(&out, m, &how);
      fwrite(out.text, 1, out.len, stdout);
    }
    if ((!m || (compile && !run_passes(ctx, m))) && !dn_errors(ctx))
      fprintf(stderr, "%s: refused without a diagnostic\n", path);
    if (!compile && (m != NULL) != !dn_errors(ctx))
      exit(70);
  }
  int code = (int)dn_exit_code(ctx);
  dn_ctx_free(ctx);
  return code;
}

static int print_model(int argc, char **argv) {
  struct fe_dim dims[16];
  struct fe_opts opts = {.dims = dims};
  for (int i = 1; i < argc && opts.ndims < 16; i++) {
    char *equals = strchr(argv[i], '=');
    if (!equals)
      return 2;
    *equals = 0;
    dims[opts.ndims++] = (struct fe_dim){
        .name = argv[i], .value = strtoll(equals + 1, NULL, 10)};
  }
  return import_file(argv[0], &opts, stderr, true, false);
}

/* As fe_import() for a model in memory: the formats' own functions. */
static int import_bytes(const uint8_t *bytes, size_t size) {
  struct dn_ctx *ctx = dn_ctx_new(NULL);
  jmp_buf fatal;
  ctx->fatal = &fatal;
  ctx->limits.memory = INT64_C(1) << 30;
  if (setjmp(fatal) == 0) {
    static const struct fe_opts none = {0};
    struct dn_file f = {"mutant.onnx", bytes, size};
    struct ir_module *m =
        fe_onnx_sniff(&f) ? fe_onnx_import(ctx, &f, &none) : NULL;
    if (m)
      ir_verify(m);
  }
  int code = (int)dn_exit_code(ctx);
  dn_ctx_free(ctx);
  return code;
}

/* A copy that ends where its block ends, so that a sanitizer sees each byte
 * read behind it. */
static int import_copy(const uint8_t *bytes, size_t size) {
  uint8_t *copy = malloc(size ? size : 1);
  if (!copy)
    abort();
  memcpy(copy, bytes, size);
  int code = import_bytes(copy, size);
  free(copy);
  return code;
}

static int sweep_file(const char *path) {
  struct dn_ctx *ctx = dn_ctx_new(stderr);
  struct dn_file f;
  size_t codes[128] = {0};
  if (!dn_file_map(ctx, path, &f))
    return 1;
  for (size_t n = 0; n <= f.size; n++)
    codes[import_copy(f.data, n) & 127]++;
  uint8_t *copy = dn_copy(ctx->arena, f.data, f.size);
  for (size_t i = 0; i < f.size; i++) {
    static const uint8_t changes[] = {0x01, 0x80, 0xff};
    for (size_t k = 0; k < sizeof changes; k++) {
      copy[i] ^= changes[k];
      codes[import_copy(copy, f.size) & 127]++;
      copy[i] = f.data[i];
    }
  }
  printf("%s:", strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
  for (int i = 0; i < 128; i++)
    if (codes[i])
      printf(" %zu x exit %d", codes[i], i);
  printf("\n");
  bool bad = false; /* nothing but: fine, bad model, unsupported */
  for (int i = 0; i < 128; i++)
    bad = bad || (codes[i] && i != 0 && i != 1 && i != 3);
  dn_ctx_free(ctx);
  return bad ? 1 : 0;
}

static int show_tensor(const char *path, const char *out) {
  struct dn_ctx *ctx = dn_ctx_new(stderr);
  struct ir_tensor t;
  jmp_buf fatal;
  ctx->fatal = &fatal;
  if (setjmp(fatal) == 0 && fe_read_tensor(ctx, path, &t)) {
    printf("%s:", ir_type_text(ctx, NULL, t.type));
    size_t width = ir_dtypes[t.type->dtype].bytes;
    for (int64_t i = 0; i < ir_type_count(t.type) && i < 8; i++)
      printf(" %g", ir_load_float(t.type->dtype,
                                  (const char *)t.data + (size_t)i * width));
    printf("\n");
    if (out && fe_write_npy(ctx, out, &t))
      dn_outputs_commit(ctx);
  }
  int code = (int)dn_exit_code(ctx);
  dn_ctx_free(ctx);
  return code;
}

int main(int argc, char **argv) {
  if (argc < 3)
    return 2;
  int code = 0;
  if (!strcmp(argv[1], "print"))
    return print_model(argc - 2, argv + 2);
  if (!strcmp(argv[1], "tensor"))
    return show_tensor(argv[2], argv[3]);
  for (int i = 2; i < argc; i++) {
    if (!strcmp(argv[1], "sweep")) {
      code |= sweep_file(argv[i]);
    } else {
      bool tensor = !strcmp(argv[1], "tensors");
      int n = tensor ? show_tensor(argv[i], NULL)
                     : import_file(argv[i], NULL, stdout, false,
                                   !strcmp(argv[1], "compile"));
      printf("%s: exit %d\n", argv[i], n);
    }
    fflush(stdout);
  }
  return code;
}
