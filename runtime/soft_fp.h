/* soft_fp.h - IEEE 754 arithmetic of one width, by integers. Included twice by
 * soft.c, for 32 and 64 bits, with
 *
 *   REP            unsigned integer of that width
 *   FP             the float type
 *   FP_BITS        32 or 64
 *   FP_MAN         stored bits of the significand: 23 or 52
 *   FP_NAME(x)     name of a function of this width
 *   FP_LONG(x)     of one that is called from others
 *   FP_ZEROS(x)    leading zeroes of a number that is not zero
 *
 * Rounds to nearest, ties to even; subnormals are exact; every NaN made is the
 * same quiet one. A finite number is taken apart into a sign, an exponent and a
 * significand with its leading one in bit FP_MAN, shifted left by three places
 * for a guard, a round and a sticky bit where it is rounded. */

#define MAN_MASK (((REP)1 << FP_MAN) - 1)
#define SIGN_BIT ((REP)1 << (FP_BITS - 1))
#define ABS_MASK (SIGN_BIT - 1)
#define EXP_MAX ((1 << (FP_BITS - 1 - FP_MAN)) - 1)
#define EXP_BIAS (EXP_MAX >> 1)
#define INF_REP ((REP)EXP_MAX << FP_MAN)
#define NAN_REP (INF_REP | ((REP)1 << (FP_MAN - 1)))

/* x >> n, with the lowest bit set if a one was lost. */
static REP FP_NAME(shift_sticky)(REP x, int n) {
  if (n >= FP_BITS)
    return x != 0;
  return n > 0 ? (x >> n) | ((REP)(x << (FP_BITS - n)) != 0) : x;
}

/* Significand (leading one in bit FP_MAN) and exponent of a finite number that
 * is not zero. */
static int FP_NAME(split)(REP a, REP *man) {
  int e = (int)(a >> FP_MAN) & EXP_MAX;
  *man = a & MAN_MASK;
  if (e) {
    *man |= (REP)1 << FP_MAN;
    return e;
  }
  int shift = FP_ZEROS(*man) - (FP_BITS - 1 - FP_MAN);
  *man <<= shift;
  return 1 - shift;
}

/* Rounds and packs; `man` has its leading one in bit FP_MAN + 3. */
static REP FP_NAME(pack)(REP sign, int e, REP man) {
  if (e >= EXP_MAX)
    return sign | INF_REP;
  if (e <= 0) {
    man = FP_NAME(shift_sticky)(man, 1 - e);
    e = 0;
  }
  REP rest = man & 7;
  man >>= 3;
  man += rest > 4 || (rest == 4 && (man & 1));
  /* A carry out of the significand increments the exponent, which is right. */
  return sign | ((e ? (REP)(e - 1) << FP_MAN : 0) + man);
}

/* ---- Sums and products ----
 *
 * The usual way: numbers that are neither zero nor subnormal, infinite or NaN,
 * and results as usual. Significands have their leading one in bit FP_BITS - 3,
 * so that a sum has room for its carry. All else goes the long way. */

#define GUARD (FP_BITS - 3 - FP_MAN)

static REP FP_NAME(usual)(REP a) {
  return (a << (FP_BITS - 1 - FP_MAN) | SIGN_BIT) >> 2;
}

/* Packed with the exponent less one: the significand's leading one carries into
 * it. */
static REP FP_NAME(join)(REP sign, REP e, REP man) {
  man += ((REP)1 << (GUARD - 1)) - 1 + (man >> GUARD & 1);
  return sign + (e << FP_MAN) + (man >> GUARD);
}

/* Overflow or underflow; the exponent has wrapped around. */
OUT_OF_LINE REP FP_LONG(pack)(REP sign, REP e, REP man) {
  man = man >> (GUARD - 3) | ((man & (((REP)1 << (GUARD - 3)) - 1)) != 0);
  return FP_NAME(pack)(sign, (int)e + 1, man);
}

OUT_OF_LINE REP FP_LONG(add)(REP a, REP b) {
  REP x = a & ABS_MASK, y = b & ABS_MASK, mx, my;
  if (x < y) {
    REP t = a;
    a = b;
    b = t;
    t = x;
    x = y;
    y = t;
  }
  if (x >= INF_REP)
    return x > INF_REP || (y == INF_REP && a != b) ? NAN_REP : a;
  if (!y)
    return x ? a : a & b;
  REP sign = a & SIGN_BIT;
  int e = FP_NAME(split)(x, &mx), ey = FP_NAME(split)(y, &my);
  mx <<= 3;
  my = FP_NAME(shift_sticky)(my << 3, e - ey);
  if ((a ^ b) & SIGN_BIT) {
    mx -= my;
    if (!mx)
      return 0;
    int shift = FP_ZEROS(mx) - (FP_BITS - 4 - FP_MAN);
    mx <<= shift;
    e -= shift;
  } else {
    mx += my;
    if (mx >> (FP_MAN + 4)) {
      mx = (mx >> 1) | (mx & 1);
      e++;
    }
  }
  return FP_NAME(pack)(sign, e, mx);
}

