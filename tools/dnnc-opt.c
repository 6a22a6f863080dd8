/* dnnc-opt.c - text IR in, passes, text IR out: what the tests of the compiler
 * are made of. */
#include "ir/ir.h"
#include "ir/nest.h"
#include "ir/phase.h"
#include "passes/pass.h"
#include "tools/expect.h"
#include "tools/options.h"
#include "tools/process.h"

#include <stdlib.h>
#include <string.h>

struct text { /* always NUL-terminated */
  const char *bytes;
  size_t size;
};

struct run {
  struct dn_ctx *ctx;
  const struct options *opts;
  const char *file, *dir;
  struct ir_facts facts;
  struct dn_buf out;
};

/* ---- Input ---- */

static bool read_stdin(struct dn_ctx *ctx, struct dn_buf *buf) {
  char block[65536];
  for (size_t n; (n = fread(block, 1, sizeof block, stdin)) > 0;) {
    dn_buf_put(buf, block, n);
    if ((int64_t)buf->len > ctx->limits.file)
      return dn_error(ctx, (struct dn_loc){.file = "<stdin>"}, DN_LIMIT,
                      "longer than --limit-file");
  }
  return true;
}

static bool read_text(struct run *r, const char *path, struct text *out) {
  struct dn_buf buf = dn_buf_new(r->ctx->arena);
  if (strcmp(path, "-") == 0) {
    r->file = "<stdin>";
    r->dir = ".";
    if (!read_stdin(r->ctx, &buf))
      return false;
  } else {
    struct dn_file file;
    if (!dn_file_map(r->ctx, path, &file))
      return false;
    dn_buf_put(&buf, (const char *)file.data, file.size);
    r->file = path;
    r->dir = dn_folder(r->ctx, path);
  }
  *out = (struct text){buf.text, buf.len};
  if (!memchr(buf.text, 0, buf.len))
    return true;
  dn_error(r->ctx, (struct dn_loc){.file = path}, DN_FORMAT, "it is no text");
  dn_note(r->ctx, "dnnc --emit=dnn MODEL makes text of a model");
  return false;
}

/* Cuts the next part off `rest`; parts end at lines of `// -----`. */
static bool next_part(struct text *rest, bool split, struct text *part) {
  static const char mark[] = "// -----";
  if (!rest->bytes)
    return false;
  *part = *rest;
  for (size_t i = 0; split && i + strlen(mark) <= rest->size; i++) {
    if ((i && rest->bytes[i - 1] != '\n') ||
        memcmp(rest->bytes + i, mark, strlen(mark)) != 0)
      continue;
    size_t next = i;
    while (next < rest->size && rest->bytes[next] != '\n')
      next++;
    part->size = i;
    *rest = (struct text){rest->bytes + next, rest->size - next};
    return true;
  }
  rest->bytes = NULL;
  return true;
}

/* The part with as many empty lines before it as it has in the file. */
static struct text with_lines(struct run *r, const char *start,
                              struct text part) {
  struct dn_buf buf = dn_buf_new(r->ctx->arena);
  for (const char *s = start; s < part.bytes; s++)
    if (*s == '\n')
      dn_buf_put(&buf, "\n", 1);
  dn_buf_put(&buf, part.bytes, part.size);
  return (struct text){buf.text, buf.len};
}

/* ---- One module ---- */

static bool set_facts(struct run *r) {
  r->facts = ir_facts_preset;
  const char *bad =
      r->opts->facts ? ir_facts_set(&r->facts, r->opts->facts) : NULL;
  if (!bad)
    return true;
  dn_error(r->ctx, (struct dn_loc){.file = "dnnc-opt"}, DN_USAGE,
           "bad --facts at '%s'", bad);
  dn_note(r->ctx, "--print-target-facts lists them");
  return false;
}

static bool run_passes(struct run *r, struct ir_module *m) {
  struct pass_opts passes = {.target = &r->facts};
  opt_passes(r->opts, &passes);
  if (!passes.pipeline && !r->opts->opt.seen)
    return true;
  return pass_pipeline(r->ctx, m, &passes);
}

