/* stripe.c - computes chains of kernels by blocks of rows of the last one, so
 * that what is made in between is never whole. Any kernels can be in a chain in
 * which rows depend on rows near them alone, as their nests say: attention,
 * whose scores are then those of some queries; convolutions and pooling, where
 * neighbouring blocks make some rows twice. Blocks that one code can compute
 * are a `scan` over windows of what they read; those at the edges, where
 * padding is, stand before and behind it.
 *
 * --stripe says which; else those are chosen that save cycles of a core with
 * the target's caches; on bare metal, a good part of the arena for hardly any; or,
 * with --max-ram, bytes until the arena fits (stripe_choose.c).
 *
 * before:  %s = kernel : f32[1,512,512] do { ... matmul %q, %kt ... }
 *          %p = kernel : f32[1,512,512] do { ... softmax of %s ... }
 *          %o = kernel : f32[1,512,64] do { ... matmul %p, %v ... }
 * after:   %f = frame %q {axis=1, size=64, step=64} : f32[1,8,64,64]
 *          %w = reshape %f {shape=[8,1,64,64]} : f32[8,1,64,64]
 *          %b = scan %w {states=0} : f32[8,1,64,64] do (%r: f32[1,64,64]) {
 *            %s = kernel : f32[1,64,512] do { ... matmul %r, %kt ... }
 *            %p = kernel : f32[1,64,512] do { ... softmax of %s ... }
 *            %y = kernel : f32[1,64,64] do { ... matmul %p, %v ... }
 *            yield %y
 *          }
 *          %o = reshape %b {shape=[1,512,64]} : f32[1,512,64] */
#include "passes/stripe.h"

#include "ir/place.h"
#include "passes/cycles.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
  MAX_RUNS = 12,       /* copies of a stripe's code */
  MOST_NESTED = 4,     /* stripes in one another */
  MOST_WORK = 1 << 23, /* ops times blocks that they are looked at for */
  STACK_BYTES = 2048,  /* that code has at most, nearly always; and the */
  STACK_PART = 32      /* part of a budget that is kept for it */
};

/* ---- By hand ---- */

static bool is_named(const struct ir_op *op, const char *name, size_t n) {
  for (const struct ir_op *o = op; o; o = ir_next_inside(op, o)) {
    const char *has[] = {o->loc, o->nresults ? o->result[0]->name : NULL};
    for (int i = 0; i < 2; i++)
      if (has[i] && strlen(has[i]) == n && !memcmp(has[i], name, n))
        return true;
  }
  return false;
}

static struct ir_op *find_op(const struct ir_module *m, const char *name,
                             size_t n) {
  for (struct ir_func *f = m->funcs; f; f = f->next)
    for (struct ir_op *op = f->body->first; op; op = ir_next_outside(op))
      if (!ir_has_blocks(op) && is_named(op, name, n))
        return op;
  return NULL;
}

/* Of the cycles of the blocks, those for rows that other blocks make, too. */
static double again_part(const struct pass_env *env, const struct stripe *s,
                         const struct stripe_runs *cut) {
  double all = 0, again = 0;
  for (size_t i = 0; i < s->values.n; i++) {
    const struct stripe_value *v = &s->values.v[i];
    double rows = (double)v->v->type->dim[v->axis], made = 0;
    const struct ir_op *op = v->at ? v->at : v->v->def;
    for (size_t k = 0; k < cut->runs.n; k++) {
      const struct stripe_run *run = &cut->runs.v[k];
      made +=
          (double)(run->count * (run->at.value[i].hi - run->at.value[i].lo));
    }
    if (op->code == IR_KERNEL)
      op = ir_arg(op->region[0]->last, 0)->def;
    else if (v->at)
      continue;
    all += cycles_of(env, op);
    again += cycles_of(env, op) * (made > rows ? made / rows - 1 : 0);
  }
  return all > 0 ? again / all : 0;
}

void stripe_say(const struct pass_env *env, const struct stripe *s,
                const struct stripe_runs *cut) {
  if (!env->log)
    return;
  const struct ir_op *ops[] = {s->ops.v[s->ops.n - 1], s->ops.v[0]};
  const char *name[2];
  for (int i = 0; i < 2; i++)
    name[i] = ops[i]->loc ? ops[i]->loc : ir_result(ops[i])->name;
  fprintf(env->log, "stripe %s..%s:%lld, %lld rows, work +%.1f %%\n", name[0],
          name[1], (long long)cut->rows, (long long)stripe_height(s),
          100 * again_part(env, s, cut));
}

static bool bad(struct pass_env *env, const char *text, const char *why) {
  return dn_usage(env->ctx, "--stripe", "'%.200s': %s", text, why);
}

