/* dnnc.c - the compiler's command:
 *
 *   fe_import -> pass_pipeline -> cg_compile -> files
 *
 * What is written is a row of `kinds`; everything before it is the same for all
 * of them. */
#define _POSIX_C_SOURCE 200809L
#include "ir/phase.h"
#include "tools/boards.h"
#include "tools/budget.h"
#include "tools/compile.h"
#include "tools/device.h"
#include "tools/dot.h"
#include "tools/package.h"
#include "tools/process.h"
#include "tools/shared.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct dnnc;
struct kind {
  const char *name;
  bool (*run)(struct dnnc *d);
  bool reports; /* obeys --report */
  bool code;    /* may have line tables */
  bool sized;   /* obeys budgets */
  int arg;      /* of `run` */
};

struct dnnc {
  struct dn_ctx *ctx;
  const struct kind *kind; /* of output */
  struct options o;
  struct compile c;
  struct timespec start;
  const char *extension; /* of the output by -S or -emit-llvm */
  struct cg_blob object;
  struct cg_sizes sizes;
  struct cg_debug debug; /* -g */
  struct dn_buf listing;
};

/* ---- Talking ---- */

static double seconds(const struct dnnc *d) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)(now.tv_sec - d->start.tv_sec) +
         1e-9 * (double)(now.tv_nsec - d->start.tv_nsec);
}

/* Starts a phase of --time-passes. Prints its name with -v, or on a terminal
 * when it takes long. */
static void say(const struct dnnc *d, const char *what) {
  dn_phase(d->ctx, what);
  if (d->o.verbose)
    fprintf(stderr, "%7.3f s  %s\n", seconds(d), what);
  else if (seconds(d) > 1 && isatty(STDERR_FILENO))
    fprintf(stderr, "\r\033[K%s ...", what);
}
static void say_done(const struct dnnc *d) {
  if (!d->o.verbose && seconds(d) > 1 && isatty(STDERR_FILENO))
    fprintf(stderr, "\r\033[K");
}

static void say_target(const struct dnnc *d) {
  const struct cg_names *n = cg_target_names(d->c.target);
  if (!d->o.verbose)
    return;
  fprintf(stderr, "target %s, CPU %s, features '%s', LLVM %s\n", n->triple,
          n->cpu, n->features, cg_llvm_version());
}

/* ---- Names of files ---- */

/* `path` with another extension; of a model, in the current folder. */
static const char *with_extension(struct dn_ctx *ctx, const char *path,
                                  bool here, const char *extension) {
  const char *base = dn_base_name(path);
  const char *dot = strrchr(base, '.');
  size_t n = dot && dot != base ? (size_t)(dot - base) : strlen(base);
  return dn_printf(ctx->arena, "%.*s%.*s%s", here ? 0 : (int)(base - path),
                   path, (int)n, base, extension);
}

/* -o, or a name after the model, or the standard output for text. */
static const char *output_path(const struct dnnc *d, const char *extension) {
  if (d->o.output)
    return d->o.output;
  extension = extension ? extension : d->extension;
  return extension ? with_extension(d->ctx, d->c.path, true, extension) : "-";
}

static bool write_text(const struct dnnc *d, const struct dn_buf *text) {
  return dn_file_write(d->ctx, output_path(d, NULL), text->text, text->len);
}

/* ---- Kinds of output ---- */

static bool run_passes(struct dnnc *d, enum ir_form form) {
  say(d, "running passes");
  if (d->o.verbose)
    fprintf(stderr, "passes %s\n", compile_pipeline(&d->c, form));
  return compile_passes(&d->c, form);
}

/* -g: the text in which generated code has its lines, for a file beside the
 * output. Long constants are left out of it. */
