/* machine.c - LLVM IR to an artefact, in the child process: light passes, the
 * object, and what is measured on it. */
#include "codegen/object/machine.h"

#include "codegen/emit/emit.h"
#include "codegen/object/assemble.h"
#include "codegen/object/elf.h"
#include "codegen/object/region.h"
#include "codegen/object/soft.h"
#include "codegen/object/stack.h"
#include "codegen/object/weights.h"
#include "codegen/report/model.h"
#include "codegen/target/target.h"
#include "ir/diag.h"
#include "ir/phase.h"
#include "runtime/dnn.h"

#include <assert.h>
#include <llvm-c/Analysis.h>
#include <llvm-c/BitWriter.h>
#include <llvm-c/Error.h>
#include <llvm-c/Support.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct machine {
  struct cg_job *job;
  struct dn_arena *arena;
  LLVMContextRef lc;
  LLVMModuleRef module;
  LLVMTargetMachineRef machine;
  struct cg_frames frames;
  struct cg_blob model;
  struct cg_fills fills; /* what goes into the object past LLVM */
};

static bool failed(struct machine *s, const char *what, const char *why) {
  return dn_error(s->job->ctx, (struct dn_loc){.file = s->job->module->file},
                  DN_LLVM, "%s: %.*s", what, (int)strcspn(why, "\n"), why);
}

/* Handles LLVM's diagnostics: frame sizes and errors; other remarks are
 * dropped. */
static void on_diagnostic(LLVMDiagnosticInfoRef info, void *user) {
  struct machine *s = user;
  char *text = LLVMGetDiagInfoDescription(info);
  if (!cg_frames_add(&s->frames, text) &&
      LLVMGetDiagInfoSeverity(info) == LLVMDSError)
    failed(s, "LLVM", text);
  LLVMDisposeMessage(text);
}

static void add_model(struct machine *s) {
  struct cg_job *job = s->job;
  s->model = cg_model(job);
  LLVMValueRef bytes =
      LLVMConstStringInContext2(s->lc, s->model.data, s->model.size, true);
  LLVMValueRef g =
      LLVMAddGlobal(s->module, LLVMTypeOf(bytes), cg_model_symbol(job));
  LLVMSetInitializer(g, bytes);
  LLVMSetGlobalConstant(g, true);
  LLVMSetAlignment(g, 8);
  LLVMSetSection(g, cg_model_section(job));
}

static void add_attribute(struct machine *s, LLVMValueRef fn, const char *name,
                          const char *value) {
  LLVMAddAttributeAtIndex(
      fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
      LLVMCreateStringAttribute(s->lc, name, (unsigned)strlen(name), value,
                                (unsigned)strlen(value)));
}

static void add_flag(struct machine *s, LLVMValueRef fn, const char *name) {
  unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
  LLVMAddAttributeAtIndex(fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                          LLVMCreateEnumAttribute(s->lc, kind, 0));
}

static void set_attributes(struct machine *s) {
  const bool size = s->job->target->opt_size;
  for (LLVMValueRef f = LLVMGetFirstFunction(s->module); f;
       f = LLVMGetNextFunction(f)) {
    if (LLVMIsDeclaration(f))
      continue;
    size_t n;
    const char *name = LLVMGetValueName2(f, &n);
    add_attribute(s, f, "warn-stack-size", "0");
    /* Below the stack pointer is memory that no frame size includes. */
    add_flag(s, f, "noredzone");
    if (!LLVMGetSection(f)) /* arithmetic of soft.c */
      LLVMSetSection(f, cg_code_section(s->job->opts, s->arena,
                                        dn_printf(s->arena, "%s.%s",
                                                  s->job->opts->prefix, name)));
    if (size)
      add_flag(s, f, "optsize");
  }
}

/* Loops come from the schedule, already in their final shape: passes that
 * change loops make them worse (the vectoriser, 30 times in one case). */
