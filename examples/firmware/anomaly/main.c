/* main.c - scores two windows of vibration; over LIMIT the machine has
 * a fault. */
#include "anomaly.h"
#include "board.h"

enum { LIMIT = 100 };
FILE_BYTES(normal, "normal.bin", 0, 256);
FILE_BYTES(fault, "fault.bin", 0, 256);

static int judge(const char *what, const char *window) {
  static unsigned char arena[ANOMALY_ARENA_SIZE + 1]
      __attribute__((aligned(ANOMALY_ARENA_ALIGN)));
  static int32_t score[1][1];
  int status = anomaly_run((const void *)window, score, arena);
  int bad = score[0][0] > LIMIT;
  put_text(what);
  put_text(": score ");
  put_number(score[0][0]);
  put_text(bad ? ", FAULT\n" : ", well\n");
  return status ? -1 : bad;
}

int main(void) {
  int well = judge("normal", normal), broken = judge("fault", fault);
  return well != 0 || broken != 1;
}
