/* run_compare.c - --compare=interp: the planned module, run as generated code
 * and by the interpreter on the same inputs. The plan reused no memory, so that
 * after the run every value is still at its place. Values outside kernels are
 * compared in the order of the program, each computed from what generated code
 * made before, so that rounding does not add up over the layers; the first that
 * differs is named. */
#include "tools/run.h"

#include "ir/place.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

struct judge {
  struct run *r;
  const struct ir_tensor *out;
  const bool *over; /* by value id: something else is at its place now */
  size_t compared;
  struct run_diff worst;
  bool failed;
};

static void report(struct judge *j, const struct ir_value *v,
                   const struct run_diff *d) {
  struct dn_ctx *ctx = j->r->ctx;
  struct dn_loc loc = ir_loc(v->def);
  int64_t index = d->at;
  struct dn_buf at = dn_buf_new(ctx->arena);
  int64_t stride[IR_MAX_RANK];
  ir_type_strides(v->type, stride);
  for (int k = 0; k < v->type->rank; k++) {
    dn_buf_printf(&at, k ? ",%" PRId64 : "%" PRId64, index / stride[k]);
    index %= stride[k];
  }
  dn_error(ctx, loc, DN_MISMATCH,
           "%%%s %s differs at [%s]: %.9g, the interpreter has %.9g", v->name,
           ir_type_text(ctx, NULL, v->type), at.text, d->got, d->want);
  j->failed = true;
}

/* Marks what enters a loop, which is written over there, and with a plan that
 * reuses memory all but what is returned: by value id. */
static bool *find_written_over(struct dn_arena *arena, const struct run *r) {
  const struct ir_module *m = r->m;
  const struct ir_op *ret = ir_main(m)->body->last;
  bool *over = DN_ARRAY(arena, bool, m->nvalues + 1);
  memset(over, r->reuses, m->nvalues + 1);
  for (unsigned i = 0; i < ret->noperands; i++)
    over[ir_arg(ret, i)->id] = false;
  for (const struct ir_op *op = ir_main(m)->body->last; op; op = op->prev) {
    bool shows = (ir_is_view(op) || ir_is_concat(op)) && op->nresults &&
                 over[ir_result(op)->id];
    unsigned first = ir_is_loop(op) ? ir_loop_skips(op) : 0;
    unsigned n = ir_is_loop(op) ? ir_num_carried(op) : 0;
    for (unsigned i = 0; i < op->noperands; i++)
      over[ir_arg(op, i)->id] |= shows || (i >= first && i < first + n);
  }
  return over;
}

/* Called for each value that the interpreter makes. */
static void see(void *user, const struct ir_value *v, void *want) {
  struct judge *j = user;
  struct ir_place p;
  const struct run *r = j->r;
  const struct ir_value *from = ir_view_source(v);
  if (j->failed || !from->def ||
      /* the state has been written over */ v->def->block !=
          ir_main(r->m)->body ||
      j->over[v->id] || !ir_place_of(v, &p))
    return;
  const char *got;
  if (p.space == IR_IN_ARENA && !r->arena) /* of an emulator */
    return;
  if (p.space == IR_IN_ARENA)
    got = (const char *)r->arena + (p.number ? ir_arena_part(r->m, 0) : 0);
  else if (p.space == IR_IN_OUTPUT)
    got = j->out[p.number].data;
  else
    return;
  struct run_diff d = {.next = true};
  struct dn_arena *tmp = dn_arena_new(r->ctx);
  const void *dense = run_gather(tmp, v->type, got + p.offset, p.stride);
  run_differ(v->type, dense, want, r->o->rtol.value, r->o->atol.value, &d);
  if (ir_type_bytes(v->type))
    memcpy(want, dense, (size_t)ir_type_bytes(v->type));
  dn_arena_free(tmp);
  j->worst.max_abs = fmax(j->worst.max_abs, d.max_abs);
  j->worst.max_rel = fmax(j->worst.max_rel, d.max_rel);
  j->compared++;
  if (r->o->verbose)
    printf("%%%s %s max_abs=%.3g max_rel=%.3g\n",
           dn_shown(r->ctx->arena, v->name),
           ir_type_text(r->ctx, NULL, v->type), d.max_abs, d.max_rel);
  if (d.at >= 0)
    report(j, v, &d);
}

bool run_compare_values(struct run *r, const struct ir_tensor *in,
                        const struct ir_tensor *out) {
  struct judge j = {.r = r, .out = out};
  struct ir_eval_opts opts = {.watch = see, .user = &j};
  struct dn_arena *arena = dn_arena_new(r->ctx);
  j.over = find_written_over(arena, r);
  struct ir_tensor *results = DN_ARRAY(arena, struct ir_tensor, r->nout + 1);
  bool ok = ir_eval(arena, ir_main(r->m), in, results, &opts);
  dn_arena_free(arena);
  if (!ok || j.failed)
    return false;
  /* The tolerance is that of run_differ(). */
  printf("PASS compare values=%zu max_abs=%.3g max_rel=%.3g, tolerated "
         "%g*|value| + %g*max(1, largest)\n",
         j.compared, j.worst.max_abs, j.worst.max_rel, r->o->rtol.value,
         r->o->atol.value);
  return true;
}

bool run_compare(struct run *r) {
  struct ir_tensor *in = run_inputs(r);
  struct ir_tensor *out = run_buffers(r, r->out, r->nout);
  return in && run_call(r, in, out) && run_compare_values(r, in, out);
}
