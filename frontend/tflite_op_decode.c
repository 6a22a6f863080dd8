/* tflite_op_decode.c - TFLM_DECODE, the custom operator by which TensorFlow Lite
 * Micro stores compressed constants: they are unpacked at import.
 *
 * An output is made of two constants, its codes and a description. The
 * description begins with 16 bytes: the kind of code, 1, two of no meaning, 1, two
 * with parameters; a table follows. Codes are bits, the highest of a byte first.
 *   0  indices of 1 to 7 bits into a table of values, or one for each channel
 *   1  Huffman's codes, by tables of prefixes
 *   2  a bit for each element: the table's next value, or the zero point */
#include "frontend/tflite.h"

#include <string.h>

enum { HEADER = 16, LOOKUP = 0, HUFFMAN, PRUNED };

struct code {
  struct tfl_call *c;
  const struct tfl_tensor *to;
  const uint8_t *header, *table, *bits;
  int64_t ntable, nbits, at; /* bytes; bits, and how many were read */
  int64_t n, size;           /* elements, bytes of one */
  uint8_t *out;
};

static bool beyond(struct code *d) {
  return tfl_fail(d->c, TENSOR_DATA, "'%s' goes beyond its codes or its table",
                  fe_text(d->c->im->ctx, d->to->name));
}

/* The next `count` bits; zeros behind the last. */
static int64_t take(struct code *d, int64_t count) {
  int64_t v = 0;
  for (int64_t i = 0; i < count; i++, d->at++)
    v = v * 2 +
        (d->at < d->nbits ? d->bits[d->at / 8] >> (7 - d->at % 8) & 1 : 0);
  return v;
}

/* Element i from value k of the table. */
static bool put(struct code *d, int64_t i, int64_t k) {
  if (k < 0 || k >= d->ntable / d->size)
    return false;
  memcpy(d->out + i * d->size, d->table + k * d->size, (size_t)d->size);
  return true;
}

/* The dimension along which there are `n` channels; -1: there is one. An older
 * description has 0 where the dimension is that of the scales. */
static int64_t channel_axis(const struct code *d, int64_t n) {
  int64_t axis = d->header[5] >> 4, last = d->to->rank - 1;
  if (n <= 1 || axis == 15)
    return -1;
  return axis || last < 0 || d->to->dim[0] == n ? axis : last;
}

static bool decode_lookup(struct code *d) {
  int64_t width = d->header[5] & 7, stride = d->header[6], inner = 1;
  int64_t tables = stride ? d->ntable / d->size / stride : 0;
  int64_t axis = channel_axis(d, tables), channels = 1;
  if (!width || !tables || axis >= d->to->rank)
    return beyond(d);
  for (int64_t k = axis + 1; axis >= 0 && k < d->to->rank; k++)
    inner *= d->to->dim[k];
  if (axis >= 0)
    channels = d->to->dim[axis];
  if (d->n > d->nbits / width || channels > tables)
    return beyond(d);
  for (int64_t i = 0; i < d->n; i++) {
    int64_t k = take(d, width);
    if (k >= stride || !put(d, i, i / inner % channels * stride + k))
      return beyond(d);
  }
  return true;
}

/* An entry has a symbol when its highest bit is set, else the place of the next
 * table, from the entry on. Of four bits below: how many of the last index are the
 * symbol's, or how many, less 1, the next index has. */
static bool decode_huffman(struct code *d) {
  int64_t wide = d->header[5] & 1 ? 4 : 2, top = wide * 8 - 1;
  if (d->size > wide / 2)
    return tfl_fail(d->c, UNSUPPORTED_TYPE, "'%s' is of Huffman's codes",
                    fe_text(d->c->im->ctx, d->to->name));
  if (d->n > d->nbits)
    return beyond(d);
  for (int64_t i = 0; i < d->n; i++) {
    int64_t first = d->at, used = (d->header[5] >> 4) + 1, place = 0;
    for (;;) {
      uint32_t entry = 0;
      place += take(d, used);
      if (place >= d->ntable / wide || d->at > d->nbits + 32)
        return beyond(d);
      memcpy(&entry, d->table + place * wide, (size_t)wide);
      int64_t count = entry >> (top - 4) & 15;
      if (entry >> top) {
        d->at -= dn_max(0, used - count);
        memcpy(d->out + i * d->size, &entry, (size_t)d->size);
        break;
      }
      used = count + 1;
      place += entry & ((UINT32_C(1) << (top - 4)) - 1);
    }
    if (d->at == first || d->at > d->nbits)
      return beyond(d);
  }
  return true;
}

