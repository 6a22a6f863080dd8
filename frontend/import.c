/* import.c - a model file to a GRAPH module: the first bytes decide the
 * format. */
#include "frontend/fe.h"

#include "ir/size.h"

#include <string.h>

struct format {
  const char *text;
  bool (*sniff)(const struct dn_file *f);
  struct ir_module *(*import)(struct dn_ctx *ctx, const struct dn_file *f,
                              const struct fe_opts *opts);
};

static const struct format formats[] = {
#define FORMAT(NAME, text) {text, fe_##NAME##_sniff, fe_##NAME##_import},
#include "frontend/formats.def"
#undef FORMAT
};

/* Formats that people try, to name them in the message. */
static const struct {
  size_t at;
  const char *bytes;
  size_t size;
  const char *name;
} others[] = {{0, "GGUF", 4, "a GGUF file"},
              {0, "PK\3\4", 4, "a zip archive (PyTorch? Keras?)"},
              {0, "\x1f\x8b", 2, "a gzip file"},
              {0, "\x89HDF", 4, "an HDF5 file"},
              {0, "\x93NUMPY", 6, "a NumPy array"},
              {0,
               "\x7f"
               "ELF",
               4, "an ELF object"},
              {0, "\x80\x02", 2, "a Python pickle"},
              {0, "\xff\xfe", 2, "UTF-16 text"},
              {0, "\xfe\xff", 2, "UTF-16 text"},
              {8, "{\"", 2, "a safetensors file"}};

static const char *looks_like(const struct dn_file *f) {
  for (size_t i = 0; i < DN_COUNT(others); i++)
    if (f->size >= others[i].at + others[i].size &&
        !memcmp(f->data + others[i].at, others[i].bytes, others[i].size))
      return others[i].name;
  return NULL;
}

struct dims_of { /* a text's */
  struct dn_ctx *ctx;
  const struct fe_opts *opts;
  struct ir_point at;
};

static const struct ir_param *find_dim(void *user, const char *name) {
  struct dims_of *of = user;
  for (size_t i = 0; i < of->opts->ndims; i++) {
    const struct fe_dim *d = &of->opts->dims[i];
    if (d->of || strcmp(d->name, name) != 0)
      continue;
    const struct ir_param *p = ir_param(of->ctx, name, 1, d->value);
    if (of->opts->free)
      DN_PUSH(of->ctx->arena, of->opts->free->list, name);
    return ir_point_with(&of->at, p) ? p : NULL;
  }
  return NULL;
}

int64_t fe_dim_of(struct dn_ctx *ctx, const struct fe_opts *opts,
                  const char *text) {
  struct dims_of of = {.ctx = ctx, .opts = opts};
  char *words = dn_strndup(ctx->arena, text, strlen(text)), *to = words;
  for (const char *p = text; *p; p++)
    if (*p != ' ')
      *to++ = *p;
  *to = '\0';
  const struct ir_size *s = ir_size_read(ctx, words, find_dim, &of);
  return s && s->n ? ir_size_at(s, &of.at) : -1;
}

/* -1: no --dim sets it, and its name is no sum of sizes. */
static int64_t option_dim(struct dn_ctx *ctx, const struct fe_opts *opts,
                          const char *name) {
  if (opts->free)
    DN_PUSH(ctx->arena, opts->free->list, name);
  for (size_t i = 0; i < opts->ndims; i++) {
    const struct fe_dim *d = &opts->dims[i];
    if (!strcmp(d->name, name))
      return d->of ? fe_dim_of(ctx, opts, d->of) : d->value;
  }
  return fe_dim_of(ctx, opts, name);
}

int64_t fe_bind_dim(struct dn_ctx *ctx, const struct fe_opts *opts,
                    struct dn_map *bound, struct dn_loc loc, const char *name,
                    const char *what, int64_t given, int64_t taken) {
  name = dn_intern(ctx, name);
  const char *text = dn_escaped(ctx->arena, name);
  struct dn_entry *e = dn_map_at(ctx->arena, bound, name);
  int64_t *size = e->value;
  bool first = !size;
  if (first) {
    e->value = size = DN_NEW(ctx->arena, int64_t);
    *size = option_dim(ctx, opts, name);
  }
  if (*size >= 0 && given >= 0 && *size != given) {
    dn_error(ctx, loc, DN_TYPE, "dimension '%s' is %lld and also %lld", text,
             (long long)*size, (long long)given);
    return -1;
  }
  if (*size < 0 && given < 0 && taken > 0)
    dn_note(ctx, "%s: %s has no value; %lld is taken", loc.where, what,
            (long long)taken);
  if (*size < 0)
    *size = given >= 0 ? given : taken > 0 ? taken : -1;
  if (*size < 0 && first) {
    dn_error(ctx, loc, DN_DIM, "%s has no value", what);
    dn_note(ctx,
            "bind it with --dim %s=VALUE, or with --dim '%s<=BOUND' for every "
            "size up to a bound",
            text, text);
  }
  return *size;
}

int64_t fe_made_dim(struct dn_ctx *ctx, const struct fe_opts *opts,
                    struct dn_loc loc, const char *name, int64_t most,
                    int64_t *bound) {
  struct fe_dim d = {.name = dn_intern(ctx, name), .value = -1};
  if (opts->free)
    DN_PUSH(ctx->arena, opts->free->list, d.name);
  for (size_t i = 0; i < opts->ndims; i++)
    if (!strcmp(opts->dims[i].name, name))
      d = opts->dims[i];
  if (d.value < 0 && opts->made)
    d = (struct fe_dim){
        .name = d.name, .value = most, .bound = most, .loc = loc};
  if (d.bound && opts->made)
    DN_PUSH(ctx->arena, opts->made->list, d);
  *bound = d.bound;
  return d.value;
}

struct ir_module *fe_import(struct dn_ctx *ctx, const char *path,
                            const struct fe_opts *opts) {
  static const struct fe_opts none = {0};
  struct dn_file file;
  if (!dn_file_map(ctx, path, &file))
    return NULL;
  struct dn_loc loc = {.file = path};
  const char *other = looks_like(&file);
  if (other) {
    dn_error(ctx, loc, DN_FORMAT, "it looks like %s", other);
    dn_note(ctx, "dnnc reads ONNX and TensorFlow Lite: export the model from "
                 "where it was made");
    return NULL;
  }
  for (size_t i = 0; i < DN_COUNT(formats); i++) {
    if (!formats[i].sniff(&file))
      continue;
    if (opts && opts->nvalues && formats[i].import != fe_onnx_import) {
      dn_error(ctx, loc, DN_USAGE, "--value is for inputs of ONNX models");
      return NULL;
    }
    struct ir_module *m = formats[i].import(ctx, &file, opts ? opts : &none);
    if (m && ir_verify(m))
      return m;
    ir_module_free(m);
    return NULL;
  }
  dn_error(ctx, loc, DN_FORMAT, "its first bytes are those of no known format");
  struct dn_buf all = dn_buf_new(ctx->arena);
  for (size_t i = 0; i < DN_COUNT(formats); i++)
    dn_buf_printf(&all, "%s%s", i ? ", " : "", formats[i].text);
  dn_note(ctx, "a model is one of: %s", all.text);
  return NULL;
}
