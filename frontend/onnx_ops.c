/* onnx_ops.c - the table of ONNX operators, found by domain, name and opset. */
#include "frontend/onnx_ops.h"

#include <assert.h>
#include <string.h>

static const struct onnx_row rows[] = {
#define ONNX(op, since, until, min, max, outs, name, arg, takes, attrs)        \
  {op, since, until, min, max, outs, onnx_##name, arg, takes, attrs},
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
  for (size_t i = 0; i < DN_COUNT(rows); i++) {
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
  return ox_fail(c, UNSUPPORTED_OP, "%s as it was in opset %d", c->node->op,
                 c->version);
}

/* An attribute of the node for the row of decompose.def; kind d, an element
 * type by ONNX's number, is its name. */
bool ox_ir_attr(struct onnx_call *c, const struct onnx_attr *a,
                const char *name, struct ir_attr *out) {
  enum ir_dtype type;
  switch (a->type) {
  case ONNX_FLOAT:
    *out = ir_float(name, (double)a->f);
    return true;
  case ONNX_INTS:
    *out = ir_ints(name, a->ints.v, (int64_t)a->ints.n);
    return true;
  case ONNX_STRING:
    *out = ir_str(name, ox_str(c, name, ""));
    return true;
  }
  assert(a->type == ONNX_INT && "ox_check_attrs() knows the row's kinds");
  *out = ir_int(name, a->i);
  if (*ox_attr_spec(c->row, name) != 'd')
    return true;
  if (!onnx_dtype_find(a->i, &type))
    return fe_fail(c->b, a->i > 0 ? DN_UNSUPPORTED_TYPE : DN_ATTR,
                   "element type %s (%lld)", onnx_dtype_name(a->i),
                   (long long)a->i);
  *out = ir_str(name, ir_dtypes[type].text);
  return true;
}

bool ox_row_attrs(struct onnx_call *c, enum fe_decomposition row,
                  struct ir_attr *attrs, size_t *n) {
  const char *names[FE_MAX_ATTRS];
  size_t all = fe_attr_names(c->b, row, names);
  *n = 0;
  for (size_t i = 0; i < all; i++) {
    const struct onnx_attr *a = ox_attr(c, names[i]);
    const char *spec = ox_attr_spec(c->row, names[i]);
    if (a && !a->i && spec[0] == 'd' && spec[1] != '!')
      continue; /* no type */
    if (a && !ox_ir_attr(c, a, names[i], &attrs[(*n)++]))
      return false;
  }
  return true;
}

/* Operands of a row: the node's inputs, then attributes by their names, of which
 * an empty list is absent. Where an input must be a constant and is none, the
 * row's attribute `declared` is the shape that the model gives the result. */
static bool row_operands(struct onnx_call *c, enum fe_decomposition row,
                         struct ir_value **args, size_t *n,
                         struct ir_attr *attrs, size_t *nattrs) {
  const struct fe_operand *o;
  const char *names[FE_MAX_ATTRS];
  size_t known = fe_attr_names(c->b, row, names);
  bool reads = dn_find_row(names, known, sizeof *names, "declared") >= 0;
  int64_t *dims = DN_ARRAY(c->im->ctx->arena, int64_t, IR_MAX_RANK), rank = 0;
  size_t inputs = c->row->max_in < 0 ? SIZE_MAX : (size_t)c->row->max_in;
  bool declared = false;
  *n = fe_operands(c->b, row, &o);
  for (size_t i = 0; i < *n; i++) {
    unsigned errors = dn_errors(c->im->ctx);
    args[i] = i < inputs ? ox_in(c, i) : ox_attr_const(c, o[i].name);
    if (dn_errors(c->im->ctx) > errors)
      return false;
    if (i >= inputs && args[i] && !ir_type_count(args[i]->type))
      args[i] = NULL;
    declared |= reads && o[i].constant && ox_declared_dims(c, i, dims, &rank);
  }
  if (declared)
    attrs[(*nattrs)++] = ir_ints("declared", dims, rank);
  for (size_t i = 0; i < *n && i < c->nin && !declared; i++)
    if (args[i] && o[i].constant && !(args[i] = ox_const(c, i)))
      return false;
  return true;
}

bool onnx_decompose(struct onnx_call *c) {
  enum fe_decomposition row = (enum fe_decomposition)c->arg;
  struct ir_value *args[FE_MAX_OPERANDS];
  struct ir_attr attrs[FE_MAX_ATTRS + 1];
  size_t n, nattrs;
  return ox_row_attrs(c, row, attrs, &nattrs) &&
         row_operands(c, row, args, &n, attrs, &nattrs) &&
         fe_decompose(c->b, row, args, n, attrs, nattrs, c->out, c->nout);
}
