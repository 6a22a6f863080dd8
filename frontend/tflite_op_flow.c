/* tflite_op_flow.c - control flow as ops with regions: an operator names the
 * subgraphs that it runs. Resource variables are state: what CALL_ONCE assigns to
 * them is what they are at first. */
#include "frontend/region.h"
#include "frontend/tflite.h"

#include <string.h>

/* States that regions of an operator change. Those that are known are carried: a
 * region yields them behind its outputs. Others are found when a region changes
 * one; then the operator is imported anew. */
struct carried {
  DN_LIST(struct tfl_tensor *) states;
  size_t n; /* that are known */
};

/* A subgraph of the operator for a region, which reads these values. */
struct body {
  struct tfl_call *c;
  int64_t graph, test; /* of a loop: the subgraph of its condition */
  struct ir_value **args;
  size_t nargs;
  struct carried *carried;
};

static const char *key_of(struct tfl_call *c) {
  return dn_intern(c->im->ctx, dn_printf(c->im->ctx->arena, "%zu", c->op.at));
}

/* Those that the operator carried where it was imported before: when an operator
 * around it is imported anew, they need not be found again. */
static struct carried begin_carried(struct tfl_call *c) {
  const struct carried *before = dn_map_get(&c->im->carried, key_of(c));
  struct carried s = {0};
  for (size_t i = 0; before && i < before->n; i++)
    DN_PUSH(c->im->ctx->arena, s.states, before->states.v[i]);
  return s;
}

static void keep_carried(struct tfl_call *c, const struct carried *s) {
  struct dn_arena *arena = c->im->ctx->arena;
  dn_map_at(arena, &c->im->carried, key_of(c))->value =
      dn_copy(arena, s, sizeof *s);
}

static struct ir_value **save_states(struct tfl_import *im) {
  struct ir_value **was =
      DN_ARRAY(im->ctx->arena, struct ir_value *, im->states.n + 1);
  for (size_t i = 0; i < im->states.n; i++)
    was[i] = im->states.v[i]->value;
  was[im->states.n] = NULL;
  return was;
}

/* Gives what the known states are at the end of a region, behind which all are
 * what they were before. */
static void leave_region(struct body *b, struct ir_value **was,
                         struct ir_value **out) {
  struct tfl_import *im = b->c->im;
  bool old = true; /* states that were there before the region */
  for (size_t k = 0; k < b->carried->n; k++)
    out[k] = b->carried->states.v[k]->value;
  for (size_t i = 0; i < im->states.n; i++) {
    struct tfl_tensor *t = im->states.v[i];
    bool there = false;
    old = old && was[i];
    struct ir_value *before = old ? was[i] : t->param;
    for (size_t k = 0; k < b->carried->states.n; k++)
      there = there || b->carried->states.v[k] == t;
    if (t->value != before && !there)
      DN_PUSH(im->ctx->arena, b->carried->states, t);
    t->value = before;
  }
}

/* Whether the operator, which gave `out`, must be imported anew; else the known
 * states are the last of its results. */
static bool import_again(struct carried *s, struct ir_value **out,
                         size_t nout) {
  if (s->states.n > s->n) {
    ir_op_remove(out[0]->def);
    return true;
  }
  for (size_t k = 0; k < s->n; k++)
    s->states.v[k]->value = out[nout + k];
  return false;
}

static bool branch(void *data, struct ir_value *const *params,
                   struct ir_value **out) {
  struct body *b = data;
  size_t n = b->c->nout;
  struct ir_value **was = save_states(b->c->im);
  (void)params;
  bool ok = tfl_inline(b->c, b->graph, b->args, b->nargs, out, n);
  leave_region(b, was, out + n);
  if (ok && !n && !b->carried->n) /* an op has a result */
    out[0] = fe_scalar(b->c->b, IR_I32, 0);
  return ok;
}

static bool is_condition(struct tfl_call *c, const struct ir_value *v) {
  return (fe_dtype(v) == IR_BOOL && ir_type_count(v->type) == 1) ||
         tfl_fail(c, TYPE, "the condition must be one bool");
}

bool tflite_if(struct tfl_call *c) {
  struct carried s = begin_carried(c);
  struct body b[2];
  struct ir_value **out;
  if (!is_condition(c, c->in[0]))
    return false;
  for (int i = 0; i < 2; i++)
    b[i] = (struct body){.c = c,
                         .graph = tfl_int(c, i ? "else" : "then"),
                         .args = c->in + 1,
                         .nargs = c->nin - 1,
                         .carried = &s};
  do {
    s.n = s.states.n;
    size_t n = c->nout + s.n + (c->nout + s.n == 0);
    out = DN_ARRAY(c->im->ctx->arena, struct ir_value *, n);
    if (!fe_if(c->b, c->in[0], branch, (void *[]){&b[0], &b[1]}, n, out, NULL))
      return false;
  } while (import_again(&s, out, c->nout));
  memcpy(c->out, out, c->nout * sizeof *out);
  keep_carried(c, &s);
  return true;
}

