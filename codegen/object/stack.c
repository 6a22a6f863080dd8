/* stack.c - see stack.h. */
#include "codegen/object/stack.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The number behind each `key`: their sum, or the greatest. */
static int64_t read_all(const char *text, const char *key, bool sum) {
  int64_t all = 0;
  for (const char *p = text; (p = strstr(p, key));) {
    p += strlen(key);
    int64_t n = strtoll(p, NULL, 10);
    all = sum ? all + n : dn_max(all, n);
  }
  return all;
}

/* "Function: f", then a line for each slot of the frame: its "Align: 8" and its
 * size, of which those that grow with the processor's vectors are in "Size:
 * vscale x 32". */
static bool add_layout(struct cg_frames *f, const char *text) {
  static const char name[] = "Function: ";
  const char *p = strstr(text, name);
  if (!p)
    return false;
  p += sizeof name - 1;
  int64_t scaled = read_all(p, "Size: vscale x ", true);
  struct cg_frame frame = {.name = dn_strndup(f->arena, p, strcspn(p, "\n")),
                           .scaled = (scaled + 15) / 16 * 16,
                           .align = read_all(p, "Align: ", false)};
  DN_PUSH(f->arena, f->list, frame);
  return true;
}

/* "... stack frame size (48) exceeds limit (0) in function 'f'" */
bool cg_frames_add(struct cg_frames *f, const char *text) {
  static const char head[] = "stack frame size (", name[] = "function '";
  const char *size = strstr(text, head), *p = strstr(text, name);
  if (!size || !p)
    return add_layout(f, text);
  p += sizeof name - 1;
  const char *end = strrchr(p, '\'');
  struct cg_frame frame = {
      .name = dn_strndup(f->arena, p, end ? (size_t)(end - p) : strlen(p)),
      .bytes = strtoll(size + sizeof head - 1, NULL, 10)};
  DN_PUSH(f->arena, f->list, frame);
  return true;
}

static int compare_names(const void *a, const void *b) {
  return strcmp(((const struct cg_frame *)a)->name,
                ((const struct cg_frame *)b)->name);
}

static int compare_calls(const void *a, const void *b) {
  const struct cg_call *x = a, *y = b;
  if (x->from != y->from)
    return x->from < y->from ? -1 : 1;
  return (x->to > y->to) - (x->to < y->to);
}

/* The functions of an object, by their sections. */
struct graph {
  const struct cg_elf *elf;
  const struct cg_call *calls; /* by `from` */
  int64_t *frame;              /* return address included */
  int64_t *depth;              /* -1: not known yet, -2: in work */
};

/* What is known of a function's frame; `align` is what the stack has of its own,
 * beyond which a frame aligns itself: it loses up to the difference, and on x86,
 * where registers are pushed before, as much once more. */
static int64_t frame_of(const struct cg_frames *f, const char *name,
                        int64_t align, int64_t vscale, bool pushes) {
  struct cg_frame key = {.name = name}, *hit = NULL;
  int64_t bytes = 0, most = 0;
  if (f->list.n)
    hit = bsearch(&key, f->list.v, f->list.n, sizeof key, compare_names);
  while (hit && hit > f->list.v && !compare_names(hit - 1, &key))
    hit--;
  for (; hit && hit < f->list.v + f->list.n && !compare_names(hit, &key);
       hit++) {
    bytes += hit->bytes + hit->scaled * vscale;
    most = dn_max(most, hit->align);
  }
  return most <= align ? bytes : bytes + (most - align) + (pushes ? most : 0);
}

static int64_t depth_of(struct graph *g, size_t i) {
  assert(i < g->elf->sections.n && "cg_elf_read() checks the calls' ends");
  if (g->depth[i] != -1)
    return dn_max(g->depth[i], 0); /* no function calls itself (soft.c) */
  g->depth[i] = -2;
  int64_t deepest = 0;
  size_t lo = 0, hi = g->elf->calls.n;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (g->calls[mid].from < i)
      lo = mid + 1;
    else
      hi = mid;
  }
  for (; lo < g->elf->calls.n && g->calls[lo].from == i; lo++)
    deepest = dn_max(deepest, depth_of(g, g->calls[lo].to));
  return g->depth[i] = g->frame[i] + deepest;
}

int64_t cg_frames_worst(struct cg_frames *f, const struct cg_target *t,
                        const struct cg_elf *elf, const char *entry,
                        int64_t vscale) {
  const enum cg_backend backend = t->row->backend;
  const bool x86 = backend == CG_X86;
  const int64_t call = x86 ? t->facts.pointer_bytes : 0;
  const int64_t align = backend == CG_ARM ? 8 : 16;
  struct cg_call *calls = DN_ARRAY(f->arena, struct cg_call, elf->calls.n + 1);
  struct graph g = {elf, calls,
                    DN_ARRAY(f->arena, int64_t, elf->sections.n + 1),
                    DN_ARRAY(f->arena, int64_t, elf->sections.n + 1)};
  if (elf->calls.n) {
    memcpy(calls, elf->calls.v, elf->calls.n * sizeof *calls);
    qsort(calls, elf->calls.n, sizeof *calls, compare_calls);
  }
  if (f->list.n)
    qsort(f->list.v, f->list.n, sizeof *f->list.v, compare_names);
  for (size_t i = 0; i < elf->sections.n; i++) {
    g.frame[i] = call;
    g.depth[i] = -1;
  }
  for (size_t i = 0; i < elf->symbols.n; i++) {
    const struct cg_symbol *s = &elf->symbols.v[i];
    if (s->section != CG_NO_SECTION && elf->sections.v[s->section].code)
      g.frame[s->section] = dn_max(
          g.frame[s->section], call + frame_of(f, s->name, align, vscale, x86));
  }
  const struct cg_symbol *run = cg_elf_symbol(elf, entry);
  return run && run->section != CG_NO_SECTION ? depth_of(&g, run->section) : 0;
}
