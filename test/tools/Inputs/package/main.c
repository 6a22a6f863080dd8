/* main.c - runs the models of the library. */
#include "runtime/dnn.h"

#include <stdio.h>

int run_nets(void);

int main(void) {
  dnn_set_threads(2);
  int status = run_nets();
  printf("status %d\n", status);
  return status;
}
