/* safetensors.h - tensors of a .safetensors file: a length, a JSON header, data
 * (huggingface/safetensors, README "Format"). */
#ifndef FE_SAFETENSORS_H
#define FE_SAFETENSORS_H

#include "ir/eval.h"

/* The tensor `name`, borrowed from the file; a DN_NPY diagnostic when the file
 * is malformed or has no such tensor. */
bool fe_safetensors_read(struct dn_ctx *ctx, const struct dn_file *f,
                         const char *name, struct ir_tensor *out);

#endif
