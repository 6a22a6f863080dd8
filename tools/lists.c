/* lists.c - --list-ops and --list-passes: the tables, for people. */
#include "ir/ir.h"
#include "passes/pass.h"
#include "tools/options.h"

void opt_list_ops(FILE *out) {
  static const char *const classes[] = {"map", "contract", "reduce", "move",
                                        "region"};
  for (int i = 0; i < IR_NUM_OPS; i++) {
    const struct ir_op_row *row = &ir_ops[i];
    fprintf(out, "%-17s %-8s %-7s %s", row->text, classes[row->cls],
            row->operands, row->summary);
    fprintf(out, *row->attrs ? " {%s}\n" : "\n", row->attrs);
  }
}

void opt_list_passes(FILE *out) {
  for (size_t i = 0; i < pass_nrows; i++) {
    const struct pass_row *row = &pass_rows[i];
    fprintf(out, "%-13s %s -> %-8s %s", row->name, ir_form_names[row->needs],
            ir_form_names[row->makes], row->summary);
    fprintf(out, *row->opts ? " {%s}\n" : "\n", row->opts);
  }
  fprintf(out, "\n");
#define PIPELINE(name, text) fprintf(out, "%-13s %s\n", name, text);
#include "passes/pipelines.def"
#undef PIPELINE
}
