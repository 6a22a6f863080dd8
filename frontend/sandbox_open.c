/* sandbox_open.c - files that a model names. A model may come from anywhere:
 * the file must lie below the model's folder, be reached without links, and be
 * a regular file with one name. The kernel checks the path (openat2), so that
 * nothing can be swapped between the check and the opening. */
#define _GNU_SOURCE /* O_PATH */
#include "frontend/fe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A relative path of names, which goes nowhere up; "./" is nothing. Backslashes
 * and drive letters are refused so that a model means the same everywhere. */
static bool path_is_plain(const char *path) {
  if (!path[0] || path[0] == '/' || strchr(path, '\\') || strchr(path, ':'))
    return false;
  for (const char *p = path;;) {
    size_t n = strcspn(p, "/");
    if (n == 2 && !memcmp(p, "..", 2))
      return false;
    if (!p[n])
      return true;
    p += n + 1;
  }
}

/* A descriptor of the regular file `path` below `dir`, or -1 and why. */
static int sandbox_open(const char *dir, const char *path, const char **why) {
  int folder = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) {
    *why = strerror(errno);
    return -1;
  }
  struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
                         .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
                                    RESOLVE_NO_MAGICLINKS};
  int fd = (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
  int error = errno;
  close(folder);
  if (fd < 0) {
    *why = error == ELOOP ? "it is a link" : strerror(error);
    return -1;
  }
  struct stat st;
  if (fstat(fd, &st) != 0)
    *why = strerror(errno);
  else if (!S_ISREG(st.st_mode))
    *why = "not a regular file";
  else if (st.st_nlink > 1)
    *why = "it has more than one name (hard links)";
  else
    return fd;
  close(fd);
  return -1;
}

bool fe_sandbox_map(struct dn_ctx *ctx, struct dn_loc loc, const char *beside,
                    const char *path, struct dn_file *out) {
  const char *dir = dn_folder(ctx, beside);
  const char *why = "the path must be relative and stay below the model";
  int fd = path_is_plain(path) ? sandbox_open(dir, path, &why) : -1;
  if (fd < 0)
    return dn_error(ctx, loc, DN_EXTERNAL, "external data '%s': %s", path, why);
  bool ok = dn_fd_map(ctx, fd, dn_printf(ctx->arena, "%s/%s", dir, path), out);
  close(fd);
  return ok;
}
