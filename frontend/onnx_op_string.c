/* onnx_op_string.c - operators of strings: StringConcat, StringSplit,
 * Tokenizer, StringNormalizer and RegexFullMatch. Loops over bytes are rows of decompose.def. */
#include "frontend/onnx_string.h"

#include "frontend/decompose.h"
#include "frontend/regex.h"
#include "frontend/region.h"

bool onnx_string_concat(struct onnx_call *c) {
  if (!ox_is_string(c->in[0]) || !ox_is_string(c->in[1]))
    return ox_fail(c, TYPE, "the inputs must be strings");
  return ox_return(
      c, fe_call(c->b, FE_STRING_CONCAT, IR_ARGS(c->in[0], c->in[1]), NULL, 0));
}

/* ---- StringSplit ---- */

/* x[.., i - by], and 0 (false) outside. */
static struct ir_value *shift(struct onnx_call *c, struct ir_value *x,
                              int64_t by) {
  int64_t pads[2 * IR_MAX_RANK] = {0}, r = x ? fe_rank(x) : 1;
  pads[r - 1] = by;
  pads[2 * r - 1] = -by;
  return x && by ? fe_pad(c->b, x, pads, NULL, 0) : x;
}

/* Where the delimiter stands: its first byte, or, `all`, each of its bytes. */
static struct ir_value *spread(struct onnx_call *c, struct ir_value *first,
                               int64_t n) {
  struct ir_value *all = first;
  for (int64_t k = 1; k < n; k++)
    all = fe_op2(c->b, IR_OR, all, shift(c, first, k));
  return all;
}

static struct ir_value *match(struct onnx_call *c, struct ir_value *x,
                              const char *delimiter, int64_t n) {
  struct ir_value *all = NULL;
  for (int64_t k = 0; k < n; k++) {
    double byte = (double)(unsigned char)delimiter[k];
    struct ir_value *v = fe_op2(c->b, IR_EQ, x, fe_number(c->b, x, byte));
    v = shift(c, v, -k);
    all = all ? fe_op2(c->b, IR_AND, all, v) : v;
  }
  return all;
}

/* A part of it begins as it ends: two may stand over each other. */
static bool overlaps(const char *s, size_t n) {
  for (size_t k = 1; k < n; k++)
    if (!memcmp(s, s + k, n - k))
      return true;
  return false;
}

/* member: bytes of the pieces, and the number of the piece of each byte. */
static bool pieces(struct onnx_call *c, struct ir_value **member,
                   struct ir_value **piece) {
  struct ir_value *x = c->in[0], *out[2];
  const char *delimiter = ox_str(c, "delimiter", "");
  int64_t n = (int64_t)strlen(delimiter);
  int64_t most = dn_min(ox_int(c, "maxsplit", INT32_MAX), INT32_MAX);
  const struct ir_attr attrs[] = {ir_int("most", most)};
  bool ok;
  if (most < 0)
    return ox_fail(c, ATTR, "'maxsplit' is %lld", (long long)most);
  if (n && overlaps(delimiter, (size_t)n))
    return ox_fail(c, UNSUPPORTED_ATTR,
                   "a delimiter whose beginning is its end as well");
  if (n > ox_width(x)) {
    struct ir_value *is = fe_op2(c->b, IR_LT, fe_number(c->b, x, 0), x);
    *member = is;
    *piece =
        fe_cast(c->b, fe_op2(c->b, IR_MIN, x, fe_number(c->b, x, 0)), IR_I32);
    return *piece != NULL;
  }
  if (n) {
    struct ir_value *first = match(c, x, delimiter, n);
    ok = fe_decompose(c->b, FE_STRING_FIELDS, (struct ir_value *[]){first}, 1,
                      attrs, 1, out, 2);
    struct ir_value *is = ok ? spread(c, out[0], n) : NULL;
    is = is ? fe_op1(c->b, IR_NOT, is) : NULL;
    *member = is ? fe_op2(c->b, IR_AND, is,
                          fe_op2(c->b, IR_LT, fe_number(c->b, x, 0), x))
                 : NULL;
    *piece = ok ? out[1] : NULL;
    return *member != NULL;
  }
  ok = fe_decompose(c->b, FE_STRING_WORDS, &x, 1, attrs, 1, out, 2);
  *member = ok ? out[0] : NULL;
  *piece = ok ? out[1] : NULL;
  return ok;
}

