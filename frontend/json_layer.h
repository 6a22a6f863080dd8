/* json_layer.h - private to the JSON frontend: a model while it is built, a
 * layer of it, and the keys of its JSON object. */
#ifndef FE_JSON_LAYER_H
#define FE_JSON_LAYER_H

#include "frontend/build.h"
#include "frontend/json_read.h"
#include "frontend/json_weights.h"

struct json_model {
  struct dn_ctx *ctx;
  struct fe_build b;
  struct json_weights weights;
  struct ir_value **values; /* results by layer, NULL after an error */
  const char **names;
  size_t n;
  struct dn_map dims; /* symbolic ones: see fe_bind_dim() */
};

/* One layer while it is built. */
struct json_layer {
  struct json_model *m;
  const cJSON *json;
  const char *path; /* "layers[3]" */
  const char *name, *type;
  struct ir_value *x; /* first input */
  struct ir_value **inputs;
  size_t ninputs;
};

/* ---- json_keys.c: keys of a layer; what does not fit is a diagnostic ---- */
/* A DN_JSON error at the layer, or at one of its keys; false. */
bool json_fail(const struct json_layer *l, const char *key, const char *what);
/* The same for a word that is none of `list`: a note names the one that was
 * meant. */
bool json_unknown(const struct json_layer *l, const char *key, const char *what,
                  const char *word, const char *const *list, size_t n);
const cJSON *json_get(const struct json_layer *l, const char *key);
/* A whole number in [lo, 2^31), or the default when the key is absent. */
bool json_get_int(const struct json_layer *l, const char *key, int64_t def,
                  int64_t lo, int64_t *out);
/* A list of `n` whole numbers, or one number for all of them. */
bool json_get_ints(const struct json_layer *l, const char *key, int64_t n,
                   int64_t def, int64_t lo, int64_t *out);
const char *json_get_str(const struct json_layer *l, const char *key,
                         const char *def);

/* ---- json_layers.c: layer types ---- */
/* What can be said of the layer without its inputs: its type, its keys, its
 * activation. All that is wrong is reported. */
bool json_check(const struct json_layer *l);
/* The value of a layer that has been checked; NULL after diagnostics. */
struct ir_value *json_build(const struct json_layer *l);
/* The layer's activation applied to `y`; NULL gives NULL. */
struct ir_value *json_activate(const struct json_layer *l, struct ir_value *y);

#endif
