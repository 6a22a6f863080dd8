/* child.c - see child.h. LLVM writes its complaints to stderr, so the child's
 * goes to a second pipe; its first line is the message of a crash. */
#include "codegen/object/child.h"

#include "ir/diag.h"

#include <errno.h>
#include <llvm-c/ErrorHandling.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Exit statuses of the child; any other is a crash. (A sanitizer ends with
 * 1.) */
enum { CHILD_OK = 0, CHILD_FAILED = 69, CHILD_FATAL = 70 };

static void child_fatal(const char *reason) {
  fprintf(stderr, "%s\n", reason);
  fflush(stderr);
  _exit(CHILD_FATAL);
}

static _Noreturn void child_main(struct dn_ctx *ctx, cg_child_fn *fn,
                                 void *user, unsigned seconds, int out,
                                 int err) {
  jmp_buf raised;
  prctl(PR_SET_PDEATHSIG, SIGKILL); /* has no reader left */
  dup2(err, STDERR_FILENO);
  /* A crash shall end the process, not print a stack trace. */
  static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
  for (size_t i = 0; i < DN_COUNT(signals); i++)
    signal(signals[i], SIG_DFL);
  LLVMInstallFatalErrorHandler(child_fatal);
  if (seconds)
    alarm(seconds);
  ctx->fatal = &raised;
  if (setjmp(raised))
    _exit(CHILD_FAILED);
  bool ok = fn(user, out);
  fflush(stderr);
  _exit(ok ? CHILD_OK : CHILD_FAILED);
}

/* Reads both pipes to their ends. */
static void drain(const int fd[2], struct dn_buf buf[2]) {
  struct pollfd p[2] = {{.fd = fd[0], .events = POLLIN},
                        {.fd = fd[1], .events = POLLIN}};
  while (p[0].fd >= 0 || p[1].fd >= 0) {
    if (poll(p, 2, -1) < 0 && errno != EINTR)
      return;
    for (int i = 0; i < 2; i++) {
      char text[4096];
      if (p[i].fd < 0 || !(p[i].revents & (POLLIN | POLLHUP | POLLERR)))
        continue;
      ssize_t n = read(p[i].fd, text, sizeof text);
      if (n > 0)
        dn_buf_put(&buf[i], text, (size_t)n);
      else if (n == 0 || errno != EINTR)
        p[i].fd = -1;
    }
  }
}

static const char *crash_message(struct dn_ctx *ctx, const char *err,
                                 int status, unsigned seconds) {
  while (*err == '\n')
    err++;
  size_t line = strcspn(err, "\n");
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
    return dn_printf(ctx->arena, "no end after %u seconds", seconds);
  if (!WIFSIGNALED(status))
    return line ? dn_strndup(ctx->arena, err, line) : "ended without a message";
  return dn_printf(ctx->arena, "%s%s%.*s", strsignal(WTERMSIG(status)),
                   line ? ": " : "", (int)line, err);
}

void cg_child_run(struct dn_ctx *ctx, cg_child_fn *fn, void *user,
                  unsigned seconds, struct cg_child *result) {
  int out[2], err[2], status = 0;
  *result =
      (struct cg_child){.crashed = true, .message = "cannot start a process"};
  if (pipe(out) < 0)
    return;
  if (pipe(err) < 0) {
    close(out[0]);
    close(out[1]);
    return;
  }
  fflush(NULL); /* or the child would print it again */
  pid_t pid = fork();
  if (pid == 0) {
    close(out[0]);
    close(err[0]);
    child_main(ctx, fn, user, seconds, out[1], err[1]);
  }
  close(out[1]);
  close(err[1]);
  struct dn_buf buf[2];
  buf[0] = dn_buf_new(ctx->arena);
  buf[1] = dn_buf_new(ctx->arena);
  if (pid > 0)
    drain((const int[]){out[0], err[0]}, buf);
  close(out[0]);
  close(err[0]);
  if (pid < 0)
    return;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
    ;
  bool exited = WIFEXITED(status);
  result->ok = exited && WEXITSTATUS(status) == CHILD_OK;
  result->crashed =
      !result->ok && !(exited && WEXITSTATUS(status) == CHILD_FAILED);
  result->message =
      result->crashed
          ? crash_message(ctx, buf[1].text ? buf[1].text : "", status, seconds)
          : NULL;
  if (result->crashed && (strstr(result->message, "bad_alloc") ||
                          strstr(result->message, "out of memory")))
    dn_fatal(ctx, (struct dn_loc){0}, DN_MEMORY, "LLVM has no memory left");
  result->out = buf[0].text ? buf[0].text : "";
  result->size = buf[0].len;
}
