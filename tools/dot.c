/* dot.c - a box for an op, or for a kernel with its ops inside; an edge for a
 * value that one reads of another. Constants are left out. */
#include "tools/dot.h"

#include <string.h>

static void put_text(struct dn_buf *out, const char *s) {
  struct dn_buf text = dn_buf_new(out->arena);
  dn_buf_escape(&text, s, strlen(s) < 80 ? strlen(s) : 80);
  for (const char *p = text.text; *p; p++)
    dn_buf_printf(out, *p == '\\' ? "\\%c" : "%c", *p);
}

/* The op outside kernels that `op` is part of. */
static const struct ir_op *outermost(const struct ir_op *op) {
  while (op->block->owner)
    op = op->block->owner;
  return op;
}

static void put_op_names(struct dn_buf *out, const struct ir_op *op) {
  if (!op->nregions) {
    dn_buf_printf(out, "%s", ir_ops[op->code].text);
    return;
  }
  const char *between = "";
  for (unsigned r = 0; r < op->nregions; r++)
    for (const struct ir_op *o = op->region[r]->first; o; o = o->next)
      if (o->nresults) {
        dn_buf_printf(out, "%s%s", between, ir_ops[o->code].text);
        between = "\\n";
      }
}

static void put_node(struct dn_buf *out, struct dn_ctx *ctx,
                     const struct ir_op *op) {
  dn_buf_printf(out, "  op%u [label=\"", op->id);
  put_op_names(out, op);
  for (unsigned i = 0; i < op->nresults; i++) {
    dn_buf_printf(out, "\\n%%");
    put_text(out, op->result[i]->name);
    dn_buf_printf(out, ": %s", ir_type_text(ctx, NULL, op->result[i]->type));
  }
  dn_buf_printf(out, "\"];\n");
}

static void put_edges(struct dn_buf *out, const struct ir_op *to) {
  for (const struct ir_op *op = to; op; op = ir_next_inside(to, op))
    for (unsigned i = 0; i < op->noperands; i++) {
      const struct ir_value *v = ir_arg(op, i);
      if (v->def && outermost(v->def) != to)
        dn_buf_printf(out, "  op%u -> op%u;\n", outermost(v->def)->id, to->id);
      else if (!v->def && !v->data && !v->block->owner)
        dn_buf_printf(out, "  in%u -> op%u;\n", v->index, to->id);
    }
}

void dot_print(struct dn_buf *out, const struct ir_module *m) {
  const struct ir_block *body = ir_main(m)->body;
  dn_buf_printf(out, "digraph model {\n  node [shape=box, "
                     "fontname=\"monospace\"];\n");
  for (unsigned i = 0; i < body->nparams; i++) {
    dn_buf_printf(out, "  in%u [shape=ellipse, label=\"%%", i);
    put_text(out, body->param[i]->name);
    dn_buf_printf(out, ": %s\"];\n",
                  ir_type_text(m->ctx, NULL, body->param[i]->type));
  }
  for (const struct ir_op *op = body->first; op; op = op->next) {
    put_node(out, m->ctx, op);
    put_edges(out, op);
  }
  dn_buf_printf(out, "}\n");
}
