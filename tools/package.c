/* package.c - see package.h. */
#include "tools/package.h"

#include "ir/eval.h"
#include "ir/place.h"
#include "ir/size.h"
#include "tools/archive.h"

#include <string.h>

static const unsigned char templates[] = {
#include "packages.inc"
};
static const char *const kinds[] = {"cmake",      "zephyr",  "arduino",
                                    "platformio", "esp-idf", "cmsis-pack"};

struct package {
  const struct compile *c;
  const char *kind;
  unsigned nin, nout;
  struct ir_tensor *in, *out; /* the self-test's; NULL so far: of a stream */
  struct dn_buf selftest;
};

static bool is_kept(const struct package *p, bool in, unsigned i) {
  const struct ir_block *b = ir_main(p->c->m)->body;
  return in ? ir_state_of(b->param[i]) >= 0
            : ir_carried_param(b->last, i) != NULL;
}

static bool has_state(const struct package *p) {
  const struct ir_func *f = ir_main(p->c->m);
  return ir_state_at(f, f->nresults, 1) > 0;
}

static bool is_split(const struct package *p) {
  return ir_arena_part(p->c->m, 1) > 0;
}

/* The last parameters of PREFIX_run, each behind `type`. */
static const char *memory(const struct package *p, const char *type) {
  return dn_printf(p->c->ctx->arena, "%s%s%sarena%s%s",
                   has_state(p) ? type : "", has_state(p) ? "state, " : "",
                   type,
                   is_split(p) ? dn_printf(p->c->ctx->arena, ", %s", type) : "",
                   is_split(p) ? "arena2" : "");
}

/* ---- The self-test ---- */

static bool run_interpreter(struct package *p) {
  const struct ir_func *f = ir_main(p->c->m);
  struct dn_ctx *ctx = p->c->ctx;
  p->nin = f->body->nparams;
  p->nout = f->nresults;
  p->in = DN_ARRAY(ctx->arena, struct ir_tensor, p->nin + 1);
  p->out = DN_ARRAY(ctx->arena, struct ir_tensor, p->nout + 1);
  for (unsigned i = 0; i < p->nin; i++) {
    p->in[i].type = f->body->param[i]->type;
    p->in[i].data =
        dn_alloc(ctx->arena, (size_t)ir_type_bytes(p->in[i].type) + 1);
    if (ir_state_of(f->body->param[i]) < 0)
      ir_random(&p->in[i], 1000 + i);
    else if (f->body->param[i]->initial)
      memcpy(p->in[i].data,
             ir_const_bytes(ctx->arena, f->body->param[i]->initial),
             (size_t)ir_type_bytes(p->in[i].type));
  }
  return ir_eval(ctx->arena, f, p->in, p->out, NULL);
}

static void put_array(struct dn_buf *out, const char *name, unsigned i,
                      const struct ir_tensor *t) {
  int64_t n = ir_type_bytes(t->type);
  const unsigned char *byte = t->data;
  dn_buf_printf(out, "static const unsigned char %s%u[] ALIGNED = {", name, i);
  for (int64_t k = 0; k < n; k++)
    dn_buf_printf(out, "%s%d,", k % 20 ? "" : "\n  ", byte[k]);
  dn_buf_printf(out, "%s};\n", n ? "\n" : "0");
}

/* C code that compares one float type by tolerance: rounding may differ. */
static void put_compare(struct dn_buf *out, const char *type) {
  dn_buf_printf(
      out,
      "static int differs_%s(const void *got, const void *want, size_t n) {\n"
      "  %s g, w, top = 1, d;\n"
      "  size_t i;\n"
      "  for (i = 0; i < n; i++) {\n"
      "    memcpy(&w, (const char *)want + i * sizeof w, sizeof w);\n"
      "    w = w < 0 ? -w : w;\n"
      "    top = w > top && w - w == 0 ? w : top;\n"
      "  }\n"
      "  for (i = 0; i < n; i++) {\n"
      "    memcpy(&g, (const char *)got + i * sizeof g, sizeof g);\n"
      "    memcpy(&w, (const char *)want + i * sizeof w, sizeof w);\n"
      "    d = g > w ? g - w : w - g;\n"
      "    if (g == w || (g != g && w != w))\n"
      "      continue;\n"
      "    if (!(d <= (%s)1e-3 * (w < 0 ? -w : w) + (%s)1e-5 * top))\n"
      "      return 1;\n"
      "  }\n"
      "  return 0;\n"
      "}\n\n",
      type, type, type, type);
}

