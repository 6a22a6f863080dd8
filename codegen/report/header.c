/* header.c - the C header that goes with an object: C99 and C++, complete in
 * itself. Dimensions are arrays, so that the compiler checks the caller's. */
#include "codegen/object/region.h"
#include "ir/place.h"
#include "ir/size.h"
#include "runtime/dnn.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { MAX_PREFIX = 60 };

/* Letters, digits and underscores; the first no digit. */
static void put_identifier(struct dn_buf *out, const char *s, size_t n) {
  if (n > MAX_PREFIX)
    n = MAX_PREFIX;
  if (n && isdigit((unsigned char)*s))
    dn_buf_put(out, "_", 1);
  for (size_t i = 0; i < n; i++) {
    bool keep = isalnum((unsigned char)s[i]);
    dn_buf_put(out, keep ? &s[i] : "_", 1);
  }
}

const char *cg_prefix(struct dn_ctx *ctx, const char *name) {
  const char *base = dn_base_name(name);
  const char *dot = strrchr(base, '.');
  struct dn_buf out = dn_buf_new(ctx->arena);
  size_t n = dot && dot != base ? (size_t)(dot - base) : strlen(base);
  if (n && isdigit((unsigned char)*base))
    dn_buf_printf(&out, "m");
  put_identifier(&out, base, n);
  return out.len ? out.text : "model";
}

/* ---- Parameters of PREFIX_run ---- */

struct param {
  const char *name;           /* in C */
  const char *model;          /* in the model */
  const struct ir_type *type; /* NULL: a size */
  int64_t at;                 /* of what lies in the state: byte */
  int result;                 /* of the function, that it is */
};

struct header {
  struct dn_buf *out;
  const char *prefix, *upper, *file;
  const struct ir_module *m;
  struct param *param;
  size_t nin, nout, n; /* n: with sizes */
  struct param *state; /* inputs that are no parameters */
  size_t nstate;
  int64_t state_size;
  struct ir_sizes sizes;
  bool threads; /* the object may call dnn_parallel_for() */
  const char *section[2], *state_section; /* of the arena's parts, or NULL */
  bool apart;                             /* weights are passed */
  const int64_t *io; /* where parameters lie in the arena, or NULL */
  int64_t vector;    /* bytes that the stack is counted for */
};

/* Keywords of C23 and C++23, macros of <stddef.h> and of GNU compilers, and
 * what the header itself needs. */
static const char words[] =
    " alignas alignof and and_eq asm auto bitand bitor bool break case catch "
    "char class co_await co_return co_yield compl concept const const_cast "
    "consteval constexpr constinit continue decltype default delete do double "
    "dynamic_cast else enum explicit export extern false float for friend goto "
    "if import inline int long module mutable namespace new noexcept not "
    "not_eq nullptr offsetof operator or or_eq private protected public "
    "register reinterpret_cast requires restrict return short signed sizeof "
    "static static_assert static_cast struct switch template this thread_local "
    "throw true try typedef typeid typename typeof typeof_unqual union "
    "unreachable unsigned using virtual void volatile while xor xor_eq "
    "NULL arena arena2 state weights i386 linux unix DNN_OK DNN_E_ARENA "
    "DNN_E_NULL "
    "DNN_E_LOOP DNN_E_WEIGHTS DNN_E_SIZE "
    "DNN_E_STATE DNN_E_MATRIX ";

/* Whole families that <stdint.h> and <stddef.h> take: size_t and int_fast8_t,
 * INT8_MAX and UINT16_C; and what the header defines: NET_ARENA_SIZE, net_run.
 */
