/* device.c - see device.h. */
#include "tools/device.h"

#include "frontend/json_read.h"
#include "tools/regions.h"

#include <stdlib.h>
#include <string.h>

static const unsigned char builtin[] = {
#include "devices.inc"
};

/* A key of a device, and the option that it stands for. */
struct key {
  const char *name;
  bool text; /* or a whole number */
  int64_t least, most;
  size_t offset; /* in struct options */
};
static const struct key keys[] = {
    {"name", true, 0, 0, 0},
    {"about", true, 0, 0, 0},
    {"target", true, 0, 0, offsetof(struct options, target)},
    {"cpu", true, 0, 0, offsetof(struct options, cpu)},
    {"features", true, 0, 0, offsetof(struct options, attrs)},
    {"caches", true, 0, 0, offsetof(struct options, caches)},
    {"regions", true, 0, 0, offsetof(struct options, region)},
    {"waits", true, 0, 0, offsetof(struct options, waits)},
    {"ram", false, 0, INT64_C(1) << 50, offsetof(struct options, max_ram)},
    {"flash", false, 0, INT64_C(1) << 50, offsetof(struct options, max_flash)},
    {"clock", false, 1, 100000, offsetof(struct options, clock)}};
enum { NAME, ABOUT, TARGET, CPU, FEATURES, CACHES, REGIONS, WAITS, RAM, FLASH };

struct device {
  const char *text[DN_COUNT(keys)]; /* NULL: not given */
  int64_t number[DN_COUNT(keys)];   /* -1: not given */
};

static bool bad(struct dn_ctx *ctx, const char *file, const char *where,
                const char *what) {
  return dn_error(ctx, (struct dn_loc){.file = file, .where = where}, DN_JSON,
                  "%s", what);
}

static bool is_whole(double v, int64_t least, int64_t most) {
  return v >= (double)least && v <= (double)most && v == (double)(int64_t)v;
}

/* One key of a device; text or a whole number. */
static bool read_key(struct dn_ctx *ctx, const char *file, const cJSON *item,
                     struct device *d) {
  int i = DN_FIND(keys, item->string);
  if (i < 0) {
    struct dn_buf all = dn_buf_new(ctx->arena);
    for (size_t k = 0; k < DN_COUNT(keys); k++)
      dn_buf_printf(&all, "%s%s", k ? ", " : "", keys[k].name);
    return bad(ctx, file, item->string,
               dn_printf(ctx->arena, "unknown key; a device has %s", all.text));
  }
  if (keys[i].text && cJSON_IsString(item)) {
    d->text[i] = dn_intern(ctx, item->valuestring);
    return true;
  }
  if (!keys[i].text && cJSON_IsNumber(item) &&
      is_whole(item->valuedouble, keys[i].least, keys[i].most)) {
    d->number[i] = (int64_t)item->valuedouble;
    return true;
  }
  return bad(ctx, file, item->string,
             keys[i].text
                 ? "must be text"
                 : dn_printf(ctx->arena, "must be a whole number, %lld to %lld",
                             (long long)keys[i].least,
                             (long long)keys[i].most));
}

static bool read_device(struct dn_ctx *ctx, const char *file,
                        const cJSON *object, struct device *d) {
  bool ok = cJSON_IsObject(object) ||
            bad(ctx, file, NULL, "a device must be an object");
  *d = (struct device){0};
  for (size_t i = 0; i < DN_COUNT(keys); i++)
    d->number[i] = -1;
  const cJSON *item;
  if (ok)
    cJSON_ArrayForEach(item, object) ok &= read_key(ctx, file, item, d);
  if (ok && (!d->text[NAME] || !d->text[TARGET]))
    ok = bad(ctx, file, d->text[NAME], "a device needs a name and a target");
  return ok && (!d->text[REGIONS] || regions_read(ctx, d->text[REGIONS]));
}

struct devices {
  struct device *v;
  size_t n;
};

