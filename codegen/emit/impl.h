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

#include "codegen/emit/emit.h"
#include "codegen/emit/values.h"
#include "codegen/math/elementary.h"
#include "ir/affine.h"
#include "ir/nest.h"
#include "ir/place.h"
#include "ir/runs.h"

/* ---- Module ---- */
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
  LLVMBasicBlockRef leave; /* where PREFIX_run ends with `status`, i32; NULL: it
                              ends once, where all is made */
  LLVMValueRef status;
  LLVMValueRef
      over;  /* an i8 in memory: values ask for a size out of its range */
  int turns; /* the numbers of turns of so many nested loops */
  bool failed;
};

/* ---- Kernel ---- */
struct memo {
  struct memo *chain, *made; /* in its bucket; in its scope */
  uint64_t hash;
  unsigned nkey;
  LLVMValueRef value;
  int64_t extra;
  uint64_t key[];
};

struct scope { /* the function body (depth 0) or a loop */
  struct scope *parent;
  int depth;
  LLVMBasicBlockRef pre;  /* of a loop: where code of the parent is added, */
  LLVMBasicBlockRef gate; /* and the block that follows */
  LLVMBasicBlockRef head;
  LLVMValueRef counter;
  LLVMValueRef step; /* of the counter */
  unsigned var;
  int64_t count;
  LLVMValueRef any, to; /* of the loop that threads share: whether it runs, and
                           until where */
  struct memo *made;
  enum ir_walk walk;      /* how addresses go on */
  int64_t elements, at;   /* elements each time, and of the step at hand */
  struct walker *walkers; /* pointers */
  LLVMValueRef index;     /* elements so far */
};
struct walker {
  struct walker *next;
  LLVMValueRef phi;
  int64_t step; /* bytes each time */
};

struct emit_buffer { /* bytes [from, to) of a space that a kernel touches */
  enum ir_space space;
  unsigned number;
  const struct ir_value *base;
  int64_t from, to;
  int64_t step[IR_MAX_LOOPS_AROUND]; /* as a place's */
  int align;                         /* of the first byte */
  unsigned index;                    /* in the order of first use, from 1 */
  bool written;
  bool dense; /* and without gaps */
  bool over;  /* it overlaps another, of which one is written so */
  LLVMValueRef ptr;
};
struct emit_leaf { /* a value that a kernel reads */
  const struct ir_value *value;
  struct ir_place place;
};
struct emit_places { /* the memory of a kernel, and all else in words */
  const struct emit *e;
  struct dn_arena *arena;
  DN_LIST(struct emit_buffer) buffers; /* by rising address; disjoint */
  DN_LIST(struct emit_buffer *) order; /* by index */
  DN_LIST(struct emit_leaf) leaves;
  DN_LIST(uint64_t) words;
  uint64_t hash;
};
struct emit_function { /* a kernel's, for all kernels of equal words */
  struct emit_function *chain;
  uint64_t hash, *word;
  size_t nwords;
  LLVMValueRef fn, chunk; /* chunk: NULL unless threads share it */
  int64_t units;
};

enum {
  EMIT_BUCKETS = 4096,
  EMIT_MAX_NESTING = 500,
  EMIT_ANY_DEPTH = 1 << 30,
  EMIT_MAX_STEPS = 512, /* of a fold, unrolled: LLVM's time is their square */
  EMIT_MAX_WORK = 16000 /* registers' worth of values in a kernel */
};

/* Accumulators that go from one index of a result dimension to the next, of the
 * kernel's running fold: phis of the loop over it, which is innermost. */
struct emit_carry {
  int dim;            /* -1: none */
  bool back;          /* from its end */
  struct scope *loop; /* NULL: there is one index only */
  DN_LIST(LLVMValueRef) phi, next;
};

struct emit_wide {            /* rows widened to 16 bits: emit/wide.c */
  const struct scope *before; /* for the loop that they were made for last */
  LLVMValueRef rows;          /* memory of the function, */
  int64_t words;              /* that much; 0: none so far */
  LLVMValueRef half;          /* of the upper half's one, in a register */
};

struct emit_plane {           /* a channel that was copied: emit/plane.c */
  const struct nest *n;       /* the last one, */
  const struct scope *inside; /* for the loop around all that reads it */
  LLVMValueRef bytes, *weights;
};

