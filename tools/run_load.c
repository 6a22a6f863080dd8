/* run_load.c - from a file to something that can be called: a model compiled in
 * memory, a model for the interpreter, or an object or shared object that dnnc
 * wrote, recognised by its first bytes. Generated functions are called through
 * libffi, since their parameters are known only now. */
#include "tools/run.h"

#include "codegen/report/model.h"
#include "ir/phase.h"
#include "ir/place.h"
#include "runtime/dnn.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

static struct dn_loc here(const struct run *r) {
  return (struct dn_loc){.file = r->path};
}

/* ---- Ports ---- */

enum { BUFFER_ALIGN = 64 };

static void *aligned(struct dn_ctx *ctx, size_t size, size_t align) {
  uintptr_t p = (uintptr_t)dn_alloc(ctx->arena, size + align);
  return (void *)((p + align - 1) / align * align);
}

static size_t dims_of(const struct run *r, size_t i) {
  return (size_t)(ir_dims_result(ir_main(r->m), (unsigned)i) + 1);
}

static bool ports_of_module(struct run *r) {
  const struct ir_func *f = ir_main(r->m);
  r->nin = f->body->nparams;
  r->nout = f->nresults;
  r->in = DN_ARRAY(r->ctx->arena, struct run_port, r->nin + 1);
  r->out = DN_ARRAY(r->ctx->arena, struct run_port, r->nout + 1);
  bool ok = true;
  for (size_t i = 0; i < r->nin; i++) {
    const struct ir_value *v = f->body->param[i];
    r->in[i] = (struct run_port){v->name, v->type,
                                 .kept = (size_t)(ir_state_of(v) + 1)};
    ok &= ir_type_is_static(v->type);
  }
  for (size_t i = 0; i < r->nout; i++) {
    const struct ir_value *v = ir_arg(f->body->last, (unsigned)i);
    const struct ir_value *kept = ir_carried_param(f->body->last, (unsigned)i);
    r->out[i] = (struct run_port){ir_result_name(f, (unsigned)i), v->type,
                                  .kept = kept ? kept->index + 1 : 0,
                                  .dims = dims_of(r, i)};
    ok &= ir_type_is_static(v->type);
  }
  return ok;
}

/* A type from a model's description in an object. */
static bool port_of_tensor(struct run *r, const struct dnn_tensor *t,
                           struct run_port *out) {
  int dtype = 0;
  while (dtype < IR_NUM_DTYPES && ir_dtypes[dtype].onnx != t->type)
    dtype++;
  if (dtype == IR_NUM_DTYPES)
    return dn_error(r->ctx, here(r), DN_OBJECT,
                    "the model's description is broken");
  out->name = (const char *)r->model + t->name_at;
  out->kept = t->state;
  out->type =
      ir_type_checked(r->ctx, r->path, (enum ir_dtype)dtype, t->rank, t->dim);
  return out->type != NULL;
}

static const struct ir_param *param_of_object(void *user, const char *name) {
  const struct run *r = user;
  for (int i = 0; i < r->sizes.most.n; i++)
    if (!strcmp(r->sizes.most.param[i]->name, name))
      return r->sizes.most.param[i];
  return NULL;
}

/* Gives the type of tensor i its sizes. */
static bool sizes_of_tensor(struct run *r, const struct dnn_sizes *s, size_t i,
                            struct run_port *port) {
  const char *base = (const char *)r->model;
  const uint32_t *dims =
      (const uint32_t *)(const void *)(base + s->dims_at) + i * DNN_MAX_RANK;
  const struct ir_size *sizes[IR_MAX_RANK] = {NULL};
  for (int d = 0; port->type && d < port->type->rank; d++) {
    if (!dims[d])
      continue;
    sizes[d] = ir_size_read(r->ctx, base + dims[d], param_of_object, r);
    if (!sizes[d])
      return dn_error(r->ctx, here(r), DN_OBJECT,
                      "the model's description is broken");
  }
  if (port->type)
    port->type = ir_type_sized(r->ctx, port->type, sizes);
  return true;
}

/* Finds the offset of each state output: they follow each other in the state.
 * */
static bool find_state(struct run *r, int64_t align) {
  for (size_t i = 0; i < r->nout && align; i++) {
    if (!r->out[i].kept)
      continue;
    struct run_port *in = &r->in[r->out[i].kept - 1];
    if (in->kept || in->type != r->out[i].type)
      return dn_error(r->ctx, here(r), DN_OBJECT,
                      "the model's description is broken");
    in->kept = i + 1;
    r->out[i].at = r->state_size;
    r->state_size =
        dn_align(r->state_size + ir_type_bytes(r->out[i].type), align);
  }
  if (r->state_size)
    r->state =
        aligned(r->ctx, (size_t)r->state_size, (size_t)dn_max(align, 16));
  return true;
}

