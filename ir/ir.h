/* ir.h - the one IR. A module holds constants and functions; a function is a
 * block of ops in order; an op reads values and makes values (SSA); ops of
 * class REGION hold blocks. Three forms share these structures:
 *
 *   GRAPH    ops on tensors, as imported and simplified
 *   KERNELS  compute ops sit in `kernel` regions, one loop nest each; what is
 *            left outside is a view (reshape, slice, concat ...) or control flow
 *   PLANNED  as KERNELS, in execution order, every value has its place: see the
 *            plan attributes below
 *
 * What a pass records of a value or op is kept in a table of its own,
 * indexed by `id`; IR structures have no per-pass fields. */
#ifndef IR_IR_H
#define IR_IR_H

#include "ir/diag.h"
#include "ir/type.h"

enum ir_class { IR_MAP, IR_CONTRACT, IR_REDUCE, IR_MOVE, IR_REGION };

enum ir_opcode {
#define OP(ID, text, cls, operands, attrs, traits, infer, body, summary)       \
  IR_##ID,
#include "ir/ops.def"
#undef OP
  IR_NUM_OPS
};

enum { IR_PURE = 1, IR_COMMUTES = 2, IR_ONTO = 4 };

/* A row of ops.def with its operand and attribute specs taken apart. */
#define IR_MAX_ATTRS 32
enum ir_attr_kind { IR_A_INT, IR_A_FLOAT, IR_A_STR, IR_A_INTS, IR_A_RECORDS };
struct ir_attr_spec {
  char name[16];
  enum ir_attr_kind kind;
  bool required;
  int64_t i; /* default of an int, or of each element of an int list */
  double f;
};
struct ir_op_row {
  const char *text, *operands, *attrs, *infer, *body, *summary;
  enum ir_class cls;
  unsigned traits;
};
extern const struct ir_op_row ir_ops[IR_NUM_OPS];
bool ir_op_find(const char *text, enum ir_opcode *out);
/* Operand counts an op accepts; *max is -1 for any number. */
void ir_op_arity(enum ir_opcode code, int *min, int *max);
/* The spec of the attribute named by the n bytes at `name`; false: none. */
bool ir_op_attr_spec(enum ir_opcode code, const char *name, size_t n,
                     struct ir_attr_spec *out);
/* Attribute specs of a row, the plan attributes included; returns the count. */
int ir_op_attr_specs(enum ir_opcode code,
                     struct ir_attr_spec out[IR_MAX_ATTRS]);

/* Plan attributes, allowed on every op with a result in PLANNED form:
 *   at=N         byte offset in its space (default 0 when absent)
 *   space="S"    "arena" (the default), or "out0", "out1" ...: the caller's
 *                buffer of that function result
 *   stride=[..]  element strides, when not row-major contiguous
 *   turn=[..]    bytes that it moves on in each turn of the loops around, the
 *                outermost first
 *   places=[{}]  of an op with regions, in place of those: a record a result,
 *                and of a loop's number of the turn and condition; its fields
 *                are at, out (K for space "outK"), stride and turn
 * A view outside kernels has no place of its own unless it has `at` or `space`:
 * its place follows from its operand's by its index map (ir/nest.h). A `concat`
 * outside kernels has a place, and its operands were given places inside it. */
#define IR_PLAN_ATTRS "at:i=0 space:s=arena stride:i*=0 turn:i*=0 places:r="
bool ir_is_plan_attr(const char *name);

struct ir_attr {
  const char *name; /* interned */
  enum ir_attr_kind kind;
  int64_t n; /* length of a list */
  union {
    int64_t i;
    double f;
    const char *s;
    const int64_t *is;
    const struct ir_record *rs;
  };
};

/* An element of a list of records: `[{dims=[0]}, {dims=[1,2], tile=6}]`. Its
 * fields are ints and lists of ints; a rule of the verifier names them. */
struct ir_record {
  unsigned n;
  struct ir_attr *field;
};

struct ir_op;
struct ir_block;

/* One operand slot; the uses of a value form a list. */
struct ir_use {
  struct ir_value *value;
  struct ir_op *op;
  struct ir_use *next, **prev;
};

/* Data of a constant: `bytes` is borrowed (mapped file) or in the module's
 * arena, row-major, host byte order; NULL with `splat` set means every element
 * holds the `splat` bytes. */