struct emit_matrix {  /* sums by matrix registers: emit/matrix.c */
  int64_t step, rows; /* schedule: elements of a step, 0: none; of a block */
  bool loaded;        /* the shape of the registers */
  LLVMValueRef sums;  /* memory of the function, */
  int64_t words;      /* that much; 0: none so far */
  const struct ir_op *op;        /* whose sums they are, or NULL; */
  const struct affine *row;      /* their row at hand, */
  int64_t columns, skip_columns; /* of so many, the first of which are others */
};

struct emit_stream { /* constants that a contraction reads in vectors */
  struct ir_place place;
  const struct affine *bytes; /* NULL: none so far */
  int64_t block, blocks; /* which of the blocks of a tile reads them */
};

/* Factors that all lanes share are loaded several at a time, by the schedule's
 * `factors`: those of consecutive steps of the innermost loop. */
struct emit_group {
  unsigned lanes; /* 0: no group */
  unsigned lane;  /* of the step being emitted */
  unsigned var;   /* the loop's counter, */
  int64_t step;   /* which stands for that many steps */
};

struct emit_range {
  int64_t least, most;
};

struct emit_size { /* a size that is known at run time only */
  const struct ir_size *size;
  const struct affine *form;
};

struct kernel_cg {
  struct emit *e;
  const struct ir_op *op;     /* the kernel; NULL: a copy */
  const struct ir_value *out; /* its result */
  const struct ir_op *onto;   /* its op that goes onto an operand, or NULL */
  const struct ir_block *body;
  struct dn_arena *arena;
  LLVMValueRef fn;
  int64_t units;           /* of the loop that threads share; 0: one thread */
  LLVMValueRef begin, end; /* those of this call */
  LLVMBuilderRef b;
  struct scope *scope;
  LLVMBasicBlockRef before; /* new blocks go before it; NULL: at the end */
  struct runs runs;         /* what is loaded at once; schedule: runs.dot, an
                        instruction for sums: emit/dot.c */
  unsigned vec;             /* schedule: lanes, */
  int64_t unroll, prefetch, ahead, chains;
  bool by_wide, by_plane, by_words, joins, bias, scaled; /* how sums are made */
  int64_t narrow;   /* four vectors of results become bytes at once, */
  bool packed;      /* and have somewhere */
  unsigned factors; /* of so many steps are loaded at once; 0: of one */
  struct emit_wide wide;
  struct emit_plane plane;
  struct emit_matrix matrix;
  struct emit_range range; /* of the last operand of the function at hand */
  int64_t run; /* neighbours that a lane of a load has; 0: no runs */
  struct emit_group group;
  struct emit_carry carry;
  LLVMValueRef *start; /* what the sums of emit_fold() begin with, or NULL */
  bool ordered; /* the kernel is one order, along carry.dim: emit/order.c */
  struct emit_stream *stream; /* not NULL: records loads of constants */
  LLVMValueRef count;         /* i32: lanes that a scalable row has */
  int nesting;                /* of emit_value */
  int64_t work;               /* registers' worth of rows evaluated */
  unsigned native; /* lanes of a register, of 4 bytes each; 1 without vectors */
  bool told;       /* that the tile is too large for the registers */
  bool failed;
  struct affines forms;            /* over loop counters */
  DN_LIST(LLVMValueRef) value;     /* of their variables */
  DN_LIST(struct emit_size) sizes; /* that are in variables */
  struct memo **memos;
  struct nest **nests; /* by e->slot */
  unsigned nops;
  const struct emit_places *places;
  bool own; /* no function for other kernels: what they read is in its code */
};

/* A point of a tile: a row of `lanes` elements at indices idx. */
struct tile_vector {
  unsigned lanes;
  const struct affine *const *idx;
};

/* ---- emit/index.c: index arithmetic as code ---- */
/* A variable whose value is `v`; the value of a variable. */
unsigned index_new_var(struct kernel_cg *k, LLVMValueRef v, int64_t lo,
                       int64_t hi, int depth, bool vector);
