/* eval_rows.c - the row self-check: every row of ops.def over all ranks 0 to 5
 * of its operands, in all element types, against eval_define.c. Sizes (0, 1 and
 * more) and attributes are drawn from a seed, and what has a default is left
 * out at times; the product of ranks and types is complete. */
#include "eval_naive.h"
#include "eval_test.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_RANK = 5, MOST_OPERANDS = 3 };

struct draft {             /* an op to be */
  int rank[MOST_OPERANDS]; /* of its operands */
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

static void shape(struct bench *t, int rank, int64_t *dims) {
  for (int i = 0; i < rank; i++)
    dims[i] = pick(t, 1, rank > 3 ? 3 : 5);
  if (rank && pick(t, 0, 7) == 0)
    dims[pick(t, 0, rank - 1)] = 0;
  else if (rank && pick(t, 0, 6 * rank) == 0)
    dims[pick(t, 0, rank - 1)] = pick(t, 200, 600); /* over one chunk */
}

/* An operand that broadcasts to the shape. */
static struct ir_value *broadcast_arg(struct bench *t, enum ir_dtype dtype,
                                      int own_rank, int rank,
                                      const int64_t *dims) {
  int64_t own[IR_MAX_RANK];
  for (int i = 0; i < own_rank; i++)
    own[i] = pick(t, 0, 3) ? dims[rank - own_rank + i] : 1;
  return random_const(t, dtype, own_rank, own);
}

static void draft_map(struct bench *t, enum ir_opcode code, enum ir_dtype dtype,
                      struct draft *d) {
  int64_t dims[IR_MAX_RANK];
  int rank = 0, min, max;
  ir_op_arity(code, &min, &max);
  for (int i = 0; i < max; i++)
    rank = (int)dn_max(rank, d->rank[i]);
  if (code == IR_EXPAND)
    rank = (int)pick(t, rank, MOST_RANK);
  shape(t, rank, dims);
  for (int i = 0; i < max && (i < min || pick(t, 0, 1)); i++)
    d->arg[d->nargs++] =
        broadcast_arg(t, code == IR_SELECT && i == 0 ? IR_BOOL : dtype,
                      d->rank[i], rank, dims);
  if (code == IR_EXPAND)
    memcpy(add_list(d, "shape", rank), dims, sizeof dims);
  if (code == IR_CAST)
    d->attr[d->nattrs++] =
        ir_str("to", ir_dtypes[pick(t, 0, IR_NUM_DTYPES - 1)].text);
  while (code == IR_BITS && !d->nattrs) {
    const struct ir_dtype_row *to = &ir_dtypes[pick(t, 0, IR_NUM_DTYPES - 1)];
    if (to->bits == ir_dtypes[dtype].bits && to != &ir_dtypes[IR_BOOL])
      d->attr[d->nattrs++] = ir_str("to", to->text);
  }
  static const enum ir_dtype small[] = {IR_I8, IR_I16, IR_U8, IR_U16};
  if (code == IR_NARROW)
    d->attr[d->nattrs++] = ir_str("to", ir_dtypes[small[pick(t, 0, 3)]].text);
  if (code == IR_CLAMP) {
    d->attr[d->nattrs++] = ir_float("lo", (double)pick(t, -3, 1));
    d->attr[d->nattrs++] = ir_float("hi", (double)pick(t, 1, 3));
  }
}

/* Products of these are not exact, and f8e8m0 has no zero: no sums of them. */
static bool is_coarse(enum ir_dtype t) {
  return ir_is_float(t) && ir_dtypes[t].bits < 16;
}

/* The type of a contraction's second operand: at times another, with a sum of a
 * third. */
static enum ir_dtype other_type(struct bench *t, enum ir_dtype dtype,
                                struct draft *d) {
  if (pick(t, 0, 2))
    return dtype;
  enum ir_dtype to = (enum ir_dtype)pick(t, 0, IR_NUM_DTYPES - 1);
  if (is_coarse(to))
    return dtype;
  d->attr[d->nattrs++] = ir_str("to", ir_dtypes[to].text);
  return (enum ir_dtype)pick(t, 0, IR_NUM_DTYPES - 1);
}

static void draft_conv(struct bench *t, enum ir_dtype dtype, struct draft *d) {
  int s = d->rank[0] - 2;
  if (s < 0)
    return;
  int64_t groups = pick(t, 1, 3), x[IR_MAX_RANK], w[IR_MAX_RANK];
  x[0] = pick(t, 0, 2);
  w[s + 1] = pick(t, 0, 4);
  x[s + 1] = w[s + 1] * groups;
  w[0] = groups * pick(t, 0, s > 2 ? 3 : 7);
  for (int i = 0; i < s; i++) {
    x[1 + i] = pick(t, 3, s > 2 ? 5 : s > 1 ? 7 : 40);
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
  d->attr[d->nattrs++] = ir_float("outside", (double)pick(t, -2, 2));
  d->arg[d->nargs++] = random_const(t, dtype, s + 2, x);
  d->arg[d->nargs++] = random_const(t, other_type(t, dtype, d), s + 2, w);
}

static void draft_matmul(struct bench *t, enum ir_dtype dtype,
                         struct draft *d) {
  int64_t batch[MOST_RANK], a[IR_MAX_RANK], b[IR_MAX_RANK];
  int ra = d->rank[0] - 2, rb = d->rank[1] - 2;
  if (ra < 0 || rb < 0)
    return;
  for (int i = 0; i < 3; i++)
    batch[i] = pick(t, pick(t, 0, 9) > 0, 3);
  for (int i = 0; i < ra; i++)
    a[i] = pick(t, 0, 2) ? batch[3 - ra + i] : 1;
  for (int i = 0; i < rb; i++)
    b[i] = pick(t, 0, 2) ? batch[3 - rb + i] : 1;
  bool large = ra + rb < 3 && pick(t, 0, 5) == 0;
  a[ra] = pick(t, 0, large ? 150 : 7);
  a[ra + 1] = b[rb] = pick(t, 0, large ? 300 : 7);
  b[rb + 1] = pick(t, 0, large ? 10 : 7);
  d->arg[d->nargs++] = random_const(t, dtype, ra + 2, a);
  d->arg[d->nargs++] = random_const(t, other_type(t, dtype, d), rb + 2, b);
}

/* Any letters of seven for each operand, one of them twice at times (a
 * diagonal), and some of them for the result in any order. */
static void draft_einsum(struct bench *t, enum ir_dtype dtype,
                         struct draft *d) {
  int64_t size[7], dims[IR_MAX_RANK];
  char *eq = dn_alloc(t->m->arena, 32), *end = eq;
  for (int i = 0; i < 7; i++)
    size[i] = pick(t, pick(t, 0, 9) > 0, 4);
  for (int k = 0; k < 2; k++) {
    char letters[] = "abcdefg";
    for (int i = 0; i < d->rank[k]; i++) {
      int64_t from = pick(t, i - (i && pick(t, 0, 19) == 0), 6);
      char c = letters[from];
      letters[from] = letters[i];
      letters[i] = c;
      *end++ = c;
      dims[i] = size[c - 'a'];
    }
    d->arg[d->nargs++] = random_const(t, dtype, d->rank[k], dims);
    end += sprintf(end, k ? "->" : ",");
  }
  bool made[128] = {false};
  int64_t most = pick(t, 0, MOST_RANK);
  for (int64_t i = 0; i < 10 && most; i++) {
    char c = eq[pick(t, 0, end - eq - 1)];
    if (c < 'a' || made[(int)c])
      continue;
    made[(int)c] = true;
    *end++ = c;
    most--;
  }
  *end = 0;
  d->attr[d->nattrs++] = ir_str("equation", eq);
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
    shape(t, r = d->rank[1], own);
  else
    for (int i = 0; i < rank; i++)
      own[i] = i == axis ? pick(t, 0, 6) : pick(t, dims[i] > 0, dims[i]);
  d->attr[d->nattrs++] = ir_int("axis", axis);
  d->arg[d->nargs++] = random_const(t, kinds[pick(t, 0, 3)], r, own);
}

static void draft_scatter(struct bench *t, enum ir_dtype dtype, int rank,
                          int64_t *dims, struct draft *d) {
  static const enum ir_dtype kinds[] = {IR_I64, IR_I32, IR_U8, IR_U64};
  dims[0] = pick(t, 0, 12);
  d->arg[d->nargs++] = random_const(t, kinds[pick(t, 0, 3)], 1, dims);
  d->arg[d->nargs++] = random_const(t, dtype, rank, dims);
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
    a = add_list(d, "shape", pick(t, rank > 0, MOST_RANK));
    for (int64_t i = 0; i < d->attr[0].n; i++)
      a[i] = 1;
    for (int i = 0; i < rank; i++)
      a[pick(t, 0, d->attr[0].n - 1)] *= dims[i];
    break;
  }
}

/* Of operand 0, or of the result without one. */
static int least_rank(enum ir_opcode code) {
  switch ((int)code) {
  case IR_CONV:
  case IR_MATMUL:
    return 2;
  case IR_CUMSUM:
  case IR_CUMPROD:
  case IR_ARGSORT:
  case IR_FRAME:
  case IR_CONCAT:
  case IR_GATHER:
  case IR_GATHER_ELEMENTS:
  case IR_IOTA:
  case IR_SET_SIZE:
  case IR_SCATTER:
  case IR_SCATTER_SUM:
  case IR_SCATTER_PROD:
  case IR_SCATTER_MAX:
  case IR_SCATTER_MIN:
    return 1;
  }
  return 0;
}

/* Operands whose ranks are free of each other's. */
static int free_ranks(enum ir_opcode code) {
  int min, max;
  ir_op_arity(code, &min, &max);
  if (ir_ops[code].cls == IR_MAP)
    return max;
  return code == IR_MATMUL || code == IR_EINSUM || code == IR_GATHER ? 2 : 1;
}

static void draft_other(struct bench *t, enum ir_opcode code,
                        enum ir_dtype dtype, struct draft *d) {
  int64_t dims[IR_MAX_RANK] = {0}, *list;
  int rank = d->rank[0];
  if (rank < least_rank(code))
    return;
  shape(t, rank, dims);
  if (code != IR_IOTA)
    d->arg[d->nargs++] = random_const(t, dtype, rank, dims);
  switch ((int)code) {
  case IR_REDUCE_SUM:
  case IR_REDUCE_PROD:
  case IR_REDUCE_MAX:
  case IR_REDUCE_MIN:
  case IR_ARGMAX:
  case IR_ARGMAX_LAST:
  case IR_ARGMIN:
  case IR_ARGMIN_LAST:
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
  case IR_ARGSORT:
    d->attr[d->nattrs++] = ir_int("axis", pick(t, 0, rank - 1));
    d->attr[d->nattrs++] =
        ir_int("k", pick(t, 0, dn_min(dims[d->attr[0].i], 6)));
    d->attr[d->nattrs++] = ir_int("largest", pick(t, 0, 1));
    break;
  case IR_FRAME:
    d->attr[d->nattrs++] = ir_int("axis", pick(t, 0, rank - 1));
    d->attr[d->nattrs++] = ir_int("size", pick(t, 1, dims[d->attr[0].i]));
    d->attr[d->nattrs++] = ir_int("step", pick(t, 1, 3));
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
  case IR_SCATTER:
  case IR_SCATTER_SUM:
  case IR_SCATTER_PROD:
  case IR_SCATTER_MAX:
  case IR_SCATTER_MIN:
    draft_scatter(t, dtype, rank, dims, d);
    break;
  case IR_SET_SIZE:
    dims[0] = pick(t, 0, dims[0]);
    memcpy(add_list(d, "shape", rank), dims, sizeof dims);
    d->attr[d->nattrs++] = ir_str("name", "n");
    d->arg[d->nargs++] = random_const(t, IR_I64, 0, NULL);
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
  if (got)
    naive_eval(op, data, want);
  if (!got) {
    if (dn_exit_code(t->ctx) != DN_EXIT_UNSUPPORTED)
      test_fail("%s was not evaluated", ir_ops[op->code].text);
  } else if (!same_data(type, got, want, ir_ops[op->code].text)) {
    struct dn_buf buf = dn_buf_new(arena);
    ir_print(&buf, t->m, &(struct ir_print_opts){.const_limit = -1});
    test_fail("seed %llu: %s", (unsigned long long)seed, buf.text);
  }
  dn_arena_free(arena);
}

/* Leaves out some attributes that have a default. */
static void drop_attrs(struct bench *t, enum ir_opcode code, struct draft *d) {
  struct ir_attr_spec specs[IR_MAX_ATTRS];
  int n = ir_op_attr_specs(code, specs);
  size_t kept = 0;
  for (size_t i = 0; i < d->nattrs; i++) {
    bool required = true;
    for (int k = 0; k < n; k++)
      if (!strcmp(specs[k].name, d->attr[i].name))
        required = specs[k].required;
    if (required || pick(t, 0, 4))
      d->attr[kept++] = d->attr[i];
  }
  d->nattrs = kept;
}

/* One random op; true when inference took it. */
static bool try_row(enum ir_opcode code, enum ir_dtype dtype, int ranks,
                    uint64_t seed) {
  struct bench t;
  struct draft d = {0};
  for (int k = 0; k < MOST_OPERANDS; k++, ranks /= MOST_RANK + 1)
    d.rank[k] = ranks % (MOST_RANK + 1);
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
  drop_attrs(&t, code, &d);
  struct ir_value *y = NULL;
  if (d.nargs || d.nattrs)
    y = ir_emit(&t.b, code, d.arg, d.nargs, d.attr, d.nattrs);
  if (y)
    check_op(&t, y->def, seed);
  bench_close(&t);
  return y != NULL;
}

static void test_row(enum ir_opcode code, uint64_t seed) {
  int all = 1;
  for (int k = free_ranks(code); k > 0; k--)
    all *= MOST_RANK + 1;
  for (int ranks = 0; ranks < all; ranks++) {
    int taken = 0, rounds = all > 6 ? 1 : 4;
    for (int type = 0; type < IR_NUM_DTYPES; type++)
      for (int round = 0; round < rounds; round++)
        if (!is_coarse((enum ir_dtype)type) || ir_ops[code].cls == IR_MAP ||
            ir_ops[code].cls == IR_MOVE)
          taken += try_row(code, (enum ir_dtype)type, ranks, ++seed);
    if (!taken && ranks % (MOST_RANK + 1) >= least_rank(code) &&
        (code != IR_MATMUL || ranks / (MOST_RANK + 1) >= 2))
      test_fail("%s: no op of ranks %d was well-formed", ir_ops[code].text,
                ranks);
  }
}

/* A convolution of `groups` groups, which inference would have refused, has an
 * iterator whose extent nothing fixes: an internal error, and no size of 0. */
static void test_open_extent(void) {
  struct bench t;
  struct draft d = {.rank = {4}};
  bench_open(&t, 1);
  dn_diags_capture(t.ctx, true);
  draft_conv(&t, IR_F32, &d);
  d.arg[1] = random_const(&t, IR_F32, 4, d.arg[1]->type->dim);
  d.nattrs = 4; /* without a type of its own */
  struct ir_value *y = ir_emit(&t.b, IR_CONV, d.arg, d.nargs, d.attr, d.nattrs);
  jmp_buf home;
  t.ctx->fatal = &home;
  ir_set_attr(y->def, ir_int("groups", 0));
  if (!setjmp(home)) {
    nest_build(t.m->arena, y->def);
    test_fail("an open extent was taken");
  } else if (dn_exit_code(t.ctx) != DN_EXIT_INTERNAL) {
    test_fail("an open extent ends in exit code %d", dn_exit_code(t.ctx));
  }
  t.ctx->fatal = NULL;
  bench_close(&t);
}

void test_rows(uint64_t seed) {
  test_open_extent();
  for (int code = 0; code < IR_NUM_OPS; code++)
    if (ir_ops[code].cls != IR_REGION)
      test_row((enum ir_opcode)code, seed + (uint64_t)code * 100000);
}
