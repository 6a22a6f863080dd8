/* eval_rows.c - the row self-check: every row of ops.def with random operands,
 * shapes, attributes and element types, against eval_naive.c. */
#include "eval_test.h"

#include <stdlib.h>
#include <string.h>

struct draft { /* an op to be */
  struct ir_value *arg[6];
  size_t nargs;
  struct ir_attr attr[6];
  size_t nattrs;
  int64_t list[6][2 * IR_MAX_RANK];
};

/* Kept in `list`, whose row is that of the attribute. */
static int64_t *add_list(struct draft *d, const char *name, int64_t n) {
  int64_t *list = d->list[d->nattrs];
  d->attr[d->nattrs++] = ir_ints(name, list, n);
  return list;
}

static int shape(struct bench *t, int least, int most, int64_t *dims) {
  int rank = (int)pick(t, least, most);
  for (int i = 0; i < rank; i++)
    dims[i] = pick(t, 0, 40) ? pick(t, 1, 5) : 0;
  if (rank && pick(t, 0, 7) == 0)
    dims[pick(t, 0, rank - 1)] = pick(t, 200, 600); /* over one chunk */
  return rank;
}

/* An operand that broadcasts to the shape. */
static struct ir_value *broadcast_arg(struct bench *t, enum ir_dtype dtype,
                                      int rank, const int64_t *dims) {
  int64_t own[IR_MAX_RANK];
  int drop = pick(t, 0, 2) ? 0 : (int)pick(t, 0, rank);
  for (int i = drop; i < rank; i++)
    own[i - drop] = pick(t, 0, 3) ? dims[i] : 1;
  return random_const(t, dtype, rank - drop, own);
}

static void draft_map(struct bench *t, enum ir_opcode code, enum ir_dtype dtype,
                      struct draft *d) {
  static const char *const dtypes[] = {"f32", "f64", "f16", "bf16", "i8",
                                       "i16", "i32", "i64", "u8",   "u16",
                                       "u32", "u64", "bool"};
  int64_t dims[IR_MAX_RANK];
  int rank = shape(t, 0, 4, dims), min, max;
  ir_op_arity(code, &min, &max);
  for (int i = 0; i < min; i++)
    d->arg[d->nargs++] = broadcast_arg(
        t, code == IR_SELECT && i == 0 ? IR_BOOL : dtype, rank, dims);
  if (code == IR_EXPAND)
    memcpy(add_list(d, "shape", rank), dims, sizeof dims);
  if (code == IR_CAST)
    d->attr[d->nattrs++] = ir_str("to", dtypes[pick(t, 0, 12)]);
  if (code == IR_CLAMP && pick(t, 0, 1))
    d->attr[d->nattrs++] = ir_float("lo", (double)pick(t, -3, 1));
  if (code == IR_CLAMP && pick(t, 0, 1))
    d->attr[d->nattrs++] = ir_float("hi", (double)pick(t, 1, 3));
}

static void draft_conv(struct bench *t, enum ir_dtype dtype, struct draft *d) {
  int s = (int)pick(t, 0, 3);
  int64_t groups = pick(t, 1, 3), x[IR_MAX_RANK], w[IR_MAX_RANK];
  x[0] = pick(t, 1, 2);
  w[s + 1] = pick(t, 1, 4);
  x[s + 1] = w[s + 1] * groups;
  w[0] = groups * pick(t, 1, 7);
  for (int i = 0; i < s; i++) {
    x[1 + i] = pick(t, 3, s > 1 ? 7 : 40);
    w[1 + i] = pick(t, 1, 3);
  }
  for (int i = 0; i < 2 * s; i++)
    d->list[0][i] = pick(t, -1, 2);
  add_list(d, "pads", 2 * s);
  int64_t *strides = add_list(d, "strides", s);
  int64_t *dilations = add_list(d, "dilations", s);
  for (int i = 0; i < s; i++) {
    strides[i] = pick(t, 1, 3);
    dilations[i] = pick(t, 1, 2);
  }
  d->attr[d->nattrs++] = ir_int("groups", groups);
  d->arg[d->nargs++] = random_const(t, dtype, s + 2, x);
  d->arg[d->nargs++] = random_const(t, dtype, s + 2, w);
}

static void draft_matmul(struct bench *t, enum ir_dtype dtype,
                         struct draft *d) {
  int64_t batch[4], a[6], b[6];
  int ra = (int)pick(t, 0, 3), rb = (int)pick(t, 0, 3);
  for (int i = 0; i < 3; i++)
    batch[i] = pick(t, 1, 3);
  for (int i = 0; i < ra; i++)
    a[i] = pick(t, 0, 2) ? batch[3 - ra + i] : 1;
  for (int i = 0; i < rb; i++)
    b[i] = pick(t, 0, 2) ? batch[3 - rb + i] : 1;
  bool large = pick(t, 0, 5) == 0;
  a[ra] = pick(t, 0, large ? 150 : 9);
  a[ra + 1] = b[rb] = pick(t, 0, large ? 300 : 9);
  b[rb + 1] = pick(t, 0, large ? 10 : 9);
  d->arg[d->nargs++] = random_const(t, dtype, ra + 2, a);
  d->arg[d->nargs++] = random_const(t, dtype, rb + 2, b);
}