LLVMValueRef index_get(struct kernel_cg *k, unsigned var);
/* The form's value: iptr, or a vector of it when the form is varying. */
LLVMValueRef index_value(struct kernel_cg *k, const struct affine *a);
/* A dimension as a form: a number, or a variable of at most dim. */
const struct affine *index_size(struct kernel_cg *k, int64_t dim,
                                const struct ir_size *size);
/* How many whole tiles n comes to, `most` at most. */
const struct affine *index_tiles(struct kernel_cg *k, const struct affine *n,
                                 int64_t tile, int64_t most);
/* from + the loop's counter * step, of which it is known that as much again is
 * within `extent`. */
const struct affine *index_within(struct kernel_cg *k,
                                  const struct affine *from, int64_t step,
                                  int64_t extent);
/* A variable for a + b * c: of two forms no form has the product. */
const struct affine *index_product(struct kernel_cg *k, const struct affine *a,
                                   const struct affine *b,
                                   const struct affine *c);
/* What is read of an integer value as an index, clamped into dimension d of a
 * type. */
const struct affine *index_of_value(struct kernel_cg *k, LLVMValueRef v,
                                    const struct ir_value *from, int depth,
                                    const struct ir_type *type, int d);
/* a, clamped into a dimension. */
const struct affine *index_clamp(struct kernel_cg *k, const struct affine *a,
                                 int64_t dim, const struct ir_size *size);
/* i1 (or a vector): 0 <= a < dim, or the size; a == 0. */
LLVMValueRef index_inside(struct kernel_cg *k, const struct affine *a,
                          int64_t dim, const struct ir_size *size);
LLVMValueRef index_is_zero(struct kernel_cg *k, const struct affine *a);
/* NULL stands for true. */
LLVMValueRef index_and(struct kernel_cg *k, LLVMValueRef a, LLVMValueRef b,
                       int depth);

/* ---- emit/scope.c: loops, hoisting, the memo ---- */
void scope_open(struct kernel_cg *k, int64_t count, unsigned nphi,
                const LLVMValueRef *init, LLVMValueRef *phi);
/* The same value, of which LLVM does not see what it is. */
LLVMValueRef scope_hide(struct kernel_cg *k, LLVMValueRef v);
/* From here on addresses in the loop advance by `step` elements an iteration, in
 * the way that the target's facts give; scope_next() is an element further. */
void scope_walk(struct kernel_cg *k, int64_t step);
void scope_next(struct kernel_cg *k);
/* A pointer that is p before the loop. */
LLVMValueRef scope_pointer(struct kernel_cg *k, LLVMValueRef p, int64_t step);
/* `count` iterations, known at run time only; `most` at most. */
void scope_open_to(struct kernel_cg *k, LLVMValueRef count, int64_t most,
                   unsigned nphi, const LLVMValueRef *init, LLVMValueRef *phi);
/* Of units [first, first + most) those in [k->begin, k->end), and of these the
 * first `count`; NULL: all. */
void scope_open_range(struct kernel_cg *k, int64_t first, int64_t most,
                      LLVMValueRef count);
/* next[] become the values behind the loop. */
void scope_close(struct kernel_cg *k, unsigned nphi, const LLVMValueRef *phi,
                 LLVMValueRef *next);
struct hoist {
  struct scope *scope, *child;
  LLVMBasicBlockRef block, before;
};
/* Code between begin and end goes into the scope of that depth. */
void hoist_begin(struct kernel_cg *k, int depth, struct hoist *h);
void hoist_end(struct kernel_cg *k, struct hoist *h);
LLVMBasicBlockRef scope_block(struct kernel_cg *k, const char *name);
/* A counter below `count` times `step`, and a loop where that is more than one. */
const struct affine *scope_open_some(struct kernel_cg *k, int64_t count,
                                     int64_t step);
void scope_close_some(struct kernel_cg *k, int64_t count);
/* Memory of the function, of 4 bytes a word. */
LLVMValueRef scope_memory(struct kernel_cg *k, int64_t words, unsigned align,
                          const char *name);

