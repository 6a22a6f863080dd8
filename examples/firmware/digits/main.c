/* main.c - reads eight handwritten digits. */
#include "board.h"
#include "digits.h"

FILE_BYTES(pictures, "digits.npy", 2176, 2048);
FILE_BYTES(labels, "labels.npy", 136, 8);
static unsigned char arena[DIGITS_ARENA_SIZE]
    __attribute__((aligned(DIGITS_ARENA_ALIGN)));

/* Floats as integers in the same order: without an FPU no library of floats is
 * needed. */
static union {
  float score[1][10];
  int32_t bits[10];
} digit;

static int32_t order(int k) {
  int32_t bits = digit.bits[k];
  return bits < 0 ? bits ^ 0x7fffffff : bits;
}

int main(void) {
  int right = 0;
  for (int i = 0; i < 8; i++) {
    int best = 0;
    if (digits_run((const void *)(pictures + 256 * i), digit.score, arena))
      return 2;
    for (int k = 1; k < 10; k++)
      best = order(k) > order(best) ? k : best;
    put_text(i ? " " : "digits: ");
    put_number(best);
    right += best == labels[i];
  }
  put_text("; ");
  put_number(right);
  put_text(" of 8 right\n");
  return right < 7;
}
