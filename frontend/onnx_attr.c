/* onnx_attr.c - attributes of a node, and integers that a converter needs at
 * compile time, wherever the opset keeps them. */
#include "frontend/onnx_import.h"

#include <string.h>

/* What a function's attribute stands for in this call. */
static const struct onnx_attr *resolve(const struct ox_frame *frame,
                                       const struct onnx_attr *a) {
  if (!a->ref)
    return a;
  for (size_t i = 0; i < frame->nattrs; i++)
    if (frame->attrs[i].name == a->ref)
      return &frame->attrs[i];
  return NULL;
}

const struct onnx_attr *ox_attr(const struct onnx_call *c, const char *name) {
  for (size_t i = 0; i < c->node->attrs.n; i++)
    if (!strcmp(c->node->attrs.v[i].name, name))
      return resolve(c->frame, &c->node->attrs.v[i]);
  return NULL;
}

int64_t ox_int(const struct onnx_call *c, const char *name, int64_t otherwise) {
  const struct onnx_attr *a = ox_attr(c, name);
  return a ? a->i : otherwise;
}

double ox_float(const struct onnx_call *c, const char *name, double otherwise) {
  const struct onnx_attr *a = ox_attr(c, name);
  return a ? (double)a->f : otherwise;
}

const char *ox_str(const struct onnx_call *c, const char *name,
                   const char *otherwise) {
  const struct onnx_attr *a = ox_attr(c, name);
  return a ? dn_strndup(c->im->ctx->arena, (const char *)a->s.data, a->s.size)
           : otherwise;
}

bool ox_flag(struct onnx_call *c, const char *name, bool otherwise, bool *out) {
  int64_t v = ox_int(c, name, otherwise);
  *out = v == 1;
  if (v != 0 && v != 1)
    return ox_fail(c, ATTR, "'%s' is %lld, not 0 or 1", name, (long long)v);
  return true;
}

struct ox_ints ox_ints(const struct onnx_call *c, const char *name) {
  const struct onnx_attr *a = ox_attr(c, name);
  return a ? (struct ox_ints){true, (int64_t)a->ints.n, a->ints.v}
           : (struct ox_ints){0};
}

const char *ox_attr_spec(const struct onnx_row *row, const char *name) {
  size_t n = strlen(name);
  const char *word = dn_word(row->attrs, name, n, NULL);
  return word ? word + n + 1 : NULL;
}

static enum onnx_attr_type spec_type(const char *spec) {
  bool list = spec[1] == '*';
  switch (*spec) {
  case 'd':
  case 'i':
    return list ? ONNX_INTS : ONNX_INT;
  case 'f':
    return list ? ONNX_FLOATS : ONNX_FLOAT;
  case 's':
    return list ? ONNX_STRINGS : ONNX_STRING;
  case 't':
    return ONNX_TENSOR;
  case 'g':
    return ONNX_GRAPH;
  case 'x':
    return ONNX_SPARSE;
  case 'T':
    return ONNX_TYPE;
  }
  return ONNX_UNDEFINED;
}

static const char *type_name(int64_t type) {
  static const char *const names[] = {
      "none",           "float",   "int",    "string",
      "tensor",         "graph",   "floats", "ints",
      "strings",        "tensors", "graphs", "sparse tensor",
      "sparse tensors", "type",    "types"};
  return type >= 0 && type <= ONNX_TYPES ? names[type] : "unknown";
}

static bool check_attr(struct onnx_call *c, const struct onnx_attr *a) {
  const char *name = ox_text(c, a->name);
  const char *spec = ox_attr_spec(c->row, a->name);
  if (!spec)
    return fe_fail(c->b, c->node->domain[0] ? DN_UNSUPPORTED_ATTR : DN_ATTR,
                   "unknown attribute '%s'", name);
  if (a->ref && !c->frame->function)
    return ox_fail(
        c, ATTR, "attribute '%s' refers to a function's, outside of one", name);
  const struct onnx_attr *value = resolve(c->frame, a);
  if (!value)
    return true;
  enum onnx_attr_type want = spec_type(spec);
  if (value->type != (int64_t)want)
    return ox_fail(c, ATTR, "attribute '%s' is of type %s, not %s", name,
                   type_name(value->type), type_name(want));
  if (value->present & ~(1u << want))
    return ox_fail(c, ATTR, "attribute '%s' has values of several types", name);
  bool holds = value->present != 0;
  if (!holds &&
      (want == ONNX_TENSOR || want == ONNX_GRAPH || want == ONNX_SPARSE))
    return ox_fail(c, ATTR, "attribute '%s' has no value", name);
  return true;
}