IN_LINE REP FP_NAME(add)(REP a, REP b) {
  if ((REP)(a << 1) < (REP)(b << 1)) {
    REP t = a;
    a = b;
    b = t;
  }
  REP e = a >> FP_MAN & EXP_MAX, ey = b >> FP_MAN & EXP_MAX, n = e - ey;
  if (e == EXP_MAX || !ey)
    return FP_LONG(add)(a, b);
  if (n >= FP_BITS)
    return a;
  REP x = FP_NAME(usual)(a), y = FP_NAME(usual)(b), most = y >> n;
  y = most | ((REP)(most << n) != y);
  e--;
  if ((a ^ b) & SIGN_BIT) {
    x -= y;
    if (!(x >> (FP_BITS - 3))) {
      if (!x)
        return 0;
      n = (REP)FP_ZEROS(x) - 2;
      n = n < e ? n : e; /* or subnormal, and exact */
      x <<= n;
      e -= n;
    }
  } else {
    x += y;
    if (x >> (FP_BITS - 2)) {
      x = x >> 1 | (x & 1);
      e++;
      if (e == EXP_MAX - 1)
        return (a & SIGN_BIT) | INF_REP;
    }
  }
  return FP_NAME(join)(a & SIGN_BIT, e, x);
}

OUT_OF_LINE REP FP_LONG(mul)(REP a, REP b) {
  REP x = a & ABS_MASK, y = b & ABS_MASK, sign = (a ^ b) & SIGN_BIT, mx, my;
  if (x >= INF_REP || y >= INF_REP) {
    if (x > INF_REP || y > INF_REP || !x || !y)
      return NAN_REP;
    return sign | INF_REP;
  }
  if (!x || !y)
    return sign;
  int e = FP_NAME(split)(x, &mx) + FP_NAME(split)(y, &my) - EXP_BIAS;
  /* Left-justified: the upper half is the product, the lower half is ORed into
   * its last bit. */
  REP low, high = FP_NAME(wide)(mx << (FP_BITS - 1 - FP_MAN),
                                my << (FP_BITS - 1 - FP_MAN), &low);
  if (high >> (FP_BITS - 1)) {
    e++;
  } else {
    high = (high << 1) | (low >> (FP_BITS - 1));
    low <<= 1;
  }
  high = FP_NAME(shift_sticky)(high, FP_BITS - 4 - FP_MAN) | (low != 0);
  return FP_NAME(pack)(sign, e, high);
}

IN_LINE REP FP_NAME(mul)(REP a, REP b) {
  REP e = a >> FP_MAN & EXP_MAX, ey = b >> FP_MAN & EXP_MAX;
  if (e - 1 >= EXP_MAX - 1 || ey - 1 >= EXP_MAX - 1)
    return FP_LONG(mul)(a, b);
  REP sign = (a ^ b) & SIGN_BIT;
  REP man = FP_NAME(times)(FP_NAME(usual)(a), FP_NAME(usual)(b));
  REP carry = man >> (FP_BITS - 2);
  man = man >> carry | (man & carry);
  e += ey + carry - EXP_BIAS - 1;
  if (e >= EXP_MAX - 1)
    return FP_LONG(pack)(sign, e, man);
  return FP_NAME(join)(sign, e, man);
}

/* high:low >> n, with the lowest bit set if a one was lost. */
IN_LINE void FP_NAME(shift_pair)(REP *high, REP *low, int n) {
  if (n >= FP_BITS) {
    *low = FP_NAME(shift_sticky)(*high, n - FP_BITS) | (*low != 0);
    *high = 0;
  } else if (n > 0) {
    *low = FP_NAME(shift_sticky)(*low, n) | *high << (FP_BITS - n);
    *high >>= n;
  }
}

/* a * b + c, rounded once. Product and summand have two words, with their
 * leading ones in bit FP_BITS - 4 of the upper one, or the next: shifts that
 * lose a one move by more than a subtraction then cancels. */
