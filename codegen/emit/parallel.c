/* parallel.c - a kernel that threads share. Its function computes the
 * units [begin, end) of one loop; PREFIX_run calls
 *
 *   dnn_parallel_for(chunks, PREFIX.kN.NAME.chunk, pointers)
 *
 * and the chunk function loads the pointers and turns its number into a range.
 * Units and chunks are known here, so that ranges are immediates. */
#include "codegen/emit/impl.h"

#include <assert.h>
#include <string.h>

/* Several chunks for each thread: one that loses its core for a while leaves
 * the others to its peers. */
enum { CHUNKS_OF_A_THREAD = 8 };

static int64_t count_chunks(const struct emit *e,
                            const struct emit_function *f) {
  assert(f->units > 1 && e->opts->threads > 1 && "shared_level()");
  return dn_min(f->units, (int64_t)e->opts->threads * CHUNKS_OF_A_THREAD);
}

/* The first unit of chunk `i`: threads, which begin with as many chunks each, get
 * as many units each, up to one. */
static LLVMValueRef first_unit(struct emit *e, const struct emit_function *f,
                               LLVMBuilderRef b, LLVMValueRef i) {
  int64_t chunks = count_chunks(e, f), more = f->units % chunks;
  LLVMValueRef at = LLVMBuildMul(b, i, emit_iptr(e, f->units / chunks), "");
  if (!more)
    return at;
  LLVMValueRef extra = LLVMBuildMul(b, i, emit_iptr(e, more), "");
  extra = LLVMBuildUDiv(b, extra, emit_iptr(e, chunks), "");
  return LLVMBuildAdd(b, at, extra, "");
}

static LLVMTypeRef chunk_type(const struct emit *e) {
  return LLVMFunctionType(e->void_, (LLVMTypeRef[]){e->ptr, e->iptr}, 2, false);
}

/* void PREFIX.kN.NAME.chunk(void *pointers, size_t i) */
void emit_chunk(struct emit *e, struct emit_function *f, unsigned n) {
  assert(LLVMCountParams(f->fn) == n + 2 && "pointers, and a range of units");
  size_t length;
  const char *kernel = LLVMGetValueName2(f->fn, &length);
  const char *name = dn_printf(e->scratch, "%.*s.chunk", (int)length, kernel);
  LLVMValueRef fn = LLVMAddFunction(e->mod, name, chunk_type(e));
  emit_function_attributes(e, fn, name);
  LLVMSetUnnamedAddress(fn, LLVMGlobalUnnamedAddr);
  LLVMBuilderRef b = LLVMCreateBuilderInContext(e->lc);
  LLVMPositionBuilderAtEnd(b,
                           LLVMAppendBasicBlockInContext(e->lc, fn, "entry"));
  LLVMValueRef i = LLVMGetParam(fn, 1);
  LLVMValueRef *args = DN_ARRAY(e->scratch, LLVMValueRef, n + 2);
  for (unsigned p = 0; p < n; p++) {
    LLVMValueRef at = emit_iptr(e, p);
    at = LLVMBuildGEP2(b, e->ptr, LLVMGetParam(fn, 0), &at, 1, "");
    args[p] = LLVMBuildLoad2(b, e->ptr, at, "");
  }
  args[n] = first_unit(e, f, b, i);
  args[n + 1] = first_unit(e, f, b, LLVMBuildAdd(b, i, emit_iptr(e, 1), ""));
  LLVMBuildCall2(b, LLVMGlobalGetValueType(f->fn), f->fn, args, n + 2, "");
  LLVMBuildRetVoid(b);
  LLVMDisposeBuilder(b);
  f->chunk = fn;
}

/* Room in PREFIX_run for the pointers of the kernel that has most of them; one
 * kernel runs at a time. */
static LLVMValueRef passed_pointers(struct emit *e, unsigned n) {
  LLVMValueRef size = LLVMConstInt(e->i32, n, false);
  if (!e->passed) {
    LLVMBuilderRef b = LLVMCreateBuilderInContext(e->lc);
    LLVMBasicBlockRef entry = LLVMGetEntryBasicBlock(e->run);
    LLVMPositionBuilder(b, entry, LLVMGetFirstInstruction(entry));
    e->passed = LLVMBuildArrayAlloca(b, e->ptr, size, "pointers");
    LLVMDisposeBuilder(b);
  } else if (LLVMConstIntGetZExtValue(LLVMGetOperand(e->passed, 0)) < n) {
    LLVMSetOperand(e->passed, 0, size);
  }
  return e->passed;
}

void emit_parallel(struct emit *e, const struct emit_function *f,
                   LLVMValueRef *args, unsigned n) {
  static const char name[] = "dnn_parallel_for";
  LLVMTypeRef type = LLVMFunctionType(
      e->void_, (LLVMTypeRef[]){e->iptr, e->ptr, e->ptr}, 3, false);
  LLVMValueRef share = LLVMGetNamedFunction(e->mod, name);
  if (!share)
    share = LLVMAddFunction(e->mod, name, type);
  LLVMValueRef pointers = passed_pointers(e, n);
  for (unsigned i = 0; i < n; i++) {
    LLVMValueRef at = emit_iptr(e, i);
    LLVMBuildStore(e->b, args[i],
                   LLVMBuildGEP2(e->b, e->ptr, pointers, &at, 1, ""));
  }
  LLVMValueRef call[] = {emit_iptr(e, count_chunks(e, f)), f->chunk, pointers};
  LLVMBuildCall2(e->b, type, share, call, 3, "");
}
