/* module.h - what is emitted once a module, around the kernels: constants, the
 * entry function and its parameters, control flow, counters, line tables. */
#ifndef CG_EMIT_MODULE_H
#define CG_EMIT_MODULE_H

#include "codegen/emit/emit.h"
#include "ir/place.h"
#include "ir/size.h"

struct emit_buffer;
struct emit_function;

enum { EMIT_BUCKETS = 4096 };

struct emit_bytes { /* of a constant that has been emitted */
  struct emit_bytes *next;
  uint64_t hash;
  const struct ir_value *of;
};
struct emit_pad { /* a block of equal elements, read instead of padding */
  uint64_t bits;
  unsigned bytes; /* of one element */
  int64_t size;   /* of the largest read */
  LLVMValueRef global;
};

struct emit {
  struct dn_ctx *ctx;
  const struct ir_facts *facts;
  const struct cg_opts *opts;
  const struct ir_module *m;
  LLVMContextRef lc;
  LLVMModuleRef mod;
  struct dn_arena *scratch;
  LLVMTypeRef i1, i8, i32, i64, f32, f64, iptr, ptr, void_;
  /* Where a constant lies in the file of weights, by value id, or NULL, and the
   * file's size. */
  int64_t *apart, apart_size;
  bool large;                /* constants that are passed lie in .lrodata */
  LLVMValueRef *global;      /* of constants, by value id */
  struct emit_bytes **bytes; /* of those, in EMIT_BUCKETS by hash */
  struct cg_fills *later;
  DN_LIST(struct emit_pad *) pads;
  unsigned *slot; /* number of an op in its kernel, by op id */
  unsigned *leaf; /* of a value that it reads, from 1, by value id */
  struct emit_function **shared; /* functions made so far, by their hash */
  uint64_t shared_mask;
  LLVMValueRef entry; /* PREFIX_run, */
  LLVMValueRef run;   /* or the part of it that is being built at b, */
  unsigned nrange;    /* whose last parameters these are: a range of turns */
  LLVMBuilderRef b;
  struct emit_debug *debug; /* -g; or NULL */
  LLVMValueRef profile;     /* counters, or NULL */
  LLVMValueRef passed;      /* pointers for the chunks of a kernel, or NULL */
  LLVMValueRef turn[IR_MAX_LOOPS_AROUND]; /* of the loops around, iptr */
  unsigned ninputs, noutputs, nkernels;
  /* Number among the parameters of PREFIX_run of each input, then each output;
   * -1: it lies in the state, */
  int *port;
  int64_t state_size;    /* whose bytes are one parameter; 0: there is none */
  unsigned nports;       /* parameters before the sizes */
  struct ir_sizes sizes; /* parameters of PREFIX_run, */
  LLVMValueRef size_at;  /* and where e->run has them in memory, behind them */
  /* Where PREFIX_run ends with `status`, i32; NULL: it ends once, where all is
   * made. */
  LLVMBasicBlockRef leave;
  LLVMValueRef status;
  LLVMValueRef over; /* an i8 in memory: values give a size out of its range */
  int turns;         /* the numbers of turns of so many nested loops */
  bool failed;
};

/* ---- emit/parallel.c ---- */
/* Makes f->chunk for a kernel's function, which takes `n` pointers and a range
 * of units. */
void emit_chunk(struct emit *e, struct emit_function *f, unsigned n);
/* Calls it in chunks through dnn_parallel_for(). */
void emit_parallel(struct emit *e, const struct emit_function *f,
                   LLVMValueRef *args, unsigned n);

/* ---- emit/debug.c: nothing without -g ---- */
void emit_debug_begin(struct emit *e);
void emit_debug_end(struct emit *e);
void emit_debug_function(struct emit *e, LLVMValueRef fn, const char *name);
/* What is built from here on is the op's; the location that was, for back(). */
LLVMMetadataRef emit_debug_at(struct emit *e, LLVMBuilderRef b,
                              const struct ir_op *op);
void emit_debug_back(struct emit *e, LLVMBuilderRef b, LLVMMetadataRef was);

/* ---- emit/profile.c: nothing without --profile ---- */
/* One counter a kernel, and behind them one for the whole run. */
void emit_profile_begin(struct emit *e, unsigned kernels);
/* The cycle counter here, or NULL. */
LLVMValueRef emit_profile_from(struct emit *e);
/* PREFIX_profile[i] += cycles since `from`, if any. */
void emit_profile_add(struct emit *e, unsigned i, LLVMValueRef from);

