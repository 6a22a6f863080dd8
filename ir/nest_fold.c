/* nest_fold.c - rows of folds.def compiled for the type of the elements; and
 * which folds run on from one index of the result to the next. */
#include "ir/nest_map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const struct nest_fold_row nest_folds[NEST_NUM_FOLDS] = {
#define FOLD(ID, text, state, step, merge, finish, meaning)                    \
  {text, state, step, merge, finish},
#include "ir/folds.def"
#undef FOLD
};

enum { MAX_NAMES = 12 };
struct name {
  char text[12];
  int var;  /* of a state, x and k; or -1: */
  int node; /* of what was computed under the name */
};

struct nest_names {
  const struct nest *n;
  int count;
  struct name name[MAX_NAMES];
};

/* Copies a name up to the next separator; false if it is empty or too long. */
static bool take_name(const char **s, char out[12]) {
  *s += strspn(*s, " ");
  size_t n = strcspn(*s, " :=;()");
  if (!n || n >= 12)
    return false;
  memcpy(out, *s, n);
  out[n] = 0;
  *s += n + strspn(*s + n, " ");
  return true;
}

static bool add_name(struct nest_names *names, const char *text, int var,
                     int node) {
  if (names->count == MAX_NAMES)
    return false;
  struct name *name = &names->name[names->count++];
  assert(strlen(text) < sizeof name->text && "take_name() refuses longer ones");
  *name = (struct name){.var = var, .node = node};
  memcpy(name->text, text, strlen(text) + 1);
  return true;
}

static struct nest_node variable(const struct nest *n, int var) {
  assert(var >= 0 && var < NEST_NUM_VARS &&
         "names stand for variables: nest_build_fold()");
  struct nest_node node = {.kind = NEST_ACCESS, .type = n->acc_type};
  node.arg[0] = var;
  if (var == NEST_VAR_K)
    node.type = IR_I32;
  else if (var < NEST_VAR_X)
    node.type = n->state[var % NEST_MAX_STATES].type;
  return node;
}

/* A name with a prime is of the second state. */
static int parse_name(struct nest_expr *p, const char *s, size_t len) {
  assert(len > 0 && "nest_parse_expr() refuses an empty name");
  const struct nest_names *names = p->names;
  bool other = s[len - 1] == '\'';
  for (int i = names->count; i-- > 0;) {
    const struct name *name = &names->name[i];
    if (strlen(name->text) != len - other ||
        memcmp(name->text, s, len - other) != 0 ||
        (other && (name->var < 0 || name->var >= names->n->nstates)))
      continue;
    if (name->var < 0)
      return name->node;
    return nest_put_node(
        p, variable(names->n, name->var + (other ? NEST_VAR_OTHER : 0)));
  }
  p->error = "a name is no state, x, k or computed before";
  return 0;
}

static const char *parse_states(struct nest *n, struct nest_names *names,
                                const char *s) {
  while (*s) {
    char name[12], type[12];
    struct nest_state *state = &n->state[n->nstates];
    if (n->nstates == NEST_MAX_STATES || !take_name(&s, name))
      return "states are NAME[:TYPE]=VALUE, three at most";
    add_name(names, name, n->nstates++, -1);
    state->type = n->acc_type;
    if (*s == ':' && (s++, !take_name(&s, type) ||
                               !ir_dtype_find(type, &state->type)))
      return "the type of a state is unknown";
    char *end = NULL;
    state->identity = *s == '=' ? strtod(s + 1, &end) : 0;
    if (!end || end == s + 1)
      return "a state has no value";
    s = end + strspn(end, " ");
    if (state->type == IR_BOOL) /* the least is 0, the greatest 1 */
      state->identity = state->identity > 0;
  }
  return NULL;
}

/* "NAME = EXPRESSION; ...", or an expression for state 0. */
static const char *parse_code(struct dn_arena *arena, const struct nest *n,
                              struct nest_names names, const char *s,
                              bool assigns, struct nest_code *out) {
  struct nest_node node[NEST_MAX_NODES];
  struct nest_expr p = {.s = s, .name = parse_name, .names = &names};
  p.node = node;
  for (int i = 0; i < n->nstates; i++)
    out->root[i] = -1;
  do {
    char name[12] = "";
    if (assigns && (!take_name(&p.s, name) || *p.s++ != '='))
      return "code is NAME = EXPRESSION; ...";
    int k = nest_parse_expr(&p), to = 0;
    while (assigns && to < n->nstates && strcmp(names.name[to].text, name) != 0)
      to++;
    if (to < n->nstates)
      out->root[to] = k;
    else if (!add_name(&names, name, -1, k))
      p.error = "too many names";
    p.s += strspn(p.s, " ");
  } while (!p.error && *p.s == ';' && p.s++);
  if (p.error || *p.s)
    return p.error ? p.error : "something follows the code";
  nest_expr_types(&p, n->acc_type, n->acc_type);
  out->nnodes = p.nnodes;
  out->node = dn_copy(arena, node, (size_t)p.nnodes * sizeof *node);
  for (int i = 0; i < n->nstates && assigns; i++)
    if (out->root[i] < 0 ||
        out->node[out->root[i]].type != n->state[i].type)
      return "a state gets no value, or one of another type";
  return NULL;
}

