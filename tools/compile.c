/* compile.c - see compile.h. */
#include "tools/compile.h"

#include "codegen/report/stats.h"
#include "ir/phase.h"
#include "ir/place.h"
#include "ir/size.h"
#include "passes/sizes.h"
#include "passes/state.h"
#include "tools/compile_dims.h"
#include "tools/regions.h"

#include <string.h>

/* ---- Target and names ---- */

struct cg_target *compile_target(struct dn_ctx *ctx, const struct options *o) {
  int64_t caches[3];
  if (!opt_read_caches(ctx, o->caches, caches))
    return NULL;
  struct cg_target_opts t = {.triple = o->target,
                             .cpu = o->cpu,
                             .attrs = o->attrs,
                             .march = o->march,
                             .fpu = o->fpu,
                             .float_abi = o->float_abi,
                             .abi = o->abi,
                             .opt_level = o->opt.level,
                             .opt_size = o->opt.size,
                             .caches = caches};
  dn_phase(ctx, "target");
  return cg_target_new(ctx, &t);
}

bool compile_begin(struct dn_ctx *ctx, const struct options *o,
                   const char *path, struct compile *c) {
  *c = (struct compile){.ctx = ctx, .options = o, .path = path};
  if (o->name && !dn_is_identifier(o->name, 200))
    return dn_usage(ctx, "--name", "'%.200s' is no C identifier", o->name);
  c->cg.prefix = o->name ? o->name : cg_prefix(ctx, path);
  if (o->region && !(c->regions = regions_read(ctx, o->region)))
    return false;
  c->cg.regions = c->regions;
  if (o->waits && !waits_read(ctx, o->waits, &c->cg))
    return false;
  c->cg.clock = o->clock;
  c->cg.apart = o->weights && o->tool == OPT_DNNC;
  c->cg.checked = o->checked;
  c->cg.zeroize = o->zeroize;
  c->cg.threads = opt_threads(o);
  c->cg.freestanding = o->freestanding;
  c->cg.no_nans = o->finite;
  c->cg.profile = o->profile;
  c->target = compile_target(ctx, o);
  return c->target != NULL;
}

/* ---- Import ---- */

/* Whether an error may depend on the size of a free dim. */
static bool depends_on_sizes(struct dn_ctx *ctx, size_t from) {
  for (size_t i = from; i < dn_diags_count(ctx); i++) {
    int code = dn_diags_get(ctx, i)->number;
    if (code == DN_TYPE || code == DN_ATTR || code == DN_SHAPE ||
        code == DN_DYNAMIC || code == DN_LIMIT)
      return true;
  }
  return false;
}

/* --check: binds free dims to that of a few usual sizes at which the model has
 * the fewest errors. */
static struct ir_module *import_free(struct compile *c, struct fe_opts *fe) {
  static const int64_t sizes[] = {1,  2,   3,   4,   8,   16,  32,
                                  64, 128, 224, 256, 512, 1024};
  enum { N = DN_COUNT(sizes) };
  struct dn_ctx *ctx = c->ctx;
  size_t from = dn_diags_count(ctx);
  int best = 0;
  unsigned before = dn_errors(ctx), fewest = ~0u;
  bool was = dn_diags_capture(ctx, true);
  struct ir_module *m = NULL;
  for (int i = 0; i < 2 * N && fewest; i++) {
    fe->free_size = sizes[i % N];
    fe->free_first = i < N ? 1 : fe->free_size;
    m = fe_import(ctx, c->path, fe);
    unsigned errors = dn_errors(ctx) - before;
    if (errors < fewest) {
      fewest = errors;
      best = i;
    }
    if (!errors || !fe->free->list.n || !depends_on_sizes(ctx, from))
      break;
    dn_diags_rewind(ctx, from);
  }
  if (!m && dn_errors(ctx) == before) { /* none was good: the best again */
    fe->free_size = sizes[best % N];
    fe->free_first = best < N ? 1 : fe->free_size;
    m = fe_import(ctx, c->path, fe);
  }
  dn_diags_capture(ctx, was);
  dn_diags_print(ctx, from);
  return m;
}

