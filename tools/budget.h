/* budget.h - --max-ram, --max-flash, --max-stack: what a compiled model needs
 * beside what there is, and what takes most of it. */
#ifndef TOOLS_BUDGET_H
#define TOOLS_BUDGET_H

#include "tools/compile.h"

/* false after diagnostics that name the largest values or layers. */
bool budget_check(const struct compile *c, const struct cg_sizes *sizes);

#endif
