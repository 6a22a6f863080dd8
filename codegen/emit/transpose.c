/* transpose.c - a block of elements that was read along one dimension and
 * is stored along another is transposed in registers: n rows of n lanes, in
 * log2(n) steps. A step of distance s exchanges, in every pair of rows i and
 * i + s, the upper right and the lower left of the s x s squares (Eklundh, "A
 * Fast Computer Method for Matrix Transposing", IEEE Trans. Computers C-21,
 * 1972):
 *
 *   a = a0 a1 a2 a3    s = 1    a0 b0 a2 b2
 *   b = b0 b1 b2 b3     ->      a1 b1 a3 b3
 *
 * which is trn1 and trn2 of NEON, and a move and a blend of AVX. */
#include "codegen/emit/impl.h"

#include <assert.h>

/* Lanes of one of the two results: of the pair (a, b), a lane of a is l, one of
 * b is n + l. */
static LLVMValueRef exchange(struct kernel_cg *k, LLVMValueRef a,
                             LLVMValueRef b, unsigned n, unsigned s,
                             bool lower) {
  assert(s < n && LLVMTypeOf(a) == LLVMTypeOf(b) && "rows of one type");
  unsigned *lane = DN_ARRAY(k->arena, unsigned, n);
  for (unsigned l = 0; l < n; l++)
    lane[l] = l & s ? n + l - (lower ? 0 : s) : l + (lower ? s : 0);
  return emit_shuffle(k, a, b, lane, n);
}

void emit_transpose(struct kernel_cg *k, LLVMValueRef *row, unsigned n) {
  assert(n && !(n & (n - 1)) && "rule loops: squares of a power of two");
  for (unsigned s = 1; s < n; s *= 2)
    for (unsigned i = 0; i < n; i++) {
      LLVMValueRef a = row[i];
      if (i & s)
        continue;
      row[i] = exchange(k, a, row[i + s], n, s, false);
      row[i + s] = exchange(k, a, row[i + s], n, s, true);
    }
}

/* Half of a and of b, lane by lane in turn. */
static LLVMValueRef zip(struct kernel_cg *k, LLVMValueRef a, LLVMValueRef b,
                        unsigned n, bool upper) {
  unsigned *lane = DN_ARRAY(k->arena, unsigned, n);
  for (unsigned l = 0; l < n; l++)
    lane[l] = l / 2 + (upper ? n / 2 : 0) + (l % 2 ? n : 0);
  return emit_shuffle(k, a, b, lane, n);
}

/* Those of even number first, then the odd ones; each in turn with the other.
 */
void emit_interleave(struct kernel_cg *k, LLVMValueRef *v, unsigned count,
                     unsigned n) {
  if (count == 1)
    return;
  unsigned half = count / 2;
  assert(count % 2 == 0 && n % 2 == 0 && "is_strip(): powers of two");
  LLVMValueRef *even = DN_ARRAY(k->arena, LLVMValueRef, half);
  LLVMValueRef *odd = DN_ARRAY(k->arena, LLVMValueRef, half);
  for (unsigned i = 0; i < half; i++) {
    even[i] = v[2 * i];
    odd[i] = v[2 * i + 1];
  }
  emit_interleave(k, even, half, n);
  emit_interleave(k, odd, half, n);
  for (unsigned i = 0; i < half; i++) {
    v[2 * i] = zip(k, even[i], odd[i], n, false);
    v[2 * i + 1] = zip(k, even[i], odd[i], n, true);
  }
}
