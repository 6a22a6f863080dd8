/* math_test.c - every function of codegen/math/elementary.def, compiled for the host as a
 * scalar, <4 x> and <16 x>, swept and compared with long double libm; and
 * compiled for machines without the hardware, to see that no libm name is left
 * undefined. Prints a table; fails when a bound is exceeded.
 *
 *   math_test [NAME|all [N]]   one function only; N inputs an exponent */
#include "../../codegen/math/elementary.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/IRReader.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Object.h>
#include <llvm-c/Orc.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include <llvm/Config/llvm-config.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LANES_MAX = 16, BATCH = 1 << 14 };

enum extra { POW, FMOD, EXTRA_COUNT };
enum { ROWS = (int)CG_MATH_COUNT + (int)EXTRA_COUNT };

struct row {
  const char *name;
  double ulp32, ulp64;
  long double (*ref1)(long double);
  long double (*ref2)(long double, long double);
};

static struct row row_get(int i) {
  static const struct row refs[] = {
#define MATH(ID, name, ulp32, ulp64, note)                                     \
  {#name, ulp32, ulp64, REF_##name, NULL},
#define REF_exp expl
#define REF_log logl
#define REF_log1p log1pl
#define REF_sqrt sqrtl
#define REF_floor floorl
#define REF_ceil ceill
#define REF_trunc truncl
#define REF_rint rintl
#define REF_tanh tanhl
#define REF_erf erfl
#define REF_sinh sinhl
#define REF_cosh coshl
#define REF_asinh asinhl
#define REF_acosh acoshl
#define REF_atanh atanhl
#define REF_sin sinl
#define REF_cos cosl
#define REF_tan tanl
#define REF_asin asinl
#define REF_acos acosl
#define REF_atan atanl
#include "../../codegen/math/elementary.def"
#undef MATH
      {"pow", 1.5, 1.5, NULL, powl},
      {"fmod", 0, 0, NULL, fmodl},
  };
  return refs[i];
}

static LLVMValueRef emit(LLVMBuilderRef b, const struct ir_facts *o, int i,
                         LLVMValueRef x, LLVMValueRef y) {
  if (i < CG_MATH_COUNT)
    return cg_math_emit(b, o, (enum cg_math)i, x);
  switch ((enum extra)(i - CG_MATH_COUNT)) {
  case POW:
    return cg_math_pow(b, o, x, y);
  case FMOD:
    return cg_math_fmod(b, o, x, y);
  case EXTRA_COUNT:
    break;
  }
  return NULL;
}

/* void NAME(out *, x *, y *, i64 n): n a multiple of the lanes */
static void build(LLVMModuleRef mod, const struct ir_facts *o, int i,
                  const char *name, bool f64, unsigned lanes, bool scalable) {
  LLVMContextRef c = LLVMGetModuleContext(mod);
  LLVMBuilderRef b = LLVMCreateBuilderInContext(c);
  LLVMTypeRef ft = f64 ? LLVMDoubleTypeInContext(c) : LLVMFloatTypeInContext(c);
  LLVMTypeRef p = LLVMPointerTypeInContext(c, 0);
  LLVMTypeRef i64 = LLVMInt64TypeInContext(c), args[] = {p, p, p, i64};
  LLVMTypeRef vt = scalable    ? LLVMScalableVectorType(ft, lanes)
                   : lanes > 1 ? LLVMVectorType(ft, lanes)
                               : ft;
  LLVMValueRef f = LLVMAddFunction(
      mod, name, LLVMFunctionType(LLVMVoidTypeInContext(c), args, 4, 0));
  unsigned nounwind = LLVMGetEnumAttributeKindForName("nounwind", 8);
  LLVMBasicBlockRef entry = LLVMAppendBasicBlockInContext(c, f, "entry");
  LLVMBasicBlockRef loop = LLVMAppendBasicBlockInContext(c, f, "loop"), last;
  LLVMBasicBlockRef done = LLVMAppendBasicBlockInContext(c, f, "done");
  LLVMValueRef iv, at, v[2], next, r, zero = LLVMConstInt(i64, 0, 0);

  /* else ARM refers to its unwinder */
  LLVMAddAttributeAtIndex(f, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                          LLVMCreateEnumAttribute(c, nounwind, 0));
  LLVMPositionBuilderAtEnd(b, entry);
  LLVMBuildBr(b, loop);
  LLVMPositionBuilderAtEnd(b, loop);
  iv = LLVMBuildPhi(b, i64, "i");
  LLVMAddIncoming(iv, &zero, &entry, 1);
  for (unsigned k = 0; k < 2; k++) {
    at = LLVMBuildGEP2(b, ft, LLVMGetParam(f, k + 1), &iv, 1, "");
    v[k] = LLVMBuildLoad2(b, vt, at, "");
    LLVMSetAlignment(v[k], f64 ? 8 : 4);
  }
  r = emit(b, o, i, v[0], v[1]);
  at = LLVMBuildGEP2(b, ft, LLVMGetParam(f, 0), &iv, 1, "");
  LLVMSetAlignment(LLVMBuildStore(b, r, at), f64 ? 8 : 4);
  next = LLVMBuildAdd(b, iv, LLVMConstInt(i64, lanes, 0), "");
  last = LLVMGetInsertBlock(b);
  LLVMAddIncoming(iv, &next, &last, 1);
  LLVMBuildCondBr(b, LLVMBuildICmp(b, LLVMIntULT, next, LLVMGetParam(f, 3), ""),
                  loop, done);
  LLVMPositionBuilderAtEnd(b, done);
  LLVMBuildRetVoid(b);
  LLVMDisposeBuilder(b);
}

/* --- accuracy on the host ------------------------------------------------ */

typedef void kernel(void *out, const void *x, const void *y, int64_t n);

static uint64_t rng_next(uint64_t *s) {
  uint64_t z = *s += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static double from_bits(uint64_t u, bool f64) {
  union {
    uint64_t u;
    double d;
  } d = {.u = u};
  union {
    uint32_t u;
    float f;
  } f = {.u = (uint32_t)u};
  return f64 ? d.d : (double)f.f;
}

/* Error in units of the last place of the result's own format. */
static double ulp_error(double got, long double want, bool f64) {
  int digits = f64 ? 53 : 24, emin = f64 ? -1074 : -149, e;
  double big = f64 ? 0x1.fffffffffffffp1023 : 0x1.fffffep127;
  long double round_to_inf =
      ldexpl(1.0L - ldexpl(1, -digits - 1), f64 ? 1024 : 128);

  if (isnan(want) || isnan(got))
    return isnan(want) && isnan(got) ? 0 : HUGE_VAL;
  if (isinf(got) || fabsl(want) >= round_to_inf) {
    if (isinf(got) && fabsl(want) > (long double)big)
      return !signbit(got) == !signbit(want) ? 0 : HUGE_VAL;
    if (isinf(got) || isinf(want))
      return HUGE_VAL;
  }
  if (want == 0)
    return got == 0 && !signbit(got) == !signbit(want) ? 0 : HUGE_VAL;
  (void)frexpl(want, &e);
  e = e - digits < emin ? emin : e - digits;
  return (double)(fabsl((long double)got - want) * ldexpl(1, -e));
}

/* Where the exponents of interest lie, and the bounds that a row promises. */
static bool skip_input(const char *name, double x, bool f64) {
  if (f64 &&
      (!strcmp(name, "sin") || !strcmp(name, "cos") || !strcmp(name, "tan")))
    return fabs(x) > 0x1p45;
  return false;
}

struct sweep {
  kernel *k[3];
  const char *name;
  double max, at[2];
  bool f64;
  void *out, *x, *y;
  struct row row;
};

static double get(const void *p, int i, bool f64) {
  return f64 ? ((const double *)p)[i] : (double)((const float *)p)[i];
}

static void put(void *p, int i, bool f64, double v) {
  if (f64)
    ((double *)p)[i] = v;
  else
    ((float *)p)[i] = (float)v;
}

static void sweep_batch(struct sweep *s, int n) {
  size_t size = s->f64 ? 8 : 4;
  void *first = malloc((size_t)n * size);

  for (int k = 0; k < 3; k++) {
    s->k[k](s->out, s->x, s->y, n);
    if (k == 0)
      memcpy(first, s->out, (size_t)n * size);
    for (int i = 0; k && i < n; i++) {
      double a = get(first, i, s->f64), b = get(s->out, i, s->f64);
      if (!(isnan(a) && isnan(b)) &&
          memcmp((char *)first + (size_t)i * size,
                 (char *)s->out + (size_t)i * size, size)) {
        printf("%s: scalar %a, vector %a at %a\n", s->row.name, a, b,
               get(s->x, i, s->f64));
        s->max = HUGE_VAL;
        break;
      }
    }
  }
  for (int i = 0; i < n; i++) {
    double x = get(s->x, i, s->f64), y = get(s->y, i, s->f64), e;
    double got = get(first, i, s->f64);
    long double want;
    if (skip_input(s->row.name, x, s->f64))
      continue;
    if (s->row.ref1)
      want = s->row.ref1((long double)x);
    else
      want = s->row.ref2((long double)x, (long double)y);
    e = ulp_error(got, want, s->f64);
    if (e > s->max) {
      s->max = e;
      s->at[0] = x;
      s->at[1] = y;
    }
  }
  free(first);
}

static const double specials[] = {
    0.0, -0.0, 1, -1, 2, -2, 0.5, -0.5, 3, -3, 1.5, -1.5, 2.5, -2.5, HUGE_VAL,
    -HUGE_VAL, (double)NAN, 0x1p-149, -0x1p-149, 0x1p-126, 0x1p23, 0x1p24,
    0x1p52, 0x1p53, -0x1p31, 0x1p31, 0x1p32, 88.7, 88.73, 89.4, 89.42, -87.3,
    -103.9, -104, 709.7, 709.79, 710.4, -745.1, -745.2, 9, 9.02, -9.5, 20, 22,
    3.92, 3.93, 6, 1e5, 100001, -1e5, 1e10, 1e30, -1e38, 0x1.fffffep127,
    0x1p-1074, 0x1p-1022, 1e300, 0x1.fffffffffffffp1023, 0x1.fffffep-1,
    0x1.000002p0, 0x1.fffffep22, 0x1.8p0, 4.5, -4.5, 0.499999970, 1.57079637,
    3.14159274, 6.28318548, 0.785398185,
    /* nearest to multiples of pi/2 */
    0x1.f37c8ap95, -0x1.628d4cp40, 0x1.b08c4ap111, -0x1.f9cbe2p7,
    0x1.47d0fep34};
enum { SPECIALS = sizeof specials / sizeof specials[0] };

static void sweep_run(struct sweep *s, int per_exp, int random64) {
  bool two = s->row.ref2 != NULL;
  uint64_t seed = 1;
  int n = 0, total;

  for (int i = 0; i < SPECIALS; i++)
    for (int j = 0; j < (two ? SPECIALS : 1); j++) {
      put(s->x, n, s->f64, specials[i]);
      put(s->y, n, s->f64, specials[j]);
      if (++n == BATCH)
        sweep_batch(s, n), n = 0;
    }
  for (; n % LANES_MAX; n++) {
    put(s->x, n, s->f64, 1);
    put(s->y, n, s->f64, 1);
  }
  if (n)
    sweep_batch(s, n);
  n = 0;
  total = s->f64 ? random64 : 256 * per_exp;
  for (int i = 0; i < total; i++) {
    uint64_t r = rng_next(&seed), q = rng_next(&seed);
    double x, y;
    if (s->f64) /* most in 2^-16..2^16, some anywhere */
      x = from_bits(i % 4 ? (r & 0x800fffffffffffff) |
                                ((1023 - 16 + (r >> 52) % 32) << 52)
                          : r,
                    true);
    else
      x = from_bits((uint32_t)r % (1u << 23) | (uint32_t)(i / per_exp) << 23 |
                        (uint32_t)(r >> 63) << 31,
                    false);
    y = from_bits(s->f64 ? q : (uint32_t)q, s->f64);
    if (two && i % 2) { /* results that are neither 0 nor inf */
      double u = (double)(q >> 11) * 0x1p-53 * 2 - 1;
      if (!strcmp(s->row.name, "pow")) {
        x = i % 3 ? fabs(x) : x;
        y = u * (s->f64 ? 745 : 104) / log(fabs(x));
        y = x < 0 ? rint(y) : y;
      } else {
        y = x * u;
      }
    }
    put(s->x, n, s->f64, x);
    put(s->y, n, s->f64, y);
    if (++n == BATCH)
      sweep_batch(s, n), n = 0;
  }
  n -= n % LANES_MAX;
  if (n)
    sweep_batch(s, n);
}

static void die(LLVMErrorRef e) {
  char *s;
  if (!e)
    return;
  s = LLVMGetErrorMessage(e);
  fprintf(stderr, "%s\n", s);
  exit(1);
}

static void optimize(LLVMModuleRef mod, LLVMTargetMachineRef tm) {
  LLVMPassBuilderOptionsRef po = LLVMCreatePassBuilderOptions();
  char *msg = NULL;
  if (LLVMVerifyModule(mod, LLVMReturnStatusAction, &msg)) {
    fprintf(stderr, "%s\n", msg);
    exit(1);
  }
  LLVMDisposeMessage(msg);
  die(LLVMRunPasses(mod, "function(instcombine,early-cse)", tm, po));
  LLVMDisposePassBuilderOptions(po);
}

static const unsigned lane_counts[] = {1, 4, 16};

static LLVMOrcLLJITRef jit_all(const struct ir_facts *o,
                               LLVMTargetMachineRef tm, const char *only) {
  LLVMContextRef c = LLVMContextCreate();
  LLVMModuleRef mod = LLVMModuleCreateWithNameInContext("dnnc_math", c);
  LLVMOrcThreadSafeContextRef tsc;
  LLVMOrcLLJITRef jit;
  char name[64];

  for (int i = 0; i < ROWS; i++)
    for (int v = 0; v < 6; v++) {
      if (only && strcmp(only, row_get(i).name))
        continue;
      snprintf(name, sizeof name, "%s_%d", row_get(i).name, v);
      build(mod, o, i, name, v >= 3, lane_counts[v % 3], false);
    }
  optimize(mod, tm);
#if LLVM_VERSION_MAJOR >= 21
  tsc = LLVMOrcCreateNewThreadSafeContextFromLLVMContext(c);
#else
  {
    /* 19 cannot wrap a context: by way of text */
    char *text = LLVMPrintModuleToString(mod), *msg;
    LLVMMemoryBufferRef buf =
        LLVMCreateMemoryBufferWithMemoryRangeCopy(text, strlen(text), "math");
    tsc = LLVMOrcCreateNewThreadSafeContext();
    LLVMDisposeModule(mod);
    if (LLVMParseIRInContext(LLVMOrcThreadSafeContextGetContext(tsc), buf, &mod,
                             &msg))
      exit(1);
    LLVMDisposeMessage(text);
    LLVMContextDispose(c);
  }
#endif
  {
    LLVMOrcLLJITBuilderRef jb = LLVMOrcCreateLLJITBuilder();
    LLVMOrcJITTargetMachineBuilderRef jtmb;
    die(LLVMOrcJITTargetMachineBuilderDetectHost(&jtmb));
    LLVMOrcLLJITBuilderSetJITTargetMachineBuilder(jb, jtmb);
    die(LLVMOrcCreateLLJIT(&jit, jb));
  }
  die(LLVMOrcLLJITAddLLVMIRModule(jit, LLVMOrcLLJITGetMainJITDylib(jit),
                                  LLVMOrcCreateNewThreadSafeModule(mod, tsc)));
  LLVMOrcDisposeThreadSafeContext(tsc);
  return jit;
}

static int test_accuracy(const struct ir_facts *o, const char *what,
                         LLVMTargetMachineRef tm, const char *only,
                         double max[ROWS][2], int effort) {
  LLVMOrcLLJITRef jit = jit_all(o, tm, only);
  struct sweep s = {
      .out = malloc(BATCH * 8), .x = malloc(BATCH * 8), .y = malloc(BATCH * 8)};
  int failed = 0;
  char name[64];

  for (int i = 0; i < ROWS; i++)
    for (int f64 = 0; f64 < 2; f64++) {
      s.row = row_get(i);
      if (only && strcmp(only, s.row.name))
        continue;
      for (int v = 0; v < 3; v++) {
        LLVMOrcExecutorAddress a;
        snprintf(name, sizeof name, "%s_%d", s.row.name, v + 3 * f64);
        die(LLVMOrcLLJITLookup(jit, &a, name));
        s.k[v] = (kernel *)(uintptr_t)a;
      }
      s.f64 = f64;
      s.max = 0;
      sweep_run(&s, effort, effort * 40);
      if (s.max > max[i][f64])
        max[i][f64] = s.max;
      if (s.max > (f64 ? s.row.ulp64 : s.row.ulp32)) {
        printf("FAIL %s %s %s: %.3f ULP at %a (%.9g) %a (%.9g)\n", what,
               s.row.name, f64 ? "f64" : "f32", s.max, s.at[0], s.at[0],
               s.at[1], s.at[1]);
        failed++;
      }
    }
  die(LLVMOrcDisposeLLJIT(jit));
  free(s.out);
  free(s.x);
  free(s.y);
  return failed;
}

/* --- what is left undefined ----------------------------------------------- */

/* Soft-float and wide-integer helpers of the compiler's own library. */
static bool is_helper(const char *s) {
  size_t n = strlen(s);
  if (!strncmp(s, "__aeabi_", 8))
    return true;
  /* __addsf3, __fixdfsi, __floatunsidf, __ltsf2, __muldi3 ... */
  return !strncmp(s, "__", 2) && n > 4 &&
         (strstr(s, "sf") || strstr(s, "df") || strstr(s, "di3"));
}

struct machine {
  const char *triple, *cpu, *features;
  bool helpers32; /* f32 is software: helpers are to be expected */
  bool scalable;  /* has scalable vectors */
  struct ir_facts o;
};

static const struct machine machines[] = {
    {"thumbv6m-none-eabi", "cortex-m0", "", true, false, {0}},
    {"thumbv7m-none-eabi", "cortex-m3", "", true, false, {0}},
    {"thumbv7em-none-eabihf",
     "cortex-m4",
     "",
     false,
     false,
     {.has_fma = true, .has_fsqrt = true}},
    {"thumbv7em-none-eabihf",
     "cortex-m7",
     "",
     false,
     false,
     {.has_fma = true, .has_fsqrt = true, .has_round = true, .has_f64 = true}},
    {"riscv32-unknown-elf", "generic-rv32", "+m,+c", true, false, {0}},
    {"riscv64-unknown-elf",
     "generic-rv64",
     "+m,+a,+f,+d,+c,+v",
     false,
     true,
     {.has_fma = true, .has_fsqrt = true, .has_round = true, .has_f64 = true}},
    {"aarch64-none-elf",
     "cortex-a53",
     "",
     false,
     false,
     {.has_fma = true, .has_fsqrt = true, .has_round = true, .has_f64 = true}},
    {"aarch64-none-elf",
     "neoverse-v1",
     "",
     false,
     true,
     {.has_fma = true, .has_fsqrt = true, .has_round = true, .has_f64 = true}},
    {"x86_64-none-elf",
     "x86-64",
     "",
     false,
     false,
     {.has_fsqrt = true, .has_f64 = true}},
    {"x86_64-none-elf",
     "x86-64-v4",
     "",
     false,
     false,
     {.has_fma = true,
      .has_fsqrt = true,
      .has_round = true,
      .has_f64 = true,
      .has_scalef = true}},
};

static int test_symbols(const struct machine *mc, bool f64, const char *only) {
  LLVMContextRef c = LLVMContextCreate();
  LLVMModuleRef mod = LLVMModuleCreateWithNameInContext("dnnc_math", c);
  LLVMTargetRef t;
  LLVMTargetMachineRef tm;
  LLVMMemoryBufferRef buf;
  LLVMBinaryRef bin;
  LLVMSymbolIteratorRef it;
  char *msg = NULL, name[64];
  int failed = 0;

  if (LLVMGetTargetFromTriple(mc->triple, &t, &msg)) {
    printf("skip %s: %s\n", mc->triple, msg);
    return 0;
  }
  tm = LLVMCreateTargetMachine(t, mc->triple, mc->cpu, mc->features,
                               LLVMCodeGenLevelDefault, LLVMRelocStatic,
                               LLVMCodeModelDefault);
  LLVMSetTarget(mod, mc->triple);
  {
    LLVMTargetDataRef dl = LLVMCreateTargetDataLayout(tm);
    LLVMSetModuleDataLayout(mod, dl);
    LLVMDisposeTargetData(dl);
  }
  for (int i = 0; i < ROWS; i++) {
    if (only && strcmp(only, row_get(i).name))
      continue;
    for (unsigned v = 0; v < (mc->scalable ? 3 : 2); v++) {
      snprintf(name, sizeof name, "dnnc_%s_%u", row_get(i).name, v);
      build(mod, &mc->o, i, name, f64, v ? 4 : 1, v == 2);
    }
  }
  optimize(mod, tm);
  if (LLVMTargetMachineEmitToMemoryBuffer(tm, mod, LLVMObjectFile, &msg,
                                          &buf)) {
    printf("FAIL %s: %s\n", mc->triple, msg);
    return 1;
  }
  bin = LLVMCreateBinary(buf, NULL, &msg);
  it = LLVMObjectFileCopySymbolIterator(bin);
  for (; !LLVMObjectFileIsSymbolIteratorAtEnd(bin, it);
       LLVMMoveToNextSymbol(it)) {
    const char *s = LLVMGetSymbolName(it);
    bool soft = mc->helpers32 || (f64 && !mc->o.has_f64);
    if (!*s || !strncmp(s, "dnnc_", 5) || *s == '.' || *s == '$')
      continue;
    if (!strcmp(s, "memcpy") || !strcmp(s, "memset") || (soft && is_helper(s)))
      continue;
    printf("FAIL %s %s %s: undefined %s\n", mc->triple, mc->cpu,
           f64 ? "f64" : "f32", s);
    failed++;
  }
  LLVMDisposeSymbolIterator(it);
  LLVMDisposeBinary(bin);
  LLVMDisposeMemoryBuffer(buf);
  LLVMDisposeModule(mod);
  LLVMDisposeTargetMachine(tm);
  LLVMContextDispose(c);
  return failed;
}

int main(int argc, char **argv) {
  const char *only = argc > 1 && strcmp(argv[1], "all") ? argv[1] : NULL;
  int effort = argc > 2 ? atoi(argv[2]) : 2000, failed = 0;
  static double max[ROWS][2];
  static const struct {
    const char *what;
    struct ir_facts o;
  } variants[] = {
      {"all hardware",
       {.has_fma = true,
        .has_round = true,
        .has_fsqrt = true,
        .has_f64 = true}},
      {"no hardware", {0}},
      {"fma only", {.has_fma = true, .has_f64 = true}},
      {"scalef",
       {.has_fma = true,
        .has_round = true,
        .has_fsqrt = true,
        .has_f64 = true,
        .has_scalef = true}},
  };
  char *features, *triple = LLVMGetDefaultTargetTriple(), *msg;
  LLVMTargetRef t;
  LLVMTargetMachineRef tm;

  LLVMInitializeAllTargetInfos();
  LLVMInitializeAllTargets();
  LLVMInitializeAllTargetMCs();
  LLVMInitializeAllAsmPrinters();
  features = LLVMGetHostCPUFeatures();
  if (LLVMGetTargetFromTriple(triple, &t, &msg))
    return 1;
  tm = LLVMCreateTargetMachine(t, triple, "", features, LLVMCodeGenLevelDefault,
                               LLVMRelocPIC, LLVMCodeModelDefault);
  for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
    if (variants[v].o.has_fma && !strstr(features, "+fma") &&
        !strstr(features, "neon"))
      continue;
    if (variants[v].o.has_scalef && !strstr(features, "+avx512vl"))
      continue;
    failed += test_accuracy(&variants[v].o, variants[v].what, tm, only, max,
                            v < 2 ? effort : effort / 4);
  }
  for (int i = 0; i < ROWS; i++) {
    struct row r = row_get(i);
    if (only && strcmp(only, r.name))
      continue;
    printf("%-8s f32 max %.3f ULP (bound %g)  f64 max %.3f ULP (bound %g)\n",
           r.name, max[i][0], r.ulp32, max[i][1], r.ulp64);
  }
  for (size_t k = 0; k < sizeof machines / sizeof *machines; k++)
    for (int f64 = 0; f64 < 2; f64++)
      failed += test_symbols(&machines[k], f64, only);
  printf(failed ? "%d failures\n" : "ok\n", failed);
  LLVMDisposeTargetMachine(tm);
  LLVMDisposeMessage(features);
  LLVMDisposeMessage(triple);
  return failed != 0;
}