static bool run_passes(struct machine *s) {
  if (!s->job->target->opt_level)
    return true;
  LLVMPassBuilderOptionsRef o = LLVMCreatePassBuilderOptions();
  LLVMErrorRef error = LLVMRunPasses(
      s->module,
      "function(mem2reg,instcombine<no-verify-fixpoint>,early-cse,"
      "loop-mssa(licm),simplifycfg,instcombine<no-verify-fixpoint>)",
      s->machine, o);
  LLVMDisposePassBuilderOptions(o);
  if (!error)
    return true;
  char *text = LLVMGetErrorMessage(error);
  failed(s, "LLVM passes", text);
  LLVMDisposeErrorMessage(text);
  return false;
}

/* The float that an instruction chooses by a bit, as `to` for 0 or 1; NULL: it
 * does none such. */
static LLVMValueRef chosen(LLVMValueRef v, unsigned to) {
  LLVMTypeRef t = LLVMTypeOf(v);
  if (LLVMGetTypeKind(t) != LLVMFloatTypeKind)
    return NULL;
  if (LLVMIsASelectInst(v))
    return LLVMIsAConstantFP(LLVMGetOperand(v, to ? 1 : 2));
  LLVMValueRef x = LLVMIsAUIToFPInst(v) ? LLVMGetOperand(v, 0) : NULL;
  return x && LLVMGetIntTypeWidth(LLVMTypeOf(x)) == 1 ? LLVMConstReal(t, to)
                                                      : NULL;
}

/* Of a choice between two floats LLVM 22 makes a vector of constants, which its
 * back end for Xtensa cannot select: their bits are chosen instead. */
static void choose_bits(struct machine *s) {
  LLVMTypeRef i32 = LLVMInt32TypeInContext(s->lc);
  LLVMBuilderRef b = LLVMCreateBuilderInContext(s->lc);
  DN_LIST(LLVMValueRef) found = {0};
  for (LLVMValueRef f = LLVMGetFirstFunction(s->module); f;
       f = LLVMGetNextFunction(f))
    for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(f); block;
         block = LLVMGetNextBasicBlock(block))
      for (LLVMValueRef v = LLVMGetFirstInstruction(block); v;
           v = LLVMGetNextInstruction(v))
        if (chosen(v, 0) && chosen(v, 1))
          DN_PUSH(s->arena, found, v);
  for (size_t i = 0; i < found.n; i++) {
    LLVMValueRef v = found.v[i];
    LLVMPositionBuilderBefore(b, v);
    LLVMValueRef r = LLVMBuildSelect(b, LLVMGetOperand(v, 0),
                                     LLVMConstBitCast(chosen(v, 1), i32),
                                     LLVMConstBitCast(chosen(v, 0), i32), "");
    LLVMReplaceAllUsesWith(v, LLVMBuildBitCast(b, r, LLVMTypeOf(v), ""));
    LLVMInstructionEraseFromParent(v);
  }
  LLVMDisposeBuilder(b);
}

static bool write_at(struct machine *s, const struct cg_section *section,
                     const struct cg_blob *bytes) {
  assert(s->job->file >= 0 && "cg_compile() opened it");
  const char *p = bytes->data;
  if (!section || !section->stored || section->size < bytes->size)
    return failed(s, "object", "a constant is not where it should be");
  for (size_t done = 0; done < bytes->size;) {
    ssize_t n = pwrite(s->job->file, p + done, bytes->size - done,
                       (off_t)(section->offset + done));
    if (n <= 0)
      return failed(s, "object", "cannot write it");
    done += (size_t)n;
  }
  return true;
}

static int compare_sections(const void *a, const void *b) {
  return strcmp((*(const struct cg_section *const *)a)->name,
                (*(const struct cg_section *const *)b)->name);
}

/* The section of a fill, among `n` sorted by name. */
static const struct cg_section *
find_section(const struct cg_section *const *sorted, size_t n,
             const char *name) {
  struct cg_section key = {.name = name};
  const struct cg_section *k = &key;
  const struct cg_section *const *hit =
      bsearch(&k, sorted, n, sizeof *sorted, compare_sections);
  return hit ? *hit : NULL;
}

/* LLVM says of every object that it needs no executable stack. GNU's compilers
 * for bare metal do not, and beside one that does their linker warns of the
 * others: there the section becomes none. */
