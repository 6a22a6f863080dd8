/* host.c - this machine's part of a test on another one:
 *
 *   host inputs DIR   writes random inputs: DIR/NAME.bin, DIR/input.inc for
 *                     target.c, and DIR/args for dnnc-run
 *   host check DIR < TEXT   compares what target.c printed with DIR/NAME.npy */
#include "dnn.h"
#include "model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct dnn_model *const m = &model_model;

static const struct dnn_tensor *tensor(unsigned i) {
  return (const struct dnn_tensor *)(const void *)((const char *)m +
                                                   m->tensors_at) +
         i;
}
static const char *name(const struct dnn_tensor *t) {
  return (const char *)m + t->name_at;
}
static size_t count(const struct dnn_tensor *t) {
  size_t n = 1;
  for (int i = 0; i < t->rank; i++)
    n *= (size_t)t->dim[i];
  return n;
}
static size_t element(const struct dnn_tensor *t) {
  static const unsigned char size[] = {0, 4, 1, 1, 2, 2, 4, 8, 0,
                                       1, 2, 8, 4, 8, 0, 0, 2};
  return t->type < sizeof size ? size[t->type] : 1;
}

enum { PATH = 1000 };

/* DIR/FILE, named as dnnc-run names files of outputs. */
static void make_path(char *path, const char *dir, const char *file,
                      const char *end) {
  size_t at = strlen(dir) + 1;
  snprintf(path, PATH, "%s/%s%s", dir, file, end);
  for (; at < strlen(path); at++)
    path[at] = path[at] == '/' ? '_' : path[at];
}

static FILE *open_file(const char *dir, const char *file, const char *end,
                       const char *mode) {
  char path[PATH];
  make_path(path, dir, file, end);
  FILE *f = fopen(path, mode);
  if (!f) {
    perror(path);
    exit(2);
  }
  return f;
}

static void make_inputs(const char *dir) {
  FILE *inc = open_file(dir, "input", ".inc", "w");
  FILE *args = open_file(dir, "args", "", "w");
  unsigned long long seed = 1;
  for (unsigned i = 0; i < m->ninputs; i++) {
    const struct dnn_tensor *t = tensor(i);
    FILE *bin = open_file(dir, name(t), ".bin", "wb");
    size_t size = count(t) * element(t);
    unsigned char *p = calloc(1, size + 64);
    for (size_t k = 0; k < count(t); k++) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      float v = (float)(int)(seed >> 40) / (1 << 23) - 1;
      if (t->type == 1)
        memcpy(p + 4 * k, &v, 4);
      else
        p[k * element(t)] = (unsigned char)(seed >> 60);
    }
    fwrite(p, 1, size, bin);
    fclose(bin);
    for (size_t k = 0; k < (size + 63) / 64 * 64; k++)
      fprintf(inc, "%u,%s", p[k], k % 32 == 31 ? "\n" : "");
    char path[PATH];
    make_path(path, dir, name(t), ".bin");
    fprintf(args, "--input=%s=%s ", name(t), path);
    free(p);
  }
  fclose(inc);
  fclose(args);
}

/* The "bytes" lines of the standard input; the "stack" line goes through. */
static size_t read_bytes(unsigned char *out, size_t most) {
  char line[200];
  size_t n = 0;
  unsigned v;
  while (fgets(line, sizeof line, stdin)) {
    if (strncmp(line, "bytes ", 6) != 0) {
      fputs(line, stdout);
      continue;
    }
    for (char *p = line + 6; sscanf(p, "%2x", &v) == 1 && n < most; p += 2)
      out[n++] = (unsigned char)v;
  }
  return n;
}

/* Element k as a number, of the types that are rounded. */
static double number(const struct dnn_tensor *t, const unsigned char *p,
                     size_t k) {
  float f;
  double d;
  if (t->type == 11) {
    memcpy(&d, p + 8 * k, 8);
    return d;
  }
  memcpy(&f, p + 4 * k, 4);
  return (double)f;
}

static int same(const struct dnn_tensor *t, const unsigned char *got,
                const unsigned char *want, size_t k, double *worst) {
  if (t->type != 1 && t->type != 11)
    return !memcmp(got + k * element(t), want + k * element(t), element(t));
  double a = number(t, got, k), b = number(t, want, k), diff = fabs(a - b);
  if (isnan(a) || isnan(b))
    return isnan(a) && isnan(b);
  if (a == b) /* infinities too */
    return 1;
  *worst = fmax(*worst, diff);
  return diff <= 1e-5 + 1e-4 * fabs(b);
}

static int check(const char *dir) {
  static unsigned char got[1 << 24], want[1 << 24];
  size_t n = read_bytes(got, sizeof got), at = 0;
  double worst = 0;
  int ok = 1;
  for (unsigned i = m->ninputs; i < m->ninputs + m->noutputs; i++) {
    const struct dnn_tensor *t = tensor(i);
    size_t size = count(t) * element(t);
    FILE *npy = open_file(dir, name(t), ".npy", "rb");
    fseek(npy, -(long)size, SEEK_END);
    ok &= at + size <= n && fread(want, 1, size, npy) == size;
    fclose(npy);
    for (size_t k = 0; ok && k < count(t); k++)
      if (!same(t, got + at, want, k, &worst)) {
        printf("%s differs at %zu\n", name(t), k);
        ok = 0;
      }
    at += (size + 63) / 64 * 64;
  }
  printf("%s max_abs=%.2g\n", ok ? "PASS" : "FAIL", worst);
  return !ok;
}

int main(int argc, char **argv) {
  if (argc == 3 && !strcmp(argv[1], "inputs"))
    make_inputs(argv[2]);
  else if (argc == 3 && !strcmp(argv[1], "check"))
    return check(argv[2]);
  return argc != 3;
}
