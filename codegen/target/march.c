/* march.c - from the triple and -march= to an architecture, a CPU and features,
 * for all but 32-bit ARM (arm.c):
 *
 *   x86-64    -march=CPU                       haswell, x86-64-v3, native
 *   AArch64   -march=armv8.2-a+dotprod+nofp
 *   RISC-V    -march=rv32imc_zba, rv64gcv      its bits choose the triple */
#include "codegen/target/target.h"

#include "ir/diag.h"

#include <assert.h>
#include <string.h>

struct march {
  struct dn_ctx *ctx;
  const char *text;
  const struct cg_target_row *row;
  struct dn_buf features;
};

static bool refuse(struct march *m, const char *what) {
  return dn_error(m->ctx, (struct dn_loc){.where = "-march"}, DN_CPU, "'%s' %s",
                  dn_escaped(m->ctx->arena, m->text), what);
}

static void add(struct march *m, char sign, const char *name) {
  dn_buf_printf(&m->features, "%s%c%s", m->features.len ? "," : "", sign, name);
}

static bool add_known(struct march *m, char sign, const char *name) {
  if (!cg_name_known(m->row->features, name))
    return refuse(m, dn_printf(m->ctx->arena,
                               "has an extension that LLVM does not know: "
                               "'%.40s'",
                               name));
  add(m, sign, name);
  return true;
}

/* ---- RISC-V ---- */

static size_t skip_version(const char *p) {
  size_t n = strspn(p, "0123456789");
  if (n && p[n] == 'p' && p[n + 1] >= '0' && p[n + 1] <= '9')
    n += 1 + strspn(p + n + 1, "0123456789");
  return n;
}

/* "zba1p0" without the version: its digits end the name, after a letter or, as
 * in "zvl128b", not at all. */
static const char *without_version(struct march *m, const char *p, size_t n) {
  size_t end = n;
  while (end && p[end - 1] >= '0' && p[end - 1] <= '9')
    end--;
  if (end > 1 && end < n && p[end - 1] == 'p' && p[end - 2] >= '0' &&
      p[end - 2] <= '9') {
    for (end--; end && p[end - 1] >= '0' && p[end - 1] <= '9';)
      end--;
    n = end;
  }
  return dn_strndup(m->ctx->arena, p, n);
}

static bool read_riscv(struct march *m) {
  assert(!strncmp(m->text, "rv", 2) && strlen(m->text) >= 4 &&
         "choose_riscv() has seen rv32 or rv64");
  const char *p = m->text + 4;
  bool ok = true;
  if (*p != 'i' && *p != 'e' && *p != 'g')
    return refuse(m, "has no base: i, e or g");
  for (; *p && *p != '_' && *p != 'z' && *p != 's' && *p != 'x';
       p += 1 + skip_version(p + 1)) {
    static const char *const g[] = {"m", "a", "f", "d", "zicsr", "zifencei"};
    const char one[] = {*p, 0};
    for (size_t i = 0; *p == 'g' && i < DN_COUNT(g); i++)
      add(m, '+', g[i]);
    if (*p != 'g' && *p != 'i')
      ok &= add_known(m, '+', dn_strndup(m->ctx->arena, one, 1));
  }
  while (*p) {
    p += *p == '_';
    size_t n = strcspn(p, "_");
    ok &= add_known(m, '+', without_version(m, p, n));
    p += n;
  }
  return ok;
}

/* The family that the bits name. */
static bool choose_riscv(struct march *m, struct cg_choice *c) {
  const char *arch = !strncmp(m->text, "rv32", 4)   ? "riscv32"
                     : !strncmp(m->text, "rv64", 4) ? "riscv64"
                                                    : NULL;
  const char *system = strchr(c->triple, '-');
  if (!arch)
    return refuse(m, "is no architecture of RISC-V: rv32imc, rv64gc ...");
  if (strcmp(m->row->arch, arch) != 0) {
    c->row = m->row = cg_find_row(arch);
    c->triple = system ? dn_printf(m->ctx->arena, "%s%s", arch, system)
                       : c->row->triple;
  }
  assert(c->row && m->row == c->row && "targets.def has riscv32 and riscv64");
  c->cpu = c->row->cpu;
  return read_riscv(m);
}

/* ---- AArch64 ---- */

static bool read_extension(struct march *m, const char *name) {
  static const struct {
    const char *name, *feature;
  } other[] = {{"fp", "fp-armv8"}, {"simd", "neon"}, {"fp16", "fullfp16"},
               {"memtag", "mte"},  {"rng", "rand"},  {"profile", "spe"}};
  bool no = !strncmp(name, "no", 2);
  name += no ? 2 : 0;
  int row = DN_FIND(other, name);
  name = row < 0 ? name : other[row].feature;
  return add_known(m, no ? '-' : '+', name);
}

/* "armv8.2-a" is LLVM's feature "v8.2a"; "armv8-a" is the least there is. */
static bool choose_aarch64(struct march *m, struct cg_choice *c) {
  const char *p = m->text;
  size_t n = strcspn(p, "+");
  bool ok = n > 6 && !strncmp(p, "armv", 4) && !strncmp(p + n - 2, "-a", 2);
  if (!ok)
    return refuse(m, "is no architecture of AArch64: armv8.2-a ...");
  c->cpu = m->row->cpu;
  ok = add_known(m, '+',
                 dn_printf(m->ctx->arena, "v%.*sa", (int)(n - 6), p + 4));
  for (p += n; *p; p += n) {
    n = strcspn(++p, "+");
    ok &= read_extension(m, dn_strndup(m->ctx->arena, p, n));
  }
  return ok;
}

/* ---- All ---- */

static bool choose(struct march *m, struct cg_choice *c) {
  switch (m->row->backend) {
  case CG_X86:
    c->cpu = m->text;
    return true;
  case CG_AArch64:
    return choose_aarch64(m, c);
  case CG_RISCV:
    return choose_riscv(m, c);
  case CG_ARM:
  case CG_Xtensa:
    break;
  }
  return refuse(m, "cannot be chosen for this target: use -mcpu");
}

/* An ABI that passes floats in registers needs a processor that has them. */
static bool wants_floats(const struct cg_target_opts *o) {
  const char *abi = o->abi ? o->abi : "";
  return !strcmp(abi, "ilp32f") || !strcmp(abi, "ilp32d") ||
         !strcmp(abi, "lp64f") || !strcmp(abi, "lp64d");
}

bool cg_march_choose(struct dn_ctx *ctx, const struct cg_target_opts *o,
                     struct cg_choice *c) {
  assert(c->row && !cg_is_arm(c->triple) &&
         "the caller has found the row: choose()");
  struct march m = {.ctx = ctx, .text = o->march, .row = c->row};
  const struct {
    const char *option, *value;
  } arm[] = {{"-mfpu", o->fpu}, {"-mfloat-abi", o->float_abi}};
  for (size_t i = 0; i < DN_COUNT(arm); i++)
    if (arm[i].value)
      return dn_error(ctx, (struct dn_loc){.where = arm[i].option}, DN_CPU,
                      "is for 32-bit ARM, not '%s'", c->triple);
  m.features = dn_buf_new(ctx->arena);
  bool bare = !cg_has_system(c->triple) && !wants_floats(o);
  c->features = o->cpu ? ""
                : bare ? c->row->bare_features
                       : c->row->os_features;
  c->cpu = o->cpu ? o->cpu : c->row->cpu;
  if (!o->march)
    return true;
  bool ok = choose(&m, c);
  c->features = m.features.text;
  return ok;
}