bool ox_check_attrs(struct onnx_call *c) {
  bool ok = true;
  const struct onnx_node *n = c->node;
  for (size_t i = 0; i < n->attrs.n; i++) {
    ok = check_attr(c, &n->attrs.v[i]) && ok;
    for (size_t k = 0; k < i; k++)
      if (n->attrs.v[k].name == n->attrs.v[i].name)
        ok = ox_fail(c, ATTR, "attribute '%s' is given twice",
                     ox_text(c, n->attrs.v[i].name));
    if (i > 64) /* no operator has as many; the error is already there */
      break;
  }
  /* `name:kind!` is required. */
  for (const char *p = c->row->attrs; *p; p += strspn(p, " ")) {
    size_t len = strcspn(p, " ");
    if (p[len - 1] == '!') {
      const char *name = dn_strndup(c->im->ctx->arena, p, strcspn(p, ":"));
      if (!ox_attr(c, name))
        ok = ox_fail(c, ATTR, "attribute '%s' is missing", name);
    }
    p += len;
  }
  return ok;
}

/* ---- Constants as inputs ---- */

/* Constants up to this many bytes are evaluated for an operator that needs
 * one. */
#define EVALUATE_BYTES (64 << 20)
#define EVALUATE_DEPTH 1000

static struct ir_value *evaluate(struct onnx_call *c, struct ir_value *v,
                                 int depth);

/* An op whose operands can be evaluated, again on their constants. */
static struct ir_value *evaluate_op(struct onnx_call *c, struct ir_op *op,
                                    int depth) {
  if (depth == 0 || op->nregions)
    return NULL;
  struct ir_value **args =
      DN_ARRAY(c->im->ctx->arena, struct ir_value *, op->noperands);
  for (unsigned i = 0; i < op->noperands; i++) {
    args[i] = evaluate(c, ir_arg(op, i), depth - 1);
    if (!args[i])
      return NULL;
  }
  struct ir_value *v =
      ir_emit(&c->b->at, op->code, args, op->noperands, op->attr, op->nattrs);
  v = v ? fe_fold(c->b, v, EVALUATE_BYTES) : NULL;
  if (v && v->def) { /* too large */
    ir_op_remove(v->def);
    return NULL;
  }
  return v;
}

/* What was found is remembered: a value may be reached in many ways. */
static struct ir_value *evaluate(struct onnx_call *c, struct ir_value *v,
                                 int depth) {
  if (v->data)
    return v;
  struct ir_op *op = v->def;
  if (!op) {
    struct ir_value *known =
        v->index < c->im->known.n ? c->im->known.v[v->index] : NULL;
    if (known && c->im->opts->values_used)
      *c->im->opts->values_used = true;
    if (!known && !ir_type_count(v->type)) /* an input of no elements */
      known = ir_const_splat(c->im->m, NULL, v->type, 0);
    return known;
  }
  struct ir_value *found = dn_map_get(&c->im->evaluated, v);
  if (!found) {
    found = evaluate_op(c, op, depth);
    dn_map_put(c->im->ctx->arena, &c->im->evaluated, v,
               found ? found : &c->im->failed);
  }
  return found == &c->im->failed ? NULL : found;
}

struct ir_value *ox_evaluate(struct onnx_call *c, struct ir_value *v) {
  return evaluate(c, v, EVALUATE_DEPTH);
}

struct ir_value *ox_const(struct onnx_call *c, size_t k) {
  struct ir_value *v = ox_evaluate(c, c->in[k]);
  if (v)
    return v;
  return ox_null(c, DYNAMIC, "input %zu ('%s') must be a constant", k,
                 ox_text(c, c->node->inputs.v[k]));
}

