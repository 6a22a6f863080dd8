/* run_object.c - an object or shared object is checked before any of it is
 * mapped or called: the machine, the headers, the symbols and the description
 * of the model. What the code does is beyond a check: it runs in a process of
 * its own, whose end by a signal is a diagnostic. */
#include "tools/run.h"

#include "codegen/object/seal.h"
#include "codegen/report/model.h"
#include "runtime/dnn.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

bool run_is_object(struct dn_ctx *ctx, const char *path) {
  struct dn_file f;
  size_t before = dn_diags_count(ctx);
  bool was = dn_diags_capture(ctx, true);
  bool elf = dn_file_map(ctx, path, &f) && f.size >= 4 &&
             !memcmp(f.data, "\177ELF", 4);
  dn_diags_rewind(ctx, before);
  dn_diags_capture(ctx, was);
  return elf;
}

/* ---- Checks ---- */

static bool broken(struct run *r, enum dn_code code, const char *what) {
  return dn_error(r->ctx, (struct dn_loc){.file = r->path}, code, "%s", what);
}

/* Whether this program was made for the same machine. */
static bool is_own_machine(const struct cg_elf *elf) {
  struct {
    unsigned char ident[16];
    uint16_t type, machine;
  } own;
  FILE *f = fopen("/proc/self/exe", "rb");
  bool read = f && fread(&own, sizeof own, 1, f) == 1;
  if (f)
    fclose(f);
  return !read ||
         (elf->machine == own.machine && elf->wide == (own.ident[4] == 2));
}

/* The PREFIX of the one global symbol PREFIX_model. */
static const struct cg_symbol *find_model(struct run *r) {
  static const char suffix[] = "_model";
  for (size_t i = 0; i < r->elf.symbols.n; i++) {
    const struct cg_symbol *s = &r->elf.symbols.v[i];
    size_t n = strlen(s->name), m = sizeof suffix - 1;
    if (s->defined && s->global && n > m && !strcmp(s->name + n - m, suffix)) {
      r->prefix = dn_intern_n(r->ctx, s->name, n - m);
      return s;
    }
  }
  return NULL;
}

bool run_has(const struct run *r, const char *what) {
  const char *name = dn_printf(r->ctx->arena, "%s_%s", r->prefix, what);
  return cg_elf_symbol(&r->elf, name) != NULL;
}

static bool check_description(struct run *r, const struct cg_blob *object,
                              const struct cg_symbol *symbol) {
  size_t at = 0, size = 0;
  uint32_t head[2] = {0};
  if (!cg_elf_bytes(&r->elf, symbol, &at, &size) || size < sizeof head)
    return broken(r, DN_OBJECT, "the model's description is not in the file");
  const char *data = (const char *)object->data + at;
  memcpy(head, data, sizeof head);
  if (head[0] == DNN_MODEL_MAGIC &&
      (head[1] < DNN_ABI_VERSION || head[1] > DNN_ABI_ARENAS))
    return broken(r, DN_FORMAT,
                  dn_printf(r->ctx->arena,
                            "an object of another version of dnnc (ABI %u, "
                            "not %u)",
                            head[1], DNN_ABI_VERSION));
  r->model = cg_model_read(r->ctx->arena, data, size);
  return r->model || broken(r, DN_OBJECT, "the model's description is broken");
}

bool run_check_object(struct run *r, const struct cg_blob *object) {
  if (!cg_elf_read(r->ctx->arena, object->data, object->size, &r->elf))
    return broken(r, DN_OBJECT,
                  "it begins as an ELF file of little-endian code, but its "
                  "headers are broken or run past its end");
  if (!cg_seal_holds(object->data, object->size))
    return broken(r, DN_OBJECT,
                  "it is damaged: its bytes do not have the checksum that dnnc "
                  "wrote behind them");
  if (!r->o->emulator && !is_own_machine(&r->elf)) {
    dn_error(r->ctx, (struct dn_loc){.file = r->path}, DN_USAGE,
             "the code is for another machine, which this one cannot run");
    dn_note(r->ctx, "--interp runs a model without code");
    return false;
  }
  if (r->elf.type != CG_ELF_OBJECT && r->elf.type != CG_ELF_SHARED)
    return broken(r, DN_FORMAT, "it is neither an object nor a shared object");
  const struct cg_symbol *model = find_model(r);
  if (!model)
    return broken(r, DN_FORMAT,
                  "no model in it: it defines no symbol NAME_model");
  if (!run_has(r, "run"))
    return broken(
        r, DN_FORMAT,
        dn_printf(r->ctx->arena, "no function %s_run in it", r->prefix));
  return check_description(r, object, model);
}

/* ---- A process for what cannot be checked ---- */

bool run_in_child(struct dn_ctx *ctx, const char *path, int *code) {
  int status = 0;
  fflush(NULL); /* or the child would print it again */
  pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* its output has no reader */
    signal(SIGBUS, SIG_DFL);
    signal(SIGABRT, SIG_DFL);
  }
  if (child <= 0) /* without a child the work is done here */
    return false;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR)
    ;
  if (WIFEXITED(status)) {
    *code = WEXITSTATUS(status);
    return true;
  }
  dn_error(ctx, (struct dn_loc){.file = path}, DN_OBJECT,
           "%s while it was loaded or run: it is damaged, or has a model's "
           "fault in it",
           strsignal(WTERMSIG(status)));
  *code = (int)dn_exit_code(ctx);
  return true;
}