/* A number that is known or declared. */
static bool find_number(struct onnx_call *c, struct ir_value *total,
                        int64_t most, int64_t declared, struct ox_count *n) {
  return ox_find_size(c, total, most, declared, n) &&
         (!n->size ||
          ox_fail(c, DYNAMIC,
                  "values decide how many strings its result has, whose shape "
                  "must be declared or whose inputs must be constants"));
}

bool onnx_string_split(struct onnx_call *c) {
  struct ir_value *x = c->in[0], *member = NULL, *piece = NULL;
  int64_t r = fe_rank(x) - 1, dims[IR_MAX_RANK];
  struct ox_count n;
  if (!ox_is_string(x))
    return ox_fail(c, TYPE, "the input must be strings");
  if (r + 2 > IR_MAX_RANK)
    return ox_fail(c, LIMIT, "strings of rank %lld", (long long)r);
  if (!pieces(c, &member, &piece))
    return false;
  struct ir_value *count = NULL, *most;
  if (ir_type_count(x->type)) {
    count = fe_call(c->b, FE_STRING_COUNT, IR_ARGS(piece), NULL, 0);
    bool all[IR_MAX_RANK];
    for (int i = 0; i < IR_MAX_RANK; i++)
      all[i] = true;
    most = count && r ? fe_reduce(c->b, IR_REDUCE_MAX, count, all) : count;
    most = most ? fe_reshape(c->b, most, 0, NULL) : NULL;
  } else {
    count = fe_expand(c->b, fe_scalar(c->b, IR_I64, 0), r, fe_dims(x));
    most = fe_scalar(c->b, IR_I64, 0);
  }
  if (!find_number(c, most, ox_width(x) + 1, ox_declared(c, 0, r + 1, r), &n))
    return false;
  memcpy(dims, fe_dims(x), sizeof dims);
  dims[r] = n.n;
  dims[r + 1] = ox_width(x);
  if (c->nout > 1)
    c->out[1] = count;
  if (!n.n || !ir_type_count(x->type))
    return ox_return(c,
                     fe_expand(c->b, fe_scalar(c->b, IR_CHAR, 0), r + 2, dims));
  return ox_return(c, fe_call(c->b, FE_STRING_PIECES, IR_ARGS(x, member, piece),
                              IR_ATTRS(ir_int("n", n.n))));
}

/* ---- Tokenizer ---- */

/* Whether what the automaton matches are the runs of a set of bytes, which comes to
 * in[256]. */
static bool matches_runs(const struct fe_automaton *a, int64_t *in,
                         struct dn_arena *arena) {
  const int64_t *first = a->next + FE_REGEX_FIRST * a->classes;
  bool *seen = DN_ARRAY(arena, bool, a->states);
  bool ok = first[a->class_of[0]] != FE_REGEX_MATCHED, more = true;
  for (int b = 1; b < 256; b++) {
    int64_t to = first[a->class_of[b]];
    in[b] = to != FE_REGEX_NONE;
    seen[to] |= in[b];
  }
  while (more && ok) {
    more = false;
    for (int64_t s = FE_REGEX_FIRST; s < a->states; s++) {
      const int64_t *next = a->next + s * a->classes;
      ok &= !seen[s] || next[a->class_of[0]] == FE_REGEX_MATCHED;
      for (int b = 1; b < 256 && seen[s] && ok; b++) {
        int64_t to = next[a->class_of[b]];
        ok = in[b] == (to != FE_REGEX_NONE);
        more |= in[b] && !seen[to];
        seen[to] |= in[b];
      }
    }
  }
  return ok;
}

/* Bytes of tokens; NULL after a diagnostic. */
static struct ir_value *token_bytes(struct onnx_call *c, struct ir_value *x) {
  const struct onnx_attr *exp = ox_attr(c, "tokenexp");
  struct fe_automaton a;
  int64_t in[256] = {0}, bytes = 256;
  if (!exp || ox_attr(c, "separators") || ox_int(c, "mark", 0) ||
      ox_int(c, "mincharnum", 1) != 1)
    return ox_null(c, UNSUPPORTED_ATTR,
                   "tokens by separators, marked ones, or of more than a "
                   "character");
  if (!fe_regex(c->b, (const char *)exp->s.data, exp->s.size, &a))
    return NULL;
  if (!matches_runs(&a, in, c->im->ctx->arena))
    return ox_null(c, UNSUPPORTED_ATTR,
                   "'tokenexp' is no set of ASCII, once or more: [a-z]+");
  return fe_cast(c->b,
                 fe_gather(c->b, fe_ints(c->b, IR_I32, 1, &bytes, in),
                           fe_cast(c->b, x, IR_I32), 0),
                 IR_BOOL);
}