static bool is_reserved(const struct header *h, const char *s) {
  static const char *const ends[] = {"_t", "_MAX", "_MIN", "_WIDTH", "_C"};
  static const char *const own[] = {
      "_ARENA_SIZE", "_ARENA_ALIGN", "_ARENA_SECTION", "_WEIGHTS_SIZE",
      "_STACK_SIZE", "_H",           "_run",           "_model",
      "_load",       "_BLOB_SIZE",   "_BLOB_ALIGN",    "_selftest",
      "_reset",      "_ARENA2_SIZE", "_ARENA2_SECTION"};
  size_t n = strlen(s), p = strlen(h->prefix);
  for (const char *hit = strstr(words, s); hit; hit = strstr(hit + 1, s))
    if (hit[-1] == ' ' && hit[n] == ' ')
      return true;
  for (size_t i = 0; i < DN_COUNT(ends); i++)
    if (dn_ends_in(s, ends[i]))
      return true;
  bool of_param = dn_ends_in(s, "_SCALE") || dn_ends_in(s, "_ZERO_POINT") ||
                  dn_ends_in(s, "_OFFSET");
  bool ours = !strncmp(s, h->upper, p) || !strncmp(s, h->prefix, p);
  return ours && (of_param || !strncmp(s + p, "_STATE_", 7) ||
                  DN_FIND(own, s + p) >= 0);
}

static bool is_taken(const struct header *h, size_t n, const char *name) {
  for (size_t i = 0; i < n; i++)
    if (h->io ? !strcasecmp(h->param[i].name, name)
              : !strcmp(h->param[i].name, name))
      return true;
  return is_reserved(h, name);
}

/* A name of its own for parameter n: "int" is "int_2", and "_Bool", as
 * compilers own such names, "x_Bool". */
static void name_param(const struct header *h, struct dn_arena *arena,
                       size_t n) {
  assert(n < h->n && "add_param() counts them");
  const char *s = h->param[n].model;
  struct dn_buf out = dn_buf_new(arena);
  dn_buf_put(&out, "x",
             *s == '_' && (s[1] == '_' || (s[1] >= 'A' && s[1] <= 'Z')));
  put_identifier(&out, s, strlen(s));
  const char *base = out.len ? out.text : "x";
  h->param[n].name = base;
  for (unsigned k = 2; is_taken(h, n, h->param[n].name); k++)
    h->param[n].name = dn_printf(arena, "%s_%u", base, k);
}

static void add_param(struct header *h, struct dn_arena *arena,
                      const char *model, const struct ir_type *type) {
  h->param[h->n++] = (struct param){.model = model, .type = type};
  name_param(h, arena, h->n - 1);
}

static void list_params(struct header *h, struct dn_arena *arena, int align) {
  const struct ir_func *f = ir_main(h->m);
  const struct ir_op *ret = f->body->last;
  h->io = ir_io_places(f);
  ir_sizes_of(f, &h->sizes);
  size_t most = f->body->nparams + f->nresults + (size_t)h->sizes.passed;
  assert(ret->noperands == f->nresults && "rule return");
  h->param = DN_ARRAY(arena, struct param, most + 1);
  h->state = DN_ARRAY(arena, struct param, f->nresults + 1);
  h->state_size = ir_state_at(f, f->nresults, align);
  for (unsigned i = 0; i < f->body->nparams; i++)
    if (ir_state_of(f->body->param[i]) < 0)
      add_param(h, arena, f->body->param[i]->name, f->body->param[i]->type);
  h->nin = h->n;
  for (unsigned i = 0; i < f->nresults; i++) {
    const struct ir_value *kept = ir_carried_param(ret, i);
    const struct ir_type *type = ir_arg(ret, i)->type;
    if (kept)
      h->state[h->nstate++] = (struct param){
          .model = kept->name, .type = type, .at = ir_state_at(f, i, align)};
    if (kept)
      continue;
    add_param(h, arena, ir_result_name(f, i), type);
    h->param[h->n - 1].result = (int)i;
  }
  h->nout = h->n - h->nin;
  for (int i = 0; i < h->sizes.passed; i++)
    add_param(h, arena, h->sizes.most.param[i]->name, NULL);
}

/* "float input[1][784]". A scalar has one element; what has none is a pointer,
 * as C has no empty arrays. Where the strides are known at run time only it is
 * all in one dimension. */
static void put_declaration(struct dn_buf *out, const struct param *p) {
  if (!p->type) {
    dn_buf_printf(out, "int64_t %s", p->name);
    return;
  }
  assert(ir_type_is_static(p->type) && "from the kernels form on: rule static");
  const char *type = ir_dtypes[p->type->dtype].ctype;
  if (ir_type_count(p->type) == 0) {
    dn_buf_printf(out, "%s *%s", type, p->name);
    return;
  }
  dn_buf_printf(out, "%s %s", type, p->name);
  if (p->type->rank == 0 || ir_type_is_spread(p->type)) {
    dn_buf_printf(out, "[%lld]", (long long)ir_type_count(p->type));
    return;
  }
  for (int d = 0; d < p->type->rank; d++)
    dn_buf_printf(out, "[%lld]", (long long)p->type->dim[d]);
}

