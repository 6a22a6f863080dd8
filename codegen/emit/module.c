/* module.c - the module around the kernels: constants, blocks of padding, the
 * entry function. Names and order follow the module alone, so that the same
 * input gives the same bytes. */
#include "codegen/emit/impl.h"
#include "codegen/object/region.h"
#include "codegen/target/target.h"
#include "ir/place.h"
#include "runtime/dnn.h"

#include <assert.h>
#include <string.h>

/* ---- Attributes ---- */

void emit_attribute(struct emit *e, LLVMValueRef fn, int at, const char *name,
                    uint64_t value) {
  unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
  LLVMAddAttributeAtIndex(fn, (LLVMAttributeIndex)at,
                          LLVMCreateEnumAttribute(e->lc, kind, value));
}

static void string_attribute(struct emit *e, LLVMValueRef fn, const char *name,
                             const char *value) {
  LLVMAddAttributeAtIndex(
      fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
      LLVMCreateStringAttribute(e->lc, name, (unsigned)strlen(name), value,
                                (unsigned)strlen(value)));
}

/* Wide vectors stay wide: a CPU that prefers 256 bits halves them otherwise
 * (LLVM issues 102047 and 65070). */
void emit_function_attributes(struct emit *e, LLVMValueRef fn,
                              const char *name) {
  LLVMSetSection(fn, cg_code_section(e->opts, e->scratch, name));
  if (fn != e->entry)
    LLVMSetLinkage(fn, LLVMInternalLinkage);
  emit_debug_function(e, fn, name);
  emit_attribute(e, fn, LLVMAttributeFunctionIndex, "nounwind", 0);
  if (e->opts->freestanding)
    string_attribute(e, fn, "no-builtins", "");
  if (e->facts->vector_bytes < 64)
    return;
  string_attribute(e, fn, "prefer-vector-width", "512");
  string_attribute(e, fn, "min-legal-vector-width", "512");
}

/* ---- The entry function ---- */

static bool is_split(const struct emit *e) {
  return ir_arena_part(e->m, 1) > 0;
}

LLVMValueRef emit_last_argument(struct emit *e, unsigned i) {
  assert(i + e->nrange + is_split(e) <= LLVMCountParams(e->run) &&
         "emit_begin_function() counts them");
  return LLVMGetParam(e->run,
                      LLVMCountParams(e->run) - e->nrange - i - is_split(e));
}

LLVMValueRef emit_arena(struct emit *e, unsigned part) {
  return part ? emit_last_argument(e, 0) : emit_last_argument(e, 1);
}

LLVMValueRef emit_argument(struct emit *e, const struct emit_buffer *b) {
  LLVMValueRef p = NULL, from = emit_iptr(e, b->from);
  switch (b->space) {
  case IR_IN_ARENA:
    p = emit_arena(e, b->number);
    break;
  case IR_IN_INPUT:
  case IR_IN_OUTPUT:
    p = emit_port(e, b->space == IR_IN_INPUT, b->number);
    break;
  case IR_IN_CONST:
    p = emit_const_argument(e, b->base);
    break;
  case IR_IN_SIZES:
    p = e->size_at;
    break;
  }
  if (b->from)
    p = LLVMBuildGEP2(e->b, e->i8, p, &from, 1, "");
  for (int d = 0; d < IR_MAX_LOOPS_AROUND; d++) {
    if (!b->step[d])
      continue;
    LLVMValueRef by =
        LLVMBuildMul(e->b, e->turn[d], emit_iptr(e, b->step[d]), "");
    p = LLVMBuildGEP2(e->b, e->i8, p, &by, 1, "");
  }
  return p;
}

void emit_store_size(struct emit *e, int i, LLVMValueRef v) {
  LLVMValueRef at = LLVMConstInt(e->iptr, (unsigned)i, false);
  at = LLVMBuildGEP2(e->b, e->i64, e->size_at, &at, 1, "");
  LLVMBuildStore(e->b, v, at);
}

/* Kernels get a pointer to the sizes. */
static void store_sizes(struct emit *e) {
  int n = e->sizes.most.n, all = n + e->turns;
  if (!all)
    return;
  e->size_at =
      LLVMBuildAlloca(e->b, LLVMArrayType2(e->i64, (uint64_t)all), "sizes");
  for (int i = 0; i < e->sizes.passed; i++)
    emit_store_size(e, i, LLVMGetParam(e->run, e->nports + (unsigned)i));
  if (e->sizes.passed == n)
    return;
  e->over = LLVMBuildAlloca(e->b, e->i8, "over");
  LLVMBuildStore(e->b, LLVMConstInt(e->i8, 0, false), e->over);
}