/* ---- emit/region.c ---- */
/* `if`, `loop`, `scan` in PREFIX_run. */
void emit_region(struct emit *e, const struct ir_op *op);
/* It is a loop whose run-time count may be beyond its bound. */
bool emit_may_fail(struct emit *e, const struct ir_op *op);

/* ---- emit/weights.c ---- */
void emit_weights_begin(struct emit *e);
/* A constant's address in the file that the caller passes. */
LLVMValueRef emit_weights_argument(struct emit *e, const struct ir_value *c);
/* Not 0 where the weights are wrong; NULL: there is nothing to look at. */
LLVMValueRef emit_weights_check(struct emit *e);
/* What is behind the last kernel: PREFIX_load, the arena's zeroes. */
void emit_weights_end(struct emit *e);

/* ---- emit/const.c ---- */
/* Letters, digits and underscores of a hostile name, cut to a sane length. */
const char *emit_mangle(struct emit *e, const char *name);
int emit_const_align(const struct emit *e);
/* A constant of the module, in its section. */
void emit_set_constant(struct emit *e, LLVMValueRef g, LLVMValueRef init,
                       const char *section);
LLVMValueRef emit_const_global(struct emit *e, const struct ir_value *c);
/* Its address, wherever it lies. */
LLVMValueRef emit_const_argument(struct emit *e, const struct ir_value *c);
/* Before any function, and when all kernels are known. */
void emit_far_begin(struct emit *e);
void emit_pads_end(struct emit *e);
/* Whether code reaches all of them; else an error. */
bool emit_consts_fit(struct emit *e, const struct cg_target *t);

/* ---- emit/module.c ---- */
/* A number of the width of a pointer. */
static inline LLVMValueRef emit_iptr(const struct emit *e, int64_t v) {
  return LLVMConstInt(e->iptr, (uint64_t)v, true);
}
/* Emits an op outside kernels: the call of a kernel, or control flow. */
void emit_outside(struct emit *e, const struct ir_op *op);
/* PREFIX_run ends with status `code`, i32, where `bad` holds. */
void emit_leave(struct emit *e, LLVMValueRef bad, LLVMValueRef code);
/* One bool (i1) or i64, outside of kernels. */
LLVMValueRef emit_one(struct emit *e, const struct ir_value *v);
/* A function of the parameters of PREFIX_run and of `range` numbers behind
 * them, which is built at e->b from here on. */
LLVMValueRef emit_begin_function(struct emit *e, LLVMTypeRef result,
                                 unsigned range, const char *name);
/* Whether the processor has functions of so many words of parameters; else an
 * error, and e->failed. */
bool emit_params_fit(struct emit *e, struct dn_loc loc, unsigned words);
/* Pointer to a buffer's first byte, in this turn of the loops around, or to the
 * arena, in PREFIX_run. */
LLVMValueRef emit_argument(struct emit *e, const struct emit_buffer *b);
/* Where e->run has size `i`. */
void emit_store_size(struct emit *e, int i, LLVMValueRef v);
/* A size, of the parameters at `sizes`. */
LLVMValueRef emit_size_value(struct emit *e, LLVMBuilderRef b,
                             LLVMValueRef sizes, const struct ir_size *s);
LLVMValueRef emit_arena(struct emit *e, unsigned part);
/* PREFIX_run's parameter that is i-th from the end: the arena is the first (a
 * second part of it is not counted), then the state, if any, then weights, if
 * apart. */
LLVMValueRef emit_last_argument(struct emit *e, unsigned i);
void emit_function_attributes(struct emit *e, LLVMValueRef fn,
                              const char *name);
void emit_attribute(struct emit *e, LLVMValueRef fn, int at, const char *name,
                    uint64_t value);

/* ---- emit/state.c ---- */
/* Which parameters of PREFIX_run stand for which inputs and outputs. */
void emit_number_ports(struct emit *e);
/* Pointer to an input or output: a parameter, or a place in the state. */
LLVMValueRef emit_port(struct emit *e, bool in, unsigned number);
/* void PREFIX_reset(void *state), where there is a state. */
void emit_reset(struct emit *e);

#endif
