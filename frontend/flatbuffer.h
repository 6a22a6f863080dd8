/* flatbuffer.h - reads FlatBuffers where they lie in the mapped file: no copy,
 * no generated code, every offset and length checked against the file. Broken
 * bytes are one DN_WIRE error with the offset, after which `ok` of the file is
 * false and all that is read is absent. Tables may share what they point to, so
 * elements that are visited are counted: more than the file has bytes is an
 * error. */
#ifndef FE_FLATBUFFER_H
#define FE_FLATBUFFER_H

#include "ir/diag.h"

/* What the readers of one file share. */
struct fb_file {
  struct dn_ctx *ctx;
  const char *path;
  const uint8_t *base;
  size_t size;
  size_t visited;
  bool ok;
};

/* A table, `vtable` its list of fields; at = 0: absent. */
struct fb_table {
  struct fb_file *file;
  size_t at, vtable, vsize, size;
};

/* A vector of n elements from `at` on. */
struct fb_vector {
  struct fb_file *file;
  size_t at, n;
};

struct fb_table fb_root(struct fb_file *file);
struct fb_table fb_child(const struct fb_table *t, int field);
/* An integer of `bytes` bytes; `otherwise` when absent. */
int64_t fb_int(const struct fb_table *t, int field, int bytes, bool is_signed,
               int64_t otherwise);
double fb_float(const struct fb_table *t, int field, double otherwise);
/* Elements of `bytes` bytes each, of tables 4. */
struct fb_vector fb_list(const struct fb_table *t, int field, size_t bytes);
/* Element i < n, as a table or as an integer. */
struct fb_table fb_at(const struct fb_vector *v, size_t i);
int64_t fb_int_at(const struct fb_vector *v, size_t i, int bytes);
float fb_float_at(const struct fb_vector *v, size_t i);
/* Interned; "" when absent. A NUL inside ends it. */
const char *fb_name(const struct fb_table *t, int field);
/* An error at byte `at`, once a file; false. */
bool fb_error(struct fb_file *file, size_t at, enum dn_code code,
              const char *fmt, ...) DN_PRINTF(4, 5);

#endif
