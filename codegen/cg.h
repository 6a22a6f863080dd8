/* cg.h - a PLANNED module to machine code through llvm-c, and what goes with
 * the object: header, report. Code generation decides nothing: kernels, their
 * schedule and every value's place are attributes of the module. */
#ifndef CG_CG_H
#define CG_CG_H

#include "ir/facts.h"
#include "ir/ir.h"

/* What the command line says of the target. NULL strings: the default. */
struct cg_target_opts {
  const char *triple; /* NULL: the host */
  const char *cpu;    /* NULL: generic, or on the host its own features */
  const char *attrs;  /* "+a,-b" */
  const char *march;  /* an architecture, with which the CPU is not looked at */
  const char *fpu, *float_abi; /* 32-bit ARM: -mfpu=, -mfloat-abi= */
  const char *abi;
  int opt_level; /* 0..3 */
  bool opt_size;
  const int64_t *caches; /* bytes of L1, L2, L3, -1: the usual; or NULL */
};

/* A target, checked: CPU and features are known to LLVM for the triple. */
struct cg_target;
struct cg_target *cg_target_new(struct dn_ctx *ctx,
                                const struct cg_target_opts *opts);
/* What passes and code generation decide by: ir/facts.def. */
const struct ir_facts *cg_target_facts(const struct cg_target *t);
/* As resolved: what was given, and defaults. */
struct cg_names {
  const char *triple, *cpu, *features;
  bool native; /* the features are those that this machine has */
};
const struct cg_names *cg_target_names(const struct cg_target *t);

enum cg_emit { CG_OBJ, CG_ASM, CG_LLVM, CG_BITCODE };

/* For -g: the planned module as text, in which generated code has its lines. */
struct cg_debug {
  const char *file, *folder;
  const unsigned *line; /* of each op, by its id */
};

/* Memories of a board, fastest first, and what lies in which: --region. */
enum cg_holds {
  CG_HOLDS_ARENA = 1,
  CG_HOLDS_WEIGHTS = 2,
  CG_HOLDS_CODE = 4,
  CG_HOLDS_STATE = 8
};
struct cg_region {
  const char *name; /* the linker's, a C identifier */
  int64_t size, used;
  unsigned holds;
};
struct cg_regions {
  struct cg_region *v;
  size_t n;
  int arena[2], state, code; /* of each part of the arena ...; -1: none */
  int *weights; /* by value id, -1: none; NULL: no region holds any */
};

/* What a byte of a memory costs, in cycles, for estimates: regions by their
 * names; "flash": constants that are in none. */
struct cg_wait {
  const char *name;
  double cycles;
};

struct cg_opts {
  const char *prefix; /* of every symbol, a C identifier: see cg_prefix() */
  int threads;
  bool freestanding;            /* not even memcpy/memset may stay undefined */
  bool no_nans;                 /* no operand is NaN: -ffinite-math-only */
  bool profile;                 /* count time per kernel: dnnc-run --profile */
  unsigned timeout;             /* seconds that LLVM may take; 0: any */
  const struct cg_debug *debug; /* or NULL */
  const struct cg_regions *regions; /* or NULL */
  bool apart;   /* constants lie in a file that the caller loads: --weights */
  bool checked; /* a run begins with a look at its constants */
  bool zeroize; /* and ends with an arena of zeroes */
  const char *header;     /* name of the header, for its comment; or NULL */
  const char *reproducer; /* command line, for the note of a crash; or NULL */
  /* Elements and bytes of the parameters in the model as it came, for the
   * report: see cg_count_params(). */
  int64_t weights, biases, weight_bytes, bias_bytes;
  int64_t clock; /* MHz; -1: not known */
  const struct cg_wait *waits;
  size_t nwaits;
  /* --precision, and how far it moved results (pass.h); NULL and negative. */
  const char *precision;
  double rounding;
};

/* Bytes of an artefact, in the context's arena. */
struct cg_blob {
  const void *data;
  size_t size;
};

/* What is known after code generation. */
struct cg_sizes {
  int64_t arena, weights, text;
  /* Of text, by the kernel's number (cg_layer); 0 where the code of one before
   * does for it. */
  int64_t *kernel;
  int64_t soft;            /* of text, arithmetic that the processor lacks */
  int64_t tables;          /* beside text and weights: description, unwinding */
  int64_t stack;           /* with the longest vectors: cg_vector_most(), */
  int64_t stack_least;     /* and with those that the target has at least */
  int64_t arena_bound;     /* no order and no placement of the kernels' values
                              needs less (memory.md) */
  int64_t inputs, outputs; /* what the caller provides beside the arena, */
  int64_t state;           /* and keeps from call to call */
  uint64_t abi;            /* of weights apart: dnn.h */
  int64_t blob;            /* bytes of their file */
};
/* Bytes of the vectors that the stack is counted for; where their length is
 * known at run time only, 128 or more. */
int64_t cg_vector_most(const struct ir_facts *f);
/* What a call takes of the memory that can be written. */
int64_t cg_ram(const struct cg_sizes *s);

/* Places arena, state (of which large tensors lie at multiples of `align`) and
 * weights of a planned module; false after a diagnostic when one of the first
 * two fits nowhere. Then, with sizes, the same for code. */
bool cg_place(struct dn_ctx *ctx, const struct ir_module *m, int64_t align,
              struct cg_regions *r);
bool cg_place_code(struct dn_ctx *ctx, struct cg_regions *r,
                   const struct cg_sizes *sizes);
/* The piece of a linker script that goes with opts->regions. */
void cg_linker(struct dn_ctx *ctx, const struct cg_opts *opts,
               struct cg_blob *out);

/* The file of constants that goes with an object of that hash; sums of it. */
void cg_weights(struct dn_ctx *ctx, const struct ir_module *m, uint64_t abi,
                struct cg_blob *out);
uint32_t cg_weights_sum(const void *data, size_t size);

/* Generates code in a child process, so that a crash in LLVM is a DN_LLVM
 * diagnostic. false after diagnostics. `sizes` may be NULL. */
bool cg_compile(struct dn_ctx *ctx, const struct cg_target *t,
                const struct ir_module *m, const struct cg_opts *opts,
                enum cg_emit kind, struct cg_blob *out, struct cg_sizes *sizes);

/* The generated C header. */
bool cg_header(struct dn_ctx *ctx, const struct cg_target *t,
               const struct ir_module *m, const struct cg_opts *opts,
               const struct cg_sizes *sizes, struct cg_blob *out);

/* Report: parameters, MACs, bytes, arena and its lower bound, weights, stack,
 * per layer. Text for people, JSON for tools (docs/cli.md lists the keys). */
enum cg_report_kind {
  CG_REPORT_BRIEF, /* totals only */
  CG_REPORT_TEXT,
  CG_REPORT_JSON,
  CG_REPORT_HTML
};
bool cg_report(struct dn_ctx *ctx, const struct cg_target *t,
               const struct ir_module *m, const struct cg_opts *opts,
               const struct cg_sizes *sizes, enum cg_report_kind kind,
               struct cg_blob *out);

/* The arena of a planned module over time, as an SVG picture. */
void cg_memmap(const struct ir_module *m, struct dn_buf *out);

/* A C identifier from a file or model name: "my-net.onnx" -> "my_net". */
const char *cg_prefix(struct dn_ctx *ctx, const char *name);
/* Text of --list-targets. */
void cg_list_targets(struct dn_buf *out);
/* CPUs and features of a triple (NULL: the host): -mcpu=help. */
bool cg_list_cpus(struct dn_ctx *ctx, const char *triple, struct dn_buf *out);
const char *cg_llvm_version(void);

#endif
