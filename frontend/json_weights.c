/* json_weights.c - see json_weights.h. */
#include "frontend/json_weights.h"

#include "frontend/fe.h"
#include "ir/eval.h"

#include <math.h>
#include <string.h>

/* The weight that is made. */
struct wanted {
  struct json_weights *w;
  struct ir_module *m;
  const char *name;
  const struct ir_type *type;
  struct dn_loc loc;
};

static struct ir_value *fail(const struct wanted *a, const char *what) {
  dn_error(a->w->ctx, a->loc, DN_TENSOR_DATA, "%s; %s is needed", what,
           ir_type_text(a->w->ctx, NULL, a->type));
  return NULL;
}

static struct ir_value *finish(const struct wanted *a, const void *bytes) {
  struct ir_data data = {.bytes = bytes, .size = ir_type_bytes(a->type)};
  return ir_const_new(a->m, a->name, a->type, &data);
}

/* Inline numbers: nested lists of the shape, or one flat list. */
static bool read_numbers(const cJSON *list, const struct ir_type *type, int dim,
                         int64_t count, char *to, int64_t *n) {
  bool leaves = list->child && cJSON_IsNumber(list->child);
  size_t size = ir_dtypes[type->dtype].bytes;
  int64_t len = cJSON_GetArraySize(list);
  bool flat = dim == 0 && leaves && len == count;
  if (!flat && (dim >= type->rank || len != type->dim[dim] ||
                leaves != (dim == type->rank - 1)))
    return len == 0 && count == 0;
  for (const cJSON *e = list->child; e; e = e->next) {
    if (!leaves) {
      if (!cJSON_IsArray(e) || !read_numbers(e, type, dim + 1, count, to, n))
        return false;
      continue;
    }
    if (!cJSON_IsNumber(e) || *n == count)
      return false;
    ir_store_float(type->dtype, to + (size_t)(*n)++ * size, e->valuedouble);
  }
  return true;
}

static struct ir_value *inline_weight(const struct wanted *a,
                                      const cJSON *item) {
  const struct ir_type *type = a->type;
  int64_t n = 0, count = ir_type_count(type);
  /* No more memory than the text can fill: two characters a number. */
  if (count > ((int64_t)1 << 40) || cJSON_GetArraySize(item) > count)
    return fail(a, "the numbers do not fit the shape");
  int64_t present = 0;
  for (const cJSON *e = item->child; e; e = e->next)
    present += cJSON_IsArray(e) ? cJSON_GetArraySize(e) : 1;
  if (count > 0 && present == 0)
    return fail(a, "the numbers do not fit the shape");
  char *bytes = dn_alloc(a->m->arena, (size_t)ir_type_bytes(type));
  if (!read_numbers(item, type, 0, count, bytes, &n) || n != count)
    return fail(a, "the numbers do not fit the shape");
  return finish(a, bytes);
}

/* Of Box and Muller's normal pair. */
static double uniform(uint64_t *state) {
  return (double)(dn_random(state) >> 11) * 0x1p-53;
}

static struct ir_value *random_weight(const struct wanted *a, double seed) {
  struct json_weights *w = a->w;
  const struct ir_type *type = a->type;
  uint64_t state = (uint64_t)(int64_t)seed;
  for (const char *s = a->name; *s; s++) /* weights of one seed differ */
    state = state * 31 + (unsigned char)*s;
  int64_t n = ir_type_count(type), out = 1;
  if (n > w->ctx->limits.random - w->random) {
    dn_error(w->ctx, a->loc, DN_LIMIT,
             "more than %lld random weights in the model (--limit-random)",
             (long long)w->ctx->limits.random);
    return NULL;
  }
  w->random += n;
  for (int i = 0; i < type->rank; i++)
    out = dn_max(out, type->dim[i]);
  double scale = sqrt(2 / (double)dn_max(n / out, 1));
  char *bytes = dn_alloc(a->m->arena, (size_t)ir_type_bytes(type));
  for (int64_t i = 0; i < n; i++) {
    double r = sqrt(-2 * log(1 - uniform(&state)));
    double v = r * cos(6.283185307179586 * uniform(&state)) * scale;
    ir_store_float(type->dtype, bytes + i * ir_dtypes[type->dtype].bytes, v);
  }
  return finish(a, bytes);
}

static struct ir_value *file_weight(const struct wanted *a, const char *file,
                                    const char *tensor) {
  struct json_weights *w = a->w;
  struct dn_file f;
  struct ir_tensor t;
  if (!fe_sandbox_map(w->ctx, a->loc, w->file, file, &f))
    return NULL;
  if (!(tensor ? fe_safetensors_read(w->ctx, &f, tensor, &t)
               : fe_npy_read(w->ctx, &f, &t)))
    return NULL;
  if (t.type != a->type)
    return fail(a, dn_printf(w->ctx->arena, "the file holds %s",
                             ir_type_text(w->ctx, NULL, t.type)));
  return finish(a, t.data);
}

static const char *text_of(const cJSON *item, const char *key) {
  const cJSON *t = cJSON_GetObjectItemCaseSensitive(item, key);
  return cJSON_IsString(t) ? t->valuestring : NULL;
}

struct ir_value *json_weight(struct json_weights *w, struct ir_module *m,
                             const cJSON *item, const char *path,
                             const char *name, const struct ir_type *type) {
  const cJSON *fill = cJSON_GetObjectItemCaseSensitive(item, "fill");
  const cJSON *seed = cJSON_GetObjectItemCaseSensitive(item, "random");
  const char *npy = text_of(item, "npy");
  const char *st = text_of(item, "safetensors"),
             *tensor = text_of(item, "tensor");
  const struct wanted a = {w, m, name, type, {.file = w->file, .where = path}};
  if (cJSON_IsArray(item))
    return inline_weight(&a, item);
  if (cJSON_IsString(item) && cJSON_IsString(w->tensors))
    return file_weight(&a, w->tensors->valuestring, item->valuestring);
  if (npy && cJSON_GetArraySize(item) == 1)
    return file_weight(&a, npy, NULL);
  if (st && tensor && cJSON_GetArraySize(item) == 2)
    return file_weight(&a, st, tensor);
  if (cJSON_IsNumber(fill) && cJSON_GetArraySize(item) == 1)
    return ir_const_splat(m, name, type, fill->valuedouble);
  if (cJSON_IsNumber(seed) && fabs(seed->valuedouble) < 0x1p53 &&
      cJSON_GetArraySize(item) == 1)
    return random_weight(&a, seed->valuedouble);
  return fail(&a,
              "a weight is a list of numbers, {\"npy\": file}, "
              "{\"safetensors\": file, \"tensor\": name}, the name of a tensor "
              "of the model's \"weights\" file, {\"fill\": x} or "
              "{\"random\": seed}");
}
