/* weights.h - constants apart from the object: --weights=FILE. Layout of the
 * file: runtime/dnn.h. */
#ifndef CG_WEIGHTS_H
#define CG_WEIGHTS_H

#include "codegen/object/elf.h"
#include "codegen/object/machine.h"

/* at[id]: where constant `id` lies in the file, 0: it stays in the object.
 * Returns the file's size. */
int64_t cg_weights_place(const struct ir_module *m, int64_t *at);
/* What the object expects of the file: a symbol and its section. */
const char *cg_weights_symbol(struct dn_arena *arena, const struct cg_opts *o);
const char *cg_weights_section(struct dn_arena *arena, const struct cg_opts *o);
/* Hash of all that stays in the object, in which that section is left out. */
uint64_t cg_weights_abi(const struct cg_elf *elf, const void *object,
                        const struct cg_blob *model, const struct cg_job *job);

#endif