const char *nest_build_fold(struct dn_arena *arena, struct nest *n) {
  assert(n->fold < NEST_NUM_FOLDS && !n->nstates && "a fold is built once");
  const struct nest_fold_row *row = &nest_folds[n->fold];
  struct nest_names names = {.n = n};
  const char *error = parse_states(n, &names, row->state);
  if (error || !n->nstates)
    return error;
  if (n->nstates > 1 && !*row->merge)
    return "a fold with several states has no merge";
  struct nest_names first = names;
  add_name(&names, "x", NEST_VAR_X, -1);
  add_name(&names, "k", NEST_VAR_K, -1);
  error = parse_code(arena, n, names, row->step, true, &n->step);
  names = first;
  if (!*row->merge) /* the second state is the element */
    add_name(&names, "x", NEST_VAR_OTHER, -1);
  if (!error)
    error = parse_code(arena, n, names, *row->merge ? row->merge : row->step,
                       true, &n->merge);
  if (!error)
    error = parse_code(arena, n, first,
                       *row->finish ? row->finish : first.name[0].text, false,
                       &n->finish);
  return error;
}

bool nest_code_uses(const struct nest_code *c, int var) {
  assert(var >= 0 && var < NEST_NUM_VARS &&
         "the caller names a variable of nest.h");
  bool uses = false;
  for (int i = 0; i < c->nnodes; i++)
    uses |= c->node[i].kind == NEST_ACCESS && c->node[i].arg[0] == var;
  return uses;
}

const char *nest_check_fold(struct dn_arena *arena, enum nest_fold fold) {
  struct nest *n = DN_NEW(arena, struct nest);
  n->fold = fold;
  n->acc_type = IR_F32;
  return nest_build_fold(arena, n);
}

/* ---- Running folds ---- */

/* The one reduced iterator with more than one value, or -1. */
static int sole_reduced(const struct nest *n) {
  int sole = -1;
  for (int i = 0; i < n->niters; i++) {
    if (!n->iter[i].reduced || n->iter[i].extent == 1)
      continue;
    if (sole >= 0)
      return -1;
    sole = i;
  }
  return sole;
}

/* The index j - k or j + k plus a constant, k reduced: a window that grows by
 * one element from one j to the next. Returns the result dimension of j, or -1.
 */
static int carried_dim(const struct nest *n, const struct nest_index *x, int k,
                       int64_t dim) {
  assert(k >= 0 && k < n->niters && n->iter[k].reduced &&
         "sole_reduced() found it");
  int j = -1, d = 0;
  for (int i = 0; i < n->niters; i++)
    if (i != k && x->coef[i] && n->iter[i].extent > 1)
      j = j < 0 && x->coef[i] == 1 ? i : n->niters;
  if (j < 0 || j == n->niters || n->iter[j].reduced || !nest_index_is_affine(x))
    return -1;
  int64_t last = n->iter[j].extent - 1, end = n->iter[k].extent;
  bool back = x->coef[k] == 1;
  if (!back && (x->coef[k] != -1 || x->base > 0 || last + x->base - end >= 0))
    return -1;
  if (back && (last + x->base + 1 < dim || x->base + end < dim))
    return -1;
  for (; d < n->type->rank; d++)
    if (n->y[d].n == 1 && n->y[d].iter[0] == j)
      return d;
  return -1;
}

void nest_find_carried(struct nest *n) {
  int k = n->nstates != 1 || n->naccesses != 1 ? -1 : sole_reduced(n);
  struct nest_access *a = &n->access[0];
  const struct ir_type *type =
      k < 0 ? NULL : ir_arg(n->op, (unsigned)a->operand)->type;
  struct nest_index *x = NULL;
  for (int d = 0; k >= 0 && d < a->rank; d++) {
    if (!a->idx[d].coef[k])
      continue;
    if (x)
      return;
    x = &a->idx[d];
  }
  int64_t dim = x ? type->dim[x - a->idx] : 0;
  int carried = x ? carried_dim(n, x, k, dim) : -1;
  if (carried < 0)
    return;
  assert(x && n->fold != NEST_NTH && "orders have find_places()");
  n->carried = carried;
  n->behind = k;
  n->back = x->coef[k] > 0;
  n->iter[k].extent = 1;
  nest_index_range(n, x, dim, type->size[x - a->idx]);
}