bool emit_params_fit(struct emit *e, struct dn_loc loc, unsigned words) {
  unsigned most = (unsigned)e->facts->params;
  if (!most || words <= most)
    return true;
  dn_error(e->ctx, loc, DN_TARGET,
           "a function of %u words of parameters: on this processor it has %u "
           "at most",
           words, most);
  dn_note(e->ctx, "--io=arena passes inputs and outputs with the arena");
  e->failed = true;
  return false;
}

LLVMValueRef emit_begin_function(struct emit *e, LLVMTypeRef result,
                                 unsigned range, const char *name) {
  unsigned sizes = e->nports;
  unsigned n = sizes + (unsigned)e->sizes.passed + 1 + is_split(e) +
               (e->apart != NULL) + (e->state_size > 0) + range;
  LLVMTypeRef *params = DN_ARRAY(e->scratch, LLVMTypeRef, n);
  for (unsigned i = 0; i < n; i++)
    params[i] = i - sizes < (unsigned)e->sizes.passed ? e->i64
                : i < n - range                       ? e->ptr
                                                      : e->iptr;
  e->nrange = range;
  e->run =
      LLVMAddFunction(e->mod, name, LLVMFunctionType(result, params, n, false));
  e->passed = NULL;
  LLVMPositionBuilderAtEnd(
      e->b, LLVMAppendBasicBlockInContext(e->lc, e->run, "entry"));
  store_sizes(e);
  return e->run;
}

static void begin_run(struct emit *e) {
  const char *name = dn_printf(e->scratch, "%s_run", e->opts->prefix);
  e->b = LLVMCreateBuilderInContext(e->lc);
  e->entry = emit_begin_function(e, e->i32, 0, name);
  emit_params_fit(e, (struct dn_loc){.file = e->m->file},
                  LLVMCountParams(e->entry) + (unsigned)e->sizes.passed);
  emit_function_attributes(e, e->entry, name);
}

void emit_leave(struct emit *e, LLVMValueRef bad, LLVMValueRef code) {
  LLVMBasicBlockRef on = LLVMAppendBasicBlockInContext(e->lc, e->run, "good");
  LLVMBasicBlockRef at = LLVMGetInsertBlock(e->b), out = e->leave;
  if (e->run == e->entry)
    LLVMAddIncoming(e->status, &code, &at, 1);
  else
    out = LLVMAppendBasicBlockInContext(e->lc, e->run, "bad");
  LLVMBuildCondBr(e->b, bad, out, on);
  if (e->run != e->entry) {
    LLVMPositionBuilderAtEnd(e->b, out);
    LLVMBuildRet(e->b, code);
  }
  LLVMPositionBuilderAtEnd(e->b, on);
}

/* Where PREFIX_run ends, if it may end before all is made. */
static void begin_leave(struct emit *e, const struct ir_block *body) {
  LLVMBasicBlockRef at = LLVMGetInsertBlock(e->b);
  const struct ir_op *op = body->first;
  while (op && !emit_may_fail(e, op))
    op = ir_next_outside(op);
  if (!op)
    return;
  e->leave = LLVMAppendBasicBlockInContext(e->lc, e->entry, "leave");
  LLVMPositionBuilderAtEnd(e->b, e->leave);
  e->status = LLVMBuildPhi(e->b, e->i32, "");
  LLVMPositionBuilderAtEnd(e->b, at);
}

/* PREFIX_run's status where all is made. */
static LLVMValueRef end_leave(struct emit *e) {
  LLVMBasicBlockRef at = LLVMGetInsertBlock(e->b);
  LLVMValueRef ok = LLVMConstInt(e->i32, DNN_OK, false);
  if (e->over) {
    LLVMValueRef over = LLVMConstInt(e->i32, DNN_E_SIZE, false);
    LLVMValueRef any = LLVMBuildLoad2(e->b, e->i8, e->over, "");
    any = LLVMBuildTrunc(e->b, any, e->i1, "");
    ok = LLVMBuildSelect(e->b, any, over, ok, "");
  }
  if (!e->leave)
    return ok;
  LLVMAddIncoming(e->status, &ok, &at, 1);
  LLVMBuildBr(e->b, e->leave);
  LLVMPositionBuilderAtEnd(e->b, e->leave);
  return e->status;
}

/* Part `i` of PREFIX_run: what LLVM does with a function of thousands of calls
 * takes more than thousands of times as long. Gives where it is called. */
