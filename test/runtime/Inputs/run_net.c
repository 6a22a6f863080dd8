/* Runs an object of shared_kernel.dnn; with OWN by a dnn_parallel_for() of its
 * own, which takes the chunks in another order. */
#include "net.h"

#include <stdio.h>

static float x[256][256], y[256][256];

#ifdef OWN
static size_t chunks;
void dnn_parallel_for(size_t n, void (*fn)(void *user, size_t i), void *user);
void dnn_parallel_for(size_t n, void (*fn)(void *user, size_t i), void *user) {
  chunks = n;
  while (n--)
    fn(user, n);
}
#endif

int main(void) {
  float *in = &x[0][0], *out = &y[0][0];
  int ok;
  for (int i = 0; i < 256 * 256; i++)
    in[i] = (float)i;
  ok = net_run(x, y, NULL) == 0;
  for (int i = 0; i < 256 * 256; i++)
    ok &= out[i] == 2 * in[i];
#ifdef OWN
  printf("%d chunks\n", (int)chunks);
#endif
  puts(ok ? "PASS" : "FAIL");
  return !ok;
}
