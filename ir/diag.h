/* diag.h - diagnostics: each has a row in diags.def (number, exit code, title,
 * explanation), a place, a message, and notes that name the remedy. They are
 * printed as they come, up to --error-limit: an error does not stop a compile
 * by itself, its caller returns false and goes on where it can. */
#ifndef DN_DIAG_H
#define DN_DIAG_H

#include "ir/base.h"

/* Exit codes of all tools. */
enum dn_exit {
  DN_EXIT_OK = 0,
  DN_EXIT_MODEL = 1,       /* model or IR error */
  DN_EXIT_USAGE = 2,       /* command line, files that cannot be written */
  DN_EXIT_UNSUPPORTED = 3, /* an op, a type or an attribute */
  DN_EXIT_BUDGET = 4,      /* over --max-ram and the like */
  DN_EXIT_MISMATCH = 5,    /* results differ */
  DN_EXIT_INTERNAL = 70
};

enum dn_code {
#define DIAG(ID, number, exit, title, explain) DN_##ID = number,
#include "ir/diags.def"
#undef DIAG
};

/* Where: any part may be missing (NULL or 0). Prints as
 * `FILE:LINE:COL:` or `FILE: node 'NAME' (OP):` or `FILE: WHERE:`. */
struct dn_loc {
  const char *file;
  unsigned line, col;
  const char *node;  /* node name, unescaped */
  const char *op;    /* its operator, as the model spells it */
  const char *where; /* anything else: a tensor, "byte 1234", a JSON path */
};

/* An error; false, for `return`. */
bool dn_error(struct dn_ctx *ctx, struct dn_loc loc, enum dn_code code,
              const char *fmt, ...) DN_PRINTF(4, 5);
/* A DN_USAGE error of the command line, about option `where`. */
bool dn_usage(struct dn_ctx *ctx, const char *where, const char *fmt, ...)
    DN_PRINTF(3, 4);
/* At byte `at` of a file that is read in one pass: the first error ends it, and
 * clears `*ok`; those after it say nothing. */
bool dn_error_byte(struct dn_ctx *ctx, const char *file, size_t at, bool *ok,
                   enum dn_code code, const char *fmt, va_list ap);
void dn_warning(struct dn_ctx *ctx, struct dn_loc loc, const char *fmt, ...)
    DN_PRINTF(3, 4);
/* Belongs to the diagnostic before it. */
void dn_note(struct dn_ctx *ctx, const char *fmt, ...) DN_PRINTF(2, 3);
/* As dn_error(), then dn_raise(). */
_Noreturn void dn_fatal(struct dn_ctx *ctx, struct dn_loc loc,
                        enum dn_code code, const char *fmt, ...)
    DN_PRINTF(4, 5);

unsigned dn_errors(const struct dn_ctx *ctx);
/* Exit code of the first error, or DN_EXIT_OK. */
enum dn_exit dn_exit_code(const struct dn_ctx *ctx);

/* For dn_ctx_new(). */
struct dn_diags *dn_diags_new(struct dn_ctx *ctx, FILE *err);
/* How many errors, and how many warnings, are shown; 0, as at first: all. */
void dn_error_limit(struct dn_ctx *ctx, unsigned limit);

/* One stored diagnostic, for --verify-diagnostics. */
struct dn_diag {
  struct dn_loc loc;
  const char *severity; /* "error", "warning", "note" */
  const char *message;
  int number; /* 0 for warnings and notes */
};
/* While on, diagnostics are stored and not printed; what it was before. */
bool dn_diags_capture(struct dn_ctx *ctx, bool on);
/* Prints those from the i-th on, unless they are captured. */
void dn_diags_print(struct dn_ctx *ctx, size_t i);
/* Changes the code of errors from the i-th on from one to another. */
void dn_diags_recode(struct dn_ctx *ctx, size_t i, enum dn_code from,
                     enum dn_code to);
size_t dn_diags_count(const struct dn_ctx *ctx);
const struct dn_diag *dn_diags_get(const struct dn_ctx *ctx, size_t i);
/* Forgets errors from the i-th stored diagnostic on (a trial that failed). */
void dn_diags_rewind(struct dn_ctx *ctx, size_t i);

/* The page of `--explain E0101`, or NULL. */
const char *dn_explain(int number);

/* The word of a list that is near enough to `word` to have been meant; NULL:
 * none. */
const char *dn_nearest(const char *word, const char *const *list, size_t n);
/* A note that names it; false: none. */
bool dn_suggest(struct dn_ctx *ctx, const char *word, const char *const *list,
                size_t n);

#endif