enum memo_kind {
  MEMO_VALUE = 1,
  MEMO_INDEX,
  MEMO_POINTER,
  MEMO_SELECT,
  MEMO_INSIDE,
  MEMO_ZERO,
  MEMO_AND,
  MEMO_GATHER,
  MEMO_CHECKED,
  MEMO_GROUP,
  MEMO_FLAT,
  MEMO_CLAMP,
  MEMO_PRODUCT,
  MEMO_ROWS
};
#define MEMO_MAX_KEY (IR_MAX_RANK + 4)
struct memo_key { /* of a request, to which more can be pushed */
  unsigned n;
  uint64_t word[MEMO_MAX_KEY];
  struct hoist hoist;
};
struct memo_key memo_key(struct kernel_cg *k, enum memo_kind kind, bool varying,
                         const void *a, const void *b);
void memo_push(struct memo_key *key, uint64_t word);
struct memo *memo_find(struct kernel_cg *k, const struct memo_key *key);
/* In the current scope. */
struct memo *memo_add(struct kernel_cg *k, const struct memo_key *key,
                      LLVMValueRef value, int64_t extra);
/* The request as it was emitted before; NULL: code up to memo_close(), which is
 * given the value, goes into the scope of that depth. */
struct memo *memo_open(struct kernel_cg *k, struct memo_key *key, int depth);
struct memo *memo_close(struct kernel_cg *k, struct memo_key *key,
                        LLVMValueRef value, int64_t extra);

/* ---- emit/value.c ---- */
LLVMValueRef emit_value(struct kernel_cg *k, const struct ir_value *v,
                        const struct affine *const *idx);
/* Converts `v` to lanes elements when it is a scalar. */
LLVMValueRef emit_splat(struct kernel_cg *k, LLVMValueRef v, unsigned lanes);
bool emit_is_vector(LLVMValueRef v);
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
/* The nest of what the kernel computes by `fn`, whose values `node` has, and its
 * iterators; NULL: it has others. */
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
/* Prefetches the cache lines k->ahead bytes behind one that is read, and a part of
 * that. */
void emit_prefetch_ahead(struct kernel_cg *k, LLVMValueRef at);
void emit_store(struct kernel_cg *k, const struct ir_type *type,
                const struct ir_place *p, const struct affine *addr,
                LLVMValueRef v);
/* Sum of index times stride, in elements. */
const struct affine *emit_address(struct kernel_cg *k, const struct ir_place *p,
                                  int rank, const struct affine *const *idx);

/* ---- emit/dot.c ---- */
/* acc plus the products of a run. */
LLVMValueRef emit_dot(struct kernel_cg *k, const struct nest *n,
                      LLVMValueRef acc, unsigned lanes,
                      const struct affine *const *iter, int64_t count);

/* Bytes 0 and 2 of a register, or 1 and 3, widened to 16 bits. */
LLVMValueRef emit_two_bytes(struct kernel_cg *k, LLVMValueRef v, bool odd);
/* A word of four bytes as the two factors, of one side of products, that
 * emit_add_halves() takes: those of rows are turned around where the other side is
 * not. */
void emit_halves(struct kernel_cg *k, LLVMValueRef word, bool row,
                 LLVMValueRef *halves);
/* acc plus two products; `half` is emit_half(), or the same in a register. */
LLVMValueRef emit_add_halves(struct kernel_cg *k, LLVMValueRef acc,
                             LLVMValueRef row, LLVMValueRef w,
                             LLVMValueRef half);
LLVMValueRef emit_half(const struct kernel_cg *k);

/* ---- emit/wide.c ---- */
/* Adds a sum of products of each point to acc, by the schedule's wide=1; false:
 * there is no loop over columns here. */
bool emit_wide_sums(struct kernel_cg *k, struct runs_wide *w,
                    LLVMValueRef *acc);

/* ---- emit/plane.c ---- */
/* The same for windows of one channel, by the schedule's plane=1. */
void emit_plane_sums(struct kernel_cg *k, const struct nest *n,
                     const struct affine **iter, unsigned npt,
                     LLVMValueRef *acc);

/* ---- emit/matrix.c ---- */
/* The sums of a row of the tile that matrix registers have made. */
void emit_matrix_read(struct kernel_cg *k, const struct tile_vector *pt,
                      unsigned npt, LLVMValueRef *out);
