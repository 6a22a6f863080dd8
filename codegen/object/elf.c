/* elf.c - see elf.h. The two classes differ in the width and order of header
 * fields only, so each field is read at an offset that a small table gives. */
#include "codegen/object/elf.h"

#include <assert.h>
#include <string.h>

struct reader {
  const uint8_t *data;
  size_t size;
  bool wide; /* ELF64 */
};

/* Field of `bytes` at `at`; 0 outside the file. */
static uint64_t field(const struct reader *r, uint64_t at, unsigned bytes) {
  assert(bytes <= sizeof(uint64_t) && "fields have 8 bytes at most");
  uint64_t v = 0;
  if (at > r->size || r->size - at < bytes)
    return 0;
  for (unsigned i = 0; i < bytes; i++)
    v |= (uint64_t)r->data[at + i] << (8 * i);
  return v;
}
/* An address-sized field at its offset in either class. */
static uint64_t word(const struct reader *r, uint64_t base, unsigned at32,
                     unsigned at64) {
  return r->wide ? field(r, base + at64, 8) : field(r, base + at32, 4);
}

/* The string at `at` of the table [offset, offset + size), or "". */
static const char *text(const struct reader *r, const struct cg_section *table,
                        uint64_t at) {
  if (!table->stored || at >= table->size)
    return "";
  assert(table->offset <= r->size && table->size <= r->size - table->offset &&
         "what is stored lies in the file: read_section()");
  const char *s = (const char *)r->data + table->offset + at;
  return memchr(s, 0, table->size - at) ? s : "";
}

enum {
  SHT_SYMTAB_ = 2,
  SHT_RELA_ = 4,
  SHT_NOBITS_ = 8,
  SHT_REL_ = 9,
  SHT_DYNSYM_ = 11
};
enum { SHF_ALLOC_ = 2, SHF_EXEC_ = 4 };

static bool read_section(const struct reader *r, uint64_t base,
                         struct cg_section *s) {
  uint64_t type = field(r, base + 4, 4);
  s->type = (size_t)base + 4;
  uint64_t flags = word(r, base, 8, 8);
  uint64_t offset = word(r, base, 16, 24), size = word(r, base, 20, 32);
  s->stored = type != SHT_NOBITS_ && type != 0;
  if (s->stored && (offset > r->size || size > r->size - offset))
    return false;
  s->offset = (size_t)offset;
  s->size = (size_t)size;
  s->address = word(r, base, 12, 16);
  s->code = (flags & SHF_ALLOC_) && (flags & SHF_EXEC_);
  s->data = (flags & SHF_ALLOC_) && !(flags & SHF_EXEC_);
  return true;
}

static void read_symbols(const struct reader *r, struct dn_arena *arena,
                         struct cg_elf *out, const struct cg_section *table,
                         const struct cg_section *names) {
  assert(table->stored && "a table of symbols is no SHT_NOBITS: cg_elf_read()");
  size_t entry = r->wide ? 24 : 16;
  for (size_t i = 1; i < table->size / entry; i++) {
    uint64_t base = table->offset + i * entry;
    struct cg_symbol s = {.name = text(r, names, field(r, base, 4))};
    uint64_t info = field(r, base + (r->wide ? 4 : 12), 1);
    uint64_t index = field(r, base + (r->wide ? 6 : 14), 2);
    bool is_file = (info & 15) == 4, is_section = (info & 15) == 3;
    if (!s.name[0] || is_file || is_section)
      continue;
    s.global = info >> 4 != 0;
    s.defined = index != 0;
    s.section = index < out->sections.n ? (size_t)index : CG_NO_SECTION;
    s.value = word(r, base, 4, 8);
    s.size = word(r, base, 8, 16);
    DN_PUSH(arena, out->symbols, s);
  }
}

/* What the code of one section names in others, by the relocations in `table`
 * whose header is at `base`. */
