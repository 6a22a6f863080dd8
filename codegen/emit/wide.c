/* wide.c - sums of products of bytes by an instruction that multiplies halves of
 * registers (DSP of ARM): the rows of a tile are widened to 16 bits once, before
 * the loop over the columns, into memory of the kernel's own. There a run of four
 * of each row follows that of the row before it, as two words, so that the
 * products of a tile read one pointer, and a window is one run from end to end;
 * its edges are the copy's alone. What the products read is volatile: LLVM's
 * scheduler would load ahead of them into more registers than there are.
 *
 *   of a run a b c d of one row:   a c  b d     (as sxtb16 takes bytes apart) */
#include "codegen/emit/impl.h"
#include "codegen/target/target.h"

#include <string.h>

enum { RUN = 4, MOST_OUTER = 64, MOST_RUNS = 1024, WORD = 4 };

struct wide {
  struct kernel_cg *k;
  const struct nest *n;
  const struct affine **iter; /* [npt][NEST_MAX_ITERS] */
  unsigned npt, nrows, ncolumns;
  unsigned *row, *column;       /* of each point */
  unsigned *of_row, *of_column; /* a point of each */
  const int *red;               /* reduced iterators */
  int nred;
  int64_t whole, rest; /* runs of the innermost one, elements that are left */
  int64_t outer;       /* values of the others */
  const struct ir_value *weights;
  const struct affine **first; /* where each column starts in them */
  int64_t step;                /* from run to run */
  LLVMValueRef rows;           /* the copy */
};

static bool uses(const struct nest *n, int access, int iter) {
  for (int d = 0; d < n->access[access].rank; d++)
    if (n->access[access].idx[d].coef[iter])
      return true;
  return false;
}

/* Numbers the points by what an access sees of them. */
static unsigned number_points(struct wide *w, int access, unsigned *number,
                              unsigned *point) {
  unsigned count = 0;
  for (unsigned p = 0; p < w->npt; p++) {
    unsigned q = 0;
    for (bool same = false; q < count; q++) {
      same = true;
      for (int i = 0; i < w->n->niters; i++)
        same &= w->n->iter[i].reduced || !uses(w->n, access, i) ||
                w->iter[p * NEST_MAX_ITERS + (unsigned)i] ==
                    w->iter[point[q] * NEST_MAX_ITERS + (unsigned)i];
      if (same)
        break;
    }
    number[p] = q;
    if (q == count)
      point[count++] = p;
  }
  return count;
}

/* Sets the reduced iterators but the innermost one of all points. */
static void set_outer(struct wide *w, int64_t number) {
  for (int i = w->nred - 1; i-- > 0;) {
    int64_t extent = w->n->iter[w->red[i]].extent;
    for (unsigned p = 0; p < w->npt; p++)
      w->iter[p * NEST_MAX_ITERS + (unsigned)w->red[i]] =
          affine_const(&w->k->forms, number % extent);
    number /= extent;
  }
}

/* The weights of a column lie at equal distances, runs filled up. */
static bool find_weights(struct wide *w, unsigned column, int64_t number) {
  int64_t runs = w->whole + (w->rest > 0), lo, hi;
  const struct affine **iter =
      w->iter + (size_t)w->of_column[column] * NEST_MAX_ITERS;
  struct run_address at;
  for (int64_t i = 0; i < runs; i++) {
    if (!runs_address_at(&w->k->runs, w->n, 1, iter, w->red[w->nred - 1],
                         i * RUN, &at) ||
        !at.leaf || at.nchecked || !at.leaf->data ||
        (w->weights && w->weights != at.leaf))
      return false;
    w->weights = at.leaf;
    affine_range(&w->k->forms, at.at, &lo, &hi);
    if (number + i == 0)
      w->first[column] = at.at;
    if (number + i == 1)
      w->step = at.at->c - w->first[column]->c;
    if (at.at != affine_plus(&w->k->forms, w->first[column],
                             (number + i) * w->step) ||
        hi + RUN > ir_type_count(at.leaf->type))
      return false;
  }
  return true;
}

static bool all_runs_fit(struct wide *w) {
  int inner = w->red[w->nred - 1];
  for (int64_t o = 0; o < w->outer; o++) {
    set_outer(w, o);
    for (unsigned r = 0; r < w->nrows; r++) {
      const struct affine **iter =
          w->iter + (size_t)w->of_row[r] * NEST_MAX_ITERS;
      if ((w->whole && (!runs_fit(&w->k->runs, w->n, 1, iter, inner, 0, RUN) ||
                        !runs_fit(&w->k->runs, w->n, 1, iter, inner,
                                  (w->whole - 1) * RUN, RUN))) ||
          (w->rest && !runs_fit(&w->k->runs, w->n, 1, iter, inner,
                                w->whole * RUN, w->rest)))
        return false;
    }
    for (unsigned c = 0; c < w->ncolumns; c++)
      if (!find_weights(w, c, o * (w->whole + (w->rest > 0))))
        return false;
  }
  return true;
}

