/* tflite_import.c - a TFLite file to a GRAPH module: inputs, constants, the
 * operators of the main subgraph in order, outputs; other subgraphs where an
 * operator has them (tfl_inline()). Converters are
 * tflite_op_*.c by way of tflite_ops.def.
 *
 * An import goes on after an error: what an operator that failed makes is
 * `failed`, and operators that read it fail silently, so that each cause is
 * reported once and all causes are. */
#include "frontend/tflite.h"

#include <string.h>

enum {
  MODEL_GRAPHS = 2,
  MODEL_BUFFERS = 4,
  OP_CODE = 0,
  OP_INPUTS,
  OP_OUTPUTS,
  OP_OPTIONS = 4,
  OP_OPTIONS_2 = 12
};

bool fe_tflite_sniff(const struct dn_file *f) {
  return f->size >= 8 && !memcmp(f->data + 4, "TFL3", 4);
}

/* ---- Tensors ---- */

/* Tensor `i` of the graph; NULL: absent, or not there after a diagnostic. */
static struct tfl_tensor *tensor_at(struct tfl_import *im,
                                    const struct tfl_graph *g, int64_t i,
                                    struct dn_loc loc) {
  if (i >= 0 && i < (int64_t)g->ntensors)
    return &g->tensor[i];
  if (i != -1)
    dn_error(im->ctx, loc, DN_GRAPH, "there is no tensor %lld", (long long)i);
  return NULL;
}

const struct ir_type *tfl_type_of(struct tfl_import *im,
                                  const struct tfl_tensor *t) {
  struct dn_loc loc = tfl_loc(im, "tensor", t->name);
  if (!t->known || (t->int4 && !tfl_data(im, t).n)) {
    dn_error(im->ctx, loc, DN_UNSUPPORTED_TYPE, "element type %s (%lld)",
             tfl_type_name(t->code), (long long)t->code);
    return NULL;
  }
  for (int64_t i = 0; i < t->rank; i++) {
    if (t->dim[i] >= 0)
      continue;
    dn_error(im->ctx, loc, t->dim[i] == -1 ? DN_DYNAMIC : DN_SHAPE,
             "dimension %lld has the size %lld", (long long)i,
             (long long)t->dim[i]);
    return NULL;
  }
  return ir_type_checked(im->ctx, loc.where, t->dtype, t->rank, t->dim);
}

/* With one scale, as the object's description and header have it. */
static const struct ir_type *with_scale(struct tfl_import *im,
                                        const struct tfl_tensor *t,
                                        const struct ir_type *type) {
  if (t->n != 1 || !ir_is_int(t->dtype) || ir_dtypes[t->dtype].bits > 32)
    return type;
  struct ir_quant q = {.scale = tfl_scale(t), .zero = tfl_zero(t)};
  return ir_type_quant(im->ctx, type, &q);
}

/* Nibbles of a byte are numbers from -8 to 7, the low one first. */
static const void *unpacked(struct tfl_import *im, const uint8_t *from,
                            int64_t n) {
  int8_t *to = DN_ARRAY(im->m->arena, int8_t, n);
  for (int64_t i = 0; i < n; i++)
    to[i] = (int8_t)((int8_t)(from[i / 2] << (i % 2 ? 0 : 4)) >> 4);
  return to;
}

/* A tensor with data is a constant, of no elements without. */
static struct ir_value *constant(struct tfl_import *im, struct tfl_tensor *t) {
  struct fb_vector data = tfl_data(im, t);
  if (!data.n && !im->file->ok)
    return &im->failed;
  bool empty = false;
  for (int64_t i = 0; i < t->rank; i++)
    empty |= t->dim[i] == 0;
  if (!data.n && !empty)
    return NULL;
  const struct ir_type *type = tfl_type_of(im, t);
  if (!type)
    return &im->failed;
  int64_t n = ir_type_bytes(type);
  if ((t->int4 ? dn_div_ceil(n, 2) : n) != (int64_t)data.n) {
    dn_error(im->ctx, tfl_loc(im, "tensor", t->name), DN_TENSOR_DATA,
             "%zu bytes for %s", data.n,
             ir_type_text(im->ctx, im->ctx->arena, type));
    return &im->failed;
  }
  const uint8_t *at = im->file->base + data.at;
  struct ir_data d = {.bytes = t->int4 ? unpacked(im, at, n) : at, .size = n};
  if (!t->int4) {
    d.file = im->file->path;
    d.offset = (int64_t)data.at;
  }
  return ir_const_new(im->m, t->name, type, &d);
}

