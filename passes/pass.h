/* pass.h - passes are functions from a module to itself, one file a pass, one
 * row each in passes.def; pipelines are text; the runner owns verifying,
 * timing, printing and comparing. The same header serves plug-ins
 * (--load-pass). */
#ifndef PASS_PASS_H
#define PASS_PASS_H

#include "ir/facts.h"
#include "ir/ir.h"

struct pass_opt { /* of a pass row: "max_ops:i=16" */
  const char *name;
  int64_t value;
};

struct pass_run { /* one pass in a pipeline */
  const struct pass_row *row;
  const struct pass_opt *opts;
  size_t nopts;
};

/* --requant: how a sum of products is quantized to 8 bits. */
enum pass_requant {
  PASS_REQUANT_OWN,    /* as the model has it */
  PASS_REQUANT_ONNX,   /* a float factor; ties to even */
  PASS_REQUANT_TFLITE, /* half the product of two integers, then a shift; both
                         rounded */
  PASS_REQUANT_EXACT   /* one product of integers, rounded once */
};
/* Of the runner and its passes. */
struct pass_opts {
  const char *pipeline;    /* text; NULL: the one of opt_level */
  const char *print_after; /* pass name or "all" */
  bool print_changed, verify_each, verbose;
  const char *stop_after;     /* pass name */
  int64_t bisect_limit;       /* run only the first N passes; -1: all */
  const char *const *plugins; /* --load-pass */
  size_t nplugins;
  int opt_level;           /* 0..3 */
  bool opt_size;           /* -Os */
  struct ir_choices *lane; /* other lanes of the model fare alike: sizes.h */
  int threads;
  const char *const *stripes; /* --stripe, each */
  size_t nstripes;
  int64_t max_ram;             /* --max-ram; 0: none */
  int64_t stream, stream_step; /* --stream: 1 + the axis, 0: none; the step */
  enum ir_dtype weights;       /* --precision: what f32 becomes */
  enum pass_requant requant;
  /* NULL, or where to say how far a pass that rounds has moved an element of a
   * result, as a fraction of the result's largest: on the random inputs of
   * --verify-each; as it was where there is no such pass. */
  double *rounding;
  const struct ir_facts *target;
  FILE *log; /* for printing: stderr */
};
/* What a pass is called with. */
struct pass_env {
  struct dn_ctx *ctx;
  const struct pass_opts *opts;
  const struct ir_facts *target;
  const struct pass_run *run;
  struct dn_arena *scratch; /* freed after the pass */
  FILE *log;                /* -v; or NULL */
  bool rounds;  /* set by a pass whose results are meant to differ */
  bool remakes; /* set by one that leaves another function */
};
/* Value of an option, or the row's default. */
int64_t pass_int(const struct pass_env *env, const char *name);

/* Returns how many changes it made, or -1 after diagnostics. */
typedef int64_t pass_fn(struct pass_env *env, struct ir_module *m);

struct pass_row {
  const char *name;
  enum ir_form needs, makes;
  const char *opts; /* as the attrs of an op row, all ints */
  const char *summary;
  pass_fn *fn;
};
extern const struct pass_row pass_rows[];
extern const size_t pass_nrows;

/* A plug-in exports `const struct pass_row dnnc_pass;` */
#define PASS_PLUGIN_SYMBOL "dnnc_pass"

/* Runs a pipeline over `m`. false after diagnostics. */
bool pass_pipeline(struct dn_ctx *ctx, struct ir_module *m,
                   const struct pass_opts *opts);
/* Text of a named pipeline in pipelines.def ("O2", "canonical"...), or NULL. */
const char *pass_pipeline_text(const char *name);

#define PASS(NAME, needs, makes, opts, summary)                                \
  int64_t pass_##NAME(struct pass_env *env, struct ir_module *m);
#include "passes/passes.def"
#undef PASS

#endif
