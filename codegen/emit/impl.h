/* impl.h - what the files of emit/ share.
 *
 * A kernel is emitted on demand: emit_value() emits one row (a vector of
 * k->forms.lanes elements along some direction, or one scalar when all lanes
 * agree) of any value at given indices, and calls itself for the operands.
 * Indices are affine forms over loop counters, known at compile time, so that
 * strides and offsets become immediates, ranges prove checks away, and equal
 * requests are found again (the memo). A request is emitted in the outermost
 * scope where all its counters exist: whatever does not depend on a loop is
 * outside of it, bounds checks and whole reductions included. */
#ifndef CG_EMIT_IMPL_H
#define CG_EMIT_IMPL_H

#include "codegen/emit/index.h"
#include "codegen/emit/module.h"
#include "codegen/emit/scope.h"
#include "codegen/emit/share.h"
#include "codegen/emit/sums.h"
#include "codegen/emit/values.h"
#include "codegen/math/elementary.h"
#include "ir/affine.h"
#include "ir/nest.h"
#include "ir/place.h"
#include "ir/runs.h"

enum {
  EMIT_MAX_NESTING = 500,
  EMIT_MAX_STEPS = 512, /* of a fold, unrolled: LLVM's time is their square */
  EMIT_MAX_WORK = 16000 /* registers' worth of values in a kernel */
};

struct kernel_cg {
  struct emit *e;
  const struct ir_op *op;     /* the kernel; NULL: a copy */
  const struct ir_value *out; /* its result */
  const struct ir_op *onto;   /* its op that goes onto an operand, or NULL */
  const struct ir_block *body;
  struct dn_arena *arena;
  unsigned nops;
  struct emit_schedule sched;
  bool ordered; /* it is one order, along carry.dim: emit/order.c */

  /* The function, and where it is being built. */
  LLVMValueRef fn;
  struct emit_threads threads;
  LLVMBuilderRef b;
  struct scope *scope;
  LLVMBasicBlockRef before; /* new blocks go before it; NULL: at the end */
  struct memo **memos;
  const struct emit_places *places;
  bool own; /* no function for other kernels: what they read is in its code */

  /* Indices. */
  struct affines forms;            /* over loop counters */
  DN_LIST(LLVMValueRef) value;     /* of their variables */
  DN_LIST(struct emit_size) sizes; /* that are in variables */

  /* Sums. */
  struct runs runs; /* what is loaded at once; schedule: runs.dot, an
                       instruction for sums: emit/dot.c */
  int64_t run;      /* neighbours that a lane of a load has; 0: no runs */
  struct emit_wide wide;
  struct emit_plane plane;
  struct emit_matrix matrix;
  struct emit_group group;
  struct emit_carry carry;
  LLVMValueRef *start; /* what the sums of emit_fold() begin with, or NULL */
  struct emit_stream *stream; /* not NULL: records loads of constants */
  bool narrowed;              /* vectors were narrowed at once */

  /* The row at hand. */
  struct emit_range range; /* of the last operand of the function at hand */
  LLVMValueRef count;      /* i32: lanes that a scalable row has */
  int nesting;             /* of emit_value */

  /* Limits. */
  unsigned native; /* lanes of a register, of 4 bytes each; 1 without vectors */
  int64_t work;    /* registers' worth of rows evaluated */
  bool told;       /* that the tile is too large for the registers */
  bool failed;
};

/* A point of a tile: a row of `lanes` elements at indices idx. */
struct tile_vector {
  unsigned lanes;
  const struct affine *const *idx;
};

/* ---- emit/value.c ---- */
LLVMValueRef emit_value(struct kernel_cg *k, const struct ir_value *v,
                        const struct affine *const *idx);
/* Converts `v` to lanes elements when it is a scalar. */
LLVMValueRef emit_splat(struct kernel_cg *k, LLVMValueRef v, unsigned lanes);
bool emit_is_vector(LLVMValueRef v);
/* Lanes of what is made of two values: those of a row, if one is a vector. */
unsigned emit_lanes(const struct kernel_cg *k, LLVMValueRef a, LLVMValueRef b);
/* From outside the kernel: memory. */
bool kernel_is_leaf(const struct kernel_cg *k, const struct ir_value *v);
const struct nest *kernel_nest(struct kernel_cg *k, const struct ir_op *op);
/* The nest's scalar body, or its i-th node, at iterator forms. */
LLVMValueRef emit_node(struct kernel_cg *k, const struct nest *n, int node,
                       const struct affine *const *iter);
