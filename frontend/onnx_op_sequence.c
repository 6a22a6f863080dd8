/* onnx_op_sequence.c - sequences and optionals whose structure follows from the
 * model and its inputs' lengths: lists of values that live while the model is
 * imported. None is left in the IR. */
#include "frontend/onnx_ops.h"

struct ox_sequence *ox_sequence_new(struct onnx_import *im, size_t n,
                                    bool optional) {
  struct ox_sequence *s = DN_NEW(im->ctx->arena, struct ox_sequence);
  s->as.type = ir_type(im->ctx, IR_BOOL, 0, NULL);
  s->v = DN_ARRAY(im->ctx->arena, struct ir_value *, n + 1);
  s->n = n;
  s->optional = optional;
  dn_map_put(im->ctx->arena, &im->sequences, &s->as, s);
  return s;
}

struct ox_sequence *ox_sequence_of(const struct onnx_import *im,
                                   const struct ir_value *v) {
  return dn_map_get(&im->sequences, v);
}

static bool finish(struct onnx_call *c, struct ox_sequence *s) {
  for (size_t i = 0; i < s->n; i++)
    if (!s->v[i])
      return false;
  return ox_return(c, &s->as);
}

/* Input k as a sequence; NULL after a diagnostic. */
static struct ox_sequence *sequence(struct onnx_call *c, size_t k) {
  struct ox_sequence *s = ox_sequence_of(c->im, c->in[k]);
  if (!s || s->optional || s->map)
    return ox_null(c, TYPE, "input %d must be a sequence", (int)k);
  return s;
}

static bool is_tensor(struct onnx_call *c, size_t k) {
  return !ox_sequence_of(c->im, c->in[k]) ||
         ox_fail(c, TYPE, "input %d must be a tensor", (int)k);
}

/* Position input k in a sequence of n; absent: `otherwise`. */
static bool position(struct onnx_call *c, size_t k, int64_t n,
                     int64_t otherwise, int64_t *out) {
  struct ox_ints p;
  if ((k < c->nin && !is_tensor(c, k)) || !ox_const_ints(c, k, &p))
    return false;
  if (p.given && p.n != 1)
    return ox_fail(c, TYPE, "the position must be one number");
  *out = p.given ? p.v[0] + (p.v[0] < 0 ? n : 0) : otherwise;
  return (*out >= 0 && *out < dn_max(n, otherwise + 1)) ||
         ox_fail(c, ATTR, "position %lld in a sequence of %lld",
                 (long long)*out, (long long)n);
}

bool onnx_sequence_empty(struct onnx_call *c) {
  return finish(c, ox_sequence_new(c->im, 0, false));
}

bool onnx_sequence_construct(struct onnx_call *c) {
  struct ox_sequence *s = ox_sequence_new(c->im, c->nin, false);
  for (size_t i = 0; i < c->nin; i++) {
    if (!c->in[i])
      return ox_fail(c, ARITY, "input %d is missing", (int)i);
    s->v[i] = c->in[i];
  }
  return finish(c, s);
}

bool onnx_sequence_at(struct onnx_call *c) {
  const struct ox_sequence *s = sequence(c, 0);
  int64_t at;
  return s && position(c, 1, (int64_t)s->n, -1, &at) && ox_return(c, s->v[at]);
}

bool onnx_sequence_insert(struct onnx_call *c) {
  const struct ox_sequence *s = sequence(c, 0);
  int64_t at;
  if (!s || !is_tensor(c, 1) ||
      !position(c, 2, (int64_t)s->n, (int64_t)s->n, &at))
    return false;
  struct ox_sequence *y = ox_sequence_new(c->im, s->n + 1, false);
  for (size_t i = 0; i <= s->n; i++)
    y->v[i] = (int64_t)i == at ? c->in[1] : s->v[(int64_t)i > at ? i - 1 : i];
  return finish(c, y);
}

bool onnx_sequence_erase(struct onnx_call *c) {
  const struct ox_sequence *s = sequence(c, 0);
  int64_t at;
  if (!s)
    return false;
  if (!s->n)
    return ox_fail(c, ATTR, "the sequence is empty");
  if (!position(c, 1, (int64_t)s->n, (int64_t)s->n - 1, &at))
    return false;
  struct ox_sequence *y = ox_sequence_new(c->im, s->n - 1, false);
  for (size_t i = 0; i < y->n; i++)
    y->v[i] = s->v[(int64_t)i < at ? i : i + 1];
  return finish(c, y);
}

bool onnx_sequence_length(struct onnx_call *c) {
  const struct ox_sequence *s = sequence(c, 0);
  return s && ox_return(c, fe_scalar(c->b, IR_I64, (double)s->n));
}

