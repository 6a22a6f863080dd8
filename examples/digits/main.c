/* main.c - reads handwritten digits with the network that dnnc compiled. Shows
 * each picture in the terminal with the network's answer below it.
 *
 *   digits PICTURES.npy [LABELS.npy] */
#include "digits.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SIZE = 8, ACROSS = 8, PICTURES = 64 };

static float picture[PICTURES][1][1][SIZE][SIZE];
static unsigned char label[PICTURES];

/* The data of a .npy file are its last bytes. */
static int load(const char *path, void *to, long size) {
  FILE *f = fopen(path, "rb");
  int ok = f && fseek(f, -size, SEEK_END) == 0 &&
           fread(to, 1, (size_t)size, f) == (size_t)size;
  if (f)
    fclose(f);
  if (!ok)
    fprintf(stderr, "cannot read %ld bytes from %s\n", size, path);
  return ok;
}

/* Two rows of a picture are one row of characters. On a terminal: upper half
 * blocks, the upper pixel as foreground and the lower one as background, in 24
 * greys; elsewhere a character as dark as both together. */
static void draw(int first, int row, int colour) {
  for (int i = first; i < first + ACROSS; i++) {
    for (int x = 0; x < SIZE; x++) {
      float upper = picture[i][0][0][row][x];
      float lower = picture[i][0][0][row + 1][x];
      if (colour)
        printf("\033[38;5;%d;48;5;%dm\xe2\x96\x80", 232 + (int)(upper * 23),
               232 + (int)(lower * 23));
      else
        putchar(" .:-=+*#@"[(int)((upper + lower) * 4)]);
    }
    printf(colour ? "\033[0m " : " ");
  }
  printf("\n");
}

int main(int argc, char **argv) {
  static char arena[DIGITS_ARENA_SIZE + 1] __attribute__((aligned(64)));
  int right = 0, labelled = argc > 2;
  if (argc < 2 || !load(argv[1], picture, sizeof picture) ||
      (labelled && !load(argv[2], label, sizeof label)))
    return EXIT_FAILURE;
  for (int first = 0; first < PICTURES; first += ACROSS) {
    char answers[ACROSS * 16 + 1], *end = answers;
    for (int i = first; i < first + ACROSS; i++) {
      float score[1][10];
      int best = 0;
      if (digits_run(picture[i], score, arena))
        return EXIT_FAILURE;
      for (int k = 1; k < 10; k++)
        if (score[0][k] > score[0][best])
          best = k;
      int ok = !labelled || best == label[i];
      right += labelled && ok;
      end += sprintf(end, "%d %3.0f%% %c  ", best, 100 * (double)score[0][best],
                     ok ? ' ' : 'X');
    }
    if (first < 2 * ACROSS) {
      for (int row = 0; row < SIZE; row += 2)
        draw(first, row, isatty(STDOUT_FILENO));
      printf("%s\n\n", answers);
    }
  }
  if (labelled)
    printf("%d of %d right\n", right, PICTURES);
  return EXIT_SUCCESS;
}
