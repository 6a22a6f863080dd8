/* dot.c - sums of products of 8-bit numbers or bf16, k consecutive ones at a time,
 * by the instruction that the target has for them (DOT rows of targets.def).
 * A lane of an operand is then a run: that many neighbours along the innermost
 * reduced iterator, in one load. The pass `tile` chooses it where the operands
 * lie so and `pack` has laid the weights out; where they do not, elements are
 * multiplied one by one. A run at the end of the sum that is shorter has zeros
 * in the broadcast operand, whatever the other one has there.
 *
 * Where each lane has a factor of its own, as channels of a depthwise window do,
 * the elements of a run are rows of lanes, which are interleaved. */
#include "codegen/emit/impl.h"
#include "codegen/target/target.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Number `i` of each run of four, widened. */
static LLVMValueRef element(struct kernel_cg *k, LLVMValueRef run, int64_t i,
                            bool is_signed) {
  LLVMValueRef v = LLVMBuildShl(k->b, run, emit_int(k, run, 24 - 8 * i), "");
  LLVMValueRef by = emit_int(k, run, 24);
  return is_signed ? LLVMBuildAShr(k->b, v, by, "")
                   : LLVMBuildLShr(k->b, v, by, "");
}

static LLVMValueRef as_floats(struct kernel_cg *k, LLVMValueRef bits) {
  LLVMTypeRef f32 = LLVMFloatTypeInContext(k->e->lc);
  return LLVMBuildBitCast(
      k->b, bits,
      emit_is_vector(bits) ? LLVMVectorType(f32, k->forms.lanes) : f32, "");
}

/* Number `i` of each run of two bf16, as f32. */
static LLVMValueRef half_element(struct kernel_cg *k, LLVMValueRef run,
                                 int64_t i) {
  return as_floats(k, i ? LLVMBuildAnd(k->b, run, emit_int(k, run, -65536), "")
                        : LLVMBuildShl(k->b, run, emit_int(k, run, 16), ""));
}

/* Vectors of what is left of a row, shorter than any that the target has. */
static LLVMValueRef one_by_one(struct kernel_cg *k, LLVMValueRef acc,
                               LLVMValueRef w, LLVMValueRef a) {
  bool is_signed = k->runs.dot.factor == IR_I8;
  for (int64_t i = 0; i < k->runs.dot.k; i++) {
    if (k->runs.dot.sum == IR_F32) {
      LLVMTypeRef type = LLVMTypeOf(acc);
      LLVMValueRef fma[] = {half_element(k, a, i), half_element(k, w, i), acc};
      acc = emit_intrinsic(k, "llvm.fma", &type, 1, fma, 3);
      continue;
    }
    LLVMValueRef x = element(k, a, i, is_signed), y = element(k, w, i, true);
    acc = LLVMBuildAdd(k->b, acc, LLVMBuildMul(k->b, x, y, ""), "");
  }
  return acc;
}

/* An intrinsic, whose operands have the type that this LLVM gives them. */
static LLVMValueRef call(struct kernel_cg *k, const char *name,
                         LLVMTypeRef *types, unsigned ntypes,
                         LLVMValueRef *arg) {
  LLVMTypeRef param[3];
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  LLVMGetParamTypes(LLVMIntrinsicGetType(k->e->lc, id, types, ntypes), param);
  for (int i = 1; i < 3; i++)
    arg[i] = LLVMBuildBitCast(k->b, arg[i], param[i], "");
  return emit_intrinsic(k, name, types, ntypes, arg, 3);
}

/* An instruction that vectors of three widths have. */
static LLVMValueRef dot_x86(struct kernel_cg *k, const char *name,
                            LLVMValueRef acc, LLVMValueRef w, LLVMValueRef a) {
  char of_width[64];
  bool few = k->runs.dot.factor == IR_I8; /* weights that are not negative */
  LLVMValueRef arg[] = {acc, few ? w : a, few ? a : w};
  unsigned lanes = k->forms.lanes;
  if (lanes != 16 && lanes != 8 && lanes != 4)
    return one_by_one(k, acc, w, a);
  snprintf(of_width, sizeof of_width, "%s.%u", name, 32 * lanes);
  return call(k, of_width, NULL, 0, arg);
}

static LLVMValueRef dot_VPDPBUSD(struct kernel_cg *k, LLVMValueRef acc,
                                 LLVMValueRef w, LLVMValueRef a) {
  return dot_x86(k, "llvm.x86.avx512.vpdpbusd", acc, w, a);
}

static LLVMValueRef dot_VDPBF16PS(struct kernel_cg *k, LLVMValueRef acc,
                                  LLVMValueRef w, LLVMValueRef a) {
  return dot_x86(k, "llvm.x86.avx512bf16.dpbf16ps", acc, w, a);
}

