/* shared.c - see shared.h. */
#define _POSIX_C_SOURCE 200809L
#include "tools/shared.h"

#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* libdnn_parallel.a of this machine. */
static const unsigned char archive[] = {
#include "parallel.inc"
};

static bool spawn(struct dn_ctx *ctx, const char *const *args,
                  const char *path) {
  char *copy[8] = {NULL};
  pid_t pid;
  int status = 0;
  for (int i = 0; args[i]; i++)
    copy[i] = dn_printf(ctx->arena, "%s", args[i]);
  int error = posix_spawnp(&pid, copy[0], NULL, NULL, copy, environ);
  if (!error && waitpid(pid, &status, 0) >= 0 && !status)
    return true;
  dn_error(ctx, (struct dn_loc){.file = path}, DN_FILE_WRITE,
           "the linker, '%s -shared', %s", copy[0],
           error ? dn_printf(ctx->arena, "cannot be run: %s", strerror(error))
                 : "failed; its messages are above");
  return false;
}

bool shared_link(struct dn_ctx *ctx, const struct cg_blob *object,
                 const char *path, bool host, bool threads) {
  const char *beside = dn_printf(ctx->arena, "%s.%ld", path, (long)getpid());
  const char *code = dn_printf(ctx->arena, "%s.o", beside);
  const char *pool = dn_printf(ctx->arena, "%s.a", beside);
  const char *args[] = {"cc", "-shared", "-o", path, code, "-nostdlib", NULL};
  bool ok = dn_file_write(ctx, code, object->data, object->size);
  if (!host) {
    args[0] = "ld.lld";
    args[5] = NULL;
  } else if (threads) {
    args[5] = pool;
    ok = ok && dn_file_write(ctx, pool, archive, sizeof archive);
  }
  ok = ok && spawn(ctx, args, path);
  remove(code);
  if (host && threads)
    remove(pool);
  return ok;
}
