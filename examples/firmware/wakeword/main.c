/* main.c - listens for a word: each frame of sound is a step of the network that
 * --stream has made (wakeword.h), which equals the network over the last 30 frames
 * (window.h, here to compare). */
#include "board.h"
#include "wakeword.h"
#include "window.h"

enum { FRAME = 40, FRAMES = 120, WINDOW = 30, WORDS = 3 };
FILE_BYTES(frames, "frames.bin", 0, 4800);
static const char *const heard[] = {"the word", "silence", "other words"};
static unsigned char state[WAKEWORD_STATE_SIZE]
    __attribute__((aligned(WAKEWORD_STATE_ALIGN)));
static unsigned char arena[WAKEWORD_ARENA_SIZE]
    __attribute__((aligned(WAKEWORD_ARENA_ALIGN)));

static int same_as_window(const char *last, const int8_t *score) {
  static unsigned char scratch[WINDOW_ARENA_SIZE]
      __attribute__((aligned(WINDOW_ARENA_ALIGN)));
  static int8_t whole[1][WORDS];
  const char *first = last + FRAME - WINDOW * FRAME;
  int status = window_run((const void *)first, whole, scratch);
  for (int k = 0; k < WORDS; k++)
    status |= whole[0][k] != score[k];
  return !status;
}

int main(void) {
  static int8_t score[1][WORDS];
  int last = -1, same = 0;
  wakeword_reset(state);
  for (int i = 0; i < FRAMES; i++) {
    const char *frame = frames + FRAME * i;
    int best = 0;
    if (wakeword_run((const void *)frame, score, state, arena))
      return 2;
    if (i < WINDOW - 1)
      continue;
    for (int k = 1; k < WORDS; k++)
      best = score[0][k] > score[0][best] ? k : best;
    same += same_as_window(frame, score[0]);
    if (best == last)
      continue;
    put_text("frame ");
    put_number(i);
    put_text(": ");
    put_text(heard[last = best]);
    put_text("\n");
  }
  put_number(same);
  put_text(" of 91 steps as the whole window\n");
  return same != FRAMES - WINDOW + 1;
}