static bool sizes_of_object(struct run *r) {
  const char *base = (const char *)r->model;
  const struct dnn_sizes *s =
      (const struct dnn_sizes *)(const void *)(r->model + 1);
  const struct dnn_size *size =
      (const struct dnn_size *)(const void *)(base + s->sizes_at);
  struct ir_sizes all = {.most = {.n = (int)s->n}};
  for (uint32_t i = 0; i < s->n; i++) {
    all.most.param[i] =
        ir_param(r->ctx, base + size[i].name_at, size[i].least, size[i].most);
    all.most.value[i] = size[i].most;
    all.least[i] = size[i].least;
  }
  r->sizes = all;
  bool ok = find_state(r, s->state_align);
  for (size_t i = 0; i < r->nin; i++)
    ok = ok && sizes_of_tensor(r, s, i, &r->in[i]);
  for (size_t i = 0; i < r->nout; i++)
    ok = ok && sizes_of_tensor(r, s, r->nin + i, &r->out[i]);
  run_find_sizes(r);
  return ok && run_set_sizes(r, NULL, 0);
}

/* The description of an object has no more than the name "y.dims". */
static size_t dims_by_name(const struct run *r, size_t i) {
  size_t n = strlen(r->out[i].name);
  for (size_t k = i + 1; k < r->nout; k++) {
    const struct run_port *p = &r->out[k];
    if (!strncmp(p->name, r->out[i].name, n) && !strcmp(p->name + n, ".dims") &&
        p->type->dtype == IR_I64 && p->type->rank == 1 &&
        p->type->dim[0] == r->out[i].type->rank)
      return k + 1;
  }
  return 0;
}

static bool ports_of_object(struct run *r) {
  const struct dnn_model *m = r->model;
  const struct dnn_tensor *t =
      (const struct dnn_tensor *)(const void *)((const char *)m +
                                                m->tensors_at);
  r->nin = m->ninputs;
  r->nout = m->noutputs;
  r->macs = (int64_t)m->macs;
  r->in = DN_ARRAY(r->ctx->arena, struct run_port, r->nin + 1);
  r->out = DN_ARRAY(r->ctx->arena, struct run_port, r->nout + 1);
  bool ok = true;
  for (size_t i = 0; i < r->nin; i++)
    ok &= port_of_tensor(r, t++, &r->in[i]);
  for (size_t i = 0; i < r->nout; i++)
    ok &= port_of_tensor(r, t++, &r->out[i]);
  for (size_t i = 0; i < r->nout && ok; i++)
    r->out[i].dims = r->m ? dims_of(r, i) : dims_by_name(r, i);
  if (cg_model_has_io(m))
    r->io = (const uint64_t *)(const void *)t;
  for (size_t i = 0; ok && r->io && i < r->nin + r->nout; i++) {
    const struct ir_type *type =
        i < r->nin ? r->in[i].type : r->out[i - r->nin].type;
    uint64_t bytes = (uint64_t)ir_type_bytes(type);
    ok = bytes <= m->arena_size && r->io[i] <= m->arena_size - bytes;
    if (!ok)
      dn_error(r->ctx, here(r), DN_OBJECT, "the model's description is broken");
  }
  return ok && (!cg_model_has_sizes(m) || sizes_of_object(r));
}

/* ---- Memory for calls ---- */

struct ir_tensor *run_buffers(struct run *r, const struct run_port *ports,
                              size_t n) {
  struct ir_tensor *t = DN_ARRAY(r->ctx->arena, struct ir_tensor, n + 1);
  for (size_t i = 0; i < n; i++) {
    t[i].type = ports[i].type;
    t[i].data = aligned(r->ctx, (size_t)ir_type_bytes(t[i].type), BUFFER_ALIGN);
  }
  return t;
}

/* ---- Generated code ---- */

/* NULL after a diagnostic, or when the object defines no such symbol. */
static void *find_symbol(struct run *r, const char *what) {
  const char *name = dn_printf(r->ctx->arena, "%s_%s", r->prefix, what);
  if (!run_has(r, what))
    return NULL;
  return r->library ? dlsym(r->library, name) : cg_jit_find(r->jit, name);
}

