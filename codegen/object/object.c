/* object.c - cg_compile(): the parent of the child that runs LLVM. Diagnostics
 * and sizes come back through a pipe as a list of fields, each a length and its
 * bytes; the artefact through an unnamed file, which is mapped. */
#define _GNU_SOURCE /* memfd_create */
#include "codegen/object/assemble.h"
#include "codegen/object/child.h"
#include "codegen/object/machine.h"
#include "codegen/object/seal.h"
#include "codegen/report/stats.h"
#include "codegen/target/target.h"
#include "ir/diag.h"
#include "ir/phase.h"
#include "ir/place.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- Fields ---- */

static void put_field(struct dn_buf *out, const char *s) {
  int64_t n = s ? (int64_t)strlen(s) : -1;
  dn_buf_put(out, (const char *)&n, sizeof n);
  if (s)
    dn_buf_put(out, s, (size_t)n);
}
static void put_number(struct dn_buf *out, int64_t v) {
  dn_buf_put(out, (const char *)&v, sizeof v);
}

struct fields {
  struct dn_ctx *ctx;
  const char *p;
  size_t left;
};
static int64_t get_number(struct fields *in) {
  int64_t v = 0;
  if (in->left < sizeof v)
    return 0;
  memcpy(&v, in->p, sizeof v);
  in->p += sizeof v;
  in->left -= sizeof v;
  return v;
}
static const char *get_field(struct fields *in) {
  int64_t n = get_number(in);
  if (n < 0 || (uint64_t)n > in->left)
    return NULL;
  const char *s = dn_strndup(in->ctx->arena, in->p, (size_t)n);
  in->p += n;
  in->left -= (size_t)n;
  return s;
}

static void put_diagnostics(struct dn_buf *out, const struct dn_ctx *ctx,
                            size_t from) {
  size_t n = dn_diags_count(ctx);
  assert(from <= n && "diagnostics only come: run_job() counted before");
  put_number(out, (int64_t)(n - from));
  for (size_t i = from; i < n; i++) {
    const struct dn_diag *d = dn_diags_get(ctx, i);
    put_number(out, d->number);
    put_number(out, d->loc.line);
    put_number(out, d->loc.col);
    const char *const text[] = {d->severity, d->message, d->loc.file,
                                d->loc.node, d->loc.op,  d->loc.where};
    for (size_t k = 0; k < DN_COUNT(text); k++)
      put_field(out, text[k]);
  }
}

static void get_diagnostics(struct fields *in) {
  for (int64_t n = get_number(in); n > 0 && in->left; n--) {
    int number = (int)get_number(in);
    struct dn_loc loc = {.line = (unsigned)get_number(in)};
    loc.col = (unsigned)get_number(in);
    const char *severity = get_field(in), *message = get_field(in);
    loc.file = get_field(in);
    loc.node = get_field(in);
    loc.op = get_field(in);
    loc.where = get_field(in);
    if (!message || !severity)
      return;
    if (number)
      dn_error(in->ctx, loc, (enum dn_code)number, "%s", message);
    else if (!strcmp(severity, "note"))
      dn_note(in->ctx, "%s", message);
    else
      dn_warning(in->ctx, loc, "%s", message);
  }
}

/* The child goes on with the parent's phases, and the parent with the child's:
 * they are on one clock. */
static void put_phases(struct dn_buf *out, struct dn_ctx *ctx) {
  dn_phase(ctx, "generating code");
  const struct dn_phases *p = ctx->phases;
  assert(p->running < p->rows.n && "one phase runs at a time: dn_phase()");
  put_number(out, p->since);
  put_number(out, (int64_t)p->running);
  put_number(out, (int64_t)p->rows.n);
  for (size_t i = 0; i < p->rows.n; i++) {
    put_field(out, p->rows.v[i].name);
    put_number(out, p->rows.v[i].ns);
    put_number(out, p->rows.v[i].changes);
  }
}

static void get_phases(struct fields *in) {
  assert(in->ctx->phases && "cg_compile() began one");
  struct dn_phases p = *in->ctx->phases;
  p.rows.v = NULL;
  p.rows.n = p.rows.cap = 0;
  p.since = get_number(in);
  p.running = (size_t)get_number(in);
  for (int64_t n = get_number(in); n > 0 && in->left; n--) {
    struct dn_phase row = {.name = get_field(in)};
    row.ns = get_number(in);
    row.changes = get_number(in);
    DN_PUSH(in->ctx->arena, p.rows, row);
  }
  if (p.running < p.rows.n)
    *in->ctx->phases = p;
}

/* ---- The child ---- */

static bool run_job(void *user, int fd) {
  struct cg_job *job = user;
  struct dn_ctx *ctx = job->ctx;
  size_t before = dn_diags_count(ctx);
  jmp_buf raised, *outer = ctx->fatal;
  volatile bool ok = false;
  dn_diags_capture(ctx, true);
  ctx->fatal = &raised;
  if (!setjmp(raised))
    ok = cg_machine_run(job);
  ctx->fatal = outer;
  struct dn_buf out = dn_buf_new(ctx->arena);
  put_diagnostics(&out, ctx, before);
  put_number(&out, job->stack);
  put_number(&out, job->stack_least);
  put_number(&out, job->text);
  put_number(&out, job->weights);
  put_number(&out, (int64_t)job->abi);
  put_number(&out, job->blob);
  put_number(&out, job->soft);
  put_number(&out, job->tables);
  for (size_t i = 0; i < job->nkernels; i++)
    put_number(&out, job->kernel[i]);
  put_phases(&out, ctx);
  return dn_write_all(fd, out.text, out.len) && ok;
}

