/* tflite_op_flow.c - control flow as ops with regions: an operator names the
 * subgraphs that it runs. */
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
               c->out);
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
