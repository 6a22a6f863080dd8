/* soft.c - arithmetic for processors without it, under the names by which LLVM
 * calls it: floats on a core without an FPU, doubles on one with a single
 * precision FPU, 64-bit integers on a 32-bit core, division where there is no
 * instruction, rounding, roots and remainders.
 *
 * The build compiles this file to LLVM IR and puts it into dnnc, which adds the
 * functions that a model needs to its object under local names; it is never
 * linked. With SOFT_NARROW it is for Thumb-1, whose products have 32 bits. It
 * must keep to integers and to types that mean the same everywhere, and
 * must not use what it implements. Functions of the ARM run-time ABI
 * (__aeabi_*) take floats in integer registers on every ARM, so they are
 * declared with integers; the others take floats as the target does. */
#include "dnn.h"

#define IN_LINE static inline __attribute__((always_inline))
#define OUT_OF_LINE __attribute__((noinline))

/* ---- 64-bit integers by 32-bit ones ---- */

static int zeros_u32(uint32_t x) {
  int n = 0;
#define STEP(s)                                                                \
  if (!(x >> (32 - s)))                                                        \
  n += s, x <<= s
  STEP(16);
  STEP(8);
  STEP(4);
  STEP(2);
#undef STEP
  return n + !(x >> 31);
}
static int zeros_u64(uint64_t x) {
  uint32_t high = (uint32_t)(x >> 32);
  return high ? zeros_u32(high) : 32 + zeros_u32((uint32_t)x);
}

static uint64_t join(uint32_t high, uint32_t low) {
  return (uint64_t)high << 32 | low;
}
static uint64_t shift_left(uint64_t x, int n) {
  uint32_t low = (uint32_t)x, high = (uint32_t)(x >> 32);
  if (n >= 32)
    return join(low << (n - 32), 0);
  return n ? join(high << n | low >> (32 - n), low << n) : x;
}
static uint64_t shift_right(uint64_t x, int n) {
  uint32_t low = (uint32_t)x, high = (uint32_t)(x >> 32);
  if (n >= 32)
    return high >> (n - 32);
  return n ? join(high >> n, low >> n | high << (32 - n)) : x;
}
static uint64_t shift_signed(uint64_t x, int n) {
  int32_t high = (int32_t)(x >> 32);
  uint32_t low = (uint32_t)x;
  if (n >= 32)
    return join((uint32_t)(high >> 31), (uint32_t)(high >> (n - 32)));
  return n ? join((uint32_t)(high >> n), low >> n | (uint32_t)high << (32 - n))
           : x;
}

/* 32 by 32 to 64 bits, by 16-bit pieces: Thumb-1 has no wider product. */
static uint64_t product(uint32_t a, uint32_t b) {
  uint32_t al = a & 0xffff, ah = a >> 16, bl = b & 0xffff, bh = b >> 16;
  uint32_t low = al * bl, mid = ah * bl + (low >> 16);
  uint32_t mid2 = al * bh + (mid & 0xffff);
  return join(ah * bh + (mid >> 16) + (mid2 >> 16),
              mid2 << 16 | (low & 0xffff));
}
IN_LINE uint64_t product_u64(uint64_t a, uint64_t b) {
  uint32_t al = (uint32_t)a, bl = (uint32_t)b;
  return product(al, bl) +
         join((uint32_t)(a >> 32) * bl + al * (uint32_t)(b >> 32), 0);
}

/* Quotient, and remainder in *rest. Division by 0 as on RISC-V: the quotient is
 * all ones, the remainder a. */
