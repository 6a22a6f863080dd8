/* dnnc-run.c - runs a model and says what came out: see docs/cli.md. */
#include "tools/run.h"

#include "passes/pass.h"

#include <setjmp.h>
#include <string.h>

/* Loads the model; the shapes of --input files bind its symbolic dims. */
static bool load(struct run *r, struct dn_ctx *ctx, const struct options *o) {
  if (!o->inputs.n)
    return run_load(r, ctx, o, NULL, 0);
  struct run names;
  struct options quick = *o;
  quick.interp = true; /* names and symbols only */
  quick.compare = NULL;
  if (!run_load(&names, ctx, &quick, NULL, 0))
    return false;
  const struct ir_type **types = run_input_types(&names);
  size_t n = names.nin;
  run_unload(&names);
  return types && run_load(r, ctx, o, types, n);
}

static bool run_once(struct run *r) {
  struct ir_tensor *in = run_inputs(r);
  struct ir_tensor *out = run_buffers(r, r->out, r->nout);
  if (!in || !run_call(r, in, out))
    return false;
  if (r->o->output_dir)
    return run_write_outputs(r, out);
  run_print_outputs(r, out);
  return true;
}

static bool check_options(struct dn_ctx *ctx, const struct options *o) {
  const char *wrong = NULL;
  if (o->files.n != 1)
    wrong = o->files.n ? "more than one model" : "no model given";
  else if (o->compare && strcmp(o->compare, "interp"))
    wrong = "--compare takes interp";
  else if (o->compare && o->interp)
    wrong = "--compare=interp compares compiled code: drop --interp";
  if (wrong)
    dn_error(ctx, (struct dn_loc){0}, DN_USAGE, "%s", wrong);
  return !wrong;
}

/* false: results differ, or diagnostics were given. */
static bool run_all(struct dn_ctx *ctx, const struct options *o) {
  struct run r = {.ctx = ctx, .o = o, .path = o->files.v[0]};
  bool ok;
  if (o->test_data.n)
    ok = run_test_data(&r);
  else if (!load(&r, ctx, o))
    ok = false;
  else if (o->compare)
    ok = run_compare(&r);
  else if (o->bench.seen)
    ok = run_bench(&r);
  else if (o->profile || o->trace)
    ok = run_profile(&r);
  else
    ok = run_once(&r);
  run_unload(&r);
  return ok;
}

int main(int argc, char **argv) {
  struct dn_ctx *ctx = dn_ctx_new(stderr);
  jmp_buf fatal;
  struct options o;
  bool done = false, ok = true;
  ctx->fatal = &fatal;
  if (!setjmp(fatal) && opt_parse(ctx, OPT_RUN, argc, argv, &o, &done) &&
      !done && check_options(ctx, &o))
    ok = run_all(ctx, &o);
  int code = (int)dn_exit_code(ctx);
  if (!code && (fflush(stdout) || ferror(stdout)))
    code = DN_EXIT_USAGE;
  if (!code && !ok)
    code = DN_EXIT_MISMATCH;
  dn_ctx_free(ctx);
  return code;
}
