/* onnx_model.c - the messages of an ONNX file, one reader each. Field numbers
 * are those of onnx.proto; fields that do not matter to a compiler (doc
 * strings, metadata, value_info, training) are stepped over unread.
 *
 * The recursion graph -> node -> attribute -> graph is bounded by the nesting
 * limit that wire_message() keeps. */
#include "frontend/onnx_model.h"

#include <string.h>

static struct dn_arena *arena_of(const struct wire *w) {
  return w->file->ctx->arena;
}

/* Lists grow with the file, but a message costs two bytes there and more here:
 * --limit-nodes and --limit-attr cap them. */
static bool room(struct wire *w, const struct wire_field *f, size_t n,
                 int64_t limit, const char *what) {
  if (n < (size_t)limit)
    return true;
  wire_limit(w->file, f->at, "more than %lld %s", (long long)limit, what);
  return false;
}
#define ROOM_NODE(w, f, list)                                                  \
  room(w, f, (list).n, (w)->file->ctx->limits.nodes,                           \
       "messages in a list (--limit-nodes)")
#define ROOM_ATTR(w, f, list)                                                  \
  room(w, f, (list).n, (w)->file->ctx->limits.attr,                            \
       "elements in a list (--limit-attr)")

static struct onnx_entry read_entry(struct wire w) {
  struct onnx_entry e = {.key = ""};
  for (struct wire_field f; wire_next(&w, &f);) {
    if (f.number == 1)
      e.key = wire_name(&w, &f);
    else if (f.number == 2)
      e.value = wire_bytes(&w, &f);
  }
  return e;
}

bool onnx_tensor_read(struct wire w, struct onnx_tensor *out) {
  *out = (struct onnx_tensor){.name = "", .message = {w.next, 0}};
  out->message.size = (size_t)(w.end - w.next);
  for (struct wire_field f; wire_next(&w, &f);) {
    switch (f.number) {
    case 1: {
      struct wire_packed cursor = {0};
      uint64_t v;
      while (wire_repeated(&w, &f, WIRE_VARINT, &cursor, &v) &&
             ROOM_ATTR(&w, &f, out->dims))
        DN_PUSH(arena_of(&w), out->dims, (int64_t)v);
      break;
    }
    case 2:
      out->dtype = wire_int(&w, &f);
      break;
    case 3:
      out->segment = true;
      break;
    case 4:
    case 5:
    case 6:
    case 7:
    case 10:
    case 11:
      out->typed |= 1u << f.number;
      break;
    case 8:
      out->name = wire_name(&w, &f);
      break;
    case 9:
      out->raw = wire_bytes(&w, &f);
      out->has_raw = true;
      break;
    case 13:
      if (ROOM_ATTR(&w, &f, out->entries))
        DN_PUSH(arena_of(&w), out->entries, read_entry(wire_message(&w, &f)));
      break;
    case 14:
      out->external = wire_int(&w, &f) == 1;
      break;
    }
  }
  return w.file->ok;
}

static struct onnx_sparse read_sparse(struct wire w) {
  struct onnx_sparse s = {.values.name = "", .indices.name = ""};
  for (struct wire_field f; wire_next(&w, &f);) {
    struct wire_packed cursor = {0};
    if (f.number == 1)
      onnx_tensor_read(wire_message(&w, &f), &s.values);
    else if (f.number == 2)
      onnx_tensor_read(wire_message(&w, &f), &s.indices);
    for (uint64_t v; f.number == 3 &&
                     wire_repeated(&w, &f, WIRE_VARINT, &cursor, &v) &&
                     ROOM_ATTR(&w, &f, s.dims);)
      DN_PUSH(arena_of(&w), s.dims, (int64_t)v);
  }
  return s;
}

static struct onnx_graph *read_graph(struct wire w);

static void read_doubles(struct wire *w, const struct wire_field *f,
                         struct onnx_attr *a) {
  struct wire_packed cursor = {0};
  uint64_t v;
  while (wire_repeated(w, f, WIRE_I32, &cursor, &v) &&
         ROOM_ATTR(w, f, a->floats)) {
    uint32_t bits = (uint32_t)v;
    float x;
    memcpy(&x, &bits, sizeof x);
    DN_PUSH(arena_of(w), a->floats, (double)x);
  }
}

static void read_ints(struct wire *w, const struct wire_field *f,
                      struct onnx_attr *a) {
  struct wire_packed cursor = {0};
  uint64_t v;
  while (wire_repeated(w, f, WIRE_VARINT, &cursor, &v) &&
         ROOM_ATTR(w, f, a->ints))
    DN_PUSH(arena_of(w), a->ints, (int64_t)v);
}