static LLVMValueRef dot_neon(struct kernel_cg *k, const char *name,
                             LLVMTypeRef element, LLVMValueRef acc,
                             LLVMValueRef w, LLVMValueRef a) {
  unsigned lanes = k->forms.lanes;
  LLVMTypeRef types[] = {
      LLVMTypeOf(acc),
      LLVMVectorType(element, (unsigned)k->runs.dot.k * lanes)};
  LLVMValueRef arg[] = {acc, w, a};
  if (lanes != 4 && lanes != 2)
    return one_by_one(k, acc, w, a);
  return call(k, name, types, 2, arg);
}

static LLVMValueRef dot_SDOT(struct kernel_cg *k, LLVMValueRef acc,
                             LLVMValueRef w, LLVMValueRef a) {
  return dot_neon(k, "llvm.aarch64.neon.sdot", k->e->i8, acc, w, a);
}

static LLVMValueRef dot_BFDOT(struct kernel_cg *k, LLVMValueRef acc,
                              LLVMValueRef w, LLVMValueRef a) {
  return dot_neon(k, "llvm.aarch64.neon.bfdot",
                  LLVMBFloatTypeInContext(k->e->lc), acc, w, a);
}

/* Eight or four lanes: pairs of products are summed up in 16 bits, where 2 *
 * 128 * 127 fits, and pairs of those in 32; pmaddubsw has one unsigned operand,
 * so the signs of the factors go to the weights. */
static LLVMValueRef dot_PMADD(struct kernel_cg *k, LLVMValueRef acc,
                              LLVMValueRef w, LLVMValueRef a) {
  static const char *const names[2][3] = {
      {"llvm.x86.ssse3.psign.b.128", "llvm.x86.ssse3.pmadd.ub.sw.128",
       "llvm.x86.sse2.pmadd.wd"},
      {"llvm.x86.avx2.psign.b", "llvm.x86.avx2.pmadd.ub.sw",
       "llvm.x86.avx2.pmadd.wd"}};
  unsigned lanes = k->forms.lanes;
  const char *const *name = names[lanes == 8];
  if (lanes != 8 && lanes != 4)
    return one_by_one(k, acc, w, a);
  LLVMTypeRef bytes = LLVMVectorType(k->e->i8, 4 * lanes);
  LLVMValueRef one = LLVMConstInt(LLVMInt16TypeInContext(k->e->lc), 1, false);
  a = LLVMBuildBitCast(k->b, a, bytes, "");
  w = LLVMBuildBitCast(k->b, w, bytes, "");
  LLVMValueRef abs[] = {a, LLVMConstNull(k->e->i1)}, sign[] = {w, a}, pair[2];
  pair[0] = emit_intrinsic(k, "llvm.abs", &bytes, 1, abs, 2);
  pair[1] = emit_intrinsic(k, name[0], NULL, 0, sign, 2);
  pair[0] = emit_intrinsic(k, name[1], NULL, 0, pair, 2);
  pair[1] = emit_splat(k, one, 2 * lanes);
  return LLVMBuildAdd(k->b, acc, emit_intrinsic(k, name[2], NULL, 0, pair, 2),
                      "");
}

/* vmladava: lanes are added up in a register of the core. */
static LLVMValueRef dot_VMLAV(struct kernel_cg *k, LLVMValueRef acc,
                              LLVMValueRef w, LLVMValueRef a) {
  LLVMValueRef no = LLVMConstNull(k->e->i32); /* unsigned, minus, exchange */
  LLVMValueRef arg[] = {no, no, no, acc, w, a};
  LLVMTypeRef type = LLVMTypeOf(w);
  return emit_intrinsic(k, "llvm.arm.mve.vmldava", &type, 1, arg, 6);
}

LLVMValueRef emit_two_bytes(struct kernel_cg *k, LLVMValueRef v, bool odd) {
  LLVMTypeRef t = k->e->i32;
  LLVMValueRef arg[] = {v, v, LLVMConstInt(t, 8, false)};
  if (odd)
    v = emit_intrinsic(k, "llvm.fshr", &t, 1, arg, 3);
  return emit_intrinsic(k, "llvm.arm.sxtb16", NULL, 0, &v, 1);
}

/* Of a word a b c d: a + c * 65536 and b + d * 65536, `across`: c + a * 65536 and
 * d + b * 65536. */
static void pairs_of_bytes(struct kernel_cg *k, LLVMValueRef word, bool across,
                           LLVMValueRef *pair) {
  LLVMTypeRef t = k->e->i32;
  word = LLVMBuildXor(k->b, word, LLVMConstInt(t, 0x80808080u, false), "");
  for (unsigned odd = 0; odd < 2; odd++) {
    LLVMValueRef by = LLVMConstInt(t, 8 * odd + (across ? 16 : 0), false);
    LLVMValueRef arg[] = {word, word, by};
    LLVMValueRef v = across ? emit_intrinsic(k, "llvm.fshr", &t, 1, arg, 3)
                            : LLVMBuildLShr(k->b, word, by, "");
    v = LLVMBuildAnd(k->b, v, LLVMConstInt(t, 0x00ff00ffu, false), "");
    pair[odd] = LLVMBuildSub(k->b, v, LLVMConstInt(t, 0x00800080u, false), "");
  }
}

