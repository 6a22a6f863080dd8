/* const.c - constants in their sections, those beyond the reach of code, blocks of
 * padding. */
#include "codegen/emit/share.h"
#include "codegen/object/region.h"
#include "codegen/target/target.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>
#include <xxhash.h>

/* Letters, digits and underscores of a hostile name, cut to a sane length. */
const char *emit_mangle(struct emit *e, const char *name) {
  size_t n = strlen(name);
  char *s = dn_strndup(e->scratch, name, n > 40 ? 40 : n);
  for (char *p = s; *p; p++)
    if (!isalnum((unsigned char)*p))
      *p = '_';
  return s;
}

int emit_const_align(const struct emit *e) {
  return e->facts->pointer_bytes > 4 ? 64 : 16;
}

static int64_t constant_bytes(const struct ir_module *m) {
  int64_t bytes = 0;
  for (size_t i = 0; i < m->consts.n; i++)
    if (m->consts.v[i]->data->bytes &&
        !dn_add(bytes, ir_type_bytes(m->consts.v[i]->type), &bytes))
      return INT64_MAX;
  return bytes;
}

bool cg_is_large(const struct ir_module *m) {
  return constant_bytes(m) > INT64_C(1800000000);
}

void emit_set_constant(struct emit *e, LLVMValueRef g, LLVMValueRef init,
                       const char *section) {
  LLVMSetInitializer(g, init);
  LLVMSetGlobalConstant(g, true);
  LLVMSetLinkage(g, LLVMInternalLinkage);
  LLVMSetUnnamedAddress(g, LLVMGlobalUnnamedAddr);
  LLVMSetAlignment(g, (unsigned)emit_const_align(e));
  LLVMSetSection(g, section);
}

static bool is_far(const struct emit *e, const struct ir_value *c) {
  return e->large && !e->apart &&
         emit_is_passed(e,
                        &(struct emit_buffer){.space = IR_IN_CONST, .base = c});
}

/* A constant that was emitted before and has the same bytes, whatever its type;
 * or NULL, and `c` is the first. */
static const struct ir_value *same_bytes(struct emit *e,
                                         const struct ir_value *c) {
  size_t size = (size_t)ir_type_bytes(c->type);
  uint64_t hash = XXH3_64bits(c->data->bytes, size);
  struct emit_bytes **p = &e->bytes[hash % EMIT_BUCKETS];
  for (const struct emit_bytes *b = *p; b; b = b->next)
    if (b->hash == hash && (size_t)ir_type_bytes(b->of->type) == size &&
        !memcmp(b->of->data->bytes, c->data->bytes, size))
      return b->of;
  struct emit_bytes one = {*p, hash, c};
  *p = dn_copy(e->scratch, &one, sizeof one);
  return NULL;
}

LLVMValueRef emit_const_global(struct emit *e, const struct ir_value *c) {
  assert(c->data && "a constant");
  LLVMValueRef *g = &e->global[c->id];
  if (*g)
    return *g;
  if (!c->data->bytes) /* every element is an immediate */
    return *g = LLVMConstNull(e->ptr);
  const struct ir_value *same = same_bytes(e, c);
  if (same)
    return *g = e->global[same->id];
  const char *name = dn_printf(e->scratch, "%s.c%u.%s", e->opts->prefix, c->id,
                               emit_mangle(e, c->name));
  const char *section = is_far(e, c)
                            ? dn_printf(e->ctx->arena, ".lrodata.%s", name)
                            : cg_const_section(e->opts, e->ctx->arena, c, name);
  size_t size = (size_t)ir_type_bytes(c->type);
  bool later = e->later && size >= CG_FILL_MIN;
  LLVMValueRef bytes =
      later ? LLVMConstNull(LLVMArrayType2(e->i8, size))
            : LLVMConstStringInContext2(e->lc, c->data->bytes, size, true);
  *g = LLVMAddGlobal(e->mod, LLVMTypeOf(bytes), name);
  emit_set_constant(e, *g, bytes, section);
  if (later) {
    struct cg_fill f = {section, {c->data->bytes, size}};
    LLVMSetExternallyInitialized(*g, true); /* or loads fold to zero */
    DN_PUSH(e->ctx->arena, e->later->list, f);
  }
  return *g;
}

