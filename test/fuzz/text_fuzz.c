/* text_fuzz.c - changed .dnn files through parser, verifier, printer and, when
 * they are well-formed, a pipeline. What may come of any text is a module or
 * diagnostics; a well-formed one prints, reads back and prints the same, and
 * passes leave well-formed modules. Crashes are for the sanitizers to find.
 *
 *   text_fuzz COUNT SEED PIPELINE FILE...     PIPELINE may be "" */
#include "ir/ir.h"
#include "passes/pass.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct text {
  char *bytes;
  size_t size;
};

struct fuzz {
  struct text *files;
  int nfiles;
  uint64_t state;
  const char *pipeline;
  long well_formed, changed, failed;
};

static uint64_t next(struct fuzz *z) {
  z->state ^= z->state << 13;
  z->state ^= z->state >> 7;
  z->state ^= z->state << 17;
  return z->state;
}

static size_t below(struct fuzz *z, size_t n) {
  return n ? (size_t)(next(z) % n) : 0;
}

/* Adds the parts of a file, between lines of `// -----`, as texts to change. */
static void read_file(struct fuzz *z, const char *path) {
  static const char mark[] = "\n// -----";
  FILE *f = fopen(path, "rb");
  if (!f) {
    perror(path);
    exit(1);
  }
  char *bytes = calloc(1, (1 << 20) + 1);
  size_t size = fread(bytes, 1, 1 << 20, f);
  fclose(f);
  for (size_t at = 0; at < size;) {
    char *end = strstr(bytes + at, mark);
    size_t n = end ? (size_t)(end - bytes) - at : size - at;
    z->files = realloc(z->files, (size_t)(z->nfiles + 1) * sizeof *z->files);
    struct text *t = &z->files[z->nfiles++];
    *t = (struct text){malloc(n + 1), n};
    memcpy(t->bytes, bytes + at, n);
    at += n + (end ? strlen(mark) : 0);
  }
  free(bytes);
}

/* Start and end of a random word, number or mark of `t`. */
static void token(struct fuzz *z, const struct text *t, size_t *from,
                  size_t *to) {
  static const char words[] = "abcdefghijklmnopqrstuvwxyz_0123456789.%@";
  size_t a = below(z, t->size), b = a;
  while (a > 0 && strchr(words, t->bytes[a - 1]) && t->bytes[a - 1])
    a--;
  while (b < t->size && t->bytes[b] && strchr(words, t->bytes[b]))
    b++;
  *from = a;
  *to = b > a ? b : a + (a < t->size);
}

static void replace(struct text *t, size_t from, size_t to, const char *with,
                    size_t n) {
  char *bytes = malloc(t->size - (to - from) + n + 1);
  memcpy(bytes, t->bytes, from);
  memcpy(bytes + from, with, n);
  memcpy(bytes + from + n, t->bytes + to, t->size - to);
  t->size = t->size - (to - from) + n;
  free(t->bytes);
  t->bytes = bytes;
}

static void mutate(struct fuzz *z, struct text *t) {
  static const char *const numbers[] = {"0",
                                        "1",
                                        "-1",
                                        "2",
                                        "3",
                                        "7",
                                        "1000000",
                                        "9223372036854775807",
                                        "-9223372036854775808",
                                        "4294967296",
                                        "1e30",
                                        "nan",
                                        "inf",
                                        "-0"};
  size_t from, to, a, b;
  token(z, t, &from, &to);
  switch (below(z, 8)) {
  case 0: /* drop a token */
    replace(t, from, to, "", 0);
    return;
  case 1: /* double it */
    replace(t, from, from, t->bytes + from, to - from);
    return;
  case 2:
  case 3: { /* put another of the file in its place */
    token(z, t, &a, &b);
    char copy[4096];
    size_t n = b - a < sizeof copy ? b - a : sizeof copy;
    memcpy(copy, t->bytes + a, n);
    replace(t, from, to, copy, n);
    return;
  }
  case 4:
  case 5: { /* a number */
    for (int k = 0; k < 20 && !(t->bytes[from] >= '0' && t->bytes[from] <= '9');
         k++)
      token(z, t, &from, &to);
    const char *s = numbers[below(z, sizeof numbers / sizeof *numbers)];
    replace(t, from, to, s, strlen(s));
    return;
  }
  case 6: { /* a byte */
    char c = (char)below(z, 256);
    replace(t, from, from + (from < t->size), &c, 1);
    return;
  }
  default: /* cut */
    if (below(z, 8) == 0)
      t->size = below(z, t->size);
    return;
  }
}