static void draft_einsum(struct bench *t, enum ir_dtype dtype,
                         struct draft *d) {
  static const char *const equations[] = {
      "ij,jk->ik",       "bij,bkj->bik", "i,j->ij",     "ij,ij->",
      "bhqd,bkhd->bhqk", "ij,k->ji",     "abc,cd->dab", "i,i->i"};
  const char *eq = equations[pick(t, 0, 7)];
  int64_t size[128], dims[IR_MAX_RANK];
  for (int i = 0; i < 128; i++)
    size[i] = pick(t, 1, 6);
  d->attr[d->nattrs++] = ir_str("equation", eq);
  for (int part = 0; part < 2; part++, eq++) {
    int rank = 0;
    for (; *eq != ',' && *eq != '-'; eq++)
      dims[rank++] = size[(int)*eq];
    d->arg[d->nargs++] = random_const(t, dtype, rank, dims);
  }
}

static void draft_window(struct bench *t, struct draft *d, int rank,
                         const int64_t *dims) {
  int64_t *kernel = add_list(d, "kernel", rank);
  int64_t *strides = add_list(d, "strides", rank);
  int64_t *dilations = add_list(d, "dilations", rank);
  int64_t *pads = add_list(d, "pads", 2 * rank);
  for (int i = 0; i < rank; i++) {
    kernel[i] = dims[i] > 2 && dims[i] < 100 ? pick(t, 1, 3) : 1;
    strides[i] = pick(t, 1, 2);
    dilations[i] = pick(t, 1, 2);
    pads[i] = pick(t, 0, 2);
    pads[rank + i] = pick(t, -1, 2);
  }
}

static void draft_gather(struct bench *t, enum ir_opcode code, int rank,
                         const int64_t *dims, struct draft *d) {
  static const enum ir_dtype kinds[] = {IR_I64, IR_I32, IR_U8, IR_U64};
  int64_t own[IR_MAX_RANK], axis = pick(t, 0, rank - 1);
  int r = rank;
  if (code == IR_GATHER)
    r = shape(t, 0, 2, own);
  else
    for (int i = 0; i < rank; i++)
      own[i] = i == axis ? pick(t, 1, 6) : pick(t, dims[i] > 0, dims[i]);
  d->attr[d->nattrs++] = ir_int("axis", axis);
  d->arg[d->nargs++] = random_const(t, kinds[pick(t, 0, 3)], r, own);
}

static void draft_lists(struct bench *t, enum ir_opcode code, int rank,
                        const int64_t *dims, struct draft *d) {
  int64_t *a, *b, *c;
  switch ((int)code) {
  case IR_TRANSPOSE:
    a = add_list(d, "perm", rank);
    for (int i = 0; i < rank; i++) {
      int64_t at = pick(t, 0, i);
      a[i] = a[at];
      a[at] = i;
    }
    break;
  case IR_SLICE:
    a = add_list(d, "starts", rank);
    b = add_list(d, "sizes", rank);
    c = add_list(d, "steps", rank);
    for (int i = 0; i < rank; i++) {
      b[i] = pick(t, 0, dims[i]);
      c[i] = pick(t, 0, 1) ? 1 : -1;
      if (b[i] > 1 && b[i] * 2 <= dims[i] + 1)
        c[i] *= 2;
      int64_t span = b[i] ? (b[i] - 1) * c[i] : 0;
      a[i] = span < 0 ? dn_max(dims[i] - 1, 0) : 0;
    }
    break;
  case IR_PAD:
  case IR_PAD_EDGE:
  case IR_PAD_REFLECT:
  case IR_PAD_WRAP:
    a = add_list(d, "pads", 2 * rank);
    for (int i = 0; i < 2 * rank; i++)
      a[i] = pick(t, -1, 3);
    if (code == IR_PAD) {
      b = add_list(d, "steps", rank);
      for (int i = 0; i < rank; i++)
        b[i] = pick(t, 0, 1) ? 1 : pick(t, 1, 3);
      d->attr[d->nattrs++] = ir_float("value", (double)pick(t, 0, 2));
    }
    break;
  case IR_RESHAPE:
    a = add_list(d, "shape", 2);
    a[0] = a[1] = 1;
    for (int i = 0; i < rank; i++)
      a[i % 2] *= dims[i];
    break;
  }
}

