/* model.h - the constant PREFIX_model that describes a model in its object:
 * layout in runtime/dnn.h. */
#ifndef CG_MODEL_H
#define CG_MODEL_H

#include "codegen/object/machine.h"

struct dnn_model;

/* Bytes of the description, in the context's arena. */
struct cg_blob cg_model(const struct cg_job *job);
/* Sets the fields that are known only when the object is. */
void cg_model_finish(const struct cg_job *job, struct cg_blob *model);
/* "PREFIX_model" and its section. */
const char *cg_model_symbol(const struct cg_job *job);
const char *cg_model_section(const struct cg_job *job);

/* Whether a struct dnn_sizes follows. */
bool cg_model_has_sizes(const struct dnn_model *m);
/* Whether offsets of inputs and outputs in the arena follow the tensors. */
bool cg_model_has_io(const struct dnn_model *m);
/* Bytes of the first part of an arena in two; 0: it is one. */
uint64_t cg_model_part(const struct dnn_model *m);
/* A copy of a description that an object from a user has in the `size` bytes at
 * `data`; NULL when a field is out of its range. Names end within it. */
const struct dnn_model *cg_model_read(struct dn_arena *arena, const void *data,
                                      size_t size);

#endif