static struct ir_value *value_of(struct tfl_import *im, struct tfl_tensor *t) {
  if (!t->value)
    t->value = constant(im, t);
  return t->value;
}

/* ---- Inputs, state, outputs ---- */

static void add_param(struct tfl_import *im, struct tfl_tensor *t) {
  const struct ir_type *type = tfl_type_of(im, t);
  t->value = type ? ir_param_new(ir_main(im->m)->body, t->name,
                                 with_scale(im, t, type))
                  : &im->failed;
}

/* A parameter that is state, of zero points at first. */
static void add_state(struct tfl_import *im, struct tfl_tensor *t) {
  add_param(im, t);
  DN_PUSH(im->ctx->arena, im->states, t);
  t->param = t->value;
  if (tfl_zero(t) && t->value != &im->failed)
    t->initial =
        ir_const_splat(im->m, t->name, t->value->type, (double)tfl_zero(t));
}

/* Inputs, then variable tensors, which are state. */
static void import_inputs(struct tfl_import *im, struct tfl_graph *g) {
  for (size_t i = 0; i < g->inputs.n; i++) {
    int64_t at = fb_int_at(&g->inputs, i, 4);
    struct dn_loc loc = {.file = im->file->path};
    struct tfl_tensor *t = tensor_at(im, g, at, loc);
    if (t && t->value)
      dn_error(im->ctx, tfl_loc(im, "input", t->name), DN_GRAPH,
               "it is an input twice");
    else if (t)
      add_param(im, t);
  }
  for (size_t i = 0; i < g->ntensors; i++) {
    struct tfl_tensor *t = &g->tensor[i];
    if (t->variable && !t->value)
      add_state(im, t);
  }
}

/* State of that name of the table at byte `at` of the file, which is imported
 * wherever its subgraph runs. */
static struct tfl_tensor *state_of(struct tfl_import *im, size_t at,
                                   const struct tfl_tensor *like,
                                   const char *name) {
  const char *key =
      dn_intern(im->ctx, dn_printf(im->ctx->arena, "%zu %s", at, name));
  struct tfl_tensor *t = dn_map_get(&im->kept, key);
  if (!t) {
    t = DN_NEW(im->ctx->arena, struct tfl_tensor);
    *t = *like;
    t->name = dn_intern(im->ctx, name);
    add_state(im, t);
    dn_map_put(im->ctx->arena, &im->kept, key, t);
  }
  return t->value == &im->failed ? NULL : t;
}

struct tfl_tensor *tfl_keep(struct tfl_call *c, const struct tfl_tensor *like,
                            const char *name) {
  return state_of(c->im, c->op.at, like, name);
}

/* The next value of state, of the state's type. */
static struct ir_value *state_value(struct tfl_import *im,
                                    const struct tfl_tensor *t,
                                    struct ir_value *v) {
  const struct ir_type *type = t->param->type;
  if (!ir_type_count(type) || ir_type_as(im->ctx, v->type, v->type->dtype) !=
                                  ir_type_as(im->ctx, type, type->dtype)) {
    dn_error(im->ctx, tfl_loc(im, "tensor", t->name), DN_TYPE,
             "state of %s gets %s", ir_type_text(im->ctx, NULL, type),
             ir_type_text(im->ctx, NULL, v->type));
    return &im->failed;
  }
  if (v->type != type && (!v->def || v->type->quant))
    return ir_result(ir_op_new(
        &im->b.at, IR_RESHAPE, IR_ARGS(v),
        IR_ATTRS(ir_ints("shape", type->dim, type->rank)), &type, 1, 0));
  v->type = type;
  return v;
}

