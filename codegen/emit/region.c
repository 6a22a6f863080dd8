/* region.c - control flow between kernels, in PREFIX_run: branches and loops.
 * Conditions and trip counts are read from memory, where kernels put them; a
 * loop's number of the turn is written there. What a turn sees of memory moves
 * with its number: emit_argument().
 *
 *        count and condition              phi turn <- 0, next
 *   before --------------------> turn: --------------------------.
 *     |                            ^   kernels of the region       |
 *     |                            '---- next < count, condition --|
 *     '----------------------------------> done <------------------'
 *
 * The run fails where a loop is done since it has no more turns, and the
 * condition holds. */
#include "codegen/emit/impl.h"
#include "runtime/dnn.h"

#include <assert.h>
#include <string.h>

static LLVMBasicBlockRef block(struct emit *e, const char *name) {
  return LLVMAppendBasicBlockInContext(e->lc, e->run, name);
}

static LLVMValueRef number(struct emit *e, LLVMTypeRef type, int64_t v) {
  return LLVMConstInt(type, (uint64_t)v, type != e->i1);
}

/* Address of a value outside kernels in the current iteration of the enclosing
 * loops. */
static LLVMValueRef address_of(struct emit *e, const struct ir_value *v) {
  struct ir_place p = emit_place(v);
  struct emit_buffer b = {
      .space = p.space, .number = p.number, .base = p.base, .from = p.offset};
  memcpy(b.step, p.step, sizeof b.step);
  return emit_argument(e, &b);
}

LLVMValueRef emit_one(struct emit *e, const struct ir_value *v) {
  bool flag = v->type->dtype == IR_BOOL;
  struct ir_place p;
  bool viewed = !v->data && ir_place_of(v, &p) && p.space == IR_IN_CONST;
  const struct ir_value *splat = viewed && !p.base->data->bytes ? p.base : NULL;
  if (v->data || splat)
    return number(e, flag ? e->i1 : e->i64, ir_const_int(splat ? splat : v, 0));
  LLVMValueRef x =
      LLVMBuildLoad2(e->b, flag ? e->i8 : e->i64, address_of(e, v), "");
  return flag ? LLVMBuildIsNotNull(e->b, x, "") : x;
}

static void emit_block(struct emit *e, const struct ir_block *b) {
  for (const struct ir_op *op = b->first; op != b->last; op = op->next)
    emit_outside(e, op);
}

static void emit_if(struct emit *e, const struct ir_op *op) {
  assert(op->nregions == 2 && "rule regions");
  LLVMBasicBlockRef branch[] = {block(e, "then"), block(e, "else")};
  LLVMBasicBlockRef done = block(e, "done");
  LLVMBuildCondBr(e->b, emit_one(e, ir_arg(op, 0)), branch[0], branch[1]);
  for (int r = 0; r < 2; r++) {
    LLVMPositionBuilderAtEnd(e->b, branch[r]);
    emit_block(e, op->region[r]);
    LLVMBuildBr(e->b, done);
  }
  LLVMPositionBuilderAtEnd(e->b, done);
}

/* What a loop's region gets: the number of the turn, and that there is one.
 */
static void tell(struct emit *e, const struct ir_block *body,
                 LLVMValueRef turn) {
  if (body->param[0]->uses)
    LLVMBuildStore(e->b, LLVMBuildZExt(e->b, turn, e->i64, ""),
                   address_of(e, body->param[0]));
  if (body->param[1]->uses)
    LLVMBuildStore(e->b, number(e, e->i8, 1), address_of(e, body->param[1]));
}

/* Turns from `first` on, below `end`, if there are `any`. Of a loop, gives its
 * condition behind them, which was `go` before. */
static LLVMValueRef emit_turns(struct emit *e, const struct ir_op *op,
                               LLVMValueRef any, LLVMValueRef go,
                               LLVMValueRef first, LLVMValueRef end) {
  const struct ir_block *body = op->region[0];
  int depth = ir_loops_around(op->block);
  assert(depth < IR_MAX_LOOPS_AROUND && "the pass plan refuses more");
  LLVMBasicBlockRef before = LLVMGetInsertBlock(e->b);
  LLVMBasicBlockRef turn = block(e, "turn"), done = block(e, "done");
  LLVMBuildCondBr(e->b, any, turn, done);
  LLVMPositionBuilderAtEnd(e->b, turn);
  LLVMValueRef phi = LLVMBuildPhi(e->b, e->iptr, "");
  e->turn[depth] = phi;
  if (op->code == IR_LOOP)
    tell(e, body, phi);
  if (depth < e->turns)
    emit_store_size(e, e->sizes.most.n + depth,
                    LLVMBuildZExt(e->b, phi, e->i64, ""));
  emit_block(e, body);
  LLVMValueRef next = LLVMBuildAdd(e->b, phi, number(e, e->iptr, 1), "");
  LLVMValueRef more = LLVMBuildICmp(e->b, LLVMIntULT, next, end, "");
  LLVMValueRef on = go ? emit_one(e, ir_arg(body->last, 0)) : NULL;
  if (go)
    more = LLVMBuildAnd(e->b, more, on, "");
  LLVMBasicBlockRef last = LLVMGetInsertBlock(e->b);
  LLVMBuildCondBr(e->b, more, turn, done);
  LLVMAddIncoming(phi, &first, &before, 1);
  LLVMAddIncoming(phi, &next, &last, 1);
  LLVMPositionBuilderAtEnd(e->b, done);
  if (!go)
    return NULL;
  LLVMValueRef goes_on = LLVMBuildPhi(e->b, e->i1, "");
  LLVMAddIncoming(goes_on, &go, &before, 1);
  LLVMAddIncoming(goes_on, &on, &last, 1);
  return goes_on;
}

