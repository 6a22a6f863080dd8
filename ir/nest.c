/* nest.c - compiles an indexed row (formula.h) for an op's shapes and
 * attributes: ranks of groups, then iterators and their extents, then indices
 * with their ranges. MAP rows are compiled in nest_map.c. */
#include "ir/nest.h"

#include "ir/formula.h"
#include "ir/nest_map.h"

#include <assert.h>
#include <string.h>

/* What a letter of the formula stands for. */
struct letter {
  bool used, group;
  int rank;  /* of a group; -1 while unknown; 1 for a plain iterator */
  int first; /* number of its first iterator */
};

struct build {
  struct dn_arena *arena;
  const struct ir_op *op;
  const struct formula *f;
  struct nest *n;
  struct letter letter[128];
};

/* The row's body is wrong: an internal error. */
static _Noreturn void row_error(const struct build *b, const char *what) {
  dn_fatal(b->op->block->func->module->ctx, ir_loc(b->op), DN_INTERNAL,
           "row of '%s': %s", ir_ops[b->op->code].text, what);
}

static struct letter *letter_of(struct build *b, const struct formula_term *t) {
  assert((unsigned char)t->letter < 128 &&
         "formula.c takes letters and digits of ASCII");
  return &b->letter[(unsigned char)t->letter];
}

static const struct ir_type *operand_type(const struct build *b,
                                          const struct formula_access *a,
                                          int *operand) {
  if (a == &b->f->y)
    return b->n->type;
  int k = 0;
  dn_word(ir_ops[b->op->code].operands, a->operand, strlen(a->operand), &k);
  if (operand)
    *operand = k;
  return ir_arg(b->op, (unsigned)k)->type;
}

static bool attr_is_list(const struct build *b, const char *name) {
  struct ir_attr_spec spec;
  if (!ir_op_attr_spec(b->op->code, name, strlen(name), &spec))
    row_error(b, "an index names no attribute");
  return spec.kind == IR_A_INTS;
}

/* Attribute value at position k of a group, or of a plain iterator. */
static int64_t attr_at(const struct build *b, const char *name, int k) {
  return attr_is_list(b, name) ? ir_get_at(b->op, name, k)
                               : ir_get_int(b->op, name);
}

/* ---- Ranks ---- */

/* The letters of an access, with the ranks that attributes give groups. */
static void note_letters(struct build *b, const struct formula_access *a) {
  for (int i = 0; i < a->n; i++) {
    for (int t = 0; t < a->index[i].nterms; t++) {
      const struct formula_term *term = &a->index[i].term[t];
      if (!term->letter)
        continue;
      struct letter *l = letter_of(b, term);
      if (!l->used)
        *l = (struct letter){true, term->group, term->group ? -1 : 1, -1};
      if (term->group && l->rank < 0 && strlen(term->decl) > 1)
        l->rank = attr_is_list(b, term->decl)
                      ? (int)ir_get_len(b->op, term->decl)
                      : (int)ir_get_int(b->op, term->decl);
    }
  }
}

/* The rank of an index: its groups have one rank; -1 unknown. */
static int index_rank(struct build *b, const struct formula_index *x) {
  if (x->indirect >= 0)
    return 1;
  bool group = false;
  for (int t = 0; t < x->nterms; t++) {
    if (!x->term[t].letter || !x->term[t].group)
      continue;
    group = true;
    if (letter_of(b, &x->term[t])->rank >= 0)
      return letter_of(b, &x->term[t])->rank;
  }
  return group ? -1 : 1;
}

static void set_rank(struct build *b, const struct formula_index *x, int rank) {
  for (int t = 0; t < x->nterms; t++)
    if (x->term[t].letter && x->term[t].group)
      letter_of(b, &x->term[t])->rank = rank;
}

/* One unknown group in an access follows from the operand's rank. */
static void solve_rank(struct build *b, const struct formula_access *a) {
  if (a->flat)
    return;
  int known = 0;
  const struct formula_index *open = NULL;
  for (int i = 0; i < a->n; i++) {
    const struct formula_index *x = &a->index[i];
    int r = index_rank(b, x);
    if (r >= 0) {
      known += r;
      set_rank(b, x, r);
    } else if (open || x->broadcast) {
      return;
    } else {
      open = x;
    }
  }
  if (open)
    set_rank(b, open, operand_type(b, a, NULL)->rank - known);
}

