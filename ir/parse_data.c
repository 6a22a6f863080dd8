/* parse_data.c - types and constants of the text form; see parse.h. Nothing is
 * allocated for a size that the text only claims: hex and dense data grow with
 * what is there. */
#include "ir/parse.h"

#include "ir/size.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool parse_int(struct parser *p, int64_t *out) {
  if (p->lx.tok.kind != LEX_NUMBER)
    return parse_expected(p, "an integer");
  if (!lex_int(p->lx.tok.text, out))
    return parse_fail(p, "%s is not an integer of 64 bits",
                      lex_describe(&p->lx));
  parse_next(p);
  return true;
}

bool parse_float(struct parser *p, double *out) {
  enum lex_kind kind = p->lx.tok.kind;
  if ((kind != LEX_NUMBER && kind != LEX_WORD) ||
      !lex_float(p->lx.tok.text, out))
    return parse_expected(p, "a number");
  parse_next(p);
  return true;
}

bool parse_try(struct parser *p, char punct) {
  if (!lex_is(&p->lx, punct))
    return false;
  parse_next(p);
  return true;
}

bool parse_take(struct parser *p, char punct, const char *what) {
  return parse_try(p, punct) || parse_expected(p, what);
}

bool parse_word(struct parser *p, const char *word) {
  if (!lex_is_word(&p->lx, word))
    return false;
  parse_next(p);
  return true;
}

/* ---- Types ---- */

static const struct ir_param *find_param(void *user, const char *name) {
  struct parser *p = user;
  return dn_map_get(&p->params, name);
}

/* `<=512` after a size's name or text. A name alone is a parameter, of `least`
 * or more: the first that is met. */
static bool bounded(struct parser *p, const char *text, int64_t least,
                    int64_t *bound, const struct ir_size **size) {
  parse_next(p);
  if (!parse_take(p, '=', "'=' of '<='") || !parse_int(p, bound))
    return false;
  if (least < 0 || *bound < dn_max(least, 1))
    return parse_fail(p, "a size has a bound of 1 or more, and of its least or "
                         "more");
  bool name =
      !text[strcspn(text, "$*+-()/")] && !(*text >= '0' && *text <= '9');
  if (!name && least != 1)
    return parse_fail(p, "'%s' has no least size of its own", text);
  const struct ir_param *param =
      name ? ir_param(p->ctx, text, least, *bound) : NULL;
  if (name && !dn_map_get(&p->params, param->name))
    dn_map_put(p->scratch, &p->params, param->name, (void *)(uintptr_t)param);
  *size = ir_size_read(p->ctx, text, find_param, p);
  struct ir_point most = {0};
  const struct ir_size *all[IR_MAX_RANK] = {*size};
  if (!*size || !ir_size_rises(*size) ||
      !ir_point_add(
          &most,
          ir_type_sized(p->ctx, ir_type(p->ctx, IR_BOOL, 1, bound), all)) ||
      ir_size_at(*size, &most) != *bound)
    return parse_fail(p, "'%s' is no size of such a bound", text);
  return true;
}

static bool dim(struct parser *p, int64_t *out, const struct ir_size **size) {
  enum lex_kind kind = p->lx.tok.kind;
  *size = NULL;
  if (kind == LEX_WORD || kind == LEX_STRING) {
    if (!p->lx.tok.len)
      return parse_fail(p, "a dimension without a name");
    const char *text = p->lx.tok.text;
    parse_next(p);
    if (lex_is(&p->lx, '<'))
      return bounded(p, text, 1, out, size);
    *out = ir_symbol(p->ctx, text);
    return true;
  }
  if (kind == LEX_NUMBER && lex_int(p->lx.tok.text, out) && *out < 0)
    return parse_fail(p, "a dimension cannot be negative");
  if (!parse_int(p, out))
    return false;
  if (!lex_is(&p->lx, '<'))
    return true;
  parse_next(p);
  if (!parse_take(p, '=', "'=' of '<='"))
    return false;
  const char *text = p->lx.tok.text;
  if (p->lx.tok.kind != LEX_WORD && p->lx.tok.kind != LEX_STRING)
    return parse_expected(p, "a size's name");
  parse_next(p);
  return lex_is(&p->lx, '<') ? bounded(p, text, *out, out, size)
                             : parse_expected(p, "'<' and a bound");
}

