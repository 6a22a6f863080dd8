/* regions.c - see regions.h. */
#include "tools/regions.h"

#include <stdlib.h>
#include <string.h>

static const struct {
  const char *text;
  enum cg_holds holds;
} kinds[] = {{"arena", CG_HOLDS_ARENA},
             {"weights", CG_HOLDS_WEIGHTS},
             {"code", CG_HOLDS_CODE},
             {"state", CG_HOLDS_STATE}};

static bool bad(struct dn_ctx *ctx, const char *what, const char *text) {
  return dn_usage(ctx, "--region", "'%.100s': %s", dn_escaped(ctx->arena, text),
                  what);
}

/* The next part of `*text`, up to `end` or its own end. */
static const char *part(struct dn_ctx *ctx, const char **text, char end) {
  size_t n = strcspn(*text, (const char[]){end, 0});
  const char *out = dn_strndup(ctx->arena, *text, n);
  *text += n + ((*text)[n] == end);
  return out;
}

/* NAME:BYTES[:WHAT+WHAT] */
static bool read_region(struct dn_ctx *ctx, const char *text,
                        struct cg_region *out) {
  const char *rest = text;
  *out = (struct cg_region){.name = part(ctx, &rest, ':')};
  const char *size = part(ctx, &rest, ':');
  if (!dn_is_identifier(out->name, 39))
    return bad(ctx, "a region is NAME:BYTES[:WHAT], with a C identifier", text);
  if (!opt_read_size(size, &out->size) || out->size <= 0)
    return bad(ctx, "its size is a number of bytes, as 64K", text);
  if (!*rest)
    out->holds = CG_HOLDS_ARENA | CG_HOLDS_STATE;
  while (*rest) {
    int row = DN_FIND(kinds, part(ctx, &rest, '+'));
    if (row < 0)
      return bad(ctx, "a region holds arena, state, weights, code", text);
    out->holds |= (unsigned)kinds[row].holds;
  }
  return true;
}

struct cg_regions *regions_read(struct dn_ctx *ctx, const char *text) {
  DN_LIST(struct cg_region) list = {0};
  if (!strcmp(text, "device")) {
    bad(ctx, "--device names no board whose regions are meant", text);
    return NULL;
  }
  for (const char *rest = text; *rest;) {
    struct cg_region one;
    if (!read_region(ctx, part(ctx, &rest, ','), &one))
      return NULL;
    for (size_t i = 0; i < list.n; i++)
      if (!strcmp(list.v[i].name, one.name)) {
        bad(ctx, "a region is given twice", text);
        return NULL;
      }
    DN_PUSH(ctx->arena, list, one);
  }
  if (!list.n) {
    bad(ctx, "no region is given", text);
    return NULL;
  }
  struct cg_regions r = {list.v, list.n, {-1, -1}, -1, -1, NULL};
  return dn_copy(ctx->arena, &r, sizeof r);
}

bool waits_read(struct dn_ctx *ctx, const char *text, struct cg_opts *out) {
  DN_LIST(struct cg_wait) list = {0};
  for (const char *rest = text; *rest;) {
    const char *one = part(ctx, &rest, ','), *number = one;
    struct cg_wait w = {.name = part(ctx, &number, ':')};
    char *end;
    w.cycles = strtod(number, &end);
    if (!dn_is_identifier(w.name, 39) || end == number || *end ||
        !(w.cycles >= 0 && w.cycles <= 1e4))
      return dn_usage(ctx, "--waits",
                      "'%.100s': a memory is NAME:CYCLES, as flash:2.5",
                      dn_escaped(ctx->arena, one));
    DN_PUSH(ctx->arena, list, w);
  }
  out->waits = list.v;
  out->nwaits = list.n;
  return true;
}

const char *regions_plan(struct dn_ctx *ctx, const struct cg_regions *r,
                         const char *text) {
  int64_t first = 0, second = 0;
  for (size_t i = 0; r && i < r->n; i++) {
    if (!(r->v[i].holds & CG_HOLDS_ARENA))
      continue;
    second = first ? dn_max(second, r->v[i].size) : 0;
    first = first ? first : r->v[i].size;
  }
  return second && dn_ends_in(text, "plan")
             ? dn_printf(ctx->arena, "%s{first=%lld,second=%lld}", text,
                         (long long)first, (long long)second)
             : text;
}