/* An output may be an input, or be made with another type. */
static struct ir_value *output_value(struct tfl_import *im,
                                     struct tfl_tensor *t, const char *name) {
  struct ir_value *v = value_of(im, t);
  if (!v)
    dn_error(im->ctx, tfl_loc(im, "output", name), DN_GRAPH,
             "nothing makes it");
  if (!v || v == &im->failed)
    return v;
  if (v == &im->handle) {
    dn_error(im->ctx, tfl_loc(im, "output", name), DN_UNSUPPORTED_TYPE,
             "it is a resource");
    return &im->failed;
  }
  if (v->def && !t->param)
    v->type = with_scale(im, t, v->type);
  return v;
}

/* State is left where it was. */
static void return_values(struct tfl_import *im, struct ir_value **values,
                          size_t n, size_t nouts) {
  ir_op_new(&im->b.at, IR_RETURN, values, n, NULL, 0, NULL, 0, 0);
  for (size_t i = nouts; i < n; i++) {
    const struct tfl_tensor *t = im->states.v[i - nouts];
    ir_state_set(ir_main(im->m), (unsigned)i, t->param, t->initial);
  }
}

static void import_outputs(struct tfl_import *im, struct tfl_graph *g) {
  struct ir_func *f = ir_main(im->m);
  size_t n = g->outputs.n + im->states.n;
  struct ir_value **values = DN_ARRAY(im->m->arena, struct ir_value *, n);
  struct dn_loc loc = {.file = im->file->path};
  f->result_name = DN_ARRAY(im->m->arena, const char *, n);
  f->nresults = (unsigned)n;
  bool ok = true;
  for (size_t i = 0; i < n; i++) {
    bool state = i >= g->outputs.n;
    struct tfl_tensor *t =
        state ? im->states.v[i - g->outputs.n]
              : tensor_at(im, g, fb_int_at(&g->outputs, i, 4), loc);
    f->result_name[i] = t ? t->name : "";
    if (state)
      f->result_name[i] =
          dn_intern(im->ctx, dn_printf(im->ctx->arena, "%s_next", t->name));
    values[i] = t ? output_value(im, t, f->result_name[i]) : NULL;
    ok = ok && values[i] && values[i] != &im->failed;
    if (state && ok)
      ok = (values[i] = state_value(im, t, values[i])) != &im->failed;
  }
  if (!g->outputs.n)
    ok = dn_error(im->ctx, loc, DN_GRAPH, "the graph has no outputs");
  if (ok)
    return_values(im, values, n, g->outputs.n);
}

/* ---- Operators ---- */

static bool check_arity(struct tfl_call *c) {
  const struct tfl_row *row = c->row;
  if (c->nin < (size_t)row->min_in ||
      (row->max_in >= 0 && c->nin > (size_t)row->max_in))
    return tfl_fail(c, ARITY, "%zu inputs, not %d..%d", c->nin, row->min_in,
                    row->max_in < 0 ? 65535 : row->max_in);
  for (size_t i = 0; i < (size_t)row->min_in; i++)
    if (!c->in[i])
      return tfl_fail(c, ARITY, "input %zu is missing", i);
  if (row->max_out >= 0 && c->nout > (size_t)row->max_out)
    return tfl_fail(c, ARITY, "%zu outputs, not %d", c->nout, row->max_out);
  return true;
}