/* `(0.5:-3)` or `(@scales:@zeros;axis 1)`, after the word q. */
static bool quant(struct parser *p, struct ir_quant *q) {
  *q = (struct ir_quant){0};
  if (!parse_take(p, '(', "'(' of a quantization"))
    return false;
  if (p->lx.tok.kind != LEX_SYMBOL)
    return parse_float(p, &q->scale) &&
           parse_take(p, ':', "':' and a zero point") &&
           parse_int(p, &q->zero) && parse_take(p, ')', "')'");
  q->scales = p->lx.tok.text;
  parse_next(p);
  if (!parse_take(p, ':', "':' and the zero points"))
    return false;
  if (p->lx.tok.kind != LEX_SYMBOL)
    return parse_expected(p, "the constant of the zero points");
  q->zeros = p->lx.tok.text;
  parse_next(p);
  if (!parse_take(p, ';', "';axis N'"))
    return false;
  if (!parse_word(p, "axis"))
    return parse_expected(p, "'axis'");
  return parse_int(p, &q->axis) && parse_take(p, ')', "')'");
}

const struct ir_type *parse_type(struct parser *p) {
  enum ir_dtype dtype;
  if (p->lx.tok.kind != LEX_WORD || !ir_dtype_find(p->lx.tok.text, &dtype)) {
    parse_expected(p, "an element type such as f32");
    return NULL;
  }
  parse_next(p);
  if (!parse_take(p, '[', "'[' and the dimensions"))
    return NULL;
  int64_t dims[IR_MAX_RANK] = {0};
  const struct ir_size *sizes[IR_MAX_RANK] = {NULL};
  int rank = 0;
  while (!lex_is(&p->lx, ']')) {
    if (rank && !parse_take(p, ',', "',' or ']'"))
      return NULL;
    if (rank == IR_MAX_RANK) {
      parse_fail(p, "more than %d dimensions", IR_MAX_RANK);
      return NULL;
    }
    if (!dim(p, &dims[rank], &sizes[rank]))
      return NULL;
    rank++;
  }
  if (!ir_type_fits(p->ctx, dtype, rank, dims)) {
    parse_fail(p, "a tensor larger than --limit-tensor=%lld bytes",
               (long long)p->ctx->limits.tensor);
    return NULL;
  }
  parse_next(p);
  const struct ir_type *type =
      ir_type_sized(p->ctx, ir_type(p->ctx, dtype, rank, dims), sizes);
  if (!parse_word(p, "q"))
    return type;
  struct ir_quant q;
  return quant(p, &q) ? ir_type_quant(p->ctx, type, &q) : NULL;
}

/* ---- Elements ---- */

static bool int_fits(enum ir_dtype dtype, const char *text, int64_t *v) {
  unsigned bits = ir_dtypes[dtype].bits;
  if (dtype == IR_BOOL)
    return lex_int(text, v) && (*v == 0 || *v == 1);
  if (ir_dtypes[dtype].kind == IR_UNSIGNED) {
    uint64_t u;
    bool ok = lex_uint(text, &u) && (bits == 64 || u >> bits == 0);
    *v = (int64_t)u;
    return ok;
  }
  int64_t top = (int64_t)(UINT64_MAX >> (65 - bits));
  return lex_int(text, v) && *v <= top && *v >= -top - 1;
}

