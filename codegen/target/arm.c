/* arm.c - 32-bit ARM: from the triple, -march=, -mcpu=, -mfpu= and -mfloat-abi=
 * to one triple and its features, by clang's rules:
 *
 *   the architecture is -march's, else the CPU's, else the triple's
 *   the float ABI is -mfloat-abi's, else hard where the triple ends in "hf",
 *   else soft, which takes the floating-point unit away
 *   the unit is -mfpu's or one that -march names, else the CPU's own, else what
 *   the architecture usually has
 *
 * LLVM reads architecture and float ABI from the triple, so they are written
 * there. Rows: arm.def. */
#include "codegen/target/target.h"

#include "ir/diag.h"

#include <assert.h>
#include <string.h>

#include "arm_cpus.inc" /* in the build folder, see cmake/cpus.cmake */

static const struct arm_arch {
  const char *version;
  int tag;      /* Tag_CPU_arch of its objects */
  char profile; /* Tag_CPU_arch_profile */
  const char *usual, *fp, *dp;
} arches[] = {
#define ARM_ARCH(version, tag, profile, usual, fp, dp)                         \
  {version, tag, profile, usual, fp, dp},
#include "codegen/target/arm.def"
};
enum { NARCHES = DN_COUNT(arches) };

static const struct arm_fpu {
  const char *name, *features;
} fpus[] = {
#define ARM_FPU(name, features) {name, features},
#include "codegen/target/arm.def"
};

struct arm {
  struct dn_ctx *ctx;
  const struct cg_target_opts *o;
  const struct arm_arch *arch;
  const char *fpu;                    /* name; NULL: not given */
  struct dn_buf features, extensions; /* of the unit, of -march */
};

bool cg_is_arm(const char *triple) {
  bool arm = !strncmp(triple, "arm", 3) || !strncmp(triple, "thumb", 5);
  return arm && strncmp(triple, "arm64", 5) != 0;
}

static bool refuse(struct arm *a, const char *option, const char *value,
                   const char *why) {
  return dn_error(a->ctx, (struct dn_loc){.where = option}, DN_CPU, "'%s' %s",
                  dn_escaped(a->ctx->arena, value), why);
}

/* ---- The architecture ---- */

/* "armv7e-m", "thumbv7em", "v7em": the row; NULL when there is none. */
static const struct arm_arch *find_arch(const char *name, size_t n) {
  static const struct {
    const char *other, *version;
  } same[] = {{"v7", "v7a"},   {"v7l", "v7a"},   {"v7hl", "v7a"}, {"v6l", "v6"},
              {"v6sm", "v6m"}, {"v5", "v5t"},    {"v5e", "v5te"}, {"v8", "v8a"},
              {"v8l", "v8a"},  {"v6zk", "v6kz"}, {"v9", "v9a"}};
  char text[16];
  size_t skip = !strncmp(name, "thumb", 5) ? 5
                : !strncmp(name, "arm", 3) ? 3
                                           : 0;
  size_t len = 0;
  for (size_t i = skip; i < n; i++)
    if (name[i] != '-') {
      if (len + 1 == sizeof text)
        return NULL;
      text[len++] = name[i];
    }
  text[len] = 0;
  int k = DN_FIND(same, text);
  int row = DN_FIND(arches, k < 0 ? text : same[k].version);
  return row < 0 ? NULL : &arches[row];
}

static const struct arm_arch *arch_of_cpu(const char *cpu) {
  for (size_t i = 0; i < DN_COUNT(arm_cpus); i++)
    if (!strcmp(arm_cpus[i].name, cpu))
      for (size_t j = 0; j < NARCHES; j++)
        if (arches[j].tag == arm_cpus[i].tag &&
            arches[j].profile == arm_cpus[i].profile)
          return &arches[j];
  return NULL;
}

/* The architecture in a triple; "arm" alone is the oldest, or with registers
 * for floats the oldest that usually has them, as in clang. */
static const struct arm_arch *arch_of_triple(const char *triple, bool hard) {
  static const char *const names[] = {"v4t", "v7a"};
  size_t n = strcspn(triple, "-");
  bool plain = !strncmp(triple, "arm", n) || !strncmp(triple, "thumb", n);
  return plain ? find_arch(names[hard || !triple[n]], 3) : find_arch(triple, n);
}

const char *cg_arm_arch(struct dn_ctx *ctx, const char *cpu) {
  assert(cpu && "the caller has the name of a CPU");
  const struct arm_arch *a = arch_of_cpu(cpu);
  return a ? dn_printf(ctx->arena, "%s%s", a->profile == 'M' ? "thumb" : "arm",
                       a->version)
           : NULL;
}

/* ---- The floating-point unit ---- */

static void add(struct dn_buf *list, const char *feature) {
  dn_buf_printf(list, "%s%s", *feature && list->len ? "," : "", feature);
}

static const struct arm_fpu *find_fpu(const char *name) {
  int row = DN_FIND(fpus, name);
  return row < 0 ? NULL : &fpus[row];
}

