/* weights.c - see weights.h. */
#include "codegen/object/weights.h"

#include "codegen/report/model.h"
#include "runtime/dnn.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

enum { ALIGN = 64 };
_Static_assert(sizeof(struct dnn_weights) <= DNN_WEIGHTS_AT, "the header fits");

int64_t cg_weights_place(const struct ir_module *m, int64_t *at) {
  int64_t size = DNN_WEIGHTS_AT;
  memset(at, 0, (m->nvalues + 1) * sizeof *at);
  for (size_t i = 0; i < m->consts.n; i++) {
    const struct ir_value *c = m->consts.v[i];
    if (!c->uses || !c->data->bytes)
      continue;
    at[c->id] = size;
    size += (ir_type_bytes(c->type) + ALIGN - 1) / ALIGN * ALIGN;
  }
  return size;
}

const char *cg_weights_symbol(struct dn_arena *arena, const struct cg_opts *o) {
  return dn_printf(arena, "%s.weights", o->prefix);
}

const char *cg_weights_section(struct dn_arena *arena,
                               const struct cg_opts *o) {
  return dn_printf(arena, ".rodata.%s_weights", o->prefix);
}

uint64_t cg_weights_abi(const struct cg_elf *elf, const void *object,
                        const struct cg_blob *model, const struct cg_job *job) {
  const char *own = cg_weights_section(job->ctx->arena, job->opts);
  const char *described = cg_model_section(job);
  uint64_t hash = XXH3_64bits(model->data, model->size);
  for (size_t i = 0; i < elf->sections.n; i++) {
    const struct cg_section *s = &elf->sections.v[i];
    if ((s->code || s->data) && s->stored && strcmp(s->name, own) != 0 &&
        strcmp(s->name, described) != 0)
      hash =
          XXH3_64bits_withSeed((const char *)object + s->offset, s->size, hash);
  }
  return hash;
}

static uint32_t sum_with(uint32_t sum, uint32_t word) {
  return ((sum << 5 | sum >> 27) ^ word) * 16777619u;
}

/* The sum that runtime/soft.c computes. */
static uint32_t sum_of(const unsigned char *p, size_t size) {
  uint32_t sum = 2166136261u, word;
  for (size_t i = 0; i < size / 4; i++) {
    memcpy(&word, p + 4 * i, 4);
    sum = sum_with(sum, word);
  }
  for (size_t i = size / 4 * 4; i < size; i++)
    sum = sum_with(sum, p[i]);
  return sum;
}

uint32_t cg_weights_sum(const void *data, size_t size) {
  return sum_of(data, size);
}

void cg_weights(struct dn_ctx *ctx, const struct ir_module *m, uint64_t abi,
                struct cg_blob *out) {
  int64_t *at = DN_ARRAY(ctx->arena, int64_t, m->nvalues + 1);
  int64_t size = cg_weights_place(m, at);
  assert(size >= DNN_WEIGHTS_AT && "cg_weights_place(): a header at least");
  unsigned char *bytes = DN_ARRAY(ctx->arena, unsigned char, (size_t)size);
  for (size_t i = 0; i < m->consts.n; i++) {
    const struct ir_value *c = m->consts.v[i];
    if (at[c->id])
      memcpy(bytes + at[c->id], c->data->bytes, (size_t)ir_type_bytes(c->type));
  }
  struct dnn_weights head = {.magic = DNN_WEIGHTS_MAGIC,
                             .version = DNN_WEIGHTS_VERSION,
                             .abi = abi,
                             .size = (uint64_t)size,
                             .align = ALIGN};
  head.sum = sum_of(bytes + sizeof head, (size_t)size - sizeof head);
  memcpy(bytes, &head, sizeof head);
  *out = (struct cg_blob){bytes, (size_t)size};
}
