/* fuse_legal.c - the table in fuse.c's head as code: which ops may join the
 * kernel of their users, by what they are and by how they are read there. */
#include "ir/nest.h"
#include "passes/fuse.h"

#include <assert.h>
#include <string.h>

enum {
  MAX_READS = 56, /* buffers that a kernel reads: what code generation takes */
  RECOMPUTE = 9,  /* times that a window may compute a cheap map again */
  SPANS = 8       /* elements that a map makes of one of its operands */
};

bool fuse_narrows(const struct ir_op *op) {
  return ir_ops[op->code].cls == IR_MAP && op->noperands &&
         ir_dtypes[ir_result(op)->type->dtype].bits <
             ir_dtypes[ir_arg(op, 0)->type->dtype].bits;
}

const struct ir_op *fuse_sum_of(const struct fuse *f, const struct ir_op *op) {
  int dim;
  return ir_is_float(ir_result(op)->type->dtype)
             ? NULL
             : nest_sum_of_parts(f->scratch, op, &dim);
}

/* ---- Legal fusions ---- */

/* A whole row, or one element of it. */
static bool is_of_rows(const struct ir_type *type, const struct ir_op *rows) {
  return ir_same_dims(type, ir_arg(rows, 0)->type) ||
         ir_same_dims(type, ir_result(rows)->type);
}

/* Whether `op` is of the rows of the group, or of its own when that has none,
 * and its users read it within their own row. */
static bool rows_fit(const struct candidate *c) {
  assert(c->g->nstages <= MAX_STAGES && "refused below");
  const struct group *g = c->g;
  const struct ir_op *rows = c->in->rows ? c->in->rows : g->rows;
  if (!rows || !is_of_rows(ir_result(c->op)->type, rows) ||
      g->nstages == MAX_STAGES)
    return false;
  if (g->rows &&
      (!ir_same_dims(ir_arg(g->rows, 0)->type, ir_arg(rows, 0)->type) ||
       !ir_same_dims(ir_result(g->rows)->type, ir_result(rows)->type)))
    return false;
  if (!g->rows && (g->anchor || !is_of_rows(ir_result(g->root)->type, rows)))
    return false;
  for (const struct ir_use *u = ir_result(c->op)->uses; u; u = u->next) {
    const struct info *user = fuse_info(c->f, u->op);
    if (!user->reading.in_row || !(user->role & (MAP | ROWS)) ||
        !is_of_rows(ir_result(u->op)->type, rows))
      return false;
  }
  return true;
}

/* Users of `x` besides c->op: whether some are in the group, or all are. */
static void other_users(const struct candidate *c, const struct ir_value *x,
                        bool *some, bool *all) {
  assert(c->g && "assign_group() has found the group of the users");
  *some = false, *all = true;
  for (const struct ir_use *u = x->uses; u; u = u->next) {
    bool in = u->op == c->op ||
              (u->op->block == c->op->block &&
               fuse_info(c->f, u->op)->group == c->g - c->f->groups.v);
    *some |= in && u->op != c->op;
    *all &= in;
  }
}

/* It reads a row that the group reads, at once or through maps, and so makes no
 * more rows live; or it is the first, of the root's shape. */
static bool row_is_shared(const struct candidate *c) {
  bool some, all;
  if (!rows_fit(c))
    return false;
  if (!c->g->nstages &&
      ir_same_dims(ir_result(c->g->root)->type, ir_result(c->op)->type))
    return true;
  for (const struct ir_value *x = ir_arg(c->op, 0), *row; x; x = row) {
    const struct ir_op *def = x->def;
    other_users(c, x, &some, &all);
    if (some)
      return true;
    if (!def || def->block != c->op->block ||
        !(fuse_info(c->f, def)->role & MAP))
      return false;
    row = NULL; /* the operand that is a row, too */
    for (unsigned i = 0; i < def->noperands && !row; i++)
      if (ir_same_dims(ir_arg(def, i)->type, x->type))
        row = ir_arg(def, i);
  }
  return false;
}