/* Tokens [.., n, width] of strings x [.., width], with others in place of those that
 * there are none of. */
static struct ir_value *tokens(struct onnx_call *c, struct ir_value *x,
                               struct ir_value *in, struct ir_value *piece,
                               struct ir_value *count,
                               const struct ox_count *n) {
  int64_t r = fe_rank(x) - 1, perm[IR_MAX_RANK], back[IR_MAX_RANK];
  struct ir_value *pad = ox_string(c, "pad_value", "");
  struct ir_value *y = fe_call(c->b, FE_STRING_PIECES, IR_ARGS(x, in, piece),
                               IR_ATTRS(ir_int("n", n->room)));
  int64_t width = dn_max(ox_width(x), ox_width(pad));
  struct ir_value *is =
      fe_op2(c->b, IR_LT, fe_iota(c->b, (int)r + 1, (int)r, n->room, IR_I64),
             fe_unsqueeze(c->b, count, 0, 1));
  y = fe_select(c->b, fe_unsqueeze(c->b, is, 0, 1), ox_widen(c, y, width),
                ox_widen(c, pad, width));
  for (int i = 0; i < r + 2; i++) {
    perm[i] = i ? i - (i <= r) : r;
    back[perm[i]] = i;
  }
  return fe_transpose(c->b, ox_first(c, fe_transpose(c->b, y, perm), n), back);
}

bool onnx_tokenizer(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  bool all[IR_MAX_RANK];
  struct ox_count n;
  memset(all, true, sizeof all);
  if (!ox_is_string(x) || fe_rank(x) < 2 || fe_rank(x) > 3 ||
      !ir_type_count(x->type))
    return ox_fail(c, TYPE, "the input must be strings [n] or [n,m]");
  struct ir_value *in = token_bytes(c, x);
  struct ir_value *piece =
      in ? fe_call(c->b, FE_STRING_RUNS, IR_ARGS(in), NULL, 0) : NULL;
  if (!piece)
    return false;
  int r = fe_rank(x) - 1;
  struct ir_value *count =
      fe_call(c->b, FE_STRING_COUNT, IR_ARGS(piece), NULL, 0);
  struct ir_value *most =
      fe_reshape(c->b, fe_reduce(c->b, IR_REDUCE_MAX, count, all), 0, NULL);
  return ox_find_size(c, most, (ox_width(x) + 1) / 2,
                      ox_declared(c, 0, r + 1, r), &n) &&
         ox_return(c, tokens(c, x, in, piece, count, &n));
}

/* ---- StringNormalizer ---- */

static struct ir_value *change_case(struct onnx_call *c, struct ir_value *x,
                                    bool upper) {
  return x ? fe_call(c->b, upper ? FE_STRING_UPPER : FE_STRING_LOWER,
                     IR_ARGS(x), NULL, 0)
           : NULL;
}

/* Words without the stop words, of [n, width]; [""] where none is left. */
static struct ir_value *without_stopwords(struct onnx_call *c,
                                          struct ir_value *x, bool sensitive,
                                          int64_t declared) {
  struct ir_value *stop = ox_strings(c, "stopwords");
  int64_t n = fe_dims(x)[0], width = ox_width(x);
  if (!n)
    return fe_expand(c->b, fe_scalar(c->b, IR_CHAR, 0), 2,
                     (int64_t[]){1, width});
  if (!stop)
    return x;
  struct ir_value *word = sensitive ? x : change_case(c, x, false);
  stop = sensitive ? stop : change_case(c, stop, false);
  struct ir_value *at = word && stop ? ox_find(c, word, stop) : NULL;
  struct ir_value *keep =
      at ? fe_op2(c->b, IR_LT, at, fe_number(c->b, at, 0)) : NULL;
  struct ir_value *left = keep ? ox_total(c, keep) : NULL;
  if (!left)
    return NULL;
  struct ir_value *size = fe_op2(c->b, IR_MAX, left, fe_number(c->b, left, 1));
  struct ox_count kept;
  if (!find_number(c, size, n, declared, &kept))
    return NULL;
  if (!kept.n)
    return ox_null(c, SHAPE, "a result without strings is declared");
  x = fe_gather(c->b, x, ox_selected(c, keep, &kept), 0);
  struct ir_value *is =
      fe_op2(c->b, IR_LT, fe_iota(c->b, 2, 0, kept.n, IR_I64), left);
  return fe_select(c->b, is, x, fe_number(c->b, x, 0));
}

