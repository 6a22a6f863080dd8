/* state.c - inputs and outputs that are one buffer of the caller's, and the
 * function that says what they are before the first call. */
#include "codegen/emit/impl.h"
#include "codegen/object/region.h"

#include <assert.h>

void emit_number_ports(struct emit *e) {
  const struct ir_func *f = ir_main(e->m);
  const struct ir_op *ret = f->body->last;
  if (ir_io_places(f))
    return; /* none do */
  e->ninputs = f->body->nparams;
  e->noutputs = ret->noperands;
  e->port = DN_ARRAY(e->scratch, int, e->ninputs + e->noutputs + 1);
  e->state_size = ir_state_at(f, e->noutputs, e->facts->align);
  for (unsigned i = 0; i < e->ninputs + e->noutputs; i++) {
    bool state = i < e->ninputs ? ir_state_of(f->body->param[i]) >= 0
                                : ir_carried_param(ret, i - e->ninputs) != NULL;
    e->port[i] = state ? -1 : (int)e->nports++;
  }
}

static LLVMValueRef at_byte(struct emit *e, LLVMValueRef p, int64_t byte) {
  LLVMValueRef at = emit_iptr(e, byte);
  return LLVMBuildGEP2(e->b, e->i8, p, &at, 1, "");
}

LLVMValueRef emit_port(struct emit *e, bool in, unsigned number) {
  assert(number < (in ? e->ninputs : e->noutputs) &&
         "rule range: a place in an input or output");
  int port = e->port[in ? number : e->ninputs + number];
  if (port >= 0)
    return LLVMGetParam(e->run, (unsigned)port);
  return at_byte(e, emit_last_argument(e, 2),
                 ir_state_at(ir_main(e->m), number, e->facts->align));
}

/* Copies `c` to a byte of the state. */
static void begin_with(struct emit *e, LLVMValueRef state, int64_t byte,
                       const struct ir_value *c) {
  const char *name =
      dn_printf(e->scratch, "%s.initial%u", e->opts->prefix, c->id);
  size_t n = (size_t)ir_type_bytes(c->type);
  LLVMValueRef init =
      LLVMConstStringInContext2(e->lc, ir_const_bytes(e->scratch, c), n, true);
  LLVMValueRef from = LLVMAddGlobal(e->mod, LLVMTypeOf(init), name);
  emit_set_constant(e, from, init,
                    cg_const_section(e->opts, e->scratch, c, name));
  LLVMBuildMemCpy(e->b, at_byte(e, state, byte), (unsigned)e->facts->align,
                  from, 1, LLVMConstInt(e->iptr, n, false));
}

void emit_reset(struct emit *e) {
  const struct ir_func *f = ir_main(e->m);
  const char *name = dn_printf(e->scratch, "%s_reset", e->opts->prefix);
  int64_t align = e->facts->align;
  if (!e->state_size)
    return;
  LLVMTypeRef type = LLVMFunctionType(e->void_, &e->ptr, 1, false);
  LLVMValueRef fn = LLVMAddFunction(e->mod, name, type);
  LLVMValueRef state = LLVMGetParam(fn, 0);
  emit_function_attributes(e, fn, name);
  LLVMSetLinkage(fn, LLVMExternalLinkage);
  LLVMPositionBuilderAtEnd(e->b, LLVMAppendBasicBlockInContext(e->lc, fn, ""));
  LLVMBuildMemSet(e->b, state, LLVMConstNull(e->i8),
                  emit_iptr(e, e->state_size), (unsigned)align);
  for (unsigned i = 0; i < f->nresults; i++) {
    const struct ir_value *param = ir_carried_param(f->body->last, i);
    if (param && param->initial)
      begin_with(e, state, ir_state_at(f, i, align), param->initial);
  }
  LLVMBuildRetVoid(e->b);
}