static bool read_operands(struct tfl_call *c) {
  struct tfl_import *im = c->im;
  struct fb_vector in = fb_list(&c->op, OP_INPUTS, 4);
  struct fb_vector out = fb_list(&c->op, OP_OUTPUTS, 4);
  struct dn_arena *arena = im->ctx->arena;
  if (dn_max((int64_t)in.n, (int64_t)out.n) > im->ctx->limits.ports)
    return tfl_fail(c, LIMIT, "%zu inputs, %zu outputs", in.n, out.n);
  c->nin = in.n;
  c->nout = out.n;
  c->in = DN_ARRAY(arena, struct ir_value *, in.n + 1);
  c->tin = DN_ARRAY(arena, struct tfl_tensor *, in.n + 1);
  c->out = DN_ARRAY(arena, struct ir_value *, out.n + 1);
  c->tout = DN_ARRAY(arena, struct tfl_tensor *, out.n + 1);
  bool ok = out.n > 0 || (c->row && (!c->row->max_out || c->row->convert == tflite_if)) ||
            tfl_fail(c, ARITY, "no outputs");
  bool handles = c->row && c->row->convert == tflite_variable;
  for (size_t i = 0; i < out.n; i++) {
    c->tout[i] = tensor_at(im, c->g, fb_int_at(&out, i, 4), c->b->loc);
    if (c->tout[i] && c->tout[i]->value)
      ok = tfl_fail(c, GRAPH, "its output '%s' is made twice",
                    fe_text(im->ctx, c->tout[i]->name));
    ok = ok && c->tout[i];
  }
  for (size_t i = 0; i < in.n; i++) {
    int64_t at = fb_int_at(&in, i, 4);
    c->tin[i] = tensor_at(im, c->g, at, c->b->loc);
    if (!c->tin[i]) {
      ok = ok && at == -1;
      continue;
    }
    c->in[i] = value_of(im, c->tin[i]);
    if (!c->in[i])
      ok = tfl_fail(c, GRAPH, "nothing makes its input '%s'",
                    fe_text(im->ctx, c->tin[i]->name));
    ok = ok && c->in[i] != &im->failed;
    if (ok && c->in[i] == &im->handle && !handles)
      ok = tfl_fail(c, UNSUPPORTED_TYPE, "input %zu is a resource", i);
  }
  while (c->nin && !c->tin[c->nin - 1])
    c->nin--;
  return ok;
}

/* What an operator made is what the model says. */
static struct ir_value *checked(struct tfl_call *c, size_t k) {
  struct ir_value *v = c->out[k];
  const struct tfl_tensor *t = c->tout[k];
  if (v == &c->im->handle)
    return v;
  if (!v)
    return fe_null(c->b, DN_UNSUPPORTED_ATTR, "output %zu ('%s')", k,
                   fe_text(c->im->ctx, t->name));
  const struct ir_type *type = tfl_type_of(c->im, t);
  if (!type || type == ir_type_as(c->im->ctx, v->type, v->type->dtype))
    return type ? v : NULL;
  return fe_null(c->b, DN_TYPE, "output %zu is declared %s, and is %s", k,
                 ir_type_text(c->im->ctx, c->im->ctx->arena, type),
                 ir_type_text(c->im->ctx, c->im->ctx->arena, v->type));
}

static void bind_outputs(struct tfl_call *c, bool ok) {
  for (size_t i = 0; i < c->nout; i++) {
    struct ir_value *v = ok ? checked(c, i) : NULL;
    if (!c->tout[i] || c->tout[i]->value)
      continue;
    if (v && v->def)
      ir_value_rename(c->im->m, v, c->tout[i]->name);
    c->tout[i]->value = v ? v : &c->im->failed;
  }
}

/* An operator goes by its first output, or by its first input. */
static void import_op(struct tfl_import *im, const struct tfl_graph *g,
                      size_t number) {
  struct tfl_call c = {.im = im, .b = &im->b, .g = g};
  c.op = fb_at(&g->ops, number);
  size_t code = (size_t)fb_int(&c.op, OP_CODE, 4, false, 0);
  c.options = fb_child(&c.op, OP_OPTIONS);
  if (!c.options.at)
    c.options = fb_child(&c.op, OP_OPTIONS_2);
  im->b.loc = (struct dn_loc){
      .file = im->file->path,
      .where = dn_printf(im->ctx->arena, "operator %zu", number)};
  if (code >= im->ncodes) {
    tfl_fail(&c, GRAPH, "there is no operator code %zu", code);
    return;
  }
  c.row = im->code[code].row;
  const char *name = dn_intern(im->ctx, im->code[code].name);
  struct fb_vector ports = fb_list(&c.op, OP_OUTPUTS, 4);
  if (!ports.n)
    ports = fb_list(&c.op, OP_INPUTS, 4);
  int64_t first = ports.n ? fb_int_at(&ports, 0, 4) : -1;
  bool named = first >= 0 && first < (int64_t)g->ntensors;
  im->b.name = named ? g->tensor[first].name : "";
  im->b.loc =
      (struct dn_loc){.file = im->file->path, .node = im->b.name, .op = name};
  im->b.at.loc = im->b.name;
  im->b.at.model_op = name;
  unsigned errors = dn_errors(im->ctx);
  bool ok = c.row || tfl_fail(&c, UNSUPPORTED_OP, "operator not supported");
  ok = read_operands(&c) && ok && im->file->ok;
  if (ok) {
    c.arg = c.row->arg;
    ok = check_arity(&c) && c.row->convert(&c);
  }
  if (c.tout) /* a converter may return NULL because an emitted op did */
    bind_outputs(&c, ok && dn_errors(im->ctx) == errors);
}

