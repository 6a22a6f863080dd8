/* eval_regions.c - functions and regions: kernel, if, loop, scan; what `watch`
 * sees; errors. */
#include "eval_test.h"

#include <string.h>

struct program {
  struct bench t;
  struct ir_func *f;
  int watched;
};

static const struct ir_type *type(struct program *p, enum ir_dtype dtype,
                                  int rank, int64_t n) {
  return ir_type(p->t.ctx, dtype, rank, &n);
}

static void open_program(struct program *p) {
  bench_open(&p->t, 1);
  p->f = ir_main(p->t.m);
  p->watched = 0;
}

static struct ir_value *scalar_const(struct program *p, enum ir_dtype dtype,
                                     int64_t v) {
  return ir_const_ints(p->t.m, NULL, dtype, 0, NULL, &v);
}

static void finish_block(struct program *p, enum ir_opcode code,
                         struct ir_value **values, size_t n) {
  ir_op_new(&p->t.b, code, values, n, NULL, 0, NULL, 0, 0);
}

static void count_watch(void *user, const struct ir_value *v, void *data) {
  (void)v;
  *(int *)user += data != NULL;
}

/* Runs on f32 inputs; compares the first output with `want`, or fails where that
 * is NULL. */
static void expect(struct program *p, struct ir_value *result,
                   const float *input, const void *want, int64_t bytes,
                   const char *what) {
  p->t.b.block = p->f->body;
  finish_block(p, IR_RETURN, &result, 1);
  p->f->nresults = 1;
  struct ir_tensor in = {.data = dn_copy(p->t.m->arena, input, 64)}, out;
  struct ir_eval_opts opts = {.watch = count_watch, .user = &p->watched};
  bool was = dn_diags_capture(p->t.ctx, !want);
  bool ok = ir_eval(p->t.m->arena, p->f, &in, &out, &opts);
  dn_diags_capture(p->t.ctx, was);
  if (ok != (want != NULL))
    test_fail("%s: %s", what, ok ? "no failure" : "failed");
  else if (ok && (ir_type_bytes(out.type) != bytes ||
                  memcmp(out.data, want, (size_t)bytes)))
    test_fail("%s: wrong", what);
}

static const float numbers[16] = {1, 2, 3, 4, 5, 6, 7, 8};

static void test_kernel(void) {
  struct program p;
  open_program(&p);
  struct ir_builder *b = &p.t.b;
  const struct ir_type *f4 = type(&p, IR_F32, 1, 4);
  struct ir_value *x = ir_param_new(p.f->body, "x", f4);
  struct ir_op *k = ir_op_new(b, IR_KERNEL, NULL, 0, NULL, 0, &f4, 1, 1);
  b->block = k->region[0];
  struct ir_value *y = ir_emit(b, IR_ADD, IR_ARGS(x, x), NULL, 0);
  y = ir_emit(b, IR_MUL, IR_ARGS(y, x), NULL, 0);
  finish_block(&p, IR_YIELD, &y, 1);
  expect(&p, ir_result(k), numbers, (float[]){2, 8, 18, 32}, 16, "kernel");
  if (p.watched != 3)
    test_fail("watch saw %d values, not 3", p.watched);
  bench_close(&p.t);
}

static void test_if(int64_t condition) {
  struct program p;
  open_program(&p);
  struct ir_builder *b = &p.t.b;
  const struct ir_type *f4 = type(&p, IR_F32, 1, 4);
  struct ir_value *x = ir_param_new(p.f->body, "x", f4);
  struct ir_value *c = scalar_const(&p, IR_BOOL, condition);
  struct ir_op *op = ir_op_new(b, IR_IF, &c, 1, NULL, 0, &f4, 1, 2);
  b->block = op->region[0];
  struct ir_value *y = ir_emit(b, IR_ADD, IR_ARGS(x, x), NULL, 0);
  finish_block(&p, IR_YIELD, &y, 1);
  b->block = op->region[1];
  finish_block(&p, IR_YIELD, &x, 1);
  const float twice[] = {2, 4, 6, 8};
  expect(&p, ir_result(op), numbers, condition ? twice : numbers, 16, "if");
  bench_close(&p.t);
}

