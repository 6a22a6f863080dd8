/* pipeline.c - pipelines as text and plug-in passes: see pipeline.h. */
#include "passes/pipeline.h"

#include "passes/edit.h"

#include <assert.h>
#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Plug-ins ---- */

static const struct pass_row *load_row(struct dn_ctx *ctx, const char *path,
                                       void **handle) {
  /* Adds "./": without a slash dlopen() searches the library path. */
  const char *file =
      strchr(path, '/') ? path : dn_printf(ctx->arena, "./%s", path);
  struct dn_loc loc = {.file = path};
  *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (!*handle) {
    dn_error(ctx, loc, DN_FILE_READ, "%s", dlerror());
    return NULL;
  }
  const struct pass_row *row = dlsym(*handle, PASS_PLUGIN_SYMBOL);
  if (row && row->name && row->opts && row->summary && row->fn &&
      row->needs <= row->makes && row->makes <= IR_PLANNED)
    return row;
  dn_error(ctx, loc, DN_PIPELINE,
           row ? "the row in '%s' is incomplete or goes backwards"
               : "has no symbol '%s'",
           PASS_PLUGIN_SYMBOL);
  dn_note(ctx,
          "a plug-in exports `const struct pass_row %s`, see "
          "examples/plugin",
          PASS_PLUGIN_SYMBOL);
  return NULL;
}

bool pass_plugins_load(struct dn_ctx *ctx, const struct pass_opts *opts,
                       struct pass_plugins *out) {
  bool ok = true;
  out->n = opts->nplugins;
  out->handle = DN_ARRAY(ctx->arena, void *, out->n);
  out->row = DN_ARRAY(ctx->arena, const struct pass_row *, out->n);
  for (size_t i = 0; i < out->n; i++) {
    out->row[i] = load_row(ctx, opts->plugins[i], &out->handle[i]);
    ok = ok && out->row[i];
  }
  return ok;
}

void pass_plugins_close(struct pass_plugins *p) {
  for (size_t i = 0; i < p->n; i++)
    if (p->handle[i])
      dlclose(p->handle[i]);
}

/* ---- Text ---- */

struct reader {
  struct dn_ctx *ctx;
  const char *text, *at;
  const struct pass_plugins *plugins;
  enum ir_form form;
  const char *former; /* the pass that made `form`; NULL: none yet */
  pass_run_list *out;
  unsigned depth;
};

static bool fail(struct reader *r, const char *fmt, ...) DN_PRINTF(2, 3);

static bool fail(struct reader *r, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  const char *what = dn_vprintf(r->ctx->arena, fmt, ap);
  va_end(ap);
  return dn_error(r->ctx, (struct dn_loc){.where = "--passes"}, DN_PIPELINE,
                  "%s", what);
}

static void skip_space(struct reader *r) {
  while (isspace((unsigned char)*r->at))
    r->at++;
}

static bool eat(struct reader *r, char c) {
  skip_space(r);
  if (*r->at != c)
    return false;
  r->at++;
  return true;
}

/* Letters, digits and what numbers, names and paths are made of; NULL when
 * there is none. */
static const char *read_word(struct reader *r) {
  skip_space(r);
  const char *start = r->at;
  while (*r->at && (isalnum((unsigned char)*r->at) || strchr("_-.+/:", *r->at)))
    r->at++;
  return r->at == start ? NULL
                        : dn_intern_n(r->ctx, start, (size_t)(r->at - start));
}

static bool read_value(struct reader *r, const struct pass_row *row,
                       const char *name, int64_t *out) {
  const char *word = read_word(r);
  if (!word)
    return fail(r, "option '%s' of '%s' has no value", name, row->name);
  char *end;
  errno = 0;
  *out = strtoll(word, &end, 10);
  if (*end || errno)
    return fail(r, "option '%s' of '%s' is a number, not '%s'", name, row->name,
                word);
  return true;
}

