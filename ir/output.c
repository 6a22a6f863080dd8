/* output.c - the one place that writes files. Each is written under a temporary
 * name in the folder that it is for, synced, and renamed when all outputs of
 * the run are there: a reader sees a whole file or the one before, and a run
 * that fails changes nothing. While temporary files exist, the signals that
 * users send wait, so that none is left behind. */
#define _GNU_SOURCE /* renameat2 */
#include "ir/diag.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct output {
  const char *path; /* as given, for diagnostics */
  const char *real; /* links followed; NULL: the standard output */
  const char *temp; /* NULL: no regular file, written by the commit */
  const void *data;
  size_t size;
  dev_t device; /* the folder */
  ino_t folder;
  enum { PREPARED, MOVED, SWAPPED } state; /* SWAPPED: temp has the old file */
};

struct dn_outputs {
  DN_LIST(struct output) list;
  DN_LIST(const char *) folders; /* that were made for them */
  sigset_t mask;                 /* as it was before the first */
};

static bool write_failed(struct dn_ctx *ctx, const char *path) {
  int number = errno;
  struct stat st;
  const char *folder = dn_folder(ctx, path);
  bool nowhere = number == ENOENT && stat(folder, &st);
  dn_error(ctx, (struct dn_loc){.file = path}, DN_FILE_WRITE, "%s",
           number == ENOENT && !nowhere ? "its folder takes no files"
                                        : strerror(number));
  if (nowhere)
    dn_note(ctx, "there is no folder '%s'", folder);
  return false;
}

/* ---- Bytes ---- */

bool dn_write_all(int fd, const char *data, size_t size) {
  while (size) {
    ssize_t n = write(fd, data, size);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    data += n;
    size -= (size_t)n;
  }
  return true;
}

/* As dn_write_all() to a new file, but zeroes leave holes: of a large model
 * they need no disk. */
static bool write_file(int fd, const char *data, size_t size) {
  enum { BLOCK = 1 << 16 };
  static const char zero[BLOCK];
  assert(fd >= 0 && "prepare() has opened the file");
  for (size_t n; size; data += n, size -= n) {
    n = size < BLOCK ? size : BLOCK;
    bool hole = size > BLOCK && !memcmp(data, zero, n);
    if (hole ? lseek(fd, BLOCK, SEEK_CUR) < 0 : !dn_write_all(fd, data, n))
      return false;
  }
  return true;
}

static bool sync_file(int fd) {
  return fsync(fd) == 0 || errno == EINVAL || errno == EROFS;
}

/* ---- Preparing ---- */

bool dn_file_is_special(const char *path) {
  struct stat st;
  return !strcmp(path, "-") ||
         (!stat(path, &st) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode));
}

/* Signals wait only for temporary files: a pipe may have no reader, and then
 * its user ends the run. */
static void hold_signals(struct dn_ctx *ctx, bool temp) {
  static const int held[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGALRM};
  sigset_t set;
  if (!ctx->outputs) {
    ctx->outputs = DN_NEW(ctx->arena, struct dn_outputs);
    sigprocmask(SIG_BLOCK, NULL, &ctx->outputs->mask);
  }
  sigemptyset(&set);
  for (size_t i = 0; temp && i < DN_COUNT(held); i++)
    sigaddset(&set, held[i]);
  sigprocmask(SIG_BLOCK, &set, NULL);
}

/* Fills all but `temp`; false after a diagnostic. */
static bool find_place(struct dn_ctx *ctx, const char *path,
                       struct output *out) {
  struct stat st;
  *out = (struct output){.path = dn_intern(ctx, path)};
  if (!strcmp(path, "-"))
    return true;
  char real[PATH_MAX];
  out->real = dn_intern(ctx, realpath(path, real) ? real : path);
  if (!stat(path, &st)) {
    if (S_ISDIR(st.st_mode)) {
      errno = EISDIR;
      return write_failed(ctx, path);
    }
    if (dn_is_input(ctx, &st))
      return dn_error(ctx, (struct dn_loc){.file = path}, DN_FILE_WRITE,
                      "the output would take the place of an input");
  }
  if (stat(dn_folder(ctx, out->real), &st))
    return write_failed(ctx, path);
  out->device = st.st_dev;
  out->folder = st.st_ino;
  for (size_t i = 0; ctx->outputs && i < ctx->outputs->list.n; i++) {
    const struct output *o = &ctx->outputs->list.v[i];
    if (o->real && o->device == out->device && o->folder == out->folder &&
        !strcmp(dn_base_name(o->real), dn_base_name(out->real)) &&
        !dn_file_is_special(path))
      return dn_error(ctx, (struct dn_loc){.file = path}, DN_FILE_WRITE,
                      "two outputs have this name");
  }
  return true;
}

