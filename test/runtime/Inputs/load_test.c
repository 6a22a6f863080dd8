/* Loads a shared library with a model, runs it, and closes it, twice: threads
 * that it made are gone then. */
#define _DEFAULT_SOURCE /* usleep */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static float in[256 * 256], out[256 * 256];

/* Of this process. */
static int count_threads(void) {
  char line[200];
  int n = 0;
  FILE *f = fopen("/proc/self/status", "r");
  while (f && fgets(line, sizeof line, f))
    if (sscanf(line, "Threads: %d", &n) == 1)
      break;
  if (f)
    fclose(f);
  return n;
}

int main(int argc, char **argv) {
  int before = 0, after = 0, ok = 1;
  (void)argc;
  for (int i = 0; i < 256 * 256; i++)
    in[i] = (float)i;
  for (int round = 0; round < 2; round++) {
    int (*run)(const float *, float *, void *);
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    void *symbol = library ? dlsym(library, "net_run") : NULL;
    if (!symbol)
      return puts(dlerror()), 1;
    memcpy(&run, &symbol, sizeof run);
    memset(out, 0, sizeof out);
    ok &= run(in, out, NULL) == 0;
    for (int i = 0; i < 256 * 256; i++)
      ok &= out[i] == in[i] * 2;
    before = count_threads();
    dlclose(library);
    after = count_threads();
    /* The kernel counts one that was joined until it is gone. */
    for (int wait = 0; after > 1 && wait < 5000; wait++) {
      usleep(1000);
      after = count_threads();
    }
  }
  printf("%d threads, then %d: %s\n", before, after, ok ? "PASS" : "FAIL");
  return !ok;
}
