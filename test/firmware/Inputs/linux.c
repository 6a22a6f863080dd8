/* linux.c - text and the exit code of a program under Linux that has no C
 * library, as board.c has them of a bare machine. */
#include "board.h"

#if defined(__arm__)
static long host(long number, long a, long b, long c) {
  register long r7 __asm__("r7") = number;
  register long r0 __asm__("r0") = a;
  register long r1 __asm__("r1") = b;
  register long r2 __asm__("r2") = c;
  __asm__ volatile("svc 0" : "+r"(r0) : "r"(r1), "r"(r2), "r"(r7) : "memory");
  return r0;
}
#elif defined(__riscv)
static long host(long number, long a, long b, long c) {
  register long a7 __asm__("a7") = number;
  register long a0 __asm__("a0") = a;
  register long a1 __asm__("a1") = b;
  register long a2 __asm__("a2") = c;
  __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a7) : "memory");
  return a0;
}
#elif defined(__x86_64__)
static long host(long number, long a, long b, long c) {
  __asm__ volatile("syscall"
                   : "+a"(number)
                   : "D"(a), "S"(b), "d"(c)
                   : "rcx", "r11", "memory");
  return number;
}
#elif defined(__XTENSA__)
static long host(long number, long a, long b, long c) {
  register long a2 __asm__("a2") = number;
  register long a6 __asm__("a6") = a;
  register long a3 __asm__("a3") = b;
  register long a4 __asm__("a4") = c;
  __asm__ volatile("syscall" : "+r"(a2) : "r"(a6), "r"(a3), "r"(a4) : "memory");
  return a2;
}
#elif defined(__aarch64__)
static long host(long number, long a, long b, long c) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x1), "r"(x2), "r"(x8) : "memory");
  return x0;
}
#endif

#if defined(__x86_64__)
enum { SYS_WRITE = 1, SYS_EXIT = 60 };
#elif defined(__arm__)
enum { SYS_WRITE = 4, SYS_EXIT = 1 };
#elif defined(__XTENSA__)
enum { SYS_WRITE = 13, SYS_EXIT = 118 };
#else
enum { SYS_WRITE = 64, SYS_EXIT = 93 };
#endif
void put_text(const char *s) {
  long n = 0;
  while (s[n])
    n++;
  host(SYS_WRITE, 1, (long)s, n);
}
_Noreturn void leave(int code) {
  for (;;)
    host(SYS_EXIT, code, 0, 0);
}