bool onnx_string_normalizer(struct onnx_call *c) {
  struct ir_value *x = c->in[0];
  const char *action = ox_str(c, "case_change_action", "NONE");
  int64_t r = fe_rank(x) - 1;
  bool sensitive, upper = !strcmp(action, "UPPER");
  if (!ox_flag(c, "is_case_sensitive", false, &sensitive))
    return false;
  if (!ox_is_string(x) || r < 1 || r > 2 || (r == 2 && fe_dims(x)[0] != 1))
    return ox_fail(c, TYPE, "the input must be a row of strings");
  if (!upper && strcmp(action, "LOWER") != 0 && strcmp(action, "NONE") != 0)
    return ox_fail(c, ATTR, "unknown action '%s'", ox_text(c, action));
  x = fe_reshape(c->b, x, 2, fe_dims(x) + r - 1);
  x = without_stopwords(c, x, sensitive, ox_declared(c, 0, r, r - 1));
  if (strcmp(action, "NONE") != 0)
    x = change_case(c, x, upper);
  return ox_return(c, x && r == 2 ? fe_unsqueeze(c->b, x, 1, 0) : x);
}

/* ---- RegexFullMatch ---- */

/* The states of all strings, from byte to byte: bytes is [n, strings], of classes;
 * table holds where a row of it begins, not its number. */
static struct ir_value *run_automaton(struct onnx_call *c,
                                      struct ir_value *table,
                                      struct ir_value *first,
                                      struct ir_value *bytes) {
  struct fe_region scan;
  if (!table || !first || !bytes)
    return NULL;
  int64_t n = fe_dims(bytes)[0];
  fe_region_begin(c->b, IR_SCAN, IR_ARGS(first, bytes),
                  IR_ATTRS(ir_int("states", 1)), &scan);
  struct ir_value *const *p = fe_region_enter(c->b, &scan)->param;
  struct ir_value *next = fe_gather(c->b, table, fe_add(c->b, p[0], p[1]), 0);
  if (!fe_region_yield(c->b, &scan, &next, 1) ||
      !fe_region_end(c->b, &scan, 1, n))
    return NULL;
  return scan.op->result[0];
}

bool onnx_regex_full_match(struct onnx_call *c) {
  const struct onnx_attr *p = ox_attr(c, "pattern");
  struct ir_value *x = c->in[0];
  struct fe_automaton a;
  if (!ox_is_string(x))
    return ox_fail(c, TYPE, "the input must be strings");
  if (!fe_regex(c->b, (const char *)p->s.data, p->s.size, &a))
    return false;
  int64_t width = ox_width(x), n = ir_type_count(x->type) / width;
  int64_t size = a.states * a.classes, bytes = 256;
  for (int64_t i = 0; i < size; i++)
    a.next[i] *= a.classes;
  struct ir_value *table = fe_ints(c->b, IR_I32, 1, &size, a.next);
  struct ir_value *classes = fe_ints(c->b, IR_I32, 1, &bytes, a.class_of);
  struct ir_value *first = fe_expand(
      c->b, fe_scalar(c->b, IR_I32, (double)(FE_REGEX_FIRST * a.classes)), 1,
      &n);
  struct ir_value *y = fe_reshape(c->b, x, 2, (int64_t[]){n, width});
  y = fe_transpose(c->b, ox_widen(c, y, width + 1), (int64_t[]){1, 0});
  y = fe_gather(c->b, classes, fe_cast(c->b, y, IR_I32), 0);
  y = n ? run_automaton(c, table, first, y) : first;
  y = y ? fe_op2(c->b, IR_EQ, y,
                 fe_number(c->b, y, (double)(FE_REGEX_MATCHED * a.classes)))
        : NULL;
  return ox_return(c, fe_reshape(c->b, y, fe_rank(x) - 1, fe_dims(x)));
}
