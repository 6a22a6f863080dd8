/* matrix.c - sums of products by matrix registers (AMX): 2 blocks of 16 columns
 * against 2 blocks of rows at a time, each in a register of its own, summed up in 4
 * others, which are then stored to memory of the kernel's own. What follows the
 * sums reads them there, in a loop over the tile's rows. Registers have one shape
 * in all of the kernel, since to change it takes as long as dozens of products.
 *
 * Linux allows a process these registers after a system call (arch_prctl(2),
 * Documentation/arch/x86/xstate.rst), which the entry function makes each time. */
#include "codegen/emit/tile.h"

#include "ir/diag.h"

#include <assert.h>
#include <string.h>

/* Registers: 4 of sums, those of rows, those of columns. */
enum { SUMS = 0, DOWN = 4, ACROSS = 6, REGISTERS = 8, PAIR = 2, CONFIG = 64 };

static void call(struct kernel_cg *k, const char *name, LLVMValueRef *arg,
                 unsigned n) {
  emit_intrinsic(k, name, NULL, 0, arg, n);
}

static LLVMValueRef number(struct kernel_cg *k, unsigned reg) {
  return LLVMConstInt(k->e->i8, reg, false);
}

static LLVMValueRef bytes_of(struct kernel_cg *k, int64_t n) {
  return LLVMConstInt(k->e->i64, (uint64_t)n, false);
}

/* ---- The shape of the registers ---- */

static int64_t element_bytes(const struct kernel_cg *k) {
  return ir_dtypes[k->runs.dot.weights].bytes;
}

/* The operand of ldtilecfg: palette 1, bytes of a row of each register in 16 bits
 * from byte 16 on, and rows from 48 on. */
static LLVMValueRef config(struct kernel_cg *k) {
  struct emit *e = k->e;
  const struct emit_matrix *m = &k->matrix;
  int64_t run_bytes = k->runs.dot.k * element_bytes(k);
  char bytes[CONFIG] = {1};
  const char *name = dn_printf(e->scratch, "%s.matrix%d.%d", e->opts->prefix,
                               (int)m->rows, (int)(m->step * element_bytes(k)));
  LLVMValueRef g = LLVMGetNamedGlobal(e->mod, name);
  if (g)
    return g;
  for (int i = 0; i < REGISTERS; i++) {
    bool down = i >= DOWN && i < ACROSS;
    int64_t row =
        down ? m->step * element_bytes(k) : RUNS_MATRIX_ROWS * run_bytes;
    bytes[16 + 2 * i] = (char)row;
    bytes[48 + i] = (char)(i < ACROSS ? m->rows : m->step / k->runs.dot.k);
  }
  LLVMValueRef init = LLVMConstStringInContext2(e->lc, bytes, CONFIG, true);
  g = LLVMAddGlobal(e->mod, LLVMTypeOf(init), name);
  emit_set_constant(e, g, init, dn_printf(e->scratch, ".rodata.%s", name));
  return g;
}

/* At the start of the function. */
static void load_config(struct kernel_cg *k) {
  struct hoist h;
  if (k->matrix.loaded)
    return;
  k->matrix.loaded = true;
  hoist_begin(k, 0, &h);
  LLVMValueRef arg = config(k);
  call(k, "llvm.x86.ldtilecfg", &arg, 1);
  hoist_end(k, &h);
}

void emit_matrix_end(struct kernel_cg *k) {
  if (k->matrix.loaded)
    call(k, "llvm.x86.tilerelease", NULL, 0);
}

LLVMValueRef emit_matrix_permission(struct emit *e,
                                    const struct ir_block *body) {
  enum { ARCH_PRCTL = 158, ARCH_REQ_XCOMP_PERM = 0x1023, XTILEDATA = 18 };
  static const char in_out[] =
      "={rax},{rax},{rdi},{rsi},~{rcx},~{r11},~{memory}";
  const struct ir_op *op = body->first;
  while (op && (op->code != IR_KERNEL || !ir_get_int(op, "matrix")))
    op = ir_next_outside(op);
  if (!op)
    return NULL;
  LLVMTypeRef types[] = {e->i64, e->i64, e->i64};
  LLVMTypeRef fn = LLVMFunctionType(e->i64, types, 3, false);
  LLVMValueRef arg[] = {LLVMConstInt(e->i64, ARCH_PRCTL, false),
                        LLVMConstInt(e->i64, ARCH_REQ_XCOMP_PERM, false),
                        LLVMConstInt(e->i64, XTILEDATA, false)};
  LLVMValueRef ask =
      LLVMGetInlineAsm(fn, "syscall", 7, in_out, sizeof in_out - 1, true, false,
                       LLVMInlineAsmDialectATT, false);
  return LLVMBuildCall2(e->b, fn, ask, arg, 3, "");
}

