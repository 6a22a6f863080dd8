/* archive.c - see archive.h. The format is System V's, as GNU's and LLVM's
 * tools write it: headers of 60 characters, an index of big-endian numbers. */
#include "tools/archive.h"

#include "codegen/object/elf.h"

#include <string.h>

static void put_header(struct dn_buf *out, const char *name, size_t size) {
  dn_buf_printf(out, "%-16s%-12d%-6d%-6d%-8s%-10zu`\n", name, 0, 0, 0, "644",
                size);
}

static void put_big(struct dn_buf *out, size_t v) {
  const char byte[] = {(char)(v >> 24), (char)(v >> 16), (char)(v >> 8),
                       (char)v};
  dn_buf_put(out, byte, sizeof byte);
}

bool archive_make(struct dn_ctx *ctx, const char *member,
                  const struct cg_blob *object, struct cg_blob *out) {
  enum { MAGIC = 8, HEADER = 60, MEMBER = 15 };
  struct cg_elf elf;
  size_t count = 0;
  if (!cg_elf_read(ctx->arena, object->data, object->size, &elf))
    return dn_error(ctx, (struct dn_loc){0}, DN_INTERNAL,
                    "the object is no ELF");
  struct dn_buf text = dn_buf_new(ctx->arena), names = dn_buf_new(ctx->arena);
  for (size_t i = 0; i < elf.symbols.n; i++) {
    const struct cg_symbol *s = &elf.symbols.v[i];
    if (!s->defined || !s->global)
      continue;
    dn_buf_put(&names, s->name, strlen(s->name) + 1);
    count++;
  }
  dn_buf_put(&names, "", names.len % 2);
  size_t index = 4 + 4 * count + names.len, at = MAGIC + HEADER + index;
  dn_buf_put(&text, "!<arch>\n", MAGIC);
  put_header(&text, "/", index);
  put_big(&text, count);
  for (size_t i = 0; i < count; i++)
    put_big(&text, at);
  dn_buf_put(&text, names.text, names.len);
  put_header(&text, dn_printf(ctx->arena, "%.*s/", MEMBER, member),
             object->size);
  dn_buf_put(&text, object->data, object->size);
  dn_buf_put(&text, "\n", object->size % 2);
  *out = (struct cg_blob){text.text, text.len};
  return true;
}