static void read_calls(const struct reader *r, struct dn_arena *arena,
                       struct cg_elf *out, uint64_t base,
                       const struct cg_section *table, bool addends) {
  uint64_t symbols = field(r, base + (r->wide ? 40 : 24), 4);
  uint64_t from = field(r, base + (r->wide ? 44 : 28), 4);
  uint64_t entry = (r->wide ? 16u : 8u) + (addends ? (r->wide ? 8u : 4u) : 0u);
  size_t n = out->sections.n;
  if (!table->stored || symbols >= n || from >= n ||
      !out->sections.v[from].code)
    return;
  for (uint64_t i = 0; i < table->size / entry; i++) {
    uint64_t info = word(r, table->offset + i * entry, 4, 8);
    uint64_t symbol = info >> (r->wide ? 32 : 8);
    uint64_t at =
        out->sections.v[symbols].offset + symbol * (r->wide ? 24 : 16);
    uint64_t to = field(r, at + (r->wide ? 6 : 14), 2);
    if (to < n && to != from && out->sections.v[to].code)
      DN_PUSH(arena, out->calls, ((struct cg_call){(size_t)from, (size_t)to}));
  }
}

static bool has_section(const struct reader *r, uint64_t table, uint64_t entry,
                        uint64_t count, uint64_t type) {
  for (uint64_t i = 0; i < count; i++)
    if (field(r, table + i * entry + 4, 4) == type)
      return true;
  return false;
}

bool cg_elf_read(struct dn_arena *arena, const void *data, size_t size,
                 struct cg_elf *out) {
  struct reader r = {data, size, false};
  *out = (struct cg_elf){0};
  if (size < 52 || memcmp(data, "\177ELF", 4) != 0 || r.data[5] != 1)
    return false;
  r.wide = out->wide = r.data[4] == 2;
  out->type = (unsigned)field(&r, 16, 2);
  out->machine = (unsigned)field(&r, 18, 2);
  uint64_t table = word(&r, 0, 32, 40);
  uint64_t entry = field(&r, r.wide ? 58 : 46, 2);
  uint64_t count = field(&r, r.wide ? 60 : 48, 2);
  uint64_t names = field(&r, r.wide ? 62 : 50, 2);
  if (entry != (r.wide ? 64 : 40) || table > size)
    return false;
  /* Many sections: the numbers are in the first section header. */
  if (count == 0)
    count = word(&r, table, 20, 32);
  if (names == 0xffff)
    names = field(&r, table + (r.wide ? 40 : 24), 4);
  if (count > (size - table) / entry || names >= count)
    return false;
  for (uint64_t i = 0; i < count; i++) {
    struct cg_section s = {0};
    if (!read_section(&r, table + i * entry, &s))
      return false;
    DN_PUSH(arena, out->sections, s);
  }
  for (uint64_t i = 0; i < count; i++)
    out->sections.v[i].name =
        text(&r, &out->sections.v[names], field(&r, table + i * entry, 4));
  /* A stripped shared object has the symbols that the loader needs. */
  const uint64_t kind = has_section(&r, table, entry, count, SHT_SYMTAB_)
                            ? SHT_SYMTAB_
                            : SHT_DYNSYM_;
  for (uint64_t i = 0; i < count; i++) {
    uint64_t base = table + i * entry;
    uint64_t link = field(&r, base + (r.wide ? 40 : 24), 4);
    uint64_t type = field(&r, base + 4, 4);
    if (type == kind && link < count)
      read_symbols(&r, arena, out, &out->sections.v[i], &out->sections.v[link]);
    if (type == SHT_REL_ || type == SHT_RELA_)
      read_calls(&r, arena, out, base, &out->sections.v[i], type == SHT_RELA_);
  }
  return true;
}

const struct cg_section *cg_elf_section(const struct cg_elf *elf,
                                        const char *name) {
  for (size_t i = 0; i < elf->sections.n; i++)
    if (!strcmp(elf->sections.v[i].name, name))
      return &elf->sections.v[i];
  return NULL;
}

const struct cg_symbol *cg_elf_symbol(const struct cg_elf *elf,
                                      const char *name) {
  for (size_t i = 0; i < elf->symbols.n; i++)
    if (elf->symbols.v[i].defined && !strcmp(elf->symbols.v[i].name, name))
      return &elf->symbols.v[i];
  return NULL;
}

bool cg_elf_bytes(const struct cg_elf *elf, const struct cg_symbol *symbol,
                  size_t *offset, size_t *size) {
  if (symbol->section == CG_NO_SECTION)
    return false;
  const struct cg_section *s = &elf->sections.v[symbol->section];
  uint64_t at = symbol->value - s->address;
  if (!s->stored || symbol->value < s->address || at > s->size)
    return false;
  *offset = s->offset + (size_t)at;
  *size = s->size - (size_t)at;
  return true;
}
