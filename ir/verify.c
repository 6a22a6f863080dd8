/* verify.c - the rules that every module keeps, whoever made it. Each broken
 * rule is a diagnostic that ends in the rule's name (verify.def). The forms'
 * own rules are looked at when the ones here hold. */
#include "ir/verify.h"

#include "ir/nest.h"
#include "ir/place.h"
#include "ir/size.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const rule_names[] = {
#define RULE(ID, name, text) name,
#include "ir/verify.def"
#undef RULE
};

void verify_fail(struct verifier *v, struct dn_loc loc, enum verify_rule rule,
                 const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  const char *text = dn_vprintf(v->ctx->arena, fmt, ap);
  va_end(ap);
  dn_error(v->ctx, loc, DN_VERIFY, "%s (rule %s)", text, rule_names[rule]);
  v->errors++;
}

const char *verify_type_text(struct verifier *v, const struct ir_type *type) {
  return ir_type_text(v->ctx, v->scratch, type);
}

/* ---- Types ---- */

static bool zero_fits(enum ir_dtype dtype, int64_t zero) {
  unsigned bits = ir_dtypes[dtype].bits;
  assert(bits >= 1 && bits <= 32 && "check_type() refuses others: rule qtype");
  int64_t half = INT64_C(1) << (bits - 1);
  return ir_dtypes[dtype].kind == IR_SIGNED ? zero >= -half && zero < half
                                            : zero >= 0 && zero < 2 * half;
}

static int by_name(const void *a, const void *b) {
  const struct ir_value *const *x = a, *const *y = b;
  uintptr_t nx = (uintptr_t)(*x)->name, ny = (uintptr_t)(*y)->name;
  return (nx > ny) - (nx < ny);
}

/* Constants in the order of their names' addresses, made on first use. */
static const struct ir_value *find_const(struct verifier *v, const char *name) {
  size_t n = v->m->consts.n;
  if (!n)
    return NULL;
  if (!v->consts) {
    v->consts = dn_copy(v->scratch, v->m->consts.v, n * sizeof *v->consts);
    qsort(v->consts, n, sizeof *v->consts, by_name);
  }
  const struct ir_value key = {.name = name}, *pkey = &key;
  struct ir_value **found =
      bsearch(&pkey, v->consts, n, sizeof *v->consts, by_name);
  return found ? *found : NULL;
}

static void check_axis_quant(struct verifier *v, struct dn_loc loc,
                             const struct ir_type *type) {
  const struct ir_quant *q = type->quant;
  const struct ir_value *s = find_const(v, q->scales);
  const struct ir_value *z = find_const(v, q->zeros);
  if (!s || !z) {
    verify_fail(v, loc, VERIFY_QAXIS, "there is no constant @%s",
                s ? q->zeros : q->scales);
    return;
  }
  if (q->axis < 0 || q->axis >= type->rank) {
    verify_fail(v, loc, VERIFY_QAXIS, "axis %lld of %s", (long long)q->axis,
                verify_type_text(v, type));
    return;
  }
  int64_t n = type->dim[q->axis];
  if (s->type->dtype != IR_F32 || !ir_is_int(z->type->dtype) ||
      s->type->rank != 1 || z->type->rank != 1 || s->type->dim[0] != n ||
      z->type->dim[0] != n) {
    verify_fail(v, loc, VERIFY_QAXIS, "scales %s and zero points %s for %s",
                verify_type_text(v, s->type), verify_type_text(v, z->type),
                verify_type_text(v, type));
    return;
  }
  for (int64_t i = 0, errors = v->errors; i < n && v->errors == errors; i++) {
    double scale = ir_const_float(s, i);
    if (!isfinite(scale) || scale <= 0)
      verify_fail(v, loc, VERIFY_SCALE, "scale %lld of @%s is %g", (long long)i,
                  q->scales, scale);
    else if (!zero_fits(type->dtype, ir_const_int(z, i)))
      verify_fail(v, loc, VERIFY_ZERO, "zero point %lld of @%s is %lld",
                  (long long)i, q->zeros, (long long)ir_const_int(z, i));
  }
}

