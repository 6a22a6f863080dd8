/* expect.c - see expect.h. */
#include "tools/expect.h"

#include <stdlib.h>
#include <string.h>

struct expectation {
  const char *severity, *text;
  unsigned line; /* 0: a diagnostic without one */
  unsigned at;   /* line of the comment */
  bool met;
};

struct expectations {
  struct expectation *v;
  size_t n, cap;
};

/* `error@+1 {{text}}` after "expected-"; false when it is not of this form. */
static bool read_one(struct dn_ctx *ctx, const char *s, unsigned line,
                     struct expectation *e) {
  static const char *const severities[] = {"error", "warning", "note"};
  *e = (struct expectation){.line = line, .at = line};
  for (int i = 0; i < 3; i++)
    if (!strncmp(s, severities[i], strlen(severities[i])))
      e->severity = severities[i];
  if (!e->severity)
    return false;
  s += strlen(e->severity);
  if (!strncmp(s, "@unknown", 8)) {
    e->line = 0;
    s += 8;
  } else if (*s == '@') {
    char *end;
    e->line = (unsigned)((long)line + strtol(s + 1, &end, 10));
    s = end;
  }
  s += strspn(s, " ");
  const char *close = strncmp(s, "{{", 2) ? NULL : strstr(s, "}}");
  const char *eol = strchr(s, '\n');
  if (!close || (eol && eol < close))
    return false;
  e->text = dn_strndup(ctx->arena, s + 2, (size_t)(close - s - 2));
  return true;
}

static bool read_all(struct dn_ctx *ctx, const char *file, const char *text,
                     struct expectations *list) {
  static const char mark[] = "expected-";
  unsigned line = 1;
  bool ok = true;
  for (const char *s = text, *hit; (hit = strstr(s, mark));) {
    for (; s < hit; s++)
      line += *s == '\n';
    s = hit + strlen(mark);
    struct expectation e;
    if (read_one(ctx, s, line, &e)) {
      DN_PUSH(ctx->arena, *list, e);
    } else if (!strncmp(s, "error", 5)) {
      fprintf(stderr, "%s:%u: not an expectation\n", file, line);
      ok = false;
    }
  }
  return ok;
}

static bool meets(struct expectations *list, const struct dn_diag *d,
                  const char *message) {
  bool note = d->severity[0] == 'n';
  for (size_t i = 0; i < list->n; i++) {
    struct expectation *e = &list->v[i];
    if (e->met || strcmp(e->severity, d->severity) != 0 ||
        (!note && e->line != d->loc.line) || !strstr(message, e->text))
      continue;
    e->met = true;
    return true;
  }
  return note;
}

bool expect_check(struct dn_ctx *ctx, const char *file, const char *text) {
  struct expectations list = {0};
  bool ok = read_all(ctx, file, text, &list);
  for (size_t i = 0; i < dn_diags_count(ctx); i++) {
    const struct dn_diag *d = dn_diags_get(ctx, i);
    const char *message = d->message;
    if (d->number)
      message = dn_printf(ctx->arena, "%s [E%04d]", message, d->number);
    if (meets(&list, d, message))
      continue;
    fprintf(stderr, "%s:%u: unexpected %s: %s\n", file, d->loc.line,
            d->severity, message);
    ok = false;
  }
  for (size_t i = 0; i < list.n; i++) {
    if (list.v[i].met)
      continue;
    fprintf(stderr, "%s:%u: expected %s was not reported: %s\n", file,
            list.v[i].at, list.v[i].severity, list.v[i].text);
    ok = false;
  }
  return ok;
}
