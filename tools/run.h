/* run.h - the parts of dnnc-run: a model that can be called (run_load.c),
 * tensors to give it and to judge what comes back (run_data.c), time
 * (run_bench.c, run_profile.c, run_peak.c), and the interpreter as a judge of
 * every value (run_compare.c). */
#ifndef TOOLS_RUN_H
#define TOOLS_RUN_H

#include "codegen/object/elf.h"
#include "codegen/object/jit.h"
#include "ir/eval.h"
#include "ir/size.h"
#include "tools/compile.h"

#include <ffi.h>

struct run_port { /* an input or output */
  const char *name;
  const struct ir_type *type;
  size_t kept; /* state: 1 + the number of the output that is the next value of
                  this input, or of the input for an output; 0: no state */
  int64_t at;  /* of an output that is state: its first byte there */
  size_t dims; /* of an output whose size values decide: 1 + the number of the
                  output that holds its dimensions; 0: it has its type's */
  bool rows;   /* its data have one tensor for each of --steps */
};

/* A model that can be called: generated code, or the interpreter. */
struct run {
  struct dn_ctx *ctx;
  const struct options *o;
  const char *path;
  struct compile compile;
  struct ir_module *m; /* as compiled or imported; NULL for an object */
  size_t nin, nout;
  struct run_port *in, *out;
  struct ir_sizes sizes;   /* that are known at run time only, */
  struct ir_point at;      /* as they are now, for the types of in and out; */
  struct run_port *bounds; /* inputs and outputs with the bounds */
  int64_t macs;
  void *arena; /* of the generated code, NULL when it needs none */
  void *state; /* likewise, */
  int64_t state_size;
  bool keeps;    /* calls read the state there, not in `in` */
  void *weights; /* of an object whose constants are apart */
  size_t arena_size;
  const uint64_t *io; /* bytes of the arena where inputs and outputs lie: of a
                         description of version 3; or NULL */
  struct cg_blob object;         /* the generated code, */
  struct cg_elf elf;             /* what is in it, */
  const char *prefix;            /* of its symbols */
  const struct dnn_model *model; /* and its description of the model */
  struct cg_jit *jit; /* generated code; NULL: the interpreter runs `m` */
  void *library;      /* or a shared object */
  void (*fn)(void);
  ffi_cif cif;
  void **pointer;    /* room for a call's arguments, */
  void **argument;   /* and where each of them is */
  uint64_t *profile; /* cycles of each kernel and of the run, or NULL */
  bool reuses;       /* the plan reuses memory: only results are compared */
  bool depends;      /* was imported for the values of the inputs */
};

/* Reads the model file or object at o->files. `known`: types and values of
 * inputs from the command line, or NULL. false after diagnostics. */
bool run_load(struct run *r, struct dn_ctx *ctx, const struct options *o,
              const struct fe_opts *known);
/* Imports the model only, for its inputs' names. */
bool run_import(struct run *r, const struct fe_opts *known);
void run_unload(struct run *r);
/* Runs once on tensors that match the ports; the data of outputs are made by
 * run_buffers() and filled. What is state is an input and an output like
 * others. false after a diagnostic. */
bool run_call(struct run *r, const struct ir_tensor *in, struct ir_tensor *out);
/* Whether the generated function returned DNN_OK; else a diagnostic. */
bool run_status(struct run *r, int status);
/* Gives inputs that are state their values of before the first call. */
void run_reset(struct run *r, struct ir_tensor *in);
/* Whether they have one element type and the same dimensions. */
bool run_same_shape(const struct ir_type *a, const struct ir_type *b);
/* Tensors with the types of ports and aligned, zeroed data. */
struct ir_tensor *run_buffers(struct run *r, const struct run_port *ports,
                              size_t n);

/* ---- run_sizes.c ---- */
/* Begins at the bounds, with the ports as loaded. */
void run_find_sizes(struct run *r);
/* Sets them by types of inputs, NULL where there is none, and by --dim; false
 * after a diagnostic. */
