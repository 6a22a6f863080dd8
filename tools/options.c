/* options.c - see options.h. */
#include "tools/options.h"

#include "ir/place.h"
#include "passes/pass.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Readers recurse this deep at most, which fits any stack. */
enum { MAX_DEPTH = 1000 };

enum { D = OPT_DNNC, O = OPT_OPT, R = OPT_RUN, X = 8, N = 16, C = 32 };

const struct opt_row opt_rows[] = {
#define GROUP(text) {.heading = text},
#define ALIAS(other, opt, value) {.name = other, .of = opt, .help = value},
#define OPTION(field, text, value, type, preset, who, about)                   \
  {.name = text,                                                               \
   .arg = value,                                                               \
   .kind = OPT_##type,                                                         \
   .def = preset,                                                              \
   .tools = who,                                                               \
   .help = about,                                                              \
   .offset = offsetof(struct options, field)},
#include "tools/options.def"
#undef OPTION
#undef ALIAS
#undef GROUP
};
enum { NROWS = DN_COUNT(opt_rows) };
const size_t opt_nrows = NROWS;

struct reader {
  struct dn_ctx *ctx;
  struct options *out;
  const char *tool;
  int argc, at;
  char **argv;
  bool seen[NROWS], ok;
};

const char *opt_dashes(const struct opt_row *row) {
  return !row->name[1] || row->tools & C ? "-" : "--";
}

const char *opt_separator(const struct opt_row *row) {
  if (!*row->arg || row->kind == OPT_LEVEL)
    return "";
  if (*row->arg == '[')
    return "[=";
  return !row->name[1] || strchr(row->arg, '=') ? " " : "=";
}

static const char *tool_name(enum opt_tool tool) {
  return tool == OPT_DNNC ? "dnnc" : tool == OPT_OPT ? "dnnc-opt" : "dnnc-run";
}

static void fail(struct reader *r, const char *fmt, ...) DN_PRINTF(2, 3);
static void fail(struct reader *r, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  const char *text = dn_vprintf(r->ctx->arena, fmt, ap);
  va_end(ap);
  dn_error(r->ctx, (struct dn_loc){.file = r->tool}, DN_USAGE, "%s", text);
  r->ok = false;
}

/* ---- Values ---- */

bool opt_read_size(const char *text, int64_t *out) {
  static const char units[] = "KMG";
  char *end;
  errno = 0;
  long long v = strtoll(text, &end, 10);
  const char *unit = *end ? strchr(units, *end) : NULL;
  *out = v;
  if (unit && !end[1] &&
      !dn_mul(v, INT64_C(1) << (10 * (unit - units + 1)), out))
    return false;
  return !errno && end != text && (!*end || (unit && !end[1]));
}

bool opt_read_caches(struct dn_ctx *ctx, const char *text, int64_t out[3]) {
  size_t i = 0;
  out[0] = out[1] = out[2] = -1;
  for (const char *p = text; p && *p && i < 3; i++) {
    size_t n = strcspn(p, ",");
    if (!opt_read_size(dn_strndup(ctx->arena, p, n), &out[i]) || out[i] < 0)
      break;
    p += n + (p[n] == ',');
    text = p;
  }
  return !text || !*text ||
         dn_usage(ctx, "--caches", "'%.100s': up to three sizes, as 32K,1M",
                  dn_escaped(ctx->arena, text));
}

static bool read_digits(const char **p, int64_t *out) {
  const char *from = *p;
  bool ok = true;
  for (*out = 0; **p >= '0' && **p <= '9'; ++*p)
    ok = ok && dn_mul(*out, 10, out) && dn_add(*out, **p - '0', out);
  return ok && *p > from;
}

bool opt_read_dim(const char *text, int64_t *out, int64_t *step) {
  bool ok = read_digits(&text, out);
  if (step)
    *step = 0;
  if (ok && step && *text == '+') {
    text++;
    ok = read_digits(&text, step);
  }
  return ok && !*text;
}

static bool read_real(const char *text, double *out) {
  char *end;
  *out = strtod(text, &end);
  return end != text && !*end && isfinite(*out);
}

