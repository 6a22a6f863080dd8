/* onnx_model.c - the messages of an ONNX file: a row a field. Field numbers are
 * those of onnx.proto; fields that do not matter to a compiler (doc strings,
 * metadata, value_info, training) are stepped over unread.
 *
 * The recursion graph -> node -> attribute -> graph is bounded by the nesting
 * limit that wire_message() keeps. */
#include "frontend/onnx_model.h"

#include <string.h>

enum kind {
  INT,
  FLOAT,
  NAME,   /* "" when absent */
  DOMAIN, /* the same, and "" for "ai.onnx" */
  WORD,   /* a name; NULL when absent or empty */
  BYTES,
  INTS, /* lists, as DN_LIST() has them */
  FLOATS,
  NAMES,
  SPANS,
  MESSAGES,
  NODES, /* messages that --limit-nodes counts */
  PART,  /* a message whose struct is a part of this one, or is this one */
  OWN    /* a message that a pointer names */
};

struct message;
struct field {
  uint32_t number;
  enum kind kind;
  size_t at; /* in the struct */
  const struct message *message;
};

struct message {
  size_t size;
  const struct field *field;
  size_t nfields;
  /* Further members of the struct; bit n of `seen`: field n occurred. */
  void (*finish)(void *out, uint32_t seen, struct wire_span all);
};