/* --weights: the file that an object needs, as it checks itself. */
static bool load_weights(struct run *r) {
  bool wants = run_has(r, "load");
  struct dn_loc loc = {.file = r->o->weights, .where = "--weights"};
  struct dn_file f;
  if (!wants && !r->o->weights)
    return true;
  if (!wants || !r->o->weights)
    return dn_error(r->ctx, loc, DN_USAGE,
                    wants ? "the object's weights are apart: name their file"
                          : "the object has its weights in itself");
  int (*load)(const void *, size_t);
  void *fn = find_symbol(r, "load");
  if (!fn || !dn_file_map(r->ctx, r->o->weights, &f))
    return false;
  memcpy(&load, &fn, sizeof load);
  r->weights = aligned(r->ctx, f.size, BUFFER_ALIGN);
  memcpy(r->weights, f.data, f.size);
  return load(r->weights, f.size) == DNN_OK ||
         dn_error(r->ctx, loc, DN_OBJECT,
                  "the weights are not this object's, or are damaged");
}

/* Inputs and outputs that the function takes. */
static size_t count_ports(const struct run *r) {
  size_t n = 0;
  for (size_t i = 0; i < r->nin && !r->io; i++)
    n += !r->in[i].kept;
  for (size_t i = 0; i < r->nout && !r->io; i++)
    n += !r->out[i].kept;
  return n;
}

/* And memory behind them: weights, state, the parts of the arena. */
static size_t count_memory(const struct run *r) {
  return 1u + (r->weights != NULL) + (r->state != NULL) +
         (size_t)(cg_model_part(r->model) > 0);
}

/* int PREFIX_run(const T *input..., T *output..., int64_t size..., const void
 * *weights, void *state, void *arena, void *arena2) */
static bool bind_function(struct run *r) {
  unsigned before = dn_errors(r->ctx);
  void *fn = find_symbol(r, "run");
  if (dn_errors(r->ctx) != before)
    return false;
  if (!fn)
    return dn_error(r->ctx, here(r), DN_OBJECT, "%s_run cannot be called",
                    r->prefix);
  memcpy(&r->fn, &fn, sizeof fn);
  r->profile = find_symbol(r, "profile");
  if (!ports_of_object(r) || !load_weights(r))
    return false;
  size_t nptr = count_ports(r), last = nptr + (size_t)r->at.n;
  size_t n = last + count_memory(r);
  ffi_type **types = DN_ARRAY(r->ctx->arena, ffi_type *, n);
  for (size_t i = 0; i < n; i++)
    types[i] = i < nptr || i >= last ? &ffi_type_pointer : &ffi_type_sint64;
  if (ffi_prep_cif(&r->cif, FFI_DEFAULT_ABI, (unsigned)n, &ffi_type_sint,
                   types) != FFI_OK)
    return dn_error(r->ctx, here(r), DN_INTERNAL,
                    "libffi refuses the signature");
  r->pointer = DN_ARRAY(r->ctx->arena, void *, n);
  r->argument = DN_ARRAY(r->ctx->arena, void *, n);
  r->arena_size = (size_t)r->model->arena_size;
  if (r->arena_size) {
    r->arena = aligned(r->ctx, r->arena_size,
                       r->model->arena_align > 16 ? r->model->arena_align : 16);
    memset(r->arena, 0xff, r->arena_size); /* NaN: no code relies on it */
  }
  return true;
}

/* `path` is that of an object which a user gave, or NULL. */
static bool load_code(struct run *r, const struct cg_blob *object,
                      const char *path) {
  dn_phase(r->ctx, "loading");
  r->object = *object;
  if (!run_check_object(r, object))
    return false;
  if (r->o->emulator)
    return ports_of_object(r);
  if (r->elf.type == CG_ELF_OBJECT) {
    r->jit = cg_jit_new(r->ctx, object, path);
    return r->jit && bind_function(r);
  }
  char *whole = realpath(r->path, NULL); /* dlopen() searches bare names */
  r->library = whole ? dlopen(whole, RTLD_NOW | RTLD_LOCAL) : NULL;
  free(whole);
  if (r->library)
    return bind_function(r);
  return dn_error(r->ctx, here(r), DN_OBJECT, "cannot load it: %s", dlerror());
}

/* ---- Compiling ---- */

bool run_import(struct run *r, const struct fe_opts *known) {
  dn_phase(r->ctx, "importing");
  r->compile.ctx = r->ctx;
  r->compile.options = r->o;
  r->compile.path = r->path;
  r->compile.runs = true;
  if (!compile_import(&r->compile, known))
    return false;
  r->m = r->compile.m;
  ports_of_module(r);
  return true;
}

/* The pipeline with a plan that reuses no memory, so that every value is still
 * there after the run. */