/* One number of the constant's type at the cursor, stored in `bytes`. */
static bool element(struct parser *p, enum ir_dtype dtype, void *bytes) {
  if (ir_is_float(dtype)) {
    double v;
    struct dn_loc loc = lex_loc(&p->lx);
    if (!parse_float(p, &v))
      return false;
    ir_store_float(dtype, bytes, v);
    if (isfinite(v) && !isfinite(ir_load_float(dtype, bytes)))
      return parse_fail_at(p, loc, "%g is out of the range of %s", v,
                           ir_dtypes[dtype].text);
    return true;
  }
  int64_t v = 0;
  if (p->lx.tok.kind != LEX_NUMBER || !int_fits(dtype, p->lx.tok.text, &v))
    return parse_fail(p, "expected a number of type %s, here %s",
                      ir_dtypes[dtype].text, lex_describe(&p->lx));
  parse_next(p);
  ir_store_int(dtype, bytes, v);
  return true;
}

static bool dense(struct parser *p, const struct ir_type *type,
                  struct ir_data *out) {
  size_t size = ir_dtypes[type->dtype].bytes;
  int64_t count = 0;
  struct dn_buf buf = dn_buf_new(p->m->arena);
  if (!parse_take(p, '[', "'[' and numbers"))
    return false;
  while (!lex_is(&p->lx, ']')) {
    char bytes[8] = {0};
    if ((count && !parse_take(p, ',', "',' or ']'")) ||
        !element(p, type->dtype, bytes))
      return false;
    dn_buf_put(&buf, bytes, size);
    count++;
  }
  if (count != ir_type_count(type))
    return parse_fail(p, "%lld numbers for the %lld elements of %s",
                      (long long)count, (long long)ir_type_count(type),
                      ir_type_text(p->ctx, p->scratch, type));
  parse_next(p);
  out->bytes = dn_copy(p->m->arena, buf.text, buf.len ? buf.len : 1);
  out->size = (int64_t)buf.len;
  return true;
}

static bool hex(struct parser *p, const struct ir_type *type,
                struct ir_data *out) {
  if (p->lx.tok.kind != LEX_STRING)
    return parse_expected(p, "a string of hex digits");
  const char *s = p->lx.tok.text;
  size_t n = p->lx.tok.len;
  int64_t want = ir_type_bytes(type);
  if (n % 2 || (int64_t)(n / 2) != want)
    return parse_fail(p, "%zu hex digits for the %lld bytes of %s", n,
                      (long long)want, ir_type_text(p->ctx, p->scratch, type));
  uint8_t *bytes = dn_alloc(p->m->arena, n / 2 + 1);
  for (size_t i = 0; i < n; i += 2) {
    int hi = lex_hex_digit(s[i]), lo = lex_hex_digit(s[i + 1]);
    if (hi < 0 || lo < 0)
      return parse_fail(p, "digit %zu of the string is not hexadecimal", i);
    bytes[i / 2] = (uint8_t)(hi * 16 + lo);
  }
  parse_next(p);
  out->bytes = bytes;
  out->size = want;
  return true;
}

static bool splat(struct parser *p, const struct ir_type *type,
                  struct ir_data *out) {
  const char *text = p->lx.tok.text;
  if (p->lx.tok.kind == LEX_NUMBER && text[0] == '0' && text[1] == 'x') {
    unsigned bits = ir_dtypes[type->dtype].bits;
    if (!lex_uint(text, &out->splat) || (bits < 64 && out->splat >> bits != 0))
      return parse_fail(p, "%s has more bits than %s", lex_describe(&p->lx),
                        ir_dtypes[type->dtype].text);
    parse_next(p);
    return true;
  }
  return element(p, type->dtype, &out->splat);
}

/* ---- External files ---- */

/* Whether the path is relative and every part a plain name: it stays below the
 * module's folder. */
static bool is_below(const char *path) {
  if (!*path || strchr(path, '\\') || strchr(path, ':'))
    return false;
  for (const char *s = path;;) {
    size_t n = strcspn(s, "/");
    if (!n || (n == 1 && s[0] == '.') || (n == 2 && !memcmp(s, "..", 2)))
      return false;
    if (!s[n])
      return true;
    s += n + 1;
  }
}

