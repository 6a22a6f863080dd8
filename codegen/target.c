/* target.c - from --target, -mcpu and -mattr to a checked target and the facts
 * that passes use. LLVM only warns of names that it does not know and may abort
 * later, so they are checked against tables of its own names first.
 *
 * The host is its feature bits: a CPU's name can be wrong under a hypervisor.
 */
#include "codegen/target.h"

#include "ir/diag.h"

#include <llvm-c/Core.h>
#include <llvm-c/Target.h>
#include <stdlib.h>
#include <string.h>

#include "cpus.inc" /* in the build folder, see cmake/cpus.cmake */

static const struct cg_target_row rows[] = {
#define TARGET(LLVM, arch, triple, help, cpu, features, linux_features, model, \
               pointer, l1, l2, l3, summary)                                   \
  {CG_##LLVM,                                                                  \
   arch,                                                                       \
   triple,                                                                     \
   cpus_##help,                                                                \
   features_##help,                                                            \
   cpu,                                                                        \
   features,                                                                   \
   linux_features,                                                             \
   LLVMCodeModel##model,                                                       \
   pointer,                                                                    \
   l1,                                                                         \
   l2,                                                                         \
   l3,                                                                         \
   summary},
#include "codegen/targets.def"
#undef TARGET
};
enum { NROWS = sizeof rows / sizeof *rows };

static const struct cg_target_row *find_row(const char *triple) {
  for (size_t i = 0; i < NROWS; i++)
    if (!strncmp(triple, rows[i].arch, strlen(rows[i].arch)))
      return &rows[i];
  return NULL;
}

/* ---- Names that LLVM knows, and the one that was meant ---- */

enum { MAX_NAME = 64 };

static unsigned edit_distance(const char *a, const char *b) {
  unsigned row[MAX_NAME + 1];
  size_t n = strlen(b);
  if (strlen(a) > MAX_NAME || n > MAX_NAME)
    return MAX_NAME;
  for (unsigned j = 0; j <= n; j++)
    row[j] = j;
  for (unsigned i = 1; a[i - 1]; i++) {
    unsigned corner = row[0];
    row[0] = i;
    for (unsigned j = 1; j <= n; j++) {
      unsigned best = corner + (a[i - 1] != b[j - 1]);
      corner = row[j];
      if (row[j] + 1 < best)
        best = row[j] + 1;
      if (row[j - 1] + 1 < best)
        best = row[j - 1] + 1;
      row[j] = best;
    }
  }
  return row[n];
}

static bool name_known(const char *const *names, const char *name) {
  for (; *names; names++)
    if (!strcmp(*names, name))
      return true;
  return false;
}

/* The nearest name when it is near enough to have been meant, or NULL. */
static const char *nearest(const char *const *names, const char *name) {
  const char *best = NULL;
  unsigned least = (unsigned)strlen(name) / 3 + 2;
  for (; *names; names++) {
    unsigned d = edit_distance(name, *names);
    if (d < least) {
      least = d;
      best = *names;
    }
  }
  return best;
}

static bool check_name(struct dn_ctx *ctx, const char *kind, const char *triple,
                       const char *const *names, const char *name) {
  if (name_known(names, name))
    return true;
  struct dn_buf text;
  dn_buf_init(&text, ctx->arena);
  dn_buf_escape(&text, name, strlen(name));
  dn_error(ctx, (struct dn_loc){0}, DN_CPU, "unknown %s '%s' for target '%s'",
           kind, text.text ? text.text : "", triple);
  const char *meant = nearest(names, name);
  if (meant)
    dn_note(ctx, "did you mean '%s'?", meant);
  return false;
}

/* "+a,-b": each named after a sign. */
static bool check_features(struct dn_ctx *ctx, const struct cg_target_row *row,
                           const char *triple, const char *text) {
  bool ok = true;
  while (*text) {
    size_t n = strcspn(text, ",");
    const char *one = dn_strndup(ctx->arena, text, n);
    if (*one != '+' && *one != '-') {
      dn_error(ctx, (struct dn_loc){0}, DN_CPU,
               "feature '%s' of -mattr must start with + or -", one);
      ok = false;
    } else {
      ok &= check_name(ctx, "feature", triple, row->features, one + 1);
    }
    text += n + (text[n] == ',');
  }
  return ok;
}

/* ---- Resolving ---- */

