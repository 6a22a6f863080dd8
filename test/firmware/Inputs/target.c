/* target.c - runs a model on a bare machine or under Linux without a C library,
 * and prints the bytes of its outputs and the stack it took. The model is known
 * by its description alone, so this one file serves all. */
#include "board.h"
#include "dnn.h"
#include "model.h"

/* The inputs' bytes, one after the other. */
static const unsigned char input[] __attribute__((aligned(64))) = {
#include "input.inc"
};
#ifndef OUTPUT
#ifdef __linux__
#define OUTPUT (1 << 24)
#else
#define OUTPUT (1 << 18)
#endif
#endif
/* Calls, from stacks that begin 8 bytes apart. */
#ifndef SHIFTS
#define SHIFTS 1
#endif
static unsigned char output[OUTPUT] __attribute__((aligned(64)));
static unsigned char state[OUTPUT / 2] __attribute__((aligned(64)));
static unsigned char arena[MODEL_ARENA_SIZE + 1]
    __attribute__((aligned(MODEL_ARENA_ALIGN)));

#if defined(__riscv)
#define STACK_POINTER(p) __asm__ volatile("mv %0, sp" : "=r"(p))
#elif defined(__x86_64__)
#define STACK_POINTER(p) __asm__ volatile("mov %%rsp, %0" : "=r"(p))
#else
#define STACK_POINTER(p) __asm__ volatile("mov %0, sp" : "=r"(p))
#endif

/* The object goes with programs that pass floats, in whatever registers, and
 * have enumerations of whatever width. */
enum colour { RED, GREEN };
float mix(enum colour c, float a, float b);
float mix(enum colour c, float a, float b) { return c == RED ? a : b; }

/* ---- The model ---- */

static size_t element(int type) {
  switch (type) { /* as ONNX numbers them */
  case 2:
  case 3:
  case 8:
  case 9:
    return 1;
  case 4:
  case 5:
  case 10:
  case 16:
    return 2;
  case 7:
  case 11:
  case 13:
    return 8;
  default:
    return type > 16 ? 1 : 4;
  }
}

static size_t bytes(const struct dnn_tensor *t) {
  size_t n = element(t->type);
  for (int i = 0; i < t->rank; i++)
    n *= (size_t)t->dim[i];
  return n;
}

enum { ARGUMENTS = 32 };

/* More arguments than a function has are ignored on these machines. */
static int call(void *const *p) {
#define FOUR void *, void *, void *, void *
  typedef int run(FOUR, FOUR, FOUR, FOUR, FOUR, FOUR, FOUR, FOUR);
  union {
    int (*model)(void);
    run *run;
  } u = {(int (*)(void))model_run};
#define PASS(i) p[i], p[i + 1], p[i + 2], p[i + 3]
  return u.run(PASS(0), PASS(4), PASS(8), PASS(12), PASS(16), PASS(20),
               PASS(24), PASS(28));
}

/* What is painted: more than the stack that the model says. */
enum { PAINT = MODEL_STACK_SIZE + 256, COLOUR = 0xa5 };

/* Calls with the stack below painted; *used is how much lost its colour. */
__attribute__((noinline)) static int call_painted(void *const *p,
                                                  unsigned *used) {
  volatile unsigned char *sp;
  STACK_POINTER(sp);
  for (int i = 1; i <= PAINT; i++)
    sp[-i] = COLOUR;
  int result = call(p);
  unsigned i = PAINT;
  while (i && sp[-(long)i] == COLOUR)
    i--;
  *used = i > *used ? i : *used;
  return result;
}

/* The same where the stack begins `shift` bytes lower: what aligns its frame
 * takes more or less then. */
__attribute__((noinline)) static int call_shifted(void *const *p, size_t shift,
                                                  unsigned *used) {
  volatile unsigned char *below = __builtin_alloca(shift + 1);
  below[0] = 0;
  return call_painted(p, used);
}

static void copy(unsigned char *to, const unsigned char *from, size_t n) {
  volatile unsigned char *p = to; /* or it is a call of memcpy */
  for (size_t i = 0; i < n; i++)
    p[i] = from[i];
}

/* Where each input and output lies in its array, and in *size what they take. */
static void place(const struct dnn_tensor *t, unsigned n, size_t *at,
                  size_t *size) {
  *size = 0;
  for (unsigned i = 0; i < n; i++) {
    at[i] = *size;
    *size += (bytes(&t[i]) + 63) / 64 * 64;
  }
}

/* Copies what is state between inputs or outputs and the state; its bytes. */
static size_t move_state(const struct dnn_model *m, const struct dnn_tensor *y,
                         const size_t *in, const size_t *out, int back) {
  const struct dnn_sizes *s = (const void *)(m + 1);
  size_t at = 0;
  for (unsigned i = 0; i < m->noutputs; i++) {
    size_t n = bytes(&y[i]);
    if (!y[i].state || at + n > sizeof state)
      continue;
    if (back)
      copy(output + out[i], state + at, n);
    else
      copy(state + at, input + in[y[i].state - 1], n);
    at = (at + n + s->state_align - 1) & ~(size_t)(s->state_align - 1);
  }
  return at;
}

int main(void) {
  const struct dnn_model *m = &model_model;
  const struct dnn_tensor *t = (const void *)((const char *)m + m->tensors_at);
  const struct dnn_tensor *y = t + m->ninputs;
  static void *p[ARGUMENTS];
  static size_t in[ARGUMENTS], out[ARGUMENTS];
  size_t at = 0;
  unsigned used = 0, n = 0;
  int result = 0;
  if (m->ninputs + m->noutputs + 2 > ARGUMENTS)
    return 1;
  place(t, m->ninputs, in, &at);
  place(y, m->noutputs, out, &at);
  if (at > sizeof output)
    return 1;
  for (unsigned i = 0; i < m->ninputs; i++) {
    int kept = 0;
    for (unsigned k = 0; k < m->noutputs; k++)
      kept |= y[k].state == i + 1;
    if (!kept)
      p[n++] = (void *)(size_t)(input + in[i]);
  }
  for (unsigned i = 0; i < m->noutputs; i++)
    if (!y[i].state)
      p[n++] = output + out[i];
  if (move_state(m, y, in, out, 0))
    p[n++] = state;
  p[n] = MODEL_ARENA_SIZE ? arena : NULL;
  for (size_t i = 0; i < SHIFTS; i++) {
    move_state(m, y, in, out, 0);
    result |= call_shifted(p, i * 8, &used);
  }
  move_state(m, y, in, out, 1);
  put_text("status ");
  put_number(result);
  put_text("\nstack ");
  put_number((long)used);
  put_text(used <= MODEL_STACK_SIZE ? " within " : " over ");
  put_number(MODEL_STACK_SIZE);
  for (size_t i = 0; i < at; i++) {
    static const char digit[] = "0123456789abcdef";
    char text[] = {digit[output[i] >> 4], digit[output[i] & 15], 0};
    if (i % 32 == 0)
      put_text("\nbytes ");
    put_text(text);
  }
  put_text("\n");
  return result;
}
