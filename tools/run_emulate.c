/* run_emulate.c - --emulator=COMMAND: code for another machine is run by
 * `COMMAND FOLDER`. FOLDER has model.o, model.h, which says what the program
 * around it (test/firmware/Inputs/target.c) must know, and input.inc, the bytes of
 * the inputs, each filled up to a multiple of 64. COMMAND prints those of the
 * outputs so, in lines of hexadecimal digits: "bytes 00c0..". */
#include "tools/run.h"

#include "runtime/dnn.h"

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

static void write_header(const struct run *r, FILE *f) {
  fprintf(f,
          "#define model_model %s_model\n#define model_run %s_run\n"
          "extern const struct dnn_model model_model;\nint model_run();\n"
          "#define MODEL_ARENA_SIZE %llu\n#define MODEL_ARENA_ALIGN %u\n"
          "#define MODEL_STACK_SIZE %llu\n",
          r->prefix, r->prefix, (unsigned long long)r->model->arena_size,
          r->model->arena_align ? r->model->arena_align : 1,
          (unsigned long long)r->model->stack_size);
}

static void write_inputs(const struct run *r, const struct ir_tensor *in,
                         FILE *f) {
  for (size_t i = 0; i < r->nin; i++)
    for (size_t k = 0, n = filled(&in[i]); k < n; k++)
      fprintf(f, "%u,%s",
              k < (size_t)ir_type_bytes(in[i].type)
                  ? ((const unsigned char *)in[i].data)[k]
                  : 0u,
              k % 32 == 31 ? "\n" : "");
}

static const char *file_in(const struct run *r, const char *folder,
                           const char *name) {
  return dn_printf(r->ctx->arena, "%s/%s", folder, name);
}

static const char *const names[] = {"model.o", "model.h", "input.inc"};

static bool write_files(struct run *r, const char *folder,
                        const struct ir_tensor *in) {
  bool ok = true;
  for (size_t i = 0; i < DN_COUNT(names); i++) {
    FILE *f = fopen(file_in(r, folder, names[i]), "wb");
    if (f && i == 0)
      fwrite(r->object.data, 1, r->object.size, f);
    else if (f && i == 1)
      write_header(r, f);
    else if (f)
      write_inputs(r, in, f);
    ok = ok && f && !ferror(f);
    ok &= f && !fclose(f);
  }
  return ok || fail(r, "its files cannot be written");
}

/* Digits of "bytes" lines into the outputs, one after the other. */
static bool read_bytes(const struct run *r, FILE *f, struct ir_tensor *out) {
  char line[200];
  size_t i = 0, at = 0;
  while (fgets(line, sizeof line, f)) {
    unsigned byte;
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

static bool run_there(struct run *r, const char *folder,
                      const struct ir_tensor *in, struct ir_tensor *out) {
  if (!write_files(r, folder, in))
    return false;
  fflush(NULL);
  FILE *f =
      popen(dn_printf(r->ctx->arena, "%s '%s'", r->o->emulator, folder), "r");
  bool whole = f && read_bytes(r, f, out);
  bool ended = f && !pclose(f);
  return (whole && ended) ||
         fail(r, ended ? "it printed other bytes than the outputs have"
                       : "the command failed");
}

bool run_emulate(struct run *r, const struct ir_tensor *in,
                 struct ir_tensor *out) {
  const char *temp = getenv("TMPDIR");
  char *folder = dn_printf(r->ctx->arena, "%s/dnnc-run-XXXXXX",
                           temp && *temp ? temp : "/tmp");
  if (!mkdtemp(folder))
    return fail(r, "no folder for its files");
  bool ok = run_there(r, folder, in, out);
  for (size_t i = 0; i < DN_COUNT(names); i++)
    unlink(file_in(r, folder, names[i]));
  rmdir(folder);
  return ok;
}