bool run_set_sizes(struct run *r, const struct ir_type *const *types, size_t n);
/* Sizes of the next step: --dim NAME=VALUE+STEP. */
bool run_next_sizes(struct run *r);

/* ---- run_object.c ---- */
bool run_is_object(struct dn_ctx *ctx, const char *path);
/* Checks the object, and fills `elf`, `prefix` and `model` from it; false after
 * a diagnostic. */
bool run_check_object(struct run *r, const struct cg_blob *object);
/* Whether the object defines PREFIX_what. */
bool run_has(const struct run *r, const char *what);
/* Forks. Returns false in the child; in the parent true, after the child has
 * ended, with its exit code. A signal in the child becomes a diagnostic. */
bool run_in_child(struct dn_ctx *ctx, const char *path, int *code);

/* ---- run_emulate.c ---- */
/* run_call() by --emulator. */
bool run_emulate(struct run *r, const struct ir_tensor *in,
                 struct ir_tensor *out);

/* ---- run_data.c ---- */
/* The tensors of --input and --random; NULL after a diagnostic. */
struct ir_tensor *run_inputs(struct run *r);
/* Types of the --input files, to bind symbolic dims: by position of the input,
 * or in the order given while the inputs are not known. */
const struct ir_type **run_input_types(struct run *r);
/* Output i, cut to the dimensions that the run gave it. */
struct ir_tensor run_output(const struct run *r, const struct ir_tensor *out,
                            size_t i);
bool run_write_outputs(struct run *r, const struct ir_tensor *out);
/* --steps */
bool run_steps(struct run *r);
void run_print_outputs(const struct run *r, const struct ir_tensor *out);

struct run_diff {
  bool next; /* set before: a neighbour in the type's order is right, too */
  double max_abs, max_rel;
  double max_ulp; /* units in the last place, of at least largest/1024 */
  double largest; /* |want|, at least 1: the factor of atol */
  int64_t at;     /* first element over the tolerance, -1: none */
  double got, want;
};
/* Strings of a file as wide as those of `port`, if that leaves none shorter. */
void run_fit_strings(struct run *r, struct ir_tensor *t,
                     const struct ir_type *port);
/* Compares row-major elements: floats by |got - want| <= rtol * |want| + atol *
 * the largest |want|, at least 1; integers exactly; NaNs are equal. */
void run_differ(const struct ir_type *type, const void *got, const void *want,
                double rtol, double atol, struct run_diff *d);
/* Elements `stride` apart, put together in row-major order. */
void *run_gather(struct dn_arena *arena, const struct ir_type *type,
                 const void *data, const int64_t *stride);
/* --test-data: runs every set of every folder; false: one failed. */
bool run_test_data(struct run *r);

/* ---- run_bench.c, run_profile.c, run_peak.c, run_compare.c ---- */
bool run_bench(struct run *r);
/* --profile and --trace */
bool run_profile(struct run *r);
/* Sorts the samples; their q-quantile. */
double run_quantile(double *samples, size_t n, double q);
/* Nanoseconds on a clock that never goes back. */
int64_t run_clock(void);
/* f32 operations a second of one core, measured for a fraction of a
 * millisecond with this machine's widest fused multiply-adds. */
double run_peak(void);
/* Bytes a second that one core reads from the cache, or the memory, that holds
 * `bytes`, of the next smaller of some sizes. Each size is measured once, for
 * at most some ms; `known` starts as zeroes. */
enum { RUN_LEVELS = 25 };
struct run_levels {
  double rate[RUN_LEVELS];
};
double run_bandwidth(struct run_levels *known, int64_t bytes);
/* --compare=interp; false: a value differs. */
bool run_compare(struct run *r);
/* The same right after a run_call() with these tensors. */
bool run_compare_values(struct run *r, const struct ir_tensor *in,
                        const struct ir_tensor *out);

#endif
