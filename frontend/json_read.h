/* json_read.h - strict JSON (RFC 8259) on top of cJSON, which by itself accepts
 * trailing garbage, duplicate keys, invalid UTF-8 and loose numbers. */
#ifndef FE_JSON_READ_H
#define FE_JSON_READ_H

#include "ir/diag.h"

#include <cjson/cJSON.h>

/* The tree of a whole document, or NULL after a DN_JSON diagnostic that names
 * the line. Free with cJSON_Delete(). */
cJSON *fe_json_read(struct dn_ctx *ctx, const char *file, const char *text,
                    size_t size);

/* A whole number, exact in a double. */
bool fe_json_whole(const cJSON *item, int64_t *out);
static inline bool fe_json_size(const cJSON *item, int64_t *out) {
  return fe_json_whole(item, out) && *out >= 0;
}

#endif
