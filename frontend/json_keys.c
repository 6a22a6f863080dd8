/* json_keys.c - see json_layer.h. */
#include "frontend/json_layer.h"

#include <string.h>

bool json_fail(const struct json_layer *l, const char *key, const char *what) {
  const char *where =
      dn_printf(l->m->ctx->arena, "%s%s%s", l->path, key ? "." : "",
                key ? fe_text(l->m->ctx, key) : "");
  return dn_error(l->m->ctx,
                  (struct dn_loc){.file = l->m->b.at.m->file,
                                  .node = l->name,
                                  .op = l->type,
                                  .where = where},
                  DN_JSON, "%s", what);
}

bool json_unknown(const struct json_layer *l, const char *key, const char *what,
                  const char *word, const char *const *list, size_t n) {
  json_fail(l, key, what);
  dn_suggest(l->m->ctx, word, list, n);
  return false;
}

const cJSON *json_get(const struct json_layer *l, const char *key) {
  return cJSON_GetObjectItemCaseSensitive(l->json, key);
}

/* A whole number in [lo, 2^31), or the default when the key is absent. */
bool json_get_int(const struct json_layer *l, const char *key, int64_t def,
                  int64_t lo, int64_t *out) {
  const cJSON *item = json_get(l, key);
  *out = def;
  if (!item && def >= lo)
    return true;
  if (item && fe_json_whole(item, out) && *out >= lo && *out < INT64_C(1) << 31)
    return true;
  return json_fail(l, key,
                   item ? "must be a whole number in range" : "is missing");
}

/* A list of `n` whole numbers, or one number for all of them. */
bool json_get_ints(const struct json_layer *l, const char *key, int64_t n,
                   int64_t def, int64_t lo, int64_t *out) {
  const cJSON *item = json_get(l, key);
  if (!cJSON_IsArray(item)) {
    int64_t v;
    if (!json_get_int(l, key, def, lo, &v))
      return false;
    for (int64_t i = 0; i < n; i++)
      out[i] = v;
    return true;
  }
  int64_t k = 0;
  for (const cJSON *e = item->child; e; e = e->next, k++)
    if (k == n || !fe_json_whole(e, &out[k]) || out[k] < lo ||
        out[k] >= INT64_C(1) << 31)
      k = n + 1;
  if (k != n)
    json_fail(l, key, "has the wrong number of elements, or one out of range");
  return k == n;
}

const char *json_get_str(const struct json_layer *l, const char *key,
                         const char *def) {
  const cJSON *item = json_get(l, key);
  if (!item)
    return def;
  if (cJSON_IsString(item))
    return item->valuestring;
  json_fail(l, key, "must be a string");
  return NULL;
}