/* NODE..NODE:ROWS, the first node that is computed in blocks and the last. */
static bool stripe_by_hand(struct pass_env *env, struct ir_module *m,
                           const char *text) {
  const char *dots = strstr(text, ".."), *colon = strrchr(text, ':');
  char *end = NULL;
  long long rows = colon ? strtoll(colon + 1, &end, 10) : 0;
  if (!dots || !colon || colon < dots || *end || rows < 1)
    return bad(env, text, "it is NODE..NODE:ROWS, or off");
  struct ir_op *first = find_op(m, text, (size_t)(dots - text));
  struct ir_op *root = find_op(m, dots + 2, (size_t)(colon - dots - 2));
  const struct ir_op *op = root;
  while (op && op != first)
    op = op->prev;
  if (!first || !root || !op)
    return bad(env, text, "the nodes are not in one block, in this order");
  struct striper s = striper_new(env->scratch, m);
  struct stripe stripe;
  struct stripe_runs cut;
  if (!stripe_find(&s, s.arena, root, first, &stripe))
    return bad(env, text, "its rows are not independent of each other");
  stripe_find_keys(&s, &stripe);
  if (!stripe_cut(env->scratch, &stripe, rows, MAX_RUNS, &cut))
    return bad(env, text, "its rows are not independent of each other");
  stripe_say(env, &stripe, &cut);
  stripe_apply(&s, &stripe, &cut);
  return true;
}

/* ---- The pass ---- */

/* Bytes that --max-ram leaves for the arena: it is for the stack, too, and for
 * inputs and outputs that do not lie in the arena. */
static int64_t arena_limit(const struct pass_env *env,
                           const struct ir_func *f) {
  const struct ir_op *ret = f->body->last;
  int64_t bytes =
      env->opts->max_ram - dn_min(STACK_BYTES, env->opts->max_ram / STACK_PART);
  if (!env->opts->max_ram)
    return INT64_MAX;
  for (unsigned i = 0; !ir_io_places(f) && i < f->body->nparams; i++)
    bytes -= ir_type_bytes(f->body->param[i]->type);
  for (unsigned i = 0; !ir_io_places(f) && i < ret->noperands; i++)
    bytes -= ir_type_bytes(ir_arg(ret, i)->type);
  return dn_max(bytes, 1); /* 0 is no limit */
}

/* Something is so large that blocks of it may save time. */
static bool has_large(const struct ir_func *f) {
  for (const struct ir_op *op = f->body->first; op->next; op = op->next)
    if (op->code == IR_KERNEL &&
        ir_type_bytes(ir_result(op)->type) >= STRIPE_LEAST)
      return true;
  return false;
}

/* Scans may be cut within: for each, where all values lie is found anew, some
 * times. Of very many -v says that they are not. */
static bool has_time(const struct pass_env *env, const struct ir_func *f,
                     int64_t times) {
  int64_t ops = 0, scans = 0;
  for (const struct ir_op *op = f->body->first; op; op = ir_next_outside(op)) {
    ops++;
    scans += op->code == IR_SCAN && !ir_num_carried(op);
  }
  bool ok = ops * scans * times <= MOST_WORK;
  if (!ok && env->log)
    fprintf(env->log,
            "stripe: %lld loops among %lld ops are too many to be cut again\n",
            (long long)scans, (long long)ops);
  return ok;
}

/* Stripes of a block that save time, and of those again, of their rows' rows:
 * heads, then the queries of a head. */
static int64_t cut_for_time(struct pass_env *env, struct ir_block *b,
                            int64_t limit) {
  int64_t made = stripe_block(env, b, limit, true);
  bool on =
      made && ir_loops_around(b) < MOST_NESTED && has_time(env, b->func, 1);
  for (struct ir_op *op = b->first; op && on; op = op->next)
    if (op->code == IR_SCAN && !ir_num_carried(op))
      made += cut_for_time(env, op->region[0], INT64_MAX);
  return made;
}

/* Chains that --max-ram needs. A block of rows that is still too large is cut
 * again along its columns. */
static int64_t cut_to_fit(struct pass_env *env, struct ir_block *b,
                          int64_t limit) {
  int64_t all = 0, made = 1;
  for (int i = 0; made && i < MOST_NESTED; i++, all += made) {
    made = stripe_block(env, b, limit, false);
    if (limit && ir_loops_around(b) < MOST_NESTED &&
        has_time(env, b->func, 4 * MOST_NESTED))
      made += stripe_within(env, b, limit, cut_to_fit);
    if (!limit)
      return made;
  }
  return all;
}

int64_t pass_stripe(struct pass_env *env, struct ir_module *m) {
  int64_t made = 0;
  for (size_t i = 0; i < env->opts->nstripes; i++, made++)
    if (!strcmp(env->opts->stripes[i], "off"))
      return made;
    else if (!stripe_by_hand(env, m, env->opts->stripes[i]))
      return -1;
  bool fast = env->opts->opt_level && !env->opts->opt_size;
  bool ram = fast && env->target->bare_metal && !env->opts->max_ram;
  bool time = fast && !env->target->bare_metal;
  if (made || !m->funcs ||
      (!env->opts->max_ram && !ram && !(time && has_large(m->funcs))) ||
      pass_order(env, m) < 0)
    return made;
  int64_t limit = ram ? 0 : arena_limit(env, m->funcs);
  if (time)
    made = cut_for_time(env, m->funcs->body, limit);
  return made + (time && !env->opts->max_ram
                     ? 0
                     : cut_to_fit(env, m->funcs->body, limit));
}
