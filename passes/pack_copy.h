/* pack_copy.h - elements of constants in another order, at compile time. */
#ifndef PASS_PACK_COPY_H
#define PASS_PACK_COPY_H

#include "ir/type.h"

/* A copy of strided elements, dims from the outside in. */
struct pack_copy {
  int rank;
  int64_t dim[IR_MAX_RANK];
  int64_t from[IR_MAX_RANK], to[IR_MAX_RANK]; /* strides in elements */
  size_t bytes;                               /* of an element */
};

/* Of a matrix or more; `from` need not be aligned. */
void pack_strided(const struct pack_copy *c, const char *from, char *to);

#endif