static void make_listing(struct dnnc *d) {
  struct dn_ctx *ctx = d->ctx;
  const struct ir_module *m = d->c.m;
  const char *output = d->o.output ? d->o.output : d->c.path;
  unsigned *line = DN_ARRAY(ctx->arena, unsigned, m->nops + 1);
  char folder[PATH_MAX];
  d->listing = dn_buf_new(ctx->arena);
  ir_print(
      &d->listing, m,
      &(struct ir_print_opts){.locs = true, .const_limit = 64, .line = line});
  d->debug = (struct cg_debug){
      .file = with_extension(ctx, output, !d->o.output, ".planned.dnn"),
      .folder = dn_printf(ctx->arena, "%s",
                          getcwd(folder, sizeof folder) ? folder : "."),
      .line = line};
  d->c.cg.debug = &d->debug;
}

static bool write_listing(const struct dnnc *d) {
  return !d->o.debug ||
         dn_file_write(d->ctx, d->debug.file, d->listing.text, d->listing.len);
}

static bool write_code(const struct dnnc *d, const char *path) {
  return dn_file_write(d->ctx, path, d->object.data, d->object.size) &&
         write_listing(d);
}

/* --weights */
static bool write_weights(const struct dnnc *d) {
  struct cg_blob blob;
  if (!d->o.weights)
    return true;
  cg_weights(d->ctx, d->c.m, d->sizes.abi, &blob);
  return dn_file_write(d->ctx, d->o.weights, blob.data, blob.size);
}

/* --region: the piece of a linker script beside an object. */
static bool write_linker(const struct dnnc *d, const char *object) {
  struct cg_blob text;
  if (!d->c.regions || dn_file_is_special(object))
    return true;
  cg_linker(d->ctx, &d->c.cg, &text);
  return dn_file_write(d->ctx, with_extension(d->ctx, object, false, ".ld"),
                       text.data, text.size);
}

static bool compile_to(struct dnnc *d, enum cg_emit kind) {
  if (!run_passes(d, IR_PLANNED) || !compile_is_planned(&d->c))
    return false;
  if (d->o.debug)
    make_listing(d);
  say(d, "generating code");
  bool ok = compile_object(&d->c, kind, &d->object, &d->sizes);
  dn_phase(d->ctx, "writing");
  return ok;
}

static bool make_report(struct dnnc *d, enum cg_report_kind kind,
                        struct cg_blob *out) {
  return cg_report(d->ctx, d->c.target, d->c.m, &d->c.cg, &d->sizes, kind, out);
}

/* Output format by file extension; none means text, -1 an unknown one. */
static int find_report_kind(const char *path) {
  const char *dot = strrchr(dn_base_name(path), '.');
  if (!dot || !strcmp(dot, ".txt") || !strcmp(dot, ".text"))
    return CG_REPORT_TEXT;
  return !strcmp(dot, ".json")   ? CG_REPORT_JSON
         : !strcmp(dot, ".html") ? CG_REPORT_HTML
                                 : -1;
}
static enum cg_report_kind report_kind(const char *path) {
  return (enum cg_report_kind)find_report_kind(path);
}

/* --report=FILE, and the short report on a terminal or with -v. */
static bool write_reports(struct dnnc *d) {
  struct cg_blob text;
  const char *file = d->o.report;
  say_done(d);
  if (d->o.verbose || isatty(STDOUT_FILENO)) {
    enum cg_report_kind kind = d->o.verbose ? CG_REPORT_TEXT : CG_REPORT_BRIEF;
    if (!make_report(d, kind, &text))
      return false;
    fwrite(text.data, 1, text.size, stdout);
  }
  if (!file)
    return true;
  return make_report(d, report_kind(file), &text) &&
         dn_file_write(d->ctx, file, text.data, text.size);
}

static bool make_header(struct dnnc *d, const char *path, struct cg_blob *out) {
  d->c.cg.header = path && strcmp(path, "-") != 0 ? dn_base_name(path) : NULL;
  return cg_header(d->ctx, d->c.target, d->c.m, &d->c.cg, &d->sizes, out);
}

