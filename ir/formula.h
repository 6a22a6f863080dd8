/* formula.h - the body of an indexed row of ops.def, taken apart: pure syntax,
 * before operands' shapes and attribute values are known. nest.c gives it
 * numbers. The grammar is in docs/ir.md#bodies. */
#ifndef IR_FORMULA_H
#define IR_FORMULA_H

#include "ir/nest.h"

enum { FORMULA_TERMS = 3, FORMULA_INDICES = 16, FORMULA_ACCESSES = 3 };

/* `h..*strides`, `pads`: an iterator times an attribute, or an attribute. */
struct formula_term {
  bool minus;
  char letter; /* 0: an attribute alone */
  bool group;
  char attr[16]; /* multiplier, or the attribute itself; "" none */
  char decl[16]; /* `g:groups`, `k:kernel..`, `a:axis..`, `k:j`; "" none */
};

struct formula_index {
  struct formula_term term[FORMULA_TERMS];
  int nterms;
  bool composite; /* g#o: term[0] counts blocks of term[1] */
  bool broadcast; /* ~b.. */
  bool piece;     /* +j of a concat */
  char perm[16];  /* i..%perm */
  char drop[16];  /* i..!axes */
  char div[16];   /* (...)/steps, exact */
  enum nest_fit fit;
  int indirect; /* access that gives the index, or -1 */
};

struct formula_access {
  char operand[16];
  bool flat, variadic;
  struct formula_index index[FORMULA_INDICES];
  int n;
};

struct formula {
  struct formula_access y;
  enum nest_fold fold;
  struct formula_access access[FORMULA_ACCESSES];
  int naccesses;
  int first;        /* accesses before it say where the result goes */
  int nfactors;     /* from there on, what the body multiplies; the others are
                       read by indirect indices only */
  char outside[16]; /* `else value`; "" none */
  char iter_of[16]; /* `= @axis`; "" none */
  char largest[16]; /* `nth:largest=`; "" none */
};

/* NULL, or a message with the place of the mistake. */
const char *formula_parse(struct dn_arena *arena, const char *text,
                          struct formula *out);
/* The formula of an einsum's equation "ab,bc->ac" over operands a and b. */
const char *formula_from_equation(struct dn_arena *arena, const char *equation,
                                  struct formula *out);

#endif
