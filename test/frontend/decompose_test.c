/* decompose_test.c - builds and evaluates rows of decompose.def. A line of its
 * input is a call, its output the results:
 *
 *   softmax axis=i:1 | f32:2,3:0,1,2,3,4,5      dims:elements of each result,
 *   layer_norm | f32:1:2 f32:1:1 -              one after the other
 *
 * An attribute is i:, f:, s:, or l: with a list; an operand `-` is absent, one
 * behind `=` a constant. A call that fails has an empty line. With --rows: the names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/decompose.h"
#include "ir/eval.h"

static struct ir_attr read_attr(struct dn_ctx *ctx, char *text) {
  char *kind = strchr(text, '=');
  if (!kind || kind[2] != ':')
    exit(70);
  *kind++ = 0;
  const char *v = kind + 2, *name = dn_intern(ctx, text);
  if (*kind == 'i')
    return ir_int(name, atoll(v));
  if (*kind == 'f')
    return ir_float(name, strtod(v, NULL));
  if (*kind == 's')
    return ir_str(name, dn_intern(ctx, v));
  int64_t *list = DN_ARRAY(ctx->arena, int64_t, 16), n = 0;
  for (char *end; *v && n < 16; v = *end ? end + 1 : end)
    list[n++] = strtoll(v, &end, 10);
  return ir_ints(name, list, n);
}

/* f32:2,3:elements, a parameter of the function, or with `=` a constant. */
static struct ir_value *read_operand(struct ir_func *f, char *text,
                                     struct ir_tensor *in, size_t *nin) {
  bool constant = *text == '=';
  text += constant;
  struct dn_ctx *ctx = f->module->ctx;
  enum ir_dtype t;
  char *dims = strchr(text, ':'), *end;
  int64_t dim[IR_MAX_RANK], rank = 0;
  if (!dims)
    return NULL;
  *dims++ = 0;
  if (!ir_dtype_find(text, &t))
    exit(70);
  for (; *dims != ':'; dims = *end == ',' ? end + 1 : end)
    dim[rank++] = strtoll(dims, &end, 10);
  const struct ir_type *type = ir_type(ctx, t, (int)rank, dim);
  char *data = dn_alloc(ctx->arena, (size_t)ir_type_bytes(type) + 1);
  dims++;
  for (int64_t i = 0; i < ir_type_count(type); i++, dims = end + 1)
    ir_store_float(t, data + i * ir_dtypes[t].bytes, strtod(dims, &end));
  if (constant)
    return ir_const_new(f->module, NULL, type,
                        &(struct ir_data){.bytes = data,
                                          .size = ir_type_bytes(type)});
  in[(*nin)++] = (struct ir_tensor){type, data};
  return ir_param_new(f->body, NULL, type);
}

static void print_tensor(const struct ir_tensor *t) {
  for (int d = 0; d < t->type->rank; d++)
    printf("%s%lld", d ? "," : "", (long long)t->type->dim[d]);
  printf(":");
  for (int64_t i = 0; i < ir_type_count(t->type); i++)
    printf(
        "%s%.9g", i ? "," : "",
        ir_load_float(t->type->dtype, (const char *)t->data +
                                          i * ir_dtypes[t->type->dtype].bytes));
  printf(" ");
}

static void run(struct dn_ctx *ctx, char *line) {
  struct ir_module *m = ir_module_new(ctx, "row");
  struct ir_func *f = ir_func_new(m, "main");
  struct fe_build b = {.ctx = ctx,
                       .at = {.m = m, .block = f->body},
                       .loc = {.where = dn_intern(ctx, strtok(line, " "))}};
  enum fe_decomposition row;
  struct ir_attr attrs[FE_MAX_ATTRS];
  struct ir_tensor in[FE_MAX_OPERANDS], out[FE_MAX_RESULTS];
  struct ir_value *args[FE_MAX_OPERANDS], *y[FE_MAX_RESULTS] = {NULL};
  size_t nattrs = 0, nargs = 0, nin = 0, n = 0;
  char *word = strtok(NULL, " ");
  for (; *word != '|'; word = strtok(NULL, " "))
    attrs[nattrs++] = read_attr(ctx, word);
  while ((word = strtok(NULL, " ")))
    args[nargs++] = read_operand(f, word, in, &nin);
  if (!fe_decomposition_find(b.loc.where, &row))
    exit(70);
  if (fe_decompose(&b, row, args, nargs, attrs, nattrs, y, FE_MAX_RESULTS)) {
    while (n < FE_MAX_RESULTS && y[n])
      n++;
    f->nresults = (unsigned)n;
    f->result_name = DN_ARRAY(m->arena, const char *, n);
    ir_op_new(&b.at, IR_RETURN, y, n, NULL, 0, NULL, 0, 0);
    if (!ir_verify(m) ||
        !ir_eval(ctx->arena, f, in, out, &(struct ir_eval_opts){0}))
      exit(70);
    for (size_t i = 0; i < n; i++)
      print_tensor(&out[i]);
  }
}

int main(int argc, char **argv) {
  static const char *const names[] = {
#define DECOMPOSE(ID, name, operands, attrs, text) name,
#include "frontend/decompose.def"
#undef DECOMPOSE
  };
  static char line[1 << 16];
  if (argc > 1 && !strcmp(argv[1], "--rows"))
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
      puts(names[i]);
  while (argc == 1 && fgets(line, sizeof line, stdin)) {
    struct dn_ctx *ctx = dn_ctx_new(stderr);
    line[strcspn(line, "\n")] = 0;
    run(ctx, line);
    puts("");
    dn_ctx_free(ctx);
  }
  return 0;
}
