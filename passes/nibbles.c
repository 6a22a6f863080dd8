/* nibbles.c - constants of 4 and 2 bits lie in the object as they are in the
 * model: several elements in a byte. A kernel that reads one shifts the bytes
 * as it goes, whole vectors at a time: what shares a byte is not neighbours but
 * the elements of vectors that follow each other, so that the shift is the same
 * in all lanes. When a tile's width divides the last dim, panels of that width
 * lie one behind the other, as those of the pass `pack` do. The kernel's shift,
 * wrap, transpose and reshape give back the old values and shape.
 *
 * before:  %y = kernel {tile=[1,64], vec=16} : f32[1,128] do {
 *            %1 = cast @w {to=f32} : f32[32,128]                   (u4[32,128])
 * after:   %y = kernel {tile=[1,64], vec=16} : f32[1,128] do {
 *            %2 = shr @w.packed, @shifts : u8[2,32,2,2,16]  (u8[2,32,2,1,16])
 *            %3 = cast %2 {to=u4} : u4[2,32,2,2,16]
 *            %4 = transpose %3 {perm=[1,0,2,3,4]} : u4[32,2,2,2,16]
 *            %5 = reshape %4 {shape=[32,128]} : u4[32,128]
 *            %1 = cast %5 {to=f32} : f32[32,128]
 *
 * What is read outside of kernels, after a kernel's anchor, or has an odd last
 * dim, keeps a byte for each element. */
#include "ir/loops.h"
#include "passes/edit.h"

#include <assert.h>
#include <string.h>

struct packed { /* made before, for another kernel that reads it */
  const struct ir_value *from;
  int64_t vec, panel;
  int64_t size; /* of a row: the last dim; of panels in runs the last three */
  int outer;    /* dims before it */
  struct ir_value *to, *shifts;
};

struct nibbles {
  struct pass_env *env;
  struct ir_module *m;
  DN_LIST(struct packed) made;
};

static int64_t in_byte(const struct ir_value *w) {
  assert(ir_dtypes[w->type->dtype].bits <= 4 && "choose() takes 4 and 2 bits");
  return 8 / (int64_t)ir_dtypes[w->type->dtype].bits;
}

/* How the kernel takes the constant: lanes of a vector, and the width of a
 * panel. false: elements of it cannot share bytes. */
static bool choose(const struct ir_op *kernel, const struct ir_value *w,
                   struct packed *how) {
  int rank = w->type->rank, last = ir_result(kernel)->type->rank - 1;
  if (!w->data || !w->data->bytes || ir_dtypes[w->type->dtype].bits > 4 ||
      rank < 1 || rank + 4 > IR_MAX_RANK || !ir_type_count(w->type) ||
      ir_get_int(kernel, "scalable"))
    return false;
  int64_t size = w->type->dim[rank - 1], each = in_byte(w);
  int64_t run = ir_get_int(kernel, "dot");
  *how =
      (struct packed){.from = w, .vec = dn_max(ir_get_int(kernel, "vec"), 1)};
  if (run > 1 && rank > 2 && size == run &&
      w->type->dim[rank - 3] % each == 0) {
    how->vec = w->type->dim[rank - 2] * run;
    how->panel = how->size = w->type->dim[rank - 3] * how->vec;
    how->outer = rank - 3;
    return true;
  }
  if (size % each)
    return false;
  how->size = size;
  how->outer = rank - 1;
  while (size % (each * how->vec))
    how->vec = how->vec % 2 ? 1 : how->vec / 2;
  how->panel = size;
  int64_t tile = last >= 0 ? loops_tile(kernel, last) : 0;
  if (last >= 0 && ir_result(kernel)->type->dim[last] == size && tile > 0 &&
      size % tile == 0 && tile % (each * how->vec) == 0)
    how->panel = tile;
  return true;
}

/* [size/panel, others.., panel/(each vec), each, vec], and `each` elements of
 * the last but one dim in a byte. */
