/* sizes_made.c - results whose size values of the model decide: as large as the
 * bound, with zeros behind what counts, and a result of its own that says how much
 * that is.
 *
 * before:  return %y                                      // f32[n<=24,3]
 * after:   %1 = iota {shape=[24], to="i64"} : i64[24]
 *          %2 = lt %1, %n : bool[24]                      // %n is n
 *          %3 = gather %y, %1 {axis=0} : f32[24,3]
 *          %4 = select (reshape %2), %3, @0 : f32[24,3]
 *          %5 = concat %n, @3 {axis=0} : i64[2]
 *          return %4, %5 {dims=[1,-1]} */
#include "passes/sizes_join.h"

#include "passes/edit.h"

#include <assert.h>
#include <string.h>

static bool is_made(const struct ir_sizes *all, const struct ir_size *s) {
  bool made = false;
  for (int i = 0; s && i < s->n; i++)
    for (int k = all->passed; k < all->most.n; k++)
      made |= s->term[i].by == all->most.param[k] ||
              s->term[i].and == all->most.param[k];
  return made;
}

/* v with dimension d as large as its bound. */
static struct ir_value *widen(struct ir_builder *b, struct ir_value *v, int d) {
  const struct ir_type *t = v->type;
  int64_t dims[IR_MAX_RANK];
  for (int i = 0; i < t->rank; i++)
    dims[i] = i == d ? t->dim[d] : 1;
  assert(d < t->rank && t->size[d] && "sizes_widen_results() asks is_made()");
  struct ir_value *n = sizes_dim(b, t, d);
  struct ir_value *at =
      ir_emit(b, IR_IOTA, NULL, 0,
              IR_ATTRS(ir_ints("shape", &t->dim[d], 1), ir_str("to", "i64")));
  struct ir_value *is = edit_reshape(
      b, ir_emit(b, IR_LT, IR_ARGS(at, n), NULL, 0), t->rank, dims);
  v = ir_emit(b, IR_GATHER, IR_ARGS(v, at), IR_ATTRS(ir_int("axis", d)));
  struct ir_value *zero =
      ir_const_splat(b->m, "zero", ir_type(b->m->ctx, t->dtype, 0, NULL), 0);
  return ir_emit(b, IR_SELECT, IR_ARGS(is, v, zero), NULL, 0);
}

/* The dimensions of a type, i64[rank]. */
static struct ir_value *dims_of(struct ir_builder *b, const struct ir_type *t) {
  struct ir_value *part[IR_MAX_RANK];
  for (int d = 0; d < t->rank; d++)
    part[d] = sizes_dim(b, t, d);
  struct ir_attr axis = ir_int("axis", 0);
  return ir_emit(b, IR_CONCAT, part, (size_t)t->rank, &axis, 1);
}

void sizes_widen_results(struct ir_module *m) {
  struct ir_func *f = ir_main(m);
  struct ir_op *ret = f->body->last;
  struct ir_builder b = edit_before(ret);
  struct ir_sizes all;
  unsigned n = f->nresults, more = n;
  struct ir_value **y = DN_ARRAY(m->arena, struct ir_value *, 2 * n);
  const char **names = DN_ARRAY(m->arena, const char *, 2 * n);
  int64_t *dims = DN_ARRAY(m->arena, int64_t, 2 * n);
  ir_sizes_of(f, &all);
  for (unsigned i = 0; i < n; i++) {
    y[i] = ir_arg(ret, i);
    names[i] = ir_result_name(f, i);
    dims[i] = dims[n + i] = -1;
    for (int d = 0; d < y[i]->type->rank; d++) {
      if (!is_made(&all, y[i]->type->size[d]))
        continue;
      if (dims[i] < 0) {
        dims[i] = more;
        y[more] = dims_of(&b, y[i]->type);
        names[more] =
            dn_intern(m->ctx, dn_printf(m->arena, "%s.dims", names[i]));
        more++;
      }
      y[i] = widen(&b, y[i], d);
    }
  }
  if (more == n)
    return;
  struct ir_attr attr = ir_ints("dims", dims, more);
  ir_op_new(&b, IR_RETURN, y, more, &attr, 1, NULL, 0, 0);
  ir_op_remove(ret);
  f->result_name = names;
  f->nresults = more;
}
