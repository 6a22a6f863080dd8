/* assemble.h - objects by GNU as, for Xtensa, where LLVM puts literals at odd
 * addresses when it writes the object itself. */
#ifndef CG_ASSEMBLE_H
#define CG_ASSEMBLE_H

#include "ir/base.h"

struct cg_assembler {
  const char *cpu;         /* what the names of its CPUs begin with */
  const char *tool, *from; /* the program, and what it is part of */
};
/* The assembler for a CPU of Xtensa; one for another core lacks
 * instructions. */
const struct cg_assembler *cg_assembler(const char *cpu);
/* Whether there is such a program in $PATH. */
bool cg_assembler_there(struct dn_arena *arena, const char *tool);
/* LLVM's text to the file that is open as `to`. NULL, or why not, in the
 * arena. */
const char *cg_assemble(struct dn_arena *arena, const char *tool,
                        const char *text, size_t size, int to);

#endif