static REP FP_NAME(fma)(REP a, REP b, REP c) {
  REP x = a & ABS_MASK, y = b & ABS_MASK, z = c & ABS_MASK;
  REP mx, my, high, low, more = 0;
  if (x >= INF_REP || y >= INF_REP || !x || !y)
    return FP_LONG(add)(FP_LONG(mul)(a, b), c);
  if (z >= INF_REP)
    return z > INF_REP ? NAN_REP : c;
  if (!z)
    return FP_LONG(mul)(a, b);
  REP sign = (a ^ b) & SIGN_BIT, other = c & SIGN_BIT;
  int e = FP_NAME(split)(x, &mx) + FP_NAME(split)(y, &my) - EXP_BIAS;
  high = FP_NAME(wide)(mx << (FP_BITS - 1 - FP_MAN),
                       my << (FP_BITS - 1 - FP_MAN), &low);
  FP_NAME(shift_pair)(&high, &low, 2);
  int ez = FP_NAME(split)(z, &z);
  z <<= FP_BITS - 4 - FP_MAN;
  FP_NAME(shift_pair)(&z, &more, e - ez);
  FP_NAME(shift_pair)(&high, &low, ez - e);
  e = e > ez ? e : ez;
  if (sign == other) {
    low += more;
    high += z + (low < more);
  } else {
    if (high < z || (high == z && low < more)) {
      REP t = high;
      high = z;
      z = t;
      t = low;
      low = more;
      more = t;
      sign = other;
    }
    high -= z + (low < more);
    low -= more;
  }
  if (!high) {
    if (!low)
      return 0;
    high = low;
    low = 0;
    e -= FP_BITS;
  }
  int n = FP_ZEROS(high);
  if (n) {
    high = high << n | low >> (FP_BITS - n);
    low <<= n;
  }
  high = FP_NAME(shift_sticky)(high, FP_BITS - 4 - FP_MAN) | (low != 0);
  return FP_NAME(pack)(sign, e + 3 - n, high);
}

/* Divides significands: *mx becomes the remainder, less than my. */
IN_LINE REP FP_NAME(quotient)(REP *mx, REP my);

OUT_OF_LINE REP FP_LONG(div)(REP a, REP b) {
  REP x = a & ABS_MASK, y = b & ABS_MASK, sign = (a ^ b) & SIGN_BIT, mx, my;
  if (x > INF_REP || y > INF_REP || (x == y && (!x || x == INF_REP)))
    return NAN_REP;
  if (x == INF_REP || !y)
    return sign | INF_REP;
  if (!x || y == INF_REP)
    return sign;
  int e = FP_NAME(split)(x, &mx) - FP_NAME(split)(y, &my) + EXP_BIAS;
  if (mx < my) {
    mx <<= 1;
    e--;
  }
  REP q = FP_NAME(quotient)(&mx, my);
  return FP_NAME(pack)(sign, e, q | (mx != 0));
}

IN_LINE REP FP_NAME(div)(REP a, REP b) {
  REP e = a >> FP_MAN & EXP_MAX, ey = b >> FP_MAN & EXP_MAX;
  if (e - 1 >= EXP_MAX - 1 || ey - 1 >= EXP_MAX - 1)
    return FP_LONG(div)(a, b);
  REP sign = (a ^ b) & SIGN_BIT, one = (REP)1 << FP_MAN;
  REP mx = (a & MAN_MASK) | one, my = (b & MAN_MASK) | one, less = mx < my;
  mx <<= less;
  e += EXP_BIAS - 1 - ey - less;
  REP man = FP_NAME(quotient)(&mx, my) << (GUARD - 3);
  man |= mx != 0;
  if (e >= EXP_MAX - 1)
    return FP_LONG(pack)(sign, e, man);
  return FP_NAME(join)(sign, e, man);
}

/* -1, 0, 1, or 2 when one is NaN. */
static int FP_NAME(order)(REP a, REP b) {
  REP x = a & ABS_MASK, y = b & ABS_MASK;
  if (x > INF_REP || y > INF_REP)
    return 2;
  if (!(x | y) || a == b)
    return 0;
  if ((a ^ b) & SIGN_BIT)
    return a & SIGN_BIT ? -1 : 1;
  return (x < y) != (a & SIGN_BIT ? 1 : 0) ? -1 : 1;
}

/* ---- Integers ---- */

/* The integer `x` as a float, with a sign. */
static REP FP_NAME(from_u64)(uint64_t x, REP sign) {
  if (!x)
    return sign;
  int top = 63 - zeros_u64(x), shift = top - (FP_MAN + 3);
  if (shift > 0)
    x = (x >> shift) | ((uint64_t)(x << (64 - shift)) != 0);
  else
    x <<= -shift;
  return FP_NAME(pack)(sign, top + EXP_BIAS, (REP)x);
}
static REP FP_NAME(from_i64)(int64_t x) {
  uint64_t u = (uint64_t)x;
  return FP_NAME(from_u64)(x < 0 ? 0 - u : u, x < 0 ? SIGN_BIT : 0);
}