struct ir_data {
  const void *bytes;
  int64_t size;     /* bytes in `bytes` */
  uint64_t splat;   /* bit pattern of one element, when bytes == NULL */
  bool shared;      /* the bytes are the caller's */
  const char *file; /* where the bytes come from, for printing; or NULL */
  int64_t offset;
};

struct ir_value {
  const char
      *name; /* interned, without sigil; unique in its function (% or @) */
  const struct ir_type *type;
  struct ir_op *def;        /* NULL for parameters and constants */
  struct ir_block *block;   /* parameters: their block */
  struct ir_data *data;     /* constants */
  struct ir_value *initial; /* of a parameter that is state: a constant; NULL:
                               zeros */
  struct ir_use *uses;
  unsigned index; /* number among the results or parameters */
  unsigned id;    /* dense in the module */
};

struct ir_op {
  enum ir_opcode code;
  const char *loc; /* the model's node name, interned; NULL: none */
  const char
      *model_op; /* the model's operator ("Conv"), for messages; or NULL */
  unsigned line; /* in text IR; 0: none */
  unsigned id;   /* dense in the module */
  unsigned noperands, nresults, nregions, nattrs;
  struct ir_use **operand;
  struct ir_value **result;
  struct ir_block **region;
  struct ir_attr *attr;
  struct ir_block *block; /* NULL while not inserted */
  struct ir_op *prev, *next;
};

/* A straight list of ops; the last is a terminator (return, yield). */
struct ir_block {
  struct ir_func *func;
  struct ir_op *owner; /* the op whose region it is; NULL: function body */
  unsigned nparams;
  struct ir_value **param;
  struct ir_op *first, *last;
};

struct ir_func {
  const char *name;
  struct ir_module *module;
  struct ir_block *body;
  unsigned nresults;        /* of the return */
  const char **result_name; /* the model's output names; NULL entries: none */
  struct dn_map names;      /* of values, in use */
  struct ir_func *next;
};

enum ir_form { IR_GRAPH, IR_KERNELS, IR_PLANNED };
extern const char *const ir_form_names[3];

struct ir_module {
  struct dn_ctx *ctx;
  struct dn_arena *arena; /* owns everything of the module */
  const char *file;       /* source path, for messages */
  const char *name;       /* model name */
  enum ir_form form;
  struct ir_func *funcs; /* the first, `main`, is the entry */
  DN_LIST(struct ir_value *) consts;
  unsigned nvalues, nops; /* ids given out so far */
  struct dn_map names;    /* of constants, in use */
  unsigned fresh;         /* last number given as a name */
  int64_t arena_size;  /* PLANNED: bytes of the arena, printed in the header */
  int64_t arena_bound; /* PLANNED: no plan of these kernels in any order or
                          place needs less; 0: not known */
  int64_t arena_split; /* PLANNED: a second part of the arena begins there, in
                          other memory; 0: it is one */
};

/* ---- Building (ir/build.c) ---- */
struct ir_module *ir_module_new(struct dn_ctx *ctx, const char *file);
void ir_module_free(struct ir_module *m);
struct ir_func *ir_func_new(struct ir_module *m, const char *name);
struct ir_func *ir_main(const struct ir_module *m);

struct ir_value *ir_param_new(struct ir_block *b, const char *name,
                              const struct ir_type *type);
/* Constants are named; a taken or NULL name gets a fresh suffix. */
struct ir_value *ir_const_new(struct ir_module *m, const char *name,
                              const struct ir_type *type,
                              const struct ir_data *data);
/* Constants made from C values, data copied. */
struct ir_value *ir_const_ints(struct ir_module *m, const char *name,
                               enum ir_dtype dtype, int rank,
                               const int64_t *dims, const int64_t *values);
struct ir_value *ir_const_floats(struct ir_module *m, const char *name,
                                 enum ir_dtype dtype, int rank,
                                 const int64_t *dims, const double *values);
struct ir_value *ir_const_splat(struct ir_module *m, const char *name,
                                const struct ir_type *type, double value);
/* Element i of a constant as a double or an int64. */
double ir_const_float(const struct ir_value *c, int64_t i);
int64_t ir_const_int(const struct ir_value *c, int64_t i);
/* The least and the largest element of a constant; false: one is NaN. */
bool ir_const_range(const struct ir_value *c, double *lo, double *hi);
/* The least element of a constant of integers. */
int64_t ir_const_least(const struct ir_value *c);
/* true and *out when every element is the same number. */
bool ir_const_uniform(const struct ir_value *c, double *out);
/* Two constants of one type and the same bits. */
bool ir_const_same(const struct ir_value *a, const struct ir_value *b);
/* Contiguous bytes of a constant; a splat is materialised into `arena`. */
const void *ir_const_bytes(struct dn_arena *arena, const struct ir_value *c);

