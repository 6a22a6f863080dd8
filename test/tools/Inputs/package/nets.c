/* nets.c - a library with two models in it. */
#include "free.h"
#include "wide_net.h"

static float x[256][512], y[256][1024], image[2][3], out[2][4];

int run_nets(void);
int run_nets(void) {
  static unsigned char arena[FREE_ARENA_SIZE + WIDE_NET_ARENA_SIZE + 64]
      __attribute__((aligned(64)));
  for (int i = 0; i < 512; i++)
    x[255][i] = 1;
  return wide_net_run(x, y, arena) || free_run(image, out, arena) ||
         y[255][1023] != 256;
}
