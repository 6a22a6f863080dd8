/* run_sets.c - --test-data: a folder with input_K.pb and output_K.pb, or with
 * folders test_data_set_N of them. Each set may have shapes of its own, for
 * which the model is then compiled again; values decide nothing unless
 * --const-inputs says so. */
#include "tools/run.h"

#include "frontend/fe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool exists(const char *path) {
  struct stat st;
  return stat(path, &st) == 0;
}

/* The K-th file of a kind, or NULL. */
static const char *set_file(struct run *r, const char *dir, const char *kind,
                            size_t k) {
  static const char *const endings[] = {"pb", "npy"};
  for (int i = 0; i < 2; i++) {
    const char *path =
        dn_printf(r->ctx->arena, "%s/%s_%zu.%s", dir, kind, k, endings[i]);
    if (exists(path))
      return path;
  }
  return NULL;
}

enum { MAX_PORTS = 4096 };

/* Files of one kind; those of sequences hold several tensors, `counts` says how
 * many. */
struct set {
  struct fe_tensors all;
  DN_LIST(int64_t) counts;
};

static bool read_set(struct run *r, const char *dir, const char *kind,
                     struct set *s) {
  const char *path;
  *s = (struct set){0};
  while (s->all.list.n < MAX_PORTS &&
         (path = set_file(r, dir, kind, s->counts.n))) {
    size_t before = s->all.list.n;
    if (!fe_read_tensors(r->ctx, path, &s->all))
      return false;
    DN_PUSH(r->ctx->arena, s->counts, (int64_t)(s->all.list.n - before));
  }
  return true;
}

static void fail(const char *dir, const char *why) {
  printf("FAIL %s %s\n", dir, why);
}

/* Test data of old ONNX releases hold the bits of bfloat16 as uint16; strings
 * are as wide as the longest in a file. */
static void adapt(struct run *r, struct ir_tensor *t,
                  const struct run_port *port) {
  if (t->type->dtype == IR_U16 && port->type->dtype == IR_BF16)
    t->type = ir_type_as(r->ctx, t->type, IR_BF16);
  run_fit_strings(r, t, port->type);
}

static bool types_fit(const struct run *r, const struct ir_tensor *t,
                      size_t n) {
  if (n != r->nin)
    return false;
  for (size_t i = 0; i < n; i++)
    if (!run_same_shape(t[i].type, r->in[i].type))
      return false;
  return true;
}

/* Compares one output; on a difference prints the line's end. */
static bool judge(const struct run *r, size_t i, const struct ir_tensor *got,
                  const struct ir_tensor *want, struct run_diff *d,
                  struct dn_buf *why) {
  struct dn_ctx *ctx = r->ctx;
  const char *name = r->out[i].name;
  if (!run_same_shape(got->type, want->type)) {
    dn_buf_printf(why, " output '%s' is %s, expected %s", name,
                  ir_type_text(ctx, NULL, got->type),
                  ir_type_text(ctx, NULL, want->type));
    return false;
  }
  run_differ(got->type, got->data, want->data, r->o->rtol.value,
             r->o->atol.value, d);
  if (d->at < 0)
    return true;
  dn_buf_printf(why, " output '%s' element %lld is %.9g, expected %.9g", name,
                (long long)d->at, d->got, d->want);
  return false;
}

/* An input file that cannot be read is reported as the model input that it
 * would have set. */
static bool read_inputs(struct run *r, const char *dir, struct set *s) {
  struct dn_ctx *ctx = r->ctx;
  size_t before = dn_diags_count(ctx);
  dn_diags_capture(ctx, true);
  bool ok = read_set(r, dir, "input", s);
  if (!ok)
    dn_diags_rewind(ctx, before);
  dn_diags_capture(ctx, false);
  if (ok)
    return true;
  if (r->in || run_load(r, ctx, r->o, NULL))
    read_set(r, dir, "input", s);
  fail(dir, "inputs cannot be read");
  return false;
}

