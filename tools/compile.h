/* compile.h - what dnnc and dnnc-run share: from options to a planned module
 * for a checked target. */
#ifndef TOOLS_COMPILE_H
#define TOOLS_COMPILE_H

#include "codegen/cg.h"
#include "frontend/fe.h"
#include "passes/pass.h"
#include "tools/options.h"

struct compile {
  struct dn_ctx *ctx;
  const struct options *options;
  const char *path; /* of the model */
  struct cg_target *target;
  struct ir_module *m;
  bool runs; /* by dnnc-run: --dim may give a size both a bound and a value */
  /* With --dim NAME<=BOUND: m is one of its lanes until the passes on graphs
   * have run; or NULL. */
  struct sizes *sizes;
  struct fe_opts fe; /* of its import */
  struct cg_opts cg;
  struct cg_regions *regions; /* NULL: none are given */
};

/* The target that the options name, or NULL after diagnostics. */
struct cg_target *compile_target(struct dn_ctx *ctx, const struct options *o);
/* Target, name and code generation options. false after diagnostics. */
bool compile_begin(struct dn_ctx *ctx, const struct options *o,
                   const char *path, struct compile *c);
/* Imports the model; `known`: values and sizes of inputs given on the command
 * line, or NULL. */
bool compile_import(struct compile *c, const struct fe_opts *known);
/* Runs the passes of opts on graphs for each size, after which there is one
 * module; opts then has the others. Without sizes it does nothing. */
bool compile_join(struct compile *c, struct pass_opts *opts);
/* Runs the pipeline: the whole of it, or the part that leaves `form`. */
bool compile_passes(struct compile *c, enum ir_form form);
/* The pipeline's text, as it will be run on the imported module. */
const char *compile_pipeline(const struct compile *c, enum ir_form form);

/* Whether passes went as far as code generation needs; a diagnostic says what
 * can be written otherwise. */
bool compile_is_planned(const struct compile *c);
/* Places what regions hold, then generates code: cg_compile(). */
bool compile_object(struct compile *c, enum cg_emit kind, struct cg_blob *out,
                    struct cg_sizes *sizes);

#endif