static void put_check(struct dn_buf *out, unsigned i, const struct ir_type *t) {
  bool wide = ir_is_float(t->dtype) && ir_dtypes[t->dtype].bytes >= 4;
  long long n =
      wide ? (long long)ir_type_count(t) : (long long)ir_type_bytes(t);
  dn_buf_printf(out, "  if (%s%s(got%u, want%u, %lld))\n    return -1;\n",
                wide ? "differs_" : "memcmp",
                wide ? ir_dtypes[t->dtype].ctype : "", i, i, n);
}

static void make_selftest(struct package *p) {
  struct dn_buf *out = &p->selftest;
  const char *name = p->c->cg.prefix;
  int64_t align = cg_target_facts(p->c->target)->align;
  static const enum ir_dtype floats[] = {IR_F32, IR_F64};
  *out = dn_buf_new(p->c->ctx->arena);
  dn_buf_printf(out,
                "/* %s_selftest.c - a random input and the interpreter's "
                "outputs, as bytes. */\n#include \"%s_selftest.h\"\n\n#include "
                "\"%s.h\"\n#include <string.h>\n\n"
                "#define ALIGNED __attribute__((aligned(8)))\n",
                name, name, name);
  for (unsigned i = 0; i < p->nin; i++)
    if (!is_kept(p, true, i))
      put_array(out, "in", i, &p->in[i]);
  for (unsigned i = 0; i < p->nout; i++) {
    put_array(out, "want", i, &p->out[i]);
    if (is_kept(p, false, i))
      dn_buf_printf(out, "#define got%u ((const char *)state + %lld)\n", i,
                    (long long)ir_state_at(ir_main(p->c->m), i, align));
    else
      dn_buf_printf(out, "static unsigned char got%u[sizeof want%u] ALIGNED;\n",
                    i, i);
  }
  for (size_t k = 0; k < DN_COUNT(floats); k++)
    for (unsigned i = 0; i < p->nout; i++)
      if (p->out[i].type->dtype == floats[k]) {
        put_compare(out, ir_dtypes[floats[k]].ctype);
        break;
      }
  dn_buf_printf(out, "int %s_selftest(%s) {\n  int status;\n", name,
                memory(p, "void *"));
  if (has_state(p))
    dn_buf_printf(out, "  %s_reset(state);\n", name);
  dn_buf_printf(out, "  status = %s_run(", name);
  for (unsigned i = 0; i < p->nin; i++)
    if (!is_kept(p, true, i))
      dn_buf_printf(out, "(const void *)in%u, ", i);
  for (unsigned i = 0; i < p->nout; i++)
    if (!is_kept(p, false, i))
      dn_buf_printf(out, "(void *)got%u, ", i);
  dn_buf_printf(out, "%s);\n  if (status)\n    return status;\n",
                memory(p, ""));
  for (unsigned i = 0; i < p->nout; i++)
    put_check(out, i, p->out[i].type);
  dn_buf_printf(out, "  return 0;\n}\n");
}

struct package *package_begin(const struct compile *c, const char *kind) {
  struct package *p = DN_NEW(c->ctx->arena, struct package);
  struct ir_sizes sizes;
  if (DN_FIND(kinds, kind) < 0) {
    dn_usage(c->ctx, "--package", "unknown kind of package '%.100s'",
             dn_escaped(c->ctx->arena, kind));
    if (!dn_suggest(c->ctx, kind, kinds, DN_COUNT(kinds)))
      dn_note(c->ctx,
              "cmake, zephyr, arduino, platformio, esp-idf, cmsis-pack");
    return NULL;
  }
  if (ir_io_places(ir_main(c->m))) {
    dn_usage(c->ctx, "--package",
             "a self-test passes inputs and outputs: without --io=arena");
    return NULL;
  }
  if (ir_sizes_of(ir_main(c->m), &sizes) && sizes.most.n) {
    dn_usage(c->ctx, "--package",
             "a self-test has sizes that are numbers: --dim NAME=VALUE");
    return NULL;
  }
  p->c = c;
  p->kind = kind;
  return c->options->stream || run_interpreter(p) ? p : NULL;
}

