/* weights.c FILE - calls net_load and net_run with weights that are wrong in every
 * way: bytes that changed, other sizes, other addresses. */
#include "net.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static float x[1][784], y[1][10];
static unsigned char arena[NET_ARENA_SIZE]
    __attribute__((aligned(NET_ARENA_ALIGN)));
static int faults;

static void expect(const char *what, size_t at, int got, int want) {
  if (got != want && ++faults < 10)
    printf("%s %zu: %d, not %d\n", what, at, got, want);
}

static void flip_all(unsigned char *w, size_t size) {
  for (size_t i = 0; i < size; i += i < 256 ? 1 : 997) {
    w[i] ^= 1u << i % 8;
    expect("byte", i, net_load(w, size), DNN_E_WEIGHTS);
#ifdef CHECKED
    expect("run with byte", i, net_run(x, y, w, arena), DNN_E_WEIGHTS);
#else
    if (i < 28)
      expect("run with byte", i, net_run(x, y, w, arena), DNN_E_WEIGHTS);
#endif
    w[i] ^= 1u << i % 8;
  }
}

/* One line of a bus, which two words have wrong. */
static void flip_pairs(unsigned char *w, size_t size) {
  for (unsigned bit = 0; bit < 32; bit++) {
    size_t a = 256 + bit / 8, b = size / 2 / 4 * 4 + bit / 8;
    w[a] ^= 1u << bit % 8;
    w[b] ^= 1u << bit % 8;
    expect("bit of two words", bit, net_load(w, size), DNN_E_WEIGHTS);
    w[a] ^= 1u << bit % 8;
    w[b] ^= 1u << bit % 8;
  }
}

int main(int argc, char **argv) {
  FILE *f = argc > 1 ? fopen(argv[1], "rb") : NULL;
  unsigned char *w = aligned_alloc(NET_BLOB_ALIGN, NET_BLOB_SIZE + 64);
  size_t size = f && w ? fread(w, 1, NET_BLOB_SIZE + 1, f) : 0;
  expect("size", 0, (int)size, NET_BLOB_SIZE);
  expect("load", 0, net_load(w, size), DNN_OK);
  memset(arena, 7, sizeof arena);
  expect("run", 0, net_run(x, y, w, arena), DNN_OK);
  size_t used = 0;
  for (size_t i = 0; i < sizeof arena; i++)
    used += arena[i] != 0;
  printf("arena %s\n", used ? "used" : "zero");
  flip_all(w, size);
  flip_pairs(w, size);
  for (size_t n = 0; n < 100; n++)
    expect("short", n, net_load(w, n), DNN_E_WEIGHTS);
  expect("short", size - 1, net_load(w, size - 1), DNN_E_WEIGHTS);
  expect("long", size + 1, net_load(w, size + 1), DNN_E_WEIGHTS);
  expect("most", 0, net_load(w, (size_t)-1), DNN_E_WEIGHTS);
  expect("null", 0, net_load(NULL, size), DNN_E_WEIGHTS);
  expect("run with null", 0, net_run(x, y, NULL, arena), DNN_E_WEIGHTS);
  expect("run with zeroes", 0, net_run(x, y, arena, arena), DNN_E_WEIGHTS);
  memmove(w + 8, w, size);
  expect("misaligned", 8, net_load(w + 8, size), DNN_E_WEIGHTS);
  printf("%d faults\n", faults);
  return faults != 0;
}
