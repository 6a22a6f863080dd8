/* fe.h - model bytes to a GRAPH module. The first bytes decide the format
 * (formats.def), not the file's name. */
#ifndef FE_FE_H
#define FE_FE_H

#include "ir/ir.h"
#include "ir/size.h"

struct ir_tensor;

struct fe_dim {     /* --dim NAME=VALUE */
  const char *name; /* interned */
  int64_t value;
  int64_t bound;     /* the most that it can be, or 0: it is a number */
  struct dn_loc loc; /* the node that makes it */
  const char *of; /* --dim NAME=32*M: a sum of products of others, instead of a
                     value; or NULL */
};
struct fe_names {
  DN_LIST(const char *) list;
};
struct fe_made { /* sizes that values of the model decide, and their bounds */
  DN_LIST(struct fe_dim) list;
};
struct fe_opts {
  const struct fe_dim *dims;
  size_t ndims;
  const struct fe_dim *loops; /* --loop-max NODE=N */
  size_t nloops;
  /* Quantize sums of products by float factors, rounded to even, in place of
   * the model's own arithmetic. */
  bool float_factors;
  const char *const *states; /* --state OUT=IN: an initializer of such an input
                                is its first value */
  size_t nstates;
  /* --value IN=NUMBER: such an input is a constant, and no parameter. */
  const char *const *values;
  size_t nvalues;
  /* Gets the sizes that values decide; NULL: --dim has all. */
  struct fe_made *made;
  struct fe_names *free; /* gets the names of the model's free dims and of those
                            that make them; or NULL */
  struct fe_names *unbound; /* gets those of loops of no known number of turns;
                               or NULL */
  /* Shapes for inputs by position, from test data; NULL entries: as the model
   * says. They bind symbolic dims, and win over a model's fixed ones never. */
  const struct ir_type *const *input_types;
  /* Values for inputs by position, for those that an operator needs at compile
   * time (a shape, axes): the module then holds for these values only. An entry
   * with NULL data: none. NULL: no values. */
  const struct ir_tensor *input_values;
  size_t ninputs; /* entries of both */
  /* How many of these are of input k of the model, which is a sequence or an
   * optional if it is not 1. */
  const int64_t *input_counts;
  size_t ncounts;
  bool *values_used; /* set when the module depends on a value; NULL: no */
  struct ir_choices *choices; /* see ir/size.h; or NULL */
  /* What a dim that nothing binds is, after a note: the first dim of an input
   * and the others. 0: it is an error. For --check, to which a free dim is
   * free: it looks for sizes that the model can have. */
  int64_t free_first, free_size;
};

/* The value of a text like "32*M" or "past + 1", a sum of products of dims that
 * have a value; -1: it is none. */
int64_t fe_dim_of(struct dn_ctx *ctx, const struct fe_opts *opts,
                  const char *text);

/* NULL after diagnostics: everything unsupported is listed, not only the
 * first. The result is verified. */
struct ir_module *fe_import(struct dn_ctx *ctx, const char *path,
                            const struct fe_opts *opts);

/* For importers: the size of the free dim `name`; -1 after a diagnostic, which
 * calls it `what`. The size is that of --dim, else of the input's file
 * (`given`, or -1), else of an earlier binding, else the one assumed for
 * unbound dims (0: none). `bound` is the model's table of such dims. */
int64_t fe_bind_dim(struct dn_ctx *ctx, const struct fe_opts *opts,
                    struct dn_map *bound, struct dn_loc loc, const char *name,
                    const char *what, int64_t given, int64_t taken);

/* For importers: the size `name` that values of the model decide, at most
 * `most`: of --dim, or `most`; -1: it has none. *bound: the most that it can be
 * where it is known at run time only, or 0. */
int64_t fe_made_dim(struct dn_ctx *ctx, const struct fe_opts *opts,
                    struct dn_loc loc, const char *name, int64_t most,
                    int64_t *bound);

/* Tensors in files: ONNX TensorProto (.pb), .npy, by their first bytes. Data
 * are borrowed from the mapped file when they can be. false after a
 * diagnostic. */
bool fe_read_tensor(struct dn_ctx *ctx, const char *path,
                    struct ir_tensor *out);
/* Or a sequence of them, or an optional (ONNX SequenceProto, OptionalProto):
 * all are put behind those in the list. */
struct fe_tensors {
  DN_LIST(struct ir_tensor) list;
};
bool fe_read_tensors(struct dn_ctx *ctx, const char *path,
                     struct fe_tensors *out);
/* A mapped .npy (numpy.lib.format, versions 1 to 3), or the tensor `name` of a
 * .safetensors file; data are borrowed. Malformed ones, big-endian or Fortran
 * order and element types that dnnc does not have are DN_NPY diagnostics. */
bool fe_is_npy(const struct dn_file *f);
bool fe_npy_read(struct dn_ctx *ctx, const struct dn_file *f,
                 struct ir_tensor *out);
bool fe_safetensors_read(struct dn_ctx *ctx, const struct dn_file *f,
                         const char *name, struct ir_tensor *out);
/* Writes .npy (version 1.0). */
bool fe_write_npy(struct dn_ctx *ctx, const char *path,
                  const struct ir_tensor *t);

/* Maps the regular file `path`, named by a model, for reading. It must lie
 * below the folder of the file `beside`, and is reached by a relative path
 * without
 * "..", links, or other ways out: anything else is a DN_EXTERNAL error at loc
 * (frontend/sandbox_open.c). */
bool fe_sandbox_map(struct dn_ctx *ctx, struct dn_loc loc, const char *beside,
                    const char *path, struct dn_file *out);

/* One row a format, in formats.def: FORMAT(name, sniff, import). */
#define FORMAT(NAME, text)                                                     \
  bool fe_##NAME##_sniff(const struct dn_file *f);                             \
  struct ir_module *fe_##NAME##_import(struct dn_ctx *ctx,                     \
                                       const struct dn_file *f,                \
                                       const struct fe_opts *opts);
#include "frontend/formats.def"
#undef FORMAT

#endif