/* A new file beside the output, opened; -1: there can be none. */
static int open_temp(struct dn_ctx *ctx, struct output *out) {
  const char *folder = dn_folder(ctx, out->real);
  for (unsigned n = 0; n < 1000; n++) {
    const char *name =
        dn_printf(ctx->arena, "%s/.dnnc-%ld-%u", folder, (long)getpid(), n);
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0)
      out->temp = name;
    if (fd >= 0 || errno != EEXIST)
      return fd;
  }
  return -1;
}

static bool prepare(struct dn_ctx *ctx, const char *path, struct output *out,
                    int *fd) {
  if (!find_place(ctx, path, out))
    return false;
  hold_signals(ctx, true);
  /* First of all: without memory, a file that is in no list would stay. */
  DN_PUSH(ctx->arena, ctx->outputs->list, *out);
  struct output *kept = &ctx->outputs->list.v[ctx->outputs->list.n - 1];
  *fd = open_temp(ctx, kept);
  *out = *kept;
  if (*fd >= 0)
    return true;
  ctx->outputs->list.n--;
  return write_failed(ctx, path);
}

bool dn_file_write(struct dn_ctx *ctx, const char *path, const void *data,
                   size_t size) {
  struct output out;
  int fd;
  if (dn_file_is_special(path)) {
    if (!find_place(ctx, path, &out))
      return false;
    out.data = data;
    out.size = size;
    hold_signals(ctx, false);
    DN_PUSH(ctx->arena, ctx->outputs->list, out);
    return true;
  }
  if (!prepare(ctx, path, &out, &fd))
    return false;
  bool ok = write_file(fd, data, size) && sync_file(fd);
  int error = errno;
  if (close(fd) && ok)
    return write_failed(ctx, path);
  errno = error;
  return ok || write_failed(ctx, path);
}

const char *dn_file_reserve(struct dn_ctx *ctx, const char *path) {
  struct output out;
  int fd;
  if (!prepare(ctx, path, &out, &fd))
    return NULL;
  close(fd);
  return out.temp;
}

bool dn_folder_make(struct dn_ctx *ctx, const char *path) {
  struct stat st;
  hold_signals(ctx, true);
  for (size_t n = 1; path[n - 1]; n++) {
    if (path[n] && path[n] != '/')
      continue;
    const char *part = dn_strndup(ctx->arena, path, n);
    DN_PUSH(ctx->arena, ctx->outputs->folders, part);
    if (!mkdir(part, 0777))
      continue;
    int error = errno;
    ctx->outputs->folders.n--;
    if (!stat(part, &st) && S_ISDIR(st.st_mode))
      continue;
    errno = error == EEXIST ? ENOTDIR : error;
    return write_failed(ctx, part);
  }
  return true;
}

/* ---- Into place ---- */

static bool write_special(const struct output *o) {
  int fd = o->real ? open(o->real, O_WRONLY | O_CLOEXEC) : STDOUT_FILENO;
  bool ok = fd >= 0 && dn_write_all(fd, o->data, o->size);
  if (!o->real)
    return ok;
  return fd >= 0 && close(fd) == 0 && ok;
}

/* The file that was there before is kept until all are in place. */
static bool move(struct output *o) {
  if (!renameat2(AT_FDCWD, o->temp, AT_FDCWD, o->real, RENAME_EXCHANGE)) {
    o->state = SWAPPED;
    return true;
  }
  if (rename(o->temp, o->real))
    return false;
  o->state = MOVED;
  return true;
}

static void move_back(struct output *o) {
  if (o->state == MOVED)
    unlink(o->real);
  else if (o->state == SWAPPED)
    renameat2(AT_FDCWD, o->temp, AT_FDCWD, o->real, RENAME_EXCHANGE);
}

bool dn_outputs_commit(struct dn_ctx *ctx) {
  struct dn_outputs *all = ctx->outputs;
  bool ok = true;
  for (int temp = 0; all && temp < 2; temp++) /* what cannot be undone first */
    for (size_t i = 0; ok && i < all->list.n; i++) {
      struct output *o = &all->list.v[i];
      if ((o->temp != NULL) == temp && !(o->temp ? move(o) : write_special(o)))
        ok = write_failed(ctx, o->path);
    }
  for (size_t i = 0; all && !ok && i < all->list.n; i++)
    move_back(&all->list.v[i]);
  if (all && ok)
    all->folders.n = 0;
  dn_outputs_discard(ctx);
  return ok;
}

void dn_outputs_discard(struct dn_ctx *ctx) {
  struct dn_outputs *all = ctx->outputs;
  if (!all)
    return;
  for (size_t i = 0; i < all->list.n; i++)
    if (all->list.v[i].temp && all->list.v[i].state != MOVED)
      unlink(all->list.v[i].temp);
  for (size_t i = all->folders.n; i-- > 0;)
    rmdir(all->folders.v[i]);
  ctx->outputs = NULL;
  sigprocmask(SIG_SETMASK, &all->mask, NULL);
}