/* The rows are those of a loop around the one over the columns. */
static bool rows_are_outside(const struct wide *w) {
  int depth = 0;
  for (unsigned p = 0; p < w->npt; p++)
    for (int i = 0; i < w->n->niters; i++) {
      const struct affine *f = w->iter[p * NEST_MAX_ITERS + (unsigned)i];
      if (!w->n->iter[i].reduced && uses(w->n, 0, i))
        depth = f->depth > depth ? f->depth : depth;
    }
  return depth < w->k->scope->depth && w->k->wide.before != w->k->scope;
}

/* ---- The copy ---- */

static LLVMValueRef rows_at(struct wide *w, const struct affine *run,
                            int64_t bytes) {
  struct kernel_cg *k = w->k;
  int64_t step = (int64_t)w->nrows * 2 * WORD;
  LLVMValueRef at =
      index_value(k, affine_add(&k->forms, affine_const(&k->forms, 0),
                                affine_plus(&k->forms, run, -run->c), step));
  LLVMValueRef p = LLVMBuildGEP2(k->b, k->e->i8, w->rows, &at, 1, "");
  at = LLVMConstInt(k->e->iptr, (uint64_t)(run->c * step + bytes), false);
  return LLVMBuildGEP2(k->b, k->e->i8, p, &at, 1, "");
}

/* `count` elements of every row from `at` on, which are run number `run`. */
static void copy_run(struct wide *w, const struct affine *at, int64_t count,
                     const struct affine *run) {
  struct kernel_cg *k = w->k;
  for (unsigned r = 0; r < w->nrows && !k->failed; r++) {
    const struct affine **iter =
        w->iter + (size_t)w->of_row[r] * NEST_MAX_ITERS;
    iter[w->red[w->nred - 1]] = at;
    k->run = count;
    LLVMValueRef word = emit_access(k, w->n, 0, iter);
    k->run = 0;
    for (unsigned odd = 0; odd < 2 && !k->failed; odd++)
      LLVMBuildStore(k->b, emit_two_bytes(k, word, odd),
                     rows_at(w, run, (2 * r + odd) * WORD));
  }
}

/* From one value of a reduced iterator on; `run` counts runs. */
static void copy_level(struct wide *w, int depth, const struct affine *run) {
  struct kernel_cg *k = w->k;
  bool inner = depth + 1 == w->nred;
  int64_t each = 1, extent = w->n->iter[w->red[depth]].extent;
  for (int i = depth + 1; i < w->nred; i++)
    each *= i + 1 < w->nred ? w->n->iter[w->red[i]].extent
                            : w->whole + (w->rest > 0);
  if (inner)
    extent = w->whole;
  if (extent > 1)
    scope_open(k, extent, 0, NULL, NULL);
  const struct affine *at = extent > 1 ? affine_var(&k->forms, k->scope->var, 1)
                                       : affine_const(&k->forms, 0);
  const struct affine *next = affine_add(&k->forms, run, at, each);
  if (inner && extent) {
    copy_run(w, affine_add(&k->forms, affine_const(&k->forms, 0), at, RUN), RUN,
             next);
  } else if (!inner) {
    for (unsigned p = 0; p < w->npt; p++)
      w->iter[p * NEST_MAX_ITERS + (unsigned)w->red[depth]] = at;
    copy_level(w, depth + 1, next);
  }
  if (extent > 1)
    scope_close(k, 0, NULL, NULL);
  if (inner && w->rest)
    copy_run(w, affine_const(&k->forms, w->whole * RUN), w->rest,
             affine_plus(&k->forms, run, w->whole));
}

/* Memory of the function, as large as what needs it first, and most, as a rule.
 */
static void find_memory(struct wide *w, int64_t runs) {
  struct kernel_cg *k = w->k;
  int64_t words = runs * 2 * (int64_t)w->nrows;
  if (words > k->wide.words) {
    LLVMBasicBlockRef at = LLVMGetInsertBlock(k->b);
    LLVMBasicBlockRef entry = LLVMGetEntryBasicBlock(k->fn);
    LLVMTypeRef type = LLVMArrayType2(k->e->i32, (uint64_t)words);
    LLVMPositionBuilder(k->b, entry, LLVMGetFirstInstruction(entry));
    k->wide.rows = LLVMBuildAlloca(k->b, type, "rows");
    LLVMSetAlignment(k->wide.rows, 2 * WORD);
    LLVMPositionBuilderAtEnd(k->b, at);
    k->wide.words = words;
  }
  w->rows = k->wide.rows;
}