static LLVMBasicBlockRef begin_part(struct emit *e, unsigned i) {
  const char *name = dn_printf(e->scratch, "%s.part%u", e->opts->prefix, i);
  LLVMBasicBlockRef at = LLVMGetInsertBlock(e->b);
  LLVMValueRef fn =
      emit_begin_function(e, e->leave ? e->i32 : e->void_, 0, name);
  emit_function_attributes(e, fn, name);
  emit_attribute(e, fn, LLVMAttributeFunctionIndex, "noinline", 0);
  return at;
}

static void end_part(struct emit *e, LLVMBasicBlockRef at) {
  unsigned n = LLVMCountParams(e->entry);
  LLVMValueRef *args = DN_ARRAY(e->scratch, LLVMValueRef, n), fn = e->run;
  LLVMValueRef none = LLVMConstInt(e->i32, DNN_OK, false);
  LLVMGetParams(e->entry, args);
  if (e->leave)
    LLVMBuildRet(e->b, none);
  else
    LLVMBuildRetVoid(e->b);
  e->run = e->entry;
  LLVMPositionBuilderAtEnd(e->b, at);
  emit_debug_back(e, e->b, NULL);
  LLVMValueRef status =
      LLVMBuildCall2(e->b, LLVMGlobalGetValueType(fn), fn, args, n, "");
  if (e->leave)
    emit_leave(e, LLVMBuildICmp(e->b, LLVMIntNE, status, none, ""), status);
}

/* Goes on only where `bad` does not hold; else returns `code`. */
static void refuse(struct emit *e, LLVMValueRef bad, unsigned code) {
  LLVMBasicBlockRef out = LLVMAppendBasicBlockInContext(e->lc, e->run, "bad");
  LLVMBasicBlockRef on = LLVMAppendBasicBlockInContext(e->lc, e->run, "good");
  LLVMBuildCondBr(e->b, bad, out, on);
  LLVMPositionBuilderAtEnd(e->b, out);
  LLVMBuildRet(e->b, LLVMConstInt(e->i32, code, false));
  LLVMPositionBuilderAtEnd(e->b, on);
}

/* Whether size i is not in its range. */
static LLVMValueRef is_beyond(struct emit *e, int i, LLVMValueRef n) {
  assert(i < e->sizes.most.n && e->sizes.least[i] <= e->sizes.most.value[i] &&
         "rule made");
  int64_t least = e->sizes.least[i], most = e->sizes.most.value[i];
  n = LLVMBuildSub(e->b, n, LLVMConstInt(e->i64, (uint64_t)least, true), "");
  return LLVMBuildICmp(e->b, LLVMIntUGT, n,
                       LLVMConstInt(e->i64, (uint64_t)(most - least), true),
                       "");
}

/* A size out of its range is an error code. */
static void check_sizes(struct emit *e) {
  LLVMValueRef bad = NULL;
  for (int i = 0; i < e->sizes.passed; i++) {
    LLVMValueRef n = LLVMGetParam(e->run, e->nports + (unsigned)i);
    n = is_beyond(e, i, n);
    bad = bad ? LLVMBuildOr(e->b, bad, n, "") : n;
  }
  if (bad)
    refuse(e, bad, DNN_E_SIZE);
}

/* So is memory that is missing or misaligned. */
static void check_memory(struct emit *e, LLVMValueRef p, unsigned code) {
  LLVMValueRef rest =
      LLVMBuildAnd(e->b, LLVMBuildPtrToInt(e->b, p, e->iptr, ""),
                   emit_iptr(e, e->facts->align - 1), "");
  refuse(e,
         LLVMBuildOr(e->b, LLVMBuildIsNull(e->b, p, ""),
                     LLVMBuildIsNotNull(e->b, rest, ""), ""),
         code);
}

/* A missing buffer or a misaligned arena is an error code. */
static void check_arguments(struct emit *e, const struct ir_block *body) {
  LLVMValueRef missing = NULL;
  check_sizes(e);
  for (unsigned i = 0; i < e->ninputs + e->noutputs; i++) {
    const struct ir_value *v =
        i < e->ninputs ? body->param[i] : ir_arg(body->last, i - e->ninputs);
    if (e->port[i] < 0 || !ir_type_count(v->type))
      continue;
    LLVMValueRef is =
        LLVMBuildIsNull(e->b, LLVMGetParam(e->run, (unsigned)e->port[i]), "");
    missing = missing ? LLVMBuildOr(e->b, missing, is, "") : is;
  }
  if (missing)
    refuse(e, missing, DNN_E_NULL);
  LLVMValueRef wrong = emit_weights_check(e);
  if (wrong)
    refuse(e, LLVMBuildIsNotNull(e->b, wrong, ""), DNN_E_WEIGHTS);
  wrong = emit_matrix_permission(e, body);
  if (wrong)
    refuse(e, LLVMBuildIsNotNull(e->b, wrong, ""), DNN_E_MATRIX);
  if (e->state_size)
    check_memory(e, emit_last_argument(e, 2), DNN_E_STATE);
  for (unsigned part = 0; part < 2; part++)
    if (ir_arena_part(e->m, part))
      check_memory(e, emit_arena(e, part), DNN_E_ARENA);
}