/* The model at the bounds, those of sizes that its values decide too. */
static struct ir_module *import_made(struct compile *c, struct fe_opts *fe) {
  struct fe_made made = {0};
  fe->made = &made;
  struct ir_module *m = fe_import(c->ctx, c->path, fe);
  fe->made = NULL;
  size_t n = fe->ndims;
  struct fe_dim *dims =
      DN_ARRAY(c->ctx->arena, struct fe_dim, n + made.list.n + 1);
  memcpy(dims, fe->dims, n * sizeof *dims);
  if (made.list.n && !c->sizes)
    c->sizes = DN_NEW(c->ctx->arena, struct sizes);
  bool ok = m != NULL;
  for (size_t i = 0; i < made.list.n && m; i++) { /* all that are too many */
    const struct fe_dim *d = &made.list.v[i];
    struct ir_point *at = &c->sizes->at;
    int k = 0;
    while (k < at->n && at->param[k]->name != d->name)
      k++;
    if (k == at->n) {
      ok &= k < IR_MAX_SIZES
                ? dims_bound(c, d)
                : dn_error(c->ctx, d->loc, DN_DYNAMIC,
                           "values decide how large its result is, "
                           "and of more than %d such sizes one "
                           "must be given: --dim NODE=VALUE",
                           IR_MAX_SIZES);
      dims[n++] = *d;
    }
    if (k < IR_MAX_SIZES)
      c->sizes->made[k] = true;
  }
  if (ok && n == fe->ndims)
    return m;
  fe->dims = dims;
  fe->ndims = n;
  fe->choices = DN_NEW(c->ctx->arena, struct ir_choices);
  ir_module_free(m);
  return ok ? fe_import(c->ctx, c->path, fe) : NULL;
}

/* The model at point k. */
static struct ir_module *import_lane(struct compile *c, int k) {
  const struct sizes *s = c->sizes;
  struct fe_opts fe = c->fe;
  struct fe_dim *dims = DN_ARRAY(c->ctx->arena, struct fe_dim, fe.ndims + 1);
  fe.dims = dims;
  fe.free = fe.unbound = NULL;
  fe.choices->again = true;
  fe.choices->k = 0;
  for (size_t d = 0; d < fe.ndims; d++) {
    dims[d] = c->fe.dims[d];
    for (int i = 0; i < s->at.n; i++)
      if (s->at.param[i]->name == dims[d].name)
        dims[d].value += s->lane[k].by[i];
  }
  return fe_import(c->ctx, c->path, &fe);
}

/* The least size of a parameter at which the model is one. */
static void find_least(struct compile *c, int i) {
  struct sizes *s = c->sizes;
  int64_t lo = dn_max(s->least[i], 1) + 1, hi = s->at.value[i];
  size_t from = dn_diags_count(c->ctx);
  while (lo < hi) {
    int64_t mid = lo + (hi - lo) / 2;
    s->lane[0].by[i] = mid - s->at.value[i];
    struct ir_module *m = import_lane(c, 0);
    *(m ? &hi : &lo) = m ? mid : mid + 1;
    if (m)
      ir_module_free(m);
    dn_diags_rewind(c->ctx, from);
  }
  s->lane[0].by[i] = 0;
  s->least[i] = hi;
}

/* Imports the lanes of one attempt. Where one fails at a least size, raises
 * that size, and the attempt is made again. */
static bool import_attempt(struct compile *c) {
  struct sizes *s = c->sizes;
  s->lane[0].m = c->m;
  for (int k = 1; k < s->n; k++) {
    s->lane[k].m = import_lane(c, k);
    if (s->lane[k].m)
      continue;
    for (int i = 1; i < k; i++)
      ir_module_free(s->lane[i].m);
    if (s->lane[k].low) {
      find_least(c, s->lane[k].low - 1);
      s->attempts--;
    }
    return false;
  }
  return true;
}

/* Lanes cost time and memory: large models have few that check. */
static int count_checks(const struct ir_module *m) {
  int64_t cost = 1 + m->nvalues;
  for (size_t i = 0; i < m->consts.n; i++)
    cost += ir_type_bytes(m->consts.v[i]->type) >> 12;
  return (int)dn_max(2, dn_min(SIZES_CHECKS, (1 << 15) / cost));
}

/* Imports the model at the points, besides the bounds, that its sizes are
 * fitted to: those of the first attempt in which every import succeeds. */
static bool import_lanes(struct compile *c) {
  struct sizes *s = c->sizes;
  size_t from = dn_diags_count(c->ctx);
  bool was = dn_diags_capture(c->ctx, true), ok = false;
  s->checks = c->options->verify_each ? SIZES_CHECKS : count_checks(c->m);
  while (!ok && sizes_choose(c->ctx, s)) {
    dn_diags_rewind(c->ctx, from);
    ok = import_attempt(c);
  }
  if (ok) /* warnings are those of the bounds again */
    dn_diags_rewind(c->ctx, from);
  dn_diags_capture(c->ctx, was);
  dn_diags_print(c->ctx, from);
  return ok;
}