/* The path without a link in it, or NULL. */
static const char *resolve(struct parser *p, const char *name) {
  const char *dir = p->dir && *p->dir ? p->dir : ".";
  char *base = realpath(dir, NULL);
  const char *path = dn_printf(p->ctx->arena, "%s/%s", base ? base : dir, name);
  char *real = base ? realpath(path, NULL) : NULL;
  bool ok = !real || strcmp(real, path) == 0; /* absent: mapping reports it */
  free(base);
  free(real);
  return ok ? path : NULL;
}

static const struct dn_file *map(struct parser *p, const char *name) {
  struct dn_entry *known = dn_map_find(&p->files, name);
  if (known)
    return known->value;
  struct dn_file *f = NULL;
  const char *path = is_below(name) ? resolve(p, name) : NULL;
  if (!path) {
    dn_error(p->ctx, lex_loc(&p->lx), DN_EXTERNAL,
             "data files lie beside the module or below, by a relative path "
             "without '..' or links");
  } else {
    f = DN_NEW(p->ctx->arena, struct dn_file);
    if (!dn_file_map(p->ctx, path, f))
      f = NULL;
  }
  dn_map_at(p->scratch, &p->files, name)->value = f;
  return f;
}

static bool file(struct parser *p, const struct ir_type *type,
                 struct ir_data *out) {
  if (p->lx.tok.kind != LEX_STRING)
    return parse_expected(p, "a file name in quotes");
  const char *name = dn_intern(p->ctx, p->lx.tok.text);
  struct dn_loc loc = lex_loc(&p->lx);
  const struct dn_file *f = map(p, name);
  parse_next(p);
  if (parse_try(p, '+') && !parse_int(p, &out->offset))
    return false;
  int64_t size = ir_type_bytes(type), end;
  if (!f)
    return false;
  if (out->offset < 0 || !dn_add(out->offset, size, &end) ||
      (uint64_t)end > f->size)
    return dn_error(p->ctx, loc, DN_EXTERNAL,
                    "bytes %lld to %lld + %lld are not in '%s' of %zu bytes",
                    (long long)out->offset, (long long)out->offset,
                    (long long)size, name, f->size);
  out->bytes = f->data + out->offset;
  out->size = size;
  out->file = name;
  return true;
}

static bool elided(struct parser *p, const struct ir_type *type,
                   struct ir_data *out) {
  (void)type, (void)out;
  return parse_fail(p, "the data of this constant were left out when the "
                       "module was printed");
}

/* ---- Constants ---- */

static const struct {
  const char *word;
  bool (*parse)(struct parser *, const struct ir_type *, struct ir_data *);
} sources[] = {{"splat", splat},
               {"dense", dense},
               {"hex", hex},
               {"file", file},
               {"elided", elided}};

static bool source(struct parser *p, const struct ir_type *type,
                   struct ir_data *out) {
  for (size_t i = 0; i < DN_COUNT(sources); i++) {
    if (lex_is_word(&p->lx, sources[i].word)) {
      parse_next(p);
      return sources[i].parse(p, type, out);
    }
  }
  return parse_expected(p, "splat, dense, hex or file");
}

static const struct ir_type *const_type(struct parser *p) {
  if (!parse_take(p, ':', "':' and a type"))
    return NULL;
  const struct ir_type *type = parse_type(p);
  if (type && !ir_type_is_static(type)) {
    parse_fail(p, "a constant of unknown size");
    return NULL;
  }
  return type && parse_take(p, '=', "'=' and data") ? type : NULL;
}

bool parse_const(struct parser *p) {
  const char *name;
  if (!parse_new(p, LEX_SYMBOL, "a name such as @w", &p->consts, "constant",
                 &name))
    return false;
  struct ir_data data = {0};
  const struct ir_type *type = const_type(p);
  bool ok = type && source(p, type, &data);
  dn_map_at(p->scratch, &p->consts, name)->value =
      ok ? ir_const_new(p->m, name, type, &data) : NULL;
  return ok;
}