static unsigned count_kernels(const struct ir_block *body) {
  unsigned n = 0;
  for (struct ir_op *op = body->first; op; op = ir_next_outside(op))
    n += op->code == IR_KERNEL;
  return n;
}

static const char *kernel_name(struct emit *e, const struct ir_op *op) {
  const char *name = op->loc ? op->loc : ir_result(op)->name;
  for (const struct ir_op *o = op->region[0]->first; o && !op->loc; o = o->next)
    if (o->loc) {
      name = o->loc;
      break;
    }
  return dn_printf(e->scratch, "%s.k%u.%s", e->opts->prefix, e->nkernels,
                   emit_mangle(e, name));
}

/* The sizes that the kernel sets are known before it runs. Of more than a bound
 * the first count, and the function's result says so. */
static void set_sizes(struct emit *e, const struct ir_op *kernel) {
  const struct ir_op *op = kernel->region[0]->first;
  for (int i = e->sizes.passed; i < e->sizes.most.n; i++) {
    if (!ir_makes_param(op, e->sizes.most.param[i]))
      continue;
    LLVMValueRef most =
        LLVMConstInt(e->i64, (uint64_t)e->sizes.most.value[i], true);
    LLVMValueRef n = emit_one(e, ir_arg(op, 1));
    LLVMValueRef over = is_beyond(e, i, n);
    emit_store_size(e, i, LLVMBuildSelect(e->b, over, most, n, ""));
    LLVMValueRef any = LLVMBuildLoad2(e->b, e->i8, e->over, "");
    any = LLVMBuildOr(e->b, any, LLVMBuildZExt(e->b, over, e->i8, ""), "");
    LLVMBuildStore(e->b, any, e->over);
  }
}

void emit_outside(struct emit *e, const struct ir_op *op) {
  emit_debug_at(e, e->b, op);
  if (ir_has_blocks(op))
    emit_region(e, op);
  if (op->code != IR_KERNEL)
    return;
  set_sizes(e, op);
  LLVMValueRef from = emit_profile_from(e);
  emit_kernel(e, op, kernel_name(e, op));
  emit_profile_add(e, e->nkernels, from);
  e->nkernels++;
}

static void emit_body(struct emit *e, const struct ir_block *body) {
  enum { PART = 250 }; /* kernels */
  unsigned total = count_kernels(body), parts = 0;
  bool made = e->sizes.passed < e->sizes.most.n;
  LLVMBasicBlockRef at = NULL; /* where the open part is called */
  LLVMValueRef size_at = e->size_at;
  for (const struct ir_op *o = body->first; o != body->last; o = o->next) {
    if (total > PART && !made && !ir_is_view(o) &&
        e->nkernels >= parts * PART) {
      if (at)
        end_part(e, at);
      at = begin_part(e, parts++);
    }
    emit_outside(e, o);
  }
  if (at)
    end_part(e, at);
  e->size_at = size_at;
}

/* Results that were not made in the caller's buffer are copied there. */
static void copy_results(struct emit *e, const struct ir_op *ret) {
  for (unsigned i = 0; i < e->noutputs; i++) {
    const struct ir_value *v = ir_arg(ret, i);
    struct ir_place p = emit_place(v),
                    to = {.space = IR_IN_OUTPUT, .number = i};
    ir_type_strides(v->type, to.stride);
    if (p.space == IR_IN_OUTPUT && p.number == i && !p.offset &&
        ir_type_is_dense(v->type, p.stride))
      continue;
    emit_copy(e, v, &to,
              dn_printf(e->scratch, "%s.copy%u", e->opts->prefix, i));
  }
}

