/* assemble.c - see assemble.h. */
#define _GNU_SOURCE /* memfd_create */
#include "codegen/object/assemble.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct cg_assembler assemblers[] = {
    {"esp32", "xtensa-esp32-elf-as", "Espressif's tools (ESP-IDF)"},
    {"", "xtensa-lx106-elf-as", "Debian's package binutils-xtensa-lx106"},
};

const struct cg_assembler *cg_assembler(const char *cpu) {
  const struct cg_assembler *a = assemblers;
  while (strncmp(cpu, a->cpu, strlen(a->cpu)))
    a++;
  return a;
}

bool cg_assembler_there(struct dn_arena *arena, const char *tool) {
  const char *path = getenv("PATH");
  for (size_t n; path && *path; path += n + (path[n] == ':')) {
    n = strcspn(path, ":");
    if (n && !access(dn_printf(arena, "%.*s/%s", (int)n, path, tool), X_OK))
      return true;
  }
  return false;
}

/* Literals of a function come in LLVM's text before its section begins, so that
 * they would lie in the one before: they are put behind ".type f,@function". */
static struct dn_buf order_literals(struct dn_arena *arena, const char *text,
                                    size_t size) {
  struct dn_buf out = dn_buf_new(arena), held = dn_buf_new(arena);
  for (const char *end = text + size, *next; text < end; text = next) {
    const char *stop = memchr(text, '\n', (size_t)(end - text));
    next = stop ? stop + 1 : end;
    size_t n = (size_t)(next - text);
    bool literal = n > 9 && !strncmp(text, "\t.literal", 9);
    dn_buf_put(literal ? &held : &out, text, n);
    if (n > 6 && !strncmp(text, "\t.type\t", 7) &&
        memmem(text, n, "@function", 9)) {
      dn_buf_put(&out, held.text, held.len);
      held.len = 0;
    }
  }
  dn_buf_put(&out, held.text, held.len);
  return out;
}

/* What is open here, as another process calls it. */
static char *path_of(struct dn_arena *arena, int file) {
  return dn_printf(arena, "/proc/%ld/fd/%d", (long)getpid(), file);
}

const char *cg_assemble(struct dn_arena *arena, const char *tool,
                        const char *text, size_t size, int to) {
  char why[200] = "";
  struct dn_buf ordered = order_literals(arena, text, size);
  int from = memfd_create("asm", MFD_CLOEXEC), status = -1;
  int said = memfd_create("as", MFD_CLOEXEC);
  char *const arg[] = {dn_strndup(arena, tool, strlen(tool)),
                       /* calls are relocations of the code itself */
                       dn_strndup(arena, "--text-section-literals", 23),
                       dn_strndup(arena, "-o", 2), path_of(arena, to),
                       path_of(arena, from), NULL};
  bool ok =
      from >= 0 && said >= 0 && dn_write_all(from, ordered.text, ordered.len);
  pid_t child = ok ? fork() : -1;
  if (!child) {
    dup2(said, STDERR_FILENO);
    execvp(tool, arg);
    _exit(127);
  }
  if (child > 0)
    waitpid(child, &status, 0);
  if (said >= 0 && pread(said, why, sizeof why - 1, 0) < 0)
    why[0] = 0;
  close(said);
  close(from);
  return status ? dn_printf(arena, "%s: %s", tool, why) : NULL;
}
