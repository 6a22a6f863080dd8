/* stack.h - the worst case of the stack: frame sizes as LLVM reports them under
 * the attribute "warn-stack-size"="0", their slots by remarks of
 * "stack-frame-layout", along the calls in the object. */
#ifndef CG_STACK_H
#define CG_STACK_H

#include "codegen/object/elf.h"
#include "codegen/target/target.h"

struct cg_frame { /* what one message says of a function's */
  const char *name;
  int64_t bytes;
  int64_t scaled; /* bytes for each unit of vscale */
  int64_t align;  /* the greatest of its slots */
};
struct cg_frames {
  struct dn_arena *arena;
  DN_LIST(struct cg_frame) list;
};
/* Takes one diagnostic or remark; false when it is not about a frame. */
bool cg_frames_add(struct cg_frames *f, const char *text);
/* Bytes below the caller's stack pointer that the function `entry` of the
 * object may use, return addresses included, with vectors of `vscale` units;
 * what memcpy and memset use is not. Each function is a section of its own. */
int64_t cg_frames_worst(struct cg_frames *f, const struct cg_target *t,
                        const struct cg_elf *elf, const char *entry,
                        int64_t vscale);

#endif
