/* board.c - see board.h. QEMU's semihosting: a trap with an operation and its
 * argument. No C library is linked. */
#include "board.h"

#include <stddef.h>

enum { SYS_WRITE0 = 4, SYS_EXIT_EXTENDED = 0x20 };

static long host(long op, const void *arg) {
#ifdef __arm__
  register long r0 __asm__("r0") = op;
  register const void *r1 __asm__("r1") = arg;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
#else
  register long a0 __asm__("a0") = op;
  register const void *a1 __asm__("a1") = arg;
  __asm__ volatile(".option push\n.option norvc\n"
                   "slli x0, x0, 0x1f\nebreak\nsrai x0, x0, 7\n.option pop"
                   : "+r"(a0)
                   : "r"(a1)
                   : "memory");
  return a0;
#endif
}

void put_text(const char *s) { host(SYS_WRITE0, s); }

void put_number(long n) {
  char text[24], *p = text + sizeof text - 1;
  unsigned long left = n < 0 ? -(unsigned long)n : (unsigned long)n;
  *p = 0;
  do {
    *--p = (char)('0' + left % 10);
    left /= 10;
  } while (left);
  if (n < 0)
    *--p = '-';
  put_text(p);
}

_Noreturn void leave(int code) {
  const long args[] = {0x20026, code};
  host(SYS_EXIT_EXTENDED, args);
  for (;;) {
  }
}

/* From the reset vector, with a stack. */
int main(void);
_Noreturn void start(void);
_Noreturn void start(void) { leave(main()); }

void *memcpy(void *to, const void *from, size_t n) {
  for (size_t i = 0; i < n; i++)
    ((char *)to)[i] = ((const char *)from)[i];
  return to;
}
void *memset(void *to, int value, size_t n) {
  for (size_t i = 0; i < n; i++)
    ((char *)to)[i] = (char)value;
  return to;
}
