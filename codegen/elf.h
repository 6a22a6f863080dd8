/* elf.h - reading the objects that LLVM wrote: section sizes for the report,
 * places to fill in, undefined symbols. Every offset is checked, since dnnc-run
 * also takes objects from users. */
#ifndef CG_ELF_H
#define CG_ELF_H

#include "ir/base.h"

struct cg_section {
  const char *name;
  size_t offset, size; /* in the file; size also counts what is not stored */
  size_t type;         /* where the file says what kind of section it is */
  bool code, data, stored;
};
#define CG_NO_SECTION SIZE_MAX
struct cg_symbol {
  const char *name;
  bool defined, global;
  size_t section; /* index into sections, or CG_NO_SECTION */
  uint64_t value, size;
};
struct cg_elf {
  DN_LIST(struct cg_section) sections; /* as numbered in the file */
  DN_LIST(struct cg_symbol) symbols;   /* named ones */
};

/* Little-endian ELF32 and ELF64; false when the bytes are no such file. Names
 * point into `data`. */
bool cg_elf_read(struct dn_arena *arena, const void *data, size_t size,
                 struct cg_elf *out);
/* The first section or defined symbol of that name, or NULL. */
const struct cg_section *cg_elf_section(const struct cg_elf *elf,
                                        const char *name);
const struct cg_symbol *cg_elf_symbol(const struct cg_elf *elf,
                                      const char *name);

#endif