static void solve_ranks(struct build *b) {
  for (int k = 0; k < b->f->naccesses; k++)
    note_letters(b, &b->f->access[k]);
  note_letters(b, &b->f->y);
  for (int round = 0; round < 3; round++) {
    solve_rank(b, &b->f->y);
    for (int k = 0; k < b->f->naccesses; k++)
      solve_rank(b, &b->f->access[k]);
  }
}

/* ---- Iterators ---- */

static void add_iters(struct build *b, const struct formula_access *a) {
  for (int i = 0; i < a->n; i++) {
    for (int t = 0; t < a->index[i].nterms; t++) {
      const struct formula_term *term = &a->index[i].term[t];
      if (!term->letter || letter_of(b, term)->first >= 0)
        continue;
      struct letter *l = letter_of(b, term);
      l->first = b->n->niters;
      for (int k = 0; k < l->rank; k++) {
        if (b->n->niters == NEST_MAX_ITERS)
          row_error(b, "too many iterators");
        struct nest_iter *it = &b->n->iter[b->n->niters++];
        it->extent = -1;
        it->reduced = a != &b->f->y;
        it->name[0] = term->letter;
        if (l->group)
          it->name[1] = (char)('0' + k);
      }
    }
  }
}

/* An index that is one iterator as it is. */
static bool is_plain(const struct formula_index *x) {
  return x->nterms == 1 && x->term[0].letter && !x->term[0].attr[0] &&
         !x->broadcast && !x->div[0] && x->fit == NEST_AS_IS &&
         x->indirect < 0 && !x->drop[0];
}

static void set_extent(struct build *b, int iter, int64_t extent,
                       const struct ir_size *size) {
  assert(iter >= 0 && iter < b->n->niters &&
         "add_iters() has numbered each letter's iterators");
  if (b->n->iter[iter].extent < 0) {
    b->n->iter[iter].extent = extent;
    b->n->iter[iter].size = size;
  }
}

/* g#o over a dim: extent(o) = dim / extent(g). */
static void composite_extent(struct build *b, const struct formula_index *x,
                             int64_t dim) {
  int g = letter_of(b, &x->term[0])->first;
  int o = letter_of(b, &x->term[1])->first;
  if (b->n->iter[g].extent > 0)
    set_extent(b, o, dim / b->n->iter[g].extent, NULL);
}

/* The dimension of an operand of `rank` dims that its index `i` stands at, at
 * position `at` of a group. Indices align to the right, so that a broadcast
 * group may have positions without a dimension: -1. */
static int dim_of(struct build *b, const struct formula_access *a, int rank,
                  int i, int at) {
  int d = rank - index_rank(b, &a->index[i]) + at;
  for (int k = i + 1; k < a->n; k++)
    d -= index_rank(b, &a->index[k]);
  if (d < 0 && !a->index[i].broadcast)
    row_error(b, "an operand has fewer dimensions than its indices");
  assert(d < rank && "the groups' ranks sum to the operand's: solve_rank()");
  return d < 0 ? -1 : d;
}

static void find_extents(struct build *b, const struct formula_access *a) {
  if (a->flat || a->variadic)
    return;
  const struct ir_type *type = operand_type(b, a, NULL);
  for (int i = 0; i < a->n; i++) {
    const struct formula_index *x = &a->index[i];
    for (int k = 0; k < index_rank(b, x); k++) {
      int d = dim_of(b, a, type->rank, i, k);
      if (x->composite)
        composite_extent(b, x, type->dim[d]);
      else if (is_plain(x))
        set_extent(b,
                   letter_of(b, &x->term[0])->first +
                       (x->perm[0] ? (int)ir_get_at(b->op, x->perm, k) : k),
                   type->dim[d], type->size[d]);
    }
  }
}

/* Extents that the formula declares by an attribute or another letter. */
static void declared_extents(struct build *b, const struct formula_access *a,
                             bool letters) {
  for (int i = 0; i < a->n; i++) {
    for (int t = 0; t < a->index[i].nterms; t++) {
      const struct formula_term *term = &a->index[i].term[t];
      bool other = strlen(term->decl) == 1;
      if (!term->decl[0] || other != letters)
        continue;
      const struct letter *l = letter_of(b, term);
      if (other) {
        const struct letter *like = &b->letter[(unsigned char)term->decl[0]];
        set_extent(b, l->first, b->n->iter[like->first].extent,
                   b->n->iter[like->first].size);
      } else if (!l->group || attr_is_list(b, term->decl)) {
        for (int k = 0; k < l->rank; k++)
          set_extent(b, l->first + k, attr_at(b, term->decl, k), NULL);
      }
    }
  }
}