static void set(struct reader *r, const struct opt_row *row,
                const char *value) {
  void *field = (char *)r->out + row->offset;
  bool again = r->seen[row - opt_rows], same = true;
  r->seen[row - opt_rows] = true;
  switch (row->kind) {
  case OPT_BOOL:
    *(bool *)field = true;
    return;
  case OPT_INT: {
    int64_t v;
    if (!opt_read_size(value, &v) || v < 0) {
      fail(r, "--%s takes a whole number, as 64, 64K or 1M, not '%s'",
           row->name, value);
      return;
    }
    same = *(int64_t *)field == v;
    *(int64_t *)field = v;
    break;
  }
  case OPT_REAL: {
    struct opt_real *real = field;
    double v = row->def;
    if (value && (!read_real(value, &v) || v < 0))
      fail(r, "--%s takes a number, not '%s'", row->name, value);
    same = real->value >= v && real->value <= v;
    *real = (struct opt_real){v, true};
    break;
  }
  case OPT_STRING:
    same = *(const char **)field && !strcmp(*(const char **)field, value);
    *(const char **)field = value;
    break;
  case OPT_STRINGS: {
    struct opt_strings *list = field;
    DN_PUSH(r->ctx->arena, *list, value);
    return;
  }
  case OPT_LEVEL: { /* the last one wins, as in every compiler */
    bool size = !strcmp(value, "s") || !strcmp(value, "z");
    if (!size && (value[0] < '0' || value[0] > '3' || value[1]))
      fail(r, "-O takes 0, 1, 2, 3, s or z, not '%s'", value);
    *(struct opt_level *)field =
        (struct opt_level){size ? 2 : value[0] - '0', size, true};
    return;
  }
  }
  if (again && !same)
    fail(r, "--%s is given twice", row->name);
}

static void set_defaults(struct options *out) {
  for (const struct opt_row *row = opt_rows; row < opt_rows + NROWS; row++) {
    void *field = (char *)out + row->offset;
    if (row->heading || row->of)
      continue;
    if (row->kind == OPT_INT)
      *(int64_t *)field = (int64_t)row->def;
    else if (row->kind == OPT_REAL)
      ((struct opt_real *)field)->value = row->def;
    else if (row->kind == OPT_LEVEL)
      ((struct opt_level *)field)->level = (int)row->def;
  }
}

/* ---- Names ---- */

static const struct opt_row *find(const struct reader *r, const char *name,
                                  size_t n) {
  for (const struct opt_row *row = opt_rows; row < opt_rows + NROWS; row++)
    if (!row->heading && (row->of || (row->tools & r->out->tool)) &&
        strlen(row->name) == n && !memcmp(row->name, name, n))
      return row;
  return NULL;
}

/* The option that an alias stands for; NULL: this tool does not have it. */
static const struct opt_row *resolve(const struct reader *r,
                                     const struct opt_row *row) {
  return row && row->of ? find(r, row->of, strlen(row->of)) : row;
}

/* Another tool that has the option, or NULL. */
static const char *other_tool(const struct reader *r, const char *name) {
  static const enum opt_tool tools[] = {OPT_DNNC, OPT_RUN, OPT_OPT};
  for (const struct opt_row *row = opt_rows; row < opt_rows + NROWS; row++)
    for (int i = 0; i < 3 && !row->heading && !strcmp(row->name, name); i++)
      if (row->tools & tools[i] & ~(unsigned)r->out->tool)
        return tool_name(tools[i]);
  return NULL;
}

static void unknown(struct reader *r, const char *arg) {
  const char *names[NROWS];
  size_t n = 0;
  for (const struct opt_row *row = opt_rows; row < opt_rows + NROWS; row++)
    if (!row->heading && (row->tools & r->out->tool) && !(row->tools & N))
      names[n++] = row->name;
  const char *word = arg + strspn(arg, "-");
  word = dn_strndup(r->ctx->arena, word, strcspn(word, "="));
  const char *near = dn_nearest(word, names, n);
  fail(r, "unknown option '%s'", arg);
  if (near)
    dn_note(r->ctx, "did you mean %s%s?",
            near[1] && !(find(r, near, strlen(near))->tools & C) ? "--" : "-",
            near);
  else if (other_tool(r, word))
    dn_note(r->ctx, "%s has it", other_tool(r, word));
  else
    dn_note(r->ctx, "%s --help lists the options", r->tool);
}

