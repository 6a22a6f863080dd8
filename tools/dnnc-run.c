/* dnnc-run.c - runs a model and says what came out: see docs/cli.md. */
#include "tools/process.h"
#include "tools/run.h"

#include "ir/phase.h"

#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* Of the inputs' files. */
static bool set_sizes(struct run *r) {
  const struct ir_type **types = r->at.n ? run_input_types(r) : NULL;
  return !r->at.n || (types && run_set_sizes(r, types, r->nin));
}

/* Loads the model; the shapes of --input files bind its symbolic dims, for
 * which it is imported once without them, to know its inputs' names. */
static bool load(struct run *r, struct dn_ctx *ctx, const struct options *o) {
  struct run names = {.ctx = ctx, .o = o, .path = o->files.v[0]};
  if (!o->inputs.n || run_is_object(ctx, names.path))
    return run_load(r, ctx, o, NULL) && set_sizes(r);
  size_t before = dn_diags_count(ctx);
  dn_diags_capture(ctx, true);
  bool known = run_import(&names, NULL);
  dn_diags_rewind(ctx, before);
  dn_diags_capture(ctx, false);
  /* Before shapes are known inputs have no names: files go by position. */
  size_t n = known ? names.nin : o->inputs.n;
  const struct ir_type **types = run_input_types(&names);
  run_unload(&names);
  struct fe_opts given = {.input_types = types, .ninputs = n};
  return types && run_load(r, ctx, o, &given) && set_sizes(r);
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

/* Why options conflict, or NULL: each mode ignores the options of the others.
 */
static const char *find_conflict(struct dn_ctx *ctx, const struct options *o) {
  const bool sets = o->test_data.n > 0, times = o->profile || o->trace;
  const struct {
    const char *name;
    bool given;
    unsigned with; /* bits of those that it can be given with */
  } modes[] = {{"--test-data", sets, 1 << 1},
               {"--compare", o->compare != NULL, 1 << 0},
               {"--bench", o->bench.seen, 0},
               {o->profile ? "--profile" : "--trace", times, 0},
               {"--steps", o->steps > 0, 1 << 5},
               {"--output-dir", o->output_dir != NULL, 1 << 4}};
  enum { NMODES = DN_COUNT(modes) };
  for (int i = 0; i < NMODES; i++)
    for (int j = i + 1; j < NMODES; j++)
      if (modes[i].given && modes[j].given && !(modes[i].with >> j & 1))
        return dn_printf(ctx->arena, "%s and %s are two runs: give one of them",
                         modes[i].name, modes[j].name);
  if (!sets && !o->compare && (o->rtol.seen || o->atol.seen))
    return "--rtol and --atol are of --test-data and --compare";
  if (sets && (o->inputs.n || o->random >= 0))
    return "--test-data has the inputs: drop --input and --random";
  return NULL;
}

static bool check_options(struct dn_ctx *ctx, const struct options *o) {
  const char *wrong = find_conflict(ctx, o);
  if (wrong)
    ;
  else if (o->files.n != 1)
    wrong = o->files.n ? "more than one model" : "no model given";
  else if (o->compare && strcmp(o->compare, "interp"))
    wrong = "--compare takes interp";
  else if (o->stream && (o->interp || o->test_data.n))
    wrong = "--stream makes another function: no --interp, no --test-data";
  else if (o->compare && o->interp)
    wrong = "--compare=interp compares compiled code: drop --interp";
  else if (o->bench.value > 3600)
    wrong = "--bench takes at most 3600 seconds";
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
  else if (o->steps)
    ok = run_steps(&r);
  else
    ok = run_once(&r);
  if (o->time_passes)
    dn_phases_print(ctx, stderr);
  return ok;
}

/* Code for a newer processor of the family: -mcpu, -mattr, an object from
 * elsewhere. */
static void on_illegal(int signal) {
  static const char text[] =
      "error: the code has instructions that this processor lacks [E0701]\n"
      "note: compile it for -mcpu=native\n";
  (void)signal;
  _exit(write(STDERR_FILENO, text, sizeof text - 1) < 0 ? DN_EXIT_USAGE
                                                        : DN_EXIT_USAGE);
}

int main(int argc, char **argv) {
  struct dn_ctx *ctx = dn_ctx_new(stderr);
  jmp_buf fatal;
  struct options o;
  bool done = false, ok = true;
  process_start();
  signal(SIGILL, on_illegal);
  ctx->fatal = &fatal;
  dn_phase(ctx, "options");
  if (!setjmp(fatal) && opt_parse(ctx, OPT_RUN, argc, argv, &o, &done) &&
      !done && check_options(ctx, &o)) {
    const char *path = o.files.v[0];
    int code;
    /* An emulator runs the code: here is none, and a folder to take away. */
    if (!o.emulator && run_is_object(ctx, path) &&
        run_in_child(ctx, path, &code)) {
      dn_ctx_free(ctx);
      return code;
    }
    ok = run_all(ctx, &o);
  }
  process_finish(ctx, ok);
  int code = (int)dn_exit_code(ctx);
  if (!code && !ok)
    code = DN_EXIT_MISMATCH;
  dn_ctx_free(ctx);
  return code;
}
