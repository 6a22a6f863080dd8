/* eval_fold.c - folds in the interpreter: the states of a row of folds.def over
 * lanes of results, over the lanes of one result, along a dimension of the
 * result, and onto an operand. */
#include "ir/eval_nest.h"

#include <assert.h>
#include <string.h>

/* The next point; false after the last. */
static bool space_next(struct eval_nest *e, const struct eval_space *s) {
  for (int k = s->n; k-- > 0;) {
    if (++e->it[s->iter[k]] < e->nest->iter[s->iter[k]].extent)
      return true;
    e->it[s->iter[k]] = 0;
  }
  return false;
}

/* Code of a fold at n lanes of its variables; acc gets its results, of which
 * there are `count`. */
static void run_code(struct eval_nest *e, const struct nest_code *c,
                     const union eval_lanes *const *var, int count,
                     union eval_lanes *acc, int n) {
  assert(c->nnodes <= NEST_MAX_NODES && count <= NEST_MAX_STATES &&
         "nest_fold.c refuses more");
  const union eval_lanes *value[NEST_MAX_NODES];
  for (int i = 0; i < c->nnodes; i++) {
    const struct nest_node *node = &c->node[i];
    union eval_lanes *to = &e->code[i];
    value[i] = to;
    switch (node->kind) {
    case NEST_ACCESS:
      value[i] = var[node->arg[0]];
      assert(value[i] && "callers set what nest_code_uses()");
      continue;
    case NEST_NUMBER:
      eval_number(node->type, node->number, to, n);
      continue;
    case NEST_CALL: {
      int arity = ir_scalars[node->fn].arity;
      enum ir_dtype from = c->node[node->arg[arity - 1]].type;
      eval_scalar(node->fn, from)(from, node->type, to, value[node->arg[0]],
                                  arity > 1 ? value[node->arg[1]] : NULL,
                                  arity > 2 ? value[node->arg[2]] : NULL, n);
      if (ir_is_int(node->type) && i + 1 < c->nnodes)
        eval_round(node->type, to, n);
      continue;
    }
    case NEST_ITER:
      break;
    }
    assert(!"folds.def has no iterators: nest_fold.c");
  }
  union eval_lanes kept[NEST_MAX_STATES];
  size_t size = (size_t)n * sizeof acc->i[0];
  for (int i = 0; i < count; i++)
    memcpy(&kept[i], value[c->root[i]], size);
  for (int i = 0; i < count; i++)
    memcpy(&acc[i], &kept[i], size);
}

/* acc = fold(acc, root), lane by lane, for the reduced point number k. */
static void fold_lanes(struct eval_nest *e, union eval_lanes *acc, int64_t k,
                       int n) {
  const struct nest *nest = e->nest;
  if (nest->fold == NEST_SUM && ir_is_float(nest->acc_type)) {
    for (int i = 0; i < n; i++)
      acc->f[i] += e->root->f[i];
  } else {
    const union eval_lanes *var[NEST_NUM_VARS] = {[NEST_VAR_X] = e->root};
    union eval_lanes number;
    for (int i = 0; i < nest->nstates; i++)
      var[i] = &acc[i];
    if (nest_code_uses(&nest->step, NEST_VAR_K)) {
      eval_number(IR_I32, (double)k, &number, n);
      var[NEST_VAR_K] = &number;
    }
    run_code(e, &nest->step, var, nest->nstates, acc, n);
  }
  if (e->f32_sums)
    eval_round(nest->acc_type, acc, n);
}

static void fold_begin(const struct eval_nest *e, union eval_lanes *acc,
                       int n) {
  for (int i = 0; i < e->nest->nstates; i++)
    eval_number(e->nest->state[i].type, e->nest->state[i].identity, &acc[i], n);
}

/* Lanes of one result to one value. */
static void fold_across(struct eval_nest *e, union eval_lanes *acc, int64_t at,
                        int n) {
  const union eval_lanes *x = e->root;
  bool is_float = ir_is_float(e->nest->acc_type);
  if (e->nest->fold == NEST_SUM && !e->f32_sums) {
    if (is_float)
      for (int k = 0; k < n; k++)
        acc->f[0] += x->f[k];
    else
      for (int k = 0; k < n; k++)
        acc->i[0] = (int64_t)((uint64_t)acc->i[0] + (uint64_t)x->i[k]);
    return;
  }
  const union eval_lanes *root = e->root;
  for (int k = 0; k < n; k++) {
    union eval_lanes one;
    one.i[0] = x->i[k];
    e->root = &one;
    fold_lanes(e, acc, at + k, 1);
  }
  e->root = root;
}

/* Rounds finished results and writes them from position `pos` of y on. */
static void finish(struct eval_nest *e, union eval_lanes *acc, int64_t pos,
                   int n, char *out) {
  const struct nest_code *c = &e->nest->finish;
  const union eval_lanes *var[NEST_NUM_VARS] = {0};
  for (int i = 0; i < e->nest->nstates; i++)
    var[i] = &acc[i];
  run_code(e, c, var, 1, acc, n);
  enum ir_dtype t = c->node[c->root[0]].type;
  eval_round(t, acc, n);
  eval_cast(t, e->type, acc, n);
  eval_store(e->type, out + pos * ir_dtypes[e->type].bytes, acc, n);
}

