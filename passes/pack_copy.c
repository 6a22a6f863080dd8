/* pack_copy.c - see pack_copy.h. */
#include "passes/pack_copy.h"

#include <assert.h>
#include <string.h>

/* Bytes of files are not aligned to elements. */
static inline void copy_elements(const struct pack_copy *c, const char *from,
                                 char *to, int64_t rows, int64_t columns,
                                 int64_t bytes) {
  const int64_t *f = c->from + c->rank - 2, *t = c->to + c->rank - 2;
  const int64_t f0 = f[0], f1 = f[1], t0 = t[0], t1 = t[1];
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++)
      memcpy(to + (i * t0 + j * t1) * bytes, from + (i * f0 + j * f1) * bytes,
             (size_t)bytes);
}

/* A block of the last two dims. */
static void copy_block(const struct pack_copy *c, const char *from, char *to,
                       int64_t rows, int64_t columns) {
  switch (c->bytes) {
  case 1:
    copy_elements(c, from, to, rows, columns, 1);
    break;
  case 2:
    copy_elements(c, from, to, rows, columns, 2);
    break;
  case 4:
    copy_elements(c, from, to, rows, columns, 4);
    break;
  default:
    assert(c->bytes == 8 && "dtypes.def has elements of 1, 2, 4, 8 bytes");
    copy_elements(c, from, to, rows, columns, 8);
    break;
  }
}

/* The last two dims, in blocks whose lines stay in the cache on both sides. */
static void copy_plane(const struct pack_copy *c, const char *from, char *to) {
  enum { BLOCK = 16 };
  int r = c->rank - 2, k = c->rank - 1;
  int64_t bytes = (int64_t)c->bytes;
  for (int64_t i = 0; i < c->dim[r]; i += BLOCK)
    for (int64_t j = 0; j < c->dim[k]; j += BLOCK)
      copy_block(c, from + (i * c->from[r] + j * c->from[k]) * bytes,
                 to + (i * c->to[r] + j * c->to[k]) * bytes,
                 dn_min(BLOCK, c->dim[r] - i), dn_min(BLOCK, c->dim[k] - j));
}

void pack_strided(const struct pack_copy *c, const char *from, char *to) {
  int64_t at[IR_MAX_RANK] = {0};
  int outer = c->rank - 2;
  assert(outer >= 0 && "is_movable() takes matrices and more");
  for (;;) {
    int64_t f = 0, t = 0;
    for (int d = 0; d < outer; d++) {
      f += at[d] * c->from[d];
      t += at[d] * c->to[d];
    }
    copy_plane(c, from + f * (int64_t)c->bytes, to + t * (int64_t)c->bytes);
    int d = outer - 1;
    while (d >= 0 && ++at[d] == c->dim[d])
      at[d--] = 0;
    if (d < 0)
      return;
  }
}
