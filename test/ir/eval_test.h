/* eval_test.h - shared by the parts of eval_test. */
#ifndef EVAL_TEST_H
#define EVAL_TEST_H

#include "ir/eval.h"
#include "ir/nest.h"

void test_fail(const char *fmt, ...) DN_PRINTF(1, 2);

/* A module with a function to emit ops into, and random numbers. */
struct bench {
  struct dn_ctx *ctx;
  struct ir_module *m;
  struct ir_builder b;
  uint64_t seed;
};
void bench_open(struct bench *t, uint64_t seed);
void bench_close(struct bench *t);
/* A number in [lo, hi]. */
int64_t pick(struct bench *t, int64_t lo, int64_t hi);
/* A constant of random elements: small integers, or floats with fractions. */
struct ir_value *random_const(struct bench *t, enum ir_dtype dtype, int rank,
                              const int64_t *dims);
/* The same from bytes, result of ir_eval_op(). */
struct ir_value *data_const(struct bench *t, const struct ir_type *type,
                            const void *bytes);
/* Compares elements: exactly, or floats to a few units in the last place. */
bool same_data(const struct ir_type *type, const void *a, const void *b,
               const char *what);

void test_rows(uint64_t seed);  /* eval_rows.c: every row of ops.def */
void test_loops(uint64_t seed); /* eval_loops.c: against hand-written loops */
void test_scalars(void);        /* eval_values.c: chosen values */
void test_regions(void);        /* eval_regions.c: if, loop, scan, kernels */
void test_speed(void);          /* multiply-accumulates a second */

#endif
