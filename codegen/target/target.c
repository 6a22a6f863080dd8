/* target.c - from --target, -mcpu and -mattr to a checked target and the facts
 * that passes use. LLVM only warns of names that it does not know and may abort
 * later, so they are checked against tables of its own names first.
 *
 * The host is its feature bits: a CPU's name can be wrong under a hypervisor.
 */
#include "codegen/target/target.h"

#include "ir/diag.h"

#include <assert.h>
#include <llvm-c/Core.h>
#include <llvm-c/Target.h>
#include <stdlib.h>
#include <string.h>

#include "cpus.inc" /* in the build folder, see cmake/cpus.cmake */

static const struct cg_target_row rows[] = {
#define TARGET(LLVM, arch, triple, help, cpu, features, linux_features, abis,  \
               model, pointer, l1, l2, l3, summary)                            \
  {CG_##LLVM,                                                                  \
   arch,                                                                       \
   triple,                                                                     \
   cpus_##help,                                                                \
   features_##help,                                                            \
   cpu,                                                                        \
   features,                                                                   \
   linux_features,                                                             \
   abis,                                                                       \
   LLVMCodeModel##model,                                                       \
   pointer,                                                                    \
   l1,                                                                         \
   l2,                                                                         \
   l3,                                                                         \
   summary},
#include "codegen/target/targets.def"
#undef TARGET
};
enum { NROWS = DN_COUNT(rows) };

/* ARM's architectures begin with a row's name; others are one, whole, which
 * leaves out those of other byte orders and pointers. */
const struct cg_target_row *cg_find_row(const char *triple) {
  size_t n = strcspn(triple, "-");
  for (size_t i = 0; i < NROWS; i++) {
    size_t m = strlen(rows[i].arch);
    if (!strncmp(triple, rows[i].arch, m) &&
        (m == n || rows[i].backend == CG_ARM))
      return &rows[i];
  }
  return NULL;
}

/* ---- Names in LLVM's tables, and the nearest to a misspelt one ---- */

bool cg_name_known(const char *const *names, const char *name) {
  for (; *names; names++)
    if (!strcmp(*names, name))
      return true;
  return false;
}

static bool check_name(struct dn_ctx *ctx, const char *kind, const char *triple,
                       const char *const *names, const char *name) {
  if (cg_name_known(names, name))
    return true;
  dn_error(ctx, (struct dn_loc){0}, DN_CPU, "unknown %s '%s' for target '%s'",
           kind, dn_escaped(ctx->arena, name), triple);
  size_t n = 0;
  while (names[n])
    n++;
  dn_suggest(ctx, name, names, n);
  return false;
}

/* A CPU of the target, or of which targets it is one. */
static bool check_cpu(struct dn_ctx *ctx, const struct cg_choice *c) {
  assert(c->row && "choose() found it");
  if (cg_name_known(c->row->cpus, c->cpu) ||
      check_name(ctx, "CPU", c->triple, c->row->cpus, c->cpu))
    return true;
  const char *arm = cg_arm_arch(ctx, c->cpu);
  for (size_t i = 0; i < NROWS; i++)
    if (arm ? rows + i == cg_find_row(arm)
            : cg_name_known(rows[i].cpus, c->cpu))
      dn_note(ctx, "it is a CPU of '%s': --target=%s", rows[i].arch,
              rows[i].triple);
  return false;
}

