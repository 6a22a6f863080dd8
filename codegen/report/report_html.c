/* report_html.c - the report as one page without scripts: the totals, the arena
 * over time as a picture, and the layers as a table. */
#include "codegen/report/report.h"

#include "ir/place.h"

#include <string.h>

void cg_put_html(struct dn_buf *out, struct dn_arena *arena, const char *s) {
  struct dn_buf text = dn_buf_new(arena);
  dn_buf_escape(&text, s, strlen(s));
  for (const char *p = text.text; *p; p++) {
    if (*p == '<')
      dn_buf_printf(out, "&lt;");
    else if (*p == '>')
      dn_buf_printf(out, "&gt;");
    else if (*p == '&')
      dn_buf_printf(out, "&amp;");
    else
      dn_buf_put(out, p, 1);
  }
}

static const char *count(const struct cg_facts_sheet *r, int64_t n) {
  return cg_count_text(r->ctx->arena, n);
}

static void put_total(const struct cg_facts_sheet *r, struct dn_buf *out,
                      const char *what, int64_t n, const char *unit) {
  if (what)
    dn_buf_printf(out, "<tr><th>%s</th><td>%s%s</td></tr>\n", what, count(r, n),
                  unit);
}

static void put_row(const struct cg_facts_sheet *r, struct dn_buf *out,
                    const struct cg_layer *l, bool heads) {
  struct cg_cell cell[CG_CELLS];
  cg_layer_cells(r, l, cell);
  dn_buf_printf(out, "<tr>");
  for (size_t i = 0; i < CG_CELLS; i++) {
    if (!cell[i].head || !cell[i].shown)
      continue;
    dn_buf_printf(out, heads ? "<th>" : "<td>");
    cg_put_html(out, r->ctx->arena,
                heads ? cell[i].head : cg_cell_text(r, &cell[i]));
    dn_buf_printf(out, heads ? "</th>" : "</td>");
  }
  dn_buf_printf(out, "</tr>\n");
}

static void put_table(const struct cg_facts_sheet *r, struct dn_buf *out) {
  dn_buf_printf(out, "<h2>Layers</h2>\n<table>\n");
  for (size_t i = 0; i < r->stats.layers.n; i++) {
    if (!i)
      put_row(r, out, &r->stats.layers.v[i], true);
    put_row(r, out, &r->stats.layers.v[i], false);
  }
  dn_buf_printf(out, "</table>\n");
}

void cg_report_html(const struct cg_facts_sheet *r, struct dn_buf *out) {
  const char *name = r->m->name ? r->m->name : r->opts->prefix;
  dn_buf_printf(out, "<!doctype html>\n<meta charset=\"utf-8\">\n<title>");
  cg_put_html(out, r->ctx->arena, name);
  dn_buf_printf(out, "</title>\n<style>body{font:14px sans-serif;margin:2em}"
                     "td,th{text-align:left;padding:.1em .8em .1em 0}"
                     "</style>\n<h1>");
  cg_put_html(out, r->ctx->arena, name);
  dn_buf_printf(out,
                "</h1>\n<table>\n<tr><th>target</th><td>%s</td></tr>\n",
                cg_target_text(r));
#define TOTAL(key, label, unit, value) put_total(r, out, label, value, unit);
#include "codegen/report/totals.def"
  put_total(r, out, "energy", (int64_t)(r->cost.energy / 1e3), " nJ");
  dn_buf_printf(out, "</table>\n");
  dn_buf_printf(out, "<h2>Arena over time</h2>\n");
  cg_memmap(r->m, out);
  put_table(r, out);
}
