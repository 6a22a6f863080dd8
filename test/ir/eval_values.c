/* eval_values.c - scalar functions on chosen values: the corners that random
 * numbers miss. */
#include "eval_test.h"

#include <math.h>
#include <string.h>

static void check(enum ir_opcode code, struct bench *t, struct ir_value **args,
                  size_t n, const struct ir_attr *attrs, size_t nattrs,
                  struct ir_value *want, const char *what) {
  struct ir_value *y = ir_emit(&t->b, code, args, n, attrs, nattrs);
  if (!y) {
    test_fail("%s: not well-formed", what);
    return;
  }
  struct dn_arena *arena = dn_arena_new(t->ctx);
  const void *got = ir_eval_op(arena, y->def);
  if (!got || y->type != want->type ||
      !same_data(y->type, got, ir_const_bytes(arena, want), what))
    test_fail("%s: wrong", what);
  dn_arena_free(arena);
}

/* Integer binary op on lists. */
static void ints(enum ir_opcode code, enum ir_dtype dtype, int64_t n,
                 const int64_t *a, const int64_t *b, enum ir_dtype result,
                 const int64_t *want, const char *what) {
  struct bench t;
  bench_open(&t, 1);
  struct ir_value *args[] = {ir_const_ints(t.m, NULL, dtype, 1, &n, a),
                             ir_const_ints(t.m, NULL, dtype, 1, &n, b)};
  check(code, &t, args, 2, NULL, 0,
        ir_const_ints(t.m, NULL, result, 1, &n, want), what);
  bench_close(&t);
}
#define INTS(code, dtype, n, a, b, result, want, what)                         \
  ints(code, dtype, n, (int64_t[])a, (int64_t[])b, result, (int64_t[])want,    \
       what)
#define L(...)                                                                 \
  { __VA_ARGS__ }

static void test_ints(void) {
  INTS(IR_DIV, IR_I32, 5, L(7, -7, 7, INT32_MIN, 1), L(2, 2, -2, -1, 0), IR_I32,
       L(3, -3, -3, INT32_MIN, 0), "div i32");
  INTS(IR_DIV, IR_I64, 2, L(INT64_MIN, 5), L(-1, 0), IR_I64, L(INT64_MIN, 0),
       "div i64");
  INTS(IR_DIV, IR_I8, 1, L(-128), L(-1), IR_I8, L(-128), "div i8");
  INTS(IR_DIV, IR_U64, 2, L(-1, -1), L(2, -1), IR_U64, L(INT64_MAX, 1),
       "div u64");
  INTS(IR_MOD, IR_I32, 5, L(7, -7, 7, -7, 7), L(3, 3, -3, -3, 0), IR_I32,
       L(1, 2, -2, -1, 0), "mod i32");
  INTS(IR_FMOD, IR_I32, 5, L(7, -7, 7, -7, 7), L(3, 3, -3, -3, 0), IR_I32,
       L(1, -1, 1, -1, 0), "fmod i32");
  INTS(IR_MOD, IR_I64, 1, L(INT64_MIN), L(-1), IR_I64, L(0), "mod i64");
  INTS(IR_MOD, IR_U64, 1, L(-1), L(10), IR_U64, L(5), "mod u64");
  INTS(IR_POW, IR_I32, 5, L(3, -2, 5, 1, 0), L(4, 3, -1, -7, 0), IR_I32,
       L(81, -8, 0, 1, 1), "pow i32");
  INTS(IR_POW, IR_U8, 1, L(3), L(200), IR_U8, L(0xa1), "pow u8");
  INTS(IR_LT, IR_U64, 3, L(1, -1, -2), L(-1, 1, -1), IR_BOOL, L(1, 0, 1),
       "lt u64");
  INTS(IR_LT, IR_I64, 2, L(1, -1), L(-1, 1), IR_BOOL, L(0, 1), "lt i64");
  INTS(IR_MAX, IR_U64, 2, L(1, -1), L(-1, 1), IR_U64, L(-1, -1), "max u64");
  INTS(IR_MAX, IR_U32, 1, L(1), L(0xffffffff), IR_U32, L(0xffffffff),
       "max u32");
  INTS(IR_ADD, IR_U8, 1, L(200), L(100), IR_U8, L(44), "add u8");
  INTS(IR_ADD, IR_I16, 1, L(32767), L(1), IR_I16, L(-32768), "add i16");
  INTS(IR_MUL, IR_I64, 1, L(INT64_MAX), L(2), IR_I64, L(-2), "mul i64");
  INTS(IR_SHL, IR_I8, 4, L(1, 1, 3, 1), L(7, 8, 6, -1), IR_I8,
       L(-128, 0, -64, 0), "shl i8");
  INTS(IR_SHR, IR_I8, 4, L(-128, -128, 127, -1), L(7, 8, 9, 1), IR_I8,
       L(-1, -1, 0, -1), "shr i8");
  INTS(IR_SHR, IR_U64, 3, L(-1, -1, -1), L(63, 64, 1), IR_U64,
       L(1, 0, INT64_MAX), "shr u64");
  INTS(IR_AND, IR_BOOL, 2, L(1, 1), L(1, 0), IR_BOOL, L(1, 0), "and bool");
}