/* Whether the model came as text with sizes of run time. */
static bool has_sizes(const struct compile *c) {
  struct ir_sizes sizes;
  return c->m->funcs && ir_sizes_of(ir_main(c->m), &sizes) && sizes.most.n;
}

static bool check_stream(struct compile *c) {
  return !c->options->stream || (!c->sizes && !has_sizes(c)) ||
         dn_error(c->ctx, (struct dn_loc){.where = "--stream"}, DN_USAGE,
                  "a window has no sizes that are known at run time only: "
                  "--dim NAME=VALUE");
}

/* --io=arena: the plan finds places for inputs and outputs. */
static bool set_io(struct compile *c) {
  struct ir_func *f = ir_main(c->m);
  if (!c->options->io)
    return true;
  if (strcmp(c->options->io, "arena") != 0)
    return dn_usage(c->ctx, "--io", "'%.100s' is not 'arena'",
                    dn_escaped(c->ctx->arena, c->options->io));
  if (c->sizes || has_sizes(c))
    return dn_usage(c->ctx, "--io",
                    "sizes that are known at run time only have no places in "
                    "the arena: --dim NAME=VALUE");
  if (c->options->zeroize)
    return dn_usage(c->ctx, "--io",
                    "--zeroize clears an arena that holds outputs");
  if (ir_find_attr(f->body->last, "state") || c->options->stream)
    return dn_usage(c->ctx, "--io",
                    "an arena keeps no state from call to call");
  unsigned n = f->body->nparams + f->nresults;
  int64_t *at = DN_ARRAY(c->ctx->arena, int64_t, n);
  ir_set_attr(f->body->last, ir_ints("io", at, n));
  return true;
}

/* The result and parameter that an option "OUT=IN" names; names may have
 * '='. */
static bool find_pair(const struct ir_func *f, const char *text, unsigned *out,
                      struct ir_value **in) {
  for (const char *eq = strchr(text, '='); eq; eq = strchr(eq + 1, '=')) {
    size_t n = (size_t)(eq - text);
    *in = NULL;
    for (unsigned i = 0; i < f->body->nparams && !*in; i++)
      if (!strcmp(f->body->param[i]->name, eq + 1))
        *in = f->body->param[i];
    for (*out = 0; *out < f->nresults && *in; ++*out)
      if (strlen(ir_result_name(f, *out)) == n &&
          !strncmp(ir_result_name(f, *out), text, n))
        return true;
  }
  return false;
}

static bool add_state(struct compile *c, const char *text) {
  struct dn_loc loc = {.file = c->path, .where = "--state"};
  struct ir_func *f = ir_main(c->m);
  struct ir_value *in;
  unsigned out;
  if (!find_pair(f, text, &out, &in)) {
    dn_error(c->ctx, loc, DN_USAGE,
             "'%.200s' is not OUT=IN with an output and an input of the model",
             dn_escaped(c->ctx->arena, text));
    for (unsigned i = 0; i < f->nresults; i++)
      dn_note(c->ctx, "output '%s'", ir_result_name(f, i));
    for (unsigned i = 0; i < f->body->nparams; i++)
      dn_note(c->ctx, "input '%s'", f->body->param[i]->name);
    return false;
  }
  if (ir_carried_param(f->body->last, out) || ir_state_of(in) >= 0)
    return dn_error(c->ctx, loc, DN_USAGE,
                    "'%.200s': output or input is state already",
                    dn_escaped(c->ctx->arena, text));
  const struct ir_type *type = ir_arg(f->body->last, out)->type;
  if (!ir_state_fits(in->type, type) && !state_grow(f, out, in))
    return dn_error(
        c->ctx, loc, DN_USAGE,
        "output '%s' is %s and input '%s' %s: a state has one type, "
        "of numbers",
        ir_result_name(f, out), ir_type_text(c->ctx, NULL, type), in->name,
        ir_type_text(c->ctx, NULL, in->type));
  ir_state_set(f, out, in, NULL);
  return true;
}

