/* eval_test.c - unit tests of the reference interpreter.
 *   eval_test [SEED]   run all; prints a count and "ok"
 *   eval_test --bench  multiply-accumulates a second, for people */
#include "eval_test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int failures, checks;

void test_fail(const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vfprintf(stdout, fmt, ap);
  va_end(ap);
  putchar('\n');
  failures++;
}

void bench_open(struct bench *t, uint64_t seed) {
  t->seed = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
  t->ctx = dn_ctx_new(stderr);
  t->m = ir_module_new(t->ctx, "test");
  struct ir_func *f = ir_func_new(t->m, "main");
  t->b = (struct ir_builder){.m = t->m, .block = f->body};
}

void bench_close(struct bench *t) {
  ir_module_free(t->m);
  dn_ctx_free(t->ctx);
}

int64_t pick(struct bench *t, int64_t lo, int64_t hi) {
  t->seed ^= t->seed << 13;
  t->seed ^= t->seed >> 7;
  t->seed ^= t->seed << 17;
  if (hi <= lo)
    return lo;
  return lo + (int64_t)((t->seed >> 11) % (uint64_t)(hi - lo + 1));
}

struct ir_value *data_const(struct bench *t, const struct ir_type *type,
                            const void *bytes) {
  int64_t size = ir_type_bytes(type);
  struct ir_data data = {.bytes = dn_copy(t->m->arena, bytes, (size_t)size),
                         .size = size};
  return ir_const_new(t->m, NULL, type, &data);
}

struct ir_value *random_const(struct bench *t, enum ir_dtype dtype, int rank,
                              const int64_t *dims) {
  const struct ir_type *type = ir_type(t->ctx, dtype, rank, dims);
  size_t size = ir_dtypes[dtype].bytes;
  char *p = dn_alloc(t->m->arena, (size_t)ir_type_bytes(type));
  for (int64_t i = 0; i < ir_type_count(type); i++) {
    if (ir_is_float(dtype))
      ir_store_float(dtype, p + (size_t)i * size,
                     (double)pick(t, -40, 40) / 16);
    else
      ir_store_int(dtype, p + (size_t)i * size, pick(t, -4, 9));
  }
  struct ir_data data = {.bytes = p, .size = ir_type_bytes(type)};
  return ir_const_new(t->m, NULL, type, &data);
}

bool same_data(const struct ir_type *type, const void *a, const void *b,
               const char *what) {
  size_t size = ir_dtypes[type->dtype].bytes;
  checks++;
  for (int64_t i = 0; i < ir_type_count(type); i++) {
    const char *p = (const char *)a + (size_t)i * size;
    const char *q = (const char *)b + (size_t)i * size;
    if (!memcmp(p, q, size))
      continue;
    double x = ir_load_float(type->dtype, p), y = ir_load_float(type->dtype, q);
    if (ir_is_float(type->dtype) && ((isnan(x) && isnan(y)) || x == y))
      continue;
    printf("%s: element %lld is %.17g, not %.17g\n", what, (long long)i, x, y);
    return false;
  }
  return true;
}

static double seconds(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static void time_op(struct ir_value *y, const char *what) {
  struct dn_ctx *ctx = y->def->block->func->module->ctx;
  struct dn_arena *arena = dn_arena_new(ctx);
  double points = (double)nest_points(nest_build(arena, y->def));
  double start = seconds();
  int runs = 0;
  do {
    ir_eval_op(arena, y->def);
    runs++;
  } while (seconds() - start < 0.5);
  double per = (seconds() - start) / runs;
  printf("%-28s %10.1f us %8.1f M points/s\n", what, per * 1e6,
         points / per * 1e-6);
  dn_arena_free(arena);
}

void test_speed(void) {
  struct bench t;
  bench_open(&t, 1);
#define DIMS(...) (int64_t[]){__VA_ARGS__}
  int64_t ones[] = {1, 1, 1, 1}, window[] = {1, 3, 3, 1};
  static const enum ir_dtype types[] = {IR_F32, IR_F64, IR_I32, IR_I64, IR_F16};
  for (int k = 0; k < 5; k++) {
    struct ir_value *a = random_const(&t, types[k], 2, DIMS(256, 512));
    struct ir_value *b = random_const(&t, types[k], 2, DIMS(512, 256));
    char *what = dn_printf(t.m->arena, "matmul %s", ir_dtypes[types[k]].text);
    time_op(ir_emit(&t.b, IR_MATMUL, IR_ARGS(a, b), NULL, 0), what);
  }
  struct ir_value *x = random_const(&t, IR_F32, 4, DIMS(1, 56, 56, 64));
  struct ir_value *w = random_const(&t, IR_F32, 4, DIMS(64, 3, 3, 64));
  time_op(
      ir_emit(&t.b, IR_CONV, IR_ARGS(x, w), IR_ATTRS(ir_ints("pads", ones, 4))),
      "conv 3x3, 64 channels");
  w = random_const(&t, IR_F32, 4, DIMS(64, 1, 1, 64));
  time_op(ir_emit(&t.b, IR_CONV, IR_ARGS(x, w), NULL, 0), "conv 1x1");
  w = random_const(&t, IR_F32, 4, DIMS(64, 3, 3, 1));
  time_op(ir_emit(&t.b, IR_CONV, IR_ARGS(x, w),
                  IR_ATTRS(ir_ints("pads", ones, 4), ir_int("groups", 64))),
          "conv depthwise 3x3");
  w = random_const(&t, IR_F32, 4, DIMS(64, 7, 7, 3));
  struct ir_value *rgb = random_const(&t, IR_F32, 4, DIMS(1, 112, 112, 3));
  time_op(ir_emit(&t.b, IR_CONV, IR_ARGS(rgb, w), NULL, 0),
          "conv 7x7, 3 to 64");
  struct ir_value *a = random_const(&t, IR_F32, 2, DIMS(1, 4096));
  struct ir_value *b = random_const(&t, IR_F32, 2, DIMS(4096, 1000));
  time_op(ir_emit(&t.b, IR_MATMUL, IR_ARGS(a, b), NULL, 0), "vector x matrix");
  time_op(ir_emit(&t.b, IR_WINDOW_MAX, IR_ARGS(x),
                  IR_ATTRS(ir_ints("kernel", window, 4))),
          "window_max 3x3");
  int64_t axes[] = {1, 2};
  time_op(ir_emit(&t.b, IR_REDUCE_SUM, IR_ARGS(x),
                  IR_ATTRS(ir_ints("axes", axes, 2))),
          "reduce_sum");
  time_op(ir_emit(&t.b, IR_ADD, IR_ARGS(x, x), NULL, 0), "add");
  time_op(ir_emit(&t.b, IR_SIGMOID, IR_ARGS(x), NULL, 0), "sigmoid");
  time_op(ir_emit(&t.b, IR_TRANSPOSE, IR_ARGS(x),
                  IR_ATTRS(ir_ints("perm", DIMS(0, 3, 1, 2), 4))),
          "transpose");
  struct ir_value *one = random_const(&t, IR_I64, 0, NULL);
  time_op(ir_emit(&t.b, IR_ADD, IR_ARGS(one, one), NULL, 0), "add of scalars");
  bench_close(&t);
}

int main(int argc, char **argv) {
  if (argc > 1 && !strcmp(argv[1], "--bench")) {
    test_speed();
    return 0;
  }
  uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
  test_scalars();
  test_regions();
  test_loops(seed);
  test_rows(seed);
  printf("%d results compared, %d failures\n", checks, failures);
  if (!failures)
    puts("ok");
  return failures != 0;
}
