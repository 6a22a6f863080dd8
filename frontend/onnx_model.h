/* onnx_model.h - the messages of an ONNX file as C structs. Names are interned,
 * data stay in the mapped file: a tensor keeps the bytes of its message, which
 * onnx_tensor.c walks again when its elements are wanted. */
#ifndef FE_ONNX_MODEL_H
#define FE_ONNX_MODEL_H

#include "frontend/onnx_wire.h"
#include "ir/ir.h"

struct onnx_entry { /* StringStringEntryProto */
  const char *key;
  struct wire_span value;
};

struct onnx_tensor {
  const char *name;
  DN_LIST(int64_t) dims;
  int64_t dtype, location;  /* TensorProto.DataType, .DataLocation */
  struct wire_span message; /* the whole TensorProto */
  struct wire_span raw;     /* raw_data */
  bool has_raw;
  bool external, segment;
  unsigned typed; /* bit n: field n (float_data ...) occurs */
  DN_LIST(struct onnx_entry) entries;
};

struct onnx_sparse {
  struct onnx_tensor values, indices; /* a name of values is the tensor's */
  DN_LIST(int64_t) dims;
};

struct onnx_graph;

enum onnx_attr_type {
  ONNX_UNDEFINED,
  ONNX_FLOAT,
  ONNX_INT,
  ONNX_STRING,
  ONNX_TENSOR,
  ONNX_GRAPH,
  ONNX_FLOATS,
  ONNX_INTS,
  ONNX_STRINGS,
  ONNX_TENSORS,
  ONNX_GRAPHS,
  ONNX_SPARSE,
  ONNX_SPARSES,
  ONNX_TYPE,
  ONNX_TYPES
};

struct onnx_attr {
  const char *name;
  const char *ref;  /* the function's attribute that it stands for, or NULL */
  int64_t type;     /* enum onnx_attr_type, or anything */
  unsigned present; /* bit n: value of onnx_attr_type n occurs */
  float f;
  int64_t i;
  struct wire_span s;
  struct onnx_tensor *t;
  struct onnx_sparse *sparse;
  struct onnx_graph *g;
  DN_LIST(double) floats;
  DN_LIST(int64_t) ints;
  DN_LIST(struct wire_span) strings;
};

struct onnx_node {
  const char *name, *op, *domain, *overload;
  DN_LIST(const char *) inputs;
  DN_LIST(const char *) outputs;
  DN_LIST(struct onnx_attr) attrs;
};

struct onnx_dim {
  bool has_value;
  int64_t value;
  const char *param; /* NULL: none */
};

struct onnx_value {
  const char *name;
  const char *kind; /* "tensor", "sequence" ...; NULL: no type */
  bool list;        /* a sequence of tensors, or an optional one */
  int64_t dtype;
  int64_t key; /* the type of a map's keys, 0: it is none */
  bool has_shape;
  DN_LIST(struct onnx_dim) dims;
};

/* SequenceProto or OptionalProto, of tensors: files of test data. */
struct onnx_list {
  DN_LIST(struct onnx_tensor) tensors;
};

struct onnx_graph {
  const char *name;
  DN_LIST(struct onnx_node) nodes;
  DN_LIST(struct onnx_tensor) initializers;
  DN_LIST(struct onnx_value) inputs;
  DN_LIST(struct onnx_value) outputs;
  DN_LIST(struct onnx_sparse) sparse; /* initializers too */
};

struct onnx_opset {
  const char *domain; /* "" is the standard one */
  int64_t version;
};

struct onnx_function {
  const char *name, *domain, *overload;
  DN_LIST(const char *) inputs;
  DN_LIST(const char *) outputs;
  DN_LIST(const char *) attrs;
  DN_LIST(struct onnx_attr) defaults;
  DN_LIST(struct onnx_node) nodes;
  DN_LIST(struct onnx_opset) opsets;
};

struct onnx_model {
  int64_t ir_version;
  const char *producer;
  struct onnx_graph *graph; /* NULL: none */
  DN_LIST(struct onnx_opset) opsets;
  DN_LIST(struct onnx_function) functions;
};

/* NULL after a diagnostic. What it points to lives in the context's arena. */
struct onnx_model *onnx_model_read(struct wire_file *file);
/* One TensorProto: a whole file of it, or an attribute. */
/* false: the message is no sequence or optional, as far as its fields say. */
bool onnx_is_list(struct wire w);
bool onnx_list_read(struct wire w, struct onnx_list *out);
bool onnx_tensor_read(struct wire w, struct onnx_tensor *out);

/* "float16" for 10; a number when it is none. */
const char *onnx_dtype_name(int64_t dtype);
/* The element type of a TensorProto.DataType; false: dnnc has none. The first
 * finds numbers only, the second strings too: char. */
bool onnx_dtype_find(int64_t dtype, enum ir_dtype *out);
bool onnx_element_find(int64_t dtype, enum ir_dtype *out);

/* Strings as char[dims.., width], as wide as the longest; spans[] are as many
 * as dims say. false after a diagnostic: one is no UTF-8 or holds a NUL. */
bool onnx_strings(struct dn_ctx *ctx, struct dn_loc loc,
                  const struct wire_span *spans, int64_t rank,
                  const int64_t *dims, const struct ir_type **type,
                  struct ir_data *data);

/* The elements of a tensor: type and data, borrowed from the file when they lie
 * there aligned and as the host has them. `loc` is where errors are reported.
 */
bool onnx_tensor_data(struct wire_file *file, const struct onnx_tensor *t,
                      struct dn_loc loc, const struct ir_type **type,
                      struct ir_data *data);
/* The same for a sparse tensor, as a dense one. */
bool onnx_sparse_data(struct wire_file *file, const struct onnx_sparse *s,
                      struct dn_loc loc, const struct ir_type **type,
                      struct ir_data *data);

#endif
