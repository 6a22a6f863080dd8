/* main.c - a program of its own that runs a model: a vertical stroke is a 1. */
#include "digits.h"

#include <stdio.h>

static float image[1][1][8][8], digit[1][10];
static unsigned char arena[DIGITS_ARENA_SIZE]
    __attribute__((aligned(DIGITS_ARENA_ALIGN)));

int main(void) {
  int best = 0;
  for (int y = 0; y < 8; y++)
    image[0][0][y][3] = image[0][0][y][4] = 16;
  if (digits_run(image, digit, arena))
    return 1;
  for (int i = 1; i < 10; i++)
    best = digit[0][i] > digit[0][best] ? i : best;
  printf("it is a %d\n", best);
  return 0;
}
