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

int64_t pass_int(const struct pass_env *env, const char *name) {
  for (size_t i = 0; i < env->run->nopts; i++)
    if (!strcmp(env->run->opts[i].name, name))
      return env->run->opts[i].value;
  const char *spec = dn_word(env->run->row->opts, name, strlen(name), NULL);
  assert(spec && "a pass reads options of its own row");
  return strtoll(dn_word_default(spec), NULL, 10);
}