/* Makes pairs of --state one buffer; behind import and sizes. */
static bool add_states(struct compile *c) {
  bool ok = true;
  for (size_t i = 0; i < c->options->states.n && !c->sizes; i++)
    ok &= add_state(c, c->options->states.v[i]);
  return ok;
}

/* Refuses options of passes that run before the form which the module has
 * already. */
static bool check_form(const struct compile *c) {
  const struct options *o = c->options;
  enum ir_form form = c->m->form;
  struct {
    const char *name;
    bool given;
    enum ir_form last; /* that it has a part in */
  } rows[] = {{"--stream", o->stream != NULL, IR_GRAPH},
              {"--precision", o->precision != NULL, IR_GRAPH},
              {"--requant", o->requant != NULL, IR_GRAPH},
              {"--state", o->states.n > 0, IR_KERNELS},
              {"--stripe", o->stripes.n > 0, IR_KERNELS},
              {"--io", o->io != NULL, IR_KERNELS}};
  const char *late = NULL;
  for (size_t i = 0; i < DN_COUNT(rows) && !late; i++)
    if (rows[i].given && form > rows[i].last)
      late = rows[i].name;
  return !late || dn_usage(c->ctx, late, "the model is past this, in form %s",
                           ir_form_names[form]);
}

bool compile_import(struct compile *c, const struct fe_opts *known) {
  struct fe_opts fe = known ? *known : (struct fe_opts){0};
  struct fe_names names = {0}, loops = {0};
  fe.free = &names;
  fe.unbound = &loops;
  fe.float_factors =
      c->options->requant && strcmp(c->options->requant, "tflite");
  fe.states = c->options->states.v;
  fe.nstates = c->options->states.n;
  fe.values = c->options->values.v;
  fe.nvalues = c->options->values.n;
  if (!dims_read(c, &fe))
    return false;
  if (c->sizes) { /* inputs' files say the size of a run */
    fe.choices = DN_NEW(c->ctx->arena, struct ir_choices);
    fe.input_types = NULL;
    fe.ninputs = 0;
  }
  c->m = c->options->check ? import_free(c, &fe) : import_made(c, &fe);
  c->fe = fe;
  if ((c->m || names.list.n) && !dims_check(c, &fe))
    return false;
  if (!c->m || (c->sizes && !import_lanes(c)))
    return false;
  size_t ports = ir_main(c->m)->body->nparams + ir_main(c->m)->nresults;
  if (ports > (size_t)c->ctx->limits.ports)
    return dn_error(c->ctx, (struct dn_loc){.file = c->path}, DN_LIMIT,
                    "%zu inputs and outputs (--limit-ports=%lld)", ports,
                    (long long)c->ctx->limits.ports);
  dn_files_idle(c->ctx);
  if (!check_form(c) || !add_states(c))
    return false;
  struct cg_params params = cg_count_params(c->m);
  c->cg.weights = params.weights;
  c->cg.biases = params.biases;
  c->cg.weight_bytes = params.weight_bytes;
  c->cg.bias_bytes = params.bias_bytes;
  return check_stream(c) && set_io(c);
}

/* ---- Passes ---- */

/* The first pass of a pipeline, and its length; the runner reports unknown
 * ones.
 */
static const struct pass_row *first_pass(const struct compile *c,
                                         const char *text, size_t *n) {
  *n = 0;
  for (int depth = 0; text[*n] && (text[*n] != ',' || depth); ++*n)
    depth += text[*n] == '{' ? 1 : text[*n] == '}' ? -1 : 0;
  const char *name = dn_strndup(c->ctx->arena, text, strcspn(text, "{,"));
  int row = dn_find_row(pass_rows, pass_nrows, sizeof *pass_rows, name);
  return row < 0 ? NULL : &pass_rows[row];
}

/* Passes up to the last that makes no later form than `form`. */
static const char *cut_pipeline(const struct compile *c, const char *text,
                                enum ir_form form) {
  size_t end = 0, n;
  for (size_t at = 0; text[at]; at = end + (text[end] == ',')) {
    const struct pass_row *row = first_pass(c, text + at, &n);
    if (row && row->makes > form)
      break;
    end = at + n;
  }
  return dn_strndup(c->ctx->arena, text, end);
}

/* The rest of a pipeline, for a module that has come to its form already. */
static const char *skip_done(const struct compile *c, const char *text) {
  enum ir_form form = c->m ? c->m->form : IR_GRAPH;
  enum ir_form next = c->m && has_sizes(c) ? IR_KERNELS : form;
  for (size_t n; *text; text += n + (text[n] == ',')) {
    const struct pass_row *row = first_pass(c, text, &n);
    if (row && row->needs >= form && row->makes >= next)
      break;
  }
  return text;
}