static uint32_t divide_u32(uint32_t a, uint32_t b, uint32_t *rest) {
  uint32_t q = 0, r = 0;
  for (int i = 31; i >= 0; i--) {
    r = r << 1 | (a >> i & 1);
    q <<= 1;
    if (r >= b) {
      r -= b;
      q |= 1;
    }
  }
  *rest = r;
  return q;
}
static uint64_t divide_u64(uint64_t a, uint64_t b, uint64_t *rest) {
  uint64_t q = 0, r = 0;
  for (int i = 0; i < 64; i++) {
    r = r << 1 | a >> 63;
    a <<= 1;
    q <<= 1;
    if (r >= b) {
      r -= b;
      q |= 1;
    }
  }
  *rest = r;
  return q;
}
static int32_t divide_i32(int32_t a, int32_t b, int32_t *rest) {
  uint32_t r, x = (uint32_t)a, y = (uint32_t)b;
  uint32_t q = divide_u32(a < 0 ? 0 - x : x, b < 0 ? 0 - y : y, &r);
  *rest = (int32_t)(a < 0 ? 0 - r : r);
  return (int32_t)((a < 0) != (b < 0) ? 0 - q : q);
}
static int64_t divide_i64(int64_t a, int64_t b, int64_t *rest) {
  uint64_t r, x = (uint64_t)a, y = (uint64_t)b;
  uint64_t q = divide_u64(a < 0 ? 0 - x : x, b < 0 ? 0 - y : y, &r);
  *rest = (int64_t)(a < 0 ? 0 - r : r);
  return (int64_t)((a < 0) != (b < 0) ? 0 - q : q);
}

/* ---- Floats ---- */

enum whole_mode { TO_ZERO, TO_FLOOR, TO_CEIL, TO_EVEN, TO_AWAY };

#define REP uint32_t
#define FP float
#define FP_BITS 32
#define FP_MAN 23
#define FP_NAME(x) x##_f32
#define FP_LONG(x) __soft_##x##_f32
#define FP_ZEROS(x) __builtin_clz(x)
static uint32_t wide_f32(uint32_t a, uint32_t b, uint32_t *low) {
  uint64_t p = (uint64_t)a * b;
  *low = (uint32_t)p;
  return (uint32_t)(p >> 32);
}
/* The product of two significands whose leading ones are in bit 29; its own is
 * in bit 29 or 30, and bit 0 is set if bits were lost (sticky). Thumb-1
 * multiplies 24 bits in 16-bit pieces. */
IN_LINE uint32_t times_f32(uint32_t a, uint32_t b) {
#ifdef SOFT_NARROW
  uint32_t al = a >> 6 & 0xffff, ah = a >> 22, bl = b >> 6 & 0xffff;
  uint32_t bh = b >> 22, low = al * bl;
  uint32_t high = (ah * bh << 16) + ah * bl + al * bh + (low >> 16);
  return high >> 1 | ((high & 1) | (low & 0xffff)) != 0;
#else
  uint32_t low, high = wide_f32(a << 2, b << 1, &low);
  return high | (low != 0);
#endif
}
#include "soft_fp.h"
/* q, and 8 bits more: x / my; *x becomes the remainder. */
IN_LINE uint32_t append_digit(uint32_t q, uint32_t *x, uint32_t my) {
  uint32_t digit = (*x << 8) / my;
  *x = (*x << 8) - digit * my;
  return (q << 8) + digit;
}
/* A quotient of 27 bits. On Thumb-1 it is a leading one and two digits of 13
 * bits: a digit is the remainder times the reciprocal of the upper half of
 * `my`, corrected by up to 2. The reciprocal, a linear guess and two Newton
 * steps, is never too large; remainders fit 32 bits. Elsewhere it is a leading
 * one and three digits of 8 bits by division; the last two bits are 0. */