/* Along an axis: pieces of given sizes, of one size, or single entries. */
bool onnx_split_to_sequence(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  struct ox_ints split;
  bool keep, drop[IR_MAX_RANK] = {0};
  int64_t axis, at = 0;
  if (!fe_axis(c->b, ox_int(c, "axis", 0), fe_rank(x), &axis) ||
      !ox_flag(c, "keepdims", true, &keep) || !ox_const_ints(c, 1, &split))
    return false;
  int64_t size = fe_dims(x)[axis], n = split.n, each = 1;
  bool listed = split.given && fe_rank(c->in[1]) == 1;
  drop[axis] = !split.given && !keep;
  if (!listed) {
    each = split.given ? split.v[0] : 1;
    if (each < 1)
      return ox_fail(c, ATTR, "pieces of %lld", (long long)each);
    n = dn_div_ceil(size, each);
  }
  if (n > 65536)
    return ox_fail(c, LIMIT, "a sequence of %lld", (long long)n);
  struct ox_sequence *s = ox_sequence_new(c->im, (size_t)n, false);
  for (int64_t i = 0; i < n; i++) {
    int64_t piece = listed ? split.v[i] : dn_min(each, size - at);
    if (piece < 0 || piece > size - at)
      return ox_fail(c, ATTR, "the pieces do not add up to %lld",
                     (long long)size);
    s->v[i] = fe_squeeze(c->b, fe_slice1(c->b, x, axis, at, piece, 1), drop);
    at += piece;
  }
  if (at != size)
    return ox_fail(c, ATTR, "the pieces do not add up to %lld",
                   (long long)size);
  return finish(c, s);
}

bool onnx_concat_sequence(struct onnx_call *c) {
  const struct ox_sequence *s = sequence(c, 0);
  bool fresh;
  int64_t axis;
  if (!s || !ox_flag(c, "new_axis", false, &fresh))
    return false;
  if (!s->n)
    return ox_fail(c, ATTR, "the sequence is empty");
  int r = fe_rank(s->v[0]) + fresh;
  if (!fe_axis(c->b, ox_int(c, "axis", 0), r, &axis))
    return false;
  struct ir_value **parts =
      DN_ARRAY(c->im->ctx->arena, struct ir_value *, s->n);
  for (size_t i = 0; i < s->n; i++) {
    parts[i] = s->v[i];
    if (fe_rank(parts[i]) + fresh != r)
      return ox_fail(c, TYPE, "its tensors differ in rank");
    if (fresh)
      parts[i] = fe_insert(c->b, parts[i], axis);
    if (!parts[i])
      return false;
  }
  return ox_return(c, fe_concat(c->b, parts, s->n, axis));
}

/* The body once for each entry; inputs that are no sequences go in whole. */
bool onnx_sequence_map(struct onnx_call *c) {
  const struct onnx_graph *body = ox_attr(c, "body")->g;
  const struct ox_sequence *first = sequence(c, 0);
  struct dn_arena *arena = c->im->ctx->arena;
  if (!first)
    return false;
  if (first->n > 4096)
    return ox_fail(c, LIMIT, "%zu entries", first->n);
  struct ir_value **in = DN_ARRAY(arena, struct ir_value *, c->nin);
  struct ir_value **out = DN_ARRAY(arena, struct ir_value *, c->nout);
  struct ox_sequence **y = DN_ARRAY(arena, struct ox_sequence *, c->nout);
  for (size_t k = 0; k < c->nout; k++)
    y[k] = ox_sequence_new(c->im, first->n, false);
  for (size_t i = 0; i < first->n; i++) {
    for (size_t k = 0; k < c->nin; k++) {
      const struct ox_sequence *s = ox_sequence_of(c->im, c->in[k]);
      if (!c->in[k] || (s && s->n != first->n))
        return ox_fail(c, TYPE, "its sequences differ in length");
      in[k] = s ? s->v[i] : c->in[k];
    }
    if (!ox_inline_graph(c, body, in, c->nin, out, c->nout))
      return false;
    for (size_t k = 0; k < c->nout; k++)
      y[k]->v[i] = out[k];
  }
  for (size_t k = 0; k < c->nout; k++)
    c->out[k] = &y[k]->as;
  return true;
}

/* ---- Optionals ---- */

bool onnx_optional(struct onnx_call *c) {
  struct ox_sequence *s = ox_sequence_new(c->im, c->nin, true);
  s->v[0] = c->nin ? c->in[0] : NULL;
  return finish(c, s);
}

bool onnx_optional_has(struct onnx_call *c) {
  const struct ox_sequence *s = c->nin ? ox_sequence_of(c->im, c->in[0]) : NULL;
  bool has = c->nin && (!s || !s->optional || s->n);
  return ox_return(c, fe_scalar(c->b, IR_BOOL, has));
}

bool onnx_optional_get(struct onnx_call *c) {
  const struct ox_sequence *s = ox_sequence_of(c->im, c->in[0]);
  if (!s || !s->optional)
    return ox_return(c, c->in[0]);
  return s->n ? ox_return(c, s->v[0])
              : ox_fail(c, TYPE, "the optional is empty");
}