void emit_halves(struct kernel_cg *k, LLVMValueRef word, bool row,
                 LLVMValueRef *halves) {
  if (k->runs.dot.id == CG_DOT_MLA)
    pairs_of_bytes(k, word, row, halves);
  for (int odd = 0; odd < 2 && k->runs.dot.id != CG_DOT_MLA; odd++)
    halves[odd] = emit_two_bytes(k, word, odd);
}

/* (a + c * 65536) * (z + x * 65536) has a * x + c * z in its upper half, where
 * that and a * z are numbers of 16 bits: half of its one, added, rounds. */
LLVMValueRef emit_add_halves(struct kernel_cg *k, LLVMValueRef acc,
                             LLVMValueRef row, LLVMValueRef w,
                             LLVMValueRef half) {
  LLVMValueRef arg[] = {row, w, acc}, by = LLVMConstInt(k->e->i32, 16, false);
  if (k->runs.dot.id != CG_DOT_MLA)
    return emit_intrinsic(k, "llvm.arm.smlad", NULL, 0, arg, 3);
  LLVMValueRef sum =
      LLVMBuildAdd(k->b, LLVMBuildMul(k->b, row, w, ""), half, "");
  return LLVMBuildAdd(k->b, acc, LLVMBuildAShr(k->b, sum, by, ""), "");
}

LLVMValueRef emit_half(const struct kernel_cg *k) {
  return LLVMConstInt(k->e->i32, 0x8000, false);
}

static LLVMValueRef dot_SMLAD(struct kernel_cg *k, LLVMValueRef acc,
                              LLVMValueRef w, LLVMValueRef a) {
  LLVMValueRef row[2], of[2];
  emit_halves(k, a, true, row);
  emit_halves(k, w, false, of);
  for (int odd = 0; odd < 2; odd++)
    acc = emit_add_halves(k, acc, row[odd], of[odd], emit_half(k));
  return acc;
}

static LLVMValueRef dot_MLA(struct kernel_cg *k, LLVMValueRef acc,
                            LLVMValueRef w, LLVMValueRef a) {
  return dot_SMLAD(k, acc, w, a);
}

static LLVMValueRef dot_WIDEN(struct kernel_cg *k, LLVMValueRef acc,
                              LLVMValueRef w, LLVMValueRef a) {
  return one_by_one(k, acc, w, a);
}

typedef LLVMValueRef dot_fn(struct kernel_cg *k, LLVMValueRef acc,
                            LLVMValueRef w, LLVMValueRef a);
static dot_fn *const instructions[] = {
#define DOT(ID, LLVM, text, k, factor, least, shape, lanes, registers, step,   \
            apart)                                                             \
  [CG_DOT_##ID] = dot_##ID,
#include "codegen/target/targets.def"
};

/* ---- Runs of rows ---- */

/* What a run of rows is known by: where it begins; false: outside. */
static bool rows_key(struct kernel_cg *k, const struct nest *n,
                     const struct affine *const *iter, struct memo_key *key) {
  struct run_address at;
  if (!runs_row(&k->runs, n, iter, &at) || !at.leaf)
    return false;
  *key = memo_key(k, MEMO_ROWS, true, at.leaf, at.at);
  for (int i = 0; i < at.nchecked; i++)
    memo_push(key, (uint64_t)(uintptr_t)at.checked[i]);
  return true;
}

/* One row more can be loaded, whatever it has. */
static bool has_row(struct kernel_cg *k, const struct nest *n,
                    const struct affine *const *iter) {
  struct run_address at;
  int64_t lo, hi;
  int inner = nest_inner_reduced(n);
  if (!runs_row(&k->runs, n, iter, &at) || !at.leaf)
    return false;
  for (int d = 0; d < n->access[0].rank; d++)
    if (n->access[0].idx[d].coef[inner] && n->access[0].idx[d].checked)
      return true;
  affine_range(&k->forms, at.at, &lo, &hi);
  return lo >= 0 && hi + k->forms.lanes <= ir_type_count(at.leaf->type);
}

static LLVMValueRef shuffle(struct kernel_cg *k, LLVMValueRef a, LLVMValueRef b,
                            unsigned lanes, unsigned step) {
  unsigned lane[64];
  assert(lanes <= 64 && "four rows of sixteen lanes at most");
  for (unsigned i = 0; i < lanes; i++)
    lane[i] = step ? i % 4 * step + i / 4 : i;
  return emit_shuffle(k, a, b, lane, lanes);
}

