/* parallel.c - with --threads=N, the loop of each kernel that threads share. A
 * kernel so short that waking threads costs more than they save stays on one.
 * The loop is the outermost whose tiles share out evenly. It goes over the
 * result, so a fold is never cut, and tiles stay what they are: results have
 * the same bits for any number of threads. A `par` written by hand is kept.
 *
 * before:  %y = kernel {vec=16, loops=[{dims=[1,2], tile=6}, {dims=[3],
 * tile=64}]} after:   %y = kernel {vec=16, loops=[{dims=[1,2], tile=6, par=1},
 * ... */
#include "ir/loops.h"
#include "ir/nest.h"
#include "passes/cycles.h"
#include "passes/edit.h"

/* To wake threads and to wait for them takes some 1 to 10 us, which is to be a
 * small part of the kernel: 10 us at 3 GHz. */
static const double LEAST_CYCLES = 30000;
/* Bytes a cycle that one core reads from caches behind the first. */
static const double CACHE_BYTES = 16;
/* Share of the threads' time that is spent working, at least. */
static const double EVEN = 0.9;

/* ---- How long a kernel takes ---- */

/* An estimate that has to be right within a factor of two or so. */
static double kernel_cycles(struct pass_env *env, const struct ir_op *kernel) {
  double cycles = 0;
  double bytes = (double)ir_type_bytes(ir_result(kernel)->type);
  for (const struct ir_op *op = kernel->region[0]->first; op->next;
       op = op->next) {
    cycles += cycles_of(env, op);
    for (unsigned i = 0; i < op->noperands; i++) {
      const struct ir_value *x = ir_arg(op, i);
      if (!x->def || x->def->block != kernel->region[0])
        bytes += (double)ir_type_bytes(x->type);
    }
  }
  return cycles + bytes / CACHE_BYTES;
}

/* ---- Which dimension ---- */

/* The part of the threads' time that is spent working when they share n tiles.
 */
static double evenness(int64_t n, int64_t threads) {
  return (double)n / (double)(dn_div_ceil(n, threads) * threads);
}

static int choose_loop(const struct pass_env *env, const struct ir_op *kernel,
                       const struct ir_loops *loops) {
  uint64_t within = nest_whole_dims(kernel); /* in one piece */
  bool scalable = ir_get_int(kernel, "scalable");
  double best = 0;
  int loop = -1;
  for (int i = 0; i < loops->n && best < EVEN; i++) {
    const struct ir_loop *l = &loops->loop[i];
    int64_t units = loops_units(l);
    double even = evenness(units, env->threads);
    uint64_t dims = (UINT64_C(2) << l->last) - (UINT64_C(1) << l->first);
    if (units < 2 || even <= best || within & dims ||
        (scalable && i == loops_last(loops)))
      continue;
    best = even;
    loop = i;
  }
  return loop;
}

static bool is_shared(const struct ir_loops *loops) {
  for (int i = 0; i < loops->n; i++)
    if (loops->loop[i].par)
      return true;
  return false;
}

int64_t pass_parallel(struct pass_env *env, struct ir_module *m) {
  int64_t shared = 0;
  if (env->threads < 2)
    return 0;
  for (struct ir_func *f = m->funcs; f; f = f->next)
    for (struct ir_op *op = f->body->first; op; op = ir_next_outside(op)) {
      struct ir_loops loops;
      if (op->code != IR_KERNEL || loops_read(op, &loops) ||
          is_shared(&loops) || kernel_cycles(env, op) < LEAST_CYCLES)
        continue;
      int loop = choose_loop(env, op, &loops);
      if (loop < 0)
        continue;
      loops.loop[loop].par = true;
      loops_write(op, &loops);
      shared++;
    }
  return shared;
}