static const char *keeping_pipeline(struct run *r) {
  const char *text = compile_pipeline(&r->compile, IR_PLANNED);
  size_t n = strlen(text);
  r->reuses = n < 4 || strcmp(text + n - 4, "plan") != 0; /* a given plan */
  return r->reuses ? text : dn_printf(r->ctx->arena, "%s{reuse=0}", text);
}

static bool compile_code(struct run *r, struct cg_blob *object) {
  struct compile *c = &r->compile;
  struct pass_opts passes = {0};
  opt_passes(r->o, &passes);
  passes.target = cg_target_facts(c->target);
  passes.pipeline =
      r->o->compare ? keeping_pipeline(r) : compile_pipeline(c, IR_PLANNED);
  bool joined = compile_join(c, &passes);
  r->m = c->m;
  if (!joined || !pass_pipeline(r->ctx, r->m, &passes) ||
      !compile_is_planned(c) || !ports_of_module(r))
    return false;
  c->cg.profile = r->o->profile || r->o->trace;
  return cg_compile(r->ctx, c->target, r->m, &c->cg, CG_OBJ, object, NULL);
}

/* ---- Files ---- */

/* The interpreter runs what has numbers for sizes. */
static bool is_judged(struct run *r) {
  bool sized = r->compile.sizes != NULL;
  for (size_t i = 0; i < r->nin; i++)
    sized |= ir_type_is_sized(r->in[i].type);
  return !sized || (!r->o->interp && !r->o->compare) ||
         dn_error(r->ctx, here(r), DN_USAGE,
                  "the interpreter takes no size that is known at run time "
                  "only: --dim NAME=VALUE");
}

static bool load_model(struct run *r, const struct fe_opts *known) {
  struct cg_blob object;
  if (r->o->interp)
    return run_import(r, known) && is_judged(r);
  return compile_begin(r->ctx, r->o, r->path, &r->compile) &&
         run_import(r, known) && is_judged(r) && compile_code(r, &object) &&
         load_code(r, &object, NULL);
}

/* An option that was given and says how to compile; NULL: none. */
static const char *compile_option(const struct options *o) {
  const struct {
    bool given;
    const char *name;
  } all[] = {{o->opt.seen, "-O"},
             {o->target != NULL, "--target"},
             {o->cpu != NULL, "-mcpu"},
             {o->attrs != NULL, "-mattr"},
             {o->abi != NULL, "-mabi"},
             {o->passes != NULL, "--passes"},
             {o->stream != NULL, "--stream"}};
  for (size_t i = 0; i < DN_COUNT(all); i++)
    if (all[i].given)
      return all[i].name;
  return NULL;
}

bool run_load(struct run *r, struct dn_ctx *ctx, const struct options *o,
              const struct fe_opts *known) {
  struct dn_file f;
  *r = (struct run){.ctx = ctx, .o = o, .path = o->files.v[0]};
  dnn_set_threads((unsigned)opt_threads(o));
  if (!dn_file_map(ctx, r->path, &f))
    return false;
  bool code = run_is_object(ctx, r->path);
  if (code && (o->interp || o->compare))
    return dn_error(ctx, here(r), DN_USAGE,
                    "the interpreter needs the model, not an object");
  if (!code && o->weights)
    return dn_error(ctx, here(r), DN_USAGE,
                    "--weights is for an object; a model has its own");
  const char *unheard = code ? compile_option(o) : NULL;
  if (unheard)
    return dn_error(ctx, here(r), DN_USAGE,
                    "%s is for a model; this is compiled", unheard);
  struct cg_blob object = {f.data, f.size};
  bool ok = code ? load_code(r, &object, r->path) : load_model(r, known);
  if (ok && code && o->dims.n && !r->at.n)
    return dn_error(ctx, here(r), DN_USAGE,
                    "--dim is for a model; this is compiled");
  dn_phase(ctx, "running");
  return ok;
}

void run_unload(struct run *r) {
  if (r->jit)
    cg_jit_free(r->jit);
  if (r->library)
    dlclose(r->library);
  if (r->m)
    ir_module_free(r->m);
  *r = (struct run){0};
}

/* ---- Calling ---- */

static const char *status_text(int status) {
  switch (status) {
  case DNN_E_ARENA:
    return "the arena is NULL or not aligned";
  case DNN_E_NULL:
    return "an input or output is NULL";
  case DNN_E_WEIGHTS:
    return "its weights are damaged";
  case DNN_E_LOOP:
    return "a loop goes on beyond its bound";
  case DNN_E_SIZE:
    return "a size, which values may decide, is not in its range";
  case DNN_E_STATE:
    return "the state is missing or misaligned";
  case DNN_E_MATRIX:
    return "the system refuses the registers of matrices (AMX)";
  default:
    return "unknown status";
  }
}