/* Loads the model for these inputs, where it is not so yet. */
static bool load_for(struct run *r, const char *dir, const struct set *inputs) {
  struct dn_ctx *ctx = r->ctx;
  const struct options *o = r->o;
  struct ir_tensor *files = inputs->all.list.v;
  size_t nin = inputs->all.list.n;
  const struct ir_type **types =
      DN_ARRAY(ctx->arena, const struct ir_type *, nin + 1);
  for (size_t i = 0; i < nin; i++)
    types[i] = files[i].type;
  if (r->at.n && !run_set_sizes(r, types, nin))
    return false;
  if (!r->in || r->depends || !types_fit(r, files, nin)) {
    bool depends = false;
    struct fe_opts given = {.input_types = types,
                            .input_values = o->const_inputs ? files : NULL,
                            .ninputs = nin,
                            .input_counts = inputs->counts.v,
                            .ncounts = inputs->counts.n,
                            .values_used = &depends};
    run_unload(r);
    bool loaded = run_load(r, ctx, o, &given);
    r->depends = depends;
    if (!loaded) {
      fail(dir, "the model cannot be compiled");
      return false;
    }
  }
  return !r->at.n || run_set_sizes(r, types, nin);
}

static bool run_set(struct run *r, const char *dir) {
  struct dn_ctx *ctx = r->ctx;
  struct set inputs, outputs;
  if (!read_inputs(r, dir, &inputs) || !load_for(r, dir, &inputs))
    return false;
  struct ir_tensor *files = inputs.all.list.v;
  size_t nin = inputs.all.list.n;
  for (size_t i = 0; i < nin && i < r->nin; i++)
    adapt(r, &files[i], &r->in[i]);
  if (!types_fit(r, files, nin)) {
    fail(dir, "the inputs do not fit the model");
    return false;
  }
  struct ir_tensor *in = run_buffers(r, r->in, r->nin);
  struct ir_tensor *out = run_buffers(r, r->out, r->nout);
  for (size_t i = 0; i < nin; i++)
    if (ir_type_bytes(in[i].type))
      memcpy(in[i].data, files[i].data, (size_t)ir_type_bytes(in[i].type));
  if (!run_call(r, in, out)) {
    fail(dir, "the run failed");
    return false;
  }
  if (!read_set(r, dir, "output", &outputs) || !outputs.all.list.n) {
    fail(dir, "outputs cannot be read");
    return false;
  }
  struct ir_tensor *want = outputs.all.list.v;
  size_t nout = outputs.all.list.n;
  if (nout > r->nout) {
    fail(dir, "there are more outputs in it than the model has");
    return false;
  }
  struct run_diff d = {0};
  struct dn_buf why = dn_buf_new(ctx->arena);
  bool ok = true;
  for (size_t i = 0; i < nout; i++)
    adapt(r, &want[i], &r->out[i]);
  for (size_t i = 0; i < nout; i++) {
    struct ir_tensor got = run_output(r, out, i);
    ok &= judge(r, i, &got, &want[i], &d, &why);
  }
  printf("%s %s max_abs=%.3g max_rel=%.3g max_ulp=%.3g, tolerated %g*|value| + "
         "%g*%.3g%s\n",
         ok ? "PASS" : "FAIL", dir, d.max_abs, d.max_rel, d.max_ulp,
         r->o->rtol.value, r->o->atol.value, fmax(d.largest, 1),
         ok ? "" : why.text);
  if (r->o->compare)
    ok &= run_compare_values(r, in, out);
  return ok;
}

bool run_test_data(struct run *r) {
  bool ok = true;
  for (size_t k = 0; k < r->o->test_data.n; k++) {
    const char *dir = r->o->test_data.v[k];
    size_t sets = 0;
    if (set_file(r, dir, "output", 0)) {
      ok &= run_set(r, dir);
      continue;
    }
    for (;; sets++) {
      const char *set =
          dn_printf(r->ctx->arena, "%s/test_data_set_%zu", dir, sets);
      if (!exists(set))
        break;
      ok &= run_set(r, set);
    }
    if (sets)
      continue;
    dn_error(r->ctx, (struct dn_loc){.file = dir}, DN_FILE_READ,
             "no output_0.pb and no test_data_set_0 in it");
    ok = false;
  }
  fflush(stdout);
  return ok;
}