/* ---- The file ---- */

/* Model text inside a comment must not end it. */
static void put_comment(struct dn_buf *out, const char *s) {
  size_t from = out->len;
  dn_buf_escape(out, s, strlen(s) < 200 ? strlen(s) : 200);
  for (char *p = out->text + from; (p = strstr(p, "*/")) != NULL;)
    p[1] = '_';
  for (char *p = out->text + from; (p = strstr(p, "/*")) != NULL;)
    p[1] = '_';
}

/* The whole program that runs the model, in a comment. */
static void put_program(const struct header *h) {
  struct dn_buf *out = h->out;
  bool arena = h->m->arena_size > 0;
  dn_buf_printf(out, " * A program that runs it (cc main.c MODEL.o%s):\n *\n",
                h->threads ? " libdnn_parallel.a -pthread" : "");
  dn_buf_printf(out, " *   #include \"");
  put_comment(out, h->file);
  dn_buf_printf(out, "\"\n *   int main(void) {\n");
  for (size_t i = 0; !h->io && i < h->n; i++) {
    const struct param *p = &h->param[i];
    dn_buf_printf(out, " *     %s", p->type ? "static " : "");
    put_declaration(out, p);
    if (!p->type)
      dn_buf_printf(out, " = %lld",
                    (long long)h->sizes.most.value[i - h->nin - h->nout]);
    dn_buf_printf(out, ";\n");
  }
  for (unsigned part = 0; part < 2 && ir_arena_part(h->m, part); part++) {
    const char *two = part ? "2" : "";
    dn_buf_printf(out,
                  " *     static unsigned char arena%s[%s_ARENA%s_SIZE]\n"
                  " *         __attribute__((aligned(%s_ARENA_ALIGN)",
                  two, h->upper, two, h->upper);
    if (h->section[part])
      dn_buf_printf(out, ", section(%s_ARENA%s_SECTION)", h->upper, two);
    dn_buf_printf(out, "));\n");
  }
  if (h->nstate)
    dn_buf_printf(out,
                  " *     static unsigned char state[%s_STATE_SIZE]\n"
                  " *         __attribute__((aligned(%s_STATE_ALIGN)%s%s%s));\n"
                  " *     %s_reset(state);\n",
                  h->upper, h->upper, h->state_section ? ", section(" : "",
                  h->state_section ? h->upper : "",
                  h->state_section ? "_STATE_SECTION)" : "", h->prefix);
  dn_buf_printf(out, " *     return %s_run(", h->prefix);
  for (size_t i = 0; !h->io && i < h->n; i++)
    dn_buf_printf(out, "%s, ", h->param[i].name);
  dn_buf_printf(out, "%s%s%s%s);\n *   }\n", h->apart ? "weights, " : "",
                h->nstate ? "state, " : "", arena ? "arena" : "NULL",
                ir_arena_part(h->m, 1) ? ", arena2" : "");
}