/* ---- The parent ---- */

static void report_crash(struct dn_ctx *ctx, const struct ir_module *m,
                         const struct cg_opts *opts, const char *message) {
  static const char io[] =
      "IO failure on output stream: "; /* as LLVM says it */
  if (!strncmp(message, io, sizeof io - 1)) {
    dn_error(ctx, (struct dn_loc){.file = m->file}, DN_FILE_WRITE,
             "the temporary file of the code: %s", message + sizeof io - 1);
    return;
  }
  dn_error(ctx, (struct dn_loc){.file = m->file}, DN_LLVM,
           "LLVM failed while it compiled the module: %s", message);
  if (opts->reproducer)
    dn_note(ctx, "to reproduce: %s", opts->reproducer);
}

static bool map_result(struct dn_ctx *ctx, struct cg_job *job,
                       struct cg_blob *out) {
  struct dn_file file;
  if (job->kind == CG_OBJ && !cg_seal(job->file))
    return dn_error(ctx, (struct dn_loc){0}, DN_FILE_WRITE,
                    "the temporary file of the code: %s", strerror(errno));
  if (!dn_file_map(ctx, job->path, &file))
    return false;
  *out = (struct cg_blob){file.data, file.size};
  return true;
}

int64_t cg_vector_most(const struct ir_facts *f) {
  return f->scalable ? dn_max(f->vector_bytes, 128) : f->vector_bytes;
}

int64_t cg_ram(const struct cg_sizes *s) {
  return s->arena + s->inputs + s->outputs + s->state + s->stack;
}

/* What the module says, and the sizes that the child found. */
static void fill_sizes(struct fields *in, const struct ir_module *m,
                       int64_t align, size_t nkernels, struct cg_sizes *sizes) {
  struct cg_sizes s = {.arena = m->arena_size, .arena_bound = m->arena_bound};
  const struct ir_block *body = ir_main(m)->body;
  bool own = !ir_io_places(ir_main(m));
  for (unsigned i = 0; own && i < body->nparams; i++)
    if (ir_state_of(body->param[i]) < 0)
      s.inputs += ir_type_bytes(body->param[i]->type);
  for (unsigned i = 0; own && i < body->last->noperands; i++)
    if (!ir_carried_param(body->last, i))
      s.outputs += ir_type_bytes(ir_arg(body->last, i)->type);
  s.state = ir_state_at(ir_main(m), body->last->noperands, align);
  s.stack = get_number(in);
  s.stack_least = get_number(in);
  s.text = get_number(in);
  s.weights = get_number(in);
  s.abi = (uint64_t)get_number(in);
  s.blob = get_number(in);
  s.soft = get_number(in);
  s.tables = get_number(in);
  s.kernel = DN_ARRAY(in->ctx->arena, int64_t, nkernels + 1);
  for (size_t i = 0; i < nkernels; i++)
    s.kernel[i] = get_number(in);
  get_phases(in);
  if (sizes)
    *sizes = s;
}

/* LLVM 22 puts Xtensa's literals at odd addresses when it assembles itself; GNU
 * as, which reads its assembly, does not. */
static bool can_assemble(struct dn_ctx *ctx, const struct cg_target *t,
                         const struct ir_module *m) {
  const struct cg_assembler *a = cg_assembler(t->names.cpu);
  if (t->row->backend != CG_Xtensa || cg_assembler_there(ctx->arena, a->tool))
    return true;
  dn_error(ctx, (struct dn_loc){.file = m->file}, DN_TARGET,
           "LLVM cannot write objects for Xtensa, and %s is not in the PATH",
           a->tool);
  dn_note(ctx, "it is of %s; --emit=asm works without", a->from);
  return false;
}

bool cg_compile(struct dn_ctx *ctx, const struct cg_target *t,
                const struct ir_module *m, const struct cg_opts *opts,
                enum cg_emit kind, struct cg_blob *out,
                struct cg_sizes *sizes) {
  struct cg_stats stats;
  struct cg_child child;
  dn_phase(ctx, "generating code");
  if (kind == CG_OBJ && !can_assemble(ctx, t, m))
    return false;
  int file = memfd_create("dnnc", MFD_CLOEXEC);
  if (file < 0)
    return dn_error(ctx, (struct dn_loc){0}, DN_FILE_WRITE,
                    "cannot make a temporary file: %s", strerror(errno));
  cg_stats(ctx->arena, m, &stats);
  struct cg_job job = {.ctx = ctx,
                       .target = t,
                       .module = m,
                       .opts = opts,
                       .kind = kind,
                       .macs = stats.macs,
                       .file = file,
                       .nkernels = stats.nkernels};
  job.kernel = DN_ARRAY(ctx->arena, int64_t, job.nkernels + 1);
  job.path = dn_printf(ctx->arena, "/proc/self/fd/%d", file);
  cg_child_run(ctx, run_job, &job, opts->timeout, &child);
  struct fields in = {ctx, child.out, child.size};
  unsigned before = dn_errors(ctx);
  /* In the child, a file that was cut short is a signal or a failed write. */
  bool whole = child.ok || dn_files_whole(ctx);
  if (whole && !child.crashed)
    get_diagnostics(&in);
  bool ok = child.ok && map_result(ctx, &job, out);
  if (!ok && dn_errors(ctx) == before)
    report_crash(ctx, m, opts,
                 child.crashed ? child.message : "no reason given");
  if (ok)
    fill_sizes(&in, m, cg_target_facts(t)->align, job.nkernels, sizes);
  close(file);
  return ok;
}
