/* passes.c - the rows of passes.def and pipelines.def as tables, and the
 * options that a pass was given: the pipeline's, or the default of its row. */
#include "passes/edit.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const struct pass_row pass_rows[] = {
#define PASS(NAME, needs, makes, opts, summary)                                \
  {#NAME, IR_##needs, IR_##makes, opts, summary, pass_##NAME},
#include "passes/passes.def"
#undef PASS
};
const size_t pass_nrows = DN_COUNT(pass_rows);

const char *pass_pipeline_text(const char *name) {
  static const char *const rows[][2] = {
#define PIPELINE(name, text) {name, text},
#include "passes/pipelines.def"
#undef PIPELINE
  };
  for (size_t i = 0; i < DN_COUNT(rows); i++)
    if (dn_word(rows[i][0], name, strlen(name), NULL))
      return rows[i][1];
  return NULL;
}

static const struct ir_attr *find_opt(const struct pass_env *env,
                                      const char *name) {
  for (size_t i = 0; i < env->run->nopts; i++)
    if (!strcmp(env->run->opts[i].name, name))
      return &env->run->opts[i].value;
  return NULL;
}

/* Text of the default, up to a space. */
static const char *default_of(const struct pass_env *env, const char *name) {
  const char *spec = dn_word(env->run->row->opts, name, strlen(name), NULL);
  assert(spec && "a pass reads options of its own row");
  return dn_word_default(spec);
}

int64_t pass_int(const struct pass_env *env, const char *name) {
  const struct ir_attr *opt = find_opt(env, name);
  assert((!opt || opt->kind == IR_A_INT) && "read_value() goes by the row");
  return opt ? opt->i : strtoll(default_of(env, name), NULL, 10);
}

const char *pass_str(const struct pass_env *env, const char *name) {
  const struct ir_attr *opt = find_opt(env, name);
  assert((!opt || opt->kind == IR_A_STR) && "read_value() goes by the row");
  if (opt)
    return opt->s;
  const char *text = default_of(env, name);
  return dn_intern_n(env->ctx, text, strcspn(text, " "));
}

bool pass_opt_kind(const struct pass_row *row, const char *name,
                   enum ir_attr_kind *kind) {
  const char *spec = dn_word(row->opts, name, strlen(name), NULL);
  if (!spec)
    return false;
  assert(spec[strlen(name)] == ':' && "find_spec()");
  *kind = strchr(spec, ':')[1] == 's' ? IR_A_STR : IR_A_INT;
  return true;
}
