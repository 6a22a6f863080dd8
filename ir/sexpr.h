/* sexpr.h - s-expressions of tables: rules.def of the passes and decompose.def
 * of the frontend are written in one language. This is its reader, and the
 * evaluation of expressions over attributes and shapes.
 *
 *   value  x            a value by its name      #x    one that is a constant
 *          0.5 -0 1e-5f  a number; f: rounded to f32
 *          $a           an attribute
 *          (op v .. {attr=expr, ..})   an op of ops.def, or what else the table
 *                                      knows by the name
 *          (cast expr {to=t})          numbers of the type t
 *          (if expr v v)
 *   expr   numbers, $a, 'text', lists [a b ..] of numbers and lists, names of
 *          values as arguments, and the functions below, which work on lists
 *          element by element */
#ifndef IR_SEXPR_H
#define IR_SEXPR_H

#include "ir/ir.h"

/* Elements of a list; operands, and attributes, of an op that is built. */
enum { SEXPR_LIST = 2 * IR_MAX_RANK, SEXPR_ARGS = 12 };

/* Functions of expressions, with the number of their arguments. */
#define SEXPR_FUNCTIONS(X)                                                     \
  X(ADD, "+", 2)                                                               \
  X(SUB, "-", 2)                                                               \
  X(MUL, "*", 2)                                                               \
  X(DIV, "/", 2)                                                               \
  X(MOD, "mod", 2)                                                             \
  X(MIN, "min", 2)                                                             \
  X(MAX, "max", 2)                                                             \
  X(EQ, "eq", 2) /* also of two texts */                                       \
  X(LT, "lt", 2)                                                               \
  X(LE, "le", 2)                                                               \
  X(IF, "if", 3)                                                               \
  X(QUO, "quo", 2) /* a / b, rounded down */                                   \
  X(AT, "at", 2)                   /* (at p q): p[q[i]] */                     \
  X(UNION, "union", 2)             /* elements of both lists, once each */     \
  X(DROP, "drop", 2)               /* (drop p q): p without its elements q */  \
  X(JOIN, "join", 2)               /* one list, or number, after the other */  \
  X(FILL, "fill", 2)               /* (fill n v): n times v */                 \
  X(FROM, "from", 2)               /* (from a n): a, a + 1 .. n - 1 */         \
  X(PROD, "prod", 1)               /* of a list */                             \
  X(SUM, "sum", 1)                 /* of a list */                             \
  X(LEN, "len", 1)                 /* of a list */                             \
  X(SQRT, "sqrt", 1)               /* of a number */                           \
  X(ZIP, "zip", 2)                 /* (zip p q): p[0] q[0] p[1] q[1] .. */     \
  X(PUT, "put", 3)                 /* (put p q v): p with v at indices q */    \
  X(INSERT, "insert", 3)           /* (insert p q n): p with n's put in, which \
                                      are then at indices q */                 \
  X(STRIDES, "strides", 1)         /* of a list of dims, in row-major order */ \
  X(GIVEN, "given", 1)             /* a value or $a is there */                \
  X(DIMS, "dims", 1)               /* of a value */                            \
  X(RANK, "rank", 1)               /* of a value */                            \
  X(TYPE, "type", 1)               /* of a value: its element type's name */   \
  X(IS_FLOAT, "is_float", 1)       /* of a value */                            \
  X(INDEX, "index", 1)             /* 0 .. rank of a value - 1 */              \
  X(COUNT, "count", 1)             /* elements of a value */                   \
  X(VALUE, "value", 1)             /* the number that a constant holds */      \
  X(VALUES, "values", 1)           /* the list that a constant holds */        \
  X(POW2, "pow2", 1)               /* a constant holds powers of two, and so   \
                                      do its reciprocals */                    \
  X(LOSSLESS, "lossless", 2)       /* (lossless x $t): element type t holds    \
                                      all of x's, both floats or none */       \
  X(MOVES_UNITS, "moves_units", 2) /* (moves_units x $p): a permutation that   \
                                      keeps the order of dims over 1 */

enum sexpr_fn {
#define X(ID, text, arity) SEXPR_FN_##ID,
  SEXPR_FUNCTIONS(X)
#undef X
      SEXPR_NUM_FNS
};

