/* run_emulate.c - --emulator=COMMAND: code for another machine is run by
 * `COMMAND FOLDER`. FOLDER has model.o, model.h, which says what the program
 * around it (test/firmware/Inputs/target.c) must know, and input.inc, the bytes
 * of the inputs, each filled up to a multiple of 64. COMMAND prints those of
 * the outputs so, in lines of hexadecimal digits: "bytes 00c0..", and before
 * them what the function returned: "status 0". */
#include "tools/run.h"

#include "runtime/dnn.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILL = 64 };

static size_t filled(const struct ir_tensor *t) {
  return ((size_t)ir_type_bytes(t->type) + FILL - 1) / FILL * FILL;
}

static bool fail(struct run *r, const char *what) {
  return dn_error(r->ctx, (struct dn_loc){.where = "--emulator"}, DN_OBJECT,
                  "%s", what);
}

static void put_header(const struct run *r, struct dn_buf *out) {
  dn_buf_printf(out,
                "#define model_model %s_model\n#define model_run %s_run\n"
                "extern const struct dnn_model model_model;\nint model_run();\n"
                "#define MODEL_ARENA_SIZE %llu\n#define MODEL_ARENA_ALIGN %u\n"
                "#define MODEL_STACK_SIZE %llu\n",
                r->prefix, r->prefix, (unsigned long long)r->model->arena_size,
                r->model->arena_align ? r->model->arena_align : 1,
                (unsigned long long)r->model->stack_size);
}

static void put_inputs(const struct run *r, const struct ir_tensor *in,
                       struct dn_buf *out) {
  for (size_t i = 0; i < r->nin; i++)
    for (size_t k = 0, n = filled(&in[i]); k < n; k++)
      dn_buf_printf(out, "%u,%s",
                    k < (size_t)ir_type_bytes(in[i].type)
                        ? ((const unsigned char *)in[i].data)[k]
                        : 0u,
                    k % 32 == 31 ? "\n" : "");
}

/* ---- The temporary folder: a signal handler removes it, too ---- */

enum { OBJECT, HEADER, INPUT, FILES };
static const char *const names[FILES] = {"model.o", "model.h", "input.inc"};
static struct {
  char *path;
  int fd;
} folder;
static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGALRM};

static void take_away(void) {
  for (size_t i = 0; i < FILES; i++)
    unlinkat(folder.fd, names[i], 0);
  rmdir(folder.path);
}

static void on_signal(int number) {
  take_away();
  signal(number, SIG_DFL); /* only now: `timeout` sends two */
  raise(number);
}

/* Makes them wait; the mask from before. */
static sigset_t hold_signals(void) {
  sigset_t set, was;
  sigemptyset(&set);
  for (size_t i = 0; i < DN_COUNT(signals); i++)
    sigaddset(&set, signals[i]);
  sigprocmask(SIG_BLOCK, &set, &was);
  return was;
}

static void catch_signals(void (*action)(int)) {
  struct sigaction a = {.sa_handler = action}, was;
  for (size_t i = 0; i < DN_COUNT(signals); i++)
    if (!sigaction(signals[i], NULL, &was) && was.sa_handler != SIG_IGN)
      sigaction(signals[i], &a, NULL);
}

static bool make_folder(struct run *r) {
  const char *temp = getenv("TMPDIR");
  folder.path = dn_printf(r->ctx->arena, "%s/dnnc-run-XXXXXX",
                          temp && *temp ? temp : "/tmp");
  sigset_t mask = hold_signals();
  bool ok = mkdtemp(folder.path) != NULL;
  folder.fd = ok ? open(folder.path, O_DIRECTORY | O_CLOEXEC) : -1;
  if (ok)
    catch_signals(on_signal);
  sigprocmask(SIG_SETMASK, &mask, NULL);
  return ok || fail(r, "no folder for its files");
}

static void remove_folder(void) {
  sigset_t mask = hold_signals();
  catch_signals(SIG_DFL);
  take_away();
  close(folder.fd);
  sigprocmask(SIG_SETMASK, &mask, NULL);
}

static bool write_file(struct run *r, int file, const void *data, size_t size) {
  return dn_file_write(
      r->ctx, dn_printf(r->ctx->arena, "%s/%s", folder.path, names[file]), data,
      size);
}

/* Outputs of the run that wait for its end stay apart. */
static bool write_files(struct run *r, const struct dn_buf *header,
                        const struct dn_buf *inputs) {
  struct dn_outputs *later = r->ctx->outputs;
  r->ctx->outputs = NULL;
  bool ok = write_file(r, OBJECT, r->object.data, r->object.size) &&
            write_file(r, HEADER, header->text, header->len) &&
            write_file(r, INPUT, inputs->text, inputs->len) &&
            dn_outputs_commit(r->ctx);
  dn_outputs_discard(r->ctx);
  r->ctx->outputs = later;
  return ok;
}

/* Digits of "bytes" lines into the outputs, one after the other. */
static bool read_bytes(const struct run *r, FILE *f, struct ir_tensor *out,
                       int *status) {
  char line[200];
  size_t i = 0, at = 0;
  while (fgets(line, sizeof line, f)) {
    unsigned byte;
    sscanf(line, "status %d", status);
    if (strncmp(line, "bytes ", 6) != 0)
      continue;
    for (char *p = line + 6; sscanf(p, "%2x", &byte) == 1; p += 2) {
      for (; i < r->nout && at == filled(&out[i]); i++)
        at = 0;
      if (i == r->nout)
        return false;
      if (at < (size_t)ir_type_bytes(out[i].type))
        ((unsigned char *)out[i].data)[at] = (unsigned char)byte;
      at++;
    }
  }
  for (; i < r->nout && at == filled(&out[i]); i++)
    at = 0;
  return i == r->nout;
}

static bool run_there(struct run *r, struct ir_tensor *out) {
  fflush(NULL);
  setenv("DNNC_RUN", folder.path, true); /* whatever characters it has */
  FILE *f =
      popen(dn_printf(r->ctx->arena, "%s \"$DNNC_RUN\"", r->o->emulator), "r");
  int status = 0;
  bool whole = f && read_bytes(r, f, out, &status);
  bool ended = f && !pclose(f);
  if (!whole || !ended)
    return fail(r, ended ? "it printed other bytes than the outputs have"
                         : "the command failed");
  return run_status(r, status);
}

bool run_emulate(struct run *r, const struct ir_tensor *in,
                 struct ir_tensor *out) {
  struct dn_buf header = dn_buf_new(r->ctx->arena),
                inputs = dn_buf_new(r->ctx->arena);
  put_header(r, &header);
  put_inputs(r, in, &inputs);
  if (!make_folder(r))
    return false;
  bool ok = write_files(r, &header, &inputs) && run_there(r, out);
  remove_folder();
  return ok;
}
