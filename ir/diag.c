/* diag.c - diagnostics: printed as they come, or stored for a later look. */
#include "ir/diag.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct row {
  int number;
  enum dn_exit exit;
  const char *title, *explain;
};

static const struct row rows[] = {
#define DIAG(ID, number, exit, title, explain)                                 \
  {number, DN_EXIT_##exit, title, explain},
#include "ir/diags.def"
#undef DIAG
};

struct dn_diags {
  FILE *err;
  bool capture;
  unsigned errors, warnings;
  unsigned limit; /* of each that are shown; 0: none */
  bool muted;     /* the last one was over it, and its notes are not shown */
  enum dn_exit exit;
  DN_LIST(struct dn_diag) list;
};

struct dn_diags *dn_diags_new(struct dn_ctx *ctx, FILE *err) {
  struct dn_diags *d = DN_NEW(ctx->arena, struct dn_diags);
  d->err = err;
  return d;
}

static const struct row *find_row(int number) {
  for (size_t i = 0; i < DN_COUNT(rows); i++)
    if (rows[i].number == number)
      return &rows[i];
  return NULL;
}

/* Bytes of a message that are shown; a part of it may be from a file. */
enum { MESSAGE = 2000 };

static void put_name(struct dn_buf *out, const char *s) {
  dn_buf_show(out, s, DN_SHOWN);
}

static void put_place(struct dn_buf *out, const struct dn_loc *loc) {
  if (loc->file) {
    dn_buf_show(out, loc->file, MESSAGE);
    dn_buf_printf(out, ":");
  }
  if (loc->line)
    dn_buf_printf(out, "%u:%u:", loc->line, loc->col ? loc->col : 1);
  if (loc->file)
    dn_buf_printf(out, " ");
  if (loc->node) {
    dn_buf_printf(out, "node '");
    put_name(out, loc->node);
    dn_buf_printf(out, "'");
  }
  if (loc->op) {
    dn_buf_printf(out, loc->node ? " (" : "node (");
    put_name(out, loc->op);
    dn_buf_printf(out, ")");
  }
  if (loc->node || loc->op)
    dn_buf_printf(out, ": ");
  if (loc->where) {
    put_name(out, loc->where);
    dn_buf_printf(out, ": ");
  }
}

/* Stored diagnostics outlive what they were made from. */
static void keep_place(struct dn_ctx *ctx, struct dn_loc *loc) {
  const char **text[] = {&loc->file, &loc->node, &loc->op, &loc->where};
  for (int i = 0; i < 4; i++)
    if (*text[i])
      *text[i] = dn_strndup(ctx->arena, *text[i], strlen(*text[i]));
}

static void print(struct dn_ctx *ctx, const struct dn_diag *diag) {
  struct dn_buf out = dn_buf_new(ctx->arena);
  put_place(&out, &diag->loc);
  dn_buf_printf(&out, "%s: ", diag->severity);
  dn_buf_show(&out, diag->message, MESSAGE);
  if (diag->number)
    dn_buf_printf(&out, " [E%04d]", diag->number);
  fprintf(ctx->diags->err, "%s\n", out.text);
}

/* Counts a diagnostic; whether it is to be shown. Those that are captured, to
 * be judged or printed later, are kept. */
static bool is_shown(struct dn_ctx *ctx, const char *severity, int number) {
  struct dn_diags *d = ctx->diags;
  bool note = severity[0] == 'n';
  unsigned *count = number ? &d->errors : &d->warnings;
  if (number && !d->errors)
    d->exit = find_row(number)->exit;
  if (!note) {
    ++*count;
    d->muted = !d->capture && d->limit && *count > d->limit;
  }
  if (!d->muted || note || *count != d->limit + 1)
    return !d->muted;
  d->muted = false;
  dn_note(ctx, "further %ss are not shown; --error-limit=0 shows all",
          severity);
  d->muted = true;
  return false;
}

static void report(struct dn_ctx *ctx, const char *severity, struct dn_loc loc,
                   int number, const char *fmt, va_list ap) {
  struct dn_diags *d = ctx->diags;
  assert((!number || find_row(number)) &&
         "numbers of errors are rows of diags.def");
  if (!is_shown(ctx, severity, number))
    return;
  keep_place(ctx, &loc);
  struct dn_diag diag = {loc, severity, dn_vprintf(ctx->arena, fmt, ap),
                         number};
  DN_PUSH(ctx->arena, d->list, diag);
  if (d->capture || !d->err)
    return;
  print(ctx, &diag);
}

bool dn_error(struct dn_ctx *ctx, struct dn_loc loc, enum dn_code code,
              const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  report(ctx, "error", loc, (int)code, fmt, ap);
  va_end(ap);
  return false;
}

bool dn_usage(struct dn_ctx *ctx, const char *where, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  report(ctx, "error", (struct dn_loc){.where = where}, DN_USAGE, fmt, ap);
  va_end(ap);
  return false;
}

bool dn_error_byte(struct dn_ctx *ctx, const char *file, size_t at, bool *ok,
                   enum dn_code code, const char *fmt, va_list ap) {
  struct dn_loc loc = {.file = file,
                       .where = dn_printf(ctx->arena, "byte %zu", at)};
  if (*ok)
    report(ctx, "error", loc, (int)code, fmt, ap);
  return *ok = false;
}

void dn_warning(struct dn_ctx *ctx, struct dn_loc loc, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  report(ctx, "warning", loc, 0, fmt, ap);
  va_end(ap);
}

void dn_note(struct dn_ctx *ctx, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  report(ctx, "note", (struct dn_loc){0}, 0, fmt, ap);
  va_end(ap);
}

_Noreturn void dn_fatal(struct dn_ctx *ctx, struct dn_loc loc,
                        enum dn_code code, const char *fmt, ...) {
  /* Out of memory: print directly, without the arena. */
  va_list ap;
  va_start(ap, fmt);
  if (code == DN_MEMORY) {
    struct dn_diags *d = ctx->diags;
    if (d && !d->errors++)
      d->exit = DN_EXIT_INTERNAL;
    if (d && d->err) {
      fprintf(d->err, "error: ");
      vfprintf(d->err, fmt, ap);
      fprintf(d->err, " [E%04d]\n", (int)code);
    }
  } else {
    report(ctx, "error", loc, (int)code, fmt, ap);
  }
  va_end(ap);
  dn_raise(ctx);
}

unsigned dn_errors(const struct dn_ctx *ctx) { return ctx->diags->errors; }

enum dn_exit dn_exit_code(const struct dn_ctx *ctx) { return ctx->diags->exit; }

void dn_error_limit(struct dn_ctx *ctx, unsigned limit) {
  ctx->diags->limit = limit;
}

bool dn_diags_capture(struct dn_ctx *ctx, bool on) {
  bool was = ctx->diags->capture;
  ctx->diags->capture = on;
  return was;
}

size_t dn_diags_count(const struct dn_ctx *ctx) { return ctx->diags->list.n; }

const struct dn_diag *dn_diags_get(const struct dn_ctx *ctx, size_t i) {
  assert(i < ctx->diags->list.n && "the caller counts by dn_diags_count()");
  return &ctx->diags->list.v[i];
}

static void recount(struct dn_diags *d) {
  d->errors = 0;
  d->exit = DN_EXIT_OK;
  for (size_t k = d->list.n; k-- > 0;) {
    if (!d->list.v[k].number)
      continue;
    d->errors++;
    assert(find_row(d->list.v[k].number) &&
           "numbers of errors are rows of diags.def");
    d->exit = find_row(d->list.v[k].number)->exit;
  }
}

void dn_diags_rewind(struct dn_ctx *ctx, size_t i) {
  assert(i <= ctx->diags->list.n && "the caller counted before the trial");
  ctx->diags->list.n = i;
  recount(ctx->diags);
}

void dn_diags_recode(struct dn_ctx *ctx, size_t i, enum dn_code from,
                     enum dn_code to) {
  struct dn_diags *d = ctx->diags;
  for (; i < d->list.n; i++)
    if (d->list.v[i].number == (int)from)
      d->list.v[i].number = (int)to;
  recount(d);
}

void dn_diags_print(struct dn_ctx *ctx, size_t i) {
  struct dn_diags *d = ctx->diags;
  for (; i < d->list.n && !d->capture && d->err; i++)
    print(ctx, &d->list.v[i]);
}

const char *dn_explain(int number) {
  const struct row *r = find_row(number);
  return r ? r->explain : NULL;
}

/* ---- What was meant ---- */

/* Edits (insert, drop, change, swap neighbours) from a to b, at most `most`. */
static int distance(const char *a, const char *b, int most) {
  enum { MAX = 40 };
  int n = (int)strlen(a), m = (int)strlen(b), d[3][MAX + 1];
  if (n > MAX || m > MAX || abs(n - m) > most)
    return most + 1;
  for (int j = 0; j <= m; j++)
    d[0][j] = j;
  for (int i = 1; i <= n; i++) {
    int *row = d[i % 3], *up = d[(i + 2) % 3], *up2 = d[(i + 1) % 3];
    row[0] = i;
    for (int j = 1; j <= m; j++) {
      int best = up[j - 1] + (a[i - 1] != b[j - 1]);
      best = up[j] + 1 < best ? up[j] + 1 : best;
      best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
          up2[j - 2] + 1 < best)
        best = up2[j - 2] + 1;
      row[j] = best;
    }
  }
  return d[n % 3][m];
}

const char *dn_nearest(const char *word, const char *const *list, size_t n) {
  int most = 1 + (int)strlen(word) / 4;
  const char *best = NULL;
  for (size_t i = 0; i < n; i++) {
    int d = distance(word, list[i], most);
    if (d <= most) {
      best = list[i];
      most = d - 1;
    }
  }
  for (size_t i = 0; !best && strlen(word) > 2 && i < n; i++)
    if (!strncmp(word, list[i], strlen(word)))
      best = list[i]; /* a word that was not finished */
  return best;
}

bool dn_suggest(struct dn_ctx *ctx, const char *word, const char *const *list,
                size_t n) {
  const char *near = dn_nearest(word, list, n);
  if (near)
    dn_note(ctx, "did you mean '%s'?", dn_escaped(ctx->arena, near));
  return near;
}