static bool has_os(const char *triple) {
  static const char *const systems[] = {"linux",  "android", "freebsd",
                                        "netbsd", "openbsd", "fuchsia"};
  for (size_t i = 0; i < sizeof systems / sizeof *systems; i++)
    if (strstr(triple, systems[i]))
      return true;
  return false;
}

static bool is_elf(const char *triple) {
  static const char *const others[] = {"darwin", "apple",  "macos", "ios",
                                       "win",    "mingw",  "macho", "coff",
                                       "wasm",   "cygwin", "uefi"};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (strstr(triple, others[i]))
      return false;
  return true;
}

static int compare_names(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The host's features that are there, sorted: LLVM lists them in no order. */
static const char *host_features(struct dn_ctx *ctx) {
  char *all = LLVMGetHostCPUFeatures();
  DN_LIST(const char *) list = {0};
  struct dn_buf text;
  dn_buf_init(&text, ctx->arena);
  dn_buf_put(&text, "", 0);
  for (const char *p = all; *p;) {
    size_t n = strcspn(p, ",");
    if (*p == '+')
      DN_PUSH(ctx->arena, list, dn_strndup(ctx->arena, p, n));
    p += n + (p[n] == ',');
  }
  LLVMDisposeMessage(all);
  if (list.n)
    qsort(list.v, list.n, sizeof *list.v, compare_names);
  for (size_t i = 0; i < list.n; i++)
    dn_buf_printf(&text, "%s%s", i ? "," : "", list.v[i]);
  return text.text;
}

/* Triple and row; NULL after a diagnostic. */
static const struct cg_target_row *
resolve_triple(struct dn_ctx *ctx, const char *asked, const char **triple) {
  char *host = LLVMGetDefaultTargetTriple();
  *triple = dn_intern(ctx, asked ? asked : host);
  LLVMDisposeMessage(host);
  const struct cg_target_row *row = find_row(*triple);
  if (!row || !is_elf(*triple)) {
    struct dn_buf text;
    dn_buf_init(&text, ctx->arena);
    dn_buf_escape(&text, *triple, strlen(*triple));
    dn_error(ctx, (struct dn_loc){0}, DN_CPU, "unknown target '%s'%s",
             text.text ? text.text : "", row ? ": only ELF systems" : "");
    dn_note(ctx, "--list-targets shows the families; their triples are "
                 "ARCHITECTURE-VENDOR-SYSTEM, as in clang");
    return NULL;
  }
  if (!strchr(*triple, '-') && strlen(*triple) == strlen(row->arch))
    *triple = row->triple;
  return row;
}

/* CPU and features: the host's own, or what was asked for over the row's
 * defaults. */
static void resolve_cpu(struct dn_ctx *ctx, const struct cg_target_opts *o,
                        struct cg_target *t) {
  bool bare = t->facts.bare_metal;
  bool native = o->cpu ? !strcmp(o->cpu, "native") : !o->triple;
  const char *features = "";
  t->facts.cpu = t->row->cpu;
  if (native)
    features = host_features(ctx);
  else if (o->cpu)
    t->facts.cpu = dn_intern(ctx, o->cpu);
  else
    features = bare ? t->row->bare_features : t->row->os_features;
  const char *attrs = o->attrs ? o->attrs : "";
  t->facts.features = dn_printf(ctx->arena, "%s%s%s", features,
                                *features && *attrs ? "," : "", attrs);
}

static bool check_native(struct dn_ctx *ctx, const struct cg_target_opts *o,
                         const struct cg_target_row *row) {
  if (!o->triple || !o->cpu || strcmp(o->cpu, "native") != 0)
    return true;
  char *host = LLVMGetDefaultTargetTriple();
  bool same = find_row(host) == row;
  LLVMDisposeMessage(host);
  if (!same)
    dn_error(ctx, (struct dn_loc){0}, DN_CPU,
             "-mcpu=native is this machine's; it is no '%s'", o->triple);
  return same;
}

struct cg_target *cg_target_new(struct dn_ctx *ctx,
                                const struct cg_target_opts *o) {
  struct cg_target *t = DN_NEW(ctx->arena, struct cg_target);
  struct cg_facts *f = &t->facts;
  t->row = resolve_triple(ctx, o->triple, &f->triple);
  if (!t->row || !check_native(ctx, o, t->row))
    return NULL;
  f->bare_metal = !has_os(f->triple);
  t->abi = o->abi ? o->abi : "";
  t->opt_level = o->opt_level;
  t->opt_size = o->opt_size;
  resolve_cpu(ctx, o, t);
  bool ok = !o->cpu || !strcmp(o->cpu, "native") ||
            check_name(ctx, "CPU", f->triple, t->row->cpus, o->cpu);
  if (o->attrs)
    ok &= check_features(ctx, t->row, f->triple, o->attrs);
  f->pointer_bytes = t->row->pointer_bytes;
  f->l1 = (int64_t)t->row->l1 * 1024;
  f->l2 = (int64_t)t->row->l2 * 1024;
  f->l3 = (int64_t)t->row->l3 * 1024;
  if (!ok || !cg_target_probe(ctx, t))
    return NULL;
  f->align = f->vector_bytes > 16 ? f->vector_bytes : 16;
  if (f->bare_metal && !f->vector_bytes)
    f->align = 8;
  return t;
}

const struct cg_facts *cg_target_facts(const struct cg_target *t) {
  return &t->facts;
}

/* ---- LLVM ---- */

#define INITIALISE(T)                                                          \
  case CG_##T:                                                                 \
    LLVMInitialize##T##TargetInfo();                                           \
    LLVMInitialize##T##Target();                                               \
    LLVMInitialize##T##TargetMC();                                             \
    LLVMInitialize##T##AsmPrinter();                                           \
    LLVMInitialize##T##AsmParser();                                            \
    break

static void initialise(enum cg_backend backend) {
  switch (backend) {
    INITIALISE(X86);
    INITIALISE(AArch64);
    INITIALISE(ARM);
    INITIALISE(RISCV);
    INITIALISE(Xtensa);
  }
}

LLVMTargetMachineRef cg_target_machine(const struct cg_target *t, bool large,
                                       char **message) {
  static const LLVMCodeGenOptLevel levels[] = {
      LLVMCodeGenLevelNone, LLVMCodeGenLevelLess, LLVMCodeGenLevelDefault,
      LLVMCodeGenLevelAggressive};
  LLVMTargetRef target = NULL;
  initialise(t->row->backend);
  if (LLVMGetTargetFromTriple(t->facts.triple, &target, message))
    return NULL;
  LLVMTargetMachineOptionsRef o = LLVMCreateTargetMachineOptions();
  LLVMTargetMachineOptionsSetCPU(o, t->facts.cpu);
  LLVMTargetMachineOptionsSetFeatures(o, t->facts.features);
  LLVMTargetMachineOptionsSetABI(o, t->abi);
  LLVMTargetMachineOptionsSetCodeGenOptLevel(o, levels[t->opt_level & 3]);
  LLVMTargetMachineOptionsSetRelocMode(o, t->facts.bare_metal ? LLVMRelocStatic
                                                              : LLVMRelocPIC);
  LLVMTargetMachineOptionsSetCodeModel(o, large && t->row->backend == CG_X86
                                              ? LLVMCodeModelMedium
                                              : t->row->model);
  LLVMTargetMachineRef machine =
      LLVMCreateTargetMachineWithOptions(target, t->facts.triple, o);
  LLVMDisposeTargetMachineOptions(o);
  if (!machine)
    *message = LLVMCreateMessage("no target machine");
  return machine;
}

/* ---- Lists ---- */

const char *cg_llvm_version(void) { return LLVM_VERSION_STRING; }

void cg_list_targets(struct dn_buf *out) {
  dn_buf_printf(out, "%-16s %-32s %-13s %s\n", "TARGET", "TRIPLE", "CPU",
                "PROCESSORS");
  for (size_t i = 0; i < NROWS; i++)
    dn_buf_printf(out, "%-16s %-32s %-13s %s\n", rows[i].arch, rows[i].triple,
                  rows[i].cpu, rows[i].summary);
  dn_buf_printf(out,
                "\nLLVM %s. --target=TRIPLE -mcpu=help lists CPUs and "
                "features.\n",
                cg_llvm_version());
}

bool cg_list_cpus(struct dn_ctx *ctx, const char *triple, struct dn_buf *out) {
  const char *resolved;
  const struct cg_target_row *row = resolve_triple(ctx, triple, &resolved);
  if (!row)
    return false;
  dn_buf_printf(out, "CPUs of %s (-mcpu=):\n", resolved);
  for (const char *const *p = row->cpus; *p; p++)
    dn_buf_printf(out, "  %s\n", *p);
  dn_buf_printf(out, "features (-mattr=+NAME,-NAME):\n");
  for (const char *const *p = row->features; *p; p++)
    dn_buf_printf(out, "  %s\n", *p);
  return true;
}