/* Bytes <-> numbers for one element of a dtype (f16, bf16, bool included). */
double ir_load_float(enum ir_dtype t, const void *p);
int64_t ir_load_int(enum ir_dtype t, const void *p);
void ir_store_float(enum ir_dtype t, void *p, double v); /* rounds to nearest */
void ir_store_int(enum ir_dtype t, void *p, int64_t v);  /* wraps */

static inline struct ir_attr ir_int(const char *name, int64_t v) {
  return (struct ir_attr){.name = name, .kind = IR_A_INT, .i = v};
}
static inline struct ir_attr ir_float(const char *name, double v) {
  return (struct ir_attr){.name = name, .kind = IR_A_FLOAT, .f = v};
}
static inline struct ir_attr ir_str(const char *name, const char *v) {
  return (struct ir_attr){.name = name, .kind = IR_A_STR, .s = v};
}
static inline struct ir_attr ir_ints(const char *name, const int64_t *v,
                                     int64_t n) {
  return (struct ir_attr){.name = name, .kind = IR_A_INTS, .n = n, .is = v};
}
#define IR_ATTRS(...)                                                          \
  ((const struct ir_attr[]){__VA_ARGS__}),                                     \
      (sizeof((const struct ir_attr[]){__VA_ARGS__}) / sizeof(struct ir_attr))
#define IR_ARGS(...)                                                           \
  ((struct ir_value *const[]){__VA_ARGS__}),                                   \
      (sizeof((struct ir_value *const[]){__VA_ARGS__}) /                       \
       sizeof(struct ir_value *))

/* Where new ops go and what they are called. */
struct ir_builder {
  struct ir_module *m;
  struct ir_block *block;
  struct ir_op *before; /* insert before this op; NULL: at the end */
  const char *loc;      /* given to new ops */
  const char *model_op;
  unsigned line;
  const char *const *names; /* of the results of the next ops; NULL: fresh */
};
/* Checks arity and attributes, infers the type, inserts, names the result
 * (fresh unless `name` is free). After a diagnostic: NULL. Operands that are
 * NULL give NULL without one, so that a chain reports its first error only. */
struct ir_value *ir_emit(struct ir_builder *b, enum ir_opcode code,
                         struct ir_value *const *args, size_t nargs,
                         const struct ir_attr *attrs, size_t nattrs);
/* An op with given result types and no inference or checks (regions,
 * terminators, the parser); attributes and lists are copied. */
struct ir_op *ir_op_new(struct ir_builder *b, enum ir_opcode code,
                        struct ir_value *const *args, size_t nargs,
                        const struct ir_attr *attrs, size_t nattrs,
                        const struct ir_type *const *types, size_t ntypes,
                        size_t nregions);
/* Gives an op without results some. */
void ir_results_new(struct ir_builder *b, struct ir_op *op,
                    const struct ir_type *const *types, size_t n);
/* Appends an empty region. */
struct ir_block *ir_region_new(struct ir_op *op);
/* Operand count and attributes against the row: needed before ir_infer(). */
bool ir_op_check(struct dn_ctx *ctx, const struct ir_op *op);
void ir_value_rename(struct ir_module *m, struct ir_value *v, const char *name);

/* ---- Changing ---- */
void ir_set_operand(struct ir_op *op, unsigned i, struct ir_value *v);
void ir_replace_uses(struct ir_value *old, struct ir_value *with);
void ir_op_remove(struct ir_op *op); /* results must have no uses */
void ir_drop_operand(struct ir_op *op, unsigned i);
void ir_drop_result(struct ir_op *op, unsigned i); /* without uses */
void ir_op_move(struct ir_op *op, struct ir_block *block, struct ir_op *before);
struct ir_attr *ir_copy_attrs(struct ir_module *m, const struct ir_attr *attrs,
                              size_t n); /* deep, names interned */
void ir_set_attr(struct ir_op *op, struct ir_attr attr);
void ir_drop_attr(struct ir_op *op, const char *name);
/* Drops constants without uses. */
void ir_sweep_consts(struct ir_module *m);

/* Makes result i of a function that has its return state: it is written to the
 * memory of parameter `v`, for the next call (docs/ir.md). `initial` is its
 * first value; NULL: zeros. */