bool run_status(struct run *r, int status) {
  if (status == DNN_OK)
    return true;
  enum dn_code kind = status == DNN_E_WEIGHTS ? DN_OBJECT
                      : status == DNN_E_SIZE  ? DN_DIM
                      : status == DNN_E_LOOP  ? DN_LOOP
                                              : DN_INTERNAL;
  return dn_error(r->ctx, here(r), kind, "the run returned %d: %s", status,
                  status_text(status));
}

static bool call_interpreter(struct run *r, const struct ir_tensor *in,
                             struct ir_tensor *out) {
  struct dn_arena *arena = dn_arena_new(r->ctx);
  struct ir_tensor *results = DN_ARRAY(arena, struct ir_tensor, r->nout + 1);
  bool ok = ir_eval(arena, ir_main(r->m), in, results, NULL);
  for (size_t i = 0; ok && i < r->nout; i++)
    if (ir_type_bytes(out[i].type))
      memcpy(out[i].data, results[i].data, (size_t)ir_type_bytes(out[i].type));
  dn_arena_free(arena);
  return ok;
}

/* Inputs into the arena, or outputs out of it. */
static void copy_io(const struct run *r, const struct ir_tensor *t, size_t n,
                    bool in) {
  for (size_t i = 0; r->io && i < n; i++) {
    char *at = (char *)r->arena + r->io[i + (in ? 0 : r->nin)];
    size_t bytes = (size_t)ir_type_bytes(t[i].type);
    if (bytes)
      memcpy(in ? at : t[i].data, in ? t[i].data : at, bytes);
  }
}

/* Between the state and a tensor. */
static void move_state(const struct run *r, size_t out,
                       const struct ir_tensor *t, bool back) {
  size_t n = (size_t)ir_type_bytes(r->out[out].type);
  char *at = (char *)r->state + r->out[out].at;
  memcpy(back ? t->data : at, back ? at : t->data, n);
}

static void move_states(const struct run *r, const struct ir_tensor *in,
                        const struct ir_tensor *out) {
  for (size_t i = 0; i < r->nout && !r->keeps; i++)
    if (r->out[i].kept)
      move_state(r, i, out ? &out[i] : &in[r->out[i].kept - 1], out != NULL);
}

void run_reset(struct run *r, struct ir_tensor *in) {
  void *fn = r->fn && r->state ? find_symbol(r, "reset") : NULL;
  void (*reset)(void *);
  if (fn) {
    memcpy(&reset, &fn, sizeof fn);
    reset(r->state);
  }
  for (size_t i = 0; i < r->nin; i++) {
    if (!r->in[i].kept)
      continue;
    const struct ir_value *c =
        r->m ? ir_main(r->m)->body->param[i]->initial : NULL;
    size_t n = (size_t)ir_type_bytes(in[i].type);
    if (fn)
      move_state(r, r->in[i].kept - 1, &in[i], true);
    else if (c)
      memcpy(in[i].data, ir_const_bytes(r->ctx->arena, c), n);
    else
      memset(in[i].data, 0, n);
  }
}

bool run_call(struct run *r, const struct ir_tensor *in,
              struct ir_tensor *out) {
  if (r->o->emulator && r->prefix)
    return run_emulate(r, in, out);
  if (!r->fn)
    return call_interpreter(r, in, out);
  void **p = r->pointer, **a = r->argument;
  size_t nptr = count_ports(r), last = nptr + (size_t)r->at.n, k = 0;
  size_t n = last + count_memory(r);
  for (size_t i = 0; i < r->nin && !r->io; i++)
    if (!r->in[i].kept)
      p[k++] = in[i].data;
  for (size_t i = 0; i < r->nout && !r->io; i++)
    if (!r->out[i].kept)
      p[k++] = out[i].data;
  copy_io(r, in, r->nin, true);
  k = last;
  if (r->weights)
    p[k++] = r->weights;
  if (r->state)
    p[k++] = r->state;
  p[k++] = r->arena;
  if (k < n)
    p[k] = (char *)r->arena + cg_model_part(r->model);
  move_states(r, in, NULL);
  for (size_t i = 0; i < n; i++)
    a[i] = i < nptr || i >= last ? (void *)&p[i] : &r->at.value[i - nptr];
  ffi_arg status = 0;
  ffi_call(&r->cif, r->fn, &status, a);
  copy_io(r, out, r->nout, false);
  move_states(r, NULL, out);
  return run_status(r, (int)status);
}
