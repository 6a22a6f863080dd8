/* compile_dims.c - the sizes that a command line gives: --dim and --loop-max. */
#include "tools/compile_dims.h"

#include "ir/size.h"
#include "passes/sizes.h"

#include <ctype.h>
#include <string.h>

bool dims_bound(struct compile *c, const struct fe_dim *d) {
  struct ir_point *at = &c->sizes->at;
  if (at->n == IR_MAX_SIZES || d->value < 1)
    return dn_usage(c->ctx, "--dim",
                    "bounds are 1 or more, of at most %d dimensions",
                    IR_MAX_SIZES);
  at->param[at->n] = ir_param(c->ctx, d->name, 1, d->value);
  at->value[at->n++] = d->value;
  return true;
}

/* A size is a number or has a bound; for a run it can be both. */
static bool known_once(struct compile *c, struct fe_dim *d) {
  const struct ir_point *at = &c->sizes->at;
  for (int i = 0; i < at->n; i++) {
    if (at->param[i]->name != d->name || at->value[i] == d->value)
      continue;
    if (!c->runs)
      return dn_usage(c->ctx, "--dim",
                      "'%.200s' is given as a number and by a bound", d->name);
    d->value = at->value[i];
  }
  return true;
}

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"

/* "NAME=VALUE" or, with `bound`, "NAME<=BOUND" and "NAME=OTHERS" too. */
static bool read_size(struct compile *c, const char *text, const char *flag,
                      struct fe_dim *out, bool *bound) {
  const char *eq = strrchr(text, '=');
  bool least = bound && eq && eq > text && eq[-1] == '<';
  int64_t value = -1, step;
  const char *name = bound && eq && !least ? strpbrk(eq, LETTERS) : NULL;
  bool of = name && !isdigit((unsigned char)name[-1]);
  if (!eq || eq - least == text ||
      (!of && !opt_read_dim(eq + 1, &value, c->runs && !least ? &step : NULL)))
    return dn_usage(c->ctx, flag,
                    "'%.200s' is not NAME=VALUE%s with a whole number", text,
                    bound ? " or NAME<=BOUND" : "");
  out->name = dn_intern_n(c->ctx, text, (size_t)(eq - least - text));
  out->value = value;
  out->of = of ? eq + 1 : NULL;
  if (bound)
    *bound = least;
  return true;
}

/* The last of `n` sizes is of another name than those before; a number and a bound
 * may be of one. */
static bool is_new(struct compile *c, const char *flag, const struct fe_dim *d,
                   size_t n) {
  for (size_t i = 0; i + 1 < n; i++)
    if (d[i].name == d[n - 1].name && !d[i].bound == !d[n - 1].bound)
      return dn_usage(c->ctx, flag, "'%.200s' is given twice", d[i].name);
  return true;
}

static bool read_dims(struct compile *c, struct fe_opts *fe) {
  const struct opt_strings *given = &c->options->dims;
  struct fe_dim *dims = DN_ARRAY(c->ctx->arena, struct fe_dim, given->n + 1);
  bool ok = true;
  fe->dims = dims;
  fe->ndims = given->n;
  for (size_t i = 0; i < given->n; i++) {
    bool bound = false;
    if (!read_size(c, given->v[i], "--dim", &dims[i], &bound)) {
      ok = false;
      continue;
    }
    if (bound && !c->sizes)
      c->sizes = DN_NEW(c->ctx->arena, struct sizes);
    dims[i].bound = bound ? dims[i].value : 0;
    ok = ok && is_new(c, "--dim", dims, i + 1) &&
         (!bound || dims_bound(c, &dims[i]));
  }
  for (size_t i = 0; ok && c->sizes && i < given->n; i++)
    ok = known_once(c, &dims[i]);
  return ok;
}

static bool read_loops(struct compile *c, struct fe_opts *fe) {
  const struct opt_strings *given = &c->options->loop_max;
  struct fe_dim *loops = DN_ARRAY(c->ctx->arena, struct fe_dim, given->n + 1);
  bool ok = true;
  for (size_t i = 0; i < given->n; i++)
    ok = read_size(c, given->v[i], "--loop-max", &loops[i], NULL) &&
         is_new(c, "--loop-max", loops, i + 1) && ok;
  fe->loops = loops;
  fe->nloops = given->n;
  return ok;
}

/* Checks that a --dim given by other sizes uses sizes that have a value or a
 * bound. */
static bool check_sums(struct compile *c, const struct fe_opts *fe) {
  for (size_t i = 0; i < fe->ndims; i++)
    if (fe->dims[i].of && fe_dim_of(c->ctx, fe, fe->dims[i].of) < 0)
      return dn_usage(c->ctx, "--dim",
                      "'%.200s' is no sum of products of sizes that have a "
                      "value or a bound",
                      fe->dims[i].of);
  return true;
}

/* Whether one of the model's `names` is `name`, which `flag` gives. */
static bool has_name(struct compile *c, const char *flag, const char *what,
                     const char *name, const struct fe_names *names,
                     const char *none) {
  struct dn_ctx *ctx = c->ctx;
  const char *const *all = names->list.v;
  size_t n = names->list.n;
  if (dn_find_row(all, n, sizeof *all, name) >= 0)
    return true;
  dn_error(ctx, (struct dn_loc){.file = c->path, .where = flag}, DN_USAGE,
           "the model has no %s '%.200s'", what, name);
  const char *near = dn_nearest(name, all, n);
  if (near)
    dn_note(ctx, "did you mean '%s'?", near);
  else if (!n)
    dn_note(ctx, "%s", none);
  for (size_t j = 0; j < n && !near; j++)
    dn_note(ctx, "it has '%s'", all[j]);
  return false;
}

bool dims_check(struct compile *c, const struct fe_opts *fe) {
  bool ok = true;
  for (size_t i = 0; i < fe->ndims; i++)
    ok &= has_name(c, "--dim", "free dimension", fe->dims[i].name, fe->free,
                   "all its dimensions are numbers");
  for (size_t i = 0; c->m && i < fe->nloops; i++)
    ok &= has_name(c, "--loop-max", "unbounded loop", fe->loops[i].name,
                   fe->unbound,
                   "all its loops have a number of turns that is known");
  return ok;
}

bool dims_read(struct compile *c, struct fe_opts *fe) {
  return read_dims(c, fe) && read_loops(c, fe) && check_sums(c, fe);
}
