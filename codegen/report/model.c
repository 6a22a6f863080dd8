/* model.c - see model.h. The compiler runs on little-endian machines for
 * little-endian machines, and the structs have no padding, so that the bytes
 * here are the bytes there. */
#include "codegen/report/model.h"

#include "ir/place.h"
#include "ir/size.h"
#include "runtime/dnn.h"

#include <assert.h>
#include <string.h>

_Static_assert(sizeof(struct dnn_model) == 72, "the layout is an ABI");
_Static_assert(sizeof(struct dnn_tensor) == 120, "the layout is an ABI");
_Static_assert(sizeof(struct dnn_sizes) == 16, "the layout is an ABI");
_Static_assert(sizeof(struct dnn_size) == 24, "the layout is an ABI");
_Static_assert((int)DNN_MAX_RANK == (int)IR_MAX_RANK, "ranks fit");

const char *cg_model_symbol(const struct cg_job *job) {
  return dn_printf(job->ctx->arena, "%s_model", job->opts->prefix);
}

const char *cg_model_section(const struct cg_job *job) {
  return dn_printf(job->ctx->arena, ".rodata.%s_model", job->opts->prefix);
}

bool cg_model_has_sizes(const struct dnn_model *m) {
  return m->version == DNN_ABI_SIZES || m->version >= DNN_ABI_STATE;
}

/* Appends a string and returns its offset. */
static uint32_t put_text(struct dn_buf *out, const char *s) {
  uint32_t at = (uint32_t)out->len;
  dn_buf_put(out, s, strlen(s) + 1);
  return at;
}

/* Appends the name, and fills the tensor's entry. */
static void describe(struct dn_buf *out, const struct ir_type *type,
                     const char *name, struct dnn_tensor *t) {
  t->name_at = put_text(out, name);
  t->type = (uint8_t)ir_dtypes[type->dtype].onnx;
  assert(ir_type_is_static(type) && type->rank <= DNN_MAX_RANK &&
         "rule static; ranks fit, see above");
  t->rank = (uint8_t)type->rank;
  for (int d = 0; d < type->rank; d++)
    t->dim[d] = type->dim[d];
  if (type->quant && !type->quant->scales) {
    t->scale = type->quant->scale;
    t->zero = type->quant->zero;
  }
}

/* Appends what sizes are, and the text of each dimension that has one. */
static void describe_sizes(struct dn_buf *out, const struct cg_job *job,
                           const struct ir_sizes *sizes, size_t at) {
  const struct ir_func *f = ir_main(job->module);
  unsigned nin = f->body->nparams, n = nin + f->nresults;
  struct dnn_sizes s = {.n = (uint32_t)sizes->passed};
  if (ir_state_at(f, f->nresults, 1))
    s.state_align = (uint32_t)cg_target_facts(job->target)->align;
  struct dnn_size *size = DN_ARRAY(job->ctx->arena, struct dnn_size, s.n + 1);
  uint32_t *dims = DN_ARRAY(job->ctx->arena, uint32_t, n * DNN_MAX_RANK);
  for (unsigned i = 0; i < s.n; i++) {
    size[i].name_at = put_text(out, sizes->most.param[i]->name);
    size[i].least = sizes->least[i];
    size[i].most = sizes->most.value[i];
  }
  for (unsigned i = 0; i < n; i++) {
    const struct ir_value *v =
        i < nin ? f->body->param[i] : ir_arg(f->body->last, i - nin);
    for (int d = 0; d < v->type->rank; d++) {
      if (!v->type->size[d])
        continue;
      dims[i * DNN_MAX_RANK + (unsigned)d] = (uint32_t)out->len;
      ir_size_put(out, v->type->size[d]);
      dn_buf_put(out, "", 1);
    }
  }
  while (out->len % 8)
    dn_buf_put(out, "", 1);
  s.sizes_at = (uint32_t)out->len;
  dn_buf_put(out, (const char *)size, s.n * sizeof *size);
  s.dims_at = (uint32_t)out->len;
  dn_buf_put(out, (const char *)dims, n * DNN_MAX_RANK * sizeof *dims);
  memcpy(out->text + at, &s, sizeof s);
}