static void draft_other(struct bench *t, enum ir_opcode code,
                        enum ir_dtype dtype, struct draft *d) {
  int64_t dims[IR_MAX_RANK] = {0}, *list;
  bool needs_dim = code == IR_CUMSUM || code == IR_CUMPROD ||
                   code == IR_CONCAT || code == IR_GATHER ||
                   code == IR_GATHER_ELEMENTS || code == IR_IOTA;
  int rank = shape(t, needs_dim, 4, dims);
  if (code != IR_IOTA)
    d->arg[d->nargs++] = random_const(t, dtype, rank, dims);
  switch ((int)code) {
  case IR_REDUCE_SUM:
  case IR_REDUCE_PROD:
  case IR_REDUCE_MAX:
  case IR_REDUCE_MIN:
    list = add_list(d, "axes", 0);
    for (int i = 0; i < rank; i++)
      if (pick(t, 0, 1))
        list[d->attr[0].n++] = i;
    break;
  case IR_WINDOW_SUM:
  case IR_WINDOW_MAX:
    draft_window(t, d, rank, dims);
    break;
  case IR_CUMSUM:
  case IR_CUMPROD:
    d->attr[d->nattrs++] = ir_int("axis", pick(t, 0, rank - 1));
    d->attr[d->nattrs++] = ir_int("step", pick(t, 0, 1) ? 1 : -1);
    d->attr[d->nattrs++] = ir_int("lag", d->attr[1].i * pick(t, 0, 2));
    break;
  case IR_CONCAT:
    d->attr[d->nattrs++] = ir_int("axis", pick(t, 0, rank - 1));
    for (int64_t n = pick(t, 0, 3); n > 0; n--) {
      dims[d->attr[0].i] = pick(t, 0, 4);
      d->arg[d->nargs++] = random_const(t, dtype, rank, dims);
    }
    break;
  case IR_GATHER:
  case IR_GATHER_ELEMENTS:
    draft_gather(t, code, rank, dims, d);
    break;
  case IR_IOTA:
    memcpy(add_list(d, "shape", rank), dims, sizeof dims);
    d->attr[d->nattrs++] = ir_int("axis", pick(t, 0, rank - 1));
    d->attr[d->nattrs++] = ir_str("to", ir_dtypes[dtype].text);
    break;
  default:
    draft_lists(t, code, rank, dims, d);
  }
}

static void check_op(struct bench *t, const struct ir_op *op, uint64_t seed) {
  struct dn_arena *arena = dn_arena_new(t->ctx);
  const struct ir_type *type = ir_result(op)->type;
  void *got = ir_eval_op(arena, op);
  char *want = dn_alloc(arena, (size_t)ir_type_bytes(type));
  const void *data[6];
  for (unsigned i = 0; i < op->noperands; i++)
    data[i] = ir_const_bytes(arena, ir_arg(op, i));
  const struct nest *n = nest_build(arena, op);
  if (got)
    naive_eval(n, data, want);
  if (!got) {
    if (dn_exit_code(t->ctx) != DN_EXIT_UNSUPPORTED)
      test_fail("%s was not evaluated", ir_ops[op->code].text);
  } else if (!same_data(type, got, want, ir_ops[op->code].text)) {
    struct dn_buf buf;
    dn_buf_init(&buf, arena);
    nest_print(&buf, n);
    test_fail("seed %llu: %s", (unsigned long long)seed, buf.text);
  }
  dn_arena_free(arena);
}

/* One random op; true when inference took it. */
static bool try_row(enum ir_opcode code, enum ir_dtype dtype, uint64_t seed) {
  struct bench t;
  struct draft d = {0};
  bench_open(&t, seed);
  dn_diags_capture(t.ctx, true);
  if (ir_ops[code].cls == IR_MAP)
    draft_map(&t, code, dtype, &d);
  else if (code == IR_CONV)
    draft_conv(&t, dtype, &d);
  else if (code == IR_MATMUL)
    draft_matmul(&t, dtype, &d);
  else if (code == IR_EINSUM)
    draft_einsum(&t, dtype, &d);
  else
    draft_other(&t, code, dtype, &d);
  struct ir_value *y = ir_emit(&t.b, code, d.arg, d.nargs, d.attr, d.nattrs);
  if (y)
    check_op(&t, y->def, seed);
  bench_close(&t);
  return y != NULL;
}

void test_rows(uint64_t seed) {
  for (int code = 0; code < IR_NUM_OPS; code++) {
    if (ir_ops[code].cls == IR_REGION)
      continue;
    int taken = 0;
    for (int type = 0; type < IR_NUM_DTYPES; type++)
      for (int round = 0; round < 12; round++)
        taken += try_row((enum ir_opcode)code, (enum ir_dtype)type,
                         seed + (uint64_t)(code * 1000 + type * 20 + round));
    if (taken < 12)
      test_fail("%s: only %d random ops were well-formed", ir_ops[code].text,
                taken);
  }
}