static bool emit_obj(struct dnnc *d) {
  struct cg_blob header;
  const char *path = output_path(d, ".o");
  const char *beside = with_extension(d->ctx, path, false, ".h");
  bool piped = dn_file_is_special(path);
  if (!compile_to(d, CG_OBJ) || !budget_check(&d->c, &d->sizes) ||
      !make_header(d, piped ? NULL : beside, &header))
    return false;
  say(d, "writing");
  if (!write_code(d, path) || !write_linker(d, path) || !write_weights(d))
    return false;
  if (!piped && strcmp(beside, path) != 0 &&
      !dn_file_write(d->ctx, beside, header.data, header.size))
    return false;
  return write_reports(d);
}

static bool emit_package(struct dnnc *d) {
  struct cg_blob header;
  struct package *p = package_begin(&d->c, d->o.package);
  if (!p || !compile_to(d, CG_OBJ) || !budget_check(&d->c, &d->sizes) ||
      !make_header(d, NULL, &header))
    return false;
  say(d, "writing");
  return package_write(p, d->o.output, &d->object, &header) && write_reports(d);
}

/* Assembly, LLVM IR, bitcode: `arg`. */
static bool emit_code(struct dnnc *d) {
  enum cg_emit kind = (enum cg_emit)d->kind->arg;
  return compile_to(d, kind) &&
         write_code(d, output_path(d, kind == CG_BITCODE ? ".bc" : NULL));
}

static bool emit_header(struct dnnc *d) {
  struct cg_blob text;
  return compile_to(d, CG_OBJ) && budget_check(&d->c, &d->sizes) &&
         make_header(d, d->o.output, &text) &&
         dn_file_write(d->ctx, output_path(d, NULL), text.data, text.size);
}

static bool emit_report(struct dnnc *d) {
  struct cg_blob text;
  const char *path = output_path(d, NULL);
  return compile_to(d, CG_OBJ) && budget_check(&d->c, &d->sizes) &&
         make_report(d, report_kind(path), &text) &&
         dn_file_write(d->ctx, path, text.data, text.size);
}

static bool emit_shared(struct dnnc *d) {
  struct cg_blob header;
  const char *path = output_path(d, ".so");
  if (cg_target_facts(d->c.target)->bare_metal || dn_file_is_special(path))
    return dn_usage(d->ctx, "--emit=shared",
                    "a shared library needs an operating system and a file");
  const char *beside = with_extension(d->ctx, path, false, ".h");
  return compile_to(d, CG_OBJ) && budget_check(&d->c, &d->sizes) &&
         make_header(d, beside, &header) &&
         shared_link(d->ctx, &d->object, path, !d->o.target,
                     d->c.cg.threads > 1) &&
         write_listing(d) && write_weights(d) &&
         dn_file_write(d->ctx, beside, header.data, header.size) &&
         write_reports(d);
}

/* Text to a file is complete, so that it can be read back; on standard output
 * long constants are elided unless `whole`. */
static bool print_module(struct dnnc *d, bool whole) {
  struct dn_buf text = dn_buf_new(d->ctx->arena);
  whole = whole || d->o.output;
  ir_print(
      &text, d->c.m,
      &(struct ir_print_opts){.locs = true, .const_limit = whole ? -1 : 64});
  return write_text(d, &text);
}

static bool emit_dnn(struct dnnc *d) { return print_module(d, true); }

/* The module in form `arg`. */
static bool emit_form(struct dnnc *d) {
  return run_passes(d, (enum ir_form)d->kind->arg) && print_module(d, false);
}

static bool emit_dot(struct dnnc *d) {
  struct dn_buf text = dn_buf_new(d->ctx->arena);
  if (!run_passes(d, IR_KERNELS))
    return false;
  dot_print(&text, d->c.m);
  return write_text(d, &text);
}

static bool emit_memmap(struct dnnc *d) {
  struct dn_buf text = dn_buf_new(d->ctx->arena);
  if (!run_passes(d, IR_PLANNED) || !compile_is_planned(&d->c))
    return false;
  cg_memmap(d->c.m, &text);
  return write_text(d, &text);
}

/* Everything but writing: import lists what is not supported, and so does code
 * generation for the target. */
