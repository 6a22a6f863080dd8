/* parallel.c - with --threads=N, the loop of each kernel that threads share. A
 * kernel so short that waking threads costs more than they save stays on one.
 * The loop is the outermost, or one whose tiles share out more evenly, or with
 * which more of what a thread reads is its own: rows of activations, which it
 * made, or columns of weights. It goes over the result, so a fold is never cut,
 * and tiles stay what they are: results have the same bits for any number of
 * threads. A `par` written by hand is kept.
 *
 * Turns of a scan that carries nothing, as stripes are, threads share if each
 * gets as many; the kernels in it are then one thread's. The plan gives each
 * turn of the outer scan memory of its own.
 *
 * before:  %y = kernel {vec=16, loops=[{dims=[1,2], tile=6}]}
 *          %z = scan %x {states=0} : f32[16,32,64] do (%r: f32[32,64]) ..
 * after:   %y = kernel {vec=16, loops=[{dims=[1,2], tile=6, par=1}]}
 *          %p = reshape %x {shape=[2,8,32,64]}
 *          %q = scan %p {states=0, par=1} : f32[2,8,32,64] do (%s: ..) {
 *            %z = scan %s {states=0} : f32[8,32,64] do (%r: f32[32,64]) .. */
#include "ir/loops.h"
#include "ir/nest.h"
#include "passes/cycles.h"
#include "passes/edit.h"

#include "ir/place.h"
#include "ir/size.h"

#include <assert.h>
#include <string.h>

/* Least cycles of a kernel that threads share. Starting and joining threads
 * takes 1 to 10 us, so it must run longer: 10 us at 3 GHz. */
static const double LEAST_CYCLES = 30000;
/* Bytes a cycle that one core reads from caches behind the first. */
static const double CACHE_BYTES = 16;
/* Share of the threads' time that is spent working, which is as good as all. */
static const double EVEN = 0.9;
/* Bytes a cycle of what all threads read: activations, which are in the cache of
 * the one that made them, and constants. */
static const double OTHERS_BYTES = 3, SHARED_BYTES = 6;

/* ---- How long a kernel takes ---- */

/* Products that an instruction of the kernel's takes at once in a lane: those of a
 * dot, or of matrix registers, whose loads take most of their time. */
static double products_at_once(struct pass_env *env, const struct ir_op *kernel,
                               const struct ir_op *op) {
  enum { MATRIX = 4 }; /* times as fast as the dot */
  if (ir_ops[op->code].cls != IR_CONTRACT || ir_get_int(kernel, "dot") < 2)
    return 1;
  struct ir_dot dot = ir_dot_of(env->target, ir_arg(op, 1)->type->dtype);
  if (dot.k != ir_get_int(kernel, "dot"))
    return 1;
  return (double)dot.k / (double)dn_max(dot.step, 1) *
         (ir_get_int(kernel, "matrix") ? MATRIX : 1);
}

/* An estimate that has to be right within a factor of two or so. */
static double kernel_cycles(struct pass_env *env, const struct ir_op *kernel) {
  double cycles = 0;
  double bytes = (double)ir_type_bytes(ir_result(kernel)->type);
  for (const struct ir_op *op = kernel->region[0]->first; op->next;
       op = op->next) {
    cycles += cycles_of(env, op) / products_at_once(env, kernel, op);
    for (unsigned i = 0; i < op->noperands; i++) {
      const struct ir_value *x = ir_arg(op, i);
      if (!x->def || x->def->block != kernel->region[0])
        bytes += (double)ir_type_bytes(x->type);
    }
  }
  return cycles + bytes / CACHE_BYTES;
}

/* ---- Which dimension ---- */

/* The part of the threads' time that is spent working when they share the loop's
 * tiles, the last of which may be less. */
static double evenness(const struct ir_loop *l, int64_t threads) {
  int64_t most = dn_div_ceil(loops_units(l), threads);
  int64_t all = l->ncuts ? loops_units(l) : l->extent;
  if (!l->ncuts)
    most = dn_min(most * l->tile, l->extent);
  double even = (double)all / (double)(most * threads);
  return even < EVEN ? even : 1;
}

