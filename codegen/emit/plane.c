/* plane.c - windows of bytes that slide over one channel (depthwise). It is
 * copied once, with what is outside of it around, into memory of the kernel's
 * own, where neighbours of a row share what they load. By an instruction that
 * multiplies halves of registers (DSP of ARM) that is a word. Taken apart, two
 * and two, its elements are the factors of two results:
 *
 *   of x0 x1 x2 x3:   even x0 x2, odd x1 x3
 *   y0 = w0 x0 + w2 x2 + w1 x1     the halves of even, the lower of odd
 *   y1 = w0 x1 + w2 x3 + w1 x2     the halves of odd, the upper of even
 *
 * Loads are volatile: LLVM's scheduler would load ahead of the products into
 * more registers than there are. */
#include "codegen/emit/impl.h"
#include "codegen/target/target.h"

#include <assert.h>
#include <string.h>

enum { WORD = 4, MOST_COPIES = 8, SHARED = 3 };

struct plane {
  struct kernel_cg *k;
  const struct runs_plane *of;
  bool halves;        /* by the DSP extension */
  enum ir_dtype type; /* of the operand */
};

static LLVMValueRef byte_at(struct kernel_cg *k, LLVMValueRef p,
                            const struct affine *at) {
  LLVMValueRef by = index_value(k, affine_plus(&k->forms, at, -at->c));
  return emit_further_by(k, emit_further(k, p, by), at->c);
}

/* ---- The copy ---- */

/* Memory of the function, of bytes that are outside. */
static void make_memory(struct plane *p) {
  struct kernel_cg *k = p->k;
  struct hoist h;
  int64_t steps = dn_div_ceil(nest_window_bytes(&p->of->win), WORD * WORD);
  k->plane.bytes = scope_memory(k, steps * WORD, WORD, "plane");
  uint64_t one =
      LLVMConstIntGetZExtValue(emit_number(k, p->type, p->of->n->outside));
  LLVMValueRef v = LLVMConstInt(k->e->i32, (one & 255) * 0x01010101u, false);
  hoist_begin(k, 0, &h);
  scope_open(k, steps, 0, NULL, NULL);
  const struct affine *to = affine_var(&k->forms, k->scope->var, WORD * WORD);
  for (int i = 0; i < WORD; i++) {
    LLVMValueRef word =
        byte_at(k, k->plane.bytes, affine_plus(&k->forms, to, i * WORD));
    LLVMSetAlignment(LLVMBuildStore(k->b, v, word), WORD);
  }
  scope_close(k, 0, NULL, NULL);
  hoist_end(k, &h);
}

/* Where the elements of dimension [i] lie that are there: from `lo` on. */
static int64_t find_inside(const struct plane *p, int i, int64_t *lo) {
  assert((i == 0 || i == 1) && "rows and columns of a window");
  const struct nest_access *a = &p->of->n->access[0];
  const struct ir_type *x = ir_arg(p->of->n->op, (unsigned)a->operand)->type;
  int64_t dim = p->of->win.dim[i] < 0 ? 1 : x->dim[p->of->win.dim[i]];
  *lo = dn_max(0, -p->of->win.first[i]);
  return dn_min(p->of->win.span[i], dim - p->of->win.first[i]) - *lo;
}

/* All of the operand that windows see. Iterators of the window count from its
 * first place on. */
static void copy(struct plane *p, const struct affine **iter) {
  struct kernel_cg *k = p->k;
  const struct affine *r, *c;
  int64_t row, column, rows = find_inside(p, 0, &row);
  int64_t columns = find_inside(p, 1, &column), step = MOST_COPIES;
  if (rows <= 0 || columns <= 0)
    return;
  while (columns % step)
    step--;
  r = affine_plus(&k->forms, scope_open_some(k, rows, 1), row);
  c = scope_open_some(k, columns / step, step);
  if (p->of->win.red[0] >= 0)
    iter[p->of->win.red[0]] = r;
  for (int64_t i = 0; i < step; i++) {
    iter[p->of->win.red[1]] = affine_plus(&k->forms, c, column + i);
    const struct affine *to =
        affine_add(&k->forms, iter[p->of->win.red[1]], r, p->of->win.span[1]);
    LLVMBuildStore(k->b, emit_access(k, p->of->n, 0, iter),
                   byte_at(k, k->plane.bytes, to));
  }
  scope_close_some(k, columns / step);
  scope_close_some(k, rows);
}

/* ---- The weights ---- */

