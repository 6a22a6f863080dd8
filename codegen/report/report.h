/* report.h - what the three forms of the report are made from. */
#ifndef CG_REPORT_H
#define CG_REPORT_H

#include "codegen/cg.h"
#include "codegen/report/cost.h"
#include "codegen/report/stats.h"

struct cg_facts_sheet {
  struct dn_ctx *ctx;
  const struct cg_names *target;
  const struct ir_facts *facts;
  const struct ir_module *m;
  const struct cg_opts *opts;
  struct cg_sizes sizes;
  struct cg_stats stats;
  struct cg_machine machine;
  struct cg_cost cost; /* of the run */
};
/* A cell of a layer: layers.def. */
struct cg_cell {
  const char *key, *head; /* head NULL: it is no column */
  int width, digits;
  const char *text; /* or NULL: a number */
  double number;
  bool shown; /* text has it; JSON has all columns, and what is shown */
};
enum {
#define TEXT(key, ...) CG_CELL_##key,
#define NUMBER(key, ...) CG_CELL_##key,
#include "codegen/report/layers.def"
  CG_CELLS
};
/* The cells of a layer, in the order of layers.def. */
void cg_layer_cells(const struct cg_facts_sheet *r, const struct cg_layer *l,
                    struct cg_cell out[static CG_CELLS]);
/* Triple and CPU. */
const char *cg_target_text(const struct cg_facts_sheet *r);
/* A cell as text. */
const char *cg_cell_text(const struct cg_facts_sheet *r,
                         const struct cg_cell *c);
void cg_report_json(const struct cg_facts_sheet *r, struct dn_buf *out);
void cg_report_html(const struct cg_facts_sheet *r, struct dn_buf *out);

/* Text as HTML and SVG take it. */
void cg_put_html(struct dn_buf *out, struct dn_arena *arena, const char *s);

/* 89610 as "89,610". */
const char *cg_count_text(struct dn_arena *arena, int64_t n);

#endif