/* One "+extension" of -march: the unit, or a feature by LLVM's name. */
static bool read_extension(struct arm *a, const char *name) {
  bool no = !strncmp(name, "no", 2);
  const char *plain = no ? name + 2 : name;
  const char *unit = !strcmp(plain, "fp")      ? a->arch->fp
                     : !strcmp(plain, "fp.dp") ? a->arch->dp
                     : !strcmp(plain, "simd")  ? a->arch->usual
                                               : NULL;
  if (unit) {
    a->fpu = no ? "none" : unit;
    return true;
  }
  if (!cg_name_known(cg_find_row("arm")->features, plain))
    return refuse(a, "-march", name, "is no extension of this architecture");
  add(&a->extensions, dn_printf(a->ctx->arena, "%c%s", no ? '-' : '+', plain));
  return true;
}

static bool read_march(struct arm *a) {
  const char *text = a->o->march;
  size_t n = strcspn(text, "+");
  a->arch = find_arch(text, n);
  if (!a->arch)
    return refuse(a, "-march", text, "is no architecture of ARM");
  assert(a->arch->fp && a->arch->dp && a->arch->usual &&
         "rows of arm.def name units");
  bool ok = true;
  for (text += n; *text; text += n) {
    n = strcspn(++text, "+");
    ok &= read_extension(a, dn_strndup(a->ctx->arena, text, n));
  }
  return ok;
}

static bool read_fpu(struct arm *a) {
  if (!a->o->fpu || !strcmp(a->o->fpu, "auto"))
    return true;
  a->fpu = a->o->fpu;
  return find_fpu(a->fpu) ||
         refuse(a, "-mfpu", a->fpu, "is no floating-point unit of ARM");
}

/* Features of the unit; `own`: the CPU brings one of its own, which of Cortex-A
 * has NEON (a Debian LLVM leaves that to clang). */
static void add_fpu(struct arm *a, bool soft, bool own) {
  const struct arm_fpu *f = find_fpu(a->fpu ? a->fpu : a->arch->usual);
  assert(f && "arm.def has the units of its rows; read_fpu() refuses others");
  if (soft)
    add(&a->features, "-fpregs,-fp16");
  else if (own && !a->fpu)
    add(&a->features, a->arch->profile == 'A' ? "+neon" : "");
  else
    /* What a unit is made of goes, then comes. */
    add(&a->features, dn_printf(a->ctx->arena, "-vfp2sp,-fp64,-d32,-fp16%s%s",
                                *f->features ? "," : "", f->features));
}

/* ---- The triple ---- */

/* The environment with or without "hf". */
static const char *with_abi(struct dn_ctx *ctx, const char *triple, bool hard) {
  bool is = dn_ends_in(triple, "eabihf");
  if (is == hard || !(is || dn_ends_in(triple, "eabi")))
    return triple;
  return is ? dn_strndup(ctx->arena, triple, strlen(triple) - 2)
            : dn_printf(ctx->arena, "%shf", triple);
}

static bool read_float_abi(struct arm *a, const char *system,
                           struct cg_choice *c) {
  const char *abi = a->o->float_abi;
  c->hard = abi ? !strcmp(abi, "hard") : dn_ends_in(system, "eabihf");
  c->soft = abi ? !strcmp(abi, "soft") : !c->hard;
  return !abi || c->hard || c->soft || !strcmp(abi, "softfp") ||
         refuse(a, "-mfloat-abi", abi, "is not soft, softfp or hard");
}

bool cg_arm_choose(struct dn_ctx *ctx, const struct cg_target_opts *o,
                   struct cg_choice *c) {
  struct arm a = {.ctx = ctx, .o = o};
  const char *system = strchr(c->triple, '-'), *abi = o->float_abi;
  bool hard = abi ? !strcmp(abi, "hard") : dn_ends_in(c->triple, "eabihf");
  a.features = dn_buf_new(ctx->arena);
  a.extensions = dn_buf_new(ctx->arena);
  if (o->march && !read_march(&a))
    return false;
  if (!a.arch && o->cpu)
    a.arch = arch_of_cpu(o->cpu);
  if (!a.arch)
    a.arch = arch_of_triple(c->triple, hard);
  if (!a.arch)
    return refuse(&a, "--target", c->triple, "is no architecture of ARM");
  bool thumb = a.arch->profile == 'M' || *c->triple == 't';
  const char *name =
      dn_printf(ctx->arena, "%s%s", thumb ? "thumb" : "arm", a.arch->version);
  c->row = cg_find_row(name);
  assert(c->row && "targets.def has arm and thumb");
  if (!read_fpu(&a))
    return false;
  if (!system) { /* the row's; hard floats want a unit */
    bool unit = a.fpu || strcmp(a.arch->usual, "none") != 0;
    system = strchr(c->row->triple, '-');
    system = unit ? system : with_abi(ctx, system, false);
  }
  if (!read_float_abi(&a, system, c))
    return false;
  c->triple =
      with_abi(ctx, dn_printf(ctx->arena, "%s%s", name, system), c->hard);
  c->cpu = o->march ? "generic" : o->cpu ? o->cpu : c->row->cpu;
  add_fpu(&a, c->soft, strcmp(c->cpu, "generic") != 0);
  add(&a.features, a.extensions.text);
  c->features = a.features.text;
  return true;
}
