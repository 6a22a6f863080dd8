/* dnn.c - text IR as a model. */
#include "frontend/fe.h"

#include <string.h>

/* Text that starts with a comment or one of the words that a module does. */
bool fe_dnn_sniff(const struct dn_file *f) {
  static const char *const starts[] = {"//",    "module", "func",
                                       "const", "form",   "quant"};
  size_t i = 0;
  while (i < f->size && strchr(" \t\r\n", f->data[i]) && f->data[i])
    i++;
  for (size_t k = 0; k < DN_COUNT(starts); k++) {
    size_t n = strlen(starts[k]);
    if (f->size - i >= n && !memcmp(f->data + i, starts[k], n))
      return true;
  }
  return false;
}

struct ir_module *fe_dnn_import(struct dn_ctx *ctx, const struct dn_file *f,
                                const struct fe_opts *opts) {
  (void)opts; /* text has its sizes */
  const char *slash = strrchr(f->path, '/');
  size_t n = !slash ? 0 : slash == f->path ? 1 : (size_t)(slash - f->path);
  const char *dir = n ? dn_strndup(ctx->arena, f->path, n) : ".";
  return ir_parse(ctx, f->path, (const char *)f->data, f->size, dir);
}