static void solve_extents(struct build *b) {
  const struct formula *f = b->f;
  for (int pass = 0; pass < 3; pass++) {
    for (int k = -1; k < f->naccesses; k++) {
      const struct formula_access *a = k < 0 ? &f->y : &f->access[k];
      declared_extents(b, a, pass == 2);
      find_extents(b, a);
    }
  }
  for (int i = 0; i < b->n->niters; i++)
    if (b->n->iter[i].extent < 0)
      row_error(b, "nothing fixes the extent of an iterator");
}

/* ---- The result ---- */

static void add_result_dim(struct build *b, const struct formula_index *x,
                           int k, struct nest_dim *dim) {
  assert((x->indirect >= 0 || x->nterms > 0) &&
         "an index of y is read or a sum: formula.c");
  int first = letter_of(b, &x->term[0])->first;
  if (x->indirect >= 0) { /* where it goes is read */
    b->n->to = x->indirect;
    return;
  }
  if (x->composite) {
    int o = letter_of(b, &x->term[1])->first;
    dim->n = 2;
    dim->iter[0] = first;
    dim->stride[0] = dn_max(b->n->iter[o].extent, 1); /* divides: never 0 */
    dim->iter[1] = o;
    dim->stride[1] = 1;
    return;
  }
  int at = x->perm[0] ? (int)ir_get_at(b->op, x->perm, k) : k;
  if (x->drop[0]) {
    for (int64_t i = 0; i < ir_get_len(b->op, x->drop); i++) {
      if (ir_get_at(b->op, x->drop, i) != k)
        continue;
      b->n->iter[first + k].reduced = true;
      return; /* size 1: no iterator */
    }
  }
  dim->n = 1;
  dim->iter[0] = first + at;
  dim->stride[0] = 1;
}

static void build_result(struct build *b) {
  const struct formula_access *y = &b->f->y;
  if (y->flat) { /* one iterator a dimension, whatever they are */
    for (int d = 0; d < b->n->type->rank; d++) {
      assert(b->n->niters < NEST_MAX_ITERS &&
             "one a dimension: IR_MAX_RANK is less");
      struct nest_iter *it = &b->n->iter[b->n->niters];
      it->extent = b->n->type->dim[d];
      it->size = b->n->type->size[d];
      it->name[0] = 'i';
      it->name[1] = (char)('0' + d);
      b->n->y[d] = (struct nest_dim){1, {b->n->niters++}, {1}};
    }
    return;
  }
  for (int i = 0, d = 0; i < y->n; i++) {
    int rank = index_rank(b, &y->index[i]);
    for (int k = 0; k < rank; k++)
      add_result_dim(b, &y->index[i], k, &b->n->y[d++]);
  }
}

/* ---- Indices ---- */

/* Whether an index that stays within the bounds is outside of its dimension at
 * some value of the one parameter that both depend on. */
static bool leaves_at(const struct nest *n, const struct nest_index *x,
                      int64_t dim, const struct ir_size *size,
                      const struct ir_point *at) {
  int64_t hi = x->base;
  for (int i = 0; i < n->niters; i++) {
    const struct nest_iter *it = &n->iter[i];
    int64_t extent = it->size ? ir_size_at(it->size, at) : it->extent;
    if (x->coef[i] && extent < 1)
      return false;
    hi += dn_max(x->coef[i], 0) * (extent - 1);
  }
  return dn_div_floor(hi, x->div) >= (size ? ir_size_at(size, at) : dim);
}

