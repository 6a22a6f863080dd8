/* wide.c - sums of products of bytes by an instruction that multiplies halves of
 * registers (DSP of ARM), or pairs of bytes far enough apart (emit_add_halves() of
 * dot.c): the rows of a tile are widened to 16 bits once, before
 * the loop over the columns, into memory of the kernel's own. There a run of four
 * of each row follows that of the row before it, as two words, so that the
 * products of a tile read one pointer, and a window is one run from end to end;
 * its edges are the copy's alone. What the products read is volatile: LLVM's
 * scheduler would load ahead of them into more registers than there are.
 *
 *   of a run a b c d of one row:   a c  b d     (as sxtb16 takes bytes apart) */
#include "codegen/emit/impl.h"
#include "codegen/target/target.h"

#include <assert.h>
#include <string.h>

enum { RUN = 4, WORD = 4 };

/* ---- The copy ---- */

static LLVMValueRef rows_at(struct kernel_cg *k, struct runs_wide *w,
                            const struct affine *run, int64_t bytes) {
  int64_t step = (int64_t)w->nrows * 2 * WORD;
  LLVMValueRef at =
      index_value(k, affine_add(&k->forms, affine_const(&k->forms, 0),
                                affine_plus(&k->forms, run, -run->c), step));
  return emit_further_by(k, emit_further(k, k->wide.rows, at),
                         run->c * step + bytes);
}

/* Runs of a row up to the end of the innermost iterator. */
static int64_t runs_of_row(const struct runs_wide *w) {
  return w->whole + (w->rest > 0);
}

/* Runs of one element, at places that are known wherever they are read, have no
 * second word. */
static bool ends_half(const struct kernel_cg *k, const struct runs_wide *w) {
  assert(w->rest >= 0 && w->rest < RUN && "runs_widen()");
  return w->rest == 1 &&
         (k->sched.unroll >= w->runs || k->sched.unroll % runs_of_row(w) == 0);
}

/* `count` elements of every row from `at` on, which are run number `run`. */
static void copy_run(struct kernel_cg *k, struct runs_wide *w,
                     const struct affine *at, int64_t count,
                     const struct affine *run) {
  assert(count > 0 && count <= RUN && "copy_level() cuts rows into runs");
  for (unsigned r = 0; r < w->nrows && !k->failed; r++) {
    const struct affine **iter =
        w->iter + (size_t)w->of_row[r] * NEST_MAX_ITERS;
    iter[w->red[w->nred - 1]] = at;
    k->run = count;
    LLVMValueRef word = emit_access(k, w->n, 0, iter), half[2];
    k->run = 0;
    if (k->failed)
      return;
    emit_halves(k, word, true, half);
    unsigned words = count == 1 && ends_half(k, w) ? 1 : 2;
    for (unsigned odd = 0; odd < words; odd++)
      LLVMBuildStore(k->b, half[odd], rows_at(k, w, run, (2 * r + odd) * WORD));
  }
}

/* From one value of a reduced iterator on; `run` counts runs. */
static void copy_level(struct kernel_cg *k, struct runs_wide *w, int depth,
                       const struct affine *run) {
  assert(depth < w->nred && "the innermost level has the runs");
  bool inner = depth + 1 == w->nred;
  int64_t each = 1, extent = w->n->iter[w->red[depth]].extent;
  for (int i = depth + 1; i < w->nred; i++)
    each *= i + 1 < w->nred ? w->n->iter[w->red[i]].extent : runs_of_row(w);
  if (inner)
    extent = w->whole;
  const struct affine *at = scope_open_some(k, extent, 1);
  const struct affine *next = affine_add(&k->forms, run, at, each);
  if (inner && extent) {
    copy_run(k, w, affine_add(&k->forms, affine_const(&k->forms, 0), at, RUN),
             RUN, next);
  } else if (!inner) {
    for (unsigned p = 0; p < w->npt; p++)
      w->iter[p * NEST_MAX_ITERS + (unsigned)w->red[depth]] = at;
    copy_level(k, w, depth + 1, next);
  }
  scope_close_some(k, extent);
  if (inner && w->rest)
    copy_run(k, w, affine_const(&k->forms, w->whole * RUN), w->rest,
             affine_plus(&k->forms, run, w->whole));
}

