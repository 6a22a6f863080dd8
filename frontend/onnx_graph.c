/* onnx_graph.c - walks the nodes of a graph: scopes of names, order, calls of
 * converters, subgraphs and model-local functions inlined.
 *
 * An import goes on after an error: the outputs of a node that failed are bound
 * to `failed`, and nodes that read them fail silently, so that each cause is
 * reported once and all causes are. */
#include "frontend/onnx_string.h"

#include <string.h>

/* ---- Names and errors ---- */

struct ir_value *ox_lookup(const struct onnx_import *im, const char *name) {
  for (const struct ox_scope *s = im->scope; s; s = s->outer) {
    struct ir_value *v = dn_map_get(&s->values, name);
    if (v)
      return v;
  }
  return NULL;
}

bool ox_bind(struct onnx_import *im, struct dn_loc loc, const char *name,
             struct ir_value *v) {
  if (dn_map_put(im->ctx->arena, &im->scope->values, name, v))
    return true;
  return dn_error(im->ctx, loc, DN_GRAPH, "value '%s' is made twice",
                  fe_text(im->ctx, name));
}

/* A node without a name goes by its first output. */
const char *ox_label(struct onnx_import *im, const struct onnx_node *n) {
  const char *name = n->name[0] ? n->name : n->outputs.n ? n->outputs.v[0] : "";
  if (!im->frame->prefix[0])
    return dn_intern(im->ctx, name);
  return dn_intern(im->ctx,
                   dn_printf(im->ctx->arena, "%s%s", im->frame->prefix, name));
}

static struct dn_loc node_loc(struct onnx_import *im,
                              const struct onnx_node *n) {
  return (struct dn_loc){
      .file = im->file->path, .node = ox_label(im, n), .op = n->op};
}

/* ---- One node ---- */

/* Of several imports of a domain the highest counts, as the standard says. */
static int64_t opset_of(const struct ox_frame *frame, const char *domain) {
  int64_t version = 0;
  for (size_t i = 0; i < frame->nopsets; i++)
    if (frame->opsets[i].domain == domain) /* interned */
      version = dn_max(version, frame->opsets[i].version);
  return version;
}

/* The opset of a node. A model without one of the standard domain is read as
 * ONNX Runtime does, by the newest; before IR version 3 there was but one. */
static int64_t node_opset(struct onnx_import *im, const struct onnx_node *n) {
  int64_t version = opset_of(im->frame, n->domain);
  if (version || n->domain[0])
    return version;
  if (!im->model->opsets.n)
    return 1;
  if (!im->guessed_opset)
    dn_warning(im->ctx, node_loc(im, n),
               "no opset of 'ai.onnx' is imported: %d is taken", NEWEST_OPSET);
  im->guessed_opset = true;
  return NEWEST_OPSET;
}

/* The row for the node in its opset; NULL after a diagnostic. */
static const struct onnx_row *
find_row(struct onnx_import *im, const struct onnx_node *n, int64_t version) {
  struct dn_loc loc = node_loc(im, n);
  bool known = false;
  const struct onnx_row *row = NULL;
  if (version > 0)
    row = onnx_row_find(n->domain, n->op, (int)version, &known);
  if (row)
    return row;
  if (!strcmp(n->domain, "com.microsoft.nchwc"))
    dn_error(im->ctx, loc, DN_UNSUPPORTED_OP,
             "the model is in the layout of one machine (NCHWc), as ONNX "
             "Runtime's optimizer leaves it: save it without, or with fewer "
             "optimizations");
  else if (!version && n->domain[0])
    dn_error(im->ctx, loc, DN_UNSUPPORTED_OP,
             "operator not supported: domain '%s'",
             fe_text(im->ctx, n->domain));
  else if (known)
    dn_error(im->ctx, loc, DN_OPSET, "opset %lld has no such operator",
             (long long)version);
  else
    dn_error(im->ctx, loc, DN_UNSUPPORTED_OP, "operator not supported");
  return NULL;
}