/* ---- Subgraphs ---- */

/* A subgraph that can be imported here; NULL after a diagnostic. */
static struct tfl_graph *subgraph(struct tfl_call *c, int64_t number) {
  struct tfl_import *im = c->im;
  size_t k = (size_t)number;
  if (!im->file->ok)
    return NULL;
  if (k >= im->graphs.n)
    return fe_null(c->b, DN_GRAPH, "there is no subgraph %lld",
                   (long long)number);
  struct tfl_graph *g = im->graph[k];
  if (!g)
    g = im->graph[k] = tfl_read_graph(im, k);
  if (!g)
    return NULL;
  if (g->open)
    return fe_null(c->b, DN_GRAPH, "subgraph %lld has itself in it",
                   (long long)number);
  im->parts += (int64_t)(1 + g->ntensors + g->ops.n);
  im->file->ok =
      im->parts <= im->ctx->limits.nodes && im->depth < im->ctx->limits.depth;
  if (!im->file->ok)
    return fe_null(
        c->b, DN_LIMIT,
        "subgraphs have more than %lld parts (--limit-nodes), or %lld levels",
        (long long)im->ctx->limits.nodes, (long long)im->ctx->limits.depth);
  return g;
}

/* The tensor of an input or output of a subgraph; NULL after a diagnostic. */
static struct tfl_tensor *port(struct tfl_call *c, struct tfl_graph *g,
                               const struct fb_vector *list, size_t i) {
  int64_t at = fb_int_at(list, i, 4);
  if (at >= 0 && at < (int64_t)g->ntensors)
    return &g->tensor[at];
  return fe_null(c->b, DN_GRAPH, "its subgraph has no tensor %lld",
                 (long long)at);
}

/* The values of a subgraph's inputs, of the types that it says. */
static bool bind_inputs(struct tfl_call *c, struct tfl_graph *g,
                        struct ir_value *const *args) {
  for (size_t i = 0; i < g->inputs.n; i++) {
    struct tfl_tensor *t = port(c, g, &g->inputs, i);
    const struct ir_type *type = t ? tfl_type_of(c->im, t) : NULL;
    if (!type)
      return false;
    if (t->value || !args[i])
      return tfl_fail(c, GRAPH, "input %zu of its subgraph is %s", i,
                      t->value ? "there twice" : "missing");
    if (type != ir_type_as(c->im->ctx, args[i]->type, args[i]->type->dtype))
      return tfl_fail(c, TYPE, "input %zu of its subgraph is %s, and gets %s",
                      i, ir_type_text(c->im->ctx, NULL, type),
                      ir_type_text(c->im->ctx, NULL, args[i]->type));
    t->value = args[i];
  }
  return true;
}

/* Variable tensors of a subgraph, which are state; false after a diagnostic. */
static bool bind_states(struct tfl_import *im, struct tfl_graph *g,
                        struct tfl_tensor **states) {
  for (size_t i = 0; i < g->ntensors; i++) {
    struct tfl_tensor *t = &g->tensor[i];
    states[i] = NULL;
    if (!t->variable || t->value)
      continue;
    states[i] = state_of(im, t->at, t, t->name);
    if (!states[i])
      return false;
    t->value = states[i]->value;
  }
  return true;
}