struct cg_blob cg_model(const struct cg_job *job) {
  const struct ir_module *m = job->module;
  const struct ir_func *f = ir_main(m);
  const struct ir_op *ret = f->body->last;
  assert(ret->noperands == f->nresults && "rule return");
  uint32_t nin = f->body->nparams, nout = f->nresults;
  const int64_t *io = ir_io_places(f);
  struct ir_sizes sizes;
  bool state = ir_state_at(f, nout, 1) > 0;
  uint64_t part = ir_arena_part(m, 1) ? (uint64_t)ir_arena_part(m, 0) : 0;
  bool sized = (ir_sizes_of(f, &sizes) && sizes.passed) || state || part;
  size_t head = sizeof(struct dnn_model) +
                (sized ? sizeof(struct dnn_sizes) : 0) +
                (part ? sizeof part : 0);
  size_t tensors = (nin + nout) * sizeof(struct dnn_tensor);
  struct dnn_model model = {
      .magic = DNN_MODEL_MAGIC,
      .version = part    ? (io ? DNN_ABI_ARENAS : DNN_ABI_PARTS)
                 : state ? DNN_ABI_STATE
                 : sized ? DNN_ABI_SIZES
                 : io    ? DNN_ABI_ARENA
                         : DNN_ABI_VERSION,
      .ninputs = nin,
      .noutputs = nout,
      .tensors_at = (uint32_t)head,
      .arena_align =
          m->arena_size ? (uint32_t)cg_target_facts(job->target)->align : 0,
      .arena_size = (uint64_t)m->arena_size,
      .macs = (uint64_t)job->macs};
  struct dnn_tensor *t =
      DN_ARRAY(job->ctx->arena, struct dnn_tensor, nin + nout + 1);
  struct dn_buf out = dn_buf_new(job->ctx->arena);
  dn_buf_put(&out, (const char *)&model, sizeof model);
  if (sized)
    dn_buf_put(&out, (const char *)&(struct dnn_sizes){0},
               sizeof(struct dnn_sizes));
  if (part)
    dn_buf_put(&out, (const char *)&part, sizeof part);
  dn_buf_put(&out, (const char *)t, tensors);
  if (io)
    dn_buf_put(&out, (const char *)io, (nin + nout) * sizeof *io);
  for (uint32_t i = 0; i < nin; i++)
    describe(&out, f->body->param[i]->type, f->body->param[i]->name, &t[i]);
  for (uint32_t i = 0; i < nout; i++) {
    const struct ir_value *v = ir_arg(ret, i);
    const struct ir_value *kept = ir_carried_param(ret, i);
    describe(&out, v->type, ir_result_name(f, i), &t[nin + i]);
    t[nin + i].state = kept ? (uint16_t)(kept->index + 1) : 0;
  }
  model.name_at = put_text(&out, m->name ? m->name : job->opts->prefix);
  model.prefix_at = put_text(&out, job->opts->prefix);
  model.target_at = put_text(&out, cg_target_names(job->target)->triple);
  while (out.len % 8)
    dn_buf_put(&out, "", 1);
  if (sized)
    describe_sizes(&out, job, &sizes, sizeof model);
  while (out.len % 8)
    dn_buf_put(&out, "", 1);
  assert(out.len % 8 == 0 && "filled up above");
  model.size = (uint32_t)out.len;
  memcpy(out.text, &model, sizeof model);
  memcpy(out.text + head, t, tensors);
  return (struct cg_blob){out.text, out.len};
}

void cg_model_finish(const struct cg_job *job, struct cg_blob *blob) {
  assert(blob->size >= sizeof(struct dnn_model) && "cg_model() made it");
  struct dnn_model model;
  memcpy(&model, blob->data, sizeof model);
  model.stack_size = (uint64_t)job->stack;
  model.weights_size = (uint64_t)job->weights;
  char *copy = dn_copy(job->ctx->arena, blob->data, blob->size);
  memcpy(copy, &model, sizeof model);
  blob->data = copy;
}

enum { MAX_ALIGN = 4096 };

static bool has_name(const char *base, size_t size, uint32_t at) {
  return at < size && memchr(base + at, 0, size - at) != NULL;
}

static bool is_power_of_two(uint64_t n) { return n && !(n & (n - 1)); }

static bool in_range(uint64_t at, uint64_t bytes, uint64_t size, uint64_t by) {
  return at % by == 0 && at <= size && bytes <= size - at;
}