static LLVMValueRef tap(struct plane *p, const struct affine **iter, int64_t i,
                        int64_t j) {
  struct kernel_cg *k = p->k;
  if (i >= p->of->rows || j >= p->of->n->iter[p->of->win.red[1]].extent)
    return LLVMConstNull(k->e->i32);
  if (p->of->win.red[0] >= 0)
    iter[p->of->win.red[0]] = affine_const(&k->forms, i);
  iter[p->of->win.red[1]] = affine_const(&k->forms, j);
  return LLVMBuildSExt(k->b, emit_access(k, p->of->n, 1, iter), k->e->i32, "");
}

static LLVMValueRef halves(struct kernel_cg *k, LLVMValueRef low,
                           LLVMValueRef high) {
  assert(LLVMTypeOf(low) == k->e->i32 && LLVMTypeOf(high) == k->e->i32 &&
         "tap()");
  LLVMValueRef half = LLVMConstInt(k->e->i32, 16, false);
  low = LLVMBuildAnd(k->b, low, LLVMConstInt(k->e->i32, 0xffff, false), "");
  return LLVMBuildOr(k->b, low, LLVMBuildShl(k->b, high, half, ""), "");
}

static bool is_shared(const struct plane *p) {
  return p->of->n->iter[p->of->win.red[1]].extent <= SHARED;
}

/* Of each word of taps two registers; where its second one has one tap only,
 * those of two rows share a register. */
static void load_weights(struct plane *p, const struct affine **iter) {
  struct kernel_cg *k = p->k;
  int64_t count = p->of->rows * p->of->words,
          taps = p->of->n->iter[p->of->win.red[1]].extent;
  k->plane.weights = DN_ARRAY(k->arena, LLVMValueRef, WORD * count);
  for (int64_t i = 0; i < p->of->rows * taps && !p->halves; i++)
    k->plane.weights[i] = tap(p, iter, i / taps, i % taps);
  for (int64_t i = 0; i < count && p->halves; i++) {
    int64_t r = i / p->of->words, c = i % p->of->words * WORD;
    LLVMValueRef *to = k->plane.weights + 2 * i;
    to[0] = halves(k, tap(p, iter, r, c), tap(p, iter, r, c + 2));
    if (!is_shared(p))
      to[1] = halves(k, tap(p, iter, r, c + 1), tap(p, iter, r, c + 3));
    else if (r % 2)
      to[1] = to[-1];
    else
      to[1] = halves(k, tap(p, iter, r, c + 1), tap(p, iter, r + 1, c + 1));
  }
}

/* Results lie where the channel does: loops_channels_first(). */
static bool is_over_channel(const struct plane *p) {
  const struct kernel_cg *k = p->k;
  struct ir_place x, y;
  return loops_channels_first(k->op, p->of->n->op) &&
         ir_place_of(ir_arg(p->of->n->op, 0), &x) && ir_place_of(k->out, &y) &&
         emit_buffer_of(k->places, &x) == emit_buffer_of(k->places, &y);
}

/* What the loops over one channel read, before the outermost of them. */
static void prepare(struct plane *p) {
  struct kernel_cg *k = p->k;
  const struct scope *inside = k->scope;
  const struct affine *iter[NEST_MAX_ITERS];
  struct hoist h;
  while (inside->depth > p->of->depth + 1)
    inside = inside->parent;
  if (k->plane.inside == inside && k->plane.n == p->of->n &&
      inside->depth > p->of->depth)
    return;
  memcpy(iter, p->of->iter, sizeof iter);
  for (int i = 0; i < 2; i++)
    if (p->of->win.out[i] >= 0)
      iter[p->of->win.out[i]] = affine_const(&k->forms, 0);
  if (k->plane.n != p->of->n)
    make_memory(p);
  else if (is_over_channel(p))
    emit_fail(k, DN_INTERNAL,
              "a channel that results lie over is copied twice");
  k->plane.n = p->of->n;
  k->plane.inside = inside;
  hoist_begin(k, p->of->depth, &h);
  copy(p, iter);
  load_weights(p, iter);
  hoist_end(k, &h);
}

/* ---- The sums ---- */

static LLVMValueRef multiply(struct kernel_cg *k, const char *name,
                             LLVMValueRef x, LLVMValueRef w, LLVMValueRef acc) {
  LLVMValueRef arg[] = {x, w, acc};
  bool first = LLVMIsNull(acc) && !strcmp(name, "llvm.arm.smlad");
  return emit_intrinsic(k, first ? "llvm.arm.smuad" : name, NULL, 0, arg,
                        first ? 2 : 3);
}