static bool drop_stack_note(struct machine *s, const struct cg_elf *elf) {
  static const uint32_t none = 0;
  const struct cg_section *note = cg_elf_section(elf, ".note.GNU-stack");
  if (!note || !s->job->target->facts.bare_metal)
    return true;
  return pwrite(s->job->file, &none, sizeof none, (off_t)note->type) ==
             (ssize_t)sizeof none ||
         failed(s, "object", "cannot write it");
}

/* The hash of all else, for weights apart: into what the object expects. */
static bool write_abi(struct machine *s, const struct cg_elf *elf) {
  struct cg_job *job = s->job;
  struct dn_file file;
  const char *own = cg_weights_section(s->arena, job->opts);
  const struct cg_section *section = cg_elf_section(elf, own);
  if (!section || !section->stored ||
      section->size < sizeof(struct dnn_weights) ||
      !dn_file_map(job->ctx, job->path, &file))
    return failed(s, "object", "a constant is not where it should be");
  struct dnn_weights head;
  memcpy(&head, (const char *)file.data + section->offset, sizeof head);
  job->blob = (int64_t)head.size;
  job->abi = cg_weights_abi(elf, file.data, &s->model, job);
  size_t at = section->offset + offsetof(struct dnn_weights, abi);
  return pwrite(job->file, &job->abi, sizeof job->abi, (off_t)at) ==
             (ssize_t)sizeof job->abi ||
         failed(s, "object", "cannot write it");
}

static void measure_stack(struct machine *s, const struct cg_elf *elf) {
  struct cg_job *job = s->job;
  const struct ir_facts *f = &job->target->facts;
  const char *entry = dn_printf(s->arena, "%s_run", job->opts->prefix);
  const int unit = f->scalable ? f->scalable : 1;
  job->stack = cg_frames_worst(&s->frames, job->target, elf, entry,
                               cg_vector_most(f) / unit);
  job->stack_least = cg_frames_worst(&s->frames, job->target, elf, entry,
                                     f->vector_bytes / unit);
}

/* The number of a kernel by its function's name, PREFIX.k3.conv, which functions
 * of its parts begin with; -1: it is another function. */
static int64_t kernel_number(const char *prefix, const char *name) {
  size_t n = strlen(prefix);
  if (strncmp(name, prefix, n) || strncmp(name + n, ".k", 2))
    return -1;
  char *end;
  int64_t number = strtoll(name + n + 2, &end, 10);
  return *end == '.' ? number : -1;
}

/* Bytes of the code of each kernel and of soft arithmetic. */
static void count_code(struct machine *s, const struct cg_elf *elf) {
  struct cg_job *job = s->job;
  bool *seen = DN_ARRAY(s->arena, bool, elf->sections.n + 1);
  for (size_t i = 0; i < elf->symbols.n; i++) {
    const struct cg_symbol *f = &elf->symbols.v[i];
    if (f->section == CG_NO_SECTION || seen[f->section] ||
        !elf->sections.v[f->section].code || f->name[0] == '$')
      continue;
    int64_t bytes = (int64_t)elf->sections.v[f->section].size;
    int64_t number = kernel_number(job->opts->prefix, f->name);
    seen[f->section] = true;
    if (number >= 0 && number < (int64_t)job->nkernels)
      job->kernel[number] += bytes;
    else if (cg_soft_is(f->name))
      job->soft += bytes;
  }
}

