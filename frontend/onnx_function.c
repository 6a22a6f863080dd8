/* onnx_function.c - model-local functions: inlined where they are called. What
 * the calls come to is counted before anything is inlined, so that a model that
 * never ends, or never ends in our lifetime, is refused at once. */
#include "frontend/onnx_import.h"

#include <string.h>

/* A function is identified by domain, name and overload. */
static const char *function_key(struct dn_ctx *ctx, const char *domain,
                                const char *name, const char *overload) {
  return dn_intern(ctx, dn_printf(ctx->arena, "%zu:%zu:%s%s%s", strlen(domain),
                                  strlen(name), domain, name, overload));
}

void ox_index_functions(struct onnx_import *im) {
  struct dn_ctx *ctx = im->ctx;
  for (size_t i = 0; i < im->model->functions.n; i++) {
    struct onnx_function *f = &im->model->functions.v[i];
    const char *key = function_key(ctx, f->domain, f->name, f->overload);
    if (!dn_map_put(ctx->arena, &im->functions, key, f))
      dn_error(ctx, (struct dn_loc){.file = im->file->path}, DN_GRAPH,
               "function '%s' of domain '%s' is defined twice%s%s",
               fe_text(ctx, f->name), fe_text(ctx, f->domain),
               f->overload[0] ? " with the overload " : "",
               fe_text(ctx, f->overload));
  }
}

const struct onnx_function *ox_find_function(struct onnx_import *im,
                                             const struct onnx_node *n) {
  if (!im->model->functions.n)
    return NULL;
  return dn_map_get(&im->functions,
                    function_key(im->ctx, n->domain, n->op, n->overload));
}

/* ---- Counting ---- */

enum { COUNT_NEW = 0, COUNT_OPEN = -1 };

/* One walk over the calls: nodes that each function comes to, once known. */
struct counts {
  struct onnx_import *im;
  struct dn_map nodes; /* onnx_function to int64_t */
  bool ok;
};

static int64_t count_nodes(struct counts *k, const struct onnx_node *nodes,
                           size_t n, int64_t depth);

static void stop(struct counts *k, enum dn_code code, const char *what) {
  if (k->ok)
    dn_error(k->im->ctx, (struct dn_loc){.file = k->im->file->path}, code, "%s",
             what);
  k->ok = false;
}

static int64_t count_call(struct counts *k, const struct onnx_function *f,
                          int64_t depth) {
  struct dn_ctx *ctx = k->im->ctx;
  int64_t *n = dn_map_get(&k->nodes, f);
  if (!n) {
    n = DN_NEW(ctx->arena, int64_t);
    dn_map_put(ctx->arena, &k->nodes, f, n);
  }
  if (*n == COUNT_OPEN)
    stop(k, DN_RECURSION,
         dn_printf(ctx->arena, "function '%s' calls itself",
                   fe_text(ctx, f->name)));
  else if (*n == COUNT_NEW && depth >= ctx->limits.calls)
    stop(k, DN_LIMIT,
         dn_printf(ctx->arena,
                   "functions call each other over %lld deep (--limit-calls)",
                   (long long)ctx->limits.calls));
  else if (*n == COUNT_NEW) {
    *n = COUNT_OPEN;
    *n = 1 + count_nodes(k, f->nodes.v, f->nodes.n, depth + 1);
  }
  return k->ok ? *n : 0;
}

/* Graphs in attributes nest no deeper than the reader allows. */
static int64_t count_nodes(struct counts *k, const struct onnx_node *nodes,
                           size_t n, int64_t depth) {
  int64_t limit = dn_min(k->im->ctx->limits.nodes, INT64_C(1) << 40);
  int64_t total = 0;
  for (size_t i = 0; i < n && k->ok && total <= limit; i++) {
    const struct onnx_function *f = ox_find_function(k->im, &nodes[i]);
    total += f ? count_call(k, f, depth) : 1;
    for (size_t a = 0; a < nodes[i].attrs.n; a++) {
      const struct onnx_graph *g = nodes[i].attrs.v[a].g;
      if (g)
        total += count_nodes(k, g->nodes.v, g->nodes.n, depth);
    }
  }
  return total;
}

bool ox_count_calls(struct onnx_import *im) {
  const struct onnx_graph *g = im->model->graph;
  struct counts k = {.im = im, .ok = true};
  if (count_nodes(&k, g->nodes.v, g->nodes.n, 0) > im->ctx->limits.nodes)
    return dn_error(im->ctx, (struct dn_loc){.file = im->file->path}, DN_LIMIT,
                    "more than %lld nodes, functions expanded (--limit-nodes)",
                    (long long)im->ctx->limits.nodes);
  return k.ok;
}

/* ---- Inlining ---- */

/* The call's attributes, and the function's defaults for those not given. */
static void bind_attrs(struct onnx_call *c, const struct onnx_function *f,
                       struct ox_frame *frame) {
  struct dn_arena *arena = c->im->ctx->arena;
  DN_LIST(struct onnx_attr) list = {0};
  for (size_t i = 0; i < c->node->attrs.n; i++) {
    const struct onnx_attr *given = &c->node->attrs.v[i];
    const struct onnx_attr *value = ox_attr(c, given->name);
    if (!value)
      continue;
    struct onnx_attr copy = *value;
    copy.name = given->name;
    copy.ref = NULL;
    DN_PUSH(arena, list, copy);
  }
  for (size_t i = 0; i < f->defaults.n; i++)
    DN_PUSH(arena, list, f->defaults.v[i]);
  frame->attrs = list.v;
  frame->nattrs = list.n;
}

struct ox_frame ox_frame_of(struct onnx_import *im,
                            const struct onnx_function *f,
                            const struct onnx_node *node) {
  bool own = f->opsets.n > 0;
  return (struct ox_frame){
      .function = f,
      .opsets = own ? f->opsets.v : im->frame->opsets,
      .nopsets = own ? f->opsets.n : im->frame->nopsets,
      .prefix = dn_printf(im->ctx->arena, "%s/", ox_label(im, node))};
}

bool ox_inline_function(struct onnx_call *c, const struct onnx_function *f) {
  struct onnx_import *im = c->im;
  if (c->nin > f->inputs.n || c->nout > f->outputs.n)
    return ox_fail(c, ARITY, "the function has %zu inputs and %zu outputs",
                   f->inputs.n, f->outputs.n);
  struct ox_frame frame = ox_frame_of(im, f, c->node);
  bind_attrs(c, f, &frame);
  struct ox_scope scope = {0}, *outer = im->scope;
  im->frame = &frame;
  im->scope = &scope;
  for (size_t i = 0; i < f->inputs.n; i++) {
    struct ir_value *v = i < c->nin ? c->in[i] : NULL;
    ox_bind(im, c->b->loc, f->inputs.v[i], v ? v : &im->absent);
  }
  dn_map_put(im->ctx->arena, &im->visited, f, im);
  ox_import_nodes(im, f->nodes.v, f->nodes.n);
  bool ok = true;
  for (size_t i = 0; i < c->nout; i++) {
    c->out[i] = dn_map_get(&scope.values, f->outputs.v[i]);
    if (!c->out[i] && c->node->outputs.v[i][0])
      ok = ox_fail(c, GRAPH, "nothing makes the function's output '%s'",
                   fe_text(im->ctx, f->outputs.v[i]));
    ok = ok && c->out[i] != &im->failed;
  }
  im->frame = c->frame;
  im->scope = outer;
  return ok;
}