/* Reads one field of an AttributeProto; returns the type of value it holds. */
static enum onnx_attr_type read_attr_field(struct wire *w,
                                           const struct wire_field *f,
                                           struct onnx_attr *a) {
  switch (f->number) {
  case 1:
    a->name = wire_name(w, f);
    return ONNX_UNDEFINED;
  case 21:
    a->ref = wire_name(w, f);
    return ONNX_UNDEFINED;
  case 20:
    a->type = wire_int(w, f);
    return ONNX_UNDEFINED;
  case 2:
    a->f = wire_float(w, f);
    return ONNX_FLOAT;
  case 3:
    a->i = wire_int(w, f);
    return ONNX_INT;
  case 4:
    a->s = wire_bytes(w, f);
    return ONNX_STRING;
  case 5:
    a->t = DN_NEW(arena_of(w), struct onnx_tensor);
    onnx_tensor_read(wire_message(w, f), a->t);
    return ONNX_TENSOR;
  case 6:
    a->g = read_graph(wire_message(w, f));
    return ONNX_GRAPH;
  case 7:
    read_doubles(w, f, a);
    return ONNX_FLOATS;
  case 8:
    read_ints(w, f, a);
    return ONNX_INTS;
  case 9:
    if (ROOM_ATTR(w, f, a->strings))
      DN_PUSH(arena_of(w), a->strings, wire_bytes(w, f));
    return ONNX_STRINGS;
  case 10:
    return ONNX_TENSORS;
  case 11:
    return ONNX_GRAPHS;
  case 22:
    a->sparse = DN_NEW(arena_of(w), struct onnx_sparse);
    *a->sparse = read_sparse(wire_message(w, f));
    return ONNX_SPARSE;
  case 23:
    return ONNX_SPARSES;
  case 14:
    return ONNX_TYPE;
  case 15:
    return ONNX_TYPES;
  }
  return ONNX_UNDEFINED;
}

static struct onnx_attr read_attr(struct wire w) {
  struct onnx_attr a = {.name = "", .type = -1};
  for (struct wire_field f; wire_next(&w, &f);)
    a.present |= 1u << read_attr_field(&w, &f, &a);
  a.present &= ~(1u << ONNX_UNDEFINED);
  if (a.type < 0 && !(a.present & (a.present - 1)))
    for (int t = 1; t <= ONNX_TYPES; t++) /* old files leave the type out */
      if (a.present == 1u << t)
        a.type = t;
  return a;
}

static struct onnx_node read_node(struct wire w) {
  struct onnx_node n = {.name = "",
                        .op = "",
                        .domain = dn_intern(w.file->ctx, ""),
                        .overload = ""};
  for (struct wire_field f; wire_next(&w, &f);) {
    switch (f.number) {
    case 1:
      if (ROOM_ATTR(&w, &f, n.inputs))
        DN_PUSH(arena_of(&w), n.inputs, wire_name(&w, &f));
      break;
    case 2:
      if (ROOM_ATTR(&w, &f, n.outputs))
        DN_PUSH(arena_of(&w), n.outputs, wire_name(&w, &f));
      break;
    case 3:
      n.name = wire_name(&w, &f);
      break;
    case 4:
      n.op = wire_name(&w, &f);
      break;
    case 5:
      if (ROOM_ATTR(&w, &f, n.attrs))
        DN_PUSH(arena_of(&w), n.attrs, read_attr(wire_message(&w, &f)));
      break;
    case 7:
      n.domain = wire_name(&w, &f);
      break;
    case 8:
      n.overload = wire_name(&w, &f);
      break;
    }
  }
  if (!strcmp(n.domain, "ai.onnx"))
    n.domain = dn_intern(w.file->ctx, "");
  return n;
}

static struct onnx_dim read_dim(struct wire w) {
  struct onnx_dim d = {0};
  for (struct wire_field f; wire_next(&w, &f);) {
    if (f.number == 1) {
      d.has_value = true;
      d.value = wire_int(&w, &f);
    } else if (f.number == 2) {
      d.param = wire_name(&w, &f);
      if (!d.param[0])
        d.param = NULL;
    }
  }
  return d;
}

static void read_tensor_type(struct wire w, struct onnx_value *v) {
  for (struct wire_field f; wire_next(&w, &f);) {
    if (f.number == 1) {
      v->dtype = wire_int(&w, &f);
    } else if (f.number == 2) {
      v->has_shape = true;
      struct wire shape = wire_message(&w, &f);
      for (struct wire_field g; wire_next(&shape, &g);)
        if (g.number == 1 && ROOM_ATTR(&w, &f, v->dims))
          DN_PUSH(arena_of(&w), v->dims, read_dim(wire_message(&shape, &g)));
    }
  }
}

static struct onnx_value read_value(struct wire w) {
  struct onnx_value v = {.name = ""};
  for (struct wire_field f; wire_next(&w, &f);) {
    if (f.number == 1)
      v.name = wire_name(&w, &f);
    if (f.number != 2)
      continue;
    struct wire type = wire_message(&w, &f);
    for (struct wire_field g; wire_next(&type, &g);) {
      static const char *const kinds[] = {
          [1] = "tensor", [4] = "sequence",      [5] = "map",
          [7] = "opaque", [8] = "sparse tensor", [9] = "optional"};
      if (g.number < sizeof kinds / sizeof *kinds && kinds[g.number])
        v.kind = kinds[g.number];
      if (g.number == 1)
        read_tensor_type(wire_message(&type, &g), &v);
    }
  }
  return v;
}

