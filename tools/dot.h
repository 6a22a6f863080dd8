/* dot.h - --emit=dot: the module as a Graphviz graph. */
#ifndef TOOLS_DOT_H
#define TOOLS_DOT_H

#include "ir/ir.h"

void dot_print(struct dn_buf *out, const struct ir_module *m);

#endif
