/* runner.c - runs a pipeline over a module: verifying, comparing, timing and
 * printing around every pass, so that no pass does so itself.
 *
 *   --print-after=PASS|all   the module's text after the pass
 *   --print-changed          the same, where the text changed
 *   --verify-each            ir_verify() and the interpreter after every pass
 *   --stop-after=PASS        the first run of PASS is the last pass
 *   --bisect-limit=N         passes after the N-th are left out, unless they
 *                            make the form that the next one needs */
#include "passes/pipeline.h"

#include "ir/phase.h"
#include "ir/size.h"

#include <assert.h>
#include <string.h>

struct runner {
  struct dn_ctx *ctx;
  struct ir_module *m;
  const struct pass_opts *opts;
  /* --print-changed */
  struct dn_arena *text_arena;
  const char *text;
  /* --verify-each */
  struct dn_arena *results_arena;
  struct pass_results *results;
};

static const char *module_text(struct dn_arena *arena,
                               const struct ir_module *m) {
  struct dn_buf out = dn_buf_new(arena);
  ir_print(&out, m, &(struct ir_print_opts){.const_limit = 64});
  return out.text;
}

static void print_after(struct runner *r, const char *pass) {
  const char *which = r->opts->print_after;
  bool wanted = which && (!strcmp(which, "all") || !strcmp(which, pass));
  if (!wanted && !r->opts->print_changed)
    return;
  dn_phase(r->ctx, "print");
  struct dn_arena *arena = dn_arena_new(r->ctx);
  const char *text = module_text(arena, r->m);
  assert((!r->opts->print_changed || r->text) &&
         "run_all() made the first text");
  bool same = r->opts->print_changed && !strcmp(text, r->text);
  if (same)
    fprintf(r->opts->log, "// *** after %s *** (unchanged)\n", pass);
  else
    fprintf(r->opts->log, "// *** after %s ***\n%s", pass, text);
  if (r->opts->print_changed) {
    dn_arena_free(r->text_arena);
    r->text_arena = arena;
    r->text = text;
  } else {
    dn_arena_free(arena);
  }
}

/* --verify-each: the rules of the form, then the same results as before; or how
 * far a pass that rounds has moved them. A plan is looked at in any case: the
 * planner and the verifier share no code, and no value may lose its memory. */
static bool check_after(struct runner *r, const char *pass,
                        const struct pass_env *env) {
  bool planned = r->m->form == IR_PLANNED; /* always: see verify_plan.c */
  bool differs = env->rounds || env->remakes;
  bool compares = r->opts->verify_each || (differs && r->results);
  if (planned || compares)
    dn_phase(r->ctx, "verify");
  if ((planned || r->opts->verify_each) && !ir_verify(r->m)) {
    dn_note(r->ctx, "the module was well-formed before pass '%s'", pass);
    return false;
  }
  if (!compares)
    return true;
  struct dn_arena *arena = dn_arena_new(r->ctx);
  unsigned errors = dn_errors(r->ctx);
  struct pass_results *after = pass_results_of(arena, r->m);
  bool ok = dn_errors(r->ctx) == errors;
  if (ok && env->rounds && r->opts->rounding && r->results && after)
    *r->opts->rounding = pass_results_distance(r->results, after);
  ok = ok && (differs || pass_results_same(r->ctx, pass, r->results, after));
  dn_arena_free(r->results_arena);
  r->results_arena = arena;
  r->results = after;
  return ok;
}

/* Whether pass number i, from 1, is to run. */
static bool within_bisect_limit(const struct runner *r, size_t i,
                                const struct pass_row *row) {
  if (r->opts->bisect_limit < 0)
    return true;
  bool required = row->needs != row->makes;
  bool run = required || (int64_t)i <= r->opts->bisect_limit;
  fprintf(r->opts->log, "bisect: %s pass (%zu) %s%s\n",
          run ? "running" : "NOT running", i, row->name,
          required ? " (required)" : "");
  return run;
}