/* What is carried, by the body, and whether the condition holds for it. */
static bool turn(void *data, struct ir_value *const *params,
                 struct ir_value **out) {
  struct body *b = data;
  size_t n = b->c->nout;
  struct ir_value **was = save_states(b->c->im);
  for (size_t k = 0; k < b->carried->n; k++)
    b->carried->states.v[k]->value = params[2 + n + k];
  bool ok = tfl_inline(b->c, b->graph, params + 2, n, out + 1, n) &&
            tfl_inline(b->c, b->test, out + 1, n, out, 1) &&
            is_condition(b->c, out[0]);
  leave_region(b, was, out + 1 + n);
  return ok;
}

bool tflite_while(struct tfl_call *c) {
  struct carried s = begin_carried(c);
  struct body b = {.c = c,
                   .graph = tfl_int(c, "body"),
                   .test = tfl_int(c, "cond"),
                   .carried = &s};
  int64_t most = fe_loop_max(c->b, c->im->opts);
  struct ir_value *first[2], **in, **out;
  if (c->nout != c->nin)
    return tfl_fail(c, ARITY, "%zu inputs, %zu outputs", c->nin, c->nout);
  if (!tfl_inline(c, b.test, c->in, c->nin, &first[1], 1) ||
      !is_condition(c, first[1]))
    return false;
  first[0] = fe_ints(c->b, IR_I64, 0, NULL, &(int64_t){INT64_MAX});
  first[1] = fe_reshape(c->b, first[1], 0, NULL);
  if (!first[1])
    return false;
  do {
    s.n = s.states.n;
    size_t n = c->nin + s.n;
    in = DN_ARRAY(c->im->ctx->arena, struct ir_value *, 2 + n);
    out = DN_ARRAY(c->im->ctx->arena, struct ir_value *, n);
    memcpy(in, first, sizeof first);
    memcpy(in + 2, c->in, c->nin * sizeof *in);
    for (size_t k = 0; k < s.n; k++)
      in[2 + c->nin + k] = s.states.v[k]->value;
    if (!fe_loop(c->b, IR_LOOP, in, 2 + n, n, turn, &b, n, &most, out))
      return false;
  } while (import_again(&s, out, c->nout));
  memcpy(c->out, out, c->nout * sizeof *out);
  keep_carried(c, &s);
  return true;
}

bool tflite_call_once(struct tfl_call *c) {
  bool was = c->im->first;
  c->im->first = true;
  bool ok = tfl_inline(c, tfl_int(c, "init"), NULL, 0, NULL, 0);
  c->im->first = was;
  return ok;
}

/* ---- Resource variables ---- */

bool tflite_var_handle(struct tfl_call *c) {
  const char *in = tfl_text(c, "container"), *name = tfl_text(c, "shared_name");
  if (*in)
    name =
        dn_intern(c->im->ctx, dn_printf(c->im->ctx->arena, "%s/%s", in, name));
  c->tout[0]->resource = name;
  return tfl_return(c, &c->im->handle);
}

/* Of the handle in input 0; one that is new has the type of `like`. */
static struct tfl_tensor *variable(struct tfl_call *c,
                                   const struct tfl_tensor *like) {
  const char *name = c->tin[0]->resource;
  if (!name)
    return fe_null(c->b, DN_TYPE, "input 0 is no resource");
  struct tfl_tensor *t = dn_map_get(&c->im->variables, name);
  if (!t) {
    t = tfl_keep(c, like, *name ? name : "variable");
    dn_map_put(c->im->ctx->arena, &c->im->variables, name, t);
  }
  return t;
}

static bool assign(struct tfl_call *c, struct tfl_tensor *t,
                   struct ir_value *x) {
  struct dn_ctx *ctx = c->im->ctx;
  const struct ir_type *type = t->param->type;
  if (x == &c->im->handle)
    return tfl_fail(c, UNSUPPORTED_TYPE, "input 1 is a resource");
  if (ir_type_as(ctx, x->type, x->type->dtype) !=
      ir_type_as(ctx, type, type->dtype))
    return tfl_fail(c, TYPE, "a variable is %s and then %s",
                    ir_type_text(ctx, NULL, type),
                    ir_type_text(ctx, NULL, x->type));
  if (c->im->first && !x->data)
    return tfl_fail(c, DYNAMIC, "what it is at first is no constant");
  if (c->im->first)
    t->initial = ir_const_new(c->im->m, t->name, type, x->data);
  else
    t->value = x;
  return true;
}

/* Reads it, or assigns input 1 (arg 1). */
bool tflite_variable(struct tfl_call *c) {
  struct tfl_tensor *t = variable(c, c->arg ? c->tin[1] : c->tout[0]);
  if (!t)
    return false;
  return c->arg ? assign(c, t, c->in[1]) : tfl_return(c, t->value);
}