static void run_parallel_lanes(struct eval_nest *e, char *out) {
  for (int64_t pos = 0; pos < e->par.count; pos += EVAL_LANES) {
    union eval_lanes acc[NEST_MAX_STATES];
    int n = (int)dn_min(EVAL_LANES, e->par.count - pos);
    int64_t k = 0;
    fold_begin(e, acc, n);
    eval_space_seek(e, &e->red, 0);
    if (e->red.count > 0) {
      do {
        eval_nest_body(e, pos, n);
        fold_lanes(e, acc, k++, n);
      } while (space_next(e, &e->red));
    }
    finish(e, acc, pos, n, out);
  }
}

static void run_reduced_lanes(struct eval_nest *e, char *out) {
  eval_space_seek(e, &e->par, 0);
  for (int64_t y = 0; y < e->par.count; y++) {
    union eval_lanes acc[NEST_MAX_STATES];
    fold_begin(e, acc, 1);
    for (int64_t pos = 0; pos < e->red.count; pos += EVAL_LANES) {
      int n = (int)dn_min(EVAL_LANES, e->red.count - pos);
      eval_nest_body(e, pos, n);
      fold_across(e, acc, pos, n);
    }
    finish(e, acc, y, 1, out);
    space_next(e, &e->par);
  }
}

/* The body at positions [pos, pos + n) of y, which are of one index of a
 * running fold's dimension: folded with what the one before left in `state`. */
static void run_on(struct eval_nest *e, int64_t pos, int n, bool first,
                   union eval_lanes *state, char *out) {
  assert(e->nest->nstates == 1 && "nest_find_carried(): of one state");
  union eval_lanes acc;
  size_t size = (size_t)n * sizeof acc.i[0];
  if (first)
    fold_begin(e, &acc, n);
  else
    memcpy(&acc, state, size);
  fold_lanes(e, &acc, 0, n);
  memcpy(state, &acc, size);
  finish(e, &acc, pos, n, out);
}

/* Blocks of `lanes` positions by body, forwards or backwards. */
static void run_carried(struct eval_nest *e, char *out) {
  const struct nest *n = e->nest;
  int64_t inner = eval_nest_inner(e), along = n->type->dim[n->carried];
  assert(n->nstates == 1 && "nest_find_carried(): of one state");
  const union eval_lanes *root = e->root;
  for (int64_t done = 0; done < e->par.count;) {
    int chunk = (int)dn_min(EVAL_LANES, e->par.count - done);
    int64_t from = n->back ? e->par.count - done - chunk : done;
    eval_nest_body(e, from, chunk);
    for (int at = 0; at < chunk;) { /* pieces of one index */
      int64_t pos = n->back ? from + chunk - at - 1 : from + at;
      int64_t i = pos % inner, j = pos / inner % along;
      int len = (int)dn_min(chunk - at, n->back ? i + 1 : inner - i);
      pos -= n->back ? len - 1 : 0;
      union eval_lanes *state =
          (union eval_lanes *)(void *)&e->state->i[pos % inner];
      e->root = (const union eval_lanes *)(const void *)&root->i[pos - from];
      run_on(e, pos, len, j == (n->back ? along - 1 : 0), state, out);
      at += len;
    }
    e->root = root;
    done += chunk;
  }
}

/* Points, in order, onto a copy of operand 0. */
void eval_fold_onto(struct eval_nest *e, const struct eval_operand *x,
                    char *out) {
  const struct ir_type *y = e->nest->type;
  assert(y->rank > 0 && "infer_scatter() refuses scalars");
  size_t size = ir_dtypes[y->dtype].bytes;
  int64_t count = ir_type_count(y);
  assert(e->nest->nstates <= 1 && "nest_check_row(): one state goes onto");
  if (x->splat)
    dn_fill(out, count, x->data, size);
  else
    memcpy(out, x->data, (size_t)count * size);
  eval_space_seek(e, &e->red, 0);
  if (e->red.count == 0)
    return;
  do {
    int64_t row = eval_source_index(e, e->nest->to);
    row = dn_max(0, dn_min(row, y->dim[0] - 1)) * e->par.count;
    for (int64_t pos = 0; pos < e->par.count; pos += EVAL_LANES) {
      union eval_lanes acc;
      int n = (int)dn_min(EVAL_LANES, e->par.count - pos);
      eval_nest_body(e, pos, n);
      char *at = out + (size_t)(row + pos) * size;
      if (e->nest->fold == NEST_NONE) {
        eval_store(e->type, at, e->root, n);
        continue;
      }
      eval_load(e->type, at, 1, &acc, 0, n);
      fold_lanes(e, &acc, 0, n);
      finish(e, &acc, row + pos, n, out);
    }
  } while (space_next(e, &e->red));
}

void eval_fold_run(struct eval_nest *e, char *out) {
  if (e->nest->carried >= 0)
    run_carried(e, out);
  else if (e->lanes_red)
    run_reduced_lanes(e, out);
  else
    run_parallel_lanes(e, out);
}