/* ---- Templates ---- */

struct word {
  const char *name, *value;
};

/* "Cortex-M0+" of "cortex-m0plus". */
static const char *core(struct dn_arena *arena, const char *cpu) {
  if (strncmp(cpu, "cortex-m", 8) != 0)
    return "other";
  const char *plus = strstr(cpu, "plus");
  return dn_printf(arena, "Cortex-M%.*s%s",
                   (int)(plus ? plus - cpu - 8 : (long)strlen(cpu + 8)),
                   cpu + 8, plus ? "+" : "");
}

/* Arduino's build.mcu, in whose folder it looks for archives: the CPU or, of a
 * chip that is its own kind, the board's. */
static const char *mcu(const struct package *p, const char *cpu) {
  const char *device = p->c->options->device;
  bool own = device && dn_is_identifier(device, 39);
  return own && !strncmp(cpu, "generic", 7) ? device : cpu;
}

static void put_buffer(struct dn_buf *out, const char *name, unsigned i,
                       const struct ir_type *t) {
  dn_buf_printf(out, "static %s %s%u", ir_dtypes[t->dtype].ctype, name, i);
  bool flat = !t->rank || !ir_type_count(t);
  if (flat)
    dn_buf_printf(out, "[1]");
  for (int d = 0; d < t->rank && !flat; d++)
    dn_buf_printf(out, "[%lld]", (long long)t->dim[d]);
  dn_buf_printf(out, ";\n");
}

static void put_memory(struct dn_buf *out, const char *prefix, const char *name,
                       const char *macro, const char *align) {
  dn_buf_printf(out,
                "#ifdef %s_%s_SECTION\n"
                "__attribute__((section(%s_%s_SECTION)))\n#endif\n"
                "static unsigned char %s[%s_%s_SIZE + 1]\n"
                "    __attribute__((aligned(%s_%s_ALIGN)));\n",
                prefix, macro, prefix, macro, name, prefix, macro, prefix,
                align);
}

/* The arguments of PREFIX_run in an example, and the call. */
static void put_call(const struct package *p, const char *name,
                     struct dn_buf *buffers, struct dn_buf *call) {
  const char *big = dn_upper(p->c->ctx->arena, name);
  dn_buf_printf(call, "%s_run(", name);
  for (unsigned i = 0; i < p->nin + p->nout; i++) {
    bool in = i < p->nin;
    unsigned k = in ? i : i - p->nin;
    if (is_kept(p, in, k))
      continue;
    put_buffer(buffers, in ? "in" : "out", k,
               in ? p->in[k].type : p->out[k].type);
    dn_buf_printf(call, "%s%u, ", in ? "in" : "out", k);
  }
  dn_buf_printf(call, "%s)", memory(p, ""));
  put_memory(buffers, big, "arena", "ARENA", "ARENA");
  if (is_split(p))
    put_memory(buffers, big, "arena2", "ARENA2", "ARENA");
  if (has_state(p))
    put_memory(buffers, big, "state", "STATE", "STATE");
}

/* `text` with each @WORD@ replaced. */
static const char *fill(struct dn_arena *arena, const struct word *words,
                        size_t n, const char *text, size_t size,
                        size_t *length) {
  struct dn_buf out = dn_buf_new(arena);
  for (const char *p = text, *end = text + size; p < end;) {
    size_t i = 0, m = 0;
    for (; *p == '@' && i < n; i++) {
      m = strlen(words[i].name);
      if ((size_t)(end - p) > m + 1 && !strncmp(p + 1, words[i].name, m) &&
          p[m + 1] == '@')
        break;
    }
    if (*p == '@' && i < n) {
      dn_buf_put(&out, words[i].value, strlen(words[i].value));
      p += m + 2;
    } else {
      dn_buf_put(&out, p++, 1);
    }
  }
  if (length)
    *length = out.len;
  return out.len ? out.text : "";
}

