/* onnx_import.h - inside the ONNX importer: the state of an import, the call of
 * one converter, and what converters build with.
 *
 * A node becomes GRAPH ops by its row in onnx_ops.def. The row names a
 * converter, which reads inputs c->in[] and attributes, builds ops at c->b with
 * the functions of build.h, and sets c->out[]. It returns false after a
 * diagnostic. */
#ifndef FE_ONNX_IMPORT_H
#define FE_ONNX_IMPORT_H

#include "frontend/build.h"
#include "frontend/onnx_model.h"

/* Names that nodes may read. A subgraph's scope has an outer one. */
struct ox_scope {
  struct dn_map values;
  struct ox_scope *outer;
};

/* The call of a model-local function, or the main graph. */
struct ox_frame {
  const struct onnx_function *function; /* NULL: the main graph */
  const struct onnx_opset *opsets;
  size_t nopsets;
  const struct onnx_attr *attrs; /* of the call, references resolved */
  size_t nattrs;
  const char *prefix; /* of node names: "call/" */
};

/* The newest opset whose changes onnx_ops.def has. */
#define NEWEST_OPSET 28

struct ox_count;

/* A sequence or an optional: what names it is `as`, which no op may read. A map
 * is its keys and its values. */
struct ox_sequence {
  struct ir_value as;
  bool optional, map;
  size_t n;
  struct ir_value **v;
};

struct onnx_import {
  struct dn_ctx *ctx;
  struct wire_file *file;
  const struct onnx_model *model;
  const struct fe_opts *opts;
  struct ir_module *m;
  struct fe_build b;
  struct ox_scope *scope;
  const struct ox_frame *frame;
  struct dn_map functions; /* by function_key() of onnx_function.c */
  struct dn_map visited;   /* what errors were looked for in */
  struct dn_map symbols;   /* dims so far, by name: see fe_bind_dim() */
  struct dn_map sequences; /* ir_value to its ox_sequence */
  struct dn_map dims;      /* ir_value to what of it counts, at run time */
  struct dn_map evaluated; /* ir_value to its constant, or to &failed */
  DN_LIST(const struct ox_count *) made; /* sizes that values decide */
  DN_LIST(struct ir_value *) known; /* constants for parameters, or NULL */
  int64_t unrolled;                 /* nodes that loops were unrolled to */
  bool guessed_opset;               /* after a warning */
  struct ir_value failed, absent;
};

/* A new sequence of n, whose entries are to be set, or an optional. */
struct ox_sequence *ox_sequence_new(struct onnx_import *im, size_t n,
                                    bool optional);

struct onnx_call;
typedef bool onnx_convert(struct onnx_call *c);

/* What a row takes besides tensors of numbers: see onnx_ops.def. */
enum {
  SEQUENCES = 1,
  STRINGS = 2,
  MOVES = 4,
  MOVES_2 = 8,
  MOVES_ALL = 16,
  COUNTS = 32
};

struct onnx_row {
  const char *op; /* "Conv", or with its domain, "com.microsoft.Gelu" */
  int since, until;
  int min_in, max_in; /* -1: any number */
  int max_out;
  onnx_convert *convert;
  int arg;
  unsigned takes;
  const char *attrs;
};

struct onnx_call {
  struct onnx_import *im;
  struct fe_build *b; /* of the import, at this node */
  const struct onnx_node *node;
  const struct onnx_row *row;
  const struct ox_frame *frame;
  int version;          /* of the node's domain */
  int arg;              /* of the row */
  size_t nin;           /* trailing absent inputs left out */
  struct ir_value **in; /* NULL: absent */
  size_t nout;
  struct ir_value **out; /* NULL: not made */
  unsigned first_id;     /* values from here on were made by this call */
};

/* An error at the node, of code DN_<code>; false, or NULL, for `return`. */
#define ox_fail(c, code, ...) fe_fail((c)->b, DN_##code, __VA_ARGS__)
#define ox_null(c, code, ...) fe_null((c)->b, DN_##code, __VA_ARGS__)
#define ox_text(c, text) fe_text((c)->im->ctx, text)

/* ---- The import (onnx_import.c, onnx_graph.c) ---- */
/* What a node is called in messages and locations. */
const char *ox_label(struct onnx_import *im, const struct onnx_node *n);
const struct onnx_row *onnx_row_find(const char *domain, const char *op,
                                     int version, bool *known);
/* Values of names: NULL when nothing made it; &im->failed after an error;
 * &im->absent for a function's input that its call leaves out. */
struct ir_value *ox_lookup(const struct onnx_import *im, const char *name);
bool ox_bind(struct onnx_import *im, struct dn_loc loc, const char *name,
             struct ir_value *v);
/* Imports initializers and nodes into the scope. */
void ox_import_body(struct onnx_import *im, const struct onnx_graph *g);
void ox_import_nodes(struct onnx_import *im, const struct onnx_node *nodes,
                     size_t n);
/* The order to import nodes[] in (onnx_order.c); `node` NULL: as they are. A
 * node where a cycle closes is marked, after a diagnostic. */