/* Offsets are signed, and a pointer has 32 bits. */
static bool fits(struct emit *e, const char *what, int64_t bytes,
                 int64_t *all) {
  if (!dn_add(*all, bytes, all))
    *all = INT64_MAX;
  if (bytes <= INT32_MAX)
    return true;
  dn_error(e->ctx, (struct dn_loc){.file = e->m->file, .where = what},
           DN_TARGET, "%lld bytes do not fit a 32-bit address space",
           (long long)bytes);
  return false;
}

static bool fits_pointer(struct emit *e) {
  const struct ir_module *m = e->m;
  const struct ir_block *body = m->funcs->body;
  if (e->facts->pointer_bytes > 4)
    return true;
  int64_t all = 0;
  bool ok = fits(e, "the arena", m->arena_size, &all);
  for (size_t i = 0; i < m->consts.n; i++)
    if (m->consts.v[i]->data->bytes)
      ok &= fits(e, m->consts.v[i]->name, ir_type_bytes(m->consts.v[i]->type),
                 &all);
  for (unsigned i = 0; i < e->ninputs; i++)
    ok &= fits(e, body->param[i]->name, ir_type_bytes(body->param[i]->type),
               &all);
  for (unsigned i = 0; i < e->noutputs; i++) {
    const struct ir_value *y = ir_arg(body->last, i);
    ok &= fits(e, ir_result_name(m->funcs, i), ir_type_bytes(y->type), &all);
  }
  if (!ok || all <= UINT32_MAX)
    return ok;
  dn_error(e->ctx, (struct dn_loc){.file = m->file}, DN_TARGET,
           "constants, arena, inputs and outputs are %lld bytes, which do not "
           "fit a 32-bit address space",
           (long long)all);
  return false;
}

static void set_types(struct emit *e) {
  LLVMContextRef lc = e->lc;
  e->i1 = LLVMInt1TypeInContext(lc);
  e->i8 = LLVMInt8TypeInContext(lc);
  e->i32 = LLVMInt32TypeInContext(lc);
  e->i64 = LLVMInt64TypeInContext(lc);
  e->f32 = LLVMFloatTypeInContext(lc);
  e->f64 = LLVMDoubleTypeInContext(lc);
  e->iptr = e->facts->pointer_bytes > 4 ? e->i64 : e->i32;
  e->ptr = LLVMPointerTypeInContext(lc, 0);
  e->void_ = LLVMVoidTypeInContext(lc);
}

bool cg_emit_module(struct dn_ctx *ctx, const struct cg_target *t,
                    const struct ir_module *m, const struct cg_opts *opts,
                    LLVMContextRef lc, LLVMModuleRef out,
                    struct cg_fills *later) {
  struct emit e = {.ctx = ctx, .opts = opts, .m = m, .lc = lc, .mod = out};
  e.later = later;
  const struct ir_block *body = ir_main(m)->body;
  e.facts = cg_target_facts(t);
  e.scratch = dn_arena_new(ctx);
  e.global = DN_ARRAY(e.scratch, LLVMValueRef, m->nvalues + 1);
  e.bytes = DN_ARRAY(e.scratch, struct emit_bytes *, EMIT_BUCKETS);
  e.slot = DN_ARRAY(e.scratch, unsigned, m->nops + 1);
  e.leaf = DN_ARRAY(e.scratch, unsigned, m->nvalues + 1);
  for (e.shared_mask = 63; e.shared_mask < m->nops;)
    e.shared_mask = 2 * e.shared_mask + 1;
  e.shared = DN_ARRAY(e.scratch, struct emit_function *, e.shared_mask + 1);
  emit_number_ports(&e);
  set_types(&e);
  ir_sizes_of(ir_main(m), &e.sizes);
  e.turns = ir_turns_named(ir_main(m));
  if (!fits_pointer(&e) || !emit_consts_fit(&e, t)) {
    dn_arena_free(e.scratch);
    return false;
  }
  emit_debug_begin(&e);
  emit_weights_begin(&e);
  emit_far_begin(&e);
  begin_run(&e);
  check_arguments(&e, body);
  begin_leave(&e, body);
  emit_profile_begin(&e, count_kernels(body));
  LLVMValueRef from = emit_profile_from(&e);
  emit_body(&e, body);
  emit_debug_at(&e, e.b, body->last);
  copy_results(&e, body->last);
  emit_profile_add(&e, e.nkernels, from);
  LLVMValueRef status = end_leave(&e);
  emit_weights_end(&e);
  LLVMBuildRet(e.b, status);
  emit_reset(&e);
  LLVMDisposeBuilder(e.b);
  emit_pads_end(&e);
  emit_debug_end(&e);
  dn_arena_free(e.scratch);
  return !e.failed;
}