/* |a| without its fraction, at most `limit`; NaN gives 0. */
static uint64_t FP_NAME(to_u64)(REP a, uint64_t limit) {
  REP x = a & ABS_MASK;
  int e = (int)(x >> FP_MAN) - EXP_BIAS;
  if (x > INF_REP || e < 0)
    return 0;
  if (e > 63)
    return limit;
  uint64_t man = (x & MAN_MASK) | ((REP)1 << FP_MAN);
  uint64_t v = e >= FP_MAN ? man << (e - FP_MAN) : man >> (FP_MAN - e);
  return v < limit ? v : limit;
}
static int64_t FP_NAME(to_signed)(REP a, uint64_t limit) {
  uint64_t v = FP_NAME(to_u64)(a, a & SIGN_BIT ? limit + 1 : limit);
  return (int64_t)(a & SIGN_BIT ? 0 - v : v);
}
static uint64_t FP_NAME(to_unsigned)(REP a, uint64_t limit) {
  return a & SIGN_BIT ? 0 : FP_NAME(to_u64)(a, limit);
}

/* ---- Whole numbers ---- */

/* Clears the fraction, and adds one in magnitude where the mode rounds up. */
static REP FP_NAME(whole)(REP a, enum whole_mode how) {
  REP x = a & ABS_MASK, sign = a & SIGN_BIT;
  int e = (int)(x >> FP_MAN) - EXP_BIAS;
  if (e >= FP_MAN || !x)
    return x > INF_REP ? NAN_REP : a;
  REP one = (REP)EXP_BIAS << FP_MAN;
  int grow = how == TO_FLOOR ? sign != 0 : how == TO_CEIL ? !sign : 0;
  if (e < 0) {
    REP half = (REP)(EXP_BIAS - 1) << FP_MAN;
    if (how == TO_EVEN)
      grow = x > half;
    else if (how == TO_AWAY)
      grow = x >= half;
    return sign | (grow ? one : 0);
  }
  REP unit = (REP)1 << (FP_MAN - e), rest = x & (unit - 1);
  x -= rest;
  if (how == TO_EVEN)
    grow = rest > unit / 2 || (rest == unit / 2 && (e ? x & unit : 1));
  else if (how == TO_AWAY)
    grow = rest >= unit / 2;
  return sign | (grow && rest ? x + unit : x);
}

static REP FP_NAME(root)(REP a) {
  REP x = a & ABS_MASK, man, bit, root = 0;
  if (x > INF_REP || (a & SIGN_BIT && x))
    return NAN_REP;
  if (!x || x == INF_REP)
    return a;
  int e = FP_NAME(split)(x, &man) - EXP_BIAS;
  man <<= e & 1;
  e = (e - (e & 1)) / 2;
  /* Digit recurrence, one bit a step: `man` is the remainder times 2^steps. */
  man <<= 1;
  for (bit = (REP)1 << (FP_MAN + 1); bit; bit >>= 1) {
    REP trial = 2 * root + bit;
    if (trial <= man) {
      man -= trial;
      root += bit;
    }
    man <<= 1;
  }
  /* Leading one in bit FP_MAN + 1: one bit to round by, the rest sticks. */
  return FP_NAME(pack)(0, e + EXP_BIAS, root << 2 | (man != 0));
}

/* a - b * trunc(a / b), exactly. */
static REP FP_NAME(remainder)(REP a, REP b) {
  REP x = a & ABS_MASK, y = b & ABS_MASK, sign = a & SIGN_BIT, mx, my;
  if (x >= INF_REP || y > INF_REP || !y)
    return NAN_REP;
  if (x < y)
    return a;
  int e = FP_NAME(split)(x, &mx), ey = FP_NAME(split)(y, &my);
  for (; e > ey; e--) {
    if (mx >= my)
      mx -= my;
    mx <<= 1;
  }
  if (mx >= my)
    mx -= my;
  if (!mx)
    return sign;
  int shift = FP_ZEROS(mx) - (FP_BITS - 1 - FP_MAN);
  return FP_NAME(pack)(sign, e - shift, mx << (shift + 3));
}

static REP FP_NAME(bits)(FP x) {
  union {
    FP f;
    REP r;
  } u = {x};
  return u.r;
}
static FP FP_NAME(value)(REP r) {
  union {
    REP r;
    FP f;
  } u = {r};
  return u.f;
}

#undef GUARD
#undef MAN_MASK
#undef SIGN_BIT
#undef ABS_MASK
#undef EXP_MAX
#undef EXP_BIAS
#undef INF_REP
#undef NAN_REP
