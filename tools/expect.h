/* expect.h - --verify-diagnostics: the diagnostics of a run against comments in
 * its text, as MLIR's tests have them:
 *
 *   // expected-error@+1 {{no attribute 'foo'}}
 *   %1 = relu %x {foo=1}
 *
 * `error`, `warning` or `note`; @+N, @-N lines away, @unknown for a diagnostic
 * without a line, nothing for the same line. The text must occur in the message
 * (which ends in its number, as in "[E0202]"). Every error and warning must be
 * expected and every expectation met; notes may be left out. */
#ifndef TOOLS_EXPECT_H
#define TOOLS_EXPECT_H

#include "ir/diag.h"

/* Compares captured diagnostics with the comments in `text`, whose first line
 * has number 1. What does not agree is printed; false then. */
bool expect_check(struct dn_ctx *ctx, const char *file, const char *text);

#endif