IN_LINE uint32_t quotient_f32(uint32_t *mx, uint32_t my) {
  uint32_t x = *mx - my, q = 1;
#ifdef SOFT_NARROW
  uint32_t y = my >> 8, r = 92520 - (y * 61681 >> 16);
  for (int i = 0; i < 2; i++)
    r += (uint32_t)((int32_t)r * ((int32_t)(0x80000000 - y * r) >> 16) >> 15);
  for (int i = 0; i < 2; i++) {
    uint32_t digit = (x >> 8) * (r - 3) >> 18;
    for (x = (x << 13) - digit * my; x >= my; x -= my)
      digit++;
    q = (q << 13) + digit;
  }
#else
  q = append_digit(append_digit(append_digit(q, &x, my), &x, my), &x, my) << 2;
#endif
  *mx = x;
  return q;
}
#undef REP
#undef FP
#undef FP_BITS
#undef FP_MAN
#undef FP_NAME
#undef FP_LONG
#undef FP_ZEROS

#define REP uint64_t
#define FP double
#define FP_BITS 64
#define FP_MAN 52
#define FP_NAME(x) x##_f64
#define FP_LONG(x) __soft_##x##_f64
#define FP_ZEROS(x) zeros_u64(x)
static uint64_t wide_f64(uint64_t a, uint64_t b, uint64_t *low) {
  uint32_t al = (uint32_t)a, ah = (uint32_t)(a >> 32);
  uint32_t bl = (uint32_t)b, bh = (uint32_t)(b >> 32);
  uint64_t ll = (uint64_t)al * bl, lh = (uint64_t)al * bh;
  uint64_t hl = (uint64_t)ah * bl + (ll >> 32);
  uint64_t mid = lh + (uint32_t)hl;
  *low = mid << 32 | (uint32_t)ll;
  return (uint64_t)ah * bh + (hl >> 32) + (mid >> 32);
}
IN_LINE uint64_t times_f64(uint64_t a, uint64_t b) {
  uint64_t low, high = wide_f64(a << 2, b << 1, &low);
  return high | (low != 0);
}
#include "soft_fp.h"
IN_LINE uint64_t quotient_f64(uint64_t *mx, uint64_t my) {
  uint64_t q = 0, x = *mx;
  for (int i = 0; i < 52 + 4; i++, x <<= 1) {
    q = q << 1 | (x >= my);
    x -= x >= my ? my : 0;
  }
  *mx = x;
  return q;
}

static uint64_t widen(uint32_t a) {
  uint32_t x = a & 0x7fffffff, man;
  uint64_t sign = (uint64_t)(a >> 31) << 63;
  if (x > 0x7f800000)
    return UINT64_C(0x7ff8000000000000);
  if (x == 0x7f800000)
    return sign | UINT64_C(0x7ff0000000000000);
  if (!x)
    return sign;
  int e = split_f32(x, &man) + 1023 - 127;
  return sign | ((uint64_t)(e - 1) << 52) + ((uint64_t)man << 29);
}
static uint32_t narrow(uint64_t a) {
  uint64_t x = a & (UINT64_MAX >> 1), man;
  uint32_t sign = (uint32_t)(a >> 63) << 31;
  if (x > UINT64_C(0x7ff0000000000000))
    return 0x7fc00000;
  if (x == UINT64_C(0x7ff0000000000000))
    return sign | 0x7f800000;
  if (!x)
    return sign;
  int e = split_f64(x, &man) - 1023 + 127;
  return pack_f32(sign, e, (uint32_t)(man >> 26) | ((man << 38) != 0));
}

/* Half precision: 10 stored bits. */
static uint32_t widen_half(uint32_t h) {
  uint32_t x = h & 0x7fff, sign = (h & 0x8000) << 16;
  if (x > 0x7c00)
    return 0x7fc00000;
  if (x == 0x7c00)
    return sign | 0x7f800000;
  if (x >= 0x400)
    return sign | ((x << 13) + ((127 - 15) << 23));
  /* A subnormal is its integer times 2^-24. */
  uint32_t v = from_u64_f32(x, 0);
  return sign | (v ? v - (24 << 23) : 0);
}
static uint32_t narrow_half(uint32_t a) {
  uint32_t x = a & 0x7fffffff, sign = a >> 16 & 0x8000;
  if (x > 0x7f800000)
    return 0x7e00;
  int e = (int)(x >> 23) - 127 + 15;
  if (e >= 31)
    return sign | 0x7c00;
  if (e < -10)
    return sign;
  uint32_t man = (x & 0x7fffff) | 0x800000;
  int shift = e > 0 ? 13 : 14 - e;
  uint32_t rest = man & ((1u << shift) - 1), half = 1u << (shift - 1);
  man >>= shift;
  man += rest > half || (rest == half && (man & 1));
  return sign | ((e > 0 ? (uint32_t)(e - 1) << 10 : 0) + man);
}
/* Through a single that is rounded to odd (its last bit is the OR of the bits
 * lost), so that the second rounding is right. Out of its range the half is
 * infinite or zero. */
