/* run_data.c - tensors for dnnc-run: inputs from files or random numbers,
 * outputs to files, and reference data to compare with. */
#include "tools/run.h"

#include "frontend/fe.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

/* ---- Inputs ---- */

static const char *file_of(const char *spec) { return strchr(spec, '=') + 1; }

static bool names_port(const char *spec, const char *name) {
  size_t n = (size_t)(strchr(spec, '=') - spec);
  return strlen(name) == n && !strncmp(name, spec, n);
}

/* Every --input is NAME=FILE, and NAME is an input. */
static bool check_specs(struct run *r) {
  bool ok = true;
  for (size_t k = 0; k < r->o->inputs.n; k++) {
    const char *spec = r->o->inputs.v[k];
    bool found = false;
    if (!strchr(spec, '=')) {
      dn_error(r->ctx, (struct dn_loc){0}, DN_USAGE,
               "--input=%s: expected NAME=FILE", spec);
      ok = false;
      continue;
    }
    for (size_t i = 0; i < r->nin; i++)
      found |= names_port(spec, r->in[i].name);
    if (found)
      continue;
    ok = false;
    dn_error(r->ctx, (struct dn_loc){0}, DN_USAGE,
             "--input=%s: the model has no such input", spec);
    for (size_t i = 0; i < r->nin; i++)
      dn_note(r->ctx, "input %zu is '%s'", i, r->in[i].name);
  }
  return ok;
}

static const char *spec_of(const struct run *r, size_t i) {
  for (size_t k = 0; k < r->o->inputs.n; k++)
    if (names_port(r->o->inputs.v[k], r->in[i].name))
      return r->o->inputs.v[k];
  return NULL;
}

/* Type of one file; .bin files have none. */
static bool file_type(struct run *r, const char *spec,
                      const struct ir_type **out) {
  struct ir_tensor t = {0};
  bool ok = !spec || !strchr(spec, '=') || dn_ends_in(spec, ".bin") ||
            fe_read_tensor(r->ctx, file_of(spec), &t);
  *out = t.type;
  return ok;
}

const struct ir_type **run_input_types(struct run *r) {
  size_t n = r->in ? r->nin : r->o->inputs.n;
  const struct ir_type **types =
      DN_ARRAY(r->ctx->arena, const struct ir_type *, n + 1);
  if (r->in && !check_specs(r))
    return NULL;
  for (size_t i = 0; i < n; i++)
    if (!file_type(r, r->in ? spec_of(r, i) : r->o->inputs.v[i], &types[i]))
      return NULL;
  return types;
}

bool run_same_shape(const struct ir_type *a, const struct ir_type *b) {
  return a->dtype == b->dtype && ir_same_dims(a, b);
}

void run_fit_strings(struct run *r, struct ir_tensor *t,
                     const struct ir_type *port) {
  const struct ir_type *from = t->type;
  int last = from->rank - 1;
  if (from->dtype != IR_CHAR || from->rank != port->rank || last < 0)
    return;
  int64_t have = from->dim[last], width = port->dim[last];
  if (have == width || !have)
    return;
  int64_t n = ir_type_count(from) / have, kept = dn_min(have, width);
  int64_t dims[IR_MAX_RANK];
  memcpy(dims, from->dim, sizeof dims);
  dims[last] = width;
  if (!ir_type_fits(r->ctx, IR_CHAR, from->rank, dims))
    return;
  char *to = dn_alloc(r->ctx->arena, (size_t)(n * width) + 1);
  for (int64_t i = 0; i < n; i++) {
    const char *s = (const char *)t->data + i * have;
    for (int64_t k = width; k < have; k++)
      if (s[k])
        return; /* it is longer */
    memcpy(to + i * width, s, (size_t)kept);
  }
  *t = (struct ir_tensor){ir_type(r->ctx, IR_CHAR, from->rank, dims), to};
}

/* Takes a file that holds one of the port's tensors for each step. */
static bool take_rows(struct run *r, const struct ir_tensor *file, size_t size,
                      struct run_port *port, struct ir_tensor *t) {
  size_t one = (size_t)ir_type_bytes(t->type), n = (size_t)r->o->steps;
  const struct ir_type *from = file->type, *to = t->type;
  port->rows =
      n && one && size / one == n && size % one == 0 &&
      (!from ||
       (from->dtype == to->dtype && from->rank == to->rank + 1 &&
        !memcmp(from->dim + 1, to->dim, (size_t)to->rank * sizeof *to->dim)));
  if (port->rows)
    t->data = dn_copy(r->ctx->arena, file->data, size);
  return port->rows;
}