static void cast_floats(enum ir_dtype from, enum ir_dtype to, int64_t n,
                        const double *x, const int64_t *want) {
  struct bench t;
  bench_open(&t, 1);
  struct ir_value *args[] = {ir_const_floats(t.m, NULL, from, 1, &n, x)};
  check(IR_CAST, &t, args, 1, IR_ATTRS(ir_str("to", ir_dtypes[to].text)),
        ir_const_ints(t.m, NULL, to, 1, &n, want), "cast from float");
  bench_close(&t);
}

static void cast_ints(enum ir_dtype from, enum ir_dtype to, int64_t x,
                      double want) {
  struct bench t;
  bench_open(&t, 1);
  int64_t one = 1;
  struct ir_value *args[] = {ir_const_ints(t.m, NULL, from, 1, &one, &x)};
  check(IR_CAST, &t, args, 1, IR_ATTRS(ir_str("to", ir_dtypes[to].text)),
        ir_const_floats(t.m, NULL, to, 1, &one, &want), "cast to float");
  bench_close(&t);
}

static void test_casts(void) {
  const double nan = (double)NAN, inf = (double)INFINITY;
  const double x[] = {2.9, -2.9, 1e30, -1e30, nan, inf, -inf, 0.3};
  cast_floats(
      IR_F32, IR_I32, 8, x,
      (int64_t[]){2, -2, INT32_MAX, INT32_MIN, 0, INT32_MAX, INT32_MIN, 0});
  cast_floats(
      IR_F64, IR_I64, 8, x,
      (int64_t[]){2, -2, INT64_MAX, INT64_MIN, 0, INT64_MAX, INT64_MIN, 0});
  cast_floats(IR_F64, IR_U64, 8, x, (int64_t[]){2, 0, -1, 0, 0, -1, 0, 0});
  cast_floats(IR_F32, IR_U8, 8, x, (int64_t[]){2, 0, 255, 0, 0, 255, 0, 0});
  cast_floats(IR_F32, IR_I8, 8, x,
              (int64_t[]){2, -2, 127, -128, 0, 127, -128, 0});
  cast_floats(IR_F32, IR_BOOL, 8, x, (int64_t[]){1, 1, 1, 1, 1, 1, 1, 1});
  cast_ints(IR_U64, IR_F64, -1, 0x1p64);
  cast_ints(IR_I64, IR_F64, -1, -1);
  /* Rounded once: by way of f64 this would round down, to even. */
  cast_ints(IR_I64, IR_F32, (INT64_C(1) << 60) + (INT64_C(1) << 36) + 1,
            0x1.000002p60);
  cast_ints(IR_U64, IR_F32, (int64_t)0xffffff8000000001, 0x1p64);
  cast_ints(IR_U64, IR_F32, (int64_t)0xffffff7fffffffff, 0x1.fffffep63);
  cast_ints(IR_I32, IR_F16, 2049, 2048);
  cast_ints(IR_I32, IR_F16, 70000, (double)INFINITY);
}

/* Sums are exact in f64 and rounded once; NaN payloads survive moves. */
static void test_rounding(void) {
  struct bench t;
  bench_open(&t, 1);
  int64_t three = 3, axis = 0, one = 1;
  const double big[] = {1e8, 1, -1e8}, sum[] = {1};
  struct ir_value *x = ir_const_floats(t.m, NULL, IR_F32, 1, &three, big);
  check(IR_REDUCE_SUM, &t, &x, 1, IR_ATTRS(ir_ints("axes", &axis, 1)),
        ir_const_floats(t.m, NULL, IR_F32, 1, &one, sum), "sum in f64");
  const uint32_t nan = 0x7fa12345;
  struct ir_value *bits = data_const(&t, x->type, (uint32_t[]){nan, 0, nan});
  struct ir_value *y = ir_emit(&t.b, IR_SLICE, IR_ARGS(bits),
                               IR_ATTRS(ir_ints("starts", (int64_t[]){2}, 1),
                                        ir_ints("sizes", &one, 1)));
  const void *got = ir_eval_op(t.m->arena, y->def);
  if (memcmp(got, &nan, sizeof nan))
    test_fail("a move changed a NaN");
  int64_t none[] = {0, 3};
  struct ir_value *empty = random_const(&t, IR_I16, 2, none);
  int64_t least[] = {INT16_MIN, INT16_MIN, INT16_MIN}, dims[] = {1, 3};
  check(IR_REDUCE_MAX, &t, &empty, 1, IR_ATTRS(ir_ints("axes", &axis, 1)),
        ir_const_ints(t.m, NULL, IR_I16, 2, dims, least), "max of nothing");
  bench_close(&t);
}

