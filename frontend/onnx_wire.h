/* onnx_wire.h - reads protobuf messages where they lie in the mapped file: no
 * copy, no generated code, every length checked against its parent. A reader
 * steps over the fields of one message; a nested message is a reader of its
 * own, one level deeper. Broken bytes are one DN_WIRE error with the offset,
 * after which the reader ends and `ok` of the file is false. */
#ifndef FE_ONNX_WIRE_H
#define FE_ONNX_WIRE_H

#include "ir/diag.h"

/* What the readers of one file share. */
struct wire_file {
  struct dn_ctx *ctx;
  const char *path;
  const uint8_t *base;
  size_t size;
  bool ok;
  bool externals; /* tensors may lie in files beside it */
};

/* Bytes of the file. */
struct wire_span {
  const uint8_t *data;
  size_t size;
};

struct wire {
  struct wire_file *file;
  const uint8_t *next, *end;
  int depth; /* messages around this one */
};

enum wire_type { WIRE_VARINT = 0, WIRE_I64 = 1, WIRE_LEN = 2, WIRE_I32 = 5 };

struct wire_field {
  uint32_t number;
  enum wire_type type;
  uint64_t num;          /* WIRE_VARINT, WIRE_I64, WIRE_I32 */
  struct wire_span span; /* WIRE_LEN */
  const uint8_t *at;     /* where the field begins */
};

struct wire wire_open(struct wire_file *file, struct wire_span bytes,
                      int depth);
/* The next field; false at the end or at an error. */
bool wire_next(struct wire *w, struct wire_field *f);
/* An error at `at`, once a file; false. wire_limit(): of what is well formed,
 * but over a limit of ours. */
#define wire_error(file, at, ...) wire_fail(file, at, DN_WIRE, __VA_ARGS__)
#define wire_limit(file, at, ...) wire_fail(file, at, DN_LIMIT, __VA_ARGS__)
bool wire_fail(struct wire_file *file, const uint8_t *at, enum dn_code code,
               const char *fmt, ...) DN_PRINTF(4, 5);

/* The field's value as the type that the schema gives it; a field of another
 * wire type is an error and gives zero. */
struct wire_span wire_bytes(struct wire *w, const struct wire_field *f);
int64_t wire_int(struct wire *w, const struct wire_field *f);
float wire_float(struct wire *w, const struct wire_field *f);
/* A reader for the nested message; an empty one where messages nest deeper than
 * the limit. */
struct wire wire_message(struct wire *w, const struct wire_field *f);
/* Interned; a name over --limit-name is an error and gives "". A NUL inside is
 * spelled out. */
const char *wire_name(struct wire *w, const struct wire_field *f);

/* Steps over a repeated number, packed or not: calls with the same cursor until
 * false. Start with a zeroed cursor. */
struct wire_packed {
  const uint8_t *next, *end;
  bool started;
};
bool wire_repeated(struct wire *w, const struct wire_field *f,
                   enum wire_type type, struct wire_packed *cursor,
                   uint64_t *out);

static inline uint64_t wire_le(const uint8_t *p, int bytes) {
  uint64_t v = 0;
  for (int i = 0; i < bytes; i++)
    v |= (uint64_t)p[i] << (8 * i);
  return v;
}

#endif
