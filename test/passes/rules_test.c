/* rules_test.c - every rule of rules.def holds: random graphs that it matches
 * are evaluated before and after by the interpreter, on inputs with infinities,
 * NaN and both zeros, and compared as closely as the rule's mark promises. A
 * rule that no random graph matches fails too. */
#include "rules_test.h"

#include "ir/eval.h"
#include "passes/edit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MATCHES = 200, TRIES = 100000 };

struct check {
  struct dn_ctx *ctx;
  struct random random;
  const struct rule *rule;
};

/* false: the op has no meaning for the element type. */
static bool run(struct dn_arena *arena, struct ir_module *m,
                const struct ir_tensor *in, struct ir_tensor *out) {
  return ir_eval(arena, ir_main(m), in, out, &(struct ir_eval_opts){0});
}

static void random_inputs(struct check *c, struct dn_arena *arena,
                          const struct ir_module *m, struct ir_tensor *in) {
  const struct ir_block *b = ir_main(m)->body;
  bool tame = c->rule->mark == RULE_FAST;
  for (unsigned i = 0; i < b->nparams; i++) {
    const struct ir_type *t = b->param[i]->type;
    char *p = dn_alloc(arena, (size_t)ir_type_bytes(t) + 1);
    for (int64_t k = 0; k < ir_type_count(t); k++) {
      double v = random_number(&c->random, t->dtype, tame);
      if (tame)
        v = fabs(v) + 0.25; /* where roots and logarithms are defined */
      ir_store_float(t->dtype, p + k * ir_dtypes[t->dtype].bytes, v);
    }
    in[i] = (struct ir_tensor){t, p};
  }
}

static bool same(enum rule_mark mark, enum ir_dtype t, double a, double b) {
  if (isnan(a) || isnan(b))
    return isnan(a) && isnan(b);
  double ulp = t == IR_F64 ? 0x1p-52 : 0x1p-23;
  double size = fmax(fabs(a), fabs(b));
  switch (mark) {
  case RULE_EXACT:
    return a == b && signbit(a) == signbit(b);
  case RULE_ZERO:
    return a == b;
  case RULE_ROUND:
    return a == b || fabs(a - b) <= 4 * ulp * size + 0x1p-147;
  case RULE_FAST:
    return a == b || fabs(a - b) <= 64 * ulp * fmax(size, 1);
  }
  return false;
}

static bool compare(struct check *c, const struct ir_tensor *a,
                    const struct ir_tensor *b) {
  enum ir_dtype t = a->type->dtype;
  for (int64_t i = 0; i < ir_type_count(a->type); i++) {
    const char *pa = (const char *)a->data + i * ir_dtypes[t].bytes;
    const char *pb = (const char *)b->data + i * ir_dtypes[t].bytes;
    double va = ir_load_float(t, pa), vb = ir_load_float(t, pb);
    if (same(c->rule->mark, t, va, vb))
      continue;
    printf("FAIL: RULE(\"%s\", \"%s\", \"%s\"): element %lld was %.9g, is "
           "%.9g\n",
           c->rule->text[0], c->rule->text[1], c->rule->text[2], (long long)i,
           va, vb);
    return false;
  }
  return true;
}

static struct ir_op *root_of(const struct ir_module *m) {
  return ir_arg(ir_main(m)->body->last, 0)->def;
}

/* 1: matched and held, 0: no match, -1: matched and failed. */
static int try_once(struct check *c) {
  struct ir_module *m = random_instance(c->ctx, &c->random, c->rule);
  struct rule_match match;
  if (!m)
    return 0;
  int result = 0;
  if (rule_matches(c->rule, root_of(m), &match)) {
    struct dn_arena *arena = dn_arena_new(c->ctx);
    struct ir_tensor in[RULE_BINDINGS], before, after;
    random_inputs(c, arena, m, in);
    bool fresh, ok = run(arena, m, in, &before);
    struct ir_value *v = ok ? rule_build(c->rule, &match, &fresh) : NULL;
    if (v) {
      edit_replace(root_of(m), v, fresh);
      ok = run(arena, m, in, &after) && compare(c, &before, &after);
      result = ok ? 1 : -1;
      struct dn_buf text = dn_buf_new(arena);
      ir_print(&text, m, &(struct ir_print_opts){.const_limit = -1});
      if (result < 0)
        printf("%s", text.text);
    }
    dn_arena_free(arena);
  }
  ir_module_free(m);
  return result;
}

int main(void) {
  struct dn_ctx *ctx = dn_ctx_new(stdout);
  const struct rules *rules = rules_parse(ctx, ctx->arena);
  int failures = 0;
  for (size_t i = 0; i < rules->n; i++) {
    struct check c = {ctx, {i + 1}, &rules->rule[i]};
    int matched = 0, result = 0;
    size_t mark = dn_diags_count(ctx);
    for (int k = 0; k < TRIES && matched < MATCHES && result >= 0; k++) {
      dn_diags_capture(ctx, true); /* of choices that do not fit */
      result = try_once(&c);
      dn_diags_rewind(ctx, mark);
      dn_diags_capture(ctx, false);
      matched += result > 0;
    }
    failures += result < 0 || matched < 8;
    if (result >= 0 && matched < 8)
      printf("FAIL: RULE(\"%s\", ...): only %d random graphs match\n",
             c.rule->text[0], matched);
  }
  printf("%zu rules, %d failures\n", rules->n, failures);
  dn_ctx_free(ctx);
  return failures != 0;
}
