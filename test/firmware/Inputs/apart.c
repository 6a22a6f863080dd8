/* apart.c - loads weights from flash, runs, and has a copy with a changed byte
 * refused. */
#include "board.h"
#include "net.h"

FILE_BYTES(weights, "net.bin", 0, 358656);
static char copy[NET_BLOB_SIZE] __attribute__((aligned(NET_BLOB_ALIGN)));
static unsigned char arena[NET_ARENA_SIZE]
    __attribute__((aligned(NET_ARENA_ALIGN)));
static float x[1][784], y[1][10];

static void say(const char *what, int status) {
  put_text(what);
  put_number(status);
}

int main(void) {
  say("load ", net_load(weights, NET_BLOB_SIZE));
  say(", run ", net_run(x, y, weights, arena));
  for (unsigned i = 0; i < NET_BLOB_SIZE; i++)
    copy[i] = weights[i];
  copy[NET_BLOB_SIZE / 2] ^= 1;
  say(", damaged ", net_load(copy, NET_BLOB_SIZE));
  say(", run ", net_run(x, y, copy, arena));
  say(", nowhere ", net_run(x, y, arena, arena));
  int left = 0;
  for (unsigned i = 0; i < NET_ARENA_SIZE; i++)
    left += arena[i] != 0;
  say(", arena ", left);
  put_text("\n");
  return 0;
}
