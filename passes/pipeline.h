/* pipeline.h - pipelines as text, plug-ins, and comparing what a module
 * computes before and after a pass: the parts of the runner (runner.c). */
#ifndef PASS_PIPELINE_H
#define PASS_PIPELINE_H

#include "passes/pass.h"

/* Rows of plug-ins, looked up before those of passes.def. */
struct pass_plugins {
  size_t n;
  void **handle;
  const struct pass_row **row;
};
/* false after diagnostics. Close even then. */
bool pass_plugins_load(struct dn_ctx *ctx, const struct pass_opts *opts,
                       struct pass_plugins *out);
void pass_plugins_close(struct pass_plugins *p);

typedef DN_LIST(struct pass_run) pass_run_list;

/* pipeline := item (',' item)*     item := pass options? | pipeline name
 * options  := '{' name '=' value (',' name '=' value)* '}'
 * Passes must be known, have the options, and each find the form it needs,
 * starting from `form`. false after diagnostics. */
bool pass_parse(struct dn_ctx *ctx, const char *text, enum ir_form form,
                const struct pass_plugins *plugins, pass_run_list *out);

/* Results of a module's functions on random inputs that depend on the
 * parameters' types only. */
struct pass_results;
struct pass_results *pass_results_of(struct dn_arena *arena,
                                     const struct ir_module *m);
/* Compares; a difference is a DN_PASS_MISMATCH diagnostic that names the pass,
 * and false. NULL results (symbolic dims) compare equal. */
bool pass_results_same(struct dn_ctx *ctx, const char *pass,
                       const struct pass_results *before,
                       const struct pass_results *after);

/* The largest difference between elements, as a fraction of the largest element
 * of their result; functions and types are the same. */
double pass_results_distance(const struct pass_results *a,
                             const struct pass_results *b);

#endif