static int compare_names(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool are_named_once(struct dn_ctx *ctx, const char *file,
                           const struct devices *d) {
  const char **names = DN_ARRAY(ctx->arena, const char *, d->n + 1);
  for (size_t i = 0; i < d->n; i++)
    names[i] = d->v[i].text[NAME];
  qsort(names, d->n, sizeof *names, compare_names);
  for (size_t i = 1; i < d->n; i++)
    if (!strcmp(names[i - 1], names[i]))
      return bad(ctx, file, names[i], "two devices have this name");
  return true;
}

/* A list of devices, or a single one. */
static bool read_devices(struct dn_ctx *ctx, const char *file, const char *text,
                         size_t size, struct devices *out) {
  cJSON *top = fe_json_read(ctx, file, text, size);
  if (!top)
    return false;
  bool list = cJSON_IsArray(top), ok = true;
  size_t n = list ? (size_t)cJSON_GetArraySize(top) : 1;
  out->v = DN_ARRAY(ctx->arena, struct device, n + 1);
  out->n = 0;
  if (!list)
    ok = read_device(ctx, file, top, &out->v[out->n++]);
  const cJSON *item;
  if (list)
    cJSON_ArrayForEach(item, top) ok &=
        read_device(ctx, file, item, &out->v[out->n++]);
  ok = ok && are_named_once(ctx, file, out);
  cJSON_Delete(top);
  return ok;
}

static bool read_builtin(struct dn_ctx *ctx, struct devices *out) {
  return read_devices(ctx, "devices.json", (const char *)builtin,
                      sizeof builtin, out);
}

/* Splits FILE.json[:NAME]; NULL when `text` names no file. */
static const char *file_of(struct dn_ctx *ctx, const char *text,
                           const char **name) {
  const char *end = strstr(text, ".json");
  if (!end || (end[5] && end[5] != ':'))
    return NULL;
  *name = end[5] ? end + 6 : NULL;
  return dn_strndup(ctx->arena, text, (size_t)(end + 5 - text));
}

static const struct device *find(struct dn_ctx *ctx, const char *file,
                                 const char *name, const struct devices *d) {
  const char **names = DN_ARRAY(ctx->arena, const char *, d->n + 1);
  if (!name && d->n == 1)
    return &d->v[0];
  for (size_t i = 0; i < d->n; i++) {
    names[i] = d->v[i].text[NAME];
    if (name && !strcmp(names[i], name))
      return &d->v[i];
  }
  dn_error(ctx, (struct dn_loc){.file = file, .where = "--device"}, DN_USAGE,
           name ? "unknown device '%.100s'" : "the file has several%s",
           name ? name : "; name one as FILE.json:NAME");
  if (!name || !dn_suggest(ctx, name, names, d->n))
    dn_note(ctx, "--list-devices shows the known ones; FILE.json[:NAME] reads "
                 "your own");
  return NULL;
}

bool device_apply(struct dn_ctx *ctx, const char *text, struct options *o) {
  const char *name = text, *file = file_of(ctx, text, &name);
  struct devices all = {0};
  struct dn_file bytes;
  bool ok = file ? dn_file_map(ctx, file, &bytes) &&
                       read_devices(ctx, file, (const char *)bytes.data,
                                    bytes.size, &all)
                 : read_builtin(ctx, &all);
  const struct device *d = ok ? find(ctx, file, name, &all) : NULL;
  if (!d)
    return false;
  if (o->region && !strcmp(o->region, "device")) {
    o->region = d->text[REGIONS];
    if (!o->region)
      return dn_usage(ctx, "--region", "device '%.100s' names no regions",
                      d->text[NAME]);
  }
  bool own = o->target != NULL; /* a CPU belongs to its target */
  for (size_t i = TARGET; i < DN_COUNT(keys); i++) {
    void *field = (char *)o + keys[i].offset;
    bool skip = i == REGIONS || (own && i <= FEATURES);
    if (keys[i].text && d->text[i] && !skip && !*(const char **)field)
      *(const char **)field = d->text[i];
    if (!keys[i].text && d->number[i] >= 0 && *(int64_t *)field < 0)
      *(int64_t *)field = d->number[i];
  }
  return true;
}

bool device_list(struct dn_ctx *ctx, FILE *out) {
  struct devices all = {0};
  if (!read_builtin(ctx, &all))
    return false;
  fprintf(out, "%-16s %-26s %-14s %9s %9s  %s\n", "DEVICE", "TARGET", "CPU",
          "RAM", "FLASH", "WHAT");
  for (size_t i = 0; i < all.n; i++) {
    const struct device *d = &all.v[i];
    const char *cell[2];
    for (int k = 0; k < 2; k++)
      cell[k] = d->number[RAM + k] < 0
                    ? ""
                    : dn_printf(ctx->arena, "%lldK",
                                (long long)d->number[RAM + k] / 1024);
    fprintf(out, "%-16s %-26s %-14s %9s %9s  %s\n", d->text[NAME],
            d->text[TARGET], d->text[CPU] ? d->text[CPU] : "", cell[0], cell[1],
            d->text[ABOUT] ? d->text[ABOUT] : "");
  }
  return true;
}