static void check_type(struct verifier *v, const struct ir_value *value) {
  const struct ir_type *type = value->type;
  const struct ir_quant *q = type->quant;
  struct dn_loc loc = ir_value_loc(v->m, value);
  if (v->m->form != IR_GRAPH && !ir_type_is_static(type))
    verify_fail(v, loc, VERIFY_STATIC, "%%%s is %s in the %s form", value->name,
                verify_type_text(v, type), ir_form_names[v->m->form]);
  if (!q)
    return;
  if (!ir_is_int(type->dtype) || ir_dtypes[type->dtype].bits > 32)
    verify_fail(v, loc, VERIFY_QTYPE, "%s is quantized",
                ir_dtypes[type->dtype].text);
  else if (q->scales)
    check_axis_quant(v, loc, type);
  else if (!isfinite(q->scale) || q->scale <= 0)
    verify_fail(v, loc, VERIFY_SCALE, "the scale is %g", q->scale);
  else if (!zero_fits(type->dtype, q->zero))
    verify_fail(v, loc, VERIFY_ZERO, "zero point %lld of %s",
                (long long)q->zero, ir_dtypes[type->dtype].text);
}

/* ---- Regions ---- */

/* Same element type and shape; quantization is not looked at. */
static bool alike(const struct ir_type *a, const struct ir_type *b) {
  return a->dtype == b->dtype && ir_same_dims(a, b);
}

/* One element of a type. */
static bool is_scalar(const struct ir_type *t, enum ir_dtype dtype) {
  for (int i = 0; i < t->rank; i++)
    if (t->dim[i] != 1)
      return false;
  return t->dtype == dtype;
}

/* `t` without its first dimension. */
static const struct ir_type *slice_of(struct verifier *v,
                                      const struct ir_type *t) {
  return t->rank ? ir_type_part(v->ctx, t, 1, t->rank - 1) : t;
}

static void check_params(struct verifier *v, const struct ir_op *op,
                         const struct ir_block *b,
                         const struct ir_type *const *want, unsigned n) {
  if (b->nparams != n) {
    verify_op(v, op, PARAMS, "%u parameters, the op passes %u", b->nparams, n);
    return;
  }
  for (unsigned i = 0; i < n; i++)
    if (want[i] && !alike(b->param[i]->type, want[i]))
      verify_op(v, op, PARAMS, "parameter %%%s is %s, the op passes %s",
                b->param[i]->name, verify_type_text(v, b->param[i]->type),
                verify_type_text(v, want[i]));
}

/* What region `b` yields against the op's results, from yielded value `skip`
 * on. The first `whole` are results as they are, of the others the result holds
 * one slice an iteration. */
static void check_yield(struct verifier *v, const struct ir_op *op,
                        const struct ir_block *b, unsigned skip,
                        unsigned whole) {
  const struct ir_op *y = b->last;
  if (!y || y->code != IR_YIELD)
    return; /* reported as a missing terminator */
  if (op->nresults < whole) {
    verify_op(v, op, YIELD, "%u results of %u carried values", op->nresults,
              whole);
    return;
  }
  if (y->noperands != op->nresults + skip) {
    verify_op(v, y, YIELD, "%u values yielded, expected %u", y->noperands,
              op->nresults + skip);
    return;
  }
  for (unsigned i = 0; i < op->nresults; i++) {
    const struct ir_type *made = ir_arg(y, i + skip)->type;
    const struct ir_type *r = op->result[i]->type;
    bool ok =
        i < whole ? alike(made, r) : r->rank > 0 && alike(made, slice_of(v, r));
    if (!ok)
      verify_op(v, y, YIELD, "%s yielded for result %s",
                verify_type_text(v, made), verify_type_text(v, r));
  }
}

/* if and kernel: regions without parameters, which yield the results. */
static void check_plain(struct verifier *v, const struct ir_op *op) {
  assert((op->code != IR_IF || op->noperands == 1) && "ir_op_check() counts");
  if (op->code == IR_IF && !is_scalar(ir_arg(op, 0)->type, IR_BOOL))
    verify_op(v, op, CONDITION, "the condition is %s",
              verify_type_text(v, ir_arg(op, 0)->type));
  for (unsigned i = 0; i < op->nregions; i++) {
    check_params(v, op, op->region[i], NULL, 0);
    check_yield(v, op, op->region[i], 0, op->nresults);
  }
}

/* loop n, c, x...: the body gets (iteration, condition, carried...) and yields
 * condition, carried..., scanned...; results are carried..., scanned... */