static void copy_rows(struct wide *w, int64_t runs) {
  struct kernel_cg *k = w->k;
  struct hoist h;
  find_memory(w, runs);
  k->wide.before = k->scope;
  hoist_begin(k, k->scope->depth - 1, &h);
  copy_level(w, 0, affine_const(&k->forms, 0));
  hoist_end(k, &h);
}

/* ---- The sums ---- */

/* Both words of a row. */
static LLVMValueRef row_words(struct wide *w, const struct affine *run,
                              unsigned row) {
  LLVMValueRef v = LLVMBuildLoad2(w->k->b, w->k->e->i64,
                                  rows_at(w, run, 2 * row * WORD), "");
  LLVMSetAlignment(v, 2 * WORD);
  LLVMSetVolatile(v, true);
  return v;
}

/* acc plus the products of run number `run` of all points. */
static void add_run(struct wide *w, const struct affine *run,
                    LLVMValueRef *acc) {
  struct kernel_cg *k = w->k;
  struct ir_place place;
  LLVMValueRef *row = DN_ARRAY(k->arena, LLVMValueRef, w->nrows);
  ir_place_of(w->weights, &place);
  for (unsigned c = 0; c < w->ncolumns; c++) {
    k->run = RUN;
    LLVMValueRef word =
        emit_load(k, w->weights, &place,
                  affine_add(&k->forms, w->first[c], run, w->step));
    k->run = 0;
    if (LLVMIsALoadInst(word))
      LLVMSetVolatile(word, true);
    LLVMValueRef of[] = {emit_two_bytes(k, word, false),
                         emit_two_bytes(k, word, true)};
    for (unsigned p = 0; p < w->npt; p++) {
      unsigned r = w->row[p];
      row[r] = row[r] ? row[r] : row_words(w, run, r);
      for (unsigned odd = 0; odd < 2 && w->column[p] == c; odd++) {
        LLVMValueRef a = LLVMBuildLShr(
            k->b, row[r], LLVMConstInt(k->e->i64, 32 * odd, false), "");
        LLVMValueRef arg[] = {LLVMBuildTrunc(k->b, a, k->e->i32, ""), of[odd],
                              acc[p]};
        acc[p] = emit_intrinsic(k, "llvm.arm.smlad", NULL, 0, arg, 3);
      }
    }
  }
}

static void add_runs(struct wide *w, int64_t runs, LLVMValueRef *acc) {
  struct kernel_cg *k = w->k;
  int64_t unroll = dn_min(k->unroll, runs), i = runs / unroll * unroll;
  const struct affine *base = affine_const(&k->forms, 0);
  LLVMValueRef *phi = DN_ARRAY(k->arena, LLVMValueRef, w->npt);
  bool loop = runs / unroll > 1;
  if (loop) {
    scope_open(k, runs / unroll, w->npt, acc, phi);
    memcpy(acc, phi, w->npt * sizeof *acc);
    base = affine_var(&k->forms, k->scope->var, unroll);
  }
  for (int64_t j = 0; j < unroll && !k->failed; j++)
    add_run(w, affine_plus(&k->forms, base, j), acc);
  if (loop)
    scope_close(k, w->npt, phi, acc);
  for (; i < runs && !k->failed; i++)
    add_run(w, affine_const(&k->forms, i), acc);
}

bool emit_wide_sums(struct kernel_cg *k, const struct nest *n,
                    const struct affine **iter, unsigned npt, const int *red,
                    int nred, LLVMValueRef *acc) {
  struct wide w = {
      .k = k, .n = n, .iter = iter, .npt = npt, .red = red, .nred = nred};
  if (!ir_get_int(k->op, "wide") || k->runs.dot.id != CG_DOT_SMLAD || !nred ||
      n->naccesses != 2 || n->access[0].flat || n->access[1].flat ||
      !rows_are_outside(&w))
    return false;
  unsigned *number = DN_ARRAY(k->arena, unsigned, 4 * npt);
  w.row = number, w.column = number + npt;
  w.of_row = number + 2 * npt, w.of_column = number + 3 * npt;
  w.nrows = number_points(&w, 0, w.row, w.of_row);
  w.ncolumns = number_points(&w, 1, w.column, w.of_column);
  w.first = DN_ARRAY(k->arena, const struct affine *, w.ncolumns);
  w.whole = n->iter[red[nred - 1]].extent / RUN;
  w.rest = n->iter[red[nred - 1]].extent % RUN;
  w.outer = 1;
  for (int i = 0; i + 1 < nred; i++)
    if (!dn_mul(w.outer, n->iter[red[i]].extent, &w.outer) ||
        w.outer > MOST_OUTER)
      return false;
  int64_t runs = w.outer * (w.whole + (w.rest > 0));
  if (runs > MOST_RUNS / (int64_t)w.nrows || !all_runs_fit(&w))
    return false;
  copy_rows(&w, runs);
  add_runs(&w, runs, acc);
  return true;
}
