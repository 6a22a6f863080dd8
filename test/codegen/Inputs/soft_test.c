/* soft_test.c - runtime/soft.c, its functions prefixed with soft_, against the
 * machine's own arithmetic on random bit patterns, many of them at the edges:
 * next to zero, infinity and each other. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define EACH_FP(X, FP, w)                                                      \
  X(FP, add##w##3, a + b) X(FP, sub##w##3, a - b) X(FP, mul##w##3, a *b)       \
  X(FP, div##w##3, a / b)
#define DECLARE(FP, name, want) FP soft___##name(FP, FP);
EACH_FP(DECLARE, float, sf)
EACH_FP(DECLARE, double, df)
#define EACH_MATH(X, FP, f)                                                    \
  X(FP, floor##f) X(FP, ceil##f) X(FP, trunc##f) X(FP, rint##f)                \
  X(FP, round##f) X(FP, sqrt##f)
#define DECLARE1(FP, name) FP soft_##name(FP);
EACH_MATH(DECLARE1, float, f)
EACH_MATH(DECLARE1, double, )
float soft_fmodf(float, float);
double soft_fmod(double, double);
float soft_fmaf(float, float, float);
double soft_fma(double, double, double);
int soft___ltsf2(float, float), soft___gesf2(float, float);
int soft___eqsf2(float, float), soft___unordsf2(float, float);
int soft___gtdf2(double, double), soft___ledf2(double, double);
float soft___truncdfsf2(double);
double soft___extendsfdf2(float);
float soft___extendhfsf2(uint16_t);
uint16_t soft___truncsfhf2(float), soft___truncdfhf2(double);
int32_t soft___fixsfsi(float);
uint32_t soft___fixunssfsi(float);
int64_t soft___fixdfdi(double);
float soft___floatsisf(int32_t), soft___floatundisf(uint64_t);
double soft___floatdidf(int64_t);
int64_t soft___divdi3(int64_t, int64_t), soft___moddi3(int64_t, int64_t);
uint64_t soft___muldi3(uint64_t, uint64_t), soft___ashrdi3(uint64_t, int);
uint32_t soft___aeabi_fadd(uint32_t, uint32_t);
int soft___aeabi_dcmpge(uint64_t, uint64_t);

static uint64_t state = 88172645463325252u;
static uint64_t random_bits(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}
/* The exponents of the smallest and the largest numbers, and those whose product
 * or quotient is one of them. */
static uint64_t edge(uint64_t max) {
  uint64_t near = random_bits() % 4;
  switch (random_bits() % 4) {
  case 0:
    return near;
  case 1:
    return max - near;
  case 2:
    return max / 4 + near;
  }
  return max * 3 / 4 - near;
}
/* Often subnormal, NaN or infinite, near one, with few bits, or at an edge. */
static float random_float(void) {
  uint32_t r = (uint32_t)random_bits();
  float f;
  switch (random_bits() % 7) {
  case 0:
    r &= 0x807fffff;
    break;
  case 1:
    r = (r & (random_bits() & 1 ? 0x80000000 : 0x807fffff)) | 0x7f800000;
    break;
  case 2:
    r = (r & 0x807fffff) | (uint32_t)(110 + random_bits() % 40) << 23;
    break;
  case 3:
    r = (r & 0x807ff000) | (uint32_t)(120 + random_bits() % 40) << 23;
    break;
  case 4:
    r = (r & 0x807fffff) | (uint32_t)edge(255) << 23;
    break;
  }
  memcpy(&f, &r, 4);
  return f;
}
static double random_double(void) {
  uint64_t r = random_bits();
  double f;
  switch (random_bits() % 7) {
  case 0:
    r &= 0x800fffffffffffff;
    break;
  case 1:
    r = (r & (random_bits() & 1 ? 0x8000000000000000 : 0x800fffffffffffff)) |
        0x7ff0000000000000;
    break;
  case 2:
    r = (r & 0x800fffffffffffff) | (1000 + random_bits() % 40) << 52;
    break;
  case 3:
    r = (r & 0x800ffffff0000000) | (1000 + random_bits() % 120) << 52;
    break;
  case 4:
    r = (r & 0x800fffffffffffff) | edge(2047) << 52;
    break;
  }
  memcpy(&f, &r, 8);
  return f;
}

static long differ;
static void say(const char *name, double a, double b) {
  if (differ++ < 20)
    printf("%s(%a, %a)\n", name, a, b);
}
/* The same bits, or two NaNs. */
#define SAME(name, a, b, got, want)                                            \
  do {                                                                         \
    __typeof__(want) g_ = (got), w_ = (want);                                  \
    if (memcmp(&g_, &w_, sizeof w_) && (g_ == g_ || w_ == w_))                 \
      say(name, (double)(a), (double)(b));                                     \
  } while (0)

/* The last bits of a product, or a sum next to it that cancels most of it. */
#define FUSED(FP, name, REP, random)                                           \
  static void name##_sums(void) {                                              \
    FP a = random(), b = random(), c = random(), p = a * b;                    \
    REP r;                                                                     \
    if (random_bits() & 1) {                                                   \
      memcpy(&r, &p, sizeof r);                                                \
      r ^= (REP)random_bits() & 15;                                            \
      r ^= (REP)(random_bits() & 1) << (8 * sizeof r - 1);                     \
      r += (REP)(random_bits() % 129 - 64) << (sizeof r > 4 ? 52 : 23);        \
      memcpy(&c, &r, sizeof r);                                                \
    }                                                                          \
    SAME(#name, a, c, soft_##name(a, b, c), name(a, b, c));                    \
  }