/* The kernel fails: one diagnostic. */
void emit_fail(struct kernel_cg *k, enum dn_code code, const char *msg);
/* A row of `lanes` is computed; more than EMIT_MAX_WORK of it fails. */
void emit_work(struct kernel_cg *k, enum ir_dtype type, unsigned lanes);
/* Reports that the operands do not meet the layout that the attribute asserts.
 * */
void emit_no_runs(struct kernel_cg *k, const char *attribute);
/* It fails since its loops ask for too much code. */
void emit_too_large(struct kernel_cg *k);

/* The element, or run, that an access reads, in the type of its operand. */
LLVMValueRef emit_access(struct kernel_cg *k, const struct nest *n, int a,
                         const struct affine *const *iter);
/* The nest of what the kernel computes by `fn`, whose values `node` has, and
 * its iterators; NULL: it has others. */
const struct nest *emit_enter(struct kernel_cg *k, const struct nest *n,
                              int node, enum ir_scalar fn,
                              const struct affine *const *iter,
                              const struct affine **inner);

/* Index into dimension d of a type that access `a` reads: made once per place
 * it is read at. */
const struct affine *emit_indirect(struct kernel_cg *k, const struct nest *n,
                                   int a, const struct ir_type *type, int d,
                                   const struct affine *const *iter);

/* A value that is known at these indices, for emit_value() to find. */
void emit_cache_value(struct kernel_cg *k, const struct ir_value *v,
                      const struct affine *const *idx, LLVMValueRef is);
bool emit_is_cached(struct kernel_cg *k, const struct ir_value *v,
                    const struct affine *const *idx);

/* ---- emit/load.c ---- */
/* A pointer, so many bytes further. */
LLVMValueRef emit_further(struct kernel_cg *k, LLVMValueRef p,
                          LLVMValueRef bytes);
LLVMValueRef emit_further_by(struct kernel_cg *k, LLVMValueRef p,
                             int64_t bytes);
/* What lies there, of a type in memory. */
LLVMValueRef emit_load_at(struct kernel_cg *k, LLVMTypeRef type, LLVMValueRef p,
                          int align);
LLVMValueRef emit_load(struct kernel_cg *k, const struct ir_value *v,
                       const struct ir_place *p, const struct affine *addr);
/* As emit_load, of memory that is only there where `cond` holds, else
 * `outside`: near are the parts of the address that may go wrong. NULL: cannot.
 */
LLVMValueRef emit_load_checked(struct kernel_cg *k, const struct ir_value *v,
                               const struct ir_place *p,
                               const struct affine *near,
                               const struct affine *far, LLVMValueRef cond,
                               int cond_depth, double outside);
/* A run, as emit_load gives it, that has the same number of type `t` in each
 * place. */
LLVMValueRef emit_run_number(struct kernel_cg *k, enum ir_dtype t,
                             LLVMValueRef number);
/* Where element number `addr` lies. */
LLVMValueRef emit_pointer(struct kernel_cg *k, const struct ir_type *type,
                          const struct ir_place *p, const struct affine *addr);
/* In a loop that reads a panel of constants, prefetches a part of the next
 * panel. */
void emit_prefetch(struct kernel_cg *k, const struct scope *outer,
                   const struct emit_stream *s);
/* Prefetches the cache lines that lie the schedule's `ahead` bytes behind one
 * that is read, and a part of that. */
void emit_prefetch_ahead(struct kernel_cg *k, LLVMValueRef at);
void emit_store(struct kernel_cg *k, const struct ir_type *type,
                const struct ir_place *p, const struct affine *addr,
                LLVMValueRef v);
/* Sum of index times stride, in elements. */
const struct affine *emit_address(struct kernel_cg *k, const struct ir_place *p,
                                  int rank, const struct affine *const *idx);

/* ---- emit/kernel.c: each makes a function and calls it from `run` ---- */
void emit_kernel(struct emit *e, const struct ir_op *op, const char *name);
/* The part of it for one value: loops over `out`'s indices, `root` evaluated
 * and stored at each. */
void emit_loops(struct emit *e, const struct ir_op *op,
                const struct ir_value *root, const struct ir_value *out,
                const struct ir_place *place, const char *name);
/* Memory to memory, to a dense place. */
void emit_copy(struct emit *e, const struct ir_value *from,
               const struct ir_place *to, const char *name);

/* ---- emit/onto.c ---- */
/* A kernel whose op `onto` goes onto its operand. */
void emit_onto(struct emit *e, const struct ir_op *op, const struct ir_op *onto,
               const struct ir_place *out, const char *name);
/* Row idx of the slices, v, goes to where it belongs in the result at p. */
void onto_store(struct kernel_cg *k, const struct ir_place *p,
                const struct affine *const *idx, LLVMValueRef v);

#endif
