/* memmap.c - the arena over time as a picture: a column for each step, bytes
 * upwards, and a box for each value from the step that makes it to the last
 * that reads it. SVG without scripts; every box says in words what it shows. */
#include "codegen/report/report.h"
#include "codegen/report/timeline.h"
#include "ir/place.h"

#include <assert.h>
#include <string.h>

enum {
  WIDTH = 960,  /* of the steps */
  HEIGHT = 420, /* of the bytes */
  LEFT = 90,    /* room for the numbers of bytes */
  TOP = 10,
  FOOT = 150,     /* room for the names of layers */
  MAX_NAMES = 48, /* of steps, as text */
  LETTER = 7,
  LINE = 13
};

struct map {
  struct dn_buf *out;
  struct dn_arena *arena;
  const struct ir_module *m;
  struct cg_timeline t;
  double step, byte; /* pixels of one */
};

static const char *count(const struct map *m, int64_t n) {
  return cg_count_text(m->arena, n);
}

static double x_of(const struct map *m, size_t step) {
  return LEFT + (double)step * m->step;
}

static double y_of(const struct map *m, int64_t byte) {
  return TOP + HEIGHT - (double)byte * m->byte;
}

static void put_name(const struct map *m, size_t step) {
  const struct ir_op *op = m->t.op.v[step];
  cg_put_html(m->out, m->arena,
              op->nresults ? cg_layer_of(m->arena, op).name
                           : ir_ops[op->code].text);
}

/* The start of a box over steps [first, last] and bytes [lo, hi). */
static void put_box(const struct map *m, size_t first, size_t last, int64_t lo,
                    int64_t hi, const char *kind) {
  assert(first <= last && lo <= hi && "a span of the timeline");
  dn_buf_printf(m->out,
                "<rect class=\"%s\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" "
                "height=\"%.2f\"><title>",
                kind, x_of(m, first), y_of(m, hi),
                (double)(last - first + 1) * m->step,
                (double)(hi - lo) * m->byte);
}

/* A column for each step behind the boxes, and a name below it. */
static void put_steps(const struct map *m, int64_t size) {
  size_t n = m->t.op.n, peak = 0;
  for (size_t i = 0; i < n; i++)
    peak = m->t.live[i] > m->t.live[peak] ? i : peak;
  for (size_t i = 0; i < n; i++) {
    const struct ir_op *op = m->t.op.v[i];
    if (ir_has_blocks(op) && i == m->t.stop[op->id])
      continue;
    put_box(m, i, m->t.stop[op->id], 0, size,
            ir_has_blocks(op) ? "region" : "step");
    dn_buf_printf(m->out, "step %zu, ", i);
    put_name(m, i);
    dn_buf_printf(m->out, ": %s bytes in use</title></rect>\n",
                  count(m, m->t.live[i]));
    if (m->t.live[i] == m->t.live[peak])
      dn_buf_printf(m->out, "<path class=\"peak\" d=\"M%.2f %dh%.2f\"/>\n",
                    x_of(m, i), TOP + HEIGHT + 3, m->step);
    if (n > MAX_NAMES || !op->nresults)
      continue;
    dn_buf_printf(m->out, "<text transform=\"translate(%.2f %d) rotate(60)\">",
                  x_of(m, i) + m->step / 2 - 3, TOP + HEIGHT + LINE);
    put_name(m, i);
    dn_buf_printf(m->out, "</text>\n");
  }
}

static void put_values(const struct map *m) {
  for (size_t i = 0; i < m->t.spans.n; i++) {
    const struct cg_span *s = &m->t.spans.v[i];
    char kind[] = {'c', (char)('0' + i % 6), 0};
    put_box(m, s->first, s->last, s->lo, s->hi, kind);
    cg_put_html(m->out, m->arena, s->value->name);
    dn_buf_printf(m->out, " %s: %s bytes at %s, from ",
                  ir_type_text(m->m->ctx, m->arena, s->value->type),
                  count(m, s->hi - s->lo), count(m, s->lo));
    put_name(m, s->first);
    dn_buf_printf(m->out, " to ");
    put_name(m, s->last);
    dn_buf_printf(m->out, "</title></rect>\n");
    double wide = (double)(s->last - s->first + 1) * m->step;
    if ((double)(s->hi - s->lo) * m->byte < LINE + 2 ||
        wide < (double)(LETTER * strlen(s->value->name)))
      continue;
    dn_buf_printf(m->out, "<text x=\"%.2f\" y=\"%.2f\">", x_of(m, s->first) + 4,
                  y_of(m, s->hi) + LINE);
    cg_put_html(m->out, m->arena, s->value->name);
    dn_buf_printf(m->out, "</text>\n");
  }
}

static void put_scale(const struct map *m, int64_t size) {
  enum { LINES = 4 };
  for (int i = 0; i <= LINES; i++) {
    int64_t at = size / LINES * i + size % LINES * i / LINES;
    dn_buf_printf(m->out,
                  "<text class=\"bytes\" x=\"%d\" y=\"%.2f\">%s</text>\n"
                  "<path d=\"M%d %.2fh%d\"/>\n",
                  LEFT - 6, y_of(m, at) + 4, count(m, at), LEFT, y_of(m, at),
                  WIDTH);
  }
}

void cg_memmap(const struct ir_module *module, struct dn_buf *out) {
  struct dn_arena *arena = dn_arena_new(module->ctx);
  struct map m = {.out = out, .arena = arena, .m = module};
  int64_t size = dn_max(module->arena_size, 1);
  cg_timeline_build(&m.t, arena, module);
  m.step = (double)WIDTH / (double)m.t.op.n;
  m.byte = (double)HEIGHT / (double)size;
  dn_buf_printf(
      out,
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
      "width=\"%d\" height=\"%d\" role=\"img\">\n"
      "<title>The arena over time: %s bytes, %zu values, %zu steps</title>\n"
      "<desc>A column for each step from left to right, bytes of the arena "
      "from "
      "below; a box is a value, from the step that makes it to the last that "
      "reads it. A red line is below the steps with most bytes in use.</desc>\n"
      "<style>svg text{font:11px sans-serif;fill:#222}"
      "svg path{stroke:#bbb;stroke-width:.5}"
      "svg .bytes{text-anchor:end}svg rect{stroke:#fff;stroke-width:.6}"
      "svg .step{fill:#fff}svg .peak{stroke:#e02040;stroke-width:4}svg "
      ".region{fill:#eee}"
      "svg .c0{fill:#88aacc}svg .c1{fill:#a8cfa0}svg .c2{fill:#e5c97c}"
      "svg .c3{fill:#c9a6cf}svg .c4{fill:#8fcfd0}svg .c5{fill:#dba58a}"
      "</style>\n",
      LEFT + WIDTH + 60, TOP + HEIGHT + FOOT, LEFT + WIDTH + 60,
      TOP + HEIGHT + FOOT, count(&m, module->arena_size), m.t.spans.n,
      m.t.op.n);
  put_steps(&m, size);
  put_scale(&m, size);
  put_values(&m);
  dn_buf_printf(out, "</svg>\n");
  dn_arena_free(arena);
}