/* Sizes from the object, and the bytes that were held back into it. */
static bool finish_object(struct machine *s, const struct cg_elf *elf) {
  struct cg_job *job = s->job;
  const char *model = cg_model_section(job);
  const struct cg_section **sorted =
      DN_ARRAY(s->arena, const struct cg_section *, elf->sections.n + 1);
  for (size_t i = 0; i < elf->sections.n; i++) {
    const struct cg_section *sec = &elf->sections.v[i];
    sorted[i] = sec;
    if (sec->code)
      job->text += (int64_t)sec->size;
    else if (sec->data && strcmp(sec->name, model) != 0 &&
             (!strncmp(sec->name, ".rodata", 7) ||
              !strncmp(sec->name, ".lrodata", 8)))
      job->weights += (int64_t)sec->size;
    else if (sec->data)
      job->tables += (int64_t)sec->size;
  }
  if (elf->sections.n)
    qsort(sorted, elf->sections.n, sizeof *sorted, compare_sections);
  for (size_t i = 0; i < s->fills.list.n; i++)
    if (!write_at(
            s,
            find_section(sorted, elf->sections.n, s->fills.list.v[i].section),
            &s->fills.list.v[i].bytes))
      return false;
  assert(s->job->kind == CG_OBJ && "other artefacts have no sections to fill");
  measure_stack(s, elf);
  count_code(s, elf);
  cg_model_finish(job, &s->model);
  if (job->opts->apart && !write_abi(s, elf))
    return false;
  if (!drop_stack_note(s, elf))
    return false;
  return write_at(s, find_section(sorted, elf->sections.n, model), &s->model);
}

static bool refused(struct machine *s, char *message) {
  failed(s, "LLVM", message ? message : "cannot write");
  LLVMDisposeMessage(message);
  return false;
}

static bool emit_file(struct machine *s, LLVMModuleRef module,
                      LLVMCodeGenFileType type) {
  char *message = NULL;
  dn_phase(s->job->ctx, "LLVM code generation");
  if (!LLVMTargetMachineEmitToFile(s->machine, module, s->job->path, type,
                                   &message))
    return true;
  return refused(s, message);
}

/* The object of a module, by LLVM or by the target's assembler. */
static bool emit_code(struct machine *s, LLVMModuleRef module) {
  struct cg_job *job = s->job;
  char *message = NULL;
  LLVMMemoryBufferRef text;
  if (job->target->row->backend != CG_Xtensa)
    return emit_file(s, module, LLVMObjectFile);
  dn_phase(job->ctx, "LLVM code generation");
  if (LLVMTargetMachineEmitToMemoryBuffer(s->machine, module, LLVMAssemblyFile,
                                          &message, &text))
    return refused(s, message);
  dn_phase(job->ctx, "assembler");
  const char *why =
      cg_assemble(s->arena, cg_assembler(job->target->names.cpu)->tool,
                  LLVMGetBufferStart(text), LLVMGetBufferSize(text), job->file);
  LLVMDisposeMemoryBuffer(text);
  return !why || failed(s, "assembler", why);
}

static bool emit_ir(struct machine *s) {
  char *message = NULL;
  dn_phase(s->job->ctx, "LLVM printer");
  if (!LLVMPrintModuleToFile(s->module, s->job->path, &message))
    return true;
  return refused(s, message);
}

static bool emit_bitcode(struct machine *s) {
  dn_phase(s->job->ctx, "LLVM bitcode writer");
  return !LLVMWriteBitcodeToFile(s->module, s->job->path) ||
         failed(s, "LLVM", "cannot write bitcode");
}

static bool read_object(struct machine *s, struct cg_elf *elf) {
  struct dn_file file;
  if (dn_file_map(s->job->ctx, s->job->path, &file) &&
      cg_elf_read(s->arena, file.data, file.size, elf))
    return true;
  return failed(s, "object", "it is not ELF");
}

/* Emits a copy, since emission changes a module; then again with the functions
 * that the object calls, until there are none. */
static bool emit_object(struct machine *s) {
  struct cg_elf elf;
  for (;;) {
    set_attributes(s);
    LLVMModuleRef copy = LLVMCloneModule(s->module);
    s->frames.list.n = 0;
    bool ok = emit_code(s, copy);
    LLVMDisposeModule(copy);
    dn_phase(s->job->ctx, "object");
    if (!ok || !read_object(s, &elf))
      return false;
    int added =
        cg_soft_add(s->lc, s->module, s->job->target->facts.pointer_bytes, &elf,
                    s->job->opts->freestanding);
    if (added < 0)
      return failed(s, "LLVM", "cannot add the arithmetic functions");
    if (!added)
      return finish_object(s, &elf);
  }
}

/* No float passes between the object and its caller: Tag_ABI_VFP_args says that
 * it goes with programs of either float ABI. */
