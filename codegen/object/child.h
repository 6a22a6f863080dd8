/* child.h - work that LLVM may abort runs in a child process: a crash or a
 * fatal error there becomes a message here, and the memory it took is gone. */
#ifndef CG_CHILD_H
#define CG_CHILD_H

#include "ir/base.h"

/* Writes its results to `fd`; false: failed, with a message there or not. */
typedef bool cg_child_fn(void *user, int fd);

struct cg_child {
  bool ok;             /* ended, and fn returned true */
  bool crashed;        /* a signal, a fatal error of LLVM, or out of time */
  const char *message; /* of a crash, one line */
  const char *out;     /* what fn wrote to fd */
  size_t size;
};
/* Runs fn in a child; `seconds` 0 means no limit. Strings in the context's
 * arena. The child sees a copy of everything; dn_raise() there ends it. */
void cg_child_run(struct dn_ctx *ctx, cg_child_fn *fn, void *user,
                  unsigned seconds, struct cg_child *result);

#endif