/* Element i of lane j is lane j of row i. A run of three takes a fourth row where
 * it can: the run that begins one later has it with its weights moved. */
static LLVMValueRef load_rows(struct kernel_cg *k, const struct nest *n,
                              const struct affine *const *iter, int64_t count,
                              bool *later) {
  unsigned lanes = k->forms.lanes;
  struct memo_key key;
  struct memo *found;
  LLVMValueRef row[4];
  assert(count > 0 && count <= 4 && "runs_are_rows()");
  bool named = rows_key(k, n, iter, &key);
  *later = false;
  if (named && (found = memo_find(k, &key)))
    return found->value;
  struct memo_key before;
  if (count == 3 && rows_key(k, n, runs_move(&k->runs, n, iter, -1), &before) &&
      (found = memo_find(k, &before)) && found->extra == 4) {
    *later = true;
    return found->value;
  }
  if (count == 3 && named)
    count += has_row(k, n, runs_move(&k->runs, n, iter, 3));
  for (int64_t i = 0; i < 4; i++)
    row[i] = i < count
                 ? emit_splat(
                       k, emit_access(k, n, 0, runs_move(&k->runs, n, iter, i)),
                       lanes)
                 : row[i - 1];
  if (k->failed)
    return row[0];
  LLVMValueRef v =
      shuffle(k, shuffle(k, row[0], row[1], 2 * lanes, 0),
              shuffle(k, row[2], row[3], 2 * lanes, 0), 4 * lanes, lanes);
  v = LLVMBuildBitCast(k->b, v, LLVMVectorType(k->e->i32, lanes), "");
  return named ? memo_add(k, &key, v, count)->value : v;
}

/* Whole runs of weights are there for `count` of them, where `pack` has filled
 * them up: what is beyond is multiplied with zeros. */
static int64_t run_of_weights(struct kernel_cg *k, const struct nest *n,
                              const struct affine *const *iter, int64_t count) {
  struct run_address at;
  int64_t lo = 0, hi = 0;
  if (count == k->runs.dot.k || k->runs.dot.shape != IR_DOT_ALONG ||
      !runs_address(&k->runs, n, 1, iter, &at) || !at.leaf || at.nchecked ||
      !at.leaf->data)
    return count;
  affine_range(&k->forms, at.at, &lo, &hi);
  return hi + k->runs.dot.k <= ir_type_count(at.leaf->type) ? k->runs.dot.k
                                                            : count;
}

LLVMValueRef emit_dot(struct kernel_cg *k, const struct nest *n,
                      LLVMValueRef acc, unsigned lanes,
                      const struct affine *const *iter, int64_t count) {
  k->forms.lanes = lanes;
  assert(count > 0 && count <= k->runs.dot.k && "runs_sum_fits()");
  bool later = false;
  bool rows = runs_are_rows(&k->runs, n, iter, count);
  k->run = rows ? 0 : count;
  LLVMValueRef a =
      rows ? load_rows(k, n, iter, count, &later) : emit_access(k, n, 0, iter);
  unsigned lanes_of_group = k->group.lanes;
  k->run = run_of_weights(k, n, iter, count);
  k->group.lanes = 0; /* weights of one column are no neighbours */
  LLVMValueRef w = emit_access(k, n, 1, iter);
  k->group.lanes = lanes_of_group;
  k->run = 0;
  if (k->failed)
    return acc;
  w = emit_splat(k, w, lanes);
  if (later)
    w = LLVMBuildShl(k->b, w, emit_int(k, w, 8), "");
  return instructions[k->runs.dot.id](k, acc, w, emit_splat(k, a, lanes));
}

/* ---- Four products at once, of four lanes ---- */

/* acc plus the products of lanes: halves of registers are multiplied. */
LLVMValueRef emit_words(struct kernel_cg *k, const struct nest *n,
                        LLVMValueRef acc, const struct affine *const *iter) {
  LLVMValueRef word[2];
  assert(k->forms.lanes == RUNS_WORD && "runs_words_fit()");
  k->run = 4;
  for (int a = 0; a < 2; a++)
    word[a] = emit_access(k, n, a, iter);
  k->run = 0;
  for (unsigned i = 0; i < 4 && !k->failed; i++) {
    LLVMValueRef arg[] = {emit_two_bytes(k, word[0], i & 1),
                          emit_two_bytes(k, word[1], i & 1),
                          emit_lane(k, acc, i)};
    LLVMValueRef sum = emit_intrinsic(
        k, i & 2 ? "llvm.arm.smlatt" : "llvm.arm.smlabb", NULL, 0, arg, 3);
    acc = emit_with_lane(k, acc, i, sum);
  }
  return acc;
}