/* The contraction of a kernel; `parts` is the dimension that its results have and
 * those of the kernel have not, or -1. */
struct product {
  const struct nest *n;
  int parts;
};

/* The access reads other elements at each index of the loop. */
static bool moves(const struct product *p, const struct nest_access *a,
                  const struct ir_loop *l) {
  for (int dim = l->first; dim <= l->last; dim++) {
    int iter = nest_dim_iter(p->n, dim + (p->parts >= 0 && dim >= p->parts));
    for (int d = 0; iter >= 0 && d < a->rank && !a->flat; d++)
      if (a->idx[d].coef[iter])
        return true;
  }
  return a->flat;
}

static bool is_constant(const struct ir_value *v) {
  while (v->def && ir_ops[v->def->code].cls == IR_MOVE)
    v = ir_arg(v->def, 0);
  return v->data;
}

/* Cycles in which a thread reads what it shares with the others when they share
 * the loop: operands of the contraction that do not move with it. */
static double sharing_cycles(const struct pass_env *env,
                             const struct product *p, const struct ir_loop *l) {
  const struct nest *n = p->n;
  double cycles = 0, others = 1 - 1 / (double)env->opts->threads;
  for (int i = 0; n && i < n->naccesses; i++) {
    const struct ir_value *x = ir_arg(n->op, (unsigned)n->access[i].operand);
    if (!moves(p, &n->access[i], l))
      cycles += (double)ir_type_bytes(x->type) * others /
                (is_constant(x) ? SHARED_BYTES : OTHERS_BYTES);
  }
  return cycles;
}

static struct product product_of(struct dn_arena *tmp,
                                 const struct ir_op *kernel) {
  struct product p;
  p.n = nest_parts(tmp, kernel, &p.parts);
  for (const struct ir_op *op = kernel->region[0]->first; op->next && !p.n;
       op = op->next)
    if (ir_ops[op->code].cls == IR_CONTRACT)
      p.n = nest_build(tmp, op);
  return p;
}

/* The outermost loop but for one that takes clearly less time. */
static int choose_loop(struct pass_env *env, const struct ir_op *kernel,
                       const struct ir_loops *loops) {
  enum { CLEARLY = 95 };
  struct dn_arena *tmp = dn_arena_new(env->ctx);
  struct product product = product_of(tmp, kernel);
  uint64_t within = nest_whole_dims(kernel); /* in one piece */
  bool scalable = ir_get_int(kernel, "scalable");
  double all = kernel_cycles(env, kernel), best = 0;
  int loop = -1;
  for (int i = 0; i < loops->n; i++) {
    const struct ir_loop *l = &loops->loop[i];
    int64_t threads = env->opts->threads;
    uint64_t dims = (UINT64_C(2) << l->last) - (UINT64_C(1) << l->first);
    if (loops_units(l) < 2 || within & dims ||
        (scalable && i == loops_last(loops)))
      continue;
    double time = all / ((double)threads * evenness(l, threads)) +
                  sharing_cycles(env, &product, l);
    if (loop >= 0 && time * 100 >= best * CLEARLY)
      continue;
    best = time;
    loop = i;
  }
  dn_arena_free(tmp);
  return loop;
}

static bool is_shared(const struct ir_loops *loops) {
  for (int i = 0; i < loops->n; i++)
    if (loops->loop[i].par)
      return true;
  return false;
}

/* ---- Blocks of rows ---- */

/* How sizes change once a scan of parts * turns is one of `parts` scans of `turns`.
 * A size that names the turn grows, and so does the work of later turns: they are
 * dealt to the parts one by one, so that each part has nearly as much to do. */
struct shared_turns {
  int64_t parts, turns;
  bool *differ; /* set where a size names the turn */
};

