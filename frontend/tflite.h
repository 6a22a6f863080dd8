/* tflite.h - inside the TFLite importer: what a model file says, the call of
 * one converter, and what converters build with.
 *
 * An operator becomes GRAPH ops by its row in tflite_ops.def. The row names a
 * converter, which reads inputs c->in[], which are the tensors c->tin[] in the
 * model, and options, and sets c->out[]. Tensors of integers stay integers: the
 * arithmetic is that of TensorFlow Lite Micro's reference kernels, bit for bit
 * (tflite_fixed.c). */
#ifndef FE_TFLITE_H
#define FE_TFLITE_H

#include "frontend/decompose.h"
#include "frontend/flatbuffer.h"

/* ---- The file (tflite_model.c) ---- */
struct tfl_tensor {
  size_t at; /* byte of the file where its table is */
  const char *name;
  int64_t code; /* TensorType of the schema */
  enum ir_dtype dtype;
  bool known; /* dtype is that of the code */
  bool int4;  /* stored two a byte; dtype is i8 */
  bool variable;
  int64_t rank, dim[IR_MAX_RANK];
  size_t buffer; /* number in the model's list */
  /* real = scale * (stored - zero), for all or along `axis`; n = 0: none. */
  size_t n;
  struct fb_vector scales, zeros;
  int64_t axis;
  struct ir_value *value; /* made so far */
  /* Of state: the parameter, and the constant that it is at first. */
  struct ir_value *param, *initial;
  const char *resource; /* of a handle: the name of its variable */
};

struct tfl_graph {
  const char *name;
  size_t ntensors;
  struct tfl_tensor *tensor;
  struct fb_vector inputs, outputs, ops;
  bool open;   /* being imported */
  bool failed; /* it has an error, which was reported */
};

enum { TFL_CUSTOM_OPTIONS = 5 }; /* field of an operator */

struct tfl_call;
struct tfl_row {
  int code; /* BuiltinOperator; -1: a custom operator */
  const char *name;
  int min_in, max_in, max_out; /* -1: any number */
  bool (*convert)(struct tfl_call *c);
  int arg;
  const char *options; /* "name:field kind=default" */
};

struct tfl_code {            /* an operator code of the model */
  const struct tfl_row *row; /* NULL: there is none */
  const char *name;
};

struct tfl_import {
  struct dn_ctx *ctx;
  struct fb_file *file;
  const struct fe_opts *opts;
  struct ir_module *m;
  struct fe_build b;
  struct fb_table model;
  struct fb_vector graphs, buffers;
  struct tfl_graph **graph; /* subgraphs, as they are read */
  int64_t depth, parts;     /* subgraphs around; what they had, with repeats */
  size_t ncodes;
  struct tfl_code *code;
  struct ir_value failed, handle;
  /* Variable tensors and resource variables, `value` the latest; variables by
   * their names, others by where they are in the file and their names. */
  DN_LIST(struct tfl_tensor *) states;
  struct dn_map variables, kept;
  struct dn_map carried; /* struct carried of tflite_op_flow.c, by operator */
  bool first; /* in what runs once, before all: CALL_ONCE */
};

bool tfl_read_codes(struct tfl_import *im);
/* NULL after a diagnostic. */
struct tfl_graph *tfl_read_graph(struct tfl_import *im, size_t number);
/* The bytes of a tensor's data; none: it is no constant. */
struct fb_vector tfl_data(struct tfl_import *im, const struct tfl_tensor *t);
const struct tfl_row *tfl_row_find(int64_t code, const char *custom);
/* What the schema calls an operator, or a type of elements. */
const char *tfl_type_name(int64_t code);
/* "tensor 'NAME'", for a place. */
struct dn_loc tfl_loc(struct tfl_import *im, const char *what,
                      const char *name);

/* ---- A call (tflite_call.c) ---- */
struct tfl_call {
  struct tfl_import *im;
  struct fe_build *b;
  const struct tfl_graph *g;
  const struct tfl_row *row;
  int arg; /* of the row */
  struct fb_table op, options;
  size_t nin; /* trailing absent inputs left out */
  struct ir_value **in;
  struct tfl_tensor **tin; /* NULL: absent */
  size_t nout;
  struct ir_value **out;
  struct tfl_tensor **tout;
};

#define tfl_fail(c, code, ...) fe_fail((c)->b, DN_##code, __VA_ARGS__)
/* The error that input k has a type which the operator has not; false. */
bool tfl_unsupported(const struct tfl_call *c, size_t k);
static inline struct ir_value *tfl_in(const struct tfl_call *c, size_t k) {
  return k < c->nin ? c->in[k] : NULL;
}
/* Sets the only output; false when it is NULL. */
static inline bool tfl_return(struct tfl_call *c, struct ir_value *v) {
  c->out[0] = v;
  return v != NULL;
}
/* Options of the row, by name; floats that are finite, else 0 after a
 * diagnostic. */
