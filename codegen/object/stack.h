/* stack.h - the worst case of the stack: frame sizes as LLVM reports them under
 * the attribute "warn-stack-size"="0" and, for what grows with the processor's
 * vectors, in remarks of "stack-frame-layout", along the calls of the module.
 */
#ifndef CG_STACK_H
#define CG_STACK_H

#include "codegen/target/target.h"

/* Vectors on the stack are taken to have at most 1024 bits (RISC-V: 64 bits
 * for each vscale). */
enum { CG_MAX_VSCALE = 16 };

struct cg_function {
  const void *key; /* the LLVM function */
  const char *name;
  int64_t frame, depth; /* bytes; depth -1: not known yet, -2: in work */
  DN_LIST(size_t) calls;
  bool soft; /* arithmetic that LLVM calls without a call in the IR */
};
struct cg_frames {
  struct dn_arena *arena;
  DN_LIST(struct cg_function) functions; /* by key once calls are known */
  DN_LIST(struct cg_frame {
    const char *name;
    int64_t bytes;
  })
  frames;
  const char *entry;
};
void cg_frames_init(struct cg_frames *f, struct dn_arena *arena);
/* Takes one diagnostic or remark; false when it is not about a frame. */
bool cg_frames_add(struct cg_frames *f, const char *text);
/* Takes the calls of a module; before its object is emitted. */
void cg_frames_calls(struct cg_frames *f, LLVMModuleRef module,
                     const char *entry);
/* Bytes below the caller's stack pointer that the entry function may use,
 * return addresses included; what memcpy and memset use is not. */
int64_t cg_frames_worst(struct cg_frames *f, const struct cg_target *t);

#endif
