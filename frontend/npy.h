/* npy.h - NumPy's .npy files, versions 1 to 3 (numpy.lib.format), C order. */
#ifndef FE_NPY_H
#define FE_NPY_H

#include "ir/eval.h"

bool fe_is_npy(const struct dn_file *f);
/* Type and data of a mapped .npy; data are borrowed. Big-endian, Fortran order
 * and element types that dnnc does not have are DN_NPY diagnostics. */
bool fe_npy_read(struct dn_ctx *ctx, const struct dn_file *f,
                 struct ir_tensor *out);

#endif
