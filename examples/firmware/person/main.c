/* main.c - says whether there is a person in two pictures of 96x96 grey values:
 * TFLite Micro's example network, in integers from end to end. */
#include "board.h"
#include "person.h"

FILE_BYTES(person, "0.bin", 0, 9216);
FILE_BYTES(nobody, "1.bin", 0, 9216);
static unsigned char arena[PERSON_ARENA_SIZE]
    __attribute__((aligned(PERSON_ARENA_ALIGN)));

static int look(const char *what, const char *picture) {
  static int8_t score[1][2]; /* no person, a person */
  if (person_run((const void *)picture, score, arena))
    return -1;
  put_text(what);
  put_text(score[0][1] > score[0][0] ? ": a person, " : ": nobody, ");
  put_number(score[0][1]);
  put_text(" to ");
  put_number(score[0][0]);
  put_text("\n");
  return score[0][1];
}

int main(void) {
  /* The scores of the model's authors. */
  return look("first", person) != 113 || look("second", nobody) != -57;
}