FUSED(float, fmaf, uint32_t, random_float)
FUSED(double, fma, uint64_t, random_double)

static void arithmetic(void) {
  float a = random_float(), b = random_float();
  if (random_bits() % 4 == 0) { /* a few units apart, perhaps of other sign */
    uint32_t r = (uint32_t)random_bits() & (random_bits() & 1 ? 0x80800007 : 7);
    uint32_t bits;
    memcpy(&bits, &a, 4);
    bits ^= r;
    memcpy(&b, &bits, 4);
  }
#define CHECK(FP, name, want) SAME(#name, a, b, soft___##name(a, b), (FP)(want));
  EACH_FP(CHECK, float, sf)
#define CHECK1(FP, name) SAME(#name, a, 0, soft_##name(a), name(a));
  EACH_MATH(CHECK1, float, f)
  SAME("lt", a, b, soft___ltsf2(a, b) < 0, a < b);
  SAME("ge", a, b, soft___gesf2(a, b) >= 0, a >= b);
  SAME("eq", a, b, soft___eqsf2(a, b) == 0, a == b);
  SAME("unord", a, b, !!soft___unordsf2(a, b), a != a || b != b);
  SAME("extend", a, 0, soft___extendsfdf2(a), (double)a);
  uint32_t x, y;
  memcpy(&x, &a, 4);
  memcpy(&y, &b, 4);
  uint32_t sum = soft___aeabi_fadd(x, y);
  float got;
  memcpy(&got, &sum, 4);
  SAME("aeabi_fadd", a, b, got, a + b);
  if (fabsf(a) < 2e9f)
    SAME("fixsfsi", a, 0, soft___fixsfsi(a), (int32_t)a);
  if (a > -1 && a < 4e9f)
    SAME("fixunssfsi", a, 0, soft___fixunssfsi(a), (uint32_t)a);
}

static void arithmetic_double(void) {
  double a = random_double(), b = random_double();
  if (random_bits() % 4 == 0) {
    uint64_t bits;
    memcpy(&bits, &a, 8);
    bits ^= random_bits() & (random_bits() & 1 ? 0x8010000000000007 : 7);
    memcpy(&b, &bits, 8);
  }
  EACH_FP(CHECK, double, df)
  EACH_MATH(CHECK1, double, )
  SAME("gt", a, b, soft___gtdf2(a, b) > 0, a > b);
  SAME("le", a, b, soft___ledf2(a, b) <= 0, a <= b);
  SAME("trunc to single", a, 0, soft___truncdfsf2(a), (float)a);
  uint64_t x, y;
  memcpy(&x, &a, 8);
  memcpy(&y, &b, 8);
  SAME("aeabi_dcmpge", a, b, soft___aeabi_dcmpge(x, y), a >= b);
  if (fabs(a) < 9e18)
    SAME("fixdfdi", a, 0, soft___fixdfdi(a), (int64_t)a);
}

static void halves(void) {
  uint16_t bits = (uint16_t)random_bits();
  float a = random_float();
  double b = random_double();
  _Float16 h;
  memcpy(&h, &bits, 2);
  SAME("half to single", bits, 0, soft___extendhfsf2(bits), (float)h);
  h = (_Float16)a;
  memcpy(&bits, &h, 2);
  if (a == a)
    SAME("single to half", a, 0, soft___truncsfhf2(a), bits);
  h = (_Float16)b;
  memcpy(&bits, &h, 2);
  if (b == b)
    SAME("double to half", b, 0, soft___truncdfhf2(b), bits);
}

static void integers(void) {
  int64_t a = (int64_t)random_bits() >> random_bits() % 64;
  int64_t b = (int64_t)random_bits() >> random_bits() % 64;
  int n = (int)(random_bits() % 64);
  SAME("floatsisf", a, 0, soft___floatsisf((int32_t)a), (float)(int32_t)a);
  SAME("floatundisf", a, 0, soft___floatundisf((uint64_t)a),
       (float)(uint64_t)a);
  SAME("floatdidf", a, 0, soft___floatdidf(a), (double)a);
  SAME("muldi3", a, b, soft___muldi3((uint64_t)a, (uint64_t)b),
       (uint64_t)a * (uint64_t)b);
  SAME("ashrdi3", a, n, (int64_t)soft___ashrdi3((uint64_t)a, n), a >> n);
  if (b == 0 || b == -1)
    return;
  SAME("divdi3", a, b, soft___divdi3(a, b), a / b);
  SAME("moddi3", a, b, soft___moddi3(a, b), a % b);
}

int main(void) {
  for (int i = 0; i < 500000; i++) {
    arithmetic();
    fmaf_sums();
    fma_sums();
    arithmetic_double();
    halves();
    integers();
    if (i % 50)
      continue;
    float a = random_float(), b = random_float();
    double c = random_double(), d = random_double();
    SAME("fmodf", a, b, soft_fmodf(a, b), fmodf(a, b));
    SAME("fmod", c, d, soft_fmod(c, d), fmod(c, d));
  }
  printf("%ld differ\n", differ);
  return differ != 0;
}