void ir_state_set(struct ir_func *f, unsigned i, struct ir_value *v,
                  struct ir_value *initial);

/* ---- Asking ---- */
static inline struct ir_value *ir_arg(const struct ir_op *op, unsigned i) {
  return i < op->noperands ? op->operand[i]->value : NULL;
}
static inline struct ir_value *ir_result(const struct ir_op *op) {
  return op->result[0];
}
/* Number of the operand that a use is. */
unsigned ir_operand_number(const struct ir_use *u);
size_t ir_num_uses(const struct ir_value *v);
/* The block that defines a value, by an op or as a parameter. */
static inline struct ir_block *ir_home(const struct ir_value *v) {
  return v->def ? v->def->block : v->block;
}
/* A contraction or a reduction. */
static inline bool ir_is_anchor(const struct ir_op *op) {
  return ir_ops[op->code].cls == IR_CONTRACT ||
         ir_ops[op->code].cls == IR_REDUCE;
}
static inline bool ir_in_kernel(const struct ir_op *op) {
  return op->block->owner && op->block->owner->code == IR_KERNEL;
}

/* ---- Walking: in program order; an op comes before the ops of its regions */
static inline struct ir_op *ir_first(const struct ir_module *m) {
  return m->funcs ? m->funcs->body->first : NULL;
}
/* The op after `op` in all functions and regions; NULL at the module's end. */
struct ir_op *ir_next(const struct ir_op *op);
/* The same without what is in kernels, and of one function: NULL at its end. */
struct ir_op *ir_next_outside(const struct ir_op *op);
/* The same of the ops inside `root`: NULL behind the last. */
struct ir_op *ir_next_inside(const struct ir_op *root, const struct ir_op *op);

/* Attributes fall back on the row's default. */
const struct ir_attr *ir_find_attr(const struct ir_op *op, const char *name);
/* The default of its row, stated. */
bool ir_attr_is_default(const struct ir_attr *a,
                        const struct ir_attr_spec *spec);
/* The bytes of an attribute's value, and how many: equal values, equal
 * bytes. */
const void *ir_attr_bytes(const struct ir_attr *a, size_t *n);
/* The same kind, and the same value. */
bool ir_attr_same(const struct ir_attr *a, const struct ir_attr *b);
int64_t ir_get_int(const struct ir_op *op, const char *name);
double ir_get_float(const struct ir_op *op, const char *name);
const char *ir_get_str(const struct ir_op *op, const char *name);
/* Element k of an int list: the default when the list is absent; the last
 * element stands for none beyond. */
int64_t ir_get_at(const struct ir_op *op, const char *name, int64_t k);
int64_t ir_get_len(const struct ir_op *op, const char *name); /* 0: absent */
struct dn_loc ir_loc(const struct ir_op *op);
/* Of the op that makes it, or by its name. */
struct dn_loc ir_value_loc(const struct ir_module *m, const struct ir_value *v);

/* ---- Type inference (ir/infer.c) ---- */
/* Result type of a single-result op from operands and attributes; a misfit is a
 * DN_TYPE, DN_ATTR or DN_SHAPE error at the op, and NULL. */
const struct ir_type *ir_infer(struct dn_ctx *ctx, const struct ir_op *op);

/* ---- Text (ir/print.c, ir/parse.c) and rules (ir/verify.c) ---- */
struct ir_print_opts {
  bool locs;           /* print loc("...") */
  int64_t const_limit; /* bytes printed as hex; larger ones as `file` or elided
                          by hash: see docs/ir.md. -1: all */
  unsigned *line;      /* gets the line of each op, by its id; or NULL */
};
/* Whether the name of a value says more than its number. */
bool ir_is_named(const struct ir_value *v);
/* What a function's result is called: the model's name for it, or the value's;
 * a number is none, so that the only result is then "output", others "output1".
 */
const char *ir_result_name(const struct ir_func *f, unsigned i);

void ir_print(struct dn_buf *out, const struct ir_module *m,
              const struct ir_print_opts *opts);
/* NULL after diagnostics, which name file, line and column. `dir` is where
 * `file "..."` constants are looked up. */
struct ir_module *ir_parse(struct dn_ctx *ctx, const char *file,
                           const char *text, size_t size, const char *dir);
/* Every broken rule is a diagnostic; true when there is none. */
bool ir_verify(struct ir_module *m);

#endif
