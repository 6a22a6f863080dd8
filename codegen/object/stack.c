/* stack.c - see stack.h. */
#include "codegen/object/stack.h"

#include "codegen/object/soft.h"

#include <assert.h>
#include <llvm-c/Core.h>
#include <stdlib.h>
#include <string.h>

void cg_frames_init(struct cg_frames *f, struct dn_arena *arena) {
  *f = (struct cg_frames){.arena = arena};
}

/* "Function: f", then a line for each slot of the frame, of which those that
 * grow with the processor's vectors end in "Size: vscale x 32". */
static bool add_layout(struct cg_frames *f, const char *text) {
  static const char name[] = "Function: ", slot[] = "Size: vscale x ";
  const char *p = strstr(text, name);
  int64_t bytes = 0;
  if (!p)
    return false;
  p += sizeof name - 1;
  for (const char *s = p; (s = strstr(s, slot));) {
    s += sizeof slot - 1;
    bytes += strtoll(s, NULL, 10);
  }
  struct cg_frame frame = {dn_strndup(f->arena, p, strcspn(p, "\n")),
                           (bytes + 15) / 16 * 16 * CG_MAX_VSCALE};
  DN_PUSH(f->arena, f->frames, frame);
  return true;
}

/* "... stack frame size (48) exceeds limit (0) in function 'f'" */
bool cg_frames_add(struct cg_frames *f, const char *text) {
  static const char head[] = "stack frame size (", name[] = "function '";
  const char *size = strstr(text, head), *p = strstr(text, name);
  if (!size || !p)
    return add_layout(f, text);
  p += sizeof name - 1;
  const char *end = strrchr(p, '\'');
  struct cg_frame frame = {
      dn_strndup(f->arena, p, end ? (size_t)(end - p) : strlen(p)),
      strtoll(size + sizeof head - 1, NULL, 10)};
  DN_PUSH(f->arena, f->frames, frame);
  return true;
}

static int compare_keys(const void *a, const void *b) {
  uintptr_t x = (uintptr_t)((const struct cg_function *)a)->key;
  uintptr_t y = (uintptr_t)((const struct cg_function *)b)->key;
  return x < y ? -1 : x > y;
}

static int compare_names(const void *a, const void *b) {
  return strcmp(((const struct cg_frame *)a)->name,
                ((const struct cg_frame *)b)->name);
}

/* Functions called, and those whose address is taken, which may be called. */
static void add_calls(struct cg_frames *f, struct cg_function *caller,
                      LLVMValueRef function) {
  for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b;
       b = LLVMGetNextBasicBlock(b))
    for (LLVMValueRef i = LLVMGetFirstInstruction(b); i;
         i = LLVMGetNextInstruction(i)) {
      if (!LLVMIsACallInst(i))
        continue;
      for (int k = 0; k < LLVMGetNumOperands(i); k++) {
        struct cg_function key = {.key = LLVMGetOperand(i, (unsigned)k)};
        struct cg_function *hit = bsearch(&key, f->functions.v, f->functions.n,
                                          sizeof *f->functions.v, compare_keys);
        if (hit)
          DN_PUSH(f->arena, caller->calls, (size_t)(hit - f->functions.v));
      }
    }
}

void cg_frames_calls(struct cg_frames *f, LLVMModuleRef module,
                     const char *entry) {
  f->entry = entry;
  f->functions.n = f->frames.n = 0;
  for (LLVMValueRef v = LLVMGetFirstFunction(module); v;
       v = LLVMGetNextFunction(v)) {
    if (LLVMIsDeclaration(v))
      continue;
    size_t n;
    const char *name = LLVMGetValueName2(v, &n);
    struct cg_function one = {.key = v,
                              .name = dn_strndup(f->arena, name, n),
                              .depth = -1,
                              .soft = cg_soft_is(name)};
    DN_PUSH(f->arena, f->functions, one);
  }
  if (f->functions.n)
    qsort(f->functions.v, f->functions.n, sizeof *f->functions.v, compare_keys);
  for (size_t i = 0; i < f->functions.n; i++) {
    union {
      const void *key;
      LLVMValueRef function;
    } u = {f->functions.v[i].key};
    add_calls(f, &f->functions.v[i], u.function);
  }
}

/* The call graph has no cycles but for a function that calls itself; that one
 * step is counted once. */
static int64_t depth_of(struct cg_frames *f, size_t i, int64_t call) {
  assert(i < f->functions.n &&
         "calls are to functions of the module: add_calls()");
  struct cg_function *fn = &f->functions.v[i];
  if (fn->depth != -1)
    return dn_max(fn->depth, 0);
  fn->depth = -2;
  int64_t deepest = 0;
  for (size_t k = 0; k < fn->calls.n; k++)
    deepest = dn_max(deepest, depth_of(f, fn->calls.v[k], call));
  return fn->depth = call + fn->frame + deepest;
}

/* What is known of a function's frame, of `n` entries sorted by name. */
static int64_t frame_of(const struct cg_frame *sorted, size_t n,
                        const char *name) {
  struct cg_frame key = {.name = name};
  const struct cg_frame *hit = NULL, *end = sorted + n;
  int64_t bytes = 0;
  if (n)
    hit = bsearch(&key, sorted, n, sizeof key, compare_names);
  while (hit && hit > sorted && !compare_names(hit - 1, &key))
    hit--;
  for (; hit && hit < end && !compare_names(hit, &key); hit++)
    bytes += hit->bytes;
  return bytes;
}

int64_t cg_frames_worst(struct cg_frames *f, const struct cg_target *t) {
  int64_t call = t->row->backend == CG_X86 ? t->facts.pointer_bytes : 0;
  assert(f->entry && "cg_frames_calls() comes before");
  int64_t soft = 0, soft_frame = 0, worst = 0;
  if (f->frames.n)
    qsort(f->frames.v, f->frames.n, sizeof *f->frames.v, compare_names);
  for (size_t i = 0; i < f->functions.n; i++) {
    struct cg_function *fn = &f->functions.v[i];
    fn->frame = frame_of(f->frames.v, f->frames.n, fn->name);
    fn->depth = -1;
  }
  for (size_t i = 0; i < f->functions.n; i++) {
    struct cg_function *fn = &f->functions.v[i];
    if (fn->soft) {
      soft = dn_max(soft, depth_of(f, i, call));
      soft_frame = dn_max(soft_frame, fn->frame + call);
    } else if (!strcmp(fn->name, f->entry)) {
      worst = depth_of(f, i, call);
    }
  }
  /* Any function may call soft arithmetic, which may call one more of it. */
  return worst + soft + soft_frame;
}
