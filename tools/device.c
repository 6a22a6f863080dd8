/* device.c - see device.h. */
#include "tools/device.h"

#include "frontend/json_read.h"

#include <string.h>

static const unsigned char builtin[] = {
#include "devices.inc"
};

struct device {
  const char *name, *about, *target, *cpu, *features;
  int64_t ram, flash;
};

static bool bad(struct dn_ctx *ctx, const char *file, const char *where,
                const char *what) {
  return dn_error(ctx, (struct dn_loc){.file = file, .where = where}, DN_JSON,
                  "%s", what);
}

/* One key of a device; text or a whole number. */
static bool read_key(struct dn_ctx *ctx, const char *file, const cJSON *item,
                     struct device *d) {
  const struct {
    const char *key, **text;
    int64_t *number;
  } keys[] = {{"name", &d->name, NULL},         {"about", &d->about, NULL},
              {"target", &d->target, NULL},     {"cpu", &d->cpu, NULL},
              {"features", &d->features, NULL}, {"ram", NULL, &d->ram},
              {"flash", NULL, &d->flash}};
  int i = DN_FIND(keys, item->string);
  if (i >= 0 && keys[i].text && cJSON_IsString(item)) {
    *keys[i].text = dn_intern(ctx, item->valuestring);
    return true;
  }
  if (i >= 0 && keys[i].number && cJSON_IsNumber(item) &&
      item->valuedouble >= 0 && item->valuedouble < 9e15) {
    *keys[i].number = (int64_t)item->valuedouble;
    return true;
  }
  if (i >= 0)
    return bad(ctx, file, item->string,
               keys[i].text ? "must be text" : "must be a number of bytes");
  return bad(ctx, file, item->string,
             "unknown key; a device has name, about, target, cpu, features, "
             "ram and flash");
}

static bool read_device(struct dn_ctx *ctx, const char *file,
                        const cJSON *object, struct device *d) {
  bool ok = cJSON_IsObject(object) ||
            bad(ctx, file, NULL, "a device must be an object");
  *d = (struct device){.ram = -1, .flash = -1};
  const cJSON *item;
  if (ok)
    cJSON_ArrayForEach(item, object) ok &= read_key(ctx, file, item, d);
  if (ok && (!d->name || !d->target))
    ok = bad(ctx, file, d->name, "a device needs a name and a target");
  return ok;
}

struct devices {
  struct device *v;
  size_t n;
};

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
    names[i] = d->v[i].name;
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
  if (!o->target) { /* a CPU belongs to its target */
    o->target = d->target;
    o->cpu = o->cpu ? o->cpu : d->cpu;
    o->attrs = o->attrs ? o->attrs : d->features;
  }
  if (o->max_ram < 0)
    o->max_ram = d->ram;
  if (o->max_flash < 0)
    o->max_flash = d->flash;
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
    char ram[24] = "", flash[24] = "";
    if (d->ram >= 0)
      snprintf(ram, sizeof ram, "%lldK", (long long)d->ram / 1024);
    if (d->flash >= 0)
      snprintf(flash, sizeof flash, "%lldK", (long long)d->flash / 1024);
    fprintf(out, "%-16s %-26s %-14s %9s %9s  %s\n", d->name, d->target,
            d->cpu ? d->cpu : "", ram, flash, d->about ? d->about : "");
  }
  return true;
}
