/* shared.c - see shared.h. */
#define _GNU_SOURCE /* memfd_create */
#include "tools/shared.h"

#include "codegen/object/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* libdnn_parallel.a of this machine. */
static const unsigned char archive[] = {
#include "parallel.inc"
};

/* Signals that wait for the outputs of this process are for the linker. */
static int start(pid_t *pid, char **args) {
  posix_spawnattr_t attr;
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_init(&attr);
  posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
  posix_spawnattr_setsigmask(&attr, &none);
  int error = posix_spawnp(pid, args[0], NULL, &attr, args, environ);
  posix_spawnattr_destroy(&attr);
  return error;
}

static bool spawn(struct dn_ctx *ctx, const char *const *args,
                  const char *path) {
  char *copy[8] = {NULL};
  pid_t pid;
  int status = 0;
  for (int i = 0; args[i]; i++)
    copy[i] = dn_printf(ctx->arena, "%s", args[i]);
  int error = start(&pid, copy);
  if (!error) {
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
      ;
    if (!status)
      return true;
  }
  return dn_error(
      ctx, (struct dn_loc){.file = path}, DN_FILE_WRITE,
      "the linker, '%s -shared', %s", copy[0],
      error ? dn_printf(ctx->arena, "cannot be run: %s", strerror(error))
            : "failed; its messages are above");
}

/* The name of a file in memory, which the linker opens too; NULL: none. */
static const char *memory_file(struct dn_ctx *ctx, const void *data,
                               size_t size) {
  int fd = memfd_create("dnnc", 0);
  const char *name = dn_printf(ctx->arena, "/proc/self/fd/%d", fd);
  FILE *f = fd < 0 ? NULL : fopen(name, "wb");
  bool ok = f && fwrite(data, 1, size, f) == size;
  ok = f && fclose(f) == 0 && ok;
  if (!ok)
    dn_error(ctx, (struct dn_loc){0}, DN_FILE_WRITE,
             "cannot make a temporary file: %s", strerror(errno));
  return ok ? name : NULL;
}

static bool seal(struct dn_ctx *ctx, const char *temp, const char *path) {
  int fd = open(temp, O_RDWR | O_CLOEXEC);
  bool ok = fd >= 0 && cg_seal(fd);
  ok = ok || dn_error(ctx, (struct dn_loc){.file = path}, DN_FILE_WRITE, "%s",
                      strerror(errno));
  if (fd >= 0)
    close(fd);
  return ok;
}

bool shared_link(struct dn_ctx *ctx, const struct cg_blob *object,
                 const char *path, bool host, bool threads) {
  const char *temp = dn_file_reserve(ctx, path);
  const char *code = memory_file(ctx, object->data, object->size);
  const char *pool = memory_file(ctx, archive, sizeof archive);
  const char *args[] = {"cc", "-shared", "-o", temp, code, "-nostdlib", NULL};
  if (!host) {
    args[0] = "ld.lld";
    args[5] = NULL;
  } else if (threads) {
    args[5] = pool;
  }
  return temp && code && pool && spawn(ctx, args, path) &&
         seal(ctx, temp, path);
}