/* Memory of the function, as large as what needs it first, and most, as a rule.
 */
static void find_memory(struct kernel_cg *k, struct runs_wide *w,
                        int64_t runs) {
  int64_t words = runs * 2 * (int64_t)w->nrows;
  if (words <= k->wide.words)
    return;
  k->wide.rows = scope_memory(k, words, 2 * WORD, "rows");
  k->wide.words = words;
}

static void copy_rows(struct kernel_cg *k, struct runs_wide *w, int64_t runs) {
  struct hoist h;
  find_memory(k, w, runs);
  assert(k->scope->depth > 0 && "runs_rows_outside(): in a loop");
  k->wide.before = k->scope;
  hoist_begin(k, k->scope->depth - 1, &h);
  copy_level(k, w, 0, affine_const(&k->forms, 0));
  hoist_end(k, &h);
}

/* ---- The sums ---- */

/* Both words of a row. */
static LLVMValueRef row_words(struct kernel_cg *k, struct runs_wide *w,
                              const struct affine *run, unsigned row) {
  LLVMValueRef v =
      emit_load_at(k, k->e->i64, rows_at(k, w, run, 2 * row * WORD), 2 * WORD);
  LLVMSetVolatile(v, true);
  return v;
}

/* acc plus the products of run number `run`, the row's run `at`, of all points. */
static void add_run(struct kernel_cg *k, struct runs_wide *w,
                    const struct affine *run, int64_t at, LLVMValueRef *acc) {
  struct ir_place place;
  unsigned words = ends_half(k, w) && at == w->whole ? 1 : 2;
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
    LLVMValueRef of[2];
    emit_halves(k, word, false, of);
    for (unsigned p = 0; p < w->npt; p++) {
      unsigned r = w->row[p];
      row[r] = row[r] ? row[r] : row_words(k, w, run, r);
      for (unsigned odd = 0; odd < words && w->column[p] == c; odd++) {
        LLVMValueRef a = LLVMBuildLShr(
            k->b, row[r], LLVMConstInt(k->e->i64, 32 * odd, false), "");
        a = LLVMBuildTrunc(k->b, a, k->e->i32, "");
        acc[p] = emit_add_halves(k, acc[p], a, of[odd], k->wide.half);
      }
    }
  }
}

static void add_runs(struct kernel_cg *k, struct runs_wide *w, int64_t runs,
                     LLVMValueRef *acc) {
  assert(runs > 0 && k->sched.unroll > 0 && "runs_widen(), rule schedule");
  int64_t unroll = dn_min(k->sched.unroll, runs), i = runs / unroll * unroll;
  int64_t row = runs_of_row(w);
  const struct affine *base = affine_const(&k->forms, 0);
  LLVMValueRef *phi = DN_ARRAY(k->arena, LLVMValueRef, w->npt);
  bool loop = runs / unroll > 1;
  k->wide.half = scope_hide(k, emit_half(k));
  if (loop) {
    scope_open(k, runs / unroll, w->npt, acc, phi);
    memcpy(acc, phi, w->npt * sizeof *acc);
    base = affine_var(&k->forms, k->scope->var, unroll);
  }
  for (int64_t j = 0; j < unroll && !k->failed; j++)
    add_run(k, w, affine_plus(&k->forms, base, j), j % row, acc);
  if (loop)
    scope_close(k, w->npt, phi, acc);
  for (; i < runs && !k->failed; i++)
    add_run(k, w, affine_const(&k->forms, i), i % row, acc);
}

bool emit_wide_sums(struct kernel_cg *k, struct runs_wide *w,
                    LLVMValueRef *acc) {
  if (!runs_rows_outside(w, k->scope->depth) || k->wide.before == k->scope)
    return false;
  if ((k->runs.dot.id != CG_DOT_SMLAD && k->runs.dot.id != CG_DOT_MLA) ||
      !runs_widen(&k->runs, w)) {
    emit_no_runs(k, "wide");
    return true;
  }
  copy_rows(k, w, w->runs);
  add_runs(k, w, w->runs, acc);
  return true;
}