static void run_module(struct run *r, struct text text) {
  dn_phase(r->ctx, "reading");
  struct ir_module *m =
      ir_parse(r->ctx, r->file, text.bytes, text.size, r->dir);
  if (m && ir_verify(m) && run_passes(r, m)) {
    struct ir_print_opts print = {.locs = !r->opts->no_locs,
                                  .const_limit = r->opts->const_limit};
    dn_phase(r->ctx, "writing");
    ir_print(&r->out, m, &print);
  }
  ir_module_free(m);
}

/* false when --verify-diagnostics found a difference. */
static bool run_file(struct run *r, const char *path) {
  struct text rest, part;
  if (!read_text(r, path, &rest))
    return false;
  const char *start = rest.bytes;
  bool ok = true;
  dn_diags_capture(r->ctx, r->opts->verify_diagnostics);
  bool split = r->opts->split_input;
  for (bool first = true; next_part(&rest, split, &part); first = false) {
    if (!first)
      dn_buf_printf(&r->out, "// -----\n");
    struct text padded = with_lines(r, start, part);
    run_module(r, padded);
    if (r->opts->verify_diagnostics) {
      ok &= expect_check(r->ctx, path, padded.bytes);
      dn_diags_rewind(r->ctx, 0);
    }
  }
  return ok;
}

/* ---- The tool ---- */

static int check_rows(struct run *r) {
  int bad = 0;
  for (int i = 0; i < IR_NUM_OPS; i++) {
    const char *why = nest_check_row(r->ctx->arena, (enum ir_opcode)i);
    if (why)
      printf("%s: %s\n", ir_ops[i].text, why);
    bad += why != NULL;
  }
  for (enum nest_fold f = 0; f < NEST_NUM_FOLDS; f++) {
    const char *why = nest_check_fold(r->ctx->arena, f);
    if (why)
      printf("%s: %s\n", nest_folds[f].text, why);
    bad += why != NULL;
  }
  printf("%d rows checked, %d bad\n", IR_NUM_OPS + NEST_NUM_FOLDS, bad);
  return bad ? DN_EXIT_INTERNAL : DN_EXIT_OK;
}

static int run_tool(struct run *r, int argc, char **argv) {
  struct options opts;
  bool done;
  r->opts = &opts;
  r->out = dn_buf_new(r->ctx->arena);
  if (!opt_parse(r->ctx, OPT_OPT, argc, argv, &opts, &done) || !set_facts(r))
    return DN_EXIT_USAGE;
  if (done)
    return DN_EXIT_OK;
  if (opts.list_ops)
    opt_list_ops(stdout);
  if (opts.list_passes)
    opt_list_passes(stdout);
  if (opts.check_rows)
    return check_rows(r);
  if (opts.print_facts)
    ir_facts_print(stdout, &r->facts);
  if (opts.list_ops || opts.list_passes || opts.print_facts)
    return DN_EXIT_OK;
  if (opts.files.n > 1) {
    dn_error(r->ctx, (struct dn_loc){.file = "dnnc-opt"}, DN_USAGE,
             "one file at a time");
    return DN_EXIT_USAGE;
  }
  bool ok = run_file(r, opts.files.n ? opts.files.v[0] : "-");
  dn_diags_capture(r->ctx, false);
  if (opts.verify_diagnostics && dn_exit_code(r->ctx) == DN_EXIT_OK)
    return ok ? DN_EXIT_OK : DN_EXIT_MISMATCH;
  if ((dn_exit_code(r->ctx) == DN_EXIT_OK || opts.split_input) &&
      dn_file_write(r->ctx, opts.output ? opts.output : "-", r->out.text,
                    r->out.len))
    dn_outputs_commit(r->ctx);
  if (opts.time_passes)
    dn_phases_print(r->ctx, stderr);
  return (int)dn_exit_code(r->ctx);
}

int main(int argc, char **argv) {
  process_start();
  struct dn_ctx *ctx = dn_ctx_new(stderr);
  struct run r = {.ctx = ctx};
  jmp_buf fatal;
  int code;
  dn_phase(ctx, "options");
  ctx->fatal = &fatal;
  if (setjmp(fatal))
    code = (int)dn_exit_code(ctx);
  else
    code = run_tool(&r, argc, argv);
  process_finish(ctx, false);
  if (!code)
    code = (int)dn_exit_code(ctx);
  dn_ctx_free(ctx);
  return code;
}