int64_t tfl_int(const struct tfl_call *c, const char *name);
double tfl_float(const struct tfl_call *c, const char *name);
const char *tfl_text(const struct tfl_call *c, const char *name);
/* Whether a custom operator's options have one of that name. */
bool tfl_has(const struct tfl_call *c, const char *name);
/* The elements of input k, which must be a constant of integers. */
bool tfl_const_ints(struct tfl_call *c, size_t k, int64_t *n,
                    const int64_t **v);
/* A number in its only element. */
bool tfl_const_int(struct tfl_call *c, size_t k, int64_t *v);
/* Input k with a rank from `lo` to `hi`. */
bool tfl_rank(struct tfl_call *c, size_t k, int lo, int hi);

/* ---- Quantization (tflite_fixed.c) ---- */
static inline bool tfl_is_quantized(const struct tfl_tensor *t) {
  return t->n && ir_is_int(t->dtype);
}
/* Of a tensor with one scale; 1 and 0 where it is not quantized. */
double tfl_scale(const struct tfl_tensor *t);
int64_t tfl_zero(const struct tfl_tensor *t);
/* The tensor has one scale and zero point, and integers of 8 or 16 bits; false
 * after a diagnostic. */
bool tfl_quantized(struct tfl_call *c, const struct tfl_tensor *t);
/* Input k, quantized or not, has the output's scale and zero point; false after
 * a diagnostic. */
bool tfl_same_scale(struct tfl_call *c, size_t k);
/* The output has the scale and zero point that its kernel takes for granted;
 * false after a diagnostic. */
bool tfl_output_is(struct tfl_call *c, double scale, int64_t zero);

/* x times each factor, one for all or one for each of the last dimension;
 * rounded as MultiplyByQuantizedMultiplier() does, i32 from i32 or i64. */
struct ir_value *tfl_rescale(struct tfl_call *c, struct ir_value *x, size_t n,
                             const double *factor);
struct ir_value *tfl_rescale1(struct tfl_call *c, struct ir_value *x,
                              struct ir_factor f);
/* i32 x - zero point of an input. */
struct ir_value *tfl_centred(struct tfl_call *c, size_t k);
/* i32 as integers of the output, within the bounds of an activation
 * (ActivationFunctionType); tfl_narrow(): steps from its zero point. */
struct ir_value *tfl_bounded(struct tfl_call *c, struct ir_value *y,
                             int64_t activation);
struct ir_value *tfl_narrow(struct tfl_call *c, struct ir_value *y,
                            int64_t activation);
/* x times the factors, as tfl_rescale(), from the output's zero point, as its
 * integers. */
struct tfl_factor {
  double by, least, most; /* and the bounds of what it multiplies */
};
struct ir_value *tfl_result(struct tfl_call *c, struct ir_value *x, size_t n,
                            const struct tfl_factor *factor,
                            int64_t activation);
/* Floats within an activation's bounds. */
struct ir_value *tfl_activate(struct tfl_call *c, struct ir_value *y,
                              int64_t activation);
/* (x - zero point) * scale of a tensor, of one scale or one along an axis. */
struct ir_value *tfl_dequantized(struct tfl_call *c, struct ir_value *x,
                                 const struct tfl_tensor *t, enum ir_dtype to);
/* The logistic function or tanh of i32 x * m / 2^shift, rounded, in steps of
 * 1 / (3 * 4096), as 2^15 times it: by TFLite's table for 16 bits. */
struct ir_value *tfl_squash(struct tfl_call *c, struct ir_value *x, bool tanh,
                            int64_t m, int64_t shift);
/* f(x) for an input of 8 bits, by a table: `f` makes of all its integers, i32,
 * what they become. */
struct ir_value *tfl_table(struct tfl_call *c,
                           struct ir_value *(*f)(struct tfl_call *c,
                                                 struct ir_value *x));

/* A tensor like another, of that name, which is kept from one run to the next:
 * its value is a parameter, then what the next run reads. NULL after a
 * diagnostic. */
struct tfl_tensor *tfl_keep(struct tfl_call *c, const struct tfl_tensor *like,
                            const char *name);

/* The type that the model declares; NULL after a diagnostic. */
const struct ir_type *tfl_type_of(struct tfl_import *im,
                                  const struct tfl_tensor *t);

/* Imports a subgraph where the operator stands, its inputs and outputs are
 * values; false after a diagnostic. */
bool tfl_inline(struct tfl_call *c, int64_t number,
                struct ir_value *const *args, size_t nargs,
                struct ir_value **out, size_t nout);

#define TFLITE(code, name, min, max, outs, convert, arg, options)              \
  bool tflite_##convert(struct tfl_call *c);
#include "frontend/tflite_ops.def"
#undef TFLITE

#endif