static bool is_true(const struct ir_value *v) {
  return v->data && ir_const_int(v, 0);
}

/* The rows of turns that may not be are zeros. */
static void clear_rows(struct emit *e, const struct ir_op *loop) {
  const struct ir_value *n = ir_arg(loop, 0);
  if (n->data && ir_const_int(n, 0) >= ir_max_turns(loop) &&
      is_true(ir_arg(loop, 1)) && is_true(ir_arg(loop->region[0]->last, 0)))
    return;
  for (unsigned i = ir_num_carried(loop); i < loop->nresults; i++) {
    struct ir_data zero = {0};
    struct ir_value none = {.name = "zero",
                            .type = loop->result[i]->type,
                            .data = &zero,
                            .id = e->m->nvalues};
    struct ir_place to = emit_place(loop->result[i]);
    emit_copy(
        e, &none, &to,
        dn_printf(e->scratch, "%s.clear%u.%u", e->opts->prefix, loop->id, i));
  }
}

/* That a loop has at most, by counters of the processor, too. */
static int64_t max_turns(struct emit *e, const struct ir_op *loop) {
  int64_t reach = e->iptr == e->i64 ? INT64_MAX : INT32_MAX;
  return dn_min(ir_max_turns(loop), reach);
}

bool emit_may_fail(struct emit *e, const struct ir_op *op) {
  return op->code == IR_LOOP && ir_may_exceed(op, max_turns(e, op));
}

static void emit_loop(struct emit *e, const struct ir_op *op) {
  LLVMValueRef most = number(e, e->i64, max_turns(e, op));
  clear_rows(e, op);
  LLVMValueRef n = emit_one(e, ir_arg(op, 0)), go = emit_one(e, ir_arg(op, 1));
  LLVMValueRef more = LLVMBuildICmp(e->b, LLVMIntSGT, n, most, "");
  LLVMValueRef fewer = LLVMBuildICmp(e->b, LLVMIntSLT, n, most, "");
  n = LLVMBuildSelect(e->b, fewer, n, most, "");
  LLVMValueRef any =
      LLVMBuildICmp(e->b, LLVMIntSGT, n, number(e, e->i64, 0), "");
  any = LLVMBuildAnd(e->b, any, go, "");
  go = emit_turns(e, op, any, go, number(e, e->iptr, 0),
                  LLVMBuildTruncOrBitCast(e->b, n, e->iptr, ""));
  if (emit_may_fail(e, op))
    emit_leave(e, LLVMBuildAnd(e->b, more, go, ""),
               LLVMConstInt(e->i32, DNN_E_LOOP, false));
}

/* Emits the loop body as a function of its own; threads share the iterations.
 * */
static void emit_shared_turns(struct emit *e, const struct ir_op *op) {
  struct emit_function f = {.units = ir_max_turns(op)};
  const char *name =
      dn_printf(e->scratch, "%s.turns%u", e->opts->prefix, op->id);
  unsigned n = LLVMCountParams(e->run);
  LLVMValueRef *args = DN_ARRAY(e->scratch, LLVMValueRef, n), range[2];
  LLVMValueRef run = e->run, passed = e->passed, size_at = e->size_at;
  LLVMBasicBlockRef at = LLVMGetInsertBlock(e->b);
  f.fn = emit_begin_function(e, e->void_, DN_COUNT(range), name);
  emit_function_attributes(e, f.fn, name);
  for (unsigned i = 0; i < 2; i++)
    range[i] = LLVMGetParam(e->run, n + i);
  emit_turns(e, op, LLVMBuildICmp(e->b, LLVMIntULT, range[0], range[1], ""),
             NULL, range[0], range[1]);
  LLVMBuildRetVoid(e->b);
  e->run = run;
  e->passed = passed;
  e->size_at = size_at;
  e->nrange = 0;
  LLVMPositionBuilderAtEnd(e->b, at);
  emit_chunk(e, &f, n);
  LLVMGetParams(e->run, args);
  emit_parallel(e, &f, args, n);
}

/* As many turns as there are slices. */
static void emit_scan(struct emit *e, const struct ir_op *op) {
  const struct ir_value *x = ir_arg(op, ir_num_carried(op));
  const struct ir_size *size = x->type->size[0];
  int64_t most = ir_max_turns(op);
  LLVMValueRef n = size ? emit_size_value(e, e->b, e->size_at, size)
                        : number(e, e->iptr, most);
  LLVMValueRef zero = number(e, e->iptr, 0);
  if (ir_turns_at_once(op) > 1 && e->opts->threads > 1 && !e->profile &&
      !e->sizes.most.n)
    emit_shared_turns(e, op);
  else
    emit_turns(e, op, LLVMBuildICmp(e->b, LLVMIntUGT, n, zero, ""), NULL, zero,
               n);
}

void emit_region(struct emit *e, const struct ir_op *op) {
  switch (op->code) {
  case IR_IF:
    emit_if(e, op);
    return;
  case IR_LOOP:
    emit_loop(e, op);
    return;
  default:
    emit_scan(e, op);
  }
}
