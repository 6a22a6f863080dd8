/* onnx_string.h - strings in the ONNX importer. A tensor of strings is one of
 * char with a dimension more, the bytes of a string, which zeros fill.
 * Operators see it so (STRINGS in onnx_ops.def), or only move its strings. */
#ifndef FE_ONNX_STRING_H
#define FE_ONNX_STRING_H

#include "frontend/onnx_ops.h"

/* NULL is none. */
static inline bool ox_is_string(const struct ir_value *v) {
  return v && v->type->dtype == IR_CHAR;
}
static inline int64_t ox_width(const struct ir_value *v) {
  return v->type->dim[v->type->rank - 1];
}

/* Calls the converter of a node, some of whose inputs may be strings. */
bool ox_convert(struct onnx_call *c);

/* Constants: the attribute's strings, [n, width], or NULL: there are none; the
 * attribute's one string, [width]. */
struct ir_value *ox_strings(struct onnx_call *c, const char *name);
struct ir_value *ox_string(struct onnx_call *c, const char *name,
                           const char *otherwise);
/* x with strings of `width` bytes, no less than it has. */
struct ir_value *ox_widen(struct onnx_call *c, struct ir_value *x,
                          int64_t width);
/* Index (i64) of the first of keys [n, width] equal to each string of x, or -1.
 * */
struct ir_value *ox_find(struct onnx_call *c, struct ir_value *x,
                         struct ir_value *keys);

/* How many entries a result has (onnx_op_select.c): n of `room` that are made,
 * as many as `total` says at run time where they have a size, `most` at
 * most. */
struct ox_count {
  int64_t n, most, room;
  const char *size; /* NULL: n is known */
  struct ir_value *total;
};
/* Of `total`, at most `most`; `declared` by the model, or -1. */
bool ox_find_size(struct onnx_call *c, struct ir_value *total, int64_t most,
                  int64_t declared, struct ox_count *n);
/* How many of a mask [m] are set, the numbers of the first n of these, and the
 * first n entries of v. */
struct ir_value *ox_total(struct onnx_call *c, struct ir_value *mask);
struct ir_value *ox_selected(struct onnx_call *c, struct ir_value *mask,
                             const struct ox_count *n);
struct ir_value *ox_first(struct onnx_call *c, struct ir_value *v,
                          const struct ox_count *n);

#endif