/* Only 8 bits have zero points. */
static bool decode_pruned(struct code *d) {
  const struct tfl_tensor *t = d->to;
  int64_t inner = 1, next = 0;
  for (int64_t k = t->axis + 1; t->n > 1 && k < t->rank; k++)
    inner *= t->dim[k];
  if (d->n > d->nbits)
    return beyond(d);
  for (int64_t i = 0; i < d->n; i++) {
    if (take(d, 1)) {
      if (!put(d, i, next++))
        return beyond(d);
    } else if (t->dtype == IR_I8 && t->n && t->zeros.n) {
      size_t k = t->n > 1 ? (size_t)(i / inner) % t->n : 0;
      d->out[i] = (uint8_t)fb_int_at(&t->zeros, k, 8);
    }
  }
  return true;
}

/* Output k as a constant; NULL after a diagnostic. */
static struct ir_value *decode(struct tfl_call *c, size_t k) {
  const struct ir_value *codes = c->in[2 * k], *about = c->in[2 * k + 1];
  const struct tfl_tensor *t = c->tout[k];
  struct ir_data data = {0};
  if (!codes->data || !about->data)
    return fe_null(c->b, DN_DYNAMIC, "inputs %zu and %zu are no constants",
                   2 * k, 2 * k + 1);
  if (!codes->data->bytes || !about->data->bytes || about->data->size < HEADER)
    return fe_null(c->b, DN_TENSOR_DATA, "'%s' has no description",
                   fe_text(c->im->ctx, t->name));
  struct code d = {.c = c,
                   .to = t,
                   .header = about->data->bytes,
                   .table = (const uint8_t *)about->data->bytes + HEADER,
                   .bits = codes->data->bytes,
                   .ntable = about->data->size - HEADER,
                   .nbits = 8 * codes->data->size};
  int kind = d.header[0];
  if (d.header[1] != 1 || d.header[4] != 1 || kind > PRUNED)
    return fe_null(c->b, DN_UNSUPPORTED_ATTR, "codes of kind %d, version %d",
                   kind, d.header[1]);
  const struct ir_type *type = tfl_type_of(c->im, t);
  if (!type)
    return NULL;
  if (t->int4)
    return fe_null(c->b, DN_UNSUPPORTED_TYPE, "output %zu is %s", k,
                   tfl_type_name(t->code));
  d.n = ir_type_count(type);
  d.size = d.n ? ir_type_bytes(type) / d.n : 1;
  if (d.n > d.nbits)
    return fe_null(c->b, DN_TENSOR_DATA, "%lld elements of %lld bits",
                   (long long)d.n, (long long)d.nbits);
  data.size = ir_type_bytes(type);
  data.bytes = d.out = DN_ARRAY(c->im->m->arena, uint8_t, data.size);
  bool ok = kind == LOOKUP    ? decode_lookup(&d)
            : kind == HUFFMAN ? decode_huffman(&d)
                              : decode_pruned(&d);
  return ok ? ir_const_new(c->im->m, t->name, type, &data) : NULL;
}

bool tflite_decode(struct tfl_call *c) {
  if (c->nin != 2 * c->nout)
    return tfl_fail(c, ARITY, "%zu inputs, %zu outputs", c->nin, c->nout);
  bool ok = true;
  for (size_t k = 0; k < c->nout; k++)
    ok = c->in[2 * k] && c->in[2 * k + 1] && (c->out[k] = decode(c, k)) && ok;
  return ok;
}
