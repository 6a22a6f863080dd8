/* tflite_op_flow.c - control flow as ops with regions: an operator names the
 * subgraphs that it runs. Resource variables are state: what CALL_ONCE assigns to
 * them is what they are at first. */
#include "frontend/region.h"
#include "frontend/tflite.h"

#include <string.h>

/* A subgraph of the operator for a region, which reads these values. */
struct body {
  struct tfl_call *c;
  int64_t graph, test; /* of a loop: the subgraph of its condition */
  struct ir_value **args;
  size_t nargs;
};

static bool branch(void *data, struct ir_value *const *params,
                   struct ir_value **out) {
  struct body *b = data;
  (void)params;
  return tfl_inline(b->c, b->graph, b->args, b->nargs, out, b->c->nout);
}

static bool is_condition(struct tfl_call *c, const struct ir_value *v) {
  return (fe_dtype(v) == IR_BOOL && ir_type_count(v->type) == 1) ||
         tfl_fail(c, TYPE, "the condition must be one bool");
}

bool tflite_if(struct tfl_call *c) {
  struct body b[2];
  for (int i = 0; i < 2; i++)
    b[i] = (struct body){.c = c,
                         .graph = tfl_int(c, i ? "else" : "then"),
                         .args = c->in + 1,
                         .nargs = c->nin - 1};
  return is_condition(c, c->in[0]) &&
         fe_if(c->b, c->in[0], branch, (void *[]){&b[0], &b[1]}, c->nout,
               c->out, NULL);
}

/* What is carried, by the body, and whether the condition holds for it. */
static bool turn(void *data, struct ir_value *const *params,
                 struct ir_value **out) {
  struct body *b = data;
  size_t n = b->c->nout;
  return tfl_inline(b->c, b->graph, params + 2, n, out + 1, n) &&
         tfl_inline(b->c, b->test, out + 1, n, out, 1) &&
         is_condition(b->c, out[0]);
}

bool tflite_while(struct tfl_call *c) {
  struct body b = {
      .c = c, .graph = tfl_int(c, "body"), .test = tfl_int(c, "cond")};
  struct ir_value **in =
      DN_ARRAY(c->im->ctx->arena, struct ir_value *, 2 + c->nin);
  if (c->nout != c->nin)
    return tfl_fail(c, ARITY, "%zu inputs, %zu outputs", c->nin, c->nout);
  if (!tfl_inline(c, b.test, c->in, c->nin, &in[1], 1) ||
      !is_condition(c, in[1]))
    return false;
  in[0] = fe_ints(c->b, IR_I64, 0, NULL, &(int64_t){INT64_MAX});
  in[1] = fe_reshape(c->b, in[1], 0, NULL);
  memcpy(in + 2, c->in, c->nin * sizeof *in);
  return in[1] && fe_loop(c->b, IR_LOOP, in, 2 + c->nin, c->nin, turn, &b,
                          c->nout, &(int64_t){0}, c->out);
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
  else if (c->im->depth)
    return tfl_fail(c, UNSUPPORTED_ATTR,
                    "it keeps a state, in a branch or a loop");
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
