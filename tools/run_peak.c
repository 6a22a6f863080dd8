/* run_peak.c - what one core can do. Independent chains of fused multiply-adds
 * in the widest vectors that this machine has, for about 0.2 ms: interleaved
 * with timed runs they measure how fast the machine was at that moment. And
 * reading memory from the cache that holds so many bytes. */
#include "tools/run.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t run_clock(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* A loop of CHAINS vectors; the sum keeps the compiler from dropping it. */
#define CHAINS 12
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 12")
#endif
#define LOOP(NAME, TARGET, V, LANES, FMA, SET, STORE)                          \
  TARGET static float NAME(int64_t n) {                                        \
    V acc[CHAINS], a = SET(0.999f), b = SET(0.001f);                           \
    UNROLL for (int k = 0; k < CHAINS; k++) acc[k] = SET((float)k);            \
    for (int64_t i = 0; i < n; i++)                                            \
      UNROLL for (int k = 0; k < CHAINS; k++) acc[k] = FMA(acc[k], a, b);      \
    float out[LANES], sum = 0;                                                 \
    UNROLL for (int k = 0; k < CHAINS; k++) {                                  \
      STORE(out, acc[k]);                                                      \
      sum += out[0];                                                           \
    }                                                                          \
    return sum;                                                                \
  }                                                                            \
  TARGET static float NAME##_read(const void *data, int64_t bytes) {           \
    const V *p = data;                                                         \
    V acc[CHAINS];                                                             \
    float out[LANES];                                                          \
    UNROLL for (int k = 0; k < CHAINS; k++) acc[k] = SET(0.0f);                \
    for (int64_t n = bytes / (int64_t)sizeof(V); n >= CHAINS; n -= CHAINS)     \
      UNROLL for (int k = 0; k < CHAINS; k++) acc[k] = acc[k] + *p++;          \
    UNROLL for (int k = 1; k < CHAINS; k++) acc[0] = acc[0] + acc[k];          \
    STORE(out, acc[0]);                                                        \
    return out[0];                                                             \
  }

#if defined(__x86_64__)
#include <immintrin.h>
LOOP(loop_avx512, __attribute__((target("avx512f"))), __m512, 16,
     _mm512_fmadd_ps, _mm512_set1_ps, _mm512_storeu_ps)
LOOP(loop_avx2, __attribute__((target("avx2,fma"))), __m256, 8, _mm256_fmadd_ps,
     _mm256_set1_ps, _mm256_storeu_ps)
#define SSE_FMA(x, a, b) _mm_add_ps(_mm_mul_ps(x, a), b)
LOOP(loop_plain, , __m128, 4, SSE_FMA, _mm_set1_ps, _mm_storeu_ps)
#define PLAIN_LANES 4
#elif defined(__aarch64__)
#include <arm_neon.h>
#define NEON_FMA(x, a, b) vfmaq_f32(b, x, a)
LOOP(loop_plain, , float32x4_t, 4, NEON_FMA, vdupq_n_f32, vst1q_f32)
#define PLAIN_LANES 4
#else
#define SCALAR_FMA(x, a, b) ((x) * (a) + (b))
#define SCALAR_SET(x) (x)
#define SCALAR_STORE(p, x) ((p)[0] = (x))
LOOP(loop_plain, , float, 1, SCALAR_FMA, SCALAR_SET, SCALAR_STORE)
#define PLAIN_LANES 1
#endif

struct loop {
  float (*fn)(int64_t n);
  float (*read)(const void *data, int64_t bytes);
  int lanes;
};

static struct loop best_loop(void) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f"))
    return (struct loop){loop_avx512, loop_avx512_read, 16};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return (struct loop){loop_avx2, loop_avx2_read, 8};
#endif
  return (struct loop){loop_plain, loop_plain_read, PLAIN_LANES};
}

double run_peak(void) {
  enum { STEPS = 20000 }; /* at 4 cycles a step: 0.03 ms at 3 GHz */
  struct loop loop = best_loop();
  double best = 0;
  volatile float sink = 0;
  for (int round = 0; round < 4; round++) {
    int64_t start = run_clock();
    sink += loop.fn(STEPS);
    double ns = (double)(run_clock() - start);
    double rate = 2.0 * STEPS * CHAINS * loop.lanes / ns * 1e9;
    best = rate > best ? rate : best;
  }
  return best;
}

/* Buffers of 16 KB, 24 KB, 32 KB, 48 KB ... 64 MB. */
static int64_t level_bytes(int level) {
  return (INT64_C(8192) << level / 2) * (level % 2 ? 3 : 2);
}

static double read_level(int level, struct loop loop) {
  int64_t bytes = level_bytes(level);
  void *data = aligned_alloc(4096, (size_t)bytes);
  if (!data)
    return 0;
  memset(data, 0, (size_t)bytes);
  double best = 0;
  volatile float sink = 0;
  int64_t repeat = dn_max((1 << 20) / bytes, 1);
  for (int round = 0; round < 6; round++) {
    int64_t start = run_clock();
    for (int64_t i = 0; i < repeat; i++)
      sink += loop.read(data, bytes);
    double rate =
        (double)(repeat * bytes) / (double)(run_clock() - start) * 1e9;
    best = rate > best ? rate : best;
  }
  free(data);
  return best;
}

double run_bandwidth(struct run_levels *known, int64_t bytes) {
  int level = 0;
  while (level < RUN_LEVELS - 1 && level_bytes(level + 1) <= bytes)
    level++;
  double *rate = &known->rate[level];
  return *rate ? *rate : (*rate = read_level(level, best_loop()));
}