struct ox_order {
  size_t *node;
  bool *cyclic; /* by place in nodes[] */
};
struct ox_order ox_sort_nodes(struct onnx_import *im,
                              const struct onnx_node *nodes, size_t n);
/* A subgraph attribute with `n` inputs, inlined; its outputs in out[]. */
bool ox_inline_graph(struct onnx_call *c, const struct onnx_graph *g,
                     struct ir_value *const *in, size_t n,
                     struct ir_value **out, size_t nout);
/* A graph that is never run: nothing is wrong with what is in it. */
void ox_skip_graph(struct onnx_import *im, const struct onnx_graph *g);
/* Functions (onnx_function.c). */
void ox_index_functions(struct onnx_import *im);
const struct onnx_function *ox_find_function(struct onnx_import *im,
                                             const struct onnx_node *n);
/* false after a diagnostic: recursion, or too many nodes when inlined. */
bool ox_count_calls(struct onnx_import *im);
/* Of a call at `node`, its attributes aside. */
struct ox_frame ox_frame_of(struct onnx_import *im,
                            const struct onnx_function *f,
                            const struct onnx_node *node);
bool ox_inline_function(struct onnx_call *c, const struct onnx_function *f);
/* The constant that a dense tensor or, without one, a sparse one holds; NULL
 * after a diagnostic. */
struct ir_value *ox_const_new(struct onnx_import *im,
                              const struct onnx_tensor *t,
                              const struct onnx_sparse *s, struct dn_loc loc,
                              const char *name);
bool ox_import_initializer(struct onnx_import *im, const struct onnx_tensor *t,
                           const struct onnx_sparse *s);

/* Sequences (onnx_op_sequence.c): NULL for a tensor. */
struct ox_sequence *ox_sequence_of(const struct onnx_import *im,
                                   const struct ir_value *v);

/* ---- Attributes (onnx_attr.c) ---- */
/* Checks a node's attributes against the row's list. */
bool ox_check_attrs(struct onnx_call *c);
/* The attribute, a function's reference resolved; NULL: absent. */
const struct onnx_attr *ox_attr(const struct onnx_call *c, const char *name);
int64_t ox_int(const struct onnx_call *c, const char *name, int64_t otherwise);
double ox_float(const struct onnx_call *c, const char *name, double otherwise);
const char *ox_str(const struct onnx_call *c, const char *name,
                   const char *otherwise);
/* The kind of an attribute in the row's list; NULL: it has none so named. */
const char *ox_attr_spec(const struct onnx_row *row, const char *name);
/* An int that must be 0 or 1. */
bool ox_flag(struct onnx_call *c, const char *name, bool otherwise, bool *out);

/* An attribute as a constant: a number or text, a vector of them, or a tensor;
 * where it is absent its row's default. NULL: there is none, or after a
 * diagnostic. */
struct ir_value *ox_attr_const(struct onnx_call *c, const char *name);

/* Input k as a constant: it is one, or can be evaluated, given what is known of
 * the model's inputs. NULL after a DN_DYNAMIC diagnostic. */
struct ir_value *ox_const(struct onnx_call *c, size_t k);

/* A list of integers from an attribute or a constant input. */
struct ox_ints {
  bool given;
  int64_t n;
  const int64_t *v;
};
struct ox_ints ox_ints(const struct onnx_call *c, const char *name);
/* Input k as integers: it must be a constant. Absent: not given. */
bool ox_const_ints(struct onnx_call *c, size_t k, struct ox_ints *out);
bool ox_const_floats(struct onnx_call *c, size_t k, int64_t *n,
                     const double **v);
/* Attribute `name`, or input k in newer opsets. */
bool ox_ints_or_input(struct onnx_call *c, const char *name, size_t k,
                      struct ox_ints *out);
/* fe_axis() for a list, without doubles; `mark[i]`: axis i is in it. */
bool ox_axes(struct onnx_call *c, struct ox_ints axes, int64_t rank,
             bool *mark);

/* A dim that the model declares for output k, which has `rank` of them; -1:
 * none, or the output is not the model's. */
int64_t ox_declared(const struct onnx_call *c, size_t k, int64_t rank,
                    int64_t axis);

/* All dims that the model declares for output 0, where input k, which would say
 * them, is not a constant. They are what it says at run time. */
bool ox_declared_dims(const struct onnx_call *c, size_t k,
                      int64_t dims[IR_MAX_RANK], int64_t *rank);

/* The same as a list, of all axes when none are given: *n of them in of[]. */
bool ox_axis_list(struct onnx_call *c, struct ox_ints axes, int64_t rank,
                  int64_t of[IR_MAX_RANK], int64_t *n);

/* `v` as a constant if it can be evaluated, or NULL. */
struct ir_value *ox_evaluate(struct onnx_call *c, struct ir_value *v);

/* Input k; NULL: absent. */
static inline struct ir_value *ox_in(const struct onnx_call *c, size_t k) {
  return k < c->nin ? c->in[k] : NULL;
}
/* Sets the only output; false when it is NULL. */
static inline bool ox_return(struct onnx_call *c, struct ir_value *v) {
  c->out[0] = v;
  return v != NULL;
}

#endif