static const struct ir_size *
shared_size(struct dn_ctx *ctx, const struct ir_size *s, const void *user) {
  const struct shared_turns *t = user;
  struct ir_size r = *s;
  for (int i = 0; i < s->n; i++) {
    const struct ir_param *by = s->term[i].by;
    int depth = ir_param_depth(by);
    assert(s->term[i].and == NULL && "stripe_cut.c makes sums of turns");
    if (depth > 0)
      r.term[i].by = ir_param_of_turn(ctx, depth + 1, by->bound + 1);
    if (depth)
      continue;
    assert(r.n < IR_SIZE_TERMS && "one more for the outermost loop");
    *t->differ = true;
    r.term[r.n] = s->term[i];
    r.term[r.n].coef *= t->parts;
    r.term[r.n++].by = ir_param_of_turn(ctx, 1, t->turns);
    r.term[i].by = ir_param_of_turn(ctx, 0, t->parts);
  }
  return ir_size_make(ctx, &r);
}

/* Splits a scan into a scan of scans; iterations of the outer one run in
 * parallel. */
static void split_turns(struct ir_op *scan, int64_t parts) {
  int64_t turns = ir_result(scan)->type->dim[0] / parts;
  assert(parts > 1 && turns * parts == ir_result(scan)->type->dim[0] &&
         "share_turns(): each thread gets as many");
  bool differ = false;
  struct shared_turns shared = {parts, turns, &differ};
  edit_sizes(scan->region[0], shared_size, &shared);
  ir_set_attr(edit_cut_turns(scan, turns, differ), ir_int("par", 1));
}

static double region_cycles(struct pass_env *env, const struct ir_op *scan) {
  double cycles = 0;
  for (const struct ir_op *op = ir_next_inside(scan, scan); op;
       op = ir_next_inside(scan, op)) {
    double turns = 1;
    for (const struct ir_op *o = op->block->owner; o != scan;
         o = o->block->owner)
      turns *= ir_is_loop(o) ? (double)ir_max_turns(o) : 1;
    if (op->code == IR_KERNEL)
      cycles += turns * kernel_cycles(env, op);
  }
  return cycles * (double)ir_max_turns(scan);
}

/* There may be one loop more around it, and a dimension of what that goes
 * through and makes. */
static bool has_room(const struct ir_op *scan) {
  bool ok = ir_may_nest(scan) && ir_result(scan)->type->rank < IR_MAX_RANK;
  for (unsigned i = 0; i < scan->noperands; i++)
    ok &= ir_arg(scan, i)->type->rank < IR_MAX_RANK;
  return ok;
}

/* Turns that depend on no other, if all threads get as many of them. */
static bool share_turns(struct pass_env *env, struct ir_op *scan) {
  const struct ir_type *type =
      scan->nresults == 1 ? ir_result(scan)->type : NULL;
  if (scan->code != IR_SCAN || ir_num_carried(scan) || !type ||
      env->opts->max_ram || ir_turns_at_once(scan) > 1 ||
      type->dim[0] % env->opts->threads || ir_holds_loop(scan) ||
      !has_room(scan) || region_cycles(env, scan) < LEAST_CYCLES)
    return false;
  split_turns(scan, env->opts->threads);
  return true;
}

static bool runs_at_once(const struct ir_op *op) {
  for (; op; op = op->block->owner)
    if (ir_turns_at_once(op) > 1)
      return true;
  return false;
}

int64_t pass_parallel(struct pass_env *env, struct ir_module *m) {
  int64_t shared = 0;
  if (env->opts->threads < 2)
    return 0;
  for (struct ir_func *f = m->funcs; f; f = f->next) {
    struct ir_sizes sizes;
    bool sized = !ir_sizes_of(f, &sizes) || sizes.most.n;
    for (struct ir_op *op = f->body->first, *next; op && !sized; op = next) {
      next = op->next;
      shared += share_turns(env, op);
    }
    for (struct ir_op *op = f->body->first; op; op = ir_next_outside(op)) {
      struct ir_loops loops;
      if (op->code != IR_KERNEL || runs_at_once(op) || loops_read(op, &loops) ||
          is_shared(&loops) || kernel_cycles(env, op) < LEAST_CYCLES)
        continue;
      int loop = choose_loop(env, op, &loops);
      if (loop < 0)
        continue;
      loops.loop[loop].par = true;
      loops_write(op, &loops);
      shared++;
    }
  }
  return shared;
}