/* Reads one tensor file into `t`, whose type is the port's. */
static bool read_into(struct run *r, const char *path, struct run_port *port,
                      struct ir_tensor *t) {
  struct dn_ctx *ctx = r->ctx;
  struct ir_tensor file;
  size_t size = (size_t)ir_type_bytes(t->type);
  if (dn_ends_in(path, ".bin")) {
    struct dn_file f;
    struct stat st;
    if (!size && !stat(path, &st) && S_ISREG(st.st_mode) && !st.st_size)
      return true; /* nothing to map */
    if (!dn_file_map(ctx, path, &f))
      return false;
    file = (struct ir_tensor){NULL, (void *)(uintptr_t)f.data};
    if (f.size != size && take_rows(r, &file, f.size, port, t))
      return true;
    if (f.size != size)
      return dn_error(ctx, (struct dn_loc){.file = path}, DN_TENSOR_DATA,
                      "%zu bytes, but the input %s has %zu", f.size,
                      ir_type_text(ctx, NULL, t->type), size);
    if (size)
      memcpy(t->data, f.data, size);
    return true;
  }
  if (!fe_read_tensor(ctx, path, &file))
    return false;
  run_fit_strings(r, &file, t->type);
  if (!run_same_shape(file.type, t->type) &&
      take_rows(r, &file, (size_t)ir_type_bytes(file.type), port, t))
    return true;
  if (!run_same_shape(file.type, t->type))
    return dn_error(ctx, (struct dn_loc){.file = path}, DN_TENSOR_DATA,
                    "the tensor is %s, the input %s",
                    ir_type_text(ctx, NULL, file.type),
                    ir_type_text(ctx, NULL, t->type));
  if (size)
    memcpy(t->data, file.data, size);
  return true;
}

struct ir_tensor *run_inputs(struct run *r) {
  if (!check_specs(r))
    return NULL;
  struct ir_tensor *t = run_buffers(r, r->in, r->nin);
  bool ok = true;
  run_reset(r, t);
  /* Values for --bench: time does not depend on them. */
  bool any = r->o->bench.seen || r->o->profile || r->o->trace || r->o->compare;
  int64_t seed = r->o->random >= 0 ? r->o->random : any ? 1 : -1;
  for (size_t i = 0; i < r->nin; i++) {
    const char *spec = spec_of(r, i);
    if (spec) {
      ok &= read_into(r, file_of(spec), &r->in[i], &t[i]);
    } else if (seed >= 0 && !(r->o->steps && r->in[i].kept)) {
      ir_random(&t[i], (uint64_t)seed * 1000 + i);
    } else if (!r->in[i].kept) {
      dn_error(r->ctx, (struct dn_loc){.file = r->path}, DN_USAGE,
               "no data for input '%s', %s", r->in[i].name,
               ir_type_text(r->ctx, NULL, r->in[i].type));
      dn_note(r->ctx, "give --input %s=FILE, or --random=SEED", r->in[i].name);
      ok = false;
    }
  }
  return ok ? t : NULL;
}

/* ---- Outputs ---- */

struct ir_tensor run_output(const struct run *r, const struct ir_tensor *out,
                            size_t i) {
  struct ir_tensor t = out[i];
  int64_t dims[IR_MAX_RANK] = {0}, strides[IR_MAX_RANK];
  if (!r->out[i].dims)
    return t;
  const int64_t *counts = out[r->out[i].dims - 1].data;
  for (int d = 0; d < t.type->rank; d++)
    dims[d] = dn_max(dn_min(counts[d], t.type->dim[d]), 0);
  ir_type_strides(t.type, strides);
  t.type = ir_type(r->ctx, t.type->dtype, t.type->rank, dims);
  t.data = run_gather(r->ctx->arena, t.type, t.data, strides);
  return t;
}

/* The file of output i: the start of its name, no folder in it, and a number
 * where outputs before it have this name. */
static const char *file_name(struct run *r, const char **names, size_t i) {
  const char *own = r->out[i].name;
  char *name = dn_printf(r->ctx->arena, "%.200s", *own ? own : "output");
  for (char *s = name; *s; s++)
    if (*s == '/' || (unsigned char)*s < ' ')
      *s = '_';
  names[i] = name;
  unsigned k = 2;
  for (size_t j = 0; j < i; j++)
    if (!strcmp(names[j], names[i])) {
      names[i] = dn_printf(r->ctx->arena, "%s_%u", name, k++);
      j = (size_t)-1; /* from the first again */
    }
  return dn_printf(r->ctx->arena, "%s/%s.npy", r->o->output_dir, names[i]);
}

