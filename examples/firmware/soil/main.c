/* main.c - follows the moisture of soil through three days, an hour a call: what the
 * LSTM knows of the hours before is its state. */
#include "board.h"
#include "soil.h"

enum { HOURS = 72, WATER_BELOW = 25 };
FILE_BYTES(readings, "rain.bin", 0, 576);
static unsigned char arena[SOIL_ARENA_SIZE + 1]
    __attribute__((aligned(SOIL_ARENA_ALIGN)));
static unsigned char state[SOIL_STATE_SIZE]
    __attribute__((aligned(SOIL_STATE_ALIGN)));

int main(void) {
  static int32_t percent[1][1];
  int dry = 0;
  soil_reset(state);
  for (int hour = 0; hour < HOURS; hour++) {
    if (soil_run((const void *)(readings + 8 * hour), percent, state, arena))
      return 1;
    if (hour % 12 != 11)
      continue;
    put_text("hour ");
    put_number(hour + 1);
    put_text(": ");
    put_number(percent[0][0]);
    dry = percent[0][0] < WATER_BELOW;
    put_text(dry ? " %, water\n" : " %\n");
  }
  return !dry;
}
