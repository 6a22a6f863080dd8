/* main.c - names the word in eight spectrograms of a second of speech: the keyword
 * network of MLPerf Tiny, in integers from end to end. */
#include "board.h"
#include "keyword.h"

enum { BYTES = 49 * 10, WORDS = 12 };
FILE_BYTES(spectrograms, "kws01_inputs_i8.npy", 128, 3920);
FILE_BYTES(labels, "kws01_labels.npy", 128, 32);
FILE_BYTES(reference, "kws01_ref_outputs_i8.npy", 128, 96);
static const char *const words[] = {"down", "go",  "left",    "no",
                                    "off",  "on",  "right",   "stop",
                                    "up",   "yes", "silence", "unknown"};
static unsigned char arena[KEYWORD_ARENA_SIZE]
    __attribute__((aligned(KEYWORD_ARENA_ALIGN)));

int main(void) {
  static int8_t score[1][WORDS];
  int right = 0, same = 1;
  for (int i = 0; i < 8; i++) {
    int best = 0;
    if (keyword_run((const void *)(spectrograms + BYTES * i), score, arena))
      return 2;
    for (int k = 0; k < WORDS; k++) {
      best = score[0][k] > score[0][best] ? k : best;
      same &= score[0][k] == (int8_t)reference[WORDS * i + k];
    }
    right += best == labels[4 * i];
    put_text(words[best]);
    put_text(i < 7 ? " " : "\n");
  }
  put_number(right);
  put_text(same ? " of 8 right, scores as published\n" : " of 8 right\n");
  return right < 6 || !same;
}
