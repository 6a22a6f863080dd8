/* flatbuffer.c - the FlatBuffers format. See flatbuffer.h. A table begins with
 * the distance back to its vtable, which has the offset of each field in it;
 * what is no number is one more offset away. */
#include "frontend/flatbuffer.h"

#include <string.h>

bool fb_error(struct fb_file *file, size_t at, enum dn_code code,
              const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  dn_error_byte(file->ctx, file->path, at, &file->ok, code, fmt, ap);
  va_end(ap);
  return false;
}

static bool is_inside(struct fb_file *file, size_t at, size_t n) {
  return at <= file->size && n <= file->size - at;
}

static uint64_t load(const struct fb_file *file, size_t at, int bytes) {
  uint64_t v = 0;
  for (int i = 0; i < bytes; i++)
    v |= (uint64_t)file->base[at + (size_t)i] << (8 * i);
  return v;
}

/* Where the offset at `at` leads to; 0 after an error. */
static size_t follow(struct fb_file *file, size_t at) {
  size_t to = at + (size_t)load(file, at, 4);
  if (to > at && is_inside(file, to, 4))
    return to;
  fb_error(file, at, DN_WIRE, "an offset leads out of the file");
  return 0;
}

/* Parts that are gone through; false after an error. */
static bool visit(struct fb_file *file, size_t at, size_t n) {
  file->visited += n;
  return file->visited <= file->size ||
         fb_error(file, at, DN_LIMIT, "the model has more parts than bytes");
}

static struct fb_table open_table(struct fb_file *file, size_t at) {
  struct fb_table t = {.file = file}, none = t;
  if (!at || !file->ok)
    return none;
  if (!visit(file, at, 1))
    return none;
  int64_t vtable = (int64_t)at - (int32_t)load(file, at, 4);
  if (vtable < 0 || !is_inside(file, (size_t)vtable, 4)) {
    fb_error(file, at, DN_WIRE, "the fields of a table lie out of the file");
    return none;
  }
  t.at = at;
  t.vtable = (size_t)vtable;
  t.vsize = (size_t)load(file, t.vtable, 2);
  t.size = (size_t)load(file, t.vtable + 2, 2);
  if (t.vsize >= 4 && is_inside(file, t.vtable, t.vsize) && t.size >= 4 &&
      is_inside(file, at, t.size))
    return t;
  fb_error(file, at, DN_WIRE, "a table runs past the end of the file");
  return none;
}

struct fb_table fb_root(struct fb_file *file) {
  if (!is_inside(file, 0, 8)) {
    fb_error(file, 0, DN_WIRE, "the file ends before its first table");
    return (struct fb_table){.file = file};
  }
  return open_table(file, follow(file, 0));
}

/* Where the field's `bytes` bytes are; 0: absent. */
static size_t field_at(const struct fb_table *t, int field, size_t bytes) {
  size_t entry = 4 + 2 * (size_t)field;
  if (!t->at || !t->file->ok || entry + 2 > t->vsize)
    return 0;
  size_t offset = (size_t)load(t->file, t->vtable + entry, 2);
  if (!offset || offset + bytes <= t->size)
    return offset ? t->at + offset : 0;
  fb_error(t->file, t->at, DN_WIRE, "field %d runs past the end of its table",
           field);
  return 0;
}

struct fb_table fb_child(const struct fb_table *t, int field) {
  size_t at = field_at(t, field, 4);
  return open_table(t->file, at ? follow(t->file, at) : 0);
}

static int64_t integer(const struct fb_file *file, size_t at, int bytes,
                       bool is_signed) {
  uint64_t v = load(file, at, bytes);
  int up = 64 - 8 * bytes;
  return is_signed ? (int64_t)(v << up) >> up : (int64_t)v;
}

int64_t fb_int(const struct fb_table *t, int field, int bytes, bool is_signed,
               int64_t otherwise) {
  size_t at = field_at(t, field, (size_t)bytes);
  return at ? integer(t->file, at, bytes, is_signed) : otherwise;
}

static float real(const struct fb_file *file, size_t at) {
  uint32_t bits = (uint32_t)load(file, at, 4);
  float v;
  memcpy(&v, &bits, sizeof v);
  return v;
}

double fb_float(const struct fb_table *t, int field, double otherwise) {
  size_t at = field_at(t, field, 4);
  return at ? (double)real(t->file, at) : otherwise;
}

struct fb_vector fb_list(const struct fb_table *t, int field, size_t bytes) {
  struct fb_vector v = {.file = t->file};
  size_t at = field_at(t, field, 4);
  if (at)
    at = follow(t->file, at);
  if (!at)
    return v;
  uint64_t n = load(t->file, at, 4);
  if (n > (t->file->size - at - 4) / bytes) {
    fb_error(t->file, at, DN_WIRE,
             "a vector of %llu elements runs past the end of the file",
             (unsigned long long)n);
    return v;
  }
  v.at = at + 4;
  if (bytes == 1 || visit(t->file, at, (size_t)n))
    v.n = (size_t)n;
  return v;
}

struct fb_table fb_at(const struct fb_vector *v, size_t i) {
  return open_table(v->file, follow(v->file, v->at + 4 * i));
}

int64_t fb_int_at(const struct fb_vector *v, size_t i, int bytes) {
  return integer(v->file, v->at + i * (size_t)bytes, bytes, true);
}

float fb_float_at(const struct fb_vector *v, size_t i) {
  return real(v->file, v->at + 4 * i);
}

const char *fb_name(const struct fb_table *t, int field) {
  struct fb_vector v = fb_list(t, field, 1);
  if (!v.n)
    return "";
  const char *s = (const char *)v.file->base + v.at;
  if (!visit(v.file, v.at, v.n / 16))
    return "";
  if (v.n > (size_t)v.file->ctx->limits.name) {
    fb_error(v.file, v.at, DN_LIMIT, "a name of %zu bytes", v.n);
    return "";
  }
  return dn_intern_n(v.file->ctx, s, strnlen(s, v.n));
}