const char *compile_pipeline(const struct compile *c, enum ir_form form) {
  static const char *const levels[] = {"O0", "O1", "O2", "O3"};
  const struct options *o = c->options;
  const char *text = o->passes;
  if (!text) {
    text = pass_pipeline_text(o->opt.size ? "Os" : levels[o->opt.level & 3]);
    text = skip_done(c, regions_plan(c->ctx, c->regions, text));
  }
  return form == IR_PLANNED ? text : cut_pipeline(c, text, form);
}

/* Passes on graphs for each size, then one module of all. */
static bool join_lanes(struct compile *c, const struct pass_opts *opts) {
  struct sizes *s = c->sizes;
  struct ir_choices choices = {0};
  struct pass_opts first = *opts, quiet;
  first.lane = &choices;
  quiet = first;
  quiet.print_after = quiet.stop_after = NULL;
  quiet.print_changed = quiet.verify_each = false;
  quiet.rounding = NULL;
  bool ok = true;
  for (int k = 0; k < s->n && ok && *opts->pipeline; k++) {
    ok = pass_pipeline(c->ctx, s->lane[k].m, k ? &quiet : &first) &&
         sizes_alike(c->ctx, s, k);
    choices.again = true;
    choices.k = 0;
  }
  ok = ok && sizes_join(c->ctx, s);
  for (int k = 1; k < s->n; k++)
    ir_module_free(s->lane[k].m);
  return ok;
}

bool compile_join(struct compile *c, struct pass_opts *opts) {
  struct sizes *s = c->sizes;
  if (!s)
    return true;
  const char *text = opts->pipeline;
  size_t from = dn_diags_count(c->ctx);
  bool was = dn_diags_capture(c->ctx, true);
  opts->pipeline = cut_pipeline(c, text, IR_GRAPH);
  bool ok = join_lanes(c, opts);
  for (bool more = !s->failed;
       !ok && more;) { /* elsewhere it may have the same ops */
    size_t last = dn_diags_count(c->ctx);
    ir_module_free(c->m);
    c->m = import_lane(c, 0);
    more = c->m && import_lanes(c);
    dn_diags_rewind(c->ctx, more ? from : last);
    ok = more && join_lanes(c, opts);
  }
  dn_diags_capture(c->ctx, was);
  dn_diags_print(c->ctx, from);
  c->sizes = NULL;
  size_t n = strlen(opts->pipeline);
  opts->pipeline = text + n + (text[n] == ',');
  return ok && add_states(c);
}

bool compile_passes(struct compile *c, enum ir_form form) {
  struct pass_opts opts = {0};
  opt_passes(c->options, &opts);
  opts.pipeline = compile_pipeline(c, form);
  opts.target = cg_target_facts(c->target);
  c->cg.precision = c->options->precision;
  c->cg.rounding = -1;
  if (c->options->report ||
      (c->options->emit && !strcmp(c->options->emit, "report")))
    opts.rounding = &c->cg.rounding;
  bool ok = compile_join(c, &opts);
  ok = ok && (!*opts.pipeline || pass_pipeline(c->ctx, c->m, &opts));
  dn_files_idle(c->ctx); /* what is left of the weights is read once more */
  return ok;
}

bool compile_object(struct compile *c, enum cg_emit kind, struct cg_blob *out,
                    struct cg_sizes *sizes) {
  return (!c->regions ||
          cg_place(c->ctx, c->m, cg_target_facts(c->target)->align,
                   c->regions)) &&
         cg_compile(c->ctx, c->target, c->m, &c->cg, kind, out, sizes) &&
         (!c->regions || kind != CG_OBJ ||
          cg_place_code(c->ctx, c->regions, sizes));
}

bool compile_is_planned(const struct compile *c) {
  if (c->m->form == IR_PLANNED)
    return true;
  const char *form = ir_form_names[c->m->form];
  dn_error(c->ctx, (struct dn_loc){.file = c->path}, DN_PIPELINE,
           "the passes end with the module in form %s; code is made of form %s",
           form, ir_form_names[IR_PLANNED]);
  dn_note(c->ctx,
          "dnnc --emit=%s writes the module as it is; without "
          "--passes, --stop-after and --bisect-limit it is planned",
          form);
  return false;
}
