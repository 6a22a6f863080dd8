/* options.h - the command line of the three tools, from one table: a row of
 * options.def is a field of struct options, a line of --help and a name that
 * misspellings are compared with. */
#ifndef TOOLS_OPTIONS_H
#define TOOLS_OPTIONS_H

#include "ir/diag.h"

enum opt_tool { OPT_DNNC = 1, OPT_OPT = 2, OPT_RUN = 4 };

struct opt_strings {
  const char **v;
  size_t n, cap;
};
/* `seen`: given on the command line. */
struct opt_level {
  int level; /* 0..3 */
  bool size; /* -Os, -Oz */
  bool seen;
};
struct opt_real {
  double value;
  bool seen;
};

#define OPT_TYPE_BOOL bool
#define OPT_TYPE_INT int64_t
#define OPT_TYPE_REAL struct opt_real
#define OPT_TYPE_STRING const char *
#define OPT_TYPE_STRINGS struct opt_strings
#define OPT_TYPE_LEVEL struct opt_level
struct options {
#define GROUP(heading)
#define ALIAS(other, name, value)
#define OPTION(field, name, arg, kind, def, tools, help) OPT_TYPE_##kind field;
#include "tools/options.def"
#undef OPTION
#undef ALIAS
#undef GROUP
  struct opt_strings files; /* what is no option */
  enum opt_tool tool;
};

enum opt_kind {
  OPT_BOOL,
  OPT_INT,
  OPT_REAL,
  OPT_STRING,
  OPT_STRINGS,
  OPT_LEVEL
};

/* A row of options.def. */
struct opt_row {
  const char *heading; /* of a group; the rest is unused */
  const char *name, *arg;
  const char *of; /* an alias: of that option, with `help` as value */
  enum opt_kind kind;
  double def;
  unsigned tools;
  const char *help;
  size_t offset;
};
extern const struct opt_row opt_rows[];
extern const size_t opt_nrows;
/* What stands before a name, and between it and its value: "-oFILE" and "-O2"
 * are one word; a name that holds '=' is a word of its own; "--name=VALUE". */
const char *opt_dashes(const struct opt_row *row);
const char *opt_separator(const struct opt_row *row);

/* Reads a command line; `--limit-NAME=N` goes to ctx->limits. All mistakes are
 * DN_USAGE diagnostics; false when there was one. After --help, --help-hidden
 * or
 * --version, which it answers itself, `*done` is true. */
bool opt_parse(struct dn_ctx *ctx, enum opt_tool tool, int argc, char **argv,
               struct options *out, bool *done);

/* A whole number, which may end in K, M or G. */
bool opt_read_size(const char *text, int64_t *out);
/* "L1[,L2[,L3]]" in bytes; what is not given is -1. */
bool opt_read_caches(struct dn_ctx *ctx, const char *text, int64_t out[3]);
/* Digits of a size, and with `step` perhaps +STEP behind them. */
bool opt_read_dim(const char *text, int64_t *out, int64_t *step);

/* How many threads generated code has: one or more. */
int opt_threads(const struct options *o);

/* Copies the runner's flags. The rest of `out` is the caller's. */
struct pass_opts;
void opt_passes(const struct options *o, struct pass_opts *out);

/* --list-ops and --list-passes. */
void opt_list_ops(FILE *out);
void opt_list_passes(FILE *out);


#endif