bool run_write_outputs(struct run *r, const struct ir_tensor *out) {
  const char *dir = r->o->output_dir;
  if (mkdir(dir, 0777) && errno != EEXIST)
    return dn_error(r->ctx, (struct dn_loc){.file = dir}, DN_FILE_WRITE,
                    "cannot make the folder: %s", strerror(errno));
  bool ok = true;
  const char **names = DN_ARRAY(r->ctx->arena, const char *, r->nout + 1);
  for (size_t i = 0; i < r->nout; i++) {
    const struct ir_tensor t = run_output(r, out, i);
    ok &= fe_write_npy(r->ctx, file_name(r, names, i), &t);
  }
  return ok;
}

static void print_element(const struct run *r, const struct ir_type *t,
                          const char *p, size_t size) {
  if (t->dtype == IR_CHAR)
    printf(" \"%s\"",
           dn_shown(r->ctx->arena, dn_strndup(r->ctx->arena, p, size)));
  else if (ir_is_float(t->dtype))
    printf(" %.6g", ir_load_float(t->dtype, p));
  else if (t->dtype == IR_U64)
    printf(" %" PRIu64, (uint64_t)ir_load_int(t->dtype, p));
  else
    printf(" %" PRId64, ir_load_int(t->dtype, p));
}

void run_print_outputs(const struct run *r, const struct ir_tensor *out) {
  enum { MOST = 16 };
  for (size_t i = 0; i < r->nout; i++) {
    const struct ir_tensor y = run_output(r, out, i);
    const struct ir_type *t = y.type;
    if (r->o->steps && r->out[i].kept)
      continue;
    bool text = t->dtype == IR_CHAR && t->rank && ir_type_count(t);
    int64_t size = text ? t->dim[t->rank - 1] : ir_dtypes[t->dtype].bytes;
    int64_t n = text ? ir_type_count(t) / size : ir_type_count(t);
    printf("%s: %s =", dn_shown(r->ctx->arena, r->out[i].name),
           ir_type_text(r->ctx, NULL, t));
    for (int64_t k = 0; k < n && k < MOST; k++)
      print_element(r, t, (const char *)y.data + k * size, (size_t)size);
    puts(n > MOST ? " ..." : "");
  }
}

/* ---- Steps ---- */

/* State stays in place for the next step; only the input advances by its new
 * rows. */
static void go_on(struct run *r, struct ir_tensor *in,
                  const struct ir_tensor *out, int64_t step) {
  for (size_t i = 0; i < r->nin; i++) {
    size_t n = (size_t)ir_type_bytes(in[i].type);
    if (r->in[i].kept)
      memcpy(in[i].data, out[r->in[i].kept - 1].data, n);
    else if (r->in[i].rows)
      in[i].data = (char *)in[i].data + n;
    else if (r->o->random >= 0 && !spec_of(r, i))
      ir_random(&in[i], (uint64_t)(r->o->random + step) * 1000 + i);
  }
}

/* The type of as many tensors as there are steps, stacked; NULL after a
 * diagnostic. */
static const struct ir_type *rows_of(struct run *r, const struct ir_type *t) {
  int64_t dims[IR_MAX_RANK + 1] = {r->o->steps};
  memcpy(dims + 1, t->dim, (size_t)t->rank * sizeof *dims);
  return ir_type_checked(r->ctx, r->path, t->dtype, t->rank + 1, dims);
}

/* Prints what each step makes, or writes all of it in rows, and the last
 * state. */
bool run_steps(struct run *r) {
  struct ir_tensor *in = run_inputs(r);
  struct ir_tensor *out = run_buffers(r, r->out, r->nout), *all = NULL;
  bool ok = in != NULL;
  if (ok && r->o->output_dir)
    all = run_buffers(r, r->out, r->nout);
  for (size_t i = 0; all && i < r->nout; i++) {
    all[i].type = r->out[i].kept ? out[i].type : rows_of(r, out[i].type);
    ok = ok && all[i].type;
    if (ok)
      all[i].data =
          dn_alloc(r->ctx->arena, (size_t)ir_type_bytes(all[i].type) + 1);
  }
  for (int64_t step = 0; ok && step < r->o->steps; step++) {
    ok = run_call(r, in, out);
    for (size_t i = 0; ok && all && i < r->nout; i++) {
      size_t n = (size_t)ir_type_bytes(out[i].type);
      size_t at = r->out[i].kept ? 0 : (size_t)step * n;
      memcpy((char *)all[i].data + at, out[i].data, n);
    }
    if (ok && !all) {
      printf("step %lld\n", (long long)step);
      run_print_outputs(r, out);
    }
    if (!ok || step + 1 == r->o->steps)
      break;
    go_on(r, in, out, step + 1);
    ok = run_next_sizes(r);
  }
  return ok && (!all || run_write_outputs(r, all));
}