static bool may_leave(const struct nest *n, const struct nest_index *x,
                      int64_t dim, const struct ir_size *size) {
  enum { MOST = 1 << 16 };
  struct ir_type t = {.rank = 1, .dim = {dim}, .size = {size}};
  struct ir_point at = {0};
  bool sized = size != NULL, own = !x->base && x->div == 1, most = !size;
  ir_point_add(&at, &t);
  for (int i = 0; i < n->niters; i++) {
    t.size[0] = n->iter[i].size;
    sized |= x->coef[i] && t.size[0];
    most &= !x->coef[i] || !t.size[0] ||
            (x->coef[i] > 0 && ir_size_rises(t.size[0]));
    own &= !x->coef[i] || (x->coef[i] == 1 && n->iter[i].size == size);
    if (x->coef[i] && !ir_point_add(&at, &t))
      return true;
  }
  if (!sized || own || most) /* it is furthest at the bounds */
    return false;
  if (at.n != 1 || at.param[0]->bound > MOST)
    return true;
  for (at.value[0] = dn_min(at.param[0]->least, 1);
       at.value[0] <= at.param[0]->bound; at.value[0]++)
    if (leaves_at(n, x, dim, size, &at))
      return true;
  return false;
}

void nest_index_range(const struct nest *n, struct nest_index *x, int64_t dim,
                      const struct ir_size *size) {
  assert(x->div >= 1 && "steps are 1 or more: infer_pad()");
  x->lo = x->hi = x->base;
  for (int i = 0; i < n->niters; i++) {
    int64_t span = x->coef[i] * (dn_max(n->iter[i].extent, 1) - 1);
    *(span < 0 ? &x->lo : &x->hi) += span;
  }
  x->lo = dn_div_floor(x->lo, x->div);
  x->hi = dn_div_floor(x->hi, x->div);
  x->checked = x->fit == NEST_AS_IS && x->indirect < 0 &&
               (x->lo < 0 || x->hi >= dim || (x->exact && x->div > 1) ||
                may_leave(n, x, dim, size));
}

static void add_term(struct build *b, const struct formula_term *t, int k,
                     struct nest_index *out) {
  assert(k >= 0 && "the position in a group");
  int64_t v = t->attr[0] ? attr_at(b, t->attr, k) : 1;
  if (t->minus)
    v = -v;
  if (!t->letter)
    out->base += v;
  else
    out->coef[letter_of(b, t)->first + (t->group ? k : 0)] += v;
}

/* `at` is the position in the group. */
static void build_index(struct build *b, const struct formula_index *x, int at,
                        int64_t dim, const struct ir_size *size,
                        struct nest_index *out) {
  out->div = x->div[0] ? attr_at(b, x->div, at) : 1;
  out->exact = x->div[0] != 0;
  out->fit = x->fit;
  out->indirect = x->indirect;
  if (x->composite) {
    int o = letter_of(b, &x->term[1])->first;
    out->coef[letter_of(b, &x->term[0])->first] = b->n->iter[o].extent;
    out->coef[o] = 1;
  } else if (x->indirect < 0 && !(x->broadcast && dim == 1)) {
    for (int t = 0; t < x->nterms; t++)
      add_term(b, &x->term[t], at, out);
  }
  nest_index_range(b->n, out, dim, size);
  if (out->fit != NEST_AS_IS && out->lo >= 0 && out->hi < dim && !size)
    out->fit = NEST_AS_IS; /* never leaves: a plain index */
}

static void build_pieces(struct build *b, struct nest_access *a) {
  int64_t *start = DN_ARRAY(b->arena, int64_t, b->op->noperands + 1);
  a->axis = (int)ir_get_int(b->op, "axis");
  a->npieces = (int)b->op->noperands;
  assert(a->axis >= 0 && a->axis < b->n->type->rank &&
         "infer_concat() checks the axis");
  for (unsigned i = 0; i < b->op->noperands; i++)
    start[i + 1] = start[i] + ir_arg(b->op, i)->type->dim[a->axis];
  assert(start[a->npieces] == b->n->type->dim[a->axis] &&
         "infer_concat() sums the pieces");
  a->start = start;
}

static void build_access(struct build *b, const struct formula_access *a,
                         struct nest_access *out) {
  const struct ir_type *type = operand_type(b, a, &out->operand);
  assert(out->operand >= 0 && (unsigned)out->operand < b->op->noperands &&
         "accesses are to operands: nest_check_row()");
  out->npieces = 1;
  if (a->variadic)
    build_pieces(b, out);
  out->flat = a->flat;
  out->rank = type->rank;
  out->idx = DN_ARRAY(b->arena, struct nest_index, type->rank);
  if (a->flat)
    return;
  int indexed = 0;
  for (int i = 0; i < a->n; i++) {
    const struct formula_index *x = &a->index[i];
    for (int at = 0; at < index_rank(b, x); at++) {
      int d = dim_of(b, a, type->rank, i, at);
      if (d < 0)
        continue;
      build_index(b, x, at, type->dim[d], type->size[d], &out->idx[d]);
      if (a->variadic)
        out->idx[d].checked = false;
      indexed++;
    }
  }
  if (indexed != type->rank)
    row_error(b, "an operand has more dimensions than its indices");
}

