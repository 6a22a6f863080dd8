/* process.c - see process.h. */
#define _POSIX_C_SOURCE 200809L
#include "tools/process.h"

#include "ir/diag.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

/* A large file is mapped, and its pages are gone when another program cuts it
 * short. */
static void on_bus(int number) {
  static const char text[] = "error: an input was cut short while it was read, "
                             "or the code of a model is damaged [E0101]\n";
  (void)number;
  _exit(write(STDERR_FILENO, text, sizeof text - 1) < 0 ? DN_EXIT_MODEL
                                                        : DN_EXIT_MODEL);
}

/* Libraries in C++ end a process that lacks memory so. LLVM's need some before
 * main. */
static void on_abort(int number) {
  static const char text[] = "error: no memory, or a fault of dnnc [E0901]\n";
  (void)number;
  _exit(write(STDERR_FILENO, text, sizeof text - 1) < 0 ? DN_EXIT_INTERNAL
                                                        : DN_EXIT_INTERNAL);
}
static void before_libraries(void) { signal(SIGABRT, on_abort); }
__attribute__((section(".preinit_array"),
               used)) static void (*const first)(void) = before_libraries;

/* A standard stream that is closed would be the number of the next file opened.
 * Each is opened so that its use fails. */
static void open_streams(void) {
  for (int fd = 0; fd < 3; fd++)
    if (fcntl(fd, F_GETFD) < 0 &&
        open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd)
      _exit(DN_EXIT_USAGE);
}

void process_start(void) {
  open_streams();
  signal(SIGPIPE, SIG_IGN); /* a write fails instead */
#ifdef SIGXFSZ
  signal(SIGXFSZ, SIG_IGN);
#endif
  signal(SIGBUS, on_bus);
}

void process_finish(struct dn_ctx *ctx, bool ok) {
  if (!ok || dn_errors(ctx))
    dn_outputs_discard(ctx);
  else
    dn_outputs_commit(ctx);
  if (fflush(stdout) || ferror(stdout))
    dn_error(ctx, (struct dn_loc){.file = "the standard output"}, DN_FILE_WRITE,
             "cannot be written");
}