/* The reductions that `op` is made of can join, too. */
static bool reductions_join(const struct candidate *c) {
  bool some, all;
  for (unsigned i = 0; i < c->op->noperands; i++) {
    const struct ir_op *def = ir_arg(c->op, i)->def;
    if (!def || def->block != c->op->block || !fuse_info(c->f, def)->rows)
      continue;
    other_users(c, ir_arg(c->op, i), &some, &all);
    if (!all)
      return false;
  }
  return rows_fit(c);
}

static bool one_stage(const struct candidate *c) {
  bool one = __builtin_popcount(c->r.stages) <= 1;
  return !(c->in->role & ROWS) && (one || c->in->role & CHEAP) &&
         (c->r.stages == 1 || !(c->in->role & FOLLOWS)) && rows_fit(c);
}

static bool first_anchor(const struct candidate *c) {
  return !c->g->anchor && c->r.own;
}

static bool summed_once(const struct candidate *c) {
  return c->g->anchor && c->g->anchor == fuse_sum_of(c->f, c->op) &&
         c->r.evals <= (double)c->in->count;
}

/* An epilogue whose result has few bytes is stored, not recomputed, and does
 * not move into the kernel of another anchor, where it would read a wider
 * value. */
static bool at_most(const struct candidate *c, double times) {
  bool ends = c->r.again || (c->g->anchor && fuse_narrows(c->op));
  return (double)c->r.evals <= times * (double)c->in->count &&
         !(ends && c->in->role & FOLLOWS);
}
/* But for the padding of a copy. */
static bool computed_once(const struct candidate *c) {
  return at_most(c, 1.125);
}
static bool in_windows(const struct candidate *c) {
  return c->r.window && at_most(c, RECOMPUTE);
}

/* Weights of less than a byte, and what they are multiplied by, are never
 * expanded in memory: each tile computes what it reads. */
static bool unpacked(const struct candidate *c) {
  bool all = true;
  for (const struct ir_use *u = ir_result(c->op)->uses; u; u = u->next)
    all &= (fuse_info(c->f, u->op)->role & UNPACKS) != 0;
  return c->in->role & UNPACKS || all;
}

/* A mask of positions, say, computed once for each element of the root. */
static bool spans(const struct candidate *c) {
  double from = 0;
  for (unsigned i = 0; i < c->op->noperands; i++)
    from += (double)ir_type_count(ir_arg(c->op, i)->type);
  return from * SPANS <= c->in->count &&
         c->r.evals <= (double)ir_type_count(ir_result(c->g->root)->type);
}

static const struct fusion {
  unsigned role; /* all of these */
  enum way way;
  bool (*legal)(const struct candidate *c); /* NULL: always */
} fusions[] = {
    {ANCHOR | ROWS, IN_ROW, row_is_shared},
    {MAP | ROWS, IN_ROW, reductions_join},
    {MAP, IN_ROW, one_stage},
    {ANCHOR, OWN_INDEX, first_anchor},
    {ANCHOR, ANY_INDEX, summed_once},
    {MOVE, ANY_INDEX, computed_once},
    {MAP, ANY_INDEX, computed_once},
    {MAP | CHEAP, ANY_INDEX, in_windows},
    {NULLARY, ANY_INDEX, NULL},
    {FIXED | MAP, ANY_INDEX, spans},
    {FIXED | MAP, ANY_INDEX, unpacked},
    {FIXED | MOVE, ANY_INDEX, unpacked},
};

/* Some op goes onto it: it is memory. */
static bool is_gone_onto(const struct fuse *f, const struct ir_op *op) {
  for (const struct ir_use *u = ir_result(op)->uses; u; u = u->next)
    if (fuse_info(f, u->op)->role & ONTO && ir_operand_number(u) == 0)
      return true;
  return false;
}

enum way fuse_way(const struct candidate *c) {
  if (c->in->role & (ONTO | ORDER) ||
      fuse_info(c->f, c->g->root)->role & ORDER || is_gone_onto(c->f, c->op) ||
      c->g->nops >= c->f->max_ops ||
      c->g->nreads - 1 + (int)c->op->noperands > MAX_READS)
    return APART;
  for (size_t i = 0; i < sizeof fusions / sizeof *fusions; i++)
    if ((c->in->role & fusions[i].role) == fusions[i].role &&
        (!fusions[i].legal || fusions[i].legal(c)))
      return fusions[i].way;
  return APART;
}
