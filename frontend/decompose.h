/* decompose.h - operators that are compositions in their standards, as text:
 * the rows of decompose.def, built for the importers. */
#ifndef FE_DECOMPOSE_H
#define FE_DECOMPOSE_H

#include "frontend/build.h"

enum fe_decomposition {
#define DECOMPOSE(ID, name, operands, attrs, text) FE_##ID,
#include "frontend/decompose.def"
#undef DECOMPOSE
};

enum { FE_MAX_OPERANDS = 16, FE_MAX_ATTRS = 16, FE_MAX_RESULTS = 5 };

/* Results of a row, of its operands in order (NULL or fewer: absent) and its
 * attributes. A result that `out` has no room for is not built. false after a
 * diagnostic. */
bool fe_decompose(struct fe_build *b, enum fe_decomposition row,
                  struct ir_value *const *args, size_t nargs,
                  const struct ir_attr *attrs, size_t nattrs,
                  struct ir_value **out, size_t nout);
/* The first result, as fe_emit() of an op: a NULL first operand gives NULL. */
struct ir_value *fe_call(struct fe_build *b, enum fe_decomposition row,
                         struct ir_value *const *args, size_t nargs,
                         const struct ir_attr *attrs, size_t nattrs);

/* The names of a row's attributes, for an importer that has attributes of the
 * same names. */
size_t fe_attr_names(struct fe_build *b, enum fe_decomposition row,
                     const char *names[FE_MAX_ATTRS]);
/* The operands of a row. */
struct fe_operand {
  const char *name;
  bool optional, constant;
};
size_t fe_operands(struct fe_build *b, enum fe_decomposition row,
                   const struct fe_operand **operands);
/* A row by the name that texts call it by. */
bool fe_decomposition_find(const char *name, enum fe_decomposition *out);

#endif