static bool check_arity(struct onnx_call *c) {
  const struct onnx_row *row = c->row;
  size_t given = c->nin;
  if (given < (size_t)row->min_in ||
      (row->max_in >= 0 && given > (size_t)row->max_in))
    return ox_fail(c, ARITY, "%zu inputs, not %d..%d", given, row->min_in,
                   row->max_in < 0 ? 65535 : row->max_in);
  for (size_t i = 0; i < (size_t)row->min_in; i++)
    if (!c->in[i])
      return ox_fail(c, ARITY, "input %zu is missing", i);
  if (!c->nout || (row->max_out >= 0 && c->nout > (size_t)row->max_out))
    return ox_fail(c, ARITY, "%zu outputs, not 1..%d", c->nout,
                   row->max_out < 0 ? 65535 : row->max_out);
  return true;
}

/* Binds what a call made; outputs left NULL failed, or are not supported. */
static void bind_outputs(struct onnx_call *c, bool ok) {
  struct onnx_import *im = c->im;
  for (size_t i = 0; i < c->nout; i++) {
    const char *name = c->node->outputs.v[i];
    if (!name[0])
      continue;
    struct ir_value *v = ok ? c->out[i] : &im->failed;
    if (!v) {
      ox_fail(c, UNSUPPORTED_ATTR, "output %zu ('%s') is not supported", i,
              fe_text(im->ctx, name));
      v = &im->failed;
    }
    if (ox_bind(im, c->b->loc, name, v) && v != &im->failed &&
        !ox_sequence_of(im, v) && v->id >= c->first_id)
      ir_value_rename(im->m, v, name);
  }
}

/* Most operators work on tensors. */
static bool check_sequences(struct onnx_call *c) {
  for (size_t i = 0; i < c->nin; i++)
    if (c->in[i] && ox_sequence_of(c->im, c->in[i]) &&
        !(c->row->takes & SEQUENCES))
      return ox_fail(c, TYPE, "input %zu must be a tensor, not a sequence", i);
  return true;
}

/* How much of an output counts is known to the caller alone. */
static bool check_dims(struct onnx_call *c, struct ir_value *v,
                       const char *name) {
  return !dn_map_get(&c->im->dims, v) ||
         ox_fail(
             c, DYNAMIC,
             "it reads '%s', of which a condition known at run time decides "
             "how large it is: such a value can only be an output, or the "
             "condition must be a constant",
             fe_text(c->im->ctx, name));
}

/* ---- What is not reached ---- */

/* Reports the operators in nodes[], their subgraphs and the functions that they
 * call, that have no row: all that can be said of them without their inputs. */
static void check_nodes(struct onnx_import *im, const struct onnx_node *nodes,
                        size_t n);

/* What a node that is not converted would have converted. */
static void check_inside(struct onnx_import *im, const struct onnx_node *node) {
  const struct onnx_function *f = ox_find_function(im, node);
  for (size_t a = 0; a < node->attrs.n; a++) {
    const struct onnx_graph *g = node->attrs.v[a].g;
    if (g && dn_map_put(im->ctx->arena, &im->visited, g, im))
      check_nodes(im, g->nodes.v, g->nodes.n);
  }
  if (!f || !dn_map_put(im->ctx->arena, &im->visited, f, im))
    return;
  struct ox_frame frame = ox_frame_of(im, f, node);
  const struct ox_frame *outer = im->frame;
  im->frame = &frame;
  check_nodes(im, f->nodes.v, f->nodes.n);
  im->frame = outer;
}

static void check_nodes(struct onnx_import *im, const struct onnx_node *nodes,
                        size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (!ox_find_function(im, &nodes[i]))
      find_row(im, &nodes[i], node_opset(im, &nodes[i]));
    check_inside(im, &nodes[i]);
  }
}

static bool call_converter(struct onnx_call *c) {
  struct onnx_import *im = c->im;
  const struct onnx_function *f = ox_find_function(im, c->node);
  bool ok;
  if (!f) {
    c->row = find_row(im, c->node, c->version);
    if (!c->row)
      return false;
    c->arg = c->row->arg;
  }
  for (size_t i = 0; i < c->nin; i++)
    if (c->in[i] == &im->failed ||
        (c->in[i] && !check_dims(c, c->in[i], c->node->inputs.v[i]))) {
      check_inside(im, c->node);
      return false;
    }
  if (f) {
    ok = ox_inline_function(c, f);
  } else {
    unsigned errors = dn_errors(im->ctx);
    ok = check_arity(c) && check_sequences(c) && ox_check_attrs(c) &&
         ox_convert(c);
    /* A converter may return NULL because an emitted op did. */
    ok = ok && dn_errors(im->ctx) == errors;
    if (!ok)
      check_inside(im, c->node);
  }
  return ok;
}