/* acc plus the products of a word of taps; `next`: the factors start with the
 * second of the word's elements. */
static LLVMValueRef add_word(struct plane *p, LLVMValueRef acc,
                             LLVMValueRef word, const LLVMValueRef *w,
                             bool next, int64_t row) {
  static const char *const one[2][2] = {{"llvm.arm.smlabb", "llvm.arm.smlabt"},
                                        {"llvm.arm.smlatb", "llvm.arm.smlatt"}};
  LLVMValueRef even = emit_two_bytes(p->k, word, false);
  LLVMValueRef odd = emit_two_bytes(p->k, word, true);
  acc = multiply(p->k, "llvm.arm.smlad", next ? odd : even, w[0], acc);
  return multiply(p->k, is_shared(p) ? one[next][row % 2] : "llvm.arm.smlad",
                  next ? even : odd, w[1], acc);
}

/* What lies `at` elements from where the windows' row begins. */
static LLVMValueRef load(const struct plane *p, LLVMTypeRef type,
                         LLVMValueRef base, int64_t row, int64_t at) {
  struct kernel_cg *k = p->k;
  at += row * p->of->win.span[1];
  LLVMValueRef from = byte_at(k, base, affine_const(&k->forms, at));
  LLVMValueRef v = emit_load_at(k, type, from, 1);
  LLVMSetVolatile(v, true);
  return v;
}

/* A row of the windows of all points. */
static void add_row(struct plane *p, LLVMValueRef base, int64_t row,
                    LLVMValueRef *acc) {
  struct kernel_cg *k = p->k;
  LLVMValueRef word[RUNS_MAX_PLANE] = {NULL};
  for (unsigned i = 0; i < p->of->npt; i++)
    for (int64_t j = 0; j < p->of->words; j++) {
      int64_t at = p->of->at[i] + j * WORD;
      bool next = is_shared(p) && at && word[at - 1] && !word[at];
      at -= next;
      assert(at >= 0 && at < RUNS_MAX_PLANE && "runs_slide() has measured it");
      if (!word[at])
        word[at] = load(p, k->e->i32, base, row, at);
      acc[i] =
          add_word(p, acc[i], word[at],
                   k->plane.weights + 2 * (row * p->of->words + j), next, row);
    }
}

/* The same, one product after the other. */
static void add_products(struct plane *p, LLVMValueRef base, int64_t row,
                         LLVMValueRef *acc) {
  struct kernel_cg *k = p->k;
  int64_t taps = p->of->n->iter[p->of->win.red[1]].extent;
  LLVMValueRef x[RUNS_MAX_PLANE] = {NULL};
  for (unsigned i = 0; i < p->of->npt; i++)
    for (int64_t j = 0; j < taps; j++) {
      int64_t at = p->of->at[i] + j;
      assert(at >= 0 && at < RUNS_MAX_PLANE && "runs_slide() has measured it");
      if (!x[at])
        x[at] = emit_cast(k, load(p, k->e->i8, base, row, at), p->type, IR_I32);
      LLVMValueRef w = k->plane.weights[row * taps + j];
      acc[i] = LLVMBuildAdd(k->b, acc[i], LLVMBuildMul(k->b, x[at], w, ""), "");
    }
}

void emit_plane_sums(struct kernel_cg *k, const struct nest *n,
                     const struct affine **iter, unsigned npt,
                     LLVMValueRef *acc) {
  struct runs_plane of = {.n = n, .iter = iter, .npt = npt};
  assert(k->sched.vec == 1 && k->runs.dot.k == 1 && "rule sums: plane");
  if (!runs_slide(&k->runs, &of)) {
    emit_no_runs(k, "plane");
    return;
  }
  struct plane p = {.k = k, .of = &of};
  p.type = ir_arg(n->op, (unsigned)n->access[0].operand)->type->dtype;
  p.halves = k->e->facts->dot == CG_DOT_SMLAD && p.type == IR_I8;
  prepare(&p);
  const struct affine *at = affine_const(&k->forms, 0);
  for (int i = 0; i < 2; i++)
    if (of.win.out[i] >= 0)
      at = affine_add(&k->forms, at, iter[of.win.out[i]],
                      of.win.stride[i] * (i ? 1 : of.win.span[1]));
  LLVMValueRef base = byte_at(k, k->plane.bytes, at);
  for (int64_t r = 0; r < of.rows; r++)
    (p.halves ? add_row : add_products)(&p, base, r, acc);
}
