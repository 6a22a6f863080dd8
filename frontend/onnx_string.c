/* onnx_string.c - which operators take strings, and how those do that only move
 * elements: they move the strings' numbers in a table of all of them, from which
 * the results are gathered. */
#include "frontend/onnx_string.h"

#include "frontend/decompose.h"

struct ir_value *ox_widen(struct onnx_call *c, struct ir_value *x,
                          int64_t width) {
  return fe_call(c->b, FE_WIDEN, IR_ARGS(x), IR_ATTRS(ir_int("width", width)));
}

/* Input k as numbers of strings, from *n on; its strings as rows. */
static struct ir_value *number(struct onnx_call *c, size_t k, int64_t width,
                               int64_t *n) {
  struct ir_value *x = c->in[k];
  int64_t count = ir_type_count(x->type) / ox_width(x);
  struct ir_value *at = fe_iota(c->b, 1, 0, count, IR_I64);
  at = fe_offset(c->b, at, (double)*n);
  c->in[k] = fe_reshape(c->b, at, fe_rank(x) - 1, fe_dims(x));
  *n += count;
  return fe_reshape(c->b, ox_widen(c, x, width), 2, (int64_t[]){count, width});
}

/* Numbers of all n strings, in order. */
static bool are_in_order(struct onnx_call *c, struct ir_value *at, int64_t n) {
  const struct ir_value *known =
      ir_type_count(at->type) == n ? ox_evaluate(c, at) : NULL;
  for (int64_t i = 0; i < n && known; i++)
    known = ir_const_int(known, i) == i ? known : NULL;
  return known != NULL;
}

/* Strings [dims.., width] by their numbers. */
static struct ir_value *take(struct onnx_call *c, struct ir_value *table,
                             struct ir_value *at) {
  int64_t dims[IR_MAX_RANK];
  if (!at || fe_rank(at) == IR_MAX_RANK)
    return at ? ox_null(c, LIMIT, "strings of rank %d", IR_MAX_RANK) : NULL;
  memcpy(dims, fe_dims(at), sizeof dims);
  dims[fe_rank(at)] = ox_width(table);
  if (ir_type_count(at->type))
    return are_in_order(c, at, fe_dims(table)[0])
               ? fe_reshape(c->b, table, fe_rank(at) + 1, dims)
               : fe_gather(c->b, table, at, 0);
  return fe_expand(c->b, fe_scalar(c->b, IR_CHAR, 0), fe_rank(at) + 1, dims);
}

/* Whether the strings of input k are moved: the others say where. */
static bool moves(unsigned takes, size_t k) {
  return takes & MOVES_ALL || (takes & MOVES_2 ? k == 1 || k == 2 : !k);
}

static bool move_strings(struct onnx_call *c) {
  struct ir_value **part =
      DN_ARRAY(c->im->ctx->arena, struct ir_value *, c->nin);
  size_t parts = 0;
  int64_t width = 1, n = 0;
  for (size_t k = 0; k < c->nin; k++)
    if (ox_is_string(c->in[k]))
      width = dn_max(width, ox_width(c->in[k]));
  for (size_t k = 0; k < c->nin; k++) {
    bool moved = moves(c->row->takes, k);
    if (moved != ox_is_string(c->in[k]))
      return ox_fail(c, TYPE, "input %zu is %s", k,
                     moved ? "no string" : "a string");
    if (moved)
      part[parts++] = number(c, k, width, &n);
  }
  struct ir_value *table = fe_concat(c->b, part, parts, 0);
  if (!table || !c->row->convert(c))
    return false;
  for (size_t k = 0; k < c->nout && !(c->row->takes & COUNTS); k++)
    if (c->out[k])
      c->out[k] = take(c, table, c->out[k]);
  return true;
}

bool ox_convert(struct onnx_call *c) {
  size_t k = 0;
  while (k < c->nin && !ox_is_string(c->in[k]))
    k++;
  if (k == c->nin || c->row->takes & STRINGS)
    return c->row->convert(c);
  return c->row->takes & (MOVES | MOVES_2 | MOVES_ALL | COUNTS)
             ? move_strings(c)
             : ox_fail(c, UNSUPPORTED_TYPE, "input %zu is of strings", k);
}

/* ---- Constants ---- */

static struct ir_value *string_const(struct onnx_call *c,
                                     const struct wire_span *spans,
                                     int64_t rank, int64_t n) {
  const struct ir_type *type;
  struct ir_data data;
  if (!onnx_strings(c->im->ctx, c->b->loc, spans, rank, &n, &type, &data))
    return NULL;
  return ir_const_new(c->im->m, c->b->name, type, &data);
}

struct ir_value *ox_strings(struct onnx_call *c, const char *name) {
  const struct onnx_attr *a = ox_attr(c, name);
  return a && a->strings.n
             ? string_const(c, a->strings.v, 1, (int64_t)a->strings.n)
             : NULL;
}

struct ir_value *ox_string(struct onnx_call *c, const char *name,
                           const char *otherwise) {
  const struct onnx_attr *a = ox_attr(c, name);
  struct wire_span s = {(const uint8_t *)otherwise, strlen(otherwise)};
  return string_const(c, a ? &a->s : &s, 0, 0);
}

/* ---- Comparing ---- */

struct ir_value *ox_find(struct onnx_call *c, struct ir_value *x,
                         struct ir_value *keys) {
  return fe_call(c->b, FE_STRING_FIND, IR_ARGS(x, keys), NULL, 0);
}

bool onnx_equal(struct onnx_call *c) {
  if (!ox_is_string(c->in[0]) && !ox_is_string(c->in[1]))
    return onnx_binary(c);
  if (fe_dtype(c->in[0]) != fe_dtype(c->in[1]))
    return ox_fail(c, TYPE, "strings are compared with numbers");
  return ox_return(
      c, fe_call(c->b, FE_STRING_EQ, IR_ARGS(c->in[0], c->in[1]), NULL, 0));
}