/* A NaN in either operand, and at every place of a reduction. */
static void nan_goes_through(enum ir_opcode two, enum ir_opcode fold,
                             enum ir_dtype type, int64_t n) {
  struct bench t;
  bench_open(&t, 1);
  const double nan = (double)NAN, inf = (double)INFINITY;
  int64_t three = 3, one = 1, axis = 0;
  const double a[] = {nan, 1, -inf}, b[] = {inf, nan, nan};
  struct ir_value *args[] = {ir_const_floats(t.m, NULL, type, 1, &three, a),
                             ir_const_floats(t.m, NULL, type, 1, &three, b)};
  const double all[] = {nan, nan, nan};
  check(two, &t, args, 2, NULL, 0,
        ir_const_floats(t.m, NULL, type, 1, &three, all), "NaN of two");
  double *x = DN_ARRAY(t.m->arena, double, n);
  for (int64_t at = 0; at < n; at++) {
    for (int64_t i = 0; i < n; i++)
      x[i] = i == at ? nan : (double)(i % 5) - 2;
    struct ir_value *v = ir_const_floats(t.m, NULL, type, 1, &n, x);
    check(fold, &t, &v, 1, IR_ATTRS(ir_ints("axes", &axis, 1)),
          ir_const_floats(t.m, NULL, type, 1, &one, all), "NaN of many");
  }
  bench_close(&t);
}

static void test_nans(void) {
  static const enum ir_dtype types[] = {IR_F32, IR_F64, IR_F16, IR_BF16};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    nan_goes_through(IR_MAX, IR_REDUCE_MAX, types[i], 19);
    nan_goes_through(IR_MIN, IR_REDUCE_MIN, types[i], 19);
  }
}

/* The first, or the last, of two NaN and of equal elements, wherever they are. */
static void test_numbers(void) {
  static const enum ir_opcode codes[] = {IR_ARGMAX, IR_ARGMIN, IR_ARGMAX_LAST,
                                         IR_ARGMIN_LAST};
  enum { N = 21 };
  struct bench t;
  bench_open(&t, 1);
  int64_t n = N, axis = 0, one = 1;
  for (int64_t a = 0; a < N; a++) {
    for (int64_t b = a; b < N; b++) {
      for (int c = 0; c < 8; c++) {
        double x[N] = {0};
        int64_t want = c % 4 < 2 ? a : b;
        x[a] = x[b] = c < 4 ? (double)NAN : c % 2 ? -1 : 1;
        struct ir_value *v = ir_const_floats(t.m, NULL, IR_F32, 1, &n, x);
        check(codes[c % 4], &t, &v, 1, IR_ATTRS(ir_ints("axes", &axis, 1)),
              ir_const_ints(t.m, NULL, IR_I32, 1, &one, &want), "a number");
      }
    }
  }
  bench_close(&t);
}

/* Splats are read as one element. */
static void test_splats(void) {
  struct bench t;
  bench_open(&t, 1);
  int64_t dims[] = {300, 40}, yd[] = {3, 40}, ad[] = {3, 300};
  struct ir_value *b =
      ir_const_splat(t.m, NULL, ir_type(t.ctx, IR_F32, 2, dims), 0.5);
  struct ir_value *a =
      ir_const_splat(t.m, NULL, ir_type(t.ctx, IR_F32, 2, ad), 2);
  struct ir_value *args[] = {a, b};
  check(IR_MATMUL, &t, args, 2, NULL, 0,
        ir_const_splat(t.m, NULL, ir_type(t.ctx, IR_F32, 2, yd), 300),
        "matmul of splats");
  check(IR_TRANSPOSE, &t, &b, 1,
        IR_ATTRS(ir_ints("perm", (int64_t[]){1, 0}, 2)),
        ir_const_splat(t.m, NULL,
                       ir_type(t.ctx, IR_F32, 2, (int64_t[]){40, 300}), 0.5),
        "transpose of a splat");
  check(IR_CONCAT, &t, (struct ir_value *[]){b, b}, 2,
        IR_ATTRS(ir_int("axis", 1)),
        ir_const_splat(t.m, NULL,
                       ir_type(t.ctx, IR_F32, 2, (int64_t[]){300, 80}), 0.5),
        "concat of splats");
  check(IR_RESHAPE, &t, &b, 1,
        IR_ATTRS(ir_ints("shape", (int64_t[]){12000}, 1)),
        ir_const_splat(t.m, NULL, ir_type(t.ctx, IR_F32, 1, (int64_t[]){12000}),
                       0.5),
        "reshape of a splat");
  bench_close(&t);
}

void test_scalars(void) {
  test_ints();
  test_casts();
  test_rounding();
  test_nans();
  test_numbers();
  test_splats();
}
