/* elf.h - reading the objects that LLVM wrote: section sizes for the report,
 * places to fill in, undefined symbols, calls. Every offset is checked, since
 * dnnc-run also takes objects from users. */
#ifndef CG_ELF_H
#define CG_ELF_H

#include "ir/base.h"

struct cg_section {
  const char *name;
  size_t offset, size; /* in the file; size also counts what is not stored */
  uint64_t address;    /* 0 in an object */
  size_t type;         /* where the file says what kind of section it is */
  bool code, data, stored;
};
/* Values of `type`. */
enum { CG_ELF_OBJECT = 1, CG_ELF_SHARED = 3 };
#define CG_NO_SECTION SIZE_MAX
struct cg_symbol {
  const char *name;
  bool defined, global;
  size_t section; /* index into sections, or CG_NO_SECTION */
  uint64_t value, size;
};
struct cg_call { /* a section of code that names another, by a relocation */
  size_t from, to;
};
struct cg_elf {
  unsigned type, machine; /* CG_ELF_OBJECT ..; as the standard numbers them */
  bool wide;              /* ELF64 */
  DN_LIST(struct cg_section) sections; /* as numbered in the file */
  DN_LIST(struct cg_symbol) symbols;   /* named ones */
  DN_LIST(struct cg_call) calls;       /* each relocation, so with repeats */
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
/* Offset in the file of a symbol's bytes, and how many its section has from
 * there; false: it has none there. */
bool cg_elf_bytes(const struct cg_elf *elf, const struct cg_symbol *symbol,
                  size_t *offset, size_t *size);

#endif
