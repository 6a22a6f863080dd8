/* weights.c - constants that lie apart (--weights), those that are summed
 * before a run (--checked), and the arena that is cleared behind it
 * (--zeroize). */
#include "codegen/object/weights.h"

#include "codegen/emit/impl.h"
#include "runtime/dnn.h"

#include <assert.h>

static LLVMTypeRef function_type(LLVMTypeRef result, LLVMTypeRef a,
                                 LLVMTypeRef b, LLVMTypeRef c) {
  return LLVMFunctionType(result, (LLVMTypeRef[]){a, b, c}, c ? 3 : 2, false);
}

/* A function of runtime/soft.c. */
static LLVMValueRef call_soft(struct emit *e, LLVMBuilderRef b,
                              const char *name, LLVMTypeRef type,
                              LLVMValueRef *args) {
  LLVMValueRef fn = LLVMGetNamedFunction(e->mod, name);
  if (!fn)
    fn = LLVMAddFunction(e->mod, name, type);
  return LLVMBuildCall2(b, type, fn, args, LLVMCountParamTypes(type), "");
}

/* What the object expects; its hash is filled in when the object is made. */
static LLVMValueRef own_header(struct emit *e) {
  const char *name = cg_weights_symbol(e->scratch, e->opts);
  LLVMValueRef g = LLVMGetNamedGlobal(e->mod, name);
  if (g)
    return g;
  struct dnn_weights own = {.magic = DNN_WEIGHTS_MAGIC,
                            .version = DNN_WEIGHTS_VERSION,
                            .size = (uint64_t)e->apart_size,
                            .align = 64};
  LLVMValueRef bytes =
      LLVMConstStringInContext2(e->lc, (const char *)&own, sizeof own, true);
  g = LLVMAddGlobal(e->mod, LLVMTypeOf(bytes), name);
  LLVMSetInitializer(g, bytes);
  LLVMSetGlobalConstant(g, true);
  LLVMSetLinkage(g, LLVMInternalLinkage);
  LLVMSetAlignment(g, 8);
  LLVMSetSection(g, cg_weights_section(e->scratch, e->opts));
  LLVMSetExternallyInitialized(g, true);
  return g;
}

static LLVMValueRef match(struct emit *e, LLVMBuilderRef b, LLVMValueRef blob,
                          LLVMValueRef size) {
  LLVMTypeRef type = function_type(e->i32, e->ptr, e->ptr, e->iptr);
  return call_soft(e, b, "__dnn_weights", type,
                   (LLVMValueRef[]){blob, own_header(e), size});
}

void emit_weights_begin(struct emit *e) {
  if (!e->opts->apart)
    return;
  e->apart = DN_ARRAY(e->scratch, int64_t, e->m->nvalues + 1);
  e->apart_size = cg_weights_place(e->m, e->apart);
}

LLVMValueRef emit_weights_argument(struct emit *e, const struct ir_value *c) {
  assert(e->apart && e->apart[c->id] && "emit_const_argument()");
  LLVMValueRef at = emit_iptr(e, e->apart[c->id]);
  LLVMValueRef blob = emit_last_argument(e, e->state_size ? 3 : 2);
  return LLVMBuildGEP2(e->b, e->i8, blob, &at, 1, "");
}

static const char *check_name(struct emit *e) {
  return dn_printf(e->scratch, "%s.check", e->opts->prefix);
}

LLVMValueRef emit_weights_check(struct emit *e) {
  bool checked = e->opts->checked;
  if (e->apart) {
    LLVMValueRef blob = emit_last_argument(e, e->state_size ? 3 : 2);
    uint64_t size = checked ? (uint64_t)e->apart_size : 0;
    return match(e, e->b, blob, LLVMConstInt(e->iptr, size, false));
  }
  if (!checked)
    return NULL;
  LLVMTypeRef type = LLVMFunctionType(e->i32, NULL, 0, false);
  LLVMValueRef fn = LLVMAddFunction(e->mod, check_name(e), type);
  return LLVMBuildCall2(e->b, type, fn, NULL, 0, "");
}

/* PREFIX.check: all constants of the module, known only now. */
static void build_check(struct emit *e, LLVMValueRef fn) {
  LLVMTypeRef type = function_type(e->i32, e->ptr, e->iptr, NULL);
  LLVMBuilderRef b = LLVMCreateBuilderInContext(e->lc);
  LLVMValueRef bad = LLVMConstInt(e->i32, 0, false);
  emit_function_attributes(e, fn, check_name(e));
  LLVMPositionBuilderAtEnd(b, LLVMAppendBasicBlockInContext(e->lc, fn, ""));
  for (size_t i = 0; i < e->m->consts.n; i++) {
    const struct ir_value *c = e->m->consts.v[i];
    LLVMValueRef g = e->global[c->id];
    if (!g || !c->data->bytes)
      continue;
    size_t size = (size_t)ir_type_bytes(c->type);
    LLVMValueRef args[] = {g, LLVMConstInt(e->iptr, size, false)};
    LLVMValueRef sum = call_soft(e, b, "__dnn_sum", type, args);
    uint32_t want = cg_weights_sum(c->data->bytes, size);
    LLVMValueRef differs =
        LLVMBuildXor(b, sum, LLVMConstInt(e->i32, want, false), "");
    bad = LLVMBuildOr(b, bad, differs, "");
  }
  LLVMBuildRet(b, bad);
  LLVMDisposeBuilder(b);
}

/* int PREFIX_load(const void *weights, size_t size) */
static void build_load(struct emit *e) {
  const char *name = dn_printf(e->scratch, "%s_load", e->opts->prefix);
  LLVMValueRef fn = LLVMAddFunction(
      e->mod, name, function_type(e->i32, e->ptr, e->iptr, NULL));
  LLVMBuilderRef b = LLVMCreateBuilderInContext(e->lc);
  emit_function_attributes(e, fn, name);
  LLVMSetLinkage(fn, LLVMExternalLinkage);
  LLVMPositionBuilderAtEnd(b, LLVMAppendBasicBlockInContext(e->lc, fn, ""));
  /* A size of 0 would be that which is not known. */
  LLVMValueRef size = LLVMGetParam(fn, 1), one = emit_iptr(e, 1);
  LLVMValueRef none = LLVMBuildIsNull(b, size, "");
  size = LLVMBuildSelect(b, none, one, size, "");
  LLVMBuildRet(b, match(e, b, LLVMGetParam(fn, 0), size));
  LLVMDisposeBuilder(b);
}

void emit_weights_end(struct emit *e) {
  LLVMValueRef check = LLVMGetNamedFunction(e->mod, check_name(e));
  if (check)
    build_check(e, check);
  if (e->apart)
    build_load(e);
  for (unsigned part = 0; e->opts->zeroize && part < 2; part++) {
    uint64_t size = (uint64_t)ir_arena_part(e->m, part);
    if (size)
      LLVMBuildMemSet(e->b, emit_arena(e, part), LLVMConstNull(e->i8),
                      LLVMConstInt(e->iptr, size, false),
                      (unsigned)e->facts->align);
  }
}