static bool sizes_hold(const char *base, const struct dnn_model *m,
                       uint64_t tensors) {
  struct dnn_sizes s;
  if (m->size < sizeof *m + sizeof s)
    return false;
  memcpy(&s, base + sizeof *m, sizeof s);
  uint64_t ndims = tensors * DNN_MAX_RANK;
  if (s.n > IR_MAX_SIZES ||
      !in_range(s.sizes_at, s.n * sizeof(struct dnn_size), m->size, 8) ||
      !in_range(s.dims_at, ndims * sizeof(uint32_t), m->size, 4))
    return false;
  bool ok = true;
  for (uint32_t i = 0; i < s.n; i++) {
    struct dnn_size size;
    memcpy(&size, base + s.sizes_at + i * sizeof size, sizeof size);
    ok = ok && has_name(base, m->size, size.name_at) && size.most >= 1;
  }
  for (uint64_t i = 0; i < ndims; i++) {
    uint32_t at;
    memcpy(&at, base + s.dims_at + i * sizeof at, sizeof at);
    ok = ok && (!at || has_name(base, m->size, at));
  }
  return ok;
}

static bool has_parts(const struct dnn_model *m) {
  return m->version == DNN_ABI_PARTS || m->version == DNN_ABI_ARENAS;
}

bool cg_model_has_io(const struct dnn_model *m) {
  return m->version == DNN_ABI_ARENA || m->version == DNN_ABI_ARENAS;
}

/* Each output's state is an input of its own. */
static bool states_hold(const char *base, const struct dnn_model *m,
                        const struct dnn_tensor *t) {
  struct dnn_sizes s = {0};
  if (cg_model_has_sizes(m))
    memcpy(&s, base + sizeof *m, sizeof s);
  bool ok = s.state_align
                ? is_power_of_two(s.state_align) && s.state_align <= MAX_ALIGN
                : m->version != DNN_ABI_STATE;
  for (uint32_t i = 0; i < m->noutputs; i++)
    ok = ok && t[m->ninputs + i].state <= (s.state_align ? m->ninputs : 0);
  return ok;
}

const struct dnn_model *cg_model_read(struct dn_arena *arena, const void *data,
                                      size_t size) {
  struct dnn_model m;
  if (size < sizeof m)
    return NULL;
  memcpy(&m, data, sizeof m);
  uint64_t tensors = (uint64_t)m.ninputs + m.noutputs;
  uint64_t each =
      sizeof(struct dnn_tensor) + (cg_model_has_io(&m) ? sizeof(uint64_t) : 0);
  if (m.magic != DNN_MODEL_MAGIC || m.size < sizeof m || m.size > size ||
      m.tensors_at % 8 || m.tensors_at > m.size ||
      tensors > (m.size - m.tensors_at) / each || m.arena_size > SIZE_MAX / 2 ||
      m.arena_align > MAX_ALIGN ||
      (m.arena_align && !is_power_of_two(m.arena_align)))
    return NULL;
  const char *base = dn_copy(arena, data, m.size);
  const struct dnn_tensor *t =
      (const struct dnn_tensor *)(const void *)(base + m.tensors_at);
  bool ok = has_name(base, m.size, m.name_at) &&
            has_name(base, m.size, m.prefix_at) &&
            has_name(base, m.size, m.target_at);
  for (uint64_t i = 0; i < tensors; i++)
    ok =
        ok && has_name(base, m.size, t[i].name_at) && t[i].rank <= DNN_MAX_RANK;
  ok = ok && (!cg_model_has_sizes(&m) || sizes_hold(base, &m, tensors)) &&
       states_hold(base, &m, t);
  const struct dnn_model *all = (const struct dnn_model *)(const void *)base;
  ok = ok && (!has_parts(&m) ||
              (m.size >= sizeof m + sizeof(struct dnn_sizes) + 8 &&
               cg_model_part(all) < m.arena_size &&
               cg_model_part(all) % (m.arena_align ? m.arena_align : 1) == 0));
  return ok ? all : NULL;
}

uint64_t cg_model_part(const struct dnn_model *m) {
  uint64_t part = 0;
  if (has_parts(m))
    memcpy(&part, (const char *)(m + 1) + sizeof(struct dnn_sizes),
           sizeof part);
  return part;
}