static bool import_graph(struct tfl_call *c, struct tfl_graph *g,
                         struct ir_value **out) {
  struct tfl_tensor **states =
      DN_ARRAY(c->im->ctx->arena, struct tfl_tensor *, g->ntensors);
  bool ok = bind_states(c->im, g, states);
  for (size_t i = 0; ok && i < g->ops.n && c->im->file->ok; i++)
    import_op(c->im, g, i);
  for (size_t i = 0; ok && i < g->ntensors; i++)
    if (states[i])
      states[i]->value = g->tensor[i].value;
  for (size_t i = 0; i < g->outputs.n; i++) {
    struct tfl_tensor *t = port(c, g, &g->outputs, i);
    out[i] = t ? value_of(c->im, t) : NULL;
    if (t && !out[i])
      tfl_fail(c, GRAPH, "nothing makes its subgraph's output '%s'",
               fe_text(c->im->ctx, t->name));
    if (out[i] == &c->im->handle)
      ok = tfl_fail(c, UNSUPPORTED_TYPE, "output %zu is a resource", i);
    ok = ok && out[i] && out[i] != &c->im->failed;
  }
  return ok && c->im->file->ok;
}

bool tfl_inline(struct tfl_call *c, int64_t number,
                struct ir_value *const *args, size_t nargs,
                struct ir_value **out, size_t nout) {
  struct tfl_import *im = c->im;
  struct tfl_graph *g = subgraph(c, number), fresh;
  if (!g || g->failed)
    return false;
  if (g->inputs.n != nargs || g->outputs.n != nout)
    return tfl_fail(c, ARITY,
                    "subgraph %lld has %zu inputs and %zu outputs, not %zu and "
                    "%zu",
                    (long long)number, g->inputs.n, g->outputs.n, nargs, nout);
  fresh = *g; /* its tensors have no values */
  fresh.tensor =
      dn_copy(im->ctx->arena, g->tensor, g->ntensors * sizeof *g->tensor);
  struct dn_loc loc = im->b.loc;
  const char *name = im->b.name, *op = im->b.at.model_op, *at = im->b.at.loc;
  size_t visited = im->file->visited; /* of parts that are read once more */
  g->open = true;
  im->depth++;
  bool ok = bind_inputs(c, &fresh, args);
  g->failed = ok && !import_graph(c, &fresh, out);
  im->depth--;
  g->open = false;
  im->file->visited = visited;
  im->b.loc = loc;
  im->b.name = name;
  im->b.at.model_op = op;
  im->b.at.loc = at;
  return ok && !g->failed;
}

/* ---- The file ---- */

struct ir_module *fe_tflite_import(struct dn_ctx *ctx, const struct dn_file *f,
                                   const struct fe_opts *opts) {
  struct fb_file file = {ctx, f->path, f->data, f->size, 0, true};
  struct tfl_import *im = DN_NEW(ctx->arena, struct tfl_import);
  unsigned errors = dn_errors(ctx);
  im->ctx = ctx;
  im->file = &file;
  im->opts = opts;
  im->model = fb_root(&file);
  im->graphs = fb_list(&im->model, MODEL_GRAPHS, 4);
  im->buffers = fb_list(&im->model, MODEL_BUFFERS, 4);
  im->m = ir_module_new(ctx, f->path);
  im->b.ctx = ctx;
  im->b.at = (struct ir_builder){.m = im->m,
                                 .block = ir_func_new(im->m, "main")->body};
  struct tfl_graph *g =
      tfl_read_codes(im) && file.ok ? tfl_read_graph(im, 0) : NULL;
  im->graph = DN_ARRAY(ctx->arena, struct tfl_graph *, im->graphs.n + 1);
  im->graph[0] = g;
  if (g && (int64_t)g->ops.n > ctx->limits.nodes)
    dn_error(ctx, (struct dn_loc){.file = f->path}, DN_LIMIT, "%zu operators",
             g->ops.n);
  else if (g) {
    im->m->name = *g->name ? g->name : NULL;
    g->open = true;
    import_inputs(im, g);
    for (size_t i = 0; i < g->ops.n && file.ok; i++)
      import_op(im, g, i);
    import_outputs(im, g);
  }
  if (!g || dn_errors(ctx) != errors || !file.ok) {
    ir_module_free(im->m);
    return NULL;
  }
  ir_sweep_consts(im->m);
  return im->m;
}
