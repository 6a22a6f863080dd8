/* type.c - element types and interned tensor types. */
#include "ir/type.h"

#include "ir/diag.h"
#include "ir/lex.h"
#include "ir/size.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
  KIND_F = IR_FLOAT,
  KIND_I = IR_SIGNED,
  KIND_U = IR_UNSIGNED,
  KIND_B = IR_LOGIC
};

const struct ir_dtype_row ir_dtypes[IR_NUM_DTYPES] = {
#define DTYPE(ID, text, bits, kind, ctype, onnx, npy)                          \
  {text, bits, ((bits) + 7) / 8, (enum ir_kind)KIND_##kind, ctype, onnx, npy},
#include "ir/dtypes.def"
#undef DTYPE
};

const struct ir_float_format *ir_float_format(enum ir_dtype t) {
  static const struct ir_float_format formats[IR_NUM_DTYPES] = {
#define DTYPE(ID, text, bits, kind, ctype, onnx, npy)
#define FORMAT(ID, exponent, fraction, bias, largest, over, nan)               \
  [IR_##ID] = {exponent, fraction, bias, largest, over, nan},
#include "ir/dtypes.def"
#undef DTYPE
  };
  return formats[t].exponent ? &formats[t] : NULL;
}

bool ir_dtype_find(const char *text, enum ir_dtype *out) {
  int row = DN_FIND(ir_dtypes, text);
  if (row >= 0)
    *out = (enum ir_dtype)row;
  return row >= 0;
}

void ir_dtype_range(enum ir_dtype t, double *least, double *most) {
  double values = (double)(INT64_C(1) << ir_dtypes[t].bits);
  assert(ir_is_int(t) && ir_dtypes[t].bits <= 32 && "callers have looked");
  *least = ir_dtypes[t].kind == IR_SIGNED ? -values / 2 : 0;
  *most = *least + values - 1;
}

static const struct ir_type *intern_type(struct dn_ctx *ctx,
                                         enum ir_dtype dtype, int rank,
                                         const int64_t *dims,
                                         const struct ir_quant *quant,
                                         const struct ir_size *const *sizes) {
  assert(rank >= 0 && rank <= IR_MAX_RANK && "readers and infer.c refuse more");
  struct ir_type t;
  memset(&t, 0, sizeof t); /* padding too: records compare bytewise */
  assert(dtype < IR_NUM_DTYPES && "element types are rows of dtypes.def");
  t.dtype = dtype;
  t.rank = rank;
  for (int i = 0; i < rank; i++)
    t.dim[i] = dims[i];
  for (int i = 0; sizes && i < rank; i++)
    t.size[i] = sizes[i];
  t.quant = quant;
  return dn_intern_record(ctx, &t, sizeof t);
}

const struct ir_type *ir_type(struct dn_ctx *ctx, enum ir_dtype dtype, int rank,
                              const int64_t *dims) {
  return intern_type(ctx, dtype, rank, dims, NULL, NULL);
}

struct ir_factor ir_factor(double v) {
  struct ir_factor f = {0, 0};
  double q = frexp(v, &f.shift);
  f.m = (int64_t)round(q * 0x1p31);
  if (f.m == INT64_C(1) << 31) {
    f.m /= 2;
    f.shift++;
  }
  if (f.shift < -31)
    f = (struct ir_factor){0, 0};
  return f;
}

const struct ir_type *ir_type_quant(struct dn_ctx *ctx,
                                    const struct ir_type *type,
                                    const struct ir_quant *quant) {
  if (!quant)
    return intern_type(ctx, type->dtype, type->rank, type->dim, NULL,
                       type->size);
  assert(!quant->scales == !quant->zeros &&
         "scales and zero points come together: the readers");
  struct ir_quant q;
  memset(&q, 0, sizeof q);
  q.scale = quant->scale;
  q.zero = quant->zero;
  q.scales = quant->scales;
  q.zeros = quant->zeros;
  q.axis = quant->axis;
  return intern_type(ctx, type->dtype, type->rank, type->dim,
                     dn_intern_record(ctx, &q, sizeof q), type->size);
}

const struct ir_type *ir_type_as(struct dn_ctx *ctx, const struct ir_type *type,
                                 enum ir_dtype dtype) {
  return intern_type(ctx, dtype, type->rank, type->dim, NULL, type->size);
}

const struct ir_type *
ir_type_part(struct dn_ctx *ctx, const struct ir_type *type, int from, int n) {
  assert(from >= 0 && n >= 0 && from + n <= type->rank &&
         "the caller counts the type's dimensions");
  return intern_type(ctx, type->dtype, n, type->dim + from, NULL,
                     type->size + from);
}

const struct ir_type *ir_type_sized(struct dn_ctx *ctx,
                                    const struct ir_type *type,
                                    const struct ir_size *const *sizes) {
  return intern_type(ctx, type->dtype, type->rank, type->dim, type->quant,
                     sizes);
}

/* A symbol is minus the address of its interned name: names live as long as the
 * context, and user-space addresses are positive as int64. */
int64_t ir_symbol(struct dn_ctx *ctx, const char *name) {
  return -(int64_t)(intptr_t)dn_intern(ctx, name);
}

static const char *symbol_name(const struct dn_ctx *ctx, int64_t dim) {
  (void)ctx;
  assert(dim < 0 && "the caller has seen that it is a symbol");
  return (const char *)(intptr_t)-dim;
}

bool ir_type_is_static(const struct ir_type *type) {
  for (int i = 0; i < type->rank; i++)
    if (type->dim[i] < 0)
      return false;
  return true;
}

bool ir_same_dims(const struct ir_type *a, const struct ir_type *b) {
  return a->rank == b->rank &&
         !memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim);
}

int64_t ir_type_count(const struct ir_type *type) {
  int64_t n = 1;
  for (int i = 0; i < type->rank; i++)
    n *= type->dim[i];
  return n;
}

int64_t ir_type_bytes(const struct ir_type *type) {
  return ir_type_count(type) * ir_dtypes[type->dtype].bytes;
}

bool ir_type_fits(const struct dn_ctx *ctx, enum ir_dtype dtype, int64_t rank,
                  const int64_t *dims) {
  if (rank < 0 || rank > IR_MAX_RANK)
    return false;
  int64_t bytes = ir_dtypes[dtype].bytes;
  /* A zero dim makes the tensor empty, but the others must be sane. */
  for (int64_t i = 0; i < rank; i++)
    if (dims[i] > 1 && !dn_mul(bytes, dims[i], &bytes))
      return false;
  return bytes <= ctx->limits.tensor;
}

const struct ir_type *ir_type_checked(struct dn_ctx *ctx, const char *where,
                                      enum ir_dtype dtype, int64_t rank,
                                      const int64_t *dims) {
  struct dn_loc loc = {.where = where};
  if (rank < 0 || rank > IR_MAX_RANK) {
    dn_error(ctx, loc, DN_LIMIT, "rank %lld is over the limit of %d",
             (long long)rank, IR_MAX_RANK);
    return NULL;
  }
  if (!ir_type_fits(ctx, dtype, rank, dims)) {
    dn_error(ctx, loc, DN_LIMIT,
             "a tensor of this shape is larger than --limit-tensor=%lld bytes",
             (long long)ctx->limits.tensor);
    return NULL;
  }
  return ir_type(ctx, dtype, (int)rank, dims);
}

static void put_quant(struct dn_buf *out, const struct ir_quant *q) {
  if (q->scales) {
    lex_put_name(out, " q(@", q->scales);
    lex_put_name(out, ":@", q->zeros);
    dn_buf_printf(out, ";axis %lld)", (long long)q->axis);
    return;
  }
  char scale[40];
  int digits = 6; /* as few as read back to the same number */
  do
    snprintf(scale, sizeof scale, "%.*g", digits, q->scale);
  while (digits++ < 17 && strtod(scale, NULL) != q->scale);
  dn_buf_printf(out, " q(%s:%lld)", scale, (long long)q->zero);
}

/* N<=512, 4<=N<=512, "2*N+1"<=1025 */
static void put_size(struct dn_buf *out, const struct ir_size *s,
                     int64_t bound) {
  struct dn_buf text = dn_buf_new(out->arena);
  ir_size_put(&text, s);
  const struct ir_param *p =
      s->n == 1 && !s->term[0].and ? s->term[0].by : NULL;
  if (p && p->least != 1 && s->term[0].coef == 1 && !s->c && s->div == 1)
    dn_buf_printf(out, "%lld<=", (long long)p->least);
  lex_put_name(out, "", text.text);
  dn_buf_printf(out, "<=%lld", (long long)bound);
}

const char *ir_type_text(struct dn_ctx *ctx, struct dn_arena *arena,
                         const struct ir_type *type) {
  struct dn_buf out = dn_buf_new(arena ? arena : ctx->arena);
  dn_buf_printf(&out, "%s[", ir_dtypes[type->dtype].text);
  for (int i = 0; i < type->rank; i++) {
    if (i)
      dn_buf_printf(&out, ",");
    if (type->dim[i] < 0)
      lex_put_name(&out, "", symbol_name(ctx, type->dim[i]));
    else if (type->size[i])
      put_size(&out, type->size[i], type->dim[i]);
    else
      dn_buf_printf(&out, "%lld", (long long)type->dim[i]);
  }
  dn_buf_printf(&out, "]");
  if (type->quant)
    put_quant(&out, type->quant);
  return out.text;
}

void ir_type_strides(const struct ir_type *type, int64_t *strides) {
  int64_t s = 1;
  for (int i = type->rank; i-- > 0;) {
    strides[i] = s;
    s *= type->dim[i];
  }
}

bool ir_perm_is_view(const struct ir_type *type, const int64_t *perm) {
  int64_t last = -1;
  for (int d = 0; d < type->rank; d++) {
    assert(perm[d] >= 0 && perm[d] < type->rank &&
           "the caller has a permutation of the dims");
    if (type->dim[perm[d]] == 1)
      continue;
    if (perm[d] < last)
      return false;
    last = perm[d];
  }
  return true;
}

bool ir_type_is_dense(const struct ir_type *type, const int64_t *stride) {
  int64_t want = 1;
  for (int d = type->rank; d-- > 0;) {
    if (type->dim[d] != 1 && stride[d] != want)
      return false;
    want *= type->dim[d];
  }
  return true;
}