static void check_loop(struct verifier *v, const struct ir_op *op) {
  assert(op->noperands >= 2 && op->nregions == 1 &&
         "ir_op_check() and check_regions() count");
  const struct ir_block *b = op->region[0];
  unsigned carried = op->noperands - 2;
  const struct ir_type **want =
      DN_ARRAY(v->scratch, const struct ir_type *, op->noperands);
  want[0] = ir_type(v->ctx, IR_I64, 0, NULL);
  want[1] = ir_type(v->ctx, IR_BOOL, 0, NULL);
  for (unsigned i = 0; i < carried; i++)
    want[i + 2] = ir_arg(op, i + 2)->type;
  if (!is_scalar(ir_arg(op, 0)->type, IR_I64) ||
      !is_scalar(ir_arg(op, 1)->type, IR_BOOL))
    verify_op(v, op, CONDITION, "trip count %s and condition %s",
              verify_type_text(v, ir_arg(op, 0)->type),
              verify_type_text(v, ir_arg(op, 1)->type));
  check_params(v, op, b, want, op->noperands);
  check_yield(v, op, b, 1, carried);
  if (b->last && b->last->code == IR_YIELD && b->last->noperands &&
      !is_scalar(ir_arg(b->last, 0)->type, IR_BOOL))
    verify_op(v, b->last, CONDITION, "the condition is %s",
              verify_type_text(v, ir_arg(b->last, 0)->type));
}

/* scan states..., scanned...: the body gets the states and a slice of each of
 * the others, and yields states and slices of results. */
static void check_scan(struct verifier *v, const struct ir_op *op) {
  int64_t states = ir_get_int(op, "states");
  if (states < 0 || states >= op->noperands) {
    verify_op(v, op, PARAMS, "%lld states of %u operands", (long long)states,
              op->noperands);
    return;
  }
  const struct ir_type **want =
      DN_ARRAY(v->scratch, const struct ir_type *, op->noperands);
  const struct ir_type *first = ir_arg(op, (unsigned)states)->type;
  for (unsigned i = 0; i < op->noperands; i++) {
    const struct ir_type *t = ir_arg(op, i)->type;
    want[i] = i < states ? t : slice_of(v, t);
    if (i >= states && (t->rank == 0 || t->dim[0] != first->dim[0] ||
                        t->size[0] != first->size[0]))
      verify_op(v, op, PARAMS, "scanned operands %s and %s differ in length",
                verify_type_text(v, first), verify_type_text(v, t));
  }
  int64_t par = ir_get_int(op, "par");
  int64_t turns = first->rank ? first->dim[0] : 0;
  if (par && (par != 1 || states || op->block->owner || !first->rank ||
              first->size[0] || turns > IR_MAX_THREADS))
    verify_op(v, op, SHARED, "par is %lld, of %lld states and %lld turns",
              (long long)par, (long long)states, (long long)turns);
  if (par && ir_holds_loop(op))
    verify_op(v, op, SHARED, "par is %lld, with a loop in it", (long long)par);
  check_params(v, op, op->region[0], want, op->noperands);
  check_yield(v, op, op->region[0], 0, (unsigned)states);
  for (unsigned i = (unsigned)states; i < op->nresults && first->rank; i++) {
    const struct ir_type *r = op->result[i]->type;
    if (r->rank && r->dim[0] != first->dim[0])
      verify_op(v, op, YIELD, "result %s has a slice of each of %s",
                verify_type_text(v, r), verify_type_text(v, first));
  }
}

static void check_regions(struct verifier *v, const struct ir_op *op) {
  unsigned want =
      op->code == IR_KERNEL || op->code == IR_LOOP || op->code == IR_SCAN ? 1
      : op->code == IR_IF                                                 ? 2
                                                                          : 0;
  if (op->nregions != want) {
    verify_op(v, op, REGIONS, "'%s' has %u regions, here %u",
              ir_ops[op->code].text, want, op->nregions);
    return;
  }
  if (op->code == IR_LOOP)
    check_loop(v, op);
  else if (op->code == IR_SCAN)
    check_scan(v, op);
  else
    check_plain(v, op);
}

/* ---- Ops and blocks ---- */

static bool is_terminator(const struct ir_op *op) {
  return op->code == IR_RETURN || op->code == IR_YIELD;
}

static void check_operands(struct verifier *v, const struct ir_op *op) {
  for (unsigned i = 0; i < op->noperands; i++) {
    const struct ir_value *x = ir_arg(op, i);
    assert(x->id < v->m->nvalues && "ids are dense: value_new()");
    if (!x->data && !v->defined[x->id])
      verify_op(v, op, DOMINANCE, "%%%s is not visible here", x->name);
  }
}

/* Its scalar functions are defined for the element types: this depends on those
 * alone, so that each combination is looked at once. */
