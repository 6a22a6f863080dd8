/* scope.h - loops being built, where hoisted code goes, and the memo of what
 * has been emitted. */
#ifndef CG_EMIT_SCOPE_H
#define CG_EMIT_SCOPE_H

#include "codegen/emit/module.h"
#include "ir/affine.h"

struct kernel_cg;

enum { EMIT_ANY_DEPTH = 1 << 30 };

struct emit_threads {
  int64_t units;           /* of the loop that threads share; 0: one thread */
  LLVMValueRef begin, end; /* those of this call */
};

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

/* ---- emit/scope.c: loops, hoisting, the memo ---- */
void scope_open(struct kernel_cg *k, int64_t count, unsigned nphi,
                const LLVMValueRef *init, LLVMValueRef *phi);
/* The same value, of which LLVM does not see what it is. */
LLVMValueRef scope_hide(struct kernel_cg *k, LLVMValueRef v);
/* From here on addresses in the loop advance by `step` elements an iteration,
 * in the way that the target's facts give; scope_next() is an element
 * further. */
void scope_walk(struct kernel_cg *k, int64_t step);
void scope_next(struct kernel_cg *k);
/* A pointer that is p before the loop. */
LLVMValueRef scope_pointer(struct kernel_cg *k, LLVMValueRef p, int64_t step);
/* `count` iterations, known at run time only; `most` at most. */
void scope_open_to(struct kernel_cg *k, LLVMValueRef count, int64_t most,
                   unsigned nphi, const LLVMValueRef *init, LLVMValueRef *phi);
/* One of the two: as many as a dimension has. */
void scope_open_dim(struct kernel_cg *k, int64_t dim,
                    const struct ir_size *size, unsigned nphi,
                    const LLVMValueRef *init, LLVMValueRef *phi);
/* Of units [first, first + most) those of this call (k->threads), and of
 * these the first `count`; NULL: all. */
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
/* A counter below `count` times `step`, and a loop where that is more than
 * one. */
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

#endif