/* At the end of the function. */
void emit_matrix_end(struct kernel_cg *k);
/* Calls the system to allow the registers: not 0 where it refuses. NULL: no kernel has
 * them. */
LLVMValueRef emit_matrix_permission(struct emit *e,
                                    const struct ir_block *body);

/* acc plus the products of four lanes, which lie in words. */
LLVMValueRef emit_words(struct kernel_cg *k, const struct nest *n,
                        LLVMValueRef acc, const struct affine *const *iter);

/* ---- emit/order.c: NEST_NTH ---- */
/* The places of one row: those of `v`, whose first one has the index idx. */
void emit_order(struct kernel_cg *k, const struct ir_value *v,
                const struct ir_place *out, const struct affine *const *idx);

/* ---- emit/scaled.c ---- */
struct emit_scaled { /* of a point: sums that wait for zero point and scale */
  LLVMValueRef sum, factors, zero, scale;
};
/* a * b + c, rounded once on every target */
LLVMValueRef emit_fma(struct kernel_cg *k, enum ir_dtype type, LLVMValueRef a,
                      LLVMValueRef b, LLVMValueRef c);
/* acc + a * b */
LLVMValueRef emit_add_product(struct kernel_cg *k, enum ir_dtype type,
                              LLVMValueRef acc, LLVMValueRef a, LLVMValueRef b);
/* The points are of one row, whose products the schedule's scaled=1 sums up by
 * scale. */
bool emit_scaled_fits(struct kernel_cg *k, const struct nest *n,
                      const struct tile_vector *pt, unsigned npt);
LLVMValueRef emit_scaled_step(struct kernel_cg *k, const struct nest *n,
                              struct emit_scaled *s, LLVMValueRef acc,
                              unsigned lanes, const struct affine *const *iter);
LLVMValueRef emit_scaled_end(struct kernel_cg *k, const struct nest *n,
                             const struct emit_scaled *s, LLVMValueRef acc);

/* ---- emit/fold.c: CONTRACT and REDUCE ---- */
/* The op's value at each of n points, all at once. */
void emit_fold(struct kernel_cg *k, const struct nest *n,
               const struct tile_vector *pt, unsigned npt, LLVMValueRef *out);

/* ---- emit/share.c: kernels that are the same up to places ---- */
/* The place of a value that a kernel or control flow reads. */
struct ir_place emit_place(const struct ir_value *v);
/* What a kernel (or, without `op`, a copy of `root`) touches, into `p`, which
 * has an arena alone. */
void emit_find_places(struct emit *e, const struct ir_op *op,
                      const struct ir_value *root, const struct ir_value *out,
                      const struct ir_place *place, struct emit_places *p);
/* The buffer in which a place that was found lies. */
struct emit_buffer *emit_buffer_of(const struct emit_places *places,
                                   const struct ir_place *p);
/* The caller passes its address. Large constants too, so that kernels that
 * differ in their weights alone are one function. */
bool emit_is_passed(const struct emit *e, const struct emit_buffer *b);
/* The function of a kernel of the same words, or NULL. */
struct emit_function *emit_share_find(const struct emit *e,
                                      const struct emit_places *p);
void emit_share_add(struct emit *e, const struct emit_places *p,
                    struct emit_function *f);

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

/* ---- emit/module.c ---- */
/* Emits an op outside kernels: the call of a kernel, or control flow. */
void emit_outside(struct emit *e, const struct ir_op *op);
/* PREFIX_run ends with status `code`, i32, where `bad` holds. */
void emit_leave(struct emit *e, LLVMValueRef bad, LLVMValueRef code);
/* One bool (i1) or i64, outside of kernels. */
LLVMValueRef emit_one(struct emit *e, const struct ir_value *v);
LLVMValueRef emit_const_global(struct emit *e, const struct ir_value *c);
int emit_const_align(const struct emit *e);
/* A constant of the module, in its section. */
void emit_set_constant(struct emit *e, LLVMValueRef g, LLVMValueRef init,
                       const char *section);
/* A function of the parameters of PREFIX_run and of `range` numbers behind them,
 * which is built at e->b from here on. */
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
/* PREFIX_run's parameter that is i-th from the end: the arena is the first
 * (a second part of it is not counted),
 * then the state, if any, then weights, if apart. */
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