static bool read_opts(struct reader *r, struct pass_run *run) {
  DN_LIST(struct pass_opt) opts = {0};
  do {
    const char *name = read_word(r);
    if (!name)
      return fail(r, "expected an option of '%s' at '%.20s'", run->row->name,
                  r->at);
    if (!dn_word(run->row->opts, name, strlen(name), NULL))
      return fail(r, "pass '%s' has no option '%s'; it has: %s", run->row->name,
                  name, *run->row->opts ? run->row->opts : "none");
    if (!eat(r, '='))
      return fail(r, "expected '=' after option '%s' of '%s'", name,
                  run->row->name);
    struct pass_opt opt = {.name = name};
    if (!read_value(r, run->row, name, &opt.value))
      return false;
    DN_PUSH(r->ctx->arena, opts, opt);
  } while (eat(r, ','));
  run->opts = opts.v;
  run->nopts = opts.n;
  return eat(r, '}') ||
         fail(r, "expected '}' after the options of '%s'", run->row->name);
}

static const struct pass_row *find_row(const struct reader *r,
                                       const char *name) {
  for (size_t i = 0; i < r->plugins->n; i++)
    if (!strcmp(r->plugins->row[i]->name, name))
      return r->plugins->row[i];
  for (size_t i = 0; i < pass_nrows; i++)
    if (!strcmp(pass_rows[i].name, name))
      return &pass_rows[i];
  return NULL;
}

static bool read_items(struct reader *r);

/* A pipeline by name stands for its passes. */
static bool read_named(struct reader *r, const char *text) {
  assert(!r->depth && "pipelines name passes alone: read_item()");
  struct reader inner = *r;
  inner.at = text;
  inner.depth++;
  bool ok = read_items(&inner);
  r->form = inner.form;
  r->former = inner.former;
  return ok;
}

static bool unknown_pass(struct reader *r, const char *name) {
  fail(r, "no pass is called '%s'", name);
  struct dn_buf list = dn_buf_new(r->ctx->arena);
  for (size_t i = 0; i < pass_nrows; i++)
    dn_buf_printf(&list, "%s%s", i ? ", " : "", pass_rows[i].name);
  dn_note(r->ctx, "passes: %s", list.text);
  return false;
}

static bool read_item(struct reader *r) {
  const char *name = read_word(r);
  if (!name)
    return *r->at ? fail(r, "expected a pass at '%.20s'", r->at)
                  : fail(r, "the pipeline ends where a pass should be");
  const char *named = r->depth ? NULL : pass_pipeline_text(name);
  if (named)
    return read_named(r, named);
  struct pass_run run = {.row = find_row(r, name)};
  if (!run.row)
    return unknown_pass(r, name);
  if (eat(r, '{') && !read_opts(r, &run))
    return false;
  if (run.row->needs != r->form)
    return r->former
               ? fail(r, "pass '%s' needs the %s form, and '%s' leaves %s",
                      name, ir_form_names[run.row->needs], r->former,
                      ir_form_names[r->form])
               : fail(r, "pass '%s' needs the %s form, the input is in %s",
                      name, ir_form_names[run.row->needs],
                      ir_form_names[r->form]);
  if (run.row->makes != r->form)
    r->former = name;
  r->form = run.row->makes;
  DN_PUSH(r->ctx->arena, *r->out, run);
  return true;
}

static bool read_items(struct reader *r) {
  do
    if (!read_item(r))
      return false;
  while (eat(r, ','));
  return !*r->at || fail(r, "expected ',' at '%.20s'", r->at);
}

bool pass_parse(struct dn_ctx *ctx, const char *text, enum ir_form form,
                const struct pass_plugins *plugins, pass_run_list *out) {
  struct reader r = {.ctx = ctx,
                     .text = text,
                     .at = text,
                     .plugins = plugins,
                     .form = form,
                     .out = out};
  skip_space(&r);
  return !*r.at || read_items(&r); /* an empty pipeline does nothing */
}