/* Far constants come first, by sections that are opened before any function's:
 * a loader keeps their order, and later sections are near the code. */
void emit_far_begin(struct emit *e) {
  for (size_t i = 0; e->large && i < e->m->consts.n; i++) {
    const struct ir_value *c = e->m->consts.v[i];
    if (!c->uses || !is_far(e, c))
      continue;
    LLVMValueRef g = emit_const_global(e, c);
    const char *text = dn_printf(e->scratch, ".section %s,\"al\",@progbits",
                                 LLVMGetSection(g));
    LLVMAppendModuleInlineAsm(e->mod, text, strlen(text));
  }
}

/* Its address: a near word holds how far it is from there. Unlike the medium
 * model's, this needs no table of the linker, which a loader may not have. */
static LLVMValueRef far_address(struct emit *e, const struct ir_value *c) {
  LLVMValueRef to = emit_const_global(e, c);
  const char *name = dn_printf(e->scratch, "%s.far%u", e->opts->prefix, c->id);
  LLVMValueRef word = LLVMGetNamedGlobal(e->mod, name);
  if (!word) {
    word = LLVMAddGlobal(e->mod, e->i64, name);
    emit_set_constant(e, word,
                      LLVMConstSub(LLVMConstPtrToInt(to, e->i64),
                                   LLVMConstPtrToInt(word, e->i64)),
                      dn_printf(e->scratch, ".rodata.%s", name));
    LLVMSetExternallyInitialized(word, true); /* or it folds to the address */
    LLVMSetAlignment(word, 8);
  }
  LLVMValueRef far = LLVMBuildLoad2(e->b, e->i64, word, "");
  LLVMValueRef at = LLVMBuildPtrToInt(e->b, word, e->i64, "");
  return LLVMBuildIntToPtr(e->b, LLVMBuildAdd(e->b, at, far, ""), e->ptr, "");
}

LLVMValueRef emit_const_argument(struct emit *e, const struct ir_value *c) {
  if (e->apart && e->apart[c->id])
    return emit_weights_argument(e, c);
  return is_far(e, c) ? far_address(e, c) : emit_const_global(e, c);
}

/* Blocks of padding get their size when all kernels are known. */
void emit_pads_end(struct emit *e) {
  for (size_t i = 0; i < e->pads.n; i++) {
    const struct emit_pad *pad = e->pads.v[i];
    const char *name = dn_printf(e->scratch, "%s.pad%zu", e->opts->prefix, i);
    size_t n = (size_t)pad->size / pad->bytes + 1;
    LLVMTypeRef elem = LLVMIntTypeInContext(e->lc, pad->bytes * 8);
    LLVMTypeRef type = LLVMArrayType2(elem, n);
    LLVMValueRef init = LLVMConstNull(type);
    if (pad->bits) {
      LLVMValueRef *v = DN_ARRAY(e->scratch, LLVMValueRef, n);
      for (size_t j = 0; j < n; j++)
        v[j] = LLVMConstInt(elem, pad->bits, false);
      init = LLVMConstArray2(elem, v, n);
    }
    LLVMValueRef g = LLVMAddGlobal(e->mod, type, name);
    emit_set_constant(e, g, init, dn_printf(e->scratch, ".rodata.%s", name));
    LLVMReplaceAllUsesWith(pad->global, g);
    LLVMDeleteGlobal(pad->global);
  }
}

/* How far from code a constant may be: an instruction's address, less what
 * else is between. */
bool emit_consts_fit(struct emit *e, const struct cg_target *t) {
  int64_t bytes = constant_bytes(e->m), reach = INT64_MAX;
  switch (t->row->backend) {
  case CG_X86:
    e->large = cg_is_large(e->m);
    break;
  case CG_AArch64: /* adrp */
    reach = INT64_C(4000000000);
    break;
  case CG_RISCV: /* auipc, which of 32 bits reaches all */
    reach = e->facts->pointer_bytes > 4 ? INT64_C(2000000000) : INT64_MAX;
    break;
  case CG_ARM:
  case CG_Xtensa:
    break;
  }
  if (bytes <= reach)
    return true;
  dn_error(e->ctx, (struct dn_loc){.file = e->m->file}, DN_TARGET,
           "%lld bytes of constants: code for this processor reaches %lld",
           (long long)bytes, (long long)reach);
  return false;
}