static bool check_only(struct dnnc *d) {
  if (!compile_to(d, CG_OBJ) || !budget_check(&d->c, &d->sizes))
    return false;
  say_done(d);
  printf("%s: supported\n", d->c.path);
  return true;
}

static const struct kind kinds[] = {
    {"obj", emit_obj, true, true, true, 0},
    {"asm", emit_code, false, true, false, CG_ASM},
    {"llvm", emit_code, false, true, false, CG_LLVM},
    {"bitcode", emit_code, false, true, false, CG_BITCODE},
    {"shared", emit_shared, true, true, true, 0},
    {"package", emit_package, true, false, true, 0},
    {"header", emit_header, false, false, true, 0},
    {"report", emit_report, false, false, true, 0},
    {"dnn", emit_dnn, false, false, false, 0},
    {"graph", emit_form, false, false, false, IR_GRAPH},
    {"kernels", emit_form, false, false, false, IR_KERNELS},
    {"planned", emit_form, false, false, false, IR_PLANNED},
    {"dot", emit_dot, false, false, false, 0},
    {"memmap.svg", emit_memmap, false, false, false, 0}};
enum { NKINDS = DN_COUNT(kinds) };

static const struct kind *find_kind(struct dn_ctx *ctx, const char *name) {
  const char *names[NKINDS];
  int row = DN_FIND(kinds, name);
  if (row >= 0)
    return &kinds[row];
  for (size_t i = 0; i < NKINDS; i++)
    names[i] = kinds[i].name;
  dn_usage(ctx, "--emit", "unknown kind of output '%.100s'", name);
  dn_suggest(ctx, name, names, NKINDS);
  return NULL;
}

/* -c, -S and -emit-llvm as clang has them: -S goes before -c, and each names
 * its file after the model. */
static const struct kind *wanted_kind(struct dnnc *d) {
  const struct options *o = &d->o;
  const char *name = !o->emit_llvm ? (o->assembly ? "asm" : "obj")
                     : o->assembly ? "llvm"
                                   : "bitcode";
  if (o->package)
    name = "package";
  bool letters = o->package || o->object || o->assembly || o->emit_llvm;
  if (letters && o->emit && strcmp(o->emit, name) != 0) {
    dn_usage(d->ctx, "--emit", "%s asks for '%s', not for '%.100s'",
             o->package     ? "--package"
             : o->emit_llvm ? "-emit-llvm"
             : o->assembly  ? "-S"
                            : "-c",
             name, o->emit);
    return NULL;
  }
  if (letters && !o->package)
    d->extension = o->emit_llvm ? ".ll" : ".s";
  return find_kind(d->ctx, o->emit ? o->emit : name);
}

/* ---- The command line ---- */

/* Shell text of the command, for the note of a crash. */
static const char *command_line(struct dn_ctx *ctx, int argc, char **argv) {
  struct dn_buf out = dn_buf_new(ctx->arena);
  for (int i = 0; i < argc; i++) {
    const char *s = i ? argv[i] : "dnnc";
    bool plain = *s && s[strcspn(s, " \t\n'\"\\$`!*?[]{}()<>|&;#~")] == 0;
    dn_buf_printf(&out, "%s%s", i ? " " : "", plain ? "" : "'");
    for (; *s; s++)
      dn_buf_printf(&out, *s == '\'' ? "'\\'%c" : "%c", *s);
    dn_buf_printf(&out, "%s", plain ? "" : "'");
  }
  return out.text;
}

static bool explain(struct dn_ctx *ctx, const char *code) {
  int number = 0;
  const char *p = code + (*code == 'E' || *code == 'e');
  for (; *p >= '0' && *p <= '9' && number < 10000; p++)
    number = number * 10 + (*p - '0');
  const char *text = *p ? NULL : dn_explain(number);
  if (!text)
    return dn_usage(ctx, "--explain", "no diagnostic '%.40s'", code);
  printf("E%04d: %s\n", number, text);
  return true;
}

/* Options such as --list-ops that print something and need no model; false when
 * none is given. */