static void add_build_attributes(struct machine *s) {
  static const char args[] = ".eabi_attribute 28, 3";
  if (s->job->target->row->backend == CG_ARM)
    LLVMAppendModuleInlineAsm(s->module, args, strlen(args));
}

/* Builds and checks the module. */
static bool build_module(struct machine *s) {
  struct cg_job *job = s->job;
  char *message = NULL;
  LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(s->machine);
  LLVMSetModuleDataLayout(s->module, layout);
  LLVMDisposeTargetData(layout);
  LLVMSetTarget(s->module, job->target->triple);
  LLVMSetSourceFileName(s->module, job->opts->prefix,
                        strlen(job->opts->prefix));
  if (!cg_emit_module(job->ctx, job->target, job->module, job->opts, s->lc,
                      s->module, job->kind == CG_OBJ ? &s->fills : NULL))
    return false;
  add_model(s);
  add_build_attributes(s);
  set_attributes(s);
  dn_phase(job->ctx, "LLVM verifier");
  if (LLVMVerifyModule(s->module, LLVMReturnStatusAction, &message))
    return failed(s, "the generated code is ill-formed", message);
  dn_phase(job->ctx, "LLVM passes");
  if (!run_passes(s))
    return false;
  if (job->target->row->backend == CG_Xtensa)
    choose_bits(s);
  return true;
}

static bool sums_integers(const struct ir_module *m) {
  for (const struct ir_func *f = m->funcs; f; f = f->next)
    for (const struct ir_op *k = f->body->first; k; k = k->next)
      for (const struct ir_op *op = k->nregions ? k->region[0]->first : NULL;
           op; op = op->next)
        if (ir_ops[op->code].cls == IR_CONTRACT &&
            !ir_is_float(ir_result(op)->type->dtype))
          return true;
  return false;
}

/* LLVM has these for the process alone. Its schedulers load ahead of integer
 * sums in more registers than RISC-V and Thumb have. */
static void set_options(const struct cg_job *job) {
  const struct ir_facts *f = &job->target->facts;
  bool riscv = job->target->row->backend == CG_RISCV && !f->vector_bytes;
  if ((riscv || f->walk != IR_WALK_COUNTER) && sums_integers(job->module))
    LLVMParseCommandLineOptions(
        2,
        (const char *const[]){"", f->walk == IR_WALK_INDEX
                                      ? "-pre-RA-sched=source"
                                      : "-enable-misched=false"},
        NULL);
  /* For cg_frames_add(). */
  static const char *const layout[] = {
      "", "-pass-remarks-analysis=stack-frame-layout"};
  LLVMParseCommandLineOptions(2, layout, NULL);
  if (!f->vector_bytes && f->pointer_bytes == 4) /* wide factors stay seen */
    LLVMParseCommandLineOptions(
        2, (const char *const[]){"", "-disable-constant-hoisting"}, NULL);
}

bool cg_machine_run(struct cg_job *job) {
  char *message = NULL;
  struct machine s = {.job = job,
                      .arena = job->ctx->arena,
                      .frames = {.arena = job->ctx->arena}};
  unsigned before = dn_errors(job->ctx);
  dn_phase(job->ctx, "emit");
  s.lc = LLVMContextCreate();
  set_options(job);
  LLVMContextSetDiagnosticHandler(s.lc, on_diagnostic, &s);
  s.module = LLVMModuleCreateWithNameInContext(job->opts->prefix, s.lc);
  s.machine =
      cg_target_machine(job->target, cg_is_large(job->module), &message);
  if (!s.machine)
    return failed(&s, "LLVM", message);
  if (!build_module(&s))
    return false;
  bool ok = false;
  switch (job->kind) {
  case CG_OBJ:
    ok = emit_object(&s);
    break;
  case CG_ASM:
    ok = emit_file(&s, s.module, LLVMAssemblyFile);
    break;
  case CG_LLVM:
    ok = emit_ir(&s);
    break;
  case CG_BITCODE:
    ok = emit_bitcode(&s);
    break;
  }
  return ok && dn_errors(job->ctx) == before;
}