static void check_scalars(struct verifier *v, const struct ir_op *op) {
  uint64_t key = (uint64_t)op->code;
  for (unsigned i = 0; i < op->noperands && i < 3; i++) {
    key = key * (IR_NUM_DTYPES + 1) + (uint64_t)ir_arg(op, i)->type->dtype + 1;
    if (!ir_type_is_static(ir_arg(op, i)->type))
      return; /* looked at again when the dims are bound */
  }
  key = key * IR_NUM_DTYPES + (uint64_t)ir_result(op)->type->dtype;
  for (size_t i = 0; i < v->combinations.n; i++)
    if (v->combinations.v[i] == key)
      return;
  struct dn_arena *arena = dn_arena_new(v->ctx);
  const struct nest *n = nest_build(arena, op);
  if (n && nest_types_ok(n)) {
    DN_PUSH(v->scratch, v->combinations, key);
  } else if (n) {
    dn_error(v->ctx, ir_loc(op), DN_UNSUPPORTED_TYPE,
             "'%s' is not defined for %s", ir_ops[op->code].text,
             ir_dtypes[n->acc_type].text);
    v->errors++;
  }
  dn_arena_free(arena);
}

/* Sizes that are known at run time only are those of the operands, but where an
 * attribute holds their bounds. */
static bool sizes_agree(const struct ir_op *op,
                        const struct ir_type *inferred) {
  struct ir_attr_spec spec;
  bool stated = ir_op_attr_spec(op->code, "shape", 5, &spec) ||
                ir_op_attr_spec(op->code, "sizes", 5, &spec);
  const struct ir_type *type = ir_result(op)->type;
  for (int d = 0; d < type->rank; d++)
    if (type->size[d] != inferred->size[d] && (inferred->size[d] || !stated))
      return false;
  return true;
}

static void check_op(struct verifier *v, const struct ir_op *op) {
  if (!ir_op_check(v->ctx, op)) {
    v->errors++;
    return;
  }
  bool one = ir_ops[op->code].cls != IR_REGION;
  if (one ? op->nresults != 1 : is_terminator(op) && op->nresults) {
    verify_op(v, op, RESULTS, "'%s' with %u results", ir_ops[op->code].text,
              op->nresults);
    return;
  }
  if (v->m->form != IR_PLANNED)
    for (unsigned i = 0; i < op->nattrs; i++)
      if (ir_is_plan_attr(op->attr[i].name))
        verify_op(v, op, FORM, "plan attribute '%s' in the %s form",
                  op->attr[i].name, ir_form_names[v->m->form]);
  if (!one || op->nregions) {
    check_regions(v, op);
    return;
  }
  const struct ir_type *type = ir_infer(v->ctx, op);
  if (!type)
    v->errors++;
  else if (!alike(type, ir_result(op)->type) || !sizes_agree(op, type))
    verify_op(v, op, TYPE, "the result is %s, inferred is %s",
              verify_type_text(v, ir_result(op)->type),
              verify_type_text(v, type));
  else
    check_scalars(v, op);
}

static void define(struct verifier *v, const struct ir_value *x) {
  assert(x->id < v->m->nvalues && "ids are dense: value_new()");
  check_type(v, x);
  verify_turns(v, x);
  v->defined[x->id] = true;
}

/* Recursion is as deep as regions nest, which the parser and the importers
 * bound. */
static void check_block(struct verifier *v, const struct ir_block *b,
                        enum ir_opcode end) {
  for (unsigned i = 0; i < b->nparams; i++)
    define(v, b->param[i]);
  for (const struct ir_op *op = b->first; op; op = op->next) {
    if (is_terminator(op) && (op->next || op->code != end))
      verify_op(v, op, TERMINATOR, "'%s' %s", ir_ops[op->code].text,
                op->next ? "is not the last op" : "does not belong here");
    check_operands(v, op);
    for (unsigned i = 0; i < op->nregions; i++)
      check_block(v, op->region[i], IR_YIELD);
    check_op(v, op);
    for (unsigned i = 0; i < op->nresults; i++)
      define(v, op->result[i]);
  }
  if (!b->last || !is_terminator(b->last))
    verify_fail(v,
                b->last    ? ir_loc(b->last)
                : b->owner ? ir_loc(b->owner)
                           : (struct dn_loc){.file = v->m->file,
                                             .where = b->func->name},
                VERIFY_TERMINATOR, "'%s' is missing at the end",
                ir_ops[end].text);
  for (const struct ir_op *op = b->first; op; op = op->next)
    for (unsigned i = 0; i < op->nresults; i++)
      v->defined[op->result[i]->id] = false; /* not outside the block */
  for (unsigned i = 0; i < b->nparams; i++)
    v->defined[b->param[i]->id] = false;
}

