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
void cg_report_json(const struct cg_facts_sheet *r, struct dn_buf *out);
void cg_report_html(const struct cg_facts_sheet *r, struct dn_buf *out);

/* Text as HTML and SVG take it. */
void cg_put_html(struct dn_buf *out, struct dn_arena *arena, const char *s);

/* 89610 as "89,610". */
const char *cg_count_text(struct dn_arena *arena, int64_t n);

#endif