/* -mabi names one of the family's, which the features must carry. */
static bool check_abi(struct dn_ctx *ctx, const struct cg_choice *c,
                      const char *abi) {
  size_t n = strlen(abi);
  for (const char *p = c->row->abis; *p; p += strspn(p, " ")) {
    size_t m = strcspn(p, " ");
    if (n == m && !strncmp(p, abi, n))
      return true;
    p += m;
  }
  dn_error(ctx, (struct dn_loc){.where = "-mabi"}, DN_CPU,
           "'%s' is no ABI of '%s'", dn_escaped(ctx->arena, abi), c->triple);
  dn_note(ctx, *c->row->abis ? "it has %s" : "it has only its own",
          c->row->abis);
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

/* A board's own caches, which the family's row does not know. */
static void set_caches(struct ir_facts *f, const int64_t *caches) {
  int64_t *const fact[] = {&f->l1, &f->l2, &f->l3};
  for (size_t i = 0; caches && i < DN_COUNT(fact); i++)
    if (caches[i] >= 0)
      *fact[i] = caches[i];
}

/* ---- Resolving ---- */

bool cg_has_system(const char *triple) {
  static const char *const systems[] = {"linux",  "android", "freebsd",
                                        "netbsd", "openbsd", "fuchsia"};
  for (size_t i = 0; i < DN_COUNT(systems); i++)
    if (strstr(triple, systems[i]))
      return true;
  return false;
}

static bool is_elf(const char *triple) {
  static const char *const others[] = {"darwin", "apple",  "macos", "ios",
                                       "win",    "mingw",  "macho", "coff",
                                       "wasm",   "cygwin", "uefi"};
  for (size_t i = 0; i < DN_COUNT(others); i++)
    if (strstr(triple, others[i]))
      return false;
  return true;
}

static int compare_names(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A text that LLVM made for its caller. */
static const char *from_llvm(struct dn_ctx *ctx, char *text) {
  if (!text)
    dn_fatal(ctx, (struct dn_loc){0}, DN_MEMORY, "LLVM has no memory left");
  const char *copy = dn_intern(ctx, text);
  LLVMDisposeMessage(text);
  return copy;
}

/* The host's features that are there, sorted: LLVM lists them in no order. */
static const char *host_features(struct dn_ctx *ctx) {
  DN_LIST(const char *) list = {0};
  struct dn_buf text = dn_buf_new(ctx->arena);
  for (const char *p = from_llvm(ctx, LLVMGetHostCPUFeatures()); *p;) {
    size_t n = strcspn(p, ",");
    if (*p == '+')
      DN_PUSH(ctx->arena, list, dn_strndup(ctx->arena, p, n));
    p += n + (p[n] == ',');
  }
  if (list.n)
    qsort(list.v, list.n, sizeof *list.v, compare_names);
  for (size_t i = 0; i < list.n; i++)
    dn_buf_printf(&text, "%s%s", i ? "," : "", list.v[i]);
  return text.text;
}

/* A mistyped name, or one of an architecture that dnnc has no row for. */
static bool refuse_target(struct dn_ctx *ctx, const char *triple, bool row) {
  LLVMTargetRef known;
  char *message = NULL;
  LLVMInitializeAllTargetInfos();
  bool real = !LLVMGetTargetFromTriple(triple, &known, &message);
  LLVMDisposeMessage(message);
  dn_error(ctx, (struct dn_loc){0}, real ? DN_TARGET : DN_CPU,
           "%s target '%s'%s", real ? "unsupported" : "unknown",
           dn_escaped(ctx->arena, triple), row ? ": only ELF systems" : "");
  dn_note(ctx, "--list-targets shows the families; their triples are "
               "ARCHITECTURE-VENDOR-SYSTEM, as in clang");
  return false;
}

/* Other names of an architecture. */
static const char *rename_arch(struct dn_ctx *ctx, const char *triple) {
  static const struct {
    const char *other, *arch;
  } names[] = {{"arm64", "aarch64"}, {"amd64", "x86_64"}, {"x86-64", "x86_64"}};
  for (size_t i = 0; i < DN_COUNT(names); i++) {
    size_t n = strlen(names[i].other);
    if (!strncmp(triple, names[i].other, n) && (!triple[n] || triple[n] == '-'))
      return dn_printf(ctx->arena, "%s%s", names[i].arch, triple + n);
  }
  return triple;
}

/* Everything that the command line says of the processor. */
static bool choose(struct dn_ctx *ctx, const struct cg_target_opts *o,
                   struct cg_choice *c) {
  const char *host = from_llvm(ctx, LLVMGetDefaultTargetTriple());
  c->triple = rename_arch(ctx, dn_intern(ctx, o->triple ? o->triple : host));
  c->row = cg_find_row(c->triple);
  if (!c->row || !is_elf(c->triple))
    return refuse_target(ctx, c->triple, c->row != NULL);
  if (cg_is_arm(c->triple))
    return cg_arm_choose(ctx, o, c);
  if (!strchr(c->triple, '-'))
    c->triple = c->row->triple;
  return cg_march_choose(ctx, o, c);
}

static bool check_native(struct dn_ctx *ctx, const struct cg_target_opts *o,
                         const struct cg_choice *c) {
  if (!o->triple || strcmp(c->cpu, "native") != 0)
    return true;
  const char *host = from_llvm(ctx, LLVMGetDefaultTargetTriple());
  bool same = cg_find_row(host) == c->row;
  if (!same)
    dn_error(ctx, (struct dn_loc){0}, DN_CPU,
             "-mcpu=native is this machine's; it is no '%s'", o->triple);
  return same;
}

/* CPU and features: the host's own, or what was chosen, and -mattr's. */
static bool resolve_cpu(struct dn_ctx *ctx, const struct cg_target_opts *o,
                        struct cg_choice *c, struct cg_target *t) {
  bool named = o->cpu || o->march;
  bool native = named ? !strcmp(c->cpu, "native") : !o->triple;
  assert(c->row && c->cpu && c->features &&
         "cg_arm_choose() or cg_march_choose() set them");
  const char *attrs = o->attrs ? o->attrs : "";
  if (!check_native(ctx, o, c))
    return false;
  t->names.native = native;
  if (native) {
    c->cpu = c->row->cpu;
    c->features = host_features(ctx);
  }
  if (!named && !cg_name_known(c->row->cpus, c->cpu))
    c->cpu = "generic"; /* an LLVM that is older than the row's CPU */
  t->names.cpu = dn_intern(ctx, c->cpu);
  t->names.features = dn_printf(ctx->arena, "%s%s%s", c->features,
                                *c->features && *attrs ? "," : "", attrs);
  bool ok = check_cpu(ctx, c) && (!o->abi || check_abi(ctx, c, o->abi));
  return (!*attrs || check_features(ctx, c->row, c->triple, attrs)) && ok;
}

/* What -mfloat-abi=hard and the ABIs of RISC-V with floats take for granted. */
static bool check_floats(struct dn_ctx *ctx, const struct cg_target *t,
                         const struct cg_choice *c) {
  const char *abi = t->abi, last = *abi ? abi[strlen(abi) - 1] : '0';
  assert(t->facts.pointer_bytes > 0 && "the facts are read: cg_target_probe()");
  bool riscv = t->row->backend == CG_RISCV;
  bool ok = !(c->hard && t->facts.soft_f32) &&
            !(riscv && last == 'f' && t->facts.soft_f32) &&
            !(riscv && last == 'd' && !t->facts.has_double);
  if (!ok)
    dn_error(ctx, (struct dn_loc){.where = riscv ? "-mabi" : "-mfloat-abi"},
             DN_CPU,
             "floats pass in registers, which CPU '%s' with features '%s' "
             "lacks",
             t->names.cpu, t->names.features);
  return ok;
}

struct cg_target *cg_target_new(struct dn_ctx *ctx,
                                const struct cg_target_opts *o) {
  struct cg_target *t = DN_NEW(ctx->arena, struct cg_target);
  struct cg_choice c = {0};
  if (!choose(ctx, o, &c))
    return NULL;
  if (o->march && o->cpu)
    dn_warning(ctx, (struct dn_loc){.where = "-mcpu"},
               "-march=%s decides; the CPU is not looked at", o->march);
  assert(c.row && c.triple && "choose() found them");
  t->row = c.row;
  t->abi = o->abi ? o->abi : "";
  t->opt_level = o->opt_level;
  t->opt_size = o->opt_size;
  t->names.triple = dn_intern(ctx, c.triple);
  t->triple = from_llvm(ctx, LLVMNormalizeTargetTriple(t->names.triple));
  if (!resolve_cpu(ctx, o, &c, t) || !cg_target_probe(ctx, t) ||
      !check_floats(ctx, t, &c))
    return NULL;
  set_caches(&t->facts, o->caches);
  return t;
}

const struct ir_facts *cg_target_facts(const struct cg_target *t) {
  return &t->facts;
}

const struct cg_names *cg_target_names(const struct cg_target *t) {
  return &t->names;
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
  assert(t->opt_level >= 0 && t->opt_level <= 3 &&
         "levels that options take: options.c");
  LLVMTargetRef target = NULL;
  initialise(t->row->backend);
  if (LLVMGetTargetFromTriple(t->triple, &target, message))
    return NULL;
  LLVMTargetMachineOptionsRef o = LLVMCreateTargetMachineOptions();
  LLVMTargetMachineOptionsSetCPU(o, t->names.cpu);
  LLVMTargetMachineOptionsSetFeatures(o, t->names.features);
  LLVMTargetMachineOptionsSetABI(o, t->abi);
  LLVMTargetMachineOptionsSetCodeGenOptLevel(o, levels[t->opt_level & 3]);
  LLVMTargetMachineOptionsSetRelocMode(
      o, !cg_has_system(t->triple) ? LLVMRelocStatic : LLVMRelocPIC);
  LLVMTargetMachineOptionsSetCodeModel(o, large && t->row->backend == CG_X86
                                              ? LLVMCodeModelMedium
                                              : t->row->model);
  LLVMTargetMachineRef machine =
      LLVMCreateTargetMachineWithOptions(target, t->triple, o);
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
  struct cg_choice c;
  if (!choose(ctx, &(struct cg_target_opts){.triple = triple}, &c))
    return false;
  dn_buf_printf(out, "CPUs of %s (-mcpu=):\n", c.triple);
  for (const char *const *p = c.row->cpus; *p; p++)
    dn_buf_printf(out, "  %s\n", *p);
  dn_buf_printf(out, "features (-mattr=+NAME,-NAME):\n");
  for (const char *const *p = c.row->features; *p; p++)
    dn_buf_printf(out, "  %s\n", *p);
  return true;
}