static const void *pack_bytes(struct nibbles *p, const struct packed *how) {
  const struct ir_type *type = how->from->type;
  int64_t size = how->size, each = in_byte(how->from);
  int64_t rows = ir_type_count(type) / size, step = each * how->vec;
  unsigned bits = ir_dtypes[type->dtype].bits, mask = (1u << bits) - 1;
  const uint8_t *from = how->from->data->bytes;
  assert(size % how->panel == 0 && how->panel % step == 0 &&
         "choose() makes panels of whole steps");
  uint8_t *bytes = dn_alloc(p->m->arena, (size_t)(rows * size / each)),
          *to = bytes;
  for (int64_t panel = 0; panel < size; panel += how->panel)
    for (int64_t r = 0; r < rows; r++)
      for (int64_t c = 0; c < how->panel; c += step)
        for (int64_t lane = 0; lane < how->vec; lane++, to++)
          for (int64_t k = 0; k < each; k++)
            *to |= (uint8_t)((from[r * size + panel + c + k * how->vec + lane] &
                              mask)
                             << (k * (int64_t)bits));
  assert(to == bytes + rows * size / each && "every byte is filled once");
  return bytes;
}

static void make_packed(struct nibbles *p, struct packed *how) {
  const struct ir_type *type = how->from->type;
  int64_t dims[IR_MAX_RANK], size = how->size;
  int64_t each = in_byte(how->from), shift[8], n = 0;
  dims[n++] = size / how->panel;
  for (int d = 0; d < how->outer; d++)
    dims[n++] = type->dim[d];
  dims[n++] = how->panel / (each * how->vec);
  dims[n++] = 1;
  dims[n++] = how->vec;
  struct ir_data data = {.bytes = pack_bytes(p, how),
                         .size = ir_type_count(type) / each};
  how->to = ir_const_new(
      p->m, dn_printf(p->env->scratch, "%s.packed", how->from->name),
      ir_type(p->m->ctx, IR_U8, (int)n, dims), &data);
  for (int64_t k = 0; k < each; k++)
    shift[k] = k * (int64_t)ir_dtypes[type->dtype].bits;
  how->shifts =
      ir_const_ints(p->m, "shifts", IR_U8, 2, (int64_t[]){each, 1}, shift);
}

/* The way back, in the kernel. */
static struct ir_value *unpack(const struct packed *how, struct ir_op *reader) {
  struct ir_builder b = edit_before(reader);
  const struct ir_type *type = how->from->type;
  int64_t perm[IR_MAX_RANK];
  int n = how->to->type->rank;
  assert(n == how->outer + 4 && "make_packed() adds panels, shares and lanes");
  for (int d = 0; d < n; d++)
    perm[d] = d;
  for (int d = 0; d < how->outer; d++)
    perm[d] = d + 1;
  perm[how->outer] = 0;
  struct ir_value *y =
      ir_emit(&b, IR_SHR, IR_ARGS(how->to, how->shifts), NULL, 0);
  y = y ? ir_emit(&b, IR_CAST, IR_ARGS(y),
                  IR_ATTRS(ir_str("to", ir_dtypes[type->dtype].text)))
        : NULL;
  if (y && how->panel < how->size)
    y = ir_emit(&b, IR_TRANSPOSE, IR_ARGS(y),
                IR_ATTRS(ir_ints("perm", perm, n)));
  return y ? ir_emit(&b, IR_RESHAPE, IR_ARGS(y),
                     IR_ATTRS(ir_ints("shape", type->dim, type->rank)))
           : NULL;
}

static bool take(struct nibbles *p, const struct ir_op *kernel,
                 struct ir_op *reader, unsigned i) {
  struct packed how;
  if (!choose(kernel, ir_arg(reader, i), &how))
    return false;
  size_t k = 0;
  while (k < p->made.n &&
         (p->made.v[k].from != how.from || p->made.v[k].vec != how.vec ||
          p->made.v[k].panel != how.panel))
    k++;
  if (k == p->made.n) {
    make_packed(p, &how);
    DN_PUSH(p->env->scratch, p->made, how);
  }
  struct ir_value *y = unpack(&p->made.v[k], reader);
  if (y)
    ir_set_operand(reader, i, y);
  return y != NULL;
}

int64_t pass_nibbles(struct pass_env *env, struct ir_module *m) {
  struct nibbles p = {.env = env, .m = m};
  int64_t taken = 0;
  for (struct ir_op *k = ir_first(m); k; k = ir_next(k)) {
    if (k->code != IR_KERNEL)
      continue;
    bool anchor = false;
    for (struct ir_op *op = k->region[0]->first; op->next && !anchor;
         op = op->next) {
      anchor =
          ir_ops[op->code].cls != IR_MAP && ir_ops[op->code].cls != IR_MOVE;
      for (unsigned i = 0; i < op->noperands; i++)
        taken += take(&p, k, op, i);
    }
  }
  if (taken)
    ir_sweep_consts(m);
  return taken;
}