/* ---- Body ---- */

/* The one call is a product. */
static void add_node(struct nest *n, enum nest_node_kind kind, int a, int b) {
  assert(n->nnodes < NEST_MAX_NODES && "a formula has two factors: formula.h");
  n->node[n->nnodes++] = (struct nest_node){
      .kind = kind, .type = n->acc_type, .fn = IR_S_MUL, .arg = {a, b}};
}

static void build_body(struct build *b) {
  struct nest *n = b->n;
  if (b->f->iter_of[0]) {
    int64_t axis = ir_get_int(b->op, b->f->iter_of);
    assert(axis >= 0 && axis < n->type->rank && "infer_iota() checks the axis");
    add_node(n, NEST_ITER, n->y[axis].iter[0], 0);
    return;
  }
  for (int k = 0; k < b->f->nfactors; k++)
    add_node(n, NEST_ACCESS, b->f->first + k, 0);
  if (b->f->nfactors == 2)
    add_node(n, NEST_CALL, 0, 1);
}

/* For an order (top-k): the result dimension that the operand lacks. */
static void find_places(struct build *b) {
  struct nest *n = b->n;
  n->back = !ir_get_int(n->op, b->f->largest);
  for (int d = 0; d < n->type->rank; d++) {
    bool read = false;
    for (int k = 0; k < n->access[0].rank; k++)
      read |= n->access[0].idx[k].coef[n->y[d].iter[0]] != 0;
    if (!read)
      n->carried = d;
  }
}

static void build_indexed(struct build *b) {
  solve_ranks(b);
  if (b->f->fold == NEST_NTH || *nest_folds[b->f->fold].finish)
    b->n->acc_type = operand_type(b, &b->f->access[0], NULL)->dtype;
  add_iters(b, &b->f->y);
  for (int k = 0; k < b->f->naccesses; k++)
    add_iters(b, &b->f->access[k]);
  solve_extents(b);
  build_result(b);
  b->n->fold = b->f->fold;
  const char *error = nest_build_fold(b->arena, b->n);
  if (error)
    row_error(b, error);
  b->n->outside = b->f->outside[0] ? ir_get_float(b->op, b->f->outside)
                                   : b->n->state[0].identity;
  b->n->naccesses = b->f->naccesses;
  for (int k = 0; k < b->f->naccesses; k++)
    build_access(b, &b->f->access[k], &b->n->access[k]);
  build_body(b);
  if (b->n->fold == NEST_NTH)
    find_places(b);
  else
    nest_find_carried(b->n);
}

struct nest *nest_build(struct dn_arena *arena, const struct ir_op *op) {
  assert(op->nresults == 1 && ir_ops[op->code].cls != IR_REGION &&
         "ops with regions have no row to compile: the caller");
  struct dn_ctx *ctx = op->block->func->module->ctx;
  const struct ir_op_row *row = &ir_ops[op->code];
  struct nest *n = DN_NEW(arena, struct nest);
  n->op = op;
  n->type = ir_result(op)->type;
  n->acc_type = n->type->dtype;
  n->to = n->carried = n->behind = -1;
  const char *error;
  if (row->cls == IR_MAP) {
    error = nest_build_map(arena, op, n);
  } else {
    struct formula f;
    struct build b = {.arena = arena, .op = op, .f = &f, .n = n};
    for (int i = 0; i < 128; i++)
      b.letter[i].first = -1;
    error =
        row->body[0] == '@'
            ? formula_from_equation(arena, ir_get_str(op, row->body + 1), &f)
            : formula_parse(arena, row->body, &f);
    if (!error)
      build_indexed(&b);
  }
  if (error)
    dn_fatal(ctx, ir_loc(op), DN_INTERNAL, "row of '%s': %s", row->text, error);
  return n;
}
