/* onnx_wire.c - the protobuf wire format. See onnx_wire.h. */
#include "frontend/onnx_wire.h"

#include <stdlib.h>
#include <string.h>

bool wire_fail(struct wire_file *file, const uint8_t *at, enum dn_code code,
               const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  dn_error_byte(file->ctx, file->path, (size_t)(at - file->base), &file->ok,
                code, fmt, ap);
  va_end(ap);
  return false;
}

struct wire wire_open(struct wire_file *file, struct wire_span bytes,
                      int depth) {
  return (struct wire){.file = file,
                       .next = bytes.data,
                       .end = bytes.data + bytes.size,
                       .depth = depth};
}

/* One varint at *p, which is moved behind it. */
static bool read_varint(struct wire_file *file, const uint8_t **p,
                        const uint8_t *end, uint64_t *out) {
  const uint8_t *start = *p;
  uint64_t v = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    if (*p == end)
      return wire_error(file, start,
                        "a varint runs past the end of its message");
    uint8_t byte = *(*p)++;
    if (shift == 63 && byte > 1)
      break;
    v |= (uint64_t)(byte & 0x7f) << shift;
    if (!(byte & 0x80)) {
      *out = v;
      return true;
    }
  }
  return wire_error(file, start, "a varint is longer than 64 bits");
}

static bool read_fixed(struct wire_file *file, const uint8_t **p,
                       const uint8_t *end, int bytes, uint64_t *out) {
  if (end - *p < bytes)
    return wire_error(
        file, *p, "a %d-byte value runs past the end of its message", bytes);
  *out = wire_le(*p, bytes);
  *p += bytes;
  return true;
}

bool wire_next(struct wire *w, struct wire_field *f) {
  if (w->next == w->end || !w->file->ok)
    return false;
  *f = (struct wire_field){.at = w->next};
  uint64_t tag;
  if (!read_varint(w->file, &w->next, w->end, &tag))
    return false;
  if (tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
    return wire_error(w->file, f->at, "field number %llu is out of range",
                      (unsigned long long)(tag >> 3));
  f->number = (uint32_t)(tag >> 3);
  f->type = (enum wire_type)(tag & 7);
  switch (f->type) {
  case WIRE_VARINT:
    return read_varint(w->file, &w->next, w->end, &f->num);
  case WIRE_I64:
    return read_fixed(w->file, &w->next, w->end, 8, &f->num);
  case WIRE_I32:
    return read_fixed(w->file, &w->next, w->end, 4, &f->num);
  case WIRE_LEN: {
    uint64_t size;
    if (!read_varint(w->file, &w->next, w->end, &size))
      return false;
    if (size > (uint64_t)(w->end - w->next))
      return wire_error(
          w->file, f->at,
          "a field of %llu bytes runs past the end of its message",
          (unsigned long long)size);
    f->span = (struct wire_span){w->next, (size_t)size};
    w->next += size;
    return true;
  }
  }
  return wire_error(w->file, f->at, "wire type %d is not used by ONNX",
                    (int)(tag & 7));
}

static bool want(struct wire *w, const struct wire_field *f,
                 enum wire_type type) {
  if (f->type == type)
    return true;
  return wire_error(w->file, f->at, "field %u has wire type %d, not %d",
                    f->number, (int)f->type, (int)type);
}

struct wire_span wire_bytes(struct wire *w, const struct wire_field *f) {
  return want(w, f, WIRE_LEN) ? f->span : (struct wire_span){w->end, 0};
}

int64_t wire_int(struct wire *w, const struct wire_field *f) {
  return want(w, f, WIRE_VARINT) ? (int64_t)f->num : 0;
}

float wire_float(struct wire *w, const struct wire_field *f) {
  float v = 0;
  if (want(w, f, WIRE_I32)) {
    uint32_t bits = (uint32_t)f->num;
    memcpy(&v, &bits, sizeof v);
  }
  return v;
}

struct wire wire_message(struct wire *w, const struct wire_field *f) {
  struct wire_span bytes = wire_bytes(w, f);
  if (w->depth + 1 > w->file->ctx->limits.depth) {
    wire_limit(w->file, f->at,
               "messages nest deeper than %lld levels (--limit-depth)",
               (long long)w->file->ctx->limits.depth);
    bytes.size = 0;
  }
  return wire_open(w->file, bytes, w->depth + 1);
}

const char *wire_name(struct wire *w, const struct wire_field *f) {
  struct dn_ctx *ctx = w->file->ctx;
  struct wire_span s = wire_bytes(w, f);
  if (s.size > (size_t)ctx->limits.name) {
    wire_limit(w->file, f->at, "a name of %zu bytes (--limit-name=%lld)",
               s.size, (long long)ctx->limits.name);
    return dn_intern(ctx, "");
  }
  if (!memchr(s.data, 0, s.size))
    return dn_intern_n(ctx, (const char *)s.data, s.size);
  struct dn_buf text = dn_buf_new(ctx->arena);
  for (size_t i = 0; i < s.size; i++) {
    if (s.data[i])
      dn_buf_put(&text, (const char *)&s.data[i], 1);
    else
      dn_buf_put(&text, "\\x00", 4);
  }
  return dn_intern_n(ctx, text.text, text.len);
}

bool wire_repeated(struct wire *w, const struct wire_field *f,
                   enum wire_type type, struct wire_packed *cursor,
                   uint64_t *out) {
  if (!cursor->started) {
    cursor->started = true;
    if (f->type != WIRE_LEN) { /* one unpacked value */
      cursor->next = cursor->end = NULL;
      *out = f->num;
      return want(w, f, type);
    }
    cursor->next = f->span.data;
    cursor->end = f->span.data + f->span.size;
  }
  if (cursor->next == cursor->end || !w->file->ok)
    return false;
  if (type == WIRE_VARINT)
    return read_varint(w->file, &cursor->next, cursor->end, out);
  return read_fixed(w->file, &cursor->next, cursor->end,
                    type == WIRE_I64 ? 8 : 4, out);
}