static uint32_t narrow_half_f64(uint64_t a) {
  uint32_t f = narrow(a & ~UINT64_C(0x1fffffff));
  if ((a & (UINT64_MAX >> 1)) > UINT64_C(0x7ff0000000000000))
    return 0x7e00;
  if ((f & 0x7fffffff) < 0x7f800000 && (a & 0x1fffffff))
    f |= 1;
  return narrow_half(f);
}

/* ---- The ARM run-time ABI ---- */

#define AEABI(type, name, ...) type __aeabi_##name(__VA_ARGS__)
#define AEABI_FP(p, REP, W)                                                    \
  AEABI(REP, p##add, REP a, REP b) { return add_##W(a, b); }                   \
  AEABI(REP, p##sub, REP a, REP b) {                                           \
    return __aeabi_##p##add(a, b ^ (REP)1 << (8 * sizeof b - 1));              \
  }                                                                            \
  AEABI(REP, p##mul, REP a, REP b) { return mul_##W(a, b); }                   \
  AEABI(REP, p##div, REP a, REP b) { return div_##W(a, b); }                   \
  AEABI(int, p##cmpeq, REP a, REP b) { return order_##W(a, b) == 0; }          \
  AEABI(int, p##cmplt, REP a, REP b) { return order_##W(a, b) < 0; }           \
  AEABI(int, p##cmple, REP a, REP b) { return order_##W(a, b) <= 0; }          \
  AEABI(int, p##cmpgt, REP a, REP b) { return order_##W(a, b) == 1; }          \
  AEABI(int, p##cmpge, REP a, REP b) { return (unsigned)order_##W(a, b) < 2; } \
  AEABI(int, p##cmpun, REP a, REP b) { return order_##W(a, b) == 2; }          \
  AEABI(int32_t, p##2iz, REP a) {                                              \
    return (int32_t)to_signed_##W(a, INT32_MAX);                               \
  }                                                                            \
  AEABI(uint32_t, p##2uiz, REP a) {                                            \
    return (uint32_t)to_unsigned_##W(a, UINT32_MAX);                           \
  }                                                                            \
  AEABI(int64_t, p##2lz, REP a) { return to_signed_##W(a, INT64_MAX); }        \
  AEABI(uint64_t, p##2ulz, REP a) { return to_unsigned_##W(a, UINT64_MAX); }   \
  AEABI(REP, i2##p, int32_t a) { return from_i64_##W(a); }                     \
  AEABI(REP, ui2##p, uint32_t a) { return from_u64_##W(a, 0); }                \
  AEABI(REP, l2##p, int64_t a) { return from_i64_##W(a); }                     \
  AEABI(REP, ul2##p, uint64_t a) { return from_u64_##W(a, 0); }
AEABI_FP(f, uint32_t, f32)
AEABI_FP(d, uint64_t, f64)
AEABI(uint64_t, f2d, uint32_t a) { return widen(a); }
AEABI(uint32_t, d2f, uint64_t a) { return narrow(a); }
AEABI(uint32_t, h2f, uint32_t a) { return widen_half(a & 0xffff); }
AEABI(uint32_t, f2h, uint32_t a) { return narrow_half(a); }
AEABI(uint32_t, d2h, uint64_t a) { return narrow_half_f64(a); }

/* Quotient and remainder are returned in r0 and r1, or r0 to r3. */
typedef uint32_t pair32 __attribute__((vector_size(8)));
typedef uint64_t pair64 __attribute__((vector_size(16)));
#define AEABI_DIVIDE(name, T, W)                                               \
  AEABI(T, name, T a, T b) {                                                   \
    T r;                                                                       \
    return divide_##W(a, b, &r);                                               \
  }
#define AEABI_BOTH(name, T, W, U, pair)                                        \
  AEABI(pair, name, T a, T b) {                                                \
    T r, q = divide_##W(a, b, &r);                                             \
    return (pair){(U)q, (U)r};                                                 \
  }
AEABI_DIVIDE(idiv, int32_t, i32)
AEABI_DIVIDE(uidiv, uint32_t, u32)
AEABI_BOTH(idivmod, int32_t, i32, uint32_t, pair32)
AEABI_BOTH(uidivmod, uint32_t, u32, uint32_t, pair32)
AEABI_BOTH(ldivmod, int64_t, i64, uint64_t, pair64)
AEABI_BOTH(uldivmod, uint64_t, u64, uint64_t, pair64)
AEABI(uint64_t, lmul, uint64_t a, uint64_t b) { return product_u64(a, b); }
AEABI(uint64_t, llsl, uint64_t a, int n) { return shift_left(a, n); }
AEABI(uint64_t, llsr, uint64_t a, int n) { return shift_right(a, n); }
AEABI(uint64_t, lasr, uint64_t a, int n) { return shift_signed(a, n); }

/* ---- The names of GCC's library ---- */

/* Shapes of functions: of two floats to a float, to an order (as C compares),
 * and of a float to an integer. */
#define FP_2(FP, name, W, f)                                                   \
  FP name(FP a, FP b) { return value_##W(f##_##W(bits_##W(a), bits_##W(b))); }
#define FP_ORDER(FP, name, W, unordered)                                       \
  int name(FP a, FP b) {                                                       \
    int o = order_##W(bits_##W(a), bits_##W(b));                               \
    return o == 2 ? unordered : o;                                             \
  }
#define FP_TO(T, name, FP, W, f, most)                                         \
  T name(FP a) { return (T)f##_##W(bits_##W(a), most); }
#define GCC_FP(w, FP, W)                                                       \
  FP_2(FP, __add##w##f3, W, add)                                               \
  FP __sub##w##f3(FP a, FP b) {                                                \
    return __add##w##f3(a, value_##W(bits_##W(b) ^ bits_##W((FP)-0.0)));       \
  }                                                                            \
  FP_2(FP, __mul##w##f3, W, mul)                                               \
  FP_2(FP, __div##w##f3, W, div)                                               \
  FP_ORDER(FP, __eq##w##f2, W, 2)                                              \
  FP_ORDER(FP, __ne##w##f2, W, 2)                                              \
  FP_ORDER(FP, __lt##w##f2, W, 2)                                              \
  FP_ORDER(FP, __le##w##f2, W, 2)                                              \
  FP_ORDER(FP, __gt##w##f2, W, -1)                                             \
  FP_ORDER(FP, __ge##w##f2, W, -1)                                             \
  int __unord##w##f2(FP a, FP b) {                                             \
    return order_##W(bits_##W(a), bits_##W(b)) == 2;                           \
  }                                                                            \
  FP_TO(int32_t, __fix##w##fsi, FP, W, to_signed, INT32_MAX)                   \
  FP_TO(int64_t, __fix##w##fdi, FP, W, to_signed, INT64_MAX)                   \
  FP_TO(uint32_t, __fixuns##w##fsi, FP, W, to_unsigned, UINT32_MAX)            \
  FP_TO(uint64_t, __fixuns##w##fdi, FP, W, to_unsigned, UINT64_MAX)            \
  FP __floatsi##w##f(int32_t a) { return value_##W(from_i64_##W(a)); }         \
  FP __floatdi##w##f(int64_t a) { return value_##W(from_i64_##W(a)); }         \
  FP __floatunsi##w##f(uint32_t a) { return value_##W(from_u64_##W(a, 0)); }   \
  FP __floatundi##w##f(uint64_t a) { return value_##W(from_u64_##W(a, 0)); }
GCC_FP(s, float, f32)
GCC_FP(d, double, f64)
double __extendsfdf2(float a) { return value_f64(widen(bits_f32(a))); }
float __truncdfsf2(double a) { return value_f32(narrow(bits_f64(a))); }
float __extendhfsf2(uint16_t a) { return value_f32(widen_half(a)); }
uint16_t __truncsfhf2(float a) { return (uint16_t)narrow_half(bits_f32(a)); }
uint16_t __truncdfhf2(double a) {
  return (uint16_t)narrow_half_f64(bits_f64(a));
}
float __gnu_h2f_ieee(uint16_t a) { return value_f32(widen_half(a)); }
uint16_t __gnu_f2h_ieee(float a) { return (uint16_t)narrow_half(bits_f32(a)); }

uint32_t __mulsi3(uint32_t a, uint32_t b) {
  uint32_t sum = 0;
  for (; b; b >>= 1, a <<= 1)
    sum += b & 1 ? a : 0;
  return sum;
}
#define GCC_DIVIDE(div, mod, T, W)                                             \
  T div(T a, T b) {                                                            \
    T r;                                                                       \
    return divide_##W(a, b, &r);                                               \
  }                                                                            \
  T mod(T a, T b) {                                                            \
    T r;                                                                       \
    divide_##W(a, b, &r);                                                      \
    return r;                                                                  \
  }
GCC_DIVIDE(__divsi3, __modsi3, int32_t, i32)
GCC_DIVIDE(__udivsi3, __umodsi3, uint32_t, u32)
GCC_DIVIDE(__divdi3, __moddi3, int64_t, i64)
GCC_DIVIDE(__udivdi3, __umoddi3, uint64_t, u64)
uint64_t __muldi3(uint64_t a, uint64_t b) { return product_u64(a, b); }
uint64_t __ashldi3(uint64_t a, int n) { return shift_left(a, n); }
uint64_t __lshrdi3(uint64_t a, int n) { return shift_right(a, n); }
uint64_t __ashrdi3(uint64_t a, int n) { return shift_signed(a, n); }
int __clzsi2(uint32_t a) { return zeros_u32(a); }
int __clzdi2(uint64_t a) { return zeros_u64(a); }

/* ---- The C library's, where LLVM has no instruction ---- */

/* fmin (side <) or fmax (>): a number where the other operand is NaN. */
#define EXTREME(FP, name, W, side)                                             \
  FP name(FP a, FP b) {                                                        \
    int o = order_##W(bits_##W(a), bits_##W(b));                               \
    return o == 2 ? (order_##W(bits_##W(a), bits_##W(a)) == 2 ? b : a)         \
                  : (o side 0 ? a : b);                                        \
  }
#define MATH(FP, W, s)                                                         \
  FP floor##s(FP a) { return value_##W(whole_##W(bits_##W(a), TO_FLOOR)); }    \
  FP ceil##s(FP a) { return value_##W(whole_##W(bits_##W(a), TO_CEIL)); }      \
  FP trunc##s(FP a) { return value_##W(whole_##W(bits_##W(a), TO_ZERO)); }     \
  FP rint##s(FP a) { return value_##W(whole_##W(bits_##W(a), TO_EVEN)); }      \
  FP nearbyint##s(FP a) { return value_##W(whole_##W(bits_##W(a), TO_EVEN)); } \
  FP roundeven##s(FP a) { return value_##W(whole_##W(bits_##W(a), TO_EVEN)); } \
  FP round##s(FP a) { return value_##W(whole_##W(bits_##W(a), TO_AWAY)); }     \
  FP sqrt##s(FP a) { return value_##W(root_##W(bits_##W(a))); }                \
  FP_2(FP, fmod##s, W, remainder)                                              \
  FP fma##s(FP a, FP b, FP c) {                                                \
    return value_##W(fma_##W(bits_##W(a), bits_##W(b), bits_##W(c)));          \
  }                                                                            \
  EXTREME(FP, fmin##s, W, <)                                                   \
  EXTREME(FP, fmax##s, W, >)
MATH(float, f32, f)
MATH(double, f64, )

/* ---- Memory ---- */

void *memcpy(void *to, const void *from, __SIZE_TYPE__ n);
void *memmove(void *to, const void *from, __SIZE_TYPE__ n);
void *memset(void *to, int value, __SIZE_TYPE__ n);

void *memcpy(void *to, const void *from, __SIZE_TYPE__ n) {
  char *p = to;
  const char *q = from;
  while (n--)
    *p++ = *q++;
  return to;
}
void *memmove(void *to, const void *from, __SIZE_TYPE__ n) {
  char *p = to;
  const char *q = from;
  if ((uintptr_t)to <= (uintptr_t)from)
    return memcpy(to, from, n);
  while (n--)
    p[n] = q[n];
  return to;
}
void *memset(void *to, int value, __SIZE_TYPE__ n) {
  char *p = to;
  while (n--)
    *p++ = (char)value;
  return to;
}
#define AEABI_MEM(n)                                                           \
  AEABI(void, memcpy##n, void *to, const void *from, __SIZE_TYPE__ size) {     \
    memcpy(to, from, size);                                                    \
  }                                                                            \
  AEABI(void, memmove##n, void *to, const void *from, __SIZE_TYPE__ size) {    \
    memmove(to, from, size);                                                   \
  }                                                                            \
  AEABI(void, memset##n, void *to, __SIZE_TYPE__ size, int value) {            \
    memset(to, value, size);                                                   \
  }                                                                            \
  AEABI(void, memclr##n, void *to, __SIZE_TYPE__ size) { memset(to, 0, size); }
AEABI_MEM()
AEABI_MEM(4)
AEABI_MEM(8)

/* ---- Weights ---- */

/* Each step is one to one, so that a byte that differs leaves another sum. The
 * upper bits of a product do not reach the lower ones; without the rotation two
 * words that differ in the highest bit would cancel out. */
static uint32_t sum_with(uint32_t sum, uint32_t word) {
  return ((sum << 5 | sum >> 27) ^ word) * 16777619u;
}

/* Hashes words, then the remaining bytes, with the constants of FNV-1a. */
uint32_t __dnn_sum(const void *data, size_t size) {
  const uint32_t *word = data;
  uint32_t sum = 2166136261u;
  for (size_t i = 0; i < size / 4; i++)
    sum = sum_with(sum, word[i]);
  for (size_t i = size / 4 * 4; i < size; i++)
    sum = sum_with(sum, ((const uint8_t *)data)[i]);
  return sum;
}

/* Whether `blob` is what `own`, the object's, describes; with `size` (0: none
 * is known) whether its bytes are whole. */
int32_t __dnn_weights(const void *blob, const struct dnn_weights *own,
                      size_t size) {
  const struct dnn_weights *w = blob;
  if (!blob || ((uintptr_t)blob & (own->align - 1)) ||
      (size && size != own->size))
    return DNN_E_WEIGHTS;
  if (w->magic != own->magic || w->version != own->version ||
      w->abi != own->abi || w->size != own->size || w->align != own->align)
    return DNN_E_WEIGHTS;
  if (size && w->sum != __dnn_sum(w + 1, size - sizeof *w))
    return DNN_E_WEIGHTS;
  return DNN_OK;
}