/* Where ops and messages say that they come from, and constants' names. */
static void set_place(struct fe_build *b, struct dn_loc loc, const char *op,
                      const char *name) {
  b->loc = loc;
  b->at.loc = loc.node;
  b->at.model_op = op;
  b->name = name;
}

/* A node of a cycle has been reported, and fails. */
static void import_node(struct onnx_import *im, const struct onnx_node *node,
                        bool cyclic) {
  struct dn_arena *arena = im->ctx->arena;
  struct onnx_call c = {.im = im,
                        .b = &im->b,
                        .node = node,
                        .frame = im->frame,
                        .version = (int)dn_min(node_opset(im, node), 1 << 30),
                        .nin = node->inputs.n,
                        .nout = node->outputs.n,
                        .first_id = im->m->nvalues};
  c.in = DN_ARRAY(arena, struct ir_value *, c.nin + 1);
  c.out = DN_ARRAY(arena, struct ir_value *, c.nout + 1);
  bool ok = !cyclic;
  /* This may be in the subgraph of another node. */
  struct dn_loc outer = im->b.loc;
  const char *outer_op = im->b.at.model_op, *outer_name = im->b.name;
  set_place(&im->b, node_loc(im, node), dn_intern(im->ctx, node->op),
            c.nout ? node->outputs.v[0] : NULL);
  for (size_t i = 0; i < c.nin && ok; i++) {
    const char *name = node->inputs.v[i];
    if (!name[0])
      continue;
    c.in[i] = ox_lookup(im, name);
    if (!c.in[i]) {
      fe_fail(c.b, DN_GRAPH, "nothing makes its input '%s'",
              fe_text(im->ctx, name));
      c.in[i] = &im->failed;
    }
    if (c.in[i] == &im->absent)
      c.in[i] = NULL;
  }
  while (c.nin && !c.in[c.nin - 1])
    c.nin--;
  if (!c.nout)
    ok = fe_fail(c.b, DN_ARITY, "no outputs");
  ok = ok && call_converter(&c);
  bind_outputs(&c, ok);
  set_place(&im->b, outer, outer_op, outer_name);
}

void ox_import_nodes(struct onnx_import *im, const struct onnx_node *nodes,
                     size_t n) {
  struct ox_order order = ox_sort_nodes(im, nodes, n);
  for (size_t i = 0; i < n; i++) {
    size_t at = order.node ? order.node[i] : i;
    import_node(im, &nodes[at], order.node && order.cyclic[at]);
  }
}

void ox_import_body(struct onnx_import *im, const struct onnx_graph *g) {
  for (size_t i = 0; i < g->initializers.n; i++)
    ox_import_initializer(im, &g->initializers.v[i], NULL);
  for (size_t i = 0; i < g->sparse.n; i++)
    ox_import_initializer(im, NULL, &g->sparse.v[i]);
  ox_import_nodes(im, g->nodes.v, g->nodes.n);
}

/* ---- Subgraphs ---- */

void ox_skip_graph(struct onnx_import *im, const struct onnx_graph *g) {
  dn_map_put(im->ctx->arena, &im->visited, g, im);
}

bool ox_inline_graph(struct onnx_call *c, const struct onnx_graph *g,
                     struct ir_value *const *in, size_t n,
                     struct ir_value **out, size_t nout) {
  struct onnx_import *im = c->im;
  if (g->inputs.n != n || g->outputs.n != nout)
    return ox_fail(c, ARITY,
                   "its subgraph has %zu inputs and %zu outputs, not %zu and "
                   "%zu",
                   g->inputs.n, g->outputs.n, n, nout);
  struct ox_scope scope = {.outer = im->scope};
  im->scope = &scope;
  for (size_t i = 0; i < n; i++)
    ox_bind(im, c->b->loc, g->inputs.v[i].name, in[i]);
  ox_skip_graph(im, g); /* errors are found on the way */
  ox_import_body(im, g);
  bool ok = true;
  for (size_t i = 0; i < nout; i++) {
    const char *name = g->outputs.v[i].name;
    out[i] = ox_lookup(im, name);
    if (!out[i])
      ok = ox_fail(c, GRAPH, "nothing makes the subgraph's output '%s'",
                   fe_text(im->ctx, name));
    ok = ok && out[i] != &im->failed && check_dims(c, out[i], name);
  }
  im->scope = scope.outer;
  return ok;
}