static bool answer(struct dnnc *d, bool *ok) {
  struct dn_buf text = dn_buf_new(d->ctx->arena);
  *ok = true;
  if (d->o.explain) {
    *ok = explain(d->ctx, d->o.explain);
  } else if (d->o.list_ops) {
    opt_list_ops(stdout);
  } else if (d->o.list_passes) {
    opt_list_passes(stdout);
  } else if (d->o.list_devices) {
    *ok = device_list(d->ctx, stdout);
  } else if (d->o.list_targets) {
    cg_list_targets(&text);
  } else if (d->o.cpu && !strcmp(d->o.cpu, "help")) {
    *ok = cg_list_cpus(d->ctx, d->o.target, &text);
  } else if (d->o.print_facts) {
    struct cg_target *t = compile_target(d->ctx, &d->o);
    *ok = t != NULL;
    if (t)
      ir_facts_print(stdout, cg_target_facts(t));
  } else {
    return false;
  }
  if (text.len)
    fwrite(text.text, 1, text.len, stdout);
  return true;
}

/* --report needs an output with an object, and a file whose extension is a kind
 * of report. */
static bool check_report(const struct dnnc *d, const struct kind *kind) {
  const char *file = d->o.report;
  if (!strcmp(kind->name, "report") && !file)
    file = d->o.output;
  const char *wrong = NULL;
  if (d->o.report && (d->o.check || !kind->reports))
    wrong = dn_printf(
        d->ctx->arena, "%s%s writes no object to report on",
        d->o.check ? "--check" : "--emit=", d->o.check ? "" : kind->name);
  else if (file && find_report_kind(file) < 0)
    wrong =
        dn_printf(d->ctx->arena,
                  "'%.200s' is no kind of report: .json, .html or .txt", file);
  return !wrong || dn_usage(d->ctx, "--report", "%s", wrong);
}

/* -g needs a file for its listing. */
static bool check_debug(const struct dnnc *d, const struct kind *kind) {
  bool piped = d->o.output && dn_file_is_special(d->o.output);
  if (!d->o.debug || (kind->code && !d->o.check && !piped))
    return true;
  return dn_usage(
      d->ctx, "-g",
      piped ? "writes NAME.planned.dnn beside the output: give -o NAME.o"
            : "is for code: objects, assembly, LLVM IR, shared libraries");
}

static bool same_file(const char *a, const char *b) {
  struct stat x, y;
  return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev &&
         x.st_ino == y.st_ino && S_ISREG(x.st_mode);
}

/* Nothing that is written takes the place of the model or of one another. */
static bool check_output(const struct dnnc *d) {
  struct dn_ctx *ctx = d->ctx;
  const char *model = d->o.files.v[0], *wrong = NULL;
  const char *out = d->o.output;
  const char *dot = out ? strrchr(dn_base_name(out), '.') : NULL;
  bool object = !d->o.emit && !d->o.assembly && !d->o.emit_llvm;
  if (!strcmp(model, "-"))
    wrong = "a model is a file; it is not read from the standard input";
  else if (out && same_file(out, model))
    wrong = "the output would take the place of the model";
  else if (object && dot && !strcmp(dot, ".h"))
    wrong = "-o names the object; its header is written beside it as NAME.h";
  return !wrong || dn_usage(ctx, out ? "-o" : model, "%s", wrong);
}

/* Budgets need an output whose bytes are known: an object. (Those of --device
 * are ignored for other outputs.) */
static bool check_sized(const struct dnnc *d, const struct kind *kind) {
  const struct options *o = &d->o;
  if (kind->sized || o->check ||
      (o->max_ram < 0 && o->max_flash < 0 && o->max_stack < 0))
    return true;
  const char *given = o->max_ram >= 0     ? "--max-ram"
                      : o->max_flash >= 0 ? "--max-flash"
                                          : "--max-stack";
  return dn_usage(d->ctx, given,
                  "budgets are of an object; --emit=%s makes none", kind->name);
}

/* Options that exclude each other: a table of boards and files, packages without a
 * folder, regions or weights without an object. */