/* Each result's entry: -1, or a parameter that no other has. */
static void check_state(struct verifier *v, const struct ir_func *f,
                        const struct ir_op *ret) {
  const struct ir_attr *a = ir_find_attr(ret, "state");
  bool *taken = DN_ARRAY(v->scratch, bool, f->body->nparams + 1);
  if (a && a->n != ret->noperands)
    verify_op(v, ret, STATE, "%lld entries for %u results", (long long)a->n,
              ret->noperands);
  for (unsigned i = 0; a && a->n == ret->noperands && i < a->n; i++) {
    int64_t k = a->is[i];
    if (k < -1 || k >= f->body->nparams)
      verify_op(v, ret, STATE, "there is no parameter %lld", (long long)k);
    if (k < 0 || k >= f->body->nparams)
      continue;
    const struct ir_type *from = f->body->param[k]->type,
                         *to = ir_arg(ret, i)->type;
    if (taken[k] || !ir_state_fits(from, to))
      verify_op(v, ret, STATE, "result %u, %s, in the memory of %%%s, %s", i,
                verify_type_text(v, to), f->body->param[k]->name,
                taken[k] ? "which another has" : verify_type_text(v, from));
    taken[k] = true;
  }
  for (unsigned i = 0; i < f->body->nparams; i++) {
    const struct ir_value *p = f->body->param[i], *c = p->initial;
    if (c && c->type != p->type)
      verify_op(v, ret, STATE, "%%%s, %s, cannot begin as @%s, %s", p->name,
                verify_type_text(v, p->type), c->name,
                verify_type_text(v, c->type));
  }
}

/* Each result's entry: -1, or the result with its sizes. */
static void check_dims(struct verifier *v, const struct ir_op *ret) {
  const struct ir_attr *a = ir_find_attr(ret, "dims");
  if (a && a->n != ret->noperands)
    verify_op(v, ret, DIMS, "%lld entries for %u results", (long long)a->n,
              ret->noperands);
  for (unsigned i = 0; a && a->n == ret->noperands && i < a->n; i++) {
    int64_t k = a->is[i], rank = ir_arg(ret, i)->type->rank;
    const struct ir_type *t =
        k >= 0 && k < a->n && k != i ? ir_arg(ret, (unsigned)k)->type : NULL;
    if (k != -1 && (!t || t->dtype != IR_I64 || t->rank != 1 ||
                    t->dim[0] != rank || t->size[0]))
      verify_op(v, ret, DIMS, "result %lld has no sizes of result %u",
                (long long)k, i);
  }
}

static void check_func(struct verifier *v, const struct ir_func *f) {
  assert(f->module == v->m && "functions of the module that is verified");
  check_block(v, f->body, IR_RETURN);
  const struct ir_op *last = f->body->last;
  if (last && last->code == IR_RETURN && last->noperands != f->nresults)
    verify_op(v, last, RETURN,
              "%u values returned, the function has %u results",
              last->noperands, f->nresults);
  else if (last && last->code == IR_RETURN && !v->errors)
    check_state(v, f, last);
  if (last && last->code == IR_RETURN && !v->errors)
    check_dims(v, last);
  const struct ir_attr *io = last ? ir_find_attr(last, "io") : NULL;
  struct ir_sizes sizes;
  if (io &&
      (io->n != f->body->nparams + f->nresults || !ir_sizes_of(f, &sizes) ||
       sizes.most.n || ir_find_attr(last, "state")))
    verify_op(v, last, IO, "%lld places for %u inputs and %u outputs",
              (long long)io->n, f->body->nparams, f->nresults);
}

bool ir_verify(struct ir_module *m) {
  struct verifier v = {.ctx = m->ctx, .m = m, .scratch = dn_arena_new(m->ctx)};
  v.defined = DN_ARRAY(v.scratch, bool, m->nvalues);
  for (size_t i = 0; i < m->consts.n; i++)
    check_type(&v, m->consts.v[i]);
  for (const struct ir_func *f = m->funcs; f; f = f->next)
    check_func(&v, f);
  for (const struct ir_func *f = m->funcs; f && !v.errors; f = f->next)
    verify_sizes(&v, f);
  for (const struct ir_func *f = m->funcs; f && !v.errors; f = f->next)
    verify_kernels(&v, f);
  if (m->form == IR_PLANNED)
    for (const struct ir_func *f = m->funcs; f && !v.errors; f = f->next)
      verify_plan(&v, f);
  dn_arena_free(v.scratch);
  return !v.errors;
}