/* sum += x[i] while i < trips and sum < 10; scans the sums. */
static struct ir_op *make_loop(struct program *p, int64_t trips, int64_t held) {
  struct ir_builder *b = &p->t.b;
  struct dn_ctx *ctx = p->t.ctx;
  const struct ir_type *f = ir_type(ctx, IR_F32, 0, NULL);
  struct ir_value *x = ir_param_new(p->f->body, "x", type(p, IR_F32, 1, 8));
  struct ir_value *zero = ir_const_splat(p->t.m, NULL, f, 0);
  struct ir_value *args[] = {scalar_const(p, IR_I64, trips),
                             scalar_const(p, IR_BOOL, 1), zero};
  const struct ir_type *types[] = {f, type(p, IR_F32, 1, held)};
  struct ir_op *op = ir_op_new(b, IR_LOOP, args, 3, NULL, 0, types, 2, 1);
  b->block = op->region[0];
  struct ir_value *i =
      ir_param_new(b->block, "i", ir_type(ctx, IR_I64, 0, NULL));
  ir_param_new(b->block, "c", ir_type(ctx, IR_BOOL, 0, NULL));
  struct ir_value *sum = ir_param_new(b->block, "sum", f);
  struct ir_value *e =
      ir_emit(b, IR_GATHER, IR_ARGS(x, i), IR_ATTRS(ir_int("axis", 0)));
  struct ir_value *next = ir_emit(b, IR_ADD, IR_ARGS(sum, e), NULL, 0);
  struct ir_value *ten = ir_const_splat(p->t.m, NULL, f, 10);
  struct ir_value *more = ir_emit(b, IR_LT, IR_ARGS(next, ten), NULL, 0);
  finish_block(p, IR_YIELD, (struct ir_value *[]){more, next, next}, 3);
  return op;
}

static void test_loop(void) {
  struct program p;
  open_program(&p);
  struct ir_op *op = make_loop(&p, 3, 3);
  expect(&p, op->result[1], numbers, (float[]){1, 3, 6}, 12, "loop by count");
  bench_close(&p.t);
  open_program(&p);
  op = make_loop(&p, 100, 4);
  expect(&p, op->result[0], numbers, (float[]){10}, 4, "loop by condition");
  bench_close(&p.t);
  open_program(&p);
  op = make_loop(&p, 100, 3);
  expect(&p, op->result[1], numbers, NULL, 0, "full stack");
  bench_close(&p.t);
  open_program(&p);
  op = make_loop(&p, 2, 4); /* what is left of a stack is zeros */
  expect(&p, op->result[1], numbers, (float[]){1, 3, 0, 0}, 16, "short stack");
  bench_close(&p.t);
}

/* Running sum along axis 0 of [4,2]. */
static void test_scan(void) {
  struct program p;
  open_program(&p);
  struct ir_builder *b = &p.t.b;
  struct dn_ctx *ctx = p.t.ctx;
  const struct ir_type *f2 = type(&p, IR_F32, 1, 2);
  const struct ir_type *f42 = ir_type(ctx, IR_F32, 2, (int64_t[]){4, 2});
  struct ir_value *x = ir_param_new(p.f->body, "x", f42);
  struct ir_value *args[] = {ir_const_splat(p.t.m, NULL, f2, 0), x};
  const struct ir_type *types[] = {f2, f42};
  struct ir_op *op = ir_op_new(b, IR_SCAN, args, 2,
                               IR_ATTRS(ir_int("states", 1)), types, 2, 1);
  b->block = op->region[0];
  struct ir_value *s = ir_param_new(b->block, "s", f2);
  struct ir_value *e = ir_param_new(b->block, "e", f2);
  struct ir_value *next = ir_emit(b, IR_ADD, IR_ARGS(s, e), NULL, 0);
  finish_block(&p, IR_YIELD, (struct ir_value *[]){next, next}, 2);
  expect(&p, op->result[1], numbers, (float[]){1, 2, 4, 6, 9, 12, 16, 20}, 32,
         "scan");
  bench_close(&p.t);
}

void test_regions(void) {
  test_kernel();
  test_if(1);
  test_if(0);
  test_loop();
  test_scan();
}
