/* onnx_order.c - nodes in an order in which each reads what is made already.
 * The standard requires it; a file whose nodes are not is sorted, each node
 * after those it reads, also from inside its subgraphs, and else as the file
 * has them. A cycle is reported where it closes. */
#include "frontend/onnx_import.h"

/* Names that the graphs around a node make. */
struct inner {
  struct dn_map names;
  const struct inner *outer;
};

struct order {
  struct onnx_import *im;
  struct dn_arena *arena;
  const struct onnx_node *nodes;
  struct dn_map makers; /* name to the node of nodes[] that makes it */
  struct {              /* what is read, of one node after the other */
    struct read {
      size_t maker;
      const char *name;
    } * v;
    size_t n, cap;
  } reads;
  size_t *first; /* [n + 1] each node's first entry there */
};

static void add_read(struct order *o, const struct inner *inner,
                     const char *name) {
  const struct onnx_node *m = dn_map_get(&o->makers, name);
  for (; inner; inner = inner->outer)
    if (dn_map_get(&inner->names, name))
      return;
  if (m)
    DN_PUSH(o->arena, o->reads, ((struct read){(size_t)(m - o->nodes), name}));
}

/* The nesting of graphs is bounded by the reader of the file. */
static void add_reads(struct order *o, const struct inner *inner,
                      const struct onnx_node *node) {
  for (size_t i = 0; i < node->inputs.n; i++)
    add_read(o, inner, node->inputs.v[i]);
  for (size_t a = 0; a < node->attrs.n; a++) {
    struct onnx_graph *g = node->attrs.v[a].g;
    struct inner made = {.outer = inner};
    if (!g)
      continue;
    for (size_t i = 0; i < g->inputs.n; i++)
      dn_map_put(o->arena, &made.names, g->inputs.v[i].name, g);
    for (size_t i = 0; i < g->initializers.n; i++)
      dn_map_put(o->arena, &made.names, g->initializers.v[i].name, g);
    for (size_t i = 0; i < g->sparse.n; i++)
      dn_map_put(o->arena, &made.names, g->sparse.v[i].values.name, g);
    for (size_t i = 0; i < g->nodes.n; i++)
      for (size_t k = 0; k < g->nodes.v[i].outputs.n; k++)
        dn_map_put(o->arena, &made.names, g->nodes.v[i].outputs.v[k], g);
    for (size_t i = 0; i < g->nodes.n; i++)
      add_reads(o, &made, &g->nodes.v[i]);
    for (size_t i = 0; i < g->outputs.n; i++)
      add_read(o, &made, g->outputs.v[i].name);
  }
}

/* Fills in what each node reads; true: all of it is made by earlier nodes. */
static bool find_reads(struct order *o, size_t n) {
  bool sorted = true;
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < o->nodes[i].outputs.n; k++)
      if (o->nodes[i].outputs.v[k][0])
        dn_map_put(o->arena, &o->makers, o->nodes[i].outputs.v[k],
                   (void *)(uintptr_t)&o->nodes[i]);
  o->first = DN_ARRAY(o->arena, size_t, n + 1);
  for (size_t i = 0; i < n; i++) {
    o->first[i] = o->reads.n;
    add_reads(o, NULL, &o->nodes[i]);
    for (size_t k = o->first[i]; k < o->reads.n; k++)
      sorted = sorted && o->reads.v[k].maker < i;
  }
  o->first[n] = o->reads.n;
  return sorted;
}

static void report_cycle(const struct order *o, size_t at, const char *name) {
  const struct onnx_node *n = &o->nodes[at];
  struct dn_loc loc = {
      .file = o->im->file->path, .node = ox_label(o->im, n), .op = n->op};
  dn_error(o->im->ctx, loc, DN_GRAPH, "it is part of a cycle through '%s'",
           fe_text(o->im->ctx, name));
}

/* Depth first from each node in turn: what a node reads comes before it. */
static void sort(struct order *o, size_t n, struct ox_order *out) {
  enum { NEW, OPEN, DONE };
  char *state = DN_ARRAY(o->arena, char, n);
  size_t *path = DN_ARRAY(o->arena, size_t, n), depth, made = 0;
  size_t *next = dn_copy(o->arena, o->first, n * sizeof *next);
  for (size_t root = 0; root < n; root++) {
    depth = 0;
    if (state[root] == NEW)
      path[depth++] = root;
    while (depth) {
      size_t i = path[depth - 1];
      state[i] = OPEN;
      if (next[i] == o->first[i + 1]) {
        state[i] = DONE;
        out->node[made++] = i;
        depth--;
        continue;
      }
      const struct read *r = &o->reads.v[next[i]++];
      if (state[r->maker] == NEW) {
        path[depth++] = r->maker;
      } else if (state[r->maker] == OPEN && !out->cyclic[i]) {
        out->cyclic[i] = true;
        report_cycle(o, i, r->name);
      }
    }
  }
}

struct ox_order ox_sort_nodes(struct onnx_import *im,
                              const struct onnx_node *nodes, size_t n) {
  struct order o = {.im = im, .arena = dn_arena_new(im->ctx), .nodes = nodes};
  struct ox_order out = {0};
  if (!find_reads(&o, n)) {
    out.node = DN_ARRAY(im->ctx->arena, size_t, n);
    out.cyclic = DN_ARRAY(im->ctx->arena, bool, n);
    sort(&o, n, &out);
  }
  dn_arena_free(o.arena);
  return out;
}
