/* fault.c - for LD_PRELOAD: the N-th call of a KIND fails. FAULT is KIND:N, or
 * KIND:N+ for all from the N-th on. KIND is m, allocations; p, those of the first
 * process alone, which are dnnc's own (LLVM has one of its own); or f, what makes,
 * writes or moves files or starts a process. Calls are counted from the start of
 * main on, over all processes of the run, in the file FAULT_COUNT. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

static long *count, at;
static char kind;
static int more;
static pid_t first;

static int fails(char k, int error) {
  if (k != kind && !(k == 'm' && kind == 'p' && getpid() == first))
    return 0;
  long n = __atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
  if (more ? n < at : n != at)
    return 0;
  errno = error;
  return 1;
}

#define MEMORY(call) return fails('m', ENOMEM) ? NULL : call
void *malloc(size_t n) { MEMORY(__libc_malloc(n)); }
void *calloc(size_t n, size_t size) { MEMORY(__libc_calloc(n, size)); }
void *realloc(void *p, size_t n) { MEMORY(__libc_realloc(p, n)); }
void *aligned_alloc(size_t to, size_t n) { MEMORY(__libc_memalign(to, n)); }
void *memalign(size_t to, size_t n) { MEMORY(__libc_memalign(to, n)); }
int posix_memalign(void **p, size_t to, size_t n) {
  *p = fails('m', 0) ? NULL : __libc_memalign(to, n);
  return *p ? 0 : ENOMEM;
}
void *mmap(void *p, size_t n, int prot, int flags, int fd, off_t off) {
  return fails('m', ENOMEM)
             ? MAP_FAILED
             : (void *)syscall(SYS_mmap, p, n, prot, flags, fd, off);
}

#define FILES(type, name, params, ...)                                         \
  type name params {                                                           \
    return fails('f', ENOSPC) ? -1 : (type)syscall(SYS_##name, __VA_ARGS__);   \
  }
FILES(ssize_t, write, (int fd, const void *p, size_t n), fd, p, n)
FILES(int, fsync, (int fd), fd)
FILES(int, rename, (const char *a, const char *b), a, b)
FILES(int, renameat2, (int d, const char *a, int e, const char *b, unsigned f),
      d, a, e, b, f)
FILES(int, memfd_create, (const char *a, unsigned f), a, f)
FILES(int, ftruncate, (int fd, off_t n), fd, n)
FILES(off_t, lseek, (int fd, off_t n, int from), fd, n, from)
FILES(int, pipe, (int fd[2]), fd)
pid_t fork(void) {
  static pid_t (*real)(void);
  if (!real)
    real = (pid_t(*)(void))dlsym(RTLD_NEXT, "fork");
  return fails('f', EAGAIN) ? -1 : real();
}
int close(int fd) {
  int result = (int)syscall(SYS_close, fd);
  return fails('f', EIO) ? -1 : result;
}
int open(const char *path, int flags, ...) {
  va_list ap;
  va_start(ap, flags);
  int mode = flags & O_CREAT ? va_arg(ap, int) : 0;
  va_end(ap);
  if (flags & (O_WRONLY | O_RDWR) && fails('f', ENOSPC))
    return -1;
  return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static int (*real_main)(int, char **, char **);

static int start(int argc, char **argv, char **env) {
  const char *fault = getenv("FAULT");
  int fd = (int)syscall(SYS_openat, AT_FDCWD, getenv("FAULT_COUNT"),
                        O_RDWR | O_CREAT, 0666);
  syscall(SYS_ftruncate, fd, sizeof *count);
  count = (long *)syscall(SYS_mmap, NULL, sizeof *count, PROT_READ | PROT_WRITE,
                          MAP_SHARED, fd, 0);
  syscall(SYS_close, fd);
  at = atol(fault + 2);
  more = strchr(fault, '+') != NULL;
  kind = fault[0];
  first = getpid();
  return real_main(argc, argv, env);
}

typedef int start_fn(int (*)(int, char **, char **), int, char **,
                     void (*)(void), void (*)(void), void (*)(void), void *);
start_fn __libc_start_main;

int __libc_start_main(int (*entry)(int, char **, char **), int argc,
                      char **argv, void (*init)(void), void (*fini)(void),
                      void (*end)(void), void *stack) {
  real_main = entry;
  start_fn *real = (start_fn *)dlsym(RTLD_NEXT, "__libc_start_main");
  return real(start, argc, argv, init, fini, end, stack);
}