struct sexpr {
  enum sexpr_kind {
    SEXPR_NUMBER,
    SEXPR_TEXT,
    SEXPR_ATTR,  /* $name */
    SEXPR_NAME,  /* of a value */
    SEXPR_CONST, /* #name */
    SEXPR_FN,    /* an expression of `fn` */
    SEXPR_OP,    /* an op, `code`, of values */
    SEXPR_IF,    /* the second or the third argument, as the first says */
    SEXPR_OTHER  /* what the table knows by `name`; `code` is its to use */
  } kind;
  const char *name; /* interned */
  double number;
  enum sexpr_fn fn;
  int code;
  int nargs, nattrs;
  const struct sexpr **arg;
  struct sexpr_attr {
    const char *name;
    const struct sexpr *expr;
    struct ir_attr_spec spec; /* SEXPR_OP: of the op's row */
  } * attr;
};

/* Reads the rows of one table: a mistake there is an internal error. */
struct sexpr_reader {
  struct dn_ctx *ctx;
  struct dn_arena *arena;
  const char *table, *row; /* for that error: the file and the row */
  const char *at;
  int depth;
  /* Whether the table knows something by call->name, which is no op, and what
   * call->code is then; NULL: nothing. */
  bool (*find)(struct sexpr *call);
};

_Noreturn void sexpr_bad(struct sexpr_reader *r, const char *what);
/* The next character if it is `c`, white space and commas skipped. */
bool sexpr_eat(struct sexpr_reader *r, char c);
bool sexpr_at_end(struct sexpr_reader *r);
const char *sexpr_word(struct sexpr_reader *r);   /* interned */
const char *sexpr_quoted(struct sexpr_reader *r); /* 'text' */
const struct sexpr *sexpr_read_value(struct sexpr_reader *r);
const struct sexpr *sexpr_read_expr(struct sexpr_reader *r);

/* What an expression gives: a number, a list of them, or a text. */
struct sexpr_value {
  int n; /* length of the list, -1: a number */
  double v[SEXPR_LIST];
  const char *s;
};

static inline struct sexpr_value sexpr_number(double v) {
  return (struct sexpr_value){.n = -1, .v = {v}};
}

/* What names stand for. */
struct sexpr_env {
  void *self;
  /* NULL: there is none. */
  struct ir_value *(*value)(void *self, const char *name);
  bool (*attr)(void *self, const char *name, struct sexpr_value *out);
};

/* false when the expression has no value here: an index out of range, a
 * constant that is not uniform. */
bool sexpr_eval(const struct sexpr_env *env, const struct sexpr *e,
                struct sexpr_value *out);
bool sexpr_is_true(const struct sexpr_value *v);

/* An attribute of an op from a value; false when the value does not fit it. A
 * list goes to list[SEXPR_LIST]; `*given` is false for one that is its default
 * throughout. */
bool sexpr_to_attr(const struct sexpr_attr *attr, const struct sexpr_value *v,
                   int64_t *list, struct ir_attr *out, bool *given);

/* Builds values. A NULL value is an absent operand: arithmetic leaves it out,
 * and a number that changes nothing too; a select without condition is its last
 * operand; other ops of an absent operand are absent. */
struct sexpr_builder {
  struct sexpr_env env; /* env.self is handed to these functions as well */
  struct ir_value *(*emit)(void *self, enum ir_opcode code,
                           struct ir_value *const *args, size_t nargs,
                           const struct ir_attr *attrs, size_t nattrs);
  /* A number, or a list of them, beside `like`, an operand of the same op;
   * NULL: beside none. `to`: of this type, or NULL. */
  struct ir_value *(*number)(void *self, const struct ir_value *like,
                             const char *to, const struct sexpr_value *v);
  /* Results of SEXPR_OTHER; sets `failed` when there are none. */
  void (*call)(void *self, const struct sexpr *e, struct ir_value **out,
               size_t nout);
  /* Says that an expression has no value, or none that fits; or NULL. */
  void (*misfit)(void *self, const char *what);
  bool failed; /* NULL is no absent value */
};
struct ir_value *sexpr_build(struct sexpr_builder *b, const struct sexpr *e);
void sexpr_build_args(struct sexpr_builder *b, const struct sexpr *e,
                      struct ir_value *arg[SEXPR_ARGS]);

#endif
