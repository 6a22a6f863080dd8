/* sexpr_build.c - builds graphs from s-expressions: see sexpr.h. */
#include "ir/sexpr.h"

#include <assert.h>

static struct ir_value *misfit(struct sexpr_builder *b, const char *what) {
  if (!b->failed && b->misfit)
    b->misfit(b->env.self, what);
  b->failed = true;
  return NULL;
}

static bool is_number(const struct sexpr *e) {
  return e->kind == SEXPR_NUMBER || e->kind == SEXPR_ATTR ||
         e->kind == SEXPR_FN ||
         (e->kind == SEXPR_IF && is_number(e->arg[1]) && is_number(e->arg[2]));
}

/* Numbers as a constant that goes with `like`, or of the type `to`; NULL for an
 * absent attribute. */
static struct ir_value *build_number(struct sexpr_builder *b,
                                     const struct sexpr *e,
                                     const struct ir_value *like,
                                     const char *to) {
  struct sexpr_value v;
  if (!sexpr_eval(&b->env, e, &v))
    return e->kind == SEXPR_ATTR ? NULL : misfit(b, "an expression");
  return v.s ? misfit(b, "a number") : b->number(b->env.self, like, to, &v);
}

void sexpr_build_args(struct sexpr_builder *b, const struct sexpr *e,
                      struct ir_value *arg[SEXPR_ARGS]) {
  const struct ir_value *like = NULL;
  bool select = e->kind == SEXPR_OP && e->code == IR_SELECT;
  assert(e->nargs <= SEXPR_ARGS && "sexpr.c has counted them");
  for (int i = 0; i < e->nargs; i++) {
    arg[i] = is_number(e->arg[i]) ? NULL : sexpr_build(b, e->arg[i]);
    if (!like && !(select && i == 0))
      like = arg[i];
  }
  for (int i = 0; i < e->nargs; i++)
    if (is_number(e->arg[i]))
      arg[i] = build_number(b, e->arg[i], like, NULL);
}

/* Whether a number as operand i of an arithmetic op changes nothing. */
static bool is_neutral(enum ir_opcode code, int i, double v) {
  if (code == IR_ADD || (code == IR_SUB && i == 1))
    return v == 0;
  return (code == IR_MUL || (code == IR_DIV && i == 1)) && v == 1;
}

/* The op left out: it is arithmetic with a neutral number or with an absent
 * operand, or a choice by an absent condition. false: it is not left out. */
static bool leave_out(struct sexpr_builder *b, const struct sexpr *e,
                      struct ir_value *const *arg, struct ir_value **out) {
  enum ir_opcode code = (enum ir_opcode)e->code;
  bool arithmetic = code == IR_ADD || code == IR_SUB || code == IR_MUL ||
                    code == IR_DIV || code == IR_AND;
  for (int i = 0; i < e->nargs; i++) {
    struct sexpr_value v;
    bool neutral = arithmetic && is_number(e->arg[i]) &&
                   sexpr_eval(&b->env, e->arg[i], &v) &&
                   is_neutral(code, i, v.v[0]);
    if (arg[i] && !neutral)
      continue;
    *out = arithmetic ? arg[1 - i] : code == IR_SELECT && !i ? arg[2] : NULL;
    return true;
  }
  return false;
}

static struct ir_value *build_op(struct sexpr_builder *b,
                                 const struct sexpr *e) {
  enum ir_opcode code = (enum ir_opcode)e->code;
  struct ir_value *arg[SEXPR_ARGS], *out;
  struct ir_attr attr[SEXPR_ARGS];
  int64_t list[SEXPR_ARGS][SEXPR_LIST];
  size_t nattrs = 0;
  struct sexpr_value type;
  if (code == IR_CAST && is_number(e->arg[0]) &&
      sexpr_eval(&b->env, e->attr[0].expr, &type) && type.s)
    return build_number(b, e->arg[0], NULL, type.s);
  sexpr_build_args(b, e, arg);
  if (b->failed || leave_out(b, e, arg, &out))
    return b->failed ? NULL : out;
  assert(e->nattrs <= SEXPR_ARGS && "sexpr.c has counted them");
  for (int i = 0; i < e->nattrs; i++) {
    struct sexpr_value v;
    bool given;
    if (!sexpr_eval(&b->env, e->attr[i].expr, &v) ||
        !sexpr_to_attr(&e->attr[i], &v, list[i], &attr[nattrs], &given))
      return misfit(b, e->attr[i].name);
    nattrs += given;
  }
  out = b->emit(b->env.self, code, arg, (size_t)e->nargs, attr, nattrs);
  b->failed = !out;
  return out;
}

struct ir_value *sexpr_build(struct sexpr_builder *b, const struct sexpr *e) {
  struct sexpr_value v;
  struct ir_value *out[1] = {NULL};
  if (b->failed)
    return NULL;
  switch (e->kind) {
  case SEXPR_NAME:
  case SEXPR_CONST:
    return b->env.value(b->env.self, e->name);
  case SEXPR_OP:
    return build_op(b, e);
  case SEXPR_OTHER:
    b->call(b->env.self, e, out, 1);
    return out[0];
  case SEXPR_IF:
    if (!sexpr_eval(&b->env, e->arg[0], &v))
      return misfit(b, "a condition");
    return sexpr_build(b, e->arg[sexpr_is_true(&v) ? 1 : 2]);
  case SEXPR_NUMBER:
  case SEXPR_ATTR:
  case SEXPR_FN:
    return build_number(b, e, NULL, NULL);
  case SEXPR_TEXT:
    break;
  }
  return misfit(b, "a text");
}
