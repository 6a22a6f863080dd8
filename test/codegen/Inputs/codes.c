#include "net.h"

static float image[1][784], result[1][10];
static unsigned char arena[MLP_ARENA_SIZE + 1]
    __attribute__((aligned(MLP_ARENA_ALIGN)));

int main(void) {
  return !(mlp_run(image, result, arena) == DNN_OK &&
           mlp_run(image, result, NULL) == DNN_E_ARENA &&
           mlp_run(image, result, arena + 1) == DNN_E_ARENA &&
           mlp_run(NULL, result, arena) == DNN_E_NULL &&
           mlp_run(image, NULL, arena) == DNN_E_NULL);
}