static void put_top(const struct header *h) {
  dn_buf_printf(h->out, "/* ");
  put_comment(h->out, h->file);
  dn_buf_printf(h->out, " - ");
  put_comment(h->out, h->m->name ? h->m->name : h->prefix);
  dn_buf_printf(h->out,
                ", compiled by dnnc. Made by a program: do not edit.\n"
                " *\n"
                " * This header and the object that goes with it carry no "
                "licence of dnnc: they\n"
                " * are under the terms of the model that they were made "
                "from.\n *\n");
  put_program(h);
  dn_buf_printf(h->out, " */\n#ifndef %s_H\n#define %s_H\n\n", h->upper,
                h->upper);
  dn_buf_printf(h->out, "#include <stddef.h>\n#include <stdint.h>\n\n"
                        "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
}

static void put_sizes(const struct header *h, int align,
                      const struct cg_sizes *s) {
  const char *p = h->upper;
  dn_buf_printf(
      h->out,
      "#define %s_ARENA_SIZE %lldu /* bytes of scratch that the caller "
      "provides%s */\n"
      "#define %s_ARENA_ALIGN %du\n"
      "#define %s_WEIGHTS_SIZE %lldu /* bytes of constants in the object */\n"
      "#define %s_STACK_SIZE %lldu /* worst-case stack of %s_run, bytes%s "
      "*/\n\n",
      p, (long long)ir_arena_part(h->m, 0), s->arena ? "" : ": none, pass NULL",
      p, align, p, (long long)s->weights, p, (long long)s->stack, h->prefix,
      s->stack == s->stack_least
          ? ""
          : dn_printf(h->m->ctx->arena, ", with vectors of at most %lld bits",
                      8 * (long long)h->vector));
  if (ir_arena_part(h->m, 1))
    dn_buf_printf(
        h->out,
        "#define %s_ARENA2_SIZE %lldu /* and of a second part, aligned "
        "alike */\n",
        p, (long long)ir_arena_part(h->m, 1));
  for (unsigned part = 0; part < 2; part++)
    if (h->section[part])
      dn_buf_printf(h->out,
                    "#define %s_ARENA%s_SECTION \"%s\" /* its region, for an "
                    "attribute */\n",
                    p, part ? "2" : "", h->section[part]);
  if (h->section[0])
    dn_buf_printf(h->out, "\n");
}

/* NET_X_OFFSET for `x`. */
static void put_places(const struct header *h) {
  if (h->io)
    dn_buf_printf(h->out, "/* Where inputs and outputs lie in the arena, in "
                          "bytes. A run writes over inputs. */\n");
  for (size_t i = 0; h->io && i < h->nin + h->nout; i++) {
    int64_t at = h->io[i];
    unsigned part = ir_arena_find(h->m, &at);
    dn_buf_printf(h->out, "#define %s_%s_OFFSET %lldu /* %s", h->upper,
                  dn_upper(h->m->ctx->arena, h->param[i].name), (long long)at,
                  part ? "of arena2: " : "");
    put_declaration(h->out, &h->param[i]);
    dn_buf_printf(h->out, " */\n");
  }
  dn_buf_printf(h->out, h->io ? "\n" : "");
}

/* Scales and zero points of quantized parameters: NET_X_SCALE for `x`. */
static void put_scales(const struct header *h) {
  for (size_t i = 0; i < h->nin + h->nout; i++) {
    const struct ir_quant *q = h->param[i].type->quant;
    bool shown = !q || q->scales;
    for (size_t k = 0; k < i; k++)
      shown |= !strcasecmp(h->param[k].name, h->param[i].name);
    if (shown)
      continue;
    const char *name = dn_upper(h->m->ctx->arena, h->param[i].name);
    const char *scale = dn_printf(h->m->arena, "%.9g", q->scale);
    dn_buf_printf(h->out,
                  "/* %s is %s_%s_SCALE * (stored - %s_%s_ZERO_POINT) */\n"
                  "#define %s_%s_SCALE %s%sf\n"
                  "#define %s_%s_ZERO_POINT (%lld)\n\n",
                  h->param[i].name, h->upper, name, h->upper, name, h->upper,
                  name, scale, strpbrk(scale, ".e") ? "" : ".0", h->upper, name,
                  (long long)q->zero);
  }
}

static void put_codes(struct dn_buf *out) {
  dn_buf_printf(
      out,
      "#ifndef DNN_OK\n"
      "#define DNN_OK %d\n"
      "#define DNN_E_ARENA %d /* the arena is NULL or misaligned "
      "*/\n"
      "#define DNN_E_NULL %d /* an input or output is NULL */\n"
      "#define DNN_E_LOOP %d /* a loop would go on beyond its bound */\n"
      "#define DNN_E_WEIGHTS %d /* the weights are not the model's, or "
      "are damaged */\n"
      "#define DNN_E_SIZE %d /* a size is not in its range */\n"
      "#define DNN_E_STATE %d /* the state is NULL or misaligned */\n"
      "#define DNN_E_MATRIX %d /* the system refuses matrix registers */\n"
      "#endif\n\n",
      DNN_OK, DNN_E_ARENA, DNN_E_NULL, DNN_E_LOOP, DNN_E_WEIGHTS, DNN_E_SIZE,
      DNN_E_STATE, DNN_E_MATRIX);
}

/* Of an output of which not all counts: what says how much does. */
static void put_dims(const struct header *h, const struct param *p) {
  int dims = ir_dims_result(ir_main(h->m), (unsigned)p->result);
  for (size_t i = h->nin; i < h->nin + h->nout; i++)
    if (dims >= 0 && h->param[i].result == dims)
      dn_buf_printf(h->out, ", of which %s counts, zeros behind",
                    h->param[i].name);
}

static void put_tensor_note(const struct header *h, struct dn_ctx *ctx,
                            size_t i) {
  const struct param *p = &h->param[i];
  size_t size = i - h->nin - h->nout;
  if (p->type) {
    dn_buf_printf(h->out, " *   %s: %s ", p->name, i < h->nin ? "in" : "out");
    put_comment(h->out, ir_type_text(ctx, NULL, p->type));
    if (ir_dtypes[p->type->dtype].bits < 8 && p->type->dtype != IR_BOOL)
      dn_buf_printf(h->out, ", each in a byte of its own");
    if (i >= h->nin)
      put_dims(h, p);
  } else {
    dn_buf_printf(h->out, " *   %s: a size from %lld to %lld", p->name,
                  (long long)h->sizes.least[size],
                  (long long)h->sizes.most.value[size]);
  }
  if (strcmp(p->name, p->model) != 0) {
    dn_buf_printf(h->out, ", in the model '");
    put_comment(h->out, p->model);
    dn_buf_printf(h->out, "'");
  }
  dn_buf_printf(h->out, "\n");
}

/* Of an input with more than one dimension C has no pointer that takes arrays
 * of const and others. */
static bool is_pointer(const struct param *p, bool in) {
  return in && p->type->rank > 1 && ir_type_count(p->type) > 0 &&
         !ir_type_is_spread(p->type);
}

static bool has_pointer(const struct header *h) {
  for (size_t i = 0; !h->io && i < h->nin; i++)
    if (is_pointer(&h->param[i], true))
      return true;
  return false;
}

static void put_function(const struct header *h, bool typed) {
  dn_buf_printf(h->out, "int %s_run(", h->prefix);
  for (size_t i = 0; !h->io && i < h->n; i++) {
    bool in = i < h->nin;
    if (typed || !is_pointer(&h->param[i], in)) {
      dn_buf_printf(h->out, "%s", in ? "const " : "");
      put_declaration(h->out, &h->param[i]);
    } else {
      dn_buf_printf(h->out, "const void *%s", h->param[i].name);
    }
    dn_buf_printf(h->out, ", ");
  }
  dn_buf_printf(h->out, "%s%svoid *arena%s);\n",
                h->apart ? "const void *weights, " : "",
                h->nstate ? "void *state, " : "",
                ir_arena_part(h->m, 1) ? ", void *arena2" : "");
}

/* What the caller keeps from call to call, and where its tensors lie. */
static void put_state(const struct header *h, int align) {
  if (!h->nstate)
    return;
  dn_buf_printf(h->out,
                "/* What the caller keeps from call to call: %s_reset begins. "
                "Any number of states\n * run side by side. */\n"
                "#define %s_STATE_SIZE %lldu\n#define %s_STATE_ALIGN %du\n",
                h->prefix, h->upper, (long long)h->state_size, h->upper, align);
  for (size_t i = 0; i < h->nstate; i++) {
    struct dn_buf name = dn_buf_new(h->m->arena);
    put_identifier(&name, h->state[i].model, strlen(h->state[i].model));
    const char *upper = dn_upper(h->m->arena, name.text);
    bool shown = !*upper;
    for (size_t k = 0; k < i; k++)
      shown |= !strcmp(h->state[k].name, upper);
    h->state[i].name = upper;
    if (!shown && !dn_word("SIZE ALIGN SECTION", upper, strlen(upper), NULL))
      dn_buf_printf(h->out, "#define %s_STATE_%s %lldu /* byte; %s */\n",
                    h->upper, upper, (long long)h->state[i].at,
                    ir_type_text(h->m->ctx, NULL, h->state[i].type));
  }
  if (h->state_section)
    dn_buf_printf(h->out,
                  "#define %s_STATE_SECTION \"%s\" /* its region, for an "
                  "attribute */\n",
                  h->upper, h->state_section);
  dn_buf_printf(h->out, "void %s_reset(void *state);\n\n", h->prefix);
}

/* --weights: what the caller loads. */
static void put_load(const struct header *h, int64_t size) {
  if (h->apart)
    dn_buf_printf(
        h->out,
        "/* The file of weights lies in memory at a multiple of BLOB_ALIGN, or "
        "in flash:\n"
        " * 0 when it is the one that this object needs and its bytes are "
        "whole. %s_run\n * takes it as `weights`. */\n"
        "#define %s_BLOB_SIZE %lldu\n#define %s_BLOB_ALIGN 64u\n"
        "int %s_load(const void *weights, size_t size);\n\n",
        h->prefix, h->upper, (long long)size, h->upper, h->prefix);
}

static void put_prototype(const struct header *h, struct dn_ctx *ctx) {
  dn_buf_printf(h->out,
                "/* Runs the model once; 0, or a DNN_E_ code. "
                "Re-entrant: it changes nothing but\n"
                " * its outputs%s and the arena.\n",
                h->nstate ? ", the state" : "");
  if (h->sizes.passed)
    dn_buf_printf(h->out,
                  " * Tensors have the sizes that are passed, row-major "
                  "without gaps: a bound\n * is only the most that "
                  "there can be.\n");
  if (h->threads)
    dn_buf_printf(h->out,
                  " * Threads share the work through dnn_parallel_for(), which "
                  "dnnc's\n * libdnn_parallel.a has, or the program (dnn.h of "
                  "dnnc's runtime).\n");
  for (size_t i = 0; i < h->n; i++)
    put_tensor_note(h, ctx, i);
  dn_buf_printf(h->out, " */\n");
  if (!has_pointer(h)) {
    put_function(h, true);
  } else {
    dn_buf_printf(
        h->out,
        "#if defined __cplusplus || defined __clang__ || \\\n"
        "    (defined __STDC_VERSION__ && __STDC_VERSION__ >= 202311L)\n");
    put_function(h, true);
    dn_buf_printf(h->out, "#else /* C before C23 takes no T[] for a const T[] "
                          "of more dimensions */\n");
    put_function(h, false);
    dn_buf_printf(h->out, "#endif\n");
  }
  dn_buf_printf(h->out,
                "\n"
                "/* Names, types, shapes and sizes, for tools: dnn.h of dnnc's "
                "runtime has the\n * layout. */\n"
                "struct dnn_model;\nextern const struct dnn_model %s_model;\n\n"
                "#ifdef __cplusplus\n}\n#endif\n\n#endif\n",
                h->prefix);
}

bool cg_header(struct dn_ctx *ctx, const struct cg_target *t,
               const struct ir_module *m, const struct cg_opts *opts,
               const struct cg_sizes *sizes, struct cg_blob *out) {
  assert(sizes && "the caller has compiled the module");
  struct dn_buf text = dn_buf_new(ctx->arena);
  struct header h = {.out = &text,
                     .prefix = opts->prefix,
                     .upper = dn_upper(ctx->arena, opts->prefix),
                     .m = m};
  h.threads = opts->threads > 1;
  h.vector = cg_vector_most(cg_target_facts(t));
  for (unsigned part = 0; part < 2; part++)
    h.section[part] = cg_arena_section(opts, ctx->arena, part);
  h.state_section = cg_state_section(opts, ctx->arena);
  h.apart = opts->apart;
  h.file =
      opts->header ? opts->header : dn_printf(ctx->arena, "%s.h", opts->prefix);
  int align = cg_target_facts(t)->align;
  list_params(&h, ctx->arena, align);
  put_top(&h);
  put_sizes(&h, m->arena_size ? align : 1, sizes);
  put_places(&h);
  put_state(&h, align);
  put_scales(&h);
  put_codes(&text);
  put_load(&h, sizes->blob);
  put_prototype(&h, ctx);
  *out = (struct cg_blob){text.text, text.len};
  return true;
}