/* ---- Comparing ---- */

/* Neighbours in the order of a type. */
static bool are_next(enum ir_dtype t, const char *p, const char *q) {
  uint64_t a = 0, b = 0;
  memcpy(&a, p, ir_dtypes[t].bytes);
  memcpy(&b, q, ir_dtypes[t].bytes);
  return a - b == 1 || b - a == 1;
}

/* The unit in the last place of v. */
static double unit(enum ir_dtype t, double v) {
  const struct ir_float_format *f = ir_float_format(t);
  int digits = f              ? (int)f->fraction
               : t == IR_F64  ? 52
               : t == IR_F32  ? 23
               : t == IR_BF16 ? 7
                              : 0;
  return ldexp(1, ilogb(v) - digits);
}

static bool same_element(enum ir_dtype t, const char *p, const char *q,
                         double rtol, double atol, struct run_diff *d) {
  if (!ir_is_float(t)) {
    int64_t a = ir_load_int(t, p), b = ir_load_int(t, q);
    d->got = ir_load_float(t, p);
    d->want = ir_load_float(t, q);
    d->max_abs = fmax(d->max_abs, fabs(d->got - d->want));
    return a == b;
  }
  double a = d->got = ir_load_float(t, p), b = d->want = ir_load_float(t, q);
  if (a == b || (isnan(a) && isnan(b)))
    return true;
  double diff = fabs(a - b);
  if (isnan(diff) || isinf(diff)) {
    d->max_abs = d->max_rel = (double)INFINITY;
    return false;
  }
  d->max_abs = fmax(d->max_abs, diff);
  if (b != 0)
    d->max_rel = fmax(d->max_rel, diff / fabs(b));
  d->max_ulp =
      fmax(d->max_ulp, diff / unit(t, fmax(fabs(b), d->largest / 1024)));
  return diff <= atol + rtol * fabs(b) || (d->next && are_next(t, p, q));
}

/* The largest element, at least 1: a sum that cancels is as inexact as its
 * terms, which are as large as others that do not. */
static double largest(const struct ir_type *type, const void *data) {
  double most = 1;
  int64_t n = ir_type_count(type);
  for (int64_t i = 0; i < n && ir_is_float(type->dtype); i++) {
    double v = fabs(ir_load_float(
        type->dtype, (const char *)data + i * ir_dtypes[type->dtype].bytes));
    most = isfinite(v) && v > most ? v : most;
  }
  return most;
}

void run_differ(const struct ir_type *type, const void *got, const void *want,
                double rtol, double atol, struct run_diff *d) {
  int64_t n = ir_type_count(type);
  unsigned size = ir_dtypes[type->dtype].bytes;
  double first_got = 0, first_want = 0, most = largest(type, want);
  d->at = -1;
  d->largest = fmax(d->largest, most);
  atol *= most;
  for (int64_t i = 0; i < n; i++) {
    if (!same_element(type->dtype, (const char *)got + i * size,
                      (const char *)want + i * size, rtol, atol, d) &&
        d->at < 0) {
      d->at = i;
      first_got = d->got;
      first_want = d->want;
    }
  }
  d->got = first_got;
  d->want = first_want;
}

void *run_gather(struct dn_arena *arena, const struct ir_type *type,
                 const void *data, const int64_t *stride) {
  int64_t n = ir_type_count(type), index[IR_MAX_RANK] = {0};
  unsigned size = ir_dtypes[type->dtype].bytes;
  char *dense = dn_alloc(arena, (size_t)ir_type_bytes(type));
  for (int64_t i = 0, at = 0; i < n; i++) {
    memcpy(dense + i * size, (const char *)data + at * size, size);
    for (int k = type->rank; k-- > 0;) { /* the next element */
      at += stride[k];
      if (++index[k] < type->dim[k])
        break;
      at -= stride[k] * index[k];
      index[k] = 0;
    }
  }
  return dense;
}