static bool check_boards(const struct dnnc *d, const struct kind *kind) {
  const struct options *o = &d->o;
  if (boards_asked(o) && (o->output || o->report || o->emit))
    return dn_usage(d->ctx, "--device",
                    "of several boards there is a table alone, no output");
  if (!strcmp(kind->name, "package") &&
      (!o->package || !o->output || o->weights))
    return dn_usage(d->ctx, "--package",
                    "a package has a KIND, a folder, -o, and its weights");
  if (o->region && strcmp(kind->name, "obj") != 0 && !o->package)
    return dn_usage(d->ctx, "--region", "regions are of an object");
  if (o->weights && (!kind->reports || o->check || boards_asked(o)))
    return dn_usage(d->ctx, "--weights",
                    "there is no object that its constants are apart from");
  return true;
}

static bool check_usage(struct dnnc *d, const struct kind *kind) {
  if (d->o.files.n != 1) {
    dn_error(d->ctx, (struct dn_loc){.file = "dnnc"}, DN_USAGE,
             d->o.files.n ? "one model at a time" : "no model given");
    dn_note(d->ctx, "usage: dnnc MODEL [-o OUT.o] [options]; dnnc --help "
                    "lists them");
    return false;
  }
  if (d->o.quantize)
    return dn_usage(
        d->ctx, "--quantize",
        "dnnc does not quantize yet; quantize the model first, with "
        "ONNX Runtime's quantizer for instance: integer models compile");
  if (!check_output(d) || !check_sized(d, kind) || !check_report(d, kind) ||
      !check_debug(d, kind) || !check_boards(d, kind))
    return false;
  return !d->o.device || boards_asked(&d->o) ||
         device_apply(d->ctx, d->o.device, &d->o);
}

static bool run(struct dnnc *d, int argc, char **argv) {
  bool done = false, ok;
  if (!opt_parse(d->ctx, OPT_DNNC, argc, argv, &d->o, &done) || done)
    return done;
  if (answer(d, &ok))
    return ok;
  const struct kind *kind = d->kind = wanted_kind(d);
  if (!kind || !check_usage(d, kind))
    return false;
  if (boards_asked(&d->o))
    return boards_table(d->ctx, &d->o, stdout);
  if (!compile_begin(d->ctx, &d->o, d->o.files.v[0], &d->c))
    return false;
  d->c.cg.reproducer = command_line(d->ctx, argc, argv);
  d->c.cg.timeout = (unsigned)dn_min(d->o.timeout, 1 << 20);
  say_target(d);
  say(d, "importing");
  if (!compile_import(&d->c, NULL))
    return false;
  return d->o.check ? check_only(d) : kind->run(d);
}

/* An internal error ends with the command that shows it, once. */
static void say_reproducer(struct dn_ctx *ctx, int argc, char **argv) {
  size_t n = dn_diags_count(ctx);
  if (n && strncmp(dn_diags_get(ctx, n - 1)->message, "to reproduce", 12))
    dn_note(ctx, "to reproduce: %s", command_line(ctx, argc, argv));
}

int main(int argc, char **argv) {
  jmp_buf fatal;
  struct dn_ctx *ctx = dn_ctx_new(stderr);
  struct dnnc *d = DN_NEW(ctx->arena, struct dnnc);
  process_start();
  clock_gettime(CLOCK_MONOTONIC, &d->start);
  d->ctx = ctx;
  ctx->fatal = &fatal;
  dn_phase(ctx, "options");
  if (!setjmp(fatal) && !run(d, argc, argv) && !dn_errors(ctx))
    dn_error(ctx, (struct dn_loc){0}, DN_INTERNAL,
             "the compile failed without a reason");
  if (d->o.time_passes)
    dn_phases_print(ctx, stderr);
  process_finish(ctx, true);
  int code = (int)dn_exit_code(ctx);
  if (code == DN_EXIT_INTERNAL)
    say_reproducer(ctx, argc, argv);
  dn_ctx_free(ctx);
  return code;
}
