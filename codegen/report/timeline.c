/* timeline.c - see timeline.h. What is made in a region lives there; what it
 * reads from outside lives through the whole op. */
#include "codegen/report/timeline.h"

#include "ir/place.h"

#include <assert.h>
#include <stdlib.h>

struct build {
  struct cg_timeline *t;
  struct dn_arena *arena;
  size_t *last; /* by value id: the last step that reads it */
};

static bool in_arena(const struct ir_value *v, struct cg_span *out) {
  struct ir_place p;
  if (!ir_place_of(v, &p) || p.space != IR_IN_ARENA || !ir_type_count(v->type))
    return false;
  if (p.number)
    p.offset += ir_arena_part(ir_home(v)->func->module, 0);
  *out = (struct cg_span){.value = v};
  return ir_place_span(v, &p, &out->lo, &out->hi) && out->lo < out->hi;
}

static void lives_to(size_t *last, size_t now) {
  *last = *last < now ? now : *last;
}

static void add_span(struct build *b, const struct ir_value *v, size_t now) {
  struct cg_span s;
  lives_to(&b->last[v->id], now);
  if (!in_arena(v, &s))
    return;
  s.first = now;
  DN_PUSH(b->arena, b->t->spans, s);
}

static size_t add_step(struct build *b, const struct ir_op *op) {
  DN_PUSH(b->arena, b->t->op, op);
  return b->t->op.n - 1;
}

/* Values of block `home` that `op` or an op inside it reads. */
static void add_reads(struct build *b, const struct ir_op *op,
                      const struct ir_block *home, size_t now) {
  for (const struct ir_op *o = op; o; o = ir_next_inside(op, o))
    for (unsigned i = 0; i < o->noperands; i++)
      if (ir_home(ir_arg(o, i)) == home)
        b->last[ir_arg(o, i)->id] = now;
}

static void visit(struct build *b, const struct ir_block *block) {
  struct cg_timeline *t = b->t;
  for (const struct ir_op *op = block->first; op; op = op->next) {
    bool none = ir_is_view(op) || op->code == IR_YIELD;
    size_t now = t->start[op->id] = none ? t->op.n : add_step(b, op);
    for (unsigned i = 0; i < op->nresults; i++)
      add_span(b, op->result[i], now);
    for (unsigned r = 0; ir_has_blocks(op) && r < op->nregions; r++) {
      for (unsigned i = 0; ir_is_loop(op) && i < ir_loop_skips(op); i++)
        if (op->region[r]->param[i]->uses)
          add_span(b, op->region[r]->param[i], now);
      visit(b, op->region[r]);
    }
    size_t end = ir_has_blocks(op) ? add_step(b, op) : now;
    t->stop[op->id] = end;
    for (unsigned i = 0; i < op->nresults; i++)
      b->last[op->result[i]->id] = end;
    add_reads(b, op, block, end);
  }
}

/* A value lives as long as its views do; these have no bytes of their own. */
static void finish_spans(struct build *b) {
  struct cg_timeline *t = b->t;
  size_t kept = 0;
  for (size_t i = t->spans.n; i-- > 0;) {
    const struct ir_value *v = t->spans.v[i].value;
    if (v->def && ir_is_view(v->def))
      lives_to(&b->last[ir_arg(v->def, 0)->id], b->last[v->id]);
  }
  for (size_t i = 0; i < t->spans.n; i++) {
    struct cg_span *s = &t->spans.v[i];
    s->last = b->last[s->value->id];
    if (!s->value->def || !ir_is_view(s->value->def))
      t->spans.v[kept++] = *s;
  }
  t->spans.n = kept;
}

static int compare_spans(const void *a, const void *b) {
  const struct cg_span *x = a, *y = b;
  return x->lo != y->lo ? (x->lo < y->lo ? -1 : 1) : 0;
}

/* Bytes of the union of spans. */
static int64_t union_bytes(struct cg_span *s, size_t n) {
  int64_t total = 0, end = INT64_MIN;
  if (n)
    qsort(s, n, sizeof *s, compare_spans);
  for (size_t i = 0; i < n; i++) {
    if (s[i].hi > end) {
      assert(s[i].lo < s[i].hi && "in_arena() leaves empty values out");
      total += s[i].hi - dn_max(s[i].lo, end);
      end = s[i].hi;
    }
  }
  return total;
}

/* Spans come in the order of `first`, so one sweep with a list of those in use
 * suffices. */
static void count_live(struct build *b) {
  struct cg_timeline *t = b->t;
  struct cg_span *in_use = DN_ARRAY(b->arena, struct cg_span, t->spans.n + 1);
  size_t n = 0, next = 0;
  t->live = DN_ARRAY(b->arena, int64_t, t->op.n + 1);
  for (size_t now = 0; now < t->op.n; now++) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
      if (in_use[i].last >= now)
        in_use[kept++] = in_use[i];
    n = kept;
    while (next < t->spans.n && t->spans.v[next].first == now)
      in_use[n++] = t->spans.v[next++];
    t->live[now] = union_bytes(in_use, n);
  }
  assert(next == t->spans.n &&
         "spans come in the order of their first op: visit()");
}

void cg_timeline_build(struct cg_timeline *t, struct dn_arena *arena,
                       const struct ir_module *m) {
  struct build b = {.t = t, .arena = arena};
  const struct ir_block *body = ir_main(m)->body;
  *t = (struct cg_timeline){0};
  t->start = DN_ARRAY(arena, size_t, m->nops + 1);
  t->stop = DN_ARRAY(arena, size_t, m->nops + 1);
  b.last = DN_ARRAY(arena, size_t, m->nvalues + 1);
  for (unsigned i = 0; i < body->nparams; i++)
    add_span(&b, body->param[i], 0);
  visit(&b, body);
  finish_spans(&b);
  count_live(&b);
}
