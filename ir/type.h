/* type.h - element types and tensor types. Types are interned in the context:
 * equal types are equal pointers. */
#ifndef IR_TYPE_H
#define IR_TYPE_H

#include "ir/base.h"

#include <math.h>
#include <string.h>

#define IR_MAX_RANK 12

enum ir_dtype {
#define DTYPE(ID, text, bits, kind, ctype, onnx, npy) IR_##ID,
#include "ir/dtypes.def"
#undef DTYPE
  IR_NUM_DTYPES
};

enum ir_kind {
  IR_FLOAT = 'F',
  IR_SIGNED = 'I',
  IR_UNSIGNED = 'U',
  IR_LOGIC = 'B'
};

struct ir_dtype_row {
  const char *text;
  unsigned bits, bytes;
  enum ir_kind kind;
  const char *ctype; /* in the generated header */
  int onnx;          /* TensorProto.DataType */
  const char *npy;   /* descr without byte order, "" if none */
};
extern const struct ir_dtype_row ir_dtypes[IR_NUM_DTYPES];

/* A row FORMAT of dtypes.def. */
struct ir_float_format {
  unsigned exponent, fraction, bias, largest, over, nan;
};
/* NULL: the type has none (f32, f64, bf16, f8e8m0, integers). */
const struct ir_float_format *ir_float_format(enum ir_dtype t);
/* false when the text names none. */
bool ir_dtype_find(const char *text, enum ir_dtype *out);

static inline bool ir_is_float(enum ir_dtype t) {
  return ir_dtypes[t].kind == IR_FLOAT;
}
/* Floats that are computed in f32, and rounded after every function. */
static inline bool ir_is_small_float(enum ir_dtype t) {
  return ir_is_float(t) && ir_dtypes[t].bits < 32;
}
static inline bool ir_is_int(enum ir_dtype t) {
  return ir_dtypes[t].kind == IR_SIGNED || ir_dtypes[t].kind == IR_UNSIGNED;
}

/* The least and the greatest number of an integer type of up to 32 bits. */
void ir_dtype_range(enum ir_dtype t, double *least, double *most);

/* Affine quantization: real = scale * (stored - zero). Either one scale and one
 * zero point, or one of each along `axis`, held by module constants. */
struct ir_quant {
  double scale;
  int64_t zero;
  const char *scales, *zeros; /* names of constants, NULL: per tensor */
  int64_t axis;
};

/* m / 2^31 * 2^shift, 2^30 <= m < 2^31 or 0: a positive factor as fixed-point
 * arithmetic has it. */
struct ir_factor {
  int64_t m;
  int shift;
};
struct ir_factor ir_factor(double v);

struct ir_size;

/* A dimension is a size >= 0, or a symbol < 0 (GRAPH form only). One with a
 * size that is known at run time only has its bound in `dim`: size.h. */
struct ir_type {
  enum ir_dtype dtype;
  int rank;
  int64_t dim[IR_MAX_RANK];                /* 0 beyond rank */
  const struct ir_quant *quant;            /* interned; NULL: not quantized */
  const struct ir_size *size[IR_MAX_RANK]; /* NULL: dim is the size */
};

/* Rank and dims must be in range; symbols from ir_symbol(). */
const struct ir_type *ir_type(struct dn_ctx *ctx, enum ir_dtype dtype, int rank,
                              const int64_t *dims);
const struct ir_type *ir_type_quant(struct dn_ctx *ctx,
                                    const struct ir_type *type,
                                    const struct ir_quant *quant);
/* The same shape with another element type, not quantized. */
const struct ir_type *ir_type_as(struct dn_ctx *ctx, const struct ir_type *type,
                                 enum ir_dtype dtype);

/* Dimensions [from, from + n) of a type, not quantized. */
const struct ir_type *ir_type_part(struct dn_ctx *ctx,
                                   const struct ir_type *type, int from, int n);

/* Symbolic dims: a negative number for a name, and back. */
int64_t ir_symbol(struct dn_ctx *ctx, const char *name);

bool ir_type_is_static(const struct ir_type *type);
/* Element and byte counts of a static type. Types built by ir_type_checked() or
 * found in a verified module cannot overflow. */
int64_t ir_type_count(const struct ir_type *type);
int64_t ir_type_bytes(const struct ir_type *type);
/* The rank is in range and the bytes within --limit-tensor; symbols count as 1.
 */
bool ir_type_fits(const struct dn_ctx *ctx, enum ir_dtype dtype, int64_t rank,
                  const int64_t *dims);
/* As ir_type(), for dims from a model: a negative dim, a rank over the limit,
 * or a byte count over --limit-tensor gives a DN_SHAPE error at `where` and
 * NULL. */
const struct ir_type *ir_type_checked(struct dn_ctx *ctx, const char *where,
                                      enum ir_dtype dtype, int64_t rank,
                                      const int64_t *dims);
/* "f32[1,8,8,3]", in the context's arena or `arena`. */
const char *ir_type_text(struct dn_ctx *ctx, struct dn_arena *arena,
                         const struct ir_type *type);
/* Row-major strides in elements. */
void ir_type_strides(const struct ir_type *type, int64_t *strides);
/* Whether `perm` keeps the order of the dimensions larger than 1. */
bool ir_perm_is_view(const struct ir_type *type, const int64_t *perm);
/* The sizes alone; element types may differ. */
bool ir_same_dims(const struct ir_type *a, const struct ir_type *b);
/* Whether `stride` is row-major without gaps, dims of size 1 aside. */
bool ir_type_is_dense(const struct ir_type *type, const int64_t *stride);

/* The bits of a float that ir_is_small_float(), as a double. */
double ir_small_float(enum ir_dtype t, uint64_t bits);
/* And the nearest, ties to even; NaN and what is out of range as the type has
 * them: infinite, NaN or the largest. */
uint64_t ir_to_small_float(enum ir_dtype t, double v);
/* A number that is written in a type: an infinity that it lacks is its largest,
 * as an integer's is. */
double ir_written_float(enum ir_dtype t, double v);

/* binary16 (IEEE 754-2019, 3.6) and bfloat16 as doubles. */
static inline double ir_half(uint16_t h) { /* scaled through the exponent */
  uint32_t bits = (uint32_t)(h & 0x7fff) << 13;
  float f;
  memcpy(&f, &bits, sizeof f);
  double v = (double)f * 0x1p112;
  if ((h & 0x7c00) == 0x7c00)
    v = h & 0x3ff ? (double)NAN : (double)INFINITY;
  return h & 0x8000 ? -v : v;
}

static inline double ir_bfloat(uint16_t h) {
  uint32_t bits = (uint32_t)h << 16;
  float f;
  memcpy(&f, &bits, sizeof f);
  return (double)f;
}

#endif