/* ---- Sums ---- */

struct pass { /* of up to 2 by 2 blocks */
  struct kernel_cg *k;
  const struct runs_matrix *m;
  struct runs_block *down, *across;
  unsigned ndown, nacross;
  int64_t number;            /* of those of the tile */
  const struct scope *outer; /* around its sums */
  int red[NEST_MAX_ITERS], nred;
};

/* Memory of the function for the sums of a tile, at a multiple of 64 bytes, which
 * is found here: a frame of that alignment takes more stack than it says. */
static void find_memory(struct kernel_cg *k, const struct runs_matrix *m) {
  int64_t words = m->nrows * m->ncolumns;
  if (words <= k->matrix.words)
    return;
  LLVMBasicBlockRef at = LLVMGetInsertBlock(k->b);
  LLVMBasicBlockRef entry = LLVMGetEntryBasicBlock(k->fn);
  enum { LINE = 64 };
  const int over = LINE - 16; /* the stack itself is aligned to 16 */
  LLVMTypeRef type = LLVMArrayType2(k->e->i8, (uint64_t)(words * 4 + over));
  LLVMPositionBuilder(k->b, entry, LLVMGetFirstInstruction(entry));
  LLVMValueRef room = LLVMBuildAlloca(k->b, type, "");
  LLVMSetAlignment(room, 16);
  LLVMValueRef behind = emit_iptr(k->e, over);
  LLVMTypeRef types[] = {LLVMTypeOf(room), k->e->iptr};
  LLVMValueRef arg[] = {LLVMBuildGEP2(k->b, k->e->i8, room, &behind, 1, ""),
                        LLVMConstInt(k->e->iptr, ~(uint64_t)(LINE - 1), false)};
  k->matrix.sums = emit_intrinsic(k, "llvm.ptrmask", types, 2, arg, 2);
  LLVMPositionBuilderAtEnd(k->b, at);
  k->matrix.words = words;
}

static LLVMValueRef sums_at(struct kernel_cg *k, int64_t row, int64_t column,
                            int64_t columns) {
  return emit_further_by(k, k->matrix.sums, (row * columns + column) * 4);
}

static int64_t count_passes(unsigned blocks) {
  return dn_div_ceil(blocks, PAIR);
}

/* The blocks of the tile share the fetching of the next panel of columns. */
static void prefetch(struct pass *p, const struct ir_place *place,
                     const struct affine *at) {
  struct kernel_cg *k = p->k;
  struct affines *forms = &k->forms;
  struct emit_stream s = {
      *place, affine_add(forms, affine_const(forms, 0), at, element_bytes(k)),
      p->number, count_passes(p->m->ndown) * count_passes(p->m->nacross)};
  emit_prefetch(k, p->outer, &s);
}

/* Loads a block of one of the factors, at its iterators. */
static void load_block(struct pass *p, int access, const struct runs_block *b,
                       unsigned reg, int64_t step) {
  struct kernel_cg *k = p->k;
  struct run_address at;
  struct ir_place place;
  k->forms.lanes = access ? RUNS_MATRIX_ROWS : 1;
  if (!runs_address(&k->runs, p->m->n, access, b->iter, &at) || !at.leaf ||
      !ir_place_of(at.leaf, &place)) {
    emit_no_runs(k, "matrix");
    return;
  }
  if (k->sched.prefetch && access && b == p->across)
    prefetch(p, &place, at.at);
  LLVMValueRef arg[] = {number(k, reg),
                        emit_pointer(k, at.leaf->type, &place, at.at),
                        bytes_of(k, step * element_bytes(k))};
  call(k, "llvm.x86.tileloadd64", arg, 3);
}

/* One step of the innermost sum. */
static void step(struct pass *p) {
  struct kernel_cg *k = p->k;
  bool bytes = k->runs.dot.sum == IR_I32;
  for (unsigned i = 0; i < p->ndown; i++)
    load_block(p, 0, &p->down[i], DOWN + i, p->m->step);
  for (unsigned j = 0; j < p->nacross; j++)
    load_block(p, 1, &p->across[j], ACROSS + j, p->m->run);
  for (unsigned i = 0; i < p->ndown; i++)
    for (unsigned j = 0; j < p->nacross; j++) {
      LLVMValueRef arg[] = {number(k, SUMS + PAIR * i + j), number(k, DOWN + i),
                            number(k, ACROSS + j)};
      call(k, bytes ? "llvm.x86.tdpbusd" : "llvm.x86.tdpbf16ps", arg, 3);
    }
}

static void set_iter(struct pass *p, int iter, const struct affine *at) {
  for (unsigned i = 0; i < p->ndown; i++)
    p->down[i].iter[iter] = at;
  for (unsigned j = 0; j < p->nacross; j++)
    p->across[j].iter[iter] = at;
}

