/* onnx_ops.c - the table of ONNX operators, found by domain, name and opset. */
#include "frontend/onnx_ops.h"

#include <string.h>

static const struct onnx_row rows[] = {
#define ONNX(op, since, until, min, max, outs, name, arg, attrs)               \
  {op, since, until, min, max, outs, onnx_##name, arg, attrs},
#include "frontend/onnx_ops.def"
#undef ONNX
};

/* "Conv" in domain "", "com.microsoft.Gelu" in "com.microsoft". */
static bool is_named(const struct onnx_row *row, const char *domain,
                     const char *op) {
  size_t n = strlen(domain);
  if (!n)
    return !strcmp(row->op, op);
  return !strncmp(row->op, domain, n) && row->op[n] == '.' &&
         !strcmp(row->op + n + 1, op);
}

const struct onnx_row *onnx_row_find(const char *domain, const char *op,
                                     int version, bool *known) {
  *known = false;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (!is_named(&rows[i], domain, op))
      continue;
    *known = true;
    if (version >= rows[i].since &&
        (!rows[i].until || version <= rows[i].until))
      return &rows[i];
  }
  return NULL;
}

/* A form of before the oldest opset that is read. */
bool onnx_old_form(struct onnx_call *c) {
  return fe_fail(c->b, DN_UNSUPPORTED_OP, "%s as it was in opset %d",
                 c->node->op, c->version);
}