/* Whether `kind` is one of `list`, "a,b" or "all". */
static bool is_listed(const char *list, size_t n, const char *kind) {
  if (n == 3 && !strncmp(list, "all", 3))
    return true;
  for (size_t m; n; list += m + (n > m), n -= m + (n > m)) {
    const char *comma = memchr(list, ',', n);
    m = comma ? (size_t)(comma - list) : n;
    if (m == strlen(kind) && !strncmp(list, kind, m))
      return true;
  }
  return false;
}

struct parts {
  const struct word *words;
  size_t nwords;
  struct cg_blob archive, header, selftest, linker;
};

static bool write_part(const struct package *p, const struct parts *all,
                       const char *path, const char *what,
                       const struct cg_blob *text) {
  const struct {
    const char *name;
    const struct cg_blob *blob;
  } made[] = {{"archive", &all->archive},
              {"header", &all->header},
              {"selftest", &all->selftest},
              {"linker", &all->linker}};
  int row = DN_FIND(made, what);
  const struct cg_blob *blob = row < 0 ? text : made[row].blob;
  struct dn_ctx *ctx = p->c->ctx;
  return !blob->size || (dn_folder_make(ctx, dn_folder(ctx, path)) &&
                         dn_file_write(ctx, path, blob->data, blob->size));
}

/* Every file of the templates that is for this kind. */
static bool write_parts(const struct package *p, const struct parts *all,
                        const char *folder) {
  struct dn_arena *arena = p->c->ctx->arena;
  const char *text =
      dn_strndup(arena, (const char *)templates, sizeof templates);
  bool ok = true;
  for (const char *at = strstr(text, "\n=== "), *next; at && ok; at = next) {
    const char *list = at + 5, *body = strchr(list, '\n') + 1;
    next = strstr(body - 1, "\n=== ");
    size_t n = strcspn(list, " ");
    if (!is_listed(list, n, p->kind))
      continue;
    const char *path = list + n + 1, *what = "";
    size_t m = strcspn(path, " \n");
    if (path[m] == ' ')
      what = dn_strndup(arena, path + m + 1, strcspn(path + m + 1, "\n"));
    path = dn_printf(arena, "%s/%s", folder,
                     fill(arena, all->words, all->nwords, path, m, NULL));
    struct cg_blob out = {0};
    size_t size = next ? (size_t)(next + 1 - body) : strlen(body);
    if (!*what)
      out.data = fill(arena, all->words, all->nwords, body, size, &out.size);
    ok = write_part(p, all, path, what, &out);
  }
  return ok;
}

bool package_write(struct package *p, const char *folder,
                   const struct cg_blob *object, const struct cg_blob *header) {
  struct dn_ctx *ctx = p->c->ctx;
  const struct cg_names *names = cg_target_names(p->c->target);
  const char *name = p->c->cg.prefix;
  /* Zephyr refuses the option for a processor without one. */
  const bool has_fpu = !cg_target_facts(p->c->target)->soft_f32;
  struct dn_buf buffers = dn_buf_new(ctx->arena), call = dn_buf_new(ctx->arena);
  if (!p->in && !run_interpreter(p))
    return false;
  make_selftest(p);
  put_call(p, name, &buffers, &call);
  const struct word words[] = {{"NAME", name},
                               {"UPPER", dn_upper(ctx->arena, name)},
                               {"CPU", names->cpu},
                               {"MCU", mcu(p, names->cpu)},
                               {"FPU", has_fpu ? "CONFIG_FPU=y" : ""},
                               {"CORE", core(ctx->arena, names->cpu)},
                               {"TRIPLE", names->triple},
                               {"BUFFERS", buffers.text},
                               {"RUN", call.text},
                               {"MEMORY", memory(p, "")},
                               {"PARAMS", memory(p, "void *")}};
  struct parts all = {words, DN_COUNT(words), .header = *header,
                      .selftest = {p->selftest.text, p->selftest.len}};
  if (!archive_make(ctx, dn_printf(ctx->arena, "%s.o", name), object,
                    &all.archive))
    return false;
  if (p->c->regions)
    cg_linker(ctx, &p->c->cg, &all.linker);
  return write_parts(p, &all, folder);
}
