/* region.h - memories that the linker knows by name (--region): what of a
 * compiled model lies in which, as names of sections and as a piece of a linker
 * script. docs/memory.md has the rules. */
#ifndef CG_REGION_H
#define CG_REGION_H

#include "codegen/cg.h"

/* Section of the constant with that symbol, or of a function. */
const char *cg_const_section(const struct cg_opts *opts, struct dn_arena *arena,
                             const struct ir_value *c, const char *symbol);
const char *cg_code_section(const struct cg_opts *opts, struct dn_arena *arena,
                            const char *symbol);
/* Section for a part of the caller's arena, or the state; NULL: it is in no
 * region. */
const char *cg_arena_section(const struct cg_opts *opts, struct dn_arena *arena,
                             unsigned part);
const char *cg_state_section(const struct cg_opts *opts,
                             struct dn_arena *arena);

#endif
