/* main.c - tells a story: each step gives the network the last token and takes
 * the likeliest next one. What the network remembers is in `state`. */
#include "llama.h"
#include "tokens.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BEGIN = 1, VOCAB = sizeof tokens / sizeof *tokens };

static float logits[1][VOCAB];
static unsigned char state[LLAMA_STATE_SIZE]
    __attribute__((aligned(LLAMA_STATE_ALIGN)));
static unsigned char arena[LLAMA_ARENA_SIZE]
    __attribute__((aligned(LLAMA_ARENA_ALIGN)));

static int likeliest(void) {
  int best = 0;
  for (int i = 1; i < VOCAB; i++)
    if (logits[0][i] > logits[0][best])
      best = i;
  return best;
}

int main(int argc, char **argv) {
  int most = argc > 1 ? atoi(argv[1]) : 256, steps = 0;
  int32_t token[1] = {BEGIN};
  clock_t start = clock();
  llama_reset(state);
  while (steps < most) {
    int status = llama_run(token, logits, state, arena);
    if (status)
      return status;
    int first = token[0] == BEGIN;
    token[0] = likeliest();
    if (token[0] == BEGIN)
      break;
    const char *piece = tokens[token[0]];
    fputs(piece + (first && *piece == ' '), stdout);
    steps++;
  }
  double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
  fprintf(stderr, "\n%d tokens, %.0f a second\n", steps, steps / seconds);
  return 0;
}