static void level(struct pass *p, int depth) {
  struct kernel_cg *k = p->k;
  int iter = p->red[depth];
  bool inner = depth + 1 == p->nred;
  int64_t by = inner ? k->matrix.step : 1;
  int64_t count = p->m->n->iter[iter].extent / by;
  set_iter(p, iter, scope_open_some(k, count, by));
  if (inner)
    step(p);
  else
    level(p, depth + 1);
  scope_close_some(k, count);
}

static void each_sum(struct pass *p, bool store) {
  struct kernel_cg *k = p->k;
  for (unsigned i = 0; i < p->ndown; i++)
    for (unsigned j = 0; j < p->nacross; j++) {
      LLVMValueRef arg[] = {number(k, SUMS + PAIR * i + j), NULL, NULL};
      if (!store) {
        call(k, "llvm.x86.tilezero", arg, 1);
        continue;
      }
      arg[1] = sums_at(k, p->down[i].at, p->across[j].at, p->m->ncolumns);
      arg[2] = bytes_of(k, p->m->ncolumns * 4);
      call(k, "llvm.x86.tilestored64", arg, 3);
    }
}

static void emit_sums(struct kernel_cg *k, const struct runs_matrix *m) {
  struct pass p = {.k = k, .m = m, .outer = k->scope};
  p.nred = runs_reduced(m->n, p.red);
  for (unsigned j = 0; j < m->nacross; j += PAIR)
    for (unsigned i = 0; i < m->ndown; i += PAIR) {
      p.down = m->down + i;
      p.across = m->across + j;
      p.ndown = m->ndown - i < PAIR ? 1 : PAIR;
      p.nacross = m->nacross - j < PAIR ? 1 : PAIR;
      each_sum(&p, false);
      level(&p, 0);
      each_sum(&p, true);
      p.number++;
    }
}

void emit_matrix_read(struct kernel_cg *k, const struct tile_vector *pt,
                      unsigned npt, LLVMValueRef *out) {
  const struct emit_matrix *m = &k->matrix;
  LLVMTypeRef type = k->runs.dot.sum == IR_I32 ? k->e->i32 : k->e->f32;
  int64_t column = m->skip_columns;
  for (unsigned p = 0; p < npt; p++) {
    LLVMValueRef at = index_value(
        k, affine_add(&k->forms, affine_const(&k->forms, column * 4), m->row,
                      m->columns * 4));
    out[p] = emit_load_at(k, emit_vector_type(k, type, pt[p].lanes),
                          emit_further(k, m->sums, at), 4);
    column += pt[p].lanes;
  }
}

/* ---- The tile ---- */

static bool find(struct tiler *t, const struct ir_op *op,
                 struct runs_matrix *m) {
  struct kernel_cg *k = t->k;
  *m = (struct runs_matrix){
      .n = kernel_nest(k, op), .rows = k->matrix.rows, .part = k->matrix.step};
  return runs_matrix_find(&k->runs, t->root->type, t->shape->loop, t->shape->n,
                          t->base, t->size, m);
}

/* What follows the sums, row by row. */
static void each_row(struct tiler *t, const struct runs_matrix *m, int g) {
  struct kernel_cg *k = t->k;
  const struct affine *row = k->matrix.row, *base = t->base[g];
  int64_t size = t->size[g];
  bool last = g + 2 == t->shape->n;
  if (g + 1 == t->shape->n) {
    emit_points(t);
    return;
  }
  const struct affine *at = scope_open_some(k, size, 1);
  t->base[g] = affine_add(&k->forms, base, at, 1);
  k->matrix.row = affine_add(&k->forms, at, row, size + (last ? m->skip : 0));
  if (last)
    k->matrix.row = affine_plus(&k->forms, k->matrix.row, m->skip);
  t->size[g] = 1;
  each_row(t, m, g + 1);
  scope_close_some(k, size);
  t->base[g] = base;
  t->size[g] = size;
  k->matrix.row = row;
}

void emit_matrix_tile(struct tiler *t) {
  struct kernel_cg *k = t->k;
  struct runs_matrix m;
  const struct ir_op *op = k->body->first;
  while (op && ir_ops[op->code].cls != IR_CONTRACT)
    op = op->next;
  if (!op || !find(t, op, &m)) {
    emit_no_runs(k, "matrix");
    return;
  }
  load_config(k);
  find_memory(k, &m);
  emit_sums(k, &m);
  k->matrix.op = op;
  k->matrix.row = affine_const(&k->forms, 0);
  k->matrix.columns = m.ncolumns;
  k->matrix.skip_columns = m.skip_columns;
  each_row(t, &m, 0);
  k->matrix.op = NULL;
}
