/* package.h - --package=KIND: a folder that builds in one of the worlds of
 * firmware. What it holds is written in packages.txt. */
#ifndef TOOLS_PACKAGE_H
#define TOOLS_PACKAGE_H

#include "tools/compile.h"

struct package; /* a stored input and the interpreter's outputs */
/* Describes the imported module, before passes run. NULL after a diagnostic. */
struct package *package_begin(const struct compile *c, const char *kind);
/* Writes the folder. */
bool package_write(struct package *p, const char *folder,
                   const struct cg_blob *object, const struct cg_blob *header);

#endif
