/* tflite_call.c - the table of TFLite operators, and what a converter reads:
 * options by the names that its row has, constant inputs. */
#include "frontend/tflite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct tfl_row rows[] = {
#define TFLITE(code, name, min, max, outs, convert, arg, options)              \
  {code, name, min, max, outs, tflite_##convert, arg, options},
#include "frontend/tflite_ops.def"
#undef TFLITE
};

enum { CUSTOM = 32 };

const struct tfl_row *tfl_row_find(int64_t code, const char *custom) {
  for (size_t i = 0; i < DN_COUNT(rows); i++)
    if (code == CUSTOM ? rows[i].code < 0 && !strcmp(rows[i].name, custom)
                       : rows[i].code == code)
      return &rows[i];
  return NULL;
}

bool tflite_unsupported(struct tfl_call *c) {
  return tfl_fail(c, UNSUPPORTED_OP, "operator not supported");
}

bool tfl_unsupported(const struct tfl_call *c, size_t k) {
  return tfl_fail(c, UNSUPPORTED_TYPE, "input %zu is %s", k,
                  tfl_type_name(c->tin[k]->code));
}

/* ---- Options: "axis:0i act:1b beta:0f=1" ---- */

static const char *option(const struct tfl_call *c, const char *name,
                          int *field) {
  int k;
  const char *w = dn_word(c->row->options, name, strlen(name), &k);
  char *end;
  *field = (int)strtol(strchr(w, ':') + 1, &end, 10);
  return end;
}

static double otherwise(const char *kind) {
  return kind[1] == '=' ? strtod(kind + 2, NULL) : 0;
}

/* An unsigned integer of `w` bytes at byte `at` of the custom options; 0: there
 * is none. */
static int64_t custom_at(const struct fb_vector *v, int64_t at, int64_t w) {
  if (at < 0 || (w != 1 && w != 2 && w != 4 && w != 8) ||
      at > (int64_t)v->n - w)
    return 0;
  struct fb_vector part = {v->file, v->at + (size_t)at, 1};
  int64_t value = fb_int_at(&part, 0, (int)w);
  return w < 8 ? value & ((INT64_C(1) << 8 * w) - 1) : value;
}

static float float_of(uint32_t bits) {
  float v;
  memcpy(&v, &bits, sizeof v);
  return v;
}

static double double_of(int64_t bits) {
  double v;
  memcpy(&v, &bits, sizeof v);
  return v;
}

/* Where the offset of `w` bytes at byte `at` leads, which is back; -1:
 * nowhere. */
static int64_t custom_back(const struct fb_vector *v, int64_t at, int64_t w) {
  int64_t by = custom_at(v, at, w);
  return by > 0 && by <= at ? at - by : -1;
}

/* Whether the key at `at` of the custom options is `name`. */
static bool is_key(const struct fb_vector *v, int64_t at, const char *name) {
  for (; at >= 0 && at < (int64_t)v->n; at++, name++)
    if (v->file->base[v->at + (size_t)at] != (uint8_t)*name)
      return false;
    else if (!*name)
      return true;
  return false;
}

/* A number of the custom options, a FlexBuffer that is a map: the root is the
 * last number but two bytes; offsets count back. Before the values of a map are
 * the offset of the keys, the width of their offsets, and how many they are;
 * behind the values are their types. 0: there is none. */
static double custom_number(const struct tfl_call *c, const char *name) {
  enum { UNSIGNED = 2, FLOAT };
  struct fb_vector v = fb_list(&c->op, TFL_CUSTOM_OPTIONS, 1);
  int64_t n = (int64_t)v.n, last = custom_at(&v, n - 1, 1);
  int64_t w = INT64_C(1) << (custom_at(&v, n - 2, 1) & 3);
  int64_t map = custom_back(&v, n - 2 - last, last);
  int64_t count = custom_at(&v, map - w, w);
  int64_t wide = custom_at(&v, map - 2 * w, w);
  int64_t keys = custom_back(&v, map - 3 * w, w);
  if (map < 0 || keys < 0 || wide < 1 || wide > 8 || count > n)
    return 0;
  for (int64_t i = 0; i < count; i++) {
    if (!is_key(&v, custom_back(&v, keys + i * wide, wide), name))
      continue;
    int64_t value = custom_at(&v, map + i * w, w);
    int64_t kind = custom_at(&v, map + count * w + i, 1) >> 2;
    if (kind == FLOAT && (w == 4 || w == 8))
      return w == 4 ? (double)float_of((uint32_t)value) : double_of(value);
    bool below = w < 8 && value >> (8 * w - 1) & 1;
    return (double)(kind != UNSIGNED && below ? value - (INT64_C(1) << 8 * w)
                                              : value);
  }
  return 0;
}

bool tfl_has(const struct tfl_call *c, const char *name) {
  struct fb_vector v = fb_list(&c->op, TFL_CUSTOM_OPTIONS, 1);
  for (size_t i = 0; i < v.n; i++)
    if (is_key(&v, (int64_t)i, name))
      return true;
  return false;
}

int64_t tfl_int(const struct tfl_call *c, const char *name) {
  int field;
  const char *kind = option(c, name, &field);
  double v = *kind == 'x' ? custom_number(c, name) : 0;
  if (*kind == 'x')
    return v > -0x1p62 && v < 0x1p62 ? (int64_t)v : -1;
  return fb_int(&c->options, field, *kind == 'b' ? 1 : 4, true,
                (int64_t)otherwise(kind));
}

double tfl_float(const struct tfl_call *c, const char *name) {
  int field;
  const char *kind = option(c, name, &field);
  double v = *kind == 'x' ? custom_number(c, name)
                          : fb_float(&c->options, field, otherwise(kind));
  if (!isfinite(v))
    tfl_fail(c, ATTR, "%s is %g", name, v);
  return isfinite(v) ? v : 0;
}

const char *tfl_text(const struct tfl_call *c, const char *name) {
  int field;
  option(c, name, &field);
  return fb_name(&c->options, field);
}

/* ---- Inputs ---- */

bool tfl_const_ints(struct tfl_call *c, size_t k, int64_t *n,
                    const int64_t **v) {
  struct ir_value *x = tfl_in(c, k);
  if (!x)
    return tfl_fail(c, ARITY, "input %zu is missing", k);
  if (!x->data)
    return tfl_fail(c, DYNAMIC, "input %zu ('%s') is not a constant", k,
                    fe_text(c->im->ctx, c->tin[k]->name));
  if (!ir_is_int(fe_dtype(x)) || fe_rank(x) > 2)
    return tfl_fail(c, TYPE, "input %zu is no list of integers", k);
  *n = ir_type_count(x->type);
  int64_t *all = DN_ARRAY(c->im->ctx->arena, int64_t, *n);
  for (int64_t i = 0; i < *n; i++)
    all[i] = ir_const_int(x, i);
  *v = all;
  return true;
}

bool tfl_const_int(struct tfl_call *c, size_t k, int64_t *v) {
  int64_t n;
  const int64_t *all;
  if (!tfl_const_ints(c, k, &n, &all))
    return false;
  if (n != 1)
    return tfl_fail(c, TYPE, "input %zu must be one number", k);
  *v = all[0];
  return true;
}

bool tfl_rank(struct tfl_call *c, size_t k, int lo, int hi) {
  int r = fe_rank(c->in[k]);
  return (r >= lo && r <= hi) ||
         tfl_fail(c, TYPE, "input %zu has %d dimensions", k, r);
}
