/* debug.c - line tables for -g. The source of generated code is the
 * planned module as text, which the tool writes beside the object: an
 * instruction's line is that of the op which it was emitted for, in its kernel.
 * Kernels that share a function share the lines of the first. Code is the same
 * as without. */
#include "codegen/emit/impl.h"

#include <llvm-c/DebugInfo.h>
#include <string.h>

struct emit_debug {
  LLVMDIBuilderRef di;
  LLVMMetadataRef file, type;
  unsigned line; /* of the op outside kernels that is being emitted */
};

static void add_flag(struct emit *e, const char *name, unsigned value) {
  LLVMAddModuleFlag(e->mod, LLVMModuleFlagBehaviorWarning, name, strlen(name),
                    LLVMValueAsMetadata(LLVMConstInt(e->i32, value, false)));
}

void emit_debug_begin(struct emit *e) {
  const struct cg_debug *d = e->opts->debug;
  if (!d)
    return;
  static const char who[] = "dnnc";
  struct emit_debug *b = DN_NEW(e->scratch, struct emit_debug);
  b->di = LLVMCreateDIBuilder(e->mod);
  b->file = LLVMDIBuilderCreateFile(b->di, d->file, strlen(d->file), d->folder,
                                    strlen(d->folder));
  LLVMDIBuilderCreateCompileUnit(
      b->di, LLVMDWARFSourceLanguageC99, b->file, who, strlen(who), true, "", 0,
      0, "", 0, LLVMDWARFEmissionFull, 0, false, false, "", 0, "", 0);
  b->type = LLVMDIBuilderCreateSubroutineType(b->di, b->file, NULL, 0,
                                              LLVMDIFlagZero);
  add_flag(e, "Debug Info Version", LLVMDebugMetadataVersion());
  add_flag(e, "Dwarf Version", 4); /* what every debugger of a board reads */
  b->line = d->line[ir_main(e->m)->body->first->id] - 1; /* `func` */
  e->debug = b;
}

void emit_debug_function(struct emit *e, LLVMValueRef fn, const char *name) {
  struct emit_debug *b = e->debug;
  if (!b)
    return;
  bool local = LLVMGetLinkage(fn) == LLVMInternalLinkage;
  LLVMSetSubprogram(fn, LLVMDIBuilderCreateFunction(
                            b->di, b->file, name, strlen(name), name,
                            strlen(name), b->file, b->line, b->type, local,
                            true, b->line, LLVMDIFlagArtificial, true));
}

LLVMMetadataRef emit_debug_at(struct emit *e, LLVMBuilderRef b,
                              const struct ir_op *op) {
  const struct cg_debug *d = e->opts->debug;
  if (!e->debug)
    return NULL;
  LLVMMetadataRef was = LLVMGetCurrentDebugLocation2(b);
  LLVMBasicBlockRef block = LLVMGetInsertBlock(b);
  LLVMMetadataRef scope =
      block ? LLVMGetSubprogram(LLVMGetBasicBlockParent(block)) : NULL;
  if (op && !op->block->owner)
    e->debug->line = d->line[op->id];
  if (op && scope)
    LLVMSetCurrentDebugLocation2(
        b, LLVMDIBuilderCreateDebugLocation(e->lc, d->line[op->id], 0, scope,
                                            NULL));
  return was;
}

void emit_debug_back(struct emit *e, LLVMBuilderRef b, LLVMMetadataRef was) {
  if (e->debug)
    LLVMSetCurrentDebugLocation2(b, was);
}

/* Loops and addresses belong to the op whose code they stand among: without a
 * line of their own they have that of the instruction before. */
static void fill_lines(struct emit *e, LLVMValueRef fn) {
  LLVMMetadataRef scope = LLVMGetSubprogram(fn);
  LLVMMetadataRef at = LLVMDIBuilderCreateDebugLocation(
      e->lc, LLVMDISubprogramGetLine(scope), 0, scope, NULL);
  for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(fn); b;
       b = LLVMGetNextBasicBlock(b))
    for (LLVMValueRef i = LLVMGetFirstInstruction(b); i;
         i = LLVMGetNextInstruction(i)) {
      if (LLVMInstructionGetDebugLoc(i))
        at = LLVMInstructionGetDebugLoc(i);
      else
        LLVMInstructionSetDebugLoc(i, at);
    }
}

void emit_debug_end(struct emit *e) {
  if (!e->debug)
    return;
  for (LLVMValueRef f = LLVMGetFirstFunction(e->mod); f;
       f = LLVMGetNextFunction(f))
    if (LLVMGetSubprogram(f))
      fill_lines(e, f);
  LLVMDIBuilderFinalize(e->debug->di);
  LLVMDisposeDIBuilder(e->debug->di);
}