static void show(struct fuzz *z, const struct dn_ctx *ctx, const char *why,
                 const struct text *t) {
  fprintf(stderr, "---- text\n%.*s\n---- %s\n", (int)t->size, t->bytes, why);
  for (size_t i = 0; i < dn_diags_count(ctx); i++)
    fprintf(stderr, "%s\n", dn_diags_get(ctx, i)->message);
  z->failed++;
}

static const char *print(struct ir_module *m) {
  struct dn_buf out = dn_buf_new(m->ctx->arena);
  ir_print(&out, m, NULL);
  return out.text;
}

static void check_module(struct fuzz *z, struct ir_module *m,
                         const struct text *t) {
  const char *text = print(m);
  struct ir_module *again = ir_parse(m->ctx, "again", text, strlen(text), ".");
  if (!again || !ir_verify(again) || strcmp(print(again), text) != 0)
    show(z, m->ctx, "does not read back", t);
  if (again)
    ir_module_free(again);
}

/* The pass quantize moved a number to the next integer. */
static bool is_halfway(const char *message) {
  const char *values = strstr(message, " was ");
  double was, is;
  return strstr(message, "'quantize'") && values &&
         sscanf(values, " was %lf, is %lf", &was, &is) == 2 &&
         fabs(was - is) == 1;
}

/* A pass may refuse a module (a symbolic dim, a type). It must not change what
 * is computed, but that a sum in another order may overflow to inf or nan, and a
 * number halfway between two integers may go to the other one. */
static bool is_fault(const struct dn_ctx *ctx) {
  const struct dn_diag *d = dn_diags_get(ctx, dn_diags_count(ctx) - 1);
  if (dn_exit_code(ctx) == DN_EXIT_MISMATCH)
    return !strstr(d->message, "inf") && !strstr(d->message, "nan") &&
           !is_halfway(d->message);
  return dn_exit_code(ctx) != DN_EXIT_MODEL &&
         dn_exit_code(ctx) != DN_EXIT_UNSUPPORTED;
}

static void check_passes(struct fuzz *z, struct ir_module *m,
                         const struct text *t) {
  struct pass_opts opts = {.pipeline = z->pipeline,
                           .bisect_limit = -1,
                           .opt_level = 2,
                           .threads = 1,
                           .verify_each = true,
                           .target = &ir_facts_preset,
                           .log = stderr};
  if (pass_pipeline(m->ctx, m, &opts))
    check_module(z, m, t);
  else if (is_fault(m->ctx))
    show(z, m->ctx, "a pass failed", t);
}

static void run(struct fuzz *z, const struct text *t) {
  struct dn_ctx *ctx = dn_ctx_new(NULL);
  clock_t began = clock();
  jmp_buf fatal;
  ctx->fatal = &fatal;
  ctx->limits.tensor = 1 << 16;
  ctx->limits.memory = 1 << 28;
  if (!setjmp(fatal)) {
    struct ir_module *m = ir_parse(ctx, "fuzz", t->bytes, t->size, ".");
    if (m && ir_verify(m)) {
      z->well_formed++;
      check_module(z, m, t);
      if (*z->pipeline && m->form == IR_GRAPH)
        check_passes(z, m, t);
    } else if (!dn_errors(ctx)) {
      show(z, ctx, "refused without a diagnostic", t);
    }
    ir_module_free(m);
  }
  if (dn_exit_code(ctx) == DN_EXIT_INTERNAL)
    show(z, ctx, "internal error", t);
  if (clock() - began > 60 * CLOCKS_PER_SEC)
    show(z, ctx, "takes over 60 seconds", t);
  dn_ctx_free(ctx);
}

int main(int argc, char **argv) {
  if (argc < 5)
    return 2;
  long count = atol(argv[1]);
  struct fuzz z = {.pipeline = argv[3]};
  z.state = (uint64_t)atol(argv[2]) * 2654435761u + 88172645463325252u;
  for (int i = 4; i < argc; i++)
    read_file(&z, argv[i]);
  for (long k = 0; k < count && z.failed < 10; k++) {
    const struct text *from = &z.files[below(&z, (size_t)z.nfiles)];
    struct text t = {malloc(from->size + 1), from->size};
    memcpy(t.bytes, from->bytes, from->size);
    for (size_t n = below(&z, 4); n-- > 0 && t.size;)
      mutate(&z, &t);
    if (getenv("FUZZ_SHOW"))
      fprintf(stderr, "==== %ld\n%.*s\n", k, (int)t.size, t.bytes);
    run(&z, &t);
    free(t.bytes);
  }
  printf("%ld texts, %ld well-formed, %ld failures\n", count, z.well_formed,
         z.failed);
  for (int i = 0; i < z.nfiles; i++)
    free(z.files[i].bytes);
  free(z.files);
  return z.failed != 0;
}
