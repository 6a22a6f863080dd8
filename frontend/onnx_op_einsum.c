/* onnx_op_einsum.c - Einsum of any number of operands, as products of two.
 * Letters that only one operand has are summed first; repeated letters of one
 * operand are its diagonal; "..." becomes letters that the equation leaves
 * unused. */
#include <string.h>

#include "frontend/onnx_ops.h"

/* A value and its letters, one a dim. */
struct term {
  struct ir_value *v;
  char letters[2 * IR_MAX_RANK + 1];
};

struct einsum {
  struct onnx_call *c;
  char dots[IR_MAX_RANK + 1]; /* what "..." stands for, at its longest */
  char text[512];             /* the equation without blanks */
  char out[2 * IR_MAX_RANK + 1];
  int64_t size[128]; /* of a letter; 1 broadcasts, -1 is not known yet */
};

static bool is_letter(char ch) {
  return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z');
}

static bool bad(struct einsum *e) {
  return fe_fail(e->c->b, DN_ATTR,
                 "the equation '%s' does not fit the operands",
                 fe_text(e->c->im->ctx, e->text));
}

/* Letters of one term up to `end`; "..." takes the last `ndots` of e->dots. */
static bool read_term(struct einsum *e, const char *s, const char *end,
                      size_t ndots, char *out) {
  size_t n = 0;
  bool dots = false;
  for (; s < end; s++) {
    const char *from = s;
    size_t len = 1;
    if (*s == '.') {
      if (dots || end - s < 3 || s[1] != '.' || s[2] != '.')
        return bad(e);
      dots = true;
      from = e->dots + strlen(e->dots) - ndots;
      len = ndots;
      s += 2;
    } else if (!is_letter(*s)) {
      return bad(e);
    }
    if (n + len > 2 * IR_MAX_RANK)
      return bad(e);
    memcpy(out + n, from, len);
    n += len;
  }
  out[n] = 0;
  return true;
}

static size_t count_letters(const char *s, const char *end, bool *dots) {
  size_t n = 0;
  for (; s < end; s++) {
    n += is_letter(*s);
    *dots = *dots || *s == '.';
  }
  return n;
}

/* Where term k of the left side begins and ends. */
static bool term_span(const struct einsum *e, size_t k, const char **s,
                      const char **end) {
  const char *stop = strstr(e->text, "->");
  if (!stop)
    stop = e->text + strlen(e->text);
  for (*s = e->text;; *s = *end + 1, k--) {
    *end = memchr(*s, ',', (size_t)(stop - *s));
    bool last = !*end;
    if (last)
      *end = stop;
    if (k == 0)
      return true;
    if (last)
      return false;
  }
}

/* Chooses letters for "...": as many as the operand with the most needs. */
static bool choose_dots(struct einsum *e) {
  size_t most = 0;
  for (size_t k = 0; k < e->c->nin; k++) {
    const char *s, *end;
    bool dots = false;
    if (!term_span(e, k, &s, &end))
      return bad(e);
    size_t n = count_letters(s, end, &dots);
    size_t rank = (size_t)fe_rank(e->c->in[k]);
    if (n > rank || (!dots && n != rank))
      return bad(e);
    if (dots && rank - n > most)
      most = rank - n;
  }
  for (char ch = 'A'; ch <= 'z' && strlen(e->dots) < most; ch++)
    if (is_letter(ch) && !strchr(e->text, ch))
      e->dots[strlen(e->dots)] = ch;
  return strlen(e->dots) == most || bad(e);
}

/* Without "->", the result has "..." and then each letter that occurs once. */
static void implicit_output(struct einsum *e) {
  strcpy(e->out, e->dots);
  for (char ch = 'A'; ch <= 'z'; ch++) {
    const char *at = is_letter(ch) ? strchr(e->text, ch) : NULL;
    size_t n = strlen(e->out);
    if (at && !strchr(at + 1, ch) && n < 2 * IR_MAX_RANK)
      e->out[n] = ch;
  }
}

/* Sums dim i away. */
static void sum_dim(struct einsum *e, struct term *t, size_t i) {
  bool axes[IR_MAX_RANK] = {0};
  axes[i] = true;
  t->v = fe_reduce(e->c->b, IR_REDUCE_SUM, t->v, axes);
  t->v = fe_squeeze(e->c->b, t->v, axes);
  memmove(t->letters + i, t->letters + i + 1, strlen(t->letters + i));
}

/* ii..: zero off the diagonal, then the second i is summed away. */
static void take_diagonals(struct einsum *e, struct term *t) {
  for (size_t i = 0; t->v && t->letters[i]; i++) {
    const char *again = strchr(t->letters + i + 1, t->letters[i]);
    if (!again)
      continue;
    size_t k = (size_t)(again - t->letters);
    int r = fe_rank(t->v);
    struct ir_value *row =
        fe_iota(e->c->b, r, (int64_t)i, fe_dims(t->v)[i], IR_I32);
    struct ir_value *column =
        fe_iota(e->c->b, r, (int64_t)k, fe_dims(t->v)[k], IR_I32);
    t->v = fe_select(e->c->b, fe_op2(e->c->b, IR_EQ, row, column), t->v,
                     fe_number(e->c->b, t->v, 0));
    sum_dim(e, t, k);
    i--;
  }
}