int64_t ox_declared(const struct onnx_call *c, size_t k, int64_t rank,
                    int64_t axis) {
  const struct onnx_graph *g = c->im->model->graph;
  if (k >= c->nout || c->frame->function || c->im->scope->outer)
    return -1;
  for (size_t i = 0; i < g->outputs.n; i++) {
    const struct onnx_value *v = &g->outputs.v[i];
    if (v->name == c->node->outputs.v[k] && v->has_shape &&
        (int64_t)v->dims.n == rank && v->dims.v[axis].has_value)
      return v->dims.v[axis].value;
  }
  return -1;
}

bool ox_declared_dims(const struct onnx_call *c, size_t k,
                      int64_t dims[IR_MAX_RANK], int64_t *rank) {
  const struct onnx_graph *g = c->im->model->graph;
  const struct ir_value *v = k < c->nin ? c->in[k] : NULL;
  if (!v || v->data)
    return false;
  for (size_t i = 0; i < g->outputs.n; i++)
    if (g->outputs.v[i].name == c->node->outputs.v[0])
      *rank = (int64_t)g->outputs.v[i].dims.n;
  for (int64_t i = 0; i < *rank; i++) {
    dims[i] = *rank > IR_MAX_RANK ? -1 : ox_declared(c, 0, *rank, i);
    if (dims[i] < 0)
      return false;
  }
  return *rank > 0;
}

static bool long_list(const struct onnx_call *c, size_t k, int64_t n) {
  return ox_fail(c, LIMIT, "input %zu is a list of %lld (--limit-attr)", k,
                 (long long)n);
}

bool ox_const_ints(struct onnx_call *c, size_t k, struct ox_ints *out) {
  *out = (struct ox_ints){0};
  if (k >= c->nin || !c->in[k])
    return true;
  const struct ir_value *v = ox_const(c, k);
  if (!v)
    return false;
  int64_t n = ir_type_count(v->type);
  if (!ir_is_int(v->type->dtype) && v->type->dtype != IR_BOOL)
    return ox_fail(c, TYPE, "input %zu must be of an integer type", k);
  if (v->type->rank > 1)
    return ox_fail(c, TYPE, "input %zu must be a list", k);
  if (n > c->im->ctx->limits.attr)
    return long_list(c, k, n);
  int64_t *list = DN_ARRAY(c->im->ctx->arena, int64_t, n);
  for (int64_t i = 0; i < n; i++)
    list[i] = ir_const_int(v, i);
  *out = (struct ox_ints){true, n, list};
  return true;
}

bool ox_const_floats(struct onnx_call *c, size_t k, int64_t *n,
                     const double **v) {
  *n = 0;
  *v = NULL;
  if (k >= c->nin || !c->in[k])
    return true;
  const struct ir_value *from = ox_const(c, k);
  if (!from)
    return false;
  *n = ir_type_count(from->type);
  if (*n > c->im->ctx->limits.attr)
    return long_list(c, k, *n);
  double *list = DN_ARRAY(c->im->ctx->arena, double, *n);
  for (int64_t i = 0; i < *n; i++)
    list[i] = ir_const_float(from, i);
  *v = list;
  return true;
}

bool ox_ints_or_input(struct onnx_call *c, const char *name, size_t k,
                      struct ox_ints *out) {
  *out = ox_ints(c, name);
  return out->given || ox_const_ints(c, k, out);
}

bool ox_axes(struct onnx_call *c, struct ox_ints axes, int64_t rank,
             bool *mark) {
  memset(mark, 0, (size_t)rank * sizeof *mark);
  for (int64_t i = 0; i < axes.n; i++) {
    int64_t axis = 0;
    if (!fe_axis(c->b, axes.v[i], rank, &axis))
      return false;
    if (mark[axis])
      return ox_fail(c, ATTR, "axis %lld is given twice", (long long)axis);
    mark[axis] = true;
  }
  return true;
}

bool ox_axis_list(struct onnx_call *c, struct ox_ints axes, int64_t rank,
                  int64_t of[IR_MAX_RANK], int64_t *n) {
  bool seen[IR_MAX_RANK];
  *n = axes.given ? axes.n : rank;
  if (!ox_axes(c, axes, rank, seen))
    return false;
  for (int64_t i = 0; i < *n; i++)
    of[i] = axes.given ? axes.v[i] + (axes.v[i] < 0 ? rank : 0) : i;
  return true;
}