static struct onnx_graph *read_graph(struct wire w) {
  struct onnx_graph *g = DN_NEW(arena_of(&w), struct onnx_graph);
  g->name = "";
  for (struct wire_field f; wire_next(&w, &f);) {
    switch (f.number) {
    case 1:
      if (ROOM_NODE(&w, &f, g->nodes))
        DN_PUSH(arena_of(&w), g->nodes, read_node(wire_message(&w, &f)));
      break;
    case 2:
      g->name = wire_name(&w, &f);
      break;
    case 5: {
      struct onnx_tensor t;
      onnx_tensor_read(wire_message(&w, &f), &t);
      if (ROOM_NODE(&w, &f, g->initializers))
        DN_PUSH(arena_of(&w), g->initializers, t);
      break;
    }
    case 11:
      if (ROOM_NODE(&w, &f, g->inputs))
        DN_PUSH(arena_of(&w), g->inputs, read_value(wire_message(&w, &f)));
      break;
    case 12:
      if (ROOM_NODE(&w, &f, g->outputs))
        DN_PUSH(arena_of(&w), g->outputs, read_value(wire_message(&w, &f)));
      break;
    case 15:
      if (ROOM_NODE(&w, &f, g->sparse))
        DN_PUSH(arena_of(&w), g->sparse, read_sparse(wire_message(&w, &f)));
      break;
    }
  }
  return g;
}

static struct onnx_opset read_opset(struct wire w) {
  struct onnx_opset o = {.domain = dn_intern(w.file->ctx, "")};
  for (struct wire_field f; wire_next(&w, &f);) {
    if (f.number == 1)
      o.domain = wire_name(&w, &f);
    else if (f.number == 2)
      o.version = wire_int(&w, &f);
  }
  if (!strcmp(o.domain, "ai.onnx"))
    o.domain = dn_intern(w.file->ctx, "");
  return o;
}

static void read_function_field(struct wire *w, const struct wire_field *f,
                                struct onnx_function *fn) {
  switch (f->number) {
  case 1:
    fn->name = wire_name(w, f);
    break;
  case 4:
    if (ROOM_ATTR(w, f, fn->inputs))
      DN_PUSH(arena_of(w), fn->inputs, wire_name(w, f));
    break;
  case 5:
    if (ROOM_ATTR(w, f, fn->outputs))
      DN_PUSH(arena_of(w), fn->outputs, wire_name(w, f));
    break;
  case 6:
    if (ROOM_ATTR(w, f, fn->attrs))
      DN_PUSH(arena_of(w), fn->attrs, wire_name(w, f));
    break;
  case 7:
    if (ROOM_NODE(w, f, fn->nodes))
      DN_PUSH(arena_of(w), fn->nodes, read_node(wire_message(w, f)));
    break;
  case 9:
    if (ROOM_ATTR(w, f, fn->opsets))
      DN_PUSH(arena_of(w), fn->opsets, read_opset(wire_message(w, f)));
    break;
  case 10:
    fn->domain = wire_name(w, f);
    break;
  case 11:
    if (ROOM_ATTR(w, f, fn->defaults))
      DN_PUSH(arena_of(w), fn->defaults, read_attr(wire_message(w, f)));
    break;
  case 13:
    fn->overload = wire_name(w, f);
    break;
  }
}

struct onnx_model *onnx_model_read(struct wire_file *file) {
  struct wire w =
      wire_open(file, (struct wire_span){file->base, file->size}, 0);
  struct onnx_model *m = DN_NEW(file->ctx->arena, struct onnx_model);
  m->producer = "";
  for (struct wire_field f; wire_next(&w, &f);) {
    switch (f.number) {
    case 1:
      m->ir_version = wire_int(&w, &f);
      break;
    case 2:
      m->producer = wire_name(&w, &f);
      break;
    case 7:
      m->graph = read_graph(wire_message(&w, &f));
      break;
    case 8:
      if (ROOM_ATTR(&w, &f, m->opsets))
        DN_PUSH(file->ctx->arena, m->opsets, read_opset(wire_message(&w, &f)));
      break;
    case 25: {
      struct onnx_function fn = {.name = "", .domain = "", .overload = ""};
      struct wire body = wire_message(&w, &f);
      for (struct wire_field g; wire_next(&body, &g);)
        read_function_field(&body, &g, &fn);
      if (!strcmp(fn.domain, "ai.onnx"))
        fn.domain = dn_intern(file->ctx, "");
      if (ROOM_ATTR(&w, &f, m->functions))
        DN_PUSH(file->ctx->arena, m->functions, fn);
      break;
    }
    }
  }
  return file->ok ? m : NULL;
}