static bool read_operand(struct einsum *e, size_t k, struct term *t) {
  const char *s, *end;
  bool dots = false;
  if (!term_span(e, k, &s, &end))
    return bad(e);
  size_t named = count_letters(s, end, &dots);
  t->v = e->c->in[k];
  if (!read_term(e, s, end, (size_t)fe_rank(t->v) - named, t->letters))
    return false;
  for (size_t i = 0; t->letters[i]; i++) {
    int64_t *size = &e->size[(unsigned char)t->letters[i]];
    int64_t d = fe_dims(t->v)[i];
    if (*size < 0 || *size == 1)
      *size = d;
    else if (d != 1 && d != *size)
      return bad(e);
  }
  take_diagonals(e, t);
  return t->v != NULL;
}

/* Drops size-1 dims that broadcast, and sums letters that `later` lacks. */
static void reduce_term(struct einsum *e, struct term *t, const char *later) {
  for (size_t i = 0; t->v && t->letters[i];) {
    bool one =
        fe_dims(t->v)[i] == 1 && e->size[(unsigned char)t->letters[i]] != 1;
    if (one || !strchr(later, t->letters[i]))
      sum_dim(e, t, i);
    else
      i++;
  }
}

/* a * b, keeping the letters that `later` has. */
static bool multiply(struct einsum *e, struct term *a, const struct term *b,
                     const char *later) {
  struct term y = {0};
  size_t n = 0;
  const char *from[] = {a->letters, b->letters};
  for (int k = 0; k < 2; k++)
    for (const char *s = from[k]; *s; s++)
      if (strchr(later, *s) && !strchr(y.letters, *s)) {
        if (n >= IR_MAX_RANK)
          return bad(e);
        y.letters[n++] = *s;
      }
  if (!a->letters[0] || !b->letters[0]) {
    y.v = fe_mul(e->c->b, a->v, b->v);
  } else {
    const char *eq = dn_printf(e->c->im->ctx->arena, "%s,%s->%s", a->letters,
                               b->letters, y.letters);
    y.v = fe_emit(e->c->b, IR_EINSUM, IR_ARGS(a->v, b->v),
                  IR_ATTRS(ir_str("equation", eq)));
  }
  *a = y;
  return y.v != NULL;
}

/* Letters that the result or a term from k on has. */
static void letters_from(const struct einsum *e, const struct term *terms,
                         size_t k, char *out) {
  bool has[128] = {0};
  for (const char *s = e->out; *s; s++)
    has[(unsigned char)*s] = true;
  for (; k < e->c->nin; k++)
    for (const char *s = terms[k].letters; *s; s++)
      has[(unsigned char)*s] = true;
  for (int ch = 0; ch < 128; ch++)
    if (has[ch])
      *out++ = (char)ch;
  *out = 0;
}

/* The last term in the order of the result, size-1 letters put back. */
static struct ir_value *arrange(struct einsum *e, struct term *t) {
  int64_t perm[IR_MAX_RANK], dims[2 * IR_MAX_RANK];
  size_t n = 0, rank = strlen(e->out);
  for (size_t i = 0; i < rank; i++) {
    const char *at = strchr(t->letters, e->out[i]);
    if (at)
      perm[n++] = at - t->letters;
    dims[i] = e->size[(unsigned char)e->out[i]];
  }
  struct ir_value *y = fe_transpose(e->c->b, t->v, perm);
  return fe_reshape(e->c->b, y, (int64_t)rank, dims);
}

static bool read_equation(struct einsum *e) {
  const char *text = ox_str(e->c, "equation", "");
  size_t n = 0;
  for (; *text; text++) {
    if (*text == ' ')
      continue;
    if (n + 1 >= sizeof e->text)
      return fe_fail(e->c->b, DN_LIMIT, "an equation of over %zu characters",
                     sizeof e->text - 1);
    e->text[n++] = *text;
  }
  const char *s, *end, *arrow = strstr(e->text, "->");
  if (term_span(e, e->c->nin, &s, &end) || !choose_dots(e))
    return bad(e);
  if (!arrow) {
    implicit_output(e);
    return true;
  }
  return read_term(e, arrow + 2, arrow + strlen(arrow), strlen(e->dots),
                   e->out);
}

bool onnx_einsum(struct onnx_call *c) {
  struct einsum e = {.c = c};
  char later[129];
  for (int ch = 0; ch < 128; ch++)
    e.size[ch] = -1;
  if (!read_equation(&e))
    return false;
  struct term *terms = DN_ARRAY(c->im->ctx->arena, struct term, c->nin);
  for (size_t k = 0; k < c->nin; k++)
    if (!read_operand(&e, k, &terms[k]))
      return false;
  for (const char *s = e.out; *s; s++)
    if (e.size[(unsigned char)*s] < 0 || strchr(s + 1, *s))
      return bad(&e);
  for (size_t k = 0; k < c->nin; k++) { /* what only this term has */
    char others[129] = "";
    struct term keep = terms[k];
    terms[k].letters[0] = 0;
    letters_from(&e, terms, 0, others);
    terms[k] = keep;
    reduce_term(&e, &terms[k], others);
    if (!terms[k].v)
      return false;
  }
  struct term acc = terms[0];
  for (size_t k = 1; k < c->nin; k++) {
    letters_from(&e, terms, k + 1, later);
    if (!multiply(&e, &acc, &terms[k], later))
      return false;
  }
  /* A dim of size n that only 1-sized operands had cannot be. */
  return ox_return(c, arrange(&e, &acc));
}