static bool run_one(struct runner *r, size_t i, const struct pass_run *run) {
  const struct pass_row *row = run->row;
  if (!within_bisect_limit(r, i + 1, row))
    return true;
  assert(r->m->form == row->needs && "pass_parse() follows the forms");
  struct ir_sizes sizes;
  if (row->makes == IR_GRAPH && r->m->funcs &&
      (!ir_sizes_of(r->m->funcs, &sizes) || sizes.most.n))
    return dn_error(r->ctx, (struct dn_loc){.file = r->m->file}, DN_DIM,
                    "pass '%s' is for sizes that are numbers", row->name);
  struct pass_env env = {.ctx = r->ctx,
                         .opts = r->opts,
                         .target = r->opts->target,
                         .run = run,
                         .scratch = dn_arena_new(r->ctx),
                         .log = r->opts->verbose ? r->opts->log : NULL};
  unsigned errors = dn_errors(r->ctx);
  dn_phase(r->ctx, dn_intern(r->ctx, row->name));
  int64_t changes = row->fn(&env, r->m);
  dn_arena_free(env.scratch);
  dn_phase_changed(r->ctx, changes);
  if (changes < 0)
    return dn_errors(r->ctx) == errors &&
           dn_error(r->ctx, (struct dn_loc){.file = r->m->file}, DN_INTERNAL,
                    "pass '%s' failed and gave no reason", row->name);
  r->m->form = row->makes;
  print_after(r, row->name);
  return check_after(r, row->name, &env);
}

static bool stop_is_known(struct dn_ctx *ctx, const struct pass_opts *opts,
                          const pass_run_list *runs) {
  const char *names[] = {opts->stop_after, opts->print_after};
  const char *flags[] = {"--stop-after", "--print-after"};
  for (int k = 0; k < 2; k++) {
    bool found = !names[k] || (k == 1 && !strcmp(names[k], "all"));
    for (size_t i = 0; i < runs->n && !found; i++)
      found = !strcmp(runs->v[i].row->name, names[k]);
    if (found)
      continue;
    return dn_error(ctx, (struct dn_loc){.where = flags[k]}, DN_PIPELINE,
                    "pass '%s' is not in the pipeline", names[k]);
  }
  return true;
}

static bool run_all(struct runner *r, const pass_run_list *runs) {
  if (r->opts->print_changed) {
    r->text_arena = dn_arena_new(r->ctx);
    r->text = module_text(r->text_arena, r->m);
  }
  bool ok = true;
  if (r->opts->verify_each ||
      (r->opts->rounding && r->opts->weights != IR_F32)) {
    dn_phase(r->ctx, "verify");
    unsigned errors = dn_errors(r->ctx);
    r->results_arena = dn_arena_new(r->ctx);
    r->results = pass_results_of(r->results_arena, r->m);
    ok = dn_errors(r->ctx) == errors;
  }
  size_t n = 0;
  while (ok && n < runs->n) {
    const char *name = runs->v[n].row->name;
    ok = run_one(r, n, &runs->v[n]);
    n++;
    if (r->opts->stop_after && !strcmp(name, r->opts->stop_after))
      break;
  }
  dn_arena_free(r->results_arena);
  dn_arena_free(r->text_arena);
  return ok;
}

bool pass_pipeline(struct dn_ctx *ctx, struct ir_module *m,
                   const struct pass_opts *opts) {
  struct pass_opts o = *opts;
  char name[8];
  snprintf(name, sizeof name, "O%d", o.opt_level);
  if (!o.pipeline)
    o.pipeline = pass_pipeline_text(o.opt_size ? "Os" : name);
  if (!o.log)
    o.log = stderr;
  assert(o.pipeline && "levels that options take are in pipelines.def");
  struct pass_plugins plugins = {0};
  pass_run_list runs = {0};
  struct runner r = {.ctx = ctx, .m = m, .opts = &o};
  bool ok = pass_plugins_load(ctx, &o, &plugins) &&
            pass_parse(ctx, o.pipeline, m->form, &plugins, &runs) &&
            stop_is_known(ctx, &o, &runs) && run_all(&r, &runs);
  pass_plugins_close(&plugins);
  return ok;
}