/* `--limit-NAME=N` */
static bool limit(struct reader *r, const char *name, size_t n,
                  const char *value) {
  static const struct {
    const char *name;
    size_t offset;
  } limits[] = {
#define LIMIT(name, def, meaning) {#name, offsetof(struct dn_limits, name)},
#include "ir/limits.def"
#undef LIMIT
  };
  int64_t v;
  name = dn_strndup(r->ctx->arena, name, n);
  int row = DN_FIND(limits, name);
  if (row < 0)
    return false;
  if (!value || !opt_read_size(value, &v) || v < 0)
    fail(r, "--limit-%s takes a number", name);
  else if (v > MAX_DEPTH && !strcmp(name, "depth"))
    fail(r, "--limit-depth is at most %d", MAX_DEPTH);
  else
    *(int64_t *)((char *)&r->ctx->limits + limits[row].offset) = v;
  return true;
}

/* ---- The command line ---- */

static void option(struct reader *r, const char *arg) {
  bool two = arg[1] == '-';
  const char *name = arg + 1 + two, *eq = strchr(name, '=');
  size_t n = eq ? (size_t)(eq - name) : strlen(name);
  const char *value = eq ? eq + 1 : NULL;
  if (n > 6 && !memcmp(name, "limit-", 6) && limit(r, name + 6, n - 6, value))
    return;
  const struct opt_row *row = find(r, name, n);
  if (row && !row->name[1] && (two || eq))
    row = NULL;
  if (!row && !two) { /* -O2, -oFILE */
    row = find(r, name, 1);
    value = name + 1;
    if (row && (row->of || !*row->arg || !*value))
      row = NULL;
  }
  if (!resolve(r, row)) {
    unknown(r, arg);
    return;
  }
  if (row->of) {
    if (value)
      fail(r, "%s takes no value", arg);
    set(r, resolve(r, row), row->help);
    return;
  }
  bool takes = *row->arg, may = row->arg[0] == '[';
  bool list = !strcmp(row->arg, "LIST"); /* one may be empty: no passes */
  if (value && !*value && takes && row->kind != OPT_LEVEL && !list) {
    fail(r, "%s needs a value: %s", arg, row->arg + may);
    return;
  }
  if (value && !takes)
    fail(r, "%s takes no value", arg);
  else if (!value && takes && !may && r->at + 1 >= r->argc)
    fail(r, "%s needs a value: %s", arg, row->arg);
  else
    set(r, row, !value && takes && !may ? r->argv[++r->at] : value);
}

/* A line of help: what to type, and in a second column what it does, wrapped at
 * the width of a terminal. */
static void help_line(FILE *out, const char *left, const char *text) {
  enum { COLUMN = 26, WIDTH = 80 };
  int at = fprintf(out, "  %s", left);
  for (const char *p = text; *p;) {
    int n = (int)strcspn(p, " ");
    if (at < COLUMN)
      at += fprintf(out, "%*s", COLUMN - at, "");
    else if (at + 1 + n > WIDTH)
      at = fprintf(out, "\n%*s", COLUMN, "") - 1;
    else
      at += fprintf(out, " ");
    at += fprintf(out, "%.*s", n, p);
    p += n + (p[n] == ' ');
  }
  fprintf(out, "\n");
}

static void help(FILE *out, enum opt_tool tool, bool everything) {
  fprintf(out, "usage: %s %s [options]\n", tool_name(tool),
          tool == OPT_OPT ? "FILE.dnn" : "MODEL");
  const char *heading = NULL;
  for (const struct opt_row *row = opt_rows; row < opt_rows + NROWS; row++) {
    if (row->heading)
      heading = row->heading;
    if (row->heading || !(row->tools & tool) || (row->tools & N) ||
        ((row->tools & X) && !everything))
      continue;
    if (heading)
      fprintf(out, "%s:\n", heading);
    heading = NULL;
    char left[64];
    snprintf(left, sizeof left, "%s%s%s%s", opt_dashes(row), row->name,
             opt_separator(row), row->arg + (row->arg[0] == '['));
    help_line(out, left, row->help);
  }
  if (everything) {
    fprintf(out, "Limits on models, --limit-NAME=N:\n ");
#define LIMIT(name, def, meaning) fprintf(out, " %s", #name);
#include "ir/limits.def"
#undef LIMIT
    fprintf(out, "\n");
  }
}

