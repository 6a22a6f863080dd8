/* affine.h - indices as affine forms: c + lane*L + sum coef*var, L the number
 * of a vector's lane. Variables have ranges; they are loop counters, indices
 * read from tensors, or what an affine form cannot say: a quotient, a clamp or
 * a reflection of another form. Forms are interned, so that equal forms are
 * equal pointers, and immutable. */
#ifndef IR_AFFINE_H
#define IR_AFFINE_H

#include "ir/base.h"

struct affine_term {
  unsigned var;
  int64_t coef;
};
struct affine {
  struct affine *next; /* in its bucket */
  uint64_t hash;
  int64_t c, lane;
  int depth;    /* of the innermost scope that it needs */
  bool varying; /* differs between lanes */
  int n;
  struct affine_term term[]; /* by rising var, no zero coefficients */
};

enum affine_def { AFFINE_FREE, AFFINE_DIV, AFFINE_CLAMP, AFFINE_REFLECT };
struct affine_var {
  enum affine_def def;
  const struct affine *of; /* AFFINE_DIV: floor(of / number); AFFINE_CLAMP: of
                              within [0, number); AFFINE_REFLECT: of, in
                              [0, 2*number-2), reflected into [0, number) */
  int64_t number;
  int64_t lo, hi;
  int depth;
  bool vector;   /* one value a lane */
  uint64_t dims; /* dimensions that it depends on: the caller's bits */
};

struct affine_derived;
struct affines {
  struct dn_arena *arena;
  struct affine **form; /* nbuckets of them */
  size_t nbuckets, nforms;
  struct affine_derived **derived; /* variables that are not free, as well */
  DN_LIST(struct affine_var) vars;
  unsigned lanes;  /* of the vectors that forms index from now on */
  bool scalable;   /* the vector is shorter at the end of a loop: */
  unsigned start;  /* the variable of its first index, */
  int64_t longest; /* and the most lanes that it can have */
  bool overflow;   /* in a coefficient: the module's sizes are impossible */
};

void affine_init(struct affines *s, struct dn_arena *arena);
unsigned affine_new_var(struct affines *s, int64_t lo, int64_t hi, int depth,
                        bool vector, uint64_t dims);

const struct affine *affine_const(struct affines *s, int64_t c);
const struct affine *affine_var(struct affines *s, unsigned var, int64_t coef);
const struct affine *affine_lanes(struct affines *s, int64_t coef);
/* a + scale*b */
const struct affine *affine_add(struct affines *s, const struct affine *a,
                                const struct affine *b, int64_t scale);
const struct affine *affine_plus(struct affines *s, const struct affine *a,
                                 int64_t c);
/* The form's terms whose variables have a depth in that range, and are equal in
 * all lanes; no constant. */
const struct affine *affine_part(struct affines *s, const struct affine *a,
                                 int min_depth, int max_depth);
void affine_range(struct affines *s, const struct affine *a, int64_t *lo,
                  int64_t *hi);
bool affine_is_const(const struct affine *a);
/* a = div*q + rest: q has the terms that div divides, rest the others and a
 * constant in [0, div). */
const struct affine *affine_split(struct affines *s, const struct affine *a,
                                  int64_t div, const struct affine **rest);
int64_t affine_coef(const struct affine *a, unsigned var);
/* All that it depends on. */
uint64_t affine_dims(const struct affines *s, const struct affine *a);

/* floor(a / div); a within [0, dim), clamped, reflected or wrapped: affine
 * where ranges prove it, else with new variables. */
const struct affine *affine_div(struct affines *s, const struct affine *a,
                                int64_t div);
const struct affine *affine_clamp(struct affines *s, const struct affine *a,
                                  int64_t dim);
const struct affine *affine_reflect(struct affines *s, const struct affine *a,
                                    int64_t dim);
const struct affine *affine_wrap(struct affines *s, const struct affine *a,
                                 int64_t dim);

#endif
