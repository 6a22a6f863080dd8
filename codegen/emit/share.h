/* share.h - the memory that a kernel touches, and its function for all kernels
 * that are the same up to places. */
#ifndef CG_EMIT_SHARE_H
#define CG_EMIT_SHARE_H

#include "codegen/emit/module.h"

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

#endif