/* Value of --requant as enum pass_requant; -1: unknown. */
static int requant_of(const struct options *o) {
  static const char *const names[] = {"onnx", "tflite", "exact"};
  for (int i = 0; i < (int)DN_COUNT(names); i++)
    if (!strcmp(names[i], o->requant))
      return i + PASS_REQUANT_ONNX;
  return -1;
}

/* --stream, "axis=A[,step=N]"; false: it is not that. */
static bool stream_of(const char *text, int64_t *axis, int64_t *step) {
  char *end = NULL;
  *step = 0;
  if (strncmp(text, "axis=", 5) != 0 || !isdigit((unsigned char)text[5]))
    return false;
  *axis = strtoll(text + 5, &end, 10);
  if (*axis >= IR_MAX_RANK)
    return false;
  if (!strncmp(end, ",step=", 6) && isdigit((unsigned char)end[6])) {
    *step = strtoll(end + 6, &end, 10);
    if (!*step)
      return false;
  }
  return !*end;
}

bool opt_parse(struct dn_ctx *ctx, enum opt_tool tool, int argc, char **argv,
               struct options *out, bool *done) {
  *out = (struct options){.tool = tool};
  *done = false;
  set_defaults(out);
  struct reader r = {.ctx = ctx,
                     .out = out,
                     .tool = tool_name(tool),
                     .argc = argc,
                     .at = 1,
                     .argv = argv,
                     .ok = true};
  for (bool options = true; r.at < argc; r.at++) {
    const char *arg = argv[r.at];
    if (options && !strcmp(arg, "--"))
      options = false;
    else if (options && arg[0] == '-' && arg[1])
      option(&r, arg);
    else
      DN_PUSH(ctx->arena, out->files, arg);
  }
  if (out->threads < 1 || out->threads > IR_MAX_THREADS)
    fail(&r, "--threads is 1 to %d", IR_MAX_THREADS);
  if (out->precision && strcmp(out->precision, "bf16") != 0 &&
      strcmp(out->precision, "f16") != 0)
    fail(&r, "--precision is bf16 or f16");
  if (out->requant && requant_of(out) < 0)
    fail(&r, "--requant is onnx, tflite or exact");
  int64_t axis, step;
  if (out->stream && !stream_of(out->stream, &axis, &step))
    fail(&r, "--stream is axis=A or axis=A,step=N");
  dn_error_limit(ctx, (unsigned)dn_min(out->error_limit, UINT32_MAX));
  *done = r.ok && (out->help || out->help_all || out->version);
  if (*done && out->version)
    printf("%s %s\n", r.tool, DNNC_VERSION);
  else if (*done)
    help(stdout, tool, out->help_all);
  return r.ok;
}

int opt_threads(const struct options *o) { return (int)o->threads; }

void opt_passes(const struct options *o, struct pass_opts *out) {
  out->pipeline = o->passes;
  out->print_after = o->print_after;
  out->print_changed = o->print_changed;
  out->verify_each = o->verify_each;
  out->stop_after = o->stop_after;
  out->bisect_limit = o->bisect_limit;
  out->plugins = o->plugins.v;
  out->nplugins = o->plugins.n;
  out->opt_level = o->opt.level;
  out->opt_size = o->opt.size;
  out->threads = opt_threads(o);
  out->stripes = o->stripes.v;
  out->nstripes = o->stripes.n;
  out->max_ram = dn_max(o->max_ram, 0);
  out->verbose = o->verbose;
  if (o->stream && stream_of(o->stream, &out->stream, &out->stream_step))
    out->stream++;
  if (o->precision)
    ir_dtype_find(o->precision, &out->weights);
  if (o->requant)
    out->requant = (enum pass_requant)requant_of(o);
  out->log = stderr;
}