#define MESSAGE(name, finish, ...)                                             \
  static const struct field name##_fields[] = {__VA_ARGS__};                   \
  static const struct message name = {                                         \
      sizeof(struct onnx_##name), name##_fields,                               \
      sizeof name##_fields / sizeof *name##_fields, finish}
#define FIELD(number, kind, name, member)                                      \
  { number, kind, offsetof(struct onnx_##name, member), NULL }
#define NESTED(number, kind, name, member, message)                            \
  { number, kind, offsetof(struct onnx_##name, member), &message }

MESSAGE(entry, NULL, FIELD(1, NAME, entry, key), FIELD(2, BYTES, entry, value));

static void finish_tensor(void *out, uint32_t seen, struct wire_span all) {
  struct onnx_tensor *t = out;
  t->segment = seen >> 3 & 1;
  t->has_raw = seen >> 9 & 1;
  t->typed = seen & 0xcf0;
  t->external = t->location == 1;
  t->message = all;
}
MESSAGE(tensor, finish_tensor, FIELD(1, INTS, tensor, dims),
        FIELD(2, INT, tensor, dtype), FIELD(8, NAME, tensor, name),
        FIELD(9, BYTES, tensor, raw),
        NESTED(13, MESSAGES, tensor, entries, entry),
        FIELD(14, INT, tensor, location));

MESSAGE(sparse, NULL, NESTED(1, PART, sparse, values, tensor),
        NESTED(2, PART, sparse, indices, tensor), FIELD(3, INTS, sparse, dims));

static void finish_attr(void *out, uint32_t seen, struct wire_span all) {
  (void)all;
  static const uint8_t types[] = {
      [2] = ONNX_FLOAT,   [3] = ONNX_INT,     [4] = ONNX_STRING,
      [5] = ONNX_TENSOR,  [6] = ONNX_GRAPH,   [7] = ONNX_FLOATS,
      [8] = ONNX_INTS,    [9] = ONNX_STRINGS, [10] = ONNX_TENSORS,
      [11] = ONNX_GRAPHS, [14] = ONNX_TYPE,   [15] = ONNX_TYPES,
      [22] = ONNX_SPARSE, [23] = ONNX_SPARSES};
  struct onnx_attr *a = out;
  int last = -1;
  for (unsigned n = 0; n < sizeof types; n++) {
    if (types[n] && seen >> n & 1) {
      a->present |= 1u << types[n];
      last = types[n];
    }
  }
  if (!(seen >> 20 & 1)) /* old files leave the type out */
    a->type = a->present & (a->present - 1) ? -1 : last;
}
static const struct message graph;
MESSAGE(attr, finish_attr, FIELD(1, NAME, attr, name),
        FIELD(21, WORD, attr, ref), FIELD(20, INT, attr, type),
        FIELD(2, FLOAT, attr, f), FIELD(3, INT, attr, i),
        FIELD(4, BYTES, attr, s), NESTED(5, OWN, attr, t, tensor),
        NESTED(6, OWN, attr, g, graph), FIELD(7, FLOATS, attr, floats),
        FIELD(8, INTS, attr, ints), FIELD(9, SPANS, attr, strings),
        NESTED(22, OWN, attr, sparse, sparse));

MESSAGE(node, NULL, FIELD(1, NAMES, node, inputs),
        FIELD(2, NAMES, node, outputs), FIELD(3, NAME, node, name),
        FIELD(4, NAME, node, op), NESTED(5, MESSAGES, node, attrs, attr),
        FIELD(7, DOMAIN, node, domain), FIELD(8, NAME, node, overload));

static void finish_dim(void *out, uint32_t seen, struct wire_span all) {
  (void)all;
  ((struct onnx_dim *)out)->has_value = seen >> 1 & 1;
}
MESSAGE(dim, finish_dim, FIELD(1, INT, dim, value), FIELD(2, WORD, dim, param));

/* ValueInfoProto, TypeProto, TypeProto.Tensor, TensorShapeProto: one struct,
 * whose first member is the name. */
#define onnx_shape onnx_value
#define onnx_tensor_type onnx_value
#define onnx_type onnx_value
#define onnx_element onnx_value
#define onnx_sequence onnx_value
#define onnx_inner onnx_value
#define onnx_maybe onnx_value
#define onnx_map_type onnx_value
MESSAGE(shape, NULL, NESTED(1, MESSAGES, value, dims, dim));
static void finish_tensor_type(void *out, uint32_t seen, struct wire_span all) {
  (void)all;
  ((struct onnx_value *)out)->has_shape |= seen >> 2 & 1;
}
MESSAGE(tensor_type, finish_tensor_type, FIELD(1, INT, value, dtype),
        NESTED(2, PART, value, name, shape));
/* Element type of sequences and optionals, unwrapped down to the tensor type.
 * */
MESSAGE(element, NULL, NESTED(1, PART, value, name, tensor_type));
static void finish_sequence(void *out, uint32_t seen, struct wire_span all) {
  (void)all, (void)seen;
  ((struct onnx_value *)out)->list = true;
}
MESSAGE(sequence, finish_sequence, NESTED(1, PART, value, name, element));
MESSAGE(inner, NULL, NESTED(1, PART, value, name, tensor_type),
        NESTED(4, PART, value, name, sequence));
MESSAGE(maybe, NULL, NESTED(1, PART, value, name, inner));
MESSAGE(map_type, NULL, FIELD(1, INT, value, key),
        NESTED(2, PART, value, name, element));
static void finish_type(void *out, uint32_t seen, struct wire_span all) {
  (void)all;
  static const char *const kinds[] = {
      [1] = "tensor", [4] = "sequence",      [5] = "map",
      [7] = "opaque", [8] = "sparse tensor", [9] = "optional"};
  for (unsigned n = 1; n < DN_COUNT(kinds); n++)
    if (seen >> n & 1)
      ((struct onnx_value *)out)->kind = kinds[n];
}
MESSAGE(type, finish_type, NESTED(1, PART, value, name, tensor_type),
        NESTED(4, PART, value, name, sequence),
        NESTED(5, PART, value, name, map_type),
        NESTED(9, PART, value, name, maybe));
MESSAGE(value, NULL, FIELD(1, NAME, value, name),
        NESTED(2, PART, value, name, type));

MESSAGE(graph, NULL, NESTED(1, NODES, graph, nodes, node),
        FIELD(2, NAME, graph, name),
        NESTED(5, NODES, graph, initializers, tensor),
        NESTED(11, NODES, graph, inputs, value),
        NESTED(12, NODES, graph, outputs, value),
        NESTED(15, NODES, graph, sparse, sparse));

#define onnx_tensors onnx_list
#define onnx_optional onnx_list
MESSAGE(tensors, NULL, NESTED(3, MESSAGES, list, tensors, tensor));
MESSAGE(optional, NULL, NESTED(3, MESSAGES, list, tensors, tensor),
        NESTED(5, PART, list, tensors, tensors));

MESSAGE(opset, NULL, FIELD(1, DOMAIN, opset, domain),
        FIELD(2, INT, opset, version));

MESSAGE(function, NULL, FIELD(1, NAME, function, name),
        FIELD(4, NAMES, function, inputs), FIELD(5, NAMES, function, outputs),
        FIELD(6, NAMES, function, attrs),
        NESTED(7, NODES, function, nodes, node),
        NESTED(9, MESSAGES, function, opsets, opset),
        FIELD(10, DOMAIN, function, domain),
        NESTED(11, MESSAGES, function, defaults, attr),
        FIELD(13, NAME, function, overload));

MESSAGE(model, NULL, FIELD(1, INT, model, ir_version),
        FIELD(2, NAME, model, producer), NESTED(7, OWN, model, graph, graph),
        NESTED(8, MESSAGES, model, opsets, opset),
        NESTED(25, MESSAGES, model, functions, function));

/* ---- Reading ---- */

/* A new element of the list at `at`; NULL: there may be no more. Lists grow
 * with the file, but a message costs two bytes there and more here. */
static void *push(struct wire *w, const struct wire_field *f, void *at,
                  size_t size, bool message) {
  const struct dn_limits *limits = &w->file->ctx->limits;
  int64_t limit = message ? limits->nodes : limits->attr;
  DN_LIST(void) list;
  memcpy(&list, at, sizeof list);
  if (list.n >= (size_t)limit) {
    wire_limit(w->file, f->at, "more than %lld %s", (long long)limit,
               message ? "messages in a list (--limit-nodes)"
                       : "elements in a list (--limit-attr)");
    return NULL;
  }
  list.v = dn_grow(w->file->ctx->arena, list.v, list.n, &list.cap, size);
  void *item = (char *)list.v + list.n++ * size;
  memcpy(at, &list, sizeof list);
  return item;
}

/* Numbers, packed or not. */
static void read_numbers(struct wire *w, const struct wire_field *f,
                         bool is_float, void *at) {
  struct wire_packed cursor = {0};
  uint64_t v;
  while (wire_repeated(w, f, is_float ? WIRE_I32 : WIRE_VARINT, &cursor, &v)) {
    void *item = push(w, f, at, sizeof v, false);
    if (!item)
      return;
    uint32_t bits = (uint32_t)v;
    float x;
    memcpy(&x, &bits, sizeof x);
    if (is_float)
      *(double *)item = (double)x;
    else
      *(int64_t *)item = (int64_t)v;
  }
}

static void read_message(struct wire w, const struct message *m, void *out);

static void read_field(struct wire *w, const struct wire_field *f,
                       const struct field *row, void *at) {
  const struct message *m = row->message;
  struct dn_arena *arena = w->file->ctx->arena;
  void *item;
  switch (row->kind) {
  case INT:
    *(int64_t *)at = wire_int(w, f);
    return;
  case FLOAT:
    *(float *)at = wire_float(w, f);
    return;
  case NAME:
  case DOMAIN:
  case WORD: {
    const char **name = at;
    *name = wire_name(w, f);
    if (row->kind == DOMAIN && !strcmp(*name, "ai.onnx"))
      *name = dn_intern(w->file->ctx, "");
    if (row->kind == WORD && !**name)
      *name = NULL;
    return;
  }
  case BYTES:
    *(struct wire_span *)at = wire_bytes(w, f);
    return;
  case INTS:
  case FLOATS:
    read_numbers(w, f, row->kind == FLOATS, at);
    return;
  case NAMES:
    if ((item = push(w, f, at, sizeof(const char *), false)))
      *(const char **)item = wire_name(w, f);
    return;
  case SPANS:
    if ((item = push(w, f, at, sizeof(struct wire_span), false)))
      *(struct wire_span *)item = wire_bytes(w, f);
    return;
  case MESSAGES:
  case NODES:
    if ((item = push(w, f, at, m->size, true)))
      read_message(wire_message(w, f), m, memset(item, 0, m->size));
    return;
  case PART:
    read_message(wire_message(w, f), m, at);
    return;
  case OWN:
    read_message(wire_message(w, f), m, item = dn_alloc(arena, m->size));
    memcpy(at, &item, sizeof item);
    return;
  }
}

/* Names that the file leaves out. */
static void name_all(struct dn_ctx *ctx, const struct message *m, char *out) {
  for (size_t i = 0; i < m->nfields; i++) {
    const struct field *f = &m->field[i];
    const char **name = (void *)(out + f->at);
    if (f->kind == PART)
      name_all(ctx, f->message, out + f->at);
    else if ((f->kind == NAME || f->kind == DOMAIN) && !*name)
      *name = dn_intern(ctx, "");
  }
}

/* Into `out`, which is zeroed, or has parts read before. */
static void read_message(struct wire w, const struct message *m, void *out) {
  uint32_t seen = 0;
  const struct wire_span all = {w.next, (size_t)(w.end - w.next)};
  for (struct wire_field f; wire_next(&w, &f);) {
    seen |= f.number < 32 ? 1u << f.number : 0;
    for (size_t i = 0; i < m->nfields; i++)
      if (m->field[i].number == f.number)
        read_field(&w, &f, &m->field[i], (char *)out + m->field[i].at);
  }
  name_all(w.file->ctx, m, out);
  if (m->finish)
    m->finish(out, seen, all);
}

bool onnx_tensor_read(struct wire w, struct onnx_tensor *out) {
  *out = (struct onnx_tensor){0};
  read_message(w, &tensor, out);
  return w.file->ok;
}

/* A tensor has dims, a name or raw data where a sequence has its own name and
 * its tensors; an optional sequence says that it is one (3). */
bool onnx_is_list(struct wire w) {
  uint64_t kind = 0;
  bool entries = false, nested = false, named = false;
  for (struct wire_field f; wire_next(&w, &f);) {
    if (f.number > 5 || f.number == 4 ||
        (f.number == 1 && f.type == WIRE_VARINT))
      return false;
    named |= f.number == 1;
    entries |= f.number == 3;
    nested |= f.number == 5;
    kind = f.number == 2 ? f.num : kind;
  }
  return w.file->ok && (entries || (nested ? kind == 3 : named || kind));
}

bool onnx_list_read(struct wire w, struct onnx_list *out) {
  *out = (struct onnx_list){0};
  read_message(w, &optional, out);
  return w.file->ok;
}

struct onnx_model *onnx_model_read(struct wire_file *file) {
  struct onnx_model *m = DN_NEW(file->ctx->arena, struct onnx_model);
  read_message(wire_open(file, (struct wire_span){file->base, file->size}, 0),
               &model, m);
  return file->ok ? m : NULL;
}
