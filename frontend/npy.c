/* npy.c - reads and writes .npy: see fe.h. The header is a Python dictionary
 * of three keys in any order; numpy writes it in one way, other writers in
 * others. */
#include "frontend/fe.h"
#include "ir/eval.h"

#include <string.h>

struct header {
  struct dn_ctx *ctx;
  const char *file;
  const char *s, *end;
};

static bool fail(const struct header *h, const char *what) {
  return dn_error(h->ctx, (struct dn_loc){.file = h->file}, DN_NPY, "%s", what);
}

bool fe_is_npy(const struct dn_file *f) {
  return f->size >= 10 && !memcmp(f->data, "\x93NUMPY", 6);
}

/* The text after 'key': in the dictionary, or NULL. */
static const char *find(const struct header *h, const char *key) {
  size_t n = strlen(key);
  for (const char *s = h->s; s + n + 3 <= h->end; s++) {
    if ((*s != '\'' && *s != '"') || memcmp(s + 1, key, n) || s[n + 1] != *s)
      continue;
    s += n + 2;
    while (s < h->end && *s == ' ')
      s++;
    if (s == h->end || *s++ != ':')
      return NULL;
    while (s < h->end && *s == ' ')
      s++;
    return s;
  }
  return NULL;
}

/* S<N>: strings of N bytes. */
static bool read_width(const struct header *h, const char *s, int64_t *width) {
  int64_t v = 0;
  for (; s < h->end && *s >= '0' && *s <= '9'; s++)
    if (!dn_mul(v, 10, &v) || !dn_add(v, *s - '0', &v))
      return fail(h, "the strings' length overflows");
  *width = v;
  return v > 0 || fail(h, "strings without bytes");
}

/* width: of strings, or 0. */
static bool read_dtype(const struct header *h, enum ir_dtype *out,
                       int64_t *width) {
  const char *s = find(h, "descr");
  if (!s || h->end - s < 6 || (*s != '\'' && *s != '"'))
    return fail(h, "the header has no 'descr'");
  char order = s[1];
  if (s[2] == 'S') {
    *out = IR_CHAR;
    return read_width(h, s + 3, width);
  }
  for (int t = 0; t < IR_NUM_DTYPES; t++) {
    const char *npy = ir_dtypes[t].npy;
    if (!npy[0] || memcmp(s + 2, npy, 2) || s[4] != *s)
      continue;
    if (order == '>' && ir_dtypes[t].bytes > 1)
      return fail(h, "big-endian data");
    *out = (enum ir_dtype)t;
    return true;
  }
  return fail(h, "an element type that dnnc does not have");
}

static bool read_shape(const struct header *h, int64_t *rank, int64_t *dims) {
  const char *s = find(h, "shape");
  if (!s || s == h->end || *s++ != '(')
    return fail(h, "the header has no 'shape'");
  *rank = 0;
  for (;;) {
    while (s < h->end && (*s == ' ' || *s == ','))
      s++;
    if (s == h->end)
      return fail(h, "the shape does not end");
    if (*s == ')')
      return true;
    if (*rank == IR_MAX_RANK || *s < '0' || *s > '9')
      return fail(h, "the shape is malformed");
    int64_t v = 0;
    for (; s < h->end && *s >= '0' && *s <= '9'; s++)
      if (!dn_mul(v, 10, &v) || !dn_add(v, *s - '0', &v))
        return fail(h, "the shape overflows");
    dims[(*rank)++] = v;
  }
}

bool fe_npy_read(struct dn_ctx *ctx, const struct dn_file *f,
                 struct ir_tensor *out) {
  struct header h = {ctx, f->path, NULL, NULL};
  if (!fe_is_npy(f))
    return fail(&h, "not a .npy file");
  size_t at = 10, n = f->data[8] | (size_t)f->data[9] << 8;
  if (f->data[6] > 1) { /* versions 2 and 3 have four bytes of length */
    if (f->size < 12)
      return fail(&h, "the header is cut short");
    n |= (size_t)f->data[10] << 16 | (size_t)f->data[11] << 24;
    at = 12;
  }
  if (n > f->size - at)
    return fail(&h, "the header is cut short");
  h.s = (const char *)f->data + at;
  h.end = h.s + n;
  enum ir_dtype dtype = IR_F32;
  int64_t rank = 0, width = 0, dims[IR_MAX_RANK];
  const char *order = find(&h, "fortran_order");
  if (!order || h.end - order < 5 || memcmp(order, "False", 5))
    return fail(&h, "the data are not in C order");
  if (!read_dtype(&h, &dtype, &width) || !read_shape(&h, &rank, dims))
    return false;
  if (width && rank == IR_MAX_RANK)
    return fail(&h, "strings of too many dimensions");
  if (width)
    dims[rank++] = width;
  out->type = ir_type_checked(ctx, f->path, dtype, rank, dims);
  if (!out->type)
    return false;
  if ((int64_t)(f->size - at - n) != ir_type_bytes(out->type))
    return fail(&h, "more or fewer data bytes than the shape needs");
  /* Borrowed; callers only read. */
  out->data = (void *)(uintptr_t)(f->data + at + n);
  return true;
}

bool fe_write_npy(struct dn_ctx *ctx, const char *path,
                  const struct ir_tensor *t) {
  struct dn_buf out = dn_buf_new(ctx->arena);
  const struct ir_dtype_row *row = &ir_dtypes[t->type->dtype];
  const char *bits = row->bytes > 1 ? "u2" : "u1"; /* bf16, f8e5m2 .. */
  const char *npy = row->npy[0] ? row->npy : bits;
  int rank = t->type->rank;
  if (t->type->dtype == IR_CHAR && rank)
    npy = dn_printf(ctx->arena, "S%lld", (long long)t->type->dim[--rank]);
  dn_buf_printf(&out, "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
                row->bytes > 1 ? '<' : '|', npy);
  for (int i = 0; i < rank; i++)
    dn_buf_printf(&out, "%lld,%s", (long long)t->type->dim[i],
                  i + 1 < rank ? " " : "");
  dn_buf_printf(&out, "), }");
  /* Magic, version, length and header fill a multiple of 64 bytes. */
  size_t total = (10 + out.len + 1 + 63) / 64 * 64;
  while (out.len < total - 11)
    dn_buf_put(&out, " ", 1);
  dn_buf_put(&out, "\n", 1);
  size_t bytes = (size_t)ir_type_bytes(t->type);
  char *file = dn_alloc(ctx->arena, total + bytes);
  memcpy(file, "\x93NUMPY\x01\x00", 8);
  file[8] = (char)(out.len & 255);
  file[9] = (char)(out.len >> 8);
  memcpy(file + 10, out.text, out.len);
  if (bytes)
    memcpy(file + total, t->data, bytes);
  return dn_file_write(ctx, path, file, total + bytes);
}
