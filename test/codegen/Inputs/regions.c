/* regions.c - a program whose arena lies in a region of the model. */
#include "net.h"
static float x[1][784], y[1][10];
unsigned char arena[NET_ARENA_SIZE]
    __attribute__((aligned(NET_ARENA_ALIGN), section(NET_ARENA_SECTION)));
int start(void);
#ifdef NET_ARENA2_SIZE
unsigned char arena2[NET_ARENA2_SIZE]
    __attribute__((aligned(NET_ARENA_ALIGN), section(NET_ARENA2_SECTION)));
int start(void) { return net_run(x, y, arena, arena2); }
#else
int start(void) { return net_run(x, y, arena); }
#endif
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
