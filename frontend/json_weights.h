/* json_weights.h - private to the JSON frontend: where a weight comes from.
 *
 *   [[1, 2], [3, 4]]                               the numbers themselves
 *   {"npy": "w1.npy"}                              a file beside the model
 *   {"safetensors": "net.safetensors", "tensor": "fc1.weight"}
 *   "fc1.weight"                a tensor of the model's "weights" safetensors
 *   {"fill": 0.5}                                  one number everywhere
 *   {"random": 7}                                  normal numbers from a seed,
 *                           scaled by sqrt(2/fan-in) (He et al. 2015, eq. 10)
 */
#ifndef FE_JSON_WEIGHTS_H
#define FE_JSON_WEIGHTS_H

#include "ir/ir.h"

#include <cjson/cJSON.h>

struct json_weights {
  struct dn_ctx *ctx;
  const char *file;     /* the model's path */
  const cJSON *tensors; /* the model's "weights": a safetensors file, or NULL */
  int64_t random;       /* elements made from seeds so far */
};

/* A constant of `type`, or NULL after diagnostics at `path`. */
struct ir_value *json_weight(struct json_weights *w, struct ir_module *m,
                             const cJSON *item, const char *path,
                             const char *name, const struct ir_type *type);

#endif
